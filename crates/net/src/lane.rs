//! An ordered byte pipe to a peer.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::further::Lossy;
use crate::pace::Packets;

/// How a lane reaches its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// Within one process.
    Memory,
    /// The standard streams of a remote shell.
    Ssh,
    /// TCP with TLS 1.3.
    Tcp,
    /// A stream of a QUIC connection.
    Quic,
}

impl LaneKind {
    /// What two sides call it that agree on such lanes.
    pub(crate) fn on_wire(self) -> Option<wire::LaneKind> {
        match self {
            Self::Memory => None,
            Self::Ssh => Some(wire::LaneKind::Ssh),
            Self::Tcp => Some(wire::LaneKind::Tcp),
            Self::Quic => Some(wire::LaneKind::Quic),
        }
    }
}

impl fmt::Display for LaneKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Ssh => "ssh",
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        })
    }
}

/// Ends a lane from any thread, so that whoever reads or writes on it comes back.
pub trait Hangup: Send + Sync {
    /// Ends it; a second time does nothing.
    fn hang_up(&self);
}

/// An ordered byte pipe to a peer; its two halves may be used by two threads.
///
/// A read of 0 bytes means that the peer has ended it. What was written and not read by then is
/// lost, and nobody is told: whoever speaks over lanes asks for an answer to all that matters.
pub struct Lane {
    /// How it reaches the peer.
    pub kind: LaneKind,
    /// What is lost, if that slows it down.
    pub(crate) losses: Option<Arc<dyn Lossy>>,
    /// What it sends, where that is more than what is written to it.
    pub(crate) packets: Option<Arc<dyn Packets>>,
    /// How long a round trip to the peer takes, if that is known.
    pub(crate) round_trip: Option<Duration>,
    /// What the peer says.
    pub reader: Box<dyn Read + Send>,
    /// What the peer is told; a flush sends it.
    pub writer: Box<dyn Write + Send>,
    /// Ends it.
    pub hangup: Box<dyn Hangup>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lane").field("kind", &self.kind).finish_non_exhaustive()
    }
}
