//! Content compared byte by byte: on one machine there is no need for checksums. What lies on another
//! is compared by them.

use std::io;
use std::ops::Range;

use fs::copy::CopyError;
use fs::{Content, File};
use model::settings::Checksum;
use model::{Cause, Fault, Side, Verb};

use crate::checksum;
use crate::endpoint::SourceFile;
use crate::entries::{self, Entry};
use crate::run::Run;
use crate::task::{Cost, Worker};
use crate::transfer::whole::{Problem, leave_alone, problem, stopped};
use crate::transfer::{RANGED_FROM_BYTES, big};

/// Why it is not known whether both sides hold the same.
#[derive(Debug)]
pub(crate) enum Unsure {
    /// The source cannot be read.
    Source(io::Error),
    /// The destination cannot be read.
    Destination(io::Error),
    /// The run is being stopped.
    Stopped,
}

impl Unsure {
    /// What it means for an entry.
    pub(crate) fn problem(&self, entry: &Entry) -> Problem {
        match self {
            Self::Source(error) => entry.source_fault(Verb::Read, error).into(),
            Self::Destination(error) => entry.target_fault(Verb::Read, error).into(),
            Self::Stopped => Problem::Stopped,
        }
    }
}

/// Compares the content of both sides, then goes on as the result asks.
pub(crate) fn begin(worker: &mut Worker<'_>, entry: Entry) -> Cost {
    let (source, target) = match open_both(worker, &entry) {
        Ok(both) => both,
        // What cannot be read at the destination cannot be known to be equal: it is replaced.
        Err(fault) if fault.side == Side::Destination => {
            return entries::begin(worker, entry, None);
        }
        Err(fault) => {
            entry.fail(worker, fault);
            return Cost::Compare;
        }
    };
    let size = entry.source.size;
    if size >= RANGED_FROM_BYTES {
        big::begin_compare(worker, entry, source, target);
        return Cost::Compare;
    }
    let same = same_range(worker, &source, &target, 0..size);
    conclude(worker, entry, same);
    Cost::Compare
}

fn conclude(worker: &mut Worker<'_>, entry: Entry, same: Result<bool, Unsure>) {
    match same {
        Ok(same) => go_on(worker, entry, same),
        Err(Unsure::Destination(error)) => {
            // It cannot be known to be equal: it is replaced, and its disk is told of.
            let fault = entry.target_fault(Verb::Read, &error);
            worker.run.fault(&mut worker.scratch.totals, fault);
            go_on(worker, entry, false);
        }
        Err(unsure) => give_up(worker, &entry, unsure.problem(&entry)),
    }
}

/// Goes on with an entry whose content was compared.
pub(crate) fn go_on(worker: &mut Worker<'_>, entry: Entry, same: bool) {
    if same {
        entries::keep_content(worker, &entry);
    } else {
        entries::begin(worker, entry, None);
    }
}

/// Leaves an entry as it is whose content could not be compared.
pub(crate) fn give_up(worker: &mut Worker<'_>, entry: &Entry, problem: Problem) {
    match problem {
        Problem::Fault(fault) => {
            entry.fail(worker, fault);
        }
        Problem::LeftAlone(why) => leave_alone(worker, entry, why),
        Problem::Stopped | Problem::Changed => stopped(worker, entry),
    }
}

fn open_both(worker: &Worker<'_>, entry: &Entry) -> Result<(SourceFile, File), Fault> {
    let source = entry
        .open_source_to_sum(worker.run)
        .map_err(|error| entry.source_fault(Verb::Open, &error))?;
    let target = match &entry.target_dir {
        Some(dir) => dir.open_file(entry.target_name(), fs::AccessTime::Keep),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let target = target.map_err(|error| entry.target_fault(Verb::Open, &error))?;
    Ok((source, target))
}

/// True when both files hold the same bytes in a range.
pub(crate) fn same_range(
    worker: &mut Worker<'_>,
    source: &SourceFile,
    target: &File,
    range: Range<u64>,
) -> Result<bool, Unsure> {
    if source.local().is_none() {
        return same_sums(worker.run, source, target, range);
    }
    let (left, right) = worker.scratch.copier.halves();
    let mut at = range.start;
    while at < range.end {
        worker.run.ending.go_on().map_err(|_| Unsure::Stopped)?;
        let len = usize::try_from(range.end - at).map_or(left.len(), |len| len.min(left.len()));
        let left_len = source.read_at(&mut left[..len], at).map_err(Unsure::Source)?;
        let right_len = target.read_at(&mut right[..len], at).map_err(Unsure::Destination)?;
        if left_len != len || right_len != len || left[..len] != right[..len] {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

/// The same of content on another host, which is made into a checksum there: 256 bits decide as well
/// as the bytes do.
fn same_sums(
    run: &Run,
    source: &SourceFile,
    target: &File,
    range: Range<u64>,
) -> Result<bool, Unsure> {
    let go_on = || run.ending.go_on();
    let stopped_or = |unsure: fn(io::Error) -> Unsure| {
        move |error: io::Error| match error {
            error if run.ending.explains(&error) => Unsure::Stopped,
            error => unsure(error),
        }
    };
    let there = source.checksum(Checksum::Blake3, range.clone(), go_on);
    let there = there.map_err(stopped_or(Unsure::Source))?;
    let here = checksum::of_range(Checksum::Blake3, target, range, go_on);
    Ok(there == here.map_err(stopped_or(Unsure::Destination))?)
}

/// Reads a range of both files again and compares their checksums of this kind.
pub(crate) fn verify(
    run: &Run,
    entry: &Entry,
    source: &SourceFile,
    target: &File,
    (algorithm, range): (Checksum, Range<u64>),
) -> Result<(), Problem> {
    let go_on = || run.ending.go_on();
    let expected = source
        .checksum(algorithm, range.clone(), go_on)
        .map_err(|error| problem(run, entry, CopyError::Source(error)))?;
    let got = checksum::of_range(algorithm, target, range, go_on).map_err(|error| match error {
        error if run.ending.explains(&error) => Problem::Stopped,
        error => entry.target_fault(Verb::ReadBack, &error).into(),
    })?;
    if expected == got {
        return Ok(());
    }
    Err(entry.target_fault(Verb::Verify, Cause::VerificationFailed).into())
}
