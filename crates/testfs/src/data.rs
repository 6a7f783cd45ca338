//! Open files and directories.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::FileType;
use parking_lot::Mutex;
use rustix::fs::{Dir, FallocateFlags, Mode, OFlags, SeekFrom, fchmod, fstat, open};
use rustix::io::Errno;

use crate::tree::{Tree, proc_path};

/// Whence values of lseek(2), which the kernel passes as numbers.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

/// One name of a listing.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) ino: u64,
    pub(crate) kind: FileType,
    pub(crate) name: Vec<u8>,
}

#[derive(Debug)]
enum Handle {
    File(Arc<File>),
    Dir(Arc<Listing>),
}

/// A directory held open: read whole at its beginning, so that offsets stay valid while names come
/// and go.
#[derive(Debug)]
pub(crate) struct Listing {
    fd: OwnedFd,
    entries: Mutex<Arc<Vec<Entry>>>,
}

/// What clients hold open.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Handle>>,
}

impl Handles {
    pub(crate) fn open(&self, tree: &Tree, ino: u64, flags: i32) -> Result<u64, Errno> {
        let fd = tree.fd(ino)?;
        // The kernel has resolved the name and applied O_CREAT and O_NOFOLLOW already.
        let drop_flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = OFlags::from_bits_retain(flags.cast_unsigned()) - drop_flags;
        let flags = backing_flags(flags);
        let file = open(proc_path(&fd), flags, Mode::empty())?;
        Ok(self.insert(Handle::File(Arc::new(File::from(file)))))
    }

    pub(crate) fn adopt(&self, file: OwnedFd) -> u64 {
        self.insert(Handle::File(Arc::new(File::from(file))))
    }

    pub(crate) fn opendir(&self, tree: &Tree, ino: u64) -> Result<u64, Errno> {
        let parent = tree.fd(ino)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(proc_path(&parent), flags, Mode::empty())?;
        let listing = Listing { fd, entries: Mutex::default() };
        Ok(self.insert(Handle::Dir(Arc::new(listing))))
    }

    pub(crate) fn release(&self, handle: u64) {
        let gone = self.open.lock().remove(&handle);
        drop(gone);
    }

    pub(crate) fn file(&self, handle: u64) -> Result<Arc<File>, Errno> {
        match self.open.lock().get(&handle) {
            Some(Handle::File(file)) => Ok(Arc::clone(file)),
            _ => Err(Errno::BADF),
        }
    }

    pub(crate) fn dir(&self, handle: u64) -> Result<Arc<Listing>, Errno> {
        match self.open.lock().get(&handle) {
            Some(Handle::Dir(dir)) => Ok(Arc::clone(dir)),
            _ => Err(Errno::BADF),
        }
    }

    fn insert(&self, handle: Handle) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(number, handle);
        number
    }
}

impl Listing {
    /// The names from `offset` on; an offset of 0 reads the directory anew.
    pub(crate) fn entries(&self, tree: &Tree, offset: u64) -> Result<Arc<Vec<Entry>>, Errno> {
        let mut held = self.entries.lock();
        if offset == 0 {
            let mut entries = Vec::new();
            for entry in Dir::read_from(&self.fd)? {
                let entry = entry?;
                let kind = crate::attr::kind(entry.file_type().as_raw_mode());
                let name = entry.file_name().to_bytes().to_vec();
                entries.push(Entry { ino: tree.entry_number(entry.ino()), kind, name });
            }
            *held = Arc::new(entries);
        }
        Ok(Arc::clone(&held))
    }

    pub(crate) fn sync(&self) -> Result<(), Errno> {
        rustix::fs::fsync(&self.fd)
    }
}

impl Entry {
    pub(crate) fn name(&self) -> &std::ffi::OsStr {
        std::ffi::OsStr::from_bytes(&self.name)
    }
}

/// Reads up to `size` bytes; short only at the end of the file.
pub(crate) fn read(file: &File, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// Writes, and drops setuid and setgid when the kernel asks for it.
pub(crate) fn write(file: &File, offset: u64, bytes: &[u8], strip: bool) -> Result<usize, Errno> {
    let count = rustix::io::pwrite(file, bytes, offset)?;
    if strip {
        let mode = fstat(file)?.st_mode & 0o7777;
        let mut kept = mode & !0o4000;
        if mode & 0o010 != 0 {
            kept &= !0o2000; // setgid without group execute is not a privilege
        }
        if kept != mode {
            fchmod(file, Mode::from_raw_mode(kept))?;
        }
    }
    Ok(count)
}

pub(crate) fn seek(file: &File, offset: i64, whence: i32) -> Result<i64, Errno> {
    let offset = u64::try_from(offset).map_err(|_| Errno::NXIO)?;
    let to = match whence {
        SEEK_DATA => SeekFrom::Data(offset),
        SEEK_HOLE => SeekFrom::Hole(offset),
        _ => return Err(Errno::INVAL),
    };
    rustix::fs::seek(file, to).map(u64::cast_signed)
}

pub(crate) fn fallocate(file: &File, mode: i32, offset: u64, len: u64) -> Result<(), Errno> {
    let mode = FallocateFlags::from_bits_retain(mode.cast_unsigned());
    rustix::fs::fallocate(file, mode, offset, len)
}

/// Writes arrive with their offset, which `O_APPEND` would ignore, and from buffers of no alignment,
/// which `O_DIRECT` would refuse.
pub(crate) fn backing_flags(flags: OFlags) -> OFlags {
    (flags - OFlags::APPEND - OFlags::DIRECT - OFlags::NOCTTY) | OFlags::CLOEXEC
}

/// The target of a symbolic link.
pub(crate) fn readlink(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let target = rustix::fs::readlinkat(fd, "", Vec::new())?;
    Ok(std::ffi::OsString::from_vec(target.into_bytes()).into_vec())
}
