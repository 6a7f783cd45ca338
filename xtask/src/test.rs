//! Everything that must hold before a change goes in, in one command: what CI runs.
//!
//! The steps stop at the first that fails. Nothing is skipped: a tool that the tests need is
//! installed, or its absence is an error.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::tidy;

mod tools;

const USAGE: &str = "\
usage: cargo xtask test [OPTIONS]

Installs what is missing (Debian packages, cargo-nextest, cargo-deny), then runs the format check,
tidy, clippy, deny, all tests, documentation tests and the documentation. The tests run as root,
through sudo if need be: they mount file systems, change owners and become another user.

  --quick         leaves out deny and the documentation
  --no-install    installs nothing; what is missing is an error
";

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    scope: Scope,
    missing: Missing,
}

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everything,
    Quick,
}

/// What is done about a tool that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Install,
    Fail,
}

/// One step.
struct Step {
    headline: &'static str,
    scope: Scope,
    work: Work,
}

/// How a step is done.
enum Work {
    /// Here.
    Call(fn() -> Result<()>),
    /// By cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// By cargo, as root, and on standard output alone: there CI reads how many tests ran.
    Tests(&'static [&'static str]),
    /// By cargo, a warning of the documentation being an error.
    StrictDoc(&'static [&'static str]),
}

const CLIPPY: &[&str] = &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
const DENY: &[&str] = &["deny", "check", "bans", "licenses", "sources"];

/// The steps in their order: the quickest to fail come first.
const STEPS: &[Step] = &[
    Step {
        headline: "format",
        scope: Scope::Quick,
        work: Work::Cargo(&["fmt", "--all", "--check"]),
    },
    Step { headline: "tidy", scope: Scope::Quick, work: Work::Call(tidy::run) },
    Step { headline: "clippy", scope: Scope::Quick, work: Work::Cargo(CLIPPY) },
    Step { headline: "deny", scope: Scope::Everything, work: Work::Cargo(DENY) },
    Step {
        headline: "tests",
        scope: Scope::Quick,
        work: Work::Tests(&["nextest", "run", "--workspace"]),
    },
    Step {
        headline: "documentation tests",
        scope: Scope::Quick,
        work: Work::Cargo(&["test", "--doc", "--workspace"]),
    },
    Step {
        headline: "documentation",
        scope: Scope::Everything,
        work: Work::StrictDoc(&["doc", "--no-deps", "--workspace"]),
    },
];

pub(crate) fn main(args: &[OsString]) -> Result<()> {
    let Some(options) = parse(args)? else {
        print!("{USAGE}");
        return Ok(());
    };
    let began = Instant::now();
    step("tools", || tools::provide(options.missing, options.scope))?;
    for wanted in STEPS.iter().filter(|step| is_wanted(step, options.scope)) {
        step(wanted.headline, || wanted.work.run())?;
    }
    println!("== all is well ({:.0} s)", began.elapsed().as_secs_f64());
    Ok(())
}

fn parse(args: &[OsString]) -> Result<Option<Options>> {
    let mut options = Options { scope: Scope::Everything, missing: Missing::Install };
    for arg in args {
        match arg.to_str() {
            Some("--quick") => options.scope = Scope::Quick,
            Some("--no-install") => options.missing = Missing::Fail,
            Some("-h" | "--help") => return Ok(None),
            _ => bail!("test does not know {}\n{USAGE}", arg.display()),
        }
    }
    Ok(Some(options))
}

fn is_wanted(step: &Step, scope: Scope) -> bool {
    scope == Scope::Everything || step.scope == Scope::Quick
}

/// Does one step between a headline and the time that it took.
fn step(headline: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {headline}");
    let began = Instant::now();
    let done = work();
    let ended = if done.is_ok() { "done" } else { "failed" };
    println!("== {headline}: {ended} ({:.1} s)", began.elapsed().as_secs_f64());
    done.with_context(|| headline.to_owned())
}

impl Work {
    fn run(&self) -> Result<()> {
        match self {
            Self::Call(call) => call(),
            Self::Cargo(args) => must(&mut cargo(args)),
            Self::Tests(args) => {
                let mut tests = cargo(args);
                tests.args(tools::how_to_become_root()).stderr(io::stdout());
                must(tests.env("NEXTEST_TEST_THREADS", tests_at_once().to_string()))
            }
            Self::StrictDoc(args) => must(cargo(args).env("RUSTDOCFLAGS", "-D warnings")),
        }
    }
}

/// One more than there are cores: many tests wait for another program, or for time to pass.
fn tests_at_once() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get() + 1)
}

/// Cargo in the root of the project, with the tools where they may be.
fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let mut command = Command::new(program);
    command.args(args).current_dir(root).env("PATH", tools::search_path());
    command
}

/// Runs a command; fails with its words if it does.
fn must(command: &mut Command) -> Result<()> {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let shown = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let status = command.status().with_context(|| shown.clone())?;
    if status.success() { Ok(()) } else { bail!("`{shown}` failed ({status})") }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Missing, Options, STEPS, Scope, is_wanted, must, parse, step};

    fn parsed(words: &[&str]) -> anyhow::Result<Option<Options>> {
        parse(&words.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn reads_its_options() {
        let everything = Options { scope: Scope::Everything, missing: Missing::Install };
        assert_eq!(parsed(&[]).unwrap(), Some(everything));
        let quick = Options { scope: Scope::Quick, missing: Missing::Fail };
        assert_eq!(parsed(&["--quick", "--no-install"]).unwrap(), Some(quick));
        assert_eq!(parsed(&["--help"]).unwrap(), None);
        assert!(parsed(&["--quik"]).is_err());
    }

    #[test]
    fn a_quick_run_leaves_out_deny_and_the_documentation() {
        let left_out = STEPS.iter().filter(|step| !is_wanted(step, Scope::Quick));
        let left_out: Vec<_> = left_out.map(|step| step.headline).collect();
        assert_eq!(left_out, ["deny", "documentation"]);
        assert!(STEPS.iter().all(|step| is_wanted(step, Scope::Everything)));
    }

    #[test]
    fn a_command_that_fails_fails_its_step() {
        assert!(step("fine", || must(&mut Command::new("true"))).is_ok());
        let failed = step("wrong", || must(Command::new("false").arg("x"))).unwrap_err();
        let failed = format!("{failed:#}");
        assert!(failed.starts_with("wrong: `false x` failed (exit status: 1)"), "{failed}");
        assert!(must(&mut Command::new("/nonexistent/program")).is_err());
    }
}
