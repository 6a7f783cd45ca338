//! Times lanesync against rsync and whatever else is on the PATH.
//!
//! docs/performance.md says how to read the numbers and which traps this harness walks around:
//! the order rotates each round, the first round is thrown away, and no destination is emptied on
//! the file system that the next run writes to.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

mod scenario;

mod blocks;

mod manifest;

mod tool;

mod volume;

mod wan;

mod measure;

mod rounds;

mod verify;

mod stats;

mod table;

use measure::Stop;
use rounds::Lab;
use scenario::{SCENARIOS, Scenario};

const USAGE: &str = "\
usage: cargo xtask bench [SCENARIO...] [OPTIONS]

Without a SCENARIO all are run; a name's beginning stands for all that begin so, unless it is a
name itself; what begins with blocks or manifest stands alone. Needs root (it mounts) and only Debian
packages: rsync, e2fsprogs, xfsprogs, util-linux, fuse3; for what begins with wan or lanes also iproute2,
openssh-client and openssh-server; for what begins with manifest also fpart and findutils.

  --list            the scenarios
  --runs N          counted rounds after the one thrown away (5)
  --scale X         shrinks the trees: 0.01 is a hundredth (1.0)
  --peers A,B       only these besides rsync and lanesync; \"none\" for none (all found on the PATH)
  --ours PATH       the lanesync to time (built with --release when absent); \"none\" leaves it out
  --work DIR        where images are made (target/bench/work); on tmpfs the disk plays no part
  --timeout SECS    a tool that takes longer has failed (1800)
  --markdown        print one document at the end, ready for docs/performance.md

Tables go to stdout, progress to stderr, every single run to target/bench/runs.jsonl.
";

/// Set in the process that lives in a mount namespace of its own.
const INSIDE: &str = "LANESYNC_BENCH_INSIDE";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    names: Vec<String>,
    pub(crate) runs: usize,
    pub(crate) scale: f64,
    pub(crate) peers: Option<Vec<String>>,
    ours: Option<OsString>,
    work: Option<PathBuf>,
    pub(crate) timeout: Duration,
    markdown: bool,
}

pub(crate) fn main(args: &[OsString]) -> Result<()> {
    let Some(options) = parse(args)? else { return Ok(()) };
    if blocks::are_named(&options.names) {
        return images(&options);
    }
    let is_manifest = manifest::are_named(&options.names);
    let scenarios = if is_manifest { Vec::new() } else { scenario::choose(&options.names)? };
    if !rustix::process::geteuid().is_root() {
        bail!("the benchmarks mount file systems and so need root");
    }
    if std::env::var_os(INSIDE).is_none() {
        return Err(enter_namespace(args).context("unshare (package util-linux)"));
    }
    if is_manifest {
        return manifests(&options);
    }
    let results = target_dir().join("bench");
    fs::create_dir_all(&results)?;
    let needs_slow = scenarios.iter().any(|scenario| scenario.is_slow());
    let (ours, testfs) = binaries(&options, needs_slow)?;
    let work = options.work.clone().unwrap_or_else(|| results.join("work"));
    let log = fs::File::create(results.join("runs.jsonl"))?;
    let mut lab = Lab::new(options, &work, Stop::on_signals()?, log)?;
    (lab.ours, lab.testfs) = (ours, testfs);
    let document = run_all(&mut lab, &scenarios)?;
    let path = results.join("results.md");
    fs::File::create(&path)?.write_all(document.as_bytes())?;
    if lab.options.markdown {
        print!("{document}");
    }
    eprintln!("bench: results in {}", path.display());
    Ok(())
}

/// Measures what is about images, which needs no mounts.
fn images(options: &Options) -> Result<()> {
    let results = target_dir().join("bench");
    fs::create_dir_all(&results)?;
    let (ours, _) = binaries(options, false)?;
    let document = blocks::run(options, ours.as_deref(), &Stop::on_signals()?)?;
    print!("{document}");
    let path = results.join("blocks.md");
    fs::write(&path, document)?;
    eprintln!("bench: results in {}", path.display());
    Ok(())
}

/// Measures how trees are cut into buckets.
fn manifests(options: &Options) -> Result<()> {
    let results = target_dir().join("bench");
    fs::create_dir_all(&results)?;
    let (ours, testfs) = binaries(options, true)?;
    let work = options.work.clone().unwrap_or_else(|| results.join("work"));
    let programs = manifest::Programs { ours, testfs };
    let document = manifest::run(options, &work, &programs, &Stop::on_signals()?)?;
    print!("{document}");
    let path = results.join("manifest.md");
    fs::write(&path, document)?;
    eprintln!("bench: results in {}", path.display());
    Ok(())
}

/// Runs the scenarios; one that cannot be run here is named with its reason, and the rest goes on.
fn run_all(lab: &mut Lab, scenarios: &[&'static Scenario]) -> Result<String> {
    let mut document = table::preamble(lab);
    for (done, scenario) in scenarios.iter().enumerate() {
        lab.keep_sources(&scenarios[done..]);
        let section = match lab.run(scenario) {
            Ok(outcome) => table::section(&outcome),
            Err(error) if lab.stop.is_set() => return Err(error),
            Err(error) => table::skipped(scenario, &error),
        };
        if !lab.options.markdown {
            print!("{section}");
        }
        document.push_str(&section);
    }
    document.push_str(&table::absent_peers(lab));
    Ok(document)
}

fn parse(args: &[OsString]) -> Result<Option<Options>> {
    let mut options = Options {
        names: Vec::new(),
        runs: 5,
        scale: 1.0,
        peers: None,
        ours: None,
        work: None,
        timeout: Duration::from_secs(1800),
        markdown: false,
    };
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("runs") => options.runs = parser.value()?.parse()?,
            Long("scale") => options.scale = parser.value()?.parse()?,
            Long("peers") => options.peers = Some(list(&parser.value()?.string()?)?),
            Long("ours") => options.ours = Some(parser.value()?),
            Long("work") => options.work = Some(parser.value()?.into()),
            Long("timeout") => options.timeout = Duration::from_secs(parser.value()?.parse()?),
            Long("markdown") => options.markdown = true,
            Long("list") => {
                for scenario in SCENARIOS {
                    println!("{:<24}{}", scenario.name, scenario.title());
                }
                for (name, title) in blocks::list().chain(manifest::list()) {
                    println!("{name:<24}{title}");
                }
                return Ok(None);
            }
            Short('h') | Long("help") => {
                print!("{USAGE}");
                return Ok(None);
            }
            Value(name) => options.names.push(name.string()?),
            other => bail!("{}\n{USAGE}", other.unexpected()),
        }
    }
    if options.runs == 0 || !(options.scale > 0.0 && options.scale <= 16.0) {
        bail!("--runs must be at least 1, --scale above 0 and at most 16");
    }
    Ok(Some(options))
}

fn list(names: &str) -> Result<Vec<String>> {
    if names == "none" {
        return Ok(Vec::new());
    }
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    for name in &names {
        if name != "rsync" && !tool::PEERS.iter().any(|peer| peer.name() == *name) {
            bail!("{name:?} is no known peer");
        }
    }
    Ok(names)
}

/// Starts over in a mount namespace of its own: whatever happens, no mount is left behind.
fn enter_namespace(args: &[OsString]) -> anyhow::Error {
    let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(own).arg("bench").args(args);
    command.env(INSIDE, "1").exec().into()
}

/// The programs of ours that are needed, built if they are not given.
fn binaries(options: &Options, needs_slow: bool) -> Result<(Option<PathBuf>, Option<PathBuf>)> {
    let release = target_dir().join("release");
    let ours = match options.ours.as_deref() {
        Some(none) if none == "none" => None,
        Some(given) => Some(PathBuf::from(given).canonicalize().context("--ours")?),
        None => {
            build("lanesync")?;
            Some(release.join("lanesync"))
        }
    };
    let testfs = if needs_slow {
        build("lanesync-testfs")?;
        Some(release.join("testfs"))
    } else {
        None
    };
    Ok((ours, testfs))
}

fn build(package: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", package]).current_dir(root());
    volume::must(&mut command)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
