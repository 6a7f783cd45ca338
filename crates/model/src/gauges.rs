//! Counters that the engine raises while it works and the progress display reads.
//!
//! Plain atomics without locks: a reader may see one counter ahead of another, never a torn one.
//! What must add up exactly is in the summary, not here.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    list_finished: AtomicBool,
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

    /// Says that every directory was listed: from now on `listed_entries` does not change.
    pub fn finish_list(&self) {
        self.list_finished.store(true, Ordering::Release);
    }

    /// True when every directory was listed.
    pub fn is_list_finished(&self) -> bool {
        self.list_finished.load(Ordering::Acquire)
    }

    /// Says that all that was listed was looked at and how long that took: from now on
    /// `listed_bytes` does not change either.
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

/// How far one file has come: shared by those who bring it over and who shows it.
#[derive(Debug)]
pub struct FileGauge {
    began: Instant,
    kept_bytes: AtomicU64,
    moved_bytes: AtomicU64,
    took: OnceLock<Duration>,
}

impl FileGauge {
    /// The gauge of a file that begins now.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            kept_bytes: AtomicU64::new(0),
            moved_bytes: AtomicU64::new(0),
            took: OnceLock::new(),
        }
    }

    /// Counts bytes that were there already and stay.
    pub fn keep(&self, bytes: u64) {
        self.kept_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that were brought over.
    pub fn add(&self, bytes: u64) {
        self.moved_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Forgets what was counted: the file is read anew.
    pub fn restart(&self) {
        self.kept_bytes.store(0, Ordering::Relaxed);
        self.moved_bytes.store(0, Ordering::Relaxed);
    }

    /// Says that no more is brought over.
    pub fn finish(&self) {
        self.took.get_or_init(|| self.began.elapsed());
    }

    /// True when no more is brought over.
    pub fn is_finished(&self) -> bool {
        self.took.get().is_some()
    }

    /// How long it took, or has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.took.get().copied().unwrap_or_else(|| self.began.elapsed())
    }

    /// Content brought over, bytes.
    pub fn moved_bytes(&self) -> u64 {
        self.moved_bytes.load(Ordering::Relaxed)
    }

    /// Content that is there, bytes.
    pub fn present_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed) + self.moved_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FileGauge, Gauges};

    #[test]
    fn the_time_of_a_file_stands_still_at_its_end() {
        let gauge = FileGauge::begin();
        gauge.keep(2);
        gauge.add(3);
        assert_eq!((gauge.moved_bytes(), gauge.present_bytes()), (3, 5));
        assert!(!gauge.is_finished());
        gauge.finish();
        let took = gauge.elapsed();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(gauge.elapsed(), took);
        gauge.restart();
        assert_eq!(gauge.present_bytes(), 0);
    }

    #[test]
    fn a_scan_is_over_only_when_it_is_said_to_be() {
        let gauges = Gauges::default();
        assert_eq!(gauges.scan_took(), None);
        gauges.finish_scan(Duration::from_millis(3));
        assert_eq!(gauges.scan_took(), Some(Duration::from_millis(3)));
    }
}
