//! Directories: each is compared, made where it is missing, entered, and its line prepared.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fs::xattr::Node as Carrier;
use fs::{AccessTime, Dir};
use model::settings::{DeleteWhen, OneFileSystem, Perms};
use model::{Cause, Fault, ItemFlags, Kind, Metadata, Topic, Verb};

use self::way::Way;
use crate::attributes::{self, AsksForExtra, Extra, ExtraChange};
use crate::endpoint::{Directory, SourceDir};
use crate::layers::{can_read_attributes, leave_existing, open_layers, tell_unknown_pretence};
use crate::merge_files::{rules_in_force, rules_of};
use crate::names::Presence;
use crate::node::{
    Before, Content, Finish, Ground, Handle, Layer, Node, Origin, SourceSide, Target, TargetSide,
    ThroughLink, is_listed,
};
use crate::run::Run;
use crate::selection::Reason;
use crate::selection::foresight::foresee_in;
use crate::task::{Found, Position, Task, Worker};
use crate::telling::Subject;
use crate::wanted::Wanted;
use crate::{basis, delete, finalize, inheritance, scan};

/// A directory about to be entered.
pub(crate) mod way;

/// Why `-xx` leaves a directory out.
pub(crate) const IS_ANOTHER_FILE_SYSTEM: &str = "another file system is mounted there";

/// Why `--existing` leaves out what is in a directory that is not there.
pub(crate) const IS_IN_NO_DIRECTORY: &str = "it lies in a directory that is not created";

/// Why nothing takes the place of what stands where a directory should.
const IS_ON_THE_WAY: &str = "it is no directory, and --no-implied-dirs leaves it as it is";

/// Goes down into the next directory of a list.
pub(crate) fn run(worker: &mut Worker<'_>, position: Position) {
    let Position { node, found, next, segment } = position;
    let run = Arc::clone(&node.run);
    let directories = found.names.directories();
    let own = run.log.open(segment);
    if next + 1 < directories.len() {
        begin_some(&node, &found, next + 1);
        node.hold();
        run.progress.begin_scan();
        run.progress.begin_listing();
        let (node, found) = (Arc::clone(&node), Arc::clone(&found));
        worker.spawn(Task::Directories(Position { node, found, next: next + 1, segment }));
    } else {
        run.log.close(segment);
    }
    let way = Way { node: &node, found: &found, entry: &directories[next], segment: own };
    if let Some(child) = enter(worker, &way) {
        child.lend_directories();
        // The child holds the parent until it is finished.
        scan::expand(worker, Arc::new(child));
    } else {
        run.progress.end_listing();
        run.log.close(own);
        finalize::settle(worker, node);
    }
    run.progress.end_scan();
}

/// Has the source begin with the directories from this one on, where it lies far away: with as many as it
/// has room for.
pub(crate) fn begin_some(node: &Node, found: &Found, next: usize) {
    let directories = found.names.directories();
    let mut begun = found.begun.load(Ordering::Relaxed).max(next);
    while let Some(entry) = directories.get(begun) {
        // What a link leads to is known when it is its turn.
        if !entry.is_followed {
            let Some(dir) = node.source.layer(entry.layer).handle.if_open() else { break };
            let name = found.names.name(entry);
            let has_begun = match node.source.picked_alone_in(entry) {
                Some(picked) => foresee_in(&dir, name, picked),
                None => dir.begin_child(name, node.run.access_time()),
            };
            if !has_begun {
                break;
            }
        }
        begun += 1;
    }
    found.begun.fetch_max(begun, Ordering::Relaxed);
}

/// Looks at a directory on both sides and makes the node of it; `None` when it is not entered.
fn enter(worker: &mut Worker<'_>, way: &Way<'_>) -> Option<Node> {
    let run = worker.run;
    let source = match look_at_source(way) {
        Ok(source) => source,
        Err(fault) => {
            run.deletion.note_fault(&fault);
            way.fail(worker, Metadata::unknown(Kind::Directory), fault);
            return None;
        }
    };
    if is_left_out(worker, way, &source) {
        return None;
    }
    let looked = open_target_dir(way).and_then(|target_dir| {
        let existing = look_at_target(way, target_dir.as_ref())?;
        Ok((target_dir, existing))
    });
    let (target_dir, existing) = match looked {
        Ok(looked) => looked,
        Err(fault) => {
            way.fail(worker, source, fault);
            return None;
        }
    };
    let is_there = existing.is_some_and(|existing| existing.is_directory());
    if !is_there && !run.pass().enters_what_is_not_there() {
        return None;
    }
    let (mut layers, unopened) = open_layers(worker, way);
    if let Some(fault) = &unopened
        && !can_read_attributes(run, way)
    {
        way.fail_by(worker, source, fault);
        return None;
    }
    if !is_listed(&layers) {
        tell_unknown_pretence(worker, way);
    }
    let is_left_out = is_not_to_be_made(worker, way, existing.is_some());
    let existing = clear_the_way(worker, way, target_dir.as_ref(), existing, &layers).ok()?;
    let before = existing.map(|existing| existing.metadata);
    let wanted = wanted(run, way.node, &source, before);
    let parent = target_dir.as_ref().filter(|_| !is_left_out);
    if run.stays_on_file_system(way.node.source.layer(way.entry.layer), &source, way.pick()) {
        for layer in &mut layers {
            layer.content = Content::Picked;
        }
    }
    let child = match make_target(worker, way, parent, existing, &wanted) {
        Ok(target) => {
            if way.reason() != Some(Reason::Path) {
                inheritance::pass_on_acl(run, &layers, &target);
            }
            let entered = Entered { source, existing: before, wanted, target, is_left_out };
            build(worker, way, entered, layers, unopened.is_none())
        }
        Err(_) if meets_something(way, parent) => {
            let mut entry = *way.entry;
            entry.presence = Presence::Unknown;
            return enter(worker, &Way { entry: &entry, ..*way });
        }
        Err(fault) => {
            way.fail(worker, source, fault);
            None
        }
    };
    if child.is_none() {
        narrow_again(worker, way, parent, existing);
    }
    child
}

fn look_at_source(way: &Way<'_>) -> Result<Metadata, Fault> {
    let (name, layer) = (way.name(), way.entry.layer);
    let look = || {
        let dir = way.node.layer_dir(layer)?;
        way.node.run.look_at_source(&dir, name, way.entry.is_followed)
    };
    let metadata = look().map_err(|error| {
        let gone = error.kind() == io::ErrorKind::NotFound && way.entry.picked == 0;
        let cause = if gone { Cause::Vanished } else { Cause::from(&error) };
        way.node.source_fault(Verb::LookAt, layer, name, cause)
    })?;
    if metadata.kind != Kind::Directory {
        return Err(way.node.source_fault(Verb::List, layer, name, Cause::ChangedDuringCopy));
    }
    // What was asked for by name ends with that name.
    if way.entry.is_followed && way.entry.picked == 0 && way.node.lies_in(layer, &metadata) {
        let cause = Cause::Refused("the link leads back to a directory that it lies in".into());
        return Err(way.node.source_fault(Verb::Follow, layer, name, cause));
    }
    Ok(metadata)
}

/// True when a directory is left out by what the settings say of its place or content.
fn is_left_out(worker: &mut Worker<'_>, way: &Way<'_>, source: &Metadata) -> bool {
    let run = worker.run;
    let traverse = &run.settings.traverse;
    if run.destination.is_root(source) {
        if run.destination.is_new {
            return true;
        }
        let cause = Cause::Refused(
            "it is the destination itself; leave it out with --exclude to silence this".into(),
        );
        let fault = way.node.source_fault(Verb::Copy, way.entry.layer, way.name(), cause);
        // What is extraneous at the destination is source data, too: nothing is deleted.
        run.deletion.note_fault(&fault);
        way.fail(worker, *source, fault);
        return true;
    }
    let layer = way.node.source.layer(way.entry.layer);
    if traverse.one_file_system == OneFileSystem::OmitMountPoints
        && run.stays_on_file_system(layer, source, way.pick())
    {
        way.skip(worker, *source, || IS_ANOTHER_FILE_SYSTEM.into());
        return true;
    }
    false
}

/// What the destination has under the name of a directory.
#[derive(Clone, Copy)]
struct Existing {
    metadata: Metadata,
    through_link: ThroughLink,
}

impl Existing {
    fn is_directory(&self) -> bool {
        self.metadata.kind == Kind::Directory
    }
}

/// The destination directory that it goes into.
fn open_target_dir(way: &Way<'_>) -> Result<Option<Dir>, Fault> {
    let failed = |error| way.node.target_fault(Verb::OpenDirectory, way.name(), &error);
    way.node.target_dir().map_err(failed)
}

/// What the destination has under the name, through a link where the settings say so.
fn look_at_target(way: &Way<'_>, target_dir: Option<&Dir>) -> Result<Option<Existing>, Fault> {
    let Some(dir) = target_dir.filter(|_| way.entry.presence != Presence::Absent) else {
        return Ok(None);
    };
    let run = &way.node.run;
    let found = match run.stat(dir, way.target_name()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|error| way.node.target_fault(Verb::LookAt, way.name(), &error))?,
    };
    let follows = run.settings.links.keep_dirlinks || way.reason() == Some(Reason::Path);
    if found.kind == Kind::Symlink
        && follows
        && let Ok(behind) = dir.stat_following(way.target_name())
        && behind.kind == Kind::Directory
    {
        return Ok(Some(Existing { metadata: behind, through_link: ThroughLink::Follow }));
    }
    Ok(Some(Existing { metadata: found, through_link: ThroughLink::No }))
}

/// Something stands where a directory should and stays there, which has been told.
struct Blocked;

/// Removes what is no directory; gives what is there then.
fn clear_the_way(
    worker: &mut Worker<'_>,
    way: &Way<'_>,
    target_dir: Option<&Dir>,
    existing: Option<Existing>,
    layers: &[Layer],
) -> Result<Option<Existing>, Blocked> {
    let (Some(obstacle), Some(dir)) = (existing.filter(|found| !found.is_directory()), target_dir)
    else {
        return Ok(existing);
    };
    let found = obstacle.metadata;
    // What is in the way of the transfer goes with the transfer.
    if !worker.run.pass().transfers() {
        return Ok(None);
    }
    // What only leads to a named entry is left as it is (rsync(1), --no-implied-dirs).
    if way.reason() == Some(Reason::Path) {
        let cause = Cause::Refused(IS_ON_THE_WAY.into());
        let fault = way.node.target_fault(Verb::OpenDirectory, way.name(), cause);
        way.fail(worker, found, fault);
        return Err(Blocked);
    }
    if worker.run.settings.compare.ignore_existing {
        leave_existing(worker, way, &found, layers);
        return Err(Blocked);
    }
    let name = way.target_name();
    let subject = Subject { node: way.node, name, metadata: found, segment: way.segment };
    let is_cleared = delete::remove_obstacle(worker, dir, subject);
    if is_cleared { Ok(None) } else { Err(Blocked) }
}

/// Whether something else has a name that was thought free, as of an entry of another kind (`newcomer`).
fn meets_something(way: &Way<'_>, parent: Option<&Dir>) -> bool {
    let is_obstacle =
        |dir: &Dir| dir.stat(way.target_name()).is_ok_and(|there| there.kind != Kind::Directory);
    way.entry.presence == Presence::Absent && parent.is_some_and(is_obstacle)
}

/// The attributes that a directory shall have.
pub(crate) fn wanted(
    run: &Run,
    parent: &Node,
    source: &Metadata,
    existing: Option<Metadata>,
) -> Wanted {
    let mask = if existing.is_none() && run.settings.preserve.perms != Perms::Keep {
        attributes::default_mask(run, parent)
    } else {
        0
    };
    Wanted::new(&run.settings, &run.identity, source, existing.as_ref(), mask)
}

/// `--existing`: a directory that is not there is not made; what is in it is counted and left out.
fn is_not_to_be_made(worker: &mut Worker<'_>, way: &Way<'_>, exists: bool) -> bool {
    if exists || !worker.run.settings.compare.existing_only {
        return false;
    }
    if !way.node.is_left_out {
        worker.run.say(way.segment, Topic::Skip, || not_created(way));
    }
    true
}

fn not_created(way: &Way<'_>) -> Vec<u8> {
    [b"not creating new directory \"", way.path().as_bytes(), b"\""].concat()
}

/// Opens the destination directory, made if it is missing.
fn make_target(
    worker: &mut Worker<'_>,
    way: &Way<'_>,
    target_dir: Option<&Dir>,
    existing: Option<Existing>,
    wanted: &Wanted,
) -> Result<Target, Fault> {
    let run = worker.run;
    let name = way.target_name();
    let Some(parent) = target_dir else { return Ok(Target::Absent) };
    let failed = |verb| move |error: io::Error| way.node.target_fault(verb, name, &error);
    let (listing, through_link) = match existing {
        Some(existing) => (Before::Anything, existing.through_link),
        None if run.settings.dry_run || !run.pass().transfers() => return Ok(Target::Absent),
        None => {
            let mode = match way.reason() {
                Some(Reason::Path) => run.identity.default_mask(),
                _ => 0o700,
            };
            match parent.make_dir(name, mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    way.node.note_taken(name);
                }
                made => made.map_err(failed(Verb::MakeDirectory))?,
            }
            way.node.target.touch();
            (Before::Empty, ThroughLink::No)
        }
    };
    // As rsync does: made passable for as long as it is worked in. Where that fails, what lies below may
    // be reached all the same. Test: `what_lies_in_a_directory_of_another_user_is_tried`.
    if let Some(mode) = too_narrow(way, existing).filter(|_| !parent.may_work_in(name))
        && let Err(error) = parent.set_mode(name, mode | 0o700)
    {
        run.fault(&mut worker.scratch.totals, failed(Verb::MakePassable)(error));
    }
    let open = || match through_link {
        ThroughLink::No => parent.open_child_to_search(name, AccessTime::Update),
        ThroughLink::Follow => run.destination.open_beneath(&way.path()),
    };
    let dir = match open() {
        // A dry run does not make a directory passable; it goes on as if it were empty.
        Err(error) if run.settings.dry_run && error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Target::Absent);
        }
        opened => opened.map_err(failed(Verb::OpenDirectory))?,
    };
    let metadata = dir.metadata().map_err(failed(Verb::LookAt))?;
    if run.pass().transfers()
        && through_link == ThroughLink::No
        && way.reason() != Some(Reason::Path)
        && !run.settings.dry_run
    {
        inheritance::pass_on(run, &dir, &metadata, wanted, listing);
    }
    let ground = match way.node.target.ground().filter(|_| way.reason() != Some(Reason::Named)) {
        Some(above) => above,
        None => Ground::of(&dir).map_err(failed(Verb::LookAt))?,
    };
    let handle = Handle::new(dir, &metadata);
    Ok(Target::Present { handle, through_link, listing, ground })
}

/// The mode of a directory in which its owner cannot work. One that only leads to a named entry is
/// left alone, as in rsync.
fn too_narrow(way: &Way<'_>, existing: Option<Existing>) -> Option<u32> {
    let run = &way.node.run;
    let Existing { metadata, through_link: ThroughLink::No } = existing? else { return None };
    let is_widened = metadata.kind == Kind::Directory
        && metadata.mode & 0o700 != 0o700
        && way.reason() != Some(Reason::Path)
        && !run.identity.is_root
        && !run.settings.dry_run;
    is_widened.then_some(metadata.mode)
}

/// A directory that was made passable and is not entered gets the mode back that it had. One that is
/// entered is narrowed when it is finished.
fn narrow_again(
    worker: &mut Worker<'_>,
    way: &Way<'_>,
    parent: Option<&Dir>,
    existing: Option<Existing>,
) {
    let (Some(parent), Some(mode)) = (parent, too_narrow(way, existing)) else { return };
    let is_wide = parent.stat(way.target_name()).is_ok_and(|now| now.mode != mode);
    if is_wide && let Err(error) = parent.set_mode(way.target_name(), mode) {
        let fault = way.node.target_fault(Verb::SetMode, way.name(), &error);
        worker.run.fault(&mut worker.scratch.totals, fault);
    }
}

/// What is known of a directory once it is entered.
struct Entered {
    source: Metadata,
    existing: Option<Metadata>,
    wanted: Wanted,
    target: Target,
    is_left_out: bool,
}

fn build(
    worker: &mut Worker<'_>,
    way: &Way<'_>,
    entered: Entered,
    mut layers: Vec<Layer>,
    whole: bool,
) -> Option<Node> {
    let run = worker.run;
    let path = way.path();
    let Entered { source, existing, wanted, target, .. } = entered;
    let receiver_scope = match enter_scopes(way.node, &path, &mut layers, &target) {
        Ok(receiver_scope) => receiver_scope,
        Err(error) => {
            let cause = Cause::Refused(error.to_string().into());
            let fault = way.node.source_fault(Verb::ReadFilterRules, 0, way.name(), cause);
            run.deletion.note_fault(&fault);
            way.fail(worker, source, fault);
            return None;
        }
    };
    let is_path_only = way.reason() == Some(Reason::Path);
    let is_itself = |layer: &Layer| {
        let Origin::Child { parent_layer, .. } = &layer.origin else { return false };
        *parent_layer == way.entry.layer
    };
    let itself = layers.iter().position(is_itself).unwrap_or(0);
    let above = || way.node.source.scope.clone();
    let source_side = SourceSide::new(layers, itself, above);
    let target_side = TargetSide::new(target, receiver_scope);
    let mut node = Node::child(way.node, path, way.segment, source_side, target_side);
    node.source.picked = way.pick().and_then(|pick| pick.below.clone());
    node.is_left_out |= entered.is_left_out;
    if !whole {
        node.source.has_unread_content = true;
        node.source.note_incomplete();
    }
    if node.is_left_out {
        worker.scratch.totals.listed.add(Kind::Directory, 1);
        way.skip(worker, source, || {
            if way.node.is_left_out {
                return IS_IN_NO_DIRECTORY.into();
            }
            String::from_utf8_lossy(&not_created(way)).into()
        });
    } else if !is_path_only {
        let flags = match compare(run, &node, existing.as_ref(), &source, &wanted) {
            Ok(flags) => flags,
            Err(fault) => {
                run.deletion.note_fault(&fault);
                way.fail(worker, source, fault);
                return None;
            }
        };
        let differs = existing.is_none() || flags.is_significant() || wanted.atime.is_some();
        // As rsync: what is reached through a link keeps the attributes that it has.
        let keeps_own =
            matches!(node.target.dir, Target::Present { through_link: ThroughLink::Follow, .. });
        node.finish = (!keeps_own).then_some(Finish { source, wanted, before: existing, differs });
        crate::telling::speak_of_directory(worker, &node, existing.is_none(), flags);
    }
    Some(node)
}

/// The letters of a directory. A new one is told as a change of the one that a basis tree has.
pub(crate) fn compare(
    run: &Run,
    node: &Node,
    existing: Option<&Metadata>,
    source: &Metadata,
    wanted: &Wanted,
) -> Result<ItemFlags, Fault> {
    let Some(existing) = existing else {
        let parent = node.parent.as_deref().unwrap_or(node);
        let changed = |basis| self::wanted(run, parent, source, Some(basis));
        let known = if run.destination.basis_roots.is_empty() {
            None
        } else {
            basis::directory(node, source, changed)?
        };
        return Ok(known.unwrap_or(ItemFlags::NEW) | ItemFlags::LOCAL_CHANGE);
    };
    let mut flags = wanted.differences(&run.settings, existing);
    if run.settings.has_extra() {
        flags |= attributes::directory_differences(run, &extra(run, node)?.with_mode_of(wanted));
    }
    Ok(flags)
}

/// Extended attributes and ACLs of a directory at both sides.
pub(crate) fn extra(run: &Run, node: &Node) -> Result<ExtraChange, Fault> {
    let present = node
        .target_dir()
        .and_then(|dir| match dir {
            Some(dir) => Extra::of_target(run, &node.source.scope, Carrier::from(&dir)),
            None => Ok(Extra::default()),
        })
        .map_err(|error| node.target_fault(Verb::ReadAttributes, b".", &error))?;
    let wanted = if node.source.layers.is_empty() {
        // Where they cannot be known the destination keeps what it has.
        closed_source(run, node).unwrap_or_else(|| present.clone())
    } else {
        let layer = node.source.itself;
        let dir = node.layer_dir(layer);
        dir.and_then(|dir| Extra::of_source(run, &node.source.scope, &dir.attributes()))
            .map_err(|error| node.source_fault(Verb::ReadAttributes, layer, b".", &error))?
    };
    Ok(ExtraChange { wanted, present })
}

/// Those of a source directory that cannot be opened, read by its name.
fn closed_source(run: &Run, node: &Node) -> Option<Extra> {
    let parent = node.parent.as_ref()?;
    let name = node.path.file_name();
    let layers = 0..u16::try_from(parent.source.layers.len()).ok()?;
    let mut dirs = layers.filter_map(|layer| parent.layer_dir(layer).ok());
    let is_directory =
        |dir: &SourceDir| dir.stat(name).is_ok_and(|found| found.kind == Kind::Directory);
    let dir = dirs.find(is_directory)?;
    Extra::of_source(run, &node.source.scope, &dir.attributes_of(name)).ok()
}

/// Reads the merge files of a directory: each layer's gives that layer its rules. Returns those of
/// the destination, for deletions.
fn enter_scopes(
    parent: &Node,
    path: &model::RelPath,
    layers: &mut [Layer],
    target: &Target,
) -> Result<filter::Scope, filter::RuleError> {
    if !parent.target.scope.needs_reading() {
        return Ok(parent.target.scope.clone());
    }
    for layer in &mut *layers {
        layer.scope = rules_of(&layer.scope, path, || parent.child_layer_dir(layer).map(Some))?;
    }
    // Where nothing is deleted nobody asks the receiver's.
    if parent.run.settings.delete.when == DeleteWhen::Never || !is_listed(layers) {
        return Ok(parent.target.scope.clone());
    }
    rules_in_force(&parent.target.scope, path, target.if_open().as_ref())
}
