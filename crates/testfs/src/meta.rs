//! Names and metadata: everything about a file but its data.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use fuser::{FileAttr, TimeOrNow};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RawMode, RenameFlags, Uid, XattrFlags, chmodat,
    chownat, fstat, ftruncate, getxattr, linkat, listxattr, mkdirat, mknodat, open, openat,
    removexattr, renameat_with, setxattr, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::attr;
use crate::data;
use crate::fault::Op;
use crate::tree::{Tree, proc_path};

/// The most bytes that one attribute or a list of names can have in Linux.
const XATTR_MAX_BYTES: usize = 65_536;

/// Who asks; new files become theirs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The place of a new name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) parent: u64,
    pub(crate) name: &'a OsStr,
}

/// What a setattr request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) size: Option<u64>,
    pub(crate) atime: Option<TimeOrNow>,
    pub(crate) mtime: Option<TimeOrNow>,
}

impl Change {
    /// The operation that a fault rule knows it by.
    pub(crate) fn op(&self) -> Op {
        if self.size.is_some() {
            Op::Truncate
        } else if self.mode.is_some() {
            Op::Chmod
        } else if self.uid.is_some() || self.gid.is_some() {
            Op::Chown
        } else {
            Op::Utimens
        }
    }

    pub(crate) fn apply(&self, tree: &Tree, ino: u64) -> Result<FileAttr, Errno> {
        let fd = tree.fd(ino)?;
        let path = proc_path(&fd);
        if let Some(size) = self.size {
            ftruncate(open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?, size)?;
        }
        if self.uid.is_some() || self.gid.is_some() {
            let (uid, gid) = (self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw));
            chownat(&fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        if let Some(mode) = self.mode {
            chmodat(CWD, &path, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())?;
        }
        if self.atime.is_some() || self.mtime.is_some() {
            let times = attr::timestamps(self.atime, self.mtime);
            utimensat(CWD, &path, &times, AtFlags::empty())?;
        }
        tree.attr(ino)
    }
}

pub(crate) fn mknod(
    tree: &Tree,
    at: Place<'_>,
    caller: Caller,
    mode: RawMode,
    rdev: u32,
) -> Result<FileAttr, Errno> {
    let parent = tree.fd(at.parent)?;
    let kind = FileType::from_raw_mode(mode);
    mknodat(&parent, at.name, kind, Mode::from_raw_mode(mode & 0o7777), attr::decode_dev(rdev))?;
    finish(tree, at, caller, Some(mode))
}

pub(crate) fn mkdir(
    tree: &Tree,
    at: Place<'_>,
    caller: Caller,
    mode: RawMode,
) -> Result<FileAttr, Errno> {
    mkdirat(tree.fd(at.parent)?, at.name, Mode::from_raw_mode(mode & 0o7777))?;
    finish(tree, at, caller, Some(mode))
}

pub(crate) fn symlink(
    tree: &Tree,
    at: Place<'_>,
    caller: Caller,
    target: &Path,
) -> Result<FileAttr, Errno> {
    symlinkat(target, tree.fd(at.parent)?, at.name)?;
    finish(tree, at, caller, None)
}

pub(crate) fn create(
    tree: &Tree,
    at: Place<'_>,
    caller: Caller,
    mode: RawMode,
    flags: i32,
) -> Result<(FileAttr, OwnedFd), Errno> {
    let parent = tree.fd(at.parent)?;
    let flags = data::backing_flags(OFlags::from_bits_retain(flags.cast_unsigned()));
    let flags = flags | OFlags::CREATE | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(mode & 0o7777);
    // The kernel sends this only for a name it found absent: whoever made it since owns it.
    let (file, is_new) = match openat(&parent, at.name, flags | OFlags::EXCL, mode) {
        Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {
            (openat(&parent, at.name, flags, mode)?, false)
        }
        other => (other?, true),
    };
    let attr = if is_new {
        finish(tree, at, caller, Some(mode.as_raw_mode()))?
    } else {
        tree.lookup(at.parent, at.name)?
    };
    Ok((attr, file))
}

pub(crate) fn link(tree: &Tree, ino: u64, at: Place<'_>) -> Result<FileAttr, Errno> {
    let old = tree.fd(ino)?;
    let parent = tree.fd(at.parent)?;
    linkat(CWD, proc_path(&old), &parent, at.name, AtFlags::SYMLINK_FOLLOW)?;
    tree.lookup(at.parent, at.name)
}

pub(crate) fn rename(tree: &Tree, from: Place<'_>, to: Place<'_>, flags: u32) -> Result<(), Errno> {
    let (old, new) = (tree.fd(from.parent)?, tree.fd(to.parent)?);
    renameat_with(&old, from.name, &new, to.name, RenameFlags::from_bits_retain(flags))
}

pub(crate) fn remove(tree: &Tree, at: Place<'_>, flags: AtFlags) -> Result<(), Errno> {
    unlinkat(tree.fd(at.parent)?, at.name, flags)
}

pub(crate) fn set_xattr(
    tree: &Tree,
    ino: u64,
    name: &OsStr,
    value: &[u8],
    flags: i32,
) -> Result<(), Errno> {
    let fd = tree.fd(ino)?;
    setxattr(proc_path(&fd), name, value, XattrFlags::from_bits_retain(flags.cast_unsigned()))
}

pub(crate) fn get_xattr(tree: &Tree, ino: u64, name: &OsStr) -> Result<Vec<u8>, Errno> {
    let fd = tree.fd(ino)?;
    fill(|buffer| getxattr(proc_path(&fd), name, buffer))
}

pub(crate) fn list_xattr(tree: &Tree, ino: u64) -> Result<Vec<u8>, Errno> {
    let fd = tree.fd(ino)?;
    fill(|buffer| listxattr(proc_path(&fd), buffer))
}

pub(crate) fn remove_xattr(tree: &Tree, ino: u64, name: &OsStr) -> Result<(), Errno> {
    let fd = tree.fd(ino)?;
    removexattr(proc_path(&fd), name)
}

/// Gives a new file to its caller and takes back what our own umask withheld. A default ACL of the
/// parent decides over the mode; then it stays as it came.
fn finish(
    tree: &Tree,
    at: Place<'_>,
    caller: Caller,
    mode: Option<RawMode>,
) -> Result<FileAttr, Errno> {
    let parent = tree.fd(at.parent)?;
    let stat = statat(&parent, at.name, AtFlags::SYMLINK_NOFOLLOW)?;
    let parent_is_setgid = fstat(&parent)?.st_mode & 0o2000 != 0;
    let uid = (stat.st_uid != caller.uid).then(|| Uid::from_raw(caller.uid));
    let gid = (stat.st_gid != caller.gid && !parent_is_setgid).then(|| Gid::from_raw(caller.gid));
    if uid.is_some() || gid.is_some() {
        chownat(&parent, at.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let inherited = if parent_is_setgid { stat.st_mode & 0o2000 } else { 0 };
    if let Some(mode) = mode.map(|mode| (mode & 0o7777) | inherited)
        && stat.st_mode & 0o7777 != mode
        && getxattr(proc_path(&parent), "system.posix_acl_default", &mut [0_u8; 0]).is_err()
    {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&parent, at.name, flags, Mode::empty())?;
        match chmodat(CWD, proc_path(&fd), Mode::from_raw_mode(mode), AtFlags::empty()) {
            Err(Errno::OPNOTSUPP) => {}
            other => other?,
        }
    }
    tree.lookup(at.parent, at.name)
}

fn fill(read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; XATTR_MAX_BYTES];
    let size = read(&mut buffer)?;
    buffer.truncate(size);
    Ok(buffer)
}
