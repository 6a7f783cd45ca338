//! The directories that arguments and listed lines start from, and how they are opened again.
//!
//! The user typed the way to them, so it may lead through links; where a line of `--files-from`
//! must not lead through those of other users, they are refused each time.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use model::settings::Symlinks;
use model::{Kind, Metadata, RelPath};
use wire::Follow;

use super::wishes::Wishes;
use crate::endpoint::{Directory, Endpoint, SourceDir};
use crate::error::SetupError;
use crate::links::is_unsafe;
use crate::run::join;

/// What the way to a directory starts from.
#[derive(Clone, Debug)]
enum Start {
    /// The working directory, or the root, where the source lies: of an argument.
    Endpoint(Endpoint),
    /// The directory that the lines of `--files-from` are below.
    Anchor(SourceDir),
}

/// Where a directory is that the user named.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    start: Start,
    /// The way from there; of an argument the path as typed.
    way: Box<[u8]>,
    /// As a person would look for it.
    pub(crate) shown: Box<[u8]>,
    /// Links are followed whoever owns them.
    trusts_links: bool,
    /// Its content was asked for, and not only names in it.
    is_listed: bool,
}

impl Place {
    /// Opens the directory. Whoever had it open before insists on the inode that it had.
    pub(crate) fn open(&self) -> io::Result<SourceDir> {
        match &self.start {
            Start::Anchor(anchor) => self.open_below(anchor, &self.way),
            // That its content cannot be read is told when it is listed.
            Start::Endpoint(endpoint) => {
                endpoint.open_to_search(Path::new(OsStr::from_bytes(&self.way)), self.is_listed)
            }
        }
    }

    /// Its path from `/` on the host where it is, by its text.
    pub(crate) fn absolute(&self) -> Vec<u8> {
        match &self.start {
            Start::Anchor(anchor) => anchor.absolute(&self.shown),
            Start::Endpoint(endpoint) => endpoint.absolute(&self.shown),
        }
    }

    /// A directory on a path that the user typed.
    fn open_below(&self, dir: &SourceDir, way: &[u8]) -> io::Result<SourceDir> {
        let mut dir = dir.clone();
        for name in super::components(way) {
            dir = self.enter(&dir, name)?;
        }
        Ok(dir)
    }

    /// The directory that a name stands for, or that links lead to from there: only those that may be
    /// followed.
    fn enter(&self, dir: &SourceDir, name: &[u8]) -> io::Result<SourceDir> {
        if self.trusts_links {
            dir.open_child_following_to_search(name)
        } else {
            dir.open_child_following_own_to_search(name)
        }
    }
}

/// A directory from which picked names are looked up.
pub(super) struct Base {
    pub(super) dir: SourceDir,
    pub(super) place: Place,
    /// The directories on the way that was gone last, by their names: the next name often lies there,
    /// too.
    last_way: RefCell<Vec<(Box<[u8]>, SourceDir)>>,
}

/// So many directories of the last way are kept open: ways are seldom longer.
const WAY_KEPT: usize = 16;

impl Base {
    /// The directory of an argument, which stands for its content or for a name in it.
    pub(super) fn typed(endpoint: &Endpoint, path: &[u8], is_listed: bool) -> io::Result<Self> {
        let start = Start::Endpoint(endpoint.clone());
        let (way, shown) = (path.into(), path.into());
        let place = Place { start, way, shown, trusts_links: true, is_listed };
        let dir = place.open()?;
        // A directory that may be listed but not searched is as good as unreadable.
        dir.check_search()?;
        Ok(Self::at(dir, place))
    }

    /// The directory that the lines of `--files-from` are below.
    pub(super) fn anchored(
        endpoint: &Endpoint,
        path: &Path,
        trusts_links: bool,
    ) -> Result<Self, SetupError> {
        let failed = |cause| SetupError::ChangeDirectory { path: path.to_owned(), cause };
        let dir = endpoint.open(path).map_err(failed)?;
        let (start, shown) = (Start::Anchor(dir.clone()), path.as_os_str().as_bytes().into());
        let way = Box::default();
        let place = Place { start, way, shown, trusts_links, is_listed: false };
        Ok(Self::at(dir, place))
    }

    fn at(dir: SourceDir, place: Place) -> Self {
        Self { dir, place, last_way: RefCell::default() }
    }

    /// A directory below this one.
    pub(super) fn open(&self, below: &[u8]) -> io::Result<Self> {
        let dir = self.enter(&super::components(below))?;
        let (way, shown) = (join(&self.place.way, below), join(&self.place.shown, below));
        Ok(Self::at(dir, Place { way, shown, ..self.place.clone() }))
    }

    /// A name will be looked up soon. False if that has to wait; see [`SourceDir::begin_look`].
    pub(super) fn foresee(&self, components: &[&[u8]]) -> bool {
        let follow = if self.place.trusts_links { Follow::Links } else { Follow::OwnLinks };
        components.is_empty() || self.dir.begin_look(components, follow)
    }

    /// True of a directory with nothing in it.
    pub(super) fn is_empty(&self, components: &[&[u8]]) -> io::Result<bool> {
        self.enter(components)?.is_empty()
    }

    fn enter(&self, way: &[&[u8]]) -> io::Result<SourceDir> {
        let mut kept = self.last_way.borrow_mut();
        let same = kept.iter().zip(way).take_while(|((kept, _), name)| **kept == ***name).count();
        kept.truncate(same);
        let mut dir = kept.last().map_or(&self.dir, |(_, dir)| dir).clone();
        for component in &way[same..] {
            dir = self.place.enter(&dir, component)?;
            if kept.len() < WAY_KEPT {
                kept.push(((*component).into(), dir.clone()));
            }
        }
        Ok(dir)
    }

    /// Looks a picked name up: the way to it may lead through links, it itself is looked at as
    /// `-L`, `-k` and `--copy-unsafe-links` say.
    pub(super) fn find(
        &self,
        components: &[&[u8]],
        settings: &Wishes<'_>,
        is_slashed: bool,
    ) -> io::Result<Metadata> {
        let Some((name, way)) = components.split_last() else { return self.dir.as_opened() };
        let dir = self.enter(way)?;
        let metadata = dir.stat(name)?;
        if metadata.kind != Kind::Symlink {
            return Ok(metadata);
        }
        if is_slashed
            && let Err(refused) = self.place.enter(&dir, name)
            && refused.kind() == io::ErrorKind::PermissionDenied
        {
            return Err(refused);
        }
        let leads_out = || -> io::Result<bool> {
            let path = RelPath::new(&way.join(&b'/')).unwrap_or_else(RelPath::root);
            Ok(is_unsafe(&dir.read_link(name)?, &path))
        };
        // Only where it is asked for: looking through a link changes its access time.
        match settings.links.symlinks {
            Symlinks::Follow => dir.stat_following(name),
            // A link to nothing, with a slash behind it, is still a link.
            _ if is_slashed || settings.links.copy_unsafe && leads_out()? => {
                Ok(dir.stat_following(name).unwrap_or(metadata))
            }
            _ if settings.links.copy_dirlinks => {
                let behind = dir.stat_following(name);
                Ok(behind.ok().filter(|it| it.kind == Kind::Directory).unwrap_or(metadata))
            }
            _ => Ok(metadata),
        }
    }
}
