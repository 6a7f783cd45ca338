//! A job that an agent does for a controller: what it is told, and what it tells back.
//!
//! The protocol carries jobs, events, progress and outcomes as bytes and does not look into them. Here
//! they are made and read: [`Work`] and [`Service`] are what an agent is started for, [`serve`] is its
//! half of the talk, [`follow`] that of the controller, and both meet the session at [`Post`]. So the
//! engine tells a sink on one host, and the report hears it on another.
//!
//! It is a crate so that whatever reads bytes of a peer can be fuzzed without the command around it. It
//! knows no engine: what runs is its caller's.
//!
//! ```text
//!  controller                                                     agent
//!  Work ------------------------ Begin, Work ------------------->  serve -> engine
//!  report, gauges <- follow <--- Event, Progress, Ended ---------  Teller <- engine
//! ```
//!
//! The peer is not trusted. Bytes that are no such value end the session ([`Malformed`]), and a value that
//! was read keeps all rules that one made here does. What is read takes at most 32 times the bytes in
//! which it came. A form of one of these values that changes is a new `wire::REVISION`.

/// What an agent is started for.
mod work;

/// What is found where the source lies.
mod found;

/// What happened, as bytes.
mod telling;

/// How far a run is, as bytes.
mod progress;

/// How it ended.
mod outcome;

/// Between this crate and a session.
mod post;

/// The agent's half.
mod agent;

/// The controller's half.
mod controller;

#[cfg(test)]
mod testing;

pub use agent::{Around, Refused, serve};
pub use controller::{Lost, follow};
pub use found::{Found, NotFound};
pub use outcome::{Ending, ErrorKind, Outcome, Totals};
pub use post::{Over, Post};
pub use work::{Asks, Besides, Errand, ImageService, List, Service, TooLong, Work, image_to_bytes};

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}: {why}")]
pub struct Malformed {
    what: &'static str,
    why: String,
}

impl Malformed {
    fn new(what: &'static str, why: &dyn std::fmt::Display) -> Self {
        Self { what, why: why.to_string() }
    }
}

/// Everything that reads what a peer sent, in one call each, for fuzzing.
pub mod fuzzing {
    pub use crate::controller::fuzzing::from_agent;
    pub use crate::found::fuzzing::from_source;
    pub use crate::work::fuzzing::from_controller;
}
