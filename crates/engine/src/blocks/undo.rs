//! The old content of what is changed, in a file of its own.
//!
//! Little-endian: sixteen bytes of [`MAGIC`], how long the target was (eight bytes), a sum of both, then
//! records. A record is its kind (one byte), where it begins and how long it is (eight bytes each), a sum of
//! these and of its content, and the content: of kind 1 that many bytes, of kind 2, which stands for zeros,
//! none. A record of kind 0 is the last of a job that came to its end. Sums are the first sixteen bytes of
//! BLAKE3.
//! Records are on the disk before what they tell of is changed, so what a killed job leaves behind is
//! enough to go back.

use std::ops::Range;
use std::path::{Path, PathBuf};

use delta::blocks::is_zero;
use delta::image::UNIT_BYTES;
use fs::image::{Access, Image};
use model::blocks::Dangers;
use model::{Cause, Fault, Side, Verb};
use parking_lot::Mutex;

use super::{BlocksError, ends, fault_at};

/// What the file begins with.
const MAGIC: &[u8; 16] = b"lanesync undo 1\n";

/// What stands before the records, but for its sum.
const START_BYTES: usize = 16 + 8;

/// Of a record, what stands before its sum.
const TOLD_BYTES: usize = 1 + 8 + 8;

const SUM_BYTES: usize = 16;

/// Of a record, what stands before its content.
const HEADER_BYTES: usize = TOLD_BYTES + SUM_BYTES;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordKind {
    /// The last.
    End = 0,
    /// Content.
    Content = 1,
    /// Zeros.
    Zeros = 2,
}

pub(super) struct Undo {
    path: PathBuf,
    image: Image,
    /// How long the target was. There is nothing to keep behind that.
    target_bytes: u64,
    end: Mutex<u64>,
}

impl Undo {
    /// Begins a file, which must not be there, for a target that is so long.
    pub(super) fn create(path: &Path, target_bytes: u64) -> Result<Self, BlocksError> {
        let image = Image::create(path)
            .map_err(|error| fault_at(path, Side::Destination, Verb::Open, (&error).into()))?;
        let undo = Self { path: path.to_owned(), image, target_bytes, end: Mutex::new(0) };
        let start = [&MAGIC[..], &target_bytes.to_le_bytes()].concat();
        undo.append(&[&start[..], &sum(&start, &[])].concat())?;
        Ok(undo)
    }

    /// Keeps the old content of some ranges.
    pub(super) fn keep<'a>(
        &self,
        runs: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), BlocksError> {
        let records = runs.flat_map(|(start, old)| {
            let left = self.target_bytes.saturating_sub(start);
            let length = usize::try_from(left).map_or(old.len(), |left| left.min(old.len()));
            if length == 0 { Vec::new() } else { record(start, &old[..length]) }
        });
        let records = records.collect::<Vec<u8>>();
        if records.is_empty() { Ok(()) } else { self.append(&records) }
    }

    /// Keeps what a target has in a range that is about to be cut off.
    pub(super) fn keep_all(&self, target: &Image, range: Range<u64>) -> Result<(), BlocksError> {
        let mut buffer = vec![0; UNIT_BYTES];
        let mut start = range.start;
        while start < range.end {
            let length = usize::try_from(range.end - start).unwrap_or(UNIT_BYTES).min(UNIT_BYTES);
            let read = target.file().read_at(&mut buffer[..length], start);
            let read = read.map_err(|error| self.fault(Verb::BackUp, &error))?;
            if read == 0 {
                break;
            }
            self.keep(std::iter::once((start, &buffer[..read])))?;
            start += read as u64;
        }
        Ok(())
    }

    /// Says that nothing more was changed.
    pub(super) fn finish(&self) -> Result<(), BlocksError> {
        self.append(&header(RecordKind::End, 0..0, &[]))
    }

    fn append(&self, bytes: &[u8]) -> Result<(), BlocksError> {
        let mut end = self.end.lock();
        let written = self.image.file().write_all_at(bytes, *end);
        written
            .and_then(|()| self.image.sync_data())
            .map_err(|error| self.fault(Verb::Write, &error))?;
        *end += bytes.len() as u64;
        Ok(())
    }

    fn fault(&self, verb: Verb, error: &std::io::Error) -> Fault {
        fault_at(&self.path, Side::Destination, verb, Cause::from(error))
    }
}

fn record(start: u64, old: &[u8]) -> Vec<u8> {
    let range = start..start + old.len() as u64;
    if is_zero(old) {
        return header(RecordKind::Zeros, range, &[]);
    }
    let mut record = header(RecordKind::Content, range, old);
    record.extend_from_slice(old);
    record
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

/// What an undo file came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What was written back, in bytes.
    pub restored_bytes: u64,
    /// Whether the job that wrote the file had come to its end.
    pub was_complete: bool,
}

/// Brings a target back into the state that an undo file has kept. All of the file is checked before the
/// first write; what a killed job was about to add to it counts as not there, for nothing was changed by
/// then.
pub fn apply_undo(path: &Path, target: &Path, allowed: Dangers) -> Result<Undone, BlocksError> {
    let failed = |error: std::io::Error| fault_at(path, Side::Source, Verb::Read, (&error).into());
    let file = Image::open(path, Access::Read).map_err(failed)?;
    let mut kept = Kept::begin(&file, path)?;
    let mut undone = Undone::default();
    while let Some(record) = kept.next(path)? {
        undone.restored_bytes += record.range.end - record.range.start;
    }
    undone.was_complete = kept.is_complete;
    let target_path = target;
    let failed = |verb| {
        move |error: std::io::Error| {
            fault_at(target_path, Side::Destination, verb, Cause::from(&error))
        }
    };
    let mut target = ends::open_alone(target_path, allowed)?;
    let is_file = target.device().is_none();
    if !is_file && target.bytes() != kept.target_bytes {
        let (path, bytes) = (target_path.display(), kept.target_bytes);
        let sentence = format!("\"{path}\" is not what was changed: that had {bytes} bytes");
        return Err(BlocksError::refused(sentence));
    }
    if is_file && target.bytes() != kept.target_bytes {
        target.set_len(kept.target_bytes).map_err(failed(Verb::SetLength))?;
    }
    let mut kept = Kept::begin(&file, path)?;
    while let Some(Record { range, content }) = kept.next(path)? {
        let written = match content {
            Some(content) => target.file().write_all_at(&content, range.start),
            None => target.clear(range),
        };
        written.map_err(failed(Verb::Write))?;
    }
    target.sync_data().map_err(failed(Verb::Sync))?;
    Ok(undone)
}

/// The records of an undo file.
struct Kept<'a> {
    file: &'a Image,
    target_bytes: u64,
    offset: u64,
    is_complete: bool,
}

struct Record {
    range: Range<u64>,
    /// `None` for zeros.
    content: Option<Vec<u8>>,
}

impl<'a> Kept<'a> {
    fn begin(file: &'a Image, path: &Path) -> Result<Self, BlocksError> {
        let mut start = [0; START_BYTES + SUM_BYTES];
        let read = file.file().read_at(&mut start, 0);
        let read =
            read.map_err(|error| fault_at(path, Side::Source, Verb::Read, (&error).into()))?;
        let (told, told_sum) = start.split_at(START_BYTES);
        let (magic, target_bytes) = told.split_at(MAGIC.len());
        if read < start.len() || magic != MAGIC {
            let sentence = format!("\"{}\" is no file that --undo has made", path.display());
            return Err(BlocksError::refused(sentence));
        }
        if sum(told, &[]) != *told_sum {
            return Err(damaged(path));
        }
        let target_bytes = u64::from_le_bytes(target_bytes.try_into().expect("eight are left"));
        Ok(Self { file, target_bytes, offset: start.len() as u64, is_complete: false })
    }

    /// The next record; `None` behind the last one that is whole.
    fn next(&mut self, path: &Path) -> Result<Option<Record>, BlocksError> {
        let failed =
            |error: std::io::Error| fault_at(path, Side::Source, Verb::Read, (&error).into());
        let mut header = [0; HEADER_BYTES];
        let read = self.file.file().read_at(&mut header, self.offset).map_err(failed)?;
        if self.is_complete || read < HEADER_BYTES {
            return Ok(None);
        }
        let (told, told_sum) = header.split_at(TOLD_BYTES);
        let number = |at: usize| {
            u64::from_le_bytes(told[at..at + 8].try_into().expect("a number has eight bytes"))
        };
        let (start, length) = (number(1), number(9));
        let kinds = [RecordKind::End, RecordKind::Content, RecordKind::Zeros];
        if !kinds.iter().any(|kind| *kind as u8 == told[0]) {
            return Err(damaged(path));
        }
        let is_content = told[0] == RecordKind::Content as u8;
        let content_bytes = if is_content { length } else { 0 };
        let end = start.checked_add(length);
        let behind = self.offset + HEADER_BYTES as u64;
        if content_bytes > UNIT_BYTES as u64 || end.is_none_or(|end| end > self.target_bytes) {
            return Err(damaged(path));
        }
        if behind + content_bytes > self.file.bytes() {
            return Ok(None);
        }
        let mut content = vec![0; usize::try_from(content_bytes).expect("it is short")];
        self.file.file().read_at(&mut content, behind).map_err(failed)?;
        if sum(told, &content) != *told_sum {
            return Err(damaged(path));
        }
        self.offset = behind + content_bytes;
        if told[0] == RecordKind::End as u8 {
            self.is_complete = true;
            return Ok(None);
        }
        let content = is_content.then_some(content);
        Ok(Some(Record { range: start..start + length, content }))
    }
}

fn damaged(path: &Path) -> BlocksError {
    let sentence =
        format!("\"{}\" is damaged; nothing was changed. Is there a copy of it?", path.display());
    BlocksError::refused(sentence)
}
