//! What lists for rclone say. What rclone makes of them: `tests/movers.rs`.

use model::{Kind, KindCounts};

use crate::format::Form;
use crate::format::testing::{line, refusal, written};
use crate::line::Line;
use crate::line::Span::{Alone, Bare, Entry, Whole};

#[test]
fn files_are_named_as_they_are() {
    let lines =
        [line(b"", b" #a ", Entry), line(b"b/;c", b"\xff\\", Entry), line(b"", b"b", Alone)];
    let (format, files) = written(Form::Rclone, &lines).unwrap();
    assert_eq!(files.list(), b" #a \nb/;c/\xff\\\n");
    assert_eq!(format.left_out(), KindCounts::default());
}

#[test]
fn control_characters_are_named_as_rclone_shows_them() {
    let lines =
        [line(b"a\n", b"\r\x7f", Entry), line(b"", "\u{240a}\u{2421}\u{2400}".as_bytes(), Entry)];
    let (_, files) = written(Form::Rclone, &lines).unwrap();
    let expected = "a\u{240a}/\u{240d}\u{2421}\n\u{201b}\u{240a}\u{201b}\u{2421}\u{2400}\n";
    assert_eq!(files.list(), expected.as_bytes());
}

#[test]
fn what_is_no_file_is_counted() {
    let kinds = [Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::Directory];
    let mut lines: Vec<Line<'_>> =
        kinds.map(|kind| Line { kind, ..line(b"", b"x", Entry) }).to_vec();
    lines.push(line(b"", b"d", Bare));
    let (format, files) = written(Form::Rclone, &lines).unwrap();
    assert_eq!(files.list(), b"");
    let expected = KindCounts { directories: 2, symlinks: 1, devices: 1, specials: 2, files: 0 };
    assert_eq!(format.left_out(), expected);
}

#[test]
fn what_rclone_would_not_find_is_refused() {
    let (path, reason) = refusal(Form::Rclone, &[line(b"a", "b\u{201b}".as_bytes(), Entry)]);
    assert_eq!(path, "a/b\u{201b}".as_bytes());
    assert!(reason.contains("U+201B"), "{reason}");
}

#[test]
fn a_directory_does_not_stand_for_its_files() {
    assert_eq!(refusal(Form::Rclone, &[line(b"", b"a", Whole)]).0, b"a");
}
