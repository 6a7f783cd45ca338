//! How fast bytes go out: one pace for all lanes of a session.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

/// What all lanes of a session ask before they send.
pub trait Pace: Send + Sync {
    /// Waits until some of so many bytes may go, and says how many: at least one.
    fn take(&self, wanted_bytes: usize) -> usize;
}

/// Writes as fast as it may.
pub(crate) struct Paced<W, P, C> {
    writer: W,
    /// The pace, if there is one by now.
    pace: P,
    /// Counts what was written.
    count: C,
}

impl<W: Write, P: Fn() -> Option<Arc<dyn Pace>>, C: Fn(usize)> Paced<W, P, C> {
    pub(crate) fn new(writer: W, pace: P, count: C) -> Self {
        Self { writer, pace, count }
    }
}

impl<W: Write, P: Fn() -> Option<Arc<dyn Pace>>, C: Fn(usize)> Write for Paced<W, P, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(pace) = (self.pace)() else {
            let written = self.writer.write_vectored(parts)?;
            (self.count)(written);
            return Ok(written);
        };
        let Some(part) = parts.iter().find(|part| !part.is_empty()) else { return Ok(0) };
        let granted = pace.take(part.len()).clamp(1, part.len());
        // What was granted is spent: who comes next would have to wait for the rest again.
        self.writer.write_all(&part[..granted])?;
        // It is not to lie in a buffer until it would have had its time long ago.
        self.writer.flush()?;
        (self.count)(granted);
        Ok(granted)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Grants a few bytes at a time.
    #[derive(Default)]
    struct Few(AtomicUsize);

    impl Pace for Few {
        fn take(&self, wanted_bytes: usize) -> usize {
            let granted = wanted_bytes.min(3);
            self.0.fetch_add(granted, Ordering::Relaxed);
            granted
        }
    }

    #[test]
    fn all_goes_out_and_each_byte_is_asked_for_once() {
        let few = Arc::new(Few::default());
        let pace: Arc<dyn Pace> = Arc::<Few>::clone(&few);
        let mut written = Vec::new();
        let counted = Cell::new(0);
        let count = |bytes| counted.set(counted.get() + bytes);
        let mut paced = Paced::new(&mut written, || Some(Arc::clone(&pace)), count);
        paced.write_all(b"hello world").unwrap();
        let parts = [IoSlice::new(b""), IoSlice::new(b"more"), IoSlice::new(b"x")];
        assert_eq!(paced.write_vectored(&parts).unwrap(), 3);
        assert_eq!(written, b"hello worldmor");
        assert_eq!(few.0.load(Ordering::Relaxed), written.len());
        assert_eq!(counted.get(), written.len());
    }

    #[test]
    fn without_a_pace_it_writes_what_it_is_given() {
        let mut written = Vec::new();
        let counted = Cell::new(0);
        let count = |bytes| counted.set(counted.get() + bytes);
        let mut free = Paced::new(&mut written, || None, count);
        let parts = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        assert_eq!(free.write_vectored(&parts).unwrap(), 5);
        assert_eq!((&*written, counted.get()), (&b"hello"[..], 5));
    }
}
