//! What is asked of a directory before it is wanted: directories in it that are being opened, and
//! looks at its entries.
//!
//! A handle may be named before it is open, so that a whole way and what lies at its end are asked for
//! at once, in one round trip.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use wire::{Access, Follow, Handle, Name, Named, Place, Request, Room, Wants};

use super::{Pending, Remote};

/// Room for what an entry that is looked at ahead has of texts and attributes. One that has more is
/// looked at again, when it is wanted.
const LOOK_BYTES: u32 = 4 << 10;

/// How a directory is opened.
pub(super) type How = (Access, Follow);

/// How a directory is opened to be listed.
pub(super) const LISTED: How = (Access::Read, Follow::Never);

/// Whether a directory that is opened will be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Soon,
    Perhaps,
}

/// A directory that is being opened.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) pending: Pending,
    /// The beginning of its listing.
    pub(super) first_page: Option<Pending>,
    pub(super) ahead: Ahead,
}

/// What is on its way from one directory.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    dirs: BTreeMap<(Name, How), Opening>,
    looks: BTreeMap<Name, Pending>,
}

impl Opening {
    /// With the beginning of its listing, if it will be listed.
    pub(super) fn of(remote: &Arc<Remote>, opening: Pending, listed: Listed) -> io::Result<Self> {
        let first_page = match listed {
            Listed::Soon => {
                let room_bytes = remote.first_pages.room_bytes();
                let list = page_request(opening.handle, None, remote.wants, room_bytes)?;
                remote.start_ahead(list, room_bytes.into())
            }
            Listed::Perhaps => None,
        };
        Ok(Self { pending: opening, first_page, ahead: Ahead::default() })
    }
}

impl Ahead {
    pub(super) fn is_opening(&self, name: &Name, how: How) -> bool {
        self.dirs.contains_key(&(name.clone(), how))
    }

    pub(super) fn take_opening(&mut self, name: &Name, how: How) -> Option<Opening> {
        if self.dirs.is_empty() {
            return None;
        }
        self.dirs.remove(&(name.clone(), how))
    }

    pub(super) fn take_look(&mut self, name: &Name) -> Option<Pending> {
        self.looks.remove(name)
    }

    /// Begins to open a directory; `open` says how it is asked for. False if there is no room for it.
    pub(super) fn open(
        &mut self,
        remote: &Arc<Remote>,
        (name, how): (&Name, How),
        open: impl FnOnce() -> Request,
    ) -> bool {
        // Others may be nearer to their turn: as much is left for them as this directory has taken.
        if remote.room_for_dirs() <= self.dirs.len() {
            return false;
        }
        let listed = if how == LISTED { Listed::Soon } else { Listed::Perhaps };
        let opening = remote.start_ahead(open(), 0);
        let opening = opening.map(|opening| Opening::of(remote, opening, listed));
        let Some(Ok(opening)) = opening else { return false };
        self.dirs.insert((name.clone(), how), opening);
        true
    }

    /// Begins to look at what lies at the end of a way that leads from `dir` through directories, which
    /// are opened so. False if there is no room for all of it.
    pub(super) fn look(
        &mut self,
        remote: &Arc<Remote>,
        dir: Handle,
        (way, name): (&[Name], &Name),
        how: How,
    ) -> bool {
        let Some((first, rest)) = way.split_first() else {
            return self.looks.contains_key(name) || self.look_here(remote, dir, name);
        };
        let at = Named { dir, name: first.clone() };
        let atime = wire::AccessTime::Update;
        let open = || Request::OpenChild { at, access: how.0, follow: how.1, atime };
        if !self.is_opening(first, how) && !self.open(remote, (first, how), open) {
            return false;
        }
        match self.dirs.get_mut(&(first.clone(), how)) {
            Some(Opening { pending, ahead, .. }) => {
                ahead.look(remote, pending.handle, (rest, name), how)
            }
            None => false,
        }
    }

    fn look_here(&mut self, remote: &Arc<Remote>, dir: Handle, name: &Name) -> bool {
        let at = Place::Named(Named { dir, name: name.clone() });
        let wants = remote.wants;
        let bytes = if wants == Wants::METADATA { 0 } else { LOOK_BYTES };
        let Ok(room) = Room::new(bytes) else { return false };
        let request = Request::Look { at, follow: Follow::Never, wants, room };
        let Some(look) = remote.start_ahead(request, bytes.into()) else { return false };
        self.looks.insert(name.clone(), look);
        true
    }
}

/// Asks for a page of a listing.
pub(super) fn page_request(
    dir: Handle,
    after: Option<Name>,
    wants: Wants,
    room_bytes: u32,
) -> io::Result<Request> {
    let room = Room::new(room_bytes).map_err(io::Error::other)?;
    Ok(Request::List { dir, wants, after, room })
}
