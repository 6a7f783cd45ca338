//! The mark of a target that is incomplete: a hidden file beside it, of a device one in the folder for the
//! state of programs. It is a file of records (`records`): what it tells of the whole is which run it was
//! ([`Told`]), and its records have the number of a unit that is right and on the disk (eight bytes) and its
//! digest, one after the other.
//!
//! Whoever can write to that directory can make one: so it must be a file of our own user, and what it says
//! is never more than that something need not be read.

use std::path::{Path, PathBuf};

use delta::image::{UnitDigest, Units};
use fs::image::Image;
use fs::{AccessTime, Dir, File, operator};
use model::Kind;
use model::blocks::{BlocksJob, Zeros};
use wire::{Ground, OpenedImage};

use super::described;
use super::records::{Form, Reader, RecordKind, number_at};
use super::scan::UnitDigests;
use super::source::Source;

pub(super) const FORM: Form = Form {
    magic: b"lanesync mark 1\n",
    what: "mark of an incomplete target",
    told_bytes: 8 * NUMBERS,
    end_bytes: 0,
    kinds: &[RecordKind::Digests],
};

/// How many numbers a mark tells.
const NUMBERS: usize = 25;

/// What a mark says of a unit: its number and its digest.
pub(super) const ENTRY_BYTES: usize = 8 + size_of::<UnitDigest>();

/// Of a longer name, the mark has no more in its own than this, and a hash of it.
const NAME_BYTES_MAX: usize = 200;

/// Where a mark is, or would be.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: Dir,
    pub(super) name: Vec<u8>,
    /// For messages, and to be synced by.
    pub(super) path: PathBuf,
}

/// Whether directories are made for a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Leave,
}

impl Place {
    /// That of the mark of a target; `None` of a device where there is no such folder.
    pub(super) fn of(
        target_path: &Path,
        target: &Image,
        state_dir: Option<&Path>,
        missing: Missing,
    ) -> std::io::Result<Option<Self>> {
        let (path, dir) = match described::ground(target.ground()) {
            Ground::File { .. } => {
                let path = operator::real_path(target_path)?;
                let (dir, name) = operator::open_parent(&path)?;
                (path.with_file_name(hidden_name(&name)), dir)
            }
            Ground::Device { major, minor } => {
                let Some(state_dir) = state_dir else { return Ok(None) };
                if missing == Missing::Leave && !operator::has_name(state_dir) {
                    return Ok(None);
                }
                let path = state_dir.join(format!("device-{major}-{minor}.incomplete"));
                (path, operator::open_private_dir(state_dir)?)
            }
        };
        let name = path.file_name().unwrap_or_default().as_encoded_bytes().to_vec();
        Ok(Some(Self { dir, name, path }))
    }
}

fn hidden_name(name: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;

    let mut hidden = [&b"."[..], &name[..name.len().min(NAME_BYTES_MAX)]].concat();
    if name.len() > NAME_BYTES_MAX {
        hidden.extend_from_slice(&blake3::hash(name).to_hex().as_bytes()[..12]);
    }
    hidden.extend_from_slice(b".lanesync-incomplete");
    std::ffi::OsString::from_vec(hidden)
}

/// Which run a mark is of: numbers, of eight bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When it began, in seconds since 1970.
    pub(super) begun_secs: u64,
    /// How much it was to bring over, in bytes.
    pub(super) image_bytes: u64,
    /// How zeros were to be stored.
    pub(super) zeros: u64,
    /// How long its units were, in bytes.
    pub(super) unit_bytes: u64,
    /// What it read: kind, device and inode, length, and of a file both its times.
    pub(super) source: [u64; 8],
    /// The kernel of the host that it read from, zeros for this one.
    pub(super) source_kernel: [u64; 2],
    /// What it wrote to: kind, device and inode. What is written changes the rest.
    pub(super) target: [u64; 3],
    /// Where one of them is a device of this host: the kernel, and which disks these were, as numbers of devices
    /// are given anew.
    pub(super) disks: [u64; 4],
    /// The inode of its undo file, zeros if there is none.
    pub(super) undo: [u64; 2],
    /// 1 if the target was incomplete before.
    pub(super) was_marked: u64,
    pub(super) target_bytes: u64,
}

impl Told {
    /// Of a run that begins.
    pub(super) fn of(
        job: &BlocksJob,
        (source, target): (&Source, &Image),
        (image_bytes, target_bytes): (u64, u64),
    ) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since = since.unwrap_or_default();
        Self {
            begun_secs: since.as_secs(),
            image_bytes,
            zeros: u64::from(job.settings.zeros == Zeros::Written),
            unit_bytes: source.units(image_bytes).unit_bytes(),
            source: source_of(source.opened()),
            source_kernel: source.other_kernel(),
            target: identity(&described::ground(target.ground())),
            disks: disks(source, target, since),
            undo: [0; 2],
            was_marked: 0,
            target_bytes,
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let numbers = [
            &[self.begun_secs, self.image_bytes, self.zeros, self.unit_bytes][..],
            &self.source,
            &self.source_kernel,
            &self.target,
            &self.disks,
            &self.undo,
            &[self.was_marked, self.target_bytes],
        ];
        numbers.concat().into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let number = |at: usize| number_at(bytes, 8 * at);
        Self {
            begun_secs: number(0),
            image_bytes: number(1),
            zeros: number(2),
            unit_bytes: number(3),
            source: std::array::from_fn(|at| number(4 + at)),
            source_kernel: [number(12), number(13)],
            target: std::array::from_fn(|at| number(14 + at)),
            disks: std::array::from_fn(|at| number(17 + at)),
            undo: [number(21), number(22)],
            was_marked: number(23),
            target_bytes: number(24),
        }
    }

    /// Why what is told of another run does not hold in this one.
    pub(super) fn differs_from(&self, before: &Self) -> Option<&'static str> {
        let [ours, theirs] = [self, before].map(|told| told.source);
        Some(match () {
            () if self.target != before.target => "the target is another",
            () if ours[..3] != theirs[..3] || self.source_kernel != before.source_kernel => {
                "the source is another, or its host was started anew"
            }
            () if ours != theirs => "the source has changed since",
            () if self.disks != before.disks => "a device may be another one by now",
            () if self.image_bytes != before.image_bytes => "another length was to be brought over",
            () if self.unit_bytes != before.unit_bytes => "the image was cut in another way",
            () if self.zeros != before.zeros => "zeros were to be stored in another way",
            () => return None,
        })
    }

    /// When the run began.
    pub(super) fn time(&self) -> String {
        let secs = i64::try_from(self.begun_secs).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(secs).map_or_else(|_| "?".to_owned(), |it| it.to_string())
    }
}

fn identity(ground: &Ground) -> [u64; 3] {
    match *ground {
        Ground::File { dev, ino } => [0, dev, ino],
        Ground::Device { major, minor } => [1, major.into(), minor.into()],
    }
}

/// What tells disks apart; of one that is not known, what no other run has.
fn disks(source: &Source, target: &Image, now: std::time::Duration) -> [u64; 4] {
    let unknown = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let of = |image: &Image| image.device().map(|it| it.sequence().unwrap_or(unknown));
    let source = match source {
        Source::Here(image, _) => of(image),
        Source::There(image) => {
            (image.opened().metadata.kind == Kind::BlockDevice).then_some(unknown)
        }
    };
    let target = of(target);
    if source.is_none() && target.is_none() {
        return [0; 4];
    }
    let kernel = described::kernel().unwrap_or_default();
    let (numbers, _) = kernel.as_chunks::<8>();
    let [first, second] = [0, 1].map(|at: usize| u64::from_le_bytes(numbers[at]));
    [first, second, source.unwrap_or(0), target.unwrap_or(0)]
}

/// Devices have no times.
fn source_of(source: &OpenedImage) -> [u64; 8] {
    let [kind, first, second] = identity(&source.ground);
    if source.metadata.kind == Kind::BlockDevice {
        return [kind, first, second, source.bytes, 0, 0, 0, 0];
    }
    let (modified, changed) = (source.metadata.mtime, source.changed_at);
    let [modified_secs, changed_secs] = [modified, changed].map(|it| it.secs.cast_unsigned());
    let [modified_nanos, changed_nanos] = [modified, changed].map(|it| u64::from(it.nanos));
    let times = [modified_secs, modified_nanos, changed_secs, changed_nanos];
    let [a, b, c, d] = times;
    [kind, first, second, source.bytes, a, b, c, d]
}

/// The inode of an undo file.
pub(super) fn inode_of(file: &Image) -> [u64; 2] {
    let inode = file.metadata().inode();
    [inode.dev, inode.ino]
}

/// What was found at the place of a mark.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// The run that made it lives.
    InWork,
    Mark(Box<Mark>),
    /// Why it tells nothing.
    Damaged(String),
}

/// What a run that was interrupted has left.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) told: Told,
    /// Units that were right and on the disk.
    pub(super) units: UnitDigests,
}

impl Place {
    /// Reads the mark, if there is one.
    pub(super) fn find(&self) -> Found {
        let opened = self.dir.open_file(&self.name, AccessTime::Update);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return Found::Damaged(error.to_string()),
        };
        let is_ours = file.metadata().is_ok_and(|metadata| {
            metadata.kind == Kind::File && metadata.uid == fs::process::effective_uid()
        });
        if !is_ours {
            return Found::Damaged("it is no file of ours".to_owned());
        }
        if file.is_locked().unwrap_or(false) {
            return Found::InWork;
        }
        let read = read(&file, &self.path);
        read.map_or_else(Found::Damaged, |mark| Found::Mark(Box::new(mark)))
    }
}

/// What a killed run was adding counts as not there. What is held is bounded by the number of units, and by
/// the length of the file.
fn read(file: &File, path: &Path) -> Result<Mark, String> {
    let damaged = || "it is damaged".to_owned();
    let mut reader = Reader::begin(file, path, &FORM).map_err(|_| damaged())?;
    let told = Told::from_bytes(reader.told());
    if !told.unit_bytes.is_power_of_two() || told.unit_bytes < 1024 {
        return Err(damaged());
    }
    let count = Units::of(told.image_bytes, told.unit_bytes).count();
    let mut units = UnitDigests::new();
    while let Some(record) = reader.next().map_err(|_| damaged())? {
        let entries = record.content.unwrap_or_default();
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        for entry in entries {
            let number = number_at(entry, 0);
            let digest = *entry[8..].first_chunk().expect("an entry has a digest");
            if number >= count || !rest.is_empty() {
                return Err(damaged());
            }
            units.insert(number, digest);
        }
    }
    Ok(Mark { told, units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_again() {
        let told = Told {
            begun_secs: 1,
            image_bytes: 2,
            zeros: 3,
            unit_bytes: 4,
            source: [5, 6, 7, 8, 9, 10, 11, 12],
            source_kernel: [13, 14],
            target: [15, 16, 17],
            disks: [18, 19, 20, 21],
            undo: [22, 23],
            was_marked: 24,
            target_bytes: 25,
        };
        let bytes = told.to_bytes();
        assert_eq!((bytes.len(), Told::from_bytes(&bytes)), (FORM.told_bytes, told));
        let numbers: Vec<_> = bytes.chunks(8).map(|it| number_at(it, 0)).collect();
        assert_eq!(numbers, (1..=25).collect::<Vec<_>>());
        assert_eq!(told.time(), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn a_long_name_makes_a_name_that_can_be() {
        assert_eq!(hidden_name(b"image"), ".image.lanesync-incomplete");
        let (one, other) = (hidden_name(&[b'a'; 254]), hidden_name(&[b'a'; 255]));
        assert!(one.len() <= 255 && one != other);
    }
}
