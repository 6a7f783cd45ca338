//! From a complete copy to its name: backups and staging files on other file systems, parts that must
//! not be taken for copies, names that cannot be had.

use std::ffi::CStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::lab::{self, Lab, content};

/// Hears of every name that goes from a directory.
fn watch(dir: &Path) -> OwnedFd {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&watch, dir, WatchFlags::DELETE | WatchFlags::MOVED_FROM).unwrap();
    watch
}

/// How often a name went.
fn times_gone(watch: &OwnedFd, name: &CStr) -> usize {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(watch, &mut buffer);
    let mut times = 0;
    loop {
        match reader.next() {
            Ok(event) => {
                assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
                times += usize::from(event.file_name() == Some(name));
            }
            Err(Errno::AGAIN) => return times,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_backup_on_another_file_system_leaves_the_name_in_place() {
    let lab = Lab::new();
    lab.file("src/file", "new content");
    symlink("new", lab.path("src/link")).unwrap();
    lab.file("dst/file", "old");
    symlink("old", lab.path("dst/link")).unwrap();
    lab.mount_tmpfs("backups", "size=1m");
    let watch = watch(&lab.path("dst"));
    let backups = lab.path("backups");
    let run = lab.lanesync("-ab src/ dst/ --backup-dir").word(&backups);
    run.go().expect(0);
    assert_eq!(fs::read(backups.join("file")).unwrap(), b"old");
    assert_eq!(fs::read_link(backups.join("link")).unwrap(), Path::new("old"));
    lab.assert_same("src", "dst");
    assert_eq!((times_gone(&watch, c"file"), times_gone(&watch, c"link")), (0, 0));
}

#[test]
fn a_big_copy_that_fails_its_last_steps_is_no_partial_file() {
    for options in ["--partial", "--partial-dir=.part"] {
        let lab = Lab::new();
        lab.file("src/big", content(1, 33 << 20));
        lab.file("backing/big", "old");
        let faults = vec![testfs::Fault::new(testfs::Op::Fsync, Errno::IO.raw_os_error())];
        let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
        let mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
        let done = lab.lanesync(&format!("-a --fsync {options} src/ dst/")).go().expect(23);
        assert!(mount.stats().faults > 0);
        drop(mount);
        done.complains(&["destination", "dst/big"]);
        assert_eq!(fs::read(lab.path("backing/big")).unwrap(), b"old", "{options}");
        assert_eq!(lab::names(&lab.path("backing")).len(), 1, "{options}");
    }
}

/// A source whose file can be read only in part; the destination has an older one.
fn breaks_off(lab: &Lab, bytes: usize, reads: u64) -> testfs::Mount {
    lab.file("backing/file", content(1, bytes));
    lab::age(&lab.path("backing"));
    let faults = after_reads(reads);
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
    testfs::Mount::at(config, &lab.dir("src")).unwrap()
}

fn after_reads(reads: u64) -> Vec<testfs::Fault> {
    let rule = testfs::Fault::new(testfs::Op::Read, Errno::IO.raw_os_error());
    vec![rule.on("file").after(reads)]
}

#[test]
fn a_kept_part_does_not_cost_the_old_file_its_backup() {
    // The second is copied in ranges.
    for (bytes, reads) in [(2 << 20, 4), (48 << 20, 200)] {
        for (options, kept) in [("-abP", "file~"), ("-aP -b --backup-dir=old", "old/file")] {
            let lab = Lab::new();
            let mount = breaks_off(&lab, bytes, reads);
            for side in ["ours", "theirs"] {
                lab.file(format!("{side}/file"), "good and old");
            }
            lab.rsync(&format!("{options} src/ theirs/")).go().expect(23);
            mount.set_faults(after_reads(reads));
            let done = lab.lanesync(&format!("{options} --workers 1 src/ ours/")).go().expect(23);
            drop(mount);
            for side in ["ours", "theirs"] {
                let old = fs::read(lab.path(side).join(kept)).unwrap_or_default();
                assert_eq!(old, b"good and old", "{side} {options}: {done}");
            }
            let part = fs::read(lab.path("ours/file")).unwrap();
            assert!(part.len() < bytes && content(1, bytes).starts_with(&part), "{done}");
        }
    }
}

#[test]
fn a_part_is_given_up_where_the_old_file_cannot_be_backed_up() {
    let lab = Lab::new();
    let source = breaks_off(&lab, 2 << 20, 4);
    lab.file("old/file", "good and old");
    let faults = vec!["*:EIO:*file~*".parse().unwrap()];
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("old")) };
    let mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
    let done = lab.lanesync("-abP --workers 1 src/ dst/").go().expect(23);
    assert!(mount.stats().faults > 0, "no backup was tried: {done}");
    drop((source, mount));
    assert_eq!(fs::read(lab.path("old/file")).unwrap(), b"good and old", "{done}");
    assert_eq!(lab::names(&lab.path("old")).len(), 1, "{done}");
}

#[test]
fn a_temporary_directory_on_another_file_system_serves_as_with_rsync() {
    // With --backup neither program keeps the times of directories.
    let rows = [("-aX", "-aHAX"), ("-aX --delay-updates", "-aHAX"), ("-abX --workers 1", "-aHAXO")];
    for (options, same) in rows {
        let lab = Lab::new();
        lab.file("src/sub/changed", "new content");
        lab.file("src/sub/new", "new");
        lab.file("src/big", content(1, 33 << 20));
        lab::set_mode(&lab.path("src/sub/new"), 0o640);
        lab::age(&lab.path("src"));
        lab.mount_tmpfs("staging", "size=64m");
        let staging = lab.path("staging");
        for side in ["ours", "theirs"] {
            lab.file(format!("{side}/sub/changed"), "old");
        }
        lab.rsync(&format!("{options} src/ theirs/ -T").replace(" --workers 1", ""))
            .word(&staging)
            .go()
            .expect(0);
        lab.lanesync(&format!("{options} src/ ours/ -T")).word(&staging).go().expect(0);
        lab.assert_same_by(same, "theirs", "ours");
        assert!(lab::names(&staging).is_empty());
    }
}

#[test]
fn a_temporary_directory_behind_a_bind_mount_serves_too() {
    let lab = Lab::new();
    lab.file("src/changed", "new content");
    lab.file("src/new", "new");
    lab.file("dst/changed", "old");
    lab.dir("elsewhere");
    let staging = lab.mount_bind("elsewhere", "staging");
    lab.lanesync("-a src/ dst/ -T").word(&staging).go().expect(0);
    lab.assert_same("src", "dst");
}

#[test]
fn a_file_that_may_not_be_read_is_written_in_place_as_with_rsync() {
    for options in ["--inplace", "--append"] {
        let lab = Lab::new();
        lab.file("src/file", "new content");
        lab::age(&lab.path("src"));
        for side in ["ours", "theirs"] {
            lab.file(format!("{side}/file"), "new");
            lab::set_mode(&lab.path(format!("{side}/file")), 0o200);
        }
        for side in ["src", "ours", "theirs"] {
            lab::give_to_user(&lab.path(side));
        }
        lab.rsync(&format!("-rtp {options} src/ theirs/")).user().go().expect(0);
        lab.lanesync(&format!("-rtp {options} src/ ours/")).user().go().expect(0);
        lab.assert_same("theirs", "ours");
        assert_eq!(fs::read(lab.path("ours/file")).unwrap(), b"new content");
    }
}

#[test]
fn a_file_that_cannot_be_put_into_place_at_the_end_counts_as_failed() {
    let lab = Lab::new();
    lab.file("src/good", "good");
    lab.file("src/bad", "bad");
    lab.file("backing/.keep", "");
    lab.file("src/.keep", "");
    lab::age(&lab.path("src"));
    let rule = testfs::Fault::new(testfs::Op::Rename, Errno::IO.raw_os_error());
    // The first rename of the name puts it aside, the second into place.
    let faults = vec![rule.on("*.~tmp~/bad").after(1)];
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("backing")) };
    let mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
    let done = lab.lanesync("-aI --delay-updates --stats src/ dst/").go().expect(23);
    assert!(mount.stats().faults > 0, "{done}");
    drop(mount);
    let verdicts = done.stdout.lines().find(|line| line.starts_with("Verdicts")).unwrap();
    // The root, `good` and `.keep`.
    assert!(verdicts.contains(" 1 copied") && verdicts.contains(" 1 failed"), "{done}");
    let created = done.stdout.lines().find(|line| line.contains("created files")).unwrap();
    assert!(created.ends_with("1 (reg: 1)"), "{done}");
    done.complains(&["destination", "put into place", "dst/bad"]);
    assert!(!lab.path("backing/bad").exists() && lab.path("backing/good").exists());
}
