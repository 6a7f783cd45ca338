//! A symbolic link, replaced in one step where one is there already.

use fs::Dir;
use model::{Fault, ItemFlags, Kind, Metadata, Topic, Verb};

use crate::entries::{Entry, keep_content, sent_target, stored_target};
use crate::run::Run;
use crate::task::{Cost, Worker};
use crate::transfer::made::{self, Making};
use crate::{attributes, basis, fake_super, links};

/// Brings a symlink over.
pub(crate) fn bring(worker: &mut Worker<'_>, mut entry: Entry) -> Cost {
    let run = worker.run;
    let target = match run.read_link(&entry.source_dir, &entry.name) {
        Ok(target) => target,
        Err(error) => {
            let fault = entry.source_fault(Verb::ReadLink, &error);
            entry.fail(worker, fault);
            return Cost::Compare;
        }
    };
    if run.settings.links.skip_unsafe
        && links::is_unsafe(sent_target(run, &target), &entry.node.path)
    {
        entry.skip(worker, Topic::Symsafe, |path| {
            [b"ignoring unsafe symlink \"", path, b"\" -> \"", &target, b"\""].concat()
        });
        return Cost::Compare;
    }
    let stored = stored_target(run, &target);
    let is_link = entry.existing.is_some_and(|existing| existing.kind == Kind::Symlink);
    let is_same = |dir: &Dir| has_target(run, dir, entry.target_name(), &stored);
    if is_link && entry.target_dir.as_ref().is_some_and(is_same) {
        return keep_content(worker, &entry);
    }
    if !run.settings.basis.dirs.is_empty() && entry.existing.is_none() {
        match basis::bring_other(worker, entry) {
            Ok(cost) => return cost,
            Err(unmet) => entry = *unmet,
        }
    }
    make(worker, entry, &stored)
}

/// True when a link of the destination, or of a basis tree, has this text.
pub(crate) fn has_target(run: &Run, dir: &Dir, name: &[u8], stored: &[u8]) -> bool {
    // With --fake-super a link is kept as a file that stands for it, and a real one is none.
    let is_real = || dir.stat(name).is_ok_and(|now| now.kind == Kind::Symlink);
    if run.keeps_pretence() && is_real() {
        return false;
    }
    run.read_link(dir, name).is_ok_and(|there| there == stored)
}

/// Makes the link, in place of whatever has its name.
fn make(worker: &mut Worker<'_>, entry: Entry, stored: &[u8]) -> Cost {
    let run = worker.run;
    let make_as = |dir: &Dir, name: &[u8]| {
        if run.keeps_pretence() {
            fake_super::make_stand_in(dir, name, stored)
        } else {
            dir.make_symlink(stored, name)
        }
    };
    made::bring(worker, entry, &Making { verb: Verb::MakeLink, make: &make_as, letters })
}

/// What is told of a new link: how it differs from the one that was there, or in a basis tree.
fn letters(run: &Run, entry: &Entry, before: Option<Metadata>) -> Result<ItemFlags, Fault> {
    let flags = ItemFlags::LOCAL_CHANGE | ItemFlags::CHECKSUM;
    let is_link = |existing: &Metadata| existing.kind == Kind::Symlink;
    let Some(existing) = before.or(entry.reference).filter(is_link) else {
        return Ok(flags | ItemFlags::NEW);
    };
    let mut flags = flags | entry.wanted(run).differences(&run.settings, &existing);
    if !run.settings.preserve.mtimes.symlinks {
        flags |= ItemFlags::MTIME;
        // Without -t at all it is the time of the transfer, with -J rsync leaves it open.
        flags.set(ItemFlags::TIME_OF_TRANSFER, !run.settings.preserve.mtimes.files);
    }
    Ok(flags | attributes::told_extra_differences(run, entry)?)
}
