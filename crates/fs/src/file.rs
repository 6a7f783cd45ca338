//! An open file.
//!
//! Reads and writes name their offset, so that many workers can share one file. Attributes are set
//! through the open file, so that a name swapped meanwhile changes nothing.
//!
//! Errors are those of the kernel, unchanged; an interrupted call is made again and no error. Below,
//! only what callers go by is told.

use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Metadata, Timestamp};
use rustix::buffer::spare_capacity;
use rustix::fs::{Advice, FlockOperation, Mode, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use crate::dir::{self, Times};
use crate::room::with_room;
use crate::sys;

mod close;
mod local;

/// An open file.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
    /// Device of the file, once somebody asked.
    device: OnceLock<u64>,
    /// Above this offset the file has never held data: it is one hole, or past the end.
    written_until: AtomicU64,
}

impl File {
    /// A file that others may have filled.
    pub(crate) fn opened(fd: OwnedFd) -> Self {
        Self { fd, device: OnceLock::new(), written_until: AtomicU64::new(u64::MAX) }
    }

    /// A file that was born empty with this descriptor.
    pub(crate) fn created(fd: OwnedFd, device: Option<u64>) -> Self {
        let known = OnceLock::new();
        if let Some(device) = device {
            known.get_or_init(|| device);
        }
        Self { fd, device: known, written_until: AtomicU64::new(0) }
    }

    /// The same open file once more, for who keeps one of his own.
    pub fn duplicate(&self) -> io::Result<Self> {
        Ok(Self::opened(self.fd.try_clone()?))
    }

    /// Metadata of the open file.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let metadata = dir::metadata_of(&rustix::fs::fstat(self)?)?;
        self.device.get_or_init(|| metadata.dev);
        Ok(metadata)
    }

    /// When the inode was last changed, which nobody can set back (`st_ctime`).
    pub fn change_time(&self) -> io::Result<Timestamp> {
        let stat = rustix::fs::fstat(self)?;
        let nanos = u32::try_from(stat.st_ctime_nsec).unwrap_or_default();
        Ok(Timestamp { secs: stat.st_ctime, nanos })
    }

    /// Whether somebody holds the lock of the whole file, as a run does whose staging file it was.
    pub fn is_locked(&self) -> io::Result<bool> {
        let locked = !self.lock_exclusive_now()?;
        if !locked {
            retry_on_intr(|| rustix::fs::flock(self, FlockOperation::Unlock))?;
        }
        Ok(locked)
    }

    /// The device that the file lies on; asks the kernel once.
    pub fn device(&self) -> io::Result<u64> {
        match self.device.get() {
            Some(device) => Ok(*device),
            None => Ok(self.metadata()?.dev),
        }
    }

    /// Reads until `buffer` is full or the file ends; says how many bytes there are.
    ///
    /// Fails with [`io::ErrorKind::IsADirectory`] or as the disk or the server does.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            match retry_on_intr(|| rustix::io::pread(self, &mut buffer[filled..], at))? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Reads behind what `bytes` has until it has `most` more or the file ends; says how many came. As
    /// [`read_at`](Self::read_at), but the memory need not be cleared first.
    pub fn append_at(&self, bytes: &mut Vec<u8>, most: usize, offset: u64) -> io::Result<usize> {
        let begin = bytes.len();
        let end = begin + most;
        bytes.reserve(most);
        while bytes.len() < end {
            let at = offset + (bytes.len() - begin) as u64;
            if retry_on_intr(|| rustix::io::pread(self, spare_capacity(bytes), at))? == 0 {
                break;
            }
        }
        // There may have been more room than was asked for.
        bytes.truncate(end);
        Ok(bytes.len() - begin)
    }

    /// Whether reading the first byte would wait for a disk (preadv2(2), `RWF_NOWAIT`); `None` where
    /// the file is empty or its file system does not tell.
    pub fn would_wait(&self) -> Option<bool> {
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        match rustix::io::preadv2(self, buffers, 0, ReadWriteFlags::NOWAIT) {
            Ok(0) => None,
            Ok(_) => Some(false),
            Err(Errno::AGAIN) => Some(true),
            Err(_) => None,
        }
    }

    /// Asks the kernel to fetch the first `len` bytes while we do something else. It may not, and
    /// says nothing of it: whoever reads finds out.
    pub fn fetch(&self, len: NonZeroU64) {
        let _only_a_wish = rustix::fs::fadvise(self, 0, Some(len), Advice::WillNeed);
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// Fails with [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] when there is no
    /// room, and with [`io::ErrorKind::FileTooLarge`] beyond what the file system can hold. What was
    /// written before stays.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.note_written(offset + bytes.len() as u64);
        let mut written = 0;
        while written < bytes.len() {
            let at = offset + written as u64;
            let rest = &bytes[written..];
            match with_room(self, || retry_on_intr(|| rustix::io::pwrite(self, rest, at)))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => written += count,
            }
        }
        Ok(())
    }

    /// Cuts the file, or extends it by a hole, to `len` bytes.
    ///
    /// Fails with [`io::ErrorKind::FileTooLarge`] beyond what the file system can hold.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        with_room(self, || retry_on_intr(|| rustix::fs::ftruncate(self, len)))?;
        self.written_until.fetch_min(len, Ordering::Relaxed);
        Ok(())
    }

    /// Sets times of the open file.
    pub fn set_times(&self, times: Times) -> io::Result<()> {
        dir::set_times_of(self.as_fd(), times)
    }

    /// Sets owner and group of the open file; `None` leaves it.
    ///
    /// Fails with [`io::ErrorKind::PermissionDenied`] for ids that the process may not give.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        dir::set_owner_of(self.as_fd(), uid, gid)
    }

    /// Sets the low twelve mode bits of the open file.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(self, Mode::from_bits_truncate(mode))?)
    }

    /// Waits until the content is on the disk, and the disk has it not only in its memory.
    ///
    /// Fails with what went wrong when it was written back: it is not on the disk then.
    pub fn sync_data(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fdatasync(self))?)
    }

    /// Waits until the data and all attributes are on the disk.
    ///
    /// Fails with what went wrong when the file was written back: it is not on the disk then.
    pub fn sync_all(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fsync(self))?)
    }

    /// Hears now what closing the file would say: network file systems write, and so may fail, when
    /// a descriptor is closed. Costs nothing on the file systems that are known to be local.
    ///
    /// Fails as close(2) would, for instance with [`io::ErrorKind::StorageFull`] or
    /// [`io::ErrorKind::QuotaExceeded`] of a server.
    pub fn check_close(&self) -> io::Result<()> {
        close::check(self)
    }

    /// Turns a range into a hole that reads as zeros; the length stays.
    ///
    /// Fails with [`io::ErrorKind::Unsupported`] where the file system cannot.
    pub(crate) fn punch_hole(&self, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        sys::punch_hole(self.as_fd(), range)
    }

    /// Makes a range read as zeros: nothing is done where nothing was ever written, else a hole is
    /// punched, else zeros are written. The length stays, or grows if zeros had to be written.
    ///
    /// Fails as [`write_all_at`](Self::write_all_at) does.
    pub fn clear(&self, range: Range<u64>) -> io::Result<()> {
        if range.start >= self.written_until.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.punch_hole(range.clone()) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.write_zeros(range),
            result => result,
        }
    }

    pub(crate) fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let mut offset = range.start;
        while offset < range.end {
            let piece = piece_of(&ZEROS, range.end - offset);
            self.write_all_at(piece, offset)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Reserves space for `len` bytes from the start, without changing the length.
    ///
    /// Fails with [`io::ErrorKind::Unsupported`] where the file system cannot, and with
    /// [`io::ErrorKind::StorageFull`] when there is no room.
    pub fn preallocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        // What is reserved must be punched to become a hole.
        self.note_written(len);
        sys::preallocate(self.as_fd(), len)
    }

    /// The parts of `range` that hold data, in order; what lies between reads as zeros. Where the
    /// file system does not tell, all of `range` is one part.
    pub fn data_extents(&self, range: Range<u64>) -> DataExtents<'_> {
        DataExtents { file: self, rest: range }
    }

    /// Takes the lock of the whole file if nobody holds it; it lasts until the file is closed.
    pub fn lock_exclusive_now(&self) -> io::Result<bool> {
        match retry_on_intr(|| rustix::fs::flock(self, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Size of a block device in bytes; of a regular file, its length.
    pub fn device_size(&self) -> io::Result<u64> {
        Ok(rustix::fs::seek(self, SeekFrom::End(0))?)
    }

    /// Whether there may be data beyond `len`.
    pub(crate) fn may_exceed(&self, len: u64) -> bool {
        self.written_until.load(Ordering::Relaxed) > len
    }

    /// Whether it lies on a file system that this kernel keeps by itself, without a server.
    pub(crate) fn is_local(&self) -> io::Result<bool> {
        local::is_local(self)
    }

    /// Data reached the file up to `end` by another way than `write_all_at`.
    pub(crate) fn note_written(&self, end: u64) {
        self.written_until.fetch_max(end, Ordering::Relaxed);
    }
}

impl AsRef<Self> for File {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What [`File::data_extents`] gives.
#[derive(Debug)]
pub struct DataExtents<'a> {
    file: &'a File,
    rest: Range<u64>,
}

impl Iterator for DataExtents<'_> {
    type Item = io::Result<Range<u64>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let found = self.find_next();
        match &found {
            Ok(extent) => self.rest.start = extent.end,
            Err(_) => self.rest.start = self.rest.end,
        }
        match found {
            Ok(extent) if extent.is_empty() => None,
            found => Some(found),
        }
    }
}

impl DataExtents<'_> {
    /// An empty extent at the end of the range means: no more data.
    fn find_next(&self) -> io::Result<Range<u64>> {
        let Range { start, end } = self.rest;
        let data = match rustix::fs::seek(self.file, SeekFrom::Data(start)) {
            Ok(data) => data.clamp(start, end),
            Err(Errno::NXIO) => end,
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::SPIPE) => return Ok(start..end),
            Err(error) => return Err(error.into()),
        };
        if data == end {
            return Ok(end..end);
        }
        let hole = match rustix::fs::seek(self.file, SeekFrom::Hole(data)) {
            Ok(hole) => hole.min(end),
            // The file was cut meanwhile; whoever reads will see its end.
            Err(Errno::NXIO) => end,
            Err(error) => return Err(error.into()),
        };
        // A file system that answered with an empty extent would be asked again for ever.
        Ok(data..if hole > data { hole } else { end })
    }
}

/// Zeros to write or to show where there is a hole.
pub(crate) static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The first `len` bytes of `block`, or all of it.
pub(crate) fn piece_of(block: &[u8], len: u64) -> &[u8] {
    &block[..usize::try_from(len).map_or(block.len(), |len| len.min(block.len()))]
}

#[cfg(test)]
mod tests;
