//! All names of one directory.
//!
//! Names lie one after another in one block of memory, with 8 bytes of bookkeeping each, so that a
//! directory of a million names stays small and the names of a small one cost two allocations.

use std::io;
use std::os::fd::BorrowedFd;

use model::Kind;

use crate::sys;

/// The names of one directory, in the order of the file system until sorted.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
    sorted: Sorted,
    error: Option<io::Error>,
}

/// Four-byte fields only, or eight bytes of alignment would make it larger.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset_low: u32,
    name_len: u16,
    offset_high: u8,
    kind: u8,
}

/// Whether `find` may search by halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sorted {
    #[default]
    No,
    ByName,
}

impl Listing {
    /// Reads an open directory from its position to its end.
    pub(crate) fn read(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let mut listing = Self::default();
        let read = sys::list_names(fd, |name, kind| listing.push(name, kind));
        match read {
            Err(error) if listing.is_empty() => return Err(error),
            read => listing.error = read.err(),
        }
        listing.give_back_slack();
        Ok(listing)
    }

    /// Adds a name that was listed, here or elsewhere, with what its directory says of its kind.
    /// Fails for what is not the name of an entry.
    pub fn push(&mut self, name: &[u8], kind: Option<Kind>) -> io::Result<()> {
        if matches!(name, b"." | b"..") {
            return Ok(());
        }
        if !model::rel_path::is_component(name) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "unsound name in a directory"));
        }
        let offset = self.names.len() as u64;
        let (offset_low, offset_high) = halves(offset);
        let too_large = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        self.entries.push(Entry {
            offset_low,
            name_len: u16::try_from(name.len()).map_err(too_large)?,
            offset_high: u8::try_from(offset_high).map_err(too_large)?,
            kind: kind.map_or(0, kind_code),
        });
        self.names.extend_from_slice(name);
        self.sorted = Sorted::No;
        Ok(())
    }

    /// Growing by doubling leaves up to half of a large block unused.
    fn give_back_slack(&mut self) {
        const WORTH_IT_BYTES: usize = 64 * 1024;
        if self.names.capacity() - self.names.len() > WORTH_IT_BYTES {
            self.names.shrink_to_fit();
        }
        if (self.entries.capacity() - self.entries.len()) * size_of::<Entry>() > WORTH_IT_BYTES {
            self.entries.shrink_to_fit();
        }
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The memory that it takes.
    pub fn byte_count(&self) -> usize {
        self.names.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// True without names.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The name at `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below `len()`.
    pub fn name(&self, index: usize) -> &[u8] {
        name_of(&self.names, self.entries[index])
    }

    /// What the directory says of the kind of the entry; `None` when it does not say.
    ///
    /// # Panics
    ///
    /// When `index` is not below `len()`.
    pub fn kind_hint(&self, index: usize) -> Option<Kind> {
        kind_from_code(self.entries[index].kind)
    }

    /// Names and hints in the present order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<Kind>)> {
        self.entries.iter().map(|entry| view(&self.names, *entry))
    }

    /// Sorts by bytes of the names; makes [`find`](Self::find) fast.
    pub fn sort_by_name(&mut self) {
        let names = &self.names;
        self.entries.sort_unstable_by(|a, b| name_of(names, *a).cmp(name_of(names, *b)));
        self.sorted = Sorted::ByName;
    }

    /// Where a name stands: by halves after [`sort_by_name`](Self::sort_by_name), else by looking
    /// at all.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let named = |entry: &Entry| name_of(&self.names, *entry);
        match self.sorted {
            Sorted::ByName => self.entries.binary_search_by(|entry| named(entry).cmp(name)).ok(),
            Sorted::No => self.entries.iter().position(|entry| named(entry) == name),
        }
    }

    /// Why the directory could not be read to its end; names may be missing then.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Notes why names may be missing behind those that were added.
    pub fn break_off(&mut self, error: io::Error) {
        self.error = Some(error);
    }

    /// Takes the error out, to be told.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

fn name_of(names: &[u8], entry: Entry) -> &[u8] {
    let start = whole(entry.offset_low, entry.offset_high.into());
    let start = usize::try_from(start).expect("an offset into memory fits");
    &names[start..start + usize::from(entry.name_len)]
}

fn view(names: &[u8], entry: Entry) -> (&[u8], Option<Kind>) {
    (name_of(names, entry), kind_from_code(entry.kind))
}

fn halves(number: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    (number as u32, (number >> 32) as u32)
}

fn whole(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Kinds by their code, which is the index plus one: zero is "unknown".
const KINDS: [Kind; 7] = [
    Kind::File,
    Kind::Directory,
    Kind::Symlink,
    Kind::CharDevice,
    Kind::BlockDevice,
    Kind::Fifo,
    Kind::Socket,
];

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::File => 1,
        Kind::Directory => 2,
        Kind::Symlink => 3,
        Kind::CharDevice => 4,
        Kind::BlockDevice => 5,
        Kind::Fifo => 6,
        Kind::Socket => 7,
    }
}

fn kind_from_code(code: u8) -> Option<Kind> {
    KINDS.get(usize::from(code).wrapping_sub(1)).copied()
}

#[cfg(test)]
mod tests;
