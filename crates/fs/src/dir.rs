//! An open directory and the names in it.
//!
//! Why: a path looked up by string can be redirected while it is walked. Every operation here takes
//! one component below a directory that is held open, so there is nothing to redirect, and none
//! follows a symbolic link unless its name says so.
//!
//! Errors are those of the kernel, unchanged. Whatever takes a name fails with
//! [`ErrorKind::InvalidInput`] for what is not one component, with [`ErrorKind::NotFound`]
//! for a name that must be there and is not, and with [`ErrorKind::PermissionDenied`] for what
//! the process may not do; below, only what else callers go by is told.
//!
//! Guarded by the tests `a_link_swapped_in_is_never_followed` and
//! `refuses_everything_that_is_not_one_component`.
//!
//! [`ErrorKind::InvalidInput`]: std::io::ErrorKind::InvalidInput
//! [`ErrorKind::NotFound`]: std::io::ErrorKind::NotFound
//! [`ErrorKind::PermissionDenied`]: std::io::ErrorKind::PermissionDenied

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use model::{DeviceNumber, Kind, Metadata, Timestamp};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, SeekFrom, Timespec,
    Timestamps,
};
use rustix::io::{Errno, retry_on_intr};

use crate::file::File;
use crate::listing::Listing;
use crate::room::with_room;
use crate::sys;

/// An open directory. A clone is another handle to the same open directory and costs no system
/// call.
#[derive(Clone, Debug)]
pub struct Dir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fd: OwnedFd,
    /// Device of the directory, once somebody asked.
    device: OnceLock<u64>,
    /// Number of the mount, once somebody asked; `None` in it where the kernel cannot tell.
    mount_id: OnceLock<Option<u64>>,
    /// Whether the position of `fd` was used up by a listing.
    listed: AtomicBool,
    /// Whether files born here get their mode from a default ACL, once somebody asked.
    default_acl: OnceLock<bool>,
}

/// Whether reading counts as an access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessTime {
    /// The kernel updates the access time as it is mounted to.
    #[default]
    Update,
    /// The access time stays, where the kernel permits it (own files, or root).
    Keep,
}

/// What a rename does when the new name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// The rename fails with [`io::ErrorKind::AlreadyExists`].
    Refuse,
}

/// When a directory came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Somebody made it before.
    Before,
    /// This call made it.
    Now,
}

/// Times to set; `None` leaves the time as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Time of last modification.
    pub mtime: Option<Timestamp>,
    /// Time of last access.
    pub atime: Option<Timestamp>,
}

const OPEN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
const OPEN_FILE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens a directory that the operator typed: links are followed, once, here.
    ///
    /// Fails with [`io::ErrorKind::NotFound`] where nothing is, and with
    /// [`io::ErrorKind::NotADirectory`] where something else is.
    pub fn open_operator(path: &Path) -> io::Result<Self> {
        Ok(Self::from_fd(retry_on_intr(|| rustix::fs::openat(CWD, path, OPEN_DIR, Mode::empty()))?))
    }

    /// Opens a directory below this one.
    ///
    /// Fails with [`io::ErrorKind::NotADirectory`] for anything else, a link included.
    pub fn open_child(&self, name: &[u8], atime: AccessTime) -> io::Result<Self> {
        let flags = OPEN_DIR.union(OFlags::NOFOLLOW);
        Ok(Self::from_fd(self.open_with_atime(name, flags, atime)?))
    }

    /// Opens a directory below this one, which is made with mode 0700 if it is missing; says whether
    /// it was.
    pub fn open_or_make_child(&self, name: &[u8]) -> io::Result<(Self, Made)> {
        match self.open_child(name, AccessTime::Update) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return Ok((opened?, Made::Before)),
        }
        let made = match self.make_dir(name, 0o700) {
            // Another worker or run was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Made::Before,
            made => made.map(|()| Made::Now)?,
        };
        Ok((self.open_child(name, AccessTime::Update)?, made))
    }

    /// Opens the directory that this one lies in now. It may have been moved since it was opened
    /// from there: the caller compares inodes.
    ///
    /// Fails with [`io::ErrorKind::PermissionDenied`] where the process may not search.
    pub fn open_parent(&self) -> io::Result<Self> {
        let open = || rustix::fs::openat(self, c"..", OPEN_DIR, Mode::empty());
        Ok(Self::from_fd(retry_on_intr(open)?))
    }

    /// Opens a directory below this one, or the directory that a link below this one points to.
    ///
    /// Fails with [`io::ErrorKind::NotFound`] for a link that leads to nothing, too.
    pub fn open_child_following(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self::from_fd(self.open(name, OPEN_DIR, 0)?))
    }

    /// Opens a directory by a path below this one that may lead through links, none of which
    /// leaves it (openat2(2), `RESOLVE_BENEATH`): fails with `ELOOP` or `EXDEV` otherwise.
    pub fn open_beneath(&self, path: &[u8]) -> io::Result<Self> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let fd =
            retry_on_intr(|| rustix::fs::openat2(self, path, OPEN_DIR, Mode::empty(), resolve))?;
        Ok(Self::from_fd(fd))
    }

    /// Fails unless names in this directory can be looked at.
    pub fn check_search(&self) -> io::Result<()> {
        rustix::fs::statat(self, c".", AtFlags::empty())?;
        Ok(())
    }

    /// Opens this directory again: a handle with a position of its own. One that was opened only to
    /// be searched may be read now.
    pub fn reopen(&self) -> io::Result<Self> {
        Self::open_handle(self.as_fd())
    }

    /// Opens the directory that a descriptor stands for.
    pub(crate) fn open_handle(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let open = || rustix::fs::openat(fd, c".", OPEN_DIR, Mode::empty());
        Ok(Self::from_fd(retry_on_intr(open)?))
    }

    fn from_fd(fd: OwnedFd) -> Self {
        Self(Arc::new(Inner {
            fd,
            device: OnceLock::new(),
            mount_id: OnceLock::new(),
            listed: AtomicBool::new(false),
            default_acl: OnceLock::new(),
        }))
    }

    /// Metadata of this directory.
    ///
    /// Fails when the file system does, as a server that forgot the directory (`ESTALE`).
    pub fn metadata(&self) -> io::Result<Metadata> {
        let metadata = metadata_of(&rustix::fs::fstat(self)?)?;
        self.0.device.get_or_init(|| metadata.dev);
        Ok(metadata)
    }

    /// The device that this directory lies on; asks the kernel once.
    pub fn device(&self) -> io::Result<u64> {
        match self.0.device.get() {
            Some(device) => Ok(*device),
            None => Ok(self.metadata()?.dev),
        }
    }

    /// Every name in this directory.
    ///
    /// Fails when nothing could be read; a directory that could be read in part gives a listing
    /// with an [`error`](Listing::error).
    pub fn list(&self) -> io::Result<Listing> {
        // The position belongs to the open directory: the second listing, and one that runs beside
        // the first, need a handle of their own. Test: `lists_twice_and_from_many_threads`.
        if self.0.listed.swap(true, Ordering::Relaxed) {
            return Listing::read(self.reopen()?.as_fd());
        }
        // Btrfs shows what was there when the directory was opened, until it is told to rewind.
        match rustix::fs::seek(self, SeekFrom::Start(0)) {
            // Opened for searching only: opening it again says what stands against reading it.
            Err(Errno::BADF) => Listing::read(self.reopen()?.as_fd()),
            sought => {
                sought?;
                Listing::read(self.as_fd())
            }
        }
    }

    /// Metadata of a name; of a link, the link's own.
    pub fn stat(&self, name: &[u8]) -> io::Result<Metadata> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        metadata_of(&retry_on_intr(|| rustix::fs::statat(self, component(name)?, flags))?)
    }

    /// Metadata of what a name leads to, through any links.
    ///
    /// Fails with [`io::ErrorKind::NotFound`] for a link that leads to nothing, too.
    pub fn stat_following(&self, name: &[u8]) -> io::Result<Metadata> {
        metadata_of(&retry_on_intr(|| {
            rustix::fs::statat(self, component(name)?, AtFlags::empty())
        })?)
    }

    /// The target of a link.
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] for what is no link.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let target = rustix::fs::readlinkat(self, component(name)?, Vec::with_capacity(256))?;
        Ok(target.into_bytes())
    }

    /// Makes a directory. The kernel heeds the permission and sticky bits of `mode`, less the
    /// umask.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] for a name that is taken, by whatever.
    pub fn make_dir(&self, name: &[u8], mode: u32) -> io::Result<()> {
        let (name, mode) = (component(name)?, Mode::from_bits_truncate(mode));
        Ok(with_room(self, || rustix::fs::mkdirat(self, name, mode))?)
    }

    /// Makes a link with this target.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] for a name that is taken, by whatever.
    pub fn make_symlink(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        let name = component(name)?;
        Ok(with_room(self, || rustix::fs::symlinkat(target, self, name))?)
    }

    /// Makes a pipe, a socket or a device.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] for a name that is taken, by whatever, and with
    /// [`io::ErrorKind::InvalidInput`] for a kind that is none of these.
    pub fn make_node(
        &self,
        name: &[u8],
        kind: Kind,
        mode: u32,
        rdev: DeviceNumber,
    ) -> io::Result<()> {
        let file_type = match kind {
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::File | Kind::Directory | Kind::Symlink => {
                return Err(invalid("not a kind that mknod makes"));
            }
        };
        let (name, mode) = (component(name)?, Mode::from_bits_truncate(mode));
        let device = rustix::fs::makedev(rdev.major, rdev.minor);
        Ok(with_room(self, || rustix::fs::mknodat(self, name, file_type, mode, device))?)
    }

    /// Gives a file, or a link itself, a second name.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] for a name that is taken, with
    /// [`io::ErrorKind::CrossesDevices`] between file systems, and with
    /// [`io::ErrorKind::TooManyLinks`] when the inode has as many as it can.
    pub fn hard_link(&self, name: &[u8], to: &Self, to_name: &[u8]) -> io::Result<()> {
        let (name, to_name) = (component(name)?, component(to_name)?);
        Ok(with_room(to, || rustix::fs::linkat(self, name, to, to_name, AtFlags::empty()))?)
    }

    /// Renames.
    ///
    /// Where the file system cannot refuse by itself, [`Existing::Refuse`] is made of a hard link
    /// and a removal, and for what cannot be linked of a look and a rename, which leaves a gap.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] as [`Existing::Refuse`] asks, with
    /// [`io::ErrorKind::CrossesDevices`] between file systems, and with
    /// [`io::ErrorKind::IsADirectory`], [`io::ErrorKind::NotADirectory`] or
    /// [`io::ErrorKind::DirectoryNotEmpty`] where one kind cannot replace the other.
    pub fn rename(
        &self,
        name: &[u8],
        to: &Self,
        to_name: &[u8],
        existing: Existing,
    ) -> io::Result<()> {
        let (from, onto) = (component(name)?, component(to_name)?);
        if existing == Existing::Replace {
            return Ok(with_room(to, || rustix::fs::renameat(self, from, to, onto))?);
        }
        let flags = RenameFlags::NOREPLACE;
        match with_room(to, || rustix::fs::renameat_with(self, from, to, onto, flags)) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.rename_refusing_by_hand(name, to, to_name)
            }
            result => Ok(result?),
        }
    }

    fn rename_refusing_by_hand(&self, name: &[u8], to: &Self, to_name: &[u8]) -> io::Result<()> {
        match with_room(to, || rustix::fs::linkat(self, name, to, to_name, AtFlags::empty())) {
            Ok(()) => self.remove_file(name),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                match to.stat(to_name) {
                    Ok(_) => Err(Errno::EXIST.into()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.rename(name, to, to_name, Existing::Replace)
                    }
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a name that is not a directory.
    ///
    /// Fails with [`io::ErrorKind::IsADirectory`] for a directory.
    pub fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, component(name)?, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// Fails with [`io::ErrorKind::DirectoryNotEmpty`] while something is in it, with
    /// [`io::ErrorKind::NotADirectory`] for anything else, and with
    /// [`io::ErrorKind::ResourceBusy`] for a mount point.
    pub fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, component(name)?, AtFlags::REMOVEDIR)?)
    }

    /// Sets times of a name; of a link, the link's own.
    pub fn set_times(&self, name: &[u8], times: Times) -> io::Result<()> {
        let name = component(name)?;
        match timestamps(times)? {
            Some(stamps) => {
                Ok(rustix::fs::utimensat(self, name, &stamps, AtFlags::SYMLINK_NOFOLLOW)?)
            }
            None => Ok(()),
        }
    }

    /// Sets owner and group of a name; of a link, the link's own. `None` leaves it.
    pub fn set_owner(&self, name: &[u8], uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (name, (uid, gid)) = (component(name)?, owner(uid, gid)?);
        Ok(rustix::fs::chownat(self, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// True of a directory that this process may list, write to and search.
    pub fn may_work_in(&self, name: &[u8]) -> bool {
        let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        component(name)
            .is_ok_and(|name| rustix::fs::accessat(self, name, all, AtFlags::EACCESS).is_ok())
    }

    /// Sets the low twelve mode bits of a name; fails with [`io::ErrorKind::Unsupported`] for a
    /// link.
    pub fn set_mode(&self, name: &[u8], mode: u32) -> io::Result<()> {
        sys::set_mode_of_name(self.as_fd(), component(name)?, Mode::from_bits_truncate(mode))
    }

    /// Opens a file for reading. The open of a pipe does not wait for a writer; a link fails.
    ///
    /// Fails with `ELOOP` for a link.
    pub fn open_file(&self, name: &[u8], atime: AccessTime) -> io::Result<File> {
        let flags = OPEN_FILE.union(OFlags::RDONLY).union(OFlags::NOFOLLOW);
        Ok(File::opened(self.open_with_atime(name, flags, atime)?))
    }

    /// Opens what a name leads to, through any links, for reading.
    pub fn open_file_following(&self, name: &[u8], atime: AccessTime) -> io::Result<File> {
        Ok(File::opened(self.open_with_atime(name, OPEN_FILE.union(OFlags::RDONLY), atime)?))
    }

    /// Opens a file for reading and writing in place. A link fails.
    pub fn open_for_update(&self, name: &[u8]) -> io::Result<File> {
        let flags = OPEN_FILE.union(OFlags::RDWR).union(OFlags::NOFOLLOW);
        Ok(File::opened(self.open(name, flags, 0)?))
    }

    /// Opens a block device for reading and writing if nobody else uses it: it is mounted by nobody and no
    /// part of another device then, and nobody else has opened it so. A link fails.
    ///
    /// Fails with [`io::ErrorKind::ResourceBusy`] if somebody does.
    pub fn open_device_alone(&self, name: &[u8]) -> io::Result<File> {
        let flags = OPEN_FILE.union(OFlags::RDWR).union(OFlags::EXCL).union(OFlags::NOFOLLOW);
        Ok(File::opened(self.open(name, flags, 0)?))
    }

    /// Opens a file for writing in place, which needs no permission to read it. A link fails.
    pub fn open_for_writing(&self, name: &[u8]) -> io::Result<File> {
        let flags = OPEN_FILE.union(OFlags::WRONLY).union(OFlags::NOFOLLOW);
        Ok(File::opened(self.open(name, flags, 0)?))
    }

    /// Creates a file that was not there; opens it for reading and writing.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] for a name that is taken, by a link, too.
    pub fn create_file(&self, name: &[u8], mode: u32) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::created(self.open(name, flags, mode)?, self.0.device.get().copied()))
    }

    /// Waits until everything written to this file system is on its disk.
    ///
    /// Fails with what went wrong when something was written back, whoever wrote it.
    pub fn sync_filesystem(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::syncfs(self))?)
    }

    /// Whether another file system is mounted on this name, a bind mount included. `name` itself
    /// is looked at, not what a link leads to; nothing is mounted by the question.
    pub fn is_mount_root(&self, name: &[u8]) -> io::Result<bool> {
        match sys::is_mount_root(self.as_fd(), component(name)?)? {
            Some(answer) => Ok(answer),
            None => Ok(self.stat(name)?.dev != self.device()?),
        }
    }

    /// Number of the mount that this directory lies in, a bind mount being one of its own; `None`
    /// where the kernel cannot tell.
    pub fn mount_id(&self) -> io::Result<Option<u64>> {
        if let Some(known) = self.0.mount_id.get() {
            return Ok(*known);
        }
        let answer = sys::mount_id(self.as_fd())?;
        Ok(*self.0.mount_id.get_or_init(|| answer))
    }

    /// Whether a name can be renamed from here into another directory, as far as mounts and devices
    /// tell; asks the kernel once for each directory.
    pub fn can_rename_into(&self, to: &Self) -> io::Result<bool> {
        Ok(self.device()? == to.device()? && self.mount_id()? == to.mount_id()?)
    }

    /// The device that files made here are known to lie on, without asking the kernel.
    pub(crate) fn known_device(&self) -> Option<u64> {
        self.0.device.get().copied()
    }

    fn open_with_atime(
        &self,
        name: &[u8],
        flags: OFlags,
        atime: AccessTime,
    ) -> io::Result<OwnedFd> {
        if atime == AccessTime::Keep {
            match self.open(name, flags.union(OFlags::NOATIME), 0) {
                // Only the owner and root may read without trace.
                Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {}
                result => return result,
            }
        }
        self.open(name, flags, 0)
    }

    fn open(&self, name: &[u8], flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
        let (name, mode) = (component(name)?, Mode::from_bits_truncate(mode));
        let open = || retry_on_intr(|| rustix::fs::openat(self, name, flags, mode));
        match with_room(self, open) {
            // Somebody holds a lease, such as Samba for a client that caches the file.
            Err(Errno::WOULDBLOCK) if flags.contains(OFlags::NONBLOCK) => {
                sys::open_leased(self.as_fd(), name, flags)
            }
            opened => Ok(opened?),
        }
    }
}

/// What a directory itself has.
mod descendant;
mod own;
/// Directories that need not be read.
pub(crate) mod search;

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

/// Refuses every name that is more, or less, than one component.
pub(crate) fn component(name: &[u8]) -> Result<&[u8], Errno> {
    if model::rel_path::is_component(name) { Ok(name) } else { Err(Errno::INVAL) }
}

pub(crate) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

pub(crate) fn metadata_of(stat: &rustix::fs::Stat) -> io::Result<Metadata> {
    let kind = Kind::from_st_mode(stat.st_mode)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown type of file"))?;
    Ok(Metadata {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: timestamp(stat.st_mtime, stat.st_mtime_nsec),
        atime: timestamp(stat.st_atime, stat.st_atime_nsec),
        rdev: DeviceNumber {
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        },
        dev: stat.st_dev,
        ino: stat.st_ino,
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        allocated_blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
    })
}

fn timestamp(secs: i64, nanos: u64) -> Timestamp {
    Timestamp { secs, nanos: u32::try_from(nanos).unwrap_or(0) }
}

pub(crate) fn set_times_of(fd: BorrowedFd<'_>, times: Times) -> io::Result<()> {
    match timestamps(times)? {
        Some(stamps) => Ok(rustix::fs::futimens(fd, &stamps)?),
        None => Ok(()),
    }
}

pub(crate) fn set_owner_of(
    fd: BorrowedFd<'_>,
    uid: Option<u32>,
    gid: Option<u32>,
) -> io::Result<()> {
    let (uid, gid) = owner(uid, gid)?;
    Ok(rustix::fs::fchown(fd, uid, gid)?)
}

type Owner = (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>);

/// The kernel reads id 0xffffffff as "leave it", so it is refused as an id.
fn owner(uid: Option<u32>, gid: Option<u32>) -> io::Result<Owner> {
    if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
        return Err(invalid("not an id of a user or group"));
    }
    Ok((uid.map(rustix::fs::Uid::from_raw), gid.map(rustix::fs::Gid::from_raw)))
}

/// `None` when there is nothing to set.
fn timestamps(times: Times) -> io::Result<Option<Timestamps>> {
    if times == Times::default() {
        return Ok(None);
    }
    let last_access = timespec(times.atime)?;
    let last_modification = timespec(times.mtime)?;
    Ok(Some(Timestamps { last_access, last_modification }))
}

/// Nanoseconds beyond a second are refused here, because some of them are commands to the kernel.
fn timespec(time: Option<Timestamp>) -> io::Result<Timespec> {
    match time {
        None => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }),
        Some(time) if time.nanos < 1_000_000_000 => {
            Ok(Timespec { tv_sec: time.secs, tv_nsec: time.nanos.into() })
        }
        Some(_) => Err(invalid("nanoseconds of a time are a second or more")),
    }
}

#[cfg(test)]
mod tests;
