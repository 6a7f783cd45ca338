//! A regular file written over its old content (rsync(1), `--inplace`, `--append`,
//! `--write-devices`): the named exception to "the old file or the new one, whole".

use delta::Update;
use fs::image::Access;
use fs::{AccessTime, Copied, Dir, File, Sparse};
use model::settings::{Append, Staging};
use model::{Cause, Kind, Metadata, Verb};

use crate::attributes::{Born, Extra, ExtraChange};
use crate::backup;
use crate::endpoint::SourceFile;
use crate::entries::Entry;
use crate::newcomer::Unmade;
use crate::run::Run;
use crate::task::Worker;
use crate::transfer::compare::verify;
use crate::transfer::opening::UseOfSource;
use crate::transfer::patching::Sides;
use crate::transfer::whole::{
    FileJob, Lacking, Moved, Problem, Written, problem, sparse, target_dir,
};
use crate::transfer::{device, old_file, patching};

/// Writes the file itself, unless it is being written for another name. A source that changed is read
/// anew into the same open file, so that what is backed up is the file as it was before the first
/// attempt.
/// Test: `an_in_place_copy_backs_up_what_was_there_before_the_first_attempt`.
pub(crate) fn write(
    worker: &mut Worker<'_>,
    job: &mut FileJob,
    source: &SourceFile,
) -> Result<Written, Unmade> {
    let is_device = device::is_end(worker.run, &job.entry, source)?;
    let target = match job.begun.take() {
        Some(begun) => begun,
        None => open(worker.run, job, is_device.then_some(source))?,
    };
    let written = if is_device {
        let moved = device::bring(worker, job, source, &target);
        moved.and_then(|moved| complete(worker.run, job, (source, &target), moved, 0))
    } else {
        write_to(worker, job, source, &target)
    };
    if let Err(Problem::Changed) = written {
        job.begun = Some(target);
    }
    Ok(written?)
}

/// Whether something has a name that was thought free. It would show when the file is made: where that
/// is told of beforehand, it must be known earlier.
pub(crate) fn meets_something(run: &Run, entry: &Entry) -> bool {
    let is_thought_free = entry.existing.is_none() && !entry.is_anew;
    is_thought_free
        && run.settings.write.staging == Staging::InPlace
        && entry.target_dir.as_ref().is_some_and(|dir| dir.stat(entry.target_name()).is_ok())
}

/// What of the source is wanted: with an old file in the place, only what that does not have.
pub(crate) fn use_of_source(run: &Run, entry: &Entry) -> UseOfSource<'static> {
    let appends = run.settings.write.append != Append::Off && entry.existing.is_some();
    let is_asked_for = appends || is_made_of_old(run, entry) || device::is_written(entry);
    if is_asked_for { UseOfSource::Patch } else { UseOfSource::Read }
}

fn is_made_of_old(run: &Run, entry: &Entry) -> bool {
    let is_old_file = |existing: Metadata| {
        existing.kind == Kind::File && old_file::is_long_enough(run, existing.size)
    };
    run.settings.write.append != Append::Trust
        && old_file::may_serve(run, entry)
        && entry.existing.is_some_and(is_old_file)
}

fn write_to(
    worker: &mut Worker<'_>,
    job: &mut FileJob,
    source: &SourceFile,
    target: &File,
) -> Result<Written, Problem> {
    let from = start(worker, job, source, target)?;
    job.keeps(from);
    let is_patched = from == 0 && is_made_of_old(worker.run, &job.entry);
    let moved = if is_patched && source.to_patch().is_some() {
        let old = target.metadata();
        let old = old.map_err(|error| job.entry.target_fault(Verb::LookAt, &error))?;
        let sides = Sides { job, source, old: target, target };
        patching::make(worker, &sides, old.size, Update::InPlace)?
    } else {
        copy(worker, job, source, target, from)?.into()
    };
    complete(worker.run, job, (source, target), moved, from)
}

/// Ends what has its content, which was written from an offset on.
fn complete(
    run: &Run,
    job: &FileJob,
    (source, target): (&SourceFile, &File),
    moved: Moved,
    from: u64,
) -> Result<Written, Problem> {
    let entry = &job.entry;
    let is_device = entry.existing.is_some_and(|existing| existing.kind.is_device());
    let size = entry.source.size;
    if !is_device {
        target.set_len(size).map_err(|error| entry.target_fault(Verb::SetLength, &error))?;
    }
    let now = source.metadata().map_err(|error| entry.source_fault(Verb::LookAt, &error))?;
    let before = entry.content.as_ref().map_or(&entry.source, |content| &content.metadata);
    if now.kind == Kind::File && (now.size != before.size || now.mtime != before.mtime) {
        return Err(Problem::Changed);
    }
    if run.settings.write.verify {
        // What --append found there is trusted, or was compared.
        verify(run, entry, source, target, (run.settings.compare.checksum, from..size))?;
    }
    target.check_close().map_err(|error| entry.target_fault(Verb::Write, &error))?;
    let lacking = if is_device { None } else { dress(run, entry, source, target)? };
    if run.settings.write.fsync {
        target.sync_all().map_err(|error| entry.target_fault(Verb::Sync, &error))?;
    }
    Ok(Written { moved, lacking })
}

/// Copies all content from an offset on.
fn copy(
    worker: &mut Worker<'_>,
    job: &FileJob,
    source: &SourceFile,
    target: &File,
    from: u64,
) -> Result<Copied, Problem> {
    let (run, entry) = (worker.run, &job.entry);
    let is_device = entry.existing.is_some_and(|existing| existing.kind.is_device());
    // A device has no holes.
    let holes = if is_device { Sparse::None } else { sparse(run, &entry.source) };
    let mut paced = 0;
    let mut pace = |bytes| {
        paced += bytes;
        job.pace(run, bytes)
    };
    let range = from..entry.source.size;
    let copied = worker.scratch.copier.copy_range(source, target, range, holes, &mut pace);
    run.progress.end_of_work(paced);
    let copied = copied.map_err(|error| problem(run, entry, error))?;
    if copied.short { Err(Problem::Changed) } else { Ok(copied) }
}

/// Opens the file and begins to write it: what is there, or a new one.
///
/// `image` is the source where one of both is a block device.
fn open(run: &Run, job: &mut FileJob, image: Option<&SourceFile>) -> Result<File, Unmade> {
    let FileJob { entry, in_work, .. } = job;
    let entry = &*entry;
    let dir = target_dir(entry)?;
    let mut begin = |inode| {
        let is_free = run.in_work.begin(inode);
        *in_work = is_free.then_some(inode);
        if is_free { Ok(()) } else { Err(Unmade::InWork(inode)) }
    };
    let Some(existing) = entry.existing else {
        entry.node.target.touch();
        let made = dir.create_file(entry.target_name(), 0o600);
        let made = made.map_err(|error| Unmade::at_a_free_name(entry, Verb::Open, &error))?;
        let metadata = made.metadata();
        begin(metadata.map_err(|error| entry.target_fault(Verb::LookAt, &error))?.inode())?;
        return Ok(made);
    };
    begin(existing.inode())?;
    let back_up = || if run.settings.backup.enabled { backup::copy(run, entry) } else { Ok(()) };
    let opened = if let Some(source) = image {
        let open = |access| open_image(run, entry, dir, access);
        let opened = device::open_target(run, entry, source, open)?;
        back_up()?;
        opened
    } else {
        back_up()?;
        let opened = open_existing(run, entry, dir, Reads::IfCompared);
        opened.map_err(|error| entry.target_fault(Verb::Open, &error))?
    };
    let now = opened.metadata().map_err(|error| entry.target_fault(Verb::LookAt, &error))?;
    if !now.is_same_inode(&existing) {
        // Perhaps it is written for another name.
        let cause = Cause::Refused("it was replaced meanwhile; start again to write it".into());
        return Err(entry.target_fault(Verb::Open, cause).into());
    }
    Ok(opened)
}

/// Whether what is there is read, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Always,
    IfCompared,
}

/// Opens what is there as an image.
fn open_image(run: &Run, entry: &Entry, dir: &Dir, access: Access) -> std::io::Result<File> {
    let name = entry.target_name();
    match access {
        Access::Read => dir.open_file(name, AccessTime::Keep),
        Access::WriteAlone => dir.open_device_alone(name),
        Access::Write => open_existing(run, entry, dir, Reads::Always),
    }
}

/// Opens what is there. As in rsync, what its owner may not write is made writable; it gets its mode
/// at the end.
fn open_existing(run: &Run, entry: &Entry, dir: &Dir, reads: Reads) -> std::io::Result<File> {
    let name = entry.target_name();
    // What is there is compared first, or read back at the end.
    let reads = reads == Reads::Always
        || run.settings.write.append == Append::Verify
        || run.settings.write.verify
        || is_made_of_old(run, entry);
    let open = || if reads { dir.open_for_update(name) } else { dir.open_for_writing(name) };
    match open() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let mode = entry.existing.map_or(0, |existing| existing.mode) | 0o600;
            dir.set_mode(name, mode).and_then(|()| open())
        }
        opened => opened,
    }
}

/// Where writing begins: behind what is there already, with `--append`.
fn start(
    worker: &mut Worker<'_>,
    job: &mut FileJob,
    source: &SourceFile,
    target: &File,
) -> Result<u64, Problem> {
    let entry = &job.entry;
    let Some(existing) = entry.existing.filter(|existing| existing.kind == Kind::File) else {
        return Ok(0);
    };
    match worker.run.settings.write.append {
        Append::Off => Ok(0),
        Append::Trust => Ok(existing.size),
        Append::Verify => {
            let same = super::compare::same_range(worker, source, target, 0..existing.size);
            let same = same.map_err(|unsure| unsure.problem(entry))?;
            job.is_redone |= !same;
            Ok(if same { existing.size } else { 0 })
        }
    }
}

fn dress(run: &Run, entry: &Entry, source: &SourceFile, target: &File) -> Result<Lacking, Problem> {
    let born: Metadata =
        target.metadata().map_err(|error| entry.target_fault(Verb::LookAt, &error))?;
    let wanted = entry.wanted(run);
    let extra = Extra::of_source(run, entry.scope(), &source.attributes())
        .map_err(|error| entry.source_fault(Verb::ReadAttributes, &error))?;
    let read = || Extra::of_target(run, entry.scope(), target.into());
    let (mut mode, mut present) = (born.mode, read());
    if present.is_err() && mode & 0o400 == 0 && target.set_mode(mode | 0o400).is_ok() {
        (mode, present) = (mode | 0o400, read());
    }
    let present = present.map_err(|error| entry.target_fault(Verb::ReadAttributes, &error))?;
    let born = Born { uid: born.uid, gid: born.gid, mode };
    let extra = ExtraChange { wanted: extra.with_mode_of(&wanted), present };
    let dressed = run.dress(target, born, &wanted, &entry.source, extra);
    Ok(dressed.err().map(|unset| unset.fault(entry)))
}
