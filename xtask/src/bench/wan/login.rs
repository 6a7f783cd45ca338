//! A host to log in to: an sshd of its own, with keys made for it.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::kernel::Namespace;
use crate::bench::volume::must;

/// Where sshd drops what it may do; Debian makes it when the machine starts.
const PRIVSEP_DIR: &str = "/run/sshd";

/// What the host is called in the configuration of ssh.
pub(super) const HOST: &str = "far";

/// A host that root may log in to by one key. It is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Login {
    server: Child,
    dir: PathBuf,
    has_made_privsep_dir: bool,
}

impl Login {
    /// Makes the keys in a directory of its own below `work`, and starts the server on `far`.
    pub(super) fn start(work: &Path, address: IpAddr, far: &Namespace) -> Result<Self> {
        let dir = work.join("login");
        fs::create_dir_all(&dir)?;
        for key in ["host_key", "user_key"] {
            let _absent = fs::remove_file(dir.join(key));
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "lanesync-bench", "-f"]);
            must(keygen.arg(dir.join(key))).context("package openssh-client")?;
        }
        write_configuration(&dir, address)?;
        let has_made_privsep_dir = fs::create_dir(PRIVSEP_DIR).is_ok();
        let server = {
            let _entered = far.enter()?;
            Command::new("/usr/sbin/sshd")
                .arg("-D")
                .arg("-f")
                .arg(dir.join("sshd_config"))
                .arg("-E")
                .arg(dir.join("log"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(dir.join("errors"))?)
                .spawn()
                .context("start sshd (package openssh-server)")?
        };
        Ok(Self { server, dir, has_made_privsep_dir })
    }

    /// The remote shell by which the host is reached, as it is given to `-e`.
    pub(super) fn shell(&self) -> Result<String> {
        let config = self.dir.join("ssh_config");
        let config = config.to_str().filter(|path| !path.contains([' ', '\'', '"']));
        Ok(format!("ssh -F {}", config.context("--work has a space or a quote in its name")?))
    }

    /// Logs in once, from where this thread is.
    pub(super) fn prove(&mut self, address: IpAddr) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect_timeout(&SocketAddr::new(address, 22), PATIENCE).is_err() {
            if self.server.try_wait()?.is_some() || Instant::now() > until {
                bail!("sshd does not listen: {}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut ssh = Command::new("ssh");
        must(ssh.arg("-F").arg(self.dir.join("ssh_config")).args([HOST, "true"]))
            .with_context(|| format!("log in; sshd says: {}", self.last_words()))
    }

    fn last_words(&self) -> String {
        let read = |name| fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        let words = read("log") + &read("errors");
        words.lines().last().unwrap_or("nothing").to_owned()
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _best_effort = kill_process(Pid::from_child(&self.server), Signal::TERM);
        let _best_effort = self.server.wait();
        let _best_effort = fs::remove_dir_all(&self.dir);
        if self.has_made_privsep_dir {
            let _best_effort = fs::remove_dir(PRIVSEP_DIR);
        }
    }
}

fn write_configuration(dir: &Path, address: IpAddr) -> Result<()> {
    let at = dir.display();
    let key = fs::read_to_string(dir.join("host_key.pub"))?;
    fs::write(dir.join("known_hosts"), format!("{HOST} {key}"))?;
    let server = format!(
        "ListenAddress {address}\n\
         HostKey {at}/host_key\n\
         AuthorizedKeysFile {at}/user_key.pub\n\
         PidFile none\n\
         StrictModes no\n\
         UsePAM no\n\
         UseDNS no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         MaxStartups 100\n"
    );
    fs::write(dir.join("sshd_config"), server)?;
    let client = format!(
        "Host {HOST}\n\
         HostName {address}\n\
         HostKeyAlias {HOST}\n\
         User root\n\
         IdentityFile {at}/user_key\n\
         IdentitiesOnly yes\n\
         UserKnownHostsFile {at}/known_hosts\n\
         GlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking yes\n\
         BatchMode yes\n\
         ConnectTimeout 20\n"
    );
    Ok(fs::write(dir.join("ssh_config"), client)?)
}
