//! What a line says.

use std::fmt;
use std::ops::Range;

use super::{Form, Unit};

/// What stands between the components of a path in memory: smaller than every byte of a name. So in the
/// order of bytes all that lies below a directory follows it.
pub(super) const SEPARATOR: u8 = 0;

/// What all lines so far can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    sizes: bool,
    tabs: bool,
    fpart: bool,
    any: bool,
}

impl Default for Looks {
    fn default() -> Self {
        Self { sizes: true, tabs: true, fpart: true, any: false }
    }
}

impl Looks {
    /// Takes a line into account.
    pub(super) fn see(&mut self, line: &[u8]) {
        self.any = true;
        let blank = number(line).map(|(_, blank, _)| blank);
        self.sizes = self.sizes && blank.is_some_and(is_blank);
        self.tabs = self.tabs && blank == Some(b'\t');
        self.fpart = self.fpart && fpart(line).is_some();
    }
}

/// What the lines of a list are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Paths,
    Sizes,
    /// Sizes, unless they turn out to be sums of directories.
    SizesOrSums,
    Fpart,
    Du(Unit),
}

impl Shape {
    pub(super) fn of(form: Form, looks: Looks) -> Self {
        match form {
            Form::Auto if looks.any && looks.fpart => Self::Fpart,
            Form::Auto if looks.any && looks.tabs => Self::SizesOrSums,
            Form::Auto if looks.any && looks.sizes => Self::Sizes,
            Form::Auto | Form::Paths => Self::Paths,
            Form::Sizes => Self::Sizes,
            Form::Fpart => Self::Fpart,
            Form::Du(unit) => Self::Du(unit),
        }
    }

    /// The bytes that a line tells of, and where its path begins.
    pub(super) fn cut(self, line: &[u8]) -> Result<(u64, usize), Flaw> {
        let (digits, rest) = match self {
            Self::Paths => return Ok((0, 0)),
            Self::Fpart => fpart(line).ok_or(Flaw::NoFpart)?,
            Self::Sizes | Self::SizesOrSums | Self::Du(_) => match number(line) {
                Some((digits, blank, rest)) if is_blank(blank) => (digits, rest),
                _ => return Err(Flaw::NoSize(self)),
            },
        };
        let unit = if self == Self::Du(Unit::Kibibytes) { 1024 } else { 1 };
        let bytes = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        let bytes = bytes.and_then(|number| number.checked_mul(unit)).ok_or(Flaw::TooLarge)?;
        Ok((bytes, line.len() - rest.len()))
    }
}

/// The digits that a line begins with, what follows them, and the rest.
fn number(line: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = line.split_at(digits);
    let (next, rest) = rest.split_first()?;
    (!digits.is_empty()).then_some((digits, *next, rest))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The size and the path of a line of fpart, whose partition is told first.
fn fpart(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let tabbed = |line| number(line).filter(|(_, blank, _)| *blank == b'\t');
    let (_, _, line) = tabbed(line)?;
    let (digits, _, path) = tabbed(line)?;
    Some((digits, path))
}

/// Absolute ways to the directory that a list is about, by their components.
#[derive(Debug)]
pub(super) struct Ways<'a>(Vec<Vec<&'a [u8]>>);

impl<'a> Ways<'a> {
    pub(super) fn new(absolute: &'a [&'a [u8]]) -> Self {
        let components = |path: &&'a [u8]| components(path).map(|at| at.name).collect();
        Self(absolute.iter().map(components).collect())
    }

    /// Where in an absolute path that begins in one of them is the first component below it.
    fn below(&self, path: &[u8]) -> Option<usize> {
        let below = |way: &Vec<&[u8]>| {
            let mut components = components(path);
            let is_below =
                way.iter().all(|name| components.next().is_some_and(|at| at.name == *name));
            is_below.then(|| components.next().map_or(path.len(), |at| at.start))
        };
        self.0.iter().find_map(below)
    }

    /// Makes the path that begins at `start` one of components with separators between, at the beginning of
    /// the line: how long it is then, 0 for the root, and whether it can only be a directory.
    pub(super) fn settle(&self, line: &mut [u8], start: usize) -> Result<(usize, bool), Flaw> {
        let path = &line[start..];
        let is_directory = path.ends_with(b"/") || path.ends_with(b"/.");
        let mut from = start;
        if path.starts_with(b"/") {
            from += self.below(path).ok_or(Flaw::Elsewhere)?;
        }
        let mut len = 0;
        while let Some(at) = next_component(line, from) {
            if line[at.clone()] == *b".." {
                return Err(Flaw::LeadsOut);
            }
            if len > 0 {
                line[len] = SEPARATOR;
                len += 1;
            }
            from = at.end;
            let name_len = at.len();
            line.copy_within(at, len);
            len += name_len;
        }
        Ok((len, is_directory))
    }
}

/// Where the first component from an offset on is.
fn next_component(path: &[u8], from: usize) -> Option<Range<usize>> {
    let at = components(&path[from..]).next()?;
    Some(from + at.start..from + at.start + at.name.len())
}

/// A component of a path, and where it begins.
struct At<'a> {
    name: &'a [u8],
    start: usize,
}

/// The components of a path, without those that lead nowhere.
fn components(path: &[u8]) -> impl Iterator<Item = At<'_>> {
    let mut start = 0;
    let all = path.split(|&byte| byte == b'/').map(move |name| {
        let at = At { name, start };
        start += name.len() + 1;
        at
    });
    all.filter(|at| !matches!(at.name, b"" | b"."))
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NoSize(Shape),
    NoFpart,
    TooLarge,
    LeadsOut,
    Elsewhere,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSize(Shape::Du(_)) => {
                "does not begin with a whole number and a tab; make the list with du -al, without -h"
            }
            Self::NoSize(_) => {
                "does not begin with a size in bytes and one blank or tab; make the list with \
                 find -printf '%s %p\\n', or say what its lines are with --list-format"
            }
            Self::NoFpart => {
                "is not a partition, a tab, a size, a tab and a path, as fpart writes to its standard \
                 output; say what its lines are with --list-format"
            }
            Self::TooLarge => "has a size that is no number of bytes",
            Self::LeadsOut => "has \"..\" in its path; write the path without it",
            Self::Elsewhere => "has an absolute path that does not lie below the source",
        })
    }
}
