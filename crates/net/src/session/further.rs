//! Sees to the lanes beside the first: agrees on them with the other side, brings them up, and as
//! requester decides how many are used.
//!
//! ```text
//! the controller connects:   Wanted ->            <- Offer      connects
//! the agent connects:        Offer ->             <- Wanted     is connected to
//! ```
//!
//! Who cannot do its part says so by a Refusal. From then on the side that connects keeps as many lanes
//! up as the requester would have, which tells by a Count if it is not the same side. The session goes
//! on over the first lane all the while, and whatever goes wrong here costs it nothing.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

use wire::{
    Fingerprint, LaneCount, LaneEnd, LaneKind, LaneNumber, LaneOffer, LaneRefusal, LaneTalk,
    LaneWanted, List, Opening, Patience, Text,
};

use super::lanes::{self, LaneKey};
use super::state::{Part, Shared, State};
use crate::further::{
    Caller, Decision, FURTHER_MAX, Identity, Listener, Notice, Opener, Plan, Sample, Tuner,
    Whereabouts, Wish, add_offered, resolve,
};
use crate::lane::{Hangup, Lane};
use crate::pipe::Switch;

/// How long the other side may take to connect, or to say that it cannot. It is to wait for its own
/// attempts, and the word for what goes over the first lane before it.
const TO_AGREE: Duration = Duration::from_secs(30);

/// How long it may take to connect: three times what a first packet that is lost costs.
const TO_CONNECT: Duration = Duration::from_secs(3);

/// How often the tuner looks.
const TICK: Duration = Duration::from_millis(250);

/// After an attempt that failed, one waits so long, and twice as long after each further one.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Most connections that are begun at the same time: what a listener takes at once, and less.
const AT_ONCE: usize = 16;

/// From here on no lane takes the place of one that was lost: the network carries none, or harms them.
const LOSSES_MAX: usize = 8;

/// What a session knows of its further lanes.
#[derive(Default)]
pub(super) struct Further {
    /// Who sees to them, while it waits.
    keeper: Option<Thread>,
    /// Ends whatever it does.
    pub(super) switch: Option<Switch>,
    /// Lanes that have come to a bad end, of which nobody was told.
    losses: Vec<(LaneNumber, Box<str>)>,
    loss_count: usize,
}

impl Further {
    /// There is something new.
    pub(super) fn wake(&mut self, wakes: &mut Vec<Thread>) {
        wakes.extend(self.keeper.take());
    }

    /// A lane has come to a bad end; it has no number if it never was of use.
    pub(super) fn lost(&mut self, number: Option<LaneNumber>, why: Box<str>) {
        self.losses.extend(number.map(|number| (number, why)));
        self.loss_count += 1;
    }
}

/// Starts the thread that sees to further lanes: as controller by a plan, as agent as it is told.
pub(super) fn start(
    shared: &Arc<Shared>,
    plan: Option<Plan>,
    whereabouts: Whereabouts,
    notice: Notice,
) -> io::Result<()> {
    let identity = Identity::new().map_err(io::Error::other)?;
    let switch = Switch::new()?;
    let is_over = shared.change(|state| {
        state.further.switch = Some(switch.clone());
        state.over.is_some()
    });
    if is_over {
        return Ok(());
    }
    // Each side gives its lanes numbers that the other never gives.
    let next_number = if plan.is_some() { 1 } else { 2 };
    let mut keeper =
        Keeper { shared: Arc::clone(shared), identity, whereabouts, notice, switch, next_number };
    shared.spawn("further lanes", move || {
        match plan {
            Some(plan) => keeper.control(&plan),
            None => keeper.obey(),
        }
        keeper.shared.change(|state| state.further.switch = None);
    })
}

/// Why there are no further lanes of some kind.
enum Failed {
    /// For this reason.
    For(String),
    /// Nobody needs them any more.
    Over,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::For(error.to_string())
    }
}

/// How lanes come about.
enum Means {
    /// This side connects.
    Connects { to: SocketAddr, caller: Caller },
    /// The other side does, until the switch is off.
    Listens(Switch),
}

impl Drop for Means {
    fn drop(&mut self) {
        if let Self::Listens(switch) = self {
            switch.hang_up();
        }
    }
}

struct Keeper {
    shared: Arc<Shared>,
    identity: Identity,
    whereabouts: Whereabouts,
    notice: Notice,
    switch: Switch,
    next_number: u16,
}

impl Keeper {
    /// What a controller does.
    fn control(&mut self, plan: &Plan) {
        let kinds: &[LaneKind] = match plan.wish {
            Wish::None => return,
            // Over TCP the kernel does what costs three times as much here.
            Wish::Auto => &[LaneKind::Tcp, LaneKind::Quic],
            Wish::Tcp => &[LaneKind::Tcp],
            Wish::Quic => &[LaneKind::Quic],
        };
        let openers: &[Opener] = match plan.opener {
            Opener::Auto => &[Opener::Here, Opener::There],
            Opener::Here => &[Opener::Here],
            Opener::There => &[Opener::There],
        };
        let mut reasons = Vec::new();
        for kind in kinds {
            for opener in openers {
                let made = match opener {
                    Opener::There => self.have_connected(*kind, plan),
                    Opener::Auto | Opener::Here => self.connect_as_planned(*kind, plan),
                };
                match made {
                    Ok(means) => return drop(self.keep(&means, plan.count)),
                    Err(Failed::Over) => return,
                    Err(Failed::For(reason)) => reasons.push(reason),
                }
            }
        }
        // Where nothing is known of the other host there is nothing that could be mended.
        if plan.is_asked || !self.whereabouts.of_peer().is_empty() {
            let reasons = reasons.join("; ");
            (self.notice)(&format!(
                "no lane could be made beside ssh, so all goes through that: {reasons}"
            ));
        }
    }

    fn connect_as_planned(&mut self, kind: LaneKind, plan: &Plan) -> Result<Means, Failed> {
        self.tell(LaneTalk::Wanted(LaneWanted {
            kind,
            fingerprint: self.identity.fingerprint(),
            ports: plan.ports,
            family: plan.family.map(Into::into),
            count: plan.count,
        }))?;
        match self.answer(|| false)? {
            Some(LaneTalk::Offer(offer)) if offer.kind == kind => self.connect(&offer, plan.family),
            Some(LaneTalk::Refusal(refusal)) => {
                Err(Failed::For(format!("the other host: {}", shown(&refusal))))
            }
            _ => Err(Failed::For("the other host did not answer".to_owned())),
        }
    }

    /// Connects to a side that listens, with one lane.
    fn connect(
        &mut self,
        offer: &LaneOffer,
        family: Option<crate::shell::Family>,
    ) -> Result<Means, Failed> {
        let Some(port) = offer.ports.as_slice().first().copied() else {
            return Err(Failed::For("the other host listens on no port".to_owned()));
        };
        let known = self.whereabouts.of_peer();
        // A remote shell of which nothing is known may be a stand-in that stays on this host.
        let may_be_here = known.is_empty();
        let mut to = resolve(known, port, family, &self.switch);
        let offered = offer.addresses.as_slice().iter().map(Text::as_str);
        add_offered(&mut to, offered, may_be_here, (port, family));
        if to.is_empty() {
            return Err(Failed::For("no address of the other host is known".to_owned()));
        }
        let caller = Caller::new(offer.kind, &self.identity, offer.fingerprint)?;
        let (at, lane) = match caller.dial(&to, TO_CONNECT, &self.switch) {
            Ok(connected) => connected,
            Err(_) if self.switch.is_off() => return Err(Failed::Over),
            Err(error) => return Err(Failed::For(format!("connect to {}: {error}", to[0]))),
        };
        self.add(lane)?;
        Ok(Means::Connects { to: at, caller })
    }

    fn add(&mut self, lane: Lane) -> io::Result<()> {
        let number = LaneNumber(self.next_number);
        // Long before they are used up too many are lost.
        self.next_number = self.next_number.saturating_add(2);
        add(&self.shared, lane, Some(number))
    }

    /// Has the agent connect.
    fn have_connected(&mut self, kind: LaneKind, plan: &Plan) -> Result<Means, Failed> {
        let listener = Listener::bind(kind, plan.ports, plan.family)
            .map_err(|error| Failed::For(format!("listen here: {error}")))?;
        self.offer(kind, &listener, plan.count)?;
        let wanted = match self.answer(|| false)? {
            Some(LaneTalk::Wanted(wanted)) if wanted.kind == kind => wanted,
            Some(LaneTalk::Refusal(refusal)) => {
                return Err(Failed::For(format!("the other host: {}", shown(&refusal))));
            }
            _ => return Err(Failed::For("the other host did not answer".to_owned())),
        };
        let means = self.listen(listener, wanted.fingerprint)?;
        let shared = Arc::clone(&self.shared);
        let is_connected = || shared.change(|state| state.lane_count() > 1);
        match self.answer(is_connected)? {
            None if is_connected() => Ok(means),
            Some(LaneTalk::Refusal(refusal)) => {
                Err(Failed::For(format!("the other host: {}", shown(&refusal))))
            }
            _ => Err(Failed::For("the other host did not connect".to_owned())),
        }
    }

    fn offer(&self, kind: LaneKind, listener: &Listener, count: LaneCount) -> Result<(), Failed> {
        let session = self.shared.change(|state| state.session).ok_or(Failed::Over)?;
        let addresses =
            self.whereabouts.of_own().iter().map(|address| Text::new(address)).collect();
        self.tell(LaneTalk::Offer(LaneOffer {
            kind,
            session,
            fingerprint: self.identity.fingerprint(),
            addresses: List::new(addresses).unwrap_or_default(),
            ports: List::new(vec![listener.port()]).unwrap_or_default(),
            count,
        }))
    }

    /// Lets in who has a key, from now on.
    fn listen(&self, listener: Listener, peer: Fingerprint) -> Result<Means, Failed> {
        let identity = self.identity.clone();
        let switch = Switch::new()?;
        let means = Means::Listens(switch.clone());
        let shared = Arc::clone(&self.shared);
        // Those that took the place of lost ones among them.
        let most = usize::from(FURTHER_MAX) + LOSSES_MAX;
        self.shared.spawn("lane listener", move || {
            let take = |lane| add(&shared, lane, None).is_ok();
            // Without a listener it is as if nobody connected.
            listener.run(&identity, peer, (most, &switch), take).ok();
        })?;
        Ok(means)
    }

    /// What an agent does, as it is told.
    fn obey(&mut self) {
        let mut talk = self.next_talk(Duration::MAX, || false);
        while let Ok(Some(told)) = talk {
            let made = match told {
                LaneTalk::Wanted(wanted) => {
                    let made = self.listen_as_wanted(&wanted);
                    self.refuse_if_failed(wanted.kind, made.map(|means| (means, wanted.count)))
                }
                LaneTalk::Offer(offer) => {
                    let made = self.connect_as_offered(&offer);
                    self.refuse_if_failed(offer.kind, made.map(|means| (means, offer.count)))
                }
                LaneTalk::Count(_) | LaneTalk::Refusal(_) => Ok(None),
            };
            talk = match made {
                Ok(Some((means, count))) => self.keep(&means, count),
                Ok(None) => self.next_talk(Duration::MAX, || false),
                Err(over) => Err(over),
            };
        }
    }

    fn listen_as_wanted(&self, wanted: &LaneWanted) -> Result<Means, Failed> {
        let family = wanted.family.map(Into::into);
        let listener = Listener::bind(wanted.kind, wanted.ports, family)?;
        let port = self.offer(wanted.kind, &listener, wanted.count);
        port.and_then(|()| self.listen(listener, wanted.fingerprint))
    }

    fn connect_as_offered(&mut self, offer: &LaneOffer) -> Result<Means, Failed> {
        self.tell(LaneTalk::Wanted(LaneWanted {
            kind: offer.kind,
            fingerprint: self.identity.fingerprint(),
            ports: wire::PortRange::Any,
            family: None,
            count: offer.count,
        }))?;
        self.connect(offer, None)
    }

    /// Tells the controller what went wrong.
    fn refuse_if_failed<T>(
        &self,
        kind: LaneKind,
        made: Result<T, Failed>,
    ) -> Result<Option<T>, Failed> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(Failed::Over) => Err(Failed::Over),
            Err(Failed::For(reason)) => {
                let text = Text::new(&reason);
                self.tell(LaneTalk::Refusal(LaneRefusal { kind, text })).map(|()| None)
            }
        }
    }

    fn tell(&self, talk: LaneTalk) -> Result<(), Failed> {
        self.shared.change(|state| {
            if state.over.is_some() {
                return Err(Failed::Over);
            }
            state.control.talk_of_lanes(talk);
            Ok(())
        })
    }

    /// What the other side says next, or nothing if that is not to be waited for any more.
    fn answer(&self, is_enough: impl Fn() -> bool) -> Result<Option<LaneTalk>, Failed> {
        loop {
            match self.next_talk(TO_AGREE, &is_enough)? {
                Some(LaneTalk::Count(_)) => {}
                talk => return Ok(talk),
            }
        }
    }

    fn next_talk(
        &self,
        limit: Duration,
        is_enough: impl Fn() -> bool,
    ) -> Result<Option<LaneTalk>, Failed> {
        let next = self.shared.wait_at_most(
            limit,
            |state, me| {
                if state.over.is_some() {
                    return Some(Err(Failed::Over));
                }
                let talk = state.control.poll_lane_talk();
                if talk.is_none() {
                    state.further.keeper = Some(me.clone());
                }
                talk.map(|talk| Ok(Some(talk)))
            },
            is_enough,
        );
        next.unwrap_or(Ok(None))
    }

    /// Keeps lanes up and uses those that pay, until there is something else to do.
    fn keep(&mut self, means: &Means, count: LaneCount) -> Result<Option<LaneTalk>, Failed> {
        let is_requester = self.shared.change(|state| state.part() == Some(Part::Requester));
        let mut tuner = Tuner::new(count);
        let mut wanted = tuner.decision();
        let mut told = wanted.lanes;
        let (mut wait, mut next_attempt) = (BETWEEN_ATTEMPTS, self.shared.now());
        if is_requester {
            self.shared.change(|state| state.apply(wanted));
        }
        loop {
            match self.next_talk(TICK, || false)? {
                Some(LaneTalk::Count(lanes)) if !is_requester => {
                    wanted.lanes = lanes.min(FURTHER_MAX);
                }
                Some(talk @ (LaneTalk::Offer(_) | LaneTalk::Wanted(_))) => return Ok(Some(talk)),
                _ => {}
            }
            self.tell_losses();
            if is_requester {
                let now = self.shared.now();
                wanted = self.shared.change(|state| {
                    let wanted = tuner.observe(state.sample(now));
                    state.apply(wanted);
                    wanted
                });
            }
            let Means::Connects { to, caller } = means else {
                if is_requester && wanted.lanes != told {
                    told = wanted.lanes;
                    self.tell(LaneTalk::Count(told))?;
                }
                continue;
            };
            let lacking = self.shared.change(|state| state.lacking_lanes(wanted.lanes));
            if lacking > 0 && self.shared.now() >= next_attempt {
                wait = if self.connect_more(*to, caller, lacking).is_ok() {
                    BETWEEN_ATTEMPTS
                } else {
                    next_attempt = self.shared.now() + wait;
                    wait * 2
                };
            }
        }
    }

    /// Connects so many times, side by side.
    fn connect_more(&mut self, to: SocketAddr, caller: &Caller, lacking: usize) -> io::Result<()> {
        let switch = &self.switch;
        let connected: Vec<_> = thread::scope(|scope| {
            let one = || caller.dial(&[to], TO_CONNECT, switch);
            let all =
                (0..lacking.min(AT_ONCE)).map(|_| thread::Builder::new().spawn_scoped(scope, one));
            let all: Vec<_> = all.collect();
            let joined = |one: io::Result<thread::ScopedJoinHandle<'_, _>>| {
                one?.join().unwrap_or_else(|_| Err(io::Error::other("connecting panicked")))
            };
            all.into_iter().map(joined).collect()
        });
        connected.into_iter().try_for_each(|connected| self.add(connected?.1))
    }

    /// The user learns of it at the side that reports.
    fn tell_losses(&self) {
        let losses = self.shared.change(|state| std::mem::take(&mut state.further.losses));
        let Some((_, why)) = losses.first() else { return };
        let mut names = String::new();
        for (number, _) in &losses {
            let comma = if names.is_empty() { "" } else { ", " };
            write!(names, "{comma}{number}").expect("a string takes what it is given");
        }
        let lanes = if losses.len() == 1 { "lane" } else { "lanes" };
        (self.notice)(&format!(
            "{lanes} {names} beside ssh broke, and what was on the way there is asked for again: {why}"
        ));
    }
}

/// What the other side says of why it cannot, on one line.
fn shown(refusal: &LaneRefusal) -> String {
    refusal.text.as_str().escape_debug().to_string()
}

/// Takes a lane into the session, as one that may be lost.
fn add(shared: &Arc<Shared>, lane: Lane, number: Option<LaneNumber>) -> io::Result<()> {
    let session = shared.change(|state| state.session);
    let session = session.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
    let end = match number {
        Some(lane) => LaneEnd::Opener(Opening { session, lane }),
        None => LaneEnd::Acceptor(session),
    };
    lanes::start(shared, lane, end, patience(shared.setup.patience))
}

/// A further lane that is silent is given up sooner: nothing is lost by it.
fn patience(of_session: Patience) -> Patience {
    Patience {
        greeting: of_session.greeting.min(Duration::from_secs(10)),
        keepalive: of_session.keepalive.min(Duration::from_secs(3)),
        silence: of_session.silence.min(Duration::from_secs(12)),
    }
}

impl State {
    /// What the tuner looks at.
    fn sample(&self, now: Duration) -> Sample {
        let carried = |is_first: bool| {
            let lanes = self.lanes.iter().filter(|(key, _)| (**key == LaneKey::FIRST) == is_first);
            lanes.map(|(_, lane)| lane.carried_bytes()).sum::<u64>()
        };
        Sample {
            now,
            first_bytes: carried(true),
            further_bytes: self.carried_before + carried(false),
            lanes: u16::try_from(self.lane_count().saturating_sub(1)).unwrap_or(u16::MAX),
            is_busy: self.requester.as_ref().is_some_and(wire::Requester::is_busy),
        }
    }

    /// Uses the lanes that are to be used, and gives back those that are at rest.
    fn apply(&mut self, Decision { lanes, uses_first }: Decision) {
        let Some(requester) = &mut self.requester else { return };
        requester.spare(LaneNumber::FIRST, !uses_first);
        let further = self.lanes.iter().filter(|(key, _)| **key != LaneKey::FIRST);
        let mut used: Vec<_> = further.filter_map(|(_, lane)| lane.usable()).collect();
        let spared = used.split_off(used.len().min(usize::from(lanes)));
        for number in used {
            requester.spare(number, false);
        }
        let mut at_rest = Vec::new();
        for number in spared {
            requester.spare(number, true);
            if requester.is_at_rest(number) {
                at_rest.push(number);
            }
        }
        for number in at_rest {
            self.close_lane(number);
        }
    }

    /// How many there are less than so many, those that are being greeted counted.
    fn lacking_lanes(&self, lanes: u16) -> usize {
        if self.over.is_some() || self.further.loss_count >= LOSSES_MAX {
            return 0;
        }
        let further = self.lanes.iter().filter(|(key, _)| **key != LaneKey::FIRST);
        let count = further.filter(|(_, lane)| !lane.is_over).count();
        usize::from(lanes.min(FURTHER_MAX)).saturating_sub(count)
    }
}

#[cfg(test)]
mod tests;
