//! The pace is exact on a fake clock; the sleeping part only has to wake.

use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

fn rate(bytes_per_sec: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(bytes_per_sec)
}

/// Lanes that draw slices one after the other, each waking `late` after its time. Returns the bytes
/// that went until `end`; `change` sets another rate at its time.
fn simulate(
    bucket: &mut Bucket,
    slices: &[u64],
    late: Duration,
    end: Duration,
    change: Option<(Duration, u64)>,
) -> u64 {
    let mut change = change;
    let mut now = Duration::ZERO;
    let mut sent = 0;
    // First come, first served: the lane that waits longest has the smallest ticket.
    let mut waiting: VecDeque<(Ticket, u64)> =
        slices.iter().map(|&bytes| (bucket.draw(now, bytes), bytes)).collect();
    while let Some(&(ticket, bytes)) = waiting.front() {
        let wait = bucket.wait(now, ticket);
        if let Some((at, bytes_per_sec)) = change
            && now + wait > at
        {
            now = now.max(at);
            bucket.set(now, rate(bytes_per_sec));
            change = None;
            continue;
        }
        if !wait.is_zero() {
            now += wait + late;
            if now > end {
                break;
            }
            continue;
        }
        sent += bytes;
        waiting.pop_front();
        waiting.push_back((bucket.draw(now, bytes), bytes));
    }
    sent
}

fn assert_within(sent: u64, expect: u64, percent: u64) {
    let allowed = expect * percent / 100;
    assert!(sent.abs_diff(expect) <= allowed, "sent {sent}, expected {expect} within {percent} %");
}

#[test]
fn ten_seconds_are_exact_within_5_percent() {
    let late = [Duration::ZERO, Duration::from_micros(80), Duration::from_millis(20)];
    for bytes_per_sec in [MIB, 10 * MIB, 1_250 * MIB] {
        for lanes in [1, 3, 64] {
            for late in late {
                let slices = vec![bytes_per_sec / 400; lanes];
                let mut bucket = Bucket::new(rate(bytes_per_sec));
                let end = Duration::from_secs(10);
                let sent = simulate(&mut bucket, &slices, late, end, None);
                assert_within(sent, 10 * bytes_per_sec, 5);
            }
        }
    }
}

#[test]
fn a_change_counts_from_its_moment_on() {
    let mut bucket = Bucket::new(rate(10 * MIB));
    let change = Some((Duration::from_secs(4), MIB));
    let sent = simulate(&mut bucket, &[65_536; 4], Duration::ZERO, Duration::from_secs(10), change);
    assert_within(sent, 46 * MIB, 2);
}

#[test]
fn idle_time_earns_no_more_than_the_burst() {
    let mut bucket = Bucket::new(rate(1_000));
    let now = Duration::from_secs(3_600);
    let ticket = bucket.draw(now, 1_100);
    assert_eq!(bucket.wait(now, ticket), Duration::from_secs(1));
}

#[test]
fn a_limit_that_is_lifted_and_set_again_owes_nothing() {
    let mut bucket = Bucket::new(rate(10));
    let ticket = bucket.draw(Duration::ZERO, 1_000_000);
    bucket.set(Duration::ZERO, None);
    assert_eq!(bucket.wait(Duration::ZERO, ticket), Duration::ZERO);
    bucket.set(Duration::ZERO, rate(10));
    let ticket = bucket.draw(Duration::ZERO, 10);
    assert_eq!(bucket.wait(Duration::ZERO, ticket), Duration::from_secs(1));
}

#[test]
fn no_limit_and_sudden_freedom_let_everything_pass() {
    let cancel = Cancel::new();
    let limit = RateLimit::new(None);
    assert_eq!(limit.take(u64::MAX, &cancel), Ok(()));
    limit.set(rate(1));
    assert_eq!(limit.bytes_per_sec(), rate(1));
    thread::scope(|scope| {
        let waits = scope.spawn(|| limit.take(u64::MAX, &cancel));
        while limit.state.lock().sleepers.is_empty() {
            thread::yield_now();
        }
        limit.set(None);
        assert_eq!(waits.join().unwrap(), Ok(()));
    });
    assert!(limit.state.lock().sleepers.is_empty());
}

#[test]
fn cancelling_ends_the_wait() {
    for _ in 0..200 {
        let (cancel, limit) = (Cancel::new(), RateLimit::new(rate(1)));
        thread::scope(|scope| {
            let waits = scope.spawn(|| limit.take(1 << 40, &cancel));
            cancel.cancel();
            assert_eq!(waits.join().unwrap(), Err(Cancelled));
        });
    }
}

proptest! {
    #[test]
    fn never_ahead_of_the_rate_by_more_than_the_burst(
        bytes_per_sec in 1_u64..1 << 40,
        draws in prop::collection::vec((0_u64..1 << 32, 0_u64..500_000_000), 1..60),
    ) {
        let mut bucket = Bucket::new(rate(bytes_per_sec));
        let (mut now, mut sent) = (Duration::ZERO, 0_u128);
        for (bytes, pause_nanos) in draws {
            now += Duration::from_nanos(pause_nanos);
            let ticket = bucket.draw(now, bytes);
            now += bucket.wait(now, ticket);
            prop_assert_eq!(bucket.wait(now, ticket), Duration::ZERO);
            sent += u128::from(bytes) * PER_BYTE;
            let allowed = u128::from(bytes_per_sec) * (now + BURST).as_nanos();
            prop_assert!(sent <= allowed, "sent {} allowed {}", sent, allowed);
        }
    }
}
