//! Content on its way: files are mostly read from one end of a range to the other, so the parts behind
//! what is read are asked for while that is on its way.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use parking_lot::Mutex;
use wire::{Answer, Content, ReadContent, Request, Span};

use super::{Held, Pending, of_another_kind};
use crate::endpoint::sums;
use crate::transfer::RANGE_BYTES;

/// What is asked for at once.
const SPAN_BYTES: u64 = 512 << 10;

/// Parts that are on their way for each reader of a file.
const SPANS_AHEAD: usize = 8;

/// Readers of one file whose place is remembered.
const READERS: usize = 256;

/// Where the readers of a file are. Each goes on where it was, and takes what was asked for there.
#[derive(Debug, Default)]
pub(super) struct Reading(Mutex<VecDeque<Reader>>);

/// One that has read up to a place.
#[derive(Debug)]
struct Reader {
    /// Where it goes on.
    at: u64,
    /// What came and is not read: offsets and content.
    pieces: VecDeque<(u64, Content)>,
    asked: VecDeque<(Span, Pending)>,
    /// Up to where content has come or is asked for.
    asked_to: u64,
    /// The file ends here, as was said when this was read.
    file_end: Option<u64>,
    /// It seems to read from front to back.
    goes_on: bool,
}

impl Reading {
    /// Asks for the beginning of a file that is not open yet.
    pub(super) fn begin(&self, opening: &Pending, size: u64) {
        let mut reader = Reader::at(0);
        let Some(span) = span_at(0, size) else { return };
        let request = Request::Read { file: opening.handle, span };
        if let Some(pending) = opening.remote.start_ahead(request, SPAN_BYTES) {
            reader.asked.push_back((span, pending));
            reader.asked_to = span.range().end;
            self.0.lock().push_back(reader);
        }
    }

    /// Reads until the buffer is full or the file ends. It had `size` bytes when it was opened.
    pub(super) fn read_at(
        &self,
        file: &Held,
        size: u64,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut reader = self.reader_at(offset);
        let mut filled = 0;
        while filled < buffer.len() {
            let read = reader.read(&mut buffer[filled..]);
            filled += read;
            if read > 0 {
                continue;
            }
            if reader.file_end.is_some_and(|end| end <= reader.at) {
                // Should the file grow, what is there then is asked for then.
                return Ok(filled);
            }
            reader.fetch(file, size, buffer.len() - filled)?;
        }
        reader.goes_on = true;
        let mut readers = self.0.lock();
        if readers.len() == READERS {
            readers.pop_front();
        }
        readers.push_back(reader);
        Ok(filled)
    }

    fn reader_at(&self, offset: u64) -> Reader {
        let mut readers = self.0.lock();
        let place = readers.iter().position(|reader| reader.at == offset);
        place.and_then(|place| readers.remove(place)).unwrap_or_else(|| Reader::at(offset))
    }
}

impl Reader {
    fn at(offset: u64) -> Self {
        Self {
            at: offset,
            pieces: VecDeque::new(),
            asked: VecDeque::new(),
            asked_to: offset,
            file_end: None,
            // Who takes a range of a big file begins there.
            goes_on: offset.is_multiple_of(RANGE_BYTES),
        }
    }

    /// Reads from what came.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some((offset, content)) = self.pieces.front() else { return 0 };
        let passed = usize::try_from(self.at - offset).unwrap_or(usize::MAX);
        let left = content.get(passed..).unwrap_or_default();
        let read = left.len().min(buffer.len());
        buffer[..read].copy_from_slice(&left[..read]);
        if read == left.len() {
            self.pieces.pop_front();
        }
        self.at += read as u64;
        read
    }

    /// Waits for what comes next, `wanted` bytes of which are wanted now.
    fn fetch(&mut self, file: &Held, size: u64, wanted: usize) -> io::Result<()> {
        let (span, pending) = if let Some(asked) = self.asked.pop_front() {
            asked
        } else {
            // What is behind the end of the file is asked for as well: it may have grown.
            let to = size.max(self.at.saturating_add(wanted as u64));
            let span = span_at(self.at, to).ok_or(io::ErrorKind::InvalidInput)?;
            self.asked_to = span.range().end;
            (span, file.remote.start(Request::Read { file: file.handle, span })?)
        };
        if self.goes_on {
            self.ask_ahead(file, size);
        }
        let again = Request::Read { file: file.handle, span };
        let (pieces, file_end) = file.remote.undamaged(pending, again, |answer| match answer {
            Answer::Read(ReadContent { pieces, file_end, sum }) => {
                let is_sound = sums::of_pieces(pieces.iter().map(|(_, piece)| piece)) == sum;
                Ok(is_sound.then_some((pieces, file_end)))
            }
            _ => Err(of_another_kind()),
        })?;
        self.pieces.extend(pieces);
        self.file_end = file_end;
        Ok(())
    }

    /// Asks for what is behind, up to where another reader begins.
    fn ask_ahead(&mut self, file: &Held, size: u64) {
        let range_end = (self.at / RANGE_BYTES + 1).saturating_mul(RANGE_BYTES);
        while self.asked.len() < SPANS_AHEAD {
            let Some(span) = span_at(self.asked_to, size.min(range_end)) else { break };
            let request = Request::Read { file: file.handle, span };
            let Some(pending) = file.remote.start_ahead(request, SPAN_BYTES) else { break };
            self.asked_to = span.range().end;
            self.asked.push_back((span, pending));
        }
    }
}

/// What is asked for at a place, if there is something before `end`.
fn span_at(start: u64, end: u64) -> Option<Span> {
    let Range { start, end } = start..end.min(start.saturating_add(SPAN_BYTES));
    Span::new(start..end).ok()
}
