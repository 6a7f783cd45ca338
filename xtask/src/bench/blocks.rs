//! Images brought into the state of others: what `lanesync blocks` is measured by.
//!
//! Each run begins with the same old image, made anew; what came of it is compared with the source byte
//! by byte, but for the one of 64 GiB. Only the run itself is timed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::Options;
use super::measure::{self, Sample, Stop};
use super::stats::{Spread, rotated};

const MIB: u64 = 1 << 20;

const BLOCK_BYTES: u64 = 4096;

/// What the two images are, before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Images {
    /// The same.
    Equal,
    /// One block of a hundred differs.
    OnePercent,
    /// Nine tenths of the source are zeros, and all of the target is, without holes.
    ZerosOntoZeros,
    /// The same source, and no target.
    ZerosNew,
    /// 64 GiB with 10 MiB of data, and no target.
    Sparse,
}

struct Case {
    name: &'static str,
    title: &'static str,
    images: Images,
    /// How many times as fast as rsync we want to be.
    aim: Option<f64>,
}

const CASES: [Case; 5] = [
    Case {
        name: "blocks-noop",
        title: "1 GiB, nothing to do",
        images: Images::Equal,
        aim: Some(3.0),
    },
    Case {
        name: "blocks-1-percent",
        title: "1 GiB, 1 % of its 4 KiB blocks changed",
        images: Images::OnePercent,
        aim: None,
    },
    Case {
        name: "blocks-zeros",
        title: "1 GiB of which 90 % are zeros, onto zeros without holes",
        images: Images::ZerosOntoZeros,
        aim: None,
    },
    Case {
        name: "blocks-zeros-new",
        title: "1 GiB of which 90 % are zeros, to a new file",
        images: Images::ZerosNew,
        aim: None,
    },
    Case {
        name: "blocks-sparse",
        title: "64 GiB with 10 MiB of data, to a new file",
        images: Images::Sparse,
        aim: None,
    },
];

/// The remote shell of those who have one: it runs on this host what it is told to run, so that all processor
/// time counts and no cipher does.
const STAND_IN: &str = r#"sh -c 'shift; exec sh -c "$*"' stand-in"#;

/// A tool, how it is called, and whether a huge sparse image is too much for it.
struct Tool {
    name: &'static str,
    /// With `SRC` and `DST` for the images, `far:DST` for one on another host, and `OURS` for lanesync there.
    line: &'static str,
    reads_holes: bool,
}

const TOOLS: [Tool; 11] = [
    Tool { name: "rsync", line: "rsync -I --inplace --no-whole-file SRC DST", reads_holes: true },
    Tool { name: "lanesync", line: "lanesync blocks --truncate SRC DST", reads_holes: false },
    Tool {
        name: "lanesync, no digest",
        line: "lanesync blocks --truncate --no-digest SRC DST",
        reads_holes: false,
    },
    Tool {
        name: "rsync, two hosts",
        line: "rsync -I --inplace --no-whole-file SRC far:DST",
        reads_holes: true,
    },
    Tool {
        name: "lanesync, two hosts",
        line: "lanesync blocks --truncate --agent-path=OURS SRC far:DST",
        reads_holes: false,
    },
    Tool {
        name: "lanesync, two hosts, xxh3",
        line: "lanesync blocks --truncate --hash=xxh3 --agent-path=OURS SRC far:DST",
        reads_holes: false,
    },
    Tool { name: "cp", line: "cp --sparse=always SRC DST", reads_holes: false },
    Tool { name: "rblocksync3", line: "rblocksync3 --truncate SRC DST", reads_holes: true },
    Tool { name: "blocksync-fast", line: "blocksync-fast -s SRC -d DST", reads_holes: true },
    Tool {
        name: "bdsync",
        line: "sh -c 'bdsync \"bdsync --server\" SRC DST | bdsync --patch=DST'",
        reads_holes: true,
    },
    Tool { name: "diskrsync", line: "diskrsync SRC DST", reads_holes: true },
];

/// What came of a tool.
struct Row<'a> {
    tool: &'a Tool,
    samples: Vec<Sample>,
    allocated_bytes: u64,
    failure: Option<String>,
}

/// Whether it is images that are asked for.
pub(super) fn are_named(names: &[String]) -> bool {
    !names.is_empty() && names.iter().all(|name| name.starts_with("blocks"))
}

/// The names and what they stand for.
pub(super) fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    CASES.iter().map(|case| (case.name, case.title))
}

/// Runs the cases whose names begin so; gives a document.
pub(super) fn run(options: &Options, ours: Option<&Path>, stop: &Stop) -> Result<String> {
    let work = options.work.clone().context("--work DIR: where the images are made")?;
    fs::create_dir_all(&work)?;
    let work = work.canonicalize()?;
    let is_named =
        |case: &&Case| options.names.iter().any(|name| case.name.starts_with(name.as_str()));
    let chosen: Vec<_> = CASES.iter().filter(is_named).collect();
    ensure!(!chosen.is_empty(), "no scenario begins so; see --list");
    let (tools, absent): (Vec<_>, Vec<_>) = TOOLS.iter().partition(|tool| is_there(tool, ours));
    let mut document = String::new();
    for case in chosen {
        eprintln!("bench: {}: {}", case.name, case.title);
        let bench = Bench { work: &work, options, ours, stop, case };
        document.push_str(&bench.run(&tools)?);
    }
    for tool in &tools {
        writeln!(document, "- {}: `{}`", tool.name, tool.line)?;
    }
    if !absent.is_empty() {
        let names: Vec<_> = absent.iter().map(|tool| tool.name).collect();
        writeln!(document, "\nNot found on the PATH: {}, bscp.", names.join(", "))?;
    }
    Ok(document)
}

fn is_there(tool: &Tool, ours: Option<&Path>) -> bool {
    let program = tool.line.split(' ').next().unwrap_or_default();
    if program == "lanesync" {
        return ours.is_some();
    }
    let program = if program == "sh" { tool.name } else { program };
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

struct Bench<'a> {
    work: &'a Path,
    options: &'a Options,
    ours: Option<&'a Path>,
    stop: &'a Stop,
    case: &'a Case,
}

impl Bench<'_> {
    fn run(&self, tools: &[&Tool]) -> Result<String> {
        let is_fit = |tool: &&&Tool| self.case.images != Images::Sparse || !tool.reads_holes;
        let new = |tool| Row { tool, samples: Vec::new(), allocated_bytes: 0, failure: None };
        let mut rows: Vec<Row<'_>> = tools.iter().filter(is_fit).map(|tool| new(*tool)).collect();
        self.make()?;
        for round in 0..=self.options.runs {
            for place in rotated(rows.len(), round) {
                if rows[place].failure.is_none() {
                    self.one_run(round, &mut rows[place])?;
                }
            }
        }
        for name in ["source", "old", "target"] {
            fs::remove_file(self.path(name)).ok();
        }
        Ok(table(self.case, &rows))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    fn one_run(&self, round: usize, row: &mut Row<'_>) -> Result<()> {
        let (source, target) = (self.path("source"), self.path("target"));
        fs::remove_file(&target).ok();
        if self.path("old").exists() {
            // With all that it has allocated, and both in memory.
            copy(&self.path("old"), &target)?;
            copy(&source, Path::new("/dev/null"))?;
        }
        rustix::fs::sync();
        let far = format!("far:{}", target.display());
        let ours = self.ours.unwrap_or(Path::new("lanesync")).display().to_string();
        let line = row.tool.line.replace("far:DST", &far).replace("OURS", &ours);
        let line = line.replace("SRC", "source").replace("DST", "target");
        let mut command = if let Some((_, script)) = line.split_once(" '") {
            let mut command = Command::new("sh");
            command.args(["-c", script.trim_end_matches('\'')]);
            command
        } else {
            let mut words = line.split(' ');
            let program = words.next().unwrap_or_default();
            let ours = self.ours.filter(|_| program == "lanesync");
            let mut command = Command::new(ours.unwrap_or(Path::new(program)));
            command.args(words);
            command
        };
        command.current_dir(self.work).env("RSYNC_RSH", STAND_IN);
        let log = self.path("output");
        let sample = measure::run(&mut command, &log, self.options.timeout, self.stop)?;
        if let Some(failure) = sample.failure {
            row.failure = Some(failure);
            return Ok(());
        }
        let mut same = Command::new("cmp");
        same.arg("-s").args([&source, &target]);
        if self.case.images != Images::Sparse && !run_quietly(&mut same)? {
            row.failure = Some("the image is WRONG".into());
            return Ok(());
        }
        row.allocated_bytes = fs::metadata(&target)?.blocks() * 512;
        if round > 0 {
            row.samples.push(sample);
        }
        Ok(())
    }

    /// Makes the source, and what the target is before each run.
    fn make(&self) -> Result<()> {
        for name in ["old", "target"] {
            fs::remove_file(self.path(name)).ok();
        }
        let bytes = scaled(1024 * MIB, self.options.scale);
        let mut state = 1;
        let source = File::create(self.path("source"))?;
        match self.case.images {
            Images::Equal | Images::OnePercent => {
                fill(&source, 0..bytes, &mut state)?;
                copy(&self.path("source"), &self.path("old"))?;
            }
            Images::ZerosOntoZeros | Images::ZerosNew => {
                source.set_len(bytes)?;
                for start in (0..bytes).step_by(10 * usize::try_from(MIB)?) {
                    fill(&source, start..bytes.min(start + MIB), &mut state)?;
                }
            }
            Images::Sparse => {
                source.set_len(64 << 30)?;
                for part in 0..10 {
                    let start = part * (6 << 30);
                    fill(&source, start..start + MIB, &mut state)?;
                }
            }
        }
        if self.case.images == Images::OnePercent {
            let old = File::options().write(true).open(self.path("old"))?;
            for _ in 0..bytes / BLOCK_BYTES / 100 {
                let block = next(&mut state) % (bytes / BLOCK_BYTES) * BLOCK_BYTES;
                fill(&old, block..block + BLOCK_BYTES, &mut state)?;
            }
        }
        if self.case.images == Images::ZerosOntoZeros {
            let old = File::create(self.path("old"))?;
            let zeros = vec![0; usize::try_from(MIB)?];
            for start in (0..bytes).step_by(zeros.len()) {
                let length = usize::try_from((bytes - start).min(MIB))?;
                old.write_all_at(&zeros[..length], start)?;
            }
        }
        Ok(())
    }
}

/// Whole blocks of so many bytes, shrunk.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a size that is as good as another"
)]
fn scaled(bytes: u64, scale: f64) -> u64 {
    ((bytes as f64 * scale) as u64).next_multiple_of(BLOCK_BYTES)
}

/// xorshift64: what it gives does not compress, and is the same each time.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn fill(file: &File, range: std::ops::Range<u64>, state: &mut u64) -> Result<()> {
    let mut start = range.start;
    while start < range.end {
        let length = usize::try_from((range.end - start).min(MIB))?;
        let words = std::iter::repeat_with(|| next(state).to_le_bytes());
        let bytes: Vec<u8> = words.take(length.div_ceil(8)).flatten().take(length).collect();
        file.write_all_at(&bytes, start)?;
        start += length as u64;
    }
    Ok(())
}

/// Copies without a hole, and without sharing blocks.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command.args(["--sparse=never", "--reflink=never"]).arg(from).arg(to);
    if !run_quietly(&mut command)? {
        bail!("copy {} to {}", from.display(), to.display());
    }
    Ok(())
}

fn run_quietly(command: &mut Command) -> Result<bool> {
    let status = command.status();
    Ok(status.with_context(|| format!("start {}", command.get_program().display()))?.success())
}

fn table(case: &Case, rows: &[Row<'_>]) -> String {
    let mut text = format!("### `{}`: {}\n\n", case.name, case.title);
    if let Some(aim) = case.aim {
        let _infallible = writeln!(text, "Aim: {aim} times rsync.\n");
    }
    text.push_str("| tool | wall s | min-max | rsync = 1 | CPU s | allocated MiB |\n|---|---|---|---|---|---|\n");
    let wall = |row: &Row<'_>| Spread::of(row.samples.iter().map(|it| it.wall.as_secs_f64()));
    let rsync = rows.iter().find(|row| row.tool.name == "rsync");
    for row in rows {
        let name = row.tool.name;
        if let Some(failure) = &row.failure {
            let _infallible =
                writeln!(text, "| {name} | FAILED | {} | | | |", failure.replace('|', "/"));
            continue;
        }
        let of = |sample: &Sample| -> Duration { sample.user + sample.sys };
        let cpu = Spread::of(row.samples.iter().map(|it| of(it).as_secs_f64()));
        let (Some(wall), Some(cpu)) = (wall(row), cpu) else { continue };
        let ratio = rsync.filter(|rsync| rsync.failure.is_none()).and_then(|rsync| {
            let pairs = rsync.samples.iter().zip(&row.samples);
            Spread::of(pairs.map(|(base, own)| base.wall.as_secs_f64() / own.wall.as_secs_f64()))
        });
        let ratio =
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("**{:.2}**", ratio.median));
        let _infallible = writeln!(
            text,
            "| {name} | {:.3} | {:.3}-{:.3} | {ratio} | {:.2} | {} |",
            wall.median,
            wall.min,
            wall.max,
            cpu.median,
            row.allocated_bytes / MIB,
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_asked_for_by_their_names() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(are_named(&names(&["blocks"])) && are_named(&names(&["blocks-noop", "blocks-z"])));
        assert!(!are_named(&[]) && !are_named(&names(&["blocks", "flat"])));
        assert_eq!(list().count(), CASES.len());
    }

    #[test]
    fn a_case_runs_from_its_images_to_its_table() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            names: vec!["blocks-1".into(), "blocks-zeros".into()],
            runs: 1,
            scale: 0.01,
            peers: None,
            ours: None,
            work: Some(dir.path().to_owned()),
            timeout: Duration::from_secs(60),
            markdown: true,
        };
        let document = run(&options, None, &Stop::on_signals().unwrap()).unwrap();
        for part in
            ["blocks-1-percent", "blocks-zeros-new", "| rsync | 0", "| cp | 0", "lanesync, "]
        {
            assert!(document.contains(part), "{part}: {document}");
        }
        assert!(!document.contains("FAILED"), "{document}");
    }
}
