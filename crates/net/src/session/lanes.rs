//! The threads of a lane: one reads, one writes, and either may wait for the other side.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use wire::{
    Frame, Hello, LaneEnd, LaneNumber, Link, Opening, Patience, Requester, Role, Told, Topic,
    Unpacker, Violation, limits::LANES,
};

use super::arrivals::{Arrival, Portions};
use super::batch::Batch;
use super::ending::{Cause, Farewell};
use super::serving::QUEUED_BYTES;
use super::state::{Part, Shared, State};
use crate::further::Lossy;
use crate::lane::{Hangup, Lane, LaneKind};
use crate::pace::{Paced, Packets};

/// How much is read at once.
const READ_BYTES: usize = 256 * 1024;

/// A lane, by the order in which this side got it: its number may be the other side's to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey(u32);

impl LaneKey {
    pub(super) const FIRST: Self = Self(0);
}

pub(super) struct LaneState {
    pub(super) kind: LaneKind,
    /// What is lost, if that slows it down.
    pub(super) losses: Option<Arc<dyn Lossy>>,
    /// How long a round trip takes, if that is known.
    pub(super) round_trip: Option<Duration>,
    /// Known once the lane is greeted.
    number: Option<LaneNumber>,
    pub(super) link: Arc<Mutex<Link>>,
    hangup: Arc<dyn Hangup>,
    /// The lane itself has something to say.
    link_speaks: bool,
    /// Its writer, while that waits for something to write.
    writer: Option<Thread>,
    /// Threads that wait until less is queued on it.
    pub(super) held: Vec<Thread>,
    /// Nothing counts that still comes or goes on it.
    pub(super) is_over: bool,
    /// Threads of it that have not ended.
    threads: u32,
    /// Bytes that went over it, either way.
    carried: Arc<AtomicU64>,
}

impl LaneState {
    /// A thread does not wait any more until less is queued.
    pub(super) fn let_go(&mut self, thread: &Thread) {
        self.held.retain(|other| other.id() != thread.id());
    }

    pub(super) fn carried_bytes(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Its number, if it can be used.
    pub(super) fn usable(&self) -> Option<LaneNumber> {
        self.number.filter(|_| !self.is_over)
    }
}

/// How a lane came to its end.
pub(super) enum Loss {
    /// The other side ended it.
    Ended,
    /// Reading failed.
    Unreadable(io::Error),
    /// Writing failed.
    Unwritable(io::Error),
    /// It is silent, or was never a lane of this session.
    Dead(Violation),
    /// A rule was broken, which ends more than the lane.
    Broken(Violation),
}

/// What a writer does next.
enum Turn {
    /// To write the batch, and before it what the lane itself has to say.
    Write {
        link_speaks: bool,
    },
    Flush,
    /// All is told, and nothing will be.
    End,
}

/// Notes the end of a thread of a lane.
struct Counted<'a>(&'a Shared, LaneKey);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.thread_ended(self.1));
    }
}

/// Where the bytes of a lane go, and the packets that they become, if it makes them itself.
type Outlet = (Box<dyn Write + Send>, Option<Arc<dyn Packets>>);

/// Takes a lane into the session.
pub(super) fn start(
    shared: &Arc<Shared>,
    lane: Lane,
    end: LaneEnd,
    patience: Patience,
) -> io::Result<()> {
    let Lane { kind, losses, packets, round_trip, reader, writer, hangup } = lane;
    let link = Link::new(end, &shared.setup.hello, patience, shared.now());
    let lane = LaneState {
        kind,
        losses,
        round_trip,
        number: None,
        link: Arc::new(Mutex::new(link)),
        hangup: Arc::from(hangup),
        link_speaks: true,
        writer: None,
        held: Vec::new(),
        is_over: false,
        threads: 0,
        carried: Arc::default(),
    };
    shared.change(|state| {
        let key = LaneKey(state.next_key);
        state.next_key += 1;
        let (link, carried) = (Arc::clone(&lane.link), Arc::clone(&lane.carried));
        let ours = Ours { shared: Arc::clone(shared), key, link, carried };
        state.lanes.insert(key, lane);
        let started = state.start_threads(ours, reader, (writer, packets));
        if started.is_err() {
            state.hang_up(key);
        }
        // A lane without threads is none.
        state.forget_if_ended(key);
        state.clock.wake(&mut state.deferred.wakes);
        started
    })
}

/// What the threads of a lane have of it.
#[derive(Clone)]
struct Ours {
    shared: Arc<Shared>,
    key: LaneKey,
    link: Arc<Mutex<Link>>,
    carried: Arc<AtomicU64>,
}

fn read(ours: &Ours, mut reader: Box<dyn Read + Send>) {
    let Ours { shared, key, link, carried } = ours;
    let key = *key;
    let mut buffer = vec![0; READ_BYTES];
    let mut unpacker = Unpacker::default();
    let mut is_sound = true;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => {
                let loss = link.lock().ended().map_or_else(Loss::Dead, |()| Loss::Ended);
                return shared.lose(key, loss);
            }
            Ok(count) if is_sound => {
                shared.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
                carried.fetch_add(count as u64, Ordering::Relaxed);
                if let Err(loss) = shared.receive((key, link), &mut unpacker, &buffer[..count]) {
                    // Who broke a rule is told so, and is to end the lane.
                    is_sound = false;
                    shared.lose(key, loss);
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return shared.lose(key, Loss::Unreadable(error)),
        }
    }
}

fn write(ours: &Ours, (writer, packets): Outlet) {
    let Ours { shared, key, link, carried } = ours;
    let key = *key;
    // As it goes: a large batch may take long.
    let count = |bytes: usize| {
        shared.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        carried.fetch_add(bytes as u64, Ordering::Relaxed);
    };
    let writer = Paced::new(writer, || shared.pace.get().cloned(), count);
    let mut writer = writer.sending(packets);
    let mut batch = Batch::new();
    let mut is_flushed = true;
    loop {
        // Whoever woke this thread is about to have more for it, which can go by the same write.
        thread::yield_now();
        let written = match shared.turn(key, &mut batch, is_flushed) {
            Turn::Write { link_speaks } => {
                is_flushed = false;
                let own = if link_speaks { link.lock().poll_transmit() } else { None };
                batch.push_first(own);
                let written = batch.write(&mut writer);
                link.lock().transmitted(shared.now());
                written
            }
            Turn::Flush => {
                is_flushed = true;
                writer.flush()
            }
            Turn::End => return,
        };
        if let Err(error) = written {
            return shared.lose(key, Loss::Unwritable(error));
        }
    }
}

impl Shared {
    /// Waits for something to do for a writer, and fills the batch for it.
    fn turn(&self, key: LaneKey, batch: &mut Batch, is_flushed: bool) -> Turn {
        self.wait_until(|state, me| {
            let turn = state.turn(key, batch, is_flushed);
            if turn.is_none()
                && let Some(lane) = state.lanes.get_mut(&key)
            {
                lane.writer = Some(me.clone());
            }
            turn
        })
    }

    /// Takes bytes that arrived on a lane.
    fn receive(
        &self,
        (key, link): (LaneKey, &Mutex<Link>),
        unpacker: &mut Unpacker,
        bytes: &[u8],
    ) -> Result<(), Loss> {
        let (greeted, received, frames) = {
            let mut link = link.lock();
            let knew = link.peer().is_some();
            let received = link.receive(bytes, self.now());
            let frames: Vec<Frame> = std::iter::from_fn(|| link.poll_frame()).collect();
            let greeted = link.peer().cloned().zip(link.opening()).filter(|_| !knew);
            let received = received.map_err(|violation| match link.peer() {
                Some(_) => Loss::Broken(violation),
                None => Loss::Dead(violation),
            });
            (greeted, received, frames)
        };
        if let Some((hello, opening)) = greeted {
            self.change(|state| state.greeted(key, &hello, opening))?;
        }
        for (arrivals, decoded) in Portions::of(frames, unpacker) {
            self.change(|state| {
                arrivals.into_iter().try_for_each(|arrival| state.take(key, arrival))
            })?;
            decoded.map_err(Loss::Broken)?;
        }
        received
    }

    /// A lane has come to its end, one way or another.
    pub(super) fn lose(&self, key: LaneKey, loss: Loss) {
        self.change(|state| state.lose(key, loss));
    }
}

impl State {
    fn start_threads(
        &mut self,
        ours: Ours,
        reader: Box<dyn Read + Send>,
        writer: Outlet,
    ) -> io::Result<()> {
        if let Some(over) = &self.over {
            return Err(io::Error::new(io::ErrorKind::NotConnected, over.clone()));
        }
        if self.lanes.len() > LANES {
            return Err(io::Error::other("the session has as many lanes as it may have"));
        }
        let (shared, key) = (Arc::clone(&ours.shared), ours.key);
        let readers = ours.clone();
        self.spawn(&shared, "lane reader", move || {
            let _counted = Counted(&readers.shared, key);
            read(&readers, reader);
        })?;
        self.lanes.entry(key).and_modify(|lane| lane.threads += 1);
        self.spawn(&shared, "lane writer", move || {
            let _counted = Counted(&ours.shared, key);
            write(&ours, writer);
        })?;
        self.lanes.entry(key).and_modify(|lane| lane.threads += 1);
        Ok(())
    }

    fn thread_ended(&mut self, key: LaneKey) {
        self.lanes.entry(key).and_modify(|lane| lane.threads -= 1);
        self.forget_if_ended(key);
    }

    fn forget_if_ended(&mut self, key: LaneKey) {
        if self.lanes.get(&key).is_some_and(|lane| lane.threads == 0) {
            let carried = self.lanes.remove(&key).map_or(0, |lane| lane.carried_bytes());
            self.carried_before += if key == LaneKey::FIRST { 0 } else { carried };
        }
        if self.lanes.is_empty() {
            self.let_leave();
            self.clock.wake(&mut self.deferred.wakes);
        }
    }

    /// How many lanes can be used.
    pub(super) fn lane_count(&self) -> usize {
        self.lanes.values().filter_map(LaneState::usable).count()
    }

    pub(super) fn link_speaks(&mut self, key: LaneKey) {
        self.lanes.entry(key).and_modify(|lane| lane.link_speaks = true);
    }

    /// Ends a lane: nothing counts that is still on it.
    pub(super) fn hang_up(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.is_over = true;
        let wakes = &mut self.deferred.wakes;
        wakes.append(&mut lane.held);
        wakes.extend(lane.writer.take());
        self.deferred.hangups.push(Arc::clone(&lane.hangup));
    }

    pub(super) fn hang_up_all(&mut self) {
        for key in self.lanes.keys().copied().collect::<Vec<_>>() {
            self.hang_up(key);
        }
    }

    /// The requester gave up a lane.
    pub(super) fn close_lane(&mut self, number: LaneNumber) {
        let mut lanes = self.lanes.iter();
        if let Some((&key, _)) = lanes.find(|(_, lane)| lane.number == Some(number)) {
            self.lose(key, Loss::Ended);
        }
    }

    /// A lane has come to its end, one way or another.
    fn lose(&mut self, key: LaneKey, loss: Loss) {
        let Some(lane) = self.lanes.get(&key).filter(|lane| !lane.is_over) else { return };
        let (kind, number, is_over) = (lane.kind, lane.number, self.over.is_some());
        let cause = match loss {
            Loss::Broken(violation) if !is_over => {
                let farewell = Farewell::of(&violation);
                return self.end(Cause::Broken(violation), farewell);
            }
            Loss::Unwritable(error) if key == LaneKey::FIRST && !is_over => {
                // What is still to be read may tell more.
                self.unsendable = Some(error.to_string().into());
                self.clock.start_lingering();
                return self.clock.wake(&mut self.deferred.wakes);
            }
            Loss::Broken(violation) | Loss::Dead(violation) => Cause::Broken(violation),
            Loss::Unreadable(error) | Loss::Unwritable(error) => {
                Cause::Lost(Some(error.to_string().into()))
            }
            Loss::Ended => Cause::Lost(None),
        };
        if key == LaneKey::FIRST {
            self.end(cause, Farewell::None);
            return self.hang_up_all();
        }
        self.hang_up(key);
        if !is_over && cause != Cause::Lost(None) {
            self.further.lost(kind.on_wire(), number, cause.to_string().into());
        }
        self.further.wake(&mut self.deferred.wakes);
        let Some(number) = number.filter(|_| !is_over) else { return };
        self.responder.lane_lost(number);
        if let Some(Err(violation)) = self.requester.as_mut().map(|it| it.lane_lost(number)) {
            let farewell = Farewell::of(&violation);
            self.end(Cause::Broken(violation), farewell);
        }
    }

    /// The time to take a last word is over.
    pub(super) fn give_up(&mut self) {
        if let Some(error) = self.unsendable.take() {
            self.end(Cause::Unsendable(error), Farewell::None);
        }
        self.hang_up_all();
    }

    /// A lane can be used from now on.
    fn greeted(&mut self, key: LaneKey, hello: &Hello, opening: Opening) -> Result<(), Loss> {
        let Some(lane) = self.lanes.get_mut(&key).filter(|lane| !lane.is_over) else {
            return Ok(());
        };
        if key == LaneKey::FIRST {
            self.session = Some(opening.session);
            self.greeting = Some(hello.clone());
        }
        // A number that is not new is a matter of this lane alone.
        self.responder.lane_added(opening.lane).map_err(Loss::Dead)?;
        if let Some(requester) = &mut self.requester {
            requester.lane_added(opening.lane).map_err(Loss::Dead)?;
        }
        lane.number = Some(opening.lane);
        self.further.wake(&mut self.deferred.wakes);
        // What follows in the same breath may be for it.
        self.make_requester();
        self.told();
        // From now on it may not be silent.
        self.clock.wake(&mut self.deferred.wakes);
        Ok(())
    }

    fn take(&mut self, key: LaneKey, arrival: Arrival) -> Result<(), Loss> {
        let lane = self.lanes.get(&key).and_then(LaneState::usable);
        let Some(number) = lane else { return Ok(()) };
        let part = self.part();
        let taken = match arrival {
            Arrival::Other(Topic::Control, frame) => {
                let taken = self.control.handle_frame(number, &frame);
                if self.control.has_lane_talk() {
                    self.further.wake(&mut self.deferred.wakes);
                }
                self.heard();
                taken
            }
            // What else comes now has crossed the end of the session.
            _ if self.over.is_some() => Ok(()),
            Arrival::Other(_, frame) if !self.may_be_asked() => {
                Err(Violation::WrongSide(frame.header.kind))
            }
            // On another lane it may come before all of the job has.
            Arrival::Other(_, frame) => self.responder.handle_frame(number, &frame),
            Arrival::Response(arrived) => match (&mut self.requester, part) {
                (Some(requester), Some(Part::Requester)) => {
                    requester.handle(number, arrived).map(|answered| {
                        let waiter = answered.and_then(|id| self.waiters.remove(&id));
                        self.deferred.wakes.extend(waiter);
                    })
                }
                _ => Err(Violation::WrongSide(arrived.kind())),
            },
        };
        taken.map_err(Loss::Broken)
    }

    /// The other side has told something, perhaps its last.
    fn heard(&mut self) {
        self.told();
        let (cause, farewell) = match self.control.last_word() {
            Some(Told::Bye) => (Cause::Bye, Farewell::Bye),
            Some(Told::Failure(failure)) => (Cause::Failed(failure.clone()), Farewell::None),
            _ => return,
        };
        self.peer_is_done = true;
        self.end(cause, farewell);
        if self.is_done {
            self.hang_up_all();
        }
    }

    /// What the writer of a lane does next; `None` if there is nothing for now.
    fn turn(&mut self, key: LaneKey, batch: &mut Batch, is_flushed: bool) -> Option<Turn> {
        let is_over = self.over.is_some();
        let Some(lane) = self.lanes.get_mut(&key).filter(|lane| !lane.is_over) else {
            return Some(Turn::End);
        };
        let link_speaks = std::mem::take(&mut lane.link_speaks);
        let number = lane.number.filter(|_| !is_over);
        while !batch.is_full() {
            // Control messages need not wait for a greeting.
            let control = (key == LaneKey::FIRST).then(|| self.control.poll_transmit()).flatten();
            let next = control.or_else(|| {
                let request = self.requester.as_mut().and_then(|it| it.poll_transmit(number?));
                request.or_else(|| self.responder.poll_transmit(number?))
            });
            match next {
                Some(outgoing) => batch.push(outgoing),
                None => break,
            }
        }
        if link_speaks || !batch.is_empty() {
            Some(Turn::Write { link_speaks })
        } else if !is_flushed {
            Some(Turn::Flush)
        } else if is_over && key == LaneKey::FIRST {
            self.is_done = true;
            // The user waits for a controller, and nobody for an agent.
            if self.role == Role::Controller {
                self.clock.start_lingering();
                self.clock.wake(&mut self.deferred.wakes);
            }
            if self.peer_is_done {
                self.hang_up_all();
            }
            Some(Turn::End)
        } else {
            None
        }
    }

    /// Wakes writers that have something to write, and those who may queue more.
    pub(super) fn wake_lanes(&mut self) {
        let Self { lanes, requester, responder, control, over, deferred, .. } = self;
        let requester = requester.as_ref().filter(|_| over.is_none());
        // Any writer can take these along, and one is enough.
        let mut has_closable = requester.is_some_and(Requester::has_closable);
        for (key, lane) in lanes {
            let number = lane.usable().filter(|_| over.is_none());
            let queued_bytes = number.map_or(0, |number| responder.queued_bytes(number));
            if queued_bytes < QUEUED_BYTES && !lane.held.is_empty() {
                deferred.wakes.push(lane.held.remove(0));
            }
            let has_requests = number.is_some_and(|number| {
                requester.is_some_and(|it| it.has_outgoing(number) || has_closable)
            });
            let has_control = *key == LaneKey::FIRST && (over.is_some() || control.has_outgoing());
            let has_responses = number.is_some_and(|number| responder.has_outgoing(number));
            if (lane.link_speaks || has_control || has_requests || has_responses)
                && let Some(writer) = lane.writer.take()
            {
                deferred.wakes.push(writer);
                has_closable = false;
            }
        }
    }
}
