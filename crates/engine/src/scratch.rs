//! What each worker keeps for itself, so that nobody waits for another: its buffer, and its part of
//! the totals.

use fs::Copier;
use model::{Summary, Verdict};
use parking_lot::{Mutex, MutexGuard};

/// What one worker keeps for itself: a buffer and counts.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Its buffer is the only one that the worker keeps: for copying, and in two halves for comparing.
    pub(crate) copier: Copier,
    pub(crate) totals: Summary,
}

/// What all workers together hold of files at a time. Up to 32 workers have all that pays off; with
/// more of them each has less, since they are many where each call takes long and few bytes are on
/// their way at a time.
const FLIGHT_BYTES: usize = 8 << 20;

impl Scratch {
    /// Fits the buffer to the number of workers that may be at work.
    pub(crate) fn fit(&mut self, workers: usize) {
        self.copier.limit_buffer(FLIGHT_BYTES / workers.max(1));
    }
}

/// What all workers of a run keep.
pub(crate) struct Scratches(Vec<Mutex<Scratch>>);

impl Scratches {
    /// For so many workers at most.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Mutex::default()).collect())
    }

    /// What one worker keeps. Only that worker asks, so nobody waits.
    pub(crate) fn of(&self, worker: usize) -> MutexGuard<'_, Scratch> {
        self.0[worker].lock()
    }

    /// Totals so far.
    pub(crate) fn totals(&self) -> Summary {
        let mut all = Summary::default();
        for worker in &self.0 {
            all.merge(&worker.lock().totals);
        }
        all
    }

    /// Keeps of a pass that transfers nothing what it deleted and what failed; the last pass counts
    /// everything else.
    pub(crate) fn keep_only_deletions(&self, before: &Summary) {
        let now = self.totals();
        let mut kept = *before;
        kept.deleted = now.deleted;
        kept.faults = now.faults;
        kept.vanished = now.vanished;
        kept.deletions_skipped = now.deletions_skipped;
        kept.deletions_suppressed = now.deletions_suppressed;
        kept.verdicts.set(Verdict::Deleted, now.verdicts.get(Verdict::Deleted));
        for worker in &self.0 {
            worker.lock().totals = Summary::default();
        }
        self.of(0).totals = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_workers_has_little_in_flight() {
        let mut scratch = Scratch::default();
        let mut held_by_each = |workers| {
            scratch.fit(workers);
            let (left, right) = scratch.copier.halves();
            assert_eq!(left.len(), right.len(), "{workers}");
            left.len() + right.len()
        };
        for workers in [1, 2, 32, 33, 100, 256, 512] {
            let bytes = held_by_each(workers);
            assert!(bytes * workers <= FLIGHT_BYTES, "{workers}");
            assert_eq!(bytes == 256 << 10, workers <= 32, "{workers}");
        }
        assert_eq!(held_by_each(4096), 16 << 10);
    }
}
