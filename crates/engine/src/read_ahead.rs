//! New files of a batch that are opened and fetched before their turn.
//!
//! Where the source is not in memory, a worker that reads one file and writes it, and then the next,
//! waits for the disk each time. So the next few are opened early and the kernel is asked to fetch
//! them: the disk reads while the worker writes, with one worker, too. Where the source is in memory
//! this would only cost calls; the first new file of each batch that has content tells.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use sched::{Budget, Permit};

use crate::endpoint::SourceFile;
use crate::transfer::LONG_FROM_BYTES;

/// Enough to keep a disk busy while one file is written.
const FILES: usize = 8;

/// Of a source on another host: a whole batch in one round trip. There they take no descriptor here.
const FILES_FROM_AFAR: usize = 64;

/// Longer files are not read by the task that finds them.
const FETCH_BYTES: NonZeroU64 = NonZeroU64::new(LONG_FROM_BYTES).expect("long files have bytes");

/// A new file of the source.
pub(crate) struct Opened {
    pub(crate) file: SourceFile,
    /// It was opened before its turn: its name may be another file's by now.
    pub(crate) is_early: bool,
}

/// Whether files are opened before their turn.
enum Way<'a> {
    /// No new file with content was seen yet.
    Unknown,
    /// They are opened in their turn: they are in memory, or there are no descriptors left.
    InTurn,
    /// So many are opened early.
    Early { files: usize, _descriptors: Option<Permit<'a>> },
}

/// Whether reading a file would wait for a disk; `None` where that is not known.
type WouldWait = fn(&SourceFile) -> Option<bool>;

/// The files of one batch, by their place in it; asked for in order.
pub(crate) struct ReadAhead<'a> {
    descriptors: &'a Budget,
    would_wait: WouldWait,
    way: Way<'a>,
    opened: VecDeque<(usize, SourceFile)>,
    /// So many of them, from the first on, are on their way. Too much else was, where that is not all.
    fetched: usize,
    /// Places before this one were opened, or passed.
    next: usize,
}

impl<'a> ReadAhead<'a> {
    /// Nothing yet; it reads ahead only if `descriptors` has some left.
    pub(crate) fn new(descriptors: &'a Budget) -> Self {
        Self {
            descriptors,
            would_wait: SourceFile::would_wait,
            way: Way::Unknown,
            opened: VecDeque::new(),
            fetched: 0,
            next: 0,
        }
    }

    /// The file at `place`, and those behind it on their way. `open` opens a file that is new and
    /// will be read; there are `count` places.
    pub(crate) fn take(
        &mut self,
        place: usize,
        count: usize,
        mut open: impl FnMut(usize) -> Option<SourceFile>,
    ) -> Option<Opened> {
        let is_on_its_way = self.fetched > 0;
        let opened = match self.opened.pop_front() {
            Some((at, file)) if at == place => {
                self.fetched = self.fetched.saturating_sub(1);
                Opened { file, is_early: true }
            }
            Some(later) => {
                self.opened.push_front(later);
                return None;
            }
            None if place < self.next => return None,
            None => Opened { file: open(place)?, is_early: false },
        };
        if matches!(self.way, Way::Unknown) {
            self.way = self.way_after(&opened.file);
        }
        if let Way::Early { files, .. } = self.way {
            self.next = self.next.max(place + 1);
            for next in self.next..count.min(place + 1 + files) {
                self.opened.extend(open(next).map(|file| (next, file)));
            }
            self.next = self.next.max(count.min(place + 1 + files));
            let now = (!is_on_its_way).then_some(&opened.file);
            let later = self.opened.iter().skip(self.fetched).map(|(_, file)| file);
            self.fetched += SourceFile::fetch(now, later, FETCH_BYTES);
        }
        Some(opened)
    }

    fn way_after(&self, file: &SourceFile) -> Way<'a> {
        match (self.would_wait)(file) {
            None => Way::Unknown,
            Some(false) => Way::InTurn,
            Some(true) if file.is_from_afar() => {
                Way::Early { files: FILES_FROM_AFAR, _descriptors: None }
            }
            Some(true) => match self.descriptors.try_acquire(FILES as u64) {
                Some(descriptors) => Way::Early { files: FILES, _descriptors: Some(descriptors) },
                None => Way::InTurn,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use fs::{AccessTime, Dir};

    use super::*;

    const COUNT: usize = 11;
    /// There is no file at this place.
    const GAP: usize = 2;

    const COLD: WouldWait = |_| Some(true);
    const CACHED: WouldWait = |_| Some(false);

    fn cold_if_not_empty(file: &SourceFile) -> Option<bool> {
        (file.metadata().unwrap().size > 0).then_some(true)
    }

    fn name(place: usize) -> Vec<u8> {
        place.to_string().into_bytes()
    }

    /// Files of as many bytes as their place, the first being empty.
    fn go_through(
        would_wait: WouldWait,
        descriptors: u64,
        mut see: impl FnMut(usize, &[usize], Option<Opened>),
    ) {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::open_operator(root.path()).unwrap();
        for place in (0..COUNT).filter(|place| *place != GAP) {
            let file = dir.create_file(&name(place), 0o600).unwrap();
            file.write_all_at(&vec![b'x'; place], 0).unwrap();
        }
        let budget = Budget::new(FILES as u64);
        let held = budget.try_acquire(FILES as u64 - descriptors);
        let mut ahead = ReadAhead { would_wait, ..ReadAhead::new(&budget) };
        let opened = RefCell::new(Vec::new());
        for place in 0..COUNT {
            let file = ahead.take(place, COUNT, |at| {
                opened.borrow_mut().push(at);
                dir.open_file(&name(at), AccessTime::Keep).ok().map(SourceFile::Local)
            });
            see(place, &opened.borrow(), file);
        }
        drop((ahead, held));
        assert!(budget.try_acquire(FILES as u64).is_some(), "all descriptors are given back");
    }

    #[test]
    fn each_file_comes_in_its_turn_cold_or_not() {
        for would_wait in [COLD, CACHED, cold_if_not_empty] {
            go_through(would_wait, FILES as u64, |place, _, opened| {
                let size = opened.map(|opened| opened.file.metadata().unwrap().size);
                assert_eq!(size, (place != GAP).then_some(place as u64));
            });
        }
    }

    #[test]
    fn cold_files_are_opened_early_and_once_and_say_so() {
        go_through(COLD, FILES as u64, |place, opened, file| {
            let until = if place == GAP { place + FILES } else { place + 1 + FILES };
            let expected: Vec<usize> = (0..until.min(COUNT)).collect();
            assert_eq!(opened, expected, "at {place}");
            assert_eq!(file.map(|file| file.is_early), (place != GAP).then_some(place > 0));
        });
    }

    #[test]
    fn an_empty_file_tells_nothing() {
        go_through(cold_if_not_empty, FILES as u64, |place, opened, _| {
            assert_eq!(opened.len() > place + 1, (1..COUNT - 1).contains(&place), "at {place}");
        });
    }

    #[test]
    fn cached_files_are_opened_in_their_turn() {
        go_through(CACHED, FILES as u64, |place, opened, file| {
            assert_eq!(opened.last(), Some(&place));
            assert!(file.is_none_or(|file| !file.is_early));
        });
    }

    #[test]
    fn without_free_descriptors_nothing_is_opened_early() {
        go_through(COLD, FILES as u64 - 1, |place, opened, _| {
            assert_eq!(opened.last(), Some(&place));
        });
    }
}
