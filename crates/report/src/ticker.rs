//! A thread that calls back ten times a second until it is dropped.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Ten times a second: smooth for the eye, nothing for a processor.
const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread; `None` where the system has no thread to give: a run without progress is
    /// better than none.
    pub(crate) fn start(mut tick: impl FnMut() + Send + 'static) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let call = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        };
        let thread = thread::Builder::new().name("report".to_owned()).spawn(call).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the display was reported by its hook and ends nothing here.
            drop(thread.join());
        }
    }
}
