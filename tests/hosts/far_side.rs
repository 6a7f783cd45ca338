//! Bad days of the other host: its disk is full, its file system lacks what the source has, its clock is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::fs::{XattrFlags, setxattr};

use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, connections_at, free_port, noise, tree};

/// A file system that goes with the test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(point: PathBuf, words: &[&str]) -> Self {
        fs::create_dir_all(&point).unwrap();
        let mounted = Command::new("mount").args(words).arg("none").arg(&point).status().unwrap();
        assert!(mounted.success());
        Self(point)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").args(["-l"]).arg(&self.0).status().ok();
    }
}

fn push(hosts: &Hosts, words: &[&str]) -> Output {
    let agent = format!("--agent-path={LANESYNC}");
    hosts.run(RUNS_IT_HERE, &[&[agent.as_str()], words].concat())
}

/// What rsync makes of the same.
fn rsync(hosts: &Hosts, words: &[&str]) -> Output {
    Command::new("rsync")
        .args(["-a", "-e", RUNS_IT_HERE])
        .args(words)
        .current_dir(hosts.path())
        .output()
        .unwrap()
}

#[test]
fn a_full_disk_there_ends_the_run_and_old_files_stay_whole() {
    let hosts = Hosts::new();
    let there = Mounted::new(hosts.path().join("d"), &["-t", "tmpfs", "-o", "size=2m"]);
    let old = noise(100_000, 1);
    for name in ["big", "small"] {
        fs::write(there.0.join(name), &old).unwrap();
    }
    fs::write(hosts.path().join("s/big"), noise(6 << 20, 2)).unwrap();
    for number in 0..40 {
        fs::write(hosts.path().join(format!("s/n{number}")), noise(100_000, number)).unwrap();
    }
    fs::write(hosts.path().join("s/small"), noise(110_000, 3)).unwrap();
    let output = push(&hosts, &["s/", "h:d"]);
    check(&output, 11, "No space left on device");
    assert_eq!(fs::read(there.0.join("big")).unwrap(), old);
    for entry in fs::read_dir(&there.0).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        assert!(!name.starts_with(".n") && !name.starts_with(".big"), "{name} is left");
        if entry.file_type().unwrap().is_file() {
            let read = fs::read(&path).unwrap();
            let new = fs::read(hosts.path().join("s").join(&name)).unwrap();
            assert!(read == new || read == old, "{name} is torn");
        }
    }
    let more = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&there.0).status();
    assert!(more.unwrap().success());
    check(&push(&hosts, &["-H", "s/", "h:d"]), 0, "");
    assert_eq!(tree(&there.0), tree(&hosts.path().join("s")));
}

#[test]
fn what_the_file_system_there_cannot_store_is_told_and_the_rest_arrives() {
    let hosts = Hosts::new();
    let [ours, theirs] =
        ["ours", "theirs"].map(|name| Mounted::new(hosts.path().join(name), &["-t", "ramfs"]));
    for name in ["s/f", "s/a"] {
        let path = hosts.path().join(name);
        setxattr(&path, c"user.x", b"value", XattrFlags::empty()).unwrap();
        let acl = Command::new("setfacl").args(["-m", "u:1234:r"]).arg(&path).status();
        assert!(acl.unwrap().success());
    }
    let output = push(&hosts, &["-AX", "s/", "h:ours"]);
    check(&output, 23, "destination: ");
    for name in ["ours/f", "ours/a/f", "ours/a"] {
        check(&output, 23, &format!("\"{name}\": Operation not supported"));
    }
    assert_eq!(rsync(&hosts, &["-AX", "s/", "h:theirs"]).status.code(), Some(23));
    for name in ["a/g", "a/b/h", "link"] {
        assert!(ours.0.join(name).symlink_metadata().is_ok(), "{name}");
        assert!(theirs.0.join(name).symlink_metadata().is_ok(), "{name}");
    }
    check(&push(&hosts, &["-H", "s/", "h:ours"]), 0, "");
    check(&push(&hosts, &["-AXH", "--exclude=f", "--exclude=/a", "s/", "h:ours"]), 0, "");
}

#[test]
fn where_no_links_can_be_made_there_files_arrive_all_the_same() {
    let hosts = Hosts::new();
    let faults = ["symlink:EPERM", "link:EPERM", "mknod:EPERM"].map(|rule| rule.parse().unwrap());
    let backing = hosts.path().join("backing");
    fs::create_dir(&backing).unwrap();
    fs::create_dir(hosts.path().join("d")).unwrap();
    let config = testfs::Config { faults: faults.into(), ..testfs::Config::new(backing.clone()) };
    let _mount = testfs::Mount::at(config, &hosts.path().join("d")).unwrap();
    let output = push(&hosts, &["s/", "h:d"]);
    check(&output, 23, "d/link\": Operation not permitted");
    for name in ["f", "a/f", "a/g", "a/b/h"] {
        let [here, there] = [hosts.path().join("s"), backing.clone()].map(|at| at.join(name));
        assert_eq!(fs::read(here).unwrap(), fs::read(there).unwrap(), "{name}");
    }
    assert!(backing.join("link").symlink_metadata().is_err());
    // Of several names of a file one can be had.
    fs::remove_file(backing.join("f")).unwrap();
    fs::remove_file(backing.join("a/f")).unwrap();
    check(&push(&hosts, &["-H", "--no-l", "s/", "h:d"]), 23, "f\": Operation not permitted");
    assert_ne!(backing.join("f").exists(), backing.join("a/f").exists());
}

/// What a run leaves, and one that deletes after it, where names that differ only in case are one. Of two
/// files that are one there either arrives, which is not told.
fn left_where_case_is_folded(bring: fn(&Hosts, &[&str]) -> Output) -> [String; 2] {
    let hosts = Hosts::new();
    for (name, text) in [
        ("s/File", "one"),
        ("s/file", "the other"),
        ("s/D/x", "x"),
        ("s/d/y", "y"),
        ("s/readme", "new"),
        ("backing/File", ""),
        ("backing/D/x", "old"), // either would be made first
        ("backing/README", "old one"),
        ("backing/extra", "extra"),
    ] {
        let path = hosts.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (backing, there) = (hosts.path().join("backing"), hosts.path().join("d"));
    fs::create_dir(&there).unwrap();
    let config = testfs::Config { folds_case: true, ..testfs::Config::new(backing.clone()) };
    let _mount = testfs::Mount::at(config, &there).unwrap();
    [&["s/", "h:d"][..], &["--delete", "--exclude=/d", "s/", "h:d"]].map(|words| {
        check(&bring(&hosts, words), 0, "");
        let arrived = fs::read_to_string(there.join("file")).unwrap();
        assert!(["one", "the other"].contains(&arrived.as_str()), "{arrived}");
        fs::write(there.join("file"), "either").unwrap();
        tree(&backing)
    })
}

#[test]
fn where_case_is_folded_there_arrives_what_does_with_rsync() {
    let [ours, theirs] = [push, rsync].map(left_where_case_is_folded);
    for name in ["D/x", "D/y", "README", "extra", "a/b/h"] {
        assert!(ours[0].contains(&format!("./{name} f ")), "{name}: {}", ours[0]);
    }
    assert_eq!(ours, theirs);
}

/// Tells a program that it is another year.
const SHIFTS: &str = "
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && clock == CLOCK_REALTIME) now->tv_sec += atol(getenv(\"SHIFT\"));
    return done;
}
";

fn shifts_the_clock(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("shift.c"), folder.join("shift.so"));
    fs::write(&source, SHIFTS).unwrap();
    let words = ["-shared", "-fPIC", "-o"];
    let made = Command::new("cc").args(words).arg(&library).arg(&source).status().unwrap();
    assert!(made.success());
    let year = |shift: &str| {
        let mut date = Command::new("date");
        let told = date.arg("+%Y").env("SHIFT", shift).env("LD_PRELOAD", &library).output();
        String::from_utf8(told.unwrap().stdout).unwrap()
    };
    assert_ne!(year("0"), year("31622400"), "programs take the wrong time for the right one");
    library
}

#[test]
fn a_clock_that_is_a_year_off_changes_nothing() {
    const YEAR: i64 = 366 * 24 * 3600;
    for shift in [YEAR, -YEAR] {
        for paths in [["s/", "h:d"], ["h:s/", "d"]] {
            let hosts = Hosts::new();
            fs::write(hosts.path().join("s/big"), noise(3_000_000, 1)).unwrap();
            let library = shifts_the_clock(hosts.path());
            let agent = format!(
                "--agent-path=exec env SHIFT={shift} LD_PRELOAD={} {LANESYNC}",
                library.display()
            );
            let port = free_port();
            let ports = format!("--lane-ports={port}");
            // With lanes whose keys would be of another year, and an end of the time.
            let words = ["-Hu", &agent, &ports, "--lanes=2", "--stop-after=5", "--bwlimit=2m"];
            let run = hosts
                .command(RUNS_IT_HERE, &[&words[..], &paths].concat())
                .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut had_lanes = false;
            let stat = format!("/proc/{}/stat", run.id());
            while !had_lanes && !fs::read_to_string(&stat).unwrap().contains(") Z ") {
                had_lanes = connections_at(port) > 0;
                thread::yield_now();
            }
            let output = run.wait_with_output().unwrap();
            check(&output, 0, "");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "");
            assert!(had_lanes, "{shift} {paths:?}");
            assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
            let again = push(&hosts, &[&["-Hi", &agent], &paths[..]].concat());
            check(&again, 0, "");
            assert_eq!(String::from_utf8_lossy(&again.stdout), "");
        }
    }
}
