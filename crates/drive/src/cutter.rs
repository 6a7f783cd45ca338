//! A source cut into buckets, which are handed out while it is still being looked at.
//!
//! Buckets are small at first, so that movers begin at once, and grow with what was found, so that a slot has
//! some sixteen of them in all. The coordinator gives away the heaviest first: the small ones of the beginning
//! are left for the end, when slots wait for each other.

use std::mem;
use std::sync::Arc;

use fleet::amount::{Amount, Caps};
use fleet::cut::Wholes;
use fleet::line::{Line, Span};
use fleet::lister::{Covers, Lister, Refused, Why};
use fleet::pack::{Packer, Room, Shelf};
use fleet::survey::{self, HearFault, survey};
use sched::Cancel;

use crate::bucket::Class;
use crate::lines;

/// A bucket of the smallest size takes a mover far longer than its start, which is 50 ms with rsync: 64 MiB,
/// or 4,000 entries.
const LEAST: Caps = Caps { bytes: 64 << 20, entries: 4000 };

/// Some hours at a gigabit a second: what has to be done again if its mover dies.
const MOST: Caps = Caps { bytes: 64 << 30, entries: 1_000_000 };

/// Buckets that a slot has in all. Measured by simulation: with 16 the last slot ends 6 % after the ideal, and
/// with more no sooner.
const BUCKETS_PER_SLOT: u64 = 16;

/// A bucket that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutBucket {
    /// Whether its mover goes down into directories.
    pub class: Class,
    /// How much it is.
    pub amount: Amount,
    /// What it holds, as [`lines`] has it.
    pub lines: Vec<u8>,
}

/// What is known when all was cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The directories whose content is in more than one bucket, or in one that does not go down, as [`lines`]
    /// has them.
    pub lines: Vec<u8>,
    /// How many they are.
    pub directories: u64,
}

/// What a source came to.
#[derive(Debug)]
pub struct CutEnd {
    /// All of it.
    pub total: Amount,
    /// Directories that no mover has to itself.
    pub split: Split,
    /// Faults that were told: something of the source is in no bucket.
    pub faults: u64,
    /// Directories of snapshots that were left out.
    pub snapshots: u64,
}

/// Why cutting was given up.
#[derive(Debug, thiserror::Error)]
pub enum CutError<E> {
    /// The source cannot be told.
    #[error("{}", .0.sentence)]
    Refused(Refused),
    /// A bucket was not taken.
    #[error(transparent)]
    NotTaken(E),
}

/// How large buckets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Slots that they are for.
    pub slots: u32,
    /// The most that one may hold, where the user has said so.
    pub most: Option<Caps>,
}

impl Room for Size {
    fn caps(&self, known: Amount) -> Caps {
        if let Some(caps) = self.most {
            return caps;
        }
        let share = BUCKETS_PER_SLOT * u64::from(self.slots.max(1));
        Caps {
            bytes: (known.bytes / share).clamp(LEAST.bytes, MOST.bytes),
            entries: (known.entries / share).clamp(LEAST.entries, MOST.entries),
        }
    }
}

/// Cuts what a lister tells. Each bucket is given to `take` as soon as it is full, from any thread, one at a
/// time.
///
/// Fails when the source cannot be told, when a bucket is not taken, or when it is stopped.
pub fn cut<L: Lister, E: Send + 'static>(
    lister: &Arc<L>,
    settings: survey::Settings,
    size: Size,
    take: impl FnMut(CutBucket) -> Result<(), E> + Send + 'static,
    hear_fault: HearFault,
    cancel: &Cancel,
) -> Result<CutEnd, CutError<E>> {
    let wholes = match lister.covers() {
        Covers::Tree if !settings.needs_leaves => Wholes::Allowed,
        // More may lie in a directory than is meant.
        Covers::Tree | Covers::Told => Wholes::Never,
    };
    let stop = cancel.child();
    let taker = Taker { take, split: Split::default() };
    let packer = Arc::new(Packer::new(size, wholes, taker, stop.clone()));
    let surveyed = survey(lister, settings, Arc::clone(&packer), hear_fault, &stop);
    let Some(packer) = Arc::into_inner(packer) else {
        let sentence = "a bug of lanesync: a survey has not let go of its buckets".to_owned();
        return Err(CutError::Refused(Refused { why: Why::Internal, sentence }));
    };
    let (taker, taken) = packer.finish(surveyed.as_ref().ok().map(|surveyed| &surveyed.root));
    taken.map_err(CutError::NotTaken)?;
    let surveyed = surveyed.map_err(|unfinished| CutError::Refused(unfinished.why))?;
    Ok(CutEnd {
        total: surveyed.root.total,
        split: taker.split,
        faults: surveyed.faults,
        snapshots: surveyed.snapshots,
    })
}

/// Gives buckets on.
struct Taker<F> {
    take: F,
    split: Split,
}

#[derive(Debug, Default)]
struct Filling {
    lines: Vec<u8>,
    class: Option<Class>,
}

impl<E: Send + 'static, F: FnMut(CutBucket) -> Result<(), E> + Send + 'static> Shelf for Taker<F> {
    type Bucket = Filling;
    type Error = E;

    fn begin(&mut self, _number: u64) -> Result<Filling, E> {
        Ok(Filling::default())
    }

    fn add(&mut self, bucket: &mut Filling, line: &Line<'_>) -> Result<(), E> {
        if line.span == Span::Alone {
            lines::put(&mut self.split.lines, line);
            self.split.directories += 1;
        }
        bucket.class = bucket.class.or(Class::of(line.span));
        lines::put(&mut bucket.lines, line);
        Ok(())
    }

    fn hand_out(&mut self, mut bucket: Filling, amount: Amount) -> Result<(), E> {
        let lines = mem::take(&mut bucket.lines);
        (self.take)(CutBucket { class: bucket.class.unwrap_or(Class::Deep), amount, lines })
    }
}

#[cfg(test)]
mod tests;
