//! Buckets of what was not left out: by rules, on one file system, snapshots.

use crate::buckets::{all_paths, assert_moves_the_whole, cut};
use crate::lab::{self, Lab};

fn tree(lab: &Lab) {
    for (number, name) in [
        "a/keep.txt",
        "a/drop.o",
        "a/deep/drop.o",
        "a/deep/more/keep.txt",
        "only/drop.o",
        "only/drop2.o",
        "cache/one",
        "cache/deep/two",
        "b/cache/three",
        "b/file",
        "loose",
        "loose.o",
    ]
    .iter()
    .enumerate()
    {
        lab.file(format!("src/{name}"), vec![b'x'; 1000 * (number + 1)]);
    }
    lab.dir("src/empty");
    lab::age(&lab.path("src"));
}

#[test]
fn what_rules_leave_out_arrives_by_no_bucket() {
    let lab = Lab::new();
    tree(&lab);
    for rules in [
        "--exclude=*.o",
        "--exclude=cache/",
        "--exclude=/cache/deep --exclude=*.o",
        "--include=drop.o --exclude=*.o --exclude=/b",
        "--filter=-_/a/deep/more",
    ] {
        for sharing in ["-b 1", "-b 3", "-b 5"] {
            assert_moves_the_whole(&lab, &format!("{sharing} {rules}"), "", rules);
        }
    }
    assert_moves_the_whole(
        &lab,
        "-b 3 --format=rsync-filter --exclude=*.o --exclude=/cache/",
        "",
        "--exclude=*.o --exclude=/cache/",
    );
}

#[test]
fn snapshots_are_left_out_and_told_unless_they_are_asked_for() {
    let lab = Lab::new();
    tree(&lab);
    for name in [".zfs/snapshot/old/file", ".snapshot/daily/file", "a/.snapshots/file"] {
        lab.file(format!("src/{name}"), "as it was");
    }
    lab.file("src/b/.zfs", "a file of that name");
    lab::age(&lab.path("src"));
    let without = "--exclude=.zfs/ --exclude=.snapshot*/";
    assert_moves_the_whole(&lab, "-b 3", "", without);
    assert_moves_the_whole(&lab, "-b 3 --format=rsync-filter", "", without);
    assert_moves_the_whole(&lab, "-b 3 --include-snapshots", "", "");
    assert_moves_the_whole(&lab, "--max-files=4 --include-snapshots", "", "");
    let done = lab.lanesync("manifest src -b 2 -o told").go().expect(0);
    done.complains(&["3 directories of snapshots", "--include-snapshots"]);
    let done = lab.lanesync("manifest src -b 2 -o untold --include-snapshots").go().expect(0);
    assert!(!done.stderr.contains("snapshot"), "{done}");
}

#[test]
fn other_file_systems_are_left_out_on_request() {
    let lab = Lab::new();
    tree(&lab);
    lab.mount_tmpfs("src/a/mounted", "size=1m,mode=750");
    lab.file("src/a/mounted/deep/file", "on another file system");
    lab::age(&lab.path("src"));
    for sharing in ["-b 1", "-b 3", "-b 7"] {
        assert_moves_the_whole(&lab, &format!("{sharing} -x"), "", "-x");
        assert_moves_the_whole(&lab, sharing, "", "");
    }
    let paths = all_paths(&cut(&lab, "-b 3 --one-file-system"));
    assert!(paths.iter().all(|path| !path.starts_with("a/mounted/deep")), "{paths:?}");
}
