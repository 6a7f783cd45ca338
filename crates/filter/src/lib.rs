//! Include and exclude rules as rsync understands them.
//!
//! [`Rules`] is the list given on the command line. A [`Scope`] is what is in force in one directory:
//! the list plus what the per-directory merge files on the way there have added. Both are immutable
//! once the walk has begun and are shared between workers.
//!
//! The crate does no I/O: merge files are read by callbacks of the caller. Paths and patterns are
//! bytes. Rules may come from trees we do not trust, so the work for each is bounded.
//!
//! Not as rsync does it, on purpose:
//!
//! - A rule with a leading slash in a merge file takes the name of its directory as it is, even when
//!   wildcards are in that name.
//! - Merge files above the transfer root count for each argument, not for the first one only.
//! - Each `-C` rule obeys its own modifiers, not those of the first one.
//! - A pattern longer than any path is an error; rsync leaves it out with a message.
//! - There is a limit to the number of per-directory merge files that are looked for.

mod cvs;

mod error;

mod list;

mod merge;

mod parse;

mod pattern;

mod rule;

mod rules;

mod bytes;

mod scope;

mod wild;

use std::io;

pub use error::{Flaw, RuleError};
pub use merge::directories_up;
pub use rules::{RuleOptions, Rules};
pub use scope::{Description, Scope};

/// Reads a per-directory merge file, or says that there is none. See [`Scope::enter`].
pub type ReadMerge<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<Option<Vec<u8>>>;

/// Which end of a transfer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// An excluded entry is hidden: it is not transferred.
    Sender,
    /// An excluded entry is protected: it is not deleted.
    Receiver,
}

/// What a path names, as far as rules tell kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// Anything else; a symbolic link to a directory too.
    Other,
}

/// Whether perishable rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Perishable {
    /// They count.
    Honoured,
    /// They are passed over: the directory that holds the entry is itself being deleted.
    Ignored,
}

/// How a pattern without a prefix is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unprefixed {
    /// As in `--exclude` and `--exclude-from`.
    Exclude,
    /// As in `--include` and `--include-from`.
    Include,
}

/// What the first matching rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Shown on the sender, at risk on the receiver.
    Included(RuleId),
    /// Hidden on the sender, protected on the receiver.
    Excluded(RuleId),
    /// No rule matches; the entry is treated as included.
    Unmatched,
}

impl Verdict {
    /// True when a rule excludes the entry.
    pub fn is_excluded(self) -> bool {
        matches!(self, Self::Excluded(_))
    }
}

/// Names the rule behind a verdict; meaningful only to the scope that gave it. See
/// [`Scope::describe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleId {
    list: u32,
    index: u32,
}

/// True when a shell pattern matches a whole name, as in `--usermap` and `--groupmap`.
pub fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    wild::Wild::new(pattern).matches([b"", b"", name], wild::Begin::Start)
}
