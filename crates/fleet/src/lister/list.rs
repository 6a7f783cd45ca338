//! A tree that somebody made a list of.
//!
//! What is in the list is in the tree, and nothing else. A line names an entry by its path below SOURCE,
//! which begins with `./` or not, or by an absolute path that leads there. Above it may lie any number of
//! directories that have no line. Where lines lie below another one, that is a directory, whatever size it
//! has in the list, and so is one that ends with a slash. Every other line is taken for a file, unless what
//! it names is looked at in SOURCE on this host. A path that has several lines counts once, with the largest
//! of its sizes.
//!
//! The list is read whole and kept sorted, so that what lies below a directory is a range of it, whose
//! amount is the difference of two sums. An entry takes its line and 26 bytes.

use std::cell::OnceCell;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fs::Dir;
use fs::inlet::Inlet;
use fs::operator;
use model::Kind;
use sched::Cancel;

use self::held::Held;
use self::here::Here;
use self::line::{Shape, Ways};
use self::read::{Lines, ReadLines};
use super::{Covers, Found, Lister, Refused, Root, TellError, Why};

/// Sums of directories that `du` told.
mod du;
/// A list as it is kept.
mod held;
/// What a list names, looked at.
mod here;
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
    /// [`Self::Fpart`] or [`Self::Sizes`] where every line can be one, else [`Self::Paths`]. Where SOURCE is
    /// on this host, it is the one by which more of the first lines are there. What looks as if `du` made it
    /// is refused: it is not known what it counts in.
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
    /// SOURCE, where it is on this host.
    pub here: Option<&'a Dir>,
    /// Whether it matters what a line names that may as well be a directory as a file. Then it is looked at,
    /// where SOURCE is on this host.
    pub needs_kinds: bool,
}

/// A tree that somebody made a list of.
#[derive(Debug)]
pub struct List {
    held: Held,
    source: Vec<u8>,
    notices: Vec<Notice>,
    /// Where what lines name is looked at.
    here: Option<Here>,
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
        let opened = operator::open_at_once(file);
        let mut file = opened.map_err(|error| read::unreadable(&name, &error))?;
        let lines = read::settled(&name, &mut file, |file| {
            let mut input = Inlet::new(&*file, || cancel.is_cancelled());
            ReadLines { name: &name, ends: reading.ends, cancel }.read(&mut input)
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
        let looks_like = Shape::of(reading.form, lines.looks);
        let ways = Ways::new(reading.absolute);
        let here = reading.here.map(|dir| Here(dir.clone()));
        let shape = match &here {
            Some(here) if reading.form == Form::Auto && looks_like != Shape::Paths => {
                here.shape_of(&lines.text, looks_like, &ways)
            }
            _ => looks_like,
        };
        let held = Held::new(name, lines, shape, &ways)?;
        let here = here.filter(|_| reading.needs_kinds);
        let mut notices: Vec<Notice> = Notice::of_shape(reading.form, looks_like, shape).collect();
        let repeated = held.repeated();
        notices.extend((repeated > 0).then_some(Notice::Repeated(repeated)));
        let unsure = held.unsure();
        let is_told = unsure > 0 && reading.needs_kinds && here.is_none();
        notices.extend(is_told.then_some(Notice::TakenForFiles(unsure)));
        let (source, asked) = (reading.source.to_vec(), AtomicU64::new(0));
        Ok(Self { held, source, notices, here, asked })
    }

    /// What the one who made it should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Whether what its lines name is looked at.
    pub fn is_looked_at(&self) -> bool {
        self.here.is_some()
    }

    /// What a line names that may be anything, looked at in its directory, which is opened when something in
    /// it is looked at first. What cannot be looked at stays what the list makes it.
    fn look(&self, part: &Part, dir: &OnceCell<Option<Dir>>, found: &mut Found<'_, Part>) {
        let Some(here) = self.here.as_ref().filter(|_| found.kind == Kind::File) else { return };
        let open = || here.directory(self.held.directory(part));
        if let Some(kind) =
            dir.get_or_init(open).as_ref().and_then(|dir| here::kind(dir, found.name))
        {
            found.kind = kind;
            found.bytes = if kind == Kind::Directory { 0 } else { found.bytes };
        }
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
        let dir = OnceCell::new();
        let Part { mut range, prefix } = part.clone();
        for _ in 0..PART_CHILDREN {
            if range.is_empty() {
                return Ok(Vec::new());
            }
            let mut child = self.held.child(range.clone(), prefix);
            self.look(&part, &dir, &mut child.found);
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
