//! Images: files and block devices of which only what differs is wanted. They are compared by digests of
//! several grains, coarse ones first, and read block by block.

use model::{Metadata, Timestamp};

use crate::bounded::{BlockMap, Digests, List, Text};
use crate::codec::{Codec, Malformed, Reader, choice, record};
use crate::limits::{self, DIGEST_SPANS, DIGESTS, GROUNDS, MOUNT_POINT_BYTES};
use crate::request::{DeltaSeed, Span};
use crate::response::ContentSum;
use crate::seen::file_offset;

/// What is told apart in what is read of an image: of zeros only that they are zeros, in bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// How much of an image has one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// A unit, with all of its digest: the hash of the image can be made of these.
    Unit,
    /// A part of a unit that differs.
    Part,
    /// A block of such a part.
    Block,
}

choice!(Grain, "grain": 0 => Unit, 1 => Part, 2 => Block);

impl Grain {
    /// How much has one digest: a power of two. The last of an image may have less.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Unit => 4 << 20,
            Self::Part => 64 << 10,
            Self::Block => BLOCK_BYTES,
        }
    }

    /// How many digests spans have; `None` if that is more than one response may have.
    pub fn count_in(self, spans: &[Span]) -> Option<u64> {
        count_in(spans, self.bytes()).filter(|count| *count <= DIGESTS as u64)
    }
}

/// By what pieces are digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceHash {
    /// BLAKE3: the hash of the image can be made of what units have.
    Blake3,
    /// XXH3 of 128 bits with a secret that is made of this.
    Xxh3(DeltaSeed),
}

choice!(PieceHash, "hash of pieces": 0 => Blake3, 1 => Xxh3(seed));

/// How an image is cut and digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// How much has one digest.
    pub grain: Grain,
    /// By what.
    pub hash: PieceHash,
    /// How long the image is taken to be.
    pub image_bytes: u64,
}

record!(Pieces { grain, hash, image_bytes });

impl Pieces {
    /// How much of a digest is told. A unit is made of what differs and compared by all of its digest, so
    /// that a shorter one below it may deceive, and costs only time.
    pub fn digest_bytes(&self) -> usize {
        match (self.grain, self.hash) {
            (Grain::Unit, PieceHash::Blake3) => 32,
            (Grain::Unit, PieceHash::Xxh3(_)) | (Grain::Part, _) => 16,
            (Grain::Block, _) => 8,
        }
    }
}

/// How an image is cut where its content says, and what the sums of its chunks depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Random, and drawn anew for each job.
    pub seed: DeltaSeed,
    /// How long the longer one is of the image and of what the requester has: chunks are longer then.
    pub longest_bytes: u64,
}

record!(Cut { seed, longest_bytes });

/// How many pieces of a length spans have, each begun with anew.
fn count_in(spans: &[Span], piece_bytes: u64) -> Option<u64> {
    let mut counts = spans.iter().map(|span| span.bytes().div_ceil(piece_bytes));
    counts.try_fold(0_u64, u64::checked_add)
}

/// Parts of a file that are asked for together.
pub type Spans = List<Span, DIGEST_SPANS>;

/// How many bytes spans have together.
pub(crate) fn bytes_of(spans: &[Span]) -> Option<u64> {
    spans.iter().map(|span| span.bytes()).try_fold(0_u64, u64::checked_add)
}

/// How many blocks spans have, each begun with anew.
pub(crate) fn blocks_of(spans: &[Span]) -> Option<u64> {
    count_in(spans, BLOCK_BYTES)
}

/// What is told of pieces that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestRun {
    /// So many have nothing but zeros.
    Zeros(u64),
    /// Their digests, one behind the other.
    Digests(Digests),
}

choice!(DigestRun, "run of digests": 0 => Zeros(count), 1 => Digests(digests));

/// Of all that was asked for, in its order.
pub type DigestRuns = List<DigestRun, DIGESTS>;

/// Blocks that were read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksTold {
    /// A bit for each block of the spans, the lowest of a byte first. What has none is zeros; the others
    /// follow, one behind the other.
    pub filled: BlockMap,
    /// Of `filled` and the bytes of all that follow.
    pub sum: ContentSum,
}

record!(BlocksTold { filled, sum });

impl BlocksTold {
    /// How many bytes follow for these spans; `None` if the bits are not those of their blocks.
    pub fn bytes_in(&self, spans: &[Span]) -> Option<u64> {
        let bits = self.filled.as_bytes();
        let count = blocks_of(spans)?;
        let is_as_long = bits.len() as u64 == count.div_ceil(8);
        let beyond = bits.last().is_some_and(|last| count % 8 > 0 && last >> (count % 8) > 0);
        if !is_as_long || beyond {
            return None;
        }
        let mut number = 0;
        let mut bytes = 0;
        for span in spans {
            let (blocks, length) = (span.bytes().div_ceil(BLOCK_BYTES), span.bytes());
            let filled = (0..blocks).filter(|block| is_filled(bits, number + block));
            bytes += filled.map(|it| BLOCK_BYTES.min(length - it * BLOCK_BYTES)).sum::<u64>();
            number += blocks;
        }
        Some(bytes)
    }

    /// Whether a block is told.
    pub fn is_filled(&self, number: u64) -> bool {
        is_filled(self.filled.as_bytes(), number)
    }
}

fn is_filled(bits: &[u8], number: u64) -> bool {
    let byte = usize::try_from(number / 8).ok().and_then(|at| bits.get(at));
    byte.is_some_and(|byte| byte >> (number % 8) & 1 == 1)
}

/// What bytes are stored in, as the responder's kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are numbers that the kernel gives")]
pub enum Ground {
    /// A block device.
    Device { major: u32, minor: u32 },
    /// A file.
    File { dev: u64, ino: u64 },
}

choice!(Ground, "ground": 0 => Device { major, minor }, 1 => File { dev, ino });

/// What an image is that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedImage {
    /// What it was when it was opened.
    pub metadata: Metadata,
    /// When anything of it was changed last, its metadata, too.
    pub changed_at: Timestamp,
    /// How long it is; a device says nothing of that in its metadata.
    pub bytes: u64,
    /// Whether it has a head that must be moved.
    pub is_rotational: bool,
    /// Where it is mounted so that it can be written to, for the user to read.
    pub mounted_at: Option<Text<MOUNT_POINT_BYTES>>,
    /// The kernel that runs there, if it is known: grounds of one kernel can be compared.
    pub kernel: Option<[u8; 32]>,
    /// What it is itself.
    pub ground: Ground,
    /// What its bytes are stored in, it among them.
    pub grounds: List<Ground, GROUNDS>,
    /// What it shows, if it is a loop device.
    pub shown: Option<Ground>,
}

impl Codec for OpenedImage {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { metadata, changed_at, bytes, is_rotational, mounted_at, kernel, .. } = self;
        let Self { ground, grounds, shown, .. } = self;
        metadata.write(out);
        changed_at.write(out);
        bytes.write(out);
        is_rotational.write(out);
        mounted_at.write(out);
        kernel.write(out);
        ground.write(out);
        grounds.write(out);
        shown.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            metadata: Codec::read(reader)?,
            changed_at: Codec::read(reader)?,
            bytes: file_offset(Codec::read(reader)?)?,
            is_rotational: Codec::read(reader)?,
            mounted_at: Codec::read(reader)?,
            kernel: Codec::read(reader)?,
            ground: Codec::read(reader)?,
            grounds: Codec::read(reader)?,
            shown: Codec::read(reader)?,
        })
    }
}

/// The room that this takes at most.
pub(crate) const OPENED_IMAGE_BYTES: u32 = 16 * 1024;

/// The room that the digests of spans take at most, in bytes; `None` if they are too many.
pub(crate) fn digests_room(spans: &[Span], pieces: &Pieces) -> Option<u32> {
    /// What each run has beyond its digests.
    const RUN_BYTES: u64 = 4;
    let count = pieces.grain.count_in(spans)?;
    u32::try_from(count * (pieces.digest_bytes() as u64 + RUN_BYTES)).ok()
}

/// The room that the blocks of spans take at most, in bytes; `None` if they are too many.
pub(crate) fn blocks_room(spans: &[Span]) -> Option<u32> {
    let bytes = bytes_of(spans).filter(|bytes| *bytes <= limits::READ_BYTES.into())?;
    u32::try_from(bytes + blocks_of(spans)?.div_ceil(8)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bits: &[u8]) -> BlocksTold {
        BlocksTold { filled: BlockMap::new(bits).unwrap(), sum: ContentSum::default() }
    }

    #[test]
    fn blocks_are_as_long_as_their_spans_leave_them() {
        let span = |start, end| Span::new(start..end).unwrap();
        let spans = [span(0, 4097), span(10_000, 10_100), span(1 << 40, (1 << 40) + 8192)];
        for (bits, bytes) in [
            (&[0b0_0000][..], Some(0)),
            (&[0b0_0001], Some(4096)),
            (&[0b0_0010], Some(1)),
            (&[0b0_0110], Some(101)),
            (&[0b1_1111], Some(4096 + 101 + 8192)),
            (&[0b10_0000], None),
            (&[], None),
            (&[0, 0], None),
        ] {
            assert_eq!(told(bits).bytes_in(&spans), bytes, "{bits:?}");
        }
    }

    #[test]
    fn more_than_a_response_may_have_is_not_counted() {
        let long = Span::new(0..i64::MAX.unsigned_abs()).unwrap();
        assert_eq!(Grain::Block.count_in(&[long]), None);
        assert_eq!(Grain::Block.count_in(&[long, long, long]), None);
        assert_eq!(blocks_room(&[long, long, long]), None);
        let units = Span::new(0..DIGESTS as u64 * Grain::Unit.bytes()).unwrap();
        assert_eq!(Grain::Unit.count_in(&[units]), Some(DIGESTS as u64));
        assert_eq!(Grain::Unit.count_in(&[units, Span::new(0..1).unwrap()]), None);
    }
}
