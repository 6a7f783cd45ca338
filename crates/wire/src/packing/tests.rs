//! What is compressed comes out as it was, what does not shrink is left alone, and no frame unpacks to
//! more than it says.

use proptest::prelude::*;

use super::*;
use crate::frame::tests::frames;
use crate::frame::{Content, RequestId};
use crate::limits::CONTENT_BYTES;
use crate::response::Arrived;

const ZSTD: Method = Method::Zstd { level: 3 };

const ALL: Packing = Packing { taken: Features::HERE, content: Some(ZSTD) };

fn packer(packing: Packing) -> Packer {
    let mut packer = Packer::default();
    packer.set(packing);
    packer
}

fn data(bytes: Vec<u8>) -> Piece {
    Piece::Data { offset: 7, content: Content::new(bytes).expect("it fits a frame") }
}

/// Bytes in which nothing comes twice.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

/// What a piece takes on a lane, what it counts for, and what it is on the other side.
fn sent(packed: Packed) -> (usize, usize, Piece) {
    let header = Header { id: RequestId(1), flags: Flags::LAST, ..Header::plain(FrameKind::Data) };
    let (outgoing, counted) = packed.into_outgoing(header);
    let bytes = outgoing.parts().concat();
    let frame = frames(&bytes, &[100_000]).expect("it is sound").remove(0);
    let arrived = Arrived::decode(frame, &mut Unpacker::default()).expect("it is sound");
    assert_eq!(arrived.wire_bytes, counted as u64, "both sides count the same");
    assert_eq!(arrived.header.flags, Flags::LAST);
    (bytes.len(), counted, arrived.piece)
}

#[test]
fn what_shrinks_is_compressed_and_counts_as_if_it_were_not() {
    let pieces = [
        data(vec![b'x'; CONTENT_BYTES]),
        data(b"a line of a log\n".repeat(40)),
        Piece::Operations(Content::new(vec![1; 5000]).expect("it fits a frame")),
    ];
    for (piece, method) in pieces.iter().flat_map(|it| [(it, ZSTD), (it, Method::Lz4)]) {
        let packing = Packing { content: Some(method), ..ALL };
        let (_, plain, _) = sent(piece.clone().into());
        let (length, counted, arrived) = sent(packer(packing).pack(piece.clone(), true));
        assert!(arrived == *piece && length * 4 < counted, "{method:?}: {length} of {counted}");
        assert_eq!(counted, plain);
    }
}

#[test]
fn what_does_not_shrink_goes_as_it_is() {
    let is_left_alone = |packed: Packed| {
        let piece = packed.piece.clone();
        let (length, counted, arrived) = sent(packed);
        arrived == piece && length == counted
    };
    for method in [ZSTD, Method::Lz4] {
        let packing = Packing { content: Some(method), ..ALL };
        assert!(
            is_left_alone(packer(packing).pack(data(noise(CONTENT_BYTES)), true)),
            "{method:?}"
        );
    }
    assert!(is_left_alone(packer(ALL).pack(data(vec![b'x'; WORTH_BYTES / 2]), true)));
    assert!(is_left_alone(packer(ALL).pack(data(vec![b'x'; 10_000]), false)), "known not to");
    let only_listings = Packing { content: None, ..ALL };
    assert!(is_left_alone(packer(only_listings).pack(data(vec![b'x'; 10_000]), true)));
    let not_taken = Packing { taken: Features::LZ4, ..ALL };
    assert!(is_left_alone(packer(not_taken).pack(data(vec![b'x'; 10_000]), true)));
    assert!(is_left_alone(packer(ALL).pack(Reply::Done.into(), true)));
}

#[test]
fn what_never_shrinks_is_seldom_tried_and_what_does_each_time() {
    let tries = |shrinks: fn(u32) -> bool, count: u32| {
        let (mut thrift, mut tries) = (Thrift::default(), 0);
        for number in 0..count {
            thrift.spend(|| {
                tries += 1;
                shrinks(number).then_some(())
            });
        }
        tries
    };
    assert_eq!(tries(|_| true, 6400), 6400);
    assert_eq!(tries(|_| false, 6400), 6 + (6400_u32 - 126).div_ceil(64));
    let after_a_change = tries(|number| number >= 6400, 12_800);
    assert!(after_a_change >= 6400 - 64, "{after_a_change}");
}

/// A frame of data that says it is compressed.
fn claimed(length: u32, packed: &[u8]) -> Frame {
    claimed_as(Flags::ZSTD, length, packed)
}

fn claimed_as(flags: Flags, length: u32, packed: &[u8]) -> Frame {
    let header = Header { id: RequestId(1), flags, ..Header::plain(FrameKind::Data) };
    Frame { header, body: [&length.to_le_bytes(), packed].concat() }
}

#[test]
fn nothing_is_unpacked_beyond_what_a_frame_says_nor_beyond_what_any_may() {
    #[track_caller]
    fn check(frame: Frame, why: &str) {
        let refused = Unpacker::default().unpack(frame).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let huge = zstd::bulk::compress(&vec![0; 100 << 20], 3).expect("it can be compressed");
    assert!(huge.len() < 20_000, "it is small until it is unpacked");
    check(claimed(u32::MAX, &huge), "longer than any may be");
    check(claimed(100 << 20, &huge), "longer than any may be");
    check(claimed(1000, &huge), "longer than it says");
    let short = zstd::bulk::compress(&[7; 999], 3).expect("it can be compressed");
    check(claimed(1000, &short), "not as long as it says");
    check(claimed(998, &short), "longer than it says");
    check(claimed(1000, b"no zstd"), "none of zstd");
    check(claimed_as(Flags::LZ4, 1000, b"\xf0\xff\xff"), "none of LZ4");
    check(claimed_as(Flags::LZ4, u32::MAX, &[0]), "longer than any may be");
    let frame = Frame { body: vec![1, 2, 3], ..claimed(0, b"") };
    check(frame, "ends");
    assert_eq!(Unpacker::default().unpack(claimed(999, &short)).map(|it| it.body.len()), Ok(999));
}

proptest! {
    #[test]
    fn whatever_comes_is_unpacked_or_refused(
        length in 0_u32..300_000,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..200,
    ) {
        let mut packed = zstd::bulk::compress(&noise(300), 3).expect("it can be compressed");
        let at = at % packed.len();
        let end = packed.len().min(at + bytes.len());
        packed[at..end].copy_from_slice(&bytes[..end - at]);
        if let Ok(frame) = Unpacker::default().unpack(claimed(length, &packed)) {
            prop_assert_eq!(frame.body.len(), length as usize);
        }
    }
}
