//! The source of a job, on this host or on another.

use std::io;
use std::path::Path;

use delta::image::Units;
use fs::image::{Access, Image};
use model::{Cause, Kind, Metadata, Side, Verb};
use sched::Cancel;
use wire::OpenedImage;

use super::{BlocksError, described, fault_at, pieces, units_here};
use crate::endpoint::{NotOpened, RemoteImage, RemoteSource, SourceFile};

/// An image that is read, and nothing else.
#[derive(Debug)]
pub(super) enum Source {
    /// On this host.
    Here(Image, Box<OpenedImage>),
    /// On another.
    There(RemoteImage),
}

impl Source {
    /// Opens what a path leads to, here or where it is asked for.
    pub(super) fn open(
        path: &Path,
        from: Option<&RemoteSource>,
        cancel: &Cancel,
    ) -> Result<Self, BlocksError> {
        let failed = |error| fault_at(path, Side::Source, Verb::Open, Cause::from(&error));
        let Some(from) = from else {
            let image = Image::open(path, Access::Read).map_err(failed)?;
            let opened = described::describe(&image).map_err(failed)?;
            return Ok(Self::Here(image, Box::new(opened)));
        };
        RemoteImage::open(from, path, cancel).map(Self::There).map_err(|error| match error {
            NotOpened::Lost(why) => BlocksError::SourceLost(why),
            NotOpened::Failed(error) => failed(error).into(),
        })
    }

    /// Takes a file of a tree that is open, of so many bytes if it lies on another host.
    pub(super) fn of(file: &SourceFile, bytes: u64) -> io::Result<Self> {
        match file {
            SourceFile::Local(file) => {
                let image = Image::of(file.duplicate()?)?;
                let opened = described::describe(&image)?;
                Ok(Self::Here(image, Box::new(opened)))
            }
            SourceFile::Remote(file) => file.image(bytes).map(Self::There),
        }
    }

    /// What it was when it was opened.
    pub(super) fn opened(&self) -> &OpenedImage {
        match self {
            Self::Here(_, opened) => opened,
            Self::There(image) => image.opened(),
        }
    }

    /// How long it was when it was opened.
    pub(super) fn bytes(&self) -> u64 {
        self.opened().bytes
    }

    pub(super) fn is_device(&self) -> bool {
        self.opened().metadata.kind == Kind::BlockDevice
    }

    /// Whether its grounds are numbered as those of this host are.
    pub(super) fn is_under_this_kernel(&self) -> bool {
        match self {
            Self::Here(..) => true,
            Self::There(image) => {
                let there = image.opened().kernel;
                there.is_some() && there == described::kernel()
            }
        }
    }

    /// How it is cut: where bytes are compared, and where digests are.
    pub(super) fn units(&self, image_bytes: u64) -> Units {
        match self {
            Self::Here(..) => units_here(image_bytes),
            Self::There(_) => pieces::units(image_bytes),
        }
    }

    /// What the kernel is known by that its grounds are of, if that is another than this one: else zeros.
    pub(super) fn other_kernel(&self) -> [u64; 2] {
        let there = self.opened().kernel.filter(|_| !self.is_under_this_kernel());
        let bytes = there.unwrap_or_default();
        let (numbers, _) = bytes.as_chunks::<8>();
        std::array::from_fn(|at| u64::from_le_bytes(numbers[at]))
    }

    /// What it is by now.
    pub(super) fn now(&self) -> io::Result<Metadata> {
        match self {
            Self::Here(image, _) => image.file().metadata(),
            Self::There(image) => image.now(),
        }
    }

    /// What the kernel holds of a device is not what others have written to it by another way, as by a file
    /// system on it. Another host does this when it opens one.
    pub(super) fn forget_cached(&self) {
        if let Self::Here(image, _) = self
            && self.is_device()
        {
            image.forget_cached();
        }
    }
}
