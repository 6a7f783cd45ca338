//! Lists that the real tools make.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::super::{Ends, Form, List, Notice, Reading, Unit};
use super::{PATHS, list, sentence, told};

const FILES: [(&str, usize); 6] = [
    ("a/b/c", 10_000),
    ("a/b/ d", 0),
    ("a/12 e", 300_000),
    ("big", 200_000),
    (" x/\ty", 5),
    ("z\u{e9}", 1),
];

fn tree() -> TempDir {
    let scratch = tempfile::tempdir().unwrap();
    for (path, bytes) in FILES {
        let path = scratch.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; bytes]).unwrap();
    }
    scratch
}

/// What a command writes that is run there.
fn output(dir: &Path, command: &[&str]) -> Vec<u8> {
    let output = Command::new(command[0]).args(&command[1..]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A list with no more than the files of the tree and their directories.
fn check(list: &List, bytes_of: impl Fn(usize) -> u64) {
    let expected: BTreeMap<String, u64> = FILES
        .iter()
        .map(|(path, bytes)| (path.as_bytes().escape_ascii().to_string(), bytes_of(*bytes)))
        .collect();
    let files = told(list).into_iter().filter(|(path, _)| !path.ends_with('/')).collect();
    assert_eq!(expected, files);
}

#[test]
fn find_writes_sizes_and_paths() {
    let scratch = tree();
    let dir = scratch.path();
    let absolute = dir.to_str().unwrap();
    let ways = [absolute.as_bytes()];
    let reading = |form, ends| Reading { form, ends, source: b".", absolute: &ways, ..PATHS };
    for (command, form, ends) in [
        (&["find", ".", "-printf", "%s %p\\n"][..], Form::Sizes, Ends::Newline),
        (&["find", ".", "-printf", "%s\\t%p\\0"], Form::Auto, Ends::Nul),
        (&["find", ".", "-printf", "%s %P\\n"], Form::Auto, Ends::Newline),
        (&["find", absolute, "-type", "f", "-printf", "%s\\t%p\\n"], Form::Auto, Ends::Newline),
    ] {
        let text = output(dir, command);
        check(&list(text, reading(form, ends)).unwrap(), |bytes| bytes as u64);
    }
    for (command, ends) in [
        (&["find"][..], Ends::Newline),
        (&["find", "-print0"], Ends::Nul),
        (&["find", absolute, "-type", "f"], Ends::Newline),
    ] {
        check(&list(output(dir, command), reading(Form::Auto, ends)).unwrap(), |_| 0);
    }
}

#[test]
fn du_writes_sums() {
    let scratch = tree();
    let dir = scratch.path();
    let reading =
        |unit, ends| Reading { form: Form::Du(unit), ends, source: b".", absolute: &[], ..PATHS };
    let bytes = output(dir, &["du", "-ab"]);
    let of_bytes = list(bytes, reading(Unit::Bytes, Ends::Newline)).unwrap();
    check(&of_bytes, |bytes| bytes as u64);
    let bytes = output(dir, &["du", "-alb0", "."]);
    check(&list(bytes, reading(Unit::Bytes, Ends::Nul)).unwrap(), |bytes| bytes as u64);
    let apparent = output(dir, &["du", "-a", "--apparent-size"]);
    let of_kib = list(apparent, reading(Unit::Kibibytes, Ends::Newline)).unwrap();
    check(&of_kib, |bytes| bytes.div_ceil(1024) as u64 * 1024);
    let allocated = output(dir, &["du", "-a"]);
    let files = told(&list(allocated, reading(Unit::Kibibytes, Ends::Newline)).unwrap());
    assert_eq!(files.len(), FILES.len() + 3);
    for command in [&["du"][..], &["du", "-a"], &["du", "-ab"], &["du", "-s"]] {
        let unsaid = Reading { form: Form::Auto, ..reading(Unit::Bytes, Ends::Newline) };
        assert!(sentence(output(dir, command), unsaid).contains("--list-format du"));
    }
    let without_files = output(dir, &["du"]);
    assert!(sentence(without_files, reading(Unit::Kibibytes, Ends::Newline)).contains("du -al"));
}

#[test]
fn du_tells_one_name_of_a_file_unless_asked_for_all() {
    let scratch = tree();
    let dir = scratch.path();
    fs::hard_link(dir.join("big"), dir.join("a/link")).unwrap();
    let reading = Reading {
        form: Form::Du(Unit::Bytes),
        ends: Ends::Newline,
        source: b".",
        absolute: &[],
        ..PATHS
    };
    for (command, names) in [("-ab", FILES.len()), ("-alb", FILES.len() + 1)] {
        let list = list(output(dir, &["du", command]), reading).unwrap();
        let files = told(&list).into_iter().filter(|(path, _)| !path.ends_with('/'));
        assert_eq!((files.count(), list.notices()), (names, &[Notice::OneNameOfLinks][..]));
    }
}

#[test]
fn fpart_writes_partitions_and_lists() {
    let scratch = tree();
    let dir = scratch.path();
    fs::create_dir(dir.join("empty")).unwrap();
    let lists = tempfile::tempdir().unwrap();
    let reading = |ends| Reading { form: Form::Auto, ends, source: b".", absolute: &[], ..PATHS };
    let partitions = list(output(dir, &["fpart", "-n", "2", "."]), reading(Ends::Newline)).unwrap();
    check(&partitions, |bytes| bytes as u64);
    assert_eq!(partitions.notices(), [Notice::TakenForFpart]);
    let template = lists.path().join("list");
    let template = template.to_str().unwrap();
    for (flags, ends) in [("-ze", Ends::Newline), ("-ze0", Ends::Nul)] {
        output(dir, &["fpart", "-n", "1", flags, "-o", template, "."]);
        let list = list(fs::read(format!("{template}.1")).unwrap(), reading(ends)).unwrap();
        check(&list, |_| 0);
        assert!(told(&list).contains(&("empty/".to_owned(), 0)));
    }
}
