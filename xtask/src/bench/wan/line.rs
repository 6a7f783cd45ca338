//! One direction of a link: what becomes of each packet, and when. Pure; times come in.

use std::time::Duration;

/// What a link does to packets, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// There and back.
    pub(crate) round_trip_ms: u32,
    /// Of a hundred thousand packets so many are lost, at random.
    pub(crate) loss_per_100k: u32,
    /// Of IP packets.
    pub(crate) rate_mbit: u32,
}

impl Link {
    /// In words.
    pub(crate) fn shown(self) -> String {
        let Self { round_trip_ms, loss_per_100k, rate_mbit } = self;
        let loss = match loss_per_100k {
            0 => String::new(),
            some => format!(", {} % lost", f64::from(some) / 1000.0),
        };
        format!("{rate_mbit} Mbit/s, {round_trip_ms} ms{loss}")
    }

    fn delay(self) -> Duration {
        Duration::from_millis(self.round_trip_ms.into()) / 2
    }

    /// What waits for its turn at most: as much as is under way in a round trip.
    fn queue(self) -> Duration {
        const LEAST_BYTES: usize = 256 << 10;
        self.time_of(LEAST_BYTES).max(self.delay() * 2)
    }

    /// How long it takes to send so much.
    fn time_of(self, bytes: usize) -> Duration {
        let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(8);
        // Mbit/s are bits in a microsecond.
        Duration::from_nanos(bits.saturating_mul(1000) / u64::from(self.rate_mbit.max(1)))
    }
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Line {
    link: Link,
    rng: fastrand::Rng,
    /// All that was taken so far has been sent then.
    sent_at: Duration,
}

impl Line {
    /// Lines of one seed lose the same packets.
    pub(super) fn new(link: Link, seed: u64) -> Self {
        Self { link, rng: fastrand::Rng::with_seed(seed), sent_at: Duration::ZERO }
    }

    /// When a packet of so many bytes arrives that comes now; `None` if it is lost. Arrivals ascend.
    pub(super) fn admit(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let is_lost = self.rng.u32(0..100_000) < self.link.loss_per_100k;
        let start = self.sent_at.max(now);
        let sent_at = start + self.link.time_of(bytes);
        if is_lost || sent_at.saturating_sub(now) > self.link.queue() {
            return None;
        }
        self.sent_at = sent_at;
        Some(sent_at + self.link.delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link { round_trip_ms: 20, loss_per_100k: 0, rate_mbit: 1000 };
    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_packet_takes_its_time_on_the_line_and_half_a_round_trip() {
        let mut line = Line::new(LINK, 1);
        let first = line.admit(NOW, 1250).unwrap();
        assert_eq!(first, NOW + Duration::from_micros(10_010));
        assert_eq!(line.admit(NOW, 1250), Some(first + Duration::from_micros(10)));
        let later = NOW + Duration::from_secs(1);
        assert_eq!(line.admit(later, 1250), Some(later + Duration::from_micros(10_010)));
    }

    #[test]
    fn the_queue_holds_what_a_round_trip_carries() {
        let mut line = Line::new(LINK, 1);
        let taken = (0..10_000).filter(|_| line.admit(NOW, 1250).is_some()).count();
        assert_eq!(taken, 2_000);
        let slow = Link { rate_mbit: 1, ..LINK };
        let taken = (0..10_000).filter(|_| Line::new(slow, 1).admit(NOW, 1250).is_some()).count();
        assert_eq!(taken, 10_000, "each alone on a line finds room");
    }

    #[test]
    fn as_many_are_lost_as_was_said_and_the_same_ones_again() {
        let lossy = Link { loss_per_100k: 1000, ..LINK };
        let fates = |seed| {
            let mut line = Line::new(lossy, seed);
            let at = |packet| NOW + Duration::from_millis(packet);
            (0..100_000).map(|packet| line.admit(at(packet), 100).is_some()).collect::<Vec<_>>()
        };
        let lost = fates(1).iter().filter(|arrives| !**arrives).count();
        assert!((800..1200).contains(&lost), "{lost} of 100,000");
        assert!(fates(1) == fates(1) && fates(1) != fates(2));
    }
}
