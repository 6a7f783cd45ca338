//! `--delete-missing-args`: the destination entries of source arguments that do not exist.
//!
//! Each goes when its directory is entered, as if it had been listed there. Where nothing of the
//! source has that directory, it goes with what the transfer root holds.

use std::collections::HashMap;
use std::io;

use fs::{AccessTime, Dir};
use model::{Cause, Kind, RelPath, Verb};

use super::doomed::{Doomed, Told};
use super::{may_empty_directories, remove_if_empty, say_not_empty};
use crate::node::Node;
use crate::order::compare_paths;
use crate::task::Worker;

/// The name of an argument that does not exist.
#[derive(Debug)]
pub(crate) struct MissingName {
    /// Below the transfer root.
    pub(crate) path: Box<[u8]>,
    /// The directory of the name is in the transfer.
    pub(crate) has_node: bool,
}

impl MissingName {
    /// The path of the directory at whose node it goes.
    fn dir(&self) -> &[u8] {
        if self.has_node { split(&self.path).0 } else { b"." }
    }
}

/// All such names of a run, by the directory at whose node they go, in the order of speech.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    by_dir: HashMap<Box<[u8]>, Vec<Box<[u8]>>>,
}

impl Missing {
    pub(crate) fn new(mut names: Vec<MissingName>) -> Self {
        names.sort_by(|left, right| compare_paths(&left.path, &right.path));
        let mut by_dir: HashMap<Box<[u8]>, Vec<_>> = HashMap::new();
        for name in names {
            by_dir.entry(name.dir().into()).or_default().push(name.path);
        }
        Self { by_dir }
    }

    /// True when a name goes at the node of the directory that has this path.
    pub(crate) fn names_some_in(&self, dir: &[u8]) -> bool {
        self.by_dir.contains_key(dir)
    }
}

/// Removes what has to go at a node.
pub(crate) fn remove(worker: &mut Worker<'_>, node: &Node) {
    let paths = node.run.deletion.missing.by_dir.get(node.path.as_bytes());
    for path in paths.into_iter().flatten() {
        remove_one(worker, node, path);
    }
}

fn remove_one(worker: &mut Worker<'_>, node: &Node, path: &[u8]) {
    if hides(node, path) {
        return;
    }
    let path = node.target.name_of(path);
    let (parent, name) = split(path);
    let is_in_the_tree = parent == node.path.as_bytes();
    let dir = if is_in_the_tree { node.target_dir() } else { open_parent(worker, node, parent) };
    let look = |dir: Dir| dir.stat(name).map(|existing| (dir, existing));
    let (dir, existing) = match dir.and_then(|dir| dir.map(look).transpose()) {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) if is_absence(&error) => return,
        Err(error) => return stays(worker, path, Cause::from(&error)),
    };
    let mut doomed = Doomed::new(node, &dir, parent, node.segment);
    if doomed.is_protected(worker, name, existing.kind) {
        return;
    }
    if existing.kind == Kind::Directory && !may_empty_directories(worker) {
        if is_filled(&dir, name) {
            // What is in it was not named; rsync leaves it and goes on.
            return say_not_empty(worker.run, node.segment, path);
        }
        if let Err(error) = remove_if_empty(worker, &dir, name) {
            return stays(worker, path, Cause::from(&error));
        }
        doomed.tell(worker, path, Kind::Directory);
    } else if !doomed.remove(worker, name, existing.kind, Told::AsDeleted) {
        return;
    }
    if is_in_the_tree {
        node.target.touch();
    }
}

/// The directory of a path, and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|&byte| byte == b'/');
    at.map_or((&b"."[..], path), |at| (&path[..at], &path[at + 1..]))
}

/// True when the sender's rules leave out a name that was given, and so its absence, too.
fn hides(node: &Node, path: &[u8]) -> bool {
    let (kind, side) = (filter::NodeKind::Other, filter::Side::Sender);
    node.source.scope.check(path, kind, side, filter::Perishable::Honoured).is_excluded()
}

/// The destination directory of a missing argument. Without implied directories the way to it may
/// lead through links inside the destination, as it does for arguments that exist.
fn open_parent(worker: &Worker<'_>, root: &Node, parent: &[u8]) -> io::Result<Option<Dir>> {
    let Some(mut dir) = root.target_dir()? else { return Ok(None) };
    if !worker.run.settings.traverse.implied_dirs {
        return dir.open_beneath(parent).map(Some);
    }
    for component in parent.split(|&byte| byte == b'/') {
        dir = dir.open_child(component, AccessTime::Update)?;
    }
    Ok(Some(dir))
}

/// True when an error says that there is nothing of the name; a link that is not followed is no
/// directory.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn stays(worker: &mut Worker<'_>, path: &[u8], cause: Cause) {
    let path = RelPath::new(path).unwrap_or_else(RelPath::root);
    let fault = worker.run.destination.fault(Verb::Remove, &path, cause);
    worker.run.fault(&mut worker.scratch.totals, fault);
}

/// True unless a directory is known to be empty.
fn is_filled(dir: &Dir, name: &[u8]) -> bool {
    let listing = dir.open_child(name, AccessTime::Update).and_then(|dir| dir.list());
    !listing.is_ok_and(|listing| listing.is_empty())
}
