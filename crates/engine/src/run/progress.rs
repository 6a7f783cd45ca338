//! How far a run is: what its live counters say, and when listing is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use model::Gauges;

use crate::pass::Turn;

/// How far a run is.
pub(crate) struct Progress {
    pub(crate) gauges: Arc<Gauges>,
    began: Instant,
    /// The first pass is under way, in which entries are counted.
    counts: AtomicBool,
    /// The last pass is under way, at whose end all is known of them.
    is_last: AtomicBool,
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
            counts: AtomicBool::new(true),
            is_last: AtomicBool::new(true),
            scans: AtomicUsize::new(0),
            listings: AtomicUsize::new(0),
        }
    }

    /// Begins a pass over the tree.
    pub(crate) fn begin_pass(&self, turn: Turn, is_last: bool) {
        self.counts.store(turn == Turn::First, Ordering::Relaxed);
        self.is_last.store(is_last, Ordering::Relaxed);
        self.begin_scan();
        self.begin_listing();
    }

    /// Counts entries that were listed; once, however many passes meet them.
    pub(crate) fn count_listed(&self, entries: u64) {
        if self.counts.load(Ordering::Relaxed) {
            Gauges::add(&self.gauges.listed_entries, entries);
        }
    }

    /// One more task that may find entries.
    pub(crate) fn begin_scan(&self) {
        self.scans.fetch_add(1, Ordering::Relaxed);
    }

    /// A task that may find entries is done; the last one ends the scan.
    pub(crate) fn end_scan(&self) {
        let none_is_left = self.scans.fetch_sub(1, Ordering::AcqRel) == 1;
        if none_is_left && self.is_last.load(Ordering::Relaxed) {
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
