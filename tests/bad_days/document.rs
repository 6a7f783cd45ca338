//! The examples of docs/json.md are what the program writes. `LANESYNC_BLESS=1` puts them there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{self, Lab, content};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md");

const BLOCK: &str = "```jsonl\n";

/// The time of all entries.
const TIME: i64 = 1_704_164_645;

/// A day on which one of everything happens: `data/` is to go to `backup/`, and `l\xff` too.
fn tree(lab: &Lab) -> testfs::Mount {
    for name in ["a/b", "secret", "tmp", "x.o"] {
        lab.file(Path::new("real").join(name), "abc");
    }
    std::os::unix::fs::symlink("b", lab.path("real/a/l")).unwrap();
    lab.file("backup/old", "old");
    lab.dir("backup/a");
    let odd = lab::name(b"l\xff");
    lab.file(&odd, "odd");
    lab::set_mode(&lab.file(Path::new("backup").join(&odd), "odd"), 0o600);
    for root in ["real", "backup"].map(|root| lab.path(root)) {
        for path in lab::paths(&root).into_iter().rev().chain([root]) {
            lab::set_mtime(&path, TIME);
        }
    }
    lab::set_mtime(&lab.path(&odd), TIME);
    let rules = ["open:EACCES:secret", "open:ENOENT:tmp"];
    let faults = rules.map(|rule| rule.parse().unwrap()).into();
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("real")) };
    testfs::Mount::at(config, &lab.dir("data")).unwrap()
}

/// The examples as runs give them, by the blocks of the document.
fn blocks() -> Vec<Vec<String>> {
    let lab = Lab::new();
    let mount = tree(&lab);
    let odd = lab::name(b"l\xff");
    let options = "-a --delete --ignore-errors --exclude=*.o --out-format=%C";
    let line = format!("--json --workers 1 {options} data/");
    let day = lab.lanesync(&line).word(&odd).word("backup").go().expect(23);
    let kept = lab.lanesync("--json --ignore-existing").word(&odd).word("backup").go().expect(0);
    let made = lab.lanesync("--json -dl real/a/ new").go().expect(0);
    drop(mount);
    let of = |done: &lab::Done, kind: &str| -> Vec<String> {
        let start = format!("{{\"type\":\"{kind}\"");
        let lines = done.stdout.lines().filter(|line| line.starts_with(&start));
        lines.map(normalised).collect()
    };
    vec![
        of(&day, "started"),
        [of(&day, "item"), of(&kept, "item")].concat(),
        of(&day, "fault"),
        [of(&made, "message"), of(&kept, "message")].concat(),
        progress(&lab),
        of(&day, "summary"),
    ]
}

/// A record of a run that still lists, and one of a run that has listed.
fn progress(lab: &Lab) -> Vec<String> {
    lab.file("deep/1/2/3/4/5/6/7/8/file", "x");
    let config = testfs::Config {
        delay: Duration::from_millis(100),
        ..testfs::Config::new(lab.path("deep"))
    };
    let mount = testfs::Mount::at(config, &lab.dir("slow")).unwrap();
    let listing = first_progress(lab, "--json -a slow/ listed/");
    drop(mount);
    lab.file("big", content(1, 16 << 20));
    vec![listing, first_progress(lab, "--json --bwlimit=1m big copied")]
}

fn first_progress(lab: &Lab, words: &str) -> String {
    let run = lab.lanesync(words).start();
    std::thread::sleep(Duration::from_millis(1600));
    run.signal(Signal::INT);
    let done = run.wait();
    let is_progress = |line: &&str| line.starts_with("{\"type\":\"progress\"");
    let line = done.stdout.lines().find(is_progress);
    line.unwrap_or_else(|| panic!("no progress within a second and a half: {done}")).to_owned()
}

/// A record without what differs from run to run: times, the version, the sizes of directories.
fn normalised(line: &str) -> String {
    let line = with_value(line, "\"time\":", "\"2024-01-02T03:04:05Z\"");
    let line = with_value(&line, "\"version\":", "\"0.1.0\"");
    let line = with_value(&line, "\"elapsed_ms\":", "2500");
    with_value(&line, "\"kind\":\"directory\",\"size\":", "4096")
}

fn with_value(line: &str, key: &str, value: &str) -> String {
    let Some(at) = line.find(key).map(|at| at + key.len()) else { return line.to_owned() };
    let rest = &line[at..];
    format!("{}{value}{}", &line[..at], &rest[rest.find(",\"").unwrap_or(rest.len() - 1)..])
}

/// A record of progress counts what the machine got done: only its fields are the same.
fn without_numbers(line: &str) -> String {
    line.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

#[test]
fn the_examples_of_json_md_are_what_the_program_writes() {
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let blocks = blocks();
    if std::env::var_os("LANESYNC_BLESS").is_some() {
        return fs::write(DOCUMENT, blessed(&document, &blocks)).unwrap();
    }
    let documented: Vec<&str> = document.lines().filter(|line| line.starts_with('{')).collect();
    let written = blocks.concat();
    for (documented, written) in documented.iter().zip(&written) {
        if written.starts_with("{\"type\":\"progress\"") {
            assert_eq!(without_numbers(documented), without_numbers(written));
        } else {
            assert_eq!(documented, written);
        }
    }
    assert_eq!(documented.len(), written.len(), "examples: {written:#?}");
}

/// The document with these examples.
fn blessed(document: &str, blocks: &[Vec<String>]) -> String {
    let mut parts = document.split(BLOCK);
    let before = parts.next().unwrap_or_default().to_owned();
    let block = |(part, lines): (&str, &Vec<String>)| {
        let after = &part[part.find("```").unwrap()..];
        format!("{BLOCK}{}\n{after}", lines.join("\n"))
    };
    before + &parts.zip(blocks).map(block).collect::<String>()
}
