//! QUIC tried beside TCP, and which of the two stays.

use std::mem;
use std::time::Duration;

use wire::LaneKind;

use super::{Decision, HOLD, Phase, START, Sample, Tuner};

/// Most lanes to try with: QUIC does not need as many.
const LANES: u16 = 8;
/// A lane that carries more, in bytes a second, is not held back by losses; and as many as there can be
/// that carry so much are beyond what the processors do with QUIC.
const SLOW: f64 = 4e6;
/// How long lanes may take to come up. Where packets pass without a word each of several ways to connect
/// takes some seconds.
const TO_COME: Duration = Duration::from_secs(20);
/// Windows to pass over: what was asked of the other lanes before still has its part of all that may be
/// asked for.
const SETTLING: u32 = 2;
/// Between the end of a trial that failed and the next one, twice as long after each.
const BETWEEN: Duration = Duration::from_secs(60);
/// Beyond an hour there is no point in waiting for longer.
const DOUBLINGS: u32 = 6;
/// All lanes that have won are gone for so long: the network carries them no more.
const GONE: Duration = Duration::from_secs(5);

/// What is to be known of trials.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// How many came to nothing.
    failures: u32,
    /// When the next one may begin.
    next_at: Duration,
    /// Lanes over TCP that were used before one was won.
    lanes_before: u16,
    /// Since when there is no lane of the kind that has won.
    gone_since: Option<Duration>,
}

impl Tuner {
    /// Whether QUIC may do better than this rate.
    pub(super) fn calls_for_trial(&self, sample: &Sample, rate: f64) -> bool {
        let is_possible = self.decision.kind == LaneKind::Tcp && sample.is_hampered;
        let is_slow = rate < SLOW * f64::from(sample.lanes[LaneKind::Tcp]);
        is_possible && is_slow && sample.now >= self.trials.next_at
    }

    pub(super) fn call(&mut self, now: Duration, rate: f64) {
        self.phase = Phase::Called { before: rate, until: now + TO_COME };
        self.decision.beside = self.decision.lanes.min(LANES);
    }

    /// What does not wait for the end of a window.
    pub(super) fn see_to_trial(&mut self, sample: &Sample) {
        let quic = sample.lanes[LaneKind::Quic];
        match self.phase {
            Phase::Called { before, until } => {
                let is_late = sample.now >= until;
                if quic >= self.decision.beside || (is_late && quic > 0) {
                    self.exchange();
                    self.phase = Phase::Trial { before };
                } else if is_late || !sample.is_hampered {
                    self.lose(sample.now, before);
                }
            }
            Phase::Trial { before } if quic == 0 => self.lose(sample.now, before),
            _ if self.decision.kind == LaneKind::Quic
                && self.trials.lanes_before > 0
                && quic == 0 =>
            {
                let since = *self.trials.gone_since.get_or_insert(sample.now);
                if sample.now >= since + GONE {
                    self.exchange();
                    self.decision.lanes = mem::take(&mut self.trials.lanes_before);
                    self.give_back(sample.now);
                    self.hold();
                }
            }
            _ => self.trials.gone_since = None,
        }
    }

    /// Uses what was at rest, and the other way round.
    fn exchange(&mut self) {
        let Decision { kind, lanes, beside, .. } = &mut self.decision;
        mem::swap(lanes, beside);
        *kind = if *kind == LaneKind::Tcp { LaneKind::Quic } else { LaneKind::Tcp };
        self.restart();
        self.settling = SETTLING;
    }

    /// What was tried stays, and it is found out how many of them pay off.
    pub(super) fn win(&mut self, rate: f64) {
        self.trials.lanes_before = mem::take(&mut self.decision.beside).max(START);
        self.hold_windows = HOLD;
        self.climb(rate);
    }

    /// What was tried is given back, and all goes on from where this was the rate.
    pub(super) fn lose(&mut self, now: Duration, before: f64) {
        if self.decision.kind == LaneKind::Quic {
            self.exchange();
        }
        self.give_back(now);
        let has_held = self.hold_windows > HOLD;
        if has_held {
            self.hold();
        } else {
            self.climb(before);
        }
    }

    fn give_back(&mut self, now: Duration) {
        self.decision.beside = 0;
        self.trials.gone_since = None;
        self.trials.next_at = now + BETWEEN * 2_u32.pow(self.trials.failures);
        self.trials.failures = (self.trials.failures + 1).min(DOUBLINGS);
    }
}
