//! Another host: reached through a remote shell, of which mostly a stand-in takes the place.
//!
//! The stand-in runs the command on this host, as rsync's tests do it, so that all of it is there but
//! the network: the shell, the script that starts an agent, the session, and two processes. What ssh
//! itself has a say in is tested with the real one, `over_ssh`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]

#[path = "hosts/blocks.rs"]
mod blocks;

#[path = "hosts/devices.rs"]
mod devices;

#[path = "hosts/direct.rs"]
mod direct;

#[path = "hosts/far_side.rs"]
mod far_side;

#[path = "hosts/host_to_host.rs"]
mod host_to_host;

#[path = "hosts/hostile.rs"]
mod hostile;

#[path = "hosts/hostile_destination.rs"]
mod hostile_destination;

#[path = "hosts/hostile_image.rs"]
mod hostile_image;

#[path = "hosts/images_in_use.rs"]
mod images_in_use;

#[path = "hosts/logins.rs"]
mod logins;

#[path = "support/loop_device.rs"]
mod loop_device;

#[path = "support/open_files.rs"]
mod open_files;

#[path = "hosts/over_ssh.rs"]
mod over_ssh;

#[path = "hosts/signals.rs"]
mod signals;

#[path = "hosts/sshd.rs"]
mod sshd;

#[path = "hosts/typed_there.rs"]
mod typed_there;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

const LANESYNC: &str = env!("CARGO_BIN_EXE_lanesync");

/// Called with a host and a command, runs the command as a login shell would.
const RUNS_IT_HERE: &str = r#"sh -c 'shift; exec sh -c "$*"' stand-in"#;

/// Two hosts with a source and no agent, but for one that is named.
struct Hosts {
    scratch: tempfile::TempDir,
}

impl Hosts {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("s/f", "content"),
            ("s/a/g", "more"),
            ("s/a/b/h", ""),
            ("old/f", "old"),
            ("old/x", "x"),
        ] {
            let path = scratch.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        fs::hard_link(scratch.path().join("s/f"), scratch.path().join("s/a/f")).unwrap();
        symlink("a/g", scratch.path().join("s/link")).unwrap();
        let then = Timespec { tv_sec: 1_700_000_000, tv_nsec: 0 };
        let then = Timestamps { last_access: then, last_modification: then };
        for name in
            ["s/link", "s/f", "s/a/g", "s/a/b/h", "old/f", "old/x", "s/a/b", "s/a", "s", "old"]
        {
            let path = scratch.path().join(name);
            utimensat(CWD, path, &then, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
        Self { scratch }
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs lanesync with a remote shell.
    fn run(&self, shell: &str, words: &[&str]) -> Output {
        self.command(shell, words).output().unwrap()
    }

    fn command(&self, shell: &str, words: &[&str]) -> Command {
        let mut command = Command::new(LANESYNC);
        command
            .args(["-a", "-e", shell])
            .args(words)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("SSH_CONNECTION")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME");
        command
    }

    /// Runs lanesync as if it had come by sshd, which tells the agent from where, with lanes on a port;
    /// does something once there is one.
    fn run_with_lanes(&self, port: u16, words: &[&str], meanwhile: impl FnOnce()) -> Output {
        let (agent, ports) = (format!("--agent-path={LANESYNC}"), format!("--lane-ports={port}"));
        let words = [&[agent.as_str(), ports.as_str()], words].concat();
        let run = self
            .command(RUNS_IT_HERE, &words)
            .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = run.id();
        while connections_at(port) == 0 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            assert!(!stat.contains(") Z "), "it ended without a lane");
            thread::yield_now();
        }
        meanwhile();
        run.wait_with_output().unwrap()
    }
}

/// Connections that are up to or from a local port (proc(5)).
fn connections_at(port: u16) -> usize {
    let is_there = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().unwrap_or_default();
        local.ends_with(&format!(":{port:04X}")) && words.nth(1) == Some("01")
    };
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|name| fs::read_to_string(name).unwrap());
    tables.iter().map(|table| table.lines().filter(is_there).count()).sum()
}

fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

/// Ends with this code and says this.
#[track_caller]
fn check(output: &Output, code: i32, says: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(says), "{stderr}");
}

/// All below a directory: kinds, modes, times, contents, link texts and extended attributes; but for
/// times of this minute.
fn tree(dir: &Path) -> String {
    let find = "find . ! -name . ! -newermt 2024-01-01 -printf '%p %y %m %n %T@ %l\\0' \
        -o ! -name . -printf '%p %y %m %n new %l\\0' | sort -z; \
        find . -type f | sort | xargs -d '\\n' cat; getfattr -Rhdm - . | sort";
    let output = Command::new("sh").args(["-c", find]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same with lanesync, by an agent that is named, and with rsync: trees and lines are equal.
#[track_caller]
fn check_as_rsync(words: &[&str]) {
    check_runs_as_rsync(|_| (), &[words]);
}

/// The same of several runs, one after the other, where something is there before.
#[track_caller]
fn check_runs_as_rsync(prepare: impl Fn(&Path), runs: &[&[&str]]) {
    let (hosts, rsyncs) = (Hosts::new(), Hosts::new());
    prepare(hosts.path());
    prepare(rsyncs.path());
    let agent = format!("--agent-path={LANESYNC}");
    for words in runs {
        let ours = hosts.run(RUNS_IT_HERE, &[&[agent.as_str()], *words].concat());
        check(&ours, 0, "");
        let theirs = Command::new("rsync")
            .args(["-a", "-e", RUNS_IT_HERE])
            .args(*words)
            .current_dir(rsyncs.path())
            .env("HOME", rsyncs.path())
            .output()
            .unwrap();
        check(&theirs, 0, "");
        let lines = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(lines(&ours), lines(&theirs), "{words:?}");
        let (ours, theirs) = (tree(hosts.path()), tree(rsyncs.path()));
        assert_eq!(ours, theirs, "{words:?}");
    }
}

#[test]
fn a_tree_is_pushed_as_by_rsync() {
    check_as_rsync(&["-i", "s/", "h:d"]);
    check_as_rsync(&["-i", "--exclude=a", "s", "h:d/"]);
    check_as_rsync(&["-i", "--delete", "s/", "h:old"]);
    check_as_rsync(&["-H", "s/", "h:old"]);
    check_as_rsync(&["-in", "s/", "h:old"]);
}

#[test]
fn a_tree_is_pulled_as_by_rsync() {
    // rsync's far side begins in the directory that this one was started in.
    check_as_rsync(&["-i", "h:s/", "d"]);
    check_as_rsync(&["-i", "--exclude=a", "h:s", "d/"]);
    check_as_rsync(&["-i", "--delete", "h:s/", "old"]);
    check_as_rsync(&["-H", "h:s/", "old"]);
    check_as_rsync(&["-iR", "h:s/./a/g", "d"]);
    check_as_rsync(&["-i", "h:s/f", ":s/a", "d"]);
}

#[test]
fn access_times_of_links_are_brought_over() {
    for paths in [["s/", "h:d"], ["h:s/", "d"]] {
        let hosts = Hosts::new();
        let agent = format!("--agent-path={LANESYNC}");
        check(&hosts.run(RUNS_IT_HERE, &[&[&*agent, "-U"], &paths[..]].concat()), 0, "");
        let copy = fs::symlink_metadata(hosts.path().join("d/link")).unwrap();
        assert_eq!(copy.atime(), 1_700_000_000, "{paths:?}");
    }
}

#[test]
fn lanes_beside_the_shell_bring_the_same_from_and_to_either_side() {
    for words in [["s/", "h:d"], ["h:s/", "d"]] {
        for opener in ["--lanes-from=here", "--lanes-from=there"] {
            let hosts = Hosts::new();
            let big: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
            fs::write(hosts.path().join("s/big"), big).unwrap();
            let words = [&[opener, "--lanes=3", "--bwlimit=2m", "-H"], &words[..]].concat();
            let output = hosts.run_with_lanes(free_port(), &words, || {});
            check(&output, 0, "");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
            assert_eq!(tree(&hosts.path().join("s")), tree(&hosts.path().join("d")), "{words:?}");
        }
    }
}

#[test]
fn strangers_at_the_port_do_not_disturb() {
    let hosts = Hosts::new();
    fs::write(hosts.path().join("s/big"), vec![7; 3_000_000]).unwrap();
    let port = free_port();
    let words = ["--lanes-from=here", "--lanes=2", "--bwlimit=2m", "-H", "s/", "h:d"];
    let output = hosts.run_with_lanes(port, &words, || {
        let strangers: Vec<_> =
            (0..100).map_while(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect();
        for mut stranger in &strangers {
            // It may have been let go.
            stranger.write_all(b"GET / HTTP/1.0\r\n\r\n").ok();
        }
    });
    check(&output, 0, "");
    assert_eq!(tree(&hosts.path().join("s")), tree(&hosts.path().join("d")));
}

#[test]
fn where_no_port_can_be_had_it_goes_without_and_says_so() {
    let hosts = Hosts::new();
    let taken = TcpListener::bind("[::]:0").unwrap();
    let ports = format!("--lane-ports={}", taken.local_addr().unwrap().port());
    let agent = format!("--agent-path={LANESYNC}");
    fs::write(hosts.path().join("s/big"), vec![7; 2_000_000]).unwrap();
    for quiet in [false, true] {
        let to = if quiet { "h:e" } else { "h:d" };
        let volume = if quiet { "-q" } else { "-H" };
        // For UDP the port is free.
        let words = [volume, &agent, &ports, "--lane-kind=tcp", "--bwlimit=1m", "s/", to];
        let output = hosts
            .command(RUNS_IT_HERE, &words)
            .env("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22")
            .output()
            .unwrap();
        check(&output, 0, if quiet { "" } else { "no lane could be made beside ssh" });
        assert_eq!(output.stderr.is_empty(), quiet);
    }
}

#[test]
fn names_that_a_shell_would_read_are_names() {
    let hosts = Hosts::new();
    let odd = "a  b'c\"$(touch x)\n;`touch x`";
    fs::rename(hosts.path().join("s"), hosts.path().join(odd)).unwrap();
    let agent = format!("--agent-path={LANESYNC}");
    let far = format!("h:{odd} 2");
    check(&hosts.run(RUNS_IT_HERE, &[&agent, "-H", &format!("{odd}/"), &far]), 0, "");
    let pulled = format!("h:{odd} 2/");
    check(&hosts.run(RUNS_IT_HERE, &[&agent, "-H", &pulled, "back"]), 0, "");
    assert_eq!(tree(&hosts.path().join("back")), tree(&hosts.path().join(odd)));
    assert!(!hosts.path().join("x").exists());
}

#[test]
fn an_agent_is_sent_where_there_is_none_and_found_the_next_time() {
    let hosts = Hosts::new();
    let cache = hosts.path().join(".cache/lanesync");
    for _ in 0..2 {
        check(&hosts.run(RUNS_IT_HERE, &["-H", "s/", "h:d"]), 0, "");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    }
    assert_eq!(tree(&hosts.path().join("s")), tree(&hosts.path().join("d")));
    let output = hosts.run(RUNS_IT_HERE, &["--no-upload", "s/", "h:e"]);
    check(&output, 127, "--no-upload forbids sending one");
    assert!(!hosts.path().join("e").exists());
}

#[test]
fn an_agent_that_is_killed_at_work_is_an_error() {
    let hosts = Hosts::new();
    fs::write(hosts.path().join("s/big"), vec![7; 8 << 20]).unwrap();
    // The one that writes ends itself when the first file is there.
    let agent =
        format!("--agent-path=(until [ -e d/f ]; do :; done; kill -9 $$) & exec {LANESYNC}");
    let output = hosts.run(RUNS_IT_HERE, &[&agent, "--bwlimit=1m", "s/", "h:d"]);
    check(&output, 12, "the agent on h");
    let left = fs::read_dir(hosts.path().join("d")).unwrap();
    assert!(left.map(|entry| entry.unwrap().file_name()).all(|name| name != "big"));
}

#[test]
fn a_remote_shell_that_fails_says_so_by_rsyncs_codes() {
    let hosts = Hosts::new();
    let run = |shell: &str| hosts.run(shell, &["s/", "h:d"]);
    check(&run("/nonexistent/rsh"), 14, "start the remote shell \"/nonexistent/rsh\"");
    check(&run("sh -c 'exit 255'"), 255, "could not log in");
    check(&run("sh -c 'exit 127'"), 127, "found no such command");
    check(&run("sh -c 'exit 3'"), 12, "exit status: 3");
    check(&run("yes"), 2, "prints more than 65536 bytes");
}

#[test]
fn an_agent_that_is_none_says_so_by_rsyncs_codes() {
    let hosts = Hosts::new();
    let run = |agent: &str| {
        let agent = format!("--agent-path={agent}");
        hosts.run(RUNS_IT_HERE, &[&agent, "s/", "h:d"])
    };
    check(&run("/nonexistent/lanesync"), 127, "the agent on h");
    check(&run("exit 255;"), 255, "the agent on h");
    check(&run("echo Welcome to h;"), 2, "printed \"Welcome to h");
    check(&run("kill -9 $$;"), 12, "the agent on h");
    check(&run("head -c 200 >&2; kill -9 $$;"), 12, "the agent on h");
}

#[test]
fn a_host_that_is_silent_is_given_up() {
    let hosts = Hosts::new();
    let words = ["--agent-path=exec sleep 600 #", "--contimeout=1", "s/", "h:d"];
    check(&hosts.run(RUNS_IT_HERE, &words), 30, "did not begin to speak within 1 s");
}

/// Bytes that look random and are the same on each run.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

/// What `--stats` says behind a word, in bytes.
fn stated(output: &Output, word: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{text}"));
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// A file that has changed since it was brought over.
struct Changed {
    hosts: Hosts,
    new: Vec<u8>,
}

impl Changed {
    fn new(old: &[u8], new: Vec<u8>) -> Self {
        let hosts = Hosts::new();
        fs::create_dir(hosts.path().join("from")).unwrap();
        fs::create_dir(hosts.path().join("to")).unwrap();
        fs::write(hosts.path().join("from/file"), &new).unwrap();
        fs::write(hosts.path().join("to/file"), old).unwrap();
        Self { hosts, new }
    }

    /// Brings it over, there or from there; it is the same then.
    #[track_caller]
    fn bring(&self, words: &[&str], from: &str, to: &str) -> Output {
        let agent = format!("--agent-path={LANESYNC}");
        let words = [&[&agent, "--stats", "-I"], words, &[from, to]].concat();
        let output = self.hosts.run(RUNS_IT_HERE, &words);
        check(&output, 0, "");
        assert!(fs::read(self.hosts.path().join("to/file")).unwrap() == self.new, "{words:?}");
        if !words.contains(&"--append-verify") {
            let both = stated(&output, "Literal data:") + stated(&output, "Matched data:");
            assert_eq!(both, self.new.len() as u64, "{words:?}");
        }
        output
    }
}

/// A changed file comes with so many literal bytes at most, pushed and pulled, beside the old one and
/// over it; and whole where that is asked for.
#[track_caller]
fn check_change(old: &[u8], new: &[u8], most_literal: usize) {
    for (from, to) in [("from/", "h:to"), ("h:from/", "to")] {
        for words in [&[][..], &["--inplace"], &["--no-W"], &["-B1000"], &["-S"]] {
            let changed = Changed::new(old, new.to_vec());
            let output = changed.bring(words, from, to);
            let literal = stated(&output, "Literal data:");
            assert!(literal <= most_literal as u64, "{words:?} {from}: {literal}");
            let wire =
                stated(&output, "Total bytes sent:") + stated(&output, "Total bytes received:");
            assert!(wire >= literal, "{wire}");
            assert!(wire < most_literal as u64 + 60_000, "{words:?} {from}: {wire}");
        }
    }
    let whole = Changed::new(old, new.to_vec()).bring(&["-W"], "h:from/", "to");
    assert_eq!(stated(&whole, "Literal data:"), new.len() as u64);
}

#[test]
fn of_a_changed_file_only_what_changed_is_sent() {
    let old = noise(3_000_000, 1);
    let mut changed = old.clone();
    changed[1_500_000..1_500_100].fill(7);
    check_change(&old, &changed, 10_000);
    let inserted = [&old[..1_000_000], &noise(5000, 2), &old[1_000_000..]].concat();
    // Over itself nothing can be copied that was written over: what moved forwards is sent.
    let changed = Changed::new(&old, inserted.clone());
    let output = changed.bring(&[], "from/", "h:to");
    assert!(stated(&output, "Literal data:") <= 10_000);
    changed.bring(&["--inplace"], "from/", "h:to");
    Changed::new(&old, inserted).bring(&["--inplace"], "h:from/", "to");
    check_change(&old, &old[200_000..], 10_000);
    check_change(&old, &old[..2_000_000], 10_000);
    check_change(&old, &[&old[..], &noise(70_000, 3)].concat(), 80_000);
    check_change(&old, &noise(2_000_000, 4), 2_000_000);
}

#[test]
fn a_small_file_is_fetched_whole_unless_deltas_are_asked_for() {
    let old = noise(20_000, 1);
    let mut new = old.clone();
    new[10_000] ^= 1;
    let output = Changed::new(&old, new.clone()).bring(&[], "h:from/", "to");
    assert_eq!(stated(&output, "Matched data:"), 0);
    let output = Changed::new(&old, new).bring(&["--no-W"], "h:from/", "to");
    assert!(stated(&output, "Literal data:") <= 704);
}

#[test]
fn a_big_file_is_made_of_the_old_one_by_many_workers() {
    let old = noise(70 << 20, 1);
    let mut new = [&old[..20 << 20], b"inserted", &old[20 << 20..]].concat();
    for at in (0..new.len()).step_by(1 << 20) {
        new[at] ^= 1;
    }
    for words in [&["--workers=4"][..], &["--workers=1"], &["--workers=4", "-B4096"]] {
        let changed = Changed::new(&old, new.clone());
        let output = changed.bring(words, "h:from/", "to");
        assert!(stated(&output, "Literal data:") < 1 << 20);
    }
    let changed = Changed::new(&old, new);
    let output = changed.bring(&["--inplace"], "h:from/", "to");
    // What is behind the insertion has moved forwards.
    assert!(stated(&output, "Literal data:") < 52 << 20);
}

#[test]
fn a_part_that_was_kept_is_gone_on_with() {
    let new = noise(3_000_000, 1);
    let hosts = Hosts::new();
    fs::create_dir_all(hosts.path().join("from")).unwrap();
    fs::create_dir_all(hosts.path().join("to/kept")).unwrap();
    fs::write(hosts.path().join("from/file"), &new).unwrap();
    fs::write(hosts.path().join("to/kept/file"), &new[..2_000_000]).unwrap();
    let changed = Changed { hosts, new: new.clone() };
    let output = changed.bring(&["--partial-dir=kept"], "h:from/", "to");
    assert!(stated(&output, "Literal data:") < 1_010_000);
    assert!(!changed.hosts.path().join("to/kept").exists());
    let changed = Changed::new(&new[..2_000_000], new.clone());
    let output = changed.bring(&["--append-verify"], "h:from/", "to");
    assert_eq!(stated(&output, "Total transferred file size:"), 3_000_000);
    let wire = stated(&output, "Total bytes received:");
    assert!(wire < 1_020_000, "{wire}");
}

#[test]
fn a_new_file_is_made_of_one_that_is_called_alike() {
    let old = noise(1_000_000, 1);
    for fuzzy in ["--fuzzy", "--no-fuzzy"] {
        let changed = Changed::new(&old, [&old[..], b"more"].concat());
        let to = changed.hosts.path().join("to");
        fs::rename(to.join("file"), to.join("file-1")).unwrap();
        fs::write(to.join("else.png"), noise(1_000_000, 2)).unwrap();
        let output = changed.bring(&[fuzzy], "h:from/", "to");
        let matched = stated(&output, "Matched data:");
        assert_eq!(matched > 990_000, fuzzy == "--fuzzy", "{matched}");
    }
    let changed = Changed::new(&old, [&old[..], b"more"].concat());
    let beside = changed.hosts.path().join("beside");
    fs::rename(changed.hosts.path().join("to"), &beside).unwrap();
    let output = changed.bring(&["--link-dest=../beside"], "h:from/", "to");
    assert!(stated(&output, "Matched data:") > 990_000);
}

#[test]
fn no_more_goes_over_the_wire_than_with_rsync() {
    let old = noise(64 << 20, 1);
    let mut new = old.clone();
    for at in (0..new.len()).step_by(1 << 20) {
        new[at..at + 10_486].fill(7);
    }
    let total = |output: &Output| {
        stated(output, "Total bytes sent:") + stated(output, "Total bytes received:")
    };
    for (from, to) in [("from/", "h:to"), ("h:from/", "to")] {
        let ours = total(&Changed::new(&old, new.clone()).bring(&[], from, to));
        let changed = Changed::new(&old, new.clone());
        let theirs = Command::new("rsync")
            .args(["-aI", "--stats", "-e", RUNS_IT_HERE, from, to])
            .current_dir(changed.hosts.path())
            .output()
            .unwrap();
        check(&theirs, 0, "");
        let theirs = total(&theirs);
        assert!(ours * 100 <= theirs * 105, "{from}: {ours} and with rsync {theirs}");
    }
}
