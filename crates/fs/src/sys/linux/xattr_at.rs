//! Extended attributes of a name below an open directory; a link stands for itself.
//!
//! Two ways. Kernels since 6.13 take a directory and a name. Before that a path has to do, and
//! `/proc/self/fd/N/name` is one that cannot be redirected: the kernel goes from N to the open
//! directory itself, one component remains, and a link there is not followed. The first way is used
//! where it exists because it takes a fifth of the time.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use rustix::fs::XattrFlags;
use rustix::io::Errno;
use rustix::path::Arg;

use super::{path_of_fd, raw};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    Proc,
}

fn way() -> Way {
    static WAY: OnceLock<Way> = OnceLock::new();
    // An empty name cannot be found by a kernel that has the call; a sandbox may answer EPERM to
    // calls that it does not know.
    *WAY.get_or_init(|| match raw::list_xattrs_at(rustix::fs::CWD, c"", &mut []) {
        Err(Errno::NOENT) => Way::Direct,
        _ => Way::Proc,
    })
}

/// Fills `buffer` with the names of all attributes; an empty buffer asks for the length.
pub(crate) fn list(dir: BorrowedFd<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
    list_by(way(), dir, name, buffer)
}

fn list_by(way: Way, dir: BorrowedFd<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
    match way {
        Way::Direct => name.into_with_c_str(|name| raw::list_xattrs_at(dir, name, buffer)),
        Way::Proc if buffer.is_empty() => rustix::fs::llistxattr_query(path(dir, name)),
        Way::Proc => rustix::fs::llistxattr(path(dir, name), buffer),
    }
}

/// Fills `buffer` with a value; an empty buffer asks for the length.
pub(crate) fn get(
    dir: BorrowedFd<'_>,
    name: &[u8],
    attribute: &CStr,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    get_by(way(), dir, name, attribute, buffer)
}

fn get_by(
    way: Way,
    dir: BorrowedFd<'_>,
    name: &[u8],
    attribute: &CStr,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    match way {
        Way::Direct => name.into_with_c_str(|name| raw::get_xattr_at(dir, name, attribute, buffer)),
        Way::Proc if buffer.is_empty() => rustix::fs::lgetxattr_query(path(dir, name), attribute),
        Way::Proc => rustix::fs::lgetxattr(path(dir, name), attribute, buffer),
    }
}

/// Sets a value.
pub(crate) fn set(
    dir: BorrowedFd<'_>,
    name: &[u8],
    attribute: &CStr,
    value: &[u8],
) -> Result<(), Errno> {
    set_by(way(), dir, name, attribute, value)
}

fn set_by(
    way: Way,
    dir: BorrowedFd<'_>,
    name: &[u8],
    attribute: &CStr,
    value: &[u8],
) -> Result<(), Errno> {
    match way {
        Way::Direct => name.into_with_c_str(|name| raw::set_xattr_at(dir, name, attribute, value)),
        Way::Proc => rustix::fs::lsetxattr(path(dir, name), attribute, value, XattrFlags::empty()),
    }
}

/// Removes an attribute.
pub(crate) fn remove(dir: BorrowedFd<'_>, name: &[u8], attribute: &CStr) -> Result<(), Errno> {
    remove_by(way(), dir, name, attribute)
}

fn remove_by(way: Way, dir: BorrowedFd<'_>, name: &[u8], attribute: &CStr) -> Result<(), Errno> {
    match way {
        Way::Direct => name.into_with_c_str(|name| raw::remove_xattr_at(dir, name, attribute)),
        Way::Proc => rustix::fs::lremovexattr(path(dir, name), attribute),
    }
}

fn path(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = path_of_fd(dir).into_bytes();
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

#[cfg(test)]
mod tests;
