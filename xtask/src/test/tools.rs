//! The tools that the tests need: found, or installed, or named in an error.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Missing, Scope, cargo, must};

/// Commands and the Debian packages that they come in.
const PACKAGES: &[(&str, &str)] = &[
    ("rsync", "rsync"),
    ("fpart", "fpart"),
    ("rclone", "rclone"),
    ("fusermount3", "fuse3"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("losetup", "mount"),
    ("swapon", "mount"),
    ("mkswap", "util-linux"),
    ("partx", "util-linux"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("setfattr", "attr"),
    ("setfacl", "acl"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    ("python3", "python3"),
    ("openssl", "openssl"),
];

/// Commands of cargo that do not come with it, and the step that needs them.
const CARGO_COMMANDS: &[(&str, Scope)] = &[("nextest", Scope::Quick), ("deny", Scope::Everything)];

/// The oldest rsync that prints what ours is compared with.
const OLDEST_RSYNC: (u32, u32) = (3, 2);

/// Where commands for administration lie, which an ordinary user's PATH may lack.
const FURTHER_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Makes sure that all tools are there.
pub(super) fn provide(missing: Missing, scope: Scope) -> Result<()> {
    let packages = missing_packages();
    if packages.is_empty() {
        println!("all Debian packages are there");
    } else {
        println!("missing Debian packages: {}", joined(&packages));
        ensure!(missing == Missing::Install, "install them: apt-get install {}", joined(&packages));
        install(&packages)?;
        let still = missing_packages();
        ensure!(still.is_empty(), "still missing after apt-get: {}", joined(&still));
    }
    for (name, needed_in) in CARGO_COMMANDS {
        if scope == Scope::Everything || *needed_in == Scope::Quick {
            provide_cargo_command(name, missing)?;
        }
    }
    let may_become_root = is_root() || is_on_path("sudo");
    ensure!(
        may_become_root,
        "the tests mount and change owners: run them as root, or install sudo"
    );
    let fuse = Path::new("/dev/fuse");
    ensure!(
        fuse.exists(),
        "there is no /dev/fuse: load the module fuse, or give the container the device"
    );
    Ok(())
}

/// The PATH of children.
pub(super) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    dirs.extend(FURTHER_DIRS.map(PathBuf::from));
    env::join_paths(dirs).unwrap_or(path)
}

/// Arguments for nextest that make it run the tests as root.
pub(super) fn how_to_become_root() -> &'static [&'static str] {
    const THROUGH_SUDO: &str = "target.'cfg(unix)'.runner = ['sudo', '-E']";
    if is_root() { &[] } else { &["--config", THROUGH_SUDO] }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn missing_packages() -> BTreeSet<&'static str> {
    let is_there = |command: &str| match command {
        "rsync" => rsync_version().is_some_and(|version| version >= OLDEST_RSYNC),
        _ => is_on_path(command),
    };
    let missing = PACKAGES.iter().filter(|(command, _)| !is_there(command));
    missing.map(|(_, package)| *package).collect()
}

fn rsync_version() -> Option<(u32, u32)> {
    let answer = Command::new("rsync").arg("--version").output().ok()?;
    version_in(&String::from_utf8_lossy(&answer.stdout))
}

/// The first two numbers of rsync's version.
fn version_in(answer: &str) -> Option<(u32, u32)> {
    let version = answer.lines().next()?.split_once("version ")?.1;
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn joined(packages: &BTreeSet<&str>) -> String {
    packages.iter().copied().collect::<Vec<_>>().join(" ")
}

/// Installs packages as root, or through sudo.
fn install(packages: &BTreeSet<&str>) -> Result<()> {
    let by_hand = format!("install by hand: {}", joined(packages));
    let is_root = is_root();
    let apt = |args: &[&str]| {
        let mut command = Command::new(if is_root { "env" } else { "sudo" });
        let command = command.env("PATH", search_path());
        must(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(args))
    };
    if !is_on_path("apt-get") || !(is_root || is_on_path("sudo")) {
        bail!("neither apt-get as root nor through sudo; {by_hand}");
    }
    apt(&["update"]).with_context(|| by_hand.clone())?;
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(packages);
    apt(&args).context(by_hand)
}

fn is_on_path(command: &str) -> bool {
    env::split_paths(&search_path()).any(|dir| dir.join(command).is_file())
}

fn provide_cargo_command(name: &str, missing: Missing) -> Result<()> {
    let answers = cargo(&[name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if answers.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    println!("missing: {package}");
    ensure!(missing == Missing::Install, "install it: cargo install --locked {package}");
    must(&mut cargo(&["install", "--locked", &package]))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST_RSYNC, search_path, version_in};

    #[test]
    fn reads_the_version_of_rsync() {
        let answer = |version: &str| format!("rsync  version {version}  protocol version 32\nx");
        for (version, expected) in [("3.2.7", (3, 2)), ("3.10.0pre1", (3, 10)), ("3.5", (3, 5))] {
            assert_eq!(version_in(&answer(version)), Some(expected));
        }
        assert_eq!(version_in("no such thing"), None);
        assert!((3, 10) > OLDEST_RSYNC && (3, 1) < OLDEST_RSYNC);
    }

    #[test]
    fn finds_commands_for_administration() {
        assert!(std::env::split_paths(&search_path()).any(|dir| dir.ends_with("usr/sbin")));
    }
}
