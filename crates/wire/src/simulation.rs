//! A requester and a responder on a network that delays, reorders across lanes, and loses lanes.
//!
//! What happens next is drawn from a seed, so a failing case can be run again. Nothing here has a
//! clock: delay is that something else happened first.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use model::{Kind, Metadata};
use proptest::prelude::*;

use crate::answer::{Answer, Outcome};
use crate::bounded::{Name, OperatorPath};
use crate::frame::{Content, Decoder, RequestId};
use crate::greeting::Capacity;
use crate::io_fault::{FaultKind, IoFault};
use crate::lane::LaneNumber;
use crate::request::{
    Access, AccessTime, Expected, FileAt, Follow, Handle, Named, Request, Room, Span,
};
use crate::requester::{Requester, StartError};
use crate::responder::{Delivery, End, Responder, Ticket, Work};
use crate::response::{ContentSum, Piece, Reply};
use crate::seen::{Entry, PageBuilder, PageEnd, Wants};

/// Small, so that requests wait for it.
const WINDOW_BYTES: u64 = 60_000;

const FILE_BYTES: u64 = 20_000;

const NAMES: usize = 300;

/// What all content is said to have; nobody here looks at it.
const SUM: ContentSum = ContentSum([7; 32]);

/// A generator of numbers (splitmix64), for choices that a seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("it is below a usize")
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }
}

/// One direction of a lane.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    decoder: Decoder,
}

#[derive(Default)]
struct Lane {
    /// Whether the requester, and the responder, hold it for alive.
    near: bool,
    far: bool,
    out: Pipe,
    back: Pipe,
}

struct World {
    chance: Chance,
    requester: Requester,
    responder: Responder,
    lanes: BTreeMap<LaneNumber, Lane>,
    next_lane: u16,
    /// Pieces that the serving side has still to hand in.
    running: HashMap<Ticket, VecDeque<(Piece, End)>>,
    /// What the serving side holds open.
    objects: HashSet<Handle>,
    removed: HashSet<Name>,
    /// What was asked and is not answered.
    asked: HashMap<RequestId, Request>,
    cancelled: HashSet<RequestId>,
    /// Requests that should have opened something and did not.
    failed: HashSet<RequestId>,
    /// Handles that are open or will be, and whether they are directories.
    open: Vec<(Handle, bool)>,
    answered: usize,
}

fn byte_at(offset: u64) -> u8 {
    (offset % 251).to_le_bytes()[0]
}

fn numbered(number: usize) -> Name {
    Name::new(format!("name{number:04}")).expect("it is one component")
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            requester: Requester::new(Capacity::default(), WINDOW_BYTES),
            responder: Responder::new(Capacity::default()),
            lanes: BTreeMap::new(),
            next_lane: 0,
            running: HashMap::new(),
            objects: HashSet::new(),
            removed: HashSet::new(),
            asked: HashMap::new(),
            cancelled: HashSet::new(),
            failed: HashSet::new(),
            open: Vec::new(),
            answered: 0,
        }
    }

    fn step(&mut self) {
        match self.chance.below(100) {
            0 => self.add_lane(),
            1 if self.chance.one_in(3) => self.lose_lane(),
            2..10 => self.ask(),
            10..12 => self.cancel(),
            12 => self.close(),
            13..25 => self.take_answer(),
            25..45 => self.serve(),
            _ => self.deliver(),
        }
        assert!(self.requester.used_bytes() <= WINDOW_BYTES, "the window of the requester");
        assert!(self.responder.used_bytes() <= WINDOW_BYTES, "the window at the responder");
    }

    fn add_lane(&mut self) {
        if self.lanes.values().filter(|lane| lane.near).count() >= 5 {
            return;
        }
        let number = LaneNumber(self.next_lane);
        self.next_lane += 1;
        self.requester.lane_added(number).expect("it is new");
        self.responder.lane_added(number).expect("it is new");
        self.lanes.insert(number, Lane { near: true, far: true, ..Lane::default() });
    }

    /// One side notices that a lane is dead; the other may have bytes of it for a while.
    fn lose_lane(&mut self) {
        let Some(number) = self.any_lane() else { return };
        let lane = self.lanes.get_mut(&number).expect("it is there");
        if self.chance.one_in(2) {
            lane.near = false;
            self.requester.lane_lost(number).expect("not too many are lost");
        } else {
            lane.far = false;
            self.responder.lane_lost(number);
        }
    }

    fn any_lane(&mut self) -> Option<LaneNumber> {
        let numbers: Vec<_> = self.lanes.keys().copied().collect();
        (!numbers.is_empty()).then(|| numbers[self.chance.below(numbers.len())])
    }

    fn ask(&mut self) {
        let name = numbered(self.chance.below(NAMES));
        let (access, follow, atime) = (Access::Read, Follow::Never, AccessTime::Keep);
        let some = match self.open.len() {
            0 => None,
            count => Some(self.open[self.chance.below(count)]),
        };
        let request = match some {
            Some((dir, true)) => match self.chance.below(5) {
                0 => Request::OpenChild { at: Named { dir, name }, access, follow, atime },
                1 => {
                    let file = FileAt { at: Named { dir, name }, follow, atime };
                    Request::OpenFile { file }
                }
                2 => {
                    let mtime = model::Timestamp::default();
                    let expected = Expected { dev: 1, ino: 1, size: 1, mtime };
                    Request::Remove { at: Named { dir, name }, expected }
                }
                _ => {
                    let room = Room::new(4096).expect("it is the least");
                    let after = self.chance.one_in(2).then_some(name);
                    Request::List { dir, wants: Wants::empty(), after, room }
                }
            },
            Some((file, false)) => {
                let start = self.chance.below(25_000) as u64;
                let length = 1 + self.chance.below(9_000) as u64;
                let span = Span::new(start..start + length).expect("it is a range");
                Request::Read { file, span }
            }
            None => {
                let path = OperatorPath::new("/srv").expect("it is a path");
                Request::OpenRoot { path, access }
            }
        };
        let opens = request.opens();
        let id = match self.requester.start(request.clone()) {
            Ok(id) => id,
            Err(StartError::NoHandle) => {
                // It failed to open, and nobody has taken the answer that says so.
                return self.open.retain(|(handle, _)| Some(*handle) != some.map(|it| it.0));
            }
            Err(other) => panic!("{other}"),
        };
        assert!(self.asked.insert(id, request).is_none(), "a number came twice");
        if let Some(kind) = opens {
            // It is used at once, whether the responder has opened it or not.
            self.open.push((Handle(id), kind == crate::request::HandleKind::Directory));
        }
    }

    fn cancel(&mut self) {
        let mut ids: Vec<_> = self.asked.keys().copied().collect();
        ids.sort_unstable();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.chance.below(ids.len())];
        self.requester.cancel(id);
        self.cancelled.insert(id);
        self.open.retain(|(handle, _)| handle.0 != id);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let (handle, _) = self.open.swap_remove(self.chance.below(self.open.len()));
            self.requester.close(handle);
        }
    }

    fn take_answer(&mut self) {
        if let Some((id, outcome)) = self.requester.poll_answer() {
            let request = self.asked.remove(&id).expect("it was asked, and not answered before");
            self.check(&request, id, outcome);
            self.answered += 1;
        }
    }

    fn check(&mut self, request: &Request, id: RequestId, outcome: Outcome) {
        if outcome.is_err() && request.opens().is_some() {
            self.open.retain(|(handle, _)| handle.0 != id);
            self.failed.insert(id);
        }
        match (request, outcome) {
            (_, Err(fault)) if fault.kind == FaultKind::NoHandle => {
                let (Handle(opener), _) = request.uses().expect("it names a handle");
                let is_due = self.failed.contains(&opener) || self.cancelled.contains(&opener);
                assert!(is_due, "{request:?} names a handle that was opened");
            }
            (_, Err(fault)) => assert_eq!(fault.kind, FaultKind::NotFound),
            (Request::Read { span, .. }, Ok(Answer::Read(read))) => {
                let end = span.range().end.min(FILE_BYTES);
                let mut at = span.range().start;
                for (offset, content) in read.pieces {
                    assert_eq!(offset, at);
                    at += content.len() as u64;
                    assert!((offset..at).map(byte_at).eq(content.iter().copied()));
                }
                assert_eq!(at, end.max(span.range().start));
                assert_eq!(read.sum, SUM);
                assert_eq!(read.file_end, (span.range().end > FILE_BYTES).then_some(FILE_BYTES));
            }
            (Request::List { after, .. }, Ok(Answer::Listed { entries, end })) => {
                let all = (0..NAMES).map(numbered);
                let expected = all.filter(|name| after.as_ref().is_none_or(|after| name > after));
                let expected: Vec<_> = expected.collect();
                let names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
                assert!(expected.starts_with(&names));
                assert_eq!(end == PageEnd::Complete, names.len() == expected.len());
            }
            (Request::Remove { at, .. }, Ok(Answer::Done)) => {
                assert!(self.removed.contains(&at.name));
            }
            (request, Ok(Answer::Opened(_))) => assert!(request.opens().is_some()),
            (request, outcome) => panic!("{outcome:?} answers {request:?}"),
        }
    }

    /// The serving side takes something up, or goes on with something.
    fn serve(&mut self) {
        match self.responder.poll_work() {
            Some(Work::Run(ticket, request)) => {
                let plan = self.plan(ticket, request);
                self.running.insert(ticket, plan);
            }
            Some(Work::Drop(handle)) => {
                assert!(self.objects.remove(&handle), "{handle} is dropped and was not open");
            }
            Some(Work::Cancel(ticket)) => {
                if let Some(plan) = self.running.get_mut(&ticket) {
                    let fault = Reply::Fault(IoFault::new(FaultKind::Cancelled, ""));
                    *plan = VecDeque::from([(fault.into(), End::Last)]);
                }
            }
            Some(Work::CloseLane(number)) => {
                self.lanes.entry(number).or_default().far = false;
            }
            None => {}
        }
        let mut tickets: Vec<_> = self.running.keys().copied().collect();
        tickets.sort_unstable_by_key(|ticket| (ticket.id, ticket.attempt));
        if tickets.is_empty() {
            return;
        }
        let ticket = tickets[self.chance.below(tickets.len())];
        let plan = self.running.get_mut(&ticket).expect("it runs");
        let (piece, end) = plan.pop_front().expect("the last piece takes it off the list");
        let is_opened = matches!(piece, Piece::Reply(Reply::Opened(_)));
        let delivery = self.responder.respond(ticket, piece, end).expect("it answers the request");
        if delivery == Delivery::Queued && is_opened {
            self.objects.insert(Handle(ticket.id));
        }
        if delivery == Delivery::Stale || end == End::Last {
            self.running.remove(&ticket);
        }
    }

    fn plan(&mut self, ticket: Ticket, request: Request) -> VecDeque<(Piece, End)> {
        let not_found = Reply::Fault(IoFault::new(FaultKind::NotFound, "not found"));
        if let Some((handle, _)) = request.uses() {
            assert!(self.objects.contains(&handle), "{ticket:?} works with what is not open");
        }
        let reply = match request {
            Request::List { after, room, .. } => {
                return listing(after.as_ref(), room.bytes() as usize);
            }
            Request::Read { span, .. } => return self.content(span),
            Request::Remove { at, .. } if !self.removed.insert(at.name.clone()) => not_found,
            Request::Remove { .. } => Reply::Done,
            _ if self.chance.one_in(8) => not_found,
            _ => Reply::Opened(Metadata::unknown(Kind::Directory)),
        };
        VecDeque::from([(reply.into(), End::Last)])
    }

    /// Pieces of a file, in any order.
    fn content(&mut self, span: Span) -> VecDeque<(Piece, End)> {
        let range = span.range();
        let mut pieces = Vec::new();
        let mut offset = range.start;
        while offset < range.end.min(FILE_BYTES) {
            let end = (offset + 3000).min(range.end).min(FILE_BYTES);
            let content = Content::new((offset..end).map(byte_at).collect());
            pieces.push(Piece::Data { offset, content: content.expect("it is not empty") });
            offset = end;
        }
        if range.end > FILE_BYTES {
            pieces.push(Reply::FileEnds(FILE_BYTES).into());
        }
        let mut plan = VecDeque::new();
        while !pieces.is_empty() {
            let piece = pieces.swap_remove(self.chance.below(pieces.len()));
            plan.push_back((piece, End::More));
        }
        plan.push_back((Reply::Sum(SUM).into(), End::Last));
        plan
    }

    /// Some bytes move on one lane, in one direction.
    fn deliver(&mut self) {
        let Some(number) = self.any_lane() else { return };
        let length = 1 + self.chance.below(6000);
        let lane = self.lanes.get_mut(&number).expect("it is there");
        if !lane.near && !lane.far {
            self.lanes.remove(&number);
            return;
        }
        if self.chance.one_in(2) {
            while let Some(outgoing) = self.requester.poll_transmit(number) {
                lane.out.bytes.extend(outgoing.parts().concat());
            }
            let (bytes, decoder) = (&mut lane.out.bytes, &mut lane.out.decoder);
            let arrived: Vec<_> = bytes.drain(..length.min(bytes.len())).collect();
            let mut rest = &*arrived;
            while !rest.is_empty() && lane.far {
                if let Some(frame) = decoder.feed(&mut rest).expect("it is sound") {
                    self.responder.handle_frame(number, &frame).expect("it keeps the rules");
                }
            }
            if !lane.near && bytes.is_empty() && lane.far {
                lane.far = false;
                self.responder.lane_lost(number);
            }
        } else {
            if let Some(outgoing) = self.responder.poll_transmit(number) {
                lane.back.bytes.extend(outgoing.parts().concat());
            }
            let (bytes, decoder) = (&mut lane.back.bytes, &mut lane.back.decoder);
            let arrived: Vec<_> = bytes.drain(..length.min(bytes.len())).collect();
            let mut rest = &*arrived;
            while !rest.is_empty() {
                if let Some(frame) = decoder.feed(&mut rest).expect("it is sound") {
                    self.requester.handle_frame(number, frame).expect("it keeps the rules");
                }
            }
            if !lane.far && bytes.is_empty() && lane.near {
                lane.near = false;
                self.requester.lane_lost(number).expect("not too many are lost");
            }
        }
    }

    /// Lets all come to its end, on lanes that do not die any more.
    fn drain(&mut self) {
        for (handle, _) in std::mem::take(&mut self.open) {
            self.requester.close(handle);
        }
        self.add_lane();
        self.add_lane();
        for _ in 0..200_000 {
            match self.chance.below(10) {
                0 => self.take_answer(),
                1..4 => self.serve(),
                _ => self.deliver(),
            }
            if self.lanes.values().all(|lane| !lane.near) {
                self.add_lane();
            }
            if self.requester.is_idle() && self.objects.is_empty() {
                return;
            }
        }
        self.asked.retain(|id, _| !self.cancelled.contains(id));
        panic!("no end: {:?} are not answered, {:?} not closed", self.asked, self.objects);
    }
}

fn listing(after: Option<&Name>, room_bytes: usize) -> VecDeque<(Piece, End)> {
    let names = (0..NAMES).map(numbered);
    let mut names = names.filter(|name| after.is_none_or(|after| name > after)).peekable();
    let mut builder = PageBuilder::default();
    while let Some(name) = names.next_if(|_| builder.byte_count() < room_bytes) {
        if builder.push(Entry { name: name.clone(), kind: None, seen: None }, room_bytes).is_err() {
            let page = builder.take();
            return VecDeque::from([(Reply::Page { page, end: PageEnd::More }.into(), End::Last)]);
        }
    }
    let page = builder.take();
    VecDeque::from([(Reply::Page { page, end: PageEnd::Complete }.into(), End::Last)])
}

fn run(seed: u64, steps: usize) -> World {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.drain();
    world
}

proptest! {
    #[test]
    fn every_request_is_answered_once_whatever_becomes_of_lanes(seed: u64) {
        let world = run(seed, 2000);
        let unanswered: Vec<_> =
            world.asked.keys().filter(|id| !world.cancelled.contains(id)).collect();
        prop_assert!(unanswered.is_empty(), "{:?} have no answer", unanswered);
        prop_assert_eq!(world.requester.used_bytes(), 0);
        prop_assert_eq!(world.responder.used_bytes(), 0);
        prop_assert_eq!(world.responder.handle_count(), 0);
    }
}

/// A test of the test: it must have seen what it is for.
#[test]
fn the_simulation_answers_cancels_and_loses_lanes() {
    let world = run(7, 20_000);
    assert!(world.answered > 500, "{} were answered", world.answered);
    assert!(world.cancelled.len() > 50, "{} were cancelled", world.cancelled.len());
    assert!(world.next_lane > 20, "{} lanes came and went", world.next_lane);
}
