//! What rsync says on standard error, of which entry.
//!
//! Where a name could make a line say something else than it does, nothing is taken from it.

use crate::rsync::output::unescaped;

/// Errors of the system, as all systems that rsync runs on number these.
const ENOENT: u32 = 2;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Something failed with an entry, if it is known with which.
    Failed {
        /// Its path, as rsync tells it.
        path: Option<Vec<u8>>,
        /// How the path is meant.
        named: Named,
    },
    /// It was listed, or seen, and is not at the source any more.
    Gone {
        /// Its path, as rsync tells it.
        path: Option<Vec<u8>>,
    },
    /// There is no room left, at all or for this user.
    Full,
    /// A daemon has as many connections as it takes.
    Busy,
    /// It tells nothing that the exit code does not.
    Known,
    /// It is not understood.
    Unknown,
}

/// How a path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// In full, at the source.
    AtSource,
    /// In full, at the destination, and it may be where an entry is being made, `.name.aB3xYz`.
    Made,
    /// In full, at the destination, and it is where an entry is being made.
    Making,
    /// From the directory that lists are relative to.
    Below,
}

/// Lines that tell no more than the exit code.
const KNOWN: &[&[u8]] = &[
    b"rsync error: ",
    b"rsync warning: ",
    b"rsync: connection unexpectedly closed",
    b"*** Skipping any contents from this failed directory ***",
    b"IO error encountered -- skipping file deletion",
    b"Deletions stopped due to --max-delete limit",
    b"Warning: Permanently added ",
];

/// What the end of a line may be where there is no room.
const FULL: &[&[u8]] =
    &[b"No space left on device (28)", b"Disk quota exceeded (122)", b"Disc quota exceeded (69)"];

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Complaint {
    if line.is_empty() || KNOWN.iter().any(|known| line.starts_with(known)) {
        return Complaint::Known;
    }
    if FULL.iter().any(|full| line.ends_with(full)) {
        return Complaint::Full;
    }
    if line.starts_with(b"@ERROR: max connections") {
        return Complaint::Busy;
    }
    if let Some(told) = line.strip_prefix(b"file has vanished: ") {
        return Complaint::Gone { path: the_quoted(told) };
    }
    if let Some(name) = line.strip_prefix(b"cannot delete non-empty directory: ") {
        return Complaint::Failed { path: Some(unescaped(name)), named: Named::Below };
    }
    let Some(told) = line.strip_prefix(b"rsync: ") else { return Complaint::Unknown };
    let (who, told) = who(told);
    let begins = |with: &[u8]| told.starts_with(with);
    // Older versions do not say who speaks.
    let is_sender =
        who.map_or_else(|| begins(b"link_stat ") || begins(b"send_files "), |who| who == b"sender");
    if begins(b"link_stat ") && is_sender && errno(told) == Some(ENOENT) {
        return Complaint::Gone { path: the_quoted(told) };
    }
    if begins(b"delete_file: ") {
        return Complaint::Failed { path: in_brackets(told), named: Named::Below };
    }
    match errno(told) {
        Some(_) => {
            let named = if begins(b"mkstemp ") {
                Named::Making
            } else if is_sender {
                Named::AtSource
            } else {
                Named::Made
            };
            Complaint::Failed { path: the_quoted(told), named }
        }
        None => Complaint::Unknown,
    }
}

/// Which of its processes speaks, in versions that tell.
fn who(told: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let end = told.iter().position(|byte| *byte == b']');
    match (told.strip_prefix(b"["), end) {
        (Some(_), Some(end)) if told[end + 1..].starts_with(b" ") => {
            (Some(&told[1..end]), &told[end + 2..])
        }
        _ => (None, told),
    }
}

/// The number of an error of the system, at the end of a line.
fn errno(told: &[u8]) -> Option<u32> {
    let told = told.strip_suffix(b")")?;
    let open = told.iter().rposition(|byte| *byte == b'(')?;
    std::str::from_utf8(&told[open + 1..]).ok()?.parse().ok()
}

/// The path between quotes. `None` with more than two, since they are not told apart from those of names: then
/// `"a" failed: "b"` may be one name.
fn the_quoted(told: &[u8]) -> Option<Vec<u8>> {
    let mut parts = told.split(|byte| *byte == b'"');
    let (_, path, _) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then(|| unescaped(path))
}

/// `delete_file: unlink(a/b) failed: Permission denied (13)`
fn in_brackets(told: &[u8]) -> Option<Vec<u8>> {
    const FAILED: &[u8] = b") failed: ";
    let open = told.iter().position(|byte| *byte == b'(')?;
    let rest = &told[open + 1..];
    let mut ends = (0..rest.len()).filter(|at| rest[*at..].starts_with(FAILED));
    let end = ends.next()?;
    ends.next().is_none().then(|| unescaped(&rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(named: Named, path: &str) -> Complaint {
        Complaint::Failed { path: Some(path.into()), named }
    }

    fn untold(named: Named) -> Complaint {
        Complaint::Failed { path: None, named }
    }

    fn gone(path: &str) -> Complaint {
        Complaint::Gone { path: Some(path.into()) }
    }

    #[test]
    fn lines_are_understood_or_known_not_to_be() {
        use Named::{AtSource, Below, Made, Making};
        for (line, complaint) in [
            (
                r#"rsync: [sender] link_stat "/s/gone" failed: No such file or directory (2)"#,
                gone("/s/gone"),
            ),
            (
                r#"rsync: link_stat "/s/gone" failed: No such file or directory (2)"#,
                gone("/s/gone"),
            ),
            (r#"file has vanished: "/s/a\#012b""#, gone("/s/a\nb")),
            (r#"file has vanished: "/a" (in mod)"#, gone("/a")),
            (
                r#"rsync: [sender] link_stat "/s/x" failed: Permission denied (13)"#,
                failed(AtSource, "/s/x"),
            ),
            (
                r#"rsync: [generator] link_stat "/d/x" failed: No such file or directory (2)"#,
                failed(Made, "/d/x"),
            ),
            (
                r#"rsync: [sender] send_files failed to open "/s/f": Permission denied (13)"#,
                failed(AtSource, "/s/f"),
            ),
            (
                r#"rsync: [sender] send_files failed to open "/f" (in mod): Permission denied (13)"#,
                failed(AtSource, "/f"),
            ),
            (
                r#"rsync: [sender] opendir "/s/c" failed: Permission denied (13)"#,
                failed(AtSource, "/s/c"),
            ),
            (
                r#"rsync: [receiver] mkstemp "/d/.f.aB3xYz" failed: Permission denied (13)"#,
                failed(Making, "/d/.f.aB3xYz"),
            ),
            (
                r#"rsync: [receiver] rename "/d/.f.aB3xYz" -> "f": Operation not permitted (1)"#,
                untold(Made),
            ),
            (
                r#"rsync: [sender] opendir "/s/a" failed: "b" failed: Permission denied (13)"#,
                untold(AtSource),
            ),
            (
                "rsync: [generator] delete_file: unlink(a/b) failed: Operation not permitted (1)",
                failed(Below, "a/b"),
            ),
            ("cannot delete non-empty directory: a/b", failed(Below, "a/b")),
            (
                r#"rsync: [receiver] write failed on "/m/big": No space left on device (28)"#,
                Complaint::Full,
            ),
            ("@ERROR: max connections (1) reached -- try again later", Complaint::Busy),
            ("@ERROR: Unknown module 'x'", Complaint::Unknown),
            (
                "rsync error: error in file IO (code 11) at receiver.c(657) [receiver=3.5.0]",
                Complaint::Known,
            ),
            ("could not make way for new symlink: a", Complaint::Unknown),
            ("ssh: Could not resolve hostname x: Name or service not known", Complaint::Unknown),
            ("rsync: [sender] something new about \"a\"", Complaint::Unknown),
        ] {
            assert_eq!(read(line.as_bytes()), complaint, "{line}");
        }
    }
}
