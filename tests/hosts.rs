//! Another host: reached through a remote shell, of which a stand-in takes the place.
//!
//! The stand-in runs the command on this host, as rsync's tests do it, so that all of it is there but
//! the network: the shell, the script that starts an agent, the session, and two processes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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
        fs::create_dir(scratch.path().join("s")).unwrap();
        fs::write(scratch.path().join("s/f"), "content").unwrap();
        Self { scratch }
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs lanesync with a remote shell.
    fn run(&self, shell: &str, words: &[&str]) -> Output {
        Command::new(LANESYNC)
            .args(["-a", "-e", shell])
            .args(words)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .output()
            .unwrap()
    }
}

/// Ends with this code and says this.
#[track_caller]
fn check(output: &Output, code: i32, says: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(says), "{stderr}");
}

#[test]
fn an_agent_that_is_named_does_the_work() {
    let hosts = Hosts::new();
    let agent = format!("--agent-path={LANESYNC}");
    let output = hosts.run(RUNS_IT_HERE, &[&agent, "s/", "h:d"]);
    check(&output, 4, "lanesync: a source on another host is not brought over yet");
    assert!(!hosts.path().join("d").exists());
}

#[test]
fn an_agent_is_sent_where_there_is_none_and_found_the_next_time() {
    let hosts = Hosts::new();
    let cache = hosts.path().join(".cache/lanesync");
    for _ in 0..2 {
        let output = hosts.run(RUNS_IT_HERE, &["s/", "h:d"]);
        check(&output, 4, "lanesync: a source on another host is not brought over yet");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    }
    let output = hosts.run(RUNS_IT_HERE, &["--no-upload", "s/", "h:d"]);
    check(&output, 127, "--no-upload forbids sending one");
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
