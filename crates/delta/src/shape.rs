//! How long blocks and their strong sums are.

use crate::plan::RANGE_BLOCKS;

/// The shortest block that is chosen: the 700 bytes of rsync, made whole stripes of 64 bytes of XXH3.
/// Below, the sums of a file are no longer small beside what a change of it costs.
const LEAST_BLOCK_BYTES: usize = 11 * 64;

/// The shortest block that can be asked for.
const LEAST_ASKED_BLOCK_BYTES: usize = 64;

/// The longest block: as in rsync 128 KiB, reached at 16 GiB. More would save little of the sums, and
/// each changed byte costs a block.
pub const MAX_BLOCK_BYTES: usize = 128 << 10;

/// The most blocks in one signature, and in the window of one search. At the longest block this is
/// 4 GiB of the basis, in which a random window meets a wrong weak sum once per block length: as many
/// bytes are then hashed for nothing as are searched, which slows the search by a fifth. All tables
/// for so many blocks fit in 3 MiB.
pub const MAX_BLOCKS: usize = 32 << 10;

/// All of a strong sum.
pub const MAX_STRONG_BYTES: usize = 16;

/// The least of a strong sum that is sent.
const LEAST_STRONG_BYTES: usize = 4;

/// How often a transfer is deceived at most: once in 2^24 files, if all of the file was made to
/// deceive, else far less.
const DECEIVED_BITS: u32 = 24;

/// Blocks that share a place in the index, of which more are left out. Where half of the places are
/// taken by good sums, one in ten thousand millions has more.
pub(crate) const MAX_CANDIDATES: usize = 8;

/// How many bytes may be hashed for nothing for each new byte: four times what good sums ask for in
/// the largest window.
pub(crate) const WASTE_PER_BYTE: u64 = 4;

/// How many windows may be hashed for nothing before anything has been searched.
pub(crate) const WASTE_AT_START: u64 = 16;

/// The lengths of blocks and sums, the same in all signatures of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    block_bytes: usize,
    strong_bytes: usize,
}

/// Lengths that no signature has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// The length of a block.
    #[error("delta: blocks of {0} bytes, 1 to {MAX_BLOCK_BYTES} are possible")]
    Block(u64),
    /// The length of a strong sum.
    #[error(
        "delta: strong sums of {0} bytes, {LEAST_STRONG_BYTES} to {MAX_STRONG_BYTES} are possible"
    )]
    Strong(u64),
}

impl Shape {
    /// Blocks and strong sums of so many bytes.
    pub fn new(block_bytes: u64, strong_bytes: u64) -> Result<Self, ShapeError> {
        let within = |bytes: u64, least: usize, most: usize| {
            usize::try_from(bytes).ok().filter(|bytes| (least..=most).contains(bytes))
        };
        let block = within(block_bytes, 1, MAX_BLOCK_BYTES);
        let strong = within(strong_bytes, LEAST_STRONG_BYTES, MAX_STRONG_BYTES);
        Ok(Self {
            block_bytes: block.ok_or(ShapeError::Block(block_bytes))?,
            strong_bytes: strong.ok_or(ShapeError::Strong(strong_bytes))?,
        })
    }

    /// What suits a basis and a new file of so many bytes.
    ///
    /// A block is about as long as there are blocks, the square root rule of rsync: a change costs a
    /// block, the sums cost as much as there are blocks, and this keeps both small.
    ///
    /// A strong sum is as long as it must be. A false match copies wrong bytes, which the hash of the
    /// whole file finds at the end, and the file is sent again. So it must be rare, not impossible. A
    /// search compares wrong sums only after a weak sum was alike. Even if all of the new file was
    /// made so that they are, it hashes at most four windows in the length of one, and compares
    /// each with eight blocks and two more that it prefers. With a secret,
    /// each comparison deceives with a chance of one in 2 to the bits that are compared. That gives 5
    /// bytes for 1 MiB, 6 for 1 GiB, 7 for 1 TiB.
    pub fn for_lengths(basis_bytes: u64, new_bytes: u64) -> Self {
        let root = usize::try_from(basis_bytes.isqrt()).unwrap_or(MAX_BLOCK_BYTES);
        let block_bytes = root.next_multiple_of(64).clamp(LEAST_BLOCK_BYTES, MAX_BLOCK_BYTES);
        Self::with_sums_for(block_bytes, new_bytes)
    }

    /// The same with blocks of a length that somebody asks for, or nearly: below 64 bytes, sums would
    /// be longer than what they stand for.
    pub fn with_blocks_of(block_bytes: u64, new_bytes: u64) -> Self {
        let block_bytes = usize::try_from(block_bytes).unwrap_or(MAX_BLOCK_BYTES);
        Self::with_sums_for(block_bytes.clamp(LEAST_ASKED_BLOCK_BYTES, MAX_BLOCK_BYTES), new_bytes)
    }

    fn with_sums_for(block_bytes: usize, new_bytes: u64) -> Self {
        let blocks = new_bytes.div_ceil(block_bytes as u64);
        let searches = blocks.div_ceil(RANGE_BLOCKS).max(1);
        // A window that is copied, and the guess behind it, meet wrong sums, too.
        let windows = (WASTE_PER_BYTE + 2) * blocks + WASTE_AT_START * searches;
        let comparisons = windows * (MAX_CANDIDATES as u64 + 2);
        let bits = DECEIVED_BITS + comparisons.ilog2() + 1;
        let strong_bytes = (bits.div_ceil(8) as usize).max(LEAST_STRONG_BYTES);
        Self { block_bytes, strong_bytes }
    }

    /// The same blocks with whole strong sums: for a file that has been deceived once.
    #[must_use]
    pub fn strongest(self) -> Self {
        Self { strong_bytes: MAX_STRONG_BYTES, ..self }
    }

    /// The length of all blocks but the last of a basis, which may be shorter. At least 1.
    pub fn block_bytes(self) -> usize {
        self.block_bytes
    }

    /// How many bytes of each strong sum are sent.
    pub fn strong_bytes(self) -> usize {
        self.strong_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BLOCK_BYTES, Shape, ShapeError};

    #[test]
    fn blocks_grow_with_the_root_of_the_length() {
        let check = |basis_bytes: u64, block_bytes: usize, strong_bytes: usize| {
            let shape = Shape::for_lengths(basis_bytes, basis_bytes);
            assert_eq!(shape.block_bytes(), block_bytes, "{basis_bytes}");
            assert_eq!(shape.strong_bytes(), strong_bytes, "{basis_bytes}");
        };
        check(0, 704, 4);
        check(490_000, 704, 5);
        check(1 << 20, 1024, 5);
        check(1 << 30, 32 << 10, 6);
        check(16 << 30, 128 << 10, 6);
        check(1 << 40, 128 << 10, 7);
        check(u64::MAX, 128 << 10, 10);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let most = MAX_BLOCK_BYTES as u64;
        assert!(Shape::new(1, 4).is_ok());
        assert!(Shape::new(most, 16).is_ok());
        assert_eq!(Shape::new(0, 4), Err(ShapeError::Block(0)));
        assert_eq!(Shape::new(most + 1, 4), Err(ShapeError::Block(most + 1)));
        assert_eq!(Shape::new(u64::MAX, 4), Err(ShapeError::Block(u64::MAX)));
        assert_eq!(Shape::new(1, 3), Err(ShapeError::Strong(3)));
        assert_eq!(Shape::new(1, 17), Err(ShapeError::Strong(17)));
        assert_eq!(Shape::new(1, 256 + 4), Err(ShapeError::Strong(260)));
    }

    #[test]
    fn blocks_are_as_long_as_is_asked_for_within_bounds() {
        let check = |asked, block_bytes, strong_bytes| {
            let shape = Shape::with_blocks_of(asked, 1 << 30);
            assert_eq!((shape.block_bytes(), shape.strong_bytes()), (block_bytes, strong_bytes));
        };
        check(0, 64, 7);
        check(700, 700, 7);
        check(32 << 10, 32 << 10, 6);
        check(u64::MAX, 128 << 10, 6);
    }

    #[test]
    fn the_strongest_shape_keeps_its_blocks() {
        let shape = Shape::for_lengths(1 << 20, 1 << 20);
        assert_eq!(shape.strongest().block_bytes(), shape.block_bytes());
        assert_eq!(shape.strongest().strong_bytes(), 16);
    }
}
