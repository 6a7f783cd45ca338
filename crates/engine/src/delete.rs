//! Deletion: what only the destination has goes, where the settings ask for it and the source is
//! known to lack it.
//!
//! A directory is emptied only when its own source listing is complete and nothing above it
//! failed (`scan` asks before it calls); any fault at the source so far keeps deletions back.

use std::io;

use filter::Scope;
use fs::{AccessTime, Dir};
use model::settings::OneFileSystem;
use model::{Cause, Kind, Metadata, RelPath, Topic, Verb};

use crate::entries::Entry;
use crate::node::Node;
use crate::order::SegmentId;
use crate::task::Worker;

use doomed::{Doomed, Told, in_order, is_kept_mount};
use later::Name;

/// A directory in which entries are removed.
mod doomed;

/// Deletions that wait for the end of the transfer.
pub(crate) mod later;

/// Why a directory on which another file system is mounted stays in the way.
const IS_MOUNTED: &str =
    "another file system is mounted there; unmount it, or use --delete-across-mounts";

/// What is said under `-x` of what stays because of a mount.
const NOT_EMPTIED: &[u8] = b"not emptied, another file system is mounted there: ";

/// Removes what only the destination directory of a node has, except what the rules protect.
pub(crate) fn extraneous(
    worker: &mut Worker<'_>,
    node: &Node,
    names: &[Name],
    (segment, rules): (SegmentId, &Scope),
) {
    if names.is_empty() {
        return;
    }
    if !worker.run.may_delete() {
        worker.scratch.totals.deletions_suppressed += names.len() as u64;
        worker.run.tell_deletions_suppressed(segment);
        return;
    }
    let dir = match node.target_dir() {
        Ok(Some(dir)) => dir,
        Ok(None) => return,
        Err(error) => {
            let fault = node.target_fault(Verb::OpenDirectory, b".", &error);
            return worker.run.fault(&mut worker.scratch.totals, fault);
        }
    };
    let doomed = Doomed::new(node, &dir, node.path.as_bytes(), segment).under(rules);
    let mut doomed_names = in_order(&dir, names.len(), |index| (&*names[index].0, names[index].1));
    // What a rule or a mount keeps is said before anything goes, as rsync says it.
    doomed_names.retain(|(index, kind)| !doomed.is_protected(worker, &names[*index].0, *kind));
    if doomed_names.is_empty() || is_kept_mount_content(worker, node, &dir) {
        return;
    }
    remove_all(worker, node, doomed, (names, doomed_names));
}

fn remove_all(
    worker: &mut Worker<'_>,
    node: &Node,
    mut doomed: Doomed<'_>,
    (names, order): (&[(Box<[u8]>, Option<Kind>)], Vec<(usize, Kind)>),
) {
    for (index, kind) in order {
        if worker.is_cancelled() {
            break;
        }
        if doomed.remove(worker, &names[index].0, kind, Told::AsDeleted) {
            node.touch();
        }
    }
}

/// True when what is extraneous stays, because the directory lies on a file system that is mounted
/// inside the destination, which has been told.
///
/// A directory that the user named may be a mount point: it is where deletion stays.
fn is_kept_mount_content(worker: &mut Worker<'_>, node: &Node, dir: &Dir) -> bool {
    let settings = &worker.run.settings;
    let Some(ground) = node.ground() else { return false };
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
    let Some(dir) = entry.target_dir.clone() else { return true };
    remove_obstacle(worker, &entry.node, &dir, entry.target_name(), existing, entry.segment)
}

/// Removes an entry of a destination directory that is in the way of another kind.
pub(crate) fn remove_obstacle(
    worker: &mut Worker<'_>,
    node: &Node,
    dir: &Dir,
    name: &[u8],
    existing: &Metadata,
    segment: SegmentId,
) -> bool {
    let settings = &worker.run.settings;
    let deletes = settings.delete.when != model::settings::DeleteWhen::Never;
    let must_be_empty = existing.kind == Kind::Directory && !(deletes || settings.delete.force);
    node.touch();
    if must_be_empty {
        // An empty directory gives way without being asked (rsync(1), --force).
        let removed = if settings.dry_run { is_empty(dir, name) } else { dir.remove_dir(name) };
        return match removed {
            Ok(()) => true,
            Err(error) => {
                let why = "a directory that is not empty is in the way; use --delete or --force";
                let cause = match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty => Cause::Refused(why.into()),
                    _ => Cause::from(&error),
                };
                obstacle_stays(worker, node, name, existing, segment, cause)
            }
        };
    }
    if existing.kind == Kind::Directory && is_kept_mount(worker, dir, name) {
        let cause = Cause::Refused(IS_MOUNTED.into());
        return obstacle_stays(worker, node, name, existing, segment, cause);
    }
    let mut doomed = Doomed::new(node, dir, node.path.as_bytes(), segment);
    if doomed.remove(worker, name, existing.kind, Told::Silently) {
        return true;
    }
    let why = "what is in the way could not be removed";
    obstacle_stays(worker, node, name, existing, segment, Cause::Refused(why.into()))
}

/// Fails as removing a directory would fail that is not empty.
fn is_empty(dir: &Dir, name: &[u8]) -> io::Result<()> {
    let listing = dir.open_child(name, AccessTime::Update)?.list()?;
    if listing.is_empty() { Ok(()) } else { Err(io::ErrorKind::DirectoryNotEmpty.into()) }
}

fn obstacle_stays(
    worker: &mut Worker<'_>,
    node: &Node,
    name: &[u8],
    existing: &Metadata,
    segment: SegmentId,
    cause: Cause,
) -> bool {
    let fault = node.target_fault(Verb::Replace, name, cause);
    crate::telling::failed(worker, node, name, *existing, segment, fault);
    false
}

/// Removes the destination entry of a source argument that does not exist
/// (`--delete-missing-args`).
pub(crate) fn missing_argument(worker: &mut Worker<'_>, node: &Node, path: &[u8]) {
    let Ok(Some(mut dir)) = node.target_dir() else { return };
    let mut components: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let Some(name) = components.pop() else { return };
    for component in components {
        match dir.open_child(component, AccessTime::Update) {
            Ok(below) => dir = below,
            Err(_) => return,
        }
    }
    let Ok(existing) = dir.stat(name) else { return };
    let parent = path.strip_suffix(name).map_or(&b""[..], |parent| parent.trim_ascii_end());
    let parent = parent.strip_suffix(b"/").unwrap_or(parent);
    let parent = if parent.is_empty() { b"." } else { parent };
    if existing.kind == Kind::Directory && is_kept_mount(worker, &dir, name) {
        let path = RelPath::new(path).unwrap_or_else(RelPath::root);
        let cause = Cause::Refused(IS_MOUNTED.into());
        let fault = worker.run.destination_fault(Verb::Remove, &path, cause);
        return worker.run.fault(&mut worker.scratch.totals, fault);
    }
    let settings = &worker.run.settings;
    let deletes = settings.delete.when != model::settings::DeleteWhen::Never;
    if existing.kind == Kind::Directory
        && !(deletes || settings.delete.force)
        && is_filled(&dir, name)
    {
        let text = || [b"cannot delete non-empty directory: ", path].concat();
        return worker.run.say(node.segment, Topic::Notice, text);
    }
    let mut doomed = Doomed::new(node, &dir, parent, node.segment);
    doomed.remove(worker, name, existing.kind, Told::AsDeleted);
}

/// True unless a directory is known to be empty.
fn is_filled(dir: &Dir, name: &[u8]) -> bool {
    let listing = dir.open_child(name, AccessTime::Update).and_then(|dir| dir.list());
    !listing.is_ok_and(|listing| listing.is_empty())
}
