//! Lanes that are logins of their own (`--lane-kind=ssh --lanes=NUM`).

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::signals::interrupt_all;
use super::sshd::Sshd;
use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, connections_at, noise, tree};

const BOTH_WAYS: [[&str; 2]; 2] = [["s/", "h:d"], ["h:s/", "d"]];

const THREE: [&str; 3] = ["-H", "--lane-kind=ssh", "--lanes=3"];

/// An agent that tells of each process of it that is started, in the order in which they are.
const COUNTED: &str =
    concat!("--agent-path=echo $$ >> pids; exec ", env!("CARGO_BIN_EXE_lanesync"));

fn hosts_with(big: usize) -> Hosts {
    let hosts = Hosts::new();
    fs::write(hosts.path().join("s/big"), noise(big, 1)).unwrap();
    hosts
}

/// Processes of the agent that were started.
fn pids(hosts: &Hosts) -> Vec<Pid> {
    let told = fs::read_to_string(hosts.path().join("pids")).unwrap_or_default();
    // The last line may be on its way.
    let lines = told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.map(|line| Pid::from_raw(line.parse().unwrap()).unwrap()).collect()
}

/// Starts a job of three lanes, and waits until they are begun.
fn begin(hosts: &Hosts, paths: [&str; 2]) -> Child {
    let words = [&THREE[..], &[COUNTED, "--bwlimit=2m"], &paths].concat();
    let mut run = hosts
        .command(RUNS_IT_HERE, &words)
        .process_group(0)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while pids(hosts).len() < 3 {
        assert!(run.try_wait().unwrap().is_none(), "it ended without its lanes");
        thread::yield_now();
    }
    run
}

fn exists(pid: Pid) -> bool {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("exe").exists()
}

fn wait_until_none_is_left(hosts: &Hosts) {
    while pids(hosts).into_iter().any(exists) {
        thread::yield_now();
    }
}

#[test]
fn further_logins_carry_what_is_brought_over() {
    // What the processes of further logins say, and what they are told.
    let told = r#"sh -c 'shift; case "$*" in *--lane) tee -a in | sh -c "$*" | tee -a out;; *) exec sh -c "$*";; esac' stand-in"#;
    for paths in BOTH_WAYS {
        let hosts = hosts_with(24 << 20);
        let words = [&THREE[..], &[COUNTED, "--bwlimit=16m"], &paths].concat();
        let output = hosts.run(told, &words);
        check(&output, 0, "");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{paths:?}");
        assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
        assert_eq!(pids(&hosts).len(), 3);
        let carried = ["in", "out"].map(|name| fs::read(hosts.path().join(name)).unwrap().len());
        assert!(carried.iter().max().unwrap() > &(1 << 20), "{paths:?}: {carried:?}");
    }
}

#[test]
fn the_agent_that_was_sent_is_found_by_further_logins() {
    let shell = r#"sh -c 'shift; echo >> calls; exec sh -c "$*"' stand-in"#;
    let hosts = hosts_with(3_000_000);
    let output = hosts.run(shell, &[&THREE[..], &["--bwlimit=2m", "s/", "h:d"]].concat());
    check(&output, 0, "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(fs::read(hosts.path().join("calls")).unwrap().len(), 3);
    assert_eq!(fs::read_dir(hosts.path().join(".cache/lanesync")).unwrap().count(), 1);
    assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
}

#[test]
fn logins_that_end_lose_nothing_and_are_told() {
    for paths in BOTH_WAYS {
        let hosts = hosts_with(6_000_000);
        let run = begin(&hosts, paths);
        for pid in &pids(&hosts)[1..] {
            kill_process(*pid, Signal::KILL).unwrap();
        }
        let output = run.wait_with_output().unwrap();
        check(&output, 0, "");
        assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
        assert!(pids(&hosts).len() > 3, "{paths:?}: no lane took the place of one that was lost");
    }
}

#[test]
fn where_no_further_login_is_let_in_one_line_says_so() {
    let shell = r#"sh -c 'shift; mkdir first || { echo go away >&2; exit 255; }; exec sh -c "$*"' stand-in"#;
    for volume in ["-H", "-q"] {
        let hosts = hosts_with(5_000_000);
        let agent = format!("--agent-path={LANESYNC}");
        let words = [&THREE[..], &[volume, &agent, "--bwlimit=2m", "s/", "h:d"]].concat();
        let output = hosts.run(shell, &words);
        check(&output, 0, "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let says = "lanesync: 1 of 3 lanes over ssh are up, and the job goes on with so many: \
                    sh ended: exit status: 255: go away\n";
        assert_eq!(stderr, if volume == "-q" { "" } else { says });
        assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
    }
}

#[test]
fn nothing_is_left_of_further_logins_when_the_run_is_killed_or_interrupted() {
    for paths in BOTH_WAYS {
        let hosts = hosts_with(64 << 20);
        let mut run = begin(&hosts, paths);
        run.kill().unwrap();
        run.wait().unwrap();
        wait_until_none_is_left(&hosts);
        let hosts = hosts_with(64 << 20);
        let run = begin(&hosts, paths);
        interrupt_all(&run);
        let output = run.wait_with_output().unwrap();
        check(&output, 20, "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("broke") && !stderr.contains("are up"), "{stderr}");
        wait_until_none_is_left(&hosts);
    }
}

#[test]
fn a_lane_is_for_a_process_that_lanesync_has_started() {
    let mut knocks = Command::new(LANESYNC);
    let output = knocks.args(["agent", "--lane"]).stdin(Stdio::null()).output().unwrap();
    check(&output, 12, "agent: join another one");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("lanesync-bootstrap no "));
}

#[test]
fn with_ssh_each_is_a_connection_of_its_own_and_one_is_made_at_a_time() {
    let hosts = hosts_with(6_000_000);
    let sshd = Sshd::start(hosts.path(), "MaxStartups 1\nMaxSessions 1");
    let client = sshd.path("client");
    let mut config = fs::read_to_string(&client).unwrap();
    let socket = sshd.path("master");
    write!(config, "ControlMaster auto\nControlPath {}\n", socket.display()).unwrap();
    fs::write(&client, config).unwrap();
    for paths in [["s/", "h:d"], ["h:s/", "e"]] {
        let words = [&THREE[..], &[COUNTED, "--bwlimit=2m"], &paths].concat();
        let mut command = hosts.command(&sshd.shell(), &words);
        let mut run = command.stderr(Stdio::piped()).spawn().unwrap();
        while connections_at(sshd.port()) < 3 {
            assert!(run.try_wait().unwrap().is_none(), "it ended without its lanes");
            thread::yield_now();
        }
        let output = run.wait_with_output().unwrap();
        check(&output, 0, "");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{paths:?}");
    }
    for copy in ["d", "e"] {
        assert_eq!(tree(&hosts.path().join(copy)), tree(&hosts.path().join("s")));
    }
}

#[test]
fn nobody_is_asked_for_a_password_for_a_further_login() {
    let hosts = hosts_with(5_000_000);
    let sshd = Sshd::start(hosts.path(), "PasswordAuthentication yes");
    let authorized = sshd.path("authorized");
    let agent = format!("--agent-path=: > {}; exec {LANESYNC}", authorized.display());
    let output = hosts
        .command(&sshd.shell(), &[&THREE[..], &[&agent, "--bwlimit=2m", "s/", "h:d"]].concat())
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("SSH_ASKPASS", "/nonexistent/asks")
        .output()
        .unwrap();
    check(&output, 0, "1 of 3 lanes over ssh are up");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("Permission denied") && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
}
