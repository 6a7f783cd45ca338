//! Deletion after the transfer (rsync(1), `--delete-after` and `--delete-delay`).
//!
//! What is extraneous is noted when a directory is listed and not looked for again: by the end the
//! source may lack what was brought over, for `--remove-source-files` removes it. A directory with
//! such a note is put off, and with it all above it, until everything else is done.
//! Guarded by `pitfall_03_what_is_moved_away_is_not_extraneous_afterwards`.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use filter::Scope;
use model::settings::{DeleteLimit, DeleteWhen};
use model::{Cause, Inode, Kind, Verb};

use crate::finalize;
use crate::merge_files::rules_in_force;
use crate::node::Node;
use crate::order::{self, OrderedLog, SegmentId};
use crate::run::Run;
use crate::task::{Task, Worker};

/// A name that only the destination has.
pub(crate) struct Name {
    pub(crate) name: Box<[u8]>,
    /// As its listing says, if it does.
    pub(crate) kind: Option<Kind>,
}

/// A directory that waits for the end of the transfer.
pub(crate) struct PutOff {
    node: Arc<Node>,
    names: Vec<Name>,
    /// Where its deletions are told; the root's until its turn is known.
    segment: SegmentId,
    /// The receiver's rules where they are read after the transfer, or why they cannot be.
    late_rules: Option<Result<Scope, Cause>>,
}

/// Directories to delete in, one after the other.
pub(crate) struct Deletions {
    left: VecDeque<PutOff>,
}

impl Deletions {
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.left[0].node
    }
}

/// Notes what is to be deleted in a directory, which is finished after that.
pub(crate) fn put_off(node: &Arc<Node>, names: Vec<Name>) {
    if names.is_empty() {
        return;
    }
    node.put_off();
    let segment = OrderedLog::ROOT;
    let put_off = PutOff { node: Arc::clone(node), names, segment, late_rules: None };
    node.run.deletion.put_off.lock().push(put_off);
}

/// The deletions that were put off, in rsync's order. With a limit they go one after the other, so
/// that the same ones are left over whatever the number of workers. `rules` are the receiver's of the
/// command line.
pub(crate) fn take(run: &Run, rules: &Scope) -> Vec<Task> {
    let mut put_off = std::mem::take(&mut *run.deletion.put_off.lock());
    put_off.sort_by(|left, right| compare_directories(&left.node, &right.node));
    if run.settings.delete.when == DeleteWhen::After {
        let late_rules = rules_now(&put_off, rules);
        for (put_off, late_rules) in put_off.iter_mut().zip(late_rules) {
            put_off.late_rules = late_rules;
        }
    }
    let with_segment = |put_off| PutOff { segment: run.log.open(OrderedLog::ROOT), ..put_off };
    let all = put_off.into_iter().map(with_segment);
    let task = |left| Task::Delete(Box::new(Deletions { left }));
    match run.settings.delete.limit {
        DeleteLimit::Unlimited => all.map(|one| task(VecDeque::from([one]))).collect(),
        _ => Some(all.collect::<VecDeque<_>>())
            .filter(|left| !left.is_empty())
            .map(task)
            .into_iter()
            .collect(),
    }
}

/// The order in which rsync lists directories: each before what lies in it.
fn compare_directories(left: &Node, right: &Node) -> Ordering {
    let names = |node: &Node| -> Vec<Box<[u8]>> { node.path.components().map(Box::from).collect() };
    let (left, right) = (names(left), names(right));
    let differing = left.iter().zip(&right).find(|(left, right)| left != right);
    differing.map_or_else(
        || left.len().cmp(&right.len()),
        |(left, right)| {
            let directory = |bytes| order::Name { bytes, is_directory: true };
            directory(left).cmp(&directory(right))
        },
    )
}

/// Deletes in the first directory of a list; the rest goes on as a task of its own.
pub(crate) fn run(worker: &mut Worker<'_>, mut deletions: Deletions) {
    let Some(PutOff { node, names, segment, late_rules }) = deletions.left.pop_front() else {
        return;
    };
    let names = without_taken(&node, names);
    match late_rules.unwrap_or_else(|| Ok(node.target.scope.clone())) {
        Ok(rules) => super::extraneous(worker, &node, &names, segment, &rules),
        Err(cause) => {
            worker.scratch.totals.deletions_suppressed += names.len() as u64;
            let fault = node.target_fault(Verb::ReadFilterRules, b".", cause);
            worker.run.fault(&mut worker.scratch.totals, fault);
        }
    }
    settle(worker, node, segment);
    if !deletions.left.is_empty() {
        worker.spawn(Task::Delete(Box::new(deletions)));
    }
}

/// Leaves out what an entry was brought to under another name, where the file system takes the two for
/// one: it is not extraneous. Another link to it is not told apart from it and stays, too.
/// Test: `what_was_brought_to_a_name_in_another_case_is_not_deleted_afterwards`.
fn without_taken(node: &Node, mut names: Vec<Name>) -> Vec<Name> {
    let taken = node.taken_names();
    if !taken.is_empty()
        && let Ok(Some(dir)) = node.target_dir()
    {
        let inode = |name: &[u8]| dir.stat(name).ok().map(|there| there.inode());
        let taken: HashSet<Inode> = taken.iter().filter_map(|name| inode(name)).collect();
        names.retain(|it| inode(&it.name).is_none_or(|inode| !taken.contains(&inode)));
    }
    names
}

/// Settles directories in which nothing is deleted any more.
pub(crate) fn give_up(worker: &mut Worker<'_>, deletions: Deletions) {
    for PutOff { node, segment, .. } in deletions.left {
        settle(worker, node, segment);
    }
}

fn settle(worker: &mut Worker<'_>, node: Arc<Node>, segment: SegmentId) {
    worker.run.log.close(segment);
    finalize::settle(worker, node);
}

/// `--delete-after`: the receiver's rules of directories in rsync's order, by the merge files that the
/// transfer has brought (rsync(1)). All are read before the first deletion, which may be that of a merge
/// file. Not to be had where a directory on the way cannot be opened: its rules may protect what is to be
/// deleted.
/// Test: `rules_that_are_deleted_after_the_transfer_count_until_its_end`.
fn rules_now(put_off: &[PutOff], base: &Scope) -> Vec<Option<Result<Scope, Cause>>> {
    // Those of the directories on the way to the last one, uppermost first.
    let mut way: Vec<(&Node, Result<Scope, Cause>)> = Vec::new();
    let mut all = Vec::with_capacity(put_off.len());
    for PutOff { node, .. } in put_off {
        if !node.target.scope.needs_reading() {
            all.push(None);
            continue;
        }
        let up = std::iter::successors(Some(&**node), |node| node.parent.as_deref());
        let mut nodes: Vec<&Node> = up.collect();
        nodes.reverse();
        let both = way.iter().map(|(known, _)| *known).zip(&nodes);
        let known = both.take_while(|(known, node)| std::ptr::eq(*known, **node)).count();
        way.truncate(known);
        for node in &nodes[known..] {
            let above = way.last().map_or_else(|| Ok(base.clone()), |(_, rules)| rules.clone());
            way.push((node, above.and_then(|above| rules_below(node, above))));
        }
        all.push(way.last().map(|(_, rules)| rules.clone()));
    }
    all
}

/// The rules in a directory, given those above it.
fn rules_below(node: &Node, above: Scope) -> Result<Scope, Cause> {
    if !node.source.is_listed() {
        return Ok(above);
    }
    let dir = node.target_dir().map_err(|error| Cause::from(&error))?;
    rules_in_force(&above, &node.path, dir.as_ref())
        .map_err(|error| Cause::Refused(error.to_string().into()))
}
