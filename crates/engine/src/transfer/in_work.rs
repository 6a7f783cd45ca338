//! Files that are being written in place. Two names may be one file at the destination, as links or where
//! case does not count: it is written for one of them at a time, or it would be torn.
//! Tests: `names_of_one_file_are_written_in_place_one_after_the_other`,
//! `of_big_files_that_are_one_there_either_arrives_whole_in_place`.

use std::collections::{HashMap, hash_map};

use model::Inode;
use parking_lot::Mutex;

use crate::entries::Entry;
use crate::parked::Parked;
use crate::task::{Task, Worker};

/// The files, each with the entries that wait for it.
#[derive(Default)]
pub(crate) struct InWork(Mutex<HashMap<Inode, Vec<Parked>>>);

impl InWork {
    /// Begins to write a file; false while it is written for another name.
    pub(super) fn begin(&self, inode: Inode) -> bool {
        match self.0.lock().entry(inode) {
            hash_map::Entry::Vacant(free) => {
                free.insert(Vec::new());
                true
            }
            hash_map::Entry::Occupied(_) => false,
        }
    }

    /// Lets an entry wait; gives it back where the file is free by now.
    fn wait(&self, inode: Inode, parked: Parked) -> Option<Parked> {
        match self.0.lock().get_mut(&inode) {
            Some(waiting) => {
                waiting.push(parked);
                None
            }
            None => Some(parked),
        }
    }

    fn end(&self, inode: Inode) -> Vec<Parked> {
        self.0.lock().remove(&inode).unwrap_or_default()
    }
}

/// Lets an entry wait until the file that it is to be written to is free.
pub(super) fn wait(worker: &mut Worker<'_>, mut entry: Entry, inode: Inode) {
    let run = worker.run;
    entry.node.hold();
    entry.segment = run.log.open(entry.segment);
    // It is looked for again when its turn has come.
    entry.content = None;
    if let Some(parked) = run.in_work.wait(inode, Parked::new(entry)) {
        worker.spawn(Task::BringAnew(Box::new(parked)));
    }
}

/// Ends the writing of a file: what waited for it goes on.
pub(super) fn end(worker: &mut Worker<'_>, inode: Inode) {
    for parked in worker.run.in_work.end(inode) {
        worker.spawn(Task::BringAnew(Box::new(parked)));
    }
}
