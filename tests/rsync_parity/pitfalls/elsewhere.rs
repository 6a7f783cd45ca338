//! The same scenarios with the destination, or the sources, on another host: as rsync does when it pushes and
//! pulls.

use crate::case::RUNS_IT_HERE;
use crate::support::parity::{Scenario, Scope, compare, complaint, observe};
use crate::support::run::{Tool, scratch_dir};

/// What lies on another host, which is this one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Far {
    Destination,
    Sources,
}

/// Compares as `check` does, but for what has a name in `OTHERWISE`.
pub(super) fn check_elsewhere(scenario: &Scenario, scope: Scope) {
    let scratch = scratch_dir();
    for far in [Far::Destination, Far::Sources] {
        let Some(elsewhere) = with_far(scenario, far) else { continue };
        let words = scenario.args.iter().map(|arg| String::from_utf8_lossy(arg));
        let words = words.collect::<Vec<_>>().join(" ");
        let is_named = |(sides, _, named): &(&[Far], &str, &[&str])| {
            sides.contains(&far) && named.contains(&words.as_str())
        };
        if OTHERWISE.iter().any(is_named) {
            continue;
        }
        let reference = observe(&Tool::reference(), &elsewhere, scratch.path());
        let ours = observe(&Tool::under_test_there(), &elsewhere, scratch.path());
        let differences = compare(&reference, &ours, scope);
        let text = || complaint(&elsewhere, &differences, &reference, &ours);
        assert!(differences.is_empty(), "{far:?} elsewhere: {}", text());
    }
}

/// `None` where nothing is copied.
fn with_far(scenario: &Scenario, far: Far) -> Option<Scenario> {
    let mut scenario = scenario.clone();
    let mut paths: Vec<_> = scenario.args.iter_mut().filter(|arg| !arg.starts_with(b"-")).collect();
    let (destination, sources) = paths.split_last_mut()?;
    if sources.is_empty() {
        return None;
    }
    let to_there = |path: &mut Vec<u8>| drop(path.splice(..0, *b"h:"));
    match far {
        Far::Destination => to_there(destination),
        Far::Sources => sources.iter_mut().for_each(|path| to_there(path)),
    }
    scenario.args.splice(..0, [b"-e".to_vec(), RUNS_IT_HERE.into()]);
    Some(scenario)
}

const BOTH: &[Far] = &[Far::Destination, Far::Sources];
const PUSHED: &[Far] = &[Far::Destination];
const PULLED: &[Far] = &[Far::Sources];

/// What is done otherwise as soon as one side is elsewhere, by the words of the scenario, and why.
const OTHERWISE: &[(&[Far], &str, &[&str])] = &[
    (BOTH, "it is not there yet (README.md)", &["-aA --fake-super --no-perms src/ dst"]),
    (
        BOTH,
        "rsync takes an old file for none that it may not read, and so misses none of its attributes",
        &[
            "-rptXi src/ dst/",
            "-rptXi -b src/ dst/",
            "-rptXi --inplace src/ dst/",
            "-rptAXi src/ dst/",
        ],
    ),
    (
        BOTH,
        "both sides are one directory, and whose time counts is a matter of who comes last",
        &["-ai --remove-source-files src/ src/"],
    ),
    (
        BOTH,
        "rsync makes the last directory later where the source cannot be listed, and tells of it as new",
        &["-ai --mkpath src/d/ new/deep"],
    ),
    (
        PUSHED,
        "rsync does not pass --no-perms on, and -A means -p there",
        &["-rA --no-perms src/ dst"],
    ),
    (
        PUSHED,
        "rsync passes no rules on where nothing extraneous is deleted, and so none that protects",
        &[
            "-aiR --delete-missing-args --filter=P_f src/./x/f src/./x/g dst/",
            "-aiR --delete-missing-args --filter=P_* src/./x/f src/./x/g dst/",
        ],
    ),
    (
        PUSHED,
        "rsync passes no rules about attributes on, either",
        &["-aXi --filter=-x_other src/ dst"],
    ),
    (
        PUSHED,
        "rsync reads what a directory pretends to be although nothing is asked of it",
        &["-tdi --fake-super src/ dst"],
    ),
    (
        PULLED,
        "rsync has the receiver apply --chmod, to the mode and to the owning group of an ACL",
        &[
            "-aAi --chmod=644 src/ dst",
            "-aAi --chmod=644 src/ new",
            "-aAi --chmod=u=rwX,go= src/ dst",
            "-aAi --chmod=u=rwX,go= src/ new",
            "-rtAi --chmod=u=rwX,go= src/ dst",
            "-rtAi --chmod=u=rwX,go= src/ new",
        ],
    ),
    (
        PULLED,
        "rsync rejects what it has asked for itself",
        &[
            "-ai src/sub/.. dst/",
            "-aiR --exclude=foo src/foo/bar src/ dst",
            "-ai --files-from=list src dst",
        ],
    ),
    (
        PULLED,
        "rsync's sender forgets its merge files where a list goes to it",
        &["-airF --files-from=list src dst"],
    ),
];
