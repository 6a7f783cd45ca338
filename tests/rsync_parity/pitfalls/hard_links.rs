//! What is told of a further name of a file (`-H`) that is not simply new, and what single files
//! find in basis trees.

use super::{assert_there, check_args};
use crate::support::parity::{Observation, Output, Scenario, Scope, check, observe};
use crate::support::run::{Tool, scratch_dir};
use crate::support::snapshot::Also;
use crate::support::tree::{Kind, Tree};

/// Compares trees, exit codes and -i lines, those of links among them.
fn check_links(tree: &Tree, args: &str) -> Observation {
    let scenario = Scenario::new(tree.clone(), args);
    check(&scenario, Scope { output: Output::ItemsWithLinks, also: Also::default() })
}

fn check_links_as_user(tree: &Tree, args: &str) -> Observation {
    let scenario = Scenario::new(tree.clone(), args).by_user();
    check(&scenario, Scope { output: Output::ItemsWithLinks, also: Also::default() })
}

/// Four names of one file, one of a link and one of a pipe.
fn groups() -> Tree {
    let mut tree = Tree::new().file("src/fa", "x").symlink("src/la", "x");
    tree = tree.add("src/pa", Kind::Fifo).dir("dst");
    for name in ["fb", "fc", "fd", "lb", "lc", "ld", "pb", "pc", "pd"] {
        tree = tree.hard_link(format!("src/{name}"), format!("src/{}a", &name[..1]));
    }
    tree
}

#[test]
fn a_link_is_told_as_a_change_of_what_a_basis_tree_has_of_its_name() {
    let apart = groups()
        .file("alt/fa", "x")
        .file("alt/fb", "x")
        .mode(0o600)
        .file("alt/fc", "x")
        .mtime(1_500_000_000, 0)
        .file("other/fb", "x")
        .symlink("alt/la", "x")
        .symlink("alt/lb", "x")
        .add("alt/pa", Kind::Fifo);
    let together = groups()
        .file("alt/fa", "x")
        .hard_link("alt/fb", "alt/fa")
        .hard_link("alt/fd", "alt/fa")
        .symlink("alt/la", "x")
        .hard_link("alt/lb", "alt/la")
        .dir("other");
    let sent = apart.clone().file("alt/fa", "longer");
    for (tree, is_known) in [(&apart, false), (&together, true)] {
        for options in ["", "-n", "-ii", "--no-t --no-p"] {
            for basis in ["--copy-dest=../alt --copy-dest=../other", "--link-dest=../alt"] {
                check_links(tree, &format!("-aHi {options} {basis} src/ dst/"));
            }
        }
        let seen = check_links(tree, "-aHi --link-dest=../alt src/ dst/");
        assert_eq!(seen.stdout().contains("fb => fa"), !is_known, "{}", seen.stdout());
    }
    let seen = check_links(&sent, "-aHi --copy-dest=../alt src/ dst/");
    assert!(seen.stdout().contains("hf+++++++++ fb => fa"), "its leader was not at hand");
    check_links(&sent, "-naHi --copy-dest=../alt src/ dst/");
}

#[test]
fn a_link_is_told_as_a_change_of_whatever_it_replaces_behind_its_leader() {
    let behind = groups()
        .file("dst/fa", "x")
        .symlink("dst/fb", "x")
        .dir("dst/fc")
        .file("dst/lb", "x")
        .add("dst/lc", Kind::Fifo)
        .symlink("dst/pb", "x")
        .dir("dst/pc");
    let before = groups().symlink("dst/fa", "x").dir("dst/fb").file("dst/fd", "x");
    for options in ["", "-n", "--no-t", "--no-t --no-p -n"] {
        for tree in [&before, &behind] {
            check_links(tree, &format!("-aHi {options} src/ dst/"));
        }
    }
    let seen = check_links(&behind, "-aHi src/ dst/");
    assert!(seen.stdout().contains("hf...p..... fb => fa"), "{}", seen.stdout());
    let seen = check_links(&before, "-aHi src/ dst/");
    assert!(seen.stdout().contains("hf+++++++++ fb => fd"), "{}", seen.stdout());
}

#[test]
fn a_basis_tree_has_a_single_entry_under_the_name_it_gets() {
    let tree = Tree::new()
        .file("src/f", "x")
        .symlink("src/l", "x")
        .dir("src/d")
        .file("alt/f", "x")
        .symlink("alt/l", "x")
        .dir("alt/d")
        .file("alt/named", "x")
        .symlink("alt/link", "x")
        .dir("alt/dir")
        .dir("dst");
    for action in ["--link-dest", "--copy-dest", "--compare-dest"] {
        for names in ["f dst/other", "f dst/named", "l dst/other", "l dst/link"] {
            check_links(&tree, &format!("-ai {action}=../alt src/{names}"));
        }
        for name in ["other", "dir"] {
            check_links(&tree, &format!("-ai {action}=@ROOT@/alt src/d {name}"));
        }
    }
    let seen = check_links(&tree, "-a --link-dest=../alt src/f dst/named");
    assert_eq!(seen.tree.at("dst/named").links_to.as_deref(), Some(&b"alt/named"[..]));
}

#[test]
fn a_device_is_told_as_a_change_of_the_one_that_it_is_like() {
    let device = |minor| Kind::Char(1, minor);
    let tree = Tree::new()
        .add("src/null", device(3))
        .add("alt1/null", device(5))
        .add("alt2/null", device(3))
        .mode(0o444)
        .dir("dst");
    for action in ["--link-dest", "--copy-dest", "--compare-dest"] {
        let args = format!("-ai {action}=../alt1 {action}=../alt2 src/ dst/");
        let seen = check_links(&tree, &args);
        assert!(seen.stdout().contains("cDc..p..... null"), "{}", seen.stdout());
    }
}

#[test]
fn what_may_not_be_linked_from_a_basis_tree_is_made_without_being_told_as_new() {
    let tree = Tree::new().dir("dst").symlink("src/l", "x").symlink("alt/l", "x").owner(0, 0);
    for options in ["-li", "-lii"] {
        let args = format!("-rt {options} --link-dest=../alt src/ dst/");
        let seen = check_links_as_user(&tree, &args);
        assert_eq!(seen.tree.at("dst/l").links_to, None);
    }
}

#[test]
fn names_that_a_link_leads_to_a_second_time_are_of_the_same_group() {
    let tree = Tree::new()
        .symlink("src/again", ".")
        .symlink("src/aside", "c")
        .file("src/c/a", "x")
        .hard_link("src/f", "src/c/a")
        .symlink("src/l", "x")
        .hard_link("src/c/m", "src/l")
        .file("list", "l\nagain/\nc/\nf\n")
        .dir("dst");
    for args in ["--files-from=list src/", "src/c src/aside/", "src/aside/ src/f"] {
        let seen = check_links(&tree, &format!("-aHri {args} dst/"));
        assert!(seen.stdout().contains(" => "), "{args}: {}", seen.stdout());
    }
}

#[test]
fn a_link_of_a_basis_tree_is_like_what_would_be_stored() {
    let tree = Tree::new()
        .symlink("src/l", "/rsyncd-munged/x")
        .symlink("src/m", "/rsyncd-munged/x")
        .symlink("alt/l", "/rsyncd-munged/x")
        .symlink("alt/m", "x")
        .dir("dst");
    for action in ["--link-dest", "--copy-dest", "--compare-dest"] {
        let seen = check_links(&tree, &format!("-ai --munge-links {action}=../alt src/ dst/"));
        assert_there(&seen, &["dst/l"], &[]);
    }
}

#[test]
fn a_file_of_a_basis_tree_that_may_not_be_linked_to_is_copied_over_what_is_there() {
    let tree = Tree::new()
        .file("src/f", "x")
        .mode(0o1644)
        .owner(0, 0)
        .file("alt/f", "x")
        .mode(0o1644)
        .owner(0, 0)
        .file("dst/f", "x")
        .owner(0, 0);
    let seen = check_links_as_user(&tree, "-aii --link-dest=../alt src/ dst");
    assert!(seen.stdout().contains("cf          f\n"), "{}", seen.stdout());
    // rsync copies also over what is right.
    let right = tree.file("dst/f", "x").mode(0o1644);
    let scenario = Scenario::new(right, "-ai --link-dest=../alt src/ dst").by_user();
    let ours = observe(&Tool::under_test(), &scenario, scratch_dir().path());
    assert_eq!((ours.stdout().as_str(), ours.code()), ("", 0));
}

#[test]
fn a_further_name_meets_what_is_in_its_way_in_a_dry_run_too() {
    let tree = Tree::new().file("src/a", "x").hard_link("src/b", "src/a").file("dst/b/inner", "x");
    for options in ["-aHn --force", "-aHn --delete", "-aH --force"] {
        assert_eq!(check_args(&tree, &format!("{options} src/ dst")).code(), 0, "{options}");
    }
    // Here rsync waits for itself for ever.
    for options in ["-aHn", "-aH"] {
        let scenario = Scenario::new(tree.clone(), &format!("{options} src/ dst"));
        let ours = observe(&Tool::under_test(), &scenario, scratch_dir().path());
        assert_eq!(ours.code(), 23, "{options}");
    }
}
