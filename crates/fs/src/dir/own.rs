//! What a directory itself has, set through its descriptor.
//!
//! One that was opened only to be searched has a descriptor that the kernel takes for nothing but
//! looking names up (`EBADF`): then it is named, as `.` below itself or by its path in /proc.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::{Dir, Times, owner, timestamps};
use crate::sys;

impl Dir {
    /// Sets times of this directory.
    pub fn set_own_times(&self, times: Times) -> io::Result<()> {
        let Some(stamps) = timestamps(times)? else { return Ok(()) };
        let by_name = || rustix::fs::utimensat(self, c".", &stamps, AtFlags::empty());
        Ok(or_by_name(rustix::fs::futimens(self, &stamps), by_name)?)
    }

    /// Sets owner and group of this directory.
    pub fn set_own_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = owner(uid, gid)?;
        let by_name = || rustix::fs::chownat(self, c".", uid, gid, AtFlags::empty());
        Ok(or_by_name(rustix::fs::fchown(self, uid, gid), by_name)?)
    }

    /// Sets the low twelve mode bits of this directory.
    pub fn set_own_mode(&self, mode: u32) -> io::Result<()> {
        let mode = Mode::from_bits_truncate(mode);
        let by_name = || rustix::fs::chmodat(self, c".", mode, AtFlags::empty());
        Ok(or_by_name(rustix::fs::fchmod(self, mode), by_name)?)
    }

    /// Whether entries made here get their permissions from a default ACL; asks the kernel once.
    pub fn has_default_acl(&self) -> bool {
        let name = c"system.posix_acl_default";
        let by_name = || rustix::fs::getxattr_query(sys::path_of_fd(self.as_fd()), name);
        *self
            .0
            .default_acl
            .get_or_init(|| or_by_name(rustix::fs::fgetxattr_query(self, name), by_name).is_ok())
    }
}

fn or_by_name<T>(
    done: Result<T, Errno>,
    by_name: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match done {
        Err(Errno::BADF) => by_name(),
        done => done,
    }
}
