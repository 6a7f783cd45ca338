//! Each limit at its number and one above, and what could leave a directory.

use super::{
    AttributeName, AttributeValue, Digest, EventBytes, LinkText, List, Name, OperatorPath,
    OutcomeBytes, OwnerName, ProgressBytes, Signature, Text, WorkPiece,
};
use crate::codec::{Codec, Malformed, decode, encode, write_bytes};
use crate::limits;

/// What fits is taken, by us and from the wire; one byte more is not.
#[track_caller]
fn check<T: Codec>(new: fn(Vec<u8>) -> Result<T, Malformed>, limit: usize) {
    let decoded = |length: usize| {
        let mut bytes = Vec::new();
        write_bytes(&vec![b'x'; length], &mut bytes);
        decode::<T>(&bytes)
    };
    let too_long = |result: Result<T, Malformed>| {
        let Err(Malformed::TooLong { length, limit: told, .. }) = result else { return false };
        length == limit as u64 + 1 && told == limit as u64
    };
    assert!(new(vec![b'x'; limit]).is_ok());
    assert!(decoded(limit).is_ok());
    assert!(too_long(new(vec![b'x'; limit + 1])));
    assert!(too_long(decoded(limit + 1)));
}

#[test]
fn each_limit_holds_at_its_number() {
    check(Name::new, limits::NAME_BYTES);
    check(OperatorPath::new, limits::OPERATOR_PATH_BYTES);
    check(LinkText::new, limits::LINK_TEXT_BYTES);
    check(AttributeName::new, limits::ATTRIBUTE_NAME_BYTES);
    check(AttributeValue::new, limits::ATTRIBUTE_VALUE_BYTES);
    check(OwnerName::new, limits::OWNER_NAME_BYTES);
    check(Digest::new, limits::DIGEST_BYTES);
    check(Signature::new, limits::SIGNATURE_BYTES);
    check(WorkPiece::new, limits::WORK_PIECE_BYTES);
    check(EventBytes::new, limits::EVENT_BYTES);
    check(ProgressBytes::new, limits::PROGRESS_BYTES);
    check(OutcomeBytes::new, limits::OUTCOME_BYTES);
}

#[test]
fn a_length_beyond_all_memory_is_refused_before_anything_is_taken() {
    for length in [1 << 31, 1 << 63, u64::MAX] {
        let bytes = encode(&length);
        let too_long = Err(Malformed::TooLong { what: "a name", length, limit: 255 });
        assert_eq!(decode::<Name>(&bytes), too_long);
        assert!(matches!(
            decode::<List<u64, 8>>(&bytes),
            Err(Malformed::TooLong { what: "a list", .. })
        ));
    }
    // Within the limit, but more than the message can hold.
    let bytes = encode(&1_000_000_u64);
    assert_eq!(decode::<List<u64, 1_000_000>>(&bytes), Err(Malformed::Truncated));
    assert_eq!(decode::<Signature>(&encode(&20_000_u64)), Err(Malformed::Truncated));
}

#[test]
fn names_that_could_leave_their_directory_are_refused() {
    for bad in [&b""[..], b".", b"..", b"/", b"a/b", b"../x", b"/etc/passwd", b"a/", b"a\0b", b"\0"]
    {
        let mut bytes = Vec::new();
        write_bytes(bad, &mut bytes);
        let refused = decode::<Name>(&bytes);
        let expected =
            Malformed::Forbidden { what: "a name", why: "is not one component of a path" };
        assert_eq!(refused, Err(expected.clone()), "{}", bad.escape_ascii());
        assert_eq!(Name::new(bad), Err(expected));
    }
    for good in [&b"a"[..], b"...", b"..a", b".a", b"a\nb", b"\xff\xfe", b"a b", b"-rf", b"$(x)"] {
        assert!(Name::new(good).is_ok(), "{}", good.escape_ascii());
    }
}

#[test]
fn texts_for_the_system_have_no_nul() {
    assert!(LinkText::new("").is_err());
    assert!(LinkText::new("a\0").is_err());
    assert!(LinkText::new("../../etc/passwd").is_ok());
    assert!(OperatorPath::new("").is_err());
    assert!(OperatorPath::new("\0").is_err());
    assert!(AttributeName::new("").is_err());
    assert!(AttributeName::new("user.\0").is_err());
    assert!(AttributeValue::new("").is_ok());
    assert!(OwnerName::new("").is_err());
    assert!(OwnerName::new("a\0").is_err());
}

#[test]
fn texts_for_people_are_cut_between_characters() {
    assert_eq!(Text::<4>::new("abcdef").as_str(), "abcd");
    assert_eq!(Text::<4>::new("aäöü").as_str(), "aä");
    let mut not_utf8 = Vec::new();
    write_bytes(b"\xff", &mut not_utf8);
    assert!(decode::<Text<4>>(&not_utf8).is_err());
    let mut long = Vec::new();
    write_bytes(b"abcde", &mut long);
    assert!(decode::<Text<4>>(&long).is_err());
}

#[test]
fn lists_end_at_their_limit() {
    let full = List::<u8, 3>::new(vec![1, 2, 3]).expect("it is not above the limit");
    assert_eq!(decode(&encode(&full)), Ok(full.clone()));
    assert!(List::<u8, 3>::new(vec![1, 2, 3, 4]).is_err());
    assert_eq!(full.clone().push(4), Err(4));
    assert!(decode::<List<u8, 3>>(&[4, 1, 2, 3, 4]).is_err());
}

#[test]
fn what_is_shown_of_bytes_is_short_and_escaped() {
    let name = Name::new([b'\n'; 200]).expect("it is a name");
    let shown = format!("{name:?}");
    assert!(shown.starts_with("Name(\\n\\n") && shown.ends_with("...)"), "{shown}");
    assert_eq!(shown.len(), "Name(".len() + 80 * 2 + "...)".len());
}
