//! What lists for rsync say. What rsync makes of them: `tests/movers.rs`.

use crate::format::testing::{line, refusal, written};
use crate::format::{Form, Recursion};
use crate::line::Span::{Alone, Bare, Entry, Whole};

#[test]
fn each_path_begins_at_the_top() {
    let lines = [
        line(b"", b"#a", Entry),
        line(b"b", b"; c", Entry),
        line(b"b/d", b"\xff", Whole),
        line(b"", b"b", Alone),
        line(b"", b"", Alone),
    ];
    let (_, files) = written(Form::Rsync, &lines).unwrap();
    assert_eq!(files.list(), b"./#a\n./b/; c\n./b/d/\xff\n");
    let (_, files) = written(Form::Rsync0, &lines).unwrap();
    assert_eq!(files.list(), b"./#a\0./b/; c\0./b/d/\xff\0");
}

#[test]
fn the_root_is_a_dot() {
    for span in [Entry, Whole] {
        assert_eq!(written(Form::Rsync, &[line(b"", b"", span)]).unwrap().1.list(), b".\n");
    }
    // By that name rsync takes what lies in it, too, though it is not to go down.
    assert_eq!(written(Form::Rsync, &[line(b"", b"", Bare)]).unwrap().1.list(), b"");
}

#[test]
fn a_name_with_a_line_end_is_refused_by_name() {
    for lines in [[line(b"a", b"b\nc", Entry)], [line(b"a\r", b"b", Entry)]] {
        let (path, reason) = refusal(Form::Rsync, &lines);
        assert_eq!(path, lines[0].path());
        assert!(reason.contains("--format=rsync0"), "{reason}");
        let (_, files) = written(Form::Rsync0, &lines).unwrap();
        assert_eq!(files.list(), [b"./", &*path, b"\0"].concat());
    }
}

#[test]
fn a_directory_that_is_not_named_may_have_any_name() {
    assert_eq!(written(Form::Rsync, &[line(b"", b"a\nb", Alone)]).unwrap().1.list(), b"");
}

#[test]
fn a_bucket_that_must_and_must_not_be_recursed_is_refused() {
    for (first, second) in [(Bare, Whole), (Whole, Bare)] {
        let (path, reason) =
            refusal(Form::Rsync0, &[line(b"", b"a", first), line(b"", b"b", second)]);
        assert_eq!(path, b"b");
        assert!(reason.contains("left out") && reason.contains("=rsync-filter"), "{reason}");
    }
}

#[test]
fn a_bucket_knows_whether_it_must_be_recursed() {
    let of = |spans: &[_]| {
        let lines = spans.iter().map(|&span| Recursion::of(&line(b"", b"a", span)));
        lines.fold(Recursion::default(), Recursion::and)
    };
    assert_eq!(of(&[Entry, Alone]), Recursion::Either);
    assert_eq!(of(&[Entry, Whole, Alone, Whole]), Recursion::Needed);
    assert_eq!(of(&[Bare, Entry, Bare]), Recursion::Forbidden);
    assert_eq!(of(&[Bare, Entry, Whole, Entry]), Recursion::Torn);
    let command = |spans: &[_]| Form::Rsync.command(of(spans)).unwrap();
    assert!(command(&[Whole]).contains(" -r "));
    assert!(!command(&[Bare]).contains(" -r "));
}
