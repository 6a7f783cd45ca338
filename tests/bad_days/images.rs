//! `lanesync blocks` on real block devices and files: what must be refused is, before anything is written;
//! what goes wrong is told; and a run that was cut off is finished by the next one.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;

use crate::lab::{self, Lab, content};
use crate::support::loop_device::LoopDevice;
use crate::support::rng::Rng;

/// What may be written to after all, and what is another target than it seems.
#[path = "images_allowed.rs"]
mod allowed;

/// Disks that fail, and success that is not told before it is there.
#[path = "images_failing.rs"]
mod failing;

/// What is said, and how much is written.
#[path = "images_told.rs"]
mod told;

const MIB: usize = 1 << 20;

/// A loop device over a file of the lab.
struct Device {
    path: String,
    shown: LoopDevice,
    image: PathBuf,
}

impl Device {
    fn new(lab: &Lab, name: &str, bytes: &[u8]) -> Self {
        Self::with(lab, name, bytes, &[])
    }

    fn with(lab: &Lab, name: &str, bytes: &[u8], options: &[&str]) -> Self {
        let image = lab.file(name, bytes);
        let shown = image.to_str().unwrap().to_owned();
        Self::over(image, &shown, options)
    }

    /// Shows a file or another device.
    fn over(image: PathBuf, shown: &str, options: &[&str]) -> Self {
        let shown = LoopDevice::over(shown, options);
        Self { path: shown.path.clone(), shown, image }
    }

    /// What is on it.
    fn read(&self) -> Vec<u8> {
        self.shown.flush();
        fs::read(&self.image).unwrap()
    }
}

/// It is refused for this reason, by one sentence and before anything is written.
#[track_caller]
fn refused(lab: &Lab, line: &str, device: &Device, why: &str) {
    let before = device.read();
    lab.lanesync(&format!("blocks {line}")).go().expect(3).complains(&[why]);
    assert!(device.read() == before, "{line}: it was written to");
}

#[test]
fn a_mounted_target_is_refused() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &vec![0; 4 * MIB]);
    lab::succeed(Command::new("mkfs.ext4").args(["-q", &device.path]));
    let point = lab.dir("mount");
    lab.file("src", content(1, 4 * MIB));
    lab::succeed(Command::new("mount").arg(&device.path).arg(&point));
    let line = format!("blocks src {}", device.path);
    let done = lab.lanesync(&line).go();
    let same_by_file = lab.lanesync("blocks src image").go();
    let mounted_source =
        lab.lanesync(&format!("blocks --allow=in-use {} copy --truncate", device.path)).go();
    lab::succeed(Command::new("umount").arg(&point));
    done.expect(3).complains(&["is mounted at", "--allow=mounted"]);
    same_by_file.expect(3).complains(&["is mounted at", "--allow=mounted"]);
    mounted_source.expect(0).complains(&["source", "is mounted at", "snapshot"]);
    lab::succeed(Command::new("e2fsck").args(["-fn", &device.path]));
    lab.lanesync(&line).go().expect(0);
    assert!(device.read() == content(1, 4 * MIB));
}

#[test]
fn a_target_that_is_swapped_to_or_held_is_refused() {
    let lab = Lab::new();
    lab.file("src", content(1, 4 * MIB));
    let device = Device::new(&lab, "image", &vec![0; 4 * MIB]);
    lab::succeed(Command::new("mkswap").args(["-q", &device.path]));
    lab::succeed(Command::new("swapon").arg(&device.path));
    let done = lab.lanesync(&format!("blocks src {}", device.path)).go();
    lab::succeed(Command::new("swapoff").arg(&device.path));
    done.expect(3).complains(&["is swapped to", "--allow=in-use"]);
    let upper = Device::over(device.image.clone(), &device.path, &[]);
    let line = format!("{} {}", upper.path, device.path);
    refused(&lab, &line, &device, "have bytes in common");
    refused(&lab, &format!("src {}", device.path), &device, "is used by loop");
}

#[test]
fn a_device_that_somebody_has_for_himself_is_refused() {
    let lab = Lab::new();
    lab.file("src", content(1, 4 * MIB));
    let device = Device::new(&lab, "image", &content(2, 4 * MIB));
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    let alone = rustix::fs::open(&*device.path, flags, Mode::empty()).unwrap();
    refused(&lab, &format!("src {}", device.path), &device, "wants nobody else to");
    // Zeros, too.
    let mut image = content(3, 4 * MIB);
    image[MIB..3 * MIB].fill(0);
    lab.file("holey", &image);
    lab.lanesync(&format!("blocks --allow=in-use holey {}", device.path)).go().expect(0);
    assert!(device.read() == image);
    drop(alone);
    lab.lanesync(&format!("blocks src {}", device.path)).go().expect(0);
    assert!(device.read() == content(1, 4 * MIB));
}

#[test]
fn a_device_of_another_size_is_refused_unless_that_is_to_be_ignored() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &content(7, 4 * MIB));
    for bytes in [3 * MIB, 5 * MIB] {
        lab.file("src", content(1, bytes));
        refused(&lab, &format!("src {}", device.path), &device, "--ignore-size");
        let line = format!("--truncate src {}", device.path);
        refused(&lab, &line, &device, "a device cannot be made longer or shorter");
    }
    lab.file("src", content(1, 3 * MIB));
    lab.lanesync(&format!("blocks --ignore-size src {}", device.path)).go().expect(0);
    let expected = [&content(1, 3 * MIB)[..], &content(7, 4 * MIB)[3 * MIB..]].concat();
    assert!(device.read() == expected);
}

#[test]
fn what_is_the_same_or_overlaps_is_refused() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &content(7, 4 * MIB));
    refused(&lab, &format!("{0} {0}", device.path), &device, "are the same");
    refused(&lab, &format!("image {}", device.path), &device, "have bytes in common");
    refused(&lab, &format!("{} image", device.path), &device, "have bytes in common");
    let twin = Device::over(device.image.clone(), device.image.to_str().unwrap(), &[]);
    refused(&lab, &format!("{} {}", twin.path, device.path), &device, "have bytes in common");
    fs::hard_link(lab.path("image"), lab.path("link")).unwrap();
    refused(&lab, "image link", &device, "are the same");
}

#[test]
fn a_read_only_target_is_refused() {
    let lab = Lab::new();
    lab.file("src", content(1, 4 * MIB));
    let device = Device::with(&lab, "image", &content(7, 4 * MIB), &["--read-only"]);
    refused(&lab, &format!("src {}", device.path), &device, "is read-only");
}

#[test]
fn a_name_below_dev_that_is_not_there_is_no_new_file() {
    let lab = Lab::new();
    lab.file("src", content(1, MIB));
    let line = "blocks --truncate src /dev/lanesync-no-such-device";
    lab.lanesync(line).go().expect(3).complains(&["--allow=new-in-dev"]);
    assert!(!PathBuf::from("/dev/lanesync-no-such-device").exists());
}

#[test]
fn zeros_give_the_room_of_a_device_back() {
    let lab = Lab::new();
    let mut image = vec![0; 8 * MIB];
    image[5 * MIB..5 * MIB + 100].copy_from_slice(&content(1, 100));
    // All zero but for its last byte.
    image[2 * MIB + 4095] = 1;
    lab.file("src", &image);
    for (option, least, most) in [("--no-discard", 8 * MIB, usize::MAX), ("", 0, 64 << 10)] {
        let device = Device::new(&lab, "image", &content(7, 8 * MIB));
        lab.lanesync(&format!("blocks {option} src {}", device.path)).go().expect(0);
        assert!(device.read() == image, "{option}");
        let allocated = device.image.metadata().unwrap().blocks() as usize * 512;
        assert!((least..=most).contains(&allocated), "{option}: {allocated}");
    }
}

#[test]
fn devices_and_files_are_brought_over_in_all_directions() {
    let lab = Lab::new();
    let bytes = content(1, 3 * MIB + 4096);
    let from = Device::new(&lab, "from", &bytes);
    let to = Device::with(&lab, "to", &content(2, bytes.len()), &["--sector-size", "4096"]);
    lab.lanesync(&format!("blocks --verify=all {} {}", from.path, to.path)).go().expect(0);
    assert!(to.read() == bytes);
    lab.lanesync(&format!("blocks --truncate {} copy", from.path)).go().expect(0);
    assert!(fs::read(lab.path("copy")).unwrap() == bytes);
    let changed = File::options().write(true).open(lab.path("copy")).unwrap();
    changed.write_all_at(b"changed", 2_000_000).unwrap();
    let done = lab.lanesync(&format!("blocks --json copy {}", to.path)).go().expect(0);
    assert!(done.stdout.contains(r#""written_bytes":4096"#), "{done}");
    assert!(to.read() == fs::read(lab.path("copy")).unwrap());
    assert!(from.read() == bytes);
}

#[test]
fn a_dry_run_cuts_and_makes_nothing() {
    let lab = Lab::new();
    lab.file("src", content(1, MIB));
    lab.file("old", content(2, 2 * MIB));
    lab.lanesync("blocks --dry-run --truncate src old").go().expect(0);
    assert!(fs::read(lab.path("old")).unwrap() == content(2, 2 * MIB));
    lab.lanesync("blocks -n --truncate --undo=undo src new").go().expect(0);
    assert!(!lab.path("new").exists() && !lab.path("undo").exists());
}

#[test]
fn a_full_disk_ends_the_run_soon_and_what_was_kept_brings_the_old_image_back() {
    let lab = Lab::new();
    lab.mount_tmpfs("full", "size=16m");
    let old = content(2, 4 * MIB);
    lab.file("full/image", &old);
    // What is sparse there finds no room.
    File::options().write(true).open(lab.path("full/image")).unwrap().set_len(64 << 20).unwrap();
    lab.file("src", content(1, 64 << 20));
    let begun = Instant::now();
    let done = lab.lanesync("blocks --undo=undo src full/image").go();
    let took = begun.elapsed();
    done.expect(11).complains(&["destination: write", "No space left"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
    let kept = fs::read(lab.path("full/image")).unwrap();
    lab.lanesync("blocks -n --apply-undo=undo full/image").go().expect(23);
    assert!(fs::read(lab.path("full/image")).unwrap() == kept);
    let line = "blocks --apply-undo=undo full/image";
    lab.lanesync(line).go().expect(23).complains(&["was cut off"]);
    let mut expected = old;
    expected.resize(64 << 20, 0);
    assert!(fs::read(lab.path("full/image")).unwrap() == expected);
}

#[test]
fn an_undo_file_that_finds_no_room_ends_the_run_and_holds_what_was_changed() {
    let lab = Lab::new();
    lab.mount_tmpfs("small", "size=8m");
    let (mut new, old) = (content(1, 64 * MIB), content(2, 64 * MIB));
    // Of some units all is to be kept, of others a block.
    for unit in (0..64).step_by(2) {
        let unit = unit * MIB + 4096..(unit + 1) * MIB;
        new[unit.clone()].copy_from_slice(&old[unit]);
    }
    lab.file("src", &new);
    for _ in 0..10 {
        lab.file("image", &old);
        fs::remove_file(lab.path("small/undo")).ok();
        let done = lab.lanesync("blocks --readers=4 --undo=small/undo src image").go();
        done.expect(11).complains(&["small/undo", "No space left"]);
        assert!(fs::read(lab.path("image")).unwrap() != old);
        lab.lanesync("blocks --apply-undo=small/undo image").go().expect(23);
        assert!(fs::read(lab.path("image")).unwrap() == old);
    }
}

#[test]
fn a_link_that_leads_nowhere_is_no_place_for_a_new_image() {
    let lab = Lab::new();
    lab.file("src", content(1, MIB));
    std::os::unix::fs::symlink("/dev/lanesync-no-such-device", lab.path("link")).unwrap();
    let line = "blocks --truncate src link";
    lab.lanesync(line).go().expect(3).complains(&["is a link that leads nowhere"]);
    assert!(!PathBuf::from("/dev/lanesync-no-such-device").exists());
}

#[test]
fn what_a_file_system_wrote_since_the_last_run_is_brought_over() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &vec![0; 8 * MIB]);
    lab::succeed(Command::new("mkfs.ext4").args(["-q", &device.path]));
    let point = lab.dir("mount");
    let mount = |options: &str| {
        lab::succeed(Command::new("mount").args(["-o", options, &device.path]).arg(&point));
    };
    mount("rw");
    let line = format!("blocks --truncate {} copy", device.path);
    fs::write(point.join("file"), content(1, MIB)).unwrap();
    lab::succeed(&mut Command::new("sync"));
    let first = lab.lanesync(&line).go();
    let file = File::options().write(true).open(point.join("file")).unwrap();
    file.write_all_at(&content(2, MIB), 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    mount("remount,ro");
    let second = lab.lanesync(&line).go();
    lab::succeed(Command::new("umount").arg(&point));
    first.expect(0);
    second.expect(0);
    let copy = fs::read(lab.path("copy")).unwrap();
    let new = content(2, MIB);
    assert!(copy.windows(4096).step_by(512).any(|block| block == &new[..4096]), "old content");
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_finished_by_the_next_one() {
    let lab = Lab::new();
    let (bytes, mut rng) = (content(1, 48 * MIB), Rng::new(5));
    lab.file("src", &bytes);
    let mut killed = 0;
    for round in 0..6 {
        lab.file("image", content(2, 48 * MIB));
        let undo = format!("undo{round}");
        let line = format!("blocks --bwlimit=200m --undo={undo} src image");
        let run = lab.lanesync(&line).start();
        std::thread::sleep(Duration::from_millis(rng.below(200) as u64));
        run.signal(Signal::KILL);
        if run.wait().code == -9 {
            killed += 1;
            if lab.path(&undo).metadata().is_ok_and(|kept| kept.len() >= 40) && round % 2 == 0 {
                let line = format!("blocks --apply-undo={undo} image");
                lab.lanesync(&line).go().expect(23);
                assert!(fs::read(lab.path("image")).unwrap() == content(2, 48 * MIB));
            }
        }
        lab.lanesync("blocks --verify src image").go().expect(0);
        assert!(fs::read(lab.path("image")).unwrap() == bytes, "round {round}");
    }
    assert!(killed > 0, "no run was killed in time: the test shows nothing");
}

#[test]
fn a_signal_ends_the_run_with_20() {
    let lab = Lab::new();
    lab.file("src", content(1, 16 * MIB));
    lab.file("image", content(2, 16 * MIB));
    let mut run = lab.lanesync("blocks --bwlimit=1m src image").start();
    let image = lab.path("image");
    run.until("something is written", || fs::read(&image).unwrap() != content(2, 16 * MIB));
    run.signal(Signal::INT);
    run.wait().expect(20);
}

#[test]
fn an_image_that_a_program_has_locked_is_refused() {
    let lab = Lab::new();
    lab.file("src", content(1, MIB));
    let image = lab.file("image", content(2, MIB));
    let locked = File::options().read(true).write(true).open(&image).unwrap();
    // As a virtual machine that reads only; they lock single bytes, of which this has all.
    rustix::fs::fcntl_lock(&locked, rustix::fs::FlockOperation::NonBlockingLockShared).unwrap();
    let by = format!("is locked by process {}", std::process::id());
    lab.lanesync("blocks src image").go().expect(3).complains(&[&by, "--allow=in-use"]);
    assert!(fs::read(&image).unwrap() == content(2, MIB));
    lab.lanesync("blocks --allow=in-use src image").go().expect(0);
    drop(locked);
    lab.file("src", content(3, MIB));
    lab.lanesync("blocks src image").go().expect(0);
}

#[test]
fn a_device_over_a_file_that_is_hidden_or_gone_is_known() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &content(1, 4 * MIB));
    let other = lab.path("other");
    fs::hard_link(&device.image, &other).unwrap();
    fs::remove_file(&device.image).unwrap();
    lab.file("src", content(2, 4 * MIB));
    lab.lanesync("blocks src other").go().expect(3).complains(&["is used by loop"]);
    let line = format!("blocks other {}", device.path);
    lab.lanesync(&line).go().expect(3).complains(&["have bytes in common"]);
    // What took its name is another.
    lab.file("image", content(3, 4 * MIB));
    lab.lanesync("blocks src image").go().expect(0);
    assert!(fs::read(other).unwrap() == content(1, 4 * MIB));
}

#[test]
fn of_a_job_that_was_not_begun_no_number_is_told() {
    let lab = Lab::new();
    let done = lab.lanesync("blocks --json nothing there").go().expect(3);
    assert!(!done.stdout.contains("source_bytes") && done.stdout.contains("exit_code"), "{done}");
}

/// What a run says of the image in its last record.
#[track_caller]
fn number(done: &lab::Done, field: &str) -> u64 {
    let last = done.stdout.lines().last().unwrap_or_default();
    let behind = last.split(&format!("\"{field}\":")).nth(1).unwrap_or_else(|| panic!("{done}"));
    behind.split([',', '}']).next().unwrap().parse().unwrap()
}

/// Kills a run when its mark tells of verified units.
fn killed_midway(lab: &Lab, line: &str, mark: &std::path::Path) {
    let mut run = lab.lanesync(&format!("blocks --bwlimit=10m {line}")).start();
    run.until("units are noted", || mark.metadata().is_ok_and(|mark| mark.len() > 300));
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, -9);
}

#[test]
fn a_run_that_was_killed_is_resumed_or_done_anew_as_wanted() {
    let lab = Lab::new();
    let bytes = content(1, 64 * MIB + 5000);
    lab.file("src", &bytes);
    let mark = lab.path(".image.lanesync-incomplete");
    for (option, is_resumed) in [("", false), ("--resume", true)] {
        lab.file("image", content(2, bytes.len()));
        killed_midway(&lab, "src image", &mark);
        let done = lab.lanesync(&format!("blocks --json {option} src image")).go().expect(0);
        assert!(done.stdout.contains("was left incomplete by the run of"), "{done}");
        let resumed = number(&done, "resumed_bytes");
        assert_eq!(resumed >= 4 << 20, is_resumed, "{done}");
        let rest = ["equal_bytes", "written_bytes", "skipped_bytes"].map(|it| number(&done, it));
        assert_eq!(resumed + rest.iter().sum::<u64>(), bytes.len() as u64, "{done}");
        let root = blake3_of(&lab, "src");
        assert!(done.stdout.contains(&root), "{root}: {done}");
        assert!(fs::read(lab.path("image")).unwrap() == bytes && !mark.exists());
    }
}

/// What lanesync prints for an image that it reads whole.
fn blake3_of(lab: &Lab, name: &str) -> String {
    let done = lab.lanesync(&format!("blocks -n --digest --truncate {name} no-such-image")).go();
    let digest = done.stdout.lines().find_map(|line| line.strip_prefix("blake3 "));
    digest.unwrap_or_else(|| panic!("{done}")).to_owned()
}

#[test]
fn a_device_has_its_mark_in_the_folder_of_the_user() {
    let lab = Lab::new();
    let bytes = content(1, 48 * MIB);
    lab.file("src", &bytes);
    let device = Device::new(&lab, "image", &content(2, bytes.len()));
    let number_of = fs::metadata(&device.path).unwrap().rdev();
    let (major, minor) = (rustix::fs::major(number_of), rustix::fs::minor(number_of));
    let state = lab.path("home/.local/state/lanesync");
    let mark = state.join(format!("device-{major}-{minor}.incomplete"));
    killed_midway(&lab, &format!("src {}", device.path), &mark);
    assert_eq!(state.metadata().unwrap().mode() & 0o777, 0o700);
    let done = lab.lanesync(&format!("blocks --resume --json src {}", device.path)).go().expect(0);
    assert!(number(&done, "resumed_bytes") >= 4 << 20, "{done}");
    assert!(device.read() == bytes && !mark.exists());
    // A folder that others may write to is not used.
    lab::succeed(Command::new("chmod").arg("777").arg(&state));
    lab.file("src", content(3, bytes.len()));
    let done = lab.lanesync(&format!("blocks src {}", device.path)).go().expect(0);
    done.complains(&["cannot be marked as incomplete"]);
    assert!(device.read() == content(3, bytes.len()));
}

#[test]
fn a_signal_leaves_a_mark_that_tells_all() {
    let lab = Lab::new();
    let bytes = content(1, 32 * MIB);
    lab.file("src", &bytes);
    lab.file("image", content(2, bytes.len()));
    let mut run = lab.lanesync("blocks --readers=1 --bwlimit=20m src image").start();
    let image = lab.path("image");
    run.until("units are written", || {
        fs::read(&image).unwrap()[3 * MIB..4 * MIB] == bytes[3 * MIB..4 * MIB]
    });
    run.signal(Signal::INT);
    run.wait().expect(20);
    let done = lab.lanesync("blocks --resume --json src image").go().expect(0);
    assert!(number(&done, "resumed_bytes") >= 3 << 20, "{done}");
    assert!(fs::read(image).unwrap() == bytes);
}

#[test]
fn a_delta_goes_from_device_to_device() {
    let lab = Lab::new();
    let old = content(1, 8 * MIB);
    let mut new = old.clone();
    new[MIB..2 * MIB].fill(0);
    new[5 * MIB..5 * MIB + 100].copy_from_slice(&content(2, 100));
    let (from, base) = (Device::new(&lab, "from", &new), Device::new(&lab, "base", &old));
    let (copy, other) = (Device::new(&lab, "copy", &old), Device::new(&lab, "other", &new[1..]));
    let line = format!("blocks --delta-out=delta {} {}", from.path, base.path);
    let done = lab.lanesync(&line).go().expect(0);
    assert!(done.stdout.contains("it was only read"), "{done}");
    assert!(base.read() == old);
    assert!(lab.path("delta").metadata().unwrap().len() < 6000);
    lab.lanesync(&line).go().expect(3).complains(&["is there already"]);
    let into = |device: &Device| format!("--delta-in=delta {}", device.path);
    refused(&lab, &into(&other), &other, "is not what \"delta\" was made for");
    refused(&lab, &into(&from).replace("delta ", "base "), &from, "is no file that --delta-out");
    let undo = format!("blocks --undo=undo --verify {}", into(&copy));
    lab.lanesync(&format!("{undo} -n")).go().expect(0);
    assert!(copy.read() == old);
    lab.lanesync(&undo).go().expect(0);
    assert!(copy.read() == new);
    let done = lab.lanesync(&format!("blocks {}", into(&copy))).go().expect(0);
    assert!(done.stdout.contains("is in the new state of \"delta\" already"), "{done}");
    lab.lanesync(&format!("blocks --apply-undo=undo {}", copy.path)).go().expect(0);
    assert!(copy.read() == old);
}

#[test]
fn a_delta_that_is_killed_is_applied_by_the_next_run() {
    let lab = Lab::new();
    let (new, old) = (content(1, 24 * MIB), content(2, 24 * MIB));
    lab.file("src", &new);
    lab.file("image", &old);
    lab.lanesync("blocks --delta-out=delta src image").go().expect(0);
    let image = lab.path("image");
    let mut run = lab.lanesync("blocks --bwlimit=10m --delta-in=delta image").start();
    run.until("something is written", || fs::read(&image).unwrap() != old);
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, -9);
    assert!(fs::read(&image).unwrap() != new);
    lab.lanesync("blocks --delta-in=delta image").go().expect(0);
    assert!(fs::read(&image).unwrap() == new);
    assert!(!lab.path(".image.lanesync-incomplete").exists());
}
