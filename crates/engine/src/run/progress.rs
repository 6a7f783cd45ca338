//! How far a run is: what its live counters say, and when listing is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use model::Gauges;

/// How far a run is.
pub(crate) struct Progress {
    pub(crate) gauges: Arc<Gauges>,
    began: Instant,
    /// Tasks that may find entries.
    scans: AtomicUsize,
    /// Directories, or lists of directories, that may hold others.
    listings: AtomicUsize,
}

impl Progress {
    pub(super) fn new(gauges: &Arc<Gauges>) -> Self {
        Self {
            gauges: Arc::clone(gauges),
            began: Instant::now(),
            scans: AtomicUsize::new(0),
            listings: AtomicUsize::new(0),
        }
    }

    /// One more task that may find entries.
    pub(crate) fn begin_scan(&self) {
        self.scans.fetch_add(1, Ordering::Relaxed);
    }

    /// A task that may find entries is done; the last one ends the scan.
    pub(crate) fn end_scan(&self) {
        if self.scans.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.gauges.finish_scan(self.began.elapsed());
        }
    }

    /// One more directory, or list of directories, that may hold others.
    pub(crate) fn begin_listing(&self) {
        self.listings.fetch_add(1, Ordering::Relaxed);
    }

    /// One of them was listed or left out; the last one ends the list.
    pub(crate) fn end_listing(&self) {
        if self.listings.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.gauges.finish_list();
        }
    }

    /// Takes back what a file has shown as done while it was in work: from here on it counts as a
    /// whole, or not at all.
    pub(crate) fn end_of_work(&self, paced_bytes: u64) {
        self.gauges.done_bytes.fetch_sub(paced_bytes, Ordering::Relaxed);
    }
}
