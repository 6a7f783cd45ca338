//! What the process itself is and may do.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit};

/// Open files that a run asks for: enough for any number of workers, and what servers allow.
const OPEN_FILES_CAP: u64 = 65_536;

static UMASK: OnceLock<u32> = OnceLock::new();

/// True when the process acts as root.
pub fn is_root() -> bool {
    effective_uid() == 0
}

/// The user that the process acts as.
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The group that the process acts as.
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// The umask that the process was started with. The first call sets the umask of the process to
/// zero, so that modes given to the kernel mean what they say; call it before any worker starts.
pub fn umask() -> u32 {
    *UMASK.get_or_init(|| rustix::process::umask(rustix::fs::Mode::empty()).bits())
}

/// Whether modes given to the kernel mean what they say.
pub(crate) fn is_umask_cleared() -> bool {
    UMASK.get().is_some()
}

/// Raises the number of files the process may have open, as far as it may and sense goes; returns
/// the number.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
    let present = current.unwrap_or(u64::MAX);
    let wanted = maximum.unwrap_or(u64::MAX).min(OPEN_FILES_CAP);
    if present >= wanted {
        return present;
    }
    let limit = Rlimit { current: Some(wanted), maximum };
    match rustix::process::setrlimit(Resource::Nofile, limit) {
        Ok(()) => wanted,
        Err(_) => present,
    }
}

/// Name of this host; empty when the kernel has none.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_is_read_once_and_cleared() {
        let first = umask();
        assert_eq!(umask(), first);
        assert!(is_umask_cleared());
        let scratch = tempfile::tempdir().unwrap();
        let dir = crate::Dir::open_operator(scratch.path()).unwrap();
        dir.make_dir(b"d", 0o777).unwrap();
        assert_eq!(dir.stat(b"d").unwrap().mode, 0o777);
    }

    #[test]
    fn open_files_are_raised_once() {
        let limit = raise_open_files();
        assert!(limit > 0);
        assert_eq!(raise_open_files(), limit);
        assert!(!host_name().is_empty());
    }
}
