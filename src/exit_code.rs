//! rsync's exit codes: the only place that knows their numbers.
//!
//! What ends a run is turned into a code here and nowhere else, so that scripts written for rsync
//! keep their meaning.

use std::process::ExitCode;

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
    /// Nothing more can be written, or a file of rules cannot be read.
    FileIo,
    /// The connection to the other host ended early.
    Stream,
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
}

impl Exit {
    /// All of them with rsync's number and a sentence for the last line of a run.
    const TABLE: [(Self, u8, &'static str); 13] = [
        (Self::Success, 0, "all of it is there"),
        (Self::Usage, 1, "the command line cannot be understood"),
        (Self::Protocol, 2, "this version of the protocol is not spoken"),
        (Self::FileSelection, 3, "a source or the destination cannot be used"),
        (Self::Unsupported, 4, "what was asked for is not supported"),
        (Self::FileIo, 11, "a file could not be read or written, so the run ended early"),
        (Self::Stream, 12, "the connection to the other host was lost; start it again to go on"),
        (Self::Internal, 14, "lanesync itself failed; please report this"),
        (Self::Interrupted, 20, "the run was interrupted; start it again to go on"),
        (Self::Partial, 23, "some entries were not brought over; they are named above"),
        (Self::Vanished, 24, "some entries vanished from the source while they were copied"),
        (Self::DeleteLimit, 25, "--max-delete kept some entries from being removed"),
        (Self::TimeLimit, 30, "the time that was given is over; start it again to go on"),
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
    fn every_variant_has_a_row_and_a_sentence() {
        for (exit, code, sentence) in Exit::TABLE {
            assert_eq!((exit.code(), exit.sentence()), (code, sentence));
        }
    }
}
