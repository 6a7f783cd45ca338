//! What rsync leaves to chance, or gets wrong, with files that have several names, and with those
//! that it may not read.

use super::attributes::originals;
use super::{differs_in_letters, octal_pair};
use crate::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::{RunAs, USER};
use crate::support::tree::{Kind, Node};

/// True if `difference` is one that rsync might have with itself, or with its own manual.
pub(super) fn is_excused(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    is_new_since_unopened(case, reference, difference)
        || is_given_to_a_foreign_group(case, reference, difference)
        || is_unsafe_link_of_a_group(case, difference)
        || is_led_by_what_is_like_another(case, difference)
        || is_told_with_what_was_left_alone(case, difference)
        || is_linked_in_thought(case, difference)
        || is_dressed_under_another_name(case, difference)
        || is_told_under_several_names(case, difference)
        || is_linked_beside_a_basis(case, difference)
        || is_copied_though_right(case, difference)
        || is_in_a_linked_basis(case, difference)
        || is_read_under_another_name(case, difference)
        || is_given_up_for_a_group(case, difference)
}

/// -H with --safe-links: rsync makes an unsafe link that is a further name of a safe one, against
/// its manual, or waits for itself.
fn is_unsafe_link_of_a_group(case: &Case, difference: &Difference) -> bool {
    let is_made = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => {
            difference.text.starts_with('l') && difference.text.ends_with("| nothing")
        }
        (Aspect::Tree, "mtime") => difference.text.starts_with("now |"),
        (Aspect::Tree, field) => field == "links to",
        (Aspect::Output, _) => difference.text.contains("`hL"),
        (Aspect::Exit, _) => false,
    };
    case.has("-H") && case.has("--safe-links") && is_made
}

/// --no-W: rsync takes a file that it cannot open for a new one, though it replaces it like any other.
fn is_new_since_unopened(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    case.has("--no-W")
        && case.run_as == RunAs::User
        && difference.field == "items"
        && difference.text.split('`').nth(1).is_some_and(|line| line.starts_with(">f+++++++++ "))
        && reference.stderr().lines().any(|line| {
            line.contains("[generator] failed to open \"")
                && line.ends_with("\", continuing: Permission denied (13)")
        })
}

/// -H as an ordinary user: rsync wants to give a file of several names a group that its user is not
/// in, which it does not try with others, and leaves the file half done.
fn is_given_to_a_foreign_group(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let is_left = match difference.field {
        "mode" => octal_pair(&difference.text).is_some_and(|(theirs, _)| theirs == 0o600),
        "mtime" => difference.text.starts_with("now |"),
        "exit" => difference.text == "Code(23) | Code(0)",
        _ => false,
    };
    case.has("-H")
        && case.run_as == RunAs::User
        && is_left
        && reference.stderr().contains("[receiver] chgrp \"")
        && case
            .tree
            .nodes
            .iter()
            .any(|node| is_source(node) && matches!(node.kind, Kind::HardLink(_)))
}

/// -H with --fuzzy: which name of a new file leads depends on which of them has a file like it.
fn is_led_by_what_is_like_another(case: &Case, difference: &Difference) -> bool {
    let is_lead = difference.text.contains(" => ") || difference.text.contains(">f+++++++++ ");
    case.has("-H") && case.has("--fuzzy") && difference.aspect == Aspect::Output && is_lead
}

/// -H: rsync tells of a new file where the last of its names stands, also when that one is left
/// alone.
fn is_told_with_what_was_left_alone(case: &Case, difference: &Difference) -> bool {
    let leaves_alone = ["--ignore-existing", "--existing", "-u"];
    case.has("-H")
        && leaves_alone.iter().any(|option| case.has(option))
        && difference.field == "items"
        && difference.text.split_once(" | ").is_some_and(|(_, ours)| ours.starts_with("`>f"))
}

/// -n -H with --link-dest: rsync names the basis tree's file as the leader, which is not yet linked.
fn is_linked_in_thought(case: &Case, difference: &Difference) -> bool {
    case.has("-n")
        && case.has("-H")
        && case.has_prefix("--link-dest")
        && difference.field == "links"
        && difference.text.split(" | ").next().is_some_and(|theirs| theirs.contains("/run/alt"))
}

/// -X without -H: whether rsync has looked at the other names of a destination file before the
/// first of them gets its attributes is a race.
fn is_dressed_under_another_name(case: &Case, difference: &Difference) -> bool {
    let is_linked = |node: &Node| !is_source(node) && matches!(node.kind, Kind::HardLink(_));
    case.has("-X")
        && !case.has("-H")
        && difference.field == "items"
        && differs_in_letters(&difference.text, "x")
        && case.tree.nodes.iter().any(is_linked)
}

/// Without -H, names of the destination may share an inode. The first that gets its attributes tells
/// of them, which need not be the first by name; two that are looked at by two workers at once both do.
fn is_told_under_several_names(case: &Case, difference: &Difference) -> bool {
    let is_linked = |node: &Node| !is_source(node) && matches!(node.kind, Kind::HardLink(_));
    let is_of_attributes = |lines: &str| {
        let line = lines.split_once("`.f").filter(|(before, _)| !before.contains('`'));
        let letters = line.and_then(|(_, line)| line.get(..9));
        letters.is_some_and(|letters| letters.chars().all(|letter| ".tpoguax".contains(letter)))
    };
    !case.has("-H")
        && difference.field == "items"
        && difference.text.split(" | ").any(is_of_attributes)
        && case.tree.nodes.iter().any(is_linked)
}

/// -H with --compare-dest: what a basis tree has is left out. rsync leaves out its further names with
/// it, which the basis tree has not; or sends one of these and then links to it what it had left out.
fn is_linked_beside_a_basis(case: &Case, difference: &Difference) -> bool {
    let nodes = || case.tree.nodes.iter();
    let is_first = |path: &[u8]| {
        nodes().any(|node| is_source(node) && node.kind == Kind::HardLink(path.to_vec()))
    };
    let is_member = |node: &Node| {
        let is_way = case.follows_links() && matches!(node.kind, Kind::Symlink(_));
        is_first(&node.path) || (is_way && nodes().any(|node| is_first(&node.path)))
    };
    let is_affected = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence" | "links to") => {
            originals(case, &difference.path).any(is_member)
        }
        (Aspect::Output, _) => {
            difference.text.contains(" => ") || difference.text.contains("`>f+++++++++ ")
        }
        _ => false,
    };
    case.has("-H") && case.has_prefix("--compare-dest") && is_affected
}

/// --link-dest: what may not be linked to rsync copies in every run, right or not.
fn is_copied_though_right(case: &Case, difference: &Difference) -> bool {
    let Some((theirs, _)) = difference.text.split_once(" | ") else { return false };
    let is_there = case.tree.get(&difference.path).is_some();
    let is_copy = match difference.field {
        "items" => theirs.contains(": `cf"),
        "uid" | "gid" => theirs.trim() == USER.to_string() && is_there,
        "mtime" => theirs.trim() == "now" && is_there,
        // A change that the quick check does not see.
        "content" => is_there,
        _ => false,
    };
    let is_foreign = |node: &Node| {
        node.path.starts_with(b"alt") && node.owner.is_some_and(|(uid, _)| uid != USER)
    };
    case.has_prefix("--link-dest")
        && case.run_as == RunAs::User
        && is_copy
        && case.tree.nodes.iter().any(is_foreign)
}

/// In a basis tree lanesync follows no link to a directory; rsync finds files behind it.
fn is_in_a_linked_basis(case: &Case, difference: &Difference) -> bool {
    let nodes = || case.tree.nodes.iter();
    let is_link_of = |node: &Node, name: &[u8]| {
        let is_link = matches!(node.kind, Kind::Symlink(_)) && node.path.starts_with(b"alt");
        is_link && last_name(&node.path) == name
    };
    let is_linked = |name: &[u8]| nodes().any(|node| is_link_of(node, name));
    let is_below = || difference.path.split(|&byte| byte == b'/').any(is_linked);
    let is_affected = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => difference.text.starts_with("nothing | -") && is_below(),
        (Aspect::Tree, "links to") => true,
        (Aspect::Tree, field) => matches!(field, "mode" | "uid" | "gid" | "mtime") && is_below(),
        (Aspect::Output, _) => difference.text.contains("`>f") || difference.text.contains("`hf"),
        _ => false,
    };
    let options = ["--compare-dest", "--copy-dest", "--link-dest"];
    (case.follows_links() || case.has_prefix("--files-from"))
        && options.iter().any(|option| case.has_prefix(option))
        && nodes().any(|node| is_link_of(node, last_name(&node.path)))
        && is_affected
}

/// -c with -U: of a source file with several names rsync reads all, and looks at some of them when
/// the first was read.
fn is_read_under_another_name(case: &Case, difference: &Difference) -> bool {
    let is_linked = |node: &Node| is_source(node) && matches!(node.kind, Kind::HardLink(_));
    let is_atime = difference.field == "items"
        && (differs_in_letters(&difference.text, "u") || difference.text.contains(".f......u.. "));
    // Or it has read the file of a basis tree that is compared with it.
    let is_read = case.tree.nodes.iter().any(is_linked) || case.has_prefix("--copy-dest");
    case.has("-c") && case.has("-U") && is_atime && is_read
}

/// -H with --existing: rsync removes a directory that is in the way of a further name, and then makes
/// nothing, for the first name is not there to be linked to.
fn is_given_up_for_a_group(case: &Case, difference: &Difference) -> bool {
    let is_obstacle = case.tree.get(&difference.path).is_some_and(|node| node.kind == Kind::Dir);
    case.has("-H")
        && case.has("--existing")
        && difference.field == "existence"
        && difference.text.starts_with("nothing | -")
        && is_obstacle
        && originals(case, &difference.path).any(|node| matches!(node.kind, Kind::File(_)))
}

fn is_source(node: &Node) -> bool {
    node.path.starts_with(b"src")
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}
