//! How the controller of two agents makes them known to each other, so that what the one serves goes to the
//! other without a detour.
//!
//! Each is asked to make itself ready, and says how the other one reaches and knows it; that goes to the
//! other one. What they have to do with each other then is a session like any, in which the agent of the
//! destination has the part of the controller.

use crate::bounded::{List, Text};
use crate::codec::{choice, record};
use crate::lane_talk::{AddressFamily, Fingerprint, LaneCount, LaneKind, PortRange};
use crate::limits::{ADDRESS_BYTES, ADDRESSES, FAILURE_TEXT_BYTES};

/// "Make yourself ready": what an agent is to do before it is told of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectWish {
    /// What the first lane is to be made of.
    pub kind: LaneKind,
    /// Whether to listen for the other one.
    pub listens: bool,
    /// Where to listen.
    pub ports: PortRange,
    /// The kind of address to use; both if none is told.
    pub family: Option<AddressFamily>,
}

record!(DirectWish { kind, listens, ports, family });

/// "So I am known": what the other agent must know of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectOffer {
    /// By what it is known, whether it listens or connects.
    pub fingerprint: Fingerprint,
    /// Where it may be reached, best first, as numbers.
    pub addresses: List<Text<ADDRESS_BYTES>, ADDRESSES>,
    /// Where it listens, if it does.
    pub port: Option<u16>,
}

record!(DirectOffer { fingerprint, addresses, port });

/// "That is the other one": what it has said, and what the controller knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectMeeting {
    /// What the other one has said. The controller does not answer for it.
    pub offer: DirectOffer,
    /// Names or addresses by which the controller knows the other one, best first.
    pub names: List<Text<ADDRESS_BYTES>, ADDRESSES>,
    /// Whether to connect to the other one, and how many milliseconds to wait before that.
    pub connects_after_ms: Option<u64>,
    /// What the other one is called in messages.
    pub peer: Text<ADDRESS_BYTES>,
    /// How many seconds a lane may be silent, at least one.
    pub silence_secs: u64,
    /// How many lanes there shall be beside the first.
    pub count: LaneCount,
    /// Whether these may be of another kind than the first.
    pub mixes_kinds: bool,
    /// Whether the user is told what becomes of lanes.
    pub tells: bool,
}

record!(DirectMeeting {
    offer,
    names,
    connects_after_ms,
    peer,
    silence_secs,
    count,
    mixes_kinds,
    tells,
});

/// Why a session between two agents ended before their job did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectLoss {
    /// The connection ended or broke.
    Cut,
    /// The other agent was silent for too long.
    Silent,
    /// One of the two failed, or broke a rule.
    Failed,
}

choice!(DirectLoss, "kind of loss": 1 => Cut, 2 => Silent, 3 => Failed);

/// What there is to be told of a session between two agents when the job is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectEnd {
    /// Bytes that went to the agent of the source.
    pub sent_bytes: u64,
    /// Bytes that came from it.
    pub received_bytes: u64,
    /// What became of it, if it did not last.
    pub loss: Option<DirectLoss>,
    /// Why, for the user.
    pub text: Text<FAILURE_TEXT_BYTES>,
}

record!(DirectEnd { sent_bytes, received_bytes, loss, text });

/// What a controller and each of its two agents tell each other of how these two meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectTalk {
    /// To an agent: to make itself ready. Told to the agent of the destination before the job, so that it
    /// does not begin to ask before it knows whom.
    Prepare(DirectWish),
    /// To the controller: this agent is ready.
    Ready(DirectOffer),
    /// To an agent: who the other one is, which hears the same at this time.
    Meet(Box<DirectMeeting>),
    /// To the controller: the two have met, and the agent of the destination asks the other one.
    Met,
    /// It will not be: from an agent, that it cannot; to one, that all goes by the controller.
    Refusal(Text<FAILURE_TEXT_BYTES>),
    /// To the controller: what became of it.
    Over(DirectEnd),
}

choice!(DirectTalk, "talk of a direct session":
    1 => Prepare(wish),
    2 => Ready(offer),
    3 => Meet(meeting),
    4 => Met,
    5 => Refusal(text),
    6 => Over(end),
);

impl DirectTalk {
    /// Whether a controller may say it, and whether an agent may.
    pub(crate) fn is_of(&self) -> (bool, bool) {
        match self {
            Self::Prepare(_) | Self::Meet(_) => (true, false),
            Self::Ready(_) | Self::Met | Self::Over(_) => (false, true),
            Self::Refusal(_) => (true, true),
        }
    }
}
