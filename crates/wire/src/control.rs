//! What controller and agent tell each other, on lane 0.
//!
//! The controller is the process that the user started; the agent does one piece of work for it and
//! ends. The controller says what, the agent tells what happens. Events are never lost and never
//! dropped, so they have a credit of their own; progress may be, so only the newest is kept.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use crate::bounded::{EventBytes, OutcomeBytes, ProgressBytes, Text, WorkPiece};
use crate::codec::{choice, encode, record};
use crate::direct::DirectTalk;
use crate::frame::{Frame, FrameKind, Header, Outgoing};
use crate::lane::LaneNumber;
use crate::lane_talk::LaneTalk;
use crate::limits::{
    DIRECT_TALKS, EVENT_WINDOW_BYTES, FAILURE_TEXT_BYTES, LANE_TALKS, WORK_BYTES, WORK_PIECE_BYTES,
};
use crate::violation::Violation;

/// What an agent is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// To serve the source: it is the responder, and whoever asks decides.
    ServeSource,
    /// To run the engine at the destination: it is the requester.
    RunDestination,
    /// To serve an image: it is the responder.
    ServeImage,
    /// To bring an image over: it is the requester.
    BringImage,
}

choice!(Task, "task": 1 => ServeSource, 2 => RunDestination, 3 => ServeImage, 4 => BringImage);

impl Task {
    /// Whether the agent is the requester, and its controller serves what is asked for.
    pub fn asks(self) -> bool {
        matches!(self, Self::RunDestination | Self::BringImage)
    }
}

/// What kind of failure ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The sender of this found that its peer broke a rule.
    Violation,
    /// The agent cannot do what it was started for.
    Refused,
    /// The sender came to an error of its own.
    Internal,
}

choice!(FailureKind, "kind of failure": 1 => Violation, 2 => Refused, 3 => Internal);

/// Why a session ends, if not because all is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// A sentence for the user.
    pub text: Text<FAILURE_TEXT_BYTES>,
}

record!(Failure { kind, text });

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Begin { task: Task, work_bytes: u64 },
    Work(WorkPiece),
    Event(EventBytes),
    EventCredit(u64),
    Progress(ProgressBytes),
    Cancel,
    Ended(OutcomeBytes),
    Lanes(LaneTalk),
    Pace(u64),
    Failure(Failure),
    Bye,
    Direct(DirectTalk),
}

choice!(Message, "control message":
    1 => Begin { task, work_bytes },
    2 => Work(piece),
    3 => Event(event),
    4 => EventCredit(bytes),
    5 => Progress(progress),
    6 => Cancel,
    7 => Ended(outcome),
    8 => Lanes(talk),
    9 => Pace(bytes_per_sec),
    10 => Failure(failure),
    11 => Bye,
    12 => Direct(talk),
);

/// What the other side told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// To the agent: what to do. The bytes are its owner's.
    Begin(Task, Vec<u8>),
    /// To the controller: what happened.
    Event(EventBytes),
    /// To the controller: how far it is.
    Progress(ProgressBytes),
    /// To the agent: to stop as soon as it can, and to tell its outcome.
    Cancel,
    /// To the agent: to send no more bytes a second than these.
    Pace(Option<NonZeroU64>),
    /// To the controller: the work is done, or stopped.
    Ended(OutcomeBytes),
    /// The session is over: it failed.
    Failure(Failure),
    /// The session is over.
    Bye,
}

/// Which of the two this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The process that the user started.
    Controller,
    /// The one that works for it.
    Agent,
}

/// A message cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The other side has no room for the event: ask again when it has taken others.
    #[error("there is no room for the event yet")]
    NoRoom,
    /// Not at this time, or not from this side.
    #[error("it cannot be told now, or not by this side")]
    Order,
    /// The job is longer than any may be.
    #[error("the job has more than {WORK_BYTES} bytes")]
    TooLong,
}

/// How far the work is, for both sides the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was begun.
    Idle,
    /// So many bytes of the job are to come.
    Beginning(Task, u64),
    /// The agent works.
    Working,
    /// The agent told its outcome.
    Ended,
    /// The other side said goodbye, or why it fails.
    Over,
}

/// Control messages of one side.
#[derive(Debug)]
pub struct Control {
    role: Role,
    phase: Phase,
    task: Option<Task>,
    work: Vec<u8>,
    /// Of an agent: the longest job that it takes.
    most_work_bytes: u64,
    /// Of an agent: what events it may still send. Of a controller: what it may still get.
    event_credit: u64,
    /// Of a controller: events that were taken, and not yet given back as credit.
    taken_bytes: u64,
    lane_talks: u32,
    direct_talks: u32,
    is_cancelled: bool,
    /// This side said goodbye, or why it fails.
    is_over_here: bool,
    inbox: VecDeque<Told>,
    lane_inbox: VecDeque<LaneTalk>,
    direct_inbox: VecDeque<DirectTalk>,
    outbox: VecDeque<Message>,
    /// The newest, of an agent until it is sent, of a controller until it is taken.
    progress: Option<ProgressBytes>,
    /// The newest, of an agent until it is taken.
    pace: Option<u64>,
}

impl Control {
    /// A side that has said nothing.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            phase: Phase::Idle,
            task: None,
            work: Vec::new(),
            most_work_bytes: WORK_BYTES,
            event_credit: EVENT_WINDOW_BYTES,
            taken_bytes: 0,
            lane_talks: 0,
            direct_talks: 0,
            is_cancelled: false,
            is_over_here: false,
            inbox: VecDeque::new(),
            lane_inbox: VecDeque::new(),
            direct_inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            progress: None,
            pace: None,
        }
    }

    /// As agent: takes no job that is longer than this, nor than any may be.
    #[must_use]
    pub fn with_most_work(self, most_work_bytes: u64) -> Self {
        Self { most_work_bytes: most_work_bytes.min(WORK_BYTES), ..self }
    }

    /// As controller: tells the agent what to do.
    pub fn begin(&mut self, task: Task, work: &[u8]) -> Result<(), ControlError> {
        self.check(Role::Controller, Phase::Idle)?;
        let work_bytes = work.len() as u64;
        if work_bytes > WORK_BYTES {
            return Err(ControlError::TooLong);
        }
        let pieces = work.chunks(WORK_PIECE_BYTES).map(WorkPiece::new);
        let pieces = pieces.collect::<Result<Vec<_>, _>>().map_err(|_| ControlError::TooLong)?;
        self.phase = Phase::Working;
        self.task = Some(task);
        self.outbox.push_back(Message::Begin { task, work_bytes });
        self.outbox.extend(pieces.into_iter().map(Message::Work));
        Ok(())
    }

    /// As controller: asks the agent to stop.
    pub fn cancel(&mut self) -> Result<(), ControlError> {
        self.check(Role::Controller, Phase::Working)?;
        self.outbox.push_back(Message::Cancel);
        Ok(())
    }

    /// As controller: tells the agent how many bytes a second it may send, if not all that go.
    pub fn pace(&mut self, bytes_per_sec: Option<NonZeroU64>) -> Result<(), ControlError> {
        self.check(Role::Controller, Phase::Working)?;
        self.outbox.push_back(Message::Pace(bytes_per_sec.map_or(0, NonZeroU64::get)));
        Ok(())
    }

    /// As agent: tells what happened.
    pub fn event(&mut self, event: EventBytes) -> Result<(), ControlError> {
        self.check(Role::Agent, Phase::Working)?;
        let left = self.event_credit.checked_sub(event_cost(&event));
        self.event_credit = left.ok_or(ControlError::NoRoom)?;
        self.outbox.push_back(Message::Event(event));
        Ok(())
    }

    /// As agent: whether there is room for an event.
    pub fn has_room_for(&self, event: &EventBytes) -> bool {
        event_cost(event) <= self.event_credit
    }

    /// As agent: tells how far it is. What was not sent yet is replaced.
    pub fn progress(&mut self, progress: ProgressBytes) -> Result<(), ControlError> {
        self.check(Role::Agent, Phase::Working)?;
        self.progress = Some(progress);
        Ok(())
    }

    /// As agent: tells how the work ended.
    pub fn ended(&mut self, outcome: OutcomeBytes) -> Result<(), ControlError> {
        self.check(Role::Agent, Phase::Working)?;
        self.phase = Phase::Ended;
        self.progress = None;
        self.outbox.push_back(Message::Ended(outcome));
        Ok(())
    }

    /// Tells something about further lanes.
    pub fn talk_of_lanes(&mut self, talk: LaneTalk) {
        self.outbox.push_back(Message::Lanes(talk));
    }

    /// Tells something about a direct session of two agents.
    pub fn talk_of_direct(&mut self, talk: DirectTalk) -> Result<(), ControlError> {
        if !may_say(self.role, &talk) {
            return Err(ControlError::Order);
        }
        self.outbox.push_back(Message::Direct(talk));
        Ok(())
    }

    /// Tells why this side ends the session. Nothing can be told after it.
    pub fn fail(&mut self, failure: Failure) {
        self.is_over_here = true;
        self.outbox.push_back(Message::Failure(failure));
    }

    /// Tells that this side ends the session.
    pub fn bye(&mut self) {
        self.is_over_here = true;
        self.outbox.push_back(Message::Bye);
    }

    /// What the agent is for, once both sides know it.
    pub fn task(&self) -> Option<Task> {
        self.task
    }

    /// The last thing that the other side told, once it is that and as long as nobody took it.
    pub fn last_word(&self) -> Option<&Told> {
        self.inbox.back().filter(|_| self.phase == Phase::Over)
    }

    /// True when [`poll_transmit`](Self::poll_transmit) has something.
    pub fn has_outgoing(&self) -> bool {
        !self.outbox.is_empty() || (self.role == Role::Agent && self.progress.is_some())
    }

    fn check(&self, role: Role, phase: Phase) -> Result<(), ControlError> {
        (self.role == role && self.phase == phase).then_some(()).ok_or(ControlError::Order)
    }

    /// Takes a frame that lane 0 brought.
    pub fn handle_frame(&mut self, lane: LaneNumber, frame: &Frame) -> Result<(), Violation> {
        if frame.header.kind != FrameKind::Control {
            return Err(Violation::WrongSide(frame.header.kind));
        }
        if lane != LaneNumber::FIRST {
            return Err(Violation::ControlOrder("a control message on another lane than 0"));
        }
        if self.phase == Phase::Over {
            return Err(Violation::ControlOrder("a control message after the last one"));
        }
        match frame.decode()? {
            Message::Begin { task, work_bytes } => self.told_begin(task, work_bytes)?,
            Message::Work(piece) => self.told_work(&piece)?,
            Message::Event(event) => self.told_event(event)?,
            Message::EventCredit(bytes) => self.told_credit(bytes)?,
            Message::Progress(progress) => self.told_progress(progress)?,
            Message::Cancel => self.told_cancel()?,
            Message::Ended(outcome) => {
                self.expect(Role::Controller, Phase::Working, "an outcome")?;
                self.phase = Phase::Ended;
                self.inbox.push_back(Told::Ended(outcome));
            }
            Message::Lanes(talk) => self.told_of_lanes(talk)?,
            Message::Pace(bytes_per_sec) => self.told_pace(bytes_per_sec)?,
            Message::Failure(failure) => self.told_last(Told::Failure(failure)),
            Message::Bye => self.told_last(Told::Bye),
            Message::Direct(talk) => self.told_of_direct(talk)?,
        }
        Ok(())
    }

    fn expect(&self, role: Role, phase: Phase, what: &'static str) -> Result<(), Violation> {
        self.check(role, phase).map_err(|_| Violation::ControlOrder(what))
    }

    fn told_last(&mut self, told: Told) {
        self.phase = Phase::Over;
        self.inbox.push_back(told);
    }

    fn told_begin(&mut self, task: Task, work_bytes: u64) -> Result<(), Violation> {
        self.expect(Role::Agent, Phase::Idle, "the beginning of the work")?;
        if work_bytes > self.most_work_bytes {
            return Err(Violation::ControlOrder("a job that is too long"));
        }
        self.phase = Phase::Beginning(task, work_bytes);
        self.begin_if_whole();
        Ok(())
    }

    fn told_work(&mut self, piece: &WorkPiece) -> Result<(), Violation> {
        const WHAT: &str = "a piece of the job";
        let Phase::Beginning(task, left) = self.phase else {
            return Err(Violation::ControlOrder(WHAT));
        };
        let left = left.checked_sub(piece.as_bytes().len() as u64);
        self.phase = Phase::Beginning(task, left.ok_or(Violation::ControlOrder(WHAT))?);
        // Memory is taken for what came, not for what was announced.
        self.work.extend_from_slice(piece.as_bytes());
        self.begin_if_whole();
        Ok(())
    }

    fn begin_if_whole(&mut self) {
        if let Phase::Beginning(task, 0) = self.phase {
            self.phase = Phase::Working;
            self.task = Some(task);
            self.inbox.push_back(Told::Begin(task, std::mem::take(&mut self.work)));
        }
    }

    fn told_event(&mut self, event: EventBytes) -> Result<(), Violation> {
        self.expect(Role::Controller, Phase::Working, "an event")?;
        let left = self.event_credit.checked_sub(event_cost(&event));
        self.event_credit = left.ok_or(Violation::OverEventCredit)?;
        self.inbox.push_back(Told::Event(event));
        Ok(())
    }

    fn told_credit(&mut self, bytes: u64) -> Result<(), Violation> {
        if self.role != Role::Agent {
            return Err(Violation::ControlOrder("credit for events"));
        }
        let credit = self.event_credit.checked_add(bytes);
        let credit = credit.filter(|credit| *credit <= EVENT_WINDOW_BYTES);
        self.event_credit = credit.ok_or(Violation::ControlOrder("too much credit for events"))?;
        Ok(())
    }

    fn told_progress(&mut self, progress: ProgressBytes) -> Result<(), Violation> {
        self.expect(Role::Controller, Phase::Working, "progress")?;
        self.progress = Some(progress);
        Ok(())
    }

    fn told_cancel(&mut self) -> Result<(), Violation> {
        match (self.role, self.phase) {
            (Role::Agent, Phase::Working) if !self.is_cancelled => {
                self.is_cancelled = true;
                self.inbox.push_back(Told::Cancel);
            }
            // It was told twice, or has crossed with the outcome.
            (Role::Agent, Phase::Working | Phase::Ended) => {}
            _ => return Err(Violation::ControlOrder("a cancellation")),
        }
        Ok(())
    }

    fn told_pace(&mut self, bytes_per_sec: u64) -> Result<(), Violation> {
        // It may cross with the outcome.
        if self.role != Role::Agent || !matches!(self.phase, Phase::Working | Phase::Ended) {
            return Err(Violation::ControlOrder("a pace"));
        }
        self.pace = Some(bytes_per_sec);
        Ok(())
    }

    fn told_of_lanes(&mut self, talk: LaneTalk) -> Result<(), Violation> {
        self.lane_talks += 1;
        if self.lane_talks > LANE_TALKS {
            return Err(Violation::TooManyLaneTalks(LANE_TALKS));
        }
        self.lane_inbox.push_back(talk);
        Ok(())
    }

    /// True when [`poll_lane_talk`](Self::poll_lane_talk) has something.
    pub fn has_lane_talk(&self) -> bool {
        !self.lane_inbox.is_empty()
    }

    /// The next thing that the other side told about further lanes.
    pub fn poll_lane_talk(&mut self) -> Option<LaneTalk> {
        self.lane_inbox.pop_front()
    }

    fn told_of_direct(&mut self, talk: DirectTalk) -> Result<(), Violation> {
        let of = if self.role == Role::Agent { Role::Controller } else { Role::Agent };
        if !may_say(of, &talk) {
            return Err(Violation::ControlOrder("talk of a direct session"));
        }
        self.direct_talks += 1;
        if self.direct_talks > DIRECT_TALKS {
            return Err(Violation::TooManyDirectTalks(DIRECT_TALKS));
        }
        self.direct_inbox.push_back(talk);
        Ok(())
    }

    /// The next thing that the other side told about a direct session.
    pub fn poll_direct_talk(&mut self) -> Option<DirectTalk> {
        self.direct_inbox.pop_front()
    }

    /// The next thing that the other side told, but for talk of lanes and of a direct session.
    /// Progress overtakes events: it is about now.
    pub fn poll_told(&mut self) -> Option<Told> {
        if let Some(progress) = self.progress.take_if(|_| self.role == Role::Controller) {
            return Some(Told::Progress(progress));
        }
        if !matches!(self.inbox.front(), Some(Told::Begin(..)))
            && let Some(bytes_per_sec) = self.pace.take()
        {
            return Some(Told::Pace(NonZeroU64::new(bytes_per_sec)));
        }
        let told = self.inbox.pop_front()?;
        if let Told::Event(event) = &told {
            self.taken_bytes += event_cost(event);
            // Not for each event a message, and long before the agent must wait.
            if self.taken_bytes >= EVENT_WINDOW_BYTES / 4 && !self.is_over_here {
                let bytes = std::mem::take(&mut self.taken_bytes);
                self.event_credit += bytes;
                self.outbox.push_back(Message::EventCredit(bytes));
            }
        }
        Some(told)
    }

    /// The next bytes for lane 0.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        let is_agent = self.role == Role::Agent;
        let message = match self.outbox.pop_front() {
            Some(message) => message,
            None => Message::Progress(self.progress.take_if(|_| is_agent)?),
        };
        Some(Outgoing::frame(Header::plain(FrameKind::Control), &encode(&message)))
    }
}

fn may_say(role: Role, talk: &DirectTalk) -> bool {
    let (controller, agent) = talk.is_of();
    if role == Role::Controller { controller } else { agent }
}

/// What an event takes of the room for events: its bytes and what it takes to hold them.
fn event_cost(event: &EventBytes) -> u64 {
    const HELD_BYTES: u64 = 64;
    event.as_bytes().len() as u64 + HELD_BYTES
}

#[cfg(test)]
mod tests;
