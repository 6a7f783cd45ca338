//! What an entry is and what the file system knows about it.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding;

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// File type bits of `st_mode` (inode(7)), octal.
const S_IFMT: u32 = 0o170_000;

impl Kind {
    /// The kind that the type bits of `st_mode` name; `None` for bits that inode(7) does not list.
    pub fn from_st_mode(st_mode: u32) -> Option<Self> {
        Some(match st_mode & S_IFMT {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }

    /// The type bits of `st_mode`.
    pub fn st_mode_bits(self) -> u32 {
        match self {
            Self::File => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
        }
    }

    /// True for character and block devices.
    pub fn is_device(self) -> bool {
        matches!(self, Self::CharDevice | Self::BlockDevice)
    }

    /// True for what rsync calls special files: pipes and sockets.
    pub fn is_special(self) -> bool {
        matches!(self, Self::Fifo | Self::Socket)
    }

    /// True where one that takes the other's place is told as a change of it: rsync makes no
    /// difference between a pipe and a socket, nor between the two kinds of devices.
    pub fn is_kin_of(self, other: Self) -> bool {
        self == other
            || (self.is_special() && other.is_special())
            || (self.is_device() && other.is_device())
    }
}

/// A point in time as the file system stores it: seconds since 1970 (may be negative) and
/// nanoseconds (0 to 999,999,999) that count forward from there.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub secs: i64,
    /// Nanoseconds, 0 to 999,999,999.
    #[borsh(deserialize_with = "encoding::read_nanos")]
    pub nanos: u32,
}

/// Major and minor number of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// What the file system knows about an entry (statx(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Metadata {
    /// Type of the entry.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: the low twelve bits of `st_mode`.
    #[borsh(deserialize_with = "encoding::read_mode")]
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes; of a symlink, the length of its target.
    #[borsh(deserialize_with = "encoding::read_size")]
    pub size: u64,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Time of last access.
    pub atime: Timestamp,
    /// Device number, for devices.
    pub rdev: DeviceNumber,
    /// File system the entry lies on, as one opaque number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Number of hard links.
    pub nlink: u32,
    /// Allocated space, in units of 512 bytes.
    pub allocated_blocks: u64,
}

/// An inode of a file system. Two names of one inode are hard links to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    /// File system the entry lies on, as one opaque number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

impl Metadata {
    /// Of an entry that nobody looked at, or that could not be looked at: all but its kind is zero.
    pub fn unknown(kind: Kind) -> Self {
        Self {
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Timestamp::default(),
            atime: Timestamp::default(),
            rdev: DeviceNumber::default(),
            dev: 0,
            ino: 0,
            nlink: 1,
            allocated_blocks: 0,
        }
    }

    /// False for [`Metadata::unknown`]: no entry is inode 0 of device 0.
    pub fn is_known(&self) -> bool {
        (self.dev, self.ino) != (0, 0)
    }

    /// True when less space is allocated than the size asks for: the file may have holes.
    pub fn may_have_holes(&self) -> bool {
        self.kind == Kind::File && self.allocated_blocks.saturating_mul(512) < self.size
    }

    /// The inode that the entry is a name of.
    pub fn inode(&self) -> Inode {
        Inode { dev: self.dev, ino: self.ino }
    }

    /// True when both describe the same inode of the same file system.
    pub fn is_same_inode(&self, other: &Self) -> bool {
        self.inode() == other.inode()
    }

    /// `st_mode`: type and permission bits together.
    pub fn st_mode(&self) -> u32 {
        self.kind.st_mode_bits() | self.mode
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_kind_survives_its_mode_bits() {
        for kind in [
            Kind::File,
            Kind::Directory,
            Kind::Symlink,
            Kind::CharDevice,
            Kind::BlockDevice,
            Kind::Fifo,
            Kind::Socket,
        ] {
            assert_eq!(Kind::from_st_mode(kind.st_mode_bits() | 0o7777), Some(kind));
        }
        assert_eq!(Kind::from_st_mode(0), None);
    }
}
