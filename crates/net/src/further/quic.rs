//! Lanes over QUIC: each a connection of its own, with one stream on it.
//!
//! A connection has one pace for all its streams, so that lanes which share one would share their
//! losses, too. The pace is that of BBR: QUIC is used where packets are lost and the kernel has nothing
//! against it, or where TCP does not get through.
//!
//! A library does the work on a thread of its own (`Driver`), and whoever reads or writes waits for it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, ReadError,
    RecvStream, SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt, WriteError,
};
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::{Fingerprint, PortRange};

use super::identity::Identity;
use super::{Family, bind_first_free};
use crate::lane::{Hangup, Lane, LaneKind};
use crate::pace::Packets;
use crate::pipe::Switch;

/// What both sides say that they speak (ALPN).
const SPEAKS: &[u8] = b"lanesync";

/// Between the beginnings of two attempts.
const STAGGER: Duration = Duration::from_millis(250);

/// Handshakes at the same time, and how long one may take.
const STRANGERS: usize = 64;
const TO_SHAKE: Duration = Duration::from_secs(10);

/// How often it is looked whether nobody waits any more.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The end of a lane of which both sides know that nothing went wrong.
const ALL_IS_WELL: VarInt = VarInt::from_u32(0);

/// What may be under way on a lane: 1 Gbit/s over 100 ms, and some of it lost.
const WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// The thread on which QUIC is done; it ends with the last that uses it.
struct Driver {
    handle: Handle,
    stop: Arc<Notify>,
}

impl Driver {
    fn start() -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let stopped = Arc::clone(&stop);
        let run = move || {
            runtime.block_on(async {
                stopped.notified().await;
                // Last packets say that a connection ends.
                sleep(BETWEEN_LOOKS).await;
            });
        };
        thread::Builder::new().name("quic".to_owned()).spawn(run)?;
        Ok(Arc::new(Self { handle, stop }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

/// The side that connects.
pub(crate) struct Caller {
    driver: Arc<Driver>,
    config: ClientConfig,
}

impl Caller {
    /// For connecting to who has that key.
    pub(crate) fn new(identity: &Identity, peer: Fingerprint) -> io::Result<Self> {
        let mut tls = identity.client(peer).map_err(io::Error::other)?;
        tls.alpn_protocols = vec![SPEAKS.to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport()));
        Ok(Self { driver: Driver::start()?, config })
    }

    /// Connects to the first of these that can be reached in this time and is who it should be.
    pub(crate) fn dial(
        &self,
        addresses: &[SocketAddr],
        limit: Duration,
        switch: &Switch,
    ) -> io::Result<(SocketAddr, Lane)> {
        let until = Instant::now() + limit;
        let (tell, mut told) = mpsc::channel(1);
        let mut delay = Duration::ZERO;
        // Those that are not needed any more end with it.
        let mut attempts = JoinSet::new();
        for address in addresses.iter().copied() {
            let (driver, config, tell) =
                (Arc::clone(&self.driver), self.config.clone(), tell.clone());
            let attempt = async move {
                sleep(delay).await;
                let lane = connect(driver, config, address).await;
                // Nobody may wait for it any more.
                tell.send(lane.map(|lane| (address, lane))).await.ok();
            };
            attempts.spawn_on(attempt, &self.driver.handle);
            delay += STAGGER;
        }
        drop(tell);
        let mut failed = None;
        while Instant::now() < until && !switch.is_off() {
            match self.driver.handle.block_on(timeout_of(told.recv())) {
                Some(Some(Ok(connected))) => return Ok(connected),
                Some(Some(Err(error))) => {
                    failed.get_or_insert(error);
                }
                Some(None) => break,
                None => {}
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::TimedOut.into()))
    }
}

/// Waits for something a little while.
async fn timeout_of<T>(waited_for: impl Future<Output = T>) -> Option<T> {
    timeout(BETWEEN_LOOKS, waited_for).await.ok()
}

async fn connect(driver: Arc<Driver>, config: ClientConfig, to: SocketAddr) -> io::Result<Lane> {
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(from)?;
    let connection = endpoint.connect_with(config, to, "lanesync").map_err(io::Error::other)?;
    let connection = connection.await?;
    let streams = connection.open_bi().await?;
    Ok(lane(driver, connection, streams))
}

/// A port that is listened on.
pub(crate) struct Listener {
    socket: UdpSocket,
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

    /// Hands over a lane for each connection of who has the right key, as many as there may be, until
    /// the switch is off.
    pub(crate) fn run(
        self,
        identity: &Identity,
        peer: Fingerprint,
        (most, switch): (usize, &Switch),
        mut take: impl FnMut(Lane) -> bool,
    ) -> io::Result<()> {
        let driver = Driver::start()?;
        let config = server_config(identity, peer)?;
        let endpoint = {
            let _entered = driver.handle.enter();
            let (ours, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
            Endpoint::new(ours, Some(config), self.socket, runtime)?
        };
        let (tell, mut told) = mpsc::channel(STRANGERS);
        let strangers = Arc::new(AtomicUsize::new(0));
        let accept = {
            let (endpoint, driver) = (endpoint.clone(), Arc::downgrade(&driver));
            async move {
                while let Some(incoming) = endpoint.accept().await {
                    let Some(driver) = driver.upgrade() else { break };
                    // It costs nothing to let go of who is not where it says that it is.
                    if incoming.may_retry() {
                        incoming.retry().ok();
                    } else if strangers.load(Ordering::Relaxed) >= STRANGERS {
                        incoming.refuse();
                    } else {
                        strangers.fetch_add(1, Ordering::Relaxed);
                        let (strangers, tell) = (Arc::clone(&strangers), tell.clone());
                        tokio::spawn(async move {
                            let shaken = timeout(TO_SHAKE, shake(driver, incoming)).await;
                            strangers.fetch_sub(1, Ordering::Relaxed);
                            if let Ok(Ok(lane)) = shaken {
                                tell.send(lane).await.ok();
                            }
                        });
                    }
                }
            }
        };
        driver.handle.spawn(accept);
        let mut taken = 0;
        while !switch.is_off() {
            if let Some(Some(lane)) = driver.handle.block_on(timeout_of(told.recv())) {
                taken += 1;
                if !take(lane) {
                    break;
                }
                if taken == most {
                    endpoint.set_server_config(None);
                }
            }
        }
        endpoint.set_server_config(None);
        Ok(())
    }
}

async fn shake(driver: Arc<Driver>, incoming: Incoming) -> io::Result<Lane> {
    let connection = incoming.await?;
    let streams = connection.accept_bi().await?;
    Ok(lane(driver, connection, streams))
}

fn server_config(identity: &Identity, peer: Fingerprint) -> io::Result<ServerConfig> {
    let mut tls = identity.server(peer).map_err(io::Error::other)?;
    tls.alpn_protocols = vec![SPEAKS.to_vec()];
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport()));
    config.max_incoming(STRANGERS);
    Ok(config)
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .congestion_controller_factory(Arc::new(BbrConfig::default()))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    transport
}

fn listen_at(at: SocketAddr, only_v6: bool) -> io::Result<UdpSocket> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    if at.is_ipv6() {
        set_ipv6_v6only(&socket, only_v6)?;
    }
    bind(&socket, &at)?;
    Ok(UdpSocket::from(socket))
}

fn lane(
    driver: Arc<Driver>,
    connection: Connection,
    (send, receive): (SendStream, RecvStream),
) -> Lane {
    Lane {
        kind: LaneKind::Quic,
        losses: None,
        packets: Some(Arc::new(Sent(connection.clone()))),
        round_trip: Some(connection.rtt()),
        reader: Box::new(Reader { driver: Arc::clone(&driver), receive }),
        writer: Box::new(Writer { driver: Arc::clone(&driver), send }),
        hangup: Box::new(Ends { connection, _driver: driver }),
    }
}

/// Whether a connection ended because one of the two said so.
fn is_well(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::LocallyClosed => true,
        ConnectionError::ApplicationClosed(close) => close.error_code == ALL_IS_WELL,
        _ => false,
    }
}

struct Reader {
    driver: Arc<Driver>,
    receive: RecvStream,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.driver.handle.block_on(self.receive.read(buffer)) {
            Ok(count) => Ok(count.unwrap_or(0)),
            Err(ReadError::ConnectionLost(error)) if is_well(&error) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

struct Writer {
    driver: Arc<Driver>,
    send: SendStream,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.driver.handle.block_on(self.send.write(bytes)) {
            Ok(count) => Ok(count),
            Err(WriteError::ConnectionLost(error)) if is_well(&error) => {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Sent(Connection);

impl Packets for Sent {
    fn sent_bytes(&self) -> u64 {
        self.0.stats().udp_tx.bytes
    }
}

struct Ends {
    connection: Connection,
    /// What says so to the other side.
    _driver: Arc<Driver>,
}

impl Hangup for Ends {
    fn hang_up(&self) {
        self.connection.close(ALL_IS_WELL, b"");
    }
}

#[cfg(test)]
mod tests;
