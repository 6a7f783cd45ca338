//! Many frames in one write.
//!
//! A call for each frame would cost more than the frame. So small parts are put behind one another,
//! and large ones, which are content, go out from where they lie.

use std::io::{self, IoSlice, Write};
use std::ops::Range;

use wire::Outgoing;

/// So much goes into one write, and a frame more.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// From here on, a further part of a write costs less than to copy it.
const IN_PLACE_BYTES: usize = 8 * 1024;

/// Writes what is put into it.
pub(super) struct Batch {
    outgoing: Vec<Outgoing>,
    byte_count: usize,
    small: Vec<u8>,
}

/// A stretch of a write.
enum Stretch<'a> {
    /// Of the small parts.
    Small(Range<usize>),
    InPlace(&'a [u8]),
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { outgoing: Vec::new(), byte_count: 0, small: Vec::new() }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.byte_count += outgoing.byte_count();
        self.outgoing.push(outgoing);
    }

    /// Puts something before all the rest.
    pub(super) fn push_first(&mut self, outgoing: Option<Outgoing>) {
        if let Some(outgoing) = outgoing {
            self.byte_count += outgoing.byte_count();
            self.outgoing.insert(0, outgoing);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outgoing.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.byte_count >= BATCH_BYTES
    }

    /// Writes all, and is empty again.
    pub(super) fn write(&mut self, writer: &mut dyn Write) -> io::Result<()> {
        self.small.clear();
        let mut stretches = Vec::new();
        for part in self.outgoing.iter().flat_map(Outgoing::parts) {
            if part.len() >= IN_PLACE_BYTES {
                stretches.push(Stretch::InPlace(part));
                continue;
            }
            let start = self.small.len();
            self.small.extend_from_slice(part);
            match stretches.last_mut() {
                Some(Stretch::Small(range)) => range.end = self.small.len(),
                _ => stretches.push(Stretch::Small(start..self.small.len())),
            }
        }
        let slices = stretches.iter().map(|stretch| match stretch {
            Stretch::Small(range) => IoSlice::new(&self.small[range.clone()]),
            Stretch::InPlace(part) => IoSlice::new(part),
        });
        write_all(writer, &mut slices.collect::<Vec<_>>())?;
        self.outgoing.clear();
        self.byte_count = 0;
        Ok(())
    }
}

fn write_all(writer: &mut dyn Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match writer.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wire::{Control, Role, Task};

    use super::*;

    /// Takes a few bytes at a time, and counts how often it is asked to.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        calls: usize,
        most: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls += 1;
            let before = self.taken.len();
            for part in parts {
                let left = self.most - (self.taken.len() - before);
                self.taken.extend_from_slice(&part[..part.len().min(left)]);
            }
            Ok(self.taken.len() - before)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Frames of the control messages that begin a job.
    fn frames(work: &[u8]) -> impl Iterator<Item = Outgoing> + use<> {
        let mut control = Control::new(Role::Controller);
        control.begin(Task::ServeSource, work).unwrap();
        std::iter::from_fn(move || control.poll_transmit())
    }

    #[test]
    fn all_goes_out_in_order_however_little_is_taken_at_once() {
        let lengths = [9, 50_000, 0, 100, 9000];
        let all = || lengths.into_iter().flat_map(|length| frames(&vec![7; length]));
        let expected = all().flat_map(|frame| frame.parts().concat()).collect::<Vec<u8>>();
        for most in [1000, 65_536, usize::MAX] {
            let mut batch = Batch::new();
            all().skip(1).for_each(|frame| batch.push(frame));
            batch.push_first(all().next());
            let mut slow = Slow { most, ..Slow::default() };
            batch.write(&mut slow).unwrap();
            assert!(slow.taken == expected && batch.is_empty());
            assert!(most < usize::MAX || slow.calls == 1, "{} writes", slow.calls);
        }
    }

    #[test]
    fn it_is_full_in_time() {
        let mut batch = Batch::new();
        let mut pushed = 0;
        for frame in frames(&vec![1; 10_000_000]) {
            if batch.is_full() {
                break;
            }
            pushed += frame.byte_count();
            batch.push(frame);
        }
        assert!((BATCH_BYTES..2 * BATCH_BYTES + 1024).contains(&pushed), "{pushed}");
    }

    #[test]
    fn a_writer_that_takes_nothing_is_broken() {
        let mut batch = Batch::new();
        frames(b"").for_each(|frame| batch.push(frame));
        let error = batch.write(&mut Slow::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
