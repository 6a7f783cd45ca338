//! Opens the source of a file that is to be written.

use std::io;

use model::{Cause, Fault, Kind, Metadata, Summary, Verb};

use crate::endpoint::{SignedWhole, SourceFile, is_damaged};
use crate::entries::Entry;
use crate::run::Run;
use crate::transfer::whole::{FileJob, Problem};

/// What is wanted of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UseOfSource<'a> {
    /// All of its content.
    Read,
    /// What an old file does not have.
    Patch,
    /// The same, of an old file that all is told of at once.
    Renew(&'a SignedWhole),
}

/// Its content came twice, and was both times not what was read at the source.
pub(crate) fn came_damaged(entry: &Entry) -> Fault {
    entry.target_fault(Verb::Verify, Cause::VerificationFailed)
}

/// Opens the source and makes sure that it is what was listed.
pub(crate) fn open_source(
    run: &Run,
    totals: &mut Summary,
    job: &mut FileJob,
    use_of: UseOfSource<'_>,
) -> Result<SourceFile, Problem> {
    let entry = &mut job.entry;
    if let Some(content) = &entry.content {
        match content.dir.open_file(entry.target_name(), fs::AccessTime::Keep) {
            Ok(file) => return Ok(file.into()),
            // The source has the same content; that the basis cannot be read is told.
            Err(error) => {
                let fault = entry.target_fault(Verb::OpenBasis, &error);
                run.fault(totals, fault);
                entry.content = None;
            }
        }
    }
    let file = match (job.opened.take(), use_of) {
        (Some(file), _) => return Ok(file),
        (None, UseOfSource::Read) => entry.open_source(run),
        (None, UseOfSource::Patch) => entry.open_source_to_patch(run),
        (None, UseOfSource::Renew(old)) => entry.open_source_to_renew(run, old),
    };
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => entry.source_fault(Verb::Open, Cause::Vanished),
        _ if is_damaged(&error) => came_damaged(entry),
        _ => entry.source_fault(Verb::Open, &error),
    })?;
    let now = file.metadata().map_err(|error| entry.source_fault(Verb::LookAt, &error))?;
    if now.kind.is_device() && run.settings.write.copy_devices {
        entry.source.size =
            file.device_size().map_err(|error| entry.source_fault(Verb::Measure, &error))?;
        return Ok(file);
    }
    if now.kind != Kind::File {
        return Err(entry.source_fault(Verb::Read, Cause::ChangedDuringCopy).into());
    }
    // As in rsync, which asks by name: what is behind a link is what it is.
    let pretended = if entry.is_followed { Ok(now) } else { run.as_pretended_file(&file, now) };
    let pretended = pretended.map_err(|error| entry.source_fault(Verb::LookAt, &error))?;
    entry.source = Metadata { nlink: entry.source.nlink, ..pretended };
    Ok(file)
}
