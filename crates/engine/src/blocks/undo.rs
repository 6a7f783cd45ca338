//! The old content of what is changed, in a file of its own.
//!
//! Little-endian: sixteen bytes of [`MAGIC`], how long the target was and is to be (eight bytes each), a sum
//! of these, then records. A record is its kind (one byte), where it begins and how long it is (eight bytes each), a sum of
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
use model::{Cause, Side, Verb};
use parking_lot::Mutex;
use sched::Cancel;

use super::{BlocksError, ends, fault_at};

/// What the file begins with.
const MAGIC: &[u8; 16] = b"lanesync undo 1\n";

/// What stands before the records, but for its sum.
const START_BYTES: usize = 16 + 8 + 8;

/// No more is added at once than a unit and the headers of its runs: of a file without an end only so much
/// of the tail may be what a loss of power has left of the last addition.
const ADDED_BYTES: u64 = 2 * UNIT_BYTES as u64;

/// Of a record, what stands before its sum.
const TOLD_BYTES: usize = 1 + 8 + 8;

const SUM_BYTES: usize = 16;

/// Of a record, what stands before its content.
pub(super) const HEADER_BYTES: usize = TOLD_BYTES + SUM_BYTES;

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
    /// Where the next record begins; `None` once something could not be written: what is there then is
    /// not known.
    end: Mutex<Option<u64>>,
}

impl Undo {
    /// Begins a file, which must not be there, for a target that is so long and is to be so long.
    pub(super) fn create(
        path: &Path,
        target_bytes: u64,
        new_bytes: u64,
    ) -> Result<Self, BlocksError> {
        let failed = |error| fault_at(path, Side::Destination, Verb::Open, Cause::from(&error));
        let image = Image::create(path, 0o600).map_err(failed)?;
        let undo = Self { path: path.to_owned(), image, target_bytes, end: Mutex::new(Some(0)) };
        let start = [&MAGIC[..], &target_bytes.to_le_bytes(), &new_bytes.to_le_bytes()].concat();
        undo.append(&[&start[..], &sum(&start, &[])].concat())?;
        fs::operator::sync_name(path).map_err(failed)?;
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
    pub(super) fn keep_all(
        &self,
        target: &Image,
        range: Range<u64>,
        cancel: &Cancel,
    ) -> Result<(), BlocksError> {
        let mut buffer = vec![0; UNIT_BYTES];
        let mut end = range.start;
        for extent in target.file().data_extents(range.clone()) {
            let extent = extent.map_err(|error| self.fault(Verb::BackUp, &error))?;
            self.keep_hole(end..extent.start)?;
            end = extent.start;
            while end < extent.end {
                cancel.check().map_err(|_| BlocksError::Stopped)?;
                let length = usize::try_from(extent.end - end).unwrap_or(UNIT_BYTES);
                let read = target.file().read_at(&mut buffer[..length.min(UNIT_BYTES)], end);
                let read = read.map_err(|error| self.fault(Verb::BackUp, &error))?;
                if read == 0 {
                    return Err(self.fault_because(Verb::BackUp, Cause::ChangedDuringCopy));
                }
                self.keep(std::iter::once((end, &buffer[..read])))?;
                end += read as u64;
            }
        }
        self.keep_hole(end..range.end)
    }

    fn keep_hole(&self, range: Range<u64>) -> Result<(), BlocksError> {
        if range.is_empty() {
            return Ok(());
        }
        self.append(&header(RecordKind::Zeros, range, &[]))
    }

    /// Says that nothing more was changed.
    pub(super) fn finish(&self) -> Result<(), BlocksError> {
        self.append(&header(RecordKind::End, 0..0, &[]))
    }

    fn append(&self, bytes: &[u8]) -> Result<(), BlocksError> {
        let mut end = self.end.lock();
        // Who met the error tells it.
        let at = end.take().ok_or(BlocksError::Stopped)?;
        let written = self.image.file().write_all_at(bytes, at);
        written
            .and_then(|()| self.image.sync_data())
            .map_err(|error| self.fault(Verb::Write, &error))?;
        *end = Some(at + bytes.len() as u64);
        Ok(())
    }

    fn fault(&self, verb: Verb, error: &std::io::Error) -> BlocksError {
        self.fault_because(verb, error.into())
    }

    fn fault_because(&self, verb: Verb, cause: Cause) -> BlocksError {
        fault_at(&self.path, Side::Destination, verb, cause).into()
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

/// Brings a target back into the state that an undo file has kept, or says what a dry run would. All of
/// the file is checked before the first write; what a killed job was about to add to it counts as not
/// there, for nothing was changed by then.
pub fn apply_undo(
    path: &Path,
    target_path: &Path,
    allowed: Dangers,
    is_dry_run: bool,
) -> Result<Undone, BlocksError> {
    let failed = |error: std::io::Error| fault_at(path, Side::Source, Verb::Open, (&error).into());
    let file = Image::open(path, Access::Read).map_err(failed)?;
    let mut kept = Kept::begin(&file, path)?;
    let mut undone = Undone::default();
    while let Some(record) = kept.next(path)? {
        undone.restored_bytes += record.range.end - record.range.start;
    }
    undone.was_complete = kept.is_complete;
    let failed = |verb| {
        move |error: std::io::Error| {
            fault_at(target_path, Side::Destination, verb, Cause::from(&error))
        }
    };
    let mut target = ends::open_alone(target_path, allowed, &file, is_dry_run)?;
    let bytes = target.bytes();
    if bytes != kept.target_bytes && (target.device().is_some() || bytes != kept.new_bytes) {
        let (path, bytes) = (target_path.display(), kept.target_bytes);
        let sentence = format!("\"{path}\" is not what was changed: that had {bytes} bytes");
        return Err(BlocksError::refused(sentence));
    }
    if is_dry_run {
        return Ok(undone);
    }
    if bytes != kept.target_bytes {
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
    new_bytes: u64,
    offset: u64,
    /// A record that says so is the last.
    has_end: bool,
    /// That record was come to.
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
        let (magic, lengths) = told.split_at(MAGIC.len());
        if read < start.len() || magic != MAGIC {
            let sentence = format!("\"{}\" is no file that --undo has made", path.display());
            return Err(BlocksError::refused(sentence));
        }
        if sum(told, &[]) != *told_sum {
            return Err(damaged(path));
        }
        let number = |at: usize| {
            u64::from_le_bytes(lengths[at..at + 8].try_into().expect("a number has eight bytes"))
        };
        let mut last = [0; HEADER_BYTES];
        let last_at = file.bytes().saturating_sub(HEADER_BYTES as u64);
        let read = file.file().read_at(&mut last, last_at);
        read.map_err(|error| fault_at(path, Side::Source, Verb::Read, (&error).into()))?;
        let has_end = last[..] == header(RecordKind::End, 0..0, &[]);
        let (target_bytes, new_bytes) = (number(0), number(8));
        let offset = start.len() as u64;
        Ok(Self { file, target_bytes, new_bytes, offset, has_end, is_complete: false })
    }

    /// The next record; `None` behind the last one that is whole.
    fn next(&mut self, path: &Path) -> Result<Option<Record>, BlocksError> {
        if self.is_complete {
            return Ok(None);
        }
        let record = self.read();
        let record =
            record.map_err(|error| fault_at(path, Side::Source, Verb::Read, (&error).into()))?;
        let is_tail = self.file.bytes() - self.offset.min(self.file.bytes()) <= ADDED_BYTES;
        match record {
            None if self.is_complete => Ok(None),
            // It was being added, and what it tells of had not been changed.
            None if is_tail && !self.has_end => Ok(None),
            None => Err(damaged(path)),
            Some(record) => Ok(Some(record)),
        }
    }

    /// The record that comes next, if there is a whole one and it is no end.
    fn read(&mut self) -> std::io::Result<Option<Record>> {
        let mut header = [0; HEADER_BYTES];
        let read = self.file.file().read_at(&mut header, self.offset)?;
        let (told, told_sum) = header.split_at(TOLD_BYTES);
        let number = |at: usize| {
            u64::from_le_bytes(told[at..at + 8].try_into().expect("a number has eight bytes"))
        };
        let (start, length) = (number(1), number(9));
        let is = |kind: RecordKind| told[0] == kind as u8;
        let is_content = is(RecordKind::Content);
        let content_bytes = if is_content { length } else { 0 };
        let end = start.checked_add(length).filter(|end| *end <= self.target_bytes);
        let is_known = is_content || is(RecordKind::Zeros) || is(RecordKind::End);
        if read < HEADER_BYTES || !is_known || content_bytes > UNIT_BYTES as u64 {
            return Ok(None);
        }
        let Some(end) = end else { return Ok(None) };
        let behind = self.offset + HEADER_BYTES as u64;
        let mut content = vec![0; usize::try_from(content_bytes).expect("it is short")];
        let read = self.file.file().read_at(&mut content, behind)?;
        if read < content.len() || sum(told, &content) != *told_sum {
            return Ok(None);
        }
        self.offset = behind + content_bytes;
        if is(RecordKind::End) {
            self.is_complete = true;
            return Ok(None);
        }
        Ok(Some(Record { range: start..end, content: is_content.then_some(content) }))
    }
}

fn damaged(path: &Path) -> BlocksError {
    let sentence =
        format!("\"{}\" is damaged; nothing was changed. Is there a copy of it?", path.display());
    BlocksError::refused(sentence)
}
