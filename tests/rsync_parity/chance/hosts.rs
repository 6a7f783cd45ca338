//! What rsync gets wrong between hosts, or tells otherwise than lanesync does on purpose.

use crate::case::{Case, Way};
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::{Exit, RunAs};

/// True if `difference` is one that comes of this.
pub(crate) fn is_excused(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    is_refused_as_unrequested(case, reference)
        || is_leader_of_a_kind(case, difference)
        || is_group_out_of_reach(case, difference)
        || is_mode_of_what_is_removed(case, difference)
        || is_mode_as_it_gets_here(case, difference)
        || is_owner_as_it_gets_here(case, difference)
        || is_unread_old_file(case, reference, difference)
        || is_removed_without_a_copy(case, reference, difference)
}

/// The one name in quotes behind some words of an error of rsync, each time they come.
fn names_behind<'a>(stderr: &'a str, words: &str) -> Vec<&'a str> {
    stderr.split(words).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A path as rsync puts it into a message where no letters but those of ASCII are known.
fn as_told_by_rsync(path: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\#{byte:03o}"),
    };
    path.iter().map(shown).collect()
}

/// An old file that may not be read: rsync takes it for none as soon as deltas are to be made, and tells of
/// a new one.
fn is_unread_old_file(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_unread = |line: &str| {
        let (item, name) = line.split_at_checked(12).unwrap_or_default();
        let stderr = reference.stderr();
        let mut unread = names_behind(&stderr, "[generator] failed to open \"").into_iter();
        item == ">f+++++++++ " && unread.any(|path| path.ends_with(&format!("/{name}")))
    };
    let line = |lines: &str| lines.split('`').nth(1).unwrap_or_default().to_owned();
    case.way != Way::Here
        && case.run_as == RunAs::User
        && difference.field == "items"
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            let (theirs, ours) = (line(theirs), line(ours));
            is_unread(&theirs) && ours.starts_with(">f") && ours.get(11..) == theirs.get(11..)
        })
}

/// --remove-source-files --fake-super: rsync removes a node at the source whose pretence it could not store.
fn is_removed_without_a_copy(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let path = as_told_by_rsync(&difference.path);
    let Some(below) = path.strip_prefix("src") else { return false };
    let is_removed = difference.field == "existence" && difference.text.starts_with("nothing | ");
    let is_above = difference.field == "mtime" && difference.text.starts_with("now | ");
    let stderr = reference.stderr();
    let words = "[generator] failed to write xattr user.rsync.%stat for \"";
    case.has("--remove-source-files")
        && case.has("--fake-super")
        && names_behind(&stderr, words).into_iter().any(|unstored| {
            match unstored.rsplit_once('/') {
                Some((above, name)) => {
                    (is_removed && below.ends_with(&format!("/{name}")))
                        || (is_above && above.ends_with(below))
                }
                None => false,
            }
        })
}

/// A receiver checks whether what comes is what its list asks for, and gets that wrong for some lists:
/// with wildcards or backslashes in names, names that begin with `..`, a dot without -d, and directories
/// that are excluded on the way to a name, as they may be with -R, too.
fn is_refused_as_unrequested(case: &Case, reference: &Observation) -> bool {
    case.way == Way::Pull
        && (case.has_prefix("--files-from") || case.has("-R"))
        && reference.run.exit == Exit::Code(4)
        && ["rejecting unrequested file-list name", "rejecting excluded file-list name"]
            .iter()
            .any(|rejection| reference.stderr().contains(rejection))
}

/// -H --fuzzy with deltas: the first name of a group that has a file alike leads in rsync, here as ever
/// the last; what comes of it is the same.
fn is_leader_of_a_kind(case: &Case, difference: &Difference) -> bool {
    case.way != Way::Here
        && case.has("-H")
        && case.has("--fuzzy")
        && matches!(difference.field, "items" | "links")
}

/// `%G` of a group that this user cannot give: the receiver of rsync forgets its number, lanesync
/// tells that of the source, as both do when they push.
fn is_group_out_of_reach(case: &Case, difference: &Difference) -> bool {
    let without_group = |lines: &str| {
        let line = lines.split('`').nth(1).unwrap_or_default();
        line.rsplit_once('|').map(|(front, group)| (front.to_owned(), group.to_owned()))
    };
    case.way == Way::Pull
        && case.run_as == RunAs::User
        && case.has_prefix("--out-format")
        && difference.aspect == Aspect::Output
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            let (theirs, ours) = (without_group(theirs), without_group(ours));
            theirs
                .zip(ours)
                .is_some_and(|(theirs, ours)| theirs.0 == ours.0 && theirs.1 == "DEFAULT")
        })
}

/// Lines in which no mode is told.
fn without_modes(lines: &str) -> String {
    let is_mode =
        |part: &&str| part.len() == 9 && part.bytes().all(|byte| b"rwxsStT-".contains(&byte));
    let (_, lines) = lines.split_once('`').unwrap_or_default();
    let parts = lines.split('|').map(|part| if is_mode(&part) { "mode" } else { part });
    parts.collect::<Vec<_>>().join("|")
}

/// `%B` of what is removed: a receiver of rsync that tells of it itself knows its mode. lanesync tells as
/// much as both do when they push.
fn is_mode_of_what_is_removed(case: &Case, difference: &Difference) -> bool {
    case.way == Way::Pull
        && difference.field == "deletions"
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            theirs != ours && without_modes(theirs) == without_modes(ours)
        })
}

/// `%B` of a file that comes without its mode: a receiver of rsync tells the one that it gets. lanesync
/// tells that of the source, as both do when they push.
fn is_mode_as_it_gets_here(case: &Case, difference: &Difference) -> bool {
    let is_file = |lines: &str| lines.split('`').nth(1).is_some_and(|line| line.starts_with(">f"));
    case.way == Way::Pull
        && !case.keeps("p", "--no-perms")
        && case.has_prefix("--out-format")
        && difference.field == "items"
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            is_file(theirs) && theirs != ours && without_modes(theirs) == without_modes(ours)
        })
}

/// `%U` and `%G` with a map of owners: likewise.
fn is_owner_as_it_gets_here(case: &Case, difference: &Difference) -> bool {
    let without_owners = |lines: &str| {
        let shown = lines.split('`').skip(1).step_by(2).map(|line| {
            let mut parts: Vec<_> = line.split('|').collect();
            parts.truncate(parts.len().saturating_sub(2));
            parts.join("|")
        });
        shown.collect::<Vec<_>>()
    };
    case.way == Way::Pull
        && ["--usermap", "--groupmap", "--chown"].iter().any(|map| case.has_prefix(map))
        && case.has_prefix("--out-format")
        && difference.field == "items"
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            theirs != ours && without_owners(theirs) == without_owners(ours)
        })
}
