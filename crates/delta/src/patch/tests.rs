//! What is refused, and that nothing of it is written.

use std::io;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Output, Patch, PatchError};
use crate::reference::{Collected, noise, read_at};
use crate::{Decoder, Operation, Part, Update};

/// The patch of a range that uses as much of a basis of so many bytes as it may.
fn patch_of(range: Range<u64>, basis_bytes: u64, update: Update) -> Patch {
    let basis = match update {
        Update::Apart => 0..basis_bytes,
        Update::InPlace => range.start..range.end.min(basis_bytes),
    };
    Patch::new(&Part { read: range.clone(), range, pieces: 0..1, basis }, update)
}

/// Applies one operation to the range 10..20 of the new file, with a basis of 15 bytes.
fn check(update: Update, operation: Operation<'_>, expected: &str) {
    let basis = noise(15, 1);
    let mut output = Collected::default();
    let mut patch = patch_of(10..20, 15, update);
    let error = patch.apply(operation, read_at(&basis), &mut output).expect_err(expected);
    assert_eq!(error.to_string(), expected);
    assert!(output.bytes.is_empty(), "something was written");
    assert_eq!(patch.bytes_left(), 10);
}

#[test]
fn what_does_not_fit_is_refused() {
    let eleven = Operation::Literal(b"eleven byte");
    check(Update::Apart, eleven, "delta: operation gives 11 bytes where 10 are left");
    let long = Operation::Copy { offset: 0, length: 11 };
    check(Update::Apart, long, "delta: operation gives 11 bytes where 10 are left");
    let endless = Operation::Copy { offset: u64::MAX, length: u64::MAX };
    let message = format!("delta: operation gives {} bytes where 10 are left", u64::MAX);
    check(Update::Apart, endless, &message);
}

#[test]
fn what_the_basis_does_not_have_is_refused() {
    let behind = Operation::Copy { offset: 10, length: 6 };
    check(Update::Apart, behind, "delta: copy of 6 bytes at 10 from outside the basis");
    let far = Operation::Copy { offset: u64::MAX, length: 2 };
    let message = format!("delta: copy of 2 bytes at {} from outside the basis", u64::MAX);
    check(Update::Apart, far, &message);
}

#[test]
fn in_place_nothing_is_copied_from_other_ranges_or_from_what_was_written() {
    let before = Operation::Copy { offset: 9, length: 2 };
    check(Update::InPlace, before, "delta: copy of 2 bytes at 9 from outside the basis");

    let mut patch = patch_of(10..20, 30, Update::InPlace);
    let (basis, mut output) = (noise(30, 1), Collected::default());
    let behind = Operation::Copy { offset: 15, length: 6 };
    let refused = patch.apply(behind, read_at(&basis), &mut output);
    assert!(matches!(refused, Err(PatchError::Outside { offset: 15, length: 6 })));
    patch.apply(Operation::Literal(b"ab"), read_at(&basis), &mut output).expect("fits");
    let written = Operation::Copy { offset: 11, length: 2 };
    let refused = patch.apply(written, read_at(&basis), &mut output);
    assert!(matches!(refused, Err(PatchError::Overwritten { offset: 11, position: 12 })));
}

#[test]
fn in_place_what_is_there_is_kept() {
    let (basis, mut output) = (noise(30, 1), Collected::default());
    let mut patch = patch_of(0..30, 30, Update::InPlace);
    let mut apply = |operation| patch.apply(operation, read_at(&basis), &mut output).expect("fits");
    apply(Operation::Copy { offset: 0, length: 12 });
    apply(Operation::Copy { offset: 13, length: 17 });
    apply(Operation::Literal(b"x"));
    patch.finish().expect("complete");
    assert_eq!(output.kept, 12);

    let mut output = Collected::default();
    let mut patch = patch_of(0..30, 30, Update::Apart);
    let copy = Operation::Copy { offset: 0, length: 30 };
    patch.apply(copy, read_at(&basis), &mut output).expect("fits");
    assert_eq!(output.kept, 0);
}

#[test]
fn an_incomplete_range_is_told() {
    let error = patch_of(10..20, 15, Update::Apart).finish().expect_err("is incomplete");
    assert_eq!(error.to_string(), "delta: operations end 10 bytes too early");
}

#[test]
fn errors_of_either_side_come_out() {
    struct Full;
    impl Output for Full {
        fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let basis = noise(5, 1);
    let copy = Operation::Copy { offset: 0, length: 10 };
    // The caller takes the basis for longer than it has become.
    let read = patch_of(0..10, 10, Update::Apart).apply(copy, read_at(&basis), &mut Full);
    assert!(matches!(read, Err(PatchError::Read(_))));
    let written = patch_of(0..10, 10, Update::Apart).apply(
        Operation::Literal(b"a"),
        read_at(&basis),
        &mut Full,
    );
    assert!(matches!(written, Err(PatchError::Write(_))));
}

#[test]
fn a_long_copy_goes_in_steps() {
    let basis = noise(500_000, 1);
    let mut output = Collected::default();
    let mut patch = patch_of(0..400_000, 500_000, Update::Apart);
    let copy = Operation::Copy { offset: 77_777, length: 400_000 };
    patch.apply(copy, read_at(&basis), &mut output).expect("fits");
    patch.finish().expect("complete");
    assert!(output.bytes == basis[77_777..477_777]);
    let capacity = {
        let mut patch = patch_of(0..400_000, 500_000, Update::Apart);
        patch.apply(copy, read_at(&basis), &mut Collected::default()).expect("fits");
        patch.buffer.capacity()
    };
    assert!(capacity <= 128 << 10);
}

proptest! {
    #[test]
    fn no_operations_make_more_than_the_range_or_panic(
        message in vec(prop_oneof![0_u8..16, any::<u8>()], 0..100),
        range in (0_u64..50, 0_u64..50),
        in_place: bool,
    ) {
        let (start, end) = (range.0, range.0 + range.1);
        let update = if in_place { Update::InPlace } else { Update::Apart };
        let basis = noise(40, 1);
        let mut output = Collected::default();
        let mut patch = patch_of(start..end, 40, update);
        for operation in Decoder::new(start).decode(&message).flatten() {
            if patch.apply(operation, read_at(&basis), &mut output).is_err() {
                break;
            }
        }
        prop_assert_eq!(output.bytes.len() as u64 + patch.bytes_left(), end - start);
    }
}
