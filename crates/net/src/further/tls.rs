//! TLS over a TCP socket: the handshake, and the lane that comes of it.
//!
//! Both halves of a lane share one state of TLS, and nobody waits while it is locked: the socket does
//! not block, and who finds it not ready lets go of the lock and waits for the socket, or for the
//! switch.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::PollFlags;
use rustix::net::sockopt::{set_tcp_congestion, set_tcp_nodelay};
use rustls::Connection;

use super::segments::{self, Lossy, Segments};
use crate::lane::{Hangup, Lane, LaneKind};
use crate::pipe::Switch;

/// All of a handshake: the messages of ours have less than a tenth of it.
const HANDSHAKE_BYTES: usize = 16 * 1024;

/// What is read from a socket at once.
const READ_BYTES: usize = 256 * 1024;

/// What is encrypted before the socket has taken what was before.
const ENCRYPTED_BYTES: usize = 256 * 1024;

/// A handshake on a socket that does not block.
pub(super) struct Handshake {
    socket: TcpStream,
    tls: Connection,
    /// What may still be read.
    left_bytes: usize,
    yields_to_loss: bool,
}

/// How far a handshake is.
pub(super) enum Progress {
    /// It goes on when the socket is ready for this.
    Waits(PollFlags),
    /// The other side is who it should be.
    Done,
}

impl Handshake {
    /// Begins one.
    pub(super) fn new(socket: TcpStream, tls: impl Into<Connection>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        set_tcp_nodelay(&socket, true)?;
        let yields_to_loss = !choose_congestion_control(&socket);
        Ok(Self { socket, tls: tls.into(), left_bytes: HANDSHAKE_BYTES, yields_to_loss })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn advance(&mut self) -> io::Result<Progress> {
        match self.step() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let writes = self.tls.wants_write();
                Ok(Progress::Waits(if writes { PollFlags::OUT } else { PollFlags::IN }))
            }
            Err(error) => {
                // The other side is told why, if it takes that at once.
                while self.tls.wants_write() && self.tls.write_tls(&mut self.socket).is_ok() {}
                Err(error)
            }
            Ok(()) => Ok(Progress::Done),
        }
    }

    fn step(&mut self) -> io::Result<()> {
        loop {
            while self.tls.wants_write() {
                retried(|| self.tls.write_tls(&mut self.socket))?;
            }
            if !self.tls.is_handshaking() {
                return Ok(());
            }
            let Self { socket, tls, left_bytes, .. } = self;
            let read = retried(|| tls.read_tls(&mut socket.take(*left_bytes as u64)))?;
            *left_bytes -= read;
            if read == 0 {
                let why = "it ended, or went on for too long, before it was known";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            self.tls.process_new_packets().map_err(broken)?;
        }
    }

    /// The lane, once the handshake is done.
    pub(super) fn into_lane(self) -> io::Result<Lane> {
        let Self { socket, mut tls, yields_to_loss, .. } = self;
        tls.set_buffer_limit(Some(ENCRYPTED_BYTES));
        let both = Arc::new(Both { socket, tls: Mutex::new(tls), switch: Switch::new()? });
        let reader = Reader { both: Arc::clone(&both), inbox: vec![0; READ_BYTES], filled: 0..0 };
        let writer = Writer(Arc::clone(&both));
        let round_trip = both.segments().map(|it| it.least_round_trip);
        Ok(Lane {
            kind: LaneKind::Tcp,
            losses: yields_to_loss.then(|| Arc::<Both>::clone(&both) as Arc<dyn Lossy>),
            packets: None,
            // A kernel that has not measured it says the greatest number.
            round_trip: round_trip
                .filter(|it| *it < u32::MAX)
                .map(|it| Duration::from_micros(it.into())),
            reader: Box::new(reader),
            writer: Box::new(writer),
            hangup: Box::new(Ends(both)),
        })
    }
}

/// Over a network that loses packets one connection with BBR carries what takes dozens with the usual
/// control. Not every kernel has it, or lets anybody choose; between processes of one host it would
/// only hold back, and nothing is lost. Returns whether losses will do little harm.
fn choose_congestion_control(socket: &TcpStream) -> bool {
    let is_within = socket.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
    is_within || set_tcp_congestion(socket, "bbr").is_ok()
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn retried<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            acted => return acted,
        }
    }
}

/// What the two halves of a lane share.
struct Both {
    socket: TcpStream,
    tls: Mutex<Connection>,
    switch: Switch,
}

impl Both {
    /// Sends what is encrypted.
    fn send(&self, tls: &mut Connection) -> io::Result<()> {
        while tls.wants_write() {
            retried(|| tls.write_tls(&mut &self.socket))?;
        }
        Ok(())
    }

    /// Does something when all that was encrypted before is sent.
    fn when_sent<T>(&self, mut act: impl FnMut(&mut Connection) -> io::Result<T>) -> io::Result<T> {
        let done = self.switch.when(&self.socket, PollFlags::OUT, || {
            let mut tls = self.tls.lock();
            self.send(&mut tls)?;
            act(&mut tls)
        })?;
        done.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Lossy for Both {
    fn segments(&self) -> Option<Segments> {
        segments::of(&self.socket).ok()
    }
}

struct Reader {
    both: Arc<Both>,
    /// What was received, and is not decrypted.
    inbox: Vec<u8>,
    filled: Range<usize>,
}

impl Reader {
    /// Decrypts what was received, up to the length of the buffer; `None` if more is to be received
    /// first.
    fn decrypt(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut tls = self.both.tls.lock();
        let mut count = 0;
        while count < buffer.len() {
            match tls.reader().read(&mut buffer[count..]) {
                // The other side has said that this is the end.
                Ok(0) => return Ok(Some(count)),
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.filled.is_empty() {
                        break;
                    }
                    let mut received = &self.inbox[self.filled.clone()];
                    self.filled.start += tls.read_tls(&mut received)?;
                    if let Err(error) = tls.process_new_packets() {
                        // The other side is told, if it takes that at once.
                        self.both.send(&mut tls).ok();
                        return Err(broken(error));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok((count > 0).then_some(count))
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if buffer.is_empty() {
                return Ok(0);
            }
            if let Some(count) = self.decrypt(buffer)? {
                return Ok(count);
            }
            let Both { socket, switch, .. } = &*self.both;
            let read = switch.when(socket, PollFlags::IN, || (&*socket).read(&mut self.inbox))?;
            match read {
                None => return Ok(0),
                Some(0) => {
                    let why = "the connection was cut";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
                }
                Some(count) => self.filled = 0..count,
            }
        }
    }
}

struct Writer(Arc<Both>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.0.when_sent(|tls| tls.writer().write_vectored(parts))?;
        // What does not go at once goes first the next time, or with the flush.
        match self.0.send(&mut self.0.tls.lock()) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(written),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.when_sent(|_| Ok(()))
    }
}

struct Ends(Arc<Both>);

impl Hangup for Ends {
    fn hang_up(&self) {
        let Both { socket, tls, switch } = &*self.0;
        if !switch.is_off() {
            let mut tls = tls.lock();
            // So that the other side knows that nothing went wrong. Who does not take it learns by the
            // end of the connection.
            tls.send_close_notify();
            self.0.send(&mut tls).ok();
        }
        switch.hang_up();
        socket.shutdown(std::net::Shutdown::Write).ok();
    }
}

#[cfg(test)]
mod tests;
