//! What is counted of a run. `outstanding` and `active` also steer it; the others are read one by one
//! and relaxed.

use std::sync::atomic::{AtomicU64, AtomicUsize};

/// The counters of one run.
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
}
