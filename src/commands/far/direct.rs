//! Two agents are made known to each other, so that content goes from the one to the other and not by here.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use net::Session;
use net::further::{Opener, Whereabouts, Wish};
use wire::{
    DirectEnd, DirectLoss, DirectMeeting, DirectOffer, DirectTalk, DirectWish, LaneKind, List,
    Patience, Text,
};

use super::{Far, Notices};
use crate::exit_code::Exit;

/// How long an agent may take to make itself ready. It may have paths to look up before it hears of it.
const TO_GET_READY: Duration = Duration::from_secs(30);

/// How long names may take to be looked up once both are ready.
const TO_LOOK_UP: Duration = Duration::from_secs(3);

/// How long the agent of the source may take to hold no port any more.
const TO_LET_GO: Duration = Duration::from_secs(1);

/// How long the two may take to meet, the ways to both of them included.
const TO_MEET: Duration = Duration::from_secs(10);

/// The second of two ways is tried so much later, for it would seldom do better than the first.
const BEFORE_SECOND_WAY: Duration = Duration::from_millis(500);

/// How often it is looked whether anybody still waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Two agents, and what they are to do.
pub(super) struct Introduction<'a> {
    source: &'a Far,
    destination: &'a Far,
    notices: Arc<Notices>,
}

/// Why two agents do not meet.
struct Apart {
    why: String,
    /// There is something that could be mended.
    is_told: bool,
}

impl<'a> Introduction<'a> {
    /// Asks both to make themselves ready; `None` if they are not to meet. The agent of the destination must
    /// not have been told what to do: it would not wait for the other one.
    pub(super) fn begin(
        source: &'a Far,
        destination: &'a Far,
        notices: &Arc<Notices>,
    ) -> Option<Self> {
        let plan = &destination.lanes;
        let kind = match plan.wish {
            // Both say that no port is to be opened.
            Wish::None | Wish::Ssh => return None,
            Wish::Auto | Wish::Tcp => LaneKind::Tcp,
            Wish::Quic => LaneKind::Quic,
        };
        let introduction = Self { source, destination, notices: Arc::clone(notices) };
        for (far, listens) in [
            (source, matches!(plan.opener, Opener::Auto | Opener::Here)),
            (destination, matches!(plan.opener, Opener::Auto | Opener::There)),
        ] {
            let family = plan.family.map(Into::into);
            let wish = DirectWish { kind, listens, ports: plan.ports, family };
            // A session that is over is noticed by who follows it.
            far.session.talk_of_direct(DirectTalk::Prepare(wish)).ok();
        }
        Some(introduction)
    }

    /// Does the rest in a thread of its own.
    pub(super) fn go_on_within<'scope>(
        self,
        scope: &'scope thread::Scope<'scope, '_>,
        is_done: &'scope AtomicBool,
    ) where
        'a: 'scope,
    {
        let go_on = move || self.go_on(is_done);
        // Without it the agent of the destination waits in vain for a while, and then all goes by here.
        thread::Builder::new().name("introduction".to_owned()).spawn_scoped(scope, go_on).ok();
    }

    /// Has them meet; where they cannot, all goes by here. Then hears what becomes of it, until the session
    /// with the agent of the destination is over or `is_done` is set.
    fn go_on(&self, is_done: &AtomicBool) {
        let Self { source, destination, notices } = self;
        let mut has_source_ended = false;
        if let Err(Apart { why, is_told }) = self.bring_together(is_done, &mut has_source_ended) {
            for far in [source, destination] {
                refuse(far);
            }
            if is_told && destination.session.over().is_none() {
                let [from, to] = [source, destination].map(|far| &far.host);
                notices.tell(&format!(
                    "content goes from {from} to {to} through this host, since they do not reach each other: \
                     {}",
                    why.escape_debug()
                ));
            }
            // It is to listen anew, where it may have but one port for it.
            let until = Instant::now() + TO_LET_GO;
            while !has_source_ended && let Some(talk) = hear(&source.session, until, is_done) {
                has_source_ended = matches!(talk, DirectTalk::Refusal(_));
            }
            destination.widen_all(notices);
        }
        loop {
            let is_last = is_done.load(Ordering::Relaxed) || destination.session.over().is_some();
            match destination.session.hear_of_direct(BETWEEN_LOOKS) {
                Some(DirectTalk::Over(end)) => {
                    let mut told =
                        destination.direct.lock().unwrap_or_else(PoisonError::into_inner);
                    *told = Some(end);
                }
                None if is_last => break,
                _ => {}
            }
        }
    }

    /// `has_source_ended` says whether the agent of the source has said that it does nothing more for it.
    fn bring_together(
        &self,
        is_done: &AtomicBool,
        has_source_ended: &mut bool,
    ) -> Result<(), Apart> {
        let Self { source, destination, .. } = self;
        let names = [source, destination].map(|far| Names::look_up(&far.whereabouts));
        let until = Instant::now() + TO_GET_READY;
        let mut ready = |far: &Far| loop {
            match hear(&far.session, until, is_done) {
                Some(DirectTalk::Ready(offer)) => return Ok(offer),
                Some(DirectTalk::Refusal(why)) => {
                    *has_source_ended |= std::ptr::eq(far, *source);
                    return Err(Apart { why: why.as_str().to_owned(), is_told: true });
                }
                Some(_) => {}
                None => {
                    let why = format!("{} did not answer", far.host);
                    return Err(Apart { why, is_told: true });
                }
            }
        };
        let (of_source, of_destination) = (ready(source)?, ready(destination)?);
        let until = Instant::now() + TO_LOOK_UP;
        let is_over = || is_done.load(Ordering::Relaxed) || destination.session.over().is_some();
        let [names_of_source, names_of_destination] = names.map(|it| it.wait(until, is_over));
        let is_known = |offer: &DirectOffer, names: &[String]| {
            offer.port.is_some() && (!names.is_empty() || !offer.addresses.as_slice().is_empty())
        };
        if !is_known(&of_source, &names_of_source)
            && !is_known(&of_destination, &names_of_destination)
        {
            // Nothing is known of where they are: there is nothing that could be mended.
            let (why, is_told) =
                ("no address of them is known".to_owned(), self.destination.lanes.is_asked);
            return Err(Apart { why, is_told });
        }
        let other_way = of_source.port.map(|_| BEFORE_SECOND_WAY).unwrap_or_default();
        self.meet(destination, source, (of_source, names_of_source), Duration::ZERO);
        self.meet(source, destination, (of_destination, names_of_destination), other_way);
        self.hear_whether_met(is_done, has_source_ended)
    }

    /// Tells one of them who the other one is, and to connect to it if that listens.
    fn meet(
        &self,
        far: &Far,
        other: &Far,
        (offer, names): (DirectOffer, Vec<String>),
        after: Duration,
    ) {
        let plan = &self.destination.lanes;
        let names = names.iter().map(|name| Text::new(name)).collect();
        let connects = offer.port.is_some();
        let meeting = DirectMeeting {
            offer,
            names: List::new(names).unwrap_or_default(),
            connects_after_ms: connects.then(|| u64::try_from(after.as_millis()).unwrap_or(0)),
            peer: Text::new(&format!("the agent on {}", other.host)),
            silence_secs: far.silence.unwrap_or(Patience::default().silence).as_secs(),
            count: plan.count,
            mixes_kinds: plan.wish == Wish::Auto,
            tells: self.notices.is_heard(),
        };
        far.session.talk_of_direct(DirectTalk::Meet(Box::new(meeting))).ok();
    }

    fn hear_whether_met(
        &self,
        is_done: &AtomicBool,
        has_source_ended: &mut bool,
    ) -> Result<(), Apart> {
        let Self { source, destination, .. } = self;
        let until = Instant::now() + TO_MEET;
        let mut why_not = None;
        loop {
            if let Some(DirectTalk::Refusal(why)) = source.session.hear_of_direct(Duration::ZERO)
                && !std::mem::replace(has_source_ended, true)
            {
                // The other one need not wait for it any more.
                refuse(destination);
                why_not = Some(format!("; from {}: {}", source.host, why.as_str()));
            }
            match destination.session.hear_of_direct(BETWEEN_LOOKS) {
                Some(DirectTalk::Met) => return Ok(()),
                Some(DirectTalk::Refusal(why)) => {
                    let (to, why_not) = (&destination.host, why_not.unwrap_or_default());
                    let why = format!("from {to}: {}{why_not}", why.as_str());
                    return Err(Apart { why, is_told: true });
                }
                _ => {}
            }
            let is_over = destination.session.over().is_some() || is_done.load(Ordering::Relaxed);
            if is_over || Instant::now() >= until {
                let why = format!("{} did not answer", destination.host);
                return Err(Apart { why, is_told: true });
            }
        }
    }
}

/// One is told that they do not meet. Why is for the user: what the one finds is not for the other.
fn refuse(far: &Far) {
    let why = Text::new("content goes by the controller");
    // A session that is over is noticed by who follows it.
    far.session.talk_of_direct(DirectTalk::Refusal(why)).ok();
}

/// Names of a host, which are looked up meanwhile: the remote shell may take any time for it.
struct Names(Option<Receiver<Vec<String>>>);

impl Names {
    fn look_up(whereabouts: &Whereabouts) -> Self {
        let (tell, told) = mpsc::channel();
        let whereabouts = whereabouts.clone();
        let look_up = move || drop(tell.send(whereabouts.of_peer()));
        let begun = thread::Builder::new().name("names".to_owned()).spawn(look_up);
        Self(begun.is_ok().then_some(told))
    }

    /// There are none if that takes longer.
    fn wait(self, until: Instant, is_over: impl Fn() -> bool) -> Vec<String> {
        let Some(told) = self.0 else { return Vec::new() };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match told.recv_timeout(left.min(BETWEEN_LOOKS)) {
                Err(RecvTimeoutError::Timeout) if !left.is_zero() && !is_over() => {}
                told => return told.unwrap_or_default(),
            }
        }
    }
}

/// Waits for what an agent tells; `None` if it tells nothing in time.
fn hear(session: &Session, until: Instant, is_done: &AtomicBool) -> Option<DirectTalk> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let talk = session.hear_of_direct(left.min(BETWEEN_LOOKS));
        let is_over = session.over().is_some() || is_done.load(Ordering::Relaxed);
        if talk.is_some() || left.is_zero() || is_over {
            return talk;
        }
    }
}

/// How a run ends whose agents have lost each other.
pub(super) fn exit_of(end: &DirectEnd) -> Option<Exit> {
    end.loss.map(|loss| match loss {
        DirectLoss::Silent => Exit::Silence,
        DirectLoss::Cut | DirectLoss::Failed => Exit::Stream,
    })
}

/// Two agents have lost each other.
pub(super) struct Lost<'a> {
    pub(super) end: &'a DirectEnd,
    pub(super) source: &'a Far,
    pub(super) destination: &'a Far,
}

impl fmt::Display for Lost<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [self.source, self.destination].map(|far| &far.host);
        let why = self.end.text.as_str().escape_debug();
        write!(formatter, "source: {to} asked {from} itself, and could not go on: {why}")
    }
}
