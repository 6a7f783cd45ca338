//! One encoding for each value, and one error for each rule.

use proptest::prelude::*;

use super::{Codec, Malformed, decode, encode};

#[track_caller]
fn check<T: Codec + PartialEq + std::fmt::Debug>(value: T, expected: &[u8]) {
    assert_eq!(encode(&value), expected);
    assert_eq!(decode::<T>(expected), Ok(value));
}

#[test]
fn numbers_have_one_form() {
    check(0_u64, &[0]);
    check(127_u64, &[0x7f]);
    check(128_u64, &[0x80, 0x01]);
    check(u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    check(-1_i64, &[1]);
    check(1_i64, &[2]);
    check(i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    check(i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    check(Some(5_u8), &[1, 5]);
    check(Option::<u8>::None, &[0]);
    check(Ok::<u8, bool>(3), &[1, 3]);
    check(Err::<u8, bool>(true), &[0, 1]);
}

#[test]
fn numbers_in_other_forms_are_refused() {
    for bytes in [
        &[0x80, 0x00][..],
        &[0xff, 0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        &[0x80; 11],
    ] {
        assert_eq!(decode::<u64>(bytes), Err(Malformed::Number), "{bytes:?}");
    }
}

#[test]
fn what_a_field_cannot_hold_is_refused_at_its_limit_and_no_earlier() {
    assert_eq!(decode(&encode(&255_u64)), Ok(255_u8));
    let above = Malformed::OutOfRange { what: "a number", value: 256, limit: 255 };
    assert_eq!(decode::<u8>(&encode(&256_u64)), Err(above));
    assert_eq!(decode(&encode(&65_535_u64)), Ok(65_535_u16));
    assert!(decode::<u16>(&encode(&65_536_u64)).is_err());
    assert_eq!(decode(&encode(&u64::from(u32::MAX))), Ok(u32::MAX));
    assert!(decode::<u32>(&encode(&(1_u64 << 32))).is_err());
    assert_eq!(decode(&encode(&i64::from(i32::MAX))), Ok(i32::MAX));
    assert!(decode::<i32>(&encode(&(1_i64 << 31))).is_err());
    assert_eq!(decode::<bool>(&[2]), Err(Malformed::NoSuch { what: "truth value", tag: 2 }));
}

#[test]
fn too_little_and_too_much_are_told_apart() {
    assert_eq!(decode::<u64>(&[]), Err(Malformed::Truncated));
    assert_eq!(decode::<u64>(&[0x80]), Err(Malformed::Truncated));
    assert_eq!(decode::<[u8; 4]>(&[1, 2, 3]), Err(Malformed::Truncated));
    assert_eq!(decode::<u64>(&[1, 2, 3]), Err(Malformed::Trailing(2)));
}

proptest! {
    #[test]
    fn every_number_comes_back(value: u64, signed: i64, small: i32) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
        prop_assert_eq!(decode(&encode(&signed)), Ok(signed));
        prop_assert_eq!(decode(&encode(&small)), Ok(small));
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(value) = decode::<u64>(&bytes) {
            prop_assert_eq!(encode(&value), bytes);
        }
    }
}
