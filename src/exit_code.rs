//! rsync's exit codes: the only place that knows their numbers.
//!
//! What ends a run is turned into a code here and nowhere else, so that scripts written for rsync
//! keep their meaning.

use std::process::ExitCode;

use errand::ErrorKind;
use model::Summary;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All of it is there.
    Success,
    /// The command line makes no sense.
    Usage,
    /// The other side speaks another protocol.
    Protocol,
    /// A source or the destination cannot be used as such.
    FileSelection,
    /// Asked for something that is not there.
    Unsupported,
    /// Whoever tells of the source does not let this user in.
    Denied,
    /// Whoever tells of the source cannot be reached.
    Unreached,
    /// Nothing more can be written, or a file of rules cannot be read.
    FileIo,
    /// The connection to the other host was lost, or makes no sense.
    Stream,
    /// The remote shell cannot be started.
    Unstarted,
    /// A bug of ours.
    Internal,
    /// A signal, or Ctrl-C.
    Interrupted,
    /// Some entries failed.
    Partial,
    /// Some source entries vanished while the run went on.
    Vanished,
    /// `--max-delete` kept entries from being removed.
    DeleteLimit,
    /// `--stop-at` or `--stop-after`.
    TimeLimit,
    /// The other host was silent for too long.
    Silence,
    /// There is no agent on the other host.
    NoAgent,
    /// The remote shell cannot log in.
    NoLogin,
    /// The remote shell lost its connection.
    CutOff,
}

impl Exit {
    /// All of them with rsync's number and a sentence for the last line of a run.
    const TABLE: [(Self, u8, &'static str); 20] = [
        (Self::Success, 0, "all of it is there"),
        (Self::Usage, 1, "the command line cannot be understood"),
        (Self::Protocol, 2, "this version of the protocol is not spoken"),
        (Self::FileSelection, 3, "a source or the destination cannot be used"),
        (Self::Unsupported, 4, "what was asked for is not supported"),
        (Self::Denied, 5, "this user was not let in"),
        (Self::Unreached, 10, "the other side could not be reached, or gave no answer"),
        (Self::FileIo, 11, "a file could not be read or written, so the run ended early"),
        (Self::Stream, 12, "the connection to the other host was lost; start it again to go on"),
        (Self::Unstarted, 14, "the remote shell could not be started"),
        (Self::Internal, 14, "lanesync itself failed; please report this"),
        (Self::Interrupted, 20, "the run was interrupted; start it again to go on"),
        (Self::Partial, 23, "some entries were not brought over; they are named above"),
        (Self::Vanished, 24, "some entries vanished from the source while they were copied"),
        (Self::DeleteLimit, 25, "--max-delete kept some entries from being removed"),
        (Self::TimeLimit, 30, "the time that was given is over; start it again to go on"),
        (Self::Silence, 30, "the other host was silent for too long; start it again to go on"),
        (Self::NoAgent, 127, "there is no lanesync on the other host"),
        (Self::NoLogin, 255, "the remote shell could not log in on the other host"),
        (Self::CutOff, 255, "the remote shell lost the other host; start it again to go on"),
    ];

    /// The code of a run, from how it ended and what it counted. An ending that is an error wins
    /// over what happened to single entries; among these the worst wins.
    pub(crate) fn of_run(ending: Ending, summary: &Summary) -> Self {
        match ending {
            Ending::Error(exit) => exit,
            Ending::Interrupted => Self::Interrupted,
            Ending::TimeIsOver => Self::TimeLimit,
            Ending::Complete if summary.faults > 0 => Self::Partial,
            Ending::Complete if summary.deletions_skipped > 0 => Self::DeleteLimit,
            Ending::Complete if summary.vanished > 0 => Self::Vanished,
            // Whatever kept them back has been counted as a fault; should it not have been, the code
            // still tells that the tree is not as asked for.
            Ending::Complete if summary.deletions_suppressed > 0 => Self::Partial,
            Ending::Complete => Self::Success,
        }
    }

    /// rsync's number.
    pub(crate) fn code(self) -> u8 {
        self.row().1
    }

    /// What the code means, for the last line of a run that did not succeed.
    pub(crate) fn sentence(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Self, u8, &'static str) {
        Self::TABLE.iter().find(|row| row.0 == self).expect("the table names every variant")
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was looked at.
    Complete,
    /// A signal stopped it.
    Interrupted,
    /// `--stop-at` or `--stop-after` stopped it.
    TimeIsOver,
    /// An error that a run does not survive.
    Error(Exit),
}

/// As an agent tells it.
impl From<Ending> for errand::Ending {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Complete => Self::Complete,
            Ending::Interrupted => Self::Interrupted,
            Ending::TimeIsOver => Self::TimeIsOver,
            Ending::Error(exit) => Self::Error(exit.into()),
        }
    }
}

impl From<Exit> for ErrorKind {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Usage => Self::Usage,
            Exit::Unsupported => Self::Unsupported,
            Exit::FileSelection => Self::FileSelection,
            Exit::FileIo => Self::FileIo,
            Exit::Stream => Self::Stream,
            Exit::Partial => Self::Incomplete,
            // No other ends a run.
            _ => Self::Internal,
        }
    }
}

/// As it was told by an agent.
impl From<errand::Ending> for Ending {
    fn from(ending: errand::Ending) -> Self {
        match ending {
            errand::Ending::Complete => Self::Complete,
            errand::Ending::Interrupted => Self::Interrupted,
            errand::Ending::TimeIsOver => Self::TimeIsOver,
            errand::Ending::Error(kind) => Self::Error(kind.into()),
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::FileSelection => Self::FileSelection,
            ErrorKind::FileIo => Self::FileIo,
            ErrorKind::Stream => Self::Stream,
            ErrorKind::Internal => Self::Internal,
            ErrorKind::Incomplete => Self::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Summary;

    use super::{Ending, Exit};

    fn check(ending: Ending, counts: [u64; 3], expected: u8) {
        let [faults, deletions_skipped, vanished] = counts;
        let summary = Summary { faults, deletions_skipped, vanished, ..Summary::default() };
        assert_eq!(Exit::of_run(ending, &summary).code(), expected, "{ending:?} {counts:?}");
    }

    #[test]
    fn the_worst_wins() {
        check(Ending::Complete, [0, 0, 0], 0);
        check(Ending::Complete, [0, 0, 1], 24);
        check(Ending::Complete, [0, 1, 1], 25);
        check(Ending::Complete, [1, 1, 1], 23);
        check(Ending::Interrupted, [1, 1, 1], 20);
        check(Ending::TimeIsOver, [1, 0, 0], 30);
        check(Ending::Error(Exit::FileIo), [1, 1, 1], 11);
    }

    #[test]
    fn deletions_that_were_kept_back_are_no_success() {
        let summary = Summary { deletions_suppressed: 1, ..Summary::default() };
        assert_eq!(Exit::of_run(Ending::Complete, &summary), Exit::Partial);
        let summary = Summary { vanished: 1, ..summary };
        assert_eq!(Exit::of_run(Ending::Complete, &summary), Exit::Vanished);
    }

    #[test]
    fn an_ending_arrives_as_it_was() {
        for exit in
            [Exit::Usage, Exit::Unsupported, Exit::FileSelection, Exit::FileIo, Exit::Partial]
        {
            let ending = Ending::Error(exit);
            assert_eq!(Ending::from(errand::Ending::from(ending)), ending);
        }
        for ending in [
            Ending::Complete,
            Ending::Interrupted,
            Ending::TimeIsOver,
            Ending::Error(Exit::Stream),
            Ending::Error(Exit::Internal),
        ] {
            assert_eq!(Ending::from(errand::Ending::from(ending)), ending);
        }
    }

    #[test]
    fn every_variant_has_a_row_and_a_sentence() {
        for (exit, code, sentence) in Exit::TABLE {
            assert_eq!((exit.code(), exit.sentence()), (code, sentence));
        }
    }
}
