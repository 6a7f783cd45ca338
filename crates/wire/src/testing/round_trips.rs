//! Every message comes back as it was, and what is cut or changed never does harm.
//!
//! A changed bit may well be another sound message: to find that is left to TLS and ssh below and to
//! the digests of whole files above. Here it must only be refused or understood.

use proptest::prelude::*;

use super::{message, reply, request};
use crate::codec::{Codec, Malformed, decode, encode};
use crate::control::Message;
use crate::request::{Ask, Request, ask};
use crate::response::Reply;

fn comes_back<T: Codec + PartialEq + std::fmt::Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes = encode(value);
    let decoded = decode::<T>(&bytes);
    prop_assert_eq!(decoded.as_ref(), Ok(value));
    for end in 0..bytes.len() {
        prop_assert!(decode::<T>(&bytes[..end]).is_err(), "cut at {}", end);
    }
    let longer = [&*bytes, &[0]].concat();
    prop_assert_eq!(decode::<T>(&longer), Err(Malformed::Trailing(1)));
    Ok(())
}

/// Whatever decodes is encoded to the bytes that it came from: no two messages for one meaning.
fn is_refused_or_understood<T: Codec>(mut bytes: Vec<u8>, bit: usize) -> Result<(), TestCaseError> {
    let bit = bit % (bytes.len() * 8).max(1);
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    if let Ok(value) = decode::<T>(&bytes) {
        prop_assert_eq!(encode(&value), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn requests_come_back(request in request(), credit: u64) {
        comes_back(&request)?;
        let asked: Ask = decode(&ask(credit, &request)).expect("it is sound");
        prop_assert_eq!((asked.credit, asked.request), (credit, request));
    }

    #[test]
    fn replies_come_back(reply in reply()) {
        comes_back(&reply)?;
    }

    #[test]
    fn control_messages_come_back(message in message()) {
        comes_back(&message)?;
    }

    #[test]
    fn flipped_bits_are_refused_or_understood(
        request in request(),
        reply in reply(),
        message in message(),
        bit: usize,
    ) {
        is_refused_or_understood::<Request>(encode(&request), bit)?;
        is_refused_or_understood::<Reply>(encode(&reply), bit)?;
        is_refused_or_understood::<Message>(encode(&message), bit)?;
    }

    #[test]
    fn random_bytes_are_refused_or_understood(bytes in prop::collection::vec(any::<u8>(), 1..80)) {
        is_refused_or_understood::<Request>(bytes.clone(), 0)?;
        is_refused_or_understood::<Reply>(bytes.clone(), 0)?;
        is_refused_or_understood::<Message>(bytes, 0)?;
    }
}
