//! Counters of what the server did, so that a test can say how hard a tool drove it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a mount has served so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Operations answered, faults included; without releases and forgets.
    pub operations: u64,
    /// The most operations that were being served at one moment; never above the slots.
    pub peak_in_flight: u64,
    /// Operations that failed because a rule said so.
    pub faults: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    operations: AtomicU64,
    in_flight: AtomicU64,
    peak_in_flight: AtomicU64,
    faults: AtomicU64,
}

impl Counters {
    pub(crate) fn enter(&self) -> InFlight<'_> {
        self.operations.fetch_add(1, Ordering::Relaxed);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak_in_flight.fetch_max(now, Ordering::Relaxed);
        InFlight(self)
    }

    pub(crate) fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            operations: self.operations.load(Ordering::Relaxed),
            peak_in_flight: self.peak_in_flight.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
        }
    }
}

/// One operation being served.
pub(crate) struct InFlight<'a>(&'a Counters);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
