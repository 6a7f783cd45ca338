//! The whole of a run: what is picked, the passes over the tree, what is left for the end.

use std::collections::HashSet;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use filter::{Rules, Scope};
use fs::Dir;
use model::settings::{BasisAction, DeleteWhen, Workers};
use model::{
    Cause, Fault, Inode, Item, ItemFlags, Job, Kind, Metadata, RelPath, Side, Summary, Topic, Verb,
    Verdict,
};

use crate::backup;
use crate::delete;
use crate::delete::missing::Missing;
use crate::descriptors::Descriptors;
use crate::destination::{self, Opened};
use crate::endpoint::{Endpoint, RemoteSource};
use crate::error::SetupError;
use crate::merge_files::{rules_in_force, rules_of};
use crate::node::{
    Before, Content, Finish, Ground, Handle, Layer, Node, Origin, SourceSide, Target, TargetSide,
    ThroughLink, is_listed,
};
use crate::order::OrderedLog;
use crate::pass::{Pass, Turn};
use crate::run::{Limits, Run, Stop, Surroundings};
use crate::scan;
use crate::selection::{Filtered, Root, Selection, Unreadable};
use crate::task::Task;
use crate::telling::Line;
use crate::timer::Timer;
use crate::transfer::partial::Waiting;
use crate::wanted::Wanted;
use crate::{descend, inheritance};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Totals; a run that was stopped has them too.
    pub summary: Summary,
    /// Why it ended before all was done, if it did so by itself.
    pub stopped: Option<Stop>,
    /// True when it was cancelled from outside.
    pub cancelled: bool,
}

/// Brings the destination into the state of the source.
///
/// Paths that fail are faults: they go to the sink and into the summary, and the run goes on.
pub fn run(job: &Job, rules: &Arc<Rules>, around: &Surroundings) -> Result<Outcome, SetupError> {
    run_at(&Endpoint::Local, job, rules, around)
}

/// The same of a source that lies on another host.
pub fn run_from(
    source: &RemoteSource,
    job: &Job,
    rules: &Arc<Rules>,
    around: &Surroundings,
) -> Result<Outcome, SetupError> {
    run_at(&Endpoint::remote(source, &job.settings, &around.cancel), job, rules, around)
}

fn run_at(
    endpoint: &Endpoint,
    job: &Job,
    rules: &Arc<Rules>,
    around: &Surroundings,
) -> Result<Outcome, SetupError> {
    let descriptors = Descriptors::raise().within(endpoint.handles());
    let mut selection = Selection::new(endpoint, job, rules, descriptors.roots)?;
    if let Some(empty) = selection.empty.take() {
        let path = Path::new(std::ffi::OsStr::from_bytes(&empty)).to_owned();
        return Err(SetupError::EmptySource { path });
    }
    let nothing = selection.is_nothing();
    let opened = if nothing && endpoint.is_pulled() {
        None
    } else {
        destination::open(job, rules, &selection)?
    };
    let workers = workers(job, endpoint);
    let ceiling = match workers {
        sched::Workers::Fixed(count) | sched::Workers::Auto { ceiling: count, .. } => count.get(),
    };
    let limits = Limits { workers: ceiling, descriptors };
    let mut shared = Run::new(job, around, endpoint, opened.as_ref(), limits)?;
    shared.known_full.protecting =
        (!rules.is_empty()).then(|| receiver_rules(rules, opened.as_ref()));
    shared.deletion.missing = Missing::new(std::mem::take(&mut selection.missing));
    shared.deletion.source_inodes = inodes_up_to_the_top(&selection);
    shared.links.meets_entries_again = job.settings.links.follows_some() || selection.may_overlap();
    let run = Arc::new(shared);
    backup::tell_dir(&run);
    tell_notes(&run, &selection, opened.as_ref());
    tell_unreadable(&run, &mut selection);
    let settings = sched::Settings { workers, ..sched::Settings::default() };
    if !nothing {
        let top = Top { rules, selection, opened };
        let _timer = Timer::start(&run).map_err(SetupError::Timer)?;
        passes(&run, top, &settings)?;
    }
    tell_passing_fault(&run);
    tell_repairs(&run, endpoint.repairs());
    let lost = || endpoint.lost().map(|why| Stop::SourceLost(why.into()));
    let stopped = run.ending.reason().or_else(lost);
    let cancelled = around.cancel.is_cancelled() && stopped.is_none();
    Ok(Outcome { summary: run.scratches.totals(), stopped, cancelled })
}

/// Tells of a fault that kept deletions back and was gone when the tree was gone through again: what
/// was to be deleted is still there. So it does where the run ended before that.
fn tell_passing_fault(run: &Run) {
    let Some(fault) = run.deletion.take_untold() else { return };
    let may_be_told = run.pass().transfers() && run.scratches.totals().faults > 0;
    if !may_be_told {
        run.tell_fault(&mut run.scratches.of(0).totals, fault);
    }
}

/// Tells that something between both hosts damages what goes through it: all is well this time.
fn tell_repairs(run: &Run, repairs: u64) {
    if repairs > 0 {
        let text = || format!("answers that came damaged and were asked for again: {repairs}");
        run.say(OrderedLog::ROOT, Topic::Warning, || text().into_bytes());
    }
}

/// The source roots and all directories above them.
fn inodes_up_to_the_top(selection: &Selection) -> HashSet<Inode> {
    let mut inodes = HashSet::new();
    for root in &selection.roots {
        // What cannot be opened any more is told of when it is listed.
        match root.dir() {
            Ok(dir) => {
                if let Some(dir) = dir.on_this_host() {
                    add_inodes_up_to_the_top(dir, root.metadata, &mut inodes);
                }
            }
            Err(_) => drop(inodes.insert(root.metadata.inode())),
        }
    }
    inodes
}

/// Ends at the top, whose parent is itself, or where a path met another.
fn add_inodes_up_to_the_top(dir: &Dir, metadata: Metadata, inodes: &mut HashSet<Inode>) {
    let (mut dir, mut metadata) = (dir.clone(), metadata);
    while inodes.insert(metadata.inode()) {
        let Ok(above) = fs::below::open_dir_below(&dir, Path::new("..")) else { break };
        let Ok(above_metadata) = above.metadata() else { break };
        (dir, metadata) = (above, above_metadata);
    }
}

/// True when the destination is inside a source whose content is listed.
fn lies_in_a_source(top: &Top<'_>, opened: &Opened) -> bool {
    let Some((dir, metadata)) = &opened.dir else { return false };
    let mut above = HashSet::new();
    add_inodes_up_to_the_top(dir, *metadata, &mut above);
    above.remove(&metadata.inode());
    let roots = top.selection.roots.iter();
    roots
        .filter(|root| root.content == Content::Listed)
        .any(|root| above.contains(&root.metadata.inode()))
}

fn workers(job: &Job, endpoint: &Endpoint) -> sched::Workers {
    /// With a source on another host, however near that is: what many ask at a time goes there together,
    /// and is answered together. Measured: of trees with few files in a directory 32 bring a third more
    /// than 8.
    const FROM_AFAR: usize = 32;
    if let Workers::Fixed(count) = job.settings.limits.workers {
        return sched::Workers::Fixed(count);
    }
    let mut workers = sched::Workers::default();
    if let (Some(round_trip), sched::Workers::Auto { least, ceiling, .. }) =
        (endpoint.round_trip(), &mut workers)
    {
        // One for each millisecond: with what each asks for ahead they fill a fast line.
        let wanted = usize::try_from(round_trip.as_millis()).unwrap_or(usize::MAX).max(FROM_AFAR);
        *least = NonZeroUsize::new(wanted).map_or(*least, |wanted| wanted.min(*ceiling));
    }
    workers
}

/// What a pass begins with.
struct Top<'a> {
    rules: &'a Arc<Rules>,
    selection: Selection,
    opened: Option<Opened>,
}

fn passes(run: &Arc<Run>, mut top: Top<'_>, settings: &sched::Settings) -> Result<(), SetupError> {
    let picked = Arc::new(std::mem::take(&mut top.selection.picked));
    let overlaps = top.opened.as_ref().is_some_and(|opened| lies_in_a_source(&top, opened));
    run.deletion.permit(run.settings.delete.limit);
    for (number, pass) in Pass::of(&run.settings, overlaps).iter().enumerate() {
        // What ended one pass leaves the roots to no other.
        if run.ending.has_begun() {
            break;
        }
        let turn = if number == 0 { Turn::First } else { Turn::Later };
        run.begin_pass(*pass, turn);
        let before = run.scratches.totals();
        let root = match root_node(run, &top, &picked) {
            Ok(root) => Arc::new(root),
            Err(error) if turn == Turn::First => return Err(error),
            // What the passes before it did is done, and counted.
            Err(error) => {
                run.ending.begin(Stop::Unprepared(error.to_string().into()));
                break;
            }
        };
        let mut seeds = vec![Task::Expand(Arc::clone(&root))];
        // Groups of hard links and files put aside are done when the tree has been gone through.
        let workers = pass.workers(run.settings.delete.limit, settings.workers);
        let settings = &sched::Settings { workers, ..*settings };
        while !seeds.is_empty() {
            let ended = sched::run(settings, &run.ending.token, seeds);
            if let sched::End::Panicked(message) = ended.end {
                run.ending.begin(Stop::Internal(message.into()));
            }
            // After a cancellation these are only settled.
            seeds = left_for_later(run, &top);
        }
        insist_on_the_end(run, &root);
        if !pass.transfers() {
            run.scratches.keep_only_deletions(&before);
        }
        if pass.measures() {
            run.deletion.permit(run.settings.delete.limit);
        }
    }
    Ok(())
}

/// A pass that nobody cancelled has done all that it began; anything else is a bug of ours, and must
/// not look like success.
fn insist_on_the_end(run: &Run, root: &Node) {
    if run.ending.has_begun() {
        return;
    }
    if root.is_held() {
        run.ending.begin(Stop::Internal("a directory was not finished".into()));
    } else if !run.links.is_empty() {
        run.ending.begin(Stop::Internal("hard links were not made".into()));
    }
}

fn left_for_later(run: &Arc<Run>, top: &Top<'_>) -> Vec<Task> {
    let mut tasks: Vec<Task> = run.links.take_incomplete(run).into_iter().collect();
    if tasks.is_empty() {
        let waiting = Waiting::in_order(std::mem::take(&mut *run.later.lock()));
        tasks = waiting.into_iter().map(Box::new).map(Task::PutInPlace).collect();
    }
    if tasks.is_empty() {
        tasks = run.links.take_orphans();
    }
    if tasks.is_empty() {
        delete::later::take(run, &receiver_rules(top.rules, top.opened.as_ref()))
    } else {
        tasks
    }
}

/// Tells of the arguments that cannot be read.
fn tell_unreadable(run: &Run, selection: &mut Selection) {
    let mut scratch = run.scratches.of(0);
    for Unreadable { typed, name, error } in std::mem::take(&mut selection.unreadable) {
        let cause = Cause::from(&error);
        let fault = Fault { side: Side::Source, verb: Verb::LookAt, path: typed, cause };
        let item = Item::failed(argument_path(&name), Metadata::unknown(Kind::File), &fault);
        run.source_fault(&mut scratch.totals, fault);
        run.conclude(&mut scratch.totals, OrderedLog::ROOT, Line::from(&item), || item);
    }
    for path in std::mem::take(&mut selection.vanished) {
        let cause = Cause::Vanished;
        let fault = Fault { side: Side::Source, verb: Verb::LookAt, path, cause };
        run.source_fault(&mut scratch.totals, fault);
    }
}

/// Tells which directories are left out, which were made, and which cannot be used.
fn tell_notes(run: &Run, selection: &Selection, opened: Option<&Opened>) {
    for (path, error) in &run.destination.lacking_basis_roots {
        let option = match run.settings.basis.action {
            BasisAction::Omit => "--compare-dest",
            BasisAction::Copy => "--copy-dest",
            BasisAction::Link => "--link-dest",
        };
        let text = || format!("{option}={}: {error}; the run goes on without it", path.display());
        run.say(OrderedLog::ROOT, Topic::Warning, || text().into_bytes());
    }
    for argument in &selection.filtered {
        tell_filtered(run, argument);
    }
    for name in &selection.skipped {
        let text = || [b"skipping directory ", &name[..]].concat();
        run.say(OrderedLog::ROOT, Topic::Notice, text);
        let reason = || String::from_utf8_lossy(&text()).into_owned();
        leave_out(run, Verdict::Skipped, name, Kind::Directory, reason);
    }
    for note in opened.into_iter().flat_map(|opened| &opened.notes) {
        run.say(OrderedLog::ROOT, Topic::Made, || note.clone());
    }
}

/// Says that a rule is about an argument; counts it if that leaves it out.
fn tell_filtered(run: &Run, Filtered { name, kind, ruling }: &Filtered) {
    let doing: &[u8] = if ruling.hides { b"[sender] hiding " } else { b"[sender] showing " };
    scan::tell_filtered(run, OrderedLog::ROOT, doing, name, Some(*kind), &ruling.pattern);
    if ruling.hides {
        leave_out(run, Verdict::Excluded, name, *kind, || ruling.rule.clone());
    }
}

/// Counts an argument that is left out.
fn leave_out(
    run: &Run,
    verdict: Verdict,
    name: &[u8],
    kind: Kind,
    reason: impl FnOnce() -> String,
) {
    let unknown = Metadata::unknown(kind);
    let item = || Item::new(argument_path(name), unknown, verdict).because(reason());
    run.conclude(&mut run.scratches.of(0).totals, OrderedLog::ROOT, Line::bare(verdict), item);
}

/// The path that an argument would have at the destination.
fn argument_path(name: &[u8]) -> RelPath {
    let components = name.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    let path = components.collect::<Vec<_>>().join(&b'/');
    RelPath::new(&path).unwrap_or_else(RelPath::root)
}

/// The node of the transfer root.
fn root_node(
    run: &Arc<Run>,
    top: &Top<'_>,
    picked: &Arc<crate::selection::Picked>,
) -> Result<Node, SetupError> {
    let target = root_target(run, top)?;
    let numbered = (0..=u16::MAX).zip(&top.selection.roots);
    let layers: Vec<Layer> =
        numbered.map(|(number, root)| layer(top, number, root)).collect::<Result<_, _>>()?;
    let mut receiver_scope = receiver_rules(top.rules, top.opened.as_ref());
    if run.settings.delete.when != DeleteWhen::Never && is_listed(&layers) {
        let dir = target.if_open();
        receiver_scope = rules_in_force(&receiver_scope, &RelPath::root(), dir.as_ref())?;
    }
    let itself = top.selection.roots.iter().position(|root| root.is_sent).unwrap_or(0);
    let mut source = SourceSide::new(layers, itself, || base_scope(top.rules, b"."));
    source.picked = (!picked.names.is_empty()).then(|| Arc::clone(picked));
    let mut target = TargetSide::new(target, receiver_scope);
    target.renamed = top.opened.as_ref().and_then(|opened| opened.renamed.clone());
    let mut node = Node::root(run, run.log.open(OrderedLog::ROOT), source, target);
    if let Some(root) = top.selection.roots.iter().find(|root| root.is_sent) {
        compare_root(run, top, root, &mut node)?;
    }
    Ok(node)
}

fn root_target(run: &Run, top: &Top<'_>) -> Result<Target, SetupError> {
    let Some(opened) = &top.opened else { return Ok(Target::Absent) };
    let Some((dir, metadata)) = &opened.dir else { return Ok(Target::Absent) };
    let failed = |error| run.destination.fault(Verb::LookAt, &RelPath::root(), &error);
    Ok(Target::Present {
        ground: Ground::of(dir).map_err(failed)?,
        handle: Handle::new(dir.clone(), metadata),
        through_link: ThroughLink::No,
        // After the first pass it holds what that pass made.
        listing: if run.pass().transfers() { opened.listing } else { Before::Anything },
    })
}

/// Compares the top directory of the source with the destination, and prepares its line and end.
fn compare_root(run: &Run, top: &Top<'_>, root: &Root, node: &mut Node) -> Result<(), SetupError> {
    let is_new = top.opened.as_ref().is_none_or(|opened| opened.is_new);
    let existing = top.opened.as_ref().and_then(|opened| opened.dir.as_ref());
    // Looked at again: a pass that deletes may have come before.
    let look = |dir: &Dir| dir.metadata().ok().map(|now| run.as_pretended_dir(dir, now));
    let existing = existing.filter(|_| !is_new).and_then(|(dir, _)| look(dir));
    // What cannot be read is told of when the root is listed.
    let source = root.dir().map_or(root.metadata, |dir| run.as_pretended_dir(&dir, root.metadata));
    let wanted = descend::wanted(run, node, &source, existing);
    let is_one_entry = top.opened.as_ref().is_some_and(|opened| opened.is_one_entry);
    let flags = if existing.is_none() && is_one_entry {
        // Nothing at the basis trees stands for a root that is made for one entry.
        ItemFlags::NEW | ItemFlags::LOCAL_CHANGE
    } else {
        match descend::compare(run, node, existing.as_ref(), &source, &wanted) {
            Ok(flags) => flags,
            // What is in it may do better.
            Err(fault) => {
                fail_root(run, node, root.metadata, fault);
                return Ok(());
            }
        }
    };
    let differs = existing.is_none() || flags.is_significant();
    widen_root(run, node, existing.as_ref());
    pass_on_from_root(run, node, &wanted)?;
    node.finish = Some(Finish { source, wanted, before: existing, differs });
    // By --existing it may stay away.
    let is_there = existing.is_some() || matches!(node.target.dir, Target::Present { .. });
    if is_there || !run.settings.compare.existing_only {
        speak_of_root(run, node, existing.is_none(), flags);
    }
    Ok(())
}

/// Counts the root as failed and tells why.
fn fail_root(run: &Run, node: &Node, metadata: Metadata, fault: Fault) {
    let item = Item::failed(RelPath::root(), metadata, &fault);
    let totals = &mut run.scratches.of(0).totals;
    run.source_fault(totals, fault);
    run.conclude(totals, node.segment, Line::from(&item), || item);
}

/// As rsync: a destination that its owner cannot read or write to is made passable for the run, if
/// that can be done, and used as it is if not.
fn widen_root(run: &Run, node: &Node, existing: Option<&Metadata>) {
    let Some(existing) = existing.filter(|existing| existing.mode & 0o700 != 0o700) else {
        return;
    };
    if run.identity.is_root || run.settings.dry_run {
        return;
    }
    let Target::Present { handle, .. } = &node.target.dir else { return };
    let widen = || -> io::Result<()> {
        let Some(dir) = node.target_dir()? else { return Ok(()) };
        dir.set_own_mode(existing.mode | 0o700)?;
        // It may have been opened without being read.
        handle.keep(&run.budgets.open_dirs, &dir.reopen()?);
        Ok(())
    };
    if let Err(error) = widen() {
        let fault = node.target_fault(Verb::MakePassable, b".", &error);
        run.fault(&mut run.scratches.of(0).totals, fault);
    }
}

/// As below it: what the root passes on to what is made in it is set at once.
fn pass_on_from_root(run: &Run, node: &Node, wanted: &Wanted) -> Result<(), SetupError> {
    let Target::Present { listing, .. } = node.target.dir else { return Ok(()) };
    if run.settings.dry_run || !run.pass().transfers() {
        return Ok(());
    }
    let passed_on = node.target_dir().and_then(|dir| {
        let Some(dir) = dir else { return Ok(()) };
        inheritance::pass_on(run, &dir, &dir.metadata()?, wanted, listing);
        Ok(())
    });
    passed_on.map_err(|error| node.target_fault(Verb::LookAt, b".", &error).into())
}

fn layer(top: &Top<'_>, number: u16, root: &Root) -> Result<Layer, SetupError> {
    let mut scope = Scope::root(Arc::clone(top.rules), &root.place.absolute());
    // A directory that only names were picked from has no say on the others.
    if root.content == Content::Listed {
        scope = rules_of(&scope, &RelPath::root(), || root.dir().map(Some))?;
    }
    Ok(Layer {
        origin: Origin::Root(root.place.clone()),
        handle: root.handle.another(),
        content: root.content,
        root_device: root.metadata.dev,
        root: number,
        source: root.source,
        scope,
    })
}

fn speak_of_root(run: &Run, node: &Node, is_new: bool, flags: ItemFlags) {
    let mut scratch = run.scratches.of(0);
    crate::telling::speak_to(run, &mut scratch.totals, node, is_new, flags);
}

/// The rules of the command line for a root, before any merge file of a directory is read.
fn base_scope(rules: &Arc<Rules>, root: &[u8]) -> Scope {
    Scope::root(Arc::clone(rules), &absolute(root))
}

/// The same at the receiver.
fn receiver_rules(rules: &Arc<Rules>, opened: Option<&Opened>) -> Scope {
    base_scope(rules, opened.map_or(&b"."[..], |opened| &opened.shown))
}

/// A root as it reads from `/`.
pub(crate) fn absolute(shown: &[u8]) -> Vec<u8> {
    let path = Path::new(std::ffi::OsStr::from_bytes(shown));
    fs::below::absolute(path).into_os_string().into_encoded_bytes()
}
