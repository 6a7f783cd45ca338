//! Between the kernel's view of a file and fuser's.

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use rustix::fs::{RawMode, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

/// What the client is told about a file.
#[expect(clippy::cast_sign_loss, reason = "the kernel gives sizes and block counts as signed")]
#[expect(clippy::cast_possible_truncation, reason = "FUSE has 32 bits for these")]
pub(crate) fn file_attr(stat: &Stat, ino: u64) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime: time(stat.st_atime, stat.st_atime_nsec.cast_signed()),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        crtime: SystemTime::UNIX_EPOCH,
        kind: kind(stat.st_mode),
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: encode_dev(stat.st_rdev),
        blksize: stat.st_blksize as u32,
        flags: 0,
    }
}

/// The kind as FUSE names it.
pub(crate) fn kind(mode: RawMode) -> FileType {
    use rustix::fs::FileType as Kind;
    match Kind::from_raw_mode(mode) {
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharacterDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

/// The times of a setattr request; absent ones stay.
pub(crate) fn timestamps(atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>) -> Timestamps {
    Timestamps { last_access: timespec(atime), last_modification: timespec(mtime) }
}

/// FUSE carries device numbers in the kernel's 32-bit form.
pub(crate) fn decode_dev(rdev: u32) -> u64 {
    let major = (rdev & 0xf_ff00) >> 8;
    let minor = (rdev & 0xff) | ((rdev >> 12) & 0xf_ff00);
    rustix::fs::makedev(major, minor)
}

fn encode_dev(dev: u64) -> u32 {
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

fn timespec(time: Option<TimeOrNow>) -> Timespec {
    match time {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(TimeOrNow::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(TimeOrNow::SpecificTime(at)) => since_epoch(at),
    }
}

/// Undoes what fuser 0.18 does to times before 1970: it subtracts the nanoseconds instead of adding
/// them. The test `metadata_is_set_on_the_backing_file` tells when a newer fuser does it right.
fn since_epoch(at: SystemTime) -> Timespec {
    let parts = |span: Duration| {
        (i64::try_from(span.as_secs()).unwrap_or(i64::MAX), i64::from(span.subsec_nanos()))
    };
    let (sign, (secs, nanos)) = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(span) => (1, parts(span)),
        Err(before) => (-1, parts(before.duration())),
    };
    Timespec { tv_sec: sign * secs, tv_nsec: nanos }
}

fn time(secs: i64, nanos: i64) -> SystemTime {
    let nanos = Duration::from_nanos(nanos.unsigned_abs());
    let whole = Duration::from_secs(secs.unsigned_abs());
    if secs < 0 {
        SystemTime::UNIX_EPOCH - whole + nanos
    } else {
        SystemTime::UNIX_EPOCH + whole + nanos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_the_epoch_keeps_its_nanoseconds_forward() {
        let at = time(-5, 999_999_999);
        let before = SystemTime::UNIX_EPOCH.duration_since(at).unwrap();
        assert_eq!(before, Duration::new(4, 1));
    }

    #[test]
    fn device_numbers_survive() {
        for (major, minor) in [(0, 0), (8, 1), (254, 300), (4000, 70_000)] {
            let dev = rustix::fs::makedev(major, minor);
            assert_eq!(decode_dev(encode_dev(dev)), dev);
        }
    }
}
