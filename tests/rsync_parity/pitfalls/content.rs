//! Pitfalls 5, 6, 7, 8, 11 and 17: how content gets to its place, and when it is taken as equal.

use super::{assert_there, check_args, check_blocks, check_items};
use crate::support::parity::Scenario;
use crate::support::snapshot::Stamp;
use crate::support::tree::{Segment, Tree};

#[test]
fn pitfall_05_inplace_writes_through_hard_links() {
    let tree =
        Tree::new().file("src/a", "new data").file("dst/a", "old").hard_link("dst/b", "dst/a");
    let seen = check_args(&tree, "-ai src/ dst");
    assert_eq!(seen.tree.at("dst/b").size, 3, "a new file replaces one name only");
    let seen = check_args(&tree, "-ai --inplace src/ dst");
    assert_eq!(seen.tree.at("dst/b").size, 8, "the shared inode was written");
}

#[test]
fn pitfall_05_inplace_refuses_what_it_cannot_go_with() {
    let tree = Tree::new().file("src/a", "new").dir("dst");
    for options in ["--partial-dir=.p", "--delay-updates"] {
        let seen = check_args(&tree, &format!("-ai --inplace {options} src/ dst"));
        assert_eq!(seen.code(), 1, "{options}");
    }
    let seen = check_args(&tree, "-ai --inplace --backup src/ dst");
    assert_eq!(seen.code(), 0);
}

#[test]
fn pitfall_05_backups_keep_the_attributes_that_are_brought_over() {
    let tree = Tree::new()
        .file("src/a", "new data")
        .file("dst/a", "old")
        .xattr("user.note", "kept")
        .mode(0o640)
        .mtime(1_600_000_007, 5)
        .dir("dst/b");
    for options in ["-aiX --inplace", "-aiX", "-ai --inplace", "-aiX --inplace --backup-dir=b"] {
        let seen = check_args(&tree, &format!("{options} --backup --suffix=~ src/ dst"));
        assert_eq!(seen.code(), 0, "{options}");
    }
}

#[test]
fn pitfall_05_inplace_delta_with_moved_blocks_is_right() {
    let old = vec![
        Segment::Numbers { from: 1000, len: 60_000 },
        Segment::Numbers { from: 90_000, len: 30_000 },
    ];
    let shifted = vec![
        Segment::Bytes(b"in front".to_vec()),
        Segment::Numbers { from: 90_000, len: 30_000 },
        Segment::Numbers { from: 1000, len: 60_000 },
    ];
    let tree =
        Tree::new().segments("src/a", shifted).mtime(1_600_000_007, 0).segments("dst/a", old);
    for options in
        ["--inplace --no-whole-file", "--no-whole-file", "--inplace", "--inplace -S --no-W"]
    {
        let seen = check_args(&tree, &format!("-ai {options} src/ dst"));
        assert_eq!(seen.tree.at("dst/a").hash, seen.tree.at("src/a").hash, "{options}");
    }
}

#[test]
fn pitfall_05_append_trusts_what_is_there_and_skips_what_is_longer() {
    let tree = Tree::new()
        .file("src/grown", "0123456789")
        .file("dst/grown", "01x")
        .file("src/shrunk", "01")
        .file("dst/shrunk", "0xyz")
        .file("src/same", "abc")
        .mtime(1_600_000_009, 0)
        .file("dst/same", "xyz");
    let seen = check_args(&tree, "-ai --append src/ dst");
    assert_eq!(seen.tree.at("dst/shrunk").size, 4, "longer is left alone");
    assert_eq!(seen.tree.at("dst/grown").size, 10);
    assert_ne!(seen.tree.at("dst/grown").hash, seen.tree.at("src/grown").hash, "01x stays");
    assert_ne!(seen.tree.at("dst/same").hash, seen.tree.at("src/same").hash);
    let seen = check_args(&tree, "-ai --append-verify src/ dst");
    assert_eq!(seen.tree.at("dst/grown").hash, seen.tree.at("src/grown").hash);
    assert_eq!(seen.tree.at("dst/shrunk").size, 4);
}

fn holey() -> Tree {
    Tree::new()
        .segments(
            "src/holes",
            vec![
                Segment::Bytes(b"a".to_vec()),
                Segment::Hole(1 << 20),
                Segment::Bytes(b"z".to_vec()),
            ],
        )
        .segments("src/zeros", vec![Segment::Zeros(256 << 10), Segment::Bytes(b"z".to_vec())])
        .segments("src/only", vec![Segment::Hole(512 << 10)])
        .dir("dst")
}

#[test]
fn pitfall_05_sparse_makes_holes_of_zeros() {
    let seen = check_blocks(&Scenario::new(holey(), "-aS src/ dst"));
    assert!(seen.tree.at("dst/holes").blocks < 100);
    assert!(seen.tree.at("dst/zeros").blocks < 100);
    assert_eq!(seen.tree.at("dst/only").blocks, 0);
}

#[test]
fn pitfall_05_sparse_punches_holes_into_what_is_written_in_place() {
    let tree = holey()
        .segments("dst/holes", vec![Segment::Numbers { from: 1, len: 1 << 20 }])
        .mtime(1_500_000_000, 0);
    let seen = check_blocks(&Scenario::new(tree, "-aS --inplace src/ dst"));
    assert!(seen.tree.at("dst/holes").blocks < 100);
    assert_eq!(seen.tree.at("dst/holes").hash, seen.tree.at("src/holes").hash);
}

#[test]
fn pitfall_06_partial_dir_is_excluded_and_removed_when_empty() {
    let tree = Tree::new()
        .file("src/a", "whole file")
        .file("src/.p/inner", "x")
        .file("dst/.p/a", "whole")
        .file("dst/sub/.p/stale", "s")
        .file("src/sub/b", "b");
    let seen = check_args(&tree, "-ai --partial-dir=.p src/ dst");
    assert_there(&seen, &["dst/a", "dst/sub/.p/stale"], &["dst/.p"]);
    let seen = check_args(&tree, "-ai --delete --partial-dir=.p src/ dst");
    assert_there(&seen, &["dst/sub/.p/stale"], &["dst/.p"]);
    let seen = check_args(&tree, "-ai --no-W --partial-dir=.p src/ dst");
    assert_there(&seen, &["dst/a"], &["dst/.p"]);
    let gone = tree.file("dst/gone/.p/left", "l");
    let seen = check_args(&gone, "-ai --delete --partial-dir=.p src/ dst");
    assert_there(&seen, &[], &["dst/gone"]);
}

#[test]
fn pitfall_06_an_absolute_partial_dir_is_shared_and_stays() {
    let tree = Tree::new().file("src/a", "whole file").file("part/a", "whole").dir("dst");
    let seen = check_args(&tree, "-ai --partial-dir=@ROOT@/part src/ dst");
    assert_there(&seen, &["dst/a", "part"], &["part/a"]);
    let tree = Tree::new().file("src/a", "whole file").dir("dst");
    let seen =
        check_items(&Scenario::new(tree, "-ai --partial src/ dst").env("RSYNC_PARTIAL_DIR", ".rp"));
    assert_there(&seen, &["dst/a"], &["dst/.rp"]);
}

#[test]
fn pitfall_07_hard_links_across_directories_stay_links() {
    let tree = Tree::new()
        .file("src/a/first", "data")
        .hard_link("src/z/second", "src/a/first")
        .hard_link("src/third", "src/a/first")
        .symlink("src/link", "x")
        .hard_link("src/a/link", "src/link")
        .file("dst/third", "data");
    let seen = check_args(&tree, "-aH src/ dst");
    assert_eq!(seen.tree.at("dst/z/second").links_to.as_deref(), Some(&b"dst/a/first"[..]));
    assert_eq!(seen.tree.at("dst/third").links_to.as_deref(), Some(&b"dst/a/first"[..]));
    assert_eq!(seen.tree.at("dst/link").links_to.as_deref(), Some(&b"dst/a/link"[..]));
    let seen = check_args(&tree, "-a src/ dst");
    assert_eq!(seen.tree.at("dst/third").links_to, None);
}

#[test]
fn pitfall_07_only_links_inside_the_transfer_count() {
    let tree = Tree::new()
        .file("src/in/a", "data")
        .hard_link("src/out/b", "src/in/a")
        .hard_link("src/in/c", "src/in/a")
        .file("dst/a", "data")
        .hard_link("dst/stranger", "dst/a")
        .file("dst/c", "data");
    let seen = check_args(&tree, "-aH src/in/ dst");
    assert_eq!(seen.tree.at("dst/c").links_to.as_deref(), Some(&b"dst/a"[..]));
    let seen = check_args(&tree, "-aH --exclude=a src/ dst");
    assert_there(&seen, &["dst/in/c", "dst/out/b"], &["dst/in/a"]);
    assert_eq!(seen.tree.at("dst/out/b").links_to.as_deref(), Some(&b"dst/in/c"[..]));
}

#[test]
fn pitfall_07_names_that_are_no_longer_links_are_parted() {
    let tree = Tree::new()
        .file("src/a", "one")
        .file("src/b", "two!")
        .file("dst/a", "one")
        .hard_link("dst/b", "dst/a");
    let seen = check_args(&tree, "-aH src/ dst");
    assert_eq!(seen.tree.at("dst/b").links_to, None);
    assert_eq!(seen.tree.at("dst/a").size, 3);
}

fn snapshots() -> Tree {
    Tree::new()
        .file("src/same", "same")
        .file("src/sub/mode", "mode")
        .mode(0o600)
        .file("src/data", "data")
        .symlink("src/link", "same")
        .file("new1/same", "same")
        .file("new1/sub/mode", "mode")
        .file("new1/data", "dat4")
        .mtime(1_500_000_000, 0)
        .file("new2/data", "data")
        .symlink("new1/link", "same")
        .dir("dst")
}

#[test]
fn pitfall_08_link_dest_is_relative_to_the_destination_and_links_only_what_agrees_in_all() {
    let seen = check_args(&snapshots(), "-ai --link-dest=../new1 --link-dest=../new2 src/ dst");
    assert_eq!(seen.tree.at("new1/same").links_to.as_deref(), Some(&b"dst/same"[..]));
    assert_eq!(seen.tree.at("new2/data").links_to.as_deref(), Some(&b"dst/data"[..]));
    assert_eq!(seen.tree.at("dst/sub/mode").links_to, None, "another mode: a copy of its own");
    assert_eq!(seen.tree.at("dst/sub/mode").mode, 0o600);
    assert_eq!(seen.tree.at("new1/sub/mode").mode, 0o644, "the older one is not touched");
    let seen = check_args(&snapshots(), "-ai --link-dest=new1 src/ dst");
    assert_eq!(seen.tree.at("dst/same").links_to, None, "there is no dst/new1");
    let seen = check_args(&snapshots(), "-ai --link-dest=@ROOT@/new1 src/ dst");
    assert_eq!(seen.tree.at("new1/same").links_to.as_deref(), Some(&b"dst/same"[..]));
}

#[test]
fn pitfall_08_link_dest_with_more_options() {
    for options in [
        "-c",
        "-I",
        "--no-t",
        "--no-p",
        "-O",
        "-H",
        "-ii",
        "--size-only",
        "-n",
        "--modify-window=1",
    ] {
        let seen = check_args(&snapshots(), &format!("-ai {options} --link-dest=../new1 src/ dst"));
        assert_eq!(seen.code(), 0, "{options}");
        let linked = seen.tree.at("new1/same").links_to.is_some();
        assert_eq!(linked, !matches!(options, "-I" | "-n"), "{options}");
    }
}

#[test]
fn pitfall_08_compare_dest_leaves_equal_files_out_and_copy_dest_copies_them() {
    let seen = check_args(&snapshots(), "-ai --compare-dest=../new1 src/ dst");
    assert_there(&seen, &["dst/data", "dst/sub"], &["dst/same"]);
    let seen = check_args(&snapshots(), "-ai --copy-dest=../new1 --copy-dest=../new2 src/ dst");
    assert_there(&seen, &["dst/same", "dst/data", "dst/sub/mode"], &[]);
    assert_eq!(seen.tree.at("dst/same").links_to, None);
    assert_eq!(seen.tree.at("dst/same").mtime, seen.tree.at("src/same").mtime);
}

#[test]
fn pitfall_08_what_compare_dest_leaves_out_goes_from_the_source_if_that_is_asked_for() {
    let tree = snapshots().symlink("src/l", "same").symlink("new1/l", "same");
    for options in ["", "-H", "-n", "--checksum"] {
        let args = format!("-ai {options} --compare-dest=../new1 --remove-source-files src/ dst");
        let seen = check_args(&tree, &args);
        assert_eq!(seen.tree.has("src/same"), options == "-n", "{options}");
        assert_there(&seen, &["new1/same", "src/l"], &["dst/same"]);
    }
}

#[test]
fn pitfall_08_an_older_file_in_the_destination_is_linked_over() {
    let tree = snapshots().file("dst/same", "stale content");
    let seen = check_args(&tree, "-ai --link-dest=../new1 src/ dst");
    assert_eq!(seen.code(), 0);
    let tree = snapshots().file("dst/same", "same");
    let seen = check_args(&tree, "-ai --link-dest=../new1 src/ dst");
    let linked = seen.tree.at("new1/same").links_to.as_deref() == Some(&b"dst/same"[..]);
    assert!(linked, "even a file that is right already is replaced by the link");
}

#[test]
fn pitfall_11_the_quick_check_reads_whole_seconds() {
    let tree = Tree::new()
        .file("src/a", "new")
        .mtime(1_600_000_000, 900_000_000)
        .file("dst/a", "old")
        .mtime(1_600_000_000, 100_000_000);
    let seen = check_args(&tree, "-ai src/ dst");
    assert_ne!(seen.tree.at("dst/a").hash, seen.tree.at("src/a").hash, "taken as equal");
    let seen = check_args(&tree, "-ai -@-1 src/ dst");
    assert_eq!(seen.tree.at("dst/a").hash, seen.tree.at("src/a").hash);
    for (options, copies) in [("-c", true), ("-I", true), ("--size-only", false), ("-u", false)] {
        let seen = check_args(&tree, &format!("-ai {options} src/ dst"));
        assert_eq!(seen.tree.at("dst/a").hash == seen.tree.at("src/a").hash, copies, "{options}");
    }
}

#[test]
fn pitfall_11_modify_window_and_checksum() {
    let tree = Tree::new()
        .file("src/a", "new")
        .mtime(1_600_000_002, 0)
        .file("dst/a", "old")
        .file("src/b", "bbb")
        .mtime(1_700_000_000, 0)
        .file("dst/b", "bbb");
    for (options, copies) in
        [("--modify-window=1", true), ("--modify-window=2", false), ("--modify-window=0", true)]
    {
        let seen = check_args(&tree, &format!("-ai {options} src/ dst"));
        assert_eq!(seen.tree.at("dst/a").hash == seen.tree.at("src/a").hash, copies, "{options}");
    }
    let seen = check_args(&tree, "-aic src/ dst");
    assert_eq!(seen.tree.at("dst/b").mtime, Stamp::At(1_700_000_000, 0), "only its time was wrong");
}

#[test]
fn pitfall_11_update_skips_newer_files_but_not_other_kinds() {
    let tree = Tree::new()
        .file("src/a", "new")
        .file("dst/a", "newer")
        .mtime(1_700_000_000, 0)
        .file("src/b", "file")
        .symlink("dst/b", "x")
        .mtime(1_700_000_000, 0)
        .file("src/c", "new")
        .mtime(1_700_000_000, 1)
        .file("dst/c", "newer")
        .mtime(1_700_000_000, 2);
    let seen = check_args(&tree, "-aiu src/ dst");
    assert_eq!(seen.tree.at("dst/a").size, 5);
    assert_eq!(seen.tree.at("dst/b").kind, '-');
}

#[test]
fn pitfall_17_no_staging_files_stay_and_old_ones_are_not_touched() {
    let long = "n".repeat(255);
    let tree = Tree::new()
        .file(format!("src/{long}"), "long")
        .file("src/a", "x")
        .file("dst/.a.Xyz123", "old");
    let seen = check_args(&tree, "-ai src/ dst");
    assert_eq!(seen.code(), 0);
    let names: Vec<_> =
        seen.tree.entries.keys().filter(|path| path.starts_with(b"dst/.")).collect();
    assert_eq!(names, [b"dst/.a.Xyz123"]);
    let seen = check_args(&tree.dir("tmp"), "-ai --temp-dir=@ROOT@/tmp --delete src/ dst");
    assert_there(&seen, &["dst/a", "tmp"], &["dst/.a.Xyz123"]);
}

#[test]
fn pitfall_17_delay_updates_leaves_nothing_behind() {
    let tree = Tree::new().file("src/a", "new").file("src/sub/b", "new").file("dst/a", "old one");
    let seen = check_args(&tree, "-ai --delay-updates --delete src/ dst");
    assert_eq!(seen.tree.at("dst/a").size, 3);
    assert_there(&seen, &["dst/sub/b"], &["dst/.~tmp~", "dst/sub/.~tmp~"]);
}
