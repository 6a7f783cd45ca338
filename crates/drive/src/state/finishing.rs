//! What only the whole can do, after the last bucket.

use crate::journal::record::Step;

use super::event::Millis;

/// Whether what the source does not have is removed from the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deleting {
    /// No.
    #[default]
    No,
    /// Yes, unless something went wrong before.
    IfWhole,
    /// Yes, whatever went wrong before (rsync's `--ignore-errors`).
    Always,
}

/// How far that is.
#[derive(Clone, Debug, Default)]
pub(super) struct Finishing {
    done: Option<Step>,
    /// How often the step was tried, and failed.
    pub(super) tries: u16,
    /// It is not tried again before.
    pub(super) not_before: Millis,
}

impl Finishing {
    /// The step that is to be done, if any. Deletion sets the attributes of all directories, too: one of both
    /// is enough.
    pub(super) fn next(&self, directories: bool, deletes: bool) -> Option<Step> {
        let step = match (deletes, directories) {
            (true, _) => Step::Delete,
            (false, true) => Step::Directories,
            (false, false) => return None,
        };
        let is_done = self.done == Some(step) || self.done == Some(Step::Delete);
        (!is_done).then_some(step)
    }

    /// A step was done, or was tried often enough.
    pub(super) fn end(&mut self, step: Step) {
        *self = Self { done: Some(step), ..Self::default() };
    }

    /// A bucket is moved: what was done before it is not enough.
    pub(super) fn undo(&mut self) {
        *self = Self::default();
    }
}
