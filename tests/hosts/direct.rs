//! From one other host to another, without a detour by this one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::readlinkat;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};

use super::signals::interrupt_all;
use super::sshd::Sshd;
use super::{Hosts, LANESYNC, check, noise, tree};

/// Each host is a folder of its name. What goes through its remote shell is kept there, and sshd(8) tells the
/// agent of a connection over the loopback device, unless the folder has something else to tell.
const SHELL: &str = r#"sh -c 'cd "$1" && export HOME="$PWD" && shift && if [ -e told ]; then export SSH_CONNECTION="$(cat told)"; else export SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22"; fi; tee -a in | sh -c "$*" | tee -a out' stand-in"#;

/// The same, with nothing between: who is killed is the agent's shell as well.
const PLAIN: &str = r#"sh -c 'cd "$1" && export HOME="$PWD" && shift && export SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22" && exec sh -c "$*"' stand-in"#;

const COUNTED: &str =
    concat!("--agent-path=echo $$ >> pids; exec ", env!("CARGO_BIN_EXE_lanesync"));

/// More than all that is told beside content.
const MUCH: u64 = 1 << 20;

/// Two hosts, of which the first has the source.
struct Two(Hosts);

impl Two {
    fn new(big: usize) -> Self {
        let hosts = Hosts::new();
        for name in ["one", "two"] {
            fs::create_dir(hosts.path().join(name)).unwrap();
        }
        fs::rename(hosts.path().join("s"), hosts.path().join("one/s")).unwrap();
        let two = Self(hosts);
        fs::write(two.path("one/s/zz"), noise(big, 1)).unwrap();
        two
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, shell: &str, words: &[&str]) -> Command {
        self.0.command(shell, &[&["-H", COUNTED], words, &["one:s/", "two:d"]].concat())
    }

    /// Bytes that came by here: from the one host, and to the other.
    fn detoured(&self) -> [u64; 2] {
        ["one/out", "two/in"].map(|name| fs::metadata(self.path(name)).unwrap().len())
    }

    #[track_caller]
    fn check_is_there(&self) {
        assert_eq!(tree(&self.path("two/d")), tree(&self.path("one/s")));
    }

    /// Begins a job that would take long, and waits until it is at work: the two hosts have met by then.
    fn begin(&self, words: &[&str]) -> Child {
        let mut run = self
            .command(PLAIN, &[&["--bwlimit=2m"], words].concat())
            .process_group(0)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !self.path("two/d").exists() {
            assert!(run.try_wait().unwrap().is_none(), "it ended before it was at work");
            thread::yield_now();
        }
        run
    }

    /// The agent that was started last.
    fn agent(&self, host: &str) -> Pid {
        let pids = fs::read_to_string(self.path(host).join("pids")).unwrap();
        Pid::from_raw(pids.lines().last().unwrap().parse().unwrap()).unwrap()
    }

    fn wait_until_no_agent_is_left(&self) {
        for host in ["one", "two"] {
            let process = Path::new("/proc").join(self.agent(host).as_raw_nonzero().to_string());
            while process.join("exe").exists() {
                thread::yield_now();
            }
        }
    }

    /// Nothing that is not whole has its name.
    #[track_caller]
    fn check_is_not_torn(&self) {
        assert!(!self.path("two/d/zz").exists());
    }
}

/// Descriptors of a process that are sockets: it has no others but those from host to host.
fn sockets_of(pid: Pid) -> Vec<PathBuf> {
    let is_socket = |path: &PathBuf| {
        let to = readlinkat(rustix::fs::CWD, path, Vec::new());
        to.is_ok_and(|to| to.to_bytes().starts_with(b"socket:"))
    };
    let fds = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap();
    fds.map(|entry| entry.unwrap().path()).filter(is_socket).collect()
}

/// Ends all connections of a process: it has no others but those from host to host.
fn cut_connections_of(pid: Pid) {
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let sockets = sockets_of(pid);
    assert!(!sockets.is_empty(), "there is no connection");
    for path in sockets {
        let fd = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        if let Ok(socket) = pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()) {
            // One that listens has nobody at its other end.
            shutdown(&socket, Shutdown::Both).ok();
        }
    }
}

#[test]
fn content_goes_from_host_to_host_and_not_by_here() {
    for words in [
        &[][..],
        &["--lanes-from=here", "--lanes=2"],
        &["--lanes-from=there", "--lane-kind=tcp"],
        &["--lane-kind=quic"],
        &["--lane-kind=quic", "--lanes-from=there"],
        &["-z", "-4"],
    ] {
        let two = Two::new(12 << 20);
        let output = two.command(SHELL, words).output().unwrap();
        check(&output, 0, "");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        two.check_is_there();
        let detoured = two.detoured();
        assert!(detoured.iter().all(|bytes| *bytes < MUCH), "{words:?}: {detoured:?}");
    }
}

#[test]
fn what_is_sent_is_counted_wherever_it_goes() {
    for words in [&[][..], &["--lane-kind=ssh"]] {
        let two = Two::new(12 << 20);
        let output = two.command(SHELL, &[&["--stats"], words].concat()).output().unwrap();
        check(&output, 0, "");
        let sent = super::stated(&output, "Total bytes sent: ");
        assert!((12 << 20..14 << 20).contains(&sent), "{words:?}: {sent}");
    }
}

#[test]
fn an_image_goes_from_host_to_host_and_not_by_here() {
    let two = Two::new(0);
    let content = noise(12 << 20, 7);
    fs::write(two.path("one/image"), &content).unwrap();
    fs::write(two.path("two/copy"), vec![0; 12 << 20]).unwrap();
    let output = Command::new(LANESYNC)
        .args(["blocks", "-e", SHELL, COUNTED, "one:image", "two:copy"])
        .current_dir(two.0.path())
        .output()
        .unwrap();
    check(&output, 0, "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(fs::read(two.path("two/copy")).unwrap() == content);
    let detoured = two.detoured();
    assert!(detoured.iter().all(|bytes| *bytes < MUCH), "{detoured:?}");
}

#[test]
fn hosts_that_ssh_reaches_meet() {
    let hosts = Hosts::new();
    fs::write(hosts.path().join("s/zz"), noise(12 << 20, 1)).unwrap();
    let sshd = Sshd::start(hosts.path(), "");
    // What the server says to its client, which is all that could be content, is kept.
    let agent = format!("--agent-path=f() {{ {LANESYNC} \"$@\" | tee -a out; }}; tee -a in | f");
    let output = hosts.run(&sshd.shell(), &["-H", &agent, "h:s/", "i:d"]);
    check(&output, 0, "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
    for name in ["in", "out"] {
        let bytes = fs::metadata(hosts.path().join(name)).unwrap().len();
        assert!(0 < bytes && bytes < MUCH, "{name}: {bytes}");
    }
}

#[test]
fn hosts_that_do_not_reach_each_other_are_served_by_this_one_and_one_line_says_so() {
    for volume in ["-H", "-q"] {
        let two = Two::new(3 << 20);
        // Who is reached at another address than its own network's does not look there for the other one.
        fs::write(two.path("one/told"), "127.0.0.1 1 198.51.100.7 22").unwrap();
        let output = two.command(SHELL, &[volume, "--lanes-from=there"]).output().unwrap();
        check(&output, 0, "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let says = "lanesync: content goes from one to two through this host, since they do not reach each \
                    other: from two: the other host did not connect; \
                    from one: no address of the other host is known\n";
        assert_eq!(stderr, if volume == "-q" { "" } else { says });
        two.check_is_there();
    }
}

#[test]
fn who_wants_no_port_opened_gets_none() {
    let two = Two::new(3 << 20);
    let output = two.command(SHELL, &["--lane-kind=ssh"]).output().unwrap();
    check(&output, 0, "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    two.check_is_there();
    assert!(two.detoured().iter().all(|bytes| *bytes > 3 << 20));
}

#[test]
fn a_connection_from_host_to_host_that_is_cut_is_an_error_that_names_both() {
    for host in ["one", "two"] {
        let two = Two::new(64 << 20);
        let run = two.begin(&[]);
        cut_connections_of(two.agent(host));
        let output = run.wait_with_output().unwrap();
        check(&output, 12, "source: two asked one itself, and could not go on: the connection ");
        two.check_is_not_torn();
        two.wait_until_no_agent_is_left();
    }
}

#[test]
fn a_connection_from_host_to_host_that_is_cut_is_made_again() {
    let two = Two::new(6 << 20);
    let run = two.begin(&["--reconnect=1m"]);
    cut_connections_of(two.agent("one"));
    let output = run.wait_with_output().unwrap();
    check(&output, 0, "the session with two is lost; trying again");
    two.check_is_there();
    two.wait_until_no_agent_is_left();
}

#[test]
fn an_agent_that_is_killed_is_an_error_that_names_it_and_leaves_no_other() {
    for host in ["one", "two"] {
        let two = Two::new(64 << 20);
        let run = two.begin(&[]);
        kill_process(two.agent(host), Signal::KILL).unwrap();
        let output = run.wait_with_output().unwrap();
        check(&output, 12, &format!("the agent on {host}"));
        two.check_is_not_torn();
        two.wait_until_no_agent_is_left();
    }
}

#[test]
fn a_run_that_is_killed_or_interrupted_leaves_no_agent() {
    let two = Two::new(64 << 20);
    let mut run = two.begin(&[]);
    run.kill().unwrap();
    run.wait().unwrap();
    two.wait_until_no_agent_is_left();
    two.check_is_not_torn();
    let two = Two::new(64 << 20);
    let run = two.begin(&[]);
    interrupt_all(&run);
    let output = run.wait_with_output().unwrap();
    check(&output, 20, "");
    two.wait_until_no_agent_is_left();
    two.check_is_not_torn();
}

/// One that is called ssh, and does not come to an end over a host's name.
const SLOW_SSH: &str = r#"#!/bin/sh
if [ "$1" = -G ]; then echo $$ >> asked; exec sleep 30; fi
exec sh -c 'cd "$1" && export HOME="$PWD" SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22" && shift && exec sh -c "$*"' stand-in "$@"
"#;

#[test]
fn nobody_waits_for_a_name_that_is_not_found() {
    let two = Two::new(0);
    fs::write(two.path("ssh"), SLOW_SSH).unwrap();
    fs::set_permissions(two.path("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = two.command(two.path("ssh").to_str().unwrap(), &[]).output().unwrap();
    check(&output, 0, "");
    two.check_is_there();
    // They would have ended by then if somebody had waited for them.
    let asked = fs::read_to_string(two.path("asked")).unwrap();
    assert!(asked.lines().count() >= 2, "{asked}");
    for pid in asked.lines().take(2) {
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).expect("it was waited for");
    }
}

#[test]
fn a_source_that_is_silent_is_given_up() {
    let two = Two::new(64 << 20);
    let run = two.begin(&["--timeout=2"]);
    let source = two.agent("one");
    kill_process(source, Signal::STOP).unwrap();
    let output = run.wait_with_output().unwrap();
    kill_process(source, Signal::CONT).unwrap();
    check(&output, 30, "one");
    two.check_is_not_torn();
    two.wait_until_no_agent_is_left();
}

/// It cannot take less, however fast the machine is.
#[test]
fn who_sends_to_the_other_host_keeps_to_the_limit() {
    let two = Two::new(3 << 20);
    let begun = Instant::now();
    let output = two.command(SHELL, &["--bwlimit=1m"]).output().unwrap();
    check(&output, 0, "");
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    two.check_is_there();
    assert!(two.detoured().iter().all(|bytes| *bytes < MUCH));
}

#[test]
fn a_host_is_its_own_neighbour() {
    let two = Two::new(3 << 20);
    let paths = ["-a", "-e", SHELL, COUNTED, "one:s/", "one:d"];
    let output = Command::new(LANESYNC).args(paths).current_dir(two.0.path()).output().unwrap();
    check(&output, 0, "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(fs::read(two.path("one/d/zz")).unwrap() == fs::read(two.path("one/s/zz")).unwrap());
    assert!(fs::metadata(two.path("one/out")).unwrap().len() < MUCH);
}
