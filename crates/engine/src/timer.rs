//! The end of the time of a run (rsync(1), `--stop-at`, `--stop-after`). As a signal does, it pulls
//! the token of the run: what heeds the one heeds the other.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use sched::Cancel;

use crate::run::{Run, Stop};

/// For so long nobody looks at the clock, which may be set, or go on while the machine sleeps.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches the clock until it is dropped.
pub(crate) struct Timer {
    over: Cancel,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    /// Ends the run when its time is up; `None` where it has all the time that it takes.
    pub(crate) fn start(run: &Arc<Run>) -> io::Result<Option<Self>> {
        let Some(moment) = run.settings.limits.stop_at else { return Ok(None) };
        let run = Arc::clone(run);
        Self::until(moment, move || run.end_in_time()).map(Some)
    }

    /// Does something at a moment, at once if that is past.
    fn until(moment: SystemTime, act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let over = Cancel::new();
        let left = move || moment.duration_since(SystemTime::now()).unwrap_or_default();
        if left().is_zero() {
            act();
            return Ok(Self { over, thread: None });
        }
        let token = over.clone();
        let wait = move || {
            while token.sleep(left().min(LOOK_EVERY)).is_ok() {
                if left().is_zero() {
                    return act();
                }
            }
        };
        let thread = thread::Builder::new().name("timer".to_owned()).spawn(wait)?;
        Ok(Self { over, thread: Some(thread) })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.over.cancel();
        if let Some(thread) = self.thread.take() {
            // It holds the run, which its owner wants back. A panic was reported by its hook.
            drop(thread.join());
        }
    }
}

impl Run {
    /// Ends the run since its time is up, unless it is being stopped already.
    fn end_in_time(&self) {
        if !self.ending.has_begun() {
            self.ending.begin(Stop::TimeIsUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_moment_comes_once_also_if_it_is_past() {
        let (told, hears) = mpsc::channel();
        let now = SystemTime::now();
        for moment in [SystemTime::UNIX_EPOCH, now, now + Duration::from_millis(20)] {
            let told = told.clone();
            let timer = Timer::until(moment, move || told.send(moment).unwrap()).unwrap();
            assert_eq!(hears.recv(), Ok(moment));
            drop(timer);
        }
        drop(told);
        assert!(hears.recv().is_err());
    }

    #[test]
    fn a_timer_that_is_dropped_does_nothing() {
        let moment = SystemTime::now() + Duration::from_secs(3600);
        let (told, hears) = mpsc::channel();
        drop(Timer::until(moment, move || told.send(()).unwrap()).unwrap());
        assert!(hears.recv().is_err());
    }
}
