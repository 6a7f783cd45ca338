//! A session: the machines of `wire`, joined by threads over lanes.
//!
//! ```text
//!    who asks              who serves            who talks and hears
//!        |  Ask                |  Serve                 |
//!        +---------------------+------------------------+
//!                            State                  one lock, under which nobody waits
//!        +-----------+---------+---+-----------+
//!     reader      writer        reader      writer       two threads for each lane, and
//!        +--- lane 0 -+            +--- lane 1 -+         one that looks at the clock
//! ```
//!
//! Whoever waits stands on a list of those that wait for the same thing, and is parked. What changes
//! the state takes off the lists those whom it concerns, and wakes them once the lock is free: so no
//! wake-up is lost, and nobody is woken for what is another's.
//!
//! | the controller of a pull | the agent of it |
//! |---|---|
//! | [`open`](Session::open), [`begin`](Session::begin) | [`accept`](Session::accept), [`hear`](Session::hear) until it is told to begin |
//! | [`asker`](Session::asker), for its engine | [`serve`](Session::serve), and `hear` until there is nothing more |
//! | [`bye`](Session::bye) | |
//!
//! In a push it is the agent that asks, and tells [`event`](Session::event)s,
//! [`progress`](Session::progress) and how it [`ended`](Session::ended) before its `bye`; the
//! controller serves, and hears that.
//!
//! A session ends once, by one [`Over`], for all who use it: whatever they wait for is answered by
//! that. Dropping the session ends it and its threads.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use model::settings::Method;
use wire::{
    Ask, Capacity, Control, ControlError, DirectTalk, EventBytes, Failure, FailureKind, Features,
    Hello, LaneEnd, LaneNumber, Opening, OutcomeBytes, Patience, ProgressBytes, Role, Serve,
    SessionId, System, Task, Text, Told,
};

use crate::further::{Bounds, Notice, Plan, Whereabouts};
use crate::lane::Lane;
use crate::pace::Pace;

/// What all threads of a session share.
mod state;

/// The threads of a lane.
mod lanes;

/// What comes on them.
mod arrivals;

/// Lanes beside the first.
mod further;

/// Many frames in one write.
mod batch;

/// Time: keepalives, silence, and how long a last word may take.
mod clock;

/// Requests of this side.
mod asking;

/// Requests of the other side.
mod serving;

/// How a session ends.
mod ending;

pub use ending::{Cause, Over};

use ending::Farewell;
use state::Shared;

/// How long a session takes at most to end its threads.
const TO_JOIN: Duration = Duration::from_secs(4);

/// What a session has to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What this side says of itself.
    pub hello: Hello,
    /// How long it waits before it acts.
    pub patience: Patience,
    /// What requests of this side may have outstanding; never more than the other side takes.
    pub window_bytes: u64,
    /// As agent: the longest job that it takes.
    pub most_work_bytes: u64,
    /// Most threads that serve requests of the other side.
    pub servers: usize,
    /// What the other side is called in messages, as "the agent on web1".
    pub peer: String,
}

impl Setup {
    /// What suits a program of this version.
    pub fn new(version: &str, peer: &str) -> Self {
        // Most of a request is waiting for a disk or a server: more threads than cores pay off.
        let servers = thread::available_parallelism().map_or(8, |cores| (2 * cores.get()).max(8));
        let capacity = Capacity::default();
        Self {
            hello: Hello {
                version: Text::new(version),
                system: System::HERE,
                features: Features::HERE,
                capacity,
            },
            patience: Patience::default(),
            window_bytes: capacity.window_bytes,
            most_work_bytes: wire::limits::WORK_BYTES,
            servers,
            peer: peer.to_owned(),
        }
    }
}

/// Bytes that went over the lanes of a session, with all that stands around content; what ssh or TLS
/// make of them is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To the other side.
    pub sent_bytes: u64,
    /// From it.
    pub received_bytes: u64,
}

/// A message cannot be told to the other side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// Not at this time, or not by this side.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The session is over.
    #[error(transparent)]
    Over(#[from] Over),
}

/// One end of a session. It ends, with all its threads, when this is dropped.
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// The controller's end, over the lane to an agent that has just been started.
    pub fn open(lane: Lane, setup: Setup) -> io::Result<Self> {
        let opening = Opening { session: random_id(), lane: LaneNumber::FIRST };
        Self::new(lane, setup, Role::Controller, LaneEnd::Opener(opening))
    }

    /// The agent's end, over the lane to the controller that has started it.
    pub fn accept(lane: Lane, setup: Setup) -> io::Result<Self> {
        Self::new(lane, setup, Role::Agent, LaneEnd::FirstAcceptor)
    }

    fn new(lane: Lane, setup: Setup, role: Role, end: LaneEnd) -> io::Result<Self> {
        // From here on it is dropped as a whole.
        let session = Self { shared: Shared::new(setup, role) };
        if let LaneEnd::Opener(opening) = end {
            session.shared.change(|state| state.session = Some(opening.session));
        }
        clock::start(&session.shared)?;
        let patience = session.shared.setup.patience;
        lanes::start(&session.shared, lane, end, patience)?;
        Ok(session)
    }

    /// The number of the session; an agent learns it when the first lane is greeted.
    pub fn id(&self) -> Option<SessionId> {
        self.shared.change(|state| state.session)
    }

    /// Waits until the other side has said what it is.
    pub fn greeted(&self) -> Result<Hello, Over> {
        self.shared.wait_until(|state, me| {
            let greeting = state.greeting.clone().map(Ok);
            let found = greeting.or_else(|| state.over.clone().map(Err));
            if found.is_none() {
                state.wait_to_hear(me);
            }
            found
        })
    }

    /// True once the other side has said what it is.
    pub fn is_greeted(&self) -> bool {
        self.shared.change(|state| state.greeting.is_some())
    }

    /// How much went over all lanes until now.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            sent_bytes: self.shared.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.shared.received_bytes.load(Ordering::Relaxed),
        }
    }

    /// A further lane. Who opens it says its number, the other side learns of it. It is used as soon
    /// as both sides have greeted each other on it, and if it ends, the session goes on.
    ///
    /// Fails where no threads can be started for it, where there are too many lanes, and where the
    /// session has no number yet.
    pub fn add_lane(&self, lane: Lane, number: Option<LaneNumber>) -> io::Result<()> {
        let session = self.id().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let end = match number {
            Some(lane) => LaneEnd::Opener(Opening { session, lane }),
            None => LaneEnd::Acceptor(session),
        };
        lanes::start(&self.shared, lane, end, self.shared.setup.patience)
    }

    /// As controller, brings up lanes beside the first as planned; as agent, without a plan, as it is
    /// told. That goes on while the session does its work, and if it does not succeed, the user is
    /// told by a notice, and all goes over the first.
    ///
    /// Fails where the system has no random numbers, descriptors or threads to give.
    pub fn widen(
        &self,
        plan: Option<Plan>,
        whereabouts: Whereabouts,
        notice: Notice,
    ) -> io::Result<()> {
        let lead = plan.map_or(further::Lead::There(None), further::Lead::Here);
        further::start(&self.shared, lead, whereabouts, notice)
    }

    /// As agent: brings up lanes beside the first as it is told by one that is not its controller, within
    /// these bounds.
    ///
    /// Fails where the system has no random numbers, descriptors or threads to give.
    pub fn widen_within(&self, bounds: Bounds, whereabouts: Whereabouts) -> io::Result<()> {
        let lead = further::Lead::There(Some(bounds));
        further::start(&self.shared, lead, whereabouts, Box::new(|_| {}))
    }

    /// How many lanes can be used.
    pub fn lane_count(&self) -> usize {
        self.shared.change(|state| state.lane_count())
    }

    /// As controller: tells the agent what to do, once.
    pub fn begin(&self, task: Task, work: &[u8]) -> Result<(), TellError> {
        self.tell(|control| control.begin(task, work))
    }

    /// As controller: asks the agent to stop.
    pub fn cancel(&self) -> Result<(), TellError> {
        self.tell(Control::cancel)
    }

    /// As agent: tells what happened; waits while the controller has no room for it.
    pub fn event(&self, event: EventBytes) -> Result<(), TellError> {
        let mut event = Some(event);
        self.shared.wait_until(|state, me| {
            if let Some(over) = &state.over {
                return Some(Err(over.clone().into()));
            }
            let told = event.take_if(|event| state.control.has_room_for(event));
            let told = told.map(|event| state.control.event(event).map_err(TellError::from));
            if told.is_none() {
                state.wait_to_tell(me);
            }
            told
        })
    }

    /// As agent: tells how far it is. Only the newest counts.
    pub fn progress(&self, progress: ProgressBytes) -> Result<(), TellError> {
        self.tell(|control| control.progress(progress))
    }

    /// As agent: tells how the work ended.
    pub fn ended(&self, outcome: OutcomeBytes) -> Result<(), TellError> {
        self.tell(|control| control.ended(outcome))
    }

    /// Tells the other side something of a session between two agents.
    pub fn talk_of_direct(&self, talk: DirectTalk) -> Result<(), TellError> {
        self.tell(|control| control.talk_of_direct(talk))
    }

    /// Waits for what the other side tells of a session between two agents, at most so long and until this
    /// one is over.
    pub fn hear_of_direct(&self, limit: Duration) -> Option<DirectTalk> {
        let look = |state: &mut state::State, me: &thread::Thread| {
            let talk = state.control.poll_direct_talk();
            if talk.is_none() && state.over.is_none() {
                state.wait_to_hear(me);
                return None;
            }
            Some(talk)
        };
        self.shared.wait_at_most(limit, look, || false).flatten()
    }

    fn tell(
        &self,
        tell: impl FnOnce(&mut Control) -> Result<(), ControlError>,
    ) -> Result<(), TellError> {
        self.shared.change(|state| match &state.over {
            Some(over) => Err(over.clone().into()),
            None => Ok(tell(&mut state.control)?),
        })
    }

    /// Waits for the next thing that the other side tells; `None` when that has ended the session, and
    /// all is well. What it told before the session broke is told before the error.
    pub fn hear(&self) -> Result<Option<Told>, Over> {
        self.shared.wait_until(next_told)
    }

    /// The same, but waits no longer than this; then, and when the session is over, it is nothing.
    pub fn hear_at_most(&self, limit: Duration) -> Option<Told> {
        self.shared.wait_at_most(limit, next_told, || false)?.ok().flatten()
    }

    /// What requests of this side may have at a time of a responder that says this of itself.
    pub fn capacity(&self, theirs: &Hello) -> Capacity {
        let theirs = theirs.capacity.clamped();
        let window_bytes = theirs.window_bytes.min(self.shared.setup.window_bytes);
        Capacity { window_bytes, ..theirs }
    }

    /// Where requests are asked, if this side is the requester. It may outlive the session, and then
    /// tells that that is over.
    pub fn asker(&self) -> Arc<dyn Ask> {
        Arc::clone(&self.shared) as Arc<dyn Ask>
    }

    /// Asks this before it sends, on all lanes; the first to be given counts.
    pub fn pace(&self, pace: Arc<dyn Pace>) {
        self.shared.pace.get_or_init(|| pace);
    }

    /// As controller, once something was begun: the agent is to send no more bytes a second than these.
    pub fn set_pace_of_peer(&self, bytes_per_sec: Option<NonZeroU64>) -> Result<(), TellError> {
        self.tell(|control| control.pace(bytes_per_sec))
    }

    /// Compresses content that this side serves from now on, if the other side takes that.
    pub fn compress(&self, content: Option<Method>) {
        self.shared.change(|state| state.crew.content = content);
    }

    /// Serves requests, if this side is the responder; those that have come meanwhile, too.
    pub fn serve(&self, serve: Arc<dyn Serve>) {
        self.shared.change(|state| state.crew.serve = Some(serve));
    }

    /// Why the session is over, if it is.
    pub fn over(&self) -> Option<Over> {
        self.shared.change(|state| state.over.clone())
    }

    /// Ends the session when all is done: what was told before still goes out, and the other side is
    /// given time to take it, but not more than a silent one. Nothing can be asked or told any more.
    pub fn bye(&self) {
        self.shared.change(|state| state.end(Cause::Here, Farewell::Bye));
        self.shared.wait_for_lanes();
    }

    /// Ends the session because of something that the other side is to show its user.
    pub fn fail(&self, kind: FailureKind, text: &str) {
        let failure = Failure { kind, text: Text::new(text) };
        self.shared.change(|state| state.end(Cause::Here, Farewell::Failure(failure)));
        self.shared.wait_for_lanes();
    }

    /// Whoever asks, or waits for an answer that has not come, is told that there is none: the run was
    /// stopped, and does not wait for a network that may be gone.
    pub fn ask_no_more(&self) {
        self.shared.change(|state| {
            state.asks_no_more = true;
            state.wake_askers();
        });
    }

    /// The same as [`bye`](Self::bye), but the other side is given no more time than this.
    pub fn leave(&self, limit: Duration) {
        self.shared.change(|state| {
            state.end(Cause::Here, Farewell::Bye);
            state.linger(limit);
        });
        self.shared.wait_for_lanes();
    }

    /// Ends the session at once, without a word. Any thread may do it.
    pub fn hang_up(&self) {
        self.shared.change(|state| state.end(Cause::Here, Farewell::None));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hang_up();
        self.shared.change(state::State::hang_up_all);
        self.shared.join(TO_JOIN);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

fn next_told(state: &mut state::State, me: &thread::Thread) -> Option<Result<Option<Told>, Over>> {
    match state.control.poll_told() {
        Some(Told::Bye) => Some(Ok(None)),
        Some(Told::Failure(_)) | None => match &state.over {
            Some(Over { cause: Cause::Bye, .. }) => Some(Ok(None)),
            Some(over) => Some(Err(over.clone())),
            None => {
                state.wait_to_hear(me);
                None
            }
        },
        told => Some(Ok(told)),
    }
}

/// It names a session and is no secret: that std draws its keys anew for each is enough.
fn random_id() -> SessionId {
    let half = || RandomState::new().hash_one(0).to_le_bytes();
    let mut id = [0; 16];
    let (low, high) = id.split_at_mut(8);
    low.copy_from_slice(&half());
    high.copy_from_slice(&half());
    SessionId(id)
}

#[cfg(test)]
mod tests;
