//! System calls that rustix has no safe form of yet: `fchmodat2`, those on extended attributes of a
//! name below an open directory, and `close` with its answer.
//!
//! The only place of the crate with `unsafe`. Each function takes safe types, passes one system
//! call on, and answers as rustix does.

use std::ffi::{CStr, c_int, c_long, c_uint};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::path::Arg;

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
