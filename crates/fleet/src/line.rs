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
