//! What the tests of bad days share: a scratch directory with mounts that go away again, trees to
//! copy, and a way to run the program, to disturb it, and to look at what it left.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use rustix::process::{Pid, Signal};

use crate::support::snapshot::{Also, Snapshot, Window};

/// The ordinary user of the tests.
pub(crate) const USER: u32 = 65534;

/// Whatever takes this long hangs; no run of these tests needs a tenth of it.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// A scratch directory of one test, removed at its end with all that was mounted in it.
pub(crate) struct Lab {
    root: PathBuf,
    mounts: RefCell<Vec<PathBuf>>,
    runs: Cell<usize>,
}

impl Lab {
    /// In memory where that is possible.
    pub(crate) fn new() -> Self {
        let shm = Path::new("/dev/shm");
        Self::below(if shm.is_dir() { shm } else { Path::new(env!("CARGO_TARGET_TMPDIR")) })
    }

    /// Below another directory.
    fn below(base: &Path) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests mount, change owners and become another user: run them as root"
        );
        let dir = tempfile::Builder::new().prefix("bad-days-").tempdir_in(base).unwrap();
        let root = dir.keep().canonicalize().unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let lab = Self { root, mounts: RefCell::default(), runs: Cell::new(0) };
        fs::create_dir(lab.path("home")).unwrap();
        fs::set_permissions(lab.path("home"), fs::Permissions::from_mode(0o777)).unwrap();
        lab
    }

    /// A path in the scratch directory.
    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Makes a directory with all above it.
    pub(crate) fn dir(&self, below: impl AsRef<Path>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes a file, with all directories above it.
    pub(crate) fn file(&self, below: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Mounts a file system that lives in memory.
    pub(crate) fn mount_tmpfs(&self, below: &str, options: &str) -> PathBuf {
        self.mount(below, &["-t", "tmpfs", "-o", options, "none"])
    }

    /// Mounts a file system of this kind from nothing.
    pub(crate) fn mount_plain(&self, below: &str, kind: &str) -> PathBuf {
        self.mount(below, &["-t", kind, "none"])
    }

    /// Shows a directory of the scratch directory in another place.
    pub(crate) fn mount_bind(&self, from: &str, below: &str) -> PathBuf {
        self.mount(below, &["--bind", self.path(from).to_str().unwrap()])
    }

    /// Makes an image with ext4 and mounts it.
    pub(crate) fn mount_ext4(&self, below: &str, mebibytes: u64, mkfs: &[&str]) -> PathBuf {
        let options = [&["-F"], mkfs].concat();
        self.mount_image(below, "ext4", mebibytes, &options)
    }

    /// Makes an image with a file system of this kind and mounts it.
    pub(crate) fn mount_image(
        &self,
        below: &str,
        kind: &str,
        mebibytes: u64,
        mkfs: &[&str],
    ) -> PathBuf {
        let image = self.path(format!("{below}.img"));
        fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        succeed(Command::new(format!("mkfs.{kind}")).arg("-q").args(mkfs).arg(&image));
        let mounted = self.mount(below, &["-o", "loop", image.to_str().unwrap()]);
        fs::remove_dir(mounted.join("lost+found")).ok();
        mounted
    }

    fn mount(&self, below: &str, words: &[&str]) -> PathBuf {
        let point = self.dir(below);
        succeed(Command::new("mount").args(words).arg(&point));
        self.mounts.borrow_mut().push(point.clone());
        point
    }

    /// The program under test, run in the scratch directory. `LANESYNC_UNDER_TEST` names another
    /// one: with a careless copier, the tests have to fail.
    pub(crate) fn lanesync(&self, words: &str) -> Run<'_> {
        let other = std::env::var_os("LANESYNC_UNDER_TEST");
        Run::new(self, other.unwrap_or(env!("CARGO_BIN_EXE_lanesync").into()), words)
    }

    /// The real rsync, run in the scratch directory.
    pub(crate) fn rsync(&self, words: &str) -> Run<'_> {
        Run::new(self, "rsync".into(), words)
    }

    /// Both trees are the same in all that a copy keeps, and rsync finds nothing to do.
    #[track_caller]
    pub(crate) fn assert_same(&self, source: &str, destination: &str) {
        self.assert_same_by("-aHAX", source, destination);
    }

    /// As `assert_same`, where not all can be kept.
    #[track_caller]
    pub(crate) fn assert_same_by(&self, rsync: &str, source: &str, destination: &str) {
        let now = SystemTime::now();
        let read = |root| Snapshot::read(&self.path(root), Window::since(now));
        let differences = read(source).diff(&read(destination), Also::default());
        assert!(differences.is_empty(), "{source} and {destination} differ: {differences:#?}");
        let words = format!("{rsync} -n -i --delete {source}/ {destination}/");
        let said = self.rsync(&words).go().expect(0).stdout;
        assert_eq!(said, "", "rsync {words} finds something to do");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for point in self.mounts.borrow().iter().rev() {
            Command::new("umount").arg("-l").arg(point).status().ok();
        }
        // Deeper than the standard library can go with the descriptors it has.
        Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(&self.root).status().ok();
    }
}

/// Runs a tool that the test needs.
pub(crate) fn succeed(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn as_user(words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).args(words);
    command
}

/// A run that is being put together.
pub(crate) struct Run<'a> {
    lab: &'a Lab,
    words: Vec<OsString>,
    is_user: bool,
    /// Of the shell.
    limit: String,
    stdout: Option<Stdio>,
}

impl<'a> Run<'a> {
    fn new(lab: &'a Lab, program: OsString, words: &str) -> Self {
        let words = std::iter::once(program).chain(words.split_whitespace().map(OsString::from));
        Self { lab, words: words.collect(), is_user: false, limit: ":".into(), stdout: None }
    }

    /// One more word, which may hold blanks.
    pub(crate) fn word(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().to_owned());
        self
    }

    /// As the ordinary user, who may not be able to reach where the program was built.
    pub(crate) fn user(mut self) -> Self {
        self.is_user = true;
        if self.words[0] != "rsync" {
            let copy = self.lab.path("lanesync");
            if !copy.exists() {
                fs::copy(&self.words[0], &copy).unwrap();
            }
            self.words[0] = copy.into();
        }
        self
    }

    /// With so few descriptors.
    pub(crate) fn open_files(mut self, limit: u32) -> Self {
        self.limit = format!("ulimit -n {limit}");
        self
    }

    /// With files no longer than this, which is rounded to 512 bytes.
    pub(crate) fn file_bytes(mut self, limit: u32) -> Self {
        self.limit = format!("ulimit -f {}", limit / 512);
        self
    }

    /// With its standard output going elsewhere.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let number = self.lab.runs.get();
        self.lab.runs.set(number + 1);
        let [out, err] = ["out", "err"].map(|kind| self.lab.path(format!("{kind}.{number}")));
        let mut command = if self.is_user { as_user(&["sh"]) } else { Command::new("sh") };
        command.arg("-c").arg(format!("umask 022; {}; exec \"$@\"", self.limit)).arg("sh");
        command.args(&self.words).current_dir(&self.lab.root);
        command.env("HOME", self.lab.path("home")).env_remove("XDG_CONFIG_HOME");
        command.env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null()).process_group(0);
        let stdout = self.stdout.unwrap_or_else(|| fs::File::create(&out).unwrap().into());
        command.stdout(stdout).stderr(fs::File::create(&err).unwrap());
        let shown = self.words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let child = command.spawn().unwrap();
        Running { child, out, err, shown, began: Instant::now() }
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn go(self) -> Done {
        self.start().wait()
    }
}

/// A run under way; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    shown: String,
    began: Instant,
}

impl Running {
    /// Sends a signal, which is no fault when the run is over already.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).ok();
    }

    /// Its number as a process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until something is so; fails when the run ends before.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        while !is_so() {
            let ended = self.child.try_wait().unwrap();
            let said = || fs::read_to_string(&self.err).unwrap_or_default();
            assert!(ended.is_none(), "{} ended ({ended:?}) before {what}: {}", self.shown, said());
            assert!(self.began.elapsed() < HANGS_AFTER, "{} hangs before {what}", self.shown);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Done {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(self.began.elapsed() < HANGS_AFTER, "{} hangs", self.shown);
            std::thread::sleep(Duration::from_millis(1));
        };
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        Done {
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or_default()),
            stdout: read(&self.out),
            stderr: read(&self.err),
            shown: std::mem::take(&mut self.shown),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A run that has ended.
pub(crate) struct Done {
    /// The exit code; a signal's number below zero.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    shown: String,
}

impl Done {
    /// It ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        self.expect_one_of(&[code])
    }

    /// It ended with one of these codes.
    #[track_caller]
    pub(crate) fn expect_one_of(self, codes: &[i32]) -> Self {
        assert!(codes.contains(&self.code), "expected exit {codes:?}, got {self}");
        self
    }

    /// It said on stderr in one line what happened: side, verb, path and cause, or what is asked.
    #[track_caller]
    pub(crate) fn complains(self, parts: &[&str]) -> Self {
        let says = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(self.stderr.lines().any(says), "no line of stderr has all of {parts:?}: {self}");
        self
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |text: &str| text.chars().take(3000).collect::<String>();
        let (out, err) = (short(&self.stdout), short(&self.stderr));
        write!(f, "exit {} of {}\nstdout:\n{out}\nstderr:\n{err}", self.code, self.shown)
    }
}

/// `len` bytes that tell which seed and which block they are of.
pub(crate) fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 4096);
    for block in 0..len.div_ceil(4096) {
        bytes.extend_from_slice(&format!("{seed:015x} {block:015x}\n").into_bytes().repeat(128));
    }
    bytes.truncate(len);
    bytes
}

/// Every path below a directory, parents first, links not followed; what goes meanwhile is left out.
pub(crate) fn paths(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            assert!(!dir.exists(), "{dir:?} cannot be listed");
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// Every path below a directory, relative to it.
pub(crate) fn names(root: &Path) -> BTreeSet<PathBuf> {
    paths(root).into_iter().map(|path| path.strip_prefix(root).unwrap().to_owned()).collect()
}

/// The content of every regular file below a directory.
pub(crate) fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = paths(root).into_iter().filter(|path| path.symlink_metadata().unwrap().is_file());
    files
        .map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

/// Gives everything below a directory, and itself, a time long ago that differs from name to name.
pub(crate) fn age(root: &Path) {
    age_by(root, 0);
}

/// As `age`, `seconds` later.
pub(crate) fn age_by(root: &Path, seconds: i64) {
    for path in paths(root).iter().rev().chain([&root.to_owned()]) {
        let sum = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
        let sum = sum.iter().fold(7_i64, |sum, byte| (sum * 31 + i64::from(*byte)) % 9_999_991);
        set_mtime(path, 1_500_000_000 + sum + seconds);
    }
}

/// Sets one time, of a link its own.
pub(crate) fn set_mtime(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 123_456_789 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Sets permissions.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Gives a tree to the ordinary user.
pub(crate) fn give_to_user(root: &Path) {
    for path in paths(root).iter().chain([&root.to_owned()]) {
        std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    }
}

/// A copy of a tree, exact in all that `cp -a` keeps.
pub(crate) fn duplicate(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-a").arg("--").arg(from).arg(to));
}

/// What tells whether an inode was touched in any way: number, change time, links, size, mode, owner.
pub(crate) fn fingerprint(path: &Path) -> String {
    let of = path.symlink_metadata().unwrap();
    let times = (of.ctime(), of.ctime_nsec(), of.mtime(), of.mtime_nsec());
    let owner = (of.uid(), of.gid());
    format!("{} {times:?} {} {} {:o} {owner:?}", of.ino(), of.nlink(), of.size(), of.mode())
}

/// Fingerprints of a directory and of everything below it.
pub(crate) fn fingerprints(root: &Path) -> BTreeMap<PathBuf, String> {
    let all = paths(root).into_iter().chain([root.to_owned()]);
    all.map(|path| (path.clone(), fingerprint(&path))).collect()
}

/// Every regular file at the destination is, whole, what was there before or what the source has,
/// and no name is there that neither of them has.
#[track_caller]
pub(crate) fn assert_whole(
    destination: &Path,
    before: &BTreeMap<PathBuf, Vec<u8>>,
    source: &BTreeMap<PathBuf, Vec<u8>>,
) {
    for (path, bytes) in contents(destination) {
        let known = [before.get(&path), source.get(&path)];
        assert!(known != [None, None], "{path:?} is left over at the destination");
        let is_whole = known.iter().flatten().any(|whole| **whole == bytes);
        assert!(is_whole, "{path:?} is torn: {} bytes, neither old nor new", bytes.len());
    }
}

/// A name from bytes.
pub(crate) fn name(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
