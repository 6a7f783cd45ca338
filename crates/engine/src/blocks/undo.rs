//! The old content of what is changed, in a file of its own (`records`): it tells how long the target was
//! and is to be, eight bytes each. Its end says that the job came to its own.
//!
//! Records are on the disk before what they tell of is changed, so what a killed job leaves behind is
//! enough to go back.

use std::ops::Range;
use std::path::Path;

use delta::image::UNIT_BYTES;
use fs::image::{Access, Image};
use model::blocks::BlocksJob;
use model::{Cause, Side, Verb};
use sched::Cancel;

use super::records::{Batch, Form, Reader, Record, RecordKind, Writer, damaged, number_at};
use super::source::Source;
use super::undoing::Undoing;
use super::{BlocksError, described, ends, fault_at, internal, pieces};
use crate::run::Surroundings;

/// How much is cleared before somebody looks whether the run is to end, in bytes: a device that cannot be told
/// to clear is written to for so long. It is a multiple of what any device gives back at once.
const CLEARED_AT_ONCE_BYTES: u64 = 64 << 20;

const FORM: Form = Form {
    magic: b"lanesync undo 1\n",
    what: "file that --undo has made",
    told_bytes: 8 + 8,
    end_bytes: 0,
    kinds: &[RecordKind::Content, RecordKind::Zeros],
};

pub(super) struct Undo {
    writer: Writer<Image>,
    /// How long the target was. There is nothing to keep behind that.
    target_bytes: u64,
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
        let told = [target_bytes.to_le_bytes(), new_bytes.to_le_bytes()].concat();
        let writer = Writer::begin(path, image, &FORM, &told)?;
        writer.append_and_sync(&Batch::default())?;
        fs::operator::sync_name(path).map_err(failed)?;
        Ok(Self { writer, target_bytes })
    }

    /// The file itself.
    pub(super) fn file(&self) -> &Image {
        self.writer.held()
    }

    /// Keeps the old content of some ranges.
    pub(super) fn keep<'a>(
        &self,
        runs: impl Iterator<Item = (u64, &'a [u8])>,
    ) -> Result<(), BlocksError> {
        let mut batch = Batch::default();
        for (start, old) in runs {
            let left = self.target_bytes.saturating_sub(start);
            let length = usize::try_from(left).map_or(old.len(), |left| left.min(old.len()));
            if length > 0 {
                batch.content(start, &old[..length]);
            }
        }
        if batch.is_empty() { Ok(()) } else { self.writer.append_and_sync(&batch) }
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
            let extent = extent.map_err(|error| self.writer.fault(Verb::BackUp, &error))?;
            self.keep_hole(end..extent.start)?;
            end = extent.start;
            while end < extent.end {
                cancel.check().map_err(|_| BlocksError::Stopped)?;
                let length = usize::try_from(extent.end - end).unwrap_or(UNIT_BYTES);
                let read = target.file().read_at(&mut buffer[..length.min(UNIT_BYTES)], end);
                let read = read.map_err(|error| self.writer.fault(Verb::BackUp, &error))?;
                if read == 0 {
                    return Err(self.writer.fault_because(Verb::BackUp, Cause::ChangedDuringCopy));
                }
                self.keep(std::iter::once((end, &buffer[..read])))?;
                end += read as u64;
            }
        }
        self.keep_hole(end..range.end)
    }

    fn keep_hole(&self, range: Range<u64>) -> Result<(), BlocksError> {
        let mut batch = Batch::default();
        batch.zeros(range);
        if batch.is_empty() { Ok(()) } else { self.writer.append_and_sync(&batch) }
    }

    /// Says that nothing more was changed.
    pub(super) fn finish(&self) -> Result<(), BlocksError> {
        self.writer.finish(|_| Vec::new())
    }
}

/// What an undo file came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What was written back, in bytes.
    pub restored_bytes: u64,
    /// Whether the job that wrote the file had come to its end.
    pub was_complete: bool,
    /// Why the target counts as incomplete all the same.
    pub stays_marked: Option<String>,
}

/// Brings a target back into the state that an undo file, the source of the job, has kept, or says what a dry
/// run would. All of the file is checked before the first write; what a killed job was about to add to it
/// counts as not there, for nothing was changed by then.
///
/// From the first write until all is back the target is marked as incomplete. Who stops it, or finds it
/// killed, may begin anew with the same file.
pub fn apply_undo(job: &BlocksJob, around: &Surroundings) -> Result<Undone, BlocksError> {
    let BlocksJob { source: path, target: target_path, settings } = job;
    let is_dry_run = settings.dry_run;
    let failed =
        |verb| move |error: std::io::Error| fault_at(path, Side::Source, verb, Cause::from(&error));
    let file = Image::open(path, Access::Read).map_err(failed(Verb::Open))?;
    let opened = described::describe(&file).map_err(failed(Verb::LookAt))?;
    let mut kept = Kept::begin(&file, path)?;
    let mut undone = Undone::default();
    while let Some(record) = kept.next()? {
        around.cancel.check().map_err(|_| BlocksError::Stopped)?;
        undone.restored_bytes += record.range.end - record.range.start;
    }
    undone.was_complete = kept.reader.is_complete();
    let lengths = (kept.target_bytes, kept.new_bytes);
    let target = ends::open_alone(target_path, settings.allowed, &file, is_dry_run)?;
    let bytes = target.bytes();
    if bytes != kept.target_bytes && (target.device().is_some() || bytes != kept.new_bytes) {
        let (path, bytes) = (target_path.display(), kept.target_bytes);
        let sentence = format!("\"{path}\" is not what was changed: that had {bytes} bytes");
        return Err(BlocksError::refused(sentence));
    }
    drop(kept);
    if is_dry_run {
        return Ok(undone);
    }
    let undo = Source::Here(file, Box::new(opened));
    let undoing = Undoing::begin(job, (&undo, &target), lengths, &*around.sink)?;
    let Source::Here(file, _) = &undo else { return Err(internal("an undo file lies here")) };
    bring_back(job, file, target, &around.cancel)?;
    undone.stays_marked = undoing.and_then(|undoing| undoing.settle(job));
    Ok(undone)
}

fn bring_back(
    job: &BlocksJob,
    file: &Image,
    mut target: Image,
    cancel: &Cancel,
) -> Result<(), BlocksError> {
    let (path, target_path) = (&job.source, &job.target);
    let failed = |verb| {
        move |error: std::io::Error| {
            fault_at(target_path, Side::Destination, verb, Cause::from(&error))
        }
    };
    let go_on = || cancel.check().map_err(|_| BlocksError::Stopped);
    // What was found whole a moment ago and is not now was changed, and some of it is written by now.
    let changed = |error| match error {
        BlocksError::Refused(_) => {
            fault_at(path, Side::Source, Verb::Read, Cause::ChangedDuringCopy).into()
        }
        error => error,
    };
    let mut kept = Kept::begin(file, path).map_err(changed)?;
    if target.bytes() != kept.target_bytes {
        target.set_len(kept.target_bytes).map_err(failed(Verb::SetLength))?;
    }
    while let Some(Record { range, content }) = kept.next().map_err(changed)? {
        go_on()?;
        if let Some(content) = content {
            target.file().write_all_at(&content, range.start).map_err(failed(Verb::Write))?;
            continue;
        }
        for piece in pieces::cut(&range, CLEARED_AT_ONCE_BYTES) {
            go_on()?;
            target.clear(piece).map_err(failed(Verb::Write))?;
        }
    }
    target.sync_data().map_err(failed(Verb::Sync))?;
    Ok(())
}

/// The records of an undo file.
struct Kept<'a> {
    path: &'a Path,
    reader: Reader<'a>,
    target_bytes: u64,
    new_bytes: u64,
}

impl<'a> Kept<'a> {
    fn begin(file: &'a Image, path: &'a Path) -> Result<Self, BlocksError> {
        let reader = Reader::begin(file.file(), path, &FORM)?;
        let [target_bytes, new_bytes] = [0, 8].map(|at| number_at(reader.told(), at));
        Ok(Self { path, reader, target_bytes, new_bytes })
    }

    fn next(&mut self) -> Result<Option<Record>, BlocksError> {
        let record = self.reader.next()?;
        let is_outside = |record: &Record| record.range.end > self.target_bytes;
        if record.as_ref().is_some_and(is_outside) {
            return Err(damaged(self.path));
        }
        Ok(record)
    }
}
