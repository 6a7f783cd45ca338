//! Sees to the lanes beside the first: agrees on them with the other side, brings them up, and as
//! requester decides how many are used.
//!
//! ```text
//! the controller connects:   Wanted ->            <- Offer      connects
//! the agent connects:        Offer ->             <- Wanted     is connected to
//! the controller logs in:    Logins ->            <- Door       lets in what that has started
//! ```
//!
//! Who cannot do its part says so by a Refusal. From then on the side that connects keeps as many lanes
//! up as the requester would have, which tells by a Count if it is not the same side. A Count of a kind
//! that there is not lets the controller begin as above, for that kind beside the other. The session
//! goes on over the first lane all the while, and whatever goes wrong here costs it nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

use wire::{
    Fingerprint, LaneCount, LaneEnd, LaneKind, LaneNumber, LaneOffer, LaneRefusal, LaneTalk,
    LaneWanted, List, Opening, Patience, Text,
};

use super::lanes;
use super::state::Shared;
use crate::further::{
    Bounds, Caller, Door, FURTHER_MAX, Identity, KINDS, Listener, Logins, Notice, Opener, PerKind,
    Plan, Whereabouts, Wish, add_offered, resolve,
};
use crate::lane::{Hangup, Lane};
use crate::pipe::Switch;

mod keeping;

use keeping::Bundle;

/// How long the other side may take to connect, or to say that it cannot. It is to wait for its own
/// attempts, and the word for what goes over the first lane before it.
const TO_AGREE: Duration = Duration::from_secs(30);

/// How long it may take to connect: three times what a first packet that is lost costs.
const TO_CONNECT: Duration = Duration::from_secs(3);

/// From here on no lane takes the place of one of its kind that was lost: the network carries none, or
/// harms them.
const LOSSES_MAX: usize = 8;

/// Lanes that are taken of who connects, those among them that took the place of lost ones.
const MOST_LET_IN: usize = FURTHER_MAX as usize + LOSSES_MAX;

/// Where somebody is followed only so far, offers that may lead nowhere.
const VAIN_OFFERS: u32 = 4;

/// All that somebody who is followed only so far, or is not believed, hears of what went wrong here.
const IN_VAIN: &str = "there they cannot be had";

/// Who says what there is to be.
pub(super) enum Lead {
    /// This side.
    Here(Plan),
    /// The other one, maybe only so far.
    There(Option<Bounds>),
}

/// What a session knows of its further lanes.
#[derive(Default)]
pub(super) struct Further {
    /// Who sees to them, while it waits.
    keeper: Option<Thread>,
    /// Ends whatever it does.
    pub(super) switch: Option<Switch>,
    /// Lanes that have come to a bad end, of which nobody was told.
    losses: Vec<(LaneNumber, Box<str>)>,
    loss_counts: PerKind<usize>,
}

impl Further {
    /// There is something new.
    pub(super) fn wake(&mut self, wakes: &mut Vec<Thread>) {
        wakes.extend(self.keeper.take());
    }

    /// A lane has come to a bad end; it has no number if it never was of use.
    pub(super) fn lost(&mut self, kind: Option<LaneKind>, lane: Option<LaneNumber>, why: Box<str>) {
        self.losses.extend(lane.map(|number| (number, why)));
        if let Some(kind) = kind {
            self.loss_counts[kind] += 1;
        }
    }
}

/// Starts the thread that sees to further lanes: as controller by a plan, as agent as it is told.
pub(super) fn start(
    shared: &Arc<Shared>,
    lead: Lead,
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
    let (next_number, bounds) = match &lead {
        Lead::Here(_) => (1, None),
        Lead::There(bounds) => (2, *bounds),
    };
    let mut keeper = Keeper {
        shared: Arc::clone(shared),
        identity,
        whereabouts,
        notice,
        switch,
        next_number,
        bounds,
        vain_offers: 0,
        wanted: PerKind::default(),
        is_hampered: false,
        is_impossible: PerKind::default(),
    };
    shared.spawn("further lanes", move || {
        match lead {
            Lead::Here(plan) => keeper.control(&plan),
            // It ends with the session.
            Lead::There(_) => drop(keeper.obey()),
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
    /// This side logs in.
    LogsIn(Logins),
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
    /// How far the other side is followed, if not in all.
    bounds: Option<Bounds>,
    /// Offers that led nowhere.
    vain_offers: u32,
    /// How many lanes the other side would have, which is the requester, as far as it has told.
    wanted: PerKind<Option<u16>>,
    /// Lost packets slow down what the other side sends over TCP.
    is_hampered: bool,
    /// Such lanes were tried for, and cannot be had.
    is_impossible: PerKind<bool>,
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
            Wish::Ssh => &[LaneKind::Ssh],
        };
        let mut reasons = Vec::new();
        for kind in kinds {
            match self.make(*kind, plan) {
                // It ends with the session.
                Ok(means) => {
                    return drop(self.keep(
                        vec![Bundle::new(*kind, means)],
                        plan.count,
                        Some(plan),
                    ));
                }
                Err(Failed::Over) => return,
                Err(Failed::For(reason)) => reasons.push(reason),
            }
        }
        // Where nothing is known of the other host there is nothing that could be mended.
        if plan.is_asked || !self.whereabouts.of_peer().is_empty() {
            let reasons = reasons.join("; ");
            (self.notice)(&format!(
                "no lane could be made beside {}, so all goes through that: {reasons}",
                self.whereabouts.first_lane()
            ));
        }
    }

    /// Has one side connect, or the other.
    fn make(&mut self, kind: LaneKind, plan: &Plan) -> Result<Means, Failed> {
        if kind == LaneKind::Ssh {
            return self.ask_for_door(plan.count);
        }
        let openers: &[Opener] = match plan.opener {
            Opener::Auto => &[Opener::Here, Opener::There],
            Opener::Here => &[Opener::Here],
            Opener::There => &[Opener::There],
        };
        let mut reasons = Vec::new();
        for opener in openers {
            let made = match opener {
                Opener::There => self.have_connected(kind, plan),
                Opener::Auto | Opener::Here => self.connect_as_planned(kind, plan),
            };
            match made {
                Err(Failed::For(reason)) => reasons.push(reason),
                made => return made,
            }
        }
        Err(Failed::For(reasons.join("; ")))
    }

    /// Has the agent open a door. Whether a login leads to it is found out later.
    fn ask_for_door(&mut self, count: LaneCount) -> Result<Means, Failed> {
        let Whereabouts::Login { shell, target, agent } = self.whereabouts.clone() else {
            return Err(Failed::For("only who has logged in can do so again".to_owned()));
        };
        self.tell(LaneTalk::Logins(count))?;
        match self.answer(|| false)? {
            Some(LaneTalk::Door(pass)) => Ok(Means::LogsIn(Logins { shell, target, agent, pass })),
            Some(LaneTalk::Refusal(refusal)) => {
                Err(Failed::For(format!("the other host: {}", shown(&refusal))))
            }
            _ => Err(Failed::For("the other host did not answer".to_owned())),
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
        let may_be_here = self.whereabouts.may_be_here(&known);
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
        let is_connected = || shared.change(|state| state.usable_lanes(kind) > 0);
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
        self.let_in(move |switch, take| listener.run(&identity, peer, (MOST_LET_IN, switch), take))
    }

    /// Lets in what further logins have started.
    fn open_door(&self) -> Result<Means, Failed> {
        let door = Door::open()?;
        self.tell(LaneTalk::Door(door.pass()))?;
        self.let_in(move |switch, take| door.run(MOST_LET_IN, switch, take))
    }

    /// In a thread of its own, until the switch is off, and what comes is taken into the session.
    fn let_in(
        &self,
        listen: impl FnOnce(&Switch, &mut dyn FnMut(Lane) -> bool) -> io::Result<()> + Send + 'static,
    ) -> Result<Means, Failed> {
        let switch = Switch::new()?;
        let means = Means::Listens(switch.clone());
        let shared = Arc::clone(&self.shared);
        self.shared.spawn("lane listener", move || {
            // Without a listener it is as if nobody connected.
            listen(&switch, &mut |lane| add(&shared, lane, None).is_ok()).ok();
        })?;
        Ok(means)
    }

    /// What an agent does, as it is told.
    fn obey(&mut self) -> Result<(), Failed> {
        loop {
            let talk = self.next_talk(Duration::MAX, || false)?;
            let Some(talk) = talk.and_then(|talk| self.note(talk)) else { continue };
            let mut next = self.follow(talk)?;
            while let Some((bundle, count)) = next.take() {
                self.wanted = PerKind::default();
                next = self.keep(vec![bundle], count, None)?;
            }
        }
    }

    /// Makes lanes of one kind come about, as far as this is the agent's part.
    fn follow(&mut self, talk: LaneTalk) -> Result<Option<(Bundle, LaneCount)>, Failed> {
        let is_within = self.bounds.is_none_or(|bounds| is_within(&bounds, &talk));
        let refused = || Err(Failed::For("it was not agreed on".to_owned()));
        let (kind, count, made) = match talk {
            LaneTalk::Wanted(wanted) => {
                let made = if is_within { self.listen_as_wanted(&wanted) } else { refused() };
                (wanted.kind, wanted.count, made)
            }
            LaneTalk::Offer(offer) => {
                let is_followed = is_within && self.vain_offers < VAIN_OFFERS;
                let made = if is_followed { self.connect_as_offered(&offer) } else { refused() };
                self.vain_offers +=
                    u32::from(is_followed && made.is_err() && self.bounds.is_some());
                (offer.kind, offer.count, made)
            }
            LaneTalk::Logins(count) => {
                let made = if is_within { self.open_door() } else { refused() };
                (LaneKind::Ssh, count, made)
            }
            _ => return Ok(None),
        };
        let made = self.refuse_if_failed(kind, made)?;
        Ok(made.map(|means| (Bundle::new(kind, means), count)))
    }

    fn listen_as_wanted(&self, wanted: &LaneWanted) -> Result<Means, Failed> {
        let family = wanted.family.map(Into::into);
        let (ports, family) =
            self.bounds.map_or((wanted.ports, family), |bounds| (bounds.ports, bounds.family));
        let listener = Listener::bind(wanted.kind, ports, family)?;
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
        self.connect(offer, self.bounds.and_then(|bounds| bounds.family))
    }

    /// Tells the other side what went wrong.
    fn refuse_if_failed<T>(
        &self,
        kind: LaneKind,
        made: Result<T, Failed>,
    ) -> Result<Option<T>, Failed> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(Failed::Over) => Err(Failed::Over),
            Err(Failed::For(reason)) => self.refuse(kind, &reason).map(|()| None),
        }
    }

    fn refuse(&self, kind: LaneKind, reason: &str) -> Result<(), Failed> {
        // What this host finds at an address is not for another one that was only met.
        let is_met = matches!(self.whereabouts, Whereabouts::Met { .. });
        let text = Text::new(if is_met { IN_VAIN } else { reason });
        self.tell(LaneTalk::Refusal(LaneRefusal { kind, text }))
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
    fn answer(&mut self, is_enough: impl Fn() -> bool) -> Result<Option<LaneTalk>, Failed> {
        while let Some(talk) = self.next_talk(TO_AGREE, &is_enough)? {
            let talk = self.note(talk);
            if talk.is_some() {
                return Ok(talk);
            }
        }
        Ok(None)
    }

    /// Notes what the other side says of how things are, and returns what is to be done.
    fn note(&mut self, talk: LaneTalk) -> Option<LaneTalk> {
        match talk {
            LaneTalk::Count { kind, lanes } => self.wanted[kind] = Some(lanes.min(FURTHER_MAX)),
            LaneTalk::Hampered(kind) => self.is_hampered |= kind == LaneKind::Tcp,
            talk => return Some(talk),
        }
        None
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
}

/// Whether somebody who is followed only so far is followed in this.
fn is_within(bounds: &Bounds, talk: &LaneTalk) -> bool {
    let may_be = |kind| match bounds.wish {
        Wish::Auto => matches!(kind, LaneKind::Tcp | LaneKind::Quic),
        Wish::Tcp => kind == LaneKind::Tcp,
        Wish::Quic => kind == LaneKind::Quic,
        Wish::Ssh | Wish::None => false,
    };
    match talk {
        LaneTalk::Wanted(wanted) => bounds.listens && may_be(wanted.kind),
        LaneTalk::Offer(offer) => bounds.connects && may_be(offer.kind),
        // Nobody there can log in here.
        LaneTalk::Logins(_) => false,
        _ => true,
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

#[cfg(test)]
mod tests;
