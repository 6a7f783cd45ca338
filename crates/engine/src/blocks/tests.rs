//! Images that are brought over, compared byte by byte.

#![expect(clippy::disallowed_methods, reason = "the tests make and read images of their own")]

use std::fs as std_fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;

use model::blocks::{Dangers, Digest, Zeros};
use model::{Event, Sink};
use proptest::prelude::*;

use super::records::HEADER_BYTES;
use super::*;
use crate::endpoint::remote::session::{self, Session};

mod there;

mod content;
mod deltas;
mod lies;
mod marks;
mod shifted;

/// Hears nothing.
struct Deaf;

impl Sink for Deaf {
    fn accept(&self, _: Event) {}
}

/// Where the source of a job is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Here,
    /// As on another host, through a session.
    There,
}

struct Lab {
    dir: tempfile::TempDir,
    at: At,
}

impl Lab {
    fn new() -> Self {
        Self::at(At::Here)
    }

    fn at(at: At) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), at }
    }

    /// What holds wherever the source lies.
    fn each() -> [Self; 2] {
        [At::Here, At::There].map(Self::at)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std_fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std_fs::read(self.path(name)).unwrap()
    }

    fn allocated(&self, name: &str) -> u64 {
        std_fs::metadata(self.path(name)).unwrap().blocks()
    }

    fn job(&self, change: impl FnOnce(&mut BlocksSettings)) -> BlocksJob {
        let mut settings = BlocksSettings::default();
        change(&mut settings);
        BlocksJob { source: self.path("source"), target: self.path("target"), settings }
    }

    fn bring(
        &self,
        change: impl FnOnce(&mut BlocksSettings),
    ) -> Result<BlocksSummary, BlocksError> {
        bring(self.at, &self.job(change), &around())
    }
}

fn bring(at: At, job: &BlocksJob, around: &Surroundings) -> Result<BlocksSummary, BlocksError> {
    match at {
        At::Here => settled(run(job, around)),
        At::There => {
            let session = Arc::new(Session::new(wire::Capacity::default()));
            bring_through(&session, job, around)
        }
    }
}

fn bring_through(
    session: &Arc<Session>,
    job: &BlocksJob,
    around: &Surroundings,
) -> Result<BlocksSummary, BlocksError> {
    settled(run_from(&session::source(session), job, around))
}

fn settled(
    (summary, done): (Option<BlocksSummary>, Result<(), BlocksError>),
) -> Result<BlocksSummary, BlocksError> {
    done.map(|()| summary.expect("a job that ended well was begun"))
}

fn undo_by(file: &Path, target: &Path, is_dry_run: bool) -> Result<Undone, BlocksError> {
    let settings = BlocksSettings { dry_run: is_dry_run, ..BlocksSettings::default() };
    let job = BlocksJob { source: file.to_owned(), target: target.to_owned(), settings };
    apply_undo(&job, &around())
}

fn around() -> Surroundings {
    Surroundings {
        sink: Arc::new(Deaf),
        gauges: Arc::default(),
        cancel: Cancel::new(),
        rate: Arc::new(RateLimit::new(None)),
        umask: 0,
    }
}

fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    };
    (0..bytes).map(|_| next()).collect()
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, BlocksError>) -> String {
    match result {
        Err(BlocksError::Refused(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

/// A stretch of an image: what it holds, and whether the target has it already.
#[derive(Clone, Copy, Debug)]
struct Patch {
    at: usize,
    length: usize,
    new: Fill,
    old: Fill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Hole,
    Zeros,
    One,
    Other,
}

fn fills() -> impl Strategy<Value = Fill> {
    prop::sample::select(vec![Fill::Hole, Fill::Zeros, Fill::One, Fill::Other])
}

fn patches(image_bytes: usize) -> impl Strategy<Value = Vec<Patch>> {
    let patch = (0..image_bytes, 1..400_000_usize, fills(), fills());
    let patch = patch.prop_map(|(at, length, new, old)| Patch { at, length, new, old });
    prop::collection::vec(patch, 0..12)
}

/// Makes an image of patches on one ground.
fn make(path: &Path, image_bytes: usize, ground: &[u8], fills: &[(Patch, Fill)]) {
    let file = std_fs::File::create(path).unwrap();
    file.write_all_at(&ground[..image_bytes], 0).unwrap();
    for (Patch { at, length, .. }, fill) in fills {
        let end = image_bytes.min(at + length);
        if *at >= end {
            continue;
        }
        match fill {
            Fill::Hole => {
                let whole = Image::open(path, fs::image::Access::Write).unwrap();
                whole.clear(*at as u64..end as u64).unwrap();
            }
            Fill::Zeros => file.write_all_at(&vec![0; end - at], *at as u64).unwrap(),
            Fill::One => file.write_all_at(&content(1, end - at), *at as u64).unwrap(),
            Fill::Other => file.write_all_at(&content(2, end - at), *at as u64).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_differs_the_target_is_the_source_and_can_be_had_back(
        source_bytes in 0..3_500_000_usize,
        target_bytes in 0..3_500_000_usize,
        patches in patches(3_500_000),
        blocks in 1..6_u32,
        readers in 1..4_u16,
        at in prop::sample::select(vec![At::Here, At::There]),
        hash in prop::sample::select(vec![Hashing::Blake3, Hashing::Xxh3]),
    ) {
        let (lab, ground) = (Lab::at(at), content(0, 3_500_000));
        let of = |pick: fn(&Patch) -> Fill| patches.iter().map(|it| (*it, pick(it))).collect::<Vec<_>>();
        make(&lab.path("source"), source_bytes, &ground, &of(|patch| patch.new));
        make(&lab.path("target"), target_bytes, &ground, &of(|patch| patch.old));
        let (source, old) = (lab.read("source"), lab.read("target"));
        let settings = |settings: &mut BlocksSettings| {
            settings.sizes = Sizes::Truncate;
            settings.block_bytes = blocks * 4096;
            settings.readers = Some(readers);
            settings.digest = Digest::Always;
            settings.hash = hash;
            settings.read_back = ReadBack::All;
        };
        let would = lab.bring(|it| { settings(it); it.dry_run = true; }).unwrap();
        prop_assert!(lab.read("target") == old, "a dry run changes nothing");
        let (before, undo) = (lab.allocated("source"), lab.path("undo"));
        let did = lab.bring(|it| { settings(it); it.undo = Some(undo.clone()); }).unwrap();
        prop_assert!(lab.read("target") == source);
        // Of many extents ext4 keeps a list, in a block that it does not give back.
        let after = lab.allocated("target");
        prop_assert!(after <= before + 4096 / 512, "{after} and {before}");
        let root = (hash == Hashing::Blake3).then(|| *blake3::hash(&source).as_bytes());
        prop_assert_eq!(did.digest, root);
        prop_assert_eq!(BlocksSummary { verified_bytes: 0, ..did.clone() }, would);
        let sum = did.skipped_bytes + did.equal_bytes + did.written_bytes + did.cleared_bytes;
        prop_assert_eq!(sum, source_bytes as u64);
        let again = lab.bring(settings).unwrap();
        prop_assert_eq!((again.written_bytes, again.cleared_bytes), (0, 0));
        let undone = undo_by(&undo, &lab.path("target"), false).unwrap();
        prop_assert!(undone.was_complete);
        prop_assert!(lab.read("target") == old, "undone");
    }
}

#[test]
fn a_new_image_is_as_sparse_as_the_source_and_a_huge_one_takes_no_time() {
    for lab in Lab::each() {
        let file = std_fs::File::create(lab.path("source")).unwrap();
        file.set_len(64 << 30).unwrap();
        file.write_all_at(&content(1, 100_000), 33 << 30).unwrap();
        file.write_all_at(b"end", (64 << 30) - 3).unwrap();
        let done = lab.bring(|settings| settings.sizes = Sizes::Truncate).unwrap();
        // A hole has no content: what is written is what has some.
        assert!(done.written_bytes <= 100_000 + 3 * 4096, "{done:?}");
        assert_eq!(done.digest, None);
        assert_eq!(lab.allocated("target"), lab.allocated("source"));
        let again = lab.bring(|settings| settings.sizes = Sizes::Truncate).unwrap();
        assert_eq!((again.written_bytes, again.cleared_bytes), (0, 0));
    }
}

#[test]
fn zeros_that_are_to_be_written_take_room() {
    for lab in Lab::each() {
        std_fs::File::create(lab.path("source")).unwrap().set_len(1 << 20).unwrap();
        lab.write("target", &content(1, 1 << 20));
        let before = lab.allocated("target");
        let done = lab.bring(|settings| settings.zeros = Zeros::Written).unwrap();
        assert_eq!(done.cleared_bytes, 1 << 20);
        assert_eq!(lab.allocated("target"), before);
        lab.bring(|_| ()).unwrap();
        assert_eq!(lab.allocated("target"), 0);
    }
}

#[test]
fn a_block_that_is_zero_but_for_its_last_byte_is_brought_over() {
    for lab in Lab::each() {
        let mut image = vec![0; 1 << 20];
        image[(1 << 20) - 1] = 1;
        image[8191] = 1;
        lab.write("source", &image);
        lab.write("target", &vec![0; 1 << 20]);
        let done = lab.bring(|_| ()).unwrap();
        assert_eq!(done.written_bytes, 2 * 4096);
        assert!(lab.read("target") == image);
    }
}

#[test]
fn only_what_is_said_to_have_changed_is_looked_at() {
    for lab in Lab::each() {
        let (mut new, old) = (content(1, 8 << 20), content(1, 8 << 20));
        (new[5], new[7 << 20]) = (!new[5], !new[7 << 20]);
        lab.write("source", &new);
        lab.write("target", &old);
        let changed = std::iter::once((7 << 20) + 10..(7 << 20) + 11).collect();
        let done = lab.bring(|settings| settings.changed = Some(changed)).unwrap();
        let skipped = if lab.at == At::Here { 7 << 20 } else { 4 << 20 };
        assert_eq!((done.skipped_bytes, done.written_bytes), (skipped, 4096));
        assert_eq!(done.digest, None);
        new[5] = !new[5];
        assert!(lab.read("target") == new);
    }
}

#[test]
fn sizes_that_differ_are_a_matter_of_what_was_asked_for() {
    for lab in Lab::each() {
        let long = content(1, 10_000);
        lab.write("source", &long);
        for target_bytes in [9_999, 10_001] {
            lab.write("target", &content(2, target_bytes));
            let why = refusal(lab.bring(|_| ()));
            assert!(why.contains("--truncate") && why.contains("--ignore-size"), "{why}");
            assert!(lab.read("target") == content(2, target_bytes));
            let done = lab.bring(|settings| settings.sizes = Sizes::Ignore).unwrap();
            assert_eq!(done.image_bytes, target_bytes.min(10_000) as u64);
            let mut expected = content(2, target_bytes);
            let both = target_bytes.min(10_000);
            expected[..both].copy_from_slice(&long[..both]);
            assert!(lab.read("target") == expected);
            lab.bring(|settings| settings.sizes = Sizes::Truncate).unwrap();
            assert!(lab.read("target") == long);
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_changed() {
    for lab in Lab::each() {
        lab.write("source", &content(1, 10_000));
        assert!(refusal(lab.bring(|_| ())).contains("--truncate"));
        assert!(!lab.path("target").exists());
        std_fs::hard_link(lab.path("source"), lab.path("target")).unwrap();
        assert!(refusal(lab.bring(|_| ())).contains("are the same"));
        lab.bring(|settings| settings.allowed = Dangers::OVERLAP).unwrap();
        std_fs::remove_file(lab.path("target")).unwrap();
        lab.write("target", &content(2, 10_000));
        let mut mode = std_fs::metadata(lab.path("target")).unwrap().permissions();
        mode.set_readonly(true);
        std_fs::set_permissions(lab.path("target"), mode).unwrap();
        assert!(refusal(lab.bring(|_| ())).contains("--allow=read-only"));
        assert!(lab.read("target") == content(2, 10_000));
        let job = BlocksJob { target: "/dev/lanesync-no-such-device".into(), ..lab.job(|_| ()) };
        assert!(refusal(bring(lab.at, &job, &around())).contains("is not there"));
        let truncate = |settings: &mut BlocksSettings| settings.sizes = Sizes::Truncate;
        let job = BlocksJob { target: job.target, ..lab.job(truncate) };
        assert!(refusal(bring(lab.at, &job, &around())).contains("--allow=new-in-dev"));
        assert!(!job.target.exists());
    }
}

#[test]
fn a_dry_run_makes_nothing() {
    for lab in Lab::each() {
        lab.write("source", &content(1, 10_000));
        let done = lab
            .bring(|settings| {
                (settings.dry_run, settings.sizes) = (true, Sizes::Truncate);
                settings.undo = Some(lab.path("undo"));
            })
            .unwrap();
        assert_eq!(done.written_bytes, 10_000);
        assert!(!lab.path("target").exists() && !lab.path("undo").exists());
    }
}

#[test]
fn an_undo_file_that_is_damaged_changes_nothing() {
    let lab = Lab::new();
    let (new, old) = (content(1, 300_000), content(2, 300_000));
    lab.write("source", &new);
    lab.write("target", &old);
    lab.bring(|settings| settings.undo = Some(lab.path("undo"))).unwrap();
    let undo = lab.read("undo");
    for at in [0, 20, 30, 45, 5000, 299_000] {
        let mut damaged = undo.clone();
        damaged[at] ^= 4;
        lab.write("damaged", &damaged);
        undo_by(&lab.path("damaged"), &lab.path("target"), false).unwrap_err();
        assert!(lab.read("target") == new, "{at}");
    }
    // One that was killed has less to take back, and had changed less.
    lab.write("cut", &undo[..undo.len() - 1]);
    let undone = undo_by(&lab.path("cut"), &lab.path("target"), false).unwrap();
    assert!(!undone.was_complete && lab.read("target") == old);
    let why = refusal(lab.bring(|settings| settings.undo = Some(lab.path("undo"))));
    assert!(why.contains("is there already"), "{why}");
    assert!(lab.read("undo") == undo);
}

#[test]
fn what_a_loss_of_power_has_left_of_the_last_record_is_no_damage() {
    let lab = Lab::new();
    let (new, old) = (content(1, 6 << 20), content(2, 6 << 20));
    lab.write("source", &new);
    lab.write("target", &old);
    let one = |settings: &mut BlocksSettings| {
        (settings.undo, settings.readers) = (Some(lab.path("undo")), Some(1));
    };
    lab.bring(one).unwrap();
    let undo = lab.read("undo");
    // The last record is that of the last unit; behind it comes the end.
    let last = undo.len() - HEADER_BYTES - (1 << 20) - HEADER_BYTES;
    for tail in [vec![0; 1 << 20], vec![0; 10], vec![255; 5000], undo[last..last + 500].to_vec()] {
        let torn = [&undo[..last], &tail].concat();
        lab.write("torn", &torn);
        lab.write("target", &[&new[..5 << 20], &old[5 << 20..]].concat());
        let undone = undo_by(&lab.path("torn"), &lab.path("target"), false).unwrap();
        assert!(!undone.was_complete && lab.read("target") == old, "{}", tail.len());
    }
    // Far from the tail it is damage.
    let mut damaged = undo[..last].to_vec();
    damaged[1000] ^= 1;
    lab.write("torn", &damaged);
    undo_by(&lab.path("torn"), &lab.path("target"), false).unwrap_err();
}

#[test]
fn an_undo_file_is_not_for_anything_else() {
    let lab = Lab::new();
    lab.write("source", &content(1, 10_000));
    lab.write("target", &content(2, 10_000));
    lab.bring(|settings| settings.undo = Some(lab.path("undo"))).unwrap();
    let (undo, apply) = (lab.path("undo"), |target: &str, is_dry| {
        undo_by(&lab.path("undo"), &lab.path(target), is_dry)
    });
    lab.write("longer", &content(3, 10_001));
    assert!(refusal(apply("longer", false)).contains("that had 10000 bytes"));
    let kept = lab.read("undo");
    assert!(refusal(apply("undo", false)).contains("lies in"));
    assert!(lab.read("undo") == kept);
    assert_eq!(apply("target", true).unwrap().restored_bytes, 10_000);
    assert!(lab.read("target") == content(1, 10_000), "a dry run changes nothing");
    let mode = std_fs::metadata(undo).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_source_that_is_cut_meanwhile_is_no_hole() {
    let lab = Lab::new();
    for (name, seed) in [("source", 1), ("target", 2)] {
        lab.write(name, &content(seed, 40 << 20));
    }
    // Slow enough that it is cut before its end is looked at.
    let around = Surroundings {
        rate: Arc::new(RateLimit::new(std::num::NonZeroU64::new(4 << 20))),
        ..around()
    };
    let job = lab.job(|settings| settings.readers = Some(1));
    let done = thread::scope(|scope| {
        let runs = scope.spawn(|| bring(At::Here, &job, &around));
        while lab.read("target")[..4096] != content(1, 4096) {
            thread::yield_now();
        }
        let source = std_fs::File::options().write(true).open(lab.path("source")).unwrap();
        source.set_len(0).unwrap();
        runs.join().unwrap()
    });
    let changed = matches!(
        done,
        Err(BlocksError::Fault(Fault { side: Side::Source, cause: Cause::ChangedDuringCopy, .. }))
    );
    assert!(changed, "{done:?}");
    assert!(lab.read("target")[30 << 20..] == content(2, 40 << 20)[30 << 20..]);
}

#[test]
fn a_source_that_was_written_to_meanwhile_is_told() {
    let lab = Lab::new();
    lab.write("source", &content(1, 2 << 20));
    lab.write("target", &content(2, 2 << 20));
    let (ends, around) = (Ends::open(&lab.job(|_| ()), None, &around()).unwrap(), around());
    let work = Arc::new(Work::new(&lab.job(|_| ()), ends, &around).unwrap());
    work.bring_over().unwrap();
    lab.write("source", &content(3, 2 << 20));
    let changed = Arc::into_inner(work).unwrap().finish();
    assert!(matches!(changed, Err(BlocksError::Fault(_))), "{changed:?}");
}

#[test]
fn what_is_stopped_says_so() {
    let lab = Lab::new();
    lab.write("source", &content(1, 3 << 20));
    lab.write("target", &content(2, 3 << 20));
    let around = around();
    around.cancel.cancel();
    let stopped = bring(At::Here, &lab.job(|_| ()), &around);
    assert!(matches!(stopped, Err(BlocksError::Stopped)), "{stopped:?}");
}

#[test]
fn a_new_target_goes_when_the_run_is_refused() {
    let lab = Lab::new();
    lab.write("source", &content(1, 10_000));
    let change = |settings: &mut BlocksSettings| {
        settings.sizes = Sizes::Truncate;
        settings.undo = Some(lab.path("nowhere/undo"));
    };
    lab.bring(change).unwrap_err();
    assert!(!lab.path("target").exists());
}

#[test]
fn room_that_is_given_back_in_great_pieces_is_given_back() {
    let lab = Lab::new();
    let mut image = content(1, 16 << 20);
    image[(1 << 20) + 5000..(13 << 20) + 77].fill(0);
    lab.write("source", &image);
    for (room_bytes, kept) in [(512 << 10, 4), (4 << 20, 8), (64 << 20, 16)] {
        lab.write("target", &content(2, 16 << 20));
        let (job, around) = (lab.job(|_| ()), around());
        let mut work = Work::new(&job, Ends::open(&job, None, &around).unwrap(), &around).unwrap();
        work.room_bytes = room_bytes;
        let work = Arc::new(work);
        work.bring_over().unwrap();
        let mut work = Arc::into_inner(work).unwrap();
        work.finish().unwrap();
        work.settle_mark(&Ok(()));
        assert!(lab.read("target") == image);
        assert!(lab.allocated("target") <= (kept << 20) / 512 + 16, "{room_bytes}");
    }
}
