//! A device, pipe or socket.

use model::{ItemFlags, Verb, Verdict};

use crate::attributes::{self, AsksForExtra};
use crate::entries::Entry;
use crate::run::Run;
use crate::task::{Cost, Worker};
use crate::telling::Told;
use crate::transfer::whole::content_is_safe;
use crate::{backup, basis, delete, fake_super, hard_links};

/// Brings a node over.
pub(crate) fn bring(worker: &mut Worker<'_>, mut entry: Entry) -> Cost {
    let run = worker.run;
    let same = entry.existing.is_some_and(|existing| {
        existing.kind == entry.source.kind
            && (!existing.kind.is_device() || existing.rdev == entry.source.rdev)
    });
    if same {
        return crate::entries::keep_content(worker, &entry);
    }
    if !run.settings.basis.dirs.is_empty() && entry.existing.is_none() {
        match basis::bring_other(worker, entry, None) {
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
    let kin = |existing: &model::Metadata| {
        let (old, new) = (existing.kind, entry.source.kind);
        (old.is_special() && new.is_special()) || (old.is_device() && new.is_device())
    };
    match before.or(entry.reference).filter(kin) {
        Some(existing) => {
            let wanted = Entry { existing: None, ..entry.clone() }.wanted(run);
            flags |= wanted.differences(&run.settings, &existing);
            if !run.settings.preserve.mtimes.files {
                flags |= ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER;
            }
        }
        None => flags |= ItemFlags::NEW,
    }
    if !run.settings.dry_run
        && let Err(fault) = make(worker, &entry)
    {
        entry.fail(worker, fault);
        hard_links::leader_failed(worker, &entry);
        return Cost::Change;
    }
    if !run.settings.dry_run
        && let Err(fault) = dress(run, &entry)
    {
        // It is there and others may be linked to it.
        entry.fail(worker, fault);
        hard_links::leader_is_there(worker, &entry);
        return Cost::Change;
    }
    if entry.is_matched {
        flags = ItemFlags::LOCAL_CHANGE;
    }
    let verdict = if before.is_none() { Verdict::Copied } else { Verdict::Updated };
    entry.conclude(worker, verdict, Told::flags(flags));
    content_is_safe(worker, &entry);
    Cost::Change
}

fn make(worker: &Worker<'_>, entry: &Entry) -> Result<(), model::Fault> {
    let run = worker.run;
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let name = entry.target_name();
    entry.node.touch();
    let failed = |error: &std::io::Error| entry.target_fault(Verb::MakeNode, error);
    let (kind, rdev) = (entry.source.kind, entry.source.rdev);
    let make_as = |name: &[u8]| {
        if run.keeps_pretence() {
            fake_super::make_stand_in(dir, name, b"")
        } else {
            dir.make_node(name, kind, 0o600, rdev)
        }
    };
    if entry.existing.is_some() {
        if run.settings.backup.enabled {
            backup::keep(run, entry)?;
        }
        fs::replace::replace_with(dir, name, make_as).map_err(|error| failed(&error))?;
    } else {
        make_as(name).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn dress(run: &Run, entry: &Entry) -> Result<(), model::Fault> {
    let extra = if run.settings.has_extra() {
        attributes::of_source(run, entry)?
    } else {
        attributes::Extra::default()
    };
    attributes::dress_named(run, &Entry { existing: None, ..entry.clone() }, &extra)
}
