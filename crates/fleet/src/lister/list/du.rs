//! Sums of directories that `du` told.
//!
//! `du` without `-a` tells directories alone. Taken for a list of all that there is, it would lose the
//! files that lie beside directories. So a directory must not hold much more than its lines come to: what it
//! takes itself on its file system, and that is a small block at least and some room for each name.

use super::held::is_below;
use super::line::SEPARATOR;
use super::text::Place;

/// What a directory takes that has few names: 4 KiB on most file systems, and up to this where blocks are
/// large.
const FEW_NAMES_BYTES: u64 = 32 << 10;
/// What a name takes at most: 255 bytes and an inode number, in blocks that are a third full.
const NAME_BYTES: u64 = 1 << 10;

/// A directory that holds more than is told of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hollow {
    directory: Vec<u8>,
    bytes: u64,
    told_bytes: u64,
}

impl Hollow {
    pub(super) fn sentence(&self, list: &str) -> String {
        let directory = match &self.directory[..] {
            b"" => ".".to_owned(),
            directory => {
                let path: Vec<u8> = directory
                    .iter()
                    .map(|&byte| if byte == SEPARATOR { b'/' } else { byte })
                    .collect();
                path.escape_ascii().to_string()
            }
        };
        let Self { bytes, told_bytes, .. } = self;
        format!(
            "the list {list} has {bytes} bytes in \"{directory}\", but tells of {told_bytes} below it: files \
             are missing; make it with du -al, or with find -printf '%s %p\\n'"
        )
    }
}

/// Why a list is not read of which nobody said that it has sums.
pub(super) fn unsaid(list: &str) -> String {
    format!(
        "the list {list} looks as if du made it, whose sizes of directories are sums: say --list-format du, \
         or du-bytes of what du -b wrote, or sizes where they are none"
    )
}

/// A line: of the root, which has no path, or of what lies below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) path: &'a [u8],
    pub(super) bytes: u64,
    /// Larger than that of every line before it.
    pub(super) place: Place,
}

/// A directory that has a line, and what the lines below it come to.
struct Sum<'a> {
    line: Told<'a>,
    told_bytes: u64,
    /// Lines below it, but for those below another directory that has one.
    lines: u64,
    /// Whether a line below it comes later.
    is_early: bool,
}

impl<'a> Sum<'a> {
    fn new(line: Told<'a>) -> Self {
        Self { line, told_bytes: 0, lines: 0, is_early: false }
    }

    fn add(&mut self, below: Told<'_>) {
        self.told_bytes = self.told_bytes.saturating_add(below.bytes);
        self.lines += 1;
        self.is_early |= below.place > self.line.place;
    }

    fn hollow(&self) -> Option<Hollow> {
        let own_bytes = FEW_NAMES_BYTES.saturating_add(self.lines.saturating_mul(NAME_BYTES));
        let (bytes, told_bytes) = (self.line.bytes, self.told_bytes);
        let is_hollow = bytes > told_bytes.saturating_add(own_bytes);
        is_hollow.then(|| Hollow { directory: self.line.path.to_vec(), bytes, told_bytes })
    }
}

/// The first directory that holds more than is told of it. Lines come sorted, that of the root apart.
pub(super) fn hollow<'a>(
    lines: impl Iterator<Item = Told<'a>>,
    root: Option<Told<'a>>,
) -> Option<Hollow> {
    find_map(lines, root, Sum::hollow)
}

/// Whether lines look as if they were of `du`: each directory comes after all that lies below it, and has
/// no less. Others tell a directory first, or what it takes itself.
pub(super) fn is_likely<'a>(lines: impl Iterator<Item = Told<'a>>, root: Option<Told<'a>>) -> bool {
    let mut has_directories = false;
    let other = find_map(lines, root, |sum| {
        has_directories = true;
        (sum.is_early || sum.line.bytes < sum.told_bytes).then_some(())
    });
    has_directories && other.is_none()
}

/// Looks at each directory that has a line, until something is found. What has no lines below is a file, or
/// an empty directory, but for the root.
fn find_map<'a, T>(
    lines: impl Iterator<Item = Told<'a>>,
    root: Option<Told<'a>>,
    mut find: impl FnMut(&Sum<'a>) -> Option<T>,
) -> Option<T> {
    let mut root = root.map(Sum::new);
    let mut open: Vec<Sum<'_>> = Vec::new();
    for line in lines {
        while let Some(last) = open.pop_if(|last| !is_below(line.path, last.line.path)) {
            let found = if last.lines > 0 { find(&last) } else { None };
            if found.is_some() {
                return found;
            }
        }
        if let Some(above) = open.last_mut().or(root.as_mut()) {
            above.add(line);
        }
        open.push(Sum::new(line));
    }
    let directories = open.iter().rev().filter(|sum| sum.lines > 0);
    directories.chain(&root).find_map(find)
}
