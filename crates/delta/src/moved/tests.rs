//! Images that are made of old ones as was found, and what of them comes out right.

use proptest::prelude::*;

use super::*;
use crate::Seed;
use crate::chunks::ChunkSumming;

fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    let mut content = vec![0; bytes];
    hasher.finalize_xof().fill(&mut content);
    content
}

/// Each part of an image, cut anew.
fn parts(bytes: &[u8], part: usize) -> Vec<(u64, ChunkSums)> {
    let cut = |bytes: &[u8]| {
        let mut summing = ChunkSumming::new(&Seed::from([7; 32]), Bounds::of(0));
        summing.push(bytes);
        summing.finish()
    };
    (0..).step_by(part).zip(bytes.chunks(part).map(cut)).collect()
}

fn moved(old: &[u8], new: &[u8], part: usize) -> Moved {
    let (mut chunks, mut finding) = (OldChunks::default(), Finding::default());
    for (start, sums) in parts(old, 1 << 20).iter().rev() {
        chunks.add(*start, sums);
    }
    chunks.settle();
    for (start, sums) in parts(new, part).iter().rev() {
        finding.note(&chunks, *start, sums);
    }
    finding.settle(&(0..new.len() as u64), old.len() as u64, Bounds::of(0))
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

/// What comes of it: places that have not moved are taken from where they are, zeros from beyond the end.
fn made(moved: &Moved, old: &[u8], length: usize) -> Vec<u8> {
    let mut made = vec![0; length];
    let mut end = 0;
    for (part, from) in moved.parts(&(0..length as u64)) {
        assert_eq!(part.start, end, "there are gaps");
        assert_eq!(moved.is_still(&part), from.is_none());
        end = part.end;
        let from = place(from.unwrap_or(part.start));
        let part = place(part.start)..place(part.end);
        let there = &old[from.min(old.len())..(from + part.len()).min(old.len())];
        made[part.start..part.start + there.len()].copy_from_slice(there);
    }
    assert_eq!(end, length as u64);
    made
}

/// Blocks that come out as others.
fn wrong(made: &[u8], new: &[u8]) -> usize {
    made.chunks(4096).zip(new.chunks(4096)).filter(|(made, new)| made != new).count()
}

#[test]
fn bytes_at_the_front_cost_a_block() {
    let old = content(1, 20 << 20);
    let new = [&content(2, 1000)[..], &old].concat();
    let longer = moved(&old, &new, 4 << 20);
    assert!(wrong(&made(&longer, &old, new.len()), &new) <= 1);
    assert_eq!(longer.old_ranges().iter().collect::<Vec<_>>(), [&(0..20 << 20)]);
    let shorter = moved(&new, &old, 4 << 20);
    assert_eq!(wrong(&made(&shorter, &new, old.len()), &old), 0);
}

#[test]
fn what_is_where_it_was_has_not_moved() {
    // All its parts are alike, so each is found in many places.
    let old = content(1, 1 << 20).repeat(8);
    assert_eq!(moved(&old, &old, 4 << 20), Moved::default());
    let mut new = old.clone();
    new[3 << 20..4 << 20].copy_from_slice(&content(2, 1 << 20));
    assert_eq!(moved(&old, &new, 4 << 20), Moved::default());
}

#[test]
fn what_is_not_there_at_all_is_not_found() {
    let (mut chunks, mut finding) = (OldChunks::default(), Finding::default());
    for (start, sums) in parts(&[content(1, 2 << 20), vec![0; 2 << 20]].concat(), 1 << 20) {
        chunks.add(start, &sums);
    }
    chunks.settle();
    for (start, sums) in parts(&[vec![0; 1 << 20], content(2, 2 << 20)].concat(), 1 << 20) {
        finding.note(&chunks, start, &sums);
    }
    assert_eq!(finding.moved_bytes(), 0);
    assert_eq!(finding.settle(&(0..3 << 20), 4 << 20, Bounds::of(0)), Moved::default());
}

/// A change of an image.
#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, usize),
    Remove(usize, usize),
    Move(usize, usize, usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = || 0..8_000_000_usize;
    let edit = prop_oneof![
        (at(), 1..5000_usize).prop_map(|(at, length)| Edit::Insert(at, length)),
        (at(), 1..5000_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), 1..1_000_000_usize, at()).prop_map(|(at, length, to)| Edit::Move(at, length, to)),
    ];
    prop::collection::vec(edit, 0..4)
}

fn edited(old: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut new = old.to_vec();
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
    fn whatever_was_inserted_removed_or_moved_nearly_all_comes_out(
        old_bytes in 0..8_000_000_usize,
        edits in edits(),
        part in prop::sample::select(vec![1 << 20, 4 << 20, 3_000_000]),
    ) {
        let old = content(1, old_bytes);
        let new = edited(&old, &edits);
        let made = made(&moved(&old, &new, part), &old, new.len());
        // A move is seen at three places, and until chunks meet again some more go by.
        prop_assert!(wrong(&made, &new) <= edits.len() * 3 * 4 * 64, "{}", wrong(&made, &new));
    }

    #[test]
    fn whatever_a_peer_tells_nothing_is_taken_from_beyond_the_old_image(
        told in prop::collection::vec((16_384..262_144_u64, 0..4_usize), 1..40),
        old_bytes in 0..300_000_usize,
        from in 0..1_u64 << 40,
    ) {
        let old = content(1, old_bytes);
        let mut chunks = OldChunks::default();
        for (start, sums) in parts(&old, 1 << 20) {
            chunks.add(start, &sums);
        }
        chunks.settle();
        // Sums that are there, of chunks that may be as long as these or not.
        let own: Vec<_> = parts(&old, 1 << 20)
            .iter()
            .flat_map(|(_, sums)| sums.iter(0).map(|it| (u64::from(it.1), *it.2)).collect::<Vec<_>>())
            .collect();
        let mut bytes = Vec::new();
        let mut length = 0;
        for (chunk, number) in told {
            let (own_length, sum) = own.get(number).copied().unwrap_or((chunk, [9; 16]));
            let chunk = if own_length < 16_384 { chunk } else { own_length };
            length += chunk;
            crate::varint::put(chunk, &mut bytes);
            bytes.extend(sum);
        }
        let sums = ChunkSums::decode(Bounds::of(0), length, &bytes).unwrap();
        let mut finding = Finding::default();
        finding.note(&chunks, from, &sums);
        let range = from..from + length;
        let moved = finding.settle(&range, old.len() as u64, Bounds::of(0));
        let mut end = from;
        for (part, at) in moved.parts(&range) {
            prop_assert_eq!(part.start, end);
            end = part.end;
            if let Some(at) = at {
                prop_assert!(at + (part.end - part.start) <= old.len() as u64);
            }
        }
        prop_assert_eq!(end, range.end);
    }
}
