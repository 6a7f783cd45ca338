//! Content that is read from a block device or written to one: it is brought over as `lanesync blocks` does
//! ([`blocks::content`]), which writes only what differs and refuses a target that is in use.
//!
//! What is read from a device into a file is made beside the old file and gets its name when it is complete,
//! as any other, unless it is to be written in place. A device can only be written in place.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use fs::copy::CopyError;
use fs::image::Access;
use fs::{AccessTime, Copied, File, Sparse};
use model::blocks::{BlocksJob, BlocksSettings, BlocksSummary, Digest, Sizes, Zeros};
use model::settings::{Append, Deltas, Staging};
use model::{Cause, Fault, Kind, Side, Topic, Verb};

use crate::blocks::BlocksError;
use crate::blocks::content::{Content, Watch};
use crate::endpoint::SourceFile;
use crate::entries::Entry;
use crate::run::{Run, Stop};
use crate::task::Worker;
use crate::transfer::opening::{UseOfSource, open_source};
use crate::transfer::whole::{FileJob, Moved, Problem, Staged, Written, problem, target_dir};
use crate::transfer::{in_place, old_file};

/// Whether an entry is a device that is read as a file.
pub(crate) fn is_read(run: &Run, entry: &Entry) -> bool {
    run.settings.write.copy_devices
        && entry.content.is_none()
        && entry.source.rdev != model::DeviceNumber::default()
}

/// Opens a device before its turn: how long it is can be told then.
pub(crate) fn measure(worker: &mut Worker<'_>, job: &mut FileJob) {
    // Why it cannot be opened is told when it must be.
    let totals = &mut worker.scratch.totals;
    job.opened = open_source(worker.run, totals, job, UseOfSource::Read).ok();
}

/// Whether what the destination has is a block device, which is written as a file.
pub(crate) fn is_written(entry: &Entry) -> bool {
    entry.existing.is_some_and(|existing| existing.kind == Kind::BlockDevice)
}

/// Whether one of both ends is a block device, and all of the content is to be brought over.
pub(crate) fn is_end(run: &Run, entry: &Entry, source: &SourceFile) -> Result<bool, Problem> {
    if is_written(entry) {
        return Ok(true);
    }
    let is_appended = run.settings.write.append != Append::Off && entry.existing.is_some();
    if is_appended || !is_read(run, entry) {
        return Ok(false);
    }
    let now = source.metadata().map_err(|error| entry.source_fault(Verb::LookAt, &error))?;
    Ok(now.kind == Kind::BlockDevice)
}

/// Opens a device to be written, or makes sure that a file may be, if that is open.
pub(crate) fn open_target(
    run: &Run,
    entry: &Entry,
    source: &SourceFile,
    open: impl Fn(Access) -> io::Result<File>,
) -> Result<File, Problem> {
    let job = job_of(run, entry);
    let content = content_of(&job, entry, source)?;
    let opened = if is_written(entry) {
        content.open_device(&job, open)
    } else {
        let file = open(Access::Write);
        let file = file.map_err(|error| entry.target_fault(Verb::Open, &error))?;
        content.check_target(&job, &file).map(|()| file)
    };
    opened.map_err(|error| problem_of(run, entry, error))
}

/// Looks in a dry run whether a run would refuse the target.
pub(crate) fn check_target(worker: &mut Worker<'_>, job: &mut FileJob) -> Result<(), Problem> {
    let run = worker.run;
    let is_in_place = run.settings.write.staging == Staging::InPlace;
    let is_asked = is_written(&job.entry)
        || (is_read(run, &job.entry) && is_in_place && job.entry.existing.is_some());
    if !is_asked {
        return Ok(());
    }
    let use_of = in_place::use_of_source(run, &job.entry);
    let source = open_source(run, &mut worker.scratch.totals, job, use_of)?;
    let entry = &job.entry;
    if !is_end(run, entry, &source)? {
        return Ok(());
    }
    let dir = target_dir(entry)?;
    let open = |_| dir.open_file(entry.target_name(), AccessTime::Keep);
    let blocks = job_of(run, entry);
    let content = content_of(&blocks, entry, &source)?;
    let checked = if is_written(entry) {
        content.check_device(&blocks, open)
    } else {
        let file = open(Access::Read);
        let file = file.map_err(|error| entry.target_fault(Verb::Open, &error))?;
        content.check_target(&blocks, &file)
    };
    checked.map_err(|error| problem_of(run, entry, error))
}

/// Brings all content into what is open.
pub(crate) fn bring(
    worker: &mut Worker<'_>,
    job: &FileJob,
    source: &SourceFile,
    target: &File,
) -> Result<Moved, Problem> {
    let (run, entry) = (worker.run, &job.entry);
    let blocks = job_of(run, entry);
    let content = content_of(&blocks, entry, source)?;
    if let Some(text) = content.warning(&blocks.source) {
        run.say(entry.segment, Topic::Warning, || text.into_bytes());
    }
    if run.settings.write.preallocate && !is_written(entry) {
        // A device has no holes that were to be kept.
        let reserved = target.preallocate(entry.source.size);
        reserved.map_err(|error| entry.target_fault(Verb::Preallocate, &error))?;
    }
    let watch = Arc::new(Watch::of(job.gauge()));
    let brought = content.bring(&blocks, target, &watch, &run.part());
    run.progress.end_of_work(watch.passed_bytes());
    let summary = brought.map_err(|error| problem_of(run, entry, error))?;
    Ok(moved(run, entry, &summary))
}

/// Makes a file of a device beside the old file, and publishes it.
pub(crate) fn write_beside(
    worker: &mut Worker<'_>,
    job: &FileJob,
    source: &SourceFile,
) -> Result<Written, Problem> {
    let mut staged = Staged::create(worker.run, &job.entry)?;
    begin_with_old(worker, &job.entry, staged.file())?;
    let moved = bring(worker, job, source, staged.file())?;
    let lacking = staged.complete(worker.run, &job.entry, source)?;
    Ok(Written { moved, lacking })
}

/// Fills a new file with what the old one has, where that costs nothing, or spares more on the way from
/// another host: what is the same is not brought over then.
fn begin_with_old(worker: &mut Worker<'_>, entry: &Entry, target: &File) -> Result<(), Problem> {
    let run = worker.run;
    let Some(old) = old_file::what_is_there(entry) else { return Ok(()) };
    let copier = &mut worker.scratch.copier;
    let cloned = copier.clone_whole(&old, target);
    if cloned.map_err(|error| problem(run, entry, error))? {
        return Ok(());
    }
    if entry.source_dir.on_this_host().is_some() || run.settings.write.deltas == Deltas::Never {
        return Ok(());
    }
    let size = old.metadata().map(|now| now.size);
    let size = size.map_err(|error| entry.target_fault(Verb::LookAt, &error))?;
    // What has no place in the new file may be more than there is room for.
    let size = size.min(entry.source.size);
    let mut go_on = |_| run.ending.go_on();
    match copier.copy_range(&old, target, 0..size, Sparse::KeepHoles, &mut go_on) {
        Ok(_) => Ok(()),
        Err(CopyError::Source(error)) if !run.ending.explains(&error) => {
            target.set_len(0).map_err(|error| entry.target_fault(Verb::SetLength, &error).into())
        }
        Err(error) => Err(problem(run, entry, error)),
    }
}

fn content_of(job: &BlocksJob, entry: &Entry, source: &SourceFile) -> Result<Content, Problem> {
    let content = Content::of(&job.source, source, entry.source.size);
    content.map_err(|error| problem_of(&entry.node.run, entry, error))
}

/// The same as an image is brought over; its paths are only told.
fn job_of(run: &Run, entry: &Entry) -> BlocksJob {
    let write = &run.settings.write;
    let told = |fault: Fault| PathBuf::from(OsStr::from_bytes(&fault.path));
    let settings = BlocksSettings {
        sizes: if is_written(entry) { Sizes::Ignore } else { Sizes::Truncate },
        zeros: if write.preallocate { Zeros::Written } else { Zeros::GivenBack },
        // Nobody is told of it.
        digest: Digest::Never,
        state_dir: write.state_dir.clone(),
        ..BlocksSettings::default()
    };
    BlocksJob {
        source: told(entry.source_fault(Verb::Open, Cause::Vanished)),
        target: told(entry.target_fault(Verb::Open, Cause::Vanished)),
        settings,
    }
}

/// What it counts as: where no delta is made all of it was sent, as in rsync.
fn moved(run: &Run, entry: &Entry, summary: &BlocksSummary) -> Moved {
    let BlocksSummary { image_bytes, written_bytes, cleared_bytes, .. } = *summary;
    let makes_deltas =
        run.settings.write.deltas != Deltas::Never && entry.source_dir.on_this_host().is_none();
    let matched_bytes = if makes_deltas { image_bytes - written_bytes - cleared_bytes } else { 0 };
    let copied = Copied { read_bytes: image_bytes, written_bytes, short: false };
    Moved { copied, matched_bytes }
}

fn problem_of(run: &Run, entry: &Entry, error: BlocksError) -> Problem {
    match error {
        BlocksError::Refused(sentence) => {
            let sentence = if sentence.contains("--allow=") {
                format!("{sentence} (an option of \"lanesync blocks\")")
            } else {
                sentence
            };
            entry.target_fault(Verb::Write, Cause::Refused(sentence.into())).into()
        }
        // A device that somebody writes to is no other at the next attempt, and it may be long.
        BlocksError::Fault(Fault {
            side: Side::Source, cause: Cause::ChangedDuringCopy, ..
        }) if !is_read(run, entry) => Problem::Changed,
        BlocksError::Fault(fault) => fault.into(),
        // The end of the session, or of the run, ends the work on it.
        BlocksError::SourceLost(_) => Problem::Stopped,
        BlocksError::Stopped if run.ending.has_begun() => Problem::Stopped,
        BlocksError::Stopped => {
            entry.target_fault(Verb::Write, Cause::Refused("it was stopped".into())).into()
        }
        BlocksError::Internal(what) => {
            run.ending.begin(Stop::Internal(what.into()));
            Problem::Stopped
        }
    }
}
