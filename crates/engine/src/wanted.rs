//! Compare: what a destination entry shall look like, and in what it differs. Pure.

use model::settings::{ContentCheck, Perms};
use model::{ItemFlags, Kind, Metadata, Settings, Timestamp};

use crate::identity::Identity;

/// The attributes a destination entry shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What it is a copy of.
    pub(crate) kind: Kind,
    /// Permission bits; those of the existing entry where they are left alone.
    pub(crate) mode: u32,
    /// The source's permission bits, with `--chmod`.
    pub(crate) sent_mode: u32,
    /// Owner, where it is set.
    pub(crate) uid: Option<u32>,
    /// Group, where it is set.
    pub(crate) gid: Option<u32>,
    /// Modification time, where it is set.
    pub(crate) mtime: Option<Timestamp>,
    /// Access time, where it is set.
    pub(crate) atime: Option<Timestamp>,
}

/// Mode bits that `chmod` can change.
const CHMOD_BITS: u32 = 0o7777;

impl Wanted {
    /// What a copy of `source` shall look like. `default_mask` are the bits that new entries may
    /// have: the umask's complement, or what the directory's default ACL allows.
    pub(crate) fn new(
        settings: &Settings,
        identity: &Identity,
        source: &Metadata,
        existing: Option<&Metadata>,
        default_mask: u32,
    ) -> Self {
        let keeps_mtime = keeps_mtime(settings, source.kind);
        let keeps_atime = keeps_atime(settings, source.kind);
        Self {
            kind: source.kind,
            mode: wanted_mode(settings, source, existing, default_mask),
            sent_mode: source_mode(settings, source),
            uid: identity.wanted_owner(source),
            gid: identity.wanted_group(source),
            mtime: keeps_mtime.then_some(source.mtime),
            atime: keeps_atime.then_some(source.atime),
        }
    }

    /// The letters that stand for what differs in `existing`, content and ACLs aside.
    pub(crate) fn differences(&self, settings: &Settings, existing: &Metadata) -> ItemFlags {
        let mut flags = ItemFlags::empty();
        let window = settings.compare.modify_window_secs;
        // A mode of their own links do not have.
        let has_mode = self.kind != Kind::Symlink || existing.kind != Kind::Symlink;
        flags.set(
            ItemFlags::MTIME,
            self.mtime.is_some_and(|mtime| !same_time(mtime, existing.mtime, window)),
        );
        let tells_atime = self.kind != Kind::Symlink;
        flags.set(
            ItemFlags::ATIME,
            tells_atime
                && self.atime.is_some_and(|atime| !same_time(atime, existing.atime, window.max(0))),
        );
        flags.set(ItemFlags::PERMS, has_mode && self.mode != existing.mode);
        flags.set(ItemFlags::OWNER, self.uid.is_some_and(|uid| uid != existing.uid));
        flags.set(ItemFlags::GROUP, self.gid.is_some_and(|gid| gid != existing.gid));
        flags
    }
}

/// The source's mode with `--chmod` applied, as if the source had it.
pub(crate) fn source_mode(settings: &Settings, source: &Metadata) -> u32 {
    if source.kind == Kind::Symlink {
        return source.mode;
    }
    settings.preserve.chmod.apply(source.mode, source.kind == Kind::Directory)
}

fn wanted_mode(
    settings: &Settings,
    source: &Metadata,
    existing: Option<&Metadata>,
    default_mask: u32,
) -> u32 {
    let mode = source_mode(settings, source);
    match (settings.preserve.perms, existing) {
        (Perms::Keep, _) => mode & CHMOD_BITS,
        (Perms::New | Perms::Executability, None) => mode & default_mask,
        (Perms::Executability, Some(existing)) if source.kind == Kind::File => {
            if mode & 0o111 == 0 {
                existing.mode & !0o111
            } else if existing.mode & 0o111 == 0 {
                existing.mode | (existing.mode & 0o444) >> 2
            } else {
                existing.mode
            }
        }
        (Perms::New | Perms::Executability, Some(existing)) => existing.mode,
    }
}

/// True when modification times of this kind are brought over.
pub(crate) fn keeps_mtime(settings: &Settings, kind: Kind) -> bool {
    match kind {
        Kind::Directory => settings.preserve.mtimes.directories,
        Kind::Symlink => settings.preserve.mtimes.symlinks,
        _ => settings.preserve.mtimes.files,
    }
}

fn keeps_atime(settings: &Settings, kind: Kind) -> bool {
    match kind {
        Kind::Directory => false,
        Kind::Symlink => settings.preserve.atimes.symlinks,
        _ => settings.preserve.atimes.files,
    }
}

/// True when two times count as one: whole seconds by default, `window` seconds apart at most, or
/// with a negative window to the nanosecond (rsync(1), `--modify-window`).
pub(crate) fn same_time(left: Timestamp, right: Timestamp, window: i64) -> bool {
    if window < 0 { left == right } else { left.secs.abs_diff(right.secs) <= window.unsigned_abs() }
}

/// What the quick check says of the content of two regular files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quick {
    /// It counts as equal.
    Equal,
    /// It counts as different.
    Different,
    /// Only reading it can tell.
    MustRead,
}

/// Compares content as far as metadata can tell (rsync(1), "quick check").
pub(crate) fn quick_check(settings: &Settings, source: &Metadata, existing: &Metadata) -> Quick {
    if source.size != existing.size {
        return Quick::Different;
    }
    let same_mtime =
        || same_time(source.mtime, existing.mtime, settings.compare.modify_window_secs);
    match settings.compare.content {
        ContentCheck::Checksum => Quick::MustRead,
        ContentCheck::SizeOnly => Quick::Equal,
        ContentCheck::Quick if same_mtime() => Quick::Equal,
        ContentCheck::Quick | ContentCheck::Never => Quick::Different,
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::same_time;

    fn at(secs: i64, nanos: u32) -> Timestamp {
        Timestamp { secs, nanos }
    }

    #[test]
    fn times_count_in_whole_seconds_unless_nanoseconds_are_asked_for() {
        assert!(same_time(at(5, 1), at(5, 2), 0));
        assert!(!same_time(at(5, 1), at(6, 1), 0));
        assert!(!same_time(at(5, 1), at(5, 2), -1));
        assert!(same_time(at(-1, 0), at(1, 0), 2));
        assert!(!same_time(at(i64::MIN, 0), at(i64::MAX, 0), 2));
    }
}
