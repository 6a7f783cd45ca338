//! Which ranges of a big file are left to take, and which were brought over.

use std::collections::BTreeMap;
use std::ops::Range;

use fs::Content;
use parking_lot::Mutex;

use crate::endpoint::SourceFile;

/// What is taken at a time: long enough to stream, short enough that two workers end a big file at
/// about the same moment.
pub(crate) const RANGE_BYTES: u64 = 16 << 20;

/// The ranges of one file, taken by many.
pub(super) struct Ranges {
    size: u64,
    next: Mutex<u64>,
    done: Mutex<Done>,
}

impl Ranges {
    /// All of a file of this size.
    pub(super) fn of(size: u64) -> Self {
        Self { size, next: Mutex::new(0), done: Mutex::default() }
    }

    /// The next range to bring over. With `source`, which may have holes, a long hole is one range,
    /// however long it is.
    pub(super) fn take(&self, source: Option<&SourceFile>) -> Option<Range<u64>> {
        let mut next = self.next.lock();
        let start = *next;
        if start >= self.size {
            return None;
        }
        let mut end = start.saturating_add(RANGE_BYTES);
        if let Some(source) = source {
            // What cannot be asked is found out by whoever reads it.
            match source.first_extent(start..self.size) {
                Ok(Some(extent)) => end = end.max(extent.start / RANGE_BYTES * RANGE_BYTES),
                Err(_) => {}
                Ok(None) => end = self.size,
            }
        }
        let end = end.min(self.size);
        *next = end;
        Some(start..end)
    }

    /// Leaves nothing to take.
    pub(super) fn stop(&self) {
        *self.next.lock() = self.size;
    }

    /// Notes what was brought over.
    pub(super) fn note_done(&self, range: Range<u64>) {
        self.done.lock().add(range);
    }

    /// How many bytes from the start are there without a gap. Ranges are brought over at once, so
    /// that what lies behind the first that was interrupted is of no use to whoever goes on.
    pub(super) fn unbroken(&self) -> u64 {
        self.done.lock().unbroken
    }
}

/// What was brought over: as much as is needed to know where the first gap is.
#[derive(Default)]
struct Done {
    unbroken: u64,
    /// Behind a gap: where each part begins and ends. Parts that touch are one, so that there are
    /// no more of them than there are ranges in work.
    ahead: BTreeMap<u64, u64>,
}

impl Done {
    fn add(&mut self, mut range: Range<u64>) {
        if let Some(end) = self.ahead.remove(&range.end) {
            range.end = end;
        }
        if range.start <= self.unbroken {
            self.unbroken = self.unbroken.max(range.end);
            return;
        }
        let before = self.ahead.range_mut(..range.start).next_back();
        match before.filter(|(_, end)| **end == range.start) {
            Some((_, end)) => *end = range.end,
            None => drop(self.ahead.insert(range.start, range.end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Done, RANGE_BYTES, Ranges};

    #[test]
    fn a_file_is_taken_range_by_range() {
        let ranges = Ranges::of(2 * RANGE_BYTES + 5);
        assert_eq!(ranges.take(None), Some(0..RANGE_BYTES));
        assert_eq!(ranges.take(None), Some(RANGE_BYTES..2 * RANGE_BYTES));
        assert_eq!(ranges.take(None), Some(2 * RANGE_BYTES..2 * RANGE_BYTES + 5));
        assert_eq!(ranges.take(None), None);
        let stopped = Ranges::of(u64::MAX);
        stopped.stop();
        assert_eq!(stopped.take(None), None);
    }

    proptest! {
        #[test]
        fn in_whatever_order_they_are_done_the_first_gap_is_known(
            order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle(),
            lacking in 0..40_u64,
        ) {
            let mut done = Done::default();
            for part in order.into_iter().filter(|part| *part != lacking) {
                done.add(part * 10..part * 10 + 10);
            }
            prop_assert_eq!(done.unbroken, lacking * 10);
            prop_assert!(done.ahead.len() <= 1, "{:?}", done.ahead);
            done.add(lacking * 10..lacking * 10 + 10);
            prop_assert_eq!((done.unbroken, done.ahead.len()), (400, 0));
        }
    }
}
