//! What is told of a run.

use borsh::{BorshDeserialize, BorshSerialize};
use fleet::amount::Amount;

use crate::bucket::{BucketId, Class};
use crate::lists::ListAt;

/// The form that records have now. Another one is not understood.
pub const FORM: u16 = 1;

/// What is told. Buckets are numbered from 0 in the order in which they are told of.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Record {
    /// A run begins: what was told of buckets before is void.
    Begin(Begin),
    /// Somebody conducts it from here on. Synced before the first lease, so that no epoch comes twice.
    Incarnation {
        /// Rises by one.
        number: u32,
        /// What tells whether the machine was started again since.
        boot: Vec<u8>,
    },
    /// A bucket was cut.
    Cut(Part),
    /// There are no more of them.
    CutEnded(CutEnd),
    /// A bucket is over: all of it was moved, but for what was gone from the source.
    Ended {
        /// Which.
        bucket: BucketId,
        /// What was gone.
        end: Over,
    },
    /// What was not moved of a bucket is in new ones; the rest of it is over.
    Parted {
        /// Which.
        bucket: BucketId,
        /// The new ones.
        into: Vec<Part>,
    },
    /// What only the whole can do was done.
    Finished(Step),
    /// The run has ended, of its own.
    Over {
        /// Its exit code.
        code: u8,
    },
}

/// What a run is of. Another run under its name must be of the same.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Begin {
    /// [`FORM`].
    pub form: u16,
    /// The program that began it.
    pub version: String,
    /// The name of the run.
    pub id: String,
    /// Mover, destination and all options.
    pub job: Mark,
    /// Where the source lies.
    pub source: Mark,
    /// What decides which entries are listed.
    pub listing: Mark,
}

/// What something is, to be compared and to be told.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Mark {
    /// Equal if it is the same.
    pub digest: Vec<u8>,
    /// As a person knows it.
    pub text: String,
}

/// A bucket as it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Part {
    /// Whether its mover goes down into directories.
    pub class: Class,
    /// How much it is.
    pub amount: Amount,
    /// Its lines.
    pub at: ListAt,
}

/// How the cutter ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CutEnd {
    /// Lines of the directories that are in more than one bucket.
    pub split: ListAt,
    /// Whether all of the source was listed, without a fault.
    pub is_whole: bool,
}

/// How a bucket is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Over {
    /// All of it was moved.
    Done,
    /// All but what was gone from the source.
    Vanished,
}

/// What only the whole can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Step {
    /// Owner, mode and times of directories.
    Directories,
    /// What is at the destination and not at the source goes.
    Delete,
}
