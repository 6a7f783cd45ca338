//! Which part of a path a pattern is held against, and the comparison.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::{memchr_iter, memmem, memrchr};

use crate::NodeKind;
use crate::rule::Traits;
use crate::wild::{Begin, Wild};

/// A pattern ready to be held against subjects.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    span: Span,
    place: Place,
    form: Form,
}

/// The text a pattern is compared with.
#[derive(Debug, Clone)]
enum Span {
    /// The last name only.
    LastName,
    /// The path below the transfer root.
    Path,
    /// The same with a slash in front, so that a leading `**/` can stand for no directory at all.
    SlashPath,
    /// The path below this directory, itself given below the transfer root.
    Below(Arc<[u8]>),
    /// The path below a directory above the transfer root; this leads from there to the transfer
    /// root.
    Above(Box<[u8]>),
    /// The path from the root of the file system, without its leading slash.
    Full,
}

/// Where in that text the pattern has to lie.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// It is the whole text.
    Whole,
    /// It is the last so many names.
    LastNames(usize),
    /// It begins at any name and reaches to the end.
    AnyName,
}

/// How the comparison goes.
#[derive(Debug, Clone)]
enum Form {
    Plain(Box<[u8]>),
    /// `slash_behind` is for patterns in `***`: a directory is compared as if a slash followed it.
    Wild {
        wild: Wild,
        slash_behind: SlashBehind,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlashBehind {
    Never,
    Directories,
}

/// What a pattern with a leading slash begins at.
#[derive(Debug, Clone)]
pub(crate) enum Anchor {
    /// The transfer root.
    TransferRoot,
    /// A directory below it.
    Below(Arc<[u8]>),
    /// A directory above it; these are the names from there to the transfer root.
    Above(Box<[u8]>),
}

impl Pattern {
    /// Compiles a pattern that has lost its trailing slash already.
    pub(crate) fn new(text: &[u8], traits: Traits, anchor: &Anchor) -> Self {
        let is_wild = memchr::memchr3(b'*', b'?', b'[', text).is_some();
        let double_star = if is_wild { memmem::find(text, b"**") } else { None };
        let slashes = memchr_iter(b'/', text).count();
        let anchored = text.first() == Some(&b'/');
        let span = match () {
            () if slashes == 0 && double_star.is_none() => Span::LastName,
            () if traits.contains(Traits::FULL_PATH) => Span::Full,
            () if anchored => anchor.span(),
            () if double_star == Some(0) => Span::SlashPath,
            () => Span::Path,
        };
        let place = match double_star {
            _ if anchored || slashes == 0 && double_star.is_none() => Place::Whole,
            None => Place::LastNames(slashes + 1),
            Some(0) => Place::Whole,
            Some(_) => Place::AnyName,
        };
        let text = &text[usize::from(anchored)..];
        let triple_ending = double_star.is_some() && text.ends_with(b"***");
        let slash_behind =
            if triple_ending { SlashBehind::Directories } else { SlashBehind::Never };
        let form = if is_wild {
            Form::Wild { wild: Wild::new(text), slash_behind }
        } else {
            Form::Plain(text.into())
        };
        Self { span, place, form }
    }

    /// True when the pattern matches.
    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        let Some(text) = self.span.of(subject) else { return false };
        let text = match self.place {
            Place::LastNames(count) => match last_names(&text, count) {
                Some(names) => names,
                None => return false,
            },
            Place::Whole | Place::AnyName => &text,
        };
        match &self.form {
            Form::Plain(wanted) => **wanted == *text,
            Form::Wild { wild, slash_behind } => {
                let with_slash =
                    *slash_behind == SlashBehind::Directories && subject.is_directory();
                let before: &[u8] = if matches!(self.span, Span::SlashPath) { b"/" } else { b"" };
                let behind: &[u8] = if with_slash { b"/" } else { b"" };
                let begin = match self.place {
                    Place::AnyName => Begin::AnyName,
                    Place::Whole | Place::LastNames(_) => Begin::Start,
                };
                wild.matches([before, text, behind], begin)
            }
        }
    }
}

impl Anchor {
    fn span(&self) -> Span {
        match self {
            Self::TransferRoot => Span::Path,
            Self::Below(dir) if dir.is_empty() => Span::Path,
            Self::Below(dir) => Span::Below(Arc::clone(dir)),
            Self::Above(names) => Span::Above(names.clone()),
        }
    }
}

impl Span {
    /// The part of the subject to compare; nothing when it lies elsewhere.
    fn of<'a>(&self, subject: &Subject<'a>) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(match self {
            Self::LastName => subject.last_name,
            Self::Path | Self::SlashPath => subject.path,
            Self::Below(dir) => subject.path.strip_prefix(&**dir)?.strip_prefix(b"/")?,
            Self::Above(names) => return Some(join(names, subject.path).into()),
            Self::Full if subject.root == b"/" => subject.path,
            Self::Full => return Some(join(&subject.root[1..], subject.path).into()),
        }))
    }
}

fn join(lead: &[u8], path: &[u8]) -> Vec<u8> {
    [lead, path].join(&b'/')
}

/// The last `count` names of a path, or nothing when it has fewer.
fn last_names(path: &[u8], count: usize) -> Option<&[u8]> {
    let mut slashes_from_end = memchr::memrchr_iter(b'/', path);
    match slashes_from_end.nth(count - 1) {
        Some(slash) => Some(&path[slash + 1..]),
        None if memchr_iter(b'/', path).count() + 1 == count => Some(path),
        None => None,
    }
}

/// What rules are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    root: &'a [u8],
    path: &'a [u8],
    last_name: &'a [u8],
    nature: Nature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    Directory,
    Other,
    Xattr,
}

impl<'a> Subject<'a> {
    /// An entry of a tree; `root` is the absolute path of the tree.
    pub(crate) fn entry(root: &'a [u8], path: &'a [u8], kind: NodeKind) -> Self {
        let nature = match kind {
            NodeKind::Directory => Nature::Directory,
            NodeKind::Other => Nature::Other,
        };
        Self { root, path, last_name: last_name(path), nature }
    }

    /// The name of an extended attribute.
    pub(crate) fn xattr(root: &'a [u8], name: &'a [u8]) -> Self {
        Self { root, path: name, last_name: last_name(name), nature: Nature::Xattr }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.nature == Nature::Directory
    }

    pub(crate) fn is_xattr(&self) -> bool {
        self.nature == Nature::Xattr
    }
}

/// What follows the last slash.
pub(crate) fn last_name(path: &[u8]) -> &[u8] {
    memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..])
}

#[cfg(test)]
mod tests;
