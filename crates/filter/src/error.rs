//! What can be wrong with a rule.

use std::io;

/// A rule, or a file of rules, that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A rule is not written as rules are.
    #[error("filter: {place}: {flaw}")]
    Syntax {
        /// The rule itself when it comes from the command line, else its file and line. What files
        /// hold is not repeated: a message may reach somebody who must not read them.
        place: String,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A merge file could not be read.
    #[error("filter: {place}: read merge file \"{name}\": {source}")]
    Read {
        /// Where the rule stands that asks for the file.
        place: String,
        /// The file, as it was asked for.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl RuleError {
    /// True when a file could not be read, false when a rule is wrong.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

/// What is wrong with the wording of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It begins with no known rule name.
    #[error("unknown kind of rule")]
    UnknownKind,
    /// A modifier is unknown, or makes no sense for this kind of rule.
    #[error("modifier '{}' is not allowed here", .0.escape_ascii())]
    Modifier(u8),
    /// The pattern or file name is missing.
    #[error("pattern or file name is missing")]
    Unfinished,
    /// A list-clearing rule has something behind it.
    #[error("a clear rule takes no argument")]
    ClearArgument,
    /// A rule names its side though the merge rule around it has named one.
    #[error("the merge rule has already named a side")]
    SideNamedTwice,
    /// No path can be as long.
    #[error("pattern is longer than {max} bytes", max = crate::parse::MAX_PATTERN_BYTES)]
    TooLong,
    /// Merge files include one another without end.
    #[error("merge files are nested more than {max} deep", max = crate::list::MAX_MERGE_DEPTH)]
    TooDeep,
    /// Merge files of directories say too much together.
    #[error(
        "merge files of this directory and those above it have more than {max} bytes",
        max = crate::list::MAX_MERGE_BYTES
    )]
    TooMuch,
    /// Per-directory merge files name more and more per-directory merge files.
    #[error("more than {max} per-directory merge files are named", max = crate::merge::MAX_SLOTS)]
    TooManyMerges,
}
