//! Frames: what a lane carries after the greetings.
//!
//! A header of sixteen bytes, in little-endian order, and a body:
//!
//! ```text
//! 0        4      5       6         8             16
//! | length | kind | flags | attempt | request id  | body of `length` bytes
//! ```

use std::fmt;
use std::ops::Deref;

use bitflags::bitflags;

use crate::bounded::check_length;
use crate::codec::{Codec, Malformed, Reader, decode};
use crate::limits::{BODY_BYTES, CONTENT_BYTES, HEADER_BYTES};
use crate::spare;
use crate::violation::Violation;

/// Names a request, its responses, and the handle that it opens. The requester counts upwards from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Codec for RequestId {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        u64::read(reader).map(Self)
    }
}

/// What a frame is about. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A message between controller and agent.
    Control = 1,
    /// The sender is there and has nothing to say.
    Keepalive = 2,
    /// A request.
    Request = 16,
    /// The response to a request is no longer wanted.
    Cancel = 17,
    /// Lanes that the requester gave up.
    Void = 18,
    /// A response or a part of it.
    Response = 32,
    /// Content of a file at an offset.
    Data = 33,
    /// Operations of a delta.
    Operations = 34,
}

/// Which machine a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// [`Control`](crate::Control).
    Control,
    /// [`Responder`](crate::Responder).
    Request,
    /// [`Requester`](crate::Requester).
    Response,
}

impl FrameKind {
    /// Whom to give it to; `None` for what a [`Link`](crate::Link) keeps for itself.
    pub fn topic(self) -> Option<Topic> {
        match self {
            Self::Control => Some(Topic::Control),
            Self::Keepalive => None,
            Self::Request | Self::Cancel | Self::Void => Some(Topic::Request),
            Self::Response | Self::Data | Self::Operations => Some(Topic::Response),
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Control,
            Self::Keepalive,
            Self::Request,
            Self::Cancel,
            Self::Void,
            Self::Response,
            Self::Data,
            Self::Operations,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }

    fn body_limit(self) -> usize {
        match self {
            Self::Keepalive | Self::Cancel => 0,
            _ => BODY_BYTES,
        }
    }

    /// Whether the header names a request.
    fn has_request(self) -> bool {
        !matches!(self, Self::Control | Self::Keepalive | Self::Void)
    }
}

bitflags! {
    /// Bits of a header.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// Nothing more follows for this request.
        const LAST = 1 << 0;
        /// The body is compressed by zstd; only in responses, to who said that it takes it.
        const ZSTD = 1 << 1;
        /// The body is compressed by LZ4; likewise.
        const LZ4 = 1 << 2;
        /// One of the two.
        const PACKED = Self::ZSTD.bits() | Self::LZ4.bits();
    }
}

/// What stands before a body, but for its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is about.
    pub kind: FrameKind,
    /// Bits.
    pub flags: Flags,
    /// Which attempt at the request: 0, and one more for each lane that died under it.
    pub attempt: u16,
    /// The request; 0 where the kind has none.
    pub id: RequestId,
}

impl Header {
    /// Of a frame that belongs to no request.
    pub(crate) fn plain(kind: FrameKind) -> Self {
        Self { kind, flags: Flags::empty(), attempt: 0, id: RequestId(0) }
    }

    fn to_bytes(self, length: usize) -> [u8; HEADER_BYTES] {
        let length = u32::try_from(length).expect("bodies are limited to far less than 4 GiB");
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&length.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.flags.bits();
        bytes[6..8].copy_from_slice(&self.attempt.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.id.0.to_le_bytes());
        bytes
    }

    /// The header and the length of the body.
    fn parse(bytes: [u8; HEADER_BYTES]) -> Result<(Self, usize), Violation> {
        let [l0, l1, l2, l3, kind, flags, a0, a1, id @ ..] = bytes;
        let kind = FrameKind::from_number(kind).ok_or(Violation::FrameKind(kind))?;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let limit = kind.body_limit();
        let body = usize::try_from(length).ok().filter(|body| *body <= limit);
        let body = body.ok_or(Violation::FrameLength { length, limit })?;
        let flags = Flags::from_bits(flags).ok_or(Violation::Header(kind))?;
        if flags.contains(Flags::PACKED) {
            return Err(Violation::Compression);
        }
        let id = RequestId(u64::from_le_bytes(id));
        let header = Self { kind, flags, attempt: u16::from_le_bytes([a0, a1]), id };
        let is_sound = if kind.has_request() {
            id.0 != 0 && (flags.is_empty() || kind.topic() == Some(Topic::Response))
        } else {
            header == Self::plain(kind)
        };
        is_sound.then_some((header, body)).ok_or(Violation::Header(kind))
    }
}

/// A frame that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What stands before the body.
    pub header: Header,
    /// The body.
    pub body: Vec<u8>,
}

impl Frame {
    /// The value that the body stands for.
    pub(crate) fn decode<T: Codec>(&self) -> Result<T, Violation> {
        decode(&self.body).map_err(|malformed| self.malformed(malformed))
    }

    pub(crate) fn malformed(&self, malformed: Malformed) -> Violation {
        Violation::Body { kind: self.header.kind, malformed }
    }

    /// Bytes that the frame took on its lane.
    pub(crate) fn wire_bytes(&self) -> u64 {
        (HEADER_BYTES + self.body.len()) as u64
    }
}

/// Content of a file, or operations: bytes that nothing was copied out of.
#[derive(Clone, Default)]
pub struct Content {
    bytes: Vec<u8>,
    /// What stands before the content, in a body that arrived.
    skipped: usize,
}

impl Content {
    /// Takes what fits one frame.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Malformed> {
        Self::of_body(bytes, 0)
    }

    /// The content of a body that has `skipped` bytes before it.
    pub(crate) fn of_body(bytes: Vec<u8>, skipped: usize) -> Result<Self, Malformed> {
        let length = bytes.len().checked_sub(skipped).ok_or(Malformed::Truncated)?;
        check_length("content", length, CONTENT_BYTES)?;
        if length == 0 {
            return Err(Malformed::Forbidden { what: "content", why: "is empty" });
        }
        Ok(Self { bytes, skipped })
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        spare::keep(std::mem::take(&mut self.bytes));
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.skipped..]
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Content({} bytes)", self.len())
    }
}

/// Bytes for a lane, in two parts so that content is not copied behind its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    head: Vec<u8>,
    content: Content,
}

impl Outgoing {
    /// Bytes that are no frame: a greeting.
    pub(crate) fn bare(head: Vec<u8>) -> Self {
        Self { head, content: Content::default() }
    }

    /// A frame whose body is `body`.
    pub(crate) fn frame(header: Header, body: &[u8]) -> Self {
        Self::with_content(header, body, Content::default())
    }

    /// A frame whose body is `before` and then the content.
    pub(crate) fn with_content(header: Header, before: &[u8], content: Content) -> Self {
        let length = before.len() + content.len();
        debug_assert!(length <= BODY_BYTES, "all that goes into a frame is bounded");
        let mut head = Vec::with_capacity(HEADER_BYTES + before.len());
        head.extend_from_slice(&header.to_bytes(length));
        head.extend_from_slice(before);
        Self { head, content }
    }

    /// The bytes, one part after the other; the second may be empty.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.content]
    }

    /// Number of bytes.
    pub fn byte_count(&self) -> usize {
        self.head.len() + self.content.len()
    }
}

/// Cuts the bytes of a lane into frames, however they are chunked.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    head: Vec<u8>,
    /// Set once the header is complete, with the length of the body.
    open: Option<(Frame, usize)>,
}

impl Decoder {
    /// Takes bytes off the front of `input`, up to the end of one frame.
    pub(crate) fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        if self.open.is_none() {
            take_up_to(HEADER_BYTES, &mut self.head, input);
            let Ok(bytes) = self.head.as_slice().try_into() else { return Ok(None) };
            let (header, length) = Header::parse(bytes)?;
            self.head.clear();
            self.open = Some((Frame { header, body: spare::with_capacity(length) }, length));
        }
        if let Some((frame, length)) = &mut self.open {
            take_up_to(*length, &mut frame.body, input);
        }
        let complete = self.open.take_if(|(frame, length)| frame.body.len() == *length);
        Ok(complete.map(|(frame, _)| frame))
    }
}

/// Fills `into` up to `length` from the front of `input`.
fn take_up_to(length: usize, into: &mut Vec<u8>, input: &mut &[u8]) {
    let missing = length.saturating_sub(into.len()).min(input.len());
    let (taken, rest) = input.split_at(missing);
    into.extend_from_slice(taken);
    *input = rest;
}

#[cfg(test)]
pub(crate) mod tests;
