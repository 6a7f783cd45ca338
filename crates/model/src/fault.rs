//! One path failed and the run goes on.
//!
//! A fault is data: it travels as an event, is counted in the summary and decides the exit code.
//! It is never printed where it arises.

use std::fmt;
use std::io::{Error, ErrorKind};

use borsh::{BorshDeserialize, BorshSerialize};

/// What the kernel calls an interrupted call, on all systems.
const EINTR: i32 = 4;

/// The side of a job on which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Side {
    /// Where entries are read.
    Source,
    /// Where entries are made.
    Destination,
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// What was being done: shown in words that read before a path, as `open` and `set times of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Verb {
    /// Open a file.
    Open,
    /// Open a directory.
    OpenDirectory,
    /// Begin in a directory that the user named.
    EnterDirectory,
    /// Read metadata.
    LookAt,
    /// List a directory.
    List,
    /// Read content.
    Read,
    /// Read content that changes each time.
    ReadThreeTimes,
    /// Read the target of a symlink.
    ReadLink,
    /// Go where a symlink leads.
    Follow,
    /// Read the filter rules of a directory.
    ReadFilterRules,
    /// Read extended attributes and ACLs.
    ReadAttributes,
    /// Open the file of a basis tree.
    OpenBasis,
    /// Read the file of a basis tree.
    ReadBasis,
    /// Ask for the size of a device.
    Measure,
    /// Bring over as a whole.
    Copy,
    /// Make a directory.
    MakeDirectory,
    /// Let the owner into a directory for as long as the run works in it.
    MakePassable,
    /// Make a symlink.
    MakeLink,
    /// Make a device, pipe or socket.
    MakeNode,
    /// Create a staging file.
    CreateStaging,
    /// Read metadata of a staging file.
    LookAtStaging,
    /// Reserve room for content.
    Preallocate,
    /// Set the length of a file.
    SetLength,
    /// Write content.
    Write,
    /// Make content outlive a crash.
    Sync,
    /// Read what was written.
    ReadBack,
    /// Hold what was written against what was read.
    Verify,
    /// Set owner or group.
    SetOwner,
    /// Set extended attributes or ACLs.
    SetAttributes,
    /// Set permission bits.
    SetMode,
    /// Set times.
    SetTimes,
    /// Give a staging file its name.
    Publish,
    /// Let a complete file wait for the end of the run.
    PutAside,
    /// Give a file that waited its name.
    PutIntoPlace,
    /// Make a hard link.
    Link,
    /// Clear the way for an entry of another kind.
    Replace,
    /// Keep the old copy.
    BackUp,
    /// Remove an entry.
    Remove,
    /// Remove what only the destination has.
    RemoveExtraneous,
    /// Run the command that the user gave for a file.
    RunFor,
}

impl Verb {
    /// The words that read before a path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::OpenDirectory => "open directory",
            Self::EnterDirectory => "enter directory",
            Self::LookAt => "look at",
            Self::List => "list",
            Self::Read => "read",
            Self::ReadThreeTimes => "read three times",
            Self::ReadLink => "read link",
            Self::Follow => "follow",
            Self::ReadFilterRules => "read filter rules of",
            Self::ReadAttributes => "read attributes of",
            Self::OpenBasis => "open the basis of",
            Self::ReadBasis => "read the basis of",
            Self::Measure => "measure",
            Self::Copy => "copy",
            Self::MakeDirectory => "make directory",
            Self::MakePassable => "make passable",
            Self::MakeLink => "make link",
            Self::MakeNode => "make node",
            Self::CreateStaging => "create a staging file for",
            Self::LookAtStaging => "look at the staging file of",
            Self::Preallocate => "preallocate",
            Self::SetLength => "set length of",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::ReadBack => "read back",
            Self::Verify => "verify",
            Self::SetOwner => "set owner of",
            Self::SetAttributes => "set attributes of",
            Self::SetMode => "set mode of",
            Self::SetTimes => "set times of",
            Self::Publish => "publish",
            Self::PutAside => "put aside",
            Self::PutIntoPlace => "put into place",
            Self::Link => "link",
            Self::Replace => "replace",
            Self::BackUp => "back up",
            Self::Remove => "remove",
            Self::RemoveExtraneous => "remove what is extraneous in",
            Self::RunFor => "run the command for",
        }
    }

    /// True when it is about one attribute of an entry and not about its content.
    fn sets_attribute(self) -> bool {
        matches!(self, Self::SetOwner | Self::SetAttributes | Self::SetMode | Self::SetTimes)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why it failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Cause {
    /// The operating system refused, with this `errno`.
    Os(i32),
    /// The entry was listed and is gone.
    Vanished,
    /// The entry changed while it was read, and again when it was read anew.
    ChangedDuringCopy,
    /// What arrived is not what was read.
    VerificationFailed,
    /// Another reason, as a sentence that says what to do.
    Refused(Box<str>),
}

impl Cause {
    /// The error number, where the operating system gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Os(errno) => Some(*errno),
            _ => None,
        }
    }
}

impl From<&Error> for Cause {
    fn from(error: &Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Os(errno),
            None if error.kind() == ErrorKind::Interrupted => Self::Os(EINTR),
            None => Self::Refused(error.to_string().into()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(errno) => write!(formatter, "{}", Error::from_raw_os_error(*errno)),
            Self::Vanished => formatter.write_str("it has vanished since it was listed"),
            Self::ChangedDuringCopy => formatter.write_str(
                "it changed while it was read; run again when nothing writes to it, or from a snapshot",
            ),
            Self::VerificationFailed => formatter.write_str(
                "the copy is not what was read at the source; run again, and do not use what --inplace or \
                 --append have left; if it happens again, check memory, disks and network of both sides",
            ),
            Self::Refused(reason) => formatter.write_str(reason),
        }
    }
}

/// A path that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Fault {
    /// On which side.
    pub side: Side,
    /// What was being done.
    pub verb: Verb,
    /// The path, as a person would look for it: the side's root joined with the path below it.
    pub path: Box<[u8]>,
    /// Why.
    pub cause: Cause,
}

impl Fault {
    /// True when the source entry disappeared between listing and reading (exit code 24).
    pub fn is_vanished(&self) -> bool {
        self.cause == Cause::Vanished
    }

    /// True where somebody ended what was being done.
    pub fn is_interruption(&self) -> bool {
        self.cause == Cause::Os(EINTR)
    }

    /// The whole of it for a person, the path as it is: who shows it makes it safe.
    pub fn text(&self) -> Vec<u8> {
        let Self { side, verb, path, cause } = self;
        let before = format!("{side}: {verb} \"");
        [before.as_bytes(), path, format!("\": {cause}").as_bytes()].concat()
    }

    /// True when nothing more can be written and the run must end (exit code 11).
    pub fn is_fatal(&self) -> bool {
        let kind = self.cause.errno().map(|errno| Error::from_raw_os_error(errno).kind());
        self.side == Side::Destination
            && match kind {
                Some(ErrorKind::ReadOnlyFilesystem) => true,
                // One attribute that is too large leaves room for content.
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                    !self.verb.sets_attribute()
                }
                _ => false,
            }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::{Cause, Fault, Side, Verb};

    #[test]
    fn message_has_side_verb_path_and_cause() {
        let fault = Fault {
            side: Side::Destination,
            verb: Verb::Publish,
            path: Box::from(&b"a/b\xff"[..]),
            cause: Cause::Os(13),
        };
        let text = b"destination: publish \"a/b\xff\": Permission denied (os error 13)";
        assert_eq!(fault.text(), text);
        assert_eq!(fault.to_string(), String::from_utf8_lossy(text));
    }

    #[test]
    fn a_full_disk_is_fatal_only_at_the_destination() {
        let mut fault = Fault {
            side: Side::Destination,
            verb: Verb::Write,
            path: Box::default(),
            cause: Cause::Os(28),
        };
        assert!(fault.is_fatal());
        fault.side = Side::Source;
        assert!(!fault.is_fatal());
    }

    #[test]
    fn an_attribute_that_finds_no_room_does_not_end_the_run() {
        let mut fault = Fault {
            side: Side::Destination,
            verb: Verb::SetAttributes,
            path: Box::default(),
            cause: Cause::Os(28),
        };
        assert!(!fault.is_fatal());
        fault.cause = Cause::Os(30);
        assert!(fault.is_fatal());
        fault.verb = Verb::Publish;
        for (errno, is_fatal) in [(28, true), (122, true), (30, true), (13, false)] {
            fault.cause = Cause::Os(errno);
            assert_eq!(fault.is_fatal(), is_fatal, "{errno}");
        }
    }
}
