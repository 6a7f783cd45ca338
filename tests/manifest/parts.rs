//! Buckets of what was not left out: by rules, on one file system, snapshots, by a list; and how deep a
//! tree is cut.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::buckets::{
    all_paths, assert_moves_the_whole, assert_same, buckets, cut, files, move_in_turn,
};
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
        for sharing in ["-b 1", "-b 3", "-b 5", "--max-files=4", "--max-size=9K"] {
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
fn where_all_is_left_out_nothing_arrives() {
    let lab = Lab::new();
    tree(&lab);
    for (sharing, copy) in [("-b 1", "one"), ("-b 3", "three"), ("--max-files=4", "packed")] {
        let buckets = cut(&lab, &format!("{sharing} --exclude=*"));
        lab.dir(copy);
        move_in_turn(&lab, &buckets, copy, "");
        assert_eq!(files(&lab.path(copy)), Vec::<PathBuf>::new(), "{sharing}");
        fs::remove_dir_all(lab.path("lists")).unwrap();
    }
}

#[test]
fn what_rules_leave_out_of_a_list_of_sums_arrives_by_no_bucket() {
    let lab = Lab::new();
    tree(&lab);
    let mut du = Command::new("du");
    let sums = du.args(["-al", "."]).current_dir(lab.path("src")).output().unwrap();
    lab.file("list", sums.stdout);
    let words = "--from-list=list --list-format=du --exclude=*.o";
    for sharing in ["-b 2", "-b 4", "--max-files=4"] {
        assert_moves_the_whole(&lab, &format!("{sharing} {words}"), "", "--exclude=*.o");
    }
    // One call cannot both go down into directories and not.
    let done = lab.lanesync(&format!("manifest src -o one -b 1 {words}")).go().expect(4);
    done.complains(&["no call of rsync moves both"]);
    assert_eq!(files(&lab.path("one")), Vec::<PathBuf>::new());
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

#[test]
fn no_directory_below_a_depth_is_cut() {
    let lab = Lab::new();
    tree(&lab);
    lab.rsync("-a src/ whole/").go().expect(0);
    for depth in 0..4 {
        for sharing in ["-b 4", "--max-files=2"] {
            let buckets = cut(&lab, &format!("{sharing} --depth={depth}"));
            let paths = all_paths(&buckets);
            let deepest = paths.iter().map(|path| path.components().count()).max();
            assert!(deepest <= Some(depth.max(1)), "{depth}, {sharing}: {paths:?}");
            let copy = format!("copy{depth}");
            move_in_turn(&lab, &buckets, &copy, "");
            assert_same(&lab, &copy, "whole", sharing);
            fs::remove_dir_all(lab.path("lists")).unwrap();
        }
    }
}

#[test]
fn what_a_list_does_not_name_is_moved_by_no_bucket() {
    let lab = Lab::new();
    tree(&lab);
    lab.file("src/a/deep/secret", "in a directory of which the list names something");
    lab.file("src/secret", "beside what it names");
    lab::age(&lab.path("src"));
    let named = ["a/keep.txt", "a/deep/drop.o", "a/deep/more/keep.txt", "only/drop.o", "b/file"];
    lab.file("named", named.map(|name| format!("{name}\n")).concat());
    let sizes = named
        .map(|name| format!("{} ./{name}\n", lab.path("src").join(name).metadata().unwrap().len()));
    lab.file("sizes", sizes.concat());
    lab.file("below", named.map(|name| format!("./{name}\n")).concat());
    lab.rsync("-a --files-from=below src/ whole/").go().expect(0);
    for list in ["named", "sizes"] {
        for sharing in
            ["-b 1", "-b 2", "-b 9", "--max-size=1G", "--max-size=3k", "--max-files=2 --live"]
        {
            for more in ["", "--depth=1", "--exclude=nothing"] {
                let words = format!("--from-list={list} {sharing} {more}");
                move_in_turn(&lab, &cut(&lab, &words), "copy", "");
                assert_same(&lab, "copy", "whole", &words);
                for made in ["copy", "lists"] {
                    fs::remove_dir_all(lab.path(made)).unwrap();
                }
            }
        }
    }
}

#[test]
fn what_a_list_names_is_told_as_what_it_is() {
    let lab = Lab::new();
    lab.file("src/10 Years After/a", "content");
    lab.file("src/10 full/file", "of which the list does not tell");
    std::os::unix::fs::symlink("a", lab.path("src/10 link")).unwrap();
    lab.file("list", "10 Years After/a\n10 full\n10 link\n");
    let done = lab.lanesync("manifest src --from-list=list -b 1 --format=rclone -o lists").go();
    let done =
        done.expect(0).complains(&["1 directories that are named without", "1 symbolic links"]);
    assert!(!done.stderr.contains("empty"), "{done}");
    done.complains(&["every line of the list is taken for a path"]);
    let list = files(&lab.path("lists")).pop().unwrap();
    assert_eq!(fs::read(list).unwrap(), b"10 Years After/a\n");
    // Of a tree that lies elsewhere nobody knows it, and sizes they are.
    let done = lab.lanesync("manifest there --from-list=list -b 1 --format=rclone -o more").go();
    let done = done.expect(0).complains(&["3 lines of the list are taken for files", "%p/"]);
    done.complains(&["every line of the list is taken for a size"]);
}

#[test]
fn what_a_list_names_and_is_not_there_is_named() {
    let lab = Lab::new();
    tree(&lab);
    std::os::unix::fs::symlink("a", lab.path("src/way")).unwrap();
    // The last line is of a list that ends its lines as Windows does.
    lab.file("gone", "b/file\na/keep.txt\na/lost\nlost/one\nlost/two\nb/file\r\n");
    lab.file("linked", "b/file\na/keep.txt\nway/keep.txt\n");
    for form in ["rclone", "robocopy", "json"] {
        for sharing in ["-b 1", "-b 2", "--max-files=2"] {
            let words = format!("manifest src {sharing} --format={form} -o lists --from-list");
            let done = lab.lanesync(&format!("{words}=gone")).go().expect(24);
            done.complains(&["\"src/a/lost\"", "vanished"])
                .complains(&["\"src/lost\"", "vanished"])
                .complains(&["\"src/b/file\\", "vanished"]);
            fs::remove_dir_all(lab.path("lists")).unwrap();
            let done = lab.lanesync(&format!("{words}=linked")).go().expect(23);
            done.complains(&["\"src/way\"", "no link is followed"]);
            fs::remove_dir_all(lab.path("lists")).unwrap();
        }
    }
    let words = "manifest src -b 1 --format=rclone -o lists --from-list=gone";
    lab.lanesync(words).go().expect(24);
    let list = files(&lab.path("lists")).pop().unwrap();
    assert_eq!(fs::read(list).unwrap(), b"a/keep.txt\nb/file\n");
}

#[test]
fn no_line_of_a_list_leads_out_of_the_source_by_a_link() {
    let lab = Lab::new();
    tree(&lab);
    lab.file("secrets/key", "of somebody else");
    std::os::unix::fs::symlink("../secrets", lab.path("src/way")).unwrap();
    lab.file("list", "b/file\nway/key\n");
    for sharing in ["-b 1", "-b 2", "--max-size=1G"] {
        let words = format!("manifest src {sharing} --from-list=list -o lists --json");
        let done = lab.lanesync(&words).go().expect(23);
        assert!(done.stdout.contains("\"path\":\"src/way\""), "{done}");
        move_in_turn(&lab, &buckets(&lab, &done), "copy", "");
        assert!(lab.path("copy/b/file").exists());
        assert!(lab.path("copy/way").is_symlink(), "{words}");
        for made in ["copy", "lists"] {
            fs::remove_dir_all(lab.path(made)).unwrap();
        }
    }
}

#[test]
fn names_of_one_file_may_be_parted_by_a_list_which_is_told() {
    let lab = Lab::new();
    lab.file("src/a", "content");
    fs::hard_link(lab.path("src/a"), lab.path("src/b")).unwrap();
    lab.file("list", "a\nb\n");
    let done = lab.lanesync("manifest src --from-list=list -b 2 -o lists").go().expect(0);
    done.complains(&["several names", "several buckets"]);
    for words in ["--from-list=list -b 1", "--from-list=list -b 2 --format=rclone", "-b 2"] {
        let done = lab.lanesync(&format!("manifest src {words} -o more")).go().expect(0);
        assert!(!done.stderr.contains("several names"), "{words}: {done}");
        fs::remove_dir_all(lab.path("more")).unwrap();
    }
}
