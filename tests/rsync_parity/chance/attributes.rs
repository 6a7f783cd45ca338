//! What rsync leaves to chance, or gets wrong, in attributes.

use super::{differs_in_fraction, differs_in_letters, last_name, octal_pair};
use crate::case::Case;
use crate::support::parity::{Aspect, Difference, Observation};
use crate::support::run::{Exit, RunAs, USER};
use crate::support::tree::{Acl, Kind, Node, ROOT_MARK};

/// True if `difference` is one that rsync might have with itself, or with its own manual.
pub(crate) fn is_excused(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    is_stray_time(case, reference, difference)
        || is_access_time_cut(case, difference)
        || is_refused_without_access_time(case, reference, difference)
        || is_mode_by_another_process(case, difference)
        || is_mode_of_a_list_taken_for_an_attribute(case, difference)
        || is_mode_of_another_file(case, difference)
        || is_mode_of_an_unread_file(case, difference)
        || is_mode_of_a_replaced_link(case, difference)
        || is_left_passable(case, difference)
        || is_backup_made_writable(case, reference, difference)
        || is_mirrored_at_another_time(case, reference, difference)
        || is_attribute_behind_a_link(case, difference)
        || is_bare_copy_of_a_link(case, difference)
        || is_half_done_without_its_owner(case, reference, difference)
        || is_taken_for_root(case, reference, difference)
        || is_time_of_a_kept_link(case, difference)
        || is_link_read_before(case, difference)
        || is_taken_for_equal_unread(case, difference)
        || is_out_of_reach(case, reference, difference)
        || is_mask_without_names(case, difference)
        || is_half_translated(case, difference)
        || is_fraction_of_second_minus_one(case, difference)
        || is_list_of_an_unreadable_directory(case, difference)
        || is_own_attribute_out_of_reach(case, reference, difference)
}

/// --backup-dir: its directories get the attributes that those that they mirror have at the moment, and
/// the time of one in the destination is set before or after; and rsync's own checks refuse a way
/// through `..` with --inplace.
fn is_mirrored_at_another_time(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let path = &difference.path;
    let is_backup = path.starts_with(b"bk") || path.starts_with(b"dst/bk");
    let is_early = is_backup
        && match difference.field {
            "xattrs" => case.has("-X") || case.has("-A") || case.has("--fake-super"),
            "mode" => case.has("--fake-super"),
            _ => false,
        };
    // Where it cannot give one away it leaves the mode, too.
    let is_half_done = is_backup
        && difference.field == "mode"
        && reference.stderr().contains("[generator] chgrp \"")
        && reference.stderr().contains("/run/bk");
    let is_late = path == b"dst" && difference.field == "mtime" && case.has("--backup-dir=bk");
    let is_refused = case.has("--backup-dir=../bk")
        && reference.stderr().contains("[generator] stat \"")
        && reference.stderr().contains("/../bk")
        && (is_backup || difference.aspect == Aspect::Exit);
    case.has_prefix("--backup-dir") && (is_early || is_half_done || is_late || is_refused)
}

/// -X with links that are followed: rsync reads the attributes of the link, which has none, or its own.
fn is_attribute_behind_a_link(case: &Case, difference: &Difference) -> bool {
    let name = last_name(&difference.path);
    let mut links = case
        .tree
        .nodes
        .iter()
        .filter(|node| node.path.starts_with(b"src") && last_name(&node.path) == name)
        .map(|node| first_name(case, node))
        .filter(|node| matches!(node.kind, Kind::Symlink(_)));
    case.has("-X")
        && case.follows_links()
        && difference.field == "xattrs"
        && links.any(|node| node.xattrs.is_empty() == difference.text.starts_with("[] |"))
}

/// An ordinary user's directories are passable while they are worked in. rsync takes that back only
/// where the owner may not write in the end, and tells of the mode again in every run.
fn is_left_passable(case: &Case, difference: &Difference) -> bool {
    let is_wider = |theirs: u32, ours: u32| theirs == ours | 0o7 && ours & 0o2 != 0;
    let modes = octal_pair(&difference.text);
    let is_passable = match difference.field {
        "mode" => modes.is_some_and(|(theirs, ours)| {
            is_wider(theirs >> 6 & 7, ours >> 6 & 7) && (theirs ^ ours) & !0o700 == 0
        }),
        "xattrs" => difference.text.split_once(" | ").is_some_and(|(theirs, ours)| {
            [2, 3, 6].iter().any(|before| {
                let list = |owner| format!("[system.posix_acl_access=user::{owner},");
                theirs != ours && theirs == ours.replace(&list(*before), &list(7))
            })
        }),
        _ => false,
    };
    case.run_as == RunAs::User && is_passable
}

/// With -U rsync sends whole seconds only; keeping the rest as well is no fault.
fn is_access_time_cut(case: &Case, difference: &Difference) -> bool {
    let seconds = |text: &str| text.trim().split('.').next().map(str::to_owned);
    // Whichever of its names is read first, a link was read under all of them; and so was what two
    // sources hold.
    let is_link = |node: &Node| {
        matches!(node.kind, Kind::HardLink(_))
            && node.path.starts_with(b"src")
            && last_name(&node.path) == last_name(&difference.path)
    };
    let is_named_twice = case.sources.len() > 1;
    let is_read_before = |text: &str| {
        text.trim() == "now" && (is_named_twice || case.tree.nodes.iter().any(is_link))
    };
    // What rsync has read has another time; lanesync leaves that alone where it may.
    let is_read = |text: &str| text.trim() == "now";
    // With -H it takes the time of a link with several names for that of what comes next.
    let is_of_a_link = |text: &str| {
        let is_link_of_several = |node: &Node| {
            matches!(node.kind, Kind::HardLink(_))
                && matches!(first_name(case, node).kind, Kind::Symlink(_))
        };
        !is_read(text) && case.has("-H") && case.tree.nodes.iter().any(is_link_of_several)
    };
    case.has("-U")
        && difference.field == "atime"
        && difference.text.split_once('|').is_some_and(|(left, right)| {
            is_read(left)
                || is_read_before(right)
                || is_of_a_link(left)
                || seconds(left) == seconds(right)
        })
}

/// --open-noatime: rsync copies no file of another user, since only the owner may leave access times
/// alone; to read it in the usual way is the better end.
fn is_refused_without_access_time(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let stderr = reference.stderr();
    let is_refused = ["[sender] send_files failed to open", "[sender] opendir"]
        .iter()
        .any(|failure| stderr.contains(failure))
        && stderr.contains("Operation not permitted (1)");
    let foreign = || case.tree.nodes.iter().filter(|node| is_of_another_user(node));
    let parts = || difference.path.split(|&byte| byte == b'/');
    let is_of_foreign = || foreign().any(|node| parts().any(|part| part == last_name(&node.path)));
    // What could not be read keeps back deletions, too.
    let is_kept = || case.has_prefix("--del") && difference.text.ends_with("| nothing");
    let is_affected = match (difference.aspect, difference.field) {
        (Aspect::Tree, "mtime") => difference.text.contains("now") || is_of_foreign(),
        (Aspect::Tree, _) => is_of_foreign() || is_kept(),
        (Aspect::Exit, _) => reference.run.exit == Exit::Code(23),
        (Aspect::Output, _) => true,
    };
    case.has("--open-noatime") && case.run_as == RunAs::User && is_refused && is_affected
}

/// True for what belongs neither to the user that runs the tool nor to whoever that is.
fn is_of_another_user(node: &Node) -> bool {
    node.owner.is_some_and(|(uid, _)| uid != USER)
}

/// Mode bits as the kernel shows them: with an ACL those of the group are its mask.
pub(super) fn shown_mode(node: &Node) -> u32 {
    node.acl.as_ref().map_or(node.mode, |acl| node.mode & !0o070 | u32::from(acl.mask) << 3)
}

/// Mode bits that rsync sends of a node.
fn sent_mode(case: &Case, node: &Node) -> u32 {
    let mut chmod = model::Chmod::default();
    for word in case.groups.iter().flatten() {
        let changes =
            word.strip_prefix(b"--chmod=").and_then(|text| std::str::from_utf8(text).ok());
        let taken = changes.map(|text| chmod.push(text, case.umask));
        assert_ne!(taken, Some(None), "no case has a bad --chmod");
    }
    chmod.apply(shown_mode(node), node.kind == Kind::Dir)
}

/// Nodes of the sources that a path of the destination may be a copy of.
pub(super) fn originals<'a>(case: &'a Case, path: &'a [u8]) -> impl Iterator<Item = &'a Node> {
    let destination = &case.destination[..];
    let below = destination.strip_prefix(ROOT_MARK).unwrap_or(destination);
    let components = below.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    let is_root = components.eq(path.split(|&byte| byte == b'/'));
    let is_original = move |node: &&Node| {
        node.path.starts_with(b"src") && (is_root || last_name(&node.path) == last_name(path))
    };
    case.tree.nodes.iter().filter(is_original).map(|node| first_name(case, node))
}

/// The node that has the attributes of what may be another name of it.
fn first_name<'a>(case: &'a Case, node: &'a Node) -> &'a Node {
    match &node.kind {
        Kind::HardLink(first) => case.tree.get(first).unwrap_or(node),
        _ => node,
    }
}

/// -X without -p: rsync's receiver sets the attributes of what its generator has made, and the
/// source's mode with them, which nobody asked for; in an ACL, too.
fn is_mode_by_another_process(case: &Case, difference: &Difference) -> bool {
    let is_theirs = |node: &Node| match octal_pair(&difference.text) {
        Some((theirs, _)) => sent_mode(case, node) == theirs,
        None => difference.field == "xattrs" && differs_in_mode(&difference.text),
    };
    let sources = || case.tree.nodes.iter().filter(|node| !node.path.starts_with(b"dst"));
    let is_behind_link = case.follows_links() && sources().any(is_theirs);
    let has_xattrs = || {
        let is_kin = |node: &Node| last_name(&node.path) == last_name(&difference.path);
        let copies = case.tree.nodes.iter().filter(|node| is_kin(node));
        // Rules about attributes have it take ACLs for some.
        let has_some = |node: &Node| {
            let has_acl = node.acl.is_some() || node.default_acl.is_some();
            !node.xattrs.is_empty() || (has_acl && case.has_attribute_rules())
        };
        originals(case, &difference.path).chain(copies).any(has_some)
    };
    case.has("-X")
        && !case.keeps("p", "--no-perms")
        && matches!(difference.field, "mode" | "xattrs")
        && (originals(case, &difference.path).any(is_theirs) || is_behind_link)
        && has_xattrs()
}

/// -X with rules about attributes, which take ACLs for some: rsync gives a new directory its default ACL
/// before or after others of its processes make what is in it.
fn is_mode_of_a_list_taken_for_an_attribute(case: &Case, difference: &Difference) -> bool {
    let has_default = |node: &Node| {
        node.path.starts_with(b"src") && node.kind == Kind::Dir && node.default_acl.is_some()
    };
    case.has("-X")
        && !case.has("-A")
        && case.has_attribute_rules()
        && !case.keeps("p", "--no-perms")
        && difference.field == "mode"
        && case.tree.nodes.iter().any(has_default)
}

/// True when attributes differ in what the mode sets of an access ACL alone.
fn differs_in_mode(text: &str) -> bool {
    let without_mode = |text: &str| {
        let mut list = text.trim().to_owned();
        list.find("system.posix_acl_access=")?;
        for key in ["user::", "mask::", "other::"] {
            let at = list.find(key)? + key.len();
            list.replace_range(at..=at, "?");
        }
        Some(list)
    };
    text.split_once(" | ").is_some_and(|(theirs, ours)| {
        without_mode(theirs).is_some() && without_mode(theirs) == without_mode(ours)
    })
}

/// --fuzzy without -p: rsync gives a new file the mode of the file that it found to be like it.
fn is_mode_of_another_file(case: &Case, difference: &Difference) -> bool {
    let Some((theirs, _)) = octal_pair(&difference.text) else { return false };
    let is_beside = |node: &Node| {
        matches!(node.kind, Kind::File(_) | Kind::HardLink(_))
            && !node.path.starts_with(b"src")
            && (shown_mode(node) == theirs || matches!(node.kind, Kind::HardLink(_)))
    };
    case.has("--fuzzy")
        && !case.keeps("p", "--no-perms")
        && difference.field == "mode"
        && case.tree.nodes.iter().any(is_beside)
}

/// Without -p, rsync takes a file that it cannot read for none: the new one gets the mode of a new file,
/// against its manual. docs/safety.md keeps what its owner has closed.
fn is_mode_of_an_unread_file(case: &Case, difference: &Difference) -> bool {
    let name = last_name(&difference.path);
    let is_in_basis = |node: &&Node| node.path.starts_with(b"alt") && last_name(&node.path) == name;
    let in_basis = || case.tree.nodes.iter().find(is_in_basis);
    let there =
        case.tree.get(&difference.path).or_else(in_basis).map(|node| first_name(case, node));
    let is_unread =
        |node: &Node| matches!(node.kind, Kind::File(_)) && shown_mode(node) & 0o400 == 0;
    let keeps_theirs = octal_pair(&difference.text).is_some_and(|(theirs, ours)| {
        theirs != ours && there.is_some_and(|node| ours & !0o111 == shown_mode(node) & !0o111)
    });
    !case.keeps("p", "--no-perms")
        && case.run_as == RunAs::User
        && difference.field == "mode"
        && there.is_some_and(is_unread)
        && keeps_theirs
}

/// Without -p, what takes the place of a link gets the 0777 of that, through -L and with --fake-super
/// also.
fn is_mode_of_a_replaced_link(case: &Case, difference: &Difference) -> bool {
    let there = case.tree.get(&difference.path);
    let is_of_link = match difference.field {
        "mode" => difference.text.starts_with("0777 |"),
        "xattrs" => case.has("--fake-super") && difference.text.contains("0777 "),
        _ => false,
    };
    !case.keeps("p", "--no-perms")
        && there.is_some_and(|node| matches!(node.kind, Kind::Symlink(_)))
        && is_of_link
}

/// rsync makes what it deletes writable first, as an ordinary user: also a file that only moves to
/// its backup name, with all its other names, one that --max-delete keeps, and a directory that then
/// cannot be removed.
fn is_backup_made_writable(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let modes = octal_pair(&difference.text);
    let is_in_the_way = reference.stderr().contains("[generator] opendir \"")
        && reference.stderr().contains("could not make way for ");
    let is_deleted =
        case.has_prefix("--del") || case.has("-b") || case.has_prefix("--backup") || is_in_the_way;
    let is_written = |text: &str| {
        let (theirs, ours) = text.split_once(" | ").unwrap_or_default();
        [(4, 6), (5, 7)].iter().any(|(before, after)| {
            let list = |owner| format!("[system.posix_acl_access=user::{owner},");
            theirs == ours.replace(&list(before), &list(after))
        })
    };
    // Another name that stays is told as changed if that comes first.
    let is_linked = || case.tree.nodes.iter().any(|node| matches!(node.kind, Kind::HardLink(_)));
    let is_changed = match difference.field {
        "mode" => modes.is_some_and(|(theirs, ours)| ours & 0o200 == 0 && theirs == ours | 0o200),
        "xattrs" => is_written(&difference.text),
        "items" => {
            let (theirs, ours) = difference.text.split_once(" | ").unwrap_or_default();
            let is_once = theirs.contains(": `.f...p..... ") || ours.starts_with("`.f...p..... ");
            is_linked() && (is_once || differs_in_letters(&difference.text, "p"))
        }
        _ => false,
    };
    is_deleted && case.run_as == RunAs::User && is_changed
}

/// With -U but not -t, rsync gives files with attributes the time -1 and whatever nanoseconds were
/// in memory, or fails to where they are those of another user. With -c it cuts the access times of
/// these to whole seconds, and fails likewise.
fn is_stray_time(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_refused = difference.text == "Code(23) | Code(0)"
        && case.tree.nodes.iter().any(is_of_another_user)
        && reference.stderr().contains("[generator] failed to set times on \"");
    let is_stray = difference.field == "mtime" && difference.text.starts_with("-1.");
    let is_loose = !case.keeps("t", "--no-times");
    case.has("-U") && ((is_loose && is_stray) || ((is_loose || case.has("-c")) && is_refused))
}

/// -X: where attributes differ rsync brings times over to the nanosecond, but takes the second -1 for
/// no time at all.
fn is_fraction_of_second_minus_one(case: &Case, difference: &Difference) -> bool {
    let is_minus_one = |time: &str| time.trim().starts_with("-1.");
    case.has("-X") && difference.field == "mtime" && difference.text.split(" | ").all(is_minus_one)
}

/// --copy-dest or --link-dest with -X: rsync makes a link or node that a basis tree has anew, and gives it no
/// attributes.
fn is_bare_copy_of_a_link(case: &Case, difference: &Difference) -> bool {
    let is_bare =
        |node: &Node| !matches!(node.kind, Kind::Dir | Kind::File(_)) && !node.xattrs.is_empty();
    (case.has_prefix("--copy-dest") || case.has_prefix("--link-dest"))
        && case.has("-X")
        && difference.field == "xattrs"
        && difference.text.starts_with("[] |")
        && originals(case, &difference.path).any(is_bare)
}

/// --super as an ordinary user: where rsync cannot give something away, it leaves out its time, which
/// the next run will not find right, and of what is new the mode and attributes. A new directory is
/// closed to others by lanesync, open in rsync.
fn is_half_done_without_its_owner(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let is_dir = |node: &Node| node.kind == Kind::Dir;
    let is_left = match difference.field {
        "mtime" => difference.text.starts_with("now |"),
        "mode" => octal_pair(&difference.text).is_some_and(|(theirs, ours)| {
            theirs == ours & 0o700 | 0o600
                || theirs | 0o2000 == ours
                // Nothing runs with the rights of the wrong owner.
                || ours == theirs & !0o6000
                || (theirs == 0o600 && case.has("--inplace"))
                || (ours == theirs & 0o700 && originals(case, &difference.path).any(is_dir))
        }),
        "xattrs" => difference.text.starts_with("[] |"),
        _ => false,
    };
    let stderr = reference.stderr();
    case.has("--super")
        && case.run_as == RunAs::User
        && is_left
        && ["[generator] ch", "[receiver] ch"].iter().any(|failure| stderr.contains(failure))
        && originals(case, &difference.path).next().is_some()
}

/// --super as an ordinary user: rsync takes itself for root and does not make a directory passable that it
/// is to write in.
fn is_taken_for_root(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_refused = reference.stderr().lines().any(|line| {
        line.contains("[receiver] mkstemp \"") && line.ends_with("failed: Permission denied (13)")
    });
    let is_missing = match difference.field {
        "existence" => difference.text.starts_with("nothing | "),
        "exit" => difference.text == "Code(23) | Code(0)",
        _ => false,
    };
    case.has("--super") && case.run_as == RunAs::User && is_refused && is_missing
}

/// -K: where a link leads out of the destination, rsync leaves what is behind it alone and gives the
/// directory's owner and time to the link, and says so.
fn is_time_of_a_kept_link(case: &Case, difference: &Difference) -> bool {
    let there = case.tree.get(&difference.path);
    let is_link = there.is_some_and(|node| matches!(node.kind, Kind::Symlink(_)));
    let is_told = difference.field == "items" && difference.text.contains(": `.d");
    // Where there is nothing else to do it does not even find out.
    let is_unnoticed = difference.text == "Code(0) | Code(23)" || is_told;
    let leads_out = |node: &Node| matches!(&node.kind, Kind::Symlink(target) if target.starts_with(ROOT_MARK) || target.starts_with(b".."));
    let mut kept = case.tree.nodes.iter().filter(|node| !node.path.starts_with(b"src"));
    case.has("-K")
        && ((matches!(difference.field, "mtime" | "uid" | "gid") && is_link) || is_unnoticed)
        && kept.any(leads_out)
}

/// -U with --copy-unsafe-links or -k: where a link leads is found out when it is listed, and that is
/// an access; rsync has looked at its times by then.
fn is_link_read_before(case: &Case, difference: &Difference) -> bool {
    case.has("-U")
        && (case.has("--copy-unsafe-links") || case.has("-k"))
        && difference.field == "atime"
        && difference.text.ends_with("| now")
        && originals(case, &difference.path).any(|node| matches!(node.kind, Kind::Symlink(_)))
}

/// -c: a source file that cannot be read has no checksum, and rsync takes it for equal to a file of
/// its size that cannot be read either. To say that it failed is the better end.
fn is_taken_for_equal_unread(case: &Case, difference: &Difference) -> bool {
    let is_unreadable = |node: &Node| shown_mode(node) & 0o400 == 0;
    let mut sources = case.tree.nodes.iter().filter(|node| node.path.starts_with(b"src"));
    // And a source that cannot be read keeps back deletions.
    let is_kept = |kept: &str| case.has_prefix("--del") && difference.text.starts_with(kept);
    let is_affected = match (difference.aspect, difference.field) {
        (Aspect::Tree, "existence") if is_kept("nothing |") => true,
        (Aspect::Tree, "mtime") if is_kept("now |") => true,
        (Aspect::Tree, "mtime") if is_kept("") && differs_in_fraction(&difference.text) => true,
        (Aspect::Tree, "links to") if is_kept("") => true,
        (Aspect::Tree, _) => originals(case, &difference.path).any(is_unreadable),
        (Aspect::Exit, _) => difference.text == "Code(0) | Code(23)",
        (Aspect::Output, "deletions") => case.has_prefix("--del"),
        // Its further names are linked to it.
        (Aspect::Output, "links") => difference.text.contains(": `hf"),
        (Aspect::Output, _) => {
            let is_pretended = case.has("-n") && difference.text.contains(" | `>fc");
            difference.text.contains(": `.f") || is_pretended
        }
    };
    case.has("-c") && case.run_as == RunAs::User && sources.any(is_unreadable) && is_affected
}

/// -A: rsync opens a directory of the source to read its access control lists; by its name they can
/// be read even where it cannot.
fn is_list_of_an_unreadable_directory(case: &Case, difference: &Difference) -> bool {
    let is_unreadable = |node: &Node| node.kind == Kind::Dir && shown_mode(node) & 0o400 == 0;
    case.has("-A")
        && case.run_as == RunAs::User
        && difference.field == "xattrs"
        && difference.text.contains("system.posix_acl_")
        && originals(case, &difference.path).any(is_unreadable)
}

/// -X as an ordinary user: rsync reads attributes when it lists, and so fails for those that it may not
/// read also where the file is not to be sent, before it deletes anything, and makes no directory of
/// which it knows nothing else.
fn is_out_of_reach(case: &Case, reference: &Observation, difference: &Difference) -> bool {
    let is_closed = |node: &Node| node.kind == Kind::Dir && shown_mode(node) & 0o400 == 0;
    let is_affected = match difference.field {
        "existence" if difference.text.ends_with("| nothing") => case.has_prefix("--del"),
        // What is deleted may live on as a backup.
        "existence" if difference.text.starts_with("nothing | -") => {
            case.has_prefix("--del") && is_backup_of_something(case, &difference.path)
        }
        "existence" => originals(case, &difference.path).any(is_closed),
        "mtime" => {
            case.has_prefix("--del")
                && (difference.text.ends_with("| now") || differs_in_fraction(&difference.text))
        }
        "deletions" => true,
        "items" if case.tree.nodes.iter().any(is_closed) && difference.text.contains("`cd+") => {
            true
        }
        // Deletion before the transfer shows in the times of directories.
        "items" => {
            case.has("--delete-before")
                && difference.text.contains("| `.d..t")
                && differs_in_letters(&difference.text, "t")
        }
        _ => false,
    };
    let options =
        ["--max-size", "--min-size", "--list-only", "--existing", "--ignore-existing", "-u"];
    let is_not_sent = options.iter().any(|option| case.has_prefix(option));
    case.has("-X")
        && case.run_as == RunAs::User
        && reference.stderr().contains("[sender] get_xattr_data: lgetxattr(")
        && (is_affected || (is_not_sent && difference.text == "Code(23) | Code(0)"))
}

/// -X as an ordinary user: an attribute of rsync's own at the destination goes, since the source has none
/// of them; where rsync may not read it, it stays and the run fails.
fn is_own_attribute_out_of_reach(
    case: &Case,
    reference: &Observation,
    difference: &Difference,
) -> bool {
    let is_unread = reference.stderr().lines().any(|line| {
        line.contains("[generator] get_xattr_data: lgetxattr(")
            && line.contains("\"user.rsync.%")
            && line.ends_with("failed: Permission denied (13)")
    });
    let is_kept = match difference.field {
        "exit" => matches!(&*difference.text, "Code(23) | Code(0)" | "Code(23) | Code(25)"),
        "xattrs" => difference.text.starts_with("[user.rsync.%"),
        _ => false,
    };
    case.has("-X") && case.run_as == RunAs::User && is_unread && is_kept
}

/// True for a backup beside what it is one of, which is no more in the tree of the source.
fn is_backup_of_something(case: &Case, path: &[u8]) -> bool {
    let suffixes = [&b"~"[..], b".old", b".txt"];
    let mut names = suffixes.iter().filter_map(|suffix| path.strip_suffix(*suffix));
    (case.has("-b") || case.has("--backup")) && names.any(|name| case.tree.get(name).is_some())
}

/// -A with --numeric-ids and another owner: which of the ids in a list rsync translates depends on who
/// runs it.
fn is_half_translated(case: &Case, difference: &Difference) -> bool {
    let options = ["--chown", "--usermap", "--groupmap"];
    case.has("-A")
        && case.has("--numeric-ids")
        && options.iter().any(|option| case.has_prefix(option))
        && difference.field == "xattrs"
        && difference.text.contains("system.posix_acl_")
}

/// -A: in a list that names nobody, or whose mask is what the owning group may do, rsync takes the owning group's permissions away.
fn is_mask_without_names(case: &Case, difference: &Difference) -> bool {
    let names_nobody = |node: &Node| {
        let lists = [&node.acl, &node.default_acl];
        let names_nobody = |acl: &Acl| acl.users.is_empty() && acl.groups.is_empty();
        lists.into_iter().flatten().any(|acl| names_nobody(acl) || acl.group_obj == acl.mask)
    };
    case.has("-A")
        && difference.field == "xattrs"
        && difference.text.contains("group::0,")
        && originals(case, &difference.path).any(names_nobody)
}
