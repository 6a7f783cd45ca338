//! A directory as the survey knows it, with all that lies below.

use std::collections::HashMap;

use model::{Inode, Kind};

use crate::amount::Amount;
use crate::lister::Links;

/// A directory. What lies in it is sorted by name.
#[derive(Debug)]
pub struct Folder {
    /// Its name; empty for the root.
    pub name: Box<[u8]>,
    /// What lies in it and is no directory, but for what has several names.
    pub loose: Loose,
    /// Files in it that have several names.
    pub linked: Vec<Linked>,
    /// Directories in it.
    pub folders: Vec<Self>,
    /// All of it: itself and all below.
    pub total: Amount,
    /// What is known of its content.
    pub detail: Detail,
    /// False where something below was left out, so that its line would bring too much.
    pub is_complete: bool,
    /// True where a file with several names lies below.
    pub has_links: bool,
}

/// What is known of the content of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All of it.
    Known,
    /// How much it is; it goes whole.
    Closed,
    /// All of it, and it goes whole: nothing below a certain depth is cut.
    Uncut,
    /// Not all of it could be told, so it goes whole where one may: its mover sees more, or says himself what
    /// he cannot read.
    Torn,
    /// It was handed out already.
    HandedOut,
}

impl Folder {
    /// A directory in which nothing was found yet.
    pub fn new(name: &[u8]) -> Self {
        Self {
            name: name.into(),
            loose: Loose::default(),
            linked: Vec::new(),
            folders: Vec::new(),
            total: Amount::of_one(0),
            detail: Detail::Known,
            is_complete: true,
            has_links: false,
        }
    }

    /// A directory of which only the sum is known, itself included.
    pub fn closed(name: &[u8], total: Amount) -> Self {
        let entries = total.entries.max(1);
        Self { total: Amount { entries, ..total }, detail: Detail::Closed, ..Self::new(name) }
    }

    /// True when nothing lies in it that belongs to the tree, as far as is known.
    pub fn is_empty(&self) -> bool {
        self.total.entries == 1 && self.detail != Detail::HandedOut
    }

    /// Forgets what lies in it; its sum remains.
    pub fn close(&mut self) {
        *self = Self {
            is_complete: self.is_complete,
            ..Self::closed(&std::mem::take(&mut self.name), self.total)
        };
    }

    /// Sums up and sorts what was found, in whatever order.
    pub(crate) fn settle(&mut self) {
        self.loose.sort();
        self.linked.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.folders.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.folders.shrink_to_fit();
        let linked = self.linked.iter().map(|linked| Amount::of_one(linked.bytes)).sum();
        let below: Amount = self.folders.iter().map(|folder| folder.total).sum();
        self.total = self.total + self.loose.total() + linked + below;
        self.is_complete &= self.folders.iter().all(|folder| folder.is_complete);
        self.has_links =
            !self.linked.is_empty() || self.folders.iter().any(|folder| folder.has_links);
    }
}

/// A file with several names, by one of them.
#[derive(Clone, Debug)]
pub struct Linked {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is: a link or a device may have several names, too.
    pub kind: Kind,
    /// Its bytes, at one of its names; 0 at all others.
    pub bytes: u64,
    /// Which file it is.
    pub links: Links,
}

/// How many names of each file with several names were found in the tree. Those of which all were found are
/// forgotten, so that what is remembered grows with the names that lie elsewhere.
#[derive(Debug, Default)]
pub struct NamesFound(HashMap<Inode, u64>);

impl NamesFound {
    /// One more was found; says whether it is the first.
    pub fn add(&mut self, links: Links) -> bool {
        let found = self.0.entry(links.inode).or_default();
        *found += 1;
        let is_first = *found == 1;
        if *found >= links.count {
            self.0.remove(&links.inode);
        }
        is_first
    }

    /// How many were found of a file of which some were.
    pub fn of(&self, links: Links) -> u64 {
        self.0.get(&links.inode).copied().unwrap_or(links.count)
    }
}

/// Entries of a directory that are no directories, packed: names lie one after another.
#[derive(Debug, Default)]
pub struct Loose {
    names: Vec<u8>,
    entries: Vec<LooseEntry>,
    total: Amount,
}

#[derive(Clone, Copy, Debug)]
struct LooseEntry {
    begin: u64,
    bytes: u64,
    len: u16,
    kind: Kind,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LooseView<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: u64,
}

impl Loose {
    /// Adds an entry. A name of more than 65,535 bytes, which no file system has, is cut.
    pub fn push(&mut self, name: &[u8], kind: Kind, bytes: u64) {
        let len = u16::try_from(name.len()).unwrap_or(u16::MAX);
        let begin = self.names.len() as u64;
        self.entries.push(LooseEntry { begin, bytes, len, kind });
        self.names.extend_from_slice(&name[..usize::from(len)]);
        self.total += Amount::of_one(bytes);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them.
    pub fn total(&self) -> Amount {
        self.total
    }

    /// The one at `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below `len()`.
    pub fn get(&self, index: usize) -> LooseView<'_> {
        self.view(self.entries[index])
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = LooseView<'_>> {
        self.entries.iter().map(|entry| self.view(*entry))
    }

    fn view(&self, entry: LooseEntry) -> LooseView<'_> {
        let LooseEntry { begin, bytes, len, kind } = entry;
        LooseView { name: name_in(&self.names, begin, len), kind, bytes }
    }

    /// Puts those of `other` behind these.
    pub(crate) fn append(&mut self, other: &Self) {
        let moved = self.names.len() as u64;
        self.names.extend_from_slice(&other.names);
        let entries = other.entries.iter();
        self.entries
            .extend(entries.map(|entry| LooseEntry { begin: entry.begin + moved, ..*entry }));
        self.total += other.total;
    }

    fn sort(&mut self) {
        let names = &self.names;
        self.entries.sort_unstable_by(|a, b| {
            name_in(names, a.begin, a.len).cmp(name_in(names, b.begin, b.len))
        });
        self.names.shrink_to_fit();
        self.entries.shrink_to_fit();
    }
}

fn name_in(names: &[u8], begin: u64, len: u16) -> &[u8] {
    let begin = usize::try_from(begin).unwrap_or(usize::MAX);
    &names[begin..begin + usize::from(len)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_names_were_all_found_is_forgotten() {
        let inode = |ino| Inode { dev: 1, ino };
        let mut names = NamesFound::default();
        let (all_here, elsewhere) =
            (Links { inode: inode(2), count: 2 }, Links { inode: inode(3), count: 3 });
        assert!(names.add(all_here) && !names.add(all_here));
        assert!(names.add(elsewhere) && !names.add(elsewhere));
        assert_eq!((names.of(all_here), names.of(elsewhere)), (2, 2));
        assert_eq!(names.0.len(), 1);
    }
}
