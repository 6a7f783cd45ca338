//! Images brought into the state of others: what `lanesync blocks` is measured by.
//!
//! Each run begins with the same old image, made anew; what came of it is compared with the source byte
//! by byte, but for the one of 64 GiB. Only the run itself is timed.

/// Another host.
mod far;

pub(super) use self::far::which;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use self::far::{Cost, Far};
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
    /// 256 MiB that has moved: bytes were put in front of it.
    Shifted,
}

struct Case {
    name: &'static str,
    title: &'static str,
    images: Images,
    /// How many times as fast as rsync we want to be.
    aim: Option<f64>,
    /// To another host, by ssh, and what may go over the wire at most.
    far: Option<Most>,
}

/// What may go over the wire.
#[derive(Clone, Copy, Debug)]
enum Most {
    Bytes(u64),
    /// Of the bytes that are to be brought over.
    Times(f64, u64),
}

const ONE_PERCENT_BYTES: u64 = 1024 * MIB / 100;
const TEN_PERCENT_BYTES: u64 = 103 * MIB;

const CASES: [Case; 10] = [
    case("blocks-noop", "1 GiB, nothing to do", Images::Equal).aimed(3.0),
    case("blocks-1-percent", "1 GiB, 1 % of its 4 KiB blocks changed", Images::OnePercent),
    case(
        "blocks-zeros",
        "1 GiB of which 90 % are zeros, onto zeros without holes",
        Images::ZerosOntoZeros,
    ),
    case("blocks-zeros-new", "1 GiB of which 90 % are zeros, to a new file", Images::ZerosNew),
    case("blocks-sparse", "64 GiB with 10 MiB of data, to a new file", Images::Sparse),
    case("blocks-ssh-noop", "1 GiB, nothing to do, by ssh", Images::Equal)
        .far(Most::Bytes(40 << 10)),
    case(
        "blocks-ssh-1-percent",
        "1 GiB, 1 % of its 4 KiB blocks changed, by ssh",
        Images::OnePercent,
    )
    .far(Most::Times(1.15, ONE_PERCENT_BYTES)),
    case(
        "blocks-ssh-zeros",
        "1 GiB of which 90 % are zeros, onto zeros without holes, by ssh",
        Images::ZerosOntoZeros,
    )
    .far(Most::Times(1.001, TEN_PERCENT_BYTES)),
    case(
        "blocks-ssh-zeros-new",
        "1 GiB of which 90 % are zeros, to a new file, by ssh",
        Images::ZerosNew,
    )
    .far(Most::Times(1.001, TEN_PERCENT_BYTES)),
    case("blocks-ssh-shifted", "256 MiB with 1000 bytes put in front, by ssh", Images::Shifted)
        .far(Most::Bytes(300_000)),
];

const fn case(name: &'static str, title: &'static str, images: Images) -> Case {
    Case { name, title, images, aim: None, far: None }
}

impl Case {
    const fn aimed(mut self, aim: f64) -> Self {
        self.aim = Some(aim);
        self
    }

    const fn far(mut self, most: Most) -> Self {
        self.far = Some(most);
        self
    }
}

/// A tool, how it is called, and whether a huge sparse image is too much for it.
struct Tool {
    name: &'static str,
    /// With `SRC` and `DST` for the images, and `OURS` for the program to be measured.
    line: Option<&'static str>,
    /// To another host: `HOST`, and `SHELL` for what is given to `-e`.
    far_line: Option<&'static str>,
    reads_holes: bool,
}

const TOOLS: [Tool; 11] = [
    Tool {
        name: "rsync",
        line: Some("rsync -I --inplace --no-whole-file SRC DST"),
        far_line: Some("rsync -I --inplace --no-whole-file -e SHELL SRC HOST:DST"),
        reads_holes: true,
    },
    Tool {
        name: "rsync, not in place",
        line: Some("rsync -I --no-whole-file SRC DST"),
        far_line: Some("rsync -I --no-whole-file -e SHELL SRC HOST:DST"),
        reads_holes: true,
    },
    Tool {
        name: "lanesync",
        line: Some("OURS blocks --truncate SRC DST"),
        far_line: Some("OURS blocks --truncate --agent-path=OURS -e SHELL SRC HOST:DST"),
        reads_holes: false,
    },
    Tool {
        name: "lanesync, xxh3",
        line: None,
        far_line: Some(
            "OURS blocks --truncate --hash=xxh3 --agent-path=OURS -e SHELL SRC HOST:DST",
        ),
        reads_holes: false,
    },
    Tool {
        name: "lanesync, no digest",
        line: Some("OURS blocks --truncate --no-digest SRC DST"),
        far_line: None,
        reads_holes: false,
    },
    Tool {
        name: "cp",
        line: Some("cp --sparse=always SRC DST"),
        far_line: None,
        reads_holes: false,
    },
    Tool {
        name: "rblocksync3",
        line: Some("rblocksync3 --truncate SRC DST"),
        far_line: Some("rblocksync3 --truncate SRC HOST:DST"),
        reads_holes: true,
    },
    Tool {
        name: "blocksync-fast",
        line: Some("blocksync-fast -s SRC -d DST"),
        far_line: None,
        reads_holes: true,
    },
    Tool {
        name: "bdsync",
        line: Some("sh -c 'bdsync \"bdsync --server\" SRC DST | bdsync --patch=DST'"),
        far_line: Some(
            "sh -c 'bdsync \"ssh HOST bdsync --server\" SRC DST | ssh HOST bdsync --patch=DST'",
        ),
        reads_holes: true,
    },
    Tool {
        name: "diskrsync",
        line: Some("diskrsync SRC DST"),
        far_line: Some("diskrsync SRC HOST:DST"),
        reads_holes: true,
    },
    Tool { name: "bscp", line: None, far_line: Some("bscp SRC HOST:DST"), reads_holes: true },
];

impl Tool {
    fn line(&self, case: &Case) -> Option<&'static str> {
        if case.far.is_some() { self.far_line } else { self.line }
    }
}

/// What came of a tool.
struct Row<'a> {
    tool: &'a Tool,
    line: &'static str,
    samples: Vec<Sample>,
    costs: Vec<Cost>,
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
    for case in &chosen {
        eprintln!("bench: {}: {}", case.name, case.title);
        let far = case.far.map(|_| Far::new(&work)).transpose()?;
        let bench = Bench { work: &work, options, ours, stop, case, far };
        document.push_str(&bench.run(&tools)?);
    }
    for tool in &tools {
        let is_run = |is_far: bool| chosen.iter().any(|case| case.far.is_some() == is_far);
        let lines = [tool.line.filter(|_| is_run(false)), tool.far_line.filter(|_| is_run(true))];
        for line in lines.into_iter().flatten() {
            writeln!(document, "- {}: `{}`", tool.name, line.replace("OURS", "lanesync"))?;
        }
    }
    if !absent.is_empty() {
        let names: Vec<_> = absent.iter().map(|tool| tool.name).collect();
        writeln!(document, "\nNot found on the PATH: {}.", names.join(", "))?;
    }
    Ok(document)
}

fn is_there(tool: &Tool, ours: Option<&Path>) -> bool {
    let line = tool.line.or(tool.far_line).unwrap_or_default();
    match line.split(' ').next().unwrap_or_default() {
        "OURS" => ours.is_some(),
        "sh" => which(tool.name).is_some(),
        program => which(program).is_some(),
    }
}

struct Bench<'a> {
    work: &'a Path,
    options: &'a Options,
    ours: Option<&'a Path>,
    stop: &'a Stop,
    case: &'a Case,
    far: Option<Far>,
}

impl Bench<'_> {
    fn run(&self, tools: &[&'static Tool]) -> Result<String> {
        let is_fit = |tool: &&Tool| self.case.images != Images::Sparse || !tool.reads_holes;
        let row = |tool: &'static Tool| {
            let line = tool.line(self.case)?;
            let (samples, costs) = (Vec::new(), Vec::new());
            Some(Row { tool, line, samples, costs, allocated_bytes: 0, failure: None })
        };
        let fit = tools.iter().copied().filter(is_fit);
        let mut rows: Vec<Row<'_>> = fit.filter_map(row).collect();
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

    /// What a line stands for.
    fn command(&self, line: &str) -> Command {
        let far_target = self.path("target").display().to_string();
        let ours = self.ours.map(|path| path.display().to_string()).unwrap_or_default();
        let fill_in = |text: &str| {
            let text = match &self.far {
                Some(far) => far.fill_in(text).replace("DST", &far_target),
                None => text.replace("DST", "target"),
            };
            text.replace("SRC", "source").replace("OURS", &ours)
        };
        let mut command = if let Some((_, script)) = line.split_once(" '") {
            let mut command = Command::new("sh");
            command.arg("-c").arg(fill_in(script.trim_end_matches('\'')));
            command
        } else {
            let mut words = line.split(' ');
            let mut command = Command::new(fill_in(words.next().unwrap_or_default()));
            command.args(words.map(|word| match &self.far {
                Some(far) if word == "SHELL" => far.shell().to_owned(),
                _ => fill_in(word),
            }));
            command
        };
        command.current_dir(self.work);
        command
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
        let (mut command, log) = (self.command(row.line), self.path("output"));
        let measure =
            |command: &mut Command| measure::run(command, &log, self.options.timeout, self.stop);
        let (sample, cost) = match &self.far {
            None => (measure(&mut command)?, None),
            Some(far) => {
                let (sample, cost) = far.run(&mut command, measure)?;
                (sample, Some(cost))
            }
        };
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
            row.costs.extend(cost);
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
            Images::Shifted => {
                const IN_FRONT_BYTES: u64 = 1000;
                let bytes = bytes / 4;
                fill(&source, 0..bytes + IN_FRONT_BYTES, &mut state)?;
                let mut tail = Command::new("sh");
                let script = format!("tail -c {bytes} source > old");
                ensure!(
                    run_quietly(tail.args(["-c", &script]).current_dir(self.work))?,
                    "{script}"
                );
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
    if let Some(most) = case.far {
        let _infallible = match most {
            Most::Bytes(bytes) => writeln!(text, "Aim: at most {} KB on the wire.\n", kb(bytes)),
            Most::Times(times, bytes) => {
                writeln!(text, "Aim: at most {times} times {} KB on the wire.\n", kb(bytes))
            }
        };
        text.push_str(
            "| tool | wall s | min-max | rsync = 1 | CPU s of both ends | KB on the wire | allocated MiB |\n\
             |---|---|---|---|---|---|---|\n",
        );
    } else {
        text.push_str(
            "| tool | wall s | min-max | rsync = 1 | CPU s | allocated MiB |\n|---|---|---|---|---|---|\n",
        );
    }
    let rsync = rows.iter().find(|row| row.tool.name == "rsync" && row.failure.is_none());
    for row in rows {
        let line = match &row.failure {
            Some(why) => format!("| {} | FAILED | {} |", row.tool.name, why.replace('|', "/")),
            None => row.shown(rsync).unwrap_or_default(),
        };
        let _infallible = writeln!(text, "{line}");
    }
    text.push('\n');
    text
}

fn kb(bytes: u64) -> String {
    format!("{}", bytes.div_ceil(1000))
}

impl Row<'_> {
    /// A line of the table; `None` without a round.
    fn shown(&self, rsync: Option<&Self>) -> Option<String> {
        let wall = Spread::of(self.samples.iter().map(|it| it.wall.as_secs_f64()))?;
        let own = self.samples.iter().map(|it| it.user + it.sys);
        let both = self.costs.iter().map(|cost| cost.cpu);
        let cpu: Vec<Duration> = if self.costs.is_empty() { own.collect() } else { both.collect() };
        let cpu = Spread::of(cpu.iter().map(Duration::as_secs_f64))?;
        let ratio = rsync.and_then(|rsync| {
            let pairs = rsync.samples.iter().zip(&self.samples);
            Spread::of(pairs.map(|(base, own)| base.wall.as_secs_f64() / own.wall.as_secs_f64()))
        });
        let ratio =
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("**{:.2}**", ratio.median));
        let mut wire: Vec<u64> = self.costs.iter().map(|cost| cost.wire_bytes).collect();
        wire.sort_unstable();
        let wire = wire.get(wire.len() / 2).map(|bytes| format!(" {} |", kb(*bytes)));
        Some(format!(
            "| {} | {:.3} | {:.3}-{:.3} | {ratio} | {:.2} |{} {} |",
            self.tool.name,
            wall.median,
            wall.min,
            wall.max,
            cpu.median,
            wire.unwrap_or_default(),
            self.allocated_bytes / MIB,
        ))
    }
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
            names: vec!["blocks-1".into(), "blocks-zeros".into(), "blocks-ssh-s".into()],
            runs: 1,
            scale: 0.01,
            peers: None,
            ours: None,
            work: Some(dir.path().to_owned()),
            timeout: Duration::from_secs(60),
            markdown: true,
        };
        let document = run(&options, None, &Stop::on_signals().unwrap()).unwrap();
        for part in [
            "blocks-1-percent",
            "blocks-zeros-new",
            "| rsync | 0",
            "| cp | 0",
            "on the wire",
            "lanesync, ",
        ] {
            assert!(document.contains(part), "{part}: {document}");
        }
        assert!(!document.contains("FAILED"), "{document}");
    }
}
