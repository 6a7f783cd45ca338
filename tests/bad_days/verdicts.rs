//! The numbers add up, every failure is said with its path, and all outputs agree on the exit code.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::lab::{self, Done, Lab, content};

/// A day on which much goes wrong at once.
fn bad_day(options: &str) -> (Lab, Done) {
    let lab = Lab::new();
    for dir in 0..12 {
        for file in 0..10_u64 {
            lab.file(format!("new/dir{dir:02}/file{file}"), content(file, 3000));
            if file < 7 {
                lab.file(format!("old/dir{dir:02}/file{file}"), content(file + file % 2, 3000));
            }
            lab.file(format!("old/dir{dir:02}/extra{file}"), "extra");
        }
    }
    lab.file("new/skipped.o", "excluded by a rule");
    lab.file("new/dir05/unlistable/inner", "x");
    lab::age(&lab.path("new"));
    lab::age_by(&lab.path("old"), -20_000);
    let rules = [
        "open:EIO:dir01/file8",
        "read:EIO:dir02/file9",
        "lookup:EACCES:dir03/file5",
        "opendir:EIO:dir05/unlistable",
        "readdir:EIO:dir07",
    ];
    let faults = rules.map(|rule| rule.parse().unwrap()).into();
    let config = testfs::Config { faults, ..testfs::Config::new(lab.path("new")) };
    let mount = testfs::Mount::at(config, &lab.dir("src")).unwrap();
    let done = lab.lanesync(&format!("-a --delete --exclude=*.o {options} src/ old/")).go();
    drop(mount);
    (lab, done)
}

const FAILED: &[&str] =
    &["src/dir01/file8", "src/dir02/file9", "src/dir03/file5", "src/dir05/unlistable", "src/dir07"];

fn records(done: &Done) -> Vec<Value> {
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_failure_is_said_with_side_verb_path_and_cause() {
    for workers in ["", "--workers 1"] {
        let (_lab, mut done) = bad_day(workers);
        assert_eq!(done.code, 23, "{done}");
        for path in FAILED {
            done = done.complains(&["source: ", path, "(os error "]);
        }
    }
}

#[test]
fn the_verdicts_add_up_to_the_entries_seen() {
    for workers in ["", "--workers 1", "--workers 32"] {
        let (lab, done) = bad_day(&format!("--json -ii {workers}"));
        let all = records(&done);
        let summary = all.last().unwrap();
        assert_eq!(summary["type"], "summary", "the last line is no summary: {done}");
        let of = |verdict: &str| summary["verdicts"][verdict].as_u64().unwrap();
        let verdicts = summary["verdicts"].as_object().unwrap();
        let total: u64 = verdicts.values().map(|count| count.as_u64().unwrap()).sum();
        let seen = summary["seen"].as_u64().unwrap();
        assert_eq!(total - of("deleted"), seen, "{summary}");
        // All that could be seen: everything but what is below the two that could not be listed.
        let names = lab::names(&lab.path("new"));
        let hidden = |name: &&std::path::PathBuf| {
            let below = |dir: &str| name.starts_with(dir) && name.as_os_str() != dir;
            !below("dir05/unlistable") && !below("dir07")
        };
        // And the root itself.
        assert_eq!(seen as usize, names.iter().filter(hidden).count() + 1, "{summary}");
        assert_eq!(of("excluded"), 1);
        assert_eq!(of("failed") + of("changed_during_copy"), 3, "{summary}");
        assert_eq!(summary["faults"].as_u64(), Some(5), "{summary}");
    }
}

#[test]
fn items_agree_with_the_summary_and_no_path_has_two_verdicts() {
    let (_lab, done) = bad_day("--json -ii");
    let all = records(&done);
    let mut seen = BTreeSet::new();
    let mut counts = std::collections::BTreeMap::new();
    for item in all.iter().filter(|record| record["type"] == "item") {
        let path = item["path"].as_str().unwrap();
        assert!(seen.insert(path.to_owned()), "{path} has two verdicts: {done}");
        *counts.entry(item["verdict"].as_str().unwrap().to_owned()).or_insert(0_u64) += 1;
    }
    let summary = all.last().unwrap();
    for (verdict, count) in summary["verdicts"].as_object().unwrap() {
        let told = counts.get(verdict).copied().unwrap_or_default();
        assert_eq!(Some(told), count.as_u64(), "{verdict}: items told, and counted in {summary}");
    }
}

#[test]
fn the_last_line_has_the_exit_code() {
    let check = |done: Done, code: i32| {
        assert_eq!(done.code, code, "{done}");
        let all = records(&done);
        let last = all.last().unwrap();
        assert_eq!(last["type"], "summary");
        assert_eq!(last["exit_code"].as_i64(), Some(i64::from(code)), "{done}");
    };
    check(bad_day("--json").1, 23);
    let lab = Lab::new();
    lab.file("src/file", content(1, 9 << 20));
    lab.file("dst/extra", "x");
    check(lab.lanesync("-a --json --delete --max-delete=0 src/ dst/").go(), 25);
    check(lab.lanesync("-a --json --delete src/ dst/").go(), 0);
    check(lab.lanesync("-a --json nosuch src/ dst/").go(), 23);
    lab.mount_tmpfs("full", "size=1m");
    check(lab.lanesync("-a --json src/ full/").go(), 11);
    let slow = lab.lanesync("-aI --json --bwlimit=1m src/ other/").start();
    std::thread::sleep(std::time::Duration::from_millis(500));
    slow.signal(rustix::process::Signal::TERM);
    check(slow.wait(), 20);
}

#[test]
fn the_statistics_count_what_happened() {
    let (lab, done) = bad_day("--stats");
    let number = |label: &str| -> u64 {
        let line = done.stdout.lines().find(|line| line.starts_with(label));
        let line = line.unwrap_or_else(|| panic!("no line {label:?}: {done}"));
        let digits = line[label.len()..].split_whitespace().next().unwrap();
        digits.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let extra = lab::names(&lab.path("old"))
        .iter()
        .filter(|name| name.to_string_lossy().contains("extra"))
        .count();
    assert_eq!(number("Number of deleted files:"), 120 - extra as u64);
    let created = lab::contents(&lab.path("old"));
    let created = created.keys().filter(|name| {
        let name = name.to_string_lossy();
        ["file7", "file8", "file9"].iter().any(|new| name.ends_with(new))
    });
    // Beside the files, the directory that could be made and not be listed.
    assert_eq!(number("Number of created files:"), created.count() as u64 + 1);
    assert_eq!(done.code, 23);
}
