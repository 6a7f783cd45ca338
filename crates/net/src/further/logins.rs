//! Lanes that are logins of their own: the remote shell once more for each, one after the other.
//!
//! With ssh(1) each is a connection of its own: one that is shared would carry all in one stream, which one
//! lost packet stops. Nobody is asked for a password, since a prompt in the middle of a job would be in the
//! way of all that is shown: who wants further logins has a key for them.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::PollFlags;
use wire::Pass;

use crate::bootstrap::Agent;
use crate::lane::{Hangup, Lane};
use crate::pipe::Switch;
use crate::shell::{Process, RemoteShell};
use crate::target::Target;

/// Where to log in, and what to show there.
pub(crate) struct Logins {
    pub(crate) shell: RemoteShell,
    pub(crate) target: Target,
    pub(crate) agent: Arc<Agent>,
    pub(crate) pass: Pass,
}

impl Logins {
    /// Logs in once more, in this time and as long as the switch is on.
    pub(crate) fn log_in(&self, limit: Duration, switch: &Switch) -> io::Result<Lane> {
        let Self { shell, target, agent, pass } = self;
        let done = Switch::new()?;
        let joined = thread::scope(|scope| {
            let until = |process: &Process| {
                let (process, done) = (process.clone(), &done);
                let give_up = move || {
                    let ends = [(done.watched(), PollFlags::IN)];
                    switch.wait_for_any(&ends, Some(limit)).ok();
                    if !done.is_off() {
                        process.hang_up();
                    }
                };
                let watch = thread::Builder::new().name("patience".to_owned());
                watch.spawn_scoped(scope, give_up).map(drop)
            };
            let joined = agent.join(shell, target, pass, until);
            done.hang_up();
            joined
        });
        joined.map_err(|error| io::Error::other(error.to_string()))
    }
}
