//! Directories that are held open, and how many of them.
//!
//! Whatever waits somewhere in a tree waits in a directory, and there may be more of these than the
//! process may have descriptors. So a directory may be closed at any time; who needs it opens it
//! again and insists on the inode that it had. Knows nothing of names: where a directory is opened
//! from is said in `node`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::{fmt, io};

use model::{Inode, Metadata};
use parking_lot::Mutex;

use crate::endpoint::Directory;

/// An open directory, or none.
type Slot<D> = Mutex<Option<D>>;

/// What a handle can hold.
pub(crate) trait HeldDir: Directory + fmt::Debug + Send + 'static {}

impl<D: Directory + fmt::Debug + Send + 'static> HeldDir for D {}

/// A directory of either side that may be closed.
trait Close: fmt::Debug + Send + Sync {
    fn close(&self);
    fn is_open(&self) -> bool;
}

impl<D: fmt::Debug + Send> Close for Slot<D> {
    fn close(&self) {
        self.lock().take();
    }

    fn is_open(&self) -> bool {
        self.lock().is_some()
    }
}

/// A directory that is held open, or can be opened again.
#[derive(Debug)]
pub(crate) struct Handle<D> {
    slot: Arc<Slot<D>>,
    /// Another directory under the same name is noticed by it.
    inode: Inode,
}

/// The directories that are open and may be closed. When there are too many, the one that was
/// opened first is closed.
#[derive(Debug)]
pub(crate) struct OpenDirs {
    max: usize,
    lent: Mutex<Lent>,
}

#[derive(Debug, Default)]
struct Lent {
    /// The oldest first, and among them some that nobody holds open any more.
    dirs: VecDeque<Arc<dyn Close>>,
    /// How many came since those were left out.
    since_sweep: usize,
}

impl OpenDirs {
    /// At most `max` directories stay open that nobody works in.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, lent: Mutex::default() }
    }

    fn add(&self, slot: Arc<dyn Close>) {
        let oldest = {
            let mut lent = self.lent.lock();
            lent.dirs.push_back(slot);
            lent.since_sweep += 1;
            let is_full = lent.dirs.len() > self.max;
            // Most are done with long before. The oldest are the highest in the tree, and still needed; but
            // to look through all of them for each that comes would take too long.
            if is_full && lent.since_sweep > self.max / 4 {
                lent.dirs.retain(|dir| dir.is_open());
                lent.since_sweep = 0;
            }
            if lent.dirs.len() > self.max { lent.dirs.pop_front() } else { None }
        };
        if let Some(oldest) = oldest {
            oldest.close();
        }
    }
}

impl<D: HeldDir> Handle<D> {
    pub(crate) fn new(dir: D, metadata: &Metadata) -> Self {
        Self { slot: Arc::new(Mutex::new(Some(dir))), inode: metadata.inode() }
    }

    /// A directory that is opened when it is needed: one of too many.
    pub(crate) fn closed(metadata: &Metadata) -> Self {
        Self { slot: Arc::default(), inode: metadata.inode() }
    }

    /// Another handle to the same directory; the one may be closed while the other is open.
    pub(crate) fn another(&self) -> Self {
        Self { slot: Arc::new(Mutex::new(self.if_open())), inode: self.inode }
    }

    /// The directory, opened by `open` if it is not open.
    pub(crate) fn get(
        &self,
        dirs: &OpenDirs,
        open: impl FnOnce() -> io::Result<D>,
    ) -> io::Result<D> {
        if let Some(dir) = self.if_open() {
            return Ok(dir);
        }
        let dir = open()?;
        self.check(&dir)?;
        self.keep(dirs, &dir);
        Ok(dir)
    }

    /// Fails unless a directory that was opened again is the one that was open before.
    pub(crate) fn check(&self, dir: &D) -> io::Result<()> {
        if self.is_of(&dir.as_opened()?) {
            return Ok(());
        }
        Err(another_directory())
    }

    /// True when it is the directory that such metadata belongs to.
    pub(crate) fn is_of(&self, metadata: &Metadata) -> bool {
        self.inode == metadata.inode()
    }

    /// Keeps a directory that was opened again and checked.
    pub(crate) fn keep(&self, dirs: &OpenDirs, dir: &D) {
        let before = self.slot.lock().replace(dir.clone());
        if before.is_none() {
            self.lend(dirs);
        }
    }

    /// Counts the directory, if it is open, among those that may be closed.
    pub(crate) fn lend(&self, dirs: &OpenDirs) {
        let is_open = self.slot.lock().is_some();
        if is_open {
            dirs.add(Arc::clone(&self.slot) as Arc<dyn Close>);
        }
    }

    /// Opens the directory again, if it was closed, as the one that `below` lies in. What is found
    /// there and is another directory is left alone: the way down will tell.
    pub(crate) fn open_above(&self, dirs: &OpenDirs, below: &Self) {
        if self.if_open().is_some() {
            return;
        }
        if let Some(below) = below.if_open()
            && let Ok(dir) = below.open_parent()
            && self.check(&dir).is_ok()
        {
            self.keep(dirs, &dir);
        }
    }

    /// The directory, if it is open now.
    pub(crate) fn if_open(&self) -> Option<D> {
        self.slot.lock().clone()
    }

    /// Closes the directory; it is opened again when it is needed.
    pub(crate) fn close(&self) {
        self.slot.close();
    }
}

/// A directory that was opened again is not the one that was open before.
pub(crate) fn another_directory() -> io::Error {
    io::Error::other("another directory took its place while it was in use")
}

impl<D> Drop for Handle<D> {
    fn drop(&mut self) {
        self.slot.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fs::Dir;

    use super::*;

    fn open(path: &str) -> Dir {
        Dir::open_operator(Path::new(path)).unwrap()
    }

    fn handle(dir: &Dir) -> Handle<Dir> {
        Handle::new(dir.clone(), &dir.metadata().unwrap())
    }

    #[test]
    fn the_oldest_is_closed_and_opened_again_as_itself() {
        let dirs = OpenDirs::new(2);
        let root = open("/");
        let handles = [handle(&root), handle(&root), handle(&root)];
        for handle in &handles {
            handle.lend(&dirs);
        }
        let is_open = || handles.each_ref().map(|handle| handle.if_open().is_some());
        assert_eq!(is_open(), [false, true, true]);
        handles[0].get(&dirs, || Ok(open("/"))).unwrap();
        assert_eq!(is_open(), [true, false, true]);
        assert!(handles[1].get(&dirs, || Ok(open("/proc"))).is_err());
    }

    #[test]
    fn those_that_are_done_with_close_no_other() {
        const MAX: usize = 8;
        let dirs = OpenDirs::new(MAX);
        let root = open("/");
        let highest = handle(&root);
        highest.lend(&dirs);
        for _ in 0..10 * MAX {
            handle(&root).lend(&dirs);
        }
        assert!(highest.if_open().is_some());
        let held: Vec<_> = (0..2 * MAX).map(|_| handle(&root)).collect();
        for (count, handle) in held.iter().enumerate() {
            handle.lend(&dirs);
            let open = held[..=count].iter().filter(|handle| handle.if_open().is_some()).count();
            assert!(open <= MAX && (open > MAX / 2 || open > count), "{open} of {count}");
        }
        assert!(highest.if_open().is_none());
    }

    #[test]
    fn one_that_is_closed_takes_no_room() {
        let dirs = OpenDirs::new(1);
        let root = open("/");
        let (first, closed) = (handle(&root), Handle::closed(&root.metadata().unwrap()));
        first.lend(&dirs);
        closed.lend(&dirs);
        assert!(first.if_open().is_some());
        closed.get(&dirs, || Ok(open("/"))).unwrap();
        assert!(first.if_open().is_none());
        assert!(closed.another().if_open().is_some());
    }

    #[test]
    fn a_directory_is_reached_from_below_only_as_itself() {
        let dirs = OpenDirs::new(8);
        let (root, proc, sys) = (handle(&open("/")), handle(&open("/proc")), open("/proc/sys"));
        root.close();
        root.open_above(&dirs, &handle(&sys));
        assert!(root.if_open().is_none());
        root.open_above(&dirs, &proc);
        assert!(root.if_open().is_some());
    }
}
