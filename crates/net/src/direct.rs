//! Two agents that meet, as their controller makes them known to each other: a lane between them comes about.
//!
//! What is told of the other one comes over the session with the controller, its key above all; who proves to
//! have that key is let in or spoken to, and nobody else. One of the two connects, or each tries to: of
//! several lanes that come up the first counts that is taken.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wire::{DirectMeeting, DirectOffer, DirectWish, Fingerprint, LaneKind, List, Text};

use crate::further::{
    Caller, Family, Identity, Listener, Whereabouts, add_offered, is_own_host_known_by_loopback,
    resolve,
};
use crate::lane::{Hangup, Lane};
use crate::pipe::Switch;

/// How long it may take to connect: three times what a first packet that is lost costs.
const TO_CONNECT: Duration = Duration::from_secs(3);

/// Names are not looked up before addresses have had their turn.
const BEFORE_NAMES: Duration = Duration::from_millis(250);

/// How often it is looked whether anybody still waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Lanes that are let in, at most: one for each address that the other side tries.
const MOST_LET_IN: usize = 8;

/// An agent that is ready to meet another.
pub struct Ready {
    kind: LaneKind,
    family: Option<Family>,
    identity: Identity,
    listener: Option<Listener>,
    whereabouts: Whereabouts,
}

/// How a lane came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// This side connected to that address.
    To(IpAddr),
    /// The other side connected.
    From,
}

/// What is known of the other agent meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// It may come.
    MayCome,
    /// It does not connect.
    HasGivenUp,
    /// Nobody needs it any more.
    IsGone,
}

/// Keeps a lane that came up, if it is what it should be.
pub type Take<T> = Arc<dyn Fn(Lane, Way) -> Option<T> + Send + Sync>;

impl Ready {
    /// Listens, if that is wished, and says what the other one is to know.
    ///
    /// Fails where the system has no random numbers or no port to give.
    pub fn new(wish: DirectWish, whereabouts: Whereabouts) -> io::Result<(Self, DirectOffer)> {
        let identity = Identity::new().map_err(io::Error::other)?;
        let family = wish.family.map(Family::from);
        let listener =
            wish.listens.then(|| Listener::bind(wish.kind, wish.ports, family)).transpose()?;
        let addresses = whereabouts.of_own().iter().map(|address| Text::new(address)).collect();
        let offer = DirectOffer {
            fingerprint: identity.fingerprint(),
            addresses: List::new(addresses).unwrap_or_default(),
            port: listener.as_ref().map(Listener::port),
        };
        Ok((Self { kind: wish.kind, family, identity, listener, whereabouts }, offer))
    }

    /// Waits for the other one, unless that has given up, and connects to it if this side is to. When
    /// this has come back nobody listens any more, and the port is free; a lane that is being taken is dropped
    /// when that has come to its end. The error is a reason for the user.
    pub fn meet<T: Send + 'static>(
        self,
        meeting: &DirectMeeting,
        limit: Duration,
        other: impl Fn() -> Other,
        take: &Take<T>,
    ) -> Result<T, String> {
        let failed = |error: io::Error| error.to_string();
        let switch = Switch::new().map_err(failed)?;
        let (tell, told) = mpsc::channel();
        let until = Instant::now() + limit;
        let listens = self.listener.is_some();
        let mut nobody_comes = !listens;
        let begun = self.begin(meeting, &switch, &tell, take).map_err(|error| {
            switch.hang_up();
            failed(error)
        })?;
        let Begun { mut dials, listener } = begun;
        let mut reason = None;
        let met = loop {
            let left = until.saturating_duration_since(Instant::now());
            match told.recv_timeout(left.min(BETWEEN_LOOKS)) {
                Ok(Ok(met)) => break Some(met),
                Ok(Err(why)) => {
                    dials -= 1;
                    reason = reason.or(why);
                }
                Err(_) => {}
            }
            let other = other();
            nobody_comes |= other == Other::HasGivenUp;
            if left.is_zero() || other == Other::IsGone || (dials == 0 && nobody_comes) {
                break None;
            }
        };
        switch.hang_up();
        // A panic in there has been reported by its hook.
        drop(listener.map(JoinHandle::join));
        let nothing = if listens {
            "the other host did not connect"
        } else {
            "no address of the other host is known"
        };
        met.ok_or_else(|| reason.unwrap_or_else(|| nothing.to_owned()))
    }

    /// Starts all that may lead to a lane, side by side, which ends by itself once the switch is off.
    fn begin<T: Send + 'static>(
        self,
        meeting: &DirectMeeting,
        switch: &Switch,
        tell: &Sender<Outcome<T>>,
        take: &Take<T>,
    ) -> io::Result<Begun> {
        let Self { kind, family, identity, listener, whereabouts } = self;
        let peer = meeting.offer.fingerprint;
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let mut begun = Begun { dials: 0, listener: None };
        if let Some(listener) = listener {
            let (identity, switch) = (identity.clone(), switch.clone());
            let (tell, take) = (tell.clone(), Arc::clone(take));
            let let_in = move || {
                // Who takes long over its first words is in nobody's way.
                let take = |lane| {
                    let (tell, take) = (tell.clone(), Arc::clone(&take));
                    let take = move || {
                        if let Some(met) = take(lane, Way::From) {
                            // Nobody may wait for it any more.
                            tell.send(Ok(met)).ok();
                        }
                    };
                    thread::Builder::new().name("direct guest".to_owned()).spawn(take).is_ok()
                };
                // Without a listener it is as if nobody connected.
                listener.run(&identity, peer, (MOST_LET_IN, &switch), take).ok();
            };
            begun.listener = Some(start("direct listener", Box::new(let_in))?);
        }
        let Some((wait_ms, port)) = meeting.connects_after_ms.zip(meeting.offer.port) else {
            return Ok(begun);
        };
        let wait = Duration::from_millis(wait_ms).min(TO_CONNECT);
        let may_be_here = is_own_host_known_by_loopback(&whereabouts);
        let mut offered = Vec::new();
        let texts = meeting.offer.addresses.as_slice().iter().map(Text::as_str);
        add_offered(&mut offered, texts, may_be_here, (port, family));
        let names: Vec<_> =
            meeting.names.as_slice().iter().map(|name| name.as_str().to_owned()).collect();
        let dials = Dials { kind, identity, peer, switch: switch.clone() };
        let to_offered = offered.clone();
        let by_address = dials.clone().then(tell, take, wait, move |_| to_offered);
        start("direct by address", by_address)?;
        let wait = if offered.is_empty() { wait } else { wait + BEFORE_NAMES };
        let by_name = dials.then(tell, take, wait, move |switch| {
            let mut to = resolve(names, port, family, switch);
            to.retain(|it| !offered.contains(it) && (may_be_here || !it.ip().is_loopback()));
            to
        });
        start("direct by name", by_name)?;
        Ok(Begun { dials: 2, ..begun })
    }
}

/// What may lead to a lane.
struct Begun {
    /// How many attempts to connect will tell what became of them.
    dials: usize,
    listener: Option<JoinHandle<()>>,
}

/// What became of an attempt, and why if nothing did.
type Outcome<T> = Result<T, Option<String>>;

/// What it takes to connect.
#[derive(Clone)]
struct Dials {
    kind: LaneKind,
    identity: Identity,
    peer: Fingerprint,
    switch: Switch,
}

impl Dials {
    /// What a thread does that connects to one of these, after a while.
    fn then<T: Send + 'static>(
        self,
        tell: &Sender<Outcome<T>>,
        take: &Take<T>,
        wait: Duration,
        addresses: impl FnOnce(&Switch) -> Vec<SocketAddr> + Send + 'static,
    ) -> Box<dyn FnOnce() + Send> {
        let (tell, take) = (tell.clone(), Arc::clone(take));
        Box::new(move || {
            let Self { kind, identity, peer, switch } = self;
            let until = Instant::now() + wait;
            while let left = until.saturating_duration_since(Instant::now())
                && !left.is_zero()
                && switch.wait_for_any(&[], Some(left)).is_ok_and(|is_on| is_on)
            {}
            let to = if switch.is_off() { Vec::new() } else { addresses(&switch) };
            let dial = |first: &SocketAddr| {
                let dialled = Caller::new(kind, &identity, peer)
                    .and_then(|caller| caller.dial(&to, TO_CONNECT, &switch));
                match dialled {
                    Ok((at, lane)) => take(lane, Way::To(at.ip()))
                        .ok_or_else(|| Some(format!("{at} did not answer as it should"))),
                    Err(error) => Err(Some(format!("connect to {first}: {error}"))),
                }
            };
            let met = to.first().map_or(Err(None), dial);
            // Nobody may wait for it any more.
            tell.send(met).ok();
        })
    }
}

#[cfg(test)]
mod tests;
