//! Lists of every form.

#![expect(clippy::disallowed_methods, reason = "the tests make lists and trees of their own")]

use std::fs;
use std::io::Write;
use std::path::Path;

use model::Kind;
use sched::Cancel;

use super::{Ends, Form, List, Notice, Reading, Unit, read};
use crate::amount::Amount;
use crate::lister::{Below, Lister, Refused, TellError, Why};

/// Lists of random trees.
mod random;
/// Lists that the real tools make.
mod tools;

const PATHS: Reading<'_> = Reading {
    form: Form::Paths,
    ends: Ends::Newline,
    source: b"/src",
    absolute: &[b"/src", b"//mnt/./real/"],
    here: None,
    needs_kinds: false,
};

fn reading(form: Form) -> Reading<'static> {
    Reading { form, ..PATHS }
}

fn list(text: impl AsRef<[u8]>, reading: Reading<'_>) -> Result<List, Refused> {
    List::read("\"list\"", &mut text.as_ref(), &reading, &Cancel::new())
}

/// Why a list is refused.
fn sentence(text: impl AsRef<[u8]>, reading: Reading<'_>) -> String {
    let refused = list(text, reading).unwrap_err();
    assert_eq!(refused.why, Why::List);
    refused.sentence
}

/// All that a list tells, in its order: the path, with a slash where it is a directory, and its bytes.
fn told(list: &List) -> Vec<(String, u64)> {
    let mut open = vec![(String::new(), list.root().unwrap().part)];
    let mut told = Vec::new();
    while let Some((directory, part)) = open.pop() {
        let mut heard = |found: super::Found<'_, super::Part>| {
            let slash = if found.kind == Kind::Directory { "/" } else { "" };
            let path = format!("{directory}{}{slash}", found.name.escape_ascii());
            told.push((path.clone(), found.bytes));
            if let Below::Known(_, part) = found.below {
                open.push((path, part));
            }
        };
        let further = match list.tell(part, &mut heard) {
            Ok(further) => further,
            Err(TellError::Fault(fault)) => panic!("{fault}"),
            Err(TellError::Over(refused)) => panic!("{refused}"),
        };
        assert!(further.is_empty());
    }
    told.sort();
    told
}

fn paths(text: impl AsRef<[u8]>, reading: Reading<'_>) -> Vec<String> {
    told(&list(text, reading).unwrap()).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_path_is_the_same_however_it_is_written() {
    for text in [
        "a/b",
        "./a/b",
        "././/a/./b",
        "a//b\n",
        "\n\na/b\n\n",
        "/src/a/b",
        "/src//./a/b",
        "//src/a/b",
        "/mnt/real/a/b",
    ] {
        assert_eq!(paths(text, PATHS), ["a/", "a/b"], "{text}");
    }
    for text in ["a/", "a//", "./a/.", "/src/a/"] {
        assert_eq!(paths(text, PATHS), ["a/"], "{text}");
    }
    for text in [".", "./", "/src", "/src/", "/mnt/real", "", "\n"] {
        assert!(paths(text, PATHS).is_empty(), "{text}");
    }
    let of_all = Reading { absolute: &[b"/"], ..PATHS };
    assert_eq!(paths("/\n/a/b\n", of_all), ["a/", "a/b"]);
}

#[test]
fn a_name_is_bytes() {
    let names = paths(b" a\na \n\ta\n12 a\n\xff\na\r\n...\n..a\n-rf\n#a\n", PATHS);
    let expected = ["\\xff", "\\ta", " a", "#a", "-rf", "...", "..a", "12 a", "a ", "a\\r"];
    let mut expected: Vec<String> = expected.map(String::from).to_vec();
    expected.sort();
    assert_eq!(names, expected);
    let nul = Reading { ends: Ends::Nul, ..PATHS };
    assert_eq!(paths(b"a\nb\0\0./c\n\0/src/d\n/e", nul), ["a\\nb", "c\\n", "d\\n/", "d\\n/e"]);
}

#[test]
fn a_size_is_cut_off_with_one_blank_or_tab() {
    let text = "5 a\n6\tb\n7  c\n8\t\td\n9 12 e\n10 \n0 f/\n4096 g\n1 g/h\n11 i/\n";
    let expected = [
        ("\\td", 8),
        (" c", 7),
        ("12 e", 9),
        ("a", 5),
        ("b", 6),
        ("f/", 0),
        ("g/", 0),
        ("g/h", 1),
        ("i/", 0),
    ];
    let mut expected = expected.map(|(path, bytes)| (path.to_owned(), bytes));
    expected.sort();
    let sized = list(text, reading(Form::Sizes)).unwrap();
    assert_eq!(told(&sized), expected);
    let total = Amount { entries: 10, bytes: 5 + 6 + 7 + 8 + 9 + 1 };
    assert_eq!(sized.root().unwrap().total, Some(total));
    assert_eq!(
        told(&list("1\t5\ta\n0\t6\t\tb\n", reading(Form::Fpart)).unwrap()),
        [("\\tb".to_owned(), 6), ("a".to_owned(), 5)]
    );
}

#[test]
fn a_list_is_taken_for_sizes_only_where_every_line_has_one() {
    let auto = reading(Form::Auto);
    for (text, expected, notices) in [
        ("5 a\n\n6\tb\n", ["a", "b"], &[Notice::TakenForSizes][..]),
        ("0\t5\ta\n0\t6\tb\n", ["a", "b"], &[Notice::TakenForFpart]),
        ("0\t5\ta\n0\t6 b\n", ["5\\ta", "6 b"], &[Notice::TakenForSizes]),
        ("5 a\nb\n", ["5 a", "b"], &[]),
        ("5 a\n6-b", ["5 a", "6-b"], &[]),
        ("5 a\n6", ["5 a", "6"], &[]),
        ("5 a\n b", [" b", "5 a"], &[]),
    ] {
        let list = list(text, auto).unwrap();
        let paths: Vec<String> = told(&list).into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            (&paths[..], list.notices()),
            (&expected.map(String::from)[..], notices),
            "{text}"
        );
    }
    let empty = list("\n", auto).unwrap();
    assert_eq!((empty.notices(), empty.root().unwrap().total), (&[][..], Some(Amount::of_one(0))));
    let said = list("5 a\n6 b\n", PATHS).unwrap();
    assert_eq!((told(&said).len(), said.notices()), (2, &[][..]));
}

#[test]
fn a_path_with_several_lines_counts_once_with_its_largest_size() {
    let text = "5 a\n7 ./a\n6 a//\n1 d\n2 d/x\n2 /src/d/x\n0 .\n0 ./\n";
    for (repeated, text) in [(4, text), (1, "7 a/\n7 a/.\n0 d/x\n")] {
        let list = list(text, reading(Form::Sizes)).unwrap();
        let is_told = told(&list).iter().map(|(path, _)| path.clone()).eq(["a/", "d/", "d/x"]);
        assert!(is_told && list.notices() == [Notice::Repeated(repeated)], "{text}");
    }
    let larger = list("5 a\n7 a\n6 a\n", reading(Form::Sizes)).unwrap();
    assert_eq!(told(&larger), [("a".to_owned(), 7)]);
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    let long = "x".repeat(5000);
    let nul = Reading { ends: Ends::Nul, ..PATHS };
    let (sizes, du) = (reading(Form::Sizes), reading(Form::Du(Unit::Kibibytes)));
    for (text, reading, line, why) in [
        ("a\n../b\n", PATHS, 2, "\"..\""),
        ("a\n\n\n\nb\nc/../../d", PATHS, 6, "\"..\""),
        ("a\0..\0", nul, 2, "\"..\""),
        ("..", PATHS, 1, "\"..\""),
        ("/src/../src/a\n", PATHS, 1, "\"..\""),
        ("/srcx/a\n", PATHS, 1, "absolute"),
        ("a\n/sr\n", PATHS, 2, "absolute"),
        ("/", PATHS, 1, "absolute"),
        ("/mnt/a", PATHS, 1, "absolute"),
        ("a\n\nb\0c\n", PATHS, 3, "--from0"),
        (&long, PATHS, 1, "4128 bytes"),
        (&format!("a\n{long}\nb"), PATHS, 2, "4128 bytes"),
        (&format!("a\n{long}\nb"), nul, 1, "--from0"),
        ("5 a\nb\n", sizes, 2, "one blank or tab"),
        ("5 a\n6\n", sizes, 2, "one blank or tab"),
        ("5 a\n -1 b\n", sizes, 2, "one blank or tab"),
        ("1\ta\n4.0K\tb\n", du, 2, "without -h"),
        ("1\t2\ta\n3\tb\n", Reading { form: Form::Fpart, ..PATHS }, 2, "fpart"),
        ("5 a\n18446744073709551616 b\n", sizes, 2, "no number of bytes"),
        ("18014398509481984\ta\n", du, 1, "no number of bytes"),
    ] {
        let sentence = sentence(text, reading);
        let begins = format!("the list \"list\", line {line} has");
        let begins = sentence.starts_with(&begins) || sentence.contains(&format!("line {line} "));
        assert!(begins && sentence.contains(why), "{sentence}");
    }
    let too_many = "18446744073709551615 a\n1 b\n";
    assert!(sentence(too_many, sizes).contains("come to more than"));
    // As long as a line may be.
    let longest = format!("{}/{}", "d/".repeat(1936), "x".repeat(255));
    assert_eq!(longest.len(), 4128);
    assert_eq!(list(longest, PATHS).unwrap().root().unwrap().total.unwrap().entries, 1938);
}

#[test]
fn a_directory_that_du_gave_more_than_its_lines_is_named() {
    let kib = reading(Form::Du(Unit::Kibibytes));
    for (text, directory) in [
        // Made without -a: the files that lie in there are told of nowhere.
        ("4\t./a/b\n100\t./a\n104\t.\n", "a"),
        ("4\ta/b/c\n8\ta/b\n200\ta\n", "a"),
        ("4\ta/b c\n1000\ta\n4\td/e/x\n500\td/e\n504\td\n", "a"),
        ("4\ta/x\n8\ta\n1000\t.\n", "."),
        ("100\t.\n", "."),
    ] {
        let sentence = sentence(text, kib);
        let (named, todo) = (format!("in \"{directory}\","), "du -al");
        assert!(sentence.contains(&named) && sentence.contains(todo), "{sentence}");
    }
    // What directories take themselves.
    for text in [
        "4\ta/b/c\n8\ta/b\n40\ta\n44\t.\n",
        "4\t.\n",
        "100\ta/x\n8\ta\n",
        "1\ta\n1\ta!\n1000\ta!/x\n1032\ta!\n",
    ] {
        list(text, kib).unwrap();
    }
    let mut many = Vec::new();
    for number in 0..10_000 {
        writeln!(many, "1\tw/{number}").unwrap();
    }
    list([&many[..], b"15000\tw"].concat(), kib).unwrap();
    assert!(sentence([&many[..], b"30000\tw"].concat(), kib).contains("\"w\""));
    let bytes = list("5\ta/x\n6\ta/y\n4107\ta\n", reading(Form::Du(Unit::Bytes))).unwrap();
    let expected = [("a/".to_owned(), 0), ("a/x".to_owned(), 5), ("a/y".to_owned(), 6)];
    assert_eq!(told(&bytes), expected);
    assert_eq!(bytes.notices(), [Notice::OneNameOfLinks]);
}

#[test]
fn what_looks_like_sums_is_not_taken_for_sizes() {
    let auto = reading(Form::Auto);
    for text in [
        "4\ta/b\n100\ta\n104\t.\n",
        "5\ta/x\n7\ta/y\n4108\ta\n",
        "0\ta/x\n0\ta\n9\tb\n",
        "104\t.\n",
    ] {
        let sentence = sentence(text, auto);
        assert!(sentence.contains("--list-format du, or du-bytes"), "{sentence}");
        list(text, reading(Form::Sizes)).unwrap();
    }
    for text in [
        // As find writes it: the directory first, or with its own size.
        "104\t.\n100\ta\n4\ta/b\n",
        "4096\t.\n4096\ta\n4\ta/b\n5000\ta/c\n",
        "4\ta/b\n5000\ta/c\n4096\ta\n13000\t.\n",
        "4\ta/b\n100\tc\n",
        "4 a/b\n100 a\n104 .\n",
    ] {
        let list = list(text, auto).unwrap();
        assert_eq!(list.notices(), [Notice::TakenForSizes], "{text}");
    }
}

/// A tree on this host with these files; directories end in a slash.
fn on_this_host(names: &[&str]) -> (tempfile::TempDir, ::fs::Dir) {
    let scratch = tempfile::tempdir().unwrap();
    for name in names {
        let path = scratch.path().join(name);
        fs::create_dir_all(if name.ends_with('/') { &path } else { path.parent().unwrap() })
            .unwrap();
        if !name.ends_with('/') {
            fs::write(path, "content").unwrap();
        }
    }
    let dir = ::fs::Dir::open_operator(scratch.path()).unwrap();
    (scratch, dir)
}

#[test]
fn lines_are_taken_for_what_is_in_the_source() {
    let (_scratch, dir) = on_this_host(&["10 Years After/a", "10 cc", "12\t3\tcc", "cc", "b/x"]);
    for (text, expected, notices) in [
        (
            "10 Years After/a\n10 cc\n",
            &["10 Years After/", "10 Years After/a", "10 cc"][..],
            &[Notice::TakenForPaths][..],
        ),
        ("12\t3\tcc\n", &["cc"], &[Notice::TakenForFpart]),
        ("12\t3\tcc\n12\t3\tb/gone\n", &["b/", "b/gone", "cc"], &[Notice::TakenForFpart]),
        ("10 cc\n10 b/x\n", &["b/", "b/x", "cc"], &[Notice::TakenForSizes]),
        ("10 cc\n0 b\n", &["b", "cc"], &[Notice::TakenForSizes]),
        // Nothing is there by either, and both are.
        ("10 gone\n", &["gone"], &[Notice::TakenForSizes]),
        ("10 cc\n", &["cc"], &[Notice::TakenForSizes]),
    ] {
        let reading = Reading { here: Some(&dir), ..reading(Form::Auto) };
        let list = list(text, reading).unwrap();
        let paths: Vec<String> = told(&list).into_iter().map(|(path, _)| path).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        assert_eq!((&paths[..], list.notices()), (expected, notices), "{text}");
    }
    let said = Reading { here: Some(&dir), ..reading(Form::Sizes) };
    assert_eq!(paths("10 Years After/a", said), ["Years After/", "Years After/a"]);
}

/// All that a list tells of its root, and what lies below, and its faults: paths, and `gone` or `cause`.
fn told_with_faults(list: &List) -> (String, Vec<String>) {
    let mut open = vec![(String::new(), list.root().unwrap().part)];
    let (mut told, mut faults) = (Vec::new(), Vec::new());
    while let Some((directory, part)) = open.pop() {
        let further = list.tell(part, &mut |found| {
            let slash = if found.kind == Kind::Directory { "/" } else { "" };
            let path = format!("{directory}{}{slash}", found.name.escape_ascii());
            told.push(path.clone());
            if let Below::Known(_, part) = found.below {
                open.push((path, part));
            }
        });
        match further {
            Ok(parts) => open.extend(parts.into_iter().map(|part| (directory.clone(), part))),
            Err(TellError::Fault(fault)) => faults.push(fault),
            Err(TellError::Over(refused)) => panic!("{refused}"),
        }
        faults.extend(list.take_faults());
    }
    told.sort();
    let words = |fault: model::Fault| {
        let path = fault.path.escape_ascii();
        let is_errno = fault.cause.errno().is_some();
        let why = [(fault.is_vanished(), "gone"), (is_errno, "cause"), (true, "refused")];
        format!("{path} {}", why.into_iter().find(|(is_so, _)| *is_so).unwrap().1)
    };
    let mut faults: Vec<String> = faults.into_iter().map(words).collect();
    faults.sort();
    (told.join(" "), faults)
}

const LOOKED_AT: &str = "0 a/empty\n7 a/file\n0 a/gone\n0 a/lost/\n0 empty\n7 file\n0 file/of\n3 link\n\
                         0 link/of\n0 link/more/of\n0 gone/far/one\n0 gone/two\n3 links\n7 a/file\r\n";

fn looked_at() -> (tempfile::TempDir, ::fs::Dir) {
    let (scratch, dir) = on_this_host(&["a/empty/", "a/file", "empty/", "file", "out/of"]);
    for link in ["link", "links"] {
        std::os::unix::fs::symlink("out", scratch.path().join(link)).unwrap();
    }
    (scratch, dir)
}

#[test]
fn what_a_line_names_is_looked_at_where_that_matters() {
    let (_scratch, dir) = looked_at();
    let looked = Reading { here: Some(&dir), needs_kinds: true, ..reading(Form::Sizes) };
    let list = list(LOOKED_AT, looked).unwrap();
    let faults = [
        "/src/a/file\\r gone",
        "/src/a/gone gone",
        "/src/a/lost gone",
        "/src/file refused",
        "/src/gone gone",
        "/src/link refused",
    ];
    let (told, found) = told_with_faults(&list);
    assert_eq!(told, "a/ a/empty/ a/file empty/ file/ gone/ link/ links");
    assert_eq!((found.as_slice(), list.notices()), (&faults.map(str::to_owned)[..], &[][..]));
    let mut kinds = Vec::new();
    list.tell(list.root().unwrap().part, &mut |found| kinds.push(found.kind)).unwrap();
    assert_eq!(kinds.last(), Some(&Kind::Symlink));
}

#[test]
fn what_cannot_be_looked_at_is_named_and_stays_what_the_list_makes_it() {
    let (_scratch, dir) = looked_at();
    let looked = Reading { here: Some(&dir), needs_kinds: true, ..reading(Form::Paths) };
    // No system takes such a name.
    let long = "n".repeat(300);
    let (told, faults) = told_with_faults(&list(format!("file\n{long}\n"), looked).unwrap());
    assert_eq!((told, faults), (format!("file {long}"), vec![format!("/src/{long} cause")]));
    let wide: Vec<String> = (0..3000).map(|number| format!("{long}/{number:04}")).collect();
    let (told, faults) = told_with_faults(&list(wide.join("\n"), looked).unwrap());
    assert_eq!(
        (told, faults),
        (format!("{long}/ {}", wide.join(" ")), vec![format!("/src/{long} cause")])
    );
}

#[test]
fn what_a_line_names_below_a_link_is_nowhere() {
    let (_scratch, dir) = looked_at();
    let usual = Reading { here: Some(&dir), ..reading(Form::Sizes) };
    let (told, faults) = told_with_faults(&list(LOOKED_AT, usual).unwrap());
    // What else there is, and is not, is said by the mover.
    let rest = "a/ a/empty a/file a/file\\r a/gone a/lost/ empty file/ gone/ gone/far/ gone/far/one gone/two";
    assert_eq!(told, format!("{rest} link/ links"));
    assert_eq!(faults, ["/src/file refused", "/src/link refused"]);
}

#[test]
fn where_nothing_can_be_looked_at_lines_say_what_there_is() {
    let text = "0 a/empty\n7 a/file\n0 link/of\n0 link/more/of\n";
    let elsewhere = Reading { needs_kinds: true, ..reading(Form::Sizes) };
    let of_there = list(text, elsewhere).unwrap();
    let (told, faults) = told_with_faults(&of_there);
    assert_eq!(told, "a/ a/empty a/file link/ link/more/ link/more/of link/of");
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(of_there.notices(), [Notice::TakenForFiles(4)]);
    // Who marks directories marks all of them.
    let marked = list("0 a/\n7 a/file\n0 b/\n", elsewhere).unwrap();
    assert_eq!(marked.notices(), []);
}

fn open(path: &Path) -> Result<List, Refused> {
    List::open(path, &PATHS, &Cancel::new())
}

#[test]
fn a_list_that_changes_while_it_is_read_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("list");
    let read_and = |change: &dyn Fn()| {
        fs::write(&path, "a\nb\n").unwrap();
        let mut file = fs::File::open(&path).unwrap();
        read::settled("\"list\"", &mut file, |file| {
            let cancel = Cancel::new();
            let lines = read::ReadLines { name: "", ends: Ends::Newline, cancel: &cancel };
            let lines = lines.read(file);
            change();
            lines
        })
    };
    assert_eq!(read_and(&|| ()).unwrap().count, 2);
    let grown = read_and(&|| {
        let mut file = fs::File::options().append(true).open(&path).unwrap();
        file.write_all(b"c\n").unwrap();
    });
    let cut = read_and(&|| fs::write(&path, "").unwrap());
    let other = read_and(&|| {
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    });
    let writer = fs::File::options().append(true).open(&path).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(refused.why == Why::List && refused.sentence.contains("still open"), "{refused}");
    drop(writer);
    open(&path).unwrap();
    for changed in [grown, cut, other] {
        let refused = changed.unwrap_err();
        assert!(refused.why == Why::List && refused.sentence.contains("changed"), "{refused}");
    }
}

#[test]
fn a_list_is_a_file_or_a_pipe() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("list");
    fs::write(&path, "a\nb/c").unwrap();
    assert_eq!(told(&open(&path).unwrap()).len(), 3);
    let pipe = scratch.path().join("pipe");
    let dir = ::fs::Dir::open_operator(scratch.path()).unwrap();
    dir.make_node(b"pipe", Kind::Fifo, 0o600, model::DeviceNumber::default()).unwrap();
    let list = std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&pipe, "a\nb/c").unwrap());
        open(&pipe).unwrap()
    });
    assert_eq!(told(&list).len(), 3);
    for missing in [scratch.path().join("none"), scratch.path().to_path_buf()] {
        let refused = open(&missing).unwrap_err();
        assert!(
            refused.why == Why::List && refused.sentence.contains("cannot be read"),
            "{refused}"
        );
    }
}

#[test]
fn reading_ends_when_somebody_ends_it() {
    let cancel = Cancel::new();
    cancel.cancel();
    let refused = List::read("\"list\"", &mut &b"a\n"[..], &PATHS, &cancel).unwrap_err();
    assert_eq!(refused.why, Why::Stopped);
}

#[test]
fn an_entry_takes_less_than_a_hundred_bytes() {
    const FILES: usize = 200_000;
    let mut text = Vec::new();
    for number in 0..FILES {
        writeln!(text, "{number} ./folder {:04}/below/file number {number:010}", number % 2000)
            .unwrap();
    }
    let line_bytes = text.len() / FILES;
    let list = list(text, reading(Form::Sizes)).unwrap();
    let entry_bytes = list.held.held_bytes() / FILES;
    assert!((40..60).contains(&line_bytes), "{line_bytes}");
    // A block may have been begun and no more.
    assert!(entry_bytes <= line_bytes + 26 + (1 << 20) / FILES, "{entry_bytes}");
}

#[test]
fn paths_are_shown_below_the_source() {
    for (source, shown) in [(&b"/src"[..], &b"/src/a"[..]), (b"src/", b"src/a"), (b"/", b"/a")] {
        let list = list("a", Reading { source, ..PATHS }).unwrap();
        assert_eq!((list.full_path(b"a"), list.full_path(b"")), (shown.to_vec(), source.to_vec()));
    }
}
