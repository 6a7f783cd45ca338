//! A tree cut into items, each of which goes to one bucket as it is.

use std::collections::HashMap;
use std::ops::Range;

use model::{Inode, Kind};

use crate::amount::{Amount, By};
use crate::folder::{Detail, Folder, Linked, Loose, NamesFound};
use crate::line::{Line, Recursion, Span};

/// Whether a line may stand for a directory with all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wholes {
    /// It may.
    Allowed,
    /// Each entry has a line of its own.
    Never,
    /// Each entry has a line of its own, which stands for what lies below it: somebody has summed that up.
    Summed,
}

impl Wholes {
    /// What the line of an entry stands for.
    pub(crate) fn of_entry(self) -> Span {
        match self {
            Self::Allowed | Self::Never => Span::Entry,
            Self::Summed => Span::Whole,
        }
    }
}

/// How a tree is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cutting<'a> {
    /// What weight is.
    pub by: By,
    /// What may go whole.
    pub wholes: Wholes,
    /// How many names of each file with several names were found.
    pub links: &'a NamesFound,
}

/// What is cut.
#[derive(Debug)]
pub struct Cut<'t> {
    /// Directories that were opened, by their paths.
    pub paths: Vec<Box<[u8]>>,
    /// What goes to a bucket as it is.
    pub items: Vec<Item<'t>>,
}

/// What goes to a bucket as it is.
#[derive(Debug)]
pub struct Item<'t> {
    /// What it weighs.
    pub weight: u64,
    /// What it counts.
    pub amount: Amount,
    pieces: Vec<Piece<'t>>,
}

#[derive(Debug)]
enum Piece<'t> {
    /// An opened directory itself.
    Itself { at: u32, span: Span },
    /// A directory below an opened one, with all below.
    Whole { at: u32, folder: &'t Folder, wholes: Wholes },
    /// Entries of an opened directory.
    Loose { at: u32, loose: &'t Loose, range: Range<usize> },
    /// A name of a file that has several.
    Linked { at: u32, linked: &'t Linked },
}

/// How finely a tree is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fineness {
    /// What an item weighs at most, where it can be cut at all, at the first step, and at each finer one
    /// after it. With 0 each entry is an item, also those that weigh nothing.
    pub limits: Vec<u64>,
    /// How much of the tree is cut at the next finer step, for each step. The rest stays as it is.
    pub shares: Vec<u64>,
    /// How much of the tree is cut so that no directory in it goes whole.
    pub opened: u64,
}

/// How a directory is cut.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Which of the limits holds.
    finer: usize,
    /// What may go whole.
    wholes: Wholes,
}

impl Step {
    fn finer(self) -> Self {
        Self { finer: self.finer + 1, ..self }
    }
}

impl Fineness {
    /// One step for all of the tree.
    pub fn all(limit: u64) -> Self {
        Self { limits: vec![limit], shares: Vec::new(), opened: 0 }
    }
}

/// Cuts a tree into items.
pub fn cut<'t>(root: &'t Folder, fineness: Fineness, cutting: Cutting<'_>) -> Cut<'t> {
    let mut saw = Saw {
        cutting,
        fineness,
        paths: Vec::new(),
        items: Vec::new(),
        groups: HashMap::new(),
        kept_together: HashMap::new(),
    };
    let wholes = cutting.wholes;
    let step = Step { finer: 0, wholes };
    if saw.may_go_whole(root, step) {
        saw.paths.push(Box::default());
        saw.take(vec![Piece::Whole { at: 0, folder: root, wholes }], root.total);
    } else {
        saw.open(root, b"", step);
    }
    saw.gather_groups();
    Cut { paths: saw.paths, items: saw.items }
}

/// What the largest thing weighs that cannot be cut.
pub fn largest(root: &Folder, cutting: Cutting<'_>) -> u64 {
    let mut groups: HashMap<Inode, Amount> = HashMap::new();
    let mut largest = 0;
    let mut open = vec![root];
    while let Some(folder) = open.pop() {
        if folder.detail != Detail::Known {
            largest = largest.max(cutting.by.weight(folder.total));
            continue;
        }
        let loose = folder.loose.iter().map(|entry| Amount::of_one(entry.bytes));
        let loose = loose.chain([Amount::of_one(0)]).map(|amount| cutting.by.weight(amount));
        largest = largest.max(loose.max().unwrap_or(0));
        for linked in &folder.linked {
            *groups.entry(linked.links.inode).or_default() += Amount::of_one(linked.bytes);
        }
        open.extend(&folder.folders);
    }
    let groups = groups.into_values().map(|amount| cutting.by.weight(amount));
    groups.fold(largest, u64::max)
}

struct Saw<'t, 'a> {
    cutting: Cutting<'a>,
    fineness: Fineness,
    paths: Vec<Box<[u8]>>,
    items: Vec<Item<'t>>,
    /// Names of files with several names, in directories that were opened.
    groups: HashMap<Inode, Vec<(u32, &'t Linked)>>,
    /// Items of directories that stay uncut, by files that have names elsewhere, too.
    kept_together: HashMap<Inode, Vec<usize>>,
}

impl<'t> Saw<'t, '_> {
    fn weight(&self, amount: Amount) -> u64 {
        self.cutting.by.weight(amount)
    }

    fn take(&mut self, pieces: Vec<Piece<'t>>, amount: Amount) {
        self.items.push(Item { weight: self.weight(amount), amount, pieces });
    }

    fn limit(&self, step: Step) -> u64 {
        self.fineness.limits.get(step.finer).copied().unwrap_or(0)
    }

    /// True where what could be an item at a step is cut more finely.
    fn is_cut_finer(&mut self, amount: Amount, step: Step) -> bool {
        let weight = self.weight(amount);
        match self.fineness.shares.get_mut(step.finer) {
            Some(share) if *share > 0 => {
                *share = share.saturating_sub(weight.max(1));
                true
            }
            _ => false,
        }
    }

    /// True where what could go whole is to be opened all the same.
    fn is_opened(&mut self, amount: Amount, step: Step) -> bool {
        if step.wholes != Wholes::Allowed || self.fineness.opened == 0 {
            return false;
        }
        let weight = self.weight(amount).max(1);
        self.fineness.opened = self.fineness.opened.saturating_sub(weight);
        true
    }

    fn may_go_whole(&self, folder: &Folder, step: Step) -> bool {
        match folder.detail {
            Detail::Closed => return true,
            Detail::Uncut | Detail::Torn if step.wholes == Wholes::Allowed => return true,
            Detail::Uncut | Detail::Torn | Detail::Known | Detail::HandedOut => {}
        }
        if folder.is_empty() && folder.is_complete {
            return true;
        }
        step.wholes == Wholes::Allowed
            && self.limit(step) > 0
            && folder.is_complete
            && self.weight(folder.total) <= self.limit(step)
            && (!folder.has_links || self.names_elsewhere(folder).is_empty())
    }

    /// Files with names in a directory or below, and with others elsewhere in the tree.
    fn names_elsewhere(&self, folder: &Folder) -> Vec<Inode> {
        let mut seen: HashMap<Inode, (u64, u64)> = HashMap::new();
        let mut open = vec![folder];
        while let Some(folder) = open.pop().filter(|folder| folder.has_links) {
            for linked in &folder.linked {
                let (seen, found) = seen.entry(linked.links.inode).or_default();
                (*seen, *found) = (*seen + 1, self.cutting.links.of(linked.links));
            }
            open.extend(folder.folders.iter().filter(|folder| folder.has_links));
        }
        seen.retain(|_, (seen, found)| seen < found);
        seen.into_keys().collect()
    }

    /// Cuts what lies in a directory.
    fn open(&mut self, folder: &'t Folder, path: &[u8], step: Step) {
        let at = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        self.paths.push(path.into());
        let before = self.items.len();
        let mut own = None;
        for (range, amount) in self.bundles(&folder.loose, 0..folder.loose.len(), step) {
            own.get_or_insert(self.items.len());
            self.take(vec![Piece::Loose { at, loose: &folder.loose, range }], amount);
        }
        for linked in &folder.linked {
            self.groups.entry(linked.links.inode).or_default().push((at, linked));
        }
        for below in &folder.folders {
            let is_cut = below.detail == Detail::Known && !below.is_empty();
            if !self.may_go_whole(below, step) {
                self.open(below, &joined(path, &below.name), step);
            } else if is_cut && self.is_opened(below.total, step) {
                let step = Step { wholes: Wholes::Never, ..step };
                self.open(below, &joined(path, &below.name), step);
            } else if is_cut && self.is_cut_finer(below.total, step) {
                self.open(below, &joined(path, &below.name), step.finer());
            } else {
                own.get_or_insert(self.items.len());
                self.keep_together(below);
                let wholes = step.wholes;
                self.take(vec![Piece::Whole { at, folder: below, wholes }], below.total);
            }
        }
        let is_bare = before == self.items.len() && folder.linked.is_empty();
        let span = if is_bare { Span::Bare } else { Span::Alone };
        let itself = Piece::Itself { at, span };
        match own {
            // With something that lies in it, so that few movers have to do with a directory.
            Some(index) if self.limit(step) > 0 => {
                let by = self.cutting.by;
                let item = &mut self.items[index];
                item.pieces.insert(0, itself);
                item.amount += Amount::of_one(0);
                item.weight = by.weight(item.amount);
            }
            _ => self.take(vec![itself], Amount::of_one(0)),
        }
    }

    fn keep_together(&mut self, folder: &Folder) {
        if matches!(folder.detail, Detail::Uncut | Detail::Torn) && folder.has_links {
            let index = self.items.len();
            for inode in self.names_elsewhere(folder) {
                self.kept_together.entry(inode).or_default().push(index);
            }
        }
    }

    /// Loose entries in runs of at most the limit of a step.
    fn bundles(
        &mut self,
        loose: &Loose,
        range: Range<usize>,
        step: Step,
    ) -> Vec<(Range<usize>, Amount)> {
        let limit = self.limit(step);
        let mut bundles = Vec::new();
        let (mut begin, mut sum) = (range.start, Amount::default());
        for index in range.clone() {
            let entry = Amount::of_one(loose.get(index).bytes);
            if index > begin && (limit == 0 || self.weight(sum + entry) > limit) {
                bundles.push((begin..index, sum));
                (begin, sum) = (index, Amount::default());
            }
            sum += entry;
        }
        if begin < range.end {
            bundles.push((begin..range.end, sum));
        }
        let finer = bundles.into_iter().flat_map(|(range, amount)| {
            if range.len() > 1 && self.is_cut_finer(amount, step) {
                self.bundles(loose, range, step.finer())
            } else {
                vec![(range, amount)]
            }
        });
        finer.collect()
    }

    /// Names of one file go together, and with them the uncut directories in which it has others.
    fn gather_groups(&mut self) {
        let mut groups: Vec<_> = std::mem::take(&mut self.groups).into_iter().collect();
        // In the order of the tree, not of the table.
        groups.sort_unstable_by(|(_, a), (_, b)| key(a).cmp(&key(b)));
        for (inode, names) in groups {
            let amount = names.iter().map(|(_, linked)| Amount::of_one(linked.bytes)).sum();
            let pieces = names.iter().map(|(at, linked)| Piece::Linked { at: *at, linked });
            let pieces = pieces.collect();
            if let Some(items) = self.kept_together.get_mut(&inode) {
                items.push(self.items.len());
            }
            self.take(pieces, amount);
        }
        self.join();
    }

    /// Makes one item of those that share a file.
    fn join(&mut self) {
        if self.kept_together.is_empty() {
            return;
        }
        let mut first: Vec<usize> = (0..self.items.len()).collect();
        for items in self.kept_together.values() {
            for pair in items.windows(2) {
                let (a, b) = (root(&mut first, pair[0]), root(&mut first, pair[1]));
                first[a.max(b)] = a.min(b);
            }
        }
        let mut joined: Vec<Item<'t>> = Vec::with_capacity(self.items.len());
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (index, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            let of = root(&mut first, index);
            match places.get(&of) {
                None => {
                    places.insert(of, joined.len());
                    joined.push(item);
                }
                Some(place) => {
                    let other = &mut joined[*place];
                    other.amount += item.amount;
                    other.pieces.extend(item.pieces);
                }
            }
        }
        let by = self.cutting.by;
        for item in &mut joined {
            item.weight = by.weight(item.amount);
        }
        self.items = joined;
    }
}

/// The first of those that are joined with the item at `index`.
fn root(first: &mut [usize], mut index: usize) -> usize {
    while first[index] != index {
        first[index] = first[first[index]];
        index = first[index];
    }
    index
}

fn key<'t>(names: &[(u32, &'t Linked)]) -> (u32, &'t [u8]) {
    names.iter().map(|(at, linked)| (*at, &*linked.name)).min().unwrap_or((u32::MAX, b""))
}

impl Item<'_> {
    /// Its lines; `paths` are those of the cut that it is from, and `wholes` what that was made by.
    pub fn lines<E>(
        &self,
        paths: &[Box<[u8]>],
        wholes: Wholes,
        each: &mut dyn FnMut(&Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = |at: u32| &*paths[at as usize];
        let span = wholes.of_entry();
        for piece in &self.pieces {
            match piece {
                Piece::Itself { at, span } => {
                    let (folder, name) = split(path(*at));
                    let amount = Amount::of_one(0);
                    each(&Line { folder, name, kind: Kind::Directory, span: *span, amount })?;
                }
                Piece::Whole { at, folder, wholes } => each(&whole(path(*at), folder, *wholes))?,
                Piece::Loose { at, loose, range } => {
                    for index in range.clone() {
                        let entry = loose.get(index);
                        let line = single(path(*at), entry.name, entry.kind, entry.bytes);
                        each(&Line { span, ..line })?;
                    }
                }
                Piece::Linked { at, linked } => {
                    let line = single(path(*at), &linked.name, linked.kind, linked.bytes);
                    each(&Line { span, ..line })?;
                }
            }
        }
        Ok(())
    }

    /// What it asks of its mover.
    pub(crate) fn recursion(&self, wholes: Wholes) -> Recursion {
        let of = |piece: &Piece<'_>| match piece {
            Piece::Itself { span: Span::Bare, .. } => Recursion::Forbidden,
            Piece::Whole { folder, wholes, .. } => Recursion::of(&whole(b"", folder, *wholes)),
            Piece::Loose { .. } | Piece::Linked { .. } if wholes == Wholes::Summed => {
                Recursion::Needed
            }
            Piece::Itself { .. } | Piece::Loose { .. } | Piece::Linked { .. } => Recursion::Either,
        };
        self.pieces.iter().map(of).fold(Recursion::Either, Recursion::and)
    }

    /// Where it stands in the tree.
    pub(crate) fn place(&self) -> u32 {
        let places = self.pieces.iter().map(|piece| match piece {
            Piece::Itself { at, .. }
            | Piece::Whole { at, .. }
            | Piece::Loose { at, .. }
            | Piece::Linked { at, .. } => *at,
        });
        places.min().unwrap_or(0)
    }
}

/// The line of a directory that goes with all below it.
pub(crate) fn whole<'a>(path: &'a [u8], folder: &'a Folder, wholes: Wholes) -> Line<'a> {
    let is_single = match folder.detail {
        // What nobody could read does not have its mover go down into others.
        Detail::Torn => wholes != Wholes::Allowed,
        Detail::Closed => false,
        Detail::Known | Detail::Uncut | Detail::HandedOut => folder.is_empty(),
    };
    let span = if is_single { wholes.of_entry() } else { Span::Whole };
    Line { folder: path, name: &folder.name, kind: Kind::Directory, span, amount: folder.total }
}

/// The line of an entry that is no directory.
pub(crate) fn single<'a>(folder: &'a [u8], name: &'a [u8], kind: Kind, bytes: u64) -> Line<'a> {
    Line { folder, name, kind, span: Span::Entry, amount: Amount::of_one(bytes) }
}

/// The path of a name in a directory.
pub(crate) fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// A path as the directory that it lies in and its name there.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
