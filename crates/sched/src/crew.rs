//! Who of the workers is awake: parking, waking, and asking for more threads.
//!
//! A worker is busy (runs a task), searching (awake, looks at the queues of others) or parked. One
//! word, `state`, counts the searching and the wakeable: parked workers below the limit and threads
//! that may still be started. Who spawns a task looks at that word once and goes on, unless
//! somebody could be woken and nobody searches. Only one is woken; it wakes the next when it has
//! found something and there is more. So a lone worker's millions of spawns wake nobody needlessly.
//!
//! No wake-up is lost, because each side first writes, then fences, then reads: the spawner pushes
//! and reads `state`; the worker changes `state` and looks at the queues once more. At least one of
//! the two sees the other. Guarded by `parked_workers_are_woken_many_times_over`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::counters::Counters;

/// One searching worker in `state`; the lower half counts them.
const SEARCHING: u64 = 1;
/// One wakeable worker in `state`; the upper half counts them. Changed under the lock only.
const WAKEABLE: u64 = 1 << 32;

/// The workers of a run, seen from outside of their tasks.
pub(crate) struct Crew {
    state: AtomicU64,
    counters: Arc<Counters>,
    members: Mutex<Members>,
    bells: Box<[Condvar]>,
    conductor: Condvar,
}

struct Members {
    parked: BTreeSet<usize>,
    /// Threads started or asked for.
    started: usize,
    limit: usize,
    ceiling: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closed,
}

/// Why a parked worker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// To search.
    Search,
    /// To end: no task is left.
    Close,
}

/// What the conductor is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Start threads until there are so many.
    Start(usize),
    /// The time is up.
    Tick,
    /// No task is left.
    Close,
}

impl Crew {
    pub(crate) fn new(ceiling: usize, limit: usize, counters: Arc<Counters>) -> Self {
        let limit = limit.clamp(1, ceiling);
        counters.active.store(limit, Ordering::Relaxed);
        let members =
            Members { parked: BTreeSet::new(), started: 0, limit, ceiling, phase: Phase::Open };
        Self {
            state: AtomicU64::new(members.wakeable() * WAKEABLE),
            counters,
            members: Mutex::new(members),
            bells: (0..ceiling).map(|_| Condvar::new()).collect(),
            conductor: Condvar::new(),
        }
    }

    /// To be called after each push: wakes a worker if one sleeps and none searches.
    #[inline]
    pub(crate) fn announce(&self) {
        fence(Ordering::SeqCst);
        if wants_waking(self.state.load(Ordering::Relaxed)) {
            self.wake_one(&mut self.members.lock());
        }
    }

    /// A busy worker has nothing of its own left.
    pub(crate) fn begin_search(&self) {
        self.counters.busy.fetch_sub(1, Ordering::Relaxed);
        self.state.fetch_add(SEARCHING, Ordering::SeqCst);
    }

    /// A searching worker has found a task. If it was the only one, it sees to its successor.
    pub(crate) fn end_search(&self, has_work: impl FnOnce() -> bool) {
        self.counters.busy.fetch_add(1, Ordering::Relaxed);
        let after = self.state.fetch_sub(SEARCHING, Ordering::SeqCst) - SEARCHING;
        if wants_waking(after) {
            fence(Ordering::SeqCst);
            if has_work() {
                self.wake_one(&mut self.members.lock());
            }
        }
    }

    /// Parks a searching worker until there is work for it or no task is left anywhere.
    pub(crate) fn park(&self, index: usize, has_work: impl FnOnce() -> bool) -> Wake {
        let mut members = self.members.lock();
        if members.phase == Phase::Closed {
            return Wake::Close;
        }
        members.parked.insert(index);
        let eligible = index < members.limit;
        if eligible {
            self.state.fetch_add(WAKEABLE - SEARCHING, Ordering::SeqCst);
        } else {
            self.state.fetch_sub(SEARCHING, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        if has_work() {
            if eligible {
                members.parked.remove(&index);
                self.state.fetch_sub(WAKEABLE - SEARCHING, Ordering::SeqCst);
                return Wake::Search;
            }
            // Above the limit: what is left, also in its own deque, is for the others.
            self.wake_one(&mut members);
        }
        while members.parked.contains(&index) {
            if members.phase == Phase::Closed {
                return Wake::Close;
            }
            self.bells[index].wait(&mut members);
        }
        Wake::Search
    }

    /// Changes how many workers may take tasks. Those above park when their task ends.
    pub(crate) fn set_limit(&self, limit: usize, has_work: impl FnOnce() -> bool) {
        let mut members = self.members.lock();
        self.relimit(&mut members, |members| members.limit = limit.clamp(1, members.ceiling));
        fence(Ordering::SeqCst);
        if wants_waking(self.state.load(Ordering::Relaxed)) && has_work() {
            self.wake_one(&mut members);
        }
    }

    /// The threads from `running` on cannot be started: goes on with those that run.
    pub(crate) fn give_up_starting(&self, running: usize) {
        let mut members = self.members.lock();
        let missing = u64::try_from(members.started.saturating_sub(running)).unwrap_or(0);
        self.relimit(&mut members, |members| {
            members.started = running;
            members.ceiling = running.max(1);
            members.limit = members.limit.min(members.ceiling);
        });
        self.counters.started.store(running, Ordering::Relaxed);
        self.state.fetch_sub(missing * SEARCHING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if wants_waking(self.state.load(Ordering::Relaxed)) {
            self.wake_one(&mut members);
        }
    }

    /// No task is left: all may end.
    pub(crate) fn close(&self) {
        let mut members = self.members.lock();
        members.phase = Phase::Closed;
        for &index in &members.parked {
            self.bells[index].notify_one();
        }
        self.conductor.notify_one();
    }

    /// Waits for a reason to act: the thread that called `run` does, and no other.
    pub(crate) fn conduct(&self, running: usize, tick: Option<Duration>) -> Call {
        let mut members = self.members.lock();
        loop {
            if members.phase == Phase::Closed {
                return Call::Close;
            }
            if members.started > running {
                return Call::Start(members.started);
            }
            match tick {
                None => self.conductor.wait(&mut members),
                Some(tick) => {
                    let timed_out = self.conductor.wait_for(&mut members, tick).timed_out();
                    // A call that came together with the end of the wait goes first.
                    let called = members.phase == Phase::Closed || members.started > running;
                    if timed_out && !called {
                        return Call::Tick;
                    }
                }
            }
        }
    }

    fn wake_one(&self, members: &mut MutexGuard<'_, Members>) {
        let open = members.phase == Phase::Open;
        if !open || !wants_waking(self.state.load(Ordering::SeqCst)) {
            return;
        }
        let limit = members.limit;
        if let Some(index) = members.parked.first().copied().filter(|&index| index < limit) {
            members.parked.remove(&index);
            self.bells[index].notify_one();
        } else {
            members.started += 1;
            self.counters.started.store(members.started, Ordering::Relaxed);
            self.conductor.notify_one();
        }
        // It counts as searching from now on, so that others do not wake a second one.
        self.state.fetch_sub(WAKEABLE - SEARCHING, Ordering::SeqCst);
    }

    fn relimit(&self, members: &mut Members, change: impl FnOnce(&mut Members)) {
        let before = members.wakeable();
        change(members);
        let after = members.wakeable();
        self.counters.active.store(members.limit, Ordering::Relaxed);
        if after >= before {
            self.state.fetch_add((after - before) * WAKEABLE, Ordering::SeqCst);
        } else {
            self.state.fetch_sub((before - after) * WAKEABLE, Ordering::SeqCst);
        }
    }
}

impl Members {
    /// Parked below the limit, and threads that may still be started.
    fn wakeable(&self) -> u64 {
        let parked = self.parked.range(..self.limit).count();
        u64::try_from(parked + self.limit.saturating_sub(self.started)).unwrap_or(0)
    }
}

fn wants_waking(state: u64) -> bool {
    let searching = state % WAKEABLE;
    let wakeable = state / WAKEABLE;
    searching == 0 && wakeable > 0
}
