//! What a responder that breaks the rules can do to a requester: end the session, and no more.

use model::{Kind, Metadata};

use super::{Requester, STEP_BYTES, StartError};
use crate::answer::Answer;
use crate::bounded::{List, Name, OperatorPath, Signature};
use crate::frame::tests::frames;
use crate::frame::{Content, Flags, Frame, FrameKind, Header, Outgoing, RequestId};
use crate::greeting::Capacity;
use crate::io_fault::{FaultKind, IoFault};
use crate::lane::LaneNumber;
use crate::limits;
use crate::request::{
    Access, Basis, DeltaSeed, Expected, Handle, Named, Request, Room, Span, Update,
};
use crate::response::{ContentSum, Piece, Reply};
use crate::violation::Violation;

const LANE: LaneNumber = LaneNumber(0);
const OTHER: LaneNumber = LaneNumber(1);

fn requester() -> Requester {
    let mut requester = Requester::new(Capacity::default(), limits::WINDOW_DEFAULT_BYTES);
    requester.lane_added(LANE).expect("it is new");
    requester
}

fn open_root() -> Request {
    let path = OperatorPath::new("/srv").expect("it is a path");
    Request::OpenRoot { path, access: Access::Read }
}

fn read(file: Handle, length: u64) -> Request {
    Request::Read { file, span: Span::new(0..length).expect("it is a range") }
}

fn frame(id: RequestId, attempt: u16, piece: impl Into<Piece>, flags: Flags) -> Frame {
    let header = Header { flags, attempt, id, ..Header::plain(FrameKind::Response) };
    let bytes = piece.into().into_outgoing(header).parts().concat();
    frames(&bytes, &[bytes.len()]).expect("it is sound").remove(0)
}

/// The response to a read that had nothing to read.
fn nothing(id: RequestId) -> [Frame; 2] {
    let sum = Reply::Sum(ContentSum::default());
    [frame(id, 0, Reply::FileEnds(0), Flags::empty()), frame(id, 0, sum, Flags::LAST)]
}

fn opened() -> Reply {
    Reply::Opened(Metadata::unknown(Kind::Directory))
}

/// What is sent on a lane: kind, request and attempt of each frame.
fn sent(requester: &mut Requester, lane: LaneNumber) -> Vec<(FrameKind, u64, u16)> {
    let outgoing: Vec<Outgoing> = std::iter::from_fn(|| requester.poll_transmit(lane)).collect();
    let bytes: Vec<u8> = outgoing.iter().flat_map(|it| it.parts().concat()).collect();
    let headers = frames(&bytes, &[100]).expect("it is sound").into_iter().map(|it| it.header);
    headers.map(|header| (header.kind, header.id.0, header.attempt)).collect()
}

#[test]
fn an_answer_comes_to_its_request() {
    let mut requester = requester();
    let id = requester.start(open_root()).expect("there is room");
    assert_eq!(sent(&mut requester, LANE), [(FrameKind::Request, 1, 0)]);
    requester.handle_frame(LANE, frame(id, 0, opened(), Flags::LAST)).expect("it is sound");
    let (answered, outcome) = requester.poll_answer().expect("it came");
    assert_eq!(answered, id);
    assert_eq!(outcome, Ok(Answer::Opened(Metadata::unknown(Kind::Directory))));
    assert_eq!((requester.poll_answer(), requester.used_bytes()), (None, 0));
}

#[test]
fn what_was_not_asked_ends_the_session() {
    #[track_caller]
    fn check(make: fn(RequestId) -> Frame, expected: fn(RequestId) -> Violation) {
        let mut requester = requester();
        let id = requester.start(open_root()).expect("there is room");
        assert_eq!(requester.handle_frame(LANE, make(id)), Err(expected(id)));
    }
    let other = |_| frame(RequestId(2), 0, opened(), Flags::LAST);
    check(other, |_| Violation::Unasked(RequestId(2)));
    check(|id| frame(id, 1, opened(), Flags::LAST), Violation::Unasked);
    check(
        |id| frame(id, 0, Reply::Done, Flags::LAST),
        |id| Violation::WrongResponse { id, why: "is of another kind than the request" },
    );
    check(
        |id| frame(id, 0, Reply::FileEnds(0), Flags::empty()),
        |id| Violation::WrongResponse { id, why: "is of another kind than the request" },
    );
}

#[test]
fn a_second_answer_ends_the_session() {
    let mut requester = requester();
    let id = requester.start(open_root()).expect("there is room");
    requester.handle_frame(LANE, frame(id, 0, opened(), Flags::LAST)).expect("it is sound");
    let again = requester.handle_frame(LANE, frame(id, 0, opened(), Flags::LAST));
    assert_eq!(again, Err(Violation::Unasked(id)));
}

#[test]
fn requests_towards_a_requester_end_the_session() {
    let mut requester = requester();
    for kind in [FrameKind::Request, FrameKind::Cancel, FrameKind::Void, FrameKind::Control] {
        let header = Header { id: RequestId(1), ..Header::plain(kind) };
        let refused = requester.handle_frame(LANE, Frame { header, body: Vec::new() });
        assert_eq!(refused, Err(Violation::WrongSide(kind)));
    }
}

#[test]
fn a_response_that_does_not_end_is_stopped_at_its_credit() {
    let mut requester = requester();
    let file = Handle(requester.start(open_root()).expect("there is room"));
    let id = requester.start(read(file, 1_000_000)).expect("there is room");
    let credit = limits::credit_for(1_000_000);
    let mut received = 0;
    let violation = (0..).find_map(|offset| {
        let content = Content::new(vec![1]).expect("it is not empty");
        let frame = frame(id, 0, Piece::Data { offset, content }, Flags::empty());
        received += frame.wire_bytes();
        requester.handle_frame(LANE, frame).err()
    });
    assert_eq!(violation, Some(Violation::OverCredit(id)));
    assert!(received > credit && received <= credit + 25);
}

#[test]
fn a_name_that_leaves_its_directory_ends_the_session() {
    let mut requester = requester();
    let dir = Handle(requester.start(open_root()).expect("there is room"));
    let room = Room::new(10_000).expect("it is in range");
    let wants = crate::seen::Wants::empty();
    let list = Request::List { dir, wants, after: None, room };
    let id = requester.start(list).expect("there is room");
    for name in [&b"../x"[..], b"/etc", b"..", b"a\0"] {
        let mut body = vec![4, 1, name.len().to_le_bytes()[0]];
        body.extend(name);
        body.extend([0, 0, 1]);
        let header = Header { id, ..Header::plain(FrameKind::Response) };
        let refused = requester.handle_frame(LANE, Frame { header, body });
        assert!(matches!(refused, Err(Violation::Body { .. })), "{refused:?}");
    }
}

#[test]
fn the_window_holds_until_answers_are_taken() {
    let window = 3 * limits::credit_for(10_000) + 1000;
    let mut requester = Requester::new(Capacity::default(), window);
    requester.lane_added(LANE).expect("it is new");
    let file = Handle(requester.start(open_root()).expect("there is room"));
    requester.handle_frame(LANE, frame(file.0, 0, opened(), Flags::LAST)).expect("it is sound");
    assert!(requester.poll_answer().is_some());
    for _ in 0..5 {
        requester.start(read(file, 10_000)).expect("there is room to wait");
    }
    let requests = |range: std::ops::RangeInclusive<u64>| -> Vec<_> {
        range.map(|id| (FrameKind::Request, id, 0)).collect()
    };
    assert_eq!(sent(&mut requester, LANE), requests(1..=4));
    for frame in nothing(RequestId(2)) {
        requester.handle_frame(LANE, frame).expect("it is sound");
    }
    assert_eq!(sent(&mut requester, LANE), [], "nobody has taken the answer");
    assert!(requester.poll_answer().is_some());
    assert_eq!(sent(&mut requester, LANE), requests(5..=5));
    assert_eq!(requester.start(read(file, window)), Err(StartError::TooLarge));
}

#[test]
fn who_waits_is_not_held_up_by_answers_that_nobody_takes() {
    let window = 3 * limits::credit_for(10_000) + 1000;
    let mut requester = Requester::new(Capacity::default(), window);
    requester.lane_added(LANE).expect("it is new");
    let file = Handle(requester.start(open_root()).expect("there is room"));
    requester.handle_frame(LANE, frame(file.0, 0, opened(), Flags::LAST)).expect("it is sound");
    assert!(requester.take_answer(file.0).is_some());
    let reads = [(); 5].map(|()| requester.start(read(file, 10_000)).expect("there is room"));
    let dir = requester.start(open_root()).expect("there is room to wait");
    let check = Request::CheckSearch { dir: Handle(dir) };
    let check = requester.start(check).expect("there is room to wait");
    assert_eq!(sent(&mut requester, LANE).len(), 4);
    assert!(!requester.is_stuck(), "answers are to come");
    for id in &reads[..3] {
        let [end, sum] = nothing(*id);
        assert_eq!(requester.handle_frame(LANE, end), Ok(None));
        assert_eq!(requester.handle_frame(LANE, sum), Ok(Some(*id)));
    }
    assert!(requester.is_stuck() && requester.is_asked(check));
    requester.hurry(Some(check));
    let ahead = [dir, check].map(|id| (FrameKind::Request, id.0, 0));
    assert_eq!(sent(&mut requester, LANE), ahead, "what opens its handle goes before it");
    assert!(!requester.is_stuck());
    for id in &reads[..3] {
        assert!(requester.take_answer(*id).is_some());
        assert_eq!(requester.take_answer(*id), None);
    }
    let rest = [reads[3], reads[4]].map(|id| (FrameKind::Request, id.0, 0));
    assert_eq!(sent(&mut requester, LANE), rest);
}

#[test]
fn requests_go_where_least_is_outstanding_and_follow_what_opens_their_handle() {
    let mut requester = requester();
    requester.lane_added(OTHER).expect("it is new");
    let first = Handle(requester.start(open_root()).expect("there is room"));
    requester.start(read(first, 100_000)).expect("there is room");
    let second = Handle(requester.start(open_root()).expect("there is room"));
    requester.start(Request::Reopen { dir: first }).expect("there is room");
    requester.start(Request::CheckSearch { dir: second }).expect("there is room");
    let ids = |sent: Vec<(FrameKind, u64, u16)>| -> Vec<u64> {
        sent.into_iter().map(|(_, id, _)| id).collect()
    };
    assert_eq!(ids(sent(&mut requester, LANE)), [1, 2, 4]);
    assert_eq!(ids(sent(&mut requester, OTHER)), [3, 5]);
    requester.handle_frame(LANE, frame(first.0, 0, opened(), Flags::LAST)).expect("it is sound");
    requester.start(Request::CheckSearch { dir: first }).expect("there is room");
    assert_eq!(ids(sent(&mut requester, OTHER)), [6], "now that it is open, any lane will do");
}

#[test]
fn what_is_short_goes_together_until_it_is_much() {
    let mut requester = requester();
    requester.lane_added(OTHER).expect("it is new");
    let mut counts = Vec::new();
    for lane in [LANE, OTHER, LANE] {
        let before = requester.used_bytes();
        let mut count = 0_u32;
        loop {
            requester.start(open_root()).expect("there is room");
            let on = [LANE, OTHER].map(|lane| sent(&mut requester, lane).len());
            if on[usize::from(lane == OTHER)] == 0 {
                break;
            }
            count += 1;
        }
        let used = requester.used_bytes() - before;
        assert!((STEP_BYTES..STEP_BYTES + 4096).contains(&used), "{used}");
        counts.push(count);
    }
    // The one that went to the other lane is counted by neither.
    assert!(counts[0] > 20 && counts[0].abs_diff(counts[1]) < 3, "{counts:?}");
}

#[test]
fn a_lane_that_is_spared_comes_to_rest() {
    let mut requester = requester();
    let on = |requester: &mut Requester, lane| sent(requester, lane).len();
    requester.spare(LANE, true);
    let id = requester.start(open_root()).expect("there is room");
    assert_eq!(on(&mut requester, LANE), 1, "there is no other");
    requester.lane_added(OTHER).expect("it is new");
    for _ in 0..3 {
        requester.start(open_root()).expect("there is room");
    }
    requester.start(Request::Reopen { dir: Handle(id) }).expect("there is room");
    assert_eq!(on(&mut requester, OTHER), 3);
    assert_eq!(on(&mut requester, LANE), 1, "what follows its handle does not wait");
    assert!(!requester.is_at_rest(LANE));
    for id in [id, RequestId(5)] {
        requester.handle_frame(LANE, frame(id, 0, opened(), Flags::LAST)).expect("it is sound");
    }
    assert!(requester.is_at_rest(LANE) && !requester.is_at_rest(OTHER));
    requester.lane_lost(OTHER).expect("it is the first");
    assert_eq!(on(&mut requester, LANE), 1 + 3, "there is no other any more");
}

#[test]
fn what_a_lost_lane_carried_is_asked_again_behind_the_news_of_it() {
    let mut requester = requester();
    let root = requester.start(open_root()).expect("there is room");
    requester.start(Request::CheckSearch { dir: Handle(root) }).expect("there is room");
    let _sent = sent(&mut requester, LANE);
    requester.lane_lost(LANE).expect("it is the first");
    requester.handle_frame(LANE, frame(root, 0, opened(), Flags::LAST)).expect("it is void");
    assert_eq!(requester.poll_answer(), None);
    requester.lane_added(OTHER).expect("it is new");
    assert_eq!(
        sent(&mut requester, OTHER),
        [(FrameKind::Void, 0, 0), (FrameKind::Request, 1, 1), (FrameKind::Request, 2, 1)]
    );
    let late = requester.handle_frame(OTHER, frame(root, 0, opened(), Flags::LAST));
    assert_eq!(late, Err(Violation::Unasked(root)), "the first attempt is void");
}

#[test]
fn a_removal_that_was_asked_twice_may_find_nothing() {
    let mtime = model::Timestamp::default();
    let expected = Expected { dev: 1, ino: 2, size: 3, mtime };
    let not_found = || Reply::Fault(IoFault::new(FaultKind::NotFound, "not found"));
    for attempt in [0, 1] {
        let mut requester = requester();
        let dir = Handle(requester.start(open_root()).expect("there is room"));
        let at = Named { dir, name: Name::new("a").expect("it is a name") };
        let id = requester.start(Request::Remove { at, expected }).expect("there is room");
        let lane = LaneNumber(attempt);
        if attempt > 0 {
            requester.lane_lost(LANE).expect("it is the first");
            requester.lane_added(lane).expect("it is new");
        }
        requester.handle_frame(lane, frame(id, attempt, not_found(), Flags::LAST)).expect("sound");
        let (_, outcome) = requester.poll_answer().expect("it came");
        assert_eq!(outcome.is_ok(), attempt > 0);
    }
}

#[test]
fn handles_are_closed_when_nobody_uses_them() {
    let mut requester = requester();
    let dir = Handle(requester.start(open_root()).expect("there is room"));
    let user = requester.start(Request::CheckSearch { dir }).expect("there is room");
    assert!(!requester.is_closing_handles());
    requester.close(dir);
    requester.close(dir);
    assert!(requester.is_closing_handles());
    assert_eq!(requester.start(Request::Reopen { dir }), Err(StartError::NoHandle));
    assert_eq!(sent(&mut requester, LANE).len(), 2);
    requester.handle_frame(LANE, frame(dir.0, 0, opened(), Flags::LAST)).expect("it is sound");
    assert_eq!(sent(&mut requester, LANE), []);
    requester.handle_frame(LANE, frame(user, 0, Reply::Done, Flags::LAST)).expect("it is sound");
    assert_eq!(sent(&mut requester, LANE), [(FrameKind::Request, 3, 0)]);
    let done = frame(RequestId(3), 0, Reply::Done, Flags::LAST);
    requester.handle_frame(LANE, done).expect("it is sound");
    while requester.poll_answer().is_some() {}
    assert!(requester.is_idle() && !requester.is_closing_handles());
}

#[test]
fn no_more_handles_and_requests_than_the_responder_takes() {
    let capacity = Capacity { requests: 2, handles: 3, ..Capacity::default() };
    let mut requester = Requester::new(capacity, limits::WINDOW_DEFAULT_BYTES);
    requester.lane_added(LANE).expect("it is new");
    for _ in 0..3 {
        requester.start(open_root()).expect("there is room");
    }
    assert_eq!(requester.start(open_root()), Err(StartError::TooManyHandles));
    assert_eq!(sent(&mut requester, LANE).len(), 2);
}

fn sign() -> Request {
    Request::Sign { signature: Signature::new("sums").expect("it is short") }
}

#[test]
fn a_signature_is_used_when_it_is_known_to_be_open_and_closed_behind_its_users() {
    let mut requester = requester();
    let file = Handle(requester.start(open_root()).expect("there is room"));
    let signature = Handle(requester.start(sign()).expect("there is room"));
    let delta = || {
        let signatures = List::new(vec![signature, signature]).expect("they are few");
        let basis = Basis { signatures, seed: DeltaSeed([1; 32]), update: Update::Apart };
        let span = Span::new(0..10).expect("it is a range");
        let room = Room::new(1000).expect("it is not too much");
        Request::Delta { file, span, basis, room }
    };
    assert_eq!(requester.start(delta()), Err(StartError::NoHandle));
    let done = || Reply::Done;
    requester.handle_frame(LANE, frame(signature.0, 0, done(), Flags::LAST)).expect("it is sound");
    let user = requester.start(delta()).expect("it is open");
    requester.close(signature);
    let _sent = sent(&mut requester, LANE);
    assert!(!requester.has_closable(), "the delta needs it");
    let content = Content::new(b"operations".to_vec()).expect("it is short");
    let operations = frame(user, 0, Piece::Operations(content), Flags::empty());
    requester.handle_frame(LANE, operations).expect("it is sound");
    let sum = frame(user, 0, Reply::Sum(ContentSum::default()), Flags::LAST);
    requester.handle_frame(LANE, sum).expect("it is sound");
    assert!(requester.has_closable());
    assert_eq!(sent(&mut requester, LANE), [(FrameKind::Request, 4, 0)]);
    assert_eq!(requester.start(delta()), Err(StartError::NoHandle));
}

#[test]
fn no_more_signatures_than_a_responder_keeps() {
    let mut requester = requester();
    for _ in 0..limits::SIGNATURES {
        requester.start(sign()).expect("there is room");
    }
    assert_eq!(requester.start(sign()), Err(StartError::TooManyHandles));
    assert!(requester.start(open_root()).is_ok(), "other handles are not meant");
}

#[test]
fn requests_that_wait_end_somewhere() {
    let mut requester = Requester::new(Capacity::default(), limits::WINDOW_DEFAULT_BYTES);
    let dir = Handle(requester.start(open_root()).expect("there is room"));
    for _ in 1..limits::REQUESTS_WAITING {
        requester.start(Request::CheckSearch { dir }).expect("there is room to wait");
    }
    assert_eq!(requester.start(Request::CheckSearch { dir }), Err(StartError::Full));
}

#[test]
fn a_piece_of_every_kind_passes_through_a_frame() {
    let content = || Content::new(b"content".to_vec()).expect("it is short");
    for piece in [
        Piece::Data { offset: 1 << 40, content: content() },
        Piece::Operations(content()),
        opened().into(),
    ] {
        let frame = frame(RequestId(1), 0, piece.clone(), Flags::LAST);
        assert_eq!(Piece::from_frame(frame), Ok(piece));
    }
}

#[test]
fn the_number_of_a_lane_comes_once() {
    let mut requester = requester();
    assert_eq!(requester.lane_added(LANE), Err(Violation::ForeignLane(LANE)));
    requester.lane_lost(LANE).expect("it is the first");
    assert_eq!(requester.lane_added(LANE), Err(Violation::ForeignLane(LANE)));
    assert_eq!(requester.lane_added(OTHER), Ok(()));
}
