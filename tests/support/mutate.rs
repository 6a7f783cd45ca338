//! Makes a destination out of a source: related to it in all the ways that a comparison must see.

use super::generate::{Profile, adorn, grow, mtime, segments};
use super::rng::Rng;
use super::tree::{Kind, Node, Segment, Tree, content};

/// How much of the source is found in the other tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relation {
    /// Percent of the nodes that are not there (nor what is below them).
    pub(crate) missing: usize,
    /// Percent of the rest that differs in some way.
    pub(crate) changed: usize,
    /// How many nodes are there that the source has not.
    pub(crate) extra: usize,
}

/// A tree at `to` that is related to the one at `from` in `source`.
pub(crate) fn mutate(
    rng: &mut Rng,
    source: &Tree,
    from: &[u8],
    to: &[u8],
    relation: Relation,
    profile: Profile,
) -> Tree {
    let mut result = Tree::new();
    for original in source.nodes.iter().filter(|node| node.is_at_or_below(from)) {
        let is_top = original.path == from;
        let path = [to, &original.path[from.len()..]].concat();
        let parent = path.iter().rposition(|&byte| byte == b'/').map_or(&[][..], |at| &path[..at]);
        let has_parent = is_top || result.get(parent).is_some_and(|node| node.kind == Kind::Dir);
        if !has_parent || (!is_top && rng.chance(relation.missing)) {
            continue;
        }
        let mut node = Node { path, ..original.clone() };
        rebase_link(&mut node, &result, source, from, to);
        if rng.chance(relation.changed) {
            change(rng, &mut node, is_top, profile);
        }
        result.push(node);
    }
    grow(rng, &mut result, to, Profile { size: relation.extra, ..profile });
    result
}

/// A further name of a file stays one if its first name is there too; else it is a file of its own.
fn rebase_link(node: &mut Node, result: &Tree, source: &Tree, from: &[u8], to: &[u8]) {
    let Kind::HardLink(first) = &node.kind else { return };
    let rebased = [to, &first[from.len()..]].concat();
    let stays = result.get(&rebased).is_some_and(|first| first.kind != Kind::Dir);
    if stays {
        node.kind = Kind::HardLink(rebased);
    } else {
        let original = source.get(first).expect("a link comes after its first name");
        *node = Node { path: std::mem::take(&mut node.path), ..original.clone() };
    }
}

fn change(rng: &mut Rng, node: &mut Node, is_top: bool, profile: Profile) {
    match rng.below(12) {
        0 => node.mtime = mtime(rng),
        1 => node.mtime.1 = (node.mtime.1 + 1) % 1_000_000_000,
        2 => node.mtime.0 += 1,
        3 => node.mtime.0 += 1_000_000,
        4 => node.mtime.0 -= 1_000_000,
        5 => adorn(rng, node, profile),
        6 if !is_top => {
            node.kind = other_kind(rng, &node.kind);
            // What it pretended to be was of its old kind.
            node.xattrs.retain(|(name, _)| name != b"user.rsync.%stat");
        }
        _ => change_content(rng, node),
    }
}

fn change_content(rng: &mut Rng, node: &mut Node) {
    match &mut node.kind {
        Kind::File(old) => match rng.below(5) {
            // Same size and, since the time stays, a change that the quick check cannot see.
            0 => *old = flipped(rng, old),
            1 => {
                *old = flipped(rng, old);
                node.mtime = mtime(rng);
            }
            // What an interrupted --append leaves behind.
            2 => {
                let bytes = content(old);
                let keep = rng.below(bytes.len() + 1);
                *old = vec![Segment::Bytes(bytes[..keep].to_vec())];
            }
            3 => old.push(Segment::Numbers { from: 1, len: rng.between(1, 3000) }),
            _ => *old = segments(rng),
        },
        Kind::Symlink(target) => *target = b"changed".to_vec(),
        Kind::Char(_, minor) | Kind::Block(_, minor) => *minor += 1,
        _ => node.mtime = mtime(rng),
    }
}

/// `old` with one byte changed, if it has any.
fn flipped(rng: &mut Rng, old: &[Segment]) -> Vec<Segment> {
    let mut bytes = content(old);
    if bytes.len() > 4096 {
        // A case must stay readable as a script; big files keep their numbers but lose one digit's
        // worth of agreement at the front.
        let len = bytes.len();
        return vec![Segment::Numbers { from: 100_001, len }];
    }
    if !bytes.is_empty() {
        let at = rng.below(bytes.len());
        bytes[at] ^= 1;
    }
    vec![Segment::Bytes(bytes)]
}

fn other_kind(rng: &mut Rng, kind: &Kind) -> Kind {
    let choices = [
        Kind::Dir,
        Kind::File(vec![Segment::Bytes(b"in the way\n".to_vec())]),
        Kind::Symlink(b"../outside/dir".to_vec()),
        Kind::Symlink(b"@ROOT@/outside/file".to_vec()),
        Kind::Symlink(b"foo".to_vec()),
        Kind::Fifo,
    ];
    let others: Vec<&Kind> = choices
        .iter()
        .filter(|other| std::mem::discriminant(*other) != std::mem::discriminant(kind))
        .collect();
    (*rng.pick(&others)).clone()
}
