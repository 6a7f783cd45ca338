//! The commands: each wires the crates together for one verb.

/// Works for a lanesync on another host.
pub(crate) mod agent;

/// Brings a destination into the state of its sources.
pub(crate) mod sync;

/// Brings an image into the state of another.
pub(crate) mod blocks;

/// Cuts a tree into buckets.
pub(crate) mod manifest;

/// The other host of a job.
mod far;

/// The session between the agents of two other hosts.
mod direct;

/// A job with another host, taken up again.
mod again;

/// How fast content may go.
mod pace;

/// Paths that were typed for another host.
mod typed;

/// A session as its two ends see it.
mod talk;

/// Signals that end a run.
mod signals;

/// What they stop.
mod stops;

use crate::cli::{self, Refusal};

/// Says why a command line is turned down, also in the records of `--json`.
pub(crate) fn refuse(refusal: &Refusal, wants_json: bool) {
    if wants_json {
        let why = format!("lanesync: {}", refusal.sentence);
        cli::tell(&report::refusal_records(&why, &sync::ended(refusal.exit)));
    }
    cli::complain(refusal);
}
