//! Runs one command and says what it cost, children included.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use wait4::Wait4 as _;

/// What one run cost.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) wall: Duration,
    pub(crate) user: Duration,
    pub(crate) sys: Duration,
    /// Of the biggest single process.
    pub(crate) max_rss_bytes: u64,
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
}

/// Whether the user wants us to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From SIGINT or SIGTERM on.
    pub(crate) fn on_signals() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `command` with its output in `log`; ends it with all its children when it takes too long.
pub(crate) fn run(
    command: &mut Command,
    log: &Path,
    timeout: Duration,
    stop: &Stop,
) -> Result<Sample> {
    let output = File::create(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    let start = Instant::now();
    let mut child =
        command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
    let group = Pid::from_child(&child);
    let (finished, watch) = mpsc::channel::<()>();
    let (used, wall, late) = std::thread::scope(|scope| {
        let watchdog = scope.spawn(move || guard(group, &watch, timeout, stop));
        let used = child.wait4();
        let wall = start.elapsed();
        drop(finished);
        (used, wall, watchdog.join().expect("the watchdog does not panic"))
    });
    if stop.is_set() {
        bail!("stopped");
    }
    let used = used?;
    let failure = if late {
        Some(format!("took more than {} s", timeout.as_secs()))
    } else if used.status.success() {
        None
    } else {
        Some(format!("{}: {}", used.status, last_line(log)))
    };
    Ok(Sample {
        wall,
        user: used.rusage.utime,
        sys: used.rusage.stime,
        max_rss_bytes: used.rusage.maxrss,
        failure,
    })
}

/// The memory that a child seems to have taken at least: until it is another program it is us.
pub(crate) fn rss_floor_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Waits for the end of a run; whether it had to be brought about because of the time.
fn guard(group: Pid, finished: &mpsc::Receiver<()>, timeout: Duration, stop: &Stop) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        match finished.recv_timeout(Duration::from_millis(200)) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let late = Instant::now() > deadline;
        if late || stop.is_set() {
            let _best_effort = kill_process_group(group, Signal::KILL);
            return late;
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("said nothing");
    line.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_shell(script: &str, timeout: Duration) -> Sample {
        let dir = tempfile::tempdir().unwrap();
        let stop = Stop(Arc::default());
        let mut command = Command::new("sh");
        run(command.args(["-c", script]), &dir.path().join("log"), timeout, &stop).unwrap()
    }

    #[test]
    fn a_failure_quotes_the_last_line() {
        let sample = run_shell("echo one; echo two >&2; echo; exit 3", Duration::from_secs(60));
        assert_eq!(sample.failure.unwrap(), "exit status: 3: two");
        assert!(sample.max_rss_bytes > 0);
    }

    #[test]
    fn processor_time_of_grandchildren_counts() {
        let busy = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true";
        let sample = run_shell(busy, Duration::from_secs(60));
        assert!(sample.user > Duration::from_millis(20), "{sample:?}");
        assert_eq!(sample.failure, None);
    }

    #[test]
    fn a_run_that_hangs_is_ended_with_its_children() {
        let sample = run_shell("sleep 1000 & wait", Duration::from_millis(50));
        assert!(sample.failure.unwrap().contains("took more"));
        assert!(sample.wall < Duration::from_secs(10));
    }
}
