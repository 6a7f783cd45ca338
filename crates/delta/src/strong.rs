//! The strong sum of a block: keyed BLAKE3, of which as much is sent as the bound on false matches
//! asks for. See [`crate::Shape::for_lengths`] for how much that is.

use crate::seed::Seed;

/// The secret key of strong sums. Without it nobody can make two blocks whose sums begin alike, so a
/// few bytes of a sum are worth as many of a random function.
#[derive(Clone)]
pub struct StrongKey([u8; 32]);

/// A whole strong sum. What is sent is its beginning.
pub type StrongSum = [u8; 32];

impl StrongKey {
    /// The key that belongs to a seed.
    pub fn new(seed: &Seed) -> Self {
        Self(seed.key("lanesync 2026 delta strong sum"))
    }

    /// The sum of a block.
    pub fn sum(&self, block: &[u8]) -> StrongSum {
        *blake3::keyed_hash(&self.0, block).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::StrongKey;
    use crate::seed::Seed;

    #[test]
    fn depends_on_the_seed_and_on_every_byte() {
        let key = StrongKey::new(&Seed::from([1; 32]));
        let sum = key.sum(b"block");
        assert_eq!(sum, StrongKey::new(&Seed::from([1; 32])).sum(b"block"));
        assert_ne!(sum, StrongKey::new(&Seed::from([2; 32])).sum(b"block"));
        assert_ne!(sum, key.sum(b"blocl"));
        assert_ne!(sum, key.sum(b"bloc"));
    }
}
