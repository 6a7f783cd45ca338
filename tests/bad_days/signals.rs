//! Signals: a decent end with 20, the summary, and nothing left behind; a pause does no harm.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{self, Lab, content};

/// Two big files and many small ones; at the pace of the tests they take half a minute.
fn trees(lab: &Lab) {
    lab.file("src/big", content(1, 48 << 20));
    lab.file("src/long", content(2, 12 << 20));
    for number in 0..300_u64 {
        lab.file(format!("src/dir{:02}/file{number:03}", number % 20), content(number, 2000));
    }
    lab.file("dst/big", content(3, 1 << 20));
    lab.file("dst/dir00/file000", "old");
    lab::age(&lab.path("src"));
    lab::age_by(&lab.path("dst"), -60_000);
}

fn interrupts(signal: Signal, options: &str) -> Lab {
    let lab = Lab::new();
    trees(&lab);
    let (old, new) = (lab::contents(&lab.path("dst")), lab::contents(&lab.path("src")));
    let line = format!("-a --bwlimit=2m --stats {options} src/ dst/");
    let names = lab::names(&lab.path("dst"));
    let mut run = lab.lanesync(&line).start();
    run.until("it began to write", || lab::names(&lab.path("dst")) != names);
    std::thread::sleep(Duration::from_millis(400));
    run.signal(signal);
    let done = run.wait().expect(20);
    assert!(done.stdout.contains("Number of files:"), "no summary: {done}");
    assert!(done.stderr.contains("code 20"), "it does not say why it ended: {done}");
    if !options.contains("--partial") {
        lab::assert_whole(&lab.path("dst"), &old, &new);
    }
    lab
}

/// The next run completes the tree.
fn goes_on(lab: &Lab, options: &str) {
    lab.lanesync(&format!("-a --delete {options} src/ dst/")).go().expect(0);
    lab.assert_same("src", "dst");
}

#[test]
fn ctrl_c_ends_the_run_decently() {
    goes_on(&interrupts(Signal::INT, ""), "");
    goes_on(&interrupts(Signal::INT, "--workers 1"), "");
}

/// As a script has it that starts a run with `&`.
#[test]
fn ctrl_c_ends_a_run_that_was_started_with_it_ignored() {
    for program in ["rsync", env!("CARGO_BIN_EXE_lanesync")] {
        let lab = Lab::new();
        lab.file("src/big", content(1, 8 << 20));
        let script = "\"$0\" -a --bwlimit=1m src/ dst/ & sleep 1; kill -INT $!; wait $!";
        let mut shell = std::process::Command::new("sh");
        let done = shell.args(["-c", script, program]).current_dir(lab.path("")).output().unwrap();
        assert_eq!(done.status.code(), Some(20), "{program}: {done:?}");
    }
}

#[test]
fn a_termination_ends_the_run_decently() {
    goes_on(&interrupts(Signal::TERM, ""), "");
    goes_on(&interrupts(Signal::TERM, "-H --workers 1"), "");
}

#[test]
fn a_hangup_ends_the_run_decently() {
    goes_on(&interrupts(Signal::HUP, ""), "");
    goes_on(&interrupts(Signal::HUP, "--delay-updates"), "--delay-updates");
}

#[test]
fn an_interrupted_run_keeps_the_partial_file_where_it_was_told_to() {
    for (options, kept) in [
        ("--partial", "big"),
        ("--partial --workers 1", "big"),
        ("--partial-dir=.part", ".part/big"),
    ] {
        // Only the one file, so that it is the one in work.
        let lab = Lab::new();
        let whole = content(1, 48 << 20);
        lab.file("src/big", &whole);
        lab::age(&lab.path("src"));
        let line = format!("-a --bwlimit=4m {options} src/ dst/");
        let run = lab.lanesync(&line).start();
        std::thread::sleep(Duration::from_millis(1500));
        run.signal(Signal::INT);
        let done = run.wait().expect(20);
        let at = lab.path("dst").join(kept);
        let part = fs::read(&at).unwrap_or_else(|error| panic!("{kept}: {error}: {done}"));
        assert!(!part.is_empty() && part.len() < whole.len(), "{} bytes were kept", part.len());
        // Whoever goes on with --append believes what is there.
        assert!(
            whole.starts_with(&part),
            "what was kept with {options} is not how the file begins"
        );
        goes_on(&lab, options);
    }
}

#[test]
fn an_interrupted_partial_file_is_completed_by_append_and_is_not_taken_for_newer() {
    for append in ["--append", "--append-verify", "-u --partial"] {
        let lab = Lab::new();
        let whole = content(1, 48 << 20);
        lab.file("src/big", &whole);
        let run = lab.lanesync("-a --bwlimit=4m --partial src/ dst/").start();
        std::thread::sleep(Duration::from_millis(1500));
        run.signal(Signal::TERM);
        run.wait().expect(20);
        let part = lab.path("dst/big").metadata().unwrap();
        assert_eq!((part.mtime(), part.mode() & 0o777), (0, 0o644), "as rsync leaves it");
        lab.lanesync(&format!("-a {append} src/ dst/")).go().expect(0);
        assert!(
            fs::read(lab.path("dst/big")).unwrap() == whole,
            "{append} called a torn file good"
        );
    }
}

#[test]
fn a_run_that_is_stopped_and_continued_many_times_completes() {
    for options in ["", "--workers 1"] {
        let lab = Lab::new();
        trees(&lab);
        let mut run =
            lab.lanesync(&format!("-aH --delete --bwlimit=40m {options} src/ dst/")).start();
        let mut pauses = 0;
        while !run.has_ended() {
            run.signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(20));
            run.signal(Signal::CONT);
            std::thread::sleep(Duration::from_millis(30));
            pauses += 1;
        }
        run.wait().expect(0);
        assert!(pauses > 3, "it was stopped {pauses} times only");
        lab.assert_same("src", "dst");
    }
}

#[test]
fn a_signal_during_a_long_deletion_ends_it() {
    let lab = Lab::new();
    lab.dir("src");
    for number in 0..200 {
        lab.file(format!("backing/dir{:02}/file{number:03}", number % 20), "x");
    }
    let config = testfs::Config {
        delay: Duration::from_millis(20),
        ..testfs::Config::new(lab.path("backing"))
    };
    let _mount = testfs::Mount::at(config, &lab.dir("dst")).unwrap();
    let mut run = lab.lanesync("-a --delete --stats src/ dst/").start();
    let count = || lab::names(&lab.path("backing")).len();
    run.until("something was removed", || count() < 215);
    run.signal(Signal::TERM);
    let done = run.wait().expect(20);
    assert!(count() > 50, "it went on to the end: {done}");
}

#[test]
fn a_signal_in_the_first_pass_leaves_the_destination_to_no_other() {
    let lab = Lab::new();
    for number in 0..200 {
        lab.file(format!("backing/dir{:02}/file{number:03}", number % 20), "x");
    }
    lab.file("dst/extra", "x");
    lab::set_mode(&lab.path("backing"), 0o711);
    lab::set_mode(&lab.path("dst"), 0o750);
    let config = testfs::Config {
        delay: Duration::from_millis(20),
        ..testfs::Config::new(lab.path("backing"))
    };
    let mount = testfs::Mount::at(config, &lab.dir("src")).unwrap();
    let before = fs::metadata(lab.path("dst")).unwrap();
    let mut run = lab.lanesync("-a --delete-before --stats src/ dst/").start();
    run.until("the source was listed", || mount.stats().operations > 30);
    run.signal(Signal::INT);
    let done = run.wait().expect(20);
    assert!(done.stdout.contains("Number of files:"), "no summary: {done}");
    let now = fs::metadata(lab.path("dst")).unwrap();
    let kept = |dir: &fs::Metadata| (dir.mode(), dir.mtime_nsec(), dir.ctime_nsec());
    assert_eq!(kept(&now), kept(&before), "{done}");
}

#[test]
fn a_shared_big_file_that_waits_for_its_rate_has_no_name_yet() {
    for options in ["", "--delay-updates"] {
        let lab = Lab::new();
        lab.mount_image("disk", "xfs", 320, &["-f"]);
        let big = content(1, 33 << 20);
        lab.file("disk/src/big", &big);
        lab.file("disk/dst/big", "old");
        let names = lab::names(&lab.path("disk/dst"));
        let line = format!("-a --bwlimit=1m {options} disk/src/ disk/dst/");
        let mut run = lab.lanesync(&line).start();
        run.until("it was begun", || lab::names(&lab.path("disk/dst")) != names);
        std::thread::sleep(Duration::from_millis(400));
        run.signal(Signal::INT);
        run.wait().expect(20);
        assert_eq!(lab::names(&lab.path("disk/dst")), names, "{options}");
        assert_eq!(fs::read(lab.path("disk/dst/big")).unwrap(), b"old", "{options}");
    }
}

/// A file that is nothing but a hole: copied at once, and read for as long as it takes.
fn hole(lab: &Lab, below: &str, gibibytes: u64) {
    fs::File::options()
        .write(true)
        .open(lab.file(below, ""))
        .unwrap()
        .set_len(gibibytes << 30)
        .unwrap();
}

#[test]
fn a_signal_ends_the_verification_of_a_big_file() {
    let lab = Lab::new();
    hole(&lab, "src/big", 24);
    lab.file("dst/big", "old");
    let names = lab::names(&lab.path("dst"));
    let mut run = lab.lanesync("-a --checksum-choice=md5 src/ dst/").start();
    let staging = || {
        let new = lab::names(&lab.path("dst")).difference(&names).next().cloned()?;
        fs::metadata(lab.path("dst").join(new)).ok()
    };
    run.until("it has its length", || staging().is_some_and(|it| it.len() == 24 << 30));
    std::thread::sleep(Duration::from_millis(400));
    run.signal(Signal::INT);
    run.wait().expect(20);
    assert_eq!(lab::names(&lab.path("dst")), names);
    assert_eq!(fs::read(lab.path("dst/big")).unwrap(), b"old");
}

#[test]
fn a_signal_ends_the_reading_for_a_checksum_that_is_told() {
    let lab = Lab::new();
    hole(&lab, "src/big", 96);
    let line = "-a --out-format=%C:%n src/big dst/";
    let mut run = lab.lanesync(line).start();
    run.until("it has its name", || lab.path("dst/big").exists());
    run.signal(Signal::INT);
    let done = run.wait().expect(20);
    let told = done.stdout.lines().find_map(|line| line.strip_suffix(":big"));
    assert_eq!(told.map(str::trim), Some(""), "it was read to the end: {done}");
}

#[test]
fn a_signal_ends_a_backup_that_is_copied_to_another_file_system() {
    for options in ["", "--delay-updates", "--inplace"] {
        let lab = Lab::new();
        lab.mount_tmpfs("old", "size=64m");
        let old = content(1, 40 << 20);
        lab.file("src/file", "new");
        lab.file("dst/file", &old);
        let line = format!("-a --bwlimit=1m -b --backup-dir=../old {options} src/ dst/");
        let mut run = lab.lanesync(&line).start();
        run.until("the backup was begun", || !lab::names(&lab.path("old")).is_empty());
        run.signal(Signal::INT);
        let done = run.wait().expect(20);
        assert!(!done.stderr.contains("back up"), "an interruption is no fault: {done}");
        assert!(fs::read(lab.path("dst/file")).unwrap() == old, "{options}: {done}");
        assert!(lab::names(&lab.path("old")).is_empty(), "{options}: {done}");
        assert_eq!(lab::names(&lab.path("dst")).len(), 1, "{options}: {done}");
    }
}

/// One minute, the least that can be asked for, is too short for any of these.
#[test]
fn the_end_of_the_time_ends_long_work_of_any_kind() {
    let lab = Lab::new();
    lab.file("rate/file", content(1, 20 << 20));
    let rate = lab.lanesync("-a --bwlimit=100 --stop-after=1 rate/ to/").start();

    let slow = |delay| testfs::Config {
        delay: Duration::from_millis(delay),
        ..testfs::Config::new(lab.path("backing"))
    };
    for number in 0..3000 {
        lab.file(format!("backing/extra/{number}"), "x");
    }
    lab.file("backing/same/file", content(2, 31 << 20));
    lab.file("same/file", content(2, 31 << 20));
    let _mount = testfs::Mount::at(slow(60), &lab.dir("slow")).unwrap();
    let line = "-a --delete --workers 1 --stop-after=1 empty/ slow/extra/";
    lab.dir("empty");
    let delete = lab.lanesync(line).start();
    let mount = testfs::Mount::at(slow(1000), &lab.dir("slower")).unwrap();
    let compare = lab.lanesync("-nrc --stop-after=1 slower/same/ same/").start();

    for run in [rate, delete, compare] {
        run.wait().expect(30);
    }
    assert!(lab::names(&lab.path("to")).is_empty(), "half a file has a name");
    assert!(lab::names(&lab.path("backing/extra")).len() > 500, "it deleted to the end");
    assert!(mount.stats().operations < 200, "it read to the end: {:?}", mount.stats());
}
