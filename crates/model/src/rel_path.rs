//! Names below a root.

use std::fmt;
use std::sync::Arc;

use borsh::io::{Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::malformed;

/// A path relative to a root: bytes, components separated by single slashes, never empty, never
/// absolute, no `.`, `..` or NUL. The root itself is `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<[u8]>);

impl RelPath {
    /// The root itself.
    pub fn root() -> Self {
        Self(Arc::from(&b"."[..]))
    }

    /// Takes a path that keeps the rules above; `None` for any other.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes == b"." {
            return Some(Self::root());
        }
        let sound = !bytes.is_empty() && bytes.split(|&byte| byte == b'/').all(is_component);
        sound.then(|| Self(Arc::from(bytes)))
    }

    /// The path of `name` in this directory.
    ///
    /// `name` is one component as a directory listing gives it.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        debug_assert!(is_component(name), "a listing gives single components");
        if self.is_root() {
            return Self(Arc::from(name));
        }
        let mut path = Vec::with_capacity(self.0.len() + 1 + name.len());
        path.extend_from_slice(&self.0);
        path.push(b'/');
        path.extend_from_slice(name);
        Self(Arc::from(path))
    }

    /// True for the root itself.
    pub fn is_root(&self) -> bool {
        &*self.0 == b"."
    }

    /// The bytes of the path; `.` for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The last component; `.` for the root.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// The components from the root down; none for the root itself.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|component| component != b".")
    }
}

impl BorshSerialize for RelPath {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0[..].serialize(writer)
    }
}

impl BorshDeserialize for RelPath {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let bytes = Vec::deserialize_reader(reader)?;
        Self::new(&bytes).ok_or_else(|| malformed("a path that could leave its root"))
    }
}

/// True for a name that can stand in a directory: not empty, no slash, no NUL, not `.` or `..`.
pub fn is_component(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|&byte| byte == b'/' || byte == 0)
}

impl fmt::Display for RelPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::RelPath;

    #[test]
    fn refuses_what_could_leave_the_root() {
        for bad in [&b""[..], b"/", b"/a", b"a/", b"a//b", b"..", b"a/../b", b"./a", b"a\0b"] {
            assert!(RelPath::new(bad).is_none(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn children_of_the_root_have_no_dot() {
        let path = RelPath::root().child(b"a\xff").child(b"b");
        assert_eq!(path.as_bytes(), b"a\xff/b");
        assert_eq!(path.file_name(), b"b");
        assert_eq!(path.components().count(), 2);
    }
}
