//! A small tree as data: described once, built as often as needed, each time the same.
//!
//! Paths are relative to the scratch directory of a case, so one `Tree` holds sources,
//! destinations and rule files together. `@ROOT@` in a link target stands for that directory.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// Stands for the absolute path of the scratch directory in link targets and arguments.
pub(crate) const ROOT_MARK: &[u8] = b"@ROOT@";

/// The time of every node that does not say otherwise.
pub(crate) const DEFAULT_MTIME: (i64, u32) = (1_600_000_000, 0);

/// A run of bytes of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Segment {
    /// These very bytes.
    Bytes(Vec<u8>),
    /// `len` bytes of the decimal numbers from `from` on, one a line: never repeats, and `seq` makes
    /// it too.
    Numbers { from: u32, len: usize },
    /// Zeros that are written.
    Zeros(usize),
    /// Zeros that are not.
    Hole(usize),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Numbers { len, .. } | Self::Zeros(len) | Self::Hole(len) => *len,
        }
    }
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Dir,
    File(Vec<Segment>),
    Symlink(Vec<u8>),
    /// Another name of the node at this path.
    HardLink(Vec<u8>),
    Fifo,
    Socket,
    Char(u32, u32),
    Block(u32, u32),
}

/// Named entries of a POSIX ACL; owner and other follow from the mode.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Acl {
    pub(crate) users: Vec<(u32, u16)>,
    pub(crate) groups: Vec<(u32, u16)>,
    pub(crate) group_obj: u16,
    pub(crate) mask: u16,
}

/// One name in a tree with all that is kept about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    /// `None` is whoever runs the tool.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mtime: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) acl: Option<Acl>,
    pub(crate) default_acl: Option<Acl>,
}

impl Node {
    /// A node with the plainest metadata.
    pub(crate) fn plain(path: &[u8], kind: Kind) -> Self {
        let mode = if kind == Kind::Dir { 0o755 } else { 0o644 };
        Self {
            path: path.to_vec(),
            kind,
            mode,
            owner: None,
            mtime: DEFAULT_MTIME,
            xattrs: Vec::new(),
            acl: None,
            default_acl: None,
        }
    }

    /// True if `self` is `path` or lies below it.
    pub(crate) fn is_at_or_below(&self, path: &[u8]) -> bool {
        self.path == path
            || (self.path.starts_with(path) && self.path.get(path.len()) == Some(&b'/'))
    }
}

/// Nodes in an order in which they can be made: parents first, link targets before links.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// Builder: each call adds a node (and its missing parents) or changes the node added last.
impl Tree {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(mut self, path: impl AsRef<[u8]>, kind: Kind) -> Self {
        self.push(Node::plain(path.as_ref(), kind));
        self
    }

    pub(crate) fn dir(self, path: impl AsRef<[u8]>) -> Self {
        self.add(path, Kind::Dir)
    }

    pub(crate) fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.add(path, Kind::File(vec![Segment::Bytes(content.as_ref().to_vec())]))
    }

    pub(crate) fn numbers(self, path: impl AsRef<[u8]>, from: u32, len: usize) -> Self {
        self.add(path, Kind::File(vec![Segment::Numbers { from, len }]))
    }

    pub(crate) fn segments(self, path: impl AsRef<[u8]>, segments: Vec<Segment>) -> Self {
        self.add(path, Kind::File(segments))
    }

    pub(crate) fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.add(path, Kind::Symlink(target.as_ref().to_vec()))
    }

    pub(crate) fn hard_link(self, path: impl AsRef<[u8]>, first: impl AsRef<[u8]>) -> Self {
        self.add(path, Kind::HardLink(first.as_ref().to_vec()))
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.last().mode = mode;
        self
    }

    pub(crate) fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.last().owner = Some((uid, gid));
        self
    }

    pub(crate) fn mtime(mut self, seconds: i64, nanoseconds: u32) -> Self {
        self.last().mtime = (seconds, nanoseconds);
        self
    }

    pub(crate) fn xattr(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.last().xattrs.push((name.as_bytes().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn acl(mut self, acl: Acl) -> Self {
        self.last().acl = Some(acl);
        self
    }

    pub(crate) fn default_acl(mut self, acl: Acl) -> Self {
        self.last().default_acl = Some(acl);
        self
    }

    fn last(&mut self) -> &mut Node {
        self.nodes.last_mut().expect("a node was added before it is changed")
    }

    /// Adds `node`, its missing parents before it; a node at the same path is replaced.
    pub(crate) fn push(&mut self, node: Node) {
        let parents: Vec<usize> =
            (1..node.path.len()).filter(|&at| node.path[at] == b'/').collect();
        for at in parents {
            if self.get(&node.path[..at]).is_none() {
                self.nodes.push(Node::plain(&node.path[..at], Kind::Dir));
            }
        }
        match self.nodes.iter_mut().find(|other| other.path == node.path) {
            Some(other) => *other = node,
            None => self.nodes.push(node),
        }
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.iter().find(|node| node.path == path)
    }

    /// Takes out `path` and all below it.
    pub(crate) fn remove(&mut self, path: &[u8]) {
        self.nodes.retain(|node| !node.is_at_or_below(path));
    }
}

/// Making the tree real.
impl Tree {
    /// Builds the tree below `root`, a directory that is there; `runner` owns what names no owner.
    ///
    /// Without root's rights owners, devices and `trusted.` attributes are left out: then they are
    /// left out on both sides of a comparison.
    pub(crate) fn build(&self, root: &Path, runner: (u32, u32)) {
        for node in &self.nodes {
            self.create(root, node);
        }
        // Deepest last in, first out: a directory gets its mode and time after all within it.
        for node in self.nodes.iter().rev() {
            dress(root, node, runner);
        }
    }

    fn create(&self, root: &Path, node: &Node) {
        let path = below(root, &node.path);
        match &node.kind {
            Kind::Dir => fs::create_dir(&path).unwrap(),
            Kind::File(segments) => write_file(&path, segments),
            Kind::Symlink(target) => {
                symlink(OsStr::from_bytes(&with_root(target, root)), &path).unwrap();
            }
            // A shrunk tree may have lost the first name; then this is a file of its own.
            Kind::HardLink(first) if self.get(first).is_none() => write_file(&path, &[]),
            Kind::HardLink(first) => fs::hard_link(below(root, first), &path).unwrap(),
            Kind::Fifo => make_special(&path, FileType::Fifo, 0),
            Kind::Socket => make_special(&path, FileType::Socket, 0),
            Kind::Char(major, minor) => {
                make_device(&path, FileType::CharacterDevice, *major, *minor);
            }
            Kind::Block(major, minor) => make_device(&path, FileType::BlockDevice, *major, *minor),
        }
    }
}

/// `root` and a relative path of bytes as one path.
pub(crate) fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

/// `text` with each `@ROOT@` replaced by `root`.
pub(crate) fn with_root(text: &[u8], root: &Path) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(ROOT_MARK.len()).position(|window| window == ROOT_MARK) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(root.as_os_str().as_bytes());
        rest = &rest[at + ROOT_MARK.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// True if the tests run with root's rights.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The bytes that `segments` stand for.
pub(crate) fn content(segments: &[Segment]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for segment in segments {
        match segment {
            Segment::Bytes(these) => bytes.extend_from_slice(these),
            Segment::Numbers { from, len } => numbers(*from, *len, &mut bytes),
            Segment::Zeros(len) | Segment::Hole(len) => bytes.resize(bytes.len() + len, 0),
        }
    }
    bytes
}

fn numbers(from: u32, len: usize, bytes: &mut Vec<u8>) {
    let end = bytes.len() + len;
    let mut number = from;
    while bytes.len() < end {
        bytes.extend_from_slice(format!("{number}\n").as_bytes());
        number += 1;
    }
    bytes.truncate(end);
}

fn write_file(path: &Path, segments: &[Segment]) {
    let mut file = fs::File::create_new(path).unwrap();
    let mut length = 0;
    for segment in segments {
        if !matches!(segment, Segment::Hole(_)) {
            file.seek(SeekFrom::Start(length)).unwrap();
            file.write_all(&content(std::slice::from_ref(segment))).unwrap();
        }
        length += segment.len() as u64;
    }
    file.set_len(length).unwrap();
}

fn make_special(path: &Path, kind: FileType, device: u64) {
    rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device).unwrap();
}

fn make_device(path: &Path, kind: FileType, major: u32, minor: u32) {
    if is_root() {
        make_special(path, kind, rustix::fs::makedev(major, minor));
    }
}

/// Gives `node` its owner, mode, ACLs, attributes and times, in an order in which none undoes another.
fn dress(root: &Path, node: &Node, runner: (u32, u32)) {
    let path = below(root, &node.path);
    // All names of a file share one inode; the first name dresses it. A device may be left out.
    if matches!(node.kind, Kind::HardLink(_)) || path.symlink_metadata().is_err() {
        return;
    }
    if is_root() {
        let (uid, gid) = node.owner.unwrap_or(runner);
        lchown(&path, Some(uid), Some(gid)).unwrap();
    }
    // A mutation may have turned a file with attributes into something that cannot have them.
    let is_dir = node.kind == Kind::Dir;
    let takes_all = is_dir || matches!(node.kind, Kind::File(_));
    if !matches!(node.kind, Kind::Symlink(_)) {
        fs::set_permissions(&path, fs::Permissions::from_mode(node.mode)).unwrap();
    }
    if takes_all {
        set_acl(&path, "system.posix_acl_access", node.mode, node.acl.as_ref());
    }
    if is_dir {
        set_acl(&path, "system.posix_acl_default", node.mode, node.default_acl.as_ref());
    }
    for (name, value) in &node.xattrs {
        if if name.starts_with(b"trusted.") { is_root() } else { takes_all } {
            let name = OsStr::from_bytes(name);
            rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty()).unwrap();
        }
    }
    let time = Timespec { tv_sec: node.mtime.0, tv_nsec: node.mtime.1.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn set_acl(path: &Path, name: &str, mode: u32, acl: Option<&Acl>) {
    if let Some(acl) = acl {
        rustix::fs::lsetxattr(path, name, &encode_acl(mode, acl), XattrFlags::empty()).unwrap();
    }
}

/// The kernel's form of an ACL (version 2): tag, permission and id of each entry, sorted.
pub(crate) fn encode_acl(mode: u32, acl: &Acl) -> Vec<u8> {
    let nobody = u32::MAX;
    let bits = |shift: u32| u16::try_from(mode >> shift & 7).expect("three bits");
    let mut entries = vec![(0x01, bits(6), nobody)];
    entries.extend(acl.users.iter().map(|&(uid, perm)| (0x02, perm, uid)));
    entries.push((0x04, acl.group_obj, nobody));
    entries.extend(acl.groups.iter().map(|&(gid, perm)| (0x08, perm, gid)));
    entries.push((0x10, acl.mask, nobody));
    entries.push((0x20, bits(0), nobody));
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        bytes.extend_from_slice(&u16::to_le_bytes(tag));
        bytes.extend_from_slice(&perm.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}
