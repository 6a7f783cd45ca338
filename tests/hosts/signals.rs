//! Signals: whoever gets them, and whenever they come, the run ends with 20 and leaves nobody behind.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, tree};

/// Ctrl-C on a terminal.
pub(super) fn interrupt_all(run: &Child) {
    let group = Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
}

#[test]
fn a_signal_ends_both_sides() {
    for words in [["s/", "h:d"], ["h:s/", "d"]] {
        let hosts = Hosts::new();
        fs::write(hosts.path().join("s/big"), vec![7; 64 << 20]).unwrap();
        let agent = format!("--agent-path=echo $$ > pid; exec {LANESYNC}");
        let mut run = Command::new(LANESYNC)
            .args(["-a", "-e", RUNS_IT_HERE, &agent, "--bwlimit=1m"])
            .args(words)
            .current_dir(hosts.path())
            .spawn()
            .unwrap();
        while !hosts.path().join("d/f").exists() {
            thread::yield_now();
        }
        let pid = Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(20), "{words:?}");
        assert_eq!(tree(&hosts.path().join("d")).matches("big").count(), 0);
        wait_for_end_of_agent(&hosts);
    }
}

/// Of one that has written its number to a file.
fn wait_for_end_of_agent(hosts: &Hosts) {
    let agent = fs::read_to_string(hosts.path().join("pid")).unwrap();
    let agent = Path::new("/proc").join(agent.trim());
    while agent.join("exe").exists() {
        thread::yield_now();
    }
}

#[test]
fn an_agent_that_waits_for_a_list_ends_with_its_session() {
    for words in [["--files-from=:list", "h:s/", "d"], ["--files-from=h:list", "s/", "h:d"]] {
        let hosts = Hosts::new();
        let made = Command::new("mkfifo").arg("list").current_dir(hosts.path()).status();
        assert!(made.unwrap().success());
        let agent = format!("--agent-path=echo $$ > pid; exec {LANESYNC}");
        let mut run =
            hosts.command(RUNS_IT_HERE, &[&[&*agent], &words[..]].concat()).spawn().unwrap();
        // Until the agent reads what nobody writes.
        let _writer = fs::OpenOptions::new().write(true).open(hosts.path().join("list")).unwrap();
        kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
        run.wait().unwrap();
        wait_for_end_of_agent(&hosts);
    }
}

/// What is told at the end takes longer on its way than an agent waits that has nothing more to do.
#[test]
fn a_slow_way_back_loses_nothing_of_what_is_told() {
    const FILES: usize = 2000;
    let hosts = Hosts::new();
    for number in 0..FILES {
        fs::write(hosts.path().join(format!("s/{number:0200}")), "").unwrap();
    }
    let drops = "while dd bs=4096 count=1 of=drop 2>/dev/null && [ -s drop ]; do \
                 cat drop; sleep 0.06; done";
    let slow = format!("sh -c 'shift; eval \"$*\" | {{ {drops}; }}' stand-in");
    let agent = format!("--agent-path={LANESYNC}");
    let ran =
        hosts.command(&slow, &["-v", "--lane-kind=ssh", &agent, "s/", "h:d"]).output().unwrap();
    check(&ran, 0, "");
    let told = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(told.lines().filter(|line| line.starts_with("0000")).count(), FILES);
    assert!(told.contains("total size is"), "{told}");
}

#[test]
fn a_signal_to_the_remote_shell_as_well_is_one_signal() {
    for words in [["s/", "h:d"], ["h:s/", "d"]] {
        let hosts = Hosts::new();
        fs::write(hosts.path().join("s/big"), vec![7; 64 << 20]).unwrap();
        let agent = format!("--agent-path={LANESYNC}");
        let run = hosts
            .command(RUNS_IT_HERE, &[&[&*agent, "--bwlimit=1m"], &words[..]].concat())
            .process_group(0)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !hosts.path().join("d/f").exists() {
            thread::yield_now();
        }
        interrupt_all(&run);
        check(&run.wait_with_output().unwrap(), 20, "the run was interrupted");
    }
}

#[test]
fn a_signal_ends_a_run_that_waits_for_its_remote_shell() {
    let prompts = "sh -c 'touch asked; exec sleep 600'";
    for agent in ["--upload", &format!("--agent-path={LANESYNC}")] {
        for words in [["s/", "h:d"], ["h:s/", "d"]] {
            for interrupt in [interrupt_all, |run: &Child| {
                kill_process(Pid::from_child(run), Signal::TERM).unwrap();
            }] {
                let hosts = Hosts::new();
                let run = hosts
                    .command(prompts, &[&[agent], &words[..]].concat())
                    .process_group(0)
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                while !hosts.path().join("asked").exists() {
                    thread::yield_now();
                }
                interrupt(&run);
                check(&run.wait_with_output().unwrap(), 20, "");
            }
        }
    }
}
