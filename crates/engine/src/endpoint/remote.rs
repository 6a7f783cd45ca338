//! The source on another host, asked through a session.
//!
//! Whoever asks blocks until the answer is there, and a round trip may take a tenth of a second. So
//! there are few: a listing brings what will be asked of its entries ([`told`]), a small file comes
//! whole by one request, and what will be wanted next is asked for before it is ([`Pending`]). The
//! rest is hidden by many workers.
//!
//! What comes from there is never taken for something of this host: the devices of both hosts are
//! numbered apart, so that no inode of the one is one of the other.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use model::settings::{Symlinks, Xattrs};
use model::{Metadata, Settings};
use parking_lot::Mutex;
use sched::Cancel;
use wire::{
    Answer, Ask, AskError, Capacity, FaultKind, Handle, IoFault, Name, Owner, Request, System,
    Wants,
};

use self::first_pages::FirstPages;
use self::told::Shelf;
use super::{RemoteSource, sums};

/// What is asked before it is wanted.
mod ahead;
/// Extended attributes and ACLs.
mod attributes;
/// Directories.
mod dir;
/// Where files have data.
mod extents;
/// Files.
mod file;
/// Room for the beginning of a listing.
mod first_pages;
/// Images.
mod image;
/// What is known of an entry.
mod known;
/// Names alone.
mod names;
/// Content on its way.
mod reading;
/// Old files, of which the source makes new ones.
mod signing;
/// Small files that are asked for together.
mod together;
/// What listings have told.
mod told;

#[cfg(test)]
pub(crate) mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::ahead::Listed;
pub(crate) use self::attributes::RemoteAttributes;
pub(crate) use self::dir::RemoteDir;
pub(crate) use self::file::RemoteFile;
pub(crate) use self::image::{AskedChunks, Blocks, KnownData, NotOpened, RemoteImage};
pub(crate) use self::signing::{Asked, Operations, Secret, Signed, SignedWhole, Wanted, When};

/// Answers that were asked for ahead and that nobody has taken hold room in the window of the
/// session, so that they may not have all of it: who waits for an answer to what is wanted now might
/// wait for ever. This they may have for content; with the rest, of the smallest window 15 of 20 MiB;
/// nothing else asks for more than 4 MiB at once.
const CONTENT_PERCENT: u64 = 40;

/// The same for all that is no content: neither is to hold up the other.
const TELLING_PERCENT: u64 = 35;

/// The same of what it holds open: the rest is for what is worked on, see
/// [`Descriptors`](crate::descriptors::Descriptors).
const AHEAD_HANDLES_PERCENT: u64 = 25;

/// What each request that is asked ahead counts for beside what it asks for: the least credit, and itself.
const AHEAD_FIXED_BYTES: u64 = wire::limits::CREDIT_LEAST_BYTES + 64;

/// Names of owners that are kept: of more the others are asked for each time.
const OWNER_NAMES_MAX: usize = 1 << 18;

/// Set in the number of each device of the other host. Linux has 32 bits for them.
const FOREIGN_DEVICE: u64 = 1 << 63;

/// A session with the host that the source lies on.
pub(crate) struct Remote {
    ask: Arc<dyn Ask>,
    system: System,
    /// Where relative paths begin.
    directory: Box<[u8]>,
    is_pulled: bool,
    /// What the job may want to know of any entry.
    wants: Wants,
    shelf: Shelf,
    first_pages: FirstPages,
    capacity: Capacity,
    /// Of this, what was asked for ahead.
    ahead_content_bytes: AtomicU64,
    ahead_telling_bytes: AtomicU64,
    ahead_handles: AtomicU64,
    /// The least time that an answer took to come.
    round_trip_ns: AtomicU64,
    /// The names of owners that were asked for. A server on a network may be behind each.
    owner_names: Mutex<HashMap<Owner, Option<Arc<[u8]>>>>,
    /// Answers that came damaged, and were asked for again.
    repairs: AtomicU64,
    /// Why nothing more is answered.
    over: OnceLock<Box<str>>,
    cancel: Cancel,
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, wants, over, .. } = self;
        let mut shown = formatter.debug_struct("Remote");
        shown.field("system", system).field("wants", wants).field("over", over);
        shown.finish_non_exhaustive()
    }
}

impl Remote {
    /// A source for a job with these settings. Should the session end, `cancel` is pulled.
    pub(crate) fn new(source: &RemoteSource, settings: &Settings, cancel: &Cancel) -> Self {
        Self {
            ask: Arc::clone(&source.ask),
            system: source.system,
            directory: source.directory.clone(),
            is_pulled: source.is_pulled,
            wants: wants_of(settings),
            shelf: Shelf::default(),
            first_pages: FirstPages::default(),
            capacity: source.capacity,
            ahead_content_bytes: AtomicU64::new(0),
            ahead_telling_bytes: AtomicU64::new(0),
            ahead_handles: AtomicU64::new(0),
            round_trip_ns: AtomicU64::new(u64::MAX),
            owner_names: Mutex::default(),
            repairs: AtomicU64::new(0),
            over: OnceLock::new(),
            cancel: cancel.clone(),
        }
    }

    /// What the source holds open at a time.
    pub(crate) fn handles(&self) -> u64 {
        self.capacity.handles.into()
    }

    /// The least time that an answer took to come; nothing if none has come.
    pub(crate) fn round_trip(&self) -> Duration {
        match self.round_trip_ns.load(Ordering::Relaxed) {
            u64::MAX => Duration::ZERO,
            least => Duration::from_nanos(least),
        }
    }

    fn note_round_trip(&self, asked: Instant) {
        let took = u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.round_trip_ns.fetch_min(took, Ordering::Relaxed);
    }

    /// True where the user is on this host.
    pub(super) fn is_pulled(&self) -> bool {
        self.is_pulled
    }

    /// Why the session ended, if it did.
    pub(crate) fn over(&self) -> Option<&str> {
        self.over.get().map(|why| &**why)
    }

    /// How many answers came damaged, and were asked for again.
    pub(crate) fn repairs(&self) -> u64 {
        self.repairs.load(Ordering::Relaxed)
    }

    /// A path there as it reads from `/`.
    pub(super) fn absolute(&self, path: &[u8]) -> Vec<u8> {
        match path {
            [b'/', ..] => path.to_vec(),
            path => [&self.directory, &b"/"[..], path].concat(),
        }
    }

    /// The name that an owner has there. One that cannot be asked for is none: a number is never given to
    /// somebody of our own choice.
    pub(crate) fn owner_name(&self, of: Owner) -> Option<Arc<[u8]>> {
        let known = self.owner_names.lock().get(&of).cloned();
        known.unwrap_or_else(|| {
            let name = match self.ask(Request::OwnerName { of }) {
                Ok(Answer::OwnerName(name)) => name.map(|name| name.as_bytes().into()),
                _ => None,
            };
            let mut known = self.owner_names.lock();
            if known.len() < OWNER_NAMES_MAX {
                known.insert(of, name.clone());
            }
            name
        })
    }

    /// Asks and waits.
    fn ask(&self, request: Request) -> io::Result<Answer> {
        let asked = Instant::now();
        let answer = self.ask.ask(request).map_err(|error| self.error(&error))?;
        self.note_round_trip(asked);
        Ok(answer)
    }

    /// Asks for what is wanted now.
    fn start(self: &Arc<Self>, request: Request) -> io::Result<Pending> {
        let asked = Some(Instant::now());
        let id = self.ask.start(request).map_err(|error| self.error(&error))?;
        let (remote, handle) = (Arc::clone(self), Handle(id));
        Ok(Pending { remote, handle, ahead: None, asked, is_waiting: true })
    }

    /// Asks for what will be wanted, unless much is on its way already or it cannot be asked.
    /// `most_bytes` is what its answer may hold.
    fn start_ahead(self: &Arc<Self>, request: Request, most_bytes: u64) -> Option<Pending> {
        let ahead = Share::ahead(self, &request, most_bytes)?;
        // Who asks for it again when it is wanted is told why it cannot be.
        let id = self.ask.start(request).ok()?;
        Some(Pending {
            handle: Handle(id),
            ahead: Some(ahead),
            asked: None,
            is_waiting: true,
            remote: Arc::clone(self),
        })
    }

    /// Asks for content of which the first is wanted now, however much is on its way: what is asked ahead
    /// is so much less. `None` if it cannot be asked.
    fn start_wanted(self: &Arc<Self>, request: Request, most_bytes: u64) -> Option<Pending> {
        let ahead = Share::of_content(self, most_bytes);
        let mut pending = self.start(request).ok()?;
        pending.ahead = Some(ahead);
        Some(pending)
    }

    /// How many directories can be begun with now, as far as bytes go.
    fn room_for_dirs(&self) -> usize {
        let taken = self.ahead_telling_bytes.load(Ordering::Relaxed);
        let free = (self.capacity.window_bytes / 100 * TELLING_PERCENT).saturating_sub(taken);
        let each_bytes = u64::from(self.first_pages.room_bytes()) + 2 * AHEAD_FIXED_BYTES;
        usize::try_from(free / each_bytes).unwrap_or(usize::MAX)
    }

    /// Waits for an answer and takes what it holds. `take` gives nothing where that is not what was read
    /// at the source; then it is asked for once more.
    /// Test: `content_that_comes_damaged_is_fetched_again_and_twice_is_a_fault`.
    fn undamaged<T>(
        self: &Arc<Self>,
        pending: Pending,
        again: Request,
        mut take: impl FnMut(Answer) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        if let Some(taken) = take(pending.wait()?)? {
            return Ok(taken);
        }
        self.note_repair();
        take(self.ask(again)?)?.ok_or_else(sums::damaged)
    }

    /// An answer came damaged, and is asked for again.
    fn note_repair(&self) {
        self.repairs.fetch_add(1, Ordering::Relaxed);
    }

    /// The error as a call on this host would have given it.
    ///
    /// Where the session is over, the run is: whoever is told so need not know why, for it is not
    /// the fault of what was asked.
    fn error(&self, error: &AskError) -> io::Error {
        match error {
            AskError::Fault(fault) => fault.to_error(self.system),
            AskError::Start(error) => io::Error::other(*error),
            AskError::Over(why) => {
                // A run that was stopped leaves its session.
                if !self.cancel.is_cancelled() {
                    self.over.get_or_init(|| why.clone());
                    self.cancel.cancel();
                }
                io::Error::new(io::ErrorKind::Interrupted, why.to_string())
            }
        }
    }

    /// The same of what could not be read of an entry.
    fn fault(&self, fault: &IoFault) -> io::Error {
        fault.to_error(self.system)
    }
}

/// What may be asked of the entries of a job.
fn wants_of(settings: &Settings) -> Wants {
    let (links, preserve) = (&settings.links, &settings.preserve);
    let mut wants = Wants::METADATA;
    // Where nobody asks where links lead to, their access times stay.
    wants.set(Wants::LINK, links.symlinks == Symlinks::Keep || links.copy_unsafe);
    let has_xattrs = preserve.xattrs != Xattrs::Ignore || preserve.source_pretends;
    wants.set(Wants::ATTRIBUTES, has_xattrs);
    wants.set(Wants::ACLS, has_xattrs || preserve.acls);
    wants
}

/// Metadata of the other host, with a device that is none of this one.
pub(super) fn foreign(metadata: Metadata) -> Metadata {
    Metadata { dev: metadata.dev | FOREIGN_DEVICE, ..metadata }
}

/// The number that a device has on its own host.
fn number_at_home(device: u64) -> u64 {
    device & !FOREIGN_DEVICE
}

/// A name, if it is one.
fn name_of(name: &[u8]) -> io::Result<Name> {
    Name::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// What answers a request was checked by the session; this is for what it lets pass.
fn of_another_kind() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is none to what was asked")
}

/// True of a part of an entry that had no room where it was told.
fn had_no_room(fault: &IoFault) -> bool {
    matches!(fault.kind, FaultKind::NoRoom { .. })
}

/// An error of which another asks what it was.
fn again(error: &io::Error) -> io::Error {
    if sums::is_damaged(error) {
        return sums::damaged();
    }
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn of_fs(atime: fs::AccessTime) -> wire::AccessTime {
    match atime {
        fs::AccessTime::Update => wire::AccessTime::Update,
        fs::AccessTime::Keep => wire::AccessTime::Keep,
    }
}

/// A request that is under way. Nobody waits for one that is dropped.
#[derive(Debug)]
struct Pending {
    remote: Arc<Remote>,
    /// By it what the request opens is known at once.
    handle: Handle,
    /// Held until its answer is taken.
    ahead: Option<Share>,
    /// When, if it is waited for from then on.
    asked: Option<Instant>,
    is_waiting: bool,
}

impl Pending {
    /// Waits for its answer.
    fn wait(self) -> io::Result<Answer> {
        self.wait_and_hold().0
    }

    /// The same, with what it takes of what may be asked ahead: to be held for as long as the answer is.
    fn wait_and_hold(mut self) -> (io::Result<Answer>, Option<Share>) {
        self.is_waiting = false;
        let answer = self.remote.ask.wait(self.handle.0);
        if let (Some(asked), Ok(_)) = (self.asked, &answer) {
            self.remote.note_round_trip(asked);
        }
        (answer.map_err(|error| self.remote.error(&error)), self.ahead.take())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.is_waiting {
            self.remote.ask.abandon(self.handle.0);
        }
    }
}

/// What a request that was asked ahead takes of what the source can do at a time.
#[derive(Debug)]
struct Share {
    remote: Arc<Remote>,
    is_content: bool,
    bytes: u64,
    handles: u64,
}

impl Share {
    /// `None` if too much is asked ahead already.
    fn ahead(remote: &Arc<Remote>, request: &Request, most_bytes: u64) -> Option<Self> {
        let is_content = !matches!(
            request,
            Request::OpenChild { .. } | Request::List { .. } | Request::Look { .. }
        );
        let percent = if is_content { CONTENT_PERCENT } else { TELLING_PERCENT };
        let limit = remote.capacity.window_bytes / 100 * percent;
        let most_handles = remote.handles() * AHEAD_HANDLES_PERCENT / 100;
        let mut share = Self { remote: Arc::clone(remote), is_content, bytes: 0, handles: 0 };
        share.bytes = take(share.pool(), most_bytes + AHEAD_FIXED_BYTES, limit)?;
        let handles = u64::from(request.opens().is_some());
        share.handles = take(&remote.ahead_handles, handles, most_handles)?;
        Some(share)
    }

    /// Of content, whatever is taken already.
    fn of_content(remote: &Arc<Remote>, most_bytes: u64) -> Self {
        let bytes = most_bytes + AHEAD_FIXED_BYTES;
        remote.ahead_content_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { remote: Arc::clone(remote), is_content: true, bytes, handles: 0 }
    }

    fn pool(&self) -> &AtomicU64 {
        if self.is_content {
            &self.remote.ahead_content_bytes
        } else {
            &self.remote.ahead_telling_bytes
        }
    }
}

/// Takes so many, if no more than this are taken then.
fn take(from: &AtomicU64, count: u64, most: u64) -> Option<u64> {
    let add = |taken: u64| (taken + count <= most).then_some(taken + count);
    from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
    Some(count)
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool().fetch_sub(self.bytes, Ordering::Relaxed);
        self.remote.ahead_handles.fetch_sub(self.handles, Ordering::Relaxed);
    }
}

/// Something that is held open at the source until it is dropped.
#[derive(Debug)]
struct Held {
    remote: Arc<Remote>,
    handle: Handle,
}

impl Held {
    /// What a request opens, with its metadata.
    fn wait_for(opening: Pending) -> io::Result<(Self, Metadata)> {
        let (remote, handle) = (Arc::clone(&opening.remote), opening.handle);
        match opening.wait()? {
            Answer::Opened(metadata) => Ok((Self { remote, handle }, foreign(metadata))),
            _ => Err(of_another_kind()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.remote.ask.close(self.handle);
    }
}
