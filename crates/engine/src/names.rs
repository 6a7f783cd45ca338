//! The names of one source directory, filtered, sorted as rsync sorts them, in one arena.
//!
//! A directory of a million names must stay small: an entry costs its name and 16 bytes.

use std::cmp::Ordering;

use model::Kind;

use crate::order;

/// Whether the destination directory holds an entry's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Its listing has the name.
    Listed,
    /// Its listing does not have the name, or there is no such directory.
    Absent,
    /// It was not listed.
    Unknown,
}

/// What a name counts as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// `None` where nobody could tell.
    pub(crate) kind: Option<Kind>,
    /// True when `kind` is that of a link's target.
    pub(crate) is_followed: bool,
}

impl Seen {
    /// A name that stands for itself, link or not.
    pub(crate) fn itself(kind: Option<Kind>) -> Self {
        Self { kind, is_followed: false }
    }

    /// True when it is to be treated as a directory.
    pub(crate) fn is_directory(self) -> bool {
        self.kind == Some(Kind::Directory)
    }

    /// True for a link that is to be followed and points to nothing: it might have been anything.
    pub(crate) fn leads_nowhere(self) -> bool {
        self.is_followed && self.kind == Some(Kind::Symlink)
    }
}

/// One name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameRef {
    at: u32,
    len: u16,
    /// Which layer of the node it was found in.
    pub(crate) layer: u16,
    /// What the listing said it is, links followed where the settings ask for it.
    pub(crate) kind: Option<Kind>,
    /// True when `kind` is that of a link's target.
    pub(crate) is_followed: bool,
    /// Whether the destination has it.
    pub(crate) presence: Presence,
    /// The listing of its layer gave it.
    pub(crate) is_listed: bool,
    /// Index into the node's picked names, plus one; 0 when only listings gave it.
    pub(crate) picked: u32,
}

impl NameRef {
    /// The bytes of the name, of the arena that it belongs to.
    pub(crate) fn name_in<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.at as usize..][..usize::from(self.len)]
    }

    /// The name as it sorts.
    fn sorted<'a>(&self, arena: &'a [u8]) -> order::Name<'a> {
        order::Name { bytes: self.name_in(arena), is_directory: self.is_directory() }
    }

    /// True when it is to be treated as a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.kind == Some(Kind::Directory)
    }

    /// As of [`Seen`].
    pub(crate) fn leads_nowhere(&self) -> bool {
        Seen { kind: self.kind, is_followed: self.is_followed }.leads_nowhere()
    }
}

/// A directory that a further layer has, too.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AlsoIn {
    pub(crate) name: Box<[u8]>,
    pub(crate) layer: u16,
    /// There it is a link that is followed.
    pub(crate) is_followed: bool,
}

/// What sorting found of the names that several layers have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// The further layers whose listings have a directory that several layers have, by name.
    pub(crate) also_in: Vec<AlsoIn>,
    /// Links to nothing that gave way to what another layer has under their name.
    pub(crate) lead_nowhere: Vec<AlsoIn>,
}

/// Names of one directory.
#[derive(Debug, Default)]
pub(crate) struct Names {
    arena: Vec<u8>,
    refs: Vec<NameRef>,
    /// How many of `refs`, from the front, are not directories.
    files: usize,
}

impl Names {
    /// Adds a name that a listing gave.
    ///
    /// # Panics
    /// When the names of one directory need more than 4 GiB: no file system allows that many.
    pub(crate) fn push(&mut self, name: &[u8], layer: u16, seen: Seen) -> &mut NameRef {
        let at = u32::try_from(self.arena.len()).expect("names of one directory fit 4 GiB");
        let len = u16::try_from(name.len()).expect("a name has at most 255 bytes");
        self.arena.extend_from_slice(name);
        let presence = Presence::Unknown;
        let Seen { kind, is_followed } = seen;
        let (is_listed, picked) = (true, 0);
        let entry = NameRef { at, len, layer, kind, is_followed, presence, is_listed, picked };
        self.refs.push(entry);
        self.refs.last_mut().expect("just pushed")
    }

    /// The bytes of a name.
    pub(crate) fn name(&self, entry: &NameRef) -> &[u8] {
        entry.name_in(&self.arena)
    }

    /// Sorts as rsync does and drops the later of equal names: of a directory and something else
    /// the directory stays, otherwise the one of the earlier layer. A link to nothing gives way to all.
    pub(crate) fn sort(&mut self) -> Sorted {
        let arena = std::mem::take(&mut self.arena);
        let name = |entry: &NameRef| entry.name_in(&arena);
        let Sorted { mut also_in, mut lead_nowhere } = Sorted::default();
        if self.refs.iter().any(|entry| entry.layer != self.refs[0].layer || entry.picked != 0) {
            self.refs.sort_by(|left, right| {
                name(left)
                    .cmp(name(right))
                    .then_with(|| right.is_directory().cmp(&left.is_directory()))
                    .then_with(|| left.leads_nowhere().cmp(&right.leads_nowhere()))
                    .then_with(|| compare_origins(left, right))
            });
            self.refs.dedup_by(|later, kept| {
                let equal = name(later) == name(kept);
                let (layer, is_followed) = (later.layer, later.is_followed);
                let other = || AlsoIn { name: name(kept).into(), layer, is_followed };
                // One that could not be looked at may be a directory: whoever enters it will know.
                let may_be_one = later.is_directory() || later.kind.is_none();
                if equal && may_be_one && later.is_listed && later.layer != kept.layer {
                    also_in.push(other());
                }
                if equal && later.leads_nowhere() && later.layer != kept.layer {
                    lead_nowhere.push(other());
                }
                if equal && kept.picked == 0 {
                    kept.picked = later.picked;
                }
                equal
            });
        }
        self.refs.sort_unstable_by(|left, right| left.sorted(&arena).cmp(&right.sorted(&arena)));
        self.files = self.refs.partition_point(|entry| !entry.is_directory());
        self.arena = arena;
        Sorted { also_in, lead_nowhere }
    }

    /// All names in order.
    pub(crate) fn all_mut(&mut self) -> (&[u8], &mut [NameRef]) {
        (&self.arena, &mut self.refs)
    }

    /// The names that are not directories, in order.
    pub(crate) fn files(&self) -> &[NameRef] {
        &self.refs[..self.files]
    }

    /// The directories, in order.
    pub(crate) fn directories(&self) -> &[NameRef] {
        &self.refs[self.files..]
    }
}

/// Which of two entries of a name was there first. What several arguments pick is in their order already,
/// which need not be that of the layers.
fn compare_origins(left: &NameRef, right: &NameRef) -> Ordering {
    if left.picked != 0 && left.picked == right.picked {
        return Ordering::Equal;
    }
    (left.layer, left.picked).cmp(&(right.layer, right.picked))
}

#[cfg(test)]
mod tests {
    use model::Kind;

    use super::{AlsoIn, Names, Seen};

    fn names(entries: &[(&[u8], u16, Kind)]) -> (Names, Vec<AlsoIn>) {
        let mut names = Names::default();
        for (name, layer, kind) in entries {
            names.push(name, *layer, Seen::itself(Some(*kind)));
        }
        let sorted = names.sort();
        (names, sorted.also_in)
    }

    #[test]
    fn files_come_before_directories_and_all_are_found() {
        let (names, _) = names(&[
            (b"foo", 0, Kind::Directory),
            (b"foo-bar", 0, Kind::Directory),
            (b"z", 0, Kind::File),
            (b"a", 0, Kind::Symlink),
        ]);
        let in_order: Vec<&[u8]> = names.files().iter().map(|entry| names.name(entry)).collect();
        assert_eq!(in_order, [b"a", b"z"]);
        let dirs: Vec<&[u8]> = names.directories().iter().map(|entry| names.name(entry)).collect();
        assert_eq!(dirs, [&b"foo-bar"[..], b"foo"]);
    }

    #[test]
    fn the_first_layer_wins_but_a_directory_beats_a_file() {
        let (names, also_in) = names(&[
            (b"x", 0, Kind::File),
            (b"x", 1, Kind::File),
            (b"y", 0, Kind::File),
            (b"y", 1, Kind::Directory),
            (b"d", 0, Kind::Directory),
            (b"d", 2, Kind::Directory),
        ]);
        let layer_of = |name: &[u8]| {
            let mut all = names.files().iter().chain(names.directories());
            all.find(|entry| names.name(entry) == name).unwrap().layer
        };
        assert_eq!(layer_of(b"x"), 0);
        assert_eq!(layer_of(b"y"), 1);
        assert_eq!(also_in, [AlsoIn { name: Box::from(&b"d"[..]), layer: 2, is_followed: false }]);
    }
}
