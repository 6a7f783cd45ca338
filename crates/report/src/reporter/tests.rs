//! What `reporter` promises, held to it.

use std::sync::Arc;

use model::{
    Begun, Cause, Event, Fault, FileGauge, Gauges, Item, ItemFlags, Kind, Message, Side, Sink,
    Summary, Topic, Verb, Verdict,
};

use super::Reporter;
use crate::ended::{Closing, Ended, Endings, Severity, Statistics};
use crate::settings::{
    Effect, HumanReadable, Itemize, Listing, Movement, OutputStyle, Progress, Settings, Volume,
};
use crate::testing::{Capture, Closed, item};

const UNSEEN: Ended = Ended {
    exit_code: 11,
    closing: Some(Closing { severity: Severity::Error, sentence: "not seen" }),
};

fn endings(run: Ended) -> Endings {
    Endings { run, unseen: UNSEEN, statistics: Statistics::Shown, traffic: None }
}

struct Outcome {
    stdout: String,
    stderr: String,
    log: String,
}

fn run(settings: Settings, events: Vec<Event>, summary: &Summary, ended: Ended) -> Outcome {
    let (stdout, stderr, log) = (Capture::default(), Capture::default(), Capture::default());
    let reporter = Reporter::new(
        settings,
        Box::new(stdout.clone()),
        Box::new(stderr.clone()),
        Some(Box::new(log.clone())),
        Arc::new(Gauges::default()),
    );
    for event in events {
        reporter.accept(event);
    }
    let endings = endings(ended);
    assert_eq!(reporter.finish(summary, endings), ended, "nothing is lost");
    Outcome { stdout: stdout.text(), stderr: stderr.text(), log: without_stamps(&log.text()) }
}

/// Log lines without `2024/01/01 12:00:00 [pid] `.
fn without_stamps(log: &str) -> String {
    let strip = |line: &str| line.split_once("] ").unwrap().1.to_owned() + "\n";
    log.lines().map(strip).collect()
}

fn verbose(level: u8) -> Settings {
    let mut settings = Settings::default();
    settings.items.out_format = Some(b"%n%L"[..].into());
    let info = &mut settings.info;
    (info.name, info.flist, info.del, info.misc, info.stats) = (level, 1, 1, level, 1);
    (info.deltasum, info.skip, info.made) = (level - 1, level - 1, 1);
    settings
}

fn itemized() -> Settings {
    let mut settings = Settings::default();
    settings.items.out_format = Some(b"%i %n%L"[..].into());
    settings.items.itemize = Itemize::Changed;
    settings
}

fn with_flags(path: &str, kind: Kind, verdict: Verdict, flags: ItemFlags) -> Event {
    Event::Item(Box::new(Item { flags, ..item(path, kind, verdict) }))
}

fn message(topic: Topic, text: &str) -> Event {
    Event::Message(Message { topic, text: text.as_bytes().into() })
}

fn events() -> Vec<Event> {
    let made = ItemFlags::NEW | ItemFlags::LOCAL_CHANGE;
    let sent = ItemFlags::NEW | ItemFlags::TRANSFER;
    vec![
        message(Topic::Made, "created directory d"),
        with_flags("gone", Kind::Directory, Verdict::Deleted, ItemFlags::empty()),
        with_flags(".", Kind::Directory, Verdict::Copied, made),
        with_flags("a", Kind::File, Verdict::Copied, sent),
        with_flags("n\nl", Kind::File, Verdict::Metadata, ItemFlags::PERMS),
        with_flags("same", Kind::File, Verdict::Equal, ItemFlags::empty()),
        message(Topic::Skip, "b exists"),
    ]
}

fn summary() -> Summary {
    Summary { listed_bytes: 9, literal_bytes: 3, ..Summary::default() }
}

#[test]
fn v_prints_what_rsync_prints() {
    let outcome = run(verbose(1), events(), &summary(), Ended::WELL);
    let (lines, closing) = outcome.stdout.split_once("sent ").unwrap();
    assert_eq!(
        lines,
        "sending incremental file list\ncreated directory d\ndeleting gone/\n./\na\n\n"
    );
    assert!(closing.ends_with("total size is 9  speedup is 3.00\n"), "{closing}");
    assert_eq!(outcome.stderr, "");
}

#[test]
fn vv_prints_what_rsync_prints() {
    let outcome = run(verbose(2), events(), &summary(), Ended::WELL);
    let (lines, _) = outcome.stdout.split_once("sent ").unwrap();
    assert_eq!(
        lines,
        "sending incremental file list\n\
         created directory d\n\
         delta-transmission disabled for local transfer or --whole-file\n\
         deleting gone/\n\
         ./\n\
         a\n\
         n\\#012l\n\
         same is uptodate\n\
         b exists\n\
         total: matches=0  hash_hits=0  false_alarms=0 data=3\n\n"
    );
}

#[test]
fn i_prints_what_rsync_prints() {
    let expected = "created directory d\n\
         *deleting   gone/\n\
         cd+++++++++ ./\n\
         >f+++++++++ a\n\
         .f...p..... n\\#012l\n";
    let outcome = run(itemized(), events(), &summary(), Ended::WELL);
    assert_eq!(outcome.stdout, expected);
    assert_eq!(
        outcome.log,
        format!("building file list\n{expected}sent 3 bytes  received 0 bytes  total size 9\n")
    );
    let mut twice = itemized();
    twice.items.itemize = Itemize::Unchanged;
    let outcome = run(twice, events(), &summary(), Ended::WELL);
    assert_eq!(outcome.stdout, format!("{expected}.f          same\n"));
}

#[test]
fn content_that_comes_or_goes_is_told_as_by_rsync() {
    let first_lines = |movement| {
        let mut settings = itemized();
        settings.run.movement = movement;
        settings.run.listing = Listing::Incremental;
        settings.info.flist = 1;
        let outcome = run(settings, events(), &summary(), Ended::WELL).stdout;
        let (line, rest) = outcome.split_once('\n').unwrap();
        (line.to_owned(), rest.contains(">f+++"), rest.contains("<f+++"))
    };
    let sending = "sending incremental file list".to_owned();
    assert_eq!(first_lines(Movement::Out), (sending.clone(), false, true));
    assert_eq!(first_lines(Movement::Within), (sending, true, false));
    let receiving = "receiving incremental file list".to_owned();
    assert_eq!(first_lines(Movement::In), (receiving, true, false));
}

#[test]
fn without_options_nothing_is_printed() {
    let outcome = run(Settings::default(), events(), &summary(), Ended::WELL);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
}

#[test]
fn deletions_alone_are_printed_on_request() {
    let mut settings = Settings::default();
    settings.info.del = 1;
    let outcome = run(settings, events(), &summary(), Ended::WELL);
    assert_eq!(outcome.stdout, "deleting gone/\n");
}

#[test]
fn quiet_leaves_faults_and_the_log() {
    let mut settings = itemized();
    settings.volume = Volume::Quiet;
    settings.progress = Progress::TotalLine;
    settings.info.stats = 2;
    let mut events = events();
    events.push(Event::Fault(Fault {
        side: Side::Source,
        verb: Verb::Open,
        path: b"s/\x1b[0m"[..].into(),
        cause: Cause::Os(13),
    }));
    let closing = Closing { severity: Severity::Error, sentence: "some files failed" };
    let outcome =
        run(settings, events, &summary(), Ended { exit_code: 23, closing: Some(closing) });
    assert_eq!(outcome.stdout, "");
    let text = "lanesync: source: open \"s/\\#033[0m\": Permission denied (os error 13)\n";
    let stderr = format!("{text}lanesync error: some files failed (code 23)\n");
    assert_eq!(outcome.stderr, stderr);
    assert!(outcome.log.contains(">f+++++++++ a\n"), "{}", outcome.log);
    assert!(outcome.log.contains("Number of files: 0\n"), "{}", outcome.log);
    assert!(outcome.log.ends_with("(code 23)\n"), "{}", outcome.log);
}

#[test]
fn a_refused_fault_cannot_control_the_terminal() {
    let fault = Fault {
        side: Side::Destination,
        verb: Verb::MakeDirectory,
        path: Box::default(),
        cause: Cause::Refused("\u{1b}[2J".into()),
    };
    let outcome = run(Settings::default(), vec![Event::Fault(fault)], &summary(), Ended::WELL);
    assert!(outcome.stderr.contains(r"\#033[2J"), "{}", outcome.stderr);
}

#[test]
fn deletions_over_the_limit_are_counted_at_the_end() {
    let summary = Summary { deletions_skipped: 2, ..Summary::default() };
    let outcome = run(Settings::default(), Vec::new(), &summary, Ended::WELL);
    assert_eq!(outcome.stderr, "Deletions stopped due to --max-delete limit (2 skipped)\n");
}

#[test]
fn a_list_is_a_list() {
    let mut settings = Settings::default();
    settings.run.effect = Effect::ListOnly;
    settings.run.listing = Listing::Whole;
    settings.info.flist = 1;
    settings.info.misc = 2;
    settings.numbers = HumanReadable::Digits;
    let outcome = run(settings, events(), &summary(), Ended::WELL);
    let names: Vec<_> = outcome.stdout.lines().filter_map(|line| line.get(43..)).collect();
    assert_eq!(names, [".", "a", r"n\#012l", "same"]);
    assert!(outcome.stdout.starts_with("building file list ... done\n"), "{}", outcome.stdout);
}

#[test]
fn progress_of_files_follows_their_names() {
    let mut settings = verbose(1);
    settings.progress = Progress::PerFile;
    let outcome = run(settings, events(), &summary(), Ended::WELL);
    assert!(outcome.stdout.contains("a\n\r              3 100% "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("(xfr#1, ir-chk=0/0)\n"), "{}", outcome.stdout);
}

/// A file of 3 bytes in work, as it is told when it begins and when it ends.
fn long_file(moved_bytes: u64) -> [Event; 2] {
    let mut item = item("a", Kind::File, Verdict::Copied);
    item.flags = ItemFlags::NEW | ItemFlags::TRANSFER;
    let gauge = FileGauge::begin();
    gauge.add(moved_bytes);
    let begun = Begun { item: item.clone(), gauge: Arc::new(gauge) };
    [Event::Begun(Box::new(begun)), Event::Item(Box::new(item))]
}

#[test]
fn a_long_file_is_named_once_and_before_its_progress() {
    let mut settings = verbose(1);
    settings.progress = Progress::PerFile;
    let [begun, ended] = long_file(3);
    let events = vec![begun, message(Topic::Notice, "by the way"), ended];
    let outcome = run(settings.clone(), events, &summary(), Ended::WELL);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(lines[1], "a");
    assert!(lines[2].starts_with("\r              3 100% "), "{lines:?}");
    assert_eq!(lines[3], "by the way");
    assert!(lines[4].ends_with(" (xfr#1, ir-chk=0/0)"), "{lines:?}");
    assert_eq!(lines[5], "");

    settings.items.out_format = Some(b"%n %b"[..].into());
    let outcome = run(settings, long_file(3).into(), &summary(), Ended::WELL);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!((lines[1], lines[3]), ("a", "a 0"), "{lines:?}");
}

#[test]
fn a_long_file_that_is_given_up_is_not_said_to_be_there() {
    let mut settings = verbose(1);
    settings.progress = Progress::PerFile;
    let outcome = run(settings, long_file(2).into(), &summary(), Ended::WELL);
    assert!(outcome.stdout.contains("\na\n\r              2  66% "), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("xfr#"), "{}", outcome.stdout);
}

#[test]
fn the_total_line_is_ended_before_the_statistics() {
    let mut settings = Settings { progress: Progress::TotalLine, ..Settings::default() };
    settings.info.stats = 1;
    let summary = Summary { transferred_bytes: 3, transferred_files: 1, ..summary() };
    let outcome = run(settings, events(), &summary, Ended::WELL);
    let (line, rest) = outcome.stdout.split_once('\n').unwrap();
    assert!(line.starts_with("\r              3   0% "), "{line}");
    assert!(line.ends_with(" (xfr#1, ir-chk=0/0)"), "{line}");
    assert!(rest.starts_with("\nsent 3 bytes"), "{rest}");
}

#[test]
fn json_is_alone_on_standard_output() {
    let mut settings = verbose(2);
    settings.style = OutputStyle::Json;
    settings.progress = Progress::TotalLine;
    let mut events = events();
    events.push(message(Topic::Warning, "odd"));
    let outcome = run(settings, events, &summary(), Ended::WELL);
    let types: Vec<_> =
        outcome.stdout.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(types.first(), Some(&"started"));
    assert_eq!(types.last(), Some(&"summary"));
    assert_eq!(types.iter().filter(|name| **name == "item").count(), 5);
    assert_eq!(outcome.stderr, "odd\n");
}

#[test]
fn a_closed_standard_output_is_an_error_at_the_end_and_no_panic() {
    let stderr = Capture::default();
    let reporter = Reporter::new(
        itemized(),
        Box::new(Closed),
        Box::new(stderr.clone()),
        None,
        Arc::new(Gauges::default()),
    );
    for event in events() {
        reporter.accept(event);
    }
    let ended = reporter.finish(&summary(), endings(Ended::WELL));
    assert_eq!(ended, UNSEEN);
    assert_eq!(
        stderr.text(),
        "lanesync: standard output could not be written: broken pipe\n\
         lanesync error: not seen (code 11)\n"
    );
}

#[test]
fn the_last_record_has_the_exit_code_also_when_the_log_is_lost() {
    let stdout = Capture::default();
    let reporter = Reporter::new(
        Settings { style: OutputStyle::Json, ..Settings::default() },
        Box::new(stdout.clone()),
        Box::new(Capture::default()),
        Some(Box::new(Closed)),
        Arc::new(Gauges::default()),
    );
    let ended = reporter.finish(&summary(), endings(Ended::WELL));
    assert_eq!(ended, UNSEEN);
    let text = stdout.text();
    assert!(text.lines().last().unwrap().contains("\"exit_code\":11"), "{text}");
}

#[test]
fn an_unfinished_reporter_stops_its_thread() {
    let gauges = Arc::new(Gauges::default());
    let settings = Settings { progress: Progress::TotalLine, ..Settings::default() };
    let stream = || Box::new(Capture::default());
    drop(Reporter::new(settings, stream(), stream(), None, Arc::clone(&gauges)));
    assert_eq!(Arc::strong_count(&gauges), 1);
}

#[test]
fn after_an_error_that_ends_the_run_only_that_is_said() {
    for style in [OutputStyle::Rsync, OutputStyle::Json] {
        let streams = [Capture::default(), Capture::default(), Capture::default()];
        let [stdout, stderr, log] = streams.clone().map(Box::new);
        let settings = Settings { style, ..verbose(2) };
        let reporter = Reporter::new(settings, stdout, stderr, Some(log), Arc::default());
        let endings = Endings { statistics: Statistics::Withheld, ..endings(UNSEEN) };
        reporter.finish(&summary(), endings);
        let [stdout, stderr, log] = streams.map(|stream| stream.text());
        for text in [&stdout, &log] {
            assert!(!text.contains("sent ") && !text.contains("total"), "{text}");
        }
        assert!(stdout.contains("\"summary\"") == (style == OutputStyle::Json), "{stdout}");
        assert_eq!(stderr, "lanesync error: not seen (code 11)\n");
    }
}
