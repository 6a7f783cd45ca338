//! BLAKE3 of an image, made of its parts by many workers in any order.
//!
//! BLAKE3 is a tree: of a stretch that is as long as one of its subtrees and begins where one does, the
//! chaining value can be made without the rest, and the hash of the whole is made of these (J. O'Connor
//! et al., "BLAKE3: one function, fast everywhere", 2020, sections 2.4 and 2.5). So what is printed for an
//! image is what `b3sum` prints.

use std::collections::HashMap;
use std::ops::Range;

use blake3::hazmat::{self, HasherExt, Mode};
use blake3::{Hash, Hasher};

/// What is digested at once where both sides are compared in memory: a subtree of BLAKE3, long enough that it
/// runs at its full speed, short enough to stay in the cache of a core beside what it is compared with.
pub const UNIT_BYTES: usize = 1 << 20;

/// The digest of a unit: the chaining value of its subtree, or the hash of the image where that has no
/// other unit.
pub type UnitDigest = [u8; 32];

/// How an image is cut into units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    image_bytes: u64,
    unit_bytes: u64,
}

impl Units {
    /// The units of an image of so many bytes. All are of `unit_bytes`, a power of two from 1 KiB on, but the
    /// last, which has the rest; an empty image has one.
    pub fn of(image_bytes: u64, unit_bytes: u64) -> Self {
        Self { image_bytes, unit_bytes }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.image_bytes.div_ceil(self.unit_bytes).max(1)
    }

    /// How long each is, but for the last.
    pub fn unit_bytes(&self) -> u64 {
        self.unit_bytes
    }

    /// Which unit a place is in.
    pub fn number_at(&self, at: u64) -> u64 {
        at / self.unit_bytes
    }

    /// Where a unit lies.
    pub fn range(&self, number: u64) -> Range<u64> {
        let start = number * self.unit_bytes;
        start..self.image_bytes.min(start + self.unit_bytes)
    }

    /// Begins the digest of a unit.
    pub fn begin(&self, number: u64) -> Digesting {
        let (mut hasher, is_only) = (Hasher::new(), self.count() == 1);
        if !is_only {
            hasher.set_input_offset(number * self.unit_bytes);
        }
        Digesting { number, is_only, hasher }
    }
}

/// The digest of a piece of an image, which begins at a multiple of its own length, a power of two from 1 KiB
/// on; only the last of an image may be shorter, and none is empty.
pub fn digest_of_piece(start: u64, bytes: &[u8]) -> UnitDigest {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(start).update(bytes);
    hasher.finalize_non_root()
}

/// A unit whose bytes come one after the other.
#[derive(Clone, Debug)]
pub struct Digesting {
    number: u64,
    is_only: bool,
    hasher: Hasher,
}

impl Digesting {
    /// Which unit it is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The digest, when all bytes of the unit were taken.
    pub fn finish(self) -> UnitDigest {
        if self.is_only {
            return *self.hasher.finalize().as_bytes();
        }
        self.hasher.finalize_non_root()
    }
}

/// The hash of an image, made of the digests of its units as they come. What is held is little: units that
/// lie beside each other become one subtree.
#[derive(Clone, Debug)]
pub struct ImageHash {
    units: Units,
    /// Subtrees by how many units they have, as a power of two, and their place among those of that size.
    subtrees: HashMap<(u32, u64), UnitDigest>,
}

impl ImageHash {
    /// Of nothing yet.
    pub fn new(units: Units) -> Self {
        Self { units, subtrees: HashMap::new() }
    }

    /// Adds the digest of a unit, each once, in any order.
    pub fn add(&mut self, number: u64, digest: UnitDigest) {
        let (mut level, mut place, mut digest) = (0, number, digest);
        // What has all units is no subtree but the root.
        while self.units.count() > 2 << level {
            let Some(beside) = self.subtrees.remove(&(level, place ^ 1)) else { break };
            digest = if place % 2 == 0 { merge(&digest, &beside) } else { merge(&beside, &digest) };
            (level, place) = (level + 1, place / 2);
        }
        self.subtrees.insert((level, place), digest);
    }

    /// The hash; `None` if a unit is missing.
    pub fn finish(self) -> Option<Hash> {
        let mut parts: Vec<_> = self.subtrees.into_iter().collect();
        // By where they begin.
        parts.sort_by_key(|((level, place), _)| place << level);
        let mut end = 0;
        for ((level, place), _) in &parts {
            if place << level != end {
                return None;
            }
            end += 1 << level;
        }
        if end != self.units.count() {
            return None;
        }
        let (_, mut right) = parts.pop()?;
        let Some(((_, left), rest)) = parts.split_last().map(|(last, rest)| (*last, rest)) else {
            return Some(Hash::from_bytes(right));
        };
        // The greater lie to the left: each is the left half of what begins with it.
        let Some((_, first)) = rest.first().copied() else {
            return Some(hazmat::merge_subtrees_root(&left, &right, Mode::Hash));
        };
        right = merge(&left, &right);
        for (_, left) in rest[1..].iter().rev() {
            right = merge(left, &right);
        }
        Some(hazmat::merge_subtrees_root(&first, &right, Mode::Hash))
    }
}

fn merge(left: &UnitDigest, right: &UnitDigest) -> UnitDigest {
    hazmat::merge_subtrees_non_root(left, right, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The hash of an image whose units come in an order.
    fn root(image: &[u8], order: impl FnOnce(&mut Vec<u64>)) -> Option<Hash> {
        let units = Units::of(image.len() as u64, UNIT_BYTES as u64);
        let mut numbers: Vec<u64> = (0..units.count()).collect();
        order(&mut numbers);
        let mut hash = ImageHash::new(units);
        for number in numbers {
            let start = usize::try_from(number).unwrap() * UNIT_BYTES;
            let end = image.len().min(start + UNIT_BYTES);
            let mut digesting = units.begin(number);
            image[start..end].chunks(300_000).for_each(|part| digesting.update(part));
            hash.add(digesting.number(), digesting.finish());
        }
        hash.finish()
    }

    fn image(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| u8::try_from(at * 7 % 251).expect("less than 251")).collect()
    }

    #[test]
    fn it_is_the_hash_of_the_whole_whatever_the_number_of_units() {
        let whole = image(18 * UNIT_BYTES + 1025);
        for units in 0..=18 {
            for beyond in [0, 1, 1025] {
                let image = &whole[..units * UNIT_BYTES + beyond];
                let expected = Some(blake3::hash(image));
                assert_eq!(root(image, |_| ()), expected, "{units} and {beyond}");
                assert_eq!(root(image, |order| order.reverse()), expected, "{units} and {beyond}");
            }
        }
    }

    #[test]
    fn the_digest_of_a_piece_is_that_of_the_unit_it_is() {
        let whole = image(5 * UNIT_BYTES + 3000);
        for unit_bytes in [4096, 65_536, 2 << 20] {
            let units = Units::of(whole.len() as u64, unit_bytes);
            let mut hash = ImageHash::new(units);
            for number in 0..units.count() {
                let Range { start, end } = units.range(number);
                let in_image = |at: u64| usize::try_from(at).unwrap();
                let piece = &whole[in_image(start)..in_image(end)];
                hash.add(number, digest_of_piece(start, piece));
            }
            assert_eq!(hash.finish(), Some(blake3::hash(&whole)), "{unit_bytes}");
        }
    }

    #[test]
    fn units_that_are_missing_make_no_hash() {
        let whole = image(5 * UNIT_BYTES);
        for missing in 0..5 {
            let without = |order: &mut Vec<u64>| {
                order.remove(missing);
            };
            assert_eq!(root(&whole, without), None, "{missing}");
        }
        assert_eq!(root(&[], Vec::clear), None);
    }

    #[test]
    fn what_is_held_is_little() {
        let units = Units::of(1 << 40, UNIT_BYTES as u64);
        let mut hash = ImageHash::new(units);
        for number in 0..units.count() {
            hash.add(number, [0; 32]);
            assert!(hash.subtrees.len() <= 21);
        }
        assert!(hash.finish().is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn of_any_length_and_order_it_is_the_hash_of_the_whole(
            bytes in 0..12 * UNIT_BYTES,
            turns in any::<u64>(),
        ) {
            let image = image(bytes);
            let order = |numbers: &mut Vec<u64>| numbers.sort_by_key(|it| it.wrapping_mul(turns | 1));
            prop_assert_eq!(root(&image, order), Some(blake3::hash(&image)));
        }
    }
}
