//! From one other host to another: by way of this one, since the two have no address of each other, and past
//! it, where that must make no difference.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::{Hosts, LANESYNC, check, noise, tree};

/// Each host is a folder of its name, in which its logins begin and have their home.
const EACH_IN_ITS_FOLDER: &str =
    r#"sh -c 'cd "$1" && export HOME="$PWD" && shift && exec sh -c "$*"' stand-in"#;

/// The same for two that have met: sshd(8) tells each of a connection over the loopback device.
const WHO_MEET: &str = r#"sh -c 'cd "$1" && export HOME="$PWD" SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22" && shift && exec sh -c "$*"' stand-in"#;

/// Two hosts, of which the first has the source.
struct Two(Hosts);

impl Two {
    fn new() -> Self {
        let hosts = Hosts::new();
        for name in ["one", "two"] {
            fs::create_dir(hosts.path().join(name)).unwrap();
        }
        fs::rename(hosts.path().join("s"), hosts.path().join("one/s")).unwrap();
        Self(hosts)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Output {
        self.run_by(EACH_IN_ITS_FOLDER, words)
    }

    #[track_caller]
    fn run_by(&self, shell: &str, words: &[&str]) -> Output {
        let agent = format!("--agent-path={LANESYNC}");
        let output = self.0.run(shell, &[&["-H", &agent], words].concat());
        // Where they know of each other and do not meet, a line says so.
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("through this host"), "{stderr}");
        output
    }
}

#[test]
fn a_tree_goes_from_one_host_to_another() {
    for shell in [EACH_IN_ITS_FOLDER, WHO_MEET] {
        let two = Two::new();
        let content: Vec<u8> =
            (0..9 << 20).map(|number: u32| (number >> 7).to_le_bytes()[0]).collect();
        fs::write(two.path("one/s/big"), content).unwrap();
        for number in 0..300 {
            fs::write(two.path(&format!("one/s/a/n{number}")), format!("{number}")).unwrap();
        }
        let output = two.run_by(shell, &["-i", "one:s/", "two:d"]);
        check(&output, 0, "");
        assert!(String::from_utf8_lossy(&output.stdout).contains("<f+++++++++ big"), "{output:?}");
        assert_eq!(tree(&two.path("two/d")), tree(&two.path("one/s")));
        let again = two.run_by(shell, &["-i", "--delete", "one:s/", "two:d"]);
        check(&again, 0, "");
        assert_eq!(String::from_utf8_lossy(&again.stdout), "");
        // Nothing of it lies here.
        assert_eq!(fs::read_dir(two.0.path()).unwrap().count(), 3);
    }
}

#[test]
fn what_only_the_destination_has_goes_and_what_was_brought_over_may_go_from_the_source() {
    for shell in [EACH_IN_ITS_FOLDER, WHO_MEET] {
        let two = Two::new();
        fs::rename(two.path("old"), two.path("two/d")).unwrap();
        check(&two.run_by(shell, &["--delete", "--remove-source-files", "one:s/", "two:d"]), 0, "");
        let names = |dir: &Path| {
            let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&two.path("two/d")), ["a", "f", "link"]);
        assert_eq!(names(&two.path("one/s")), ["a"]);
    }
}

#[test]
fn paths_are_those_of_their_hosts() {
    for shell in [EACH_IN_ITS_FOLDER, WHO_MEET] {
        let two = Two::new();
        let odd = "a  b'c\"$(touch x)\n;`touch x`";
        fs::rename(two.path("one/s"), two.path("one").join(odd)).unwrap();
        fs::write(two.path("one/list"), "f\na/g\n").unwrap();
        fs::write(two.path("one/.rsync-filter"), "- g\n").unwrap();
        check(&two.run_by(shell, &[&format!("one:{odd}/"), &format!("two:~/{odd}")]), 0, "");
        assert_eq!(tree(&two.path("two").join(odd)), tree(&two.path("one").join(odd)));
        check(&two.run_by(shell, &["one:a*/*", "two:w/"]), 0, "");
        assert_eq!(tree(&two.path("two/w")), tree(&two.path("one").join(odd)));
        check(&two.run_by(shell, &["--files-from=:list", "one:a*/", "two:l"]), 0, "");
        assert!(two.path("two/l/a/g").exists() && !two.path("two/l/a/b").exists());
        check(&two.run_by(shell, &["-F", "one:a*/", "two:r"]), 0, "");
        assert!(two.path("two/r/a/b/h").exists() && !two.path("two/r/a/g").exists());
        for name in ["one/x", "two/x", "x"] {
            assert!(!two.path(name).exists(), "{name}");
        }
    }
}

/// The host that has the list could have anything in it.
#[test]
fn a_list_of_the_destination_leads_only_to_what_lies_below_the_source() {
    for shell in [EACH_IN_ITS_FOLDER, WHO_MEET] {
        let two = Two::new();
        fs::create_dir(two.path("one/beside")).unwrap();
        fs::write(two.path("one/beside/key"), "secret").unwrap();
        symlink("../beside", two.path("one/s/out")).unwrap();
        symlink("a", two.path("one/s/in")).unwrap();
        fs::write(two.path("two/list"), "f\nin/g\nout/key\n").unwrap();
        let run = two.run_by(shell, &["--no-R", "--files-from=two:list", "one:s/", "two:d"]);
        check(&run, 23, "out/key");
        assert!(two.path("two/d/f").exists() && two.path("two/d/g").exists());
        assert!(!two.path("two/d/key").exists());
    }
}

/// Each of the two hosts has lanes to this one, where the two do not reach each other.
#[test]
fn lanes_carry_what_goes_from_one_host_to_another() {
    // What goes through the remote shells is kept, too.
    let told = r#"sh -c 'cd "$1" && shift && export SSH_CONNECTION="127.0.0.1 1 198.51.100.7 22" && tee -a in | sh -c "$*" | tee -a out' stand-in"#;
    let agent = format!("--agent-path={LANESYNC}");
    for kind in ["tcp", "quic"] {
        let two = Two::new();
        let content = noise(16 << 20, 1);
        fs::write(two.path("one/s/big"), &content).unwrap();
        let kind = format!("--lane-kind={kind}");
        let words = ["-H", &agent, &kind, "--lanes-from=there", "--lanes=2", "--bwlimit=4m"];
        let output = two.0.run(told, &[&words[..], &["one:s/", "two:d"]].concat());
        check(&output, 0, "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let says = "lanesync: content goes from one to two through this host";
        assert!(stderr.starts_with(says) && stderr.lines().count() == 1, "{stderr}");
        assert_eq!(tree(&two.path("two/d")), tree(&two.path("one/s")));
        for name in ["one/out", "two/in"] {
            let carried = fs::read(two.path(name)).unwrap().len();
            assert!(carried < content.len(), "{kind}: {carried} bytes of {name} took no lane");
        }
    }
}

#[test]
fn an_agent_is_sent_to_both() {
    let two = Two::new();
    check(&two.0.run(EACH_IN_ITS_FOLDER, &["one:s/", "two:d"]), 0, "");
    for name in ["one", "two"] {
        assert_eq!(fs::read_dir(two.path(name).join(".cache/lanesync")).unwrap().count(), 1);
    }
}

#[test]
fn an_error_names_the_side() {
    let two = Two::new();
    let shell = |host: &str| {
        format!(r#"sh -c '[ "$1" != {host} ] || exit 255; {}"#, &EACH_IN_ITS_FOLDER[7..])
    };
    for (host, says) in
        [("one", "source: sh could not log in"), ("two", "destination: sh could not log in")]
    {
        check(&two.0.run(&shell(host), &["one:s/", "two:d"]), 255, says);
        let agent = format!("--agent-path={LANESYNC}");
        let named = two.0.run(&shell(host), &[&agent, "one:s/", "two:d"]);
        check(&named, 255, &format!("the agent on {host}"));
    }
    check(&two.run(&["one:none/", "two:d"]), 23, "source: ");
    fs::write(two.path("two/file"), "").unwrap();
    check(&two.run(&["one:s/", "two:file/d"]), 3, "destination: \"file/d\"");
}

#[test]
fn an_agent_that_is_killed_at_work_is_an_error_that_names_it() {
    for host in ["one", "two"] {
        let two = Two::new();
        fs::write(two.path("one/s/zz"), vec![7; 64 << 20]).unwrap();
        // The one that is to go ends itself when the first file is there.
        let agent = format!(
            "--agent-path=[ ${{PWD##*/}} != {host} ] || (until [ -e ../two/d/f ]; do :; done; kill -9 $$) \
             & exec {LANESYNC}"
        );
        let words = ["-H", &*agent, "--bwlimit=4m", "one:s/", "two:d"];
        let output = two.0.run(EACH_IN_ITS_FOLDER, &words);
        check(&output, 12, &format!("the agent on {host}"));
        assert!(!two.path("two/d/zz").exists());
        check(&two.run(&["one:s/", "two:d"]), 0, "");
        assert_eq!(tree(&two.path("two/d")), tree(&two.path("one/s")));
    }
}
