//! A device, pipe or socket.

use fs::Dir;
use model::{Fault, ItemFlags, Metadata, Verb};

use crate::entries::{Entry, keep_content};
use crate::run::Run;
use crate::task::{Cost, Worker};
use crate::transfer::made::{self, Making};
use crate::{attributes, basis, fake_super};

/// Brings a node over.
pub(crate) fn bring(worker: &mut Worker<'_>, mut entry: Entry) -> Cost {
    let run = worker.run;
    let same = entry.existing.is_some_and(|existing| {
        existing.kind == entry.source.kind
            && (!existing.kind.is_device() || existing.rdev == entry.source.rdev)
    });
    if same {
        return keep_content(worker, &entry);
    }
    if !run.settings.basis.dirs.is_empty() && entry.existing.is_none() {
        match basis::bring_other(worker, entry) {
            Ok(cost) => return cost,
            Err(unmet) => entry = *unmet,
        }
    }
    let (kind, rdev) = (entry.source.kind, entry.source.rdev);
    let make_as = |dir: &Dir, name: &[u8]| {
        if run.keeps_pretence() {
            fake_super::make_stand_in(dir, name, b"")
        } else {
            dir.make_node(name, kind, 0o600, rdev)
        }
    };
    made::bring(worker, entry, &Making { verb: Verb::MakeNode, make: &make_as, letters })
}

/// What is told of a new node: how it differs from what it takes the place of, or from what a basis
/// tree has.
fn letters(run: &Run, entry: &Entry, before: Option<Metadata>) -> Result<ItemFlags, Fault> {
    let flags = ItemFlags::LOCAL_CHANGE | ItemFlags::CHECKSUM;
    // As rsync tells it: a pipe that becomes a socket has changed, anything else is new.
    let is_kin = |existing: &Metadata| existing.kind.is_kin_of(entry.source.kind);
    let Some(existing) = before.or(entry.reference).filter(is_kin) else {
        return Ok(flags | ItemFlags::NEW);
    };
    let wanted = entry.wanted_in_place_of(run, Some(&existing));
    let mut flags = flags | wanted.differences(&run.settings, &existing);
    if !run.settings.preserve.mtimes.files {
        flags |= ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER;
    }
    // Of what it takes the place of rsync compares no more: by then it is gone.
    if before.is_none() {
        flags |= attributes::told_extra_differences(run, entry)?;
    }
    Ok(flags)
}
