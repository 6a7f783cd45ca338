//! A tree on this host, looked at name by name.
//!
//! Directories are opened by their path below the root, in one call that follows no link, so that no
//! descriptor is held for what waits: there may be hundreds of workers and any depth.

use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fs::{Dir, Listing};
use model::{Cause, Fault, Kind, Metadata, Side, Verb};
use parking_lot::Mutex;
use sched::Workers;

use super::{Below, Found, Links, Lister, Refused, Root, TellError, Why};
use crate::amount::Measure;
use crate::cut::joined;

/// Names that one worker looks at before another may take the rest: enough that handing them over costs
/// nothing, few enough that a directory of a thousand names keeps many workers busy where each look takes
/// milliseconds.
const NAMES_PER_PART: usize = 64;

/// Workers that begin: storage at the other end of a network serves at least so many at once, and where it is
/// near, they cost next to nothing. Measured: where an operation takes 2 ms, a crawl of 2,600 entries that
/// begins with one worker a core takes six times as long.
const FIRST_WORKERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

/// Unit of `st_blocks` (inode(7)), bytes.
const BLOCK_BYTES: u64 = 512;

/// A tree on this host.
#[derive(Debug)]
pub struct Crawl {
    shown: PathBuf,
    root: Dir,
    settings: Settings,
    root_device: u64,
    opened: AtomicU64,
    faults: Mutex<Vec<Fault>>,
}

/// How a tree is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Which bytes count.
    pub measure: Measure,
    /// Whether directories of other file systems are left out, as by `-x`.
    pub one_file_system: bool,
}

/// What can be told at once.
#[derive(Debug)]
pub enum Part {
    /// A directory, by its path below the root.
    Directory(Box<[u8]>),
    /// Some names of one that has been listed.
    Names(Arc<Listed>, Range<usize>),
}

/// A directory whose names are known.
#[derive(Debug)]
pub struct Listed {
    dir: Dir,
    path: Box<[u8]>,
    names: Listing,
}

/// How many look at a tree at once: as many as pay off.
pub fn workers() -> Workers {
    match Workers::default() {
        Workers::Auto { least, ceiling, .. } => {
            Workers::Auto { first: FIRST_WORKERS, least, ceiling }
        }
        fixed @ Workers::Fixed(_) => fixed,
    }
}

impl Crawl {
    /// Opens a tree by the path that the user typed.
    ///
    /// Fails when there is no directory that can be read.
    pub fn open(path: PathBuf, settings: Settings) -> Result<Self, Refused> {
        let opened = Dir::open_operator(&path).and_then(|dir| Ok((dir.device()?, dir)));
        let (root_device, root) = opened.map_err(|error| {
            let shown = path.display();
            let sentence = format!("source: open directory \"{shown}\": {error}");
            Refused { why: Why::Source, sentence }
        })?;
        let (opened, faults) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { shown: path, root, settings, root_device, opened, faults })
    }

    fn list(&self, path: Box<[u8]>) -> Result<Listed, TellError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let fault = |verb, error: &io::Error| TellError::Fault(self.fault(verb, &path, error));
        let dir = if path.is_empty() {
            self.root.clone()
        } else {
            self.root.open_descendant(&path).map_err(|error| fault(Verb::OpenDirectory, &error))?
        };
        let mut names = dir.list().map_err(|error| fault(Verb::List, &error))?;
        match names.take_error() {
            Some(error) => Err(fault(Verb::List, &error)),
            None => Ok(Listed { dir, path, names }),
        }
    }

    fn fault(&self, verb: Verb, path: &[u8], error: &io::Error) -> Fault {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => Cause::Vanished,
            _ => Cause::from(error),
        };
        Fault { side: Side::Source, verb, path: self.full_path(path).into(), cause }
    }

    /// Looks at one name. One that is gone again was never there; one that cannot be looked at is told as
    /// what its directory says of it, and noted.
    fn look(&self, listed: &Listed, index: usize, hear: &mut dyn FnMut(Found<'_, Part>)) {
        let name = listed.names.name(index);
        let below = || Below::Unknown(Part::Directory(joined(&listed.path, name).into()));
        let hint = listed.names.kind_hint(index);
        if hint == Some(Kind::Directory) && !self.settings.one_file_system {
            return hear(directory(name, below()));
        }
        match listed.dir.stat(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let fault = self.fault(Verb::LookAt, &joined(&listed.path, name), &error);
                self.faults.lock().push(fault);
                let (kind, below) = (hint.unwrap_or(Kind::File), Below::Nothing);
                hear(Found { name, kind, bytes: 0, links: None, below });
            }
            Ok(metadata) if metadata.kind != Kind::Directory => hear(self.entry(name, &metadata)),
            Ok(metadata) if self.settings.one_file_system && metadata.dev != self.root_device => {
                hear(directory(name, Below::LeftOut));
            }
            Ok(_) => hear(directory(name, below())),
        }
    }

    fn entry<'a>(&self, name: &'a [u8], metadata: &Metadata) -> Found<'a, Part> {
        let bytes = match (metadata.kind, self.settings.measure) {
            (Kind::File | Kind::Symlink, Measure::Content) => metadata.size,
            (_, Measure::Content) => 0,
            (_, Measure::Allocated) => metadata.allocated_blocks.saturating_mul(BLOCK_BYTES),
        };
        let count = u64::from(metadata.nlink);
        let links = (count > 1).then(|| Links { inode: metadata.inode(), count });
        Found { name, kind: metadata.kind, bytes, links, below: Below::Nothing }
    }
}

fn directory(name: &[u8], below: Below<Part>) -> Found<'_, Part> {
    Found { name, kind: Kind::Directory, bytes: 0, links: None, below }
}

impl Lister for Crawl {
    type Part = Part;

    fn root(&self) -> Result<Root<Part>, Refused> {
        Ok(Root { part: Part::Directory(Box::default()), total: None })
    }

    fn tell(
        &self,
        part: Part,
        hear: &mut dyn FnMut(Found<'_, Part>),
    ) -> Result<Vec<Part>, TellError> {
        let (listed, range) = match part {
            Part::Directory(path) => {
                let listed = Arc::new(self.list(path)?);
                let count = listed.names.len();
                (listed, 0..count)
            }
            Part::Names(listed, range) => (listed, range),
        };
        let (own, rest) = halves_beyond(range);
        for index in own {
            self.look(&listed, index, hear);
        }
        Ok(rest.into_iter().map(|range| Part::Names(Arc::clone(&listed), range)).collect())
    }

    fn take_faults(&self) -> Vec<Fault> {
        mem::take(&mut self.faults.lock())
    }

    fn asked(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn full_path(&self, path: &[u8]) -> Vec<u8> {
        let shown = self.shown.as_os_str().as_bytes();
        if path.is_empty() { shown.to_vec() } else { joined(shown, path) }
    }
}

/// What one worker looks at, and the rest in two parts, so that a wide directory is shared out by many at
/// once and nobody makes a list of all its parts.
fn halves_beyond(range: Range<usize>) -> (Range<usize>, Vec<Range<usize>>) {
    let end = range.end.min(range.start + NAMES_PER_PART);
    let middle = end + (range.end - end) / 2;
    let rest = [end..middle, middle..range.end].into_iter().filter(|range| !range.is_empty());
    (range.start..end, rest.collect())
}

#[cfg(test)]
mod tests;
