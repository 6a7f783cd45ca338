//! Where rsync's three processes race with each other, any outcome of the race is right.
//!
//! Each rule here excuses as little as it can, and says which race it is about. What is not covered
//! by a rule but wavers all the same is found by running rsync again (see `random`).

use super::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::{Exit, RunAs};
use crate::support::tree::{Kind, Node};

#[path = "chance/arguments.rs"]
mod arguments;

#[path = "chance/attributes.rs"]
mod attributes;

#[path = "chance/hosts.rs"]
mod hosts;

#[path = "chance/names.rs"]
mod names;

#[path = "chance/pretence.rs"]
mod pretence;

/// True if `difference` is one that rsync might have with itself in this case.
pub(crate) fn is_left_to_chance(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    // The rules know files by the letter of those that come.
    let text = difference.text.replace("`<f", "`>f");
    let difference = &Difference { text, ..difference.clone() };
    arguments::is_excused(case, reference, difference)
        || attributes::is_excused(case, reference, difference)
        || hosts::is_excused(case, reference, difference)
        || names::is_excused(case, reference, difference)
        || pretence::is_excused(case, reference, difference)
        || is_torn_off(case, reference, difference)
        || is_deletion_after_fault(case, reference, difference)
        || is_directory_time_of_redo(reference, difference)
        || is_directory_time_of_an_attempt(reference, difference)
        || is_backup_without_a_name(case, reference, difference)
        || is_stat_of_the_wrong_tree(case, reference, difference)
        || is_appended_to_nothing(case, difference)
        || is_appended_to_zeros(case, difference)
        || is_destination_in_its_source(case, difference)
        || is_attribute_of_a_basis_file(case, reference, difference)
        || is_changed_through_another_name(case, difference)
        || is_basis_out_of_reach(case, reference, difference)
        || is_told_though_it_failed(case, reference, difference)
        || is_touched_though_left_alone(case, reference, difference)
        || is_kept_for_a_missing_source(case, reference, difference)
        || is_temporary_file_in_the_source(case, difference)
        || is_anchored_below_a_wildcard(case, difference)
        || is_count_so_far(case, difference)
}

/// -n -X with a basis tree: rsync wants to copy attributes to a file that a dry run does not make.
fn is_attribute_of_a_basis_file(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    case.has("-n")
        && case.has("-X")
        && difference.aspect != Aspect::Tree
        && reference.stderr().contains("gen_entry_copy_xattrs: openat")
}

/// -S with --append: rsync writes zeros over what is there.
fn is_appended_to_zeros(case: &Case, difference: &Difference) -> bool {
    let is_there = case.tree.get(&difference.path).is_some();
    case.has("-S") && case.has("--append") && difference.field == "content" && is_there
}

/// -P in a list: lanesync does not wait for the end of its listing, and tells how much is listed when
/// the first line is due.
fn is_count_so_far(case: &Case, difference: &Difference) -> bool {
    let after_count = |lines: &str| lines.split_once(" to consider`").map(|it| it.1.to_owned());
    case.has("--list-only")
        && (case.has("-P") || case.has("--progress"))
        && difference.field == "lines"
        && difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            after_count(theirs).is_some() && after_count(theirs) == after_count(ours)
        })
}

/// --temp-dir in a directory that is itself copied, through a link: what is in it and its time change
/// while it is read.
fn is_temporary_file_in_the_source(case: &Case, difference: &Difference) -> bool {
    let is_seen = match difference.field {
        "mtime" => difference.text.contains("now"),
        "existence" => difference.text.contains("-0600 ") && last_name(&difference.path)[0] == b'.',
        _ => false,
    };
    case.has_prefix("--temp-dir") && case.follows_links() && is_seen
}

/// rsync puts the directory of a rule file in front of its anchored patterns and forgets that the
/// name may have characters in it that mean something in a pattern.
fn is_anchored_below_a_wildcard(case: &Case, difference: &Difference) -> bool {
    let has_rule_files = case.has("-F") || case.has("-FF") || case.has("-f");
    let is_left_out = match difference.field {
        "existence" => true,
        "mtime" => difference.text.contains("now"),
        _ => false,
    };
    let is_odd = |node: &Node| {
        let name = last_name(&node.path);
        let dir = &node.path[..node.path.len() - name.len()];
        name.starts_with(b".") && dir.iter().any(|byte| b"\\*?[".contains(byte))
    };
    if difference.field == "items" {
        return has_rule_files && case.tree.nodes.iter().any(is_odd);
    }
    has_rule_files && is_left_out && difference.path.iter().any(|byte| b"\\*?[".contains(byte))
}

/// True when the first lines that differ do so in some of these letters alone.
fn differs_in_letters(text: &str, letters: &str) -> bool {
    let first = |lines: &str| {
        let line = lines.split('`').nth(1).unwrap_or_default();
        let (item, name) = line.split_at_checked(11).unwrap_or((line, ""));
        format!("{}{name}", item.replace(|letter| letter == ' ' || letters.contains(letter), "."))
    };
    text.split_once(" | ").is_some_and(|(theirs, ours)| first(theirs) == first(ours))
}

/// rsync's generator tells of a directory or node before it tries to change it.
fn is_told_though_it_failed(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let stderr = reference.stderr();
    let failures = [
        "[generator] chgrp ",
        "[generator] chown ",
        "[generator] failed to set times on",
        "[generator] failed to set permissions on",
        "[generator] failed to write xattr user.rsync.%stat",
    ];
    let is_refused = failures.iter().any(|failure| stderr.contains(failure));
    let is_not_made = stderr.contains("[generator] recv_generator: mkdir \"")
        && difference.text.split('`').nth(1).is_some_and(|line| line.starts_with("cd+++++++++ "));
    // Of a file it is told when it has arrived.
    let theirs = difference.text.split('`').nth(1).unwrap_or_default();
    let is_told_before = !theirs.starts_with(">f");
    // A dry run tells even of what has no place to go to.
    let stays = case.has("-n")
        || stderr.contains("*** Skipping any contents from this failed")
        || (stderr.contains("[receiver] mkstemp \"")
            && stderr.contains("No such file or directory"));
    let is_below_what_stays =
        case.has("--ignore-existing") && stays && has_file_for_directory(case);
    let is_in_the_way = reference.stdout().contains("could not make way for ")
        || stderr.contains("[generator] readlink_stat(\"")
        || stderr.contains("[generator] opendir \"")
        || stderr.contains("\": Too many levels of symbolic links (40)");
    let is_told = (is_refused && is_told_before)
        || is_not_made
        || is_below_what_stays
        || (case.has("-n") && is_in_the_way);
    difference.aspect == Aspect::Output && is_told
}

/// True when the destination has something else where the source has a directory.
fn has_file_for_directory(case: &Case) -> bool {
    let nodes = || case.tree.nodes.iter();
    let is_dir = |node: &Node| {
        let is_link = case.follows_links() && matches!(node.kind, Kind::Symlink(_));
        (is_link || node.kind == Kind::Dir) && node.path.starts_with(b"src/")
    };
    let is_file = |node: &Node| node.kind != Kind::Dir && !node.path.starts_with(b"src/");
    nodes()
        .filter(|node| is_file(node))
        .any(|file| nodes().any(|dir| is_dir(dir) && last_name(&dir.path) == last_name(&file.path)))
}

/// --ignore-existing: rsync leaves a file alone where a directory should be, but gives it the
/// directory's time, and wants to delete in it, which fails and ends all deletion.
fn is_touched_though_left_alone(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let there = case.tree.get(&difference.path);
    let is_touched = difference.field == "mtime" && there.is_some_and(|it| it.kind != Kind::Dir);
    let stderr = reference.stderr();
    let ends_deletion = case.has_prefix("--del")
        && ((stderr.contains("[generator] opendir \"") && stderr.contains("Not a directory (20)"))
            // Or looks for what it is to delete behind a link, and is refused.
            || (stderr.contains("[generator] delete_file: ")
                && stderr.contains("Too many levels of symbolic links (40)")));
    let is_kept = difference.aspect == Aspect::Exit
        || (matches!(difference.field, "existence" | "links to") && there.is_some())
        || (difference.field == "mtime" && difference.text.contains("now"));
    let is_untold = difference.field == "deletions";
    case.has("--ignore-existing") && (is_touched || (ends_deletion && (is_kept || is_untold)))
}

/// A source argument that is not there keeps lanesync from deleting anything, as docs/safety.md
/// says; rsync goes on where only the last name of it is missing.
fn is_kept_for_a_missing_source(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let is_missing = reference.stderr().lines().any(|line| {
        line.contains("[sender] link_stat \"") && line.contains("No such file or directory")
    });
    let is_kept = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => difference.text.starts_with("nothing |"),
        // Whoever looks at the tree reads one inode by the names that were kept, too.
        (Aspect::Tree, "atime") => difference.text.ends_with("| now"),
        (Aspect::Tree, "mtime") => {
            difference.text.starts_with("now |") || differs_in_fraction(&difference.text)
        }
        (Aspect::Tree, "links to") => true,
        (Aspect::Output, field) => field == "deletions",
        (Aspect::Exit, _) => reference.run.exit == Exit::Code(25),
        _ => false,
    };
    case.has_prefix("--del") && is_missing && is_kept && !difference.path.starts_with(b"src")
}

/// True of two times in the same second: where something was deleted in a directory, its time is set,
/// else one that counts as equal stays as it is.
fn differs_in_fraction(text: &str) -> bool {
    let second = |time: &str| time.trim().split_once('.').map(|(second, _)| second.to_owned());
    text.split_once(" | ")
        .is_some_and(|(theirs, ours)| second(theirs).is_some() && second(theirs) == second(ours))
}

/// Both modes of a difference between modes.
fn octal_pair(text: &str) -> Option<(u32, u32)> {
    let (theirs, ours) = text.split_once(" | ")?;
    let mode = |text: &str| u32::from_str_radix(text.trim(), 8).ok();
    Some((mode(theirs)?, mode(ours)?))
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// A basis file that an ordinary user may neither link nor read: rsync has removed the
/// destination's file by then. Keeping that one and going on with the source is the better end.
fn is_basis_out_of_reach(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let stderr = reference.stderr();
    let refused = || {
        let lines = stderr.lines().filter(|line| line.ends_with("Permission denied (13)"));
        lines.filter_map(|line| line.split_once("[generator] open \"")?.1.split_once('"'))
    };
    let is_named = || {
        let name = String::from_utf8_lossy(last_name(&difference.path)).into_owned();
        // Other characters are told as numbers.
        refused().any(|(path, _)| path.contains("\\#") || path.ends_with(&format!("/{name}")))
    };
    let is_affected = match (difference.aspect, difference.field) {
        (Aspect::Tree, "mtime") => difference.text.contains("now") || is_named(),
        (Aspect::Tree, "links to") => true,
        (Aspect::Tree, _) => is_outside_source(case, &difference.path) && is_named(),
        (Aspect::Exit, _) => difference.text == "Code(23) | Code(0)",
        (Aspect::Output, field) => field != "deletions",
    };
    case.has_prefix("--link-dest")
        && case.run_as == RunAs::User
        && refused().next().is_some()
        && is_affected
}

/// Written in place without -H, a file changes under all its names: whether rsync's generator has
/// looked at the others before its receiver writes is a race.
fn is_changed_through_another_name(case: &Case, difference: &Difference) -> bool {
    let in_place = case.has("--inplace") || case.has_prefix("--append");
    let is_linked =
        |node: &Node| !node.path.starts_with(b"src") && matches!(node.kind, Kind::HardLink(_));
    let is_affected = match difference.field {
        "items" => difference.text.contains(">f"),
        "size" | "content" | "mtime" => difference.path.starts_with(b"dst/"),
        _ => false,
    };
    in_place && !case.has("-H") && is_affected && case.tree.nodes.iter().any(is_linked)
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
        && difference.field == "links"
}

/// --append with a basis tree: rsync takes the length of the basis file for the destination's, and
/// leaves out files that are not there at all, or makes them with nothing where they begin.
fn is_appended_to_nothing(case: &Case, difference: &Difference) -> bool {
    let options = ["--link-dest", "--copy-dest", "--compare-dest"];
    let is_new = case.tree.get(&difference.path).is_none();
    let is_affected = match difference.field {
        "existence" => true,
        "content" => is_new,
        "mtime" => difference.text.ends_with("| now"),
        _ => difference.aspect == Aspect::Output,
    };
    (case.has("--append") || case.has("--append-verify"))
        && options.iter().any(|option| case.has_prefix(option))
        && is_affected
}

/// A source that holds its destination: how much of itself it finds there is a race.
fn is_destination_in_its_source(case: &Case, difference: &Difference) -> bool {
    // Through a link that leads there.
    let is_way_out =
        |node: &Node| node.path.starts_with(b"src") && node.kind == Kind::Symlink(b"../.".to_vec());
    if case.has_prefix("--files-from") && case.tree.nodes.iter().any(is_way_out) {
        return difference.path.windows(5).any(|part| part == b"/dst/" || part == b"/new/")
            || difference.path.ends_with(b"/dst")
            || difference.path.ends_with(b"/new")
            || difference.aspect == Aspect::Output;
    }
    let holds_all = case.sources.iter().any(|source| matches!(&source[..], b"." | b"./"));
    let inside = [&b"dst/dst"[..], b"dst/foo/dst", b"new/new", b"new/deep/new"]
        .iter()
        .any(|inside| difference.path.starts_with(inside));
    holds_all && (inside || difference.aspect == Aspect::Output)
}

/// A backup whose name would be too long: rsync's receiver gives up the whole run with 11, its
/// generator goes on; going on and saying so is the better end.
fn is_backup_without_a_name(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_refused = reference.stderr().contains("File name too long");
    let is_torn_off = is_refused && reference.run.exit == Exit::Code(11);
    let is_device = reference.stdout().lines().any(is_device_without_a_backup);
    let is_affected = match (difference.aspect, difference.field) {
        // Whatever comes after it is not done.
        (Aspect::Tree, _) if is_torn_off => is_outside_source(case, &difference.path),
        (Aspect::Tree, "mtime") => difference.text.contains("now"),
        // After that fault it deletes no more, and does not say so.
        (Aspect::Tree, "existence") if case.has_prefix("--del") => {
            is_outside_source(case, &difference.path)
        }
        (Aspect::Exit, _) => is_torn_off || difference.text == "Code(0) | Code(23)",
        (Aspect::Output, _) | (_, "links to") => true,
        (Aspect::Tree, _) => last_name(&difference.path).len() > 250,
    };
    (case.has("-b") || case.has("--backup"))
        && ((is_refused && reference.run.exit != Exit::Code(0)) || is_device)
        && is_affected
}

/// True where a run may change something: in the source that is done only to move it.
fn is_outside_source(case: &Case, path: &[u8]) -> bool {
    case.has("--remove-source-files") || !(path == b"src" || path.starts_with(b"src/"))
}

/// rsync moves a device to its backup name, and where that fails deletes it.
fn is_device_without_a_backup(line: &str) -> bool {
    line.strip_prefix("make_bak: skipping non-regular file ")
        .is_some_and(|path| last_name(path.as_bytes()).len() > 250)
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
    let faults = [
        "[sender]",
        "symlink has no referent",
        "[generator] readlink_stat(\"",
        // A fault at the destination, after which lanesync goes on elsewhere.
        "[generator] opendir \"",
    ];
    let stops_deletion = faults.iter().any(|fault| stderr.contains(fault));
    // Nor is it any reason to stop when all deletion comes before or after.
    let stops_elsewhere = case.has_prefix("--del") && stderr.contains("[generator] opendir \"");
    if !(stops_elsewhere || (deletes_meanwhile && stops_deletion)) {
        return false;
    }
    let parts_of = |dir: &str| {
        // Whole names: `~` is no part of a backup's name.
        let (dir, path) = ([b"/", dir.as_bytes(), b"/"].concat(), &difference.path[..]);
        [b"/", path, b"/"].concat().windows(dir.len()).any(|window| window == dir)
    };
    // What is deleted may live on as a backup.
    let was_there = || {
        let suffixes: [&[u8]; 4] = [b"", b"~", b".old", b".txt"];
        let old_name = |suffix: &&[u8]| difference.path.strip_suffix(*suffix);
        let path = &difference.path;
        let below_dst = path.strip_prefix(b"dst/").filter(|_| case.has("--backup-dir=bk"));
        let path = below_dst.unwrap_or(path);
        let is_backup_dir = path == b"bk" && case.has_prefix("--backup-dir");
        let is_aside = |path: &[u8]| {
            let name = path.strip_prefix(b"bk/");
            name.is_some_and(|name| case.tree.get(&[b"dst/", name].concat()).is_some())
        };
        let mut old_names = suffixes.iter().filter_map(old_name);
        old_names.any(|path| case.tree.get(path).is_some() || is_aside(path)) || is_backup_dir
    };
    let failed_dir = unreadable_dirs(&stderr).any(parts_of)
        || difference.path == b"src"
        || difference.path.starts_with(b"src/");
    match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") => was_there() && !failed_dir,
        (Aspect::Tree, "links to") => !failed_dir,
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

/// Where something could not be removed rsync sets its directory's time all the same, which counts as
/// equal.
fn is_directory_time_of_an_attempt(reference: &Observation, difference: &Difference) -> bool {
    reference.stderr().contains("could not make way for ")
        && difference.field == "mtime"
        && differs_in_fraction(&difference.text)
}

/// A file that failed its check is sent again at the end, when its directory may or may not have
/// got its time already.
fn is_directory_time_of_redo(reference: &Observation, difference: &Difference) -> bool {
    reference.stderr().contains("failed verification -- update")
        && difference.field == "mtime"
        && difference.text.contains("now")
}
