//! What rsync leaves to chance, or gets wrong, in what its arguments and lists name.

use super::differs_in_letters;
use crate::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::tree::{Kind, Node, Segment};

/// True if `difference` is one that rsync might have with itself, or with its own manual.
pub(crate) fn is_excused(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    is_special_source_kept(case, difference)
        || is_source_behind_a_link(case, reference, difference)
        || is_source_of_a_lacking_copy(case, reference, difference)
        || is_source_moved_from_under_a_link(case, reference, difference)
        || is_appended_to_what_is_like_it(case, difference)
        || is_mode_of_another_kind(case, difference)
        || is_rule_of_a_directory_passed(case, difference)
        || is_rule_file_just_read(case, difference)
        || is_empty_and_named_twice(case, difference)
        || is_rule_of_another_source(case, difference)
        || is_unread_and_empty(case, reference, difference)
        || is_backup_deleted_at_once(case, difference)
        || is_missing_with_its_directory(case, reference, difference)
        || is_backup_of_what_was_kept(case, reference, difference)
        || is_unsafe_link_put_aside(case, difference)
        || is_directory_of_a_listed_name(case, difference)
}

/// --remove-source-files with a basis tree: rsync keeps a link, device or pipe whose copy a basis
/// tree gave, against its manual, and removes it in the next run.
fn is_special_source_kept(case: &Case, difference: &Difference) -> bool {
    let is_other = |node: &Node| !matches!(node.kind, Kind::Dir | Kind::File(_));
    let is_gone = difference.text.ends_with("| nothing")
        && case.tree.get(&difference.path).is_some_and(is_other);
    let is_its_place = difference.field == "mtime" && difference.text.ends_with("| now");
    case.has("--remove-source-files")
        && has_basis(case)
        && difference.path.starts_with(b"src")
        && (is_gone || is_its_place)
}

/// --remove-source-files with -L or -k: rsync copies what lies behind a link to a directory, and
/// then refuses to go there to remove it.
fn is_source_behind_a_link(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_removed = matches!(difference.field, "existence" | "mtime" | "exit" | "links to");
    case.has("--remove-source-files")
        && reference.stderr().contains("sender failed to secure-open-parent")
        && is_removed
}

/// --remove-source-files: rsync removes a source whose copy lacks its owner, mode or time;
/// docs/safety.md keeps it.
fn is_source_of_a_lacking_copy(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let stderr = reference.stderr();
    let is_lacking = [
        "] chown \"",
        "] chgrp \"",
        "] failed to set permissions on \"",
        "] failed to set times on \"",
    ]
    .iter()
    .any(|failure| stderr.contains(failure));
    let is_kept = match difference.field {
        "existence" => difference.text.starts_with("nothing |"),
        "mtime" => difference.text.starts_with("now |"),
        "links to" => true,
        _ => false,
    };
    case.has("--remove-source-files")
        && is_lacking
        && difference.path.starts_with(b"src")
        && is_kept
}

/// --remove-source-files with -L: rsync removes what a link leads to when that has been copied, and then
/// has nothing to copy under the name of the link, which is left behind.
fn is_source_moved_from_under_a_link(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let name = last_name(&difference.path);
    let is_link = |node: &Node| {
        node.path.starts_with(b"src")
            && (last_name(&node.path) == name || difference.field == "items")
            && matches!(node.kind, Kind::Symlink(_))
    };
    let is_lost = match difference.field {
        "existence" if difference.path.starts_with(b"src") => {
            difference.text.ends_with("| nothing")
        }
        "existence" => difference.text.starts_with("nothing | -"),
        "items" => difference.text.contains(" | `>f"),
        _ => false,
    };
    case.has("--remove-source-files")
        && case.has("-L")
        && reference.stderr().contains("file has vanished: ")
        && is_lost
        && case.tree.nodes.iter().any(is_link)
}

/// --append with --fuzzy: rsync takes the length of the file that is like it for the
/// destination's, and leaves out files that are not there at all.
fn is_appended_to_what_is_like_it(case: &Case, difference: &Difference) -> bool {
    let is_made = match (difference.aspect, difference.field) {
        (Aspect::Output, _) => true,
        (Aspect::Tree, "existence") => difference.text.starts_with("nothing |"),
        (Aspect::Tree, "mtime") => difference.text.ends_with("| now"),
        (Aspect::Tree, field) => matches!(field, "size" | "content"),
        _ => false,
    };
    (case.has("--append") || case.has("--append-verify")) && case.has("--fuzzy") && is_made
}

/// Without -p a device or pipe gets the mode of whatever it replaces, and from a link all of 0777;
/// a regular file in the same place does not, unless its content comes from a basis tree.
fn is_mode_of_another_kind(case: &Case, difference: &Difference) -> bool {
    let replaced = case.tree.get(&difference.path);
    let name = last_name(&difference.path);
    let is_other = |node: &Node| {
        node.path.starts_with(b"src/")
            && last_name(&node.path) == name
            && !matches!(node.kind, Kind::Dir | Kind::Symlink(_))
            && (has_basis(case) || !matches!(node.kind, Kind::File(_)))
    };
    !case.keeps("p", "--no-perms")
        && difference.field == "mode"
        && replaced.is_some_and(|node| !node.path.starts_with(b"src"))
        && case.tree.nodes.iter().any(is_other)
}

/// Names of a list or with -R, and rule files in directories: rsync asks the rules of whatever
/// directory it passed last, also for names elsewhere.
fn is_rule_of_a_directory_passed(case: &Case, difference: &Difference) -> bool {
    let names_some = case.has_prefix("--files-from") || case.has("-R");
    let is_left_out = match (difference.aspect, difference.field) {
        (Aspect::Output, _) => true,
        (Aspect::Tree, "existence") if excludes_the_rest(case) => true,
        (Aspect::Tree, "existence") => difference.text.starts_with("nothing |"),
        (Aspect::Tree, "mtime") => difference.text.ends_with("| now"),
        _ => false,
    };
    reads_directory_rules(case)
        && names_some
        && is_left_out
        && case.tree.nodes.iter().any(is_rule_file)
}

/// True when a rule of a directory leaves out what does not match: of the wrong directory, it does so
/// where another would not.
fn excludes_the_rest(case: &Case) -> bool {
    let is_negated = |segment: &Segment| match segment {
        Segment::Bytes(text) => text.windows(2).any(|pair| pair == b"-!"),
        _ => false,
    };
    let negates =
        |node: &Node| matches!(&node.kind, Kind::File(text) if text.iter().any(is_negated));
    case.tree.nodes.iter().filter(|node| is_rule_file(node)).any(negates)
}

/// -U: rsync looks at a rule file when it has read it, lanesync leaves its access time alone.
fn is_rule_file_just_read(case: &Case, difference: &Difference) -> bool {
    let theirs = difference.text.split('`').nth(1).unwrap_or_default();
    case.has("-U")
        && reads_directory_rules(case)
        && difference.field == "items"
        && differs_in_letters(&difference.text, "u")
        && case
            .tree
            .nodes
            .iter()
            .filter(|node| is_rule_file(node))
            .any(|node| theirs.as_bytes().ends_with(last_name(&node.path)))
}

/// -m: rsync keeps an empty directory that two arguments or lines of a list name.
fn is_empty_and_named_twice(case: &Case, difference: &Difference) -> bool {
    let is_kept = match difference.field {
        "existence" => difference.text.starts_with('d') && difference.text.ends_with("| nothing"),
        "kind" => difference.text.starts_with('d'),
        "mtime" if difference.text.contains("now") => true,
        "mtime" | "mode" | "uid" | "gid" => {
            case.tree.get(&difference.path).is_some_and(|node| node.kind == Kind::Dir)
        }
        "deletions" => true,
        "items" => difference.text.contains("`cd") || difference.text.contains("`.d"),
        "lines" => difference.text.split('`').nth(1).is_some_and(|line| line.starts_with('d')),
        _ => false,
    };
    let names_some = case.sources.len() > 1 || case.has_prefix("--files-from");
    case.has("-m") && names_some && is_kept
}

/// -m: rsync drops a directory that it cannot read, and those that hold nothing else; lanesync does
/// not know it to be empty.
fn is_unread_and_empty(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let ours = difference.text.split_once(" | ").map_or("", |(_, ours)| ours);
    let is_dir = |node: &Node| node.kind == Kind::Dir;
    let is_kept = match difference.field {
        "existence" => difference.text.starts_with("nothing | d"),
        "kind" => difference.text.contains("| d"),
        "mtime" => difference.text.ends_with("| now"),
        "mode" | "uid" | "gid" => case.tree.get(&difference.path).is_some_and(is_dir),
        "items" => ours.starts_with("`cd") || ours.starts_with("`.d"),
        "lines" => ours.starts_with("`d"),
        _ => false,
    };
    let stderr = reference.stderr();
    let is_unread = stderr.contains("[sender] opendir \"") && stderr.contains("Permission denied");
    case.has("-m") && is_unread && is_kept
}

/// --delete-after: rsync takes for extraneous what it has just put aside in the destination.
fn is_backup_deleted_at_once(case: &Case, difference: &Difference) -> bool {
    let is_unprotected = case.has("-b") && case.has("--delete-excluded");
    // With a limit there is less left to be deleted elsewhere.
    let is_inside = case.has("--backup-dir=bk");
    let is_limited = is_inside && case.has_prefix("--max-delete");
    let is_put_aside = match (difference.aspect, difference.field) {
        (Aspect::Exit, _) => is_unprotected || is_limited,
        (_, "deletions") => true,
        _ if is_limited => difference.path.starts_with(b"dst/"),
        // It moves what lies there, once more, to below itself.
        _ if is_inside => difference.path == b"dst/bk" || difference.path.starts_with(b"dst/bk/"),
        (_, "existence") => {
            let suffixes = [&b"~"[..], b".old", b".txt"];
            difference.text.starts_with("nothing |")
                && suffixes.iter().any(|suffix| difference.path.ends_with(suffix))
        }
        _ => false,
    };
    case.has("--delete-after") && (is_unprotected || is_inside) && is_put_aside
}

/// --ignore-missing-args and --delete-missing-args: rsync forgives that a name is missing, but not its directory.
fn is_missing_with_its_directory(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    (case.has("--ignore-missing-args") || case.has("--delete-missing-args"))
        && case.has_prefix("--files-from")
        && reference.stderr().contains("[sender] change_dir \"")
        && difference.aspect == Aspect::Exit
        && difference.text.ends_with("Code(0)")
}

/// Rule files of several sources: rsync takes those above the first for all and, while it lists and
/// copies at once, those at the top of the first; below a directory that two of them have it takes
/// the rules of one for both.
fn is_rule_of_another_source(case: &Case, difference: &Difference) -> bool {
    let tops: Vec<Vec<u8>> = case.sources.iter().map(|source| top_of(source)).collect();
    let is_shared = |below: &[u8], top: &[u8]| {
        let others = tops.iter().filter(|other| *other != top);
        others.map(|other| [&other[..], below].concat()).any(|path| case.tree.get(&path).is_some())
    };
    let is_misread = |dir: &[u8]| {
        tops.iter().any(|top| match dir.strip_prefix(&top[..]) {
            Some(below) => below.is_empty() || is_shared(below, top),
            None => top.starts_with(dir),
        })
    };
    reads_directory_rules(case)
        && case.sources.len() > 1
        && difference.aspect != Aspect::Exit
        && case
            .tree
            .nodes
            .iter()
            .filter(|node| is_rule_file(node))
            .any(|node| is_misread(dir_of(&node.path)))
}

/// A source argument that is not there keeps lanesync from deleting anything, and so from keeping
/// what was deleted as a backup.
fn is_backup_of_what_was_kept(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let stderr = reference.stderr();
    let is_missing = stderr.contains("[sender] link_stat")
        && stderr.contains("failed: No such file or directory");
    let is_backup = difference.field == "existence"
        && difference.text.ends_with("| nothing")
        && !difference.path.starts_with(b"src");
    // Deletion before the transfer shows in the times of directories.
    let is_place = difference.aspect == Aspect::Output
        && (difference.text.contains("`.d..t...... ")
            || (difference.text.contains("`.d..t") && differs_in_letters(&difference.text, "t")));
    let makes_backups = case.has("-b") || case.has_prefix("--backup-dir");
    case.has_prefix("--del") && is_missing && ((makes_backups && is_backup) || is_place)
}

/// --safe-links: rsync makes no backup of a link that leads out of the tree: it is lost.
fn is_unsafe_link_put_aside(case: &Case, difference: &Difference) -> bool {
    let makes_backups = case.has("-b") || case.has_prefix("--backup-dir");
    let is_lost = match difference.field {
        "existence" => difference.text.starts_with("nothing | l"),
        "links to" => difference.text.starts_with("none |"),
        _ => false,
    };
    case.has("--safe-links") && makes_backups && is_lost && !difference.path.starts_with(b"src")
}

/// `%f` of a name from a list, without -R: rsync shows the directory of its line, too.
fn is_directory_of_a_listed_name(case: &Case, difference: &Difference) -> bool {
    let first = |lines: &str| lines.split('`').nth(1).unwrap_or_default().to_owned();
    let is_longer = |(theirs, ours): (&str, &str)| {
        let (theirs, ours) = (first(theirs), first(ours));
        let (item, name) = ours.split_at_checked(12).unwrap_or_default();
        theirs.starts_with(item) && theirs.ends_with(&format!("/{name}"))
    };
    case.has_prefix("--files-from")
        && (case.has("--no-R") || case.has("--no-relative"))
        && case.groups.iter().flatten().any(|word| word.windows(2).any(|pair| pair == b"%f"))
        && matches!(difference.field, "items" | "links")
        && difference.text.split_once(" | ").is_some_and(is_longer)
}

fn is_rule_file(node: &Node) -> bool {
    matches!(last_name(&node.path), b".rsync-filter" | b".rules" | b".plain" | b".cvsignore")
}

fn reads_directory_rules(case: &Case) -> bool {
    let is_rule = |word: &Vec<u8>| word.starts_with(b":") || word.starts_with(b"dir-merge");
    ["-F", "-FF", "-C", "-f:C"].iter().any(|option| case.has(option))
        || case.groups.iter().flatten().any(is_rule)
}

fn has_basis(case: &Case) -> bool {
    ["--link-dest", "--copy-dest", "--compare-dest"].iter().any(|option| case.has_prefix(option))
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// The directory of the tree that a source argument's paths begin in.
fn top_of(source: &[u8]) -> Vec<u8> {
    let names_content = source.ends_with(b"/") || source.ends_with(b"/.");
    let components = source.split(|&byte| byte == b'/');
    let mut way: Vec<&[u8]> =
        components.filter(|part| !matches!(*part, b"" | b"." | b"@ROOT@")).collect();
    if !names_content {
        way.pop();
    }
    way.join(&b'/')
}

/// What stands before the last slash.
fn dir_of(path: &[u8]) -> &[u8] {
    let at = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &path[..at]
}
