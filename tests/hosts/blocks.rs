//! Images between hosts: all ways, over ssh and a stand-in, and what goes wrong on them.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::loop_device::LoopDevice;
use super::sshd::Sshd;
use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, noise};

/// What stays of a run, and what does not.
#[path = "blocks_left.rs"]
mod left;

/// What is cut off and gone on with.
#[path = "blocks_resumed.rs"]
mod resumed;

/// Content that lies elsewhere.
#[path = "blocks_shifted.rs"]
mod shifted;

/// Names, and what is said.
#[path = "blocks_told.rs"]
mod told;

const MIB: usize = 1 << 20;

/// From and to, of each way that two ends can lie.
const WAYS: [[&str; 2]; 3] = [["src", "h:dst"], ["h:src", "dst"], ["h:src", "i:dst"]];

/// A folder in which all hosts are at home.
struct Lab {
    hosts: Hosts,
    shell: String,
}

impl Lab {
    fn new() -> Self {
        Self { hosts: Hosts::new(), shell: RUNS_IT_HERE.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.hosts.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(LANESYNC);
        let agent = format!("--agent-path=echo $$ >> pids; exec {LANESYNC}");
        command
            .args(["blocks", "-e", &self.shell, &agent])
            .args(words)
            .current_dir(self.hosts.path())
            .env("HOME", self.hosts.path())
            .env_remove("SSH_CONNECTION")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs it well; what it tells at the end.
    #[track_caller]
    fn bring(&self, words: &[&str]) -> Summary {
        let output = self.run(&[&["--json"], words].concat());
        check(&output, 0, "");
        Summary(String::from_utf8(output.stdout).unwrap().lines().last().unwrap().to_owned())
    }

    /// Waits until the agents are gone that were started.
    fn wait_for_agents(&self) {
        for pid in fs::read_to_string(self.path("pids")).unwrap().lines() {
            while PathBuf::from("/proc").join(pid).join("exe").exists() {
                thread::yield_now();
            }
        }
    }

    /// A run that takes long, when it has begun to write.
    fn begin(&self, words: &[&str], old: &[u8]) -> Child {
        let run = self.command(words).stderr(Stdio::piped()).spawn().unwrap();
        while self.read("dst") == old {
            thread::sleep(Duration::from_millis(5));
        }
        run
    }
}

/// The last record of a run.
struct Summary(String);

impl Summary {
    fn number(&self, field: &str) -> u64 {
        let (_, rest) = self.0.split_once(&format!("\"{field}\":")).expect(field);
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    }

    /// What went over the wire, in both directions.
    fn wire_bytes(&self) -> u64 {
        self.number("sent_bytes") + self.number("received_bytes")
    }

    fn has_root_of(&self, image: &[u8]) -> bool {
        self.0.contains(&format!("\"blake3\":\"{}\"", blake3::hash(image)))
    }
}

/// An image in which every so many blocks one is another.
fn changed(old: &[u8], every: usize) -> Vec<u8> {
    let mut new = old.to_vec();
    for at in (1000..new.len()).step_by(every * 4096) {
        new[at] = !new[at];
    }
    new
}

#[test]
fn over_ssh_an_image_goes_every_way_and_only_what_changed() {
    for [from, to] in WAYS {
        let mut lab = Lab::new();
        let sshd = Sshd::start(lab.hosts.path(), "");
        lab.shell = sshd.shell();
        let mut new = noise(9 * MIB + 4321, 1);
        new[2 * MIB..5 * MIB].fill(0);
        lab.write("src", &new);
        let made = lab.bring(&["--truncate", from, to]);
        assert!(lab.read("dst") == new && made.has_root_of(&new), "{from} {to}");
        let allocated = |name| fs::metadata(lab.path(name)).unwrap().blocks() * 512;
        assert!(allocated("dst") <= 6 * MIB as u64 + 8192, "zeros take no room");
        assert_eq!(made.number("written_bytes"), 6 * MIB as u64 + 4321);
        for at in [5, 7 * MIB, 9 * MIB + 4320] {
            new[at] = !new[at];
        }
        lab.write("src", &new);
        let again = lab.bring(&[from, to]);
        assert!(lab.read("dst") == new && again.has_root_of(&new), "{from} {to}");
        assert_eq!(again.number("written_bytes"), 2 * 4096 + 225);
        assert!(again.wire_bytes() < 25_000, "{}", again.0);
        lab.wait_for_agents();
    }
}

#[test]
fn little_goes_over_the_wire() {
    /// What a session takes for itself.
    const SESSION_BYTES: u64 = 4000;
    let lab = Lab::new();
    let old = noise(64 * MIB, 1);
    for [from, to] in WAYS {
        lab.write("src", &old);
        lab.write("dst", &old);
        let same = lab.bring(&[from, to]).wire_bytes();
        // 40 KB for each GiB.
        assert!(same <= 40_000 / 16 + SESSION_BYTES, "{same}");
        let new = changed(&old, 100);
        lab.write("src", &new);
        let one_percent = lab.bring(&[from, to]);
        let written = one_percent.number("written_bytes");
        assert_eq!(written, (64 * MIB).div_ceil(100 * 4096) as u64 * 4096);
        let most = written * 115 / 100 + SESSION_BYTES;
        assert!(one_percent.wire_bytes() <= most, "{}", one_percent.0);
        assert!(lab.read("dst") == new);
    }
    // One block of ten has something in it.
    let mut zeros = old;
    for (number, block) in zeros.chunks_mut(4096).enumerate() {
        if number % 10 > 0 {
            block.fill(0);
        }
    }
    lab.write("src", &zeros);
    for [from, to] in WAYS {
        fs::remove_file(lab.path("dst")).unwrap();
        let new = lab.bring(&["--truncate", from, to]);
        let written = new.number("written_bytes");
        assert!(lab.read("dst") == zeros && written <= 64 * MIB as u64 / 10 + 4096);
        assert!(new.wire_bytes() <= written * 1001 / 1000 + SESSION_BYTES, "{}", new.0);
    }
}

#[test]
fn devices_of_other_hosts_are_read_written_and_give_room_back() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let mut new = noise(8 * MIB, 1);
        new[MIB..7 * MIB].fill(0);
        let (source, target) = (lab.write("one", &new), lab.write("two", &noise(8 * MIB, 2)));
        let source = LoopDevice::over(source.to_str().unwrap(), &["--read-only"]);
        let device = LoopDevice::over(target.to_str().unwrap(), &[]);
        let (from, to) = (from.replace("src", &source.path), to.replace("dst", &device.path));
        let done = lab.bring(&["--verify", &from, &to]);
        device.flush();
        assert!(lab.read("two") == new && done.has_root_of(&new), "{from} {to}");
        assert_eq!(done.number("cleared_bytes"), 6 * MIB as u64);
        assert!(fs::metadata(&target).unwrap().blocks() * 512 < 3 * MIB as u64);
        let again = lab.bring(&["--verify=all", &from, &to]);
        assert_eq!(again.number("equal_bytes"), 8 * MIB as u64);
        assert_eq!(again.number("verified_bytes"), 8 * MIB as u64);
    }
}

#[test]
fn what_is_refused_here_is_refused_there_before_anything_is_written() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &noise(4 * MIB, 1));
        let target = lab.write("dst", &noise(3 * MIB, 2));
        let refused = |words: &[&str], why: &str| {
            check(&lab.run(words), 3, why);
            assert!(lab.read("dst") == noise(3 * MIB, 2), "{words:?}");
        };
        refused(&[from, to], "--ignore-size");
        refused(&[&from.replace("src", "none"), to], "No such file");
        refused(&[from, &to.replace("dst", "none")], "--truncate makes a file");
        assert!(!lab.path("none").exists());
        refused(&["--truncate", from, &to.replace("dst", "/dev/none")], "new file below /dev");
        refused(&["--truncate", "--dry-run", from, &to.replace("dst", "s")], "Is a directory");
        // One kernel runs all of these hosts.
        refused(&[&from.replace("src", "dst"), to], "are the same");
        let device = LoopDevice::over(target.to_str().unwrap(), &[]);
        refused(&["--truncate", from, to], "is used by loop");
        let at = to.replace("dst", &device.path);
        refused(&["--ignore-size", &from.replace("src", "dst"), &at], "bytes in common");
        lab.write("undo", b"old");
        drop(device);
        refused(&["--truncate", "--undo=undo", from, to], "is there already");
        let dry = lab.bring(&["--truncate", "--dry-run", "--undo=new", from, to]);
        assert_eq!(dry.number("written_bytes"), 4 * MIB as u64);
        assert!(lab.read("dst") == noise(3 * MIB, 2) && !lab.path("new").exists());
        lab.wait_for_agents();
    }
}

#[test]
fn what_was_kept_takes_a_target_of_another_host_back() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let (new, old) = (noise(5 * MIB, 1), noise(6 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        lab.bring(&["--truncate", "--undo=undo", from, to]);
        assert!(lab.read("dst") == new);
        let back = Command::new(LANESYNC)
            .args(["blocks", "--apply-undo=undo", "dst"])
            .current_dir(lab.hosts.path())
            .output();
        check(&back.unwrap(), 0, "");
        assert!(lab.read("dst") == old);
    }
}

#[test]
fn only_ranges_that_are_said_to_have_changed_are_asked_about() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let old = noise(64 * MIB, 1);
        let mut new = old.clone();
        new[40 * MIB] = !new[40 * MIB];
        lab.write("src", &new);
        lab.write("dst", &old);
        lab.write("ranges", format!("{} 4096\n", 40 * MIB).as_bytes());
        let done = lab.bring(&["--changed-ranges=ranges", from, to]);
        assert!(lab.read("dst") == new);
        assert_eq!(done.number("skipped_bytes"), 60 * MIB as u64);
        assert!(done.wire_bytes() < 12_000, "{}", done.0);
    }
}

#[test]
fn a_source_that_changes_meanwhile_is_told() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let (new, old) = (noise(16 * MIB, 1), noise(16 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        let run = lab.begin(&["--bwlimit=4m", from, to], &old);
        File::options().write(true).open(lab.path("src")).unwrap().set_len(MIB as u64).unwrap();
        let output = run.wait_with_output().unwrap();
        check(&output, 23, "it changed while it was read");
        lab.wait_for_agents();
        lab.write("src", &new);
        lab.bring(&[from, to]);
        assert!(lab.read("dst") == new);
    }
}

/// What can hold no more than this.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn at(path: PathBuf, bytes: usize) -> Self {
        fs::create_dir(&path).unwrap();
        let size = format!("-osize={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", &size, "none"]).arg(&path).status();
        assert!(mounted.unwrap().success());
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn a_disk_that_is_full_ends_all_at_once() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        lab.write("src", &noise(32 * MIB, 1));
        let disk = SmallDisk::at(lab.path("small"), 2 * MIB);
        let to = to.replace("dst", "small/dst");
        let begun = Instant::now();
        // All of it would take half a minute.
        let output = lab.run(&["--truncate", "--bwlimit=1m", from, &to]);
        check(&output, 11, "No space left on device");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        drop(disk);
        lab.wait_for_agents();
    }
}

#[test]
fn a_signal_or_a_kill_ends_all_and_the_next_run_finishes_it() {
    for [from, to] in WAYS {
        for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
            let lab = Lab::new();
            let (new, old) = (noise(16 * MIB, 1), noise(16 * MIB, 2));
            lab.write("src", &new);
            lab.write("dst", &old);
            let mut run = lab.begin(&["--bwlimit=2m", from, to], &old);
            let sent = Instant::now();
            kill_process(Pid::from_child(&run), signal).unwrap();
            let code = (signal != Signal::KILL).then_some(20);
            assert_eq!(run.wait().unwrap().code(), code, "{from} {to}");
            assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
            lab.wait_for_agents();
            lab.bring(&[from, to]);
            assert!(lab.read("dst") == new);
        }
    }
}

#[test]
fn an_agent_that_is_killed_is_an_error() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let (new, old) = (noise(16 * MIB, 1), noise(16 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        let run = lab.begin(&["--bwlimit=2m", from, to], &old);
        let pids = fs::read_to_string(lab.path("pids")).unwrap();
        let agent = pids.lines().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(agent).unwrap(), Signal::KILL).unwrap();
        let begun = Instant::now();
        check(&run.wait_with_output().unwrap(), 12, "the agent on h");
        assert!(begun.elapsed() < Duration::from_secs(10));
        lab.wait_for_agents();
        lab.bring(&[from, to]);
        assert!(lab.read("dst") == new);
    }
}

/// A job goes on in another session where the first one is lost.
#[test]
fn a_session_that_is_lost_is_had_again() {
    for [from, to] in [["src", "h:dst"], ["h:src", "dst"]] {
        let mut lab = Lab::new();
        let sshd = Sshd::start(lab.hosts.path(), "");
        let wire = sshd.wire();
        lab.shell = sshd.shell();
        let (new, old) = (noise(8 * MIB, 1), noise(8 * MIB, 2));
        lab.write("src", &new);
        lab.write("dst", &old);
        let run = lab.begin(&["--bwlimit=4m", "--reconnect=1m", from, to], &old);
        wire.cut();
        check(&run.wait_with_output().unwrap(), 0, "the agent on h");
        assert!(lab.read("dst") == new);
    }
}

#[test]
fn what_is_compared_by_a_shorter_digest_is_right_as_well() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let mut new = noise(9 * MIB + 5, 1);
        new[3 * MIB..5 * MIB].fill(0);
        lab.write("src", &new);
        lab.write("dst", &changed(&noise(9 * MIB + 5, 1), 50));
        let done = lab.bring(&["--hash=xxh3", "--verify=all", from, to]);
        assert!(lab.read("dst") == new && !done.0.contains("blake3"), "{from} {to}");
        assert_eq!(done.number("verified_bytes"), new.len() as u64);
        let again = lab.bring(&["--hash=xxh3", from, to]);
        assert_eq!(again.number("equal_bytes"), new.len() as u64);
    }
}

#[test]
fn lanes_and_compression_carry_images_as_well() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let new: Vec<u8> = (0..16 * MIB).map(|at| u8::from(at % 64 == 0) * 7).collect();
        lab.write("src", &new);
        let done = lab.bring(&["-z", "--truncate", from, to]);
        assert!(lab.read("dst") == new && done.has_root_of(&new));
        assert!(done.wire_bytes() < MIB as u64, "{}", done.0);
        fs::remove_file(lab.path("dst")).unwrap();
        let words = ["--json", "--truncate", "--lane-kind=tcp", "--lanes=2", from, to];
        let output =
            lab.command(&words).env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22").output().unwrap();
        check(&output, 0, "");
        assert!(lab.read("dst") == new);
    }
}

#[test]
fn a_sparse_image_takes_no_time_and_stays_sparse() {
    for [from, to] in WAYS {
        let lab = Lab::new();
        let source = File::create(lab.path("src")).unwrap();
        source.set_len(64 << 30).unwrap();
        source.write_all_at(&noise(3 * MIB, 1), 40 << 30).unwrap();
        // What ext4 has not written yet seems to have more around it than it has.
        source.sync_all().unwrap();
        let begun = Instant::now();
        let done = lab.bring(&["--truncate", from, to]);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_eq!(done.number("written_bytes"), 3 * MIB as u64);
        assert!(done.wire_bytes() < 3 * MIB as u64 + 20_000, "{}", done.0);
        let blocks = |name| fs::metadata(lab.path(name)).unwrap().blocks();
        assert_eq!(blocks("dst"), blocks("src"));
    }
}
