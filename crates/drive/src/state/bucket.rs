//! All buckets of a run. There may be a million, so they are small.

use fleet::amount::Amount;

use crate::bucket::{BucketId, Class};
use crate::journal::record::{Over, Part};
use crate::lists::ListAt;

/// What became of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody has it.
    Waiting,
    /// A slot has it.
    Leased,
    /// Its lines are on their way into new ones.
    Parting,
    /// It has been moved.
    Over(Over),
    /// What was not moved of it is in new ones.
    Parted,
    /// It is not tried again.
    Failed,
}

impl Fate {
    /// Whether something is still to be done.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Leased | Self::Parting)
    }
}

/// A bucket, in 48 bytes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    offset: u64,
    entries: u64,
    bytes: u64,
    digest: [u8; 16],
    len: u32,
    tries: u16,
    class: Class,
    fate: Fate,
}

/// All buckets of a run, and what they come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    all: Vec<Bucket>,
    /// What was cut.
    pub(super) listed: Amount,
    /// What is over.
    pub(super) done: Amount,
    /// What is in buckets that failed.
    pub(super) failed: Amount,
    /// How many are open, over, failed.
    pub(super) open: u32,
    pub(super) over: u32,
    pub(super) failures: u32,
}

impl Buckets {
    /// A bucket that the cutter has made.
    pub(super) fn cut(&mut self, part: Part) -> BucketId {
        self.listed += part.amount;
        self.add(part, 0)
    }

    /// The next number; as many buckets fill no memory.
    fn add(&mut self, part: Part, tries: u16) -> BucketId {
        let Part { class, amount, at } = part;
        let id = u32::try_from(self.all.len()).ok().filter(|id| *id < BucketId::DIRECTORIES.0);
        let id = id.expect("four billion buckets take more memory than there is");
        self.all.push(Bucket {
            offset: at.offset,
            entries: amount.entries,
            bytes: amount.bytes,
            digest: at.digest,
            len: at.len,
            tries,
            class,
            fate: Fate::Waiting,
        });
        self.open += 1;
        BucketId(id)
    }

    /// Whether there is such a bucket.
    pub(super) fn has(&self, id: BucketId) -> bool {
        (id.0 as usize) < self.all.len()
    }

    /// True if nothing was cut.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The bucket as it was cut.
    pub(super) fn part(&self, id: BucketId) -> Part {
        let bucket = &self.all[id.0 as usize];
        let Bucket { offset, entries, bytes, len, digest, class, .. } = *bucket;
        Part { class, amount: Amount { entries, bytes }, at: ListAt { offset, len, digest } }
    }

    /// What became of it.
    pub(super) fn fate(&self, id: BucketId) -> Fate {
        self.all[id.0 as usize].fate
    }

    /// How often it was tried and failed.
    pub(super) fn tries(&self, id: BucketId) -> u16 {
        self.all[id.0 as usize].tries
    }

    /// It was tried once more.
    pub(super) fn tried(&mut self, id: BucketId) {
        let tries = &mut self.all[id.0 as usize].tries;
        *tries = tries.saturating_add(1);
    }

    /// It goes from hand to hand.
    pub(super) fn pass(&mut self, id: BucketId, fate: Fate) {
        debug_assert!(fate.is_open() && self.fate(id).is_open(), "{id:?}: {fate:?}");
        self.all[id.0 as usize].fate = fate;
    }

    /// All of it was moved.
    pub(super) fn end(&mut self, id: BucketId, over: Over) {
        self.close(id, Fate::Over(over));
        self.done += self.part(id).amount;
        self.over += 1;
    }

    /// It is not tried again.
    pub(super) fn fail(&mut self, id: BucketId) {
        self.close(id, Fate::Failed);
        self.failed += self.part(id).amount;
        self.failures += 1;
    }

    /// What was not moved of it is in new ones, each of which was tried so often: the rest of it is done.
    /// They come to no more than it, whatever is said of them.
    pub(super) fn divide(&mut self, id: BucketId, into: &mut [Part], tries: u16) -> Vec<BucketId> {
        let mut rest = self.part(id).amount;
        for part in into.iter_mut() {
            part.amount.entries = part.amount.entries.min(rest.entries);
            part.amount.bytes = part.amount.bytes.min(rest.bytes);
            rest = less(rest, part.amount);
        }
        self.close(id, Fate::Parted);
        self.done += rest;
        self.over += 1;
        into.iter().map(|part| self.add(*part, tries)).collect()
    }

    fn close(&mut self, id: BucketId, fate: Fate) {
        debug_assert!(self.fate(id).is_open(), "{id:?}: {fate:?}");
        self.all[id.0 as usize].fate = fate;
        self.open -= 1;
    }

    /// All that became of them, in order.
    #[cfg(test)]
    pub(super) fn fates(&self) -> impl Iterator<Item = (Fate, Amount)> {
        self.all.iter().map(|bucket| {
            let Bucket { fate, entries, bytes, .. } = *bucket;
            (fate, Amount { entries, bytes })
        })
    }
}

/// What is left of `amount`.
fn less(amount: Amount, part: Amount) -> Amount {
    Amount {
        entries: amount.entries.saturating_sub(part.entries),
        bytes: amount.bytes.saturating_sub(part.bytes),
    }
}
