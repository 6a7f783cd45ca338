//! Real shells, which tell through pipes what they do and wait there until they may go on.

#![expect(clippy::disallowed_methods, reason = "commands leave traces in a folder of their own")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{kill_process, test_kill_process};
use tempfile::TempDir;

use super::*;

/// What was told of each bucket.
type Told = Arc<Mutex<BTreeMap<u64, String>>>;

struct Yard {
    dir: TempDir,
    cancel: Cancel,
    filling: Cancel,
    told: Told,
}

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (cancel, told) = (Cancel::new(), Told::default());
        Self { dir, filling: cancel.child(), cancel, told }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// Commands that find the directory as `$D`.
    fn start(&self, script: &str, jobs: usize) -> Commands {
        let mut command = OsString::from("D='");
        command.push(self.dir.path());
        command.push("'; ");
        command.push(script);
        let told = Arc::clone(&self.told);
        let hear = move |bucket: &Bucket, end: &End| {
            let before = told.lock().insert(bucket.number, in_short(end));
            assert_eq!(before, None, "bucket {} was told twice", bucket.number);
        };
        let jobs = NonZeroUsize::new(jobs).unwrap();
        Commands::start(command, jobs, Streams::OfTheUser, &self.cancel, &self.filling, hear)
            .unwrap()
    }

    fn told(&self) -> Vec<(u64, String)> {
        self.told.lock().clone().into_iter().collect()
    }
}

fn in_short(end: &End) -> String {
    match end {
        End::Ended(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("code {code}"),
            (None, signal) => format!("signal {}", signal.unwrap()),
        },
        End::Stopped => "stopped".to_owned(),
        End::Asked => "asked".to_owned(),
        End::NotStarted(error) => format!("not started: {:?}", error.kind()),
        End::NotRun => "not run".to_owned(),
    }
}

fn bucket(number: u64) -> Bucket {
    named(number, Path::new("list.txt"))
}

fn named(number: u64, file: &Path) -> Bucket {
    let amount = Amount { entries: number + 100, bytes: number * 1_000_000_000_000 };
    Bucket { file: file.to_owned(), number, amount, recursion: Recursion::Needed }
}

/// Lines of a pipe, which many write to one after the other.
struct Lines(BufReader<fs::File>);

impl Lines {
    fn of(fifo: &Path) -> Self {
        // A writer of our own: that nobody else has it open is no end.
        Self(BufReader::new(fs::File::options().read(true).write(true).open(fifo).unwrap()))
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn next_pid(&mut self) -> Pid {
        Pid::from_raw(self.next().parse().unwrap()).unwrap()
    }
}

/// Waits until a process is gone; one that nobody waits for has no more than its number.
fn is_gone(pid: Pid) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
        let is_dead = stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" Z"));
        if is_dead || test_kill_process(pid).is_err() {
            return true;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    false
}

#[test]
fn as_many_run_as_may_and_never_more() {
    const AT_ONCE: usize = 3;
    let yard = Yard::new();
    let (started, go) = (yard.fifo("started"), yard.fifo("go"));
    // Each takes one of three places; a fourth finds none.
    let script = "for n in 1 2 3; do mkdir $D/$n 2>/dev/null && place=$n && break; done; \
                  [ -n \"$place\" ] || exit 9; echo $place >$D/started; \
                  read word <$D/go; rmdir $D/$place";
    let commands = yard.start(script, AT_ONCE);
    let mut lines = Lines::of(&started);
    let mut go = fs::File::options().read(true).write(true).open(go).unwrap();
    (0..30).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    // None of them goes on before there are three.
    let mut places: Vec<_> = (0..AT_ONCE).map(|_| lines.next()).collect();
    places.sort();
    assert_eq!(places, ["1", "2", "3"]);
    io::Write::write_all(&mut go, "go\n".repeat(30).as_bytes()).unwrap();
    (AT_ONCE..30).for_each(|_| drop(lines.next()));
    let outcomes = commands.finish();
    assert_eq!(outcomes, Outcomes { succeeded: 30, ..Outcomes::default() });
    assert!(outcomes.are_all_well());
    assert!(yard.told().iter().all(|(_, end)| end == "code 0"), "{:?}", yard.told());
}

#[test]
fn who_fills_buckets_waits_when_too_many_wait() {
    let yard = Yard::new();
    let go = yard.fifo("go");
    let commands = yard.start("read word <$D/go", 1);
    let total = WAITING_MAX as u64 + 2;
    let shared = Arc::clone(&commands.shared);
    let fill = move || {
        (0..total).for_each(|number| commands.hand_over(bucket(number)).unwrap());
        commands.finish()
    };
    let filler = thread::Builder::new().spawn(fill).unwrap();
    // One runs, so many wait, and one is not taken.
    while shared.state.lock().waiting.len() < WAITING_MAX {
        thread::sleep(BETWEEN_LOOKS);
    }
    assert!(!shared.state.lock().is_all);
    let mut go = fs::File::options().read(true).write(true).open(go).unwrap();
    // A command takes no more than its own line, and the pipe stays open for the last one.
    io::Write::write_all(&mut go, "\n".repeat(WAITING_MAX + 2).as_bytes()).unwrap();
    assert_eq!(filler.join().unwrap().succeeded, total);
}

#[test]
fn who_fills_buckets_does_not_wait_when_no_more_are_told() {
    let yard = Yard::new();
    let go = yard.fifo("go");
    let commands = yard.start("read word <$D/go", 1);
    let total = WAITING_MAX as u64 + 4;
    let shared = Arc::clone(&commands.shared);
    let fill = move || {
        (0..total).for_each(|number| commands.hand_over(bucket(number)).unwrap());
        commands
    };
    let filler = thread::Builder::new().spawn(fill).unwrap();
    while shared.state.lock().waiting.len() < WAITING_MAX {
        thread::sleep(BETWEEN_LOOKS);
    }
    yard.filling.cancel();
    // None of the commands has gone on.
    let commands = filler.join().unwrap();
    assert!(yard.told().is_empty(), "{:?}", yard.told());
    let mut go = fs::File::options().read(true).write(true).open(go).unwrap();
    io::Write::write_all(&mut go, "\n".repeat(WAITING_MAX + 4).as_bytes()).unwrap();
    assert_eq!(commands.finish().succeeded, total, "each is run all the same");
}

#[test]
fn a_command_finds_its_bucket_in_the_environment() {
    let yard = Yard::new();
    let script =
        "env >$D/env.$LANESYNC_BUCKET_NUMBER; pwd -P >$D/where; readlink /proc/$$/fd/0 >$D/in";
    let commands = yard.start(script, 1);
    commands.hand_over(named(7, Path::new("some where/list.txt"))).unwrap();
    assert!(commands.finish().are_all_well());
    let environment = fs::read_to_string(yard.path("env.7")).unwrap();
    let here = std::env::current_dir().unwrap();
    let file = here.join("some where/list.txt");
    for (name, value) in [
        ("LANESYNC_BUCKET_FILE", file.to_str().unwrap()),
        ("LANESYNC_BUCKET_NUMBER", "7"),
        ("LANESYNC_BUCKET_BYTES", "7000000000000"),
        ("LANESYNC_BUCKET_ENTRIES", "107"),
        ("LANESYNC_BUCKET_RECURSIVE", "-r"),
        ("FPART_HOOKTYPE", "post-part"),
        ("FPART_PARTFILENAME", file.to_str().unwrap()),
        ("FPART_PARTNUMBER", "7"),
        ("FPART_PARTSIZE", "7000000000000"),
        ("FPART_PARTNUMFILES", "107"),
    ] {
        let line = format!("{name}={value}");
        assert!(environment.lines().any(|it| it == line), "{line}: {environment}");
    }
    let read = |name| fs::read_to_string(yard.path(name)).unwrap();
    assert_eq!(read("where").trim_end(), here.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(read("in").trim_end(), "/dev/null");
}

#[test]
fn nothing_in_a_name_is_taken_for_a_part_of_the_command() {
    let yard = Yard::new();
    let script = "printf '%s\\0' \"$LANESYNC_BUCKET_FILE\" >$D/out.$LANESYNC_BUCKET_NUMBER; \
                  cat \"$LANESYNC_BUCKET_FILE\" >$D/copy.$LANESYNC_BUCKET_NUMBER";
    let commands = yard.start(script, 2);
    let names: [&[u8]; 7] = [
        b"; touch pwned",
        b"$(touch pwned)",
        b"`touch pwned`",
        b"a\nb\t'c\"d",
        b"\xff\xfe not UTF-8",
        b"-rf *",
        b"%s\\n ${HOME}",
    ];
    for (name, number) in names.iter().zip(0..) {
        let file = yard.dir.path().join(OsStr::from_bytes(name));
        fs::write(&file, name).unwrap();
        commands.hand_over(named(number, &file)).unwrap();
    }
    assert!(commands.finish().are_all_well());
    for (name, number) in names.iter().zip(0..) {
        let file = yard.dir.path().join(OsStr::from_bytes(name));
        let seen = fs::read(yard.path(&format!("out.{number}"))).unwrap();
        assert_eq!(seen, [file.into_os_string().into_vec(), vec![0]].concat());
        assert_eq!(fs::read(yard.path(&format!("copy.{number}"))).unwrap(), *name);
    }
    assert!(!yard.path("pwned").exists() && !Path::new("pwned").exists());
}

#[test]
fn one_that_fails_is_told_and_the_others_go_on() {
    let yard = Yard::new();
    let script = "case $LANESYNC_BUCKET_NUMBER in 1) exit 3;; 2) kill -9 $$;; 3) kill $$;; esac";
    let commands = yard.start(script, 2);
    (0..6).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    let outcomes = commands.finish();
    assert_eq!(outcomes, Outcomes { succeeded: 3, failed: 3, ..Outcomes::default() });
    assert!(!outcomes.are_all_well());
    let ends = yard.told().into_iter().map(|(_, end)| end).collect::<Vec<_>>();
    assert_eq!(ends, ["code 0", "code 3", "signal 9", "signal 15", "code 0", "code 0"]);
}

#[test]
fn one_that_cannot_be_started_is_told() {
    let yard = Yard::new();
    // More than the kernel takes as one word.
    let commands = yard.start(&" ".repeat(1 << 20), 2);
    (0..2).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    assert_eq!(commands.finish(), Outcomes { failed: 2, ..Outcomes::default() });
    assert!(yard.told().iter().all(|(_, end)| end.starts_with("not started")), "{:?}", yard.told());
}

#[test]
fn one_that_wants_the_terminal_does_not_wait_for_it_forever() {
    let yard = Yard::new();
    let script = "[ $LANESYNC_BUCKET_NUMBER = 0 ] && kill -TTIN 0; exit 0";
    let commands = yard.start(script, 1);
    (0..2).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    assert_eq!(commands.finish(), Outcomes { succeeded: 1, failed: 1, ..Outcomes::default() });
    assert_eq!(yard.told()[0], (0, "asked".to_owned()));
}

#[test]
fn one_that_the_user_stops_goes_on_when_the_user_says_so() {
    let yard = Yard::new();
    let pids = yard.fifo("pids");
    let commands = yard.start("echo $$ >$D/pids; kill -STOP $$; exit 5", 1);
    commands.hand_over(bucket(0)).unwrap();
    let pid = Lines::of(&pids).next_pid();
    let state = format!("/proc/{}/stat", pid.as_raw_pid());
    while !fs::read_to_string(&state).unwrap().contains(") T ") {
        thread::sleep(BETWEEN_LOOKS);
    }
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(commands.finish().failed, 1);
    assert_eq!(yard.told(), [(0, "code 5".to_owned())]);
}

#[test]
fn a_cancelled_run_ends_all_and_starts_none() {
    let yard = Yard::new();
    let pids = yard.fifo("pids");
    // Grandchildren, one of which does not care.
    let script = "echo $$ >$D/pids; (trap '' TERM; echo $(exec sh -c 'echo $PPID') >$D/pids; \
                  exec sleep 1000) & sleep 1000 & echo $! >$D/pids; wait";
    let commands = yard.start(script, 2);
    (0..5).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    let mut lines = Lines::of(&pids);
    let running: Vec<_> = (0..6).map(|_| lines.next_pid()).collect();
    yard.cancel.cancel();
    assert_eq!(commands.hand_over(bucket(5)), Err(Cancelled));
    let outcomes = commands.finish();
    assert_eq!((outcomes.succeeded, outcomes.failed, outcomes.stopped), (0, 0, 2));
    let mut not_run = outcomes.not_run.clone();
    not_run.sort_unstable();
    assert_eq!(not_run, [2, 3, 4, 5]);
    assert!(!outcomes.are_all_well());
    let ends = yard.told().into_iter().map(|(_, end)| end).collect::<Vec<_>>();
    assert_eq!(ends, ["stopped", "stopped", "not run", "not run", "not run", "not run"]);
    for pid in running {
        assert!(is_gone(pid), "{pid:?} is left");
    }
}

#[test]
fn what_is_asked_to_end_has_time_to_clean_up() {
    let yard = Yard::new();
    let ready = yard.fifo("ready");
    let script = "trap 'rm $D/staging; exit 20' TERM; touch $D/staging; echo >$D/ready; \
                  while :; do sleep 1; done";
    let commands = yard.start(script, 1);
    commands.hand_over(bucket(0)).unwrap();
    Lines::of(&ready).next();
    yard.cancel.cancel();
    assert_eq!(commands.finish(), Outcomes { stopped: 1, ..Outcomes::default() });
    assert!(!yard.path("staging").exists());
}

#[test]
fn what_does_not_end_when_asked_is_ended() {
    let yard = Yard::new();
    let pids = yard.fifo("pids");
    let script = "trap '' TERM; echo $$ >$D/pids; while :; do sleep 1000; done";
    let commands = yard.start(script, 1);
    commands.hand_over(bucket(0)).unwrap();
    let pid = Lines::of(&pids).next_pid();
    yard.cancel.cancel();
    assert_eq!(commands.finish(), Outcomes { stopped: 1, ..Outcomes::default() });
    assert!(is_gone(pid));
}

#[test]
fn who_is_cancelled_before_the_first_bucket_runs_none() {
    let yard = Yard::new();
    let commands = yard.start("touch $D/ran", 4);
    yard.cancel.cancel();
    assert_eq!(commands.hand_over(bucket(0)), Err(Cancelled));
    assert_eq!(commands.finish(), Outcomes { not_run: vec![0], ..Outcomes::default() });
    assert!(!yard.path("ran").exists());
}

#[test]
fn who_drops_them_leaves_none_running() {
    let yard = Yard::new();
    let pids = yard.fifo("pids");
    let commands = yard.start("echo $$ >$D/pids; exec sleep 1000", 1);
    (0..2).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    let pid = Lines::of(&pids).next_pid();
    drop(commands);
    assert!(is_gone(pid));
    assert_eq!(yard.told(), [(0, "stopped".to_owned()), (1, "not run".to_owned())]);
    assert!(!yard.cancel.is_cancelled(), "the run goes on");
}

#[test]
fn thousands_of_buckets_are_each_run_once() {
    let yard = Yard::new();
    let commands = yard.start("exit $((LANESYNC_BUCKET_NUMBER % 7 == 0))", 8);
    (1..=3000).for_each(|number| commands.hand_over(bucket(number)).unwrap());
    let outcomes = commands.finish();
    assert_eq!(outcomes, Outcomes { succeeded: 2572, failed: 428, ..Outcomes::default() });
    let told = yard.told();
    assert_eq!(told.len(), 3000);
    for (number, end) in told {
        assert_eq!(end, format!("code {}", u8::from(number % 7 == 0)), "bucket {number}");
    }
}

#[test]
fn nothing_to_run_is_no_fault() {
    let yard = Yard::new();
    assert!(yard.start("exit 1", 2).finish().are_all_well());
}

#[test]
fn a_command_that_ends_well_in_a_cancelled_run_has_done_its_work() {
    let yard = Yard::new();
    let ready = yard.fifo("ready");
    let script = "trap 'exit 0' TERM; echo >$D/ready; while :; do sleep 1; done";
    let commands = yard.start(script, 1);
    commands.hand_over(bucket(0)).unwrap();
    Lines::of(&ready).next();
    yard.cancel.cancel();
    assert_eq!(commands.finish(), Outcomes { succeeded: 1, ..Outcomes::default() });
}
