//! What rsync leaves to chance, or gets wrong, with --fake-super.

use super::attributes::{originals, shown_mode};
use crate::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::RunAs;
use crate::support::tree::{Kind, Node};

/// Where it keeps owners and modes.
const STAT: &str = "user.rsync.%stat";

/// True if `difference` is one that rsync might have with itself, or with its own manual.
pub(crate) fn is_excused(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    is_uninitialised_owner(case, reference, difference)
        || is_deletion_in_pretence(case, reference, difference)
        || is_unknown_pretence(case, reference, difference)
        || is_pretence_behind_a_link(case, difference)
}

/// --fake-super without -o and -g: rsync writes owners that it never set, and so writes the
/// attribute where nothing needs it, or cannot carry it.
fn is_uninitialised_owner(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_written = match (difference.aspect, difference.field) {
        (Aspect::Tree, field) => field == "mode" || difference.text.contains("user.rsync.%stat="),
        (Aspect::Exit, _) => {
            difference.text == "Code(23) | Code(0)"
                && reference.stderr().contains("[generator] failed to write xattr user.rsync.%stat")
        }
        (Aspect::Output, _) => false,
    };
    let keeps_owners = case.keeps("o", "--no-o") && case.keeps("g", "--no-group");
    case.has("--fake-super") && !keeps_owners && is_written
}

/// --fake-super as an ordinary user: rsync does not make a directory writable to delete in it, as it
/// else does.
fn is_deletion_in_pretence(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_refused = reference.stderr().lines().any(|line| {
        line.contains("[generator] delete_file: ")
            && line.ends_with("failed: Permission denied (13)")
    });
    let is_left = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => difference.text.ends_with("| nothing"),
        (Aspect::Tree, "mtime") => difference.text.contains("now"),
        (Aspect::Exit, _) => difference.text == "Code(23) | Code(0)",
        (_, field) => field == "deletions",
    };
    case.has("--fake-super") && case.run_as == RunAs::User && is_refused && is_left
}

/// -H with links that are followed: rsync asks a link what the file behind it pretends to be, and all the
/// names of that file are what it says of itself.
fn is_pretence_behind_a_link(case: &Case, difference: &Difference) -> bool {
    let pretends = |node: &Node| node.xattrs.iter().any(|(name, _)| name == STAT.as_bytes());
    let is_link =
        |node: &Node| node.path.starts_with(b"src") && matches!(node.kind, Kind::Symlink(_));
    let is_untold = match difference.field {
        "xattrs" => difference.text.starts_with("[] | [user.rsync.%stat="),
        field => field == "mode",
    };
    let mut originals = originals(case, &difference.path);
    case.has("--fake-super")
        && case.has("-H")
        && case.follows_links()
        && is_untold
        && originals.any(|node| pretends(node) || is_link(node))
        && case.tree.nodes.iter().any(is_link)
}

/// --fake-super as an ordinary user: what a file of the source pretends to be, rsync guesses where it
/// cannot be read. At the destination it is replaced by lanesync, but left alone by rsync.
fn is_unknown_pretence(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let stderr = reference.stderr();
    let fails = |who: &str| stderr.contains(&format!("[{who}] failed to read xattr {STAT}"));
    let is_unreadable = |node: &Node| shown_mode(node) & 0o400 == 0;
    let is_affected = match difference.aspect {
        Aspect::Tree if fails("sender") => originals(case, &difference.path).any(is_unreadable),
        Aspect::Tree => case.tree.get(&difference.path).is_some_and(is_unreadable),
        // It looks at what rules leave out, too.
        Aspect::Exit => {
            let is_skipped = reference.stdout().contains("skipping directory ");
            difference.text == "Code(23) | Code(0)"
                && (!fails("sender") || case.has_rules() || is_skipped)
        }
        Aspect::Output => fails("sender"),
    };
    case.has("--fake-super")
        && case.run_as == RunAs::User
        && (fails("sender") || fails("generator"))
        && is_affected
}
