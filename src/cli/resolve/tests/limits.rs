//! How fast, how long and by how many workers: options, and the configuration file.

use std::num::NonZeroUsize;

use model::settings::Workers;

use super::super::Invocation;
use super::{Fake, check, check_in, refuses, resolve_in};
use crate::exit_code::Exit;

#[test]
fn a_rate_has_units_as_with_rsync() {
    let rate = |line, expected: Option<u64>| {
        check(line, |got| got.bwlimit.rates.at(0).map(u64::from), expected);
    };
    rate("--bwlimit=100", Some(102_400));
    rate("--bwlimit=1.5m", Some(3 << 19));
    rate("--bwlimit=2000b", Some(2048));
    rate("--bwlimit=0", None);
    rate("--bwlimit=5 --no-bwlimit", None);
    refuses("--bwlimit=1b", Exit::Usage, "less than 512");
    refuses("--bwlimit=x", Exit::Usage, "not a rate");
    refuses("--bwlimit=24:00,5m", Exit::Usage, "has a time that is none");
}

#[test]
fn a_rate_or_a_timetable_may_come_from_a_file() {
    let file = |text: &'static str| Fake { files: vec![("rate", text)], ..Fake::default() };
    let rate = |text, hour: u32, expected: Option<u64>| {
        let part = |got: &Invocation| got.bwlimit.rates.at(hour * 3600).map(u64::from);
        check_in(&file(text), "--bwlimit=@rate", part, expected);
    };
    rate("5m\n", 0, Some(5 << 20));
    rate("0\n", 0, None);
    rate("08:00,5m 19:00,off\n", 8, Some(5 << 20));
    rate("08:00,5m 19:00,off\n", 19, None);
    let is_fixed = |got: &Invocation| got.bwlimit.is_fixed();
    check_in(&file("5m\n"), "--bwlimit=@rate", is_fixed, false);
    check_in(&file("5m\n"), "--bwlimit=@rate --bwlimit=5m", is_fixed, true);
    let refused = |text, line, part: &str| {
        let refusal = resolve_in(&file(text), line).unwrap_err();
        assert_eq!(refusal.exit, Exit::Usage, "{}", refusal.sentence);
        assert!(refusal.sentence.contains(part), "{}", refusal.sentence);
    };
    refused("often\n", "--bwlimit=@rate", "holds what is not a rate");
    refused("8:00,1 25:00,2\n", "--bwlimit=@rate", "holds what has a time that is none");
    refused("", "--bwlimit=@no_such_file", "No such file");
}

#[test]
fn a_run_may_have_to_end() {
    let stop = |line, expected: &str| {
        let point: jiff::Timestamp = expected.parse().unwrap();
        check(line, |got| got.job.settings.limits.stop_at, Some(point.into()));
    };
    stop("--stop-after=5", "2026-11-22T06:28:53Z");
    stop("--time-limit=60", "2026-11-22T07:23:53Z");
    stop("--stop-at=14:00", "2026-11-22T14:00:00Z");
    stop("--stop-after=5 --stop-at=14:00", "2026-11-22T14:00:00Z");
    for bad in ["--stop-after=0", "--stop-after=x", "--stop-at=x", "--stop-at=2020-1-1"] {
        refuses(bad, Exit::Usage, "--stop-a");
    }
    check("", |got| got.job.settings.limits.started.secs, 1_795_328_633);
}

#[test]
fn workers_are_as_many_as_option_or_file_say() {
    let workers = |text: &'static str, line, expected: Option<usize>| {
        let fake = Fake {
            variables: vec![("HOME", "/home/u")],
            files: vec![("/home/u/.config/lanesync/config", text)],
            ..Fake::default()
        };
        let expected = expected.and_then(NonZeroUsize::new).map_or(Workers::Auto, Workers::Fixed);
        check_in(&fake, line, |got| got.job.settings.limits.workers, expected);
    };
    workers("", "", None);
    workers("", "--workers=3", Some(3));
    workers("workers = 8", "", Some(8));
    workers("workers = 8", "--workers 2", Some(2));
    workers("workers = 8", "--workers=auto", None);
    refuses("--workers=0", Exit::Usage, "--workers=0");
    refuses("--workers=4097", Exit::Usage, "--workers=4097");
}

#[test]
fn what_the_configuration_file_says_the_command_line_can_take_back() {
    let fake = Fake {
        variables: vec![("XDG_CONFIG_HOME", "/x"), ("HOME", "/home/u")],
        files: vec![("/x/lanesync/config", "no-empty-source = true")],
        ..Fake::default()
    };
    check_in(&fake, "", |got| got.job.settings.delete.refuse_empty_source, true);
    check_in(&fake, "--empty-source", |got| got.job.settings.delete.refuse_empty_source, false);
    let bad = Fake {
        variables: vec![("XDG_CONFIG_HOME", "/x")],
        files: vec![("/x/lanesync/config", "\nno-empty-sauce = true")],
        ..Fake::default()
    };
    let refusal = resolve_in(&bad, "-a").unwrap_err();
    assert!(refusal.sentence.starts_with("/x/lanesync/config:2: "), "{}", refusal.sentence);
}
