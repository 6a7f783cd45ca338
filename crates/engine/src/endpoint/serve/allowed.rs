//! Whether the terms of the session let something be asked: of what the job names, what no rule of it hides,
//! through no link that it does not follow.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use fs::Dir;
use model::{Inode, Kind};
use wire::{FileAt, Follow, Name, Named, Place};

use super::terms::Follows;
use super::{Halt, Reach, ServedDir, Server, look, not_named};
use crate::pipeline;

impl Server {
    /// The directory of a file that is read by its name, if that may be.
    pub(super) fn dir_of_content(&self, file: &FileAt) -> Result<Arc<ServedDir>, Halt> {
        let dir = self.dir(file.at.dir)?;
        self.check_follow_to_file(&file.at.name, file.follow)?;
        self.reach_at(&dir, &file.at.name, Kind::File)?;
        Ok(dir)
    }

    /// Whether what is of a kind may be opened to be read.
    pub(super) fn check_kind(&self, kind: Kind) -> Result<(), Halt> {
        match kind {
            Kind::File | Kind::Directory | Kind::Symlink => Ok(()),
            _ if self.terms.reads_devices => Ok(()),
            _ => Err(Halt::refused("the job reads no such file")),
        }
    }

    /// What may be reached from what has a name in a directory, if that may be reached.
    pub(super) fn reach_at(
        &self,
        dir: &ServedDir,
        name: &Name,
        kind: Kind,
    ) -> Result<Arc<Reach>, Halt> {
        let name = name.as_bytes();
        let reach = dir.way.reach.at(name, dir.way.shown(name, Some(kind)));
        let is_rules = || self.terms.rule_files.contains(name);
        reach.or_else(|| is_rules().then(Arc::default)).ok_or_else(not_named)
    }

    pub(super) fn check_place(
        &self,
        dir: &ServedDir,
        place: &Place,
        kind: Kind,
    ) -> Result<(), Halt> {
        match place {
            Place::Itself(_) => Ok(()),
            Place::Named(named) => self.reach_at(dir, &named.name, kind).map(drop),
        }
    }

    /// Whether something may be looked at. What was picked by its name may be: what rules say of it is
    /// known when its kind is.
    pub(super) fn check_look(
        &self,
        dir: &ServedDir,
        place: &Place,
        subject: &look::Subject<'_>,
    ) -> Result<(), Halt> {
        let Place::Named(Named { name, .. }) = place else { return Ok(()) };
        if dir.way.reach.has_picked(name.as_bytes()) {
            return Ok(());
        }
        let [as_file, as_directory] =
            [Kind::File, Kind::Directory].map(|kind| self.reach_at(dir, name, kind).map(drop));
        if as_file.is_ok() == as_directory.is_ok() {
            return as_file;
        }
        if subject.metadata()?.kind == Kind::Directory { as_directory } else { as_file }
    }

    /// Whether a link may be followed to look at what it leads to, or to a directory.
    pub(super) fn check_follow(
        &self,
        dir: &ServedDir,
        name: &Name,
        follow: Follow,
    ) -> Result<(), Halt> {
        let follows_some = self.terms.follows_links > Follows::None;
        let may = follows_some || dir.way.reach.leads_through(name.as_bytes());
        if may || follow == Follow::Never { Ok(()) } else { Err(is_not_followed()) }
    }

    /// Whether a directory may be served that was opened through a name.
    pub(super) fn check_followed(&self, above: &ServedDir, dir: &Dir) -> Result<(), Halt> {
        let must_be_below = self.terms.follows_links == Follows::DirectoriesBelow;
        if !must_be_below || lies_below(dir, above.way.root())? {
            return Ok(());
        }
        Err(is_not_followed())
    }

    /// What may be reached from a directory that is asked for by a path from `/` and not named: merge files
    /// alone, and these where the job may begin.
    pub(super) fn reach_for_rules(&self, path: &[u8]) -> Result<Arc<Reach>, Halt> {
        let Some(roots) = self.terms.roots.as_ref().filter(|_| self.terms.begins_anywhere) else {
            return Err(not_named());
        };
        let is_above = |start: &[u8]| {
            let start = pipeline::absolute(start);
            let root = filter::directories_up(&start).next();
            filter::directories_up(path).skip(1).any(|above| Some(above) == root)
        };
        let mut starts = roots.iter().filter(|(start, reach)| reach.is_listed() && is_above(start));
        let (start, _) = starts.next().ok_or_else(not_named)?;
        if self.terms.follows_links != Follows::DirectoriesBelow
            || lies_below(&open_root(path)?, open_root(start)?.metadata()?.inode())?
        {
            return Ok(Arc::default());
        }
        Err(is_not_followed())
    }

    /// Whether a link may be followed to a file: where files behind links are brought over, or to a merge
    /// file that is an own link.
    pub(super) fn check_follow_to_file(&self, name: &Name, follow: Follow) -> Result<(), Halt> {
        let may = match follow {
            Follow::Never => true,
            Follow::Links => false,
            Follow::OwnLinks => self.terms.rule_files.contains(name.as_bytes()),
        };
        if may || self.terms.follows_links == Follows::All {
            return Ok(());
        }
        Err(is_not_followed())
    }
}

/// The directory at a path of the user's, to search it.
fn open_root(path: &[u8]) -> io::Result<Dir> {
    Dir::open_operator_to_search(Path::new(OsStr::from_bytes(path)))
}

fn is_not_followed() -> Halt {
    Halt::refused("the job does not follow such links")
}

/// Whether the way up from a directory leads through another.
fn lies_below(dir: &Dir, root: Inode) -> io::Result<bool> {
    let (mut dir, mut inode) = (dir.clone(), dir.metadata()?.inode());
    while inode != root {
        dir = dir.open_parent()?;
        let above = dir.metadata()?.inode();
        if above == inode {
            return Ok(false);
        }
        inode = above;
    }
    Ok(true)
}
