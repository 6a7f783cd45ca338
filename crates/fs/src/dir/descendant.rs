//! A directory far below another one.

use std::io;

use rustix::fs::{Mode, ResolveFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{AccessTime, Dir, OPEN_DIR};

impl Dir {
    /// Opens a directory by a path below this one, of any length, of which no component is a link.
    ///
    /// Fails with `ELOOP` or [`io::ErrorKind::NotADirectory`] where one is, or where something else is.
    pub fn open_descendant(&self, path: &[u8]) -> io::Result<Self> {
        match self.open_at_once(path) {
            Err(Errno::NOSYS | Errno::NAMETOOLONG) => {}
            opened => return Ok(opened?),
        }
        let mut components = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        components.try_fold(self.clone(), |dir, name| dir.open_child(name, AccessTime::Update))
    }

    fn open_at_once(&self, path: &[u8]) -> Result<Self, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let open = || rustix::fs::openat2(self, path, OPEN_DIR, Mode::empty(), resolve);
        Ok(Self::from_fd(retry_on_intr(open)?))
    }
}
