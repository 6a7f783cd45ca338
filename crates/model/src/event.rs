//! Facts told to the report while a run goes on.

use crate::entry::Metadata;
use crate::fault::Fault;
use crate::item_flags::ItemFlags;
use crate::rel_path::RelPath;

/// What became of one entry. Each entry seen at the source has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was not there and is now.
    Copied,
    /// It was there with other content and is replaced.
    Updated,
    /// Its attributes were set; its content was right.
    Metadata,
    /// It was right already.
    Equal,
    /// A filter rule leaves it out.
    Excluded,
    /// A setting leaves it out: its kind, size, age, or its absence at the destination.
    Skipped,
    /// It could not be brought over.
    Failed,
    /// It changed while it was read and was not brought over.
    ChangedDuringCopy,
    /// It was only at the destination and is removed.
    Deleted,
}

impl Verdict {
    /// All verdicts, in the order in which they are counted and shown.
    pub const ALL: [Self; 9] = [
        Self::Copied,
        Self::Updated,
        Self::Metadata,
        Self::Equal,
        Self::Excluded,
        Self::Skipped,
        Self::Failed,
        Self::ChangedDuringCopy,
        Self::Deleted,
    ];
}

/// One entry and what became of it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Path below the destination root.
    pub path: RelPath,
    /// The source's metadata (the destination's, when the entry is deleted).
    pub metadata: Metadata,
    /// What differed.
    pub flags: ItemFlags,
    /// What became of it.
    pub verdict: Verdict,
    /// Target of a symlink.
    pub link: Option<Box<[u8]>>,
    /// The path that a hard link was made to; `None` when it was one already, or when it leads out
    /// of the transfer.
    pub leader: Option<Box<[u8]>>,
    /// The rule that leaves it out, or the reason it was skipped, or the fault.
    pub reason: Option<Box<str>>,
    /// Bytes of content written for it.
    pub written_bytes: u64,
    /// The content's checksum, where one was computed (`--out-format=%C`).
    pub checksum: Option<Box<str>>,
}

/// A note for the user that is not about one entry's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What kind of note it is: decides at which verbosity and where it is shown.
    pub class: MessageClass,
    /// The text, without a line end. Names in it are as rsync prints them.
    pub text: Box<[u8]>,
}

/// Kinds of notes, with the verbosity at which rsync shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageClass {
    /// Standard output, always (unless `-q`): `skipping directory x`.
    Notice,
    /// Standard output at `-v`.
    Verbose,
    /// Standard output at `-vv`: `x is uptodate`.
    Debug,
    /// Standard error, always: something was left undone but no entry failed.
    Warning,
}

/// A fact told to the report.
#[derive(Clone, Debug)]
pub enum Event {
    /// An entry has its verdict. In order: by directory, sorted as rsync's, whatever the workers
    /// did first.
    Item(Box<Item>),
    /// A path failed. Out of order, at once.
    Fault(Fault),
    /// A note, in order where it belongs to an entry.
    Message(Message),
}

/// Where events go. Called from all workers; must not block for long.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn accept(&self, event: Event);
}

/// Which items the report wants to hear of: what nobody prints is not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// No items: only faults, messages and the summary.
    #[default]
    Faults,
    /// Items that changed or are deleted.
    Changes,
    /// Unchanged items too.
    Unchanged,
    /// Excluded and skipped items too.
    Everything,
}
