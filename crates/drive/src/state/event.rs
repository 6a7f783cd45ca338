//! What the coordinator hears, and what it has done.

use fleet::amount::Amount;

use crate::bucket::{BucketId, Class, Lease, StationId};
use crate::journal::record::{CutEnd, Over, Part, Record, Step};
use crate::lists::ListAt;
use crate::mover::{FailedEntry, Outcome};

/// Milliseconds since some moment, which is the same for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// So many milliseconds later.
    #[must_use]
    pub fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A bucket was cut, and its lines are kept.
    Cut(Part),
    /// There are no more of them.
    CutEnded(CutEnd),
    /// A station can take leases.
    StationUp {
        /// A number that no other one had.
        station: StationId,
        /// How many at once.
        slots: u32,
    },
    /// A station is gone, and nothing that it says will be believed.
    StationLost(StationId),
    /// The mover of a lease has begun to work.
    Up(Lease),
    /// So much of these leases is done.
    Beat(Vec<(Lease, Amount)>),
    /// A lease has ended.
    Ended {
        /// Which.
        lease: Lease,
        /// How.
        outcome: Outcome,
    },
    /// The answer to [`Command::Part`].
    Parted {
        /// The bucket that was to be parted.
        bucket: BucketId,
        /// What it was parted into; empty if that cannot be done.
        into: Vec<Part>,
    },
    /// The run is to end early.
    Stop(StopWhy),
    /// The journal or the lists cannot be written.
    JournalFull,
    /// The time that [`wake_at`](super::Coordinator::wake_at) has told has come.
    Tick,
}

/// Why a run ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopWhy {
    /// A signal.
    Signal,
    /// The time that it was given is over.
    Time,
    /// Something went wrong outside of the movers; the exit code that this has.
    Fault(u8),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The journal has to tell this. It may be synced later.
    Record(Record),
    /// A slot of a station is to do this.
    Give {
        /// Whose slot.
        station: StationId,
        /// Under which number.
        lease: Lease,
        /// How often it was tried before.
        tries: u16,
        /// What.
        work: GivenWork,
    },
    /// The mover of a lease is to be stopped. It ends as any other.
    Take {
        /// Whose slot.
        station: StationId,
        /// Which lease.
        lease: Lease,
    },
    /// A bucket is to be parted, answered by [`Event::Parted`].
    Part {
        /// Which.
        bucket: BucketId,
        /// Its lines.
        at: ListAt,
        /// Its class, which the parts have too.
        class: Class,
        /// How.
        by: Parting,
    },
    /// Somebody may want to know this.
    Tell(Told),
    /// Nothing more comes.
    End(Totals),
}

/// What a slot is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenWork {
    /// A bucket.
    Bucket(Part),
    /// Owner, mode and times of these directories.
    Directories(ListAt),
    /// What is at the destination and not at the source goes.
    Delete,
}

/// How a bucket is parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Into lines for these entries alone.
    Failed(Vec<FailedEntry>),
    /// Into so many parts at most, if it has more than one line.
    Into(usize),
}

/// What somebody may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A bucket is over.
    Over {
        /// Which.
        bucket: BucketId,
        /// How.
        end: Over,
    },
    /// A bucket is tried again.
    Again {
        /// Which.
        bucket: BucketId,
        /// What went wrong.
        why: String,
        /// Not before this time.
        not_before: Millis,
    },
    /// A bucket is not tried again. Which entries failed is told before, or nobody knows and it is all of it.
    Failed {
        /// Which.
        bucket: BucketId,
        /// Its lines.
        at: ListAt,
        /// What went wrong.
        why: String,
    },
    /// An entry failed, and is not tried again.
    EntryFailed(FailedEntry),
    /// The other end cannot be reached or takes no more: nothing is begun before this time.
    Closed {
        /// What went wrong.
        why: String,
        /// Until when.
        until: Millis,
    },
    /// There is no room at the destination: when all that runs has ended, one is tried.
    Full(String),
    /// Nothing more can be moved.
    Hopeless(String),
    /// What only the whole can do was done, or not.
    Finished {
        /// What.
        step: Step,
        /// What went wrong.
        fault: Option<String>,
    },
    /// Nothing is removed from the destination, since something went wrong before.
    DeletionsKept,
    /// Who had lost a lease has answered.
    Zombie(Lease),
}

/// How a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Its exit code, one of rsync's.
    pub code: u8,
    /// What was listed.
    pub listed: Amount,
    /// Of that, what is over.
    pub done: Amount,
    /// Of that, what is in buckets that failed.
    pub failed: Amount,
    /// What movers have moved, those that failed too.
    pub moved: Amount,
    /// Entries that were removed from the destination.
    pub deleted: u64,
    /// How often an answer came under a number that was not the last one.
    pub zombies: u64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was listed.
    pub listed: Amount,
    /// Whether that is all.
    pub is_listed: bool,
    /// What is over, and what running movers have told.
    pub done: Amount,
    /// What is in buckets that failed.
    pub failed: Amount,
    /// Buckets that are over.
    pub over: u32,
    /// Buckets that failed.
    pub failures: u32,
    /// Buckets that a mover has.
    pub running: u32,
    /// Buckets that nobody has.
    pub waiting: u32,
}
