//! Sources on another host that have elsewhere what the target has.

use wire::{Answer, Ask, Chunks, Cut, DeltaSeed, FaultKind, Handle, Piece, Reply, Request, Span};

use super::*;

const MIB: usize = 1 << 20;

/// A lab with both, in which what is asked is seen.
fn lab(new: &[u8], old: &[u8]) -> (Lab, Arc<Session>) {
    let lab = Lab::at(At::There);
    lab.write("source", new);
    lab.write("target", old);
    (lab, Arc::new(Session::new(wire::Capacity::default())))
}

fn truncating(lab: &Lab, change: impl FnOnce(&mut BlocksSettings)) -> BlocksJob {
    lab.job(|settings| {
        settings.sizes = Sizes::Truncate;
        change(settings);
    })
}

fn blocks_read(asked: &[Request]) -> u64 {
    let spans = asked.iter().filter_map(|request| match request {
        Request::ReadBlocks { spans, .. } => Some(spans.as_slice()),
        _ => None,
    });
    spans.flatten().map(|span| span.bytes()).sum()
}

fn chunks_asked(asked: &[Request]) -> usize {
    asked.iter().filter(|request| matches!(request, Request::Chunks { .. })).count()
}

#[test]
fn of_what_is_shifted_next_to_nothing_is_read() {
    let old = content(1, 40 * MIB + 77);
    let longer = [&content(2, 1000)[..], &old].concat();
    let middle = [&old[..20 * MIB], &content(2, 5000), &old[20 * MIB..]].concat();
    let swapped = [&old[20 * MIB..], &old[..20 * MIB]].concat();
    for (new, most) in [
        (&longer, 2 * 4096),
        (&old[1000..].to_vec(), 4096),
        (&middle, 512 << 10),
        (&swapped, 512 << 10),
    ] {
        let (lab, session) = lab(new, &old);
        let done = bring_through(&session, &truncating(&lab, |_| ()), &around()).unwrap();
        assert!(lab.read("target") == *new);
        assert_eq!(done.digest, Some(*blake3::hash(new).as_bytes()));
        assert_eq!(done.written_bytes + done.equal_bytes, new.len() as u64);
        let read = blocks_read(&session.take_asked());
        assert!(read <= most, "{read} {most}");
        assert_eq!(session.settled_handles(), 0);
        assert_eq!(std_fs::read_dir(lab.dir.path()).unwrap().count(), 2, "nothing is left");
    }
}

#[test]
fn what_is_not_shifted_or_not_there_costs_no_chunks_or_few() {
    let old = content(1, 64 * MIB);
    let mut scattered = old.clone();
    for at in (0..scattered.len()).step_by(100_000) {
        scattered[at] = !scattered[at];
    }
    for (new, most) in [(old.clone(), 0), (scattered, 0), (content(3, 64 * MIB), 1)] {
        let (lab, session) = lab(&new, &old);
        bring_through(&session, &lab.job(|_| ()), &around()).unwrap();
        assert!(lab.read("target") == new);
        assert!(chunks_asked(&session.take_asked()) <= most, "{most}");
    }
    let shifted = [&[7; 1000], &old[..]].concat();
    let all = Some(std::iter::once(0..1 << 40).collect());
    // Who says what has changed is believed; what is short is not looked at.
    for (bytes, changed) in [(24 * MIB, all), (3 * MIB, None)] {
        let (lab, session) = lab(&shifted[..bytes], &old[..bytes]);
        let job = lab.job(|settings| settings.changed = changed);
        bring_through(&session, &job, &around()).unwrap();
        assert!(lab.read("target") == shifted[..bytes]);
        assert_eq!(chunks_asked(&session.take_asked()), 0, "{bytes}");
    }
}

#[test]
fn a_dry_run_writes_nothing_and_tells_the_same() {
    let old = content(1, 24 * MIB);
    let new = [&content(2, 1000)[..], &old].concat();
    let (lab, session) = lab(&new, &old);
    let dry = truncating(&lab, |settings| settings.dry_run = true);
    let dry = bring_through(&session, &dry, &around()).unwrap();
    assert!(lab.read("target") == old);
    assert!(chunks_asked(&session.take_asked()) > 0);
    let done = bring_through(&session, &truncating(&lab, |_| ()), &around()).unwrap();
    assert!(lab.read("target") == new);
    assert_eq!((dry.written_bytes, dry.digest), (done.written_bytes, done.digest));
}

#[test]
fn what_was_shifted_is_brought_back_by_what_was_kept() {
    let mut old = content(1, 24 * MIB);
    old[8 * MIB..12 * MIB].fill(0);
    let new = old[5000..].to_vec();
    let (lab, session) = lab(&new, &old);
    let undo = lab.path("undo");
    let job = truncating(&lab, |settings| settings.undo = Some(undo.clone()));
    bring_through(&session, &job, &around()).unwrap();
    assert!(lab.read("target") == new && chunks_asked(&session.take_asked()) > 0);
    undo_by(&undo, &lab.path("target"), false).unwrap();
    assert!(lab.read("target") == old);
}

#[test]
fn chunks_that_lie_cost_time_and_nothing_else() {
    let old = content(1, 24 * MIB);
    let new = [&content(2, 1000)[..], &old].concat();
    // Told of other places than they are at, or told to be others. The last one may be shorter and stays.
    let rotate: fn(&[u8]) -> Vec<u8> =
        |told| [&told[19 * 40..19 * 80], &told[..19 * 40], &told[19 * 80..]].concat();
    let forge: fn(&[u8]) -> Vec<u8> = |told| {
        let mut told = told.to_vec();
        told[10..19].fill(7);
        told
    };
    for lie in [rotate, forge] {
        let (lab, session) = lab(&new, &old);
        session.change_pieces(move |piece| match piece {
            Piece::Reply(Reply::Chunks(told)) => {
                Reply::Chunks(Chunks::new(lie(told.as_bytes())).unwrap()).into()
            }
            piece => piece,
        });
        let done = bring_through(&session, &truncating(&lab, |_| ()), &around()).unwrap();
        assert!(lab.read("target") == new);
        assert_eq!(done.digest, Some(*blake3::hash(&new).as_bytes()));
    }
    // Too long, too short, cut off, endless.
    for lie in [&[0xff, 0xff, 0xff, 0xff, 0xff, 1][..], &[1], &[], &[0x80, 0x80, 4]] {
        let (lab, session) = lab(&new, &old);
        session.change_pieces(move |piece| match piece {
            Piece::Reply(Reply::Chunks(_)) => {
                let told = [lie, &[7; 16]].concat().repeat(4000);
                Reply::Chunks(Chunks::new(&told[..told.len().min(84 << 10)]).unwrap()).into()
            }
            piece => piece,
        });
        let done = bring_through(&session, &truncating(&lab, |_| ()), &around());
        let Err(BlocksError::Fault(fault)) = done else { panic!("{done:?}") };
        assert_eq!((fault.side, fault.verb), (Side::Source, Verb::Read));
        assert!(fault.to_string().contains("chunk"), "{fault}");
        assert!(lab.read("target")[..old.len()] == old);
    }
}

#[test]
fn a_source_that_changes_meanwhile_never_leaves_a_unit_that_was_not_told() {
    let old = content(1, 24 * MIB);
    let new = [&content(2, 1000)[..], &old].concat();
    let (lab, session) = lab(&new, &old);
    let path = lab.path("source");
    session.show_requests(move |request| {
        if let Request::Chunks { .. } = request {
            let file = std_fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(&[9; 100], 6 << 20).unwrap();
        }
    });
    // Its time tells; what was written is what it had before or after.
    let done = bring_through(&session, &truncating(&lab, |_| ()), &around());
    let Err(BlocksError::Fault(fault)) = done else { panic!("{done:?}") };
    assert_eq!(fault.cause, Cause::ChangedDuringCopy);
    let (now, then) = (lab.read("source"), lab.read("target"));
    let units = then.chunks(4 << 20).zip(now.chunks(4 << 20)).zip(new.chunks(4 << 20));
    for ((made, now), before) in units {
        assert!(made == now || made == before);
    }
}

#[test]
fn a_session_that_ends_meanwhile_ends_the_job() {
    let old = content(1, 24 * MIB);
    for after in 2..7 {
        let (lab, session) = lab(&old[1000..], &old);
        session.end_after(after, "the wire was cut");
        let done = bring_through(&session, &truncating(&lab, |_| ()), &around());
        let Err(BlocksError::SourceLost(why)) = done else { panic!("{after}: {done:?}") };
        assert_eq!(why, "the wire was cut");
    }
}

#[test]
fn more_chunks_than_an_answer_may_have_are_not_made() {
    let (lab, session) = lab(&content(1, 100_000), &[]);
    let path = wire::OperatorPath::new(lab.path("source").as_os_str().as_encoded_bytes()).unwrap();
    let file = Handle(session.start(Request::OpenImage { path }).unwrap());
    assert!(matches!(session.wait(file.0), Ok(Answer::OpenedImage(_))));
    let ask = |range: Range<u64>| {
        let cut = Cut { seed: DeltaSeed([7; 32]), longest_bytes: 0 };
        session.ask(Request::Chunks { file, span: Span::new(range).unwrap(), cut })
    };
    for (range, kind) in [
        (0..(64 << 20) + 1, FaultKind::InvalidInput),
        (0..100_001, FaultKind::UnexpectedEof),
        (1 << 40..1 << 41, FaultKind::InvalidInput),
    ] {
        match ask(range) {
            Err(wire::AskError::Fault(fault)) => assert_eq!(fault.kind, kind),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(ask(5..100_000), Ok(Answer::Chunks(_))));
}

/// A change of an image.
#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, usize),
    Remove(usize, usize),
    Move(usize, usize, usize),
    Zero(usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || 0..20_000_000_usize;
    let edit = prop_oneof![
        (at(), 1..9000_usize).prop_map(|(at, length)| Edit::Insert(at, length)),
        (at(), 1..9000_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), 1..5_000_000_usize, at()).prop_map(|(at, length, to)| Edit::Move(at, length, to)),
        (at(), 1..5_000_000_usize).prop_map(|(at, length)| Edit::Zero(at, length)),
    ];
    prop::collection::vec(edit, 0..4)
}

fn edited(mut image: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for (seed, edit) in (9..).zip(edits) {
        let length = image.len();
        let within = |at: usize, length: usize| at.min(length);
        match *edit {
            Edit::Insert(at, bytes) => {
                let at = within(at, length);
                image.splice(at..at, content(seed, bytes));
            }
            Edit::Remove(at, bytes) => {
                image.drain(within(at, length)..within(at + bytes, length));
            }
            Edit::Move(at, bytes, to) => {
                let moved: Vec<u8> =
                    image.drain(within(at, length)..within(at + bytes, length)).collect();
                let to = within(to, image.len());
                image.splice(to..to, moved);
            }
            Edit::Zero(at, bytes) => {
                image[within(at, length)..within(at + bytes, length)].fill(0);
            }
        }
    }
    image
}

/// Writes an image with holes where it has zeros.
fn write_sparse(lab: &Lab, name: &str, image: &[u8]) {
    let file = std_fs::File::create(lab.path(name)).unwrap();
    file.set_len(image.len() as u64).unwrap();
    for (at, block) in (0..).step_by(4096).zip(image.chunks(4096)) {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, at).unwrap();
        }
    }
    file.sync_all().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_was_inserted_removed_moved_or_cleared_the_image_comes_out(
        bytes in 5_000_000..20_000_000_usize,
        (before, after) in (edits(), edits()),
        is_sparse in any::<(bool, bool)>(),
        (is_dry, is_by_xxh3) in any::<(bool, bool)>(),
    ) {
        let old = edited(content(1, bytes), &before);
        let new = edited([&content(2, 1000)[..], &old].concat(), &after);
        let (lab, session) = lab(&new, &old);
        if is_sparse.0 {
            write_sparse(&lab, "source", &new);
        }
        if is_sparse.1 {
            write_sparse(&lab, "target", &old);
        }
        let job = truncating(&lab, |settings| {
            settings.dry_run = is_dry;
            settings.read_back = ReadBack::All;
            if is_by_xxh3 {
                settings.hash = Hashing::Xxh3;
            }
        });
        let done = bring_through(&session, &job, &around()).unwrap();
        let expected = if is_dry { &old } else { &new };
        prop_assert!(lab.read("target") == *expected);
        if !is_by_xxh3 {
            prop_assert_eq!(done.digest, Some(*blake3::hash(&new).as_bytes()));
        }
        let all = done.written_bytes + done.equal_bytes + done.cleared_bytes + done.skipped_bytes;
        prop_assert_eq!(all, new.len() as u64);
        if is_sparse == (true, true) && !is_dry {
            // What is zeros has no room, but for what a write makes of a hole.
            write_sparse(&lab, "again", &new);
            prop_assert!(lab.allocated("target") <= lab.allocated("again") + 64);
        }
    }
}
