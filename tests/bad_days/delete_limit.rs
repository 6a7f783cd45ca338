//! `--max-delete`, as a number and as a percentage: exit 25, the rest is kept.

use crate::lab::{self, Lab};

const WHEN: &[&str] = &["--delete", "--delete-before", "--delete-after", "--delete-delay", "--del"];

/// 40 files of which the source has 30.
fn trees(lab: &Lab) {
    for number in 0..40 {
        let name = format!("dir{}/file{number:02}", number % 4);
        lab.file(format!("dst/{name}"), "x");
        if number % 4 != 3 {
            lab.file(format!("src/{name}"), "x");
        }
    }
    lab::age(&lab.path("src"));
    lab::age(&lab.path("dst"));
}

/// How many entries go, and the exit code. Ten files and their directory, `dir3`, are in question.
fn check(limit: &str, when: &str, expected: (usize, i32)) {
    for workers in ["", "--workers 1"] {
        let lab = Lab::new();
        trees(&lab);
        let before = lab::names(&lab.path("dst"));
        let line = format!("-a {when} --max-delete={limit} {workers} --stats src/ dst/");
        let done = lab.lanesync(&line).go();
        let after = lab::names(&lab.path("dst"));
        let gone = before.difference(&after).count();
        assert_eq!((gone, done.code), expected, "gone and exit code: {done}");
        for name in lab::names(&lab.path("src")) {
            assert!(after.contains(&name), "{name:?} was removed: {done}");
        }
        if done.code == 25 {
            assert!(done.stderr.contains("max-delete"), "{done}");
        }
    }
}

#[test]
fn a_limit_that_is_reached_keeps_the_rest_and_gives_25() {
    for when in WHEN {
        check("4", when, (4, 25));
        check("0", when, (0, 25));
        check("10", when, (10, 25));
    }
}

#[test]
fn a_limit_that_is_not_reached_changes_nothing() {
    for when in WHEN {
        check("11", when, (11, 0));
        check("5000", when, (11, 0));
        check("100%", when, (11, 0));
    }
}

#[test]
fn a_percentage_is_of_the_entries_at_the_destination() {
    for when in WHEN {
        let lab = Lab::new();
        for number in 0..100 {
            lab.file(format!("dst/file{number:03}"), "x");
            if number >= 30 {
                lab.file(format!("src/file{number:03}"), "x");
            }
        }
        for (percent, left, code) in [("10%", 90, 25), ("50%", 70, 0)] {
            let line = format!("-a {when} --max-delete={percent} src/ dst/");
            lab.lanesync(&line).go().expect(code);
            assert_eq!(lab::names(&lab.path("dst")).len(), left, "{when} {percent}");
        }
    }
}

#[test]
fn a_limit_in_percent_stops_a_source_that_lost_nearly_all() {
    for when in WHEN {
        let lab = Lab::new();
        trees(&lab);
        std::fs::remove_dir_all(lab.path("src")).unwrap();
        lab.file("src/unmounted", "x");
        lab.lanesync(&format!("-a {when} --max-delete=20% src/ dst/")).go().expect(25);
        let left = lab::contents(&lab.path("dst")).len();
        assert!(left >= 32, "{when}: only {left} of 40 files are left");
    }
}

#[test]
fn a_dry_run_shows_no_more_deletions_than_are_permitted() {
    for when in WHEN {
        let lab = Lab::new();
        trees(&lab);
        let done = lab.lanesync(&format!("-an -i {when} --max-delete=4 src/ dst/")).go().expect(25);
        let shown = done.stdout.lines().filter(|line| line.starts_with("*deleting")).count();
        assert_eq!(shown, 4, "{when}: {done}");
    }
}
