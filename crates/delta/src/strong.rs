//! The strong sum of a block: XXH3 of 128 bits with a secret of its own for each transfer, of which as much
//! is sent as the bound on false matches asks for. See [`crate::Shape::for_lengths`] for how much that is.
//!
//! It is no cryptographic sum, and need not be: nobody can try blocks against a secret that is drawn
//! when the transfer begins, and who patches compares a hash of what came out. What it must be is fast.
//! Each byte of both files goes through it, in blocks of some hundred bytes, which BLAKE3 takes fifteen
//! times as long for: it is made for long inputs.

use twox_hash::XxHash3_128;
use twox_hash::xxhash3_128::Hasher;

use crate::seed::Seed;

/// As much as XXH3 itself has for what it is not given a secret for.
const SECRET_BYTES: usize = 192;

/// Up to this length XXH3 has ways of its own.
const SHORT_BYTES: usize = 240;

/// The least that XXH3 takes is 136 bytes.
const LONG_ENOUGH: &str = "the secret is as long as XXH3's own";

/// The secret of strong sums. Who does not know it cannot make two blocks whose sums begin alike, so a few
/// bytes of a sum are worth as many of a random function.
#[derive(Clone)]
pub struct StrongKey(Box<[u8; SECRET_BYTES]>);

/// A whole strong sum. What is sent is its beginning.
pub type StrongSum = [u8; 16];

impl StrongKey {
    /// The key that belongs to a seed.
    pub fn new(seed: &Seed) -> Self {
        Self(Box::new(seed.bytes("lanesync 2026 delta strong sum")))
    }

    /// The sum of a block.
    #[expect(clippy::missing_panics_doc, reason = "the secret has the length that it has")]
    pub fn sum(&self, block: &[u8]) -> StrongSum {
        let sum = XxHash3_128::oneshot_with_secret(&*self.0, block);
        sum.expect(LONG_ENOUGH).to_le_bytes()
    }

    /// Begins the sum of what comes bit by bit.
    #[expect(clippy::missing_panics_doc, reason = "the secret has the length that it has")]
    pub fn begin(&self) -> StrongSumming<'_> {
        let all = Hasher::with_seed_and_secret(0, *self.0).expect(LONG_ENOUGH);
        StrongSumming { key: self, all, first: Vec::new() }
    }
}

/// The sum of bytes that come one after the other.
#[derive(Clone)]
pub struct StrongSumming<'a> {
    key: &'a StrongKey,
    all: Hasher,
    /// As much as tells that this is not all: the hasher leaves the secret out of short sums.
    first: Vec<u8>,
}

impl StrongSumming<'_> {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let missing = (SHORT_BYTES + 1).saturating_sub(self.first.len());
        self.first.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.all.write(bytes);
    }

    /// The sum, when all bytes were taken.
    pub fn finish(&self) -> StrongSum {
        if self.first.len() <= SHORT_BYTES {
            return self.key.sum(&self.first);
        }
        self.all.finish_128().to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::StrongKey;
    use crate::seed::Seed;

    #[test]
    fn depends_on_the_seed_and_on_every_byte() {
        let (key, other) =
            (StrongKey::new(&Seed::from([1; 32])), StrongKey::new(&Seed::from([2; 32])));
        // XXH3 has other ways for short inputs, for longer ones and for long ones.
        for length in [1, 5, 16, 100, 240, 241, 704, 5000] {
            let block: Vec<u8> = (0_u8..=250).cycle().take(length).collect();
            let sum = key.sum(&block);
            assert_eq!(sum, StrongKey::new(&Seed::from([1; 32])).sum(&block));
            assert_ne!(sum, other.sum(&block), "{length}");
            assert_ne!(sum, key.sum(&block[1..]), "{length}");
            for at in 0..length {
                let mut changed = block.clone();
                changed[at] ^= 1;
                assert_ne!(sum, key.sum(&changed), "byte {at} of {length}");
            }
            let mut summing = key.begin();
            block.chunks(30).for_each(|bytes| summing.update(bytes));
            assert_eq!(summing.finish(), sum, "{length}");
        }
    }

    /// As the protocol says it: an implementation of its own must come to the same.
    #[test]
    fn a_sum_is_that_of_the_protocol() {
        let sum = StrongKey::new(&Seed::from([7; 32])).sum(b"a block of an old file");
        let expected =
            [115, 198, 251, 99, 220, 59, 122, 187, 230, 136, 194, 249, 102, 229, 79, 232];
        assert_eq!(sum, expected);
    }
}
