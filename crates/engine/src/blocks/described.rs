//! What a source is, told alike whether it lies on this host or on another.

use std::collections::BTreeSet;
use std::io;

use fs::block_device::{self, BlockDevice, Use};
use fs::image::Image;
use wire::{Ground, List, OpenedImage, Text};

/// What a kernel is known by to another host is derived from its own name, which stays here.
const KERNEL_CONTEXT: &str = "lanesync 2026 kernel";

/// What an image of this host is.
pub(crate) fn describe(image: &Image) -> io::Result<OpenedImage> {
    let uses = match image.device() {
        Some(_) => image.uses()?,
        // A file is mounted by a device that shows it: where nothing is told of devices there is none.
        None => image.uses().unwrap_or_default(),
    };
    let writable = uses.into_iter().find_map(|used| match used {
        Use::Mounted { at, is_writable: true } => Some(at),
        _ => None,
    });
    let grounds = image.grounds().into_iter().map(ground).take(wire::limits::GROUNDS).collect();
    Ok(OpenedImage {
        metadata: *image.metadata(),
        changed_at: image.file().change_time()?,
        bytes: image.bytes(),
        is_rotational: image.device().is_some_and(BlockDevice::is_rotational),
        mounted_at: writable.map(|at| Text::new(&at.to_string_lossy())),
        kernel: kernel(),
        ground: ground(image.ground()),
        grounds: List::new(grounds).map_err(io::Error::other)?,
        shown: shown(image),
    })
}

/// The kernel of this host.
pub(super) fn kernel() -> Option<[u8; 32]> {
    let name = fs::process::boot_id().ok()?;
    Some(blake3::derive_key(KERNEL_CONTEXT, &name))
}

/// Whether a source and a target of this host have bytes in common.
pub(super) fn overlap(source: &OpenedImage, target: &Image) -> bool {
    let grounds: BTreeSet<Ground> = target.grounds().into_iter().map(ground).collect();
    let is_in = grounds.contains(&source.ground)
        || source.grounds.as_slice().contains(&ground(target.ground()));
    is_in || (source.shown.is_some() && source.shown == shown(target))
}

/// What a loop device shows.
fn shown(image: &Image) -> Option<Ground> {
    image.device().and_then(BlockDevice::shown).map(ground)
}

pub(super) fn ground(ground: block_device::Ground) -> Ground {
    match ground {
        block_device::Ground::Device { major, minor } => Ground::Device { major, minor },
        block_device::Ground::File { dev, ino } => Ground::File { dev, ino },
    }
}
