//! Whole runs: every task exactly once, no lost wake-up, no lost panic, no hang.

use std::panic::panic_any;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

use proptest::prelude::*;

use super::*;
use crate::meter::Class;
use crate::task::Context;

type Job = Box<dyn FnOnce(&Context<'_, Closure>) + Send>;

/// A task from a closure; counts what is abandoned.
struct Closure {
    job: Job,
    abandoned: Option<Arc<AtomicUsize>>,
}

impl Task for Closure {
    fn run(self, cx: &Context<'_, Self>) {
        (self.job)(cx);
    }

    fn abandon(self, _cx: &Context<'_, Self>) {
        if let Some(count) = self.abandoned {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn task(job: impl FnOnce(&Context<'_, Closure>) + Send + 'static) -> Closure {
    Closure { job: Box::new(job), abandoned: None }
}

fn wait_at(barrier: Arc<Barrier>) -> Closure {
    task(move |_| {
        barrier.wait();
    })
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn fixed(workers: usize) -> Settings {
    Settings { workers: Workers::Fixed(count(workers)), ..Settings::default() }
}

fn run_one(workers: usize, job: impl FnOnce(&Context<'_, Closure>) + Send + 'static) -> Outcome {
    run(&fixed(workers), &Cancel::new(), [task(job)])
}

#[test]
fn nothing_to_do_starts_no_thread() {
    let outcome = run(&fixed(4), &Cancel::new(), Vec::<Closure>::new());
    assert_eq!((outcome.end, outcome.tasks, outcome.peak_workers), (End::Done, 0, 0));
}

#[test]
fn one_worker_runs_in_a_fixed_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = {
        let order = Arc::clone(&order);
        move |name: &'static str| {
            let order = Arc::clone(&order);
            task(move |_| order.lock().push(name))
        }
    };
    let last = note("second seed");
    let first = task(move |cx| {
        cx.spawn(note("old"));
        cx.spawn_long(note("long 1"));
        cx.spawn(note("new"));
        cx.spawn_long(note("long 2"));
    });
    let outcome = run(&fixed(1), &Cancel::new(), [first, last]);
    assert_eq!(*order.lock(), ["long 1", "long 2", "new", "old", "second seed"]);
    assert_eq!((outcome.tasks, outcome.peak_workers), (6, 1));
}

#[test]
fn never_more_threads_than_asked_for() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let outcome = run_one(2, move |cx| {
        for _ in 0..100 {
            let seen = Arc::clone(&seen);
            cx.spawn(task(move |cx| {
                seen.fetch_max(cx.worker(), Ordering::SeqCst);
                seen.fetch_max(cx.busy_workers() - 1, Ordering::SeqCst);
                thread::yield_now();
            }));
        }
    });
    assert!(outcome.peak_workers <= 2);
    assert!(most.load(Ordering::SeqCst) <= 1);
}

#[test]
fn up_to_1024_workers_can_work_at_once() {
    let barrier = Arc::new(Barrier::new(1024));
    let seeds = (0..1024).map(|_| wait_at(Arc::clone(&barrier)));
    let settings = Settings { stack_bytes: 64 << 10, ..fixed(1024) };
    let outcome = run(&settings, &Cancel::new(), seeds);
    assert_eq!((outcome.end, outcome.peak_workers), (End::Done, 1024));
}

/// Each round all workers but one sleep, then all must meet: a lost wake-up hangs.
fn meet(workers: usize, rounds: usize) {
    fn round(cx: &Context<'_, Closure>, barrier: &Arc<Barrier>, workers: usize, left: usize) {
        let arrived = Arc::new(AtomicUsize::new(0));
        for _ in 0..workers {
            let (barrier, arrived) = (Arc::clone(barrier), Arc::clone(&arrived));
            cx.spawn(task(move |cx| {
                barrier.wait();
                if arrived.fetch_add(1, Ordering::SeqCst) + 1 == workers && left > 0 {
                    round(cx, &barrier, workers, left - 1);
                }
            }));
        }
    }
    let barrier = Arc::new(Barrier::new(workers));
    let outcome = run_one(workers, move |cx| round(cx, &barrier, workers, rounds));
    assert_eq!(outcome.end, End::Done);
}

#[test]
fn parked_workers_are_woken_many_times_over() {
    meet(2, 5_000);
    meet(3, 3_000);
    meet(16, 200);
}

#[test]
fn short_runs_end_many_times_over() {
    for round in 0..2_000 {
        let outcome = run_one(1 + round % 4, |cx| {
            cx.spawn(task(|_| ()));
            cx.spawn_long(task(|_| ()));
        });
        assert_eq!(outcome.tasks, 3);
    }
}

#[test]
fn long_tasks_leave_half_of_the_workers_to_small_ones() {
    const SMALL: usize = 500;
    let (small, long) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let outcome = run_one(4, move |cx| {
        for _ in 0..SMALL {
            let small = Arc::clone(&small);
            cx.spawn(task(move |_| {
                small.fetch_add(1, Ordering::SeqCst);
            }));
        }
        for _ in 0..10 {
            let (small, long) = (Arc::clone(&small), Arc::clone(&long));
            cx.spawn_long(task(move |_| {
                let running = long.fetch_add(1, Ordering::SeqCst) + 1;
                // Three more may have been taken and not counted yet.
                assert!(running <= 2 || small.load(Ordering::SeqCst) + 3 >= SMALL);
                while small.load(Ordering::SeqCst) < SMALL {
                    thread::yield_now();
                }
                long.fetch_sub(1, Ordering::SeqCst);
            }));
        }
    });
    assert_eq!(outcome.end, End::Done);
}

#[test]
fn all_workers_help_when_only_long_tasks_are_left() {
    let barrier = Arc::new(Barrier::new(4));
    let outcome = run_one(4, move |cx| {
        for _ in 0..4 {
            cx.spawn_long(wait_at(Arc::clone(&barrier)));
        }
    });
    assert_eq!(outcome.tasks, 5);
}

#[test]
fn a_panic_is_reported_and_ends_the_run() {
    for workers in [1, 4] {
        let cancel = Cancel::new();
        let seed = task(|cx| {
            for number in 0..50 {
                cx.spawn(task(move |_| assert!(number != 49, "task {number} is broken")));
            }
        });
        let outcome = run(&fixed(workers), &cancel, [seed]);
        assert_eq!(outcome.end, End::Panicked("task 49 is broken".to_owned()));
        assert_eq!(outcome.tasks + outcome.abandoned, 51);
        assert!(cancel.is_cancelled());
    }
}

#[test]
fn panics_of_any_kind_and_number_are_survived() {
    struct Nasty;
    impl Drop for Nasty {
        fn drop(&mut self) {
            panic!("while dropping a panic");
        }
    }
    let outcome = run_one(2, |cx| {
        for _ in 0..10 {
            cx.spawn_long(task(|_| panic_any(Nasty)));
        }
        panic_any(7);
    });
    assert_eq!(outcome.end, End::Panicked("a panic without a message".to_owned()));
}

#[test]
fn cancelling_abandons_what_is_queued() {
    let abandoned = Arc::new(AtomicUsize::new(0));
    let queued = Arc::clone(&abandoned);
    let outcome = run_one(3, move |cx| {
        for number in 0..30 {
            let job: Job = Box::new(|cx| assert!(cx.cancel().sleep(Duration::MAX).is_err()));
            let late = Closure { job, abandoned: Some(Arc::clone(&queued)) };
            if number % 2 == 0 { cx.spawn(late) } else { cx.spawn_long(late) }
        }
        cx.cancel().cancel();
        assert!(cx.cancelled());
    });
    assert_eq!(outcome.end, End::Cancelled);
    assert_eq!(outcome.tasks + outcome.abandoned, 31);
    assert_eq!(outcome.abandoned, abandoned.load(Ordering::SeqCst) as u64);
    assert!(outcome.abandoned >= 28, "at most two others had begun");
}

#[test]
fn tasks_spawned_while_abandoning_are_abandoned() {
    struct Chain(Arc<AtomicU32>, u32);
    impl Task for Chain {
        fn run(self, cx: &Context<'_, Self>) {
            cx.cancel().cancel();
            cx.spawn(Self(self.0, 20));
        }
        fn abandon(self, cx: &Context<'_, Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            if self.1 > 1 {
                cx.spawn(Self(self.0, self.1 - 1));
            }
        }
    }
    let abandoned = Arc::new(AtomicU32::new(0));
    let outcome = run(&fixed(3), &Cancel::new(), [Chain(Arc::clone(&abandoned), 0)]);
    assert_eq!((outcome.tasks, outcome.abandoned), (1, 20));
    assert_eq!(abandoned.load(Ordering::SeqCst), 20);
}

#[test]
fn without_threads_the_caller_works() {
    let caller = thread::current().id();
    let ran = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&ran);
    // More than any address space holds.
    let settings = Settings { stack_bytes: 1 << 60, ..fixed(4) };
    let seed = task(move |cx| {
        for _ in 0..10 {
            let seen = Arc::clone(&seen);
            cx.spawn(task(move |_| {
                assert_eq!(thread::current().id(), caller);
                seen.fetch_add(1, Ordering::SeqCst);
            }));
        }
    });
    let outcome = run(&settings, &Cancel::new(), [seed]);
    assert_eq!((outcome.end, ran.load(Ordering::SeqCst)), (End::Done, 10));
}

/// Keeps itself alive, with reported latencies of its choice, until `stop`.
fn tell(latency: fn(usize) -> u64, stop: fn(usize) -> bool, done: &Arc<AtomicBool>) -> Closure {
    let done = Arc::clone(done);
    task(move |cx| {
        let active = cx.active_workers();
        let took = Duration::from_micros(latency(active));
        for _ in 0..20 {
            cx.sample(Class::new(1), took, 1);
        }
        let slept = cx.cancel().sleep(Duration::from_micros(200));
        if stop(active) || slept.is_err() {
            done.store(true, Ordering::SeqCst);
        }
        if !done.load(Ordering::SeqCst) {
            cx.spawn(tell(latency, stop, &done));
        }
    })
}

#[test]
fn automatic_limits_rise_while_latency_stays_and_fall_when_it_grows() {
    let ceiling = count(32);
    let settings = Settings {
        workers: Workers::Auto { first: count(1), least: count(1), ceiling },
        ..Settings::default()
    };
    let done = Arc::new(AtomicBool::new(false));
    let seeds = (0..64).map(|_| tell(|_| 1_000, |active| active == 32, &done));
    let outcome = run(&settings, &Cancel::new(), seeds.collect::<Vec<_>>());
    assert_eq!((outcome.end, outcome.active_workers), (End::Done, 32));

    // Like a server with one slot, after a start that is above it on any machine.
    let done = Arc::new(AtomicBool::new(false));
    let slower = |active: usize| 1_000 * active as u64;
    let seeds = (0..64).map(|_| tell(slower, |active| active <= 8, &done));
    assert_eq!(run(&settings, &Cancel::new(), seeds.collect::<Vec<_>>()).end, End::Done);
}

/// A tree of tasks in one list: each entry is the parent's place and how it is spawned.
#[derive(Clone, Debug)]
struct Tree {
    children: Vec<Vec<(usize, How)>>,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Near,
    Long,
}

struct Node {
    tree: Arc<Tree>,
    runs: Arc<Vec<AtomicU32>>,
    place: usize,
}

impl Task for Node {
    fn run(self, cx: &Context<'_, Self>) {
        self.runs[self.place].fetch_add(1, Ordering::SeqCst);
        for &(place, how) in &self.tree.children[self.place] {
            let (tree, runs) = (Arc::clone(&self.tree), Arc::clone(&self.runs));
            let child = Self { tree, runs, place };
            match how {
                How::Near => cx.spawn(child),
                How::Long => cx.spawn_long(child),
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let how = prop_oneof![4 => Just(How::Near), 1 => Just(How::Long)];
    prop::collection::vec((any::<prop::sample::Index>(), how), 0..400).prop_map(|nodes| {
        let mut children = vec![Vec::new(); nodes.len() + 1];
        for (place, (parent, how)) in nodes.into_iter().enumerate() {
            children[parent.index(place + 1)].push((place + 1, how));
        }
        Tree { children }
    })
}

fn run_tree(tree: &Tree, go: impl FnOnce(Node)) -> Vec<u32> {
    let runs: Vec<_> = tree.children.iter().map(|_| AtomicU32::new(0)).collect();
    let runs = Arc::new(runs);
    go(Node { tree: Arc::new(tree.clone()), runs: Arc::clone(&runs), place: 0 });
    runs.iter().map(|count| count.load(Ordering::SeqCst)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_task_is_run_exactly_once(tree in trees(), workers in 1_usize..64) {
        let runs = run_tree(&tree, |root| {
            let outcome = run(&fixed(workers), &Cancel::new(), [root]);
            assert_eq!(outcome.tasks, tree.children.len() as u64);
            assert!(outcome.peak_workers <= workers);
        });
        prop_assert!(runs.iter().all(|&count| count == 1), "{:?}", runs);
    }

    #[test]
    fn limits_that_move_all_the_time_lose_no_task(tree in trees(), limits in prop::collection::vec(1_usize..12, 1..20)) {
        let runs = run_tree(&tree, |root| {
            let shared = prepare(Arc::new(Counters::default()), 8, 4, &Cancel::new(), [root]);
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for &limit in limits.iter().cycle() {
                        shared.crew.set_limit(limit, || shared.queues.has_work());
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        thread::yield_now();
                    }
                });
                conduct(&shared, DEFAULT_STACK_BYTES, None);
                over.store(true, Ordering::SeqCst);
            });
            assert_eq!(outcome(&shared).end, End::Done);
        });
        prop_assert!(runs.iter().all(|&count| count == 1), "{:?}", runs);
    }

    #[test]
    fn cancelling_anywhere_settles(tree in trees(), workers in 1_usize..16, at in any::<prop::sample::Index>()) {
        let at = at.index(tree.children.len());
        let cancel = Cancel::new();
        let runs = run_tree(&tree, |root| {
            let counts = Arc::clone(&root.runs);
            thread::scope(|scope| {
                let run = scope.spawn(|| run(&fixed(workers), &cancel, [root]));
                while counts[at].load(Ordering::SeqCst) == 0 && !run.is_finished() {
                    thread::yield_now();
                }
                cancel.cancel();
                let outcome = run.join().unwrap();
                let all = tree.children.len() as u64;
                match outcome.end {
                    End::Cancelled => assert!(outcome.tasks + outcome.abandoned <= all),
                    // It was over before.
                    end => assert_eq!((end, outcome.tasks), (End::Done, all)),
                }
            });
            assert_eq!(Arc::strong_count(&counts), 2, "a task was kept");
        });
        prop_assert!(runs.iter().all(|&count| count <= 1), "{:?}", runs);
    }
}
