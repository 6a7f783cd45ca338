//! The files that buckets are written to.
//!
//! A file has no name before it is whole and on the disk, and takes none that another has. Nothing else is
//! put into the folder. Where a run is for all or nothing, what it published goes again when it fails.

use std::io;
use std::path::{Path, PathBuf};

use fs::{Dir, Naming, Staging};
use model::{Cause, Fault, Inode, Side, Verb};
use parking_lot::Mutex;

use crate::format::BucketFiles;

mod draft;

mod template;

pub use draft::Draft;
pub use template::{Template, TemplateError};

/// A folder that buckets are put into.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    dir: Dir,
    mode: u32,
}

impl Folder {
    /// Opens it. It is made if it is not there, and so are those above it. `umask` is what the process was
    /// started with.
    pub fn open(path: &Path, umask: u32) -> Result<Self, Fault> {
        let opened = Dir::open_operator(Path::new("."))
            .and_then(|here| fs::below::make_dirs_below(&here, path));
        let dir = opened.map_err(|error| fault(Verb::EnterDirectory, path, &error))?;
        Ok(Self { path: path.to_owned(), dir, mode: 0o666 & !umask })
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits until the names in it are on the disk.
    fn sync(&self, name: &str) -> Result<(), Fault> {
        let path = self.path_of(name);
        fs::operator::sync_name(&path).map_err(|error| fault(Verb::Sync, &path, &error))
    }

    /// Removes a file, if it is still the one that was published.
    fn remove(&self, file: &Published) -> io::Result<()> {
        match self.dir.stat(file.name.as_bytes()) {
            Ok(found) if found.inode() == file.inode => self.dir.remove_file(file.name.as_bytes()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// A file that got its name.
#[derive(Clone, Debug)]
struct Published {
    name: String,
    inode: Inode,
}

/// What becomes of the buckets of a run that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Those that were published go again: each is of use only with all others.
    Withdraw,
    /// They stay: somebody works by them already.
    Keep,
}

/// The buckets of a run. Many may be written at a time.
#[derive(Debug)]
pub struct Batch {
    folder: Folder,
    names: Template,
    failed: Failed,
    published: Mutex<Vec<Published>>,
}

impl Batch {
    /// Buckets that are to be called by `names`.
    pub fn new(folder: Folder, names: Template, failed: Failed) -> Self {
        Self { folder, names, failed, published: Mutex::default() }
    }

    /// Fails if a name is taken that one of so many buckets will have, or one of any number of them.
    pub fn check_free(&self, buckets: Option<u64>) -> Result<(), Fault> {
        let folder = &self.folder;
        let failed = |error: &io::Error| fault(Verb::List, &folder.path, error);
        let listing = folder.dir.reopen().and_then(|dir| dir.list());
        let listing = listing.map_err(|error| failed(&error))?;
        if let Some(error) = listing.error() {
            return Err(failed(error));
        }
        let is_ours = |number: u64| number > 0 && buckets.is_none_or(|buckets| number <= buckets);
        let names = listing.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok());
        let taken = names.filter(|name| self.names.number_of(name).is_some_and(is_ours)).min();
        taken.map_or(Ok(()), |name| Err(taken_by_another(&folder.path_of(name))))
    }

    /// Begins a bucket; the first has the number 1. Its files are for a [`Format`](crate::format::Format),
    /// and when that has finished, the draft is for [`publish`](Self::publish). A draft that is dropped
    /// leaves nothing.
    pub fn begin(&self, number: u64) -> Result<(Draft, Box<dyn BucketFiles>), Fault> {
        let (draft, files) = Draft::begin(&self.folder, self.names.names(number))?;
        Ok((draft, Box::new(files)))
    }

    /// Gives a bucket its name, and the path of its list.
    pub fn publish(&self, draft: Draft) -> Result<PathBuf, Fault> {
        let (list, files) = draft.publish()?;
        self.published.lock().extend(files);
        self.folder.sync(&list)?;
        Ok(self.folder.path_of(&list))
    }

    /// The run is complete: all that was published stays.
    pub fn keep(mut self) {
        self.failed = Failed::Keep;
    }

    /// The run has failed. Gives the first that should have gone and could not.
    pub fn end(mut self) -> Result<(), Fault> {
        let failures = self.withdraw();
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    fn withdraw(&mut self) -> Vec<Fault> {
        if self.failed == Failed::Keep {
            return Vec::new();
        }
        let removed = self.published.get_mut().drain(..).rev().map(|file| {
            let path = self.folder.path_of(&file.name);
            self.folder.remove(&file).map_err(|error| fault(Verb::Remove, &path, &error))
        });
        removed.filter_map(Result::err).collect()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Nobody is left to hear of it: who wants to know calls `end`.
        drop(self.withdraw());
    }
}

/// Looks whether a file may be made where the user wants one: what cannot be is told before hours of work.
pub fn check_folder_of(path: &Path) -> Result<(), Fault> {
    let opened = fs::operator::open_parent(path);
    opened.map(drop).map_err(|error| fault(Verb::Write, path, &error))
}

/// Writes a file of the user's in one step, whether or not there is one of that name.
pub fn replace(path: &Path, bytes: &[u8], umask: u32) -> Result<(), Fault> {
    let mode = 0o666 & !umask;
    let write = || {
        let (dir, name) = fs::operator::open_parent(path)?;
        let mut staging = Staging::create(&dir, &name, mode, Naming::Named)?;
        staging.file().write_all_at(bytes, 0)?;
        staging.file().set_mode(mode)?;
        staging.file().sync_all()?;
        staging.publish_replacing(&dir, &name)
    };
    write().map_err(|error: io::Error| fault(Verb::Write, path, &error))
}

fn fault(verb: Verb, path: &Path, error: &io::Error) -> Fault {
    fault_for(verb, path, Cause::from(error))
}

fn fault_for(verb: Verb, path: &Path, cause: Cause) -> Fault {
    Fault { side: Side::Destination, verb, path: path.as_os_str().as_encoded_bytes().into(), cause }
}

fn taken_by_another(path: &Path) -> Fault {
    let reason = "there is a file of that name, which is left as it is: take other names with \
                  --name-template, or another folder with --output";
    fault_for(Verb::Publish, path, Cause::Refused(reason.into()))
}

#[cfg(test)]
mod tests;
