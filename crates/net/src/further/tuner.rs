//! Which lanes are worth having and how many, from what they carry.
//!
//! Pure: samples in, a decision out. Four lanes are begun with, and more where round trips are long: one
//! that starves on a network that loses packets would tell nothing but noise, and each connection takes
//! many round trips until it carries what it can. Then the number is doubled for as long as that brings a
//! sixth more, and what brought less is given back:
//!
//! ```text
//! climb:  n <- 2 n      while rate(n) > 1.15 rate(n / 2)
//! hold:   n <- n / 2    once that is over; tried again after 8, 16, 32 .. windows
//! trial:  TCP -> QUIC   at first, and now and then while the number holds; what is slower is given back
//! ```
//!
//! The first lane carries all until there are others, and nothing from then on: that costs the
//! processors several times as much. Only where the others together stay below what it did alone, it
//! takes part again; and if they stay far below, they are given back for good.
//!
//! TCP costs a third of QUIC and is the better one, but for the case that packets are lost and the
//! kernel slows down for each: then no number of lanes makes up for it (`trial`). The lanes over TCP
//! stay, at rest, until the ones over QUIC have shown what they can do.
//!
//! A window counts only if something was asked for all the time: else the network was not what it
//! waited for. The window after a change is passed over, since connections begin slowly.

use std::time::Duration;

use wire::{LaneCount, LaneKind};

use super::FURTHER_MAX;
use super::kinds::PerKind;

mod trial;

use trial::Trials;

/// Lanes to begin with.
const START: u16 = 4;
/// More where that is long: one for so much of a round trip, up to a number that also starts well.
const START_EACH: Duration = Duration::from_millis(6);
const START_MOST: u16 = 16;
/// Beyond this the last one brought less than a hundredth, in every network that was measured.
const MOST: u16 = 64;
/// Long enough for a slow start over 100 ms, and for noise to be small.
const WINDOW: Duration = Duration::from_millis(750);
/// A change that brings less is not worth it.
const WORTH: f64 = 1.15;
/// Further lanes that reach less than this of the first one alone do not replace it.
const REPLACES: f64 = 0.8;
/// Those that reach less than this are of no use beside it.
const HELPS: f64 = 0.2;
/// Windows until a larger number is tried again, at first and at most.
const HOLD: u32 = 8;
const HOLD_MAX: u32 = 64;

/// What the tuner is told at each look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Time since the start.
    pub(crate) now: Duration,
    /// Bytes that the first lane, and all others, have carried until now.
    pub(crate) first_bytes: u64,
    pub(crate) further_bytes: u64,
    /// Further lanes that can be used.
    pub(crate) lanes: PerKind<u16>,
    /// How long a round trip takes over such a lane, if that is known.
    pub(crate) round_trip: Option<Duration>,
    /// Something is asked for.
    pub(crate) is_busy: bool,
    /// Lost packets slow down what is sent over TCP, and lanes over QUIC are not known to be impossible.
    pub(crate) is_hampered: bool,
}

/// What is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What further lanes are made of.
    pub(crate) kind: LaneKind,
    /// How many.
    pub(crate) lanes: u16,
    /// How many of the other kind there are to be, and to be at rest.
    pub(crate) beside: u16,
    /// Whether the first lane is used, although there are others.
    pub(crate) uses_first: bool,
}

impl Decision {
    /// How many there are to be.
    pub(crate) fn lanes_of(self, kind: LaneKind) -> u16 {
        match kind {
            kind if kind == self.kind => self.lanes,
            LaneKind::Tcp | LaneKind::Quic => self.beside,
            // A login is made for none but who has asked for it.
            LaneKind::Ssh => 0,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tuner {
    count: LaneCount,
    decision: Decision,
    phase: Phase,
    /// The best that the first lane did alone, in bytes a second.
    alone: f64,
    /// Where the present window began.
    window: Option<Sample>,
    /// Windows to pass over, after a change.
    settling: u32,
    hold_windows: u32,
    trials: Trials,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// No further lane has come about.
    Alone,
    /// The number was raised to see what it brings over this rate; none of a smaller one is known at
    /// first.
    Climb { before: Option<f64> },
    /// The number stays for so many windows.
    Hold { windows_left: u32 },
    /// The first lane alone was the best.
    GivenBack,
    /// Lanes of the other kind are to come up by then, and to bring more than this rate.
    Called { before: f64, until: Duration },
    /// They are used instead.
    Trial { before: f64 },
}

impl Tuner {
    /// For lanes of this kind.
    pub(crate) fn new(kind: LaneKind, count: LaneCount) -> Self {
        let lanes = match count {
            LaneCount::Auto => START,
            LaneCount::Fixed(lanes) => lanes.clamp(1, FURTHER_MAX),
        };
        Self {
            count,
            // A further login is no better than the first one.
            decision: Decision { kind, lanes, beside: 0, uses_first: kind == LaneKind::Ssh },
            phase: Phase::Alone,
            alone: 0.0,
            window: None,
            settling: 0,
            hold_windows: HOLD,
            trials: Trials::default(),
        }
    }

    pub(crate) fn decision(&self) -> Decision {
        self.decision
    }

    /// Lanes to begin with where a round trip takes so long.
    pub(crate) fn begins_with(&self, round_trip: Option<Duration>) -> u16 {
        match self.count {
            LaneCount::Auto => start(round_trip),
            LaneCount::Fixed(_) => self.decision.lanes,
        }
    }

    /// Takes a look into account and returns what is to be used from now on.
    pub(crate) fn observe(&mut self, sample: Sample) -> Decision {
        if self.count != LaneCount::Auto {
            return self.decision;
        }
        let lanes = |tuner: &Self| sample.lanes[tuner.decision.kind];
        if matches!(self.phase, Phase::Alone) && lanes(self) > 0 {
            self.phase = Phase::Climb { before: None };
            self.set_lanes(self.begins_with(sample.round_trip));
        }
        self.see_to_trial(&sample);
        let lanes = lanes(self);
        let is_short = lanes < self.decision.lanes && !matches!(self.phase, Phase::Alone);
        match self.window {
            // What lanes bring that are still being connected is known later.
            Some(begun) if sample.is_busy && lanes == begun.lanes[self.decision.kind] => {
                if sample.now >= begun.now + WINDOW {
                    self.window = Some(sample);
                    if self.settling > 0 {
                        self.settling -= 1;
                    } else {
                        self.close_window(&begun, &sample, is_short);
                    }
                }
            }
            _ => self.window = sample.is_busy.then_some(sample),
        }
        self.decision
    }

    fn close_window(&mut self, begun: &Sample, sample: &Sample, is_short: bool) {
        let rate = |bytes: fn(&Sample) -> u64| {
            let carried = bytes(sample).saturating_sub(bytes(begun));
            to_f64(carried) / sample.now.saturating_sub(begun.now).as_secs_f64()
        };
        let first = rate(|sample| sample.first_bytes);
        let all = first + rate(|sample| sample.further_bytes);
        match self.phase {
            Phase::Alone => self.alone = self.alone.max(first),
            Phase::GivenBack | Phase::Called { .. } => {}
            Phase::Climb { before: None } => self.compare_with_first(sample, all),
            Phase::Climb { before: Some(before) } if all > WORTH * before && !is_short => {
                self.climb(all);
            }
            Phase::Climb { before: Some(_) } => {
                self.set_lanes((self.decision.lanes / 2).max(1));
                self.hold();
            }
            Phase::Hold { .. } if self.calls_for_trial(sample, all) => self.call(sample.now, all),
            Phase::Hold { windows_left: 0 } if !is_short => self.climb(all),
            Phase::Hold { windows_left } => {
                self.phase = Phase::Hold { windows_left: windows_left.saturating_sub(1) };
            }
            Phase::Trial { before } if all > WORTH * before => self.win(all),
            Phase::Trial { before } => self.lose(sample.now, before),
        }
    }

    /// The first window of further lanes tells whether they are good for something.
    fn compare_with_first(&mut self, sample: &Sample, all: f64) {
        if all >= REPLACES * self.alone {
            if self.calls_for_trial(sample, all) {
                self.call(sample.now, all);
            } else {
                self.climb(all);
            }
        } else if self.decision.uses_first || all >= HELPS * self.alone {
            // With the first one beside them, more of them may still help.
            let is_new = !std::mem::replace(&mut self.decision.uses_first, true);
            if is_new { self.restart() } else { self.climb(all) }
        } else {
            self.decision = Decision { lanes: 0, uses_first: true, ..self.decision };
            self.phase = Phase::GivenBack;
            self.restart();
        }
    }

    fn climb(&mut self, rate: f64) {
        if self.decision.lanes >= MOST {
            return self.hold();
        }
        self.phase = Phase::Climb { before: Some(rate) };
        self.set_lanes((self.decision.lanes * 2).min(MOST));
    }

    fn hold(&mut self) {
        self.phase = Phase::Hold { windows_left: self.hold_windows };
        self.hold_windows = (self.hold_windows * 2).min(HOLD_MAX);
    }

    fn set_lanes(&mut self, lanes: u16) {
        self.decision.lanes = lanes;
        self.restart();
    }

    fn restart(&mut self) {
        self.window = None;
        self.settling = 1;
    }
}

/// Lanes to begin with where a round trip takes so long.
fn start(round_trip: Option<Duration>) -> u16 {
    let wanted = round_trip.unwrap_or_default().as_millis() / START_EACH.as_millis();
    u16::try_from(wanted).unwrap_or(START_MOST).clamp(START, START_MOST)
}

/// Exact below 2^53 bytes, and near enough above.
fn to_f64(bytes: u64) -> f64 {
    let high = u32::try_from(bytes >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(bytes & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

#[cfg(test)]
mod tests;
