//! Files written in place: what a run that fails, or is disturbed, leaves of the old content and of
//! the new.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::lab::{self, Lab, content};

/// How a file that is written in place is called at the source.
const NAME: &str = "file";

/// Copies a file that never holds still, and says how that ended.
fn copy_of_what_changes(lab: &Lab, options: &str) -> lab::Done {
    let source = lab.file(Path::new("src").join(NAME), content(1, 4 << 20));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let stop = Arc::clone(&stop);
        let file = File::options().write(true).open(source).unwrap();
        thread::spawn(move || {
            let mut second = 0;
            while !stop.load(Ordering::Relaxed) {
                second += 1;
                file.write_all_at(&second.to_string().into_bytes(), 0).unwrap();
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second);
                file.set_modified(time).unwrap();
            }
        })
    };
    // Slow enough that it changes in each attempt.
    let done = lab.lanesync(&format!("{options} --bwlimit=8m src/ dst/")).go();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    done
}

#[test]
fn an_in_place_copy_of_a_new_file_that_changes_says_so() {
    let lab = Lab::new();
    lab.dir("dst");
    let done = copy_of_what_changes(&lab, "-a --inplace").expect(23);
    done.complains(&["source", NAME, "changed while it was read"]);
    // What is there is nobody's copy yet: private, and of the time at which it was written.
    let left = fs::metadata(lab.path("dst").join(NAME)).unwrap();
    assert_eq!(left.permissions().mode() & 0o7777, 0o600);
    assert!(left.modified().unwrap().elapsed().unwrap() < Duration::from_secs(600));
    lab.lanesync("-a --inplace src/ dst/").go().expect(0);
    lab.assert_same("src", "dst");
}

#[test]
fn an_in_place_copy_backs_up_what_was_there_before_the_first_attempt() {
    let lab = Lab::new();
    let old = content(2, 3 << 20);
    let copy = lab.file(Path::new("dst").join(NAME), &old);
    lab::set_mtime(&copy, 1_000_000);
    let done = copy_of_what_changes(&lab, "-a --inplace --backup").expect(23);
    done.complains(&["source", NAME, "changed while it was read"]);
    let backup = fs::read(lab.path("dst").join(format!("{NAME}~"))).unwrap();
    assert!(backup == old, "the backup is not the file that was there");
}

/// What `--checksum-choice` asks for reads the destination again, here a disk that takes bytes and
/// does not give them back.
fn is_read_back(options: &str, size: usize, old: &[u8]) {
    let lab = Lab::new();
    lab.file("src/file", content(3, size));
    lab.dir("backing");
    if !old.is_empty() {
        lab::set_mtime(&lab.file("backing/file", old), 1_000_000);
    }
    let rule = "read:EIO:*file*".parse().unwrap();
    let config = testfs::Config { faults: vec![rule], ..testfs::Config::new(lab.path("backing")) };
    let _mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
    lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
    if old.is_empty() {
        fs::remove_file(lab.path("backing/file")).unwrap();
    } else {
        lab::set_mtime(&lab.file("backing/file", old), 1_000_000);
    }
    let verified = lab.lanesync(&format!("{options} --checksum-choice=md5 src/ dst/")).go();
    verified.expect(23).complains(&["destination: read back", "file"]);
}

#[test]
fn what_is_written_in_place_is_verified_on_request() {
    for options in ["-a --inplace", "-a --append"] {
        is_read_back(options, 40_000, b"");
        is_read_back(options, 40_000, &content(3, 8192));
    }
}

#[test]
fn what_is_written_whole_or_in_ranges_is_verified_on_request() {
    is_read_back("-a", 40_000, b"");
    is_read_back("-a --workers 4", (33 << 20) + 5, b"old");
}

#[test]
fn what_append_trusts_is_not_verified() {
    let lab = Lab::new();
    lab.file("src/file", content(3, 40_000));
    lab::set_mtime(&lab.file("dst/file", content(4, 8192)), 1_000_000);
    lab.lanesync("-a --append --checksum-choice=md5 src/ dst/").go().expect(0);
    let joined = [content(4, 8192), content(3, 40_000)[8192..].to_vec()].concat();
    assert!(fs::read(lab.path("dst/file")).unwrap() == joined);
}

/// A file that begins and ends with data, with a hole between.
fn holey(path: &Path) {
    let mut file = File::create(path).unwrap();
    file.write_all(b"begin").unwrap();
    file.seek(SeekFrom::Start((1 << 20) - 7)).unwrap();
    file.write_all(b"the end").unwrap();
}

#[test]
fn old_data_never_stays_where_a_hole_is_written_in_place() {
    for options in ["-a --inplace", "-aS --inplace", "-a --inplace --backup"] {
        // Where holes cannot be made, zeros are written.
        for rule in ["fallocate:EOPNOTSUPP", "mkdir:EPERM:*none"] {
            let lab = Lab::new();
            holey(&lab.dir("src").join("file"));
            lab::set_mtime(&lab.file("backing/file", content(5, 2 << 20)), 1_000_000);
            let faults = vec![rule.parse().unwrap()];
            let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
            let _mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
            lab.lanesync(&format!("{options} src/ dst/")).go().expect(0);
            let wanted = fs::read(lab.path("src/file")).unwrap();
            assert!(fs::read(lab.path("backing/file")).unwrap() == wanted, "{options} {rule}");
        }
    }
}

#[test]
fn a_hole_is_written_to_a_device_as_zeros() {
    let lab = Lab::new();
    let source = lab.dir("src").join("file");
    holey(&source);
    // It ends with a hole that is no multiple of the device's blocks.
    let len = (2 << 20) - 700;
    File::options().write(true).open(&source).unwrap().set_len(len as u64).unwrap();
    let image = lab.file("image", content(6, 2 << 20));
    let made = Command::new("losetup").args(["--find", "--show"]).arg(&image).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let device = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let runs: Vec<_> = ["", "-S"]
        .iter()
        .map(|holes| {
            fs::write(&image, content(6, 2 << 20)).unwrap();
            let line = format!("-a --write-devices {holes} src/file {device}");
            let done = lab.lanesync(&line).go();
            lab::succeed(Command::new("blockdev").args(["--flushbufs", &device]));
            (done, fs::read(&image).unwrap())
        })
        .collect();
    lab::succeed(Command::new("losetup").args(["-d", &device]));
    let wanted = [fs::read(source).unwrap(), content(6, 2 << 20)[len..].to_vec()];
    for (done, written) in runs {
        done.expect(0);
        assert!(written == wanted.concat(), "the device has something else");
    }
}

#[test]
fn names_of_one_file_are_written_in_place_one_after_the_other() {
    let lab = Lab::new();
    let names = ["a", "b", "c"];
    for (seed, name) in names.iter().enumerate() {
        lab.file(format!("src/{name}"), content(seed as u64, 5 << 20));
    }
    lab.file("dst/a", "old");
    for name in ["b", "c"] {
        fs::hard_link(lab.path("dst/a"), lab.path("dst").join(name)).unwrap();
    }
    lab.lanesync("-a --inplace --workers 8 src/ dst/").go().expect(0);
    let now = fs::read(lab.path("dst/a")).unwrap();
    let is_whole = |name: &&str| fs::read(lab.path("src").join(name)).unwrap() == now;
    assert!(names.iter().any(is_whole), "torn");
}
