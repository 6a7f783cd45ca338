//! What the file system shows is what lies behind it, late or broken as asked.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, SeekFrom, Timespec};
use rustix::io::Errno;
use tempfile::TempDir;
use testfs::{Config, Mount};

fn mounted() -> (TempDir, Mount) {
    with(|_| {})
}

fn with(change: impl FnOnce(&mut Config)) -> (TempDir, Mount) {
    let backing = tempfile::tempdir().expect("temporary directory");
    let mut config = Config::new(backing.path());
    change(&mut config);
    (backing, Mount::new(config).expect("FUSE is needed: /dev/fuse as root, or fusermount3"))
}

fn is_mounted(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    table.lines().any(|line| line.split(' ').nth(1) == path.to_str())
}

#[test]
fn passes_data_through_both_ways() {
    let (backing, mount) = mounted();
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(mount.path().join("new"), &bytes).unwrap();
    assert!(fs::read(backing.path().join("new")).unwrap() == bytes);
    fs::write(backing.path().join("old"), b"there before").unwrap();
    assert_eq!(fs::read(mount.path().join("old")).unwrap(), b"there before");
    let mut file = fs::OpenOptions::new().append(true).open(mount.path().join("old")).unwrap();
    file.write_all(b", and more").unwrap();
    file.write_at(b"T", 0).unwrap();
    file.set_len(5).unwrap();
    assert_eq!(fs::read(backing.path().join("old")).unwrap().len(), 5);
}

#[test]
fn names_are_bytes_and_long_listings_are_whole() {
    let (backing, mount) = mounted();
    let odd = OsStr::from_bytes(b"-\xff\n ");
    fs::create_dir(mount.path().join(odd)).unwrap();
    for number in 0..5_000 {
        File::create(backing.path().join(odd).join(format!("{number:0>40}"))).unwrap();
    }
    assert_eq!(fs::read_dir(mount.path().join(odd)).unwrap().count(), 5_000);
    assert_eq!(fs::read_dir(mount.path()).unwrap().next().unwrap().unwrap().file_name(), odd);
}

#[test]
fn metadata_is_set_on_the_backing_file() {
    let (backing, mount) = mounted();
    let (seen, real) = (mount.path().join("f"), backing.path().join("f"));
    fs::write(&seen, b"x").unwrap();
    fs::set_permissions(&seen, fs::Permissions::from_mode(0o4751)).unwrap();
    let at = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times =
        rustix::fs::Timestamps { last_access: at(7, 8), last_modification: at(-9, 123_456_789) };
    rustix::fs::utimensat(CWD, &seen, &times, AtFlags::empty()).unwrap();
    for path in [&seen, &real] {
        let meta = fs::metadata(path).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o4751);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (-9, 123_456_789));
        assert_eq!((meta.atime(), meta.atime_nsec()), (7, 8));
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&seen, Some(12), Some(34)).unwrap();
        let meta = fs::metadata(&real).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (12, 34));
    }
    let meta = fs::metadata(&real).unwrap();
    assert_eq!(fs::metadata(&seen).unwrap().blocks(), meta.blocks());
}

#[test]
fn links_of_both_kinds() {
    let (backing, mount) = mounted();
    let at = |name: &str| mount.path().join(name);
    fs::write(at("a"), b"one").unwrap();
    fs::hard_link(at("a"), at("b")).unwrap();
    let (a, b) = (fs::metadata(at("a")).unwrap(), fs::metadata(at("b")).unwrap());
    assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
    std::os::unix::fs::symlink("no/where", at("l")).unwrap();
    assert_eq!(fs::read_link(at("l")).unwrap(), Path::new("no/where"));
    let times = rustix::fs::Timestamps {
        last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
        last_modification: Timespec { tv_sec: 2, tv_nsec: 3 },
    };
    rustix::fs::utimensat(CWD, at("l"), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    assert_eq!(fs::symlink_metadata(backing.path().join("l")).unwrap().mtime(), 2);
    fs::hard_link(at("l"), at("l2")).unwrap();
    assert_eq!(fs::symlink_metadata(at("l2")).unwrap().nlink(), 2);
}

#[test]
fn renames_and_removes() {
    let (_backing, mount) = mounted();
    let at = |name: &str| mount.path().join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::write(at("d/e/f"), b"f").unwrap();
    fs::write(at("g"), b"g").unwrap();
    let refused = rustix::fs::renameat_with(CWD, at("g"), CWD, at("d/e/f"), RenameFlags::NOREPLACE);
    assert_eq!(refused, Err(Errno::EXIST));
    fs::rename(at("d"), at("x")).unwrap();
    fs::rename(at("g"), at("x/e/f")).unwrap();
    assert_eq!(fs::read(at("x/e/f")).unwrap(), b"g");
    assert_eq!(fs::remove_dir(at("x")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(at("x")).unwrap();
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
}

#[test]
fn an_open_file_outlives_its_name() {
    let (_backing, mount) = mounted();
    let path = mount.path().join("f");
    fs::write(&path, b"still here").unwrap();
    let mut file = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still here");
}

#[test]
fn special_files_and_attributes() {
    let (backing, mount) = mounted();
    let at = |name: &str| mount.path().join(name);
    rustix::fs::mknodat(CWD, at("p"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    assert!(fs::symlink_metadata(backing.path().join("p")).unwrap().file_type().is_fifo());
    if rustix::process::geteuid().is_root() {
        let dev = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(CWD, at("n"), FileType::CharacterDevice, Mode::RUSR, dev).unwrap();
        assert_eq!(fs::metadata(at("n")).unwrap().rdev(), dev);
    }
    fs::write(at("f"), b"").unwrap();
    let flags = rustix::fs::XattrFlags::CREATE;
    if rustix::fs::setxattr(at("f"), "user.note", b"\x00\xff", flags) == Err(Errno::OPNOTSUPP) {
        return; // the backing file system has no user attributes
    }
    let again = rustix::fs::setxattr(at("f"), "user.note", b"", flags);
    assert_eq!(again, Err(Errno::EXIST));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(backing.path().join("f"), "user.note", &mut value), Ok(2));
    let mut short = [0; 1];
    assert_eq!(rustix::fs::getxattr(at("f"), "user.note", &mut short), Err(Errno::RANGE));
    let mut names = [0; 64];
    assert_eq!(rustix::fs::listxattr(at("f"), &mut names), Ok(b"user.note\0".len()));
    rustix::fs::removexattr(at("f"), "user.note").unwrap();
    assert_eq!(rustix::fs::getxattr(at("f"), "user.note", &mut value), Err(Errno::NODATA));
}

#[test]
fn holes_can_be_sought() {
    let (_backing, mount) = mounted();
    let file = File::create_new(mount.path().join("h")).unwrap();
    file.write_at(b"end", 1 << 20).unwrap();
    assert_eq!(rustix::fs::seek(&file, SeekFrom::Data(0)), Ok(1 << 20));
    assert_eq!(rustix::fs::seek(&file, SeekFrom::Hole(0)), Ok(0));
    assert!(file.metadata().unwrap().blocks() < 100);
}

#[test]
fn what_a_network_file_system_lacks_is_lacking() {
    let (_backing, mount) = mounted();
    let flags = OFlags::TMPFILE | OFlags::RDWR;
    let tmpfile = rustix::fs::open(mount.path(), flags, Mode::RUSR);
    assert_eq!(tmpfile.unwrap_err(), Errno::OPNOTSUPP);
    fs::write(mount.path().join("a"), b"abc").unwrap();
    fs::copy(mount.path().join("a"), mount.path().join("b")).unwrap();
    assert_eq!(fs::read(mount.path().join("b")).unwrap(), b"abc");
    assert!(rustix::fs::statvfs(mount.path()).unwrap().f_blocks > 0);
}

#[test]
fn each_operation_takes_the_delay_and_slots_run_side_by_side() {
    let delay = Duration::from_millis(20);
    let (backing, mount) = with(|config| (config.delay, config.slots) = (delay, 4));
    for number in 0..16 {
        File::create(backing.path().join(number.to_string())).unwrap();
    }
    let before = mount.stats().operations;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let path = mount.path().join(number.to_string());
            scope.spawn(move || fs::metadata(path).unwrap());
        }
    });
    let operations = mount.stats().operations - before;
    assert!(operations >= 16, "{operations}");
    let least = delay * u32::try_from(operations / 4).unwrap();
    assert!(start.elapsed() >= least, "{:?} for {operations}", start.elapsed());
    assert_eq!(mount.stats().peak_in_flight, 4);
}

#[test]
fn faults_strike_where_and_when_asked() {
    let rules = ["read:EIO:bad", "rename:ENOSPC:*/new", "readdir:EIO:dir:times=1", "open:ESTALE:s"];
    let (backing, mount) = with(|config| {
        config.faults = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    });
    let at = |name: &str| mount.path().join(name);
    let code = |error: std::io::Error| Errno::from_io_error(&error).unwrap();
    fs::create_dir(backing.path().join("dir")).unwrap();
    for name in ["bad", "good", "s"] {
        fs::write(backing.path().join(name), b"x").unwrap();
    }
    assert_eq!(code(fs::read(at("bad")).unwrap_err()), Errno::IO);
    fs::read(at("good")).unwrap();
    assert_eq!(code(fs::rename(at("good"), at("dir/new")).unwrap_err()), Errno::NOSPC);
    fs::rename(at("good"), at("dir/other")).unwrap();
    assert_eq!(code(fs::read_dir(at("dir")).unwrap().next().unwrap().unwrap_err()), Errno::IO);
    assert_eq!(fs::read_dir(at("dir")).unwrap().count(), 1);
    assert_eq!(code(File::open(at("s")).unwrap_err()), Errno::STALE);
    assert!(mount.stats().faults >= 4);
    mount.set_faults(Vec::new());
    fs::read(at("bad")).unwrap();
}

#[test]
fn case_can_be_folded_and_names_keep_theirs() {
    let (backing, mount) = with(|config| config.folds_case = true);
    let at = |name: &str| mount.path().join(name);
    let names = || {
        let entries = fs::read_dir(backing.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    fs::write(at("File"), b"one").unwrap();
    fs::write(at("fILE"), b"two").unwrap();
    assert_eq!(fs::read(at("file")).unwrap(), b"two");
    fs::write(at("new"), b"three").unwrap();
    fs::rename(at("NEW"), at("file")).unwrap();
    assert_eq!(fs::read(at("File")).unwrap(), b"three");
    fs::create_dir(at("D")).unwrap();
    fs::hard_link(at("file"), at("d/l")).unwrap();
    for made in [
        File::create_new(at("FILE")).map(drop),
        fs::create_dir(at("d")),
        fs::hard_link(at("file"), at("D/L")),
        std::os::unix::fs::symlink("x", at("fiLe")),
    ] {
        assert_eq!(made.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
    assert_eq!(names(), ["D", "File"]);
    fs::remove_file(at("d/L")).unwrap();
    fs::remove_dir(at("d")).unwrap();
    fs::remove_file(at("file")).unwrap();
    assert_eq!(names(), [""; 0]);
    // Only of letters, and not unless it is asked for.
    fs::write(at("["), b"").unwrap();
    fs::write(at("{"), b"").unwrap();
    assert_eq!(names(), ["[", "{"]);
    let (_backing, mount) = mounted();
    fs::write(mount.path().join("File"), b"").unwrap();
    File::create_new(mount.path().join("file")).unwrap();
}

#[test]
fn is_unmounted_after_a_panic_and_with_a_file_open() {
    let (_backing, mount) = mounted();
    let path = mount.path().to_path_buf();
    fs::write(path.join("f"), b"x").unwrap();
    let held = File::open(path.join("f")).unwrap();
    assert!(is_mounted(&path));
    let panicked = std::thread::spawn(move || {
        let _mount = mount;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(!is_mounted(&path) && !path.exists());
    drop(held);
}

#[test]
fn the_command_mounts_until_it_is_told_to_stop() {
    let (backing, mountpoint) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(backing.path().join("f"), b"x").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_testfs"))
        .args([backing.path(), mountpoint.path()])
        .args(["--delay-us", "100", "--slots", "2", "--fault", "unlink:EPERM"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_line = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut first_line).unwrap();
    assert_eq!(fs::read(mountpoint.path().join("f")).unwrap(), b"x");
    let refused = fs::remove_file(mountpoint.path().join("f")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!is_mounted(mountpoint.path()));
}
