//! As agent: what this host has to do with the other one of a job, without a detour by the controller.
//!
//! The controller makes the two known to each other (`net::direct`). What they then have is a session like
//! any, in which the agent of the destination has the part of the controller, and that of the source serves
//! it by the same terms as it would the controller. It ends with the session that each of the two has with
//! their controller.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use engine::serve::{Server, Terms};
use engine::{RemoteSource, Surroundings};
use model::settings::Method;
use net::direct::{Other, Ready, Take, Way};
use net::further::{Bounds, Opener, Plan, Whereabouts, Wish};
use net::session::Cause;
use net::{Lane, Session, Setup};
use wire::{
    DirectEnd, DirectLoss, DirectMeeting, DirectTalk, DirectWish, Hello, LaneKind, Patience, Task,
    Text, Told, Violation,
};

use super::agent::connection;
use super::pace;
use super::sync::{source_of, tell};
use super::talk::setup;

/// How long an agent waits to hear who the other one is, which may have paths to look up before it answers.
const TO_BE_TOLD: Duration = Duration::from_secs(40);

/// How long it may take to meet: to connect, one way and a little later the other way.
const TO_MEET: Duration = Duration::from_secs(4);

/// The agent of the source waits until it is told that it is not to: longer than the controller does, so that
/// whoever says to have met it has.
const TO_BE_MET: Duration = Duration::from_secs(15);

/// How long a first word may take on a lane that has come up.
const TO_GREET: Duration = Duration::from_secs(3);

/// How long the other agent may take until it has said what it wants.
const TO_BEGIN: Duration = Duration::from_secs(5);

/// How often it is looked whether anybody still waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How long a run that was stopped waits for the other agent to take the last word.
const TO_SAY_BYE: Duration = Duration::from_millis(500);

/// Whom the agent of a destination asks.
pub(super) enum Asked {
    /// The controller, which has the source or asks for it.
    Controller,
    /// The agent of the source, in a session of their own.
    Agent(Arc<Session>, Hello),
}

impl Asked {
    /// Meets the agent of the source, if the controller makes the two known to each other. If that does not
    /// succeed in time it is told so, and all goes by the controller.
    pub(super) fn find(control: &Arc<Session>, serve: Task, around: &Surroundings) -> Self {
        // It was told before the job.
        let Some(DirectTalk::Prepare(wish)) = control.hear_of_direct(Duration::ZERO) else {
            return Self::Controller;
        };
        match meet_source(control, wish, serve, around) {
            Ok(Some((session, hello))) => {
                control.talk_of_direct(DirectTalk::Met).ok();
                stop_asking(&session, around);
                Self::Agent(session, hello)
            }
            Ok(None) => Self::Controller,
            Err(why) => {
                refuse(control, &why);
                Self::Controller
            }
        }
    }

    /// The source, whose relative paths begin from this directory.
    pub(super) fn source(
        &self,
        control: &Session,
        controller: &Hello,
        directory: Box<[u8]>,
    ) -> RemoteSource {
        match self {
            Self::Controller => source_of(control, controller, directory),
            Self::Agent(session, hello) => source_of(session, hello, directory),
        }
    }

    /// Nothing is asked any more. The controller learns what went from host to host, and whether that came to
    /// its end too early.
    pub(super) fn end(self, control: &Session, around: &Surroundings) {
        let Self::Agent(session, _) = self else { return };
        let over = session.over();
        if around.cancel.is_cancelled() {
            session.leave(TO_SAY_BYE);
        } else {
            session.bye();
        }
        let net::Traffic { sent_bytes, received_bytes } = session.traffic();
        let loss = over.as_ref().map(|over| loss_of(&over.cause));
        let text = Text::new(&over.map(|over| over.cause.to_string()).unwrap_or_default());
        let end = DirectEnd { sent_bytes, received_bytes, loss, text };
        control.talk_of_direct(DirectTalk::Over(end)).ok();
    }
}

fn loss_of(cause: &Cause) -> DirectLoss {
    match cause {
        Cause::Broken(Violation::Silent(_) | Violation::Mute | Violation::NoGreeting(_)) => {
            DirectLoss::Silent
        }
        // An agent that serves says goodbye only when it has lost its controller.
        Cause::Lost(_) | Cause::Unsendable(_) | Cause::Bye => DirectLoss::Cut,
        Cause::Here | Cause::Failed(_) | Cause::Broken(_) | Cause::Internal(_) => {
            DirectLoss::Failed
        }
    }
}

fn refuse(control: &Session, why: &str) {
    control.talk_of_direct(DirectTalk::Refusal(Text::new(why))).ok();
}

/// Once a run is stopped nothing is waited for that may be on its way from a host that does not answer.
fn stop_asking(session: &Arc<Session>, around: &Surroundings) {
    let (session, cancel) = (Arc::downgrade(session), around.cancel.clone());
    let wait = move || {
        while cancel.sleep(Duration::MAX).is_ok() {}
        if let Some(session) = session.upgrade() {
            session.ask_no_more();
        }
    };
    // Without it what is on its way is waited for.
    thread::Builder::new().name("hurry".to_owned()).spawn(wait).ok();
}

/// Makes this agent ready, and waits to hear who the other one is. `None` if there is to be none.
fn prepare(
    control: &Session,
    wish: DirectWish,
    limit: Duration,
    is_over: &dyn Fn() -> bool,
) -> Result<Option<(Ready, Box<DirectMeeting>)>, String> {
    let whereabouts = Whereabouts::Connection(connection());
    let (ready, offer) =
        Ready::new(wish, whereabouts).map_err(|error| format!("make ready for it: {error}"))?;
    if control.talk_of_direct(DirectTalk::Ready(offer)).is_err() {
        return Ok(None);
    }
    let begun = Instant::now();
    while begun.elapsed() < limit && !is_over() {
        match control.hear_of_direct(BETWEEN_LOOKS) {
            Some(DirectTalk::Meet(meeting)) => return Ok(Some((ready, meeting))),
            // That it has ended by then, and holds no port, is told in turn.
            Some(DirectTalk::Refusal(why)) => return Err(why.as_str().to_owned()),
            _ => {}
        }
    }
    if is_over() { Ok(None) } else { Err("the controller has not told who it is".to_owned()) }
}

/// What the controller tells of the other one while that is waited for. A refusal is this.
fn other_of(control: &Session, is_over: &dyn Fn() -> bool, refusal: Other) -> Other {
    if is_over() {
        return Other::IsGone;
    }
    match control.hear_of_direct(Duration::ZERO) {
        Some(DirectTalk::Refusal(_)) => refusal,
        _ => Other::MayCome,
    }
}

/// What either side of a session between two agents has to know.
fn setup_of(meeting: &DirectMeeting) -> Setup {
    let mut setup = setup(meeting.peer.as_str());
    setup.patience = patience_of(meeting);
    setup.patience.greeting = TO_GREET;
    setup
}

fn patience_of(meeting: &DirectMeeting) -> Patience {
    Patience::default().with_silence(Duration::from_secs(meeting.silence_secs.max(1)))
}

fn meet_source(
    control: &Arc<Session>,
    wish: DirectWish,
    serve: Task,
    around: &Surroundings,
) -> Result<Option<(Arc<Session>, Hello)>, String> {
    let is_over = || around.cancel.is_cancelled() || control.over().is_some();
    let Some((ready, meeting)) = prepare(control, wish, TO_BE_TOLD, &is_over)? else {
        return Ok(None);
    };
    let setup = setup_of(&meeting);
    let is_met = AtomicBool::new(false);
    let take = move |lane: Lane, way: Way| {
        let session = Session::open(lane, setup.clone()).ok()?;
        let hello = session.greeted().ok()?;
        // The first one that is greeted is begun, and none beside it.
        if is_met.swap(true, Ordering::Relaxed) {
            return None;
        }
        if session.begin(serve, &[]).is_err() {
            // It was lost meanwhile: another one may do.
            is_met.store(false, Ordering::Relaxed);
            return None;
        }
        Some((Arc::new(session), hello, way))
    };
    let take: Take<_> = Arc::new(take);
    let other = || other_of(control, &is_over, Other::HasGivenUp);
    let (session, hello, way) = match ready.meet(&meeting, TO_MEET, other, &take) {
        Ok(met) => met,
        Err(_) if is_over() => return Ok(None),
        Err(why) => return Err(why),
    };
    let (plan, notice) = (plan_of(wish, &meeting, way), notice_of(&meeting, around));
    // Without further lanes all goes over the first.
    session.widen(Some(plan), whereabouts_of(way), notice).ok();
    Ok(Some((session, hello)))
}

fn whereabouts_of(way: Way) -> Whereabouts {
    let peer: Option<IpAddr> = match way {
        Way::To(address) => Some(address),
        Way::From => None,
    };
    Whereabouts::Met { peer, connection: connection() }
}

/// What further lanes are to be made of, which is as the first one was.
fn plan_of(wish: DirectWish, meeting: &DirectMeeting, way: Way) -> Plan {
    Plan {
        wish: kinds_of(wish, meeting),
        opener: match way {
            Way::To(_) if wish.listens => Opener::Auto,
            Way::To(_) => Opener::Here,
            Way::From => Opener::There,
        },
        count: meeting.count,
        ports: wish.ports,
        family: wish.family.map(Into::into),
        is_asked: false,
    }
}

/// The other one may have no more of the source's host than the controller has asked for.
fn bounds_of(wish: DirectWish, meeting: &DirectMeeting) -> Bounds {
    Bounds {
        wish: kinds_of(wish, meeting),
        listens: wish.listens,
        connects: meeting.connects_after_ms.is_some(),
        ports: wish.ports,
        family: wish.family.map(Into::into),
    }
}

fn kinds_of(wish: DirectWish, meeting: &DirectMeeting) -> Wish {
    match wish.kind {
        _ if meeting.mixes_kinds => Wish::Auto,
        LaneKind::Tcp => Wish::Tcp,
        LaneKind::Quic => Wish::Quic,
        LaneKind::Ssh => Wish::None,
    }
}

/// What becomes of lanes is told as long as the job goes on.
fn notice_of(meeting: &DirectMeeting, around: &Surroundings) -> net::further::Notice {
    let around = meeting.tells.then(|| around.clone());
    Box::new(move |sentence| {
        if let Some(around) = around.as_ref().filter(|around| !around.cancel.is_cancelled()) {
            tell(around, sentence);
        }
    })
}

/// What the agent of a source offers to the other one, too.
pub(super) struct Offered {
    /// By the same terms.
    pub(super) terms: Terms,
    /// Compressed in the same way.
    pub(super) method: Option<Method>,
    /// As fast.
    pub(super) pace: Arc<pace::Told>,
}

/// Serves the agent of the destination, if the controller makes the two known to each other. That goes on
/// beside what is done for the controller, and ends with it.
pub(super) fn offer(control: &Arc<Session>, task: Task, offered: Offered) {
    let of_thread = Arc::clone(control);
    let serve = move || {
        let control = of_thread;
        while let Some(talk) = control.hear_of_direct(Duration::MAX) {
            let DirectTalk::Prepare(wish) = talk else { continue };
            return match meet_destination(&control, wish, task, &offered) {
                Ok(Some(session)) => follow(&session),
                Ok(None) => {}
                Err(why) => refuse(&control, &why),
            };
        }
    };
    if let Err(error) = thread::Builder::new().name("direct".to_owned()).spawn(serve) {
        // Nobody is to wait for it.
        refuse(control, &format!("begin a thread for it: {error}"));
    }
}

fn meet_destination(
    control: &Arc<Session>,
    wish: DirectWish,
    task: Task,
    offered: &Offered,
) -> Result<Option<Arc<Session>>, String> {
    let is_over = || control.over().is_some();
    let Some((ready, meeting)) = prepare(control, wish, TO_BE_TOLD, &is_over)? else {
        return Ok(None);
    };
    // What there is to do is known by the controller's word.
    let setup = Setup { most_work_bytes: 0, ..setup_of(&meeting) };
    let take = move |lane: Lane, way: Way| {
        let session = Session::accept(lane, setup.clone()).ok()?;
        // Of several lanes the other one begins but one.
        match session.hear_at_most(TO_BEGIN) {
            Some(Told::Begin(begun, _)) if begun == task => Some((Arc::new(session), way)),
            _ => None,
        }
    };
    let take: Take<_> = Arc::new(take);
    // It is the other one that decides, and the controller that tells of it.
    let other = || other_of(control, &is_over, Other::IsGone);
    let (session, way) = match ready.meet(&meeting, TO_BE_MET, other, &take) {
        Ok(met) => met,
        Err(_) if is_over() => return Ok(None),
        Err(why) => return Err(why),
    };
    offered.pace.add(&session);
    session.compress(offered.method);
    session.serve(Arc::new(Server::new(offered.terms.clone())));
    // Without further lanes all goes over the first.
    session.widen_within(bounds_of(wish, &meeting), whereabouts_of(way)).ok();
    Ok(Some(session))
}

/// It has nothing more to tell but its end.
fn follow(session: &Session) {
    while let Ok(Some(_)) = session.hear() {}
}

#[cfg(test)]
mod tests;
