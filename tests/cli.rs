//! What the command prints for help, versions and mistakes, word for word.
//!
//! `TRYCMD=overwrite cargo test --test cli` writes the files anew; read the difference.

#[test]
fn golden() {
    trycmd::TestCases::new()
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .case("tests/cli/*.trycmd");
}
