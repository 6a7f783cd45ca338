//! Block devices as ends of a job on a tree (`--copy-devices`, `--write-devices`): only what differs is
//! written, and what must not be written to is left alone.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::lab::{self, Done, Lab, content};
use crate::support::loop_device::LoopDevice;

const MIB: usize = 1 << 20;
const SECTOR_BYTES: u64 = 512;

/// A loop device over a file of the lab.
struct Device {
    shown: LoopDevice,
    image: PathBuf,
}

impl Device {
    fn new(lab: &Lab, name: &str, bytes: &[u8]) -> Self {
        Self::with(lab, name, bytes, &[])
    }

    fn with(lab: &Lab, name: &str, bytes: &[u8], options: &[&str]) -> Self {
        let image = lab.file(name, bytes);
        Self { shown: LoopDevice::over(image.to_str().unwrap(), options), image }
    }

    fn path(&self) -> &str {
        &self.shown.path
    }

    fn name(&self) -> &str {
        self.path().strip_prefix("/dev/").unwrap()
    }

    /// What is on it.
    fn read(&self) -> Vec<u8> {
        self.shown.flush();
        fs::read(&self.image).unwrap()
    }

    /// How much the kernel has written to it so far, zeros among it.
    fn written_bytes(&self) -> u64 {
        self.shown.flush();
        let stat = fs::read_to_string(format!("/sys/block/{}/stat", self.name())).unwrap();
        stat.split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * SECTOR_BYTES
    }
}

/// What a run with `--json` says at its end.
#[track_caller]
fn number(done: &Done, field: &str) -> u64 {
    let last = done.stdout.lines().last().unwrap_or_default();
    let behind = last.split(&format!("\"{field}\":")).nth(1).unwrap_or_else(|| panic!("{done}"));
    behind.split([',', '}']).next().unwrap().parse().unwrap()
}

fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Makes a node of a device in the lab.
fn mknod(lab: &Lab, node: &str, device: &Device) {
    let number = fs::metadata(device.path()).unwrap().rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let mut command = Command::new("mknod");
    command.arg(lab.path(node)).args(["b", &major.to_string(), &minor.to_string()]);
    lab::succeed(&mut command);
}

/// It is refused for this reason, and before anything is written; a dry run says so, too.
#[track_caller]
fn refused(lab: &Lab, line: &str, device: &Device, why: &str) {
    let (before, written) = (device.read(), device.written_bytes());
    for line in [&format!("-n {line}"), line] {
        lab.lanesync(line).go().expect(23).complains(&["destination: write", why]);
    }
    assert!(device.read() == before, "{line}: it was written to");
    assert_eq!(device.written_bytes(), written, "{line}");
}

#[test]
fn only_what_differs_is_written_to_a_device_and_zeros_give_room_back() {
    let lab = Lab::new();
    let mut new = content(1, 8 * MIB);
    let device = Device::new(&lab, "image", &new);
    for at in [5, 3 * MIB, 8 * MIB - 1] {
        new[at] = !new[at];
    }
    new[5 * MIB..6 * MIB].fill(0);
    lab.file("src", &new);
    let before = device.written_bytes();
    let line = format!("-a --json --write-devices src {}", device.path());
    let dry = lab.lanesync(&format!("-n {line}")).go().expect(0);
    assert_eq!((number(&dry, "transferred_files"), device.written_bytes()), (1, before));
    let done = lab.lanesync(&line).go().expect(0);
    assert!(device.read() == new);
    assert_eq!(number(&done, "written_bytes"), 3 * 4096);
    assert_eq!(device.written_bytes() - before, (MIB + 3 * 4096) as u64);
    assert!(allocated(&device.image) <= 7 * MIB as u64 + 8192, "zeros take no room");
    let before = device.written_bytes();
    let again = lab.lanesync(&line).go().expect(0);
    assert_eq!((number(&again, "written_bytes"), device.written_bytes()), (0, before));
    assert!(device.read() == new);
}

#[test]
fn the_rest_of_a_device_that_is_longer_stays() {
    let lab = Lab::new();
    let old = content(2, 4 * MIB);
    let device = Device::new(&lab, "image", &old);
    for bytes in [0, 1, 700, 4095, MIB + 4097, 3 * MIB + 511, 4 * MIB] {
        fs::write(&device.image, &old).unwrap();
        device.shown.flush();
        let new = content(bytes as u64, bytes);
        lab.file("src", &new);
        let line = format!("-a --write-devices src {}", device.path());
        lab.lanesync(&line).go().expect(0);
        assert!(device.read() == [&new[..], &old[bytes..]].concat(), "{bytes} bytes");
    }
}

#[test]
fn a_device_becomes_a_file_beside_the_old_one_or_in_place() {
    let lab = Lab::new();
    let mut bytes = content(3, 6 * MIB + 512);
    bytes[MIB..4 * MIB].fill(0);
    let device = Device::new(&lab, "image", &bytes);
    let copy = lab.dir("dst").join(device.name());
    let line = format!("-a --json --copy-devices {} dst/", device.path());
    lab.lanesync(&line).go().expect(0);
    assert!(fs::read(&copy).unwrap() == bytes);
    assert!(allocated(&copy) <= 3 * MIB as u64 + 8192, "zeros take no room");
    let before = fs::metadata(&copy).unwrap().ino();
    let change = |at: usize, bytes: &mut Vec<u8>| {
        bytes[at] = !bytes[at];
        let shown = File::options().write(true).open(device.path()).unwrap();
        shown.write_all_at(&bytes[at..=at], at as u64).unwrap();
        shown.sync_all().unwrap();
    };
    change(5 * MIB, &mut bytes);
    lab.lanesync(&line).go().expect(0);
    assert!(fs::read(&copy).unwrap() == bytes);
    assert_ne!(fs::metadata(&copy).unwrap().ino(), before, "the old file was written to");
    let before = fs::metadata(&copy).unwrap().ino();
    change(2 * MIB, &mut bytes);
    // What is shorter or longer becomes as long.
    for bytes_there in [6 * MIB + 512, 9 * MIB, 5 * MIB] {
        File::options().write(true).open(&copy).unwrap().set_len(bytes_there as u64).unwrap();
        let done = lab.lanesync(&format!("--inplace {line}")).go().expect(0);
        assert!(fs::read(&copy).unwrap() == bytes);
        assert_eq!(fs::metadata(&copy).unwrap().ino(), before);
        let lacking = if bytes_there < bytes.len() { MIB + 512 } else { 0 };
        let changed = if bytes_there == bytes.len() { 4096 } else { 0 };
        assert_eq!(number(&done, "written_bytes"), (lacking + changed) as u64);
    }
}

#[test]
fn one_device_is_brought_to_another() {
    let lab = Lab::new();
    let (new, old) = (content(1, 4 * MIB), content(2, 5 * MIB));
    let (source, target) = (Device::new(&lab, "one", &new), Device::new(&lab, "two", &old));
    let line = format!("-aI --copy-devices --write-devices {} {}", source.path(), target.path());
    lab.lanesync(&line).go().expect(0);
    assert!(target.read() == [&new[..], &old[4 * MIB..]].concat());
    assert!(source.read() == new);
}

#[test]
fn a_device_that_is_in_use_is_refused_and_the_run_goes_on() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &vec![0; 4 * MIB]);
    lab::succeed(Command::new("mkfs.ext4").args(["-q", device.path()]));
    lab.file("src/device", content(1, 4 * MIB));
    lab.file("src/other", "other");
    lab.dir("dst");
    mknod(&lab, "dst/device", &device);
    let point = lab.dir("mount");
    lab::succeed(Command::new("mount").arg(device.path()).arg(&point));
    let dry = lab.lanesync("-an --write-devices src/ dst/").go();
    let is_dry = !lab.path("dst/other").exists();
    let done = lab.lanesync("-a --write-devices src/ dst/").go();
    lab::succeed(Command::new("umount").arg(&point));
    assert!(is_dry, "{dry}");
    for done in [dry, done] {
        let why = ["dst/device", "is mounted at", "--allow=mounted", "lanesync blocks"];
        done.expect(23).complains(&why);
    }
    assert_eq!(fs::read(lab.path("dst/other")).unwrap(), b"other");
    lab::succeed(Command::new("e2fsck").args(["-fn", device.path()]));
    lab.lanesync("-a --write-devices src/ dst/").go().expect(0);
    assert!(device.read() == content(1, 4 * MIB));
}

#[test]
fn what_blocks_refuses_is_refused() {
    let lab = Lab::new();
    lab.file("src", content(1, 4 * MIB));
    let device = Device::new(&lab, "image", &content(2, 4 * MIB));
    let to = format!("-aI --copy-devices --write-devices src {}", device.path());
    lab::succeed(Command::new("mkswap").args(["-q", device.path()]));
    lab::succeed(Command::new("swapon").arg(device.path()));
    let done = lab.lanesync(&to).go();
    lab::succeed(Command::new("swapoff").arg(device.path()));
    done.expect(23).complains(&["is swapped to"]);
    {
        let upper = LoopDevice::over(device.path(), &[]);
        refused(&lab, &to, &device, "is used by loop");
        refused(&lab, &to.replace("src", &upper.path), &device, "have bytes in common");
    }
    lab.file("long", content(1, 4 * MIB + 1));
    refused(&lab, &to.replace("src", "long"), &device, "nothing was written");
    refused(&lab, &to.replace("src", "image"), &device, "have bytes in common");
    let into = format!("-aI --copy-devices --inplace {} image", device.path());
    refused(&lab, &into, &device, "have bytes in common");
    let read_only = Device::with(&lab, "other", &content(2, 4 * MIB), &["--read-only"]);
    let line = to.replace(device.path(), read_only.path());
    refused(&lab, &line, &read_only, "is read-only");
    lab.lanesync(&to).go().expect(0);
    assert!(device.read() == content(1, 4 * MIB));
}

#[test]
fn a_source_that_grows_beyond_a_device_meanwhile_is_refused_and_the_run_goes_on() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &content(2, 32 * MIB));
    let source = lab.file("src/device", content(1, 32 * MIB));
    lab.file("src/other", "other");
    lab.dir("dst");
    mknod(&lab, "dst/device", &device);
    let before = device.written_bytes();
    let mut run = lab.lanesync("-a --bwlimit=10m --write-devices src/ dst/").start();
    run.until("something is written", || device.written_bytes() > before);
    File::options().write(true).open(&source).unwrap().write_all_at(b"more", 32 << 20).unwrap();
    let why = ["dst/device", "a device cannot be made longer"];
    let done = run.wait().expect(23).complains(&why);
    assert!(!done.stderr.contains("nothing was written"), "{done}");
    assert_eq!(fs::read(lab.path("dst/other")).unwrap(), b"other");
}

#[test]
fn what_an_interrupted_run_of_blocks_verified_is_not_believed_afterwards() {
    let lab = Lab::new();
    let bytes = content(1, 48 * MIB);
    lab.file("src", &bytes);
    let device = Device::new(&lab, "image", &content(2, bytes.len()));
    let number_of = fs::metadata(device.path()).unwrap().rdev();
    let (major, minor) = (rustix::fs::major(number_of), rustix::fs::minor(number_of));
    let state = lab.path("home/.local/state/lanesync");
    let mark = state.join(format!("device-{major}-{minor}.incomplete"));
    let mut run = lab.lanesync(&format!("blocks --bwlimit=10m src {}", device.path())).start();
    run.until("units are noted", || mark.metadata().is_ok_and(|mark| mark.len() > 300));
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, -9);
    let mut other = device.read();
    other[3 * MIB + 77] = !other[3 * MIB + 77];
    lab.file("other", &other);
    let line = format!("-aI --write-devices other {}", device.path());
    lab.lanesync(&format!("-n {line}")).go().expect(0);
    let told = fs::read(&mark).unwrap();
    assert!(fs::read(&mark).unwrap() == told, "a dry run writes nothing");
    lab.lanesync(&line).go().expect(0);
    assert!(device.read() == other);
    assert!(fs::read(&mark).unwrap().len() < told.len(), "it tells of units still");
    let done = lab.lanesync(&format!("blocks --resume --json src {}", device.path())).go();
    assert_eq!(number(&done.expect(0), "resumed_bytes"), 0);
    assert!(device.read() == bytes && !mark.exists());
}

#[test]
fn what_is_preallocated_has_no_holes() {
    let lab = Lab::new();
    let mut bytes = content(3, 6 * MIB);
    bytes[MIB..4 * MIB].fill(0);
    let device = Device::new(&lab, "image", &bytes);
    let copy = lab.dir("dst").join(device.name());
    let line = format!("-aI --preallocate --copy-devices {} dst/", device.path());
    lab.lanesync(&line).go().expect(0);
    assert!(fs::read(&copy).unwrap() == bytes);
    assert!(allocated(&copy) >= 6 * MIB as u64);
    let file = File::create(&copy).unwrap();
    file.set_len(5 * MIB as u64).unwrap();
    lab.lanesync(&format!("--inplace {line}")).go().expect(0);
    assert!(fs::read(&copy).unwrap() == bytes);
    assert!(allocated(&copy) >= 6 * MIB as u64);
    let target = Device::new(&lab, "other", &content(4, 6 * MIB));
    lab.lanesync(&format!("-aI --preallocate --write-devices image {}", target.path()))
        .go()
        .expect(0);
    assert!(target.read() == bytes);
}

#[test]
fn a_device_without_bytes_becomes_an_empty_file_and_is_not_written() {
    let lab = Lab::new();
    let empty = Device::new(&lab, "image", &[]);
    let copy = lab.dir("dst").join(empty.name());
    let line = format!("-aI --copy-devices {} dst/", empty.path());
    for before in [None, Some(content(1, MIB))] {
        if let Some(bytes) = before {
            fs::write(&copy, bytes).unwrap();
        }
        lab.lanesync(&format!("-n {line}")).go().expect(0);
        lab.lanesync(&line).go().expect(0);
        assert_eq!(fs::read(&copy).unwrap(), b"");
    }
    let target = Device::new(&lab, "other", &content(2, MIB));
    let line = format!("-aI --copy-devices --write-devices {} {}", empty.path(), target.path());
    lab.lanesync(&line).go().expect(0);
    assert!(target.read() == content(2, MIB));
    lab.file("src", "new");
    refused(&lab, &format!("-a --write-devices src {}", empty.path()), &empty, "has no bytes");
}

#[test]
fn a_run_that_is_killed_or_stopped_is_finished_by_the_next_one() {
    let lab = Lab::new();
    let (new, old) = (content(1, 32 * MIB), content(2, 32 * MIB));
    lab.file("src", &new);
    for signal in [Signal::KILL, Signal::TERM] {
        let device = Device::new(&lab, "image", &old);
        let line = format!("-a --write-devices src {}", device.path());
        let before = device.written_bytes();
        let mut run = lab.lanesync(&format!("--bwlimit=10m {line}")).start();
        run.until("something is written", || device.written_bytes() > before);
        run.signal(signal);
        let code = if signal == Signal::KILL { -9 } else { 20 };
        assert_eq!(run.wait().code, code);
        assert!(device.read() != new, "it was over before");
        lab.lanesync(&line).go().expect(0);
        assert!(device.read() == new, "{signal:?}");
    }
    // What is made beside the old file leaves that as it was.
    let device = Device::new(&lab, "image", &new);
    let copy = lab.file(Path::new("dst").join(device.name()), &old);
    let line = format!("-a --copy-devices {} dst/", device.path());
    let mut run = lab.lanesync(&format!("--bwlimit=10m {line}")).start();
    run.until("it is begun", || lab::names(&lab.path("dst")).len() > 1);
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, -9);
    assert!(fs::read(&copy).unwrap() == old);
    lab.lanesync(&line).go().expect(0);
    assert!(fs::read(&copy).unwrap() == new);
    assert_eq!(lab::names(&lab.path("dst")).len(), 1, "what was left is removed");
}
