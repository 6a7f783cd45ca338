//! Versions, paths, and real rsyncs.

#![expect(clippy::disallowed_methods, reason = "the tests put trees on disk for rsync")]

use super::*;

/// Real rsyncs between two directories.
mod bench;

/// Movers that do what they should not.
mod bad_days;

/// What many movers make of a tree is what one rsync makes of it.
mod oracle;

#[test]
fn versions_are_read() {
    for (said, expected) in [
        ("rsync  version 3.5.0  protocol version 32\nCopyright", Some((3, 5))),
        ("rsync  version v3.1.3-dev  protocol version 31", Some((3, 1))),
        ("rsync  version 3.2.7p1  protocol version 31", Some((3, 2))),
        ("rsync  version 2.6.9  protocol version 29", Some((2, 6))),
        ("openrsync: protocol version 29, rsync version 2.6.9 compatible", None),
        ("", None),
        ("rsync  version x", None),
    ] {
        assert_eq!(version(said.as_bytes()).map(|(version, _)| version), expected, "{said}");
    }
}

#[test]
fn full_paths_begin_as_rsync_tells_them() {
    let current = Path::new("/w/me");
    for (reach, path, begin) in [
        (Reach::Here, "./", Some("/w/me/")),
        (Reach::Here, "../x//y/./", Some("/w/x/y/")),
        (Reach::Here, "/s/", Some("/s/")),
        (Reach::Here, "/", Some("/")),
        (Reach::Shell, "/a/b/", Some("/a/b/")),
        (Reach::Shell, "a/b/", None),
        (Reach::Daemon, "mod/", Some("/")),
        (Reach::Daemon, "mod/a/", Some("/a/")),
    ] {
        let told = begin_of(reach, path.as_bytes(), current);
        assert_eq!(told, begin.map(|begin| begin.as_bytes().to_vec()), "{path}");
    }
}
