//! What closing a file would say, heard while the file is still open.
//!
//! NFS and FUSE send what was written when a descriptor is closed, whichever of them it is, so that
//! a duplicate tells before the file gets its name.

use std::io;
use std::os::fd::AsFd;

use crate::device_set::DeviceSet;
use crate::file::File;
use crate::sys;

/// ext2 to ext4, xfs, btrfs, tmpfs, ramfs, f2fs and bcachefs (statfs(2)): closing says nothing.
const LOCAL: [u64; 7] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x8584_58f6, 0xf2f5_2010, 0xca45_1a4e];

static KNOWN_LOCAL: DeviceSet = DeviceSet::new();
static KNOWN_OTHER: DeviceSet = DeviceSet::new();

pub(super) fn check(file: &File) -> io::Result<()> {
    if is_local(file)? {
        return Ok(());
    }
    sys::close(rustix::io::fcntl_dupfd_cloexec(file, 0)?)
}

fn is_local(file: &File) -> io::Result<bool> {
    let device = file.device()?;
    if KNOWN_LOCAL.contains(device) {
        return Ok(true);
    }
    if KNOWN_OTHER.contains(device) {
        return Ok(false);
    }
    // A file system that does not say what it is gets the careful way.
    let magic = sys::file_system_magic(file.as_fd()).unwrap_or(0);
    let is_local = LOCAL.contains(&magic);
    if is_local { &KNOWN_LOCAL } else { &KNOWN_OTHER }.insert(device);
    Ok(is_local)
}
