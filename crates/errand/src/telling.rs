//! What happened, as bytes: the events of a run, and what the report reads of gauges as it hears them.
//!
//! Gauges are shared memory on one host. Between two, a long file that was begun has a number; how far
//! it is comes with progress, and how far it came in the end is told before its item is.

use borsh::{BorshDeserialize, BorshSerialize};
use model::{Fault, FileReading, Item, Message, Reading, Topic};
use wire::EventBytes;
use wire::limits::EVENT_BYTES;

use crate::Malformed;

/// Numbers the long files of a run in the order in which they were begun.
pub(crate) type FileNumber = u64;

/// One thing that is told. Several may stand together.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Telling {
    /// [`model::Event::Begun`].
    Begun { number: FileNumber, reading: FileReading, item: Box<Item> },
    /// [`model::Event::Item`].
    Item(Box<Item>),
    /// [`model::Event::Line`].
    Line(Box<Item>),
    /// [`model::Event::Settled`].
    Settled(Box<Item>),
    /// [`model::Event::Fault`].
    Fault(Fault),
    /// [`model::Event::Message`].
    Message(Message),
    /// What the gauges of the run say as the next is told.
    Gauges(Reading),
    /// What the gauge of a file said at last.
    Over { number: FileNumber, reading: FileReading },
}

impl Telling {
    /// As much of it as fits into one event. A path that is longer than any that a system call takes
    /// is met where a tree is very deep: that there was something is told all the same.
    fn shortened(self) -> Option<Self> {
        let too_long = |kind: &str, path: &[u8]| {
            let shown = &path[path.len() - path.len().min(SHOWN_BYTES)..];
            let length = path.len();
            let before =
                format!("lanesync: {kind} a path of {length} bytes, too long to be told: ...");
            let text = [before.as_bytes(), shown].concat().into();
            Some(Self::Message(Message { topic: Topic::Warning, text }))
        };
        match self {
            Self::Item(item) | Self::Line(item) | Self::Settled(item) => {
                too_long(&format!("{:?}", item.verdict), item.path.as_bytes())
            }
            Self::Fault(fault) => too_long(&format!("{} {}:", fault.side, fault.verb), &fault.path),
            Self::Message(Message { topic, text }) => {
                let text = text[..text.len().min(EVENT_BYTES / 2)].into();
                Some(Self::Message(Message { topic, text }))
            }
            // Its item comes and says so.
            Self::Begun { .. } => None,
            fits @ (Self::Gauges(_) | Self::Over { .. }) => Some(fits),
        }
    }
}

/// What is shown of a path that is too long.
const SHOWN_BYTES: usize = 256;

/// The bytes of some that stand together: all but the last are short.
pub(crate) fn to_bytes(before: &[Telling], last: Telling) -> Option<EventBytes> {
    const WHY: &str = "no name or text has more than 2^32 bytes";
    let mut bytes = Vec::new();
    for telling in before {
        telling.serialize(&mut bytes).expect(WHY);
    }
    let short = bytes.len();
    last.serialize(&mut bytes).expect(WHY);
    if bytes.len() > EVENT_BYTES {
        bytes.truncate(short);
        last.shortened()?.serialize(&mut bytes).expect(WHY);
    }
    EventBytes::new(bytes).ok()
}

/// All that stands in these bytes.
pub(crate) fn from_bytes(
    bytes: &EventBytes,
) -> impl Iterator<Item = Result<Telling, Malformed>> + '_ {
    let mut rest = bytes.as_bytes();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let telling = Telling::deserialize(&mut rest);
        if telling.is_err() {
            rest = &[];
        }
        Some(telling.map_err(|error| Malformed::new("event", &error)))
    })
}

#[cfg(test)]
mod tests;
