//! What the tasks of a run share out among them: descriptors, bytes a second, and signatures that the
//! source keeps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sched::{Budget, Cancel, Cancelled, Permit, RateLimit};

use crate::descriptors::{self, Descriptors, FEW_LEVELS, MANY_LEVELS};
use crate::handle::OpenDirs;
use crate::run::Run;

/// Signatures that the source keeps for files that one worker makes of old ones, range by range: half
/// of what a responder keeps. Whoever holds some is at work, so those who wait for them get them.
const SIGNATURES: u64 = 512;

/// Files that many workers make of old ones at the same time: those that are in work together hold the
/// other half. They may wait in a queue meanwhile, so nobody waits for them.
const TURNS: usize = 8;

/// What tasks share out. Every wait here ends when the run does.
pub(crate) struct Budgets {
    rate: Arc<RateLimit>,
    /// Descriptors of the tasks at work.
    open_files: Budget,
    /// Directories that stay open between the tasks that work in them.
    pub(crate) open_dirs: OpenDirs,
    signatures: Budget,
    /// Turns that are taken.
    turns: AtomicUsize,
    token: Cancel,
}

/// The right to have many workers make a file of an old one.
pub(crate) struct PatchTurn(Arc<Run>);

impl PatchTurn {
    /// Takes a turn, if there is one.
    pub(crate) fn take(run: &Arc<Run>) -> Option<Self> {
        let next = |taken: usize| (taken < TURNS).then_some(taken + 1);
        run.budgets.turns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(Self(Arc::clone(run)))
    }
}

impl Drop for PatchTurn {
    fn drop(&mut self) {
        self.0.budgets.turns.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many levels of a tree that one task goes down into may stay open; those above are reached
/// again from below.
pub(crate) struct OpenLevels<'a> {
    pub(crate) count: usize,
    /// For those that are more than what each task may open.
    _permit: Option<Permit<'a>>,
}

impl Budgets {
    pub(super) fn new(rate: Arc<RateLimit>, descriptors: Descriptors, token: Cancel) -> Self {
        Self {
            rate,
            open_files: Budget::new(descriptors.tasks),
            open_dirs: OpenDirs::new(descriptors.dirs),
            signatures: Budget::new(SIGNATURES),
            turns: AtomicUsize::new(0),
            token,
        }
    }

    /// Waits until a task may open what it needs, so that many workers do not run into the limit
    /// of the process.
    pub(crate) fn open_files(&self) -> Result<Permit<'_>, Cancelled> {
        self.open_files.acquire(descriptors::PER_TASK, &self.token)
    }

    /// Waits until the source may keep so many signatures more.
    pub(crate) fn signatures(&self, count: u64) -> Result<Permit<'_>, Cancelled> {
        self.signatures.acquire(count, &self.token)
    }

    /// What files that are opened before their turn take from, if there is some left.
    pub(crate) fn descriptors_left(&self) -> &Budget {
        &self.open_files
    }

    /// Many levels where descriptors are left for them, else few: a task that waited for more than
    /// it has might wait for one that does the same.
    pub(crate) fn open_levels(&self) -> OpenLevels<'_> {
        let permit = self.open_files.try_acquire(MANY_LEVELS as u64);
        let count = if permit.is_some() { MANY_LEVELS } else { FEW_LEVELS };
        OpenLevels { count, _permit: permit }
    }

    /// How fast content may be copied.
    pub(super) fn rate(&self) -> &Arc<RateLimit> {
        &self.rate
    }

    /// Waits for as long as the rate limit asks; fails when the run is being stopped.
    pub(crate) fn wait_for_rate(&self, bytes: u64) -> io::Result<()> {
        self.rate.take(bytes, &self.token).map_err(|_| io::ErrorKind::Interrupted.into())
    }
}
