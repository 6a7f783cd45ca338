//! Names that are picked one by one and looked up before their turn: where the source lies far away,
//! none of them is to cost a round trip.

use std::ops::Range;

use wire::Follow;

use super::place::Base;
use super::{Pick, Picked, components, held_at_the_base};
use crate::endpoint::SourceDir;
use crate::node::Node;

/// Names that are on their way. More would not go faster.
const AHEAD: usize = 1024;

/// Has the source look up lines of a list, up to where it has no more room; returns the first that is
/// not asked for. Those of `asked` are, or come next.
pub(super) fn foresee(base: &Base, lines: &[Box<[u8]>], asked: Range<usize>) -> usize {
    go_on(asked, lines.len(), |at| {
        let below = held_at_the_base(&lines[at], false);
        base.foresee(&components(&below))
    })
}

/// The same of names that are picked in a directory of the transfer.
pub(crate) fn foresee_picks(node: &Node, picks: &[Pick], asked: Range<usize>) -> usize {
    go_on(asked, picks.len(), |at| {
        let pick = &picks[at];
        pick.roots.iter().all(|in_root| {
            let layer = node.source.layer_of_root(in_root.root);
            let dir = layer.and_then(|layer| node.source.layer(layer).handle.if_open());
            // No directory is on the way, so no link is.
            dir.is_none_or(|dir| dir.begin_look(&[&*pick.name], Follow::Never))
        })
    })
}

/// The same of names that are picked in a directory, and on from there: all on the way is opened by it, to
/// be searched. False if there is no room for so much.
pub(crate) fn foresee_in(dir: &SourceDir, name: &[u8], picked: &Picked) -> bool {
    begin_below(dir, &mut vec![name], picked, &mut { AHEAD })
}

fn begin_below<'a>(
    dir: &SourceDir,
    way: &mut Vec<&'a [u8]>,
    picked: &'a Picked,
    left: &mut usize,
) -> bool {
    for pick in &picked.names {
        let Some(less) = left.checked_sub(1) else { return true };
        *left = less;
        way.push(&pick.name);
        let mut has_room = dir.begin_look(way, Follow::Never);
        if let Some(below) = pick.alone_below() {
            has_room = has_room && begin_below(dir, way, below, left);
        }
        way.pop();
        if !has_room {
            return false;
        }
    }
    true
}

fn go_on(asked: Range<usize>, count: usize, begin: impl Fn(usize) -> bool) -> usize {
    let next = asked.end.max(asked.start);
    // Not one by one: what can be said in one breath costs less.
    if next > asked.start + AHEAD / 2 {
        return next;
    }
    let end = count.min(asked.start + AHEAD);
    (next..end).find(|at| !begin(*at)).unwrap_or(end.max(next))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn each_name_is_asked_for_once_and_not_too_early() {
        let begun = RefCell::new(Vec::new());
        let mut next = 0;
        for at in 0..5000 {
            next = go_on(at..next, 5000, |name| {
                begun.borrow_mut().push(name);
                true
            });
            assert!(next > at && next <= at + AHEAD, "{at}: {next}");
        }
        assert_eq!(begun.into_inner(), (0..5000).collect::<Vec<_>>());
    }

    #[test]
    fn what_had_no_room_is_asked_for_later_unless_its_turn_has_come() {
        let mut begun = Vec::new();
        let mut next = 0;
        for at in 0..10 {
            // There is room for two.
            next = go_on(at..next, 10, |name| name < at + 2);
            begun.push(next);
        }
        assert_eq!(begun, [2, 3, 4, 5, 6, 7, 8, 9, 10, 10]);
    }
}
