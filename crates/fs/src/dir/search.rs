//! Directories that need not be read: who may search them, and no more, gets them, too.
//!
//! Their descriptor opens nothing. It serves for looking names up, for opening, making and renaming
//! what they stand for; to be listed such a directory is opened anew, which fails unless its mode
//! has changed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::Ordering;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::{AccessTime, Dir};

const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dir {
    /// As [`open_operator`](Self::open_operator), for one that need not be listed.
    pub fn open_operator_to_search(path: &Path) -> io::Result<Self> {
        or_to_search(Self::open_operator(path), || {
            Ok(retry_on_intr(|| rustix::fs::openat(CWD, path, HANDLE, Mode::empty()))?)
        })
    }

    /// As [`open_child`](Self::open_child), for one that need not be listed.
    pub fn open_child_to_search(&self, name: &[u8], atime: AccessTime) -> io::Result<Self> {
        or_to_search(self.open_child(name, atime), || {
            self.open(name, HANDLE.union(OFlags::NOFOLLOW), 0)
        })
    }

    /// As [`open_child_following`](Self::open_child_following), for one that need not be listed.
    pub fn open_child_following_to_search(&self, name: &[u8]) -> io::Result<Self> {
        or_to_search(self.open_child_following(name), || self.open(name, HANDLE, 0))
    }

    /// A directory behind a handle that opens nothing.
    fn to_search(handle: OwnedFd) -> Self {
        let dir = Self::from_fd(handle);
        // A listing needs a handle of its own.
        dir.0.listed.store(true, Ordering::Relaxed);
        dir
    }
}

/// Where a directory may not be opened for reading: takes it by its handle.
pub(crate) fn or_to_search(
    opened: io::Result<Dir>,
    handle: impl FnOnce() -> io::Result<OwnedFd>,
) -> io::Result<Dir> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(Dir::to_search(handle()?))
        }
        opened => opened,
    }
}
