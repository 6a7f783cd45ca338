//! Headers and bodies, in any chunks.

use proptest::prelude::*;

use super::{Content, Decoder, Flags, Frame, FrameKind, Header, Outgoing, RequestId};
use crate::codec::Malformed;
use crate::limits::{BODY_BYTES, CONTENT_BYTES, HEADER_BYTES};
use crate::violation::Violation;

/// All frames of a lane whose bytes come in pieces of these lengths, again and again.
pub(crate) fn frames(bytes: &[u8], lengths: &[usize]) -> Result<Vec<Frame>, Violation> {
    let mut decoder = Decoder::default();
    let (mut rest, mut frames) = (bytes, Vec::new());
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut piece, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        while !piece.is_empty() {
            frames.extend(decoder.feed(&mut piece)?);
        }
    }
    Ok(frames)
}

fn bytes(outgoing: &Outgoing) -> Vec<u8> {
    outgoing.parts().concat()
}

fn header(kind: FrameKind) -> Header {
    Header { kind, flags: Flags::empty(), attempt: 0, id: RequestId(1) }
}

/// A header as somebody else could write it.
fn raw(length: u32, kind: u8, flags: u8, attempt: u16, id: u64) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(attempt.to_le_bytes());
    bytes.extend(id.to_le_bytes());
    bytes
}

#[test]
fn the_header_has_the_form_that_is_documented() {
    let header = Header {
        kind: FrameKind::Data,
        flags: Flags::LAST,
        attempt: 0x0102,
        id: RequestId(0x0304),
    };
    let content = Content::new(b"xyz".to_vec()).expect("it is short");
    let frame = Outgoing::with_content(header, b"before", content);
    assert_eq!(bytes(&frame), *b"\x09\0\0\0\x21\x01\x02\x01\x04\x03\0\0\0\0\0\0beforexyz");
    assert_eq!(frame.byte_count(), HEADER_BYTES + 9);
}

#[test]
fn a_body_ends_at_its_limit() {
    let longest = Outgoing::frame(header(FrameKind::Response), &vec![7; BODY_BYTES]);
    let taken = frames(&bytes(&longest), &[100_000]).expect("it is at the limit");
    assert_eq!(taken[0].body.len(), BODY_BYTES);
    let length = u32::try_from(BODY_BYTES).expect("it is small") + 1;
    let refused = Err(Violation::FrameLength { length, limit: BODY_BYTES });
    assert_eq!(frames(&raw(length, 32, 0, 0, 1), &[16]), refused);
    let refused = Err(Violation::FrameLength { length: u32::MAX, limit: BODY_BYTES });
    assert_eq!(frames(&raw(u32::MAX, 32, 0, 0, 1), &[16]), refused);
    let refused = Err(Violation::FrameLength { length: 1, limit: 0 });
    assert_eq!(frames(&raw(1, 2, 0, 0, 0), &[16]), refused);
}

#[test]
fn headers_that_say_too_much_are_refused() {
    #[track_caller]
    fn check(bytes: &[u8], expected: Violation) {
        assert_eq!(frames(bytes, &[16]), Err(expected));
    }
    check(&raw(0, 0, 0, 0, 1), Violation::FrameKind(0));
    check(&raw(0, 99, 0, 0, 1), Violation::FrameKind(99));
    check(&raw(0, 32, 0x80, 0, 1), Violation::Header(FrameKind::Response));
    check(&raw(0, 16, 0x02, 0, 1), Violation::Header(FrameKind::Request));
    check(&raw(0, 1, 0x02, 0, 0), Violation::Header(FrameKind::Control));
    check(&raw(0, 16, 0x04, 0, 1), Violation::Header(FrameKind::Request));
    check(&raw(0, 32, 0x06, 0, 1), Violation::Compression);
    check(&raw(0, 32, 0, 0, 0), Violation::Header(FrameKind::Response));
    check(&raw(0, 16, 0x01, 0, 1), Violation::Header(FrameKind::Request));
    check(&raw(0, 1, 0, 0, 1), Violation::Header(FrameKind::Control));
    check(&raw(0, 1, 0, 1, 0), Violation::Header(FrameKind::Control));
    check(&raw(0, 2, 0x01, 0, 0), Violation::Header(FrameKind::Keepalive));
}

#[test]
fn content_is_neither_empty_nor_too_long() {
    assert!(Content::new(vec![0; CONTENT_BYTES]).is_ok());
    assert!(Content::new(vec![0; CONTENT_BYTES + 1]).is_err());
    assert!(Content::new(Vec::new()).is_err());
    assert!(Content::of_body(vec![0; CONTENT_BYTES + 8], 8).is_ok());
    assert!(Content::of_body(vec![0; CONTENT_BYTES + 9], 8).is_err());
    assert!(Content::of_body(vec![0; 8], 8).is_err());
    assert_eq!(Content::of_body(vec![0; 7], 8), Err(Malformed::Truncated));
    let content = Content::of_body(b"12345678abc".to_vec(), 8).expect("it is short");
    assert_eq!(*content, *b"abc");
}

proptest! {
    #[test]
    fn frames_come_out_whole_however_the_bytes_are_chunked(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
        lengths in prop::collection::vec(1_usize..50, 1..6),
    ) {
        let kind = header(FrameKind::Response);
        let outgoing = bodies.iter().map(|body| bytes(&Outgoing::frame(kind, body)));
        let taken = frames(&outgoing.collect::<Vec<_>>().concat(), &lengths);
        let taken = taken.expect("all are sound");
        prop_assert_eq!(taken.iter().map(|frame| &frame.body).collect::<Vec<_>>(),
            bodies.iter().collect::<Vec<_>>());
        prop_assert!(taken.iter().all(|frame| frame.header == kind));
    }
}
