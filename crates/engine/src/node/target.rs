//! Where a directory of the transfer arrives, and what is found out about that on the way.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use filter::Scope;
use fs::{Acl, Dir, File};

use super::{Handle, ThroughLink};
use crate::transfer::similar::Similar;

/// The directory of the destination that belongs to a node.
#[derive(Debug)]
pub(crate) enum Target {
    /// It is there.
    Present { handle: Handle<Dir>, through_link: ThroughLink, listing: Before, ground: Ground },
    /// It is not there and will not be: a dry run, or nothing but a list is wanted.
    Absent,
}

impl Target {
    /// The directory, if it is there and open now.
    pub(crate) fn if_open(&self) -> Option<Dir> {
        match self {
            Self::Present { handle, .. } => handle.if_open(),
            Self::Absent => None,
        }
    }
}

/// The file system and mount of the destination directory that the user named: deletion stays
/// there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    device: u64,
    /// `None` where the kernel does not tell.
    mount: Option<u64>,
}

impl Ground {
    pub(crate) fn of(dir: &Dir) -> io::Result<Self> {
        Ok(Self { device: dir.device()?, mount: dir.mount_id()? })
    }

    /// True when a directory lies on another device.
    pub(crate) fn is_other_device(&self, dir: &Dir) -> io::Result<bool> {
        Ok(dir.device()? != self.device)
    }

    /// True when a directory lies in another mount: a bind mount is one, a subvolume is none.
    pub(crate) fn is_other_mount(&self, dir: &Dir) -> io::Result<bool> {
        match (self.mount, dir.mount_id()?) {
            (Some(here), Some(there)) => Ok(here != there),
            _ => self.is_other_device(dir),
        }
    }
}

/// What the destination directory held before this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// This run made it: it is empty.
    Empty,
    /// It was there and may hold anything.
    Anything,
}

/// The destination side of a node.
#[derive(Debug)]
pub(crate) struct TargetSide {
    pub(crate) dir: Target,
    /// The name under which a single file arrives, where it is not its own.
    pub(crate) renamed: Option<Box<[u8]>>,
    /// The rules that protect what is in it.
    pub(crate) scope: Scope,
    /// Something was made, replaced or removed in it.
    touched: AtomicBool,
    /// Group of a file made in it, plus one; 0 while unknown.
    birth_group: AtomicU64,
    /// Its default ACL, once it was asked for.
    pub(crate) default_acl: OnceLock<Option<Acl>>,
    /// The directories of the basis trees that mirror it, once they were asked for.
    pub(crate) mirrors: OnceLock<Vec<Option<Handle<Dir>>>>,
    /// Files that a new one may be like, once somebody asked.
    pub(crate) similar: OnceLock<Similar>,
}

impl TargetSide {
    pub(crate) fn new(dir: Target, scope: Scope) -> Self {
        Self {
            dir,
            renamed: None,
            scope,
            touched: AtomicBool::new(false),
            birth_group: AtomicU64::new(0),
            default_acl: OnceLock::new(),
            mirrors: OnceLock::new(),
            similar: OnceLock::new(),
        }
    }

    /// Where deletion stays; `None` where there is no directory.
    pub(crate) fn ground(&self) -> Option<Ground> {
        let Target::Present { ground, .. } = &self.dir else { return None };
        Some(*ground)
    }

    /// True when the directory was made by this run or is absent: it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.dir, Target::Absent | Target::Present { listing: Before::Empty, .. })
    }

    /// The name that an entry has in it.
    pub(crate) fn name_of<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        self.renamed.as_deref().unwrap_or(name)
    }

    /// Notes that the directory changes.
    pub(crate) fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Group that files made in the directory are born with, once one was.
    pub(crate) fn known_birth_group(&self) -> Option<u32> {
        let known = self.birth_group.load(Ordering::Relaxed);
        known.checked_sub(1).and_then(|group| u32::try_from(group).ok())
    }

    /// The same, learnt from a file that was just made.
    pub(crate) fn birth_group(&self, file: &File) -> io::Result<u32> {
        if let Some(group) = self.known_birth_group() {
            return Ok(group);
        }
        let group = file.metadata()?.gid;
        self.birth_group.store(u64::from(group) + 1, Ordering::Relaxed);
        Ok(group)
    }
}
