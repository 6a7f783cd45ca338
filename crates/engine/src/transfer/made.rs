//! What has no content of its own to transfer and is made under its name: a symlink, a device, a
//! pipe, a socket. What is there already is replaced in one step.

use std::io;

use fs::Dir;
use model::{Fault, ItemFlags, Kind, Metadata, Verb, Verdict};

use crate::attributes::{self, AsksForExtra, Extra};
use crate::entries::Entry;
use crate::hard_links::{self, Dressed};
use crate::newcomer::{self, Unmade};
use crate::run::Run;
use crate::task::{Cost, Worker};
use crate::telling::{Line, Told};
use crate::transfer::brought::content_is_safe;
use crate::transfer::in_work;
use crate::transfer::whole::{Problem, leave_alone};
use crate::{backup, delete};

/// How an entry is made.
pub(super) struct Making<'a> {
    /// What is told when it fails.
    pub(super) verb: Verb,
    /// Makes it under a name that is free.
    pub(super) make: &'a dyn Fn(&Dir, &[u8]) -> io::Result<()>,
    /// What is told of it beside what had its name.
    pub(super) letters: fn(&Run, &Entry, Option<Metadata>) -> Result<ItemFlags, Fault>,
}

/// Makes an entry in place of whatever has its name, dresses it and tells of it.
pub(super) fn bring(worker: &mut Worker<'_>, mut entry: Entry, making: &Making<'_>) -> Cost {
    let run = worker.run;
    let before = entry.existing;
    if !delete::directory_gives_way(worker, &mut entry) {
        return Cost::Change;
    }
    let flags = match (making.letters)(run, &entry, before) {
        Ok(flags) => flags,
        Err(fault) => {
            entry.fail(worker, fault);
            return Cost::Change;
        }
    };
    let verdict = if before.is_none() { Verdict::Copied } else { Verdict::Updated };
    let line = Line { verdict, flags };
    if !run.settings.dry_run {
        if let Err(unmade) = make(run, &entry, making) {
            give_up(worker, entry, unmade);
            return Cost::Change;
        }
        if let Err(fault) = dress(run, &entry) {
            // It is there and others may be linked to it.
            entry.fail(worker, fault);
            hard_links::leader_is_there(worker, &entry, Dressed::Partly);
            return Cost::Change;
        }
    }
    // rsync does not tell of what an exact copy in a basis tree gave.
    let flags = if entry.is_matched { ItemFlags::LOCAL_CHANGE } else { line.flags };
    entry.conclude(worker, Told::new(line.verdict, flags));
    content_is_safe(worker, &entry);
    Cost::Change
}

fn give_up(worker: &mut Worker<'_>, entry: Entry, unmade: Unmade) {
    let problem = match unmade {
        Unmade::Problem(problem) => problem,
        Unmade::NameTaken => return newcomer::bring_anew(worker, entry),
        Unmade::InWork(inode) => return in_work::wait(worker, entry, inode),
    };
    match problem {
        Problem::Fault(fault) => entry.fail(worker, fault),
        Problem::LeftAlone(why) => leave_alone(worker, &entry, why),
        Problem::Stopped | Problem::Changed => entry.stop(worker),
    }
    hard_links::leader_failed(worker, &entry);
}

fn make(run: &Run, entry: &Entry, making: &Making<'_>) -> Result<(), Unmade> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let name = entry.target_name();
    entry.node.target.touch();
    if entry.existing.is_none() {
        let made = (making.make)(dir, name);
        return made.map_err(|error| Unmade::at_a_free_name(entry, making.verb, &error));
    }
    if run.settings.backup.enabled {
        backup::keep(run, entry)?;
    }
    let made = fs::replace::replace_with(dir, name, |staging| (making.make)(dir, staging));
    Ok(made.map_err(|error| entry.target_fault(making.verb, &error))?)
}

fn dress(run: &Run, entry: &Entry) -> Result<(), Fault> {
    let extra = if run.settings.has_extra() {
        attributes::of_source(run, entry)?
    } else {
        Extra::default()
    };
    // Without -p it has the mode of what it takes the place of, but for that of a link.
    let existing = entry.existing.filter(|existing| existing.kind != Kind::Symlink);
    let wanted = entry.wanted_in_place_of(run, existing.as_ref());
    attributes::dress_named(run, entry, &wanted, extra)
}
