//! Pitfalls 3, 9 and 10: what is deleted, what is kept aside, and where deletion stops.

use super::{assert_there, check_args, check_items};
use crate::support::parity::{Observation, Output, Scenario, Scope, check};
use crate::support::snapshot::Also;
use crate::support::tree::{Kind, Tree, is_root};

const WHENS: [&str; 5] =
    ["--delete-before", "--delete-during", "--delete-delay", "--delete-after", "--delete"];

fn tree() -> Tree {
    Tree::new()
        .file("src/keep", "k")
        .file("src/sub/a", "a")
        .file("dst/keep", "k")
        .file("dst/extra", "e")
        .file("dst/sub/extra", "e")
        .file("dst/gone/deep/file", "f")
}

#[test]
fn pitfall_03_deletion_needs_whole_directories() {
    for when in WHENS {
        let seen = check_args(&tree(), &format!("-ai {when} src/ dst"));
        assert_there(&seen, &["dst/keep"], &["dst/extra", "dst/sub/extra", "dst/gone"]);
        // A source without a slash: only dst/src is a directory of the transfer.
        let seen = check_args(&tree(), &format!("-ai {when} src dst"));
        assert_there(&seen, &["dst/extra", "dst/gone/deep/file"], &[]);
        let seen = check_args(&tree(), &format!("-ai {when} src/keep dst"));
        assert_there(&seen, &["dst/extra"], &[]);
        let seen = check_args(&tree(), &format!("-di {when} src/ dst"));
        assert_there(&seen, &["dst/sub/extra"], &["dst/extra"]);
        let seen = check_args(&tree(), &format!("-ain {when} src/ dst"));
        assert_there(&seen, &["dst/extra", "dst/gone/deep/file"], &[]);
    }
    let seen = check_args(&tree(), "-lpti --delete src/ dst");
    assert_eq!(seen.code(), 1, "--delete alone is refused");
}

#[test]
fn a_link_to_nothing_behind_another_source_is_told_of() {
    let tree = |has_directory: bool| {
        let tree = Tree::new().symlink("b/x", "nowhere").file("b/y", "y").file("dst/extra", "e");
        if has_directory { tree.file("a/x/in", "f") } else { tree.file("a/x", "f") }
    };
    for when in WHENS {
        for has_directory in [false, true] {
            for sources in ["a/ b/", "b/ a/"] {
                let args = format!("-aiL {when} {sources} dst");
                let seen = check_args(&tree(has_directory), &args);
                assert_eq!(seen.code(), 23, "{args}");
                assert_there(&seen, &["dst/extra", "dst/y"], &[]);
            }
        }
    }
}

#[test]
fn a_link_to_nothing_that_a_rule_hides_keeps_nothing_back() {
    let tree = Tree::new()
        .file("src/d/.rules", "- x\n")
        .symlink("src/d/x", "/nowhere")
        .file("src/d/y", "y")
        .dir("src/full")
        .file("dst/full/extra", "e");
    let line = "-a --copy-unsafe-links -R --delete-delay --filter=:_.rules";
    let scope = Scope { output: Output::Ignored, also: Also::default() };
    let args = format!("{line} src/./d/x src/./d/y src/./full/ dst");
    let seen = check(&Scenario::new(tree, &args), scope);
    assert_eq!(seen.code(), 0);
    assert_there(&seen, &["dst/d/y", "dst/full"], &["dst/full/extra", "dst/d/x"]);
}

#[test]
fn a_fault_at_the_source_keeps_back_neither_what_is_in_the_way_nor_missing_arguments() {
    let tree = Tree::new()
        .symlink("src/link", "nowhere")
        .file("src/z", "file")
        .file("dst/z/in", "in the way")
        .file("dst/gone/in", "named")
        .file("dst/extra", "e");
    for options in ["--delete", "--delete-before", "--delete-after", "--force"] {
        let args = format!("-aL --delete-missing-args {options} src/ src/gone dst");
        let scope = Scope { output: Output::Ignored, also: Also::default() };
        let seen = check(&Scenario::new(tree.clone(), &args), scope);
        assert_eq!(seen.code(), 23, "{options}");
        assert_there(&seen, &["dst/z", "dst/extra"], &["dst/z/in", "dst/gone"]);
    }
}

#[test]
fn pitfall_03_what_is_moved_away_is_not_extraneous_afterwards() {
    let tree = tree()
        .file("src/sub/deep/b", "b")
        .file("src/.rules", "P protected\n")
        .file("dst/sub/deep/extra", "e")
        .file("dst/sub/protected", "p");
    let further =
        ["", "-m", "-H", "--delay-updates", "--filter=:_.rules", "-n", "-b", "--max-delete=99"];
    for when in WHENS {
        for further in further {
            let args = format!("-ai --remove-source-files {when} {further} src/ dst");
            let seen = check_args(&tree, &args);
            assert_eq!(seen.code(), 0, "{args}");
            let there = ["dst/keep", "dst/gone/deep/file", "src/sub/a"];
            if further == "-n" {
                assert_there(&seen, &there, &[]);
            } else if further != "-b" {
                assert_there(&seen, &["dst/keep", "dst/sub/a", "dst/sub/deep/b"], &there[1..]);
            }
        }
    }
}

#[test]
fn pitfall_03_a_destination_in_the_source_keeps_what_was_moved_there() {
    let tree = Tree::new()
        .file("src/a", "a")
        .file("src/sub/b", "b")
        .file("src/dst/extra", "e")
        .file("src/dst/sub/extra", "e");
    for when in WHENS {
        let args = format!("-ai --remove-source-files --exclude=/dst {when} src/ src/dst");
        // Here deletion comes last whatever is asked for, so lines come in another order.
        let seen = check(&Scenario::new(tree.clone(), &args), Scope::default());
        assert_there(&seen, &["src/dst/a", "src/dst/sub/b"], &["src/a", "src/dst/sub/extra"]);
    }
}

#[test]
fn pitfall_03_the_limit_counts_what_lies_below_an_obstacle() {
    let mut tree = Tree::new().file("src/a", "a");
    for number in 1..10 {
        tree = tree.file(format!("dst/a/{number}"), "x");
    }
    for when in WHENS.into_iter().chain(["--force"]) {
        for (limit, code) in [(0, 23), (2, 23), (8, 23), (9, 0), (10, 0)] {
            let args = format!("-ai {when} --max-delete={limit} src/ dst");
            let seen = check_args(&tree, &args);
            assert_eq!(seen.code(), code, "{args}");
        }
    }
}

#[test]
fn pitfall_03_an_obstacle_itself_needs_no_permission() {
    let tree = Tree::new()
        .file("src/a", "a")
        .file("src/dir/inner", "i")
        .dir("dst/a")
        .file("dst/dir", "d")
        .file("dst/extra1", "e")
        .file("dst/extra2", "e");
    for when in WHENS {
        for (limit, code) in [(0, 25), (1, 25), (2, 0)] {
            let args = format!("-ai {when} --max-delete={limit} src/ dst");
            let seen = check_args(&tree, &args);
            assert_eq!(seen.code(), code, "{args}");
            assert_there(&seen, &["dst/dir/inner"], &[]);
        }
    }
}

#[test]
fn pitfall_03_io_error_at_the_source_suppresses_deletion() {
    let locked = tree().dir("src/locked").mode(0o000).file("dst/locked/inner", "i");
    // During and delayed deletion race with the news of the fault, so only one directory is looked
    // at; before and after, nothing at all is deleted.
    for when in ["--delete-before", "--delete-after"] {
        let seen =
            check_items(&Scenario::new(locked.clone(), &format!("-ri {when} src/ dst")).by_user());
        assert_eq!(seen.code(), 23);
        assert_there(&seen, &["dst/extra", "dst/gone/deep/file", "dst/locked/inner"], &[]);
        let args = format!("-ri {when} --ignore-errors src/ dst");
        let seen = check_items(&Scenario::new(locked.clone(), &args).by_user());
        // With --ignore-errors even the directory that could not be listed is taken as empty.
        assert_there(&seen, &["dst/keep"], &["dst/extra", "dst/gone", "dst/locked/inner"]);
    }
}

#[test]
fn pitfall_03_an_unreadable_source_directory_never_empties_its_copy() {
    let tree = Tree::new().dir("src").dir("src/locked").mode(0o000).file("dst/locked/inner", "i");
    for when in WHENS {
        let args = format!("-ri {when} src/ dst");
        let seen = check_items(&Scenario::new(tree.clone(), &args).by_user());
        assert_eq!(seen.code(), 23, "{when}");
        assert_there(&seen, &["dst/locked/inner"], &[]);
    }
}

#[test]
fn pitfall_03_a_missing_source_deletes_nothing() {
    for when in WHENS {
        let seen = check_args(&tree(), &format!("-ai {when} nowhere/ dst"));
        assert_eq!(seen.code(), 23, "{when}");
        assert_there(&seen, &["dst/extra", "dst/keep", "dst/gone/deep/file"], &[]);
    }
}

#[test]
fn pitfall_03_an_empty_source_empties_the_destination() {
    let tree = tree().dir("empty");
    let seen = check_args(&tree, "-ai --delete empty/ dst");
    assert_there(&seen, &["dst"], &["dst/keep", "dst/gone", "dst/extra"]);
}

#[test]
fn pitfall_03_max_delete_stops_with_25_and_keeps_the_rest() {
    for (max, left) in [(0, 5), (1, 4), (2, 3), (5, 0)] {
        let seen = check_args(&tree(), &format!("-ai --delete --max-delete={max} src/ dst"));
        let extra =
            ["dst/extra", "dst/sub/extra", "dst/gone", "dst/gone/deep", "dst/gone/deep/file"];
        assert_eq!(extra.iter().filter(|path| seen.tree.has(path)).count(), left, "{max}");
        assert_eq!(seen.code(), if left > 0 { 25 } else { 0 });
    }
    for when in WHENS {
        let seen = check_args(&tree(), &format!("-ai {when} --max-delete=2 src/ dst"));
        assert_eq!(seen.code(), 25, "{when}");
    }
    let seen = check_args(&tree(), "-ai --max-delete=0 src/ dst");
    assert_eq!(seen.code(), 0, "without --delete it means nothing");
}

#[test]
fn pitfall_03_excluded_files_are_protected_unless_delete_excluded() {
    let tree = tree()
        .file("dst/sub/a.o", "")
        .file("dst/gone/b.o", "")
        .file("src/c.o", "")
        .file("dst/c.o", "old");
    let seen = check_args(&tree, "-ai --delete --exclude=*.o src/ dst");
    assert_there(
        &seen,
        &["dst/sub/a.o", "dst/gone/b.o", "dst/c.o"],
        &["dst/gone/deep", "dst/extra"],
    );
    let seen = check_args(&tree, "-ai --delete-excluded --exclude=*.o src/ dst");
    assert_there(&seen, &[], &["dst/sub/a.o", "dst/gone", "dst/c.o"]);
    let seen = check_args(&tree, "-ai --delete-excluded --exclude=*.o --filter=P_sub/*.o src/ dst");
    assert_there(&seen, &["dst/sub/a.o"], &["dst/gone", "dst/c.o"]);
    let seen = check_args(&tree, "-ai --delete --exclude=*.o --filter=R_c.o src/ dst");
    assert_there(&seen, &["dst/c.o"], &[]);
    let seen = check_args(&tree, "-ai --delete --filter=-p_*.o src/ dst");
    assert_there(&seen, &["dst/sub/a.o"], &["dst/gone"]);
}

#[test]
fn pitfall_03_a_link_to_nothing_that_is_left_out_stops_no_deletion() {
    let tree = Tree::new().symlink("src/l", "nowhere").file("dst/old", "").file("src/f", "");
    for rule in ["--exclude=l", "--exclude=l/", "--filter=hide l"] {
        let scenario = Scenario::new(tree.clone(), "-aiL --delete").arg(rule);
        let seen = check_items(&scenario.arg("src/").arg("dst"));
        assert_eq!(seen.code(), 0, "{rule}");
        assert_there(&seen, &["dst/f"], &["dst/old"]);
    }
}

#[test]
fn pitfall_03_an_empty_directory_goes_though_its_rules_cannot_be_looked_for() {
    let user = 65534;
    let tree = Tree::new().dir("src").owner(user, user).dir("dst").owner(user, user);
    let tree = tree.dir("dst/closed").owner(user, user).mode(0o400);
    let scenario = Scenario::new(tree, "-ai --delete --filter=:_.rules src/ dst").by_user();
    assert_there(&check_items(&scenario), &["dst"], &["dst/closed"]);
}

#[test]
fn a_dry_run_fails_where_names_to_delete_may_not_be_looked_at() {
    let tree = Tree::new().dir("src").dir("dst/d").mode(0o600).file("dst/d/f", "x");
    for args in ["-a --delete src/ dst", "-an --delete src/ dst"] {
        let seen = check(&Scenario::new(tree.clone(), args).by_user(), Scope::default());
        assert_eq!(seen.code(), 23, "{args}");
    }
}

#[test]
fn pitfall_03_size_and_existence_rules_do_not_widen_deletion() {
    let seen = check_args(&tree(), "-ai --delete --max-size=0 src/ dst");
    assert_there(&seen, &["dst/keep"], &["dst/extra"]);
    let seen = check_args(&tree(), "-ai --delete --existing --ignore-existing src/ dst");
    assert_there(&seen, &["dst/keep"], &["dst/extra", "dst/gone", "dst/sub/a"]);
}

#[test]
fn pitfall_03_a_full_directory_in_the_way_of_a_file_needs_delete_or_force() {
    let tree = Tree::new()
        .file("src/x", "x")
        .symlink("src/y", "x")
        .file("dst/x/in", "")
        .file("dst/y/in", "");
    let seen = check_args(&tree, "-ai src/ dst");
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/x/in", "dst/y/in"], &[]);
    let seen = check_args(&tree, "-ain src/ dst");
    assert_eq!(seen.code(), 23, "a dry run says so, too");
    for option in ["--force", "--delete", "--delete-after", "--delete-delay"] {
        let seen = check_args(&tree, &format!("-ain {option} src/ dst"));
        assert_eq!(seen.code(), 0, "{option}");
        assert_there(&seen, &["dst/x/in", "dst/y/in"], &[]);
        let lines = seen.stdout();
        assert!(lines.contains("*deleting   x/in") && lines.contains("*deleting   y/in"));
        let seen = check_args(&tree, &format!("-ai {option} src/ dst"));
        assert_eq!(seen.code(), 0, "{option}");
        assert_eq!(seen.tree.at("dst/x").kind, '-');
        assert_eq!(seen.tree.at("dst/y").kind, 'l');
    }
}

#[test]
fn pitfall_03_things_of_another_kind_give_way() {
    let kinds =
        [Kind::Dir, Kind::Fifo, Kind::Symlink(b"t".to_vec()), Kind::File(Vec::new()), Kind::Socket];
    for source in &kinds {
        for there in &kinds {
            let tree = Tree::new().add("src/x", source.clone()).add("dst/x", there.clone());
            let seen = check_args(&tree, "-ai src/ dst");
            assert_eq!(seen.code(), 0, "{source:?} over {there:?}");
            assert_eq!(seen.tree.at("dst/x").kind, seen.tree.at("src/x").kind);
        }
    }
}

#[test]
fn pitfall_03_ignore_existing_keeps_what_is_in_the_way_of_a_directory() {
    let tree = Tree::new()
        .file("src/x/f", "new")
        .file("src/y/f", "new")
        .file("dst/x", "precious")
        .symlink("dst/y", "x");
    for option in ["", "-n", "--delete", "--force"] {
        let args = format!("-a {option} --ignore-existing src/ dst");
        let scope = Scope { output: Output::Ignored, also: Also::default() };
        let seen = check(&Scenario::new(tree.clone(), &args), scope);
        assert_eq!(seen.code(), 23, "{option}");
        assert_eq!((seen.tree.at("dst/x").size, seen.tree.at("dst/y").kind), (8, 'l'));
    }
    let nothing_below = Tree::new().dir("src/x").file("dst/x", "precious");
    let seen = check_args(&nothing_below, "-ai --ignore-existing src/ dst");
    assert_eq!(seen.code(), 0);
}

/// Arguments with one that is missing.
fn missing(options: &str) -> String {
    format!("-aiR --delete-missing-args {options} src/./x/f src/./x/g dst/")
}

/// The source has `x/g`; the time of `x` shows in both outputs.
fn tree_of_missing() -> Tree {
    Tree::new().dir("src/x").mtime(1_400_000_000, 0).file("src/x/g", "g")
}

fn check_missing(tree: &Tree, options: &str) -> Observation {
    check_items(&Scenario::new(tree.clone(), &missing(options)))
}

#[test]
fn pitfall_03_missing_arguments_are_deleted_unless_a_rule_keeps_them() {
    let tree = tree_of_missing().file("dst/x/f", "precious");
    for options in ["--filter=P_f", "--exclude=f", "--filter=P_*", "--filter=H_f", "-n"] {
        let seen = check_missing(&tree, options);
        assert_eq!(seen.code(), 0, "{options}");
        assert_there(&seen, &["dst/x/f"], &[]);
    }
    for options in ["", "--filter=R_f", "--filter=P_g"] {
        assert_there(&check_missing(&tree, options), &["dst/x"], &["dst/x/f"]);
    }
}

#[test]
fn pitfall_03_missing_arguments_are_found_through_links_inside_the_destination() {
    let tree = tree_of_missing().file("dst/real/f", "old").symlink("dst/x", "real");
    assert_there(&check_missing(&tree, "--no-implied-dirs"), &["dst/x"], &["dst/real/f"]);
    let outside = tree_of_missing().file("out/f", "old").symlink("dst/x", "../out");
    let outside = Scenario::new(outside, &missing("--no-implied-dirs"));
    let seen = check(&outside, Scope { output: Output::Ignored, also: Also::default() });
    assert_eq!(seen.code(), 23);
    assert_there(&seen, &["dst/x", "out/f"], &[]);
}

#[test]
fn pitfall_03_missing_arguments_leave_a_full_directory_unless_that_is_asked_for() {
    let tree = tree_of_missing().file("dst/x/f/g/h", "precious");
    // Both say so and call it a success: what is in the directory was not named.
    assert_there(&check_missing(&tree, ""), &["dst/x/f/g/h"], &[]);
    assert_there(&check_missing(&tree, "--force"), &["dst/x/g"], &["dst/x/f"]);
    let empty = tree_of_missing().dir("dst/x/f");
    assert_there(&check_missing(&empty, ""), &["dst/x"], &["dst/x/f"]);
}

#[test]
fn pitfall_09_backups_get_a_tilde_or_their_own_directory() {
    let tree = tree().file("src/keep", "changed").file("dst/x~", "");
    let seen = check_args(&tree, "-abi --delete src/ dst");
    assert_there(&seen, &["dst/keep~", "dst/extra~", "dst/sub/extra~", "dst/x~"], &["dst/x~~"]);
    let seen = check_args(&tree, "-abi --delete --backup-dir=bk src/ dst");
    assert_there(&seen, &["dst/bk/keep", "dst/bk/extra", "dst/bk/gone/deep/file"], &["dst/keep~"]);
    let seen = check_args(&tree, "-abi --delete --backup-dir=../bk --suffix=.old src/ dst");
    assert_there(&seen, &["bk/keep.old", "bk/sub/extra.old"], &["bk/keep", "dst/x~"]);
    let seen = check_args(&tree, "-abi --delete --suffix=.old src/ dst");
    assert_there(&seen, &["dst/keep.old", "dst/x~.old"], &["dst/x~"]);
    let seen = check_args(&tree, "-abi --delete-excluded --exclude=zzz src/ dst");
    assert_there(&seen, &["dst/keep~", "dst/extra~"], &[]);
}

#[test]
fn pitfall_09_a_file_called_like_the_suffix_is_no_backup() {
    let tree = Tree::new().dir("src").file("dst/~", "precious").file("dst/x~", "old");
    let seen = check_args(&tree, "-abi --delete --filter=R_*~ src/ dst");
    assert_there(&seen, &["dst/~~"], &["dst/~", "dst/x~"]);
}

#[test]
fn pitfall_09_a_second_run_with_backups_keeps_the_first_ones() {
    let tree =
        tree().file("src/keep", "changed").file("dst/keep~", "older").file("dst/extra~", "older");
    let seen = check_args(&tree, "-abi --delete src/ dst");
    assert_eq!(seen.tree.at("dst/keep~").size, 1, "the older backup is replaced");
    assert_eq!(seen.tree.at("dst/extra~").size, 1);
}

#[test]
fn pitfall_09_links_specials_and_directories_are_backed_up_too() {
    let tree = Tree::new()
        .symlink("src/l", "new")
        .symlink("dst/l", "old")
        .add("dst/fifo", Kind::Fifo)
        .dir("dst/empty")
        .file("src/was-dir", "x")
        .file("dst/was-dir/inner", "i");
    let seen = check_args(&tree, "-abi --delete --backup-dir=../bk src/ dst");
    assert_there(&seen, &["bk/l", "bk/fifo", "bk/was-dir/inner"], &["dst/fifo"]);
    assert_eq!(seen.tree.at("bk/l").target, b"old");
}

#[test]
fn pitfall_10_one_file_system_stops_at_mounts() {
    assert!(is_root(), "only root can mount: run this test as root");
    let tree = Tree::new().file("src/a", "").dir("src/mnt").dir("dst");
    let before = "mount -t tmpfs none src/mnt && touch src/mnt/inner";
    let run = |args: &str| check_items(&Scenario::new(tree.clone(), args).before(before));
    assert_there(&run("-ai src/ dst"), &["dst/mnt/inner"], &[]);
    assert_there(&run("-aix src/ dst"), &["dst/mnt"], &["dst/mnt/inner"]);
    assert_there(&run("-aixx src/ dst"), &["dst/a"], &["dst/mnt"]);
}

#[test]
fn pitfall_10_one_file_system_limits_deletion() {
    assert!(is_root(), "only root can mount: run this test as root");
    let tree = Tree::new().dir("src").dir("dst/mnt").dir("dst/sub/mnt").file("dst/x", "");
    let before = "mount -t tmpfs none dst/mnt && touch dst/mnt/inner";
    let seen = check_items(&Scenario::new(tree, "-aix --delete src/ dst").before(before));
    assert_there(&seen, &["dst/mnt"], &["dst/x", "dst/sub"]);
}

#[test]
fn rules_that_are_deleted_after_the_transfer_count_until_its_end() {
    let tree = Tree::new()
        .dir("src/sub/deep")
        .file("dst/.rsync-filter", "- kept\n")
        .file("dst/kept", "k")
        .file("dst/sub/kept", "k")
        .file("dst/sub/deep/kept", "k")
        .file("dst/sub/deep/extra", "e");
    for limit in ["", "--max-delete=9"] {
        let seen = check_args(&tree, &format!("-ai -F --delete-after {limit} src/ dst"));
        let there = ["dst/kept", "dst/sub/kept", "dst/sub/deep/kept"];
        assert_there(&seen, &there, &["dst/.rsync-filter", "dst/sub/deep/extra"]);
    }
}

/// What `-C` leaves out by itself is protected where the sources lie elsewhere, as it is in rsync.
#[test]
fn what_cvs_ignores_is_deleted_as_excluded_unless_it_is_pulled() {
    let tree = Tree::new().file("src/x.c", "").dir("src/q").file("dst/keep.o", "");
    let tree = tree.file("dst/q/k.o", "").file("dst/plain", "").file("dst/foo", "");
    let tree = tree.file("src/.cvsignore", "foo\n").file("dst/.cvsignore", "foo\n");
    for options in ["-aiC", "-aiCF", "-aiC --exclude=plain", "-ai --filter=-C", "-ai --filter=:C"] {
        let seen = check_args(&tree, &format!("{options} --delete-excluded src/ dst/"));
        assert_there(&seen, &["dst/x.c"], &["dst/keep.o", "dst/q/k.o", "dst/plain", "dst/foo"]);
    }
}
