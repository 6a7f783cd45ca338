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
}

/// A receiver checks whether what comes is what its list asks for, and gets that wrong for some lists:
/// with wildcards or backslashes in names, names that begin with `..`, a dot without -d, and directories
/// that are excluded on the way to a name.
fn is_refused_as_unrequested(case: &Case, reference: &Observation) -> bool {
    case.way == Way::Pull
        && case.has_prefix("--files-from")
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

/// `%B` of what is removed: a receiver of rsync that tells of it itself knows its mode. lanesync tells as
/// much as both do when they push.
fn is_mode_of_what_is_removed(case: &Case, difference: &Difference) -> bool {
    let without_modes = |lines: &str| {
        let is_mode =
            |part: &&str| part.len() == 9 && part.bytes().all(|byte| b"rwxsStT-".contains(&byte));
        let (_, lines) = lines.split_once('`').unwrap_or_default();
        let parts = lines.split('|').map(|part| if is_mode(&part) { "mode" } else { part });
        parts.collect::<Vec<_>>().join("|")
    };
    case.way == Way::Pull
        && difference.field == "deletions"
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            theirs != ours && without_modes(theirs) == without_modes(ours)
        })
}
