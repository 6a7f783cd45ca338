//! Where tasks wait: one deque per worker, and shelves for what belongs to nobody.
//!
//! The order in which a worker looks is in two halves, `take_near` and `take_far`, because a worker
//! counts as searching only in the second. Nothing here sleeps or wakes.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use parking_lot::Mutex;

/// A shared queue, oldest first; asking whether it is empty takes no lock.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    len: AtomicUsize,
    tasks: Mutex<VecDeque<T>>,
}

impl<T> Shelf<T> {
    fn new() -> Self {
        Self { len: AtomicUsize::new(0), tasks: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn push(&self, task: T) {
        let mut tasks = self.tasks.lock();
        tasks.push_back(task);
        self.len.store(tasks.len(), Ordering::Release);
    }

    /// Puts a task before all others.
    pub(crate) fn push_first(&self, task: T) {
        let mut tasks = self.tasks.lock();
        tasks.push_front(task);
        self.len.store(tasks.len(), Ordering::Release);
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let mut tasks = self.tasks.lock();
        let task = tasks.pop_front();
        self.len.store(tasks.len(), Ordering::Release);
        task
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A task and where it came from.
pub(crate) struct Found<T> {
    pub(crate) task: T,
    pub(crate) origin: Origin,
}

/// Where a task came from, as far as its worker must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A deque, or the shelf of seeds.
    Common,
    /// The shelf of long tasks; to be told by [`Queues::long_done`].
    Long,
}

/// All queues of a run.
pub(crate) struct Queues<T> {
    pub(crate) seeds: Shelf<T>,
    pub(crate) long: Shelf<T>,
    long_running: AtomicUsize,
    /// Filled from the front as workers join, before their threads start.
    stealers: Box<[OnceLock<Stealer<T>>]>,
    joined: AtomicUsize,
}

impl<T> Queues<T> {
    pub(crate) fn new(ceiling: usize) -> Self {
        Self {
            seeds: Shelf::new(),
            long: Shelf::new(),
            long_running: AtomicUsize::new(0),
            stealers: (0..ceiling).map(|_| OnceLock::new()).collect(),
            joined: AtomicUsize::new(0),
        }
    }

    /// The deque of worker `index`. Workers join in the order of their indices.
    pub(crate) fn join(&self, index: usize) -> Deque<T> {
        let deque = Deque::new_lifo();
        let stealer = deque.stealer();
        if self.stealers.get(index).is_some_and(|slot| slot.set(stealer).is_ok()) {
            self.joined.store(index + 1, Ordering::Release);
        }
        deque
    }

    /// A long task below the cap, the newest of the own deque, or a seed.
    pub(crate) fn take_near(&self, own: &Deque<T>, active: usize) -> Option<Found<T>> {
        self.take_long(active.div_ceil(2))
            .or_else(|| own.pop().map(|task| Found { task, origin: Origin::Common }))
            .or_else(|| self.seeds.pop().map(|task| Found { task, origin: Origin::Common }))
    }

    /// The oldest task of another worker, or a long task above the cap.
    pub(crate) fn take_far(&self, thief: usize, victim: &mut usize) -> Option<Found<T>> {
        self.steal(thief, victim).or_else(|| self.take_long(usize::MAX))
    }

    pub(crate) fn long_done(&self) {
        self.long_running.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether a worker that looks now would find something. Only exact after a full fence on both
    /// sides; see `crew`.
    pub(crate) fn has_work(&self) -> bool {
        !self.seeds.is_empty()
            || !self.long.is_empty()
            || self.deques().any(|deque| !deque.is_empty())
    }

    fn take_long(&self, cap: usize) -> Option<Found<T>> {
        if self.long.is_empty() {
            return None;
        }
        let claim = |running| (running < cap).then_some(running + 1);
        self.long_running.fetch_update(Ordering::AcqRel, Ordering::Relaxed, claim).ok()?;
        let task = self.long.pop();
        if task.is_none() {
            self.long_done();
        }
        task.map(|task| Found { task, origin: Origin::Long })
    }

    /// Goes around the others once, beginning where it last had luck.
    fn steal(&self, thief: usize, victim: &mut usize) -> Option<Found<T>> {
        let joined = self.joined.load(Ordering::Acquire);
        let first = if *victim < joined { *victim } else { 0 };
        for index in (first..joined).chain(0..first).filter(|&index| index != thief) {
            if let Some(task) = self.stealers.get(index).and_then(steal_from) {
                *victim = index;
                return Some(Found { task, origin: Origin::Common });
            }
        }
        None
    }

    fn deques(&self) -> impl Iterator<Item = &Stealer<T>> {
        self.stealers.iter().map_while(OnceLock::get)
    }
}

fn steal_from<T>(slot: &OnceLock<Stealer<T>>) -> Option<T> {
    let stealer = slot.get()?;
    loop {
        match stealer.steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queues: &Queues<u32>, own: &Deque<u32>, active: usize) -> Vec<u32> {
        let mut victim = 0;
        let mut next = || queues.take_near(own, active).or_else(|| queues.take_far(0, &mut victim));
        std::iter::from_fn(|| next().map(|found| found.task)).collect()
    }

    #[test]
    fn looks_in_the_order_that_the_crate_promises() {
        let queues = Queues::new(2);
        let (own, other) = (queues.join(0), queues.join(1));
        for number in [1, 2] {
            queues.long.push(10 + number);
            queues.seeds.push(30 + number);
            own.push(20 + number);
            other.push(40 + number);
        }
        assert_eq!(drain(&queues, &own, 2), [11, 22, 21, 31, 32, 41, 42, 12]);
    }

    #[test]
    fn what_continues_long_work_goes_before_what_waits() {
        let queues = Queues::new(1);
        let own = queues.join(0);
        queues.long.push(1);
        queues.long.push(2);
        queues.long.push_first(3);
        assert_eq!(queues.long.len(), 3);
        assert_eq!(drain(&queues, &own, 8), [3, 1, 2]);
    }

    #[test]
    fn long_tasks_take_half_of_the_workers_rounded_up() {
        for (active, expect) in [(1, 1), (2, 1), (3, 2), (8, 4)] {
            let queues = Queues::new(1);
            let own = queues.join(0);
            for number in 0..10 {
                queues.long.push(number);
            }
            let mut taken = 0;
            while queues.take_near(&own, active).is_some() {
                taken += 1;
            }
            assert_eq!(taken, expect, "active {active}");
            queues.long_done();
            assert!(queues.take_near(&own, active).is_some());
        }
    }
}
