//! A line of a bucket.

use model::Kind;

use crate::amount::Amount;

/// What a bucket holds, as told to a [`format`](crate::format). Lines of one directory follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The directory that it lies in, below the root: components with `/` between; empty for the root.
    pub folder: &'a [u8],
    /// Its name in there; empty for the root itself.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// How much of it is meant.
    pub span: Span,
    /// What it counts: of [`Span::Whole`] with all below, else its own.
    pub amount: Amount,
}

impl Line<'_> {
    /// The path below the root; empty for the root itself.
    pub fn path(&self) -> Vec<u8> {
        match (self.folder, self.name) {
            (b"", name) => name.to_vec(),
            (folder, b"") => folder.to_vec(),
            (folder, name) => [folder, b"/", name].concat(),
        }
    }
}

/// How much of an entry a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// An entry with nothing below: a file, a link, an empty directory.
    Entry,
    /// A directory with all that lies below it.
    Whole,
    /// A directory itself, its owner, times and mode: what lies in it has lines of its own, here or in
    /// other buckets.
    Alone,
    /// A directory itself, in which nothing is that has a line: all of it is left out.
    Bare,
}

/// Whether a mover is to go down into the directories that a bucket names, as `rsync -r` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recursion {
    /// It makes no difference: no directory is named that has something in it.
    #[default]
    Either,
    /// A directory stands for all that lies below it.
    Needed,
    /// A directory is named from which all is left out.
    Forbidden,
    /// Both: no call of rsync says that.
    Torn,
}

impl Recursion {
    /// What a line asks for.
    pub fn of(line: &Line<'_>) -> Self {
        match line.span {
            Span::Entry | Span::Alone => Self::Either,
            Span::Whole => Self::Needed,
            Span::Bare => Self::Forbidden,
        }
    }

    /// The option of rsync that says so, or nothing. Where both is asked for, no list is made for rsync.
    pub fn option(self) -> &'static str {
        match self {
            Self::Needed | Self::Torn => "-r",
            Self::Either | Self::Forbidden => "",
        }
    }

    /// What two lines, or two parts of a bucket, ask for together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Either, one) | (one, Self::Either) => one,
            (one, other) if one == other => one,
            _ => Self::Torn,
        }
    }
}
