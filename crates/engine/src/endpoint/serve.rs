//! The tree of this host, served to a requester on another.
//!
//! [`wire::Responder`] says what is to be run; a [`Server`](crate::serve::Server) runs it, on as many
//! threads as call it, and hands back the pieces of the response. It has no lane and no thread of its
//! own.
//!
//! The requester is not believed where it could ask for more than the user meant: what may be opened
//! is said by [`Terms`](crate::serve::Terms), and below a root no name leads out of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use delta::Signature;
use filter::RuleError;
use fs::{Dir, File, Listing};
use model::{Kind, Metadata};
use parking_lot::{Mutex, RwLock};
use wire::{
    Access, Basis, Delivery, End, Expected, FaultKind, FileAt, Follow, Handle, IoFault, Mount,
    Name, Named, OperatorPath, Owner, OwnerName, Piece, Place, Reply, Request, Respond,
    RespondError, Serve, Ticket, Wants,
};

use crate::pipeline;

/// What may be asked for.
mod terms;

/// Whether the terms let something be asked.
mod allowed;
/// What is in files.
mod content;
/// Images.
mod images;

/// Chunks of images.
mod chunks;
/// Sorted names that are kept.
mod listings;
/// What is told of entries.
mod look;
/// What owners are called.
mod owners;
/// What may be reached.
mod reach;
/// What the requester does not have already.
mod searching;
/// How directories were reached, and what rules say of what is in them.
mod way;

use self::content::ServedFile;
use self::listings::Listings;
use self::owners::ToldOwners;
pub use self::reach::Reach;
use self::searching::OldFile;
pub use self::terms::{Follows, Terms};
use self::way::Way;

/// Serves a tree.
#[derive(Debug)]
pub struct Server {
    terms: Terms,
    open: RwLock<HashMap<Handle, Open>>,
    /// Requests that run, and whether each is to come to its end.
    running: Mutex<HashMap<Ticket, Arc<AtomicBool>>>,
    listings: Listings,
    told_owners: ToldOwners,
}

/// What a handle stands for, and which attempt opened it.
#[derive(Clone, Debug)]
struct Open {
    attempt: u16,
    object: Object,
}

#[derive(Clone, Debug)]
enum Object {
    Dir(Arc<ServedDir>),
    File(Arc<ServedFile>),
    /// Of a piece of an old file that the requester has.
    Signature(Arc<Signature>),
}

/// A directory that is held open for the requester.
#[derive(Debug)]
struct ServedDir {
    dir: Dir,
    way: Arc<Way>,
    /// Its sorted names, while they are asked for page by page and there is room for them.
    names: Mutex<Weak<Listing>>,
}

fn not_open() -> Halt {
    Halt::because(FaultKind::NoHandle, "it is not open")
}

fn not_named() -> Halt {
    Halt::refused("the job does not name it")
}

/// Why a response ends early.
#[derive(Debug)]
enum Halt {
    /// It ends by this.
    Fault(IoFault),
    /// Nobody waits for it.
    Stale,
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Fault(IoFault::from(&error))
    }
}

impl From<RespondError> for Halt {
    fn from(error: RespondError) -> Self {
        let kind = match error {
            RespondError::OverCredit { needed_bytes } => FaultKind::NoRoom { needed_bytes },
            RespondError::Grammar(_) => FaultKind::Other,
        };
        Self::Fault(IoFault::new(kind, &error.to_string()))
    }
}

/// What rules that cannot be read would hide is not known.
impl From<RuleError> for Halt {
    fn from(error: RuleError) -> Self {
        Self::because(FaultKind::Other, &error.to_string())
    }
}

impl Halt {
    fn because(kind: FaultKind, text: &str) -> Self {
        Self::Fault(IoFault::new(kind, text))
    }

    fn refused(text: &str) -> Self {
        Self::because(FaultKind::NotServed, text)
    }
}

/// One request that runs.
struct Answering<'a> {
    ticket: Ticket,
    respond: &'a mut dyn Respond,
    is_cancelled: Arc<AtomicBool>,
    told_owners: &'a ToldOwners,
}

impl Answering<'_> {
    fn more(&mut self, piece: impl Into<Piece>) -> Result<(), Halt> {
        self.go_on()?;
        self.hand_in(piece.into(), End::More)
    }

    fn last(&mut self, piece: impl Into<Piece>) -> Result<(), Halt> {
        self.hand_in(piece.into(), End::Last)
    }

    fn hand_in(&mut self, piece: Piece, end: End) -> Result<(), Halt> {
        // Before, for their names may be asked for as soon as they are told.
        self.told_owners.note(&piece);
        match self.respond.respond(piece, end)? {
            Delivery::Queued => Ok(()),
            Delivery::Stale => Err(Halt::Stale),
        }
    }

    /// Fails once nobody waits for the response.
    fn go_on(&self) -> Result<(), Halt> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(Halt::because(FaultKind::Cancelled, "the request was cancelled"));
        }
        Ok(())
    }
}

impl Server {
    /// Serves on these terms.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            open: RwLock::default(),
            running: Mutex::default(),
            listings: Listings::default(),
            told_owners: ToldOwners::default(),
        }
    }

    /// How many handles are open.
    pub fn handle_count(&self) -> usize {
        self.open.read().len()
    }
}

impl Serve for Server {
    fn run(&self, ticket: Ticket, request: Request, respond: &mut dyn Respond) {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.running.lock().insert(ticket, Arc::clone(&is_cancelled));
        let told_owners = &self.told_owners;
        let mut answering = Answering { ticket, respond, is_cancelled, told_owners };
        if let Err(Halt::Fault(fault)) = self.answer(&mut answering, request) {
            // Nothing that could be done is left where not even this is taken.
            let _over = answering.last(Reply::Fault(fault));
        }
        self.running.lock().remove(&ticket);
    }

    fn cancel(&self, ticket: Ticket) {
        if let Some(is_cancelled) = self.running.lock().get(&ticket) {
            is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    fn drop_handle(&self, handle: Handle) {
        let dropped = self.open.write().remove(&handle);
        if let Some(Open { object: Object::Dir(dir), .. }) = dropped {
            self.listings.forget(&dir);
        }
    }
}

impl Server {
    fn answer(&self, answering: &mut Answering<'_>, request: Request) -> Result<(), Halt> {
        match request {
            Request::OpenRoot { path, access } => self.open_root(answering, &path, access),
            Request::OpenChild { at, access, follow, atime } => {
                self.open_child_at(answering, &at, (access, follow), of_wire(atime))
            }
            Request::OpenParent { dir } => {
                let (parent, way) = open_parent(&*self.dir(dir)?)?;
                self.opened_dir(answering, parent, way)
            }
            Request::Reopen { dir } => {
                let dir = self.dir(dir)?;
                self.opened_dir(answering, dir.dir.reopen()?, Arc::clone(&dir.way))
            }
            Request::List { dir, wants, after, room } => {
                self.list(answering, &*self.dir(dir)?, wants, after.as_ref(), room.bytes())
            }
            Request::Look { at, follow, wants, .. } => self.look(answering, &at, follow, wants),
            Request::CheckSearch { dir } => {
                self.dir(dir)?.dir.check_search()?;
                answering.last(Reply::Done)
            }
            Request::LookAtMount { at } => {
                let dir = self.dir(at.dir())?;
                self.check_place(&dir, &at, Kind::Directory)?;
                let mount = look_at_mount(&dir.dir, &at)?;
                answering.last(Reply::Mount(mount))
            }
            Request::OpenFile { file } => self.open_file_at(answering, &file),
            Request::Fetch { file, wants, room } => {
                let dir = self.dir_to_read(answering, &file)?;
                content::fetch(answering, &self.opener(&dir), &file, wants, room.bytes())
            }
            Request::FetchSome { dir, names, atime, wants, room } => {
                let how = content::Together { atime: of_wire(atime), wants, room: room.bytes() };
                self.fetch_some(answering, dir, names.as_slice(), &how)
            }
            Request::Renew { file, wants, old, room } => {
                let dir = self.dir_to_read(answering, &file)?;
                searching::renew(answering, &self.opener(&dir), &file, wants, &old, room.bytes())
            }
            Request::Read { file, span } => {
                let served = self.content_of(answering, file)?;
                content::read(answering, served.file(), span)
            }
            Request::FindExtents { file, span, room } => {
                content::find_extents(answering, self.file(file)?.file(), span, room.bytes())
            }
            Request::Hash { of, algorithm, seed, span } => {
                self.hash(answering, of, (algorithm, seed), span)
            }
            Request::LookAtFile { file, wants, .. } => {
                look::seen(answering, &look::Subject::File(self.file(file)?.file()), wants)
            }
            Request::Measure { file } => {
                answering.last(Reply::Size(self.file(file)?.file().device_size()?))
            }
            Request::OpenImage { path } => self.open_image(answering, &path),
            Request::Digests { file, spans, pieces } => {
                images::digests(answering, &*self.file(file)?, &spans, pieces)
            }
            Request::Chunks { file, span, cut } => {
                chunks::chunks(answering, &*self.file(file)?, span, cut)
            }
            Request::ReadBlocks { file, spans } => self.read_blocks(answering, file, &spans),
            Request::Remove { at, expected } => self.remove(answering, &at, &expected),
            // The responder answers it by itself.
            Request::Close { .. } => answering.last(Reply::Done),
            Request::OwnerName { of } => {
                let name = self.owner_name(of)?;
                answering.last(Reply::OwnerName(name))
            }
            Request::Sign { signature } => {
                let signature = searching::decode(signature.as_bytes())?;
                self.keep(answering, Object::Signature(Arc::new(signature)), Reply::Done)
            }
            Request::Delta { file, span, basis, room } => {
                let old = self.old_file(&basis)?;
                let served = self.content_of(answering, file)?;
                searching::search(answering, served.file(), span, &old, room.bytes())
            }
        }
    }

    /// What is told in extended attributes is not looked at: so what files pretend to be.
    fn owner_name(&self, of: Owner) -> Result<Option<OwnerName>, Halt> {
        if self.terms.names_any_owner {
            Ok(owners::name_of(of))
        } else {
            self.told_owners.name_of(of)
        }
    }

    fn old_file(&self, basis: &Basis) -> Result<OldFile, Halt> {
        let signatures = basis.signatures.as_slice().iter();
        let pieces = signatures.map(|&handle| self.signature(handle)).collect::<Result<_, _>>()?;
        Ok(OldFile { pieces, seed: basis.seed, update: basis.update })
    }

    fn list(
        &self,
        answering: &mut Answering<'_>,
        dir: &ServedDir,
        wants: Wants,
        after: Option<&Name>,
        room_bytes: u32,
    ) -> Result<(), Halt> {
        if !dir.way.reach.is_listed() {
            return Err(Halt::refused("the job does not list it"));
        }
        let told = |name: &[u8], kind| {
            if !dir.way.hides(name, kind) {
                return Some(wants);
            }
            // A merge file may be read, hidden or not, and what is not listed seems not to be there.
            let is_told = self.terms.tells_what_is_hidden || self.terms.rule_files.contains(name);
            is_told.then(Wants::empty)
        };
        look::list(answering, (dir, &self.listings), told, after, room_bytes)
    }

    fn look(
        &self,
        answering: &mut Answering<'_>,
        at: &Place,
        follow: Follow,
        wants: Wants,
    ) -> Result<(), Halt> {
        let dir = self.dir(at.dir())?;
        if let Place::Named(Named { name, .. }) = at {
            self.check_follow(&dir, name, follow)?;
        }
        if follow == Follow::OwnLinks {
            let why = "what an own link leads to is opened, and not looked at";
            return Err(Halt::because(FaultKind::Unsupported, why));
        }
        let subject = match at {
            Place::Itself(_) => look::Subject::Dir(&dir.dir),
            Place::Named(named) => look::Subject::name(&dir.dir, &named.name, follow),
        };
        self.check_look(&dir, at, &subject)?;
        look::seen(answering, &subject, wants)
    }

    fn dir(&self, handle: Handle) -> Result<Arc<ServedDir>, Halt> {
        match self.open.read().get(&handle).map(|open| &open.object) {
            Some(Object::Dir(dir)) => Ok(Arc::clone(dir)),
            Some(_) => Err(Halt::because(FaultKind::WrongHandle, "it is no directory")),
            None => Err(not_open()),
        }
    }

    fn signature(&self, handle: Handle) -> Result<Arc<Signature>, Halt> {
        match self.open.read().get(&handle).map(|open| &open.object) {
            Some(Object::Signature(signature)) => Ok(Arc::clone(signature)),
            Some(_) => Err(Halt::because(FaultKind::WrongHandle, "it is no signature")),
            None => Err(not_open()),
        }
    }

    /// Answers that something is open.
    fn opened(
        &self,
        answering: &mut Answering<'_>,
        object: Object,
        metadata: Metadata,
    ) -> Result<(), Halt> {
        self.keep(answering, object, Reply::Opened(metadata))
    }

    /// Keeps something and answers so. It is kept first, for others may use it as soon as it is
    /// answered; unless nobody waits for it any more.
    fn keep(
        &self,
        answering: &mut Answering<'_>,
        object: Object,
        reply: Reply,
    ) -> Result<(), Halt> {
        let Ticket { id, attempt } = answering.ticket;
        let handle = Handle(id);
        {
            let mut open = self.open.write();
            if open.get(&handle).is_some_and(|other| other.attempt > attempt) {
                return Err(Halt::Stale);
            }
            open.insert(handle, Open { attempt, object });
        }
        let answered = answering.last(reply);
        if answered.is_err() {
            let mut open = self.open.write();
            if open.get(&handle).is_some_and(|kept| kept.attempt == attempt) {
                open.remove(&handle);
            }
        }
        answered
    }

    fn opened_dir(
        &self,
        answering: &mut Answering<'_>,
        dir: Dir,
        way: Arc<Way>,
    ) -> Result<(), Halt> {
        let metadata = dir.metadata()?;
        let served = ServedDir { dir, way, names: Mutex::default() };
        self.opened(answering, Object::Dir(Arc::new(served)), metadata)
    }

    fn open_child_at(
        &self,
        answering: &mut Answering<'_>,
        at: &Named,
        (access, follow): (Access, Follow),
        atime: fs::AccessTime,
    ) -> Result<(), Halt> {
        let dir = self.dir(at.dir)?;
        let mut reach = self.reach_at(&dir, &at.name, Kind::Directory)?;
        let child = self.open_child(&dir, &at.name, (access, follow), atime)?;
        if follow != Follow::Never {
            self.check_followed(&dir, &child)?;
            // What became a link just now was not one when it was picked: nothing more is given.
            let is_link = || dir.dir.stat(at.name.as_bytes()).map(|it| it.kind != Kind::Directory);
            if self.terms.follows_links == Follows::None && is_link()? {
                reach = reach.through_link();
            }
        }
        self.opened_child(answering, &dir, &at.name, child, reach)
    }

    fn opened_child(
        &self,
        answering: &mut Answering<'_>,
        above: &ServedDir,
        name: &Name,
        dir: Dir,
        mut reach: Arc<Reach>,
    ) -> Result<(), Halt> {
        let (name, inode) = (name.as_bytes(), dir.metadata()?.inode());
        let is_mounted = inode.dev != above.way.inode.dev && !above.way.reach.has_picked(name);
        if is_mounted && self.terms.stays_on_device {
            // Its attributes are brought over (`-x`), and nothing that lies in it.
            reach = Arc::default();
        }
        let way = above.way.child(name, &dir, inode, reach)?;
        self.opened_dir(answering, dir, Arc::new(way))
    }

    fn open_root(
        &self,
        answering: &mut Answering<'_>,
        path: &OperatorPath,
        access: Access,
    ) -> Result<(), Halt> {
        let typed = path.as_bytes();
        let reach = match &self.terms.roots {
            None => Some(Arc::new(Reach::whole())),
            Some(roots) => roots.get(typed).cloned(),
        };
        let reach = match reach {
            Some(reach) => reach,
            None => self.reach_for_rules(typed)?,
        };
        let path = self::path(typed);
        let dir = match access {
            Access::Read => Dir::open_operator(path)?,
            Access::Search => Dir::open_operator_to_search(path)?,
        };
        let rules = self.terms.rules.as_ref().map(|rules| (rules, pipeline::absolute(typed)));
        let inode = dir.metadata()?.inode();
        let way = Way::of_root(&dir, inode, reach, rules)?;
        self.opened_dir(answering, dir, Arc::new(way))
    }

    fn open_child(
        &self,
        dir: &ServedDir,
        name: &Name,
        (access, follow): (Access, Follow),
        atime: fs::AccessTime,
    ) -> Result<Dir, Halt> {
        self.check_follow(dir, name, follow)?;
        let (dir, name) = (&dir.dir, name.as_bytes());
        Ok(match (follow, access) {
            (Follow::Never, Access::Read) => dir.open_child(name, atime)?,
            (Follow::Never, Access::Search) => dir.open_child_to_search(name, atime)?,
            (Follow::Links, Access::Read) => dir.open_child_following(name)?,
            (Follow::Links, Access::Search) => dir.open_child_following_to_search(name)?,
            (Follow::OwnLinks, Access::Read) => fs::below::open_dir_below(dir, path(name))?,
            (Follow::OwnLinks, Access::Search) => {
                fs::below::open_dir_below_to_search(dir, path(name))?
            }
        })
    }

    fn open_file(&self, file: &FileAt) -> Result<(File, Metadata), Halt> {
        let dir = self.dir_of_content(file)?;
        let FileAt { at, follow, atime } = file;
        // To open a device may do something to it. What an own link leads to is not looked at.
        if *follow != Follow::OwnLinks {
            self.check_kind(look::Subject::name(&dir.dir, &at.name, *follow).metadata()?.kind)?;
        }
        let file = self.opener(&dir).open(&at.name, *follow, of_wire(*atime))?;
        let metadata = file.metadata()?;
        self.check_kind(metadata.kind)?;
        Ok((file, metadata))
    }

    fn remove(
        &self,
        answering: &mut Answering<'_>,
        Named { dir, name }: &Named,
        expected: &Expected,
    ) -> Result<(), Halt> {
        if !self.terms.removes_files {
            return Err(Halt::refused("the job removes no files of the source"));
        }
        let dir = self.dir(*dir)?;
        self.reach_at(&dir, name, Kind::File)?;
        let now = match dir.dir.stat(name.as_bytes()) {
            // The answer to an attempt before may have been lost.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && answering.ticket.attempt > 0 =>
            {
                return answering.last(Reply::Done);
            }
            now => now?,
        };
        let found = Expected { dev: now.dev, ino: now.ino, size: now.size, mtime: now.mtime };
        if found != *expected {
            return Err(Halt::because(FaultKind::Changed, "it is not what was expected"));
        }
        dir.dir.remove_file(name.as_bytes())?;
        answering.last(Reply::Done)
    }
}

/// Opens the directory above, which must be the one that this was opened in: nothing leads above a
/// root, nor elsewhere when a directory was moved or lies behind a link.
fn open_parent(dir: &ServedDir) -> Result<(Dir, Arc<Way>), Halt> {
    let refused = || Halt::refused("it does not lie where it was opened");
    let above = dir.way.above.as_ref().ok_or_else(refused)?;
    let parent = dir.dir.open_parent()?;
    if parent.metadata()?.inode() != above.inode {
        return Err(refused());
    }
    Ok((parent, Arc::clone(above)))
}

fn path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

fn look_at_mount(dir: &Dir, at: &Place) -> io::Result<Mount> {
    match at {
        Place::Itself(_) => Ok(Mount { id: dir.mount_id()?, is_root: None }),
        Place::Named(named) => {
            Ok(Mount { id: None, is_root: Some(dir.is_mount_root(named.name.as_bytes())?) })
        }
    }
}

fn of_wire(atime: wire::AccessTime) -> fs::AccessTime {
    match atime {
        wire::AccessTime::Update => fs::AccessTime::Update,
        wire::AccessTime::Keep => fs::AccessTime::Keep,
    }
}

#[cfg(test)]
mod tests;
