//! The blocks of a window of the basis, ready to be looked up by their weak sums.
//!
//! Each new byte asks here, so there are two stages. [`Tags`] turn away nearly all sums that no block
//! has, with one word of memory and without a branch. Behind them blocks are chained by their weak
//! sums. Of blocks with equal sums one is kept, and a chain has at most [`MAX_CANDIDATES`] blocks, so
//! neither a basis full of zeros nor a made-up signature makes a look-up long.

use crate::Update;
use crate::rolling::{WeakKey, sent};
use crate::seed::Seed;
use crate::shape::{MAX_BLOCKS, MAX_CANDIDATES, Shape};
use crate::signature::Signature;
use crate::strong::StrongKey;

/// No block.
const NONE: u32 = u32::MAX;

/// How many beginnings of chains there are for each word of tags, as a power of two. There are two to
/// four for each block, so each has at least 64 bits of tags, and all together at most 256 KiB. With
/// half of that, searching what is all new takes a tenth longer.
const WORDS_TO_PLACES_LOG2: u32 = 1;

/// The signatures of a window, to be searched by any number of [`crate::Search`]es at once.
pub struct Index {
    shape: Shape,
    update: Update,
    weak_key: WeakKey,
    strong_key: StrongKey,
    /// Where the first block begins in the basis.
    start: u64,
    /// How many blocks have the full length.
    full_blocks: u32,
    /// The length of the block behind those; 0 if there is none.
    tail_bytes: usize,
    /// The sums of all blocks.
    weak: Vec<u32>,
    strong: Vec<u8>,
    tags: Tags,
    /// The first block of each chain.
    heads: Vec<u32>,
    head_shift: u32,
    /// For each full block the next in its chain.
    chained: Vec<u32>,
}

/// A Bloom filter in words (F. Putze, P. Sanders, J. Singler, "Cache-, hash- and space-efficient
/// Bloom filters", 2007): a weak sum chooses one word by 20 of its bits and two bits of it by 12
/// others.
#[derive(Default)]
pub(crate) struct Tags {
    /// As many as a power of two.
    words: Vec<u64>,
}

impl Tags {
    fn new(words_log2: u32) -> Self {
        Self { words: vec![0; 1 << words_log2] }
    }

    fn put(&mut self, weak: u32) {
        let sum = u64::from(weak) << 32;
        let place = self.place(sum);
        self.words[place] |= 1 << (sum >> 32 & 63) | 1 << (sum >> 38 & 63);
    }

    /// The lowest bit says whether the sum may be that of a block; the others say nothing. A wrong
    /// sum is turned away all but once in 500 times.
    #[inline]
    pub(crate) fn look_up(&self, sum: u64) -> u64 {
        let word = self.words.get(self.place(sum)).copied().unwrap_or_default();
        word >> (sum >> 32 & 63) & word >> (sum >> 38 & 63)
    }

    #[inline]
    fn place(&self, sum: u64) -> usize {
        (sum >> 44) as usize & self.words.len().wrapping_sub(1)
    }
}

/// Signatures that make no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Blocks or sums are not as long as they are in this file.
    #[error("delta: signature of another shape than its file")]
    Shape,
    /// A piece does not begin where the one before it has ended, or that had a short block.
    #[error("delta: signatures that do not follow each other")]
    Gap,
    /// Too many blocks.
    #[error("delta: window of more than {MAX_BLOCKS} blocks")]
    TooManyBlocks,
}

impl Index {
    /// The window that the signatures of `pieces` make together, in order and without a gap; without
    /// pieces there is nothing to be found. That they are of the pieces asked for, and not of others,
    /// is for the caller to compare ([`Signature::range`] with [`crate::Plan::piece`]); if they are
    /// not, the peer gets another file than it asked for.
    pub fn new<'s>(
        seed: &Seed,
        shape: Shape,
        pieces: impl IntoIterator<Item = &'s Signature>,
        update: Update,
    ) -> Result<Self, IndexError> {
        let mut index = Self {
            shape,
            update,
            weak_key: WeakKey::new(seed),
            strong_key: StrongKey::new(seed),
            start: 0,
            full_blocks: 0,
            tail_bytes: 0,
            weak: Vec::new(),
            strong: Vec::new(),
            tags: Tags::default(),
            heads: Vec::new(),
            head_shift: 0,
            chained: Vec::new(),
        };
        let mut end = None;
        for piece in pieces {
            index.append(piece, end)?;
            end = Some(piece.range().end);
        }
        index.chain_blocks();
        Ok(index)
    }

    fn append(&mut self, piece: &Signature, end: Option<u64>) -> Result<(), IndexError> {
        let range = piece.range();
        if piece.shape() != self.shape {
            return Err(IndexError::Shape);
        }
        if end.is_some_and(|end| end != range.start || self.tail_bytes > 0) {
            return Err(IndexError::Gap);
        }
        if self.weak.len() + piece.weak().len() > MAX_BLOCKS {
            return Err(IndexError::TooManyBlocks);
        }
        if end.is_none() {
            self.start = range.start;
        }
        self.weak.extend_from_slice(piece.weak());
        self.strong.extend_from_slice(piece.strong());
        let tail = (range.end - range.start) % self.shape.block_bytes() as u64;
        self.tail_bytes = usize::try_from(tail).expect("less than a block");
        let full = self.weak.len() - usize::from(self.tail_bytes > 0);
        self.full_blocks = u32::try_from(full).expect("at most MAX_BLOCKS");
        Ok(())
    }

    /// Makes tags and chains. Of blocks with equal sums the one that is chained first is kept: the
    /// first one, but in place the last, which is there longest.
    fn chain_blocks(&mut self) {
        let places_log2 = (self.full_blocks.max(1) * 2).next_power_of_two().ilog2();
        self.heads = vec![NONE; 1 << places_log2];
        self.head_shift = u64::BITS - places_log2;
        self.chained = vec![NONE; self.full_blocks as usize];
        self.tags = Tags::new(places_log2.saturating_sub(WORDS_TO_PLACES_LOG2));
        let count = self.full_blocks;
        for step in 0..count {
            self.chain(if self.update == Update::InPlace { count - 1 - step } else { step });
        }
    }

    fn chain(&mut self, block: u32) {
        let weak = self.weak[block as usize];
        let place = self.place(weak);
        let mut last = None;
        let mut length = 0;
        let mut other = self.heads[place];
        while other != NONE {
            length += 1;
            let is_known =
                self.weak[other as usize] == weak && self.strong(other) == self.strong(block);
            if is_known || length == MAX_CANDIDATES {
                return;
            }
            last = Some(other);
            other = self.chained[other as usize];
        }
        match last {
            Some(last) => self.chained[last as usize] = block,
            None => self.heads[place] = block,
        }
        self.tags.put(weak);
    }

    /// Which chain a weak sum belongs to. The upper bits have chosen the tag, so others are mixed in.
    fn place(&self, weak: u32) -> usize {
        let mixed = u64::from(weak).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> self.head_shift).expect("below the number of heads")
    }

    /// What tells most weak sums that are known nowhere.
    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Whether a block has this weak sum.
    pub(crate) fn is_known(&self, sum: u64) -> bool {
        self.tags.look_up(sum) & 1 == 1 && self.chained(sent(sum)).next().is_some()
    }

    /// The blocks of a chain that have this weak sum, and different strong ones.
    pub(crate) fn chained(&self, weak: u32) -> impl Iterator<Item = u32> {
        let real = |block: u32| (block != NONE).then_some(block);
        let first = real(self.heads[self.place(weak)]);
        let chain = std::iter::successors(first, move |&block| real(self.chained[block as usize]));
        chain.filter(move |&block| self.weak[block as usize] == weak)
    }

    /// Whether a block of this number is there and has the full length.
    pub(crate) fn is_full(&self, block: u32) -> bool {
        block < self.full_blocks
    }

    /// Whether it is, and has this weak sum.
    pub(crate) fn has(&self, block: u32, weak: u32) -> bool {
        self.is_full(block) && self.weak[block as usize] == weak
    }

    /// The full block that begins at this offset of the basis.
    pub(crate) fn block_at(&self, offset: u64) -> Option<u32> {
        let ahead = offset.checked_sub(self.start)?;
        let width = self.shape.block_bytes() as u64;
        let block = u32::try_from(ahead / width).ok()?;
        (ahead.is_multiple_of(width) && self.is_full(block)).then_some(block)
    }

    /// Where a block begins in the basis.
    pub(crate) fn offset(&self, block: u32) -> u64 {
        self.start + u64::from(block) * self.shape.block_bytes() as u64
    }

    /// What of the strong sum of a block is known.
    pub(crate) fn strong(&self, block: u32) -> &[u8] {
        let width = self.shape.strong_bytes();
        &self.strong[block as usize * width..][..width]
    }

    /// Whether these bytes have the strong sum of the block.
    pub(crate) fn strong_key(&self) -> &StrongKey {
        &self.strong_key
    }

    pub(crate) fn weak_key(&self) -> &WeakKey {
        &self.weak_key
    }

    /// The short block at the end, if there is one, with its length.
    pub(crate) fn tail(&self) -> Option<(u32, usize)> {
        (self.tail_bytes > 0).then_some((self.full_blocks, self.tail_bytes))
    }

    /// Whether these bytes are as long as the short block at the end and have its weak sum.
    pub(crate) fn has_tail_sum(&self, bytes: &[u8]) -> bool {
        self.weak.get(self.full_blocks as usize) == Some(&sent(self.weak_key.sum(bytes)))
    }

    pub(crate) fn has_full_blocks(&self) -> bool {
        self.full_blocks > 0
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.shape.block_bytes()
    }

    pub(crate) fn update(&self) -> Update {
        self.update
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, IndexError, MAX_CANDIDATES};
    use crate::reference::{noise, read_at, seed};
    use crate::{Seed, Shape, Signature, Update};

    fn shape() -> Shape {
        Shape::new(4, 8).expect("in bounds")
    }

    fn piece(basis: &[u8], range: std::ops::Range<u64>) -> Signature {
        Signature::new(&seed(), shape(), range, read_at(basis)).expect("can be made")
    }

    fn index(pieces: &[Signature], update: Update) -> Result<Index, IndexError> {
        Index::new(&seed(), shape(), pieces, update)
    }

    /// A signature with sums that nobody has calculated.
    fn made_up(weak: &[u32], strong: impl Fn(u32) -> u64) -> Signature {
        let mut bytes = vec![2, 0];
        crate::varint::put(4 * weak.len() as u64, &mut bytes);
        bytes.extend([4, 8]);
        bytes.extend(weak.iter().flat_map(|weak| weak.to_le_bytes()));
        bytes.extend((0..).take(weak.len()).flat_map(|block| strong(block).to_le_bytes()));
        Signature::decode(&bytes).expect("is well-formed")
    }

    #[test]
    fn pieces_make_a_window_only_if_they_follow_each_other() {
        let basis = b"abcdefghijklmn";
        let check = |ranges: &[std::ops::Range<u64>], expected: Option<IndexError>| {
            let pieces: Vec<_> = ranges.iter().map(|range| piece(basis, range.clone())).collect();
            assert_eq!(index(&pieces, Update::Apart).err(), expected, "{ranges:?}");
        };
        check(&[], None);
        check(&[0..4, 4..8, 8..14], None);
        check(&[4..8, 8..14], None);
        check(&[0..4, 8..12], Some(IndexError::Gap));
        check(&[4..8, 0..4], Some(IndexError::Gap));
        check(&[0..6, 6..10], Some(IndexError::Gap));
    }

    #[test]
    fn another_shape_or_too_many_blocks_are_refused() {
        let other = Shape::new(5, 8).expect("in bounds");
        let made = Index::new(&seed(), other, &[piece(b"abcd", 0..4)], Update::Apart);
        assert_eq!(made.err(), Some(IndexError::Shape));
        let full = vec![0; 4 * super::MAX_BLOCKS + 4];
        let end = full.len() as u64;
        let pieces = [piece(&full, 0..end - 4), piece(&full, end - 4..end)];
        assert_eq!(index(&pieces, Update::Apart).err(), Some(IndexError::TooManyBlocks));
    }

    #[test]
    fn every_block_is_found_by_its_sum() {
        let basis = noise(40_000, 1);
        let index = index(&[piece(&basis, 0..40_000)], Update::Apart).expect("a window");
        for block in basis.chunks(4) {
            assert!(index.is_known(index.weak_key().sum(block)));
        }
    }

    #[test]
    fn of_equal_blocks_one_is_kept_in_place_the_last() {
        let basis = [b'a'; 40];
        let check = |update, expected: u32| {
            let index = index(&[piece(&basis, 0..40)], update).expect("a window");
            let blocks: Vec<_> = index.chained(index.weak[0]).collect();
            assert_eq!(blocks, [expected]);
        };
        check(Update::Apart, 0);
        check(Update::InPlace, 9);
    }

    #[test]
    fn a_made_up_signature_makes_no_long_chains() {
        let one_weak_sum = made_up(&[7; 1000], u64::from);
        let one = index(&[one_weak_sum], Update::Apart).expect("a window");
        assert_eq!(one.chained(7).count(), MAX_CANDIDATES);

        // Different sums that share a chain: what makes the chains is no secret.
        let places = index(&[made_up(&[7; 1000], u64::from)], Update::Apart).expect("a window");
        let wanted = places.place(7);
        let shared: Vec<_> =
            (0..).filter(|&weak| places.place(weak) == wanted).take(1000).collect();
        let index = index(&[made_up(&shared, u64::from)], Update::Apart).expect("a window");
        let found = shared.iter().filter(|&&weak| index.chained(weak).next().is_some()).count();
        assert_eq!(found, MAX_CANDIDATES);
    }

    #[test]
    fn an_index_of_nothing_knows_nothing() {
        let index = Index::new(&Seed::from([0; 32]), shape(), [], Update::Apart).expect("a window");
        assert!(!index.is_known(0));
        assert!(!index.has_full_blocks());
        assert_eq!(index.tail(), None);
    }
}
