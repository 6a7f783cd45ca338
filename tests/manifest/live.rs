//! A command for each bucket, while the tree is still being read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::buckets::{all_paths, assert_same, buckets, files};
use crate::lab::{self, Lab};
use crate::support::qumulo::FakeCluster;
use crate::support::records;

fn tree(lab: &Lab) {
    for number in 0..600 {
        lab.file(format!("src/dir{:02}/file{number:03}", number / 15), "content");
    }
    lab::age(&lab.path("src"));
}

/// Waits for a file to be there, as a command of a shell.
const WAITS: &str = "until [ -e go ]; do sleep 0.02; done";

#[test]
fn commands_begin_before_the_tree_has_been_read() {
    let lab = Lab::new();
    tree(&lab);
    // Each waits, so that no more buckets are made at some time, and no more is read.
    let run = lab
        .lanesync("manifest src -o lists --json --format=rclone --max-files=1 --live --workers=2")
        .word("--exec-jobs=1")
        .word(format!("--exec=echo $LANESYNC_BUCKET_NUMBER >>began; {WAITS}"));
    let mut run = run.start();
    run.until("a command began", || lab.path("began").exists());
    for number in 0..40 {
        lab.file(format!("src/dir{number:02}/new"), "made after the first command began");
    }
    lab.file("go", "");
    let done = run.wait().expect(0);
    let buckets = buckets(&lab, &done);
    let new = all_paths(&buckets).iter().filter(|path| path.ends_with("new")).count();
    assert!(new > 0, "all was read before a command began: {done}");
    let mut ran: Vec<usize> = fs::read_to_string(lab.path("began"))
        .unwrap()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    ran.sort_unstable();
    assert_eq!(ran, (1..=buckets.len()).collect::<Vec<_>>(), "one command for each");
}

#[test]
fn what_commands_say_does_not_stand_between_records() {
    let lab = Lab::new();
    tree(&lab);
    for more in ["-b 3", "--max-files=30 --live"] {
        let run = lab.lanesync(&format!("manifest src -o lists {more} --json"));
        let done = run.word("--exec=echo said; echo also said >&2").go().expect(0);
        let count = buckets(&lab, &done).len();
        let is_each =
            |text: &str| done.stderr.lines().filter(|line| *line == text).count() == count;
        assert!(is_each("said") && is_each("also said"), "{more}: {done}");
        fs::remove_dir_all(lab.path("lists")).unwrap();
        let run = lab.lanesync(&format!("manifest src -o lists {more}"));
        let done = run.word("--exec=echo said").go().expect(0);
        let said = done.stdout.lines().filter(|line| *line == "said").count();
        assert_eq!(said, count, "{more}: {done}");
        fs::remove_dir_all(lab.path("lists")).unwrap();
    }
}

#[test]
fn commands_make_files_as_the_user_does() {
    let lab = Lab::new();
    tree(&lab);
    let run = lab.lanesync("manifest src -o lists --max-files=30 --live --exec-jobs=8");
    let run = run.word("--exec=umask >>umasks; mkdir made.$LANESYNC_BUCKET_NUMBER");
    run.go().expect(0);
    let umasks = fs::read_to_string(lab.path("umasks")).unwrap();
    assert!(umasks.lines().count() > 10 && umasks.lines().all(|it| it == "0022"), "{umasks}");
    let mode = fs::metadata(lab.path("made.1")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn so_many_commands_run_at_once() {
    for sharing in ["--max-files=100 --live", "-b 3"] {
        let lab = Lab::new();
        tree(&lab);
        let meets = "touch here.$LANESYNC_BUCKET_NUMBER; \
                     until [ $(ls here.* | wc -l) -ge 3 ]; do sleep 0.02; done";
        let run = lab.lanesync(&format!("manifest src -o lists {sharing} --exec-jobs=3"));
        run.word(format!("--exec={meets}")).go().expect(0);
    }
}

#[test]
fn a_command_that_moves_its_bucket_moves_the_tree_and_not_what_is_left_out() {
    let lab = Lab::new();
    tree(&lab);
    lab.dir("src/empty");
    for name in ["bare/.snapshots/old", "dir03/a.tmp", "only/b.tmp"] {
        lab.file(format!("src/{name}"), "left out");
    }
    lab::age(&lab.path("src"));
    lab.rsync("-a --exclude=*.tmp --exclude=.snapshot*/ src/ whole/").go().expect(0);
    let moves = "rsync -a $LANESYNC_BUCKET_RECURSIVE --files-from=\"$LANESYNC_BUCKET_FILE\" src/";
    for (copy, sharing) in
        [("packed", "--max-files=100 --live"), ("shared", "-b 5"), ("one", "-b 1")]
    {
        lab.dir(copy);
        let words = format!("manifest src -o lists.{copy} {sharing} --exclude=*.tmp --exec-jobs=1");
        let run = lab.lanesync(&words).word(format!("--exec={moves} {copy}/"));
        run.go().expect(0);
        assert_same(&lab, copy, "whole", sharing);
    }
}

#[test]
fn a_picture_that_cannot_be_written_costs_nothing_but_itself() {
    let lab = Lab::new();
    tree(&lab);
    // Nobody crawls for hours to hear of that.
    let done = lab.lanesync("manifest src -o lists -b 3 --plot=nowhere/x.svg").go().expect(11);
    let done = done.complains(&["nowhere/x.svg"]);
    assert!(!lab.path("lists").exists() || files(&lab.path("lists")).is_empty(), "{done}");
    let long = format!("--plot={}.svg", "x".repeat(300));
    for sharing in ["-b 3", "--max-files=200 --live"] {
        fs::remove_dir_all(lab.path("lists")).ok();
        fs::remove_file(lab.path("ran")).ok();
        let words = format!("manifest src -o lists --json {sharing} {long}");
        let run = lab.lanesync(&words).word("--exec=sleep 0.3; echo $LANESYNC_BUCKET_NUMBER >>ran");
        let done = run.go().expect(11);
        let buckets = buckets(&lab, &done);
        let ran = fs::read_to_string(lab.path("ran")).unwrap_or_default();
        assert!(buckets.len() >= 3 && ran.lines().count() == buckets.len(), "{ran:?} of {done}");
    }
    lab.lanesync("manifest src -o drawn -b 3 --plot=x.svg").go().expect(0);
    assert!(fs::read_to_string(lab.path("x.svg")).unwrap().contains("<svg"));
}

#[test]
fn a_command_finds_its_bucket_in_the_environment() {
    for sharing in ["--max-files=100 --live", "--max-files=100", "-b 3"] {
        let lab = Lab::new();
        tree(&lab);
        let tells = "--exec=cd / && echo \"$LANESYNC_BUCKET_FILE $LANESYNC_BUCKET_NUMBER \
                     $LANESYNC_BUCKET_BYTES $LANESYNC_BUCKET_ENTRIES\" >$LANESYNC_BUCKET_FILE.told";
        let run = lab.lanesync(&format!("manifest src --json -o lists {sharing}")).word(tells);
        let done = run.go().expect(0);
        let lists = files(&lab.path("lists"));
        let (told, _): (Vec<_>, Vec<_>) =
            lists.into_iter().partition(|path| path.extension().is_some_and(|ext| ext == "told"));
        let mut told: Vec<String> = told
            .into_iter()
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                fs::remove_file(path).unwrap();
                text.trim_end().to_owned()
            })
            .collect();
        told.sort();
        let buckets = buckets(&lab, &done);
        let mut expected: Vec<String> = (1..)
            .zip(&buckets)
            .map(|(number, it)| {
                format!("{} {number} {} {}", it.file.display(), it.bytes, it.entries)
            })
            .collect();
        expected.sort();
        assert_eq!(told, expected, "{sharing}: {done}");
    }
}

#[test]
fn a_command_that_fails_is_told_with_its_bucket() {
    for sharing in ["--max-files=100 --live", "-b 3"] {
        let lab = Lab::new();
        tree(&lab);
        let words = format!("manifest src -o lists --name-template=b[n].txt {sharing}");
        let fails = "--exec=echo >>ran; [ $LANESYNC_BUCKET_NUMBER != 2 ] || exit 7";
        let done = lab.lanesync(&words).word(fails).go().expect(23);
        let done = done.complains(&["lists/b2.txt", "exit status: 7"]);
        assert!(!done.stderr.contains("lists/b1.txt"), "{done}");
        let lists = files(&lab.path("lists")).len();
        let ran = fs::read_to_string(lab.path("ran")).unwrap().lines().count();
        assert_eq!(ran, lists, "the others are run: {done}");
    }
}

#[test]
fn a_termination_ends_the_commands_and_tells_which_were_not_run() {
    for sharing in ["--max-files=100 --live", "-b 3"] {
        let lab = Lab::new();
        tree(&lab);
        let words =
            format!("manifest src -o lists --name-template=b[n].txt {sharing} --exec-jobs=1");
        let waits = "--exec=echo $LANESYNC_BUCKET_NUMBER $$ >running; exec sleep 10000";
        let mut run = lab.lanesync(&words).word(waits).start();
        let running = || fs::read_to_string(lab.path("running")).unwrap_or_default();
        run.until("a command runs and others wait", || {
            running().ends_with('\n') && files(&lab.path("lists")).len() >= 3
        });
        run.signal(Signal::TERM);
        let done = run.wait().expect(20);
        let running = running();
        let (number, process) = running.trim().split_once(' ').unwrap();
        let list = format!("lists/b{number}.txt");
        let done = done.complains(&[&list, "stopped"]).complains(&["lists/b", "not run"]);
        assert!(!Path::new("/proc").join(process).exists(), "the command goes on: {done}");
        assert!(lab.path(list).exists(), "somebody works by it: {done}");
    }
}

#[test]
fn commands_of_whole_buckets_are_run_though_the_source_dies() {
    let lab = Lab::new();
    for number in 0..120 {
        lab.file(format!("src/a{}/b{}/c/d/file{number:03}", number % 4, number % 12), "content");
    }
    lab.file("password", "admin\n");
    let mut cluster = FakeCluster::serve(&lab.path("src"), &["--delay-ms", "200"]);
    let source = format!("qumulo://127.0.0.1:{}/", cluster.port());
    let words = format!(
        "manifest {source} --ca={} --password-file=password -o lists --json --max-files=2 --live \
         --format=json --exec-jobs=1 --retries=3",
        cluster.certificate().display()
    );
    let run = lab.lanesync(&words);
    let waits = format!("--exec=touch began; {WAITS}; echo $LANESYNC_BUCKET_NUMBER >>ran");
    let mut run = run.word(waits).start();
    let lists = || {
        let all = files(&lab.dir("lists")).into_iter();
        all.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).count()
    };
    run.until("a command runs and others wait", || lab.path("began").exists() && lists() >= 3);
    cluster.kill();
    let said = || fs::read_to_string(lab.path("out.0")).unwrap();
    run.until("the source is given up", || said().contains("buckets were full before, and stay"));
    lab.file("go", "");
    let done = run.wait().expect(10);
    assert!(done.stdout.contains("127.0.0.1"), "{done}");
    let records = records::parse(&done.stdout);
    let buckets = records.last().unwrap()["buckets"].as_array().expect("a table");
    // Those that were not full are not there.
    let mut told: Vec<PathBuf> =
        buckets.iter().map(|bucket| lab.path(bucket["path"].as_str().unwrap())).collect();
    let mut there = files(&lab.path("lists"));
    told.sort();
    there.sort();
    assert_eq!(told, there, "{done}");
    let told: Vec<u64> = buckets.iter().map(|bucket| bucket["number"].as_u64().unwrap()).collect();
    let ran = fs::read_to_string(lab.path("ran")).unwrap();
    let mut ran: Vec<u64> = ran.lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert!(ran == told && ran.len() >= 3, "one command for each: {ran:?} {told:?} {done}");
}
