//! Pitfalls 13, 14 and 15: modes, owners in disguise, and links of all kinds.

use super::{assert_there, check_args, check_items};
use crate::support::parity::{Scenario, Scope, check};
use crate::support::snapshot::Stamp;
use crate::support::tree::{Acl, Kind, Tree, is_root};

fn modes() -> Tree {
    Tree::new()
        .dir("src/d")
        .mode(0o2751)
        .file("src/plain", "p")
        .mode(0o640)
        .file("src/prog", "p")
        .mode(0o4755)
        .file("src/open", "p")
        .mode(0o666)
        .file("dst/open", "old")
        .mode(0o400)
}

#[test]
fn pitfall_13_chmod_acts_as_if_the_source_had_these_modes() {
    let table: &[(&str, &str, u32)] = &[
        ("-ai --chmod=D700,F600", "dst/prog", 0o600),
        ("-ai --chmod=D700,F600", "dst/d", 0o700),
        ("-ai --chmod=a+X", "dst/plain", 0o640),
        ("-ai --chmod=a+X", "dst/prog", 0o4755),
        ("-ai --chmod=go=u", "dst/plain", 0o666),
        ("-ai --chmod=u+s,Dg-s,+t", "dst/d", 0o5751),
        ("-ai --chmod=F-x --chmod=o-r", "dst/prog", 0o4640),
        ("-ai --chmod=644", "dst/d", 0o644),
        ("-ai --chmod=ug=rwX,o=", "dst/open", 0o660),
        ("-ri --chmod=600", "dst/plain", 0o600),
        ("-ri --chmod=600", "dst/open", 0o400),
        ("-ai --no-p --chmod=600", "dst/open", 0o400),
    ];
    for (options, path, mode) in table {
        let seen = check_args(&modes(), &format!("{options} src/ dst"));
        assert_eq!(seen.tree.at(path).mode, *mode, "{options} {path}");
    }
    for bad in ["--chmod=D9", "--chmod=u!x", "--chmod=Q644", "--chmod=go=u-w"] {
        let seen = check_args(&modes(), &format!("-ai {bad} src/ dst"));
        assert_eq!(seen.code(), 1, "{bad}");
    }
}

#[test]
fn pitfall_13_without_perms_new_files_obey_the_umask_and_old_ones_keep_their_modes() {
    for umask in [0o022, 0o077, 0o002, 0o000] {
        let seen = check_items(&Scenario::new(modes(), "-rti src/ dst").umask(umask));
        assert_eq!(seen.tree.at("dst/plain").mode, 0o640 & !umask);
        assert_eq!(seen.tree.at("dst/prog").mode, 0o755 & !umask, "setuid is not brought");
        assert_eq!(seen.tree.at("dst/open").mode, 0o400);
    }
}

#[test]
fn pitfall_13_executability_follows_alone() {
    let tree = modes().file("dst/prog", "p").mode(0o644).file("dst/plain", "p").mode(0o755);
    let seen = check_args(&tree, "-rtiE src/ dst");
    assert_eq!(seen.tree.at("dst/prog").mode, 0o755);
    assert_eq!(seen.tree.at("dst/plain").mode, 0o644);
}

#[test]
fn pitfall_13_special_bits_survive_a_change_of_owner() {
    assert!(is_root(), "only root can give files away: run this test as root");
    let tree = Tree::new()
        .file("src/s", "x")
        .mode(0o6755)
        .owner(1234, 1234)
        .dir("src/d")
        .mode(0o3775)
        .owner(1, 1234);
    let seen = check_args(&tree, "-ai src/ new");
    assert_eq!((seen.tree.at("new/s").mode, seen.tree.at("new/s").uid), (0o6755, 1234));
    assert_eq!(seen.tree.at("new/d").mode, 0o3775);
    // An ordinary user cannot give them away: the bits must not land on his own files silently.
    let seen = check_items(&Scenario::new(tree, "-ai src/ new").by_user());
    assert_eq!(seen.tree.at("new/s").uid, 65534);
}

#[test]
fn pitfall_13_owners_are_mapped_by_name_and_number() {
    assert!(is_root(), "only root can give files away: run this test as root");
    let tree = Tree::new()
        .file("src/a", "")
        .owner(1, 1)
        .file("src/b", "")
        .owner(1234, 4321)
        .file("src/c", "")
        .dir("dst");
    let table: &[(&str, &str, (u32, u32))] = &[
        ("", "dst/a", (1, 1)),
        ("--chown=1234:1", "dst/c", (1234, 1)),
        ("--chown=:77", "dst/b", (1234, 77)),
        ("--usermap=daemon:bin", "dst/a", (2, 1)),
        ("--usermap=1000-2000:5,*:6", "dst/b", (5, 4321)),
        ("--usermap=1000-2000:5,*:6", "dst/c", (6, 0)),
        ("--usermap=:9", "dst/b", (9, 4321)),
        ("--groupmap=*:55 --numeric-ids", "dst/a", (1, 55)),
        ("--no-o --no-g", "dst/b", (0, 0)),
    ];
    for (options, path, owner) in table {
        let seen = check_args(&tree, &format!("-ai {options} src/ dst"));
        let entry = seen.tree.at(path);
        assert_eq!((entry.uid, entry.gid), *owner, "{options} {path}");
    }
}

#[test]
fn pitfall_13_acls_and_their_masks() {
    let acl = Acl { users: vec![(1234, 7)], groups: vec![(1, 4)], group_obj: 5, mask: 6 };
    let tree = Tree::new()
        .file("src/a", "x")
        .mode(0o640)
        .acl(acl.clone())
        .dir("src/d")
        .default_acl(acl.clone())
        .file("src/d/inner", "x")
        .file("dst/plain", "x")
        .acl(acl)
        .file("src/plain", "x");
    let seen = check_args(&tree, "-aAi src/ dst");
    assert_eq!(seen.tree.at("dst/a").xattrs, seen.tree.at("src/a").xattrs);
    assert!(!seen.tree.at("dst/a").xattrs.is_empty());
    assert!(seen.tree.at("dst/plain").xattrs.is_empty(), "a stray ACL goes");
    assert!(seen.tree.at("dst/d/inner").xattrs.is_empty(), "what is inherited is taken back");
    let seen = check_args(&tree, "-ai src/ dst");
    assert!(seen.tree.at("dst/a").xattrs.is_empty());
    assert!(!seen.tree.at("dst/plain").xattrs.is_empty());
}

#[test]
fn pitfall_13_extended_attributes_are_made_equal() {
    let tree = Tree::new()
        .file("src/a", "x")
        .xattr("user.kept", "1")
        .xattr("user.long", "v".repeat(1000))
        .dir("src/d")
        .xattr("user.dir", "")
        .file("dst/a", "x")
        .xattr("user.stray", "2")
        .xattr("user.kept", "0");
    let seen = check_args(&tree, "-aXi src/ dst");
    assert_eq!(seen.tree.at("dst/a").xattrs, seen.tree.at("src/a").xattrs);
    let seen = check_args(&tree, "-ai src/ dst");
    assert_eq!(seen.tree.at("dst/a").xattrs.len(), 2);
    let filtered = Scenario::new(tree, "-aXi").arg("--filter=-x user.long").arg("src/").arg("dst");
    let seen = check_items(&filtered);
    assert!(!seen.tree.at("dst/a").xattrs.contains_key(&b"user.long"[..]));
}

fn special() -> Tree {
    Tree::new()
        .file("src/f", "x")
        .mode(0o4640)
        .owner(1234, 1)
        .dir("src/d")
        .mode(0o1777)
        .add("src/pipe", Kind::Fifo)
        .add("src/null", Kind::Char(1, 3))
        .symlink("src/l", "f")
        .dir("dst")
}

#[test]
fn pitfall_14_fake_super_keeps_owner_mode_and_device_in_an_attribute() {
    assert!(is_root(), "only root can make devices: run this test as root");
    let seen = check_args(&special(), "-ai --fake-super src/ dst");
    let stat = seen.tree.at("dst/null").xattrs.get(&b"user.rsync.%stat"[..]).cloned();
    assert_eq!(seen.tree.at("dst/null").kind, '-');
    assert_eq!(stat.as_deref(), Some(&b"20644 1,3 0:0"[..]));
    let stat = seen.tree.at("dst/f").xattrs.get(&b"user.rsync.%stat"[..]).cloned();
    assert_eq!(stat.as_deref(), Some(&b"104640 0,0 1234:1"[..]));
    let seen = check_items(&Scenario::new(special(), "-rlptDi --fake-super src/ dst").by_user());
    assert_eq!(seen.tree.at("dst/pipe").kind, '-');
}

#[test]
fn pitfall_14_fake_super_reads_its_attribute_back_on_both_sides() {
    let tree = Tree::new()
        .file("src/dev", "")
        .mode(0o600)
        .xattr("user.rsync.%stat", "20644 1,3 0:0")
        .file("src/f", "x")
        .xattr("user.rsync.%stat", "100640 0,0 1234:1234")
        .dir("dst");
    let seen = check_args(&tree, "-aiX --fake-super src/ dst");
    assert_eq!(seen.code(), 0);
    assert_eq!(seen.tree.at("dst/dev").xattrs, seen.tree.at("src/dev").xattrs);
    // Without --fake-super it is an attribute that -X leaves alone.
    let seen = check_args(&tree, "-aiX src/ dst");
    assert_eq!(seen.tree.at("dst/dev").kind, '-');
}

fn links() -> Tree {
    Tree::new()
        .file("outside/file", "outside")
        .file("outside/dir/inner", "inner")
        .file("src/f", "f")
        .file("src/sub/g", "g")
        .symlink("src/rel", "f")
        .symlink("src/up", "../outside/file")
        .symlink("src/updir", "../outside/dir")
        .symlink("src/abs", "@ROOT@/src/f")
        .symlink("src/todir", "sub")
        .symlink("src/dangling", "nowhere")
        .symlink("src/sub/back", "../f")
        .symlink("src/sub/over", "../../src/f")
        .dir("dst")
}

#[test]
fn pitfall_15_each_link_option_does_its_own_thing() {
    type Row = (&'static str, i32, &'static [(&'static str, char)], &'static [&'static str]);
    let table: &[Row] = &[
        ("-ai", 0, &[("dst/rel", 'l'), ("dst/abs", 'l'), ("dst/dangling", 'l')], &[]),
        ("-ri", 0, &[("dst/f", '-')], &["dst/rel", "dst/todir"]),
        (
            "-aiL",
            23,
            &[("dst/rel", '-'), ("dst/todir", 'd'), ("dst/updir/inner", '-')],
            &["dst/dangling"],
        ),
        ("-aik", 0, &[("dst/rel", 'l'), ("dst/todir", 'd'), ("dst/updir/inner", '-')], &[]),
        (
            "-ai --safe-links",
            0,
            &[("dst/rel", 'l'), ("dst/sub/back", 'l')],
            &["dst/abs", "dst/up", "dst/sub/over"],
        ),
        ("-ai --copy-unsafe-links", 0, &[("dst/rel", 'l'), ("dst/abs", '-'), ("dst/up", '-')], &[]),
        ("-ri --copy-unsafe-links", 0, &[("dst/up", '-')], &["dst/rel"]),
        ("-ai --munge-links", 0, &[("dst/rel", 'l')], &[]),
        ("-aiL --safe-links", 23, &[("dst/rel", '-'), ("dst/abs", '-')], &[]),
    ];
    for (options, code, kinds, absent) in table {
        let seen = check_args(&links(), &format!("{options} src/ dst"));
        assert_eq!(seen.code(), *code, "{options}");
        for (path, kind) in *kinds {
            assert_eq!(seen.tree.at(path).kind, *kind, "{options} {path}");
        }
        assert_there(&seen, &[], absent);
    }
}

#[test]
fn pitfall_15_munged_links_lose_their_prefix_in_a_local_copy() {
    let seen = check_args(&links(), "-ai --munge-links src/ dst");
    assert_eq!(seen.tree.at("dst/rel").target, b"f", "nothing to take off, and nothing is put on");
    let munged = Tree::new().symlink("src/m", "/rsyncd-munged/f").dir("dst");
    let seen = check_args(&munged, "-ai src/ dst");
    assert_eq!(seen.tree.at("dst/m").target, b"/rsyncd-munged/f");
    let seen = check_args(&munged, "-ai --munge-links src/ dst");
    assert_eq!(seen.tree.at("dst/m").target, b"f");
}

#[test]
fn pitfall_15_a_link_to_a_directory_at_the_destination_is_kept_only_with_k() {
    let tree = Tree::new().file("src/d/a", "a").symlink("dst/d", "real").file("dst/real/b", "b");
    let seen = check_args(&tree, "-ai src/ dst");
    assert_eq!(seen.tree.at("dst/d").kind, 'd');
    assert_there(&seen, &["dst/real/b"], &["dst/real/a"]);
    let seen = check_args(&tree, "-aiK src/ dst");
    assert_eq!(seen.tree.at("dst/d").kind, 'l');
    assert_there(&seen, &["dst/real/a", "dst/real/b"], &[]);
    let seen = check_args(&tree, "-ai --delete src/ dst");
    assert_there(&seen, &["dst/d/a"], &["dst/real"]);
}

#[test]
fn pitfall_15_a_kept_link_may_not_lead_out_of_the_destination() {
    let tree = Tree::new().file("src/d/a", "a").symlink("dst/d", "../real").file("real/b", "b");
    for options in ["-aiK", "-aiK --delete", "-aiK --inplace"] {
        let seen = check_args(&tree, &format!("{options} src/ dst"));
        assert_eq!(seen.code(), 23, "{options}");
        assert_eq!(seen.tree.at("dst/d").kind, 'l');
        assert_there(&seen, &["real/b"], &["real/a"]);
    }
}

#[test]
fn pitfall_15_times_of_links_and_directories() {
    let tree = Tree::new()
        .symlink("src/l", "x")
        .mtime(1_000_000_000, 9)
        .dir("src/d")
        .mtime(-5, 9)
        .file("src/d/f", "");
    let seen = check_args(&tree, "-ai src/ new");
    assert_eq!(seen.tree.at("new/l").mtime, Stamp::At(1_000_000_000, 9));
    assert_eq!(seen.tree.at("new/d").mtime, Stamp::At(-5, 9));
    let seen = check_args(&tree, "-aiJ src/ new");
    assert_eq!(seen.tree.at("new/l").mtime, Stamp::Now);
    let seen = check_args(&tree, "-aiO src/ new");
    assert_eq!(seen.tree.at("new/d").mtime, Stamp::Now);
}

#[test]
fn pitfall_15_capabilities_outlive_a_change_of_owner() {
    assert!(is_root(), "only root can set capabilities: run this test as root");
    // Of the second version, permitted and effective: to open raw sockets.
    let mut capability = [0; 20];
    capability[..6].copy_from_slice(&[1, 0, 0, 2, 0, 0x20]);
    for (content, options) in [("p", "-aXi"), ("p", "-aAXi"), ("other", "-aXi --inplace")] {
        for stray in [false, true] {
            let mut tree = Tree::new().file("src/f", "p").owner(1000, 1000).mode(0o755);
            if !stray {
                tree = tree.xattr("security.capability", capability);
            }
            let tree = tree.file("dst/f", content).mode(0o755);
            let tree = tree.xattr("security.capability", capability);
            let seen = check_args(&tree, &format!("{options} src/ dst"));
            assert_eq!(seen.tree.at("dst/f").xattrs.is_empty(), stray, "{options}");
            assert_eq!(seen.code(), 0, "{options}");
        }
    }
}

#[test]
fn pitfall_15_attributes_of_a_directory_that_cannot_be_entered_are_kept() {
    let user = |uid| Acl { users: vec![(uid, 5)], groups: Vec::new(), group_obj: 4, mask: 5 };
    let tree = Tree::new()
        .dir("src/x")
        .mode(0o444)
        .xattr("user.foo", "1")
        .xattr("user.new", "2")
        .acl(user(12))
        .dir("dst/x")
        .xattr("user.foo", "1")
        .xattr("user.old", "3")
        .acl(user(13));
    for options in ["-aXi", "-aAi", "-aAXi", "-ai"] {
        let scenario = Scenario::new(tree.clone(), &format!("{options} src/ dst")).by_user();
        let seen = check(&scenario, Scope::default());
        assert_eq!(seen.code(), 23, "{options}");
        assert!(seen.tree.at("dst/x").xattrs.contains_key(&b"user.foo"[..]), "{options}");
    }
}

#[test]
fn pitfall_18_a_directory_that_only_leads_on_is_not_made_passable() {
    let tree =
        Tree::new().file("src/x/y/f", "f").dir("dst/x").mode(0o500).dir("dst/x/y").mode(0o500);
    let args = "-aRi --no-implied-dirs src/./x/y/f dst";
    let seen = check_items(&Scenario::new(tree.clone(), args).by_user());
    assert_eq!((seen.code(), seen.tree.at("dst/x/y").mode), (23, 0o500));
    let seen = check_items(&Scenario::new(tree, "-aRi src/./x/y/f dst").by_user());
    assert_there(&seen, &["dst/x/y/f"], &[]);
}

#[test]
fn pitfall_15_empty_directories_behind_links_are_pruned() {
    let tree = Tree::new()
        .dir("elsewhere/empty/deep")
        .file("full/f", "f")
        .file("src/file", "f")
        .symlink("src/empty", "../elsewhere")
        .symlink("src/full", "../full")
        .dir("src/sub")
        .symlink("src/sub/link", "../../elsewhere");
    for options in ["-aimL", "-aimk", "-aim"] {
        let seen = check_args(&tree, &format!("{options} src/ dst"));
        assert_there(&seen, &["dst/full"], &[]);
        assert_eq!(seen.tree.has("dst/sub"), options == "-aim", "{options}");
    }
}

#[test]
fn pitfall_15_a_followed_link_is_linked_from_a_basis_tree() {
    let tree = Tree::new().file("real", "r").symlink("src/l", "../real").file("old/l", "r");
    for options in ["-acLi", "-aLi"] {
        check_args(&tree, &format!("{options} --link-dest=../old src/ dst"));
    }
}

#[test]
fn access_times_of_directories_are_not_set() {
    let tree = Tree::new().dir("src/d").dir("dst/d").owner(1234, 1);
    let scenario = Scenario::new(tree, "-rU src/ dst/").by_user();
    assert_eq!(check(&scenario, Scope::default()).code(), 0);
}
