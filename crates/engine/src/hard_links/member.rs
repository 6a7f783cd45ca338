//! A name that has several links, and what becomes of it alone.

use std::io;
use std::sync::Arc;

use model::{Cause, Fault, Kind, Metadata, Verb};

use crate::entries::{self, Entry};
use crate::finalize;
use crate::names::Presence;
use crate::node::Node;
use crate::order::{OrderedLog, Place, SegmentId};
use crate::run::Run;
use crate::task::Worker;
use crate::telling::Subject;

/// A name that has several links. It holds its node.
pub(crate) struct Member {
    pub(crate) node: Arc<Node>,
    pub(crate) name: Box<[u8]>,
    pub(crate) segment: SegmentId,
    pub(crate) layer: u16,
    pub(crate) is_followed: bool,
    pub(crate) presence: Presence,
}

impl Member {
    pub(super) fn place(&self) -> Place {
        Place::new(&self.node.path, &self.name)
    }

    /// Looks at the source.
    pub(super) fn look(&self, run: &Run) -> io::Result<Metadata> {
        run.look_at_source(&self.node.layer_dir(self.layer)?, &self.name, self.is_followed)
    }

    /// What it means that the source cannot be looked at.
    pub(super) fn look_fault(&self, error: &io::Error) -> Fault {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => Cause::Vanished,
            _ => Cause::from(error),
        };
        self.node.source_fault(Verb::LookAt, self.layer, &self.name, cause)
    }

    /// Looks at the destination.
    pub(super) fn entry(&self, source: &Metadata) -> Result<Entry, Fault> {
        let (node, name) = (&self.node, &self.name);
        let source_dir = node
            .layer_dir(self.layer)
            .map_err(|error| node.source_fault(Verb::OpenDirectory, self.layer, name, &error))?;
        let target_dir = node
            .target_dir()
            .map_err(|error| node.target_fault(Verb::OpenDirectory, name, &error))?;
        let existing = entries::look_at_target(node, target_dir.as_ref(), name, self.presence)?;
        Ok(Entry {
            node: Arc::clone(node),
            source_dir,
            target_dir,
            layer: self.layer,
            name: name.clone(),
            is_followed: self.is_followed,
            source: *source,
            existing,
            content: None,
            is_matched: false,
            reference: None,
            segment: self.segment,
            group: None,
            is_anew: false,
        })
    }

    /// Brings it over as if it had no other links.
    pub(super) fn bring_alone(self, worker: &mut Worker<'_>, source: &Metadata) {
        match self.entry(source) {
            Ok(entry) => drop(entries::bring(worker, entry, None)),
            Err(fault) => self.tell_failed(worker, *source, fault),
        }
        self.settle(worker);
    }

    /// Tells why it was not brought over, and lets go of its node.
    pub(super) fn fail(self, worker: &mut Worker<'_>, source: Metadata, fault: Fault) {
        self.tell_failed(worker, source, fault);
        self.settle(worker);
    }

    /// Counts it as failed since the end of the run left it undone.
    pub(super) fn stop(&self, worker: &mut Worker<'_>) {
        self.subject(Metadata::unknown(Kind::File)).stop(worker);
    }

    pub(super) fn tell_failed(&self, worker: &mut Worker<'_>, source: Metadata, fault: Fault) {
        self.subject(source).fail(worker, fault);
    }

    fn subject(&self, metadata: Metadata) -> Subject<'_> {
        Subject { node: &self.node, name: &self.name, metadata, segment: self.segment }
    }

    /// Nothing more is told of it: lets go of its node.
    pub(super) fn settle(self, worker: &mut Worker<'_>) {
        if self.segment != OrderedLog::ROOT {
            worker.run.log.close(self.segment);
        }
        finalize::settle(worker, self.node);
    }
}
