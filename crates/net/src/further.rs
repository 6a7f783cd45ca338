//! Lanes beside the first: made of connections of their own, so that they need not share the pace, the
//! cipher and the losses of the one.
//!
//! One side listens and the other connects, as the two agree over the first lane. Each knows the other
//! by a key that came that way.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use wire::{AddressFamily, LaneCount, PortRange};

pub use crate::shell::Family;

/// Who a side is.
mod identity;

/// TLS over a TCP socket.
mod tls;

/// The side that connects.
mod dialer;

/// The side that listens.
mod listener;

/// Lanes that are logins of their own.
mod logins;

/// Where an agent lets in what such logins have started.
mod door;

/// Lanes over QUIC.
mod quic;

/// The two ends of a connection, whatever it is made of.
mod kinds;

/// Where the other side may be reached.
mod whereabouts;

/// What the kernel knows of the packets of a connection.
mod segments;

/// How many lanes pay off.
mod tuner;

pub use door::knock;

pub(crate) use door::Door;
pub(crate) use identity::Identity;
pub(crate) use kinds::{Caller, KINDS, Listener, PerKind};
pub(crate) use logins::Logins;
#[cfg(test)]
pub(crate) use segments::Segments;
pub(crate) use segments::{Lossy, suffer};
pub(crate) use tuner::{Decision, Sample, Tuner};
pub use whereabouts::Whereabouts;
pub(crate) use whereabouts::{add_offered, is_own_host_known_by_loopback, resolve};

/// Most lanes beside the first, whoever asks for them.
pub const FURTHER_MAX: u16 = 255;

/// What further lanes are to be made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// What can be had.
    #[default]
    Auto,
    /// There are to be none: all goes through the one remote shell.
    None,
    /// Further logins by the remote shell.
    Ssh,
    /// TCP with TLS.
    Tcp,
    /// QUIC, which is over UDP.
    Quic,
}

/// Who connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opener {
    /// The controller, and where it cannot, the agent.
    #[default]
    Auto,
    /// The controller.
    Here,
    /// The agent.
    There,
}

/// What a controller wants of further lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What they are made of.
    pub wish: Wish,
    /// Who connects.
    pub opener: Opener,
    /// How many there shall be.
    pub count: LaneCount,
    /// Where who listens may listen.
    pub ports: PortRange,
    /// The kind of address to use; both if none is told.
    pub family: Option<Family>,
    /// Somebody has asked for them, and is to be told why there are none.
    pub is_asked: bool,
}

/// How far an agent follows one that is not its controller, but was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What lanes may be made of.
    pub wish: Wish,
    /// Whether this side may listen.
    pub listens: bool,
    /// Whether it may connect to where the other side says.
    pub connects: bool,
    /// Where it listens, whatever the other side says.
    pub ports: PortRange,
    /// The kind of address to use; both if none is told.
    pub family: Option<Family>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            wish: Wish::Auto,
            opener: Opener::Auto,
            count: LaneCount::Auto,
            ports: PortRange::Any,
            family: None,
            is_asked: false,
        }
    }
}

/// What comes of lanes is told here, in sentences for the user.
pub type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// A socket on the first port of a range that is free, on all addresses of this host. What makes it is told
/// whether to take nobody who comes to an address of IPv6 over IPv4.
fn bind_first_free<T>(
    ports: PortRange,
    family: Option<Family>,
    bind: impl Fn(SocketAddr, bool) -> io::Result<T>,
) -> io::Result<T> {
    let v6 = |port, only| bind((Ipv6Addr::UNSPECIFIED, port).into(), only);
    let v4 = |port| bind((Ipv4Addr::UNSPECIFIED, port).into(), false);
    let bind_on = |port| match family {
        Some(Family::V4) => v4(port),
        Some(Family::V6) => v6(port, true),
        // A host may have no IPv6.
        None => v6(port, false).or_else(|_| v4(port)),
    };
    let ports = match ports {
        PortRange::Any => 0..=0,
        PortRange::Within { first, last } => first..=last,
    };
    let mut refused = None;
    for port in ports {
        match bind_on(port) {
            Ok(socket) => return Ok(socket),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::V4,
            Family::V6 => Self::V6,
        }
    }
}

impl From<AddressFamily> for Family {
    fn from(family: AddressFamily) -> Self {
        match family {
            AddressFamily::V4 => Self::V4,
            AddressFamily::V6 => Self::V6,
        }
    }
}
