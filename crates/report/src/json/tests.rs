//! What `json` promises, held to it. `bad_days::document` holds the examples of docs/json.md against
//! real runs.

use std::time::Duration;

use model::{
    Cause, Fault, Item, ItemFlags, Kind, Message, Metadata, RelPath, Side, Summary, Topic, Verb,
    Verdict,
};

use super::{
    FaultRecord, ItemRecord, MessageRecord, ProgressRecord, Record, Started, SummaryRecord,
};
use crate::progress::{Percent, Reading, Scan};
use crate::settings::RunFacts;
use crate::stats::Totals;
use crate::testing::item;

const DOCUMENT: &str = include_str!("../../../../docs/json.md");

/// Records that have every field between them.
fn records() -> Vec<String> {
    let mut lines = vec![started()];
    lines.extend(items().iter().map(|item| line(&Record::Item(ItemRecord::new(item)))));
    lines.extend(faults().iter().map(|fault| line(&Record::Fault(FaultRecord::new(fault)))));
    for (topic, text) in
        [(Topic::Made, &b"created directory backup"[..]), (Topic::Skip, b"f\xff exists")]
    {
        let message = Message { topic, text: text.into() };
        lines.push(line(&Record::Message(MessageRecord::new(&message))));
    }
    lines.extend(progress());
    lines.push(summary());
    lines
}

fn line(record: &Record<'_>) -> String {
    String::from_utf8(record.to_line()).unwrap()
}

fn started() -> String {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(b"/l\xff".to_vec());
    let run = RunFacts {
        sources: vec!["/data/".into(), odd.into()],
        destination: Some("backup".into()),
        version: "0.1.0",
        ..RunFacts::default()
    };
    let time = jiff::Timestamp::from_second(1_704_164_645).unwrap();
    line(&Record::Started(Started::new(&run, time)))
}

fn items() -> Vec<Item> {
    let new = ItemFlags::NEW | ItemFlags::TRANSFER;
    let made = ItemFlags::NEW | ItemFlags::LOCAL_CHANGE;
    let path = RelPath::new(b"secret").unwrap();
    let metadata = item("secret", Kind::File, Verdict::Failed).metadata;
    vec![
        Item {
            flags: new,
            written_bytes: 3,
            checksum: Some("102f5037fe6474019fe947b4977bb2a5".into()),
            ..item("a/b", Kind::File, Verdict::Copied)
        },
        Item {
            flags: made,
            link: Some(b"b"[..].into()),
            ..item("a/l", Kind::Symlink, Verdict::Copied)
        },
        Item {
            path: RelPath::new(b"f\xff").unwrap(),
            flags: ItemFlags::PERMS,
            ..item("f", Kind::File, Verdict::Metadata)
        },
        item("a", Kind::Directory, Verdict::Equal),
        item("x.o", Kind::File, Verdict::Excluded).because("- *.o (command line)"),
        Item::failed(path, metadata, &fault("/data/secret", Cause::Os(13))),
        item("old", Kind::File, Verdict::Deleted),
    ]
}

fn faults() -> [Fault; 2] {
    [fault("/data/secret", Cause::Os(13)), fault("/data/tmp", Cause::Vanished)]
}

fn fault(path: &str, cause: Cause) -> Fault {
    Fault { side: Side::Source, verb: Verb::Open, path: path.as_bytes().into(), cause }
}

fn progress() -> [String; 2] {
    let running = Reading {
        list: Scan::Running,
        listed_entries: 12_345,
        listed_bytes: 2_000_000,
        done_entries: 1000,
        done_bytes: 500_000,
        transferred_files: 900,
        transferred_bytes: 400_000,
        workers_busy: 3,
        workers_active: 4,
        scan: Scan::Running,
    };
    let finished = Reading {
        done_entries: 12_345,
        done_bytes: 2_000_000,
        workers_busy: 0,
        scan: Scan::Finished,
        ..running
    };
    let mut percent = Percent::default();
    let mut record = |secs, reading| {
        let elapsed = Duration::from_secs(secs);
        line(&Record::Progress(ProgressRecord::new(elapsed, reading, &mut percent)))
    };
    [record(1, &running), record(2, &finished)]
}

fn summary() -> String {
    let mut summary = Summary {
        transferred_files: 1,
        listed_bytes: 6,
        transferred_bytes: 3,
        written_bytes: 3,
        literal_bytes: 3,
        faults: 1,
        ..Summary::default()
    };
    for verdict in [Verdict::Copied, Verdict::Equal, Verdict::Failed, Verdict::Deleted] {
        summary.verdicts.add(verdict);
    }
    summary.listed.add(Kind::File, 2);
    summary.listed.add(Kind::Directory, 1);
    summary.created.add(Kind::File, 1);
    summary.deleted.add(Kind::File, 1);
    let sentence = Some("some entries were not brought over; they are named above");
    let elapsed = Duration::from_millis(2500);
    let totals = Totals { summary: &summary, traffic: None };
    line(&Record::Summary(SummaryRecord::new(&totals, 23, sentence, elapsed)))
}

#[test]
fn the_document_explains_every_field() {
    let mut keys = Vec::new();
    for record in records() {
        collect_keys(&serde_json::from_str(&record).unwrap(), &mut keys);
    }
    for key in keys {
        let name = key.strip_suffix("_base64").unwrap_or(&key);
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{key} is not explained");
    }
}

fn collect_keys(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                keys.push(key.clone());
                collect_keys(value, keys);
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                collect_keys(value, keys);
            }
        }
        _ => {}
    }
}

#[test]
fn the_document_names_every_verdict_and_change() {
    let changes = ItemFlags::all().iter_names().map(|(name, _)| name.to_lowercase());
    let verdicts = Verdict::ALL.map(|verdict| super::verdict_name(verdict).to_owned());
    for name in changes.chain(verdicts) {
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{name} is not explained");
    }
}

#[test]
fn names_that_are_no_text_are_in_base64() {
    let item = Item {
        path: RelPath::new(b"f\xff").unwrap(),
        link: Some(b"t\xff"[..].into()),
        ..item("f", Kind::Symlink, Verdict::Equal)
    };
    let record = line(&Record::Item(ItemRecord::new(&item)));
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["path_base64"], &record["link_base64"]), (&"Zv8=".into(), &"dP8=".into()));
    assert!(record.get("path").is_none() && record.get("link").is_none(), "{record}");
}

#[test]
fn what_was_not_looked_at_has_no_size() {
    let path = RelPath::new(b"x").unwrap();
    let unseen = Item::new(path, Metadata::unknown(Kind::File), Verdict::Excluded);
    assert!(!line(&Record::Item(ItemRecord::new(&unseen))).contains("\"size\""));
    let seen = item("x", Kind::File, Verdict::Equal);
    assert!(line(&Record::Item(ItemRecord::new(&seen))).contains("\"size\":3"));
}
