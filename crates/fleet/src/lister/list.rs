//! A tree that somebody made a list of.
//!
//! What is in the list is in the tree, and nothing else. A line names an entry by its path below SOURCE,
//! which begins with `./` or not, or by an absolute path that leads there. Above it may lie any number of
//! directories that have no line. Where lines lie below another one, that is a directory, whatever size it
//! has in the list, and so is one that ends with a slash. Every other line is taken for a file, unless what
//! it names is looked at in SOURCE on this host. A path that has several lines counts once, with the largest
//! of its sizes.
//!
//! No link is followed: where SOURCE is on this host, what lines name below one is told as a fault.
//!
//! The list is read whole and kept sorted, so that what lies below a directory is a range of it, whose
//! amount is the difference of two sums. An entry takes its line and 26 bytes.

use std::io::{self, Read};
use std::mem;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fs::Dir;
use fs::inlet::Inlet;
use fs::operator;
use model::{Cause, Fault, Kind, Side, Verb};
use parking_lot::Mutex;
use rustix::io::Errno;
use sched::Cancel;

use self::held::Held;
use self::here::Here;
use self::line::{Shape, Ways};
use self::read::{Lines, ReadLines};
use super::{Below, Covers, Found, Lister, Refused, Root, TellError, Why};
use crate::cut::joined;

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

/// What comes of opening a link, or what is no directory: one way to open a path or the other.
const NOT_FOLLOWED: [Option<Errno>; 2] = [Some(Errno::LOOP), Some(Errno::NOTDIR)];

/// Why nothing below a link, or below a file, is in a bucket.
const NO_DIRECTORY: &str = "it is no directory but a link or a file, and no link is followed, so what the list \
    names below it is in no bucket; make SOURCE what the link leads to, or take these lines out";

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
    /// Whether it matters what a line names that may as well be a directory as a file, and whether it is
    /// there. Then it is looked at, where SOURCE is on this host.
    pub needs_kinds: bool,
}

/// A tree that somebody made a list of.
#[derive(Debug)]
pub struct List {
    held: Held,
    source: Vec<u8>,
    notices: Vec<Notice>,
    /// Where the directories are looked at in which lines lie.
    here: Option<Here>,
    /// Whether each line is looked at there, too.
    needs_kinds: bool,
    asked: AtomicU64,
    faults: Mutex<Vec<Fault>>,
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
        let mut notices: Vec<Notice> = Notice::of_shape(reading.form, looks_like, shape).collect();
        let repeated = held.repeated();
        notices.extend((repeated > 0).then_some(Notice::Repeated(repeated)));
        let unsure = held.unsure();
        let needs_kinds = reading.needs_kinds;
        let is_told = unsure > 0 && needs_kinds && here.is_none();
        notices.extend(is_told.then_some(Notice::TakenForFiles(unsure)));
        let (source, asked) = (reading.source.to_vec(), AtomicU64::new(0));
        let faults = Mutex::default();
        Ok(Self { held, source, notices, here, needs_kinds, asked, faults })
    }

    /// What the one who made it should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Whether anything of what its lines name is looked at.
    pub fn is_looked_at(&self) -> bool {
        self.here.is_some()
    }

    /// The directory of a part, if it is looked at, and can be.
    ///
    /// Fails where it is not there, or is a link: what the list names below it is nowhere, or elsewhere.
    fn open_directory(&self, part: &Part) -> Result<Option<Dir>, TellError> {
        let Some(here) = self.here.as_ref().filter(|_| !part.range.is_empty()) else {
            return Ok(None);
        };
        let path = here::slashed(self.held.directory(part));
        let error = match here.directory(&path) {
            Ok(dir) => return Ok(Some(dir).filter(|_| self.needs_kinds)),
            Err(error) => error,
        };
        let fault = |cause| self.fault(Verb::OpenDirectory, &path, cause);
        match error.kind() {
            _ if NOT_FOLLOWED.contains(&Errno::from_io_error(&error)) => {
                Err(TellError::Fault(fault(Cause::Refused(NO_DIRECTORY.into()))))
            }
            // Whoever moves them says so, and may see more.
            _ if !self.needs_kinds => Ok(None),
            io::ErrorKind::NotFound => Err(TellError::Fault(fault(Cause::Vanished))),
            _ if self.held.is_first(part) => {
                self.faults.lock().push(fault(Cause::from(&error)));
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Looks in its directory at what a line names, if nothing lies below it in the list. `false` where there
    /// is nothing. What cannot be looked at stays what the list makes it.
    fn look(&self, part: &Part, dir: &Dir, found: &mut Found<'_, Part>) -> bool {
        if !matches!(found.below, Below::Nothing) {
            return true;
        }
        let cause = match dir.stat(found.name) {
            Ok(metadata) => {
                found.kind = metadata.kind;
                found.bytes = if found.kind == Kind::Directory { 0 } else { found.bytes };
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Cause::Vanished,
            Err(error) => Cause::from(&error),
        };
        let is_there = cause != Cause::Vanished;
        let path = joined(&here::slashed(self.held.directory(part)), found.name);
        self.faults.lock().push(self.fault(Verb::LookAt, &path, cause));
        is_there
    }

    fn fault(&self, verb: Verb, path: &[u8], cause: Cause) -> Fault {
        Fault { side: Side::Source, verb, path: self.full_path(path).into(), cause }
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
        let dir = self.open_directory(&part)?;
        let Part { mut range, prefix } = part.clone();
        for _ in 0..PART_CHILDREN {
            if range.is_empty() {
                return Ok(Vec::new());
            }
            let mut child = self.held.child(range.clone(), prefix);
            let is_there = |dir| self.look(&part, dir, &mut child.found);
            if dir.as_ref().is_none_or(is_there) {
                hear(child.found);
            }
            range.start = child.end;
        }
        Ok(self.split(&Part { range, prefix }))
    }

    fn take_faults(&self) -> Vec<Fault> {
        mem::take(&mut self.faults.lock())
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
