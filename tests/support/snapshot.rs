//! Reads a tree back, with all that a copy can keep, and tells two such readings apart.
//!
//! Times that fall into the run are all the same "now": no two runs could agree on them. Holes
//! (allocated blocks) are read but compared only when asked, since a file system may round them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::tree::below;

/// A time that both tools took from the source, or the moment of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stamp {
    At(i64, i64),
    Now,
}

/// Everything about one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// As `ls` shows it: `-dlpscb`.
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Zero for everything but files and links: a directory's size is the file system's business.
    pub(crate) size: u64,
    pub(crate) hash: u64,
    pub(crate) mtime: Stamp,
    pub(crate) atime: Stamp,
    pub(crate) target: Vec<u8>,
    pub(crate) rdev: u64,
    /// The first of all names of this inode, when there are several below the root.
    pub(crate) links_to: Option<Vec<u8>>,
    /// Extended attributes; ACLs are among them as text.
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) blocks: u64,
}

/// A tree as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
}

/// The span of a run: what carries a time in it was touched by the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    start: Duration,
    end: Duration,
}

impl Window {
    /// From `start` until now, with a second to spare since file systems use a coarse clock.
    pub(crate) fn since(start: SystemTime) -> Self {
        let second = Duration::from_secs(1);
        let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap();
        Self {
            start: since_epoch(start).saturating_sub(second),
            end: since_epoch(SystemTime::now()) + second,
        }
    }

    fn stamp(self, seconds: i64, nanoseconds: i64) -> Stamp {
        let inside = u64::try_from(seconds)
            .is_ok_and(|seconds| (self.start.as_secs()..=self.end.as_secs()).contains(&seconds));
        if inside { Stamp::Now } else { Stamp::At(seconds, nanoseconds) }
    }
}

/// One thing in which two snapshots differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TreeDifference {
    pub(crate) path: Vec<u8>,
    /// Which property; `existence` if only one side has the path, `kind` if they are different things.
    pub(crate) field: &'static str,
    /// Left and right, for a person.
    pub(crate) text: String,
}

/// What else than the usual is compared, or less.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Also {
    /// Allocated blocks of files.
    pub(crate) blocks: bool,
    /// Access times of everything but directories, which any reader changes.
    pub(crate) atimes: bool,
    /// Leaves the uid and gid out of `user.rsync.%stat`.
    pub(crate) no_fake_ids: bool,
}

impl Snapshot {
    /// Reads all below `root`; `root` itself is left out.
    pub(crate) fn read(root: &Path, window: Window) -> Self {
        let mut snapshot = Self::default();
        let mut inodes = HashMap::new();
        let mut pending = vec![Vec::new()];
        while let Some(dir) = pending.pop() {
            let path = below(root, &dir);
            for name in fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()) {
                let mut relative = dir.clone();
                if !relative.is_empty() {
                    relative.push(b'/');
                }
                relative.extend_from_slice(name.as_bytes());
                let (entry, inode) = read_entry(&below(root, &relative), window);
                if entry.kind == 'd' {
                    pending.push(relative.clone());
                } else {
                    inodes.entry(inode).or_insert_with(Vec::new).push(relative.clone());
                }
                snapshot.entries.insert(relative, entry);
            }
        }
        for mut names in inodes.into_values().filter(|names| names.len() > 1) {
            names.sort();
            for name in &names {
                snapshot.entries.get_mut(name).expect("just read").links_to =
                    Some(names[0].clone());
            }
        }
        snapshot
    }

    /// The entry at `path`, which the test expects to be there.
    pub(crate) fn at(&self, path: impl AsRef<[u8]>) -> &Entry {
        let path = path.as_ref();
        self.entries.get(path).unwrap_or_else(|| panic!("nothing at {:?}", Shown(path)))
    }

    /// True if there is anything at `path`.
    pub(crate) fn has(&self, path: impl AsRef<[u8]>) -> bool {
        self.entries.contains_key(path.as_ref())
    }

    /// All in which `self` (left) and `other` (right) differ.
    pub(crate) fn diff(&self, other: &Self, also: Also) -> Vec<TreeDifference> {
        let mut differences = Vec::new();
        let mut add = |path: &[u8], field, text| {
            differences.push(TreeDifference { path: path.to_vec(), field, text });
        };
        for (path, entry) in &self.entries {
            match other.entries.get(path) {
                None => add(path, "existence", format!("{} | nothing", entry.brief())),
                Some(twin) => {
                    entry.diff(twin, also, &mut |field, text| add(path, field, text));
                }
            }
        }
        for (path, entry) in &other.entries {
            if !self.entries.contains_key(path) {
                add(path, "existence", format!("nothing | {}", entry.brief()));
            }
        }
        differences
    }
}

impl Entry {
    fn brief(&self) -> String {
        format!("{}{:04o} {}:{} size {}", self.kind, self.mode, self.uid, self.gid, self.size)
    }

    fn diff(&self, other: &Self, also: Also, report: &mut dyn FnMut(&'static str, String)) {
        if self.kind != other.kind {
            // All else follows from this.
            return report("kind", format!("{} | {}", self.brief(), other.brief()));
        }
        let fields = self.fields(also).into_iter().zip(other.fields(also));
        for ((field, left), (_, right)) in fields.filter(|(left, right)| left != right) {
            report(field, format!("{left} | {right}"));
        }
    }

    fn fields(&self, also: Also) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("mode", format!("{:04o}", self.mode)),
            ("uid", self.uid.to_string()),
            ("gid", self.gid.to_string()),
            ("size", self.size.to_string()),
            ("content", format!("{:016x}", self.hash)),
            ("mtime", self.mtime.to_string()),
            ("target", Shown(&self.target).to_string()),
            ("device", format!("{:x}", self.rdev)),
            (
                "links to",
                self.links_to.as_ref().map_or("none".into(), |name| Shown(name).to_string()),
            ),
            ("xattrs", show_xattrs(&self.xattrs, also)),
        ];
        if also.blocks && self.kind == '-' {
            fields.push(("blocks", self.blocks.to_string()));
        }
        if also.atimes && self.kind != 'd' {
            fields.push(("atime", self.atime.to_string()));
        }
        fields
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(seconds, nanoseconds) => write!(f, "{seconds}.{nanoseconds:09}"),
            Self::Now => f.write_str("now"),
        }
    }
}

/// Bytes as text: what is not plain ASCII is escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn show_xattrs(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>, also: Also) -> String {
    let show = |(name, value): (&Vec<u8>, &Vec<u8>)| {
        let mut value = &value[..];
        if also.no_fake_ids && name.starts_with(b"user.rsync.%stat") {
            value = value.rsplitn(2, |&byte| byte == b' ').last().unwrap_or_default();
        }
        format!("{}={}", Shown(name), Shown(value))
    };
    format!("[{}]", xattrs.iter().map(show).collect::<Vec<_>>().join(" "))
}

fn read_entry(path: &Path, window: Window) -> (Entry, (u64, u64)) {
    let meta = path.symlink_metadata().unwrap();
    let kind = kind_of(meta.file_type());
    let is_device = matches!(kind, 'c' | 'b');
    let entry = Entry {
        kind,
        // A link's own mode is always 0777 on Linux.
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        size: if matches!(kind, '-' | 'l') { meta.size() } else { 0 },
        hash: if kind == '-' { hash_file(path) } else { 0 },
        mtime: window.stamp(meta.mtime(), meta.mtime_nsec()),
        atime: window.stamp(meta.atime(), meta.atime_nsec()),
        target: if kind == 'l' { read_target(path) } else { Vec::new() },
        rdev: if is_device { meta.rdev() } else { 0 },
        links_to: None,
        xattrs: read_xattrs(path),
        blocks: meta.blocks(),
    };
    (entry, (meta.dev(), meta.ino()))
}

fn kind_of(kind: fs::FileType) -> char {
    let tests = [
        (kind.is_dir(), 'd'),
        (kind.is_symlink(), 'l'),
        (kind.is_fifo(), 'p'),
        (kind.is_socket(), 's'),
        (kind.is_char_device(), 'c'),
        (kind.is_block_device(), 'b'),
    ];
    tests.into_iter().find(|(is, _)| *is).map_or('-', |(_, letter)| letter)
}

fn read_target(path: &Path) -> Vec<u8> {
    fs::read_link(path).unwrap().into_os_string().as_bytes().to_vec()
}

fn hash_file(path: &Path) -> u64 {
    // An ordinary user cannot read back every file; both sides then show the same gap.
    let Ok(bytes) = fs::read(path) else { return u64::MAX };
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    hasher.finish()
}

fn read_xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names.map(|name| (name.to_vec(), read_xattr(path, name))).collect()
}

fn read_xattr(path: &Path, name: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 64 << 10];
    let Ok(length) = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]) else {
        return b"unreadable".to_vec();
    };
    value.truncate(length);
    if name.starts_with(b"system.posix_acl_") { acl_text(&value).into_bytes() } else { value }
}

/// The kernel's form of an ACL in the short text form of `getfacl`.
fn acl_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for entry in bytes.get(4..).unwrap_or_default().chunks_exact(8) {
        let tag = match entry[0] {
            0x01 => "user:",
            0x02 => "user",
            0x04 => "group:",
            0x08 => "group",
            0x10 => "mask:",
            _ => "other:",
        };
        let id = u32::from_le_bytes(entry[4..8].try_into().expect("four bytes"));
        let id = if id == u32::MAX { String::new() } else { format!(":{id}") };
        write!(text, "{tag}{id}:{:o},", entry[2]).expect("a string takes it all");
    }
    text
}
