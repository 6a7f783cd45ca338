//! What follows when the destination has what an entry holds.

use std::io;

use model::settings::Symlinks;
use model::{Cause, Fault, Metadata, Topic, Verb};

use crate::entries::Entry;
use crate::hard_links::{self, Dressed};
use crate::task::Worker;

/// What follows when the destination has the content: links to it, and the source may go.
pub(crate) fn content_is_safe(worker: &mut Worker<'_>, entry: &Entry) {
    hard_links::leader_is_there(worker, entry, Dressed::Wholly);
    remove_source(worker, entry, &Brought { source: entry.source, copy: entry.existing });
}

/// What was brought over for an entry.
pub(crate) struct Brought {
    /// The source as it was when it was read.
    pub(crate) source: Metadata,
    /// What the destination had under the name, or has now.
    pub(crate) copy: Option<Metadata>,
}

/// Removes a source that is at the destination, where the settings ask for it: never one that is
/// the destination, nor one that was written to since it was read.
pub(crate) fn remove_source(worker: &mut Worker<'_>, entry: &Entry, brought: &Brought) {
    let run = worker.run;
    if !run.settings.write.remove_source_files || run.settings.dry_run {
        return;
    }
    let kept = |why: &str| entry.source_fault(Verb::Remove, Cause::Refused(why.into()));
    let remove = || -> Result<(), Fault> {
        if brought.copy.is_some_and(|copy| copy.is_same_inode(&brought.source)) {
            return Err(kept("source and destination are one file; it was kept"));
        }
        if entry.node.is_behind_link(entry.layer) {
            return Err(kept("it lies behind a symlink; it was kept"));
        }
        if entry.is_followed && run.settings.links.symlinks != Symlinks::Follow {
            return Err(kept("it is a symlink; it was kept"));
        }
        let failed = |error: &io::Error| entry.source_fault(Verb::Remove, error);
        entry.source_dir.doubt(&entry.name);
        let now = run.stat(&entry.source_dir, &entry.name).map_err(|error| failed(&error))?;
        if !entry.is_followed && !is_unchanged(&brought.source, &now) {
            return Err(kept("it changed after it was copied; it was kept"));
        }
        entry.source_dir.remove_file(&entry.name, &now).map_err(|error| failed(&error))
    };
    match remove() {
        Ok(()) => run.say(entry.segment, Topic::Removed, || {
            [b"sender removed ", entry.path().as_bytes()].concat()
        }),
        Err(fault) => run.fault(&mut worker.scratch.totals, fault),
    }
}

/// True when a file was not written to between two looks at it.
fn is_unchanged(before: &Metadata, after: &Metadata) -> bool {
    before.is_same_inode(after)
        && before.size == after.size
        && before.mtime == after.mtime
        && before.kind == after.kind
}
