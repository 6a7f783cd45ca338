//! The pieces that an image is compared by where its source lies on another host, and their digests. Both
//! sides make them here.

use std::ops::Range;

use delta::image::{self, UnitDigest, Units};
use delta::{Seed, StrongKey, StrongSum, StrongSumming, blocks};
use wire::{Grain, PieceHash, Pieces};

use super::unit::length_of;

/// What is read at once to be digested: little enough that it is still in the cache of the core.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// The digest of a piece, as much of it as is told; `None` of zeros.
pub(crate) type PieceDigest = Option<UnitDigest>;

/// An image of so many bytes, cut into units as they are compared between hosts.
pub(crate) fn units(image_bytes: u64) -> Units {
    Units::of(image_bytes, Grain::Unit.bytes())
}

/// How much has one digest.
pub(crate) fn bytes_of(grain: Grain) -> usize {
    usize::try_from(grain.bytes()).expect("a unit is short")
}

/// How the pieces of an image are digested.
#[derive(Clone)]
pub(crate) struct Digester {
    image_bytes: u64,
    hash: PieceHash,
    /// Of XXH3.
    key: Option<StrongKey>,
}

impl Digester {
    pub(crate) fn new(image_bytes: u64, hash: PieceHash) -> Self {
        let key = match hash {
            PieceHash::Blake3 => None,
            PieceHash::Xxh3(seed) => Some(StrongKey::new(&Seed::from(seed.0))),
        };
        Self { image_bytes, hash, key }
    }

    /// How pieces of a grain are asked for.
    pub(crate) fn pieces(&self, grain: Grain) -> Pieces {
        Pieces { grain, hash: self.hash, image_bytes: self.image_bytes }
    }

    /// Whether the hash of the image can be made of the digests of units.
    pub(crate) fn makes_root(&self) -> bool {
        self.key.is_none()
    }

    /// The digests of the pieces of a range, which begins where one does: `read` is to fill a buffer with
    /// what lies in a part of it.
    pub(crate) fn digests<E>(
        &self,
        grain: Grain,
        range: &Range<u64>,
        mut read: impl FnMut(&Range<u64>, &mut [u8]) -> Result<(), E>,
    ) -> Result<Vec<PieceDigest>, E> {
        let (mut digests, mut buffer) = (Vec::new(), vec![0; READ_BYTES.min(length_of(range))]);
        for unit in cut(range, Grain::Unit.bytes()) {
            let mut digesting = UnitDigesting::new(self, unit.start);
            for part in cut(&unit, READ_BYTES as u64) {
                let bytes = &mut buffer[..length_of(&part)];
                read(&part, bytes)?;
                if grain == Grain::Unit {
                    digesting.update(bytes);
                } else {
                    let starts = (part.start..).step_by(bytes_of(grain));
                    let pieces = bytes.chunks(bytes_of(grain)).zip(starts);
                    digests.extend(pieces.map(|(piece, start)| self.digest(grain, start, piece)));
                }
            }
            if grain == Grain::Unit {
                digests.push(digesting.finish());
            }
        }
        Ok(digests)
    }

    /// The digest of a unit that is in memory.
    pub(crate) fn digest_of_unit(&self, start: u64, bytes: &[u8]) -> PieceDigest {
        let mut digesting = UnitDigesting::new(self, start);
        digesting.update(bytes);
        digesting.finish()
    }

    /// Begins the sum of a unit, which begins with so many zeros.
    fn begin(&self, start: u64, zeros: usize) -> Sum<'_> {
        let units = units(self.image_bytes);
        let mut sum = match &self.key {
            Some(key) => Sum::Xxh3(Box::new(key.begin())),
            None => Sum::Blake3(Box::new(units.begin(units.number_at(start)))),
        };
        let (mut left, zeros) = (zeros, [0; 4096]);
        while left > 0 {
            let some = left.min(zeros.len());
            sum.update(&zeros[..some]);
            left -= some;
        }
        sum
    }

    /// The digest of a part or a block that is in memory.
    pub(crate) fn digest(&self, grain: Grain, start: u64, bytes: &[u8]) -> PieceDigest {
        if blocks::is_zero(bytes) {
            return None;
        }
        let mut digest = match &self.key {
            Some(key) => widened(key.sum(bytes)),
            None => image::digest_of_piece(start, bytes),
        };
        digest[self.pieces(grain).digest_bytes()..].fill(0);
        Some(digest)
    }
}

/// The digest of a unit whose bytes come one after the other.
struct UnitDigesting<'a> {
    digester: &'a Digester,
    start: u64,
    /// How many bytes have come while all of them were zeros.
    zeros: usize,
    /// Of what has come, from the first that is no zero on.
    sum: Option<Sum<'a>>,
}

enum Sum<'a> {
    Blake3(Box<image::Digesting>),
    Xxh3(Box<StrongSumming<'a>>),
}

impl Sum<'_> {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(digesting) => digesting.update(bytes),
            Self::Xxh3(summing) => summing.update(bytes),
        }
    }
}

impl<'a> UnitDigesting<'a> {
    fn new(digester: &'a Digester, start: u64) -> Self {
        Self { digester, start, zeros: 0, sum: None }
    }

    fn update(&mut self, bytes: &[u8]) {
        if self.sum.is_none() && blocks::is_zero(bytes) {
            self.zeros += bytes.len();
            return;
        }
        self.sum.get_or_insert_with(|| self.digester.begin(self.start, self.zeros)).update(bytes);
    }

    fn finish(self) -> PieceDigest {
        self.sum.map(|sum| match sum {
            Sum::Blake3(digesting) => digesting.finish(),
            Sum::Xxh3(summing) => widened(summing.finish()),
        })
    }
}

/// A sum, and zeros.
fn widened(sum: StrongSum) -> UnitDigest {
    let mut digest = UnitDigest::default();
    digest[..sum.len()].copy_from_slice(&sum);
    digest
}

/// Ranges in order, of which those that touch are one.
pub(crate) fn joined(ranges: impl IntoIterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// A range cut into pieces of a length, of which the last may be shorter.
pub(crate) fn cut(
    range: &Range<u64>,
    piece_bytes: u64,
) -> impl Iterator<Item = Range<u64>> + use<> {
    let (mut start, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        let piece = start..end.min(start + piece_bytes);
        start = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use wire::DeltaSeed;

    use super::*;

    #[test]
    fn digests_are_of_pieces_and_of_zeros_there_are_none() {
        let mut bytes = vec![7; 10_000];
        bytes[4096..8192].fill(0);
        let digester = Digester::new(1 << 30, PieceHash::Blake3);
        let told = |digester: &Digester, grain, start: u64| {
            let read = |part: &Range<u64>, buffer: &mut [u8]| -> Result<(), Infallible> {
                let at = length_of(&(start..part.start));
                buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
                Ok(())
            };
            digester.digests(grain, &(start..start + bytes.len() as u64), read).expect("no fault")
        };
        let blocks = told(&digester, Grain::Block, 65_536);
        let [Some(first), None, Some(last)] = blocks[..] else { panic!("{blocks:?}") };
        assert_eq!(first[..8], image::digest_of_piece(65_536, &bytes[..4096])[..8]);
        assert_eq!(last[..8], image::digest_of_piece(65_536 + 8192, &bytes[8192..])[..8]);
        assert_eq!((first[8..].iter().max(), first == last), (Some(&0), false));
        let only = |hash| told(&Digester::new(10_000, hash), Grain::Unit, 0)[0];
        assert_eq!(only(PieceHash::Blake3), Some(*blake3::hash(&bytes).as_bytes()));
        let seeded = |seed| only(PieceHash::Xxh3(DeltaSeed([seed; 32])));
        assert!(seeded(1) != seeded(2) && seeded(1) == seeded(1));
        let Some(digest) = seeded(1) else { panic!("it is not zeros") };
        assert_eq!((digest[16..].iter().max(), digest[..16] == [0; 16]), (Some(&0), false));
    }

    proptest! {
        /// A unit is read in parts, and may begin with zeros: it has the digest of all of its bytes.
        #[test]
        fn a_unit_read_in_parts_has_the_digest_of_all_of_it(
            zeros in 0..=(READ_BYTES * 2),
            more in 0..READ_BYTES,
            is_seeded in any::<bool>(),
        ) {
            let hash = if is_seeded { PieceHash::Xxh3(DeltaSeed([1; 32])) } else { PieceHash::Blake3 };
            let unit: Vec<u8> = std::iter::repeat_n(0, zeros)
                .chain((1..=250).cycle().take(more))
                .collect();
            let (start, length) = (Grain::Unit.bytes(), unit.len() as u64);
            let digester = Digester::new(start + length, hash);
            let read = |part: &Range<u64>, buffer: &mut [u8]| -> Result<(), Infallible> {
                buffer.copy_from_slice(&unit[length_of(&(start..part.start))..][..buffer.len()]);
                Ok(())
            };
            let told = digester.digests(Grain::Unit, &(start..start + length), read).expect("no fault");
            let expected = (more > 0).then(|| match &digester.key {
                Some(key) => widened(key.sum(&unit)),
                None => image::digest_of_piece(start, &unit),
            });
            prop_assert_eq!(told, if length == 0 { vec![] } else { vec![expected] });
            prop_assert_eq!(digester.digest_of_unit(start, &unit), expected);
        }
    }

    #[test]
    fn what_is_cut_and_joined_is_what_it_was() {
        let pieces: Vec<_> = cut(&(10..35), 10).collect();
        assert_eq!(pieces, [10..20, 20..30, 30..35]);
        assert_eq!(joined(pieces.into_iter().chain(std::iter::once(40..41))), [10..35, 40..41]);
        assert_eq!(cut(&(5..5), 10).next(), None);
    }
}
