//! An entry that is brought over anew, in view of what has its name by then: the file has been written in
//! place for another of its names.

use std::sync::Arc;

use model::Inode;

use crate::entries::{self, Entry};
use crate::names::Presence;
use crate::parked::Parked;
use crate::task::Worker;
use crate::transfer::whole::Problem;
use crate::{finalize, hard_links};

/// Why an entry was not made.
#[derive(Debug)]
pub(crate) enum Unmade {
    /// That is how it ends.
    Problem(Problem),
    /// The file that has its name is being written in place for another name.
    InWork(Inode),
}

impl<P: Into<Problem>> From<P> for Unmade {
    fn from(problem: P) -> Self {
        Self::Problem(problem.into())
    }
}

/// Brings an entry over in view of what has its name now.
pub(crate) fn bring_anew(worker: &mut Worker<'_>, entry: Entry) {
    let dir = entry.target_dir.as_ref();
    match entries::look_at_target(&entry.node, dir, &entry.name, Presence::Unknown) {
        Ok(existing) => {
            let (content, reference) = (None, None);
            let entry = Entry { existing, content, is_matched: false, reference, ..entry };
            entries::bring(worker, entry, None);
        }
        Err(fault) => {
            entry.fail(worker, fault);
            hard_links::leader_failed(worker, &entry);
        }
    }
}

/// Does the same for an entry that waited.
pub(crate) fn run(worker: &mut Worker<'_>, parked: Parked) {
    match parked.resume(worker) {
        Ok(entry) => {
            let (node, segment) = (Arc::clone(&entry.node), entry.segment);
            bring_anew(worker, entry);
            node.run.log.close(segment);
            finalize::settle(worker, node);
        }
        Err(node) => finalize::settle(worker, node),
    }
}
