//! Gives what is ready to slots that are free, and ends the run when nothing is left.

use crate::bucket::{BucketId, Epoch, Lease, StationId};
use crate::journal::record::{Record, Step};

use super::bucket::Fate;
use super::event::{Command, GivenWork, Told, Totals};
use super::finishing::Deleting;
use super::{Coordinator, Leased, Phase};

impl Coordinator {
    /// Does what can be done now.
    pub(super) fn go_on(&mut self, out: &mut Vec<Command>) {
        match self.phase {
            Phase::Moving => {
                while let Some(station) = self.free_slot() {
                    let Some(bucket) = self.next_bucket() else { break };
                    self.give_bucket(station, bucket, out);
                }
                self.finish(out);
            }
            Phase::Ending { .. } if self.leases.is_empty() => self.end(out),
            Phase::Ending { .. } | Phase::Over => {}
        }
    }

    /// A station that can take a lease now.
    fn free_slot(&self) -> Option<StationId> {
        let running = self.leases.len();
        let is_admitted = self.gate.admits(self.now, running) && self.room.admits(running);
        is_admitted.then(|| self.stations.freest()).flatten()
    }

    /// The next bucket. Those that were set apart come when nothing else is open.
    fn next_bucket(&mut self) -> Option<BucketId> {
        while let Some(bucket) = self.queue.pop() {
            if self.buckets.fate(bucket) == Fate::Waiting {
                return Some(bucket);
            }
        }
        let are_alone = self.cut.is_some() && self.buckets.open as usize == self.queue.apart();
        are_alone.then(|| self.queue.pop_apart()).flatten()
    }

    fn give_bucket(&mut self, station: StationId, bucket: BucketId, out: &mut Vec<Command>) {
        self.finishing.undo();
        self.buckets.pass(bucket, Fate::Leased);
        let work = GivenWork::Bucket(self.buckets.part(bucket));
        self.give(station, bucket, self.buckets.tries(bucket), work, out);
    }

    fn give(
        &mut self,
        station: StationId,
        bucket: BucketId,
        tries: u16,
        work: GivenWork,
        out: &mut Vec<Command>,
    ) {
        self.epoch = Epoch(self.epoch.0 + 1);
        let lease = Lease { bucket, epoch: self.epoch };
        let (epoch, since) = (self.epoch, self.now);
        let leased =
            Leased { epoch, station, since, is_up: false, done: fleet::amount::Amount::default() };
        self.leases.insert(bucket, leased);
        self.stations.take(station);
        self.gate.begin();
        self.room.begin(lease);
        out.push(Command::Give { station, lease, tries, work });
    }

    /// When all buckets are over: gives what only the whole can do, alone, or ends the run.
    fn finish(&mut self, out: &mut Vec<Command>) {
        let Some(cut) = self.cut.filter(|_| self.buckets.open == 0 && self.leases.is_empty())
        else {
            return;
        };
        let directories = self.settings.directories && !self.buckets.is_empty();
        let Some(step) = self.finishing.next(directories, self.may_delete()) else {
            if self.settings.deleting != Deleting::No && !self.may_delete() {
                self.tally.codes.note(23);
                out.push(Command::Tell(Told::DeletionsKept));
            }
            self.record(Record::Over { code: self.tally.codes.merged() }, out);
            self.end(out);
            return;
        };
        if self.now < self.finishing.not_before || self.now < self.stations.quiet_at() {
            return;
        }
        let Some(station) = self.free_slot() else { return };
        let (bucket, work) = match step {
            Step::Directories => (BucketId::DIRECTORIES, GivenWork::Directories(cut.split)),
            Step::Delete => (BucketId::DELETE, GivenWork::Delete),
        };
        self.give(station, bucket, self.finishing.tries, work, out);
    }

    /// Whether what the source does not have is to go: not if something that is there may have been missed.
    fn may_delete(&self) -> bool {
        match self.settings.deleting {
            Deleting::No => false,
            Deleting::IfWhole => {
                self.buckets.failures == 0 && self.cut.is_some_and(|cut| cut.is_whole)
            }
            Deleting::Always => true,
        }
    }

    fn end(&mut self, out: &mut Vec<Command>) {
        self.phase = Phase::Over;
        out.push(Command::End(Totals {
            code: self.tally.codes.merged(),
            listed: self.buckets.listed,
            done: self.buckets.done,
            failed: self.buckets.failed,
            moved: self.tally.moved,
            deleted: self.tally.deleted,
            zombies: self.tally.zombies,
        }));
    }
}
