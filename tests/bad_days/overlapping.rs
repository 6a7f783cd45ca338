//! Source and destination in one another: refused or harmless, never endless, nothing lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::lab::{self, Lab};

/// Runs in a tree `d` whose files all have contents of their own, of which none may be lost, then
/// again, which must not make the tree grow any more.
fn keeps_everything(line: &str) {
    let lab = Lab::new();
    for (name, text) in [
        ("d/top", "one"),
        ("d/sub/inner", "two"),
        ("d/sub/deep/innermost", "three"),
        ("d/other/file", "four"),
    ] {
        lab.file(name, text);
    }
    symlink("d", lab.path("alias")).unwrap();
    lab::age(&lab.path("d"));
    let before: Vec<_> = lab::contents(&lab.path("d")).into_values().collect();
    let mut sizes = Vec::new();
    for turn in 0..4 {
        let done = lab.lanesync(line).go();
        let now: Vec<_> = lab::contents(&lab.path("d")).into_values().collect();
        for text in &before {
            let text = String::from_utf8_lossy(text);
            assert!(
                now.iter().any(|known| **known == *text.as_bytes()),
                "turn {turn} lost {text:?}: {done}"
            );
        }
        sizes.push(now.len());
    }
    assert_eq!(sizes[2], sizes[3], "the tree grows with each run of {line}: {sizes:?}");
}

#[test]
fn a_directory_onto_itself_loses_nothing() {
    for options in
        ["-a", "-a --delete", "-aI --delete", "-ac", "-aI --inplace", "-a --delete-before"]
    {
        keeps_everything(&format!("{options} d/ d/"));
        keeps_everything(&format!("{options} d/ alias/"));
    }
    keeps_everything("-a --remove-source-files d/ d/");
    keeps_everything("-aI --backup d/ d/");
    keeps_everything("-aI --partial-dir=.part --delay-updates d/ d/");
}

#[test]
fn names_of_one_file_that_are_their_own_destination_are_not_removed() {
    // Onto themselves; onto further names of theirs, where some are there and some are not.
    for (there, destination) in [(&[][..], "d/"), (&["a"], "e/"), (&["b", "c"], "e/"), (&[], "e/")]
    {
        let [rsync, lanesync] = ["rsync", "lanesync"].map(|tool| {
            let lab = Lab::new();
            lab.file("d/a", "three names");
            lab.dir("e");
            for name in ["b", "c"] {
                fs::hard_link(lab.path("d/a"), lab.path("d").join(name)).unwrap();
            }
            for name in there {
                fs::hard_link(lab.path("d/a"), lab.path("e").join(name)).unwrap();
            }
            let line = format!("-aH --remove-source-files d/ {destination}");
            let run = if tool == "rsync" { lab.rsync(&line) } else { lab.lanesync(&line) };
            let code = run.go().code;
            (code, lab::names(&lab.path("d")), lab::names(&lab.path("e")))
        });
        assert_eq!(lanesync, rsync, "{there:?} {destination}");
    }
}

#[test]
fn a_file_onto_itself_loses_nothing() {
    for options in ["-a", "-aI", "-ac --inplace", "-a --remove-source-files", "-aI --delay-updates"]
    {
        keeps_everything(&format!("{options} d/top d/top"));
        keeps_everything(&format!("{options} d/top d/"));
        keeps_everything(&format!("{options} d/top alias/top"));
    }
}

#[test]
fn a_destination_inside_the_source_is_not_copied_into_itself() {
    keeps_everything("-a d/ d/sub/");
    keeps_everything("-a d d/sub/");
    keeps_everything("-a d/ d/sub/deep/");
    keeps_everything("-a d/ d/new/");
    keeps_everything("-a d/ alias/sub/");
    keeps_everything("-a d/sub d/sub/");
}

#[test]
fn a_destination_inside_the_source_is_not_emptied() {
    for when in ["--delete", "--delete-before", "--delete-after"] {
        keeps_everything(&format!("-a {when} d/ d/sub/"));
        keeps_everything(&format!("-a {when} d/ d/sub/deep/"));
        keeps_everything(&format!("-a {when} d/ d/new/"));
    }
}

#[test]
fn a_source_inside_the_destination_is_not_removed() {
    keeps_everything("-a d/sub/ d/");
    keeps_everything("-a d/sub d/");
    for when in ["--delete", "--delete-before", "--delete-after"] {
        let lab = Lab::new();
        lab.file("d/sub/inner", "two");
        lab.file("d/sub/deep/innermost", "three");
        lab.file("d/extra", "extra");
        lab.lanesync(&format!("-a {when} d/sub/ d/")).go();
        let now: Vec<_> = lab::contents(&lab.path("d")).into_values().collect();
        for text in ["two", "three"] {
            assert!(
                now.iter().any(|known| known == text.as_bytes()),
                "{when} lost {text:?}: {now:?}"
            );
        }
    }
}

#[test]
fn a_backup_directory_inside_the_source_works_when_it_is_excluded() {
    let lab = Lab::new();
    lab.file("d/top", "one");
    lab.file("d/sub/inner", "two");
    lab.file("d/backup/gone", "old");
    for _ in 0..2 {
        lab.lanesync("-a --delete --exclude=/backup d/ d/backup/").go().expect(0);
        let names = lab::names(&lab.path("d/backup"));
        let wanted = ["sub", "sub/inner", "top"].map(|name| Path::new(name).to_owned());
        assert_eq!(names, wanted.into());
    }
}

#[test]
fn a_hard_link_to_the_source_at_the_destination_is_not_damaged() {
    for options in ["-a", "-aI", "-ac", "-aI --inplace", "-a --remove-source-files"] {
        let lab = Lab::new();
        lab.file("src/file", "precious");
        lab.dir("dst");
        fs::hard_link(lab.path("src/file"), lab.path("dst/file")).unwrap();
        lab.lanesync(&format!("{options} src/ dst/")).go();
        assert_eq!(fs::read(lab.path("dst/file")).unwrap(), b"precious", "{options}");
    }
}

#[test]
fn a_link_back_to_a_directory_above_ends_and_is_told() {
    for options in ["-aL", "-ak", "-aLn", "-aL --delete-after", "-aLm"] {
        let lab = Lab::new();
        lab.file("src/top", "top");
        lab.file("src/sub/inner", "inner");
        lab.file("dst/extra", "extra");
        symlink("..", lab.path("src/sub/up")).unwrap();
        lab.rsync(&format!("{options} src/ theirs/")).go().expect(23);
        let done = lab.lanesync(&format!("{options} src/ dst/")).go().expect(23);
        done.complains(&["source: follow", "src/sub/up", "leads back"]);
        assert!(lab.path("dst/extra").exists(), "{options}");
        assert_eq!(lab.path("dst/sub/inner").exists(), !options.contains('n'), "{options}");
    }
}
