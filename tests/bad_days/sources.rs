//! Sources that are not there, cannot be read, or are empty.

use std::fs;

use crate::lab::{self, Lab};

#[test]
fn a_missing_source_removes_nothing() {
    for when in ["--delete", "--delete-before", "--delete-after", "--delete --workers 1"] {
        for sources in ["nosuch/", "nosuch", "nosuch/ src/", "src/ nosuch/", "src/nosuch/"] {
            let lab = Lab::new();
            lab.file("src/file", "x");
            lab.file("dst/extra", "extra");
            lab.file("dst/dir/extra", "extra");
            let done = lab.lanesync(&format!("-a {when} {sources} dst/")).go();
            let done =
                done.expect(23).complains(&["source", "nosuch", "No such file or directory"]);
            for name in ["dst/extra", "dst/dir/extra"] {
                assert!(lab.path(name).exists(), "{name} was removed: {done}");
            }
        }
    }
}

#[test]
fn a_missing_source_that_is_ignored_removes_nothing() {
    let lab = Lab::new();
    lab.file("dst/extra", "extra");
    lab.lanesync("-a --delete --ignore-missing-args nosuch/ dst/").go();
    assert!(lab.path("dst/extra").exists());
}

#[test]
fn an_empty_source_empties_the_destination_as_rsync_does() {
    for when in ["--delete", "--delete-after", "--delete-before"] {
        let lab = Lab::new();
        lab.dir("src");
        lab.file("dst/extra", "extra");
        lab.file("dst/dir/extra", "extra");
        lab.lanesync(&format!("-a {when} src/ dst/")).go().expect(0);
        lab.assert_same("src", "dst");
    }
}

#[test]
fn an_empty_source_can_be_refused() {
    for when in ["--delete", "--delete-after", "--delete-before", "--del"] {
        let lab = Lab::new();
        lab.dir("src");
        lab.file("dst/extra", "extra");
        lab.file("dst/src/extra", "extra");
        let done = lab.lanesync(&format!("-a {when} --no-empty-source src/ dst/")).go();
        assert_ne!(done.code, 0, "{done}");
        assert!(done.stderr.contains("src") && done.stderr.contains("empty"), "{done}");
        assert!(lab.path("dst/extra").exists());
        lab.lanesync("-a --no-empty-source src/ dst/").go().expect(0);
        for named in ["src", "./src", "-R src", "-r . src", "missing src"] {
            let line = format!("-a {when} --no-empty-source {named} dst/");
            lab.lanesync(&line).go().expect(3).complains(&["source", "src", "empty"]);
            assert!(lab.path("dst/src/extra").exists(), "{line}");
        }
    }
}

#[test]
fn an_empty_source_can_be_refused_by_the_configuration() {
    let lab = Lab::new();
    lab.dir("src");
    lab.file("dst/extra", "extra");
    lab.file("home/.config/lanesync/config", "no-empty-source = true\n");
    let done = lab.lanesync("-a --delete src/ dst/").go();
    assert_ne!(done.code, 0, "{done}");
    assert!(lab.path("dst/extra").exists());
}

#[test]
fn a_source_that_is_gone_when_it_is_entered_removes_nothing() {
    // A root that can be opened and no longer be listed: as an unmounted or dying one.
    for rule in ["readdir:EIO:", "readdir:ENOENT:", "opendir:ESTALE:", "getattr:EIO:"] {
        for when in ["--delete", "--delete-before", "--delete-after"] {
            let lab = Lab::new();
            lab.file("backing/file", "x");
            lab.file("dst/extra", "extra");
            lab.file("dst/file", "old");
            let faults = vec![rule.parse().unwrap()];
            let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
            let _mount = testfs::Mount::at(config, &lab.dir("src")).unwrap();
            let done = lab.lanesync(&format!("-a {when} src/ dst/")).go();
            assert!([3, 23].contains(&done.code), "{rule} {when}: {done}");
            assert!(done.stderr.contains("source") && done.stderr.contains("src"), "{done}");
            for name in ["dst/extra", "dst/file"] {
                assert!(lab.path(name).exists(), "{rule} {when}: {name} was removed: {done}");
            }
        }
    }
}

#[test]
fn a_list_of_names_with_missing_ones_copies_the_others_and_removes_nothing() {
    let lab = Lab::new();
    lab.file("src/here", "x");
    lab.file("src/dir/here", "x");
    lab.file("dst/gone", "old");
    lab.file("list", "here\ngone\ndir/here\ndir/gone\n");
    let done = lab.lanesync("-a --delete --files-from=list src/ dst/").go().expect(23);
    done.complains(&["source", "src/gone", "No such file"]).complains(&["source", "src/dir/gone"]);
    assert!(lab.path("dst/gone").exists());
    assert_eq!(fs::read(lab.path("dst/dir/here")).unwrap(), b"x");
    assert!(lab::names(&lab.path("dst")).contains(std::path::Path::new("here")));
}

#[test]
fn a_basis_tree_that_cannot_be_opened_is_told() {
    let lab = Lab::new();
    lab.file("src/file", "x");
    lab.file("there/file", "x");
    for option in ["--link-dest", "--copy-dest", "--compare-dest"] {
        let line = format!("-a {option}=../there {option}=../nowhere src/ dst{option}/");
        lab.lanesync(&line).go().expect(0).complains(&[option, "../nowhere", "No such file"]);
    }
}
