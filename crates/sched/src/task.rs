//! The unit of work, and what it may ask of its worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_deque::Worker as Deque;

use crate::cancel::Cancel;
use crate::meter::{Class, Meter};
use crate::worker::Shared;

/// A piece of work. What follows from it is spawned as further tasks, never waited for.
pub trait Task: Send + Sized + 'static {
    /// Does the work. Ask [`Context::cancelled`] now and then if it takes long.
    fn run(self, cx: &Context<'_, Self>);

    /// Called instead of [`run`](Self::run) for tasks that a cancellation finds in a queue, so that
    /// counts they hold settle. What it spawns is abandoned in turn.
    fn abandon(self, cx: &Context<'_, Self>) {
        let _ = cx;
    }
}

/// The running task's view of its worker.
pub struct Context<'a, T: Task> {
    pub(crate) shared: &'a Shared<T>,
    pub(crate) deque: &'a Deque<T>,
    pub(crate) meter: Option<&'a Meter>,
    pub(crate) index: usize,
}

impl<T: Task> Context<'_, T> {
    /// Puts a task on the worker's own stack: the newest runs first, thieves take the oldest.
    #[inline]
    pub fn spawn(&self, task: T) {
        self.count();
        self.deque.push(task);
        self.shared.crew.announce();
    }

    /// Puts a task on the shared queue for long work. It is taken before all other, oldest first,
    /// but at most half of the active workers (rounded up) run long work while there is other, so
    /// that small work keeps flowing.
    pub fn spawn_long(&self, task: T) {
        self.count();
        self.shared.queues.long.push(task);
        self.shared.crew.announce();
    }

    /// As [`spawn_long`](Self::spawn_long), before all that waits there: for what continues long work
    /// that was begun.
    pub fn spawn_long_first(&self, task: T) {
        self.count();
        self.shared.queues.long.push_first(task);
        self.shared.crew.announce();
    }

    /// How many tasks wait in the shared queue for long work.
    pub fn waiting_long(&self) -> usize {
        self.shared.queues.long.len()
    }

    /// Tells the tuner that `operations` operations of `class` took so long together, one after
    /// the other. Tell it of each operation or small file, not of batches: the tuner needs about
    /// two samples per worker before it moves. Leave out waits for budgets, rate and locks.
    #[inline]
    pub fn sample(&self, class: Class, took: Duration, operations: u32) {
        if let Some(meter) = self.meter {
            meter.add(class, took, operations);
        }
    }

    /// Whether the run was cancelled: one relaxed load.
    #[inline]
    pub fn cancelled(&self) -> bool {
        self.shared.cancel.is_cancelled()
    }

    /// The run's token, for budgets and rate limits.
    pub fn cancel(&self) -> &Cancel {
        &self.shared.cancel
    }

    /// The index of this worker, below the ceiling of [`Workers`](crate::Workers); stable for the
    /// length of the task, so it can choose a buffer.
    pub fn worker(&self) -> usize {
        self.index
    }

    /// How many workers may take tasks now. It moves while the tuner works.
    pub fn active_workers(&self) -> usize {
        self.shared.counters.active.load(Ordering::Relaxed)
    }

    /// How many workers run a task now, this one included.
    pub fn busy_workers(&self) -> usize {
        self.shared.counters.busy.load(Ordering::Relaxed)
    }

    /// Counted before it is pushed: a thief may end it before the spawner goes on.
    fn count(&self) {
        self.shared.counters.outstanding.fetch_add(1, Ordering::Relaxed);
    }
}
