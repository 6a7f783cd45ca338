//! What answers a request: the pieces in which it travels, one to a frame.

use model::Metadata;

use crate::bounded::{Chunks, Digest, List, OwnerName};
use crate::codec::{Codec, Malformed, Reader, choice, encode, record};
use crate::frame::{Content, Frame, FrameKind, Header, Outgoing};
use crate::image::{BlocksTold, DigestRuns, OpenedImage};
use crate::io_fault::IoFault;
use crate::limits::{EXTENTS, FETCHED_FILES};
use crate::packing::Unpacker;
use crate::request::Span;
use crate::seen::{AttributesPiece, Page, PageEnd, Seen, file_offset};
use crate::violation::Violation;

/// What a mount is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, where the system can tell.
    pub id: Option<u64>,
    /// Whether the entry is where something is mounted, where the system can tell.
    pub is_root: Option<bool>,
}

record!(Mount { id, is_root });

/// The BLAKE3 of what a response tells of a file. It is made where that is read and travels with it, so
/// that whoever takes it can see that it is what was read, whatever was between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentSum(pub [u8; 32]);

impl Codec for ContentSum {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Codec::read(reader).map(Self)
    }
}

/// What is known of a file after all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// What it is then.
    pub metadata: Metadata,
    /// Of its content.
    pub sum: ContentSum,
}

record!(After { metadata, sum });

/// A file that was fetched with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedFile {
    /// What it was before it was read.
    pub before: Box<Seen>,
    /// How much was read, which stands behind the content of the files before it.
    pub bytes: u64,
    /// What it was after that, if that is something else.
    pub after: Option<Metadata>,
}

impl Codec for FetchedFile {
    fn write(&self, out: &mut Vec<u8>) {
        self.before.write(out);
        self.bytes.write(out);
        self.after.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let before = Codec::read(reader)?;
        let bytes = file_offset(Codec::read(reader)?)?;
        Ok(Self { before, bytes, after: Codec::read(reader)? })
    }
}

/// Files that were fetched together, in the order in which they were asked for; `None` for what does not
/// come so: it is no file, cannot be read, or has no room.
pub type FetchedFiles = List<Option<FetchedFile>, FETCHED_FILES>;

/// A piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Anything but bulk.
    Reply(Reply),
    /// Content at an offset.
    Data {
        /// Where in the file.
        offset: u64,
        /// What is there.
        content: Content,
    },
    /// Operations of a delta, in the order of pieces.
    Operations(Content),
}

/// A frame of a response, decoded. What it may be is for the [`Requester`](crate::Requester) to say;
/// but for this, none is needed, so that many lanes can do it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub(crate) header: Header,
    /// What the frame would have taken on its lane without compression.
    pub(crate) wire_bytes: u64,
    pub(crate) piece: Piece,
}

impl Arrived {
    /// Decodes a frame of the topic [`Topic::Response`](crate::Topic).
    pub fn decode(frame: Frame, unpacker: &mut Unpacker) -> Result<Self, Violation> {
        let frame = unpacker.unpack(frame)?;
        let (header, wire_bytes) = (frame.header, frame.wire_bytes());
        Ok(Self { header, wire_bytes, piece: Piece::from_frame(frame)? })
    }

    /// The kind of the frame.
    pub fn kind(&self) -> FrameKind {
        self.header.kind
    }

    /// What the frame would have taken on its lane without compression.
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }
}

impl From<Reply> for Piece {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// A piece that is no bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// It is open, and this is what was opened.
    Opened(Metadata),
    /// An entry. Of a file to be fetched: what it was before it was read.
    Seen(Box<Seen>),
    /// Attributes of the entry before, which did not fit into it.
    Attributes(AttributesPiece),
    /// Entries, ascending over all pages.
    Page {
        /// The entries.
        page: Page,
        /// What comes after them.
        end: PageEnd,
    },
    /// The file ends at this offset, before what was asked for does.
    FileEnds(u64),
    /// What is known of a file that was fetched, or told by operations, after it was read.
    After(After),
    /// Where data is, ascending over all pieces.
    Extents {
        /// Data; between it are holes.
        data: List<Span, EXTENTS>,
        /// Up to where all is told.
        known_to: u64,
    },
    /// A digest.
    Digest(Digest),
    /// A mount.
    Mount(Mount),
    /// A size.
    Size(u64),
    /// The request failed, whatever came before.
    Fault(IoFault),
    /// The name of an owner, if it has one that is known and not too long.
    OwnerName(Option<OwnerName>),
    /// Of what came before it.
    Sum(ContentSum),
    /// Files that were fetched together.
    Files {
        /// What they are.
        files: FetchedFiles,
        /// Of their content, one behind the other; it follows.
        sum: ContentSum,
    },
    /// An image is open, and this is what was opened.
    OpenedImage(Box<OpenedImage>),
    /// Digests, in the order of what was asked for.
    Digests(DigestRuns),
    /// Blocks, of which those follow that are not zeros.
    Blocks(BlocksTold),
    /// The chunks of a part of an image.
    Chunks(Chunks),
}

choice!(Reply, "reply":
    0 => Done,
    1 => Opened(metadata),
    2 => Seen(seen),
    3 => Attributes(attributes),
    4 => Page { page, end },
    5 => FileEnds(offset),
    6 => After(after),
    7 => Extents { data, known_to },
    8 => Digest(digest),
    9 => Mount(mount),
    10 => Size(size),
    11 => Fault(fault),
    12 => OwnerName(name),
    13 => Sum(sum),
    14 => Files { files, sum },
    15 => OpenedImage(image),
    16 => Digests(runs),
    17 => Blocks(told),
    18 => Chunks(chunks),
);

/// Length of the offset before data.
const OFFSET_BYTES: usize = 8;

impl Piece {
    /// The frame that carries it; `header` says all but the kind.
    pub(crate) fn into_outgoing(self, header: Header) -> Outgoing {
        match self {
            Self::Reply(reply) => {
                Outgoing::frame(Header { kind: FrameKind::Response, ..header }, &encode(&reply))
            }
            Self::Data { offset, content } => {
                let header = Header { kind: FrameKind::Data, ..header };
                Outgoing::with_content(header, &offset.to_le_bytes(), content)
            }
            Self::Operations(content) => {
                let header = Header { kind: FrameKind::Operations, ..header };
                Outgoing::with_content(header, &[], content)
            }
        }
    }

    /// The piece that a frame carries.
    pub(crate) fn from_frame(frame: Frame) -> Result<Self, Violation> {
        let kind = frame.header.kind;
        let malformed = |malformed| Violation::Body { kind, malformed };
        match kind {
            FrameKind::Response => frame.decode().map(Self::Reply),
            FrameKind::Data => {
                let offset = frame.body.first_chunk::<OFFSET_BYTES>().copied().unwrap_or_default();
                let content = Content::of_body(frame.body, OFFSET_BYTES).map_err(malformed)?;
                Ok(Self::Data { offset: u64::from_le_bytes(offset), content })
            }
            FrameKind::Operations => {
                Content::of_body(frame.body, 0).map(Self::Operations).map_err(malformed)
            }
            other => Err(Violation::WrongSide(other)),
        }
    }
}
