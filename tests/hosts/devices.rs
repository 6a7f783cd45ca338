//! Block devices as ends of a job on a tree whose other end lies on another host.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use super::blocks::SmallDisk;
use super::loop_device::LoopDevice;
use super::sshd::Sshd;
use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, noise};

const MIB: usize = 1 << 20;

struct Lab {
    hosts: Hosts,
    shell: String,
    _sshd: Option<Sshd>,
}

impl Lab {
    /// Hosts that are reached over ssh, or by a stand-in.
    fn new(over_ssh: bool) -> Self {
        let hosts = Hosts::new();
        let sshd = over_ssh.then(|| Sshd::start(hosts.path(), ""));
        let shell = sshd.as_ref().map_or_else(|| RUNS_IT_HERE.to_owned(), Sshd::shell);
        Self { hosts, shell, _sshd: sshd }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.hosts.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, words: &[&str]) -> Output {
        let agent = format!("--agent-path={LANESYNC}");
        self.hosts.run(&self.shell, &[&[agent.as_str(), "--json"], words].concat())
    }

    /// Runs it well; says how much was written, matched, and sent to and fro.
    #[track_caller]
    fn bring(&self, words: &[&str]) -> [u64; 3] {
        let output = self.run(words);
        check(&output, 0, "");
        let told = String::from_utf8(output.stdout).unwrap();
        let last = told.lines().last().unwrap();
        let number = |field: &str| -> u64 {
            let (_, rest) = last.split_once(&format!("\"{field}\":")).expect(field);
            rest.split([',', '}']).next().unwrap().parse().unwrap()
        };
        let wire_bytes = number("sent_bytes") + number("received_bytes");
        [number("written_bytes"), number("matched_bytes"), wire_bytes]
    }
}

/// Both ways over ssh, and from one host to another.
const WAYS: [(&str, &str, bool); 4] =
    [("", "server:", true), ("server:", "", true), ("", "h:", false), ("h:", "i:", false)];

#[test]
fn only_what_differs_goes_to_a_device_of_another_host_or_from_one() {
    for (at_source, at_target, over_ssh) in WAYS {
        let lab = Lab::new(over_ssh);
        let mut new = noise(8 * MIB, 1);
        new[MIB..3 * MIB].fill(0);
        let mut old = new.clone();
        old[2 * MIB..3 * MIB].fill(7);
        for at in [9, 5 * MIB] {
            old[at] = !old[at];
        }
        let source = LoopDevice::over(&lab.write("one", &new), &["--read-only"]);
        let target = LoopDevice::over(&lab.write("two", &old), &[]);
        let (from, to) =
            (format!("{at_source}{}", source.path), format!("{at_target}{}", target.path));
        let words = ["-I", "--copy-devices", "--write-devices", &from, &to];
        let [written, matched, sent] = lab.bring(&words);
        target.flush();
        assert!(fs::read(lab.hosts.path().join("two")).unwrap() == new, "{from} {to}");
        assert_eq!((written, matched), (2 * 4096, (7 * MIB - 2 * 4096) as u64));
        assert!(sent < 200_000, "{sent}");
        let [written, matched, sent] = lab.bring(&words);
        assert_eq!((written, matched), (0, 8 * MIB as u64));
        assert!(sent < 100_000, "{sent}");
    }
}

#[test]
fn a_device_of_another_host_becomes_a_file_that_is_made_of_the_old_one() {
    for (at_source, at_target, over_ssh) in WAYS {
        let lab = Lab::new(over_ssh);
        let mut bytes = noise(8 * MIB, 1);
        bytes[MIB..5 * MIB].fill(0);
        let source = LoopDevice::over(&lab.write("one", &bytes), &[]);
        let copy = lab.hosts.path().join("copy");
        let (from, to) = (format!("{at_source}{}", source.path), format!("{at_target}copy"));
        let words = ["--copy-devices", &from, &to];
        lab.bring(&words);
        assert!(fs::read(&copy).unwrap() == bytes, "{from} {to}");
        assert!(fs::metadata(&copy).unwrap().blocks() * 512 <= 4 * MIB as u64 + 8192);
        let before = fs::metadata(&copy).unwrap().ino();
        bytes[6 * MIB] = !bytes[6 * MIB];
        let device = File::options().write(true).open(&source.path).unwrap();
        device.write_all_at(&bytes[6 * MIB..=6 * MIB], 6 * MIB as u64).unwrap();
        device.sync_all().unwrap();
        let [_, matched, sent] = lab.bring(&words);
        assert!(fs::read(&copy).unwrap() == bytes, "{from} {to}");
        assert_ne!(fs::metadata(&copy).unwrap().ino(), before);
        assert_eq!(matched, (8 * MIB - 4096) as u64);
        assert!(sent < 200_000, "{sent}");
    }
}

#[test]
fn a_file_is_written_to_a_device_of_another_host_or_refused_there() {
    for (at_source, at_target, over_ssh) in WAYS {
        let lab = Lab::new(over_ssh);
        let (new, old) = (noise(3 * MIB + 77, 1), noise(4 * MIB, 2));
        lab.write("src", &new);
        let target = LoopDevice::over(&lab.write("two", &old), &[]);
        let (from, to) = (format!("{at_source}src"), format!("{at_target}{}", target.path));
        let words = ["--write-devices", &from, &to];
        {
            let _upper = LoopDevice::over(&target.path, &[]);
            check(&lab.run(&words), 23, "is used by loop");
            check(&lab.run(&[&["-n"], &words[..]].concat()), 23, "is used by loop");
        }
        lab.write("src", &noise(4 * MIB + 1, 3));
        check(&lab.run(&words), 23, "nothing was written");
        target.flush();
        assert!(fs::read(lab.hosts.path().join("two")).unwrap() == old, "{from} {to}");
        for bytes in [new.len(), 100, 0] {
            lab.write("src", &new[..bytes]);
            lab.bring(&words);
            target.flush();
            let wanted = [&new[..], &old[new.len()..]].concat();
            assert!(fs::read(lab.hosts.path().join("two")).unwrap() == wanted, "{from} {to}");
        }
    }
}

#[test]
fn of_an_old_file_no_more_is_kept_than_the_new_one_has_place_for() {
    for (at_source, at_target, over_ssh) in WAYS {
        if at_source.is_empty() {
            continue;
        }
        let lab = Lab::new(over_ssh);
        let disk = SmallDisk::at(lab.hosts.path().join("small"), 12 * MIB);
        let bytes = noise(2 * MIB, 1);
        let source = LoopDevice::over(&lab.write("one", &bytes), &[]);
        let copy = lab.write("small/copy", &noise(8 * MIB, 1));
        let from = format!("{at_source}{}", source.path);
        let [_, matched, sent] =
            lab.bring(&["--copy-devices", &from, &format!("{at_target}{copy}")]);
        assert!(fs::read(&copy).unwrap() == bytes, "{from}");
        assert_eq!(matched, 2 * MIB as u64);
        assert!(sent < 200_000, "{sent}");
        drop(disk);
    }
}

#[test]
fn a_device_without_bytes_of_another_host_becomes_an_empty_file() {
    for (at_source, at_target, over_ssh) in WAYS {
        let lab = Lab::new(over_ssh);
        let source = LoopDevice::over(&lab.write("one", &[]), &[]);
        let copy = lab.write("copy", &noise(MIB, 1));
        let (from, to) = (format!("{at_source}{}", source.path), format!("{at_target}{copy}"));
        lab.bring(&["--copy-devices", &from, &to]);
        assert_eq!(fs::read(&copy).unwrap(), b"", "{from} {to}");
    }
}

#[test]
fn a_device_that_changes_all_the_time_is_not_begun_anew() {
    const RUNS_AT_MOST: usize = 30;

    for (at_source, at_target, over_ssh) in WAYS {
        if at_source.is_empty() {
            continue;
        }
        let lab = Lab::new(over_ssh);
        let source = LoopDevice::over(&lab.write("one", &noise(8 * MIB, 1)), &[]);
        let (from, to) = (format!("{at_source}{}", source.path), format!("{at_target}copy"));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (device, is_over) = (&source.path, &is_over);
                scope.spawn(move || {
                    let device = File::options().write(true).open(device).unwrap();
                    for round in 0_u64.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        device.write_all_at(&round.to_le_bytes(), writer * (2 << 20)).unwrap();
                    }
                });
            }
            // It may have held still for just as long as it takes.
            let mut runs =
                (0..RUNS_AT_MOST).map(|_| lab.run(&["-I", "--copy-devices", &from, &to]));
            let failed = runs.find(|output| !output.status.success());
            is_over.store(true, Ordering::Relaxed);
            let failed = failed.expect("it held still each time");
            check(&failed, 23, "source: read");
            assert!(!String::from_utf8_lossy(&failed.stderr).contains("three times"), "{failed:?}");
        });
    }
}
