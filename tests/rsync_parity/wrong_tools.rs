//! Proves that the harness sees: tools that do one thing wrong must be caught, each for the right
//! reason, and rsync itself must pass where they fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::case::Way;
use super::random::run_cases;
use crate::support::parity::{Aspect, Difference, Output, Scenario, Scope, compare, observe};
use crate::support::run::{Exit, RunAs, Setting, Tool, run_within, scratch_dir};
use crate::support::snapshot::Also;
use crate::support::tree::{Segment, Tree, is_root};

/// A tool that runs rsync with all arguments and then the shell commands of `spoil`.
fn spoiled(dir: &Path, spoil: &str) -> Tool {
    let path = dir.join("spoiled");
    let text = format!("#!/bin/sh\nrsync \"$@\" >out 2>err; code=$?\n{spoil}\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Tool::new(&[path])
}

fn scenario() -> Scenario {
    let tree = Tree::new()
        .dir("src/d")
        .file("src/d/a", "content")
        .mtime(1_500_000_000, 7)
        .xattr("user.note", "kept")
        .hard_link("src/d/b", "src/d/a")
        .symlink("src/link", "d/a")
        .segments("src/holes", vec![Segment::Hole(1 << 20), Segment::Bytes(b"end".to_vec())])
        .file("dst/gone", "")
        .file("dst/old", "");
    Scenario::new(tree, "-aHXSi --delete src/ dst/")
}

/// What is found when rsync is followed by `spoil`.
fn caught(spoil: &str, also: Also) -> Vec<Difference> {
    let scratch = scratch_dir();
    // The output goes through files of the wrapper in the working directory; both tools have them.
    let honest = spoiled(scratch.path(), "cat out; cat err >&2; rm out err; exit $code");
    let reference = observe(&honest, &scenario(), scratch.path());
    let tool = spoiled(scratch.path(), spoil);
    let ours = observe(&tool, &scenario(), scratch.path());
    compare(&reference, &ours, Scope { output: Output::Items, also })
}

#[test]
fn each_wrong_tool_is_caught_for_its_fault() {
    let well = "cat out; rm out err; exit $code";
    let cases: &[(&str, &str, &str)] = &[
        ("chmod 600 dst/d/a", well, "mode"),
        ("rm dst/link", well, "existence"),
        ("touch dst/extra", well, "existence"),
        ("touch src/extra", well, "existence"),
        ("rm dst/link; ln -s d/b dst/link", well, "target"),
        ("rm dst/link; mkdir dst/link", well, "kind"),
        ("touch -d @1500000000.000000008 dst/d/a", well, "mtime"),
        ("touch dst/d", well, "mtime"),
        (
            "printf X | dd of=dst/d/a conv=notrunc; touch -d @1500000000.000000007 dst/d/a",
            well,
            "content",
        ),
        ("cp -p --remove-destination dst/d/a dst/d/c; mv dst/d/c dst/d/a", well, "links to"),
        ("setfattr -x user.note dst/d/a", well, "xattrs"),
        ("setfattr -n user.more dst/d", well, "xattrs"),
        ("setfacl -m u:1234:r dst/d/b", well, "xattrs"),
        ("", "cat out; rm out err; exit 23", "exit"),
        ("", "sort -r out; rm out err; exit $code", "items"),
        ("", "grep -v 'deleting *old' out; rm out err; exit $code", "deletions"),
    ];
    for (spoil, end, field) in cases {
        let differences = caught(
            &format!("{{ {spoil}\n}} 2>/dev/null\n{end}").replace("{ \n}", ":"),
            Also::default(),
        );
        let fields: Vec<_> = differences.iter().map(|difference| difference.field).collect();
        assert!(fields.contains(field), "`{spoil}` gave {fields:?}, not {field}");
    }
    let differences = caught(well, Also { blocks: true, ..Also::default() });
    assert_eq!(differences, [], "rsync alone has no fault");
}

#[test]
fn owner_changes_are_caught() {
    assert!(is_root(), "only root can give files away: run this test as root");
    let differences = caught("chown 1234:4321 dst/d/a; cat out; rm out err", Also::default());
    let fields: Vec<_> = differences.iter().map(|difference| difference.field).collect();
    assert_eq!(fields, ["uid", "gid", "uid", "gid"], "both names of the file show it");
}

#[test]
fn filled_holes_are_caught_only_when_asked() {
    let fill = "cp --sparse=never --preserve=all dst/holes dst/full; mv dst/full dst/holes; \
                touch -r src dst; cat out; rm out err";
    let unasked = caught(fill, Also::default());
    assert_eq!(unasked, []);
    let asked = caught(fill, Also { blocks: true, ..Also::default() });
    assert!(asked.iter().all(|difference| difference.field == "blocks") && asked.len() == 1);
}

#[test]
fn a_tool_that_hangs_is_stopped() {
    let scratch = scratch_dir();
    let tool = Tool::new(&["sleep"]);
    let setting = Setting {
        cwd: scratch.path(),
        logs: scratch.path(),
        run_as: RunAs::Caller,
        umask: 0o022,
        env: &[],
        before: "",
    };
    let limit = Duration::from_millis(200);
    let finished = run_within(&tool, &[b"60".to_vec()], &setting, limit);
    assert_eq!(finished.exit, Exit::TimeLimit);
}

#[test]
fn random_cases_catch_a_tool_that_always_says_it_went_well() {
    let scratch = scratch_dir();
    let tool = spoiled(scratch.path(), "cat out; cat err >&2; rm out err; exit 0");
    let tally = run_cases(500, 60, Way::Here, &tool, 1);
    let failure = tally.failures.first().expect("some of 60 cases end with another code");
    assert!(failure.differences.iter().any(|difference| difference.aspect == Aspect::Exit));
}

#[test]
fn a_failing_case_shrinks_to_what_matters_and_becomes_a_script() {
    let scratch = scratch_dir();
    // Wrong only where there is a link of this name.
    let spoil = "[ -h dst/foo ] && rm dst/foo; cat out; cat err >&2; rm out err; exit $code";
    let tool = spoiled(scratch.path(), spoil);
    let tally = run_cases(1, 150, Way::Here, &tool, 1);
    let failure = tally.failures.first().expect("some of 150 trees have a link named foo");
    let small = &failure.case;
    assert!(small.tree.nodes.len() <= 6, "{} nodes are left", small.tree.nodes.len());
    assert!(small.groups.len() <= 3, "{:?} are left", small.groups);
    let differences: Vec<_> = failure.differences.iter().map(ToString::to_string).collect();
    let about_foo = |text: &String| text.starts_with("Tree dst/foo: existence");
    assert!(differences.iter().any(about_foo), "{differences:?}");
    assert!(failure.text.contains("ln -sn") && failure.text.contains("mktemp -d"));
}
