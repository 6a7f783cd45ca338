//! Images: files and block devices that the operator named, to be read and written at any place.
//!
//! A link on the way to one is followed only if root or we ourselves made it; see `walk`.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;

use model::{Kind, Metadata};
use rustix::fs::{Advice, OFlags};

use crate::block_device::{self, BlockDevice, Ground, Use};
use crate::file::File;
use crate::process;
use crate::walk::Walk;

/// What file systems allocate by.
const FILE_BLOCK_BYTES: u64 = 4096;

/// How an image is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To be read.
    Read,
    /// To be written, a device only if nobody else uses it: else it fails with
    /// [`io::ErrorKind::ResourceBusy`].
    WriteAlone,
    /// To be written.
    Write,
}

/// An open file or block device.
#[derive(Debug)]
pub struct Image {
    file: File,
    metadata: Metadata,
    bytes: u64,
    device: Option<BlockDevice>,
}

impl Image {
    /// Opens what a path leads to.
    ///
    /// Fails with [`io::ErrorKind::PermissionDenied`] for what is neither a regular file nor a block
    /// device, and with [`io::ErrorKind::ReadOnlyFilesystem`] for a file that cannot be written.
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::WriteAlone => OFlags::RDWR | OFlags::EXCL,
            Access::Write => OFlags::RDWR,
        };
        let file: OwnedFd = Walk::new(path, flags)?.ending_in_image().open()?.into();
        Self::of(File::opened(file))
    }

    /// Makes an empty file with these mode bits, less those that the umask takes.
    ///
    /// Fails with [`io::ErrorKind::AlreadyExists`] if anything has the name, and be it a link that leads
    /// nowhere.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file: OwnedFd = Walk::new(path, flags)?.ending_in_image().open()?.into();
        let image = Self::of(File::opened(file))?;
        // It is empty until then.
        image.file.set_mode(mode & !process::cleared_umask())?;
        Ok(image)
    }

    /// A file or block device that is open already: to be read, or written, as that was opened.
    pub fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let is_device = metadata.kind == Kind::BlockDevice;
        let bytes = if is_device { file.device_size()? } else { metadata.size };
        let device = is_device.then(|| BlockDevice::of(metadata.rdev)).transpose();
        let device = device.map_err(|error| {
            io::Error::other(format!("the kernel tells nothing of the device in /sys: {error}"))
        })?;
        Ok(Self { file, metadata, bytes, device })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What it was when it was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How long it was when it was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a file is as long and as old as when it was opened. Of a device nobody knows; it counts as
    /// unchanged.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        let (before, now) = (&self.metadata, self.file.metadata()?);
        Ok(self.device.is_some() || (now.size, now.mtime) == (before.size, before.mtime))
    }

    /// The device, if it is one.
    pub fn device(&self) -> Option<&BlockDevice> {
        self.device.as_ref()
    }

    /// What its bytes are stored in, it among them.
    pub fn grounds(&self) -> BTreeSet<Ground> {
        match &self.device {
            Some(device) => device.grounds(),
            None => BTreeSet::from([self.metadata.inode().into()]),
        }
    }

    /// What it is itself among what others are stored in.
    pub fn ground(&self) -> Ground {
        match &self.device {
            Some(_) => self.metadata.rdev.into(),
            None => self.metadata.inode().into(),
        }
    }

    /// Who else uses it.
    ///
    /// Fails where the kernel does not tell.
    pub fn uses(&self) -> io::Result<Vec<Use>> {
        let mut uses = match &self.device {
            Some(device) => device.uses()?,
            None => block_device::uses_of_file(self.metadata.inode())?,
        };
        uses.extend(block_device::locks_of(&self.file)?);
        Ok(uses)
    }

    /// The unit in which it gives room back, in bytes; `None` if it does not.
    pub fn discard_granularity_bytes(&self) -> Option<u64> {
        match &self.device {
            Some(device) => {
                let least = device.logical_block_bytes();
                device.discard_granularity_bytes().map(|bytes| bytes.next_multiple_of(least))
            }
            None => Some(FILE_BLOCK_BYTES),
        }
    }

    /// Makes a range read as zeros, and gives its room back as far as whole units of it lie in the range.
    /// Where nothing is given back zeros are written.
    ///
    /// Fails as a write does.
    pub fn clear(&self, range: Range<u64>) -> io::Result<()> {
        let Some(unit) = self.discard_granularity_bytes() else {
            return self.write_zeros(range);
        };
        let (start, end) = (range.start.next_multiple_of(unit), range.end - range.end % unit);
        // The end of a file ends its last block.
        let end = if range.end == self.bytes && self.device.is_none() { range.end } else { end };
        if start >= end {
            return self.write_zeros(range);
        }
        // Whatever is against that, zeros can be written, or that says what is wrong.
        if self.file.punch_hole(start..end).is_err() {
            return self.write_zeros(range);
        }
        self.write_zeros(range.start..start)?;
        self.write_zeros(end..range.end)
    }

    /// Writes zeros over a range.
    ///
    /// Fails as a write does.
    pub fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        self.file.write_zeros(range)
    }

    /// Cuts a file, or extends it by a hole.
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] for a device.
    pub fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Waits as [`File::sync_data`] does.
    pub fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Asks the kernel to fetch a range while we do something else.
    pub fn fetch(&self, range: Range<u64>) {
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        let _only_a_wish = rustix::fs::fadvise(&self.file, range.start, len, Advice::WillNeed);
    }

    /// Lets the kernel forget what it holds of the content, as far as that is on the disk: it is read
    /// from there then.
    pub fn forget_cached(&self) {
        let _only_a_wish = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
    }
}

impl AsRef<File> for Image {
    fn as_ref(&self) -> &File {
        &self.file
    }
}
