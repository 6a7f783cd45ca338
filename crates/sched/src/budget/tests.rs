//! Budgets keep their limit, serve in order, and lose neither permits nor sleepers.

use std::sync::atomic::AtomicU64;
use std::thread;

use proptest::prelude::*;

use super::*;

impl Budget {
    fn in_use(&self) -> u64 {
        self.limit - self.state.lock().free
    }
}

fn wait_for_line(budget: &Budget, len: usize) {
    while budget.state.lock().line.len() != len {
        thread::yield_now();
    }
}

#[test]
fn a_request_above_the_limit_is_clamped_and_zero_is_free() {
    let (budget, cancel) = (Budget::new(3), Cancel::new());
    let all = budget.acquire(10, &cancel).unwrap();
    assert_eq!((all.amount(), budget.in_use()), (3, 3));
    assert_eq!(budget.acquire(0, &cancel).unwrap().amount(), 0);
    drop(all);
    assert_eq!(budget.in_use(), 0);
    assert_eq!(Budget::new(0).limit, 1);
}

#[test]
fn small_requests_do_not_overtake_a_big_one() {
    let (budget, cancel) = (Budget::new(4), Cancel::new());
    let order = Mutex::new(Vec::new());
    let held = budget.acquire(1, &cancel).unwrap();
    thread::scope(|scope| {
        for (place, amount) in [(0, 4), (1, 1), (2, 1)] {
            let (budget, cancel, order) = (&budget, &cancel, &order);
            scope.spawn(move || {
                let permit = budget.acquire(amount, cancel).unwrap();
                order.lock().push(amount);
                drop(permit);
            });
            wait_for_line(budget, place + 1);
        }
        assert_eq!(budget.in_use(), 1, "three are free, but others wait");
        drop(held);
    });
    assert_eq!(order.into_inner(), [4, 1, 1]);
}

#[test]
fn who_gives_up_lets_those_behind_through() {
    let (budget, gone, stays) = (Budget::new(4), Cancel::new(), Cancel::new());
    let held = budget.acquire(2, &stays).unwrap();
    thread::scope(|scope| {
        let big = scope.spawn(|| budget.acquire(4, &gone).map(drop));
        wait_for_line(&budget, 1);
        let small = scope.spawn(|| budget.acquire(1, &stays).map(drop));
        wait_for_line(&budget, 2);
        gone.cancel();
        assert_eq!(big.join().unwrap(), Err(Cancelled));
        assert_eq!(small.join().unwrap(), Ok(()));
    });
    drop(held);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn a_cancelled_token_takes_nothing() {
    let (budget, cancel) = (Budget::new(1), Cancel::new());
    cancel.cancel();
    assert!(budget.acquire(1, &cancel).is_err());
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn cancelling_races_with_grants_without_losing_permits() {
    for _ in 0..500 {
        let (budget, cancel) = (Budget::new(2), Cancel::new());
        thread::scope(|scope| {
            for amount in [1, 2, 2, 1] {
                let (budget, cancel) = (&budget, &cancel);
                scope.spawn(move || budget.acquire(amount, cancel).map(drop));
            }
            cancel.cancel();
        });
        assert_eq!(budget.in_use(), 0);
        assert!(budget.state.lock().line.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_limit_holds_and_everybody_is_served(
        limit in 1_u64..20,
        requests in prop::collection::vec(prop::collection::vec(0_u64..30, 1..40), 1..8),
    ) {
        let (budget, cancel) = (Budget::new(limit), Cancel::new());
        let (in_use, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for amounts in &requests {
                let (budget, cancel, in_use, peak) = (&budget, &cancel, &in_use, &peak);
                scope.spawn(move || {
                    for &amount in amounts {
                        let permit = budget.acquire(amount, cancel).unwrap();
                        let now = in_use.fetch_add(permit.amount(), Ordering::SeqCst);
                        peak.fetch_max(now + permit.amount(), Ordering::SeqCst);
                        thread::yield_now();
                        in_use.fetch_sub(permit.amount(), Ordering::SeqCst);
                    }
                });
            }
        });
        prop_assert!(peak.into_inner() <= limit);
        prop_assert_eq!(budget.in_use(), 0);
    }
}

#[test]
fn trying_takes_what_is_free_and_never_overtakes() {
    let (budget, cancel) = (Budget::new(4), Cancel::new());
    let held = budget.try_acquire(3).expect("four are free");
    assert!(budget.try_acquire(2).is_none());
    assert_eq!(budget.in_use(), 3, "what was not granted takes nothing");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| budget.acquire(2, &cancel).map(drop));
        wait_for_line(&budget, 1);
        assert!(budget.try_acquire(1).is_none(), "somebody waits");
        drop(held);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(budget.in_use(), 0);
}
