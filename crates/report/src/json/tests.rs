//! What `json` promises, held to it.

use std::time::Duration;

use model::{
    Cause, Fault, Item, ItemFlags, Kind, Message, MessageClass, RelPath, Side, Summary, Verdict,
};

use super::{
    FaultRecord, ItemRecord, MessageRecord, ProgressRecord, Record, Started, SummaryRecord,
};
use crate::progress::{Percent, Reading, Scan};
use crate::settings::RunFacts;
use crate::testing::item;

const DOCUMENT: &str = include_str!("../../../../docs/json.md");

/// What the program writes for the examples of the document, in their order.
fn examples() -> Vec<String> {
    let mut lines = vec![started()];
    lines.extend(items().iter().map(|item| line(&Record::Item(ItemRecord::new(item)))));
    lines.extend(faults().iter().map(|fault| line(&Record::Fault(FaultRecord::new(fault)))));
    for (class, text) in [
        (MessageClass::Verbose, &b"created directory backup"[..]),
        (MessageClass::Debug, b"f\xff exists"),
    ] {
        let message = Message { class, text: text.into() };
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
    let refusal = fault("/data/secret", Cause::Os(13)).to_string();
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
        Item { reason: Some("- *.o".into()), ..item("x.o", Kind::File, Verdict::Excluded) },
        Item {
            flags: new,
            reason: Some(refusal.into()),
            ..item("secret", Kind::File, Verdict::Failed)
        },
        item("old", Kind::File, Verdict::Deleted),
    ]
}

fn faults() -> [Fault; 2] {
    [fault("/data/secret", Cause::Os(13)), fault("/data/tmp", Cause::Vanished)]
}

fn fault(path: &str, cause: Cause) -> Fault {
    Fault { side: Side::Source, verb: "open", path: path.as_bytes().into(), cause }
}

fn progress() -> [String; 2] {
    let running = Reading {
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
    let sentence = Some("some files/attrs were not transferred (see previous errors)");
    let elapsed = Duration::from_millis(2500);
    line(&Record::Summary(SummaryRecord::new(&summary, 23, sentence, elapsed)))
}

#[test]
fn the_document_shows_what_the_program_writes() {
    let documented: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(documented, examples());
}

#[test]
fn the_document_explains_every_field() {
    let mut keys = Vec::new();
    for example in examples() {
        collect_keys(&serde_json::from_str(&example).unwrap(), &mut keys);
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
fn the_error_number_of_a_fault_is_found_in_its_text() {
    for errno in [1, 13, 28, 122] {
        let text = fault("a (os error 5)", Cause::Os(errno)).to_string();
        assert_eq!(super::errno_in(&text), Some(errno));
    }
    let text = fault("a (os error 5)", Cause::Vanished).to_string();
    assert_eq!(super::errno_in(&text), None);
}
