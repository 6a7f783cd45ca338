//! What is said at the end of a run that shared a tree out to buckets.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use model::manifest::{BucketSummary, ManifestSummary};
use serde::Serialize;

use crate::json::{Bytes, millis, path_of};
use crate::numbers::count;
use crate::settings::HumanReadable;

/// Lines for a person: a table of the buckets, and what they are together.
pub(crate) fn lines(
    summary: &ManifestSummary,
    numbers: HumanReadable,
    elapsed: Duration,
) -> Vec<Vec<u8>> {
    let ManifestSummary { buckets, balance, requests, directories } = summary;
    let number = |number| count(number, numbers);
    let all = total(buckets);
    let mut lines = table(buckets, all, numbers);
    lines.push(
        format!(
            "{} buckets, {} bytes, {} entries; the largest is {balance:.3} of the mean",
            number(buckets.len() as u64),
            number(all.bytes),
            number(all.entries),
        )
        .into(),
    );
    let (secs, directories) = (elapsed.as_secs_f64(), number(*directories));
    let work = match requests {
        Some(requests) => {
            format!("{} requests for {directories} directories in {secs:.2} s", number(*requests))
        }
        None => format!("{directories} directories read in {secs:.2} s"),
    };
    lines.push(work.into());
    lines.extend(commands(buckets).into_iter().map(String::into_bytes));
    lines
}

/// What to type to have buckets moved. Nearly always that is the same for all.
fn commands(buckets: &[BucketSummary]) -> Vec<String> {
    let mut of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for bucket in buckets {
        if let Some(command) = &bucket.command {
            of.entry(command).or_default().push(bucket.number.to_string());
        }
    }
    if let [(command, _)] = &*of.iter().collect::<Vec<_>>() {
        return vec![format!("to move one: {command}")];
    }
    let of = of.into_iter();
    of.map(|(command, numbers)| format!("to move {}: {command}", numbers.join(", "))).collect()
}

/// A row for each bucket, its numbers below each other.
fn table(buckets: &[BucketSummary], all: Counted, numbers: HumanReadable) -> Vec<Vec<u8>> {
    let number = |number| count(number, numbers);
    let row = |bucket: &BucketSummary| {
        let share = format!("{:.2} %", share(bucket.bytes, all.bytes) * 100.0);
        [bucket.number.to_string(), number(bucket.bytes), share, number(bucket.entries)]
    };
    let head = ["bucket", "bytes", "share", "entries"].map(str::to_owned);
    let rows: Vec<[String; 4]> = iter::once(head).chain(buckets.iter().map(row)).collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(widest);
    let files = buckets.iter().map(|bucket| bucket.file.as_os_str().as_encoded_bytes());
    let files = iter::once(&b"file"[..]).chain(files);
    let lines = rows.iter().zip(files).map(|(row, file)| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}  "));
        [cells.collect::<String>().as_bytes(), file].concat()
    });
    lines.collect()
}

fn total(buckets: &[BucketSummary]) -> Counted {
    let sum = |of: fn(&BucketSummary) -> u64| buckets.iter().map(of).fold(0, u64::saturating_add);
    Counted { bytes: sum(|bucket| bucket.bytes), entries: sum(|bucket| bucket.entries) }
}

#[derive(Clone, Copy, Serialize)]
struct Counted {
    bytes: u64,
    entries: u64,
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a person")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The last record of `--json`.
#[derive(Serialize)]
pub(crate) struct ManifestRecord<'a> {
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a str>,
    elapsed_ms: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    told: Option<Told<'a>>,
}

/// What is told of a run that made buckets.
#[derive(Serialize)]
struct Told<'a> {
    buckets: Vec<BucketRecord<'a>>,
    #[serde(flatten)]
    total: Counted,
    balance: f64,
    directories: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
}

#[derive(Serialize)]
struct BucketRecord<'a> {
    number: u64,
    #[serde(flatten)]
    file: Bytes<'a>,
    #[serde(flatten)]
    counted: Counted,
    share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

impl<'a> ManifestRecord<'a> {
    pub(crate) fn new(
        summary: Option<&'a ManifestSummary>,
        (exit_code, sentence): (u8, Option<&'a str>),
        elapsed: Duration,
    ) -> Self {
        let told = summary.map(|summary| {
            let total = total(&summary.buckets);
            let buckets = summary.buckets.iter().map(|bucket| BucketRecord {
                number: bucket.number,
                file: path_of(&bucket.file),
                counted: Counted { bytes: bucket.bytes, entries: bucket.entries },
                share: share(bucket.bytes, total.bytes),
                command: bucket.command.as_deref(),
            });
            Told {
                buckets: buckets.collect(),
                total,
                balance: summary.balance,
                directories: summary.directories,
                requests: summary.requests,
            }
        });
        Self { exit_code, sentence, elapsed_ms: millis(elapsed), told }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn summary() -> ManifestSummary {
        let bucket = |number, bytes, file: &str| BucketSummary {
            number,
            file: PathBuf::from(file),
            entries: 12,
            bytes,
            command: Some("move FILE".to_owned()),
        };
        ManifestSummary {
            buckets: vec![bucket(1, 3000, "out/a"), bucket(10, 1000, "out/b")],
            balance: 1.5,
            requests: None,
            directories: 7,
        }
    }

    #[test]
    fn buckets_are_told_in_a_table() {
        let lines = lines(&summary(), HumanReadable::default(), Duration::from_millis(1500));
        let text: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        let expected = [
            "bucket  bytes    share  entries  file",
            "     1  3,000  75.00 %       12  out/a",
            "    10  1,000  25.00 %       12  out/b",
            "2 buckets, 4,000 bytes, 24 entries; the largest is 1.500 of the mean",
            "7 directories read in 1.50 s",
            "to move one: move FILE",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn buckets_are_told_as_a_record() {
        let summary = ManifestSummary { requests: Some(9), ..summary() };
        let record = ManifestRecord::new(Some(&summary), (0, None), Duration::from_millis(3));
        let value = serde_json::to_value(&record).expect("a record");
        assert_eq!(value["exit_code"], 0);
        assert_eq!(value["buckets"][0]["path"], "out/a");
        assert_eq!(value["buckets"][0]["share"], 0.75);
        assert_eq!((&value["bytes"], &value["requests"]), (&4000.into(), &9.into()));
        let none = ManifestRecord::new(None, (23, Some("some failed")), Duration::ZERO);
        let value = serde_json::to_value(&none).expect("a record");
        assert_eq!(value["sentence"], "some failed");
        assert!(value.get("buckets").is_none());
    }
}
