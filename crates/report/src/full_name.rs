//! Names as they were typed at the source: `%f`, and the slash of `%n` where a path is kept that
//! begins at the root.
//!
//! An entry knows its path below the destination only, so the source argument it came from is
//! found again by its shape; where several fit, the first one is named.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::settings::KeptPath;

/// The source arguments, taken apart.
pub(crate) struct FullNames {
    sources: Vec<SourceName>,
    /// With `-R`, for each argument, the paths of its entries and where they begin.
    kept: Vec<(Below, Begin)>,
}

/// Where a path that is kept begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// At the root.
    Root,
    /// At this directory, or behind `/./`.
    Here,
}

/// One source argument.
struct SourceName {
    /// What stands before the path of each entry.
    prefix: Vec<u8>,
    below: Below,
}

/// The paths of an argument's entries.
enum Below {
    /// Any: it names contents (`dir/`).
    Anything,
    /// They begin with this component.
    First(Vec<u8>),
    /// They lie on the way to this path, or below it.
    Along(Vec<u8>),
}

impl FullNames {
    pub(crate) fn new(sources: &[PathBuf], kept: KeptPath) -> Self {
        let take_apart = |source: &PathBuf| {
            let argument = source.as_os_str().as_bytes();
            match kept {
                KeptPath::Last => Some(SourceName::new(argument)),
                KeptPath::Whole => SourceName::relative(argument),
                KeptPath::Listed => None,
            }
        };
        let kept: Vec<_> = match kept {
            KeptPath::Whole => {
                sources.iter().map(|source| kept_path(source.as_os_str().as_bytes())).collect()
            }
            KeptPath::Last | KeptPath::Listed => Vec::new(),
        };
        Self { sources: sources.iter().filter_map(take_apart).collect(), kept }
    }

    /// True when the argument that the entry at `path` came from is kept from the root on: the name
    /// that the sender tells has the slash.
    pub(crate) fn begins_at_root(&self, path: &[u8]) -> bool {
        let named = self.kept.iter().find(|(below, _)| below.names(path));
        let all = || self.kept.iter().find(|(below, _)| matches!(below, Below::Anything));
        named.or_else(all).is_some_and(|(_, begin)| *begin == Begin::Root)
    }

    /// The full name of the entry at `path`. No slash in front, as in rsync.
    pub(crate) fn of(&self, path: &[u8]) -> Vec<u8> {
        let named = self.sources.iter().find(|source| source.below.names(path));
        let contents =
            || self.sources.iter().find(|source| matches!(source.below, Below::Anything));
        match named.or_else(contents) {
            Some(source) if !source.prefix.is_empty() => [&source.prefix, path].join(&b'/'),
            _ => path.to_vec(),
        }
    }
}

impl Below {
    /// Those of an argument of which this is kept.
    fn kept(end: Vec<u8>) -> Self {
        if matches!(&end[..], b"" | b".") { Self::Anything } else { Self::Along(end) }
    }

    /// True when `path` is one of its paths by its beginning.
    fn names(&self, path: &[u8]) -> bool {
        match self {
            Self::Anything => false,
            Self::First(first) => path.split(|&byte| byte == b'/').next() == Some(first),
            Self::Along(end) => leads(end, path) || leads(path, end),
        }
    }
}

/// True when `path` is `upper` or lies below it.
fn leads(upper: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(upper).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What `-R` keeps of an argument.
fn kept_path(argument: &[u8]) -> (Below, Begin) {
    let cut = argument.windows(3).position(|window| window == b"/./");
    let (kept, begin) = match cut {
        Some(cut) => (&argument[cut + 3..], Begin::Here),
        None if argument.starts_with(b"/") => (argument, Begin::Root),
        None => (argument, Begin::Here),
    };
    let components = kept.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    (Below::kept(components.collect::<Vec<_>>().join(&b'/')), begin)
}

/// A path without components that are a dot.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept = path.split(|&byte| byte == b'/').collect::<Vec<_>>();
    let last = kept.len() - 1;
    let mut at = 0;
    kept.retain(|component| {
        at += 1;
        *component != b"." || at - 1 == last
    });
    kept.join(&b'/')
}

/// A path without slashes around it and without components that are a dot, but for the last; and
/// whether it ended in a slash.
fn trimmed(path: &[u8]) -> (Vec<u8>, bool) {
    let is_slash = |byte: &&u8| **byte == b'/';
    let leading = path.iter().take_while(is_slash).count();
    let mut rest = &path[leading..];
    while let Some(shorter) = rest.strip_prefix(b"./") {
        rest = shorter;
    }
    let trailing = rest.iter().rev().take_while(is_slash).count();
    (without_dots(&rest[..rest.len() - trailing]), trailing > 0)
}

impl SourceName {
    fn new(argument: &[u8]) -> Self {
        let (typed, is_slashed) = trimmed(argument);
        let (parent, last) = match typed.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&typed[..slash], &typed[slash + 1..]),
            None => (&b""[..], &typed[..]),
        };
        let (prefix, below) = match last {
            b"" | b"." => (parent, Below::Anything),
            _ if is_slashed || last == b".." => (&typed[..], Below::Anything),
            _ => (parent, Below::First(last.to_vec())),
        };
        Self { prefix: prefix.to_vec(), below }
    }

    /// With `-R` the paths have the argument in them, but for what stands before `/./`.
    fn relative(argument: &[u8]) -> Option<Self> {
        let cut = argument.windows(3).position(|window| window == b"/./")?;
        let ((prefix, _), (end, _)) = (trimmed(&argument[..cut]), trimmed(&argument[cut + 3..]));
        Some(Self { prefix, below: Below::kept(end) })
    }
}

#[cfg(test)]
mod tests {
    use super::{FullNames, KeptPath};

    fn check(sources: &[&str], path: &str, expected: &str) {
        check_kept(KeptPath::Last, sources, path, expected);
    }

    fn check_kept(kept: KeptPath, sources: &[&str], path: &str, expected: &str) {
        let sources: Vec<_> = sources.iter().map(Into::into).collect();
        let name = FullNames::new(&sources, kept).of(path.as_bytes());
        assert_eq!(String::from_utf8(name).unwrap(), expected, "{sources:?}");
    }

    #[test]
    fn names_are_those_of_rsync() {
        check(&["s/"], ".", "s/.");
        check(&["s/"], "a", "s/a");
        check(&["s"], "s/a", "s/a");
        check(&["/data/ro/s"], "s/sub/b", "data/ro/s/sub/b");
        check(&["./s/../s/"], "a", "s/../s/a");
        check(&["../ro/s/"], "a", "../ro/s/a");
        check(&["s/", "big", "s/sub/b"], "b", "s/sub/b");
        check(&["s/", "big", "s/sub/b"], "big", "big");
        check(&["s/", "big", "s/sub/b"], "a", "s/a");
        check(&["s/s"], "s/a", "s/s/a");
        check(&["."], "a", "a");
        check(&["s/."], "a", "s/a");
        check(&[], "a", "a");
    }

    #[test]
    fn a_path_kept_from_the_root_on_has_its_slash() {
        let check = |sources: &[&str], path: &str, expected: bool| {
            let sources: Vec<_> = sources.iter().map(Into::into).collect();
            let begins = |kept| FullNames::new(&sources, kept).begins_at_root(path.as_bytes());
            assert_eq!(begins(KeptPath::Whole), expected, "{sources:?} {path}");
            assert!(!begins(KeptPath::Last) && !begins(KeptPath::Listed));
        };
        check(&["/a/b"], "a", true);
        check(&["//a//b/."], "a/b/c", true);
        check(&["/"], ".", true);
        check(&["/"], "a", true);
        check(&["a/b"], "a", false);
        check(&["/a/./b"], "b", false);
        check(&["/./b"], "b", false);
        check(&["b", "/a"], "b/c", false);
        check(&["b", "/a"], "a", true);
    }

    #[test]
    fn a_kept_path_is_not_named_twice() {
        for (sources, path, expected) in [
            (&["s/"][..], "s", "s"),
            (&["a/b/c"], "a/b/c/d", "a/b/c/d"),
            (&["s/./a/b"], "a", "s/a"),
            (&["./s/./a"], "a/b", "s/a/b"),
            (&["/x/s/./a/"], "a", "x/s/a"),
            (&["s/./"], "a", "s/a"),
            (&["s/./a", "t"], "t/a", "t/a"),
            (&["s/./a"], "ab", "ab"),
        ] {
            check_kept(KeptPath::Whole, sources, path, expected);
        }
        check_kept(KeptPath::Listed, &["s/"], "a/b", "a/b");
    }
}
