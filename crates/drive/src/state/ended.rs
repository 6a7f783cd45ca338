//! What follows when a lease has ended.

use crate::bucket::{BucketId, Lease};
use crate::journal::record::{Over, Part, Record, Step};
use crate::mover::{End, Outcome};

use super::bucket::Fate;
use super::event::{Command, Parting, Told};
use super::gate::Failed;
use super::retry::{self, Then, Tries};
use super::room::{Found, Verdict};
use super::{Coordinator, Leased, Pending, Phase, Settings};

impl Coordinator {
    /// A slot says that a lease has ended.
    pub(super) fn ended(&mut self, lease: Lease, outcome: Outcome, out: &mut Vec<Command>) {
        let Lease { bucket, epoch } = lease;
        if self.leases.get(&bucket).is_none_or(|current| current.epoch != epoch) {
            self.tally.zombies += 1;
            out.push(Command::Tell(Told::Zombie(lease)));
            return;
        }
        let Some(leased) = self.leases.remove(&bucket) else { return };
        self.stations.give_back(leased.station);
        self.tally.moved += outcome.moved;
        self.tally.deleted += outcome.deleted;
        let verdict = self.room.ended(lease, found(&outcome.end));
        let step = match bucket {
            BucketId::DIRECTORIES => Some(Step::Directories),
            BucketId::DELETE => Some(Step::Delete),
            _ => None,
        };
        let tries = self.tries(bucket, step);
        let then = retry::after(&outcome, tries);
        let then = match then {
            Then::Unreached | Then::Busy => self.unreached(then, leased, tries, &outcome, out),
            _ => {
                self.has_been_up(leased, then);
                then
            }
        };
        match then {
            Then::Hopeless => self.hopeless(&outcome, out),
            Then::Full => match verdict {
                Verdict::Over => {
                    self.tally.codes.fatal(11);
                    self.end_early(true, out);
                }
                Verdict::NoMore => out.push(Command::Tell(Told::Full(retry::why(&outcome)))),
                Verdict::Known => {}
            },
            _ => {}
        }
        match step {
            None => self.after_bucket(bucket, then, outcome, out),
            Some(step) => self.after_step(step, then, outcome, out),
        }
    }

    /// How often what has ended was tried.
    fn tries(&self, bucket: BucketId, step: Option<Step>) -> Tries {
        let Settings { retries, deletes_once, .. } = self.settings;
        match step {
            None => Tries {
                before: self.buckets.tries(bucket),
                retries,
                is_apart: self.queue.kin(bucket).is_some(),
            },
            Some(step) => {
                let is_once = step == Step::Delete && deletes_once;
                let retries = if is_once { 0 } else { retries };
                Tries { before: self.finishing.tries, retries, is_apart: false }
            }
        }
    }

    /// Its mover has begun to work, whether that was told or not; or it is gone.
    fn has_been_up(&mut self, leased: Leased, then: Then) {
        match then {
            _ if leased.is_up => {}
            Then::Hopeless | Then::Again { counts: false, .. } => self.gate.leave(),
            _ => self.gate.up(),
        }
    }

    /// A mover did not reach the other end. If those before did not either, nothing is begun for a while.
    fn unreached(
        &mut self,
        then: Then,
        leased: Leased,
        tries: Tries,
        outcome: &Outcome,
        out: &mut Vec<Command>,
    ) -> Then {
        if leased.is_up {
            // It has said that it was up, and that it was not: what it did counts.
            return tries.untold(retry::FAILED_WAIT);
        }
        if then == Then::Busy {
            self.gate.full(self.now, self.leases.len());
        }
        let before = self.gate.opens_at();
        let failed = self.gate.failed(self.now, leased.since);
        let until = self.gate.opens_at();
        if until != before {
            out.push(Command::Tell(Told::Closed { why: retry::why(outcome), until }));
        }
        match failed {
            Failed::TooLong => Then::Hopeless,
            // Its lines may be to blame. But that it was away for a moment is never the last that is known.
            Failed::First(wait) => {
                let counts = then == Then::Unreached && !tries.are_used_up();
                Then::Again { wait, counts }
            }
            Failed::Again => Then::Again { wait: 0, counts: false },
        }
    }

    fn hopeless(&mut self, outcome: &Outcome, out: &mut Vec<Command>) {
        let code = match outcome.end {
            // A remote shell that was never let in.
            End::Lost { .. } => outcome.code.unwrap_or(255),
            _ => retry::code(outcome),
        };
        self.tally.codes.fatal(code);
        out.push(Command::Tell(Told::Hopeless(retry::why(outcome))));
        self.end_early(true, out);
    }

    fn after_bucket(
        &mut self,
        bucket: BucketId,
        then: Then,
        outcome: Outcome,
        out: &mut Vec<Command>,
    ) {
        if let Then::Over(end) = then {
            self.end_bucket(bucket, end);
            self.record(Record::Ended { bucket, end }, out);
            out.push(Command::Tell(Told::Over { bucket, end }));
            return;
        }
        self.buckets.pass(bucket, Fate::Waiting);
        if self.phase != Phase::Moving {
            return;
        }
        let why = retry::why(&outcome);
        match then {
            Then::Again { wait, counts } => self.again(bucket, wait, counts, why, out),
            Then::Full => self.queue.push(bucket, self.weight(bucket)),
            Then::PartFailed => {
                let code = retry::code(&outcome);
                let by = Parting::Failed(outcome.failed);
                self.part(bucket, by, Pending { is_told: true, why, code }, out);
            }
            Then::PartInto => {
                let code = retry::code(&outcome);
                let by = Parting::Into(retry::PARTS);
                self.part(bucket, by, Pending { is_told: false, why, code }, out);
            }
            Then::Fail => {
                let code = retry::code(&outcome);
                let failed = outcome.failed.into_iter().map(Told::EntryFailed);
                out.extend(failed.map(Command::Tell));
                self.fail(bucket, why, code, out);
            }
            // The first two became something else, the others have ended the run or were dealt with.
            Then::Unreached | Then::Busy | Then::Hopeless | Then::Over(_) => {}
        }
    }

    fn again(
        &mut self,
        bucket: BucketId,
        wait: u64,
        counts: bool,
        why: String,
        out: &mut Vec<Command>,
    ) {
        if counts {
            self.buckets.tried(bucket);
        }
        let not_before = self.now.after(wait);
        let weight = self.weight(bucket);
        if wait == 0 {
            self.queue.push(bucket, weight);
        } else {
            self.queue.push_at(bucket, weight, not_before);
        }
        out.push(Command::Tell(Told::Again { bucket, why, not_before }));
    }

    fn part(&mut self, bucket: BucketId, by: Parting, why: Pending, out: &mut Vec<Command>) {
        self.buckets.pass(bucket, Fate::Parting);
        self.parting.insert(bucket, why);
        let Part { class, at, .. } = self.buckets.part(bucket);
        out.push(Command::Part { bucket, at, class, by });
    }

    fn fail(&mut self, bucket: BucketId, why: String, code: u8, out: &mut Vec<Command>) {
        self.tally.codes.note(code);
        self.buckets.fail(bucket);
        self.queue.forget(bucket);
        let at = self.buckets.part(bucket).at;
        out.push(Command::Tell(Told::Failed { bucket, at, why }));
    }

    /// The lines of a bucket are in new ones.
    pub(super) fn parted(&mut self, bucket: BucketId, mut into: Vec<Part>, out: &mut Vec<Command>) {
        let Some(Pending { is_told, why, code }) = self.parting.remove(&bucket) else { return };
        let before = self.buckets.tries(bucket);
        let kin = self.queue.kin(bucket);
        if into.is_empty() {
            let tries = Tries { before, retries: self.settings.retries, is_apart: kin.is_some() };
            self.buckets.pass(bucket, Fate::Waiting);
            match (is_told, tries.untold(retry::FAILED_WAIT)) {
                (true, Then::Again { wait, counts }) => {
                    self.again(bucket, wait, counts, why, out);
                }
                _ => self.fail(bucket, why, code, out),
            }
            return;
        }
        let tries = if is_told { before.saturating_add(1) } else { 0 };
        settle(self.buckets.part(bucket), is_told, &mut into);
        let parts = self.buckets.divide(bucket, &mut into, tries);
        self.queue.forget(bucket);
        let of = if is_told { kin } else { Some(kin.unwrap_or(bucket)) };
        let not_before = self.now.after(retry::FAILED_WAIT);
        for part in parts {
            if let Some(of) = of {
                self.queue.set_apart(part, of);
            }
            let weight = self.weight(part);
            if is_told {
                self.queue.push_at(part, weight, not_before);
                out.push(Command::Tell(Told::Again { bucket: part, why: why.clone(), not_before }));
            } else {
                self.queue.push(part, weight);
            }
        }
        self.record(Record::Parted { bucket, into }, out);
    }

    /// What only the whole can do was tried. Entries that failed there are not tried again: that would be all
    /// of it once more.
    fn after_step(&mut self, step: Step, then: Then, outcome: Outcome, out: &mut Vec<Command>) {
        let is_partial = matches!(outcome.end, End::Partial { .. });
        let fault = match then {
            Then::Over(end) => {
                if end == Over::Vanished {
                    self.tally.codes.note(24);
                }
                self.record(Record::Finished(step), out);
                None
            }
            Then::Again { wait, counts } if !is_partial => {
                self.finishing.tries += u16::from(counts);
                self.finishing.not_before = self.now.after(wait);
                return;
            }
            Then::Full | Then::Unreached | Then::Busy | Then::Hopeless => return,
            Then::Again { .. } | Then::PartFailed | Then::PartInto | Then::Fail => {
                self.tally.codes.note(retry::code(&outcome));
                let why = retry::why(&outcome);
                let failed = outcome.failed.into_iter().map(Told::EntryFailed);
                out.extend(failed.map(Command::Tell));
                Some(why)
            }
        };
        self.finishing.end(step);
        out.push(Command::Tell(Told::Finished { step, fault }));
    }
}

/// What a mover has found out of the room at the destination.
fn found(end: &End) -> Found {
    match end {
        End::Full(_) => Found::Full,
        End::Done | End::Vanished | End::Partial { .. } | End::Lost { was_up: true, .. } => {
            Found::Some
        }
        End::Lost { was_up: false, .. } | End::Busy(_) | End::Hopeless(_) | End::Stopped => {
            Found::Nothing
        }
    }
}

/// Parts of all of a bucket come to all of it: what a directory has below it is not in its line.
fn settle(whole: Part, is_told: bool, into: &mut [Part]) {
    if is_told {
        return;
    }
    let mut rest = whole.amount;
    for part in into.iter() {
        rest.entries = rest.entries.saturating_sub(part.amount.entries);
        rest.bytes = rest.bytes.saturating_sub(part.amount.bytes);
    }
    if let Some(first) = into.first_mut() {
        first.amount += rest;
    }
}
