//! A tree that somebody made a list of.
//!
//! Nobody looks at the tree: what is in the list is in it, and nothing else. A line names an entry by its
//! path below SOURCE, which begins with `./` or not, or by an absolute path that leads there. Above it may
//! lie any number of directories that have no line. Where lines lie below another one, that is a directory,
//! whatever size it has in the list; every other line is taken for a file, unless it ends with a slash: then
//! it is a directory in which nothing is looked at. A path that has several lines counts once, with the
//! largest of its sizes.
//!
//! The list is read whole and kept sorted, so that what lies below a directory is a range of it, whose
//! amount is the difference of two sums. An entry takes its line and 26 bytes.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fs::operator;
use sched::Cancel;

use self::held::Held;
use self::line::{Shape, Ways};
use self::read::{Lines, ReadLines};
use super::{Covers, Found, Lister, Refused, Root, TellError, Why};

/// Sums of directories that `du` told.
mod du;
/// A list as it is kept.
mod held;
/// What a line says.
mod line;
/// What the one who made a list should know.
mod notice;
/// From a file to lines.
mod read;
/// Many short texts.
mod text;

#[cfg(test)]
mod tests;

pub use self::notice::Notice;

/// So many children are told at once.
const PART_CHILDREN: usize = 1024;
/// The rest of a wide directory becomes so many parts at most.
const PARTS: usize = 16;

/// What the lines of a list are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// [`Self::Fpart`] or [`Self::Sizes`] where every line can be one, else [`Self::Paths`]. What looks as if
    /// `du` made it is refused: it is not known what it counts in.
    #[default]
    Auto,
    /// A path.
    Paths,
    /// A number of bytes, one blank or one tab, a path: as `find -printf '%s %p\n'` writes them. The path is
    /// all that follows that one blank or tab, since a name may begin with either.
    Sizes,
    /// As [`Self::Sizes`], with the number of a partition and one tab before: as fpart writes to its standard
    /// output. What it writes with `-o` are paths.
    Fpart,
    /// As [`Self::Sizes`], where a directory has the sum of what lies below it: as `du -a` writes them.
    Du(Unit),
}

impl Form {
    /// All of them, as a person names them.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("auto", Self::Auto),
        ("paths", Self::Paths),
        ("sizes", Self::Sizes),
        ("fpart", Self::Fpart),
        ("du", Self::Du(Unit::Kibibytes)),
        ("du-bytes", Self::Du(Unit::Bytes)),
    ];
}

/// What `du` counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// KiB, as it does by itself.
    #[default]
    Kibibytes,
    /// Bytes, as with `-b`.
    Bytes,
}

/// Where lines end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// At a newline.
    #[default]
    Newline,
    /// At a NUL, so that names may have newlines.
    Nul,
}

/// How a list is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// What its lines are.
    pub form: Form,
    /// Where they end.
    pub ends: Ends,
    /// SOURCE, as it is shown to a person.
    pub source: &'a [u8],
    /// Absolute ways to SOURCE: an absolute path in the list must lie below one of them.
    pub absolute: &'a [&'a [u8]],
}

/// A tree that somebody made a list of.
#[derive(Debug)]
pub struct List {
    held: Held,
    source: Vec<u8>,
    notices: Vec<Notice>,
    asked: AtomicU64,
}

impl List {
    /// Reads a list to its end: a file, or standard input for `-`.
    ///
    /// Fails where it cannot be read, makes no sense, or changes under the reader: somebody still writes it.
    pub fn open(file: &Path, reading: &Reading<'_>, cancel: &Cancel) -> Result<Self, Refused> {
        let name = match file.as_os_str() {
            name if name == "-" => "standard input".to_owned(),
            name => format!("\"{}\"", name.as_encoded_bytes().escape_ascii()),
        };
        let mut file = operator::open(file).map_err(|error| read::unreadable(&name, &error))?;
        let lines = read::settled(&name, &mut file, |file| {
            ReadLines { name: &name, ends: reading.ends, cancel }.read(file)
        })?;
        Self::new(&name, lines, reading)
    }

    /// The same of what is read from anywhere, and called `name` to a person.
    pub fn read(
        name: &str,
        input: &mut dyn Read,
        reading: &Reading<'_>,
        cancel: &Cancel,
    ) -> Result<Self, Refused> {
        let lines = ReadLines { name, ends: reading.ends, cancel }.read(input)?;
        Self::new(name, lines, reading)
    }

    fn new(name: &str, lines: Lines, reading: &Reading<'_>) -> Result<Self, Refused> {
        let shape = Shape::of(reading.form, lines.looks);
        let ways = Ways::new(reading.absolute);
        let held = Held::new(name, lines, shape, &ways)?;
        let notices = Notice::all(reading.form, shape, held.repeated()).collect();
        Ok(Self { held, source: reading.source.to_vec(), notices, asked: AtomicU64::new(0) })
    }

    /// What the one who made it should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Parts of a directory that begin where a child does.
    fn split(&self, part: &Part) -> Vec<Part> {
        let len = part.range.len();
        let width = len.div_ceil(PARTS).max(PART_CHILDREN);
        let mut starts = vec![part.range.start];
        for middle in (part.range.start..part.range.end).step_by(width).skip(1) {
            let start = self.held.start_of_child(part, middle);
            starts.extend(starts.last().is_none_or(|last| *last < start).then_some(start));
        }
        let ends = starts.iter().copied().skip(1).chain([part.range.end]);
        let ranges = starts.iter().copied().zip(ends).filter(|(start, end)| start < end);
        ranges.map(|(start, end)| Part { range: start..end, prefix: part.prefix }).collect()
    }
}

/// Lines that lie in one directory and below.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which.
    range: Range<usize>,
    /// How many bytes of each of them are not the name below the directory.
    prefix: usize,
}

impl Lister for List {
    type Part = Part;

    fn root(&self) -> Result<Root<Part>, Refused> {
        let part = Part { range: 0..self.held.len(), prefix: 0 };
        Ok(Root { part, total: Some(self.held.total()) })
    }

    fn tell(
        &self,
        part: Part,
        hear: &mut dyn FnMut(Found<'_, Part>),
    ) -> Result<Vec<Part>, TellError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Part { mut range, prefix } = part;
        for _ in 0..PART_CHILDREN {
            if range.is_empty() {
                return Ok(Vec::new());
            }
            let child = self.held.child(range.clone(), prefix);
            hear(child.found);
            range.start = child.end;
        }
        Ok(self.split(&Part { range, prefix }))
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn covers(&self) -> Covers {
        Covers::Told
    }

    fn full_path(&self, path: &[u8]) -> Vec<u8> {
        match (&self.source[..], path) {
            (source, b"") => source.to_vec(),
            (source, path) if source.ends_with(b"/") => [source, path].concat(),
            (source, path) => [source, b"/", path].concat(),
        }
    }
}

fn refused(sentence: String) -> Refused {
    Refused { why: Why::List, sentence }
}
