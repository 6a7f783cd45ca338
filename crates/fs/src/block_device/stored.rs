//! Which bytes are those of which device: a partition and a loop device have some of what lies below them,
//! and say which.

use std::ops::Range;
use std::path::{Path, PathBuf};

use model::DeviceNumber;

use super::{BlockDevice, Ground, backing, device_number_in, links_in, number_in};

/// What sysfs counts the lengths and starts of devices in, in bytes, whatever their blocks are.
const SECTOR_BYTES: u64 = 512;

/// Some bytes of a device or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) ground: Ground,
    pub(super) range: Range<u64>,
}

impl Stretch {
    pub(super) fn all_of(ground: Ground) -> Self {
        Self { ground, range: 0..u64::MAX }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (&self.range, &other.range);
        self.ground == other.ground && one.start.max(two.start) < one.end.min(two.end)
    }
}

pub(super) fn overlap(some: &[Stretch], others: &[Stretch]) -> bool {
    some.iter().any(|one| others.iter().any(|other| one.overlaps(other)))
}

/// The bytes of a device, and those that they are in its disk, and in what it shows.
pub(super) fn bytes_of(dir: &Path) -> Vec<Stretch> {
    let (bytes, _) = way_down(dir);
    bytes
}

/// All that a device is put together of, at whatever depth: which of its bytes, nobody tells.
pub(super) fn bytes_below(dir: &Path) -> Vec<Stretch> {
    let (mut found, mut left): (Vec<Stretch>, _) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        let (_, last) = way_down(&dir);
        for dir in last.iter().flat_map(|last| links_in(&last.join("slaves"))) {
            let bytes = bytes_of(&dir);
            if bytes.iter().any(|it| !found.contains(it)) {
                found.extend(bytes);
                left.push(dir);
            }
        }
    }
    found
}

/// The bytes of a device at all depths that it tells of itself, and the last device among those.
fn way_down(dir: &Path) -> (Vec<Stretch>, Option<PathBuf>) {
    let (mut found, mut last): (Vec<Stretch>, _) = (Vec::new(), None);
    let sectors = |dir: &Path, what| number_in(&dir.join(what))?.checked_mul(SECTOR_BYTES);
    let mut range = 0..sectors(dir, "size").unwrap_or(u64::MAX);
    let mut next = Some(dir.to_owned());
    while let Some(dir) = next.take() {
        let Some(number) = device_number_in(&dir) else { break };
        let ground = Ground::from(number);
        // What the kernel tells meanwhile may go in a circle.
        if found.iter().any(|it| it.ground == ground) {
            break;
        }
        found.push(Stretch { ground, range: range.clone() });
        if dir.join("partition").exists() {
            range = moved(&range, sectors(&dir, "start"));
            next = dir.parent().map(Path::to_owned);
        } else if let Some(start) = number_in(&dir.join("loop/offset"))
            // One that is taken down meanwhile shows nothing any more.
            && let Some(shown) = backing(&dir)
        {
            range = moved(&range, Some(start));
            match shown {
                Ground::Device { major, minor } => {
                    let device = BlockDevice::of(DeviceNumber { major, minor });
                    next = device.ok().map(|device| device.dir);
                }
                file @ Ground::File { .. } => {
                    found.push(Stretch { ground: file, range: range.clone() });
                }
            }
        }
        last = Some(dir);
    }
    (found, last)
}

/// The same bytes in what lies below, from where they begin there; if nobody tells, all of it.
fn moved(range: &Range<u64>, start: Option<u64>) -> Range<u64> {
    start.map_or(0..u64::MAX, |start| {
        range.start.saturating_add(start)..range.end.saturating_add(start)
    })
}
