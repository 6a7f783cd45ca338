//! What is found, that it is all there is to find, and that deceit costs no more than its bound.

use std::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Search;
use crate::reference::{
    Given, literal_bytes, noise, operations, patched, read_at, search, search_part, seed,
};
use crate::shape::WASTE_AT_START;
use crate::{
    Index, MAX_BLOCK_BYTES, MAX_LITERAL_BYTES, Operation, Plan, Shape, Signature, Update, WeakKey,
};

fn shape(block_bytes: usize) -> Shape {
    Shape::new(block_bytes as u64, 16).expect("in bounds")
}

/// Searches, patches, and compares with the new file. Gives the operations of all parts.
fn check(basis: &[u8], new: &[u8], block_bytes: usize, update: Update) -> Vec<Given> {
    let parts = search(shape(block_bytes), basis, new, update);
    assert!(patched(basis, new.len(), &parts, update) == new, "another file came out");
    parts.into_iter().flat_map(|(_, given)| given).collect()
}

fn copy(offset: u64, length: u64) -> Given {
    Given::Copy { offset, length }
}

fn literal(bytes: &[u8]) -> Given {
    Given::Literal(bytes.to_vec())
}

#[test]
fn an_equal_file_is_one_copy() {
    let file = noise(300_007, 1);
    assert_eq!(check(&file, &file, 704, Update::Apart), [copy(0, 300_007)]);
    assert_eq!(check(&file, &file, 704, Update::InPlace), [copy(0, 300_007)]);
}

#[test]
fn a_changed_byte_costs_its_block() {
    let basis = noise(10_000, 1);
    let mut new = basis.clone();
    new[5_555] ^= 1;
    let expected = [copy(0, 5_500), literal(&new[5_500..5_600]), copy(5_600, 4_400)];
    assert_eq!(check(&basis, &new, 100, Update::Apart), expected);
    assert_eq!(check(&basis, &new, 100, Update::InPlace), expected);
}

#[test]
fn an_inserted_byte_costs_itself() {
    let basis = noise(10_050, 1);
    let new = [b"x", &basis[..]].concat();
    assert_eq!(check(&basis, &new, 100, Update::Apart), [literal(b"x"), copy(0, 10_050)]);
}

#[test]
fn in_place_what_moved_back_is_found_and_what_moved_forth_is_not() {
    let basis = noise(10_000, 1);
    let back = check(&basis, &basis[300..], 100, Update::InPlace);
    assert_eq!(back, [copy(300, 9_700)]);
    let forth = check(&basis, &[b"x", &basis[..]].concat(), 100, Update::InPlace);
    assert_eq!(literal_bytes(&forth), 10_001);
}

#[test]
fn the_short_end_of_the_basis_is_found_at_the_end_only() {
    let basis = noise(1_030, 1);
    let (tail, other) = (&basis[1_000..], noise(500, 2));
    let at_the_end = [&other[..], tail].concat();
    assert_eq!(check(&basis, &at_the_end, 100, Update::Apart), [literal(&other), copy(1_000, 30)]);
    let before = [tail, &other].concat();
    assert_eq!(check(&basis, &before, 100, Update::Apart), [literal(&before)]);
}

#[test]
fn a_basis_shorter_than_a_block_is_found_whole() {
    assert_eq!(check(b"short", b"a short", 704, Update::Apart), [literal(b"a "), copy(0, 5)]);
    assert_eq!(check(b"short", b"shor", 704, Update::Apart), [literal(b"shor")]);
    assert_eq!(check(b"short", b"", 704, Update::Apart), []);
    assert_eq!(check(b"", b"new", 704, Update::Apart), [literal(b"new")]);
}

#[test]
fn shifted_data_is_found_across_the_borders_of_ranges() {
    let basis = noise(200_000, 1);
    let new = [b"xyz", &basis[..]].concat();
    let given = check(&basis, &new, 16, Update::Apart);
    assert!(new.len() > 10 * 16 * 1024, "several ranges");
    assert_eq!(literal_bytes(&given), 3);
}

#[test]
fn zeros_are_few_copies_wherever_the_windows_lie() {
    let check = |basis: usize, new: usize, expected: &[Given]| {
        let given = check(&vec![0; basis], &vec![0; new], 100, Update::Apart);
        assert_eq!(given, expected, "{basis} to {new}");
    };
    check(10_000, 10_000, &[copy(0, 10_000)]);
    check(10_000, 20_000, &[copy(0, 10_000), copy(0, 10_000)]);
    check(20_000, 10_000, &[copy(0, 10_000)]);
    check(10_000, 10_001, &[copy(0, 10_000), literal(&[0])]);
}

#[test]
fn literals_are_bounded_and_so_is_the_buffer() {
    let (basis, new) = (noise(400_000, 1), noise(1_500_000, 2));
    let index = index_of(&basis, MAX_BLOCK_BYTES);
    let part = Plan::new(shape(MAX_BLOCK_BYTES), 400_000, 1_500_000, Update::Apart).part(0);
    let mut search = Search::new(&index, &part);
    let mut lengths = Vec::new();
    let mut sink = |operation: Operation<'_>| -> Result<(), Infallible> {
        let Operation::Literal(bytes) = operation else { panic!("nothing to copy") };
        lengths.push(bytes.len());
        Ok(())
    };
    for bytes in new.chunks(30_011) {
        let Ok(()) = search.push(bytes, &mut sink);
        assert!(search.buffer.capacity() <= 512 << 10);
    }
    let Ok(()) = search.push(&new, &mut sink);
    assert!(search.buffer.capacity() <= 512 << 10);
    let Ok(()) = search.finish(&mut sink);
    let whole = 1_500_000 / MAX_LITERAL_BYTES;
    assert!(lengths.len() == whole + 1 && lengths[..whole].iter().all(|&l| l == MAX_LITERAL_BYTES));
}

fn index_of(basis: &[u8], block_bytes: usize) -> Index {
    let shape = shape(block_bytes);
    let range = 0..basis.len() as u64;
    let signature = Signature::new(&seed(), shape, range, read_at(basis)).expect("can be made");
    Index::new(&seed(), shape, [&signature], Update::Apart).expect("a window")
}

/// The Thue-Morse word of two letters, whose sum is that of its complement for every odd base.
fn thue_morse(length: u32, letters: [u8; 2]) -> Vec<u8> {
    (0..length).map(|at| letters[(at.count_ones() % 2) as usize]).collect()
}

#[test]
fn blocks_that_deceive_the_weak_sum_are_told_apart() {
    let (one, other) = (thue_morse(1024, *b"ab"), thue_morse(1024, *b"ba"));
    let key = WeakKey::new(&seed());
    assert_eq!(key.sum(&one), key.sum(&other), "or they deceive nobody");
    let given = check(&one, &other, 1024, Update::Apart);
    assert_eq!(given, [literal(&other)]);
    let both = [&other[..], &one].concat();
    let given = check(&one, &both, 1024, Update::Apart);
    assert_eq!(literal_bytes(&given), 1024);
}

/// The index of a peer that knows the weak sum of the first block, but says a wrong strong one.
fn deceiving_index(basis: &[u8], block_bytes: usize) -> Index {
    let shape = shape(block_bytes);
    let range = 0..basis.len() as u64;
    let signature = Signature::new(&seed(), shape, range, read_at(basis)).expect("can be made");
    let mut bytes = Vec::new();
    signature.encode(&mut bytes);
    let strong = signature.strong().len();
    let first = bytes.len() - strong;
    bytes[first] ^= 1;
    let signature = Signature::decode(&bytes).expect("is well-formed");
    Index::new(&seed(), shape, [&signature], Update::Apart).expect("a window")
}

#[test]
fn in_deceiving_data_blocks_are_found_however_the_bytes_are_cut() {
    let block = noise(1000, 1);
    let index = deceiving_index(&[&[0; 1000], &block[..]].concat(), 1000);
    let zeros = vec![0; 40_000];
    let new = [&zeros, &block[..], &zeros, &block, &block, &zeros].concat();
    let part = Plan::new(shape(1000), 2000, new.len() as u64, Update::Apart).part(0);
    let expected = [literal(&zeros), copy(1000, 1000), literal(&zeros), copy(1000, 1000)];
    let expected = [&expected[..], &[copy(1000, 1000), literal(&zeros)]].concat();
    for cuts in [&[new.len()][..], &[1], &[7, 990], &[1000, 3]] {
        assert!(search_part(&index, &part, &new, cuts) == expected, "cut at {cuts:?}");
    }
}

#[test]
fn a_signature_that_deceives_at_every_byte_is_soon_not_believed() {
    let new = vec![0; 1_000_000];
    let index = deceiving_index(&new[..1000], 1000);
    let part = Plan::new(shape(1000), 1000, 1_000_000, Update::Apart).part(0);
    let mut search = Search::new(&index, &part);
    let mut literals = 0;
    let mut sink = |operation: Operation<'_>| -> Result<(), Infallible> {
        let Operation::Literal(bytes) = operation else { panic!("deceived") };
        literals += bytes.len();
        Ok(())
    };
    let Ok(()) = search.push(&new[..100], &mut sink);
    assert_eq!(search.allowance, WASTE_AT_START * 1000, "no window yet");
    let Ok(()) = search.push(&new[100..], &mut sink);
    assert!(search.allowance < 1000, "spent on windows hashed for nothing");
    let Ok(()) = search.finish(&mut sink);
    assert_eq!(literals, 1_000_000);
}

#[test]
fn an_error_of_the_sink_comes_out() {
    let index = index_of(b"basis", 5);
    let part = Plan::new(shape(5), 5, 10, Update::Apart).part(0);
    let mut search = Search::new(&index, &part);
    let Ok(()) = search.push(b"not in it!", |_| Ok::<(), Infallible>(()));
    assert_eq!(search.finish(|_| Err("full")), Err("full"));
}

/// A file of few different bytes, so that blocks are alike by chance.
fn plain_file() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(0_u8..2, 0..300),
        vec(any::<u8>(), 0..300),
        (vec(any::<u8>(), 1..20), 0_usize..40).prop_map(|(bytes, times)| bytes.repeat(times)),
    ]
}

/// Takes out, puts in, moves.
fn edited() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let edit = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), plain_file(), 0..4);
    (plain_file(), vec(edit, 0..4)).prop_map(|(basis, edits)| {
        let mut new = basis.clone();
        for (from, to, bytes, kind) in edits {
            let (from, to) = (from.index(new.len() + 1), to.index(new.len() + 1));
            let range = from.min(to)..from.max(to);
            match kind {
                0 => drop(new.splice(range, [])),
                1 => drop(new.splice(from..from, bytes)),
                2 => drop(new.splice(range, bytes)),
                _ => {
                    let moved: Vec<u8> = new.drain(range).collect();
                    new.extend(moved);
                }
            }
        }
        (basis, new)
    })
}

fn update() -> impl Strategy<Value = Update> {
    prop_oneof![Just(Update::Apart), Just(Update::InPlace)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// No bound is needed: where nothing deceives, it is what the slow one finds, to the last copy.
    #[test]
    fn finds_what_the_reference_finds(
        (basis, new) in edited(),
        block_bytes in 1_usize..40,
        cuts in vec(1_usize..50, 1..5),
        update in update(),
    ) {
        let shape = shape(block_bytes);
        let plan = Plan::new(shape, basis.len() as u64, new.len() as u64, update);
        prop_assume!(plan.part_count() == 1 && plan.piece_count() <= 1);
        let signature = Signature::new(&seed(), shape, plan.piece(0), read_at(&basis));
        let index = Index::new(&seed(), shape, [&signature.expect("made")], update);
        let given = search_part(&index.expect("a window"), &plan.part(0), &new, &cuts);
        prop_assert_eq!(given, operations(&basis, &new, block_bytes, update));
    }

    #[test]
    fn patching_gives_the_new_file(
        (basis, new) in edited(),
        block_bytes in 1_usize..40,
        update in update(),
    ) {
        check(&basis, &new, block_bytes, update);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// So many ranges that blocks lie across their borders, and windows that do not reach all.
    #[test]
    fn patching_gives_the_new_file_in_many_parts(
        basis in 0_usize..60_000,
        inserted in vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..5_000)), 0..4),
        block_bytes in 1_usize..5,
        update in update(),
    ) {
        let basis = noise(basis, 1);
        let mut new = basis.clone();
        for (at, bytes) in inserted {
            let at = at.index(new.len() + 1);
            new.splice(at..at, bytes);
        }
        check(&basis, &new, block_bytes, update);
    }

    /// Cutting a file into ranges costs no literal bytes where windows reach all of the basis: an
    /// insertion costs itself and the block that it went into.
    #[test]
    fn ranges_cost_no_literals(
        basis in 10_000_usize..30_000,
        at: prop::sample::Index,
        inserted in vec(any::<u8>(), 0..3_000),
        block_bytes in 4_usize..9,
    ) {
        let basis = noise(basis, 1);
        let mut new = basis.clone();
        let at = at.index(new.len());
        new.splice(at..at, inserted.iter().copied());
        let given = check(&basis, &new, block_bytes, Update::Apart);
        prop_assert!(literal_bytes(&given) <= inserted.len() + block_bytes);
    }
}
