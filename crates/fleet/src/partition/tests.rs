//! So many buckets have all of a tree, and none is too heavy.

use std::convert::Infallible;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::conformance::memory::Memory;
use crate::conformance::tree::any_tree;
use crate::conformance::{Node, Tree};
use crate::line::Span;
use crate::survey::{KeepAll, Settings, Surveyed};
use crate::testing::{Kept, check, plain, survey_of, torn, without};

fn kept(partition: &Partition<'_>) -> Vec<Vec<Kept>> {
    let lines = |index| {
        let mut lines = Vec::new();
        let Ok(()) = partition.lines(index, &mut |line| {
            lines.push(Kept::from(line));
            Ok::<(), Infallible>(())
        });
        lines
    };
    (0..partition.buckets.len()).map(lines).collect()
}

fn surveyed(tree: &Tree, settings: Settings) -> Surveyed {
    survey_of(Memory::without_sums(tree.clone()), settings, &Arc::new(KeepAll)).0
}

fn sharing(count: usize, wholes: Wholes) -> Sharing {
    Sharing { count, by: By::Size, wholes, keeps_bare_apart: true }
}

fn any_by() -> impl Strategy<Value = By> {
    let cost = (1..10_000_u64).prop_map(|bytes_per_entry| By::Cost { bytes_per_entry });
    prop_oneof![Just(By::Size), Just(By::Files), cost]
}

fn any_wholes() -> impl Strategy<Value = Wholes> {
    prop_oneof![3 => Just(Wholes::Allowed), 1 => Just(Wholes::Never)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_is_in_one_bucket_and_none_is_too_heavy(
        tree in any_tree(|_, _| true),
        count in 1..12_usize,
        by in any_by(),
        wholes in any_wholes(),
        depth in prop_oneof![4 => Just(None), 1 => (0..4_u32).prop_map(Some)],
    ) {
        let Surveyed { root, links, .. } = surveyed(&tree, Settings { depth, by, ..plain() });
        let partition = partition(&root, Sharing { by, ..sharing(count, wholes) }, &links);
        let lines = kept(&partition);
        check(&tree, &lines, |_| false);
        let amount: Amount = partition.buckets.iter().map(|bucket| bucket.amount).sum();
        prop_assert_eq!(amount, root.total);
        for (bucket, lines) in partition.buckets.iter().zip(&lines) {
            prop_assert_eq!(bucket.amount, lines.iter().map(|line| line.amount).sum::<Amount>());
            prop_assert_eq!(bucket.weight, by.weight(bucket.amount));
            prop_assert!(!lines.is_empty());
        }
        // What shares files with a directory that is not cut is not cut, either.
        if depth.is_none() {
            let mean = by.weight(root.total) / count as u64;
            let heaviest = partition.buckets.iter().map(|bucket| bucket.weight).max().unwrap_or(0);
            prop_assert!(heaviest <= mean + partition.largest_item, "{heaviest} of {mean}");
        }
    }

    #[test]
    fn there_are_as_many_buckets_as_items(tree in any_tree(|_, node| node.group.is_none())) {
        let Surveyed { root, links, .. } = surveyed(&tree, plain());
        // A directory goes with something that lies in it.
        let is_leaf = |path: &[u8]| {
            !tree.iter().any(|(other, _)| crate::conformance::tree::is_below(other, path))
        };
        let items = tree.iter().filter(|(path, _)| is_leaf(path)).count().max(1);
        for count in [items, items + 3] {
            let partition = partition(&root, sharing(count, Wholes::Allowed), &links);
            prop_assert!(partition.buckets.len() >= items, "{} of {items}", partition.buckets.len());
        }
    }

    #[test]
    fn what_rules_leave_out_is_in_no_bucket(tree in any_tree(|_, _| true), count in 1..6_usize) {
        let rules = without(&["*a*", "/b/"]);
        let is_out = |path: &[u8]| {
            let is_in = |path: &[u8]| path.split(|byte| *byte == b'/').any(|name| name.contains(&b'a'));
            let is_b = path.split(|byte| *byte == b'/').next() == Some(b"b")
                && tree.get(b"b").is_some_and(|node| node.kind == model::Kind::Directory);
            is_in(path) || is_b
        };
        let Surveyed { root, links, .. } = surveyed(&tree, Settings { rules, ..plain() });
        let partition = partition(&root, sharing(count, Wholes::Allowed), &links);
        let lines = kept(&partition);
        check(&tree, &lines, is_out);
        prop_assert!(lines.iter().all(|lines| !lines.is_empty()));
        let mean = root.total.bytes / count as u64;
        let heaviest = partition.buckets.iter().map(|bucket| bucket.weight).max().unwrap_or(0);
        prop_assert!(heaviest <= mean + partition.largest_item, "{heaviest} of {mean}");
    }
}

#[test]
fn the_same_tree_gives_the_same_buckets() {
    let mut tree = Tree::default();
    for number in 0..500_u64 {
        let path = format!("{}/{}/{number}", number % 7, number % 31);
        assert!(tree.add(path.as_bytes(), Node::file(number * number % 1000)));
    }
    let make = || {
        let Surveyed { root, links, .. } = surveyed(&tree, plain());
        kept(&partition(&root, sharing(4, Wholes::Allowed), &links))
    };
    assert_eq!(make(), make());
}

#[test]
fn long_tails_are_balanced() {
    // Sizes as in a Pareto distribution of index 1.1: the n-th of N has (N/n)^(1/1.1).
    for count in [4, 8, 64] {
        let mut tree = Tree::default();
        for number in 1..=4000_u32 {
            let bytes = (4000.0 / f64::from(number)).powf(1.0 / 1.1) * 1000.0;
            let path = format!("{}/{}/{number}", number % 40, number % 11);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size")]
            let bytes = bytes as u64;
            assert!(tree.add(path.as_bytes(), Node::file(bytes)));
        }
        let Surveyed { root, links, .. } = surveyed(&tree, plain());
        let partition = partition(&root, sharing(count, Wholes::Allowed), &links);
        let mean = root.total.bytes / count as u64;
        if partition.largest_item <= mean {
            assert!(partition.balance() <= 1.02, "{count}: {}", partition.balance());
        }
    }
}

#[test]
fn a_directory_that_fits_is_one_line() {
    let mut tree = Tree::default();
    for number in 0..1000_u64 {
        assert!(tree.add(format!("{}/{number}", number / 5).as_bytes(), Node::file(10)));
    }
    let Surveyed { root, links, .. } = surveyed(&tree, plain());
    let lines = kept(&partition(&root, sharing(1, Wholes::Allowed), &links));
    assert_eq!(lines.concat().len(), 1, "all of it is one line");
    let lines = kept(&partition(&root, sharing(2, Wholes::Allowed), &links)).concat();
    let wholes = lines.iter().filter(|line| line.span == Span::Whole).count();
    assert!(wholes >= 190, "{wholes} of 200 directories are one line");
}

#[test]
fn directories_of_snapshots_are_left_out_and_counted() {
    let mut tree = Tree::default();
    for path in [&b"a/.snapshot/x"[..], b".zfs/y", b"a/z", b".snapshots/deep/q", b"b/.zfs"] {
        assert!(tree.add(path, Node::file(1)));
    }
    let found = surveyed(&tree, plain());
    assert_eq!(found.snapshots, 3, "a file of that name is a file");
    assert!(!found.root.is_complete);
    let partition = partition(&found.root, sharing(2, Wholes::Never), &found.links);
    let is_out = |path: &[u8]| {
        [&b"a/.snapshot"[..], b".zfs", b".snapshots"].iter().any(|out| path.starts_with(out))
    };
    check(&tree, &kept(&partition), is_out);
}

#[test]
fn a_directory_that_cannot_be_told_goes_whole() {
    use crate::conformance::{Spoil, Stage};
    let mut tree = Tree::default();
    for path in [&b"bad/x"[..], b"good/y", b"z"] {
        assert!(tree.add(path, Node::file(100)));
    }
    let memory = Memory::without_sums(tree);
    assert!(memory.spoil(b"bad", Spoil::Lock));
    let (found, faults) = survey_of(memory, plain(), &Arc::new(KeepAll));
    assert_eq!((found.faults, faults.len()), (1, 1));
    assert_eq!(&*faults[0].path, b"memory:bad");
    let lines = kept(&partition(&found.root, sharing(2, Wholes::Allowed), &found.links)).concat();
    // It has vanished, which is what this lister says.
    assert!(lines.iter().all(|line| line.path != b"bad"));
    assert!(lines.iter().any(|line| line.path == b"good" || line.path == b"good/y"));
}

#[test]
fn what_was_told_of_a_torn_directory_is_shared_out() {
    for has_left_out in [true, false] {
        for count in [1, 2, 5, 100] {
            for wholes in [Wholes::Allowed, Wholes::Never] {
                let (memory, tree) = torn(has_left_out);
                let settings = Settings { rules: without(&["*.tmp"]), ..plain() };
                let (found, faults) = survey_of(memory, settings, &Arc::new(KeepAll));
                assert_eq!((faults.len(), found.faults), (1, 1));
                let partition = partition(&found.root, sharing(count, wholes), &found.links);
                check(&tree, &kept(&partition), |path| path.ends_with(b".tmp"));
            }
        }
    }
}

#[test]
fn a_directory_of_which_all_is_left_out_has_few_others_cut() {
    let mut tree = Tree::default();
    for number in 0..4000_u64 {
        assert!(tree.add(format!("d{}/{number}", number / 4).as_bytes(), Node::file(10)));
    }
    assert!(tree.add(b"only/a", Node::file(10)));
    let rules = without(&["/only/*"]);
    let Surveyed { root, links, .. } = surveyed(&tree, Settings { rules, ..plain() });
    let lines = kept(&partition(&root, sharing(8, Wholes::Allowed), &links));
    let bare = |lines: &&Vec<Kept>| lines.iter().any(|line| line.span == Span::Bare);
    let whole = |lines: &&Vec<Kept>| lines.iter().any(|line| line.span == Span::Whole);
    assert_eq!((lines.iter().filter(bare).count(), lines.iter().filter(whole).count()), (1, 7));
    let count: usize = lines.iter().map(Vec::len).sum();
    assert!(count < 1700, "{count} lines, where all others could go whole");
}

#[test]
fn what_was_summed_up_stands_for_what_lies_below() {
    let mut tree = Tree::default();
    for name in ["a/x", "a/y", "b/z"] {
        assert!(tree.add(name.as_bytes(), Node::file(10)));
    }
    let Surveyed { root, links, .. } = surveyed(&tree, plain());
    let lines = kept(&partition(&root, sharing(1, Wholes::Summed), &links)).concat();
    let whole = lines.iter().filter(|line| line.span == Span::Whole).count();
    assert_eq!((whole, lines.len()), (3, 6), "{lines:?}");
}
