//! Deletion: what only the destination has goes, where the settings ask for it and the source is
//! known to lack it.
//!
//! A directory is emptied only when its own source listing is complete and nothing above it
//! failed (`scan` asks before it calls); any fault at the source so far keeps deletions back.

use std::io;

use filter::Scope;
use fs::{AccessTime, Dir};
use model::settings::{DeleteWhen, OneFileSystem};
use model::{Cause, Kind, Metadata, Topic, Verb};

use crate::entries::Entry;
use crate::node::Node;
use crate::order::SegmentId;
use crate::run::Run;
use crate::task::Worker;
use crate::telling::Subject;

use doomed::{Doomed, Left, Told, in_order, is_kept_mount};
use later::Name;

/// A directory in which entries are removed.
mod doomed;

/// Deletions that wait for the end of the transfer.
pub(crate) mod later;

/// Destination entries of source arguments that do not exist (`--delete-missing-args`).
pub(crate) mod missing;

/// What may be deleted, and how much.
pub(crate) mod permission;

/// Why a directory on which another file system is mounted stays in the way.
const IS_MOUNTED: &str =
    "another file system is mounted there; unmount it, or use --delete-across-mounts";

/// Why a directory stays that was not to be emptied.
const NOT_EMPTY: &str = "it is a directory that is not empty; use --delete or --force";

/// What is said under `-x` of what stays because of a mount.
const NOT_EMPTIED: &[u8] = b"not emptied, another file system is mounted there: ";

/// Removes what only the destination directory of a node has, except what the rules protect.
pub(crate) fn extraneous(
    worker: &mut Worker<'_>,
    node: &Node,
    names: &[Name],
    segment: SegmentId,
    rules: &Scope,
) {
    if names.is_empty() {
        return;
    }
    if !worker.run.deletion.is_permitted() {
        return keep_back(worker, names.len(), segment);
    }
    let dir = match node.target_dir() {
        Ok(Some(dir)) => dir,
        Ok(None) => return,
        Err(error) => {
            let fault = node.target_fault(Verb::OpenDirectory, b".", &error);
            return worker.run.fault(&mut worker.scratch.totals, fault);
        }
    };
    let mut doomed = Doomed::new(node, &dir, node.path.as_bytes(), segment).under(rules);
    let mut left = in_order(&dir, names.len(), |at| &names[at].name, |at| names[at].kind);
    // What a rule or a mount keeps is said before anything goes, as rsync says it.
    left.retain(|Left { at, kind }| !doomed.is_protected(worker, &names[*at].name, *kind));
    if left.is_empty() || is_kept_mount_content(worker, node, &dir) {
        return;
    }
    let mut left = left.into_iter();
    while let Some(Left { at, kind }) = left.next() {
        if worker.is_cancelled() {
            break;
        }
        if !worker.run.deletion.is_permitted() {
            // The source has failed elsewhere since the first of them went.
            return keep_back(worker, 1 + left.len(), segment);
        }
        if doomed.remove(worker, &names[at].name, kind, Told::AsDeleted) {
            node.target.touch();
        }
    }
}

/// Counts deletions that a fault at the source keeps back, and says so once in a run.
fn keep_back(worker: &mut Worker<'_>, deletions: usize, segment: SegmentId) {
    worker.scratch.totals.deletions_suppressed += deletions as u64;
    if worker.run.deletion.is_first_kept_back() {
        let text = b"IO error encountered -- skipping file deletion";
        worker.run.say(segment, Topic::Notice, || text.to_vec());
    }
}

/// True when what is extraneous stays, because the directory lies on a file system that is mounted
/// inside the destination, which has been told.
///
/// A directory that the user named may be a mount point: it is where deletion stays.
fn is_kept_mount_content(worker: &mut Worker<'_>, node: &Node, dir: &Dir) -> bool {
    let settings = &worker.run.settings;
    let Some(ground) = node.target.ground() else { return false };
    let stays = settings.traverse.one_file_system != OneFileSystem::Cross;
    let may_cross = settings.delete.across_mounts;
    let is_kept = || -> io::Result<bool> {
        Ok(stays && ground.is_other_device(dir)? || !may_cross && ground.is_other_mount(dir)?)
    };
    let cause = match is_kept() {
        Ok(false) => return false,
        Ok(true) if stays => {
            let text = || [NOT_EMPTIED, node.path.as_bytes()].concat();
            worker.run.say(node.segment, Topic::Warning, text);
            return true;
        }
        Ok(true) => Cause::Refused(IS_MOUNTED.into()),
        Err(error) => Cause::from(&error),
    };
    let fault = node.target_fault(Verb::RemoveExtraneous, b".", cause);
    worker.run.fault(&mut worker.scratch.totals, fault);
    true
}

/// Removes what stands where an entry of another kind shall be; false when it must stay, which
/// has been told.
pub(crate) fn obstacle(worker: &mut Worker<'_>, entry: &Entry, existing: &Metadata) -> bool {
    let Some(dir) = &entry.target_dir else { return true };
    let (name, segment) = (entry.target_name(), entry.segment);
    remove_obstacle(worker, dir, Subject { node: &entry.node, name, metadata: *existing, segment })
}

/// Removes a directory that has the name of an entry, which can take the place of anything else in
/// one step; false when it must stay, which has been told.
pub(crate) fn directory_gives_way(worker: &mut Worker<'_>, entry: &mut Entry) -> bool {
    let is_directory = |existing: &Metadata| existing.kind == Kind::Directory;
    let Some(directory) = entry.existing.filter(is_directory) else { return true };
    let is_cleared = obstacle(worker, entry, &directory);
    if is_cleared {
        entry.existing = None;
    }
    is_cleared
}

/// Removes an entry of a destination directory that is in the way of another kind.
pub(crate) fn remove_obstacle(worker: &mut Worker<'_>, dir: &Dir, obstacle: Subject<'_>) -> bool {
    let Subject { node, name, metadata: existing, segment } = obstacle;
    node.target.touch();
    if existing.kind == Kind::Directory && !may_empty_directories(worker) {
        // An empty directory gives way without being asked (rsync(1), --force).
        let cause = match remove_if_empty(worker, dir, name) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                say_not_empty(worker.run, segment, node.path.child(name).as_bytes());
                Cause::Refused(NOT_EMPTY.into())
            }
            Err(error) => Cause::from(&error),
        };
        return obstacle_stays(worker, obstacle, cause);
    }
    if existing.kind == Kind::Directory {
        let cause = match is_kept_mount(worker, dir, name) {
            Ok(false) => None,
            Ok(true) => Some(Cause::Refused(IS_MOUNTED.into())),
            Err(error) => Some(Cause::from(&error)),
        };
        if let Some(cause) = cause {
            return obstacle_stays(worker, obstacle, cause);
        }
    }
    let mut doomed = Doomed::new(node, dir, node.path.as_bytes(), segment);
    if doomed.remove(worker, name, existing.kind, Told::Silently) {
        return true;
    }
    let why = "what is in the way could not be removed";
    obstacle_stays(worker, obstacle, Cause::Refused(why.into()))
}

/// Tells of an obstacle that stays; always false.
fn obstacle_stays(worker: &mut Worker<'_>, obstacle: Subject<'_>, cause: Cause) -> bool {
    let fault = obstacle.node.target_fault(Verb::Replace, obstacle.name, cause);
    obstacle.fail(worker, fault);
    false
}

/// True when a directory may be removed with what is in it (rsync(1), `--force`).
fn may_empty_directories(worker: &Worker<'_>) -> bool {
    let delete = &worker.run.settings.delete;
    delete.force || delete.when != DeleteWhen::Never
}

/// Removes a directory if nothing is in it; a dry run looks whether that could be done.
fn remove_if_empty(worker: &Worker<'_>, dir: &Dir, name: &[u8]) -> io::Result<()> {
    if !worker.run.settings.dry_run {
        return dir.remove_dir(name);
    }
    if dir.is_mount_root(name)? {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let is_empty = dir.open_child(name, AccessTime::Keep)?.list()?.is_empty();
    if is_empty { Ok(()) } else { Err(io::ErrorKind::DirectoryNotEmpty.into()) }
}

/// Says which directory stays since something is in it, as rsync does.
fn say_not_empty(run: &Run, segment: SegmentId, path: &[u8]) {
    let text = b"cannot delete non-empty directory: ";
    run.say(segment, Topic::Notice, || [&text[..], path].concat());
}
