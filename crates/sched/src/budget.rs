//! Counted permits: open files, bytes in flight.
//!
//! Requests are served in the order in which they came, so a big one waits only for those before
//! it and is never starved by small ones that would still fit. The price is that a small request
//! may wait behind a big one. Never ask for more of a budget while holding some of it: two who do
//! so may wait for each other for ever. Knows no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::cancel::{Cancel, Cancelled};

/// So many permits, and a line of those who wait for them.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    line: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    need: u64,
    granted: AtomicBool,
    bell: Arc<Bell>,
}

/// Permits that go back when dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once permits nothing"]
pub struct Permit<'a> {
    budget: &'a Budget,
    amount: u64,
}

impl Budget {
    /// A budget of `limit` permits; 0 counts as 1, for nothing could ever be taken from it.
    pub fn new(limit: u64) -> Self {
        let limit = limit.max(1);
        Self { limit, state: Mutex::new(State { free: limit, line: VecDeque::new() }) }
    }

    /// Takes `amount` permits, waiting for them. More than the limit is taken as the limit.
    pub fn acquire(&self, amount: u64, cancel: &Cancel) -> Result<Permit<'_>, Cancelled> {
        cancel.check()?;
        let amount = amount.min(self.limit);
        if !self.state.lock().grab(amount) {
            self.wait_in_line(amount, cancel)?;
        }
        Ok(Permit { budget: self, amount })
    }

    /// Takes `amount` permits if they are free and nobody waits. Who holds some may ask so for more.
    pub fn try_acquire(&self, amount: u64) -> Option<Permit<'_>> {
        self.state.lock().grab(amount).then(|| Permit { budget: self, amount })
    }

    fn wait_in_line(&self, need: u64, cancel: &Cancel) -> Result<(), Cancelled> {
        let sleeper = cancel.listen();
        let bell = Arc::clone(&sleeper.bell);
        let waiter = Arc::new(Waiter { need, granted: AtomicBool::new(false), bell });
        {
            let mut state = self.state.lock();
            // It may have become free while the bell was made.
            if state.grab(need) {
                return Ok(());
            }
            state.line.push_back(Arc::clone(&waiter));
        }
        loop {
            sleeper.bell.wait(None);
            if waiter.granted.load(Ordering::Acquire) {
                return Ok(());
            }
            if cancel.is_cancelled() {
                return self.leave_line(&waiter);
            }
        }
    }

    /// A grant that came together with the cancellation stands, so no permit is lost.
    fn leave_line(&self, waiter: &Arc<Waiter>) -> Result<(), Cancelled> {
        let mut state = self.state.lock();
        if waiter.granted.load(Ordering::Acquire) {
            return Ok(());
        }
        state.line.retain(|other| !Arc::ptr_eq(other, waiter));
        // Those behind may wait with another token, and only this one was in their way.
        state.serve();
        Err(Cancelled)
    }

    fn give_back(&self, amount: u64) {
        let mut state = self.state.lock();
        state.free += amount;
        state.serve();
    }
}

impl State {
    fn grab(&mut self, amount: u64) -> bool {
        let granted = self.line.is_empty() && amount <= self.free;
        if granted {
            self.free -= amount;
        }
        granted
    }

    fn serve(&mut self) {
        while let Some(first) = self.line.front().filter(|first| first.need <= self.free) {
            self.free -= first.need;
            first.granted.store(true, Ordering::Release);
            first.bell.ring();
            self.line.pop_front();
        }
    }
}

impl Permit<'_> {
    /// How many permits this stands for: what was asked for, or the limit if that is less.
    pub fn amount(&self) -> u64 {
        self.amount
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests;
