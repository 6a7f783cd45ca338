//! Names as they were typed at the source: `%f`, and the slash of `%n` where a path is kept that
//! begins at the root.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::settings::KeptPath;

/// The source arguments, taken apart.
pub(crate) struct FullNames {
    sources: Vec<SourceName>,
}

/// One source argument.
#[derive(Default)]
struct SourceName {
    /// What stands before the path of each entry.
    prefix: Vec<u8>,
    /// With `-R`: what is kept of it begins at the root of the file system.
    begins_at_root: bool,
}

impl FullNames {
    pub(crate) fn new(sources: &[PathBuf], kept: KeptPath) -> Self {
        let take_apart = |source: &PathBuf| {
            let argument = source.as_os_str().as_bytes();
            match kept {
                KeptPath::Last => SourceName::new(argument),
                KeptPath::Whole => SourceName::relative(argument),
                KeptPath::Listed => SourceName::default(),
            }
        };
        Self { sources: sources.iter().map(take_apart).collect() }
    }

    /// True when what is kept of a source argument begins at the root: the name that the sender
    /// tells has the slash.
    pub(crate) fn begins_at_root(&self, source: Option<u32>) -> bool {
        self.source(source).is_some_and(|source| source.begins_at_root)
    }

    /// The full name of the entry at `path`. No slash in front, as in rsync.
    pub(crate) fn of(&self, source: Option<u32>, path: &[u8]) -> Vec<u8> {
        match self.source(source) {
            Some(source) if !source.prefix.is_empty() => [&source.prefix, path].join(&b'/'),
            _ => path.to_vec(),
        }
    }

    fn source(&self, number: Option<u32>) -> Option<&SourceName> {
        self.sources.get(usize::try_from(number?).ok()?)
    }
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
        let names_contents = !matches!(last, b"" | b".") && (is_slashed || last == b"..");
        let prefix = if names_contents { &typed[..] } else { parent };
        Self { prefix: prefix.to_vec(), begins_at_root: false }
    }

    /// With `-R` the paths have the argument in them, but for what stands before `/./`.
    fn relative(argument: &[u8]) -> Self {
        match argument.windows(3).position(|window| window == b"/./") {
            Some(cut) => Self { prefix: trimmed(&argument[..cut]).0, begins_at_root: false },
            None => Self { prefix: Vec::new(), begins_at_root: argument.starts_with(b"/") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FullNames, KeptPath};

    fn check(kept: KeptPath, source: &str, path: &str, expected: &str) {
        let name = FullNames::new(&[source.into()], kept).of(Some(0), path.as_bytes());
        assert_eq!(String::from_utf8(name).unwrap(), expected, "{source}");
    }

    #[test]
    fn names_are_those_of_rsync() {
        for (source, path, expected) in [
            ("s/", ".", "s/."),
            ("s/", "a", "s/a"),
            ("s", "s/a", "s/a"),
            ("/data/ro/s", "s/sub/b", "data/ro/s/sub/b"),
            ("./s/../s/", "a", "s/../s/a"),
            ("../ro/s/", "a", "../ro/s/a"),
            ("s/sub/b", "b", "s/sub/b"),
            ("s/s", "s/a", "s/s/a"),
            (".", "a", "a"),
            ("s/.", "a", "s/a"),
        ] {
            check(KeptPath::Last, source, path, expected);
        }
    }

    #[test]
    fn each_source_names_its_own() {
        let names = FullNames::new(&["s/".into(), "t/".into()], KeptPath::Last);
        let of = |source| String::from_utf8(names.of(source, b"a")).unwrap();
        assert_eq!([of(Some(0)), of(Some(1)), of(Some(2)), of(None)], ["s/a", "t/a", "a", "a"]);
    }

    #[test]
    fn a_path_kept_from_the_root_on_has_its_slash() {
        for (source, expected) in [
            ("/a/b", true),
            ("//a//b/.", true),
            ("/", true),
            ("a/b", false),
            ("/a/./b", false),
            ("/./b", false),
        ] {
            let begins = |kept| FullNames::new(&[source.into()], kept).begins_at_root(Some(0));
            assert_eq!(begins(KeptPath::Whole), expected, "{source}");
            assert!(!begins(KeptPath::Last) && !begins(KeptPath::Listed));
        }
    }

    #[test]
    fn a_kept_path_is_not_named_twice() {
        for (source, path, expected) in [
            ("s/", "s", "s"),
            ("a/b/c", "a/b/c/d", "a/b/c/d"),
            ("s/./a/b", "a", "s/a"),
            ("./s/./a", "a/b", "s/a/b"),
            ("/x/s/./a/", "a", "x/s/a"),
            ("s/./", "a", "s/a"),
        ] {
            check(KeptPath::Whole, source, path, expected);
        }
        check(KeptPath::Listed, "s/", "a/b", "a/b");
    }
}
