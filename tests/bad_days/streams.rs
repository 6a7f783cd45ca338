//! Output that nobody takes: the exit code is not 0, and the work is done all the same.

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{self, Lab};

/// So many names that no pipe holds them.
fn many_names(lab: &Lab) {
    let dir = lab.dir("src");
    for number in 0..6000 {
        fs::File::create(dir.join(format!("{}{number}", "a_long_name_".repeat(6)))).unwrap();
    }
}

#[test]
fn a_reader_that_goes_away_is_noticed() {
    for options in ["-av", "-ai", "-a --json", "-av --progress", "-avn"] {
        let lab = Lab::new();
        many_names(&lab);
        let mut head = Command::new("head")
            .arg("-1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pipe = head.stdin.take().unwrap();
        let done = lab.lanesync(&format!("{options} src/ dst/")).stdout(pipe).go();
        head.wait().unwrap();
        assert_ne!(done.code, 0, "{options}: {done}");
        assert!(done.stderr.contains("standard output"), "{options}: {done}");
    }
}

#[test]
fn a_device_that_is_full_is_noticed() {
    for options in ["-av", "-ai", "-a --json", "-a --stats", "--list-only -r", "-avn"] {
        let lab = Lab::new();
        lab.file("src/file", "x");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let to = if options.contains("list") { "" } else { "dst/" };
        let done = lab.lanesync(&format!("{options} src/ {to}")).stdout(full).go();
        assert_ne!(done.code, 0, "{options}: {done}");
        assert!(done.stderr.contains("standard output"), "{options}: {done}");
    }
}

/// As with a pager in which nobody goes on.
#[test]
fn ctrl_c_ends_a_run_whose_output_nobody_reads() {
    for options in ["-av", "-aii --workers 1", "-a --json", "-av --outbuf=L", "-av --progress"] {
        let lab = Lab::new();
        many_names(&lab);
        let (reader, pipe) = std::io::pipe().unwrap();
        let mut run = lab.lanesync(&format!("{options} src/ dst/")).stdout(pipe).start();
        let waiting = || rustix::io::ioctl_fionread(&reader).unwrap();
        run.until("the pipe is full", || waiting() > 56 << 10);
        std::thread::sleep(Duration::from_millis(200));
        run.signal(Signal::INT);
        run.wait().expect(20).complains(&["standard output could not be written"]);
    }
}

#[test]
fn version_and_help_notice_it_too() {
    for option in ["--version", "-VV", "--help"] {
        let lab = Lab::new();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = lab.lanesync(option).stdout(full).go();
        assert_ne!(done.code, 0, "{option}: {done}");
    }
}

#[test]
fn a_run_that_says_nothing_does_not_care() {
    let lab = Lab::new();
    many_names(&lab);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    lab.lanesync("-a src/ dst/").stdout(full).go().expect(0);
    lab.assert_same("src", "dst");
}

/// The first file that is opened must not become standard output. The runtime puts `/dev/null` in its
/// place, which takes all that is said. rsync takes its own pipe for it, and fails before it copies.
#[test]
fn a_closed_standard_output_does_not_end_up_in_a_file() {
    let lab = Lab::new();
    lab.file("src/file", "precious");
    lab.file("src/other", "precious too");
    lab::age(&lab.path("src"));
    for (program, to, code) in [("rsync", "other", 12), (env!("CARGO_BIN_EXE_lanesync"), "dst", 0)]
    {
        let line = format!("exec {program} -av src/ {to}/ >&-");
        let mut shell = Command::new("sh");
        let done = shell.arg("-c").arg(line).current_dir(lab.path("")).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{program}: {done:?}");
    }
    lab.assert_same("src", "dst");
    assert!(lab::names(&lab.path("other")).is_empty());
}
