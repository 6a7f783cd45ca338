//! Devices are those of the kernel: loop devices over files.

use std::process::Command;

use super::*;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A loop device over a file.
struct Loop {
    path: String,
    dir: tempfile::TempDir,
}

impl Loop {
    fn new(options: &[&str]) -> Self {
        Self::with(options, &[])
    }

    /// The same over a file that begins so.
    fn with(options: &[&str], start: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("image");
        fs::write(&file, start).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_len(32 << 20).unwrap();
        let file = file.to_str().unwrap();
        let path = run("losetup", &[&["--find", "--show"], options, &[file]].concat());
        Self { path, dir }
    }

    fn device(&self) -> BlockDevice {
        BlockDevice::of(device_at(Path::new(&self.path)).unwrap()).unwrap()
    }

    fn file(&self) -> Inode {
        inode_at(&self.dir.path().join("image")).unwrap()
    }
}

fn number_of(device: &BlockDevice) -> Ground {
    device_number_in(&device.dir).unwrap().into()
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.path]);
    }
}

#[test]
fn a_device_is_told_with_what_it_is_stored_in() {
    let image = Loop::new(&["--sector-size", "4096"]);
    let device = image.device();
    assert_eq!(format!("/dev/{}", device.name()), image.path);
    assert_eq!(device.logical_block_bytes(), 4096);
    assert!(device.discard_granularity_bytes().is_some_and(|bytes| bytes >= 4096));
    assert!(!device.is_read_only());
    let expected = BTreeSet::from([number_of(&device), image.file().into()]);
    assert_eq!(device.grounds(), expected);
    assert_eq!(device.shown(), Some(image.file().into()));
    assert_eq!(device.uses().unwrap(), []);
    let held = Use::Held { by: device.name() };
    assert_eq!(uses_of_file(image.file()).unwrap(), [held]);
    assert!(Loop::new(&["--read-only"]).device().is_read_only());
}

#[test]
fn a_mounted_device_is_found_and_how_it_is_mounted() {
    let image = Loop::new(&[]);
    run("mkfs.ext4", &["-q", &image.path]);
    let at = image.dir.path().join("a mount");
    fs::create_dir(&at).unwrap();
    for (options, is_writable) in [("ro", false), ("rw", true)] {
        run("mount", &["-o", options, &image.path, at.to_str().unwrap()]);
        let uses = image.device().uses();
        run("umount", &[at.to_str().unwrap()]);
        assert_eq!(uses.unwrap(), [Use::Mounted { at: at.clone(), is_writable }]);
    }
    assert_eq!(image.device().uses().unwrap(), []);
}

#[test]
fn a_device_that_is_swapped_to_is_found() {
    let image = Loop::new(&[]);
    run("mkswap", &[&image.path]);
    run("swapon", &[&image.path]);
    let uses = image.device().uses();
    run("swapoff", &[&image.path]);
    assert_eq!(uses.unwrap(), [Use::Swap]);
}

/// A disk with two partitions of 20,480 sectors.
fn disk_with_two_parts() -> (Loop, [BlockDevice; 2]) {
    // A master boot record.
    let mut table = vec![0; 512];
    for (at, start) in [(446, 2048_u32), (462, 22_528)] {
        table[at + 4] = 0x83;
        table[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        table[at + 12..at + 16].copy_from_slice(&20_480_u32.to_le_bytes());
    }
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    let image = Loop::with(&["--partscan"], &table);
    let parts = || {
        let mut parts = links_in(&image.device().dir);
        parts.retain(|dir| dir.join("partition").exists());
        parts.sort();
        parts
    };
    // A kernel may know no tables.
    if parts().is_empty() {
        run("partx", &["--add", &image.path]);
    }
    let parts = parts().into_iter().map(|dir| BlockDevice::of(device_number_in(&dir).unwrap()));
    let parts = parts.collect::<io::Result<Vec<_>>>().unwrap().try_into().unwrap();
    (image, parts)
}

#[test]
fn a_partition_and_its_disk_are_stored_in_the_same() {
    let (image, [one, other]) = disk_with_two_parts();
    let disk = image.device();
    assert!(one.grounds().contains(&number_of(&disk)));
    assert!(one.grounds().contains(&image.file().into()));
    assert!(!one.grounds().contains(&number_of(&other)));
    assert!(!disk.grounds().contains(&number_of(&one)));
    assert_eq!(one.logical_block_bytes(), 512);
    let part = format!("/dev/{}", one.name());
    run("mkfs.ext4", &["-q", &part]);
    let at = image.dir.path().join("mount");
    fs::create_dir(&at).unwrap();
    run("mount", &[&part, at.to_str().unwrap()]);
    let uses = [&disk, &one, &other].map(BlockDevice::uses);
    run("umount", &[at.to_str().unwrap()]);
    let [of_disk, of_one, of_other] = uses.map(Result::unwrap);
    assert_eq!(of_disk, [Use::Mounted { at, is_writable: true }]);
    assert_eq!((of_one, of_other), (of_disk, Vec::new()));
}

#[test]
fn who_has_the_same_bytes_by_another_device_uses_them() {
    let (image, [one, other]) = disk_with_two_parts();
    let disk = image.device();
    let held_by = |lo: &Shown| Use::Held { by: last_name(Path::new(&lo.0)) };
    let (offset, length) = ("--offset=1048576", "--sizelimit=10485760");
    let file = image.dir.path().join("image");
    // The first partition by the disk, and by what that shows.
    for shown in [&*image.path, file.to_str().unwrap()] {
        let lower = Shown::new(shown, &[offset, length]);
        for device in [&disk, &one] {
            assert_eq!(device.uses().unwrap(), [held_by(&lower)], "{shown}");
        }
        assert_eq!(other.uses().unwrap(), []);
        let upper = Shown::new(&format!("/dev/{}", one.name()), &[]);
        let uses = one.uses().unwrap();
        assert!(
            uses.len() == 2 && [&lower, &upper].map(held_by).iter().all(|it| uses.contains(it))
        );
        let lower = BlockDevice::of(device_at(Path::new(&lower.0)).unwrap()).unwrap();
        assert!(lower.uses().unwrap().contains(&held_by(&upper)));
    }
    let all = Shown::new(&image.path, &[]);
    assert_eq!(other.uses().unwrap(), [held_by(&all)]);
}

#[test]
fn a_file_that_is_swapped_to_is_used_by_what_shows_it() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = dir.path().join("swap");
    fs::write(&file, vec![0; 4 << 20]).unwrap();
    let path = file.to_str().unwrap();
    run("chmod", &["600", path]);
    run("mkswap", &["-q", path]);
    let shown = Shown::new(path, &[]);
    let device = BlockDevice::of(device_at(Path::new(&shown.0)).unwrap()).unwrap();
    assert_eq!(device.uses().unwrap(), []);
    run("swapon", &[path]);
    let uses = [device.uses(), uses_of_file(inode_at(&file).unwrap())];
    run("swapoff", &[path]);
    let held = Use::Held { by: device.name() };
    assert_eq!(uses.map(Result::unwrap), [vec![Use::Swap], vec![Use::Swap, held]]);
}

/// A loop device over something that is there.
struct Shown(String);

impl Shown {
    fn new(shown: &str, options: &[&str]) -> Self {
        Self(run("losetup", &[&["--find", "--show"], options, &[shown]].concat()))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.0]);
    }
}

#[test]
fn tables_of_the_kernel_are_read() {
    let table = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/r\\134oot rw,errors=continue\n\
        37 35 0:44 / /b ro,noatime - btrfs /dev/sdb rw\n\
        38 35 0:45 / /c rw - btrfs /dev/sdc ro,x\n\
        broken line\n";
    let mounts: Vec<_> = mounts_in(table).collect();
    let mount = |major, minor, at: &str, is_writable, source: &str| Mount {
        number: DeviceNumber { major, minor },
        at: at.into(),
        is_writable,
        source: source.into(),
    };
    assert_eq!(
        mounts,
        [
            mount(98, 0, "/mnt 2", true, "/dev/r\\oot"),
            mount(0, 44, "/b", false, "/dev/sdb"),
            mount(0, 45, "/c", false, "/dev/sdc"),
        ]
    );
    let swaps = b"Filename\tType\n/swap\\040file                file\t1\t0\t-2\n/dev/sda2 partition 1 0 -3\n";
    assert_eq!(swaps_in(swaps), ["/swap file", "/dev/sda2"].map(PathBuf::from));
    assert_eq!(unescape(b"\\04"), Path::new("\\04"));
}
