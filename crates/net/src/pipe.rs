//! Pipes that can be hung up: another thread ends whatever waits on them.
//!
//! To close a pipe does not end a read of it, and a peer that neither reads nor ends would hold a
//! write for ever. So the ends do not block by themselves, and where there is nothing to read, or no
//! room to write, they wait for that or for the switch.

use std::io::{self, IoSlice, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::lane::{Hangup, Lane, LaneKind};

/// Ends all pipes that were made with it, for all time.
#[derive(Clone, Debug)]
pub struct Switch(Arc<Wire>);

#[derive(Debug)]
struct Wire {
    /// Comes to its end when the other one is dropped.
    watched: PipeReader,
    held: Mutex<Option<PipeWriter>>,
}

impl Switch {
    /// A switch that is on.
    ///
    /// Fails where the process may have no more descriptors.
    pub fn new() -> io::Result<Self> {
        let (watched, held) = io::pipe()?;
        Ok(Self(Arc::new(Wire { watched, held: Mutex::new(Some(held)) })))
    }

    pub(crate) fn is_off(&self) -> bool {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// What is ready to be read once it is off.
    pub(crate) fn watched(&self) -> BorrowedFd<'_> {
        self.0.watched.as_fd()
    }

    /// Waits until an end is ready; false if it was switched off.
    fn wait(&self, end: impl AsFd, ready: PollFlags) -> io::Result<bool> {
        self.wait_for_any(&[(end.as_fd(), ready)], None)
    }

    /// Waits until one of several ends is ready, and at most so long; false if it was switched off.
    pub(crate) fn wait_for_any(
        &self,
        ends: &[(BorrowedFd<'_>, PollFlags)],
        limit: Option<Duration>,
    ) -> io::Result<bool> {
        let mut polled = vec![PollFd::new(&self.0.watched, PollFlags::IN)];
        polled.extend(ends.iter().map(|(end, ready)| PollFd::from_borrowed_fd(*end, *ready)));
        // A time that no clock of the system can tell is none that anybody waits for.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut polled, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(!self.is_off()),
            Err(error) => Err(error.into()),
        }
    }

    /// Does something as soon as it can be done; `None` if it is switched off before.
    pub(crate) fn when<T>(
        &self,
        end: impl AsFd,
        ready: PollFlags,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        if self.is_off() {
            return Ok(None);
        }
        loop {
            match act() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(end.as_fd(), ready)? {
                        return Ok(None);
                    }
                }
                acted => return acted.map(Some),
            }
        }
    }
}

impl Hangup for Switch {
    fn hang_up(&self) {
        drop(self.0.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// One end of a pipe.
#[derive(Debug)]
struct End {
    fd: OwnedFd,
    switch: Switch,
    /// The pipe may have been somebody else's before.
    flags_before: OFlags,
}

impl End {
    fn new(fd: OwnedFd, switch: &Switch) -> io::Result<Self> {
        let flags_before = fcntl_getfl(&fd)?;
        fcntl_setfl(&fd, flags_before | OFlags::NONBLOCK)?;
        Ok(Self { fd, switch: switch.clone(), flags_before })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // It was possible before, and nobody is left to be told if it is not now.
        fcntl_setfl(&self.fd, self.flags_before).ok();
    }
}

/// Reads a pipe. Once that is hung up, it has ended.
#[derive(Debug)]
pub struct Reader(End);

impl Reader {
    /// Takes an end.
    ///
    /// Fails as fcntl(2) does.
    pub fn new(end: impl Into<OwnedFd>, switch: &Switch) -> io::Result<Self> {
        End::new(end.into(), switch).map(Self)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self(End { fd, switch, .. }) = self;
        let read = || Ok(rustix::io::read(&*fd, &mut *buffer)?);
        Ok(switch.when(&*fd, PollFlags::IN, read)?.unwrap_or(0))
    }
}

/// Writes a pipe. Once that is hung up, it is broken.
#[derive(Debug)]
pub struct Writer(End);

impl Writer {
    /// Takes an end.
    ///
    /// Fails as fcntl(2) does.
    pub fn new(end: impl Into<OwnedFd>, switch: &Switch) -> io::Result<Self> {
        End::new(end.into(), switch).map(Self)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // The least of what systems take at once (POSIX).
        const PARTS_MAX: usize = 16;
        let parts = &parts[..parts.len().min(PARTS_MAX)];
        let Self(End { fd, switch, .. }) = self;
        let written = switch.when(&*fd, PollFlags::OUT, || Ok(rustix::io::writev(&*fd, parts)?))?;
        written.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lane of an agent: what it was started with as standard input and output.
///
/// Fails as dup(2) does.
pub fn stdio() -> io::Result<Lane> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    lane(LaneKind::Ssh, input, output)
}

/// The lane of which these are the ends of this side.
///
/// Fails as fcntl(2) does.
pub fn lane(
    kind: LaneKind,
    input: impl Into<OwnedFd>,
    output: impl Into<OwnedFd>,
) -> io::Result<Lane> {
    let switch = Switch::new()?;
    Ok(Lane {
        kind,
        losses: None,
        packets: None,
        round_trip: None,
        reader: Box::new(Reader::new(input, &switch)?),
        writer: Box::new(Writer::new(output, &switch)?),
        hangup: Box::new(switch),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn what_is_written_is_read_until_the_end() {
        let (input, output) = io::pipe().unwrap();
        let switch = Switch::new().unwrap();
        let (mut reader, mut writer) =
            (Reader::new(input, &switch).unwrap(), Writer::new(output, &switch).unwrap());
        let content: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        thread::scope(|scope| {
            // More than a pipe holds, so that both sides wait for each other.
            scope.spawn(|| {
                writer.write_all(&content).unwrap();
                drop(writer);
            });
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        });
    }

    #[test]
    fn who_waits_comes_back_when_it_is_hung_up() {
        let (input, _writes_never) = io::pipe().unwrap();
        let (_reads_never, output) = io::pipe().unwrap();
        let Lane { mut reader, mut writer, hangup, .. } =
            lane(LaneKind::Memory, input, output).unwrap();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0));
            scope.spawn(move || {
                let (mut refused, content) = (None, vec![0; 65_536]);
                while refused.is_none() {
                    tell.send(()).unwrap();
                    refused = writer.write_all(&content).err();
                }
                assert_eq!(refused.unwrap().kind(), io::ErrorKind::BrokenPipe);
            });
            told.recv().unwrap();
            hangup.hang_up();
            hangup.hang_up();
        });
    }

    #[test]
    fn a_pipe_is_given_back_as_it_was() {
        let (input, _output) = io::pipe().unwrap();
        let kept = input.try_clone().unwrap();
        let reader = Reader::new(input, &Switch::new().unwrap()).unwrap();
        assert!(fcntl_getfl(&kept).unwrap().contains(OFlags::NONBLOCK));
        drop(reader);
        assert!(!fcntl_getfl(&kept).unwrap().contains(OFlags::NONBLOCK));
    }
}
