//! A name replaced in one step by something that is no file: a link, a node, a further hard link.

use std::io;

use crate::dir::{Dir, Existing};
use crate::staging;

/// A random name that is taken this often was not chosen at random.
const ATTEMPTS: usize = 64;

/// Makes something under a staging name by `make`, then renames it over `name`: whoever looks
/// sees the old entry or the new one.
pub fn replace_with(
    dir: &Dir,
    name: &[u8],
    make: impl Fn(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let staging_name = staging::staging_name(name);
        match make(&staging_name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        let renamed = dir.rename(&staging_name, dir, name, Existing::Replace);
        // Renaming one hard link of an inode over another does nothing and leaves both
        // (rename(2)), so the staging name is removed in any case.
        drop(dir.remove_file(&staging_name));
        return renamed;
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::replace_with;
    use crate::Dir;

    #[test]
    fn replaces_in_one_step_and_leaves_no_staging_name() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_operator(scratch.path()).unwrap();
        dir.make_symlink(b"old", b"link").unwrap();
        replace_with(&dir, b"link", |name| dir.make_symlink(b"new", name)).unwrap();
        assert_eq!(dir.read_link(b"link").unwrap(), b"new");
        dir.hard_link(b"link", &dir, b"other").unwrap();
        replace_with(&dir, b"other", |name| dir.hard_link(b"link", &dir, name)).unwrap();
        assert_eq!(dir.list().unwrap().len(), 2);
    }
}
