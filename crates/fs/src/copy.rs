//! Moving bytes into an open file, by the cheapest way that there is from where they come.
//!
//! Three ways, tried in this order: sharing the data (reflink), letting a server copy (through the
//! kernel's copy), reading and writing. The first two are for files of this host. What a pair of
//! devices cannot do is remembered by each [`Copier`], so that the question costs it one failed call
//! and not one for each file.
//!
//! Where no server does the work, the kernel's copy is a loop over the page cache. It holds the lock
//! of the destination all the while, so that a second worker only waits; reading outside that lock
//! is 1.2 to 1.6 times as fast with two workers and no slower with one (tmpfs, ext4, xfs).

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::file::{File, ZEROS, piece_of};
use crate::sys;

/// Below this size one read and one write beat every shortcut.
const SHORTCUT_MIN_BYTES: u64 = 64 * 1024;

/// Large enough that calls do not matter, small enough to stay in the cache of a core.
const BUFFER_BYTES: usize = 256 * 1024;

/// What is written at once where this kernel keeps the file: as large is the piece of memory that it takes
/// for it. Larger ones are cut out of memory that a virtual machine has given back, and have to be got
/// again: 4 GiB took three times as long (ext4 on a loop device with direct I/O).
const LOCAL_PIECE_BYTES: u64 = 64 * 1024;

/// The least that is moved at once: below this, calls cost more than what they move.
const BUFFER_MIN_BYTES: usize = 16 * 1024;

/// What the kernel copies in one call: between two of them a run can be cancelled or slowed down.
const KERNEL_PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// Blocks of this size, at multiples of it, become holes when they are all zero: what file systems
/// allocate by.
const ZERO_BLOCK_BYTES: u64 = 4096;

/// Where bytes come from: a file of this host, or what stands for one that lies elsewhere.
pub trait Content {
    /// Reads until `buffer` is full or the content ends; says how many bytes there are.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The first part of a range that holds data; `None` where all of it reads as zeros. Where that
    /// is not known, all of the range is one part.
    fn first_extent(&self, range: Range<u64>) -> io::Result<Option<Range<u64>>>;

    /// How much there is now.
    fn size(&self) -> io::Result<u64>;

    /// The file, where it is one of this host.
    fn local(&self) -> Option<&File>;
}

impl Content for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    fn first_extent(&self, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
        self.data_extents(range).next().transpose()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.size)
    }

    fn local(&self) -> Option<&File> {
        Some(self)
    }
}

/// What becomes of holes and zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sparse {
    /// Everything is written.
    #[default]
    None,
    /// Holes of the source become holes, except in ranges below 64 KiB.
    KeepHoles,
    /// Holes of the source and blocks of zeros become holes.
    FindZeros,
}

/// What a copy moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the source that were passed, holes included.
    pub read_bytes: u64,
    /// Bytes of data that were written, by the kernel or by us; neither holes nor what `src` and
    /// `dst` share.
    pub written_bytes: u64,
    /// The source ended before the range did, `read_bytes` after its start.
    pub short: bool,
}

/// Why a copy ended early, and whose fault it was.
#[derive(Debug)]
pub enum CopyError {
    /// The source cannot be read.
    Source(io::Error),
    /// The destination cannot be written.
    Destination(io::Error),
    /// The observer ended it.
    Observer(io::Error),
}

impl CopyError {
    /// The error itself.
    pub fn error(&self) -> &io::Error {
        match self {
            Self::Source(error) | Self::Destination(error) | Self::Observer(error) => error,
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> io::ErrorKind {
        self.error().kind()
    }
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Source(error)
            | CopyError::Destination(error)
            | CopyError::Observer(error) => error,
        }
    }
}

type CopyResult<T> = Result<T, CopyError>;

/// Copies into files; each worker has one, for the buffer and for what it found out.
#[derive(Debug, Default)]
pub struct Copier {
    buffer: Vec<u8>,
    /// What the buffer shall have; 0 means the most.
    buffer_bytes: usize,
    /// The latest first.
    routes: Vec<(RouteKey, Route)>,
    /// What is taken to be so of a pair of devices before it was tried, instead of asking.
    untried: Option<Route>,
}

/// Source device and destination device.
type RouteKey = (u64, u64);

/// What was found out about a pair of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    lacks_clone: bool,
    /// Or it would be no gain.
    lacks_kernel_copy: bool,
    /// The destination is kept by this kernel, without a server.
    is_local: bool,
}

/// One copy under way.
struct Transfer<'a> {
    src: &'a dyn Content,
    dst: &'a File,
    observer: &'a mut dyn FnMut(u64) -> io::Result<()>,
    copied: Copied,
}

impl Copier {
    /// A copier; its buffer is allocated when first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves at most `bytes` at once from now on, within what makes sense, so that many copiers do
    /// not hold much together.
    pub fn limit_buffer(&mut self, bytes: usize) {
        let bytes = bytes.clamp(BUFFER_MIN_BYTES, BUFFER_BYTES);
        self.buffer_bytes = bytes;
        if self.buffer.len() > bytes {
            self.buffer = Vec::new();
        }
    }

    /// Makes `dst` share all data of `src`, as `src` is now; `false` where the file systems cannot.
    pub fn clone_whole(&mut self, src: &dyn Content, dst: &File) -> CopyResult<bool> {
        let Some(src) = src.local() else { return Ok(false) };
        let route = self.route(src, dst)?;
        if route.lacks_clone {
            return Ok(false);
        }
        if let Err(error) = sys::clone_file(src.as_fd(), dst.as_fd()) {
            // Whatever the reason: it does not say which side failed; reading and writing will.
            note_lack(error, &mut route.lacks_clone);
            return Ok(false);
        }
        dst.note_written(u64::MAX);
        Ok(true)
    }

    /// Copies the first `len` bytes of `src` and makes `dst` that long, or as long as `src` turned
    /// out to be.
    ///
    /// `observer` hears after each piece how many bytes of the source it had, and stops the copy
    /// by failing.
    pub fn copy_whole(
        &mut self,
        src: &dyn Content,
        dst: &File,
        len: u64,
        sparse: Sparse,
        observer: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> CopyResult<Copied> {
        let may_clone = len >= SHORTCUT_MIN_BYTES && sparse != Sparse::FindZeros;
        if may_clone && self.clone_whole(src, dst)? {
            observer(len).map_err(CopyError::Observer)?;
            return Ok(Copied { read_bytes: len, written_bytes: 0, short: false });
        }
        let copied = self.copy_range(src, dst, 0..len, sparse, observer)?;
        if copied.written_bytes < copied.read_bytes || dst.may_exceed(copied.read_bytes) {
            dst.set_len(copied.read_bytes).map_err(CopyError::Destination)?;
        }
        Ok(copied)
    }

    /// Copies a range to the same place. `observer` is that of [`copy_whole`](Self::copy_whole).
    ///
    /// A hole at the end of the range does not make `dst` longer: whoever copies ranges sets the
    /// length of the whole.
    pub fn copy_range(
        &mut self,
        src: &dyn Content,
        dst: &File,
        range: Range<u64>,
        sparse: Sparse,
        observer: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> CopyResult<Copied> {
        let mut transfer = Transfer { src, dst, observer, copied: Copied::default() };
        let is_small = range.end.saturating_sub(range.start) < SHORTCUT_MIN_BYTES;
        match sparse {
            Sparse::KeepHoles | Sparse::FindZeros if !is_small => {
                self.copy_extents(&mut transfer, range, sparse)?;
            }
            _ => self.copy_extent(&mut transfer, range, sparse)?,
        }
        Ok(transfer.copied)
    }

    /// Shows every byte of a range to `reader` in order, without copying; returns how many there
    /// were, fewer than asked for when the file ends early.
    pub fn read_range(
        &mut self,
        src: &dyn Content,
        range: Range<u64>,
        reader: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut offset = range.start;
        while offset < range.end {
            let read = src.read_at(self.buffer_for(range.end - offset), offset)?;
            if read == 0 {
                break;
            }
            reader(&self.buffer[..read])?;
            offset += read as u64;
        }
        Ok(offset - range.start)
    }

    fn copy_extents(
        &mut self,
        transfer: &mut Transfer<'_>,
        range: Range<u64>,
        sparse: Sparse,
    ) -> CopyResult<()> {
        let mut done = range.start;
        while let Some(extent) =
            transfer.src.first_extent(done..range.end).map_err(CopyError::Source)?
        {
            transfer.pass_hole(done..extent.start)?;
            done = extent.end;
            self.copy_extent(transfer, extent, sparse)?;
            if transfer.copied.short {
                return Ok(());
            }
        }
        if done < range.end {
            // "No more data" is also what a file says that was cut meanwhile.
            let now = transfer.src.size().map_err(CopyError::Source)?;
            let end = now.clamp(done, range.end);
            transfer.pass_hole(done..end)?;
            transfer.copied.short = end < range.end;
        }
        Ok(())
    }

    fn copy_extent(
        &mut self,
        transfer: &mut Transfer<'_>,
        extent: Range<u64>,
        sparse: Sparse,
    ) -> CopyResult<()> {
        match sparse {
            Sparse::FindZeros => self.copy_finding_zeros(transfer, extent),
            Sparse::KeepHoles | Sparse::None => self.copy_data(transfer, extent),
        }
    }

    fn copy_data(&mut self, transfer: &mut Transfer<'_>, range: Range<u64>) -> CopyResult<()> {
        let Range { mut start, end } = range;
        let mut piece = BUFFER_BYTES as u64;
        if let Some(src) = transfer.src.local()
            && end.saturating_sub(start) >= SHORTCUT_MIN_BYTES
        {
            let route = self.route(src, transfer.dst)?;
            if route.is_local {
                piece = LOCAL_PIECE_BYTES;
            }
            start = transfer.copy_in_kernel(src, start..end, route)?;
        }
        while start < end {
            let buffer = self.buffer_for((end - start).min(piece));
            let wanted = buffer.len();
            let read = transfer.src.read_at(buffer, start).map_err(CopyError::Source)?;
            transfer.write(&self.buffer[..read], start)?;
            start += read as u64;
            transfer.note_data(read as u64)?;
            if read < wanted {
                transfer.copied.short = true;
                break;
            }
        }
        Ok(())
    }

    fn copy_finding_zeros(
        &mut self,
        transfer: &mut Transfer<'_>,
        range: Range<u64>,
    ) -> CopyResult<()> {
        let mut offset = range.start;
        while offset < range.end {
            let buffer = self.buffer_for(range.end - offset);
            let wanted = buffer.len();
            let read = transfer.src.read_at(buffer, offset).map_err(CopyError::Source)?;
            transfer.write_with_holes(&self.buffer[..read], offset)?;
            offset += read as u64;
            if read < wanted {
                transfer.copied.short = true;
                break;
            }
        }
        Ok(())
    }

    /// Both halves of its buffer, for whoever reads two files side by side.
    pub fn halves(&mut self) -> (&mut [u8], &mut [u8]) {
        let buffer = self.buffer_for(u64::MAX);
        buffer.split_at_mut(buffer.len() / 2)
    }

    fn buffer_for(&mut self, len: u64) -> &mut [u8] {
        let size = if self.buffer_bytes == 0 { BUFFER_BYTES } else { self.buffer_bytes };
        if self.buffer.len() < size {
            self.buffer = vec![0; size];
        }
        let len = usize::try_from(len).map_or(size, |len| len.min(size));
        &mut self.buffer[..len]
    }

    fn route(&mut self, src: &File, dst: &File) -> CopyResult<&mut Route> {
        let source = src.device().map_err(CopyError::Source)?;
        let key = (source, dst.device().map_err(CopyError::Destination)?);
        if let Some(at) = self.routes.iter().position(|(known, _)| *known == key) {
            self.routes.swap(0, at);
        } else {
            let is_local = dst.is_local().map_err(CopyError::Destination)?;
            let route = Route { lacks_kernel_copy: is_local, lacks_clone: false, is_local };
            self.routes.insert(0, (key, self.untried.unwrap_or(route)));
        }
        Ok(&mut self.routes[0].1)
    }
}

impl Transfer<'_> {
    /// Copies until the end of the range or until the kernel stops; says where that was.
    fn copy_in_kernel(
        &mut self,
        src: &File,
        range: Range<u64>,
        route: &mut Route,
    ) -> CopyResult<u64> {
        let mut offset = range.start;
        while offset < range.end && !route.lacks_kernel_copy {
            let piece = (range.end - offset).min(KERNEL_PIECE_BYTES);
            self.dst.note_written(offset + piece);
            let len = usize::try_from(piece).expect("a piece is 8 MiB at most");
            match sys::copy_in_kernel(src.as_fd(), self.dst.as_fd(), offset, len) {
                // The end of the file, or a file system that pretends it: reading will tell.
                Ok(0) => break,
                Ok(count) => {
                    offset += count as u64;
                    self.note_data(count as u64)?;
                }
                Err(error) => {
                    // The call does not say which side failed; reading and writing the rest will.
                    note_lack(error, &mut route.lacks_kernel_copy);
                    break;
                }
            }
        }
        Ok(offset)
    }

    fn tell(&mut self, count: u64) -> CopyResult<()> {
        (self.observer)(count).map_err(CopyError::Observer)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> CopyResult<()> {
        self.dst.write_all_at(bytes, offset).map_err(CopyError::Destination)
    }

    fn note_data(&mut self, count: u64) -> CopyResult<()> {
        self.copied.written_bytes += count;
        self.note_read(count)
    }

    fn note_read(&mut self, count: u64) -> CopyResult<()> {
        self.copied.read_bytes += count;
        if count == 0 { Ok(()) } else { self.tell(count) }
    }

    /// Passes a hole of the source.
    fn pass_hole(&mut self, hole: Range<u64>) -> CopyResult<()> {
        if hole.is_empty() {
            return Ok(());
        }
        self.dst.clear(hole.clone()).map_err(CopyError::Destination)?;
        self.note_read(hole.end - hole.start)
    }

    fn write_with_holes(&mut self, bytes: &[u8], offset: u64) -> CopyResult<()> {
        let written = write_finding_zeros(self.dst, bytes, offset);
        self.copied.written_bytes += written.map_err(CopyError::Destination)?;
        self.note_read(bytes.len() as u64)
    }
}

/// Writes bytes of which blocks of zeros become holes; says how many bytes were really written.
///
/// A hole at the end does not make the file longer.
pub fn write_finding_zeros(file: &File, bytes: &[u8], offset: u64) -> io::Result<u64> {
    let (mut rest, mut at, mut written_bytes) = (bytes, offset, 0);
    while !rest.is_empty() {
        let (run, is_zero) = leading_run(rest, at);
        let end = at + run as u64;
        if is_zero {
            file.clear(at..end)?;
        } else {
            file.write_all_at(&rest[..run], at)?;
            written_bytes += run as u64;
        }
        rest = &rest[run..];
        at = end;
    }
    Ok(written_bytes)
}

/// How many bytes from the start are whole blocks of zeros, or whole blocks of anything else.
fn leading_run(bytes: &[u8], offset: u64) -> (usize, bool) {
    let mut run = 0;
    let mut is_zero = None;
    while run < bytes.len() {
        let at = offset + run as u64;
        let block = piece_of(&bytes[run..], ZERO_BLOCK_BYTES - at % ZERO_BLOCK_BYTES);
        let block_is_zero = *block == ZEROS[..block.len()];
        if *is_zero.get_or_insert(block_is_zero) != block_is_zero {
            break;
        }
        run += block.len();
    }
    (run, is_zero.unwrap_or(false))
}

/// Remembers the errors that hold for every pair of files on these devices. Others are about the two
/// files (alignment, swap files, append-only files, a sandbox) or about a disk that fails or is full.
fn note_lack(error: Errno, lacks: &mut bool) {
    *lacks |= matches!(error, Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY);
}

#[cfg(test)]
mod tests;
