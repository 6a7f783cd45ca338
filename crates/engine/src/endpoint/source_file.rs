//! Files of the source.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;

use fs::{Content, File};
use model::Metadata;
use model::settings::Checksum;

use super::remote::{RemoteAttributes, RemoteFile};
use super::{Operations, SourceAttributes};
use crate::checksum;

/// A file that content comes from: one of the source, or of a basis tree that has the same.
#[derive(Debug)]
pub(crate) enum SourceFile {
    /// On this host.
    Local(File),
    /// On another.
    Remote(Box<RemoteFile>),
}

impl From<File> for SourceFile {
    fn from(file: File) -> Self {
        Self::Local(file)
    }
}

/// What is asked of it, as of [`File`].
impl SourceFile {
    pub(super) fn remote(file: RemoteFile) -> Self {
        Self::Remote(Box::new(file))
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Local(file) => file.metadata(),
            Self::Remote(file) => file.metadata(),
        }
    }

    /// The size of a device.
    pub(crate) fn device_size(&self) -> io::Result<u64> {
        match self {
            Self::Local(file) => file.device_size(),
            Self::Remote(file) => file.device_size(),
        }
    }

    /// Whether reading it would wait for a disk or another host; `None` where that is not known.
    pub(crate) fn would_wait(&self) -> Option<bool> {
        match self {
            Self::Local(file) => file.would_wait(),
            Self::Remote(_) => Some(true),
        }
    }

    /// True where reading it waits for another host.
    pub(crate) fn is_from_afar(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Asks for the first `len` bytes of files to be on their way while something else is done. `now` is
    /// wanted at once. Says how many of `later`, from the first on, are on their way: not all, if too much
    /// is already.
    pub(crate) fn fetch<'a>(
        now: Option<&'a Self>,
        later: impl Iterator<Item = &'a Self>,
        len: NonZeroU64,
    ) -> usize {
        fn remote(file: &SourceFile) -> Option<&RemoteFile> {
            match file {
                SourceFile::Local(_) => None,
                SourceFile::Remote(file) => Some(file),
            }
        }
        let mut later = later.peekable();
        let mut count = 0;
        while let Some(Self::Local(file)) = later.next_if(|file| !file.is_from_afar()) {
            file.fetch(len);
            count += 1;
        }
        count + RemoteFile::begin_all(now.and_then(remote), later.map_while(remote))
    }

    /// The file, where it lies on another host that can say how it comes of an old one.
    pub(crate) fn to_patch(&self) -> Option<&RemoteFile> {
        match self {
            Self::Local(_) => None,
            Self::Remote(file) => file.is_held().then_some(file),
        }
    }

    /// How all of it comes of an old one, where that was asked when it was opened. Comes once.
    pub(crate) fn take_operations(&self) -> Option<Operations> {
        match self {
            Self::Local(_) => None,
            Self::Remote(file) => file.take_operations(),
        }
    }

    /// Its extended attributes and ACLs.
    pub(crate) fn attributes(&self) -> SourceAttributes<'_> {
        match self {
            Self::Local(file) => SourceAttributes::Local(file.into()),
            Self::Remote(file) => SourceAttributes::Remote(RemoteAttributes::of_file(file)),
        }
    }

    /// The checksum of a range, or of what of it there is. `go_on` is asked now and then and ends it
    /// by failing.
    pub(crate) fn checksum(
        &self,
        algorithm: Checksum,
        range: Range<u64>,
        go_on: impl Fn() -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        match self {
            Self::Local(file) => checksum::of_range(algorithm, file, range, go_on),
            Self::Remote(file) => file.checksum(algorithm, range, go_on),
        }
    }
}

/// Its content, as it is copied from.
impl Content for SourceFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.read_at(buffer, offset),
            Self::Remote(file) => file.read_at(buffer, offset),
        }
    }

    fn first_extent(&self, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
        match self {
            Self::Local(file) => file.first_extent(range),
            Self::Remote(file) => file.first_extent(range),
        }
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Local(file) => file.size(),
            Self::Remote(file) => file.size(),
        }
    }

    fn local(&self) -> Option<&File> {
        match self {
            Self::Local(file) => Some(file),
            Self::Remote(_) => None,
        }
    }
}
