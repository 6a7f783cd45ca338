//! The streams of a run: standard output, standard error and the log.

use std::io::Write;

use crate::clock::Clock;
use crate::escape::escape;
use crate::log_file::LogFile;
use crate::settings::{MessageStream, NameEscapes, OutBuf, OutputStyle, Progress, Settings};
use crate::stream::Stream;

pub(crate) struct Outputs {
    stdout: Stream,
    stderr: Stream,
    log: Option<LogFile>,
    messages: MessageStream,
    escapes: NameEscapes,
    line: Vec<u8>,
    lost: Lost,
}

/// Whether a part of the output could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// All of it is where it should be.
    Nothing,
    /// A part is missing: on a closed pipe, a full disk.
    Something,
}

impl Outputs {
    pub(crate) fn new(
        settings: &Settings,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        log: Option<Box<dyn Write + Send>>,
    ) -> Self {
        let streams = settings.streams;
        // Lines that share a terminal with the live display must be out before it is drawn anew.
        let outbuf =
            if settings.progress == Progress::Live { OutBuf::Line } else { streams.outbuf };
        // JSON has a channel of its own.
        let messages = match settings.style {
            OutputStyle::Rsync => streams.messages,
            OutputStyle::Json => MessageStream::Stdout,
        };
        let mut log = log.map(|file| LogFile::new(file, Clock::local()));
        if let Some(log) = &mut log {
            log.line(b"building file list");
        }
        Self {
            stdout: Stream::new(stdout, outbuf),
            stderr: Stream::new(stderr, OutBuf::Line),
            log,
            messages,
            escapes: streams.names,
            line: Vec::new(),
            lost: Lost::Nothing,
        }
    }

    /// Writes a line for the user, escaped.
    pub(crate) fn print(&mut self, text: &[u8]) {
        self.line.clear();
        escape(text, self.escapes, &mut self.line);
        match self.messages {
            MessageStream::Stdout => self.stdout.line(&self.line),
            MessageStream::Stderr => self.stderr.line(&self.line),
        }
    }

    /// Writes bytes of ours to the stream of [`Self::print`] as they are, at once.
    pub(crate) fn print_raw(&mut self, bytes: &[u8]) {
        match self.messages {
            MessageStream::Stdout => self.stdout.raw(bytes),
            MessageStream::Stderr => self.stderr.raw(bytes),
        }
    }

    /// Writes a line of JSON: its strings are escaped already.
    pub(crate) fn print_record(&mut self, line: &[u8]) {
        self.stdout.line(line);
    }

    /// Writes what standard output has pending.
    pub(crate) fn flush_records(&mut self) {
        self.stdout.flush();
    }

    /// Writes a line to standard error, escaped.
    pub(crate) fn warn(&mut self, text: &[u8]) {
        // Else an error would overtake the lines that led to it.
        self.stdout.flush();
        self.line.clear();
        escape(text, self.escapes, &mut self.line);
        self.stderr.line(&self.line);
    }

    /// Writes a line to the log, where there is one.
    pub(crate) fn log(&mut self, text: &[u8]) {
        if let Some(log) = &mut self.log {
            log.line(text);
        }
    }

    /// Writes a line to the log that is to outlive a crash.
    pub(crate) fn log_now(&mut self, text: &[u8]) {
        if let Some(log) = &mut self.log {
            log.line(text);
            log.flush();
        }
    }

    pub(crate) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Writes what is pending and says on standard error what could not be written; each stream
    /// once. The answer covers all that was written so far.
    pub(crate) fn settle(&mut self) -> Lost {
        self.stdout.flush();
        let mut failures = Vec::new();
        failures.extend(self.stdout.take_failure().map(|error| ("standard output", error)));
        if let Some(log) = &mut self.log {
            log.flush();
            failures.extend(log.take_failure().map(|error| ("the log file", error)));
        }
        for (name, error) in &failures {
            self.warn(format!("lanesync: {name} could not be written: {error}").as_bytes());
        }
        // Of this one nobody can be told, other than by the exit code.
        let is_stderr_lost = self.stderr.take_failure().is_some();
        if is_stderr_lost || !failures.is_empty() {
            self.lost = Lost::Something;
        }
        self.lost
    }
}
