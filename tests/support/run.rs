//! Runs a tool in a scratch directory with a time limit and keeps what it said.
//!
//! The reference is rsync. The tool under test is the binary of this package, or whatever command
//! `LANESYNC_UNDER_TEST` names: with `rsync` there must be no difference at all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::tree::is_root;

/// The ordinary user of the tests: `nobody`, with group 1234 among the others he may give away.
pub(crate) const USER: u32 = 65534;

/// No case takes longer than a second; a tool that waits for a fifo would wait forever.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// With whose rights a tool runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RunAs {
    /// Whoever runs the tests, which should be root.
    Caller,
    /// Uid and gid 65534.
    User,
}

impl RunAs {
    /// Uid and gid of who runs the tool.
    pub(crate) fn ids(self) -> (u32, u32) {
        match self {
            Self::User if is_root() => (USER, USER),
            _ => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        }
    }
}

/// A command with rsync's command line.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    words: Vec<OsString>,
}

impl Tool {
    /// A tool that is started by these words, before the options.
    pub(crate) fn new<W: AsRef<OsStr>>(words: &[W]) -> Self {
        Self { words: words.iter().map(|word| word.as_ref().to_owned()).collect() }
    }

    /// The real rsync (`RSYNC_REFERENCE`, else the one on the PATH).
    pub(crate) fn reference() -> Self {
        static FOUND: OnceLock<bool> = OnceLock::new();
        let program = std::env::var_os("RSYNC_REFERENCE").unwrap_or("rsync".into());
        let tool = Self::new(&[program]);
        let found = FOUND.get_or_init(|| {
            let answer = Command::new(&tool.words[0]).arg("--version").output();
            answer.is_ok_and(|answer| answer.stdout.starts_with(b"rsync  version 3."))
        });
        assert!(*found, "the reference `{}` is not rsync 3: install rsync", tool.shown());
        tool
    }

    /// The same tool, told more before the options.
    pub(crate) fn with(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(OsString::from));
        self
    }

    /// The tool that has to do as the reference does.
    pub(crate) fn under_test() -> Self {
        match std::env::var("LANESYNC_UNDER_TEST") {
            Ok(words) => Self::new(&words.split_whitespace().collect::<Vec<_>>()),
            Err(_) => Self::new(&[reachable_binary()]),
        }
    }

    /// The same where one side is on another host, which is this one.
    pub(crate) fn under_test_there() -> Self {
        if Self::is_another_under_test() {
            return Self::under_test();
        }
        let mut agent = OsString::from("--agent-path=");
        agent.push(reachable_binary());
        Self::new(&[reachable_binary().as_os_str(), &agent])
    }

    /// True when `LANESYNC_UNDER_TEST` names another tool, which knows rsync's options only.
    pub(crate) fn is_another_under_test() -> bool {
        std::env::var_os("LANESYNC_UNDER_TEST").is_some()
    }

    /// The words as a person would type them.
    pub(crate) fn shown(&self) -> String {
        self.words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// Our binary at a path that the ordinary user can reach too.
fn reachable_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_lanesync"));
        let mut probe = as_user("test");
        if !is_root() || probe.arg("-x").arg(built).status().is_ok_and(|status| status.success()) {
            return built.to_owned();
        }
        let copy = scratch_dir().keep().join("lanesync");
        fs::copy(built, &copy).unwrap();
        copy
    })
}

/// Where, as whom and with which surroundings a tool runs.
pub(crate) struct Setting<'a> {
    pub(crate) cwd: &'a Path,
    /// Where stdout and stderr are kept; outside of `cwd`, so that no snapshot sees them.
    pub(crate) logs: &'a Path,
    pub(crate) run_as: RunAs,
    pub(crate) umask: u32,
    pub(crate) env: &'a [(String, String)],
    /// Shell text that runs just before the tool, with mounts of its own; empty for most.
    pub(crate) before: &'a str,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finished {
    /// The exit code, or `signal N`, or that time ran out.
    pub(crate) exit: Exit,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    TimeLimit,
}

/// Runs `tool` with `args` to its end or to the time limit.
pub(crate) fn run(tool: &Tool, args: &[Vec<u8>], setting: &Setting<'_>) -> Finished {
    run_within(tool, args, setting, TIME_LIMIT)
}

/// As `run`, with a time limit of one's own.
pub(crate) fn run_within(
    tool: &Tool,
    args: &[Vec<u8>],
    setting: &Setting<'_>,
    limit: Duration,
) -> Finished {
    let (stdout, stderr) = (setting.logs.join("stdout"), setting.logs.join("stderr"));
    let mut command = match setting.run_as {
        RunAs::User if is_root() => as_user("sh"),
        _ if setting.before.is_empty() => Command::new("sh"),
        _ => in_own_mounts("sh"),
    };
    // The umask belongs to the process, and the tests run many at once: only the child may set it.
    let before = if setting.before.is_empty() { ":" } else { setting.before };
    let line = format!("umask {:03o}; {before} || exit 99; exec \"$@\"", setting.umask);
    command.arg("-c").arg(line).arg("sh");
    command.args(&tool.words).args(args.iter().map(|arg| OsStr::from_bytes(arg)));
    command.current_dir(setting.cwd).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", setting.cwd.join("home")).env("LC_ALL", "C").env("TZ", "UTC");
    command.envs(setting.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).process_group(0);
    command.stdout(fs::File::create(&stdout).unwrap());
    command.stderr(fs::File::create(&stderr).unwrap());
    let exit = wait(command.spawn().unwrap(), limit);
    Finished { exit, stdout: fs::read(stdout).unwrap(), stderr: fs::read(stderr).unwrap() }
}

fn wait(mut child: Child, limit: Duration) -> Exit {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let signal = || Exit::Signal(status.signal().unwrap_or_default());
            return status.code().map_or_else(signal, Exit::Code);
        }
        if start.elapsed() > limit {
            let group = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
            child.wait().unwrap();
            return Exit::TimeLimit;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(4));
    }
}

/// A command that runs as the ordinary user.
fn as_user(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--groups=65534,1234", "--", program]);
    command
}

/// A command whose mounts nobody else sees and which are gone when it ends.
fn in_own_mounts(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", program]);
    command
}

/// A directory of its own, in memory where that is possible, that every user can enter.
pub(crate) fn scratch_dir() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::Builder::new().prefix("parity-").tempdir_in(base).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}
