//! Sorted listings, kept while their directories are told page by page.
//!
//! A peer may have thousands of directories open. So what is kept of all of them together is bounded, and a
//! listing that had to go is read anew.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};

use fs::Listing;
use parking_lot::Mutex;

use super::ServedDir;

/// Listings of some four million names; of more only the last is kept.
const KEPT_MAX_BYTES: usize = 128 << 20;

/// Those that are kept, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<VecDeque<Arc<Listing>>>);

/// The sorted names of a directory: those that the pages before were made of, or read anew.
pub(super) fn sorted(dir: &ServedDir, goes_on: bool) -> io::Result<Arc<Listing>> {
    if goes_on && let Some(kept) = dir.names.lock().upgrade() {
        return Ok(kept);
    }
    let mut listing = dir.dir.list()?;
    listing.sort_by_name();
    Ok(Arc::new(listing))
}

impl Listings {
    /// Keeps one, as further pages are to come.
    pub(super) fn keep(&self, dir: &ServedDir, listing: &Arc<Listing>) {
        self.keep_up_to(KEPT_MAX_BYTES, dir, listing);
    }

    fn keep_up_to(&self, most_bytes: usize, dir: &ServedDir, listing: &Arc<Listing>) {
        let before = std::mem::replace(&mut *dir.names.lock(), Arc::downgrade(listing));
        let mut kept = self.0.lock();
        kept.retain(|other| !is(&before, other));
        kept.push_back(Arc::clone(listing));
        let mut bytes: usize = kept.iter().map(|listing| listing.byte_count()).sum();
        while bytes > most_bytes && kept.len() > 1 {
            bytes -= kept.pop_front().map_or(0, |oldest| oldest.byte_count());
        }
    }

    /// All of it was told, or nobody asks for it any more.
    pub(super) fn forget(&self, dir: &ServedDir) {
        let before = std::mem::take(&mut *dir.names.lock());
        if before.strong_count() > 0 {
            self.0.lock().retain(|other| !is(&before, other));
        }
    }
}

fn is(one: &Weak<Listing>, other: &Arc<Listing>) -> bool {
    std::ptr::eq(one.as_ptr(), Arc::as_ptr(other))
}

#[cfg(test)]
mod tests {
    use fs::Dir;
    use parking_lot::Mutex;

    use super::super::Reach;
    use super::super::way::Way;
    use super::*;

    #[test]
    fn what_is_kept_of_all_directories_is_bounded() {
        let scratch = tempfile::tempdir().unwrap();
        let open = || {
            let dir = Dir::open_operator(scratch.path()).unwrap();
            let inode = dir.metadata().unwrap().inode();
            let way = Way::of_root(&dir, inode, Arc::new(Reach::whole()), None).unwrap();
            ServedDir { dir, way: Arc::new(way), names: Mutex::default() }
        };
        let dirs = [open(), open(), open()];
        for number in 0..100 {
            dirs[0].dir.create_file(format!("{number}").as_bytes(), 0o644).unwrap();
        }
        let listings = Listings::default();
        let first = sorted(&dirs[0], false).unwrap();
        let most_bytes = 2 * first.byte_count();
        for dir in &dirs {
            let listing = sorted(dir, false).unwrap();
            listings.keep_up_to(most_bytes, dir, &listing);
        }
        let is_kept = |dir: &ServedDir| dir.names.lock().upgrade().is_some();
        assert_eq!(dirs.each_ref().map(is_kept), [false, true, true]);
        // What had to go is read anew, and takes the place of the next.
        let again = sorted(&dirs[0], true).unwrap();
        assert_eq!(again.len(), 100);
        listings.keep_up_to(most_bytes, &dirs[0], &again);
        assert_eq!(dirs.each_ref().map(is_kept), [true, false, true]);
        listings.keep_up_to(0, &dirs[2], &sorted(&dirs[2], true).unwrap());
        drop(again);
        assert_eq!(dirs.each_ref().map(is_kept), [false, false, true]);
        listings.forget(&dirs[2]);
        assert!(!is_kept(&dirs[2]));
    }
}
