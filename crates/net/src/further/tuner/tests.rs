//! Networks that are not there.

use super::*;

const MBYTE: f64 = 1e6;

/// A network on which the first lane, and so many further ones, carry so much a second.
struct Network<'a> {
    first: f64,
    further: &'a dyn Fn(u16) -> f64,
    /// The same of those over QUIC, from a time on, and until another.
    quic: &'a dyn Fn(u16) -> f64,
    udp_passes: (f64, f64),
    /// What is lost slows down TCP.
    is_hampered: bool,
    /// Lanes that can be connected.
    most: u16,
    /// When the further ones are there.
    up_at: f64,
}

/// One that has further lanes from the beginning.
const OPEN: Network<'_> = Network {
    first: 0.0,
    further: &|_| 0.0,
    quic: &|_| 0.0,
    udp_passes: (f64::INFINITY, f64::INFINITY),
    is_hampered: false,
    most: 64,
    up_at: 0.0,
};

/// What came of it.
#[derive(Default)]
struct Ran {
    /// What is used in the end.
    decision: Option<Decision>,
    /// The most lanes that ever were.
    most: u16,
    bytes: f64,
    /// How often QUIC was tried.
    trials: u32,
}

/// How long it takes until it is known that QUIC does not get through.
const TO_FAIL: f64 = 6.0;

impl Network<'_> {
    fn run(&self, count: LaneCount, secs: u32) -> (Decision, u16, f64) {
        let ran = self.ran(count, secs);
        (ran.decision.expect("it ran"), ran.most, ran.bytes)
    }

    fn ran(&self, count: LaneCount, secs: u32) -> Ran {
        let mut tuner = Tuner::new(LaneKind::Tcp, count);
        let (mut first, mut further, mut now) = (0.0, 0.0, 0.0);
        let mut called_at = None;
        let mut is_refused = false;
        let mut ran = Ran::default();
        while now < f64::from(secs) {
            let decision = tuner.decision();
            let udp_passes = (self.udp_passes.0..self.udp_passes.1).contains(&now);
            let mut lanes = PerKind::default();
            if now >= self.up_at {
                lanes[LaneKind::Tcp] = decision.lanes_of(LaneKind::Tcp).min(self.most);
                let quic = if udp_passes { decision.lanes_of(LaneKind::Quic) } else { 0 };
                lanes[LaneKind::Quic] = quic.min(self.most);
            }
            let (tcp, quic) = (lanes[LaneKind::Tcp], lanes[LaneKind::Quic]);
            ran.most = ran.most.max(tcp).max(quic);
            if decision.kind == LaneKind::Tcp && decision.beside > 0 {
                ran.trials += u32::from(called_at.is_none());
                let since = *called_at.get_or_insert(now);
                is_refused |= !udp_passes && now > since + TO_FAIL;
            } else {
                called_at = None;
            }
            now += 0.25;
            let uses_quic = quic > 0 && (decision.kind == LaneKind::Quic || tcp == 0);
            if tcp + quic == 0 || decision.uses_first {
                first += self.first / 4.0;
            }
            further += if uses_quic { (self.quic)(quic) } else { (self.further)(tcp) } / 4.0;
            let sample = Sample {
                now: Duration::from_secs_f64(now),
                first_bytes: whole(first),
                further_bytes: whole(further),
                lanes,
                is_busy: true,
                is_hampered: self.is_hampered && !is_refused,
                round_trip: None,
            };
            tuner.observe(sample);
        }
        Ran { decision: Some(tuner.decision()), bytes: first + further, ..ran }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are few")]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

fn used(lanes: u16, uses_first: bool) -> Decision {
    Decision { kind: LaneKind::Tcp, lanes, beside: 0, uses_first }
}

#[test]
fn a_line_that_four_fill_keeps_four() {
    let line = |lanes: u16| if lanes == 0 { 0.0 } else { 110.0 * MBYTE };
    let network = Network { first: 80.0 * MBYTE, further: &line, up_at: 0.3, ..OPEN };
    let (decision, most, bytes) = network.run(LaneCount::Auto, 10);
    assert_eq!((decision, most), (used(4, false), 8));
    assert!(bytes > 0.98 * 110.0 * MBYTE * 10.0, "{bytes}");
}

#[test]
fn where_each_lane_is_slow_by_itself_there_are_many() {
    let lossy = |lanes: u16| f64::from(lanes) * 0.5 * MBYTE;
    let network = Network { first: 0.4 * MBYTE, further: &lossy, up_at: 2.0, ..OPEN };
    let (decision, ..) = network.run(LaneCount::Auto, 20);
    assert_eq!(decision, used(64, false));
}

#[test]
fn it_stops_where_the_line_is_full() {
    let line = |lanes: u16| (f64::from(lanes) * 6.0 * MBYTE).min(80.0 * MBYTE);
    let network = Network { first: 12.0 * MBYTE, further: &line, up_at: 1.0, ..OPEN };
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
    let network = Network { first: 1.0, further: &line, ..OPEN };
    let (decision, ..) = network.run(LaneCount::Auto, 60);
    assert!((32..=64).contains(&decision.lanes), "{decision:?}");
}

#[test]
fn lanes_that_do_not_pay_are_given_back() {
    let shaped = |lanes: u16| if lanes == 0 { 0.0 } else { 2.0 * MBYTE };
    let network = Network { first: 100.0 * MBYTE, further: &shaped, up_at: 2.0, ..OPEN };
    let (decision, _, bytes) = network.run(LaneCount::Auto, 30);
    assert_eq!(decision, used(0, true));
    assert!(bytes > 0.9 * 100.0 * MBYTE * 30.0, "{bytes}");
}

#[test]
fn lanes_that_help_a_little_do_not_replace_the_first() {
    let slow = |lanes: u16| f64::from(lanes) * 10.0 * MBYTE;
    let network = Network { first: 100.0 * MBYTE, further: &slow, most: 4, up_at: 2.0, ..OPEN };
    let (decision, _, bytes) = network.run(LaneCount::Auto, 30);
    assert!(decision.uses_first && decision.lanes >= 4, "{decision:?}");
    assert!(bytes > 0.9 * 140.0 * MBYTE * 30.0, "{bytes}");
}

#[test]
fn a_number_that_was_asked_for_stays() {
    let line = |_| MBYTE;
    let network = Network { first: 100.0 * MBYTE, further: &line, ..OPEN };
    for lanes in [1, 3, 64] {
        let (decision, most, _) = network.run(LaneCount::Fixed(lanes), 10);
        assert_eq!((decision, most), (used(lanes, false), lanes));
    }
    assert_eq!(Tuner::new(LaneKind::Tcp, LaneCount::Fixed(0)).decision().lanes, 1);
    assert_eq!(Tuner::new(LaneKind::Tcp, LaneCount::Fixed(500)).decision().lanes, FURTHER_MAX);
}

#[test]
fn what_nobody_asks_for_tells_nothing() {
    let mut tuner = Tuner::new(LaneKind::Tcp, LaneCount::Auto);
    for quarter in 0..400 {
        let now = Duration::from_millis(250 * quarter);
        // Every other look finds that all is done.
        let is_busy = quarter % 2 == 0;
        let mut lanes = PerKind::default();
        lanes[LaneKind::Tcp] = 4;
        let further_bytes = quarter * quarter * 1000;
        tuner.observe(Sample { now, further_bytes, lanes, is_busy, ..Sample::default() });
    }
    assert_eq!(tuner.decision(), used(4, false));
}

#[test]
fn lanes_that_cannot_be_connected_are_not_waited_for() {
    let lossy = |lanes: u16| f64::from(lanes) * 0.5 * MBYTE;
    let network = Network { first: 0.4 * MBYTE, further: &lossy, most: 6, ..OPEN };
    let (decision, most, _) = network.run(LaneCount::Auto, 30);
    assert_eq!(most, 6);
    assert!(decision.lanes <= 8, "{decision:?}");
}

/// Each packet that is lost slows down a lane; the control of QUIC looks at something else.
const LOSSY: Network<'_> = Network {
    first: 0.2 * MBYTE,
    further: &|lanes| 0.15 * MBYTE * f64::from(lanes),
    quic: &|lanes| f64::min(8.0 * MBYTE * f64::from(lanes), 50.0 * MBYTE),
    udp_passes: (0.0, f64::INFINITY),
    is_hampered: true,
    up_at: 0.5,
    ..OPEN
};

fn kind_and_trials(network: &Network<'_>, secs: u32) -> (LaneKind, u32) {
    let ran = network.ran(LaneCount::Auto, secs);
    (ran.decision.expect("it ran").kind, ran.trials)
}

#[test]
fn quic_is_tried_where_losses_slow_down_tcp_and_where_it_does_better_it_stays() {
    let gigabit = |lanes: u16| if lanes == 0 { 0.0 } else { 110.0 * MBYTE };
    let narrow = |lanes: u16| if lanes == 0 { 0.0 } else { 2.0 * MBYTE };
    let some = |lanes: u16| f64::from(lanes) * 0.5 * MBYTE;
    let bbr = |lanes: u16| (f64::from(lanes) * 10.0 * MBYTE).min(60.0 * MBYTE);
    let tcp_is_as_good = Network { further: &narrow, quic: &narrow, ..LOSSY };
    // What there is, what is used after a minute, and how often QUIC was tried.
    let table = [
        ("loss without BBR", LOSSY, LaneKind::Quic, 1),
        ("loss with BBR", Network { further: &bbr, is_hampered: false, ..LOSSY }, LaneKind::Tcp, 0),
        ("no loss", Network { further: &gigabit, ..LOSSY }, LaneKind::Tcp, 0),
        ("a narrow line", tcp_is_as_good, LaneKind::Tcp, 1),
        ("UDP is shaped", Network { quic: &some, further: &some, ..LOSSY }, LaneKind::Tcp, 1),
        ("UDP is blocked", Network { udp_passes: OPEN.udp_passes, ..LOSSY }, LaneKind::Tcp, 1),
    ];
    for (name, network, kind, trials) in table {
        assert_eq!(kind_and_trials(&network, 60), (kind, trials), "{name}");
    }
}

#[test]
fn a_small_job_is_over_before_anything_is_tried() {
    assert_eq!(kind_and_trials(&LOSSY, 2), (LaneKind::Tcp, 0));
}

#[test]
fn what_losses_take_is_given_back_within_seconds() {
    let ran = LOSSY.ran(LaneCount::Auto, 21);
    assert!(ran.bytes > 0.75 * 50.0 * MBYTE * 21.0, "{}", ran.bytes);
}

#[test]
fn a_trial_that_failed_costs_little_and_is_repeated_rarely() {
    let narrow = |lanes: u16| if lanes == 0 { 0.0 } else { 8.0 * MBYTE };
    let useless = |lanes: u16| f64::from(lanes.min(1)) * 0.1 * MBYTE;
    let network = Network { further: &narrow, quic: &useless, ..LOSSY };
    let ran = network.ran(LaneCount::Auto, 3600);
    assert!((3..=6).contains(&ran.trials), "{}", ran.trials);
    assert!(ran.bytes > 0.99 * 8.0 * MBYTE * 3600.0, "{}", ran.bytes);
    assert_eq!(ran.decision, Some(used(4, false)));
}

#[test]
fn a_network_that_lets_udp_pass_later_is_found_out_if_it_is_only_silent() {
    // Nobody has said that it cannot be.
    let network = Network { udp_passes: (4.0, f64::INFINITY), ..LOSSY };
    assert_eq!(kind_and_trials(&network, 30), (LaneKind::Quic, 1));
}

#[test]
fn where_quic_is_cut_off_after_it_won_the_lanes_over_tcp_come_back() {
    let network = Network { udp_passes: (0.0, 20.0), ..LOSSY };
    let (decision, ..) = network.run(LaneCount::Auto, 40);
    assert_eq!((decision.kind, decision.beside), (LaneKind::Tcp, 0));
    assert!(decision.lanes >= START, "{decision:?}");
}

#[test]
fn a_number_that_was_asked_for_is_of_the_kind_that_came_up() {
    let (decision, ..) = LOSSY.run(LaneCount::Fixed(3), 60);
    assert_eq!(decision, used(3, false));
}

#[test]
fn lanes_over_quic_that_came_up_first_are_not_exchanged() {
    let mut tuner = Tuner::new(LaneKind::Quic, LaneCount::Auto);
    for quarter in 0..400_u32 {
        let mut lanes = PerKind::default();
        lanes[LaneKind::Quic] = tuner.decision().lanes;
        let now = Duration::from_millis(250) * quarter;
        let further_bytes = u64::from(quarter) * 100_000;
        let (is_busy, is_hampered) = (true, true);
        let sample =
            Sample { now, further_bytes, lanes, is_busy, is_hampered, ..Sample::default() };
        let decision = tuner.observe(sample);
        assert_eq!((decision.kind, decision.beside), (LaneKind::Quic, 0));
    }
}

#[test]
fn the_longer_a_round_trip_takes_the_more_lanes_are_begun_with_up_to_a_number() {
    let began_with = |round_trip_ms: Option<u64>, count| {
        let mut tuner = Tuner::new(LaneKind::Tcp, count);
        let mut lanes = PerKind::default();
        lanes[LaneKind::Tcp] = 1;
        let round_trip = round_trip_ms.map(Duration::from_millis);
        tuner.observe(Sample { lanes, round_trip, is_busy: true, ..Sample::default() }).lanes
    };
    let round_trips = [None, Some(0), Some(20), Some(48), Some(100), Some(5000)];
    let begun = round_trips.map(|round_trip| began_with(round_trip, LaneCount::Auto));
    assert_eq!(begun, [START, START, START, 8, START_MOST, START_MOST]);
    assert_eq!(began_with(Some(100), LaneCount::Fixed(3)), 3);
}
