//! The sums of a piece of the basis, and their form on the wire.
//!
//! ```text
//! version      1 byte, 2
//! start        varint, where the piece begins in the basis, in bytes
//! length       varint, in bytes
//! block        varint, in bytes
//! strong       varint, in bytes
//! weak sums    4 bytes each, little-endian, in the order of blocks
//! strong sums  `strong` bytes each, in the order of blocks
//! ```
//!
//! All blocks but the last are `block` bytes long; how many there are follows from the lengths, so
//! that no count can contradict them.

use std::io;
use std::ops::Range;

use crate::rolling::{WeakKey, sent};
use crate::seed::Seed;
use crate::shape::{MAX_BLOCKS, MAX_STRONG_BYTES, Shape, ShapeError};
use crate::strong::StrongKey;
use crate::varint;

const VERSION: u8 = 2;

/// How many bytes of the basis are read at once, or a block if that is longer.
const READ_BYTES: usize = 256 << 10;

const WEAK_BYTES: usize = size_of::<u32>();

/// The sums of a piece of the basis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    shape: Shape,
    range: Range<u64>,
    weak: Vec<u32>,
    /// The sums one behind the other.
    strong: Vec<u8>,
}

/// Bytes that are no signature, or a signature that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Another version of the form.
    #[error("delta: signature of version {0}, only {VERSION} is known")]
    Version(u8),
    /// The bytes end within the lengths, or a length is not written as it should be.
    #[error("delta: signature without proper lengths")]
    Lengths,
    /// A length that no shape has.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Too large a piece.
    #[error("delta: signature of {0} blocks, {MAX_BLOCKS} are the most")]
    TooManyBlocks(u64),
    /// The piece would end behind the end of all files.
    #[error("delta: signature of bytes that no file has")]
    Range,
    /// There are more or fewer sums than blocks.
    #[error("delta: signature with {found} bytes of sums, not {expected}")]
    Sums {
        /// As the lengths say.
        expected: usize,
        /// As there are.
        found: usize,
    },
    /// The basis could not be read.
    #[error("delta: read basis: {0}")]
    Read(#[source] io::Error),
}

impl Signature {
    /// The signature of the bytes `range` of the basis. `read_at` fills the buffer with what is at
    /// the offset, or fails.
    pub fn new(
        seed: &Seed,
        shape: Shape,
        range: Range<u64>,
        mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> Result<Self, SignatureError> {
        let blocks = count_blocks(shape, &range)?;
        let (weak_key, strong_key) = (WeakKey::new(seed), StrongKey::new(seed));
        let mut weak = Vec::with_capacity(blocks);
        let mut strong = Vec::with_capacity(blocks * shape.strong_bytes());
        let step = READ_BYTES.max(shape.block_bytes()) / shape.block_bytes() * shape.block_bytes();
        let mut buffer = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).map_or(step, |left| left.min(step));
            buffer.resize(length, 0);
            read_at(at, &mut buffer).map_err(SignatureError::Read)?;
            for block in buffer.chunks(shape.block_bytes()) {
                weak.push(sent(weak_key.sum(block)));
                strong.extend_from_slice(&strong_key.sum(block)[..shape.strong_bytes()]);
            }
            at += length as u64;
        }
        Ok(Self { shape, range, weak, strong })
    }

    /// Appends the signature to bytes for the wire.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        varint::put(self.range.start, bytes);
        varint::put(self.range.end - self.range.start, bytes);
        varint::put(self.shape.block_bytes() as u64, bytes);
        varint::put(self.shape.strong_bytes() as u64, bytes);
        for weak in &self.weak {
            bytes.extend_from_slice(&weak.to_le_bytes());
        }
        bytes.extend_from_slice(&self.strong);
    }

    /// Reads a signature, which must take up all of the bytes. Total: no bytes make it panic, and no
    /// more memory is taken than there are bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, SignatureError> {
        let (&version, mut rest) = bytes.split_first().ok_or(SignatureError::Lengths)?;
        if version != VERSION {
            return Err(SignatureError::Version(version));
        }
        let mut take = || varint::take(&mut rest).ok_or(SignatureError::Lengths);
        let (start, length, block, strong) = (take()?, take()?, take()?, take()?);
        let shape = Shape::new(block, strong)?;
        let range = start..start.checked_add(length).ok_or(SignatureError::Range)?;
        let blocks = count_blocks(shape, &range)?;
        let expected = blocks * (WEAK_BYTES + shape.strong_bytes());
        if rest.len() != expected {
            return Err(SignatureError::Sums { expected, found: rest.len() });
        }
        let (weak, strong) = rest.split_at(blocks * WEAK_BYTES);
        let (weak, _) = weak.as_chunks::<WEAK_BYTES>();
        let weak = weak.iter().map(|&sum| u32::from_le_bytes(sum)).collect();
        Ok(Self { shape, range, weak, strong: strong.to_vec() })
    }

    /// The most bytes that a signature takes on the wire: what may be read before it is looked at.
    pub const MAX_BYTES: usize =
        1 + 4 * varint::MAX_BYTES + MAX_BLOCKS * (WEAK_BYTES + MAX_STRONG_BYTES);

    /// How long blocks and sums are.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The bytes of the basis that this is the signature of.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The weak sums of all blocks, in order.
    pub(crate) fn weak(&self) -> &[u32] {
        &self.weak
    }

    /// The strong sums of all blocks, one behind the other.
    pub(crate) fn strong(&self) -> &[u8] {
        &self.strong
    }
}

fn count_blocks(shape: Shape, range: &Range<u64>) -> Result<usize, SignatureError> {
    let length = range.end.checked_sub(range.start).ok_or(SignatureError::Range)?;
    let blocks = length.div_ceil(shape.block_bytes() as u64);
    let count = usize::try_from(blocks).ok().filter(|&count| count <= MAX_BLOCKS);
    count.ok_or(SignatureError::TooManyBlocks(blocks))
}

#[cfg(test)]
mod tests;
