//! Trees cut into buckets: what `lanesync manifest` is measured by, against fpart and find.
//!
//! All trees are warm: each tool has read them once in the round that is thrown away. Their files are holes
//! of long-tailed sizes, so bytes are not read and balance is not easy.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::Options;
use super::measure::{self, Sample, Stop};
use super::scenario::SLOW_DELAY_US;
use super::stats::{Spread, rotated};
use super::volume::{FsKind, Room, SlowVolume, Volume};
use crate::corpus::{Sized, Sizes};

/// Operations that the slow file system serves at once.
const SLOTS: u16 = 256;

#[derive(Debug)]
struct Case {
    name: &'static str,
    title: &'static str,
    aim: &'static str,
    tree: Sized,
    /// Of each it is measured.
    buckets: &'static [u64],
    kind: CaseKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaseKind {
    /// How long it takes, and how much memory.
    Speed,
    /// The same where each operation takes its time.
    Slow,
    /// How equal the buckets are.
    Balance,
}

const CASES: [Case; 4] = [
    Case {
        name: "manifest-million",
        title: "1,000,000 files in 1,000 directories, warm, on ext4",
        aim: "2 times fpart, and not slower than find; at most 100 bytes an entry with `--buckets`, \
              and 64 MiB with `--max-size`",
        tree: Sized { dirs: 1000, files_per_dir: 1000, sizes: Sizes::LogNormal },
        buckets: &[8],
        kind: CaseKind::Speed,
    },
    Case {
        name: "manifest-slow",
        title: "2,500 files in 100 directories, where an operation takes 2 ms (FUSE, 256 at once)",
        aim: "20 times fpart",
        tree: Sized { dirs: 100, files_per_dir: 25, sizes: Sizes::LogNormal },
        buckets: &[8],
        kind: CaseKind::Slow,
    },
    Case {
        name: "manifest-log-normal",
        title: "balance of 20,000 log-normal sizes, none above the mean of 64 buckets",
        aim: BALANCE,
        tree: Sized { dirs: 200, files_per_dir: 100, sizes: Sizes::LogNormal },
        buckets: &[4, 8, 64],
        kind: CaseKind::Balance,
    },
    Case {
        name: "manifest-pareto",
        title: "balance of 20,000 Pareto sizes, none above the mean of 64 buckets",
        aim: BALANCE,
        tree: Sized { dirs: 200, files_per_dir: 100, sizes: Sizes::Pareto },
        buckets: &[4, 8, 64],
        kind: CaseKind::Balance,
    },
];

const BALANCE: &str = "the largest bucket at most 1.02 times the mean";

/// A tool and how it is called: with `TREE` and `OUT` for directories, `COUNT` for the number of buckets,
/// `SIZE` for as many bytes as a hundredth of the tree has, and `OURS` for the program to be measured.
#[derive(Debug)]
struct Tool {
    name: &'static str,
    line: &'static str,
    /// Where buckets and their bytes are told: such a tool takes part in what is about balance.
    told: Option<Told>,
    /// It only reads the tree.
    is_reader: bool,
}

/// How a tool tells what is in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// In the last line of each list, as JSON.
    Ends,
    /// In a line for each: `Part #1: size = 28494, files = 8`.
    Parts,
}

const TOOLS: [Tool; 6] = [
    Tool {
        name: "fpart",
        line: "fpart -n COUNT -o OUT/list TREE",
        told: Some(Told::Parts),
        is_reader: false,
    },
    Tool {
        name: "lanesync",
        line: "OURS manifest TREE --buckets COUNT --output OUT",
        told: None,
        is_reader: false,
    },
    Tool {
        name: "lanesync --max-size",
        line: "OURS manifest TREE --max-size SIZE --output OUT",
        told: None,
        is_reader: false,
    },
    Tool {
        name: "lanesync --live",
        line: "OURS manifest TREE --max-size SIZE --live --output OUT",
        told: None,
        is_reader: false,
    },
    Tool {
        name: "lanesync --format=json",
        line: "OURS manifest TREE --buckets COUNT --format json --output OUT",
        told: Some(Told::Ends),
        is_reader: false,
    },
    Tool {
        name: "find",
        line: "find TREE -printf '%s %p\\n' > /dev/null",
        told: None,
        is_reader: true,
    },
];

impl Tool {
    fn is_in(&self, kind: CaseKind) -> bool {
        match kind {
            CaseKind::Balance => self.told.is_some(),
            CaseKind::Speed | CaseKind::Slow => self.told != Some(Told::Ends),
        }
    }

    fn is_there(&self, ours: Option<&Path>) -> bool {
        match self.line.split(' ').next().unwrap_or_default() {
            "OURS" => ours.is_some(),
            program => super::blocks::which(program).is_some(),
        }
    }
}

/// What came of a tool.
struct Row {
    tool: &'static Tool,
    buckets: u64,
    samples: Vec<Sample>,
    /// The largest bucket over the mean.
    balance: Option<f64>,
    failure: Option<String>,
}

/// The programs of ours.
pub(super) struct Programs {
    pub(super) ours: Option<PathBuf>,
    pub(super) testfs: Option<PathBuf>,
}

/// Whether it is manifests that are asked for.
pub(super) fn are_named(names: &[String]) -> bool {
    !names.is_empty() && names.iter().all(|name| name.starts_with("manifest"))
}

/// The names and what they stand for.
pub(super) fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    CASES.iter().map(|case| (case.name, case.title))
}

/// Runs the cases whose names begin so; gives a document.
pub(super) fn run(
    options: &Options,
    work: &Path,
    programs: &Programs,
    stop: &Stop,
) -> Result<String> {
    fs::create_dir_all(work)?;
    let work = &work.canonicalize()?;
    let is_named =
        |case: &&Case| options.names.iter().any(|name| case.name.starts_with(name.as_str()));
    let chosen: Vec<_> = CASES.iter().filter(is_named).collect();
    ensure!(!chosen.is_empty(), "no scenario begins so; see --list");
    let ours = programs.ours.as_deref();
    let (tools, absent): (Vec<_>, Vec<_>) = TOOLS.iter().partition(|tool| tool.is_there(ours));
    let mut document = String::new();
    for case in &chosen {
        eprintln!("bench: {}: {}", case.name, case.title);
        let place = Place::new(case, work, options, programs)?;
        let bench = Bench { work, options, ours, stop, case, place };
        document.push_str(&bench.run(&tools)?);
    }
    for tool in &tools {
        writeln!(document, "- {}: `{}`", tool.name, tool.line.replace("OURS", "lanesync"))?;
    }
    if !absent.is_empty() {
        let names: Vec<_> = absent.iter().map(|tool| tool.name).collect();
        writeln!(document, "\nNot found on the PATH: {}.", names.join(", "))?;
    }
    Ok(document)
}

/// Where the tree of a case is, and how much it has.
struct Place {
    tree: PathBuf,
    entries: u64,
    bytes: u64,
    _held: Held,
}

enum Held {
    Fast { _volume: Volume },
    Slow { _volume: SlowVolume },
}

impl Place {
    fn new(case: &Case, work: &Path, options: &Options, programs: &Programs) -> Result<Self> {
        let shape = Sized { dirs: scaled(case.tree.dirs, options.scale), ..case.tree };
        let entries = (shape.dirs * (shape.files_per_dir + 1) + 1) as u64;
        let room = Room { bytes: (64 << 20) + entries * 64, inodes: entries + 64 };
        let kind = if case.kind == CaseKind::Speed { FsKind::Ext4 } else { FsKind::Tmpfs };
        let volume = Volume::fresh(work, case.name, kind, room)?;
        let bytes = shape.generate(&volume.path().join("tree"))?;
        let at = |root: &Path| root.join("tree");
        if case.kind != CaseKind::Slow {
            let tree = at(volume.path());
            return Ok(Self { tree, entries, bytes, _held: Held::Fast { _volume: volume } });
        }
        let testfs = programs.testfs.as_deref().context("testfs was built")?;
        let slow = SlowVolume::over(volume, testfs, SLOW_DELAY_US, SLOTS)?;
        let tree = at(slow.path());
        Ok(Self { tree, entries, bytes, _held: Held::Slow { _volume: slow } })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a number that is as good as another"
)]
fn scaled(count: usize, scale: f64) -> usize {
    ((count as f64 * scale).round() as usize).max(2)
}

struct Bench<'a> {
    work: &'a Path,
    options: &'a Options,
    ours: Option<&'a Path>,
    stop: &'a Stop,
    case: &'a Case,
    place: Place,
}

impl Bench<'_> {
    fn run(&self, tools: &[&'static Tool]) -> Result<String> {
        let mut rows = Vec::new();
        for buckets in self.case.buckets {
            let fit = tools.iter().filter(|tool| tool.is_in(self.case.kind));
            rows.extend(fit.map(|tool| Row {
                tool,
                buckets: *buckets,
                samples: Vec::new(),
                balance: None,
                failure: None,
            }));
        }
        for round in 0..=self.options.runs {
            for at in rotated(rows.len(), round) {
                if rows[at].failure.is_none() {
                    self.one_run(round, &mut rows[at])?;
                }
            }
        }
        Ok(self.table(&rows))
    }

    fn one_run(&self, round: usize, row: &mut Row) -> Result<()> {
        let (out, log) = (self.work.join("lists"), self.work.join("output"));
        fs::remove_dir_all(&out).ok();
        fs::create_dir(&out)?;
        let mut command = Command::new("sh");
        let fill_in = |text: &str| {
            let ours = self.ours.map(|path| path.display().to_string()).unwrap_or_default();
            text.replace("OURS", &ours)
                .replace("TREE", &self.place.tree.display().to_string())
                .replace("OUT", &out.display().to_string())
                .replace("COUNT", &row.buckets.to_string())
                .replace("SIZE", &(self.place.bytes / 100).max(1).to_string())
        };
        command.args(["-c", &format!("exec {}", fill_in(row.tool.line))]);
        let sample = measure::run(&mut command, &log, self.options.timeout, self.stop)?;
        let came_of_it = self.balance(row, &out, &log);
        fs::remove_dir_all(&out)?;
        match (&sample.failure, came_of_it) {
            (Some(failure), _) => row.failure = Some(failure.clone()),
            (None, Err(error)) => row.failure = Some(format!("{error:#}")),
            (None, Ok(balance)) => row.balance = balance,
        }
        if round > 0 && row.failure.is_none() {
            row.samples.push(sample);
        }
        Ok(())
    }

    /// How equal buckets are, where that is told; fails where something is missing in them.
    fn balance(&self, row: &Row, out: &Path, log: &Path) -> Result<Option<f64>> {
        let mut lists: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(out)? {
            lists.push(entry?.path());
        }
        if lists.is_empty() && !row.tool.is_reader {
            bail!("no list was written");
        }
        let sizes = match row.tool.told {
            None => return Ok(None),
            Some(Told::Parts) => parts(&fs::read_to_string(log)?),
            Some(Told::Ends) => {
                let read = |list: &PathBuf| end(&fs::read_to_string(list)?);
                lists.iter().map(read).collect::<Result<Vec<u64>>>()?
            }
        };
        ensure!(sizes.len() as u64 == row.buckets, "there are {} buckets", sizes.len());
        let sum: u64 = sizes.iter().sum();
        ensure!(sum == self.place.bytes, "{sum} bytes are in them, {} below", self.place.bytes);
        Ok(over_mean(&sizes))
    }

    fn table(&self, rows: &[Row]) -> String {
        let Case { name, title, aim, .. } = self.case;
        let mut text = format!("### `{name}`: {title}\n\nAim: {aim}.\n\n");
        text.push_str(match self.case.kind {
            CaseKind::Balance => {
                "| tool | buckets | largest over mean | wall s | CPU s |\n|---|---|---|---|---|\n"
            }
            CaseKind::Speed | CaseKind::Slow => {
                "| tool | wall s | min-max | fpart = 1 | CPU s | peak MiB | bytes an entry |\n\
                 |---|---|---|---|---|---|---|\n"
            }
        });
        let fpart = rows.iter().find(|row| row.tool.name == "fpart" && row.failure.is_none());
        for row in rows {
            let line = match (&row.failure, self.case.kind) {
                (Some(why), _) => {
                    format!("| {} | FAILED | {} |", row.tool.name, why.replace('|', "/"))
                }
                (None, CaseKind::Balance) => row.balance_shown(),
                (None, _) => row.speed_shown(fpart, self.place.entries),
            };
            let _infallible = writeln!(text, "{line}");
        }
        text.push('\n');
        text
    }
}

/// What fpart tells of its parts.
fn parts(told: &str) -> Vec<u64> {
    let lines = told.lines().filter(|line| line.starts_with("Part #"));
    let sizes = lines.filter_map(|line| line.split_once("size = ")?.1.split(',').next());
    sizes.filter_map(|size| size.trim().parse().ok()).collect()
}

/// The bytes that the last record of a list tells.
fn end(list: &str) -> Result<u64> {
    let last: serde_json::Value = serde_json::from_str(list.lines().last().unwrap_or_default())?;
    ensure!(last["type"] == "end", "a list has no end");
    last["bytes"].as_u64().context("the end of a list tells no bytes")
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn over_mean(sizes: &[u64]) -> Option<f64> {
    let (largest, sum) = (sizes.iter().max()?, sizes.iter().sum::<u64>());
    (sum > 0).then(|| *largest as f64 * sizes.len() as f64 / sum as f64)
}

impl Row {
    fn wall(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.wall.as_secs_f64()))
    }

    fn cpu(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| (sample.user + sample.sys).as_secs_f64()))
    }

    fn balance_shown(&self) -> String {
        let (Some(wall), Some(cpu), Some(balance)) = (self.wall(), self.cpu(), self.balance) else {
            return String::new();
        };
        format!(
            "| {} | {} | **{balance:.4}** | {:.3} | {:.2} |",
            self.tool.name, self.buckets, wall.median, cpu.median
        )
    }

    fn speed_shown(&self, fpart: Option<&Self>, entries: u64) -> String {
        let (Some(wall), Some(cpu)) = (self.wall(), self.cpu()) else { return String::new() };
        let ratio = fpart.and_then(|fpart| {
            let pairs = fpart.samples.iter().zip(&self.samples);
            Spread::of(pairs.map(|(base, own)| base.wall.as_secs_f64() / own.wall.as_secs_f64()))
        });
        let ratio =
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("**{:.2}**", ratio.median));
        let peak = self.samples.iter().map(|sample| sample.max_rss_bytes).max().unwrap_or(0);
        let at_most = if peak <= measure::rss_floor_bytes() { "at most " } else { "" };
        format!(
            "| {} | {:.3} | {:.3}-{:.3} | {ratio} | {:.2} | {at_most}{} | {at_most}{} |",
            self.tool.name,
            wall.median,
            wall.min,
            wall.max,
            cpu.median,
            peak.div_ceil(1 << 20),
            peak / entries,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_asked_for_by_their_names() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(are_named(&names(&["manifest"])) && are_named(&names(&["manifest-slow"])));
        assert!(!are_named(&[]) && !are_named(&names(&["manifest", "flat"])));
        assert_eq!(list().count(), CASES.len());
    }

    #[test]
    fn what_tools_tell_is_understood() {
        let told = "Part #1: size = 28494, files = 8\nPart #2: size = 0, files = 9\nelse\n";
        assert_eq!(parts(told), [28494, 0]);
        let list =
            "{\"type\":\"bucket\"}\n{\"type\":\"end\",\"lines\":1,\"bytes\":17,\"entries\":2}\n";
        assert_eq!(end(list).unwrap(), 17);
        assert!(end("").is_err() && end("{\"type\":\"line\",\"bytes\":1}\n").is_err());
    }

    #[test]
    fn balance_is_the_largest_over_the_mean() {
        assert_eq!(over_mean(&[]), None);
        assert_eq!(over_mean(&[0, 0]), None);
        assert!((over_mean(&[3, 1]).unwrap() - 1.5).abs() < 1e-9);
    }
}
