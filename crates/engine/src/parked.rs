//! An entry that waits in a queue: what is known of it, without the directories that it lies in.
//!
//! So many may wait that their directories, held open, would be more than the process may open.
//! They are reached again through the node when the entry's turn has come.

use std::sync::Arc;

use model::{Fault, Metadata, Verb};

use crate::entries::Entry;
use crate::finalize;
use crate::hard_links::{self, GroupId};
use crate::node::Node;
use crate::order::{OrderedLog, Place, SegmentId};
use crate::task::Worker;
use crate::telling::Subject;

/// An entry that waits. It holds its node.
pub(crate) struct Parked {
    node: Arc<Node>,
    name: Box<[u8]>,
    source: Metadata,
    existing: Option<Box<Metadata>>,
    reference: Option<Box<Metadata>>,
    group: Option<GroupId>,
    segment: SegmentId,
    layer: u16,
    is_followed: bool,
    is_anew: bool,
}

impl Parked {
    /// Takes an entry whose content, where it is still to be read, is that of the source.
    pub(crate) fn new(entry: Entry) -> Self {
        debug_assert!(entry.content.is_none(), "content of a basis tree is copied at once");
        Self {
            node: entry.node,
            name: entry.name,
            source: entry.source,
            existing: entry.existing.map(Box::new),
            reference: entry.reference.map(Box::new),
            group: entry.group,
            segment: entry.segment,
            layer: entry.layer,
            is_followed: entry.is_followed,
            is_anew: entry.is_anew,
        }
    }

    /// What is kept of an entry whose content is read, until the tree has been gone through.
    pub(crate) fn to_the_end(entry: &Entry) -> Self {
        Self {
            node: Arc::clone(&entry.node),
            name: entry.name.clone(),
            source: entry.source,
            existing: entry.existing.map(Box::new),
            reference: entry.reference.map(Box::new),
            group: entry.group,
            segment: OrderedLog::ROOT,
            layer: entry.layer,
            is_followed: entry.is_followed,
            is_anew: entry.is_anew,
        }
    }

    /// Where it stands in the order of speech.
    pub(crate) fn place(&self) -> Place {
        Place::new(&self.node.path, &self.name)
    }

    /// Tells of it, from now on, behind all that was told before.
    pub(crate) fn speak_last(&mut self) {
        self.segment = self.node.run.log.open(OrderedLog::ROOT);
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The entry, with its directories. Where these cannot be reached any more it fails, and what is
    /// left is the node that it holds.
    pub(crate) fn resume(self, worker: &mut Worker<'_>) -> Result<Entry, Arc<Node>> {
        self.reach().map_err(|lost| {
            let Lost { parked, fault } = *lost;
            worker.run.deletion.note_fault(&fault);
            parked.subject().fail(worker, fault);
            parked.let_go(worker)
        })
    }

    /// As [`resume`](Self::resume), for one that has its verdict already.
    /// Test: `a_file_that_failed_and_cannot_be_put_into_place_counts_once`.
    pub(crate) fn resume_counted(self, worker: &mut Worker<'_>) -> Result<Entry, Arc<Node>> {
        self.reach().map_err(|lost| {
            worker.run.deletion.note_fault(&lost.fault);
            worker.run.fault(&mut worker.scratch.totals, lost.fault);
            lost.parked.let_go(worker)
        })
    }

    fn reach(self) -> Result<Entry, Box<Lost>> {
        let (node, name) = (&self.node, &self.name);
        let source_dir = node
            .layer_dir(self.layer)
            .map_err(|error| node.source_fault(Verb::OpenDirectory, self.layer, name, &error));
        let target_dir =
            node.target_dir().map_err(|error| node.target_fault(Verb::OpenDirectory, name, &error));
        let (source_dir, target_dir) = match (source_dir, target_dir) {
            (Ok(source_dir), Ok(target_dir)) => (source_dir, target_dir),
            (Err(fault), _) | (_, Err(fault)) => {
                return Err(Box::new(Lost { parked: self, fault }));
            }
        };
        Ok(Entry {
            node: self.node,
            source_dir,
            target_dir,
            layer: self.layer,
            name: self.name,
            is_followed: self.is_followed,
            source: self.source,
            existing: self.existing.map(|existing| *existing),
            content: None,
            is_matched: false,
            reference: self.reference.map(|reference| *reference),
            segment: self.segment,
            group: self.group,
            is_anew: self.is_anew,
        })
    }

    /// Settles an entry that is not begun.
    pub(crate) fn give_up(self, worker: &mut Worker<'_>) {
        self.subject().stop(worker);
        let node = self.let_go(worker);
        finalize::settle(worker, node);
    }

    fn subject(&self) -> Subject<'_> {
        let Self { node, name, source, segment, .. } = self;
        Subject { node, name, metadata: *source, segment: *segment }
    }

    /// Nothing more is told of it, and nobody is linked to it.
    fn let_go(self, worker: &mut Worker<'_>) -> Arc<Node> {
        hard_links::leader_is_lost(worker, self.group);
        worker.run.log.close(self.segment);
        self.node
    }
}

/// An entry whose directories cannot be reached any more.
struct Lost {
    parked: Parked,
    fault: Fault,
}
