//! Per-directory merge files: which are looked for, and what they hold on the way down.

use std::io;
use std::sync::Arc;

use crate::ReadMerge;
use crate::error::{Flaw, RuleError};
use crate::list::{Context, Inherits, Item, List, MAX_MERGE_BYTES, Sought};
use crate::parse::Template;
use crate::pattern::{Anchor, last_name};
use crate::rule::Traits;
use crate::rules::RuleOptions;

/// Each directory costs so many lookups at most, whatever a hostile tree says. No real set of rules
/// comes near.
pub(crate) const MAX_SLOTS: usize = 256;

/// The per-directory merge files that are looked for. What has been removed keeps its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots(Vec<Option<Slot>>);

/// One per-directory merge file and the rules it holds for the current directory.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    name: Arc<[u8]>,
    traits: Traits,
    sides: Traits,
    parents: Parents,
    rules: Option<Arc<Layer>>,
}

/// Whether the directories above the first one entered have been looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parents {
    /// To be done: the name has a slash and so says where to begin.
    Wanted,
    Done,
}

/// The rules that one directory's file adds before those of the directories above it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) items: Vec<Item>,
    pub(crate) below: Option<Arc<Self>>,
    /// How many bytes all of these were in their files.
    bytes: usize,
}

impl Slots {
    /// Adds a slot unless its file is looked for already, and gives its place.
    pub(crate) fn add(&mut self, mut slot: Slot) -> Result<Option<usize>, Flaw> {
        let same_file = |known: &&Slot| known.file_name() == slot.file_name();
        let taken = self.iter().filter(same_file).fold(Traits::empty(), |all, one| all | one.sides);
        slot.sides -= taken;
        if slot.sides.is_empty() {
            return Ok(None);
        }
        if self.0.len() == MAX_SLOTS {
            return Err(Flaw::TooManyMerges);
        }
        self.0.push(Some(slot));
        Ok(Some(self.0.len() - 1))
    }

    pub(crate) fn remove(&mut self, index: usize) {
        self.0[index] = None;
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Slot> {
        self.0.get(index)?.as_ref()
    }

    /// All places, also those of what has been removed.
    pub(crate) fn places(&self) -> &[Option<Slot>] {
        &self.0
    }

    /// Slots in these places; none where there are more than are looked for.
    pub(crate) fn in_places(places: Vec<Option<Slot>>) -> Option<Self> {
        (places.len() <= MAX_SLOTS).then_some(Self(places))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.iter().flatten()
    }
}

impl Slot {
    pub(crate) fn new(name: Vec<u8>, traits: Traits, sides: Traits) -> Self {
        let parents = if name.contains(&b'/') { Parents::Wanted } else { Parents::Done };
        Self { name: name.into(), traits, sides, parents, rules: None }
    }

    /// As it was named.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The sides that look at it.
    pub(crate) fn sides(&self) -> Traits {
        self.sides
    }

    pub(crate) fn traits(&self) -> Traits {
        self.traits
    }

    pub(crate) fn rules(&self) -> Option<&Arc<Layer>> {
        self.rules.as_ref()
    }

    pub(crate) fn file_name(&self) -> &[u8] {
        last_name(&self.name)
    }
}

/// The step into one directory.
pub(crate) struct Step<'a> {
    pub(crate) options: &'a RuleOptions,
    /// Absolute path of the transfer root.
    pub(crate) root: &'a [u8],
    /// The directory, relative to the transfer root.
    pub(crate) dir: &'a [u8],
    pub(crate) old: &'a Slots,
    /// Made when the first change is.
    new: Option<Slots>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        options: &'a RuleOptions,
        root: &'a [u8],
        dir: &'a [u8],
        old: &'a Slots,
    ) -> Self {
        Self { options, root, dir, old, new: None }
    }

    /// Reads all files; gives the slots as they are then, or nothing when they have stayed the
    /// same.
    pub(crate) fn take(mut self, read: ReadMerge<'_>) -> Result<Option<Slots>, RuleError> {
        let mut index = 0;
        // Files that are read may name further ones, which are looked for at once.
        while index < self.slots().0.len() {
            if let Some(slot) = self.slots().get(index).cloned() {
                self.step_slot(index, &slot, read)?;
            }
            index += 1;
        }
        Ok(self.new)
    }

    fn step_slot(
        &mut self,
        index: usize,
        slot: &Slot,
        read: ReadMerge<'_>,
    ) -> Result<(), RuleError> {
        let own_directory = slot.traits.contains(Traits::OWN_DIRECTORY);
        if own_directory && slot.rules.is_some() {
            self.edit(index, |slot| slot.rules = None);
        }
        if slot.parents == Parents::Wanted {
            self.edit(index, |slot| {
                slot.parents = Parents::Done;
                slot.name = slot.file_name().into();
            });
            self.scan_parents(index, slot, read)?;
        }
        let name = slot.file_name();
        if matches!(name, b"" | b"." | b"..") {
            return Ok(());
        }
        let path = if self.dir.is_empty() { name.to_vec() } else { [self.dir, name].join(&b'/') };
        if let Some(contents) = self.read_slot(&path, read)? {
            let dir: Arc<[u8]> = self.dir.into();
            let anchor = Anchor::Below(Arc::clone(&dir));
            let context = Context::Directory { anchor, sought: Sought::InTree(dir) };
            self.load(index, &contents, &context, &path, read)?;
        }
        Ok(())
    }

    /// Reads the files in the directories above this one, from where the name of the slot says.
    fn scan_parents(
        &mut self,
        index: usize,
        slot: &Slot,
        read: ReadMerge<'_>,
    ) -> Result<(), RuleError> {
        let here = resolve(self.root, self.dir);
        let first = resolve(&here, &slot.name);
        let name = last_name(&first);
        let first = parent(&first);
        let mut chain: Vec<&[u8]> =
            std::iter::successors(parent_of(&here), |dir| parent_of(dir)).collect();
        let Some(count) = chain.iter().position(|dir| *dir == first) else { return Ok(()) };
        chain.truncate(count + 1);
        for dir in chain.into_iter().rev() {
            let mut path = resolve(dir, name);
            // The root itself is above the tree for a directory that was named in it.
            if below(dir, self.root).is_some_and(|inside| !inside.is_empty()) {
                path = self.below_root(&path);
            }
            if let Some(contents) = self.read_slot(&path, read)? {
                let sought = Sought::AboveTree(dir.into());
                let context = Context::Directory { anchor: self.anchor_at(dir), sought };
                self.load(index, &contents, &context, &path, read)?;
                if slot.traits.contains(Traits::OWN_DIRECTORY) {
                    self.forget(index);
                }
            }
        }
        Ok(())
    }

    /// Drops what a file above the tree has just added: it is read for its faults only.
    fn forget(&mut self, index: usize) {
        let slots = self.new.get_or_insert_with(|| self.old.clone());
        let Some(Some(slot)) = slots.0.get_mut(index) else { return };
        let Some(layer) = slot.rules.take() else { return };
        for item in &layer.items {
            if let Item::Slot(index) = item {
                slots.remove(*index);
            }
        }
    }

    fn read_slot(&self, path: &[u8], read: ReadMerge<'_>) -> Result<Option<Vec<u8>>, RuleError> {
        read(path).map_err(|source| RuleError::Read {
            place: self.dir.escape_ascii().to_string(),
            name: path.escape_ascii().to_string(),
            source,
        })
    }

    /// Puts the rules in `contents` before those that the slot holds.
    fn load(
        &mut self,
        index: usize,
        contents: &[u8],
        context: &Context,
        path: &[u8],
        read: ReadMerge<'_>,
    ) -> Result<(), RuleError> {
        let traits = self.slots().get(index).map_or(Traits::empty(), Slot::traits);
        let mut slots = self.slots().clone();
        let inherited =
            self.slots().get(index).and_then(Slot::rules).map_or(0, |layer| layer.bytes);
        let too_much =
            || RuleError::Syntax { place: path.escape_ascii().to_string(), flaw: Flaw::TooMuch };
        let mut list = List::new(self.options, &mut slots, Vec::new());
        list.bytes_left =
            MAX_MERGE_BYTES.checked_sub(inherited + contents.len()).ok_or_else(too_much)?;
        let mut fetch = |context: &Context, name: &[u8]| {
            read(&self.locate(context, name))?.ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        list.push_file(contents, Template::inside(traits), context, path, &mut fetch)?;
        let List { items, inherits, bytes_left, .. } = list;
        let gone = if inherits == Inherits::Cleared { inherited } else { 0 };
        let bytes = MAX_MERGE_BYTES - bytes_left - gone;
        if items.is_empty() && inherits == Inherits::Yes {
            return Ok(());
        }
        self.new = Some(slots);
        self.edit(index, |slot| {
            let below = slot.rules.take().filter(|_| inherits == Inherits::Yes);
            slot.rules = if items.is_empty() {
                below
            } else {
                Some(Arc::new(Layer { items, below, bytes }))
            };
        });
        Ok(())
    }

    /// Where a file lies that a per-directory merge file includes.
    fn locate(&self, context: &Context, name: &[u8]) -> Vec<u8> {
        let (Context::Directory { sought, .. } | Context::Included { sought }) = context else {
            return name.to_vec();
        };
        match sought {
            // A lone name is taken from the transfer root, where rsync has its working directory.
            Sought::InTree(_) if !name.contains(&b'/') => name.to_vec(),
            Sought::InTree(dir) => self.below_root(&resolve(&resolve(self.root, dir), name)),
            Sought::AboveTree(dir) => self.below_root(&resolve(dir, name)),
        }
    }

    fn slots(&self) -> &Slots {
        self.new.as_ref().unwrap_or(self.old)
    }

    fn edit(&mut self, index: usize, change: impl FnOnce(&mut Slot)) {
        let slots = self.new.get_or_insert_with(|| self.old.clone());
        if let Some(slot) = slots.0.get_mut(index).and_then(Option::as_mut) {
            change(slot);
        }
    }

    /// Makes an absolute path relative to the transfer root when it lies there.
    fn below_root(&self, path: &[u8]) -> Vec<u8> {
        below(path, self.root).unwrap_or(path).to_vec()
    }

    /// The anchor for rules from a file in the directory of this absolute path.
    fn anchor_at(&self, dir: &[u8]) -> Anchor {
        match below(dir, self.root) {
            Some(inside) => Anchor::Below(inside.into()),
            None => Anchor::Above(below(self.root, dir).unwrap_or_default().into()),
        }
    }
}

/// What leads from `dir` to `path`, both absolute, when the one is in the other.
fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    match path.strip_prefix(dir)? {
        b"" => Some(b""),
        rest if dir == b"/" => Some(rest),
        rest => rest.strip_prefix(b"/"),
    }
}

/// Joins a name to an absolute directory and takes out `.`, `..` and needless slashes, by the
/// letters alone.
pub(crate) fn resolve(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let lead = if name.first() == Some(&b'/') { &[] } else { dir };
    let mut names: Vec<&[u8]> = Vec::new();
    for part in lead.split(|&byte| byte == b'/').chain(name.split(|&byte| byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            part => names.push(part),
        }
    }
    let mut path = vec![b'/'];
    path.extend_from_slice(&names.join(&b'/'));
    path
}

/// A directory and those above it, the nearest first, spelt as merge files above the tree are asked for in
/// them.
pub fn directories_up(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::successors(Some(resolve(b"/", path)), |dir| parent_of(dir).map(<[u8]>::to_vec))
}

fn parent(path: &[u8]) -> &[u8] {
    parent_of(path).unwrap_or(path)
}

/// The directory above an absolute path without needless slashes; none above `/`.
fn parent_of(path: &[u8]) -> Option<&[u8]> {
    let slash = memchr::memrchr(b'/', path)?;
    match slash {
        0 if path.len() == 1 => None,
        0 => Some(b"/"),
        _ => Some(&path[..slash]),
    }
}

#[cfg(test)]
mod tests;
