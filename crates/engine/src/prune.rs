//! `-m`: whether a directory holds anything but directories (rsync(1), `--prune-empty-dirs`).

use fs::Dir;
use model::settings::Depth;
use model::{Kind, RelPath};

use crate::merge_files::rules_in_force;
use crate::node::{Content, Node};
use crate::scan::{node_kind, path_of};
use crate::selection::{InRoot, Pick};

/// True when no file would be transferred from a directory. Ends at the first file found, so that
/// it seldom costs more than one listing.
pub(crate) fn is_empty(node: &Node, layer: u16, name: &[u8]) -> bool {
    if !goes_down(node) {
        return true;
    }
    let mut path = Vec::new();
    path_of(node, name, &mut path);
    let opened = node.layer_dir(layer).and_then(|dir| dir.open_child(name, node.run.access_time()));
    // What cannot be read is not known to be empty: it is entered, and the fault told there.
    opened.is_ok_and(|dir| holds_nothing(node, &dir, &path, &node.source_scope))
}

/// The same of a directory that was picked, by its name or by one below it.
pub(crate) fn pick_is_empty(node: &Node, layer: u16, pick: &Pick, of: &InRoot) -> bool {
    let mut path = Vec::new();
    path_of(node, &pick.name, &mut path);
    let opened = node.layer_dir(layer).and_then(|dir| dir.open_child_following(&pick.name));
    opened.is_ok_and(|dir| brings_nothing(node, &dir, &path, (pick, of), &node.source_scope))
}

fn brings_nothing(
    node: &Node,
    dir: &Dir,
    path: &[u8],
    (pick, of): (&Pick, &InRoot),
    scope: &filter::Scope,
) -> bool {
    if of.content == Content::Listed && !holds_nothing(node, dir, path, scope) {
        return false;
    }
    let entered = RelPath::new(path)
        .and_then(|path| rules_in_force(scope, &path, std::slice::from_ref(dir)).ok());
    let Some(scope) = entered else { return false };
    pick.below.iter().flat_map(|below| &below.names).all(|below| {
        let Some(of) = below.roots.iter().find(|other| other.root == of.root) else { return true };
        let opened = dir.open_child_following(&below.name);
        let path = [path, b"/", &below.name].concat();
        opened.is_ok_and(|dir| brings_nothing(node, &dir, &path, (below, of), &scope))
    })
}

/// True when directories inside listed ones are listed, too.
fn goes_down(node: &Node) -> bool {
    node.run.settings.traverse.depth == Depth::Recursive
}

fn holds_nothing(node: &Node, dir: &Dir, path: &[u8], scope: &filter::Scope) -> bool {
    let Some(rel_path) = RelPath::new(path) else { return false };
    let entered = rules_in_force(scope, &rel_path, std::slice::from_ref(dir));
    let (Ok(scope), Ok(listing)) = (entered, dir.list()) else { return false };
    if listing.error().is_some() {
        return false;
    }
    let mut directories = Vec::new();
    let mut child = path.to_vec();
    for (name, hint) in listing.iter() {
        let kind = hint.or_else(|| dir.stat(name).ok().map(|metadata| metadata.kind));
        child.truncate(path.len());
        child.push(b'/');
        child.extend_from_slice(name);
        let verdict = scope.check(
            &child,
            node_kind(kind),
            filter::Side::Sender,
            filter::Perishable::Honoured,
        );
        match kind {
            _ if verdict.is_excluded() => {}
            Some(Kind::Directory) => directories.push(name),
            _ => return false,
        }
    }
    !goes_down(node)
        || directories.into_iter().all(|name| {
            let mut below = path.to_vec();
            below.push(b'/');
            below.extend_from_slice(name);
            dir.open_child(name, node.run.access_time())
                .is_ok_and(|dir| holds_nothing(node, &dir, &below, &scope))
        })
}
