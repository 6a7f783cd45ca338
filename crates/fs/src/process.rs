//! What the process itself is and may do.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Resource, Rlimit};

/// Open files that a run asks for: enough for any number of workers, and what servers allow.
const OPEN_FILES_CAP: u64 = 65_536;

/// The umask that was cleared. It belongs to the process, so what is known of it does, too.
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
pub(crate) fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Reads the program that this process runs, also when its name is gone or another's by now.
pub fn read_own_program() -> io::Result<Vec<u8>> {
    let mut program = Vec::new();
    File::open("/proc/self/exe")?.read_to_end(&mut program)?;
    Ok(program)
}

/// Random bytes that nobody can foretell.
pub fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// What the kernel was given when it was booted: no other has the same.
pub fn boot_id() -> io::Result<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id")
}

/// Makes relative paths of the process begin in another directory.
pub fn go_to(directory: &Path) -> io::Result<()> {
    Ok(rustix::process::chdir(directory)?)
}

/// The system and the kind of machine, as `uname -s` and `uname -m` name them.
pub fn system() -> String {
    let names = rustix::system::uname();
    format!("{} {}", names.sysname().to_string_lossy(), names.machine().to_string_lossy())
}

/// Sets the umask of the process to zero, so that modes given to the kernel mean what they say, and
/// returns the one that the process was started with. Called once, before there are threads: from
/// then on this crate takes the umask off itself, where it makes what the operator named.
pub fn clear_umask() -> u32 {
    *UMASK.get_or_init(|| rustix::process::umask(rustix::fs::Mode::empty()).bits())
}

/// Does something with the umask that the process was started with, as starting a program, which
/// inherits it. For a time in which nobody makes files whose modes the umask is not to touch. Who comes
/// meanwhile waits: the umask is that of all threads.
pub fn with_umask_of_start<T>(act: impl FnOnce() -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let Some(umask) = UMASK.get() else { return act() };
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(*umask));
    let done = act();
    rustix::process::umask(rustix::fs::Mode::empty());
    done
}

/// Whether modes given to the kernel mean what they say.
pub(crate) fn is_umask_cleared() -> bool {
    UMASK.get().is_some()
}

/// The umask that the kernel does not apply any more.
pub(crate) fn cleared_umask() -> u32 {
    UMASK.get().copied().unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_is_cleared_once() {
        let first = clear_umask();
        assert_eq!((clear_umask(), cleared_umask()), (first, first));
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
    }
}
