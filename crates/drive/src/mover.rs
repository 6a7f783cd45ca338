//! The seam to who does a bucket: rsync, rclone or our own engine.

use fleet::amount::Amount;
use sched::Cancel;

use crate::bucket::{Class, Lease};

/// Moves what the lines of a bucket name. Many run at once, on buckets that have no line in common.
pub trait Mover: Send + Sync + 'static {
    /// Looks whether it can do the job at all. Called before the first bucket.
    ///
    /// Fails with why no bucket could be moved.
    fn prepare(&self, cancel: &Cancel) -> Result<(), Unfit>;

    /// Moves what the lines name, and nothing else. After a cancel it is back within 5 s, and nothing of it is
    /// still running.
    fn run(&self, attempt: &Try<'_>, hear: &dyn Hear, cancel: &Cancel) -> Outcome;

    /// What a person would type into a shell to have the same done, the list being on standard input.
    fn shown(&self, attempt: &Try<'_>) -> String;
}

/// What a mover is to do.
#[derive(Clone, Copy, Debug)]
pub struct Try<'a> {
    /// What is moved.
    pub work: Work<'a>,
    /// By which lease.
    pub lease: Lease,
    /// How often it was tried before.
    pub tries: u16,
}

/// What is moved.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// What the lines of a bucket name.
    Bucket {
        /// As [`lines`](crate::lines) has them.
        lines: &'a [u8],
        /// Whether it goes down into directories.
        class: Class,
        /// How much that is.
        amount: Amount,
    },
    /// Owner, mode and times of directories, after all that lies in them has been moved.
    Directories {
        /// As [`lines`](crate::lines) has them.
        lines: &'a [u8],
    },
    /// What is at the destination and not at the source is removed. Attributes of directories that are at both
    /// are set, and nothing else.
    Delete,
}

/// Who hears of what a mover does, from any thread.
pub trait Hear: Send + Sync {
    /// It has begun to work: whatever goes wrong from now on is not for want of a connection.
    fn is_up(&self);

    /// So much of this try is done; it never falls.
    fn progress(&self, done: Amount);

    /// What became of an entry.
    fn entry(&self, verdict: &EntryVerdict<'_>);

    /// A line of what it says, without its end.
    fn line(&self, stream: Stream, text: &[u8]);
}

/// Where a mover has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryVerdict<'a> {
    /// Its path below the root.
    pub path: &'a [u8],
    /// What became of it.
    pub fate: Fate<'a>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It was made, or brought up to date: what changed, in the letters of rsync's `--itemize-changes`.
    Moved {
        /// The letters.
        item: &'a [u8],
        /// Its size in bytes.
        bytes: u64,
    },
    /// It was removed from the destination.
    Deleted,
    /// It was not moved: what the mover says.
    Failed(&'a [u8]),
    /// It was gone from the source.
    Vanished,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How.
    pub end: End,
    /// What was moved by it, as far as the mover tells.
    pub moved: Amount,
    /// Entries of which the mover has said by name that they failed, at most [`Outcome::FAILED_MAX`].
    pub failed: Vec<FailedEntry>,
    /// Entries that were removed.
    pub deleted: u64,
    /// Its exit code, where it has one.
    pub code: Option<u8>,
}

impl Outcome {
    /// Failed entries that are told one by one; with more, the bucket is tried as a whole.
    pub const FAILED_MAX: usize = 1000;
}

/// An entry that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEntry {
    /// Its path below the root.
    pub path: Vec<u8>,
    /// What the mover says.
    pub why: String,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it was moved.
    Done,
    /// All of it but for what was gone from the source.
    Vanished,
    /// Some entries failed. If `is_told`, [`Outcome::failed`] has all of them.
    Partial {
        /// Whether it is known which.
        is_told: bool,
    },
    /// The mover died, or lost the other end.
    Lost {
        /// What is known of it.
        why: String,
        /// Whether it had begun to work.
        was_up: bool,
    },
    /// The other end takes no more movers at this time.
    Busy(String),
    /// There is no room left at the destination.
    Full(String),
    /// No bucket could be moved, so nothing more need be tried.
    Hopeless(Unfit),
    /// It was stopped.
    Stopped,
}

/// Why no bucket can be moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Unfit {
    /// The exit code of the run, one of rsync's.
    pub code: u8,
    /// What went wrong, and what to do.
    pub sentence: String,
}

/// What every mover promises.
#[cfg(test)]
pub(crate) mod conformance;

/// A mover of trees that are none.
#[cfg(test)]
pub(crate) mod memory;
