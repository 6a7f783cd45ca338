//! What controller and agent tell each other about further lanes: how they come about, and how many there
//! are to be.

use std::fmt;

use crate::bounded::{List, Text};
use crate::codec::{Codec, Malformed, Reader, choice, record};
use crate::greeting::SessionId;
use crate::limits::{ADDRESS_BYTES, ADDRESSES, FAILURE_TEXT_BYTES, PASS_BYTES, PORTS};

/// What lanes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// TCP with TLS 1.3.
    Tcp,
    /// QUIC.
    Quic,
    /// A login of its own by the remote shell.
    Ssh,
}

choice!(LaneKind, "kind of lane": 1 => Tcp, 2 => Quic, 3 => Ssh);

/// SHA-256 of the public key by which one side knows the other, fresh for each session: of its
/// `SubjectPublicKeyInfo`, which TLS has in place of a certificate (RFC 7250).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Codec for Fingerprint {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Codec::read(reader).map(Self)
    }
}

/// By what an agent knows that a process on its host belongs to the controller of its session: where it
/// listens there, and a key. Only who starts such processes needs to tell one from the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pass(pub [u8; PASS_BYTES]);

impl Codec for Pass {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Codec::read(reader).map(Self)
    }
}

/// It is a secret.
impl fmt::Debug for Pass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pass(..)")
    }
}

/// "I listen": how the other side reaches this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneOffer {
    /// What the lanes are made of.
    pub kind: LaneKind,
    /// The session that they belong to.
    pub session: SessionId,
    /// By what the listener is known.
    pub fingerprint: Fingerprint,
    /// Where it may be reached, best first, as numbers or names.
    pub addresses: List<Text<ADDRESS_BYTES>, ADDRESSES>,
    /// On which ports, of which any will do.
    pub ports: List<u16, PORTS>,
    /// How many lanes there shall be.
    pub count: LaneCount,
}

record!(LaneOffer { kind, session, fingerprint, addresses, ports, count });

/// "I will connect": what the other side must know to let this one in. To one that does not listen
/// yet, it is a wish that it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneWanted {
    /// What the lanes are made of.
    pub kind: LaneKind,
    /// By what the side that connects is known.
    pub fingerprint: Fingerprint,
    /// Where to listen.
    pub ports: PortRange,
    /// The kind of address to listen on; both if none is told.
    pub family: Option<AddressFamily>,
    /// How many lanes there shall be.
    pub count: LaneCount,
}

record!(LaneWanted { kind, fingerprint, ports, family, count });

/// Ports that may be listened on, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRange {
    /// Whichever the system gives.
    Any,
    /// One of these.
    Within {
        /// The lowest.
        first: u16,
        /// The highest.
        last: u16,
    },
}

choice!(PortRange, "range of ports": 0 => Any, 1 => Within { first, last });

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

choice!(AddressFamily, "kind of address": 4 => V4, 6 => V6);

/// How many lanes there shall be beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneCount {
    /// As many as the requester finds to pay off.
    Auto,
    /// So many.
    Fixed(u16),
}

choice!(LaneCount, "number of lanes": 0 => Auto, 1 => Fixed(lanes));

/// "I cannot": an end of what was offered or wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRefusal {
    /// What the lanes were to be made of.
    pub kind: LaneKind,
    /// Why there are none, for the user.
    pub text: Text<FAILURE_TEXT_BYTES>,
}

record!(LaneRefusal { kind, text });

/// What the two sides tell each other about further lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneTalk {
    /// The other side listens.
    Offer(LaneOffer),
    /// The other side will connect.
    Wanted(LaneWanted),
    /// The requester would have so many lanes of a kind; the side that connects sees to it, and the
    /// controller to there being such a side.
    Count {
        /// What they are made of.
        kind: LaneKind,
        /// How many there are to be.
        lanes: u16,
    },
    /// The other side can neither.
    Refusal(LaneRefusal),
    /// The responder sends over lanes of this kind, packets are lost, and each slows them down.
    Hampered(LaneKind),
    /// The controller will log in once more for each lane, so many times.
    Logins(LaneCount),
    /// The agent lets in who shows this where it runs.
    Door(Pass),
}

choice!(LaneTalk, "talk of lanes":
    1 => Offer(offer),
    2 => Wanted(wanted),
    3 => Count { kind, lanes },
    4 => Refusal(refusal),
    5 => Hampered(kind),
    6 => Logins(count),
    7 => Door(pass),
);
