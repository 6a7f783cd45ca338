//! Sums of directories that `du` told.
//!
//! `du` without `-a` tells directories alone. Taken for a list of all that there is, it would lose the
//! files that lie beside directories. So a directory must not hold much more than its lines come to: what it
//! takes itself on its file system, and that is a small block at least and some room for each name.

use super::held::is_below;
use super::line::SEPARATOR;

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

/// A directory whose lines are being added up.
struct Open<'a> {
    path: &'a [u8],
    bytes: u64,
    told_bytes: u64,
    lines: u64,
}

impl<'a> Open<'a> {
    fn new(path: &'a [u8], bytes: u64) -> Self {
        Self { path, bytes, told_bytes: 0, lines: 0 }
    }

    fn add(&mut self, bytes: u64) {
        self.told_bytes = self.told_bytes.saturating_add(bytes);
        self.lines += 1;
    }

    /// It has no more lines. What has none is a file or an empty directory, but for the root.
    fn close(self) -> Option<Hollow> {
        let own_bytes = FEW_NAMES_BYTES.saturating_add(self.lines.saturating_mul(NAME_BYTES));
        let is_directory = self.lines > 0 || self.path.is_empty();
        let is_hollow = is_directory && self.bytes > self.told_bytes.saturating_add(own_bytes);
        let Self { path, bytes, told_bytes, .. } = self;
        is_hollow.then(|| Hollow { directory: path.to_vec(), bytes, told_bytes })
    }
}

/// The first directory that holds more than is told of it. Lines come sorted; the root, whose line is
/// none of them, has so many bytes where it was told.
pub(super) fn hollow<'a>(
    lines: impl Iterator<Item = (&'a [u8], u64)>,
    root_bytes: Option<u64>,
) -> Option<Hollow> {
    let mut root = Open::new(b"", root_bytes.unwrap_or(0));
    let mut open: Vec<Open<'_>> = Vec::new();
    for (path, bytes) in lines {
        while let Some(last) = open.pop_if(|last| !is_below(path, last.path)) {
            if let Some(hollow) = last.close() {
                return Some(hollow);
            }
        }
        open.last_mut().unwrap_or(&mut root).add(bytes);
        open.push(Open::new(path, bytes));
    }
    while let Some(last) = open.pop() {
        if let Some(hollow) = last.close() {
            return Some(hollow);
        }
    }
    root.close()
}
