//! Finalize: a directory gets its attributes when all below it is done, whoever did the last of
//! it.

use std::io;
use std::sync::Arc;

use fs::{Dir, Times};
use model::settings::Perms;
use model::{Fault, ItemFlags, Metadata, Verb};

use crate::attributes::{self, AsksForExtra, ExtraChange};
use crate::node::{Finish, Node};
use crate::run::Run;
use crate::task::Worker;
use crate::wanted::{Wanted, same_time};

/// One task or child of a node is done; the last one finishes the node and what waits above.
pub(crate) fn settle(worker: &mut Worker<'_>, node: Arc<Node>) {
    let mut node = node;
    while node.release() {
        finish(worker, &node);
        node.reopen_parent();
        // Whoever climbs here may hold a node far below, and with it all nodes above.
        node.close_directories();
        let Some(parent) = &node.parent else { return };
        node = Arc::clone(parent);
    }
    if node.is_put_off() {
        node.close_directories();
    }
}

fn finish(worker: &mut Worker<'_>, node: &Node) {
    let run = worker.run;
    let Some(finish) = &node.finish else { return };
    let touched = node.target.is_touched();
    let widened =
        finish.before.is_some_and(|before| before.mode & 0o700 != 0o700) && !run.identity.is_root;
    // What is deleted before the transfer shows in times that the transfer then sets.
    if !run.pass().transfers() {
        if widened {
            narrow_again(worker, node, finish);
        }
        return;
    }
    let is_right = !(finish.differs || touched || widened || run.keeps_pretence());
    if run.settings.dry_run || is_right {
        return;
    }
    let dir = match node.target_dir() {
        Err(error) if run.ending.explains(&error) => return,
        dir => dir.map_err(failed(node, Verb::OpenDirectory)),
    };
    let done = dir.and_then(|dir| dir.map_or(Ok(()), |dir| dress(run, node, finish, &dir)));
    if let Err(fault) = done {
        run.fault(&mut worker.scratch.totals, fault);
    }
}

/// Makes faults at a node's own directory.
fn failed(node: &Node, verb: Verb) -> impl Fn(io::Error) -> Fault + '_ {
    move |error| node.target_fault(verb, b".", &error)
}

/// Gives a directory that was made passable the mode that it had.
fn narrow_again(worker: &mut Worker<'_>, node: &Node, finish: &Finish) {
    let run = worker.run;
    let Some(before) = finish.before.filter(|_| !run.settings.dry_run) else { return };
    let narrowed = node.target_dir().and_then(|dir| match dir {
        Some(dir) if dir.metadata()?.mode != before.mode => dir.set_own_mode(before.mode),
        _ => Ok(()),
    });
    if let Err(error) = narrowed {
        let fault = node.target_fault(Verb::SetMode, b".", &error);
        run.fault(&mut worker.scratch.totals, fault);
    }
}

/// Owner, extended attributes and ACLs, mode, times: in this order, and as many as can be set.
fn dress(run: &Run, node: &Node, finish: &Finish, dir: &Dir) -> Result<(), Fault> {
    if run.keeps_pretence() {
        return pretend(run, node, finish, dir);
    }
    let now = dir.metadata().map_err(failed(node, Verb::LookAt))?;
    let wanted = &finish.wanted;
    let uid = wanted.uid.filter(|uid| *uid != now.uid);
    let gid = wanted.gid.filter(|gid| *gid != now.gid);
    let owned = uid.is_some() || gid.is_some();
    if owned && let Err(error) = dir.set_own_owner(uid, gid) {
        // As in rsync: who may use it is left as it is, the times are set all the same.
        set_times(run, node, finish, dir, Precision::AsCompared)?;
        return Err(failed(node, Verb::SetOwner)(error));
    }
    let (brought, extra_set) = bring_extra(run, node, finish, dir);
    // Without -p a new directory keeps the set-group-id bit that it inherited.
    let inherits = finish.before.is_none() && run.settings.preserve.perms != Perms::Keep;
    let mode = wanted.mode | if inherits { now.mode & 0o2000 } else { 0 };
    let mut mode_set = Ok(());
    if now.mode != mode || brought.sets_mode || (owned && mode & 0o6000 != 0) {
        mode_set = dir.set_own_mode(mode).map_err(failed(node, Verb::SetMode));
    }
    let times_set = set_times(run, node, finish, dir, brought.precision);
    extra_set.and(mode_set).and(times_set)
}

/// What setting extended attributes and ACLs means for what is set after them.
#[derive(Clone, Copy, Debug, Default)]
struct Brought {
    /// An access ACL may have been set, which sets mode bits too.
    sets_mode: bool,
    precision: Precision,
}

/// How near a time must be to stay as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Precision {
    /// As near as it has to be to count as equal.
    #[default]
    AsCompared,
    /// As in rsync where extended attributes differ.
    Exact,
}

/// Extended attributes and ACLs.
fn bring_extra(run: &Run, node: &Node, finish: &Finish, dir: &Dir) -> (Brought, Result<(), Fault>) {
    if !run.settings.has_extra() {
        return (Brought::default(), Ok(()));
    }
    match crate::descend::extra(run, node) {
        Ok(extra) => {
            let extra = extra.with_mode_of(&finish.wanted);
            let written = extra.write(dir.into());
            let brought =
                Brought { sets_mode: extra.sets_mode(), precision: precision(run, &extra) };
            (brought, written.map_err(failed(node, Verb::SetAttributes)))
        }
        Err(fault) => (Brought::default(), Err(fault)),
    }
}

fn precision(run: &Run, extra: &ExtraChange) -> Precision {
    let differences = attributes::directory_differences(run, extra);
    if differences.contains(ItemFlags::XATTR) { Precision::Exact } else { Precision::AsCompared }
}

/// A time that counted as equal stays to the nanosecond where nothing was done in the directory.
fn set_times(
    run: &Run,
    node: &Node,
    finish: &Finish,
    dir: &Dir,
    precision: Precision,
) -> Result<(), Fault> {
    let Wanted { mtime, atime, .. } = finish.wanted;
    let window = run.settings.compare.modify_window_secs;
    let counts_as_equal =
        |before: &Metadata| mtime.is_some_and(|mtime| same_time(mtime, before.mtime, window));
    let is_untouched = precision == Precision::AsCompared && !node.target.is_touched();
    let mtime =
        mtime.filter(|_| !(is_untouched && finish.before.as_ref().is_some_and(counts_as_equal)));
    if mtime.is_none() && atime.is_none() {
        return Ok(());
    }
    let times = Times { mtime, atime };
    dir.set_own_times(times).map_err(failed(node, Verb::SetTimes))
}

/// `--fake-super`: owner and mode go into an attribute.
fn pretend(run: &Run, node: &Node, finish: &Finish, dir: &Dir) -> Result<(), Fault> {
    let extra = if run.settings.has_extra() {
        crate::descend::extra(run, node)
    } else {
        Ok(ExtraChange::default())
    };
    let written =
        extra.and_then(|extra| extra.write(dir.into()).map_err(failed(node, Verb::SetAttributes)));
    // Whatever became of the others, as for files.
    let pretended = crate::fake_super::write_directory(dir, &finish.wanted, &finish.source)
        .map_err(failed(node, Verb::SetAttributes));
    let times = set_times(run, node, finish, dir, Precision::AsCompared);
    written.and(pretended).and(times)
}
