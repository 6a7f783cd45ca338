//! What closing a file would say, heard while the file is still open.
//!
//! NFS and FUSE send what was written when a descriptor is closed, whichever of them it is, so that
//! a duplicate tells before the file gets its name.

use std::io;

use super::local;
use crate::file::File;
use crate::sys;

pub(super) fn check(file: &File) -> io::Result<()> {
    if local::is_local(file)? {
        return Ok(());
    }
    sys::close(rustix::io::fcntl_dupfd_cloexec(file, 0)?)
}
