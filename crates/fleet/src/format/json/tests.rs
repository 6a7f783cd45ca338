//! What buckets in JSON say.

use model::Kind;
use serde_json::{Value, json};

use crate::amount::Amount;
use crate::format::testing::{HEADER, InMemory, begun, written};
use crate::format::{Form, Header, Origin};
use crate::line::{Line, Span};

fn records(files: &InMemory) -> Vec<Value> {
    let text = String::from_utf8(files.list()).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_bucket_has_a_header_its_lines_and_an_end() {
    let line = |folder, name, kind, span, entries, bytes| Line {
        folder,
        name,
        kind,
        span,
        amount: Amount { entries, bytes },
    };
    let (_, files) = written(
        Form::Json,
        &[
            line(b"", b"", Kind::Directory, Span::Alone, 1, 0),
            line(b"", b"a\nb", Kind::File, Span::Entry, 1, 7),
            line(b"\xff", b"c", Kind::Directory, Span::Whole, 40, 1000),
            line(b"d", b"e", Kind::Directory, Span::Bare, 1, 0),
        ],
    )
    .unwrap();
    assert_eq!(
        records(&files),
        [
            json!({"type": "bucket", "form": 1, "version": "1.2.3", "root": "/data", "source": "tree",
                   "bucket": 1, "buckets": 4}),
            json!({"type": "line", "path": ".", "kind": "directory", "span": "alone", "bytes": 0,
                   "entries": 1}),
            json!({"type": "line", "path": "a\nb", "kind": "file", "span": "entry", "bytes": 7,
                   "entries": 1}),
            json!({"type": "line", "path_base64": "/y9j", "kind": "directory", "span": "whole",
                   "bytes": 1000, "entries": 40}),
            json!({"type": "line", "path": "d/e", "kind": "directory", "span": "bare", "bytes": 0,
                   "entries": 1}),
            json!({"type": "end", "lines": 4, "bytes": 1007, "entries": 43}),
        ]
    );
}

#[test]
fn a_root_that_is_no_text_is_in_base64() {
    let files = InMemory::new();
    let header = Header { root: b"/\xff", origin: Origin::Qumulo, buckets: None, ..HEADER };
    begun(Form::Json, &header, &files).unwrap().finish().unwrap();
    let expected = json!({"type": "bucket", "form": 1, "version": "1.2.3", "root_base64": "L/8=",
                          "source": "qumulo", "bucket": 1});
    assert_eq!(records(&files)[0], expected);
}

#[test]
fn each_kind_has_the_word_that_it_has_in_reports() {
    let kinds = [
        (Kind::File, "file"),
        (Kind::Directory, "directory"),
        (Kind::Symlink, "symlink"),
        (Kind::CharDevice, "char_device"),
        (Kind::BlockDevice, "block_device"),
        (Kind::Fifo, "fifo"),
        (Kind::Socket, "socket"),
    ];
    for (kind, word) in kinds {
        let amount = Amount::of_one(0);
        let line = Line { folder: b"", name: b"x", kind, span: Span::Entry, amount };
        let (_, files) = written(Form::Json, &[line]).unwrap();
        assert_eq!(records(&files)[1]["kind"], word);
    }
}
