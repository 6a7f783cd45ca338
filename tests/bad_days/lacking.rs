//! File systems that lack something: told for each path, exit 23, and the rest is copied.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::lab::{self, Lab};

fn set_attribute(path: &std::path::Path, name: &str, bytes: usize) {
    lab::succeed(
        Command::new("setfattr").args(["-n", name, "-v"]).arg("x".repeat(bytes)).arg(path),
    );
}

fn set_acl(path: &std::path::Path) {
    lab::succeed(Command::new("setfacl").args(["-m", "u:4242:rwx"]).arg(path));
}

#[test]
fn an_extended_attribute_that_is_too_large_is_told_and_the_rest_is_copied() {
    let lab = Lab::new();
    for name in ["a", "big", "dir/file", "zzz"] {
        let path = lab.file(format!("src/{name}"), name);
        set_attribute(&path, "user.small", 10);
    }
    lab.dir("src/bigdir");
    lab.file("src/bigdir/file", "x");
    for name in ["big", "bigdir"] {
        set_attribute(&lab.path("src").join(name), "user.large", 5000);
    }
    lab::age(&lab.path("src"));
    let small = ["-b", "1024", "-O", "^ea_inode"];
    let (ours, theirs) = (lab.mount_ext4("ours", 16, &small), lab.mount_ext4("theirs", 16, &small));
    lab.rsync("-aX src/ theirs/").go().expect(23);
    let done = lab.lanesync("-aX src/ ours/").go().expect(23);
    done.complains(&["destination", "ours/big\"", "No space left on device"]).complains(&[
        "destination",
        "ours/bigdir",
        "No space left on device",
    ]);
    assert_eq!(lab::contents(&ours), lab::contents(&theirs), "left is ours, right is rsync's");
    for name in ["big", "bigdir"] {
        let mode_and_time = |root: &std::path::Path| {
            let metadata = std::fs::metadata(root.join(name)).unwrap();
            (metadata.mode(), metadata.mtime())
        };
        assert_eq!(mode_and_time(&ours), mode_and_time(&theirs), "{name}");
        assert_eq!(mode_and_time(&ours), mode_and_time(&lab.path("src")), "{name}");
    }
    let again = lab.lanesync("-aX src/ ours/").go();
    again.expect(23);
}

#[test]
fn acls_that_cannot_be_stored_are_told_and_the_rest_is_copied() {
    let lab = Lab::new();
    for name in ["a", "has_acl", "dir/file", "zzz"] {
        lab.file(format!("src/{name}"), name);
    }
    set_acl(&lab.path("src/has_acl"));
    set_acl(&lab.path("src/dir"));
    lab::age(&lab.path("src"));
    let (ours, theirs) = (lab.mount_plain("ours", "ramfs"), lab.mount_plain("theirs", "ramfs"));
    lab.rsync("-aA src/ theirs/").go().expect(23);
    let done = lab.lanesync("-aA src/ ours/").go().expect(23);
    done.complains(&["destination", "ours/has_acl", "not supported"]).complains(&[
        "destination",
        "ours/dir",
        "not supported",
    ]);
    assert_eq!(lab::contents(&ours), lab::contents(&theirs), "left is ours, right is rsync's");
    lab.lanesync("-a src/ ours/").go().expect(0);
}

#[test]
fn extended_attributes_that_cannot_be_stored_are_told_and_the_rest_is_copied() {
    let lab = Lab::new();
    for name in ["a", "has_one", "dir/file", "zzz"] {
        lab.file(format!("src/{name}"), name);
    }
    set_attribute(&lab.path("src/has_one"), "user.x", 10);
    set_attribute(&lab.path("src/dir"), "user.x", 10);
    lab::age(&lab.path("src"));
    let (ours, theirs) = (lab.mount_plain("ours", "ramfs"), lab.mount_plain("theirs", "ramfs"));
    lab.rsync("-aX src/ theirs/").go().expect(23);
    let done = lab.lanesync("-aX src/ ours/").go().expect(23);
    done.complains(&["destination", "ours/has_one", "not supported"]).complains(&[
        "destination",
        "ours/dir",
        "not supported",
    ]);
    assert_eq!(lab::contents(&ours), lab::contents(&theirs), "left is ours, right is rsync's");
}

#[test]
fn a_file_system_without_attributes_takes_a_tree_that_has_none() {
    let lab = Lab::new();
    for name in ["a", "dir/file"] {
        lab.file(format!("src/{name}"), name);
    }
    lab::age(&lab.path("src"));
    lab.mount_plain("dst", "ramfs");
    lab.lanesync("-aHAX src/ dst/").go().expect(0);
    let again = lab.lanesync("-aHAX -i src/ dst/").go().expect(0);
    assert_eq!(again.stdout, "");
    lab.assert_same_by("-aH", "src", "dst");
}

#[test]
fn a_name_that_the_destination_cannot_hold_is_told_and_the_rest_is_copied() {
    // A file system with names as short as those of encrypted directories.
    let lab = Lab::new();
    let long = "n".repeat(200);
    for name in ["a", &long, "zzz"] {
        lab.file(format!("src/{name}"), "x");
    }
    let faults = ["lookup", "create", "rename", "link"]
        .map(|op| format!("{op}:ENAMETOOLONG:*nnnnnnnnnnn*").parse().unwrap());
    let config =
        testfs::Config { faults: faults.into(), ..testfs::Config::new(lab.dir("backing")) };
    let _mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
    let done = lab.lanesync("-a src/ dst/").go().expect(23);
    done.complains(&["destination", "nnnnnnn", "File name too long"]);
    let names = lab::names(&lab.path("backing"));
    assert_eq!(names, ["a".into(), "zzz".into()].into());
}

#[test]
fn a_read_only_destination_ends_the_run_and_says_so() {
    let lab = Lab::new();
    lab.file("src/new", "new");
    let copy = lab.mount_tmpfs("dst", "size=1m");
    lab.file("dst/old", "old");
    lab::succeed(Command::new("mount").args(["-o", "remount,ro"]).arg(&copy));
    let done = lab.lanesync("-a --delete src/ dst/").go().expect_one_of(&[11, 23]);
    done.complains(&["destination", "dst", "Read-only file system"]);
    assert!(lab.path("dst/old").exists());
}
