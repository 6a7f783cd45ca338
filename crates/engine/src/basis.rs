//! Further trees to take unchanged files from (rsync(1), `--compare-dest`, `--copy-dest`,
//! `--link-dest`).

use std::io;

use fs::{AccessTime, Dir, File};
use model::settings::BasisAction;
use model::{Fault, ItemFlags, Kind, Metadata, Verb, Verdict};

use crate::attributes::{self, AsksForExtra, Extra, ExtraChange};
use crate::endpoint::SourceFile;
use crate::entries::{Elsewhere, Entry, There, stored_target};
use crate::node::{Handle, Node};
use crate::run::Run;
use crate::task::{Cost, Worker};
use crate::telling::Told;
use crate::transfer::brought::{self, Brought};
use crate::transfer::symlink;
use crate::transfer::whole::{self, FileJob};
use crate::wanted::{Quick, Wanted, quick_check, same_time};

/// How well a candidate matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// Content is equal, attributes are not.
    Content,
    /// Content and all attributes that are brought over.
    Exact,
}

struct Candidate {
    found: Elsewhere,
    quality: Match,
}

/// The directories of the basis trees that mirror a node's.
pub(crate) fn mirrors(node: &Node) -> impl Iterator<Item = Dir> {
    (0..node.run.destination.basis_roots.len()).filter_map(|number| mirror_at(node, number))
}

/// The directory of one basis tree.
fn mirror_at(node: &Node, number: usize) -> Option<Dir> {
    let roots = &node.run.destination.basis_roots;
    let handles = node.target.mirrors.get_or_init(|| {
        let below = |root: &Dir| {
            let dir = mirror(root, node).ok()?;
            let handle = Handle::new(dir.clone(), &dir.metadata().ok()?);
            handle.lend(&node.run.budgets.open_dirs);
            Some(handle)
        };
        roots.iter().map(below).collect()
    });
    let (root, handle) = (&roots[number], handles[number].as_ref()?);
    handle.get(&node.run.budgets.open_dirs, || mirror(root, node)).ok()
}

fn mirror(root: &Dir, node: &Node) -> io::Result<Dir> {
    if node.parent.as_ref().is_some_and(|parent| parent.target.renamed.is_some()) {
        return root.open_child(node.arrives_as(), AccessTime::Update);
    }
    let mut dir = root.clone();
    for component in node.path.components() {
        dir = dir.open_child(component, AccessTime::Update)?;
    }
    Ok(dir)
}

/// The file that a further name of an inode is told as a change of: the best one, or with
/// `--link-dest` the one that its leader is.
pub(crate) fn of_follower(
    worker: &mut Worker<'_>,
    entry: &Entry,
    leader: Option<&Metadata>,
) -> Option<Elsewhere> {
    let run = worker.run;
    if run.settings.basis.action == BasisAction::Link {
        let leader = leader?;
        return mirrors(&entry.node).find_map(|dir| {
            let metadata = run.stat(&dir, entry.target_name()).ok()?;
            metadata.is_same_inode(leader).then_some(Elsewhere { dir, metadata })
        });
    }
    if entry.source.kind != Kind::File {
        return None;
    }
    best(worker, entry, Kind::File).map(|best| best.found)
}

/// Brings a regular file over from a basis tree; gives it back when none has it.
pub(crate) fn bring(worker: &mut Worker<'_>, entry: Entry) -> Result<Cost, Box<Entry>> {
    let run = worker.run;
    let action = run.settings.basis.action;
    let exists = entry.existing.is_some();
    if exists && action == BasisAction::Copy {
        return Err(Box::new(entry));
    }
    let best = best(worker, &entry, Kind::File);
    if worker.is_cancelled() {
        // What was not read to its end is not known to differ.
        whole::stopped(worker, &entry);
        return Ok(Cost::Compare);
    }
    let Some(Candidate { found, quality }) = best else {
        return Err(Box::new(with_reference(worker.run, entry)));
    };
    match (quality, action) {
        (Match::Exact, BasisAction::Omit) => omit(worker, entry),
        (Match::Exact, BasisAction::Link) => link(worker, entry, found),
        (Match::Exact | Match::Content, _) if !exists => Ok(copy(worker, entry, found)),
        _ => Err(Box::new(entry)),
    }
}

/// True when a basis tree has a file of the name.
pub(crate) fn has(worker: &Worker<'_>, entry: &Entry) -> bool {
    reference(worker.run, entry).is_some()
}

/// rsync tells of a new file as a change of the first basis file of its name.
fn with_reference(run: &Run, mut entry: Entry) -> Entry {
    if entry.existing.is_none() {
        entry.reference = reference(run, &entry);
    }
    entry
}

/// The first entry of the name in the basis trees that the new one can be told as a change of.
fn reference(run: &Run, entry: &Entry) -> Option<Metadata> {
    let mut found = mirrors(&entry.node).filter_map(|dir| run.stat(&dir, entry.target_name()).ok());
    found.find(|metadata| metadata.kind.is_kin_of(entry.source.kind))
}

/// Where a basis tree has what a new entry is told as a change of.
pub(crate) fn reference_of(run: &Run, entry: &Entry) -> Option<Elsewhere> {
    let metadata = entry.reference.filter(|_| entry.existing.is_none())?;
    let is_reference = |dir: &Dir| {
        run.stat(dir, entry.target_name()).is_ok_and(|found| found.is_same_inode(&metadata))
    };
    Some(Elsewhere { dir: mirrors(&entry.node).find(is_reference)?, metadata })
}

/// The best candidate of a kind, the first exact one at once.
fn best(worker: &mut Worker<'_>, entry: &Entry, kind: Kind) -> Option<Candidate> {
    let mut best: Option<Candidate> = None;
    for dir in mirrors(&entry.node) {
        let Ok(metadata) = worker.run.stat(&dir, entry.target_name()) else { continue };
        if metadata.kind != kind || !same_content(worker, entry, &dir, &metadata) {
            continue;
        }
        let found = Elsewhere { dir, metadata };
        let differences = differences(worker.run, entry, found.there());
        let exact = differences.is_ok_and(|flags| flags.is_empty());
        let quality = if exact { Match::Exact } else { Match::Content };
        if best.as_ref().is_none_or(|best| best.quality < quality) {
            best = Some(Candidate { found, quality });
        }
        if exact {
            break;
        }
    }
    best
}

fn differences(run: &Run, entry: &Entry, there: There<'_>) -> Result<ItemFlags, Fault> {
    let wanted = entry.wanted_in_place_of(run, Some(there.metadata));
    let flags = wanted.differences(&run.settings, there.metadata);
    Ok(flags | attributes::extra_differences(run, entry, there)?)
}

fn same_content(worker: &mut Worker<'_>, entry: &Entry, dir: &Dir, metadata: &Metadata) -> bool {
    if metadata.kind.is_device() {
        return metadata.rdev == entry.source.rdev;
    }
    if metadata.kind == Kind::Symlink {
        let source = worker.run.read_link(&entry.source_dir, &entry.name);
        let stored = source.map(|target| stored_target(worker.run, &target));
        return stored.is_ok_and(|stored| {
            symlink::has_target(worker.run, dir, entry.target_name(), &stored)
        });
    }
    if metadata.kind != Kind::File {
        return true;
    }
    match quick_check(&worker.run.settings, &entry.source, metadata) {
        Quick::Equal => true,
        Quick::Different => false,
        Quick::MustRead => {
            let both = || -> io::Result<(SourceFile, File)> {
                let source = entry.open_source_to_sum(worker.run)?;
                Ok((source, dir.open_file(entry.target_name(), AccessTime::Keep)?))
            };
            both().is_ok_and(|(left, right)| {
                let range = 0..entry.source.size;
                crate::transfer::compare::same_range(worker, &left, &right, range).unwrap_or(false)
            })
        }
    }
}

/// `--compare-dest`: the destination does without the file; one that is there goes.
fn omit(worker: &mut Worker<'_>, entry: Entry) -> Result<Cost, Box<Entry>> {
    if entry.existing.is_some() && !worker.run.settings.dry_run {
        let removed = entry.target_dir.as_ref().map(|dir| dir.remove_file(entry.target_name()));
        if removed.is_some_and(|removed| removed.is_err()) {
            return Err(Box::new(entry));
        }
        entry.node.target.touch();
    }
    entry.conclude(worker, Told::new(Verdict::Equal, ItemFlags::empty()));
    if entry.source.kind == Kind::File {
        // As in rsync, which keeps links and nodes.
        let brought = Brought { source: entry.source, copy: entry.existing };
        brought::remove_source(worker, &entry, &brought);
    }
    Ok(Cost::Change)
}

/// `--link-dest`: the destination's name becomes a link to the basis file.
fn link(worker: &mut Worker<'_>, entry: Entry, found: Elsewhere) -> Result<Cost, Box<Entry>> {
    if entry.existing.is_some_and(|existing| existing.is_same_inode(&found.metadata)) {
        return Err(Box::new(entry));
    }
    let linked = if worker.run.settings.dry_run {
        Ok(())
    } else {
        match &entry.target_dir {
            Some(dir) => link_into(&entry, dir, &found),
            None => Ok(()),
        }
    };
    match linked {
        Ok(()) => {
            entry.node.target.touch();
            let flags = ItemFlags::LOCAL_CHANGE | ItemFlags::HARD_LINK;
            let told = Told::new(entry.written_verdict(), flags);
            let made = Entry { existing: Some(found.metadata), ..entry };
            made.conclude(worker, told);
            brought::content_is_safe(worker, &made);
            Ok(Cost::Change)
        }
        // Another file system, another user's file, too many links: a copy serves as well.
        Err(_) if entry.source.kind == Kind::File && !is_right(worker.run, &entry) => {
            Ok(copy(worker, entry, found))
        }
        Err(_) => Err(Box::new(entry)),
    }
}

/// True when what is there need not be written.
fn is_right(run: &Run, entry: &Entry) -> bool {
    entry.there().is_some_and(|there| {
        quick_check(&run.settings, &entry.source, there.metadata) != Quick::Different
            && differences(run, entry, there).is_ok_and(|flags| flags.is_empty())
    })
}

fn link_into(entry: &Entry, dir: &Dir, found: &Elsewhere) -> io::Result<()> {
    let name = entry.target_name();
    if entry.existing.is_none() {
        return found.dir.hard_link(name, dir, name);
    }
    fs::replace::replace_with(dir, name, |staging| found.dir.hard_link(name, dir, staging))
}

/// The content is copied from the basis tree, the attributes from the source.
fn copy(worker: &mut Worker<'_>, entry: Entry, found: Elsewhere) -> Cost {
    let keeps_mtime = worker.run.settings.preserve.mtimes.files;
    let now = if keeps_mtime {
        ItemFlags::LOCAL_CHANGE
    } else {
        ItemFlags::LOCAL_CHANGE | ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER
    };
    let flags = match differences(worker.run, &entry, found.there()) {
        Ok(flags) => flags | now,
        Err(fault) => {
            entry.fail(worker, fault);
            return Cost::Change;
        }
    };
    if worker.run.settings.dry_run {
        whole::pretend_copy(worker, &entry, flags);
        return Cost::Compare;
    }
    let entry = Entry { content: Some(Box::new(found)), ..entry };
    whole::run_small(worker, FileJob::new(entry, flags, None));
    Cost::Create
}

/// Brings an entry that is no regular file over from a basis tree.
pub(crate) fn bring_other(worker: &mut Worker<'_>, entry: Entry) -> Result<Cost, Box<Entry>> {
    let kind = entry.source.kind;
    match (best(worker, &entry, kind), worker.run.settings.basis.action) {
        (Some(best), BasisAction::Omit) if best.quality == Match::Exact => omit(worker, entry),
        (Some(best), BasisAction::Link) if best.quality == Match::Exact => {
            // Where it may not be linked it is made anew.
            let matched = |entry: Box<Entry>| Entry { is_matched: true, ..*entry };
            link(worker, entry, best.found).map_err(|entry| Box::new(matched(entry)))
        }
        (best, action) => {
            // An exact copy is made without being told; another one is told as changed.
            let is_exact = best.as_ref().is_some_and(|best| best.quality == Match::Exact);
            let mut entry = match best {
                Some(best) if entry.existing.is_none() => {
                    Entry { reference: Some(best.found.metadata), ..entry }
                }
                _ => with_reference(worker.run, entry),
            };
            entry.is_matched = is_exact && action == BasisAction::Copy;
            Err(Box::new(entry))
        }
    }
}

/// What is told of a new directory that basis trees have: how it differs from the first exact copy,
/// else from the first copy.
pub(crate) fn directory(
    node: &Node,
    source: &Metadata,
    wanted: impl Fn(Metadata) -> Wanted,
) -> Result<Option<ItemFlags>, Fault> {
    let run = &*node.run;
    let mut first = None;
    for number in 0..run.destination.basis_roots.len() {
        let Some(basis) = mirrored_directory(node, number) else { continue };
        let mut flags = wanted(basis).differences(&run.settings, &basis);
        if let (true, Some(dir)) = (run.settings.has_extra(), mirror_at(node, number)) {
            let present = Extra::of_target(run, &node.source.scope, (&dir).into())
                .map_err(|error| node.target_fault(Verb::ReadAttributes, b".", &error))?;
            let extra = ExtraChange { present, ..crate::descend::extra(run, node)? };
            flags |= attributes::directory_differences(run, &extra);
        }
        let mtimes = run.settings.preserve.mtimes;
        // -O or not, a copy of another time is no exact one.
        let window = run.settings.compare.modify_window_secs;
        let is_exact =
            flags.is_empty() && (!mtimes.files || same_time(source.mtime, basis.mtime, window));
        if is_exact {
            return Ok(Some(flags));
        }
        if !mtimes.directories {
            flags |= ItemFlags::MTIME;
            flags.set(ItemFlags::TIME_OF_TRANSFER, !mtimes.files);
        }
        first.get_or_insert(flags);
    }
    Ok(first)
}

/// What a basis tree has in the place of a directory. It need not be one that can be opened.
fn mirrored_directory(node: &Node, number: usize) -> Option<Metadata> {
    let metadata = match (&node.parent, node.path.components().last()) {
        (Some(parent), Some(name)) => {
            mirror_at(parent, number)?.stat(parent.target.name_of(name)).ok()?
        }
        _ => mirror_at(node, number)?.metadata().ok()?,
    };
    (metadata.kind == Kind::Directory).then_some(metadata)
}
