//! Buckets of a tree on a Qumulo cluster: a stand-in, over HTTPS, that serves a folder of this host.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::buckets::{
    Bucket, all_paths, assert_same, buckets, files, lines, move_at_once, move_in_turn,
};
use crate::lab::{self, Lab};
use crate::support::generate::{self, Profile};
use crate::support::qumulo::FakeCluster;
use crate::support::records;
use crate::support::rng::Rng;
use crate::support::run::RunAs;

/// A tree of this seed in `src`, with names that a cluster can tell.
fn random(lab: &Lab, seed: u64) {
    let profile = Profile { run_as: RunAs::Caller, size: 80 };
    let mut tree = generate::tree(&mut Rng::new(seed), b"src", profile);
    let is_told = |path: &[u8]| {
        str::from_utf8(path).is_ok_and(|path| !path.contains(['\n', '\u{1}', '\u{7f}']))
    };
    tree.nodes.retain(|node| is_told(&node.path));
    tree.build(&lab.path(""), (0, 0));
}

/// Directories of directories, so that many have to be opened.
fn deep(lab: &Lab) {
    for number in 0..120 {
        lab.file(
            format!("src/a{}/b{}/c/d/e/file{number:03}", number % 4, number % 12),
            vec![b'x'; 9000],
        );
    }
    lab::age(&lab.path("src"));
}

/// A cluster, and who is let in.
struct Site {
    lab: Lab,
    cluster: FakeCluster,
}

impl Site {
    fn new(make: impl FnOnce(&Lab), options: &[&str]) -> Self {
        let lab = Lab::new();
        make(&lab);
        lab.file("password", "admin\n");
        let log = lab.path("requests");
        let options = [options, &["--access-log", log.to_str().unwrap()]].concat();
        let cluster = FakeCluster::serve(&lab.path("src"), &options);
        Self { lab, cluster }
    }

    fn url(&self, path: &str) -> String {
        format!("qumulo://127.0.0.1:{}{path}", self.cluster.port())
    }

    /// The words of a run, but for who asks.
    fn words(&self, more: &str) -> String {
        let ca = self.cluster.certificate();
        format!("manifest {} -o lists --ca={} {more}", self.url("/"), ca.display())
    }

    /// A run with this in its environment, whose standard input and terminal nobody sits at.
    fn run(&self, words: &str, environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new("setsid");
        command.arg("-w").arg(env!("CARGO_BIN_EXE_lanesync")).args(words.split_whitespace());
        command.current_dir(self.lab.path("")).stdin(Stdio::null());
        command.env("HOME", self.lab.path("home")).env_remove("XDG_CONFIG_HOME");
        command.env_remove("LANESYNC_QUMULO_PASSWORD").envs(environment.iter().copied());
        command.output().unwrap()
    }

    fn lists(&self) -> Vec<PathBuf> {
        let folder = self.lab.path("lists");
        if folder.exists() { files(&folder) } else { Vec::new() }
    }

    /// Requests whose line in the log of the cluster has this in it.
    fn logged(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.lab.path("requests")).unwrap_or_default();
        log.lines().filter(|line| line.contains(text)).count()
    }
}

#[track_caller]
fn ends(output: &Output, code: i32, says: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let is_said = said.lines().any(|line| says.iter().all(|part| line.contains(part)));
    assert!(is_said, "no line of stderr has all of {says:?}: {said}");
}

#[test]
fn buckets_of_a_cluster_move_its_tree() {
    for (seed, sharing) in (1..).zip(["-b 1", "-b 3", "-b 5", "--max-size=20k", "--max-files=9"]) {
        let site = Site::new(|lab| random(lab, seed), &[]);
        let lab = &site.lab;
        lab.rsync("-a src/ whole/").go().expect(0);
        for by in ["size", "capacity", "files"] {
            let words = format!("--json --password-file=password {sharing} --by={by}");
            let done = lab.lanesync(&site.words(&words)).go().expect(0);
            let buckets = buckets(lab, &done);
            move_in_turn(lab, &buckets, "in-turn", "");
            assert_same(lab, "in-turn", "whole", &words);
            move_at_once(lab, &buckets, "at-once", "");
            assert_same(lab, "at-once", "whole", &words);
            for made in ["in-turn", "at-once", "lists"] {
                fs::remove_dir_all(lab.path(made)).unwrap();
            }
        }
    }
}

#[test]
fn as_many_requests_are_told_as_were_made() {
    for sharing in ["-b 1", "-b 4", "--max-files=3"] {
        let site = Site::new(deep, &[]);
        let words = site.words(&format!("--json --password-file=password {sharing}"));
        let done = site.lab.lanesync(&words).go().expect(0);
        let summary: Value = records::parse(&done.stdout).pop().unwrap();
        let made = site.cluster.requests();
        assert_eq!(summary["requests"].as_u64(), Some(made), "{done}");
        let told =
            site.lab.lanesync(&site.words(&format!(
                "--password-file=password {sharing} --name-template=again[n].txt"
            )));
        let done = told.go().expect(0);
        let made = site.cluster.requests() - made;
        assert!(done.stdout.contains(&format!("{made} requests for ")), "{made}: {done}");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let site = Site::new(deep, &[]);
    let words = format!("manifest {} -o lists -b 3 --password-file=password", site.url("/"));
    let done = site.lab.lanesync(&words).go().expect(10);
    done.complains(&["certificate", "--ca"]);
    assert_eq!(site.lists(), Vec::<PathBuf>::new());
    assert_eq!(site.logged("login"), 0, "the password was told");
    let done = site.lab.lanesync(&format!("{words} --insecure")).go().expect(0);
    done.complains(&["--insecure", "not checked", "--ca"]);
    assert_eq!(site.lists().len(), 3);
}

#[test]
fn who_is_not_let_in_is_told() {
    let site = Site::new(deep, &[]);
    site.lab.file("wrong", "wrong password\n");
    let done = site.lab.lanesync(&site.words("-b 3 --password-file=wrong")).go().expect(5);
    done.complains(&["admin"]);
    let done = site.lab.lanesync(&site.words("-b 3 --token-file=wrong")).go();
    done.expect(5);
    // Nobody can be asked.
    let output = site.run(&site.words("-b 3"), &[]);
    ends(&output, 5, &["password", "LANESYNC_QUMULO_PASSWORD", "--password-file"]);
    assert_eq!(site.lists(), Vec::<PathBuf>::new());
}

#[test]
fn a_password_is_taken_from_where_it_was_said() {
    let site = Site::new(deep, &["--user", "reader", "--password", "p w\"ä"]);
    let variable = ("LANESYNC_QUMULO_PASSWORD", "p w\"ä");
    let output = site.run(&site.words("-b 2 --name-template=a[n].txt -u reader"), &[variable]);
    assert!(output.status.success(), "{output:?}");
    site.lab.file("secret", "p w\"ä\r\nmore\n");
    let words = site.words("-b 2 --name-template=b[n].txt --user=reader --password-file=secret");
    site.lab.lanesync(&words).go().expect(0);
    let words = site.words("-b 2 --name-template=c[n].txt --user=reader -p");
    let done = site.lab.lanesync(&words).word("p w\"ä").go().expect(0);
    done.complains(&["command line", "LANESYNC_QUMULO_PASSWORD"]);
    let words = site.words("-b 2 --user=reader -p wrong --password-file=secret");
    site.lab.lanesync(&words).go().expect(1).complains(&["exclude each other"]);
    assert_eq!(site.lists().len(), 6);
}

#[test]
fn a_password_in_the_name_of_a_cluster_is_refused_and_not_told_again() {
    let lab = Lab::new();
    for source in ["qumulo://bob:hunter2@h/p", "--host=bob:hunter2@h /p"] {
        for more in ["-b 2", "-b 2 --json", "--max-files=9 --live --exec=true"] {
            let done = lab.lanesync(&format!("manifest {source} -o lists {more}")).go().expect(1);
            for said in [&done.stdout, &done.stderr] {
                assert!(!said.contains("hunter2") && !said.contains("bob"), "{done}");
            }
            let said = format!("{}{}", done.stdout, done.stderr);
            assert!(said.contains("a password does not belong there"), "{done}");
            assert!(!lab.path("lists").exists());
        }
    }
}

#[test]
fn commands_of_buckets_do_not_find_the_password() {
    let site = Site::new(deep, &[]);
    let variable = ("LANESYNC_QUMULO_PASSWORD", "admin");
    let command = "--exec=env>env.$LANESYNC_BUCKET_NUMBER";
    for (name, sharing) in [("a", "-b 2"), ("b", "--max-files=60 --live")] {
        let words = format!("{sharing} {command} --name-template={name}[n].txt");
        let output = site.run(&site.words(&words), &[variable]);
        assert!(output.status.success(), "{output:?}");
        let environment = fs::read_to_string(site.lab.path("env.2")).unwrap();
        let list = format!("lists/{name}2.txt");
        let is_told =
            |line: &str| line.starts_with("LANESYNC_BUCKET_FILE=") && line.ends_with(&list);
        assert!(environment.lines().any(is_told), "{environment}");
        assert!(!environment.contains("LANESYNC_QUMULO_PASSWORD"), "{environment}");
    }
}

#[test]
fn no_bucket_has_more_than_was_said() {
    let make = |lab: &Lab| {
        for number in 0..60 {
            lab.file(format!("src/{}/file{number}", number % 3), vec![b'x'; 4096]);
        }
        lab::age(&lab.path("src"));
    };
    let site = Site::new(make, &[]);
    site.lab.rsync("-a src/ whole/").go().expect(0);
    for (by, sharing, most_bytes, most_entries) in [
        ("size", "--max-files=5", u64::MAX, 5),
        ("files", "--max-files=5", u64::MAX, 5),
        ("files", "--max-size=20k", 20 << 10, u64::MAX),
        ("cost", "--max-size=20k", 20 << 10, u64::MAX),
        ("capacity", "--max-size=1M --max-files=25", 1 << 20, 25),
    ] {
        let words = format!("--json --password-file=password {sharing} --by={by}");
        let done = site.lab.lanesync(&site.words(&words)).go().expect(0);
        let buckets = buckets(&site.lab, &done);
        for bucket in &buckets {
            let is_small = bucket.bytes <= most_bytes && bucket.entries <= most_entries;
            assert!(is_small, "{words}: {bucket:?}");
        }
        move_in_turn(&site.lab, &buckets, "copy", "");
        assert_same(&site.lab, "copy", "whole", &words);
        for made in ["copy", "lists"] {
            fs::remove_dir_all(site.lab.path(made)).unwrap();
        }
    }
}

#[test]
fn a_command_line_of_qsplit_cuts_the_same() {
    let site = Site::new(deep, &[]);
    let (ca, port) = (site.cluster.certificate(), site.cluster.port());
    let more = format!("--json -o lists --ca={} -u admin -b 4 -a files -v", ca.display());
    let typed = format!("manifest --host 127.0.0.1 -P {port} {more} -p admin /a1");
    let done = site.lab.lanesync(&typed).go().expect(0);
    let done = done.complains(&["command line", "--password-file"]);
    let told = |buckets: &[Bucket]| -> Vec<_> { buckets.iter().map(lines).collect() };
    let by_host = told(&buckets(&site.lab, &done));
    assert_eq!(by_host.len(), 4);
    fs::remove_dir_all(site.lab.path("lists")).unwrap();
    let typed = format!("manifest {} {more} --password-file=password", site.url("/a1"));
    let done = site.lab.lanesync(&typed).go().expect(0);
    assert_eq!(told(&buckets(&site.lab, &done)), by_host);
}

/// A tree in which qsplit lost entries, or piled them up in the last bucket.
fn lost_by_qsplit(lab: &Lab) {
    for number in 0..600 {
        lab.file(format!("src/dir{:02}/file{number}", number % 60), vec![b'x'; 10]);
    }
    // One name is part of another, and the longer one may come first.
    for name in ["a/in a", "ab/in ab", "abc/in abc", "b/a/in b", "b/ab/in b"] {
        lab.file(format!("src/{name}"), vec![b'x'; 5000]);
    }
    for number in 0..20 {
        lab.file(format!("src/loose{number:02}"), vec![b'x'; 3000 * number]);
    }
    lab.dir("src/empty");
    lab.dir("src/hollow/inner");
    lab::age(&lab.path("src"));
    lab::set_mode(&lab.path("src/b"), 0o2751);
}

#[test]
fn what_qsplit_lost_or_piled_up_arrives_and_is_shared_out() {
    let site = Site::new(lost_by_qsplit, &[]);
    let lab = &site.lab;
    lab.rsync("-a src/ whole/").go().expect(0);
    for form in ["rsync", "rsync-filter"] {
        let words = format!("--json --password-file=password -b 4 -a files --format={form}");
        let done = lab.lanesync(&site.words(&words)).go().expect(0);
        let buckets = buckets(lab, &done);
        let entries: Vec<u64> = buckets.iter().map(|bucket| bucket.entries).collect();
        let (most, all): (u64, u64) = (*entries.iter().max().unwrap(), entries.iter().sum());
        assert!(entries.len() == 4 && most * 4 * 100 <= all * 102, "{entries:?}");
        move_in_turn(lab, &buckets, "copy", "");
        assert_same(lab, "copy", "whole", &words);
        fs::remove_dir_all(lab.path("copy")).unwrap();
        fs::remove_dir_all(lab.path("lists")).unwrap();
    }
    // Each loose file has its place in one script, or in the job files beside it.
    lab.lanesync(&site.words("--password-file=password -b 4 --format=robocopy")).go().expect(0);
    let scripts: Vec<String> =
        site.lists().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    for number in 0..20 {
        let name = format!("loose{number:02}");
        let count: usize = scripts.iter().map(|script| script.matches(&name).count()).sum();
        assert_eq!(count, 1, "{name}: {scripts:#?}");
    }
}

#[test]
fn a_login_that_was_saved_is_used() {
    const SAVED: &str = r#"{"version": 1, "bearer_token": "a-token-for-good"}"#;

    let site = Site::new(deep, &["--access-token", "a-token-for-good"]);
    let saved = format!("home/.config/qumulo/credentials/127.0.0.1_{}", site.cluster.port());
    for (place, more, is_told) in [
        (&*saved, "", false),
        ("home/.qfsd_cred", "", false),
        ("elsewhere", "--credentials=elsewhere", false),
        ("elsewhere", "--credentials-store=elsewhere", true),
    ] {
        let file = site.lab.file(place, SAVED);
        lab::set_mode(&file, if is_told { 0o644 } else { 0o600 });
        let output = site.run(&site.words(&format!("-b 2 {more}")), &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {said}");
        assert_eq!(said.contains("chmod 600"), is_told, "{said}");
        ends(&output, 0, &["logs in", place]);
        assert!(!said.contains("for-good"), "{said}");
        fs::remove_file(file).unwrap();
        fs::remove_dir_all(site.lab.path("lists")).unwrap();
    }
    assert_eq!(site.logged("login"), 0);
}

#[test]
fn a_login_for_whichever_cluster_is_told_to_none_that_shows_no_certificate() {
    const SAVED: &str = r#"{"version": 1, "bearer_token": "a-token-for-good"}"#;

    let site = Site::new(deep, &["--access-token", "a-token-for-good"]);
    let file = site.lab.file("home/.qfsd_cred", SAVED);
    lab::set_mode(&file, 0o600);
    let words = format!("manifest {} -o lists -b 2 --insecure", site.url("/"));
    let output = site.run(&words, &[]);
    // Nobody can be asked.
    ends(&output, 5, &["LANESYNC_QUMULO_PASSWORD"]);
    ends(&output, 5, &[".qfsd_cred", "not used", "--credentials"]);
    assert_eq!(site.cluster.requests(), 0, "the token was told");
    let plain = words.replace("--insecure", "--http");
    ends(&site.run(&plain, &[]), 5, &[".qfsd_cred", "not used", "--credentials"]);
    assert_eq!(site.cluster.requests(), 0, "the token was told");
    let output = site.run(&format!("{words} --credentials=home/.qfsd_cred"), &[]);
    ends(&output, 0, &["logs in", "home/.qfsd_cred"]);
    // That of this very cluster is used.
    let own = format!("home/.config/qumulo/credentials/127.0.0.1_{}", site.cluster.port());
    lab::set_mode(&site.lab.file(&own, SAVED), 0o600);
    fs::remove_dir_all(site.lab.path("lists")).unwrap();
    ends(&site.run(&words, &[]), 0, &["logs in", &own]);
}

#[test]
fn a_bucket_that_cannot_be_written_ends_the_run_at_once() {
    let make = |lab: &Lab| {
        let mut path = "src".to_owned();
        for number in 0..60 {
            path.push_str("/down");
            lab.file(format!("src/{number:0200}"), "content");
            lab.file(format!("{path}/file"), "content");
        }
    };
    let site = Site::new(make, &[]);
    for live in ["", "--live"] {
        let before = site.cluster.requests();
        let words = site.words(&format!("--password-file=password --max-files=50 {live}"));
        // No room for fifty such names.
        let done = site.lab.lanesync(&words).file_bytes(4096).go().expect(11);
        done.complains(&["lists", "too large"]);
        let made = site.cluster.requests() - before;
        assert!(made < 30, "{made} requests, and the tree takes 60");
    }
}

#[test]
fn a_token_that_ends_is_renewed() {
    // One directory after the other, so that it takes longer than a token lives.
    let make = |lab: &Lab| {
        let mut path = "src".to_owned();
        for _ in 0..16 {
            path.push_str("/down");
            lab.file(format!("{path}/file"), "content");
        }
    };
    let site = Site::new(make, &["--token-life", "3", "--delay-ms", "300"]);
    let words = site.words("--json --password-file=password --max-files=1");
    let done = site.lab.lanesync(&words).go().expect(0);
    assert!(site.logged("login") > 1, "{done}");
    let found = all_paths(&buckets(&site.lab, &done));
    assert_eq!(found.iter().filter(|path| path.ends_with("file")).count(), 16, "{found:?}");
}

#[test]
fn a_cluster_that_dies_in_the_middle_leaves_no_bucket() {
    for sharing in ["-b 5", "--max-files=2"] {
        let mut site = Site::new(deep, &["--delay-ms", "200"]);
        let words = site.words(&format!("--password-file=password --retries=3 {sharing}"));
        let mut run = site.lab.lanesync(&words).start();
        run.until("sums were asked for", || site.logged("aggregates") > 2);
        site.cluster.kill();
        let name = format!("127.0.0.1:{}", site.cluster.port());
        run.wait().expect(10).complains(&[&name, "see that the cluster is up"]);
        assert_eq!(site.lists(), Vec::<PathBuf>::new(), "{sharing}");
    }
}

#[test]
fn a_request_is_repeated_as_often_as_the_user_says() {
    for (retries, times) in [("0", "tried 1 times"), ("2", "tried 3 times")] {
        let site = Site::new(deep, &["--fail-every", "1", "--fail-kind", "503"]);
        let words = site.words(&format!("--password-file=password -b 3 --retries={retries}"));
        site.lab.lanesync(&words).go().expect(10).complains(&[times]);
    }
}

#[test]
fn weather_changes_nothing() {
    for kind in ["503", "429", "drop"] {
        let site = Site::new(deep, &["--fail-every", "4", "--fail-kind", kind]);
        let words = site.words("--json --password-file=password --max-files=9");
        let done = site.lab.lanesync(&words).go().expect(0);
        site.lab.rsync("-a src/ whole/").go().expect(0);
        move_in_turn(&site.lab, &buckets(&site.lab, &done), "copy", "");
        assert_same(&site.lab, "copy", "whole", kind);
    }
}

#[test]
fn a_snapshot_is_cut_as_it_was() {
    let lab = Lab::new();
    for name in ["a/old", "b/old", "c/d/old"] {
        lab.file(format!("snapshot/{name}"), vec![b'x'; 9000]);
    }
    let option = format!("5={}", lab.path("snapshot").display());
    let site = Site::new(deep, &["--snapshot", &option]);
    let words = site.words("--json --password-file=password -b 3 --snapshot=5 --format=rclone");
    let done = site.lab.lanesync(&words).go().expect(0);
    let paths = all_paths(&buckets(&site.lab, &done));
    assert_eq!(paths, ["a/old", "b/old", "c/d/old"].map(PathBuf::from));
    let words = site.words("--password-file=password -b 3 -s 6 -o none");
    let done = site.lab.lanesync(&words).go();
    assert_ne!(done.code, 0, "there is no such snapshot: {done}");
}

#[test]
fn what_is_left_out_does_not_depend_on_the_number_of_buckets() {
    let make = |lab: &Lab| {
        deep(lab);
        for name in ["bare/.snapshots/old", "sub/.snapshots/9/y", ".snapshots/x"] {
            lab.file(format!("src/{name}"), vec![b'x'; 20_000]);
        }
        lab::age(&lab.path("src"));
    };
    let site = Site::new(make, &[]);
    site.lab.rsync("-a src/ whole/").go().expect(0);
    for count in [1, 2, 3, 9] {
        let words = format!("--json --password-file=password -b {count}");
        let done = site.lab.lanesync(&site.words(&words)).go().expect(0);
        let copy = format!("copy{count}");
        move_in_turn(&site.lab, &buckets(&site.lab, &done), &copy, "");
        assert_same(&site.lab, &copy, "whole", &copy);
        fs::remove_dir_all(site.lab.path("lists")).unwrap();
    }
}

#[test]
fn a_name_that_cannot_be_told_does_not_make_one_bucket_of_all() {
    let make = |lab: &Lab| {
        deep(lab);
        lab.file(OsStr::from_bytes(b"src/bad\xffname"), "content");
        lab::age(&lab.path("src"));
    };
    let site = Site::new(make, &[]);
    for (sharing, least) in [("-b 8", 8), ("--max-files=60", 3)] {
        let words = site.words(&format!("--json --password-file=password {sharing}"));
        let done = site.lab.lanesync(&words).go().expect(23);
        assert!(done.stdout.contains("cannot be passed on"), "{done}");
        let buckets = buckets(&site.lab, &done);
        assert!(buckets.len() >= least, "{done}");
        fs::remove_dir_all(site.lab.path("lists")).unwrap();
    }
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let site = Site::new(deep, &[]);
    let ca = site.cluster.certificate();
    for path in ["/absent", "/a0/b0/c/d/e/file000"] {
        let url = site.url(path);
        let words =
            format!("manifest {url} --ca={} -o lists -b 2 --password-file=password", ca.display());
        site.lab.lanesync(&words).go().expect(3).complains(&[path]);
        assert_eq!(site.lists(), Vec::<PathBuf>::new());
    }
}

/// Command lines of all processes, where they hold this.
fn seen_by_everybody(secret: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let lines = processes.filter_map(|process| fs::read(process.join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(secret) && !line.contains("qumulo_fake.py")).collect()
}

#[test]
fn no_secret_is_seen() {
    const SECRET: &str = "nobody-may-see-4711";

    let site = Site::new(deep, &["--password", SECRET, "--delay-ms", "50"]);
    site.lab.file("password", format!("{SECRET}\n"));
    let waits = "--exec=touch here; until [ -e go ]; do sleep 0.02; done; env >env.$$";
    let words = site.words("--json --password-file=password -b 2 --exec-jobs=1");
    let mut run = site.lab.lanesync(&words).word(waits).start();
    run.until("a command runs", || site.lab.path("here").exists());
    assert_eq!(seen_by_everybody(SECRET), Vec::<String>::new());
    site.lab.file("go", "");
    let done = run.wait().expect(0);
    let has = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).contains(SECRET);
    assert!(!done.stdout.contains(SECRET) && !done.stderr.contains(SECRET), "{done}");
    assert!(!site.lists().iter().any(|list| has(list)));
    // What is wrong is told without it, too.
    let words = site.words("--json -b 2 --name-template=again[n].txt --password");
    let done = site.lab.lanesync(&words).word(format!("{SECRET}?")).go().expect(5);
    assert!(!done.stdout.contains(SECRET) && !done.stderr.contains(SECRET), "{done}");
}
