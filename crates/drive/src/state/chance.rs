//! Numbers by chance, the same for the same seed.

/// A generator of numbers (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// `millis`, a quarter more or less: who was turned away together does not come back together.
    pub(super) fn about(&mut self, millis: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        millis - millis / 4 + z % (millis / 2 + 1)
    }
}
