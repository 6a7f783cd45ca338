//! Buckets that cannot be written: those that were are of no use without them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::lab::{self, Lab};

const CUT: &str = "manifest tree --buckets=4 --name-template=b[n].txt --output";

/// A tree for four buckets.
fn tree(lab: &Lab) {
    for number in 0..40 {
        lab.file(format!("tree/{number}"), vec![b'x'; 100 + number]);
    }
}

fn names(names: &[&str]) -> BTreeSet<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[test]
fn a_run_that_cannot_write_a_bucket_leaves_none() {
    for rule in ["create:EACCES:*b3*", "write:EIO:*b3*", "fsync:EIO:*b3*", "rename:EIO:*b3*"] {
        let lab = Lab::new();
        tree(&lab);
        let real = lab.dir("real");
        lab.file("real/other", "other");
        let faults = vec![rule.parse().unwrap()];
        let config = testfs::Config { faults, ..testfs::Config::new(&real) };
        let mount = testfs::Mount::at(config, &lab.dir("lists")).unwrap();
        let done = lab.lanesync(CUT).word("lists").go();
        drop(mount);
        done.expect(11).complains(&["lists/b3.txt"]);
        assert_eq!(lab::names(&real), names(&["other"]), "{rule}");
    }
}

#[test]
fn a_disk_that_is_full_holds_no_half_of_a_bucket() {
    let lab = Lab::new();
    let long = "x".repeat(240);
    for number in 0..2000 {
        lab.file(format!("tree/{long}{number}"), "");
    }
    let lists = lab.mount_tmpfs("lists", "size=256k");
    lab.lanesync(CUT).word("lists").word("--by=files").go().expect(11);
    assert_eq!(lab::names(&lists), names(&[]));
}

#[test]
fn a_file_system_on_which_each_file_has_a_name_gets_the_same_buckets() {
    let lab = Lab::new();
    tree(&lab);
    let config = testfs::Config::new(lab.dir("real"));
    let mount = testfs::Mount::at(config, &lab.dir("lists")).unwrap();
    for folder in ["lists", "plain"] {
        lab.lanesync(CUT).word(folder).go().expect(0);
    }
    drop(mount);
    assert_eq!(lab::contents(&lab.path("real")), lab::contents(&lab.path("plain")));
    let mode = |path: &str| lab.path(path).metadata().unwrap().permissions().mode();
    assert_eq!(mode("real/b1.txt"), mode("plain/b1.txt"));
}
