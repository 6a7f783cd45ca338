//! Attributes in less common company: modes and ACLs with `--chmod`, attributes that an ordinary user
//! keeps for others, `--fake-super`, and the directories of backups.

use super::{assert_there, check_args, check_items};
use crate::support::parity::{Scenario, Scope, check, observe};
use crate::support::run::{Tool, scratch_dir};
use crate::support::snapshot::{Also, Stamp};
use crate::support::tree::{Acl, Kind, Tree};

fn named_user(group_obj: u16) -> Acl {
    Acl { users: vec![(1234, 1)], groups: Vec::new(), group_obj, mask: 5 }
}

#[test]
fn an_equal_acl_follows_the_mode_that_chmod_gives() {
    for group_obj in [4, 5] {
        let acl = named_user(group_obj);
        let tree = Tree::new()
            .file("src/f", "x")
            .acl(acl.clone())
            .dir("src/d")
            .acl(acl.clone())
            .file("dst/f", "x")
            .acl(acl.clone())
            .dir("dst/d")
            .acl(acl);
        for (options, mode) in [
            ("-aAi --chmod=644", 0o644),
            ("-aAi --chmod=u=rwX,go=", 0o700),
            ("-rtAi --chmod=u=rwX,go=", 0o700),
        ] {
            for destination in ["dst", "new"] {
                let seen = check_args(&tree, &format!("{options} src/ {destination}"));
                assert_eq!(seen.tree.at(format!("{destination}/d")).mode, mode, "{options}");
            }
        }
    }
}

#[test]
fn rules_about_attributes_let_an_ordinary_user_keep_them_for_others() {
    let tree = Tree::new().file("src/f", "x").acl(named_user(4)).dir("dst");
    for tree in [tree.clone(), tree.file("dst/f", "x")] {
        let scenario = Scenario::new(tree, "-aXi --filter=-x_other src/ dst").by_user();
        let seen = check_items(&scenario);
        let kept = &b"user.rsync.system.posix_acl_access"[..];
        assert!(seen.tree.at("dst/f").xattrs.contains_key(kept));
    }
}

#[test]
fn fake_super_leaves_alone_what_only_root_may_set() {
    let tree = Tree::new()
        .file("src/f", "x")
        .xattr("trusted.note", "1")
        .file("dst/f", "x")
        .xattr("trusted.note", "1")
        .xattr("trusted.other", "2");
    let seen = check_args(&tree, "-aXi --fake-super src/ dst");
    let xattrs = &seen.tree.at("dst/f").xattrs;
    assert_eq!(xattrs.len(), 3);
    assert!(xattrs.contains_key(&b"user.rsync.trusted.note"[..]));
}

#[test]
fn a_directory_of_the_wrong_group_does_not_pass_it_on() {
    let tree = Tree::new().dir("src/d").mode(0o2770).dir("dst");
    let args = "-a --super --groupmap=*:5678 src/ dst/";
    let seen = check(&Scenario::new(tree, args).by_user(), Scope::default());
    assert_eq!((seen.code(), seen.tree.at("dst/d").mode & 0o7000), (23, 0));
}

#[test]
fn what_is_in_a_directory_that_cannot_be_changed_is_brought_over() {
    let tree = Tree::new()
        .dir("src/d")
        .mode(0o2755)
        .file("src/d/f", "x")
        .mode(0o600)
        .dir("dst/d")
        .owner(0, 0)
        .file("dst/d/f", "x");
    let seen = check(&Scenario::new(tree, "-a src/ dst/").by_user(), Scope::default());
    assert_eq!((seen.code(), seen.tree.at("dst/d/f").mode), (23, 0o600));
}

#[test]
fn times_are_exact_where_extended_attributes_differ() {
    let tree = Tree::new()
        .file("src/f", "x")
        .xattr("user.note", "1")
        .file("src/g", "x")
        .file("dst/f", "x")
        .mtime(1_600_000_000, 9)
        .file("dst/g", "x")
        .mtime(1_600_000_000, 9);
    let seen = check_args(&tree, "-aXi src/ dst");
    assert_eq!(seen.tree.at("dst/f").mtime, Stamp::At(1_600_000_000, 0));
    assert_eq!(seen.tree.at("dst/g").mtime, Stamp::At(1_600_000_000, 9));
}

#[test]
fn a_directory_of_a_backup_keeps_what_it_inherits() {
    let tree =
        Tree::new().file("src/d/e/f", "new").dir("dst/d").mode(0o2755).file("dst/d/e/f", "old one");
    for (options, mode) in [("-r", 0o2755), ("-rp", 0o755)] {
        let seen = check_args(&tree, &format!("{options} --backup-dir=@ROOT@/bk src/ dst"));
        assert_eq!(seen.tree.at("bk/d/e").mode, mode, "{options}");
    }
}

#[test]
fn access_times_of_links_are_left_out_with_their_other_times() {
    let tree = Tree::new().symlink("src/l", "x").file("src/f", "").symlink("dst/k", "x");
    let also = Also { atimes: true, ..Also::default() };
    for options in ["-rlU -J", "-rlU", "-aU -J", "-aU"] {
        let touch = "touch -had 2001-02-03 src/l src/f dst/k";
        let scenario = Scenario::new(tree.clone(), &format!("{options} src/ dst")).before(touch);
        check(&scenario, Scope { also, ..Scope::default() });
    }
}

#[test]
fn what_stands_for_a_link_is_a_file() {
    let tree = Tree::new()
        .symlink("src/l", "x")
        .symlink("real/l", "x")
        .file("fake/l", "x")
        .xattr("user.rsync.%stat", "120777 0,0 0:0")
        .dir("dst");
    for (options, line) in [
        ("--link-dest=../real", "cLc........ l -> x"),
        ("--link-dest=../fake", "hL          l -> x"),
        ("--copy-dest=../real", "cLc........ l -> x"),
        ("--compare-dest=../fake", ".L          l -> x"),
        // Which is why -J does not concern it.
        ("-J", "cL+++++++++ l -> x"),
    ] {
        let seen = check_args(&tree, &format!("-aii --fake-super {options} src/ dst"));
        assert!(seen.stdout().contains(line), "{options}: {}", seen.stdout());
    }
}

#[test]
fn what_cannot_be_known_to_pretend_is_told_even_if_it_is_left_out() {
    let tree = Tree::new().file("src/f", "x").mode(0o200).dir("dst");
    for options in ["", "--min-size=1K"] {
        let args = format!("-a --fake-super {options} src/ dst");
        let seen = check(&Scenario::new(tree.clone(), &args).by_user(), Scope::default());
        assert_eq!(seen.code(), 23, "{options}");
    }
}

#[test]
fn access_times_of_links_of_others_are_set_only_if_they_differ() {
    let tree = Tree::new().symlink("src/l", "x").symlink("dst/l", "x").owner(0, 0);
    let scenario = Scenario::new(tree, "-rlU src/ dst").by_user();
    assert_eq!(check(&scenario, Scope::default()).code(), 0);
}

#[test]
fn directories_of_backups_are_as_the_transfer_makes_those_that_they_mirror() {
    let tree = Tree::new()
        .dir("src/d")
        .mode(0o700)
        .file("src/d/f", "new")
        .dir("dst/d")
        .mode(0o750)
        .owner(5, 6)
        .file("dst/d/f", "old one")
        .file("dst/d/gone", "gone")
        .dir("dst/stray")
        .mode(0o711)
        .owner(5, 6)
        .file("dst/stray/f", "gone");
    for (options, mode, owner) in [
        ("-a --delete", 0o700, (0, 0)),
        ("-a --delete-after", 0o700, (0, 0)),
        ("-a --delete-before", 0o750, (5, 6)),
        ("-r --delete", 0o750, (0, 0)),
        ("-a --delete --chown=1:2 --chmod=D770", 0o770, (1, 2)),
    ] {
        let seen = check_args(&tree, &format!("{options} --backup-dir=@ROOT@/bk src/ dst"));
        let dir = seen.tree.at("bk/d");
        assert_eq!((dir.mode, (dir.uid, dir.gid)), (mode, owner), "{options}");
        assert_eq!(seen.tree.at("bk/stray").mode, 0o711, "{options}");
    }
}

#[test]
fn a_basis_tree_is_asked_for_the_name_at_the_destination() {
    let tree = Tree::new().file("src/f", "x").file("old/f", "x").file("other/new", "x");
    let seen = check_args(&tree, "-ai --link-dest=@ROOT@/old src/f new");
    assert_eq!(seen.stdout(), ">f+++++++++ f\n");
    let seen = check_args(&tree, "-aii --link-dest=@ROOT@/other src/f new");
    assert_eq!(seen.stdout(), "hf          f\n");
    let seen = check_args(&tree, "-aii --copy-dest=@ROOT@/other src/f new");
    assert_eq!(seen.stdout(), "cf          f\n");
}

#[test]
fn the_roots_pretend_too() {
    let pretence = "40755 0,0 1000:1001";
    let tree = Tree::new().dir("src").mode(0o700).xattr("user.rsync.%stat", pretence);
    check_args(&tree, "-ai --fake-super src/ new");
    let tree = tree.dir("dst").xattr("user.rsync.%stat", "40700 0,0 1000:1001");
    let seen = check_args(&tree, "-ai --fake-super src/ dst/");
    assert_eq!(seen.stdout(), ".d...p..... ./\n");
}

#[test]
fn attributes_are_looked_for_behind_a_link_to_what_cannot_be_opened() {
    let tree = Tree::new().add("far/s", Kind::Socket).symlink("src/s", "../far/s").dir("dst");
    for options in ["-aXLi", "-aALi"] {
        assert_eq!(check_args(&tree, &format!("{options} src/ dst")).stdout(), "cS+++++++++ s\n");
    }
}

#[test]
fn what_is_behind_a_link_does_not_pretend() {
    let tree = Tree::new()
        .file("far/f", "x")
        .xattr("user.rsync.%stat", "100640 0,0 5:6")
        .symlink("src/f", "../far/f")
        .dir("dst");
    let seen = check_args(&tree, "-aLi --fake-super src/ dst");
    assert_eq!(seen.tree.at("dst/f").mode, 0o644);
}

#[test]
fn a_node_that_replaces_something_keeps_its_mode_unless_modes_are_brought() {
    let tree = Tree::new()
        .add("src/n", Kind::Char(1, 3))
        .mode(0o666)
        .add("dst/n", Kind::Char(1, 5))
        .mode(0o600);
    for (options, line, mode) in [
        ("-ai", "cDc..p..... n\n", 0o666),
        ("-ai --no-p", "cDc........ n\n", 0o600),
        ("-ri -D", "cDc.T...... n\n", 0o600),
    ] {
        let seen = check_args(&tree, &format!("{options} src/ dst"));
        assert_eq!((seen.stdout().as_str(), seen.tree.at("dst/n").mode), (line, mode));
    }
    for kind in [Kind::Fifo, Kind::File(Vec::new()), Kind::Socket] {
        let tree = Tree::new().add("src/n", Kind::Char(1, 3)).add("dst/n", kind).mode(0o640);
        assert_eq!(check_args(&tree, "-ri -D src/ dst").tree.at("dst/n").mode, 0o640);
    }
}

#[test]
fn what_cannot_be_given_away_keeps_its_special_bits() {
    let tree = Tree::new().file("src/f", "x").file("dst/f", "x").mode(0o4755);
    let scenario = Scenario::new(tree, "-rt --super --chown=daemon src/ dst").by_user();
    let seen = check(&scenario, Scope::default());
    assert_eq!((seen.code(), seen.tree.at("dst/f").mode), (23, 0o4755));
}

#[test]
fn a_directory_in_which_nothing_could_be_made_is_left_alone() {
    let tree = Tree::new().dir("src/d/e").dir("dst/d").owner(0, 0);
    let scenario = Scenario::new(tree, "-a src/ dst").by_user();
    assert_eq!(check(&scenario, Scope::default()).code(), 23);
    let ours = observe(&Tool::under_test(), &scenario, scratch_dir().path()).stderr();
    assert!(ours.contains("make directory") && !ours.contains("set times"), "{ours}");
}

#[test]
fn attributes_that_cannot_be_read_keep_deletions_back() {
    let tree = Tree::new()
        .file("src/f", "x")
        .mode(0o200)
        .xattr("user.note", "1")
        .file("dst/f", "x")
        .mode(0o600)
        .file("dst/stray", "x");
    let scenario = Scenario::new(tree, "-a -X --delete-after src/ dst/").by_user();
    let seen = check(&scenario, Scope::default());
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/stray"], &[]);
}

#[test]
fn the_time_of_a_directory_is_brought_over_exactly_where_attributes_differ() {
    let (source, before) = ((1_600_000_000, 5), (1_600_000_000, 0));
    let timed = |tree: Tree| tree.mtime(source.0, source.1);
    let tree = timed(Tree::new().dir("src/more").xattr("user.note", "x"));
    let tree = timed(timed(tree.dir("src/less")).dir("src/equal"));
    let tree = tree.dir("dst/more").mtime(before.0, before.1);
    let tree = tree.dir("dst/less").xattr("user.note", "x").mtime(before.0, before.1);
    let tree = tree.dir("dst/equal").mtime(before.0, before.1);
    let seen = check_args(&tree, "-aXi src/ dst");
    let time = |path: &str| seen.tree.at(path).mtime;
    assert_eq!(time("dst/more"), Stamp::At(source.0, source.1.into()));
    assert_eq!(time("dst/less"), Stamp::At(source.0, source.1.into()));
    assert_eq!(time("dst/equal"), Stamp::At(before.0, before.1.into()));
}

#[test]
fn what_is_new_is_told_with_the_attributes_that_a_basis_tree_has_not() {
    let adorned = |tree: Tree| tree.acl(named_user(5)).xattr("user.note", "x");
    let tree = adorned(Tree::new().file("src/f", "new"));
    let tree = tree.add("src/p", Kind::Fifo).xattr("trusted.note", "x");
    let tree = tree.symlink("src/l", "new").xattr("trusted.note", "x");
    let tree = tree.symlink("src/k", "new").xattr("trusted.note", "x");
    let tree = tree.file("alt/f", "older").add("alt/p", Kind::Socket);
    let tree = tree.symlink("alt/l", "old").symlink("dst/k", "old");
    for action in ["--compare-dest", "--copy-dest", "--link-dest"] {
        let seen = check_args(&tree, &format!("-aAXi {action}=../alt src/ dst"));
        for line in ["ax f", "x p", "x l", "x k"] {
            assert!(seen.stdout().contains(line), "{action}: {line}");
        }
    }
}

#[test]
fn nothing_makes_way_for_a_file_whose_attributes_cannot_be_read() {
    let unreadable = Tree::new().file("src/f", "x").xattr("user.note", "x").mode(0o200);
    let obstacles = [
        unreadable.clone().symlink("dst/f", "kept"),
        unreadable.clone().add("dst/f", Kind::Fifo),
        unreadable.clone().file("dst/f/inner", "kept"),
    ];
    for tree in obstacles {
        let scenario = Scenario::new(tree, "-rX --force src/ dst/").by_user();
        let seen = check(&scenario, Scope::default());
        assert_eq!((seen.code(), seen.tree.at("dst/f").kind != '-'), (23, true));
    }
    let scenario = Scenario::new(unreadable.dir("dst"), "-rXni src/ dst/").by_user();
    let seen = check_items(&scenario);
    assert_eq!((seen.code(), seen.stdout().as_str()), (23, ""));
}

#[test]
fn a_file_whose_attributes_cannot_be_read_is_brought_up_to_date_all_the_same() {
    let locked = |tree: Tree| tree.xattr("user.note", "old").mode(0o200);
    let tree = Tree::new().file("src/f", "longer").xattr("user.note", "new");
    let tree = locked(tree.file("src/g", "same").file("dst/f", "x"));
    let tree = locked(tree.file("dst/g", "same"));
    for options in ["-rptXi", "-rptXi --inplace", "-rptXi -b", "-rptAXi"] {
        let scenario = Scenario::new(tree.clone(), &format!("{options} src/ dst/")).by_user();
        let seen = check_items(&scenario);
        assert_eq!((seen.code(), seen.tree.at("dst/f").size), (23, 6), "{options}");
        assert!(seen.tree.at("dst/g").xattrs.is_empty(), "{options}");
    }
}

#[test]
fn a_directory_that_pretends_gets_no_list_of_its_own() {
    let acl = Acl { users: vec![(1234, 4)], groups: vec![], group_obj: 3, mask: 4 };
    let tree = Tree::new().dir("src/d").default_acl(acl).file("src/d/file", "x");
    let seen = check_args(&tree, "-aA --fake-super --no-perms src/ dst");
    let has_list =
        |path: &str| seen.tree.at(path).xattrs.keys().any(|name| name.starts_with(b"system."));
    assert!(!has_list("dst/d") && !has_list("dst/d/file"));
}

#[test]
fn what_a_directory_pretends_to_be_is_asked_for_where_it_is_not_listed() {
    let tree = Tree::new().dir("src/d").owner(0, 0).mode(0o711).dir("src/open");
    let check = |args: &str| check_items(&Scenario::new(tree.clone(), args).by_user()).code();
    assert_eq!(check("-tdi --fake-super src/ dst"), 23);
    assert_eq!(check("-tdi src/ dst"), 0);
    assert_eq!(check("-tdi --fake-super src/open dst"), 0);
}
