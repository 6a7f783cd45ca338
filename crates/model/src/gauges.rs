//! Counters that the engine raises while it works and the progress display reads.
//!
//! Plain atomics without locks: a reader may see one counter ahead of another, never a torn one.
//! What must add up exactly is in the summary, not here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How far a run has come.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Entries found at the source so far: rsync's file list.
    pub listed_entries: AtomicU64,
    /// Sum of the sizes of the files and symlinks among them, bytes.
    pub listed_bytes: AtomicU64,
    /// Entries of them that need nothing more: equal, finished, skipped or failed.
    pub done_entries: AtomicU64,
    /// Sum of the sizes of those, and what is done of the files in work, bytes. Never above
    /// `listed_bytes` for long.
    pub done_bytes: AtomicU64,
    /// Regular files whose content was transferred.
    pub transferred_files: AtomicU64,
    /// Content transferred, holes and clones counted at their length, bytes.
    pub transferred_bytes: AtomicU64,
    /// Operations in flight.
    pub workers_busy: AtomicU64,
    /// Workers that may work now.
    pub workers_active: AtomicU64,
    scan_micros: AtomicU64,
    scan_finished: AtomicBool,
}

impl Gauges {
    /// Adds to one of the counters.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Sets one of the counters.
    pub fn set(counter: &AtomicU64, value: u64) {
        counter.store(value, Ordering::Relaxed);
    }

    /// Says that the source was listed wholly and how long that took: from now on
    /// `listed_entries` and `listed_bytes` do not change.
    pub fn finish_scan(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.scan_micros.store(micros, Ordering::Relaxed);
        self.scan_finished.store(true, Ordering::Release);
    }

    /// How long the listing took; `None` while it goes on.
    pub fn scan_took(&self) -> Option<Duration> {
        let finished = self.scan_finished.load(Ordering::Acquire);
        finished.then(|| Duration::from_micros(self.scan_micros.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Gauges;

    #[test]
    fn a_scan_is_over_only_when_it_is_said_to_be() {
        let gauges = Gauges::default();
        assert_eq!(gauges.scan_took(), None);
        gauges.finish_scan(Duration::from_millis(3));
        assert_eq!(gauges.scan_took(), Some(Duration::from_millis(3)));
    }
}
