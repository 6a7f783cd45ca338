//! A session within one process: a requester and a responder, joined by a lane in memory, and a server
//! that threads run. So what is asked goes through all that it goes through between two hosts.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use wire::{
    Answer, Ask, AskError, Capacity, Delivery, End, Features, Handle, Hello, LaneEnd, LaneNumber,
    Link, Opening, Outcome, Patience, Piece, Request, RequestId, Requester, Respond, RespondError,
    Responder, Serve, SessionId, System, Text, Ticket, Work, settled,
};

use model::Settings;
use model::settings::{Symlinks, Xattrs};
use sched::Cancel;

use crate::endpoint::serve::{Server, Terms};
use crate::endpoint::{Endpoint, RemoteSource};

const LANE: LaneNumber = LaneNumber::FIRST;
const NOW: Duration = Duration::ZERO;

/// As many requests run at once.
const SERVING: usize = 4;

/// An endpoint for a job that wants to know all, over a session of its own.
pub(in crate::endpoint) fn endpoint() -> Endpoint {
    let session = Arc::new(Session::new(Capacity::default()));
    Endpoint::remote(&source(&session), &wanting_all(), &Cancel::new())
}

/// A source that is asked through a session.
pub(crate) fn source(session: &Arc<Session>) -> RemoteSource {
    let directory = crate::pipeline::absolute(b".").into();
    let ask = Arc::clone(session) as Arc<dyn Ask>;
    let capacity = session.0.capacity;
    RemoteSource { ask, system: System::HERE, directory, capacity, is_pulled: true }
}

/// Settings of a job that wants to know all of its entries.
pub(super) fn wanting_all() -> Settings {
    let mut settings = Settings::default();
    settings.links.symlinks = Symlinks::Keep;
    settings.preserve.acls = true;
    settings.preserve.xattrs = Xattrs::Keep;
    settings
}

/// Asks a server in the same process. The session ends when it is dropped.
pub(crate) struct Session(Arc<Shared>);

struct Shared {
    machines: Mutex<Machines>,
    /// Something has happened to the machines.
    bell: Condvar,
    server: Server,
    capacity: Capacity,
    /// Is shown each request before that is asked.
    witness: Mutex<Option<Witness>>,
    /// Changes pieces of responses before they are sent.
    faulty: Mutex<Option<Faulty>>,
}

type Witness = Box<dyn FnMut(&Request) + Send>;

type Faulty = Box<dyn FnMut(Piece) -> Piece + Send>;

struct Machines {
    requester: Requester,
    near: Link,
    far: Link,
    responder: Responder,
    answers: HashMap<RequestId, Outcome>,
    asked: Vec<Request>,
    /// In which round trip each request was asked that nobody has waited for.
    trips: HashMap<RequestId, u64>,
    trip: u64,
    /// It ends instead of taking more than so many requests.
    ends_after: Option<(usize, &'static str)>,
    over: Option<Box<str>>,
}

impl Session {
    /// A session whose requester may ask for all.
    #[expect(clippy::disallowed_methods, reason = "it stands for another process")]
    pub(crate) fn new(capacity: Capacity) -> Self {
        let hello = Hello {
            version: Text::new("test"),
            system: System::HERE,
            features: Features::empty(),
            capacity,
        };
        let opening = Opening { session: SessionId([7; 16]), lane: LANE };
        let link = |end| Link::new(end, &hello, Patience::default(), NOW);
        let mut machines = Machines {
            requester: Requester::new(capacity, u64::MAX),
            near: link(LaneEnd::Opener(opening)),
            far: link(LaneEnd::FirstAcceptor),
            responder: Responder::new(capacity),
            answers: HashMap::new(),
            asked: Vec::new(),
            trips: HashMap::new(),
            trip: 0,
            ends_after: None,
            over: None,
        };
        machines.requester.lane_added(LANE).unwrap();
        machines.responder.lane_added(LANE).unwrap();
        let terms = Terms::trusting();
        let (machines, bell) = (Mutex::new(machines), Condvar::new());
        let shared = Arc::new(Shared {
            machines,
            bell,
            server: Server::new(terms),
            capacity: capacity.clamped(),
            witness: Mutex::default(),
            faulty: Mutex::default(),
        });
        for _ in 0..SERVING {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.serve());
        }
        Self(shared)
    }

    /// Ends it for this reason.
    pub(crate) fn end(&self, why: &str) {
        self.0.change(|machines| {
            machines.over.get_or_insert_with(|| why.into());
        });
    }

    /// Ends it for this reason when so many requests were asked.
    pub(crate) fn end_after(&self, requests: usize, why: &'static str) {
        let mut machines = self.0.machines.lock();
        machines.asked.clear();
        machines.ends_after = Some((requests, why));
    }

    /// Shows each request to somebody, before it is asked.
    pub(crate) fn show_requests(&self, witness: impl FnMut(&Request) + Send + 'static) {
        *self.0.witness.lock() = Some(Box::new(witness));
    }

    /// Lets each piece of a response be changed on its way.
    pub(crate) fn change_pieces(&self, change: impl FnMut(Piece) -> Piece + Send + 'static) {
        *self.0.faulty.lock() = Some(Box::new(change));
    }

    /// What was asked since this was asked before.
    pub(crate) fn take_asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.0.machines.lock().asked)
    }

    /// How many round trips whoever asked had to wait for, if it was one thread: all that is asked before
    /// it waits is answered in the time that one answer takes.
    pub(super) fn take_round_trips(&self) -> u64 {
        std::mem::take(&mut self.0.machines.lock().trip)
    }

    /// Waits until nothing is under way; says how many handles are open then.
    pub(crate) fn settled_handles(&self) -> usize {
        let mut machines = self.0.machines.lock();
        machines.pump();
        while !machines.requester.is_idle() {
            self.0.bell.wait(&mut machines);
            machines.pump();
        }
        machines.responder.handle_count()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end("the test is over");
    }
}

impl Shared {
    /// Changes the machines, and lets all happen that follows.
    fn change<T>(&self, change: impl FnOnce(&mut Machines) -> T) -> T {
        let mut machines = self.machines.lock();
        let changed = change(&mut machines);
        machines.pump();
        self.bell.notify_all();
        changed
    }

    fn serve(&self) {
        let mut machines = self.machines.lock();
        while machines.over.is_none() {
            match machines.responder.poll_work() {
                Some(Work::Run(ticket, request)) => {
                    MutexGuard::unlocked(&mut machines, || {
                        self.server.run(ticket, request, &mut ToResponder { shared: self, ticket });
                    });
                }
                Some(Work::Drop(handle)) => self.server.drop_handle(handle),
                Some(Work::Cancel(ticket)) => self.server.cancel(ticket),
                Some(Work::CloseLane(_)) => {}
                None => self.bell.wait(&mut machines),
            }
        }
    }
}

impl Machines {
    /// Moves what is to be sent, both ways, and takes the answers.
    fn pump(&mut self) {
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            while let Some(outgoing) =
                self.near.poll_transmit().or_else(|| self.requester.poll_transmit(LANE))
            {
                is_moving = true;
                self.far.receive(&outgoing.parts().concat(), NOW).unwrap();
                while let Some(frame) = self.far.poll_frame() {
                    self.responder.handle_frame(LANE, &frame).unwrap();
                }
            }
            while let Some(outgoing) =
                self.far.poll_transmit().or_else(|| self.responder.poll_transmit(LANE))
            {
                is_moving = true;
                self.near.receive(&outgoing.parts().concat(), NOW).unwrap();
                while let Some(frame) = self.near.poll_frame() {
                    self.requester.handle_frame(LANE, frame).unwrap();
                }
            }
        }
        while let Some((id, outcome)) = self.requester.poll_answer() {
            self.answers.insert(id, outcome);
        }
    }
}

/// Hands pieces to the responder.
struct ToResponder<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Respond for ToResponder<'_> {
    fn respond(&mut self, piece: Piece, end: End) -> Result<Delivery, RespondError> {
        let piece = match &mut *self.shared.faulty.lock() {
            Some(change) => change(piece),
            None => piece,
        };
        self.shared.change(|machines| machines.responder.respond(self.ticket, piece, end))
    }
}

impl Ask for Session {
    fn start(&self, request: Request) -> Result<RequestId, AskError> {
        if let Some(witness) = &mut *self.0.witness.lock() {
            witness(&request);
        }
        self.0.change(|machines| {
            if let Some((_, why)) =
                machines.ends_after.filter(|(most, _)| machines.asked.len() >= *most)
            {
                machines.over.get_or_insert_with(|| why.into());
            }
            if let Some(why) = &machines.over {
                return Err(AskError::Over(why.clone()));
            }
            machines.asked.push(request.clone());
            let id = machines.requester.start(request).map_err(AskError::Start)?;
            let trip = machines.trip;
            machines.trips.insert(id, trip);
            Ok(id)
        })
    }

    fn wait(&self, id: RequestId) -> Result<Answer, AskError> {
        let mut machines = self.0.machines.lock();
        if machines.trips.remove(&id) == Some(machines.trip) {
            machines.trip += 1;
        }
        loop {
            if let Some(outcome) = machines.answers.remove(&id) {
                return settled(outcome);
            }
            if let Some(why) = &machines.over {
                return Err(AskError::Over(why.clone()));
            }
            self.0.bell.wait(&mut machines);
        }
    }

    fn abandon(&self, id: RequestId) {
        self.0.machines.lock().trips.remove(&id);
        self.0.change(|machines| match machines.answers.remove(&id) {
            Some(Ok(Answer::Opened(_) | Answer::Done)) => machines.requester.close(Handle(id)),
            Some(_) => {}
            None => machines.requester.cancel(id),
        });
    }

    fn close(&self, handle: Handle) {
        self.0.change(|machines| machines.requester.close(handle));
    }
}
