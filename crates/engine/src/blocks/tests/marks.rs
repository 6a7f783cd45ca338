//! The mark of an incomplete target: when it is there, what it tells, and what of that is believed.

use super::deltas::{delta_in, delta_out};
use super::*;

impl Lab {
    fn mark(&self) -> PathBuf {
        self.path(".target.lanesync-incomplete")
    }

    /// Begins a job, stops it as a `kill -9` does before its end, and gives what it had done.
    fn interrupted(&self, change: impl FnOnce(&mut BlocksSettings), units: u64) {
        let job = self.job(|settings| {
            settings.readers = Some(1);
            change(settings);
        });
        let around = around();
        let ends = Ends::open(&job, None, &around).unwrap();
        let work = Arc::new(Work::new(&job, ends, &around).unwrap());
        work.stretch(&(0..units << 20)).unwrap();
        let journal = work.journal.as_ref().unwrap();
        journal.flush(work.target.as_ref().unwrap()).unwrap();
    }
}

/// Two images that differ in every unit.
fn two(lab: &Lab) -> (Vec<u8>, Vec<u8>) {
    let (new, old) = (content(1, (8 << 20) + 100), content(2, (8 << 20) + 100));
    lab.write("source", &new);
    lab.write("target", &old);
    (new, old)
}

/// Keeps what is said.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Sink for Ear {
    fn accept(&self, event: Event) {
        if let Event::Message(message) = event {
            self.0.lock().push(String::from_utf8_lossy(&message.text).into_owned());
        }
    }
}

/// What a run brings about and what it says.
fn told(lab: &Lab, change: impl FnOnce(&mut BlocksSettings)) -> (BlocksSummary, String) {
    let ear = Arc::new(Ear::default());
    let around = Surroundings { sink: Arc::clone(&ear) as Arc<dyn Sink>, ..around() };
    let done = bring(lab.at, &lab.job(change), &around).unwrap();
    let said = ear.0.lock().join("\n");
    (done, said)
}

#[test]
fn a_target_is_marked_until_it_is_complete() {
    let lab = Lab::new();
    let (new, _) = two(&lab);
    lab.interrupted(|_| (), 3);
    assert_eq!(std_fs::metadata(lab.mark()).unwrap().mode() & 0o777, 0o600);
    let (would, said) = told(&lab, |settings| settings.dry_run = true);
    assert!(said.contains("was left incomplete") && lab.mark().exists(), "{said}");
    assert_eq!(would.equal_bytes, 3 << 20);
    let (done, said) = told(&lab, |_| ());
    assert!(said.contains("was left incomplete by the run of 2"), "{said}");
    assert_eq!((done.resumed_bytes, done.equal_bytes), (0, 3 << 20));
    assert!(lab.read("target") == new && !lab.mark().exists());
    let (_, said) = told(&lab, |_| ());
    assert_eq!(said, "");
    assert_eq!(std_fs::read_dir(lab.dir.path()).unwrap().count(), 2);
}

#[test]
fn what_was_verified_is_not_read_again() {
    let lab = Lab::new();
    let (new, old) = two(&lab);
    let root = Some(*blake3::hash(&new).as_bytes());
    lab.interrupted(|_| (), 3);
    let (done, said) = told(&lab, |settings| settings.resume = true);
    assert!(said.contains("3 units of 1 MiB"), "{said}");
    assert_eq!((done.resumed_bytes, done.equal_bytes, done.digest), (3 << 20, 0, root));
    assert!(lab.read("target") == new && !lab.mark().exists());
    // Twice interrupted.
    lab.write("target", &old);
    lab.interrupted(|_| (), 2);
    lab.interrupted(|settings| settings.resume = true, 5);
    let all = |settings: &mut BlocksSettings| {
        (settings.resume, settings.read_back) = (true, ReadBack::All);
    };
    let (done, _) = told(&lab, all);
    assert_eq!((done.resumed_bytes, done.digest), (5 << 20, root));
    assert_eq!(done.verified_bytes, new.len() as u64);
    assert!(lab.read("target") == new);
}

type Change = fn(&Lab);

#[test]
fn what_does_not_hold_any_more_is_read_again() {
    let lab = Lab::new();
    let changes: [(&str, Change); 5] = [
        ("the source has changed since", |lab| lab.write("source", &content(1, (8 << 20) + 100))),
        ("the source is another", |lab| {
            lab.write("new", &lab.read("source"));
            std_fs::rename(lab.path("new"), lab.path("source")).unwrap();
        }),
        ("the target is another", |lab| {
            lab.write("new", &lab.read("target"));
            std_fs::rename(lab.path("new"), lab.path("target")).unwrap();
        }),
        ("the target has changed since", |lab| {
            let target = std_fs::File::options().write(true).open(lab.path("target")).unwrap();
            target.write_all_at(b"changed", 1 << 20).unwrap();
        }),
        ("(it is damaged); all of it is read", |lab| {
            let mut mark = std_fs::read(lab.mark()).unwrap();
            mark[50] ^= 1;
            std_fs::write(lab.mark(), mark).unwrap();
        }),
    ];
    for (why, change) in changes {
        let (new, _) = two(&lab);
        lab.interrupted(|_| (), 3);
        change(&lab);
        let (done, said) = told(&lab, |settings| settings.resume = true);
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(done.resumed_bytes, 0, "{why}");
        assert!(lab.read("target") == new && !lab.mark().exists(), "{why}");
    }
}

#[test]
fn a_torn_tail_of_the_mark_is_cut() {
    let lab = Lab::new();
    let (new, old) = two(&lab);
    lab.interrupted(|_| (), 3);
    let mark = lab.read(".target.lanesync-incomplete");
    let (target, entry) = (lab.read("target"), 40);
    let start = mark.len() - HEADER_BYTES - 3 * entry;
    for (tail, resumed) in [
        (&mark[start..], 3),
        (&mark[start..mark.len() - 1], 0),
        (&[0; 5000][..], 0),
        (&[255; 100][..], 0),
        (&[][..], 0),
    ] {
        lab.write("target", &target);
        let file = std_fs::File::create(lab.mark()).unwrap();
        file.write_all_at(&[&mark[..start], tail].concat(), 0).unwrap();
        drop(file);
        let (done, _) = told(&lab, |settings| settings.resume = true);
        assert_eq!(done.resumed_bytes, resumed << 20, "{}", tail.len());
        assert!(lab.read("target") == new);
    }
    assert!(target != old);
}

#[test]
fn an_undo_file_takes_the_mark_of_its_own_run_away() {
    let lab = Lab::new();
    let (_, old) = two(&lab);
    let with = |name: &str| {
        let undo = lab.path(name);
        move |settings: &mut BlocksSettings| settings.undo = Some(undo)
    };
    lab.interrupted(with("one"), 3);
    lab.interrupted(with("two"), 5);
    let undone = undo_by(&lab.path("two"), &lab.path("target"), false).unwrap();
    assert!(undone.stays_marked.unwrap().contains("stays marked") && lab.mark().exists());
    undo_by(&lab.path("one"), &lab.path("target"), false).unwrap();
    assert!(lab.read("target") == old);
    std_fs::remove_file(lab.mark()).unwrap();
    lab.interrupted(with("three"), 3);
    let undone = undo_by(&lab.path("three"), &lab.path("target"), false).unwrap();
    assert!(undone.stays_marked.is_none() && !lab.mark().exists());
    assert!(lab.read("target") == old);
}

#[test]
fn a_delta_that_was_cut_off_is_taken_up_again() {
    let lab = Lab::new();
    let (new, old) = two(&lab);
    delta_out(&lab, |_| ());
    // The half of it, under the mark of a run with this file.
    let job = BlocksJob { source: lab.path("delta"), ..lab.job(|_| ()) };
    let (source, target) = (
        Source::open(&job.source, None, &Cancel::new()).unwrap(),
        Image::open(&job.target, fs::image::Access::Write).unwrap(),
    );
    let lengths = (new.len() as u64, old.len() as u64);
    let sink: Arc<dyn Sink> = Arc::new(Deaf);
    let journal = Journal::open(&job, (&source, Some(&target)), lengths, &sink).unwrap().unwrap();
    journal.begin();
    target.file().write_all_at(&new[..5 << 20], 0).unwrap();
    drop(journal);
    std_fs::copy(lab.path("delta"), lab.path("other")).unwrap();
    assert!(refusal(delta_in(&lab, "other", |_| ())).contains("its content is another"));
    let done = delta_in(&lab, "delta", |_| ()).unwrap();
    assert_eq!(done.written_bytes, new.len() as u64 - (5 << 20));
    assert!(lab.read("target") == new && !lab.mark().exists());
    // All was written, but it was killed before it could say so.
    let target = Image::open(&job.target, fs::image::Access::Write).unwrap();
    let journal = Journal::open(&job, (&source, Some(&target)), lengths, &sink).unwrap().unwrap();
    journal.begin();
    drop(journal);
    assert!(lab.mark().exists());
    let done = delta_in(&lab, "delta", |_| ()).unwrap();
    assert!(done.written_bytes == 0 && !lab.mark().exists());
}

#[test]
fn a_run_that_lives_keeps_others_from_its_target() {
    let lab = Lab::new();
    two(&lab);
    let (job, around) = (lab.job(|_| ()), around());
    let ends = Ends::open(&job, None, &around).unwrap();
    let work = Arc::new(Work::new(&job, ends, &around).unwrap());
    work.stretch(&(0..1 << 20)).unwrap();
    let undo = lab.path("undo");
    let why = refusal(lab.bring(|settings| settings.undo = Some(undo.clone())));
    assert!(why.contains("another run writes to the target"), "{why}");
    assert!(!undo.exists());
    drop(work);
    lab.bring(|_| ()).unwrap();
}

#[test]
fn a_mark_of_somebody_else_is_not_believed_and_no_link_is_followed() {
    let lab = Lab::new();
    let (new, _) = two(&lab);
    lab.interrupted(|_| (), 3);
    std_fs::rename(lab.mark(), lab.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(lab.path("elsewhere"), lab.mark()).unwrap();
    let (done, said) = told(&lab, |settings| settings.resume = true);
    assert!(said.contains("is incomplete, but not what of it is right"), "{said}");
    assert_eq!(done.resumed_bytes, 0);
    assert!(lab.read("target") == new && lab.path("elsewhere").exists() && !lab.mark().exists());
}

#[test]
fn a_mark_with_units_that_the_image_does_not_have_tells_nothing() {
    let lab = Lab::new();
    let (new, _) = two(&lab);
    let job = lab.job(|settings| settings.readers = Some(1));
    let around = around();
    let ends = Ends::open(&job, None, &around).unwrap();
    let work = Arc::new(Work::new(&job, ends, &around).unwrap());
    work.stretch(&(0..1 << 20)).unwrap();
    work.note_right(9, &[7; 32]).unwrap();
    work.settle_mark(&Err(BlocksError::Stopped));
    drop(work);
    let (done, said) = told(&lab, |settings| settings.resume = true);
    assert!(said.contains("it is damaged"), "{said}");
    assert_eq!(done.resumed_bytes, 0);
    assert!(lab.read("target") == new);
}

#[test]
fn what_went_wrong_with_the_target_is_not_resumed() {
    let lab = Lab::new();
    let (new, _) = two(&lab);
    let (job, around) = (lab.job(|settings| settings.read_back = ReadBack::Written), around());
    let ends = Ends::open(&job, None, &around).unwrap();
    let work = Arc::new(Work::new(&job, ends, &around).unwrap());
    work.bring_over().unwrap();
    work.journal.as_ref().unwrap().flush(work.target.as_ref().unwrap()).unwrap();
    // The disk has not kept what was written.
    let target = std_fs::File::options().write(true).open(lab.path("target")).unwrap();
    target.write_all_at(b"damaged", 5 << 20).unwrap();
    let mut work = Arc::into_inner(work).unwrap();
    let done = work.finish();
    let Err(BlocksError::Fault(Fault { cause: Cause::VerificationFailed, .. })) = &done else {
        panic!("{done:?}")
    };
    work.settle_mark(&done);
    drop(work);
    let (done, said) = told(&lab, |settings| settings.resume = true);
    assert!(said.contains("it had verified nothing"), "{said}");
    assert_eq!(done.resumed_bytes, 0);
    assert!(lab.read("target") == new && !lab.mark().exists());
}

#[test]
fn a_run_that_looks_at_a_part_does_not_complete_an_incomplete_target() {
    let lab = Lab::new();
    let (new, _) = two(&lab);
    lab.interrupted(|_| (), 3);
    let part = |settings: &mut BlocksSettings| {
        settings.changed = Some(std::iter::once(0..4096).collect());
    };
    let why = refusal(lab.bring(part));
    assert!(why.contains("was left incomplete by another run") && lab.mark().exists(), "{why}");
    let longer = [&new[..], &new[..]].concat();
    lab.write("target", &content(2, longer.len()));
    lab.write("source", &longer);
    lab.interrupted(|_| (), 3);
    lab.write("source", &new);
    let why = refusal(lab.bring(|settings| settings.sizes = Sizes::Ignore));
    assert!(why.contains("was left incomplete by another run") && lab.mark().exists(), "{why}");
}

#[test]
fn while_a_run_writes_nobody_brings_the_old_back() {
    let lab = Lab::new();
    let (new, _) = two(&lab);
    let undo = lab.path("undo");
    let (job, around) = (lab.job(|settings| settings.undo = Some(undo.clone())), around());
    let ends = Ends::open(&job, None, &around).unwrap();
    let work = Arc::new(Work::new(&job, ends, &around).unwrap());
    work.stretch(&(0..1 << 20)).unwrap();
    let undone = undo_by(&undo, &lab.path("target"), false);
    let Err(BlocksError::Refused(why)) = undone else { panic!("{undone:?}") };
    assert!(why.contains("another run writes to the target"), "{why}");
    assert!(lab.read("target")[..1 << 20] == new[..1 << 20]);
}
