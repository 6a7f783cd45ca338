//! The requesting side: what is asked, on which lane, and what came back.
//!
//! A request is sent when its cost fits into the window, in the order of asking, on the lane with the
//! least outstanding cost. Its cost is its own length and its credit, and it has it from being sent
//! until its answer is taken: so the window bounds what the answers hold in memory, here and at the
//! responder, however slow whoever takes them is.
//!
//! When a lane is lost, what was not answered on it is asked again on others, with the next attempt
//! number. The responder is told on every lane, before anything else, which lanes are void, so that
//! nothing that may still arrive there is taken for new.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::answer::{Answer, Outcome, Partial};
use crate::bounded::List;
use crate::codec::encode;
use crate::frame::{Flags, Frame, FrameKind, Header, Outgoing, RequestId};
use crate::grammar::Grammar;
use crate::greeting::Capacity;
use crate::io_fault::FaultKind;
use crate::lane::LaneNumber;
use crate::limits::{CLOSED_HANDLES, HEADER_BYTES, LANES_LOST, REQUESTS_WAITING};
use crate::request::{Handle, Request, ask};
use crate::response::Piece;
use crate::violation::Violation;

mod handles;

use handles::Handles;

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
    /// What is not sent. The smallest number goes first, so what is asked again goes before the rest.
    waiting: BTreeSet<RequestId>,
    lanes: BTreeMap<LaneNumber, Lane>,
    lost: Vec<LaneNumber>,
    handles: Handles,
    answered: VecDeque<Answered>,
    sent_count: u32,
    used_bytes: u64,
}

#[derive(Debug, Default)]
struct Lane {
    outbox: VecDeque<Outgoing>,
    used_bytes: u64,
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
    id: RequestId,
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
            waiting: BTreeSet::new(),
            lanes: BTreeMap::new(),
            lost: Vec::new(),
            handles: Handles::default(),
            answered: VecDeque::new(),
            sent_count: 0,
            used_bytes: 0,
        }
    }

    /// Asks. The number that comes back names the answer, and the handle if the request opens one:
    /// that may be used at once. Handles are better closed by [`close`](Self::close), which waits for
    /// those that use them.
    pub fn start(&mut self, request: Request) -> Result<RequestId, StartError> {
        if self.waiting.len() >= REQUESTS_WAITING {
            return Err(StartError::Full);
        }
        if request.opens().is_some() && self.handles.count() >= self.capacity.handles as usize {
            return Err(StartError::TooManyHandles);
        }
        if let Some((handle, _)) = request.uses() {
            self.handles.can_use(handle).then_some(()).ok_or(StartError::NoHandle)?;
        }
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
        let progress = Progress::none(&request);
        let asked = Asked { request, credit, cost, attempt: 0, lane: None, whose, progress };
        self.asked.insert(id, asked);
        self.waiting.insert(id);
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
                self.waiting.remove(&id);
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
        let Some(place) = self.answered.iter().position(|answered| answered.id == id) else {
            return;
        };
        if let Some(Answered { cost, outcome, .. }) = self.answered.remove(place) {
            self.used_bytes -= cost;
            if let Ok(Answer::Opened(_)) = outcome {
                self.handles.close(Handle(id));
            }
            self.send_what_fits();
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
        self.sent_count -= 1;
        if asked.whose == Whose::Nobodys && !matches!(asked.request, Request::Close { .. }) {
            if let Some(asked) = self.asked.remove(&id) {
                self.give_up(id, &asked);
            }
            return Ok(());
        }
        asked.progress = Progress::none(&asked.request);
        self.waiting.insert(id);
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

    /// Takes a frame that a lane brought. What comes from a lane that is lost is passed over.
    pub fn handle_frame(&mut self, lane: LaneNumber, frame: Frame) -> Result<(), Violation> {
        if !self.lanes.contains_key(&lane) {
            return Ok(());
        }
        let Header { id, attempt, flags, .. } = frame.header;
        let length = frame.wire_bytes();
        let is_last = flags.contains(Flags::LAST);
        let piece = Piece::from_frame(frame)?;
        let asked = self
            .asked
            .get_mut(&id)
            .filter(|asked| asked.lane == Some(lane) && asked.attempt == attempt);
        let asked = asked.ok_or(Violation::Unasked(id))?;
        let progress = &mut asked.progress;
        progress.received_bytes += length;
        if progress.received_bytes > asked.credit {
            return Err(Violation::OverCredit(id));
        }
        let checked = progress.grammar.take(&piece, is_last);
        checked.map_err(|why| Violation::WrongResponse { id, why })?;
        if asked.whose == Whose::Callers {
            progress.partial.add(piece);
        } else if let Piece::Reply(crate::response::Reply::Opened(_)) = piece {
            progress.partial.add(piece);
        }
        if is_last {
            self.complete(id, lane);
        }
        Ok(())
    }

    /// The last piece of a response has come.
    fn complete(&mut self, id: RequestId, lane: LaneNumber) {
        let Some(mut asked) = self.asked.remove(&id) else { return };
        let cost = asked.cost;
        self.sent_count -= 1;
        if let Some(lane) = self.lanes.get_mut(&lane) {
            lane.used_bytes -= cost;
        }
        let empty = Progress::none(&asked.request);
        let outcome = std::mem::replace(&mut asked.progress, empty).partial.finish();
        let outcome = repeated(outcome, &asked);
        self.settle_handles(id, &asked, matches!(outcome, Ok(Answer::Opened(_))));
        match asked.whose {
            Whose::Callers => {
                self.answered.push_back(Answered { id, outcome, cost });
            }
            Whose::Nobodys => self.used_bytes -= cost,
        }
        self.send_what_fits();
    }

    /// What the end of a request means for the handle that it used, or opened.
    fn settle_handles(&mut self, id: RequestId, asked: &Asked, is_open: bool) {
        self.handles.answered(id, &asked.request, is_open);
        if asked.whose == Whose::Nobodys && is_open {
            self.handles.close(Handle(id));
        }
    }

    /// The next answer. Its part of the window is free from now on.
    pub fn poll_answer(&mut self) -> Option<(RequestId, Outcome)> {
        let Answered { id, outcome, cost } = self.answered.pop_front()?;
        self.used_bytes -= cost;
        self.send_what_fits();
        Some((id, outcome))
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
        while let Some(&id) = self.waiting.first() {
            let Some(asked) = self.asked.get_mut(&id) else {
                self.waiting.remove(&id);
                continue;
            };
            let cost = asked.cost;
            let has_room = self.sent_count < self.capacity.requests
                && self.used_bytes + cost <= self.capacity.window_bytes;
            let bound = asked.request.uses().and_then(|(handle, _)| self.handles.lane(handle));
            let lane = bound.or_else(|| {
                let least = self.lanes.iter().min_by_key(|(_, lane)| lane.used_bytes);
                least.map(|(number, _)| *number)
            });
            let Some(number) = lane.filter(|_| has_room) else { return };
            let Some(lane) = self.lanes.get_mut(&number) else { return };
            let header = Header { id, attempt: asked.attempt, ..Header::plain(FrameKind::Request) };
            lane.outbox.push_back(Outgoing::frame(header, &ask(asked.credit, &asked.request)));
            lane.used_bytes += cost;
            asked.lane = Some(number);
            self.used_bytes += cost;
            self.sent_count += 1;
            self.handles.sent(id, number);
            self.waiting.remove(&id);
        }
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
