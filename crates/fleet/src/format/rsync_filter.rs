//! Filter files for rsync: a bucket is what its file lets through of the whole tree.
//!
//! What nobody knew of when the tree was cut is let through by exactly one of them: what is new in a
//! directory goes with the bucket that has the directory itself. So each file says of a directory that is
//! cut either what others have of it, and lets everything else through, or what it has, and nothing else.
//!
//! rsync takes the first rule that fits. Those of one directory stand together, and no rule fits in two
//! directories, so their order tells nothing else.

use std::collections::HashMap;
use std::io::Write;

use crate::format::FormatError;
use crate::line::{Line, Span};

/// Longer rules rsync leaves out, with a message (`MAXPATHLEN`, less what stands before the pattern).
const PATTERN_MAX_BYTES: usize = 4096 - 8;

/// The filter files of all buckets. All lines are told before the first is written.
#[derive(Debug, Default)]
pub struct FilterFiles {
    /// What is left out of all buckets, as patterns of rsync.
    excludes: Vec<Vec<u8>>,
    /// Directories that are cut, those above before those below; the first is the root.
    folders: Vec<Folder>,
    by_path: HashMap<Box<[u8]>, usize>,
    /// The bucket of all, where nothing is cut.
    whole: Option<u64>,
}

/// A directory that is cut.
#[derive(Debug, Default)]
struct Folder {
    path: Box<[u8]>,
    above: usize,
    /// The bucket that has the directory itself.
    bucket: Option<u64>,
    /// All that lies in it is left out.
    is_bare: bool,
    /// Names of what lies in it and is in one bucket, one after the other.
    names: Vec<u8>,
    /// Where each of them ends, and its bucket.
    items: Vec<(usize, u64)>,
}

impl Folder {
    fn items(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let starts = std::iter::once(0).chain(self.items.iter().map(|(end, _)| *end));
        self.items
            .iter()
            .zip(starts)
            .map(|((end, bucket), start)| (&self.names[start..*end], *bucket))
    }
}

/// What a rule does.
#[derive(Clone, Copy)]
enum Rule {
    Include,
    Exclude,
}

impl FilterFiles {
    /// Nothing yet. `excludes` are the patterns by which entries were left out, as rsync has them: what is
    /// new and fits one of them is left out, too. There is no way to say what other rules have let through.
    ///
    /// Fails for a pattern with a line end.
    pub fn new(excludes: Vec<Vec<u8>>) -> Result<Self, FormatError> {
        if let Some(pattern) = excludes.iter().find(|pattern| has_line_end(pattern)) {
            let reason = "the pattern has a line end, which ends a rule in a file".to_owned();
            return Err(FormatError::Unfit { path: pattern.clone(), reason });
        }
        let root = Folder::default();
        Ok(Self {
            excludes,
            folders: vec![root],
            by_path: HashMap::from([(Box::default(), 0)]),
            whole: None,
        })
    }

    /// Adds a line of a bucket.
    ///
    /// Fails with [`FormatError::Unfit`] when no rule can tell it.
    pub fn add(&mut self, bucket: u64, line: &Line<'_>) -> Result<(), FormatError> {
        let path = line.path();
        if has_line_end(&path) {
            let reason =
                "its name has a line end, which ends a rule in a file; use --format=rsync0";
            return Err(FormatError::unfit(line, reason));
        }
        // What closes a directory is longer than what lets one of its names through, where a name is short.
        let closed = match line.span {
            Span::Entry | Span::Whole => line.folder,
            Span::Alone | Span::Bare => &path,
        };
        if pattern_of(&path).len().max(pattern_of_rest(closed).len()) > PATTERN_MAX_BYTES {
            let reason = "its path is longer than the rules that rsync takes; use --format=rsync0";
            return Err(FormatError::unfit(line, reason));
        }
        match (line.span, line.name) {
            (Span::Entry | Span::Whole, b"") => self.whole = Some(bucket),
            (Span::Entry | Span::Whole, name) => {
                let folder = self.folder(line.folder);
                let folder = &mut self.folders[folder];
                folder.names.extend(name);
                folder.items.push((folder.names.len(), bucket));
            }
            (Span::Alone | Span::Bare, _) => {
                let folder = self.folder(&path);
                let folder = &mut self.folders[folder];
                folder.bucket = Some(bucket);
                folder.is_bare = line.span == Span::Bare;
            }
        }
        Ok(())
    }

    /// The directory of a path, which is cut, and so are those above it.
    fn folder(&mut self, path: &[u8]) -> usize {
        if let Some(&known) = self.by_path.get(path) {
            return known;
        }
        let above = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => self.folder(&path[..slash]),
            None => 0,
        };
        let new = self.folders.len();
        self.folders.push(Folder { path: path.into(), above, ..Folder::default() });
        self.by_path.insert(path.into(), new);
        new
    }

    /// Writes the file of a bucket.
    pub fn write(&self, bucket: u64, out: &mut dyn Write) -> Result<(), FormatError> {
        for pattern in &self.excludes {
            out.write_all(&[b"- ", &**pattern, b"\n"].concat())?;
        }
        if let Some(whole) = self.whole {
            return if whole == bucket { Ok(()) } else { close(out, b"") };
        }
        let concerned = self.concerned(bucket);
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.folders.len()];
        for (number, folder) in self.folders.iter().enumerate().skip(1) {
            below[folder.above].push(number);
        }
        for (number, folder) in self.folders.iter().enumerate() {
            if !concerned[number] && number > 0 {
                continue;
            }
            let has_rest = folder.bucket == Some(bucket) && !folder.is_bare;
            // Of what is cut itself, a part is here, or nothing is.
            let items = folder.items().map(|(name, holder)| (name, holder == bucket));
            let folders = below[number].iter().map(|&lower| {
                let path = &self.folders[lower].path;
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
                (name, concerned[lower])
            });
            for (name, is_here) in items.chain(folders) {
                match (has_rest, is_here) {
                    (true, false) => rule(out, Rule::Exclude, &folder.path, name)?,
                    (false, true) => rule(out, Rule::Include, &folder.path, name)?,
                    (true, true) | (false, false) => {}
                }
            }
            if !has_rest {
                close(out, &folder.path)?;
            }
        }
        Ok(())
    }

    /// Which directories a bucket has something of: itself, or anything below.
    fn concerned(&self, bucket: u64) -> Vec<bool> {
        let mut concerned: Vec<bool> = self
            .folders
            .iter()
            .map(|folder| {
                folder.bucket == Some(bucket)
                    || folder.items.iter().any(|(_, holder)| *holder == bucket)
            })
            .collect();
        for number in (1..self.folders.len()).rev() {
            if concerned[number] {
                concerned[self.folders[number].above] = true;
            }
        }
        concerned
    }
}

fn rule(out: &mut dyn Write, rule: Rule, folder: &[u8], name: &[u8]) -> Result<(), FormatError> {
    let sign: &[u8] = match rule {
        Rule::Include => b"+ ",
        Rule::Exclude => b"- ",
    };
    let path = if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() };
    Ok(out.write_all(&[sign, &pattern_of(&path), b"\n"].concat())?)
}

/// Lets nothing more of a directory through.
fn close(out: &mut dyn Write, folder: &[u8]) -> Result<(), FormatError> {
    Ok(out.write_all(&[b"- ", &*pattern_of_rest(folder), b"\n"].concat())?)
}

/// The pattern that fits all that lies in a directory.
fn pattern_of_rest(folder: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::new();
    if !folder.is_empty() {
        pattern.push(b'/');
        escape(&mut pattern, folder);
    }
    pattern.extend(b"/*");
    pattern
}

/// The pattern that fits one path alone.
fn pattern_of(path: &[u8]) -> Vec<u8> {
    let mut pattern = b"/".to_vec();
    // Only in a pattern with a wildcard does rsync take a backslash for more than it is.
    if path.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
        escape(&mut pattern, path);
    } else {
        pattern.extend(path);
    }
    pattern
}

/// Adds a path to a pattern that has a wildcard.
fn escape(pattern: &mut Vec<u8>, path: &[u8]) {
    for &byte in path {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
}

fn has_line_end(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

#[cfg(test)]
mod tests;
