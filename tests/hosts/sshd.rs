//! An ssh server of a test's own: a key, a configuration and a port of this host, and the client's
//! configuration for it, all in one folder that goes when the test ends.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is found on the other host: a cached agent would be there, and an installed one is not.
const PATH_THERE: &str = "/usr/bin:/bin";

/// A server that is asked for another port as often as somebody else was quicker.
const PORTS_TRIED: usize = 20;

/// A running server. Every login begins in `home`, as the user who runs the test.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    server: Child,
}

impl Sshd {
    /// Starts one, with further lines in its configuration.
    pub(crate) fn start(home: &Path, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["host_key", "user_key"] {
            make_key(&folder.path().join(name));
        }
        fs::copy(folder.path().join("user_key.pub"), folder.path().join("authorized")).unwrap();
        let (server, port) =
            (0..PORTS_TRIED).find_map(|_| listen(folder.path(), home, lines)).expect("a free port");
        let sshd = Self { folder, server };
        let key = fs::read_to_string(sshd.path("host_key.pub")).unwrap();
        fs::write(sshd.path("known_hosts"), format!("server {key}")).unwrap();
        sshd.set_port(port);
        sshd
    }

    /// A file of the server or the client.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The remote shell that reaches it, by whatever name of a host.
    pub(crate) fn shell(&self) -> String {
        format!("ssh -F {}", self.path("client").display())
    }

    /// Another port for the client, as that of somebody between.
    pub(crate) fn set_port(&self, port: u16) {
        let folder = self.folder.path().display();
        let user = rustix::process::getuid().as_raw();
        let user = Command::new("id").args(["-un", &user.to_string()]).output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let client = format!(
            "HostName 127.0.0.1\nPort {port}\nUser {user}\nHostKeyAlias server\n\
             IdentityFile {folder}/user_key\nIdentitiesOnly yes\n\
             UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile /dev/null\n\
             StrictHostKeyChecking yes\nBatchMode yes\nUpdateHostKeys no\n"
        );
        fs::write(self.path("client"), client).unwrap();
        fs::write(self.path("port"), port.to_string()).unwrap();
    }

    /// Where it is reached.
    pub(crate) fn port(&self) -> u16 {
        fs::read_to_string(self.path("port")).unwrap().parse().unwrap()
    }

    /// Somebody between the two, who can cut the connection.
    pub(crate) fn wire(&self) -> Wire {
        let wire = Wire::to(self.port());
        self.set_port(wire.port);
        wire
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen is there: install openssh-client");
    assert!(made.success());
}

/// Starts a server on a port that was free a moment ago; `None` if it is not any more.
fn listen(folder: &Path, home: &Path, lines: &str) -> Option<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = String::new();
    let shown = folder.display();
    let (home, path) = (home.display(), PATH_THERE);
    write!(
        config,
        "ListenAddress 127.0.0.1:{port}\nHostKey {shown}/host_key\n\
         AuthorizedKeysFile {shown}/authorized\nPidFile none\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         PrintMotd no\n{lines}\n\
         ForceCommand cd '{home}' && HOME=$PWD PATH={path} exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
    )
    .unwrap();
    fs::write(folder.join("server"), config).unwrap();
    // It insists on this folder, which a system that starts no servers may lack.
    fs::create_dir_all("/run/sshd").ok();
    let mut server = Command::new("/usr/sbin/sshd")
        .arg("-De")
        .arg("-f")
        .arg(folder.join("server"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sshd is there: install openssh-server");
    let mut said = BufReader::new(server.stderr.take().unwrap());
    let mut all = String::new();
    while said.read_line(&mut all).unwrap() > 0 {
        if all.contains("Server listening on") {
            // It goes on talking, and must not wait for a reader.
            thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return Some((server, port));
        }
    }
    server.wait().unwrap();
    assert!(all.contains("already in use"), "{all}");
    None
}

/// Passes on what two hosts say to each other until it is cut.
pub(crate) struct Wire {
    port: u16,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    flips: Arc<AtomicBool>,
}

impl Wire {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port_between = listener.local_addr().unwrap().port();
        let wire = Self { port: port_between, ends: Arc::default(), flips: Arc::default() };
        let (ends, flips) = (Arc::clone(&wire.ends), Arc::clone(&wire.flips));
        // It ends with the process: who waits for a connection cannot be told to stop.
        thread::spawn(move || {
            for near in listener.incoming().map(Result::unwrap) {
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let flips = Arc::clone(&flips);
                    pass_on(from.try_clone().unwrap(), to.try_clone().unwrap(), flips);
                }
                ends.lock().unwrap().extend([near, far]);
            }
        });
        wire
    }

    /// Whether nobody has connected again.
    pub(crate) fn is_cut(&self) -> bool {
        self.ends.lock().unwrap().is_empty()
    }

    /// Of what is said next a bit arrives as another.
    pub(crate) fn flip(&self) {
        self.flips.store(true, Ordering::SeqCst);
    }

    /// Both sides lose each other, until they connect again.
    pub(crate) fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            end.shutdown(Shutdown::Both).ok();
        }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, flips: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count) = from.read(&mut bytes)
            && count > 0
        {
            if flips.swap(false, Ordering::SeqCst) {
                bytes[count / 2] ^= 4;
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
    });
}

/// A command that the other host has in place of its own.
pub(crate) fn put_command(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    // A program of this name may still run, and cannot be written to.
    let new = folder.join(format!("{name}.new"));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&new, &path).unwrap();
}
