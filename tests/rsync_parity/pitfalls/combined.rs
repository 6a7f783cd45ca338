//! Options and arguments that bear on each other in ways that are easily missed.

use super::{assert_there, check_args, check_items};
use crate::support::parity::{Output, Scenario, Scope, check, observe};
use crate::support::run::{Tool, scratch_dir};
use crate::support::snapshot::{Also, Stamp};
use crate::support::tree::{Kind, Tree};

#[test]
fn a_hard_link_that_several_arguments_reach_is_one_group() {
    let tree = Tree::new().file("src/a/x", "x").hard_link("src/y", "src/a/x").dir("dst");
    for (sources, names) in [
        ("src/a src", &["a/x", "src/a/x", "src/y"][..]),
        ("src src/", &["a/x", "y", "src/a/x", "src/y"]),
        ("src/a/x src/", &["x", "a/x", "y"]),
    ] {
        let scope = Scope { output: Output::ItemsWithLinks, also: Also::default() };
        let seen = check(&Scenario::new(tree.clone(), &format!("-aiH {sources} dst/")), scope);
        let first = names.iter().map(|name| format!("dst/{name}")).min().unwrap();
        for name in names {
            let links_to = seen.tree.at(format!("dst/{name}")).links_to.clone();
            assert_eq!(links_to, Some(first.clone().into_bytes()), "{name} of {sources}");
        }
    }
}

#[test]
fn directories_that_bring_no_file_are_pruned_however_they_were_named() {
    let tree = Tree::new()
        .dir("src/empty/inner")
        .file("src/full/deep/file", "x")
        .symlink("src/linked/link", "nowhere")
        .file("list", "empty/inner\nfull/deep\nlinked/link\n")
        .dir("dst");
    for (args, there, absent) in [
        ("-rlm --files-from=list src dst", &["dst/full/deep/file", "dst/linked"][..], "dst/empty"),
        ("-lm --files-from=list src dst", &["dst/linked/link"], "dst/full"),
        ("-rlmR src/empty src/full dst", &["dst/src/full/deep/file"], "dst/src/empty"),
        ("-rm src/empty src/full dst", &["dst/full/deep/file"], "dst/empty"),
        ("-dm src/ dst", &["dst"], "dst/full"),
        ("-rm --exclude=file src/full dst", &["dst"], "dst/full"),
    ] {
        let seen = check_args(&tree, args);
        assert_there(&seen, there, &[absent]);
    }
}

#[test]
fn a_directory_with_nothing_but_a_link_to_nothing_is_pruned() {
    let tree = Tree::new()
        .symlink("src/lost/link", "nowhere")
        .symlink("src/lost/deep/link", "nowhere")
        .symlink("src/out/link", "../../../nowhere")
        .file("src/full/file", "x")
        .symlink("src/full/link", "nowhere")
        .symlink("src/outside/link", "../../aside")
        .dir("aside/empty")
        .file("dst/extra", "e");
    for (args, absent) in [
        ("-rmLi --delete src/ dst", "dst/lost"),
        ("-rmLi src/lost src/full dst", "dst/lost"),
        ("-rmLi --exclude=link src/ dst", "dst/lost"),
        ("-rmi --copy-unsafe-links src/ dst", "dst/out"),
    ] {
        let seen = check_args(&tree, args);
        assert_eq!(seen.code(), if args.contains("exclude") { 0 } else { 23 }, "{args}");
        assert_there(&seen, &["dst/full/file", "dst/extra"], &[absent, "dst/outside"]);
    }
}

#[test]
fn a_missing_argument_is_deleted_only_if_nothing_is_in_it() {
    let tree = Tree::new()
        .dir("src/here")
        .file("dst/gone/file", "x")
        .dir("dst/hollow")
        .file("dst/lost/file", "x");
    for (args, code, there, absent) in [
        ("-ri --delete-missing-args src/gone dst", 0, &["dst/gone/file"][..], &[][..]),
        ("-ri --delete-missing-args src/hollow dst", 0, &["dst/gone"], &["dst/hollow"]),
        ("-ri --delete-missing-args --force src/gone dst", 0, &[], &["dst/gone"]),
        ("-ri --delete-missing-args -R src/./here/no dst", 0, &["dst/here"], &[]),
        ("-ri --delete-missing-args -R src/./lost/file dst", 24, &["dst/lost/file"], &[]),
    ] {
        let seen = check_args(&tree, args);
        assert_eq!(seen.code(), code, "{args}");
        assert_there(&seen, there, absent);
    }
}

#[test]
fn the_end_of_names_counts_for_the_lists_behind_it() {
    let tree = Tree::new()
        .file("src/a", "")
        .file("src/b", "")
        .file("src/c", "")
        .file("lines", "a\nb\n")
        .file("nuls", "a\0b\0")
        .file("rules", "- a\n- b\n");
    for (options, absent) in [
        ("--exclude-from=lines -0", &["dst/a", "dst/b"][..]),
        ("-0 --exclude-from=lines", &[]),
        ("-0 --exclude-from=nuls", &["dst/a", "dst/b"]),
        ("-f._rules -0", &["dst/a", "dst/b"]),
        ("-0 --no-from0 --exclude-from=lines", &["dst/a", "dst/b"]),
    ] {
        let seen = check_args(&tree, &format!("-ri {options} src/ dst"));
        assert_there(&seen, &["dst/c"], absent);
    }
}

#[test]
fn update_counts_the_window_for_what_is_there() {
    for (lead_secs, window, is_copied) in
        [(0, 0, true), (0, 1, false), (1, 1, true), (1, 2, false), (-1, -1, true), (-2, -1, false)]
    {
        let tree = Tree::new()
            .file("src/a", "new")
            .mtime(1_600_000_000 + lead_secs, 0)
            .file("dst/a", "older")
            .mtime(1_600_000_000, 0);
        let args = format!("-riu --modify-window={window} src/ dst");
        let seen = check_args(&tree, &args);
        assert_eq!(seen.tree.at("dst/a").size == 3, is_copied, "{lead_secs} {window}");
    }
}

#[test]
fn a_directory_keeps_the_nanoseconds_of_a_time_that_counts_as_equal() {
    let tree = Tree::new()
        .dir("src/d")
        .mode(0o775)
        .mtime(1_500_000_000, 0)
        .dir("dst/d")
        .mtime(1_500_000_000, 999_999_999);
    let seen = check_args(&tree, "-ai src/ dst");
    assert_eq!(seen.tree.at("dst/d").mode, 0o775);
    assert_eq!(seen.tree.at("dst/d").mtime, Stamp::At(1_500_000_000, 999_999_999));
    let filled = tree.file("src/d/file", "x").file("dst/d/gone", "x");
    let seen = check_args(&filled, "-ai --delete src/ dst");
    assert_eq!(seen.tree.at("dst/d").mtime, Stamp::At(1_500_000_000, 0));
}

#[test]
fn a_new_directory_is_told_as_a_change_of_the_nearest_in_the_basis_trees() {
    let tree = Tree::new()
        .dir("src/d")
        .mode(0o750)
        .mtime(1_500_000_000, 0)
        .dir("far/d")
        .dir("near/d")
        .mode(0o750)
        .mtime(1_500_000_000, 0)
        .dir("dst");
    for (options, line) in [
        ("--link-dest=../far", "cd..tp..... d/"),
        ("--link-dest=../far --link-dest=../near", "cd          d/"),
        ("--copy-dest=@ROOT@/near", "cd          d/"),
        ("-O --copy-dest=../far", "cd..tp..... d/"),
        ("--no-t --no-p --copy-dest=../far", "cd          d/"),
    ] {
        let seen = check_args(&tree, &format!("-aii {options} src/ dst"));
        assert!(seen.stdout().contains(line), "{options}: {}", seen.stdout());
    }
    let seen = check_args(&tree, "-nai --link-dest=../near src/ new");
    assert!(!seen.stdout().contains("cd+"), "{}", seen.stdout());
}

#[test]
fn a_name_that_is_given_twice_needs_a_directory() {
    let tree = Tree::new().file("src/f", "x").dir("src/d").file("list", "d\nd/\n");
    for (args, there) in [
        ("-ri src/f src/f new", "new/f"),
        ("-ri src/d src/d new", "new/d"),
        ("-ri --files-from=list src new", "new/d"),
    ] {
        assert_there(&check_args(&tree, args), &[there], &[]);
    }
}

#[test]
fn a_listed_name_leads_through_no_link_of_another_user() {
    let tree = Tree::new()
        .file("src/d/f", "x")
        .symlink("src/theirs", "d")
        .owner(1234, 1234)
        .symlink("src/own", "d")
        .file("list", "theirs/\ntheirs/f\nown/f\n")
        .dir("dst");
    let seen = check_items(&Scenario::new(tree.clone(), "-ai --files-from=list src dst"));
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/own/f"], &["dst/theirs"]);
    let seen = check_args(&tree, "-aiL --files-from=list src dst");
    assert_there(&seen, &["dst/own/f", "dst/theirs/f"], &[]);
}

#[test]
fn links_whose_sources_are_removed_stay_at_the_destination() {
    for when in ["--delete-after", "--delete-delay", "--delete-during --max-delete=9"] {
        let tree = Tree::new().file("src/a", "x").hard_link("src/b", "src/a").file("dst/gone", "");
        let args = format!("-aH --remove-source-files {when} src/ dst");
        let seen = check_args(&tree, &args);
        assert_there(&seen, &["dst/a", "dst/b"], &["src/a", "src/b", "dst/gone"]);
    }
}

#[test]
fn a_new_time_of_what_changes_is_told_without_t() {
    let tree = Tree::new()
        .add("src/n", Kind::Char(1, 3))
        .add("dst/n", Kind::Char(1, 5))
        .file("src/a", "longer")
        .hard_link("src/b", "src/a")
        .file("dst/a", "x")
        .file("dst/b", "y");
    let scratch = scratch_dir();
    let scenario = Scenario::new(tree, "-rDHi src/ dst");
    let theirs = observe(&Tool::reference(), &scenario, scratch.path());
    let ours = observe(&Tool::under_test(), &scenario, scratch.path());
    for line in ["cDc.T...... n", "hf.sT...... b => a"] {
        assert!(theirs.stdout().contains(line), "{}", theirs.stdout());
        assert!(ours.stdout().contains(line), "{}", ours.stdout());
    }
}

#[test]
fn a_destination_that_is_a_file_gives_way_to_no_directory() {
    let tree = Tree::new().dir("src/empty").file("file", "kept").file("src/one", "1");
    for args in ["-ai src/empty file", "-di src/empty file", "-ai src/empty/ file"] {
        let seen = check_args(&tree, args);
        assert_eq!(seen.code(), 3, "{args}");
        assert_eq!(seen.tree.at("file").size, 4, "{args}");
    }
    let seen = check_args(&tree, "-ai src/one file");
    assert_eq!(seen.tree.at("file").size, 1);
}

#[test]
fn what_two_sources_have_comes_from_the_first() {
    let tree = Tree::new()
        .file("src/d/file", "from the whole")
        .file("src/d/sub/file", "from the whole")
        .file("src/deep/d/file", "named")
        .file("src/deep/d/sub/file", "named");
    for (sources, size) in [("src/deep/d src/", 5), ("src/ src/deep/d", 14)] {
        let seen = check_args(&tree, &format!("-ri {sources} dst"));
        assert_eq!(seen.tree.at("dst/d/file").size, size, "{sources}");
        assert_eq!(seen.tree.at("dst/d/sub/file").size, size, "{sources}");
    }
}

#[test]
fn a_name_that_is_missing_keeps_its_directory_from_being_pruned() {
    let tree = Tree::new().dir("src/way");
    for (source, kept) in [("src/missing", "dst/src"), ("src/way/missing", "dst/src/way")] {
        let seen = check_args(&tree, &format!("-mRi --delete-missing-args {source} dst/"));
        assert_there(&seen, &[kept], &[]);
    }
    let seen = check_args(&tree, "-mRi --ignore-missing-args src/missing dst/");
    assert_there(&seen, &[], &["dst/src"]);
}

#[test]
fn a_directory_that_is_pruned_is_in_no_files_way() {
    let tree = Tree::new().dir("src").file("dst", "kept").file("full/file", "x");
    for (args, code) in [("-rm src", 0), ("-dm full", 0), ("-rm full", 3), ("-r src", 3)] {
        let seen = check_args(&tree, &format!("{args} dst"));
        assert_eq!(seen.code(), code, "{args}");
        assert_eq!(seen.tree.at("dst").kind, '-');
    }
}

#[test]
fn of_names_that_are_alike_the_first_counts() {
    let tree = Tree::new()
        .file("src/a/x", "a")
        .file("src/b/y", "from b")
        .file("src/a/y", "a")
        .file("list", "a/x\nb/y\na/y\n");
    for args in ["-i src/a/x src/b/y src/a/y dst", "-i --no-R --files-from=list src dst"] {
        let seen = check_args(&tree, args);
        assert_eq!(seen.tree.at("dst/y").size, 6, "{args}");
    }
}
