//! Pitfalls 16, 18 and 19: the order of lines, exit codes, and the lines that scripts parse.

use super::{assert_there, check_args, check_items};
use crate::support::mask;
use crate::support::parity::{Output, Scenario, Scope, check, is_item};
use crate::support::snapshot::Also;
use crate::support::tree::{Kind, Tree};

fn sorted_oddly() -> Tree {
    let mut tree = Tree::new().dir("src");
    for name in [
        "foo/x", "foo-bar", "foo.d/y", "foo0", "foo ", "Foo", "b/z", "b.txt", "a", "-d", "~",
        "é/é", ".h",
    ] {
        tree = tree.file(format!("src/{name}"), "x");
    }
    tree.dir("src/empty").dir("dst")
}

fn item_names(stdout: &str) -> Vec<String> {
    stdout.lines().filter(|line| is_item(line)).map(|line| line[12..].to_owned()).collect()
}

#[test]
fn pitfall_16_items_come_by_directory_with_files_before_directories() {
    let seen = check_args(&sorted_oddly(), "-ai src/ dst");
    let names = item_names(&seen.stdout());
    let first_dir = names.iter().skip(1).position(|name| name.ends_with('/')).expect("directories");
    let last_file = names.iter().rposition(|name| !name.contains('/')).expect("files");
    assert_eq!(first_dir, last_file, "all files of the top come before its directories");
    assert_eq!(names.len(), 18);
}

#[test]
fn pitfall_16_the_order_holds_with_every_way_to_list() {
    for options in [
        "-ai --no-inc-recursive",
        "-aii",
        "-ai --delete-before",
        "-ain",
        "-aiR",
        "-ai -m",
        "-rdi",
        "-di",
        "-aivv",
    ] {
        let seen = check_args(&sorted_oddly(), &format!("{options} src/ dst"));
        assert!(item_names(&seen.stdout()).len() > 10, "{options}");
    }
    let seen = check_args(&sorted_oddly(), "-ai src/foo src/b src/a src/ dst");
    assert!(item_names(&seen.stdout()).len() > 15);
    let seen = check_args(&sorted_oddly(), "-aiR src/foo src/b.txt src/a src/foo-bar dst");
    assert_eq!(item_names(&seen.stdout()).len(), 6);
}

#[test]
fn pitfall_16_deletions_are_printed_in_their_own_order() {
    let mut tree = Tree::new().dir("src/foo");
    for name in ["foo/x", "foo/y/z", "foo-bar", "a/b/c", "a/d", "z", "foo.d/k"] {
        tree = tree.file(format!("dst/{name}"), "x");
    }
    for when in ["--delete", "--delete-before", "--delete-after", "--delete-delay"] {
        let seen = check_args(&tree, &format!("-ai {when} src/ dst"));
        let deleted: Vec<_> =
            seen.stdout().lines().filter(|line| line.starts_with('*')).map(str::to_owned).collect();
        assert_eq!(deleted.len(), 11, "{when}: {deleted:?}");
    }
}

#[test]
fn pitfall_16_every_flag_of_an_item() {
    let tree = Tree::new()
        .file("src/same", "x")
        .file("dst/same", "x")
        .file("src/time", "x")
        .mtime(1_600_000_500, 0)
        .file("dst/time", "x")
        .file("src/size", "xx")
        .file("dst/size", "x")
        .file("src/mode", "x")
        .mode(0o600)
        .file("dst/mode", "x")
        .file("src/attr", "x")
        .xattr("user.a", "1")
        .file("dst/attr", "x")
        .symlink("src/l", "new")
        .symlink("dst/l", "old")
        .symlink("src/lsame", "x")
        .symlink("dst/lsame", "x")
        .add("src/pipe", Kind::Fifo)
        .mtime(5, 0)
        .add("dst/pipe", Kind::Fifo)
        .dir("src/d")
        .mtime(7, 0)
        .dir("dst/d")
        .file("src/kind", "x")
        .dir("dst/kind");
    for options in [
        "-aiX",
        "-aiiX",
        "-rii",
        "-rtii",
        "-aiiX --size-only",
        "-aiic",
        "-aiiI",
        "-aiiu",
        "-aii --existing",
        "-aii --ignore-existing",
        "-aiiX -n",
    ] {
        let seen = check_args(&tree, &format!("{options} src/ dst"));
        assert!(!item_names(&seen.stdout()).is_empty(), "{options}");
    }
    let seen = check_args(&tree, "-aiX src/ dst");
    for line in [
        ">f..t...... time",
        ">f.s....... size",
        ".f...p..... mode",
        ".f........x attr",
        "cLc........ l -> new",
        ".d..t...... d/",
    ] {
        assert!(seen.stdout().lines().any(|seen| seen == line), "{line} in {}", seen.stdout());
    }
}

#[test]
fn pitfall_18_faults_give_23_and_the_run_goes_on() {
    let tree = Tree::new().file("src/a", "a").mode(0o000).owner(0, 0).file("src/z", "z").dir("dst");
    let seen = check_items(&Scenario::new(tree, "-rti src/ dst").by_user());
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/z"], &["dst/a"]);
    let tree = Tree::new().file("src/a", "a").file("src/d/b", "b").dir("dst/d").owner(0, 0);
    let seen = check_items(&Scenario::new(tree, "-rti src/ dst").by_user());
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/a"], &["dst/d/b"]);
    // One's own read-only directory is opened for the time of the run.
    let tree = Tree::new().file("src/d/b", "b").dir("dst/d").mode(0o500);
    let seen = check_items(&Scenario::new(tree, "-rti src/ dst").by_user());
    assert_eq!(seen.code(), 0);
    assert_eq!(seen.tree.at("dst/d").mode, 0o500);
}

#[test]
fn pitfall_18_read_only_directories_are_filled_all_the_same() {
    let tree = Tree::new()
        .dir("src/ro")
        .mode(0o555)
        .file("src/ro/a", "a")
        .dir("src/ro/sub")
        .mode(0o500)
        .file("src/ro/sub/b", "b");
    let seen = check_items(&Scenario::new(tree, "-ai src/ new").by_user());
    assert_eq!(seen.code(), 0);
    assert_eq!(seen.tree.at("new/ro").mode, 0o555);
    assert_there(&seen, &["new/ro/sub/b"], &[]);
}

#[test]
fn pitfall_18_exit_codes_of_runs_that_cannot_begin() {
    let tree = Tree::new().file("src/a", "a").file("file", "f").dir("dst");
    let table: &[(&str, i32)] = &[
        ("-ai missing dst", 23),
        ("-ai missing src/ dst", 23),
        ("-ai src/ file", 3),
        ("-ai src/ file/x", 3),
        ("-ai src/ no/such/parent", 11),
        ("-ai --files-from=missing src dst", 1),
        ("-ai --bogus src dst", 1),
        ("-ai --max-size=12x3 src dst", 1),
        ("-ai --link-dest=a --copy-dest=b src dst", 1),
        ("-ai --delete-before --delete-after src dst", 1),
        ("-ai --remove-source-files src/ src/", 23),
        ("-ai src/ src/", 0),
        ("-ai src/ src/sub", 0),
        ("-ai file file", 0),
    ];
    for (args, code) in table {
        let seen = check_args(&tree, args);
        assert_eq!(seen.code(), *code, "{args}");
    }
}

#[test]
fn pitfall_19_the_lines_that_scripts_parse() {
    let tree = Tree::new()
        .file("src/a", "aaa")
        .numbers("src/sub/b", 1, 5000)
        .symlink("src/l", "a")
        .file("dst/old", "o");
    let scope = Scope { output: Output::Lines(mask::wire), also: Also::default() };
    for args in [
        "-av src/ dst",
        "-avn src/ dst",
        "-av src/ new",
        "-av src/missing src/a dst",
        "-rv src/ dst",
        "-av --no-inc-recursive src/ dst",
        "-vv -a src/a dst",
    ] {
        let seen = check(&Scenario::new(tree.clone(), args), scope);
        let stdout = seen.stdout();
        assert!(
            stdout.starts_with("sending incremental file list\n")
                || !args.starts_with("-av s")
                || args.contains("no-inc"),
            "{stdout}"
        );
        assert!(stdout.contains("\nsent "), "{stdout}");
        assert!(stdout.contains("total size is "), "{stdout}");
    }
}

#[test]
fn pitfall_19_the_progress_lines() {
    let tree = Tree::new().numbers("src/a", 1, 150_000).numbers("src/sub/b", 1, 5000).dir("dst");
    let scope = Scope { output: Output::Lines(mask::progress), also: Also::default() };
    let seen = check(&Scenario::new(tree.clone(), "-a --progress src/ dst"), scope);
    assert!(seen.stdout().contains("(xfr#2, to-chk=0/4)"), "{}", seen.stdout());
}

#[test]
fn backups_are_named_whatever_became_of_the_file() {
    let tree = Tree::new()
        .file("src/f", "new content")
        .file("dst/f", "old")
        .file("dst/gone", "x")
        .file("dst/d/gone", "x");
    let scope = Scope { output: Output::Lines(mask::wire), also: Also::default() };
    for options in ["", "--backup-dir=../bk", "--backup-dir=../bk -v", "-n", "--inplace"] {
        let line = format!("-ab --delete --info=backup {options} src/ dst/");
        let seen = check(&Scenario::new(tree.clone(), &line), scope);
        let named = seen.stdout().lines().filter(|line| line.contains("backed up ")).count();
        assert_eq!(named, if options == "-n" { 2 } else { 3 }, "{options}: {}", seen.stdout());
    }
}

#[test]
fn a_root_on_the_way_is_named_where_no_directory_is_asked_for() {
    let tree = Tree::new().file("src/f", "x").dir("dst");
    for args in ["-R ./src/f dst/", "-R --no-implied-dirs ./src/f dst/", "-R src/./f ./src/f dst/"]
    {
        let scope = Scope { output: Output::Lines(mask::wire), also: Also::default() };
        let seen = check(&Scenario::new(tree.clone(), args), scope);
        assert_eq!(seen.stdout().matches("skipping directory .").count(), 1, "{args}");
    }
}

#[test]
fn what_lacks_its_owner_is_told_with_the_mode_that_it_was_given() {
    let tree = Tree::new().file("src/f", "x").owner(0, 0).mode(0o644);
    let scenario =
        Scenario::new(tree, "-rpo --super --chmod=go= src/ dst").arg("--out-format=%i %n %B");
    let seen = check_items(&scenario.by_user());
    assert_eq!(seen.code(), 23);
    assert!(seen.stdout().contains(">f+++++++++ f rw-------"));
}
