//! What ends a session: the rule that the peer broke.

use std::time::Duration;

use thiserror::Error;

use crate::codec::Malformed;
use crate::frame::{FrameKind, RequestId};
use crate::lane::LaneNumber;

/// The peer broke a rule of the protocol, or there is no peer. The session is over.
///
/// Nothing that came before is in doubt, and what comes after is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Something else spoke before lanesync did.
    #[error(
        "the other side printed \"{0}\" before lanesync began to speak: its login scripts must print \
         nothing in a session without a terminal"
    )]
    Noise(String),
    /// The pipe ended before the greeting was complete.
    #[error("the other side ended before lanesync began to speak: is it installed there?")]
    Mute,
    /// The greeting did not come in time.
    #[error("the other side did not begin to speak within {} s", .0.as_secs())]
    NoGreeting(Duration),
    /// The two programs are not of one revision.
    #[error(
        "the other side speaks revision {theirs} of the protocol (lanesync {version}), this one \
         revision {ours}: install the same version on both"
    )]
    Revision {
        /// Revision of the peer.
        theirs: u16,
        /// Version of its program.
        version: String,
        /// Our revision.
        ours: u16,
    },
    /// The greeting is not one.
    #[error("malformed greeting: {0}")]
    Greeting(Malformed),
    /// The lane belongs to another session, or its number is not one that it may have.
    #[error("lane {0} is not one of this session")]
    ForeignLane(LaneNumber),
    /// Nothing came for so long that the lane counts as dead.
    #[error("nothing came on the lane for {} s", .0.as_secs())]
    Silent(Duration),

    /// A frame longer than any may be.
    #[error("a frame of {length} bytes, and the limit is {limit}")]
    FrameLength {
        /// The length that it claims.
        length: u32,
        /// The limit for its kind.
        limit: usize,
    },
    /// A number that is no kind of frame.
    #[error("there is no frame of kind {0}")]
    FrameKind(u8),
    /// Bits of the header that this kind of frame does not have.
    #[error("a header that a frame of kind {0:?} cannot have")]
    Header(FrameKind),
    /// A body that is compressed in two ways.
    #[error("a frame that is compressed in two ways at once")]
    Compression,
    /// The body of a frame is not what its kind says.
    #[error("malformed body of a frame of kind {kind:?}: {malformed}")]
    Body {
        /// The kind.
        kind: FrameKind,
        /// What is wrong.
        malformed: Malformed,
    },
    /// A frame that this side has no use for.
    #[error("a frame of kind {0:?} towards the wrong side")]
    WrongSide(FrameKind),

    /// More requests at a time than the responder said it takes.
    #[error("more than {0} requests at a time")]
    TooManyRequests(u32),
    /// More handles at a time than the responder said it holds.
    #[error("more than {0} handles at a time")]
    TooManyHandles(u32),
    /// More signatures at a time than a responder keeps.
    #[error("more than {0} signatures at a time")]
    TooManySignatures(usize),
    /// Requests that leave room for more than the window.
    #[error("requests whose cost is above the window of {0} bytes")]
    OverWindow(u64),
    /// A request without room for so much as a fault, or with more than there can ever be.
    #[error("request {id} with a credit of {credit} bytes")]
    Credit {
        /// The request.
        id: RequestId,
        /// Its credit.
        credit: u64,
    },
    /// The number of a request that is still being answered.
    #[error("request {0} a second time")]
    IdReused(RequestId),
    /// A handle that is not older than the request which names it.
    #[error("request {0} names a handle that is younger than itself")]
    FutureHandle(RequestId),

    /// A handle that is closed while the request to open it is not answered.
    #[error("request {0} closes a handle that is not open yet")]
    ClosedEarly(RequestId),

    /// A response to what was not asked, or not on this lane, or in an attempt given up.
    #[error("a response to request {0}, which was not asked")]
    Unasked(RequestId),
    /// A response of another kind than the request asks for.
    #[error("a response to request {id} that {why}")]
    WrongResponse {
        /// The request.
        id: RequestId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A response longer than the request left room for.
    #[error("a response to request {0} above its credit")]
    OverCredit(RequestId),

    /// A control message that cannot come now, or not from that side.
    #[error("{0} at a time or from a side where there can be none")]
    ControlOrder(&'static str),
    /// Events beyond what the controller had room for.
    #[error("more events than there was room for")]
    OverEventCredit,
    /// More talk about lanes than a session needs.
    #[error("more than {0} offers of lanes and wishes for lanes")]
    TooManyLaneTalks(u32),
    /// More talk about a direct session than one needs.
    #[error("more than {0} messages about a direct session")]
    TooManyDirectTalks(u32),
    /// More lanes were lost than a session can lose.
    #[error("more than {0} lanes were lost")]
    TooManyLanesLost(usize),
}
