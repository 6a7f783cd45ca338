//! Movers that do what they should not, and real ones that cannot do what they should.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fleet::line::Span;
use model::Kind;

use super::*;
use crate::bucket::{BucketId, Class, Epoch, Lease};
use crate::mover::conformance::{Bench as _, Heard, done, lines};
use crate::mover::{EntryVerdict, FailedEntry, Stream};
use crate::rsync::tests::bench::Ends;

/// An rsync that is a script.
fn mover(ends: &Ends, script: &str) -> RsyncMover {
    let path = ends.dir.path().join("rsync");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let mut job = ends.job(&[]);
    // A script that was just written may still be open in a child of another thread.
    job.program = vec!["/bin/sh".into(), path.into()];
    RsyncMover::new(job, Path::new("/"))
}

fn run(mover: &RsyncMover, cancel: &Cancel) -> (Outcome, Heard) {
    let lines = lines(&[(Span::Entry, Kind::File, b"d/f"), (Span::Entry, Kind::File, b"g")]);
    let amount = Amount { entries: 2, bytes: 100 };
    done(mover, Work::Bucket { lines: &lines, class: Class::Flat, amount }, cancel)
}

fn end(script: &str) -> End {
    run(&mover(&Ends::local(), script), &Cancel::new()).0.end
}

#[test]
fn a_code_is_what_rsync_means_by_it() {
    let lost =
        |code: u8, was_up| End::Lost { why: format!("rsync ended with code {code}"), was_up };
    assert_eq!(end("exit 0"), End::Done);
    assert_eq!(end("exit 12"), lost(12, false));
    assert_eq!(end("echo; exit 12"), lost(12, true));
    let why = "rsync ended with code 255: ssh: no route".to_owned();
    assert_eq!(end("echo 'ssh: no route' >&2; exit 255"), End::Lost { why, was_up: false });
    assert_eq!(end("exit 24"), End::Vanished);
    assert_eq!(end("echo 'something new' >&2; exit 23"), End::Partial { is_told: false });
    assert!(matches!(end("exit 1"), End::Hopeless(Unfit { code: 1, .. })));
    assert!(matches!(end("exec /nowhere/rsync"), End::Hopeless(Unfit { code: 127, .. })));
    let why = "rsync was ended by signal 9".to_owned();
    assert_eq!(end("kill -9 $$"), End::Lost { why, was_up: false });
    let busy = "@ERROR: max connections (1) reached -- try again later";
    let script = format!("echo '{busy}' >&2; exit 5");
    assert_eq!(end(&script), End::Busy(format!("rsync ended with code 5: {busy}")));
}

#[test]
fn nonsense_is_not_believed() {
    let ends = Ends::local();
    let script = "head -c 300000 /dev/urandom; head -c 300000 /dev/urandom >&2; exit 23";
    let (outcome, heard) = run(&mover(&ends, script), &Cancel::new());
    assert_eq!((outcome.end, outcome.failed), (End::Partial { is_told: false }, Vec::new()));
    assert_eq!(heard.entries.into_inner().unwrap(), []);

    let script = "for n in 9 7 70 5 999999999999 3; do printf '\\r   %s  50%% 1kB/s 0:00:00 (xfr#1, to-chk=0/9)' $n; \
                  done";
    let (outcome, heard) = run(&mover(&ends, script), &Cancel::new());
    assert_eq!(outcome.end, End::Done);
    let progress = heard.progress.into_inner().unwrap();
    let bytes: Vec<u64> = progress.iter().map(|amount| amount.bytes).collect();
    assert_eq!(bytes, [9, 70, 100, 100]);
    assert!(progress.iter().all(|amount| amount.entries == 2), "{progress:?}");
}

#[test]
fn a_name_that_was_not_given_is_not_believed() {
    let ends = Ends::local();
    let path = ends.source().join("other");
    let script = format!(
        "echo 'rsync: [sender] send_files failed to open \"{}\": Permission denied (13)' >&2; exit 23",
        path.display()
    );
    let (outcome, _) = run(&mover(&ends, &script), &Cancel::new());
    assert_eq!(outcome.end, End::Partial { is_told: false });
    let (outcome, _) = run(&mover(&ends, &script.replace("other", "d/f")), &Cancel::new());
    assert_eq!(outcome.end, End::Partial { is_told: true });
    let failed: Vec<Vec<u8>> = outcome.failed.into_iter().map(|failed| failed.path).collect();
    assert_eq!(failed, [b"d/f"]);
}

#[test]
fn one_that_hangs_is_stopped_with_all_it_has_started() {
    let ends = Ends::local();
    let mover = mover(&ends, "trap '' TERM; sleep 1000 & echo $! >&2; echo up; wait; sleep 1000");
    let cancel = Cancel::new();
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&mover, &cancel).0);
        cancel.sleep(std::time::Duration::from_millis(300)).unwrap();
        cancel.cancel();
        running.join().unwrap()
    });
    assert_eq!(outcome.end, End::Stopped);
}

#[test]
fn a_program_that_is_no_rsync_is_unfit() {
    let ends = Ends::local();
    for (script, code, says) in [
        ("echo 'rsync  version 3.0.9  protocol version 30'", 4, "version 3.0.9 does not tell"),
        ("echo 'openrsync: protocol version 29'", 4, "is not an rsync that is known"),
        ("exit 3", 4, "is not an rsync that is known"),
    ] {
        let unfit = mover(&ends, script).prepare(&Cancel::new()).unwrap_err();
        assert_eq!(unfit.code, code, "{unfit}");
        assert!(unfit.sentence.contains(says), "{unfit}");
    }
    let mut job = ends.job(&[]);
    job.program = vec!["/nowhere/rsync".into()];
    let unfit = RsyncMover::new(job, Path::new("/")).prepare(&Cancel::new()).unwrap_err();
    assert_eq!(
        unfit.sentence,
        "/nowhere/rsync: there is no such program: install rsync, or name it"
    );
}

#[test]
fn without_the_other_end_it_is_lost_before_it_is_up() {
    let ends = Ends::local();
    let mover = |words: &[&str]| {
        let words = words.iter().map(std::ffi::OsString::from);
        let words = options::Words::read(words).unwrap();
        RsyncMover::new(RsyncJob::new(vec!["rsync".into()], words, true).unwrap(), Path::new("/"))
    };
    let source = format!("{}/", ends.source().display());
    let (outcome, _) = run(&mover(&["-a", "-e", "exit 255; :", &source, "far:x"]), &Cancel::new());
    assert!(
        matches!(&outcome.end, End::Lost { was_up: false, .. } | End::Hopeless(_)),
        "{outcome:?}"
    );
    let (outcome, _) = run(&mover(&["-a", &source, "rsync://127.0.0.1:1/x"]), &Cancel::new());
    assert!(matches!(&outcome.end, End::Lost { was_up: false, .. }), "{outcome:?}");
    let (outcome, _) = run(&mover(&["-a", "/nowhere/else/", "/nowhere/there"]), &Cancel::new());
    assert!(matches!(&outcome.end, End::Hopeless(_)), "{outcome:?}");
}

/// What a directory is in the way of is named, and the rest is moved.
#[test]
fn an_entry_that_cannot_be_made_is_named() {
    let ends = Ends::local();
    ends.put(b"d/f", Some(b"x"));
    ends.put(b"g", Some(b"x"));
    ends.put_there(b"g/full/of", b"it");
    let mut job = ends.job(&["--no-force"]);
    job.words.deletes = false;
    let (outcome, heard) = run(&RsyncMover::new(job, Path::new("/")), &Cancel::new());
    let is_named = outcome.failed.iter().any(|FailedEntry { path, .. }| path == b"g");
    assert_eq!(outcome.code, Some(23), "{outcome:?}");
    assert!(is_named || outcome.end == End::Partial { is_told: false }, "{outcome:?}");
    assert!(ends.there().contains_key(&b"d/f"[..]));
    assert!(heard.entries.into_inner().unwrap().contains(&(b"d/f".to_vec(), "moved")));
}

/// With deletions at the end a bucket makes its own way.
#[test]
fn with_deletions_a_directory_in_the_way_of_a_file_goes() {
    let ends = Ends::local();
    ends.put(b"d/f", Some(b"x"));
    ends.put(b"g", Some(b"x"));
    ends.put_there(b"g/full/of", b"it");
    let (outcome, _) = run(&RsyncMover::new(ends.job(&[]), Path::new("/")), &Cancel::new());
    assert_eq!(outcome.end, End::Done);
    assert_eq!(ends.there().get(&b"g"[..]), Some(&Some(b"x".to_vec())));
}

/// What is shown does the same in a shell.
#[test]
fn what_is_shown_may_be_typed() {
    let ends = Ends::local();
    ends.put(b"d/f", Some(b"x"));
    ends.put(b"d/h", Some(b"x"));
    let list = lines(&[(Span::Entry, Kind::File, b"d/f")]);
    let work = Work::Bucket { lines: &list, class: Class::Flat, amount: Amount::of_one(1) };
    let lease = Lease { bucket: BucketId(0), epoch: Epoch(1) };
    let mover = RsyncMover::new(ends.job(&["--exclude=it's $(x)"]), Path::new("/"));
    let shown = mover.shown(&Try { work, lease, tries: 0 });
    let argv = ["/bin/sh", "-c", &shown].map(std::ffi::OsString::from);
    let ending = process::run(&argv, b"./d/f\0", &mut |_, _| {}, &Cancel::new()).unwrap();
    assert_eq!(ending, process::Ending::Code(0), "{shown}");
    assert_eq!(ends.there().into_keys().collect::<Vec<_>>(), [&b"d"[..], b"d/f"]);
}

/// Cancels when the first bytes have come.
struct CancelAtOnce<'a>(&'a Cancel);

impl Hear for CancelAtOnce<'_> {
    fn is_up(&self) {}

    fn progress(&self, done: Amount) {
        if done.bytes > 0 {
            self.0.cancel();
        }
    }

    fn entry(&self, _: &EntryVerdict<'_>) {}

    fn line(&self, _: Stream, _: &[u8]) {}
}

#[test]
fn a_cancel_in_the_middle_of_a_file_leaves_nothing_of_it() {
    let ends = Ends::local();
    ends.put(b"g", Some(&vec![b'x'; 30_000_000]));
    let mut job = ends.job(&[]);
    let whole = RsyncMover::new(job.clone(), Path::new("/"));
    job.program.push("--bwlimit=1000".into());
    let slow = RsyncMover::new(job, Path::new("/"));
    let list = lines(&[(Span::Entry, Kind::File, b"g")]);
    let amount = Amount::of_one(30_000_000);
    let work = Work::Bucket { lines: &list, class: Class::Flat, amount };
    let lease = Lease { bucket: BucketId(0), epoch: Epoch(1) };
    let cancel = Cancel::new();
    let outcome = slow.run(&Try { work, lease, tries: 0 }, &CancelAtOnce(&cancel), &cancel);
    assert_eq!(outcome.end, End::Stopped);
    assert!(ends.there().is_empty(), "{:?}", ends.there().into_keys());
    let mark = ends.dir.path().as_os_str().as_bytes();
    for process in fs::read_dir("/proc").unwrap() {
        let words = fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        let is_of_it = words.windows(mark.len()).any(|part| part == mark);
        assert!(!is_of_it, "{} is left", words.escape_ascii());
    }
    assert_eq!(done(&whole, work, &Cancel::new()).0.end, End::Done);
    assert_eq!(ends.there().len(), 1);
}
