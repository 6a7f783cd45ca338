//! How long a cluster is waited for that does not answer well.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use sched::Cancel;

use crate::lister::{Refused, Why};

/// How often a request is repeated that was dropped, or put off by the cluster, and for how long.
///
/// Before a request is repeated there is a pause: twice as long each time, and at random between half and all
/// of that, so that not all come back at once; or as long as the cluster says. Only a request that is refused
/// is asked for again: what it had told before it broke off is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So many times at most, the first one included.
    pub tries: u32,
    /// So long at most, beginning with the first failure.
    pub limit: Duration,
    /// The first pause.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 10,
            limit: Duration::from_secs(180),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(20),
        }
    }
}

/// Why a request is to be repeated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy {
    /// In words.
    pub(super) said: String,
    /// For how long the cluster wants to be left alone.
    pub(super) pause: Option<Duration>,
}

/// The failures of one request.
#[derive(Debug)]
pub(super) struct Failures<'a> {
    patience: &'a Patience,
    count: u32,
    first: Option<Instant>,
}

impl<'a> Failures<'a> {
    pub(super) fn none(patience: &'a Patience) -> Self {
        Self { patience, count: 0, first: None }
    }

    /// Waits for the next try. Fails with how the last one ended if there is to be none.
    pub(super) fn wait(
        &mut self,
        busy: &Busy,
        cluster: &str,
        cancel: &Cancel,
    ) -> Result<(), Refused> {
        let first = *self.first.get_or_insert_with(Instant::now);
        self.count += 1;
        match self.pause(busy, first.elapsed()) {
            Some(pause) => cancel.sleep(pause).map_err(|_| stopped()),
            None => Err(Refused {
                why: Why::Connection,
                sentence: format!(
                    "{cluster}: {}; tried {} times in {} s: see that the cluster is up and run again",
                    busy.said,
                    self.count,
                    first.elapsed().as_secs()
                ),
            }),
        }
    }

    /// How long the next pause is, `elapsed` after the first failure; `None` where patience ends.
    fn pause(&self, busy: &Busy, elapsed: Duration) -> Option<Duration> {
        let Patience { tries, limit, first_pause, longest_pause } = *self.patience;
        if self.count >= tries {
            return None;
        }
        let doubled =
            first_pause.saturating_mul(1_u32.checked_shl(self.count - 1).unwrap_or(u32::MAX));
        let own = at_random(doubled.min(longest_pause));
        let pause = busy.pause.map_or(own, |asked| asked.max(own));
        (elapsed.saturating_add(pause) <= limit).then_some(pause)
    }
}

/// Between half of a time and all of it.
fn at_random(most: Duration) -> Duration {
    let chance = RandomState::new().build_hasher().finish() % 1_024;
    let chance = u32::try_from(chance).unwrap_or_default();
    most / 2 + (most / 2_048).saturating_mul(chance)
}

/// Somebody ended it.
pub(super) fn stopped() -> Refused {
    Refused { why: Why::Stopped, sentence: "stopped while the cluster was asked".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        tries: 5,
        limit: Duration::from_secs(10),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(3),
    };

    fn pause(count: u32, asked: Option<u64>, elapsed: u64) -> Option<Duration> {
        let failures = Failures { patience: &PATIENCE, count, first: None };
        let busy = Busy { said: String::new(), pause: asked.map(Duration::from_secs) };
        failures.pause(&busy, Duration::from_secs(elapsed))
    }

    #[test]
    fn pauses_grow_up_to_the_longest_one() {
        for (count, most) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
            let most = Duration::from_secs(most);
            for _ in 0..100 {
                let pause = pause(count, None, 0).unwrap();
                assert!(pause >= most / 2 && pause <= most, "{pause:?} of {most:?}");
            }
        }
    }

    #[test]
    fn ends_with_the_last_try_and_with_the_last_second() {
        assert!(pause(4, None, 0).is_some());
        assert_eq!(pause(5, None, 0), None);
        assert_eq!(pause(1, None, 10), None);
    }

    #[test]
    fn waits_as_long_as_the_cluster_says_and_no_longer_than_there_is_time() {
        assert_eq!(pause(1, Some(7), 0), Some(Duration::from_secs(7)));
        assert_eq!(pause(1, Some(7), 4), None);
        assert!(pause(1, Some(0), 0).unwrap() >= Duration::from_millis(500));
    }

    #[test]
    fn a_pause_ends_when_nobody_waits_any_more() {
        let hour = Duration::from_secs(3_600);
        let patience =
            Patience { limit: hour * 9, first_pause: hour, longest_pause: hour, tries: 9 };
        let cancel = Cancel::new();
        let busy = Busy { said: String::new(), pause: None };
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Failures::none(&patience).wait(&busy, "x", &cancel));
            cancel.cancel();
            assert_eq!(waits.join().unwrap(), Err(stopped()));
        });
    }
}
