//! The tuner against simulated machines: what it finds and what that costs.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::meter::Meter;

const TICK: u64 = 10_000_000;
const SECOND: u64 = 1_000_000_000;
const CEILING: usize = 256;

/// A small generator, so that each simulation is the same on each machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What an operation costs: its class, and nanoseconds on an idle machine.
type Cost = fn(&mut Dice, now: u64) -> (u8, u64);

fn two_ms(dice: &mut Dice, _now: u64) -> (u8, u64) {
    (0, 1_900_000 + dice.below(200_000))
}

fn jittered(dice: &mut Dice, _now: u64) -> (u8, u64) {
    // Half to one and a half, and one in fifty ten times as long.
    let usual = 1_000_000 + dice.below(2_000_000);
    (0, if dice.below(50) == 0 { 10 * usual } else { usual })
}

fn mixed(dice: &mut Dice, _now: u64) -> (u8, u64) {
    let (class, usual) = [(0, 600_000), (1, 2_000_000), (2, 7_000_000)][(dice.next() % 3) as usize];
    (class, usual * (80 + dice.below(40)) / 100)
}

fn cached_or_not(dice: &mut Dice, _now: u64) -> (u8, u64) {
    (0, if dice.below(10) < 3 { 10_000 } else { 2_000_000 })
}

fn slower_from_the_third_second(dice: &mut Dice, now: u64) -> (u8, u64) {
    let (class, usual) = two_ms(dice, now);
    (class, if now < 3 * SECOND { usual } else { usual * 5 })
}

fn faster_from_the_third_second(dice: &mut Dice, now: u64) -> (u8, u64) {
    let (class, usual) = two_ms(dice, now);
    (class, if now < 3 * SECOND { usual * 5 } else { usual })
}

#[derive(Clone, Copy)]
enum Control {
    Fixed(usize),
    Tuned,
    /// As on a machine with so many cores, which only the start and the busy test depend on.
    TunedWithCores(usize),
}

#[derive(Debug)]
struct Report {
    operations: u64,
    /// The limit at the end of each tenth of a second.
    limits: Vec<usize>,
}

impl Report {
    fn last(&self, seconds: usize) -> (usize, usize) {
        let tail = &self.limits[self.limits.len() - seconds * 10..];
        (*tail.iter().min().unwrap(), *tail.iter().max().unwrap())
    }

    fn median_of_last(&self, seconds: usize) -> usize {
        let mut tail = self.limits[self.limits.len() - seconds * 10..].to_vec();
        tail.sort_unstable();
        tail[tail.len() / 2]
    }
}

/// What both machines share: the workers' control loop.
struct Loop {
    tuner: Option<Tuner>,
    limit: usize,
    meter: Meter,
    report: Report,
    next_tick: u64,
    operations: u64,
}

impl Loop {
    fn new(control: Control) -> Self {
        let cores = match control {
            Control::TunedWithCores(cores) => cores,
            _ => 2,
        };
        let tuner = Tuner::new(cores, CEILING);
        let (tuner, limit) = match control {
            Control::Fixed(limit) => (None, limit),
            _ => (Some(Tuner::new(cores, CEILING)), tuner.limit()),
        };
        let report = Report { operations: 0, limits: Vec::new() };
        Self { tuner, limit, meter: Meter::default(), report, next_tick: TICK, operations: 0 }
    }

    fn done(&mut self, class: u8, took: u64) {
        self.operations += 1;
        self.meter.add(Class::new(class), Duration::from_nanos(took), 1);
    }

    fn tick(&mut self, cpu: u64, busy: usize) {
        let mut tally = Tally::default();
        self.meter.drain_into(&mut tally);
        if let Some(tuner) = &mut self.tuner {
            let now = Duration::from_nanos(self.next_tick);
            let cpu = Duration::from_nanos(cpu);
            self.limit = tuner.observe(&Tick { now, cpu, busy, tally });
        }
        if self.next_tick.is_multiple_of(10 * TICK) {
            self.report.limits.push(self.limit);
        }
        self.next_tick += TICK;
    }

    fn finish(mut self) -> Report {
        self.report.operations = self.operations;
        self.report
    }
}

/// Storage that serves `slots` operations at once, first come, first served.
fn storage(slots: usize, cost: Cost, seconds: u64, control: Control) -> Report {
    storage_with_work(slots, cost, seconds, control, usize::MAX)
}

/// The same, with tasks for only so many workers.
fn storage_with_work(
    slots: usize,
    cost: Cost,
    seconds: u64,
    control: Control,
    work: usize,
) -> Report {
    let mut control = Loop::new(control);
    let mut dice = Dice(1);
    // Operations in service by their end: (end, begin, class). Waiting ones: (begin, class, cost).
    let mut served: BinaryHeap<Reverse<(u64, u64, u8)>> = BinaryHeap::new();
    let mut waiting: VecDeque<(u64, u8, u64)> = VecDeque::new();
    let mut now = 0;
    while now < seconds * SECOND {
        while served.len() + waiting.len() < control.limit.min(work) {
            let (class, cost) = cost(&mut dice, now);
            waiting.push_back((now, class, cost));
        }
        while served.len() < slots
            && let Some((begun, class, cost)) = waiting.pop_front()
        {
            served.push(Reverse((now + cost, begun, class)));
        }
        let next = served.peek().map_or(u64::MAX, |Reverse((end, ..))| *end);
        if control.next_tick <= next {
            now = control.next_tick;
            // 20 us of a core for each operation.
            control.tick(control.operations * 20_000, served.len() + waiting.len());
        } else if let Some(Reverse((end, begun, class))) = served.pop() {
            now = end;
            control.done(class, end - begun);
        }
    }
    control.finish()
}

/// A disk in memory: operations of some 30 us of CPU each, on cores that are shared in slices.
fn cores(count: usize, seconds: u64, control: Control, seen_cpu_percent: u64) -> Report {
    const SLICE: u64 = 3_000_000;
    let mut control = Loop::new(control);
    let mut dice = Dice(2);
    // Runnable workers: when their operation began, and what is left of it.
    let mut runnable: VecDeque<(u64, u64)> = VecDeque::new();
    let mut now = 0;
    let mut awake = 0;
    while now < seconds * SECOND {
        while awake < control.limit {
            runnable.push_back((now, 20_000 + dice.below(20_000)));
            awake += 1;
        }
        // One slice on each core; the cores go in step, which is near enough.
        for _ in 0..count {
            let Some((mut begun, mut left)) = runnable.pop_front() else { break };
            let mut at = now;
            while at + left <= now + SLICE {
                at += left;
                control.done(0, at - begun);
                (begun, left) = (at, 20_000 + dice.below(20_000));
            }
            left -= now + SLICE - at;
            if awake > control.limit {
                awake -= 1;
            } else {
                runnable.push_back((begun, left));
            }
        }
        now += SLICE;
        while control.next_tick <= now {
            let cpu = control.next_tick * count.min(awake) as u64 * seen_cpu_percent / 100;
            control.tick(cpu, awake);
        }
    }
    control.finish()
}

fn best_fixed(slots: usize, cost: Cost, seconds: u64) -> u64 {
    [1, 2, 4]
        .map(|factor| storage(slots, cost, seconds, Control::Fixed(factor * slots)).operations)
        .into_iter()
        .max()
        .unwrap()
}

/// Within a second the limit is high enough, later between S and 2 S, and over ten seconds 90 % of
/// what the best fixed limit does is done.
fn check_storage(slots: usize, cost: Cost) {
    let tuned = storage(slots, cost, 10, Control::Tuned);
    let share = tuned.operations * 100 / best_fixed(slots, cost, 10);
    println!("S={slots}: {share} % of the best, limits {:?}", tuned.limits);
    assert!(tuned.limits[..10].iter().any(|&limit| limit >= slots), "not within a second");
    let found = tuned.median_of_last(8);
    assert!((slots..=2 * slots).contains(&found), "found {found} for {slots}");
    assert!(share >= 90, "{share} % of the best fixed limit");
}

#[test]
fn finds_16_and_64_slots_of_2_ms() {
    check_storage(16, two_ms);
    check_storage(64, two_ms);
}

#[test]
fn finds_the_slots_under_jitter_and_outliers() {
    check_storage(16, jittered);
    check_storage(64, jittered);
}

#[test]
fn finds_the_slots_with_mixed_classes() {
    check_storage(16, mixed);
    check_storage(64, mixed);
}

#[test]
fn answers_from_a_cache_do_not_hide_the_server() {
    check_storage(16, cached_or_not);
    check_storage(64, cached_or_not);
}

#[test]
fn a_slow_device_without_parallelism_keeps_a_few_workers() {
    let tuned = storage(1, two_ms, 10, Control::Tuned);
    println!("S=1: {:?}", tuned.limits);
    assert!(tuned.last(5).1 <= 5);
}

#[test]
fn two_busy_cores_keep_2_to_6_workers() {
    // The last two as if half of the CPU time were not seen, or other programs had it.
    for (seen_cpu_percent, at_most) in [(100, 4), (80, 4), (50, 6), (0, 6)] {
        let tuned = cores(2, 10, Control::Tuned, seen_cpu_percent);
        let best = cores(2, 10, Control::Fixed(2), 0).operations;
        let share = tuned.operations * 100 / best;
        println!("2 cores, {seen_cpu_percent} % seen: {share} %, limits {:?}", tuned.limits);
        let found = tuned.median_of_last(8);
        assert!((2..=at_most).contains(&found), "found {found}");
        assert!(share >= 90);
    }
}

#[test]
fn many_cores_before_a_small_server_come_down() {
    // The second starts at the ceiling.
    for cores in [64, CEILING] {
        let tuned = storage(16, two_ms, 20, Control::TunedWithCores(cores));
        println!("{cores} cores: {:?}", tuned.limits);
        assert!(tuned.median_of_last(5) <= 32);
    }
}

#[test]
fn a_change_of_the_storage_is_noticed() {
    for cost in [slower_from_the_third_second as Cost, faster_from_the_third_second] {
        let tuned = storage(64, cost, 15, Control::Tuned);
        println!("change: {:?}", tuned.limits);
        let found = tuned.median_of_last(10);
        assert!((64..=128).contains(&found), "found {found}");
        assert!(tuned.operations * 100 / best_fixed(64, cost, 15) >= 90);
    }
}

#[test]
fn cheap_operations_do_not_hide_a_queue() {
    // Nine in ten are answered here and not by the server, in a class of their own.
    fn cost(dice: &mut Dice, _now: u64) -> (u8, u64) {
        if dice.below(10) < 9 { (1, 2_000) } else { (0, 2_000_000) }
    }
    let tuned = storage(16, cost, 10, Control::Tuned);
    println!("cheap: {:?}", tuned.limits);
    assert!(tuned.median_of_last(5) <= 40);
}

#[test]
fn does_not_grow_for_work_that_is_not_there() {
    let tuned = storage_with_work(256, two_ms, 5, Control::Tuned, 6);
    assert!(tuned.last(4).1 <= 24, "{:?}", tuned.limits);
}

#[test]
fn never_grows_while_the_cores_are_busy() {
    let mut tuner = Tuner::new(4, CEILING);
    let meter = Meter::default();
    let mut cpu = Duration::ZERO;
    for look in 1..1_000_u32 {
        // Now and then the kernel's own threads have them.
        cpu += Duration::from_millis(10) * 4 * if look % 50 > 45 { 60 } else { 95 } / 100;
        let now = Duration::from_millis(10) * look;
        (0..100).for_each(|_| meter.add(Class::new(0), Duration::from_millis(1), 1));
        let mut tally = Tally::default();
        meter.drain_into(&mut tally);
        assert!(tuner.observe(&Tick { now, cpu, busy: 8, tally }) <= 4);
    }
}

#[test]
fn a_probe_that_sees_nothing_is_given_up() {
    let mut tuner = Tuner::new(16, CEILING);
    tuner.begin_probe(Duration::from_secs(5), &Means::default());
    assert_eq!(tuner.limit(), 8);
    let at = |seconds| Tick { now: Duration::from_secs(seconds), busy: 16, ..Tick::default() };
    assert_eq!(tuner.observe(&at(5)), 8);
    assert_eq!(tuner.observe(&at(6)), 16);
}

proptest! {
    #[test]
    fn the_limit_stays_between_floor_and_ceiling(
        cores in 1_usize..300,
        ceiling in 1_usize..300,
        least in 1_usize..300,
        first in 1_usize..300,
        looks in prop::collection::vec((0_u8..16, 0_u64..u64::MAX, 0_u32..5, 0_usize..400), 0..300),
    ) {
        let mut tuner = Tuner::new(cores, ceiling).with_at_least(least).beginning_with(first);
        prop_assert!(tuner.limit() >= first.min(ceiling));
        let mut now = Duration::ZERO;
        for (class, took, operations, busy) in looks {
            now += Duration::from_millis(30);
            let meter = Meter::default();
            (0..40).for_each(|_| meter.add(Class::new(class), Duration::from_nanos(took), operations));
            let mut tally = Tally::default();
            meter.drain_into(&mut tally);
            let limit = tuner.observe(&Tick { now, cpu: Duration::ZERO, busy, tally });
            prop_assert!(limit >= least.min(ceiling) && limit <= ceiling);
        }
    }
}
