//! `--json`: one record a line, in the schema that docs/json.md fixes.
//!
//! Field names and their meaning are a promise: fields may be added, none is renamed or dropped
//! without a note to the users. Bytes that are not UTF-8 go to a field named `..._base64`.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{Cause, Fault, Item, KindCounts, Message, MessageClass, Side, Verdict, VerdictCounts};
use serde::{Serialize, Serializer};

use crate::blocks::BlocksRecord;
use crate::itemize;
use crate::manifest::ManifestRecord;
use crate::progress::{Percent, Reading, Scan};
use crate::settings::{Effect, Movement, RunFacts};
use crate::stats::Totals;

/// One line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Record<'a> {
    Started(Started<'a>),
    Item(ItemRecord<'a>),
    Fault(FaultRecord<'a>),
    Message(MessageRecord<'a>),
    Progress(ProgressRecord),
    Summary(SummaryRecord<'a>),
    #[serde(rename = "summary")]
    BlocksSummary(BlocksRecord<'a>),
    #[serde(rename = "summary")]
    ManifestSummary(ManifestRecord<'a>),
}

impl Record<'_> {
    /// The line, without its end.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records have string keys only and no failing serializer")
    }
}

/// Bytes that are text, or not.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bytes<'a> {
    #[serde(rename = "path")]
    Text(&'a str),
    #[serde(rename = "path_base64")]
    Base64(String),
}

impl<'a> Bytes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Base64(BASE64_STANDARD.encode(bytes)),
        }
    }

    /// As the two fields of which one is there.
    fn split(self) -> (Option<&'a str>, Option<String>) {
        match self {
            Self::Text(text) => (Some(text), None),
            Self::Base64(text) => (None, Some(text)),
        }
    }
}

/// The run begins.
#[derive(Serialize)]
pub(crate) struct Started<'a> {
    version: &'a str,
    time: String,
    sources: Vec<Bytes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<Bytes<'a>>,
    effect: &'static str,
}

impl<'a> Started<'a> {
    pub(crate) fn new(run: &'a RunFacts, time: jiff::Timestamp) -> Self {
        Self {
            version: run.version,
            time: time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            sources: run.sources.iter().map(|path| path_of(path)).collect(),
            destination: run.destination.as_deref().map(path_of),
            effect: match run.effect {
                Effect::Real => "real",
                Effect::DryRun => "dry_run",
                Effect::ListOnly => "list_only",
            },
        }
    }
}

pub(crate) fn path_of(path: &Path) -> Bytes<'_> {
    Bytes::new(path.as_os_str().as_encoded_bytes())
}

/// An entry has its verdict.
#[derive(Serialize)]
pub(crate) struct ItemRecord<'a> {
    verdict: &'static str,
    #[serde(flatten)]
    path: Bytes<'a>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    itemized: String,
    changes: Vec<String>,
    written_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
}

impl<'a> ItemRecord<'a> {
    pub(crate) fn new(item: &'a Item) -> Self {
        let (link, link_base64) = match item.leader.as_deref().or(item.link.as_deref()) {
            Some(link) => Bytes::new(link).split(),
            None => (None, None),
        };
        Self {
            verdict: verdict_name(item.verdict),
            path: Bytes::new(item.path.as_bytes()),
            kind: kind_name(item),
            size: item.metadata.is_known().then_some(item.metadata.size),
            itemized: String::from_utf8_lossy(&itemize::letters(item, Movement::Within))
                .trim_end()
                .to_owned(),
            changes: item.flags.iter_names().map(|(name, _)| name.to_lowercase()).collect(),
            written_bytes: item.written_bytes,
            link,
            link_base64,
            checksum: item.checksum.as_deref(),
            reason: item.reason.as_deref(),
            errno: item.errno,
        }
    }
}

/// A path failed.
#[derive(Serialize)]
pub(crate) struct FaultRecord<'a> {
    side: &'static str,
    verb: &'static str,
    #[serde(flatten)]
    path: Bytes<'a>,
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    text: String,
}

impl<'a> FaultRecord<'a> {
    pub(crate) fn new(fault: &'a Fault) -> Self {
        Self {
            side: match fault.side {
                Side::Source => "source",
                Side::Destination => "destination",
            },
            verb: fault.verb.as_str(),
            path: Bytes::new(&fault.path),
            cause: match fault.cause {
                Cause::Os(_) => "os",
                Cause::Vanished => "vanished",
                Cause::ChangedDuringCopy => "changed_during_copy",
                Cause::VerificationFailed => "verification_failed",
                Cause::Refused(_) => "refused",
            },
            errno: fault.cause.errno(),
            text: fault.to_string(),
        }
    }
}

/// A note.
#[derive(Serialize)]
pub(crate) struct MessageRecord<'a> {
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_base64: Option<String>,
}

impl<'a> MessageRecord<'a> {
    pub(crate) fn new(message: &'a Message) -> Self {
        let (text, text_base64) = Bytes::new(&message.text).split();
        let class = match message.class() {
            MessageClass::Notice => "notice",
            MessageClass::Verbose => "verbose",
            MessageClass::Debug => "debug",
            MessageClass::Warning => "warning",
        };
        Self { class, text, text_base64 }
    }
}

/// How far the run is.
#[derive(Serialize)]
pub(crate) struct ProgressRecord {
    elapsed_ms: u64,
    scan_finished: bool,
    listed_entries: u64,
    listed_bytes: u64,
    done_entries: u64,
    done_bytes: u64,
    transferred_files: u64,
    transferred_bytes: u64,
    workers_busy: u64,
    workers_active: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
}

impl ProgressRecord {
    pub(crate) fn new(elapsed: Duration, reading: &Reading, percent: &mut Percent) -> Self {
        let (done, all) = reading.work();
        let is_finished = reading.scan == Scan::Finished;
        Self {
            elapsed_ms: millis(elapsed),
            scan_finished: is_finished,
            listed_entries: reading.listed_entries,
            listed_bytes: reading.listed_bytes,
            done_entries: reading.done_entries,
            done_bytes: reading.done_bytes,
            transferred_files: reading.transferred_files,
            transferred_bytes: reading.transferred_bytes,
            workers_busy: reading.workers_busy,
            workers_active: reading.workers_active,
            percent: is_finished.then(|| percent.update(reading.scan, done, all)),
        }
    }
}

/// The run has ended.
#[derive(Serialize)]
pub(crate) struct SummaryRecord<'a> {
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a str>,
    elapsed_ms: u64,
    seen: u64,
    verdicts: Verdicts,
    listed: Kinds,
    created: Kinds,
    deleted: Kinds,
    transferred_files: u64,
    listed_bytes: u64,
    transferred_bytes: u64,
    written_bytes: u64,
    literal_bytes: u64,
    matched_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_bytes: Option<u64>,
    faults: u64,
    vanished: u64,
    deletions_skipped: u64,
    deletions_suppressed: u64,
}

impl<'a> SummaryRecord<'a> {
    pub(crate) fn new(
        Totals { summary, traffic }: &Totals<'_>,
        exit_code: u8,
        sentence: Option<&'a str>,
        elapsed: Duration,
    ) -> Self {
        Self {
            exit_code,
            sentence,
            elapsed_ms: millis(elapsed),
            seen: summary.verdicts.seen(),
            verdicts: Verdicts(summary.verdicts),
            listed: Kinds::new(&summary.listed),
            created: Kinds::new(&summary.created),
            deleted: Kinds::new(&summary.deleted),
            transferred_files: summary.transferred_files,
            listed_bytes: summary.listed_bytes,
            transferred_bytes: summary.transferred_bytes,
            written_bytes: summary.written_bytes,
            literal_bytes: summary.literal_bytes,
            matched_bytes: summary.matched_bytes,
            sent_bytes: traffic.map(|traffic| traffic.sent_bytes),
            received_bytes: traffic.map(|traffic| traffic.received_bytes),
            faults: summary.faults,
            vanished: summary.vanished,
            deletions_skipped: summary.deletions_skipped,
            deletions_suppressed: summary.deletions_suppressed,
        }
    }
}

/// Entries by verdict, all verdicts.
struct Verdicts(VerdictCounts);

impl Serialize for Verdicts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Verdict::ALL.map(|v| (verdict_name(v), self.0.get(v))))
    }
}

/// Entries by kind.
#[derive(Serialize)]
struct Kinds {
    files: u64,
    directories: u64,
    symlinks: u64,
    devices: u64,
    specials: u64,
}

impl Kinds {
    fn new(counts: &KindCounts) -> Self {
        let KindCounts { files, directories, symlinks, devices, specials } = *counts;
        Self { files, directories, symlinks, devices, specials }
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Copied => "copied",
        Verdict::Updated => "updated",
        Verdict::Metadata => "metadata",
        Verdict::Equal => "equal",
        Verdict::Excluded => "excluded",
        Verdict::Skipped => "skipped",
        Verdict::Failed => "failed",
        Verdict::ChangedDuringCopy => "changed_during_copy",
        Verdict::Deleted => "deleted",
    }
}

fn kind_name(item: &Item) -> &'static str {
    match item.metadata.kind {
        model::Kind::File => "file",
        model::Kind::Directory => "directory",
        model::Kind::Symlink => "symlink",
        model::Kind::CharDevice => "char_device",
        model::Kind::BlockDevice => "block_device",
        model::Kind::Fifo => "fifo",
        model::Kind::Socket => "socket",
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
