//! Real rsyncs between two directories: on this host, by a remote shell, and by a daemon.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::mover::conformance::{Bench, Tree, promises};
use crate::rsync::options::Words;

/// Two directories, and the words to get from one to the other.
pub(super) struct Ends {
    pub(super) dir: TempDir,
    words: Vec<OsString>,
    /// Where at the destination the source is.
    there: PathBuf,
    /// It runs as long as they are there.
    daemon: Option<Daemon>,
}

impl Ends {
    /// `words` of a folder with `src` and `dst` in it, with the options.
    fn new(words: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["src", "dst"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let words = words(dir.path()).into_iter().map(OsString::from).collect();
        let there = dir.path().join("dst");
        Self { dir, words, there, daemon: None }
    }

    pub(super) fn local() -> Self {
        Self::new(|dir| {
            typed(&[], &format!("{}/src/", dir.display()), &format!("{}/dst", dir.display()))
        })
    }

    /// Without a slash, so that it comes under its name.
    fn named() -> Self {
        let ends = Self::new(|dir| {
            typed(&[], &format!("{}/src", dir.display()), &format!("{}/dst", dir.display()))
        });
        let there = ends.dir.path().join("dst/src");
        fs::create_dir(&there).unwrap();
        Self { there, ..ends }
    }

    /// With the path of which a part is kept.
    fn relative() -> Self {
        let ends = Self::new(|dir| {
            let (above, name) = (dir.parent().unwrap().display(), dir.file_name().unwrap());
            let source = format!("{above}/./{}/src", name.display());
            typed(&["-R"], &source, &format!("{}/dst", dir.display()))
        });
        let there =
            ends.dir.path().join("dst").join(ends.dir.path().file_name().unwrap()).join("src");
        fs::create_dir_all(&there).unwrap();
        Self { there, ..ends }
    }

    fn by_shell(source: &str, destination: &str) -> Self {
        Self::new(|dir| {
            let shell = dir.join("shell");
            fs::write(&shell, "#!/bin/sh\nshift\nexec /bin/sh -c \"$*\"\n").unwrap();
            fs::set_permissions(&shell, fs::Permissions::from_mode(0o700)).unwrap();
            let end = |host: &str, name: &str| format!("{host}{}/{name}", dir.display());
            let option = format!("--rsh={}", shell.display());
            typed(&[&option], &end(source, "src/"), &end(destination, "dst"))
        })
    }

    fn by_daemon(is_push: bool) -> Self {
        let mut ends = Self::new(|_| Vec::new());
        let daemon = Daemon::start(ends.dir.path());
        let far = |name: &str| format!("rsync://127.0.0.1:{}/{name}", daemon.port);
        let near = |name: &str| format!("{}/{name}", ends.dir.path().display());
        let words = if is_push {
            typed(&[], &near("src/"), &far("dst"))
        } else {
            typed(&[], &far("src/"), &near("dst"))
        };
        ends.words = words.into_iter().map(OsString::from).collect();
        ends.daemon = Some(daemon);
        ends
    }

    pub(super) fn job(&self, more: &[&str]) -> RsyncJob {
        let words = self.words.iter().cloned().chain(more.iter().map(OsString::from));
        let words = Words::read(words).unwrap();
        RsyncJob::new(vec!["rsync".into()], words, rustix::process::geteuid().is_root()).unwrap()
    }

    pub(super) fn source(&self) -> PathBuf {
        self.dir.path().join("src")
    }
}

fn typed(options: &[&str], source: &str, destination: &str) -> Vec<String> {
    let words = ["-a", "--delete"].iter().chain(options).chain([&source, &destination]);
    words.map(ToString::to_string).collect()
}

/// A daemon of rsync with the modules `src` and `dst`, until it is dropped.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    fn start(dir: &Path) -> Self {
        let config = dir.join("rsyncd.conf");
        let mut text = String::from("use chroot = no\nread only = no\n");
        if rustix::process::geteuid().is_root() {
            text.push_str("uid = 0\ngid = 0\n");
        }
        for name in ["src", "dst"] {
            writeln!(text, "[{name}]\npath = {}/{name}", dir.display()).unwrap();
        }
        fs::write(&config, text).unwrap();
        // Another process may take the port before the daemon does.
        for _ in 0..20 {
            let port = {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                listener.local_addr().unwrap().port()
            };
            let mut child = Command::new("rsync")
                .args(["--daemon", "--no-detach", "--address=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--config={}", config.display()))
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("rsync has to be installed: it is the reference");
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Self { child, port };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        panic!("no daemon of rsync could be started");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn at(root: &Path, path: &[u8]) -> PathBuf {
    root.join(Path::new(OsStr::from_bytes(path)))
}

fn put(root: &Path, path: &[u8], content: Option<&[u8]>) {
    let path = at(root, path);
    match content {
        Some(content) => {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        None => fs::create_dir_all(path).unwrap(),
    }
}

fn read(root: &Path, below: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let name = path.clone().into_os_string().into_vec();
        if entry.file_type().unwrap().is_dir() {
            tree.insert(name, None);
            read(root, &path, tree);
        } else {
            tree.insert(name, Some(fs::read(entry.path()).unwrap()));
        }
    }
}

impl Bench for Ends {
    fn put(&self, path: &[u8], content: Option<&[u8]>) {
        put(&self.source(), path, content);
    }

    fn remove(&self, path: &[u8]) {
        fs::remove_file(at(&self.source(), path)).unwrap();
    }

    fn put_there(&self, path: &[u8], content: &[u8]) {
        put(&self.there, path, Some(content));
    }

    fn there(&self) -> Tree {
        let mut tree = Tree::new();
        read(&self.there, Path::new(""), &mut tree);
        tree
    }

    fn mover(&self) -> Box<dyn Mover> {
        Box::new(RsyncMover::new(self.job(&[]), Path::new("/")))
    }
}

promises!(local, Ends::local());
promises!(named, Ends::named());
promises!(relative, Ends::relative());
promises!(pushed_by_shell, Ends::by_shell("", "far:"));
promises!(pulled_by_shell, Ends::by_shell("far:", ""));
promises!(pushed_to_a_daemon, Ends::by_daemon(true));
promises!(pulled_from_a_daemon, Ends::by_daemon(false));
