//! Directories, of either side.

use std::io;

use fs::xattr::Node as Carrier;
use fs::{AccessTime, Dir};
use model::{Metadata, Side};

use super::Attributed;
use crate::merge_files;

/// What is asked of a directory at either side.
pub(crate) trait Directory: Clone {
    type Attributes<'a>: Attributed
    where
        Self: 'a;

    /// The side that it is of; what is no source counts as destination.
    const SIDE: Side;

    /// Its own metadata as it was when it was opened, or later: what costs least.
    fn as_opened(&self) -> io::Result<Metadata>;

    /// Opens the directory that it lies in now.
    fn open_parent(&self) -> io::Result<Self>;

    /// Metadata of a name; of a link, the link's own.
    fn stat(&self, name: &[u8]) -> io::Result<Metadata>;

    /// The target of a link.
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] for what is no link.
    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>>;

    /// The first bytes of a file, at most so many.
    fn read_start(&self, name: &[u8], most_bytes: usize) -> io::Result<Vec<u8>>;

    /// The rules of a merge file in it or below it; `None` when there is no such file.
    fn read_rules(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// The rules of a merge file above the tree that a directory is of, by its absolute path.
    fn read_rules_above(dir: Option<&Self>, path: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Its own extended attributes and ACLs.
    fn attributes(&self) -> Self::Attributes<'_>;

    /// Those of a name; of a link, the link's own.
    fn attributes_of<'a>(&'a self, name: &'a [u8]) -> Self::Attributes<'a>;
}

impl Directory for Dir {
    type Attributes<'a> = Carrier<'a>;

    const SIDE: Side = Side::Destination;

    fn as_opened(&self) -> io::Result<Metadata> {
        self.metadata()
    }

    fn open_parent(&self) -> io::Result<Self> {
        self.open_parent()
    }

    fn stat(&self, name: &[u8]) -> io::Result<Metadata> {
        self.stat(name)
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        self.read_link(name)
    }

    fn read_start(&self, name: &[u8], most_bytes: usize) -> io::Result<Vec<u8>> {
        let file = self.open_file(name, AccessTime::Keep)?;
        let mut start = vec![0; most_bytes];
        let len = file.read_at(&mut start, 0)?;
        start.truncate(len);
        Ok(start)
    }

    fn read_rules(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        merge_files::read(self, path)
    }

    fn read_rules_above(_: Option<&Self>, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        merge_files::read_above(path)
    }

    fn attributes(&self) -> Carrier<'_> {
        self.into()
    }

    fn attributes_of<'a>(&'a self, name: &'a [u8]) -> Carrier<'a> {
        Carrier::Name(self, name)
    }
}
