//! A path that the operator typed, walked by component.
//!
//! A path may lead through a directory where others can write, and a link planted there would make
//! us read, or overwrite, a file of their choice. So a link is followed only if root or we ourselves
//! made it. Guarded by the test `follows_only_links_of_root_and_our_own`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use model::Inode;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::dir::Dir;
use crate::dir::search::or_to_search;
use crate::operator::new_dir_mode;
use crate::{process, sys};

/// As many as the kernel follows in one path.
const LINKS_MAX: usize = 40;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What is done about a directory that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The walk fails.
    Fail,
    /// It is made.
    Make,
}

/// What may lie at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// What is read from its beginning to its end, or written so.
    Stream,
    /// What is read and written at any place.
    Image,
}

/// A path on the way to its file.
pub(crate) struct Walk {
    dir: OwnedFd,
    /// Components still to go, the next one last.
    rest: Vec<Vec<u8>>,
    links: usize,
    flags: OFlags,
    ends: Ends,
    /// The user whose links are followed, beside root's.
    pub(crate) trusted: u32,
    /// The directory that the file must lie below, if it must.
    beneath: Option<Inode>,
}

impl Walk {
    /// A walk from the working directory or the root to a file, which is opened with `flags`.
    pub(crate) fn new(path: &Path, flags: OFlags) -> io::Result<Self> {
        Self::from(start_of(CWD, b".")?, path, flags)
    }

    /// A walk from an open directory, or from the root, to a directory.
    pub(crate) fn below(dir: &Dir, path: &Path) -> io::Result<Self> {
        Self::from(start_of(dir, b".")?, path, OFlags::empty())
    }

    /// A walk from an open directory, or from the root, to a file, which is opened for reading.
    pub(crate) fn file_below(dir: &Dir, path: &Path) -> io::Result<Self> {
        Self::from(start_of(dir, b".")?, path, OFlags::RDONLY)
    }

    fn from(dir: OwnedFd, path: &Path, flags: OFlags) -> io::Result<Self> {
        let trusted = process::effective_uid();
        let (rest, ends) = (Vec::new(), Ends::Stream);
        let mut walk = Self { dir, rest, links: 0, flags, ends, trusted, beneath: None };
        walk.enter(path.as_os_str().as_bytes())?;
        Ok(walk)
    }

    /// Lets the walk end only in what lies below a directory, wherever it leads before.
    pub(crate) fn ending_beneath(self, root: Inode) -> Self {
        Self { beneath: Some(root), ..self }
    }

    /// Lets the walk end in a regular file or a block device, and in nothing else.
    pub(crate) fn ending_in_image(self) -> Self {
        Self { ends: Ends::Image, ..self }
    }

    /// Puts the components of a path before those still to go.
    fn enter(&mut self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if path.starts_with(b"/") {
            self.dir = start_of(CWD, b"/")?;
        }
        let components = path.split(|&byte| byte == b'/');
        // A slash at the end asks for a directory, which an empty path after it stands for.
        if path.ends_with(b"/") && self.rest.is_empty() {
            self.rest.push(b".".to_vec());
        }
        let sound = components.filter(|name| !matches!(*name, b"" | b"."));
        self.rest.extend(sound.rev().map(<[u8]>::to_vec));
        Ok(())
    }

    /// Opens the file at the end of the path.
    pub(crate) fn open(mut self) -> io::Result<File> {
        while let Some(name) = self.rest.pop() {
            let handle = match openat(&self.dir, &name, HANDLE | OFlags::NOFOLLOW, 0) {
                Err(Errno::NOENT) if self.is_to_create() => match self.create(&name) {
                    // Somebody was faster: look again what it is.
                    Err(Errno::EXIST) if !self.flags.contains(OFlags::EXCL) => {
                        self.count_link()?;
                        self.rest.push(name);
                        continue;
                    }
                    created => return Ok(created?.into()),
                },
                handle => handle?,
            };
            if self.is_to_create() && self.flags.contains(OFlags::EXCL) {
                return Err(Errno::EXIST.into());
            }
            let stat = rustix::fs::fstat(&handle)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                if let Some(end) = self.follow(&handle, &name, &stat)? {
                    return Ok(end);
                }
            } else if self.rest.is_empty() {
                return self.open_end(&name, &stat, OFlags::NOFOLLOW);
            } else {
                self.dir = handle;
            }
        }
        Err(Errno::ISDIR.into())
    }

    /// Opens the directory at the end of the path.
    pub(crate) fn open_dir(mut self, missing: Missing) -> io::Result<Dir> {
        self.go_to_dir(missing)?;
        Dir::open_handle(self.dir.as_fd())
    }

    /// The same where the directory need not be read: who may only search it gets it, too.
    pub(crate) fn open_dir_to_search(mut self) -> io::Result<Dir> {
        self.go_to_dir(Missing::Fail)?;
        let dir = or_to_search(Dir::open_handle(self.dir.as_fd()), || Ok(self.dir))?;
        dir.check_search()?;
        Ok(dir)
    }

    fn go_to_dir(&mut self, missing: Missing) -> io::Result<()> {
        while let Some(name) = self.rest.pop() {
            let handle = match openat(&self.dir, &name, HANDLE | OFlags::NOFOLLOW, 0) {
                Err(Errno::NOENT) if missing == Missing::Make => {
                    self.make(&name)?;
                    openat(&self.dir, &name, HANDLE | OFlags::NOFOLLOW, 0)?
                }
                handle => handle?,
            };
            let stat = rustix::fs::fstat(&handle)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                self.dir = handle;
            } else if self.follow(&handle, &name, &stat)?.is_some() {
                return Err(Errno::NOTDIR.into());
            }
        }
        Ok(())
    }

    fn make(&self, name: &[u8]) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.dir, name, new_dir_mode(&self.dir, Path::new("."))) {
            // Another worker or run was faster.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_to_create(&self) -> bool {
        self.flags.contains(OFlags::CREATE) && self.rest.is_empty()
    }

    fn create(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = self.flags | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        openat(&self.dir, name, flags, 0o666 & !process::cleared_umask())
    }

    /// Goes on with the target of a link, if its maker is trusted; gives the file when a link of
    /// /proc led straight to it.
    fn follow(&mut self, link: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<Option<File>> {
        self.count_link()?;
        if stat.st_uid != 0 && stat.st_uid != self.trusted {
            return Err(refusal("a symbolic link that belongs to another user"));
        }
        // The links of /proc, such as that behind /dev/stdin or <(command), are not paths to be
        // read: the kernel itself knows where they lead.
        if !sys::is_on_proc(link.as_fd())? {
            let target = rustix::fs::readlinkat(link, c"", Vec::new())?;
            self.enter(target.as_bytes())?;
            return Ok(None);
        }
        if self.beneath.is_some() {
            return Err(leads_out());
        }
        let target = openat(&self.dir, name, HANDLE, 0)?;
        if self.rest.is_empty() {
            return self.open_end(name, &rustix::fs::fstat(&target)?, OFlags::empty()).map(Some);
        }
        self.dir = target;
        Ok(None)
    }

    fn count_link(&mut self) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX { Err(Errno::LOOP.into()) } else { Ok(()) }
    }

    fn check_type(&self, stat: &Stat) -> io::Result<()> {
        match (FileType::from_raw_mode(stat.st_mode), self.ends) {
            (FileType::RegularFile, _)
            | (FileType::Fifo | FileType::CharacterDevice, Ends::Stream)
            | (FileType::BlockDevice, Ends::Image) => Ok(()),
            (FileType::Directory, _) => Err(Errno::ISDIR.into()),
            (_, Ends::Stream) => Err(refusal("neither a file nor a pipe")),
            (_, Ends::Image) => Err(refusal("neither a regular file nor a block device")),
        }
    }

    fn open_end(&self, name: &[u8], seen: &Stat, nofollow: OFlags) -> io::Result<File> {
        self.check_type(seen)?;
        if let Some(root) = self.beneath
            && !lies_beneath(&self.dir, root)?
        {
            return Err(leads_out());
        }
        let flags =
            self.flags.difference(OFlags::CREATE) | nofollow | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = openat(&self.dir, name, flags, 0)?;
        let opened = rustix::fs::fstat(&file)?;
        if (opened.st_dev, opened.st_ino) != (seen.st_dev, seen.st_ino) {
            return Err(refusal("a file that was swapped while it was opened"));
        }
        Ok(file.into())
    }
}

/// Whether a directory is another, or lies below it.
fn lies_beneath(dir: &OwnedFd, root: Inode) -> io::Result<bool> {
    let inode_of = |dir: &OwnedFd| {
        rustix::fs::fstat(dir).map(|stat| Inode { dev: stat.st_dev, ino: stat.st_ino })
    };
    let (mut dir, mut inode) = (dir.try_clone()?, inode_of(dir)?);
    while inode != root {
        dir = openat(&dir, b"..", HANDLE | OFlags::DIRECTORY, 0)?;
        let above = inode_of(&dir)?;
        if above == inode {
            return Ok(false);
        }
        inode = above;
    }
    Ok(true)
}

fn leads_out() -> io::Error {
    refusal("a symbolic link that leads out of the tree; a copy of the file serves as well")
}

fn start_of(dir: impl AsFd, path: &[u8]) -> io::Result<OwnedFd> {
    Ok(openat(dir, path, HANDLE | OFlags::DIRECTORY, 0)?)
}

fn openat(dir: impl AsFd, name: &[u8], flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(&dir, name, flags, Mode::from_bits_truncate(mode)))
}

pub(crate) fn refusal(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
