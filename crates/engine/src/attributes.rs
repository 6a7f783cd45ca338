//! Attributes beyond content: owner, mode, times, extended attributes, ACLs.
//!
//! They are set in the order that docs/safety.md gives: owner first (it clears setuid bits), then
//! extended attributes and ACLs, then the mode, times last.

use std::io;

use fs::acl::{self, ACCESS_ATTRIBUTE as ACCESS_ACL, DEFAULT_ATTRIBUTE as DEFAULT_ACL, Which};
use fs::xattr::{self, Node as Carrier};
use fs::{Acl, Dir, File, Times};
use model::settings::{ContentCheck, Perms, Xattrs};
use model::{Fault, ItemFlags, Kind, Metadata, Settings, Side, Verb};

use crate::basis;
use crate::endpoint::{Attributed, Directory, SourceAttributes};
use crate::entries::{Elsewhere, Entry, There};
use crate::fake_super;
use crate::identity::Power;
use crate::node::Node;
use crate::run::Run;
use crate::task::Worker;
use crate::wanted::Wanted;

/// What a program may do; the kernel takes it from a file that gets another owner.
const CAPABILITY: &[u8] = b"security.capability";
/// Attributes in which rsync keeps what a file system cannot hold (rsync(1), `--fake-super`).
const RSYNC_OWN: &[u8] = b"user.rsync.%";

/// Where `--fake-super` keeps ACLs.
const FAKE_ACCESS_ACL: &[u8] = b"user.rsync.%aacl";
const FAKE_DEFAULT_ACL: &[u8] = b"user.rsync.%dacl";
/// What stands before names that only root may set, where somebody else keeps them.
const DISGUISE: &[u8] = b"user.rsync.";

/// Extended attributes and ACLs of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// By name, sorted.
    xattrs: Vec<(Box<[u8]>, Vec<u8>)>,
    access: Option<Acl>,
    default: Option<Acl>,
}

impl Extra {
    /// Reads those that the settings bring over; one system call where there are none.
    fn read_at(
        run: &Run,
        scope: &filter::Scope,
        side: Side,
        carrier: &impl Attributed,
    ) -> io::Result<Self> {
        let mut extra = Self::default();
        if !run.settings.has_extra() {
            return Ok(extra);
        }
        let pretends = run.believes(side);
        // Names that only root may set are kept under others; those that are there are as they are.
        let disguises = side == Side::Source && run.identity.power != Power::Root;
        for name in carrier.names()? {
            match &*name {
                // What a pretended entry has is in attributes of rsync's own.
                ACCESS_ACL | DEFAULT_ACL if pretends => {}
                FAKE_ACCESS_ACL | FAKE_DEFAULT_ACL if pretends => {
                    if run.settings.preserve.acls
                        && let Some(value) = carrier.value(&name)?
                    {
                        extra.xattrs.push((name, value));
                    }
                }
                ACCESS_ACL if run.settings.preserve.acls => {
                    extra.access = carrier.acl(Which::Access)?;
                }
                DEFAULT_ACL if run.settings.preserve.acls => {
                    extra.default = carrier.acl(Which::Default)?;
                }
                _ if carries(run, scope, side, &name) => {
                    if let Some(value) = carrier.value(&name)? {
                        let name = if disguises { disguised(name) } else { name };
                        extra.xattrs.push((name, value));
                    }
                }
                _ => {}
            }
        }
        extra.xattrs.sort_unstable();
        Ok(extra)
    }

    /// Those of an entry of the destination.
    pub(crate) fn of_target(
        run: &Run,
        scope: &filter::Scope,
        carrier: Carrier<'_>,
    ) -> io::Result<Self> {
        Self::read_at(run, scope, Side::Destination, &carrier)
    }

    /// The ids in ACLs as `--usermap` and `--groupmap` say.
    fn translated(mut self, run: &Run) -> Self {
        let identity = &run.identity;
        for acl in [&mut self.access, &mut self.default].into_iter().flatten() {
            let mapped = acl.map_ids(|uid| identity.user(uid), |gid| identity.group(gid));
            // Two entries that become one cannot be kept apart: the list stays as it is.
            if let Ok(mapped) = mapped {
                *acl = mapped;
            }
        }
        self
    }

    /// These on an entry that gets this mode.
    pub(crate) fn with_mode_of(mut self, wanted: &Wanted) -> Self {
        self.access = self.access.map(|list| list.following_mode(wanted.sent_mode, wanted.mode));
        self
    }

    /// Those of an entry of the source.
    pub(crate) fn of_source(
        run: &Run,
        scope: &filter::Scope,
        attributes: &SourceAttributes<'_>,
    ) -> io::Result<Self> {
        let extra = Self::read_at(run, scope, Side::Source, attributes)?;
        Ok(if run.identity.translates() { extra.translated(run) } else { extra })
    }

    /// After the owner was set: what went with it is to be written again. Asks for nothing where
    /// there were no capabilities.
    fn forget_lost_capability(&mut self, carrier: Carrier<'_>) {
        self.xattrs.retain(|(name, _)| {
            **name != *CAPABILITY || !matches!(xattr::get(carrier, name), Ok(None))
        });
    }
}

/// Extended attributes and ACLs of an entry, as they are and as they shall be.
#[derive(Debug, Default)]
pub(crate) struct ExtraChange {
    /// Those that it shall have.
    pub(crate) wanted: Extra,
    /// Those that it has, by its birth or from before.
    pub(crate) present: Extra,
}

impl ExtraChange {
    /// This change of an entry that gets this mode.
    pub(crate) fn with_mode_of(self, wanted: &Wanted) -> Self {
        Self { wanted: self.wanted.with_mode_of(wanted), ..self }
    }

    /// True when there is something to write.
    fn is_needed(&self) -> bool {
        self.wanted != self.present
    }

    /// The letters for what differs.
    fn differences(&self) -> ItemFlags {
        let Self { wanted, present } = self;
        let beyond = |acl: &Option<Acl>| acl.as_ref().and_then(Acl::without_mode);
        let mut flags = ItemFlags::empty();
        flags.set(ItemFlags::XATTR, wanted.xattrs != present.xattrs);
        flags.set(
            ItemFlags::ACL,
            beyond(&wanted.access) != beyond(&present.access) || wanted.default != present.default,
        );
        flags
    }

    /// Makes an entry carry what is wanted, or as much of it as it can; tells the first error.
    pub(crate) fn write(&self, carrier: Carrier<'_>) -> io::Result<()> {
        let Self { wanted, present } = self;
        let mut first = Ok(());
        let mut note = |result: io::Result<()>| {
            if let (Err(error), true) = (result, first.is_ok()) {
                first = Err(error);
            }
        };
        for (name, _) in &present.xattrs {
            if !wanted.xattrs.iter().any(|(kept, _)| kept == name) {
                note(xattr::remove(carrier, name));
            }
        }
        for (name, value) in &wanted.xattrs {
            if !present.xattrs.iter().any(|(known, old)| known == name && old == value) {
                note(xattr::set(carrier, name, value));
            }
        }
        if wanted.access != present.access {
            note(acl::write(carrier, Which::Access, wanted.access.as_ref()));
        }
        if wanted.default != present.default {
            note(acl::write(carrier, Which::Default, wanted.default.as_ref()));
        }
        first
    }

    /// True when the owner needs to be given write permission for as long as these are written.
    fn must_be_writable(&self, run: &Run, metadata: &Metadata) -> bool {
        self.wanted.xattrs != self.present.xattrs
            && !run.identity.is_root
            && metadata.mode & 0o200 == 0
            && metadata.kind != Kind::Symlink
    }

    /// True when writing it sets an access ACL, which sets mode bits too.
    pub(crate) fn sets_mode(&self) -> bool {
        self.wanted.access != self.present.access
    }
}

/// The name under which `--fake-super`, or an ordinary user, keeps an attribute.
fn disguised(name: Box<[u8]>) -> Box<[u8]> {
    if name.starts_with(b"user.") { name } else { [DISGUISE, &name].concat().into() }
}

/// True when an extended attribute is brought over (rsync(1), `-X`, and filter rules with `x`).
fn carries(run: &Run, scope: &filter::Scope, side: Side, name: &[u8]) -> bool {
    // rsync's own are not sent, and go where the destination has them without meaning them.
    let is_own = name.starts_with(RSYNC_OWN) && (side == Side::Source || run.keeps_pretence());
    let wanted = match run.settings.preserve.xattrs {
        Xattrs::Ignore => return false,
        Xattrs::Keep => !is_own,
        Xattrs::KeepAll => true,
    };
    let settable = match (run.identity.power, side) {
        (Power::User, _) | (Power::Fake, Side::Destination) => name.starts_with(b"user."),
        _ => !name.starts_with(b"system."),
    };
    // Rules about attributes replace the usual choice.
    wanted
        && (settable || scope.has_xattr_rules())
        && (scope.is_empty() || !scope.check_xattr(name, filter::Side::Sender).is_excluded())
}

/// Extends the settings with questions that only this stage asks.
pub(crate) trait AsksForExtra {
    /// True when extended attributes or ACLs are brought over.
    fn has_extra(&self) -> bool;
}

impl AsksForExtra for Settings {
    fn has_extra(&self) -> bool {
        self.preserve.acls || self.preserve.xattrs != Xattrs::Ignore
    }
}

/// The bits that new entries of a directory may have without `-p`: the umask's complement, or
/// what the directory's default ACL allows.
pub(crate) fn default_mask(run: &Run, node: &Node) -> u32 {
    let default_acl = node.target.default_acl.get_or_init(|| {
        let dir = node.target_dir().ok().flatten()?;
        acl::read((&dir).into(), Which::Default).ok().flatten()
    });
    default_acl.as_ref().map_or_else(|| run.identity.default_mask(), Acl::mode_bits)
}

/// The source's extended attributes and ACLs, by name.
pub(crate) fn of_source(run: &Run, entry: &Entry) -> Result<Extra, Fault> {
    if !run.settings.has_extra() {
        return Ok(Extra::default());
    }
    let read = || {
        let attributes = if entry.is_followed {
            entry.source_dir.attributes_behind(&entry.name)?
        } else {
            entry.source_dir.attributes_of(&entry.name)
        };
        Extra::of_source(run, entry.scope(), &attributes)
    };
    read().map_err(|error| entry.source_fault(Verb::ReadAttributes, &error))
}

/// The extended attributes and ACLs of what has the name in a directory of the destination.
fn of_target(run: &Run, entry: &Entry, dir: &Dir) -> Result<Extra, Fault> {
    Extra::of_target(run, entry.scope(), Carrier::Name(dir, entry.target_name()))
        .map_err(|error| entry.target_fault(Verb::ReadAttributes, &error))
}

/// The same of an entry that is about to be changed: what its owner may not read is made readable, and
/// gets its mode at the end. True when it was.
fn of_target_to_change(
    run: &Run,
    entry: &Entry,
    dir: &Dir,
    existing: &Metadata,
) -> Result<(Extra, bool), Fault> {
    let extra = of_target(run, entry, dir);
    let is_denied = extra.is_err() && existing.mode & 0o400 == 0 && !run.identity.is_root;
    let may_widen = is_denied && existing.kind != Kind::Symlink && !run.settings.dry_run;
    if may_widen && dir.set_mode(entry.target_name(), existing.mode | 0o400).is_ok() {
        return Ok((of_target(run, entry, dir)?, true));
    }
    Ok((extra?, false))
}

/// The letters for extended attributes and ACLs of an entry that exists, or is told as a change of
/// what a basis tree has.
pub(crate) fn told_extra_differences(run: &Run, entry: &Entry) -> Result<ItemFlags, Fault> {
    if !run.settings.has_extra() {
        return Ok(ItemFlags::empty());
    }
    let reference = basis::reference_of(run, entry);
    match entry.there().or(reference.as_ref().map(Elsewhere::there)) {
        Some(there) => extra_differences(run, entry, there),
        None => Ok(ItemFlags::empty()),
    }
}

/// The letters for extended attributes and ACLs of an entry, compared with what is there.
pub(crate) fn extra_differences(
    run: &Run,
    entry: &Entry,
    there: There<'_>,
) -> Result<ItemFlags, Fault> {
    if !run.settings.has_extra() {
        return Ok(ItemFlags::empty());
    }
    let wanted = entry.wanted_in_place_of(run, Some(there.metadata));
    let wanted = of_source(run, entry)?.with_mode_of(&wanted);
    let extra = ExtraChange { wanted, present: of_target(run, entry, there.dir)? };
    Ok(masked(run, entry.source.kind, extra.differences()))
}

/// The letters for extended attributes and ACLs of a directory that exists.
pub(crate) fn directory_differences(run: &Run, extra: &ExtraChange) -> ItemFlags {
    masked(run, Kind::Directory, extra.differences())
}

/// An access ACL that is set brings its permission bits along: only the others count as a change
/// of mode.
fn leave_mode_to_acl(
    run: &Run,
    flags: &mut ItemFlags,
    extra: &ExtraChange,
    wanted: &Wanted,
    existing: &Metadata,
) {
    if flags.contains(ItemFlags::ACL) && extra.sets_mode() && !run.settings.dry_run {
        flags.set(ItemFlags::PERMS, (wanted.mode ^ existing.mode) & 0o7000 != 0);
    }
}

/// Leaves out the letters that a kind of entry does not have.
fn masked(run: &Run, kind: Kind, mut flags: ItemFlags) -> ItemFlags {
    if !run.settings.preserve.acls || kind == Kind::Symlink {
        flags.remove(ItemFlags::ACL);
    }
    flags
}

/// Compares the attributes of an entry whose content is right and sets those that differ.
pub(crate) fn bring(worker: &mut Worker<'_>, entry: &Entry) -> Result<ItemFlags, Fault> {
    let run = worker.run;
    let Some(There { dir, metadata: existing }) = entry.there() else { return Ok(ItemFlags::NEW) };
    let wanted = entry.wanted(run);
    let mut flags = wanted.differences(&run.settings, existing);
    let mut extra = ExtraChange::default();
    let mut widened = false;
    if run.settings.has_extra() {
        extra.wanted = of_source(run, entry)?.with_mode_of(&wanted);
        (extra.present, widened) = of_target_to_change(run, entry, dir, existing)?;
        flags |= masked(run, entry.source.kind, extra.differences());
        leave_mode_to_acl(run, &mut flags, &extra, &wanted, existing);
    }
    let times = times_to_set(run, &wanted, existing, flags);
    let sets_times = times.mtime.is_some() || times.atime.is_some();
    let pretends = run.keeps_pretence();
    let is_right =
        !(flags.is_significant() || sets_times || pretends || extra.is_needed() || widened);
    if run.settings.dry_run || is_right {
        return Ok(flags);
    }
    let name = entry.target_name();
    let carrier = Carrier::Name(dir, name);
    let mut attempts = Attempts::default();
    let mut told = flags;
    if flags.intersects(ItemFlags::OWNER | ItemFlags::GROUP) && !pretends {
        attempts.owner(dir.set_owner(name, wanted.uid, wanted.gid));
        extra.present.forget_lost_capability(carrier);
        // As rsync tells it: what was lost on the way is what has to be changed.
        told.set(ItemFlags::XATTR, extra.differences().contains(ItemFlags::XATTR));
        if existing.mode & 0o6000 != 0 && existing.kind != Kind::Symlink {
            told = told_after_owner(run, dir, name, &wanted, told);
        }
    }
    // What could not be given away has lost nothing on the way.
    let of_owner = ItemFlags::OWNER | ItemFlags::GROUP;
    let changed = if attempts.owner_failed { flags.difference(of_owner) } else { flags };
    if extra.is_needed() {
        widened |= extra.must_be_writable(run, existing)
            && dir.set_mode(name, existing.mode | 0o600).is_ok();
        attempts.note(Verb::SetAttributes, extra.write(carrier));
    }
    if pretends {
        let written = fake_super::write_name(dir, name, &wanted, &entry.source);
        attempts.note(Verb::SetAttributes, written);
    } else if must_set_mode(&wanted, existing, changed, extra.sets_mode() || widened) {
        attempts.note(Verb::SetMode, dir.set_mode(name, attempts.permitted(wanted.mode)));
    }
    if sets_times {
        attempts.note(Verb::SetTimes, dir.set_times(name, times));
    }
    attempts.end().map_err(|unset| unset.fault(entry))?;
    Ok(told)
}

/// The times that differ: those that letters tell of, and as in rsync fractions of a second with
/// `-c` or where extended attributes differ. The access time of a link may have changed since it was
/// looked at, by reading it, which only its owner can mend.
fn times_to_set(run: &Run, wanted: &Wanted, existing: &Metadata, flags: ItemFlags) -> Times {
    let is_compared =
        run.settings.compare.content == ContentCheck::Checksum && existing.kind == Kind::File;
    let exact = is_compared || flags.contains(ItemFlags::XATTR);
    let is_other = |mtime: &model::Timestamp| exact && *mtime != existing.mtime;
    let is_link = existing.kind == Kind::Symlink;
    let is_own = run.identity.is_root || existing.uid == run.identity.uid;
    let is_read = |atime: &model::Timestamp| is_link && (is_own || *atime != existing.atime);
    Times {
        mtime: wanted.mtime.filter(|mtime| flags.contains(ItemFlags::MTIME) || is_other(mtime)),
        atime: wanted.atime.filter(|atime| flags.contains(ItemFlags::ATIME) || is_read(atime)),
    }
}

/// As in rsync, a file whose special bits may have gone with its owner is looked at again once that
/// is set, and what differs then is told.
fn told_after_owner(
    run: &Run,
    dir: &Dir,
    name: &[u8],
    wanted: &Wanted,
    flags: ItemFlags,
) -> ItemFlags {
    let Ok(now) = dir.stat(name) else { return flags };
    let mut looked_at = ItemFlags::OWNER | ItemFlags::GROUP;
    looked_at.set(ItemFlags::PERMS, run.settings.preserve.perms == Perms::Keep);
    flags.difference(looked_at) | wanted.differences(&run.settings, &now).intersection(looked_at)
}

/// True when the mode must be set: it differs, or setting the owner or an ACL changed it.
fn must_set_mode(
    wanted: &Wanted,
    existing: &Metadata,
    flags: ItemFlags,
    acl_was_set: bool,
) -> bool {
    let owner_was_set = flags.intersects(ItemFlags::OWNER | ItemFlags::GROUP);
    existing.kind != Kind::Symlink
        && (flags.contains(ItemFlags::PERMS)
            || acl_was_set
            || (owner_was_set && wanted.mode & 0o6000 != 0))
}

/// How a new file came into the world, as far as its attributes go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

/// An attribute that could not be set.
#[derive(Debug)]
pub(crate) struct Unset {
    pub(crate) verb: Verb,
    pub(crate) error: io::Error,
}

impl Unset {
    pub(crate) fn fault(&self, entry: &Entry) -> Fault {
        entry.target_fault(self.verb, &self.error)
    }
}

/// Attributes that are set one after the other: one that cannot be set does not keep the others back
/// (as in rsync), and the first failure is told.
#[derive(Debug, Default)]
struct Attempts {
    first: Option<Unset>,
    owner_failed: bool,
}

impl Attempts {
    fn note(&mut self, verb: Verb, result: io::Result<()>) {
        if let Err(error) = result {
            self.first.get_or_insert(Unset { verb, error });
        }
    }

    fn owner(&mut self, result: io::Result<()>) {
        self.owner_failed = result.is_err();
        self.note(Verb::SetOwner, result);
    }

    /// The mode that may be set: a program must not run with the rights of the wrong owner.
    fn permitted(&self, mode: u32) -> u32 {
        if self.owner_failed { mode & !0o6000 } else { mode }
    }

    fn end(self) -> Result<(), Unset> {
        self.first.map_or(Ok(()), Err)
    }
}

/// Gives a file that is complete and not yet published its attributes, as many as can be set.
pub(crate) fn dress(
    file: &File,
    born: Born,
    wanted: &Wanted,
    mut extra: ExtraChange,
) -> Result<(), Unset> {
    let uid = wanted.uid.filter(|uid| *uid != born.uid);
    let gid = wanted.gid.filter(|gid| *gid != born.gid);
    let mut attempts = Attempts::default();
    if uid.is_some() || gid.is_some() {
        attempts.owner(file.set_owner(uid, gid));
        extra.present.forget_lost_capability(file.into());
    }
    if extra.is_needed() {
        attempts.note(Verb::SetAttributes, extra.write(file.into()));
    }
    let special = wanted.mode & 0o6000 != 0;
    if born.mode != wanted.mode || special || extra.sets_mode() {
        attempts.note(Verb::SetMode, file.set_mode(attempts.permitted(wanted.mode)));
    }
    if wanted.mtime.is_some() || wanted.atime.is_some() {
        let times = Times { mtime: wanted.mtime, atime: wanted.atime };
        attempts.note(Verb::SetTimes, file.set_times(times));
    }
    attempts.end()
}

/// Gives an entry that was just made under its name its attributes.
pub(crate) fn dress_named(
    run: &Run,
    entry: &Entry,
    wanted: &Wanted,
    extra: Extra,
) -> Result<(), Fault> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let name = entry.target_name();
    let set = || -> Result<(), Unset> {
        if run.keeps_pretence() {
            return pretend_named(run, entry, dir, wanted, extra);
        }
        let made = dir.stat(name).map_err(|error| Unset { verb: Verb::LookAt, error })?;
        let uid = wanted.uid.filter(|uid| *uid != made.uid);
        let gid = wanted.gid.filter(|gid| *gid != made.gid);
        let mut attempts = Attempts::default();
        if uid.is_some() || gid.is_some() {
            attempts.owner(dir.set_owner(name, uid, gid));
        }
        let carrier = Carrier::Name(dir, name);
        if run.settings.has_extra() {
            match Extra::of_target(run, entry.scope(), carrier) {
                Ok(present) => {
                    let extra = ExtraChange { wanted: extra.with_mode_of(wanted), present };
                    attempts.note(Verb::SetAttributes, extra.write(carrier));
                }
                Err(error) => attempts.note(Verb::ReadAttributes, Err(error)),
            }
        }
        let mode = match run.settings.preserve.perms {
            Perms::Keep => wanted.mode,
            _ => wanted.mode & 0o777,
        };
        if made.kind != Kind::Symlink && (made.mode != mode || uid.is_some() || gid.is_some()) {
            attempts.note(Verb::SetMode, dir.set_mode(name, attempts.permitted(mode)));
        }
        if wanted.mtime.is_some() || wanted.atime.is_some() {
            let times = Times { mtime: wanted.mtime, atime: wanted.atime };
            attempts.note(Verb::SetTimes, dir.set_times(name, times));
        }
        attempts.end()
    };
    set().map_err(|unset| unset.fault(entry))
}

/// With `--fake-super`: owner and mode go into an attribute.
fn pretend_named(
    run: &Run,
    entry: &Entry,
    dir: &Dir,
    wanted: &Wanted,
    extra: Extra,
) -> Result<(), Unset> {
    let name = entry.target_name();
    let mut attempts = Attempts::default();
    if run.settings.has_extra() {
        let extra = ExtraChange { wanted: extra, present: Extra::default() };
        attempts.note(Verb::SetAttributes, extra.write(Carrier::Name(dir, name)));
    }
    let pretended = fake_super::write_name(dir, name, wanted, &entry.source);
    attempts.note(Verb::SetAttributes, pretended);
    // As in rsync: what stands for a link is a file, which -J does not concern.
    let mtime = run.settings.preserve.mtimes.files.then_some(entry.source.mtime);
    let times = Times { mtime, atime: wanted.atime };
    attempts.note(Verb::SetTimes, dir.set_times(name, times));
    attempts.end()
}
