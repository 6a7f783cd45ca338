//! What becomes of a file that was not completed (rsync(1), `--partial`, `--partial-dir`), and of
//! complete files that are put into place at the end (`--delay-updates`).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use fs::staging::Staging;
use fs::{AccessTime, Dir, File, Times};
use model::settings::Partial;
use model::{Fault, Metadata, Timestamp, Verb};

use crate::attributes::ExtraChange;
use crate::entries::Entry;
use crate::hard_links::Dressed;
use crate::node::Node;
use crate::order::SegmentId;
use crate::parked::Parked;
use crate::run::Run;
use crate::task::Worker;
use crate::telling::Told;
use crate::transfer::brought;
use crate::transfer::whole::{self, Problem, Staged};
use crate::wanted::Wanted;
use crate::{backup, finalize, hard_links, newcomer};

/// Where complete files wait for the end of the run (rsync(1), `--delay-updates`).
const WAITING_DIR: &[u8] = b".~tmp~";

/// Keeps what an interrupted copy wrote, where the settings ask for it. `unbroken` says how much of
/// it is good, if not all: whoever goes on with it believes what is there.
/// Test: `an_interrupted_partial_file_is_completed_by_append_and_is_not_taken_for_newer`.
pub(crate) fn keep(
    run: &Run,
    entry: &Entry,
    mut staged: Staged,
    problem: &Problem,
    unbroken: Option<u64>,
) {
    let interrupted = matches!(problem, Problem::Stopped | Problem::Fault(_));
    let Some(dir) = entry.target_dir.as_ref().filter(|_| interrupted) else { return };
    if run.settings.write.partial == Partial::Discard || is_replaced(dir, entry) {
        return;
    }
    let cut = match unbroken {
        Some(len) => staged.file().set_len(len).map(|()| len),
        None => staged.file().metadata().map(|now| now.size),
    };
    // An empty part helps nobody, and one that cannot be cut lies.
    if !cut.is_ok_and(|len| len > 0) {
        return;
    }
    // Whoever interrupts a run wants an end; what cannot be kept is only work lost.
    match &run.settings.write.partial {
        Partial::Discard => {}
        Partial::Keep => {
            // What the part takes the place of is put aside first, or the part is given up.
            // Test: `a_kept_part_does_not_cost_the_old_file_its_backup`.
            if dress_part(run, entry, &staged).is_ok()
                && backup::keep_what_is_there(run, entry).is_ok()
            {
                drop(staged.staging.publish_replacing(dir, entry.target_name()));
            }
        }
        // Nothing goes on with a part there, and a run that does without the directory would not clear
        // it. Test: `a_hangup_ends_the_run_decently`.
        Partial::KeepIn(holder) if holder.as_os_str().as_bytes() == WAITING_DIR => {}
        Partial::KeepIn(holder) => {
            if let Ok(holder) = open_holder(dir, holder, Make::IfMissing) {
                drop(staged.staging.publish_replacing(&holder, entry.target_name()));
            }
        }
    }
}

/// Whether something else is there by now under the name of an entry. A run that was cut off from its
/// controller may end after the one that took its place has brought the file over.
/// Test: `what_is_cut_off_takes_nothing_back_from_what_took_its_place`.
fn is_replaced(dir: &Dir, entry: &Entry) -> bool {
    let seen = |metadata: &Metadata| (metadata.inode(), metadata.size, metadata.mtime);
    let before = entry.existing.as_ref().map(seen);
    match dir.stat(entry.target_name()) {
        Ok(now) => before != Some(seen(&now)),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Gives a part the owner and mode of the whole file, and a time that no later run takes for that of
/// something newer (`-u`) or complete.
fn dress_part(run: &Run, entry: &Entry, part: &Staged) -> io::Result<()> {
    let wanted = Wanted { mtime: Some(Timestamp::default()), atime: None, ..part.wanted };
    let extra = ExtraChange::default();
    let dressed = run.dress(part.file(), part.born, &wanted, &entry.source, extra);
    // The time is what counts; an owner that cannot be given is told of when the file is whole.
    part.file().set_times(Times { mtime: wanted.mtime, atime: None })?;
    match dressed {
        Err(unset) if unset.verb == Verb::SetMode => Err(unset.error),
        _ => Ok(()),
    }
}

/// Removes the kept part of a file that is now complete, and its directory when it is empty.
pub(crate) fn forget(run: &Run, entry: &Entry) {
    let Partial::KeepIn(path) = &run.settings.write.partial else { return };
    let Some(dir) = &entry.target_dir else { return };
    let Ok(holder) = open_holder(dir, path, Make::Never) else { return };
    // Neither the part nor its directory need be there.
    let removed = holder.remove_file(entry.target_name()).is_ok();
    if removed && path.is_relative() {
        drop(dir.remove_dir(path.as_os_str().as_bytes()));
    }
}

/// What an interrupted copy of an entry has left apart.
pub(crate) fn kept_part(run: &Run, entry: &Entry) -> Option<File> {
    let Partial::KeepIn(path) = &run.settings.write.partial else { return None };
    let holder = open_holder(entry.target_dir.as_ref()?, path, Make::Never).ok()?;
    holder.open_file(entry.target_name(), AccessTime::Keep).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    IfMissing,
    Never,
}

/// The directory that holds parts: below the file's directory, or one for all.
fn open_holder(dir: &Dir, path: &Path, make: Make) -> io::Result<Dir> {
    if path.is_absolute() {
        return fs::below::open_dir_below(dir, path);
    }
    let mut at = dir.clone();
    for component in path.components() {
        let name = component.as_os_str().as_bytes();
        at = match make {
            Make::IfMissing => at.open_or_make_child(name)?.0,
            Make::Never => at.open_child(name, AccessTime::Update)?,
        };
    }
    Ok(at)
}

/// A complete file that waits for the end of the run.
pub(crate) struct Waiting {
    pub(crate) parked: Parked,
    /// What it counts as in its place; `None` where an attribute could not be set and it has
    /// failed already.
    pub(crate) told: Option<Told>,
}

impl Waiting {
    /// Gives those that wait for the end of the run their places, in the order of speech.
    pub(crate) fn in_order(mut waiting: Vec<Self>) -> Vec<Self> {
        waiting.sort_by_cached_key(|waiting| waiting.parked.place());
        for waiting in &mut waiting {
            waiting.parked.speak_last();
        }
        waiting
    }
}

/// Puts a complete file aside until the end of the run; [`wait`] follows.
pub(crate) fn put_aside(run: &Run, entry: &Entry, staging: &mut Staging) -> Result<(), Fault> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let mut put = || -> io::Result<()> {
        let holder = open_holder(dir, Path::new(OsStr::from_bytes(WAITING_DIR)), Make::IfMissing)?;
        staging.publish_replacing(&holder, entry.target_name())
    };
    put().map_err(|error| entry.target_fault(Verb::PutAside, &error))?;
    entry.node.hold();
    hard_links::leader_is_put_aside(run, entry);
    Ok(())
}

/// Lets a file that was put aside wait for its place.
pub(crate) fn wait(run: &Run, entry: &Entry, told: Option<Told>) {
    run.later.lock().push(Waiting { parked: Parked::to_the_end(entry), told });
}

/// Puts a waiting file into place and lets go of its node.
pub(crate) fn run(worker: &mut Worker<'_>, waiting: Waiting) {
    let Waiting { parked, told } = waiting;
    match resume(worker, parked, told.is_none()) {
        Ok(entry) => {
            let (node, segment) = (Arc::clone(&entry.node), entry.segment);
            put_in_place(worker, entry, told);
            settle(worker, node, segment);
        }
        Err(node) => finalize::settle(worker, node),
    }
}

/// Settles a waiting file that will not be put into place: the run ends before.
pub(crate) fn give_up(worker: &mut Worker<'_>, waiting: Waiting) {
    let Waiting { parked, told } = waiting;
    match resume(worker, parked, told.is_none()) {
        Ok(entry) => {
            leave(worker, &entry, told.is_none());
            settle(worker, entry.node, entry.segment);
        }
        Err(node) => finalize::settle(worker, node),
    }
}

fn resume(worker: &mut Worker<'_>, parked: Parked, has_failed: bool) -> Result<Entry, Arc<Node>> {
    if has_failed { parked.resume_counted(worker) } else { parked.resume(worker) }
}

fn settle(worker: &mut Worker<'_>, node: Arc<Node>, segment: SegmentId) {
    worker.run.log.close(segment);
    finalize::settle(worker, node);
}

/// Takes back a file that the end of the run leaves without its place.
fn leave(worker: &mut Worker<'_>, entry: &Entry, has_failed: bool) {
    take_back(entry);
    if !has_failed {
        entry.stop(worker);
    }
    hard_links::leader_failed(worker, entry);
}

/// Removes a file that was put aside.
fn take_back(entry: &Entry) {
    let Some(dir) = &entry.target_dir else { return };
    // What cannot be removed stays where the next run with --delay-updates replaces it.
    if let Ok(holder) = dir.open_child(WAITING_DIR, AccessTime::Update) {
        drop(holder.remove_file(entry.target_name()));
        drop(dir.remove_dir(WAITING_DIR));
    }
}

/// Removes the directory in which a killed run let files wait, if nothing is left in it.
pub(crate) fn sweep(run: &Run, dir: &Dir, name: &[u8]) -> bool {
    run.settings.write.delay_updates
        && !run.settings.dry_run
        && name == WAITING_DIR
        && dir.remove_dir(WAITING_DIR).is_ok()
}

fn put_in_place(worker: &mut Worker<'_>, entry: Entry, told: Option<Told>) {
    match (put(worker.run, &entry), told) {
        (Ok(()), Some(told)) => {
            entry.settle(worker, told);
            brought::content_is_safe(worker, &entry);
        }
        // Its source, and those of its followers, stay.
        (Ok(()), None) => hard_links::leader_is_there(worker, &entry, Dressed::Partly),
        (Err(Problem::Fault(_)), Some(_)) if is_taken_along(&entry) => {
            newcomer::bring_anew(worker, entry);
        }
        (Err(Problem::LeftAlone(why)), told) => {
            take_back(&entry);
            if told.is_some() {
                whole::leave_alone(worker, &entry, why);
            }
            hard_links::leader_failed(worker, &entry);
        }
        (Err(Problem::Stopped | Problem::Changed), told) => leave(worker, &entry, told.is_none()),
        (Err(Problem::Fault(fault)), told) => {
            if told.is_some() {
                entry.fail(worker, fault);
            } else {
                worker.run.fault(&mut worker.scratch.totals, fault);
            }
            hard_links::leader_failed(worker, &entry);
        }
    }
}

fn put(run: &Run, entry: &Entry) -> Result<(), Problem> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let failed = |error: &io::Error| Problem::from(entry.target_fault(Verb::PutIntoPlace, error));
    let holder = dir.open_child(WAITING_DIR, AccessTime::Update).map_err(|error| failed(&error))?;
    let name = entry.target_name();
    whole::give_name(run, entry, Verb::PutIntoPlace, |existing| {
        holder.rename(name, dir, name, existing)
    })?;
    // The last one of a directory finds it empty.
    drop(dir.remove_dir(WAITING_DIR));
    Ok(())
}

/// Whether a file does not wait any more and its name has another: both do where two names are one.
fn is_taken_along(entry: &Entry) -> bool {
    let Some(dir) = &entry.target_dir else { return false };
    let waits = dir
        .open_child(WAITING_DIR, AccessTime::Update)
        .and_then(|holder| holder.stat(entry.target_name()));
    waits.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) && is_replaced(dir, entry)
}
