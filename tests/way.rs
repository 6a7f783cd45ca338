//! What goes over the way between two hosts, how fast, and what becomes of a run when nothing goes.
//!
//! A stand-in for the remote shell runs the command on this host and keeps what either side says.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LANESYNC: &str = env!("CARGO_BIN_EXE_lanesync");

/// Bytes that each side said are in `there` (to the agent) and `here`.
const KEEPS_ALL: &str = r#"sh -c 'shift; tee there | sh -c "$*" | tee here' stand-in"#;

/// After half a megabyte in either direction the way is dead, and nobody is told, until the test is over.
const DIES: &str = r#"sh -c 'shift; dies() { stdbuf -o0 head -c 500000; while [ -e s ]; do sleep 1; done; }; dies | sh -c "$*" | dies' stand-in"#;

struct Scratch(tempfile::TempDir);

impl Scratch {
    /// With these files in `s`.
    fn new(files: &[(&str, &[u8])]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = scratch.path().join("s").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self(scratch)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, shell: &str, words: &[&str]) -> Command {
        let mut command = Command::new(LANESYNC);
        // What a further lane carries is not kept, and does not die with the way.
        command.args(["-r", "-e", shell, "--agent-path", LANESYNC, "--lane-kind=ssh"]).args(words);
        command
            .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22")
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Copies, and checks that all came over; says how much either side said.
    #[track_caller]
    fn copied(&self, words: &[&str]) -> (u64, u64) {
        let output = self.command(KEEPS_ALL, words).output().unwrap();
        succeeded(&output);
        for entry in fs::read_dir(self.path().join("s")).unwrap() {
            let name = entry.unwrap().file_name();
            let read = |dir: &str| fs::read(self.path().join(dir).join(&name)).unwrap();
            assert!(read("s") == read("d"), "{}", name.display());
        }
        fs::remove_dir_all(self.path().join("d")).unwrap();
        let said = |name: &str| fs::metadata(self.path().join(name)).unwrap().len();
        (said("there"), said("here"))
    }
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Bytes in which nothing comes twice.
fn noise(length: u32) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

fn log(length: usize) -> Vec<u8> {
    let line = |number: usize| format!("line {number}: all is well\n").into_bytes();
    (0..).flat_map(line).take(length).collect()
}

#[test]
fn what_shrinks_is_sent_short_in_both_directions() {
    const LENGTH: u64 = 3_000_000;
    let scratch = Scratch::new(&[("log", &log(3_000_000)), ("noise", &noise(100_000))]);
    let (there, _) = scratch.copied(&["s/", "h:d"]);
    assert!(there > LENGTH, "without -z: {there}");
    let (there, _) = scratch.copied(&["-z", "s/", "h:d"]);
    assert!((100_000..LENGTH / 3).contains(&there), "pushed {there}");
    let (_, here) = scratch.copied(&["-z", "h:s/", "d"]);
    assert!((100_000..LENGTH / 3).contains(&here), "pulled {here}");
    let (_, lz4) = scratch.copied(&["--compress-choice=lz4", "h:s/", "d"]);
    assert!((here + 1..LENGTH / 2).contains(&lz4), "LZ4: {lz4}, zstd: {here}");
    let (_, hard) = scratch.copied(&["-z", "--compress-level=19", "h:s/", "d"]);
    assert!(hard < here, "level 19: {hard}, level 3: {here}");
}

#[test]
fn what_is_compressed_already_or_does_not_shrink_costs_nothing() {
    const LENGTH: u64 = 2_000_000;
    let scratch = Scratch::new(&[("a.gz", &log(2_000_000))]);
    let (there, here) =
        (scratch.copied(&["-z", "s/", "h:d"]).0, scratch.copied(&["-z", "h:s/", "d"]).1);
    assert!(there > LENGTH && here > LENGTH, "it has a suffix that is left out: {there}, {here}");
    let (there, _) = scratch.copied(&["-z", "--skip-compress=xz", "s/", "h:d"]);
    assert!(there < LENGTH / 3, "the suffix is not left out: {there}");
    // Such files come whole: of a longer one a part may be asked for twice.
    let noise = noise(200_000);
    let scratch = Scratch::new(&["a", "b", "c", "d"].map(|name| (name, &*noise)));
    let (plain, packed) =
        (scratch.copied(&["s/", "h:d"]).0, scratch.copied(&["-z", "s/", "h:d"]).0);
    assert!(packed < plain + plain / 100, "{packed} instead of {plain}");
}

/// What all lanes of a run carried together, as it says itself.
#[track_caller]
fn carried_over_lanes(scratch: &Scratch, words: &[&str]) -> u64 {
    let mut command = scratch.command(KEEPS_ALL, words);
    let output = command.args(["--lane-kind=tcp", "--lanes=3", "--stats"]).output().unwrap();
    succeeded(&output);
    let told = String::from_utf8(output.stdout).unwrap();
    let count = |line: &str| {
        let digits = line.split_once(": ").unwrap().1.replace(',', "");
        digits.parse::<u64>().unwrap()
    };
    let totals = told.lines().filter(|line| line.starts_with("Total bytes "));
    let counts: Vec<_> = totals.map(count).collect();
    assert_eq!(counts.len(), 2, "{told}");
    fs::remove_dir_all(scratch.path().join("d")).unwrap();
    counts.iter().sum()
}

#[test]
fn over_further_lanes_it_is_compressed_where_that_pays_too() {
    const LENGTH: u64 = 3_000_000;
    let shrinks = Scratch::new(&[("log", &log(3_000_000))]);
    let noise = noise(500_000);
    let does_not = Scratch::new(&["a", "b", "c", "d", "e", "f"].map(|name| (name, &*noise)));
    for places in [["s/", "h:d"], ["h:s/", "d"]] {
        let carried =
            |scratch, words: &[&str]| carried_over_lanes(scratch, &[words, &places[..]].concat());
        assert!(carried(&shrinks, &[]) > LENGTH);
        assert!(carried(&shrinks, &["-z"]) < LENGTH / 3);
        assert!(carried(&shrinks, &["--zc=lz4"]) < LENGTH / 2);
        let (plain, packed) = (carried(&does_not, &[]), carried(&does_not, &["-z"]));
        assert!(packed < plain + plain / 100, "{packed} instead of {plain}");
    }
}

#[test]
fn a_rate_is_kept_in_both_directions() {
    // Half a second's worth at each end may still be under way, or have been free.
    let scratch = Scratch::new(&[("noise", &noise(200_000)), ("more", &noise(10_000))]);
    for words in [["--bwlimit=100", "s/", "h:d"], ["--bwlimit=100", "h:s/", "d"]] {
        let begun = Instant::now();
        scratch.copied(&words);
        assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
        let begun = Instant::now();
        scratch.copied(&[&words[..], &["--lane-kind=tcp", "--lanes=4"]].concat());
        assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    scratch.copied(&["--bwlimit=00:00,100 23:59,100", "s/", "h:d"]);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
}

/// With the rate that it begins with it would take most of an hour.
#[track_caller]
fn goes_on_at_another_rate(mut command: Command, scratch: &Scratch) {
    let rate = scratch.path().join("rate");
    fs::write(&rate, "1\n").unwrap();
    let mut run = command.stderr(Stdio::null()).spawn().unwrap();
    while !scratch.path().join("d").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    fs::write(&rate, "0\n").unwrap();
    assert!(run.wait().unwrap().success());
    assert!(fs::read(scratch.path().join("d/noise")).unwrap() == noise(3_000_000));
    fs::remove_dir_all(scratch.path().join("d")).unwrap();
}

#[test]
fn a_rate_is_changed_while_it_is_kept() {
    let scratch = Scratch::new(&[("noise", &noise(3_000_000))]);
    for words in [["--bwlimit=@rate", "s/", "h:d"], ["--bwlimit=@rate", "h:s/", "d"]] {
        goes_on_at_another_rate(scratch.command(KEEPS_ALL, &words), &scratch);
    }
    let mut here = Command::new(LANESYNC);
    here.args(["-r", "--bwlimit=@rate", "s/", "d"]).current_dir(scratch.path());
    goes_on_at_another_rate(here, &scratch);
}

#[test]
fn a_timetable_holds_on_one_host_too() {
    let scratch = Scratch::new(&[("noise", &noise(200_000))]);
    let begun = Instant::now();
    let words = ["-r", "--bwlimit=00:00,100 23:59,100", "s/", "d"];
    let output = Command::new(LANESYNC).args(words).current_dir(scratch.path()).output().unwrap();
    succeeded(&output);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
}

/// A run whose way dies is stopped by a signal; if it did not heed that it would wait for an hour.
#[track_caller]
fn ends_when_told_to(words: &[&str]) {
    let scratch = Scratch::new(&[("noise", &noise(20_000_000))]);
    let words = [&["--timeout=3600"], words].concat();
    let mut command = scratch.command(DIES, &words);
    let mut run = command.stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
    // What has come over by then lies in a staging file, and there it stays.
    let is_stuck = || {
        let size = || {
            let dir = fs::read_dir(scratch.path().join("d"));
            let entries = dir.into_iter().flatten().filter_map(Result::ok);
            entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>()
        };
        let before = size();
        thread::sleep(Duration::from_millis(500));
        size() == before
    };
    thread::sleep(Duration::from_secs(1));
    while !is_stuck() {}
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let status = run.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(20), None));
    let left = fs::read_dir(scratch.path().join("d")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no staging file is left");
}

#[test]
fn a_pull_over_a_dead_way_ends_when_told_to() {
    ends_when_told_to(&["h:s/", "d"]);
}

#[test]
fn a_push_over_a_dead_way_ends_when_told_to() {
    let scratch = Scratch::new(&[("noise", &noise(20_000_000))]);
    let mut command = scratch.command(DIES, &["--timeout=3600", "s/", "h:d"]);
    let mut run = command.stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(20));
}

#[test]
fn an_agent_that_does_not_start_is_not_waited_for() {
    let scratch = Scratch::new(&[]);
    let slow = "sh -c 'exec sleep 1000' stand-in";
    let words = ["-r", "-e", slow, "--contimeout=1", "s/", "h:d"];
    let output = Command::new(LANESYNC).args(words).current_dir(scratch.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(30), "{said}");
    assert!(said.contains("no agent runs on h after 1 s"), "{said}");
}

#[test]
fn both_sides_give_signs_of_life_as_often_as_the_shorter_patience_asks() {
    // The way is idle for longer than either side waits: ten seconds' worth go in one frame.
    let scratch = Scratch::new(&[("noise", &noise(30_000))]);
    let words = ["--timeout=2", "--bwlimit=5", "h:s/", "d"];
    let output = scratch.command(KEEPS_ALL, &words).output().unwrap();
    succeeded(&output);
}

/// Dies once after half a megabyte, and not again.
const DIES_ONCE: &str = r#"sh -c 'shift; if [ -e died ]; then exec sh -c "$*"; fi; touch died; sh -c "$*" | stdbuf -o0 head -c 500000' stand-in"#;

#[test]
fn a_session_that_is_lost_is_had_again_and_the_job_goes_on() {
    for words in [["s/", "h:d"], ["h:s/", "d"]] {
        let content = noise(400_000);
        let files = [("a", &*content), ("b", &*content), ("c", &*content), ("d", &*content)];
        let scratch = Scratch::new(&files);
        let output = scratch.command(DIES_ONCE, &words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if words[0] == "h:s/" {
            assert_eq!(output.status.code(), Some(12), "without --reconnect: {said}");
            fs::remove_file(scratch.path().join("died")).unwrap();
            fs::remove_dir_all(scratch.path().join("d")).unwrap();
        }
        let words = [&["--reconnect=1m"], &words[..]].concat();
        let output = scratch.command(DIES_ONCE, &words).output().unwrap();
        succeeded(&output);
        for (name, content) in files {
            assert!(fs::read(scratch.path().join("d").join(name)).unwrap() == content, "{name}");
        }
    }
}

/// Once, after some megabytes to the agent, ends for who called it, and not for the agent: that hears of
/// it when there is a file `go`, and when it has ended there is one `gone`.
const DIES_UNHEARD: &str = r#"sh -c 'shift
if [ -e died ]; then exec sh -c "$*"; fi
touch died
exec 2>/dev/null 3<&0
{ stdbuf -o0 head -c 2500000 <&3; touch cut; until [ -e go ]; do sleep 0.1; done; } |
  { sh -c "$*"; touch gone; } |
  { exec 4<&0; cat <&4 & until [ -e cut ]; do sleep 0.1; done; kill $!; exec >&-; until [ -e go ]; do sleep 0.1; done; } &
exec 3<&-
until [ -e cut ]; do sleep 0.1; done' stand-in"#;

#[test]
fn what_is_cut_off_takes_nothing_back_from_what_took_its_place() {
    for partial in ["--partial", "--partial-dir=parts"] {
        let content = noise(3_000_000);
        let scratch = Scratch::new(&[("big", &content)]);
        let words = ["--reconnect=1m", partial, "s/", "h:d"];
        let output = scratch.command(DIES_UNHEARD, &words).output().unwrap();
        succeeded(&output);
        assert!(scratch.path().join("died").exists() && !scratch.path().join("gone").exists());
        fs::write(scratch.path().join("go"), "").unwrap();
        while !scratch.path().join("gone").exists() {
            thread::sleep(Duration::from_millis(50));
        }
        assert!(fs::read(scratch.path().join("d/big")).unwrap() == content);
        assert_eq!(fs::read_dir(scratch.path().join("d")).unwrap().count(), 1);
    }
}

/// Ends once after some megabytes in either direction; after that it keeps what is said.
const BREAKS_ONCE: &str = r#"sh -c 'shift
if [ -e broke ]; then tee there | sh -c "$*" | tee here; exit; fi
touch broke
stdbuf -o0 head -c 10000000 | sh -c "$*" | stdbuf -o0 head -c 10000000' stand-in"#;

#[test]
fn of_a_file_that_was_on_its_way_what_is_there_is_not_sent_again() {
    for (words, sent) in [(["s/", "h:d"], "there"), (["h:s/", "d"], "here")] {
        let content = noise(12_000_000);
        let scratch = Scratch::new(&[("big", &content)]);
        let words = [&["--reconnect=1m"], &words[..]].concat();
        let output = scratch.command(BREAKS_ONCE, &words).output().unwrap();
        succeeded(&output);
        assert!(fs::read(scratch.path().join("d/big")).unwrap() == content);
        // What was asked for and had not all come is asked for again.
        let again = fs::metadata(scratch.path().join(sent)).unwrap().len();
        assert!(again < 9_500_000, "{sent}: {again}");
        assert_eq!(fs::read_dir(scratch.path().join("d")).unwrap().count(), 1, "no part is left");
    }
}

/// Breaks once, and cannot be had again.
const IS_GONE: &str = r#"sh -c 'shift
if [ -e broke ]; then echo >>tries; echo nobody is there >&2; exit 255; fi
touch broke
stdbuf -o0 head -c 500000 | sh -c "$*" | stdbuf -o0 head -c 500000' stand-in"#;

#[test]
fn what_cannot_be_had_again_is_given_up_in_time() {
    for words in [["s/", "h:d"], ["h:s/", "d"]] {
        let scratch = Scratch::new(&[("big", &noise(3_000_000))]);
        let words = [&["--reconnect=2"], &words[..]].concat();
        let output = scratch.command(IS_GONE, &words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(12), "as when it was lost: {said}");
        let tries = fs::read(scratch.path().join("tries")).unwrap().len();
        assert!((2..=4).contains(&tries), "{tries}: {said}");
        assert_eq!(said.matches("is lost; trying again").count(), 1, "{said}");
        assert!(!said.contains("going on with"), "{said}");
    }
}

#[test]
fn a_run_that_waits_for_a_session_ends_when_told_to() {
    let scratch = Scratch::new(&[("big", &noise(3_000_000))]);
    let mut command = scratch.command(IS_GONE, &["--reconnect=1h", "s/", "h:d"]);
    let mut run = command.stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
    while !scratch.path().join("tries").exists() {
        thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(20));
}

/// Ends each session soon after it has begun.
const DIES_SOON: &str = r#"sh -c 'shift; echo >>died; exec timeout -s KILL 1 sh -c "$*"' stand-in"#;

#[test]
fn a_host_that_ends_each_session_soon_is_given_up() {
    for paths in [["s/", "h:d"], ["h:s/", "d"]] {
        let scratch = Scratch::new(&[("f", &noise(100_000))]);
        let words = [&["--reconnect=2s", "--bwlimit=1"], &paths[..]].concat();
        let output = scratch.command(DIES_SOON, &words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(12), "{said}");
        assert!(fs::read(scratch.path().join("died")).unwrap().len() > 1, "{said}");
    }
}
