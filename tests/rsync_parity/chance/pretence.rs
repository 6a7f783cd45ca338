//! What rsync leaves to chance, or gets wrong, with --fake-super.

use super::attributes::{originals, shown_mode};
use super::last_name;
use crate::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::RunAs;
use crate::support::tree::{Kind, Node};

/// Where it keeps owners and modes.
const STAT: &str = "user.rsync.%stat";

/// True if `difference` is one that rsync might have with itself, or with its own manual.
pub(crate) fn is_excused(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    is_uninitialised_owner(case, reference, difference)
        || is_basis_made_to_pretend(case, difference)
        || is_deletion_in_pretence(case, reference, difference)
        || is_directory_that_pretends(case, reference, difference)
        || is_unknown_pretence(case, reference, difference)
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

/// --fake-super with --link-dest: rsync takes special bits away from the file of the basis tree that
/// it links to, and keeps them in an attribute.
fn is_basis_made_to_pretend(case: &Case, difference: &Difference) -> bool {
    let is_special = |node: &Node| {
        node.path.starts_with(b"alt")
            && node.mode & 0o7000 != 0
            && last_name(&node.path) == last_name(&difference.path)
    };
    case.has("--fake-super")
        && case.has_prefix("--link-dest")
        && matches!(difference.field, "mode" | "xattrs")
        && case.tree.nodes.iter().any(is_special)
}

/// --fake-super: rsync takes a directory that pretends to be a file for one when it is to be deleted,
/// so that it wants to keep an empty one as a backup, and as an ordinary user does not make a directory writable to delete in it, as it else does.
fn is_deletion_in_pretence(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_refused = reference.stderr().lines().any(|line| {
        let is_refused = line.ends_with("failed: Is a directory (21)")
            || (case.run_as == RunAs::User && line.ends_with("failed: Permission denied (13)"));
        line.contains("[generator] delete_file: ") && is_refused
    });
    let is_left = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => difference.text.ends_with("| nothing"),
        (Aspect::Tree, "mtime") => difference.text.contains("now"),
        (Aspect::Exit, _) => difference.text == "Code(23) | Code(0)",
        (_, field) => field == "deletions",
    };
    let nodes = || case.tree.nodes.iter();
    let is_kept = case.has_prefix("--backup-dir")
        && difference.field == "existence"
        && difference.text.starts_with('d')
        && difference.text.ends_with("| nothing")
        && (difference.path.starts_with(b"bk") || difference.path.starts_with(b"dst/bk"))
        && nodes().any(|node| !node.path.starts_with(b"src") && is_dir_pretending(node));
    case.has("--fake-super") && (is_kept || (is_refused && is_left))
}

/// True for a directory that pretends to be a regular file.
fn is_dir_pretending(node: &Node) -> bool {
    let is_file =
        |(name, value): &(Vec<u8>, Vec<u8>)| name == STAT.as_bytes() && value.starts_with(b"100");
    node.kind == Kind::Dir && node.xattrs.iter().any(is_file)
}

/// --fake-super with a source directory that pretends to be a file: rsync tells of it as copied and
/// fails to read it, or leaves it out unread.
fn is_directory_that_pretends(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    // With -P it keeps what it has read of it.
    let is_part = || originals(case, &difference.path).any(is_dir_pretending);
    let is_told = (difference.aspect == Aspect::Output
        || (difference.field == "existence" && is_part()))
        && reference.stderr().contains("[sender] read errors mapping \"")
        && reference.stderr().contains("Is a directory (21)");
    let is_unread = difference.text == "Code(0) | Code(23)";
    // The directory at the destination has to make way for it.
    let is_pretending = |name: &[u8]| {
        let mut sources = case.tree.nodes.iter().filter(|node| node.path.starts_with(b"src"));
        sources.any(|node| is_dir_pretending(node) && last_name(&node.path) == name)
    };
    let is_gone = ((difference.field == "existence" && difference.text.starts_with("nothing |"))
        || matches!(difference.field, "links to" | "mode"))
        && reference.stderr().contains("Is a directory (21)")
        && difference.path.split(|&byte| byte == b'/').any(is_pretending);
    // What could not be read keeps back deletions.
    let is_kept = case.has_prefix("--del")
        && reference.stderr().contains("failed to open \"")
        && reference.stderr().contains("Is a directory (21)")
        && (difference.text.ends_with("| nothing")
            || difference.text.contains("now")
            || difference.field == "deletions");
    case.has("--fake-super")
        && (is_told || is_unread || is_gone || is_kept)
        && case
            .tree
            .nodes
            .iter()
            .any(|node| node.path.starts_with(b"src") && is_dir_pretending(node))
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
            difference.text == "Code(23) | Code(0)" && (!fails("sender") || case.has_rules())
        }
        Aspect::Output => fails("sender"),
    };
    case.has("--fake-super")
        && case.run_as == RunAs::User
        && (fails("sender") || fails("generator"))
        && is_affected
}
