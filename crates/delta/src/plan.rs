//! Cuts the two files, so that many workers can search at once and none holds much.
//!
//! The basis is cut into *pieces* and the new file into *ranges*, both of [`RANGE_BLOCKS`] blocks.
//! Each piece has one signature, made and sent once. A range is searched in a *window*: up to
//! [`WINDOW_PIECES`] signatures around its own place. So a basis of up to 32 ranges (1 GiB) is seen
//! whole by every range; of a larger one, what has moved by more than half a window (at the longest
//! block, 2 GiB) is not found and is sent literally. More would be found in a larger window, at the
//! price of memory and of more wrong weak sums for each byte.
//!
//! A block of shifted data may begin in one range and end in the next. Each search therefore reads
//! nearly a block more on both sides of its range than it answers for, so that cutting the file costs
//! no literal bytes.
//!
//! In place, ranges are written one after the other from the first to the last, so the bytes of the
//! basis that are still there are those of the range itself and behind it: its window begins with its
//! own piece. Data that has moved backwards is found, data that has moved forwards by more than a
//! block is sent literally, as by rsync.

use std::ops::Range;

use crate::Update;
use crate::shape::{MAX_BLOCKS, Shape};

/// The blocks of a piece or a range: at their longest 128 MiB, at 1 GiB of basis 32 MiB. Long enough
/// that reading nearly two blocks too many costs a fifth of a percent, short enough for many workers.
pub(crate) const RANGE_BLOCKS: u64 = 1024;

/// The pieces in the largest window, so many that the search can hold them.
const WINDOW_PIECES: u64 = MAX_BLOCKS as u64 / RANGE_BLOCKS;

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    shape: Shape,
    basis_bytes: u64,
    new_bytes: u64,
    update: Update,
}

/// A range of the new file and what to search it with. Offsets are in bytes from the beginning of the
/// file, pieces are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The range that this part answers for.
    pub range: Range<u64>,
    /// What [`crate::Search`] is to be fed: the range and a little on both sides.
    pub read: Range<u64>,
    /// The pieces whose signatures [`crate::Index`] is to be made of; may be none.
    pub pieces: Range<u64>,
    /// What of the basis [`crate::Patch`] lets operations copy: all of it, but in place only what the
    /// parts before this one have not written over. May be empty.
    pub basis: Range<u64>,
}

impl Plan {
    /// Cuts files of so many bytes. Both sides come to the same plan.
    pub fn new(shape: Shape, basis_bytes: u64, new_bytes: u64, update: Update) -> Self {
        Self { shape, basis_bytes, new_bytes, update }
    }

    /// How long blocks and sums are.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many pieces the basis has; none if it is empty.
    pub fn piece_count(&self) -> u64 {
        self.basis_bytes.div_ceil(self.range_bytes())
    }

    /// The bytes of a piece of the basis; empty behind the last one.
    pub fn piece(&self, index: u64) -> Range<u64> {
        self.cut(index, self.basis_bytes)
    }

    /// How many parts the new file has; none if it is empty.
    pub fn part_count(&self) -> u64 {
        self.new_bytes.div_ceil(self.range_bytes())
    }

    /// A part of the new file; its range is empty behind the last one.
    pub fn part(&self, index: u64) -> Part {
        let range = self.cut(index, self.new_bytes);
        let read = self.with_margins(&range);
        let basis_start = match self.update {
            Update::Apart => 0,
            Update::InPlace => range.start.min(self.basis_bytes),
        };
        Part { read, pieces: self.window(index), basis: basis_start..self.basis_bytes, range }
    }

    /// All parts in order. In place they are to be written in this order.
    pub fn parts(self) -> impl Iterator<Item = Part> {
        (0..self.part_count()).map(move |index| self.part(index))
    }

    fn range_bytes(&self) -> u64 {
        self.shape.block_bytes() as u64 * RANGE_BLOCKS
    }

    fn cut(&self, index: u64, file_bytes: u64) -> Range<u64> {
        let start = index.saturating_mul(self.range_bytes()).min(file_bytes);
        start..start.saturating_add(self.range_bytes()).min(file_bytes)
    }

    fn with_margins(&self, range: &Range<u64>) -> Range<u64> {
        let margin = self.shape.block_bytes() as u64 - 1;
        range.start.saturating_sub(margin)..range.end.saturating_add(margin).min(self.new_bytes)
    }

    /// As many pieces as can be, half of them before the place of the range; at an end of the basis
    /// the window is moved inwards. In place, none of them before it.
    fn window(&self, index: u64) -> Range<u64> {
        let count = self.piece_count();
        let first = match self.update {
            Update::Apart => {
                let first = index.saturating_sub(WINDOW_PIECES / 2);
                first.min(count.saturating_sub(WINDOW_PIECES))
            }
            Update::InPlace => index.min(count),
        };
        first..(first + WINDOW_PIECES).min(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Part, Plan, RANGE_BLOCKS};
    use crate::Update;
    use crate::shape::{MAX_BLOCKS, Shape};

    fn plan(basis_bytes: u64, new_bytes: u64, update: Update) -> Plan {
        Plan::new(Shape::new(10, 4).expect("in bounds"), basis_bytes, new_bytes, update)
    }

    #[test]
    fn a_small_file_is_one_part_that_sees_all() {
        let part = plan(500, 700, Update::Apart).part(0);
        assert_eq!(part, Part { range: 0..700, read: 0..700, pieces: 0..1, basis: 0..500 });
    }

    #[test]
    fn margins_are_a_byte_less_than_a_block_and_stay_in_the_file() {
        let plan = plan(30_000, 30_000, Update::Apart);
        let reads: Vec<_> = plan.parts().map(|part| part.read).collect();
        assert_eq!(reads, [0..10_249, 10_231..20_489, 20_471..30_000]);
    }

    #[test]
    fn the_window_of_a_huge_file_goes_with_the_range() {
        let plan = plan(100 * 10_240, 200 * 10_240, Update::Apart);
        let check = |index, pieces| assert_eq!(plan.part(index).pieces, pieces, "part {index}");
        check(0, 0..32);
        check(16, 0..32);
        check(17, 1..33);
        check(84, 68..100);
        check(99, 68..100);
        check(199, 68..100);
    }

    #[test]
    fn in_place_a_range_sees_what_is_still_there() {
        let plan = plan(25_000, 50_000, Update::InPlace);
        assert_eq!([plan.part(0).pieces, plan.part(1).pieces], [0..3, 1..3]);
        assert_eq!(plan.part(2).pieces, 2..3);
        assert!(plan.part(3).pieces.is_empty());
        let basis = |index| plan.part(index).basis;
        assert_eq!(
            [basis(1), basis(2), basis(3)],
            [10_240..25_000, 20_480..25_000, 25_000..25_000]
        );
        let long = self::plan(100 * 10_240, 100 * 10_240, Update::InPlace);
        assert_eq!([long.part(50).pieces, long.part(90).pieces], [50..82, 90..100]);
    }

    #[test]
    fn an_empty_basis_has_no_pieces() {
        let plan = plan(0, 50_000, Update::Apart);
        assert_eq!(plan.piece_count(), 0);
        assert!(plan.parts().all(|part| part.pieces.is_empty()));
    }

    proptest! {
        #[test]
        fn parts_and_pieces_cover_the_files(
            basis_bytes in prop_oneof![0..1_000_000_u64, u64::MAX - 9..=u64::MAX],
            new_bytes in 0..1_000_000_u64,
            in_place: bool,
        ) {
            let update = if in_place { Update::InPlace } else { Update::Apart };
            let plan = plan(basis_bytes, new_bytes, update);
            let mut end = 0;
            for part in plan.parts() {
                prop_assert_eq!(part.range.start, end);
                prop_assert!(part.read.start <= part.range.start);
                prop_assert!(part.read.end >= part.range.end);
                prop_assert!(part.pieces.end <= plan.piece_count());
                let blocks = (part.pieces.end - part.pieces.start) * RANGE_BLOCKS;
                prop_assert!(blocks <= MAX_BLOCKS as u64);
                end = part.range.end;
            }
            prop_assert_eq!(end, new_bytes);
            let last = plan.piece_count().saturating_sub(1);
            prop_assert_eq!(plan.piece(last).end, basis_bytes);
        }

        #[test]
        fn any_index_has_an_answer(basis: u64, new: u64, index: u64, in_place: bool) {
            let update = if in_place { Update::InPlace } else { Update::Apart };
            let part = plan(basis, new, update).part(index);
            prop_assert!(part.range.start <= part.range.end && part.range.end <= new);
            prop_assert!(part.pieces.start <= part.pieces.end);
        }
    }
}
