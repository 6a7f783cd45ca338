//! Who is next: the heaviest bucket, since the light ones fill the end of a run best.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use crate::bucket::BucketId;

use super::event::Millis;

/// Buckets that nobody has.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    ready: BinaryHeap<(u64, Reverse<BucketId>)>,
    timers: BinaryHeap<Reverse<(Millis, BucketId, u64)>>,
    /// Parts of buckets that were tried often enough, and which bucket that was.
    kin: HashMap<BucketId, BucketId>,
    /// Those of them that are ready.
    apart: BTreeMap<BucketId, BTreeSet<BucketId>>,
    /// Buckets of which a part is being tried.
    busy: BTreeSet<BucketId>,
}

impl Queue {
    /// Goes before all others.
    pub(super) const FIRST: u64 = u64::MAX;

    /// Puts a bucket in.
    pub(super) fn push(&mut self, bucket: BucketId, weight: u64) {
        match self.kin.get(&bucket) {
            None => self.ready.push((weight, Reverse(bucket))),
            Some(of) => {
                self.busy.remove(of);
                self.apart.entry(*of).or_default().insert(bucket);
            }
        }
    }

    /// Puts a bucket in at this time.
    pub(super) fn push_at(&mut self, bucket: BucketId, weight: u64, when: Millis) {
        if let Some(of) = self.kin.get(&bucket) {
            self.busy.remove(of);
        }
        self.timers.push(Reverse((when, bucket, weight)));
    }

    /// A bucket that waits for all others, and is tried while no other part of `of` is.
    pub(super) fn set_apart(&mut self, bucket: BucketId, of: BucketId) {
        self.kin.insert(bucket, of);
    }

    /// What a bucket is a part of, if it was set apart.
    pub(super) fn kin(&self, bucket: BucketId) -> Option<BucketId> {
        self.kin.get(&bucket).copied()
    }

    /// How many are set apart and not over.
    pub(super) fn apart(&self) -> usize {
        self.kin.len()
    }

    /// It is over.
    pub(super) fn forget(&mut self, bucket: BucketId) {
        if let Some(of) = self.kin.remove(&bucket) {
            self.busy.remove(&of);
        }
    }

    /// Puts in those whose time has come.
    pub(super) fn ring(&mut self, now: Millis) {
        while let Some(Reverse((when, bucket, weight))) = self.timers.peek().copied() {
            if when > now {
                break;
            }
            self.timers.pop();
            self.push(bucket, weight);
        }
    }

    /// When the next timer rings.
    pub(super) fn rings_at(&self) -> Option<Millis> {
        self.timers.peek().map(|Reverse((when, ..))| *when)
    }

    /// The heaviest that is ready.
    pub(super) fn pop(&mut self) -> Option<BucketId> {
        self.ready.pop().map(|(_, Reverse(bucket))| bucket)
    }

    /// One that was set apart.
    pub(super) fn pop_apart(&mut self) -> Option<BucketId> {
        let (of, ready) = self.apart.iter_mut().find(|(of, _)| !self.busy.contains(of))?;
        let (of, bucket) = (*of, ready.pop_first()?);
        if ready.is_empty() {
            self.apart.remove(&of);
        }
        self.busy.insert(of);
        Some(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [BucketId; 4] = [BucketId(0), BucketId(1), BucketId(2), BucketId(3)];

    #[test]
    fn the_heaviest_is_next_and_the_older_of_two() {
        let mut queue = Queue::default();
        for (id, weight) in IDS.iter().zip([5, 9, 5, Queue::FIRST]) {
            queue.push(*id, weight);
        }
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|id| id.0).collect();
        assert_eq!(order, [3, 1, 0, 2]);
    }

    #[test]
    fn a_timer_rings_when_its_time_has_come() {
        let mut queue = Queue::default();
        queue.push_at(IDS[0], 1, Millis(20));
        queue.push_at(IDS[1], 1, Millis(10));
        assert_eq!(queue.rings_at(), Some(Millis(10)));
        queue.ring(Millis(9));
        assert_eq!(queue.pop(), None);
        queue.ring(Millis(10));
        assert_eq!((queue.pop(), queue.pop()), (Some(IDS[1]), None));
        queue.ring(Millis(30));
        assert_eq!((queue.pop(), queue.rings_at()), (Some(IDS[0]), None));
    }

    #[test]
    fn of_one_bucket_one_part_is_tried_at_a_time() {
        let mut queue = Queue::default();
        for (id, of) in [(IDS[1], IDS[0]), (IDS[2], IDS[0])] {
            queue.set_apart(id, of);
            queue.push(id, 1);
        }
        queue.set_apart(IDS[3], BucketId(9));
        queue.push(IDS[3], 1);
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.pop_apart(), Some(IDS[1]));
        assert_eq!((queue.pop_apart(), queue.pop_apart()), (Some(IDS[3]), None));
        queue.push_at(IDS[1], 1, Millis(5));
        assert_eq!(queue.pop_apart(), Some(IDS[2]));
        queue.ring(Millis(5));
        assert_eq!(queue.apart(), 3);
        queue.forget(IDS[2]);
        assert_eq!((queue.pop_apart(), queue.apart()), (Some(IDS[1]), 2));
    }
}
