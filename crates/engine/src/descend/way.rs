//! A directory about to be entered: how it came to be picked, and how it is told of.

use std::sync::Arc;

use model::{Fault, Kind, Metadata, Verdict};

use crate::names::NameRef;
use crate::node::Node;
use crate::order::SegmentId;
use crate::scan;
use crate::selection::{InRoot, Pick, Reason};
use crate::task::{Found, Worker};
use crate::telling::Subject;

/// A directory about to be entered.
pub(crate) struct Way<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) found: &'a Found,
    pub(crate) entry: &'a NameRef,
    pub(crate) segment: SegmentId,
}

impl<'a> Way<'a> {
    pub(crate) fn name(&self) -> &'a [u8] {
        self.found.names.name(self.entry)
    }

    /// Its name at the destination.
    pub(super) fn target_name(&self) -> &'a [u8] {
        self.node.target.name_of(self.name())
    }

    pub(crate) fn pick(&self) -> Option<&'a Pick> {
        let picked = self.node.source.picked.as_deref()?;
        picked.names.get((self.entry.picked as usize).checked_sub(1)?)
    }

    /// Why a picked directory is here; `None` for one that a listing gave.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let pick = self.pick()?;
        match pick.roots.iter().map(|root| self.reason_in(pick, *root)).max() {
            // What a listing gives as well is brought over.
            Some(Reason::Path) if self.entry.is_listed => Some(Reason::Implied),
            // It has become one meanwhile.
            Some(Reason::NoDirectory) => Some(Reason::Named),
            reason => reason,
        }
    }

    /// Why it is here by one root: a named directory that a rule leaves out only leads on.
    fn reason_in(&self, pick: &Pick, in_root: InRoot) -> Reason {
        match in_root.reason {
            Reason::Named if self.is_hidden(pick, in_root) => {
                Reason::on_the_way(&self.node.run.settings.traverse)
            }
            reason => reason,
        }
    }

    /// True when a rule leaves the directory out where a root has it: then it only leads on.
    pub(crate) fn is_hidden(&self, pick: &Pick, in_root: InRoot) -> bool {
        scan::rule_hides_pick(self.node, pick, in_root, Some(Kind::Directory))
    }

    pub(crate) fn fail(&self, worker: &mut Worker<'_>, metadata: Metadata, fault: Fault) {
        self.subject(metadata).fail(worker, fault);
    }

    /// Counts the directory as failed by a fault that has been told.
    pub(super) fn fail_by(&self, worker: &mut Worker<'_>, metadata: Metadata, fault: &Fault) {
        self.subject(metadata).fail_by(worker, fault);
    }

    /// Counts the directory as left out by a setting.
    pub(crate) fn skip(
        &self,
        worker: &mut Worker<'_>,
        metadata: Metadata,
        reason: impl FnOnce() -> String,
    ) {
        self.subject(metadata).leave_out(worker, Verdict::Skipped, reason);
    }

    fn subject(&self, metadata: Metadata) -> Subject<'_> {
        Subject { node: self.node, name: self.name(), metadata, segment: self.segment }
    }

    pub(crate) fn path(&self) -> model::RelPath {
        self.node.path.child(self.name())
    }
}
