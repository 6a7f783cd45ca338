//! The destination of a run: its root, and the directories that were named beside it.

use std::io;
use std::path::{Path, PathBuf};

use fs::Dir;
use model::settings::Backup;
use model::{Cause, Fault, Inode, Job, Metadata, RelPath, Settings, Side, Verb};
use parking_lot::Mutex;

use super::join;
use crate::destination::Opened;
use crate::error::SetupError;

/// The destination as all tasks of a run know it.
pub(crate) struct Destination {
    /// As typed, for messages.
    shown: Box<[u8]>,
    /// The root; `None` where there is none, or none yet in a dry run.
    pub(crate) root: Option<Dir>,
    inode: Option<Inode>,
    /// The root did not exist before this run.
    pub(crate) is_new: bool,
    /// `--temp-dir`.
    pub(crate) temp_dir: Option<Dir>,
    /// `--compare-dest` and kin.
    pub(crate) basis_roots: Vec<Dir>,
    /// Those of them that cannot be opened, and why.
    pub(crate) lacking_basis_roots: Vec<(PathBuf, io::Error)>,
    backup_root: Mutex<Option<Dir>>,
}

impl Destination {
    /// Opens what the settings name beside the root.
    pub(super) fn new(
        job: &Job,
        settings: &Settings,
        opened: Option<&Opened>,
    ) -> Result<Self, SetupError> {
        let dir = opened.and_then(|opened| opened.dir.as_ref());
        let root = dir.map(|(dir, _)| dir.clone());
        let temp_dir = temp_dir(settings, root.as_ref())?;
        let (basis_roots, lacking_basis_roots) = basis_roots(job, root.as_ref());
        Ok(Self {
            shown: opened.map_or_else(Box::default, |opened| opened.shown.clone()),
            inode: dir.map(|(_, metadata)| metadata.inode()),
            is_new: opened.is_some_and(|opened| opened.is_new),
            temp_dir,
            basis_roots,
            lacking_basis_roots,
            backup_root: Mutex::new(None),
            root,
        })
    }

    /// True of the root, which a source above it must not copy into itself.
    pub(crate) fn is_root(&self, metadata: &Metadata) -> bool {
        self.inode == Some(metadata.inode())
    }

    /// Opens a directory whose path leads through links (`-K`): none of them may leave the root.
    pub(crate) fn open_beneath(&self, path: &RelPath) -> io::Result<Dir> {
        let root = self.root.as_ref().ok_or(io::ErrorKind::NotFound)?;
        root.open_beneath(path.as_bytes())
    }

    /// The root of `--backup-dir`, made when it is first needed; `None` without it.
    pub(crate) fn backup_root(&self, backup: &Backup) -> io::Result<Option<Dir>> {
        let (Some(path), Some(destination)) = (&backup.dir, &self.root) else { return Ok(None) };
        let mut root = self.backup_root.lock();
        if root.is_none() {
            *root = Some(fs::below::make_dirs_below(destination, path)?);
        }
        Ok(root.clone())
    }

    /// A fault, shown with the root.
    pub(crate) fn fault(&self, verb: Verb, path: &RelPath, cause: impl Into<Cause>) -> Fault {
        let path = join(&self.shown, path.as_bytes());
        Fault { side: Side::Destination, verb, path, cause: cause.into() }
    }
}

/// `--temp-dir`, which must be there also where nothing is written. As in rsync: without a destination
/// it is looked for from where the process is.
fn temp_dir(settings: &Settings, destination: Option<&Dir>) -> Result<Option<Dir>, SetupError> {
    let Some(path) = &settings.write.temp_dir else { return Ok(None) };
    let opened = match destination {
        Some(dir) => fs::below::open_dir_below(dir, path),
        None => Dir::open_operator(path),
    };
    let dir = opened.map_err(|cause| SetupError::TempDir { path: path.clone(), cause })?;
    Ok(destination.filter(|_| !settings.dry_run).map(|_| dir))
}

/// The directories of the basis trees, relative to the destination, and those that cannot be opened.
fn basis_roots(job: &Job, destination: Option<&Dir>) -> (Vec<Dir>, Vec<(PathBuf, io::Error)>) {
    let (mut roots, mut lacking) = (Vec::new(), Vec::new());
    for path in &job.settings.basis.dirs {
        let opened = match destination {
            Some(dir) => fs::below::open_dir_below(dir, path),
            None => basis_beside_absent(job, path),
        };
        match opened {
            Ok(dir) => roots.push(dir),
            Err(error) => lacking.push((path.clone(), error)),
        }
    }
    (roots, lacking)
}

/// A basis tree in a dry run that would make the destination: the first `..` leads to where that
/// would be made.
fn basis_beside_absent(job: &Job, path: &Path) -> io::Result<Dir> {
    if path.is_absolute() {
        return Dir::open_operator(path);
    }
    let nowhere = || io::Error::from(io::ErrorKind::NotFound);
    let destination = job.destination.as_ref().ok_or_else(nowhere)?;
    let destination = fs::below::absolute(&destination.path);
    let parent = Dir::open_operator(destination.parent().ok_or_else(nowhere)?)?;
    fs::below::open_dir_below(&parent, path.strip_prefix("..").map_err(|_| nowhere())?)
}
