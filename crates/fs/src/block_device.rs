//! Block devices, and what else uses them: as Linux tells it in sysfs(5), proc_pid_mountinfo(5) and
//! proc_swaps(5).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::{DeviceNumber, Inode};
use rustix::fs::{Mode, OFlags};

use self::stored::Stretch;
use crate::sys;

/// Which bytes are those of which device.
mod stored;

/// A block device of this host.
#[derive(Clone, Debug)]
pub struct BlockDevice {
    /// Its directory in sysfs.
    dir: PathBuf,
}

/// Bytes that are those of something else, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// A block device.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A file.
    File {
        /// File system that it lies on.
        dev: u64,
        /// Inode number.
        ino: u64,
    },
}

impl From<DeviceNumber> for Ground {
    fn from(DeviceNumber { major, minor }: DeviceNumber) -> Self {
        Self::Device { major, minor }
    }
}

impl From<Inode> for Ground {
    fn from(Inode { dev, ino }: Inode) -> Self {
        Self::File { dev, ino }
    }
}

/// Who uses the bytes of a file or a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is mounted, or a device that has some of its bytes.
    Mounted {
        /// Where.
        at: PathBuf,
        /// False if it is mounted read-only.
        is_writable: bool,
    },
    /// It is swapped to, or such a device is.
    Swap,
    /// Another device is made of it, or of such a one.
    Held {
        /// Its name, as `dm-0` or `loop3`.
        by: String,
    },
    /// A program has locked it, as virtual machines do.
    Locked {
        /// The process, where the kernel tells.
        by: Option<u32>,
    },
}

impl BlockDevice {
    /// The device with a number.
    ///
    /// Fails with [`io::ErrorKind::NotFound`] if this host has none, or does not show it.
    pub fn of(number: DeviceNumber) -> io::Result<Self> {
        let DeviceNumber { major, minor } = number;
        let dir = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"))?;
        Ok(Self { dir })
    }

    /// As the kernel calls it: `sda1`.
    pub fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What no other disk has as long as this kernel runs, whatever their numbers (sysfs, `diskseq`).
    pub fn sequence(&self) -> Option<u64> {
        // Of a partition it is that of its disk.
        let in_dir = |below: &str| number_in(&self.dir.join(below).join("diskseq"));
        in_dir(".").or_else(|| in_dir(".."))
    }

    /// Whether nobody may write to it.
    pub fn is_read_only(&self) -> bool {
        number_in(&self.dir.join("ro")).is_some_and(|flag| flag != 0)
    }

    /// Its smallest unit of reading and writing, in bytes.
    pub fn logical_block_bytes(&self) -> u64 {
        self.of_queue("logical_block_size").filter(|bytes| *bytes > 0).unwrap_or(512)
    }

    /// The unit in which it gives room back, in bytes; `None` if it does not.
    pub fn discard_granularity_bytes(&self) -> Option<u64> {
        let gives_back = self.of_queue("discard_max_bytes").is_some_and(|most| most > 0);
        self.of_queue("discard_granularity").filter(|bytes| gives_back && *bytes > 0)
    }

    /// Whether it has a head that must be moved.
    pub fn is_rotational(&self) -> bool {
        self.of_queue("rotational").is_some_and(|flag| flag != 0)
    }

    /// A number that the queue of its disk has.
    fn of_queue(&self, what: &str) -> Option<u64> {
        let disk = if self.is_partition() { self.dir.parent()? } else { &self.dir };
        number_in(&disk.join("queue").join(what))
    }

    fn is_partition(&self) -> bool {
        self.dir.join("partition").exists()
    }

    /// What its bytes are stored in, it among them: its disk, what it was put together of, a file.
    pub fn grounds(&self) -> BTreeSet<Ground> {
        let mut grounds = BTreeSet::new();
        let mut left = vec![self.dir.clone()];
        while let Some(dir) = left.pop() {
            let Some(number) = device_number_in(&dir) else { continue };
            if !grounds.insert(number.into()) {
                continue;
            }
            if dir.join("partition").exists() {
                left.extend(dir.parent().map(Path::to_path_buf));
            }
            left.extend(links_in(&dir.join("slaves")));
            match backing(&dir) {
                Some(Ground::Device { major, minor }) => {
                    let device = Self::of(DeviceNumber { major, minor });
                    left.extend(device.map(|device| device.dir));
                }
                shown => grounds.extend(shown),
            }
        }
        grounds
    }

    /// What it shows, if it is a loop device.
    pub fn shown(&self) -> Option<Ground> {
        backing(&self.dir)
    }

    /// Who uses its bytes: it, a partition of it, or another device that has some of them, too.
    ///
    /// Fails where the kernel does not tell.
    pub fn uses(&self) -> io::Result<Vec<Use>> {
        let bytes = stored::bytes_of(&self.dir);
        let below = self.grounds();
        let is_below = |number: DeviceNumber| below.contains(&number.into());
        uses_of_bytes(&bytes, &stored::bytes_below(&self.dir), is_below)
    }
}

/// Who uses a file as if it were a device.
///
/// Fails where the kernel does not tell.
pub fn uses_of_file(inode: Inode) -> io::Result<Vec<Use>> {
    uses_of_bytes(&[Stretch::all_of(inode.into())], &[], |_| false)
}

/// Who uses bytes, or others that they are stored in by what only the kernel knows: of what is put together
/// those are all, of which other devices may have other parts. What the bytes themselves are stored in holds
/// nothing that way.
fn uses_of_bytes(
    bytes: &[Stretch],
    below: &[Stretch],
    is_below: impl Fn(DeviceNumber) -> bool,
) -> io::Result<Vec<Use>> {
    let all = Path::new("/sys/class/block");
    fs::read_dir(all)?;
    let (mut sharing, mut holders, mut loops) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for dir in links_in(all) {
        let Some(number) = device_number_in(&dir) else { continue };
        let theirs = stored::bytes_of(&dir);
        let has_same = stored::overlap(&theirs, bytes);
        if !has_same && !stored::overlap(&theirs, below) {
            continue;
        }
        sharing.push(number);
        if has_same {
            let above = links_in(&dir.join("holders")).into_iter();
            let above = above.filter(|dir| device_number_in(dir).is_none_or(|it| !is_below(it)));
            holders.extend(above.map(|holder| last_name(&holder)));
        }
        if backing(&dir).is_some() && !is_below(number) {
            loops.insert(last_name(&dir));
        }
    }
    let shares = |number| sharing.iter().any(|it| Some(*it) == number);
    let mounts = fs::read("/proc/self/mountinfo")?;
    let mut uses: Vec<_> = mounts_in(&mounts)
        .filter(|mount| shares(Some(mount.number)) || shares(device_at(&mount.source)))
        .map(|mount| Use::Mounted { at: mount.at, is_writable: mount.is_writable })
        .collect();
    let is_swap_file = |path: &Path| {
        let file = inode_at(path).map(|inode| Stretch::all_of(inode.into()));
        file.is_some_and(|file| stored::overlap(&[file], bytes))
    };
    let is_swap = swaps()?.iter().any(|path| shares(device_at(path)) || is_swap_file(path));
    uses.extend(is_swap.then_some(Use::Swap));
    uses.extend(holders.into_iter().chain(loops).map(|by| Use::Held { by }));
    Ok(uses)
}

/// Who has locked an open file or device.
pub(crate) fn locks_of(file: impl AsFd) -> io::Result<Option<Use>> {
    let locked = match sys::lock_of_others(file.as_fd()) {
        // There are no locks on this file system.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
        locked => locked?,
    };
    Ok(locked.map(|by| Use::Locked { by: u32::try_from(by).ok() }))
}

/// What stands in a line of `/proc/PID/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    number: DeviceNumber,
    at: PathBuf,
    is_writable: bool,
    /// What is mounted, often by the path of a device.
    source: PathBuf,
}

fn mounts_in(table: &[u8]) -> impl Iterator<Item = Mount> {
    table.split(|byte| *byte == b'\n').filter_map(mount_of)
}

/// `ID PARENT MAJOR:MINOR ROOT AT OPTIONS [TAG...] - TYPE SOURCE OPTIONS_OF_THE_FILE_SYSTEM`
fn mount_of(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let number = parse_number(fields.nth(2)?)?;
    let at = unescape(fields.nth(1)?);
    let options = fields.next()?;
    let mut fields = fields.skip_while(|field| *field != b"-").skip(2);
    let source = unescape(fields.next()?);
    let of_all = fields.next()?;
    let is_writable = |options: &[u8]| options.split(|byte| *byte == b',').all(|it| it != b"ro");
    Some(Mount { number, at, is_writable: is_writable(options) && is_writable(of_all), source })
}

/// `PATH TYPE SIZE USED PRIORITY`, below a line of headings.
fn swaps_in(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n').skip(1);
    let paths = lines.filter_map(|line| line.split(|byte| b" \t".contains(byte)).next());
    paths.filter(|path| !path.is_empty()).map(unescape).collect()
}

/// Of a kernel without swapping there are none.
fn swaps() -> io::Result<Vec<PathBuf>> {
    match fs::read("/proc/swaps") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        table => Ok(swaps_in(&table?)),
    }
}

/// Takes back what the kernel has written as a backslash and three octal digits.
fn unescape(text: &[u8]) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        bytes.push(digits.unwrap_or(*first));
        rest = if digits.is_some() { &behind[3..] } else { behind };
    }
    OsString::from_vec(bytes).into()
}

fn parse_number(text: &[u8]) -> Option<DeviceNumber> {
    let (major, minor) = str::from_utf8(text).ok()?.trim_end().split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// The number of the device that has a directory in sysfs.
fn device_number_in(dir: &Path) -> Option<DeviceNumber> {
    parse_number(&fs::read(dir.join("dev")).ok()?)
}

fn number_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// What lies in a directory of sysfs, or is linked there; of one that is not there nothing.
fn links_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::canonicalize(entry.path()).ok()).collect()
}

fn last_name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a loop device shows. The kernel tells the inode, also of a file that has been deleted or that this
/// process does not see; who may not ask the kernel goes by the path.
fn backing(dir: &Path) -> Option<Ground> {
    let path = fs::read(dir.join("loop/backing_file")).ok()?;
    asked_backing(dir).or_else(|| {
        let path = path.strip_suffix(b"\n").unwrap_or(&path).to_vec();
        let path = PathBuf::from(OsString::from_vec(path));
        let device = device_at(&path).map(Ground::from);
        device.or_else(|| inode_at(&path).map(Ground::from))
    })
}

fn asked_backing(dir: &Path) -> Option<Ground> {
    let node = Path::new("/dev").join(dir.file_name()?);
    // Somebody may have put another device there.
    let number = device_at(&node).filter(|number| Some(*number) == device_number_in(dir))?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&node, flags, Mode::empty()).ok()?;
    if numbers_of(rustix::fs::fstat(&file).ok()?.st_rdev) != number {
        return None;
    }
    let (device, ino, shown) = sys::loop_status(file.as_fd()).ok()?;
    // The kernel writes these numbers in 32 bits, where the C library has 64.
    let decoded = |number: u64| DeviceNumber {
        major: u32::try_from(number >> 8 & 0xfff).expect("it has twelve bits"),
        minor: u32::try_from(number & 0xff | number >> 12 & 0xf_ff00).expect("it has twenty bits"),
    };
    if shown != 0 {
        return Some(decoded(shown).into());
    }
    let DeviceNumber { major, minor } = decoded(device);
    Some(Ground::File { dev: rustix::fs::makedev(major, minor), ino })
}

fn numbers_of(number: u64) -> DeviceNumber {
    DeviceNumber { major: rustix::fs::major(number), minor: rustix::fs::minor(number) }
}

fn inode_at(path: &Path) -> Option<Inode> {
    let metadata = fs::metadata(path).ok()?;
    Some(Inode { dev: metadata.dev(), ino: metadata.ino() })
}

/// The block device that a path leads to.
fn device_at(path: &Path) -> Option<DeviceNumber> {
    use std::os::unix::fs::FileTypeExt;

    let metadata = path.is_absolute().then(|| fs::metadata(path).ok())??;
    let number = numbers_of(metadata.rdev());
    metadata.file_type().is_block_device().then_some(number)
}

#[cfg(test)]
mod tests;
