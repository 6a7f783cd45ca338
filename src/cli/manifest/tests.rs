//! What command lines of `lanesync manifest` mean.

use std::os::unix::ffi::OsStrExt;

use fleet::lister::qumulo::{Counted, Secret, Tls};

use super::*;
use crate::cli::testing::{Fake, words};

fn invocation(line: &str) -> Invocation {
    match read(words(line), &Fake::default()) {
        Ok(Manifest::Make(invocation)) => *invocation,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> String {
    match read(words(line), &Fake::default()) {
        Err(refusal) => refusal.sentence,
        Ok(asked) => panic!("{line}: {asked:?}"),
    }
}

fn cluster(line: &str) -> Cluster {
    match invocation(line).source {
        Source::Cluster(cluster) => *cluster,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_command_line_of_qsplit_is_understood() {
    let line = "--host H -P 8001 -u me -p PW -b 4 -a files -v -s 7 -r /path";
    let Invocation { source, sharing, by, form, .. } = invocation(line);
    assert_eq!((sharing, by, form), (Sharing::Count(4), By::Files, Form::Robocopy));
    let Source::Cluster(cluster) = source else { panic!("{source:?}") };
    let Cluster { typed, host, port, path, tls, login, snapshot, counted, retries, warnings } =
        *cluster;
    assert_eq!(typed.as_os_str().as_bytes(), b"qumulo://H:8001/path");
    assert_eq!((&*host, port, &*path), ("H", 8001, &b"/path"[..]));
    assert_eq!((tls, snapshot, counted), (Tls::Verified { ca: None }, Some(7), Counted::Files));
    assert_eq!(retries, None);
    let is_me = matches!(login, Login::Password(user, password)
        if user == "me" && password == Secret::new("PW"));
    assert!(is_me && warnings.len() == 1 && warnings[0].contains("everybody"), "{warnings:?}");
}

#[test]
fn what_others_mean_by_a_letter_of_qsplit_is_not_done() {
    for line in ["/data -b 4 -r", "qumulo://H/a -b 4 -r", "/data -b 4 -r --format=rsync"] {
        let said = refusal(line);
        assert!(said.contains("--format=robocopy") && said.contains("--host"), "{line}: {said}");
    }
    assert_eq!(invocation("--host H -r --format=json").form, Form::Json);
}

#[test]
fn where_a_cluster_is_named_by_its_host_the_rest_has_a_default() {
    let Invocation { source, sharing, .. } = invocation("--ip=::1");
    assert_eq!(sharing, Sharing::Count(1));
    let Source::Cluster(found) = source else { panic!("{source:?}") };
    assert_eq!((&*found.host, found.port, &*found.path), ("::1", 8000, &b"/"[..]));
    let found = cluster("/a@b:1/%41?# --host c.example --max-files=9");
    assert_eq!((&*found.host, &*found.path), ("c.example", &b"/a@b:1/%41?#"[..]));
    let found = cluster("--host me@c:9 /");
    assert_eq!((&*found.host, found.port), ("c", 9));
    assert!(matches!(found.login, Login::Open { user, is_named: true, .. } if user == "me"));
}

#[test]
fn a_host_that_cannot_be_meant_is_refused() {
    for (line, why) in [
        ("--host H a", "begins with a slash"),
        ("--host H qumulo://H/a", "begins with a slash"),
        ("--host H /a /b", "one path"),
        ("--host H/a", "nothing else"),
        ("--host H -P 0", "no number"),
        ("--host H -P 65536", "no number"),
        ("--host=", "no host"),
        ("--host H --live", "how many buckets"),
        ("-P 8000 /a -b 2", "--port goes with --host"),
        ("-P 8000 qumulo://H/a -b 2", "--port goes with --host"),
        ("--host H --from-list=l", "--from-list"),
        ("/a", "how many buckets"),
        ("-b 2", "one path"),
    ] {
        let said = refusal(line);
        assert!(said.contains(why), "{line}: {said}");
    }
}

#[test]
fn a_password_where_none_belongs_is_not_told_again() {
    for line in [
        "qumulo://bob:hunter2@h/p -b 2",
        "qumulo://bob:hunter2@h:8000 -b 2",
        "--host bob:hunter2@h /p",
        "--host bob:hunter2@h -P 8000",
        "--ip=bob:hunter2@::1",
    ] {
        let said = refusal(line);
        assert!(!said.contains("hunter2") && !said.contains("bob"), "{line}: {said}");
    }
}
