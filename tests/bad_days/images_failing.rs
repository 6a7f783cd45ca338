//! Disks that fail under an image: success is told when the disk has all of it, and not before; the first
//! error ends all; and the source is never open for writing.

use super::*;
use crate::support::open_files::access_modes;

/// How often somebody asked a device to keep for good what it has (the kernel's Documentation/block/stat).
fn flushes(device: &Device) -> u64 {
    let name = device.path.trim_start_matches("/dev/");
    let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
    stat.split_whitespace().nth(15).unwrap().parse().unwrap()
}

#[test]
fn a_device_is_flushed_before_success_is_told() {
    let lab = Lab::new();
    let bytes = content(1, 4 * MIB);
    lab.file("src", &bytes);
    let device = Device::new(&lab, "image", &content(2, bytes.len()));
    let before = flushes(&device);
    lab.lanesync(&format!("blocks -n src {}", device.path)).go().expect(0);
    assert_eq!(flushes(&device), before, "a dry run has nothing to flush");
    lab.lanesync(&format!("blocks src {}", device.path)).go().expect(0);
    assert!(flushes(&device) > before);
    // Nobody but the run has flushed it.
    assert!(fs::read(&device.image).unwrap() == bytes);
}

/// A file system that fails by rules, and what lies below it.
fn failing(lab: &Lab, rule: &str) -> testfs::Mount {
    let config = testfs::Config {
        faults: vec![rule.parse().unwrap()],
        ..testfs::Config::new(lab.dir("backing"))
    };
    testfs::Mount::at(config, &lab.dir("disk")).unwrap()
}

#[test]
fn what_the_disk_has_not_taken_for_good_is_no_success() {
    let lab = Lab::new();
    let (new, old) = (content(1, 3 * MIB), content(2, 3 * MIB));
    lab.file("src", &new);
    lab.file("backing/image", &old);
    let mount = failing(&lab, "fsync:EIO:image");
    let done = lab.lanesync("blocks --json src disk/image").go();
    let done = done.expect(11).complains(&["destination: sync", "disk/image", "Input/output"]);
    assert!(mount.stats().faults > 0 && done.stdout.contains(r#""exit_code":11"#), "{done}");
    // Nor is it one where all is there already, and nobody knows whether it stays.
    lab.lanesync("blocks src disk/image").go().expect(11).complains(&["destination: sync"]);
    let mark = lab.path("backing/.image.lanesync-incomplete");
    assert!(mark.exists(), "it is not complete, and not marked so");
    mount.set_faults(Vec::new());
    let done = lab.lanesync("blocks src disk/image").go().expect(0);
    done.complains(&["was left incomplete by the run of"]);
    assert!(fs::read(lab.path("backing/image")).unwrap() == new && !mark.exists());
}

/// After so long at most a run is over whose disk has failed. All of it would take twice as long.
const OVER_AFTER: Duration = Duration::from_secs(30);

#[test]
fn the_first_write_that_fails_ends_all_workers() {
    let lab = Lab::new();
    lab.file("src", content(1, 64 * MIB));
    lab.file("backing/image", content(2, 64 * MIB));
    for (rule, says) in [
        ("write:ENOSPC:image", "No space left on device"),
        ("write:EIO:image:after=20", "Input/output error"),
        ("read:EIO:image:after=20", "Input/output error"),
    ] {
        let mount = failing(&lab, rule);
        let line = "blocks --readers=4 --bwlimit=1m src disk/image";
        let mut run = lab.lanesync(line).start();
        while mount.stats().faults == 0 {
            assert!(!run.has_ended(), "{rule}: it ended before anything failed");
            std::thread::sleep(Duration::from_millis(1));
        }
        let failed = Instant::now();
        let done = run.wait();
        let took = failed.elapsed();
        done.expect_one_of(&[11, 23]).complains(&["destination", "disk/image", says]);
        assert!(took < OVER_AFTER, "{rule}: {took:?}");
        drop(mount);
    }
}

#[test]
fn a_disk_without_room_for_the_first_block_ends_the_run() {
    let lab = Lab::new();
    lab.mount_tmpfs("full", "size=1m");
    lab.file("src", content(1, 64 * MIB));
    File::create(lab.path("full/image")).unwrap().set_len(64 << 20).unwrap();
    // As much as there is, and some more.
    fs::write(lab.path("full/other"), content(2, 2 * MIB)).unwrap_err();
    let begun = Instant::now();
    let done = lab.lanesync("blocks --bwlimit=1m src full/image").go();
    let took = begun.elapsed();
    done.expect(11).complains(&["destination: write", "No space left on device"]);
    assert!(took < OVER_AFTER, "{took:?}");
    let image = lab.path("full/image").metadata().unwrap();
    assert_eq!((image.blocks(), image.len()), (0, 64 << 20));
}

#[test]
fn a_device_that_loses_what_it_is_stored_in_is_a_fault_of_the_source() {
    let lab = Lab::new();
    let device = Device::new(&lab, "image", &content(1, 64 * MIB));
    lab.file("dst", content(2, 64 * MIB));
    device.shown.flush();
    File::options().write(true).open(&device.image).unwrap().set_len(MIB as u64).unwrap();
    let begun = Instant::now();
    let done = lab.lanesync(&format!("blocks --bwlimit=1m {} dst", device.path)).go();
    let took = begun.elapsed();
    done.expect(11).complains(&["source: read", &device.path, "Input/output error"]);
    assert!(took < OVER_AFTER, "{took:?}");
    assert!(lab.path(".dst.lanesync-incomplete").exists());
}

#[test]
fn a_device_that_finds_no_room_where_it_is_stored_is_no_success() {
    let lab = Lab::new();
    lab.mount_tmpfs("full", "size=2m");
    let bytes = content(1, 16 * MIB);
    lab.file("src", &bytes);
    let image = lab.path("full/image");
    File::create(&image).unwrap().set_len(bytes.len() as u64).unwrap();
    let device = Device::over(image.clone(), image.to_str().unwrap(), &[]);
    let begun = Instant::now();
    let done = lab.lanesync(&format!("blocks src {}", device.path)).go();
    let took = begun.elapsed();
    done.expect(11).complains(&["destination", &device.path, "Input/output error"]);
    assert!(took < OVER_AFTER, "{took:?}");
    assert!(fs::read(&image).unwrap() != bytes, "there was room: the test shows nothing");
}

#[test]
fn a_source_is_open_for_reading_alone() {
    let lab = Lab::new();
    let (new, old) = (content(1, 8 * MIB), content(2, 8 * MIB));
    let device = Device::new(&lab, "device", &new);
    lab.file("src", &new);
    let dst = lab.path("dst");
    for source in [lab.path("src"), PathBuf::from(&device.path)] {
        lab.file("dst", &old);
        let line = format!("blocks --bwlimit=1m {} dst", source.display());
        let mut run = lab.lanesync(&line).start();
        run.until("something is written", || fs::read(&dst).unwrap() != old);
        let (from, to) = (access_modes(run.id(), &source), access_modes(run.id(), &dst));
        assert!(!from.is_empty() && from.iter().all(|mode| *mode == 0), "{from:?}");
        // What is written to shows that these are told apart.
        assert!(to.contains(&2), "{to:?}");
        run.signal(Signal::TERM);
        run.wait().expect(20);
    }
}

#[test]
fn a_file_that_is_swapped_to_is_refused() {
    let lab = Lab::new();
    lab.mount_ext4("disk", 16, &[]);
    lab.file("src", content(1, 4 * MIB));
    let swap = lab.file("disk/swap", vec![0; 4 * MIB]);
    lab::set_mode(&swap, 0o600);
    lab::succeed(Command::new("mkswap").arg("-q").arg(&swap));
    lab::succeed(Command::new("swapon").arg(&swap));
    let before = fs::read(&swap);
    let done = lab.lanesync("blocks src disk/swap").go();
    let after = fs::read(&swap);
    lab::succeed(Command::new("swapoff").arg(&swap));
    done.expect(3).complains(&["disk/swap", "is swapped to", "--allow=in-use"]);
    assert!(before.unwrap() == after.unwrap(), "it was written to");
    lab.lanesync("blocks src disk/swap").go().expect(0);
}
