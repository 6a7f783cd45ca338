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
    /// What is cancelled with it.
    parent: Option<Cancel>,
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

    /// A token for a part of a run: it is pulled with this one, and alone by who only ends the part.
    #[must_use]
    pub fn child(&self) -> Self {
        let parent = Some(self.clone());
        Self { inner: Arc::new(Inner { parent, ..Inner::default() }) }
    }

    /// Cancels, for good, and wakes all who wait with this token.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.inner.sleepers.lock());
        for bell in sleepers {
            bell.ring();
        }
    }

    /// Whether somebody has cancelled: one relaxed load, and one more of a part.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::Relaxed)
            || self.inner.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// The token, and what it is a part of.
    fn with_parents(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |token| token.inner.parent.as_ref())
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
        for token in self.with_parents() {
            let mut sleepers = token.inner.sleepers.lock();
            // Under the lock: `cancel` sets the flag before it takes the lock, so it finds the bell or
            // we find the flag. Guarded by `no_cancel_is_lost_between_check_and_wait`.
            if token.inner.cancelled.load(Ordering::Relaxed) {
                bell.ring();
            } else {
                sleepers.push(Arc::clone(&bell));
            }
        }
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
        for token in self.cancel.with_parents() {
            let mut sleepers = token.inner.sleepers.lock();
            if let Some(at) = sleepers.iter().position(|bell| Arc::ptr_eq(bell, &self.bell)) {
                drop(sleepers.swap_remove(at));
            }
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
    fn a_part_is_cancelled_with_the_whole_and_not_the_other_way() {
        let whole = Cancel::new();
        let (one, other) = (whole.child(), whole.child());
        one.cancel();
        assert!(one.is_cancelled() && !other.is_cancelled() && !whole.is_cancelled());
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(other.sleep(Duration::MAX), Err(Cancelled)));
            whole.cancel();
        });
        assert!(other.is_cancelled() && other.child().is_cancelled());
    }

    #[test]
    fn a_sleep_of_a_part_leaves_no_bell_behind() {
        let whole = Cancel::new();
        let part = whole.child();
        assert_eq!(part.sleep(Duration::from_millis(1)), Ok(()));
        assert!(part.inner.sleepers.lock().is_empty() && whole.inner.sleepers.lock().is_empty());
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
