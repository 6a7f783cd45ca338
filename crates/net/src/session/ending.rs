//! How a session ends: why, in what words, and what the other side is told of it.

use std::fmt;

use wire::{Failure, FailureKind, Violation};

use super::state::Part;

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This side has ended it.
    Here,
    /// The other side has ended it, and all is well.
    Bye,
    /// The other side failed.
    Failed(Failure),
    /// The other side broke a rule, or is silent.
    Broken(Violation),
    /// The connection ended, or broke by this error.
    Lost(Option<Box<str>>),
    /// Nothing can be sent, because of this error.
    Unsendable(Box<str>),
    /// This side came to an error of its own.
    Internal(Box<str>),
}

/// The session is over, for this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Over {
    /// Why.
    pub cause: Cause,
    /// Which side of the job the other one is, as far as that is known.
    side: &'static str,
    peer: Box<str>,
}

impl Over {
    pub(super) fn new(cause: Cause, part: Option<Part>, peer: &str) -> Self {
        let side = match part {
            Some(Part::Requester) => "source",
            Some(Part::Responder) => "destination",
            None => "session",
        };
        Self { cause, side, peer: peer.into() }
    }

    fn sentence(&self) -> String {
        let verb = match self.cause {
            Cause::Here | Cause::Unsendable(_) | Cause::Internal(_) => "speak to",
            Cause::Bye | Cause::Failed(_) | Cause::Broken(_) | Cause::Lost(_) => "hear from",
        };
        format!("{}: {verb} {}: {}", self.side, self.peer, self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => formatter.write_str("the session was ended here"),
            Self::Bye => formatter.write_str("it has ended the session"),
            Self::Failed(Failure { kind, text }) => {
                let what = match kind {
                    FailureKind::Violation => "it found a fault in this side",
                    FailureKind::Refused | FailureKind::Internal => "it failed",
                };
                write!(formatter, "{what}: {}", on_one_line(text.as_str()))
            }
            Self::Broken(violation) => violation.fmt(formatter),
            Self::Lost(None) => formatter.write_str("the connection ended"),
            Self::Lost(Some(error)) => write!(formatter, "the connection broke: {error}"),
            Self::Unsendable(error) | Self::Internal(error) => formatter.write_str(error),
        }
    }
}

/// A text of another host, without what a terminal would act on.
fn on_one_line(text: &str) -> String {
    let shown = |char: char| {
        if char.is_control() { char.escape_default().to_string() } else { char.to_string() }
    };
    text.chars().map(shown).collect()
}

/// What the other side is told of the end.
#[derive(Clone, Debug)]
pub(super) enum Farewell {
    /// Nothing: nobody listens, or there is no time for it.
    None,
    /// That all is done.
    Bye,
    /// What went wrong.
    Failure(Failure),
}

impl Farewell {
    /// Of a rule that the other side broke.
    pub(super) fn of(violation: &Violation) -> Self {
        let text = wire::Text::new(&violation.to_string());
        Self::Failure(Failure { kind: FailureKind::Violation, text })
    }
}
