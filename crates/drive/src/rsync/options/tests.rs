//! Words as they are typed, and the options of the rsync at hand.

#![expect(clippy::disallowed_methods, reason = "asks the real rsync")]

use std::collections::HashSet;
use std::process::{Command, Stdio};

use super::*;

fn read(words: &[&str]) -> Words {
    Words::read(words.iter().map(OsString::from)).expect("rsync takes these words")
}

fn refused(words: &[&str]) -> Unfit {
    Words::read(words.iter().map(OsString::from)).expect_err("these words are refused")
}

fn shown(words: &Words, purpose: Purpose) -> String {
    let argv = words.for_purpose(purpose);
    argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_option_of_rsync_has_a_row() {
    let output = Command::new("rsync")
        .arg("--help")
        .stdin(Stdio::null())
        .output()
        .expect("rsync has to be installed: it is the reference");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, options) = help.split_once("\nOptions\n").expect("rsync's help has a list of options");
    let mut found = 0;
    for line in options.lines().filter(|line| line.starts_with('-')) {
        let spellings = line.split("  ").next().unwrap_or_default();
        for spelling in spellings.split(", ") {
            let name = spelling.split(['=', ' ']).next().unwrap_or_default();
            if name == "--no-OPTION" {
                continue;
            }
            let row = match name.strip_prefix("--") {
                Some(long) => find_long(long),
                None => find_short(name.chars().nth(1).unwrap()),
            };
            let (row, _, is_off) = row.unwrap_or_else(|_| panic!("{name} has no row"));
            if spelling.contains('=') {
                assert_eq!(row.3, Value::Needed, "{name} takes a value");
            } else if name.starts_with("--") && !spellings.contains('=') && !is_off {
                assert_eq!(row.3, Value::No, "{name} takes no value");
            }
            found += 1;
        }
    }
    assert!(found > 200, "only {found} spellings found in rsync's help");
}

#[test]
fn no_spelling_stands_twice() {
    let mut seen = HashSet::new();
    for row in ROWS {
        for name in row.1.split(' ').chain(row.2.split(' ')).filter(|name| !name.is_empty()) {
            assert!(seen.insert(name), "{name}");
        }
    }
}

/// Runs rsync once for each spelling: some seconds.
#[test]
fn rsync_takes_a_value_where_a_row_says_so() {
    for row in ROWS {
        for name in row.1.split(' ').chain(row.2.split(' ')).filter(|name| name.len() > 1) {
            let output = Command::new("rsync")
                .arg(format!("--{name}"))
                .stdin(Stdio::null())
                .output()
                .expect("rsync has to be installed: it is the reference");
            let says = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!says.contains("unknown option"), "rsync does not know --{name}");
            let takes = row.3 == Value::Needed && !row.2.split(' ').any(|off| off == name);
            assert_eq!(says.contains("missing argument"), takes, "--{name}: {says:.80}");
        }
    }
}

#[test]
fn values_stand_behind_or_are_joined_and_letters_are_bundled() {
    for words in [
        &["-aHe", "ssh -p 1", "--max-size", "3m", "src", "dst"][..],
        &["-aHessh -p 1", "src", "--max-size=3m", "dst"],
        &["-a", "-H", "--rsh=ssh -p 1", "--max-size=3m", "--", "src", "dst"],
    ] {
        let words = read(words);
        let bucket = shown(&words, Purpose::Bucket(Class::Flat));
        assert_eq!(bucket, "-aH --rsh=ssh -p 1 --max-size=3m");
        assert_eq!(words.paths, ["src", "dst"]);
        assert_eq!(words.one_mover, None);
    }
}

#[test]
fn each_purpose_has_its_words() {
    let words = read(&[
        "-avcR",
        "--delete",
        "--max-delete=3",
        "--exclude=*.o",
        "-m",
        "--link-dest=../old",
        "--backup",
        "--existing",
        "-z",
        "--delay-updates",
        "--progress",
        "--bwlimit=3m",
        "--stats",
        "-P",
    ]);
    for (purpose, expected) in [
        (
            Purpose::Bucket(Class::Deep),
            "-ac --exclude=*.o --link-dest=../old --backup --existing -z --delay-updates --partial",
        ),
        (
            Purpose::Bucket(Class::Flat),
            "-ac --link-dest=../old --backup --existing -z --delay-updates --partial",
        ),
        (Purpose::Directories, "-a --link-dest=../old --backup --existing --partial"),
        (
            Purpose::AllDirectories,
            "-aR --exclude=*.o --link-dest=../old --backup --existing --partial",
        ),
        (
            Purpose::Delete,
            "-aR --delete --max-delete=3 --exclude=*.o -m --link-dest=../old --backup --existing --partial",
        ),
        (Purpose::Listing, "-aR --exclude=*.o -m"),
    ] {
        assert_eq!(shown(&words, purpose), expected, "{purpose:?}");
    }
    assert!(words.deletes && words.is_relative && words.is_for_rsync_to_list && !words.is_dry);
    let ours: Vec<&str> = words.ours.iter().map(|word| word.name).collect();
    assert_eq!(ours, ["verbose", "progress", "bwlimit", "stats", "P"]);
    assert_eq!(words.ours[2].value, Some(OsString::from("3m")));
}

#[test]
fn what_many_cannot_do_is_for_one() {
    for (words, is_for_one) in [
        (&["-a"][..], false),
        (&["-r"], false),
        (&["-lt"], true),
        (&["-a", "--no-r"], true),
        (&["--no-r", "-a"], false),
        (&["-d"], true),
        (&["-a", "--no-d"], false),
        (&["-t", "--files-from=x"], false),
        (&["-a", "--files-from=x", "--delete"], true),
        (&["-a", "--remove-source-files"], false),
        (&["-a", "--remove-source-files", "--del"], true),
        (&["-a", "--max-delete=1", "--remove-source-files"], false),
        (&["-aR", "--no-implied-dirs"], true),
        (&["-a", "--no-implied-dirs"], false),
        (&["-a", "--list-only"], true),
        (&["-a", "--ignore-missing-args"], true),
    ] {
        assert_eq!(read(words).one_mover.is_some(), is_for_one, "{words:?}");
    }
}

#[test]
fn what_rsync_alone_can_choose_is_listed_by_it() {
    for (words, by_rsync) in [
        (&["-a", "--exclude=x", "-f", "- *.o"][..], false),
        (&["-ax", "--max-size=1g", "-H"], false),
        (&["-a", "-F"], true),
        (&["-a", "-f:.rules"], true),
        (&["-a", "--filter=merge rules"], true),
        (&["-a", "--exclude-from=rules"], true),
        (&["-aL"], true),
        (&["-am", "--no-m"], true),
        (&["-a", "--files-from=x"], true),
    ] {
        assert_eq!(read(words).is_for_rsync_to_list, by_rsync, "{words:?}");
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    for (words, code, says) in [
        (&["--archiv"][..], 1, "--archiv: rsync has no such option; see rsync --help"),
        (&["-ä"], 1, "-ä: rsync has no such option; see rsync --help"),
        (
            &["-a", "--max-size"],
            1,
            "words for rsync: missing argument for option '--max-size'; see rsync",
        ),
        (&["-a", "--archive=3"], 1, "words for rsync: unexpected argument"),
        (
            &["--read-batch=x"],
            4,
            "--read-batch is not for a mover: batches are written by one rsync",
        ),
        (&["-a", "--out-format=%n"], 4, "--out-format is not for a mover: what is told of entries"),
        (&["--server"], 1, "--server is not for a mover"),
        (&["-a", "--files-from=-"], 1, "--files-from from standard input: many movers cannot read"),
        (&["-a", "-f", ". -"], 1, "-f from standard input"),
    ] {
        let Unfit { code: told, sentence } = refused(words);
        assert!(sentence.starts_with(says), "{sentence}");
        assert_eq!(told, code, "{sentence}");
    }
}

#[test]
fn modes_are_set_by_the_last_word_on_them() {
    for (words, sets) in [
        (&["-a"][..], true),
        (&["-r"], false),
        (&["-rp"], true),
        (&["-a", "--no-p"], false),
        (&["--no-perms", "-a"], true),
    ] {
        assert_eq!(read(words).sets_modes(), sets, "{words:?}");
    }
}
