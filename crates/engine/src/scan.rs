//! List: the names of a directory at both sides, filtered and sorted.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use filter::{NodeKind, Perishable};
use fs::{Dir, Listing};
use model::settings::{DeleteWhen, OneFileSystem, Symlinks};
use model::{Cause, Kind, Metadata, RelPath, Topic, Verb, Verdict};

use crate::endpoint::{Directory, SourceDir};
use crate::names::{AlsoIn, NameRef, Names, Presence, Seen, Sorted};
use crate::node::{Content, Node};
use crate::pass::Deletion;
use crate::run::Run;
use crate::selection::foresight::foresee_picks;
use crate::selection::{InRoot, Pick};
use crate::task::{Cost, Found, Position, Task, Worker};
use crate::telling::Subject;
use crate::transfer::partial;
use crate::{delete, descend, entries, finalize, links, prune};

/// Why a link that is to be followed fails.
pub(crate) const LEADS_NOWHERE: &str = "the link points to nothing";

/// Lists a directory, removes what is extraneous, and begins with what is in it.
pub(crate) fn expand(worker: &mut Worker<'_>, node: Arc<Node>) {
    let began = Instant::now();
    let mut names = collect(worker, &node);
    let Sorted { also_in, lead_nowhere } = names.sort();
    note_what_leads_nowhere(worker, &node, &names, &lead_nowhere);
    let extraneous = match_destination(worker, &node, &mut names);
    worker.sample(Cost::List, began.elapsed(), 1);
    worker.run.deletion.count_seen(extraneous.seen);
    if worker.run.pass().transfers() {
        delete::missing::remove(worker, &node);
    }
    if may_delete_in(worker.run, &node) {
        match worker.run.pass().deletion() {
            Deletion::Never => {}
            Deletion::AtOnce => {
                let (segment, rules) = (node.segment, &node.target.scope);
                delete::extraneous(worker, &node, &extraneous.names, segment, rules);
            }
            Deletion::AtTheEnd => delete::later::put_off(&node, extraneous.names),
        }
    }
    crate::telling::conclude_directory(worker, &node);
    begin(worker, node, Found { names, also_in, begun: AtomicUsize::new(0) });
}

/// Spawns what goes through the names, directories to be stolen first.
fn begin(worker: &mut Worker<'_>, node: Arc<Node>, found: Found) {
    let run = Arc::clone(&node.run);
    run.progress.count_listed(found.names.files().len() as u64);
    let files = run.log.open(node.segment);
    let directories = run.log.open(node.segment);
    run.log.close(node.segment);
    let found = Arc::new(found);
    let position =
        |segment| Position { node: Arc::clone(&node), found: Arc::clone(&found), next: 0, segment };
    if found.names.directories().is_empty() {
        run.log.close(directories);
    } else {
        // Their round trips are over while the files are gone through.
        descend::begin_some(&node, &found, 0);
        node.hold();
        run.progress.begin_scan();
        run.progress.begin_listing();
        worker.spawn(Task::Directories(position(directories)));
    }
    run.progress.end_listing();
    if found.names.files().is_empty() || !run.pass().transfers() {
        run.log.close(files);
    } else {
        node.hold();
        run.progress.begin_scan();
        entries::run(worker, position(files));
    }
    finalize::settle(worker, node);
}

/// True when it is known of a directory what the source lacks.
fn may_delete_in(run: &Run, node: &Node) -> bool {
    let is_content = node.source.has_unread_content || node.source.is_listed();
    let is_known = !node.source.is_incomplete();
    is_content && (is_known || run.settings.delete.ignore_errors)
}

/// The source's names: listed and picked, filtered.
fn collect(worker: &mut Worker<'_>, node: &Arc<Node>) -> Names {
    let mut names = Names::default();
    for (number, layer) in node.source.layers.iter().enumerate() {
        if layer.content == Content::Listed {
            let number = u16::try_from(number).expect("a node has fewer layers than arguments");
            let listed = node.layer_dir(number).and_then(|dir| dir.list().map(|list| (dir, list)));
            match listed {
                Ok((dir, listing)) => add_listing(worker, node, number, &dir, &listing, &mut names),
                Err(error) => incomplete(worker, node, number, &error),
            }
        }
    }
    if let Some(picked) = &node.source.picked {
        let mut foreseen = 0;
        for (at, pick) in picked.names.iter().enumerate() {
            foreseen = foresee_picks(node, &picked.names, at..foreseen);
            let at = u32::try_from(at + 1).expect("fewer than 2^32 names are picked");
            add_pick(worker, node, pick, at, &mut names);
        }
    }
    names
}

fn incomplete(worker: &mut Worker<'_>, node: &Node, layer: u16, error: &std::io::Error) {
    node.source.note_incomplete();
    let fault = node.source_fault(Verb::List, layer, b".", error);
    worker.run.source_fault(&mut worker.scratch.totals, fault);
}

fn add_listing(
    worker: &mut Worker<'_>,
    node: &Arc<Node>,
    layer: u16,
    dir: &SourceDir,
    listing: &Listing,
    names: &mut Names,
) {
    if let Some(error) = listing.error() {
        incomplete(worker, node, layer, error);
    }
    let mut path = Vec::with_capacity(256);
    for at in 0..listing.len() {
        let name = listing.name(at);
        let seen = see(worker.run, node, dir, name, listing.kind_hint(at));
        if is_excluded(worker, node, layer, name, seen.kind, &mut path)
            || seen.leads_nowhere()
                && is_excluded(worker, node, layer, name, Some(Kind::Directory), &mut path)
        {
            continue;
        }
        let prunes = worker.run.settings.traverse.prune_empty_dirs;
        if prunes
            && seen.is_directory()
            && prune::is_empty(worker, node, layer, name, seen.is_followed)
        {
            leave_out(worker, node, name, "there is nothing in it to bring over");
            continue;
        }
        if seen.is_directory() && is_omitted_mount(worker.run, node, layer, dir, name) {
            leave_out(worker, node, name, descend::IS_ANOTHER_FILE_SYSTEM);
            continue;
        }
        names.push(name, layer, seen);
    }
}

/// Counts a directory that a setting leaves out.
fn leave_out(worker: &mut Worker<'_>, node: &Node, name: &[u8], reason: &str) {
    let metadata = Metadata::unknown(Kind::Directory);
    let subject = Subject { node, name, metadata, segment: node.segment };
    subject.leave_out(worker, Verdict::Skipped, || reason);
}

/// `-xx`: mount points are left out, as if they were not there.
fn is_omitted_mount(run: &Run, node: &Node, layer: u16, dir: &SourceDir, name: &[u8]) -> bool {
    let root_device = node.source.layer(layer).root_device;
    run.settings.traverse.one_file_system == OneFileSystem::OmitMountPoints
        && dir.stat(name).is_ok_and(|metadata| metadata.dev != root_device)
}

fn add_pick(worker: &mut Worker<'_>, node: &Arc<Node>, pick: &Pick, at: u32, names: &mut Names) {
    for in_root in &pick.roots {
        let Some(layer) = node.source.layer_of_root(in_root.root) else { continue };
        let dir = match node.layer_dir(layer) {
            Ok(dir) => dir,
            Err(error) => {
                incomplete(worker, node, layer, &error);
                continue;
            }
        };
        let mut seen = see(&node.run, node, &dir, &pick.name, None);
        let leads_on = in_root.reason.leads_on();
        let is_directory =
            || dir.stat_following(&pick.name).is_ok_and(|behind| behind.kind == Kind::Directory);
        if seen.kind == Some(Kind::Symlink) && (leads_on || in_root.is_slashed && is_directory()) {
            seen = Seen { kind: Some(Kind::Directory), is_followed: true };
        }
        if rule_hides_pick(node, pick, *in_root, seen.kind) {
            hide_pick(worker, node, layer, &pick.name, seen.kind);
            if pick.below.is_none() || !seen.is_directory() {
                continue;
            }
        }
        let prunes = node.run.settings.traverse.prune_empty_dirs;
        if prunes
            && seen.is_directory()
            && prune::pick_is_empty(worker, node, layer, pick, seen.is_followed)
        {
            leave_out(worker, node, &pick.name, "there is nothing in it to bring over");
            continue;
        }
        let entry = names.push(&pick.name, layer, seen);
        entry.is_listed = false;
        entry.picked = at;
    }
}

/// What a name is, links followed where the settings ask for it.
fn see(run: &Run, node: &Node, dir: &SourceDir, name: &[u8], hint: Option<Kind>) -> Seen {
    let (seen, copied) = see_in(run, &node.path, dir, name, hint);
    if let Some(target) = copied {
        tell_copied(run, node, name, &target);
    }
    seen
}

/// The same of a name in a directory of the transfer that lies at `path`, untold; with the text of a
/// link that is followed since it leads out of the tree.
pub(crate) fn see_in(
    run: &Run,
    path: &RelPath,
    dir: &SourceDir,
    name: &[u8],
    hint: Option<Kind>,
) -> (Seen, Option<Vec<u8>>) {
    let kind = hint.or_else(|| dir.stat(name).ok().map(|metadata| metadata.kind));
    if kind != Some(Kind::Symlink) {
        return (Seen::itself(kind), None);
    }
    let links = &run.settings.links;
    let target = || dir.stat_following(name).ok().map(|metadata| metadata.kind);
    let leaves_the_tree = || {
        // As it stands there, munged or not: that is what is followed.
        let target = dir.read_link(name).ok()?;
        links::is_unsafe(&target, path).then_some(target)
    };
    let follows_all = links.symlinks == Symlinks::Follow;
    let leaves = if links.copy_unsafe && !follows_all { leaves_the_tree() } else { None };
    let seen = if follows_all || leaves.is_some() {
        Seen { kind: target().or(kind), is_followed: true }
    } else if links.copy_dirlinks && target() == Some(Kind::Directory) {
        Seen { kind: Some(Kind::Directory), is_followed: true }
    } else {
        Seen::itself(kind)
    };
    (seen, leaves)
}

/// Notes that the source lacks what links to nothing might have been: deletions must know now. Those
/// that stay among the names are told of when they are looked at; as in rsync, those that gave way to
/// another layer's are told of, too.
/// Test: `a_link_to_nothing_behind_another_source_is_told_of`.
fn note_what_leads_nowhere(
    worker: &mut Worker<'_>,
    node: &Node,
    names: &Names,
    gave_way: &[AlsoIn],
) {
    for AlsoIn { name, layer, .. } in gave_way {
        let cause = Cause::Refused(LEADS_NOWHERE.into());
        let fault = node.source_fault(Verb::LookAt, *layer, name, cause);
        worker.run.source_fault(&mut worker.scratch.totals, fault);
    }
    if !gave_way.is_empty() || names.files().iter().any(NameRef::leads_nowhere) {
        node.source.note_incomplete();
        node.run.deletion.note_source_fault();
    }
}

/// Says that what an unsafe link points to is copied; as in rsync, whatever the rules say of it.
fn tell_copied(run: &Run, node: &Node, name: &[u8], target: &[u8]) {
    if run.pass().transfers() {
        let path = || node.path.child(name);
        run.say(node.segment, Topic::Symsafe, || {
            [b"copying unsafe symlink \"", path().as_bytes(), b"\" -> \"", target, b"\""].concat()
        });
    }
}

/// True when a name that was picked in a directory is left out by the rules in force there. As in
/// rsync, those of a directory are known where the source is read as the run goes; what the command
/// line says of a name was asked with the arguments.
pub(crate) fn rule_hides_pick(
    node: &Node,
    pick: &Pick,
    in_root: InRoot,
    kind: Option<Kind>,
) -> bool {
    let Some(layer) = node.source.layer_of_root(in_root.root) else { return false };
    let scope = node.source.scope_of(layer);
    let is_asked = !in_root.reason.leads_on()
        && !node.path.is_root()
        && node.run.settings.traverse.incremental
        && scope.needs_reading();
    let path = || node.path.child(&pick.name);
    let (kind, side) = (node_kind(kind), filter::Side::Sender);
    is_asked && scope.check(path().as_bytes(), kind, side, Perishable::Honoured).is_excluded()
}

/// Counts a picked name that a rule leaves out, unless the listing of its directory does.
fn hide_pick(worker: &mut Worker<'_>, node: &Node, layer: u16, name: &[u8], kind: Option<Kind>) {
    if node.source.layer(layer).content != Content::Listed {
        is_excluded(worker, node, layer, name, kind, &mut Vec::new());
    }
}

fn is_excluded(
    worker: &mut Worker<'_>,
    node: &Node,
    layer: u16,
    name: &[u8],
    kind: Option<Kind>,
    path: &mut Vec<u8>,
) -> bool {
    let scope = node.source.scope_of(layer);
    if scope.is_empty() {
        return false;
    }
    path_of(node, name, path);
    let run = worker.run;
    let says = |doing: &[u8], rule| {
        if run.says(Topic::Filter) && run.pass().transfers() {
            let rule = scope.describe(rule);
            tell_filtered(run, node.segment, doing, path, kind, rule.pattern());
        }
    };
    match scope.check(path, node_kind(kind), filter::Side::Sender, Perishable::Honoured) {
        filter::Verdict::Unmatched => false,
        filter::Verdict::Included(rule) => {
            says(b"[sender] showing ", rule);
            false
        }
        filter::Verdict::Excluded(rule) => {
            says(b"[sender] hiding ", rule);
            let metadata = Metadata::unknown(kind.unwrap_or(Kind::File));
            let subject = Subject { node, name, metadata, segment: node.segment };
            let reason = || scope.describe(rule).to_string();
            subject.leave_out(worker, Verdict::Excluded, reason);
            true
        }
    }
}

/// Says, as rsync does at `-vv`, that a rule hides or protects an entry.
pub(crate) fn tell_filtered(
    run: &Run,
    segment: crate::order::SegmentId,
    doing: &[u8],
    path: &[u8],
    kind: Option<Kind>,
    pattern: &[u8],
) {
    let what: &[u8] = if kind == Some(Kind::Directory) { b"directory " } else { b"file " };
    let text = || [doing, what, path, b" because of pattern ", pattern].concat();
    run.say(segment, Topic::Filter, text);
}

/// The path of a name below the transfer root, as filter rules see it.
pub(crate) fn path_of(node: &Node, name: &[u8], path: &mut Vec<u8>) {
    path.clear();
    if !node.path.is_root() {
        path.extend_from_slice(node.path.as_bytes());
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// A kind as filter rules see it.
pub(crate) fn node_kind(kind: Option<Kind>) -> NodeKind {
    if kind == Some(Kind::Directory) { NodeKind::Directory } else { NodeKind::Other }
}

/// What the destination directory holds beside the source's names.
#[derive(Default)]
struct Extraneous {
    names: Vec<delete::later::Name>,
    seen: u64,
}

/// Notes which names the destination has, and finds those that only it has.
fn match_destination(worker: &mut Worker<'_>, node: &Node, names: &mut Names) -> Extraneous {
    let mut extraneous = Extraneous::default();
    if node.target.is_empty() {
        for entry in names.all_mut().1 {
            entry.presence = Presence::Absent;
        }
        return extraneous;
    }
    let only_picked = node.source.layers.iter().all(|layer| layer.content == Content::Picked);
    if node.target.renamed.is_some() || (only_picked && !node.source.has_unread_content) {
        return extraneous;
    }
    let Some((dir, mut listing)) = list_destination(worker, node) else { return extraneous };
    listing.sort_by_name();
    extraneous.seen = listing.len() as u64;
    let matched = note_presence(names, &listing);
    for at in (0..listing.len()).filter(|at| !matched[*at]) {
        let name = listing.name(at);
        if partial::sweep(worker.run, &dir, name) {
            node.target.touch();
        } else if !is_staging(worker, node, &dir, name) {
            let kind = listing.kind_hint(at);
            extraneous.names.push(delete::later::Name { name: name.into(), kind });
        }
    }
    extraneous
}

/// Lists the destination directory; what cannot be read is told. As in rsync, one that may only be
/// searched will do where nothing is deleted.
fn list_destination(worker: &mut Worker<'_>, node: &Node) -> Option<(Dir, Listing)> {
    let list = |dir: Dir| dir.list().map(|listing| (dir, listing));
    let found = match node.target_dir().and_then(|dir| dir.map(list).transpose()) {
        Ok(found) => found?,
        Err(error)
            if error.kind() == ErrorKind::PermissionDenied
                && worker.run.settings.delete.when == DeleteWhen::Never =>
        {
            return None;
        }
        Err(error) => {
            let fault = node.target_fault(Verb::List, b".", &error);
            worker.run.fault(&mut worker.scratch.totals, fault);
            return None;
        }
    };
    if let Some(error) = found.1.error() {
        let fault = node.target_fault(Verb::List, b".", error);
        worker.run.fault(&mut worker.scratch.totals, fault);
    }
    Some(found)
}

/// Notes which names a sorted listing of the destination has; returns which of its own are among
/// them.
fn note_presence(names: &mut Names, listing: &Listing) -> Vec<bool> {
    let absent = if listing.error().is_none() { Presence::Absent } else { Presence::Unknown };
    let mut matched = vec![false; listing.len()];
    let (arena, refs) = names.all_mut();
    for entry in refs {
        let found = listing.find(entry.name_in(arena));
        entry.presence = found.map_or(absent, |at| {
            matched[at] = true;
            Presence::Listed
        });
    }
    matched
}

/// True when a name is a staging file: one left behind by a killed run is removed, one in use by
/// another run is left alone. Neither is extraneous.
fn is_staging(worker: &mut Worker<'_>, node: &Node, dir: &Dir, name: &[u8]) -> bool {
    if !fs::staging::is_staging_name(name) {
        return false;
    }
    if !worker.run.settings.dry_run
        && let Ok(true) = fs::staging::remove_if_abandoned(dir, name)
    {
        node.target.touch();
        let path = node.path.child(name);
        let text = b"removed the staging file of an interrupted run: ";
        let say = || [text, path.as_bytes()].concat();
        worker.run.say(node.segment, Topic::Misc, say);
    }
    true
}
