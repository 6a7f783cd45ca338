//! Directories of the other host.

use std::ffi::OsStr;
use std::io;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fs::{AccessTime, Listing};
use model::{Kind, Metadata};
use parking_lot::Mutex;
use wire::{
    Access, Answer, AskError, Entry, Expected, Fetched, FileAt, Follow, Handle, Name, Named,
    OperatorPath, PageEnd, Place, Request, Room, Wants,
};

use super::ahead::{Ahead, How, LISTED, Listed, Opening, page_request};
use super::attributes::{RemoteAttributes, wanted};
use super::file::undamaged;
use super::known::Known;
use super::told::{Memory, ToldOfDir};
use super::{
    Held, Pending, Remote, RemoteFile, had_no_room, name_of, number_at_home, of_another_kind, of_fs,
};
use crate::endpoint::SourceFile;
use crate::merge_files;

/// Of the page behind the first, and of those that follow: each costs a round trip.
pub(super) const PAGE_BYTES: [u32; 2] = [1 << 20, 4 << 20];

/// Of a page that is asked for again, since what was told of its entries is gone.
const PAGE_AGAIN_BYTES: u32 = 512 << 10;

/// What one listing brings to be kept: behind that there are only names.
const TOLD_BYTES: usize = 8 << 20;

/// Room for what has no fixed size: mostly, and if that is not enough.
const TEXT_BYTES: [u32; 2] = [64 << 10, 4 << 20];

/// An open directory. A clone is another handle to the same one.
#[derive(Clone, Debug)]
pub(crate) struct RemoteDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    held: Held,
    as_opened: Metadata,
    /// What was told of it before it was opened, if that is so still.
    itself: Option<Arc<Known>>,
    first_page: Mutex<FirstPage>,
    /// It was listed: what is asked of one entry will be asked of those behind it.
    is_listed: AtomicBool,
    /// One of its entries could be looked at.
    is_searchable: AtomicBool,
    told: ToldOfDir,
    /// What was asked for before it is wanted.
    ahead: Mutex<Ahead>,
    /// Held while a page is told again, so that nobody else asks for the same.
    telling: Mutex<()>,
}

/// The beginning of a listing that nobody has asked for.
#[derive(Debug)]
enum FirstPage {
    None,
    Asked(Pending),
    Came(io::Result<Answer>),
}

impl RemoteDir {
    /// Opens a directory that the operator typed.
    pub(crate) fn open_operator(
        remote: &Arc<Remote>,
        path: &Path,
        access: Access,
        listed: Listed,
    ) -> io::Result<Self> {
        let path = OperatorPath::new(path.as_os_str().as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Self::open(remote, Request::OpenRoot { path, access }, listed)
    }

    fn open(remote: &Arc<Remote>, request: Request, listed: Listed) -> io::Result<Self> {
        let opening = remote.start(request)?;
        Self::wait_for(Opening::of(remote, opening, listed)?, None)
    }

    /// Waits until it is open; `told` is what the directory that it lies in was told of its name.
    fn wait_for(opening: Opening, told: Option<Arc<Known>>) -> io::Result<Self> {
        let Opening { pending, first_page, ahead } = opening;
        let (held, as_opened) = Held::wait_for(pending)?;
        let facts = |it: &Metadata| (it.inode(), it.mode, it.uid, it.gid, it.mtime);
        let is_so_still = |known: &Arc<Known>| facts(&known.metadata) == facts(&as_opened);
        Ok(Self(Arc::new(Inner {
            held,
            as_opened,
            itself: told.filter(is_so_still),
            first_page: Mutex::new(first_page.map_or(FirstPage::None, FirstPage::Asked)),
            is_listed: AtomicBool::new(false),
            is_searchable: AtomicBool::new(false),
            told: ToldOfDir::default(),
            ahead: Mutex::new(ahead),
            telling: Mutex::new(()),
        })))
    }

    pub(super) fn remote(&self) -> &Arc<Remote> {
        &self.0.held.remote
    }

    fn handle(&self) -> Handle {
        self.0.held.handle
    }

    pub(super) fn named(&self, name: &Name) -> Named {
        Named { dir: self.handle(), name: name.clone() }
    }

    /// A file in it.
    pub(super) fn file_at(&self, name: &Name, follow: Follow, atime: AccessTime) -> FileAt {
        FileAt { at: self.named(name), follow, atime: of_fs(atime) }
    }

    /// Opens a directory in it.
    pub(crate) fn open_child(&self, name: &[u8], how: How, atime: AccessTime) -> io::Result<Self> {
        let name = name_of(name)?;
        let told = self.told(&name);
        let begun = self.0.ahead.lock().take_opening(&name, how);
        // One that could not be opened may be so now: there may have been too many at that time.
        if let Some(Ok(dir)) = begun.map(|begun| Self::wait_for(begun, told.clone())) {
            return Ok(dir);
        }
        let listed = if how.0 == Access::Read { Listed::Soon } else { Listed::Perhaps };
        let opening = self.remote().start(self.open_request(&name, how, atime))?;
        Self::wait_for(Opening::of(self.remote(), opening, listed)?, told)
    }

    fn open_request(&self, name: &Name, (access, follow): How, atime: AccessTime) -> Request {
        Request::OpenChild { at: self.named(name), access, follow, atime: of_fs(atime) }
    }

    /// Begins to open a directory in it that will be listed, if it is no other file system: to open
    /// that may do something.
    pub(crate) fn begin_child(&self, name: &[u8], atime: AccessTime) -> bool {
        let Ok(name) = Name::new(name) else { return true };
        let is_on_this = |known: Arc<Known>| known.metadata.dev == self.0.as_opened.dev;
        let mut ahead = self.0.ahead.lock();
        if ahead.is_opening(&name, LISTED) || !self.told(&name).is_some_and(is_on_this) {
            return true;
        }
        ahead.open(self.remote(), (&name, LISTED), || self.open_request(&name, LISTED, atime))
    }

    /// Begins to look at what lies at the end of a way, whose directories are opened to reach what is in
    /// them. False if there is no room for it now.
    pub(crate) fn begin_look(&self, components: &[&[u8]], follow: Follow) -> bool {
        /// A longer way is gone in its turn: what is asked ahead lies one within the other.
        const WAY_MAX: usize = 32;
        if components.len() > WAY_MAX {
            return true;
        }
        let names: Result<Vec<_>, _> = components.iter().map(|name| Name::new(*name)).collect();
        let Ok(names) = names else { return true };
        let Some((name, way)) = names.split_last() else { return true };
        // To open another file system may do something.
        let is_elsewhere = |known: Arc<Known>| known.metadata.dev != self.0.as_opened.dev;
        if way.first().and_then(|first| self.told(first)).is_some_and(is_elsewhere) {
            return true;
        }
        if way.is_empty() && !matches!(self.0.told.of(name), Memory::Nothing) {
            return true;
        }
        let how = (Access::Search, follow);
        self.0.ahead.lock().look(self.remote(), self.handle(), (way, name), how)
    }

    /// Opens the directory that it lies in now.
    pub(crate) fn open_parent(&self) -> io::Result<Self> {
        Self::open(self.remote(), Request::OpenParent { dir: self.handle() }, Listed::Perhaps)
    }

    /// What it was when it was opened.
    pub(crate) fn as_opened(&self) -> Metadata {
        self.0.as_opened
    }

    /// Fails unless names in it can be looked at. Where a listing has told of one, they can.
    pub(crate) fn check_search(&self) -> io::Result<()> {
        if self.0.is_searchable.load(Ordering::Relaxed) || self.tells_of_an_entry() {
            return Ok(());
        }
        self.remote().ask(Request::CheckSearch { dir: self.handle() }).map(drop)
    }

    fn tells_of_an_entry(&self) -> bool {
        self.see_first_page(|entries, _| {
            entries.iter().any(|entry| matches!(entry.seen, Some(Ok(_))))
        })
    }

    /// Shows the beginning of its listing, if that was asked for and not taken.
    fn see_first_page(&self, see: impl FnOnce(&[Entry], &PageEnd) -> bool) -> bool {
        let mut first_page = self.0.first_page.lock();
        *first_page = match mem::replace(&mut *first_page, FirstPage::None) {
            FirstPage::Asked(pending) => FirstPage::Came(pending.wait()),
            other => other,
        };
        match &*first_page {
            FirstPage::Came(Ok(Answer::Listed { entries, end })) => see(entries, end),
            _ => false,
        }
    }

    /// True if there is nothing in it.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        {
            let mut first_page = self.0.first_page.lock();
            if matches!(*first_page, FirstPage::None) {
                let room_bytes = self.remote().first_pages.room_bytes();
                let list = page_request(self.handle(), None, self.remote().wants, room_bytes)?;
                *first_page = FirstPage::Asked(self.remote().start(list)?);
            }
        }
        Ok(self
            .see_first_page(|entries, end| entries.is_empty() && matches!(end, PageEnd::Complete)))
    }

    /// All names in it; what is told of the entries with them is kept.
    pub(crate) fn list(&self) -> io::Result<Listing> {
        let Inner { told, first_page, is_listed, .. } = &*self.0;
        told.forget();
        let (mut listing, mut told_bytes) = (Listing::default(), 0);
        let first_page = mem::replace(&mut *first_page.lock(), FirstPage::None);
        let mut page_bytes = PAGE_BYTES[0];
        let first = |answer: io::Result<Answer>| {
            let page = answer.and_then(of_listing);
            page.inspect(|(entries, end)| self.remote().first_pages.note(entries, end))
        };
        let mut page = match first_page {
            FirstPage::None => self.ask_for_page(None, self.remote().wants, PAGE_BYTES[0]),
            FirstPage::Asked(pending) => first(pending.wait()),
            FirstPage::Came(answer) => first(answer),
        };
        loop {
            let (entries, end) = match page {
                Ok(page) => page,
                Err(error) if listing.is_empty() => return Err(error),
                Err(error) => {
                    listing.break_off(error);
                    break;
                }
            };
            let last = entries.last().map(|entry| entry.name.clone());
            told_bytes += self.take_page(entries, |name, kind| listing.push(name, kind))?;
            match end {
                PageEnd::More => {}
                PageEnd::Complete => break,
                PageEnd::Incomplete(fault) => {
                    let error = self.remote().fault(&fault);
                    if listing.is_empty() {
                        return Err(error);
                    }
                    listing.break_off(error);
                    break;
                }
            }
            let wants = if told_bytes < TOLD_BYTES { self.remote().wants } else { Wants::empty() };
            page = self.ask_for_page(last, wants, page_bytes);
            page_bytes = PAGE_BYTES[1];
        }
        is_listed.store(true, Ordering::Relaxed);
        Ok(listing)
    }

    /// Shows the names of a page, and keeps what it tells.
    fn take_page(
        &self,
        entries: Vec<Entry>,
        mut show: impl FnMut(&[u8], Option<Kind>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let mut told = Vec::with_capacity(entries.len());
        for Entry { name, kind, seen } in entries {
            let seen = seen.map(|seen| seen.map(|seen| Arc::new(Known::from(*seen))));
            let known = seen.as_ref().and_then(|seen| seen.as_ref().ok());
            show(name.as_bytes(), known.map(|known| known.metadata.kind).or(kind))?;
            if known.is_some() {
                self.0.is_searchable.store(true, Ordering::Relaxed);
            }
            told.extend(seen.map(|seen| (name, seen)));
        }
        Ok(self.0.told.add(&self.remote().shelf, told))
    }

    pub(super) fn ask_for_page(
        &self,
        after: Option<Name>,
        wants: Wants,
        room_bytes: u32,
    ) -> io::Result<(Vec<Entry>, PageEnd)> {
        let request = page_request(self.handle(), after, wants, room_bytes)?;
        self.remote().ask(request).and_then(of_listing)
    }

    /// What is known of a name, if that was told and is kept.
    pub(super) fn told(&self, name: &Name) -> Option<Arc<Known>> {
        match self.0.told.of(name) {
            Memory::Told(told) => told.ok(),
            Memory::Nothing | Memory::Stale => None,
        }
    }

    /// What was told of a name may not be so any more.
    pub(crate) fn doubt(&self, name: &[u8]) {
        if let Ok(name) = Name::new(name) {
            self.0.told.doubt(&name);
        }
    }

    /// What a name is, as it was told or is told now.
    pub(super) fn look_at(&self, name: &[u8], wants: Wants) -> io::Result<Arc<Known>> {
        let name = name_of(name)?;
        if let Some(known) = self.remembered(&name, wants) {
            return known;
        }
        let Inner { told, is_listed, telling, ahead, .. } = &*self.0;
        let look = ahead.lock().take_look(&name);
        match look.map(Pending::wait) {
            Some(Ok(Answer::Seen(seen))) => {
                let known = Arc::new(Known::from(seen));
                if known.tells(wants) {
                    told.add_one(&self.remote().shelf, &name, Ok(Arc::clone(&known)));
                    return Ok(known);
                }
            }
            Some(Err(gone)) if gone.kind() == io::ErrorKind::NotFound => return Err(gone),
            _ => {}
        }
        if is_listed.load(Ordering::Relaxed) && matches!(told.of(&name), Memory::Nothing) {
            let _telling = telling.lock();
            if matches!(told.of(&name), Memory::Nothing) {
                let wants = self.remote().wants;
                let page = self.ask_for_page(just_before(&name), wants, PAGE_AGAIN_BYTES);
                // Why it cannot be listed any more does not matter: the name alone is asked for.
                if let Ok((entries, _)) = page {
                    self.take_page(entries, |_, _| Ok(()))?;
                }
            }
        }
        if let Some(known) = self.remembered(&name, wants) {
            return known;
        }
        let at = Place::Named(self.named(&name));
        let known = Arc::new(self.look(&at, Follow::Never, self.remote().wants | wants)?);
        told.add_one(&self.remote().shelf, &name, Ok(Arc::clone(&known)));
        Ok(known)
    }

    /// What was told of a name, if that is all that is wanted.
    fn remembered(&self, name: &Name, wants: Wants) -> Option<io::Result<Arc<Known>>> {
        match self.0.told.of(name) {
            Memory::Told(Ok(known)) => known.tells(wants).then_some(Ok(known)),
            Memory::Told(Err(fault)) => Some(Err(self.remote().fault(&fault))),
            Memory::Nothing | Memory::Stale => None,
        }
    }

    #[cfg(test)]
    pub(super) fn forget_what_was_told(&self) {
        self.0.told.forget();
    }

    /// Its own attributes and ACLs.
    pub(super) fn look_at_itself(&self, wants: Wants) -> io::Result<Arc<Known>> {
        if let Some(known) = self.0.itself.as_ref().filter(|known| known.tells(wants)) {
            return Ok(Arc::clone(known));
        }
        self.look(&Place::Itself(self.handle()), Follow::Never, wants).map(Arc::new)
    }

    fn look(&self, at: &Place, follow: Follow, wants: Wants) -> io::Result<Known> {
        let request = |room| Request::Look { at: at.clone(), follow, wants, room };
        look_in_rooms(self.remote(), wants, request)
    }

    /// Metadata of a name.
    pub(crate) fn stat(&self, name: &[u8]) -> io::Result<Metadata> {
        Ok(self.look_at(name, Wants::METADATA)?.metadata)
    }

    /// Metadata of what a name leads to.
    pub(crate) fn stat_following(&self, name: &[u8]) -> io::Result<Metadata> {
        let name = name_of(name)?;
        if let Some(known) = self.told(&name).filter(|known| known.metadata.kind != Kind::Symlink) {
            return Ok(known.metadata);
        }
        let at = Place::Named(self.named(&name));
        Ok(self.look(&at, Follow::Links, Wants::METADATA)?.metadata)
    }

    /// The target of a link.
    pub(crate) fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let known = self.look_at(name, Wants::LINK)?;
        match &known.link {
            Some(Ok(text)) => Ok(text.as_bytes().to_vec()),
            Some(Err(fault)) => Err(self.remote().fault(fault)),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Attributes of what a name leads to.
    pub(crate) fn attributes_behind(&self, name: &[u8]) -> io::Result<RemoteAttributes<'static>> {
        let at = Place::Named(self.named(&name_of(name)?));
        let known = self.look(&at, Follow::Links, wanted(self.remote()))?;
        Ok(RemoteAttributes::behind(self.remote(), Arc::new(known)))
    }

    /// Opens a file in it.
    pub(crate) fn open_file(
        &self,
        name: &[u8],
        follow: Follow,
        atime: AccessTime,
    ) -> io::Result<RemoteFile> {
        let file = self.file_to_read(name, follow, atime)?;
        file.begin();
        file.wait()?;
        Ok(file)
    }

    /// The same without asking for it yet: that it cannot be opened is told by what is asked of it first.
    pub(crate) fn file_to_read(
        &self,
        name: &[u8],
        follow: Follow,
        atime: AccessTime,
    ) -> io::Result<RemoteFile> {
        let name = name_of(name)?;
        let told = if follow == Follow::Never { self.told(&name) } else { None };
        Ok(RemoteFile::to_read(self, self.file_at(&name, follow, atime), told.as_deref()))
    }

    /// A file in it of which not all content will be wanted.
    pub(crate) fn open_unread(
        &self,
        name: &[u8],
        follow: Follow,
        atime: AccessTime,
    ) -> io::Result<RemoteFile> {
        let file = RemoteFile::begin_unread(self, self.file_at(&name_of(name)?, follow, atime));
        file.wait()?;
        Ok(file)
    }

    /// A file in it that is opened when it must be: its checksum is made without.
    pub(crate) fn file(
        &self,
        name: &[u8],
        follow: Follow,
        atime: AccessTime,
    ) -> io::Result<RemoteFile> {
        Ok(RemoteFile::named(self, self.file_at(&name_of(name)?, follow, atime)))
    }

    /// The same through a link, if root or who reads the source made it.
    pub(crate) fn open_own_child(&self, name: &[u8]) -> io::Result<Self> {
        self.open_child(name, (Access::Search, Follow::OwnLinks), AccessTime::Update)
    }

    /// The first bytes of a file.
    pub(crate) fn read_start(&self, name: &[u8], most_bytes: usize) -> io::Result<Vec<u8>> {
        let file = self.open_file(name, Follow::Never, AccessTime::Keep)?;
        let mut start = vec![0; most_bytes];
        let len = file.read_at(&mut start, 0)?;
        start.truncate(len);
        Ok(start)
    }

    /// A path there as it reads from `/`.
    pub(crate) fn absolute(&self, path: &[u8]) -> Vec<u8> {
        self.remote().absolute(path)
    }

    /// The rules of a merge file in it or below it; see [`merge_files`].
    pub(crate) fn read_rules(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self.fetch_rules(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            rules => rules,
        }
    }

    /// The same of one above the tree that this one is of, by its absolute path there.
    pub(crate) fn read_rules_above(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let slash = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let (above, name) = (&path[..slash.max(1)], &path[slash + 1..]);
        let above = Path::new(OsStr::from_bytes(above));
        match Self::open_operator(self.remote(), above, Access::Search, Listed::Perhaps) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            dir => dir?.read_rules(name),
        }
    }

    fn fetch_rules(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut components = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        let name = name_of(components.next_back().unwrap_or_default())?;
        let mut dir = self.clone();
        for component in components {
            let as_it_is = (Access::Search, Follow::Never);
            let child = dir.open_child(component, as_it_is, AccessTime::Update);
            dir = child.or_else(|_| dir.open_own_child(component))?;
        }
        if dir.is_known_to_lack(&name) {
            return Ok(None);
        }
        let mut follow = Follow::Never;
        let mut fetched = dir.fetch(&name, follow)?;
        if fetched.before.seen.metadata.kind == Kind::Symlink {
            follow = Follow::OwnLinks;
            fetched = dir.fetch(&name, follow)?;
        }
        match fetched.before.seen.metadata.kind {
            Kind::File if fetched.after.is_some() => {
                Ok(Some(fetched.pieces.iter().flat_map(|piece| piece.iter().copied()).collect()))
            }
            kind => {
                let file = dir.file(name.as_bytes(), follow, AccessTime::Keep)?;
                merge_files::read_from(&SourceFile::remote(file), kind)
            }
        }
    }

    /// Asks for all of a file that is seldom long.
    fn fetch(&self, name: &Name, follow: Follow) -> io::Result<Fetched> {
        const ROOM_BYTES: u32 = 64 << 10;
        let room = Room::new(ROOM_BYTES).map_err(io::Error::other)?;
        let file = self.file_at(name, follow, AccessTime::Keep);
        let request = Request::Fetch { file, wants: Wants::METADATA, room };
        self.remote().undamaged(self.remote().start(request.clone())?, request, undamaged)
    }

    /// True when the beginning of its listing is all of it, and has no such name.
    fn is_known_to_lack(&self, name: &Name) -> bool {
        self.see_first_page(|entries, end| {
            *end == PageEnd::Complete && entries.binary_search_by(|it| it.name.cmp(name)).is_err()
        })
    }

    /// Removes a name that is no directory, if it is still what it was found to be.
    pub(crate) fn remove_file(&self, name: &[u8], found: &Metadata) -> io::Result<()> {
        let name = name_of(name)?;
        let Metadata { ino, size, mtime, .. } = *found;
        let expected = Expected { dev: number_at_home(found.dev), ino, size, mtime };
        self.remote().ask(Request::Remove { at: self.named(&name), expected })?;
        self.0.told.doubt(&name);
        Ok(())
    }
}

/// Looks with room for what mostly is there, and again with more if that is not enough.
pub(super) fn look_in_rooms(
    remote: &Remote,
    wants: Wants,
    request: impl Fn(Room<0>) -> Request,
) -> io::Result<Known> {
    let has_texts = wants.intersects(Wants::LINK | Wants::ATTRIBUTES | Wants::ACLS);
    let [first, last] = if has_texts { TEXT_BYTES } else { [0, 0] };
    let ask = |bytes| remote.ask.ask(request(Room::new(bytes).expect("it is below the limit")));
    let answer = match ask(first) {
        Err(AskError::Fault(fault)) if had_no_room(&fault) && last > first => ask(last),
        answer => answer,
    };
    match answer.map_err(|error| remote.error(&error))? {
        Answer::Seen(detailed) => Ok(detailed.into()),
        _ => Err(of_another_kind()),
    }
}

fn of_listing(answer: Answer) -> io::Result<(Vec<Entry>, PageEnd)> {
    match answer {
        Answer::Listed { entries, end } => Ok((entries, end)),
        _ => Err(of_another_kind()),
    }
}

/// The last that can be a name and stands before this one, so that a page behind it begins with this;
/// `None` where there is none.
pub(super) fn just_before(name: &Name) -> Option<Name> {
    let (last, rest) = name.as_bytes().split_last()?;
    let mut before = rest.to_vec();
    // No name has a NUL, nor the slash that stands before the digits.
    let below = if *last == b'0' { b'.' } else { last - 1 };
    if below > 0 {
        before.push(below);
        before.resize(wire::limits::NAME_BYTES, u8::MAX);
    }
    Name::new(before).ok()
}
