//! What is said at the end of a job that is about an image.

use std::fmt::Write as _;
use std::time::Duration;

use model::blocks::BlocksSummary;
use serde::Serialize;

use crate::ended::Traffic;
use crate::json::millis;
use crate::numbers::count;
use crate::settings::{Effect, HumanReadable};

/// Lines for a person.
pub(crate) fn lines(
    summary: &BlocksSummary,
    effect: Effect,
    numbers: HumanReadable,
    traffic: Option<Traffic>,
) -> String {
    let bytes = |bytes| count(bytes, numbers);
    let BlocksSummary { image_bytes, skipped_bytes, equal_bytes, verified_bytes, digest, .. } =
        summary;
    let (written, cleared) = match effect {
        Effect::Real => ("written", "cleared"),
        _ => ("to be written", "to be cleared"),
    };
    let mut text = format!(
        "image {} bytes: {} the same, {} {written}, {} {cleared}, {} not read",
        bytes(*image_bytes),
        bytes(*equal_bytes),
        bytes(summary.written_bytes),
        bytes(summary.cleared_bytes),
        bytes(*skipped_bytes),
    );
    if summary.resumed_bytes > 0 {
        write!(text, "; {} done by an earlier run", bytes(summary.resumed_bytes)).ok();
    }
    if *verified_bytes > 0 {
        write!(text, "; {} read back and right", bytes(*verified_bytes)).ok();
    }
    if let Some(Traffic { sent_bytes, received_bytes }) = traffic {
        let (sent, received) = (bytes(sent_bytes), bytes(received_bytes));
        write!(text, "\nsent {sent} bytes, received {received} bytes").ok();
    }
    match digest {
        Some(digest) => write!(text, "\nblake3 {}", hex(digest)).ok(),
        None => write!(text, "\nblake3 not made, for not all of the image was digested by it").ok(),
    };
    text
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// The last record of `--json`.
#[derive(Serialize)]
pub(crate) struct BlocksRecord<'a> {
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a str>,
    elapsed_ms: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
}

/// What is counted of a job that was begun.
#[derive(Serialize)]
struct Counts {
    source_bytes: u64,
    image_bytes: u64,
    skipped_bytes: u64,
    resumed_bytes: u64,
    equal_bytes: u64,
    written_bytes: u64,
    cleared_bytes: u64,
    verified_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
}

impl<'a> BlocksRecord<'a> {
    pub(crate) fn new(
        summary: Option<&BlocksSummary>,
        (exit_code, sentence): (u8, Option<&'a str>),
        elapsed: Duration,
        traffic: Option<Traffic>,
    ) -> Self {
        let counts = summary.map(|summary| Counts {
            source_bytes: summary.source_bytes,
            image_bytes: summary.image_bytes,
            skipped_bytes: summary.skipped_bytes,
            resumed_bytes: summary.resumed_bytes,
            equal_bytes: summary.equal_bytes,
            written_bytes: summary.written_bytes,
            cleared_bytes: summary.cleared_bytes,
            verified_bytes: summary.verified_bytes,
            sent_bytes: traffic.map(|traffic| traffic.sent_bytes),
            received_bytes: traffic.map(|traffic| traffic.received_bytes),
            blake3: summary.digest.as_ref().map(|digest| hex(digest)),
        });
        Self { exit_code, sentence, elapsed_ms: millis(elapsed), counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_told_in_lines_and_as_a_record() {
        let summary = BlocksSummary {
            source_bytes: 10_000,
            image_bytes: 10_000,
            skipped_bytes: 1,
            resumed_bytes: 6,
            equal_bytes: 2,
            written_bytes: 8192,
            cleared_bytes: 4,
            verified_bytes: 5,
            digest: Some([0xa7; 32]),
        };
        let digest = "a7".repeat(32);
        let traffic = Some(Traffic { sent_bytes: 1000, received_bytes: 7 });
        let told = lines(&summary, Effect::Real, HumanReadable::Grouped, traffic);
        let expected = format!(
            "image 10,000 bytes: 2 the same, 8,192 written, 4 cleared, 1 not read; 6 done by an earlier run; 5 \
             read back and right\n\
             sent 1,000 bytes, received 7 bytes\nblake3 {digest}"
        );
        assert_eq!(told, expected);
        let record =
            BlocksRecord::new(Some(&summary), (0, None), Duration::from_millis(7), traffic);
        let record = serde_json::to_value(&record).unwrap();
        assert_eq!((&record["blake3"], &record["elapsed_ms"]), (&digest.into(), &7.into()));
        assert_eq!((&record["sent_bytes"], &record["received_bytes"]), (&1000.into(), &7.into()));
        let nothing = BlocksRecord::new(None, (3, Some("refused")), Duration::ZERO, None);
        let nothing = serde_json::to_value(&nothing).unwrap();
        assert!(nothing["exit_code"] == 3 && nothing["source_bytes"].is_null(), "{nothing}");
        let dry = BlocksSummary { digest: None, verified_bytes: 0, ..summary };
        let told = lines(&dry, Effect::DryRun, HumanReadable::Digits, None);
        assert!(told.contains("8192 to be written, 4 to be cleared") && told.contains("not made"));
    }
}
