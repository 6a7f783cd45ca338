//! What every mover promises, asked of each between ends that a bench makes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use fleet::amount::Amount;
use fleet::line::Span;
use model::Kind;
use sched::Cancel;

use crate::bucket::{BucketId, Class, Epoch, Lease};
use crate::lines::ListLine;
use crate::mover::{End, EntryVerdict, Fate, Hear, Mover, Outcome, Stream, Try, Work};

/// A tree: what each file holds, and `None` of directories, by path.
pub(crate) type Tree = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Two ends, and movers between them.
pub(crate) trait Bench {
    /// Puts a file at the source, or a directory, with all that is needed above it.
    fn put(&self, path: &[u8], content: Option<&[u8]>);

    /// Removes a file at the source.
    fn remove(&self, path: &[u8]);

    /// Puts a file at the destination.
    fn put_there(&self, path: &[u8], content: &[u8]);

    /// What is at the destination.
    fn there(&self) -> Tree;

    /// A mover from the source to the destination, which is to delete at the end.
    fn mover(&self) -> Box<dyn Mover>;
}

/// Remembers what it hears.
#[derive(Default)]
pub(crate) struct Heard {
    is_up: AtomicBool,
    pub(crate) progress: Mutex<Vec<Amount>>,
    pub(crate) entries: Mutex<Vec<(Vec<u8>, &'static str)>>,
}

impl Hear for Heard {
    fn is_up(&self) {
        assert!(!self.is_up.swap(true, Ordering::SeqCst), "it came up twice");
    }

    fn progress(&self, done: Amount) {
        self.progress.lock().unwrap().push(done);
    }

    fn entry(&self, verdict: &EntryVerdict<'_>) {
        let fate = match verdict.fate {
            Fate::Moved { .. } => "moved",
            Fate::Deleted => "deleted",
            Fate::Failed(_) => "failed",
            Fate::Vanished => "vanished",
        };
        self.entries.lock().unwrap().push((verdict.path.to_vec(), fate));
    }

    fn line(&self, _: Stream, _: &[u8]) {}
}

impl Heard {
    fn fates(&self, of: &str) -> Vec<Vec<u8>> {
        let entries = self.entries.lock().unwrap();
        let mut paths: Vec<_> =
            entries.iter().filter(|(_, fate)| *fate == of).map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    }
}

/// Lines as bytes.
pub(crate) fn lines(of: &[(Span, Kind, &[u8])]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (span, kind, path) in of {
        ListLine { span: *span, kind: *kind, bytes: 1, path }.put(&mut lines);
    }
    lines
}

/// Does a piece of work.
pub(crate) fn done(mover: &dyn Mover, work: Work<'_>, cancel: &Cancel) -> (Outcome, Heard) {
    let heard = Heard::default();
    let lease = Lease { bucket: BucketId(0), epoch: Epoch(1) };
    let outcome = mover.run(&Try { work, lease, tries: 0 }, &heard, cancel);
    (outcome, heard)
}

fn bucket(bench: &dyn Bench, class: Class, of: &[(Span, Kind, &[u8])]) -> (Outcome, Heard) {
    let lines = lines(of);
    let amount = Amount { entries: of.len() as u64, bytes: 1 << 20 };
    done(&*bench.mover(), Work::Bucket { lines: &lines, class, amount }, &Cancel::new())
}

const FILE: Kind = Kind::File;
const DIR: Kind = Kind::Directory;

fn tree(of: &[(&str, Option<&str>)]) -> Tree {
    of.iter().map(|(path, text)| (path.as_bytes().to_vec(), text.map(Vec::from))).collect()
}

pub(crate) fn moves_what_is_named_and_nothing_else(bench: &dyn Bench) {
    bench.mover().prepare(&Cancel::new()).unwrap();
    for path in ["f", "g", "d/f", "d/g", "w/a/b", "w/c", "x/y/z"] {
        bench.put(path.as_bytes(), Some(path.as_bytes()));
    }
    let named = [(Span::Alone, DIR, &b""[..]), (Span::Entry, FILE, b"f"), (Span::Alone, DIR, b"d")];
    let more = [(Span::Entry, FILE, &b"d/g"[..]), (Span::Whole, DIR, b"w")];
    let (outcome, heard) = bucket(bench, Class::Deep, &[&named[..], &more[..]].concat());
    assert_eq!(outcome.end, End::Done);
    let expected = tree(&[
        ("d", None),
        ("d/g", Some("d/g")),
        ("f", Some("f")),
        ("w", None),
        ("w/a", None),
        ("w/a/b", Some("w/a/b")),
        ("w/c", Some("w/c")),
    ]);
    assert_eq!(bench.there(), expected);
    let moved = heard.fates("moved");
    for path in ["f", "d/g", "w/a/b", "w/c"] {
        assert!(moved.contains(&path.as_bytes().to_vec()), "{path} in {moved:?}");
    }
}

pub(crate) fn a_bare_directory_comes_without_what_lies_in_it(bench: &dyn Bench) {
    for path in ["f", "d/f", "d/e/g"] {
        bench.put(path.as_bytes(), Some(b"x"));
    }
    let (outcome, _) = bucket(bench, Class::Flat, &[(Span::Bare, DIR, b"")]);
    assert_eq!(outcome.end, End::Done);
    assert_eq!(bench.there(), tree(&[]));
    let (outcome, _) =
        bucket(bench, Class::Flat, &[(Span::Bare, DIR, b"d"), (Span::Entry, FILE, b"f")]);
    assert_eq!(outcome.end, End::Done);
    assert_eq!(bench.there(), tree(&[("d", None), ("f", Some("x"))]));
}

pub(crate) fn any_name_is_a_name(bench: &dyn Bench) {
    let names: [&[u8]; 12] = [
        b"-n",
        b"#",
        b";x",
        b"a b",
        b"new\nline",
        b"$(touch x)`y`",
        b"'\"\\",
        b"\\#012",
        b"*?[a]",
        b"a\xff\xfe",
        b" lead",
        b"return\r",
    ];
    for name in names {
        bench.put(name, Some(name));
    }
    let named: Vec<_> = names.iter().map(|name| (Span::Entry, FILE, *name)).collect();
    let (outcome, heard) = bucket(bench, Class::Flat, &named);
    assert_eq!(outcome.end, End::Done);
    let there = bench.there();
    let expected: Tree = names.iter().map(|name| (name.to_vec(), Some(name.to_vec()))).collect();
    assert_eq!(there, expected);
    let moved: Vec<_> = heard.fates("moved").into_iter().filter(|path| !path.is_empty()).collect();
    assert_eq!(moved, there.into_keys().collect::<Vec<_>>());
}

pub(crate) fn progress_never_falls_and_ends_at_all_of_it(bench: &dyn Bench) {
    for number in 0..50_u8 {
        bench.put(&[b'f', number + 48], Some(&vec![number; 1000]));
    }
    let names: Vec<[u8; 2]> = (0..50).map(|number| [b'f', number + 48]).collect();
    let named: Vec<_> = names.iter().map(|name| (Span::Entry, FILE, &name[..])).collect();
    let (outcome, heard) = bucket(bench, Class::Flat, &named);
    assert_eq!((outcome.end, outcome.code), (End::Done, Some(0)));
    assert!(outcome.moved.entries >= 50 && outcome.moved.bytes == 50_000, "{:?}", outcome.moved);
    assert!(heard.is_up.load(Ordering::SeqCst));
    let progress = heard.progress.into_inner().unwrap();
    let rises =
        |pair: &[Amount]| pair[0].bytes <= pair[1].bytes && pair[0].entries <= pair[1].entries;
    assert!(progress.windows(2).all(rises), "{progress:?}");
    assert_eq!(progress.last(), Some(&Amount { entries: 50, bytes: 1 << 20 }));
}

pub(crate) fn what_is_gone_has_vanished_and_the_rest_is_moved(bench: &dyn Bench) {
    for path in ["d/f", "d/gone"] {
        bench.put(path.as_bytes(), Some(b"x"));
    }
    bench.remove(b"d/gone");
    let named = [(Span::Entry, FILE, &b"d/gone"[..]), (Span::Entry, FILE, b"d/f")];
    let (outcome, heard) = bucket(bench, Class::Flat, &named);
    assert_eq!(outcome.end, End::Vanished);
    assert_eq!(bench.there(), tree(&[("d", None), ("d/f", Some("x"))]));
    assert_eq!(heard.fates("vanished"), [b"d/gone"]);
}

pub(crate) fn what_is_there_is_not_moved_again(bench: &dyn Bench) {
    bench.put(b"d/f", Some(b"x"));
    let named = [(Span::Whole, DIR, &b"d"[..])];
    let (first, _) = bucket(bench, Class::Deep, &named);
    assert!(first.moved.bytes == 1, "{first:?}");
    let there = bench.there();
    let (outcome, heard) = bucket(bench, Class::Deep, &named);
    assert_eq!((outcome.end, outcome.moved.bytes), (End::Done, 0));
    assert_eq!(heard.fates("moved").iter().filter(|path| &***path == b"d/f").count(), 0);
    assert_eq!(bench.there(), there);
}

pub(crate) fn nothing_to_do_is_done(bench: &dyn Bench) {
    bench.put(b"f", Some(b"x"));
    let (outcome, _) = bucket(bench, Class::Flat, &[]);
    assert_eq!(outcome.end, End::Done);
    assert_eq!(bench.there(), tree(&[]));
}

pub(crate) fn after_a_cancel_it_is_stopped(bench: &dyn Bench) {
    bench.put(b"f", Some(b"x"));
    let cancel = Cancel::new();
    cancel.cancel();
    let lines = lines(&[(Span::Entry, FILE, b"f")]);
    let work = Work::Bucket { lines: &lines, class: Class::Flat, amount: Amount::of_one(1) };
    let (outcome, _) = done(&*bench.mover(), work, &cancel);
    // What is so short may be done before it hears of it.
    assert!(matches!(outcome.end, End::Stopped | End::Done), "{outcome:?}");
    let (outcome, _) = bucket(bench, Class::Flat, &[(Span::Entry, FILE, b"f")]);
    assert_eq!(outcome.end, End::Done);
    assert_eq!(bench.there(), tree(&[("f", Some("x"))]));
}

pub(crate) fn two_at_once_in_a_directory_disturb_nothing(bench: &dyn Bench) {
    let names: Vec<Vec<u8>> = (0..60).map(|number| format!("d/e/f{number}").into_bytes()).collect();
    for name in &names {
        bench.put(name, Some(name));
    }
    let parts: Vec<Vec<u8>> = names
        .chunks(30)
        .map(|names| {
            let of: Vec<_> = names.iter().map(|name| (Span::Entry, FILE, &**name)).collect();
            lines(&of)
        })
        .collect();
    let mover = bench.mover();
    std::thread::scope(|scope| {
        for lines in &parts {
            let mover = &*mover;
            scope.spawn(move || {
                let amount = Amount { entries: 30, bytes: 300 };
                let work = Work::Bucket { lines, class: Class::Flat, amount };
                assert_eq!(done(mover, work, &Cancel::new()).0.end, End::Done);
            });
        }
    });
    let lines = lines(&[(Span::Alone, DIR, b"d"), (Span::Alone, DIR, b"d/e")]);
    let (outcome, _) = done(&*mover, Work::Directories { lines: &lines }, &Cancel::new());
    assert_eq!(outcome.end, End::Done);
    assert_eq!(bench.there().len(), 62);
}

pub(crate) fn deleting_removes_what_is_not_at_the_source_and_no_more(bench: &dyn Bench) {
    bench.put(b"d/f", Some(b"new"));
    bench.put(b"d/not moved", Some(b"x"));
    for path in ["d/f", "d/old", "e/old"] {
        bench.put_there(path.as_bytes(), b"was");
    }
    let (outcome, heard) = done(&*bench.mover(), Work::Delete, &Cancel::new());
    assert_eq!((outcome.end, outcome.deleted), (End::Done, 3));
    assert_eq!(bench.there(), tree(&[("d", None), ("d/f", Some("was"))]));
    assert_eq!(heard.fates("deleted"), [&b"d/old"[..], b"e", b"e/old"]);
}

/// The promises, each a test, of what a bench makes.
macro_rules! promises {
    ($name:ident, $bench:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "a bench may need nothing")]
            use super::*;

            promises!(@each $bench;
                moves_what_is_named_and_nothing_else
                a_bare_directory_comes_without_what_lies_in_it
                any_name_is_a_name
                progress_never_falls_and_ends_at_all_of_it
                what_is_gone_has_vanished_and_the_rest_is_moved
                what_is_there_is_not_moved_again
                nothing_to_do_is_done
                after_a_cancel_it_is_stopped
                two_at_once_in_a_directory_disturb_nothing
                deleting_removes_what_is_not_at_the_source_and_no_more);
        }
    };
    (@each $bench:expr; $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                crate::mover::conformance::$promise(&$bench);
            }
        )*
    };
}

pub(crate) use promises;
