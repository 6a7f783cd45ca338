//! Names that are picked one by one: several that lead through one another, from one source or from two.

use super::{assert_there, check_args};
use crate::support::parity::{Output, Scenario, Scope, check};
use crate::support::snapshot::Also;
use crate::support::tree::Tree;

/// The options with which links are taken for more or for less.
const ABOUT_LINKS: [&str; 6] =
    ["-aiR", "-aiRK", "-aiRk", "-aiRL", "-aiRm", "-aiR --no-implied-dirs"];

fn is_followed(options: &str) -> bool {
    options.contains(['k', 'L'])
}

/// A link to a directory that is named, and something behind it: the link alone does not ask for all
/// that it leads to.
#[test]
fn a_named_link_that_leads_on_is_not_given_whole() {
    let tree = Tree::new().file("src/a/b/r", "").file("src/a/b/y", "").symlink("src/l", "a/b");
    let tree = tree.file("dst/l/other", "").symlink("src/far", "l").file("list", "l\nl/y\n");
    let name = ["src/./l src/./l/y", "src/./l/y src/./l", "src/./l src/./l/y src/./far"];
    for options in ABOUT_LINKS {
        for sources in name {
            let seen = check_args(&tree, &format!("{options} --delete {sources} dst/"));
            assert_eq!(seen.tree.has("dst/l/r"), is_followed(options), "{options} {sources}");
            assert_ne!(seen.tree.has("dst/l/other"), is_followed(options), "{options} {sources}");
        }
        let seen = check_args(&tree, &format!("{options} --delete src/./l/ src/./l/y dst/"));
        assert_there(&seen, &["dst/l/r"], &["dst/l/other"]);
    }
    for args in ["-ari --delete --files-from=list src dst/", "-ai --files-from=list src dst/"] {
        assert_there(&check_args(&tree, args), &["dst/l/y", "dst/l/other"], &["dst/l/r"]);
    }
    let seen = check_args(&tree, "-aiR --delete src/./far src/./far/y dst/");
    assert_there(&seen, &["dst/far/y", "dst/l/other"], &["dst/far/r"]);
}

#[test]
fn a_named_link_that_leads_out_of_the_tree_is_given_whole_where_it_is_copied() {
    let tree = Tree::new().file("out/r", "").file("out/y", "").symlink("src/l", "../out");
    let tree = tree.file("dst/l/other", "");
    for sources in ["src/./l src/./l/y", "src/./l/y src/./l"] {
        let seen = check_args(&tree, &format!("-aiR --delete {sources} dst/"));
        assert_there(&seen, &["dst/l/y", "dst/l/other"], &["dst/l/r"]);
        let args = format!("-aiR --copy-unsafe-links --delete {sources} dst/");
        assert_there(&check_args(&tree, &args), &["dst/l/y", "dst/l/r"], &["dst/l/other"]);
    }
}

/// What one source has as a directory may be a link in another, which counts for itself.
#[test]
fn a_link_of_one_source_does_not_become_the_directory_of_another() {
    let tree = Tree::new().file("one/x/k", "").file("one/x/more", "").file("two/t/q", "");
    let tree = tree.symlink("two/x", "t").file("dst/x/o", "");
    for options in ABOUT_LINKS {
        for sources in ["two/./x one/./x/k", "one/./x/k two/./x"] {
            let seen = check_args(&tree, &format!("{options} --delete {sources} dst/"));
            assert_eq!(seen.tree.has("dst/x/q"), is_followed(options), "{options} {sources}");
            assert_there(&seen, &["dst/x/k"], &["dst/x/more"]);
        }
        for (sources, there) in [
            ("one/./x/k two/./x/", &["dst/x/k", "dst/x/q"][..]),
            ("one/./x two/./x/q", &["dst/x/more", "dst/x/q"]),
            ("two/./x/q one/./x", &["dst/x/more", "dst/x/q"]),
            ("one/./ two/./x/q", &["dst/x/more", "dst/x/q"]),
        ] {
            let seen = check_args(&tree, &format!("{options} --delete {sources} dst/"));
            assert_there(&seen, there, &["dst/x/o"]);
        }
    }
    for options in ["-aiL", "-aik"] {
        for sources in ["one/ two/", "two/ one/"] {
            let seen = check_args(&tree, &format!("{options} --delete {sources} dst/"));
            assert_there(&seen, &["dst/x/more", "dst/x/q"], &["dst/x/o"]);
        }
    }
}

/// A transfer that begins below where the job does: rules are read all the way up from there, on whichever
/// host.
#[test]
fn rules_above_a_listed_name_are_read_where_the_list_leads_to() {
    let tree = Tree::new().file("src/f", "").file("src/a/b/r", "").file("src/a/b/q", "").dir("dst");
    let tree = tree.file("whole", "a/b/\nf\n").file("cut", "a/./b/r\n").file("dir", "a/b\n");
    for filter in ["-F", "--filter=:_/.x"] {
        for args in [
            "-ai --no-R --files-from=whole src/ dst/",
            "-ai --no-R --files-from=dir src/ dst/",
            "-ari --no-R --files-from=dir src/ dst/",
            "-ai --files-from=cut src/ dst/",
            "-ari --files-from=cut src/ dst/",
        ] {
            let seen = check_args(&tree, &format!("{filter} {args}"));
            assert_eq!(seen.code(), 0, "{filter} {args}");
        }
    }
    // rsync's sender forgets such a rule where the list goes to it, so this is said on one host alone.
    let ruled = tree.file("src/a/.rsync-filter", "- r");
    for (args, there) in [
        ("-ari -F --no-R --files-from=dir src/ dst/", "dst/b/q"),
        ("-ari -F --files-from=cut src/ dst/", "dst/b"),
    ] {
        let scope = Scope { output: Output::Items, also: Also::default() };
        assert_there(&check(&Scenario::new(ruled.clone(), args), scope), &[there], &["dst/b/r"]);
    }
}

#[test]
fn the_first_dot_between_slashes_cuts_a_listed_line() {
    let tree = Tree::new().file("src/c/sub/z", "").file("src/c/sub/e/w", "").dir("dst");
    for (line, there) in [
        ("c/./sub/./z", "dst/sub/z"),
        ("c/./sub/./e/./w", "dst/sub/e/w"),
        ("./c/./sub/z", "dst/sub/z"),
        ("c/./././sub/z", "dst/sub/z"),
        ("c/./sub/./", "dst/sub/z"),
    ] {
        for options in ["-ai", "-ari", "-ai --no-implied-dirs", "-ai -0"] {
            let list = format!("{line}{}", if options.ends_with('0') { "\0" } else { "\n" });
            let tree = tree.clone().file("list", list);
            let seen = check_args(&tree, &format!("{options} --files-from=list src dst/"));
            assert_there(&seen, &[there], &["dst/z", "dst/w"]);
        }
    }
}
