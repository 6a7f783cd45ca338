//! Buckets of whole trees: each mover makes of all of them what rsync makes of the tree at once.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use crate::buckets::{assert_moves_the_whole, assert_same, cut, move_at_once, move_in_turn};
use crate::lab::{self, Lab};
use crate::support::generate::{self, Profile};
use crate::support::rng::Rng;
use crate::support::run::RunAs;
use crate::support::tree::{Kind, Tree};

/// The ways to say how many buckets there are.
const SHARINGS: [&str; 6] =
    ["-b 1", "-b 2", "-b 5", "--max-size=20k", "--max-files=7", "--max-size=64k --max-files=20"];

/// A tree of this seed in `src`; where `lines` is true, without names that have line ends.
fn random(lab: &Lab, seed: u64, lines: bool) {
    let profile = Profile { run_as: RunAs::Caller, size: 60 };
    let mut tree = generate::tree(&mut Rng::new(seed), b"src", profile);
    if lines {
        tree.nodes.retain(|node| !node.path.contains(&b'\n'));
    }
    tree.build(&lab.path(""), (0, 0));
}

/// What lists get wrong, by hand.
fn odd() -> Tree {
    Tree::new()
        .dir("src")
        .mode(0o2751)
        .owner(1234, 4321)
        .mtime(1_234_567_890, 123_456_789)
        .file("src/#x", "taken for a comment")
        .file("src/;x", "and this")
        .file("src/ lead", "blank first")
        .file("src/trail ", "blank last")
        .file("src/-n", "taken for an option")
        .file("src/~", "taken for a home")
        .file("src/caf\u{e9}/\u{1f600}", "told by many bytes")
        .file(b"src/\xff\xfe/\x01\x7f", "told by no character")
        .file("src/[a]*?{b}\\", "taken for a pattern")
        .file("src/h:ost", "taken for a host")
        .file("src/half/loose", "beside a directory")
        .file("src/half/deep/down/file", vec![b'x'; 50_000])
        .mode(0o4755)
        .hard_link("src/half/linked", "src/half/deep/down/file")
        .hard_link("src/other/linked too", "src/half/deep/down/file")
        .symlink("src/half/link", "deep")
        .symlink("src/nowhere", "/nowhere")
        .add("src/other/pipe", Kind::Fifo)
        .add("src/other/socket", Kind::Socket)
        .add("src/null", Kind::Char(1, 3))
        .dir("src/empty")
        .mode(0o1777)
        .mtime(1_111_111_111, 0)
        .dir("src/hollow/inner/innermost")
        .mode(0o700)
        .mtime(1_222_222_222, 5)
        .dir("src/foo")
        .dir("src/foo-bar")
        .file("src/foo-bar/file", "no prefix of it")
        .file("src/foo/file", "of this")
        .file("src/foo.d/file", "nor of this")
}

fn odd_lab() -> Lab {
    let lab = Lab::new();
    odd().build(&lab.path(""), (0, 0));
    lab
}

#[test]
fn a_tree_of_odd_things_arrives_by_rsync_however_it_is_cut() {
    let lab = odd_lab();
    for sharing in SHARINGS.iter().chain(&["-b 100", "--max-size=1", "--max-files=1"]) {
        assert_moves_the_whole(&lab, sharing, "-H", "");
        assert_moves_the_whole(&lab, &format!("{sharing} --by=cost"), "", "");
    }
    for by in ["size", "capacity", "files", "cost --entry-price=1M"] {
        assert_moves_the_whole(&lab, &format!("-b 4 --by={by}"), "-H", "");
    }
}

#[test]
fn random_trees_arrive_by_rsync_however_they_are_cut() {
    for (seed, sharing) in (1..).zip(SHARINGS.iter().cycle()).take(12) {
        let lab = Lab::new();
        random(&lab, seed, true);
        assert_moves_the_whole(&lab, sharing, "-H", "");
    }
}

#[test]
fn random_trees_arrive_with_line_ends_in_names() {
    for (seed, sharing) in (100..).zip(SHARINGS.iter().cycle()).take(12) {
        let lab = Lab::new();
        random(&lab, seed, false);
        lab.file("src/a\nb/c\r\nd", "line ends");
        lab.file("src/a\nb/\n", "nothing else");
        lab::age(&lab.path("src/a\nb"));
        lab::set_mtime(&lab.path("src"), 1_300_000_000);
        assert_moves_the_whole(&lab, &format!("--format=rsync0 {sharing}"), "-H", "");
    }
}

#[test]
fn random_trees_arrive_by_filter_files() {
    for (seed, buckets) in (200..).zip([1, 2, 5].iter().cycle()).take(6) {
        let lab = Lab::new();
        random(&lab, seed, true);
        assert_moves_the_whole(&lab, &format!("--format=rsync-filter -b {buckets}"), "-H", "");
    }
    assert_moves_the_whole(&odd_lab(), "--format=rsync-filter -b 3", "-H", "");
}

#[test]
fn what_is_made_after_the_cut_arrives_once_by_filter_files() {
    let lab = odd_lab();
    let buckets = cut(&lab, "--format=rsync-filter -b 4");
    let mut made = vec!["src/new".to_owned(), "src/new folder/new".to_owned()];
    for folder in ["half", "half/deep/down", "empty", "foo", "foo-bar", "other", "hollow/inner"] {
        made.push(format!("src/{folder}/new"));
        made.push(format!("src/{folder}/new folder/new"));
    }
    for name in &made {
        lab.file(name, "made after the cut");
    }
    lab::age(&lab.path("src"));
    // Each of them goes to a directory of its own, so that who brings what can be seen.
    let mut times = vec![0; made.len()];
    for (number, bucket) in buckets.iter().enumerate() {
        let alone = format!("alone{number}");
        move_in_turn(&lab, std::slice::from_ref(bucket), &alone, "");
        for (name, times) in made.iter().zip(&mut times) {
            let there = lab.path(name.replacen("src", &alone, 1)).exists();
            *times += i32::from(there);
        }
    }
    let found: Vec<_> = made.iter().zip(&times).collect();
    assert!(found.iter().all(|(_, times)| **times == 1), "{found:?}");
    lab.rsync("-aH src/ whole/").go().expect(0);
    move_at_once(&lab, &buckets, "at-once", "-H");
    assert_same(&lab, "at-once", "whole", "with what is new");
}

/// What rclone has no words for: empty directories, links, devices, pipes and sockets.
fn unnamed(lab: &Lab) -> [usize; 4] {
    let mut counts = [0; 4];
    for path in lab::paths(&lab.path("src")) {
        let kind = path.symlink_metadata().unwrap().file_type();
        let is_empty = || fs::read_dir(&path).unwrap().next().is_none();
        let place = match () {
            () if kind.is_dir() && is_empty() => 0,
            () if kind.is_symlink() => 1,
            () if kind.is_char_device() || kind.is_block_device() => 2,
            () if kind.is_fifo() || kind.is_socket() => 3,
            () => continue,
        };
        counts[place] += 1;
    }
    counts
}

fn assert_arrives_by_rclone(lab: &Lab, sharing: &str, case: &str) {
    let buckets = cut(lab, &format!("--format=rclone {sharing}"));
    move_in_turn(lab, &buckets, "in-turn", "");
    let source = lab::contents(&lab.path("src"));
    assert!(lab::contents(&lab.path("in-turn")) == source, "{case} in turn");
    move_at_once(lab, &buckets, "at-once", "");
    assert!(lab::contents(&lab.path("at-once")) == source, "{case} at once");
    let said = lab.lanesync(&format!("manifest src -o more --format=rclone {sharing}")).go();
    let said = said.expect(0);
    let words = ["empty directories", "symbolic links", "devices", "pipes and sockets"];
    for (count, what) in unnamed(lab).into_iter().zip(words) {
        let told = format!("{count} {what}");
        assert_eq!(said.stderr.contains(&told), count > 0, "{told} of {case}: {said}");
    }
}

#[test]
fn files_arrive_by_rclone_and_what_it_cannot_name_is_counted() {
    assert_arrives_by_rclone(&odd_lab(), "-b 3", "odd things");
    for (seed, sharing) in (300..).zip(["-b 2", "-b 5", "--max-size=20k"]) {
        let lab = Lab::new();
        random(&lab, seed, false);
        assert_arrives_by_rclone(&lab, sharing, &format!("seed {seed}"));
    }
}
