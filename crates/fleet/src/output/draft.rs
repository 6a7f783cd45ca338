//! A bucket that is being written.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use fs::staging::{Naming, Staging};
use model::{Fault, Verb};
use parking_lot::Mutex;

use super::template::Names;
use super::{Folder, Published, fault, taken_by_another};
use crate::format::BucketFiles;

/// What is collected before it is written.
const BUFFER_BYTES: usize = 64 * 1024;

/// So many further files of a bucket wait for their names at a time, each an open file. When there are
/// more, the first get theirs: the list that names them is not there yet.
const FURTHER_MAX: usize = 64;

/// A bucket that is being written. One that is dropped leaves nothing.
#[derive(Debug)]
pub struct Draft {
    parts: Arc<Mutex<Parts>>,
}

#[derive(Debug)]
struct Parts {
    folder: Folder,
    names: Names,
    list: Part,
    /// Further files, and what became of them, in order.
    further: Vec<Further>,
    /// The first of them that has no name yet.
    first_open: usize,
}

#[derive(Debug)]
enum Further {
    Open(String, Part),
    Published(Published),
}

/// A file without a name.
#[derive(Debug)]
struct Part(BufWriter<Filling>);

#[derive(Debug)]
struct Filling {
    staging: Staging,
    length_bytes: u64,
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.staging.file().write_all_at(bytes, self.length_bytes)?;
        self.length_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Part {
    fn create(folder: &Folder, name: &str) -> io::Result<Self> {
        let naming = Naming::AnonymousIfPossible;
        let staging = Staging::create(&folder.dir, name.as_bytes(), folder.mode, naming)?;
        let filling = Filling { staging, length_bytes: 0 };
        Ok(Self(BufWriter::with_capacity(BUFFER_BYTES, filling)))
    }

    /// Sees to it that the file is on the disk and can be read by those who may.
    fn complete(&mut self, mode: u32) -> io::Result<()> {
        self.0.flush()?;
        let staging = &self.0.get_ref().staging;
        // A staging file that has a name is private; one without was born with its mode.
        if !staging.is_anonymous() {
            staging.file().set_mode(mode)?;
        }
        staging.file().sync_all()
    }

    /// Gives the file its name.
    fn publish(&mut self, folder: &Folder, name: &str) -> Result<Published, Fault> {
        let path = folder.path_of(name);
        let failed = |verb| {
            let path: &Path = &path;
            move |error: io::Error| match error.kind() {
                io::ErrorKind::AlreadyExists => taken_by_another(path),
                _ => fault(verb, path, &error),
            }
        };
        self.complete(folder.mode).map_err(failed(Verb::Write))?;
        let staging = &mut self.0.get_mut().staging;
        let inode = staging.file().metadata().map_err(failed(Verb::LookAtStaging))?.inode();
        staging.publish_new(&folder.dir, name.as_bytes()).map_err(failed(Verb::Publish))?;
        Ok(Published { name: name.to_owned(), inode })
    }
}

impl Draft {
    pub(super) fn begin(folder: &Folder, names: Names) -> Result<(Self, Files), Fault> {
        let list = Part::create(folder, &names.list());
        let list = list
            .map_err(|error| fault(Verb::CreateStaging, &folder.path_of(&names.list()), &error))?;
        let (folder, further) = (folder.clone(), Vec::new());
        let parts = Parts { folder, names, list, further, first_open: 0 };
        let parts = Arc::new(Mutex::new(parts));
        Ok((Self { parts: Arc::clone(&parts) }, Files { list: Pen { parts, place: Place::List } }))
    }

    /// Gives all files their names, the list last; gives the name of the list, and all that has a name now.
    pub(super) fn publish(self) -> Result<(String, Vec<Published>), Fault> {
        let mut parts = self.parts.lock();
        while parts.first_open < parts.further.len() {
            parts.publish_first()?;
        }
        let Parts { folder, names, list, .. } = &mut *parts;
        let list = list.publish(folder, &names.list())?;
        let mut published = vec![list];
        published.extend(parts.further.drain(..).filter_map(|file| match file {
            Further::Published(file) => Some(file),
            Further::Open(..) => None,
        }));
        Ok((parts.names.list(), published))
    }
}

impl Parts {
    /// Gives the first further file that has none its name.
    fn publish_first(&mut self) -> Result<(), Fault> {
        if let Some(file) = self.further.get_mut(self.first_open)
            && let Further::Open(name, part) = file
        {
            *file = Further::Published(part.publish(&self.folder, name)?);
        }
        self.first_open += 1;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for file in &self.further {
            if let Further::Published(file) = file {
                // Nobody is left to hear of a failure, and no list names the file.
                self.folder.remove(file).ok();
            }
        }
    }
}

/// The files of a draft, to be written to.
#[derive(Debug)]
pub(super) struct Files {
    list: Pen,
}

/// Writes to one file of a draft.
#[derive(Debug)]
struct Pen {
    parts: Arc<Mutex<Parts>>,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    List,
    Further(usize),
}

impl Pen {
    fn with<T>(&self, act: impl FnOnce(&mut Part) -> io::Result<T>) -> io::Result<T> {
        let mut parts = self.parts.lock();
        match self.place {
            Place::List => act(&mut parts.list),
            Place::Further(at) => match parts.further.get_mut(at) {
                Some(Further::Open(_, part)) => act(part),
                // Too many others were begun before this one was written.
                Some(Further::Published(_)) | None => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }
}

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|part| part.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|part| part.0.flush())
    }
}

impl BucketFiles for Files {
    fn list(&mut self) -> &mut dyn Write {
        &mut self.list
    }

    fn beside(
        &mut self,
        number: u64,
        extension: &str,
    ) -> io::Result<(String, Box<dyn Write + Send>)> {
        let mut parts = self.list.parts.lock();
        if parts.further.len() - parts.first_open >= FURTHER_MAX {
            parts.publish_first().map_err(|fault| {
                io::Error::other(String::from_utf8_lossy(&fault.text()).into_owned())
            })?;
        }
        let name = parts.names.further(number, extension);
        let part = Part::create(&parts.folder, &name)?;
        parts.further.push(Further::Open(name.clone(), part));
        let place = Place::Further(parts.further.len() - 1);
        drop(parts);
        Ok((name, Box::new(Pen { parts: Arc::clone(&self.list.parts), place })))
    }
}
