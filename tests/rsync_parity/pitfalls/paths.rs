//! Pitfalls 1, 2, 4 and 20: what a source and a destination on the command line mean.

use super::{assert_there, check_args, check_items};
use crate::support::parity::{Output, Scenario, Scope, check};
use crate::support::snapshot::{Also, Stamp};
use crate::support::tree::{DEFAULT_MTIME, Tree};

fn tree() -> Tree {
    Tree::new()
        .dir("src")
        .mode(0o750)
        .mtime(1_000_000_000, 5)
        .file("src/sub/a", "a")
        .file("src/b", "b")
        .dir("dst")
}

#[test]
fn pitfall_01_a_trailing_slash_means_the_contents() {
    let table: &[(&str, &str, &str)] = &[
        ("-ai src/ dst", "dst/b", "dst/src"),
        ("-ai src dst", "dst/src/b", "dst/b"),
        ("-ai src/. dst", "dst/b", "dst/src"),
        ("-ai src//  dst//", "dst/b", "dst/src"),
        ("-ai ./src dst/", "dst/src/b", "dst/b"),
        ("-ai src/sub/.. dst/", "dst/b", "dst/src"),
        ("-ai . new", "new/src/b", "new/new"),
        ("-ai src/sub src/b dst", "dst/sub/a", "dst/a"),
        ("-ai src/sub/ src/b dst", "dst/a", "dst/sub"),
        ("-ai src/ src dst", "dst/src/b", "dst/src/src"),
        ("-ai src new", "new/src/b", "new/b"),
        ("-ai src/ new", "new/b", "new/src"),
        ("-ai src/ new/", "new/b", "new/src"),
    ];
    for (args, there, absent) in table {
        let seen = check_args(&tree(), args);
        assert_eq!(seen.code(), 0, "{args}");
        assert_there(&seen, &[there], &[absent]);
    }
}

#[test]
fn pitfall_01_the_contents_bring_the_attributes_of_their_directory() {
    let seen = check_args(&tree(), "-ai src/ dst");
    assert_eq!(seen.tree.at("dst").mode, 0o750);
    assert_eq!(seen.tree.at("dst").mtime, Stamp::At(1_000_000_000, 5));
    let seen = check_args(&tree(), "-ai src/b dst");
    assert_eq!(seen.tree.at("dst").mode, 0o755);
    let seen = check_args(&tree(), "-ai src dst");
    assert_eq!(seen.tree.at("dst").mode, 0o755);
    assert_eq!(seen.tree.at("dst/src").mode, 0o750);
}

#[test]
fn pitfall_01_one_file_to_a_new_name_is_a_file_and_several_are_a_directory() {
    let seen = check_args(&tree(), "-ai src/b new");
    assert_eq!(seen.tree.at("new").kind, '-');
    let seen = check_args(&tree(), "-ai src/b new/");
    assert_eq!(seen.tree.at("new/b").kind, '-');
    let seen = check_args(&tree(), "-ai src/b dst");
    assert_eq!(seen.tree.at("dst/b").kind, '-');
    let two = tree().file("src/c", "c");
    let seen = check_args(&two, "-ai src/b src/c new");
    assert_eq!(seen.tree.at("new/c").kind, '-');
    let seen = check_args(&two.file("file", ""), "-ai src/b src/c file");
    assert_eq!(seen.code(), 3, "several files do not fit into a file");
    let seen = check_args(&tree().file("file", ""), "-ai src file");
    assert_ne!(seen.code(), 0, "nor does a directory");
}

/// What cannot be reached is not there to `--mkpath`, which then fails to make it.
#[test]
fn pitfall_01_a_destination_that_cannot_be_reached() {
    let tree = tree().dir("locked").mode(0o600).owner(0, 0).dir("locked/in");
    for options in ["-ai", "-ain", "-ai --mkpath", "-ain --mkpath"] {
        for path in ["locked/in", "locked/in/", "locked/x/y", "src/b/x", "src/b/x/y", "src/b/"] {
            for sources in ["src/", "src/b", "src/b src/sub"] {
                let scenario = Scenario::new(tree.clone(), &format!("{options} {sources} {path}"));
                let seen = check_items(&scenario.by_user());
                let goes_on = options == "-ain" && seen.code() == 0;
                assert!(goes_on || matches!(seen.code(), 3 | 11), "{options} {sources} {path}");
            }
        }
    }
}

#[test]
fn pitfall_01_only_one_level_of_the_destination_is_made_without_mkpath() {
    let seen = check_args(&tree(), "-ai src/ new/deep");
    assert_eq!(seen.code(), 11);
    assert_there(&seen, &[], &["new"]);
    let seen = check_args(&tree(), "-ai --mkpath src/ new/deep/er");
    assert_there(&seen, &["new/deep/er/b"], &[]);
    let seen = check_args(&tree(), "-ai --mkpath src/b new/deep/er");
    assert_eq!(seen.tree.at("new/deep/er").kind, '-');
    let seen = check_args(&tree(), "-ain --mkpath src/b new/deep/er/");
    assert_there(&seen, &[], &["new"]);
}

#[test]
fn pitfall_01_a_destination_may_be_in_the_way_or_not_wanted() {
    let tree = Tree::new().file("src/f", "").dir("empty").symlink("dst/foo", "nowhere");
    for args in ["-ai --mkpath src/ dst/foo", "-ai --mkpath src/ dst/foo/deep"] {
        assert_eq!(check_args(&tree, args).code(), 11, "{args}");
    }
    for args in ["-ai --existing empty/ new", "-ain --existing empty/ new"] {
        assert_there(&check_args(&tree, args), &["dst"], &["new"]);
    }
    assert_there(&check_args(&tree, "-ai --existing --mkpath empty/ new/deep"), &["new"], &[]);
    let scenario = Scenario::new(tree, "-r --existing --list-only src/");
    let output = Output::Lines(str::to_owned);
    let seen = check(&scenario, Scope { output, also: Also::default() });
    assert_eq!(seen.stdout().lines().count(), 2);
}

#[test]
fn pitfall_01_a_directory_that_may_not_be_listed_has_a_copy_all_the_same() {
    let user = 65534;
    let tree = Tree::new().dir("src/d").owner(user, user).mode(0o311).file("src/d/f", "");
    for args in ["-ai src/d/ new", "-ai src/d new", "-ai --mkpath src/d/ new/deep"] {
        let seen = check_items(&Scenario::new(tree.clone(), args).by_user());
        assert_eq!(seen.code(), 23, "{args}");
        assert_there(&seen, &["new"], &[]);
    }
}

#[test]
fn a_directory_that_may_only_be_read_is_listed_where_links_are_followed() {
    let empty = Tree::new().dir("src/d").owner(65534, 65534).mode(0o400);
    let full = empty.clone().file("src/d/f", "");
    for (options, code) in [("-a", 23), ("-aL", 0), ("-ak", 0), ("-a --copy-unsafe-links", 0)] {
        let args = format!("{options} -i src/ new");
        assert_eq!(check_items(&Scenario::new(empty.clone(), &args).by_user()).code(), code);
        assert_eq!(check_items(&Scenario::new(full.clone(), &args).by_user()).code(), 23);
    }
}

#[test]
fn what_is_named_in_a_directory_that_cannot_be_listed_is_brought_over() {
    let tree = Tree::new().dir("src/d").mode(0o300).file("src/d/a", "a").file("src/d/b", "b");
    let tree = tree.file("src/c", "c").dir("dst/src/d").file("dst/src/d/extra", "e");
    for args in ["-r -R src/d/a src/ dst/", "-r -R --delete src/d/a src/ dst/"] {
        let seen = check(&Scenario::new(tree.clone(), args).by_user(), Scope::default());
        assert_eq!(seen.code(), 23);
        assert_there(&seen, &["dst/src/d/a", "dst/src/d/extra", "dst/src/c"], &["dst/src/d/b"]);
    }
}

#[test]
fn a_listed_link_with_a_slash_counts_as_the_directory_that_it_leads_to() {
    let tree = Tree::new().file("src/d/a", "a").file("src/d/b", "b").symlink("src/l", "d");
    for (list, there) in [("l/\n", "new/l/a"), ("l\n", "new")] {
        let tree = tree.clone().file("list", list);
        let seen = check_args(&tree, "-lti --files-from=list src/ new");
        assert_there(&seen, &[there], &[]);
    }
}

#[test]
fn a_listed_name_leads_through_no_chain_of_links_that_another_user_is_part_of() {
    let tree = Tree::new().file("src/d/f", "x").symlink("src/far", "d").owner(1234, 1);
    let tree = tree.symlink("src/near", "far");
    for line in ["near/f", "near/", "far/f"] {
        let seen = check_args(&tree.clone().file("list", line), "-ri --files-from=list src dst/");
        assert_eq!(seen.code(), 23, "{line}");
        assert_there(&seen, &["dst"], &["dst/near", "dst/far"]);
    }
}

#[test]
fn a_root_that_a_listed_name_leads_through_is_one_of_the_names() {
    let listed = |list: &str| Tree::new().file("src/a", "a").dir("dst").file("list", list);
    let table = [
        ("a\n", "", '-'),
        ("./a\n", "", 'd'),
        ("./a\n", "--no-implied-dirs", 'd'),
        ("././a\n", "--no-implied-dirs", '-'),
        ("./a\n", "--no-implied-dirs --no-R", '-'),
    ];
    for (list, options, kind) in table {
        let args = format!("-i {options} --files-from=list src dst/new");
        let seen = check_args(&listed(list), &args);
        assert_eq!(seen.tree.at("dst/new").kind, kind, "{list:?} {options}");
    }
    for options in ["-i", "-i --mkpath", "-in"] {
        let tree = listed("./sub/missing\n");
        let seen = check_args(&tree, &format!("{options} --files-from=list src dst/new"));
        assert_eq!(seen.code(), 23);
        assert!(!seen.stdout().contains("created directory"), "{}", seen.stdout());
    }
}

#[test]
fn pitfall_01_links_on_the_command_line_are_followed_only_with_a_slash() {
    let tree = tree().symlink("link", "src").symlink("dstlink", "dst");
    let seen = check_args(&tree, "-ai link dst");
    assert_eq!(seen.tree.at("dst/link").kind, 'l');
    let seen = check_args(&tree, "-ai link/ dst");
    assert_there(&seen, &["dst/b"], &["dst/link"]);
    let seen = check_args(&tree, "-ai src/ dstlink");
    assert_there(&seen, &["dst/b"], &[]);
    assert_eq!(seen.tree.at("dstlink").kind, 'l');
}

#[test]
fn pitfall_01_a_followed_link_to_a_directory_is_one() {
    let tree = Tree::new().file("out/f", "").symlink("src/l", "../out").dir("empty");
    let tree = tree.symlink("src/e", "../empty").file("g", "");
    for (args, there) in [
        ("-aiL src/l new", "new/l/f"),
        ("-aik src/l new", "new/l/f"),
        ("-aik src/e new", "new"),
        ("-ik src/l new", "src"),
        ("-iL src/l new", "src"),
        ("-aiL src/l g", "g"),
    ] {
        assert_there(&check_args(&tree, args), &[there], &["new/f"]);
    }
}

#[test]
fn pitfall_02_relative_keeps_the_path_and_a_dot_cuts_it() {
    let table: &[(&str, &str, &str)] = &[
        ("-aiR src/sub/a dst", "dst/src/sub/a", "dst/src/b"),
        ("-aiR src/./sub/a dst", "dst/sub/a", "dst/src"),
        ("-aiR ./src/sub dst", "dst/src/sub/a", "dst/src/b"),
        ("-aiR src/sub/ dst", "dst/src/sub/a", "dst/src/b"),
        ("-aiR src/sub/./ dst", "dst/a", "dst/src"),
        ("-aiR src/./ dst", "dst/b", "dst/src"),
        ("-aR --no-implied-dirs src/sub/a dst", "dst/src/sub/a", "dst/src/b"),
    ];
    for (args, there, absent) in table {
        let seen = check_args(&tree(), args);
        assert_there(&seen, &[there], &[absent]);
    }
}

#[test]
fn pitfall_02_implied_parents_get_attributes_unless_told_not_to() {
    let seen = check_args(&tree(), "-aiR src/sub/a dst");
    assert_eq!(seen.tree.at("dst/src").mode, 0o750);
    assert_eq!(seen.tree.at("dst/src").mtime, Stamp::At(1_000_000_000, 5));
    let seen = check_args(&tree(), "-aiR --no-implied-dirs src/sub/a dst");
    assert_eq!(seen.tree.at("dst/src").mode, 0o755);
    assert_eq!(seen.tree.at("dst/src").mtime, Stamp::Now);
}

#[test]
fn pitfall_02_implied_parents_that_are_links() {
    let linked = tree().symlink("way", "src").symlink("dst/way", "../other").dir("other");
    let seen = check_args(&linked, "-aiR way/sub/a dst");
    assert_eq!(seen.tree.at("dst/way").kind, 'd', "sent as a directory, so the link gives way");
    let seen = check_args(&linked, "-aiR --no-implied-dirs way/sub/a dst");
    assert_eq!(seen.tree.at("dst/way").kind, 'l');
}

#[test]
fn pitfall_02_what_is_in_the_way_of_a_path_stays_without_implied_directories() {
    let blocked = Tree::new().file("src/way/sub/f", "x").file("dst/way", "there");
    let seen = check_args(&blocked, "-aiR --no-implied-dirs src/./way/sub/f dst");
    assert_eq!((seen.code(), seen.tree.at("dst/way").kind), (23, '-'));
    let seen = check_args(&blocked, "-aiR src/./way/sub/f dst");
    assert_eq!((seen.code(), seen.tree.at("dst/way").kind), (0, 'd'));
}

#[test]
fn a_dry_run_fails_where_a_link_leads_out_of_the_destination() {
    let tree = Tree::new().file("src/c/f", "x").symlink("dst/c", "../outside").dir("outside");
    for args in ["-aiK src/ dst", "-ainK src/ dst"] {
        assert_eq!(check_args(&tree, args).code(), 23, "{args}");
    }
}

fn listed(list: &str) -> Tree {
    tree().file("src/sub/deep/z", "z").file("list", list)
}

#[test]
fn pitfall_04_files_from_does_not_recurse_even_with_archive() {
    let seen = check_args(&listed("sub\n"), "-ai --files-from=list src dst");
    assert_there(&seen, &["dst/sub"], &["dst/sub/a"]);
    let seen = check_args(&listed("sub\n"), "-ai -r --files-from=list src dst");
    assert_there(&seen, &["dst/sub/a", "dst/sub/deep/z"], &["dst/b"]);
    let seen = check_args(&listed("sub/\n"), "-ai --files-from=list src dst");
    assert_there(&seen, &["dst/sub/a", "dst/sub/deep"], &["dst/sub/deep/z"]);
}

#[test]
fn pitfall_04_files_from_reads_its_lines_as_rsync_does() {
    type Row = (&'static str, &'static str, i32, &'static [&'static str], &'static [&'static str]);
    let table: &[Row] = &[
        ("/sub/a\n", "", 0, &["dst/sub/a"], &["dst/b"]),
        ("./sub/./a\n", "", 0, &["dst/a"], &["dst/sub"]),
        ("# b\n; b\n\nsub/a\n", "", 0, &["dst/sub/a"], &["dst/b"]),
        ("../b\n", "", 0, &["dst/b"], &[]),
        ("sub/../b\n", "", 0, &["dst/b"], &["dst/sub"]),
        ("sub/a\nmissing\nb\n", "", 23, &["dst/sub/a", "dst/b"], &["dst/missing"]),
        ("missing\n", "--ignore-missing-args", 0, &[], &["dst/missing"]),
        ("b\r\nsub/a\r\n", "", 0, &["dst/sub/a", "dst/b"], &[]),
        ("sub/a\0b", "-0", 0, &["dst/sub/a", "dst/b"], &[]),
        ("#b\0sub/a\0", "-0", 0, &["dst/sub/a"], &["dst/b"]),
        ("sub/a\n", "--no-R", 0, &["dst/a"], &["dst/sub"]),
        ("sub/deep/z\nb", "", 0, &["dst/sub/deep/z", "dst/b"], &["dst/sub/a"]),
        (".\n", "", 0, &["dst/b", "dst/sub"], &["dst/sub/a"]),
        ("", "", 0, &["dst"], &["dst/b"]),
    ];
    for (list, options, code, there, absent) in table {
        let seen = check_args(&listed(list), &format!("-ai --files-from=list {options} src dst"));
        assert_eq!(seen.code(), *code, "{list:?} {options}");
        assert_there(&seen, there, absent);
    }
}

#[test]
fn pitfall_04_files_from_deletes_nothing_beside_the_listed_names() {
    let tree = listed("sub\n").file("dst/extra", "").file("dst/sub/extra", "");
    let seen = check_args(&tree, "-ai --delete --files-from=list src dst");
    assert_there(&seen, &["dst/extra", "dst/sub/extra"], &[]);
    let seen = check_args(&tree, "-air --delete --files-from=list src dst");
    assert_there(&seen, &["dst/extra"], &["dst/sub/extra"]);
}

#[test]
fn pitfall_04_missing_arguments_can_be_deleted_at_the_destination() {
    let tree = tree().file("list", "gone\nb\n").file("dst/gone", "").file("dst/kept", "");
    let seen = check_args(&tree, "-ai --delete-missing-args --files-from=list src dst");
    assert_eq!(seen.code(), 0);
    assert_there(&seen, &["dst/kept"], &["dst/gone"]);
    let seen = check_args(&tree, "-ai --ignore-missing-args src/gone src/b dst");
    assert_eq!(seen.code(), 0);
    assert_there(&seen, &["dst/gone"], &[]);
}

/// Where the source is listed as a whole a name goes though its directory is missing, too; where it
/// is read as the run goes, nobody comes to that name.
#[test]
fn pitfall_04_a_missing_name_in_a_missing_directory() {
    let tree = tree()
        .file("list", "gone/x\nsub/a\n")
        .file("dst/gone/x", "")
        .file("dst/gone/deep/y", "")
        .file("dst/x", "");
    let list = "--delete-missing-args --files-from=list src dst";
    for options in ["-ai", "-air --no-inc-recursive", "-ai --no-implied-dirs", "-ain"] {
        let seen = check_args(&tree, &format!("{options} {list}"));
        assert_eq!(seen.code(), 24, "{options}");
        assert!(seen.stdout().contains("*deleting   gone/x\n"), "{options}");
        assert_there(&seen, &["dst/gone/deep/y", "dst/x"], &[]);
    }
    let seen = check_args(&tree, &format!("-air {list}"));
    assert_eq!(seen.code(), 24);
    assert_there(&seen, &["dst/gone/x", "dst/sub/a"], &[]);
    let seen = check_args(&tree, "-diR --delete-missing-args src/./gone/deep/y dst");
    assert_there(&seen, &["dst/gone/x"], &["dst/gone/deep/y"]);
    // What is not kept of a path must be there.
    for missing in ["--delete-missing-args", "--ignore-missing-args"] {
        let seen = check_args(&tree, &format!("-ai --no-R {missing} --files-from=list src dst"));
        assert_eq!(seen.code(), 23, "{missing}");
        assert_there(&seen, &["dst/x", "dst/gone/x"], &[]);
    }
}

#[test]
fn pitfall_04_a_missing_name_goes_when_its_directory_is_entered() {
    let tree =
        tree().file("list", "sub/gone\nsub/a\n").file("dst/sub/gone", "").file("dst/gone", "");
    for options in ["-ai", "-air"] {
        let list = "--delete-missing-args --files-from=list src dst";
        let seen = check_args(&tree, &format!("{options} {list}"));
        assert_there(&seen, &["dst/gone", "dst/sub/a"], &["dst/sub/gone"]);
    }
}

#[test]
fn pitfall_04_one_missing_argument_stands_for_the_destination() {
    let tree = Tree::new().dir("src").file("dst/none", "").file("f", "");
    let seen = check_args(&tree, "-ai --delete-missing-args src/none f");
    assert_there(&seen, &["dst/none"], &["f"]);
    let seen = check_args(&tree, "-ai --delete-missing-args src/none dst");
    assert_there(&seen, &["f"], &["dst/none"]);
    for args in ["src/none new", "src/none new/deep", "--mkpath src/none new/deep"] {
        let seen = check_args(&tree, &format!("-ai --delete-missing-args {args}"));
        assert_there(&seen, &["dst/none"], &["new/deep"]);
    }
    let seen = check_args(&tree, "-ai --delete-missing-args src/none src/more new");
    assert_there(&seen, &["new"], &[]);
}

#[test]
fn pitfall_20_names_with_blanks_and_shell_letters_are_taken_as_they_are() {
    for name in ["a b", "$HOME", "*", "a;b", "-x", "tick'", "quote\"", "back\\slash", "trail "] {
        let tree = Tree::new().file(format!("src/{name}"), "x").file("src/other", "o").dir("dst");
        let scenario = Scenario::new(tree, "-ai --").arg(format!("src/{name}")).arg("dst/");
        let seen = check_items(&scenario);
        assert_there(&seen, &[&format!("dst/{name}")], &["dst/other"]);
    }
}

#[test]
fn pitfall_20_a_colon_after_a_slash_is_not_a_host() {
    let tree = Tree::new().file("a:b", "x").mtime(DEFAULT_MTIME.0, 0).dir("dst");
    let seen = check_args(&tree, "-ai ./a:b dst/");
    assert_there(&seen, &["dst/a:b"], &[]);
    let seen = check_args(&tree, "-ai ./a:b dst/c:d");
    assert_there(&seen, &["dst/c:d"], &[]);
}
