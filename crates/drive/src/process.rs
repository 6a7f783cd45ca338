//! A mover's process: its list on standard input, and what it says, until nothing of it runs.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use fleet::process::{Group, Look, Streams, signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use sched::Cancel;

use crate::mover::Stream;

/// How long it has to end when it was asked to.
const TO_END: Duration = Duration::from_secs(3);

/// How often a cancel is looked for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The same where the kernel does not tell of the end of a process, and while one is ended.
const BETWEEN_CLOSE_LOOKS: Duration = Duration::from_millis(10);

/// Bytes that are read at once.
const AT_ONCE: usize = 16 * 1024;

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With an exit code.
    Code(u8),
    /// By a signal.
    Signal(i32),
    /// It was ended, since the run was cancelled.
    Stopped,
    /// It was ended, since it asked something at the terminal.
    Asked,
}

/// Runs a program to its end. `hear` gets what it says as it comes. After a cancel it is ended with all that
/// it has started, and this is back within 5 s.
///
/// Fails if it cannot be started.
pub(crate) fn run(
    argv: &[OsString],
    input: &[u8],
    hear: &mut dyn FnMut(Stream, &[u8]),
    cancel: &Cancel,
) -> io::Result<Ending> {
    let mut group = Group::start(argv, environment(), Streams::Pipes)?;
    let pipes = group.pipes().ok_or(io::ErrorKind::BrokenPipe);
    let talk = pipes.map_err(io::Error::from).and_then(|pipes| Talk::new(pipes, input));
    let leader = group.leader();
    match talk {
        Ok(talk) => {
            Ok(Watched { group: Some(group), leader, talk, status: None }.watch(hear, cancel))
        }
        Err(error) => {
            signal(leader, Signal::KILL);
            group.reap()?;
            Err(error)
        }
    }
}

/// Messages are read here, so they are not translated. Characters stay what they are: of them it depends which
/// names are told as they are.
fn environment() -> Vec<(&'static str, OsString)> {
    let mut environment = vec![("LC_MESSAGES", OsString::from("C"))];
    if let Some(all) = std::env::var_os("LC_ALL").filter(|all| !all.is_empty()) {
        environment.extend([("LC_ALL", OsString::new()), ("LC_CTYPE", all)]);
    }
    environment
}

/// A process while it runs.
struct Watched<'a> {
    /// Until nobody else has its number.
    group: Option<Group>,
    leader: Pid,
    talk: Talk<'a>,
    status: Option<ExitStatus>,
}

impl Watched<'_> {
    fn watch(mut self, hear: &mut dyn FnMut(Stream, &[u8]), cancel: &Cancel) -> Ending {
        let told_of_end = rustix::process::pidfd_open(self.leader, PidfdFlags::empty()).ok();
        let (mut was_stopped, mut was_asking) = (false, false);
        let mut until = None;
        loop {
            let is_ending = until.is_some();
            let end = told_of_end.as_ref().filter(|_| self.group.is_some());
            let close = is_ending || end.is_none();
            self.talk.wait(end, if close { BETWEEN_CLOSE_LOOKS } else { BETWEEN_LOOKS }, hear);
            if let Some(group) = &self.group {
                match group.look() {
                    Look::Runs => {}
                    Look::Asked => was_asking = true,
                    Look::Ended => {
                        self.status = self.group.take().and_then(|group| group.reap().ok());
                        // What it has started ends by itself when it is gone, or else is ended.
                        until = until.or_else(|| Some(Instant::now() + TO_END));
                    }
                }
            }
            if self.group.is_none()
                && rustix::process::test_kill_process_group(self.leader).is_err()
            {
                break;
            }
            if cancel.is_cancelled() && !was_stopped {
                was_stopped = true;
                until = Some(Instant::now() + TO_END);
                signal(self.leader, Signal::TERM);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                signal(self.leader, Signal::KILL);
            }
        }
        self.talk.wait(None, Duration::ZERO, hear);
        match self.status {
            Some(status) if status.success() => Ending::Code(0),
            _ if was_stopped => Ending::Stopped,
            _ if was_asking => Ending::Asked,
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Ending::Code(u8::try_from(code).unwrap_or(u8::MAX)),
                (None, signal) => Ending::Signal(signal.unwrap_or_default()),
            },
            None => Ending::Signal(0),
        }
    }
}

/// The pipes to a process, none of which is ever waited for alone.
struct Talk<'a> {
    input: &'a [u8],
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl<'a> Talk<'a> {
    fn new(
        (stdin, stdout, stderr): (ChildStdin, ChildStdout, ChildStderr),
        input: &'a [u8],
    ) -> io::Result<Self> {
        for pipe in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
            rustix::fs::fcntl_setfl(pipe, rustix::fs::fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        // Who has nothing to say hangs up.
        let stdin = Some(stdin).filter(|_| !input.is_empty());
        Ok(Self { input, stdin, stdout: Some(stdout), stderr: Some(stderr) })
    }

    /// Waits for news of a pipe or of `end`, and takes what there is.
    fn wait(&mut self, end: Option<&OwnedFd>, most: Duration, hear: &mut dyn FnMut(Stream, &[u8])) {
        let reads = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        let reads = reads.into_iter().flatten().chain(end.map(AsFd::as_fd));
        let mut news: Vec<PollFd<'_>> = reads.map(|fd| of(fd, PollFlags::IN)).collect();
        news.extend(self.stdin.as_ref().map(|stdin| of(stdin.as_fd(), PollFlags::OUT)));
        let most = Timespec::try_from(most).ok();
        if matches!(poll(&mut news, most.as_ref()), Err(error) if error != Errno::INTR) {
            std::thread::sleep(BETWEEN_CLOSE_LOOKS);
        }
        drop(news);
        self.write();
        take(&mut self.stdout, Stream::Out, hear);
        take(&mut self.stderr, Stream::Err, hear);
    }

    fn write(&mut self) {
        while let Some(stdin) = &mut self.stdin {
            match stdin.write(self.input) {
                Ok(len) => self.input = &self.input[len..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It wants no more of it.
                Err(_) => self.input = &[],
            }
            if self.input.is_empty() {
                self.stdin = None;
            }
        }
    }
}

fn of(fd: BorrowedFd<'_>, flags: PollFlags) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, flags)
}

/// Takes what a pipe has, and drops it at its end.
fn take(pipe: &mut Option<impl Read>, stream: Stream, hear: &mut dyn FnMut(Stream, &[u8])) {
    let mut bytes = [0; AT_ONCE];
    while let Some(open) = pipe {
        match open.read(&mut bytes) {
            Ok(0) => *pipe = None,
            Ok(len) => {
                hear(stream, &bytes[..len]);
                // The other pipe has its turn.
                if len < bytes.len() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => *pipe = None,
        }
    }
}

#[cfg(test)]
mod tests;
