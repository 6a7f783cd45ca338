//! The pieces that an image is compared by where its source lies on another host, and their digests. Both
//! sides make them here.

use std::ops::Range;

use delta::image::{self, UnitDigest, Units};
use delta::{Seed, StrongKey, StrongSum, blocks};
use wire::{Grain, PieceHash, Pieces};

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

    /// The digests of the pieces of a range, which begins where one does.
    pub(crate) fn digests(
        &self,
        grain: Grain,
        start: u64,
        bytes: &[u8],
    ) -> impl Iterator<Item = PieceDigest> {
        let starts = (start..).step_by(bytes_of(grain));
        let pieces = bytes.chunks(bytes_of(grain)).zip(starts);
        pieces.map(move |(piece, start)| self.digest(grain, start, piece))
    }

    fn digest(&self, grain: Grain, start: u64, bytes: &[u8]) -> PieceDigest {
        if blocks::is_zero(bytes) {
            return None;
        }
        let mut digest = UnitDigest::default();
        match (&self.key, grain) {
            (Some(key), _) => digest[..size_of::<StrongSum>()].copy_from_slice(&key.sum(bytes)),
            (None, Grain::Unit) => {
                let units = units(self.image_bytes);
                let mut digesting = units.begin(units.number_at(start));
                digesting.update(bytes);
                digest = digesting.finish();
            }
            (None, Grain::Part | Grain::Block) => digest = image::digest_of_piece(start, bytes),
        }
        digest[self.pieces(grain).digest_bytes()..].fill(0);
        Some(digest)
    }
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
    use wire::DeltaSeed;

    use super::*;

    #[test]
    fn digests_are_of_pieces_and_of_zeros_there_are_none() {
        let mut bytes = vec![7; 10_000];
        bytes[4096..8192].fill(0);
        let digester = Digester::new(1 << 30, PieceHash::Blake3);
        let told: Vec<_> = digester.digests(Grain::Block, 65_536, &bytes).collect();
        let [Some(first), None, Some(last)] = told[..] else { panic!("{told:?}") };
        assert_eq!(first[..8], image::digest_of_piece(65_536, &bytes[..4096])[..8]);
        assert_eq!(last[..8], image::digest_of_piece(65_536 + 8192, &bytes[8192..])[..8]);
        assert_eq!((first[8..].iter().max(), first == last), (Some(&0), false));
        let only = |hash| Digester::new(10_000, hash).digests(Grain::Unit, 0, &bytes).next();
        assert_eq!(only(PieceHash::Blake3), Some(Some(*blake3::hash(&bytes).as_bytes())));
        let seeded = |seed| only(PieceHash::Xxh3(DeltaSeed([seed; 32])));
        assert!(seeded(1) != seeded(2) && seeded(1) == seeded(1));
        let Some(Some(digest)) = seeded(1) else { panic!("it is not zeros") };
        assert_eq!((digest[16..].iter().max(), digest[..16] == [0; 16]), (Some(&0), false));
    }

    #[test]
    fn what_is_cut_and_joined_is_what_it_was() {
        let pieces: Vec<_> = cut(&(10..35), 10).collect();
        assert_eq!(pieces, [10..20, 20..30, 30..35]);
        assert_eq!(joined(pieces.into_iter().chain(std::iter::once(40..41))), [10..35, 40..41]);
        assert_eq!(cut(&(5..5), 10).next(), None);
    }
}
