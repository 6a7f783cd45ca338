//! Removes entries of one destination directory, with all that is below them.
//!
//! Trees go from their leaves up, without recursion and with few descriptors: what stands is kept
//! in a list of levels, of which only the deepest are open. A level that was closed is reached
//! again from the one below it and must be the inode that it was.
//! Guarded by the tests `extremes::two_thousand_levels_are_removed*` and
//! `extremes::deep_trees_side_by_side_*`.

use std::io;

use filter::{Perishable, Scope};
use fs::{AccessTime, Dir, Listing};
use model::settings::OneFileSystem;
use model::{Cause, Inode, Item, Kind, Metadata, RelPath, Topic, Verb, Verdict};

use crate::backup;
use crate::handle::another_directory;
use crate::merge_files::rules_in_force;
use crate::node::Node;
use crate::order::{Name, SegmentId};
use crate::run::{OpenLevels, Run};
use crate::scan::{node_kind, path_of, tell_filtered};
use crate::task::Worker;
use crate::telling::Line;
use crate::transfer::whole::Problem;

/// What the owner is given in a directory to empty it.
const OWNER_WRITE: u32 = 0o200;

/// Whether a removal is told as a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    AsDeleted,
    Silently,
}

/// Whether a directory was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// It could not be; as in rsync it goes if it is empty all the same.
    Unreadable,
    /// It stays.
    Closed,
}

/// A directory in which entries are removed, and the way down into the tree that goes now.
pub(super) struct Doomed<'a> {
    node: &'a Node,
    dir: &'a Dir,
    /// The receiver's rules in `dir`.
    scope: &'a Scope,
    /// The path of `dir` below the transfer root.
    base: Vec<u8>,
    /// The path of the deepest level below the transfer root.
    path: Vec<u8>,
    segment: SegmentId,
    levels: Vec<Level>,
    /// Asked for when a directory is to go.
    open_levels: Option<OpenLevels<'a>>,
}

/// A directory that is being emptied.
struct Level {
    /// Closed while it is far above the deepest level.
    dir: Option<Dir>,
    inode: Inode,
    name: Box<[u8]>,
    /// How long the path of the directory is that it lies in.
    parent_path_len: usize,
    scope: Scope,
    listing: Listing,
    /// What is left of the listing; the next one to go is the last.
    left: Vec<Left>,
    /// Something in it stays.
    keeps: bool,
    /// The mode to give back to it if it stays.
    mode: Option<u32>,
}

/// An entry of a list that is to go.
#[derive(Clone, Copy)]
pub(super) struct Left {
    /// Where it stands in the list.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// The order in which the entries of a list go, given their names and what its maker said of them.
pub(super) fn in_order<'n>(
    dir: &Dir,
    len: usize,
    name: impl Fn(usize) -> &'n [u8],
    hint: impl Fn(usize) -> Option<Kind>,
) -> Vec<Left> {
    let known = |at| {
        let kind = hint(at).or_else(|| dir.stat(name(at)).ok().map(|metadata| metadata.kind));
        Left { at, kind: kind.unwrap_or(Kind::File) }
    };
    let mut order: Vec<_> = (0..len).map(known).collect();
    let sorted =
        |left: &Left| Name { bytes: name(left.at), is_directory: left.kind == Kind::Directory };
    // rsync goes through its sorted list from the end.
    order.sort_by(|left, right| sorted(right).cmp(&sorted(left)));
    order
}

impl<'a> Doomed<'a> {
    pub(super) fn new(node: &'a Node, dir: &'a Dir, path: &[u8], segment: SegmentId) -> Self {
        let base = path.to_vec();
        let scope = &node.target.scope;
        let (path, levels) = (base.clone(), Vec::new());
        Self { node, dir, scope, path, base, segment, levels, open_levels: None }
    }

    /// With other rules than those that were in force when the directory was entered.
    pub(super) fn under(self, scope: &'a Scope) -> Self {
        Self { scope, ..self }
    }

    /// Removes an entry of the directory and all below it; false when it, or something below it,
    /// stays.
    pub(super) fn remove(
        &mut self,
        worker: &mut Worker<'_>,
        name: &[u8],
        kind: Kind,
        told: Told,
    ) -> bool {
        if kind != Kind::Directory {
            return self.remove_one(worker, name, kind, told);
        }
        match self.enter(worker, name) {
            Way::Open => {}
            Way::Unreadable => return self.remove_one(worker, name, kind, told),
            Way::Closed => return false,
        }
        loop {
            self.empty_deepest(worker);
            let told = if self.levels.len() == 1 { told } else { Told::AsDeleted };
            let is_gone = self.leave(worker, told);
            match self.levels.last_mut() {
                None => return is_gone,
                Some(level) => level.keeps |= !is_gone,
            }
        }
    }

    /// Goes down until the deepest level has nothing left to remove.
    fn empty_deepest(&mut self, worker: &mut Worker<'_>) {
        while let Some(level) = self.levels.last_mut() {
            if worker.is_cancelled() {
                level.keeps |= !level.left.is_empty();
                return;
            }
            let Some(Left { at, kind }) = level.left.pop() else { return };
            let name: Box<[u8]> = level.listing.name(at).into();
            let is_gone = !self.is_protected(worker, &name, kind)
                && if kind == Kind::Directory {
                    match self.enter(worker, &name) {
                        Way::Open => continue,
                        Way::Unreadable => self.remove_one(worker, &name, kind, Told::AsDeleted),
                        Way::Closed => false,
                    }
                } else {
                    self.remove_one(worker, &name, kind, Told::AsDeleted)
                };
            if let Some(level) = self.levels.last_mut() {
                level.keeps |= !is_gone;
            }
        }
    }

    /// True when a rule or a mount keeps an entry.
    pub(super) fn is_protected(&self, worker: &mut Worker<'_>, name: &[u8], kind: Kind) -> bool {
        let path = self.child_path(name);
        // Inside a directory that goes, perishable rules protect nothing (rsync(1)).
        let (scope, perishable) = match self.levels.last() {
            Some(level) => (&level.scope, Perishable::Ignored),
            None => (self.scope, Perishable::Honoured),
        };
        let verdict = scope.check(&path, node_kind(Some(kind)), filter::Side::Receiver, perishable);
        if let filter::Verdict::Excluded(rule) = verdict {
            if worker.run.says(Topic::Filter) {
                let rule = scope.describe(rule);
                let (run, doing) = (worker.run, b"[generator] protecting ");
                tell_filtered(run, self.segment, doing, &path, Some(kind), rule.pattern());
            }
            return true;
        }
        if kind != Kind::Directory {
            return false;
        }
        match is_kept_mount(worker, self.dir(), name) {
            Ok(false) => false,
            Ok(true) => {
                self.tell_mounted(worker, &path);
                true
            }
            // Removing it finds out for itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                self.fails(worker, Verb::LookAt, &path, Cause::from(&error));
                true
            }
        }
    }

    /// Tells that a mounted file system stays: as asked for with `-x`, else to be mended.
    fn tell_mounted(&self, worker: &mut Worker<'_>, path: &[u8]) {
        if worker.run.settings.traverse.one_file_system == OneFileSystem::Cross {
            self.fails(worker, Verb::Remove, path, Cause::Refused(super::IS_MOUNTED.into()));
        } else {
            let text = || [super::NOT_EMPTIED, path].concat();
            worker.run.say(self.segment, Topic::Warning, text);
        }
    }

    /// The directory of the deepest level, which is always open.
    fn dir(&self) -> &Dir {
        self.levels.last().and_then(|level| level.dir.as_ref()).unwrap_or(self.dir)
    }

    fn child_path(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.path.len() + 1 + name.len());
        if self.path == self.node.path.as_bytes() {
            path_of(self.node, name, &mut path);
            return path;
        }
        path.extend_from_slice(&self.path);
        path.push(b'/');
        path.extend_from_slice(name);
        path
    }

    /// Opens a directory and makes it the deepest level; why it could not has been told.
    fn enter(&mut self, worker: &mut Worker<'_>, name: &[u8]) -> Way {
        let path = self.child_path(name);
        let existing = match self.dir().stat(name) {
            Ok(existing) => existing,
            Err(error) => {
                self.fails(worker, Verb::List, &path, &error);
                return Way::Closed;
            }
        };
        if worker.run.deletion.holds_a_source(&existing) {
            let why = Cause::Refused("it holds the source; it was kept".into());
            self.fails(worker, Verb::Remove, &path, why);
            return Way::Closed;
        }
        let mode = self.make_writable(worker, name, &existing);
        match self.open(name, &existing, &path) {
            Ok((dir, scope, mut listing)) => {
                let error = listing.take_error();
                if let Some(error) = &error {
                    self.fails(worker, Verb::List, &path, error);
                }
                let (name_at, hint) = (|at| listing.name(at), |at| listing.kind_hint(at));
                let mut left = in_order(&dir, listing.len(), name_at, hint);
                left.reverse();
                self.levels.push(Level {
                    dir: Some(dir),
                    inode: existing.inode(),
                    name: name.into(),
                    parent_path_len: self.path.len(),
                    scope,
                    listing,
                    left,
                    keeps: error.is_some(),
                    mode,
                });
                self.path = path;
                self.close_far_level();
                Way::Open
            }
            Err(cause) => {
                if let Some(mode) = mode {
                    // What stays is as it was, as far as that can be had.
                    drop(self.dir().set_mode(name, mode));
                }
                self.fails(worker, Verb::List, &path, cause);
                Way::Unreadable
            }
        }
    }

    /// Lets the owner empty a directory that has no write permission, as rsync does; returns the
    /// mode that it had. Root needs no permission.
    fn make_writable(&self, worker: &Worker<'_>, name: &[u8], had: &Metadata) -> Option<u32> {
        let is_needed = had.kind == Kind::Directory
            && had.mode & OWNER_WRITE == 0
            && had.uid == fs::process::effective_uid()
            && !fs::process::is_root()
            && !worker.run.settings.dry_run;
        let is_set = is_needed && self.dir().set_mode(name, had.mode | OWNER_WRITE).is_ok();
        is_set.then_some(had.mode)
    }

    fn open(
        &self,
        name: &[u8],
        existing: &Metadata,
        path: &[u8],
    ) -> Result<(Dir, Scope, Listing), Cause> {
        let open = || {
            let dir = self.dir().open_child(name, AccessTime::Update)?;
            if !dir.metadata()?.is_same_inode(existing) {
                return Err(another_directory());
            }
            let listing = dir.list()?;
            Ok((dir, listing))
        };
        let (dir, listing) = open().map_err(|error: io::Error| Cause::from(&error))?;
        let above = self.levels.last().map_or(self.scope, |level| &level.scope);
        let path = RelPath::new(path).unwrap_or_else(RelPath::root);
        let dir_with_names = Some(&dir).filter(|_| !listing.is_empty());
        let scope = rules_in_force(above, &path, dir_with_names)
            .map_err(|error| Cause::Refused(error.to_string().into()))?;
        Ok((dir, scope, listing))
    }

    fn close_far_level(&mut self) {
        let node = self.node;
        let open = self.open_levels.get_or_insert_with(|| node.run.budgets.open_levels()).count;
        if let Some(far) = self.levels.len().checked_sub(open + 1) {
            self.levels[far].dir = None;
        }
    }

    /// Opens the level above the deepest one again if it was closed.
    fn reopen_above(&mut self) -> io::Result<()> {
        let [.., above, deepest] = &mut self.levels[..] else { return Ok(()) };
        if above.dir.is_some() {
            return Ok(());
        }
        let Some(below) = &deepest.dir else { return Err(another_directory()) };
        let dir = below.open_parent()?;
        if dir.metadata()?.inode() != above.inode {
            return Err(another_directory());
        }
        above.dir = Some(dir);
        Ok(())
    }

    /// Leaves the deepest level and removes it if it is empty; false when it stays.
    fn leave(&mut self, worker: &mut Worker<'_>, told: Told) -> bool {
        let reopened = self.reopen_above();
        let Some(level) = self.levels.pop() else { return true };
        let path = self.path.clone();
        self.path.truncate(level.parent_path_len);
        if self.levels.is_empty() {
            // The root's own path is no prefix of the paths below it.
            self.path.clone_from(&self.base);
        }
        let is_gone = match reopened {
            Ok(()) if !level.keeps => self.remove_one(worker, &level.name, Kind::Directory, told),
            Ok(()) => {
                if !worker.is_cancelled() {
                    super::say_not_empty(worker.run, self.segment, &path);
                }
                false
            }
            Err(error) => {
                // Without the directory above nothing more can be removed in it.
                if let Some(above) = self.levels.last_mut() {
                    above.left.clear();
                }
                self.fails(worker, Verb::Remove, &path, &error)
            }
        };
        if !is_gone && let (Some(dir), Some(mode)) = (&level.dir, level.mode) {
            // That the directory stays has been told; who made it passable may take that back.
            drop(dir.set_own_mode(mode));
        }
        is_gone
    }

    /// Removes one name: what is not a directory, or an empty directory.
    fn remove_one(&self, worker: &mut Worker<'_>, name: &[u8], kind: Kind, told: Told) -> bool {
        // As in rsync: what stands in the way is not counted, what lies in it is.
        let is_counted = told == Told::AsDeleted;
        if is_counted && !may_remove(worker) {
            return false;
        }
        let is_gone = self.try_remove(worker, name, kind, told);
        if is_counted && !is_gone {
            worker.run.deletion.give_back();
        }
        is_gone
    }

    fn try_remove(&self, worker: &mut Worker<'_>, name: &[u8], kind: Kind, told: Told) -> bool {
        let path = self.child_path(name);
        let gets_backup = gets_backup(worker.run, name, kind);
        if worker.run.settings.dry_run {
            // What a run may not even look at it cannot remove either.
            let looked = if worker.run.identity.is_root { Ok(()) } else { self.look_at(name) };
            if let Err(error) = looked {
                return self.fails(worker, Verb::LookAt, &path, &error);
            }
            if gets_backup {
                backup::tell(worker.run, self.segment, &path);
            }
        } else if gets_backup {
            match self.move_away(worker.run, name, &path) {
                Ok(()) => backup::tell(worker.run, self.segment, &path),
                Err(Problem::Fault(fault)) => {
                    worker.run.fault(&mut worker.scratch.totals, fault);
                    return false;
                }
                Err(Problem::Stopped | Problem::Changed | Problem::LeftAlone(_)) => return false,
            }
        } else if let Err(error) = self.unlink(name, kind) {
            match error.kind() {
                io::ErrorKind::NotFound => return true,
                io::ErrorKind::DirectoryNotEmpty => {
                    super::say_not_empty(worker.run, self.segment, &path);
                }
                _ => return self.fails(worker, Verb::Remove, &path, &error),
            }
            return false;
        }
        if told == Told::AsDeleted {
            self.tell(worker, &path, kind);
        }
        true
    }

    fn move_away(&self, run: &Run, name: &[u8], path: &[u8]) -> Result<(), Problem> {
        if self.path == self.node.path.as_bytes() {
            return backup::move_away(run, self.node, self.dir(), name);
        }
        let parent = &path[..path.len() - name.len() - 1];
        backup::move_away_below(run, self.node, self.dir(), parent, name)
    }

    fn look_at(&self, name: &[u8]) -> io::Result<()> {
        self.dir().stat(name).map(|_| ())
    }

    fn unlink(&self, name: &[u8], kind: Kind) -> io::Result<()> {
        if kind == Kind::Directory {
            return self.dir().remove_dir(name);
        }
        self.dir().remove_file(name)
    }

    /// Tells of a path that stays; always false.
    fn fails(
        &self,
        worker: &mut Worker<'_>,
        verb: Verb,
        path: &[u8],
        cause: impl Into<Cause>,
    ) -> bool {
        let path = RelPath::new(path).unwrap_or_else(|| self.node.path.clone());
        let fault = worker.run.destination.fault(verb, &path, cause);
        worker.run.fault(&mut worker.scratch.totals, fault);
        false
    }

    /// Counts an entry as deleted and tells of it.
    pub(super) fn tell(&self, worker: &mut Worker<'_>, path: &[u8], kind: Kind) {
        worker.scratch.totals.deleted.add(kind, 1);
        let verdict = Verdict::Deleted;
        let item = || {
            let path = RelPath::new(path).unwrap_or_else(RelPath::root);
            Item::new(path, Metadata::unknown(kind), verdict)
        };
        worker.run.conclude(&mut worker.scratch.totals, self.segment, Line::bare(verdict), item);
    }
}

/// True for what gets a backup name instead of being removed.
fn gets_backup(run: &Run, name: &[u8], kind: Kind) -> bool {
    let backup = &run.settings.backup;
    // A name that is nothing but the suffix is no backup of anything.
    let is_suffixed = name.len() > backup.suffix.len() && name.ends_with(&backup.suffix);
    let is_backup = backup.dir.is_none() && is_suffixed;
    backup.enabled && kind != Kind::Directory && !is_backup
}

/// True where another file system is mounted that must not be emptied.
pub(super) fn is_kept_mount(worker: &Worker<'_>, dir: &Dir, name: &[u8]) -> io::Result<bool> {
    let settings = &worker.run.settings;
    let stays = settings.traverse.one_file_system != OneFileSystem::Cross;
    Ok((stays || !settings.delete.across_mounts) && dir.is_mount_root(name)?)
}

/// Takes one from what `--max-delete` permits.
fn may_remove(worker: &mut Worker<'_>) -> bool {
    let may = worker.run.deletion.take_one();
    if !may {
        worker.scratch.totals.deletions_skipped += 1;
    }
    may
}
