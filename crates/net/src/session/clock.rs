//! Time: keepalives, silence, and how long a last word may take.

use std::io;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

use super::lanes::Loss;
use super::state::Shared;

/// Who wakes up so much later than he meant to was stopped, or the whole machine was: what came
/// meanwhile is still to be read, so that nobody counts as silent for that.
const STOPPED: Duration = Duration::from_secs(1);

/// How long the other side has to take a last word and to hang up.
const LINGER: Duration = Duration::from_secs(2);

/// What the clock looks after besides lanes.
#[derive(Default)]
pub(super) struct Clock {
    thread: Option<Thread>,
    /// How long the lanes have to end by themselves, once they are to.
    linger: Option<Duration>,
}

impl Clock {
    /// There is something new to look after.
    pub(super) fn wake(&self, wakes: &mut Vec<Thread>) {
        wakes.extend(self.thread.clone());
    }

    /// From now on all lanes have a little time to end by themselves.
    pub(super) fn start_lingering(&mut self) {
        self.linger_for(LINGER);
    }

    /// The same, and how little.
    pub(super) fn linger_for(&mut self, limit: Duration) {
        self.linger = Some(self.linger.map_or(limit, |before| before.min(limit)));
    }
}

/// Starts the thread that looks at the clock. It ends when the session is over and has no lane left.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let me = Arc::clone(shared);
    shared.spawn("session clock", move || run(&me))
}

fn run(shared: &Shared) {
    let me = thread::current();
    let (mut over_at, mut linger_at) = (None, None);
    let mut next: Option<Duration> = None;
    loop {
        let now = shared.now();
        let was_stopped = next.is_some_and(|next| now > next + STOPPED);
        let looked = shared.change(|state| {
            state.clock.thread.get_or_insert_with(|| me.clone());
            if state.over.is_some() && state.lanes.is_empty() {
                return None;
            }
            if state.over.is_some() {
                over_at.get_or_insert(now + shared.setup.patience.silence);
            }
            if let Some(limit) = state.clock.linger {
                let until = now + limit;
                linger_at = Some(linger_at.map_or(until, |at: Duration| at.min(until)));
            }
            if [over_at, linger_at].into_iter().flatten().any(|at| now >= at) {
                state.give_up();
            }
            let lanes = state.lanes.iter().filter(|(_, lane)| !lane.is_over);
            Some(lanes.map(|(key, lane)| (*key, Arc::clone(&lane.link))).collect::<Vec<_>>())
        });
        let Some(lanes) = looked else { return };
        next = [over_at, linger_at].into_iter().flatten().filter(|at| *at > now).min();
        for (key, link) in lanes {
            let (ticked, speaks, deadline) = {
                let mut link = link.lock();
                if was_stopped {
                    link.resume(now);
                }
                let is_due = now >= link.deadline();
                let ticked = if is_due { link.tick(now) } else { Ok(()) };
                (ticked, link.has_outgoing(), link.deadline())
            };
            match ticked {
                Err(violation) => shared.lose(key, Loss::Dead(violation)),
                Ok(()) if speaks => shared.change(|state| state.link_speaks(key)),
                Ok(()) => {}
            }
            // What is due already is not what this thread is about to sleep through.
            let deadline = deadline.max(now);
            next = Some(next.map_or(deadline, |next: Duration| next.min(deadline)));
        }
        match next {
            Some(next) => thread::park_timeout(next.saturating_sub(now)),
            None => thread::park(),
        }
    }
}
