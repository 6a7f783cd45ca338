//! Extended attributes of open files and of names below an open directory.
//!
//! Most entries have none, so listing an entry without attributes is one system call and no
//! allocation. Which attributes are copied is decided elsewhere.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, XattrFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use crate::dir::{self, Dir};
use crate::file::File;
use crate::sys::{path_of_fd, xattr_at};

/// What carries the attributes.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    /// An open file or directory.
    Fd(BorrowedFd<'a>),
    /// A name below an open directory; a link stands for itself.
    Name(&'a Dir, &'a [u8]),
    /// What a name leads to.
    Behind(&'a Behind),
}

/// What a name leads to, through any links. It is not opened: a socket cannot be, and to open a
/// device may do something.
#[derive(Debug)]
pub struct Behind(OwnedFd);

impl Behind {
    /// Finds it.
    pub fn of(dir: &Dir, name: &[u8]) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(Self(retry_on_intr(|| {
            rustix::fs::openat(dir, dir::component(name)?, flags, Mode::empty())
        })?))
    }

    /// The kernel goes from this path to what was found, wherever that is now.
    fn path(&self) -> String {
        path_of_fd(self.0.as_fd())
    }
}

impl<'a> From<&'a Behind> for Node<'a> {
    fn from(behind: &'a Behind) -> Self {
        Self::Behind(behind)
    }
}

impl<'a> From<&'a File> for Node<'a> {
    fn from(file: &'a File) -> Self {
        Self::Fd(file.as_fd())
    }
}

impl<'a> From<&'a Dir> for Node<'a> {
    fn from(dir: &'a Dir) -> Self {
        Self::Fd(dir.as_fd())
    }
}

/// First try for names and values: almost all fit.
const STACK_BYTES: usize = 512;

/// An attribute that grows between "how long" and "give me" this often does so on purpose.
const GROWTH_ATTEMPTS: usize = 16;

/// Longest name of an attribute that Linux takes.
const NAME_MAX_BYTES: usize = 255;

/// Names of all attributes; none where the file system has no attributes.
pub fn list(node: Node<'_>) -> io::Result<Vec<Box<[u8]>>> {
    let parse = |bytes: &[u8]| -> Vec<Box<[u8]>> {
        bytes.split(|&byte| byte == 0).filter(|name| !name.is_empty()).map(Box::from).collect()
    };
    match read_growing(&mut |buffer| list_into(node, buffer), parse) {
        Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
        names => Ok(names?),
    }
}

/// The value of an attribute; `None` when there is no such attribute, or no attributes at all.
pub fn get(node: Node<'_>, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let value = with_name(name, |name| {
        read_growing(&mut |buffer| get_into(node, name, buffer), <[u8]>::to_vec)
    });
    match value {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        value => Ok(Some(value?)),
    }
}

/// Sets the value of an attribute, new or not.
pub fn set(node: Node<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
    let done = with_name(name, |attribute| match node {
        Node::Fd(fd) => rustix::fs::fsetxattr(fd, attribute, value, XattrFlags::empty()),
        Node::Name(dir, name) => {
            xattr_at::set(dir.as_fd(), dir::component(name)?, attribute, value)
        }
        Node::Behind(end) => {
            rustix::fs::setxattr(end.path(), attribute, value, XattrFlags::empty())
        }
    });
    Ok(done?)
}

/// Removes an attribute; it is no error when there is none.
pub fn remove(node: Node<'_>, name: &[u8]) -> io::Result<()> {
    let done = with_name(name, |attribute| match node {
        Node::Fd(fd) => rustix::fs::fremovexattr(fd, attribute),
        Node::Name(dir, name) => xattr_at::remove(dir.as_fd(), dir::component(name)?, attribute),
        Node::Behind(end) => rustix::fs::removexattr(end.path(), attribute),
    });
    match done {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        done => Ok(done?),
    }
}

/// An empty buffer asks for the length.
fn list_into(node: Node<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    match node {
        Node::Fd(fd) if buffer.is_empty() => or_by_path(rustix::fs::flistxattr_query(fd), || {
            rustix::fs::listxattr_query(path_of_fd(fd))
        }),
        Node::Fd(fd) => or_by_path(rustix::fs::flistxattr(fd, &mut *buffer), || {
            rustix::fs::listxattr(path_of_fd(fd), buffer)
        }),
        Node::Name(dir, name) => xattr_at::list(dir.as_fd(), dir::component(name)?, buffer),
        Node::Behind(end) if buffer.is_empty() => rustix::fs::listxattr_query(end.path()),
        Node::Behind(end) => rustix::fs::listxattr(end.path(), buffer),
    }
}

/// An empty buffer asks for the length.
fn get_into(node: Node<'_>, attribute: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    match node {
        Node::Fd(fd) if buffer.is_empty() => {
            or_by_path(rustix::fs::fgetxattr_query(fd, attribute), || {
                rustix::fs::getxattr_query(path_of_fd(fd), attribute)
            })
        }
        Node::Fd(fd) => or_by_path(rustix::fs::fgetxattr(fd, attribute, &mut *buffer), || {
            rustix::fs::getxattr(path_of_fd(fd), attribute, buffer)
        }),
        Node::Name(dir, name) => {
            xattr_at::get(dir.as_fd(), dir::component(name)?, attribute, buffer)
        }
        Node::Behind(end) if buffer.is_empty() => rustix::fs::getxattr_query(end.path(), attribute),
        Node::Behind(end) => rustix::fs::getxattr(end.path(), attribute, buffer),
    }
}

/// A directory that was opened only to be searched is named by its path in /proc: the kernel takes
/// its descriptor for nothing else (`EBADF`).
fn or_by_path(
    done: Result<usize, Errno>,
    by_path: impl FnOnce() -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    match done {
        Err(Errno::BADF) => by_path(),
        done => done,
    }
}

/// The kernel answers "too small a buffer" to a name of the wrong length, so that is caught here.
fn with_name<T>(name: &[u8], then: impl FnOnce(&CStr) -> Result<T, Errno>) -> Result<T, Errno> {
    if name.is_empty() || name.len() > NAME_MAX_BYTES {
        return Err(Errno::INVAL);
    }
    name.into_with_c_str(then)
}

fn read_growing<T>(
    read: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>,
    parse: impl FnOnce(&[u8]) -> T,
) -> Result<T, Errno> {
    let mut small = [0; STACK_BYTES];
    match read(&mut small) {
        Err(Errno::RANGE) => {}
        answer => return Ok(parse(&small[..answer?])),
    }
    for _ in 0..GROWTH_ATTEMPTS {
        let mut buffer = vec![0; read(&mut [])?.max(1)];
        match read(&mut buffer) {
            Err(Errno::RANGE) => {}
            answer => return Ok(parse(&buffer[..answer?])),
        }
    }
    Err(Errno::RANGE)
}

#[cfg(test)]
mod tests;
