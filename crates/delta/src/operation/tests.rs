//! Operations as they are sent and refused.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Decoder, Encoder, MAX_LITERAL_BYTES, Operation, OperationError};

fn encoded(operations: &[Operation<'_>]) -> Vec<u8> {
    let (mut encoder, mut bytes) = (Encoder::new(0), Vec::new());
    for &operation in operations {
        encoder.encode(operation, &mut bytes);
    }
    bytes
}

#[test]
fn copies_that_keep_their_distance_take_few_bytes() {
    let bytes = encoded(&[
        Operation::Copy { offset: 0, length: 50 },
        Operation::Literal(b"new"),
        Operation::Copy { offset: 53, length: 50 },
        Operation::Literal(b"inserted"),
        Operation::Copy { offset: 103, length: 50 },
    ]);
    assert_eq!(bytes, b"\x65\x00\x06new\x65\x00\x10inserted\x65\x0f");
}

#[test]
fn wrong_operations_are_refused_and_end_the_message() {
    let check = |bytes: &[u8], expected: OperationError| {
        let mut decoder = Decoder::new(0);
        let decoded: Vec<_> = decoder.decode(bytes).collect();
        assert_eq!(decoded, [Err(expected)], "{bytes:x?}");
    };
    let long = MAX_LITERAL_BYTES as u64 + 1;
    check(&[0, 2, 7], OperationError::Empty);
    check(&[1, 2, 7], OperationError::Empty);
    check(&[0x80], OperationError::Number);
    check(&[3], OperationError::Number);
    check(&[4, 7], OperationError::ShortLiteral { expected: 2, found: 1 });
    check(&[0x82, 0x80, 0x10, 7], OperationError::LongLiteral(long));
    // Copies one byte from just before the beginning, which is where the last byte of all would be.
    check(&[3, 1], OperationError::Range);
}

#[test]
fn a_new_file_longer_than_files_can_be_is_refused() {
    let bytes = encoded(&[Operation::Literal(b"ab")]);
    let decoded: Vec<_> = Decoder::new(u64::MAX - 1).decode(&bytes).collect();
    assert_eq!(decoded, [Err(OperationError::Range)]);
    let decoded: Vec<_> = Decoder::new(u64::MAX - 2).decode(&bytes).collect();
    assert_eq!(decoded, [Ok(Operation::Literal(b"ab"))]);
}

fn operation() -> impl Strategy<Value = (Option<u64>, Vec<u8>)> {
    let offset =
        prop_oneof![Just(None), (0..1_u64 << 62).prop_map(Some), (0..99_u64).prop_map(Some)];
    (offset, vec(any::<u8>(), 1..300))
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_however_it_was_cut(
        made in vec(operation(), 0..20),
        cut in 0_usize..20,
        start in 0..1_u64 << 40,
    ) {
        let operations: Vec<_> = made
            .iter()
            .map(|(offset, bytes)| match *offset {
                Some(offset) => Operation::Copy { offset, length: bytes.len() as u64 },
                None => Operation::Literal(bytes),
            })
            .collect();
        let (mut encoder, mut decoder) = (Encoder::new(start), Decoder::new(start));
        let mut decoded = Vec::new();
        let mut messages = Vec::new();
        for part in operations.chunks(cut.max(1)) {
            let mut message = Vec::new();
            for &operation in part {
                encoder.encode(operation, &mut message);
            }
            messages.push(message);
        }
        for message in &messages {
            for operation in decoder.decode(message) {
                decoded.push(operation.expect("was encoded"));
            }
        }
        prop_assert_eq!(decoded, operations);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200), start: u64) {
        let operations: Vec<_> = Decoder::new(start).decode(&bytes).flatten().collect();
        let (mut encoder, mut again) = (Encoder::new(start), Vec::new());
        for &operation in &operations {
            encoder.encode(operation, &mut again);
        }
        prop_assert_eq!(&again[..], &bytes[..again.len()]);
    }
}
