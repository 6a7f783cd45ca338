//! Counters that the engine raises while it works and the progress display reads.
//!
//! Plain atomics without locks: a reader may see one counter ahead of another, never a torn one.
//! What must add up exactly is in the summary, not here.
//!
//! A [`Reading`] is what they say at one moment. It can go to another process, which shows it by gauges
//! of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding;

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

/// What the gauges of a run say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reading {
    /// How long the listing took; `None` while it goes on.
    scan_micros: Option<u64>,
    /// Whether every directory was listed.
    is_list_finished: bool,
    done_entries: u64,
    done_bytes: u64,
    transferred_files: u64,
    transferred_bytes: u64,
    listed_entries: u64,
    listed_bytes: u64,
    workers_busy: u64,
    workers_active: u64,
}

impl Gauges {
    /// What they say now.
    pub fn read(&self) -> Reading {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Reading {
            // First of all, so that totals read after them are final.
            scan_micros: self.scan_took().map(micros),
            is_list_finished: self.is_list_finished(),
            // What is done is read before what there is to do, so that it is never more.
            done_entries: read(&self.done_entries),
            done_bytes: read(&self.done_bytes),
            transferred_files: read(&self.transferred_files),
            transferred_bytes: read(&self.transferred_bytes),
            listed_entries: read(&self.listed_entries),
            listed_bytes: read(&self.listed_bytes),
            workers_busy: read(&self.workers_busy),
            workers_active: read(&self.workers_active),
        }
    }

    /// Shows a reading of the gauges of another process. Readings may come out of order, so what only
    /// ever grows does not fall back to an older one.
    pub fn show(&self, reading: &Reading) {
        let raise = |counter: &AtomicU64, value: u64| {
            counter.fetch_max(value, Ordering::Relaxed);
        };
        // The other way round than they are read.
        raise(&self.listed_bytes, reading.listed_bytes);
        raise(&self.listed_entries, reading.listed_entries);
        raise(&self.transferred_bytes, reading.transferred_bytes);
        raise(&self.transferred_files, reading.transferred_files);
        Self::set(&self.done_bytes, reading.done_bytes);
        raise(&self.done_entries, reading.done_entries);
        Self::set(&self.workers_busy, reading.workers_busy);
        Self::set(&self.workers_active, reading.workers_active);
        if reading.is_list_finished {
            self.finish_list();
        }
        if let Some(micros) = reading.scan_micros {
            self.finish_scan(Duration::from_micros(micros));
        }
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

    /// Counts more bytes that were there already, perhaps elsewhere.
    pub fn keep_more(&self, bytes: u64) {
        self.kept_bytes.fetch_add(bytes, Ordering::Relaxed);
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

/// What the gauge of a file says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FileReading {
    elapsed_micros: u64,
    is_finished: bool,
    #[borsh(deserialize_with = "encoding::read_size")]
    kept_bytes: u64,
    #[borsh(deserialize_with = "encoding::read_size")]
    moved_bytes: u64,
}

impl FileReading {
    /// True when no more is brought over.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }
}

impl FileGauge {
    /// What it says now.
    pub fn read(&self) -> FileReading {
        // First of all, so that what is read after it is final.
        let is_finished = self.is_finished();
        FileReading {
            elapsed_micros: u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX),
            is_finished,
            kept_bytes: self.kept_bytes.load(Ordering::Relaxed),
            moved_bytes: self.moved_bytes(),
        }
    }

    /// The gauge of a file that another process brings over.
    pub fn showing(reading: &FileReading) -> Self {
        let elapsed = Duration::from_micros(reading.elapsed_micros);
        let now = Instant::now();
        // A clock that began later than that knows no such moment: what was told counts at the end.
        let gauge = Self { began: now.checked_sub(elapsed).unwrap_or(now), ..Self::begin() };
        gauge.show(reading);
        gauge
    }

    /// Shows a later reading.
    pub fn show(&self, reading: &FileReading) {
        self.kept_bytes.store(reading.kept_bytes, Ordering::Relaxed);
        self.moved_bytes.store(reading.moved_bytes, Ordering::Relaxed);
        if reading.is_finished {
            self.took.get_or_init(|| Duration::from_micros(reading.elapsed_micros));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FileGauge, Gauges};

    #[test]
    fn gauges_show_what_those_of_another_process_say() {
        let theirs = Gauges::default();
        Gauges::set(&theirs.listed_entries, 7);
        Gauges::set(&theirs.done_bytes, 5);
        let early = theirs.read();
        Gauges::set(&theirs.listed_entries, 9);
        Gauges::set(&theirs.done_bytes, 3);
        theirs.finish_list();
        theirs.finish_scan(Duration::from_millis(2));
        let ours = Gauges::default();
        ours.show(&theirs.read());
        assert_eq!(ours.read(), theirs.read());
        ours.show(&early);
        let shown = ours.read();
        assert_eq!((shown.listed_entries, shown.done_bytes), (9, 5));
        assert_eq!(ours.scan_took(), Some(Duration::from_millis(2)));
    }

    #[test]
    fn the_gauge_of_a_file_shows_what_another_process_says() {
        let theirs = FileGauge::begin();
        theirs.keep(2);
        let ours = FileGauge::showing(&theirs.read());
        assert!(!ours.is_finished());
        theirs.add(3);
        theirs.finish();
        ours.show(&theirs.read());
        assert_eq!((ours.present_bytes(), ours.is_finished()), (5, true));
        assert_eq!(ours.read(), theirs.read());
    }

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
