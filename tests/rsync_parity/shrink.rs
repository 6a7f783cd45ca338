//! Makes a failing case smaller: drops options, sources and nodes, plainer metadata, while it still
//! fails in one of the aspects in which it failed at first.

use std::time::{Duration, Instant};

use super::case::Case;
use crate::support::tree::{DEFAULT_MTIME, Kind, Node, Segment};

/// Shrinking stops after this, with whatever it has reached.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The smallest case found for which `fails` is true; `case` itself must fail.
pub(crate) fn shrink(case: &Case, fails: &dyn Fn(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let start = Instant::now();
    loop {
        let before = best.clone();
        for step in [drop_groups, drop_sources, drop_nodes, simplify_nodes] {
            best = step(best, &|candidate: &Case| start.elapsed() < TIME_LIMIT && fails(candidate));
        }
        let settled = best.tree == before.tree && best.groups == before.groups;
        if settled || start.elapsed() > TIME_LIMIT {
            return best;
        }
    }
}

type Fails<'a> = &'a dyn Fn(&Case) -> bool;

fn drop_groups(mut best: Case, fails: Fails<'_>) -> Case {
    for at in (0..best.groups.len()).rev() {
        let mut candidate = best.clone();
        let dropped = candidate.groups.remove(at);
        // A list made for -0 means something else without it.
        if dropped == [b"-0".to_vec()] && candidate.has_prefix("--files-from") {
            continue;
        }
        if fails(&candidate) {
            best = candidate;
        }
    }
    best
}

fn drop_sources(mut best: Case, fails: Fails<'_>) -> Case {
    for at in (0..best.sources.len()).rev() {
        let mut candidate = best.clone();
        candidate.sources.remove(at);
        if !candidate.sources.is_empty() && fails(&candidate) {
            best = candidate;
        }
    }
    best
}

/// Parents come before children, so whole directories are tried before what is in them.
fn drop_nodes(mut best: Case, fails: Fails<'_>) -> Case {
    let mut at = 0;
    while at < best.tree.nodes.len() {
        let mut candidate = best.clone();
        let path = candidate.tree.nodes[at].path.clone();
        candidate.tree.remove(&path);
        if fails(&candidate) {
            best = candidate;
        } else {
            at += 1;
        }
    }
    best
}

fn simplify_nodes(mut best: Case, fails: Fails<'_>) -> Case {
    let changes: [fn(&mut Node); 8] = [
        |node| *node = Node::plain(&node.path, node.kind.clone()),
        |node| node.xattrs.clear(),
        |node| node.acl = None,
        |node| node.default_acl = None,
        |node| node.owner = None,
        |node| node.mtime = DEFAULT_MTIME,
        |node| node.mode = if node.kind == Kind::Dir { 0o755 } else { 0o644 },
        |node| {
            if let Kind::File(segments) = &mut node.kind {
                *segments = vec![Segment::Bytes(b"x".to_vec())];
            }
        },
    ];
    for at in 0..best.tree.nodes.len() {
        for change in changes {
            let mut candidate = best.clone();
            change(&mut candidate.tree.nodes[at]);
            if candidate.tree != best.tree && fails(&candidate) {
                best = candidate;
            }
        }
    }
    best
}
