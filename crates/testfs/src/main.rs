//! `testfs BACKING MOUNTPOINT [--delay-us N] [--slots N] [--fold-case] [--fault RULE]...`: mounts
//! in the foreground and unmounts on SIGTERM or SIGINT.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command says what it does")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use testfs::{Config, Mount};

const USAGE: &str = "\
usage: testfs BACKING MOUNTPOINT [--delay-us N] [--slots N] [--fold-case] [--fault RULE]...

Shows BACKING at MOUNTPOINT until SIGTERM. Each operation takes --delay-us microseconds and --slots
of them are served at once. A RULE is OP:ERRNO[:GLOB][:after=N][:times=M], for example
readdir:EIO:photos or write:ENOSPC:*.dat:after=10; OP is a system call's name, setattr, xattr or *.
With --fold-case names that differ only in the case of ASCII letters are one.
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testfs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let Some((config, mountpoint)) = parse(std::env::args_os().skip(1))? else {
        print!("{USAGE}");
        return Ok(());
    };
    // Before the mount: a signal in between must not leave it behind.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("catch signals")?;
    let mount = Mount::at(config, &mountpoint).context("mount")?;
    println!("testfs: mounted on {}", mount.path().display());
    signals.forever().next();
    let stats = mount.stats();
    println!("testfs: {} operations, {} at once", stats.operations, stats.peak_in_flight);
    Ok(())
}

fn parse(
    mut args: impl Iterator<Item = std::ffi::OsString>,
) -> anyhow::Result<Option<(Config, PathBuf)>> {
    let mut config = Config::new("");
    let mut paths = Vec::new();
    while let Some(arg) = args.next() {
        let name = arg.to_str().unwrap_or_default().to_owned();
        let mut value = || {
            let value = args.next().with_context(|| format!("{name} needs a value"))?;
            value
                .into_string()
                .map_err(|value| anyhow::anyhow!("{name} {}: not text", value.display()))
        };
        match name.as_str() {
            "-h" | "--help" => return Ok(None),
            "--delay-us" => config.delay = Duration::from_micros(value()?.parse()?),
            "--slots" => config.slots = value()?.parse()?,
            "--fold-case" => config.folds_case = true,
            "--fault" => config.faults.push(value()?.parse()?),
            option if option.starts_with("--") => bail!("unknown option {option}\n{USAGE}"),
            _ => paths.push(PathBuf::from(arg)),
        }
    }
    let Ok([backing, mountpoint]) = <[PathBuf; 2]>::try_from(paths) else { bail!("{USAGE}") };
    config.backing = backing;
    Ok(Some((config, mountpoint)))
}
