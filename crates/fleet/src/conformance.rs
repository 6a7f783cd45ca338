//! What every [`Lister`] promises: one suite that each of them runs.
//!
//! A [`Stage`] shows a described tree to a lister, and `conforms!` runs every promise against it as a test
//! of its own.

use std::collections::BTreeMap;
use std::fmt::Debug;

use model::Kind;
use model::rel_path::is_component;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::amount::Amount;
use crate::lister::{Covers, Links, Lister};

/// A lister of a tree in memory.
pub(crate) mod memory;
/// Trees that listers are shown.
pub(crate) mod tree;
/// The way through all parts.
mod walk;

pub(crate) use self::tree::{Node, Tree};
use self::walk::{Order, Told, Walk};

/// A tree that is shown to a lister, for as long as this lives.
pub(crate) trait Stage: Sync + Sized {
    /// Who tells it.
    type Lister: Lister;

    /// What a line of a directory covers.
    const COVERS: Covers = Covers::Tree;
    /// Whether all names of a file are known to be names of one file.
    const TELLS_LINKS: bool = true;
    /// How many random trees are shown: fewer where that takes long.
    const TREES: u32 = 64;

    /// Shows a tree.
    fn set(tree: &Tree) -> Self;

    /// Who tells it.
    fn lister(&self) -> &Self::Lister;

    /// The path that a person would look for, of one below the root.
    fn person_path(&self, path: &[u8]) -> Vec<u8>;

    /// Whether such an entry can be shown. What cannot is in no tree.
    fn admits(name: &[u8], node: &Node) -> bool {
        let _ = (name, node);
        true
    }

    /// What is to be told of an entry: less than is there where the lister does not know better.
    fn expected(node: &Node) -> (Kind, u64) {
        (node.kind, node.bytes)
    }

    /// Spoils a directory. `false` where that cannot be.
    fn spoil(&self, path: &[u8], how: Spoil) -> bool {
        let _ = (path, how);
        false
    }
}

/// What happens to a directory before it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoil {
    /// It is removed, with all below.
    Remove,
    /// Nobody may read it any more.
    Lock,
}

/// The trees that may be shown.
fn trees<S: Stage>() -> impl Strategy<Value = Tree> {
    tree::any_tree(S::admits)
}

/// Runs a test on random trees.
fn on_random_trees<S: Stage, I: Debug>(
    further: impl Strategy<Value = I>,
    test: impl Fn(&Tree, I) -> Result<(), TestCaseError>,
) {
    let config = Config { cases: S::TREES, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config)
        .run(&(trees::<S>(), further), |(tree, further)| test(&tree, further));
    if let Err(error) = run {
        panic!("{error}");
    }
}

/// What was told is what is there, except for what lies below some paths.
fn check<S: Stage>(tree: &Tree, told: &BTreeMap<Vec<u8>, Told>, lost: &[&[u8]]) {
    let is_lost = |path: &[u8]| lost.iter().any(|lost| tree::is_below(path, lost));
    for (path, node) in tree.iter().filter(|(path, _)| !is_lost(path)) {
        let text = path.escape_ascii();
        let told = told.get(path).unwrap_or_else(|| panic!("{text} was not told"));
        assert_eq!((told.kind, told.bytes), S::expected(node), "{text}");
        check_links::<S>(tree, path, node, told.links);
    }
    for path in told.keys() {
        assert!(tree.get(path).is_some(), "{} was invented", path.escape_ascii());
    }
    check_identities(tree, told);
    for (path, known) in told.iter().filter_map(|(path, told)| Some((path, told.known?))) {
        let holds_lost = lost.iter().any(|lost| lost == path || tree::is_below(lost, path));
        assert!(holds_lost || known == sum(path, told), "{}", path.escape_ascii());
    }
}

fn check_links<S: Stage>(tree: &Tree, path: &[u8], node: &Node, links: Option<Links>) {
    let names = node.group.map_or(1, |group| tree.names_of(group));
    match links {
        Some(links) => {
            assert_ne!(node.kind, Kind::Directory, "{}", path.escape_ascii());
            assert_eq!(links.count, names, "{}", path.escape_ascii());
        }
        None => assert!(names == 1 || !S::TELLS_LINKS, "{}", path.escape_ascii()),
    }
}

/// Names that are told as names of one file are, and no others.
fn check_identities(tree: &Tree, told: &BTreeMap<Vec<u8>, Told>) {
    let linked = || told.iter().filter_map(|(path, told)| Some((path, told.links?.inode)));
    for (path, inode) in linked() {
        let group = |path| tree.get(path).and_then(|node| node.group);
        for (other, other_inode) in linked().filter(|(other, _)| *other > path) {
            let are_one = group(path) == group(other);
            assert_eq!(inode == other_inode, are_one, "{}", other.escape_ascii());
        }
    }
}

/// A directory with all that was told below it.
fn sum(directory: &[u8], told: &BTreeMap<Vec<u8>, Told>) -> Amount {
    let below = told.iter().filter(|(path, _)| tree::is_below(path, directory));
    below.map(|(_, told)| Amount::of_one(told.bytes)).sum::<Amount>() + Amount::of_one(0)
}

pub(crate) fn every_entry_is_told_once_in_any_order<S: Stage>() {
    on_random_trees::<S, _>(any::<u64>(), |tree, seed| {
        let stage = S::set(tree);
        for order in [Order::Newest, Order::Oldest, Order::Any(seed)] {
            check::<S>(tree, &Walk::new(stage.lister(), order).run(1).told, &[]);
        }
        Ok(())
    });
}

pub(crate) fn many_parts_may_be_asked_at_once<S: Stage>() {
    on_random_trees::<S, _>(any::<u64>(), |tree, seed| {
        let stage = S::set(tree);
        check::<S>(tree, &Walk::new(stage.lister(), Order::Any(seed)).run(4).told, &[]);
        Ok(())
    });
}

pub(crate) fn an_empty_tree_is_told<S: Stage>() {
    let stage = S::set(&Tree::default());
    let ended = Walk::new(stage.lister(), Order::Newest).run(1);
    assert!(ended.told.is_empty() && ended.faults.is_empty());
}

pub(crate) fn a_wide_directory_is_told_in_parts_of_any_order<S: Stage>() {
    const CHILDREN: u64 = 5000;
    let mut tree = Tree::default();
    for number in 0..CHILDREN {
        assert!(tree.add(format!("wide/{number}").as_bytes(), Node::file(number)));
        if number % 1000 == 0 {
            assert!(tree.add(format!("wide/below {number}/x").as_bytes(), Node::file(1)));
        }
    }
    let stage = S::set(&tree);
    for (order, threads) in
        [(Order::Newest, 1), (Order::Oldest, 1), (Order::Any(7), 1), (Order::Any(8), 4)]
    {
        check::<S>(&tree, &Walk::new(stage.lister(), order).run(threads).told, &[]);
    }
}

pub(crate) fn a_deep_tree_is_told_to_its_end<S: Stage>() {
    const LEVELS: usize = 30;
    let mut tree = Tree::default();
    let mut path = vec![b'd'; 100];
    for _ in 1..LEVELS {
        assert!(tree.add(&[&path[..], b"/file"].concat(), Node::file(5)));
        path.push(b'/');
        path.extend([b'd'; 100]);
    }
    assert!(tree.add(&path, Node::directory()));
    let stage = S::set(&tree);
    check::<S>(&tree, &Walk::new(stage.lister(), Order::Newest).run(1).told, &[]);
}

pub(crate) fn all_of_it_is_the_sum_of_what_is_told<S: Stage>() {
    on_random_trees::<S, _>(Just(()), |tree, ()| {
        let stage = S::set(tree);
        let total = stage.lister().root().unwrap().total;
        let told = Walk::new(stage.lister(), Order::Newest).run(1).told;
        prop_assert!(total.is_none_or(|total| total == sum(b"", &told)), "{total:?}");
        Ok(())
    });
}

pub(crate) fn whoever_is_asked_is_counted<S: Stage>() {
    let mut tree = Tree::default();
    assert!(tree.add(b"a/b/c", Node::file(1)) && tree.add(b"d/e", Node::directory()));
    let stage = S::set(&tree);
    let before = stage.lister().asked();
    let walk = Walk::new(stage.lister(), Order::Newest);
    // A count that shrinks is seen on the way.
    let ended = walk.run(1);
    assert!(ended.told.len() == 5 && stage.lister().asked() > before);
}

pub(crate) fn paths_are_told_as_a_person_would_look_for_them<S: Stage>() {
    let mut tree = Tree::default();
    assert!(tree.add(b"a/b", Node::file(1)));
    let stage = S::set(&tree);
    for path in [&b""[..], b"a", b"a/b", b"a b/c"] {
        assert_eq!(stage.lister().full_path(path), stage.person_path(path));
    }
    assert_eq!(stage.lister().covers(), S::COVERS);
}

pub(crate) fn a_directory_that_cannot_be_told_is_named_and_others_are_told<S: Stage>() {
    let mut tree = Tree::default();
    for path in [&b"a/x"[..], b"bad/below/x", b"bad/y", b"bad!/x", b"c/bad/x", b"z"] {
        assert!(tree.add(path, Node::file(3)));
    }
    for how in [Spoil::Remove, Spoil::Lock] {
        let stage = S::set(&tree);
        let mut is_spoilt = false;
        let spoil = |path: &[u8]| {
            if path == b"bad" && !is_spoilt {
                is_spoilt = stage.spoil(path, how);
            }
        };
        let ended = Walk::new(stage.lister(), Order::Oldest).run_with(spoil);
        if !is_spoilt {
            check::<S>(&tree, &ended.told, &[]);
            continue;
        }
        check::<S>(&tree, &ended.told, &[b"bad"]);
        let named: Vec<&[u8]> = ended.faults.iter().map(|fault| &*fault.path).collect();
        assert_eq!(named, [&stage.person_path(b"bad")[..]], "{how:?}");
    }
}

/// Names that a walk may be given.
fn assert_sound(name: &[u8]) {
    assert!(is_component(name), "{} is no name", name.escape_ascii());
}

/// Runs each promise as a test of its own against one stage.
macro_rules! keeps {
    ($module:ident, $stage:ty; $($promise:ident)+) => {
        mod $module {
            $(#[test]
            fn $promise() {
                crate::conformance::$promise::<$stage>();
            })+
        }
    };
}

/// Runs them all against a [`Stage`], which is named from the root of the crate.
macro_rules! conforms {
    ($module:ident, $stage:ty) => {
        $crate::conformance::keeps! { $module, $stage;
            every_entry_is_told_once_in_any_order
            many_parts_may_be_asked_at_once
            an_empty_tree_is_told
            a_wide_directory_is_told_in_parts_of_any_order
            a_deep_tree_is_told_to_its_end
            all_of_it_is_the_sum_of_what_is_told
            whoever_is_asked_is_counted
            paths_are_told_as_a_person_would_look_for_them
            a_directory_that_cannot_be_told_is_named_and_others_are_told
        }
    };
}

pub(crate) use {conforms, keeps};
