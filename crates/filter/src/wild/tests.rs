//! Tables for wildcards, and the bound on the work.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    Wild::new(pattern).matches([b"", text, b""], Begin::Start)
}

#[track_caller]
fn check(pattern: &[u8], text: &[u8], expect: bool) {
    assert_eq!(
        matches(pattern, text),
        expect,
        "{} on {}",
        pattern.escape_ascii(),
        text.escape_ascii()
    );
}

#[test]
fn stars_and_question_marks() {
    check(b"*.o", b"a.o", true);
    check(b"*.o", b".o", true);
    check(b"*.o", b"a.oo", false);
    check(b"*.o", b"d/a.o", false);
    check(b"**.o", b"d/a.o", true);
    check(b"a?c", b"abc", true);
    check(b"a?c", b"a/c", false);
    check(b"a?c", b"a\xffc", true);
    check(b"a*c", b"a\nc", true);
    check(b"a**c", b"ac", true);
    check(b"a***c", b"a/b/c", true);
    check(b"a/*/c", b"a/b/c", true);
    check(b"a/*/c", b"a//c", true);
    check(b"a/*/c", b"a/b/b/c", false);
    check(b"*", b"", true);
    check(b"?", b"", false);
    check(b"*a*a*", b"bab", false);
    check(b"*a*a*", b"baba", true);
    check(b"**a*b", b"a/ab", true);
    check(b"**a*b", b"ab/a/b", false);
}

#[test]
fn classes() {
    check(b"[abc]", b"b", true);
    check(b"[!abc]", b"b", false);
    check(b"[^abc]", b"d", true);
    check(b"[^abc]", b"/", false);
    check(b"[/]", b"/", false);
    check(b"[a-c]", b"c", true);
    check(b"[c-a]", b"b", false);
    check(b"[a-c-e]", b"d", false);
    check(b"[a-c-e]", b"-", true);
    check(b"[]a]", b"]", true);
    check(b"[!]a]", b"]", false);
    check(b"[a-]", b"-", true);
    check(b"[-a]", b"-", true);
    check(b"[\\]]", b"]", true);
    check(b"[a-\\d]", b"c", true);
    check(b"[\x80-\xff]", b"\xc3", true);
    check(b"[[:digit:]]", b"7", true);
    check(b"[[:digit:][:space:]]", b"\x0b", true);
    check(b"[[:alpha:]]", b"\xe4", false);
    check(b"[[:blank:]]", b"\n", false);
    check(b"[[:print:]]", b" ", true);
    check(b"[[:graph:]]", b" ", false);
    check(b"[[:]", b":", true);
    check(b"[[:a]", b"[", true);
}

#[test]
fn malformed_patterns_match_nothing() {
    for pattern in
        [&b"[a"[..], b"[", b"[!", b"[]", b"[!]", b"[[:nope:]]", b"[[::]]", b"*\\", b"[a\\"]
    {
        for text in [&b"a"[..], b"[", b"[a", b"]", b"", b"\\", b":"] {
            check(pattern, text, false);
        }
    }
}

#[test]
fn backslash_takes_the_next_byte_as_it_is() {
    check(b"\\*", b"*", true);
    check(b"\\*", b"a", false);
    check(b"\\a?", b"ab", true);
    check(b"\\[a]", b"[a]", true);
    check(b"a\\/*", b"a/b", true);
}

#[test]
fn text_in_parts_counts_as_one() {
    let wild = Wild::new(b"**/foo/***");
    assert!(wild.matches([b"/", b"foo", b"/"], Begin::Start));
    assert!(wild.matches([b"/", b"a/foo/b", b""], Begin::Start));
    assert!(!wild.matches([b"/", b"foo", b""], Begin::Start));
    assert!(Wild::new(b"**/foo").matches([b"/", b"foo", b""], Begin::Start));
}

#[test]
fn begins_behind_any_slash_when_asked() {
    let wild = Wild::new(b"b/**c");
    assert!(wild.matches([b"", b"a/b/xc", b""], Begin::AnyName));
    assert!(!wild.matches([b"", b"a/bb/xc", b""], Begin::AnyName));
    assert!(!wild.matches([b"", b"a/b/xc", b""], Begin::Start));
}

#[test]
fn hostile_pattern_costs_no_more_than_its_length_times_the_texts() {
    let hostile: [Vec<u8>; 4] = [
        [b"a*".repeat(60), b"b".to_vec()].concat(),
        [b"**a".repeat(60), b"b".to_vec()].concat(),
        [b"*[a]?".repeat(200), b"b/".to_vec()].concat(),
        [b"**a*a".repeat(100), b"?".repeat(500)].concat(),
    ];
    let text = [b"a".repeat(200), b"/".to_vec()].concat().repeat(10);
    for pattern in hostile {
        for begin in [Begin::Start, Begin::AnyName] {
            let mut ticks = 0_usize;
            Wild::new(&pattern).run([b"/", &text, b"/"], begin, &mut || ticks += 1);
            assert!(ticks <= (pattern.len() + 1) * (text.len() + 2), "{ticks} ticks");
        }
    }
}

/// The plain recursive meaning of a pattern, for what cannot be malformed.
fn means(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', ..] => {
            let rest = &pattern[pattern.iter().take_while(|&&byte| byte == b'*').count()..];
            (0..=text.len()).any(|skip| means(rest, &text[skip..]))
        }
        [b'*', rest @ ..] => {
            let most = text.iter().take_while(|&&byte| byte != b'/').count();
            (0..=most).any(|skip| means(rest, &text[skip..]))
        }
        [b'?', rest @ ..] => {
            text.first().is_some_and(|&byte| byte != b'/') && means(rest, &text[1..])
        }
        [byte, rest @ ..] => text.first() == Some(byte) && means(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_plain_meaning(pattern in "[ab/*?]{0,9}", text in "[ab/]{0,12}") {
        let [pattern, text] = [pattern.as_bytes(), text.as_bytes()];
        prop_assert_eq!(matches(pattern, text), means(pattern, text));
        let anywhere = (0..=text.len())
            .filter(|&at| at == 0 || text[at - 1] == b'/')
            .any(|at| means(pattern, &text[at..]));
        let found = Wild::new(pattern).matches([b"", text, b""], Begin::AnyName);
        prop_assert_eq!(found, anywhere);
    }

    #[test]
    fn long_patterns_agree_with_short_ones(count in 0_usize..80, text in "[ab/]{0,12}") {
        // More than 64 positions need the longer set.
        let pattern = [vec![b'a'; count], b"*".to_vec(), text.clone().into_bytes()].concat();
        let text = [vec![b'a'; count], b"b".to_vec(), text.into_bytes()].concat();
        prop_assert!(matches(&pattern, &text));
        prop_assert!(!matches(&pattern, &text[..count.max(1) - 1]) || count == 0);
    }

    #[test]
    fn never_panics(pattern in vec(any::<u8>(), 0..90), text in vec(any::<u8>(), 0..60)) {
        matches(&pattern, &text);
    }
}
