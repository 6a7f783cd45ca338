//! An entry that waits in a queue: what is known of it, without the directories that it lies in.
//!
//! So many may wait that their directories, held open, would be more than the process may open.
//! They are reached again through the node when the entry's turn has come.

use std::sync::Arc;

use model::{Fault, Metadata, Verb};

use crate::entries::Entry;
use crate::hard_links::{self, GroupId};
use crate::node::Node;
use crate::order::{OrderedLog, Place, SegmentId};
use crate::task::Worker;
use crate::{finalize, telling};

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

    /// The entry, with its directories. Where these cannot be reached any more that is told, and
    /// what is left is the node that it holds.
    pub(crate) fn resume(self, worker: &mut Worker<'_>) -> Result<Entry, Arc<Node>> {
        let (node, name) = (&self.node, &self.name);
        let source_dir = node
            .layer_dir(self.layer)
            .map_err(|error| node.source_fault(Verb::OpenDirectory, self.layer, name, &error));
        let target_dir =
            node.target_dir().map_err(|error| node.target_fault(Verb::OpenDirectory, name, &error));
        let (source_dir, target_dir) = match (source_dir, target_dir) {
            (Ok(source_dir), Ok(target_dir)) => (source_dir, target_dir),
            (Err(fault), _) | (_, Err(fault)) => return Err(self.fail(worker, fault)),
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
        })
    }

    fn fail(self, worker: &mut Worker<'_>, fault: Fault) -> Arc<Node> {
        worker.run.note_source(&fault);
        let Self { node, name, source, segment, group, .. } = self;
        telling::failed(worker, &node, &name, source, segment, fault);
        hard_links::leader_is_lost(worker, group);
        worker.run.log.close(segment, &*worker.run.sink);
        node
    }

    /// Settles an entry that is not begun.
    pub(crate) fn give_up(self, worker: &mut Worker<'_>) {
        telling::stopped(worker, &self.node, &self.name, self.source, self.segment);
        hard_links::leader_is_lost(worker, self.group);
        worker.run.log.close(self.segment, &*worker.run.sink);
        finalize::settle(worker, self.node);
    }
}
