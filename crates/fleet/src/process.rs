//! A program that runs, with all that it starts.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid,
};

use crate::lister::qumulo::PASSWORD_VARIABLE;

/// Where a program reads, and where it says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// It reads nothing, and what it says reaches the user as it is.
    OfTheUser,
    /// The same, but for what it says on standard output: that goes to standard error, since standard output
    /// has an order that others must not break.
    OnStandardError,
    /// There are [`pipes`](Group::pipes) to whoever has started it.
    Pipes,
}

/// What a look at a program finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It runs.
    Runs,
    /// It has ended.
    Ended,
    /// It wanted to ask something at the terminal, and was ended.
    Asked,
}

/// A program that runs, as the leader of a process group of its own.
#[derive(Debug)]
pub struct Group(Child);

impl Group {
    /// Starts a program by its words, with `environment` beside what there is, and the umask of the user.
    ///
    /// Fails as the start of a process does, for instance with [`io::ErrorKind::NotFound`].
    #[expect(clippy::disallowed_methods, reason = "the program is the user's own")]
    pub fn start(
        argv: &[impl AsRef<OsStr>],
        environment: impl IntoIterator<Item = (&'static str, OsString)>,
        streams: Streams,
    ) -> io::Result<Self> {
        let (program, words) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(words).envs(environment).env_remove(PASSWORD_VARIABLE).process_group(0);
        match streams {
            Streams::OfTheUser => command.stdin(Stdio::null()),
            Streams::OnStandardError => command.stdin(Stdio::null()).stdout(io::stderr()),
            Streams::Pipes => {
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
            }
        };
        fs::process::with_umask_of_start(|| command.spawn()).map(Self)
    }

    /// The pipes to it, once, if it has them.
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout, ChildStderr)> {
        let Child { stdin, stdout, stderr, .. } = &mut self.0;
        Some((stdin.take()?, stdout.take()?, stderr.take()?))
    }

    /// The leader, and so the number of the group.
    pub fn leader(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Waits for its end, after which nobody else has its number yet. Ends it when it is stopped because
    /// it wants the terminal, which it would wait for without an end, and says so.
    pub fn wait_for_end(&self) -> bool {
        let mut is_asking = false;
        let ended_or_stopped = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        loop {
            match self.wait(ended_or_stopped | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) => match status.stopping_signal() {
                    Some(signal) => is_asking |= self.is_ended_for_asking(signal),
                    None => return is_asking,
                },
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return is_asking,
            }
        }
    }

    /// Looks how it is, as [`wait_for_end`](Self::wait_for_end) would.
    pub fn look(&self) -> Look {
        let any = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        match self.wait(any | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG) {
            Ok(Some(status)) => match status.stopping_signal() {
                Some(signal) if self.is_ended_for_asking(signal) => Look::Asked,
                Some(_) => Look::Runs,
                None => Look::Ended,
            },
            Ok(None) | Err(Errno::INTR) => Look::Runs,
            Err(_) => Look::Ended,
        }
    }

    /// Ends it if it was stopped since it wants the terminal, and says so.
    fn is_ended_for_asking(&self, stopped_by: i32) -> bool {
        // Hears of the same stop no more.
        self.wait(WaitIdOptions::STOPPED | WaitIdOptions::NOHANG).ok();
        let is_asking = [Signal::TTIN, Signal::TTOU].iter().any(|it| it.as_raw() == stopped_by);
        if is_asking {
            // Nothing else reaches who is stopped.
            signal(self.leader(), Signal::KILL);
        }
        is_asking
    }

    fn wait(&self, options: WaitIdOptions) -> Result<Option<WaitIdStatus>, Errno> {
        waitid(WaitId::Pid(self.leader()), options)
    }

    /// How it has ended. Now its number may become another process's.
    pub fn reap(mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

/// Sends a signal to all of a group whose number is still its own. That nobody is left is as good.
pub fn signal(group: Pid, signal: Signal) {
    kill_process_group(group, signal).ok();
}
