//! Connects to a side that listens, wherever of several addresses that can be reached.
//!
//! Attempts begin one after another, a quarter of a second apart, and go on side by side (RFC 8305): a
//! firewall that drops packets without a word costs no more than that. One that is refused at once makes
//! none begin earlier: the addresses may be said by who wants many to be tried. An attempt has come to its end
//! when the other side has proved who it is, so that whoever else listens there is passed over.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use rustls::{ClientConfig, ClientConnection};

use super::identity::no_name;
use super::tls::{Handshake, Progress};
use crate::lane::Lane;
use crate::pipe::Switch;

/// Between the beginnings of two attempts.
const STAGGER: Duration = Duration::from_millis(250);

/// What became of an attempt so far.
enum Stage {
    Connects(TcpStream),
    Shakes(Box<Handshake>),
}

struct Attempt {
    to: SocketAddr,
    stage: Stage,
    waits_for: PollFlags,
}

impl Attempt {
    fn begin(to: SocketAddr) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stage = Stage::Connects(TcpStream::from(socket));
        Ok(Self { to, stage, waits_for: PollFlags::OUT })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.stage {
            Stage::Connects(socket) => socket.as_fd(),
            Stage::Shakes(handshake) => handshake.socket().as_fd(),
        }
    }

    /// Goes on as far as it can without waiting.
    fn advance(mut self, config: &Arc<ClientConfig>) -> io::Result<Advanced> {
        if let Stage::Connects(socket) = &self.stage {
            socket_error(socket)??;
            if let Err(error) = socket.peer_addr() {
                if error.kind() == io::ErrorKind::NotConnected {
                    return Ok(Advanced::Waits(self));
                }
                return Err(error);
            }
        }
        let mut handshake = match self.stage {
            Stage::Connects(socket) => {
                let tls = ClientConnection::new(Arc::clone(config), no_name());
                Box::new(Handshake::new(socket, tls.map_err(io::Error::other)?)?)
            }
            Stage::Shakes(handshake) => handshake,
        };
        Ok(match handshake.advance()? {
            Progress::Done => Advanced::Done(self.to, handshake.into_lane()?),
            Progress::Waits(waits_for) => {
                self.stage = Stage::Shakes(handshake);
                self.waits_for = waits_for;
                Advanced::Waits(self)
            }
        })
    }
}

enum Advanced {
    Waits(Attempt),
    Done(SocketAddr, Lane),
}

/// Connects to the first of these that can be reached in this time and is who it should be. The error is
/// that of the first that could not.
pub(crate) fn dial(
    addresses: &[SocketAddr],
    config: &Arc<ClientConfig>,
    limit: Duration,
    switch: &Switch,
) -> io::Result<(SocketAddr, Lane)> {
    let until = Instant::now() + limit;
    let mut next_at = Instant::now();
    let mut to_come = addresses.iter().copied();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut first_error = None;
    let mut failed = |error: io::Error| {
        first_error.get_or_insert(error);
    };
    while Instant::now() < until {
        if Instant::now() >= next_at {
            next_at = Instant::now() + STAGGER;
            match to_come.next().map(Attempt::begin) {
                Some(Ok(attempt)) => attempts.push(attempt),
                Some(Err(error)) => failed(error),
                None => next_at = until,
            }
        }
        if attempts.is_empty() && to_come.len() == 0 {
            break;
        }
        let ends: Vec<_> = attempts.iter().map(|it| (it.fd(), it.waits_for)).collect();
        let left = next_at.min(until).saturating_duration_since(Instant::now());
        if !switch.wait_for_any(&ends, Some(left))? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        for attempt in std::mem::take(&mut attempts) {
            match attempt.advance(config) {
                Ok(Advanced::Done(to, lane)) => return Ok((to, lane)),
                Ok(Advanced::Waits(attempt)) => attempts.push(attempt),
                Err(error) => failed(error),
            }
        }
    }
    Err(first_error.unwrap_or_else(|| io::ErrorKind::TimedOut.into()))
}
