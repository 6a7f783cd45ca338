//! Attributes that could not be brought over, and backups that could not be made: what may go then,
//! at the source and at the destination, and what has to stay.

use std::fs;
use std::path::PathBuf;

use crate::lab::{self, Lab};

/// Three names of one file and a file of its own.
fn twins(lab: &Lab, root: &str) {
    lab.file(format!("{root}/twin1"), "shared");
    for name in ["twin2", "twin3"] {
        fs::hard_link(lab.path(root).join("twin1"), lab.path(root).join(name)).unwrap();
    }
    lab.file(format!("{root}/alone"), "alone");
    lab::age(&lab.path(root));
}

/// Shows a directory with faults.
fn faulty(lab: &Lab, backing: &str, rule: &str) -> testfs::Mount {
    let faults = vec![rule.parse().unwrap()];
    let config = testfs::Config { faults, ..testfs::Config::new(lab.dir(backing)) };
    testfs::Mount::at(config, &lab.dir("mnt")).unwrap()
}

fn four() -> Vec<PathBuf> {
    ["alone", "twin1", "twin2", "twin3"].map(PathBuf::from).into()
}

fn left(lab: &Lab) -> Vec<PathBuf> {
    lab::names(&lab.path("src")).into_iter().collect()
}

#[test]
fn sources_of_copies_that_lack_an_attribute_stay() {
    for options in ["-a", "-aH", "-a --delay-updates", "-aH --delay-updates", "-aH --inplace"] {
        let lab = Lab::new();
        twins(&lab, "src");
        let mount = faulty(&lab, "backing", "utimens:EIO");
        let line = format!("{options} -O --remove-source-files src/ mnt/");
        lab.lanesync(&line).go().expect(23).complains(&["destination: set times of"]);
        assert_eq!(left(&lab), four(), "{options}");
        let copies: Vec<_> = lab::names(&lab.path("backing")).into_iter().collect();
        assert_eq!(copies, four(), "{options}: what has its content is there");
        drop(mount);
        lab.lanesync(&format!("{options} --remove-source-files src/ backing/")).go().expect(0);
        assert_eq!(left(&lab), [] as [PathBuf; 0], "{options}");
    }
}

#[test]
fn a_name_of_a_file_that_cannot_be_removed_is_told_and_goes_with_the_next_run() {
    let lab = Lab::new();
    twins(&lab, "src");
    let mount = faulty(&lab, "src", "unlink:EIO:*twin*:times=1");
    lab.dir("dst");
    let done = lab.lanesync("-aH --remove-source-files --workers 1 mnt/ dst/").go().expect(23);
    done.complains(&["source: remove", "twin"]);
    drop(mount);
    assert_eq!(left(&lab).len(), 1);
    lab.lanesync("-aH --remove-source-files src/ dst/").go().expect(0);
    assert_eq!(left(&lab), [] as [PathBuf; 0]);
}

#[test]
fn attributes_of_a_follower_that_cannot_be_read_are_a_fault() {
    let lab = Lab::new();
    twins(&lab, "src");
    lab::duplicate(&lab.path("src"), &lab.path("dst"));
    let _mount = faulty(&lab, "src", "listxattr:EIO:*twin*:after=1");
    let done = lab.lanesync("-aHX --workers 1 mnt/ dst/").go().expect(23);
    done.complains(&["source: read attributes of", "twin"]);
}

#[test]
fn a_backup_that_finds_no_room_ends_the_run_that_deletes() {
    let lab = Lab::new();
    lab.file("src/file", "new");
    lab.file("backing/gone", "old");
    let _mount = faulty(&lab, "backing", "rename:ENOSPC:*gone*");
    let done = lab.lanesync("-a --delete --backup src/ mnt/").go().expect(11);
    done.complains(&["destination: back up", "gone", "No space left on device"]);
    assert_eq!(fs::read(lab.path("backing/gone")).unwrap(), b"old");
}

#[test]
fn what_a_file_pretends_to_be_is_kept_though_its_times_are_not() {
    let lab = Lab::new();
    let source = lab.file("src/file", "text");
    std::os::unix::fs::chown(&source, Some(1234), Some(4321)).unwrap();
    std::os::unix::fs::symlink("target", lab.path("src/link")).unwrap();
    let _mount = faulty(&lab, "backing", "utimens:EIO:*");
    lab.lanesync("-a --fake-super src/ mnt/").go().expect(23);
    for name in ["file", "link"] {
        let mut value = [0; 64];
        let copy = lab.path("backing").join(name);
        let read = rustix::fs::getxattr(&copy, "user.rsync.%stat", &mut value);
        assert!(read.is_ok_and(|len| len > 0), "{name}: {read:?}");
    }
}

#[test]
fn a_backup_on_another_file_system_keeps_what_the_run_preserves() {
    let lab = Lab::new();
    for name in ["src/dir/file", "src/dir/other"] {
        lab.file(name, "new");
    }
    for tool in ["rsync", "lanesync"] {
        for name in ["file", "other"] {
            let old = lab.file(format!("{tool}/dir/{name}"), "old and longer");
            lab::set_mtime(&old, 1_234_567);
            let old = old.to_str().unwrap();
            let of = ["-n", "user.note", "-v", "kept", old];
            lab::succeed(std::process::Command::new("setfattr").args(of));
            lab::succeed(std::process::Command::new("setfacl").args(["-m", "u:1234:r", old]));
        }
        lab.mount_tmpfs(&format!("{tool}-kept"), "size=8m,mode=755");
        let line = format!("-aAX --backup --backup-dir=../{tool}-kept src/ {tool}/");
        let run = if tool == "rsync" { lab.rsync(&line) } else { lab.lanesync(&line) };
        run.go().expect(0);
    }
    let mut value = [0; 64];
    let kept = lab.path("lanesync-kept/dir/file");
    assert_eq!(rustix::fs::getxattr(&kept, "user.note", &mut value), Ok(4));
    // The directory itself has the time of the run.
    lab.assert_same_by("-aHAXO", "rsync-kept/dir", "lanesync-kept/dir");
}
