//! How often a job waits for the way between the hosts.
//!
//! One worker asks, and each time that it has to wait for an answer counts as a round trip. So what is
//! counted neither depends on how fast anything is, nor on how many workers hide what is left.

use std::num::NonZeroUsize;

use model::settings::{Depth, Workers};

use super::*;

/// Round trips that any job takes: its source is opened and looked at.
const BEGIN: u64 = 2;

/// Brings `from` over with one worker and says how many round trips that took.
fn trips(
    session: &Arc<Session>,
    from: &Path,
    to: &Path,
    change: impl FnOnce(&mut Settings),
) -> u64 {
    session.take_round_trips();
    let outcome = bring_with(session, from, to, |settings| {
        settings.limits.workers = Workers::Fixed(NonZeroUsize::MIN);
        change(settings);
    });
    assert_eq!((outcome.summary.faults, outcome.stopped), (0, None));
    session.take_round_trips()
}

/// A file in a directory of the tree, which is made.
fn write(tree: &Tree, path: &str, content: &[u8]) {
    let mut dir = tree.here.clone();
    let (way, name) = path.rsplit_once('/').unwrap_or(("", path));
    for name in way.split('/').filter(|name| !name.is_empty()).map(str::as_bytes) {
        dir.make_dir(name, 0o700).ok();
        dir = dir.open_child(name, AccessTime::Keep).unwrap();
    }
    dir.create_file(name.as_bytes(), 0o644).unwrap().write_all_at(content, 0).unwrap();
}

#[track_caller]
fn at_most(limit: u64, trips: u64) {
    assert!(trips <= limit, "{trips} round trips, not {limit}");
}

#[test]
fn directories_beside_one_another_are_listed_in_few() {
    const DIRS: u64 = 1000;
    let tree = Tree::new();
    for number in 0..DIRS {
        write(&tree, &format!("dir{number}/file"), b"x");
    }
    let to = tempfile::tempdir().unwrap();
    bring(&tree.session, tree.scratch.path(), to.path());
    let again = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    // Room is left for others, so that not all are asked for at once.
    at_most(BEGIN + DIRS / 100, again);
}

#[test]
fn directories_behind_many_that_are_done_with_are_begun_as_well() {
    const SIDES: u64 = 8;
    const DIRS: u64 = 50;
    // Far fewer may be open than there are.
    let tree = Tree::with(Capacity { handles: 256, ..Capacity::default() });
    for side in 0..SIDES {
        for number in 0..DIRS {
            write(&tree, &format!("side{side}/dir{number}/file"), b"x");
        }
    }
    let to = tempfile::tempdir().unwrap();
    bring(&tree.session, tree.scratch.path(), to.path());
    let again = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    at_most(BEGIN + 3 * SIDES, again);
}

#[test]
fn the_files_of_a_directory_come_in_one_whatever_the_first_of_them_is() {
    const DIRS: u64 = 20;
    let tree = Tree::new();
    for number in 0..DIRS {
        for (name, content) in [("a-is-empty", ""), ("b", "x"), ("c-is-empty", ""), ("d", "x")] {
            write(&tree, &format!("dir{number}/{name}"), content.as_bytes());
        }
    }
    let to = tempfile::tempdir().unwrap();
    let first = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    at_most(BEGIN + DIRS + 2, first);
}

#[test]
fn a_deep_tree_takes_one_for_each_level() {
    const LEVELS: u64 = 12;
    let tree = Tree::new();
    let mut path = String::new();
    for level in 0..LEVELS {
        for side in ["a", "b", "c"] {
            write(&tree, &format!("{path}{side}{level}/file"), b"x");
        }
        path = format!("{path}b{level}/");
    }
    let to = tempfile::tempdir().unwrap();
    bring(&tree.session, tree.scratch.path(), to.path());
    let again = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    at_most(BEGIN + LEVELS, again);
}

#[test]
fn small_files_come_many_in_one() {
    const FILES: u64 = 1000;
    let tree = Tree::new();
    for number in 0..FILES {
        tree.write(&format!("file{number}"), &content(4096));
    }
    let to = tempfile::tempdir().unwrap();
    let first = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    // One for each batch, of which a job with as many workers as pay off has many at a time.
    at_most(BEGIN + FILES.div_ceil(64) + 2, first);
    let again = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    at_most(BEGIN + 2, again);
}

#[test]
fn what_had_no_room_is_asked_for_as_soon_as_there_is_some() {
    const FILES: u64 = 64;
    // Not all of one batch may be on their way at once.
    let tree = Tree::with(Capacity { window_bytes: 0, ..Capacity::default() });
    for number in 0..FILES {
        tree.write(&format!("file{number}"), &content(250_000));
    }
    let to = tempfile::tempdir().unwrap();
    let first = trips(&tree.session, tree.scratch.path(), to.path(), |_| {});
    at_most(BEGIN + 8, first);
}

#[test]
fn directories_that_names_are_picked_in_are_begun_before_their_turn() {
    const DIRS: u64 = 200;
    let tree = Tree::new();
    let names: Vec<_> = (0..DIRS).map(|number| format!("dir{number}/sub/file")).collect();
    for name in &names {
        write(&tree, name, b"x");
    }
    let to = tempfile::tempdir().unwrap();
    let listed = |settings: &mut Settings| {
        settings.traverse.relative = true;
        settings.traverse.depth = Depth::Directories;
        settings.traverse.implied_dirs = true;
        settings.traverse.files_from =
            Some(names.iter().map(|name| name.as_bytes().into()).collect());
    };
    let first = trips(&tree.session, tree.scratch.path(), to.path(), listed);
    let again = trips(&tree.session, tree.scratch.path(), to.path(), listed);
    // For the content of each one.
    at_most(BEGIN + DIRS + 2, first);
    at_most(BEGIN + 2, again);
}
