//! One path failed and the run goes on.
//!
//! A fault is data: it travels as an event, is counted in the summary and decides the exit code.
//! It is never printed where it arises.

use std::fmt;

/// The side of a job on which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// What was being done, in words that read before a path: `open`, `set times of`, `remove`.
pub type Verb = &'static str;

/// Why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// `ENOSPC`, `EDQUOT` and `EROFS` of errno(3) on Linux: nothing more can be written there.
const NOTHING_MORE_CAN_BE_WRITTEN: [i32; 3] = [28, 122, 30];

/// `ENOSPC` and `EDQUOT` of these are about one attribute that is too large: content still fits.
const SETTING_ATTRIBUTES: [Verb; 4] =
    ["set owner of", "set attributes of", "set mode of", "set times of"];

/// `EROFS` of errno(3) on Linux.
const READ_ONLY: i32 = 30;

impl From<&std::io::Error> for Cause {
    fn from(error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Os(errno),
            None => Self::Refused(error.to_string().into()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(errno) => write!(formatter, "{}", std::io::Error::from_raw_os_error(*errno)),
            Self::Vanished => formatter.write_str("it has vanished since it was listed"),
            Self::ChangedDuringCopy => formatter.write_str(
                "it changed while it was read; run again when nothing writes to it, or from a snapshot",
            ),
            Self::VerificationFailed => formatter
                .write_str("the copy differs from what was read; it was discarded, run again"),
            Self::Refused(reason) => formatter.write_str(reason),
        }
    }
}

/// A path that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// True when nothing more can be written and the run must end (exit code 11).
    pub fn is_fatal(&self) -> bool {
        let is_attribute = SETTING_ATTRIBUTES.contains(&self.verb);
        self.side == Side::Destination
            && self.cause.errno().is_some_and(|errno| {
                NOTHING_MORE_CAN_BE_WRITTEN.contains(&errno)
                    && (!is_attribute || errno == READ_ONLY)
            })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, verb, path, cause } = self;
        write!(formatter, "{side}: {verb} \"{}\": {cause}", path.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Fault, Side};

    #[test]
    fn message_has_side_verb_path_and_cause() {
        let fault = Fault {
            side: Side::Destination,
            verb: "rename",
            path: Box::from(&b"a/b\n"[..]),
            cause: Cause::Os(13),
        };
        assert_eq!(
            fault.to_string(),
            "destination: rename \"a/b\\n\": Permission denied (os error 13)"
        );
    }

    #[test]
    fn a_full_disk_is_fatal_only_at_the_destination() {
        let mut fault = Fault {
            side: Side::Destination,
            verb: "write",
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
            verb: "set attributes of",
            path: Box::default(),
            cause: Cause::Os(28),
        };
        assert!(!fault.is_fatal());
        fault.cause = Cause::Os(30);
        assert!(fault.is_fatal());
    }
}
