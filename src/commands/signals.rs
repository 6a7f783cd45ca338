//! Signals that end a run.
//!
//! The first one asks for a decent end: what is in work is given up, staging files are removed, the
//! summary is printed. A second one ends the process at once. A hangup that was ignored when the process
//! was started stays ignored: that is how nohup(1) works. The others are heeded also where they were,
//! as in rsync: a script that starts a run with `&` has the shell ignore SIGINT for it, and may send
//! one. A closed pipe is no signal here but a write
//! error, since the runtime ignores SIGPIPE; so is a file that is longer than a limit lets it be.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit_code::Exit;

const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// What the kernel says of this process.
const STATUS: &str = "/proc/self/status";

/// Whether a signal has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    came: Arc<AtomicBool>,
}

impl Watch {
    /// Does something when the first signal comes.
    pub(super) fn start(&self, stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let status = fs::operator::read_file(Path::new(STATUS)).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let heeded = SIGNALS.into_iter().filter(|signal| is_heeded(*signal, &status));
        for signal in heeded.clone() {
            // In this order: the first signal finds the flag down, and raises it only then.
            let code = Exit::Interrupted.code();
            flag::register_conditional_shutdown(signal, code.into(), Arc::clone(&self.came))?;
            flag::register(signal, Arc::clone(&self.came))?;
        }
        // Who has a handler is not killed, and the write fails with EFBIG.
        flag::register(SIGXFSZ, Arc::default())?;
        // To stop takes a lock, which a signal handler must not: a thread waits for it.
        let mut signals = Signals::new(heeded)?;
        let wait = move || {
            if signals.forever().next().is_some() {
                stop();
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// True once a signal has come.
    pub(super) fn saw_one(&self) -> bool {
        self.came.load(Ordering::Acquire)
    }
}

/// Whether a signal ends the run, whatever the process was started with.
fn is_heeded(signal: i32, status: &str) -> bool {
    signal != SIGHUP || !is_ignored(signal, status)
}

/// Whether the mask of ignored signals, as proc(5) shows it, has this one.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGHUP, SIGINT};

    use super::is_heeded;

    #[test]
    fn only_a_hangup_stays_ignored() {
        let status = "Name:\tx\nSigIgn:\t0000000000000003\n";
        assert!(!is_heeded(SIGHUP, status));
        assert!(is_heeded(SIGHUP, "") && is_heeded(SIGINT, ""));
        assert!(is_heeded(SIGINT, status));
    }
}
