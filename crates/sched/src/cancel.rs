//! Cancellation: one token per run, cheap to ask and loud to pull.
//!
//! Asking is one relaxed load, for loops over files and blocks. Pulling rings the bell of every
//! thread that sleeps in this crate. It takes a lock, so a signal handler must not call it; a
//! thread that waits for signals may.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bell::Bell;

/// A token shared by all who take part in a run; clones are the same token.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    sleepers: Mutex<Vec<Arc<Bell>>>,
}

/// What a wait returns when the run was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Error for Cancelled {}

impl Cancel {
    /// A token that nobody has pulled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels, for good, and wakes all who wait with this token.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.inner.sleepers.lock());
        for bell in sleepers {
            bell.ring();
        }
    }

    /// Whether somebody has cancelled: one relaxed load.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::Relaxed)
    }

    /// Like [`is_cancelled`](Self::is_cancelled), for use with `?`.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Sleeps for `duration`, or until the token is pulled.
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let Some(end) = Instant::now().checked_add(duration) else {
            return self.sleep_until(None);
        };
        self.sleep_until(Some(end))
    }

    fn sleep_until(&self, end: Option<Instant>) -> Result<(), Cancelled> {
        let sleeper = self.listen();
        loop {
            self.check()?;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            sleeper.bell.wait(left);
        }
    }

    /// A bell that rings when the token is pulled, also if that was before.
    pub(crate) fn listen(&self) -> Sleeper<'_> {
        let bell = Arc::new(Bell::default());
        let mut sleepers = self.inner.sleepers.lock();
        // Under the lock: `cancel` sets the flag before it takes the lock, so it finds the bell or
        // we find the flag. Guarded by `no_cancel_is_lost_between_check_and_wait`.
        if self.is_cancelled() {
            bell.ring();
        } else {
            sleepers.push(Arc::clone(&bell));
        }
        drop(sleepers);
        Sleeper { cancel: self, bell }
    }
}

/// A registered bell; forgotten by the token when dropped.
pub(crate) struct Sleeper<'a> {
    cancel: &'a Cancel,
    pub(crate) bell: Arc<Bell>,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.cancel.inner.sleepers.lock();
        if let Some(at) = sleepers.iter().position(|bell| Arc::ptr_eq(bell, &self.bell)) {
            drop(sleepers.swap_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn clones_are_one_token() {
        let token = Cancel::new();
        let other = token.clone();
        assert!(!other.is_cancelled());
        token.cancel();
        assert!(other.is_cancelled());
        assert_eq!(other.check(), Err(Cancelled));
    }

    #[test]
    fn sleep_ends_by_itself_and_leaves_no_bell_behind() {
        let token = Cancel::new();
        assert_eq!(token.sleep(Duration::from_millis(1)), Ok(()));
        assert!(token.inner.sleepers.lock().is_empty());
    }

    #[test]
    fn sleep_without_end_is_woken() {
        let token = Cancel::new();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(token.sleep(Duration::MAX), Err(Cancelled)));
            }
            token.cancel();
        });
        assert_eq!(token.sleep(Duration::MAX), Err(Cancelled));
    }

    #[test]
    fn no_cancel_is_lost_between_check_and_wait() {
        for _ in 0..2_000 {
            let token = Cancel::new();
            thread::scope(|scope| {
                scope.spawn(|| token.sleep(Duration::MAX));
                token.cancel();
            });
        }
    }
}
