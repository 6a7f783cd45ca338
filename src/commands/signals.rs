//! Signals that end a run.
//!
//! The first one asks for a decent end: what is in work is given up, staging files are removed, the
//! summary is printed. A second one ends the process at once. A closed pipe is no signal here but
//! a write error, since the runtime ignores SIGPIPE.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sched::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::exit_code::Exit;

const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Whether a signal has come.
#[derive(Debug)]
pub(super) struct Watch {
    came: Arc<AtomicBool>,
}

impl Watch {
    /// Pulls `cancel` when the first signal comes.
    pub(super) fn start(cancel: Cancel) -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in SIGNALS {
            // In this order: the first signal finds the flag down, and raises it only then.
            let code = Exit::Interrupted.code();
            flag::register_conditional_shutdown(signal, code.into(), Arc::clone(&came))?;
            flag::register(signal, Arc::clone(&came))?;
        }
        // Cancelling takes a lock, which a signal handler must not: a thread waits for it.
        let mut signals = Signals::new(SIGNALS)?;
        let wait = move || {
            if signals.forever().next().is_some() {
                cancel.cancel();
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(Self { came })
    }

    /// True once a signal has come.
    pub(super) fn saw_one(&self) -> bool {
        self.came.load(Ordering::Acquire)
    }
}
