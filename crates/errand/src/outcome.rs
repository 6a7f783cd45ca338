//! How a run ended, told once and as the last thing.

use borsh::{BorshDeserialize, BorshSerialize};
use model::{Reading, Summary};
use wire::OutcomeBytes;

use crate::Malformed;

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Ending {
    /// Everything was looked at.
    Complete,
    /// It was asked to stop.
    Interrupted,
    /// `--stop-at` or `--stop-after` stopped it.
    TimeIsOver,
    /// An error that a run does not survive. What it was has been told as an event.
    Error(ErrorKind),
}

/// What kind of error ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ErrorKind {
    /// What was typed cannot be done.
    Usage,
    /// It asks for something that is not there.
    Unsupported,
    /// A source or the destination cannot be used as such.
    FileSelection,
    /// Nothing more can be written.
    FileIo,
    /// The source is out of reach.
    Stream,
    /// A bug of ours.
    Internal,
}

/// What an agent tells at the end of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Totals.
    pub summary: Summary,
}

/// An outcome with the last state of the gauges.
pub(crate) type Final = (Outcome, Reading);

pub(crate) fn to_bytes(end: &Final) -> OutcomeBytes {
    let bytes = borsh::to_vec(end).expect("numbers are always written");
    OutcomeBytes::new(bytes).expect("an outcome has one size, which the limit allows")
}

pub(crate) fn from_bytes(bytes: &OutcomeBytes) -> Result<Final, Malformed> {
    Final::try_from_slice(bytes.as_bytes()).map_err(|error| Malformed::new("outcome", &error))
}
