//! Transfer: the effects on entries that are not directories.
//!
//! Each submodule does one kind of thing to one entry; what to do was decided before in
//! `entries`. A name in the destination is the old file or the new one, whole: only `in_place`
//! and, with `--partial`, `partial` break that, since they were asked to.

/// A regular file, written whole.
pub(crate) mod whole;

/// A regular file written over its old content.
pub(crate) mod in_place;

/// An end that is a block device.
pub(crate) mod device;

/// Which files are being written in place.
pub(crate) mod in_work;

/// A big file, in ranges that many workers copy or compare at once.
pub(crate) mod big;

/// Content compared byte by byte.
pub(crate) mod compare;

/// A symbolic link.
pub(crate) mod symlink;

/// A device, pipe or socket.
pub(crate) mod special;

/// What has no content of its own and is made under its name.
mod made;

/// The source of a file, opened.
mod opening;

/// The old file that a new one is made of.
mod old_file;

/// A file made of an old one, and of what the source has and that does not.
mod patching;

/// A small file made of an old one by one exchange.
mod renewal;

/// A file that is called like a new one.
pub(crate) mod similar;

/// What is left to do of a big file that is made of an old one.
mod steps;

/// What becomes of a file that was not completed, and of files put into place at the end.
pub(crate) mod partial;

/// What follows when the destination has what an entry holds.
pub(crate) mod brought;

/// Which ranges of a big file are left to take.
mod ranges;

use model::ItemFlags;

pub(crate) use self::ranges::RANGE_BYTES;

use crate::finalize;
use crate::parked::Parked;
use crate::task::{Task, Worker};
use whole::FileJob;

/// Files from this size on are tasks of their own: 1 MiB takes about as long as listing a
/// directory.
pub(crate) const LONG_FROM_BYTES: u64 = 1 << 20;

/// Files from this size on are copied in ranges by several workers.
pub(crate) const RANGED_FROM_BYTES: u64 = 32 << 20;

/// Long files that wait at most, some hundred bytes each: so many that those behind them in the tree
/// are begun before its end, so few that memory does not grow with the tree.
const WAITING_LONG_MAX: usize = 1024;

/// A long file that waits to be begun.
pub(crate) struct LongFile {
    pub(crate) parked: Parked,
    flags: ItemFlags,
}

/// Hands a long file to the queue for long work, or does it at once where enough of it waits.
pub(crate) fn begin_long(worker: &mut Worker<'_>, mut job: FileJob) {
    let node = &job.entry.node;
    node.hold();
    job.entry.segment = node.run.log.open(job.entry.segment);
    if worker.waiting_long() >= WAITING_LONG_MAX {
        return whole::run(worker, job);
    }
    // A descriptor that waits in a queue is one that others cannot have.
    let file = LongFile { parked: Parked::new(job.entry), flags: job.flags };
    worker.spawn_long(Task::Copy(Box::new(file)));
}

/// Brings a long file over.
pub(crate) fn run_long(worker: &mut Worker<'_>, file: LongFile) {
    let LongFile { parked, flags } = file;
    match parked.resume(worker) {
        Ok(entry) => {
            whole::run(worker, FileJob::new(entry, flags, None));
        }
        Err(node) => finalize::settle(worker, node),
    }
}
