//! What is made on the way to the destination, and the destination itself.

use crate::support::mask;
use crate::support::parity::{Output, Scenario, Scope, check};
use crate::support::snapshot::Also;
use crate::{check_lines, check_lines_of, check_rearranged, tree, without_verdicts};

#[test]
fn directories_made_on_the_way_are_counted() {
    for options in ["-av", "-anv", "-ai", "-ain"] {
        for (paths, told) in [
            ("src/new far/off/file", "created 2 directories for far/off\n"),
            ("src/new far/off/", "created 2 directories for far/off\n"),
            ("src/new ./far/file", "created 1 directory for ./far\n"),
            ("src/ far/off/", "created 2 directories for far/off\n"),
            ("src/ @ROOT@/far/off", "/run/far/off\n"),
            ("src/new src/same dst/far/off", "created 2 directories for dst/far/off\n"),
            ("src/new file", ""),
            ("empty/ far/off", "created 1 directory for far\n"),
            ("empty far/off", "created 1 directory for far\n"),
        ] {
            let args = format!("{options} --mkpath {paths}");
            let seen = check_lines_of(tree().dir("empty"), &args);
            assert!(seen.stdout().contains(told), "{args}: {}", seen.stdout());
        }
    }
}

/// `created directory fresh` is said to whoever asked for names or `%i`, not for any format.
#[test]
fn what_is_made_on_the_way_is_named_where_names_are() {
    let mut named = Vec::new();
    for options in [
        "--out-format=%n",
        "-i --out-format=%n",
        "-v --out-format=%n",
        "-P --out-format=%n",
        "--info=name --out-format=%n",
        "--out-format=%i",
        "-v --info=name0",
        "-v --info=name0 --out-format=%i",
    ] {
        let args = format!("-a {options} src/sub/deep/ fresh");
        let scope = Scope { output: Output::Lines(mask::progress), also: Also::default() };
        let seen = check(&Scenario::new(tree(), &args), scope);
        if seen.stdout().contains("created directory fresh\n") {
            named.push(options);
        }
    }
    assert_eq!(named.len(), 4, "{named:?}");
}

#[test]
fn a_destination_is_named_when_it_is_made_though_nothing_goes_there() {
    for options in ["-av", "-ai", "-anv", "-av --stats", "-avv"] {
        for (paths, told) in [
            ("missing fresh/", "created directory fresh\n"),
            ("missing fresh", ""),
            ("--exclude=new src/new fresh/", "created directory fresh\n"),
            ("--ignore-missing-args missing fresh/", "created directory fresh\n"),
            ("--mkpath missing far/off", "created 1 directory for far/off\n"),
            ("--mkpath missing far/off/", "created 2 directories for far/off\n"),
            ("--no-r src/ fresh/", "created directory fresh\n"),
        ] {
            let args = format!("{options} {paths}");
            let seen = check_rearranged(tree(), &args, without_verdicts);
            assert!(seen.stdout().contains(told.trim_end()), "{args}: {}", seen.stdout());
        }
    }
    let seen = check_lines("-av src/new fresh///");
    assert!(seen.stdout().contains("created directory fresh\n"), "{}", seen.stdout());
}
