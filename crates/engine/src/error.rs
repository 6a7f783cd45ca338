//! Why a run could not begin.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use model::{Fault, Verb};

/// A run that could not begin: nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `--files-from` names paths below a directory that cannot be entered.
    #[error("source: enter directory {path:?}: {cause}")]
    ChangeDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// `..` in a path that is kept whole.
    #[error("source: \"{}\" has \"..\" in a path that -R keeps; write the path without it", path.escape_ascii())]
    ParentInRelativePath {
        /// The argument.
        path: Box<[u8]>,
    },
    /// More directories are named than a run can tell apart.
    #[error(
        "source: the paths lie in more than 65,536 directories; name a directory above them, or use -R"
    )]
    TooManySources,
    /// Several files, or a directory, cannot go into what is no directory.
    #[error("destination: {path:?} is not a directory; {why}")]
    NotADirectory {
        /// The destination.
        path: PathBuf,
        /// What was to go there.
        why: &'static str,
    },
    /// The destination cannot be looked at or made.
    #[error("destination: {verb} {path:?}: {cause}")]
    Destination {
        /// What was being done.
        verb: Verb,
        /// The destination.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A source argument changed while the run was set up.
    #[error("source: read {path:?}: {cause}")]
    Source {
        /// The argument.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// `--temp-dir` cannot be used.
    #[error("destination: open temporary directory {path:?}: {cause}; make it, or leave -T out")]
    TempDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Nobody could tell when the time of the run is up.
    #[error("watch the clock: {0}")]
    Timer(io::Error),
    /// The top directory of a side cannot be read.
    #[error(transparent)]
    Root(#[from] Fault),
    /// A filter file cannot be read.
    #[error("filter: {0}")]
    Filter(#[from] filter::RuleError),
    /// `--no-empty-source`.
    #[error(
        "source: {path:?} is empty and --no-empty-source is set; nothing was deleted. Mount or fill the source, or leave the option out"
    )]
    EmptySource {
        /// The source.
        path: PathBuf,
    },
}

impl SetupError {
    /// Wraps an error on a source argument.
    pub(crate) fn from_io(typed: &[u8]) -> impl FnOnce(io::Error) -> Self {
        let path = Path::new(std::ffi::OsStr::from_bytes(typed)).to_owned();
        move |cause| Self::Source { path, cause }
    }

    /// True when the command line is at fault (exit code 1).
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::TempDir { .. }
                | Self::ParentInRelativePath { .. }
                | Self::TooManySources
                | Self::Filter(_)
        )
    }

    /// True when making or writing something failed, or the system gave no thread (exit code 11),
    /// false when the choice of files is at fault (exit code 3).
    pub fn is_file_io(&self) -> bool {
        matches!(self, Self::Destination { verb: Verb::MakeDirectory, .. } | Self::Timer(_))
    }
}
