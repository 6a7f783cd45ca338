//! The coordinator: which slot moves which bucket, and what follows when it has ended.
//!
//! It has no clock, no process and no disk: it hears of `Event`s and answers with `Command`s, so that all
//! that can go wrong is tried in tests, in made-up time.
//!
//! ```text
//!              Give             Ended
//!   waiting ---------> leased ---------> over, failed
//!      ^                  |
//!      +---- try again ---+---- part ----> parted: what was not moved is in new buckets
//! ```
//!
//! A bucket has one lease at most, and each lease a number of its own, which only rises: what is said under
//! another number is not believed. Where a lease is lost, its bucket waits again; to move it once more costs
//! little, since movers pass over what is there already.
//!
//! When no bucket is open and no lease either, it has done what only the whole can do, and ends the run.

use std::collections::{BTreeMap, HashMap};

use fleet::amount::{Amount, By};

use crate::bucket::{BucketId, Epoch, Lease, StationId};
use crate::ending::Codes;
use crate::journal::record::{CutEnd, Over, Part, Record};

mod bucket;
mod chance;
mod ended;
mod event;
mod finishing;
mod gate;
mod giving;
mod queue;
mod retry;
mod room;
mod station;

pub use event::{Command, Event, GivenWork, Millis, Parting, Reading, StopWhy, Told, Totals};
pub use finishing::Deleting;

#[cfg(test)]
pub(crate) use bucket::Fate;
#[cfg(not(test))]
use bucket::Fate;

use bucket::Buckets;
use finishing::Finishing;
use gate::Gate;
use queue::Queue;
use room::Room;
use station::Stations;

/// An entry weighs as much as so many bytes: a bucket of small files takes long, too.
const WEIGHT: By = By::Cost { bytes_per_entry: 16 << 10 };

/// Epochs of one incarnation.
const EPOCH_BITS: u32 = 40;

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often a bucket is tried again.
    pub retries: u16,
    /// Movers that may start at the same time.
    pub starts: u32,
    /// Whether directories get their attributes once more, after all that lies in them.
    pub directories: bool,
    /// Whether what the source does not have is removed from the destination.
    pub deleting: Deleting,
    /// Whether a deletion that was lost in its midst is not done again: `--max-delete` counts for one process.
    pub deletes_once: bool,
    /// For what is decided by chance.
    pub seed: u64,
}

/// Decides which slot moves which bucket.
#[derive(Clone, Debug)]
pub struct Coordinator {
    settings: Settings,
    now: Millis,
    /// The last that was given.
    epoch: Epoch,
    buckets: Buckets,
    queue: Queue,
    stations: Stations,
    leases: BTreeMap<BucketId, Leased>,
    parting: HashMap<BucketId, Pending>,
    gate: Gate,
    room: Room,
    cut: Option<CutEnd>,
    finishing: Finishing,
    tally: Tally,
    phase: Phase,
}

/// A lease that has not ended.
#[derive(Clone, Copy, Debug)]
struct Leased {
    epoch: Epoch,
    station: StationId,
    since: Millis,
    /// Whether its mover has begun to work.
    is_up: bool,
    done: Amount,
}

/// A bucket that is being parted.
#[derive(Clone, Debug)]
struct Pending {
    /// Whether into entries that are known to have failed.
    is_told: bool,
    why: String,
    code: u8,
}

/// What a run ends with.
#[derive(Clone, Debug, Default)]
struct Tally {
    codes: Codes,
    moved: Amount,
    deleted: u64,
    zombies: u64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Buckets are given.
    Moving,
    /// Nothing is given any more, and what is out is taken back.
    Ending {
        /// Whether the journal can be written.
        tells: bool,
    },
    /// Nothing more comes.
    Over,
}

impl Coordinator {
    /// One that knows of nothing. `incarnation` is one more than that of who conducted the run before: the
    /// journal has it before the first lease is given.
    pub fn new(settings: Settings, incarnation: u32) -> Self {
        Self {
            settings,
            now: Millis::default(),
            epoch: Epoch(u64::from(incarnation) << EPOCH_BITS),
            buckets: Buckets::default(),
            queue: Queue::default(),
            stations: Stations::default(),
            leases: BTreeMap::new(),
            parting: HashMap::new(),
            gate: Gate::new(settings.starts, settings.seed),
            room: Room::Enough,
            cut: None,
            finishing: Finishing::default(),
            tally: Tally::default(),
            phase: Phase::Moving,
        }
    }

    /// Learns what was done before, record by record, before the first event. What has failed is tried again.
    pub fn restore(&mut self, record: &Record) {
        match record {
            Record::Begin(_) => {
                self.buckets = Buckets::default();
                self.queue = Queue::default();
                self.cut = None;
                self.finishing = Finishing::default();
                self.tally = Tally::default();
            }
            Record::Incarnation { .. } | Record::Over { .. } => {}
            Record::Cut(part) => self.cut(*part),
            Record::CutEnded(end) => self.end_cut(*end),
            Record::Ended { bucket, end } => {
                if self.is_open(*bucket) {
                    self.end_bucket(*bucket, *end);
                }
            }
            Record::Parted { bucket, into } => {
                if self.is_open(*bucket) {
                    for id in self.buckets.divide(*bucket, &mut into.clone(), 0) {
                        self.queue.push(id, self.weight(id));
                    }
                }
            }
            Record::Finished(step) => self.finishing.end(*step),
        }
    }

    /// Hears what has happened at `now`, which never goes back, and says what is to be done, in order.
    pub fn on(&mut self, now: Millis, event: Event, out: &mut Vec<Command>) {
        if self.phase == Phase::Over {
            return;
        }
        self.now = self.now.max(now);
        self.queue.ring(self.now);
        match event {
            Event::Cut(part) => {
                self.cut(part);
                self.record(Record::Cut(part), out);
            }
            Event::CutEnded(end) => {
                self.end_cut(end);
                self.record(Record::CutEnded(end), out);
            }
            Event::StationUp { station, slots } => self.stations.up(station, slots),
            Event::StationLost(station) => self.lose(station),
            Event::Up(lease) => self.up(lease),
            Event::Beat(running) => self.beat(&running),
            Event::Ended { lease, outcome } => self.ended(lease, outcome, out),
            Event::Parted { bucket, into } => self.parted(bucket, into, out),
            Event::Stop(why) => {
                self.tally.codes.stopped(match why {
                    StopWhy::Signal => 20,
                    StopWhy::Time => 30,
                    StopWhy::Fault(code) => code,
                });
                self.end_early(true, out);
            }
            Event::JournalFull => {
                self.tally.codes.fatal(11);
                self.end_early(false, out);
            }
            Event::Tick => {}
        }
        self.go_on(out);
    }

    /// When it wants to hear a [`Event::Tick`], if nothing happens before.
    pub fn wake_at(&self) -> Option<Millis> {
        if self.phase != Phase::Moving {
            return None;
        }
        let others = [
            self.gate.opens_at(),
            self.gate.is_busy_until(),
            self.stations.quiet_at(),
            self.finishing.not_before,
        ];
        let others = others.into_iter().filter(|at| *at > self.now);
        others.chain(self.queue.rings_at()).min()
    }

    /// How far it is.
    pub fn reading(&self) -> Reading {
        let buckets = &self.buckets;
        let (mut running, mut done) = (0, buckets.done);
        for (id, lease) in self.leases.iter().filter(|(id, _)| buckets.has(**id)) {
            running += 1;
            done += at_most(lease.done, buckets.part(*id).amount);
        }
        Reading {
            listed: buckets.listed,
            is_listed: self.cut.is_some(),
            done,
            failed: buckets.failed,
            over: buckets.over,
            failures: buckets.failures,
            running,
            waiting: buckets.open - running,
        }
    }

    fn cut(&mut self, part: Part) {
        let id = self.buckets.cut(part);
        self.queue.push(id, self.weight(id));
    }

    fn end_cut(&mut self, end: CutEnd) {
        if !end.is_whole {
            self.tally.codes.note(23);
        }
        self.cut = Some(end);
    }

    fn end_bucket(&mut self, bucket: BucketId, end: Over) {
        if end == Over::Vanished {
            self.tally.codes.note(24);
        }
        self.buckets.end(bucket, end);
        self.queue.forget(bucket);
    }

    /// A station is gone: what it had is given to others before all else.
    fn lose(&mut self, station: StationId) {
        self.stations.lost(self.now, station);
        let lost: Vec<(BucketId, Leased)> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.station == station)
            .map(|(id, lease)| (*id, *lease))
            .collect();
        for (bucket, Leased { epoch, is_up, .. }) in lost {
            self.leases.remove(&bucket);
            if !is_up {
                self.gate.leave();
            }
            let _it_makes_no_room = self.room.ended(Lease { bucket, epoch }, room::Found::Nothing);
            if self.buckets.has(bucket) {
                self.buckets.pass(bucket, Fate::Waiting);
                self.queue.push(bucket, Queue::FIRST);
            }
        }
    }

    fn up(&mut self, lease: Lease) {
        let current = self.leases.get_mut(&lease.bucket);
        if let Some(current) = current.filter(|it| it.epoch == lease.epoch && !it.is_up) {
            current.is_up = true;
            self.gate.up();
        }
    }

    fn beat(&mut self, running: &[(Lease, Amount)]) {
        for (lease, done) in running {
            let current = self.leases.get_mut(&lease.bucket);
            if let Some(current) = current.filter(|it| it.epoch == lease.epoch) {
                current.done = *done;
            }
        }
    }

    /// Takes back what is out, and gives nothing more.
    fn end_early(&mut self, tells: bool, out: &mut Vec<Command>) {
        if self.phase == Phase::Moving {
            for (bucket, Leased { epoch, station, .. }) in &self.leases {
                let lease = Lease { bucket: *bucket, epoch: *epoch };
                out.push(Command::Take { station: *station, lease });
            }
        }
        let tells = tells && self.phase != Phase::Ending { tells: false };
        self.phase = Phase::Ending { tells };
    }

    /// Whether there is such a bucket, and something to do for it.
    fn is_open(&self, bucket: BucketId) -> bool {
        self.buckets.has(bucket) && self.buckets.fate(bucket).is_open()
    }

    fn weight(&self, bucket: BucketId) -> u64 {
        WEIGHT.weight(self.buckets.part(bucket).amount)
    }

    fn record(&self, record: Record, out: &mut Vec<Command>) {
        if self.phase != (Phase::Ending { tells: false }) {
            out.push(Command::Record(record));
        }
    }

    /// What became of all buckets.
    #[cfg(test)]
    pub(crate) fn fates(&self) -> Vec<(Fate, Amount)> {
        self.buckets.fates().collect()
    }
}

fn at_most(amount: Amount, most: Amount) -> Amount {
    Amount { entries: amount.entries.min(most.entries), bytes: amount.bytes.min(most.bytes) }
}

#[cfg(test)]
mod tests;
