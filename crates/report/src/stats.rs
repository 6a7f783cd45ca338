//! The closing lines of a run: `--stats`, the two lines of `-v`, and the sum of the verdicts.
//!
//! rsync counts what passes between its processes. Between hosts that is counted here, too. Within one
//! host nothing passes: "sent" is the content that was brought over, holes and clones included, as rsync
//! would have sent it, and "received" is nothing. The sizes and times of a list on the wire are zero:
//! there is none. No number is estimated.

use std::time::Duration;

use model::{KindCounts, Summary, Verdict};

use crate::ended::Traffic;
use crate::numbers::{count, decimal, to_float};
use crate::settings::{Effect, HumanReadable};

/// What a run came to.
#[derive(Clone, Copy)]
pub(crate) struct Totals<'a> {
    pub(crate) summary: &'a Summary,
    /// Between hosts, what went over the way between them.
    pub(crate) traffic: Option<Traffic>,
}

impl Totals<'_> {
    fn traffic(&self) -> Traffic {
        let content = Traffic { sent_bytes: self.summary.literal_bytes, received_bytes: 0 };
        self.traffic.unwrap_or(content)
    }
}

/// The `--stats` block, in rsync's order, and one line of ours with the verdicts.
pub(crate) fn block(
    totals: &Totals<'_>,
    scan_took: Option<Duration>,
    numbers: HumanReadable,
) -> Vec<String> {
    let number = |value: u64| count(value, numbers);
    let (summary, traffic) = (totals.summary, totals.traffic());
    let scan_secs = scan_took.unwrap_or_default().as_secs_f64();
    vec![
        format!("Number of files: {}", by_kind(&summary.listed, numbers)),
        format!("Number of created files: {}", by_kind(&summary.created, numbers)),
        format!("Number of deleted files: {}", by_kind(&summary.deleted, numbers)),
        format!("Number of regular files transferred: {}", number(summary.transferred_files)),
        format!("Total file size: {} bytes", number(summary.listed_bytes)),
        format!("Total transferred file size: {} bytes", number(summary.transferred_bytes)),
        format!("Literal data: {} bytes", number(summary.literal_bytes)),
        format!("Matched data: {} bytes", number(summary.matched_bytes)),
        "File list size: 0".to_owned(),
        format!("File list generation time: {scan_secs:.3} seconds"),
        "File list transfer time: 0.000 seconds".to_owned(),
        format!("Total bytes sent: {}", number(traffic.sent_bytes)),
        format!("Total bytes received: {}", number(traffic.received_bytes)),
        format!("Verdicts: {}", all_verdicts(summary, numbers)),
    ]
}

/// The two lines that end `-v`.
pub(crate) fn closing(
    totals: &Totals<'_>,
    took: Duration,
    numbers: HumanReadable,
    effect: Effect,
) -> [String; 2] {
    let summary = totals.summary;
    let Traffic { sent_bytes, received_bytes } = totals.traffic();
    let all_bytes = sent_bytes.saturating_add(received_bytes);
    // A clock that stands still must not make the rate infinite.
    let rate = to_float(all_bytes) / took.as_secs_f64().max(0.001);
    let speedup = to_float(summary.listed_bytes) / to_float(all_bytes.max(1));
    let dry = if effect == Effect::DryRun { " (DRY RUN)" } else { "" };
    [
        format!(
            "sent {} bytes  received {} bytes  {} bytes/sec",
            count(sent_bytes, numbers),
            count(received_bytes, numbers),
            decimal(rate, numbers)
        ),
        format!(
            "total size is {}  speedup is {}{dry}",
            count(summary.listed_bytes, numbers),
            decimal(speedup, numbers)
        ),
    ]
}

/// The line that ends a log file when the two lines of `-v` are not shown.
pub(crate) fn log_closing(totals: &Totals<'_>) -> String {
    let Traffic { sent_bytes, received_bytes } = totals.traffic();
    let listed_bytes = totals.summary.listed_bytes;
    format!("sent {sent_bytes} bytes  received {received_bytes} bytes  total size {listed_bytes}")
}

/// `-vv`, `--debug=deltasum`: what came of deltas. rsync's counts of blocks are told only where there
/// was none.
pub(crate) fn delta_totals(summary: &Summary) -> String {
    if summary.matched_bytes > 0 {
        let Summary { matched_bytes, literal_bytes, .. } = summary;
        return format!("total: matched={matched_bytes}  data={literal_bytes}");
    }
    format!("total: matches=0  hash_hits=0  false_alarms=0 data={}", summary.literal_bytes)
}

/// All verdicts of source entries as a sum.
fn all_verdicts(summary: &Summary, numbers: HumanReadable) -> String {
    sum(summary, numbers, |_| true)
}

/// The verdicts that occurred, as a sum.
pub(crate) fn verdicts_that_occurred(summary: &Summary, numbers: HumanReadable) -> String {
    sum(summary, numbers, |entries| entries > 0)
}

fn sum(summary: &Summary, numbers: HumanReadable, is_shown: impl Fn(u64) -> bool) -> String {
    let term = |verdict: Verdict| {
        let entries = summary.verdicts.get(verdict);
        is_shown(entries).then(|| format!("{} {}", count(entries, numbers), word(verdict)))
    };
    let of_source = Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Deleted);
    let terms: Vec<String> = of_source.filter_map(term).collect();
    let seen = count(summary.verdicts.seen(), numbers);
    let deleted = match summary.verdicts.get(Verdict::Deleted) {
        0 => String::new(),
        entries => format!("; {} deleted", count(entries, numbers)),
    };
    if terms.is_empty() {
        return format!("{seen} seen{deleted}");
    }
    format!("{} = {seen} seen{deleted}", terms.join(" + "))
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Copied => "copied",
        Verdict::Updated => "updated",
        Verdict::Metadata => "metadata",
        Verdict::Equal => "equal",
        Verdict::Excluded => "excluded",
        Verdict::Skipped => "skipped",
        Verdict::Failed => "failed",
        Verdict::ChangedDuringCopy => "changed",
        Verdict::Deleted => "deleted",
    }
}

fn by_kind(counts: &KindCounts, numbers: HumanReadable) -> String {
    let total = count(counts.total(), numbers);
    let terms: Vec<String> = [
        ("reg", counts.files),
        ("dir", counts.directories),
        ("link", counts.symlinks),
        ("dev", counts.devices),
        ("special", counts.specials),
    ]
    .into_iter()
    .filter(|(_, entries)| *entries > 0)
    .map(|(name, entries)| format!("{name}: {}", count(entries, numbers)))
    .collect();
    if terms.is_empty() { total } else { format!("{total} ({})", terms.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{KindCounts, Summary, Verdict};

    use super::{Totals, block, closing, delta_totals, log_closing, verdicts_that_occurred};
    use crate::ended::Traffic;
    use crate::settings::{Effect, HumanReadable};

    fn summary() -> Summary {
        let mut summary = Summary {
            listed: KindCounts { files: 6, directories: 2, symlinks: 1, devices: 1, specials: 1 },
            created: KindCounts { files: 6, ..KindCounts::default() },
            transferred_files: 6,
            listed_bytes: 314_612_815,
            transferred_bytes: 314_612_813,
            literal_bytes: 314_612_813,
            written_bytes: 300_000_000,
            ..Summary::default()
        };
        for verdict in [Verdict::Copied, Verdict::Copied, Verdict::Equal, Verdict::Deleted] {
            summary.verdicts.add(verdict);
        }
        summary
    }

    fn within_one_host(summary: &Summary) -> Totals<'_> {
        Totals { summary, traffic: None }
    }

    #[test]
    fn stats_have_the_shape_of_rsync() {
        let took = Some(Duration::from_millis(1));
        let summary = summary();
        let totals = within_one_host(&summary);
        let lines = block(&totals, took, HumanReadable::Grouped);
        let expected = "\
Number of files: 11 (reg: 6, dir: 2, link: 1, dev: 1, special: 1)
Number of created files: 6 (reg: 6)
Number of deleted files: 0
Number of regular files transferred: 6
Total file size: 314,612,815 bytes
Total transferred file size: 314,612,813 bytes
Literal data: 314,612,813 bytes
Matched data: 0 bytes
File list size: 0
File list generation time: 0.001 seconds
File list transfer time: 0.000 seconds
Total bytes sent: 314,612,813
Total bytes received: 0
Verdicts: 2 copied + 0 updated + 0 metadata + 1 equal + 0 excluded + 0 skipped + 0 failed \
+ 0 changed = 3 seen; 1 deleted";
        assert_eq!(lines.join("\n"), expected);
        let units = block(&totals, took, HumanReadable::Units1000);
        assert_eq!(units[4], "Total file size: 314.61M bytes");
    }

    #[test]
    fn the_end_has_the_shape_of_rsync() {
        let took = Duration::from_secs(2);
        let summary = summary();
        let totals = within_one_host(&summary);
        let lines = closing(&totals, took, HumanReadable::Grouped, Effect::DryRun);
        assert_eq!(lines[0], "sent 314,612,813 bytes  received 0 bytes  157,306,406.50 bytes/sec");
        assert_eq!(lines[1], "total size is 314,612,815  speedup is 1.00 (DRY RUN)");
        assert_eq!(
            log_closing(&totals),
            "sent 314612813 bytes  received 0 bytes  total size 314612815"
        );
        assert_eq!(
            delta_totals(&summary),
            "total: matches=0  hash_hits=0  false_alarms=0 data=314612813"
        );
    }

    #[test]
    fn between_hosts_what_went_over_the_wire_is_told() {
        let summary = Summary { literal_bytes: 10, matched_bytes: 90, ..summary() };
        let traffic = Some(Traffic { sent_bytes: 1000, received_bytes: 234 });
        let totals = Totals { summary: &summary, traffic };
        let lines = block(&totals, None, HumanReadable::Grouped);
        for line in [
            "Literal data: 10 bytes",
            "Matched data: 90 bytes",
            "Total bytes sent: 1,000",
            "Total bytes received: 234",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line}");
        }
        let took = Duration::from_secs(2);
        let [sent, speedup] = closing(&totals, took, HumanReadable::Grouped, Effect::Real);
        assert_eq!(sent, "sent 1,000 bytes  received 234 bytes  617.00 bytes/sec");
        assert_eq!(speedup, "total size is 314,612,815  speedup is 254,953.66");
        assert_eq!(
            log_closing(&totals),
            "sent 1000 bytes  received 234 bytes  total size 314612815"
        );
        assert_eq!(delta_totals(&summary), "total: matched=90  data=10");
    }

    #[test]
    fn nothing_to_do_ends_without_infinities() {
        let summary = Summary { listed_bytes: 40_007, ..Summary::default() };
        let totals = within_one_host(&summary);
        let lines = closing(&totals, Duration::ZERO, HumanReadable::Grouped, Effect::Real);
        assert_eq!(lines[0], "sent 0 bytes  received 0 bytes  0.00 bytes/sec");
        assert_eq!(lines[1], "total size is 40,007  speedup is 40,007.00");
    }

    #[test]
    fn verdicts_are_a_sum() {
        let text = verdicts_that_occurred(&summary(), HumanReadable::Grouped);
        assert_eq!(text, "2 copied + 1 equal = 3 seen; 1 deleted");
        let nothing = verdicts_that_occurred(&Summary::default(), HumanReadable::Grouped);
        assert_eq!(nothing, "0 seen");
    }
}
