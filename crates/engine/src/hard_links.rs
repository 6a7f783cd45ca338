//! Hard links across the whole transfer (`-H`), whatever the number of workers.
//!
//! Members of a group (same device and inode at the source) are collected until all links that
//! the inode has were seen, or the scan is over. One of them leads: its content is brought over as
//! any file's; the others are linked to it. So the result and the output do not depend on which
//! worker saw which member first.
//!
//! A member that waits is a name in a directory and no more: the destination is looked at, and
//! directories are opened, when its turn has come.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::settings::BasisAction;
use model::{Fault, Inode, ItemFlags, Kind, Metadata, Verb, Verdict};
use parking_lot::Mutex;

use crate::attributes;
use crate::backup;
use crate::basis;
use crate::delete;
use crate::entries::{self, Entry, There};
use crate::names::Presence;
use crate::node::Node;
use crate::order::{OrderedLog, Place};
use crate::run::Run;
use crate::task::{Cost, Task, Worker};
use crate::telling::Told;
use crate::transfer::brought::{self, Brought};
use crate::transfer::whole::{self, Problem};
use collecting::Shard;

/// Members of groups that are not complete, kept small.
mod collecting;

/// A name that has several links.
mod member;

pub(crate) use member::Member;

/// Shards of the table, so that workers seldom wait for one another.
const SHARDS: usize = 16;

/// Groups that one task goes through before it hands on the rest.
const BATCH: usize = 16;

/// A group whose members are known, in the order of speech.
pub(crate) struct Group {
    members: Vec<Member>,
    inode: Inode,
    /// The metadata of all of them, once one was looked at.
    source: Option<Metadata>,
}

impl Group {
    fn new(inode: Inode, mut members: Vec<Member>, source: Option<Metadata>) -> Self {
        members.sort_by_cached_key(Member::place);
        Self { members, inode, source }
    }

    fn task(self) -> Task {
        Task::Links(Box::new(self))
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.members[0].node
    }
}

/// Names the followers of an entry that leads a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupId(NonZeroU64);

/// Members that wait for their leader.
struct Followers {
    members: Vec<Member>,
    /// How many, from the front, are told behind the leader; the others where their names stand.
    with_leader: usize,
    source: Metadata,
    /// The leader's content is sent, and does not come from a basis tree.
    wait_for_content: bool,
}

/// How far an entry that has its content got its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dressed {
    /// It has all of them.
    Wholly,
    /// One could not be set: its source, and those of its followers, stay.
    Partly,
}

/// Groups that are not complete, and followers whose leader is in work.
#[derive(Default)]
pub(crate) struct HardLinks {
    /// One entry of the source may be met several times: no count of links tells that a group is
    /// whole.
    pub(crate) meets_entries_again: bool,
    collecting: [Mutex<Shard>; SHARDS],
    following: Mutex<HashMap<GroupId, Followers>>,
    last_id: AtomicU64,
}

impl HardLinks {
    fn shard(&self, inode: Inode) -> &Mutex<Shard> {
        let at = usize::try_from(inode.ino % SHARDS as u64).unwrap_or(0);
        &self.collecting[at]
    }

    /// Followers whose leader ended without a copy to link to: each group stands for itself.
    pub(crate) fn take_orphans(&self) -> Vec<Task> {
        let groups = std::mem::take(&mut *self.following.lock());
        groups.into_values().map(|followers| followers.group().task()).collect()
    }

    /// True when no entry waits for another one.
    pub(crate) fn is_empty(&self) -> bool {
        self.following.lock().is_empty()
            && self.collecting.iter().all(|shard| shard.lock().is_empty())
    }

    /// The groups that the scan left incomplete, as a task that goes through them.
    pub(crate) fn take_incomplete(&self, run: &Arc<Run>) -> Option<Task> {
        let shards = self.collecting.iter().map(|shard| std::mem::take(&mut *shard.lock()));
        let shards: VecDeque<Shard> = shards.filter(|shard| !shard.is_empty()).collect();
        let run = Arc::clone(run);
        (!shards.is_empty()).then(|| Task::Incomplete(Box::new(Incomplete { run, shards })))
    }

    fn keep(&self, followers: Followers) -> Option<GroupId> {
        if followers.members.is_empty() {
            return None;
        }
        let id = NonZeroU64::new(self.last_id.fetch_add(1, Ordering::Relaxed) + 1).map(GroupId)?;
        self.following.lock().insert(id, followers);
        Some(id)
    }

    fn take(&self, id: Option<GroupId>) -> Option<Followers> {
        self.following.lock().remove(&id?)
    }
}

impl Followers {
    fn group(self) -> Group {
        Group::new(self.source.inode(), self.members, Some(self.source))
    }
}

/// True when an entry may have other names in the transfer.
pub(crate) fn has_others(run: &Run, source: &Metadata) -> bool {
    source.nlink > 1 && run.settings.links.hard_links && source.kind != Kind::Directory
}

/// Takes a name with several links into its group.
pub(crate) fn register(worker: &mut Worker<'_>, mut member: Member, source: &Metadata) -> Cost {
    let (run, links) = (worker.run, &worker.run.links);
    member.node.hold();
    member.segment = run.log.open(member.segment);
    let inode = source.inode();
    // A name that may be found on several ways counts once: such a group is complete with the scan.
    let wanted = if links.meets_entries_again { u32::MAX } else { source.nlink };
    let complete = links.shard(inode).lock().push(inode, member, wanted);
    if let Some(members) = complete {
        worker.spawn(Group::new(inode, members, Some(*source)).task());
    }
    Cost::Compare
}

/// Groups that are left when the scan is over.
pub(crate) struct Incomplete {
    run: Arc<Run>,
    shards: VecDeque<Shard>,
}

impl Incomplete {
    /// The next group. Shards take turns: names found one after the other are mostly those of
    /// neighbouring inodes, and told in nearly that order they need not wait.
    fn next(&mut self) -> Option<Group> {
        let mut shard = self.shards.pop_front()?;
        let (inode, members) = shard.take_one()?;
        if !shard.is_empty() {
            self.shards.push_back(shard);
        }
        Some(Group::new(inode, members, None))
    }

    pub(crate) fn run(&self) -> &Arc<Run> {
        &self.run
    }
}

/// Goes through some of the groups that are left, and hands on the others.
pub(crate) fn run_incomplete(worker: &mut Worker<'_>, mut left: Box<Incomplete>) {
    let groups: Vec<Group> = std::iter::from_fn(|| left.next()).take(BATCH).collect();
    if !left.shards.is_empty() {
        worker.spawn(Task::Incomplete(left));
    }
    for group in groups {
        run(worker, group);
    }
}

/// Settles groups that are not begun.
pub(crate) fn give_up_incomplete(worker: &mut Worker<'_>, mut left: Incomplete) {
    while let Some(group) = left.next() {
        give_up(worker, group);
    }
}

/// Brings the leader of a group over; the others wait for it.
pub(crate) fn run(worker: &mut Worker<'_>, mut group: Group) {
    let Some(source) = look_at_source(worker, &mut group) else { return };
    leave_out_the_left_alone(worker, &mut group.members, &source);
    let mut members = group.members;
    while !members.is_empty() {
        let mut before = members;
        members = before.split_off(leader_of(worker, &before, &source) + 1);
        let Some(leader) = before.pop() else { return };
        let mut entry = match leader.entry(&source) {
            Ok(entry) => entry,
            Err(fault) => {
                leader.fail(worker, source, fault);
                before.append(&mut members);
                members = before;
                continue;
            }
        };
        // As in rsync: those before the leader waited for it and are told with it, the nearest first.
        before.reverse();
        let with_leader = before.len();
        before.append(&mut members);
        before.shrink_to_fit();
        let followers = Followers { members: before, with_leader, source, wait_for_content: false };
        entry.group = worker.run.links.keep(followers);
        entries::bring(worker, entry, None);
        leader.settle(worker);
    }
}

/// The metadata that all members share. One whose name has become another file is brought over by
/// itself, one that cannot be looked at is told of.
fn look_at_source(worker: &mut Worker<'_>, group: &mut Group) -> Option<Metadata> {
    if group.source.is_some() {
        return group.source;
    }
    let mut members = std::mem::take(&mut group.members).into_iter();
    while let Some(member) = members.next() {
        match member.look(worker.run) {
            Ok(source) if source.inode() == group.inode => {
                group.members = std::iter::once(member).chain(members).collect();
                return Some(source);
            }
            Ok(source) => member.bring_alone(worker, &source),
            Err(error) => {
                let source = Metadata::unknown(Kind::File);
                let fault = member.look_fault(&error);
                worker.run.deletion.note_fault(&fault);
                member.fail(worker, source, fault);
            }
        }
    }
    None
}

/// Members that a setting leaves alone have no copy to link to and take no part.
fn leave_out_the_left_alone(worker: &mut Worker<'_>, members: &mut Vec<Member>, source: &Metadata) {
    if !entries::may_leave_alone(worker.run) {
        return;
    }
    for member in std::mem::take(members) {
        let entry = member.entry(source);
        if entry.is_ok_and(|entry| entries::is_left_alone(worker.run, &entry)) {
            member.bring_alone(worker, source);
        } else {
            members.push(member);
        }
    }
}

/// Which member leads: the first that the destination has, else the last, as rsync transfers only
/// the last of a group that is new; what has no content is made at its first name.
fn leader_of(worker: &mut Worker<'_>, members: &[Member], source: &Metadata) -> usize {
    if source.kind != Kind::File {
        return 0;
    }
    let has_basis = !worker.run.settings.basis.dirs.is_empty();
    let is_there = |member: &Member| {
        (member.presence != Presence::Absent || has_basis)
            && member.entry(source).is_ok_and(|entry| entries::is_present(worker, &entry))
    };
    members.iter().position(is_there).unwrap_or(members.len() - 1)
}

/// Settles a group that is not begun.
pub(crate) fn give_up(worker: &mut Worker<'_>, group: Group) {
    give_up_members(worker, group.members);
}

fn give_up_members(worker: &mut Worker<'_>, members: Vec<Member>) {
    for member in members {
        member.stop(worker);
        member.settle(worker);
    }
}

/// The leader is in place: the others are linked to it.
pub(crate) fn leader_is_there(worker: &mut Worker<'_>, leader: &Entry, dressed: Dressed) {
    let Some(followers) = worker.run.links.take(leader.group) else { return };
    if !leader.source.is_same_inode(&followers.source) {
        // Another file took its name while it was read: it is no link to the others.
        return go_on_without(worker, followers);
    }
    let Followers { members, with_leader, source, wait_for_content } = followers;
    let lead = Lead { entry: leader, dressed, is_sent: wait_for_content };
    let mut members = members.into_iter().enumerate();
    while !worker.is_cancelled()
        && let Some((at, member)) = members.next()
    {
        match member.entry(&source) {
            Ok(entry) if at < with_leader => {
                let entry = Entry { segment: leader.segment, ..entry };
                follow(worker, &lead, entry);
            }
            Ok(entry) => follow(worker, &lead, entry),
            Err(fault) => member.tell_failed(worker, source, fault),
        }
        member.settle(worker);
    }
    give_up_members(worker, members.map(|(_, member)| member).collect());
}

/// The leader's content is on its way.
pub(crate) fn leader_is_sent(run: &Run, leader: &Entry) {
    let Some(id) = leader.group else { return };
    if let Some(followers) = run.links.following.lock().get_mut(&id) {
        followers.wait_for_content = true;
    }
}

/// The leader waits for the end of the run, and its followers with it: nothing else waits to be
/// told until then.
pub(crate) fn leader_is_put_aside(run: &Run, leader: &Entry) {
    let Some(id) = leader.group else { return };
    if let Some(followers) = run.links.following.lock().get_mut(&id) {
        for member in &mut followers.members {
            run.log.close(member.segment);
            member.segment = OrderedLog::ROOT;
        }
        followers.with_leader = followers.members.len();
    }
}

/// The leader could not be brought over: the next member leads.
pub(crate) fn leader_failed(worker: &mut Worker<'_>, leader: &Entry) {
    leader_is_lost(worker, leader.group);
}

/// As [`leader_failed`], for one that waited and could not be looked at again.
pub(crate) fn leader_is_lost(worker: &mut Worker<'_>, id: Option<GroupId>) {
    if let Some(followers) = worker.run.links.take(id) {
        go_on_without(worker, followers);
    }
}

fn go_on_without(worker: &mut Worker<'_>, followers: Followers) {
    if worker.is_cancelled() {
        give_up_members(worker, followers.members);
    } else {
        worker.spawn(followers.group().task());
    }
}

/// What is told of each follower.
const LINKED: ItemFlags = ItemFlags::LOCAL_CHANGE.union(ItemFlags::HARD_LINK);

/// A leader that is in place.
struct Lead<'a> {
    entry: &'a Entry,
    dressed: Dressed,
    /// Its content was sent, and did not come from a basis tree.
    is_sent: bool,
}

impl Lead<'_> {
    /// True when a follower waited for it. rsync clears the place of such a one before it waits.
    fn is_behind(&self, follower: &Entry) -> bool {
        Place::new(&self.entry.node.path, &self.entry.name)
            > Place::new(&follower.node.path, &follower.name)
    }
}

fn follow(worker: &mut Worker<'_>, lead: &Lead<'_>, mut entry: Entry) {
    let linked = match link_to(worker, lead.entry, &mut entry) {
        Ok(Some(linked)) => linked,
        // What is in the way stays there, which has been told.
        Ok(None) => return,
        Err(Problem::Fault(fault)) => return entry.fail(worker, fault),
        Err(Problem::LeftAlone(why)) => return whole::leave_alone(worker, &entry, why),
        Err(Problem::Stopped | Problem::Changed) => return entry.stop(worker),
    };
    let flags = match differences(worker, lead, &entry, &linked) {
        Ok(flags) => flags,
        Err(fault) => return entry.fail(worker, fault),
    };
    let verdict = match (linked.already, entry.existing.is_some()) {
        (true, _) => Verdict::Equal,
        (false, true) => Verdict::Updated,
        (false, false) => Verdict::Copied,
    };
    let leader = (!linked.already).then(|| lead.entry.path().as_bytes().into());
    entry.conclude(worker, Told { leader, ..Told::new(verdict, flags) });
    if lead.dressed == Dressed::Wholly {
        let brought = Brought { source: lead.entry.source, copy: linked.copy };
        brought::remove_source(worker, &entry, &brought);
    }
}

/// The letters of a follower.
fn differences(
    worker: &mut Worker<'_>,
    lead: &Lead<'_>,
    entry: &Entry,
    linked: &Linked,
) -> Result<ItemFlags, Fault> {
    let run = worker.run;
    match entry.there() {
        Some(there)
            if there.metadata.kind == entry.source.kind
                || run.settings.dry_run
                || !lead.is_behind(entry) =>
        {
            changes(run, entry, there, linked)
        }
        None if run.settings.dry_run || !lead.is_sent => {
            match basis::of_follower(worker, entry, linked.copy.as_ref()) {
                Some(basis) => Ok(changes(run, entry, basis.there(), linked)? | basis_flags(run)),
                None => Ok(LINKED | ItemFlags::NEW),
            }
        }
        _ => Ok(LINKED | ItemFlags::NEW),
    }
}

/// With `--link-dest` a link to what a basis tree has under this name, too, is no news.
fn basis_flags(run: &Run) -> ItemFlags {
    match run.settings.basis.action {
        BasisAction::Link => ItemFlags::IN_BASIS,
        BasisAction::Copy | BasisAction::Omit => ItemFlags::empty(),
    }
}

/// The letters of a follower that replaces what is there.
fn changes(
    run: &Run,
    entry: &Entry,
    there: There<'_>,
    linked: &Linked,
) -> Result<ItemFlags, Fault> {
    let existing = there.metadata;
    let wanted = entry.wanted_in_place_of(run, Some(existing));
    let mut flags = LINKED | wanted.differences(&run.settings, existing);
    if !linked.already && !crate::wanted::keeps_mtime(&run.settings, entry.source.kind) {
        flags |= ItemFlags::MTIME;
        flags.set(ItemFlags::TIME_OF_TRANSFER, !run.settings.preserve.mtimes.files);
    }
    if entry.source.kind == Kind::File {
        flags.set(ItemFlags::SIZE, existing.size != entry.source.size);
    }
    flags |= attributes::extra_differences(run, entry, there)?;
    Ok(flags)
}

/// How a follower came to its leader.
struct Linked {
    /// It was linked to it before.
    already: bool,
    /// The inode that both have now, or would have after a dry run, if that is known.
    copy: Option<Metadata>,
}

impl Linked {
    fn pretended(leader: &Entry) -> Self {
        // As in rsync: of what is no file that is not known.
        let copy = leader.existing.filter(|existing| existing.kind == Kind::File);
        Self { already: false, copy }
    }
}

/// Links a follower to its leader; `None` where something is in the way and stays there, which has
/// been told.
fn link_to(
    worker: &mut Worker<'_>,
    leader: &Entry,
    entry: &mut Entry,
) -> Result<Option<Linked>, Problem> {
    let run = worker.run;
    let (Some(from), Some(to)) = (&leader.target_dir, &entry.target_dir) else {
        return Ok(Some(Linked::pretended(leader)));
    };
    let (from_name, to_name) = (leader.target_name(), entry.target_name());
    let copy = match from.stat(from_name) {
        Ok(copy) => Some(copy),
        Err(_) if run.settings.dry_run => None,
        Err(error) => return Err(leader.target_fault(Verb::LookAt, &error).into()),
    };
    let now = match to.stat(to_name) {
        Ok(now) => Some(now),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(entry.target_fault(Verb::LookAt, &error).into()),
    };
    let was_there = entry.existing.is_some();
    if now.is_some() {
        if !was_there {
            entry.node.note_taken(to_name);
        }
        // What was given to the leader, this name may have got with it.
        entry.existing = run.stat(to, to_name).ok();
    }
    if let (Some(now), Some(copy)) = (now, copy)
        && now.is_same_inode(&copy)
    {
        return Ok(Some(Linked { already: true, copy: Some(copy) }));
    }
    if let Some(newcomer) = entry.existing.filter(|_| !was_there)
        && let Some(why) = entries::leaves_newcomer(run, entry, &newcomer)
    {
        return Err(Problem::LeftAlone(why));
    }
    let (from, to) = (from.clone(), to.clone());
    let is_obstacle = now.is_some_and(|now| now.kind == Kind::Directory);
    if let Some(directory) = now.filter(|_| is_obstacle)
        && !delete::obstacle(worker, entry, &directory)
    {
        return Ok(None);
    }
    if run.settings.dry_run {
        return Ok(Some(Linked::pretended(leader)));
    }
    entry.node.target.touch();
    if now.is_some() && !is_obstacle && run.settings.backup.enabled {
        backup::keep(run, entry)?;
    }
    let (from_name, to_name) = (leader.target_name(), entry.target_name());
    let linked = match from.hard_link(from_name, &to, to_name) {
        // It appeared since it was looked for.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && now.is_none() => {
            return link_to(worker, leader, entry);
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::replace::replace_with(&to, to_name, |staging| {
                from.hard_link(from_name, &to, staging)
            })
        }
        result => result,
    };
    linked.map_err(|error| entry.target_fault(Verb::Link, &error))?;
    Ok(Some(Linked { already: false, copy }))
}
