//! Signatures as they are made, sent and refused.

use std::io;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Signature, SignatureError};
use crate::reference::{noise, read_at, seed};
use crate::shape::{MAX_BLOCKS, MAX_STRONG_BYTES, Shape};
use crate::varint;

fn shape(block_bytes: u64) -> Shape {
    Shape::new(block_bytes, 6).expect("in bounds")
}

fn signature(bytes: &[u8], block_bytes: u64) -> Signature {
    Signature::new(&seed(), shape(block_bytes), 0..bytes.len() as u64, read_at(bytes))
        .expect("can be made")
}

/// A head of a signature, and no sums.
fn head(lengths: [u64; 4]) -> Vec<u8> {
    let mut bytes = vec![2];
    for length in lengths {
        varint::put(length, &mut bytes);
    }
    bytes
}

#[test]
fn equal_blocks_have_equal_sums_and_others_have_not() {
    let signature = signature(b"aaaabbbbaaaaaa", 4);
    let weak = signature.weak();
    assert_eq!(weak.len(), 4);
    assert_eq!(weak[0], weak[2]);
    assert_ne!(weak[0], weak[1]);
    assert_ne!(weak[0], weak[3]);
    let strong: Vec<_> = signature.strong().chunks(6).collect();
    assert_eq!(strong[0], strong[2]);
    assert_ne!(strong[0], strong[1]);
    assert_ne!(strong[0], strong[3]);
}

#[test]
fn a_range_of_a_basis_is_read_where_it_lies() {
    let basis = noise(1_000_000, 1);
    let range = 300_000..900_001;
    let part = Signature::new(&seed(), shape(1000), range.clone(), read_at(&basis)).expect("made");
    assert_eq!(part.range(), range);
    let alone = signature(&basis[300_000..900_001], 1000);
    assert_eq!(part.weak(), alone.weak());
    assert_eq!(part.strong(), alone.strong());
}

#[test]
fn a_basis_that_cannot_be_read_has_no_signature() {
    let refuse = |_, _: &mut [u8]| Err(io::Error::other("gone"));
    let error = Signature::new(&seed(), shape(10), 0..10, refuse).expect_err("unreadable");
    assert_eq!(error.to_string(), "delta: read basis: gone");
}

#[test]
fn wrong_heads_are_refused_before_memory_is_taken() {
    let check = |bytes: &[u8], expected: &str| {
        let error = Signature::decode(bytes).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(&[], "lengths");
    check(&[1, 0, 0, 10, 4], "version 1");
    check(&[2, 0, 0, 10], "lengths");
    check(&head([0, 0, 0, 4]), "blocks of 0 bytes");
    check(&head([0, 0, 10, 3]), "strong sums of 3 bytes");
    check(&head([u64::MAX, 1, 10, 4]), "no file has");
    check(&head([0, u64::MAX, 10, 4]), "blocks, 32768 are the most");
    check(&head([0, 10 * MAX_BLOCKS as u64 + 1, 10, 4]), "32769 blocks");
    check(&head([0, 10 * MAX_BLOCKS as u64, 10, 4]), "0 bytes of sums, not 262144");
    check(&[head([0, 1, 10, 4]), vec![0; 9]].concat(), "9 bytes of sums, not 8");
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "a caller may get it wrong")]
fn a_range_that_runs_backwards_is_refused() {
    let made = Signature::new(&seed(), shape(10), 10..9, read_at(&[]));
    assert!(matches!(made, Err(SignatureError::Range)));
}

#[test]
fn the_largest_signature_is_as_large_as_announced() {
    let mut bytes = head([
        u64::MAX - 128 * 1024 * MAX_BLOCKS as u64,
        128 * 1024 * MAX_BLOCKS as u64,
        128 * 1024,
        MAX_STRONG_BYTES as u64,
    ]);
    bytes.resize(bytes.len() + MAX_BLOCKS * (4 + MAX_STRONG_BYTES), 7);
    assert!(Signature::decode(&bytes).is_ok());
    assert!(bytes.len() <= Signature::MAX_BYTES);
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(basis in vec(any::<u8>(), 0..500), block in 1_u64..100) {
        let signature = signature(&basis, block);
        let mut bytes = Vec::new();
        signature.encode(&mut bytes);
        prop_assert_eq!(Signature::decode(&bytes).expect("is a signature"), signature);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        mut bytes in vec(any::<u8>(), 0..200),
        is_of_this_version: bool,
    ) {
        if let Some(version) = bytes.first_mut().filter(|_| is_of_this_version) {
            *version = 2;
        }
        if let Ok(signature) = Signature::decode(&bytes) {
            let mut again = Vec::new();
            signature.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}
