//! `%f`: the name of an entry as a person would type it at the source.
//!
//! An entry knows its path below the destination only, so the source argument it came from is
//! found again by its shape; where several fit, the first one is named.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The source arguments, taken apart.
pub(crate) struct FullNames {
    sources: Vec<SourceName>,
}

/// One source argument.
struct SourceName {
    /// The whole argument without slashes around it.
    typed: Vec<u8>,
    /// What stands before the path of each entry.
    prefix: Vec<u8>,
    /// First component of the paths of its entries; `None` when it names contents (`dir/`).
    first: Option<Vec<u8>>,
}

impl FullNames {
    pub(crate) fn new(sources: &[PathBuf]) -> Self {
        let take_apart = |source: &PathBuf| SourceName::new(source.as_os_str().as_bytes());
        Self { sources: sources.iter().map(take_apart).collect() }
    }

    /// The full name of the entry at `path`. No slash in front, as in rsync.
    pub(crate) fn of(&self, path: &[u8]) -> Vec<u8> {
        // With -R the path has the argument in it.
        if self.sources.iter().any(|source| source.first.is_some() && source.is_in(path)) {
            return path.to_vec();
        }
        let first = path.split(|&byte| byte == b'/').next();
        let named = self.sources.iter().find(|source| source.first.as_deref() == first);
        let contents = || self.sources.iter().find(|source| source.first.is_none());
        match named.or_else(contents) {
            Some(source) if !source.prefix.is_empty() => [&source.prefix, path].join(&b'/'),
            _ => path.to_vec(),
        }
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

impl SourceName {
    fn new(argument: &[u8]) -> Self {
        let is_slash = |byte: &&u8| **byte == b'/';
        let leading = argument.iter().take_while(is_slash).count();
        let mut rest = &argument[leading..];
        while let Some(shorter) = rest.strip_prefix(b"./") {
            rest = shorter;
        }
        let trailing = rest.iter().rev().take_while(is_slash).count();
        let typed = without_dots(&rest[..rest.len() - trailing]);
        let (parent, last) = match typed.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&typed[..slash], &typed[slash + 1..]),
            None => (&b""[..], &typed[..]),
        };
        let (prefix, first) = match last {
            b"" | b"." => (parent, None),
            _ if trailing > 0 || last == b".." => (&typed[..], None),
            _ => (parent, Some(last.to_vec())),
        };
        let prefix = prefix.to_vec();
        Self { typed, prefix, first }
    }

    /// True when the whole argument, of several components, leads `path`.
    fn is_in(&self, path: &[u8]) -> bool {
        !self.prefix.is_empty()
            && path
                .strip_prefix(&*self.typed)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

#[cfg(test)]
mod tests {
    use super::FullNames;

    fn check(sources: &[&str], path: &str, expected: &str) {
        let sources: Vec<_> = sources.iter().map(Into::into).collect();
        let name = FullNames::new(&sources).of(path.as_bytes());
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
        check(&["a/b/c"], "a/b/c/d", "a/b/c/d");
        check(&["."], "a", "a");
        check(&["s/."], "a", "s/a");
        check(&[], "a", "a");
    }
}
