//! The source side as the stages see it: directories and files that are asked, wherever they lie.
//!
//! What is brought over need not lie on this host. So the stages ask [`SourceDir`] and [`SourceFile`]
//! for all that they want of the source, and the destination and the basis trees, which are always
//! here, directly of `fs`. What is asked of either side is a trait, [`Directory`] and [`Attributed`].
//! Calls are bound when they are compiled: for a source on this host the seam is no more than a name.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fs::Dir;
use model::Settings;
use sched::Cancel;
use wire::{Access, Ask, Capacity, System};

use crate::pipeline;

/// Extended attributes and ACLs, of either side.
mod attributes;
/// What every endpoint promises.
#[cfg(test)]
mod conformance;
/// Directories, of either side.
mod directory;
/// Names of users and groups.
mod owners;
/// The source on another host.
pub(crate) mod remote;
/// The tree of this host, served to a requester on another.
pub mod serve;
/// Directories of the source.
mod source_dir;
/// Files of the source.
mod source_file;
/// Sums of what travels.
mod sums;

pub(crate) use self::attributes::{Attributed, SourceAttributes};
pub(crate) use self::directory::Directory;
pub(crate) use self::owners::Owners;
pub(crate) use self::remote::{
    Asked, AskedChunks, Blocks, KnownData, NotOpened, Operations, RemoteFile, RemoteImage, Secret,
    Signed, SignedWhole, Wanted, When,
};
use self::remote::{Listed, Remote, RemoteDir};
pub(crate) use self::source_dir::SourceDir;
pub(crate) use self::source_file::SourceFile;
pub(crate) use self::sums::is_damaged;

/// A session with another host that serves the source.
#[derive(Clone)]
pub struct RemoteSource {
    /// Where it is asked.
    pub ask: Arc<dyn Ask>,
    /// The operating system there.
    pub system: System,
    /// The directory there from which relative paths begin.
    pub directory: Box<[u8]>,
    /// What it takes at a time, and this side gives.
    pub capacity: Capacity,
    /// The user is on this host. As in rsync, a destination is then left as it is where there is nothing
    /// to bring over; else it is made all the same.
    pub is_pulled: bool,
}

impl fmt::Debug for RemoteSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RemoteSource").field("system", &self.system).finish_non_exhaustive()
    }
}

/// Where the source of a job lies.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// On this host.
    Local,
    /// On another.
    Remote(Arc<Remote>),
}

impl Endpoint {
    /// A source on another host, for a job with these settings. Should the session end before the job,
    /// `cancel` is pulled.
    pub(crate) fn remote(source: &RemoteSource, settings: &Settings, cancel: &Cancel) -> Self {
        Self::Remote(Arc::new(Remote::new(source, settings, cancel)))
    }

    /// The names of its owners.
    pub(crate) fn owners(&self) -> Owners {
        match self {
            Self::Local => Owners::Local,
            Self::Remote(remote) => Owners::Remote(Arc::clone(remote)),
        }
    }

    /// A path of the source as it reads from `/`, by its text.
    pub(crate) fn absolute(&self, path: &[u8]) -> Vec<u8> {
        match self {
            Self::Local => pipeline::absolute(path),
            Self::Remote(remote) => remote.absolute(path),
        }
    }

    /// How long an answer of another host takes to come, as far as that is known; `None` of this one.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match self {
            Self::Local => None,
            Self::Remote(remote) => Some(remote.round_trip()),
        }
    }

    /// Directories and files that may be held open there, if that is bounded by more than the limits of
    /// this process.
    pub(crate) fn handles(&self) -> Option<u64> {
        match self {
            Self::Local => None,
            Self::Remote(remote) => Some(remote.handles()),
        }
    }

    /// True where the user pulls from another host.
    pub(crate) fn is_pulled(&self) -> bool {
        matches!(self, Self::Remote(remote) if remote.is_pulled())
    }

    /// Why nothing more can be asked, where it is so.
    pub(crate) fn lost(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Remote(remote) => remote.over(),
        }
    }

    /// How many answers came damaged, and were asked for again.
    pub(crate) fn repairs(&self) -> u64 {
        match self {
            Self::Local => 0,
            Self::Remote(remote) => remote.repairs(),
        }
    }

    /// Opens a directory that the operator typed: links are followed, once, here.
    pub(crate) fn open(&self, path: &Path) -> io::Result<SourceDir> {
        match self {
            Self::Local => Dir::open_operator(path).map(SourceDir::Local),
            Self::Remote(remote) => {
                RemoteDir::open_operator(remote, path, Access::Read, Listed::Perhaps)
                    .map(SourceDir::Remote)
            }
        }
    }

    /// The same of one that need not be read: who may only search it gets it, too. It may be that it will be
    /// listed, soon.
    pub(crate) fn open_to_search(&self, path: &Path, is_listed: bool) -> io::Result<SourceDir> {
        match self {
            Self::Local => Dir::open_operator_to_search(path).map(SourceDir::Local),
            Self::Remote(remote) => {
                let listed = if is_listed { Listed::Soon } else { Listed::Perhaps };
                RemoteDir::open_operator(remote, path, Access::Search, listed)
                    .map(SourceDir::Remote)
            }
        }
    }
}
