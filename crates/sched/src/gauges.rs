//! What a reporter may read of a run while it runs.
//!
//! The counters belong to one run; the handle follows whichever run was started with it last. All
//! are read one by one and relaxed: good for a display, not for decisions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// A handle for reading; put a clone of it into [`Settings`](crate::Settings).
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    current: Arc<Mutex<Arc<Counters>>>,
}

/// The gauges at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Workers that may take tasks now: what the tuner allows.
    pub active_workers: usize,
    /// Workers that run a task now.
    pub busy_workers: usize,
    /// Threads that were ever started; those that are not busy sleep.
    pub started_workers: usize,
    /// Tasks that wait for a worker.
    pub queued_tasks: usize,
}

impl Gauges {
    /// A handle that reads zeros until a run is started with it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of the latest run.
    pub fn read(&self) -> Reading {
        let counters = Arc::clone(&self.current.lock());
        let busy_workers = counters.busy.load(Ordering::Relaxed);
        let outstanding = counters.outstanding.load(Ordering::Relaxed);
        Reading {
            active_workers: counters.active.load(Ordering::Relaxed),
            busy_workers,
            started_workers: counters.started.load(Ordering::Relaxed),
            queued_tasks: outstanding.saturating_sub(busy_workers),
        }
    }

    pub(crate) fn follow(&self, counters: &Arc<Counters>) {
        *self.current.lock() = Arc::clone(counters);
    }
}

/// The counters of one run. `outstanding` and `active` also steer it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Tasks that are queued or running; the run is over when this reaches zero.
    pub(crate) outstanding: AtomicUsize,
    /// Workers with an index below this may take tasks.
    pub(crate) active: AtomicUsize,
    pub(crate) busy: AtomicUsize,
    pub(crate) started: AtomicUsize,
    pub(crate) finished: Finished,
}

/// Sums that each worker adds once, when it ends.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) tasks: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    pub(crate) steals: AtomicU64,
    pub(crate) idle_nanos: AtomicU64,
}
