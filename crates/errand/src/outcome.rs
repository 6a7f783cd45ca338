//! How a run ended, told once and as the last thing.

use borsh::{BorshDeserialize, BorshSerialize};
use model::blocks::BlocksSummary;
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
    /// Not all came over, and why has been told.
    Incomplete,
}

/// Totals of a kind of job, which can be told.
pub trait Totals: BorshSerialize + BorshDeserialize {}

impl Totals for Summary {}

/// None of a job that was not begun.
impl Totals for Option<BlocksSummary> {}

/// What an agent tells at the end of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Outcome<S = Summary> {
    /// How it ended.
    pub ending: Ending,
    /// Totals.
    pub summary: S,
}

/// An outcome with the last state of the gauges.
pub(crate) type Final<S> = (Outcome<S>, Reading);

pub(crate) fn to_bytes<S: Totals>(end: &Final<S>) -> OutcomeBytes {
    let bytes = borsh::to_vec(end).expect("numbers are always written");
    OutcomeBytes::new(bytes).expect("an outcome has a size that the limit allows")
}

pub(crate) fn from_bytes<S: Totals>(bytes: &OutcomeBytes) -> Result<Final<S>, Malformed> {
    Final::try_from_slice(bytes.as_bytes()).map_err(|error| Malformed::new("outcome", &error))
}
