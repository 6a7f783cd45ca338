//! Hears an rsync while it runs, and tells on what it says of entries by their path below the root.

use std::collections::{HashMap, HashSet};

use fleet::amount::Amount;
use fleet::line::Span;

use crate::lines;
use crate::mover::{EntryVerdict, FailedEntry, Fate, Hear, Outcome, Stream};
use crate::process::Ending;
use crate::rsync::complaints::{self, Complaint, Named};
use crate::rsync::exit::{self, Heard};
use crate::rsync::output::{self, Lines, Said};

/// Bytes of what is kept of why.
const WHY_MAX: usize = 400;

/// Letters that end the name of a file that is not complete yet: `.name.aB3xYz`.
const TEMPORARY: usize = 6;

/// Bytes of the longest name of a file.
const NAME_MAX: usize = 255;

/// How names that rsync tells lead to entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    /// From the directory that lists are relative to down to the root of what is moved.
    pub(super) below: Vec<u8>,
    /// What full paths at the source begin with, with a slash at the end, where that is known.
    pub(super) source: Option<Vec<u8>>,
    /// The same at the destination.
    pub(super) destination: Option<Vec<u8>>,
    /// Files are made in a directory of their own, of which it is not known which entry they will be.
    pub(super) are_made_elsewhere: bool,
}

impl Paths {
    /// The path below the root of a name that is relative to where lists are.
    pub(super) fn of_name<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let name = if name == b"." { b"" } else { name };
        if self.below.is_empty() {
            return Some(name);
        }
        match name.strip_prefix(&*self.below)? {
            b"" => Some(b""),
            rest => rest.strip_prefix(b"/"),
        }
    }

    /// The path below the root of a full path at an end that is known by what it begins with.
    fn of_path<'a>(&self, begin: Option<&[u8]>, path: &'a [u8]) -> Option<&'a [u8]> {
        let begin = begin?;
        if begin.strip_suffix(b"/") == Some(path) {
            return self.of_name(b"");
        }
        // Of what lies at the top of a module no slash is told.
        let name = path.strip_prefix(begin).or_else(|| (begin == b"/").then_some(path));
        self.of_name(name?)
    }

    /// The path below the root of what was gone from the source.
    fn of_gone<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        self.of_path(self.source.as_deref(), path)
    }

    /// The path below the root of an entry that a complaint names.
    fn of_complaint(&self, path: &[u8], named: Named) -> Option<Vec<u8>> {
        if named == Named::Below {
            return self.of_name(path).map(<[u8]>::to_vec);
        }
        let end = if named == Named::AtSource { &self.source } else { &self.destination };
        let path = self.of_path(end.as_deref(), path)?;
        match (named, finished(path)) {
            (Named::Making, Some(path)) if !self.are_made_elsewhere => Some(path),
            (Named::Making, _) | (Named::Made, Some(_)) => None,
            (Named::Made | Named::AtSource | Named::Below, _) => Some(path.to_vec()),
        }
    }
}

/// Hears an rsync while it runs.
pub(super) struct Hearing<'a> {
    paths: &'a Paths,
    hear: &'a dyn Hear,
    /// The lines of a bucket, and what it holds, of which no more than all is ever done.
    bucket: Option<(&'a [u8], Amount)>,
    out: Lines,
    err: Lines,
    told: Told,
}

/// What was told so far.
#[derive(Default)]
struct Told {
    done: Amount,
    moved: Amount,
    deleted: u64,
    failed: Vec<FailedEntry>,
    known: HashSet<Vec<u8>>,
    gone: Vec<Vec<u8>>,
    heard: Heard,
}

impl<'a> Hearing<'a> {
    pub(super) fn new(
        paths: &'a Paths,
        hear: &'a dyn Hear,
        bucket: Option<(&'a [u8], Amount)>,
    ) -> Self {
        let heard = Heard { is_told: true, ..Heard::default() };
        let told = Told { heard, ..Told::default() };
        Self { paths, hear, bucket, out: Lines::default(), err: Lines::default(), told }
    }

    /// Takes what has come.
    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { paths, hear, bucket, out, err, told } = self;
        let whole = bucket.map(|(_, amount)| amount);
        match stream {
            Stream::Out => {
                if !told.heard.is_up {
                    told.heard.is_up = true;
                    hear.is_up();
                }
                out.take(bytes, &mut |line| told.out(line, paths, *hear, whole));
            }
            Stream::Err => err.take(bytes, &mut |line| told.err(line, paths, *hear)),
        }
    }

    /// What became of it.
    pub(super) fn finish(mut self, ending: Ending) -> Outcome {
        let Self { paths, hear, bucket, out, err, told } = &mut self;
        let whole = bucket.map(|(_, amount)| amount);
        out.finish(&mut |line| told.out(line, paths, *hear, whole));
        err.finish(&mut |line| told.err(line, paths, *hear));
        if let Some((lines, amount)) = *bucket {
            told.heard.is_told &= told.are_in(lines);
            if ending == Ending::Code(0) {
                hear.progress(amount);
            }
        }
        let code = match ending {
            Ending::Code(code) => Some(code),
            _ => None,
        };
        let Told { moved, deleted, failed, gone, mut heard, .. } = self.told;
        heard.is_gone = !gone.is_empty();
        Outcome { end: exit::end(ending, heard), moved, failed, deleted, code }
    }
}

impl Told {
    fn out(&mut self, line: &[u8], paths: &Paths, hear: &dyn Hear, whole: Option<Amount>) {
        match output::read(line) {
            Said::Item { item, bytes, name } => {
                let is_deleted = item.starts_with(b"*deleting");
                let is_content = matches!(item.first(), Some(b'>' | b'<'));
                if is_deleted {
                    self.deleted += 1;
                } else {
                    self.moved += Amount { entries: 1, bytes: if is_content { bytes } else { 0 } };
                }
                if let Some(path) = paths.of_name(&name) {
                    let fate = if is_deleted { Fate::Deleted } else { Fate::Moved { item, bytes } };
                    hear.entry(&EntryVerdict { path, fate });
                }
            }
            Said::Progress(now) => {
                let most = whole.unwrap_or(Amount { entries: u64::MAX, bytes: u64::MAX });
                let done = Amount {
                    entries: self.done.entries.max(now.entries.min(most.entries)),
                    bytes: self.done.bytes.max(now.bytes.min(most.bytes)),
                };
                if done != self.done {
                    self.done = done;
                    hear.progress(done);
                }
            }
            Said::Line(text) => hear.line(Stream::Out, text),
        }
    }

    fn err(&mut self, line: &[u8], paths: &Paths, hear: &dyn Hear) {
        hear.line(Stream::Err, line);
        let complaint = complaints::read(line);
        if self.heard.why.is_empty() && !matches!(complaint, Complaint::Known) {
            let line = &line[..line.len().min(WHY_MAX)];
            self.heard.why = String::from_utf8_lossy(line).into_owned();
        }
        match complaint {
            Complaint::Known => {}
            Complaint::Unknown => self.heard.is_told = false,
            Complaint::Full => {
                self.heard.is_full = true;
                self.heard.is_told = false;
            }
            Complaint::Busy => self.heard.is_busy = true,
            Complaint::Gone { path } => {
                match path.as_deref().and_then(|path| paths.of_gone(path)) {
                    Some(path) => {
                        hear.entry(&EntryVerdict { path, fate: Fate::Vanished });
                        self.gone.push(path.to_vec());
                    }
                    None => self.heard.is_told = false,
                }
            }
            Complaint::Failed { path, named } => {
                self.heard.failed += 1;
                match path.and_then(|path| paths.of_complaint(&path, named)) {
                    Some(path) => self.fail(path, line, hear),
                    None => self.heard.is_told = false,
                }
            }
        }
    }

    fn fail(&mut self, path: Vec<u8>, line: &[u8], hear: &dyn Hear) {
        hear.entry(&EntryVerdict { path: &path, fate: Fate::Failed(line) });
        if self.failed.len() == Outcome::FAILED_MAX {
            self.heard.is_told = false;
        } else if self.known.insert(path.clone()) {
            let why = String::from_utf8_lossy(&line[..line.len().min(WHY_MAX)]).into_owned();
            self.failed.push(FailedEntry { path, why });
        }
    }

    /// Whether all that was named is what the lines of a bucket mean. Else a name was misread.
    fn are_in(&self, bucket: &[u8]) -> bool {
        let lines = lines::read(bucket).flatten();
        let spans: HashMap<&[u8], Span> = lines.map(|line| (line.path, line.span)).collect();
        let is_meant = |path: &Vec<u8>| {
            let above = above(path).skip(1);
            spans.contains_key(&**path)
                || above.into_iter().any(|path| spans.get(path) == Some(&Span::Whole))
        };
        self.gone.iter().chain(self.failed.iter().map(|failed| &failed.path)).all(is_meant)
    }
}

/// A path, and those of the directories above it up to the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| {
        let slash = path.iter().rposition(|byte| *byte == b'/');
        (!path.is_empty()).then(|| &path[..slash.unwrap_or(0)])
    })
}

/// The path of an entry of that where it is being made: `a/b` of `a/.b.aB3xYz`.
fn finished(path: &[u8]) -> Option<Vec<u8>> {
    let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (folder, name) = path.split_at(name_at);
    let made = name.strip_prefix(b".")?;
    let dot = made.len().checked_sub(TEMPORARY + 1).filter(|dot| *dot > 0)?;
    let letters = made[dot..].strip_prefix(b".")?;
    // A long name is cut to make room for the letters.
    let is_whole = name.len() < NAME_MAX && letters.iter().all(u8::is_ascii_alphanumeric);
    is_whole.then(|| [folder, &made[..dot]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(below: &str) -> Paths {
        Paths {
            below: below.into(),
            source: Some(b"/s/".to_vec()),
            destination: Some(b"/d/".to_vec()),
            are_made_elsewhere: false,
        }
    }

    #[test]
    fn names_lead_to_entries_below_the_root() {
        for (below, name, path) in [
            ("", "a/b", Some("a/b")),
            ("", "a/", Some("a")),
            ("", "./", Some("")),
            ("x/y", "x/y/a/", Some("a")),
            ("x/y", "x/y/", Some("")),
            ("x/y", "x/", None),
            ("x/y", "x/yz", None),
        ] {
            assert_eq!(paths(below).of_name(name.as_bytes()), path.map(str::as_bytes), "{name}");
        }
        for (path, expected) in [
            ("/s/x/a", Some("a")),
            ("/s/x/a/b", Some("a/b")),
            ("/s/x", Some("")),
            ("/s", None),
            ("/d/x/a", None),
            ("/t/x/a", None),
        ] {
            let expected = expected.map(str::as_bytes);
            assert_eq!(paths("x").of_gone(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn what_is_being_made_is_known_by_what_it_will_be() {
        for (path, expected) in [
            ("a/.b.aB3xYz", Some("a/b")),
            (".b.c.aB3xYz", Some("b.c")),
            ("a/.b.aB3-Yz", None),
            (".aB3xYz", None),
            ("a/b.aB3xYz", None),
        ] {
            let expected = expected.map(|path| path.as_bytes().to_vec());
            assert_eq!(finished(path.as_bytes()), expected, "{path}");
        }
        let at_s = |made: bool| Paths { are_made_elsewhere: made, ..paths("") };
        for (path, named, elsewhere, expected) in [
            ("/d/.b.aB3xYz", Named::Making, false, Some("b")),
            ("/d/.b.aB3xYz", Named::Making, true, None),
            ("/d/b.aB3xYz", Named::Making, false, None),
            ("/d/.b.aB3xYz", Named::Made, false, None),
            ("/d/b", Named::Made, true, Some("b")),
            ("/s/.b.aB3xYz", Named::AtSource, false, Some(".b.aB3xYz")),
            (".b.aB3xYz", Named::Below, false, Some(".b.aB3xYz")),
        ] {
            let expected = expected.map(|path| path.as_bytes().to_vec());
            assert_eq!(at_s(elsewhere).of_complaint(path.as_bytes(), named), expected, "{path}");
        }
    }

    #[test]
    fn what_was_named_has_to_be_in_the_bucket() {
        let bucket = b"EF1 a/f\0WD1 a/d\0BD0 a/x\0";
        for (path, is_meant) in [
            ("a/f", true),
            ("a/d", true),
            ("a/d/b/c", true),
            ("a/x/y", false),
            ("a", false),
            ("a/f/g", false),
        ] {
            let mut told = Told::default();
            told.gone.push(path.into());
            assert_eq!(told.are_in(bucket), is_meant, "{path}");
        }
        let mut told = Told::default();
        told.gone.push(b"a".to_vec());
        assert!(told.are_in(b"WD9 \0"), "the root with all below");
    }
}
