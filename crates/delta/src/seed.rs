//! The secret of one transfer, from which the keys of its sums come.

use std::fmt;

/// 32 random bytes, drawn anew for each transfer and known to both its ends only.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Secret bytes for one purpose, of which [`Seed::key`] gives the first.
    pub(crate) fn bytes<const COUNT: usize>(&self, context: &str) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        blake3::Hasher::new_derive_key(context).update(&self.0).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// A key for one purpose. `context` is as [`blake3::derive_key`] wants it: fixed and not used
    /// for anything else.
    pub(crate) fn key(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }
}

impl From<[u8; 32]> for Seed {
    fn from(random: [u8; 32]) -> Self {
        Self(random)
    }
}

/// Does not show the secret.
impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed")
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn debug_output_shows_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", Seed::from([7; 32])), "Seed");
    }

    #[test]
    fn keys_differ_by_seed_and_by_purpose() {
        let seed = Seed::from([7; 32]);
        assert_eq!(seed.key("a"), Seed::from([7; 32]).key("a"));
        assert_eq!(seed.bytes::<40>("a")[..32], seed.key("a"));
        assert_ne!(seed.key("a"), seed.key("b"));
        assert_ne!(seed.key("a"), Seed::from([8; 32]).key("a"));
    }
}
