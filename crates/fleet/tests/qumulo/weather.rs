//! Clusters that are busy, drop connections, or go away.

use std::fs;
use std::thread;
use std::time::Duration;

use super::scripted::{Scripted, sums};
use super::*;
use fleet::lister::Why;
use model::{Cause, Fault};

/// Some directories, with some more in each.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let folder = tree.path().join(format!("{}/{number}", number % 4));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), vec![0; 1_000 * number]).unwrap();
    }
    tree
}

#[test]
fn what_fails_now_and_then_is_asked_for_again() {
    let tree = tree();
    for kind in ["503", "429", "drop"] {
        let fake = FakeCluster::serve(tree.path(), &["--fail-every", "3", "--fail-kind", kind]);
        let lister = lister(&cluster(&fake, "/"));
        assert_eq!(tell_all(&lister).unwrap(), on_disk(tree.path()), "{kind}");
        // Without a failure it would be one for each of 25 directories, and the login.
        assert!(lister.asked() > 26 + 26 / 3, "{kind}: {}", lister.asked());
    }
}

#[test]
fn many_at_once_are_told_in_bad_weather_too() {
    let tree = tree();
    let options = ["--fail-every", "5", "--fail-kind", "drop"];
    let fake = FakeCluster::serve(tree.path(), &options);
    // By chance one request may fail several times in a row.
    let patience = Patience { tries: 30, ..PATIENCE };
    let lister = lister(&Cluster { patience, ..cluster(&fake, "/") });
    let whole = on_disk(tree.path());
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(tell_all(&lister).unwrap(), whole));
        }
    });
}

#[test]
fn what_always_fails_ends_after_so_many_tries() {
    let tree = tree();
    for kind in ["503", "429", "drop"] {
        let fake = FakeCluster::serve(tree.path(), &["--fail-every", "1", "--fail-kind", kind]);
        let cluster = cluster(&fake, "/");
        let lister = lister(&cluster);
        let refused = lister.root().unwrap_err();
        assert_eq!(refused.why, Why::Connection, "{kind}");
        assert!(refused.sentence.contains(&format!("127.0.0.1:{}", fake.port())), "{refused}");
        assert_eq!(lister.asked(), u64::from(PATIENCE.tries), "{kind}");
    }
}

#[test]
fn a_cluster_that_goes_away_in_the_middle_is_told() {
    let tree = tree();
    let mut fake = FakeCluster::serve(tree.path(), &[]);
    let lister = lister(&cluster(&fake, "/"));
    let Root { part, .. } = lister.root().unwrap();
    let told = tell_one(&lister, part).unwrap();
    fake.kill();
    for (_, _, _, part) in told {
        match tell_one(&lister, part.unwrap()) {
            Err(TellError::Over(refused)) => assert_eq!(refused.why, Why::Connection),
            other => panic!("{:?}", other.map(|told| told.len())),
        }
    }
}

#[test]
fn a_cluster_that_is_not_there_is_told_at_once() {
    let tree = tree();
    let mut fake = FakeCluster::serve(tree.path(), &[]);
    fake.kill();
    let lister = lister(&cluster(&fake, "/"));
    assert_eq!(lister.root().unwrap_err().why, Why::Connection);
    assert_eq!(lister.asked(), 1);
}

#[test]
fn a_host_that_nobody_knows_is_told_at_once() {
    // No label is so long: that is known without asking anybody.
    let host = "a".repeat(64);
    let cluster = Cluster { host, ..Scripted::serve(|_, _| sums(0, 1, &[])).cluster() };
    let lister = lister(&cluster);
    let refused = lister.root().unwrap_err();
    assert_eq!(refused.why, Why::Connection);
    assert!(refused.sentence.contains("check the host"), "{refused}");
    assert_eq!(lister.asked(), 1);
}

#[test]
fn a_directory_that_vanishes_is_a_fault_of_its_own() {
    let tree = tree();
    let fake = FakeCluster::serve(tree.path(), &[]);
    let lister = lister(&cluster(&fake, "/"));
    let Root { part, .. } = lister.root().unwrap();
    let told = tell_one(&lister, part).unwrap();
    fs::remove_dir_all(tree.path().join("2")).unwrap();
    for (name, _, _, part) in told {
        match (&name[..], tell_one(&lister, part.unwrap())) {
            (b"2", Err(TellError::Fault(Fault { path, cause, .. }))) => {
                assert_eq!((&*path, cause), (&b"/2"[..], Cause::Vanished));
            }
            (_, told) => assert_eq!(told.unwrap().len(), 5),
        }
    }
}

#[test]
fn nobody_waits_for_an_answer_that_is_not_wanted_any_more() {
    let tree = tree();
    let fake = FakeCluster::serve(tree.path(), &["--delay-ms", "100000"]);
    let cancel = Cancel::new();
    let lister = Qumulo::new(&cluster(&fake, "/"), &cancel).unwrap();
    thread::scope(|scope| {
        let root = scope.spawn(|| lister.root().unwrap_err().why);
        while lister.asked() == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        cancel.cancel();
        assert_eq!(root.join().unwrap(), Why::Stopped);
    });
    assert_eq!(lister.root().unwrap_err().why, Why::Stopped);
}
