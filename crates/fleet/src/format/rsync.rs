//! Lists for rsync's `--files-from`.
//!
//! Each path has `./` before it: so rsync takes none for a comment, and sends the attributes of the
//! directory at the top, too, as it does those of all directories on the way to a path that is named.
//! Hence a directory whose content has lines of its own has none.

use crate::format::{BucketFiles, Format, FormatError};
use crate::line::{Line, Recursion, Span};

/// What a path ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A newline, so that names with line ends cannot be told.
    Newline,
    /// NUL, for `--from0`.
    Nul,
}

/// A list that is being written.
pub(super) struct Rsync {
    end: End,
    files: Box<dyn BucketFiles>,
    recursion: Recursion,
}

impl Rsync {
    pub(super) fn new(end: End, files: Box<dyn BucketFiles>) -> Self {
        Self { end, files, recursion: Recursion::default() }
    }
}

impl Format for Rsync {
    fn line(&mut self, line: &Line<'_>) -> Result<(), FormatError> {
        self.recursion = self.recursion.and(Recursion::of(line));
        if self.recursion == Recursion::Torn {
            return Err(FormatError::unfit(
                line,
                "the bucket has directories that stand for all that lies in them, and others from which \
                 all is left out: no call of rsync moves both; make more buckets, or leave out nothing \
                 (--format=rsync-filter does with --exclude)",
            ));
        }
        // The directory at the top is what rsync goes one level down into in any case.
        if line.span == Span::Alone || (line.span == Span::Bare && line.path().is_empty()) {
            return Ok(());
        }
        if self.end == End::Newline && has_line_end(line) {
            return Err(FormatError::unfit(
                line,
                "its name has a line end, which ends a path in a list of lines; use --format=rsync0",
            ));
        }
        let list = self.files.list();
        match (line.folder, line.name) {
            (_, b"") => list.write_all(b".")?,
            (b"", name) => list.write_all(&[b"./", name].concat())?,
            (folder, name) => list.write_all(&[b"./", folder, b"/", name].concat())?,
        }
        let end: &[u8] = match self.end {
            End::Newline => b"\n",
            End::Nul => b"\0",
        };
        Ok(list.write_all(end)?)
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        Ok(())
    }
}

/// rsync takes a carriage return for the end of a line, too.
fn has_line_end(line: &Line<'_>) -> bool {
    let has = |text: &[u8]| text.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    has(line.folder) || has(line.name)
}

#[cfg(test)]
mod tests;
