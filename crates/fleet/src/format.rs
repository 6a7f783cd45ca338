//! Buckets as movers read them.
//!
//! A [`Form`](crate::format::Form) says which mover it is. Most begin a
//! [`Format`](crate::format::Format) for each bucket, which writes what it is told at once; the files of
//! rsync-filter say what others hold, so all is told before the first of them can be written:
//! [`FilterFiles`](crate::format::FilterFiles).

use std::io::{self, Write};

use model::KindCounts;

use crate::line::{Line, Recursion};

mod json;

mod rclone;

mod robocopy;

mod rsync;

mod rsync_filter;

pub use json::{Header, Origin};
pub use rsync_filter::FilterFiles;

/// Writes a bucket as a mover reads it.
pub trait Format: Send {
    /// Adds a line.
    ///
    /// Fails with [`FormatError::Unfit`] when it cannot be said so that the mover understands it.
    fn line(&mut self, line: &Line<'_>) -> Result<(), FormatError>;

    /// All lines were added: what is left to be written is written.
    fn finish(&mut self) -> Result<(), FormatError>;

    /// What of the lines so far the mover has no words for. It is in no list, and does not get over.
    fn left_out(&self) -> KindCounts {
        KindCounts::default()
    }
}

/// The files that a bucket is written to. None of them has a name before the bucket is whole.
pub trait BucketFiles: Send {
    /// The file that the mover is given.
    fn list(&mut self) -> &mut dyn Write;

    /// A further file, which the list names: it lies beside the list, under the name that is given back.
    /// `number` tells further files of a bucket apart, and `extension` is without a dot.
    fn beside(
        &mut self,
        number: u64,
        extension: &str,
    ) -> io::Result<(String, Box<dyn Write + Send>)>;
}

/// Why a line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The mover would take it for something else.
    #[error("{reason}")]
    Unfit {
        /// Its path.
        path: Vec<u8>,
        /// Why, and what to do.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FormatError {
    fn unfit(line: &Line<'_>, reason: impl Into<String>) -> Self {
        Self::Unfit { path: line.path(), reason: reason.into() }
    }
}

/// Which mover reads the buckets, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// rsync `--files-from`, a line for each path.
    #[default]
    Rsync,
    /// The same with NUL after each path, so that any name can be told.
    Rsync0,
    /// A filter file for rsync, by which it finds what has been made since, too.
    RsyncFilter,
    /// rclone `--files-from-raw`.
    Rclone,
    /// A script for cmd.exe, which calls robocopy.
    Robocopy,
    /// JSON, a record a line.
    Json,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Rsync, Self::Rsync0, Self::RsyncFilter, Self::Rclone, Self::Robocopy, Self::Json];

    /// The word for it, as in `--format=WORD`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsync => "rsync",
            Self::Rsync0 => "rsync0",
            Self::RsyncFilter => "rsync-filter",
            Self::Rclone => "rclone",
            Self::Robocopy => "robocopy",
            Self::Json => "json",
        }
    }

    /// What a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.word() == word)
    }

    /// The extension of its files, unless the user says otherwise.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Rsync | Self::Rsync0 | Self::RsyncFilter | Self::Rclone => "txt",
            Self::Robocopy => "cmd",
            Self::Json => "jsonl",
        }
    }

    /// Whether no bucket may have both a directory that is gone down into and one that must not be.
    pub fn is_torn_by_bare(self) -> bool {
        matches!(self, Self::Rsync | Self::Rsync0)
    }

    /// Whether no directory may stand for what lies in it: its mover takes files alone.
    pub fn needs_leaves(self) -> bool {
        self == Self::Rclone
    }

    /// Whether its mover is told a directory in other words than a file, or one of them not at all.
    pub fn needs_kinds(self) -> bool {
        matches!(self, Self::Rclone | Self::Robocopy | Self::Json)
    }

    /// Whether its mover can keep the names of a file one.
    pub fn keeps_links(self) -> bool {
        !matches!(self, Self::Rclone | Self::Robocopy)
    }

    /// How its files are written.
    pub fn writing(self) -> Writing {
        Writing::Streamed(match self {
            Self::Rsync => Streamed::Rsync,
            Self::Rsync0 => Streamed::Rsync0,
            Self::Rclone => Streamed::Rclone,
            Self::Robocopy => Streamed::Robocopy,
            Self::Json => Streamed::Json,
            Self::RsyncFilter => return Writing::Together,
        })
    }

    /// What a person types to have a bucket moved, with FILE, SOURCE and DEST to be filled in; `None`
    /// where no mover is meant, or none does it.
    pub fn command(self, recursion: Recursion) -> Option<&'static str> {
        if recursion == Recursion::Torn && self.is_torn_by_bare() {
            return None;
        }
        let goes_down = matches!(recursion, Recursion::Needed | Recursion::Torn);
        Some(match (self, goes_down) {
            (Self::Rsync, false) => "rsync -a --files-from=FILE SOURCE/ DEST/",
            (Self::Rsync, true) => "rsync -a -r --files-from=FILE SOURCE/ DEST/",
            (Self::Rsync0, false) => "rsync -a --from0 --files-from=FILE SOURCE/ DEST/",
            (Self::Rsync0, true) => "rsync -a -r --from0 --files-from=FILE SOURCE/ DEST/",
            (Self::RsyncFilter, _) => "rsync -a --filter='merge FILE' SOURCE/ DEST/",
            (Self::Rclone, _) => "rclone copy --files-from-raw=FILE SOURCE DEST",
            (Self::Robocopy, _) => "FILE SOURCE DEST",
            (Self::Json, _) => return None,
        })
    }
}

/// How the files of a [`Form`] are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Each for itself, line by line: a bucket may be complete before the others are known.
    Streamed(Streamed),
    /// When all lines of all buckets are known: [`FilterFiles`].
    Together,
}

/// A [`Form`] of which each bucket is written for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streamed {
    /// [`Form::Rsync`].
    Rsync,
    /// [`Form::Rsync0`].
    Rsync0,
    /// [`Form::Rclone`].
    Rclone,
    /// [`Form::Robocopy`].
    Robocopy,
    /// [`Form::Json`].
    Json,
}

impl Streamed {
    /// Begins a bucket.
    pub fn begin(
        self,
        header: &Header<'_>,
        files: Box<dyn BucketFiles>,
    ) -> Result<Box<dyn Format>, FormatError> {
        Ok(match self {
            Self::Rsync => Box::new(rsync::Rsync::new(rsync::End::Newline, files)),
            Self::Rsync0 => Box::new(rsync::Rsync::new(rsync::End::Nul, files)),
            Self::Rclone => Box::new(rclone::Rclone::new(files)),
            Self::Robocopy => Box::new(robocopy::Robocopy::begin(files)?),
            Self::Json => Box::new(json::Json::begin(header, files)?),
        })
    }
}

#[cfg(test)]
mod testing;
