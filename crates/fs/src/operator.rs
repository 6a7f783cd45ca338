//! Files that the operator named: filter lists, lists of files, logs.
//!
//! A link on the way to one is followed only if root or we ourselves made it; see `walk`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::dir::Dir;
use crate::walk::{Walk, refusal};
use crate::{process, sys};

const AT_ONCE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// Reads a whole file; `-` is standard input.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same of a file that may have so many bytes at most.
pub fn read_file_up_to(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes { Err(Errno::FBIG.into()) } else { Ok(bytes) }
}

/// Opens a file for reading: a regular file, a pipe or a character device. `-` is standard input.
pub fn open(path: &Path) -> io::Result<File> {
    if path.as_os_str() == "-" {
        return Ok(io::stdin().as_fd().try_clone_to_owned()?.into());
    }
    Walk::new(path, OFlags::RDONLY)?.open()
}

/// The same, without waiting until somebody opens a pipe for writing: an [`Inlet`](crate::inlet::Inlet) waits
/// for what comes.
pub fn open_at_once(path: &Path) -> io::Result<File> {
    if path.as_os_str() == "-" { open(path) } else { Walk::new(path, AT_ONCE)?.open() }
}

/// Whether somebody has a file open for writing.
///
/// Nobody is known on another host, and of files of other users on this one only root is told.
pub fn is_open_for_writing(file: &File) -> bool {
    sys::is_open_for_writing(file.as_fd())
}

/// Opens a file for writing at its end; creates it where it is missing.
pub fn append(path: &Path) -> io::Result<File> {
    Walk::new(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)?.open()
}

/// Waits until the name of a file that was made is on the disk.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
    match rustix::fs::fsync(dir) {
        // Not every file system knows what that is for a directory.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        done => Ok(done?),
    }
}

/// The directory that a path ends in, and its last name.
///
/// Fails with [`io::ErrorKind::InvalidInput`] for a path that ends in no name.
pub fn open_parent(path: &Path) -> io::Result<(Dir, Vec<u8>)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let dir = Dir::open_operator(parent.unwrap_or(Path::new(".")))?;
    Ok((dir, name.as_bytes().to_vec()))
}

/// A directory for what nobody else is to see or to change. It is made if it is not there, and so are those
/// above it.
///
/// Fails with [`io::ErrorKind::PermissionDenied`] where it belongs to somebody else, or others may write to
/// it.
pub fn open_private_dir(path: &Path) -> io::Result<Dir> {
    const WRITE_OF_OTHERS: u32 = 0o022;

    let dir = make_private_dir(path)?;
    let metadata = dir.metadata()?;
    if metadata.uid != process::effective_uid() || metadata.mode & WRITE_OF_OTHERS != 0 {
        return Err(refusal("a directory of somebody else, or one that others may write to"));
    }
    Ok(dir)
}

fn make_private_dir(path: &Path) -> io::Result<Dir> {
    match (Dir::open_operator(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(make_private_dir(parent)?.open_or_make_child(name.as_bytes())?.0)
        }
        (opened, _, _) => opened,
    }
}

/// Whether anything has a name, and be it a link that leads nowhere.
pub fn has_name(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Where a path leads, without links and `..` on the way.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path)
}

/// Makes a directory that the operator asked for, such as a destination that is not there yet. Links
/// on the way to it are followed, as by [`Dir::open_operator`](crate::Dir::open_operator).
pub fn make_dir(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mode = new_dir_mode(CWD, parent.unwrap_or(Path::new(".")));
    Ok(rustix::fs::mkdirat(CWD, path, mode)?)
}

/// The mode that a new directory is asked for: a default ACL of the one that it will lie in takes the
/// place of the umask (acl(5)), which the process has cleared.
pub(crate) fn new_dir_mode(base: impl AsFd, parent: &Path) -> Mode {
    let umask = process::cleared_umask();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let has_default_acl = || {
        // A parent that cannot be read is taken for one without.
        rustix::fs::openat(base, parent, flags, Mode::empty())
            .and_then(|dir| rustix::fs::fgetxattr_query(dir, c"system.posix_acl_default"))
            .is_ok()
    };
    Mode::from_bits_truncate(if umask != 0 && has_default_acl() { 0o777 } else { 0o777 & !umask })
}

#[cfg(test)]
mod tests;
