//! Version lines, what is refused, and silence.

use crate::support::mask;
use crate::support::parity::{Output, Scenario, Scope, check, observe};
use crate::support::run::{Tool, scratch_dir};
use crate::support::snapshot::Also;
use crate::support::tree::Tree;
use crate::{check_lines, tree};

#[test]
fn the_version_line_has_rsyncs_shape() {
    /// Name, the word, and two versions: `NAME  version N  protocol version N`.
    fn shape(line: &str) -> String {
        let line = mask::numbers(line);
        let words: Vec<_> = line.split(' ').skip(1).collect();
        words.join(" ")
    }
    let scratch = scratch_dir();
    for option in ["--version", "-V"] {
        let first = |tool: &Tool| {
            let seen = observe(tool, &Scenario::new(Tree::new(), option), scratch.path());
            assert_eq!(seen.code(), 0);
            shape(seen.stdout().lines().next().unwrap_or_default())
        };
        let reference = first(&Tool::reference());
        assert_eq!(reference, " version N  protocol version N");
        assert_eq!(first(&Tool::under_test()), reference, "{option}");
    }
}

#[test]
fn usage_errors_end_with_rsyncs_codes() {
    let table: &[(&str, i32)] = &[
        ("", 1),
        ("--bogus src/ dst", 1),
        ("-a --max-delete=x --delete src/ dst", 1),
        ("-a --max-size=big src/ dst", 1),
        ("-a --bwlimit=fast src/ dst", 1),
        ("-a --modify-window=x src/ dst", 1),
        ("-a --chmod=zz src/ dst", 1),
        ("-a --usermap=1 src/ dst", 1),
        ("-a --filter=zz src/ dst", 1),
        ("-a --suffix=a/b -b src/ dst", 1),
        ("-a --partial-dir=p --inplace src/ dst", 1),
        ("-a --append --whole-file src/ dst", 1),
        ("-a --delete-before --delete-during src/ dst", 1),
        ("-t --delete src/ dst", 1),
        ("-a --link-dest=x --compare-dest=y src/ dst", 1),
        ("-a --files-from=list src/ src/ dst", 1),
        ("-a --checksum-choice=crc src/ dst", 4),
        ("-a --compress-choice=rar -z src/ dst", 4),
        ("-a --remove-source-files --bogus src/ dst", 1),
        ("-a --info=nonsense src/ dst", 1),
        ("-a --debug=nonsense src/ dst", 1),
        ("-a --outbuf=x src/ dst", 1),
        ("-a --stop-after=x src/ dst", 1),
        ("-a --stop-at=x src/ dst", 1),
        ("-a --fuzzy=x src/ dst", 1),
        ("-a --recursive=no src/ dst", 1),
        ("-a --exclude", 1),
        ("-a --block-size=1x src/ dst", 1),
        ("-a --skip-compress=gz src/ dst", 0),
        ("-a --no-such-thing src/ dst", 1),
        ("-a --temp-dir=missing src/ dst", 1),
        ("-an --temp-dir=missing src/ dst", 1),
        ("-an --temp-dir=sub src/ dst", 1),
        ("-an --temp-dir=src src/ fresh", 0),
        ("-an --temp-dir=missing src/ fresh", 1),
        ("-a --list-only --temp-dir=missing src/", 1),
        ("-ac --checksum-choice=none src/ dst", 4),
        ("-ac --checksum-choice=md5,none src/ dst", 4),
        ("-a --checksum-choice=none src/ dst", 0),
        ("-a --max-alloc=x src/ dst", 1),
        ("-a --no-detach src/ dst", 1),
        ("--config=x -a src/ dst", 1),
        ("--dparam=a=b src/ dst", 1),
        ("-a --chown=a:b:c src/ dst", 0),
        ("-a --out-format=%n --log-format=%l src/ dst", 0),
        ("-a -e ssh src/ dst", 0),
        ("-az --zl=3 src/ dst", 0),
        ("-a --timeout=5 --contimeout=5 src/ dst", 1),
    ];
    let scope = Scope { output: Output::Ignored, also: Also::default() };
    let mut wrong = Vec::new();
    for (args, code) in table {
        let seen = check(&Scenario::new(tree().file("list", "new\n"), args), scope);
        if seen.code() != *code {
            wrong.push((args, seen.code(), seen.stderr()));
        }
        if seen.code() == 1 {
            assert!(!seen.stderr().is_empty(), "{args} says why");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn variables_are_checked_as_options_are() {
    let scope = Scope { output: Output::Ignored, also: Also::default() };
    for (args, value, code) in [
        ("-a src/ dst", "x", 1),
        ("-a src/ dst", "1", 1),
        ("-a src/ dst", "2m", 0),
        ("-a src/ dst", "0", 0),
        ("-a src/ dst", "", 0),
        ("-a --max-alloc=2m src/ dst", "x", 0),
    ] {
        let scenario = Scenario::new(tree(), args).env("RSYNC_MAX_ALLOC", value);
        assert_eq!(check(&scenario, scope).code(), code, "{args} {value}");
    }
    let by_none = Scenario::new(tree(), "-ac src/ dst").env("RSYNC_CHECKSUM_LIST", "none");
    assert_eq!(check(&by_none, scope).code(), 4);
}

#[test]
fn quiet_says_nothing() {
    for args in
        ["-aq src/ dst", "-avq src/ dst", "-aqi src/ dst", "-qr src/ dst", "-aq --stats src/ dst"]
    {
        let seen = check_lines(args);
        assert_eq!(seen.code(), 0, "{args}");
        assert!(!seen.stdout().contains("sent "), "{args}: {}", seen.stdout());
    }
    let seen = check_lines("-aq src/ dst");
    assert_eq!(seen.stdout(), "");
}
