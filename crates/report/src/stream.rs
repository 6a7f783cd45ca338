//! Where bytes go. A stream that breaks stays silent from then on and remembers why: a reader that
//! went away must neither end the run nor go unnoticed.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::settings::OutBuf;

/// Bytes that are gathered before they are written: as much as a pipe takes at once on Linux.
const BLOCK_BYTES: usize = 64 * 1024;

/// How old a gathered line may get before the next one pushes it out.
const MAX_AGE: Duration = Duration::from_secs(1);

pub(crate) struct Stream {
    inner: Box<dyn Write + Send>,
    outbuf: OutBuf,
    pending: Vec<u8>,
    flushed: Instant,
    state: State,
}

enum State {
    Sound,
    /// Nothing more is written; why, until somebody asks.
    Broken(Option<io::Error>),
}

impl Stream {
    pub(crate) fn new(inner: Box<dyn Write + Send>, outbuf: OutBuf) -> Self {
        Self { inner, outbuf, pending: Vec::new(), flushed: Instant::now(), state: State::Sound }
    }

    /// Writes a line and its end.
    pub(crate) fn line(&mut self, text: &[u8]) {
        self.pending.extend_from_slice(text);
        self.pending.push(b'\n');
        let due = match self.outbuf {
            OutBuf::Line | OutBuf::None => true,
            OutBuf::Block => self.pending.len() >= BLOCK_BYTES || self.flushed.elapsed() >= MAX_AGE,
        };
        if due {
            self.flush();
        }
    }

    /// Writes bytes as they are, at once.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.flush();
    }

    /// Writes what is pending.
    pub(crate) fn flush(&mut self) {
        self.flushed = Instant::now();
        if matches!(self.state, State::Sound) && !self.pending.is_empty() {
            let written = self.inner.write_all(&self.pending).and_then(|()| self.inner.flush());
            if let Err(error) = written {
                self.state = State::Broken(Some(error));
            }
        }
        self.pending.clear();
    }

    /// What went wrong; told once.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        match &mut self.state {
            State::Sound => None,
            State::Broken(failure) => failure.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;
    use crate::settings::OutBuf;
    use crate::testing::{Capture, Closed};

    #[test]
    fn blocks_wait_and_lines_do_not() {
        let capture = Capture::default();
        let mut blocks = Stream::new(Box::new(capture.clone()), OutBuf::Block);
        blocks.line(b"one");
        assert_eq!(capture.text(), "");
        blocks.flush();
        assert!(blocks.take_failure().is_none());
        assert_eq!(capture.text(), "one\n");

        let mut lines = Stream::new(Box::new(capture.clone()), OutBuf::Line);
        lines.line(b"two");
        assert_eq!(capture.text(), "one\ntwo\n");
    }

    #[test]
    fn a_reader_that_went_away_is_remembered() {
        let mut stream = Stream::new(Box::new(Closed), OutBuf::Line);
        stream.line(b"one");
        stream.line(b"two");
        assert_eq!(stream.take_failure().unwrap().kind(), std::io::ErrorKind::BrokenPipe);
        stream.line(b"three");
        assert!(stream.take_failure().is_none(), "it is told once");
    }
}
