//! What a source on another host costs, and what becomes of it when the session ends.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use fs::{AccessTime, Content, Dir, Times};
use model::settings::{ContentCheck, Deltas, Depth, Mtimes, Perms, Staging};
use model::{Destination, Event, Job, Kind, Metadata, Settings, Sink, Source, Timestamp};
use proptest::prelude::*;
use sched::Cancel;
use tempfile::TempDir;
use wire::{Capacity, Name, Piece, Request};

use super::dir::just_before;
use super::foreign;
use super::session::{Session, source, wanting_all};
use crate::endpoint::{Attributed, Directory, Endpoint, SourceDir, SourceFile};
use crate::{Outcome, Stop, Surroundings, run_from};

mod damage;

/// Small files that are asked for together.
mod together;

/// How often a job waits for the way between the hosts.
mod round_trips;

/// A tree, and its top as it is asked over a session.
struct Tree {
    scratch: TempDir,
    here: Dir,
    session: Arc<Session>,
    cancel: Cancel,
    endpoint: Endpoint,
}

impl Tree {
    fn new() -> Self {
        Self::with(Capacity::default())
    }

    /// One whose source can do so much at a time.
    fn with(capacity: Capacity) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let here = Dir::open_operator(scratch.path()).unwrap();
        let session = Arc::new(Session::new(capacity));
        let cancel = Cancel::new();
        let endpoint = Endpoint::remote(&source(&session), &wanting_all(), &cancel);
        Self { scratch, here, session, cancel, endpoint }
    }

    fn write(&self, name: &str, content: &[u8]) {
        let file = self.here.create_file(name.as_bytes(), 0o644).unwrap();
        file.write_all_at(content, 0).unwrap();
    }

    fn top(&self) -> SourceDir {
        self.endpoint.open(self.scratch.path()).unwrap()
    }

    /// How many requests an action takes.
    fn requests(&self, act: impl FnOnce()) -> Vec<Request> {
        self.session.take_asked();
        act();
        self.session.take_asked()
    }
}

fn whole(file: &SourceFile) -> Vec<u8> {
    let (mut content, mut buffer) = (Vec::new(), vec![0; 100_000]);
    loop {
        let read = file.read_at(&mut buffer, content.len() as u64).unwrap();
        content.extend_from_slice(&buffer[..read]);
        if read < buffer.len() {
            return content;
        }
    }
}

/// Bytes of which no two stretches are alike.
fn content(len: u32) -> Vec<u8> {
    (0..len / 4).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn what_a_listing_told_is_not_asked_again() {
    let tree = Tree::new();
    for number in 0..500 {
        tree.write(&format!("file{number}"), b"x");
    }
    tree.here.make_symlink(b"nowhere", b"link").unwrap();
    tree.here.make_dir(b"below", 0o700).unwrap();
    let top = tree.top();
    let requests = tree.requests(|| {
        let listing = top.list().unwrap();
        assert_eq!(listing.len(), 502);
        for (name, kind) in listing.iter() {
            let metadata = top.stat(name).unwrap();
            assert_eq!(kind, Some(metadata.kind));
            assert_eq!(metadata.ino, tree.here.stat(name).unwrap().ino);
            assert!(top.attributes_of(name).value(b"user.none").unwrap().is_none());
        }
        assert_eq!(top.read_link(b"link").unwrap(), b"nowhere");
        top.check_search().unwrap();
    });
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[test]
fn a_small_file_takes_one_request_and_a_directory_two_at_once() {
    let tree = Tree::new();
    tree.write("file", &content(4000));
    tree.here.make_dir(b"below", 0o700).unwrap();
    let top = tree.top();
    top.list().unwrap();
    let requests = tree.requests(|| {
        let file = top.open_file(b"file", AccessTime::Keep).unwrap();
        let before = file.metadata().unwrap();
        assert!(whole(&file) == content(4000));
        assert_eq!((file.metadata().unwrap().mtime, file.size().unwrap()), (before.mtime, 4000));
        assert!(file.attributes().value(b"user.none").unwrap().is_none());
    });
    assert!(matches!(requests[..], [Request::Fetch { .. }]), "{requests:?}");
    let requests = tree.requests(|| {
        let below = top.open_child(b"below", AccessTime::Keep).unwrap();
        assert_eq!(below.as_opened().unwrap().kind, Kind::Directory);
        below.list().unwrap();
    });
    assert!(matches!(requests[..], [Request::OpenChild { .. }, Request::List { .. }]));
}

#[test]
fn what_is_read_from_end_to_end_is_asked_once() {
    const LEN: u32 = 40 << 20;
    let tree = Tree::new();
    tree.write("file", &content(LEN));
    let top = tree.top();
    top.list().unwrap();
    let requests = tree.requests(|| {
        let file = top.open_file(b"file", AccessTime::Keep).unwrap();
        assert!(whole(&file) == content(LEN));
    });
    let mut spans: Vec<_> = requests
        .iter()
        .filter_map(|request| match request {
            Request::Read { span, .. } => Some(span.range()),
            _ => None,
        })
        .collect();
    spans.sort_unstable_by_key(|span| span.start);
    let is_gapless = spans.windows(2).all(|pair| pair[0].end == pair[1].start);
    assert!(is_gapless && spans[0].start == 0, "{spans:?}");
}

#[test]
fn a_file_that_has_changed_since_it_was_listed_is_read_as_it_is() {
    let tree = Tree::new();
    for (name, now) in
        [("longer", content(900_000)), ("shorter", content(8)), ("same", content(400))]
    {
        tree.write(name, &content(400));
        let top = tree.top();
        top.list().unwrap();
        let file = tree.here.open_for_writing(name.as_bytes()).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(&now, 0).unwrap();
        let file = top.open_file(name.as_bytes(), AccessTime::Keep).unwrap();
        assert_eq!(file.metadata().unwrap().size, now.len() as u64, "{name}");
        assert!(whole(&file) == now, "{name}");
        assert_eq!(top.stat(name.as_bytes()).unwrap().size, 400, "{name}");
        top.doubt(name.as_bytes());
        assert_eq!(top.stat(name.as_bytes()).unwrap().size, now.len() as u64, "{name}");
    }
}

#[test]
fn a_change_while_a_file_is_read_is_seen() {
    let tree = Tree::new();
    tree.write("file", &content(2 << 20));
    let top = tree.top();
    top.list().unwrap();
    let file = top.open_file(b"file", AccessTime::Keep).unwrap();
    let before = file.metadata().unwrap();
    assert_eq!(whole(&file).len(), 2 << 20);
    tree.here.open_for_writing(b"file").unwrap().set_len(5).unwrap();
    assert_eq!((before.size, file.metadata().unwrap().size), (2 << 20, 5));
}

#[test]
fn a_file_that_is_begun_tells_what_is_wrong_with_it_when_it_is_asked() {
    let tree = Tree::new();
    tree.write("file", b"content");
    let top = tree.top();
    top.list().unwrap();
    tree.here.remove_file(b"file").unwrap();
    let begun = top.open_file_ahead(b"file", AccessTime::Keep).unwrap();
    for _ in 0..2 {
        assert_eq!(begun.metadata().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}

#[test]
fn many_files_may_be_begun_and_none_is_lost() {
    let tree = Tree::new();
    let content = content(200_000);
    for number in 0..100 {
        tree.write(&format!("file{number}"), &content);
    }
    let top = tree.top();
    top.list().unwrap();
    let open = |number| top.open_file_ahead(format!("file{number}").as_bytes(), AccessTime::Keep);
    let begun: Vec<_> = (0..100).map(|number| open(number).unwrap()).collect();
    assert_eq!(SourceFile::fetch(None, begun.iter(), NonZeroU64::MIN), 100);
    for file in begun.iter().step_by(2) {
        assert!(whole(file) == content);
    }
    drop((begun, top));
    assert_eq!(tree.session.settled_handles(), 0);
}

#[test]
fn nothing_of_the_other_host_is_anything_of_this() {
    let tree = Tree::new();
    tree.write("file", b"");
    let (there, here) = (tree.top(), &tree.here);
    let file = there.open_file(b"file", AccessTime::Keep).unwrap();
    let looks: [(Metadata, Metadata); 4] = [
        (there.as_opened().unwrap(), here.metadata().unwrap()),
        (there.as_opened().unwrap(), here.metadata().unwrap()),
        (there.stat(b"file").unwrap(), here.stat(b"file").unwrap()),
        (file.metadata().unwrap(), here.stat(b"file").unwrap()),
    ];
    for (there, here) in looks {
        assert!(!there.is_same_inode(&here));
        assert!(there.is_same_inode(&foreign(here)));
    }
}

#[test]
fn a_session_that_ends_ends_the_run_and_nothing_seems_to_have_vanished() {
    let tree = Tree::new();
    tree.write("file", b"content");
    let top = tree.top();
    top.list().unwrap();
    tree.session.end("the cable was cut");
    for error in [
        top.list().unwrap_err(),
        top.stat(b"other").unwrap_err(),
        top.open_file(b"file", AccessTime::Keep).unwrap_err(),
        tree.endpoint.open(tree.scratch.path()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
        assert_eq!(error.to_string(), "the cable was cut");
    }
    assert!(tree.cancel.is_cancelled());
    assert_eq!(tree.endpoint.lost(), Some("the cable was cut"));
}

#[test]
fn a_page_that_is_gone_is_told_again_from_the_name_on() {
    let tree = Tree::new();
    for number in 0..300 {
        tree.write(&format!("file{number:03}"), b"x");
    }
    let SourceDir::Remote(top) = tree.top() else { panic!("it is on another host") };
    top.list().unwrap();
    top.forget_what_was_told();
    let requests = tree.requests(|| {
        for number in 100..300 {
            top.stat(format!("file{number}").as_bytes()).unwrap();
        }
    });
    assert!(matches!(requests[..], [Request::List { .. }]), "{requests:?}");
    let requests = tree.requests(|| assert_eq!(top.stat(b"file050").unwrap().size, 1));
    assert!(matches!(requests[..], [Request::List { .. }]), "{requests:?}");
}

#[test]
fn the_name_before_is_before_and_nothing_is_between() {
    let name = |bytes: &[u8]| Name::new(bytes).unwrap();
    for (of, neighbour) in [("b", "a~"), ("b", "b!"), ("a0", "a.z"), ("a0", "a01"), ("ab", "a")] {
        let (of, neighbour) = (name(of.as_bytes()), name(neighbour.as_bytes()));
        let before = just_before(&of).unwrap();
        assert!(before < of);
        assert_eq!(neighbour > before, neighbour > of, "{neighbour:?}");
    }
    assert_eq!(just_before(&name(b"\x01")), None);
    assert_eq!(just_before(&name(b"a\x01")), Some(name(b"a")));
}

/// Passes over what it is told.
struct Nobody;

impl Sink for Nobody {
    fn accept(&self, _: Event) {}
}

/// Brings `from` over the session into `to`, as `-a` does.
fn bring(session: &Arc<Session>, from: &Path, to: &Path) -> Outcome {
    bring_with(session, from, to, |_| {})
}

/// The same with other settings.
fn bring_with(
    session: &Arc<Session>,
    from: &Path,
    to: &Path,
    change: impl FnOnce(&mut Settings),
) -> Outcome {
    let mut settings = wanting_all();
    settings.traverse.depth = Depth::Recursive;
    settings.preserve.perms = Perms::Keep;
    settings.preserve.mtimes = Mtimes { files: true, directories: true, symlinks: true };
    change(&mut settings);
    let mut typed = from.as_os_str().to_owned();
    typed.push("/");
    let job = Job {
        sources: vec![Source { path: typed.into() }],
        destination: Some(Destination { path: to.to_owned() }),
        settings,
    };
    let around = Surroundings {
        sink: Arc::new(Nobody),
        gauges: Arc::default(),
        cancel: Cancel::new(),
        rate: Arc::new(sched::RateLimit::new(None)),
        umask: 0o022,
    };
    run_from(&source(session), &job, &Arc::default(), &around).unwrap()
}

/// Paths below a directory with what they hold.
fn contents(top: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![(Dir::open_operator(top).unwrap(), Vec::new())];
    while let Some((dir, above)) = left.pop() {
        for (name, _) in dir.list().unwrap().iter() {
            let path = [&above[..], name].join(&b'/');
            let content = match dir.stat(name).unwrap().kind {
                Kind::Directory => {
                    left.push((dir.open_child(name, AccessTime::Keep).unwrap(), path.clone()));
                    b"directory".to_vec()
                }
                Kind::Symlink => dir.read_link(name).unwrap(),
                _ => whole(&dir.open_file(name, AccessTime::Keep).unwrap().into()),
            };
            found.insert(path, content);
        }
    }
    found
}

#[test]
fn a_tree_is_brought_over_and_the_second_time_only_looked_at() {
    const DIRS: usize = 30;
    const FILES: usize = 20;
    let tree = Tree::new();
    for number in 0..DIRS {
        let dir = format!("dir{number}");
        tree.here.make_dir(dir.as_bytes(), 0o755).unwrap();
        let dir = tree.here.open_child(dir.as_bytes(), AccessTime::Update).unwrap();
        for number in 0..FILES {
            let file = dir.create_file(format!("file{number}").as_bytes(), 0o640).unwrap();
            file.write_all_at(format!("content {number}").as_bytes(), 0).unwrap();
        }
        dir.make_symlink(b"file1", b"link").unwrap();
    }
    tree.write("big", &content(35 << 20));
    let to = tempfile::tempdir().unwrap();
    for (time, most_requests) in [(1, DIRS * (FILES + 3) + 150), (2, DIRS * 3 + 20)] {
        tree.session.take_asked();
        let outcome = bring(&tree.session, tree.scratch.path(), to.path());
        assert_eq!((outcome.summary.faults, outcome.summary.vanished), (0, 0), "{outcome:?}");
        assert!(outcome.stopped.is_none() && !outcome.cancelled);
        let written = if time == 1 { DIRS * FILES + 1 } else { 0 };
        assert_eq!(outcome.summary.transferred_files, written as u64);
        assert!(contents(to.path()) == contents(tree.scratch.path()));
        let asked = tree.session.take_asked();
        assert!(asked.len() <= most_requests, "{} requests", asked.len());
        assert_eq!(tree.session.settled_handles(), 0);
    }
}

#[test]
fn the_destination_may_be_the_source_of_the_other_host() {
    let tree = Tree::new();
    tree.write("file", b"content");
    let outcome = bring(&tree.session, tree.scratch.path(), tree.scratch.path());
    assert_eq!((outcome.summary.faults, outcome.summary.transferred_files), (0, 0), "{outcome:?}");
}

#[test]
fn a_run_whose_session_ends_says_so() {
    let tree = Tree::new();
    for number in 0..1000 {
        tree.write(&format!("file{number}"), b"content");
    }
    let to = tempfile::tempdir().unwrap();
    tree.session.end_after(20, "the cable was cut");
    let outcome = bring(&tree.session, tree.scratch.path(), to.path());
    assert_eq!(outcome.stopped, Some(Stop::SourceLost("the cable was cut".into())));
    assert_eq!((outcome.cancelled, outcome.summary.vanished), (false, 0));
    assert_eq!(outcome.summary.faults, 0, "it is no fault of the files that were asked for");
}

/// A tree with one file that has changed since it was brought over.
struct Changed {
    tree: Tree,
    to: TempDir,
    there: Dir,
}

impl Changed {
    fn new(old: &[u8], new: &[u8]) -> Self {
        let (tree, to) = (Tree::new(), tempfile::tempdir().unwrap());
        tree.write("file", new);
        let there = Dir::open_operator(to.path()).unwrap();
        there.create_file(b"file", 0o644).unwrap().write_all_at(old, 0).unwrap();
        Self { tree, to, there }
    }

    /// Brings it over by deltas; it is the same then, and nothing is left open.
    #[track_caller]
    fn bring(&self, change: impl FnOnce(&mut Settings)) -> Outcome {
        let (session, from) = (&self.tree.session, self.tree.scratch.path());
        let outcome = bring_with(session, from, self.to.path(), |settings| {
            settings.compare.content = ContentCheck::Never;
            settings.write.deltas = Deltas::Always;
            change(settings);
        });
        assert_eq!((outcome.summary.faults, outcome.summary.vanished), (0, 0), "{outcome:?}");
        assert!(contents(self.to.path()) == contents(from));
        assert_eq!(session.settled_handles(), 0);
        outcome
    }
}

/// A new file of stretches of an old one and other bytes.
fn edited(old: &[u8], edits: &[(usize, usize, u8)]) -> Vec<u8> {
    let mut new = Vec::new();
    for &(start, length, byte) in edits {
        let start = start.min(old.len());
        new.extend_from_slice(&old[start..old.len().min(start + length)]);
        new.extend(std::iter::repeat_n(byte, length % 100));
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_made_of_an_old_file_is_the_new_one(
        old_bytes in 1..300_000_u32,
        edits in proptest::collection::vec((0..300_000_usize, 0..100_000_usize, any::<u8>()), 0..6),
        block_bytes in proptest::option::of(1..5000_u64),
        in_place: bool,
        finds_zeros: bool,
    ) {
        let old = content(old_bytes);
        let changed = Changed::new(&old, &edited(&old, &edits));
        let outcome = changed.bring(|settings| {
            settings.write.block_bytes = block_bytes;
            settings.write.find_zeros = finds_zeros;
            if in_place {
                settings.write.staging = Staging::InPlace;
            }
        });
        let totals = outcome.summary;
        prop_assert_eq!(totals.literal_bytes + totals.matched_bytes, totals.transferred_bytes);
    }
}

#[test]
fn a_small_file_that_has_changed_takes_one_request() {
    let old = content(200_000);
    let changed = Changed::new(&old, &edited(&old, &[(0, 100_000, 7), (100_000, 100_000, 1)]));
    let outcome = changed.bring(|_| {});
    assert!(outcome.summary.matched_bytes > 190_000, "{outcome:?}");
    let asked = changed.tree.session.take_asked();
    let is_about_files = |request: &&Request| {
        use Request as R;
        let is_whole = matches!(request, R::Renew { .. } | R::Fetch { .. } | R::LookAtFile { .. });
        is_whole
            || matches!(request, R::OpenFile { .. } | R::Read { .. } | R::Hash { .. })
            || matches!(request, R::Sign { .. } | R::Delta { .. })
    };
    let asked: Vec<_> = asked.iter().filter(is_about_files).collect();
    assert!(matches!(asked[..], [Request::Renew { .. }]), "{asked:?}");
}

#[test]
fn a_source_that_changes_while_it_is_renewed_is_read_as_it_is() {
    let old = content(200_000);
    // Longer than there is room for, shorter, and no longer there in part.
    for now in [content(900_000), content(100_000), content(8), Vec::new()] {
        let changed = Changed::new(&old, &edited(&old, &[(0, 100_000, 7)]));
        let file = changed.tree.here.open_for_update(b"file").unwrap();
        changed.tree.session.show_requests(move |request| {
            if let Request::Renew { .. } = request {
                file.set_len(0).unwrap();
                file.write_all_at(&now, 0).unwrap();
            }
        });
        changed.bring(|_| {});
    }
}

#[test]
fn an_old_file_that_changes_meanwhile_does_no_harm() {
    for in_place in [false, true] {
        let old = content(1 << 20);
        let mut new = old.clone();
        new[500_000] ^= 1;
        let changed = Changed::new(&old, &new);
        let file = changed.there.open_for_update(b"file").unwrap();
        changed.tree.session.show_requests(move |request| {
            if let Request::Delta { .. } | Request::Renew { .. } = request {
                file.write_all_at(b"scribbled", 700_000).unwrap();
            }
        });
        changed.bring(|settings| {
            if in_place {
                settings.write.staging = Staging::InPlace;
            }
        });
    }
}

#[test]
fn an_old_file_that_becomes_shorter_meanwhile_does_no_harm() {
    let old = content(1 << 20);
    let changed = Changed::new(&old, &content((1 << 20) + 400));
    let file = changed.there.open_for_update(b"file").unwrap();
    changed.tree.session.show_requests(move |request| {
        if let Request::Delta { .. } = request {
            file.set_len(1000).unwrap();
        }
    });
    changed.bring(|_| {});
}

#[test]
fn a_source_that_changes_while_it_is_compared_is_compared_anew() {
    let old = content(1 << 20);
    let changed = Changed::new(&old, &content((1 << 20) + 400));
    let file = changed.tree.here.open_for_update(b"file").unwrap();
    let mut times = 0;
    changed.tree.session.show_requests(move |request| {
        if let Request::Delta { .. } = request {
            times += 1;
            if times == 1 {
                file.write_all_at(b"written meanwhile", 600_000).unwrap();
                let mtime = Some(Timestamp { secs: 1_000_000, nanos: 0 });
                file.set_times(Times { mtime, atime: None }).unwrap();
            }
        }
    });
    changed.bring(|_| {});
}

#[test]
fn a_part_that_is_wrong_when_it_was_fetched_whole_is_a_fault() {
    let old = content(1 << 20);
    let mut new = old.clone();
    new[500_000] ^= 1;
    let changed = Changed::new(&old, &new);
    let file = changed.there.open_for_update(b"file").unwrap();
    // Once before what is there is copied from, and again while what was written is checked.
    changed.tree.session.show_requests(move |request| {
        if let Request::Delta { .. } | Request::Hash { .. } = request {
            file.write_all_at(b"scribbled", 700_000).unwrap();
        }
    });
    let from = changed.tree.scratch.path();
    let outcome = bring_with(&changed.tree.session, from, changed.to.path(), |settings| {
        settings.compare.content = ContentCheck::Never;
        settings.write.staging = Staging::InPlace;
    });
    assert_eq!((outcome.summary.faults, outcome.summary.transferred_files), (1, 0), "{outcome:?}");
}
