//! Runs with real threads, a clock and a journal, and movers that only say that they moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleet::line::Span;
use model::Kind;

use crate::bucket::Class;
use crate::journal::replay::replay;
use crate::lines::{self, ListLine};
use crate::mover::FailedEntry;
use crate::state::{Deleting, Settings};
use crate::store::memory::Memory;

use super::*;

/// Moves by writing down what it was given.
struct Scribe<F> {
    /// How a try ends.
    end: F,
    moved: Mutex<Vec<(String, u64)>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl<F: Fn(&[String], &Cancel) -> Outcome + Send + Sync + 'static> Scribe<F> {
    fn new(end: F) -> Self {
        let (at_once, most_at_once) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { end, moved: Mutex::default(), at_once, most_at_once }
    }

    /// What was moved, each with the lease under which that was.
    fn moved(&self) -> Vec<String> {
        self.moved.lock().iter().map(|(path, _)| path.clone()).collect()
    }
}

impl<F: Fn(&[String], &Cancel) -> Outcome + Send + Sync + 'static> Mover for Scribe<F> {
    fn prepare(&self, _cancel: &Cancel) -> Result<(), Unfit> {
        Ok(())
    }

    fn run(&self, attempt: &Try<'_>, hear: &dyn Hear, cancel: &Cancel) -> Outcome {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        hear.is_up();
        let paths: Vec<String> = match attempt.work {
            Work::Bucket { lines, .. } => paths(lines),
            Work::Directories { lines } => {
                paths(lines).into_iter().map(|path| format!("directory {path}")).collect()
            }
            Work::Delete => vec!["deletions".to_owned()],
        };
        hear.progress(Amount { bytes: 0, entries: paths.len() as u64 });
        let outcome = (self.end)(&paths, cancel);
        if outcome.end == End::Done {
            let epoch = attempt.lease.epoch.0;
            self.moved.lock().extend(paths.into_iter().map(|path| (path, epoch)));
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    fn shown(&self, _attempt: &Try<'_>) -> String {
        "scribe".to_owned()
    }
}

fn paths(lines: &[u8]) -> Vec<String> {
    let all = lines::read(lines).map(|line| line.unwrap().path.to_vec());
    all.map(|path| String::from_utf8(path).unwrap()).collect()
}

fn ended(end: End) -> Outcome {
    Outcome { end, moved: Amount::default(), failed: Vec::new(), deleted: 0, code: None }
}

/// Remembers what it hears.
#[derive(Default)]
struct Watcher {
    told: Mutex<Vec<String>>,
    readings: Mutex<Vec<Reading>>,
}

impl Watch for Watcher {
    fn told(&self, told: &Told) {
        self.told.lock().push(format!("{told:?}"));
    }

    fn given(&self, _lease: Lease, shown: &str) {
        assert_eq!(shown, "scribe");
    }

    fn entry(&self, _lease: Lease, _verdict: &EntryVerdict<'_>) {}

    fn line(&self, _lease: Lease, _stream: Stream, _text: &[u8]) {}

    fn reading(&self, reading: &Reading) {
        self.readings.lock().push(*reading);
    }

    fn unwritten(&self, error: &io::Error) {
        self.told.lock().push(format!("unwritten: {error}"));
    }

    fn unread(&self, error: &ListError) {
        self.told.lock().push(format!("unread: {error}"));
    }
}

const SETTINGS: Settings = Settings {
    retries: 1,
    starts: 8,
    directories: true,
    deleting: Deleting::No,
    deletes_once: false,
    seed: 1,
};

fn bucket(paths: &[&str]) -> CutBucket {
    let mut lines = Vec::new();
    for path in paths {
        let line =
            ListLine { span: Span::Entry, kind: Kind::File, bytes: 10, path: path.as_bytes() };
        line.put(&mut lines);
    }
    let entries = paths.len() as u64;
    CutBucket { class: Class::Deep, amount: Amount { entries, bytes: entries * 10 }, lines }
}

/// Gives ten buckets of three entries.
fn cut_ten(take: &mut Take<'_>, _stop: &Cancel) -> Result<Cut, u8> {
    for number in 0..10 {
        let names = ["a", "b", "c"].map(|name| format!("{number}/{name}"));
        take(bucket(&names.each_ref().map(String::as_str))).map_err(|_| 20)?;
    }
    let mut split = Vec::new();
    let line = ListLine { span: Span::Alone, kind: Kind::Directory, bytes: 0, path: b"top" };
    line.put(&mut split);
    Ok(Cut { split, is_whole: true })
}

fn all_thirty() -> Vec<String> {
    let all = (0..10).flat_map(|number| ["a", "b", "c"].map(|name| format!("{number}/{name}")));
    all.collect()
}

/// Where a run is kept: twice the same store.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Memory>>);

impl Store for Shared {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.lock().write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.lock().read_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.lock().size()
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.0.lock().cut(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Folder {
    lists: Shared,
    journal: Shared,
}

impl Folder {
    fn kept(&self) -> Kept<Shared> {
        let (lists, journal) = (self.lists.clone(), self.journal.clone());
        let (at, end) = (lists.size().unwrap(), journal.size().unwrap());
        Kept { lists: Lists::behind(lists, at), journal: Journal::behind(journal, end).unwrap() }
    }

    /// Goes on with what the journal tells.
    fn coordinator(&self, settings: Settings, incarnation: u32) -> Coordinator {
        let mut coordinator = Coordinator::new(settings, incarnation);
        replay(&self.journal, &mut |dated| coordinator.restore(&dated.record)).unwrap();
        coordinator
    }
}

type Cutter = fn(&mut Take<'_>, &Cancel) -> Result<Cut, u8>;

fn conduct(
    folder: &Folder,
    mover: &dyn Mover,
    watch: &Watcher,
    cancel: &Cancel,
    cut: Option<Cutter>,
) -> Totals {
    let incarnation = u32::from(cut.is_none());
    let coordinator = folder.coordinator(SETTINGS, incarnation);
    let run = Run {
        coordinator,
        kept: folder.kept(),
        mover,
        slots: 3,
        keeps_links: false,
        watch,
        cancel,
    };
    run.conduct(cut)
}

#[test]
fn everything_is_moved_once_by_all_slots_and_directories_come_last() {
    let meeting = Arc::new((Mutex::new(0), parking_lot::Condvar::new()));
    let scribe = Scribe::new(move |_: &[String], _: &Cancel| {
        // The first three meet, so that there are three.
        let (met, bell) = &*meeting;
        let mut count = met.lock();
        *count += 1;
        bell.notify_all();
        while *count < 3 {
            bell.wait(&mut count);
        }
        ended(End::Done)
    });
    let (folder, watch) = (Folder::default(), Watcher::default());
    let totals = conduct(&folder, &scribe, &watch, &Cancel::new(), Some(cut_ten));
    assert_eq!((totals.code, totals.listed.entries, totals.done.entries), (0, 30, 30));
    let mut moved = scribe.moved();
    assert_eq!(moved.pop().as_deref(), Some("directory top"));
    moved.sort();
    assert_eq!(moved, all_thirty());
    assert_eq!(scribe.most_at_once.load(Ordering::SeqCst), 3);
    let mut kinds = BTreeMap::new();
    replay(&folder.journal, &mut |dated| {
        let told = format!("{:?}", dated.record);
        let word = told.split([' ', '(']).next().unwrap().to_owned();
        *kinds.entry(word).or_insert(0) += 1;
    })
    .unwrap();
    let count = |word: &str| kinds.get(word).copied().unwrap_or(0);
    assert_eq!((count("Cut"), count("CutEnded"), count("Ended")), (10, 1, 10), "{kinds:?}");
}

/// Whether the journal tells that all was cut.
fn is_cut(folder: &Folder) -> bool {
    let mut is_cut = false;
    let tells = &mut |dated: Dated| is_cut |= matches!(dated.record, Record::CutEnded(_));
    replay(&folder.journal, tells).unwrap();
    is_cut
}

#[test]
fn who_cancels_waits_for_movers_only_and_what_was_done_is_not_done_again() {
    let (folder, cancel) = (Folder::default(), Cancel::new());
    let (journal, pulled, done) = (folder.clone(), cancel.clone(), AtomicUsize::new(0));
    let scribe = Scribe::new(move |_: &[String], stop: &Cancel| {
        if done.fetch_add(1, Ordering::SeqCst) < 4 {
            return ended(End::Done);
        }
        while !is_cut(&journal) {
            thread::yield_now();
        }
        pulled.cancel();
        while !stop.is_cancelled() {
            thread::yield_now();
        }
        ended(End::Stopped)
    });
    let totals = conduct(&folder, &scribe, &Watcher::default(), &cancel, Some(cut_ten));
    assert_eq!((totals.code, totals.done.entries), (20, 12));
    let before = scribe.moved();

    let scribe = Scribe::new(|_: &[String], _: &Cancel| ended(End::Done));
    let totals = conduct(&folder, &scribe, &Watcher::default(), &Cancel::new(), None);
    assert_eq!((totals.code, totals.done.entries), (0, 30));
    let mut moved: Vec<String> = [before, scribe.moved()].concat();
    moved.retain(|path| !path.starts_with("directory"));
    moved.sort();
    assert_eq!(moved, all_thirty());
}

#[test]
fn an_entry_that_fails_is_tried_alone_and_told() {
    let scribe = Scribe::new(|paths: &[String], _: &Cancel| {
        if !paths.iter().any(|path| path == "4/b") {
            return ended(End::Done);
        }
        let failed = FailedEntry { path: b"4/b".to_vec(), why: "permission denied".to_owned() };
        let end = End::Partial { is_told: true };
        Outcome { failed: vec![failed], code: Some(23), ..ended(end) }
    });
    let (folder, watch) = (Folder::default(), Watcher::default());
    let totals = conduct(&folder, &scribe, &watch, &Cancel::new(), Some(cut_ten));
    assert_eq!((totals.code, totals.failed.entries, totals.done.entries), (23, 1, 29));
    let told = watch.told.lock();
    let names = told.iter().filter(|it| it.starts_with("EntryFailed"));
    assert_eq!(names.count(), 1, "{told:?}");
}

#[test]
fn a_bucket_of_which_nobody_knows_what_failed_is_tried_in_parts() {
    let scribe = Scribe::new(|paths: &[String], _: &Cancel| {
        let is_bad = paths.iter().any(|path| path == "7/c");
        let end = if is_bad { End::Partial { is_told: false } } else { End::Done };
        Outcome { code: is_bad.then_some(23), ..ended(end) }
    });
    let (folder, watch) = (Folder::default(), Watcher::default());
    let totals = conduct(&folder, &scribe, &watch, &Cancel::new(), Some(cut_ten));
    assert_eq!(totals.code, 23);
    let mut moved = scribe.moved();
    moved.retain(|path| !path.starts_with("directory"));
    moved.sort();
    let but_one: Vec<String> = all_thirty().into_iter().filter(|path| path != "7/c").collect();
    assert_eq!(moved, but_one);
}

#[test]
fn a_source_that_cannot_be_cut_ends_it_with_its_code() {
    fn cut(take: &mut Take<'_>, _stop: &Cancel) -> Result<Cut, u8> {
        take(bucket(&["a"])).map_err(|_| 20)?;
        Err(3)
    }
    let scribe = Scribe::new(|_: &[String], _: &Cancel| ended(End::Done));
    let totals =
        conduct(&Folder::default(), &scribe, &Watcher::default(), &Cancel::new(), Some(cut));
    assert_eq!(totals.code, 3);
}

#[test]
fn a_cutter_does_not_hold_a_run_that_is_over() {
    fn cut(take: &mut Take<'_>, stop: &Cancel) -> Result<Cut, u8> {
        for number in 0..u64::MAX {
            if take(bucket(&[&format!("{number}")])).is_err() || stop.is_cancelled() {
                break;
            }
        }
        Err(20)
    }
    let scribe = Scribe::new(|_: &[String], _: &Cancel| {
        ended(End::Hopeless(Unfit { code: 5, sentence: "nobody is let in".to_owned() }))
    });
    let watch = Watcher::default();
    let totals = conduct(&Folder::default(), &scribe, &watch, &Cancel::new(), Some(cut));
    assert_eq!(totals.code, 5);
    assert!(watch.told.lock().iter().any(|told| told.contains("nobody is let in")));
}

#[test]
fn a_bug_ends_a_run_and_does_not_hold_it() {
    fn cut(_take: &mut Take<'_>, _stop: &Cancel) -> Result<Cut, u8> {
        panic!("a bug of the cutter");
    }
    let sound = Scribe::new(|_: &[String], _: &Cancel| ended(End::Done));
    let watch = Watcher::default();
    let totals = conduct(&Folder::default(), &sound, &watch, &Cancel::new(), Some(cut));
    assert_eq!(totals.code, 14);
    let broken = Scribe::new(|_: &[String], _: &Cancel| panic!("a bug of the mover"));
    let totals = conduct(&Folder::default(), &broken, &watch, &Cancel::new(), Some(cut_ten));
    assert_eq!(totals.code, 14);
    assert!(watch.told.lock().iter().any(|told| told.contains("a bug of lanesync")));
}

/// Takes so many bytes and no more.
struct Small(Shared, u64);

impl Store for Small {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.0.cut(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_working_folder_that_is_full_ends_it_and_is_told() {
    for (lists, journal) in [(60, u64::MAX), (u64::MAX, 100)] {
        let small = |room| Small(Shared::default(), room);
        let kept = Kept {
            lists: Lists::behind(small(lists), 0),
            journal: Journal::behind(small(journal), 0).unwrap(),
        };
        let scribe = Scribe::new(|_: &[String], _: &Cancel| ended(End::Done));
        let (watch, cancel) = (Watcher::default(), Cancel::new());
        let coordinator = Coordinator::new(SETTINGS, 0);
        let run = Run {
            coordinator,
            kept,
            mover: &scribe,
            slots: 2,
            keeps_links: false,
            watch: &watch,
            cancel: &cancel,
        };
        let totals = run.conduct(Some(cut_ten));
        assert_eq!(totals.code, 11);
        assert!(watch.told.lock().iter().any(|told| told.starts_with("unwritten")));
    }
}
