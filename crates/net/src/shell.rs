//! The remote shell: the user's own ssh, or what stands in for it.
//!
//! It is called as rsync calls it, `WORDS... [-l USER] HOST COMMAND...`, so whatever works as
//! rsync's `-e` or `RSYNC_RSH` works here. It is started directly, by no shell of this host.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

use crate::lane::Hangup;
use crate::pipe::{Reader, Switch, Writer};
use crate::target::Target;

/// What ssh tells of its configuration at most: a hundred lines.
const CONFIGURATION_BYTES: u64 = 256 * 1024;

/// How long ssh has to end when it has told that.
const TO_TELL: Duration = Duration::from_secs(2);

/// How long it may take until the last line of a process that has ended is known.
const TO_COMPLAIN: Duration = Duration::from_secs(1);

/// What is kept of a line.
const COMPLAINT_BYTES: u64 = 1024;

/// What makes a login by ssh(1) one of its own that asks nobody anything. Of an option that stands
/// twice the first holds (`ssh_config(5)`), but of `-S` the last.
const APART: [&str; 4] = [
    "-oBatchMode=yes",
    "-oControlMaster=no",
    // They are the first login's.
    "-oClearAllForwardings=yes",
    // The first one has shown the banner.
    "-oLogLevel=ERROR",
];
const NOT_SHARED: [&str; 2] = ["-S", "none"];

/// How often an ending process is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// The program and its first arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteShell {
    words: Vec<OsString>,
    family: Option<Family>,
}

/// The kind of address to reach a host by (`-4`, `-6`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

/// Why a text names no remote shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShellError {
    /// A quote is not closed.
    #[error("a quote in the remote shell is not closed")]
    OpenQuote,
    /// There is no word in it.
    #[error("the remote shell is empty")]
    Empty,
}

impl RemoteShell {
    /// Takes a text apart as rsync does (rsync(1), `-e`): words are parted by spaces; quotes of
    /// either kind keep spaces, and a doubled quote within them stands for one.
    pub fn parse(text: &[u8]) -> Result<Self, ShellError> {
        let mut words = Vec::new();
        let mut word: Option<Vec<u8>> = None;
        let mut quote = None;
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match quote {
                Some(open) if byte == open => {
                    if bytes.next_if_eq(&open).is_some() {
                        word.get_or_insert_default().push(open);
                    } else {
                        quote = None;
                    }
                }
                None if byte == b'\'' || byte == b'"' => {
                    quote = Some(byte);
                    word.get_or_insert_default();
                }
                None if byte == b' ' => words.extend(word.take()),
                Some(_) | None => word.get_or_insert_default().push(byte),
            }
        }
        if quote.is_some() {
            return Err(ShellError::OpenQuote);
        }
        words.extend(word);
        if words.is_empty() {
            return Err(ShellError::Empty);
        }
        Ok(Self { words: words.into_iter().map(OsString::from_vec).collect(), family: None })
    }

    /// The shell, told which kind of address to use: only ssh understands it, as rsync has it.
    #[must_use]
    pub fn with_family(self, family: Option<Family>) -> Self {
        Self { family, ..self }
    }

    fn is_ssh(&self) -> bool {
        let program = self.words.first().map(Path::new).and_then(Path::file_name);
        program == Some(OsStr::new("ssh"))
    }

    /// The name or address that ssh(1) connects to for a host, as its configuration tells; `None` if this
    /// is another remote shell, or one that does not tell.
    #[expect(clippy::disallowed_methods, reason = "the remote shell is the user's own program")]
    pub(crate) fn host_name(&self, target: &Target) -> Option<String> {
        if !self.is_ssh() {
            return None;
        }
        let mut line = self.command_line(target, &[]);
        line.insert(1, OsString::from("-G"));
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let stdout = child.stdout.take()?;
        let process = Process { child: Arc::new(Mutex::new(child)), switch: Switch::new().ok()? };
        let mut told = String::new();
        let told = Reader::new(stdout, &process.switch)
            .and_then(|reader| reader.take(CONFIGURATION_BYTES).read_to_string(&mut told))
            .map(|_| told);
        process.hang_up();
        process.wait(TO_TELL);
        told.ok()?.lines().find_map(|line| line.strip_prefix("hostname ")).map(str::to_owned)
    }

    /// All that is started for a command on a host.
    pub fn command_line(&self, target: &Target, command: &[&OsStr]) -> Vec<OsString> {
        let mut line = self.words.clone();
        if self.is_ssh() {
            line.extend(self.family.map(|family| match family {
                Family::V4 => OsString::from("-4"),
                Family::V6 => OsString::from("-6"),
            }));
        }
        if let Some(user) = target.user() {
            line.extend([OsString::from("-l"), user.to_owned()]);
        }
        line.push(target.host().to_owned());
        line.extend(command.iter().map(|word| (*word).to_owned()));
        line
    }

    /// Starts a command on a host. What it says on standard error reaches the user as it is.
    ///
    /// Fails as the start of a process does, for instance with [`io::ErrorKind::NotFound`].
    #[expect(clippy::disallowed_methods, reason = "the remote shell is the user's own program")]
    pub fn start(&self, target: &Target, command: &[&OsStr]) -> io::Result<Started> {
        let line = self.command_line(target, command);
        let child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        Started::of(child)
    }

    /// Starts a command on a host by a login of its own, which shares nothing with others and asks nobody
    /// anything, as far as the remote shell is ssh. A signal of the terminal does not reach it.
    #[expect(clippy::disallowed_methods, reason = "the remote shell is the user's own program")]
    pub(crate) fn start_apart(
        &self,
        target: &Target,
        command: &[&OsStr],
    ) -> io::Result<(Started, Complaint)> {
        let line = self.command_line_apart(target, command);
        let mut child = Command::new(&line[0])
            .args(&line[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let stderr = child.stderr.take();
        let started = Started::of(child)?;
        let complaint = Complaint::hear(stderr, &started.process);
        complaint.map(|complaint| (started, complaint))
    }

    fn command_line_apart(&self, target: &Target, command: &[&OsStr]) -> Vec<OsString> {
        let mut line = self.command_line(target, command);
        if self.is_ssh() {
            let typed = self.words.len();
            line.splice(typed..typed, NOT_SHARED.map(OsString::from));
            line.splice(1..1, APART.map(OsString::from));
        }
        line
    }
}

impl Default for RemoteShell {
    fn default() -> Self {
        Self { words: vec![OsString::from("ssh")], family: None }
    }
}

/// A command that runs on another host, and its standard streams.
#[derive(Debug)]
pub struct Started {
    /// What it reads.
    pub stdin: Writer,
    /// What it writes.
    pub stdout: BufReader<Reader>,
    /// The remote shell on this host.
    pub process: Process,
}

impl Started {
    fn of(mut child: Child) -> io::Result<Self> {
        let switch = Switch::new()?;
        let missing = || io::Error::other("the process has no standard streams");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = Reader::new(stdout.ok_or_else(missing)?, &switch)?;
        Ok(Self {
            stdin: Writer::new(stdin.ok_or_else(missing)?, &switch)?,
            stdout: BufReader::with_capacity(256 * 1024, stdout),
            process: Process { child: Arc::new(Mutex::new(child)), switch },
        })
    }
}

/// The last line that a process says on its standard error, which nobody else reads.
#[derive(Debug)]
pub(crate) struct Complaint(mpsc::Receiver<String>);

impl Complaint {
    fn hear(stderr: Option<ChildStderr>, process: &Process) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let missing = || io::Error::other("the process has no standard streams");
        let mut lines = BufReader::new(Reader::new(stderr.ok_or_else(missing)?, &process.switch)?);
        let listen = move || {
            let (mut line, mut last) = (Vec::new(), Vec::new());
            while (&mut lines)
                .take(COMPLAINT_BYTES)
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                last.clone_from(&line);
                line.clear();
            }
            let last = String::from_utf8_lossy(&last).trim_end().escape_debug().to_string();
            // Nobody may want to know.
            tell.send(last).ok();
        };
        thread::Builder::new().name("complaint".to_owned()).spawn(listen)?;
        Ok(Self(told))
    }

    /// Waits for it a little, once the process has ended.
    pub(crate) fn last_line(&self) -> String {
        self.0.recv_timeout(TO_COMPLAIN).unwrap_or_default()
    }
}

/// The process of a remote shell. It is ended when the last of its owners is gone.
#[derive(Clone, Debug)]
pub struct Process {
    child: Arc<Mutex<Child>>,
    /// Its standard streams: what it has started may hold them open when it has ended.
    switch: Switch,
}

impl Process {
    /// Waits for its end, at most as long as `limit`.
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() >= until {
                return ended;
            }
            // Waiting for the child would keep it from being hung up.
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Whether it was hung up.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.switch.is_off()
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }
}

impl Hangup for Process {
    fn hang_up(&self) {
        self.switch.hang_up();
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Once waited for, the number may be another process's.
        if let Ok(None) = child.try_wait()
            && let Ok(pid) = i32::try_from(child.id())
            && let Some(pid) = Pid::from_raw(pid)
        {
            // Not SIGKILL: ssh puts the terminal back and ends what it multiplexes.
            kill_process(pid, Signal::TERM).ok();
        }
    }
}

/// What a remote shell's exit status says.
pub fn in_words(shell: &OsStr, status: ExitStatus) -> String {
    let shell = shell.as_bytes().escape_ascii();
    match status.code() {
        Some(127) => format!("{shell} found no such command on the other host (exit status 127)"),
        Some(255) => {
            format!("{shell} could not log in (exit status 255); its own words stand above")
        }
        _ => format!("{shell} ended: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, ShellError> {
        let shell = RemoteShell::parse(text.as_bytes())?;
        Ok(shell.words.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn words_and_quotes_are_those_of_rsync() {
        let some = |words: &[&str]| Ok(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words("ssh"), some(&["ssh"]));
        assert_eq!(words("  ssh  -p 22 "), some(&["ssh", "-p", "22"]));
        assert_eq!(words("ssh -o 'A B'"), some(&["ssh", "-o", "A B"]));
        assert_eq!(words("ssh -o A\" \"B"), some(&["ssh", "-o", "A B"]));
        assert_eq!(words("a 'it''s' \"\"\"q\"\"\""), some(&["a", "it's", "\"q\""]));
        assert_eq!(words("a ''"), some(&["a", ""]));
        assert_eq!(words("a\\ b\tc"), some(&["a\\", "b\tc"]));
        assert_eq!(words("a 'b"), Err(ShellError::OpenQuote));
        assert_eq!(words("  "), Err(ShellError::Empty));
    }

    #[test]
    fn the_command_line_is_that_of_rsync() {
        let target = Target::parse(b"u@[::1]").unwrap();
        let line = |text: &str| {
            let shell = RemoteShell::parse(text.as_bytes()).unwrap().with_family(Some(Family::V6));
            let line = shell.command_line(&target, &["sh".as_ref()]);
            line.join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(line("/usr/bin/ssh -p 2"), "/usr/bin/ssh -p 2 -6 -l u ::1 sh");
        assert_eq!(line("rsh"), "rsh -l u ::1 sh");
    }

    #[test]
    fn a_login_of_its_own_shares_no_connection_whatever_was_typed() {
        let target = Target::parse(b"u@h").unwrap();
        let line = |text: &str| {
            let shell = RemoteShell::parse(text.as_bytes()).unwrap();
            let line = shell.command_line_apart(&target, &["sh".as_ref()]);
            line.join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(
            line("ssh -S here -oControlMaster=auto"),
            "ssh -oBatchMode=yes -oControlMaster=no -oClearAllForwardings=yes -oLogLevel=ERROR \
             -S here -oControlMaster=auto -S none -l u h sh"
        );
        assert_eq!(line("rsh -S here"), "rsh -S here -l u h sh");
    }

    #[test]
    fn of_a_login_of_its_own_the_last_words_are_known() {
        let shell = RemoteShell::parse(b"sh -c 'echo one >&2; echo two >&2' --").unwrap();
        let (started, complaint) = shell.start_apart(&Target::parse(b"h").unwrap(), &[]).unwrap();
        assert!(started.process.wait(Duration::from_secs(60)).unwrap().success());
        assert_eq!(complaint.last_line(), "two");
    }

    #[test]
    fn who_reads_from_a_process_that_is_hung_up_comes_back() {
        // The shell ends, and what it has started keeps both streams until one of them ends.
        let shell = RemoteShell::parse(b"sh -c 'cat <&0 & echo; wait' --").unwrap();
        let started = shell.start(&Target::parse(b"h").unwrap(), &[]).unwrap();
        let Started { stdin, mut stdout, process } = started;
        assert_eq!(stdout.read(&mut [0; 2]).unwrap(), 1);
        process.hang_up();
        assert_eq!(stdout.read(&mut [0; 2]).unwrap(), 0);
        drop(stdin);
    }

    #[test]
    fn a_process_that_is_hung_up_ends() {
        let shell = RemoteShell::parse(b"sh -c 'read line' --").unwrap();
        let started = shell.start(&Target::parse(b"h").unwrap(), &[]).unwrap();
        assert!(started.process.ended().is_none());
        started.process.hang_up();
        let ended = started.process.wait(Duration::from_secs(60));
        assert!(ended.is_some_and(|status| !status.success()));
        started.process.hang_up();
    }
}
