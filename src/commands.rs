//! The commands: each wires the crates together for one verb.

/// Brings a destination into the state of its sources.
pub(crate) mod sync;

/// Signals that end a run.
mod signals;
