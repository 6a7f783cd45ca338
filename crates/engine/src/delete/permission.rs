//! What a run may delete, how much of it, and what of it waits.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::settings::DeleteLimit;
use model::{Cause, Fault, Inode, Metadata, Side};
use parking_lot::Mutex;

use super::later::PutOff;
use super::missing::Missing;

/// What all tasks of a run know of its deletions.
#[derive(Default)]
pub(crate) struct Permission {
    /// `--ignore-errors`.
    ignores_faults: bool,
    /// A directory or entry of the source could not be read.
    source_fault: AtomicBool,
    /// The first fault of the source that a pass met which leaves telling to the last pass.
    untold_fault: Mutex<Option<Fault>>,
    told_kept_back: AtomicBool,
    /// Deletions still permitted by `--max-delete`; [`u64::MAX`] without it.
    left: AtomicU64,
    /// Entries seen in destination directories, for `--max-delete=N%`.
    seen: AtomicU64,
    /// The source roots and all directories above them: what is removed must hold none of them.
    pub(crate) source_inodes: HashSet<Inode>,
    /// Destination entries of source arguments that do not exist (`--delete-missing-args`).
    pub(crate) missing: Missing,
    /// Directories in which something is deleted when all else is done.
    pub(crate) put_off: Mutex<Vec<PutOff>>,
}

impl Permission {
    pub(crate) fn new(ignores_faults: bool) -> Self {
        Self { ignores_faults, ..Self::default() }
    }

    /// How many deletions `--max-delete` permits in all passes of the run together. A percentage is
    /// of what a survey has seen.
    pub(crate) fn permit(&self, limit: DeleteLimit) {
        let left = match limit {
            DeleteLimit::Unlimited => u64::MAX,
            DeleteLimit::Entries(entries) => entries,
            DeleteLimit::Percent(percent) => {
                self.seen.load(Ordering::Relaxed) * u64::from(percent) / 100
            }
        };
        self.left.store(left, Ordering::Relaxed);
    }

    /// Takes one from what is permitted; false when none is left.
    pub(crate) fn take_one(&self) -> bool {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            if left == u64::MAX { Some(left) } else { left.checked_sub(1) }
        });
        taken.is_ok()
    }

    /// Gives one back: what was to be deleted could not be.
    pub(crate) fn give_back(&self) {
        let given = |left| if left == u64::MAX { None } else { Some(left + 1) };
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given).ok();
    }

    /// Counts entries of a destination directory.
    pub(crate) fn count_seen(&self, entries: u64) {
        self.seen.fetch_add(entries, Ordering::Relaxed);
    }

    /// Notes that part of the source could not be read: deletions are kept back from now on.
    pub(crate) fn note_source_fault(&self) {
        self.source_fault.store(true, Ordering::Relaxed);
    }

    /// Notes a fault, before it is told, if it leaves the source partly unread.
    pub(crate) fn note_fault(&self, fault: &Fault) {
        let changed = matches!(fault.cause, Cause::Vanished | Cause::ChangedDuringCopy);
        if fault.side == Side::Source && !changed {
            self.note_source_fault();
        }
    }

    /// True while nothing that is known of the source forbids deletions.
    pub(crate) fn is_permitted(&self) -> bool {
        self.ignores_faults || !self.source_fault.load(Ordering::Relaxed)
    }

    /// Keeps a fault that the pass that transfers will tell of, if it meets it, too.
    pub(crate) fn keep_untold(&self, fault: Fault) {
        self.untold_fault.lock().get_or_insert(fault);
    }

    /// What was kept.
    pub(crate) fn take_untold(&self) -> Option<Fault> {
        self.untold_fault.lock().take()
    }

    /// True for the first who asks whether it is still to be told that deletions are kept back.
    pub(crate) fn is_first_kept_back(&self) -> bool {
        !self.told_kept_back.swap(true, Ordering::Relaxed)
    }

    /// True of a source root and of what it lies in.
    pub(crate) fn holds_a_source(&self, existing: &Metadata) -> bool {
        self.source_inodes.contains(&existing.inode())
    }
}
