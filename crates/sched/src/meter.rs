//! What tasks tell of their operations: latencies, by class, one meter per worker.
//!
//! A worker only adds to its own meter and the tuner only empties it, so there is no contention.
//! A sample that falls between two of the tuner's reads is counted in the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A kind of operation together with a size class, so that all operations of a class cost about
/// the same on storage that is not loaded. Classes are compared only with themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(u8);

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = 16;

    /// The class of this number; numbers from [`COUNT`](Self::COUNT) on start again at 0.
    pub const fn new(number: u8) -> Self {
        Self(number % 16)
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Sums over some operations of one class.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) samples: u64,
    pub(crate) operations: u64,
    pub(crate) took: Duration,
}

/// Sums of all classes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) classes: [Sum; Class::COUNT],
}

impl Tally {
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in self.classes.iter_mut().zip(&other.classes) {
            own.samples += other.samples;
            own.operations += other.operations;
            own.took += other.took;
        }
    }

    pub(crate) fn samples(&self) -> u64 {
        self.classes.iter().map(|sum| sum.samples).sum()
    }
}

/// One worker's sums since the tuner last looked.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    classes: [Cells; Class::COUNT],
}

#[derive(Debug, Default)]
struct Cells {
    samples: AtomicU64,
    operations: AtomicU64,
    nanos: AtomicU64,
}

impl Meter {
    pub(crate) fn add(&self, class: Class, took: Duration, operations: u32) {
        let cells = &self.classes[class.index()];
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        cells.samples.fetch_add(1, Ordering::Relaxed);
        cells.operations.fetch_add(u64::from(operations), Ordering::Relaxed);
        cells.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Moves all sums into `tally`.
    pub(crate) fn drain_into(&self, tally: &mut Tally) {
        for (cells, sum) in self.classes.iter().zip(&mut tally.classes) {
            if cells.samples.load(Ordering::Relaxed) == 0 {
                continue;
            }
            sum.samples += cells.samples.swap(0, Ordering::Relaxed);
            sum.operations += cells.operations.swap(0, Ordering::Relaxed);
            sum.took += Duration::from_nanos(cells.nanos.swap(0, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_moves_every_sum_once() {
        let meter = Meter::default();
        meter.add(Class::new(3), Duration::from_millis(4), 2);
        meter.add(Class::new(3), Duration::from_millis(6), 1);
        meter.add(Class::new(19), Duration::from_millis(1), 1);
        let mut tally = Tally::default();
        meter.drain_into(&mut tally);
        meter.drain_into(&mut tally);
        assert_eq!(tally.samples(), 3);
        assert_eq!(tally.classes[3].operations, 4);
        assert_eq!(tally.classes[3].took, Duration::from_millis(11));
    }
}
