//! From a file to lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use fs::operator;
use sched::Cancel;

use super::line::Looks;
use super::text::Text;
use super::{Ends, refused};
use crate::lister::{Refused, Why};

/// The longest line: the longest path that the kernel takes (`PATH_MAX`), and a size before it.
const LONGEST_BYTES: usize = 4096 + 32;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The lines of a list, but for those that are empty.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) text: Text,
    pub(super) count: usize,
    /// What all of them look like.
    pub(super) looks: Looks,
    /// How many bytes were read.
    pub(super) read_bytes: u64,
    /// How many lines that are none lie before all from this one on.
    empty: Vec<(usize, u64)>,
}

impl Lines {
    /// The number that a person would count to, of the line with this index.
    pub(super) fn number(&self, index: usize) -> u64 {
        let before = self.empty.iter().rev().find(|(from, _)| *from <= index);
        index as u64 + 1 + before.map_or(0, |(_, count)| *count)
    }

    fn skip(&mut self) {
        let before = self.empty.last().copied();
        match (self.empty.last_mut(), before) {
            (Some(last), _) if last.0 == self.count => last.1 += 1,
            (_, before) => {
                self.empty.push((self.count, before.map_or(0, |(_, count)| count) + 1));
            }
        }
    }
}

/// How lines are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadLines<'a> {
    /// What the list is called.
    pub(super) name: &'a str,
    /// Where lines end.
    pub(super) ends: Ends,
    /// Whether somebody ends it.
    pub(super) cancel: &'a Cancel,
}

impl ReadLines<'_> {
    /// Reads all lines.
    pub(super) fn read(self, input: &mut dyn Read) -> Result<Lines, Refused> {
        let mut input = BufReader::with_capacity(CHUNK_BYTES, input);
        let mut lines = Lines::default();
        let mut line = Vec::new();
        while self.next(&mut input, &mut line, &mut lines)? {
            if line.is_empty() {
                lines.skip();
                continue;
            }
            if line.contains(&0) {
                return Err(self.refused(
                    &lines,
                    "has a NUL; a list of names that end with one is read with --from0",
                ));
            }
            lines.looks.see(&line);
            lines.text.push(&line);
            lines.count += 1;
        }
        Ok(lines)
    }

    /// `false` at the end of the list.
    fn next(
        self,
        input: &mut impl BufRead,
        line: &mut Vec<u8>,
        lines: &mut Lines,
    ) -> Result<bool, Refused> {
        const MOST_BYTES: u64 = LONGEST_BYTES as u64 + 1;
        if self.cancel.is_cancelled() {
            return Err(self.stopped());
        }
        let end = match self.ends {
            Ends::Newline => b'\n',
            Ends::Nul => 0,
        };
        line.clear();
        let read = input.take(MOST_BYTES).read_until(end, line);
        let read = read.map_err(|error| {
            let is_stopped = self.cancel.is_cancelled();
            if is_stopped { self.stopped() } else { unreadable(self.name, &error) }
        })?;
        lines.read_bytes += read as u64;
        if line.last() == Some(&end) {
            line.pop();
        } else if line.len() > LONGEST_BYTES {
            let instead = match self.ends {
                Ends::Newline => "has more than 4128 bytes, and so is no path",
                Ends::Nul => {
                    "has more than 4128 bytes, and so is no path; without --from0 lines end at a newline"
                }
            };
            return Err(self.refused(lines, instead));
        }
        Ok(read > 0)
    }

    fn stopped(self) -> Refused {
        let sentence = format!("reading the list {} was ended", self.name);
        Refused { why: Why::Stopped, sentence }
    }

    /// Something is wrong with the line after those that were read.
    fn refused(self, lines: &Lines, what: &str) -> Refused {
        let number = lines.number(lines.count);
        refused(format!("the list {}, line {number} {what}", self.name))
    }
}

/// Reads a list that nobody may change meanwhile: what is written later would be in no bucket. How much
/// has come of a pipe and what is still to come, only its end tells.
pub(super) fn settled(
    name: &str,
    file: &mut File,
    read: impl FnOnce(&mut File) -> Result<Lines, Refused>,
) -> Result<Lines, Refused> {
    let look = |file: &File| file.metadata().map_err(|error| unreadable(name, &error));
    let before = look(file)?;
    // Of a file that is standard input somebody may have read a part.
    let start = file.stream_position().unwrap_or(0);
    let lines = read(file)?;
    let after = look(file)?;
    let is_settled = before.len() == after.len()
        && before.modified().ok() == after.modified().ok()
        && start.saturating_add(lines.read_bytes) == after.len();
    if !before.is_file() {
        return Ok(lines);
    }
    if !is_settled {
        return Err(refused(format!(
            "the list {name} changed while it was read; wait until it is written, or pipe it in"
        )));
    }
    // Who writes it may just do nothing for a while.
    if operator::is_open_for_writing(file) {
        return Err(refused(format!(
            "the list {name} is still open for writing; wait until whoever writes it has closed it, or pipe \
             it in"
        )));
    }
    Ok(lines)
}

/// A list that cannot be read.
pub(super) fn unreadable(name: &str, error: &io::Error) -> Refused {
    refused(format!("the list {name} cannot be read: {error}"))
}
