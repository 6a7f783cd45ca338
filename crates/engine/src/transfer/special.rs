//! A device, pipe or socket.

use fs::Dir;
use model::{ItemFlags, Verb, Verdict};

use crate::entries::{Entry, keep_content};
use crate::task::{Cost, Worker};
use crate::telling::Line;
use crate::transfer::made::{self, Making};
use crate::{basis, delete, fake_super};

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
    let before = entry.existing;
    if let Some(existing) = before {
        if existing.kind == model::Kind::Directory && !delete::obstacle(worker, &entry, &existing) {
            return Cost::Change;
        }
        if existing.kind == model::Kind::Directory {
            entry.existing = None;
        }
    }
    let mut flags = ItemFlags::LOCAL_CHANGE | ItemFlags::CHECKSUM;
    // As rsync tells it: a pipe that becomes a socket has changed, anything else is new.
    let is_kin = |existing: &model::Metadata| existing.kind.is_kin_of(entry.source.kind);
    match before.or(entry.reference).filter(is_kin) {
        Some(existing) => {
            let wanted = entry.wanted_in_place_of(run, Some(&existing));
            flags |= wanted.differences(&run.settings, &existing);
            if !run.settings.preserve.mtimes.files {
                flags |= ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER;
            }
        }
        None => flags |= ItemFlags::NEW,
    }
    let (kind, rdev) = (entry.source.kind, entry.source.rdev);
    let make_as = |dir: &Dir, name: &[u8]| {
        if run.keeps_pretence() {
            fake_super::make_stand_in(dir, name, b"")
        } else {
            dir.make_node(name, kind, 0o600, rdev)
        }
    };
    let verdict = if before.is_none() { Verdict::Copied } else { Verdict::Updated };
    let making = Making { verb: Verb::MakeNode, make: &make_as };
    made::bring(worker, &entry, Line { verdict, flags }, &making)
}
