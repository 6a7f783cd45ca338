//! A stream that somebody else writes: a pipe, a terminal.
//!
//! A read of one that is empty waits for a writer who may take hours, or never come. So nothing is read
//! before there is something, and who waits for it stops waiting when all is over.

use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

/// 50 ms between two questions whether all is over.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Reads from a stream that may be empty for now.
pub struct Inlet<F, O> {
    stream: F,
    is_over: O,
}

impl<F: AsFd, O: Fn() -> bool> Inlet<F, O> {
    /// `is_over` tells that nobody needs any more what did not come yet: reading fails then.
    pub fn new(stream: F, is_over: O) -> Self {
        Self { stream, is_over }
    }

    /// Waits for a while until there is something, or the end. A pipe that nobody has opened for writing
    /// yet has neither, though a read would take that for its end.
    fn has_more(&self) -> io::Result<bool> {
        let mut streams = [PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut streams, Some(&WAIT)) {
            Err(Errno::INTR) => Ok(false),
            ready => Ok(ready? > 0),
        }
    }
}

impl<F: AsFd, O: Fn() -> bool> Read for Inlet<F, O> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            if (self.is_over)() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "nobody waits for it any more",
                ));
            }
            if !self.has_more()? {
                continue;
            }
            match retry_on_intr(|| rustix::io::read(&self.stream, &mut *bytes)) {
                // Somebody else was faster.
                Err(Errno::AGAIN) => {}
                read => return Ok(read?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn what_is_written_late_arrives_whole() {
        let (reader, mut writer) = io::pipe().unwrap();
        let sent: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        let mut got = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                drop(writer);
            });
            Inlet::new(reader, || false).read_to_end(&mut got).unwrap();
        });
        assert!(got == sent);
    }

    #[test]
    fn who_waits_for_what_nobody_writes_is_woken_when_all_is_over() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"some").unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let read = scope.spawn(|| {
                let mut bytes = Vec::new();
                let mut inlet = Inlet::new(reader, || is_over.load(Ordering::Relaxed));
                (inlet.read_to_end(&mut bytes), bytes)
            });
            is_over.store(true, Ordering::Relaxed);
            let (ended, _) = read.join().unwrap();
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        });
        drop(writer);
    }

    #[test]
    fn a_file_has_all_at_once() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut got = Vec::new();
        Inlet::new(&file, || false).read_to_end(&mut got).unwrap();
        assert_eq!(got, [1; 10_000]);
    }
}
