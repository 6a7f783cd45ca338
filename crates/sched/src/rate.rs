//! Bytes per second: a token bucket that many threads draw from.
//!
//! Each draw gets a ticket: the count of bytes that must have been earned before it may go. Earning
//! is integer arithmetic on a clock that is handed in, so the pace is exact and tests need no
//! sleep; lateness of a wake-up is made good by the next draw. Idle time earns no more than
//! [`BURST`]. Order is first come, first served. Draw in slices well below a second's worth, for a
//! draw is paid before it goes.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::cancel::{Cancel, Cancelled};

/// How much idle time may be made good: 100 ms, 1 % of a 10 s period, yet far more than a thread
/// wakes late.
const BURST: Duration = Duration::from_millis(100);

/// Bytes are counted in these: one byte is 10^9 of them, so that rate times nanoseconds is whole.
const PER_BYTE: u128 = 1_000_000_000;

/// A limit on bytes per second, or none; changeable while it is in use.
#[derive(Debug)]
pub struct RateLimit {
    origin: Instant,
    limited: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    sleepers: Vec<Arc<Bell>>,
}

impl RateLimit {
    /// A limit of so many bytes per second; `None` lets everything pass at the cost of one load.
    pub fn new(bytes_per_sec: Option<NonZeroU64>) -> Self {
        Self {
            origin: Instant::now(),
            limited: AtomicBool::new(bytes_per_sec.is_some()),
            state: Mutex::new(State { bucket: Bucket::new(bytes_per_sec), sleepers: Vec::new() }),
        }
    }

    /// Changes the limit, also for those who wait now.
    pub fn set(&self, bytes_per_sec: Option<NonZeroU64>) {
        let mut state = self.state.lock();
        state.bucket.set(self.origin.elapsed(), bytes_per_sec);
        self.limited.store(bytes_per_sec.is_some(), Ordering::Release);
        for bell in &state.sleepers {
            bell.ring();
        }
    }

    /// The limit as it is now.
    pub fn bytes_per_sec(&self) -> Option<NonZeroU64> {
        self.state.lock().bucket.rate
    }

    /// Returns when `bytes` may be moved. A draw that is cancelled stays drawn.
    pub fn take(&self, bytes: u64, cancel: &Cancel) -> Result<(), Cancelled> {
        cancel.check()?;
        if !self.limited.load(Ordering::Acquire) {
            return Ok(());
        }
        let ticket = {
            let mut state = self.state.lock();
            let now = self.origin.elapsed();
            let ticket = state.bucket.draw(now, bytes);
            if state.bucket.wait(now, ticket).is_zero() {
                return Ok(());
            }
            ticket
        };
        self.wait_for(ticket, cancel)
    }

    fn wait_for(&self, ticket: Ticket, cancel: &Cancel) -> Result<(), Cancelled> {
        let sleeper = cancel.listen();
        self.state.lock().sleepers.push(Arc::clone(&sleeper.bell));
        let outcome = loop {
            if cancel.is_cancelled() {
                break Err(Cancelled);
            }
            let left = self.state.lock().bucket.wait(self.origin.elapsed(), ticket);
            if left.is_zero() {
                break Ok(());
            }
            sleeper.bell.wait(Some(left));
        };
        self.state.lock().sleepers.retain(|bell| !Arc::ptr_eq(bell, &sleeper.bell));
        outcome
    }
}

/// The count of earned bytes, times [`PER_BYTE`], at which a draw may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket(u128);

/// The arithmetic alone; `now` is time since any fixed moment and never runs backwards.
#[derive(Debug)]
struct Bucket {
    rate: Option<NonZeroU64>,
    earned: u128,
    drawn: u128,
    updated: Duration,
}

impl Bucket {
    fn new(rate: Option<NonZeroU64>) -> Self {
        Self { rate, earned: 0, drawn: 0, updated: Duration::ZERO }
    }

    fn set(&mut self, now: Duration, rate: Option<NonZeroU64>) {
        self.earn(now);
        // What waited for the old rate goes at once when there is none, and owes nothing later.
        if rate.is_none() || self.rate.is_none() {
            self.earned = self.earned.max(self.drawn);
        }
        self.rate = rate;
    }

    fn draw(&mut self, now: Duration, bytes: u64) -> Ticket {
        self.earn(now);
        self.drawn += u128::from(bytes) * PER_BYTE;
        Ticket(self.drawn)
    }

    /// How long from `now` until the ticket is paid at the present rate.
    fn wait(&mut self, now: Duration, ticket: Ticket) -> Duration {
        self.earn(now);
        let owed = ticket.0.saturating_sub(self.earned);
        let Some(rate) = self.rate else { return Duration::ZERO };
        let nanos = owed.div_ceil(u128::from(rate.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn earn(&mut self, now: Duration) {
        let Some(rate) = self.rate else {
            self.updated = now;
            return;
        };
        let rate = u128::from(rate.get());
        let elapsed = now.saturating_sub(self.updated).as_nanos();
        let cap = self.drawn.saturating_add(rate * BURST.as_nanos());
        self.earned = self.earned.saturating_add(rate.saturating_mul(elapsed)).min(cap);
        self.updated = self.updated.max(now);
    }
}

#[cfg(test)]
mod tests;
