//! A full disk: the run ends with 11, old files stay whole, no name holds half a file, and with room
//! the next run completes the work.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{self, Lab, content};

/// Many files of which the destination has some in an older version.
fn trees(lab: &Lab, destination: &Path) {
    for number in 0..160_u64 {
        let name = format!("dir{}/file{number:03}", number % 8);
        lab.file(Path::new("src").join(&name), content(number, 64 << 10));
        if number % 4 == 0 {
            let old = destination.join(&name);
            fs::create_dir_all(old.parent().unwrap()).unwrap();
            fs::write(old, content(9000 + number, 8 << 10)).unwrap();
        }
    }
    lab.file("src/big", content(77, 6 << 20));
    lab::age(&lab.path("src"));
    lab::age_by(destination, -90_000);
}

/// Fills `dst`, looks at what was left, makes room, and completes it.
fn fills(lab: &Lab, options: &str, make_room: &dyn Fn()) {
    let copy = lab.path("dst");
    let (old, new) = (lab::contents(&copy), lab::contents(&lab.path("src")));
    let line = format!("{options} src/ dst/");
    let done = lab.lanesync(&line).go().expect(11);
    done.complains(&["destination", "No space left on device"]);
    lab::assert_whole(&copy, &old, &new);
    let lost: Vec<_> = old.keys().filter(|name| !copy.join(name).exists()).collect();
    assert!(lost.is_empty(), "{lost:?} were there before the disk was full");
    make_room();
    lab.lanesync(&line).go().expect(0);
    lab.assert_same("src", "dst");
}

fn fills_memory(options: &str) {
    let lab = Lab::new();
    let copy = lab.mount_tmpfs("dst", "size=8m,mode=755");
    trees(&lab, &copy);
    let more = || lab::succeed(Command::new("mount").args(["-o", "remount,size=64m"]).arg(&copy));
    fills(&lab, options, &more);
}

#[test]
fn a_full_tmpfs_ends_the_run_of_many_workers_and_old_files_stay_whole() {
    fills_memory("-a");
}

#[test]
fn a_full_tmpfs_ends_the_run_of_one_worker_and_old_files_stay_whole() {
    fills_memory("-a --workers 1 --delete");
}

#[test]
fn a_full_tmpfs_ends_a_run_with_delayed_updates() {
    fills_memory("-a --delay-updates");
}

#[test]
fn a_full_tmpfs_ends_a_run_that_reserves_space_beforehand() {
    fills_memory("-a --preallocate");
}

#[test]
fn a_full_ext4_ends_the_run_and_old_files_stay_whole() {
    let lab = Lab::new();
    let copy = lab.mount_ext4("dst", 24, &["-m", "0"]);
    trees(&lab, &copy);
    fs::write(copy.join("ballast"), content(1, 12 << 20)).unwrap();
    fills(&lab, "-a", &|| fs::remove_file(copy.join("ballast")).unwrap());
}

#[test]
fn a_big_file_that_does_not_fit_leaves_the_old_one_whole() {
    let lab = Lab::new();
    let copy = lab.mount_tmpfs("dst", "size=24m,mode=755");
    lab.file("src/huge", content(5, 40 << 20));
    lab.file("dst/huge", content(4, 3 << 20));
    lab::age(&lab.path("src"));
    lab::age_by(&copy, -90_000);
    let more = || lab::succeed(Command::new("mount").args(["-o", "remount,size=99m"]).arg(&copy));
    fills(&lab, "-a", &more);
}

#[test]
fn a_file_system_without_inodes_left_ends_the_run() {
    let lab = Lab::new();
    let copy = lab.mount_tmpfs("dst", "size=64m,nr_inodes=90,mode=755");
    trees(&lab, &copy);
    let more = || {
        lab::succeed(Command::new("mount").args(["-o", "remount,nr_inodes=9000"]).arg(&copy));
    };
    fills(&lab, "-a", &more);
}

/// Small files on an xfs that holds more blocks back for them than they need, with so many mebibytes
/// free.
fn small_files_on_xfs(free: u64) -> Lab {
    let lab = Lab::new();
    for number in 0..6000_usize {
        let name = format!("src/dir{:02}/a-file-with-a-longer-name-{number:05}", number % 20);
        lab.file(name, content(number as u64, 1 + number * 7919 % 4096));
    }
    let copy = lab.mount_image("dst", "xfs", 320, &["-f", "-i", "maxpct=0"]);
    let now = rustix::fs::statvfs(&copy).unwrap();
    let ballast = fs::File::create(copy.join("ballast")).unwrap();
    let len = now.f_bavail * now.f_frsize - (free << 20);
    rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, len).unwrap();
    lab::succeed(Command::new("sync").arg("-f").arg(&copy));
    lab
}

#[test]
fn an_xfs_that_holds_blocks_back_is_not_full() {
    for options in ["-a", "-a --workers 1", "-a --workers 8"] {
        let lab = small_files_on_xfs(38);
        lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
        fs::remove_file(lab.path("dst/ballast")).unwrap();
        lab.lanesync("-a src/ dst/").go().expect(0);
        lab.assert_same("src", "dst");
    }
}

#[test]
fn a_full_xfs_ends_the_run_soon() {
    let lab = small_files_on_xfs(12);
    let began = Instant::now();
    lab.lanesync("-a --workers 8 src/ dst/").go().expect(11);
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    let new = lab::contents(&lab.path("src"));
    fs::remove_file(lab.path("dst/ballast")).unwrap();
    lab::assert_whole(&lab.path("dst"), &BTreeMap::new(), &new);
}
