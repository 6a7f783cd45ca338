//! Requests of the other side, and the threads that run them.
//!
//! There are as many threads as there was work at a time, up to a limit. Who hands in a piece waits
//! while much is queued on its lane: but never more than half of the threads, so that a lane which
//! stalls does not stall the others. What the rest of them queue is bounded by the window.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Thread;

use model::settings::Method;
use wire::{
    Delivery, End, FaultKind, Features, Handle, IoFault, Packed, Packer, Packing, Piece, Reply,
    Request, Respond, RespondError, Responder, Serve, Ticket, Work,
};

use super::state::{Deferred, Shared, State};

/// So much is queued on a lane before who serves waits: the next writes of it, and as much again.
pub(super) const QUEUED_BYTES: usize = 1024 * 1024;

/// The threads that serve.
pub(super) struct Crew {
    pub(super) serve: Option<Arc<dyn Serve>>,
    /// How content is compressed, if it is.
    pub(super) content: Option<Method>,
    limit: usize,
    count: usize,
    /// Those that have nothing to do.
    idle: Vec<Thread>,
    /// How many are on their way to look for work. While one is, no other is called: it calls the next
    /// if there is more work then. So short work is done by few, and they need not be woken for each.
    coming: usize,
    /// How many wait until less is queued on a lane.
    held: usize,
    /// Somebody drops what handles stand for. The same handles may be opened anew by what comes
    /// next, so nobody takes that meanwhile.
    is_dropping: bool,
    running: HashSet<Ticket>,
}

impl Crew {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            serve: None,
            content: None,
            limit: limit.max(1),
            count: 0,
            idle: Vec::new(),
            coming: 0,
            held: 0,
            is_dropping: false,
            running: HashSet::new(),
        }
    }

    fn is_wanted(&self, responder: &Responder) -> bool {
        let is_work = self.coming == 0 && responder.work_count() > 0;
        self.serve.is_some() && !self.is_dropping && is_work
    }

    /// Wakes one if there is work for it.
    pub(super) fn wake(&mut self, responder: &Responder, wakes: &mut Vec<Thread>) {
        if self.is_wanted(responder)
            && let Some(thread) = self.idle.pop()
        {
            self.coming += 1;
            wakes.push(thread);
        }
    }

    /// Whether there is to be one more thread, which is counted from now on.
    pub(super) fn hires(&mut self, responder: &Responder) -> bool {
        let hires = self.is_wanted(responder) && self.count < self.limit;
        self.count += usize::from(hires);
        self.coming += usize::from(hires);
        hires
    }

    /// The system gave no thread; true if there is none at all.
    pub(super) fn not_hired(&mut self) -> bool {
        self.count -= 1;
        self.coming -= 1;
        self.count == 0
    }

    /// The session is over: what runs is to come to its end.
    pub(super) fn dismiss(&mut self, deferred: &mut Deferred) {
        self.coming += self.idle.len();
        deferred.wakes.append(&mut self.idle);
        deferred.cancels.extend(self.running.iter().copied());
    }

    /// A thread looks for work.
    fn comes(&mut self, me: &Thread, seat: Seat) {
        match seat {
            Seat::Idle => {}
            Seat::Ran(ticket) => {
                self.running.remove(&ticket);
            }
            Seat::Called => {
                // One that is idle still woke up by itself.
                let before = self.idle.len();
                self.idle.retain(|thread| thread.id() != me.id());
                self.coming -= usize::from(self.idle.len() == before);
            }
        }
    }
}

/// What a thread that looks for work has done before.
#[derive(Clone, Copy)]
enum Seat {
    /// It waited, or was started, and is counted among those that come.
    Called,
    /// It ran a request.
    Ran(Ticket),
    /// Neither.
    Idle,
}

/// What a thread has taken up.
#[derive(Default)]
struct Job {
    /// To be dropped before all else.
    drops: Vec<Handle>,
    cancels: Vec<Ticket>,
    run: Option<(Ticket, Request)>,
    packing: Packing,
}

/// What a thread of the crew does, until the session is over.
pub(super) fn serve(shared: &Shared) {
    let mut seat = Seat::Called;
    let mut packer = Packer::default();
    while let Some((serve, job)) = next(shared, seat) {
        for ticket in job.cancels {
            serve.cancel(ticket);
        }
        if !job.drops.is_empty() {
            job.drops.into_iter().for_each(|handle| serve.drop_handle(handle));
            shared.change(|state| state.crew.is_dropping = false);
        }
        seat = Seat::Idle;
        if let Some((ticket, request)) = job.run {
            seat = Seat::Ran(ticket);
            packer.set(job.packing);
            let mut respond = Pieces::new(shared, ticket, &mut packer);
            // Its panic is told by the hook; whoever asked is told here, and others are served on.
            let ran = catch_unwind(AssertUnwindSafe(|| serve.run(ticket, request, &mut respond)));
            if !respond.is_answered {
                let text = match ran {
                    Ok(()) => "it was not answered",
                    Err(_) => "the server panicked",
                };
                let fault = Reply::Fault(IoFault::new(FaultKind::Other, text));
                // No more can be done where not even this is taken.
                respond.respond(fault.into(), End::Last).ok();
            }
        }
    }
}

fn next(shared: &Shared, mut seat: Seat) -> Option<(Arc<dyn Serve>, Job)> {
    shared.wait_until(|state, me| {
        state.crew.comes(me, seat);
        if state.over.is_some() {
            return Some(None);
        }
        let mut job = if state.crew.is_dropping { Job::default() } else { state.take_work() };
        let taken = state.greeting.as_ref().map_or(Features::empty(), |hello| hello.features);
        job.packing = Packing { taken, content: state.crew.content };
        let serve = state.crew.serve.clone();
        if job.run.is_none() && job.drops.is_empty() && job.cancels.is_empty() {
            state.crew.idle.push(me.clone());
            seat = Seat::Called;
            return None;
        }
        Some(serve.map(|serve| (serve, job)))
    })
}

impl State {
    fn take_work(&mut self) -> Job {
        let mut job = Job::default();
        while let Some(work) = self.responder.poll_work() {
            match work {
                Work::Drop(handle) => job.drops.push(handle),
                Work::Cancel(ticket) => job.cancels.push(ticket),
                Work::CloseLane(number) => self.close_lane(number),
                Work::Run(ticket, request) => {
                    self.crew.running.insert(ticket);
                    job.run = Some((ticket, request));
                    break;
                }
            }
        }
        self.crew.is_dropping = !job.drops.is_empty();
        job
    }
}

/// Where the pieces of one response go.
struct Pieces<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    packer: &'a mut Packer,
    is_worth_packing: bool,
    is_answered: bool,
}

impl<'a> Pieces<'a> {
    fn new(shared: &'a Shared, ticket: Ticket, packer: &'a mut Packer) -> Self {
        Self { shared, ticket, packer, is_worth_packing: true, is_answered: false }
    }
}

impl Respond for Pieces<'_> {
    fn respond(&mut self, piece: Piece, end: End) -> Result<Delivery, RespondError> {
        // Here and not where it is sent: there are many who serve, and no lock is held.
        let mut packed = Some(self.packer.pack(piece, self.is_worth_packing));
        let (ticket, mut is_held) = (self.ticket, false);
        let delivered = self.shared.wait_until(|state, me| {
            let lane = state.responder.lane_of(ticket).filter(|_| state.over.is_none());
            let State { responder, lanes, crew, .. } = state;
            if std::mem::take(&mut is_held) {
                crew.held -= 1;
                for lane in lanes.values_mut() {
                    lane.let_go(me);
                }
            }
            let Some(number) = lane else { return Some(Ok(Delivery::Stale)) };
            let is_full = responder.queued_bytes(number) >= QUEUED_BYTES;
            if is_full && (crew.held + 1) * 2 <= crew.limit {
                let lane = lanes.values_mut().find(|lane| lane.usable() == Some(number));
                if let Some(lane) = lane {
                    lane.held.push(me.clone());
                    crew.held += 1;
                    is_held = true;
                    return None;
                }
            }
            packed.take().map(|packed: Packed| responder.respond(ticket, packed, end))
        });
        self.is_answered |=
            matches!(delivered, Ok(Delivery::Stale)) || (delivered.is_ok() && end == End::Last);
        delivered
    }

    fn leave_as_is(&mut self) {
        self.is_worth_packing = false;
    }
}
