//! A stream that somebody else reads: a pipe, a terminal, a socket.
//!
//! A write to one that is full waits for a reader who may never come back, such as a pager that
//! nobody pages on. So no more is written at once than there is room for, and who waits for room
//! stops waiting soon after all is over.
//! Guarded by the test `ctrl_c_ends_a_run_whose_output_nobody_reads`.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::retry_on_intr;

/// What a pipe takes at once whenever it says that there is room: `PIPE_BUF` of pipe(7).
const PIECE_BYTES: usize = 4096;

/// 50 ms between two questions whether all is over.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// So many waits, 300 ms in all, are left to the reader when all is over.
const LAST_WAITS: u32 = 6;

/// Writes to a stream that may be full.
pub struct Outlet<F> {
    stream: F,
    /// A file on a disk always has room, or fails.
    may_be_full: bool,
    is_over: Box<dyn Fn() -> bool + Send>,
    waits_left: u32,
}

impl<F: AsFd> Outlet<F> {
    /// `is_over` tells that what cannot be written soon need not be written any more.
    pub fn new(stream: F, is_over: impl Fn() -> bool + Send + 'static) -> Self {
        let stat = rustix::fs::fstat(&stream);
        let is_file =
            stat.is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::RegularFile);
        let is_over = Box::new(is_over);
        Self { stream, may_be_full: !is_file, is_over, waits_left: LAST_WAITS }
    }

    fn wait_for_room(&mut self) -> io::Result<()> {
        while !self.has_room()? {
            if (self.is_over)() {
                self.waits_left = self.waits_left.saturating_sub(1);
            }
            if self.waits_left == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"));
            }
        }
        Ok(())
    }

    /// Waits for room for a while. A reader that is gone makes room, too: for an error.
    fn has_room(&self) -> io::Result<bool> {
        let mut streams = [PollFd::new(&self.stream, PollFlags::OUT)];
        Ok(retry_on_intr(|| poll(&mut streams, Some(&WAIT)))? > 0)
    }
}

impl<F: AsFd> Write for Outlet<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut piece = bytes;
        if self.may_be_full {
            self.wait_for_room()?;
            piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        }
        Ok(retry_on_intr(|| rustix::io::write(&self.stream, piece))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use super::*;

    #[test]
    fn what_is_read_late_arrives_whole() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sent: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        let mut outlet = Outlet::new(writer, || false);
        let mut got = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                outlet.write_all(&sent).unwrap();
                drop(outlet);
            });
            reader.read_to_end(&mut got).unwrap();
        });
        assert!(got == sent);
    }

    #[test]
    fn what_nobody_reads_is_given_up_when_all_is_over() {
        let (reader, writer) = io::pipe().unwrap();
        let mut outlet = Outlet::new(writer, || true);
        let failed = outlet.write_all(&vec![0; 1 << 20]).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        drop(reader);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let failed = Outlet::new(writer, || false).write_all(b"x").unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_file_takes_all_at_once() {
        let mut outlet = Outlet::new(tempfile::tempfile().unwrap(), || false);
        assert_eq!(outlet.write(&[0; 10_000]).unwrap(), 10_000);
    }
}
