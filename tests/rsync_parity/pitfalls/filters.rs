//! Pitfall 12: the rule language.

use super::{assert_there, check_args, check_items};
use crate::support::parity::Scenario;
use crate::support::tree::Tree;

fn tree() -> Tree {
    Tree::new()
        .file("src/a", "")
        .file("src/a.o", "")
        .file("src/foo/a", "")
        .file("src/foo/b.o", "")
        .file("src/foo/bar/a", "")
        .file("src/x/foo/y", "")
        .file("src/x/*lit", "")
        .dir("dst")
}

/// What is left of the tree after some `rules`, each a word of its own.
fn check_rules(rules: &[&str], there: &[&str], absent: &[&str]) {
    let mut scenario = Scenario::new(tree(), "-ai");
    for rule in rules {
        scenario = scenario.arg(rule);
    }
    let seen = check_items(&scenario.arg("src/").arg("dst"));
    assert_eq!(seen.code(), 0, "{rules:?}");
    assert_there(&seen, there, absent);
}

#[test]
fn pitfall_12_first_match_wins_and_patterns_are_anchored_as_documented() {
    type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);
    let table: &[Row] = &[
        (&["--include=a.o", "--exclude=*.o"], &["dst/a.o"], &["dst/foo/b.o"]),
        (&["--exclude=*.o", "--include=a.o"], &[], &["dst/a.o", "dst/foo/b.o"]),
        (&["--exclude=/foo"], &["dst/x/foo/y"], &["dst/foo"]),
        (&["--exclude=foo"], &["dst/x"], &["dst/x/foo", "dst/foo"]),
        (&["--exclude=foo/"], &["dst/a"], &["dst/x/foo", "dst/foo"]),
        (&["--exclude=a/"], &["dst/a", "dst/foo/a"], &[]),
        (&["--exclude=foo/a"], &["dst/a", "dst/foo/bar/a"], &["dst/foo/a"]),
        (&["--exclude=foo/*/a"], &["dst/foo/a", "dst/foo/bar"], &["dst/foo/bar/a"]),
        (&["--exclude=foo/**"], &["dst/foo", "dst/x/foo"], &["dst/foo/a", "dst/x/foo/y"]),
        (&["--exclude=foo/***"], &["dst/x"], &["dst/foo", "dst/x/foo"]),
        (&["--exclude=**/bar"], &["dst/foo/a"], &["dst/foo/bar"]),
        (
            &["--include=*/", "--include=b.o", "--exclude=*"],
            &["dst/foo/b.o", "dst/x/foo"],
            &["dst/a"],
        ),
        (&["--include=b.o", "--exclude=*"], &["dst"], &["dst/foo"]),
        (&["--exclude=\\*lit"], &["dst/x/foo"], &["dst/x/*lit"]),
        (&["--exclude=[*]*"], &["dst/x/foo"], &["dst/x/*lit"]),
        (&["--exclude=?"], &["dst/a.o", "dst/foo/b.o"], &["dst/a", "dst/x"]),
        (&["--exclude=[[:alpha:]].o"], &["dst/a"], &["dst/a.o"]),
        (&["--exclude=[!a].o"], &["dst/a.o"], &["dst/foo/b.o"]),
        (&["--exclude=src/foo"], &["dst/foo"], &[]),
        (&["--exclude=*.o", "--filter=!", "--exclude=a"], &["dst/a.o"], &["dst/a", "dst/foo/a"]),
        (&["--filter=-! */", "--exclude=nothing"], &["dst/foo/bar"], &["dst/a", "dst/foo/a"]),
        (&["--filter=H *.o"], &["dst/a"], &["dst/a.o"]),
        (&["--filter=hide,! */"], &["dst/foo/bar"], &["dst/a"]),
        (&["--filter=- foo/bar/"], &["dst/foo/a"], &["dst/foo/bar"]),
        (&["-m", "--exclude=a"], &["dst/foo/b.o", "dst/x/foo/y"], &["dst/foo/bar"]),
        (&["-m", "--include=*/", "--include=bar/a", "--exclude=*"], &["dst/foo/bar/a"], &["dst/x"]),
        (&["--exclude="], &["dst/a"], &[]),
        (&["--cvs-exclude"], &["dst/a"], &["dst/a.o", "dst/foo/b.o"]),
    ];
    for (rules, there, absent) in table {
        check_rules(rules, there, absent);
    }
}

#[test]
fn pitfall_12_without_a_slash_the_anchor_is_above_the_directory() {
    let seen = check_args(&tree(), "-ai --exclude=/foo src dst");
    assert_there(&seen, &["dst/src/foo"], &[]);
    let seen = check_args(&tree(), "-ai --exclude=/src/foo src dst");
    assert_there(&seen, &["dst/src/x/foo"], &["dst/src/foo"]);
    let seen = check_args(&tree(), "-aiR --exclude=/src/foo ./src dst");
    assert_there(&seen, &["dst/src/x/foo"], &["dst/src/foo"]);
    let seen = check_args(&tree(), "-ai --filter=-/_@ROOT@/src/foo src/ dst");
    assert_there(&seen, &["dst/x/foo"], &["dst/foo"]);
}

#[test]
fn pitfall_12_arguments_named_on_the_command_line_are_filtered_too() {
    let seen = check_args(&tree(), "-ai --exclude=a src/a src/a.o dst");
    assert_there(&seen, &["dst/a.o"], &["dst/a"]);
    let seen = check_args(&tree(), "-ai --exclude=src src dst");
    assert_there(&seen, &["dst"], &["dst/src"]);
}

#[test]
fn pitfall_12_merge_files_are_read_where_and_how_their_modifiers_say() {
    let with = |name: &str, text: &str| tree().file(name, text);
    let rules = with("rules", "# comment\n; other\n\n+ a.o\n- *.o\n");
    let seen = check_args(&rules, "-ai --filter=._rules src/ dst");
    assert_there(&seen, &["dst/a.o"], &["dst/foo/b.o"]);
    let seen = check_args(&with("rules", "*.o\n+ a\n"), "-ai --filter=.-_rules src/ dst");
    assert_there(&seen, &["dst/a"], &["dst/a.o"]);
    let seen = check_args(&with("rules", "*.o a\n"), "-ai --filter=.-w_rules src/ dst");
    assert_there(&seen, &["dst/foo"], &["dst/a.o", "dst/a"]);
    let seen = check_args(&with("rules", "*.o\n- a\n# c\n"), "-ai --exclude-from=rules src/ dst");
    assert_there(&seen, &["dst/foo"], &["dst/a.o", "dst/a"]);
    let seen = check_args(&tree(), "-ai --exclude-from=missing src/ dst");
    assert_eq!(seen.code(), 11);
    let seen = check_args(&with("rules", "not a rule\n"), "-ai --filter=._rules src/ dst");
    assert_eq!(seen.code(), 1);
}

#[test]
fn pitfall_12_directory_rules_are_inherited_and_the_nearest_is_asked_first() {
    let tree = tree()
        .file("src/.rules", "- *.o\n- /foo/bar\n")
        .file("src/foo/.rules", "+ b.o\n- /a\n")
        .file("dst/foo/extra.o", "")
        .file("dst/foo/bar/extra", "");
    // For deletion the rules are read at the destination, where they have not arrived yet when
    // deletion comes first.
    let seen = check_args(&tree, "-ai --delete --filter=:_.rules src/ dst");
    assert_there(
        &seen,
        &["dst/foo/b.o", "dst/.rules"],
        &["dst/a.o", "dst/foo/extra.o", "dst/foo/bar"],
    );
    let seen = check_args(&tree, "-ai --delete-after --filter=:_.rules src/ dst");
    assert_there(&seen, &["dst/foo/extra.o", "dst/foo/bar/extra"], &["dst/a.o", "dst/foo/a"]);
    let seen = check_args(&tree, "-ai --filter=:e_.rules src/ dst");
    assert_there(&seen, &["dst/foo/b.o"], &["dst/.rules", "dst/foo/.rules", "dst/a.o"]);
    let seen = check_args(&tree, "-ai --filter=:n_.rules src/ dst");
    assert_there(&seen, &["dst/foo/b.o", "dst/foo/bar/a"], &["dst/a.o", "dst/foo/a"]);
    let seen = check_args(&tree, "-ai --filter=:s_.rules --delete src/ dst");
    assert_there(&seen, &["dst/foo/b.o"], &["dst/foo/extra.o", "dst/a.o"]);
}

#[test]
fn pitfall_12_one_f_merges_and_two_also_leave_the_files_out() {
    let tree = tree()
        .file("src/.rsync-filter", "- *.o\n")
        .file("dst/.rsync-filter", "P keep\n")
        .file("dst/keep", "");
    let seen = check_args(&tree, "-aiF --delete src/ dst");
    assert_there(&seen, &["dst/.rsync-filter"], &["dst/a.o"]);
    let seen = check_args(&tree, "-aiFF --delete src/ dst");
    assert_there(&seen, &["dst/.rsync-filter", "dst/keep"], &["dst/a.o"]);
}

#[test]
fn pitfall_12_each_source_has_rule_files_of_its_own() {
    let tree = tree()
        .file("src/foo/.rules", "- b.o\n")
        .file("alt/foo/.rules", "- a\n- *lit\n")
        .file("alt/foo/a2", "")
        .file("alt/foo/b.o", "")
        .file("alt/foo/bar/*lit", "")
        .file("alt/foo/bar/b.o", "")
        .file("alt/x/*lit", "");
    // While rsync lists and copies at once it mixes them up below a directory of both.
    for options in ["-ai --no-inc-recursive", "-aim"] {
        let seen = check_args(&tree, &format!("{options} --filter=:_.rules src/ alt/ dst"));
        assert_there(
            &seen,
            &["dst/foo/a", "dst/foo/a2", "dst/foo/b.o", "dst/foo/bar/b.o", "dst/x/*lit"],
            &["dst/foo/bar/*lit"],
        );
    }
    let seen = check_args(&tree, "-aim --filter=:_.rules alt/foo src/foo dst");
    assert_there(&seen, &["dst/foo/a", "dst/foo/b.o"], &["dst/foo/bar/*lit"]);
}

#[test]
fn pitfall_12_rule_files_above_a_named_directory_count_if_asked_for() {
    let tree = tree()
        .file("src/.rules", "- a\n- /foo/bar\n")
        .file("src/.rsync-filter", "- a\n- /foo/bar\n")
        .file(".rules", "- y\n");
    let absent = &["dst/foo/a", "dst/foo/bar"];
    for options in ["-aiF", "-ai --filter=:_@ROOT@/src/.rules"] {
        let seen = check_args(&tree, &format!("{options} src/foo dst"));
        assert_there(&seen, &["dst/foo/b.o"], absent);
    }
    let seen = check_args(&tree, "-ai --filter=:_.rules src/foo dst");
    assert_there(&seen, absent, &[]);
}

#[test]
fn pitfall_12_a_named_directory_brings_no_content_that_a_rule_hides() {
    let tree = tree().file("src/foo/f", "");
    let seen = check_args(&tree, "-aiR --exclude=foo src/foo/bar src/ dst");
    assert_there(&seen, &["dst/src/foo/bar/a", "dst/src/a"], &["dst/src/foo/f"]);
}

#[test]
fn pitfall_12_rules_of_the_destination_count_where_something_is_deleted() {
    let tree = tree().file("dst/.rules", "no rule");
    for args in ["src/ dst", "--delete src/foo dst", "--delete-after src/foo dst"] {
        let seen = check_args(&tree, &format!("-ai --filter=:_.rules {args}"));
        assert_eq!(seen.code(), 0, "{args}");
    }
}

#[test]
fn pitfall_12_a_rule_may_leave_out_the_dot_that_a_path_begins_with() {
    for rule in ["--exclude=?", "--exclude=.", "--filter=-! [a-z]*"] {
        let scenario = Scenario::new(tree(), "-aiR --no-r").arg(rule).arg("./src/foo/").arg("dst");
        assert!(!check_items(&scenario).stdout().contains(" ./"), "{rule}");
    }
}

#[test]
fn pitfall_12_empty_directories_that_are_protected_are_not_pruned() {
    let tree = Tree::new().dir("src/a").dir("src/b/c").dir("src/d").dir("dst");
    let protected = |rule, options| {
        check_items(&Scenario::new(tree.clone(), options).arg(rule).arg("src/").arg("dst"))
    };
    let seen = protected("--filter=P c", "-aim");
    assert_there(&seen, &["dst/b/c"], &["dst/a", "dst/d"]);
    let seen = protected("--filter=protect /a/", "-aim");
    assert_there(&seen, &["dst/a"], &["dst/b"]);
    let seen = protected("--filter=P b", "-dim");
    assert_there(&seen, &["dst/b"], &["dst/a"]);
    assert_there(&check_args(&tree, "-aimb --delete-after src/. dst"), &[], &["dst/a"]);
}

#[test]
fn pitfall_12_rules_at_the_destination_protect_there() {
    let tree = tree()
        .file("dst/.rules", "P kept\n- hidden\n")
        .file("dst/kept", "")
        .file("dst/hidden", "")
        .file("dst/other", "");
    let seen = check_args(&tree, "-ai --delete-after --filter=:_.rules --exclude=.rules src/ dst");
    assert_there(&seen, &["dst/kept", "dst/hidden", "dst/.rules"], &["dst/other"]);
}

#[test]
fn pitfall_12_cvs_exclude_reads_home_environment_and_directories() {
    let tree = tree()
        .file("home/.cvsignore", "a\n")
        .file("src/x/.cvsignore", "foo *lit\n")
        .file("src/y1", "")
        .file("src/y2", "")
        .file("src/CVS/in", "");
    let scenario = Scenario::new(tree, "-aiC src/ dst").env("CVSIGNORE", "y1 y2");
    let seen = check_items(&scenario);
    assert_there(
        &seen,
        &["dst/x/.cvsignore"],
        &["dst/a", "dst/y1", "dst/y2", "dst/CVS", "dst/x/foo", "dst/x/*lit"],
    );
}

#[test]
fn merge_files_that_are_links_or_directories() {
    let tree = Tree::new()
        .file("src/rules", "- b\n")
        .symlink("src/linked/.rsync-filter", "../rules")
        .file("src/linked/b", "")
        .symlink("src/dangling/.rsync-filter", "nowhere")
        .file("src/dangling/b", "")
        .file("src/directory/.rsync-filter/x", "")
        .file("src/directory/b", "")
        .dir("dst");
    for options in ["-aiF", "-aiF --delete", "-ai -f:_.rsync-filter"] {
        let seen = check_args(&tree, &format!("{options} src/ dst"));
        assert_eq!(seen.code(), 0, "{options}");
        assert_there(&seen, &["dst/dangling/b", "dst/directory/b"], &["dst/linked/b"]);
    }
    let tree = tree.symlink("src/.rsync-filter", "rules");
    let seen = check_args(&tree, "-aiF src/ dst");
    assert_there(&seen, &[], &["dst/dangling/b", "dst/directory/b"]);
}

/// Where the source is read as the run goes, the rules of a directory are asked of what is named in
/// it; where all of it is listed first, they are not.
#[test]
fn merge_files_are_asked_of_names_that_were_picked_below_them() {
    let tree = Tree::new()
        .file("src/a/.rsync-filter", "- f\n- c\n")
        .file("src/a/f", "")
        .file("src/a/g", "")
        .file("src/a/b/f", "")
        .file("src/a/b/c/x", "")
        .file("src/a/b/c/y", "")
        .file("list", "a/f\na/g\na/b/c\n")
        .dir("dst");
    let named = "src/./a/f src/./a/g src/./a/b/c dst";
    for options in ["-aiRF", "-aiRF --delete", "-aivvRF"] {
        let seen = check_args(&tree, &format!("{options} {named}"));
        assert_there(&seen, &["dst/a/g"], &["dst/a/f", "dst/a/b/c"]);
    }
    let seen = check_args(&tree, "-aiRF --no-implied-dirs src/./a/f src/./a/g dst");
    assert_there(&seen, &["dst/a/g"], &["dst/a/f"]);
    let seen = check_args(&tree, "-airF --files-from=list src dst");
    assert_there(&seen, &["dst/a/g"], &["dst/a/f", "dst/a/b/c"]);
    for options in ["--no-inc-recursive", "--delete-before", "--delete-after", "-m"] {
        let seen = check_args(&tree, &format!("-aiRF {options} src/./a/f dst"));
        assert_there(&seen, &["dst/a/f"], &[]);
    }
    // A directory that is left out by itself may still lead to a name.
    for implied in ["", "--no-implied-dirs"] {
        let seen = check_args(&tree, &format!("-aiRF {implied} src/./a/b/c src/./a/b/c/x dst"));
        assert_there(&seen, &["dst/a/b/c/x"], &["dst/a/b/c/y"]);
    }
    let seen = check_args(&tree, "-aiRF src/./a/f src/./a dst");
    assert_there(&seen, &["dst/a/g", "dst/a/b"], &["dst/a/f", "dst/a/b/c"]);
}
