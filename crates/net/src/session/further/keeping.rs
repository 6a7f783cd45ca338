//! Keeps lanes up, uses those that pay, and has another kind come up beside them where that may do better.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wire::{LaneCount, LaneKind, LaneNumber, LaneRefusal, LaneTalk};

use super::super::lanes::{LaneKey, LaneState};
use super::super::state::{Part, State};
use super::{
    Caller, FURTHER_MAX, Failed, KINDS, Keeper, LOSSES_MAX, Means, PerKind, Plan, TO_CONNECT, Wish,
};
use crate::further::{Decision, Lossy, Sample, Tuner, suffer};
use crate::lane::Lane;

/// How often the tuner looks.
const TICK: Duration = Duration::from_millis(250);

/// After an attempt that failed, one waits so long, and twice as long after each further one.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// How long a login may take: nobody is asked anything for it.
const TO_LOG_IN: Duration = Duration::from_secs(30);

/// Logins one after the other that may come to nothing.
const VAIN_LOGINS: u32 = 2;

/// Most connections that are begun at the same time: what a listener takes at once, and less.
const AT_ONCE: usize = 16;

/// What lanes of one kind come from.
pub(super) struct Bundle {
    kind: LaneKind,
    means: Means,
    wait: Duration,
    next_attempt: Duration,
    /// Attempts in a row that have failed.
    failures: u32,
}

impl Bundle {
    pub(super) fn new(kind: LaneKind, means: Means) -> Self {
        let (wait, next_attempt) = (BETWEEN_ATTEMPTS, Duration::ZERO);
        Self { kind, means, wait, next_attempt, failures: 0 }
    }
}

impl Keeper {
    /// Keeps lanes up and uses those that pay, until there is something else to do: as agent, to begin
    /// anew with others.
    pub(super) fn keep(
        &mut self,
        mut bundles: Vec<Bundle>,
        count: LaneCount,
        plan: Option<&Plan>,
    ) -> Result<Option<(Bundle, LaneCount)>, Failed> {
        let is_requester = self.shared.change(|state| state.part() == Some(Part::Requester));
        let first_kind = bundles[0].kind;
        let mut tuner = Tuner::new(first_kind, count);
        let mut decision = tuner.decision();
        let mut told = PerKind::default();
        told[first_kind] = decision.lanes;
        if is_requester {
            self.shared.change(|state| state.apply(decision));
        }
        let mut has_told_of_losses = false;
        // The lanes that are lacking are connected beside the first at once.
        let mut until_look = Duration::ZERO;
        loop {
            let talk = self.next_talk(std::mem::replace(&mut until_look, TICK), || false)?;
            if let Some(talk) = talk.and_then(|talk| self.note(talk)) {
                let anew = self.take(talk, &mut bundles, plan)?;
                if anew.is_some() {
                    return Ok(anew);
                }
            }
            self.tell_losses();
            if is_requester {
                let now = self.shared.now();
                let is_hampered = self.is_hampered && !self.is_impossible[LaneKind::Quic];
                decision = self.shared.change(|state| {
                    let sample = Sample { is_hampered, ..state.sample(now) };
                    let decision = tuner.observe(sample);
                    state.apply(decision);
                    decision
                });
            } else if !has_told_of_losses && self.suffers() {
                has_told_of_losses = true;
                self.tell(LaneTalk::Hampered(LaneKind::Tcp))?;
            }
            for kind in KINDS {
                // How often this host logs in is for its user to say, and not for the requester.
                let lanes = if is_requester || kind == LaneKind::Ssh {
                    decision.lanes_of(kind)
                } else if kind == first_kind {
                    // Until the requester has said how many it wants.
                    self.wanted[kind].unwrap_or_else(|| {
                        let round_trip = self.shared.change(|state| state.round_trip());
                        tuner.begins_with(round_trip)
                    })
                } else {
                    self.wanted[kind].unwrap_or(0)
                };
                match (bundles.iter_mut().find(|bundle| bundle.kind == kind), plan) {
                    (Some(bundle), _) if !matches!(bundle.means, Means::Listens(_)) => {
                        self.connect_lacking(bundle, lanes);
                    }
                    (None, Some(plan)) if lanes > 0 => {
                        bundles.extend(self.make_beside(kind, plan)?);
                    }
                    _ if is_requester && lanes != told[kind] => {
                        told[kind] = lanes;
                        self.tell(LaneTalk::Count { kind, lanes })?;
                    }
                    _ => {}
                }
            }
        }
    }

    /// Does as it is told. Returns what came up while there was nothing beside the first lane: all begins
    /// anew with that, and attempts that came to nothing are over.
    fn take(
        &mut self,
        talk: LaneTalk,
        bundles: &mut Vec<Bundle>,
        plan: Option<&Plan>,
    ) -> Result<Option<(Bundle, LaneCount)>, Failed> {
        let is_beside = self.shared.change(|state| state.lane_count() > 1);
        if let LaneTalk::Refusal(LaneRefusal { kind, .. }) = talk {
            self.is_impossible[kind] = true;
            // Those that came first are there whatever becomes of others.
            let mut is_first = true;
            bundles.retain(|bundle| std::mem::take(&mut is_first) || bundle.kind != kind);
            return Ok(None);
        }
        // Who has a plan asks, and is not asked: what comes now is an answer that is late, or made up.
        if plan.is_some() {
            return Ok(None);
        }
        let made = self.follow(talk)?;
        if !is_beside {
            return Ok(made);
        }
        if let Some((bundle, _)) = made {
            match bundles.iter_mut().find(|other| other.kind == bundle.kind) {
                Some(other) => *other = bundle,
                None => bundles.push(bundle),
            }
        }
        Ok(None)
    }

    /// Lost packets slow down what this side sends.
    fn suffers(&self) -> bool {
        let lanes = self.shared.change(|state| state.lossy_lanes());
        let connections: Vec<_> = lanes.iter().map(|lane| lane.segments()).collect();
        suffer(&connections)
    }

    /// As controller: lanes of a kind that there is not, if they are allowed and can be had.
    fn make_beside(&mut self, kind: LaneKind, plan: &Plan) -> Result<Option<Bundle>, Failed> {
        if self.is_impossible[kind] {
            return Ok(None);
        }
        let made = match plan.wish {
            Wish::Auto => self.make(kind, plan),
            Wish::None | Wish::Ssh | Wish::Tcp | Wish::Quic => {
                Err(Failed::For("it is not allowed".to_owned()))
            }
        };
        match made {
            Ok(means) => Ok(Some(Bundle::new(kind, means))),
            Err(Failed::Over) => Err(Failed::Over),
            Err(Failed::For(reason)) => {
                self.is_impossible[kind] = true;
                self.refuse(kind, &reason).map(|()| None)
            }
        }
    }

    /// Connects as often as lanes are lacking, if that is not to wait.
    fn connect_lacking(&mut self, bundle: &mut Bundle, lanes: u16) {
        let Bundle { kind, means, wait, next_attempt, failures } = bundle;
        let lacking = self.shared.change(|state| state.lacking_lanes(*kind, lanes));
        if lacking == 0 || self.shared.now() < *next_attempt {
            return;
        }
        let connected = match means {
            Means::Connects { to, caller } => self.connect_more(*to, caller, lacking),
            Means::LogsIn(_) if *failures >= VAIN_LOGINS => return,
            // A server may let in only one at a time (`MaxStartups`).
            Means::LogsIn(logins) => {
                logins.log_in(TO_LOG_IN, &self.switch).and_then(|lane| self.add(lane))
            }
            Means::Listens(_) => return,
        };
        let Err(error) = connected else {
            (*wait, *failures) = (BETWEEN_ATTEMPTS, 0);
            return;
        };
        *next_attempt = self.shared.now() + *wait;
        *wait *= 2;
        *failures = failures.saturating_add(1);
        if matches!(means, Means::LogsIn(_)) && *failures == VAIN_LOGINS && !self.switch.is_off() {
            let (all, lacking) = (usize::from(lanes) + 1, lacking);
            (self.notice)(&format!(
                "{} of {all} lanes over ssh are up, and the job goes on with so many: {error}",
                all - lacking
            ));
        }
    }

    /// Connects so many times, side by side.
    fn connect_more(&mut self, to: SocketAddr, caller: &Caller, lacking: usize) -> io::Result<()> {
        let switch = &self.switch;
        let connected: Vec<io::Result<(SocketAddr, Lane)>> = thread::scope(|scope| {
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
            "{lanes} {names} beside the first broke, and what was on the way there is asked for again: {why}"
        ));
    }
}

impl State {
    /// Lanes beside the first, in the order in which they came.
    fn further_lanes(&self) -> impl Iterator<Item = &LaneState> {
        self.lanes.iter().filter(|(key, _)| **key != LaneKey::FIRST).map(|(_, lane)| lane)
    }

    /// Numbers of those of one kind that can be used.
    fn usable(&self, kind: LaneKind) -> impl Iterator<Item = LaneNumber> {
        let of_kind = move |lane: &&LaneState| lane.kind.on_wire() == Some(kind);
        self.further_lanes().filter(of_kind).filter_map(LaneState::usable)
    }

    pub(super) fn usable_lanes(&self, kind: LaneKind) -> u16 {
        u16::try_from(self.usable(kind).count()).unwrap_or(u16::MAX)
    }

    /// Lanes that lost packets slow down.
    fn lossy_lanes(&self) -> Vec<Arc<dyn Lossy>> {
        let usable = self.further_lanes().filter(|lane| lane.usable().is_some());
        usable.filter_map(|lane| lane.losses.clone()).collect()
    }

    /// How long a round trip takes over a lane beside the first.
    fn round_trip(&self) -> Option<Duration> {
        self.further_lanes().filter_map(|lane| lane.round_trip).min()
    }

    /// What the tuner looks at.
    pub(super) fn sample(&self, now: Duration) -> Sample {
        let mut lanes = PerKind::default();
        for kind in KINDS {
            lanes[kind] = self.usable_lanes(kind);
        }
        let further: u64 = self.further_lanes().map(LaneState::carried_bytes).sum();
        Sample {
            now,
            first_bytes: self.lanes.get(&LaneKey::FIRST).map_or(0, LaneState::carried_bytes),
            further_bytes: self.carried_before + further,
            round_trip: self.round_trip(),
            lanes,
            is_busy: self.requester.as_ref().is_some_and(wire::Requester::is_busy),
            is_hampered: false,
        }
    }

    /// Uses the lanes that are to be used, and gives back those that are at rest and not to be kept.
    pub(super) fn apply(&mut self, decision: Decision) {
        let (mut used, mut kept, mut spared) = (Vec::new(), Vec::new(), Vec::new());
        for kind in KINDS {
            let up: Vec<_> = self.usable(kind).collect();
            let (stay, go) = up.split_at(up.len().min(usize::from(decision.lanes_of(kind))));
            if kind == decision.kind { &mut used } else { &mut kept }.extend_from_slice(stay);
            spared.extend_from_slice(go);
        }
        let Some(requester) = &mut self.requester else { return };
        requester.spare(LaneNumber::FIRST, !decision.uses_first);
        for number in used {
            requester.spare(number, false);
        }
        for number in kept.iter().chain(&spared) {
            requester.spare(*number, true);
        }
        spared.retain(|number| requester.is_at_rest(*number));
        for number in spared {
            self.close_lane(number);
        }
    }

    /// How many of a kind there are less than so many, those that are being greeted counted.
    pub(super) fn lacking_lanes(&self, kind: LaneKind, lanes: u16) -> usize {
        if self.over.is_some() || self.further.loss_counts[kind] >= LOSSES_MAX {
            return 0;
        }
        let of_kind = |lane: &&LaneState| lane.kind.on_wire() == Some(kind) && !lane.is_over;
        let count = self.further_lanes().filter(of_kind).count();
        usize::from(lanes.min(FURTHER_MAX)).saturating_sub(count)
    }
}
