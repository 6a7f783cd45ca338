//! What cmd.exe and robocopy are told, read as they read it. Neither runs here: [`Reading`] knows what is
//! known of them, and stops at everything else.

use std::collections::BTreeMap;

use model::{Kind, KindCounts};
use proptest::prelude::*;

use crate::format::Form;
use crate::format::testing::{InMemory, line, refusal, written};
use crate::line::Line;
use crate::line::Span::{self, Alone, Bare, Entry, Whole};

const SRC: &str = r"Z:\me & my (files)\100%";
const DST: &str = r"\\server\share";
const HERE: &str = r"C:\lists %1\";
const OPTIONS: &str = "/R:3 /W:5 /MT:16 /COPY:DAT /DCOPY:DAT";

/// A call of robocopy: the directory, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    directory: String,
    asked: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    /// All that lies below.
    Whole,
    /// These files.
    Files(Vec<String>),
    /// The directory itself.
    Itself,
}

/// Reads a script as cmd.exe does.
struct Reading {
    variables: BTreeMap<String, String>,
    jobs: BTreeMap<String, Vec<u8>>,
}

impl Reading {
    fn new(files: &InMemory) -> (Self, Vec<String>) {
        let mut all = files.all();
        let script = String::from_utf8(all.remove(0).1).unwrap();
        let lines = lines(&script);
        let variables = [("SRC", SRC), ("DST", DST), ("ROBOCOPY_OPTIONS", OPTIONS)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        (Self { variables, jobs: all.into_iter().collect() }, lines)
    }

    /// What stands for `%` in a line.
    fn expanded(&self, line: &str) -> String {
        let mut expanded = String::new();
        let mut rest = line;
        while let Some(percent) = rest.find('%') {
            expanded.push_str(&rest[..percent]);
            rest = &rest[percent + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                expanded.push('%');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("~dp0") {
                expanded.push_str(HERE);
                rest = after;
            } else {
                let (name, after) = rest.split_once('%').expect("a variable ends");
                expanded.push_str(self.variables.get(name).expect("a variable that is set"));
                rest = after;
            }
        }
        expanded + rest
    }

    /// What a call comes to.
    fn call(&self, line: &str) -> Call {
        let text = self.expanded(line);
        assert!(text.encode_utf16().count() <= 8191, "{text}");
        let words = words(&text);
        let [program, source, destination, rest @ ..] = &*words else { panic!("{text}") };
        assert_eq!(program, "robocopy");
        let below = |path: &str, top: &str| path.strip_prefix(top).unwrap()[1..].to_owned();
        let directory = below(source, SRC);
        assert_eq!(directory, below(destination, DST));
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let options: Vec<&str> = OPTIONS.split(' ').collect();
        let rest = rest.strip_suffix(&*options).expect("the options of all calls");
        let asked = match rest {
            ["/E"] => Asked::Whole,
            ["/LEV:1", "/XF", "*"] => Asked::Itself,
            [job] if job.starts_with("/JOB:") => {
                let name = job.strip_prefix("/JOB:").and_then(|path| path.strip_prefix(HERE));
                Asked::Files(names_of_job(&self.jobs[name.unwrap()]))
            }
            [names @ .., "/LEV:1"] => {
                // Neither an option nor a pattern.
                assert!(!names.is_empty());
                let is_plain =
                    |name: &&str| !name.starts_with(['/', '-']) && !name.contains(['*', '?']);
                assert!(names.iter().all(is_plain), "{names:?}");
                Asked::Files(names.iter().map(|name| (*name).to_owned()).collect())
            }
            other => panic!("{other:?}"),
        };
        Call { directory, asked }
    }
}

/// Lines that end as those of Windows do.
fn lines(text: &str) -> Vec<String> {
    let lines = text.strip_suffix("\r\n").expect("a last line that ends").split("\r\n");
    lines.inspect(|line| assert!(!line.contains(['\r', '\n']))).map(str::to_owned).collect()
}

/// The words of a line: cmd.exe stops at what means something to it outside of quotes; the program takes
/// a backslash before a quote for more than it is.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => {
                let so_far = word.get_or_insert_default();
                assert!(!so_far.ends_with('\\'), "{text}");
                is_quoted = !is_quoted;
            }
            ' ' if !is_quoted => words.extend(word.take()),
            letter => {
                let means_something =
                    matches!(letter, '&' | '|' | '<' | '>' | '^' | '(' | ')' | '%');
                assert!(is_quoted || !means_something, "{text}");
                word.get_or_insert_default().push(letter);
            }
        }
    }
    assert!(!is_quoted, "{text}");
    words.extend(word);
    words
}

fn names_of_job(text: &[u8]) -> Vec<String> {
    assert!(text.is_ascii());
    let lines = lines(str::from_utf8(text).unwrap());
    let [first @ .., _] = &lines[..5] else { panic!("no names") };
    assert_eq!(first, ["/NOSD", "/NODD", "/LEV:1", "/IF"]);
    let names = lines[4..].iter().map(|line| line.trim_matches([' ', '\t']).to_owned());
    names.inspect(|name| assert!(!name.starts_with('/') && !name.contains("::"))).collect()
}

/// What a script asks for, when it has begun and before it ends.
fn calls(files: &InMemory) -> Vec<Call> {
    let (reading, lines) = Reading::new(files);
    let begin = lines.iter().position(|line| line == r#"set "WORST=7""#).unwrap() + 1;
    let (calls, end) = lines[begin..].split_at(lines.len() - begin - 2);
    assert_eq!(end, ["if %WORST% geq 8 exit /b %WORST%", "exit /b 0"]);
    let (calls, rest) = calls.as_chunks::<2>();
    assert_eq!(rest, [""; 0]);
    let call = |[call, after]: &[String; 2]| {
        let expected = r#"if %ERRORLEVEL% lss 0 (set "WORST=16") else if %ERRORLEVEL% gtr %WORST% set "WORST=%ERRORLEVEL%""#;
        assert_eq!(after, expected);
        reading.call(call)
    };
    calls.iter().map(call).collect()
}

fn call(directory: &str, asked: Asked) -> Call {
    Call { directory: directory.to_owned(), asked }
}

fn names(names: &[&str]) -> Asked {
    Asked::Files(names.iter().map(|name| (*name).to_owned()).collect())
}

fn directory<'a>(folder: &'a [u8], name: &'a [u8]) -> Line<'a> {
    Line { kind: Kind::Directory, ..line(folder, name, Entry) }
}

#[test]
fn a_script_says_how_it_is_called_and_ends_with_the_worst() {
    let (_, files) = written(Form::Robocopy, &[]).unwrap();
    let expected = r#"@echo off
chcp 65001 >nul
setlocal EnableExtensions DisableDelayedExpansion
if "%~2"=="" (
  echo usage: "%~nx0" SOURCE DEST
  exit /b 16
)
set "SRC=%~1"
set "DST=%~2"
if "%SRC:~-1%"=="\" set "SRC=%SRC:~0,-1%"
if "%DST:~-1%"=="\" set "DST=%DST:~0,-1%"
if not defined ROBOCOPY_OPTIONS set "ROBOCOPY_OPTIONS=/R:3 /W:5 /MT:16 /COPY:DAT /DCOPY:DAT"
set "ERRORLEVEL="
set "WORST=7"
if %WORST% geq 8 exit /b %WORST%
exit /b 0
"#;
    assert_eq!(String::from_utf8(files.list()).unwrap(), expected.replace('\n', "\r\n"));
}

#[test]
fn each_directory_has_a_call_and_its_files_another() {
    let lines = [
        line(b"", b"", Alone),
        line(b"", b"100%.txt", Entry),
        line(b"", b"a b", Whole),
        line(b"", b"x&y", Entry),
        line(b"c/d", b"^(!)", Entry),
        line(b"", b"c", Alone),
        line(b"c", b"bare", Bare),
        directory(b"c", b"empty"),
    ];
    let (format, files) = written(Form::Robocopy, &lines).unwrap();
    let expected = [
        call("a b", Asked::Whole),
        call(".", names(&["100%.txt", "x&y"])),
        call(r"c\d", names(&["^(!)"])),
        call(".", Asked::Itself),
        call("c", Asked::Itself),
        call(r"c\bare", Asked::Itself),
        call(r"c\empty", Asked::Itself),
    ];
    assert_eq!(calls(&files), expected);
    assert_eq!(files.all().len(), 1);
    assert_eq!(format.left_out(), KindCounts::default());
}

#[test]
fn a_call_is_written_so() {
    let (_, files) = written(Form::Robocopy, &[line(b"50%", "é %1".as_bytes(), Entry)]).unwrap();
    let text = String::from_utf8(files.list()).unwrap();
    let expected = r#"robocopy "%SRC%\50%%" "%DST%\50%%" "é %%1" /LEV:1 %ROBOCOPY_OPTIONS%"#;
    assert!(text.contains(&format!("\r\n{expected}\r\n")), "{text}");
}

#[test]
fn the_whole_tree_is_one_call() {
    let (_, files) = written(Form::Robocopy, &[line(b"", b"", Whole)]).unwrap();
    assert_eq!(calls(&files), [call(".", Asked::Whole)]);
}

#[test]
fn many_files_of_a_directory_stand_in_a_job_file() {
    let plain = |number: usize| format!("plain % {number}").into_bytes();
    let other = |number: usize| format!("größer als {number}").into_bytes();
    let all: Vec<Vec<u8>> = (0..3000).flat_map(|number| [plain(number), other(number)]).collect();
    let mut lines: Vec<Line<'_>> = all.iter().map(|name| line(b"wide", name, Entry)).collect();
    lines.push(line(b"next", b"file", Entry));
    let (_, files) = written(Form::Robocopy, &lines).unwrap();
    assert_eq!(files.all().len(), 2, "a job file beside the script");
    let mut found = Vec::new();
    for Call { directory, asked } in calls(&files) {
        let Asked::Files(names) = asked else { panic!("{asked:?}") };
        if directory == "wide" {
            found.extend(names.into_iter().map(String::into_bytes));
        }
    }
    found.sort();
    let mut all = all;
    all.sort();
    assert_eq!(found, all);
    let list = files.list().len();
    assert!(list < 3000 * 30, "names of the job file are not in the script: {list}");
}

#[test]
fn what_windows_does_not_have_is_counted() {
    let kinds = [Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::BlockDevice];
    let lines = kinds.map(|kind| Line { kind, ..line(b"", b"x", Entry) });
    let (format, files) = written(Form::Robocopy, &lines).unwrap();
    assert_eq!(calls(&files), []);
    let expected = KindCounts { symlinks: 1, devices: 1, specials: 2, ..KindCounts::default() };
    assert_eq!(format.left_out(), expected);
}

#[test]
fn what_windows_does_not_take_is_refused_by_name() {
    for span in [Entry, Whole, Alone, Bare] {
        for (folder, name) in [(b"a" as &[u8], b"b:c" as &[u8]), (b"NUL", b"b"), (b"", b"\xff")] {
            let (path, reason) = refusal(Form::Robocopy, &[line(folder, name, span)]);
            assert_eq!(path, line(folder, name, span).path());
            assert!(reason.contains("Windows"), "{reason}");
        }
    }
    let long = "é".repeat(256);
    let (_, reason) = refusal(Form::Robocopy, &[line(b"", long.as_bytes(), Entry)]);
    assert!(reason.contains("255"), "{reason}");
    let (_, reason) = refusal(Form::Robocopy, &[line(b"", b"-purge", Entry)]);
    assert!(reason.contains("option"), "{reason}");
    written(Form::Robocopy, &[line(b"", b"-purge", Whole)]).unwrap();
    let deep = ["x".repeat(200).as_str()].repeat(20).join("/");
    let (_, reason) = refusal(Form::Robocopy, &[line(deep.as_bytes(), b"a", Entry)]);
    assert!(reason.contains("longer"), "{reason}");
}

/// Names that Windows takes, of characters that mean something to somebody.
fn name() -> impl Strategy<Value = String> {
    let letters: Vec<char> = "a0 %&^()!;,=+-_.[]{}~'`@#$éñ😀\u{7f}".chars().collect();
    let longer = proptest::collection::vec(proptest::sample::select(letters), 1..60);
    longer
        .prop_map(|letters| letters.into_iter().collect::<String>() + "z")
        .prop_filter("no option", |name| !name.starts_with('-'))
}

fn path(depth: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(name(), depth).prop_map(|names| names.join("/"))
}

fn told() -> impl Strategy<Value = Vec<(String, String, Span)>> {
    let span = prop_oneof![8 => Just(Entry), 1 => Just(Whole), 1 => Just(Alone), 1 => Just(Bare)];
    let folder = (path(0..4), proptest::collection::vec((name(), span), 1..300));
    proptest::collection::vec(folder, 1..4).prop_map(|folders| {
        let lines = |(folder, names): (String, Vec<(String, Span)>)| {
            names.into_iter().map(move |(name, span)| (folder.clone(), name, span))
        };
        folders.into_iter().flat_map(lines).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_told(told in told()) {
        let lines: Vec<Line<'_>> = told
            .iter()
            .map(|(folder, name, span)| line(folder.as_bytes(), name.as_bytes(), *span))
            .collect();
        let (_, files) = written(Form::Robocopy, &lines).unwrap();
        let mut found = Vec::new();
        for Call { directory, asked } in calls(&files) {
            let one = |asked| call(&directory, asked);
            match asked {
                Asked::Files(names) => {
                    found.extend(names.into_iter().map(|name| one(Asked::Files(vec![name]))));
                }
                other => found.push(one(other)),
            }
        }
        let mut expected: Vec<Call> = told.iter().map(|(folder, name, span)| {
            let path = line(folder.as_bytes(), name.as_bytes(), *span).path();
            let path = String::from_utf8(path).unwrap().replace('/', "\\");
            match span {
                Entry if folder.is_empty() => call(".", names(&[name])),
                Entry => call(&folder.replace('/', "\\"), names(&[name])),
                Whole => call(&path, Asked::Whole),
                Alone | Bare => call(&path, Asked::Itself),
            }
        }).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}
