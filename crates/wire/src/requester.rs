//! The requesting side: what is asked, on which lane, and what came back.
//!
//! A request is sent when its cost fits into the window, in the order of asking, on the lane with the
//! least outstanding cost, those that are spared aside, and content only where the lane is given no more
//! than it carries (`load`). Small differences do not count there: what is short goes together. Its cost
//! is its own length and its credit, and it has it from being sent until its answer is taken: so the
//! window bounds what the answers hold in memory, here and at the responder, however slow whoever takes
//! them is.
//!
//! When a lane is lost, what was not answered on it is asked again on others, with the next attempt
//! number. The responder is told on every lane, before anything else, which lanes are void, so that
//! nothing that may still arrive there is taken for new.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::answer::{Answer, Outcome, Partial};
use crate::bounded::List;
use crate::codec::encode;
use crate::frame::{Flags, Frame, FrameKind, Header, Outgoing, RequestId};
use crate::grammar::Grammar;
use crate::greeting::Capacity;
use crate::io_fault::FaultKind;
use crate::lane::LaneNumber;
use crate::limits::{CLOSED_HANDLES, HEADER_BYTES, LANES_LOST, REQUESTS_WAITING, SIGNATURES};
use crate::packing::Unpacker;
use crate::request::{Handle, HandleKind, Request, ask};
use crate::response::{Arrived, Piece, Reply};
use crate::violation::Violation;

mod handles;
mod load;
mod waiting;

use handles::Handles;
use load::Load;
use waiting::Waiting;

/// What is outstanding on a lane counts in these steps. Many short requests on one lane go by few writes and
/// wake few threads; each on another lane, every one of them costs that.
const STEP_BYTES: u64 = 64 * 1024;

/// Why a request cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Too many requests wait already: take answers first.
    #[error("too many requests wait")]
    Full,
    /// The responder holds as many handles as it can: close some first.
    #[error("too many handles are open")]
    TooManyHandles,
    /// The request names a handle that failed to open, or that was closed.
    #[error("the handle is not open")]
    NoHandle,
    /// The response would not fit the window, or the span is longer than a request may have.
    #[error("the request asks for too much at a time")]
    TooLarge,
}

/// The requesting side of a session.
#[derive(Debug)]
pub struct Requester {
    capacity: Capacity,
    last_id: u64,
    asked: HashMap<RequestId, Asked>,
    waiting: Waiting,
    lanes: BTreeMap<LaneNumber, Lane>,
    lost: Vec<LaneNumber>,
    handles: Handles,
    answered: BTreeMap<RequestId, Answered>,
    /// What is out and not answered.
    sent_count: u32,
    sent_bytes: u64,
    /// The same, and what was answered and is not taken.
    used_bytes: u64,
}

#[derive(Debug, Default)]
struct Lane {
    outbox: VecDeque<Outgoing>,
    load: Load,
    /// Requests go there only if they cannot go elsewhere.
    is_spared: bool,
}

#[derive(Debug)]
struct Asked {
    request: Request,
    credit: u64,
    /// What it holds of the window while it is out.
    cost: u64,
    attempt: u16,
    /// Where it was sent.
    lane: Option<LaneNumber>,
    whose: Whose,
    progress: Progress,
}

/// An answer that nobody has taken.
#[derive(Debug)]
struct Answered {
    outcome: Outcome,
    cost: u64,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Whoever asked.
    Callers,
    /// Nobody: it was cancelled, or asked by the requester itself.
    Nobodys,
}

/// What came in the present attempt.
#[derive(Debug)]
struct Progress {
    grammar: Grammar,
    partial: Partial,
    received_bytes: u64,
}

impl Progress {
    fn none(request: &Request) -> Self {
        let (grammar, partial) = (Grammar::of(request), Partial::of(request));
        Self { grammar, partial, received_bytes: 0 }
    }
}

/// What a request holds of the window: its frame and its credit.
pub(crate) fn cost(body_bytes: usize, credit: u64) -> u64 {
    credit.saturating_add((HEADER_BYTES + body_bytes) as u64)
}

impl Requester {
    /// A requester that keeps within what the responder takes and, if that is less, a window of its
    /// own.
    pub fn new(responder: Capacity, window_bytes: u64) -> Self {
        let responder = responder.clamped();
        let window_bytes = window_bytes.min(responder.window_bytes);
        Self {
            capacity: Capacity { window_bytes, ..responder },
            last_id: 0,
            asked: HashMap::new(),
            waiting: Waiting::default(),
            lanes: BTreeMap::new(),
            lost: Vec::new(),
            handles: Handles::default(),
            answered: BTreeMap::new(),
            sent_count: 0,
            sent_bytes: 0,
            used_bytes: 0,
        }
    }

    /// Whether a request can be asked now.
    pub fn check(&self, request: &Request) -> Result<(), StartError> {
        if !self.has_room() {
            return Err(StartError::Full);
        }
        if request.opens().is_some_and(|kind| !self.has_room_for(kind)) {
            return Err(StartError::TooManyHandles);
        }
        let can_use = request.uses().is_none_or(|(handle, _)| self.handles.can_use(handle))
            && request.signatures().iter().all(|handle| self.handles.is_open(*handle));
        can_use.then_some(()).ok_or(StartError::NoHandle)
    }

    /// Asks. The number that comes back names the answer, and the handle if the request opens one:
    /// that may be used at once. Handles are better closed by [`close`](Self::close), which waits for
    /// those that use them.
    pub fn start(&mut self, request: Request) -> Result<RequestId, StartError> {
        self.check(&request)?;
        self.admit(request, Whose::Callers)
    }

    fn admit(&mut self, request: Request, whose: Whose) -> Result<RequestId, StartError> {
        let credit = request.credit().ok_or(StartError::TooLarge)?;
        let cost = cost(ask(credit, &request).len(), credit);
        if cost > self.capacity.window_bytes {
            return Err(StartError::TooLarge);
        }
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.handles.asked(id, &request);
        self.waiting.insert(id, request.is_for_content());
        let progress = Progress::none(&request);
        let asked = Asked { request, credit, cost, attempt: 0, lane: None, whose, progress };
        self.asked.insert(id, asked);
        self.send_what_fits();
        Ok(id)
    }

    /// Gives up a request: no answer to it will be told, and what it opens is closed. One whose answer
    /// was taken is left as it is.
    pub fn cancel(&mut self, id: RequestId) {
        let Some(asked) = self.asked.get_mut(&id) else { return self.pass_over(id) };
        if asked.whose == Whose::Nobodys {
            return;
        }
        asked.whose = Whose::Nobodys;
        let (lane, attempt) = (asked.lane, asked.attempt);
        match lane.and_then(|lane| self.lanes.get_mut(&lane)) {
            None => {
                self.waiting.remove(id);
                if let Some(asked) = self.asked.remove(&id) {
                    self.give_up(id, &asked);
                }
            }
            Some(lane) => {
                let header = Header { attempt, id, ..Header::plain(FrameKind::Cancel) };
                lane.outbox.push_back(Outgoing::frame(header, &[]));
            }
        }
    }

    /// An answer that has come is not wanted any more.
    fn pass_over(&mut self, id: RequestId) {
        if let Some(Ok(_)) = self.take_answer(id) {
            self.handles.close(Handle(id));
        }
    }

    /// Closes a handle once nothing that was asked of it is open. It cannot be used from now on.
    pub fn close(&mut self, handle: Handle) {
        self.handles.close(handle);
    }

    /// A lane can be used. One whose number is not new is to be closed, and harms no other.
    pub fn lane_added(&mut self, lane: LaneNumber) -> Result<(), Violation> {
        if self.lanes.contains_key(&lane) || self.lost.contains(&lane) {
            return Err(Violation::ForeignLane(lane));
        }
        let mut added = Lane::default();
        if let Some(void) = self.void_frame() {
            added.outbox.push_back(void);
        }
        self.lanes.insert(lane, added);
        self.send_what_fits();
        Ok(())
    }

    /// Whether requests go on a lane only where there is no other. A lane that is spared comes to
    /// rest without losing what is on it.
    pub fn spare(&mut self, lane: LaneNumber, is_spared: bool) {
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.is_spared = is_spared;
        }
    }

    /// True if nothing is outstanding on a lane.
    pub fn is_at_rest(&self, lane: LaneNumber) -> bool {
        self.lanes.get(&lane).is_none_or(|it| it.load.used_bytes() == 0 && it.outbox.is_empty())
    }

    /// A lane is dead; what was not answered on it is asked again. Without any lane, requests wait.
    pub fn lane_lost(&mut self, lane: LaneNumber) -> Result<(), Violation> {
        if self.lanes.remove(&lane).is_none() {
            return Ok(());
        }
        if self.lost.len() >= LANES_LOST {
            return Err(Violation::TooManyLanesLost(LANES_LOST));
        }
        self.lost.push(lane);
        if let Some(void) = self.void_frame() {
            for other in self.lanes.values_mut() {
                // Before all requests that were not sent when the lane was lost.
                other.outbox.push_back(void.clone());
            }
        }
        let on_it = self.asked.iter().filter(|(_, asked)| asked.lane == Some(lane));
        let ids: Vec<_> = on_it.map(|(id, _)| *id).collect();
        for id in ids {
            self.ask_again(id)?;
        }
        self.send_what_fits();
        Ok(())
    }

    fn ask_again(&mut self, id: RequestId) -> Result<(), Violation> {
        let Some(asked) = self.asked.get_mut(&id) else { return Ok(()) };
        asked.lane = None;
        let attempt = asked.attempt.checked_add(1);
        asked.attempt = attempt.ok_or(Violation::TooManyLanesLost(LANES_LOST))?;
        self.used_bytes -= asked.cost;
        self.sent_bytes -= asked.cost;
        self.sent_count -= 1;
        if asked.whose == Whose::Nobodys && !matches!(asked.request, Request::Close { .. }) {
            if let Some(asked) = self.asked.remove(&id) {
                self.give_up(id, &asked);
            }
            return Ok(());
        }
        asked.progress = Progress::none(&asked.request);
        self.waiting.insert(id, asked.request.is_for_content());
        Ok(())
    }

    /// Nobody waits for a request that is not out, or not any more.
    fn give_up(&mut self, id: RequestId, asked: &Asked) {
        // Whether an attempt has opened something nobody knows. To close what is not open does no
        // harm.
        let may_be_open = asked.attempt > 0 && asked.request.opens().is_some();
        self.settle_handles(id, asked, may_be_open);
    }

    fn void_frame(&self) -> Option<Outgoing> {
        let list = List::<_, LANES_LOST>::new(self.lost.clone()).ok()?;
        let header = Header::plain(FrameKind::Void);
        (!self.lost.is_empty()).then(|| Outgoing::frame(header, &encode(&list)))
    }

    /// Takes a frame that a lane brought.
    pub fn handle_frame(
        &mut self,
        lane: LaneNumber,
        frame: Frame,
    ) -> Result<Option<RequestId>, Violation> {
        if !self.lanes.contains_key(&lane) {
            return Ok(None);
        }
        self.handle(lane, Arrived::decode(frame, &mut Unpacker::default())?)
    }

    /// Takes a piece of a response that a lane brought; tells for which request there is an answer by
    /// it. What comes from a lane that is lost is passed over.
    pub fn handle(
        &mut self,
        lane: LaneNumber,
        arrived: Arrived,
    ) -> Result<Option<RequestId>, Violation> {
        if !self.lanes.contains_key(&lane) {
            return Ok(None);
        }
        let Arrived { header: Header { id, attempt, flags, .. }, wire_bytes, piece } = arrived;
        let is_last = flags.contains(Flags::LAST);
        let asked = self
            .asked
            .get_mut(&id)
            .filter(|asked| asked.lane == Some(lane) && asked.attempt == attempt);
        let asked = asked.ok_or(Violation::Unasked(id))?;
        let progress = &mut asked.progress;
        progress.received_bytes += wire_bytes;
        if progress.received_bytes > asked.credit {
            return Err(Violation::OverCredit(id));
        }
        let checked = progress.grammar.take(&piece, is_last);
        checked.map_err(|why| Violation::WrongResponse { id, why })?;
        if asked.whose == Whose::Callers {
            progress.partial.add(piece);
        } else if let Piece::Reply(Reply::Opened(_) | Reply::OpenedImage(_) | Reply::Fault(_)) =
            piece
        {
            progress.partial.add(piece);
        }
        Ok(if is_last { self.complete(id, lane) } else { None })
    }

    /// The last piece of a response has come. Tells if somebody asked for it.
    fn complete(&mut self, id: RequestId, lane: LaneNumber) -> Option<RequestId> {
        let mut asked = self.asked.remove(&id)?;
        let cost = asked.cost;
        self.sent_count -= 1;
        self.sent_bytes -= cost;
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.load.answered(cost, asked.request.is_for_content());
        }
        let empty = Progress::none(&asked.request);
        let outcome = std::mem::replace(&mut asked.progress, empty).partial.finish();
        let outcome = repeated(outcome, &asked);
        self.settle_handles(id, &asked, outcome.is_ok() && asked.request.opens().is_some());
        let answered = match asked.whose {
            Whose::Callers => {
                self.answered.insert(id, Answered { outcome, cost });
                Some(id)
            }
            Whose::Nobodys => {
                self.used_bytes -= cost;
                None
            }
        };
        self.send_what_fits();
        answered
    }

    /// What the end of a request means for the handle that it used, or opened.
    fn settle_handles(&mut self, id: RequestId, asked: &Asked, is_open: bool) {
        self.handles.answered(id, &asked.request, is_open);
        if asked.whose == Whose::Nobodys && is_open {
            self.handles.close(Handle(id));
        }
    }

    /// The answer to the oldest request that has one. Its part of the window is free from now on.
    pub fn poll_answer(&mut self) -> Option<(RequestId, Outcome)> {
        let (&id, _) = self.answered.first_key_value()?;
        self.take_answer(id).map(|outcome| (id, outcome))
    }

    /// The answer to a request, if it has come. Its part of the window is free from now on.
    pub fn take_answer(&mut self, id: RequestId) -> Option<Outcome> {
        let Answered { outcome, cost } = self.answered.remove(&id)?;
        self.used_bytes -= cost;
        self.send_what_fits();
        Some(outcome)
    }

    /// True while an answer to a request is to come.
    pub fn is_asked(&self, id: RequestId) -> bool {
        self.asked.get(&id).is_some_and(|asked| asked.whose == Whose::Callers)
    }

    /// True while an answer of the responder is to come.
    pub fn is_busy(&self) -> bool {
        self.sent_count > 0
    }

    /// True when requests wait, and none is out that could make room for them: all that is left is to
    /// take answers, or to [`hurry`](Self::hurry).
    pub fn is_stuck(&self) -> bool {
        self.sent_count == 0 && !self.waiting.is_empty()
    }

    /// Sends a request ahead of others, and without regard to the room that answers take which nobody
    /// has taken: for who waits for it and cannot take those before. With no request given, the
    /// oldest that waits.
    pub fn hurry(&mut self, id: Option<RequestId>) {
        let mut ahead = Vec::new();
        let mut next = id.or_else(|| self.waiting.first());
        while let Some(id) = next.filter(|id| self.waiting.contains(*id)) {
            ahead.push(id);
            // Before it must go what opens its handle.
            let handle = self.asked.get(&id).and_then(|asked| asked.request.uses());
            next = handle.map(|(Handle(opener), _)| opener);
        }
        while let Some(id) = ahead.pop() {
            let lane = self.lane_for(id, |_, _| true).filter(|_| self.fits(id, self.sent_bytes));
            let Some(lane) = lane else { return };
            self.send(id, lane);
        }
    }

    /// True unless too many requests wait.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < REQUESTS_WAITING
    }

    /// True unless the responder holds as many handles of a kind as it can.
    pub fn has_room_for(&self, kind: HandleKind) -> bool {
        let has_room = self.handles.count() < self.capacity.handles as usize;
        has_room && (kind != HandleKind::Signature || self.handles.signatures() < SIGNATURES)
    }

    /// True when handles are about to be free.
    pub fn is_closing_handles(&self) -> bool {
        self.handles.is_closing()
    }

    /// True when [`poll_transmit`](Self::poll_transmit) has something for this lane.
    pub fn has_outgoing(&self, lane: LaneNumber) -> bool {
        self.lanes.get(&lane).is_some_and(|lane| !lane.outbox.is_empty())
    }

    /// True when handles are to be closed: [`poll_transmit`](Self::poll_transmit) for any lane puts
    /// that together.
    pub fn has_closable(&self) -> bool {
        self.handles.has_closable()
    }

    /// The next bytes for a lane.
    pub fn poll_transmit(&mut self, lane: LaneNumber) -> Option<Outgoing> {
        // Late, so that many handles go into one request.
        if self.lanes.get(&lane)?.outbox.is_empty() {
            self.close_handles();
        }
        self.lanes.get_mut(&lane)?.outbox.pop_front()
    }

    fn close_handles(&mut self) {
        while let Some(handles) = self.handles.take_closable(CLOSED_HANDLES) {
            let handles = List::new(handles).expect("take_closable() keeps to the limit");
            // It is small, so it has room, if not at once.
            let _id = self.admit(Request::Close { handles }, Whose::Nobodys);
        }
    }

    fn send_what_fits(&mut self) {
        while let Some(first) = self.waiting.first() {
            if !self.fits(first, self.used_bytes) {
                return;
            }
            let of_rest = self.waiting.first_of_rest();
            let of_rest = of_rest.filter(|id| self.fits(*id, self.used_bytes));
            let mut sendable = [Some(first), of_rest].into_iter().flatten();
            let next = sendable.find_map(|id| Some((id, self.lane_for(id, Load::has_room)?)));
            let Some((id, lane)) = next else { return };
            self.send(id, lane);
        }
    }

    /// Whether the window has room for a request beside what is used of it.
    fn fits(&self, id: RequestId, used_bytes: u64) -> bool {
        let cost = self.asked.get(&id).map_or(0, |asked| asked.cost);
        self.sent_count < self.capacity.requests && used_bytes + cost <= self.capacity.window_bytes
    }

    /// The lane on which a request goes; for content `None` where no lane `has_room` for its cost.
    fn lane_for(&self, id: RequestId, has_room: impl Fn(&Load, u64) -> bool) -> Option<LaneNumber> {
        let asked = self.asked.get(&id)?;
        let bound = asked.request.uses().and_then(|(handle, _)| self.handles.lane(handle));
        if let Some(lane) = bound {
            return self.lanes.contains_key(&lane).then_some(lane);
        }
        let are_all_spared = self.lanes.values().all(|lane| lane.is_spared);
        let has_room =
            |lane: &Lane| !asked.request.is_for_content() || has_room(&lane.load, asked.cost);
        let lanes = self.lanes.iter().filter(|(_, it)| are_all_spared || !it.is_spared);
        let with_room = lanes.filter(|(_, lane)| has_room(lane));
        let fill = |lane: &Lane| lane.load.used_bytes() / STEP_BYTES;
        with_room.min_by_key(|(_, lane)| fill(lane)).map(|(number, _)| *number)
    }

    fn send(&mut self, id: RequestId, number: LaneNumber) {
        let Some(asked) = self.asked.get_mut(&id) else { return };
        let Some(lane) = self.lanes.get_mut(&number) else { return };
        let header = Header { id, attempt: asked.attempt, ..Header::plain(FrameKind::Request) };
        lane.outbox.push_back(Outgoing::frame(header, &ask(asked.credit, &asked.request)));
        lane.load.sent(asked.cost, asked.request.is_for_content());
        asked.lane = Some(number);
        self.used_bytes += asked.cost;
        self.sent_bytes += asked.cost;
        self.sent_count += 1;
        self.handles.sent(id, number);
        self.waiting.remove(id);
    }

    /// Cost of all that was sent and whose answer nobody has taken.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// True when nothing is under way: nothing waits, is asked, is to be taken or to be closed.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.answered.is_empty() && !self.handles.has_closable()
    }
}

/// What a request came to that was asked more than once.
///
/// Whether the attempt before removed a file nobody knows; that it is gone is what was wanted.
fn repeated(outcome: Outcome, asked: &Asked) -> Outcome {
    let is_removal = matches!(asked.request, Request::Remove { .. });
    match outcome {
        Err(fault) if asked.attempt > 0 && is_removal && fault.kind == FaultKind::NotFound => {
            Ok(Answer::Done)
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;
