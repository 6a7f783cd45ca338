//! A job with another host, taken up again when its session is lost (`--reconnect`).
//!
//! Nothing is remembered from one session to the next: the job is done anew, and finds what is there
//! already. So it goes on however the connection was lost, and wherever that was noticed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Surroundings;
use net::Traffic;
use net::shell::Process;
use report::settings::Volume;
use sched::Cancel;

use super::far::{Far, FarJob};
use super::pace::Limit;
use super::stops::{Now, Stops};
use super::sync::tell;
use crate::cli::{Refusal, Remote};
use crate::exit_code::{Ending, Exit};

/// How long it waits before it tries again, at first and at most.
const BETWEEN_TRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// A session that was lost has got somewhere if it lasted so long, or so much went over it: then the time to
/// try again begins anew.
const WORTH: (Duration, u64) = (Duration::from_secs(15), 256 << 10);

/// A job with another host, ready to be done.
pub(super) struct Ready<J> {
    pub(super) far: Far,
    /// With what was typed of the source as it was found there.
    pub(super) job: J,
}

/// Reaches the other hosts, and finds the sources there.
pub(super) fn reach<J: FarJob>(
    remote: &Remote,
    typed: &J,
    stops: &Arc<Stops>,
) -> Result<Ready<J>, Refusal> {
    let begun = |shell: &Process| stops.enter(Now::Reaching(shell.clone()));
    let found = Far::reach(remote, stops, &begun).and_then(|mut far| {
        if let Some(session) = far.source_session() {
            stops.enter(Now::Finding(Arc::downgrade(session)));
        }
        let mut job = typed.clone();
        far.find(&mut job)?;
        Ok(Ready { far, job })
    });
    if stops.is_stopped() {
        let sentence = "stopped before anything was done".to_owned();
        return Err(Refusal { exit: Exit::Interrupted, sentence });
    }
    found
}

/// What is done again.
pub(super) struct Work<'a, J> {
    pub(super) remote: &'a Remote,
    /// As it was typed.
    pub(super) typed: &'a J,
    pub(super) limit: &'a Limit,
    pub(super) volume: Volume,
}

impl<J: FarJob> Work<'_, J> {
    /// Does it. What is said of its totals is said of the last session, which comes back with them.
    pub(super) fn run(
        &self,
        mut ready: Ready<J>,
        around: &Surroundings,
        stops: &Arc<Stops>,
    ) -> (Ending, J::Summary, Far) {
        let mut tries = None;
        loop {
            let Ready { far, job } = ready;
            let began = Instant::now();
            let (ending, summary) = self.run_once(&far, &job, around, stops);
            // Of a job that came to its end nothing was lost.
            let is_lost = ending != Ending::Complete && far.was_lost() && !stops.is_stopped();
            let Some(patience) = self.remote.reconnect.filter(|_| is_lost) else {
                return (ending, summary, far);
            };
            let host = self.remote.there.target.shown();
            let secs = patience.as_secs();
            tell(around, &format!("the session with {host} is lost; trying again for {secs} s"));
            if got_somewhere(far.traffic(), began.elapsed()) {
                tries = None;
            }
            let tries = tries.get_or_insert_with(|| Tries::begin(patience));
            match self.reach_again(tries, around, stops) {
                Some(again) => ready = again,
                None if stops.is_stopped() => return (Ending::Interrupted, summary, far),
                None => return (ending, summary, far),
            }
            tell(around, &format!("going on with {host}"));
        }
    }

    fn run_once(
        &self,
        far: &Far,
        job: &J,
        around: &Surroundings,
        stops: &Stops,
    ) -> (Ending, J::Summary) {
        // Of this session alone: that it is lost does not end the job.
        let cancel = Cancel::new();
        let session = Arc::downgrade(far.session());
        stops.enter(Now::Running { session, cancel: cancel.clone() });
        let around = Surroundings { cancel: cancel.clone(), ..around.clone() };
        let done = far.run(job, &around, (self.volume, self.limit));
        stops.enter(Now::Nothing);
        // Whoever waits for the end of it waits no more.
        cancel.cancel();
        done
    }

    /// Tries until all is reached; `None` if it is not in time, or a signal came.
    fn reach_again(
        &self,
        tries: &mut Tries,
        around: &Surroundings,
        stops: &Arc<Stops>,
    ) -> Option<Ready<J>> {
        let mut told = None;
        while tries.next(&around.cancel) {
            // A job begins before its agent has said a word. Here it would begin for ever.
            let reached = reach(self.remote, self.typed, stops)
                .and_then(|ready| ready.far.hear_greeting().map(|()| ready));
            if reached.is_err() {
                stops.enter(Now::Nothing);
            }
            match reached {
                Ok(ready) => return Some(ready),
                Err(_) if stops.is_stopped() => return None,
                // The reason seldom changes, and need not be told each time.
                Err(refusal) if told.as_ref() != Some(&refusal.sentence) => {
                    tell(around, &refusal.sentence);
                    told = Some(refusal.sentence);
                }
                Err(_) => {}
            }
        }
        None
    }
}

/// Whether a session was of use: a host that ends each one at once is not tried for ever.
fn got_somewhere(traffic: Traffic, lasted: Duration) -> bool {
    let (time, bytes) = WORTH;
    // What went from host to host an agent tells, which is not believed.
    lasted >= time || traffic.sent_bytes.saturating_add(traffic.received_bytes) >= bytes
}

/// How long it is tried again, and when.
struct Tries {
    until: Instant,
    /// Before the next one; the first comes at once.
    pause: Option<Duration>,
}

impl Tries {
    fn begin(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, pause: None }
    }

    /// Waits until it is time for the next; false when there is to be none.
    fn next(&mut self, cancel: &Cancel) -> bool {
        let [shortest, longest] = BETWEEN_TRIES;
        let Some(pause) = self.pause.replace(shortest) else { return true };
        self.pause = Some((pause * 2).min(longest));
        let left = self.until.saturating_duration_since(Instant::now());
        !left.is_zero() && cancel.sleep(pause.min(left)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_was_of_use_that_lasted_or_carried_much_whatever_is_told_of_it() {
        let check = |bytes: [u64; 2], secs, expected| {
            let [sent_bytes, received_bytes] = bytes;
            let traffic = Traffic { sent_bytes, received_bytes };
            assert_eq!(got_somewhere(traffic, Duration::from_secs(secs)), expected, "{bytes:?}");
        };
        check([1, 1], 1, false);
        check([1, 1], 15, true);
        check([200 << 10, 56 << 10], 0, true);
        check([u64::MAX, u64::MAX], 0, true);
    }
}
