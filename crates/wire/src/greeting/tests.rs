//! What is heard of a greeting, and of what is none.

use super::{Capacity, Features, Hello, Listener, Opening, REVISION, SessionId, System, greeting};
use crate::bounded::Text;
use crate::lane::LaneNumber;
use crate::limits;
use crate::violation::Violation;

pub(crate) fn hello() -> Hello {
    Hello {
        version: Text::new("0.1.0"),
        system: System::Linux,
        features: Features::ZSTD,
        capacity: Capacity::default(),
    }
}

fn opening() -> Opening {
    Opening { session: SessionId([9; 16]), lane: LaneNumber(3) }
}

/// What is heard of bytes that come in pieces of this length.
fn hear(bytes: &[u8], length: usize) -> Result<Option<(Hello, Option<Opening>)>, Violation> {
    let mut listener = Listener::default();
    for mut piece in bytes.chunks(length) {
        if let Some(heard) = listener.feed(&mut piece)? {
            return Ok(Some(heard));
        }
    }
    Ok(None)
}

#[test]
fn what_is_said_is_heard_however_it_is_chunked() {
    for opening in [None, Some(opening())] {
        let bytes = greeting(&hello(), opening);
        for length in [1, 2, 7, 1000] {
            assert_eq!(hear(&bytes, length), Ok(Some((hello(), opening))));
        }
        for end in 0..bytes.len() {
            assert_eq!(hear(&bytes[..end], 5), Ok(None), "cut at {end}");
        }
    }
}

#[test]
fn the_first_part_has_its_form_for_all_time() {
    let bytes = greeting(&hello(), None);
    assert_eq!(bytes[..10], *b"\x8dLANE\r\n\n\x08\0");
    assert_eq!(bytes[10..16], *b"\x050.1.0");
}

#[test]
fn what_follows_the_greeting_is_left() {
    let mut bytes = greeting(&hello(), None);
    bytes.extend(b"next");
    let mut rest = &*bytes;
    assert!(Listener::default().feed(&mut rest).is_ok_and(|heard| heard.is_some()));
    assert_eq!(rest, b"next");
}

#[test]
fn another_revision_says_so_whatever_comes_after_it() {
    let mut bytes = greeting(&hello(), None);
    bytes[8..10].copy_from_slice(&9_u16.to_le_bytes());
    bytes.truncate(16);
    bytes.extend([0xff; 40]);
    let error = hear(&bytes, 3).expect_err("it is another revision");
    assert_eq!(
        error,
        Violation::Revision { theirs: 9, version: "0.1.0".to_owned(), ours: REVISION }
    );
    assert_eq!(
        error.to_string(),
        "the other side speaks revision 9 of the protocol (lanesync 0.1.0), this one revision 8: \
         install the same version on both"
    );
}

#[test]
fn a_talkative_login_is_quoted_by_its_first_line() {
    let said = b"Welcome to host!\r\n\x1b[1mmotd\n";
    for length in [1, 5, 100] {
        let noise = Violation::Noise("Welcome to host!".to_owned());
        assert_eq!(hear(said, length), Err(noise));
    }
    let mut listener = Listener::default();
    assert_eq!(listener.feed(&mut &b"bash: lane"[..]), Ok(None));
    assert_eq!(listener.broken_off(Violation::Mute), Violation::Noise("bash: lane".to_owned()));
    assert_eq!(Listener::default().broken_off(Violation::Mute), Violation::Mute);
}

#[test]
fn noise_without_an_end_is_cut() {
    let error = hear("x".repeat(100_000).as_bytes(), 4096);
    assert_eq!(error, Err(Violation::Noise("x".repeat(limits::NOISE_BYTES))));
}

#[test]
fn line_ends_that_were_changed_on_the_way_are_noise() {
    let bytes = greeting(&hello(), None);
    let changed: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\r').collect();
    assert!(matches!(hear(&changed, 100), Err(Violation::Noise(_))));
}

#[test]
fn a_capacity_is_taken_within_the_limits_only() {
    let mut greedy = hello();
    greedy.capacity = Capacity { requests: u32::MAX, handles: 0, window_bytes: u64::MAX };
    let (heard, _) =
        hear(&greeting(&greedy, None), 100).expect("it is sound").expect("it is whole");
    assert_eq!(
        heard.capacity,
        Capacity { requests: limits::REQUESTS, handles: 1, window_bytes: limits::WINDOW_BYTES }
    );
}

#[test]
fn lengths_of_the_greeting_have_limits() {
    let mut bytes = greeting(&hello(), None);
    bytes[10] = 65;
    assert!(matches!(hear(&bytes, 100), Err(Violation::Greeting(_))));
    let mut bytes = greeting(&hello(), None);
    bytes[16..18].copy_from_slice(&4097_u16.to_le_bytes());
    assert!(matches!(hear(&bytes, 100), Err(Violation::Greeting(_))));
}
