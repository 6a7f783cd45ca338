//! The units that the scheduler runs, and how each hands on what it finds.
//!
//! Work goes depth first: a task that has more to do spawns its own continuation, which another
//! worker may steal, and goes down itself. So what is held at any time grows with the depth of
//! the tree and the number of workers, not with the size of the tree.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use model::Gauges;
use sched::Context;

use crate::delete::later::Deletions;
use crate::hard_links::{Group, Incomplete};
use crate::names::{AlsoIn, Names};
use crate::node::Node;
use crate::order::SegmentId;
use crate::parked::Parked;
use crate::run::Run;
use crate::scratch::Scratch;
use crate::transfer::LongFile;
use crate::transfer::big::BigFile;
use crate::transfer::partial::Waiting;
use crate::{delete, descend, entries, finalize, hard_links, newcomer, scan, transfer};

/// The names found in one directory, shared by the tasks that go through them.
pub(crate) struct Found {
    pub(crate) names: Names,
    /// Directories that further layers have too, by name.
    pub(crate) also_in: Vec<AlsoIn>,
    /// The first directory that the source was not asked to begin with.
    pub(crate) begun: AtomicUsize,
}

impl Found {
    /// The further layers that have a directory.
    pub(crate) fn also_in(&self, name: &[u8]) -> impl Iterator<Item = &AlsoIn> {
        let first = self.also_in.partition_point(|other| *other.name < *name);
        self.also_in[first..].iter().take_while(move |other| *other.name == *name)
    }
}

/// Where a task stands in a list of names.
pub(crate) struct Position {
    pub(crate) node: Arc<Node>,
    pub(crate) found: Arc<Found>,
    pub(crate) next: usize,
    /// The segment that holds one child for each batch or directory.
    pub(crate) segment: SegmentId,
}

/// A unit of work.
pub(crate) enum Task {
    /// List a directory and begin with what is in it.
    Expand(Arc<Node>),
    /// Compare and bring over a batch of entries that are not directories.
    Files(Position),
    /// Go down into the next directory.
    Directories(Position),
    /// Bring one long file over.
    Copy(Box<LongFile>),
    /// Compare or copy the next range of a big file.
    Range(Arc<BigFile>),
    /// Bring over an entry that waited for another to be written.
    BringAnew(Box<Parked>),
    /// Bring over a group of hard links whose members are all known.
    Links(Box<Group>),
    /// Bring over groups of hard links of which not all members were found.
    Incomplete(Box<Incomplete>),
    /// Put a complete file that waits into place.
    PutInPlace(Box<Waiting>),
    /// Delete what was put off until all else is done.
    Delete(Box<Deletions>),
}

/// A worker at work on a task.
pub(crate) struct Worker<'a> {
    pub(crate) run: &'a Run,
    pub(crate) scratch: &'a mut Scratch,
    context: &'a Context<'a, Task>,
}

impl Worker<'_> {
    /// Spawns work that continues this one.
    pub(crate) fn spawn(&self, task: Task) {
        self.context.spawn(task);
    }

    /// Spawns long work, to be begun early.
    pub(crate) fn spawn_long(&self, task: Task) {
        self.context.spawn_long(task);
    }

    /// Spawns work that continues long work: it goes before what waits to be begun.
    pub(crate) fn spawn_long_first(&self, task: Task) {
        self.context.spawn_long_first(task);
    }

    /// How much long work waits to be begun.
    pub(crate) fn waiting_long(&self) -> usize {
        self.context.waiting_long()
    }

    /// How many workers may work now.
    pub(crate) fn active_workers(&self) -> usize {
        self.context.active_workers()
    }

    /// Feeds the tuner.
    pub(crate) fn sample(&self, class: Cost, took: std::time::Duration, operations: u32) {
        if matches!(class, Cost::Long) {
            return;
        }
        self.context.sample(sched::Class::new(class as u8), took, operations);
    }

    /// True when no new work is to be begun.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.run.ending.has_begun()
    }
}

/// Classes of operations that cost about the same, for the tuner.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cost {
    /// Two entries looked at and found equal.
    Compare = 0,
    /// A new small file.
    Create = 1,
    /// An entry that is no regular file made, or attributes set.
    Change = 2,
    /// A directory listed.
    List = 3,
    /// A long file, of which nobody learns what an operation costs.
    Long = 4,
}

impl Task {
    fn shared(&self) -> &Arc<Run> {
        match self {
            Self::Expand(node) => &node.run,
            Self::Files(position) | Self::Directories(position) => &position.node.run,
            Self::Copy(file) => &file.parked.node().run,
            Self::Range(big) => &big.node().run,
            Self::BringAnew(parked) => &parked.node().run,
            Self::Links(group) => &group.node().run,
            Self::Incomplete(left) => left.run(),
            Self::PutInPlace(waiting) => &waiting.parked.node().run,
            Self::Delete(deletions) => &deletions.node().run,
        }
    }
}

impl sched::Task for Task {
    fn run(self, context: &Context<'_, Self>) {
        let run = Arc::clone(self.shared());
        let mut scratch = run.scratches.of(context.worker());
        let mut worker = Worker { run: &run, scratch: &mut scratch, context };
        Gauges::set(&run.progress.gauges.workers_busy, context.busy_workers() as u64);
        Gauges::set(&run.progress.gauges.workers_active, context.active_workers() as u64);
        worker.scratch.fit(context.active_workers());
        let Ok(_open_files) = run.budgets.open_files() else {
            return self.give_up(&mut worker);
        };
        match self {
            Self::Expand(node) => {
                scan::expand(&mut worker, node);
                run.progress.end_scan();
            }
            Self::Files(position) => entries::run(&mut worker, position),
            Self::Directories(position) => descend::run(&mut worker, position),
            Self::Copy(file) => transfer::run_long(&mut worker, *file),
            Self::Range(big) => transfer::big::run_range(&mut worker, &big),
            Self::BringAnew(parked) => newcomer::run(&mut worker, *parked),
            Self::Links(group) => hard_links::run(&mut worker, *group),
            Self::Incomplete(left) => hard_links::run_incomplete(&mut worker, left),
            Self::PutInPlace(waiting) => transfer::partial::run(&mut worker, *waiting),
            Self::Delete(deletions) => delete::later::run(&mut worker, *deletions),
        }
    }

    fn abandon(self, context: &Context<'_, Self>) {
        let run = Arc::clone(self.shared());
        let mut scratch = run.scratches.of(context.worker());
        let mut worker = Worker { run: &run, scratch: &mut scratch, context };
        self.give_up(&mut worker);
    }
}

impl Task {
    /// Settles what waits for this task without doing it.
    fn give_up(self, worker: &mut Worker<'_>) {
        match self {
            Self::Expand(node) => {
                worker.run.progress.end_scan();
                worker.run.progress.end_listing();
                crate::telling::conclude_directory(worker, &node);
                worker.run.log.close(node.segment);
                finalize::settle(worker, node);
            }
            Self::Files(position) => {
                worker.run.progress.end_scan();
                worker.run.log.close(position.segment);
                finalize::settle(worker, position.node);
            }
            Self::Directories(position) => {
                worker.run.progress.end_scan();
                worker.run.progress.end_listing();
                worker.run.log.close(position.segment);
                finalize::settle(worker, position.node);
            }
            Self::Copy(file) => file.parked.give_up(worker),
            Self::Range(big) => transfer::big::give_up(worker, &big),
            Self::BringAnew(parked) => parked.give_up(worker),
            Self::Links(group) => hard_links::give_up(worker, *group),
            Self::Incomplete(left) => hard_links::give_up_incomplete(worker, *left),
            Self::PutInPlace(waiting) => transfer::partial::give_up(worker, *waiting),
            Self::Delete(deletions) => delete::later::give_up(worker, *deletions),
        }
    }
}
