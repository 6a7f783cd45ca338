//! Where a directory of a cluster is: how it is asked for, and how it is called in a message.

use std::fmt::Write as _;
use std::sync::Arc;

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory that it lies in, as a full path.
    folder: Arc<[u8]>,
    /// Its name in there; empty for the directory that the user named.
    name: Box<[u8]>,
    /// Its number, by which the cluster finds it whatever its name is.
    id: Option<u64>,
}

impl Place {
    /// The directory that the user named.
    pub(super) fn named(path: &[u8]) -> Self {
        Self { folder: trimmed(path).into(), name: Box::default(), id: None }
    }

    /// A directory in `folder`.
    pub(super) fn below(folder: &Arc<[u8]>, name: &[u8], id: Option<u64>) -> Self {
        Self { folder: Arc::clone(folder), name: name.into(), id }
    }

    /// Its full path.
    pub(super) fn path(&self) -> Vec<u8> {
        join(&self.folder, &self.name)
    }

    /// How requests name it: by its number, or by its full path.
    pub(super) fn reference(&self) -> String {
        match self.id {
            Some(id) => id.to_string(),
            None => escaped(&self.path()),
        }
    }
}

/// A path below another one; `below` may be empty.
pub(super) fn join(path: &[u8], below: &[u8]) -> Vec<u8> {
    match (path, below) {
        (path, b"") => path.to_vec(),
        (b"/", below) => [b"/", below].concat(),
        (path, below) => [path, b"/", below].concat(),
    }
}

/// A full path without the slashes at its end.
fn trimmed(path: &[u8]) -> &[u8] {
    match path {
        [] | b"/" => b"/",
        [rest @ .., b'/'] => trimmed(rest),
        path => path,
    }
}

/// As one segment of a URL: all but letters, digits and `-._~` is escaped, slashes too.
fn escaped(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len() + 8);
    for byte in path {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            byte => write!(text, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_one_segment_whatever_is_in_the_path() {
        let place = Place::named(b"/a b/%41?#\n\xff/../~/");
        assert_eq!(place.reference(), "%2Fa%20b%2F%2541%3F%23%0A%FF%2F..%2F~");
        assert_eq!(Place::named(b"").reference(), "%2F");
        assert_eq!(Place::below(&b"/a"[..].into(), b"b", Some(7)).reference(), "7");
        assert_eq!(Place::below(&b"/"[..].into(), b"b", None).reference(), "%2Fb");
    }

    #[test]
    fn paths_are_joined_by_one_slash() {
        for (path, below, expected) in
            [("/", "", "/"), ("/", "a", "/a"), ("/a", "b/c", "/a/b/c"), ("/a", "", "/a")]
        {
            assert_eq!(join(path.as_bytes(), below.as_bytes()), expected.as_bytes());
        }
        assert_eq!(Place::named(b"///").path(), b"/");
        assert_eq!(Place::named(b"/a//").path(), b"/a");
    }
}
