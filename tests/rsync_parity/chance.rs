//! Where rsync's three processes race with each other, any outcome of the race is right.
//!
//! Each rule here excuses as little as it can, and says which race it is about. What is not covered
//! by a rule but wavers all the same is found by running rsync again (see `random`).

use super::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::Exit;

/// True if `difference` is one that rsync might have with itself in this case.
pub(crate) fn is_left_to_chance(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    is_torn_off(case, reference, difference)
        || is_deletion_after_fault(case, reference, difference)
        || is_directory_time_of_redo(reference, difference)
        || is_stray_time(case, difference)
        || is_access_time_cut(case, difference)
        || is_backup_without_a_name(case, reference)
        || is_stat_of_the_wrong_tree(case, reference, difference)
        || is_uninitialised_owner(case, difference)
        || is_appended_to_nothing(case, difference)
        || is_destination_in_its_source(case, difference)
        || is_linked_to_what_was_left_out(case)
        || reference.stderr().contains("gen_entry_copy_xattrs: openat")
        || is_changed_through_another_name(case, difference)
        || is_basis_out_of_reach(case, reference)
}

/// A basis file that an ordinary user may neither link nor read: rsync has removed the
/// destination's file by then. Keeping that one and going on with the source is the better end.
fn is_basis_out_of_reach(case: &Case, reference: &Observation) -> bool {
    case.has_prefix("--link-dest")
        && reference.stderr().contains("[generator] open \"")
        && reference.stderr().contains("Permission denied")
}

/// Written in place without -H, a file changes under all its names: whether rsync's generator has
/// looked at the others before its receiver writes is a race.
fn is_changed_through_another_name(case: &Case, difference: &Difference) -> bool {
    let in_place = case.has("--inplace") || case.has_prefix("--append");
    in_place && difference.aspect == Aspect::Output && difference.text.contains(">f")
}

/// In a dry run that would make the destination, rsync looks links up in the source's directory.
fn is_stat_of_the_wrong_tree(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    case.has("-n")
        && case.has("-H")
        && reference.stdout().contains("created directory")
        && difference.aspect == Aspect::Output
}

/// --fake-super without -o and -g: rsync writes owners that it never set, and so writes the
/// attribute where nothing needs it.
fn is_uninitialised_owner(case: &Case, difference: &Difference) -> bool {
    case.has("--fake-super")
        && !case.has("-a")
        && (difference.field == "mode" || difference.text.contains("user.rsync.%stat="))
}

/// --append with a basis tree: rsync takes the length of the basis file for the destination's, and
/// leaves out files that are not there at all.
fn is_appended_to_nothing(case: &Case, difference: &Difference) -> bool {
    (case.has("--append") || case.has("--append-verify"))
        && case.has_prefix("--link-dest")
        && (difference.aspect == Aspect::Output || difference.field == "existence")
}

/// A source that holds its destination: how much of itself it finds there is a race.
fn is_destination_in_its_source(case: &Case, difference: &Difference) -> bool {
    let holds_all = case.sources.iter().any(|source| matches!(&source[..], b"." | b"./"));
    let inside = difference.path.starts_with(b"dst/dst") || difference.path.starts_with(b"new/new");
    holds_all && (inside || difference.aspect == Aspect::Output)
}

/// -H with --compare-dest: rsync links names to a member of their group that it left out.
fn is_linked_to_what_was_left_out(case: &Case) -> bool {
    case.has("-H") && case.has_prefix("--compare-dest")
}

/// With -U rsync sends whole seconds only; keeping the rest as well is no fault.
fn is_access_time_cut(case: &Case, difference: &Difference) -> bool {
    let seconds = |text: &str| text.trim().split('.').next().map(str::to_owned);
    // Its own scan reads directories, and may do so after their times were set.
    let is_read_later = |text: &str| text.trim() == "now";
    case.has("-U")
        && difference.field == "atime"
        && difference
            .text
            .split_once('|')
            .is_some_and(|(left, right)| is_read_later(left) || seconds(left) == seconds(right))
}

/// A backup whose name would be too long: rsync's receiver gives up the whole run with 11, its
/// generator goes on; going on and saying so is the better end.
fn is_backup_without_a_name(case: &Case, reference: &Observation) -> bool {
    (case.has("-b") || case.has("--backup"))
        && reference.stderr().contains("File name too long")
        && reference.run.exit != Exit::Code(0)
}

/// A per-directory rule file with an error ends the run when the scan meets it; how much has been
/// done by then is a matter of speed.
fn is_torn_off(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let has_rule_files = case.has("-F") || case.has("-FF") || case.has("-f");
    has_rule_files
        && reference.run.exit == Exit::Code(1)
        && reference.stderr().contains("<rule from")
        && difference.aspect != Aspect::Exit
}

/// With deletion during the transfer, the news of a fault at the source overtakes some deletions and
/// not others. What lies in a directory that itself could not be listed is never deleted: that is
/// not excused.
fn is_deletion_after_fault(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let stderr = reference.stderr();
    let deletes_meanwhile = ["--delete", "--del", "--delete-during", "--delete-delay"]
        .iter()
        .any(|option| case.has(option));
    if !deletes_meanwhile || !stderr.contains("[sender]") {
        return false;
    }
    let parts_of = |dir: &str| {
        let dir = dir.as_bytes();
        difference.path.windows(dir.len()).any(|window| window == dir)
    };
    // What is deleted may live on as a backup.
    let was_there = || {
        let path = difference.path.strip_suffix(b"~").unwrap_or(&difference.path);
        case.tree.get(&difference.path).is_some() || case.tree.get(path).is_some()
    };
    let failed_dir = unreadable_dirs(&stderr).any(parts_of);
    match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => was_there() && !failed_dir,
        // The directory that something was deleted from, or not.
        (Aspect::Tree, "mtime") => difference.text.contains("now") && !failed_dir,
        (Aspect::Output, field) => field == "deletions",
        _ => false,
    }
}

/// The directories that rsync could not list, relative to the source.
fn unreadable_dirs(stderr: &str) -> impl Iterator<Item = &str> {
    stderr
        .lines()
        .filter_map(|line| line.split_once("[sender] opendir \"")?.1.rsplit_once('"'))
        .filter_map(|(path, _)| path.split_once("/run/src/").map(|(_, inside)| inside))
}

/// A file that failed its check is sent again at the end, when its directory may or may not have
/// got its time already.
fn is_directory_time_of_redo(reference: &Observation, difference: &Difference) -> bool {
    reference.stderr().contains("failed verification -- update")
        && difference.field == "mtime"
        && difference.text.contains("now")
}

/// With -U but not -t, rsync gives files with attributes the time -1 and whatever nanoseconds were
/// in memory.
fn is_stray_time(case: &Case, difference: &Difference) -> bool {
    case.has("-U")
        && !case.has("-a")
        && !case.has("-t")
        && difference.field == "mtime"
        && difference.text.starts_with("-1.")
}
