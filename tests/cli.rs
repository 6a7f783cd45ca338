//! What the command prints for help, versions and mistakes, word for word.
//!
//! `TRYCMD=overwrite cargo test --test cli` writes the files anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

#[test]
fn golden() {
    trycmd::TestCases::new()
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .case("tests/cli/*.trycmd");
}

/// Two trees that differ as those of the example at the top of the README.
fn photos_and_backup(root: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let write = |path: &str, text: &str, age: u64| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::File::open(&path).unwrap().set_modified(long_ago - Duration::from_secs(age)).unwrap();
    };
    for tree in ["photos", "backup"] {
        for name in ["2023/img_0100.jpg", "2023/img_0101.jpg", "2024/img_0001.raw", "index"] {
            write(&format!("{tree}/{name}"), "the same", 0);
        }
    }
    write("photos/2024/img_0002.raw", "edited and longer", 5);
    write("backup/2024/img_0002.raw", "raw", 9);
    write("photos/2024/notes.txt", "new", 0);
    write("backup/2023/img_0102.jpg", "gone", 0);
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(root.join("photos/2023/img_0101.jpg"), private).unwrap();
    for (at, dir) in ["photos", "photos/2023", "photos/2024", "backup"].iter().enumerate() {
        let age = if dir.contains('/') { at as u64 } else { 0 };
        let dir = fs::File::open(root.join(dir)).unwrap();
        dir.set_modified(long_ago - Duration::from_secs(age)).unwrap();
    }
}

#[test]
fn the_example_of_the_readme_is_what_is_printed() {
    let readme = include_str!("../README.md");
    let example = readme.split("```").nth(1).and_then(|block| block.strip_prefix("console\n$ "));
    let (command, printed) = example.unwrap().split_once('\n').unwrap();
    let scratch = tempfile::tempdir().unwrap();
    photos_and_backup(scratch.path());
    let run = |more: &[&str]| {
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("lanesync"));
        let mut run = Command::new(env!("CARGO_BIN_EXE_lanesync"));
        run.args(words).args(more).current_dir(scratch.path());
        let output =
            run.env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let sum = readme.lines().find(|line| line.contains(" equal = ")).unwrap();
    let sum = sum.trim_matches(['`', '.']);
    let stats = run(&["--dry-run", "--stats"]);
    let verdicts = stats.lines().find(|line| line.starts_with("Verdicts: ")).unwrap();
    for part in sum.split("; ").next().unwrap().split(['+', '=']) {
        assert!(verdicts.contains(part.trim()), "{part} is not in {verdicts}");
    }
    assert_eq!(run(&[]), printed);
}
