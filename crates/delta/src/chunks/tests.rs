//! New files made of what the plan says, and what a peer may say instead of sums.

use proptest::prelude::*;

use super::*;
use crate::{Decoder, Encoder};

fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    let mut content = vec![0; bytes];
    hasher.finalize_xof().fill(&mut content);
    content
}

fn sums(seed: &Seed, basis: &[u8], step: usize) -> ChunkSums {
    let bounds = Bounds::of(basis.len() as u64);
    let mut summing = ChunkSumming::new(seed, bounds);
    basis.chunks(step).for_each(|part| summing.push(part));
    let sums = summing.finish();
    let mut bytes = Vec::new();
    sums.encode(&mut bytes);
    let most = ChunkSums::most_encoded_bytes(bounds, basis.len() as u64);
    assert!(bytes.len() as u64 <= most, "{} and {most}", bytes.len());
    assert_eq!(ChunkSums::decode(bounds, basis.len() as u64, &bytes).as_ref(), Ok(&sums));
    sums
}

/// The new file as the operations make it, and how many bytes of it were sent as they are.
fn patched(seed: &Seed, basis: &[u8], new: &[u8], step: usize) -> (Vec<u8>, usize) {
    let mut plan = ChunkPlan::new(seed, sums(seed, basis, step));
    let (mut message, mut encoder) = (Vec::new(), Encoder::new(0));
    let mut each = |operation: Operation<'_>| encoder.encode(operation, &mut message);
    new.chunks(step).for_each(|part| plan.push(part, &mut each));
    plan.finish(&mut each);
    let (mut made, mut literal) = (Vec::new(), 0);
    for operation in Decoder::new(0).decode(&message) {
        match operation.unwrap() {
            Operation::Literal(bytes) => {
                literal += bytes.len();
                made.extend_from_slice(bytes);
            }
            Operation::Copy { offset, length } => {
                let offset = usize::try_from(offset).unwrap();
                let end = offset + usize::try_from(length).unwrap();
                made.extend_from_slice(&basis[offset..end]);
            }
        }
    }
    (made, literal)
}

#[test]
fn bytes_at_the_front_cost_a_chunk_or_two() {
    let (seed, basis) = (Seed::from([7; 32]), content(1, 32 << 20));
    let new = [&content(2, 1000)[..], &basis].concat();
    let (made, literal) = patched(&seed, &basis, &new, 1 << 20);
    assert!(made == new);
    assert!(literal < 600_000, "{literal}");
    let mut bytes = Vec::new();
    sums(&seed, &basis, 1 << 20).encode(&mut bytes);
    assert!(bytes.len() < basis.len() / 2500, "{}", bytes.len());
}

#[test]
fn how_the_bytes_come_makes_no_difference_and_the_seed_does() {
    let (seed, basis) = (Seed::from([7; 32]), content(1, 3 << 20));
    let whole = sums(&seed, &basis, basis.len());
    for step in [1000, 65_536, 300_000] {
        assert_eq!(sums(&seed, &basis, step), whole, "{step}");
    }
    let other = sums(&Seed::from([8; 32]), &basis, basis.len());
    let lengths = |sums: &ChunkSums| sums.chunks.iter().map(|it| it.0).collect::<Vec<_>>();
    assert_ne!(lengths(&whole), lengths(&other));
    assert_ne!(
        sums(&seed, &[1; 100], 100).chunks[0].1,
        sums(&Seed::from([8; 32]), &[1; 100], 100).chunks[0].1
    );
}

#[test]
fn what_is_all_alike_is_copied_in_one() {
    let seed = Seed::from([7; 32]);
    let (basis, new) = (vec![0; 8 << 20], vec![0; 8 << 20]);
    let mut plan = ChunkPlan::new(&seed, sums(&seed, &basis, 1 << 20));
    let mut count = 0;
    plan.push(&new, |_| count += 1);
    plan.finish(|_| count += 1);
    assert_eq!(count, 1);
}

#[test]
fn chunks_of_long_files_are_longer_and_their_number_is_bounded() {
    assert_eq!(Bounds::of(0).average_bytes, 64 << 10);
    assert_eq!(Bounds::of(32 << 30).average_bytes, 64 << 10);
    assert_eq!(Bounds::of(64 << 30).average_bytes, 128 << 10);
    assert_eq!(Bounds::of(u64::MAX), Bounds { average_bytes: 4 << 20 });
    let tebibyte = 1_u64 << 40;
    assert!(ChunkSums::most_encoded_bytes(Bounds::of(tebibyte), tebibyte) < 64 << 20);
}

#[test]
fn what_a_peer_says_wrong_is_refused() {
    let bounds = Bounds::of(100_000);
    let chunk = |length: u64| {
        let mut bytes = Vec::new();
        put(length, &mut bytes);
        [bytes, vec![7; SUM_BYTES]].concat()
    };
    let decode = |bytes: &[u8]| ChunkSums::decode(bounds, 100_000, bytes);
    assert!(decode(&[chunk(60_000), chunk(40_000)].concat()).is_ok());
    assert!(decode(&[chunk(99_999), chunk(1)].concat()).is_ok());
    let total = |found| Err(ChunkError::Total { expected: 100_000, found });
    assert_eq!(decode(&[]), total(0));
    assert_eq!(decode(&chunk(99_999)), total(99_999));
    assert_eq!(decode(&[chunk(99_999), chunk(2)].concat()), total(100_001));
    assert_eq!(decode(&chunk(u64::MAX)), total(100_001));
    assert_eq!(decode(&[chunk(100), chunk(99_900)].concat()), Err(ChunkError::Length(100)));
    assert_eq!(decode(&[chunk(100_000), chunk(0)].concat()), Err(ChunkError::Length(0)));
    assert_eq!(decode(&chunk(100_000)[..10]), Err(ChunkError::Number));
    assert_eq!(decode(&[0x80, 0]), Err(ChunkError::Number));
    assert_eq!(
        ChunkSums::decode(bounds, u64::MAX, &chunk(1 << 40)),
        Err(ChunkError::Length(1 << 40))
    );
}

/// A change of a file.
#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, usize),
    Remove(usize, usize),
    Move(usize, usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || 0..4_000_000_usize;
    let edit = prop_oneof![
        (at(), 1..5000_usize).prop_map(|(at, length)| Edit::Insert(at, length)),
        (at(), 1..5000_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), 1..1_000_000_usize, at()).prop_map(|(at, length, to)| Edit::Move(at, length, to)),
    ];
    prop::collection::vec(edit, 0..6)
}

fn edited(basis: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut new = basis.to_vec();
    for (seed, edit) in (9..).zip(edits) {
        let within = |at: usize, new: &Vec<u8>| at.min(new.len());
        match *edit {
            Edit::Insert(at, length) => {
                let at = within(at, &new);
                new.splice(at..at, content(seed, length));
            }
            Edit::Remove(at, length) => {
                let at = within(at, &new);
                new.drain(at..within(at + length, &new));
            }
            Edit::Move(at, length, to) => {
                let at = within(at, &new);
                let moved: Vec<u8> = new.drain(at..within(at + length, &new)).collect();
                let to = within(to, &new);
                new.splice(to..to, moved);
            }
        }
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_was_inserted_removed_or_moved_the_new_file_comes_out(
        basis_bytes in 0..4_000_000_usize,
        edits in edits(),
        step in prop::sample::select(vec![100_000, 262_144, 1 << 20]),
    ) {
        let (seed, basis) = (Seed::from([3; 32]), content(1, basis_bytes));
        let new = edited(&basis, &edits);
        let (made, literal) = patched(&seed, &basis, &new, step);
        prop_assert!(made == new);
        // A move is seen at three places, and until chunks meet again some more go by.
        prop_assert!(literal <= edits.len() * 3 * 4 * (256 << 10), "{literal}");
    }

    #[test]
    fn hostile_sums_make_no_copy_from_outside_the_basis(
        lengths in prop::collection::vec(16_384..262_144_u64, 0..20),
        fill in 0..3_u8,
        new in 0..600_000_usize,
    ) {
        let basis_bytes = lengths.iter().sum();
        let mut bytes = Vec::new();
        for length in &lengths {
            put(*length, &mut bytes);
            bytes.extend([fill; SUM_BYTES]);
        }
        let sums = ChunkSums::decode(Bounds::of(basis_bytes), basis_bytes, &bytes).unwrap();
        let mut plan = ChunkPlan::new(&Seed::from([1; 32]), sums);
        let mut made = 0;
        let mut is_within = true;
        let mut each = |operation: Operation<'_>| match operation {
            Operation::Copy { offset, length } => {
                is_within &= offset + length <= basis_bytes;
                made += length;
            }
            Operation::Literal(bytes) => made += bytes.len() as u64,
        };
        plan.push(&content(5, new), &mut each);
        plan.finish(&mut each);
        prop_assert!(is_within);
        prop_assert_eq!(made, new as u64);
    }
}
