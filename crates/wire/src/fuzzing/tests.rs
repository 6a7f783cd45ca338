//! Bytes of all sorts, to every machine.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    lane, one_of_each, to_agent, to_controller, to_late_responder, to_requester, to_responder,
};
use crate::codec::encode;
use crate::frame::{FrameKind, Header, Outgoing, RequestId};
use crate::greeting::{Opening, SessionId, greeting};
use crate::lane::LaneNumber;
use crate::request::ask;
use crate::testing::{message, reply, request};

/// The bytes of sound frames of any content, which keep the rules of their kind or do not.
fn frames_of(
    kind: FrameKind,
    body: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = Vec<u8>> {
    let frame = (1_u64..25, body).prop_map(move |(id, body)| {
        let id = if kind == FrameKind::Control { 0 } else { id };
        let header = Header { id: RequestId(id), ..Header::plain(kind) };
        Outgoing::frame(header, &body).parts().concat()
    });
    vec(frame, 1..6).prop_map(|frames| frames.concat())
}

fn flip(mut bytes: Vec<u8>, bit: Option<usize>) -> Vec<u8> {
    if let Some(bit) = bit.map(|bit| bit % (bytes.len() * 8)) {
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    bytes
}

fn greeted() -> Vec<u8> {
    let opening = Opening { session: SessionId([7; 16]), lane: LaneNumber(1) };
    greeting(&crate::greeting::tests::hello(), Some(opening))
}

#[test]
fn sound_bytes_pass_everywhere() {
    let requests = one_of_each().into_iter().enumerate().map(|(index, request)| {
        let id = RequestId(index as u64 + 1);
        let header = Header { id, ..Header::plain(FrameKind::Request) };
        let credit = request.credit().expect("it is in range");
        Outgoing::frame(header, &ask(credit, &request)).parts().concat()
    });
    let requests: Vec<_> = requests.collect();
    assert_eq!(to_responder(&requests.concat()), Ok(requests.len()));
    // What is not open yet cannot be closed.
    let is_close = |request: &crate::Request| matches!(request, crate::Request::Close { .. });
    let close = one_of_each().iter().position(is_close).expect("it is one of them");
    assert_eq!(to_late_responder(&requests[..close].concat()), Ok(close));
    assert_eq!(lane(&[greeted(), requests.concat()].concat()), Ok(requests.len()));
}

proptest! {
    #[test]
    fn whatever_comes_every_machine_returns(bytes in vec(any::<u8>(), 0..400)) {
        let results = [
            lane(&bytes),
            lane(&[greeted(), bytes.clone()].concat()),
            to_responder(&bytes),
            to_late_responder(&bytes),
            to_requester(&bytes),
            to_agent(&bytes),
            to_controller(&bytes),
        ];
        prop_assert!(results.iter().flatten().all(|count| *count <= bytes.len() / 16));
    }

    #[test]
    fn requests_with_a_flipped_bit_are_taken_or_refused(
        bytes in frames_of(
            FrameKind::Request,
            (0_u64..100_000, request()).prop_map(|(credit, request)| ask(credit, &request)),
        ),
        bit: Option<usize>,
    ) {
        let count = to_responder(&flip(bytes, bit));
        prop_assert!(count.is_err() || count.is_ok_and(|count| count <= 6));
    }

    #[test]
    fn responses_with_a_flipped_bit_are_taken_or_refused(
        bytes in frames_of(FrameKind::Response, reply().prop_map(|reply| encode(&reply))),
        bit: Option<usize>,
    ) {
        let count = to_requester(&flip(bytes, bit));
        prop_assert!(count.is_err() || count.is_ok_and(|count| count <= 6));
    }

    #[test]
    fn control_messages_with_a_flipped_bit_are_taken_or_refused(
        bytes in frames_of(FrameKind::Control, message().prop_map(|message| encode(&message))),
        bit: Option<usize>,
    ) {
        for count in [to_agent(&flip(bytes.clone(), bit)), to_controller(&flip(bytes, bit))] {
            prop_assert!(count.is_err() || count.is_ok_and(|count| count <= 6));
        }
    }

    #[test]
    fn a_greeting_with_a_flipped_bit_is_taken_or_refused(bit: usize) {
        let count = lane(&flip(greeted(), Some(bit)));
        prop_assert!(count.is_err() || count == Ok(0));
    }
}
