//! The course of a scenario: sources, stages, rounds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::Options;
use super::measure::{self, Sample, Stop};
use super::scenario::{Op, Place, SLOW_DELAY_US, Scenario};
use super::stats::rotated;
use super::tool::{self, Far, Job, Tool};
use super::verify::{self, Differences};
use super::volume::{FsKind, Room, SlowVolume, Volume, must};
use super::wan::Wan;
use crate::corpus::{Change, Kind};

/// A tool between two hosts that takes longer is stopped: on a line that loses packets some would take
/// hours, and what has arrived by then tells as much.
const FAR_PATIENCE: Duration = Duration::from_secs(60);

/// What all scenarios share.
pub(crate) struct Lab {
    pub(crate) options: Options,
    pub(crate) ours: Option<PathBuf>,
    pub(crate) testfs: Option<PathBuf>,
    pub(crate) stop: Stop,
    work: PathBuf,
    log: File,
    sources: BTreeMap<SourceKey, Volume>,
    /// The stage of the run before.
    last: Option<Stage>,
    staged: usize,
}

/// A tree that is made once and copied often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SourceKey {
    corpus: Kind,
    on: FsKind,
    change: Option<Change>,
}

/// The other host of a scenario.
struct Abroad {
    wan: Wan,
    far: Far,
}

/// Where one run goes from and to.
struct Stage {
    from: PathBuf,
    to: PathBuf,
    /// The same two without a delay, for looking at.
    seen: (PathBuf, PathBuf),
    _held: Held,
}

/// What a stage stands on, for as long as it is needed.
#[expect(dead_code, reason = "held for its Drop")]
enum Held {
    Fresh(Volume),
    Slow(SlowVolume),
}

/// What came of a scenario.
pub(crate) struct Outcome {
    pub(crate) scenario: &'static Scenario,
    pub(crate) rows: Vec<Row>,
    pub(crate) rss_floor_bytes: u64,
}

/// What came of a tool.
pub(crate) struct Row {
    pub(crate) tool: Tool,
    /// One for each counted round; fewer if it failed.
    pub(crate) samples: Vec<Sample>,
    /// What the system still had to write after each.
    pub(crate) flushes: Vec<Duration>,
    /// What went over the link in each, if there was one.
    pub(crate) carried_bytes: Vec<u64>,
    pub(crate) failure: Option<String>,
    pub(crate) differences: Option<Differences>,
}

impl Lab {
    pub(crate) fn new(options: Options, work: &Path, stop: Stop, log: File) -> Result<Self> {
        fs::create_dir_all(work).with_context(|| format!("make {}", work.display()))?;
        let work = work.canonicalize()?;
        let sources = BTreeMap::new();
        Ok(Self {
            options,
            ours: None,
            testfs: None,
            stop,
            work,
            log,
            sources,
            last: None,
            staged: 0,
        })
    }

    /// Gives back the disk of sources that none of these needs.
    pub(crate) fn keep_sources(&mut self, scenarios: &[&Scenario]) {
        let keys: Vec<SourceKey> = scenarios.iter().flat_map(|scenario| keys(scenario)).collect();
        self.sources.retain(|key, _| keys.contains(key));
    }

    pub(crate) fn run(&mut self, scenario: &'static Scenario) -> Result<Outcome> {
        eprintln!("bench: {}: {}", scenario.name, scenario.title());
        for key in keys(scenario) {
            self.make_source(key, scenario.share)?;
        }
        let peers = self.options.peers.as_deref();
        let tools = tool::line_up(scenario, self.ours.as_deref(), peers);
        let mut rows: Vec<Row> = tools.into_iter().map(Row::new).collect();
        let abroad = self.abroad(scenario)?;
        let shared =
            if scenario.changes_destination() { None } else { Some(self.stage(scenario)?) };
        for round in 0..=self.options.runs {
            for place in rotated(rows.len(), round) {
                if rows[place].failure.is_none() {
                    let around = (shared.as_ref(), abroad.as_ref());
                    self.one_run(scenario, round, &mut rows[place], around)?;
                }
            }
        }
        self.last = None;
        Ok(Outcome { scenario, rows, rss_floor_bytes: measure::rss_floor_bytes() })
    }

    /// Stages, settles, runs, looks at the result, and writes it all down. Round 0 is thrown away.
    fn one_run(
        &mut self,
        scenario: &Scenario,
        round: usize,
        row: &mut Row,
        (shared, abroad): (Option<&Stage>, Option<&Abroad>),
    ) -> Result<()> {
        let own = if shared.is_none() { Some(self.stage(scenario)?) } else { None };
        let stage = shared.or(own.as_ref()).context("a stage was set")?;
        if row.tool.recipe.wants_destination() {
            fs::create_dir_all(&stage.to)?;
        }
        settle();
        if scenario.cold {
            drop_caches()?;
        } else if !scenario.is_slow() {
            warm(&stage.seen.0)?;
            warm(&stage.seen.1)?;
        }
        // Only now: a virtual machine gives free memory back after two seconds, and whoever comes next
        // would pay for getting it again. Four gigabytes took one tool one second or four.
        self.last = None;
        let far = abroad.map(|abroad| &abroad.far);
        let job = Job { op: scenario.op, from: &stage.from, to: &stage.to, far };
        let (sample, carried_bytes) = self.timed(&mut row.tool.command(job), abroad)?;
        let flush = if scenario.is_slow() { Duration::ZERO } else { flush(&stage.to)? };
        self.record(scenario, round, &row.tool, (&sample, flush, carried_bytes))?;
        if let Some(failure) = sample.failure {
            let carried = carried_bytes.map(|bytes| format!("; {} MiB over the link", bytes >> 20));
            row.failure = Some(failure + &carried.unwrap_or_default());
            return Ok(());
        }
        // Others are looked at once, ours each time.
        if row.differences.is_none() || row.tool.recipe.is_ours() {
            let differences = verify::compare(&stage.seen.0, &stage.seen.1)?;
            if row.tool.recipe.is_ours() && differences.any() {
                row.failure = Some(format!("the copy is WRONG: {differences:?}"));
            }
            row.differences = Some(differences);
        }
        if round > 0 {
            row.samples.push(sample);
            row.flushes.push(flush);
            row.carried_bytes.extend(carried_bytes);
        }
        self.last = own;
        Ok(())
    }

    /// Runs a command where it belongs; says what it cost, and what went over the link.
    fn timed(
        &self,
        command: &mut Command,
        abroad: Option<&Abroad>,
    ) -> Result<(Sample, Option<u64>)> {
        let log = self.work.join("output");
        let Some(Abroad { wan, .. }) = abroad else {
            let sample = measure::run(command, &log, self.options.timeout, &self.stop)?;
            return Ok((sample, None));
        };
        let _entered = wan.enter()?;
        let before = wan.carried_bytes();
        let patience = self.options.timeout.min(FAR_PATIENCE);
        let sample = measure::run(command, &log, patience, &self.stop)?;
        let carried = wan.carried_bytes().zip(before).map(|(after, before)| after - before);
        Ok((sample, carried))
    }

    fn abroad(&self, scenario: &Scenario) -> Result<Option<Abroad>> {
        let Some((link, way)) = scenario.far() else { return Ok(None) };
        let wan = Wan::new(&self.work, link)?;
        let (shell, host) = wan.shell_and_host()?;
        Ok(Some(Abroad { wan, far: Far { shell, host, way } }))
    }

    fn stage(&mut self, scenario: &Scenario) -> Result<Stage> {
        self.staged += 1;
        let tag = |name: &str| format!("{name}-{}", self.staged % 2);
        let room = self.room(scenario.corpus, scenario.share);
        let twice = Room { bytes: room.bytes * 2, inodes: room.inodes * 2 };
        match scenario.place {
            Place::Fresh(_) | Place::Far { .. } => {
                let kind = scenario.place.destination();
                let volume = Volume::fresh(&self.work, &tag("destination"), kind, room)?;
                let from = self.source(scenario, scenario.op.change())?;
                let to = volume.path().join("dst");
                let before = match scenario.op {
                    Op::FirstCopy => None,
                    Op::Equal | Op::Checksum => Some(from.clone()),
                    Op::Update(_) => Some(self.source(scenario, None)?),
                };
                if let Some(before) = before {
                    prepare(&before, &to)?;
                }
                let seen = (from.clone(), to.clone());
                Ok(Stage { from, to, seen, _held: Held::Fresh(volume) })
            }
            Place::Beside(kind) => {
                let volume = Volume::fresh(&self.work, &tag("both"), kind, twice)?;
                let (from, to) = (volume.path().join("src"), volume.path().join("dst"));
                self.generate(scenario.corpus, scenario.share, None, &from)?;
                let seen = (from.clone(), to.clone());
                Ok(Stage { from, to, seen, _held: Held::Fresh(volume) })
            }
            Place::Slow { slots } => {
                let backing = Volume::fresh(&self.work, &tag("backing"), scenario.source, twice)?;
                let from = backing.path().join("src");
                self.generate(scenario.corpus, scenario.share, None, &from)?;
                fs::create_dir(backing.path().join("dst"))?;
                let testfs = self.testfs.as_deref().context("testfs was built")?;
                let slow = SlowVolume::over(backing, testfs, SLOW_DELAY_US, slots)?;
                let at = |root: &Path| (root.join("src"), root.join("dst"));
                let ((from, to), seen) = (at(slow.path()), at(slow.backing()));
                Ok(Stage { from, to, seen, _held: Held::Slow(slow) })
            }
        }
    }

    fn source(&self, scenario: &Scenario, change: Option<Change>) -> Result<PathBuf> {
        let key = SourceKey { corpus: scenario.corpus, on: scenario.source, change };
        let volume = self.sources.get(&key).context("the source was made")?;
        Ok(volume.path().join("src"))
    }

    fn make_source(&mut self, key: SourceKey, share: f64) -> Result<()> {
        if self.sources.contains_key(&key) {
            return Ok(());
        }
        let change = key.change.map_or("whole", Change::name);
        let tag = format!("source-{}-{change}-{}", key.corpus.name(), key.on.name());
        let volume = Volume::fresh(&self.work, &tag, key.on, self.room(key.corpus, share))?;
        self.generate(key.corpus, share, key.change, &volume.path().join("src"))?;
        self.sources.insert(key, volume);
        Ok(())
    }

    /// Makes a corpus in a process of its own: our memory would count as that of the tools.
    fn generate(&self, corpus: Kind, share: f64, change: Option<Change>, to: &Path) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("corpus").arg(corpus.name()).arg(to);
        command.arg("--scale").arg((self.options.scale * share).to_string());
        if let Some(change) = change {
            command.args(["--change", change.name()]);
        }
        must(&mut command)
    }

    fn room(&self, corpus: Kind, share: f64) -> Room {
        let scale = self.options.scale * share;
        Room { bytes: corpus.bytes(scale), inodes: corpus.inodes(scale) }
    }

    fn record(
        &mut self,
        scenario: &Scenario,
        round: usize,
        tool: &Tool,
        (sample, flush, carried_bytes): (&Sample, Duration, Option<u64>),
    ) -> Result<()> {
        let name = tool.recipe.name();
        let verdict = sample.failure.as_deref().unwrap_or("");
        eprintln!(
            "bench: {} {round}/{} {name}: {:.3} s {verdict}",
            scenario.name,
            self.options.runs,
            sample.wall.as_secs_f64(),
        );
        let line = json!({
            "scenario": scenario.name,
            "scale": self.options.scale,
            "round": round,
            "counted": round > 0,
            "tool": name,
            "wall_s": sample.wall.as_secs_f64(),
            "user_s": sample.user.as_secs_f64(),
            "sys_s": sample.sys.as_secs_f64(),
            "max_rss_bytes": sample.max_rss_bytes,
            "flush_s": flush.as_secs_f64(),
            "carried_bytes": carried_bytes,
            "failure": sample.failure,
        });
        Ok(writeln!(self.log, "{line}")?)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.sources.clear();
        let _best_effort = fs::remove_file(self.work.join("output"));
        let _best_effort = fs::remove_dir(&self.work);
    }
}

impl Row {
    fn new(tool: Tool) -> Self {
        let (samples, flushes, carried_bytes) = (Vec::new(), Vec::new(), Vec::new());
        Self { tool, samples, flushes, carried_bytes, failure: None, differences: None }
    }
}

impl Scenario {
    /// Whether each run needs a destination of its own.
    fn changes_destination(&self) -> bool {
        !matches!(self.op, Op::Equal | Op::Checksum)
    }
}

impl Place {
    /// The file system that is copied to where that is a fresh one.
    fn destination(self) -> FsKind {
        match self {
            Self::Fresh(kind) | Self::Beside(kind) => kind,
            Self::Slow { .. } | Self::Far { .. } => FsKind::Tmpfs,
        }
    }
}

impl Op {
    fn change(self) -> Option<Change> {
        match self {
            Self::Update(change) => Some(change),
            _ => None,
        }
    }
}

/// The sources of a scenario; the stages of the others make their own.
fn keys(scenario: &Scenario) -> Vec<SourceKey> {
    if !matches!(scenario.place, Place::Fresh(_) | Place::Far { .. }) {
        return Vec::new();
    }
    let key = |change| SourceKey { corpus: scenario.corpus, on: scenario.source, change };
    let mut keys = vec![key(None)];
    keys.extend(scenario.op.change().map(|change| key(Some(change))));
    keys
}

/// Brings the destination into the state before a run.
fn prepare(from: &Path, to: &Path) -> Result<()> {
    let mut from = from.as_os_str().to_owned();
    from.push("/");
    must(Command::new("rsync").arg("-aHAX").arg(from).arg(to))
}

/// Nothing of what was prepared is left to be written while the clock runs.
fn settle() {
    rustix::fs::sync();
}

fn drop_caches() -> Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "3").context("drop the caches")
}

/// Reads all that lies below a path, which need not be there. The kernel may have given back by itself
/// what was cached before, above all in a virtual machine.
fn warm(path: &Path) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("warm {}", path.display())),
    };
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            warm(&entry?.path())?;
        }
    } else if metadata.is_file() && metadata.len() > 0 {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        loop {
            let count = reader.fill_buf()?.len();
            if count == 0 {
                break;
            }
            reader.consume(count);
        }
    }
    Ok(())
}

fn flush(to: &Path) -> Result<Duration> {
    if !to.exists() {
        bail!("{} was not made", to.display());
    }
    let start = Instant::now();
    rustix::fs::syncfs(File::open(to)?)?;
    Ok(start.elapsed())
}
