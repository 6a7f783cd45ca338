//! A regular file written over its old content (rsync(1), `--inplace`, `--append`,
//! `--write-devices`): the named exception to "the old file or the new one, whole".

use fs::{Dir, File, Sparse};
use model::settings::Append;
use model::{Kind, Metadata, Verb};

use crate::attributes::{Born, Extra, ExtraChange};
use crate::backup;
use crate::endpoint::SourceFile;
use crate::entries::Entry;
use crate::run::Run;
use crate::task::Worker;
use crate::transfer::whole::{
    FileJob, Lacking, Problem, Written, problem, sparse, target_dir, verify,
};

/// Writes the file itself. A source that changed is read anew into the same open file, so that what
/// is backed up is the file as it was before the first attempt.
/// Test: `an_in_place_copy_backs_up_what_was_there_before_the_first_attempt`.
pub(crate) fn write(
    worker: &mut Worker<'_>,
    job: &mut FileJob,
    source: &SourceFile,
) -> Result<Written, Problem> {
    let target = match job.begun.take() {
        Some(begun) => begun,
        None => open(worker.run, &job.entry)?,
    };
    let written = write_to(worker, job, source, &target);
    if let Err(Problem::Changed) = written {
        job.begun = Some(target);
    }
    written
}

fn write_to(
    worker: &mut Worker<'_>,
    job: &mut FileJob,
    source: &SourceFile,
    target: &File,
) -> Result<Written, Problem> {
    let from = start(worker, job, source, target)?;
    job.keeps(from);
    let (run, entry) = (worker.run, &job.entry);
    let is_device = entry.existing.is_some_and(|existing| existing.kind.is_device());
    // A device has no holes.
    let holes = if is_device { Sparse::None } else { sparse(run, &entry.source) };
    let mut paced = 0;
    let mut pace = |bytes| {
        paced += bytes;
        job.pace(run, bytes)
    };
    let size = entry.source.size;
    let copied = worker.scratch.copier.copy_range(source, target, from..size, holes, &mut pace);
    run.progress.end_of_work(paced);
    let copied = copied.map_err(|error| problem(run, entry, error))?;
    if copied.short {
        return Err(Problem::Changed);
    }
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
        verify(run, entry, source, target, from..size)?;
    }
    target.check_close().map_err(|error| entry.target_fault(Verb::Write, &error))?;
    let lacking = if is_device { None } else { dress(run, entry, source, target)? };
    if run.settings.write.fsync {
        target.sync_all().map_err(|error| entry.target_fault(Verb::Sync, &error))?;
    }
    Ok(Written { copied, lacking })
}

fn open(run: &Run, entry: &Entry) -> Result<File, Problem> {
    let dir = target_dir(entry)?;
    let name = entry.target_name();
    let opened = if entry.existing.is_some() {
        if run.settings.backup.enabled {
            backup::copy(run, entry)?;
        }
        open_existing(run, entry, dir)
    } else {
        entry.node.target.touch();
        dir.create_file(name, 0o600)
    };
    Ok(opened.map_err(|error| entry.target_fault(Verb::Open, &error))?)
}

/// Opens what is there. As in rsync, what its owner may not write is made writable; it gets its mode
/// at the end.
fn open_existing(run: &Run, entry: &Entry, dir: &Dir) -> std::io::Result<File> {
    let name = entry.target_name();
    // What is there is compared first, or read back at the end.
    let reads = run.settings.write.append == Append::Verify || run.settings.write.verify;
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
