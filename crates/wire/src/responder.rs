//! The serving side: which requests are to be run, and what goes back on which lane.
//!
//! It opens nothing and reads nothing; whoever serves the tree takes requests, and hands in the pieces
//! of responses, from as many threads as it likes. A request that names a handle waits until that is
//! open. A response goes back on the lane on which its request came, and if that died nobody wants it
//! any more: the requester asks again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::bounded::List;
use crate::frame::{Flags, Frame, FrameKind, Header, Outgoing, RequestId};
use crate::grammar::Grammar;
use crate::greeting::Capacity;
use crate::io_fault::{FaultKind, IoFault};
use crate::lane::LaneNumber;
use crate::limits::{CREDIT_LEAST_BYTES, FAULT_COST_BYTES, LANES_LOST, SIGNATURES};
use crate::packing::Packed;
use crate::request::{Ask, Handle, HandleKind, Request};
use crate::requester::cost;
use crate::response::{Piece, Reply};
use crate::violation::Violation;

/// Names one attempt at a request, to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The request. What it opens is known by this, too.
    pub id: RequestId,
    /// The attempt.
    pub attempt: u16,
}

/// What the serving side has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Work {
    /// To run a request and answer it. The handle that it names is open. To close handles is never
    /// among them: that comes as [`Work::Drop`].
    Run(Ticket, Request),
    /// To drop what a handle stands for, once the requests are done that use it.
    Drop(Handle),
    /// Nobody waits for the response any more. It is to be ended early, by any piece.
    Cancel(Ticket),
    /// The requester gave up this lane: it is to be closed.
    CloseLane(LaneNumber),
}

/// Whether a piece is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More follows.
    More,
    /// It is the last.
    Last,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It goes out on its lane.
    Queued,
    /// Nobody waits for it: its lane is gone. What the request has opened is to be dropped.
    Stale,
}

/// A piece that cannot be sent. The request is still to be answered, and only by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// The piece does not answer the request, or not there.
    #[error("a response that {0}")]
    Grammar(&'static str),
    /// The request left no room for a frame of this length: a case for [`FaultKind::NoRoom`].
    #[error("a response above its credit")]
    OverCredit {
        /// Length of the frame.
        needed_bytes: u64,
    },
}

/// The serving side of a session.
#[derive(Debug)]
pub struct Responder {
    capacity: Capacity,
    accepted: HashMap<RequestId, Accepted>,
    lanes: BTreeMap<LaneNumber, Outbox>,
    /// Lanes that were lost, or given up by the requester.
    gone: BTreeSet<LaneNumber>,
    handles: HashMap<Handle, Held>,
    /// How many of them are signatures.
    signature_count: usize,
    agenda: VecDeque<Item>,
    /// Requests whose handle is not waited for any more, while they are gone through.
    ready: VecDeque<Ticket>,
    /// Items to run what is not there any more.
    stale_items: usize,
    used_bytes: u64,
}

/// Something to do. Requests lie with what is known of them, so that none is looked for here.
#[derive(Debug)]
enum Item {
    Run(Ticket),
    Drop(Handle),
    Cancel(Ticket),
    CloseLane(LaneNumber),
}

#[derive(Debug)]
struct Accepted {
    lane: LaneNumber,
    attempt: u16,
    /// `None` once somebody runs it.
    request: Option<Request>,
    /// Whether it stands on the agenda, and does not wait for its handle.
    is_on_agenda: bool,
    is_cancelled: bool,
    opens: Option<HandleKind>,
    grammar: Grammar,
    credit_left: u64,
    cost: u64,
}

/// What waits to be sent on a lane.
#[derive(Debug, Default)]
struct Outbox {
    queue: VecDeque<Queued>,
    bytes: usize,
    /// How many of them end a response.
    ends: usize,
}

#[derive(Debug)]
struct Queued {
    outgoing: Outgoing,
    /// What of the window is free once this is sent.
    frees_bytes: u64,
}

#[derive(Debug)]
struct Held {
    kind: HandleKind,
    /// Requests that wait for it to be open; `None` once it is.
    waiting: Option<Vec<Ticket>>,
}

impl Responder {
    /// A responder that takes so much, as its greeting says.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            capacity: capacity.clamped(),
            accepted: HashMap::new(),
            lanes: BTreeMap::new(),
            gone: BTreeSet::new(),
            handles: HashMap::new(),
            signature_count: 0,
            agenda: VecDeque::new(),
            ready: VecDeque::new(),
            stale_items: 0,
            used_bytes: 0,
        }
    }

    /// A lane can be used. One whose number is not new, or void already, is to be closed, and harms no
    /// other.
    pub fn lane_added(&mut self, lane: LaneNumber) -> Result<(), Violation> {
        if self.lanes.contains_key(&lane) || self.gone.contains(&lane) {
            return Err(Violation::ForeignLane(lane));
        }
        self.lanes.insert(lane, Outbox::default());
        Ok(())
    }

    /// A lane is dead, and with it what came on it and is not answered.
    pub fn lane_lost(&mut self, lane: LaneNumber) {
        let Some(outbox) = self.lanes.remove(&lane) else { return };
        self.gone.insert(lane);
        self.used_bytes -= outbox.queue.iter().map(|queued| queued.frees_bytes).sum::<u64>();
        let on_it = self.accepted.iter().filter(|(_, accepted)| accepted.lane == lane);
        let ids: Vec<_> = on_it.map(|(id, _)| *id).collect();
        for id in ids {
            self.forget(id);
        }
    }

    /// Drops a request whose lane is gone.
    fn forget(&mut self, id: RequestId) {
        let Some(accepted) = self.accepted.remove(&id) else { return };
        self.used_bytes -= accepted.cost;
        if accepted.request.is_none() {
            self.agenda.push_back(Item::Cancel(Ticket { id, attempt: accepted.attempt }));
        } else if accepted.is_on_agenda {
            self.leave_stale();
        }
        if accepted.opens.is_some() {
            self.opened(Handle(id), false);
        }
    }

    /// An item on the agenda is void. It is not looked for, but many of them are swept out.
    fn leave_stale(&mut self) {
        const SWEPT: usize = 1024;
        self.stale_items += 1;
        if self.stale_items >= SWEPT && self.stale_items * 2 > self.agenda.len() {
            let accepted = &self.accepted;
            self.agenda.retain(|item| match item {
                Item::Run(ticket) => is_queued(accepted, *ticket),
                Item::Drop(_) | Item::Cancel(_) | Item::CloseLane(_) => true,
            });
            self.stale_items = 0;
        }
    }

    /// Takes a frame that a lane brought. What comes from a lane that is void is passed over.
    pub fn handle_frame(&mut self, lane: LaneNumber, frame: &Frame) -> Result<(), Violation> {
        if !self.lanes.contains_key(&lane) {
            return Ok(());
        }
        match frame.header.kind {
            FrameKind::Request => self.accept(lane, frame),
            FrameKind::Cancel => {
                self.cancel(lane, Ticket { id: frame.header.id, attempt: frame.header.attempt });
                Ok(())
            }
            FrameKind::Void => {
                let void: List<LaneNumber, LANES_LOST> = frame.decode()?;
                for lane in void.into_vec() {
                    self.make_void(lane)?;
                }
                Ok(())
            }
            other => Err(Violation::WrongSide(other)),
        }
    }

    fn make_void(&mut self, lane: LaneNumber) -> Result<(), Violation> {
        if self.gone.contains(&lane) {
            return Ok(());
        }
        if self.gone.len() >= LANES_LOST {
            return Err(Violation::TooManyLanesLost(LANES_LOST));
        }
        self.lane_lost(lane);
        self.gone.insert(lane);
        self.agenda.push_back(Item::CloseLane(lane));
        Ok(())
    }

    fn cancel(&mut self, lane: LaneNumber, ticket: Ticket) {
        // It may be answered already: the two have crossed.
        let Some(accepted) = self.accepted.get_mut(&ticket.id) else { return };
        if accepted.lane != lane || accepted.attempt != ticket.attempt || accepted.is_cancelled {
            return;
        }
        accepted.is_cancelled = true;
        if accepted.request.is_none() {
            self.agenda.push_back(Item::Cancel(ticket));
            return;
        }
        let is_on_agenda = accepted.is_on_agenda;
        self.fault(ticket, FaultKind::Cancelled);
        if is_on_agenda {
            self.leave_stale();
        }
    }

    fn accept(&mut self, lane: LaneNumber, frame: &Frame) -> Result<(), Violation> {
        let Header { id, attempt, .. } = frame.header;
        let Ask { credit, request } = frame.decode()?;
        let cost = cost(frame.body.len(), credit);
        self.check_room(id, &request, credit, cost)?;
        let opens = request.opens();
        let accepted = Accepted {
            lane,
            attempt,
            opens,
            grammar: Grammar::of(&request),
            request: Some(request),
            is_on_agenda: false,
            is_cancelled: false,
            credit_left: credit,
            cost,
        };
        self.accepted.insert(id, accepted);
        self.used_bytes += cost;
        if let Some(kind) = opens {
            // An attempt before may have opened it, and its answer was lost.
            self.drop_handle(Handle(id));
            self.signature_count += usize::from(kind == HandleKind::Signature);
            self.handles.insert(Handle(id), Held { kind, waiting: Some(Vec::new()) });
        }
        self.queue(Ticket { id, attempt });
        Ok(())
    }

    /// Whether a request may come now.
    fn check_room(
        &self,
        id: RequestId,
        request: &Request,
        credit: u64,
        cost: u64,
    ) -> Result<(), Violation> {
        if self.accepted.contains_key(&id) {
            return Err(Violation::IdReused(id));
        }
        if credit < CREDIT_LEAST_BYTES || request.credit().is_none_or(|needed| credit < needed) {
            return Err(Violation::Credit { id, credit });
        }
        if self.accepted.len() >= self.capacity.requests as usize {
            return Err(Violation::TooManyRequests(self.capacity.requests));
        }
        if self.used_bytes.saturating_add(cost) > self.capacity.window_bytes {
            return Err(Violation::OverWindow(self.capacity.window_bytes));
        }
        let is_new = request.opens().is_some() && !self.handles.contains_key(&Handle(id));
        if is_new && self.handles.len() >= self.capacity.handles as usize {
            return Err(Violation::TooManyHandles(self.capacity.handles));
        }
        let is_signature = request.opens() == Some(HandleKind::Signature);
        if is_new && is_signature && self.signature_count >= SIGNATURES {
            return Err(Violation::TooManySignatures(SIGNATURES));
        }
        if request.handles().any(|handle| handle.0 >= id) {
            return Err(Violation::FutureHandle(id));
        }
        if let Request::Close { handles } = request {
            let held = |handle: &&Handle| self.handles.get(handle);
            let is_opening = |held: &Held| held.waiting.is_some();
            if handles.as_slice().iter().filter_map(|handle| held(&handle)).any(is_opening) {
                return Err(Violation::ClosedEarly(id));
            }
        }
        Ok(())
    }

    /// Puts a request on the agenda, at once or when its handle is open.
    fn queue(&mut self, ticket: Ticket) {
        let Some(accepted) = self.accepted.get_mut(&ticket.id) else { return };
        let Some(request) = &accepted.request else { return };
        if let Request::Close { handles } = request {
            for handle in handles.clone().into_vec() {
                self.drop_handle(handle);
            }
            return self.answer(ticket, Reply::Done);
        }
        if let Some((handle, kind)) = request.uses() {
            match self.handles.get_mut(&handle) {
                None => return self.fault(ticket, FaultKind::NoHandle),
                Some(held) if held.kind != kind => {
                    return self.fault(ticket, FaultKind::WrongHandle);
                }
                Some(Held { waiting: Some(waiting), .. }) => return waiting.push(ticket),
                Some(Held { waiting: None, .. }) => {}
            }
        }
        for handle in request.signatures() {
            match self.handles.get(handle) {
                Some(Held { kind: HandleKind::Signature, waiting: None }) => {}
                Some(Held { waiting: None, .. }) => {
                    return self.fault(ticket, FaultKind::WrongHandle);
                }
                _ => return self.fault(ticket, FaultKind::NoHandle),
            }
        }
        accepted.is_on_agenda = true;
        self.agenda.push_back(Item::Run(ticket));
    }

    fn drop_handle(&mut self, handle: Handle) {
        if self.forget_handle(handle).is_some_and(|held| held.waiting.is_none()) {
            self.agenda.push_back(Item::Drop(handle));
        }
    }

    fn forget_handle(&mut self, handle: Handle) -> Option<Held> {
        let held = self.handles.remove(&handle)?;
        self.signature_count -= usize::from(held.kind == HandleKind::Signature);
        Some(held)
    }

    fn fault(&mut self, ticket: Ticket, kind: FaultKind) {
        let text = match kind {
            FaultKind::NoHandle => "the handle is not open",
            FaultKind::WrongHandle => "the handle is of another kind",
            _ => "the request was cancelled",
        };
        self.answer(ticket, Reply::Fault(IoFault::new(kind, text)));
    }

    /// Answers for the serving side what it need not see.
    fn answer(&mut self, ticket: Ticket, reply: Reply) {
        let sent = self.respond(ticket, reply, End::Last);
        debug_assert!(sent.is_ok(), "any request has room for that");
    }

    /// What is to be done next.
    pub fn poll_work(&mut self) -> Option<Work> {
        while let Some(item) = self.agenda.pop_front() {
            match item {
                Item::Drop(handle) => return Some(Work::Drop(handle)),
                Item::Cancel(ticket) => return Some(Work::Cancel(ticket)),
                Item::CloseLane(lane) => return Some(Work::CloseLane(lane)),
                Item::Run(ticket) => {
                    let accepted = self.accepted.get_mut(&ticket.id);
                    let accepted = accepted.filter(|it| it.attempt == ticket.attempt);
                    if let Some(request) = accepted.and_then(|it| it.request.take()) {
                        return Some(Work::Run(ticket, request));
                    }
                    self.stale_items = self.stale_items.saturating_sub(1);
                }
            }
        }
        None
    }

    /// How often [`poll_work`](Self::poll_work) has something.
    pub fn work_count(&self) -> usize {
        self.agenda.len().saturating_sub(self.stale_items)
    }

    /// Hands in a piece of a response.
    ///
    /// Whoever hands in that something is open keeps it from now on, unless that is stale; from the
    /// moment that this returns, it may be used, or be dropped again.
    pub fn respond(
        &mut self,
        ticket: Ticket,
        piece: impl Into<Packed>,
        end: End,
    ) -> Result<Delivery, RespondError> {
        let (packed, is_last) = (piece.into(), end == End::Last);
        let piece = &packed.piece;
        let Ticket { id, attempt } = ticket;
        let accepted = self.accepted.get_mut(&id).filter(|it| it.attempt == attempt);
        let Some(accepted) = accepted else { return Ok(Delivery::Stale) };
        accepted.grammar.take(piece, is_last).map_err(RespondError::Grammar)?;
        // A fault must always be possible, after whatever came before.
        let reserve = match piece {
            Piece::Reply(Reply::Fault(_)) => 0,
            _ => FAULT_COST_BYTES,
        };
        // What is opened by nothing but being kept is answered by no more than that it is.
        let is_opened =
            matches!(piece, Piece::Reply(Reply::Opened(_) | Reply::OpenedImage(_) | Reply::Done));
        let flags = if is_last { Flags::LAST } else { Flags::empty() };
        let header = Header { flags, attempt, id, ..Header::plain(FrameKind::Response) };
        let (outgoing, byte_count) = packed.into_outgoing(header);
        let needed_bytes = byte_count as u64;
        if needed_bytes + reserve > accepted.credit_left {
            accepted.grammar = Grammar::only_a_fault();
            return Err(RespondError::OverCredit { needed_bytes });
        }
        accepted.credit_left -= needed_bytes;
        let (lane, opens) = (accepted.lane, accepted.opens);
        let frees_bytes = if is_last { accepted.cost } else { 0 };
        match self.lanes.get_mut(&lane) {
            Some(outbox) => {
                outbox.bytes += outgoing.byte_count();
                outbox.ends += usize::from(is_last);
                outbox.queue.push_back(Queued { outgoing, frees_bytes });
            }
            None => self.used_bytes -= frees_bytes,
        }
        if is_last {
            self.accepted.remove(&id);
            if opens.is_some() {
                self.opened(Handle(id), is_opened);
            }
        }
        Ok(Delivery::Queued)
    }

    /// A handle is open, or could not be opened: those that wait for it go on. Where one of them comes to
    /// its end by that, and others wait for it, they follow in turn and not within one another: the peer
    /// says how many there are. Test: `a_chain_of_handles_needs_no_stack`.
    fn opened(&mut self, handle: Handle, is_open: bool) {
        let Some(held) = self.handles.get_mut(&handle) else { return };
        let waiting = held.waiting.take().unwrap_or_default();
        if !is_open {
            self.forget_handle(handle);
        }
        let is_first = self.ready.is_empty();
        self.ready.extend(waiting);
        if !is_first {
            return;
        }
        while let Some(&ticket) = self.ready.front() {
            self.queue(ticket);
            self.ready.pop_front();
        }
    }

    /// The next bytes for a lane.
    pub fn poll_transmit(&mut self, lane: LaneNumber) -> Option<Outgoing> {
        let outbox = self.lanes.get_mut(&lane)?;
        let queued = outbox.queue.pop_front()?;
        outbox.bytes -= queued.outgoing.byte_count();
        outbox.ends -= usize::from(queued.frees_bytes > 0);
        self.used_bytes -= queued.frees_bytes;
        Some(queued.outgoing)
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something that is worth sending: the end of a
    /// response, or much. With less nobody can begin anything, and the rest of it follows soon.
    pub fn has_outgoing(&self, lane: LaneNumber) -> bool {
        const MUCH_BYTES: usize = 64 * 1024;
        let outbox = self.lanes.get(&lane);
        outbox.is_some_and(|outbox| outbox.ends > 0 || outbox.bytes >= MUCH_BYTES)
    }

    /// Bytes that wait to be sent on a lane. Whoever serves may wait while it is much.
    pub fn queued_bytes(&self, lane: LaneNumber) -> usize {
        self.lanes.get(&lane).map_or(0, |outbox| outbox.bytes)
    }

    /// The lane on which a response goes back; `None` if nobody waits for it.
    pub fn lane_of(&self, ticket: Ticket) -> Option<LaneNumber> {
        let accepted = self.accepted.get(&ticket.id)?;
        (accepted.attempt == ticket.attempt).then_some(accepted.lane)
    }

    /// Bytes of frames that a response may still have.
    pub fn credit_left(&self, ticket: Ticket) -> u64 {
        let accepted = self.accepted.get(&ticket.id);
        let accepted = accepted.filter(|accepted| accepted.attempt == ticket.attempt);
        accepted.map_or(0, |accepted| accepted.credit_left)
    }

    /// Handles that are open, or about to be.
    pub fn handle_count(&self) -> usize {
        self.handles.len()
    }

    /// Cost of all requests whose response is not sent.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }
}

/// Whether a request is there that nobody runs.
fn is_queued(accepted: &HashMap<RequestId, Accepted>, ticket: Ticket) -> bool {
    let it = accepted.get(&ticket.id).filter(|it| it.attempt == ticket.attempt);
    it.is_some_and(|it| it.request.is_some())
}

#[cfg(test)]
mod tests;
