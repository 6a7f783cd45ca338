//! A lane: an ordered pipe of bytes, its greeting, its frames, and whether it is alive.
//!
//! Bytes within a lane come in order; nothing is relied on across lanes.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::codec::{Codec, Malformed, Reader};
use crate::frame::{Decoder, Frame, FrameKind, Header, Outgoing};
use crate::greeting::{Hello, Listener, Opening, SessionId, greeting};
use crate::limits;
use crate::violation::Violation;

/// Number of a lane in its session. Lane 0 is the first, which carries control messages; its end is
/// the end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneNumber(pub u16);

impl LaneNumber {
    /// The first lane of a session.
    pub const FIRST: Self = Self(0);
}

impl fmt::Display for LaneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Codec for LaneNumber {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        u16::read(reader).map(Self)
    }
}

/// How long a lane waits before it acts. Only this side decides; a peer cannot change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the greeting of the peer.
    pub greeting: Duration,
    /// Until a lane that has nothing to say says so.
    pub keepalive: Duration,
    /// For a sign of life.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { greeting: limits::GREETING, keepalive: limits::KEEPALIVE, silence: limits::SILENCE }
    }
}

impl Patience {
    /// The same, with so much patience for silence, and signs of life that come soon enough for a peer
    /// that has as little.
    #[must_use]
    pub fn with_silence(self, silence: Duration) -> Self {
        /// While the other side waits, so often does a lane that has nothing to say say so.
        const SIGNS_OF_LIFE: u32 = 3;
        Self { silence, keepalive: self.keepalive.min(silence / SIGNS_OF_LIFE), ..self }
    }
}

/// Who opened a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// This side, as this lane.
    Opener(Opening),
    /// The peer, as the first lane of a session that this side learns of by it.
    FirstAcceptor,
    /// The peer, as a further lane of this session.
    Acceptor(SessionId),
}

/// One end of a lane. Times are counted from a moment that the caller chose.
#[derive(Debug)]
pub struct Link {
    end: LaneEnd,
    opening: Option<Opening>,
    peer: Option<Hello>,
    listener: Listener,
    decoder: Decoder,
    frames: VecDeque<Frame>,
    /// The greeting or a keepalive; never more than one of them.
    outgoing: Option<Outgoing>,
    patience: Patience,
    born: Duration,
    heard: Duration,
    spoke: Duration,
}

impl Link {
    /// A lane that has just come to be. Its greeting is the first to be transmitted.
    pub fn new(end: LaneEnd, hello: &Hello, patience: Patience, now: Duration) -> Self {
        let opening = match end {
            LaneEnd::Opener(opening) => Some(opening),
            LaneEnd::FirstAcceptor | LaneEnd::Acceptor(_) => None,
        };
        Self {
            end,
            opening,
            peer: None,
            listener: Listener::default(),
            decoder: Decoder::default(),
            frames: VecDeque::new(),
            outgoing: Some(Outgoing::bare(greeting(hello, opening))),
            patience,
            born: now,
            heard: now,
            spoke: now,
        }
    }

    /// Takes bytes that arrived. Frames that they complete are to be fetched before more is given.
    pub fn receive(&mut self, mut bytes: &[u8], now: Duration) -> Result<(), Violation> {
        if !bytes.is_empty() {
            self.heard = now;
        }
        if self.peer.is_none() {
            let Some((hello, opening)) = self.listener.feed(&mut bytes)? else { return Ok(()) };
            self.opening = Some(self.agree(opening)?);
            self.peer = Some(hello);
        }
        while !bytes.is_empty() {
            let frame = self.decoder.feed(&mut bytes)?;
            self.frames.extend(frame.filter(|it| it.header.kind != FrameKind::Keepalive));
        }
        Ok(())
    }

    /// What both sides hold the lane for, from what the peer says of it.
    fn agree(&self, theirs: Option<Opening>) -> Result<Opening, Violation> {
        match (self.end, theirs) {
            (LaneEnd::Opener(ours), None) => Ok(ours),
            (LaneEnd::FirstAcceptor, Some(theirs)) if theirs.lane == LaneNumber::FIRST => {
                Ok(theirs)
            }
            (LaneEnd::Acceptor(session), Some(theirs))
                if theirs.session == session && theirs.lane != LaneNumber::FIRST =>
            {
                Ok(theirs)
            }
            (_, theirs) => {
                Err(Violation::ForeignLane(theirs.map_or(LaneNumber::FIRST, |open| open.lane)))
            }
        }
    }

    /// The pipe ended: what that means if it was too early.
    pub fn ended(&self) -> Result<(), Violation> {
        match self.peer {
            Some(_) => Ok(()),
            None => Err(self.listener.broken_off(Violation::Mute)),
        }
    }

    /// What the peer said of itself; `None` until its greeting is complete.
    pub fn peer(&self) -> Option<&Hello> {
        self.peer.as_ref()
    }

    /// Session and number of the lane, once the greeting of the opener is known.
    pub fn opening(&self) -> Option<Opening> {
        self.opening
    }

    /// The next frame that arrived, for the machine of its [`topic`](FrameKind::topic).
    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// True when [`poll_transmit`](Self::poll_transmit) has something.
    pub fn has_outgoing(&self) -> bool {
        self.outgoing.is_some()
    }

    /// What the lane itself has to send. It goes before all that is sent by others on the lane.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.outgoing.take()
    }

    /// Something was sent on the lane, by whomever.
    pub fn transmitted(&mut self, now: Duration) {
        self.spoke = now;
    }

    /// This side was stopped for a while and did not listen: its peer was not silent for that.
    pub fn resume(&mut self, now: Duration) {
        self.heard = now;
    }

    /// When to call [`tick`](Self::tick) next.
    pub fn deadline(&self) -> Duration {
        let speak = self.spoke + self.patience.keepalive;
        speak.min(match self.peer {
            Some(_) => self.heard + self.patience.silence,
            None => self.born + self.patience.greeting,
        })
    }

    /// Does what is due: a keepalive, or the end of a lane that is silent.
    pub fn tick(&mut self, now: Duration) -> Result<(), Violation> {
        match self.peer {
            None if now >= self.born + self.patience.greeting => {
                let patience = self.patience.greeting;
                return Err(self.listener.broken_off(Violation::NoGreeting(patience)));
            }
            Some(_) if now >= self.heard + self.patience.silence => {
                return Err(Violation::Silent(self.patience.silence));
            }
            _ => {}
        }
        if now >= self.spoke + self.patience.keepalive {
            let keepalive = || Outgoing::frame(Header::plain(FrameKind::Keepalive), &[]);
            self.outgoing.get_or_insert_with(keepalive);
            // Should it not get out, asking again and again would not help.
            self.spoke = now;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
