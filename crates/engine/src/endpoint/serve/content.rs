//! What is in files.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use fs::block_device::BlockDevice;
use fs::image::Image;
use fs::{Dir, File};
use model::settings::Checksum;
use model::{Inode, Kind};
use parking_lot::Mutex;
use wire::{
    After, Algorithm, AttributesPiece, Content, ContentOf, ContentSum, Digest, FaultKind,
    FetchedFile, FileAt, Follow, Handle, IoFault, List, Malformed, Name, Piece, Reply, Span, Wants,
    limits,
};

use super::look::{self, Detailed, Subject};
use super::terms::Follows;
use super::{Answering, Halt, Object, ServedDir, Server, not_open, of_wire, path};
use crate::blocks::extents::Map;
use crate::checksum;
use crate::endpoint::sums;

/// A file that is held open for the requester.
#[derive(Debug)]
pub(super) struct ServedFile {
    pub(super) kept: Kept,
    /// Its content is compressed already.
    pub(super) is_as_is: bool,
}

/// What was opened.
#[derive(Debug)]
pub(super) enum Kept {
    File(File),
    Image(Box<ServedImage>),
}

impl Kept {
    /// What was opened by its name: it may be asked for as an image is.
    fn of(file: File, kind: Kind) -> io::Result<Self> {
        Ok(match kind {
            Kind::File | Kind::BlockDevice => {
                Self::Image(Box::new(ServedImage::of(Image::of(file)?)))
            }
            _ => Self::File(file),
        })
    }
}

/// An image that is held open for the requester.
#[derive(Debug)]
pub(super) struct ServedImage {
    pub(super) image: Image,
    /// What the file system has told of where it has data.
    pub(super) map: Map,
    /// Held by who digests much of it, if it has a head that must be moved.
    pub(super) head: Option<Mutex<()>>,
}

impl ServedImage {
    pub(super) fn of(image: Image) -> Self {
        let has_head = image.device().is_some_and(BlockDevice::is_rotational);
        // Others may have written to it by another way, as a file system does that lies on it.
        if image.device().is_some() {
            image.forget_cached();
        }
        Self { image, map: Map::default(), head: has_head.then(Mutex::default) }
    }
}

impl ServedFile {
    pub(super) fn file(&self) -> &File {
        match &self.kept {
            Kept::File(file) => file,
            Kept::Image(served) => served.image.file(),
        }
    }
}

/// Opens what is read by its name in a directory.
pub(super) struct Opener<'a> {
    dir: &'a Dir,
    /// Own links must lead to what lies below this directory, if they must.
    beneath: Option<Inode>,
}

impl Opener<'_> {
    pub(super) fn open(
        &self,
        name: &Name,
        follow: Follow,
        atime: fs::AccessTime,
    ) -> io::Result<File> {
        let (dir, name) = (self.dir, name.as_bytes());
        match (follow, self.beneath) {
            (Follow::Never, _) => dir.open_file(name, atime),
            (Follow::Links, _) => dir.open_file_following(name, atime),
            (Follow::OwnLinks, None) => fs::below::open_content_below(dir, path(name)),
            (Follow::OwnLinks, Some(root)) => {
                fs::below::open_content_beneath(dir, path(name), root)
            }
        }
    }
}

impl Server {
    pub(super) fn opener<'a>(&self, dir: &'a ServedDir) -> Opener<'a> {
        let may_lead_out =
            self.terms.believes_own_links || self.terms.follows_links == Follows::All;
        Opener { dir: &dir.dir, beneath: (!may_lead_out).then(|| dir.way.root()) }
    }
}

/// Encoded, an extent has no more: two numbers of ten bytes each.
const EXTENT_BYTES: u32 = 20;

/// What the protocol cannot carry.
impl From<Malformed> for Halt {
    fn from(malformed: Malformed) -> Self {
        Self::Fault(IoFault::new(FaultKind::InvalidData, &malformed.to_string()))
    }
}

/// Hands in what a file has in a range; says where that ends, and what its sum is.
fn hand_in(
    answering: &mut Answering<'_>,
    file: &File,
    range: Range<u64>,
) -> Result<(u64, ContentSum), Halt> {
    let (mut offset, mut hasher) = (range.start, blake3::Hasher::new());
    while offset < range.end {
        let most = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
        let wanted = most.min(limits::CONTENT_BYTES);
        let mut bytes = wire::spare::with_capacity(wanted);
        let read = file.append_at(&mut bytes, wanted, offset)?;
        hasher.update(&bytes);
        if read > 0 {
            answering.more(Piece::Data { offset, content: Content::new(bytes)? })?;
        }
        offset += read as u64;
        if read < wanted {
            break;
        }
    }
    Ok((offset, sums::of(&hasher)))
}

/// Answers with a part of a file.
pub(super) fn read(answering: &mut Answering<'_>, file: &File, span: Span) -> Result<(), Halt> {
    let (end, sum) = hand_in(answering, file, span.range())?;
    if end < span.range().end {
        answering.more(Reply::FileEnds(end))?;
    }
    answering.last(Reply::Sum(sum))
}

/// A small file that was looked at and is about to be told.
pub(super) struct Begun {
    pub(super) file: File,
    pub(super) size: u64,
}

/// Answers with what a file is, what is in it, and what it is then.
pub(super) fn fetch(
    answering: &mut Answering<'_>,
    opener: &Opener<'_>,
    at: &FileAt,
    wants: Wants,
    room_bytes: u32,
) -> Result<(), Halt> {
    let Some(Begun { file, size }) = begin(answering, opener, at, wants, room_bytes)? else {
        return Ok(());
    };
    let (_, sum) = hand_in(answering, &file, 0..size)?;
    answering.last(Reply::After(After { metadata: file.metadata()?, sum }))
}

/// Answers with what a file is, and opens it. `None` where that is all of the answer: it is no file, or
/// one with more content than there is room for.
pub(super) fn begin(
    answering: &mut Answering<'_>,
    opener: &Opener<'_>,
    at: &FileAt,
    wants: Wants,
    room_bytes: u32,
) -> Result<Option<Begun>, Halt> {
    let subject = Subject::name(opener.dir, &at.at.name, at.follow);
    // What a link of somebody else leads to is not looked at.
    if at.follow != Follow::OwnLinks && subject.metadata()?.kind != Kind::File {
        return look::seen(answering, &subject, wants).map(|()| None);
    }
    let file = opener.open(&at.at.name, at.follow, of_wire(at.atime))?;
    let before = look::look(&Subject::File(&file), wants)?;
    let size = before.seen.metadata.size;
    let needed_bytes = size.saturating_add(before.attribute_bytes() as u64);
    if before.seen.metadata.kind != Kind::File || needed_bytes > u64::from(room_bytes) {
        return look::hand_in(answering, before).map(|()| None);
    }
    let Detailed { seen, more } = before;
    answering.more(Reply::Seen(Box::new(seen)))?;
    for piece in AttributesPiece::split(more)? {
        answering.more(Reply::Attributes(piece))?;
    }
    Ok(Some(Begun { file, size }))
}

/// How files are fetched together.
pub(super) struct Together {
    pub(super) atime: fs::AccessTime,
    pub(super) wants: Wants,
    /// For all of them, in bytes.
    pub(super) room: u32,
}

/// Files that are read one after the other.
#[derive(Default)]
struct Gathered {
    files: Vec<Option<FetchedFile>>,
    content: Vec<u8>,
    room_taken: u64,
    attribute_bytes: usize,
}

impl Gathered {
    /// Reads all of one more; `None` if it does not come so.
    fn read(
        &mut self,
        opener: &Opener<'_>,
        name: &Name,
        how: &Together,
    ) -> io::Result<Option<FetchedFile>> {
        let kind = Subject::name(opener.dir, name, Follow::Never).metadata()?.kind;
        if kind != Kind::File {
            return Ok(None);
        }
        let file = opener.open(name, Follow::Never, how.atime)?;
        let before = look::look(&Subject::File(&file), how.wants)?;
        let size = before.seen.metadata.size;
        let Some(room_taken) = self.room_taken_with(&before, how.room) else { return Ok(None) };
        let begin = self.content.len();
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let after = file.append_at(&mut self.content, size, 0).and_then(|_| file.metadata());
        if after.is_err() {
            self.content.truncate(begin);
        }
        let after = after?;
        (self.room_taken, self.attribute_bytes) =
            (room_taken, self.attribute_bytes + before.attribute_bytes());
        let bytes = (self.content.len() - begin) as u64;
        let after = (after != before.seen.metadata).then_some(after);
        Ok(Some(FetchedFile { before: Box::new(before.seen), bytes, after }))
    }

    /// The room that is taken with one more, if there is so much, and its attributes can be told with
    /// those of the others.
    fn room_taken_with(&self, before: &Detailed, room_bytes: u32) -> Option<u64> {
        let Detailed { seen, more } = before;
        let attribute_bytes = before.attribute_bytes();
        let is_told =
            !matches!(seen.attributes, Some(Err(_))) && !matches!(seen.acls, Some(Err(_)));
        let is_short = self.attribute_bytes + attribute_bytes <= limits::INLINE_ATTRIBUTES_BYTES;
        let fixed_bytes = u64::from(limits::FETCHED_FILE_COST_BYTES) + attribute_bytes as u64;
        let taken = self.room_taken.saturating_add(seen.metadata.size).saturating_add(fixed_bytes);
        let has_room = taken <= room_bytes.into() && seen.metadata.kind == Kind::File;
        (has_room && is_told && is_short && more.is_empty()).then_some(taken)
    }

    /// Answers with all of them.
    fn hand_in(self, answering: &mut Answering<'_>) -> Result<(), Halt> {
        let sum = sums::of(blake3::Hasher::new().update(&self.content));
        let told = Reply::Files { files: List::new(self.files)?, sum };
        answering.hand_in_all(told, self.content)
    }
}

impl Answering<'_> {
    /// Hands in what is told of content, and that.
    pub(super) fn hand_in_all(&mut self, told: Reply, mut content: Vec<u8>) -> Result<(), Halt> {
        if content.is_empty() {
            return self.last(told);
        }
        self.more(told)?;
        let mut offset = 0;
        if content.len() > limits::CONTENT_BYTES {
            // Each piece has memory of its own: it may wait when the others are gone.
            let last_at = (content.len() - 1) / limits::CONTENT_BYTES * limits::CONTENT_BYTES;
            for piece in content[..last_at].chunks(limits::CONTENT_BYTES) {
                self.more(Piece::Data { offset, content: Content::new(piece.to_vec())? })?;
                offset += piece.len() as u64;
            }
            content = content[last_at..].to_vec();
        }
        self.last(Piece::Data { offset, content: Content::new(content)? })
    }
}

/// Answers where a file has data.
pub(super) fn find_extents(
    answering: &mut Answering<'_>,
    file: &File,
    span: Span,
    room_bytes: u32,
) -> Result<(), Halt> {
    let most = usize::try_from(room_bytes / EXTENT_BYTES).unwrap_or(limits::EXTENTS);
    let most = most.clamp(1, limits::EXTENTS);
    let (mut data, mut known_to) = (List::default(), span.range().end);
    for extent in file.data_extents(span.range()) {
        let extent = extent?;
        let end = extent.end;
        let extent = Span::new(extent)?;
        if data.push(extent).is_err() || data.as_slice().len() == most {
            known_to = end;
            break;
        }
    }
    let told: Vec<_> = data.as_slice().iter().map(|span| span.range()).collect();
    answering.more(Reply::Extents { data, known_to })?;
    answering.last(Reply::Sum(sums::of_extents(&told, known_to)))
}

/// Answers with the digest of a part of a file.
pub(super) fn hash(
    answering: &mut Answering<'_>,
    file: &File,
    (algorithm, seed): (Algorithm, u64),
    span: Span,
) -> Result<(), Halt> {
    if seed != 0 {
        return Err(Halt::because(FaultKind::Unsupported, "digests have no seed here"));
    }
    let algorithm = match algorithm {
        Algorithm::Blake3 => Checksum::Blake3,
        Algorithm::Xxh128 => Checksum::Xxh128,
        Algorithm::Xxh3 => Checksum::Xxh3,
        Algorithm::Xxh64 => Checksum::Xxh64,
        Algorithm::Md5 => Checksum::Md5,
        Algorithm::Md4 => Checksum::Md4,
        Algorithm::Sha1 => Checksum::Sha1,
    };
    let go_on = || answering.go_on().map_err(|_| io::Error::from(io::ErrorKind::Interrupted));
    let digest = checksum::of_range(algorithm, file, span.range(), go_on)?;
    answering.last(Reply::Digest(Digest::new(digest)?))
}

impl Server {
    pub(super) fn file(&self, handle: Handle) -> Result<Arc<ServedFile>, Halt> {
        match self.open.read().get(&handle).map(|open| &open.object) {
            Some(Object::File(file)) => Ok(Arc::clone(file)),
            Some(_) => Err(Halt::because(FaultKind::WrongHandle, "it is no file")),
            None => Err(not_open()),
        }
    }

    /// Whether the content of what is called so is compressed already.
    pub(super) fn is_as_is(&self, name: &Name) -> bool {
        self.terms.left_as_is.as_ref().is_some_and(|it| it.has_suffix_of(name.as_bytes()))
    }

    /// The directory of a file that is read by its name.
    pub(super) fn dir_to_read(
        &self,
        answering: &mut Answering<'_>,
        file: &FileAt,
    ) -> Result<Arc<ServedDir>, Halt> {
        let dir = self.dir_of_content(file)?;
        if self.is_as_is(&file.at.name) {
            answering.respond.leave_as_is();
        }
        Ok(dir)
    }

    /// Answers with what some files of a directory are, and all that is in them.
    pub(super) fn fetch_some(
        &self,
        answering: &mut Answering<'_>,
        dir: Handle,
        names: &[Name],
        how: &Together,
    ) -> Result<(), Halt> {
        let dir = self.dir(dir)?;
        if names.iter().all(|name| self.is_as_is(name)) {
            answering.respond.leave_as_is();
        }
        let (opener, mut gathered) = (self.opener(&dir), Gathered::default());
        for name in names {
            answering.go_on()?;
            let may_be_read = self.reach_at(&dir, name, Kind::File).is_ok();
            // Who asks for it alone is told why it does not come.
            let file = may_be_read.then(|| gathered.read(&opener, name, how).ok().flatten());
            gathered.files.push(file.flatten());
        }
        gathered.hand_in(answering)
    }

    /// Opens a file, and answers so.
    pub(super) fn open_file_at(
        &self,
        answering: &mut Answering<'_>,
        at: &FileAt,
    ) -> Result<(), Halt> {
        let (file, metadata) = self.open_file(at)?;
        let kept = Kept::of(file, metadata.kind)?;
        let served = ServedFile { kept, is_as_is: self.is_as_is(&at.at.name) };
        self.opened(answering, Object::File(Arc::new(served)), metadata)
    }

    /// A file that is open and read.
    pub(super) fn content_of(
        &self,
        answering: &mut Answering<'_>,
        file: Handle,
    ) -> Result<Arc<ServedFile>, Halt> {
        let served = self.file(file)?;
        if served.is_as_is {
            answering.respond.leave_as_is();
        }
        Ok(served)
    }

    pub(super) fn hash(
        &self,
        answering: &mut Answering<'_>,
        of: ContentOf,
        how: (Algorithm, u64),
        span: Span,
    ) -> Result<(), Halt> {
        match of {
            ContentOf::Open(handle) => hash(answering, self.file(handle)?.file(), how, span),
            ContentOf::Named(file) => hash(answering, &self.open_file(&file)?.0, how, span),
        }
    }
}
