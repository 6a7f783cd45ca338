//! Directories of the source.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use fs::xattr::Behind;
use fs::{AccessTime, Dir, Listing};
use model::{Metadata, Side};
use wire::{Access, Follow};

use super::remote::{RemoteAttributes, RemoteDir};
use super::{Directory, SignedWhole, SourceAttributes, SourceFile};
use crate::{merge_files, pipeline};

/// An open directory of the source. A clone is another handle to the same one and costs next to
/// nothing.
#[derive(Clone, Debug)]
pub(crate) enum SourceDir {
    /// On this host.
    Local(Dir),
    /// On another.
    Remote(RemoteDir),
}

/// How a directory is opened by its own name: to be listed, or to reach what is in it.
const LISTED: (Access, Follow) = (Access::Read, Follow::Never);
const SEARCHED: (Access, Follow) = (Access::Search, Follow::Never);

/// What is asked of it, as of [`Dir`], beside what is asked of either side.
impl SourceDir {
    /// The directory, where it lies on this host: its inode may be compared with others here.
    pub(crate) fn on_this_host(&self) -> Option<&Dir> {
        match self {
            Self::Local(dir) => Some(dir),
            Self::Remote(_) => None,
        }
    }

    /// A path on the host of this one as it reads from `/`, by its text.
    pub(crate) fn absolute(&self, path: &[u8]) -> Vec<u8> {
        match self {
            Self::Local(_) => pipeline::absolute(path),
            Self::Remote(dir) => dir.absolute(path),
        }
    }

    /// Opens a directory below this one. Fails for anything else, a link included.
    pub(crate) fn open_child(&self, name: &[u8], atime: AccessTime) -> io::Result<Self> {
        match self {
            Self::Local(dir) => dir.open_child(name, atime).map(Self::Local),
            Self::Remote(dir) => dir.open_child(name, LISTED, atime).map(Self::Remote),
        }
    }

    /// The same, to reach what is in it: it need not be read.
    pub(crate) fn open_child_to_search(&self, name: &[u8], atime: AccessTime) -> io::Result<Self> {
        match self {
            Self::Local(dir) => dir.open_child_to_search(name, atime).map(Self::Local),
            Self::Remote(dir) => dir.open_child(name, SEARCHED, atime).map(Self::Remote),
        }
    }

    /// A directory below this one will be opened by [`open_child`](Self::open_child), soon: where that
    /// takes long it is begun. False if that has to wait.
    pub(crate) fn begin_child(&self, name: &[u8], atime: AccessTime) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Remote(dir) => dir.begin_child(name, atime),
        }
    }

    /// True if there is nothing in it.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        match self {
            Self::Local(dir) => Ok(dir.list()?.is_empty()),
            Self::Remote(dir) => dir.is_empty(),
        }
    }

    /// What lies at the end of a way will be looked at, soon: where that takes long it is begun. Links on
    /// the way are followed so. False if that has to wait.
    pub(crate) fn begin_look(&self, components: &[&[u8]], follow: Follow) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Remote(dir) => dir.begin_look(components, follow),
        }
    }

    /// Opens a directory below this one, or the directory that a link below this one leads to.
    pub(crate) fn open_child_following(&self, name: &[u8]) -> io::Result<Self> {
        match self {
            Self::Local(dir) => dir.open_child_following(name).map(Self::Local),
            Self::Remote(dir) => {
                let how = (Access::Read, Follow::Links);
                dir.open_child(name, how, AccessTime::Update).map(Self::Remote)
            }
        }
    }

    /// The same, to reach what is in it: it need not be read.
    pub(crate) fn open_child_following_to_search(&self, name: &[u8]) -> io::Result<Self> {
        match self {
            Self::Local(dir) => dir.open_child_following_to_search(name).map(Self::Local),
            Self::Remote(dir) => {
                let how = (Access::Search, Follow::Links);
                dir.open_child(name, how, AccessTime::Update).map(Self::Remote)
            }
        }
    }

    /// The same, where a link is followed only if root or who reads the source made it.
    pub(crate) fn open_child_following_own_to_search(&self, name: &[u8]) -> io::Result<Self> {
        let path = Path::new(OsStr::from_bytes(name));
        match self {
            Self::Local(dir) => fs::below::open_dir_below_to_search(dir, path).map(Self::Local),
            Self::Remote(dir) => dir.open_own_child(name).map(Self::Remote),
        }
    }

    /// Fails unless names in it can be looked at.
    pub(crate) fn check_search(&self) -> io::Result<()> {
        match self {
            Self::Local(dir) => dir.check_search(),
            Self::Remote(dir) => dir.check_search(),
        }
    }

    /// Every name in it. Fails when nothing could be read; what could be read in part is a listing
    /// with an error.
    pub(crate) fn list(&self) -> io::Result<Listing> {
        match self {
            Self::Local(dir) => dir.list(),
            Self::Remote(dir) => dir.list(),
        }
    }

    /// The same, where nothing more is wanted of its entries yet.
    pub(crate) fn list_names(&self) -> io::Result<Listing> {
        match self {
            Self::Local(dir) => dir.list(),
            Self::Remote(dir) => dir.list_names(),
        }
    }

    /// Metadata of what a name leads to, through any links.
    pub(crate) fn stat_following(&self, name: &[u8]) -> io::Result<Metadata> {
        match self {
            Self::Local(dir) => dir.stat_following(name),
            Self::Remote(dir) => dir.stat_following(name),
        }
    }

    /// Extended attributes and ACLs of what a name leads to, through any links.
    pub(crate) fn attributes_behind(&self, name: &[u8]) -> io::Result<SourceAttributes<'_>> {
        match self {
            Self::Local(dir) => Behind::of(dir, name).map(SourceAttributes::LocalBehind),
            Self::Remote(dir) => dir.attributes_behind(name).map(SourceAttributes::Remote),
        }
    }

    /// Opens a file to be read; a link cannot be opened.
    pub(crate) fn open_file(&self, name: &[u8], atime: AccessTime) -> io::Result<SourceFile> {
        match self {
            Self::Local(dir) => dir.open_file(name, atime).map(SourceFile::Local),
            Self::Remote(dir) => dir.open_file(name, Follow::Never, atime).map(SourceFile::remote),
        }
    }

    /// Opens what a name leads to, through any links.
    pub(crate) fn open_file_following(
        &self,
        name: &[u8],
        atime: AccessTime,
    ) -> io::Result<SourceFile> {
        match self {
            Self::Local(dir) => dir.open_file_following(name, atime).map(SourceFile::Local),
            Self::Remote(dir) => dir.open_file(name, Follow::Links, atime).map(SourceFile::remote),
        }
    }

    /// Opens a file that will be read; where that takes long, not before it is fetched or wanted.
    /// Then it is told by what is asked of the file first that it cannot be opened.
    pub(crate) fn open_file_ahead(&self, name: &[u8], atime: AccessTime) -> io::Result<SourceFile> {
        match self {
            Self::Local(_) => self.open_file(name, atime),
            Self::Remote(dir) => {
                dir.file_to_read(name, Follow::Never, atime).map(SourceFile::remote)
            }
        }
    }

    /// A file of which a checksum is wanted and not its content; that it cannot be opened may be told
    /// by that.
    pub(crate) fn open_file_to_sum(
        &self,
        name: &[u8],
        is_followed: bool,
        atime: AccessTime,
    ) -> io::Result<SourceFile> {
        match self {
            Self::Local(_) if is_followed => self.open_file_following(name, atime),
            Self::Local(_) => self.open_file(name, atime),
            Self::Remote(dir) => {
                let follow = if is_followed { Follow::Links } else { Follow::Never };
                dir.file(name, follow, atime).map(SourceFile::remote)
            }
        }
    }

    /// Opens a file that will be made of an old one: of its content only that is wanted which the old
    /// one does not have.
    pub(crate) fn open_file_to_patch(
        &self,
        name: &[u8],
        is_followed: bool,
        atime: AccessTime,
    ) -> io::Result<SourceFile> {
        match self {
            Self::Local(_) if is_followed => self.open_file_following(name, atime),
            Self::Local(_) => self.open_file(name, atime),
            Self::Remote(dir) => {
                let follow = if is_followed { Follow::Links } else { Follow::Never };
                dir.open_unread(name, follow, atime).map(SourceFile::remote)
            }
        }
    }

    /// The same of one of so many bytes, where all of the old one is signed.
    pub(crate) fn open_file_to_renew(
        &self,
        name: &[u8],
        (is_followed, atime): (bool, AccessTime),
        bytes: u64,
        old: &SignedWhole,
    ) -> io::Result<SourceFile> {
        match self {
            Self::Local(_) => self.open_file_to_patch(name, is_followed, atime),
            Self::Remote(dir) => {
                let follow = if is_followed { Follow::Links } else { Follow::Never };
                dir.open_renewal(name, (follow, atime), bytes, old).map(SourceFile::remote)
            }
        }
    }

    /// What a name was found to be may not be so any more: it is looked at again when it is asked
    /// about.
    pub(crate) fn doubt(&self, name: &[u8]) {
        match self {
            // Each look is a new one.
            Self::Local(_) => {}
            Self::Remote(dir) => dir.doubt(name),
        }
    }

    /// Removes a name that is no directory and was found to be this a moment ago.
    pub(crate) fn remove_file(&self, name: &[u8], found: &Metadata) -> io::Result<()> {
        match self {
            Self::Local(dir) => dir.remove_file(name),
            Self::Remote(dir) => dir.remove_file(name, found),
        }
    }
}

impl Directory for SourceDir {
    type Attributes<'a> = SourceAttributes<'a>;

    const SIDE: Side = Side::Source;

    fn as_opened(&self) -> io::Result<Metadata> {
        match self {
            Self::Local(dir) => dir.metadata(),
            Self::Remote(dir) => Ok(dir.as_opened()),
        }
    }

    fn open_parent(&self) -> io::Result<Self> {
        match self {
            Self::Local(dir) => dir.open_parent().map(Self::Local),
            Self::Remote(dir) => dir.open_parent().map(Self::Remote),
        }
    }

    fn stat(&self, name: &[u8]) -> io::Result<Metadata> {
        match self {
            Self::Local(dir) => dir.stat(name),
            Self::Remote(dir) => dir.stat(name),
        }
    }

    fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Local(dir) => dir.read_link(name),
            Self::Remote(dir) => dir.read_link(name),
        }
    }

    fn read_start(&self, name: &[u8], most_bytes: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Local(dir) => dir.read_start(name, most_bytes),
            Self::Remote(dir) => dir.read_start(name, most_bytes),
        }
    }

    fn read_rules(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Local(dir) => dir.read_rules(path),
            Self::Remote(dir) => dir.read_rules(path),
        }
    }

    fn read_rules_above(dir: Option<&Self>, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match dir {
            Some(Self::Remote(dir)) => dir.read_rules_above(path),
            Some(Self::Local(_)) | None => merge_files::read_above(path),
        }
    }

    fn attributes(&self) -> SourceAttributes<'_> {
        match self {
            Self::Local(dir) => SourceAttributes::Local(dir.attributes()),
            Self::Remote(dir) => SourceAttributes::Remote(RemoteAttributes::of_dir(dir)),
        }
    }

    fn attributes_of<'a>(&'a self, name: &'a [u8]) -> SourceAttributes<'a> {
        match self {
            Self::Local(dir) => SourceAttributes::Local(dir.attributes_of(name)),
            Self::Remote(dir) => SourceAttributes::Remote(RemoteAttributes::of_name(dir, name)),
        }
    }
}
