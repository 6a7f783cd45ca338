//! Which part of a path a pattern is compared with.

use super::*;

const ROOT: &[u8] = b"/home/me";

#[track_caller]
fn check(pattern: &[u8], path: &[u8], expect: bool) {
    check_with(Traits::empty(), &Anchor::TransferRoot, pattern, path, expect);
}

/// A path ending in a slash is a directory.
#[track_caller]
fn check_with(traits: Traits, anchor: &Anchor, pattern: &[u8], path: &[u8], expect: bool) {
    let (name, kind) = match path.strip_suffix(b"/") {
        Some(name) => (name, NodeKind::Directory),
        None => (path, NodeKind::Other),
    };
    let found = Pattern::new(pattern, traits, anchor).matches(&Subject::entry(ROOT, name, kind));
    assert_eq!(found, expect, "{} on {}", pattern.escape_ascii(), path.escape_ascii());
}

#[test]
fn lone_name_is_compared_with_the_last_name() {
    check(b"foo", b"foo", true);
    check(b"foo", b"a/b/foo", true);
    check(b"foo", b"a/xfoo", false);
    check(b"foo", b"foo/a", false);
    check(b"f*", b"a/foo", true);
    check(b"f*", b"foo/a", false);
}

#[test]
fn leading_slash_means_the_transfer_root() {
    check(b"/foo", b"foo", true);
    check(b"/foo", b"a/foo", false);
    check(b"/a/foo", b"a/foo", true);
    check(b"/a/*", b"a/foo", true);
    check(b"/a/*", b"a/b/foo", false);
    check(b"/a/**", b"a/b/foo", true);
    check(b"/", b"a", false);
}

#[test]
fn inner_slash_means_the_end_of_the_path() {
    check(b"a/foo", b"a/foo", true);
    check(b"a/foo", b"x/a/foo", true);
    check(b"a/foo", b"xa/foo", false);
    check(b"a/f*", b"x/a/foo", true);
    check(b"*/foo", b"foo", false);
    check(b"*/foo", b"x/a/foo", true);
    check(b"foo/*/bar", b"x/foo/y/bar", true);
}

#[test]
fn double_star_reaches_across_names() {
    check(b"**/foo", b"foo", true);
    check(b"**/foo", b"a/b/foo", true);
    check(b"**foo", b"a/bfoo", true);
    check(b"a/**/foo", b"x/a/y/foo", true);
    check(b"a/**/foo", b"a/foo", false);
    check(b"/**/foo", b"foo", false);
    check(b"a**", b"x/ab/c", true);
    check(b"a**", b"x/ba/c", false);
}

#[test]
fn triple_star_takes_the_directory_too() {
    check(b"a/***", b"a/", true);
    check(b"a/***", b"a", false);
    check(b"a/***", b"x/a/b/c", true);
    check(b"/a/***", b"a/", true);
    check(b"/a/***", b"x/a/", false);
    check(b"/***", b"a/", true);
}

#[test]
fn backslash_is_plain_without_wildcards() {
    check(b"a\\b", b"a\\b", true);
    check(b"a\\b", b"ab", false);
    check(b"a\\b*", b"ab", true);
    check(b"a\\\\b*", b"a\\bc", true);
}

#[test]
fn full_path_begins_at_the_root_of_the_file_system() {
    let full = |pattern: &[u8], path: &[u8], expect| {
        check_with(Traits::FULL_PATH, &Anchor::TransferRoot, pattern, path, expect);
    };
    full(b"/home/me/foo", b"foo", true);
    full(b"/home/me/foo", b"a/foo", false);
    full(b"me/foo", b"foo", true);
    full(b"e/foo", b"foo", false);
    full(b"me/**", b"a/foo", true);
    full(b"/home/**/foo", b"a/foo", true);
    full(b"/**/foo", b"a/foo", true);
    full(b"foo", b"a/foo", true);
}

#[test]
fn anchor_in_a_directory_is_taken_literally() {
    let below = |dir: &[u8], pattern: &[u8], path: &[u8], expect| {
        check_with(Traits::empty(), &Anchor::Below(dir.into()), pattern, path, expect);
    };
    below(b"", b"/foo", b"foo", true);
    below(b"a", b"/foo", b"a/foo", true);
    below(b"a", b"/foo", b"a/b/foo", false);
    below(b"a", b"foo", b"a/b/foo", true);
    below(b"a[b", b"/f*", b"a[b/foo", true);
    below(b"a*", b"/foo", b"ab/foo", false);
}

#[test]
fn anchor_above_the_transfer_root() {
    let above = |pattern: &[u8], path: &[u8], expect| {
        check_with(Traits::empty(), &Anchor::Above(b"me"[..].into()), pattern, path, expect);
    };
    above(b"/me/foo", b"foo", true);
    above(b"/foo", b"foo", false);
    above(b"/*/a/*", b"a/foo", true);
    above(b"/**", b"a/foo", true);
}

#[test]
fn odd_bytes_in_names() {
    check(b"a\nb", b"d/a\nb", true);
    check(b"\xff*", b"\xff\xfe", true);
    check(b"a", b"a\n", false);
}
