//! `-m`: whether a directory holds anything but directories (rsync(1), `--prune-empty-dirs`).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;

use filter::{NodeKind, Perishable, Scope, Side};
use model::settings::{Depth, Symlinks};
use model::{Inode, Kind, Metadata, RelPath};
use parking_lot::Mutex;

use crate::endpoint::{Directory, SourceDir};
use crate::merge_files::rules_in_force;
use crate::names::Seen;
use crate::node::{Content, Node, OpenedFor, ThroughLink};
use crate::run::OpenLevels;
use crate::scan::{node_kind, path_of};
use crate::selection::Pick;

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

/// True when no file would be transferred from a directory. Ends at the first file found, so that
/// it seldom costs more than one listing.
pub(crate) fn is_empty(node: &Node, layer: u16, name: &[u8], is_followed: bool) -> bool {
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
    let found = search.finds_nothing(dir, node.source.scope_of(layer));
    if found == Some(false) {
        search.remember_the_way();
    }
    found.unwrap_or(false)
}

fn inode_of(dir: &SourceDir) -> Option<Inode> {
    dir.as_opened().ok().map(|metadata| metadata.inode())
}

/// The same of a directory that was picked, by its name or by one below it.
pub(crate) fn pick_is_empty(node: &Node, layer: u16, pick: &Pick, is_followed: bool) -> bool {
    let mut path = Vec::new();
    path_of(node, &pick.name, &mut path);
    let opened = node.layer_dir(layer).and_then(|dir| open(node, &dir, &pick.name, is_followed));
    opened.is_ok_and(|dir| {
        brings_nothing(node, layer, &dir, &path, pick, node.source.scope_of(layer))
    })
}

fn brings_nothing(
    node: &Node,
    layer: u16,
    dir: &SourceDir,
    path: &[u8],
    pick: &Pick,
    scope: &Scope,
) -> bool {
    let root = node.source.layer(layer).root;
    let Some(of) = pick.in_root(root) else { return true };
    if node.run.known_full.protects(path) {
        return false;
    }
    if of.content == Content::Listed && !holds_nothing(node, layer, dir, path, scope) {
        return false;
    }
    let entered = RelPath::new(path).and_then(|path| rules_in_force(scope, &path, Some(dir)).ok());
    let Some(scope) = entered else { return false };
    pick.below.iter().flat_map(|below| &below.names).all(|below| {
        let Some(of) = below.in_root(root) else { return true };
        let opened = open(node, dir, &below.name, of.is_slashed || below.below.is_some());
        let path = [path, b"/", &below.name].concat();
        opened.is_ok_and(|dir| brings_nothing(node, layer, &dir, &path, below, &scope))
    })
}

/// True when directories inside listed ones are listed, too.
fn goes_down(node: &Node) -> bool {
    node.run.settings.traverse.depth == Depth::Recursive
}

fn holds_nothing(node: &Node, layer: u16, dir: &SourceDir, path: &[u8], scope: &Scope) -> bool {
    let mut search = Search::new(node, layer, path.to_vec());
    search.finds_nothing(dir.clone(), scope).unwrap_or(false)
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
    fn finds_nothing(&mut self, dir: SourceDir, scope: &Scope) -> Option<bool> {
        let above_len = self.path.len();
        if !self.enter(dir, scope, above_len)? {
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
            if !self.enter(dir, &scope, above_len)? {
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
    fn enter(&mut self, dir: SourceDir, above: &Scope, above_len: usize) -> Option<bool> {
        let path = RelPath::new(&self.path)?;
        let scope = rules_in_force(above, &path, Some(&dir)).ok()?;
        let listing = dir.list().ok().filter(|listing| listing.error().is_none())?;
        let mut has_file = false;
        let mut left = Vec::new();
        let mut child = self.path.clone();
        for (name, hint) in listing.iter() {
            let Seen { kind, is_followed } = see(self.node, &dir, name, hint);
            child.truncate(self.path.len());
            child.push(b'/');
            child.extend_from_slice(name);
            let (kind_of_node, side) = (node_kind(kind), Side::Sender);
            let verdict = scope.check(&child, kind_of_node, side, Perishable::Honoured);
            match kind {
                _ if verdict.is_excluded() => {}
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
        if follows_links(self.node) && self.leads_back(&metadata) {
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

/// True when links to directories may be gone through.
fn follows_links(node: &Node) -> bool {
    let links = &node.run.settings.links;
    links.symlinks == Symlinks::Follow || links.copy_dirlinks
}

/// What a name is; a link to a directory is one where the settings say so.
fn see(node: &Node, dir: &SourceDir, name: &[u8], hint: Option<Kind>) -> Seen {
    let kind = hint.or_else(|| dir.stat(name).ok().map(|metadata| metadata.kind));
    let leads_to_directory =
        || dir.stat_following(name).is_ok_and(|behind| behind.kind == Kind::Directory);
    if kind == Some(Kind::Symlink) && follows_links(node) && leads_to_directory() {
        Seen { kind: Some(Kind::Directory), is_followed: true }
    } else {
        Seen::itself(kind)
    }
}
