//! Directories that the operator names relative to another one: `--temp-dir`, `--backup-dir`,
//! `--link-dest`. As in the shell, `..` and links on the way are followed.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::dir::Dir;

/// Opens a directory by a path that is relative to `base`, or absolute.
pub fn open_dir_below(base: &Dir, path: &Path) -> io::Result<Dir> {
    walk(base, path, |dir, name| dir.open_child_following(name))
}

/// Opens a directory by a path that is relative to `base`, or absolute; makes what is missing.
pub fn make_dirs_below(base: &Dir, path: &Path) -> io::Result<Dir> {
    walk(base, path, |dir, name| match dir.open_child_following(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            dir.make_dir(name, 0o777 & !crate::process::umask())?;
            dir.open_child_following(name)
        }
        opened => opened,
    })
}

fn walk(
    base: &Dir,
    path: &Path,
    enter: impl Fn(&Dir, &[u8]) -> io::Result<Dir>,
) -> io::Result<Dir> {
    let mut dir = base.clone();
    for component in path.components() {
        dir = match component {
            Component::RootDir | Component::Prefix(_) => Dir::open_operator(Path::new("/"))?,
            Component::CurDir => continue,
            Component::ParentDir => dir.open_parent()?,
            Component::Normal(name) => enter(&dir, name.as_bytes())?,
        };
    }
    Ok(dir)
}

/// A path as it reads from the root, by its text: for rules that match whole paths.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{make_dirs_below, open_dir_below};
    use crate::Dir;

    #[test]
    fn walks_up_and_down_from_the_base() {
        let scratch = tempfile::tempdir().unwrap();
        let base = Dir::open_operator(scratch.path()).unwrap();
        let made = make_dirs_below(&base, Path::new("a/b")).unwrap();
        let found = open_dir_below(&base, Path::new("a/../a/./b")).unwrap();
        assert_eq!(made.metadata().unwrap().ino, found.metadata().unwrap().ino);
        assert!(open_dir_below(&base, Path::new("a/c")).is_err());
    }
}
