//! Linux.

/// System calls that rustix has no safe form of.
mod raw;

/// Extended attributes of a name below an open directory.
pub(crate) mod xattr_at;

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use model::Kind;
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, Mode, OFlags, RawDir, StatxAttributes, StatxFlags,
};
use rustix::io::{Errno, retry_on_intr};

use crate::room::with_room;

/// 32 to 64 KiB of directory entries for each call is where the cost of an entry stops falling.
const LIST_BUFFER_BYTES: usize = 64 * 1024;

/// Tells `each` name and kind of every entry, `.` and `..` included, until it fails.
pub(crate) fn list_names(
    fd: BorrowedFd<'_>,
    mut each: impl FnMut(&[u8], Option<Kind>) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(LIST_BUFFER_BYTES);
    let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        each(entry.file_name().to_bytes(), kind_of(entry.file_type()))?;
    }
    Ok(())
}

fn kind_of(file_type: FileType) -> Option<Kind> {
    Some(match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::Unknown => return None,
    })
}

/// Sets mode bits of a name, never through a link.
pub(crate) fn set_mode_of_name(fd: BorrowedFd<'_>, name: &[u8], mode: Mode) -> io::Result<()> {
    static LACKS_CALL: AtomicBool = AtomicBool::new(false);
    if !LACKS_CALL.load(Ordering::Relaxed) {
        match raw::set_mode_at(fd, name, mode) {
            Err(Errno::NOSYS) => LACKS_CALL.store(true, Ordering::Relaxed),
            result => return Ok(result?),
        }
    }
    set_mode_by_handle(fd, name, mode)
}

/// The way of kernels before 6.6: a handle that opens nothing, and its entry in /proc.
pub(crate) fn set_mode_by_handle(fd: BorrowedFd<'_>, name: &[u8], mode: Mode) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(fd, name, flags, Mode::empty())?;
    let found = FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode);
    if found == FileType::Symlink {
        return Err(Errno::OPNOTSUPP.into());
    }
    Ok(rustix::fs::chmod(path_of_fd(handle.as_fd()), mode)?)
}

/// The path in /proc by which an open file can be named.
pub(crate) fn path_of_fd(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Number of the file system's type, of statfs(2).
pub(crate) fn file_system_magic(fd: BorrowedFd<'_>) -> io::Result<u64> {
    #[expect(clippy::cast_sign_loss, reason = "a magic number is a bit pattern")]
    Ok(rustix::fs::fstatfs(fd)?.f_type as u64)
}

/// Closes a descriptor and tells what that says.
pub(crate) fn close(fd: OwnedFd) -> io::Result<()> {
    Ok(raw::close(fd)?)
}

/// Whether an open file lies in /proc.
pub(crate) fn is_on_proc(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(fd)?.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Whether a mount begins at a name; `None` when the kernel cannot tell.
pub(crate) fn is_mount_root(fd: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<bool>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match rustix::fs::statx(fd, name, flags, StatxFlags::empty()) {
        Ok(answer) if answer.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            Ok(Some(answer.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)))
        }
        Ok(_) | Err(Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Number of the mount that an open directory lies in; `None` when the kernel cannot tell.
pub(crate) fn mount_id(fd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    match rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(answer) => {
            let is_told =
                StatxFlags::from_bits_retain(answer.stx_mask).contains(StatxFlags::MNT_ID);
            Ok(is_told.then_some(answer.stx_mnt_id))
        }
        Err(Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The process that has a lock that keeps us from writing, -1 where the kernel does not tell; takes none.
pub(crate) fn lock_of_others(fd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    Ok(raw::lock_of_others(fd)?)
}

/// Device and inode of what a loop device shows, and its number if that is a device itself.
pub(crate) fn loop_status(fd: BorrowedFd<'_>) -> io::Result<(u64, u64, u64)> {
    Ok(raw::loop_status(fd)?)
}

/// Turns a range into a hole.
pub(crate) fn punch_hole(fd: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let len = range.end - range.start;
    Ok(retry_on_intr(|| rustix::fs::fallocate(fd, mode, range.start, len))?)
}

/// Reserves space without changing the length.
pub(crate) fn preallocate(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let reserve = || rustix::fs::fallocate(fd, FallocateFlags::KEEP_SIZE, 0, len);
    Ok(with_room(fd, || retry_on_intr(reserve))?)
}

/// Opens a file without a name in a directory.
pub(crate) fn open_anonymous(fd: BorrowedFd<'_>, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(fd, c".", flags, mode))
}

/// Whether a file without a name can be given one later.
pub(crate) fn can_link_anonymous() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| rustix::fs::stat(c"/proc/self/fd").is_ok())
}

/// Gives a file without a name its name; never replaces one.
pub(crate) fn link_anonymous(
    file: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(), Errno> {
    // Naming by descriptor needs a capability, or Linux 6.10 and our own file; it is one path walk
    // cheaper than /proc, so it is tried until it is refused once.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if !REFUSED.load(Ordering::Relaxed) {
        let link = || rustix::fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH);
        match with_room(dir, link) {
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {}
            result => return result,
        }
    }
    link_by_path(file, dir, name)?;
    REFUSED.store(true, Ordering::Relaxed);
    Ok(())
}

/// The way of kernels before 6.10 without the capability.
fn link_by_path(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let path = path_of_fd(file);
    let follow = AtFlags::SYMLINK_FOLLOW;
    with_room(dir, || rustix::fs::linkat(rustix::fs::CWD, &path, dir, name, follow))
}

/// Opens a regular file and waits until a lease on it is given up (fcntl(2)); fails for anything
/// else, whose opening could wait for ever.
pub(crate) fn open_leased(fd: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let as_named = OFlags::PATH | OFlags::CLOEXEC | flags.intersection(OFlags::NOFOLLOW);
    let handle = rustix::fs::openat(fd, name, as_named, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) != FileType::RegularFile {
        return Err(Errno::WOULDBLOCK.into());
    }
    let flags = flags.difference(OFlags::NOFOLLOW | OFlags::NONBLOCK);
    let path = path_of_fd(handle.as_fd());
    Ok(retry_on_intr(|| rustix::fs::open(path.as_str(), flags, Mode::empty()))?)
}

/// Whether somebody has a file open for writing, as far as this host lets us know.
pub(crate) fn is_open_for_writing(file: BorrowedFd<'_>) -> bool {
    raw::try_lease_to_read(file) == Err(Errno::AGAIN)
}

/// Shares all data of one file with another.
pub(crate) fn clone_file(src: BorrowedFd<'_>, dst: BorrowedFd<'_>) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::ioctl_ficlone(dst, src))
}

/// Lets the kernel copy up to `len` bytes between two files at the same offset.
pub(crate) fn copy_in_kernel(
    src: BorrowedFd<'_>,
    dst: BorrowedFd<'_>,
    offset: u64,
    len: usize,
) -> Result<usize, Errno> {
    retry_on_intr(|| {
        let (mut from, mut to) = (offset, offset);
        rustix::fs::copy_file_range(src, Some(&mut from), dst, Some(&mut to), len)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::on_each_file_system;

    #[test]
    fn a_file_without_a_name_gets_one_by_its_path_too() {
        on_each_file_system(|path, dir| {
            // Not every file system has such files.
            if let Ok(file) = open_anonymous(dir.as_fd(), Mode::RUSR) {
                link_by_path(file.as_fd(), dir.as_fd(), b"name").unwrap();
                assert!(path.join("name").is_file());
                let again = link_by_path(file.as_fd(), dir.as_fd(), b"name");
                assert_eq!(again, Err(Errno::EXIST));
            }
        });
    }

    #[test]
    fn only_a_regular_file_is_waited_for() {
        on_each_file_system(|path, dir| {
            std::fs::write(path.join("file"), b"text").unwrap();
            dir.make_symlink(b"file", b"link").unwrap();
            dir.make_node(b"pipe", Kind::Fifo, 0o600, model::DeviceNumber::default()).unwrap();
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let nofollow = flags | OFlags::NOFOLLOW;
            assert!(open_leased(dir.as_fd(), b"file", nofollow).is_ok());
            assert!(open_leased(dir.as_fd(), b"link", flags).is_ok());
            assert!(open_leased(dir.as_fd(), b"link", nofollow).is_err());
            assert!(open_leased(dir.as_fd(), b"pipe", nofollow).is_err());
        });
    }
}
