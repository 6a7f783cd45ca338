//! `-m`: whether a directory holds anything but directories (rsync(1), `--prune-empty-dirs`).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;

use filter::{NodeKind, Perishable, Scope, Side};
use model::settings::Depth;
use model::{Cause, Inode, Kind, Metadata, RelPath, Verb};
use parking_lot::Mutex;

use crate::endpoint::{Directory, SourceDir};
use crate::merge_files::rules_in_force;
use crate::names::Seen;
use crate::node::{Content, Node, OpenedFor, ThroughLink};
use crate::run::OpenLevels;
use crate::scan::{LEADS_NOWHERE, node_kind, path_of, see_in};
use crate::selection::Pick;
use crate::task::Worker;

/// Directories that a search went through on its way to a file, and that are not entered yet: asked
/// for themselves they need no search.
#[derive(Default)]
pub(crate) struct KnownFull {
    /// The receiver's rules, those of merge files aside: a directory that they protect is brought
    /// over though it is empty (rsync(1)).
    pub(crate) protecting: Option<Scope>,
    hasher: RandomState,
    known: Mutex<HashSet<Known>>,
}

/// A directory by inode and path: it may be found on another way, where other rules are in force.
#[derive(PartialEq, Eq, Hash)]
struct Known {
    inode: Inode,
    path_hash: u64,
}

impl KnownFull {
    fn key(&self, inode: Inode, path: &[u8]) -> Known {
        Known { inode, path_hash: self.hasher.hash_one(path) }
    }

    fn protects(&self, path: &[u8]) -> bool {
        let (kind, side) = (NodeKind::Directory, Side::Receiver);
        let check = |rules: &Scope| rules.check(path, kind, side, Perishable::Honoured);
        self.protecting.as_ref().is_some_and(|rules| check(rules).is_excluded())
    }
}

/// Called with the path of a link that is to be followed and points to nothing: no file, but a fault.
type LostLink<'a> = dyn FnMut(&[u8]) + 'a;

/// True when no file would be transferred from a directory. Ends at the first file found, so that
/// it seldom costs more than one listing.
pub(crate) fn is_empty(
    worker: &mut Worker<'_>,
    node: &Node,
    layer: u16,
    name: &[u8],
    is_followed: bool,
) -> bool {
    ask(worker, node, layer, |lost_link| brings_no_file(node, layer, name, is_followed, lost_link))
}

/// The same of a directory that was picked, by its name or by one below it.
pub(crate) fn pick_is_empty(
    worker: &mut Worker<'_>,
    node: &Node,
    layer: u16,
    pick: &Pick,
    is_followed: bool,
) -> bool {
    ask(worker, node, layer, |lost_link| {
        pick_brings_no_file(node, layer, pick, is_followed, lost_link)
    })
}

/// Asks whether a directory brings no file. As nobody enters one that is left out, links to nothing
/// in it are told of here: by asking again, so that none has to be kept.
/// Test: `a_directory_with_nothing_but_a_link_to_nothing_is_pruned`.
fn ask(
    worker: &mut Worker<'_>,
    node: &Node,
    layer: u16,
    brings_no_file: impl Fn(&mut LostLink<'_>) -> bool,
) -> bool {
    let mut has_lost_links = false;
    let is_empty = brings_no_file(&mut |_| has_lost_links = true);
    if is_empty && has_lost_links {
        brings_no_file(&mut |path| {
            let below = path.strip_prefix(node.path.as_bytes()).unwrap_or(path);
            let below = below.strip_prefix(b"/").unwrap_or(below);
            let cause = Cause::Refused(LEADS_NOWHERE.into());
            let fault = node.source_fault(Verb::LookAt, layer, below, cause);
            worker.run.source_fault(&mut worker.scratch.totals, fault);
        });
    }
    is_empty
}

fn brings_no_file(
    node: &Node,
    layer: u16,
    name: &[u8],
    is_followed: bool,
    lost_link: &mut LostLink<'_>,
) -> bool {
    let mut path = Vec::new();
    path_of(node, name, &mut path);
    if node.run.known_full.protects(&path) {
        return false;
    }
    if !goes_down(node) {
        return true;
    }
    let opened = node.layer_dir(layer).and_then(|dir| open(node, &dir, name, is_followed));
    // What cannot be read is not known to be empty: it is entered, and the fault told there.
    let Ok(dir) = opened else { return false };
    let known = &node.run.known_full;
    let Some(inode) = inode_of(&dir) else { return false };
    if known.known.lock().remove(&known.key(inode, &path)) {
        return false;
    }
    let mut search = Search::new(node, layer, path);
    let found = search.finds_nothing(dir, node.source.scope_of(layer), lost_link);
    if found == Some(false) {
        search.remember_the_way();
    }
    found.unwrap_or(false)
}

fn inode_of(dir: &SourceDir) -> Option<Inode> {
    dir.as_opened().ok().map(|metadata| metadata.inode())
}

fn pick_brings_no_file(
    node: &Node,
    layer: u16,
    pick: &Pick,
    is_followed: bool,
    lost_link: &mut LostLink<'_>,
) -> bool {
    let mut path = Vec::new();
    path_of(node, &pick.name, &mut path);
    let opened = node.layer_dir(layer).and_then(|dir| open(node, &dir, &pick.name, is_followed));
    opened.is_ok_and(|dir| {
        let place = Place { node, layer, dir: &dir, path: &path };
        brings_nothing(place, pick, node.source.scope_of(layer), lost_link)
    })
}

/// A source directory that may lie below that of a node.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: &'a Node,
    layer: u16,
    dir: &'a SourceDir,
    path: &'a [u8],
}

fn brings_nothing(
    place: Place<'_>,
    pick: &Pick,
    scope: &Scope,
    lost_link: &mut LostLink<'_>,
) -> bool {
    let Place { node, layer, dir, path } = place;
    let root = node.source.layer(layer).root;
    let Some(of) = pick.in_root(root) else { return true };
    // A name that is missing counts as a file, as in rsync.
    if node.run.known_full.protects(path) || node.run.deletion.missing.names_some_in(path) {
        return false;
    }
    if of.content == Content::Listed && !holds_nothing(place, scope, lost_link) {
        return false;
    }
    let entered = RelPath::new(path).and_then(|path| rules_in_force(scope, &path, Some(dir)).ok());
    let Some(scope) = entered else { return false };
    pick.below.iter().flat_map(|below| &below.names).all(|below| {
        let Some(of) = below.in_root(root) else { return true };
        let opened = open(node, dir, &below.name, of.is_slashed || of.reason.leads_on());
        let path = [path, b"/", &below.name].concat();
        opened.is_ok_and(|dir| {
            brings_nothing(Place { dir: &dir, path: &path, ..place }, below, &scope, lost_link)
        })
    })
}

/// True when directories inside listed ones are listed, too.
fn goes_down(node: &Node) -> bool {
    node.run.settings.traverse.depth == Depth::Recursive
}

fn holds_nothing(place: Place<'_>, scope: &Scope, lost_link: &mut LostLink<'_>) -> bool {
    let mut search = Search::new(place.node, place.layer, place.path.to_vec());
    search.finds_nothing(place.dir.clone(), scope, lost_link).unwrap_or(false)
}

/// A search for a file. Without recursion, for trees may be deeper than a stack.
/// Test: `extremes::very_deep_trees_without_files_are_pruned`.
struct Search<'a> {
    node: &'a Node,
    /// The source that it is searched for.
    layer: u16,
    /// The path of the deepest level below the transfer root.
    path: Vec<u8>,
    levels: Vec<Level>,
    open_levels: OpenLevels<'a>,
}

/// A directory that is searched.
struct Level {
    /// Closed while it is far above the deepest level.
    dir: Option<SourceDir>,
    inode: Inode,
    scope: Scope,
    /// The directories in it that are left to be searched.
    left: Vec<Below>,
    /// How long the path is of the directory that it lies in.
    above_len: usize,
}

/// A directory in one that is searched.
struct Below {
    name: Box<[u8]>,
    is_followed: bool,
}

impl<'a> Search<'a> {
    fn new(node: &'a Node, layer: u16, path: Vec<u8>) -> Self {
        let open_levels = node.run.budgets.open_levels();
        Self { node, layer, path, levels: Vec::new(), open_levels }
    }

    /// Whether there is no file at or below a directory; `None` when that cannot be known.
    fn finds_nothing(
        &mut self,
        dir: SourceDir,
        scope: &Scope,
        lost_link: &mut LostLink<'_>,
    ) -> Option<bool> {
        let above_len = self.path.len();
        if !self.enter(dir, scope, above_len, lost_link)? {
            return Some(false);
        }
        while let Some(level) = self.levels.last_mut() {
            if self.node.run.ending.has_begun() {
                return None;
            }
            let Some(Below { name, is_followed }) = level.left.pop() else {
                self.leave()?;
                continue;
            };
            let dir = open(self.node, level.dir.as_ref()?, &name, is_followed).ok()?;
            let scope = level.scope.clone();
            let above_len = self.path.len();
            self.path.push(b'/');
            self.path.extend_from_slice(&name);
            if !self.enter(dir, &scope, above_len, lost_link)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Notes the directories that lead to the file that was found, the first aside: who asked for
    /// that one knows now.
    fn remember_the_way(&self) {
        let known = &self.node.run.known_full;
        let ends = self.levels.iter().skip(1).map(|level| level.above_len);
        let ends: Vec<usize> = ends.chain([self.path.len()]).collect();
        let way = self.levels.iter().zip(ends).skip(1);
        let keys = way.map(|(level, end)| known.key(level.inode, &self.path[..end]));
        known.known.lock().extend(keys);
    }

    /// Looks at what is in a directory; false when there is a file.
    fn enter(
        &mut self,
        dir: SourceDir,
        above: &Scope,
        above_len: usize,
        lost_link: &mut LostLink<'_>,
    ) -> Option<bool> {
        let path = RelPath::new(&self.path)?;
        let scope = rules_in_force(above, &path, Some(&dir)).ok()?;
        let listing = dir.list().ok().filter(|listing| listing.error().is_none())?;
        let mut has_file = false;
        let mut left = Vec::new();
        let mut child = self.path.clone();
        for (name, hint) in listing.iter() {
            let (seen, _) = see_in(&self.node.run, &path, &dir, name, hint);
            let Seen { kind, is_followed } = seen;
            child.truncate(self.path.len());
            child.push(b'/');
            child.extend_from_slice(name);
            let is_excluded = |kind| {
                let (kind, side) = (node_kind(kind), Side::Sender);
                scope.check(&child, kind, side, Perishable::Honoured).is_excluded()
            };
            match kind {
                _ if is_excluded(kind) => {}
                _ if seen.leads_nowhere() => {
                    if !is_excluded(Some(Kind::Directory)) {
                        lost_link(&child);
                    }
                }
                Some(Kind::Directory) if self.node.run.known_full.protects(&child) => {
                    has_file = true;
                    break;
                }
                Some(Kind::Directory) if goes_down(self.node) => {
                    left.push(Below { name: name.into(), is_followed });
                }
                Some(Kind::Directory) => {}
                _ => {
                    has_file = true;
                    break;
                }
            }
        }
        let metadata = dir.as_opened().ok()?;
        let inode = metadata.inode();
        if self.node.run.settings.links.follows_some() && self.leads_back(&metadata) {
            return None;
        }
        self.levels.push(Level { dir: Some(dir), inode, scope, left, above_len });
        if let Some(far) = self.levels.len().checked_sub(self.open_levels.count + 1) {
            self.levels[far].dir = None;
        }
        Some(!has_file)
    }

    /// True when a link led back to a directory on the way; the fault is told where it is entered.
    fn leads_back(&self, metadata: &Metadata) -> bool {
        self.levels.iter().any(|level| level.inode == metadata.inode())
            || self.node.lies_in(self.layer, metadata)
    }

    /// Goes back to the level above, which is opened again if need be.
    fn leave(&mut self) -> Option<()> {
        let done = self.levels.pop()?;
        self.path.truncate(done.above_len);
        let Some(above) = self.levels.last_mut().filter(|above| above.dir.is_none()) else {
            return Some(());
        };
        let dir = done.dir?.open_parent().ok()?;
        above.dir = (inode_of(&dir)? == above.inode).then_some(dir);
        above.dir.as_ref().map(|_| ())
    }
}

fn open(node: &Node, dir: &SourceDir, name: &[u8], is_followed: bool) -> io::Result<SourceDir> {
    node.run.open_source(dir, name, ThroughLink::at(is_followed), OpenedFor::Listing)
}
