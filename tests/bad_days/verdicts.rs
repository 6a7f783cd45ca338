//! The numbers add up, every failure is said with its path, and all outputs agree on the exit code.

use serde_json::Value;

use crate::lab::{self, Done, Lab, content};
use crate::support::records;

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
        "listxattr:EIO:dir05/unlistable",
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
    records::parse(&done.stdout)
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

/// Every entry that is counted has its item, and only one.
#[track_caller]
fn assert_agree(done: &Done) {
    let all = records(done);
    let found = records::discrepancies(&all);
    assert!(found.is_empty(), "{found:#?}: {done}");
    let twice = records::told_twice(&all);
    assert!(twice.is_empty(), "{twice:?} have two items: {done}");
}

#[test]
fn items_agree_with_the_summary_and_no_path_has_two_verdicts() {
    for options in ["-ii", "--existing", "-X", "-m --workers 1", "-n", "-c", "--delete-after"] {
        assert_agree(&bad_day(&format!("--json {options}")).1);
    }
}

#[test]
fn what_is_left_out_has_its_item() {
    let lab = Lab::new();
    for name in ["src/file", "src/new/a", "src/new/b/c", "src/dir/kept", "dst/dir/kept"] {
        lab.file(name, "x");
    }
    lab.dir("src/empty/inner");
    std::os::unix::fs::symlink("/etc/passwd", lab.path("src/unsafe")).unwrap();
    lab.mount_tmpfs("src/mounted", "size=1m");
    let check = |options: &str, reason: &str| {
        let done = lab.lanesync(&format!("-a --json -n {options} dst/")).go();
        assert_agree(&done);
        let all = records(&done);
        let has = |record: &Value| record["reason"].as_str().is_some_and(|it| it.contains(reason));
        assert!(all.iter().any(has), "no item has the reason {reason:?}: {done}");
    };
    check("--safe-links src/", "ignoring unsafe symlink");
    check("-m src/", "there is nothing in it");
    check("-xx src/", "another file system");
    check("--existing src/", "not creating new directory \"new\"");
    check("--existing src/", "it lies in a directory that is not created");
    check("src/ src/nosuch", "No such file");
    check("--exclude=file src/file src/dir", "- file (command line)");
    check("--no-r --no-d src/file src/dir", "skipping directory dir");
}

/// A run that is stopped while all kinds of work are under way.
#[test]
fn a_cancelled_run_has_an_item_for_each_entry_it_counts() {
    let lab = Lab::new();
    lab.file("src/big", content(1, 48 << 20));
    lab.file("same/big", content(1, 48 << 20));
    for number in 0..300_u64 {
        let file =
            lab.file(format!("src/dir{:02}/f{number:03}", number % 20), content(number, 2000));
        if number % 5 == 0 {
            std::fs::hard_link(file, lab.path(format!("src/link{number:03}"))).unwrap();
        }
    }
    lab::age(&lab.path("src"));
    for (number, options) in [
        "",
        "--workers 1",
        "-H",
        "-H --workers 1",
        "-H --delay-updates",
        "--delete-before",
        "-c --copy-dest=../same",
        "--inplace",
    ]
    .iter()
    .enumerate()
    {
        for pause in [150, 600] {
            let line = format!("-a --json --bwlimit=2m {options} src/ dst{number}/");
            let run = lab.lanesync(&line).start();
            std::thread::sleep(std::time::Duration::from_millis(pause));
            run.signal(rustix::process::Signal::INT);
            assert_agree(&run.wait().expect(20));
        }
    }
}

/// Its owner cannot be set, and its directory, closed meanwhile, cannot be opened again.
#[test]
fn a_file_that_failed_and_cannot_be_put_into_place_counts_once() {
    let lab = Lab::new();
    for number in 0..40 {
        let file = lab.file(format!("src/dir{number:02}/file"), "new");
        std::os::unix::fs::lchown(file, Some(lab::USER), None).unwrap();
    }
    let mut missed = 0;
    for opened_before in 0..4 {
        let backing = lab.dir(format!("backing{opened_before}"));
        let rules = ["chown:EPERM:*file*", &format!("opendir:EIO:dir05:after={opened_before}")];
        let faults = rules.map(|rule| rule.parse().unwrap()).into();
        let config = testfs::Config { faults, ..testfs::Config::new(backing) };
        let point = format!("dst{opened_before}");
        let _mount = testfs::Mount::at(config, &lab.dir(&point)).unwrap();
        let line = format!("-a --json --delay-updates --workers 1 src/ {point}/");
        let done = lab.lanesync(&line).open_files(64).go().expect(23);
        assert_agree(&done);
        missed += usize::from(done.stderr.contains("open directory \"dst"));
        assert!(!done.stderr.contains("bug"), "{done}");
    }
    assert!(missed > 0, "no directory was opened again");
}

#[test]
fn a_command_line_that_is_turned_down_has_its_records() {
    for (line, code) in [
        ("--json --bogus src/ dst", 1),
        ("-a --json", 1),
        ("-a --max-size=x src/ dst --json", 1),
        ("--json src/ host::dst", 4),
        ("--no-json --json --write-batch=x src/ dst", 4),
    ] {
        let done = Lab::new().lanesync(line).go();
        assert_eq!(done.code, code, "{done}");
        let [message, summary] = &records(&done)[..] else { panic!("two records: {done}") };
        assert_eq!((&message["type"], &message["class"]), (&"message".into(), &"warning".into()));
        let why = message["text"].as_str().unwrap();
        assert!(done.stderr.starts_with(&format!("{why}\n")), "{done}");
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["exit_code"].as_i64(), Some(i64::from(code)));
        assert!(done.stderr.contains(summary["sentence"].as_str().unwrap()), "{done}");
    }
    for line in ["--bogus src/ dst", "--json --no-json --bogus src/ dst", "--bogus -- --json"] {
        assert_eq!(Lab::new().lanesync(line).go().stdout, "", "{line}");
    }
}

/// A link that was just made is no entry that was right already.
#[test]
fn what_a_basis_directory_has_is_told_as_what_became_of_it() {
    let verdicts = |options: &str, destination: &str| {
        let lab = Lab::new();
        lab.file("src/file", "same");
        std::os::unix::fs::symlink("x", lab.path("src/link")).unwrap();
        lab.file("old/file", "other");
        lab::age(&lab.path("src"));
        lab.lanesync("-a src/ basis/").go().expect(0);
        let line = format!("--json {options} src/ {destination}");
        let done = lab.lanesync(&line).go().expect(0);
        let all = records(&done);
        let of = |name: &str| {
            let item = all.iter().find(|record| record["path"] == name).unwrap();
            item["verdict"].as_str().unwrap().to_owned()
        };
        let created = all.last().unwrap()["created"]["files"].as_u64();
        assert_eq!(created, Some(0), "{options}: as rsync counts: {done}");
        [of("file"), of("link")]
    };
    for dry in ["", "-n"] {
        let check = |option: &str, destination: &str, expected: [&str; 2]| {
            let options = format!("-a {dry} {option}=../basis");
            assert_eq!(verdicts(&options, destination), expected, "{options} {destination}");
        };
        check("--link-dest", "new", ["copied", "copied"]);
        check("--link-dest", "old", ["updated", "copied"]);
        check("--copy-dest", "new", ["copied", "copied"]);
        check("--compare-dest", "new", ["equal", "equal"]);
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

#[test]
fn what_is_written_is_told_apart_from_what_is_brought_over() {
    let lab = Lab::new();
    let name = lab.file("src/sparse", content(1, 200_000));
    std::fs::File::options().write(true).open(name).unwrap().set_len(64 << 20).unwrap();
    lab.file("src/plain", content(2, 5000));
    let done = lab.lanesync("-a --json src/ dst/").go().expect(0);
    let records = records(&done);
    let summary = records.last().unwrap();
    let number = |field: &str| summary[field].as_u64().unwrap();
    assert_eq!(number("literal_bytes"), (64 << 20) + 5000);
    assert_eq!(number("literal_bytes"), number("transferred_bytes"));
    let written = number("written_bytes");
    assert!((205_000..1 << 20).contains(&written), "{written} bytes were written");
    let items: u64 = records.iter().filter_map(|record| record["written_bytes"].as_u64()).sum();
    assert_eq!(items, 2 * written, "the items and the summary");
}
