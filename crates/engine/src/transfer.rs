//! Transfer: the effects on entries that are not directories.
//!
//! Each submodule does one kind of thing to one entry; what to do was decided before in
//! `entries`. A name in the destination is the old file or the new one, whole: only `in_place`
//! breaks that, since it was asked to.

/// A regular file, written whole.
pub(crate) mod whole;

/// A regular file written over its old content.
pub(crate) mod in_place;

/// A big file, in ranges that many workers copy or compare at once.
pub(crate) mod big;

/// Content compared byte by byte.
pub(crate) mod compare;

/// A symbolic link.
pub(crate) mod symlink;

/// A device, pipe or socket.
pub(crate) mod special;

/// What becomes of a file that was not completed, and of files put into place at the end.
pub(crate) mod partial;

use crate::task::{Task, Worker};
use whole::FileJob;

/// Files from this size on are tasks of their own: 1 MiB takes about as long as listing a
/// directory.
pub(crate) const LONG_FROM_BYTES: u64 = 1 << 20;

/// Files from this size on are copied in ranges by several workers.
pub(crate) const RANGED_FROM_BYTES: u64 = 32 << 20;

/// Hands a long file to the queue for long work.
pub(crate) fn begin_long(worker: &Worker<'_>, mut job: FileJob) {
    let node = &job.entry.node;
    node.hold();
    job.entry.segment = node.run.log.open(job.entry.segment);
    // A descriptor that waits in a queue is one that others cannot have.
    job.opened = None;
    worker.spawn_long(Task::Copy(Box::new(job)));
}
