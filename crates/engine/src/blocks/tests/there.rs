//! A source on another host, which changes, lies, or is lost.

use wire::{
    Answer, Ask, Capacity, Content, DigestRun, FaultKind, Grain, Handle, Piece, PieceHash, Pieces,
    Reply, Request, Span,
};

use super::*;

const MIB: usize = 1 << 20;

fn session() -> Arc<Session> {
    Arc::new(Session::new(Capacity::default()))
}

/// What is asked of a source to bring over what changed.
#[track_caller]
fn asked(new: &[u8], old: &[u8]) -> Vec<Request> {
    let (lab, session) = (Lab::new(), session());
    lab.write("source", new);
    lab.write("target", old);
    bring_through(&session, &lab.job(|_| ()), &around()).unwrap();
    assert!(lab.read("target") == new);
    assert_eq!(session.settled_handles(), 0);
    session.take_asked()
}

fn count_of(asked: &[Request], pick: impl Fn(&Request) -> bool) -> usize {
    asked.iter().filter(|request| pick(request)).count()
}

fn blocks_read(asked: &[Request]) -> u64 {
    let spans = asked.iter().filter_map(|request| match request {
        Request::ReadBlocks { spans, .. } => Some(spans.as_slice()),
        _ => None,
    });
    spans.flatten().map(|span| span.bytes()).sum()
}

#[test]
fn of_what_is_the_same_only_units_are_compared() {
    let image = content(1, 40 * MIB);
    let asked = asked(&image, &image);
    let units = |request: &Request| {
        matches!(request, Request::Digests { pieces: Pieces { grain: Grain::Unit, .. }, .. })
    };
    // A stretch has 16 MiB.
    assert_eq!(count_of(&asked, units), 3);
    assert_eq!(count_of(&asked, |request| matches!(request, Request::FindExtents { .. })), 1);
    // To open it, and to look at it in the end.
    assert_eq!(asked.len(), 3 + 1 + 2);
}

#[test]
fn no_more_is_read_than_the_blocks_that_differ() {
    let old = content(1, 10 * MIB);
    let mut new = old.clone();
    for at in [5, 4 * MIB + 5000, 4 * MIB + 9000, 10 * MIB - 1] {
        new[at] = !new[at];
    }
    // Zeros are told by the digests.
    new[6 * MIB..7 * MIB].fill(0);
    assert_eq!(blocks_read(&asked(&new, &old)), 4 * 4096);
}

#[test]
fn of_a_new_target_no_digests_are_asked() {
    let (lab, session) = (Lab::new(), session());
    let mut image = content(1, 9 * MIB + 77);
    image[MIB..8 * MIB].fill(0);
    lab.write("source", &image);
    let job = lab.job(|settings| settings.sizes = Sizes::Truncate);
    let done = bring_through(&session, &job, &around()).unwrap();
    assert!(lab.read("target") == image);
    assert_eq!(done.digest, Some(*blake3::hash(&image).as_bytes()));
    assert_eq!(done.written_bytes, 2 * MIB as u64 + 77);
    let asked = session.take_asked();
    assert_eq!(count_of(&asked, |request| matches!(request, Request::Digests { .. })), 0);
    assert_eq!(blocks_read(&asked), image.len() as u64);
}

#[test]
fn a_dry_run_reads_no_blocks() {
    let (lab, session) = (Lab::new(), session());
    let (mut new, old) = (content(1, 5 * MIB), content(2, 5 * MIB));
    new[MIB..2 * MIB].fill(0);
    lab.write("source", &new);
    lab.write("target", &old);
    let done =
        bring_through(&session, &lab.job(|settings| settings.dry_run = true), &around()).unwrap();
    assert_eq!((done.written_bytes, done.cleared_bytes), (4 * MIB as u64, MIB as u64));
    assert_eq!(done.digest, Some(*blake3::hash(&new).as_bytes()));
    assert_eq!(blocks_read(&session.take_asked()), 0);
    assert!(lab.read("target") == old);
}

#[test]
fn what_comes_damaged_once_is_asked_for_again_and_twice_is_a_fault() {
    for (times, is_done) in [(1, true), (2, false)] {
        let (lab, session) = (Lab::new(), session());
        let (new, old) = (content(1, MIB), content(2, MIB));
        lab.write("source", &new);
        lab.write("target", &old);
        let mut left = times;
        session.change_pieces(move |piece| match piece {
            Piece::Data { offset, content } if left > 0 && offset == 0 => {
                left -= 1;
                let mut bytes = content.to_vec();
                bytes[1000] ^= 4;
                Piece::Data { offset, content: Content::new(bytes).unwrap() }
            }
            piece => piece,
        });
        let done = bring_through(&session, &lab.job(|_| ()), &around());
        assert_eq!(done.is_ok(), is_done, "{done:?}");
        assert!(lab.read("target") == if is_done { new } else { old });
    }
}

#[test]
fn a_unit_that_changed_meanwhile_is_asked_for_anew_and_in_the_end_it_is_a_fault() {
    for (times, is_done) in [(0, true), (1, true), (3, true), (4, false)] {
        let (lab, session) = (Lab::new(), session());
        let (new, old) = (content(1, MIB), content(2, MIB));
        lab.write("source", &new);
        lab.write("target", &old);
        let mut left = times;
        // What is told of the unit is not what it has when its blocks are read.
        session.change_pieces(move |piece| {
            let Piece::Reply(Reply::Digests(runs)) = &piece else { return piece };
            let [DigestRun::Digests(told)] = runs.as_slice() else { return piece };
            let mut told = told.as_bytes().to_vec();
            if left == 0 || told.len() != 32 {
                return piece;
            }
            left -= 1;
            told[7] ^= 1;
            let run = DigestRun::Digests(wire::Digests::new(told).unwrap());
            Reply::Digests(wire::List::new(vec![run]).unwrap()).into()
        });
        let done = bring_through(&session, &lab.job(|_| ()), &around());
        if is_done {
            assert_eq!(done.unwrap().digest, Some(*blake3::hash(&new).as_bytes()), "{times}");
            assert!(lab.read("target") == new, "{times}");
            continue;
        }
        let Err(BlocksError::Fault(Fault { side, cause, .. })) = done else { panic!("{done:?}") };
        assert_eq!((side, cause), (Side::Source, Cause::ChangedDuringCopy));
        assert!(lab.read("target") == old);
    }
}

#[test]
fn a_source_that_was_cut_is_told_to_have_changed() {
    let (lab, session) = (Lab::new(), session());
    let (new, old) = (content(1, 3 * MIB), content(2, 3 * MIB));
    lab.write("source", &new);
    lab.write("target", &old);
    let path = lab.path("source");
    session.show_requests(move |request| {
        if let Request::ReadBlocks { .. } = request {
            std_fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
        }
    });
    let done = bring_through(&session, &lab.job(|_| ()), &around());
    let changed = matches!(
        done,
        Err(BlocksError::Fault(Fault { side: Side::Source, cause: Cause::ChangedDuringCopy, .. }))
    );
    assert!(changed, "{done:?}");
    assert!(lab.read("target") == old);
}

#[test]
fn a_session_that_ends_ends_the_job() {
    for after in [0, 1, 2, 4] {
        let (lab, session) = (Lab::new(), session());
        let (new, old) = (content(1, 30 * MIB), content(2, 30 * MIB));
        lab.write("source", &new);
        lab.write("target", &old);
        session.end_after(after, "the wire was cut");
        let done = bring_through(&session, &lab.job(|_| ()), &around());
        let Err(BlocksError::SourceLost(why)) = done else { panic!("{after}: {done:?}") };
        assert_eq!(why, "the wire was cut");
    }
}

#[test]
fn what_makes_no_sense_is_turned_down_by_who_serves() {
    let (lab, session) = (Lab::new(), session());
    lab.write("source", &content(1, 100_000));
    let path = wire::OperatorPath::new(lab.path("source").as_os_str().as_encoded_bytes()).unwrap();
    let file = Handle(session.start(Request::OpenImage { path }).unwrap());
    assert!(matches!(session.wait(file.0), Ok(Answer::OpenedImage(_))));
    let spans = |range: Range<u64>| wire::List::new(vec![Span::new(range).unwrap()]).unwrap();
    let digests = |range, image_bytes| Request::Digests {
        file,
        spans: spans(range),
        pieces: Pieces { grain: Grain::Block, hash: PieceHash::Blake3, image_bytes },
    };
    for (request, kind) in [
        (digests(0..5000, 100_000), FaultKind::InvalidInput),
        (digests(1..4096, 100_000), FaultKind::InvalidInput),
        (digests(0..102_400, 100_000), FaultKind::InvalidInput),
        (digests(98_304..102_400, 102_400), FaultKind::UnexpectedEof),
        (Request::ReadBlocks { file, spans: spans(0..100_001) }, FaultKind::UnexpectedEof),
        (
            Request::ReadBlocks { file, spans: spans(1 << 50..(1 << 50) + 1) },
            FaultKind::UnexpectedEof,
        ),
    ] {
        match session.ask(request.clone()) {
            Err(wire::AskError::Fault(fault)) => assert_eq!(fault.kind, kind, "{request:?}"),
            other => panic!("{request:?}: {other:?}"),
        }
    }
    // The last piece may be short, and so may the last block of a span.
    assert!(session.ask(digests(98_304..100_000, 100_000)).is_ok());
    let read = Request::ReadBlocks { file, spans: spans(99_999..100_000) };
    let Ok(Answer::Blocks(read)) = session.ask(read) else { panic!("it is there") };
    assert_eq!(read.pieces.iter().map(|piece| piece.len()).sum::<usize>(), 1);
}

#[test]
fn a_source_says_where_it_can_be_written_to_and_is_only_read() {
    let (lab, session) = (Lab::new(), session());
    lab.write("source", &content(1, 10_000));
    lab.write("target", &content(2, 10_000));
    let mut mode = std_fs::metadata(lab.path("source")).unwrap().permissions();
    mode.set_readonly(true);
    std_fs::set_permissions(lab.path("source"), mode).unwrap();
    session.change_pieces(|piece| match piece {
        Piece::Reply(Reply::OpenedImage(mut opened)) => {
            opened.mounted_at = Some(wire::Text::new("/mnt/x"));
            Reply::OpenedImage(opened).into()
        }
        piece => piece,
    });
    let told = Arc::new(Told::default());
    let around = Surroundings { sink: Arc::clone(&told) as Arc<dyn Sink>, ..around() };
    bring_through(&session, &lab.job(|_| ()), &around).unwrap();
    let told = told.0.lock();
    let text = told.first().map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(text.is_some_and(|text| text.contains("is mounted at \"/mnt/x\"")));
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<Box<[u8]>>>);

impl Sink for Told {
    fn accept(&self, event: Event) {
        if let Event::Message(message) = event {
            self.0.lock().push(message.text);
        }
    }
}
