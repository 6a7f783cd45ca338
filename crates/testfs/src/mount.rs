//! Mounting and, above all, unmounting.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fuser::{BackgroundSession, MountOption, Session, SessionACL};
use parking_lot::RwLock;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use crate::data::Handles;
use crate::fault::Fault;
use crate::server::{Server, Shared};
use crate::stats::{Counters, Stats};
use crate::tree::Tree;

/// How a mount behaves.
#[derive(Debug)]
pub struct Config {
    /// The directory that is shown.
    pub backing: PathBuf,
    /// What each operation takes that a caller waits for.
    pub delay: Duration,
    /// How many operations are served at once.
    pub slots: u16,
    /// The rules by which operations fail; the first that strikes decides.
    pub faults: Vec<Fault>,
    /// Whether names that differ only in the case of ASCII letters are one; an entry keeps the case
    /// that it was made with.
    pub folds_case: bool,
}

impl Config {
    /// No delay, eight slots, no faults, names as they are.
    pub fn new(backing: impl Into<PathBuf>) -> Self {
        Self {
            backing: backing.into(),
            delay: Duration::ZERO,
            slots: 8,
            faults: Vec::new(),
            folds_case: false,
        }
    }
}

/// A mounted file system; dropping it unmounts.
///
/// A process that is killed outright leaves a dead mount behind, which `umount -l` removes.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    owns_mountpoint: bool,
    session: Option<BackgroundSession>,
    shared: Arc<Shared>,
}

impl Mount {
    /// Mounts on a new directory among the temporary ones.
    pub fn new(config: Config) -> io::Result<Self> {
        // Never removed recursively: a failed unmount would take the backing files along.
        let mountpoint = tempfile::Builder::new().prefix("testfs-").tempdir()?.keep();
        let mounted = Self::start(config, &mountpoint, true);
        if mounted.is_err() {
            let _best_effort = std::fs::remove_dir(&mountpoint);
        }
        mounted
    }

    /// Mounts on a directory of the caller's.
    pub fn at(config: Config, mountpoint: &Path) -> io::Result<Self> {
        Self::start(config, mountpoint, false)
    }

    /// Where the file system is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the fault rules, also while operations run.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *self.shared.faults.write() = faults;
    }

    /// What was served so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }

    /// Whether the file system has been unmounted by someone else or its server has stopped.
    pub fn is_gone(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.guard.is_finished())
    }

    fn start(config: Config, mountpoint: &Path, owns_mountpoint: bool) -> io::Result<Self> {
        raise_open_file_limit();
        let path = mountpoint.canonicalize()?;
        let shared =
            Arc::new(Shared { faults: RwLock::new(config.faults), counters: Counters::default() });
        let slots = config.slots.max(1);
        let server = Server {
            tree: Tree::new(&config.backing, config.folds_case)?,
            handles: Handles::default(),
            delay: config.delay,
            slots,
            shared: Arc::clone(&shared),
        };
        let session = Session::new(server, &path, &options(slots))?.spawn()?;
        Ok(Self { path, owns_mountpoint, session: Some(session), shared })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, so that a test that fails with a file open does not leave the mount behind.
        if unmount(&self.path, UnmountFlags::DETACH).is_err() {
            let _best_effort = Command::new("fusermount3")
                .args(["-u", "-q", "-z", "--"])
                .arg(&self.path)
                .stderr(Stdio::null())
                .status();
        }
        // Not joined: its threads end with the last open file.
        drop(self.session.take());
        if self.owns_mountpoint {
            let _best_effort = std::fs::remove_dir(&self.path);
        }
    }
}

fn options(slots: u16) -> fuser::Config {
    let mut options = fuser::Config::default();
    options.mount_options = vec![
        MountOption::FSName("testfs".to_owned()),
        MountOption::Subtype("testfs".to_owned()),
        MountOption::DefaultPermissions,
    ];
    if geteuid().is_root() {
        options.mount_options.extend([MountOption::Dev, MountOption::Suid]);
        options.acl = SessionACL::All;
    }
    options.n_threads = Some(slots.into());
    options
}

/// A descriptor is held for each known inode.
fn raise_open_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _best_effort = setrlimit(Resource::Nofile, raised);
}
