//! The two ends of a connection, whatever it is made of.

use std::io;
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};
use wire::{Fingerprint, LaneKind, PortRange};

use super::{Family, Identity, listener, quic};
use crate::lane::Lane;
use crate::pipe::Switch;

/// Something of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerKind<T> {
    tcp: T,
    quic: T,
    ssh: T,
}

impl<T> Index<LaneKind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: LaneKind) -> &T {
        match kind {
            LaneKind::Tcp => &self.tcp,
            LaneKind::Quic => &self.quic,
            LaneKind::Ssh => &self.ssh,
        }
    }
}

impl<T> IndexMut<LaneKind> for PerKind<T> {
    fn index_mut(&mut self, kind: LaneKind) -> &mut T {
        match kind {
            LaneKind::Tcp => &mut self.tcp,
            LaneKind::Quic => &mut self.quic,
            LaneKind::Ssh => &mut self.ssh,
        }
    }
}

/// All kinds.
pub(crate) const KINDS: [LaneKind; 3] = [LaneKind::Tcp, LaneKind::Quic, LaneKind::Ssh];

/// Nobody listens on a port for a login of ours.
fn no_port() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a lane over ssh has no port")
}

/// The side that connects.
pub(crate) enum Caller {
    /// Over TCP with TLS.
    Tcp(Arc<ClientConfig>),
    /// Over QUIC.
    Quic(quic::Caller),
}

impl Caller {
    /// For connecting to who has that key.
    pub(crate) fn new(kind: LaneKind, ours: &Identity, peer: Fingerprint) -> io::Result<Self> {
        Ok(match kind {
            LaneKind::Tcp => Self::Tcp(Arc::new(ours.client(peer).map_err(io::Error::other)?)),
            LaneKind::Quic => Self::Quic(quic::Caller::new(ours, peer)?),
            LaneKind::Ssh => return Err(no_port()),
        })
    }

    /// Connects to the first of these that can be reached in this time and is who it should be.
    pub(crate) fn dial(
        &self,
        to: &[SocketAddr],
        limit: Duration,
        switch: &Switch,
    ) -> io::Result<(SocketAddr, Lane)> {
        match self {
            Self::Tcp(config) => super::dialer::dial(to, config, limit, switch),
            Self::Quic(caller) => caller.dial(to, limit, switch),
        }
    }
}

/// The side that listens.
pub(crate) enum Listener {
    /// For TCP with TLS.
    Tcp(listener::Listener),
    /// For QUIC.
    Quic(quic::Listener),
}

impl Listener {
    /// Listens on the first of the ports that is free, on all addresses of this host.
    pub(crate) fn bind(
        kind: LaneKind,
        ports: PortRange,
        family: Option<Family>,
    ) -> io::Result<Self> {
        Ok(match kind {
            LaneKind::Tcp => Self::Tcp(listener::Listener::bind(ports, family)?),
            LaneKind::Quic => Self::Quic(quic::Listener::bind(ports, family)?),
            LaneKind::Ssh => return Err(no_port()),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Tcp(listener) => listener.port(),
            Self::Quic(listener) => listener.port(),
        }
    }

    /// Hands over a lane for each connection of who has that key, as many as there may be, until one
    /// is not taken or the switch is off.
    pub(crate) fn run(
        self,
        ours: &Identity,
        peer: Fingerprint,
        (most, switch): (usize, &Switch),
        take: impl FnMut(Lane) -> bool,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let config: Arc<ServerConfig> =
                    Arc::new(ours.server(peer).map_err(io::Error::other)?);
                listener.run(&config, most, switch, take)
            }
            Self::Quic(listener) => listener.run(ours, peer, (most, switch), take),
        }
    }
}
