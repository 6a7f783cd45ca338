//! Another host for an image, and what it costs to bring it there: bytes on the wire, and processor time of
//! both ends.
//!
//! Both are one machine, since the time of both ends is to be had: processes that a login starts are nobody's
//! children here. So all that the machine does meanwhile is counted, and it has to be quiet.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::wan::Wan;

/// A login to this machine, by a network that nobody else uses.
pub(super) struct Far {
    wan: Wan,
    shell: String,
    host: &'static str,
    /// Where an `ssh` lies that knows the host, for tools that cannot be told of another.
    bin: PathBuf,
}

/// What a run has cost beyond what its own processes tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    /// Bytes of all packets, both ways.
    pub(super) wire_bytes: u64,
    /// Of all processes of the machine.
    pub(super) cpu: Duration,
}

impl Far {
    pub(super) fn new(work: &Path) -> Result<Self> {
        let wan = Wan::new(work, None)?;
        let (shell, host) = wan.shell_and_host()?;
        let bin = work.join("bin");
        fs::create_dir_all(&bin)?;
        let real = which("ssh").context("package openssh-client")?;
        let mut script = fs::File::options();
        let mut script =
            script.write(true).create(true).truncate(true).mode(0o755).open(bin.join("ssh"))?;
        let words = shell.strip_prefix("ssh").unwrap_or_default();
        writeln!(script, "#!/bin/sh\nexec {}{words} \"$@\"", real.display())?;
        Ok(Self { wan, shell, host, bin })
    }

    /// A line of words with the host and the way to it.
    pub(super) fn fill_in(&self, line: &str) -> String {
        line.replace("HOST", self.host)
    }

    /// The words that `SHELL` stands for are one.
    pub(super) fn shell(&self) -> &str {
        &self.shell
    }

    /// Runs something at the near end. `command` finds its `ssh` there.
    pub(super) fn run<T>(
        &self,
        command: &mut Command,
        act: impl FnOnce(&mut Command) -> Result<T>,
    ) -> Result<(T, Cost)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(dirs)?);
        let _entered = self.wan.enter()?;
        let before = (carried_bytes()?, busy()?);
        let done = act(command)?;
        let after = (carried_bytes()?, busy()?);
        Ok((done, Cost { wire_bytes: after.0 - before.0, cpu: after.1.saturating_sub(before.1) }))
    }
}

pub(in super::super) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Bytes that the loopback device of this thread's network has carried, by `proc_pid_net(5)`.
fn carried_bytes() -> Result<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let bytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    bytes.context("the loopback device is not in /proc/net/dev")
}

/// What all processors have worked, by `proc_stat(5)`.
fn busy() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().and_then(|line| line.strip_prefix("cpu "));
    let fields: Vec<u64> =
        line.unwrap_or_default().split_whitespace().flat_map(str::parse).collect();
    let [user, nice, system, _idle, _wait, irq, softirq, ..] = fields[..] else {
        anyhow::bail!("/proc/stat has an unknown form");
    };
    let ticks = user + nice + system + irq + softirq;
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_the_wire_and_what_it_costs_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let far = Far::new(dir.path()).unwrap();
        let mut command = Command::new("ssh");
        command.args(["far", "head -c 1000000 /dev/zero"]);
        let (output, cost) = far.run(&mut command, |it| Ok(it.output()?)).unwrap();
        assert_eq!(output.stdout.len(), 1_000_000);
        assert!((1_000_000..1_200_000).contains(&cost.wire_bytes), "{cost:?}");
    }
}
