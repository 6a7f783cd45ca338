//! Corners that random comparison has found: each had been got wrong once.

use super::{assert_there, check_args, check_blocks, check_items};
use crate::support::parity::{Scenario, Scope, check};
use crate::support::tree::{Acl, Kind, Segment, Tree};

#[test]
fn what_was_moved_is_not_deleted_at_the_destination() {
    let tree = Tree::new()
        .file("src/sub/file", "x")
        .file("src/top", "x")
        .hard_link("src/sub/second", "src/sub/file")
        .file("dst/sub/extra", "e")
        .file("dst/extra", "e");
    for when in ["--delete-after", "--delete-delay", "--delete --max-delete=9", "--delete-before"] {
        let seen = check_args(&tree, &format!("-a --remove-source-files {when} src/ dst"));
        let gone = ["dst/extra", "dst/sub/extra", "src/top", "src/sub/file"];
        assert_there(&seen, &["dst/top", "dst/sub/file"], &gone);
        check_args(&tree, &format!("-am --remove-source-files {when} src/ dst"));
        let seen = check_args(&tree, &format!("-aH --remove-source-files {when} src/ dst"));
        assert_there(&seen, &["dst/sub/file", "dst/sub/second"], &gone);
    }
}

#[test]
fn nothing_is_moved_out_of_where_a_link_leads() {
    let tree = Tree::new()
        .file("other/file", "x")
        .hard_link("other/second", "other/file")
        .symlink("src/link", "../other");
    for args in ["-aL", "-aLH"] {
        let seen = check_args(&tree, &format!("{args} --remove-source-files src/ dst"));
        assert_eq!(seen.code(), 23);
        let there = ["other/file", "other/second", "dst/link/file", "dst/link/second"];
        assert_there(&seen, &there, &[]);
    }
}

#[test]
fn ignore_existing_keeps_a_file_where_a_directory_should_be() {
    let tree = Tree::new().file("src/name/inner", "x").file("dst/name", "kept").dir("src/empty");
    let seen = check_args(&tree, "-r --ignore-existing src/ dst");
    assert_eq!(seen.code(), 23);
    assert_eq!(seen.tree.at("dst/name").kind, '-');
    assert_there(&seen, &["dst/empty"], &["dst/name/inner"]);
}

#[test]
fn an_obstacle_is_left_alone_until_it_is_replaced() {
    let tree = Tree::new().dir("src/name").file("dst/name", "old").file("dst/extra", "e");
    let seen = check_args(&tree, "-rti --delete-before src/ dst");
    assert_eq!(seen.tree.at("dst/name").kind, 'd');
    let full = Tree::new().file("src/name", "x").file("dst/name/inner", "in the way");
    assert_eq!(check_args(&full, "-rn src/ dst").code(), 23);
    assert_eq!(check_args(&full, "-rni --delete src/ dst").code(), 0);
}

#[test]
fn each_source_gives_its_own_attributes() {
    let acl = Acl { users: vec![(1234, 7)], groups: vec![], group_obj: 5, mask: 7 };
    let tree = Tree::new().dir("src/a").default_acl(acl).file("src/a/file", "x");
    let seen = check_args(&tree, "-aA src/./a/file src/ dst");
    assert!(seen.tree.at("dst").xattrs.is_empty());
    let tree = Tree::new().file("src/z/z", "x").file("src/other", "x");
    assert_eq!(check_args(&tree, "-a src/z/z src/ dst").code(), 0);
}

#[test]
fn directories_tell_of_a_mode_that_an_acl_changes() {
    let acl = Acl { users: vec![(1234, 7)], groups: vec![], group_obj: 5, mask: 4 };
    let tree = Tree::new().dir("src/d").dir("dst/d").acl(acl.clone());
    assert!(check_args(&tree, "-rAi src/ dst").stdout().contains(".d...p...a. d/"));
    // The owning group's entry goes with the mode where it is as wide as the mask.
    let wide = Acl { group_obj: 7, mask: 7, ..acl };
    let tree = Tree::new().dir("src/d").acl(wide.clone()).file("src/f", "x").acl(wide);
    assert!(!check_args(&tree, "-rA --no-perms src/ dst").tree.at("dst/d").xattrs.is_empty());
}

#[test]
fn a_directory_passes_on_its_group_from_the_start() {
    let tree = Tree::new()
        .dir("src/d")
        .mode(0o2775)
        .dir("src/d/new")
        .dir("dst/d")
        .owner(0, 1234)
        .mode(0o755);
    assert_eq!(check_args(&tree, "-rp src/ dst").tree.at("dst/d/new").gid, 1234);
    let tree = Tree::new().dir("src/d/new").dir("dst/d").owner(0, 1234).mode(0o2775);
    assert_eq!(check_args(&tree, "-a --fake-super src/ dst").tree.at("dst/d/new").gid, 0);
}

#[test]
fn an_owner_that_changes_a_setuid_file_is_told_as_rsync_tells_it() {
    let tree = Tree::new().file("src/f", "x").mode(0o644).file("dst/f", "x").mode(0o4711);
    let seen = check_args(&tree, "-ai --chown=1234:1 src/ dst");
    assert_eq!(seen.tree.at("dst/f").uid, 1234);
    let seen = check_args(&tree, "-rtgoi --chown=1234:1 src/ dst");
    assert_eq!(seen.tree.at("dst/f").uid, 1234);
}

#[test]
fn fake_super_writes_what_it_finds_missing() {
    let tree = Tree::new().file("src/f", "x").mode(0o444).file("dst/f", "x").mode(0o444);
    let seen = check_args(&tree, "-a --fake-super src/ dst");
    assert_eq!(seen.tree.at("dst/f").mode, 0o644);
    assert_eq!(seen.tree.at("dst/f").xattrs.len(), 1);
    let sockets = Tree::new().add("src/s", Kind::Socket).add("dst/s", Kind::Socket);
    check_args(&sockets, "-a --fake-super src/ dst");
    let named = Tree::new().file("src/f", "x").xattr("trusted.note", "1");
    let seen = check_args(&named, "-aX --fake-super src/ dst");
    assert!(seen.tree.at("dst/f").xattrs.contains_key(&b"user.rsync.trusted.note"[..]));
}

#[test]
fn an_ordinary_user_gets_along_without_permissions() {
    let check = |tree: &Tree, args: &str| check_items(&Scenario::new(tree.clone(), args).by_user());
    // Readable, but not to be entered.
    let locked = Tree::new().dir("src/d").mode(0o400);
    let seen = check(&locked, "-a src/d/ dst/");
    assert_eq!((seen.code(), seen.tree.at("dst").mode), (23, 0o755));
    // -d does not look into directories.
    let closed = Tree::new().dir("src").dir("src/d").mode(0o100);
    assert_eq!(check(&closed, "-lptgoD -d src/ dst/").code(), 0);
    // Attributes of a file that is read-only.
    let tree = Tree::new().dir("src").file("src/f", "x").mode(0o444).xattr("user.a", "1");
    assert_eq!(check(&tree, "-aX src/ dst/").tree.at("dst/f").xattrs.len(), 1);
    // Files that are written in place, and may not be.
    for mode in [0o200, 0o444] {
        let tree = Tree::new().file("src/f", "new").file("dst/f", "o").mode(mode);
        assert_eq!(check(&tree, "-a --inplace src/ dst/").code(), 0);
    }
    // What cannot be listed goes if it is empty; what cannot be searched stays.
    let tree = Tree::new()
        .dir("src")
        .dir("dst")
        .dir("dst/empty")
        .mode(0o200)
        .dir("dst/full")
        .mode(0o644)
        .file("dst/full/inner", "x");
    let seen = check(&tree, "-r --delete-after src/ dst/");
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/full/inner"], &["dst/empty"]);
}

#[test]
fn nobody_else_decides_where_things_go() {
    let tree = Tree::new().file("src/f", "x").dir("real").symlink("link", "real");
    assert_there(&check_args(&tree, "-r src/ link"), &["real/f"], &[]);
    let tree = Tree::new().file("src/f", "x").dir("real").symlink("link", "real").owner(1234, 0);
    let seen = check_args(&tree, "-r src/ link");
    assert_eq!(seen.code(), 3);
    assert_there(&seen, &[], &["real/f"]);
    let nowhere = Tree::new().file("src/f", "x").symlink("link", "nowhere").owner(1234, 0);
    assert_eq!(check_args(&nowhere, "-p src/f link").code(), 0);
}

#[test]
fn times_that_count_as_right_stay_as_they_are() {
    let tree = Tree::new()
        .dir("src/d")
        .mode(0o750)
        .mtime(1_600_000_000, 123)
        .dir("dst/d")
        .mode(0o700)
        .mtime(1_600_000_000, 0);
    let seen = check_args(&tree, "-a src/ dst");
    assert_eq!(seen.tree.at("dst/d").mode, 0o750);
    // -u with a window: what is less than the window older counts as newer, too.
    let tree = Tree::new().file("src/f", "new").file("dst/f", "o").mtime(1_599_999_000, 0);
    let seen = check_args(&tree, "-aui --modify-window=3600 src/ dst");
    assert!(!seen.stdout().contains(">f"));
}

#[test]
fn an_only_entry_arrives_under_the_last_name() {
    let tree = Tree::new().file("src/f", "x");
    let scenario = Scenario::new(tree, "-ai --exclude=* --mkpath src/ new/deep").umask(0);
    assert!(check_items(&scenario).stdout().contains("cd+++++++++ ./"));
}

#[test]
fn names_in_full_hold_no_path_twice() {
    let tree = Tree::new().file("src/a/f", "x");
    for args in ["-Ra src/", "-Ra src/a/", "-Ra src/./a/", "-a src/a"] {
        let scenario = Scenario::new(tree.clone(), args).arg("--out-format=%i %f").arg("dst");
        assert!(check_items(&scenario).stdout().contains(">f+++++++++ src/a/f"), "{args}");
    }
}

#[test]
fn names_in_full_are_those_of_the_source_that_has_them() {
    let tree = Tree::new().file("src/d/a", "x").file("alt/d/a", "y").file("alt/d/b", "z");
    for args in ["-a src/ alt/", "-a src alt", "-a src/d alt/d", "-Ra src/d alt/./d"] {
        let scenario = Scenario::new(tree.clone(), args).arg("--out-format=%i %f").arg("dst");
        let seen = check_items(&scenario);
        for name in ["src/d/a", "alt/d/b"] {
            assert!(seen.stdout().contains(&format!(">f+++++++++ {name}")), "{args}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_read_has_its_name_in_full() {
    let tree = Tree::new().dir("src/a/shut").mode(0);
    for args in ["-a src/", "-a src/a"] {
        let scenario = Scenario::new(tree.clone(), args).arg("--out-format=%i %f").arg("dst");
        let seen = check_items(&scenario.by_user());
        assert!(seen.stdout().contains("cd+++++++++ src/a/shut"), "{args}");
    }
}

#[test]
fn rules_about_attributes_replace_the_usual_choice() {
    let acl = Acl { users: vec![(1234, 7)], groups: vec![], group_obj: 5, mask: 7 };
    let tree = Tree::new().dir("src/d").acl(acl).xattr("user.a", "1");
    let scenario = Scenario::new(tree, "-rpX").arg("--filter=-x user.*").arg("src/").arg("dst");
    let seen = check_items(&scenario);
    assert!(seen.tree.at("dst/d").xattrs.contains_key(&b"system.posix_acl_access"[..]));
}

#[test]
fn munged_links_are_safe_by_what_they_say() {
    let tree = Tree::new().symlink("src/l", "/rsyncd-munged/target");
    let seen = check_args(&tree, "-a --munge-links --safe-links src/ dst");
    assert_there(&seen, &["dst/l"], &[]);
}

#[test]
fn munged_links_lead_nowhere_where_unsafe_ones_are_followed() {
    let tree = Tree::new().symlink("src/l", "/rsyncd-munged/target").file("src/target", "x");
    let seen = check_args(&tree, "-ai --munge-links --copy-unsafe-links src/ dst");
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/target"], &["dst/l"]);
}

#[test]
fn a_new_pipe_or_socket_is_told_as_a_change_of_either_in_a_basis_tree() {
    for (new, old) in [(Kind::Socket, Kind::Fifo), (Kind::Fifo, Kind::Socket)] {
        let tree = Tree::new().add("src/s", new).add("alt/s", old).mode(0o600);
        for action in ["--link-dest", "--copy-dest", "--compare-dest"] {
            let seen = check_args(&tree, &format!("-ai {action}=../alt src/ dst"));
            assert!(seen.stdout().contains("cSc..p..... s\n"), "{action}");
        }
    }
}

#[test]
fn backups_are_kept_as_the_run_keeps_things() {
    let tree = Tree::new().file("src/f", "new").file("dst/f", "o").owner(1234, 1);
    let seen = check_args(&tree, "-r -b --inplace src/ dst");
    assert_eq!(seen.tree.at("dst/f~").uid, 0);
    let acl = Acl { users: vec![(1234, 7)], groups: vec![], group_obj: 5, mask: 7 };
    let tree = Tree::new().dir("src").dir("dst/d").default_acl(acl).file("dst/d/f", "x");
    let seen = check_args(&tree, "-aA --delete --backup-dir=bk src/ dst");
    assert!(!seen.tree.at("dst/bk/d").xattrs.is_empty());
}

#[test]
fn files_of_rules_end_their_lines_as_said_before_them() {
    let tree = Tree::new().file("src/x", "x").file("src/y", "y").file("rules", "- x\n- z\n");
    let lines = Tree::new().file("src/x", "x").file("src/y", "y").file("rules", "x\nz\n");
    let seen = check_args(&lines, "-r --exclude-from=rules -0 src/ dst");
    assert_there(&seen, &["dst/y"], &["dst/x"]);
    let seen = check_args(&lines, "-r -0 --exclude-from=rules src/ dst");
    assert_there(&seen, &["dst/x", "dst/y"], &[]);
    let scenario = Scenario::new(tree, "-r").arg("--filter=merge rules").arg("-0");
    let seen = check_items(&scenario.arg("src/").arg("dst"));
    assert_there(&seen, &["dst/y"], &["dst/x"]);
}

#[test]
fn links_are_unsafe_wherever_they_climb_behind_something() {
    let targets = [
        "..",
        "../",
        "../..",
        "../../",
        "../.",
        "../../.",
        "../../..",
        "../../../",
        "../x",
        "..//x",
        "./../x",
        "./..",
        ".//../x",
        "..//..",
        "x/..",
        "x/../y",
        "a/./b",
        "//x",
        ".",
        "../../../x",
    ];
    let mut tree = Tree::new().file("src/x", "x").dir("src/a/b/c");
    for (number, target) in targets.iter().enumerate() {
        for dir in ["src/a", "src/a/b/c"] {
            tree = tree.symlink(format!("{dir}/l{number}"), target);
        }
    }
    let seen = check_args(&tree, "-ai --safe-links src/ dst");
    assert_there(&seen, &["dst/a/l1"], &["dst/a/l2"]);
    let tree = Tree::new()
        .file("src/x", "x")
        .symlink("src/a/safe", "../x")
        .symlink("src/a/unsafe", "./../x")
        .symlink("src/a/other", ".//../x");
    let seen = check_args(&tree, "-ai --copy-unsafe-links src/ dst");
    assert_eq!(seen.tree.at("dst/a/unsafe").kind, '-');
}

#[test]
fn reserved_space_of_zeros_becomes_holes() {
    let zeros = vec![Segment::Zeros(3_000_000), Segment::Numbers { from: 100_000, len: 10 }];
    let tree = Tree::new().segments("src/zeros", zeros).dir("dst");
    for options in ["-aS --preallocate", "-aS --preallocate --inplace"] {
        check_blocks(&Scenario::new(tree.clone(), &format!("{options} src/ dst")));
    }
}

#[test]
fn a_named_link_to_a_directory_is_no_directory_of_the_other_source() {
    let tree = Tree::new().dir("src/a/b").symlink("src/a/l", "b").dir("src/l");
    for sources in ["src/ src/a/l", "src/a/l src/"] {
        let seen = check_args(&tree, &format!("-ai {sources} dst"));
        assert_eq!(seen.code(), 0, "{sources}");
    }
}

/// A directory in which its owner cannot write is made passable for the run; where it is another user's,
/// that is told, and what lies below is brought over as far as it can be.
#[test]
fn what_lies_in_a_directory_of_another_user_is_tried() {
    let user = 65534;
    let tree =
        Tree::new().dir("src/ro").mode(0o555).dir("src/ro/mine").file("src/ro/mine/h", "new");
    let tree = tree.dir("dst").owner(user, user).dir("dst/ro").owner(0, 0).mode(0o555);
    let tree = tree.dir("dst/ro/mine").owner(user, user).file("dst/ro/mine/h", "old!");
    let tree = tree.owner(user, user);
    for args in ["-rlpt src/ dst/", "-r src/ dst/", "-rpt --delete-before src/ dst/"] {
        let scenario = Scenario::new(tree.clone(), args).by_user();
        let seen = check(&scenario, Scope::default());
        assert_eq!(seen.code(), 23, "{args}");
        assert_eq!(seen.tree.at("dst/ro/mine/h").size, 3, "{args}");
    }
}
