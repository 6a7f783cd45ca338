//! Files of records, each with a sum: what a target held (`undo`), shall hold (`delta_out`), and what of it
//! is right already (`journal`).
//!
//! Little-endian: sixteen bytes that say which of these it is, what that tells of the whole (of a fixed
//! length), a sum of both, then records. A record is its kind (one byte), where it begins and how long it
//! is (eight bytes each), a sum of these and of its content, and the content: of kind 1, bytes of an image,
//! and of kind 3, digests of units, that many bytes; of kind 2, which stands for zeros, none. A record of
//! kind 0 is the last of what came to its end; its content is of a length that is fixed, too. Sums are the
//! first sixteen bytes of BLAKE3.

use std::ops::Range;
use std::path::{Path, PathBuf};

use delta::blocks::is_zero;
use delta::image::UNIT_BYTES;
use fs::File;
use model::{Cause, Side, Verb};
use parking_lot::Mutex;

use super::{BlocksError, fault_at};

/// No more is added at once than a unit and the headers of its runs: of a file without an end only so much
/// of the tail may be what a loss of power has left of the last addition.
const ADDED_BYTES: u64 = 2 * UNIT_BYTES as u64;

/// Of a record, what stands before its sum.
const TOLD_BYTES: usize = 1 + 8 + 8;

pub(super) const SUM_BYTES: usize = 16;

/// Of a record, what stands before its content.
pub(super) const HEADER_BYTES: usize = TOLD_BYTES + SUM_BYTES;

/// How much of what a file begins with says what it is; the rest is the version of its form.
const NAME_BYTES: usize = 14;

/// What a file of records is for.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) magic: &'static [u8; 16],
    /// What the file is called where it turns out to be another, as `file that --undo has made`.
    pub(super) what: &'static str,
    /// How much stands behind that, and how much is the content of the last record, in bytes.
    pub(super) told_bytes: usize,
    pub(super) end_bytes: usize,
    /// Kinds of records, but for the last.
    pub(super) kinds: &'static [RecordKind],
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// The last.
    End = 0,
    /// Content.
    Content = 1,
    /// Zeros.
    Zeros = 2,
    /// Digests of units.
    Digests = 3,
}

/// Records on their way into a file.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    headers: Vec<u8>,
}

impl Batch {
    /// What an image holds, or shall hold, from a place on.
    pub(super) fn content(&mut self, start: u64, content: &[u8]) {
        let range = start..start + content.len() as u64;
        if is_zero(content) {
            return self.zeros(range);
        }
        self.push(RecordKind::Content, range, content);
    }

    pub(super) fn zeros(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.push(RecordKind::Zeros, range, &[]);
        }
    }

    pub(super) fn digests(&mut self, digests: &[u8]) {
        self.push(RecordKind::Digests, 0..digests.len() as u64, digests);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn push(&mut self, kind: RecordKind, range: Range<u64>, content: &[u8]) {
        let header = header(kind, range, content);
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(content);
        self.headers.extend_from_slice(&header);
    }
}

/// A file that records are added to, by many workers.
pub(super) struct Writer<H> {
    path: PathBuf,
    held: H,
    /// `None` once something could not be written: what is there then is not known.
    state: Mutex<Option<State>>,
}

struct State {
    /// Where the next record begins.
    end: u64,
    /// Of the headers of all records: sums of their contents are among these.
    headers: blake3::Hasher,
}

impl<H: AsRef<File>> Writer<H> {
    /// Begins in an empty file.
    pub(super) fn begin(
        path: &Path,
        held: H,
        form: &Form,
        told: &[u8],
    ) -> Result<Self, BlocksError> {
        debug_assert_eq!(told.len(), form.told_bytes);
        let headers = blake3::Hasher::new();
        let state = Mutex::new(Some(State { end: 0, headers }));
        let writer = Self { path: path.to_owned(), held, state };
        let start = [&form.magic[..], told].concat();
        let bytes = [&start[..], &sum(&start, &[])].concat();
        writer.append(&Batch { bytes, headers: Vec::new() })?;
        Ok(writer)
    }

    pub(super) fn held(&self) -> &H {
        &self.held
    }

    pub(super) fn held_mut(&mut self) -> &mut H {
        &mut self.held
    }

    pub(super) fn append(&self, batch: &Batch) -> Result<(), BlocksError> {
        self.add(&mut self.state.lock(), batch)
    }

    fn add(&self, state: &mut Option<State>, batch: &Batch) -> Result<(), BlocksError> {
        // Who met the error tells it.
        let State { end, mut headers } = state.take().ok_or(BlocksError::Stopped)?;
        let written = self.held.as_ref().write_all_at(&batch.bytes, end);
        written.map_err(|error| self.fault(Verb::Write, &error))?;
        headers.update(&batch.headers);
        *state = Some(State { end: end + batch.bytes.len() as u64, headers });
        Ok(())
    }

    /// The same, and waits until it is on the disk. Others wait, too: so no more than one addition may be
    /// torn by a loss of power.
    pub(super) fn append_and_sync(&self, batch: &Batch) -> Result<(), BlocksError> {
        let mut state = self.state.lock();
        self.add(&mut state, batch)?;
        let synced = self.held.as_ref().sync_data();
        synced.map_err(|error| {
            *state = None;
            self.fault(Verb::Write, &error)
        })
    }

    /// The last record, when nothing more is to come: given a sum of all before, its content.
    pub(super) fn finish(
        &self,
        content: impl FnOnce(&[u8; 32]) -> Vec<u8>,
    ) -> Result<(), BlocksError> {
        let headers = self.state.lock().as_ref().map(|state| state.headers.finalize());
        let content = content(headers.ok_or(BlocksError::Stopped)?.as_bytes());
        let mut batch = Batch::default();
        batch.push(RecordKind::End, 0..content.len() as u64, &content);
        self.append_and_sync(&batch)
    }

    pub(super) fn fault(&self, verb: Verb, error: &std::io::Error) -> BlocksError {
        self.fault_because(verb, error.into())
    }

    pub(super) fn fault_because(&self, verb: Verb, cause: Cause) -> BlocksError {
        fault_at(&self.path, Side::Destination, verb, cause).into()
    }
}

fn header(kind: RecordKind, range: Range<u64>, content: &[u8]) -> Vec<u8> {
    let mut header = vec![kind as u8];
    header.extend(range.start.to_le_bytes());
    header.extend((range.end - range.start).to_le_bytes());
    header.extend(sum(&header, content));
    header
}

fn sum(told: &[u8], content: &[u8]) -> [u8; SUM_BYTES] {
    let sum = blake3::Hasher::new().update(told).update(content).finalize();
    *sum.as_bytes().first_chunk().expect("it has more")
}

/// The number at a place where there are eight bytes.
pub(super) fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a number has eight bytes"))
}

/// The records of a file, read one after the other and trusted in nothing but their sums.
pub(super) struct Reader<'a> {
    file: &'a File,
    file_bytes: u64,
    path: &'a Path,
    form: &'static Form,
    told: Vec<u8>,
    offset: u64,
    headers: blake3::Hasher,
    /// A record that says so is the last.
    has_end: bool,
    /// The content of that record, when it was come to, and the sum of all before.
    end: Option<(Vec<u8>, [u8; 32])>,
}

/// A record that is no end.
#[derive(Debug)]
pub(super) struct Record {
    /// In the image; of digests it says nothing.
    pub(super) range: Range<u64>,
    /// `None` for zeros.
    pub(super) content: Option<Vec<u8>>,
}

impl<'a> Reader<'a> {
    pub(super) fn begin(
        file: &'a File,
        path: &'a Path,
        form: &'static Form,
    ) -> Result<Self, BlocksError> {
        let failed =
            |error: std::io::Error| fault_at(path, Side::Source, Verb::Read, (&error).into());
        let start_bytes = form.magic.len() + form.told_bytes;
        let mut start = vec![0; start_bytes + SUM_BYTES];
        let read = file.read_at(&mut start, 0).map_err(failed)?;
        let (told, told_sum) = start.split_at(start_bytes);
        let magic = &told[..form.magic.len()];
        if read >= magic.len()
            && *magic != form.magic[..]
            && magic[..NAME_BYTES] == form.magic[..NAME_BYTES]
        {
            let sentence = format!(
                "\"{}\" was made by another version of lanesync, which knows what it says",
                path.display()
            );
            return Err(BlocksError::refused(sentence));
        }
        if read < magic.len() || *magic != form.magic[..] {
            let sentence = format!("\"{}\" is no {}", path.display(), form.what);
            return Err(BlocksError::refused(sentence));
        }
        if read < start.len() || sum(told, &[]) != *told_sum {
            return Err(damaged(path));
        }
        let file_bytes = file.metadata().map_err(failed)?.size;
        let mut last = vec![0; HEADER_BYTES + form.end_bytes];
        let last_at = file_bytes.saturating_sub(last.len() as u64).max(start.len() as u64);
        let read = file.read_at(&mut last, last_at).map_err(failed)?;
        let (last, content) = last.split_at(HEADER_BYTES);
        let end = header(RecordKind::End, 0..form.end_bytes as u64, content);
        let has_end = read == HEADER_BYTES + form.end_bytes && last == end;
        Ok(Self {
            file,
            file_bytes,
            path,
            form,
            told: told[form.magic.len()..].to_vec(),
            offset: start.len() as u64,
            headers: blake3::Hasher::new(),
            has_end,
            end: None,
        })
    }

    /// What the file tells of the whole.
    pub(super) fn told(&self) -> &[u8] {
        &self.told
    }

    /// Whether the last record is there and was come to.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// The next record; `None` behind the last one that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Record>, BlocksError> {
        if self.is_complete() {
            return Ok(None);
        }
        let record = self.read();
        let record = record
            .map_err(|error| fault_at(self.path, Side::Source, Verb::Read, (&error).into()))?;
        let is_tail = self.file_bytes.saturating_sub(self.offset) <= ADDED_BYTES;
        match record {
            None if self.is_complete() => Ok(None),
            // It was being added, and what it tells of had not been changed.
            None if is_tail && !self.has_end => Ok(None),
            None => Err(damaged(self.path)),
            Some(record) => Ok(Some(record)),
        }
    }

    /// What the last record says, and the sum of all before, when all were read: nothing may be missing.
    pub(super) fn end(&self) -> Result<(&[u8], &[u8; 32]), BlocksError> {
        match &self.end {
            Some((content, headers)) if self.offset == self.file_bytes => Ok((content, headers)),
            _ => Err(damaged(self.path)),
        }
    }

    /// The record that comes next, if there is a whole one and it is no end.
    fn read(&mut self) -> std::io::Result<Option<Record>> {
        let mut header = [0; HEADER_BYTES];
        let read = self.file.read_at(&mut header, self.offset)?;
        let (told, told_sum) = header.split_at(TOLD_BYTES);
        let (start, length) = (number_at(told, 1), number_at(told, 9));
        let mut kinds = self.form.kinds.iter().chain([&RecordKind::End]);
        let kind = kinds.find(|kind| **kind as u8 == told[0]);
        let (Some(kind), Some(end)) = (kind, start.checked_add(length)) else { return Ok(None) };
        let content_bytes = if *kind == RecordKind::Zeros { 0 } else { length };
        let is_end_right = *kind != RecordKind::End || length == self.form.end_bytes as u64;
        if read < HEADER_BYTES || content_bytes > UNIT_BYTES as u64 || !is_end_right {
            return Ok(None);
        }
        let behind = self.offset + HEADER_BYTES as u64;
        let mut content = vec![0; usize::try_from(content_bytes).expect("it is short")];
        let read = self.file.read_at(&mut content, behind)?;
        if read < content.len() || sum(told, &content) != *told_sum {
            return Ok(None);
        }
        self.offset = behind + content_bytes;
        if *kind == RecordKind::End {
            self.end = Some((content, *self.headers.finalize().as_bytes()));
            return Ok(None);
        }
        self.headers.update(&header);
        let content = (*kind != RecordKind::Zeros).then_some(content);
        Ok(Some(Record { range: start..end, content }))
    }
}

pub(super) fn damaged(path: &Path) -> BlocksError {
    let sentence =
        format!("\"{}\" is damaged; nothing was changed. Is there a copy of it?", path.display());
    BlocksError::refused(sentence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: Form = Form {
        magic: b"lanesync test 1\n",
        what: "file of this test",
        told_bytes: 3,
        end_bytes: 2,
        kinds: &[RecordKind::Content, RecordKind::Zeros, RecordKind::Digests],
    };

    /// What a file of these bytes says: how many records, and whether nothing is missing.
    fn read(bytes: &[u8]) -> Result<(usize, bool), BlocksError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        let image = fs::image::Image::create(&path, 0o600).unwrap();
        image.file().write_all_at(bytes, 0).unwrap();
        let mut reader = Reader::begin(image.file(), &path, &FORM)?;
        let mut count = 0;
        while reader.next()?.is_some() {
            count += 1;
        }
        Ok((count, reader.end().is_ok()))
    }

    /// A file of three records and an end.
    fn written() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        let image = fs::image::Image::create(&path, 0o600).unwrap();
        let writer = Writer::begin(&path, image, &FORM, b"abc").unwrap();
        let mut batch = Batch::default();
        batch.content(7, &[1; 50]);
        batch.content(100, &[0; 50]);
        writer.append(&batch).unwrap();
        let mut batch = Batch::default();
        batch.digests(&[2; 40]);
        batch.zeros(9..9);
        writer.append_and_sync(&batch).unwrap();
        writer.finish(|headers| headers[..2].to_vec()).unwrap();
        let mut bytes = vec![0; 1000];
        let length = writer.held().file().read_at(&mut bytes, 0).unwrap();
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = written();
        assert_eq!(read(&bytes).unwrap(), (3, true));
        assert_eq!(bytes.len(), 16 + 3 + 16 + 4 * HEADER_BYTES + 50 + 40 + 2);
        // Without its end it is not all, but what there is counts.
        assert_eq!(read(&bytes[..bytes.len() - 1]).unwrap(), (3, false));
        assert_eq!(read(&[&bytes[..], b"more"].concat()).unwrap(), (3, false));
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_file_it_is_read_or_refused(
            cut in 0..400_usize,
            flips in prop::collection::vec((0..400_usize, 0..8_u32), 0..3),
            behind in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let whole = written();
            let mut bytes = whole[..cut.min(whole.len())].to_vec();
            bytes.extend(behind);
            for (at, bit) in flips {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            let all = read(&bytes).is_ok_and(|(_, is_all)| is_all);
            prop_assert_eq!(all, bytes == whole);
        }

        #[test]
        fn numbers_that_lie_take_no_memory(
            kind in 0..5_u8,
            start in any::<u64>(),
            length in any::<u64>(),
        ) {
            let start_bytes = &written()[..16 + 3 + 16];
            let told = [&[kind][..], &start.to_le_bytes(), &length.to_le_bytes()].concat();
            let header = [&told[..], &sum(&told, &[])].concat();
            // Only zeros may be longer than what there is of them.
            let read = read(&[start_bytes, &header].concat()).unwrap();
            let is_zeros = kind == 2 && start.checked_add(length).is_some();
            prop_assert_eq!(read, (usize::from(is_zeros || length == 0 && [1, 3].contains(&kind)), false));
        }
    }
}
