//! A big file, in ranges that many workers copy or compare at once.
//!
//! One task opens the file and spawns runners; each runner takes the next range until none is
//! left or something went wrong; the last one to end finishes the file. What is made of an old file
//! takes several such rounds ([`Steps`]): the last runner of one begins the next.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use delta::Update;
use fs::copy::CopyError;
use fs::{Copied, File, Sparse};
use model::Verb;
use parking_lot::{Mutex, RwLock};

use crate::endpoint::SourceFile;
use crate::entries::Entry;
use crate::finalize;
use crate::node::Node;
use crate::run::{PatchTurn, Run};
use crate::task::{Task, Worker};
use crate::transfer::compare::{self, Unsure};
use crate::transfer::old_file::OldFile;
use crate::transfer::opening::{UseOfSource, open_source};
use crate::transfer::patching::{Patching, Sides};
use crate::transfer::ranges::{RANGE_BYTES, Ranges};
use crate::transfer::steps::{Step, Steps};
use crate::transfer::whole::{
    ATTEMPTS, FileJob, Problem, Staged, Written, changes_always, conclude, make_of, preallocate,
    problem, sparse,
};
use crate::transfer::{old_file, partial};

enum Work {
    Copy(Copying),
    Compare { entry: Entry, target: File },
}

/// A file that is being copied.
struct Copying {
    job: FileJob,
    staged: Box<Staged>,
    /// Counts from one.
    attempt: u32,
    made_of: Option<Box<MadeOf>>,
}

/// What a file is made of that is not copied as it is.
struct MadeOf {
    old: OldFile,
    patching: Patching,
    steps: Steps,
    _turn: PatchTurn,
}

/// What a runner does next.
enum Claim {
    Range(Range<u64>),
    Step(Step),
}

/// A big file in work.
pub(crate) struct BigFile {
    node: Arc<Node>,
    source: SourceFile,
    size: u64,
    /// Runners share it; the last one takes it.
    work: RwLock<Option<Work>>,
    ranges: Ranges,
    runners: AtomicUsize,
    written_bytes: AtomicU64,
    paced_bytes: AtomicU64,
    differs: AtomicBool,
    problem: Mutex<Option<Problem>>,
}

impl BigFile {
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// What is to be done next. What is compared is read on both sides, holes or not.
    fn claim(&self, work: &Work) -> Option<Claim> {
        if let Work::Copy(Copying { made_of: Some(made_of), .. }) = work {
            return made_of.steps.take().map(Claim::Step);
        }
        let skips_holes = match work {
            Work::Copy(Copying { job, .. }) => {
                sparse(&self.node.run, &job.entry.source) != Sparse::None
            }
            Work::Compare { .. } => false,
        };
        self.ranges.take(skips_holes.then_some(&self.source)).map(Claim::Range)
    }

    /// Leaves nothing to be done.
    fn stop(&self, work: &Work) {
        self.ranges.stop();
        if let Work::Copy(Copying { made_of: Some(made_of), .. }) = work {
            made_of.steps.stop();
        }
    }

    /// The next round of runners, where all has gone well so far: says how many there may be.
    fn begin_next_round(&self) -> Option<u64> {
        let work = self.work.read();
        let Some(Work::Copy(Copying { made_of: Some(made_of), .. })) = &*work else { return None };
        if self.problem.lock().is_some() {
            return None;
        }
        let (steps, needed_from) = made_of.steps.begin_next_phase()?;
        made_of.patching.forget_before(needed_from);
        Some(steps)
    }
}

/// Begins to copy a big file. Its node is held and its segment is its own.
pub(crate) fn begin_copy(worker: &mut Worker<'_>, job: FileJob) {
    try_copy(worker, job, 1);
}

fn try_copy(worker: &mut Worker<'_>, mut job: FileJob, attempt: u32) {
    match open_copy(worker, &mut job) {
        Ok(Opened::Both { source, staged, made_of }) => {
            let node = Arc::clone(&job.entry.node);
            let size = job.entry.source.size;
            let copying = Copying { job, staged, attempt, made_of };
            start(worker, node, source, size, Work::Copy(copying));
        }
        Ok(Opened::Done(written)) => end(worker, &job, Ok(written)),
        Err(Problem::Changed) => try_again(worker, job, attempt),
        Err(problem) => end(worker, &job, Err(problem)),
    }
}

/// Reads a file that changed anew; after the last attempt it is left as it is.
fn try_again(worker: &mut Worker<'_>, mut job: FileJob, attempt: u32) {
    if attempt < ATTEMPTS {
        job.refresh(worker.run);
        return try_copy(worker, job, attempt + 1);
    }
    let problem = changes_always(&job.entry);
    end(worker, &job, Err(problem));
}

/// What opening both sides led to.
enum Opened {
    Both {
        source: SourceFile,
        staged: Box<Staged>,
        made_of: Option<Box<MadeOf>>,
    },
    /// All was done at once.
    Done(Written),
}

/// Opens both sides, and tries to share data.
fn open_copy(worker: &mut Worker<'_>, job: &mut FileJob) -> Result<Opened, Problem> {
    let run = worker.run;
    let old = old_file::find(run, &job.entry);
    let use_of = if old.is_some() { UseOfSource::Patch } else { UseOfSource::Read };
    let source = open_source(run, &mut worker.scratch.totals, job, use_of)?;
    let entry = &job.entry;
    let mut staged = Staged::create(run, entry)?;
    let shared = !run.settings.write.find_zeros
        && worker
            .scratch
            .copier
            .clone_whole(&source, staged.file())
            .map_err(|error| problem(run, entry, error))?;
    if shared {
        // Before it has its name: who is interrupted here has brought nothing over.
        // Test: `a_shared_big_file_that_waits_for_its_rate_has_no_name_yet`.
        let paced = job.pace(run, entry.source.size).map_err(CopyError::Observer);
        run.progress.end_of_work(entry.source.size);
        paced.map_err(|error| problem(run, entry, error))?;
        let lacking = staged.complete(run, entry, &source)?;
        let copied = Copied { read_bytes: entry.source.size, ..Copied::default() };
        return Ok(Opened::Done(Written { moved: copied.into(), lacking }));
    }
    let made_of = match old.filter(|_| source.to_patch().is_some()) {
        None => None,
        Some(old) => match PatchTurn::take(&entry.node.run) {
            Some(turn) => Some(Box::new(MadeOf::new(run, entry, old, turn)?)),
            None => return make_alone(worker, job, &source, &old, staged),
        },
    };
    preallocate(run, entry, staged.file())?;
    staged
        .file()
        .set_len(entry.source.size)
        .map_err(|error| entry.target_fault(Verb::SetLength, &error))?;
    Ok(Opened::Both { source, staged: Box::new(staged), made_of })
}

/// Makes a file of an old one on this worker: enough others are being made by many.
fn make_alone(
    worker: &mut Worker<'_>,
    job: &FileJob,
    source: &SourceFile,
    old: &OldFile,
    mut staged: Staged,
) -> Result<Opened, Problem> {
    let moved = match make_of(worker, job, source, old, staged.file()) {
        Ok(moved) => moved,
        Err(problem) => {
            partial::keep(worker.run, &job.entry, staged, &problem, None);
            return Err(problem);
        }
    };
    let lacking = staged.complete(worker.run, &job.entry, source)?;
    Ok(Opened::Done(Written { moved, lacking }))
}

impl MadeOf {
    fn new(run: &Run, entry: &Entry, old: OldFile, turn: PatchTurn) -> Result<Self, Problem> {
        let patching = Patching::new(run, entry, old.bytes, Update::Apart)?;
        let steps = Steps::of(patching.plan());
        Ok(Self { old, patching, steps, _turn: turn })
    }
}

/// Begins to compare a big file with the destination's.
pub(crate) fn begin_compare(
    worker: &mut Worker<'_>,
    mut entry: Entry,
    source: SourceFile,
    target: File,
) {
    let node = Arc::clone(&entry.node);
    node.hold();
    entry.segment = node.run.log.open(entry.segment);
    let size = entry.source.size;
    start(worker, node, source, size, Work::Compare { entry, target });
}

fn start(worker: &mut Worker<'_>, node: Arc<Node>, source: SourceFile, size: u64, work: Work) {
    let runners = runners(worker, size.div_ceil(RANGE_BYTES));
    let big = Arc::new(BigFile {
        node,
        source,
        size,
        work: RwLock::new(Some(work)),
        ranges: Ranges::of(size),
        runners: AtomicUsize::new(runners),
        written_bytes: AtomicU64::new(0),
        paced_bytes: AtomicU64::new(0),
        differs: AtomicBool::new(false),
        problem: Mutex::new(None),
    });
    for _ in 1..runners {
        worker.spawn_long_first(Task::Range(Arc::clone(&big)));
    }
    run_range(worker, &big);
}

/// As many runners as are of use for so much to do.
fn runners(worker: &Worker<'_>, steps: u64) -> usize {
    let steps = usize::try_from(steps).unwrap_or(usize::MAX);
    worker.active_workers().clamp(1, steps.max(1))
}

/// Takes ranges until none is left.
pub(crate) fn run_range(worker: &mut Worker<'_>, big: &Arc<BigFile>) {
    loop {
        take_all(worker, big);
        if big.runners.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // Nobody else is at work on it.
        let Some(steps) = big.begin_next_round() else { return finish(worker, big) };
        let runners = runners(worker, steps);
        big.runners.store(runners, Ordering::Release);
        for _ in 1..runners {
            worker.spawn_long_first(Task::Range(Arc::clone(big)));
        }
    }
}

fn take_all(worker: &mut Worker<'_>, big: &BigFile) {
    let work = big.work.read();
    let Some(work) = &*work else { return };
    while let Some(claim) = big.claim(work) {
        let result = match (work, claim) {
            (Work::Copy(copying), Claim::Range(range)) => copy_range(worker, big, copying, range),
            (Work::Copy(copying), Claim::Step(step)) => take_step(worker, big, copying, step),
            (Work::Compare { entry, target }, Claim::Range(range)) => {
                compare_range(worker, big, entry, target, range)
            }
            (Work::Compare { .. }, Claim::Step(_)) => Ok(()),
        };
        if let Err(problem) = result {
            big.problem.lock().get_or_insert(problem);
            big.stop(work);
        }
    }
}

fn take_step(
    worker: &mut Worker<'_>,
    big: &BigFile,
    Copying { job, staged, made_of, .. }: &Copying,
    step: Step,
) -> Result<(), Problem> {
    let Some(MadeOf { old, patching, .. }) = made_of.as_deref() else { return Ok(()) };
    worker.run.ending.go_on().map_err(|_| Problem::Stopped)?;
    let sides = Sides { job, source: &big.source, old: &old.file, target: staged.file() };
    match step {
        Step::Sign(piece) => patching.sign(worker.run, &sides, piece),
        Step::Patch(part) => {
            let range = part.range.clone();
            let begun = patching.begin(&sides, part);
            patching.finish(worker, &sides, begun)?;
            big.ranges.note_done(range);
        }
    }
    Ok(())
}

fn copy_range(
    worker: &mut Worker<'_>,
    big: &BigFile,
    Copying { job, staged, .. }: &Copying,
    range: Range<u64>,
) -> Result<(), Problem> {
    let (run, entry) = (worker.run, &job.entry);
    let holes = sparse(run, &entry.source);
    let (begin, mut passed) = (range.start, 0);
    let mut pace = |bytes| {
        passed += bytes;
        big.paced_bytes.fetch_add(bytes, Ordering::Relaxed);
        job.pace(run, bytes)
    };
    let copied =
        worker.scratch.copier.copy_range(&big.source, staged.file(), range, holes, &mut pace);
    big.ranges.note_done(begin..begin + passed);
    let copied = copied.map_err(|error| problem(run, entry, error))?;
    if copied.short {
        return Err(Problem::Changed);
    }
    big.written_bytes.fetch_add(copied.written_bytes, Ordering::Relaxed);
    Ok(())
}

fn compare_range(
    worker: &mut Worker<'_>,
    big: &BigFile,
    entry: &Entry,
    target: &File,
    range: Range<u64>,
) -> Result<(), Problem> {
    let unreadable = match compare::same_range(worker, &big.source, target, range) {
        Ok(true) => return Ok(()),
        Ok(false) => None,
        Err(Unsure::Destination(error)) => Some(entry.target_fault(Verb::Read, &error)),
        Err(unsure) => return Err(unsure.problem(entry)),
    };
    let is_first = !big.differs.swap(true, Ordering::Relaxed);
    big.ranges.stop();
    if let (Some(fault), true) = (unreadable, is_first) {
        // It cannot be known to be equal: it is replaced, and its disk is told of.
        worker.run.fault(&mut worker.scratch.totals, fault);
    }
    Ok(())
}

/// Settles a runner that is not begun.
pub(crate) fn give_up(worker: &mut Worker<'_>, big: &BigFile) {
    big.problem.lock().get_or_insert(Problem::Stopped);
    if let Some(work) = &*big.work.read() {
        big.stop(work);
    }
    if big.runners.fetch_sub(1, Ordering::AcqRel) == 1 {
        finish(worker, big);
    }
}

/// Finishes the file when the last runner has ended.
fn finish(worker: &mut Worker<'_>, big: &BigFile) {
    let problem = big.problem.lock().take();
    let Some(work) = big.work.write().take() else { return };
    worker.run.progress.end_of_work(big.paced_bytes.load(Ordering::Relaxed));
    match work {
        Work::Copy(copying) => end_copy(worker, big, copying, problem),
        Work::Compare { entry, .. } => {
            let (node, segment) = (Arc::clone(&entry.node), entry.segment);
            match problem {
                None => compare::go_on(worker, entry, !big.differs.load(Ordering::Relaxed)),
                Some(problem) => compare::give_up(worker, &entry, problem),
            }
            node.run.log.close(segment);
            finalize::settle(worker, node);
        }
    }
}

/// Publishes a big file whose ranges are there.
fn end_copy(worker: &mut Worker<'_>, big: &BigFile, copying: Copying, problem: Option<Problem>) {
    let Copying { job, mut staged, attempt, made_of } = copying;
    let made = made_of.map(|made_of| {
        worker.run.progress.end_of_work(made_of.patching.shown_bytes());
        made_of.patching.moved()
    });
    let result = match problem {
        None => staged.complete(worker.run, &job.entry, &big.source),
        Some(Problem::Changed) => Err(Problem::Changed),
        Some(problem) => {
            // Only what a copy left undone is a part; a copy that failed its check is none.
            let unbroken = big.ranges.unbroken();
            partial::keep(worker.run, &job.entry, *staged, &problem, Some(unbroken));
            return end(worker, &job, Err(problem));
        }
    };
    drop(staged);
    let result = match result {
        Err(Problem::Changed) => return try_again(worker, job, attempt),
        Ok(lacking) => {
            let written_bytes = big.written_bytes.load(Ordering::Relaxed);
            let copied = Copied { read_bytes: big.size, written_bytes, short: false };
            Ok(Written { moved: made.unwrap_or(copied.into()), lacking })
        }
        Err(problem) => Err(problem),
    };
    end(worker, &job, result);
}

/// Tells how a big copy ended and settles its node.
fn end(worker: &mut Worker<'_>, job: &FileJob, result: Result<Written, Problem>) {
    conclude(worker, job, result);
    let run = &job.entry.node.run;
    run.log.close(job.entry.segment);
    finalize::settle(worker, Arc::clone(&job.entry.node));
}
