//! A big file, in ranges that many workers copy or compare at once.
//!
//! One task opens the file and spawns runners; each runner takes the next range until none is
//! left or something went wrong; the last one to end finishes the file.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use fs::copy::CopyError;
use fs::{Copied, File, Sparse};
use model::Verb;
use parking_lot::{Mutex, RwLock};

use crate::endpoint::SourceFile;
use crate::entries::Entry;
use crate::finalize;
use crate::node::Node;
use crate::task::{Task, Worker};
use crate::transfer::compare::{self, Unsure};
use crate::transfer::partial;
use crate::transfer::ranges::{RANGE_BYTES, Ranges};
use crate::transfer::whole::{
    ATTEMPTS, FileJob, Problem, Staged, Written, changes_always, conclude, open_source, problem,
    sparse,
};

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

    /// The next range. What is compared is read on both sides, holes or not.
    fn claim(&self, work: &Work) -> Option<Range<u64>> {
        let skips_holes = match work {
            Work::Copy(Copying { job, .. }) => {
                sparse(&self.node.run, &job.entry.source) != Sparse::None
            }
            Work::Compare { .. } => false,
        };
        self.ranges.take(skips_holes.then_some(&self.source))
    }
}

/// Begins to copy a big file. Its node is held and its segment is its own.
pub(crate) fn begin_copy(worker: &mut Worker<'_>, job: FileJob) {
    try_copy(worker, job, 1);
}

fn try_copy(worker: &mut Worker<'_>, mut job: FileJob, attempt: u32) {
    match open_copy(worker, &mut job) {
        Ok(Opened::Both { source, staged }) => {
            let node = Arc::clone(&job.entry.node);
            let size = job.entry.source.size;
            start(worker, node, source, size, Work::Copy(Copying { job, staged, attempt }));
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
    },
    /// All was done by sharing data.
    Done(Written),
}

/// Opens both sides, and tries to share data.
fn open_copy(worker: &mut Worker<'_>, job: &mut FileJob) -> Result<Opened, Problem> {
    let run = worker.run;
    let source = open_source(run, &mut worker.scratch.totals, job)?;
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
        return Ok(Opened::Done(Written { copied, lacking }));
    }
    if run.settings.write.preallocate && !entry.source.may_have_holes() {
        staged
            .file()
            .preallocate(entry.source.size)
            .map_err(|error| entry.target_fault(Verb::Preallocate, &error))?;
    }
    staged
        .file()
        .set_len(entry.source.size)
        .map_err(|error| entry.target_fault(Verb::SetLength, &error))?;
    Ok(Opened::Both { source, staged: Box::new(staged) })
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
    let ranges = usize::try_from(size.div_ceil(RANGE_BYTES)).unwrap_or(usize::MAX);
    let runners = worker.active_workers().clamp(1, ranges.max(1));
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

/// Takes ranges until none is left.
pub(crate) fn run_range(worker: &mut Worker<'_>, big: &BigFile) {
    if let Some(work) = &*big.work.read() {
        while let Some(range) = big.claim(work) {
            let result = match work {
                Work::Copy(copying) => copy_range(worker, big, copying, range),
                Work::Compare { entry, target } => compare_range(worker, big, entry, target, range),
            };
            if let Err(problem) = result {
                big.problem.lock().get_or_insert(problem);
                big.ranges.stop();
            }
        }
    }
    leave(worker, big);
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
    big.ranges.stop();
    leave(worker, big);
}

/// Ends a runner; the last one finishes the file.
fn leave(worker: &mut Worker<'_>, big: &BigFile) {
    if big.runners.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
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
    let Copying { job, mut staged, attempt } = copying;
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
            Ok(Written { copied, lacking })
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
