//! A list as it is kept: sorted, each path once, with sums.

use std::cmp::Ordering;
use std::ops::Range;

use model::Kind;

use super::du::Told;
use super::line::{SEPARATOR, Shape, Ways};
use super::read::Lines;
use super::text::{Place, Text};
use super::{Part, du, refused};
use crate::amount::Amount;
use crate::lister::{Below, Found, Refused};

/// A list, sorted by component: what lies below a directory follows it.
#[derive(Debug)]
pub(super) struct Held {
    text: Text,
    lines: Vec<Line>,
    /// Of all of it, without the root.
    total: Sums,
    /// How many lines name what another one names.
    repeated: u64,
    /// Whether a line says that it is a directory: whoever made the list says so of others, too.
    tells_directories: bool,
    /// How many lines may be files or directories with nothing in them.
    leaves: u64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    place: Place,
    /// What all lines before it come to. While lines are collected, the bytes of this one.
    before: Sums,
}

/// What some lines come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Bytes of files.
    bytes: u64,
    /// Names that no line before has: the entry itself, and directories above it without a line.
    names: u64,
}

/// An entry of a directory.
pub(super) struct Child<'a> {
    pub(super) found: Found<'a, Part>,
    /// Where the next one begins.
    pub(super) end: usize,
}

impl Held {
    pub(super) fn new(
        name: &str,
        lines: Lines,
        shape: Shape,
        ways: &Ways<'_>,
    ) -> Result<Self, Refused> {
        let (mut held, root) = Self::collect(name, lines, shape, ways)?;
        held.sort();
        let sentence = held.flaw_of_sums(name, shape, root);
        match sentence.or_else(|| (!held.add_up()).then(|| too_large(name))) {
            Some(sentence) => Err(refused(sentence)),
            None => Ok(held),
        }
    }

    /// All lines, and that of the root, if it has one.
    fn collect(
        name: &str,
        mut lines: Lines,
        shape: Shape,
        ways: &Ways<'_>,
    ) -> Result<(Self, Option<Told<'static>>), Refused> {
        let mut collected = Vec::with_capacity(lines.count);
        let (mut root, mut roots, mut index) = (None::<Told<'_>>, 0_u64, 0);
        let mut tells_directories = false;
        let settled = lines.text.shorten(|place, line| {
            let (bytes, start) = shape.cut(line).map_err(|flaw| (index, flaw))?;
            let (len, is_directory) = ways.settle(line, start).map_err(|flaw| (index, flaw))?;
            index += 1;
            if len == 0 {
                let bytes = bytes.max(root.map_or(0, |root| root.bytes));
                root = Some(Told { path: b"", bytes, place });
                roots += 1;
            } else {
                tells_directories |= is_directory;
                collected.push(Line { place, before: Sums { bytes, names: 0 } });
            }
            Ok((len, is_directory))
        });
        if let Err((index, flaw)) = settled {
            let number = lines.number(index);
            return Err(refused(format!("the list {name}, line {number} {flaw}")));
        }
        let (total, repeated) = (Sums::default(), roots.saturating_sub(1));
        let (text, lines) = (lines.text, collected);
        Ok((Self { text, lines, total, repeated, tells_directories, leaves: 0 }, root))
    }

    /// What is wrong where lines tell sums of directories, or seem to.
    fn flaw_of_sums(&self, name: &str, shape: Shape, root: Option<Told<'_>>) -> Option<String> {
        let told = self.lines.iter().map(|&Line { place, before }| Told {
            path: self.text.get(place),
            bytes: before.bytes,
            place,
        });
        match shape {
            Shape::Du(_) => Some(du::hollow(told, root)?.sentence(name)),
            Shape::SizesOrSums => du::is_likely(told, root).then(|| du::unsaid(name)),
            Shape::Paths | Shape::Sizes | Shape::Fpart => None,
        }
    }

    /// Brings lines into order, and leaves of those that name the same only one.
    fn sort(&mut self) {
        let Self { text, lines, repeated, .. } = self;
        lines.sort_unstable_by(|a, b| text.get(a.place).cmp(text.get(b.place)));
        lines.dedup_by(|line, kept| {
            let is_same = text.get(line.place).cmp(text.get(kept.place)) == Ordering::Equal;
            if is_same {
                *repeated += 1;
                kept.before.bytes = kept.before.bytes.max(line.before.bytes);
                if text.is_marked(line.place) {
                    text.mark(kept.place);
                }
            }
            is_same
        });
    }

    /// Makes sums of what lines have. `false` where they are too large.
    fn add_up(&mut self) -> bool {
        let mut sums = Sums::default();
        for index in 0..self.lines.len() {
            let path = self.path(index);
            let above = if index == 0 { &[] } else { self.path(index - 1) };
            let names = names(path) - common_names(path, above);
            let holds_more = index + 1 < self.lines.len() && is_below(self.path(index + 1), path);
            let line = self.lines[index];
            let is_file = !holds_more && !self.text.is_marked(line.place);
            let bytes = if is_file { line.before.bytes } else { 0 };
            self.leaves += u64::from(is_file);
            self.lines[index].before = sums;
            sums.names += names;
            match sums.bytes.checked_add(bytes) {
                Some(bytes) => sums.bytes = bytes,
                None => return false,
            }
        }
        self.total = sums;
        true
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// All of it, the root included.
    pub(super) fn total(&self) -> Amount {
        Amount { entries: self.total.names, bytes: self.total.bytes } + Amount::of_one(0)
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many lines may be empty directories as well as files, and nothing tells which.
    pub(super) fn unsure(&self) -> u64 {
        if self.tells_directories { 0 } else { self.leaves }
    }

    /// The directory of which a part tells, with separators between its components.
    pub(super) fn directory(&self, part: &Part) -> &[u8] {
        match part.prefix {
            0 => &[],
            prefix => &self.path(part.range.start)[..prefix - 1],
        }
    }

    /// Whether no other part of the same directory lies before this one, which is not empty.
    pub(super) fn is_first(&self, part: &Part) -> bool {
        match (part.range.start, part.prefix) {
            (0, _) => true,
            (_, 0) => false,
            (start, prefix) => !is_below(self.path(start - 1), &self.path(start)[..prefix - 1]),
        }
    }

    fn path(&self, index: usize) -> &[u8] {
        self.text.get(self.lines[index].place)
    }

    /// What all lines before this one come to; of the one after the last, all of them.
    fn before(&self, index: usize) -> Sums {
        self.lines.get(index).map_or(self.total, |line| line.before)
    }

    /// The first child in a range of lines of a directory.
    pub(super) fn child(&self, range: Range<usize>, prefix: usize) -> Child<'_> {
        let first = self.path(range.start);
        let path = &first[..end_of_name(first, prefix)];
        let end = self.end_of(path, range.clone());
        let has_line = path.len() == first.len();
        let below =
            Part { range: range.start + usize::from(has_line)..end, prefix: path.len() + 1 };
        let bytes = self.before(end).bytes - self.before(range.start).bytes;
        let line = self.lines[range.start].place;
        let (kind, bytes, below) = match below.range.is_empty() {
            true if self.text.is_marked(line) => (Kind::Directory, 0, Below::Nothing),
            true => (Kind::File, bytes, Below::Nothing),
            false => (Kind::Directory, 0, Below::Known(self.amount(&below, bytes), below)),
        };
        let found = Found { name: &path[prefix..], kind, bytes, links: None, below };
        Child { found, end }
    }

    /// A directory with all that lies below it.
    fn amount(&self, below: &Part, bytes: u64) -> Amount {
        let Range { start, end } = below.range;
        // Its first line has names for all directories down to it, whatever line comes before.
        let first = names(&self.path(start)[below.prefix..]);
        let entries = 1 + first + (self.before(end).names - self.before(start + 1).names);
        Amount { entries, bytes }
    }

    /// The first line in a range that is not the directory and does not lie below it. The first one does.
    fn end_of(&self, path: &[u8], range: Range<usize>) -> usize {
        let (mut last, mut step) = (range.start, 1);
        // Most directories are small: so it is looked for near by first.
        while last + step < range.end && is_below(self.path(last + step), path) {
            last += step;
            step *= 2;
        }
        let rest = last + 1..range.end.min(last + step);
        let more =
            self.lines[rest].partition_point(|line| is_below(self.text.get(line.place), path));
        last + 1 + more
    }

    /// Where the child begins that a line of a part belongs to.
    pub(super) fn start_of_child(&self, part: &Part, line: usize) -> usize {
        let path = self.path(line);
        let child = &path[..end_of_name(path, part.prefix)];
        let before = &self.lines[part.range.start..line];
        let is_of_another = |line: &Line| {
            let path = self.text.get(line.place);
            path != child && !is_below(path, child)
        };
        part.range.start + before.partition_point(is_of_another)
    }

    /// What it takes of memory.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.text.held_bytes() + self.lines.capacity() * size_of::<Line>()
    }
}

fn too_large(name: &str) -> String {
    format!(
        "the sizes in the list {name} come to more than there are numbers for; they are no bytes"
    )
}

fn end_of_name(path: &[u8], start: usize) -> usize {
    path[start..].iter().position(|&byte| byte == SEPARATOR).map_or(path.len(), |len| start + len)
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == SEPARATOR)
}

/// How many components a path has.
fn names(path: &[u8]) -> u64 {
    components(path).count() as u64
}

/// How many components two paths begin with in common.
fn common_names(path: &[u8], other: &[u8]) -> u64 {
    let pairs = components(path).zip(components(other));
    pairs.take_while(|(name, other)| name == other).count() as u64
}

/// Whether a path lies below another one.
pub(super) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.get(directory.len()) == Some(&SEPARATOR) && path.starts_with(directory)
}
