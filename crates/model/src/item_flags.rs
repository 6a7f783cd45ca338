//! Which attributes of an entry changed: the letters of rsync's `-i` (rsync(1), `--itemize-changes`).

use bitflags::bitflags;
use borsh::io::{Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding::malformed;

bitflags! {
    /// What is reported of one entry. Each letter of the itemize string is made from these bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ItemFlags: u32 {
        /// The destination did not have the entry: `+`.
        const NEW = 1 << 0;
        /// Content is transferred: `>`.
        const TRANSFER = 1 << 1;
        /// The entry is made or changed at the destination without a transfer: `c`.
        const LOCAL_CHANGE = 1 << 2;
        /// The entry becomes a hard link to another: `h`.
        const HARD_LINK = 1 << 3;
        /// Content differs by checksum, or the target of a link, or a device number: `c`.
        const CHECKSUM = 1 << 4;
        /// Size differs: `s`.
        const SIZE = 1 << 5;
        /// Modification time differs: `t`, or `T` where it will be the time of the transfer.
        const MTIME = 1 << 6;
        /// Permissions differ: `p`.
        const PERMS = 1 << 7;
        /// Owner differs: `o`.
        const OWNER = 1 << 8;
        /// Group differs: `g`.
        const GROUP = 1 << 9;
        /// Access time differs: `u`.
        const ATIME = 1 << 10;
        /// POSIX ACL differs: `a`.
        const ACL = 1 << 11;
        /// Extended attributes differ: `x`.
        const XATTR = 1 << 12;
        /// The time that is reported will be the time of the transfer: capital `T`.
        const TIME_OF_TRANSFER = 1 << 13;
        /// The source attribute is missing, as in a dry run below a directory not made yet: `?`.
        const MISSING_DATA = 1 << 14;
        /// A basis tree has it as the same inode, so that a hard link is no news.
        const IN_BASIS = 1 << 15;
    }
}

impl BorshSerialize for ItemFlags {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.bits().serialize(writer)
    }
}

impl BorshDeserialize for ItemFlags {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let bits = u32::deserialize_reader(reader)?;
        Self::from_bits(bits).ok_or_else(|| malformed("an unknown change of an entry"))
    }
}

impl ItemFlags {
    /// The bits that make a line worth printing by themselves.
    pub const SIGNIFICANT: Self = Self::all()
        .difference(Self::LOCAL_CHANGE)
        .difference(Self::HARD_LINK)
        .difference(Self::TIME_OF_TRANSFER);

    /// True when the entry differs in any way that a user is told about.
    pub fn is_significant(self) -> bool {
        self.intersects(Self::SIGNIFICANT) && !self.contains(Self::IN_BASIS)
    }
}
