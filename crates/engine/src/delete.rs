//! Deletion: what only the destination has goes, where the settings ask for it and the source is
//! known to lack it.
//!
//! A directory is emptied only when its own source listing is complete and nothing above it
//! failed (`scan` asks before it calls); any fault at the source so far keeps deletions back.

use std::io;
use std::sync::atomic::Ordering;

use filter::Perishable;
use fs::{AccessTime, Dir};
use model::{Cause, Event, Item, ItemFlags, Kind, MessageClass, Metadata, Verdict};

use crate::backup;
use crate::entries::{Entry, unknown_metadata};
use crate::node::Node;
use crate::order::{SegmentId, compare_names};
use crate::scan::{node_kind, path_of, tell_filtered};
use crate::task::Worker;

/// Removes what only the destination directory of a node has.
pub(crate) fn extraneous(
    worker: &mut Worker<'_>,
    node: &Node,
    names: &[(Box<[u8]>, Option<Kind>)],
) {
    if names.is_empty() {
        return;
    }
    if !worker.run.may_delete() {
        worker.scratch.totals.deletions_suppressed += names.len() as u64;
        worker.run.tell_deletions_suppressed(node.segment);
        return;
    }
    let dir = match node.target_dir() {
        Ok(Some(dir)) => dir,
        Ok(None) => return,
        Err(error) => {
            let fault = node.target_fault("open directory", b".", &error);
            return worker.run.fault(&mut worker.scratch.totals, fault);
        }
    };
    let mut doomed = Doomed::new(node, &dir, node.path.as_bytes(), Perishable::Honoured);
    let names = with_kinds(&dir, names.iter().map(|(name, kind)| (&**name, *kind)));
    if doomed.remove_all(worker, &node.receiver_scope, &names) != Emptied::NotTouched {
        node.touch();
    }
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
    if settings.dry_run {
        return true;
    }
    node.touch();
    let deletes = settings.delete.when != model::settings::DeleteWhen::Never;
    if existing.kind == Kind::Directory && !(deletes || settings.delete.force) {
        // An empty directory gives way without being asked (rsync(1), --force).
        return match dir.remove_dir(name) {
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
    let mut doomed = Doomed::new(node, dir, node.path.as_bytes(), Perishable::Honoured);
    doomed.segment = segment;
    if doomed.remove(worker, &node.receiver_scope, name, existing.kind, Told::Silently) {
        return true;
    }
    let why = "what is in the way could not be removed";
    obstacle_stays(worker, node, name, existing, segment, Cause::Refused(why.into()))
}

fn obstacle_stays(
    worker: &mut Worker<'_>,
    node: &Node,
    name: &[u8],
    existing: &Metadata,
    segment: SegmentId,
    cause: Cause,
) -> bool {
    let fault = node.target_fault("replace", name, cause);
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
    let mut doomed = Doomed::new(node, &dir, parent, Perishable::Honoured);
    doomed.remove(worker, &node.receiver_scope, name, existing.kind, Told::AsDeleted);
}

/// What became of a directory's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emptied {
    NotTouched,
    Partly,
    Wholly,
}

/// Whether a removal is told as a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    AsDeleted,
    Silently,
}

/// A directory in which entries are removed.
struct Doomed<'a> {
    node: &'a Node,
    dir: &'a Dir,
    /// Its path below the transfer root.
    path: Vec<u8>,
    perishable: Perishable,
    segment: SegmentId,
}

fn with_kinds<'a>(
    dir: &Dir,
    names: impl Iterator<Item = (&'a [u8], Option<Kind>)>,
) -> Vec<(&'a [u8], Kind)> {
    let known = |(name, kind): (&'a [u8], Option<Kind>)| {
        let kind = kind.or_else(|| dir.stat(name).ok().map(|metadata| metadata.kind));
        (name, kind.unwrap_or(Kind::File))
    };
    let mut names: Vec<_> = names.map(known).collect();
    // rsync goes through its sorted list from the end.
    names.sort_by(|(left, left_kind), (right, right_kind)| {
        let directory = Kind::Directory;
        compare_names((right, *right_kind == directory), (left, *left_kind == directory))
    });
    names
}

impl<'a> Doomed<'a> {
    fn new(node: &'a Node, dir: &'a Dir, path: &[u8], perishable: Perishable) -> Self {
        Self { node, dir, path: path.to_vec(), perishable, segment: node.segment }
    }

    fn remove_all(
        &mut self,
        worker: &mut Worker<'_>,
        scope: &filter::Scope,
        names: &[(&[u8], Kind)],
    ) -> Emptied {
        let mut removed = 0;
        for (name, kind) in names {
            if worker.is_cancelled() {
                break;
            }
            if !self.is_protected(worker, scope, name, *kind)
                && self.remove(worker, scope, name, *kind, Told::AsDeleted)
            {
                removed += 1;
            }
        }
        match removed {
            0 if names.is_empty() => Emptied::Wholly,
            0 => Emptied::NotTouched,
            _ if removed == names.len() => Emptied::Wholly,
            _ => Emptied::Partly,
        }
    }

    /// True when a rule or a mount keeps an entry.
    fn is_protected(
        &self,
        worker: &mut Worker<'_>,
        scope: &filter::Scope,
        name: &[u8],
        kind: Kind,
    ) -> bool {
        let mut path = Vec::new();
        self.child_path(name, &mut path);
        let verdict =
            scope.check(&path, node_kind(Some(kind)), filter::Side::Receiver, self.perishable);
        if let filter::Verdict::Excluded(rule) = verdict {
            if worker.run.wants(Verdict::Excluded, false) {
                let rule = scope.describe(rule);
                let doing = (&b"[generator] protecting "[..], &path[..]);
                tell_filtered(worker.run, self.segment, doing, Some(kind), &rule);
            }
            return true;
        }
        let mounted = kind == Kind::Directory
            && !worker.run.settings.delete.across_mounts
            && self.dir.is_mount_root(name).unwrap_or(false);
        if mounted {
            worker.run.say(
                self.segment,
                MessageClass::Warning,
                &[b"not emptied, another file system is mounted there: ", &path],
            );
        }
        mounted
    }

    fn child_path(&self, name: &[u8], path: &mut Vec<u8>) {
        if self.path == self.node.path.as_bytes() {
            return path_of(self.node, name, path);
        }
        path.clear();
        path.extend_from_slice(&self.path);
        path.push(b'/');
        path.extend_from_slice(name);
    }

    /// Removes an entry and all below it; false when it, or something below it, stays.
    fn remove(
        &mut self,
        worker: &mut Worker<'_>,
        scope: &filter::Scope,
        name: &[u8],
        kind: Kind,
        told: Told,
    ) -> bool {
        if kind == Kind::Directory && !self.empty(worker, scope, name) {
            return false;
        }
        if !self.may_remove(worker) {
            return false;
        }
        let mut path = Vec::new();
        self.child_path(name, &mut path);
        if !worker.run.settings.dry_run
            && let Err(error) = self.unlink(worker, name, kind, &path)
        {
            if error.kind() == io::ErrorKind::NotFound {
                return true;
            }
            if error.kind() == io::ErrorKind::DirectoryNotEmpty {
                worker.run.say(
                    self.segment,
                    MessageClass::Notice,
                    &[b"cannot delete non-empty directory: ", &path],
                );
                return false;
            }
            let path = model::RelPath::new(&path).unwrap_or_else(model::RelPath::root);
            let fault = worker.run.destination_fault("remove", &path, &error);
            worker.run.fault(&mut worker.scratch.totals, fault);
            return false;
        }
        if told == Told::AsDeleted {
            self.tell(worker, &path, kind);
        }
        true
    }

    fn unlink(&self, worker: &Worker<'_>, name: &[u8], kind: Kind, path: &[u8]) -> io::Result<()> {
        let run = worker.run;
        if kind == Kind::Directory {
            return self.dir.remove_dir(name);
        }
        let suffix = &run.settings.backup.suffix;
        let is_backup = run.settings.backup.dir.is_none() && name.ends_with(suffix);
        let in_node = self.path == self.node.path.as_bytes();
        if run.settings.backup.enabled && !is_backup {
            let moved = if in_node {
                backup::move_away(run, self.node, self.dir, name)
            } else {
                let parent = &path[..path.len() - name.len() - 1];
                backup::move_away_below(run, self.node, self.dir, parent, name)
            };
            return moved.map_err(|fault| io::Error::other(fault.to_string()));
        }
        self.dir.remove_file(name)
    }

    /// Empties a directory; true when nothing is left in it.
    fn empty(&mut self, worker: &mut Worker<'_>, scope: &filter::Scope, name: &[u8]) -> bool {
        let mut path = Vec::new();
        self.child_path(name, &mut path);
        let run = worker.run;
        let opened = self.dir.open_child(name, AccessTime::Update).and_then(|dir| {
            let listing = dir.list()?;
            Ok((dir, listing))
        });
        let (dir, listing) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let path = model::RelPath::new(&path).unwrap_or_else(model::RelPath::root);
                let fault = run.destination_fault("list", &path, &error);
                run.fault(&mut worker.scratch.totals, fault);
                return false;
            }
        };
        let Some(rel_path) = model::RelPath::new(&path) else { return false };
        let below =
            crate::merge_files::rules_in_force(scope, &rel_path, std::slice::from_ref(&dir));
        let Ok(below) = below else { return false };
        // Inside a directory that goes, perishable rules protect nothing (rsync(1)).
        let mut inner = Doomed {
            node: self.node,
            dir: &dir,
            path: path.clone(),
            perishable: Perishable::Ignored,
            segment: self.segment,
        };
        let names = with_kinds(&dir, listing.iter());
        if inner.remove_all(worker, &below, &names) == Emptied::Wholly {
            return true;
        }
        if !worker.is_cancelled() {
            run.say(
                self.segment,
                MessageClass::Notice,
                &[b"cannot delete non-empty directory: ", &path],
            );
        }
        false
    }

    /// Takes one from what `--max-delete` permits.
    fn may_remove(&self, worker: &mut Worker<'_>) -> bool {
        let left = &worker.run.deletions_left;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            if left == u64::MAX { Some(left) } else { left.checked_sub(1) }
        });
        if taken.is_err() {
            worker.scratch.totals.deletions_skipped += 1;
        }
        taken.is_ok()
    }

    fn tell(&self, worker: &mut Worker<'_>, path: &[u8], kind: Kind) {
        worker.scratch.totals.deleted.add(kind, 1);
        worker.scratch.totals.verdicts.add(Verdict::Deleted);
        let Some(path) = model::RelPath::new(path) else { return };
        if worker.run.wants(Verdict::Deleted, true) {
            let item = Item {
                path,
                metadata: unknown_metadata(kind),
                flags: ItemFlags::empty(),
                verdict: Verdict::Deleted,
                link: None,
                leader: None,
                reason: None,
                written_bytes: 0,
                checksum: None,
            };
            worker.run.log.push(self.segment, Event::Item(Box::new(item)), &*worker.run.sink);
        }
    }
}
