//! Numbers in as few bytes as they need: seven bits in each, the lowest first (LEB128).

/// The most bytes that a `u64` takes.
pub(crate) const MAX_BYTES: usize = 10;

/// Appends a number.
pub(crate) fn put(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// Takes a number off the front. None if it is cut off, does not fit, or is longer than it need be:
/// each number has one form only.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(MAX_BYTES) {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return (index == 0 || byte != 0).then_some(value);
        }
    }
    None
}

/// A signed number as an unsigned one that is small when the distance from zero is.
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// The way back from [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{put, take, unzigzag, zigzag};

    #[test]
    fn takes_only_the_shortest_form() {
        let check = |bytes: &[u8], expected: Option<u64>| {
            let mut rest = bytes;
            assert_eq!(take(&mut rest), expected, "{bytes:x?}");
        };
        check(&[0], Some(0));
        check(&[0x7f], Some(0x7f));
        check(&[0x80, 1], Some(0x80));
        check(&[0x80, 0], None);
        check(&[0x80], None);
        check(&[], None);
        let greatest = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        check(&greatest, Some(u64::MAX));
        check(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2], None);
        check(&[255; 11], None);
    }

    proptest! {
        #[test]
        fn what_was_put_is_taken(value: u64, behind: Vec<u8>) {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            bytes.extend_from_slice(&behind);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Some(value));
            prop_assert_eq!(rest, &behind[..]);
        }

        #[test]
        fn zigzag_goes_both_ways(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
