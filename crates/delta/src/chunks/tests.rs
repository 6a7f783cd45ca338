//! Chunks and their sums, and what a peer may say instead of these.

use super::*;

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

/// As both sides must cut: another implementation, or another release of what cuts, has to come to the same.
#[test]
fn it_is_cut_where_the_protocol_says() {
    let sums = sums(&Seed::from([7; 32]), &content(1, 1 << 20), 1 << 20);
    let lengths: Vec<_> = sums.chunks.iter().map(|chunk| chunk.0).collect();
    let expected = [
        159_856, 86_644, 69_583, 123_663, 62_302, 86_953, 102_570, 64_455, 49_254, 74_170, 74_906,
        69_816, 24_404,
    ];
    assert_eq!(lengths, expected);
    assert_eq!(sums.chunks[0].1[..4], 2_122_916_567_u32.to_le_bytes());
}

#[test]
fn zeros_are_told_as_such() {
    let seed = Seed::from([7; 32]);
    let bytes = [vec![0; 2 << 20], content(1, 1 << 20)].concat();
    let sums = sums(&seed, &bytes, 1 << 20);
    assert_eq!(sums.iter(100).next().map(|it| (it.0, *it.2)), Some((100, ZEROS)));
    assert!(sums.iter(0).last().is_some_and(|it| *it.2 != ZEROS));
    let ends: Vec<_> = sums.iter(5).map(|(start, length, _)| start + u64::from(length)).collect();
    assert!(sums.iter(5).skip(1).map(|it| it.0).eq(ends[..ends.len() - 1].iter().copied()));
    assert_eq!(ends.last(), Some(&(bytes.len() as u64 + 5)));
}

#[test]
fn chunks_of_long_files_are_longer_and_their_number_is_bounded() {
    assert_eq!(Bounds::of(0).average_bytes, 64 << 10);
    assert_eq!(Bounds::of(32 << 30).average_bytes, 64 << 10);
    assert_eq!(Bounds::of(64 << 30).average_bytes, 128 << 10);
    assert_eq!(Bounds::of(u64::MAX), Bounds { average_bytes: 512 << 10 });
    let longest = LONGEST_BYTES;
    assert!(ChunkSums::most_encoded_bytes(Bounds::of(longest), longest) < 64 << 20);
    for bytes in [0, longest, u64::MAX] {
        let bounds = Bounds::of(bytes);
        assert!(ChunkSums::most_encoded_bytes(bounds, bounds.section_bytes()) <= 84 << 10);
    }
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
