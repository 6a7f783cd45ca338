//! Files of the other host.

use std::io;
use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use model::settings::Checksum;
use model::{Kind, Metadata};
use parking_lot::Mutex;
use wire::{
    After, Algorithm, Answer, ContentOf, Fetched, FileAt, Follow, Handle, Request, Room, Span,
    Wants,
};

use super::attributes::ATTRIBUTES_AND_ACLS;
use super::dir::look_in_rooms;
use super::extents::Extents;
use super::known::Known;
use super::reading::Reading;
use super::signing::{Operations, SignedWhole};
use super::together::{self, Part, Together, Whole};
use super::{Held, Pending, Remote, RemoteDir, RemoteImage, again, foreign, of_another_kind};
use crate::checksum;
use crate::endpoint::sums;

/// Files up to this size come whole, by the request that opens them.
const WHOLE_BYTES: u64 = 256 << 10;

/// Below this, holes are not worth asking for: no copy keeps them.
const HOLES_FROM_BYTES: u64 = 64 << 10;

/// A file that can be read. Its metadata is what it was when it was opened until something of it is
/// read, and then what it is: so it can be told whether it changed meanwhile.
#[derive(Debug)]
pub(crate) struct RemoteFile {
    /// Open for as long as the file may be asked for by its name.
    dir: RemoteDir,
    at: FileAt,
    opening: Mutex<Opening>,
    opened: OnceLock<io::Result<Opened>>,
    is_read: AtomicBool,
}

/// How a file is opened when it must be.
#[derive(Debug, Default)]
enum Opening {
    /// By its name, when something is asked that needs it to be open.
    #[default]
    Later,
    /// All of it is to be asked for, with so much room.
    FetchLater(Needs),
    /// It is to be opened and read; so many bytes were told.
    ReadLater(u64),
    /// All of it was asked for.
    Fetch(Pending, Room<0>),
    /// The same together with others: it has this number among them, and needs so much room.
    Together(Arc<Together>, usize, Room<0>),
    /// It was asked how all of it comes of an old one.
    Renew(Pending),
    /// It was asked to be opened, and perhaps for its beginning.
    Open(Pending, Reading),
}

#[derive(Debug)]
enum Opened {
    /// All of it has come.
    Whole(Whole),
    /// It is open at the source.
    Held(Reader),
    /// How it comes of an old one has come.
    Renewed(Box<Renewed>),
}

#[derive(Debug)]
struct Renewed {
    before: Arc<Known>,
    operations: Mutex<Option<Operations>>,
    after: Metadata,
    /// Where that is of no use after all.
    reopened: OnceLock<io::Result<Reader>>,
}

#[derive(Debug)]
struct Reader {
    held: Arc<Held>,
    as_opened: Metadata,
    reading: Reading,
    extents: Extents,
}

impl RemoteFile {
    /// A file that is opened when it must be.
    pub(super) fn named(dir: &RemoteDir, at: FileAt) -> Self {
        Self {
            dir: dir.clone(),
            at,
            opening: Mutex::default(),
            opened: OnceLock::new(),
            is_read: AtomicBool::new(false),
        }
    }

    /// A file that will be read, of which this was told. Asks for nothing yet.
    pub(super) fn to_read(dir: &RemoteDir, at: FileAt, told: Option<&Known>) -> Self {
        let told = told.filter(|known| known.metadata.kind == Kind::File);
        let opening = match told.and_then(Needs::of) {
            Some(needs) => Opening::FetchLater(needs),
            None => Opening::ReadLater(told.map_or(0, |known| known.metadata.size)),
        };
        Self { opening: Mutex::new(opening), ..Self::named(dir, at) }
    }

    /// Asks for what will be read of it, if that was not done. False if there is no room for it now.
    pub(crate) fn begin(&self) -> bool {
        let remote = self.remote();
        let mut opening = self.opening.lock();
        let begun = match *opening {
            Opening::FetchLater(Needs { room, .. }) => remote
                .start_ahead(fetch_request(remote, &self.at, room), room.bytes().into())
                .map(|pending| Opening::Fetch(pending, room)),
            Opening::ReadLater(size) => {
                let open = Request::OpenFile { file: self.at.clone() };
                remote.start_ahead(open, 0).map(|pending| {
                    let reading = Reading::default();
                    reading.begin(&pending, size);
                    Opening::Open(pending, reading)
                })
            }
            _ => return true,
        };
        let Some(begun) = begun else { return false };
        *opening = begun;
        true
    }

    /// Asks for files of one directory, see [`together::begin`].
    pub(crate) fn begin_all<'a>(
        now: Option<&'a Self>,
        later: impl Iterator<Item = &'a Self>,
    ) -> usize {
        together::begin(now, later)
    }

    /// What it needs, if all of it is to be asked for, and was not yet.
    pub(super) fn needs(&self) -> Option<Needs> {
        match *self.opening.lock() {
            Opening::FetchLater(needs) => Some(needs),
            _ => None,
        }
    }

    /// True if one request can ask for both.
    pub(super) fn lies_beside(&self, other: &Self) -> bool {
        let how = |file: &Self| (file.at.at.dir, file.at.follow, file.at.atime);
        self.at.follow == Follow::Never && how(self) == how(other)
    }

    /// It was asked for together with others.
    pub(super) fn comes_with(&self, together: &Arc<Together>, number: usize, room: Room<0>) {
        *self.opening.lock() = Opening::Together(Arc::clone(together), number, room);
    }

    pub(super) fn at(&self) -> &FileAt {
        &self.at
    }

    /// A file of which not all content will be wanted. Does not wait for it.
    pub(super) fn begin_unread(dir: &RemoteDir, at: FileAt) -> Self {
        let opening = dir.remote().start_ahead(Request::OpenFile { file: at.clone() }, 0);
        let opening =
            opening.map_or(Opening::Later, |opening| Opening::Open(opening, Reading::default()));
        Self { opening: Mutex::new(opening), ..Self::named(dir, at) }
    }

    /// A file that is renewed of an old one, if it is as it was told. Does not wait for it.
    pub(super) fn begin_renewal(
        dir: &RemoteDir,
        at: FileAt,
        bytes: u64,
        old: &SignedWhole,
    ) -> io::Result<Self> {
        let remote = dir.remote();
        let wants = remote.wants & ATTRIBUTES_AND_ACLS;
        let room = renewal_room(bytes)?;
        let request = Request::Renew { file: at.clone(), wants, old: old.to_wire(), room };
        let opening = Mutex::new(Opening::Renew(remote.start(request)?));
        Ok(Self { opening, ..Self::named(dir, at) })
    }

    /// How it comes of an old one, where that was asked when it was opened. Comes once.
    pub(crate) fn take_operations(&self) -> Option<Operations> {
        let Ok(Opened::Renewed(renewed)) = self.opened() else { return None };
        self.is_read.store(true, Ordering::Relaxed);
        renewed.operations.lock().take()
    }

    /// True where it is open at the source, and not all of it has come.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.opened(), Ok(Opened::Held(_)))
    }

    /// By what the source knows it while it is open there, to ask for its content.
    pub(super) fn held_handle(&self) -> io::Result<Handle> {
        let opened = self.opened()?;
        self.is_read.store(true, Ordering::Relaxed);
        match opened {
            Opened::Held(reader) => Ok(reader.held.handle),
            Opened::Whole(_) | Opened::Renewed(_) => Err(of_another_kind()),
        }
    }

    /// The file held open, for who wants its content after all.
    fn reopened<'a>(&self, renewed: &'a Renewed) -> io::Result<&'a Reader> {
        let reader = renewed.reopened.get_or_init(|| match self.open()? {
            Opened::Held(reader) => Ok(reader),
            Opened::Whole(_) | Opened::Renewed(_) => Err(of_another_kind()),
        });
        reader.as_ref().map_err(again)
    }

    pub(super) fn remote(&self) -> &Arc<Remote> {
        self.dir.remote()
    }

    /// Waits until it is open. Fails as opening does.
    pub(super) fn wait(&self) -> io::Result<()> {
        self.opened().map(drop)
    }

    fn opened(&self) -> io::Result<&Opened> {
        self.opened.get_or_init(|| self.settle()).as_ref().map_err(again)
    }

    fn settle(&self) -> io::Result<Opened> {
        let opening = mem::take(&mut *self.opening.lock());
        match opening {
            Opening::Fetch(pending, room) => self.fetched(pending, room),
            Opening::Together(together, number, room) => match together.file(number) {
                Some(whole) => Ok(Opened::Whole(whole)),
                None => self.fetch(room),
            },
            Opening::FetchLater(Needs { room, .. }) => self.fetch(room),
            Opening::Renew(pending) => self.renewed(pending),
            Opening::Open(opening, reading) => Opened::held(opening, reading),
            Opening::Later | Opening::ReadLater(_) => self.open(),
        }
    }

    fn fetch(&self, room: Room<0>) -> io::Result<Opened> {
        let request = fetch_request(self.remote(), &self.at, room);
        self.fetched(self.remote().start(request)?, room)
    }

    fn fetched(&self, pending: Pending, room: Room<0>) -> io::Result<Opened> {
        let again = fetch_request(self.remote(), &self.at, room);
        let Fetched { before, pieces, after } =
            self.remote().undamaged(pending, again, undamaged)?;
        let before = Arc::new(Known::from(before));
        match after {
            Some(after) => {
                let (content, after) = (Part::all(pieces), foreign(after.metadata));
                Ok(Opened::Whole(Whole { before, content, after }))
            }
            // What is no file, or longer than it was told, does not come so.
            None => self.open(),
        }
    }

    fn renewed(&self, pending: Pending) -> io::Result<Opened> {
        // What does not come so is opened, and that tells why if it cannot be.
        let Ok(Answer::Renewed(Fetched { before, pieces, after: Some(after) })) = pending.wait()
        else {
            return self.open();
        };
        let After { metadata, sum } = after;
        Ok(Opened::Renewed(Box::new(Renewed {
            before: Arc::new(Known::from(before)),
            operations: Mutex::new(Some(Operations { pieces, sum: sum.0 })),
            after: foreign(metadata),
            reopened: OnceLock::new(),
        })))
    }

    fn open(&self) -> io::Result<Opened> {
        let opening = self.remote().start(Request::OpenFile { file: self.at.clone() })?;
        Opened::held(opening, Reading::default())
    }

    /// Its metadata: as it was opened, or as it is after something of it was read.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        let is_read = self.is_read.load(Ordering::Relaxed);
        match self.opened()? {
            Opened::Whole(whole) if is_read => Ok(whole.after),
            Opened::Whole(whole) => Ok(whole.before.metadata),
            Opened::Held(reader) if is_read => Ok(reader.look(Wants::METADATA)?.metadata),
            Opened::Held(reader) => Ok(reader.as_opened),
            Opened::Renewed(renewed) => match renewed.reopened.get() {
                Some(Ok(reader)) => Ok(reader.look(Wants::METADATA)?.metadata),
                _ if is_read => Ok(renewed.after),
                _ => Ok(renewed.before.metadata),
            },
        }
    }

    /// How much there is now.
    pub(crate) fn size(&self) -> io::Result<u64> {
        match self.opened()? {
            Opened::Whole(whole) => Ok(whole.after.size),
            Opened::Held(reader) => Ok(reader.look(Wants::METADATA)?.metadata.size),
            Opened::Renewed(_) => Ok(self.metadata()?.size),
        }
    }

    /// The size of a device.
    pub(crate) fn device_size(&self) -> io::Result<u64> {
        match self.opened()? {
            Opened::Whole(whole) => Ok(whole.after.size),
            Opened::Renewed(renewed) => Ok(renewed.after.size),
            Opened::Held(reader) => {
                match self.remote().ask(Request::Measure { file: reader.held.handle })? {
                    Answer::Size(size) => Ok(size),
                    _ => Err(of_another_kind()),
                }
            }
        }
    }

    /// The file as an image is asked for, where it is open at the source and as long as this.
    pub(crate) fn image(&self, bytes: u64) -> io::Result<RemoteImage> {
        let Opened::Held(reader) = self.opened()? else { return Err(of_another_kind()) };
        self.is_read.store(true, Ordering::Relaxed);
        Ok(RemoteImage::of(Arc::clone(&reader.held), reader.as_opened, bytes))
    }

    /// What is known of it beside its content.
    pub(super) fn look(&self, wants: Wants) -> io::Result<Arc<Known>> {
        match self.opened()? {
            Opened::Whole(whole) if whole.before.tells(wants) => Ok(Arc::clone(&whole.before)),
            Opened::Renewed(renewed) if renewed.before.tells(wants) => {
                Ok(Arc::clone(&renewed.before))
            }
            Opened::Whole(_) | Opened::Renewed(_) => {
                self.dir.look_at(self.at.at.name.as_bytes(), wants)
            }
            Opened::Held(reader) => reader.look(wants).map(Arc::new),
        }
    }

    /// Reads until `buffer` is full or the content ends; see [`Content`](fs::Content).
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let opened = self.opened()?;
        self.is_read.store(true, Ordering::Relaxed);
        match opened {
            Opened::Whole(whole) => Ok(whole.content.read_at(buffer, offset)),
            Opened::Held(reader) => reader.read_at(buffer, offset),
            Opened::Renewed(renewed) => self.reopened(renewed)?.read_at(buffer, offset),
        }
    }

    /// The first part of a range that holds data.
    pub(crate) fn first_extent(&self, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
        let opened = self.opened()?;
        self.is_read.store(true, Ordering::Relaxed);
        match opened {
            Opened::Whole(whole) => {
                let has_data = !range.is_empty() && range.start < whole.after.size;
                Ok(has_data.then_some(range))
            }
            Opened::Held(reader) => reader.first_extent(range),
            Opened::Renewed(renewed) => self.reopened(renewed)?.first_extent(range),
        }
    }

    /// The checksum of a range, or of what of it there is; made where the content is.
    pub(crate) fn checksum(
        &self,
        algorithm: Checksum,
        range: Range<u64>,
        go_on: impl Fn() -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        go_on()?;
        let (Some(wire), Ok(span)) = (wire_algorithm(algorithm), Span::new(range)) else {
            return Ok(checksum::of_nothing(algorithm));
        };
        let of = match self.opened.get() {
            Some(Ok(Opened::Held(reader))) => ContentOf::Open(reader.held.handle),
            _ => ContentOf::Named(self.at.clone()),
        };
        match self.remote().ask(Request::Hash { of, algorithm: wire, seed: 0, span })? {
            Answer::Digest(digest) => Ok(digest.as_bytes().to_vec()),
            _ => Err(of_another_kind()),
        }
    }
}

impl Opened {
    fn held(opening: Pending, reading: Reading) -> io::Result<Self> {
        let (held, as_opened) = Held::wait_for(opening)?;
        Ok(Self::Held(Reader {
            held: Arc::new(held),
            as_opened,
            reading,
            extents: Extents::default(),
        }))
    }
}

impl Reader {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reading.read_at(&self.held, self.as_opened.size, buffer, offset)
    }

    fn first_extent(&self, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
        self.extents.first(&self.held, self.as_opened.size, range)
    }

    fn look(&self, wants: Wants) -> io::Result<Known> {
        let file = self.held.handle;
        let request = |room| Request::LookAtFile { file, wants, room };
        look_in_rooms(&self.held.remote, wants, request)
    }
}

/// What a file needs of the answer that it comes with, with all of its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) room: Room<0>,
    /// Of this no less than for its attributes.
    pub(super) told_bytes: usize,
}

impl Needs {
    /// `None` if it is not one that comes whole.
    fn of(told: &Known) -> Option<Self> {
        const SLACK_BYTES: u64 = 1024;
        let size = told.metadata.size;
        if size > WHOLE_BYTES || (size >= HOLES_FROM_BYTES && told.metadata.may_have_holes()) {
            return None;
        }
        let told_bytes = told.byte_count();
        let room = u32::try_from(size + told_bytes as u64 + SLACK_BYTES).ok()?;
        Some(Self { room: Room::new(room).ok()?, told_bytes })
    }
}

/// All of a file that came as it was read, or what came of one in place of its content.
pub(super) fn undamaged(answer: Answer) -> io::Result<Option<Fetched>> {
    let Answer::Fetched(fetched) = answer else { return Err(of_another_kind()) };
    let is_sound = fetched.after.is_none_or(|after| sums::of_pieces(&fetched.pieces) == after.sum);
    Ok(is_sound.then_some(fetched))
}

/// Room for operations that make a file of so many bytes, should the old one have none of them, and for
/// its attributes: more than a listing tells of one.
fn renewal_room(bytes: u64) -> io::Result<Room<0>> {
    const SLACK_BYTES: u64 = 64 << 10;
    let bytes = u32::try_from(bytes + bytes / 16 + SLACK_BYTES).map_err(io::Error::other)?;
    Room::new(bytes).map_err(io::Error::other)
}

fn fetch_request(remote: &Remote, at: &FileAt, room: Room<0>) -> Request {
    Request::Fetch { file: at.clone(), wants: remote.wants & ATTRIBUTES_AND_ACLS, room }
}

fn wire_algorithm(algorithm: Checksum) -> Option<Algorithm> {
    Some(match algorithm {
        Checksum::Xxh128 => Algorithm::Xxh128,
        Checksum::Xxh3 => Algorithm::Xxh3,
        Checksum::Xxh64 => Algorithm::Xxh64,
        Checksum::Md5 => Algorithm::Md5,
        Checksum::Md4 => Algorithm::Md4,
        Checksum::Sha1 => Algorithm::Sha1,
        Checksum::Blake3 => Algorithm::Blake3,
        Checksum::None => return None,
    })
}
