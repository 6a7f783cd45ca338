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

/// True if `difference` is one that rsync might have with itself in this case.
pub(crate) fn is_left_to_chance(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    arguments::is_excused(case, reference, difference)
        || is_torn_off(case, reference, difference)
        || is_deletion_after_fault(case, reference, difference)
        || is_directory_time_of_redo(reference, difference)
        || is_stray_time(case, difference)
        || is_access_time_cut(case, difference)
        || is_backup_without_a_name(case, reference)
        || is_stat_of_the_wrong_tree(case, reference, difference)
        || is_uninitialised_owner(case, difference)
        || is_appended_to_nothing(case, difference)
        || is_destination_in_its_source(case, difference)
        || reference.stderr().contains("gen_entry_copy_xattrs: openat")
        || is_changed_through_another_name(case, difference)
        || is_basis_out_of_reach(case, reference)
        || is_refused_without_access_time(case, reference)
        || is_mode_by_another_process(case, difference)
        || is_mode_of_another_file(case, difference)
        || is_left_passable(case, difference)
        || is_backup_made_writable(case, difference)
        || is_told_though_it_failed(case, reference, difference)
        || is_touched_though_left_alone(case, reference, difference)
        || is_kept_for_a_missing_source(case, reference, difference)
        || is_temporary_file_in_the_source(case, difference)
        || is_mirrored_at_another_time(case, reference, difference)
        || is_anchored_below_a_wildcard(case, difference)
        || is_attribute_behind_a_link(case, difference)
}

/// --temp-dir in a directory that is itself copied, through a link: its time changes while it is
/// read.
fn is_temporary_file_in_the_source(case: &Case, difference: &Difference) -> bool {
    case.has_prefix("--temp-dir")
        && case.follows_links()
        && difference.field == "mtime"
        && difference.text.contains("now")
}

/// --backup-dir: rsync gives its directories what those that they mirror have at the moment, which
/// may be set before or after; and its own checks refuse a way through `..` with --inplace.
fn is_mirrored_at_another_time(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let path = &difference.path;
    let is_backup = path.starts_with(b"bk") || path.starts_with(b"dst/bk");
    let sets_owners = ["--usermap", "--groupmap", "--chown", "--chmod"];
    let is_early = is_backup
        && sets_owners.iter().any(|option| case.has_prefix(option))
        && matches!(difference.field, "uid" | "gid" | "mode");
    let is_late = path == b"dst" && difference.field == "mtime" && case.has("--backup-dir=bk");
    let is_refused = case.has("--backup-dir=../bk")
        && reference.stderr().contains("[generator] stat \"")
        && reference.stderr().contains("/../bk")
        && (is_backup || difference.aspect == Aspect::Exit);
    case.has_prefix("--backup-dir") && (is_early || is_late || is_refused)
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

/// -X with links that are followed: rsync reads the attributes of the link, which has none.
fn is_attribute_behind_a_link(case: &Case, difference: &Difference) -> bool {
    let name = last_name(&difference.path);
    let is_link = |node: &Node| {
        matches!(node.kind, Kind::Symlink(_))
            && node.path.starts_with(b"src")
            && last_name(&node.path) == name
    };
    case.has("-X")
        && case.follows_links()
        && difference.field == "xattrs"
        && difference.text.starts_with("[] |")
        && case.tree.nodes.iter().any(is_link)
}

/// --open-noatime: rsync copies no file of another user, since only the owner may leave access times
/// alone; to read it in the usual way is the better end.
fn is_refused_without_access_time(case: &Case, reference: &Observation) -> bool {
    case.has("--open-noatime")
        && case.run_as == RunAs::User
        && ["[sender] send_files failed to open", "[sender] opendir"]
            .iter()
            .any(|failure| reference.stderr().contains(failure))
        && reference.stderr().contains("Operation not permitted (1)")
}

/// -X without -p: rsync's receiver sets the attributes of what its generator has made, and the
/// source's mode with them, which nobody asked for.
fn is_mode_by_another_process(case: &Case, difference: &Difference) -> bool {
    let Some((mode, _)) = difference.text.split_once(" | ") else { return false };
    let name = last_name(&difference.path);
    let is_of_source = |node: &Node| {
        node.path.starts_with(b"src")
            && (last_name(&node.path) == name || node.path == b"src")
            && !node.xattrs.is_empty()
            && u32::from_str_radix(mode.trim(), 8).is_ok_and(|mode| mode == node.mode)
    };
    case.has("-X")
        && !case.keeps("p", "--no-perms")
        && difference.field == "mode"
        && case.tree.nodes.iter().any(is_of_source)
}

/// --fuzzy without -p: rsync gives a new file the mode of the file that it found to be like it.
fn is_mode_of_another_file(case: &Case, difference: &Difference) -> bool {
    case.has("--fuzzy") && !case.keeps("p", "--no-perms") && difference.field == "mode"
}

/// An ordinary user's directories are passable while they are worked in. rsync takes that back only
/// where the owner may not write in the end, and tells of the mode again in every run.
fn is_left_passable(case: &Case, difference: &Difference) -> bool {
    let modes = octal_pair(&difference.text);
    case.run_as == RunAs::User
        && difference.field == "mode"
        && modes.is_some_and(|(theirs, ours)| theirs == ours | 0o700 && ours & 0o200 != 0)
}

/// rsync makes what it deletes writable first, as an ordinary user: also a file that only moves to
/// its backup name, with all its other names, and a directory that then cannot be removed.
fn is_backup_made_writable(case: &Case, difference: &Difference) -> bool {
    let modes = octal_pair(&difference.text);
    let is_deleted = case.has_prefix("--del") || case.has("-b") || case.has_prefix("--backup");
    // Another name that stays is told as changed if that comes first.
    let is_linked = || case.tree.nodes.iter().any(|node| matches!(node.kind, Kind::HardLink(_)));
    let is_changed = match difference.field {
        "mode" => modes.is_some_and(|(theirs, ours)| theirs == ours | 0o200),
        "items" => is_linked() && differs_in_letters(&difference.text, "p"),
        _ => false,
    };
    is_deleted && case.run_as == RunAs::User && is_changed
}

/// True when the first lines that differ do so in some of these letters alone.
fn differs_in_letters(text: &str, letters: &str) -> bool {
    let first = |lines: &str| {
        let line = lines.split('`').nth(1).unwrap_or_default();
        let (item, name) = line.split_at_checked(11).unwrap_or((line, ""));
        format!("{}{name}", item.replace(|letter| letters.contains(letter), "."))
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
    // A dry run tells even of what has no place to go to.
    let stays = case.has("-n") || stderr.contains("*** Skipping any contents from this failed");
    let is_below_what_stays =
        case.has("--ignore-existing") && stays && has_file_for_directory(case);
    let is_in_the_way = reference.stdout().contains("could not make way for ")
        || stderr.contains("[generator] readlink_stat(\"");
    let is_told = is_refused || is_below_what_stays || (case.has("-n") && is_in_the_way);
    difference.aspect == Aspect::Output && is_told
}

/// True when the destination has something else where the source has a directory.
fn has_file_for_directory(case: &Case) -> bool {
    let nodes = || case.tree.nodes.iter();
    let is_dir = |node: &Node| node.kind == Kind::Dir && node.path.starts_with(b"src/");
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
        && stderr.contains("[generator] opendir \"")
        && stderr.contains("Not a directory (20)");
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
        (Aspect::Tree, "mtime") => difference.text.starts_with("now |"),
        (Aspect::Tree, "links to") => true,
        (Aspect::Output, field) => field == "deletions",
        (Aspect::Exit, _) => reference.run.exit == Exit::Code(25),
        _ => false,
    };
    case.has_prefix("--del") && is_missing && is_kept
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

/// With -U rsync sends whole seconds only; keeping the rest as well is no fault.
fn is_access_time_cut(case: &Case, difference: &Difference) -> bool {
    let seconds = |text: &str| text.trim().split('.').next().map(str::to_owned);
    // Its own scan reads directories, and may do so after their times were set.
    let is_read_later = |text: &str| text.trim() == "now";
    // Whichever of its names is read first, a link was read under all of them.
    let is_read_before = |text: &str| {
        let node = case.tree.nodes.iter().find(|node| {
            node.path.starts_with(b"src") && last_name(&node.path) == last_name(&difference.path)
        });
        text.trim() == "now" && node.is_some_and(|node| matches!(node.kind, Kind::HardLink(_)))
    };
    case.has("-U")
        && difference.field == "atime"
        && difference.text.split_once('|').is_some_and(|(left, right)| {
            is_read_later(left) || is_read_before(right) || seconds(left) == seconds(right)
        })
}

/// A backup whose name would be too long: rsync's receiver gives up the whole run with 11, its
/// generator goes on; going on and saying so is the better end.
fn is_backup_without_a_name(case: &Case, reference: &Observation) -> bool {
    (case.has("-b") || case.has("--backup"))
        && ((reference.stderr().contains("File name too long")
            && reference.run.exit != Exit::Code(0))
            || reference.stdout().lines().any(is_device_without_a_backup))
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
    if !deletes_meanwhile || !stops_deletion {
        return false;
    }
    let parts_of = |dir: &str| {
        let dir = dir.as_bytes();
        difference.path.windows(dir.len()).any(|window| window == dir)
    };
    // What is deleted may live on as a backup.
    let was_there = || {
        let suffixes: [&[u8]; 4] = [b"", b"~", b".old", b".txt"];
        let old_name = |suffix: &&[u8]| difference.path.strip_suffix(*suffix);
        let is_backup_dir = difference.path == b"bk" && case.has_prefix("--backup-dir");
        let aside = difference.path.strip_prefix(b"bk/").map(|name| [b"dst/", name].concat());
        suffixes.iter().filter_map(old_name).any(|path| case.tree.get(path).is_some())
            || aside.is_some_and(|path| case.tree.get(&path).is_some())
            || is_backup_dir
    };
    let failed_dir = unreadable_dirs(&stderr).any(parts_of);
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
