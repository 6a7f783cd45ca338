//! Hard links across the whole transfer (`-H`), whatever the number of workers.
//!
//! Members of a group (same device and inode at the source) are collected until all links that
//! the inode has were seen, or the scan is over. The first in rsync's order leads: its content is
//! brought over as any file's; the others are linked to it. So the result and the output do not
//! depend on which worker saw which member first.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use model::{ItemFlags, Kind, Verb, Verdict};
use parking_lot::Mutex;

use crate::backup;
use crate::delete;
use crate::entries::{self, Entry};
use crate::node::Node;
use crate::order::{OrderedLog, compare_paths};
use crate::run::Run;
use crate::task::{Cost, Task, Worker};
use crate::telling::Told;
use crate::{attributes, finalize};

/// Shards of the table, so that workers seldom wait for one another.
const SHARDS: usize = 16;

/// A group whose members are known; the first leads.
pub(crate) struct Group {
    members: Vec<Entry>,
}

impl Group {
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.members[0].node
    }
}

type Key = (u64, u64);

/// A member that waits for its leader.
struct Follower {
    entry: Entry,
    told: With,
}

/// Where a follower is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    /// Behind its leader.
    Leader,
    /// Where its name stands.
    ItsPlace,
}

/// Groups that are not complete, and followers whose leader is in work.
#[derive(Default)]
pub(crate) struct HardLinks {
    collecting: [Mutex<HashMap<Key, Vec<Entry>>>; SHARDS],
    following: Mutex<HashMap<Key, Vec<Follower>>>,
}

impl HardLinks {
    fn shard(&self, key: Key) -> &Mutex<HashMap<Key, Vec<Entry>>> {
        let at = usize::try_from(key.1 % SHARDS as u64).unwrap_or(0);
        &self.collecting[at]
    }

    /// Followers whose leader ended without a copy to link to: each group stands for itself.
    pub(crate) fn take_orphans(&self) -> Vec<Task> {
        let groups = std::mem::take(&mut *self.following.lock());
        let members = |group: Vec<Follower>| group.into_iter().map(|follower| follower.entry);
        groups.into_values().map(|group| task(members(group).collect())).collect()
    }

    /// The groups that the scan left incomplete: some of their links lie outside the transfer.
    pub(crate) fn take_incomplete(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for shard in &self.collecting {
            for (_, members) in shard.lock().drain() {
                tasks.push(task(members));
            }
        }
        tasks
    }
}

fn key(entry: &Entry) -> Key {
    (entry.source.dev, entry.source.ino)
}

/// Sorts members as rsync lists them.
fn sort(members: &mut [Entry]) {
    members.sort_by(|left, right| compare_paths(left.path().as_bytes(), right.path().as_bytes()));
}

fn task(mut members: Vec<Entry>) -> Task {
    sort(&mut members);
    Task::Links(Box::new(Group { members }))
}

/// Takes an entry with several links into its group.
pub(crate) fn register(worker: &mut Worker<'_>, mut entry: Entry) -> Cost {
    let run = worker.run;
    entry.node.hold();
    entry.segment = run.log.open(entry.segment);
    let (key, links) = (key(&entry), entry.source.nlink as usize);
    let complete = {
        let mut shard = run.links.shard(key).lock();
        let members = shard.entry(key).or_default();
        members.push(entry);
        let is_whole = members.len() >= links && !run.meets_entries_again;
        is_whole.then(|| shard.remove(&key)).flatten()
    };
    if let Some(members) = complete {
        worker.spawn(task(members));
    }
    Cost::Compare
}

/// Brings the leader of a group over; the others wait for it.
pub(crate) fn run(worker: &mut Worker<'_>, group: Group) {
    let mut members = leave_out_the_left_alone(worker, group.members);
    if members.is_empty() {
        return;
    }
    let leads = leader_of(worker, &members);
    let later = members.split_off(leads + 1);
    let Some(leader) = members.pop() else { return };
    // As in rsync: those before the leader waited for it and are told with it, the nearest first.
    let before = members.into_iter().rev().map(|entry| Follower { entry, told: With::Leader });
    let after = later.into_iter().map(|entry| Follower { entry, told: With::ItsPlace });
    let followers: Vec<Follower> = before.chain(after).collect();
    if !followers.is_empty() {
        // Where sources overlap, an inode has more names than links, and so more than one group.
        worker.run.links.following.lock().entry(key(&leader)).or_default().extend(followers);
    }
    let (node, segment) = (Arc::clone(&leader.node), leader.segment);
    entries::bring(worker, leader, None);
    node.run.log.close(segment, &*node.run.sink);
    finalize::settle(worker, node);
}

/// Members that a setting leaves alone have no copy to link to and take no part.
fn leave_out_the_left_alone(worker: &mut Worker<'_>, members: Vec<Entry>) -> Vec<Entry> {
    let (alone, members): (Vec<Entry>, Vec<Entry>) =
        members.into_iter().partition(|entry| entries::is_left_alone(worker.run, entry));
    for entry in alone {
        let (node, segment) = (Arc::clone(&entry.node), entry.segment);
        entries::bring(worker, entry, None);
        node.run.log.close(segment, &*node.run.sink);
        finalize::settle(worker, node);
    }
    members
}

/// Which member leads: the first that the destination has, else the last, as rsync transfers only
/// the last of a group that is new; what has no content is made at its first name.
fn leader_of(worker: &mut Worker<'_>, members: &[Entry]) -> usize {
    if members[0].source.kind != Kind::File {
        return 0;
    }
    let is_there = |entry: &Entry| entries::is_present(worker, entry);
    members.iter().position(is_there).unwrap_or(members.len() - 1)
}

/// Settles a group that is not begun.
pub(crate) fn give_up(worker: &mut Worker<'_>, group: Group) {
    for entry in group.members {
        entry.stop(worker);
        if entry.segment != OrderedLog::ROOT {
            entry.node.run.log.close(entry.segment, &*entry.node.run.sink);
        }
        finalize::settle(worker, entry.node);
    }
}

fn followers(run: &Run, leader: &Entry) -> Option<Vec<Follower>> {
    if !run.settings.links.hard_links || leader.source.nlink < 2 {
        return None;
    }
    run.links.following.lock().remove(&key(leader))
}

/// The leader is in place: the others are linked to it.
pub(crate) fn leader_is_there(worker: &mut Worker<'_>, leader: &Entry) {
    for Follower { mut entry, told } in followers(worker.run, leader).into_iter().flatten() {
        let (node, segment) = (Arc::clone(&entry.node), entry.segment);
        if told == With::Leader {
            entry.segment = leader.segment;
        }
        follow(worker, leader, entry);
        if segment != OrderedLog::ROOT {
            node.run.log.close(segment, &*node.run.sink);
        }
        finalize::settle(worker, node);
    }
}

/// The leader waits for the end of the run, and its followers with it: nothing else waits to be
/// told until then.
pub(crate) fn leader_is_put_aside(run: &Run, leader: &Entry) {
    if let Some(group) = run.links.following.lock().get_mut(&key(leader)) {
        for follower in group {
            run.log.close(follower.entry.segment, &*run.sink);
            follower.entry.segment = OrderedLog::ROOT;
            follower.told = With::Leader;
        }
    }
}

/// The leader could not be brought over: the next member leads.
pub(crate) fn leader_failed(worker: &mut Worker<'_>, leader: &Entry) {
    let Some(members) = followers(worker.run, leader) else { return };
    let mut members: Vec<Entry> = members.into_iter().map(|follower| follower.entry).collect();
    sort(&mut members);
    if worker.is_cancelled() {
        give_up(worker, Group { members });
    } else {
        worker.spawn(Task::Links(Box::new(Group { members })));
    }
}

fn follow(worker: &mut Worker<'_>, leader: &Entry, mut entry: Entry) {
    let run = worker.run;
    let already = match link_to(worker, leader, &mut entry) {
        Ok(Linked::Before) => true,
        Ok(Linked::Now) => false,
        Ok(Linked::Not) => return,
        Err(fault) => return entry.fail(worker, fault),
    };
    let mut flags = ItemFlags::LOCAL_CHANGE | ItemFlags::HARD_LINK;
    match entry.existing.filter(|existing| existing.kind == entry.source.kind) {
        Some(existing) => {
            flags |= entry.wanted(run).differences(&run.settings, &existing);
            if entry.source.kind == Kind::File {
                flags.set(ItemFlags::SIZE, existing.size != entry.source.size);
            }
            flags |= attributes::extra_differences(run, &entry).unwrap_or(ItemFlags::empty());
            if !already && !run.settings.preserve.mtimes.files {
                flags |= ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER;
            }
        }
        None => flags |= ItemFlags::NEW,
    }
    let verdict = match (already, entry.existing.is_some()) {
        (true, _) => Verdict::Equal,
        (false, true) => Verdict::Updated,
        (false, false) => Verdict::Copied,
    };
    let leader = (!already).then(|| leader.path().as_bytes().into());
    entry.conclude(worker, verdict, Told { flags, leader, written_bytes: 0 });
    remove_source(worker, &entry);
}

/// What came of linking a follower to its leader.
enum Linked {
    /// It was that already.
    Before,
    Now,
    /// Something is in the way and stays there, which has been told.
    Not,
}

/// Links a follower to its leader.
fn link_to(
    worker: &mut Worker<'_>,
    leader: &Entry,
    entry: &mut Entry,
) -> Result<Linked, model::Fault> {
    let run = worker.run;
    let (Some(from), Some(to)) = (&leader.target_dir, &entry.target_dir) else {
        return Ok(Linked::Now);
    };
    let (from_name, to_name) = (leader.target_name(), entry.target_name());
    let copy = match from.stat(from_name) {
        Ok(copy) => copy,
        Err(_) if run.settings.dry_run => return Ok(Linked::Now),
        Err(error) => return Err(leader.target_fault(Verb::LookAt, &error)),
    };
    let now = to.stat(to_name).ok();
    if now.is_some() {
        // What was given to the leader, this name may have got with it.
        entry.existing = run.stat(to, to_name).ok();
    }
    if now.is_some_and(|now| now.is_same_inode(&copy)) {
        return Ok(Linked::Before);
    }
    if run.settings.dry_run {
        return Ok(Linked::Now);
    }
    entry.node.touch();
    let (from, to) = (from.clone(), to.clone());
    if let Some(existing) = now {
        if existing.kind == Kind::Directory {
            if !delete::obstacle(worker, entry, &existing) {
                return Ok(Linked::Not);
            }
        } else if run.settings.backup.enabled {
            backup::keep(run, entry)?;
        }
    }
    let (from_name, to_name) = (leader.target_name(), entry.target_name());
    let linked = match from.hard_link(from_name, &to, to_name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::replace::replace_with(&to, to_name, |staging| {
                from.hard_link(from_name, &to, staging)
            })
        }
        result => result,
    };
    linked.map_err(|error| entry.target_fault(Verb::Link, &error))?;
    Ok(Linked::Now)
}

fn remove_source(worker: &mut Worker<'_>, entry: &Entry) {
    let settings = &worker.run.settings;
    if settings.write.remove_source_files
        && !settings.dry_run
        && let Err(error) = entry.source_dir.remove_file(&entry.name)
    {
        let fault = entry.source_fault(Verb::Remove, &error);
        worker.run.fault(&mut worker.scratch.totals, fault);
    }
}
