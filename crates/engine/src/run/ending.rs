//! Whether a run ends before all is done, and why.

use std::io;

use model::Fault;
use parking_lot::Mutex;
use sched::Cancel;

/// Why a run ended before all was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing more can be written, or a root cannot be opened.
    Fatal(Fault),
    /// A later pass over the tree could not begin.
    Unprepared(Box<str>),
    /// The session with the host of the source ended.
    SourceLost(Box<str>),
    /// `--stop-at` or `--stop-after`.
    TimeIsUp,
    /// A task panicked: a bug of ours.
    Internal(Box<str>),
}

/// The end of a run, from outside or from inside.
pub(crate) struct Ending {
    /// Pulled by whoever ends the run; all that waits heeds it.
    pub(crate) token: Cancel,
    stop: Mutex<Option<Stop>>,
}

impl Ending {
    pub(super) fn new(token: Cancel) -> Self {
        Self { token, stop: Mutex::new(None) }
    }

    /// Ends the run: no new work is begun. The first reason stands.
    pub(crate) fn begin(&self, stop: Stop) {
        self.stop.lock().get_or_insert(stop);
        self.token.cancel();
    }

    /// True when no new work is to be begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why the run was ended, if it was from inside.
    pub(crate) fn reason(&self) -> Option<Stop> {
        self.stop.lock().clone()
    }

    /// True of an error by which something ended since the run is being stopped.
    pub(crate) fn explains(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Interrupted && self.has_begun()
    }

    /// Fails when the run is being stopped: for loops that only read. As in rsync, the rate is that
    /// of what is copied.
    pub(crate) fn go_on(&self) -> io::Result<()> {
        self.token.check().map_err(|_| io::ErrorKind::Interrupted.into())
    }
}
