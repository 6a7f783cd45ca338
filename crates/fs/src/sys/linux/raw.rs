//! System calls that rustix has no safe form of yet: `fchmodat2`, those on extended attributes of a
//! name below an open directory, `close` with its answer, what locks others have, leases, and what a loop
//! device shows.
//!
//! The only place of the crate with `unsafe`. Each function takes safe types, passes one system
//! call on, and answers as rustix does.

use std::ffi::{CStr, c_int, c_long, c_short, c_uint, c_ulong};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::Signal;

// Calls this young have the same number on all architectures that Rust's std has on Linux, but for
// those that count from an offset.
#[cfg(any(target_arch = "mips", target_arch = "mips32r6"))]
const OFFSET: c_long = 4000;
#[cfg(any(target_arch = "mips64", target_arch = "mips64r6"))]
const OFFSET: c_long = 5000;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
const OFFSET: c_long = 0x4000_0000;
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6",
    all(target_arch = "x86_64", target_pointer_width = "32")
)))]
const OFFSET: c_long = 0;

const FCHMODAT2: c_long = OFFSET + 452;
const SETXATTRAT: c_long = OFFSET + 463;
const GETXATTRAT: c_long = OFFSET + 464;
const LISTXATTRAT: c_long = OFFSET + 465;
const REMOVEXATTRAT: c_long = OFFSET + 466;

/// `AT_SYMLINK_NOFOLLOW`.
const NOFOLLOW: c_int = 0x100;

/// `struct xattr_args`: where a value is, or shall go.
#[repr(C, align(8))]
struct Value {
    address: u64,
    len: u32,
    flags: u32,
}

// SAFETY: the signature is that of syscall(2) in the C library that std links.
#[expect(unsafe_code, reason = "the C library's gate to system calls without a wrapper")]
unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
}

/// `struct flock`: of a whole file, and who has it.
#[repr(C)]
struct Lock {
    kind: c_short,
    whence: c_short,
    start: i64,
    length: i64,
    process: c_int,
}

/// `struct loop_info64`, as far as it is looked at.
#[repr(C)]
struct LoopStatus {
    device: u64,
    inode: u64,
    /// Of a block device that is shown.
    rdevice: u64,
    rest: [u64; 26],
}

/// `fchmodat2(2)`, since Linux 6.6.
pub(super) fn set_mode_at(dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<(), Errno> {
    name.into_with_c_str(|name| {
        let mode = c_uint::from(mode.bits());
        #[expect(unsafe_code, reason = "no safe form of this call exists")]
        // SAFETY: `dir` is open and `name` ends in NUL; the kernel only reads them.
        let answer = unsafe { syscall(FCHMODAT2, dir.as_raw_fd(), name.as_ptr(), mode, NOFOLLOW) };
        outcome(answer).map(drop)
    })
}

/// `listxattrat(2)`, since Linux 6.13; an empty buffer asks for the length alone.
pub(super) fn list_xattrs_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    #[expect(unsafe_code, reason = "no safe form of this call exists")]
    // SAFETY: `dir` is open, `name` ends in NUL, and the kernel writes at most as many bytes as
    // it is told that `buffer` has.
    let answer = unsafe {
        syscall(
            LISTXATTRAT,
            dir.as_raw_fd(),
            name.as_ptr(),
            NOFOLLOW,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    outcome(answer)
}

/// `getxattrat(2)`, since Linux 6.13; an empty buffer asks for the length alone.
pub(super) fn get_xattr_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    let value = Value { address: buffer.as_mut_ptr().expose_provenance() as u64, len, flags: 0 };
    #[expect(unsafe_code, reason = "no safe form of this call exists")]
    // SAFETY: `dir` is open, the names end in NUL, `value` lives through the call, has the size
    // that is told, and names `buffer` with at most its length, which is borrowed for writing.
    let answer = unsafe {
        syscall(
            GETXATTRAT,
            dir.as_raw_fd(),
            name.as_ptr(),
            NOFOLLOW,
            attribute.as_ptr(),
            &raw const value,
            size_of::<Value>(),
        )
    };
    outcome(answer)
}

/// `setxattrat(2)`, since Linux 6.13.
pub(super) fn set_xattr_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    bytes: &[u8],
) -> Result<(), Errno> {
    let len = u32::try_from(bytes.len()).map_err(|_| Errno::TOOBIG)?;
    let value = Value { address: bytes.as_ptr().expose_provenance() as u64, len, flags: 0 };
    #[expect(unsafe_code, reason = "no safe form of this call exists")]
    // SAFETY: `dir` is open, the names end in NUL, `value` lives through the call, has the size
    // that is told, and names `bytes` with their length, which the kernel only reads.
    let answer = unsafe {
        syscall(
            SETXATTRAT,
            dir.as_raw_fd(),
            name.as_ptr(),
            NOFOLLOW,
            attribute.as_ptr(),
            &raw const value,
            size_of::<Value>(),
        )
    };
    outcome(answer).map(drop)
}

/// `removexattrat(2)`, since Linux 6.13.
pub(super) fn remove_xattr_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "no safe form of this call exists")]
    // SAFETY: `dir` is open and the names end in NUL; the kernel only reads them.
    let answer = unsafe {
        syscall(REMOVEXATTRAT, dir.as_raw_fd(), name.as_ptr(), NOFOLLOW, attribute.as_ptr())
    };
    outcome(answer).map(drop)
}

/// `F_OFD_GETLK` of fcntl(2): the first lock, of whatever process, by record or by open file, that keeps us
/// from writing; takes none. Of a lock of an open file no process is known, and -1 is said.
pub(super) fn lock_of_others(fd: BorrowedFd<'_>) -> Result<Option<c_int>, Errno> {
    const F_OFD_GETLK: c_int = 36;
    const F_WRLCK: c_short = 1;
    const F_UNLCK: c_short = 2;

    // Elsewhere the C library has another structure for it.
    if cfg!(not(target_pointer_width = "64")) {
        return Ok(None);
    }
    let mut lock = Lock { kind: F_WRLCK, whence: 0, start: 0, length: 0, process: 0 };
    #[expect(unsafe_code, reason = "rustix knows no locks of open files")]
    // SAFETY: `fd` is open, and `lock` is a `struct flock` of 64 bit that lives through the call.
    let answer = unsafe { fcntl(fd.as_raw_fd(), F_OFD_GETLK, &raw mut lock) };
    outcome(answer.into())?;
    Ok((lock.kind != F_UNLCK).then_some(lock.process))
}

/// `F_SETLEASE` of fcntl(2): takes a lease to read, and gives it back. Fails with [`Errno::AGAIN`] where
/// somebody has the file open for writing.
pub(super) fn try_lease_to_read(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    const F_SETSIG: c_int = 10;
    const F_SETLEASE: c_int = 1024;
    const F_RDLCK: c_int = 0;
    const F_UNLCK: c_int = 2;

    let fd = fd.as_raw_fd();
    // Who opens it before the lease is given back has us told, by a signal that would end the process
    // were it not another one, which is ignored.
    for (command, argument) in
        [(F_SETSIG, Signal::URG.as_raw()), (F_SETLEASE, F_RDLCK), (F_SETLEASE, F_UNLCK)]
    {
        #[expect(unsafe_code, reason = "rustix knows no leases")]
        // SAFETY: `fd` is open, and these commands take a number.
        let answer = unsafe { fcntl(fd, command, argument) };
        outcome(answer.into())?;
    }
    Ok(())
}

/// `LOOP_GET_STATUS64` of loop(4): device and inode of the file that a loop device shows, and the number of
/// that file if it is a device, else 0.
pub(super) fn loop_status(fd: BorrowedFd<'_>) -> Result<(u64, u64, u64), Errno> {
    const LOOP_GET_STATUS64: c_ulong = 0x4C05;

    let mut status = LoopStatus { device: 0, inode: 0, rdevice: 0, rest: [0; 26] };
    #[expect(unsafe_code, reason = "no safe form of this call exists")]
    // SAFETY: `fd` is open, and `status` has the size of a `struct loop_info64`, which the kernel fills.
    let answer = unsafe { ioctl(fd.as_raw_fd(), LOOP_GET_STATUS64, &raw mut status) };
    outcome(answer.into())?;
    Ok((status.device, status.inode, status.rdevice))
}

/// `close(2)`, with what it says.
pub(super) fn close(fd: OwnedFd) -> Result<(), Errno> {
    let fd = fd.into_raw_fd();
    #[expect(unsafe_code, reason = "dropping a descriptor hides the answer")]
    // SAFETY: the descriptor is ours alone since `into_raw_fd`, and is not used afterwards.
    unsafe {
        rustix::io::try_close(fd)
    }
}

/// The C library answers -1 and keeps the reason aside.
fn outcome(answer: c_long) -> Result<usize, Errno> {
    usize::try_from(answer).map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::IO)
    })
}
