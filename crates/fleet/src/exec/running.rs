//! A command that runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::lister::qumulo::PASSWORD_VARIABLE;

/// A command that runs, as the leader of a process group of its own.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Running {
    /// Starts a command, with `environment` beside what there is. It reads nothing, and what it says
    /// reaches the user as it is.
    #[expect(clippy::disallowed_methods, reason = "the command is the user's own")]
    pub(super) fn start(
        command: &OsStr,
        environment: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> io::Result<Self> {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .envs(environment)
            .env_remove(PASSWORD_VARIABLE)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Its process group.
    pub(super) fn group(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Waits for its end, after which nobody else has its number yet. Ends it when it is stopped because
    /// it wants the terminal, which it would wait for without an end, and says so.
    pub(super) fn wait_for_end(&self) -> bool {
        let mut is_asking = false;
        let ended_or_stopped = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        loop {
            match self.wait(ended_or_stopped | WaitIdOptions::NOWAIT) {
                // Hears of the same stop no more.
                Ok(Some(signal)) => {
                    self.wait(WaitIdOptions::STOPPED | WaitIdOptions::NOHANG).ok();
                    if [Signal::TTIN, Signal::TTOU].iter().any(|it| it.as_raw() == signal) {
                        is_asking = true;
                        // Nothing else reaches who is stopped.
                        super::signal(self.group(), Signal::KILL);
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return is_asking,
            }
        }
    }

    /// The signal by which it is stopped, if it is.
    fn wait(&self, options: WaitIdOptions) -> Result<Option<i32>, Errno> {
        let status = waitid(WaitId::Pid(self.group()), options)?;
        Ok(status.and_then(|status| status.stopping_signal()))
    }

    /// How it has ended. Now its number may become another process's.
    pub(super) fn reap(mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

/// Sends a signal to all of a group whose number is still its own. That nobody is left is as good.
pub(super) fn signal(group: Pid, signal: Signal) {
    kill_process_group(group, signal).ok();
}
