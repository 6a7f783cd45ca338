//! The project's chores, run as `cargo xtask CHORE`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "chores speak to a person")]

use std::process::ExitCode;

mod bench;

mod corpus;

mod test;

mod tidy;

const USAGE: &str = "\
usage: cargo xtask CHORE [ARGUMENTS]

  test      everything that must hold before a change goes in
  tidy      the rules of the house that no linter knows
  bench     times lanesync against rsync and other tools (see docs/performance.md)
  corpus    makes one of the trees that bench copies

`cargo xtask CHORE --help` says more.
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let chore = args.next().unwrap_or_default();
    let rest: Vec<_> = args.collect();
    let done = match chore.to_str().unwrap_or_default() {
        "bench" => bench::main(&rest),
        "corpus" => corpus::main(&rest),
        "test" => test::main(&rest),
        "tidy" => tidy::main(&rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
