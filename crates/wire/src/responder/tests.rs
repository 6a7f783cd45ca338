//! What a requester that breaks the rules can do to a responder: end the session, and no more.

use model::{Kind, Metadata};

use super::{Delivery, End, RespondError, Responder, Ticket, Work};
use crate::bounded::{List, Name, OperatorPath, Signature};
use crate::codec::encode;
use crate::frame::tests::frames;
use crate::frame::{Content, Flags, Frame, FrameKind, Header, RequestId};
use crate::greeting::Capacity;
use crate::io_fault::{FaultKind, IoFault};
use crate::lane::LaneNumber;
use crate::limits::{self, LANES_LOST};
use crate::request::{
    Access, AccessTime, Basis, DeltaSeed, FileAt, Follow, Handle, Named, Request, Room, Span,
    Update, ask,
};
use crate::response::{ContentSum, Piece, Reply};
use crate::violation::Violation;

const LANE: LaneNumber = LaneNumber(0);
const OTHER: LaneNumber = LaneNumber(1);

fn responder() -> Responder {
    let mut responder = Responder::new(Capacity::default());
    responder.lane_added(LANE).expect("it is new");
    responder.lane_added(OTHER).expect("it is new");
    responder
}

fn open_root() -> Request {
    let path = OperatorPath::new("/srv").expect("it is a path");
    Request::OpenRoot { path, access: Access::Read }
}

fn open_file(dir: u64) -> Request {
    let name = Name::new("file").expect("it is one component");
    let at = Named { dir: Handle(RequestId(dir)), name };
    Request::OpenFile { file: FileAt { at, follow: Follow::Never, atime: AccessTime::Keep } }
}

fn read(file: u64, length: u64) -> Request {
    let span = Span::new(0..length).expect("it is a range");
    Request::Read { file: Handle(RequestId(file)), span }
}

fn asked(id: u64, attempt: u16, credit: u64, request: &Request) -> Frame {
    let header = Header { attempt, id: RequestId(id), ..Header::plain(FrameKind::Request) };
    Frame { header, body: ask(credit, request) }
}

fn sound(id: u64, request: &Request) -> Frame {
    asked(id, 0, request.credit().expect("it is in range"), request)
}

fn cancel(id: u64) -> Frame {
    let header = Header { id: RequestId(id), ..Header::plain(FrameKind::Cancel) };
    Frame { header, body: Vec::new() }
}

fn void(lanes: &[LaneNumber]) -> Frame {
    let lanes = List::<_, LANES_LOST>::new(lanes.to_vec()).expect("they are few");
    Frame { header: Header::plain(FrameKind::Void), body: encode(&lanes) }
}

fn ticket(id: u64) -> Ticket {
    Ticket { id: RequestId(id), attempt: 0 }
}

fn opened(kind: Kind) -> Reply {
    Reply::Opened(Metadata::unknown(kind))
}

fn work(responder: &mut Responder) -> Vec<Work> {
    std::iter::from_fn(|| responder.poll_work()).collect()
}

/// What is sent on a lane: each frame's request and piece.
fn sent(responder: &mut Responder, lane: LaneNumber) -> Vec<(u64, Piece)> {
    let outgoing = std::iter::from_fn(|| responder.poll_transmit(lane));
    let bytes: Vec<u8> = outgoing.flat_map(|it| it.parts().concat()).collect();
    let frames = frames(&bytes, &[100]).expect("it is sound").into_iter();
    frames
        .map(|frame| (frame.header.id.0, Piece::from_frame(frame).expect("it is sound")))
        .collect()
}

fn fault_kinds(sent: Vec<(u64, Piece)>) -> Vec<(u64, FaultKind)> {
    let kinds = sent.into_iter().map(|(id, piece)| match piece {
        Piece::Reply(Reply::Fault(fault)) => (id, fault.kind),
        other => panic!("{other:?} is no fault"),
    });
    kinds.collect()
}

#[test]
fn a_request_that_names_a_handle_waits_until_it_is_open() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    let look = Request::CheckSearch { dir: Handle(RequestId(1)) };
    responder.handle_frame(LANE, &sound(2, &look)).expect("it is sound");
    assert_eq!(work(&mut responder), [Work::Run(ticket(1), open_root())]);
    let delivery = responder.respond(ticket(1), opened(Kind::Directory), End::Last);
    assert_eq!(delivery, Ok(Delivery::Queued));
    assert_eq!(work(&mut responder), [Work::Run(ticket(2), look)]);
}

#[test]
fn a_handle_that_is_not_open_or_of_another_kind_is_a_fault_of_the_request() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.handle_frame(LANE, &sound(2, &read(1, 10))).expect("it is sound");
    let dir = Handle(RequestId(1));
    responder.handle_frame(LANE, &sound(4, &read(3, 10))).expect("it is sound");
    responder.handle_frame(LANE, &sound(5, &Request::Reopen { dir })).expect("it is sound");
    responder
        .handle_frame(LANE, &sound(6, &Request::CheckSearch { dir: Handle(RequestId(5)) }))
        .expect("it is sound");
    assert_eq!(
        fault_kinds(sent(&mut responder, LANE)),
        [(2, FaultKind::WrongHandle), (4, FaultKind::NoHandle)]
    );
    let fault = Reply::Fault(IoFault::new(FaultKind::NotFound, "not found"));
    responder.respond(ticket(1), fault, End::Last).expect("it answers the request");
    assert_eq!(
        fault_kinds(sent(&mut responder, LANE)),
        [(1, FaultKind::NotFound), (5, FaultKind::NoHandle), (6, FaultKind::NoHandle)]
    );
    assert_eq!((responder.used_bytes(), responder.handle_count()), (0, 0));
}

#[test]
fn requests_that_break_a_rule_end_the_session() {
    #[track_caller]
    fn check(frame: &Frame, expected: Violation) {
        let mut responder = responder();
        responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
        assert_eq!(responder.handle_frame(OTHER, frame), Err(expected));
    }
    check(&sound(1, &open_root()), Violation::IdReused(RequestId(1)));
    check(&asked(1, 1, 10_000, &open_root()), Violation::IdReused(RequestId(1)));
    check(&sound(2, &read(2, 10)), Violation::FutureHandle(RequestId(2)));
    check(&sound(2, &read(u64::MAX, 10)), Violation::FutureHandle(RequestId(2)));
    for credit in [0, limits::CREDIT_LEAST_BYTES - 1] {
        let id = RequestId(2);
        check(&asked(2, 0, credit, &open_root()), Violation::Credit { id, credit });
    }
    let (id, credit) = (RequestId(2), limits::credit_for(9));
    check(&asked(2, 0, credit, &read(1, 10)), Violation::Credit { id, credit });
    let credit = limits::credit_for(limits::READ_BYTES);
    let too_long = read(1, u64::from(limits::READ_BYTES) + 1);
    check(&asked(2, 0, credit, &too_long), Violation::Credit { id, credit });
    let window = Violation::OverWindow(limits::WINDOW_DEFAULT_BYTES);
    check(&asked(2, 0, u64::MAX, &open_root()), window.clone());
    check(&asked(2, 0, limits::WINDOW_DEFAULT_BYTES, &open_root()), window);
    let handles = List::new(vec![Handle(RequestId(1))]).expect("they are few");
    check(&sound(2, &Request::Close { handles }), Violation::ClosedEarly(RequestId(2)));
    let header = Header { id: RequestId(1), ..Header::plain(FrameKind::Response) };
    let response = Frame { header, body: Vec::new() };
    check(&response, Violation::WrongSide(FrameKind::Response));
}

#[test]
fn requests_handles_and_window_end_at_what_was_said() {
    let capacity = Capacity { requests: 3, handles: 2, window_bytes: limits::WINDOW_LEAST_BYTES };
    let mut responder = Responder::new(capacity);
    responder.lane_added(LANE).expect("it is new");
    for id in [1, 2] {
        responder.handle_frame(LANE, &sound(id, &open_root())).expect("it is at the limit");
    }
    let refused = responder.handle_frame(LANE, &sound(3, &open_root()));
    assert_eq!(refused, Err(Violation::TooManyHandles(2)));
    responder.handle_frame(LANE, &sound(4, &read(1, 10))).expect("it is at the limit");
    let dir = Handle(RequestId(1));
    let one_more = sound(5, &Request::CheckSearch { dir });
    assert_eq!(responder.handle_frame(LANE, &one_more), Ok(()), "one was answered at once");
    let refused = responder.handle_frame(LANE, &sound(6, &Request::CheckSearch { dir }));
    assert_eq!(refused, Err(Violation::TooManyRequests(3)));

    let mut responder = Responder::new(capacity);
    responder.lane_added(LANE).expect("it is new");
    let frame = asked(1, 0, 0, &open_root());
    let all = limits::WINDOW_LEAST_BYTES - (16 + frame.body.len() as u64) - 3;
    responder.handle_frame(LANE, &asked(1, 0, all, &open_root())).expect("it is at the limit");
    assert_eq!(responder.used_bytes(), limits::WINDOW_LEAST_BYTES);
    let refused = responder.handle_frame(LANE, &sound(2, &read(1, 1)));
    assert_eq!(refused, Err(Violation::OverWindow(limits::WINDOW_LEAST_BYTES)));
}

#[test]
fn what_is_not_the_end_of_a_response_is_sent_with_it_unless_it_is_much() {
    let mut responder = responder();
    let data = |offset, length| {
        let content = Content::new(vec![0; length]).expect("it fits a frame");
        Piece::Data { offset, content }
    };
    for (id, request) in [(1, open_root()), (2, open_file(1)), (3, read(2, 200_000))] {
        responder.handle_frame(LANE, &sound(id, &request)).expect("it is sound");
    }
    for id in [1, 2] {
        assert!(!responder.has_outgoing(LANE));
        responder.respond(ticket(id), opened(Kind::File), End::Last).expect("it answers");
        assert!(responder.has_outgoing(LANE) && !responder.has_outgoing(OTHER));
        let _sent = sent(&mut responder, LANE);
        responder.poll_work();
    }
    responder.respond(ticket(3), data(0, 100), End::More).expect("it answers");
    assert!(!responder.has_outgoing(LANE));
    responder.respond(ticket(3), data(100, 99_900), End::More).expect("it answers");
    assert!(responder.has_outgoing(LANE));
    assert_eq!(sent(&mut responder, LANE).len(), 2);
    assert!(!responder.has_outgoing(LANE));
    responder.respond(ticket(3), data(100_000, 100_000), End::More).expect("it answers");
    let _sent = sent(&mut responder, LANE);
    let sum = Reply::Sum(ContentSum::default());
    responder.respond(ticket(3), sum, End::Last).expect("it answers");
    assert!(responder.has_outgoing(LANE));
}

fn sign() -> Request {
    Request::Sign { signature: Signature::new("sums").expect("it is short") }
}

fn delta(file: u64, signatures: &[u64]) -> Request {
    let signatures = signatures.iter().map(|id| Handle(RequestId(*id))).collect();
    let signatures = List::new(signatures).expect("they are few");
    let basis = Basis { signatures, seed: DeltaSeed([1; 32]), update: Update::Apart };
    let span = Span::new(0..10).expect("it is a range");
    let room = Room::new(1000).expect("it is not too much");
    Request::Delta { file: Handle(RequestId(file)), span, basis, room }
}

#[test]
fn a_delta_takes_signatures_that_are_open_and_nothing_else() {
    let mut responder = responder();
    for (id, request) in [(1, open_root()), (2, open_file(1)), (3, sign())] {
        responder.handle_frame(LANE, &sound(id, &request)).expect("it is sound");
    }
    // The third is not answered yet.
    responder.handle_frame(LANE, &sound(4, &delta(2, &[3]))).expect("it is sound");
    for (id, reply) in [(1, opened(Kind::Directory)), (2, opened(Kind::File)), (3, Reply::Done)] {
        responder.poll_work();
        responder.respond(ticket(id), reply, End::Last).expect("it answers");
    }
    responder.handle_frame(LANE, &sound(5, &delta(2, &[3, 1]))).expect("it is sound");
    responder.handle_frame(LANE, &sound(6, &delta(2, &[3, 3]))).expect("it is sound");
    assert_eq!(work(&mut responder), [Work::Run(ticket(6), delta(2, &[3, 3]))]);
    let mut faults = sent(&mut responder, LANE);
    faults.retain(|(_, piece)| matches!(piece, Piece::Reply(Reply::Fault(_))));
    let expected = [(4, FaultKind::NoHandle), (5, FaultKind::WrongHandle)];
    assert_eq!(fault_kinds(faults), expected);
    let future = responder.handle_frame(LANE, &sound(7, &delta(2, &[3, 8])));
    assert_eq!(future, Err(Violation::FutureHandle(RequestId(7))));
}

#[test]
fn no_more_signatures_than_are_kept() {
    let mut responder = responder();
    for id in 1..=limits::SIGNATURES as u64 {
        responder.handle_frame(LANE, &sound(id, &sign())).expect("it is at the limit");
        responder.respond(ticket(id), Reply::Done, End::Last).expect("it answers");
        let _sent = sent(&mut responder, LANE);
    }
    let next = limits::SIGNATURES as u64 + 1;
    let handles = List::new(vec![Handle(RequestId(7))]).expect("it is one");
    responder.handle_frame(LANE, &sound(next, &Request::Close { handles })).expect("it is sound");
    responder.handle_frame(LANE, &sound(next + 1, &sign())).expect("one was closed");
    let refused = responder.handle_frame(LANE, &sound(next + 2, &sign()));
    assert_eq!(refused, Err(Violation::TooManySignatures(limits::SIGNATURES)));
}

#[test]
fn the_window_is_free_again_when_the_response_is_sent() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.respond(ticket(1), opened(Kind::Directory), End::Last).expect("it answers");
    assert!(responder.used_bytes() > 0);
    assert!(responder.queued_bytes(LANE) > 0);
    assert_eq!(sent(&mut responder, LANE), [(1, opened(Kind::Directory).into())]);
    assert_eq!((responder.used_bytes(), responder.queued_bytes(LANE)), (0, 0));
}

#[test]
fn a_mistake_of_the_serving_side_is_not_sent_and_a_fault_still_is() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    let wrong = responder.respond(ticket(1), Reply::Done, End::Last);
    assert!(matches!(wrong, Err(RespondError::Grammar(_))));
    let fault = Reply::Fault(IoFault::new(FaultKind::Other, &"x".repeat(5000)));
    assert_eq!(responder.respond(ticket(1), fault, End::Last), Ok(Delivery::Queued));
    assert_eq!(fault_kinds(sent(&mut responder, LANE)), [(1, FaultKind::Other)]);
}

#[test]
fn a_response_in_the_smallest_pieces_is_stopped_while_a_fault_has_room() {
    let mut responder = responder();
    let content = || Content::new(vec![1]).expect("it is not empty");
    let file = Request::OpenFile {
        file: FileAt {
            at: Named { dir: Handle(RequestId(1)), name: Name::new("a").expect("it is a name") },
            follow: Follow::Never,
            atime: AccessTime::Keep,
        },
    };
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.handle_frame(LANE, &sound(2, &file)).expect("it is sound");
    responder.handle_frame(LANE, &sound(3, &read(2, 100_000))).expect("it is sound");
    responder.respond(ticket(1), opened(Kind::Directory), End::Last).expect("it answers");
    responder.respond(ticket(2), opened(Kind::File), End::Last).expect("it answers");
    let error = (0..).find_map(|offset| {
        responder.respond(ticket(3), Piece::Data { offset, content: content() }, End::More).err()
    });
    assert_eq!(error, Some(RespondError::OverCredit { needed_bytes: 25 }));
    let more = Piece::Data { offset: 99_999, content: content() };
    assert!(responder.respond(ticket(3), more, End::More).is_err());
    let text = "x".repeat(limits::FAULT_TEXT_BYTES);
    let fault =
        Reply::Fault(IoFault { errno: Some(i32::MIN), ..IoFault::new(FaultKind::Other, &text) });
    assert_eq!(responder.respond(ticket(3), fault, End::Last), Ok(Delivery::Queued));
}

#[test]
fn what_comes_late_on_a_void_lane_is_passed_over() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    assert_eq!(work(&mut responder).len(), 1);
    responder.handle_frame(OTHER, &void(&[LANE, LaneNumber(7)])).expect("it is sound");
    assert_eq!(
        work(&mut responder),
        [Work::Cancel(ticket(1)), Work::CloseLane(LANE), Work::CloseLane(LaneNumber(7))]
    );
    responder.handle_frame(OTHER, &void(&[LANE])).expect("it is known");
    assert_eq!(work(&mut responder), []);
    assert_eq!(
        responder.respond(ticket(1), opened(Kind::Directory), End::Last),
        Ok(Delivery::Stale)
    );
    responder.handle_frame(LANE, &sound(2, &open_root())).expect("it is void");
    let late = LaneNumber(7);
    assert_eq!(responder.lane_added(late), Err(Violation::ForeignLane(late)));
    responder.handle_frame(LaneNumber(7), &sound(3, &open_root())).expect("it is void");
    assert_eq!(work(&mut responder), []);
    assert_eq!((responder.used_bytes(), responder.handle_count()), (0, 0));
}

#[test]
fn what_was_opened_for_an_answer_that_was_lost_is_dropped_and_opened_anew() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.respond(ticket(1), opened(Kind::Directory), End::Last).expect("it answers");
    responder.lane_lost(LANE);
    drop(work(&mut responder));
    assert_eq!(responder.handle_count(), 1);
    responder.handle_frame(OTHER, &asked(1, 1, 10_000, &open_root())).expect("it is sound");
    let again = Ticket { attempt: 1, ..ticket(1) };
    let expected = [Work::Drop(Handle(RequestId(1))), Work::Run(again, open_root())];
    assert_eq!(work(&mut responder), expected);
}

#[test]
fn handles_are_closed_once_and_without_the_serving_side_being_asked() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.respond(ticket(1), opened(Kind::Directory), End::Last).expect("it answers");
    drop((work(&mut responder), sent(&mut responder, LANE)));
    let handles = List::new(vec![Handle(RequestId(1)), Handle(RequestId(9))]);
    let close = Request::Close { handles: handles.expect("they are few") };
    for id in [10, 11] {
        responder.handle_frame(LANE, &sound(id, &close)).expect("it is sound");
        let expected = if id == 10 { vec![Work::Drop(Handle(RequestId(1)))] } else { vec![] };
        assert_eq!(work(&mut responder), expected);
        assert_eq!(sent(&mut responder, LANE), [(id, Reply::Done.into())]);
    }
}

#[test]
fn a_request_is_cancelled_wherever_it_is() {
    let mut responder = responder();
    let look = Request::CheckSearch { dir: Handle(RequestId(1)) };
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.handle_frame(LANE, &sound(2, &look)).expect("it is sound");
    responder.handle_frame(LANE, &sound(3, &open_root())).expect("it is sound");
    assert_eq!(responder.poll_work(), Some(Work::Run(ticket(1), open_root())));
    for id in [1, 1, 2, 3, 3, 99] {
        responder.handle_frame(LANE, &cancel(id)).expect("it is sound");
    }
    responder.handle_frame(OTHER, &cancel(1)).expect("it is for another lane");
    assert_eq!(work(&mut responder), [Work::Cancel(ticket(1))]);
    assert_eq!(
        fault_kinds(sent(&mut responder, LANE)),
        [(2, FaultKind::Cancelled), (3, FaultKind::Cancelled)]
    );
}

#[test]
fn asking_and_cancelling_without_end_takes_no_memory() {
    let mut responder = responder();
    for id in 1..10_000 {
        responder.handle_frame(LANE, &sound(id, &open_root())).expect("it is sound");
        responder.handle_frame(LANE, &cancel(id)).expect("it is sound");
        drop(sent(&mut responder, LANE));
        assert!(responder.agenda.len() < 3000);
    }
    assert_eq!(work(&mut responder), []);
}

#[test]
fn a_frame_that_ends_says_so() {
    let mut responder = responder();
    responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
    responder.respond(ticket(1), opened(Kind::Directory), End::Last).expect("it answers");
    let bytes = responder.poll_transmit(LANE).expect("it is queued").parts().concat();
    assert_eq!(frames(&bytes, &[7]).expect("it is sound")[0].header.flags, Flags::LAST);
}

#[test]
fn the_number_of_a_lane_comes_once() {
    let mut responder = responder();
    assert_eq!(responder.lane_added(LANE), Err(Violation::ForeignLane(LANE)));
    responder.lane_lost(LANE);
    assert_eq!(responder.lane_added(LANE), Err(Violation::ForeignLane(LANE)));
    responder.handle_frame(OTHER, &void(&[LANE])).expect("it is known");
    assert_eq!(work(&mut responder), [], "it is closed already");
}

#[test]
fn lanes_are_not_given_up_without_end() {
    let mut responder = responder();
    let all: Vec<_> = (10..).take(LANES_LOST).map(LaneNumber).collect();
    responder.handle_frame(LANE, &void(&all)).expect("it is at the limit");
    let refused = responder.handle_frame(LANE, &void(&[LaneNumber(9)]));
    assert_eq!(refused, Err(Violation::TooManyLanesLost(LANES_LOST)));
}

#[test]
fn a_chain_of_handles_needs_no_stack() {
    const LITTLE_STACK_BYTES: usize = 128 << 10;
    let chain = |end: fn(&mut Responder)| {
        let mut responder = responder();
        responder.handle_frame(LANE, &sound(1, &open_root())).expect("it is sound");
        let count = u64::from(Capacity::default().handles);
        for id in 2..=count {
            let next = Request::Reopen { dir: Handle(RequestId(id - 1)) };
            responder.handle_frame(LANE, &sound(id, &next)).expect("it is sound");
        }
        assert_eq!(work(&mut responder).len(), 1);
        end(&mut responder);
        assert_eq!((responder.handle_count(), work(&mut responder).len()), (0, 0));
        let faults = sent(&mut responder, LANE);
        assert!(faults.is_empty() || faults.len() as u64 == count);
        assert_eq!(responder.used_bytes(), 0);
    };
    let run = move || {
        chain(|responder| {
            let fault = Reply::Fault(IoFault::new(FaultKind::NotFound, "none"));
            let delivery = responder.respond(ticket(1), fault, End::Last);
            assert_eq!(delivery, Ok(Delivery::Queued));
        });
        chain(|responder| {
            responder.lane_lost(LANE);
            // To run the first one ends.
            work(responder);
        });
    };
    let thread = std::thread::Builder::new().stack_size(LITTLE_STACK_BYTES);
    thread.spawn(run).expect("there is a thread").join().expect("it ends");
}
