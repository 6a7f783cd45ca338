//! The inodes that the kernel remembers, each with a descriptor of its backing file.
//!
//! A descriptor and not a path, so that renames, hard links and deep trees need no bookkeeping.
//! Must not touch data; see `data` for open files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::FileAttr;
use parking_lot::Mutex;
use rustix::fs::{CWD, Dir, Mode, OFlags, Stat, fstat, open, openat, readlinkat};
use rustix::io::Errno;

use crate::attr;

/// The number under which FUSE knows the root.
pub(crate) const ROOT: u64 = 1;

/// The inodes below a backing directory.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Arc<OwnedFd>,
    root_path: Vec<u8>,
    root_dev: u64,
    root_ino: u64,
    folds_case: bool,
    nodes: Mutex<HashMap<u64, Node>>,
}

#[derive(Debug)]
struct Node {
    fd: Arc<OwnedFd>,
    lookups: u64,
}

impl Tree {
    pub(crate) fn new(backing: &Path, folds_case: bool) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Arc::new(open(backing, flags, Mode::empty())?);
        let stat = fstat(&root)?;
        let root_path = readlinkat(CWD, proc_path(&root), Vec::new())?.into_bytes();
        Ok(Self {
            root,
            root_path,
            root_dev: stat.st_dev,
            root_ino: stat.st_ino,
            folds_case,
            nodes: Mutex::new(HashMap::new()),
        })
    }

    /// The descriptor of an inode.
    pub(crate) fn fd(&self, ino: u64) -> Result<Arc<OwnedFd>, Errno> {
        if ino == ROOT {
            return Ok(Arc::clone(&self.root));
        }
        self.nodes.lock().get(&ino).map(|node| Arc::clone(&node.fd)).ok_or(Errno::STALE)
    }

    /// The name of an entry as it was made, which may differ in case from the one that is asked for.
    pub(crate) fn spelled<'a>(&self, parent: u64, name: &'a OsStr) -> Cow<'a, OsStr> {
        let made = if self.folds_case { self.fold(parent, name).ok().flatten() } else { None };
        made.map_or(Cow::Borrowed(name), Cow::Owned)
    }

    fn fold(&self, parent: u64, name: &OsStr) -> Result<Option<OsString>, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = open(proc_path(self.fd(parent)?), flags, Mode::empty())?;
        for entry in Dir::new(dir)? {
            let entry = entry?;
            let made = entry.file_name().to_bytes();
            if made.eq_ignore_ascii_case(name.as_bytes()) {
                return Ok(Some(OsString::from_vec(made.to_vec())));
            }
        }
        Ok(None)
    }

    /// Finds a name and takes a reference, which a forget gives back.
    pub(crate) fn lookup(&self, parent: u64, name: &OsStr) -> Result<FileAttr, Errno> {
        let parent = self.fd(parent)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&parent, name, flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        let ino = self.number(&stat);
        if ino != ROOT {
            let mut nodes = self.nodes.lock();
            let node = nodes.entry(ino).or_insert_with(|| Node { fd: Arc::new(fd), lookups: 0 });
            node.lookups += 1;
        }
        Ok(attr::file_attr(&stat, ino))
    }

    pub(crate) fn forget(&self, ino: u64, lookups: u64) {
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.get_mut(&ino) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 {
                let gone = nodes.remove(&ino);
                drop(nodes); // closing the last link of a big file takes time
                drop(gone);
            }
        }
    }

    pub(crate) fn attr(&self, ino: u64) -> Result<FileAttr, Errno> {
        Ok(attr::file_attr(&fstat(self.fd(ino)?)?, ino))
    }

    /// The number of a backing file. The backing root's own number and [`ROOT`] change places, and
    /// other devices below it get numbers of their own, so that each file has just one.
    pub(crate) fn number(&self, stat: &Stat) -> u64 {
        self.number_of(stat.st_dev, stat.st_ino)
    }

    /// The number of a directory entry, which is on the root's device as far as one can tell.
    pub(crate) fn entry_number(&self, ino: u64) -> u64 {
        self.number_of(self.root_dev, ino)
    }

    fn number_of(&self, dev: u64, ino: u64) -> u64 {
        if dev != self.root_dev {
            return ino ^ (dev << 40);
        }
        match ino {
            ROOT => self.root_ino,
            ino if ino == self.root_ino => ROOT,
            ino => ino,
        }
    }

    /// The path below the mount point, for matching against fault rules; the empty path is the root.
    pub(crate) fn path(&self, ino: u64, name: Option<&OsStr>) -> Option<Vec<u8>> {
        let fd = self.fd(ino).ok()?;
        let full = readlinkat(CWD, proc_path(&fd), Vec::new()).ok()?.into_bytes();
        let below = full.strip_prefix(self.root_path.as_slice())?;
        let mut path = below.strip_prefix(b"/").unwrap_or(below).to_vec();
        if let Some(name) = name {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
        }
        Some(path)
    }
}

/// A path that leads to the very inode behind a descriptor, for calls that take no descriptor or
/// refuse one that was opened as a mere path.
pub(crate) fn proc_path(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}
