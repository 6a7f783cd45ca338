//! How fast bytes go out: one pace for all lanes of a session.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;

/// What all lanes of a session ask before they send.
pub trait Pace: Send + Sync {
    /// Waits until some of so many bytes may go, and says how many: at least one.
    fn take(&self, wanted_bytes: usize) -> usize;
}

/// What a lane sends that makes its packets itself.
pub(crate) trait Packets: Send + Sync {
    /// Bytes of all packets until now, those that were lost and sent again counted each time.
    fn sent_bytes(&self) -> u64;
}

/// Writes as fast as it may.
pub(crate) struct Paced<W, P, C> {
    writer: W,
    /// The pace, if there is one by now.
    pace: P,
    /// Counts what was written.
    count: C,
    /// Where what is sent is more than what is written.
    packets: Option<Arc<dyn Packets>>,
    /// So much of what they send has been asked for, once there is a pace.
    asked_bytes: Option<u64>,
}

impl<W: Write, P: Fn() -> Option<Arc<dyn Pace>>, C: Fn(usize)> Paced<W, P, C> {
    pub(crate) fn new(writer: W, pace: P, count: C) -> Self {
        Self { writer, pace, count, packets: None, asked_bytes: None }
    }

    pub(crate) fn sending(self, packets: Option<Arc<dyn Packets>>) -> Self {
        Self { packets, ..self }
    }

    /// Asks for what packets took beside what is in them.
    fn ask_for_packets(&mut self, pace: &dyn Pace) {
        let Some(packets) = &self.packets else { return };
        let sent_bytes = packets.sent_bytes();
        let asked_bytes = self.asked_bytes.get_or_insert(sent_bytes);
        while *asked_bytes < sent_bytes {
            let more = usize::try_from(sent_bytes - *asked_bytes).unwrap_or(usize::MAX);
            *asked_bytes += pace.take(more).max(1) as u64;
        }
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
        self.ask_for_packets(&*pace);
        let granted = pace.take(part.len()).clamp(1, part.len());
        self.asked_bytes = self.asked_bytes.map(|asked_bytes| asked_bytes + granted as u64);
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

    /// Sends two bytes for each that is written, and some before.
    struct Double(AtomicUsize);

    impl Packets for Double {
        fn sent_bytes(&self) -> u64 {
            1000 + 2 * self.0.load(Ordering::Relaxed) as u64
        }
    }

    #[test]
    fn what_packets_take_beside_what_is_in_them_is_asked_for() {
        let few = Arc::new(Few::default());
        let pace: Arc<dyn Pace> = Arc::<Few>::clone(&few);
        let double = Arc::new(Double(AtomicUsize::new(0)));
        let packets: Arc<dyn Packets> = Arc::<Double>::clone(&double);
        let mut written = Vec::new();
        let count = |bytes| {
            double.0.fetch_add(bytes, Ordering::Relaxed);
        };
        let paced = Paced::new(&mut written, || Some(Arc::clone(&pace)), count);
        let mut paced = paced.sending(Some(packets));
        paced.write_all(&[7; 300]).unwrap();
        // What the last of them took is asked for before the next.
        assert_eq!(paced.write(b"x").unwrap(), 1);
        assert_eq!(written.len(), 301);
        assert_eq!(few.0.load(Ordering::Relaxed), 601);
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
