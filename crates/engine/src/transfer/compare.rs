//! Content compared byte by byte: on one machine there is no need for checksums.

use std::io;
use std::ops::Range;

use fs::File;
use model::Verdict;

use crate::entries::{self, Entry};
use crate::run::Scratch;
use crate::task::{Cost, Worker};
use crate::transfer::{RANGED_FROM_BYTES, big};

/// Bytes that are compared at once: both buffers fit a second-level cache.
const PIECE_BYTES: usize = 128 << 10;

/// Compares the content of both sides, then goes on as the result asks.
pub(crate) fn begin(worker: &mut Worker<'_>, entry: Entry) -> Cost {
    let (source, target) = match open_both(worker, &entry) {
        Ok(both) => both,
        // What cannot be read at the destination cannot be known to be equal: it is replaced.
        Err(fault) if fault.side == model::Side::Destination => {
            return entries::begin(worker, entry, None);
        }
        Err(fault) => {
            worker.run.note_source(&fault);
            entry.fail(worker, fault);
            return Cost::Compare;
        }
    };
    let size = entry.source.size;
    if size >= RANGED_FROM_BYTES {
        big::begin_compare(worker, entry, source, target);
        return Cost::Compare;
    }
    let same = same_range(worker.scratch, &source, &target, 0..size);
    conclude(worker, entry, same);
    Cost::Compare
}

/// Goes on with an entry whose content was compared.
pub(crate) fn conclude(worker: &mut Worker<'_>, entry: Entry, same: io::Result<bool>) {
    match same {
        Ok(true) => drop(entries::keep_content(worker, &entry)),
        Ok(false) => drop(entries::begin(worker, entry, None)),
        Err(error) if worker.is_cancelled() => {
            drop(error);
            worker.scratch.totals.verdicts.add(Verdict::Failed);
        }
        Err(error) => {
            let fault = entry.source_fault("compare", &error);
            worker.run.note_source(&fault);
            entry.fail(worker, fault);
        }
    }
}

fn open_both(worker: &Worker<'_>, entry: &Entry) -> Result<(File, File), model::Fault> {
    let access_time = worker.run.access_time();
    let source = if entry.is_followed {
        entry.source_dir.open_file_following(&entry.name, access_time)
    } else {
        entry.source_dir.open_file(&entry.name, access_time)
    };
    let source = source.map_err(|error| entry.source_fault("open", &error))?;
    let target = match &entry.target_dir {
        Some(dir) => dir.open_file(entry.target_name(), fs::AccessTime::Keep),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    let target = target.map_err(|error| entry.target_fault("open", &error))?;
    Ok((source, target))
}

/// True when both files hold the same bytes in a range.
pub(crate) fn same_range(
    scratch: &mut Scratch,
    left: &File,
    right: &File,
    range: Range<u64>,
) -> io::Result<bool> {
    scratch.buffer.resize(PIECE_BYTES, 0);
    scratch.other_buffer.resize(PIECE_BYTES, 0);
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).map_or(PIECE_BYTES, |len| len.min(PIECE_BYTES));
        let left_len = left.read_at(&mut scratch.buffer[..len], at)?;
        let right_len = right.read_at(&mut scratch.other_buffer[..len], at)?;
        if left_len != len
            || right_len != len
            || scratch.buffer[..len] != scratch.other_buffer[..len]
        {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}
