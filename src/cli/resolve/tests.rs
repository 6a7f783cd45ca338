//! What `resolve` promises, held to it.

use std::ffi::OsString;
use std::fmt::Debug;

use super::Invocation;
use crate::cli::testing::{Fake, words};
use crate::cli::{Refusal, Request, read};
use crate::exit_code::Exit;

mod effects;

mod limits;

mod oracle;

mod output;

mod remote;

mod settings;

fn resolve_words(words: Vec<OsString>, fake: &Fake) -> Result<Invocation, Refusal> {
    match read(words, fake)? {
        Request::Sync(invocation) => Ok(*invocation),
        Request::Tell(text) => panic!("only told: {text}"),
        Request::Blocks(asked) => panic!("about an image: {asked:?}"),
        Request::Manifest(asked) => panic!("about buckets: {asked:?}"),
        Request::Agent(words) => panic!("work for another host: {words:?}"),
    }
}

/// Resolves `line` with one source and one destination behind it.
fn resolve_in(fake: &Fake, line: &str) -> Result<Invocation, Refusal> {
    resolve_words(words(&format!("{line} s/ d")), fake)
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better without a borrow")]
fn check_in<T: Debug + PartialEq>(
    fake: &Fake,
    line: &str,
    part: impl FnOnce(&Invocation) -> T,
    expected: T,
) {
    let invocation = resolve_in(fake, line).unwrap_or_else(|refusal| panic!("{line}: {refusal:?}"));
    assert_eq!(part(&invocation), expected, "{line}");
}

/// `line s/ d` means `expected`, as far as `part` looks.
fn check<T: Debug + PartialEq>(line: &str, part: impl FnOnce(&Invocation) -> T, expected: T) {
    check_in(&Fake::default(), line, part, expected);
}

/// `line s/ d` is turned down with this exit code and a sentence that has this part.
fn refuses(line: &str, exit: Exit, part: &str) {
    match resolve_in(&Fake::default(), line) {
        Ok(_) => panic!("{line} is taken"),
        Err(refusal) => {
            assert_eq!(refusal.exit, exit, "{line}: {}", refusal.sentence);
            assert!(refusal.sentence.contains(part), "{line}: {}", refusal.sentence);
        }
    }
}

#[test]
fn the_last_path_is_the_destination() {
    let job = |line| resolve_words(words(line), &Fake::default()).unwrap().job;
    let paths = |line| {
        job(line).sources.iter().map(|source| source.path.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(paths("-a a b/ d"), ["a", "b/"]);
    assert_eq!(job("-a a d").destination.unwrap().path.to_str(), Some("d"));
    assert_eq!(job("sync -a a d").sources.len(), 1);
    assert_eq!(paths("./sync d"), ["./sync"]);
    assert_eq!(paths("a sync"), ["a"]);
    assert!(job("a").destination.is_none());
    assert!(job("a").settings.traverse.list_only);
}

#[test]
fn paths_that_cannot_be_are_refused() {
    let refusal = |line: Vec<&str>| {
        let words = line.into_iter().map(OsString::from).collect();
        read(words, &Fake::default()).unwrap_err()
    };
    assert_eq!(refusal(vec![]).exit, Exit::Usage);
    assert_eq!(refusal(vec!["-v"]).exit, Exit::Usage);
    assert_eq!(refusal(vec!["", "d"]).exit, Exit::Usage);
    assert_eq!(refusal(vec!["s", ""]).exit, Exit::Usage);
    for host in ["h::m", "rsync://h/m"] {
        let refusal = refusal(vec!["-a", "s", host]);
        assert_eq!(refusal.exit, Exit::Unsupported);
        assert!(refusal.sentence.contains("daemons are not spoken to"), "{}", refusal.sentence);
    }
}

#[test]
fn commands_to_come_are_refused_and_paths_of_that_name_are_not() {
    for command in ["drive", "runs", "verify", "assess"] {
        let refusal =
            read(vec![command.into(), "s".into(), "d".into()], &Fake::default()).unwrap_err();
        assert_eq!(refusal.exit, Exit::Unsupported);
        assert!(refusal.sentence.contains("not there yet"), "{}", refusal.sentence);
    }
    for line in ["./blocks d", "-a blocks d", "./manifest d", "-a manifest d"] {
        assert!(resolve_words(words(line), &Fake::default()).is_ok(), "{line}");
    }
}

#[test]
fn help_and_version_win_over_paths() {
    let tells = |line: &str| match read(words(line), &Fake::default()) {
        Ok(Request::Tell(text)) => text,
        other => panic!("{line}: {other:?}"),
    };
    let (text, json) = (tells("-V"), tells("-VV s d"));
    assert!(text.starts_with("lanesync  version "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in [
        "program",
        "version",
        "protocol",
        "copyright",
        "url",
        "capabilities",
        "optimizations",
        "checksum_list",
        "compress_list",
        "daemon_auth_list",
        "license",
        "caveat",
    ] {
        assert!(!json[key].is_null(), "{key}");
    }
    assert_eq!(json["capabilities"]["crtimes"], false);
    assert_eq!(tells("--help"), tells("-h"));
    assert_eq!(tells("--help"), tells("-hv"));
    assert!(tells("--info=help").contains("PROGRESS"));
    assert!(tells("--debug=help").contains("DELTASUM"));
    assert!(read(words("-h -v"), &Fake::default()).is_err());
    assert!(read(words("-V --no-such"), &Fake::default()).is_err());
}
