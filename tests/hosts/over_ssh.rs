//! The real ssh, client and server, between two folders of this host.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::signals::interrupt_all;
use super::sshd::{Sshd, put_command};
use super::{Hosts, LANESYNC, check, noise, tree};

/// Both ways, and back again: the copy of the copy is the source.
#[track_caller]
fn check_there_and_back(hosts: &Hosts, sshd: &Sshd, words: &[&str]) {
    for paths in [["s/", "h:there"], ["h:there/", "back"]] {
        let output = hosts.run(&sshd.shell(), &[&["-H"], words, &paths].concat());
        check(&output, 0, "");
    }
    assert_eq!(tree(&hosts.path().join("back")), tree(&hosts.path().join("s")));
}

/// The agents that are in the cache of the other host.
fn cached(hosts: &Hosts) -> Vec<(String, u64)> {
    let Ok(cache) = fs::read_dir(hosts.path().join(".cache/lanesync")) else { return Vec::new() };
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    cache.map(Result::unwrap).map(|entry| (name(&entry), entry.metadata().unwrap().ino())).collect()
}

#[test]
fn an_agent_is_sent_over_ssh_once_and_works_both_ways() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    let refused = hosts.run(&sshd.shell(), &["--no-upload", "s/", "h:there"]);
    check(&refused, 127, "--no-upload forbids sending one");
    assert_eq!(cached(&hosts), []);
    check_there_and_back(&hosts, &sshd, &[]);
    let sent = cached(&hosts);
    assert_eq!(sent.len(), 1, "{sent:?}");
    check_there_and_back(&hosts, &sshd, &[]);
    assert_eq!(cached(&hosts), sent);
}

#[test]
fn one_login_at_a_time_with_one_session_is_enough() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "MaxStartups 1\nMaxSessions 1");
    check_there_and_back(&hosts, &sshd, &[]);
}

#[test]
fn names_that_any_shell_on_the_way_would_read_are_names() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    let odd = "a  b'c\"$(touch x)\n;`touch x` \\";
    fs::rename(hosts.path().join("s"), hosts.path().join(odd)).unwrap();
    let agent = format!("--agent-path={LANESYNC}");
    let far = format!("h:{odd} 2");
    check(&hosts.run(&sshd.shell(), &[&agent, "-H", &format!("{odd}/"), &far]), 0, "");
    let pulled = format!("h:{odd} 2/");
    check(&hosts.run(&sshd.shell(), &[&agent, "-H", &pulled, &format!("{odd} 3")]), 0, "");
    let at = |name: &str| tree(&hosts.path().join(name));
    assert_eq!(at(&format!("{odd} 3")), at(odd));
    assert!(!hosts.path().join("x").exists());
}

#[test]
fn a_host_that_is_not_the_one_that_is_known_gets_nothing() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    let other = fs::read_to_string(sshd.path("user_key.pub")).unwrap();
    fs::write(sshd.path("known_hosts"), format!("server {other}")).unwrap();
    let output = hosts.run(&sshd.shell(), &["s/", "h:there"]);
    check(&output, 255, "Host key verification failed");
    check(&output, 255, "could not log in");
    assert!(!hosts.path().join("there").exists());
}

#[test]
fn a_login_that_is_refused_is_told_as_ssh_tells_it() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    fs::write(sshd.path("authorized"), "").unwrap();
    for paths in [["s/", "h:there"], ["h:s/", "there"]] {
        let output = hosts.run(&sshd.shell(), &paths);
        check(&output, 255, "Permission denied");
        check(&output, 255, "could not log in");
    }
    // A port on which nobody listens.
    sshd.set_port(1);
    let output = hosts.run(&sshd.shell(), &["s/", "h:there"]);
    check(&output, 255, "Connection refused");
    assert!(!hosts.path().join("there").exists());
}

/// A job that is slow enough to be disturbed when its first file is there.
fn begin(hosts: &Hosts, sshd: &Sshd, paths: [&str; 2]) -> Child {
    fs::write(hosts.path().join("s/zz"), vec![7; 64 << 20]).unwrap();
    let agent = format!("--agent-path=echo $$ > pid; exec {LANESYNC}");
    let run = Command::new(LANESYNC)
        .args(["-aH", "-e", &sshd.shell(), &agent, "--bwlimit=1m"])
        .args(paths)
        .current_dir(hosts.path())
        .process_group(0)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !hosts.path().join("d/f").exists() {
        thread::yield_now();
    }
    run
}

/// The agent of a job that was begun.
fn agent_of(hosts: &Hosts) -> i32 {
    fs::read_to_string(hosts.path().join("pid")).unwrap().trim().parse().unwrap()
}

/// Waits until there is no such process; what has ended and is not waited for is none.
fn wait_for_end(pid: i32) {
    while Path::new("/proc").join(pid.to_string()).join("exe").exists() {
        thread::yield_now();
    }
}

/// What there is is whole, and the next run makes it complete.
#[track_caller]
fn check_goes_on(hosts: &Hosts, sshd: &Sshd, paths: [&str; 2]) {
    let at = hosts.path().join("d");
    for entry in fs::read_dir(&at).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        assert!(["f", "a", "link"].contains(&name.as_str()), "{name}");
    }
    let agent = format!("--agent-path={LANESYNC}");
    check(&hosts.run(&sshd.shell(), &[&[&*agent, "-H"], &paths[..]].concat()), 0, "");
    assert_eq!(tree(&at), tree(&hosts.path().join("s")));
}

const BOTH_WAYS: [[&str; 2]; 2] = [["s/", "h:d"], ["h:s/", "d"]];

#[test]
fn an_agent_that_is_killed_at_work_tears_nothing() {
    for paths in BOTH_WAYS {
        let hosts = Hosts::new();
        let sshd = Sshd::start(hosts.path(), "");
        let run = begin(&hosts, &sshd, paths);
        let agent = rustix::process::Pid::from_raw(agent_of(&hosts)).unwrap();
        rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
        // ssh ends so where what it started was killed. rsync tells 255, 12 or 10, whatever it meets first.
        check(&run.wait_with_output().unwrap(), 255, "the agent on h");
        check_goes_on(&hosts, &sshd, paths);
    }
}

#[test]
fn a_connection_that_is_cut_leaves_no_agent_and_tears_nothing() {
    for paths in BOTH_WAYS {
        let hosts = Hosts::new();
        let sshd = Sshd::start(hosts.path(), "");
        let wire = sshd.wire();
        let run = begin(&hosts, &sshd, paths);
        wire.cut();
        // As with rsync it is ssh that says so.
        check(&run.wait_with_output().unwrap(), 255, "the agent on h");
        wait_for_end(agent_of(&hosts));
        check_goes_on(&hosts, &sshd, paths);
    }
}

#[test]
fn a_wire_that_changes_a_bit_ends_the_run_and_tears_nothing() {
    for paths in BOTH_WAYS {
        let hosts = Hosts::new();
        let sshd = Sshd::start(hosts.path(), "");
        let wire = sshd.wire();
        let run = begin(&hosts, &sshd, paths);
        wire.flip();
        check(&run.wait_with_output().unwrap(), 255, "the agent on h");
        wait_for_end(agent_of(&hosts));
        check_goes_on(&hosts, &sshd, paths);
    }
}

#[test]
fn a_network_that_is_cut_or_changes_a_bit_and_is_had_again_is_waited_for() {
    for paths in BOTH_WAYS {
        let hosts = Hosts::new();
        let sshd = Sshd::start(hosts.path(), "");
        let wire = sshd.wire();
        fs::write(hosts.path().join("s/zz"), noise(8 << 20, 1)).unwrap();
        let agent = format!("--agent-path={LANESYNC}");
        let words = ["-H", &agent, "--bwlimit=2m", "--reconnect=1m"];
        let run = hosts
            .command(&sshd.shell(), &[&words[..], &paths].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !hosts.path().join("d/f").exists() {
            thread::yield_now();
        }
        wire.cut();
        while wire.is_cut() {
            thread::yield_now();
        }
        wire.flip();
        check(&run.wait_with_output().unwrap(), 0, "the agent on h");
        assert_eq!(tree(&hosts.path().join("d")), tree(&hosts.path().join("s")));
    }
}

#[test]
fn ctrl_c_ends_ssh_as_well_and_is_told_as_an_interruption() {
    for paths in BOTH_WAYS {
        let hosts = Hosts::new();
        let sshd = Sshd::start(hosts.path(), "");
        let run = begin(&hosts, &sshd, paths);
        interrupt_all(&run);
        check(&run.wait_with_output().unwrap(), 20, "");
        wait_for_end(agent_of(&hosts));
        check_goes_on(&hosts, &sshd, paths);
    }
}

#[test]
fn a_client_that_is_killed_leaves_no_agent() {
    for paths in BOTH_WAYS {
        let hosts = Hosts::new();
        let sshd = Sshd::start(hosts.path(), "");
        let mut run = begin(&hosts, &sshd, paths);
        run.kill().unwrap();
        run.wait().unwrap();
        wait_for_end(agent_of(&hosts));
        check_goes_on(&hosts, &sshd, paths);
    }
}

#[test]
fn an_agent_of_another_revision_is_told_in_one_sentence() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    let speaks = r"printf '\215LANE\r\n\n\377\377\0050.9.9\000\000'; cat >/dev/null; :";
    let agent = format!("--agent-path={speaks}");
    let ours = hosts.run(&sshd.shell(), &[&agent, "s/", "h:there"]);
    check(&ours, 2, "speaks revision 65535 of the protocol (lanesync 0.9.9), this one revision");
    let stderr = String::from_utf8_lossy(&ours.stderr);
    assert_eq!(stderr.matches("revision").count(), 2, "{stderr}");
}

#[test]
fn a_host_of_another_kind_is_named() {
    let hosts = Hosts::new();
    put_command(&hosts.path().join("bin"), "uname", "#!/bin/sh\necho Plan9$1\n");
    let sshd = Sshd::start(hosts.path(), "");
    let shell =
        format!("sh -c 'host=$1; shift; exec {} $host PATH=bin:$PATH \"$@\"' -", sshd.shell());
    let output = hosts.run(&shell, &["s/", "h:there"]);
    check(&output, 4, "not on Plan9-s Plan9-m; install one built for Plan9-s Plan9-m there");
    assert_eq!(cached(&hosts), []);
}

/// A program in the cache under the name of the agent, which tells that it ran.
fn plant(hosts: &Hosts, name: &str) {
    let ran = hosts.path().join("ran");
    let text = format!(
        "#!/bin/sh\ntouch '{}'\ncase $2 in --hash) echo ${{0##*-}};; esac\n",
        ran.display()
    );
    put_command(&hosts.path().join(".cache/lanesync"), name, &text);
}

#[test]
fn a_cached_agent_that_others_could_have_put_there_does_not_run() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    check(&hosts.run(&sshd.shell(), &["s/", "h:there"]), 0, "");
    let sent = cached(&hosts);
    let [(name, _)] = &sent[..] else { panic!("one was sent: {sent:?}") };
    let cache = hosts.path().join(".cache/lanesync");
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let sabotages: [(&str, &dyn Fn()); 4] = [
        ("a folder that all may write to", &|| set_mode(&cache, 0o777)),
        ("a folder that a group may write to", &|| set_mode(&cache, 0o770)),
        ("a program that all may write to", &|| set_mode(&cache.join(name), 0o757)),
        ("a link", &|| {
            fs::rename(cache.join(name), hosts.path().join("planted")).unwrap();
            symlink(hosts.path().join("planted"), cache.join(name)).unwrap();
        }),
    ];
    for (what, sabotage) in sabotages {
        plant(&hosts, name);
        sabotage();
        check(&hosts.run(&sshd.shell(), &["s/", "h:there"]), 0, "");
        assert!(!hosts.path().join("ran").exists(), "{what}");
        assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o700, "{what}");
        fs::remove_file(cache.join(name)).unwrap();
    }
}

#[test]
fn a_cache_that_is_a_link_is_refused() {
    let hosts = Hosts::new();
    let sshd = Sshd::start(hosts.path(), "");
    fs::create_dir_all(hosts.path().join(".cache")).unwrap();
    fs::create_dir(hosts.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", hosts.path().join(".cache/lanesync")).unwrap();
    let output = hosts.run(&sshd.shell(), &["s/", "h:there"]);
    check(&output, 11, "is not a directory of this user");
    assert_eq!(fs::read_dir(hosts.path().join("elsewhere")).unwrap().count(), 0);
}
