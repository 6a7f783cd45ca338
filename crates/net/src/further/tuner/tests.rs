//! Networks that are not there.

use super::*;

const MBYTE: f64 = 1e6;

/// A network on which the first lane, and so many further ones, carry so much a second.
struct Network<'a> {
    first: f64,
    further: &'a dyn Fn(u16) -> f64,
    /// Lanes that can be connected.
    most: u16,
    /// When the further ones are there.
    up_at: f64,
}

impl Network<'_> {
    /// What is used in the end, the most that ever was, and the bytes of all the time.
    fn run(&self, count: LaneCount, secs: u32) -> (Decision, u16, f64) {
        let mut tuner = Tuner::new(count);
        let (mut first, mut further, mut most) = (0.0, 0.0, 0);
        let mut now = 0.0;
        while now < f64::from(secs) {
            let Decision { lanes, uses_first } = tuner.decision();
            let lanes = if now < self.up_at { 0 } else { lanes.min(self.most) };
            most = most.max(lanes);
            now += 0.25;
            if lanes == 0 || uses_first {
                first += self.first / 4.0;
            }
            further += (self.further)(lanes) / 4.0;
            let sample = Sample {
                now: Duration::from_secs_f64(now),
                first_bytes: whole(first),
                further_bytes: whole(further),
                lanes,
                is_busy: true,
            };
            tuner.observe(sample);
        }
        (tuner.decision(), most, first + further)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are few")]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

fn used(lanes: u16, uses_first: bool) -> Decision {
    Decision { lanes, uses_first }
}

#[test]
fn a_line_that_four_fill_keeps_four() {
    let line = |lanes: u16| if lanes == 0 { 0.0 } else { 110.0 * MBYTE };
    let network = Network { first: 80.0 * MBYTE, further: &line, most: 64, up_at: 0.3 };
    let (decision, most, bytes) = network.run(LaneCount::Auto, 10);
    assert_eq!((decision, most), (used(4, false), 8));
    assert!(bytes > 0.98 * 110.0 * MBYTE * 10.0, "{bytes}");
}

#[test]
fn where_each_lane_is_slow_by_itself_there_are_many() {
    let lossy = |lanes: u16| f64::from(lanes) * 0.5 * MBYTE;
    let network = Network { first: 0.4 * MBYTE, further: &lossy, most: 64, up_at: 2.0 };
    let (decision, ..) = network.run(LaneCount::Auto, 20);
    assert_eq!(decision, used(64, false));
}

#[test]
fn it_stops_where_the_line_is_full() {
    let line = |lanes: u16| (f64::from(lanes) * 6.0 * MBYTE).min(80.0 * MBYTE);
    let network = Network { first: 12.0 * MBYTE, further: &line, most: 64, up_at: 1.0 };
    let (decision, most, _) = network.run(LaneCount::Auto, 12);
    assert_eq!((decision, most), (used(16, false), 32));
}

#[test]
fn a_line_that_grows_is_found_out_in_time() {
    // It is asked again after 8 windows, and then after 16.
    let secs = std::cell::Cell::new(0.0_f64);
    let line = |lanes: u16| {
        secs.set(secs.get() + 0.25);
        let most = if secs.get() < 12.0 { 24.0 } else { 200.0 };
        (f64::from(lanes) * 6.0).min(most) * MBYTE
    };
    let network = Network { first: 1.0, further: &line, most: 64, up_at: 0.0 };
    let (decision, ..) = network.run(LaneCount::Auto, 60);
    assert!((32..=64).contains(&decision.lanes), "{decision:?}");
}

#[test]
fn lanes_that_do_not_pay_are_given_back() {
    let shaped = |lanes: u16| if lanes == 0 { 0.0 } else { 2.0 * MBYTE };
    let network = Network { first: 100.0 * MBYTE, further: &shaped, most: 64, up_at: 2.0 };
    let (decision, _, bytes) = network.run(LaneCount::Auto, 30);
    assert_eq!(decision, used(0, true));
    assert!(bytes > 0.9 * 100.0 * MBYTE * 30.0, "{bytes}");
}

#[test]
fn lanes_that_help_a_little_do_not_replace_the_first() {
    let slow = |lanes: u16| f64::from(lanes) * 10.0 * MBYTE;
    let network = Network { first: 100.0 * MBYTE, further: &slow, most: 4, up_at: 2.0 };
    let (decision, _, bytes) = network.run(LaneCount::Auto, 30);
    assert!(decision.uses_first && decision.lanes >= 4, "{decision:?}");
    assert!(bytes > 0.9 * 140.0 * MBYTE * 30.0, "{bytes}");
}

#[test]
fn a_number_that_was_asked_for_stays() {
    let line = |_| MBYTE;
    let network = Network { first: 100.0 * MBYTE, further: &line, most: 64, up_at: 0.0 };
    for lanes in [1, 3, 64] {
        let (decision, most, _) = network.run(LaneCount::Fixed(lanes), 10);
        assert_eq!((decision, most), (used(lanes, false), lanes));
    }
    assert_eq!(Tuner::new(LaneCount::Fixed(0)).decision().lanes, 1);
    assert_eq!(Tuner::new(LaneCount::Fixed(500)).decision().lanes, FURTHER_MAX);
}

#[test]
fn what_nobody_asks_for_tells_nothing() {
    let mut tuner = Tuner::new(LaneCount::Auto);
    for quarter in 0..400 {
        let now = Duration::from_millis(250 * quarter);
        // Every other look finds that all is done.
        let is_busy = quarter % 2 == 0;
        let lanes = 4;
        let bytes = quarter * quarter * 1000;
        tuner.observe(Sample { now, first_bytes: 0, further_bytes: bytes, lanes, is_busy });
    }
    assert_eq!(tuner.decision(), used(4, false));
}

#[test]
fn lanes_that_cannot_be_connected_are_not_waited_for() {
    let lossy = |lanes: u16| f64::from(lanes) * 0.5 * MBYTE;
    let network = Network { first: 0.4 * MBYTE, further: &lossy, most: 6, up_at: 0.0 };
    let (decision, most, _) = network.run(LaneCount::Auto, 30);
    assert_eq!(most, 6);
    assert!(decision.lanes <= 8, "{decision:?}");
}
