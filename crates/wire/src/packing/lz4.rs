//! The block format of LZ4, both ways.
//!
//! It is small, and reads what a peer sent. So it is written out here, in code that cannot leave its bounds
//! and takes no more memory than the frame was checked to be allowed.
//!
//! A block is a row of sequences: a token, literals, and a match, which copies bytes that came out at most
//! 65,535 bytes before. The token has the length of the literals in its upper half and that of the match,
//! less four, in its lower one; a half of 15 goes on in further bytes, up to one that is not 255. The last
//! sequence has no match. The last five bytes are literals, and no match begins in the last twelve.

/// What the format says of the end of a block.
const LAST_LITERALS: usize = 5;
const NO_MATCH_FROM_END: usize = 12;

const MATCH_LEAST: usize = 4;
const DISTANCE_MAX: usize = u16::MAX as usize;

/// A half of a token that goes on in further bytes.
const GOES_ON: usize = 15;

/// Places are found by a hash of so many bits: what a core has near.
const HASH_BITS: u32 = 13;

/// After so many places in vain the steps grow: what does not shrink is passed over quickly.
const STEP_SHIFT: usize = 6;

/// Compresses blocks.
pub(super) struct Compressor {
    /// The last place of each hash, plus one.
    places: Box<[u32]>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self { places: vec![0; 1 << HASH_BITS].into_boxed_slice() }
    }

    /// Appends a block; `None`, and whatever has been appended, if that takes more than `most` bytes.
    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, most: usize) -> Option<()> {
        self.places.fill(0);
        let end = out.len() + most;
        let (mut at, mut literals_from, mut misses) = (0, 0, 1 << STEP_SHIFT);
        while at + NO_MATCH_FROM_END < input.len() {
            let Some(found) = self.candidate(input, at) else {
                at += misses >> STEP_SHIFT;
                misses += 1;
                continue;
            };
            misses = 1 << STEP_SHIFT;
            let limit = input.len() - LAST_LITERALS - at;
            let ahead = input[at..at + limit].iter().zip(&input[found..]);
            let mut length = ahead.take_while(|(one, other)| one == other).count();
            let literals = &input[literals_from..at];
            let behind = literals.iter().rev().zip(input[..found].iter().rev());
            let more = behind.take_while(|(one, other)| one == other).count();
            length += more;
            let literals = &literals[..literals.len() - more];
            sequence(out, literals, Some((at - found, length)));
            at = at - more + length;
            literals_from = at;
            if out.len() > end {
                return None;
            }
        }
        sequence(out, &input[literals_from..], None);
        (out.len() <= end).then_some(())
    }

    /// An earlier place with the same four bytes, near enough.
    fn candidate(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let here = four(input, at)?;
        let hash = here.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS);
        let next = u32::try_from(at + 1).ok()?;
        let place = std::mem::replace(&mut self.places[hash as usize], next);
        let found = place.checked_sub(1)? as usize;
        (at - found <= DISTANCE_MAX && four(input, found)? == here).then_some(found)
    }
}

fn four(input: &[u8], at: usize) -> Option<u32> {
    input.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Appends literals and the distance and length of a match.
fn sequence(out: &mut Vec<u8>, literals: &[u8], matched: Option<(usize, usize)>) {
    let beyond = matched.map_or(0, |(_, length)| length - MATCH_LEAST);
    let (upper, lower) = (literals.len().min(GOES_ON), beyond.min(GOES_ON));
    out.push(u8::try_from(upper << 4 | lower).expect("each half is below 16"));
    more(out, literals.len());
    out.extend_from_slice(literals);
    if let Some((distance, _)) = matched {
        let distance = u16::try_from(distance).expect("no match is farther away");
        out.extend_from_slice(&distance.to_le_bytes());
        more(out, beyond);
    }
}

/// What of a length is beyond the token.
fn more(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(GOES_ON) else { return };
    while rest >= 255 {
        out.push(255);
        rest -= 255;
    }
    out.push(u8::try_from(rest).expect("it is below 255"));
}

/// What a block holds, if that is exactly so many bytes. No more memory is taken, whatever it says.
pub(super) fn decompress(block: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    let mut rest = block;
    loop {
        let token = usize::from(take(&mut rest, 1)?[0]);
        let count = length_of(&mut rest, token >> 4, length)?;
        let literals = take(&mut rest, count)?;
        if literals.len() > length - out.len() {
            return None;
        }
        out.extend_from_slice(literals);
        if rest.is_empty() {
            return (out.len() == length).then_some(out);
        }
        let distance = take(&mut rest, 2)?;
        let distance = usize::from(u16::from_le_bytes([distance[0], distance[1]]));
        let count = length_of(&mut rest, token & GOES_ON, length)? + MATCH_LEAST;
        if distance == 0 || distance > out.len() || count > length - out.len() {
            return None;
        }
        copy(&mut out, distance, count);
    }
}

/// Appends what came out before. It may reach into what it appends.
fn copy(out: &mut Vec<u8>, distance: usize, mut count: usize) {
    let from = out.len() - distance;
    while count > 0 {
        // What is there already repeats itself.
        let now = count.min(out.len() - from);
        out.extend_from_within(from..from + now);
        count -= now;
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

/// A length that begins with a half of a token, if it is not above `most`.
fn length_of(rest: &mut &[u8], half: usize, most: usize) -> Option<usize> {
    let mut length = half;
    if half == GOES_ON {
        loop {
            let byte = take(rest, 1)?[0];
            length += usize::from(byte);
            if length > most {
                return None;
            }
            if byte < 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Compressor::new().compress(input, &mut out, usize::MAX / 2).expect("there is room");
        out
    }

    #[test]
    fn a_block_is_as_the_format_says() {
        assert_eq!(block(b""), [0]);
        assert_eq!(block(b"abc"), [0x30, b'a', b'b', b'c']);
        // One literal, a match of 26 at distance 1, and the last five literals.
        let run = block(&[b'x'; 32]);
        assert_eq!(run, [0x1f, b'x', 1, 0, 7, 0x50, b'x', b'x', b'x', b'x', b'x']);
        assert_eq!(decompress(&run, 32).as_deref(), Some(&[b'x'; 32][..]));
        // As the program lz4 writes it.
        let line = |number: u32| format!("line {number}: all is well\n").into_bytes();
        let log: Vec<u8> = (0..40).flat_map(line).collect();
        let theirs = b"\
            \xf1\x05line\x200:\x20all\x20is\x20well\x0a\x14\x00\x1f1\x14\x00\x00\x1f2\x14\
            \x00\x00\x1f3\x14\x00\x00\x1f4\x14\x00\x00\x1f5\x14\x00\x00\x1f6\x14\x00\x00\x1f\
            7\x14\x00\x00\x1f8\x14\x00\x00\x1f9\xb4\x00\x01\x0f\xc9\x00\x02\x0f\xca\x00\x01\
            \x1f1\xcb\x00\x01\x1f1\xcc\x00\x01\x1f1\xcd\x00\x01\x1f1\xce\x00\x01\x1f1\xcf\
            \x00\x01\x1f1\xd0\x00\x01\x1f1\xd1\x00\x01\x1f1\xd2\x00\x01\x1f2\xd2\x00\x01\x1f\
            2\x9c\x01\x02\x0f\xd2\x00\x01\x1f2\xd2\x00\x01\x1f2\xd2\x00\x01\x1f2\xd2\x00\x01\
            \x1f2\xd2\x00\x01\x1f2\xd2\x00\x01\x1f2\xd2\x00\x01\x1f2\xd2\x00\x01\x1f3\xd2\
            \x00\x01\x1f3\xd2\x00\x01\x1f3o\x02\x02\x0f\xd2\x00\x01\x1f3\xd2\x00\x01\x1f3\
            \xd2\x00\x01\x1f3\xd2\x00\x01\x1f3\xd2\x00\x01\x1f3\xd2\x00\x01\x163\xd2\x00Pwel\
            l\x0a";
        assert_eq!(decompress(theirs, log.len()), Some(log));
        // As another program may write it: a match that reaches into itself, and lengths that go on.
        let other = [&[0xff, 0][..], b"abcdefghijklmno", &[3, 0, 255, 1, 0]].concat();
        let repeated = b"mno".repeat(92);
        let held = [&b"abcdefghijkl"[..], &b"mno"[..], &repeated[..275]].concat();
        assert_eq!(decompress(&other, held.len()), Some(held));
    }

    #[test]
    fn what_says_too_much_or_too_little_is_refused() {
        let sound = block(&b"all is well and all is well".repeat(9));
        let length = 27 * 9;
        assert!(decompress(&sound, length).is_some());
        for wrong in [0, 1, length - 1, length + 1, 1 << 20] {
            assert_eq!(decompress(&sound, wrong), None, "{wrong}");
        }
        for end in 0..sound.len() {
            assert_eq!(decompress(&sound[..end], length), None, "{end}");
        }
        let before_the_beginning = [0x14, b'x', 2, 0, 0x50, 1, 2, 3, 4, 5];
        assert_eq!(decompress(&before_the_beginning, 14), None);
        let nowhere = [0x14, b'x', 0, 0, 0x50, 1, 2, 3, 4, 5];
        assert_eq!(decompress(&nowhere, 14), None);
        let endless = [&[0xf0][..], &vec![255; 100_000]].concat();
        assert_eq!(decompress(&endless, 1000), None);
    }

    #[test]
    fn what_has_no_room_is_given_up() {
        let noise: Vec<u8> = (0..5000_u32)
            .flat_map(|it| (it.wrapping_mul(2_654_435_761) ^ it << 13).to_le_bytes())
            .collect();
        assert_eq!(Compressor::new().compress(&noise, &mut Vec::new(), 100), None);
        let zeros = Compressor::new().compress(&[0; 5000], &mut Vec::new(), 100);
        assert_eq!(zeros, Some(()));
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_out_as_it_was(
            words in prop::collection::vec(
                prop::sample::select(vec![&b"a"[..], b"bc", b"lane", b"0123456789abcdef", b"\0\0\0\0"]),
                0..2000,
            ),
            noise in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let input = [words.concat(), noise.clone(), words.concat(), noise].concat();
            prop_assert_eq!(decompress(&block(&input), input.len()), Some(input));
        }

        #[test]
        fn whatever_comes_is_decompressed_or_refused(
            block in prop::collection::vec(any::<u8>(), 0..200),
            length in 0_usize..1000,
        ) {
            if let Some(out) = decompress(&block, length) {
                prop_assert_eq!(out.len(), length);
            }
        }
    }
}
