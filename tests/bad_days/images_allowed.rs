//! Targets that are refused unless that is allowed, by name; partitions; and a disk that took the number of
//! another.

use std::path::Path;

use super::*;

/// Goes on with this word, and is refused without it.
#[track_caller]
fn goes_on_if_allowed(lab: &Lab, word: &str, line: &str) {
    lab.lanesync(&format!("blocks {line}")).go().expect(3).complains(&[word]);
    for other in ["mounted", "read-only", "new-in-dev", "in-use", "overlap"] {
        if word != format!("--allow={other}") {
            lab.lanesync(&format!("blocks --allow={other} {line}")).go().expect(3);
        }
    }
    lab.lanesync(&format!("blocks {word} {line}")).go().expect(0);
}

#[test]
fn a_mounted_device_is_written_to_where_that_is_allowed() {
    let lab = Lab::new();
    let bytes = content(1, 4 * MIB);
    lab.file("src", &bytes);
    let device = Device::new(&lab, "image", &vec![0; bytes.len()]);
    lab::succeed(Command::new("mkfs.ext4").args(["-q", &device.path]));
    let mounted = Mounted::new(&device.path, lab.dir("mount"));
    goes_on_if_allowed(&lab, "--allow=mounted", &format!("src {}", device.path));
    // Before the file system has anything to say to that.
    let written = device.read();
    drop(mounted);
    assert!(written == bytes);
}

/// What is mounted to be read alone.
struct Mounted(PathBuf);

impl Mounted {
    fn new(device: &str, point: PathBuf) -> Self {
        lab::succeed(Command::new("mount").args(["-o", "ro", device]).arg(&point));
        Self(point)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn a_file_that_nobody_may_write_to_is_written_to_where_that_is_allowed() {
    let lab = Lab::new();
    let bytes = content(1, MIB);
    lab.file("src", &bytes);
    let image = lab.file("image", content(2, MIB));
    lab::set_mode(&image, 0o444);
    goes_on_if_allowed(&lab, "--allow=read-only", "src image");
    assert!(fs::read(&image).unwrap() == bytes);
    assert_eq!(image.metadata().unwrap().mode() & 0o777, 0o444);
}

/// A name below /dev that is a test's own.
struct NameInDev(PathBuf);

impl Drop for NameInDev {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

#[test]
fn a_new_file_is_made_below_dev_where_that_is_allowed() {
    let lab = Lab::new();
    let bytes = content(1, 100_000);
    lab.file("src", &bytes);
    let name = NameInDev(format!("/dev/lanesync-test-{}", std::process::id()).into());
    let line = format!("--truncate src {}", name.0.display());
    goes_on_if_allowed(&lab, "--allow=new-in-dev", &line);
    assert!(fs::read(&name.0).unwrap() == bytes);
}

#[test]
fn a_disk_and_its_partition_are_refused_and_another_partition_is_not() {
    const PART: usize = 10 * MIB;
    let lab = Lab::new();
    // A master boot record with two partitions of 20,480 sectors.
    let mut image = content(1, 21 * MIB);
    image[..512].fill(0);
    for (at, start) in [(446, 2048_u32), (462, 22_528)] {
        image[at + 4] = 0x83;
        image[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        image[at + 12..at + 16].copy_from_slice(&20_480_u32.to_le_bytes());
    }
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let disk = Device::with(&lab, "image", &image, &["--partscan"]);
    let [one, two] = [1, 2].map(|number| format!("{}p{number}", disk.path));
    // A kernel may know no tables.
    if !PathBuf::from(&one).exists() {
        lab::succeed(Command::new("partx").args(["--add", &disk.path]));
    }
    for size in ["--ignore-size", "--ignore-size --resume"] {
        refused(&lab, &format!("{size} {one} {}", disk.path), &disk, "have bytes in common");
        refused(&lab, &format!("{size} {} {one}", disk.path), &disk, "have bytes in common");
    }
    refused(&lab, &format!("image {one} --ignore-size"), &disk, "have bytes in common");
    lab.lanesync(&format!("blocks --verify {one} {two}")).go().expect(0);
    image.copy_within(MIB..MIB + PART, MIB + PART);
    assert!(disk.read() == image);
    lab::succeed(Command::new("mkfs.ext4").args(["-q", &one]));
    lab.file("src", content(3, 21 * MIB));
    let mounted = Mounted::new(&one, lab.dir("mount"));
    refused(&lab, &format!("src {}", disk.path), &disk, "is mounted at");
    refused(&lab, &format!("--ignore-size src {one}"), &disk, "is mounted at");
    // That next to it is another.
    lab.lanesync(&format!("blocks --ignore-size src {two}")).go().expect(0);
    drop(mounted);
    let written = &disk.read()[MIB + PART..];
    assert!(written == &content(3, 21 * MIB)[..PART]);
}

/// Shows a file as the device of this number, which somebody else may have for a moment.
fn shown_as(path: &str, image: &Path) -> LoopDevice {
    let until = Instant::now() + Duration::from_secs(60);
    let losetup = || Command::new("losetup").arg(path).arg(image).output().unwrap();
    while !losetup().status.success() {
        assert!(Instant::now() < until, "{path} does not become free");
        std::thread::sleep(Duration::from_millis(20));
    }
    LoopDevice { path: path.to_owned() }
}

#[test]
fn another_disk_that_has_the_number_of_a_marked_one_is_not_resumed() {
    let lab = Lab::new();
    let (bytes, old) = (content(1, 32 * MIB), content(2, 32 * MIB));
    lab.file("src", &bytes);
    let device = Device::new(&lab, "image", &old);
    let path = device.path.clone();
    let rdev = fs::metadata(&path).unwrap().rdev();
    let (major, minor) = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
    let mark = format!("home/.local/state/lanesync/device-{major}-{minor}.incomplete");
    killed_midway(&lab, &format!("src {path}"), &lab.path(&mark));
    drop(device);
    let image = lab.file("another", &old);
    let device = shown_as(&path, &image);
    let done = lab.lanesync(&format!("blocks --resume --json src {path}")).go().expect(0);
    assert_eq!(number(&done, "resumed_bytes"), 0, "{done}");
    device.flush();
    assert!(fs::read(image).unwrap() == bytes && !lab.path(&mark).exists());
}
