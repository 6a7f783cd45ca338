//! Why a run ends without all that was asked for.

use std::os::unix::ffi::OsStrExt;

use fleet::format::FormatError;
use fleet::lister::{Refused, Why};
use fleet::survey::Unfinished;
use model::manifest::ManifestSummary;
use model::{Cause, Fault, Side, Verb};

use super::Run;
use crate::exit_code::{Ending, Exit};

/// Why there are no buckets, or not all.
pub(super) enum Failure {
    /// The source cannot be told.
    Refused(Refused),
    /// A file cannot be written; it names itself.
    Output(Fault),
    /// A bucket cannot be written.
    Format(FormatError),
    /// Nothing more can be made, and what is there stays.
    Partly(Box<Self>, ManifestSummary),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Output(fault)
    }
}

impl From<FormatError> for Failure {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<Unfinished> for Failure {
    fn from(unfinished: Unfinished) -> Self {
        Self::Refused(unfinished.why)
    }
}

impl Run<'_> {
    /// Tells why it ended.
    pub(super) fn ending_of(&self, failure: Failure) -> (Ending, Option<ManifestSummary>) {
        let ending = match failure {
            Failure::Partly(failure, summary) => {
                return (self.ending_of(*failure).0, Some(summary));
            }
            Failure::Output(fault) => {
                self.tell.fault(fault);
                Ending::Error(Exit::FileIo)
            }
            Failure::Format(FormatError::Unfit { path, reason }) => {
                let (side, verb, cause) = (Side::Source, Verb::List, Cause::Refused(reason.into()));
                self.tell.fault(Fault { side, verb, path: path.into(), cause });
                Ending::Error(Exit::Unsupported)
            }
            Failure::Format(FormatError::Io(error)) => {
                let output = self.invocation.output.as_os_str().as_bytes();
                let (side, verb) = (Side::Destination, Verb::Write);
                let cause = Cause::from(&error);
                self.tell.fault(Fault { side, verb, path: output.into(), cause });
                Ending::Error(Exit::FileIo)
            }
            Failure::Refused(Refused { why: Why::Stopped, .. }) => Ending::Interrupted,
            Failure::Refused(Refused { why, sentence }) => {
                self.tell.warn(&sentence);
                Ending::Error(match why {
                    Why::Source | Why::List => Exit::FileSelection,
                    Why::Login => Exit::Denied,
                    Why::Connection => Exit::Unreached,
                    Why::Stopped => Exit::Interrupted,
                    Why::Internal => Exit::Internal,
                })
            }
        };
        (ending, None)
    }
}
