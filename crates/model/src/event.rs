//! Facts told to the report while a run goes on.

use std::sync::Arc;

use borsh::io::{Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::malformed;
use crate::entry::Metadata;
use crate::fault::{Cause, Fault};
use crate::gauges::FileGauge;
use crate::item_flags::ItemFlags;
use crate::rel_path::RelPath;

/// What became of one entry. Each entry seen at the source has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Item {
    /// Path below the destination root.
    pub path: RelPath,
    /// The source's metadata (the destination's, when the entry is deleted).
    pub metadata: Metadata,
    /// Number of the source argument that it came from; `None` for what was not brought over.
    pub source: Option<u32>,
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
    /// The error number, where the operating system refused.
    pub errno: Option<i32>,
    /// Bytes of content written for it.
    pub written_bytes: u64,
    /// The content's checksum, where one was computed (`--out-format=%C`).
    pub checksum: Option<Box<str>>,
}

impl Item {
    /// An entry of which nothing more is to be told.
    pub fn new(path: RelPath, metadata: Metadata, verdict: Verdict) -> Self {
        Self {
            path,
            metadata,
            source: None,
            flags: ItemFlags::empty(),
            verdict,
            link: None,
            leader: None,
            reason: None,
            errno: None,
            written_bytes: 0,
            checksum: None,
        }
    }

    /// An entry that was not brought over, and why.
    pub fn failed(path: RelPath, metadata: Metadata, fault: &Fault) -> Self {
        let verdict = match fault.cause {
            Cause::ChangedDuringCopy => Verdict::ChangedDuringCopy,
            _ => Verdict::Failed,
        };
        let errno = fault.cause.errno();
        Self { errno, ..Self::new(path, metadata, verdict).because(fault.to_string()) }
    }

    /// The item with a reason.
    #[must_use]
    pub fn because(self, reason: impl Into<Box<str>>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

/// A note for the user that is not about one entry's verdict.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Message {
    /// What it is about: decides at which level of `--info` and where it is shown.
    pub topic: Topic,
    /// The text, without a line end. Names in it are as rsync prints them.
    pub text: Box<[u8]>,
}

impl Message {
    /// The verbosity at which it is shown unless `--info` or `--debug` says otherwise.
    pub fn class(&self) -> MessageClass {
        self.topic.class()
    }
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Topic {
    /// What rsync always tells: `skipping directory x`.
    Notice,
    /// Something was left undone but no entry failed.
    Warning,
    /// `--info=backup`: an old copy was kept.
    Backup,
    /// `--debug=filter`: a rule hides or protects an entry.
    Filter,
    /// What is made on the way: `created directory x`. Told with names, and with `%i`.
    Made,
    /// `--info=misc2`.
    Misc,
    /// `--info=nonreg`: `skipping non-regular file "x"`.
    Nonreg,
    /// `--info=remove`: a source that was brought over is removed.
    Removed,
    /// `--info=skip`: a setting leaves an entry out.
    Skip,
    /// `--info=symsafe`: an unsafe link is left out.
    Symsafe,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 10] = [
        Self::Notice,
        Self::Warning,
        Self::Backup,
        Self::Filter,
        Self::Made,
        Self::Misc,
        Self::Nonreg,
        Self::Removed,
        Self::Skip,
        Self::Symsafe,
    ];

    /// The verbosity at which it is shown unless `--info` or `--debug` says otherwise.
    pub fn class(self) -> MessageClass {
        match self {
            Self::Notice | Self::Nonreg => MessageClass::Notice,
            Self::Warning => MessageClass::Warning,
            Self::Made | Self::Symsafe => MessageClass::Verbose,
            Self::Backup | Self::Filter | Self::Misc | Self::Removed | Self::Skip => {
                MessageClass::Debug
            }
        }
    }
}

/// A set of topics: what nobody reads is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topics(u16);

impl Topics {
    /// True when the topic is among them.
    pub fn contains(self, topic: Topic) -> bool {
        self.0 & Self::bit(topic) != 0
    }

    fn bit(topic: Topic) -> u16 {
        1 << topic as u16
    }
}

impl BorshSerialize for Topics {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.serialize(writer)
    }
}

impl BorshDeserialize for Topics {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let topics = Self(u16::deserialize_reader(reader)?);
        let known: Self = Topic::ALL.into_iter().collect();
        if topics.0 & !known.0 == 0 { Ok(topics) } else { Err(malformed("an unknown topic")) }
    }
}

impl FromIterator<Topic> for Topics {
    fn from_iter<I: IntoIterator<Item = Topic>>(topics: I) -> Self {
        Self(topics.into_iter().fold(0, |bits, topic| bits | Self::bit(topic)))
    }
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

/// A long file whose transfer has begun, and how far it is.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The entry as it will be told if all goes well, without what is known at its end only.
    pub item: Item,
    /// Its bytes and its time.
    pub gauge: Arc<FileGauge>,
}

/// A fact told to the report.
#[derive(Clone, Debug)]
pub enum Event {
    /// The content of a long file is being brought over; told where the settings ask for it, in the
    /// place of its item, which comes next of all items.
    Begun(Box<Begun>),
    /// An entry has its verdict. In order: by directory, sorted as rsync's, whatever the workers
    /// did first.
    Item(Box<Item>),
    /// A line of rsync's for an entry whose verdict was told before or comes later: brought over a
    /// second time, or complete and not yet in its place. It counts once.
    Line(Box<Item>),
    /// An entry whose line was told before has its verdict.
    Settled(Box<Item>),
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
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
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
