//! Content-defined chunks: a file is cut where its content says, so that bytes which were inserted, removed
//! or moved change the chunks they are in and no others. W. Xia et al., "The Design of Fast
//! Content-Defined Chunking for Data Deduplication Based Storage Systems" (FastCDC), IEEE TPDS 31(9), 2020.
//!
//! 1. `Bounds`: how long chunks are, by the length of what is cut.
//! 2. `ChunkSumming`: bytes in, the sums of their chunks out; and these as bytes. Both sides do this.
//! 3. `moved`: what of a new image an old one has elsewhere.
//!
//! Where is cut, and the sums, depend on the [`Seed`] of the transfer. A sum is 16 bytes of BLAKE3 with a key
//! of its own, and what is made by it is compared by another digest all the same. What is held is bounded by
//! the length of what is cut, whatever the peer says.

use fastcdc::v2020::{Normalization, cut_gear, get_gear_with_seed, select_masks};

use crate::Seed;
use crate::blocks::is_zero;
use crate::varint::{put, take};

/// The average length of chunks: their sums are less than a three thousandth of the file.
const AVERAGE_BYTES: usize = 64 << 10;

/// Of longer files nothing is cut: both are read for it as a whole once more.
pub const LONGEST_BYTES: u64 = 256 << 30;

/// Of what has more chunks than this on average, these are longer.
const CHUNKS: u64 = 1 << 19;

const SUM_BYTES: usize = 16;

/// What stands for the sum of zeros: they are nowhere in particular.
pub(crate) const ZEROS: ChunkSum = [0; SUM_BYTES];

/// The sum of a chunk.
pub type ChunkSum = [u8; SUM_BYTES];

/// How long chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    average_bytes: usize,
}

impl Bounds {
    /// For what has so many bytes: both sides know that number.
    pub fn of(bytes: u64) -> Self {
        let mut average_bytes = AVERAGE_BYTES;
        while bytes.min(LONGEST_BYTES) / average_bytes as u64 > CHUNKS {
            average_bytes *= 2;
        }
        Self { average_bytes }
    }

    /// Only the last chunk of what is cut at once is shorter.
    pub fn least_bytes(&self) -> usize {
        self.average_bytes / 4
    }

    /// No chunk is longer.
    pub fn most_bytes(&self) -> usize {
        self.average_bytes * 4
    }

    /// What is cut at once, and told by one answer: it has no more than 4,096 chunks.
    pub fn section_bytes(&self) -> u64 {
        self.least_bytes() as u64 * 4096
    }
}

/// Bytes that are no sums of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A number or a sum is cut off, or a number not written as it should be.
    #[error("delta: chunk without proper numbers")]
    Number,
    /// A chunk is longer or shorter than chunks are.
    #[error("delta: chunk of {0} bytes")]
    Length(u64),
    /// They are not as long together as what was cut.
    #[error("delta: chunks of {found} bytes where the part has {expected}")]
    Total {
        /// As that is.
        expected: u64,
        /// As they are, as far as they were read.
        found: u64,
    },
}

/// Cuts bytes as they come. Holds as many as the longest chunk has, twice.
struct Cutter {
    bounds: Bounds,
    masks: (u64, u64),
    /// Random numbers by byte, and twice these.
    gear: (Box<[u64]>, Box<[u64]>),
    key: [u8; 32],
    held: Vec<u8>,
}

impl Cutter {
    fn new(seed: &Seed, bounds: Bounds) -> Self {
        let secret = u64::from_le_bytes(seed.bytes("lanesync 2026 delta chunk bounds"));
        let (gear, twice) = get_gear_with_seed(secret);
        Self {
            bounds,
            masks: select_masks(bounds.average_bytes, Normalization::Level1),
            gear: (gear.into(), twice.into()),
            key: seed.key("lanesync 2026 delta chunk sum"),
            held: Vec::new(),
        }
    }

    /// Takes the next bytes; gives each chunk that ends in them, with its sum.
    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(ChunkSum, &[u8])) {
        let most = self.bounds.most_bytes();
        for part in bytes.chunks(most) {
            self.held.extend_from_slice(part);
            let mut start = 0;
            while self.held.len() - start >= most {
                start = self.chunk(start, &mut each);
            }
            self.held.drain(..start);
        }
    }

    fn finish(self, mut each: impl FnMut(ChunkSum, &[u8])) {
        let mut start = 0;
        while start < self.held.len() {
            start = self.chunk(start, &mut each);
        }
    }

    /// Gives the chunk that begins at a place of what is held; says where it ends.
    fn chunk(&self, start: usize, each: &mut impl FnMut(ChunkSum, &[u8])) -> usize {
        let (left, (strict, lax)) = (&self.held[start..], self.masks);
        let [least, average, most] =
            [self.bounds.least_bytes(), self.bounds.average_bytes, self.bounds.most_bytes()];
        let (gear, twice) = &self.gear;
        let (masks, masks_twice) = ((strict, lax), (strict << 1, lax << 1));
        let (_, length) = cut_gear(
            left,
            least,
            average,
            most,
            masks.0,
            masks.1,
            masks_twice.0,
            masks_twice.1,
            gear,
            twice,
        );
        let chunk = &left[..length];
        let sum = blake3::keyed_hash(&self.key, chunk);
        let sum = *sum.as_bytes().first_chunk().expect("it has more");
        each(if is_zero(chunk) { ZEROS } else { sum }, chunk);
        start + length
    }
}

/// The chunks of a part of a file, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSums {
    bounds: Bounds,
    chunks: Vec<(u32, ChunkSum)>,
}

impl ChunkSums {
    /// The most bytes that [`encode`](Self::encode) gives for so many that are cut.
    pub fn most_encoded_bytes(bounds: Bounds, bytes: u64) -> u64 {
        let count = bytes.div_ceil(bounds.least_bytes() as u64);
        // A length takes four bytes: 28 bits.
        count * (4 + SUM_BYTES as u64)
    }

    /// Appends them as bytes: for each a varint, its length, and its sum.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        for (length, sum) in &self.chunks {
            put((*length).into(), bytes);
            bytes.extend_from_slice(sum);
        }
    }

    /// Where each begins, how long it is, and its sum, given where the first begins.
    pub fn iter(&self, start: u64) -> impl Iterator<Item = (u64, u32, &ChunkSum)> {
        let mut next = start;
        self.chunks.iter().map(move |(length, sum)| {
            let start = next;
            next += u64::from(*length);
            (start, *length, sum)
        })
    }

    /// Reads what [`encode`](Self::encode) has made of a part of so many bytes.
    pub fn decode(bounds: Bounds, part_bytes: u64, mut bytes: &[u8]) -> Result<Self, ChunkError> {
        let (mut chunks, mut found) = (Vec::new(), 0);
        while !bytes.is_empty() {
            let length = take(&mut bytes).ok_or(ChunkError::Number)?;
            let (sum, rest) = bytes.split_first_chunk().ok_or(ChunkError::Number)?;
            bytes = rest;
            let is_last = rest.is_empty();
            let least = if is_last { 1 } else { bounds.least_bytes() as u64 };
            let fits = (least..=bounds.most_bytes() as u64).contains(&length);
            let short = u32::try_from(length).ok().filter(|_| fits);
            found += length.min(part_bytes.saturating_add(1));
            if found > part_bytes {
                return Err(ChunkError::Total { expected: part_bytes, found });
            }
            chunks.push((short.ok_or(ChunkError::Length(length))?, *sum));
        }
        if found != part_bytes {
            return Err(ChunkError::Total { expected: part_bytes, found });
        }
        Ok(Self { bounds, chunks })
    }
}

/// Makes the sums of a part of a file whose bytes come one after the other.
pub struct ChunkSumming {
    cutter: Cutter,
    chunks: Vec<(u32, ChunkSum)>,
}

impl ChunkSumming {
    /// For chunks that are so long.
    pub fn new(seed: &Seed, bounds: Bounds) -> Self {
        Self { cutter: Cutter::new(seed, bounds), chunks: Vec::new() }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let chunks = &mut self.chunks;
        self.cutter.push(bytes, |sum, chunk| chunks.push((length_of(chunk), sum)));
    }

    /// The sums, when all bytes were taken.
    pub fn finish(self) -> ChunkSums {
        let (bounds, mut chunks) = (self.cutter.bounds, self.chunks);
        self.cutter.finish(|sum, chunk| chunks.push((length_of(chunk), sum)));
        ChunkSums { bounds, chunks }
    }
}

fn length_of(chunk: &[u8]) -> u32 {
    u32::try_from(chunk.len()).expect("no chunk is longer than 16 MiB")
}

#[cfg(test)]
mod tests;
