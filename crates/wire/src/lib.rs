//! The protocol between two lanesync processes, as state machines.
//!
//! There is no socket, no thread and no clock in here: bytes and times come in as arguments, bytes and
//! work come out of `poll_*`. So a test can delay, reorder and lose what it likes. docs/protocol.md
//! tells the same for whoever writes another implementation.
//!
//! ```text
//!              bytes of one lane
//!                   |     ^
//!                   v     |
//!                    Link            greeting, frames, keepalive; one for each lane
//!                   |     ^
//!        frames, by | topic |
//!       +-----------+-----+-+--------+
//!       v                 v          v
//!   Requester         Responder    Control
//!   at the            at the       controller and agent,
//!   destination       source       on lane 0
//! ```
//!
//! The engine runs at the destination and asks; the source answers. All requests can be repeated, so a
//! lane that dies costs no more than asking again on another.
//!
//! The peer is not trusted. Whatever it sends either keeps the rules or ends the session by a
//! [`Violation`] that names the rule; nothing panics, and nothing is allocated that
//! [`limits`] does not allow. Whether bytes are those that were sent is not asked here: TLS and ssh see
//! to it below, and digests of whole files above.

/// What a peer may send at most.
pub mod limits;

/// How values become bytes.
mod codec;

/// Values that cannot be longer or other than allowed.
mod bounded;

/// Frames, and cutting bytes into them.
mod frame;

/// The greeting of a lane.
mod greeting;

/// Compression of frames.
mod packing;

/// A lane: its greeting, its frames, and whether it is alive.
mod lane;

/// What is asked and told of images.
mod image;

/// Errors as data.
mod io_fault;

/// What is told of an entry.
mod seen;

/// What may be asked.
mod request;

/// In what pieces it is answered.
mod response;

/// Which pieces answer which request.
mod grammar;

/// A whole answer.
mod answer;

/// The asking side.
mod requester;

/// The answering side.
mod responder;

/// Controller and agent.
mod control;

/// How further lanes come about.
mod lane_talk;

/// How two agents meet.
mod direct;

/// Memory of bodies.
pub mod spare;

/// What ends a session.
mod violation;

/// Between a session and those who ask and answer through it.
mod seam;

/// Everything that decodes, in one call, for fuzzing.
pub mod fuzzing;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod simulation;

pub use answer::{Answer, Detailed, Fetched, FetchedSome, Outcome, ReadBlocks, ReadContent};
pub use bounded::{
    AttributeName, AttributeValue, BlockMap, Chunks, Digest, Digests, EventBytes, LinkText, List,
    Name, OperatorPath, OutcomeBytes, OwnerName, ProgressBytes, Signature, Text, WorkPiece,
};
pub use codec::Malformed;
pub use control::{Control, ControlError, Failure, FailureKind, Role, Task, Told};
pub use direct::{DirectEnd, DirectLoss, DirectMeeting, DirectOffer, DirectTalk, DirectWish};
pub use frame::{Content, Flags, Frame, FrameKind, Header, Outgoing, RequestId, Topic};
pub use greeting::{Capacity, Features, Hello, Opening, REVISION, SessionId, System};
pub use image::{
    BLOCK_BYTES, BlocksTold, Cut, DigestRun, DigestRuns, Grain, Ground, OpenedImage, PieceHash,
    Pieces, Spans,
};
pub use io_fault::{FaultKind, IoFault};
pub use lane::{LaneEnd, LaneNumber, Link, Patience};
pub use lane_talk::{
    AddressFamily, Fingerprint, LaneCount, LaneKind, LaneOffer, LaneRefusal, LaneTalk, LaneWanted,
    Pass, PortRange,
};
pub use packing::{Packed, Packer, Packing, Unpacker};
pub use request::{
    Access, AccessTime, Algorithm, Basis, ContentOf, DeltaSeed, Expected, FileAt, Follow, Handle,
    HandleKind, Named, OldFile, Owner, Place, Request, Room, Span, Update,
};
pub use requester::{Requester, StartError};
pub use responder::{Delivery, End, RespondError, Responder, Ticket, Work};
pub use response::{After, Arrived, ContentSum, FetchedFile, FetchedFiles, Mount, Piece, Reply};
pub use seam::{Ask, AskError, Respond, Serve, settled};
pub use seen::{
    Acls, Attribute, Attributes, AttributesPiece, Entry, InlineAttributes, Page, PageBuilder,
    PageEnd, Seen, Wants,
};
pub use violation::Violation;
