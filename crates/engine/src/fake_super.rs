//! `--fake-super` (rsync(1)): owner, mode and device numbers kept in the attribute
//! `user.rsync.%stat` as `MODE MAJOR,MINOR UID:GID`, the mode in octal with its type bits.

use std::{fmt, io};

use fs::xattr::{self, Node as Carrier};
use fs::{Dir, File};
use model::{DeviceNumber, Kind, Metadata, Side, Verb};

use crate::attributes::{self, Born, ExtraChange, Unset};
use crate::endpoint::{Attributed, Directory, SourceDir, SourceFile};
use crate::identity::Power;
use crate::run::Run;
use crate::wanted::Wanted;

/// `PATH_MAX` of Linux: no target is longer.
const LINK_MAX_BYTES: usize = 4096;

const STAT: &[u8] = b"user.rsync.%stat";

/// What an attribute says an entry is.
#[derive(Debug, PartialEq, Eq)]
struct Pretence {
    /// With the bits of its type.
    st_mode: u32,
    rdev: DeviceNumber,
    uid: u32,
    gid: u32,
}

impl Pretence {
    fn of(wanted: &Wanted, source: &Metadata) -> Self {
        Self {
            st_mode: source.kind.st_mode_bits() | wanted.mode,
            rdev: if source.kind.is_device() { source.rdev } else { DeviceNumber::default() },
            uid: wanted.uid.unwrap_or(0),
            gid: wanted.gid.unwrap_or(0),
        }
    }

    /// `None` when the attribute says nothing sensible.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut fields = text.split([' ', ',', ':']);
        let st_mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let mut number = || fields.next()?.trim().parse::<u32>().ok();
        let (major, minor, uid, gid) = (number()?, number()?, number()?, number()?);
        Some(Self { st_mode, rdev: DeviceNumber { major, minor }, uid, gid })
    }
}

impl fmt::Display for Pretence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { st_mode, rdev, uid, gid } = self;
        write!(out, "{st_mode:o} {},{} {uid}:{gid}", rdev.major, rdev.minor)
    }
}

/// The metadata that an entry pretends to have. Fails when that cannot be read.
fn pretended(carrier: &impl Attributed, metadata: Metadata) -> io::Result<Metadata> {
    let text = carrier.value(STAT)?;
    let Some(pretence) = text.as_deref().and_then(Pretence::parse) else { return Ok(metadata) };
    let Pretence { st_mode, rdev, uid, gid } = pretence;
    let kind = Kind::from_st_mode(st_mode).unwrap_or(metadata.kind);
    Ok(Metadata { kind, mode: st_mode & 0o7777, uid, gid, rdev, ..metadata })
}

/// Fails where it cannot be read what a name of the source pretends to be.
pub(crate) fn check_pretence(dir: &SourceDir, name: &[u8]) -> io::Result<()> {
    dir.attributes_of(name).value(STAT).map(drop)
}

/// Entries as the run takes them: as they are, or as they pretend to be.
impl Run {
    /// Metadata of a name, as it pretends to be with `--fake-super`.
    pub(crate) fn stat<D: Directory>(&self, dir: &D, name: &[u8]) -> io::Result<Metadata> {
        let metadata = dir.stat(name)?;
        if !self.believes(D::SIDE) {
            return Ok(metadata);
        }
        Ok(pretended(&dir.attributes_of(name), metadata).unwrap_or(metadata))
    }

    /// Metadata of a name of the source. What a file pretends to be must be known to be copied; that
    /// a directory cannot be read is told when it is listed.
    pub(crate) fn stat_source(&self, dir: &SourceDir, name: &[u8]) -> io::Result<Metadata> {
        let metadata = dir.stat(name)?;
        if !self.believes(Side::Source) {
            return Ok(metadata);
        }
        match pretended(&dir.attributes_of(name), metadata) {
            Err(_) if metadata.kind != Kind::File => Ok(metadata),
            pretended => pretended,
        }
    }

    /// The target of a link, as it pretends to be one with `--fake-super`.
    pub(crate) fn read_link<D: Directory>(&self, dir: &D, name: &[u8]) -> io::Result<Vec<u8>> {
        if self.believes(D::SIDE) { read_link(dir, name) } else { dir.read_link(name) }
    }

    /// Metadata of an open file of the source, as it pretends to be with `--fake-super`. As with
    /// `stat_source`, that must be known.
    pub(crate) fn as_pretended_file(
        &self,
        file: &SourceFile,
        metadata: Metadata,
    ) -> io::Result<Metadata> {
        let believes = self.believes(Side::Source);
        if believes { pretended(&file.attributes(), metadata) } else { Ok(metadata) }
    }

    /// Metadata of an open directory, as it pretends to be with `--fake-super`.
    pub(crate) fn as_pretended_dir<D: Directory>(&self, dir: &D, metadata: Metadata) -> Metadata {
        if !self.believes(D::SIDE) {
            return metadata;
        }
        pretended(&dir.attributes(), metadata).unwrap_or(metadata)
    }

    /// True when entries of a side are what they pretend to be.
    pub(crate) fn believes(&self, side: Side) -> bool {
        match side {
            Side::Source => self.identity.believes_source,
            Side::Destination => self.keeps_pretence(),
        }
    }

    /// True when owners and modes are kept in an attribute.
    pub(crate) fn keeps_pretence(&self) -> bool {
        self.identity.power == Power::Fake
    }

    /// Gives a complete file its attributes, for real or in pretence.
    pub(crate) fn dress(
        &self,
        file: &File,
        born: Born,
        wanted: &Wanted,
        source: &Metadata,
        extra: ExtraChange,
    ) -> Result<(), Unset> {
        if !self.keeps_pretence() {
            return attributes::dress(file, born, wanted, extra);
        }
        let real = Wanted { mode: born.mode, uid: None, gid: None, ..*wanted };
        let dressed = attributes::dress(file, born, &real, extra);
        // As in rsync: what it pretends to be is written whatever became of the real attributes.
        let pretended = write_file(file, wanted, source);
        dressed.and(pretended.map_err(|error| Unset { verb: Verb::SetAttributes, error }))
    }
}

/// Mode bits that the entry really gets: without setuid and the like, and with access for its
/// owner.
fn real_mode(wanted: &Wanted, kind: Kind) -> u32 {
    wanted.mode & 0o777 | if kind == Kind::Directory { 0o700 } else { 0o600 }
}

/// True when the real entry says all that the attribute would say.
fn is_true(now: &Metadata, wanted: &Wanted, source: &Metadata) -> bool {
    now.kind == source.kind
        && (!now.kind.is_device() || now.rdev == source.rdev)
        && now.mode == wanted.mode
        && wanted.uid.unwrap_or(0) == now.uid
        && wanted.gid.unwrap_or(0) == now.gid
}

/// Writes what a file pretends to be.
fn write_file(file: &File, wanted: &Wanted, source: &Metadata) -> io::Result<()> {
    file.set_mode(real_mode(wanted, source.kind))?;
    write(file.into(), &file.metadata()?, wanted, source)
}

/// Writes what a directory pretends to be.
pub(crate) fn write_directory(dir: &Dir, wanted: &Wanted, source: &Metadata) -> io::Result<()> {
    dir.set_own_mode(real_mode(wanted, Kind::Directory))?;
    write(dir.into(), &dir.metadata()?, wanted, source)
}

/// Makes the file that stands for a link, device, pipe or socket; `content` is a link's target.
pub(crate) fn make_stand_in(dir: &Dir, name: &[u8], content: &[u8]) -> io::Result<()> {
    dir.create_file(name, 0o600)?.write_all_at(content, 0)
}

/// The target of a link, or of the file that stands for one.
fn read_link(dir: &impl Directory, name: &[u8]) -> io::Result<Vec<u8>> {
    match dir.read_link(name) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            dir.read_start(name, LINK_MAX_BYTES)
        }
        target => target,
    }
}

/// Makes an entry pretend to be what another one does.
pub(crate) fn copy_pretence(from: Carrier<'_>, to: Carrier<'_>) -> io::Result<()> {
    match xattr::get(from, STAT)? {
        Some(text) => xattr::set(to, STAT, &text),
        None => Ok(()),
    }
}

/// Writes what a name pretends to be.
pub(crate) fn write_name(
    dir: &Dir,
    name: &[u8],
    wanted: &Wanted,
    source: &Metadata,
) -> io::Result<()> {
    let mut now = dir.stat(name)?;
    let mode = real_mode(wanted, now.kind);
    if now.mode != mode && now.kind != Kind::Symlink {
        dir.set_mode(name, mode)?;
        now.mode = mode;
    }
    write(Carrier::Name(dir, name), &now, wanted, source)
}

fn write(
    carrier: Carrier<'_>,
    now: &Metadata,
    wanted: &Wanted,
    source: &Metadata,
) -> io::Result<()> {
    // What cannot carry the attribute does not have it either.
    let old = xattr::get(carrier, STAT).unwrap_or_default();
    if is_true(now, wanted, source) {
        return if old.is_some() { xattr::remove(carrier, STAT) } else { Ok(()) };
    }
    let new = Pretence::of(wanted, source).to_string();
    if old.as_deref() == Some(new.as_bytes()) {
        return Ok(());
    }
    xattr::set(carrier, STAT, new.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::Pretence;
    use model::DeviceNumber;

    #[test]
    fn reads_and_writes_what_rsync_writes() {
        let rdev = DeviceNumber { major: 8, minor: 1 };
        let device = Pretence { st_mode: 0o60660, rdev, uid: 0, gid: 6 };
        assert_eq!(device.to_string(), "60660 8,1 0:6");
        assert_eq!(Pretence::parse(b"60660 8,1 0:6"), Some(device));
        assert_eq!(Pretence::parse(b"100644 0,0 1000:100").map(|file| file.uid), Some(1000));
        assert_eq!(Pretence::parse(b"garbage"), None);
    }
}
