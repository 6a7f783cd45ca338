//! Directories that the operator named relative to another one: `--temp-dir`, `--backup-dir`,
//! `--link-dest`.
//!
//! The path may be absolute and may go up. A link in it is followed only if root or we ourselves
//! made it: the directory that it starts from may belong to others.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use model::Inode;

use crate::dir::Dir;
use crate::walk::{Missing, Walk};

/// Opens a directory by a path that is relative to `base`, or absolute.
pub fn open_dir_below(base: &Dir, path: &Path) -> io::Result<Dir> {
    Walk::below(base, path)?.open_dir(Missing::Fail)
}

/// As [`open_dir_below`], for a directory that need not be read: who may only search it gets it, too.
/// Listing it fails then, unless somebody has changed its mode.
pub fn open_dir_below_to_search(base: &Dir, path: &Path) -> io::Result<Dir> {
    Walk::below(base, path)?.open_dir_to_search()
}

/// Opens a directory by a path that is relative to `base`, or absolute; makes what is missing.
pub fn make_dirs_below(base: &Dir, path: &Path) -> io::Result<Dir> {
    Walk::below(base, path)?.open_dir(Missing::Make)
}

/// Opens a file for reading by a path that is relative to `base`, or absolute: a regular file, a pipe
/// or a character device.
pub fn open_file_below(base: &Dir, path: &Path) -> io::Result<File> {
    Walk::file_below(base, path)?.open()
}

/// The same of content that is to be brought over.
pub fn open_content_below(base: &Dir, path: &Path) -> io::Result<crate::file::File> {
    open_file_below(base, path).map(|file| crate::file::File::opened(file.into()))
}

/// The same of content that must lie below `root`, wherever links on the way lead.
pub fn open_content_beneath(base: &Dir, path: &Path, root: Inode) -> io::Result<crate::file::File> {
    let file = Walk::file_below(base, path)?.ending_beneath(root).open()?;
    Ok(crate::file::File::opened(file.into()))
}

/// A path as it reads from the root, by its text: for rules that match whole paths.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn walks_up_and_down_from_the_base() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path();
        for name in ["root", "beside"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        std::fs::write(path.join("root/file"), b"").unwrap();
        symlink("../beside", path.join("root/link")).unwrap();
        let root = Dir::open_operator(&path.join("root")).unwrap();
        let beside = Dir::open_operator(&path.join("beside")).unwrap().metadata().unwrap();
        let absolute = path.join("beside");
        for way in [Path::new("../beside"), Path::new("link/"), Path::new("link/."), &absolute] {
            let opened = open_dir_below(&root, way).unwrap().metadata().unwrap();
            assert!(opened.is_same_inode(&beside), "{}", way.display());
        }
        for bad in ["missing", "file", "file/x", ""] {
            assert!(open_dir_below(&root, Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn makes_what_is_missing_once() {
        let scratch = tempfile::tempdir().unwrap();
        let base = Dir::open_operator(scratch.path()).unwrap();
        for _ in 0..2 {
            let made = make_dirs_below(&base, Path::new("a/b/../c/")).unwrap();
            let found = open_dir_below(&base, Path::new("a/./c")).unwrap().metadata().unwrap();
            assert!(made.metadata().unwrap().is_same_inode(&found));
        }
        base.create_file(b"file", 0o600).unwrap();
        assert!(make_dirs_below(&base, Path::new("file/x")).is_err());
    }

    #[test]
    fn a_link_of_somebody_else_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let base = Dir::open_operator(scratch.path()).unwrap();
        base.make_dir(b"dir", 0o700).unwrap();
        base.make_symlink(b"dir", b"link").unwrap();
        if crate::process::is_root() {
            base.set_owner(b"link", Some(4242), None).unwrap();
        }
        let mut walk = Walk::below(&base, Path::new("link/x")).unwrap();
        // Root gave the link away; an ordinary user plays somebody else.
        walk.trusted = if crate::process::is_root() { 0 } else { 4242 };
        let refused = walk.open_dir(Missing::Make).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn content_beneath_a_directory_does_not_lie_elsewhere() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path();
        for name in ["root/a", "root/b", "rooted"] {
            std::fs::create_dir_all(path.join(name)).unwrap();
        }
        for name in ["root/b/file", "rooted/file"] {
            std::fs::write(path.join(name), name).unwrap();
        }
        let fd = File::open(path.join("root/b/file")).unwrap();
        let fd = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        for (target, name) in [
            ("../b/file", "near"),
            ("../../rooted/../root/b/file", "around"),
            ("../../rooted/file", "out"),
            ("around", "twice"),
            (&fd, "kernel"),
        ] {
            symlink(target, path.join("root/a").join(name)).unwrap();
        }
        symlink(path.join("root/b/file"), path.join("root/a/whole")).unwrap();
        let root = Dir::open_operator(&path.join("root")).unwrap();
        let base = root.open_child(b"a", crate::AccessTime::Keep).unwrap();
        let open = |name: &str, root: &Dir| {
            let root = root.metadata().unwrap().inode();
            open_content_beneath(&base, Path::new(name), root).map(drop).map_err(|it| it.kind())
        };
        for name in ["near", "around", "twice", "whole", "../b/file"] {
            assert_eq!(open(name, &root), Ok(()), "{name}");
            assert_eq!(open(name, &base), Err(io::ErrorKind::PermissionDenied), "{name}");
        }
        for name in ["out", "kernel", "../../rooted/file"] {
            assert_eq!(open(name, &root), Err(io::ErrorKind::PermissionDenied), "{name}");
        }
    }

    #[test]
    fn absolute_paths_are_made_by_text() {
        assert_eq!(absolute(Path::new("/a/b")), Path::new("/a/b"));
        assert!(absolute(Path::new("x")).is_absolute());
        assert_eq!(absolute(Path::new("")), Path::new(""));
    }
}
