//! What all threads of a session share: one lock, under which nobody waits and nothing is read or
//! written.
//!
//! All changes go through [`Shared::change`] and [`Shared::wait_until`], which look afterwards whom
//! they concern. So whoever changes something need not think of who may wait for it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use wire::{
    Control, Failure, FailureKind, HandleKind, Hello, RequestId, Requester, Responder, Role,
    SessionId, Task, Text, Ticket,
};

use super::Setup;
use super::clock::Clock;
use super::ending::{Cause, Farewell, Over};
use super::further::Further;
use super::lanes::{LaneKey, LaneState};
use super::serving::{self, Crew};
use crate::lane::Hangup;
use crate::pace::Pace;

/// Which of the two machines a side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Requester,
    Responder,
}

impl Part {
    fn of(role: Role, task: Task) -> Self {
        if task.asks() == (role == Role::Agent) { Self::Requester } else { Self::Responder }
    }
}

pub(super) struct State {
    pub(super) role: Role,
    peer: Box<str>,
    pub(super) control: Control,
    /// What requests of this side may have outstanding.
    window_bytes: u64,
    /// What the other side said of itself.
    pub(super) greeting: Option<Hello>,
    /// There is one as soon as this side is known to be the requester, and that is known.
    pub(super) requester: Option<Requester>,
    pub(super) responder: Responder,
    pub(super) lanes: BTreeMap<LaneKey, LaneState>,
    pub(super) next_key: u32,
    pub(super) session: Option<SessionId>,
    pub(super) over: Option<Over>,
    /// Nobody waits for answers any more: the run was stopped.
    pub(super) asks_no_more: bool,
    /// This side, and the other one, has told its last.
    pub(super) is_done: bool,
    pub(super) peer_is_done: bool,
    /// Why nothing can be sent on the first lane.
    pub(super) unsendable: Option<Box<str>>,
    pub(super) clock: Clock,
    pub(super) further: Further,
    /// What lanes carried that are no more.
    pub(super) carried_before: u64,
    pub(super) crew: Crew,
    /// Who waits for which answer.
    pub(super) waiters: HashMap<RequestId, Thread>,
    pub(super) starters: Starters,
    hearers: Vec<Thread>,
    tellers: Vec<Thread>,
    leavers: Vec<Thread>,
    threads: Vec<JoinHandle<()>>,
    /// Threads of the session that have not ended.
    alive: usize,
    pub(super) deferred: Deferred,
}

/// Who waits to ask, by what there must be room for.
#[derive(Default)]
pub(super) struct Starters {
    pub(super) room: VecDeque<Thread>,
    pub(super) handles: VecDeque<Thread>,
    pub(super) signatures: VecDeque<Thread>,
}

impl Starters {
    /// A thread looks by itself, whether or not it was woken: to wake it is not to take the place of
    /// waking another.
    pub(super) fn forget(&mut self, thread: &Thread) {
        for list in [&mut self.room, &mut self.handles, &mut self.signatures] {
            list.retain(|other| other.id() != thread.id());
        }
    }

    fn is_empty(&self) -> bool {
        [&self.room, &self.handles, &self.signatures].iter().all(|it| it.is_empty())
    }
}

/// What is done when the lock is free again.
#[derive(Default)]
pub(super) struct Deferred {
    pub(super) wakes: Vec<Thread>,
    pub(super) hangups: Vec<Arc<dyn Hangup>>,
    pub(super) cancels: Vec<Ticket>,
}

pub(super) struct Shared {
    me: Weak<Self>,
    pub(super) setup: Setup,
    born: Instant,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    pub(super) pace: OnceLock<Arc<dyn Pace>>,
    state: Mutex<State>,
}

/// Puts a thread on a list of which all are woken together, once.
pub(super) fn enlist(list: &mut Vec<Thread>, thread: &Thread) {
    if list.iter().all(|other| other.id() != thread.id()) {
        list.push(thread.clone());
    }
}

impl Shared {
    pub(super) fn new(setup: Setup, role: Role) -> Arc<Self> {
        let state = State {
            role,
            peer: setup.peer.as_str().into(),
            control: Control::new(role).with_most_work(setup.most_work_bytes),
            window_bytes: setup.window_bytes,
            greeting: None,
            requester: None,
            responder: Responder::new(setup.hello.capacity),
            lanes: BTreeMap::new(),
            next_key: 0,
            session: None,
            over: None,
            asks_no_more: false,
            is_done: false,
            peer_is_done: false,
            unsendable: None,
            clock: Clock::default(),
            further: Further::default(),
            carried_before: 0,
            crew: Crew::new(setup.servers),
            waiters: HashMap::new(),
            starters: Starters::default(),
            hearers: Vec::new(),
            tellers: Vec::new(),
            leavers: Vec::new(),
            threads: Vec::new(),
            alive: 0,
            deferred: Deferred::default(),
        };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            setup,
            born: Instant::now(),
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            pace: OnceLock::new(),
            state: Mutex::new(state),
        })
    }

    /// Time since the session began, which goes on whatever becomes of the time of day.
    pub(super) fn now(&self) -> Duration {
        self.born.elapsed()
    }

    /// Changes the state, and lets all go on that this concerns.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        self.release(state);
        result
    }

    /// Waits until something is there. What looks for it puts the thread that it is given on a list
    /// while it is not.
    pub(super) fn wait_until<T>(
        &self,
        mut look: impl FnMut(&mut State, &Thread) -> Option<T>,
    ) -> T {
        let me = thread::current();
        loop {
            if let Some(found) = self.change(|state| look(state, &me)) {
                return found;
            }
            thread::park();
        }
    }

    /// Waits until something is there or is enough, and not longer than `limit`.
    pub(super) fn wait_at_most<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&mut State, &Thread) -> Option<T>,
        is_enough: impl Fn() -> bool,
    ) -> Option<T> {
        let me = thread::current();
        let begun = Instant::now();
        loop {
            let found = self.change(|state| look(state, &me));
            let left = limit.saturating_sub(begun.elapsed());
            if found.is_some() || left.is_zero() || is_enough() {
                return found;
            }
            thread::park_timeout(left);
        }
    }

    fn release(&self, mut state: MutexGuard<'_, State>) {
        state.review();
        while state.hires() {
            let Some(me) = self.me.upgrade() else { break };
            let shared = Arc::clone(&me);
            if let Err(error) = state.spawn(&me, "server", move || serving::serve(&shared)) {
                state.not_hired(&error);
                break;
            }
        }
        let deferred = std::mem::take(&mut state.deferred);
        let serve = (!deferred.cancels.is_empty()).then(|| state.crew.serve.clone()).flatten();
        drop(state);
        for thread in deferred.wakes {
            thread.unpark();
        }
        for hangup in deferred.hangups {
            hangup.hang_up();
        }
        for ticket in deferred.cancels {
            if let Some(serve) = &serve {
                serve.cancel(ticket);
            }
        }
    }

    /// Starts a thread of the session.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.change(|state| state.spawn(self, name, run))
    }

    /// Waits until the threads of all lanes have ended. The clock sees to it that they do.
    pub(super) fn wait_for_lanes(&self) {
        self.wait_until(|state, me| {
            if state.lanes.is_empty() {
                return Some(());
            }
            enlist(&mut state.leavers, me);
            None
        });
    }

    /// Waits for the end of all threads, and not longer than `limit` for those that the system does
    /// not let go on: they end when it does.
    pub(super) fn join(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let me = thread::current();
        let (threads, all_end) = loop {
            let left = until.saturating_duration_since(Instant::now());
            let threads = self.change(|state| {
                // One of them may be what drops the session.
                let own = state.threads.iter().any(|it| it.thread().id() == me.id());
                let all_end = state.alive == usize::from(own);
                if !all_end && !left.is_zero() {
                    enlist(&mut state.leavers, &me);
                    return None;
                }
                Some((std::mem::take(&mut state.threads), all_end))
            });
            match threads {
                Some(threads) => break threads,
                None => thread::park_timeout(left),
            }
        };
        for thread in threads {
            if thread.thread().id() != me.id() && (all_end || thread.is_finished()) {
                // Its panic, if there was one, has ended the session, and been told by the hook.
                let joined = thread.join();
                debug_assert!(joined.is_ok() || thread::panicking(), "a thread panicked");
            }
        }
    }
}

/// Counts a thread while it runs.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.change(|state| {
            if thread::panicking() {
                state.fail("a thread of the session panicked");
            }
            state.alive -= 1;
            state.let_leave();
        });
    }
}

impl State {
    /// Starts a thread of the session.
    pub(super) fn spawn(
        &mut self,
        shared: &Arc<Shared>,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alive = Alive(shared);
            run();
        })?;
        self.alive += 1;
        self.threads.push(thread);
        Ok(())
    }

    fn hires(&mut self) -> bool {
        self.over.is_none() && self.crew.hires(&self.responder)
    }

    fn not_hired(&mut self, error: &io::Error) {
        if self.crew.not_hired() {
            self.fail(&format!("start a thread to serve requests: {error}"));
        }
    }

    /// Which of the two machines this side has, once that is known.
    pub(super) fn part(&self) -> Option<Part> {
        self.control.task().map(|task| Part::of(self.role, task))
    }

    /// False of a requester, and of a controller that has begun nothing. An agent may be asked on another
    /// lane before it has heard what it is to do.
    /// Test: `a_controller_that_has_begun_nothing_is_asked_nothing`.
    pub(super) fn may_be_asked(&self) -> bool {
        self.part().map_or(self.role == Role::Agent, |part| part == Part::Responder)
    }

    /// Those who wait for an end of threads or lanes look again.
    pub(super) fn let_leave(&mut self) {
        self.deferred.wakes.append(&mut self.leavers);
    }

    pub(super) fn wait_to_hear(&mut self, me: &Thread) {
        enlist(&mut self.hearers, me);
    }

    pub(super) fn wait_to_tell(&mut self, me: &Thread) {
        enlist(&mut self.tellers, me);
    }

    /// The other side has told something.
    pub(super) fn told(&mut self) {
        self.deferred.wakes.append(&mut self.hearers);
        // It may have been credit, which comes for many events at once.
        self.deferred.wakes.append(&mut self.tellers);
    }

    /// Ends the session, once; whoever waits is answered by that.
    pub(super) fn end(&mut self, cause: Cause, farewell: Farewell) {
        if self.over.is_some() {
            return;
        }
        self.over = Some(Over::new(cause, self.part(), &self.peer));
        let is_patient = matches!(farewell, Farewell::Bye);
        let is_silent = matches!(farewell, Farewell::None);
        match farewell {
            Farewell::None => {}
            Farewell::Bye => self.control.bye(),
            Farewell::Failure(failure) => self.control.fail(failure),
        }
        // The writer of the first lane ends when all is told. The others stay as long as that lane, lest
        // they seem to break before the other side hears that it is over.
        if is_silent {
            self.hang_up_all();
        }
        if !is_patient {
            self.clock.start_lingering();
        }
        self.told();
        self.further.wake(&mut self.deferred.wakes);
        if let Some(switch) = &self.further.switch {
            self.deferred.hangups.push(Arc::new(switch.clone()));
        }
        self.wake_askers();
        let Self { deferred, .. } = self;
        self.crew.dismiss(deferred);
        self.clock.wake(&mut deferred.wakes);
        for lane in self.lanes.values_mut() {
            deferred.wakes.append(&mut lane.held);
        }
    }

    /// From now on all lanes have no more than this time to end by themselves.
    pub(super) fn linger(&mut self, limit: Duration) {
        self.clock.linger_for(limit);
        self.clock.wake(&mut self.deferred.wakes);
    }

    /// Whoever asks or waits for an answer looks again.
    pub(super) fn wake_askers(&mut self) {
        let Self { deferred: Deferred { wakes, .. }, waiters, starters, .. } = self;
        wakes.extend(waiters.drain().map(|(_, thread)| thread));
        wakes.extend(starters.room.drain(..));
        wakes.extend(starters.handles.drain(..));
        wakes.extend(starters.signatures.drain(..));
    }

    /// Ends the session because of an error on this side.
    pub(super) fn fail(&mut self, text: &str) {
        let failure = Failure { kind: FailureKind::Internal, text: Text::new(text) };
        self.end(Cause::Internal(text.into()), Farewell::Failure(failure));
    }

    /// Wakes those for whom there is something.
    fn review(&mut self) {
        if self.over.is_none() {
            self.make_requester();
            self.let_go_on();
            self.wake_starters();
            self.crew.wake(&self.responder, &mut self.deferred.wakes);
        }
        self.wake_lanes();
    }

    pub(super) fn make_requester(&mut self) {
        if let Some(hello) = &self.greeting
            && self.requester.is_none()
            && self.part() == Some(Part::Requester)
        {
            let mut requester = Requester::new(hello.capacity, self.window_bytes);
            for number in self.lanes.values().filter_map(LaneState::usable) {
                requester.lane_added(number).expect("the responder has them, each once");
            }
            self.requester = Some(requester);
        }
    }

    /// Answers that nobody takes do not hold up those who wait for others.
    fn let_go_on(&mut self) {
        let Self { requester: Some(requester), waiters, starters, .. } = self else { return };
        if !requester.is_stuck() {
            return;
        }
        for id in waiters.keys() {
            requester.hurry(Some(*id));
        }
        if !starters.is_empty() {
            requester.hurry(None);
        }
    }

    /// One at a time: who is woken comes by here again when it has asked.
    fn wake_starters(&mut self) {
        let Self { requester: Some(requester), starters, deferred, .. } = self else { return };
        if requester.has_room() {
            deferred.wakes.extend(starters.room.pop_front());
        }
        // Where none will be free any more, that is to be told.
        let is_settled = !requester.is_closing_handles();
        if is_settled || requester.has_room_for(HandleKind::File) {
            deferred.wakes.extend(starters.handles.pop_front());
        }
        if is_settled || requester.has_room_for(HandleKind::Signature) {
            deferred.wakes.extend(starters.signatures.pop_front());
        }
    }
}
