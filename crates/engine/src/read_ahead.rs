//! New files of a batch that are opened and fetched before their turn.
//!
//! Where the source is not in memory, a worker that reads one file and writes it, and then the next,
//! waits for the disk each time. So the next few are opened early and the kernel is asked to fetch
//! them: the disk reads while the worker writes, with one worker, too. Where the source is in memory
//! this would only cost calls; the first new file of each batch tells.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use fs::File;
use sched::{Budget, Permit};

use crate::transfer::LONG_FROM_BYTES;

/// Enough to keep a disk busy while one file is written.
const FILES: usize = 8;

/// Longer files are not read by the task that finds them.
const FETCH_BYTES: NonZeroU64 = NonZeroU64::new(LONG_FROM_BYTES).expect("long files have bytes");

/// The files of one batch, by their place in it; asked for in order.
pub(crate) struct ReadAhead<'a> {
    descriptors: &'a Budget,
    /// Unknown before the first new file was opened.
    is_cold: Option<bool>,
    opened: VecDeque<(usize, File)>,
    /// Places before this one were opened, or passed.
    next: usize,
    /// For what is in `opened`.
    permit: Option<Permit<'a>>,
}

impl<'a> ReadAhead<'a> {
    /// Nothing yet; it reads ahead only if `descriptors` has some left.
    pub(crate) fn new(descriptors: &'a Budget) -> Self {
        Self { descriptors, is_cold: None, opened: VecDeque::new(), next: 0, permit: None }
    }

    /// The file at `place`, and those behind it on their way. `open` opens a file that is new and
    /// will be read; there are `count` places.
    pub(crate) fn take(
        &mut self,
        place: usize,
        count: usize,
        mut open: impl FnMut(usize) -> Option<File>,
    ) -> Option<File> {
        let file = match self.opened.pop_front() {
            Some((at, file)) if at == place => file,
            Some(later) => {
                self.opened.push_front(later);
                return None;
            }
            None if place < self.next => return None,
            None => open(place)?,
        };
        if self.is_cold.is_none() {
            self.permit = self.permit_if_cold(&file);
            self.is_cold = Some(self.permit.is_some());
        }
        if self.is_cold == Some(true) {
            self.next = self.next.max(place + 1);
            while self.next < count.min(place + 1 + FILES) {
                if let Some(file) = open(self.next) {
                    file.fetch(FETCH_BYTES);
                    self.opened.push_back((self.next, file));
                }
                self.next += 1;
            }
        }
        Some(file)
    }

    fn permit_if_cold(&self, file: &File) -> Option<Permit<'a>> {
        match file.would_wait() {
            Some(true) => self.descriptors.try_acquire(FILES as u64),
            Some(false) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use fs::{AccessTime, Dir};

    use super::*;

    /// Of these, the third does not exist.
    const NAMES: [&[u8]; 11] = [
        b"basis.rs",
        b"delete.rs",
        b"-",
        b"descend.rs",
        b"entries.rs",
        b"error.rs",
        b"lib.rs",
        b"links.rs",
        b"node.rs",
        b"run.rs",
        b"scan.rs",
    ];

    fn sources() -> Dir {
        Dir::open_operator(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap()
    }

    /// Goes through the names, and shows each file with what was opened by then.
    fn go_through(is_cold: bool, mut see: impl FnMut(usize, &[usize], Option<File>)) {
        let dir = sources();
        let budget = Budget::new(FILES as u64);
        let mut ahead = ReadAhead { is_cold: Some(is_cold), ..ReadAhead::new(&budget) };
        let opened = RefCell::new(Vec::new());
        for place in 0..NAMES.len() {
            let file = ahead.take(place, NAMES.len(), |at| {
                opened.borrow_mut().push(at);
                dir.open_file(NAMES[at], AccessTime::Keep).ok()
            });
            see(place, &opened.borrow(), file);
        }
    }

    #[test]
    fn each_file_comes_in_its_turn_cold_or_not() {
        for is_cold in [false, true] {
            go_through(is_cold, |place, _, file| {
                let found = file.map(|file| file.metadata().unwrap());
                assert_eq!(found, sources().stat(NAMES[place]).ok(), "at {place}, cold: {is_cold}");
            });
        }
    }

    #[test]
    fn cold_files_are_opened_early_and_once() {
        go_through(true, |place, opened, file| {
            let until = if file.is_some() { place + 1 + FILES } else { place + FILES };
            let expected: Vec<usize> = (0..until.min(NAMES.len())).collect();
            assert_eq!(opened, expected, "at {place}");
        });
    }

    #[test]
    fn cached_files_are_opened_in_their_turn() {
        go_through(false, |place, opened, _| assert_eq!(opened.last(), Some(&place)));
    }

    #[test]
    fn without_free_descriptors_nothing_is_opened_early() {
        let file = sources().open_file(NAMES[0], AccessTime::Keep).unwrap();
        let budget = Budget::new(FILES as u64);
        let held = budget.try_acquire(1);
        assert!(held.is_some() && ReadAhead::new(&budget).permit_if_cold(&file).is_none());
    }
}
