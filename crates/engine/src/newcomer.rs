//! An entry whose name was thought free and is not: somebody has put something there meanwhile, or the
//! file system takes the name for that of another entry, as where case does not count. It is brought
//! over anew in view of what is there, as by rsync, which looks at each name before it makes it.
//!
//! For that reason never twice: whoever took each name away and gave it back would keep the run busy.

use std::io;
use std::sync::Arc;

use model::{Inode, Verb};

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
    /// Something has its name: it is to be brought over anew.
    NameTaken,
    /// The file that has its name is being written in place for another name.
    InWork(Inode),
}

impl<P: Into<Problem>> From<P> for Unmade {
    fn from(problem: P) -> Self {
        Self::Problem(problem.into())
    }
}

impl Unmade {
    /// Why a name that should have been free could not be had.
    pub(crate) fn at_a_free_name(entry: &Entry, verb: Verb, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::AlreadyExists && !entry.is_anew {
            return Self::NameTaken;
        }
        Self::from(entry.target_fault(verb, error))
    }
}

/// Brings an entry over in view of what has its name now.
pub(crate) fn bring_anew(worker: &mut Worker<'_>, entry: Entry) {
    if entry.existing.is_none() {
        entry.node.note_taken(entry.target_name());
    }
    let dir = entry.target_dir.as_ref();
    match entries::look_at_target(&entry.node, dir, &entry.name, Presence::Unknown) {
        Ok(existing) => {
            let (content, reference) = (None, None);
            let (is_matched, is_anew) = (false, true);
            let entry = Entry { existing, content, is_matched, reference, is_anew, ..entry };
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
