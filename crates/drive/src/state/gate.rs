//! How many movers may start at the same time, and when: the other end may be away, or take no more.

use super::chance::Chance;
use super::event::Millis;

/// The first wait between two attempts to reach the other end.
const WAIT_MIN: u64 = 1000;

/// The longest wait between two attempts to reach the other end.
const WAIT_MAX: u64 = 30_000;

/// So long the other end may be away.
const PATIENCE: u64 = 600_000;

/// So long it is believed that the other end takes no more: others may have left.
const BUSY_MILLIS: u64 = 60_000;

/// How many movers may start at the same time, and when.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// The most that `limit` grows to.
    most: u32,
    /// Movers that may start at the same time: half after a failure, one more after a success.
    limit: u32,
    /// Movers that have been started and did not begin to work yet.
    starting: u32,
    /// Movers that the other end takes, if it has said that it takes no more, and how long that is believed.
    places: Option<(usize, Millis)>,
    /// Nothing starts before.
    opens_at: Millis,
    trouble: Option<Trouble>,
    chance: Chance,
}

/// Nothing has begun to work since.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Millis,
    last: Millis,
    /// How often after the first; movers that were on their way together count once.
    failures: u32,
}

/// What a start that has failed means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The one before had begun to work. It is tried again after so many milliseconds.
    First(u64),
    /// As those before.
    Again,
    /// It has been so for too long.
    TooLong,
}

impl Gate {
    pub(super) fn new(most: u32, seed: u64) -> Self {
        let (most, chance) = (most.max(1), Chance(seed));
        let opens_at = Millis::default();
        Self { most, limit: most, starting: 0, places: None, opens_at, trouble: None, chance }
    }

    /// Whether a mover may start beside so many.
    pub(super) fn admits(&self, now: Millis, running: usize) -> bool {
        now >= self.opens_at
            && self.starting < self.limit
            && self.places.is_none_or(|(places, until)| running < places || now >= until)
    }

    /// When it opens.
    pub(super) fn opens_at(&self) -> Millis {
        self.opens_at
    }

    /// Until when it keeps to what the other end takes.
    pub(super) fn is_busy_until(&self) -> Millis {
        self.places.map_or(Millis::default(), |(_, until)| until)
    }

    /// A mover starts.
    pub(super) fn begin(&mut self) {
        self.starting += 1;
    }

    /// It is gone, and did not begin to work.
    pub(super) fn leave(&mut self) {
        self.starting -= 1;
    }

    /// It has begun to work.
    pub(super) fn up(&mut self) {
        self.starting -= 1;
        self.limit = (self.limit + 1).min(self.most);
        self.trouble = None;
    }

    /// A mover that was started at `since` did not get so far.
    pub(super) fn failed(&mut self, now: Millis, since: Millis) -> Failed {
        self.leave();
        let Some(trouble) = &mut self.trouble else {
            self.trouble = Some(Trouble { since: now, last: now, failures: 0 });
            self.limit = (self.limit / 2).max(1);
            return Failed::First(self.chance.about(WAIT_MIN));
        };
        if now.0 - trouble.since.0 >= PATIENCE {
            return Failed::TooLong;
        }
        if since >= trouble.last {
            trouble.last = now;
            let wait = (WAIT_MIN << trouble.failures.min(10)).min(WAIT_MAX);
            trouble.failures += 1;
            self.limit = (self.limit / 2).max(1);
            self.opens_at = now.after(self.chance.about(wait));
        }
        Failed::Again
    }

    /// The other end has said that it takes no more than the others, of which so many run.
    pub(super) fn full(&mut self, now: Millis, others: usize) {
        self.places = Some((others.max(1), now.after(BUSY_MILLIS)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many it admits at a time.
    fn width(gate: &Gate, now: Millis) -> u32 {
        let mut gate = gate.clone();
        let mut width = 0;
        while gate.admits(now, 0) {
            gate.begin();
            width += 1;
        }
        width
    }

    #[test]
    fn failures_halve_it_and_successes_widen_it_by_one() {
        let mut gate = Gate::new(8, 1);
        let mut widths = Vec::new();
        for _ in 0..5 {
            let now = gate.opens_at();
            widths.push(width(&gate, now));
            gate.begin();
            let _told_elsewhere = gate.failed(now, now);
        }
        let now = gate.opens_at();
        for _ in 0..9 {
            gate.begin();
            gate.up();
            widths.push(width(&gate, now));
        }
        assert_eq!(widths, [8, 4, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8]);
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let mut gate = Gate::new(8, 7);
        let mut now = Millis(5);
        gate.begin();
        let Failed::First(waited) = gate.failed(now, now) else { panic!("it is the first") };
        assert!((750..=1250).contains(&waited) && gate.admits(now, 0));
        for wait in [1, 2, 4, 8, 16, 30, 30, 30] {
            gate.begin();
            let _told_elsewhere = gate.failed(now, now);
            assert!(!gate.admits(now, 0));
            let waited = gate.opens_at().0 - now.0;
            assert!((wait * 750..=wait * 1250).contains(&waited), "{waited} of {wait}");
            now = gate.opens_at();
        }
    }

    #[test]
    fn those_on_their_way_together_count_once() {
        let mut gate = Gate::new(8, 7);
        (0..4).for_each(|_| gate.begin());
        assert!(matches!(gate.failed(Millis(10), Millis(0)), Failed::First(_)));
        for at in 11..13 {
            assert_eq!(gate.failed(Millis(at), Millis(0)), Failed::Again);
            assert_eq!((gate.opens_at(), gate.limit), (Millis(0), 4));
        }
        assert_eq!(gate.failed(Millis(14), Millis(10)), Failed::Again);
        assert!(gate.opens_at() > Millis(14) && gate.limit == 2);
    }

    #[test]
    fn ten_minutes_are_too_long_and_a_success_begins_anew() {
        let mut gate = Gate::new(8, 7);
        let mut fail = |at: u64| {
            gate.begin();
            let failed = gate.failed(Millis(at), Millis(at));
            if at == 599_999 {
                gate.begin();
                gate.up();
            }
            failed
        };
        assert!(matches!(fail(0), Failed::First(_)));
        assert_eq!(fail(599_999), Failed::Again);
        assert!(matches!(fail(600_000), Failed::First(_)));
        assert_eq!(fail(1_200_000), Failed::TooLong);
    }

    #[test]
    fn the_other_end_is_given_as_many_as_it_takes() {
        let mut gate = Gate::new(8, 7);
        gate.full(Millis(0), 3);
        assert!(gate.admits(Millis(0), 2) && !gate.admits(Millis(0), 3));
        gate.full(Millis(1), 0);
        assert!(gate.admits(Millis(1), 0) && !gate.admits(Millis(60_000), 1));
        assert!(gate.admits(gate.is_busy_until(), 1));
    }
}
