//! Which file systems this kernel keeps by itself, without a server.

use std::io;
use std::os::fd::AsFd;

use crate::device_set::DeviceSet;
use crate::file::File;
use crate::sys;

/// ext2 to ext4, xfs, btrfs, tmpfs, ramfs, f2fs and bcachefs (statfs(2)).
const LOCAL: [u64; 7] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x8584_58f6, 0xf2f5_2010, 0xca45_1a4e];

static KNOWN_LOCAL: DeviceSet = DeviceSet::new();
static KNOWN_OTHER: DeviceSet = DeviceSet::new();

/// Whether closing says nothing and the kernel copies by way of its page cache; `false` also for a
/// file system that does not say what it is, which gets the careful way.
pub(super) fn is_local(file: &File) -> io::Result<bool> {
    let device = file.device()?;
    if KNOWN_LOCAL.contains(device) {
        return Ok(true);
    }
    if KNOWN_OTHER.contains(device) {
        return Ok(false);
    }
    let magic = sys::file_system_magic(file.as_fd()).unwrap_or(0);
    let is_local = LOCAL.contains(&magic);
    if is_local { &KNOWN_LOCAL } else { &KNOWN_OTHER }.insert(device);
    Ok(is_local)
}
