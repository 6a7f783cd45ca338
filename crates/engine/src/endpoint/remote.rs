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

use model::settings::{Symlinks, Xattrs};
use model::{Metadata, Settings};
use parking_lot::Mutex;
use sched::Cancel;
use wire::{
    Answer, Ask, AskError, FaultKind, Handle, IoFault, Name, Owner, Request, System, Wants,
};

use self::told::Shelf;
use super::{RemoteSource, sums};

/// Extended attributes and ACLs.
mod attributes;
/// Directories.
mod dir;
/// Where files have data.
mod extents;
/// Files.
mod file;
/// What is known of an entry.
mod known;
/// Content on its way.
mod reading;
/// Old files, of which the source makes new ones.
mod signing;
/// What listings have told.
mod told;

#[cfg(test)]
pub(super) mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::attributes::RemoteAttributes;
pub(crate) use self::dir::RemoteDir;
pub(crate) use self::file::RemoteFile;
pub(crate) use self::signing::{Asked, Operations, Secret, Signed, SignedWhole, Wanted, When};

/// Answers that were asked for ahead and that nobody has taken hold room in the window of the
/// session, so that they may not have all of it: who waits for an answer to what is wanted now might
/// wait for ever. The smallest window has 20 MiB, and nothing else asks for more than 4 MiB at once.
const AHEAD_BYTES: u64 = 12 << 20;

/// Set in the number of each device of the other host. Linux has 32 bits for them.
const FOREIGN_DEVICE: u64 = 1 << 63;

/// A session with the host that the source lies on.
pub(crate) struct Remote {
    ask: Arc<dyn Ask>,
    system: System,
    /// Where relative paths begin.
    directory: Box<[u8]>,
    /// What the job may want to know of any entry.
    wants: Wants,
    shelf: Shelf,
    ahead_bytes: AtomicU64,
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
            wants: wants_of(settings),
            shelf: Shelf::default(),
            ahead_bytes: AtomicU64::new(0),
            owner_names: Mutex::default(),
            repairs: AtomicU64::new(0),
            over: OnceLock::new(),
            cancel: cancel.clone(),
        }
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
            self.owner_names.lock().insert(of, name.clone());
            name
        })
    }

    /// Asks and waits.
    fn ask(&self, request: Request) -> io::Result<Answer> {
        self.ask.ask(request).map_err(|error| self.error(&error))
    }

    /// Asks for what is wanted now.
    fn start(self: &Arc<Self>, request: Request) -> io::Result<Pending> {
        let id = self.ask.start(request).map_err(|error| self.error(&error))?;
        Ok(Pending {
            remote: Arc::clone(self),
            handle: Handle(id),
            ahead_bytes: 0,
            is_waiting: true,
        })
    }

    /// Asks for what will be wanted, unless much is on its way already or it cannot be asked.
    /// `most_bytes` is what its answer may hold.
    fn start_ahead(self: &Arc<Self>, request: Request, most_bytes: u64) -> Option<Pending> {
        const FIXED_BYTES: u64 = 4096;
        let bytes = most_bytes + FIXED_BYTES;
        let take = |taken: u64| (taken + bytes <= AHEAD_BYTES).then_some(taken + bytes);
        self.ahead_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        // Who asks for it again when it is wanted is told why it cannot be.
        let Ok(id) = self.ask.start(request) else {
            self.ahead_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        };
        let (remote, handle) = (Arc::clone(self), Handle(id));
        Some(Pending { remote, handle, ahead_bytes: bytes, is_waiting: true })
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
        self.repairs.fetch_add(1, Ordering::Relaxed);
        take(self.ask(again)?)?.ok_or_else(sums::damaged)
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
    ahead_bytes: u64,
    is_waiting: bool,
}

impl Pending {
    /// Waits for its answer.
    fn wait(mut self) -> io::Result<Answer> {
        self.is_waiting = false;
        self.remote.ask.wait(self.handle.0).map_err(|error| self.remote.error(&error))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.is_waiting {
            self.remote.ask.abandon(self.handle.0);
        }
        self.remote.ahead_bytes.fetch_sub(self.ahead_bytes, Ordering::Relaxed);
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
