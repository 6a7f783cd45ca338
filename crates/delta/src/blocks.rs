//! Which blocks of a stretch must change, given what is there and what shall be.

use std::ops::Range;

/// What becomes of a run of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It shall have other content.
    Write,
    /// It shall be all zeros.
    Clear,
}

/// A run of blocks that change alike, by its place in the stretch, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedRun {
    /// Where.
    pub range: Range<usize>,
    /// How.
    pub change: Change,
}

/// What file systems allocate by: longer blocks that differ may be zero in parts.
const ZERO_BYTES: usize = 4096;

/// The runs of blocks in which two stretches of one length differ, in order. Runs that lie beside each
/// other change differently. The last block may be shorter than the others. What is zero in a longer block
/// and shall be is left as it is, in pieces of 4 KiB.
///
/// # Panics
///
/// If the stretches are not equally long, or a block has no bytes.
pub fn changed_runs(new: &[u8], old: &[u8], block_bytes: usize) -> Vec<ChangedRun> {
    assert_eq!(new.len(), old.len(), "the stretches are equally long");
    let mut runs: Vec<ChangedRun> = Vec::new();
    // Of what is the same, most often all of it is.
    if new == old {
        return runs;
    }
    let blocks = new.chunks(block_bytes).zip(old.chunks(block_bytes));
    let mut start = 0;
    for (new, old) in blocks {
        let mut at = start;
        start += new.len();
        if new == old {
            continue;
        }
        for (new, old) in new.chunks(ZERO_BYTES).zip(old.chunks(ZERO_BYTES)) {
            let range = at..at + new.len();
            at = range.end;
            match is_zero(new) {
                true if new == old => {}
                true => add(&mut runs, range, Change::Clear),
                false => add(&mut runs, range, Change::Write),
            }
        }
    }
    runs
}

fn add(runs: &mut Vec<ChangedRun>, range: Range<usize>, change: Change) {
    match runs.last_mut() {
        Some(last) if last.range.end == range.start && last.change == change => {
            last.range.end = range.end;
        }
        _ => runs.push(ChangedRun { range, change }),
    }
}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Pieces that are looked at without a branch for each byte.
    bytes.chunks(512).all(|piece| piece.iter().fold(0, |any, byte| any | byte) == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_is_zero_only_if_its_last_byte_is() {
        for length in [1, 511, 512, 513, 4096, 5000] {
            let mut block = vec![0; length];
            assert!(is_zero(&block), "{length}");
            for at in [0, length / 2, length - 1] {
                block[at] = 1;
                assert!(!is_zero(&block), "byte {at} of {length}");
                block[at] = 0;
            }
        }
        assert!(is_zero(&[]));
    }

    #[test]
    fn runs_are_as_long_as_they_can_be() {
        let old = [1; 10];
        let mut new = old;
        new[2..8].copy_from_slice(&[0, 0, 0, 0, 5, 6]);
        new[9] = 0;
        let run = |range, change| ChangedRun { range, change };
        let expected =
            [run(2..6, Change::Clear), run(6..8, Change::Write), run(9..10, Change::Clear)];
        assert_eq!(changed_runs(&new, &old, 1), expected);
        let expected = [run(0..3, Change::Write), run(3..6, Change::Clear)];
        assert_eq!(changed_runs(&new[..6], &old[..6], 3), expected);
        assert_eq!(changed_runs(&old, &old, 3), []);
        assert_eq!(changed_runs(&[], &[], 3), []);
    }

    #[test]
    fn what_is_zero_in_a_long_block_and_shall_be_is_left_alone() {
        let (mut new, mut old) = (vec![0; 5 * 4096], vec![0; 5 * 4096]);
        (new[4096], old[3 * 4096]) = (1, 1);
        let run = |pieces: Range<usize>, change| ChangedRun {
            range: pieces.start * 4096..pieces.end * 4096,
            change,
        };
        let expected = [run(1..2, Change::Write), run(3..4, Change::Clear)];
        assert_eq!(changed_runs(&new, &old, 5 * 4096), expected);
        // What is not zero goes with its block.
        new[2 * 4096] = 1;
        old[2 * 4096] = 1;
        let expected = [run(1..3, Change::Write), run(3..4, Change::Clear)];
        assert_eq!(changed_runs(&new, &old, 5 * 4096), expected);
    }

    proptest! {
        #[test]
        fn what_is_changed_so_is_as_it_shall_be(
            stretch in prop::collection::vec((0..2_u8, 0..2_u8), 0..200),
            block_bytes in 1..20_usize,
        ) {
            let (new, old): (Vec<u8>, Vec<u8>) = stretch.into_iter().unzip();
            let mut made = old.clone();
            let mut end = 0;
            for ChangedRun { range, change } in changed_runs(&new, &old, block_bytes) {
                prop_assert!(range.start >= end && range.start % block_bytes == 0);
                prop_assert!(range.end % block_bytes == 0 || range.end == new.len());
                end = range.end;
                match change {
                    Change::Write => made[range.clone()].copy_from_slice(&new[range.clone()]),
                    Change::Clear => made[range.clone()].fill(0),
                }
                // No block is named in vain.
                for at in range.step_by(block_bytes) {
                    let block = at..(at + block_bytes).min(new.len());
                    prop_assert_ne!(&new[block.clone()], &old[block]);
                }
            }
            prop_assert_eq!(made, new);
        }
    }
}
