//! What flags about the output become.

use model::Interest;
use report::settings::{
    Effect, HumanReadable, Itemize, Listing, MessageStream, NameEscapes, OutBuf, OutputStyle,
    Progress, Transfer, Volume,
};

use super::{Invocation, check, check_in, refuses, resolve_in};
use crate::cli::testing::Fake;
use crate::exit_code::Exit;

fn format_of(invocation: &Invocation) -> Option<String> {
    let format = invocation.report.items.out_format.as_ref();
    format.map(|format| String::from_utf8_lossy(format).into_owned())
}

#[test]
fn formats_have_rsyncs_defaults() {
    let format = |line, expected: Option<&str>| check(line, format_of, expected.map(str::to_owned));
    format("", None);
    format("-v", Some("%n%L"));
    format("--info=name", Some("%n%L"));
    format("-v --info=name0", None);
    format("-i", Some("%i %n%L"));
    format("-iv", Some("%i %n%L"));
    format("-i --info=name0", Some("%i %n%L"));
    format("-i --no-i", None);
    format("--progress", Some("%n%L"));
    format("--progress --info=name0", None);
    format("--info=progress", None);
    format("--out-format=X%n -iv", Some("X%n"));
    format("--log-format=%f", Some("%f"));
    let itemize = |line, expected| check(line, |got| got.report.items.itemize, expected);
    itemize("-v", Itemize::Off);
    itemize("-i", Itemize::Changed);
    itemize("-ii", Itemize::Unchanged);
    check(
        "--log-file=/l --log-file-format=%f",
        |got| {
            (got.log_file.clone().unwrap(), got.report.items.log_format.clone().unwrap().into_vec())
        },
        ("/l".into(), b"%f".to_vec()),
    );
    check("", |got| got.report.items.checksum_digits, 32);
    check("--cc=sha1", |got| got.report.items.checksum_digits, 40);
    check("-c --cc=md5,xxh3", |got| got.report.items.checksum_digits, 16);
}

#[test]
fn levels_follow_verbosity_unless_named() {
    let level = |line, word: fn(&report::settings::Info) -> u8, expected| {
        check(line, |got| word(&got.report.info), expected);
    };
    level("", |info| info.nonreg, 1);
    level("--info=nonreg0", |info| info.nonreg, 0);
    level("-v", |info| info.flist, 1);
    level("-v --info=flist0", |info| info.flist, 0);
    level("--progress", |info| info.flist, 2);
    level("--progress --info=flist0", |info| info.flist, 0);
    level("-v", |info| info.name, 1);
    level("-vv", |info| info.name, 2);
    level("-vv", |info| info.skip, 1);
    level("-vv", |info| info.filter, 1);
    level("-vv --debug=filter0", |info| info.filter, 0);
    level("-v --no-v", |info| info.stats, 0);
    level("-v", |info| info.stats, 1);
    level("--stats", |info| info.stats, 2);
    level("-v --stats", |info| info.stats, 2);
    level("-vv --stats", |info| info.stats, 3);
    level("--stats --info=stats1", |info| info.stats, 1);
    level("--out-format=%n", |info| info.name, 1);
    refuses("--info=nosuch", Exit::Usage, "no word \"nosuch\"");
    refuses("--debug=nosuch", Exit::Usage, "--debug=help");
}

#[test]
fn progress_is_live_only_on_a_terminal_that_asked_for_nothing_else() {
    let terminal = Fake { is_terminal: true, ..Fake::default() };
    let progress = |line, expected| {
        check_in(&terminal, line, |got| got.report.progress, expected);
    };
    progress("-a", Progress::Live);
    progress("-av", Progress::Live);
    progress("-aq", Progress::Off);
    progress("-a --json", Progress::Off);
    progress("-a --list-only", Progress::Off);
    progress("-a --no-progress", Progress::Off);
    progress("-a --info=progress0", Progress::Off);
    progress("-P", Progress::PerFile);
    progress("--progress", Progress::PerFile);
    progress("--progress -q", Progress::Off);
    progress("--info=progress2", Progress::TotalLine);
    progress("--info=progress2 --no-progress", Progress::TotalLine);
    progress("-P --info=progress2", Progress::TotalLine);
    progress("-P --no-progress", Progress::Off);
    check("-a", |got| got.report.progress, Progress::Off);
    check("-P", |got| got.report.progress, Progress::PerFile);
    check("--info=progress2", |got| got.report.progress, Progress::TotalLine);
}

#[test]
fn numbers_and_streams() {
    let numbers = |line, expected| check(line, |got| got.report.numbers, expected);
    numbers("", HumanReadable::Grouped);
    numbers("-h", HumanReadable::Units1000);
    numbers("-hh", HumanReadable::Units1024);
    numbers("-hhh", HumanReadable::Units1024);
    numbers("-h --no-h", HumanReadable::Digits);
    numbers("--no-h -h", HumanReadable::Grouped);
    let outbuf = |line, expected| check(line, |got| got.report.streams.outbuf, expected);
    outbuf("", OutBuf::Block);
    outbuf("--outbuf=L", OutBuf::Line);
    outbuf("--outbuf=none", OutBuf::None);
    outbuf("--outbuf=full", OutBuf::Block);
    refuses("--outbuf=x", Exit::Usage, "--outbuf=x");
    refuses("--outbuf=", Exit::Usage, "--outbuf=");
    let terminal = Fake { is_terminal: true, ..Fake::default() };
    check_in(&terminal, "", |got| got.report.streams.outbuf, OutBuf::Line);
    let messages = |line, expected| check(line, |got| got.report.streams.messages, expected);
    messages("", MessageStream::Stdout);
    messages("--stderr=all", MessageStream::Stderr);
    messages("--stderr=a --stderr=c", MessageStream::Stdout);
    messages("--msgs2stderr", MessageStream::Stderr);
    messages("--msgs2stderr --no-msgs2stderr", MessageStream::Stdout);
    for bad in ["--stderr=x", "--stderr=", "--stderr=E", "--stderr=alle"] {
        refuses(bad, Exit::Usage, "--stderr=");
    }
    check("-q", |got| got.report.volume, Volume::Quiet);
    check("--json", |got| got.report.style, OutputStyle::Json);
    check("--json --no-json", |got| got.report.style, OutputStyle::Rsync);
}

#[test]
fn names_are_escaped_as_the_locale_says() {
    let names = |variables: &[(&'static str, &'static str)], line, expected| {
        let fake = Fake { variables: variables.to_vec(), ..Fake::default() };
        check_in(&fake, line, |got| got.report.streams.names, expected);
    };
    names(&[], "", NameEscapes::NonAscii);
    names(&[("LANG", "C.UTF-8")], "", NameEscapes::Unprintable);
    names(&[("LANG", "de_DE.utf8"), ("LC_ALL", "C")], "", NameEscapes::NonAscii);
    names(&[("LC_CTYPE", "C.UTF-8"), ("LC_ALL", "")], "", NameEscapes::Unprintable);
    names(&[("LANG", "C.UTF-8")], "-8", NameEscapes::ControlOnly);
    names(&[("LANG", "C.UTF-8")], "-8 --no-8", NameEscapes::Unprintable);
}

#[test]
fn the_engine_tells_what_is_printed_and_no_more() {
    let interest = |line, expected| check(line, |got| got.job.settings.interest, expected);
    interest("-a", Interest::Faults);
    interest("-a --stats", Interest::Faults);
    interest("-a --info=progress2", Interest::Faults);
    interest("-av", Interest::Changes);
    interest("-ai", Interest::Changes);
    interest("-aP", Interest::Changes);
    interest("-a --info=del", Interest::Changes);
    interest("-a --log-file=x", Interest::Changes);
    interest("-a --log-file=x --log-file-format=", Interest::Faults);
    interest("-aii", Interest::Unchanged);
    interest("-a --info=name2", Interest::Unchanged);
    interest("-a --list-only", Interest::Unchanged);
    interest("-avv", Interest::Unchanged);
    interest("-a --info=skip", Interest::Changes);
    interest("-a --json", Interest::Everything);
    interest("-avvq", Interest::Faults);
    interest("-avvq --log-file=x", Interest::Changes);
}

#[test]
fn the_report_knows_what_kind_of_run_it_is() {
    let listing = |line, expected| check(line, |got| got.report.run.listing, expected);
    listing("-a", Listing::Incremental);
    listing("-a --no-inc-recursive", Listing::Whole);
    listing("-a --no-i-r --i-r", Listing::Incremental);
    listing("-a --qsort", Listing::Whole);
    listing("-am", Listing::Whole);
    listing("-a --delete", Listing::Incremental);
    listing("-a --delete-before", Listing::Whole);
    listing("-a --delete-after", Listing::Whole);
    listing("-a --delete-delay", Listing::Incremental);
    listing("-a --delay-updates", Listing::Whole);
    listing("-d", Listing::Whole);
    listing("-t", Listing::FilesOnly);
    let effect = |line, expected| check(line, |got| got.report.run.effect, expected);
    effect("-a", Effect::Real);
    effect("-an", Effect::DryRun);
    effect("-an --list-only", Effect::ListOnly);
    check("-a --no-W", |got| got.report.run.transfer, Transfer::Delta);
    check("-a", |got| got.report.run.transfer, Transfer::WholeFile);
    check("-n", |got| got.job.settings.dry_run, true);
    let run = resolve_in(&Fake::default(), "-a").unwrap().report.run;
    assert_eq!(run.sources, [std::path::PathBuf::from("s/")]);
    assert_eq!(run.destination, Some("d".into()));
    assert_eq!(run.version, env!("CARGO_PKG_VERSION"));
}
