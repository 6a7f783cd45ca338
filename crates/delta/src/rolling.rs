//! The weak sum of a window of bytes, which moves on by a byte at the price of two multiplications.
//!
//! It is the fingerprint of R. M. Karp and M. O. Rabin, "Efficient randomized pattern-matching
//! algorithms", IBM Journal of Research and Development 31(2), 1987: the window read as the digits of
//! a number to a secret odd base `m`, here modulo 2^64. The sum that rsync uses (two sums of 16 bits,
//! from the paper of Tridgell and Mackerras) takes few of its 2^32 values for short windows and for
//! text, each false hit costs a strong sum, and anybody can make bytes that collide in it. Of the 64
//! bits only the upper 32 are sent and looked up, because no bit depends on higher ones of the base. The
//! last digit counts `m` and not 1, so that it reaches the upper bits, too.
//!
//! The base is secret, but some windows have equal sums for every odd base (the Thue-Morse words).
//! So [`crate::Search`] bounds what false hits may cost, and this sum need only be good on average.

use crate::seed::Seed;

/// How many sums are made at once where there are many: enough that the multiplications, which take
/// three to four cycles, do not wait for each other.
pub(crate) const LANES: usize = 8;

/// The secret base of weak sums.
#[derive(Clone)]
pub struct WeakKey {
    /// `m` to the power of the index.
    powers: [u64; LANES + 1],
}

impl WeakKey {
    /// The base that belongs to a seed.
    pub fn new(seed: &Seed) -> Self {
        let key = seed.key("lanesync 2026 delta weak sum");
        let (words, _) = key.as_chunks();
        // 5 modulo 8 makes the powers of the base take as long as possible to come back to 1.
        let base = u64::from_le_bytes(words[0]) & !7 | 5;
        let mut powers = [1_u64; LANES + 1];
        for index in 1..powers.len() {
            powers[index] = powers[index - 1].wrapping_mul(base);
        }
        Self { powers }
    }

    /// The sum of a whole block at once, in 64 bits.
    pub fn sum(&self, block: &[u8]) -> u64 {
        let (groups, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0_u64; LANES];
        // What of a lane comes from digits being one more than bytes: the same for all.
        let mut ones = 0_u64;
        for group in groups {
            ones = ones.wrapping_mul(self.powers[LANES]).wrapping_add(1);
            for (lane, &byte) in lanes.iter_mut().zip(group) {
                *lane = lane.wrapping_mul(self.powers[LANES]).wrapping_add(u64::from(byte));
            }
        }
        let lanes = lanes.into_iter().map(|lane| lane.wrapping_add(ones));
        let digits = lanes.chain(rest.iter().map(|&byte| digit(byte)));
        digits.fold(0, |sum, digit| sum.wrapping_add(digit).wrapping_mul(self.powers[1]))
    }

    fn power(&self, mut exponent: usize) -> u64 {
        let (mut square, mut power) = (self.powers[1], 1_u64);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = power.wrapping_mul(square);
            }
            square = square.wrapping_mul(square);
            exponent >>= 1;
        }
        power
    }
}

/// What a byte counts. Never 0, or the sum of zeros would be the same for every seed, and searching
/// them slow for each basis that has its tag.
fn digit(byte: u8) -> u64 {
    u64::from(byte) + 1
}

/// What of a weak sum is sent and looked up.
pub(crate) fn sent(sum: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = sum.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The weak sum of a window of fixed length that moves over bytes.
#[derive(Clone)]
pub struct Rolling {
    key: WeakKey,
    /// What a byte counts in `value` when it is the first of the window.
    leaving: Box<[u64; 256]>,
    value: u64,
}

impl Rolling {
    /// A window of so many bytes, which is to be filled.
    pub fn new(key: &WeakKey, window_bytes: usize) -> Self {
        let weight = key.power(window_bytes);
        let mut leaving = Box::new([0_u64; 256]);
        for (byte, worth) in (0..=u8::MAX).zip(leaving.iter_mut()) {
            *worth = weight.wrapping_mul(digit(byte));
        }
        Self { key: key.clone(), leaving, value: 0 }
    }

    /// The sum of the window, in 64 bits: what [`WeakKey::sum`] says of the same bytes.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Lets a byte in while the window is being filled from nothing.
    pub fn push(&mut self, byte: u8) {
        self.value = self.value.wrapping_add(digit(byte)).wrapping_mul(self.key.powers[1]);
    }

    /// Puts the window over these bytes.
    pub fn fill(&mut self, window: &[u8]) {
        self.value = self.key.sum(window);
    }

    /// Moves on by one: the first byte of the window goes, the one behind it comes.
    pub fn roll(&mut self, goes: u8, comes: u8) {
        self.value = self.value.wrapping_sub(self.leaving[usize::from(goes)]);
        self.push(comes);
    }

    /// Moves on by so many at once. The sums after each of the moves.
    #[inline]
    pub(crate) fn roll_lanes(&mut self, go: [u8; LANES], come: [u8; LANES]) -> [u64; LANES] {
        let mut sums = [0_u64; LANES];
        // What the bytes add is summed apart from the value, so that from one group to the next
        // there is one multiplication to wait for and not eight.
        let mut added = 0_u64;
        for index in 0..LANES {
            let change = digit(come[index]).wrapping_sub(self.leaving[usize::from(go[index])]);
            added = added.wrapping_add(change).wrapping_mul(self.key.powers[1]);
            sums[index] = self.value.wrapping_mul(self.key.powers[index + 1]).wrapping_add(added);
        }
        self.value = sums[LANES - 1];
        sums
    }

    /// Goes back to one of the sums of [`Rolling::roll_lanes`].
    pub(crate) fn go_back(&mut self, sum: u64) {
        self.value = sum;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{LANES, Rolling, WeakKey, sent};
    use crate::seed::Seed;

    fn key() -> WeakKey {
        WeakKey::new(&Seed::from([3; 32]))
    }

    /// The definition, digit by digit.
    fn horner(key: &WeakKey, bytes: &[u8]) -> u64 {
        bytes.iter().fold(0_u64, |sum, &byte| {
            sum.wrapping_add(u64::from(byte) + 1).wrapping_mul(key.powers[1])
        })
    }

    #[test]
    fn another_seed_is_another_base() {
        let other = WeakKey::new(&Seed::from([4; 32]));
        assert_ne!(key().sum(b"window"), other.sum(b"window"));
    }

    #[test]
    fn zeros_have_another_sum_for_each_seed_and_length() {
        let other = WeakKey::new(&Seed::from([4; 32]));
        assert_ne!(sent(key().sum(&[0; 100])), sent(other.sum(&[0; 100])));
        assert_ne!(sent(key().sum(&[0; 100])), sent(key().sum(&[0; 101])));
    }

    #[test]
    fn the_base_runs_through_as_many_powers_as_there_can_be() {
        assert_eq!(key().powers[1] % 8, 5);
    }

    #[test]
    fn each_byte_reaches_what_is_sent() {
        let key = key();
        let check = |window: &[u8]| {
            for at in 0..window.len() {
                let mut other = window.to_vec();
                other[at] ^= 1;
                assert_ne!(sent(key.sum(window)), sent(key.sum(&other)), "byte {at}");
            }
        };
        check(&[0]);
        check(&[7; 5]);
        check(&[0; 1000]);
    }

    /// 2^16 windows of text that differ in few places: with 32 good bits hardly any two are alike.
    #[test]
    fn what_is_sent_tells_similar_texts_apart() {
        let text = |number: u32| format!("{}entry {number:06} of a list\n", "line\n".repeat(100));
        let key = key();
        let mut sums: Vec<_> =
            (0..1 << 16).map(|number| sent(key.sum(text(number).as_bytes()))).collect();
        sums.sort_unstable();
        sums.dedup();
        assert!(sums.len() >= (1 << 16) - 8, "{} different sums", sums.len());
    }

    proptest! {
        #[test]
        fn a_block_at_once_is_as_defined(bytes in vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(key().sum(&bytes), horner(&key(), &bytes));
        }

        #[test]
        fn pushing_is_filling(bytes in vec(any::<u8>(), 0..100)) {
            let mut pushed = Rolling::new(&key(), bytes.len());
            for &byte in &bytes {
                pushed.push(byte);
            }
            let mut filled = Rolling::new(&key(), bytes.len());
            filled.fill(&bytes);
            prop_assert_eq!(pushed.value(), filled.value());
        }

        #[test]
        fn rolling_is_filling_anew(bytes in vec(any::<u8>(), 2..200), width in 1_usize..100) {
            let width = width.min(bytes.len() - 1);
            let mut rolling = Rolling::new(&key(), width);
            rolling.fill(&bytes[..width]);
            for start in 1..=bytes.len() - width {
                rolling.roll(bytes[start - 1], bytes[start + width - 1]);
                prop_assert_eq!(rolling.value(), key().sum(&bytes[start..start + width]));
            }
        }

        #[test]
        fn rolling_in_lanes_is_rolling(bytes in vec(any::<u8>(), LANES..100)) {
            let width = bytes.len() - LANES;
            let mut rolling = Rolling::new(&key(), width);
            rolling.fill(&bytes[..width]);
            let go: [u8; LANES] = bytes[..LANES].try_into().expect("as many as lanes");
            let come: [u8; LANES] = bytes[width..].try_into().expect("as many as lanes");
            let sums = rolling.clone().roll_lanes(go, come);
            for index in 0..LANES {
                rolling.roll(go[index], come[index]);
                prop_assert_eq!(rolling.value(), sums[index]);
            }
        }
    }
}
