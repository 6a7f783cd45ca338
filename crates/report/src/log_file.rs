//! `--log-file`: each line with the time and the process, as rsync writes it.

use std::io::{self, Write};

use crate::clock::{self, Clock, Separator};
use crate::escape::escape;
use crate::settings::{NameEscapes, OutBuf};
use crate::stream::Stream;

pub(crate) struct LogFile {
    stream: Stream,
    clock: Clock,
    /// The second of the last line and its text: most lines share theirs with the one before.
    stamp: (i64, String),
    line: Vec<u8>,
}

impl LogFile {
    pub(crate) fn new(inner: Box<dyn Write + Send>, clock: Clock) -> Self {
        let stream = Stream::new(inner, OutBuf::Block);
        Self { stream, clock, stamp: (i64::MIN, String::new()), line: Vec::new() }
    }

    /// Writes a line; an empty one is left out.
    pub(crate) fn line(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let now = clock::now();
        if now.secs != self.stamp.0 {
            self.stamp = (now.secs, self.clock.format(now, Separator::Blank));
        }
        self.line.clear();
        let start = format!("{} [{}] ", self.stamp.1, std::process::id());
        self.line.extend_from_slice(start.as_bytes());
        // As in rsync: no name may forge a line, and each is told from all others.
        escape(text, NameEscapes::ControlOnly, &mut self.line);
        self.stream.line(&self.line);
    }

    /// Writes what is pending: after a fault, so that it outlives a crash.
    pub(crate) fn flush(&mut self) {
        self.stream.flush();
    }

    /// What went wrong since the file was opened.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.stream.take_failure()
    }
}
