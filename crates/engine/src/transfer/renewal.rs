//! A small file made of an old one by one exchange.
//!
//! All of the old file fits one signature, which goes to the source with the question for the new one:
//! so a file that has changed takes no more round trips than one that is new. What comes back is applied
//! as to any other range ([`Patching`]).

use delta::{Part, Update};

use crate::endpoint::{Operations, SignedWhole};
use crate::entries::Entry;
use crate::run::Run;
use crate::task::Worker;
use crate::transfer::old_file::OldFile;
use crate::transfer::patching::{self, Begun, Patching, Sides};
use crate::transfer::whole::{Moved, Problem};

/// Longer files are not renewed at once: what a worker waits for meanwhile is worth less than the room
/// that an answer may take.
const RENEWED_MOST_BYTES: u64 = 1 << 20;

/// An old file that is signed as a whole, and the new file that is made of it by one answer.
pub(crate) struct Renewal {
    patching: Patching,
    old_bytes: u64,
    pub(crate) signed: SignedWhole,
}

impl Renewal {
    /// Signs all of an old file, where both are short enough.
    pub(crate) fn begin(run: &Run, entry: &Entry, old: &OldFile) -> Option<Self> {
        let patching = Patching::new(run, entry, old.bytes, Update::Apart).ok()?;
        let plan = patching.plan();
        let is_short = plan.piece_count() == 1
            && plan.part_count() <= 1
            && entry.source.size <= RENEWED_MOST_BYTES;
        if !is_short {
            return None;
        }
        let signature = patching.signature_of(run, &old.file, 0).ok()?;
        let signed = SignedWhole::new(&signature, patching.secret()).ok()?;
        Some(Self { patching, old_bytes: old.bytes, signed })
    }

    /// Makes all of the new file by operations that came for it.
    pub(crate) fn make(
        &self,
        worker: &mut Worker<'_>,
        sides: &Sides<'_>,
        operations: Operations,
    ) -> Result<Moved, Problem> {
        // It may have another length than it was told to have.
        let range = 0..sides.job.entry.source.size;
        let (pieces, basis) = (0..1, 0..self.old_bytes);
        let part = Part { range: range.clone(), read: range, pieces, basis };
        let made = self.patching.finish(worker, sides, Begun::come(part, operations));
        worker.run.progress.end_of_work(self.patching.shown_bytes());
        made?;
        patching::set_length(sides, &self.patching)?;
        Ok(self.patching.moved())
    }
}
