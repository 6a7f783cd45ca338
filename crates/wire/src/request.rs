//! What the requesting side may ask for.
//!
//! Every request reads and can be repeated, so that one whose lane died is asked again on another lane.
//! The exception is [`Request::Remove`], which says what it expects to remove.

use std::fmt;
use std::ops::Range;

use crate::bounded::{List, Name, OperatorPath, Signature};
use crate::codec::{Codec, Malformed, Reader, choice, record};
use crate::frame::RequestId;
use crate::image::{self, Cut, Pieces, Spans};
use crate::limits::{
    self, BASIS_SIGNATURES, CLOSED_HANDLES, FETCHED_FILES, LIST_ROOM_LEAST_BYTES, READ_BYTES,
    ROOM_BYTES,
};
use crate::seen::{Wants, file_offset};

use model::Timestamp;

/// A directory or file that the responder holds open. It is named by the request that opened it, so
/// that it can be used before that is answered, and never comes twice in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub RequestId);

impl fmt::Display for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Codec for Handle {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        RequestId::read(reader).map(Self)
    }
}

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandleKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A signature, which the requester gave.
    Signature,
}

/// What a directory is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To list it, too.
    Read,
    /// Only to reach what is named in it.
    Search,
}

choice!(Access, "access": 0 => Read, 1 => Search);

/// What becomes of a symbolic link in the last component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follow {
    /// It stands for itself; to open it fails.
    Never,
    /// It stands for what it leads to.
    Links,
    /// It stands for what it leads to if root made it, or the user that reads; another one cannot be
    /// followed. The same holds for links on the way to where it leads.
    OwnLinks,
}

choice!(Follow, "way with links": 0 => Never, 1 => Links, 2 => OwnLinks);

/// Whether reading counts as an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTime {
    /// The access time changes as the file system is mounted to.
    Update,
    /// The access time stays, where the system permits it.
    Keep,
}

choice!(AccessTime, "way with access times": 0 => Update, 1 => Keep);

/// An open directory, or a name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The directory.
    Itself(Handle),
    /// What is called so in it.
    Named(Named),
}

choice!(Place, "place": 0 => Itself(dir), 1 => Named(named));

impl Place {
    /// The open directory.
    pub fn dir(&self) -> Handle {
        match self {
            Self::Itself(dir) | Self::Named(Named { dir, .. }) => *dir,
        }
    }
}

/// A name in an open directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The directory.
    pub dir: Handle,
    /// The name.
    pub name: Name,
}

record!(Named { dir, name });

/// A file that is to be opened, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// Which file.
    pub at: Named,
    /// What becomes of a link.
    pub follow: Follow,
    /// Whether reading it counts.
    pub atime: AccessTime,
}

record!(FileAt { at, follow, atime });

/// Where content is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentOf {
    /// An open file.
    Open(Handle),
    /// A file that is opened for this.
    Named(FileAt),
}

choice!(ContentOf, "content": 0 => Open(file), 1 => Named(file));

/// A part of a file, which need not have so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// Takes a range that is not empty and lies where a file can be.
    pub fn new(range: Range<u64>) -> Result<Self, Malformed> {
        if range.is_empty() {
            return Err(Malformed::Forbidden { what: "a range", why: "is empty" });
        }
        Ok(Self { start: range.start, end: file_offset(range.end)? })
    }

    /// The range.
    pub fn range(self) -> Range<u64> {
        self.start..self.end
    }

    /// How long it is.
    pub fn bytes(self) -> u64 {
        self.end - self.start
    }
}

impl Codec for Span {
    fn write(&self, out: &mut Vec<u8>) {
        self.start.write(out);
        (self.end - self.start).write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let start = u64::read(reader)?;
        Self::new(start..start.saturating_add(u64::read(reader)?))
    }
}

/// So many bytes of room for a response, beyond the fixed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Room<const LEAST: u32>(u32);

impl<const LEAST: u32> Room<LEAST> {
    /// Takes what is neither too little to be of use nor too much.
    pub fn new(bytes: u32) -> Result<Self, Malformed> {
        if bytes < LEAST {
            return Err(Malformed::Forbidden { what: "room", why: "is too little to be of use" });
        }
        let (value, limit) = (bytes.into(), ROOM_BYTES.into());
        (bytes <= ROOM_BYTES).then_some(Self(bytes)).ok_or(Malformed::OutOfRange {
            what: "room",
            value,
            limit,
        })
    }

    /// The number of bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32> Codec for Room<LEAST> {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(u32::read(reader)?)
    }
}

/// Algorithms of digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// BLAKE3, 256 bits.
    Blake3,
    /// XXH3, 128 bits.
    Xxh128,
    /// XXH3, 64 bits.
    Xxh3,
    /// XXH64.
    Xxh64,
    /// MD5.
    Md5,
    /// MD4.
    Md4,
    /// SHA-1.
    Sha1,
}

choice!(Algorithm, "algorithm":
    1 => Blake3,
    2 => Xxh128,
    3 => Xxh3,
    4 => Xxh64,
    5 => Md5,
    6 => Md4,
    7 => Sha1,
);

impl Algorithm {
    /// Length of its digests.
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Blake3 => 32,
            Self::Xxh128 | Self::Md5 | Self::Md4 => 16,
            Self::Xxh3 | Self::Xxh64 => 8,
            Self::Sha1 => 20,
        }
    }
}

/// What a file must be to be removed: the one that was brought over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its file system.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// Its size.
    pub size: u64,
    /// When it was changed.
    pub mtime: Timestamp,
}

record!(Expected { dev, ino, size, mtime });

/// The secret of one transfer, on which the sums of its signatures depend: random, and drawn anew for
/// each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeltaSeed(pub [u8; 32]);

impl fmt::Debug for DeltaSeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DeltaSeed")
    }
}

impl Codec for DeltaSeed {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Codec::read(reader).map(Self)
    }
}

/// Where the requester makes the new file of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Beside the old one, which stays whole.
    Apart,
    /// Over it: what was written over cannot be copied any more.
    InPlace,
}

choice!(Update, "way of an update": 0 => Apart, 1 => InPlace);

/// What an operation may copy from, and how the new file comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Signatures of pieces that follow each other, all open.
    pub signatures: List<Handle, BASIS_SIGNATURES>,
    /// What their sums depend on.
    pub seed: DeltaSeed,
    /// Where the new file comes into being.
    pub update: Update,
}

record!(Basis { signatures, seed, update });

/// An old file that is short enough for one signature, which travels with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldFile {
    /// Of all of it.
    pub signature: Signature,
    /// What its sums depend on.
    pub seed: DeltaSeed,
}

record!(OldFile { signature, seed });

/// The number of an account of the responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A user.
    User(u32),
    /// A group.
    Group(u32),
}

choice!(Owner, "kind of owner": 0 => User(uid), 1 => Group(gid));

/// A request. In each comment, what answers it if nothing goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are of types that say what they are")]
pub enum Request {
    /// Opens a directory that the user named: links are followed, once, here. *Opened.*
    OpenRoot { path: OperatorPath, access: Access },
    /// Opens a directory in a directory. *Opened.*
    OpenChild { at: Named, access: Access, follow: Follow, atime: AccessTime },
    /// Opens the directory above. *Opened.*
    OpenParent { dir: Handle },
    /// Opens a directory a second time. *Opened.*
    Reopen { dir: Handle },
    /// Lists a directory in ascending order of the bytes of names, from behind `after`. *Listed.*
    List { dir: Handle, wants: Wants, after: Option<Name>, room: Room<LIST_ROOM_LEAST_BYTES> },
    /// Looks at an entry; metadata is told whether wanted or not. *Seen.*
    Look { at: Place, follow: Follow, wants: Wants, room: Room<0> },
    /// Asks whether names in a directory can be reached. *Done.*
    CheckSearch { dir: Handle },
    /// Asks which mount an entry lies on. *Mount.*
    LookAtMount { at: Place },
    /// Opens a file. *Opened.*
    OpenFile { file: FileAt },
    /// All of a file that has no more content than there is room for: looks at it, reads it, looks
    /// again. *Fetched.*
    Fetch { file: FileAt, wants: Wants, room: Room<0> },
    /// Reads a part of a file. *Read.*
    Read { file: Handle, span: Span },
    /// Asks where a file has data and no holes. *Extents.*
    FindExtents { file: Handle, span: Span, room: Room<0> },
    /// Asks for the digest of a part of a file. *Digest.*
    Hash { of: ContentOf, algorithm: Algorithm, seed: u64, span: Span },
    /// Asks how to make a part of a file from what the requester has. *Operations.*
    Delta { file: Handle, span: Span, basis: Basis, room: Room<0> },
    /// Looks at an open file. *Seen.*
    LookAtFile { file: Handle, wants: Wants, room: Room<0> },
    /// Asks for the size of an open device. *Size.*
    Measure { file: Handle },
    /// Removes a file, unless it is another one than expected. *Done.*
    Remove { at: Named, expected: Expected },
    /// Closes handles; those that are not open are passed over. *Done.*
    Close { handles: List<Handle, CLOSED_HANDLES> },
    /// Asks by what name an owner is known where the tree is. *`OwnerName`.*
    OwnerName { of: Owner },
    /// Gives the signature of a piece of what the requester has, to be kept for deltas. *Done.*
    Sign { signature: Signature },
    /// All of a file as `Fetch` asks for it, but how to make it of an old one instead of its content.
    /// *Renewed.*
    Renew { file: FileAt, wants: Wants, old: OldFile, room: Room<0> },
    /// All of some files of one directory, as `Fetch` asks for one, but those that do not come so are
    /// only told. No link is followed. *`FetchedSome`.*
    FetchSome {
        dir: Handle,
        names: List<Name, FETCHED_FILES>,
        atime: AccessTime,
        wants: Wants,
        room: Room<0>,
    },
    /// Opens an image that the user named: links are followed, once, here. *`OpenedImage`.*
    OpenImage { path: OperatorPath },
    /// Asks for the digests of parts of a file that is an image. Each begins where a piece of the grain does,
    /// and ends so, or with the image. *Digests.*
    Digests { file: Handle, spans: Spans, pieces: Pieces },
    /// Reads parts of a file, but for what is zeros there. *Blocks.*
    ReadBlocks { file: Handle, spans: Spans },
    /// Asks for the chunks of a part of a file that is an image, which is cut from its start on. *Chunks.*
    Chunks { file: Handle, span: Span, cut: Cut },
}

choice!(Request, "request":
    1 => OpenRoot { path, access },
    2 => OpenChild { at, access, follow, atime },
    3 => OpenParent { dir },
    4 => Reopen { dir },
    5 => List { dir, wants, after, room },
    6 => Look { at, follow, wants, room },
    7 => CheckSearch { dir },
    8 => LookAtMount { at },
    9 => OpenFile { file },
    10 => Fetch { file, wants, room },
    11 => Read { file, span },
    12 => FindExtents { file, span, room },
    13 => Hash { of, algorithm, seed, span },
    14 => Delta { file, span, basis, room },
    15 => LookAtFile { file, wants, room },
    16 => Measure { file },
    17 => Remove { at, expected },
    18 => Close { handles },
    19 => OwnerName { of },
    20 => Sign { signature },
    21 => Renew { file, wants, old, room },
    22 => FetchSome { dir, names, atime, wants, room },
    23 => OpenImage { path },
    24 => Digests { file, spans, pieces },
    25 => ReadBlocks { file, spans },
    26 => Chunks { file, span, cut },
);

impl Request {
    /// What it opens, if it opens something.
    pub fn opens(&self) -> Option<HandleKind> {
        match self {
            Self::OpenRoot { .. }
            | Self::OpenChild { .. }
            | Self::OpenParent { .. }
            | Self::Reopen { .. } => Some(HandleKind::Directory),
            Self::OpenFile { .. } | Self::OpenImage { .. } => Some(HandleKind::File),
            Self::Sign { .. } => Some(HandleKind::Signature),
            _ => None,
        }
    }

    /// The signatures that it works with besides. They must be known to be open.
    pub fn signatures(&self) -> &[Handle] {
        match self {
            Self::Delta { basis, .. } => basis.signatures.as_slice(),
            _ => &[],
        }
    }

    /// All handles that it works with.
    pub(crate) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.uses().map(|(handle, _)| handle).into_iter().chain(self.signatures().iter().copied())
    }

    /// The directory or file that it works with. No request works with two.
    pub fn uses(&self) -> Option<(Handle, HandleKind)> {
        let (handle, kind) = match self {
            Self::OpenRoot { .. }
            | Self::OpenImage { .. }
            | Self::Close { .. }
            | Self::OwnerName { .. }
            | Self::Sign { .. } => return None,
            Self::OpenParent { dir }
            | Self::Reopen { dir }
            | Self::List { dir, .. }
            | Self::FetchSome { dir, .. }
            | Self::CheckSearch { dir } => (*dir, HandleKind::Directory),
            Self::Look { at, .. } | Self::LookAtMount { at } => (at.dir(), HandleKind::Directory),
            Self::OpenChild { at, .. } | Self::Remove { at, .. } => (at.dir, HandleKind::Directory),
            Self::OpenFile { file }
            | Self::Fetch { file, .. }
            | Self::Renew { file, .. }
            | Self::Hash { of: ContentOf::Named(file), .. } => (file.at.dir, HandleKind::Directory),
            Self::Read { file, .. }
            | Self::FindExtents { file, .. }
            | Self::Delta { file, .. }
            | Self::LookAtFile { file, .. }
            | Self::Measure { file }
            | Self::Digests { file, .. }
            | Self::ReadBlocks { file, .. }
            | Self::Chunks { file, .. }
            | Self::Hash { of: ContentOf::Open(file), .. } => (*file, HandleKind::File),
        };
        Some((handle, kind))
    }

    /// True of what brings content of files, and little else.
    pub(crate) fn is_for_content(&self) -> bool {
        matches!(
            self,
            Self::Fetch { .. }
                | Self::FetchSome { .. }
                | Self::Renew { .. }
                | Self::Read { .. }
                | Self::ReadBlocks { .. }
                | Self::Delta { .. }
        )
    }

    /// The credit that its response needs at most; `None` for a span that no request may have.
    pub(crate) fn credit(&self) -> Option<u64> {
        let content_bytes = match self {
            Self::List { room, .. } => room.bytes(),
            Self::Look { room, .. }
            | Self::Fetch { room, .. }
            | Self::FetchSome { room, .. }
            | Self::Renew { room, .. }
            | Self::FindExtents { room, .. }
            | Self::Delta { room, .. }
            | Self::LookAtFile { room, .. } => room.bytes(),
            Self::Read { span, .. } => {
                u32::try_from(span.end - span.start).ok().filter(|length| *length <= READ_BYTES)?
            }
            Self::OpenImage { .. } => image::OPENED_IMAGE_BYTES,
            Self::Digests { spans, pieces, .. } => image::digests_room(spans.as_slice(), pieces)?,
            Self::ReadBlocks { spans, .. } => image::blocks_room(spans.as_slice())?,
            Self::Chunks { .. } => limits::CHUNKS_BYTES,
            _ => 0,
        };
        Some(limits::credit_for(content_bytes))
    }
}

/// What the body of a request frame holds.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Most bytes that the frames of the response may have, headers included.
    pub(crate) credit: u64,
    pub(crate) request: Request,
}

record!(Ask { credit, request });

/// The body of a request frame.
pub(crate) fn ask(credit: u64, request: &Request) -> Vec<u8> {
    let mut body = Vec::new();
    credit.write(&mut body);
    request.write(&mut body);
    body
}
