//! A target whose bytes somebody uses by another device: a second loop device over the same file, or one over
//! the disk that a partition lies on. The kernel does not keep them apart, so lanesync must.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::lab::{self, Lab, content};
use crate::support::loop_device::LoopDevice;

const MIB: usize = 1 << 20;

/// Where both partitions of a disk begin, and how long each is.
const PARTS: [usize; 2] = [MIB, 6 * MIB];
const PART_BYTES: usize = 5 * MIB;

/// What is mounted until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(lab: &Lab, device: &str) -> Self {
        let point = lab.dir("mount");
        lab::succeed(Command::new("mount").arg(device).arg(&point));
        Self(point)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

/// A disk with two partitions, in a file of the lab of 12 MiB. On the first there is a file system.
struct Disk {
    parts: [String; 2],
    device: LoopDevice,
    file: PathBuf,
}

impl Disk {
    fn new(lab: &Lab) -> Self {
        let mut bytes = content(5, 12 * MIB);
        bytes[..512].fill(0);
        for (entry, start) in [446, 462].into_iter().zip(PARTS) {
            let [start, sectors] = [start, PART_BYTES].map(|it| u32::try_from(it / 512).unwrap());
            bytes[entry + 4] = 0x83;
            bytes[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
            bytes[entry + 12..entry + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        let file = lab.file("disk", &bytes);
        let device = LoopDevice::over(file.to_str().unwrap(), &["--partscan"]);
        let parts = ["p1", "p2"].map(|part| device.path.clone() + part);
        // A kernel may know no tables.
        if !PathBuf::from(&parts[0]).exists() {
            lab::succeed(Command::new("partx").args(["--add", &device.path]));
        }
        lab::succeed(Command::new("mkfs.ext4").args(["-q", &parts[0]]));
        Self { parts, device, file }
    }

    /// A loop device that shows the bytes of a partition, by the disk or by its file.
    fn shows_part(part: usize, below: &str) -> LoopDevice {
        let (offset, length) =
            (format!("--offset={}", PARTS[part]), format!("--sizelimit={PART_BYTES}"));
        LoopDevice::over(below, &[&offset, &length])
    }

    fn read(&self) -> Vec<u8> {
        for part in &self.parts {
            lab::succeed(Command::new("blockdev").args(["--flushbufs", part]));
        }
        self.device.flush();
        fs::read(&self.file).unwrap()
    }

    fn is_whole(&self) {
        lab::succeed(Command::new("e2fsck").args(["-fn", &self.parts[0]]));
    }
}

#[test]
fn a_device_over_a_file_that_is_mounted_by_another_device_is_refused() {
    let lab = Lab::new();
    let image = lab.file("image", vec![0; 4 * MIB]);
    let [one, other] = [(); 2].map(|()| LoopDevice::over(image.to_str().unwrap(), &[]));
    lab::succeed(Command::new("mkfs.ext4").args(["-q", &one.path]));
    one.flush();
    let src = lab.file("src", content(1, 4 * MIB));
    lab::succeed(Command::new("touch").args(["-d", "2001-01-01"]).arg(&src));
    let in_use = ["is mounted at", "--allow=mounted"];
    let line = format!("blocks src {}", other.path);
    {
        let _mounted = Mounted::new(&lab, &one.path);
        let before = fs::read(&image).unwrap();
        lab.lanesync(&line).go().expect(3).complains(&in_use);
        lab.lanesync("blocks src image").go().expect(3).complains(&in_use);
        let line = format!("--write-devices src {}", other.path);
        lab.lanesync(&line).go().expect(23).complains(&["is mounted at"]);
        // What a device becomes is written where the old file lies.
        let source = LoopDevice::over(src.to_str().unwrap(), &["--read-only"]);
        let line = format!("-I --copy-devices --inplace {} image", source.path);
        lab.lanesync(&line).go().expect(23).complains(&["is mounted at"]);
        other.flush();
        assert!(fs::read(&image).unwrap() == before, "it was written to");
    }
    lab::succeed(Command::new("e2fsck").args(["-fn", &one.path]));
    // Nobody knows who uses the other one elsewhere.
    lab.lanesync(&line).go().expect(3).complains(&["is used by loop", "--allow=in-use"]);
    drop(one);
    lab.lanesync(&line).go().expect(0);
    other.flush();
    assert!(fs::read(&image).unwrap() == content(1, 4 * MIB));
}

#[test]
fn a_part_of_a_disk_that_is_mounted_is_refused_by_whatever_device_and_the_other_part_is_not() {
    let lab = Lab::new();
    let disk = Disk::new(&lab);
    lab.file("src", content(1, PART_BYTES));
    let file = disk.file.to_str().unwrap();
    let [by_disk, by_file] = [&*disk.device.path, file].map(|below| Disk::shows_part(0, below));
    let other_by_disk = Disk::shows_part(1, &disk.device.path);
    {
        let mounted = Mounted::new(&lab, &disk.parts[0]);
        let before = disk.read();
        for target in [&by_disk.path, &by_file.path, &disk.parts[0]] {
            let done = lab.lanesync(&format!("blocks src {target}")).go();
            done.expect(3).complains(&["is mounted at", "--allow=mounted"]);
            let done = lab.lanesync(&format!("-I --write-devices src {target}")).go();
            done.expect(23).complains(&["is mounted at"]);
        }
        assert!(disk.read() == before, "it was written to");
        let line = format!("blocks src {}", other_by_disk.path);
        lab.lanesync(&line).go().expect(0);
        let [one, other] = &disk.parts;
        let done = lab.lanesync(&format!("blocks {one} {other}")).go();
        done.expect(3).complains(&["is used by loop"]);
        drop(other_by_disk);
        lab.lanesync(&format!("blocks src {other}")).go().expect(0);
        let now_read = ["-o", "remount,ro"];
        lab::succeed(Command::new("mount").args(now_read).arg(&mounted.0));
        lab.lanesync(&format!("blocks {one} {other}")).go().expect(0);
    }
    disk.is_whole();
    let bytes = disk.read();
    // Some time is noted in the one when it is unmounted.
    let same = |at: &usize| bytes[PARTS[0] + at] == bytes[PARTS[1] + at];
    assert!((0..PART_BYTES).filter(same).count() > PART_BYTES - 4096);
    drop((by_disk, by_file));
    lab.lanesync(&format!("blocks src {}", disk.parts[0])).go().expect(0);
    assert!(disk.read()[PARTS[0]..][..PART_BYTES] == content(1, PART_BYTES));
}

#[test]
fn a_part_of_a_disk_that_is_mounted_by_another_device_or_all_of_it_held_is_refused() {
    let lab = Lab::new();
    let disk = Disk::new(&lab);
    lab.file("src", content(1, PART_BYTES));
    let by_disk = Disk::shows_part(0, &disk.device.path);
    let before = {
        let _mounted = Mounted::new(&lab, &by_disk.path);
        let before = disk.read();
        let line = format!("blocks src {}", disk.parts[0]);
        lab.lanesync(&line).go().expect(3).complains(&["is mounted at"]);
        lab.lanesync(&format!("blocks src {}", disk.parts[1])).go().expect(0);
        before
    };
    drop(by_disk);
    let _all = LoopDevice::over(&disk.device.path, &[]);
    for part in &disk.parts {
        let done = lab.lanesync(&format!("blocks --no-verify src {part}")).go();
        done.expect(3).complains(&["is used by loop", "--allow=in-use"]);
    }
    let bytes = disk.read();
    // The file system is one that was unmounted since; all around it is as it was.
    disk.is_whole();
    assert!(bytes[..PARTS[0]] == before[..PARTS[0]]);
    assert!(bytes[PARTS[1]..][..PART_BYTES] == content(1, PART_BYTES));
    assert!(bytes[PARTS[1] + PART_BYTES..] == before[PARTS[1] + PART_BYTES..]);
}

#[test]
fn a_source_that_can_be_written_to_meanwhile_is_warned_of_be_it_a_file_or_a_device() {
    let lab = Lab::new();
    let image = lab.file("image", vec![0; 4 * MIB]);
    let [one, other] = [(); 2].map(|()| LoopDevice::over(image.to_str().unwrap(), &[]));
    lab::succeed(Command::new("mkfs.ext4").args(["-q", &one.path]));
    let mounted = Mounted::new(&lab, &one.path);
    let run = |source: &str| lab.lanesync(&format!("blocks --truncate {source} copy")).go();
    for source in ["image", &one.path, &other.path] {
        run(source).expect(0).complains(&["the source", "is mounted at", "snapshot"]);
    }
    lab::succeed(Command::new("mount").args(["-o", "remount,ro"]).arg(&mounted.0));
    for source in ["image", &one.path, &other.path] {
        let done = run(source).expect(0);
        assert!(!done.stderr.contains("is mounted"), "{source}: {done}");
    }
    drop(mounted);
    assert!(fs::read(lab.path("copy")).unwrap() == fs::read(image).unwrap());
}
