//! One rule: what it applies to and the pattern it asks for.

use std::fmt;
use std::sync::Arc;

use bitflags::bitflags;

use crate::pattern::{Anchor, Pattern, Subject};
use crate::{Side, Unprefixed};

bitflags! {
    /// What name and modifiers of a rule say.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Traits: u16 {
        /// Includes; without it the rule excludes.
        const INCLUDE = 1 << 0;
        /// Takes effect when the pattern does not match.
        const NEGATED = 1 << 1;
        /// The pattern is held against the path from the root of the file system.
        const FULL_PATH = 1 << 2;
        /// Only directories match.
        const DIRECTORY_ONLY = 1 << 3;
        /// Does not count in directories that are being deleted.
        const PERISHABLE = 1 << 4;
        /// Is about names of extended attributes.
        const XATTR = 1 << 5;
        /// Was said to be for the sender.
        const SENDER = 1 << 6;
        /// Was said to be for the receiver.
        const RECEIVER = 1 << 7;
        /// Merge files: what they hold are patterns only.
        const BARE = 1 << 8;
        /// Merge files: rules end at white space.
        const WORDS = 1 << 9;
        /// Merge files: their rules do not reach into subdirectories.
        const OWN_DIRECTORY = 1 << 10;
        /// Merge files: read as CVS does. Else: stands for the patterns of CVS.
        const CVS = 1 << 11;
        /// Merge files: they are themselves excluded.
        const HIDE_FILE = 1 << 12;

        /// Either side.
        const SIDES = Self::SENDER.bits() | Self::RECEIVER.bits();
        /// What rules in a merge file take over from the merge rule. `x` is not among them,
        /// whatever the manual of rsync says; guarded by
        /// `xattr_modifier_does_not_reach_into_a_merge_file`.
        const INHERITED = Self::INCLUDE.bits() | Self::NEGATED.bits() | Self::FULL_PATH.bits()
            | Self::DIRECTORY_ONLY.bits() | Self::PERISHABLE.bits();
    }
}

impl Traits {
    /// The sides a rule works on; one that names none works on both.
    pub(crate) fn sides(self) -> Self {
        let named = self & Self::SIDES;
        if named.is_empty() { Self::SIDES } else { named }
    }

    /// True when the side is among these.
    pub(crate) fn covers(self, side: Side) -> bool {
        self.contains(match side {
            Side::Sender => Self::SENDER,
            Side::Receiver => Self::RECEIVER,
        })
    }
}

impl From<Unprefixed> for Traits {
    fn from(meaning: Unprefixed) -> Self {
        match meaning {
            Unprefixed::Exclude => Self::empty(),
            Unprefixed::Include => Self::INCLUDE,
        }
    }
}

/// Where a rule was written.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The file, or none for the command line.
    file: Option<Arc<[u8]>>,
    /// From 1; words of a file that is split into words are counted instead of lines.
    line: u32,
}

impl Origin {
    pub(crate) const fn command_line() -> Self {
        Self { file: None, line: 0 }
    }

    /// The file, if it was one, and the line.
    pub(crate) fn parts(&self) -> (Option<&Arc<[u8]>>, u32) {
        (self.file.as_ref(), self.line)
    }

    pub(crate) fn from_parts(file: Option<Arc<[u8]>>, line: u32) -> Self {
        Self { file, line }
    }

    pub(crate) fn line_of(file: &Arc<[u8]>, line: usize) -> Self {
        Self { file: Some(Arc::clone(file)), line: u32::try_from(line).unwrap_or(u32::MAX) }
    }

    /// The place for an error message about `text`.
    pub(crate) fn place(&self, text: &[u8]) -> String {
        match self.file {
            None => format!("\"{}\"", text.escape_ascii()),
            Some(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            None => out.write_str("command line"),
            Some(file) => write!(out, "{}, line {}", file.escape_ascii(), self.line),
        }
    }
}

/// An include or exclude rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    traits: Traits,
    pattern: Pattern,
    /// As written, less the rule name.
    text: Box<[u8]>,
    origin: Origin,
}

impl Rule {
    pub(crate) fn new(traits: Traits, text: &[u8], anchor: &Anchor, origin: Origin) -> Self {
        let wanted = match text {
            [wanted @ .., b'/']
                if traits.contains(Traits::DIRECTORY_ONLY) && !wanted.is_empty() =>
            {
                wanted
            }
            _ => text,
        };
        Self { traits, pattern: Pattern::new(wanted, traits, anchor), text: text.into(), origin }
    }

    pub(crate) fn traits(&self) -> Traits {
        self.traits
    }

    /// The pattern as it was written.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn includes(&self) -> bool {
        self.traits.contains(Traits::INCLUDE)
    }

    /// True when the rule takes effect for the subject. Sides and perishability are the caller's
    /// business.
    pub(crate) fn applies(&self, subject: &Subject<'_>) -> bool {
        let wants_xattr = self.traits.contains(Traits::XATTR);
        if wants_xattr != subject.is_xattr() {
            return false;
        }
        let wrong_kind = self.traits.contains(Traits::DIRECTORY_ONLY) && !subject.is_directory();
        let found = !wrong_kind && self.pattern.matches(subject);
        found != self.traits.contains(Traits::NEGATED)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.includes() { "+" } else { "-" })?;
        let modifiers = [
            (Traits::NEGATED, "!"),
            (Traits::FULL_PATH, "/"),
            (Traits::SENDER, "s"),
            (Traits::RECEIVER, "r"),
            (Traits::PERISHABLE, "p"),
            (Traits::XATTR, "x"),
        ];
        for (_, letter) in modifiers.iter().filter(|(one, _)| self.traits.contains(*one)) {
            out.write_str(letter)?;
        }
        write!(out, " {} ({})", String::from_utf8_lossy(&self.text), self.origin)
    }
}
