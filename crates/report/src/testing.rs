//! Values for the tests of this crate.

use std::io::Write;
use std::sync::{Arc, Mutex};

use model::{Item, Kind, Metadata, RelPath, Timestamp, Verdict};

/// An entry of 3 bytes, mode 0644, owned by 1:2, of 2024-01-02 03:04:05 UTC, from the first source.
pub(crate) fn item(path: &str, kind: Kind, verdict: Verdict) -> Item {
    let time = Timestamp { secs: 1_704_164_645, nanos: 0 };
    let metadata = Metadata {
        mode: 0o644,
        uid: 1,
        gid: 2,
        size: 3,
        mtime: time,
        atime: time,
        dev: 1,
        ino: 1,
        allocated_blocks: 8,
        ..Metadata::unknown(kind)
    };
    let source = (verdict != Verdict::Deleted).then_some(0);
    Item { source, ..Item::new(RelPath::new(path.as_bytes()).unwrap(), metadata, verdict) }
}

/// A stream that keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A stream whose reader is gone.
pub(crate) struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
