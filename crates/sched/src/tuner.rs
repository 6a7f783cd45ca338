//! How many workers are worth having, from what their operations take.
//!
//! Pure: samples and clocks in, a limit out. The rule compares the time that the operations of a
//! window took with the time they would have taken on idle storage:
//!
//! ```text
//! x = sum of (base of its class) / sum of (what it took), over the operations of the window
//! while x > 0.6 from the start:  L <- 2 L                       (climb)
//! after that:                    L <- L/2 + (L clamp(1.3 x, 0.5, 1) + sqrt L) / 2
//! ```
//!
//! With S server slots, x is S/L above S, so L settles at 1.3 S + sqrt L, near 1.5 S. Sums of time,
//! not of operations, because many cheap operations would hide the queue that the few dear ones
//! stand in. Throughput is not looked at: noise fools it.
//!
//! The base of a class is the least mean of a window. Means, because one answer from a cache says
//! nothing about a server. It is wrong when the storage changes, or was never idle, so now and then
//! a probe halves L for a window: if the latency does not fall with L, no queue of ours was left,
//! and what is measured there is the new base; else it halves again. A base that seems far off is
//! probed at once, before it can throttle a run.
//!
//! L starts at one worker a core, where what operations take holds no queue for a core, or at what is asked
//! for; below the least that is asked for it never falls. It never grows while less than half of it is used, nor
//! while the cores are busy; then the rule is without sqrt L, too. Workers beyond the cores would wait for
//! one, or for a lock that one who waits holds.

use std::time::Duration;

use crate::meter::{Class, Sum, Tally};

/// The shortest window: 50 ms, some 25 operations of 2 ms on each worker.
const WINDOW: Duration = Duration::from_millis(50);
/// The fewest samples of a window, however few workers there are: below, the mean is noise.
const MIN_SAMPLES: u64 = 8;
/// The fewest samples of a class that count: below, its mean is noise.
const MIN_CLASS_SAMPLES: u64 = 4;
/// Climb while operations take less than 1/0.6 of their base. Measured, with the next two.
const CLIMB_ABOVE: f64 = 0.6;
/// How much queue is tolerated.
const TOLERANCE: f64 = 1.3;
/// The old limit's part in the new one.
const SMOOTHING: f64 = 0.5;
/// Below this part of the x at which the rule settles the base is doubted.
const DOUBT_BELOW: f64 = 0.7;
/// A latency that falls to this part when L is halved shows a queue; 0.5 would be nothing but.
const QUEUE_BELOW: f64 = 0.62;
/// The part of all cores' time, as seen by this process, that counts as all cores being busy: the
/// file system's own threads have a part, too. Measured: an XFS log takes a tenth.
const CORES_BUSY: f64 = 0.75;
/// The first probe, and the least time between two: a second.
const PROBE_SOON: Duration = Duration::from_secs(1);
/// Between probes that found nothing new: at 100 ms each, they cost less than 1 %.
const PROBE_SELDOM: Duration = Duration::from_secs(10);
/// A probe that gathers too few samples in this time is given up.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// What the tuner is told at each look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tick {
    /// Time since the start of the run.
    pub(crate) now: Duration,
    /// CPU time of the process.
    pub(crate) cpu: Duration,
    /// Workers that run a task.
    pub(crate) busy: usize,
    /// The samples since the last look.
    pub(crate) tally: Tally,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tuner {
    cores: usize,
    floor: usize,
    ceiling: usize,
    /// Not rounded, so that small steps add up.
    level: f64,
    phase: Phase,
    bases: Means,
    window: Window,
    /// The part of all cores' time that we had, averaged over windows, the last for half: now and
    /// then threads of the kernel take the cores for a window.
    cpu_share: Option<f64>,
    next_probe: Duration,
    last_probe: Duration,
}

#[derive(Clone, Debug)]
enum Phase {
    Climb,
    Steady,
    Probe(Box<Probe>),
}

#[derive(Clone, Debug)]
struct Probe {
    back_to: f64,
    begun: Duration,
    /// The latencies at the limit before the last halving.
    reference: Means,
}

/// Seconds per operation, for the classes that are known.
type Means = [Option<f64>; Class::COUNT];

#[derive(Clone, Debug, Default)]
struct Window {
    opened: Duration,
    cpu_at_opening: Duration,
    peak_busy: usize,
    /// Samples of operations that began before the last great change of the limit.
    stale: u64,
    tally: Tally,
}

impl Tuner {
    pub(crate) fn new(cores: usize, ceiling: usize) -> Self {
        let floor = ceiling.clamp(1, 2);
        Self {
            cores,
            floor,
            ceiling,
            level: to_f64(cores.clamp(floor, ceiling)),
            phase: Phase::Climb,
            bases: Means::default(),
            window: Window::default(),
            cpu_share: None,
            next_probe: PROBE_SOON,
            last_probe: Duration::ZERO,
        }
    }

    /// The same with never fewer than so many.
    pub(crate) fn with_at_least(mut self, workers: usize) -> Self {
        self.floor = self.floor.max(workers.min(self.ceiling));
        self.level = self.level.max(to_f64(self.floor));
        self
    }

    /// The same with so many to begin with, if that is more.
    pub(crate) fn beginning_with(mut self, workers: usize) -> Self {
        self.level = self.level.max(to_f64(workers.min(self.ceiling)));
        self
    }

    pub(crate) fn limit(&self) -> usize {
        to_limit(self.level).clamp(self.floor, self.ceiling)
    }

    /// Takes a look into account and returns the limit from now on.
    pub(crate) fn observe(&mut self, tick: &Tick) -> usize {
        if self.window.add(tick) && self.window.is_complete(tick.now, self.limit()) {
            self.close_window(tick);
        } else {
            self.give_up_probe(tick);
        }
        self.limit()
    }

    fn close_window(&mut self, tick: &Tick) {
        let means = means_of(&self.window.tally);
        let before = self.limit();
        self.note_cpu(tick);
        match self.phase.clone() {
            Phase::Probe(probe) => self.go_on_probing(tick.now, &means, &probe),
            Phase::Climb => self.climb(tick, &means),
            Phase::Steady => self.steer(tick, &means),
        }
        self.open_window(tick, before);
    }

    fn climb(&mut self, tick: &Tick, means: &Means) {
        self.lower_bases(means);
        if self.stretch(means) <= CLIMB_ABOVE {
            self.phase = Phase::Steady;
            self.steer(tick, means);
        } else if self.limit() == self.ceiling {
            self.phase = Phase::Steady;
        } else if self.may_grow() {
            self.level = (self.level * 2.0).min(to_f64(self.ceiling));
        }
    }

    fn steer(&mut self, tick: &Tick, means: &Means) {
        if ratio(&self.window.tally, means, &self.bases) < QUEUE_BELOW {
            // Far faster than ever: other storage, and with our queue in it not yet its base.
            self.next_probe = self.next_probe.min(tick.now + PROBE_SOON);
        }
        self.lower_bases(means);
        let x = self.stretch(means);
        let settles_at = (1.0 - 1.0 / self.level.sqrt()) / TOLERANCE;
        let doubtful = x < DOUBT_BELOW * settles_at && tick.now >= self.last_probe + PROBE_SOON;
        if (doubtful || tick.now >= self.next_probe) && self.is_used() {
            return self.begin_probe(tick.now, means);
        }
        let headroom = if self.cores_are_busy() { 0.0 } else { self.level.sqrt() };
        let aim = self.level * (TOLERANCE * x).clamp(0.5, 1.0) + headroom;
        let level = SMOOTHING * self.level + (1.0 - SMOOTHING) * aim;
        if level < self.level || self.may_grow() {
            self.level = level.clamp(to_f64(self.floor), to_f64(self.ceiling));
        }
    }

    fn begin_probe(&mut self, now: Duration, means: &Means) {
        let probe = Probe { back_to: self.level, begun: now, reference: *means };
        self.phase = Phase::Probe(Box::new(probe));
        self.last_probe = now;
        self.next_probe = now + PROBE_SELDOM;
        self.level = (self.level / 2.0).max(to_f64(self.floor));
    }

    fn go_on_probing(&mut self, now: Duration, means: &Means, probe: &Probe) {
        let fell_to = ratio(&self.window.tally, means, &probe.reference);
        if fell_to < QUEUE_BELOW && self.limit() > self.floor {
            self.phase = Phase::Probe(Box::new(Probe { reference: *means, ..*probe }));
            self.level = (self.level / 2.0).max(to_f64(self.floor));
            return;
        }
        for (base, mean) in self.bases.iter_mut().zip(means) {
            *base = mean.or(*base);
        }
        self.end_probe(now, probe.back_to);
    }

    fn end_probe(&mut self, now: Duration, back_to: f64) {
        self.level = back_to;
        self.phase = Phase::Steady;
        self.last_probe = now;
        self.next_probe = now + PROBE_SELDOM;
    }

    /// Operations of seconds each, or work that has run out, must not hold a probe's low limit.
    fn give_up_probe(&mut self, tick: &Tick) {
        let back_to = match &self.phase {
            Phase::Probe(probe) if tick.now >= probe.begun + PROBE_PATIENCE => probe.back_to,
            _ => return,
        };
        let before = self.limit();
        self.end_probe(tick.now, back_to);
        self.open_window(tick, before);
    }

    fn open_window(&mut self, tick: &Tick, before: usize) {
        let after = self.limit();
        // Each worker of the old limit is in an operation whose latency tells of the old limit.
        let changed_much = after * 2 >= before * 3 || before * 2 >= after * 3;
        self.window = Window {
            opened: tick.now,
            cpu_at_opening: tick.cpu,
            peak_busy: tick.busy,
            stale: if changed_much { to_u64(before.min(self.window.peak_busy)) } else { 0 },
            tally: Tally::default(),
        };
    }

    fn lower_bases(&mut self, means: &Means) {
        for (base, mean) in self.bases.iter_mut().zip(means) {
            *base = match (*base, *mean) {
                (Some(base), Some(mean)) => Some(base.min(mean)),
                (base, mean) => base.or(mean),
            };
        }
    }

    /// x: the part of the window's time that its operations would have taken without a queue.
    fn stretch(&self, means: &Means) -> f64 {
        1.0 / ratio(&self.window.tally, means, &self.bases).max(1.0)
    }

    fn may_grow(&self) -> bool {
        self.is_used() && !self.cores_are_busy()
    }

    fn is_used(&self) -> bool {
        self.window.peak_busy * 2 >= self.limit()
    }

    fn note_cpu(&mut self, tick: &Tick) {
        let wall = tick.now.saturating_sub(self.window.opened).as_secs_f64();
        let cpu = tick.cpu.saturating_sub(self.window.cpu_at_opening).as_secs_f64();
        let share = if wall > 0.0 { cpu / (wall * to_f64(self.cores)) } else { 0.0 };
        self.cpu_share = Some(self.cpu_share.map_or(share, |before| f64::midpoint(before, share)));
    }

    fn cores_are_busy(&self) -> bool {
        self.cpu_share.is_some_and(|share| share >= CORES_BUSY)
    }
}

impl Window {
    /// Returns whether the samples of the tick counted; stale ones do not.
    fn add(&mut self, tick: &Tick) -> bool {
        self.peak_busy = self.peak_busy.max(tick.busy);
        if self.stale > 0 {
            self.stale = self.stale.saturating_sub(tick.tally.samples());
            self.opened = tick.now;
            self.cpu_at_opening = tick.cpu;
            return false;
        }
        self.tally.merge(&tick.tally);
        true
    }

    fn is_complete(&self, now: Duration, limit: usize) -> bool {
        let enough = MIN_SAMPLES.max(2 * to_u64(limit.min(self.peak_busy)));
        now.saturating_sub(self.opened) >= WINDOW && self.tally.samples() >= enough
    }
}

fn means_of(tally: &Tally) -> Means {
    tally.classes.map(|sum| {
        let known = sum.samples >= MIN_CLASS_SAMPLES && sum.operations > 0;
        known.then(|| sum.took.as_secs_f64() / operations(&sum))
    })
}

/// What the window's operations took, as a part of what they would have taken by `reference`; only
/// classes that both know. 1 if there is none.
fn ratio(tally: &Tally, means: &Means, reference: &Means) -> f64 {
    let (mut took, mut expected) = (0.0, 0.0);
    for ((sum, mean), reference) in tally.classes.iter().zip(means).zip(reference) {
        if let (Some(mean), Some(reference)) = (mean, reference) {
            took += mean * operations(sum);
            expected += reference * operations(sum);
        }
    }
    if expected > 0.0 { took / expected } else { 1.0 }
}

fn operations(sum: &Sum) -> f64 {
    f64::from(u32::try_from(sum.operations).unwrap_or(u32::MAX))
}

fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is cast to an integer saturates, and the caller clamps"
)]
fn to_limit(level: f64) -> usize {
    level.round() as usize
}

#[cfg(test)]
mod tests;
