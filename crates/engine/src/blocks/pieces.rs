//! The pieces that an image is compared by where its source lies on another host, and their digests. Both
//! sides make them here.

use std::ops::Range;

use delta::blocks;
use delta::image::{self, UnitDigest, Units};
use wire::Grain;

/// The digest of a piece, as much of it as is told; `None` of zeros.
pub(crate) type PieceDigest = Option<UnitDigest>;

/// An image of so many bytes, cut into units as they are compared between hosts.
pub(crate) fn units(image_bytes: u64) -> Units {
    Units::of(image_bytes, Grain::Unit.bytes())
}

/// The digests of the pieces of a range, which begins where one does.
pub(crate) fn digests(
    grain: Grain,
    image_bytes: u64,
    start: u64,
    bytes: &[u8],
) -> impl Iterator<Item = PieceDigest> {
    let starts = (start..).step_by(bytes_of(grain));
    bytes
        .chunks(bytes_of(grain))
        .zip(starts)
        .map(move |(piece, start)| digest(grain, image_bytes, start, piece))
}

/// How much has one digest.
pub(crate) fn bytes_of(grain: Grain) -> usize {
    usize::try_from(grain.bytes()).expect("a unit is short")
}

fn digest(grain: Grain, image_bytes: u64, start: u64, bytes: &[u8]) -> PieceDigest {
    if blocks::is_zero(bytes) {
        return None;
    }
    let mut digest = match grain {
        Grain::Unit => of_unit(image_bytes, start, bytes),
        Grain::Part | Grain::Block => image::digest_of_piece(start, bytes),
    };
    digest[grain.digest_bytes()..].fill(0);
    Some(digest)
}

/// The digest of a unit, of zeros, too.
pub(crate) fn of_unit(image_bytes: u64, start: u64, bytes: &[u8]) -> UnitDigest {
    let units = units(image_bytes);
    let mut digesting = units.begin(units.number_at(start));
    digesting.update(bytes);
    digesting.finish()
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
    use super::*;

    #[test]
    fn digests_are_of_pieces_and_of_zeros_there_are_none() {
        let mut bytes = vec![7; 10_000];
        bytes[4096..8192].fill(0);
        let told: Vec<_> = digests(Grain::Block, 1 << 30, 65_536, &bytes).collect();
        let [Some(first), None, Some(last)] = told[..] else { panic!("{told:?}") };
        assert_eq!(first[..8], image::digest_of_piece(65_536, &bytes[..4096])[..8]);
        assert_eq!(last[..8], image::digest_of_piece(65_536 + 8192, &bytes[8192..])[..8]);
        assert_eq!((first[8..].iter().max(), first == last), (Some(&0), false));
        let [Some(only)] = digests(Grain::Unit, 10_000, 0, &bytes).collect::<Vec<_>>()[..] else {
            panic!("it is one unit")
        };
        assert_eq!(only, *blake3::hash(&bytes).as_bytes());
    }

    #[test]
    fn what_is_cut_and_joined_is_what_it_was() {
        let pieces: Vec<_> = cut(&(10..35), 10).collect();
        assert_eq!(pieces, [10..20, 20..30, 30..35]);
        assert_eq!(joined(pieces.into_iter().chain(std::iter::once(40..41))), [10..35, 40..41]);
        assert_eq!(cut(&(5..5), 10).next(), None);
    }
}
