//! An agent started through the remote shell, sent there first if need be.
//!
//! One login serves for all of it: the command is `sh`, and what it shall do follows on its
//! standard input, so that no login shell's quoting matters and a server with `MaxSessions 1` is
//! enough. The script runs an installed `lanesync` of the same build or wire revision; else the
//! program that an earlier run left in the user's own cache; else it asks for the program, keeps it
//! there under the name of its content and runs it. Then the streams are the agent's.
//!
//! What lies in the cache is run only if nobody else could have put it there: the cache and the
//! program are the user's own, and no other user may write to them
//! (`a_cached_agent_that_others_could_have_put_there_does_not_run`). The script goes into the cache before
//! it looks, so that what it runs lies in what it has looked at
//! (`what_takes_the_place_of_the_cache_after_the_look_does_not_run`); the agent goes back to where the
//! login began, by `agent --directory`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitStatus;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use wire::Pass;

use crate::lane::{Hangup, Lane, LaneKind};
use crate::pipe::Reader;
use crate::shell::{self, Process, RemoteShell, Started};
use crate::target::Target;

/// What a login shell may print before our script speaks.
const NOISE_MAX_BYTES: u64 = 64 * 1024;

/// A line of the script.
const LINE_MAX_BYTES: u64 = 4096;

/// What a process is started with that only hands its streams over to an agent.
const JOIN: &str = "agent --lane";

/// What each line of the script begins with.
const MARK: &str = "lanesync-bootstrap ";

/// What a process that a further login has started says when it has reached the agent, and when not.
pub(crate) const JOINED: &str = "lanesync-bootstrap joined";
pub(crate) const REFUSED: &str = "lanesync-bootstrap no ";

/// That so much was taken is a sign of life.
const SAID_AT_ONCE_BYTES: usize = 64 * 1024;

/// How long a remote shell has to end once it has nothing more to say.
const TO_END: Duration = Duration::from_secs(5);

/// The agent's program as it can be sent to a host.
#[derive(Clone, Debug)]
pub struct Program {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Checksum of `bytes` in hexadecimal, of whatever kind `agent --hash` prints.
    pub hash: String,
    /// The system that it runs on, as `uname -s` and `uname -m` name it.
    pub system: String,
}

/// Where the agent comes from and what it is to answer.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// `--agent-path`: this command and nothing else, as the remote user's shell understands it.
    pub path: Option<OsString>,
    /// What an agent that understands us prints for `agent --revision`.
    pub revision: String,
    /// What may be sent; `None` with `--no-upload`.
    pub program: Option<Program>,
    /// `--remote-sudo`: the agent is run by `sudo -n`.
    pub as_root: bool,
    /// `--timeout`: how long the agent waits for a sign of life, and so how often it has to give one.
    pub silence: Option<Duration>,
    /// `--contimeout`: how long it may take until the agent runs.
    pub start: Option<Duration>,
}

/// Why no agent runs.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The remote shell could not be started.
    #[error("start the remote shell \"{}\": {error}; -e or RSYNC_RSH names another", shown(.shell))]
    Start {
        /// Its program.
        shell: OsString,
        /// Why.
        error: io::Error,
    },
    /// It ended before the agent spoke.
    #[error("{}", ended(.shell, *.status, .said))]
    Ended {
        /// Its program.
        shell: OsString,
        /// How it ended, if it did.
        status: Option<ExitStatus>,
        /// The last that it said, if it was none of ours.
        said: String,
    },
    /// The agent does not run in time.
    #[error("no agent runs on {host} after {} s", .limit.as_secs())]
    Late {
        /// The host.
        host: String,
        /// How long it may take.
        limit: Duration,
    },
    /// A login shell that talks without end.
    #[error(
        "the login shell on {host} prints more than {NOISE_MAX_BYTES} bytes before it runs a command; \
         test with: ssh {host} true"
    )]
    Noise {
        /// The host.
        host: String,
    },
    /// There is no agent on the host and none may be sent.
    #[error(
        "there is no lanesync of wire revision {revision} on {host}, and --no-upload forbids sending \
         one; install it there, or name it with --agent-path"
    )]
    NotInstalled {
        /// The host.
        host: String,
        /// What was asked for.
        revision: String,
    },
    /// Our program does not run there.
    #[error(
        "there is no lanesync of wire revision {revision} on {host}, and this one runs on {ours}, not on \
         {theirs}; install one built for {theirs} there, or name it with --agent-path"
    )]
    OtherSystem {
        /// The host.
        host: String,
        /// What was asked for.
        revision: String,
        /// What it is.
        theirs: String,
        /// What our program is for.
        ours: String,
    },
    /// The program could not be put into the cache or does not run there.
    #[error("send the agent to {host}: {reason}")]
    Upload {
        /// The host.
        host: String,
        /// The script's words.
        reason: String,
    },
    /// Another login does not lead to the agent that runs there.
    #[error("by another login the agent on {host} was not reached: {reason}")]
    NotReached {
        /// The host.
        host: String,
        /// Why, in the words of the process that was started there.
        reason: String,
    },
    /// The stream broke.
    #[error("speak with the remote shell on {host}: {error}")]
    Stream {
        /// The host.
        host: String,
        /// Why.
        error: io::Error,
    },
}

fn shown(text: &OsStr) -> String {
    text.as_bytes().escape_ascii().to_string()
}

fn ended(shell: &OsStr, status: Option<ExitStatus>, said: &str) -> String {
    let how = match status {
        Some(status) => shell::in_words(shell, status),
        None => format!("{} closed its output and did not end", shown(shell)),
    };
    if said.is_empty() { how } else { format!("{how}; before that it said: {said}") }
}

impl Agent {
    /// Starts the agent on a host and gives the lane to it. `begun` gets the remote shell before it is
    /// waited for, which may be long: it may ask for a password.
    pub fn start(
        &self,
        shell: &RemoteShell,
        target: &Target,
        begun: &dyn Fn(&Process),
    ) -> Result<(Lane, Process), BootstrapError> {
        let program = shell.command_line(target, &[]).swap_remove(0);
        let started = shell
            .start(target, &[&self.command(&self.words())])
            .map_err(|error| BootstrapError::Start { shell: program.clone(), error })?;
        begun(&started.process);
        let host = target.shown();
        let mut dialogue = Dialogue { agent: self, shell: program, host, started, goes_on: None };
        if self.path.is_none()
            && let Err(error) = dialogue.run_in_time()
        {
            // It may wait for what does not come any more.
            dialogue.started.process.hang_up();
            return Err(error);
        }
        let Started { stdin, stdout, process } = dialogue.started;
        let lane = Lane {
            kind: LaneKind::Ssh,
            losses: None,
            packets: None,
            round_trip: None,
            reader: Box::new(stdout),
            writer: Box::new(stdin),
            hangup: Box::new(process.clone()),
        };
        Ok((lane, process))
    }

    /// What it takes to come to the agent by further logins, once it runs.
    #[must_use]
    pub fn once_sent(mut self) -> Self {
        self.program.iter_mut().for_each(|program| program.bytes = Vec::new());
        self
    }

    /// By another login, the lane to the agent that runs on a host, which has given this pass.
    pub(crate) fn join(
        &self,
        shell: &RemoteShell,
        target: &Target,
        pass: &Pass,
        begun: impl FnOnce(&Process) -> io::Result<()>,
    ) -> Result<Lane, JoinError> {
        let program = shell.command_line(target, &[]).swap_remove(0);
        let start = shell.start_apart(target, &[&self.command(JOIN)]);
        let (started, complaint) = start.map_err(|error| JoinError {
            error: BootstrapError::Start { shell: program.clone(), error },
            complaint: String::new(),
        })?;
        let host = target.shown();
        let mut dialogue =
            Dialogue { agent: self, shell: program.clone(), host, started, goes_on: None };
        let begun = begun(&dialogue.started.process).map_err(|error| dialogue.stream(error));
        let Dialogue { started, .. } = match begun.and_then(|()| dialogue.join(pass)) {
            Ok(()) => dialogue,
            Err(error) => {
                let complaint = complaint.last_line();
                dialogue.started.process.hang_up();
                return Err(JoinError { error, complaint });
            }
        };
        let Started { stdin, stdout, process } = started;
        Ok(Lane {
            kind: LaneKind::Ssh,
            losses: None,
            packets: None,
            round_trip: None,
            reader: Box::new(ToTheEnd { stdout, process: process.clone(), shell: program }),
            writer: Box::new(stdin),
            hangup: Box::new(process),
        })
    }

    /// What the remote shell is to run.
    fn command(&self, words: &str) -> OsString {
        match &self.path {
            Some(path) => self.typed(path, words),
            None => OsString::from("sh"),
        }
    }

    /// `--agent-path` may hold words, as rsync's `--rsync-path` does.
    fn typed(&self, path: &OsStr, words: &str) -> OsString {
        let mut command = OsString::from(if self.as_root { "sudo -n " } else { "" });
        command.push(path);
        command.push(" ");
        command.push(words);
        command
    }

    /// What an agent is started with.
    fn words(&self) -> String {
        let silence =
            self.silence.map(|silence| format!(" --silence={}", silence.as_secs().max(1)));
        format!("agent{}", silence.unwrap_or_default())
    }

    /// What `sh` reads. All of it is one compound command, so that it has been read to its end
    /// before anything in it reads what follows.
    fn script(&self, words: &str) -> String {
        let sudo = if self.as_root { "sudo -n " } else { "" };
        let revision = &self.revision;
        let hash = self.program.as_ref().map_or("none", |program| &program.hash);
        format!(
            r#"{{
say() {{ echo "{MARK}$*"; }}
refuse() {{ [ -z "$n" ] || rm -f "$n"; say "no $*"; exit 1; }}
n=
if [ "$(lanesync agent --revision 2>/dev/null </dev/null)" = "{revision}" ]; then
  say run; exec {sudo}lanesync {words}
fi
d="${{XDG_CACHE_HOME:-$HOME/.cache}}/lanesync"; f="./agent-{hash}"
from=$PWD CDPATH=
run() {{ say run; exec {sudo}"$f" {words} --directory "$from"; }}
is_whole() {{ [ "$("$1" agent --hash 2>/dev/null </dev/null)" = "{hash}" ]; }}
enter() {{ [ -d "$d" ] && [ ! -L "$d" ] && cd -P "$d" && [ -O . ]; }}
is_safe() {{ [ ! -L "$1" ] && [ -O "$1" ] && case $(ls -ld "$1") in ?????-??-*) ;; *) false ;; esac; }}
if enter 2>/dev/null && is_safe . && [ -f "$f" ] && is_safe "$f" && is_whole "$f"; then run; fi
cd "$from" || refuse "cannot go back to $from"
say "send $(uname -s) $(uname -m)"
read -r size || exit 1
umask 077
mkdir -p "$d" 2>/dev/null
enter 2>/dev/null || refuse "$d is not a directory of this user"
chmod 700 .
is_safe . || refuse "$d is open to others"
n=$(mktemp ./new.XXXXXXXXXX) || refuse "cannot create a file in $d"
trap 'rm -f "$n"' EXIT
trap 'exit 1' HUP INT TERM PIPE
head -c "$size" >"$n" || refuse "cannot write to $d: is the disk full?"
chmod 700 "$n"
[ ! -d "$f" ] || refuse "$f is a directory"
is_whole "$n" || refuse "the program does not run from $d, or did not arrive whole"
mv -f "$n" "$f" || refuse "cannot rename a file in $d"
trap - EXIT HUP INT TERM PIPE
run
}}
"#
        )
    }
}

/// Why another login came to nothing.
#[derive(Debug)]
pub(crate) struct JoinError {
    error: BootstrapError,
    /// The last that the remote shell said on its standard error.
    complaint: String,
}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            BootstrapError::Ended { shell, status: Some(status), .. } => {
                write!(formatter, "{} ended: {status}", shown(shell))?;
            }
            error => write!(formatter, "{error}")?,
        }
        let separator = if self.complaint.is_empty() { "" } else { ": " };
        write!(formatter, "{separator}{}", self.complaint)
    }
}

/// What a further login says. That the remote shell has failed is no end that the other side has made.
struct ToTheEnd {
    stdout: BufReader<Reader>,
    process: Process,
    shell: OsString,
}

impl Read for ToTheEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stdout.read(buffer)?;
        if count > 0 || buffer.is_empty() || self.process.is_hung_up() {
            return Ok(count);
        }
        match self.process.wait(TO_END) {
            Some(status) if !status.success() => {
                Err(io::Error::other(format!("{} ended: {status}", shown(&self.shell))))
            }
            _ => Ok(0),
        }
    }
}

/// The talk with the script.
struct Dialogue<'a> {
    agent: &'a Agent,
    shell: OsString,
    host: String,
    started: Started,
    /// Who waits with patience hears that it is no use yet to give up.
    goes_on: Option<Sender<()>>,
}

impl Dialogue<'_> {
    /// The talk, ended when it takes too long, or nothing goes on in it for too long.
    fn run_in_time(&mut self) -> Result<(), BootstrapError> {
        let Agent { start, silence, .. } = *self.agent;
        let Some(shorter) = start.into_iter().chain(silence).min() else { return self.run() };
        let process = self.started.process.clone();
        let (tell, told) = mpsc::channel();
        self.goes_on = Some(tell);
        let watch = thread::Builder::new().name("patience".to_owned()).spawn(move || {
            let until = start.map(|start| Instant::now() + start);
            loop {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                match told.recv_timeout(left.into_iter().chain(silence).min().unwrap_or(shorter)) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => {
                        process.hang_up();
                        let is_silence = until.is_none_or(|until| Instant::now() < until);
                        return if is_silence { silence } else { start };
                    }
                }
            }
        });
        let watch = watch.map_err(|error| self.stream(error))?;
        let ran = self.run();
        self.goes_on = None;
        match (watch.join(), ran) {
            (Ok(Some(limit)), Err(_)) => {
                Err(BootstrapError::Late { host: self.host.clone(), limit })
            }
            (_, ran) => ran,
        }
    }

    /// Something was said or heard.
    fn note(&self) {
        if let Some(goes_on) = &self.goes_on {
            // Who has run out of patience is told no more.
            goes_on.send(()).ok();
        }
    }

    fn run(&mut self) -> Result<(), BootstrapError> {
        self.tell(self.agent.script(&self.agent.words()).as_bytes())?;
        let mut answer = self.answer()?;
        if let Some(theirs) = answer.strip_prefix("send ") {
            let (host, revision) = (self.host.clone(), self.agent.revision.clone());
            let Some(program) = &self.agent.program else {
                return Err(BootstrapError::NotInstalled { host, revision });
            };
            if theirs != program.system {
                let (theirs, ours) = (theirs.to_owned(), program.system.clone());
                return Err(BootstrapError::OtherSystem { host, revision, theirs, ours });
            }
            // The script reads the number before it reads the rest: nothing is read ahead.
            self.tell(format!("{}\n", program.bytes.len()).as_bytes())?;
            self.tell(&program.bytes)?;
            answer = self.answer()?;
        }
        match answer.strip_prefix("no ") {
            _ if answer == "run" => Ok(()),
            Some(reason) => {
                Err(BootstrapError::Upload { host: self.host.clone(), reason: reason.to_owned() })
            }
            None => Err(self.ended(answer)),
        }
    }

    /// Comes to the agent that runs there already, by the same program.
    fn join(&mut self, pass: &Pass) -> Result<(), BootstrapError> {
        if self.agent.path.is_none() {
            self.tell(self.agent.script(JOIN).as_bytes())?;
            let answer = self.answer()?;
            if answer.starts_with("send ") {
                let (host, revision) = (self.host.clone(), self.agent.revision.clone());
                return Err(BootstrapError::NotInstalled { host, revision });
            }
            self.check_is(&answer, "run")?;
        }
        self.tell(&pass.0)?;
        let answer = self.answer()?;
        self.check_is(&answer, "joined")
    }

    fn check_is(&self, answer: &str, expected: &str) -> Result<(), BootstrapError> {
        match answer.strip_prefix("no ") {
            _ if answer == expected => Ok(()),
            Some(reason) => {
                let (host, reason) = (self.host.clone(), reason.to_owned());
                Err(BootstrapError::NotReached { host, reason })
            }
            None => Err(self.ended(answer.to_owned())),
        }
    }

    fn tell(&mut self, bytes: &[u8]) -> Result<(), BootstrapError> {
        let told = bytes.chunks(SAID_AT_ONCE_BYTES).try_for_each(|part| {
            self.started.stdin.write_all(part)?;
            self.note();
            Ok(())
        });
        match told.and_then(|()| self.started.stdin.flush()) {
            // Its last words tell why nobody listens.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            told => told.map_err(|error| self.stream(error)),
        }
    }

    fn stream(&self, error: io::Error) -> BootstrapError {
        BootstrapError::Stream { host: self.host.clone(), error }
    }

    /// The next line of the script; what else is printed before it is passed over.
    fn answer(&mut self) -> Result<String, BootstrapError> {
        let mut left = NOISE_MAX_BYTES;
        let mut said = String::new();
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut self.started.stdout).take(LINE_MAX_BYTES);
            let read = limited.read_until(b'\n', &mut line);
            let read = read.map_err(|error| self.stream(error))?;
            if read == 0 {
                return Err(self.ended(said));
            }
            self.note();
            let text = String::from_utf8_lossy(&line);
            if let Some(answer) = text.strip_prefix(MARK) {
                return Ok(answer.trim_end().escape_debug().to_string());
            }
            said = text.trim_end().escape_debug().to_string();
            left = left
                .checked_sub(read as u64)
                .ok_or_else(|| BootstrapError::Noise { host: self.host.clone() })?;
        }
    }

    fn ended(&self, said: String) -> BootstrapError {
        let status = self.started.process.wait(TO_END);
        BootstrapError::Ended { shell: self.shell.clone(), status, said }
    }
}

#[cfg(test)]
mod tests;
