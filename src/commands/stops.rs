//! What a signal stops: the whole job, and what goes on with other hosts at that moment.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use net::Session;
use net::lane::Hangup;
use net::shell::Process;
use sched::Cancel;

use super::signals::Watch;

/// Stops a job when a signal comes.
pub(super) struct Stops {
    job: Cancel,
    signals: Watch,
    now: Mutex<Now>,
}

/// What goes on with other hosts. Sessions are not held: one ends, and its remote shell, when who made it
/// lets go of it.
#[derive(Default)]
pub(super) enum Now {
    /// Nothing.
    #[default]
    Nothing,
    /// A remote shell is waited for, which may wait for a password.
    Reaching(Process),
    /// An agent looks up what was typed, and has told nothing yet that would be lost.
    Finding(Weak<Session>),
    /// The job is done.
    Running {
        /// With the agent that is asked to stop, if it is there to hear that.
        session: Weak<Session>,
        /// Stops what is done here.
        cancel: Cancel,
    },
}

impl Stops {
    /// Heeds signals from now on; the first one cancels the job.
    pub(super) fn at_signals(job: &Cancel) -> io::Result<Arc<Self>> {
        let signals = Watch::default();
        let now = Mutex::default();
        let stops = Arc::new(Self { job: job.clone(), signals: signals.clone(), now });
        let stop = {
            let stops = Arc::clone(&stops);
            move || stops.stop()
        };
        signals.start(stop)?;
        Ok(stops)
    }

    /// Whether a signal came. What ends then may have ended by it: Ctrl-C on a terminal ends the remote
    /// shell, too, and maybe first.
    pub(super) fn is_stopped(&self) -> bool {
        self.signals.saw_one()
    }

    /// From now on this goes on, and what went on before does not. What a signal does to that already is
    /// done before this returns: a remote shell is not left behind since the process that was about to
    /// end it has ended.
    pub(super) fn enter(&self, next: Now) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = next;
        if self.job.is_cancelled() {
            // It came before there was this to stop.
            now.stop();
        }
    }

    fn stop(&self) {
        self.job.cancel();
        self.now.lock().unwrap_or_else(PoisonError::into_inner).stop();
    }
}

impl Now {
    fn stop(&self) {
        match self {
            Self::Nothing => {}
            Self::Reaching(shell) => shell.hang_up(),
            Self::Finding(session) => {
                if let Some(session) = session.upgrade() {
                    session.hang_up();
                }
            }
            Self::Running { session, cancel } => {
                // First: who is told that nothing more is asked is not to take it for a loss.
                cancel.cancel();
                let Some(session) = session.upgrade() else { return };
                if session.is_greeted() {
                    // One that has ended needs not be stopped.
                    session.cancel().ok();
                    session.ask_no_more();
                } else {
                    session.hang_up();
                }
            }
        }
    }
}
