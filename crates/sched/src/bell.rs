//! One sleeping thread's bell: rung by whoever has news for it, heard exactly when waited for.
//!
//! Budgets, rate limits and cancellation all wake the same sleeper, so each sleeper brings one bell
//! and hands it to all of them. A ring before the wait is not lost. The bell carries no news of its
//! own: who wakes looks at the state again.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.ring.notify_one();
    }

    /// Returns after a ring since the last wait, or after `limit`, or for no reason.
    pub(crate) fn wait(&self, limit: Option<Duration>) {
        let mut rung = self.rung.lock();
        if !*rung {
            match limit {
                Some(limit) => drop(self.ring.wait_for(&mut rung, limit)),
                None => self.ring.wait(&mut rung),
            }
        }
        *rung = false;
    }
}
