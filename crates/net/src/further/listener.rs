//! Listens for the other side of the session, and for nobody else.
//!
//! Anybody can connect to a port. So whoever does is a stranger until its handshake is done, has little
//! time and few bytes for that, and takes the place of an older stranger where there are too many: what
//! they can do is to keep further lanes from coming about, and to the lanes that there are they do
//! nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with};
use rustls::{ServerConfig, ServerConnection};
use wire::PortRange;

use super::tls::{Handshake, Progress};
use super::{Family, bind_first_free};
use crate::lane::Lane;
use crate::pipe::Switch;

/// Handshakes at the same time.
const STRANGERS: usize = 64;

/// Who has connected is let in by so many at a time: one that came before has turns enough to show its key,
/// and whoever asks is heard, however many come.
const AT_ONCE: usize = STRANGERS / 4;

/// How long a handshake may take.
const TO_SHAKE: Duration = Duration::from_secs(10);

/// How long nobody is let in when the system has no descriptor to give.
const TO_RECOVER: Duration = Duration::from_millis(100);

/// Someone who has connected.
struct Stranger {
    handshake: Handshake,
    waits_for: PollFlags,
    until: Instant,
}

/// A port that is listened on.
pub(crate) struct Listener {
    socket: TcpListener,
    port: u16,
}

impl Listener {
    /// Listens on the first of the ports that is free, on all addresses of this host.
    pub(crate) fn bind(ports: PortRange, family: Option<Family>) -> io::Result<Self> {
        let socket = bind_first_free(ports, family, listen_at)?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Hands over a lane for each connection of who has the right key, until there were as many as
    /// there may be, one is not taken, or the switch is off. Then nobody listens any more.
    pub(crate) fn run(
        self,
        config: &Arc<ServerConfig>,
        most: usize,
        switch: &Switch,
        mut take: impl FnMut(Lane) -> bool,
    ) -> io::Result<()> {
        let mut strangers: Vec<Stranger> = Vec::new();
        let mut taken = 0;
        while taken < most {
            let mut ends: Vec<_> =
                strangers.iter().map(|it| (it.handshake.socket().as_fd(), it.waits_for)).collect();
            ends.push((self.socket.as_fd(), PollFlags::IN));
            let next = strangers.iter().map(|stranger| stranger.until).min();
            let left = next.map(|until| until.saturating_duration_since(Instant::now()));
            if !switch.wait_for_any(&ends, left)? {
                return Ok(());
            }
            self.let_in(&mut strangers, config, switch)?;
            let now = Instant::now();
            for mut stranger in std::mem::take(&mut strangers) {
                match stranger.handshake.advance() {
                    Ok(Progress::Waits(waits_for)) if now < stranger.until => {
                        strangers.push(Stranger { waits_for, ..stranger });
                    }
                    Ok(Progress::Done) if taken < most => {
                        taken += 1;
                        if !stranger.handshake.into_lane().is_ok_and(&mut take) {
                            return Ok(());
                        }
                    }
                    // Nobody is told what a stranger did wrong.
                    Ok(_) | Err(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Takes up who has connected, some of them.
    fn let_in(
        &self,
        strangers: &mut Vec<Stranger>,
        config: &Arc<ServerConfig>,
        switch: &Switch,
    ) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let socket = match self.socket.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_one(&error) => continue,
                Err(_) => {
                    switch.wait_for_any(&[], Some(TO_RECOVER))?;
                    return Ok(());
                }
            };
            let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            let Ok(handshake) = Handshake::new(socket, tls) else { continue };
            if strangers.len() >= STRANGERS {
                strangers.remove(0);
            }
            let until = Instant::now() + TO_SHAKE;
            strangers.push(Stranger { handshake, waits_for: PollFlags::IN, until });
        }
        Ok(())
    }
}

/// An error of one connection that was not to be, as accept(2) lists them.
fn is_of_one(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}

fn listen_at(at: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    if at.is_ipv6() {
        set_ipv6_v6only(&socket, only_v6)?;
    }
    // A port on which lanes have ended lately is free.
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    listen(&socket, i32::try_from(STRANGERS).unwrap_or(i32::MAX))?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::Identity;
    use super::*;

    #[test]
    fn however_many_come_there_is_an_end_to_letting_them_in() {
        let identity = Identity::new().unwrap();
        let config = Arc::new(identity.server(identity.fingerprint()).unwrap());
        let listener = Listener::bind(PortRange::Any, Some(Family::V4)).unwrap();
        let come = |_| std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port()));
        let _crowd: Vec<_> = (0..STRANGERS).map(come).collect();
        let (mut strangers, switch) = (Vec::new(), Switch::new().unwrap());
        for let_in in [AT_ONCE, 2 * AT_ONCE] {
            listener.let_in(&mut strangers, &config, &switch).unwrap();
            assert_eq!(strangers.len(), let_in);
        }
    }
}
