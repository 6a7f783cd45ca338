//! Progress: `--progress`, `-P`, `--info=progress2`.

use crate::support::mask;
use crate::support::parity::{Output, Scenario, Scope, check, observe};
use crate::support::run::{Tool, scratch_dir};
use crate::support::snapshot::Also;
use crate::support::tree::Tree;
use crate::tree;

#[test]
fn progress() {
    let scope = Scope { output: Output::Lines(mask::progress), also: Also::default() };
    for args in [
        "-a --progress src/ dst",
        "-aP src/ dst",
        "-av --progress src/ fresh",
        "-a --info=progress1 src/new fresh",
        "-a --progress -n src/ dst",
        "-aP --out-format=%n:%o src/ fresh",
    ] {
        let seen = check(&Scenario::new(tree(), args), scope);
        assert_eq!(seen.code(), 0, "{args}");
        assert!(
            seen.stdout().contains("to-chk=") || args.contains("-n"),
            "{args}: {}",
            seen.stdout()
        );
    }
}

/// What `-P` draws of two long files with a bound on the rate: pieces as they are drawn, every number
/// masked, those that are drawn again and again once.
fn drawn_of_long_files(tool: &Tool) -> Vec<String> {
    fn shape(drawn: &str) -> String {
        let drawn = mask::numbers(drawn).replace("??:??:??", "N:N:N");
        let drawn =
            ["kB/s", "MB/s", "GB/s"].iter().fold(drawn, |text, unit| text.replace(unit, "B/s"));
        drawn.split_whitespace().collect::<Vec<_>>().join(" ")
    }
    let tree = Tree::new().numbers("src/a", 1, 3_000_000).numbers("src/b", 1, 3_000_000).dir("dst");
    let scenario = Scenario::new(tree, "-aP --bwlimit=1500 src/ dst");
    let stdout = observe(tool, &scenario, scratch_dir().path()).stdout().replace("\r\n", "\n");
    let moving = stdout.matches("  \r").count();
    assert!(moving >= 3, "each file is shown while it goes on: {stdout:?}");
    let mut pieces: Vec<_> = stdout.split(['\n', '\r']).map(shape).collect();
    pieces.retain(|piece| !piece.is_empty());
    pieces.dedup();
    pieces
}

#[test]
fn progress_goes_on_inside_long_files() {
    let reference = drawn_of_long_files(&Tool::reference());
    let moving = "N N% NB/s N:N:N";
    let ended = format!("{moving} (xfr#N to-chk=N/N)");
    let of_both = ["a", moving, &ended, "b", moving, &ended];
    assert_eq!(reference[1..], of_both);
    assert_eq!(drawn_of_long_files(&Tool::under_test()), reference);
}

#[test]
fn progress_goes_on_inside_long_files_on_a_terminal() {
    let on_terminal = |tool: Tool| {
        let line = format!("script -qec \"{} $*\" /dev/null", tool.shown());
        drawn_of_long_files(&Tool::new(&["sh", "-c", &line, "sh"]))
    };
    assert_eq!(on_terminal(Tool::under_test()), on_terminal(Tool::reference()));
}

/// Wrappers wait for it.
#[test]
fn the_last_file_leaves_nothing_to_check() {
    for tool in [Tool::reference(), Tool::under_test()] {
        for args in ["-aP src/ fresh", "-aP src/new fresh", "-aP src/sub fresh"] {
            let seen = observe(&tool, &Scenario::new(tree(), args), scratch_dir().path());
            let stdout = seen.stdout();
            let last = stdout.lines().rfind(|line| line.contains("xfr#")).unwrap_or_default();
            assert!(last.contains(", to-chk=0/"), "{args}: {stdout}");
        }
    }
}

/// The last line of progress over all files; those before depend on speed.
#[test]
fn progress_over_all_files_ends_alike() {
    fn last(line: &str) -> String {
        let line = line.replace("\\r", "\r");
        mask::progress(line.rsplit('\r').next().unwrap_or_default())
    }
    let tree = Tree::new().numbers("src/a", 1, 5000).numbers("src/b", 1, 7000).dir("dst");
    let scope = Scope { output: Output::Lines(last), also: Also::default() };
    let seen = check(&Scenario::new(tree, "-a --info=progress2 src/ dst"), scope);
    assert!(seen.stdout().contains("12,000 100%"), "{}", seen.stdout());
}

/// What is left to be looked at comes down to nothing, however often the tree is gone through.
#[test]
fn entries_that_are_met_in_several_passes_count_once() {
    let scenario = Scenario::new(tree(), "-aP --delete-before src/ dst");
    for tool in [Tool::reference(), Tool::under_test()] {
        let stdout = observe(&tool, &scenario, scratch_dir().path()).stdout();
        let last = stdout.rsplit_once("to-chk=").unwrap().1;
        assert!(last.starts_with("0/13)"), "{stdout}");
    }
}
