//! Against a stand-in for ssh that runs the command on this machine, in a home of its own.

#![expect(clippy::disallowed_methods, reason = "another host is played by a folder")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

const REVISION: &str = "lanesync-wire 8";
const HASH: &str = "0123abcd";

/// Another host: a home, a folder of programs, and the shell that leads to it.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self::behind("")
    }

    /// A host whose login shell runs `greeting` first, in which `{root}` stands for where it lies.
    fn behind(greeting: &str) -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["home", "bin"] {
            fs::create_dir(host.path(folder)).unwrap();
        }
        let root = host.root.path().display();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -l ] && shift 2\nshift\nexport HOME='{root}/home'\n\
             unset XDG_CACHE_HOME\nexport PATH='{root}/bin:/usr/bin:/bin'\n{}\nexec sh -c \"exec $*\"\n",
            greeting.replace("{root}", &root.to_string())
        );
        write_program(&host.path("rsh"), &script);
        host
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Of one whose greeting has written its number to a file.
    fn wait_for_end_of_shell(&self) {
        let pid = fs::read_to_string(self.path("pid")).unwrap();
        let stat = Path::new("/proc").join(pid.trim()).join("stat");
        // A zombie is one that nobody has waited for.
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            thread::yield_now();
        }
    }

    fn cached(&self) -> PathBuf {
        self.path(&format!("home/.cache/lanesync/agent-{HASH}"))
    }

    fn start(&self, agent: &Agent) -> Result<(Lane, Process), BootstrapError> {
        let shell = RemoteShell::parse(self.path("rsh").to_str().unwrap().as_bytes()).unwrap();
        agent.start(&shell, &Target::parse(b"me@far").unwrap(), &|_| ())
    }

    /// Starts the agent and talks with it.
    fn greeting(&self, agent: &Agent) -> String {
        let (mut lane, process) = self.start(agent).unwrap();
        lane.writer.write_all(b"how are you?\n").unwrap();
        lane.writer.flush().unwrap();
        drop(lane.writer);
        let mut said = String::new();
        lane.reader.read_to_string(&mut said).unwrap();
        assert!(process.wait(TO_END).unwrap().success());
        said
    }

    fn refusal(&self, agent: &Agent) -> String {
        self.start(agent).unwrap_err().to_string()
    }
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Speaks as an agent does, and then says what it hears.
fn fake_agent(name: &str, revision: &str) -> String {
    format!(
        "#!/bin/sh\ncase \"$2\" in\n--revision) echo '{revision}';;\n--hash) echo {HASH};;\n\
         *) echo {name}; exec cat;;\nesac\n"
    )
}

fn system() -> String {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_str().unwrap().to_owned();
    format!("{} {}", text(uname.sysname()), text(uname.machine()))
}

fn agent() -> Agent {
    let bytes = fake_agent("sent", REVISION).into_bytes();
    Agent {
        path: None,
        revision: REVISION.to_owned(),
        program: Some(Program { bytes, hash: HASH.to_owned(), system: system() }),
        as_root: false,
        silence: None,
        start: None,
    }
}

#[test]
fn an_installed_agent_of_the_same_revision_is_run() {
    let host = Host::new();
    write_program(&host.path("bin/lanesync"), &fake_agent("installed", REVISION));
    assert_eq!(host.greeting(&agent()), "installed\nhow are you?\n");
    assert!(!host.cached().exists());
}

#[test]
fn else_the_program_is_sent_once_into_a_private_cache() {
    let host = Host::new();
    write_program(&host.path("bin/lanesync"), &fake_agent("old", "lanesync-wire 6"));
    assert_eq!(host.greeting(&agent()), "sent\nhow are you?\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(host.cached().parent().unwrap()), mode(&host.cached())), (0o700, 0o700));
    write_program(&host.cached(), &fake_agent("kept", REVISION));
    assert_eq!(host.greeting(&agent()), "kept\nhow are you?\n");
    let without = Agent { program: None, ..agent() };
    assert!(host.refusal(&without).contains("--no-upload"));
}

#[test]
fn a_broken_program_in_the_cache_is_sent_again() {
    let host = Host::new();
    host.greeting(&agent());
    write_program(&host.cached(), "#!/bin/sh\nexit 3\n");
    assert_eq!(host.greeting(&agent()), "sent\nhow are you?\n");
    let beside = fs::read_dir(host.cached().parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1, "nothing else is left in the cache");
}

#[test]
fn a_cache_that_is_a_link_or_a_program_that_is_one_is_not_trusted() {
    let host = Host::new();
    let evil = host.path("evil");
    fs::create_dir(&evil).unwrap();
    fs::create_dir(host.path("home/.cache")).unwrap();
    symlink(&evil, host.path("home/.cache/lanesync")).unwrap();
    write_program(&evil.join(format!("agent-{HASH}")), &fake_agent("evil", REVISION));
    assert!(host.refusal(&agent()).contains("is not a directory of this user"));

    let host = Host::new();
    host.greeting(&agent());
    write_program(&host.path("evil"), &fake_agent("evil", REVISION));
    fs::remove_file(host.cached()).unwrap();
    symlink(host.path("evil"), host.cached()).unwrap();
    assert_eq!(host.greeting(&agent()), "sent\nhow are you?\n");
}

/// Somebody who may write to the folder above the cache.
#[test]
fn what_takes_the_place_of_the_cache_after_the_look_does_not_run() {
    let host = Host::new();
    host.greeting(&agent());
    write_program(&host.cached(), &fake_agent("kept", REVISION));
    let evil = host.path("evil");
    fs::create_dir(&evil).unwrap();
    write_program(&evil.join(format!("agent-{HASH}")), &fake_agent("evil", REVISION));
    let swapped = format!(
        "#!/bin/sh\n/bin/ls \"$@\"\n[ -d '{evil}' ] || exit 0\ncd '{cache}' && mv lanesync was\n\
         mv '{evil}' lanesync\n",
        evil = evil.display(),
        cache = host.path("home/.cache").display()
    );
    write_program(&host.path("bin/ls"), &swapped);
    assert_eq!(host.greeting(&agent()), "kept\nhow are you?\n");
    assert!(!evil.exists(), "the cache was swapped");
}

#[test]
fn an_agent_of_the_cache_begins_where_the_login_does() {
    let host = Host::behind("cd \"$HOME\"");
    let mut agent = Agent { silence: Some(Duration::from_secs(3)), ..agent() };
    let says = "#!/bin/sh\ncase \"$2\" in\n--hash) echo HASH;;\n*) echo \"$@\"; exec cat;;\nesac\n";
    agent.program.as_mut().unwrap().bytes = says.replace("HASH", HASH).into_bytes();
    let home = host.path("home");
    let said = format!("agent --silence=3 --directory {}\nhow are you?\n", home.display());
    assert_eq!([host.greeting(&agent), host.greeting(&agent)], [said.clone(), said]);
}

#[test]
fn what_does_not_run_there_is_not_kept() {
    let host = Host::new();
    let mut other = agent();
    other.program.as_mut().unwrap().bytes = b"\x7fELF and no more".to_vec();
    assert!(host.refusal(&other).contains("does not run"));
    assert_eq!(fs::read_dir(host.path("home/.cache/lanesync")).unwrap().count(), 0);
    other.program.as_mut().unwrap().system = "Plan9 mips".to_owned();
    let refusal = host.refusal(&other);
    assert!(refusal.contains("runs on Plan9 mips, not on Linux"), "{refusal}");
}

#[test]
fn a_shell_that_talks_is_passed_over_and_one_that_does_not_stop_is_named() {
    let host = Host::behind("echo Welcome; echo; printf 'no line end'; echo");
    assert_eq!(host.greeting(&agent()), "sent\nhow are you?\n");
    let host = Host::behind("yes blah");
    let refusal = host.refusal(&agent());
    assert!(refusal.contains("more than 65536 bytes"), "{refusal}");
}

#[test]
fn a_shell_that_fails_is_told_with_its_last_words() {
    let host = Host::behind("echo 'This account is closed.'; exit 255");
    let refusal = host.refusal(&agent());
    assert!(refusal.contains("could not log in"), "{refusal}");
    assert!(refusal.contains("This account is closed."), "{refusal}");
    let nothing = RemoteShell::parse(b"/does/not/exist").unwrap();
    let error =
        agent().start(&nothing, &Target::parse(b"far").unwrap(), &|_| ()).unwrap_err().to_string();
    assert!(error.contains("/does/not/exist") && error.contains("RSYNC_RSH"), "{error}");
}

#[test]
fn a_named_agent_is_run_and_nothing_else() {
    let host = Host::new();
    write_program(&host.path("bin/mine"), &fake_agent("mine", "whatever"));
    let named = Agent { path: Some("mine".into()), ..agent() };
    assert_eq!(host.greeting(&named), "mine\nhow are you?\n");
    assert!(!host.path("home/.cache").exists());
}

#[test]
fn an_agent_is_told_how_long_to_wait_for_a_sign_of_life() {
    let host = Host::new();
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = --revision ] && exec echo '{REVISION}'\necho \"$*\"; exec cat\n"
    );
    write_program(&host.path("bin/lanesync"), &script);
    assert_eq!(host.greeting(&agent()), "agent\nhow are you?\n");
    let patient = Agent { silence: Some(Duration::from_secs(3)), ..agent() };
    assert_eq!(host.greeting(&patient), "agent --silence=3\nhow are you?\n");
    let named = Agent { path: Some("lanesync".into()), ..patient };
    assert_eq!(host.greeting(&named), "agent --silence=3\nhow are you?\n");
}

/// Hosts that log in, and then say nothing, do not read the program, or say nothing after that.
#[test]
fn an_agent_that_does_not_start_in_time_is_given_up() {
    let sends = "echo 'lanesync-bootstrap send '$(uname -s) $(uname -m)";
    let reads = "head -c 20000000 >/dev/null";
    let mut large = agent();
    large.program.as_mut().unwrap().bytes = vec![b'x'; 20_000_000];
    for says in ["", sends, &format!("{sends}; {reads}")] {
        for limit in ["start", "silence"] {
            let host = Host::behind(&format!("echo $$ >'{{root}}/pid'\n{says}\nexec sleep 1000"));
            let hasty = Some(Duration::from_millis(300));
            let (start, silence) = if limit == "start" { (hasty, None) } else { (None, hasty) };
            let error = host.start(&Agent { silence, start, ..large.clone() }).unwrap_err();
            assert!(matches!(error, BootstrapError::Late { .. }), "{says} {limit}: {error}");
            host.wait_for_end_of_shell();
        }
    }
}

#[test]
fn a_remote_shell_is_not_left_behind_after_an_error() {
    let host =
        Host::behind("echo $$ >'{root}/pid'; echo 'lanesync-bootstrap no room'; exec sleep 1000");
    assert!(host.refusal(&agent()).contains("room"));
    host.wait_for_end_of_shell();
}

#[test]
fn control_characters_of_the_other_side_reach_no_terminal() {
    let host = Host::behind("printf 'x\\033[2Jy\\n'; exit 255");
    let refusal = host.refusal(&agent());
    assert!(refusal.contains("x\\u{1b}[2Jy") && !refusal.contains('\x1b'), "{refusal}");
}

#[test]
fn hanging_up_ends_the_remote_shell() {
    let host = Host::new();
    let (mut lane, process) = host.start(&agent()).unwrap();
    lane.hangup.hang_up();
    let mut rest = Vec::new();
    lane.reader.read_to_end(&mut rest).unwrap();
    let began = Instant::now();
    assert!(process.wait(Duration::from_secs(60)).is_some(), "it runs on {:?}", began.elapsed());
}
