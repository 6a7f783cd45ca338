//! The lines of all buckets, one after the other in one file.
//!
//! It only grows: a file for each bucket would cost as many syncs. Where the lines of a bucket lie, and what
//! they are, a `ListAt` says; what is read and is something else is not given out.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::store::Store;

/// Most bytes that a list may have. With a hundred for each path that is ten million lines.
pub const LIST_MAX: u32 = 1 << 30;

/// Read at once, so that memory grows with what is there and not with what is said of it.
const PIECE_BYTES: usize = 1 << 20;

/// Where a list lies, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ListAt {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
    /// The first half of their BLAKE3.
    pub digest: [u8; 16],
}

impl ListAt {
    /// Its end in the file.
    pub fn end(self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }
}

/// Why a list cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// What the disk says.
    #[error("working folder: keep the lines of a bucket: {0}")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error(
        "working folder: the lines of a bucket at byte {offset} are not those that were written: \
         begin anew under another --id"
    )]
    Changed {
        /// Where it should be.
        offset: u64,
    },
}

/// A file of lists.
#[derive(Debug)]
pub struct Lists<S> {
    store: S,
    end: u64,
}

impl<S: Store> Lists<S> {
    /// Goes on behind the first `end` bytes; what else there is, is written over.
    pub fn behind(store: S, end: u64) -> Self {
        Self { store, end }
    }

    /// Appends the lines of a bucket.
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] if they are longer than [`LIST_MAX`], else as the disk does.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<ListAt> {
        let len = u32::try_from(lines.len()).ok().filter(|len| *len <= LIST_MAX);
        let len = len.ok_or(io::ErrorKind::InvalidInput)?;
        self.store.write_all_at(lines, self.end)?;
        let at = ListAt { offset: self.end, len, digest: digest_of(lines) };
        self.end = at.end();
        Ok(at)
    }

    /// Reads the lines of a bucket in place of what `into` has.
    pub fn read(&self, at: ListAt, into: &mut Vec<u8>) -> Result<(), ListError> {
        let changed = ListError::Changed { offset: at.offset };
        into.clear();
        if at.len > LIST_MAX || at.end() > self.end {
            return Err(changed);
        }
        let len = at.len as usize;
        while into.len() < len {
            let begin = into.len();
            into.resize(len.min(begin + PIECE_BYTES), 0);
            let read = self.store.read_at(&mut into[begin..], at.offset + begin as u64)?;
            if begin + read < into.len() {
                into.clear();
                return Err(changed);
            }
        }
        if digest_of(into) != at.digest {
            into.clear();
            return Err(changed);
        }
        Ok(())
    }

    /// Waits until all lists are on the disk: before the journal tells of them.
    pub fn sync(&self) -> io::Result<()> {
        self.store.sync()
    }
}

fn digest_of(lines: &[u8]) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(lines).as_bytes()[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::memory::Memory;

    fn read<S: Store>(lists: &Lists<S>, at: ListAt) -> Option<Vec<u8>> {
        let mut lines = b"what was there".to_vec();
        match lists.read(at, &mut lines) {
            Ok(()) => Some(lines),
            Err(ListError::Changed { offset }) => {
                assert_eq!((offset, lines.len()), (at.offset, 0));
                None
            }
            Err(ListError::Io(error)) => panic!("{error}"),
        }
    }

    proptest! {
        #[test]
        fn what_was_appended_is_read_and_nothing_else(
            all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20),
            flipped in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let mut lists = Lists::behind(Memory::default(), 0);
            let at: Vec<ListAt> =
                all.iter().map(|lines| lists.append(lines).expect("it is memory")).collect();
            for (at, lines) in at.iter().zip(&all) {
                prop_assert_eq!(read(&lists, *at), Some(lines.clone()));
            }
            let bytes: usize = all.iter().map(Vec::len).sum();
            if bytes > 0 {
                let flipped = flipped.index(bytes);
                lists.store.0.borrow_mut()[flipped] ^= 1 << bit;
                for (at, lines) in at.iter().zip(&all) {
                    let hit = (at.offset..at.end()).contains(&(flipped as u64));
                    prop_assert_eq!(read(&lists, *at), (!hit).then(|| lines.clone()));
                }
            }
        }
    }

    #[test]
    fn a_list_that_cannot_be_there_takes_no_memory() {
        let mut lists = Lists::behind(Memory::default(), 0);
        let at = lists.append(b"EF0 a\0").expect("it is memory");
        for wrong in [
            ListAt { len: u32::MAX, ..at },
            ListAt { len: LIST_MAX, ..at },
            ListAt { offset: u64::MAX, ..at },
            ListAt { offset: 1, ..at },
        ] {
            assert_eq!(read(&lists, wrong), None, "{wrong:?}");
        }
        let mut short = Lists::behind(Memory::default(), u64::from(LIST_MAX));
        assert_eq!(read(&short, ListAt { len: LIST_MAX, offset: 0, ..at }), None);
        assert_eq!(short.append(b"").map(|at| at.offset).ok(), Some(u64::from(LIST_MAX)));
    }

    #[test]
    fn a_file_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::Dir::open_operator(folder.path()).unwrap();
        let file = folder.create_file(b"lists", 0o600).unwrap();
        let mut lists = Lists::behind(file, 0);
        let (first, second) = (lists.append(b"ab").unwrap(), lists.append(b"cd").unwrap());
        lists.sync().unwrap();
        assert_eq!(lists.store.size().unwrap(), 4);
        lists.store.cut(3).unwrap();
        assert_eq!((read(&lists, first), read(&lists, second)), (Some(b"ab".to_vec()), None));
    }
}
