//! How far a run is: readings of the gauges, estimates that never run backwards, and rsync's
//! progress lines.
//!
//! While the source is being looked at its size is known only from below, so there is no percentage
//! of it: rsync's line shows 0, the live display shows `>=`. The number of entries is known earlier,
//! when all directories are listed: until then lines say `ir-chk`, as rsync's do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::Gauges;

use crate::numbers::{count, to_float};
use crate::settings::HumanReadable;

/// The gauges at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) listed_entries: u64,
    pub(crate) listed_bytes: u64,
    pub(crate) done_entries: u64,
    pub(crate) done_bytes: u64,
    pub(crate) transferred_files: u64,
    pub(crate) transferred_bytes: u64,
    pub(crate) workers_busy: u64,
    pub(crate) workers_active: u64,
    pub(crate) scan: Scan,
    /// Whether `listed_entries` is known, which it is before the sizes are.
    pub(crate) list: Scan,
}

/// Whether the totals are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scan {
    /// The source is being listed: totals are lower bounds.
    #[default]
    Running,
    /// Totals are final.
    Finished,
}

impl Reading {
    pub(crate) fn of(gauges: &Gauges) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let state = |is_over: bool| if is_over { Scan::Finished } else { Scan::Running };
        Self {
            // First of all, so that totals read after them are final.
            scan: state(gauges.scan_took().is_some()),
            list: state(gauges.is_list_finished()),
            // What is done is read before what there is to do, so that it is never more.
            done_entries: read(&gauges.done_entries),
            done_bytes: read(&gauges.done_bytes),
            transferred_files: read(&gauges.transferred_files),
            transferred_bytes: read(&gauges.transferred_bytes),
            listed_entries: read(&gauges.listed_entries),
            listed_bytes: read(&gauges.listed_bytes),
            workers_busy: read(&gauges.workers_busy),
            workers_active: read(&gauges.workers_active),
        }
    }

    /// What an entry weighs besides its content, bytes: making a small file takes about as long as
    /// copying this much more of a big one. A wrong weight makes the percentage uneven, not false.
    const ENTRY_COST_BYTES: u128 = 16 * 1024;

    /// Work that is done, and all of it.
    pub(crate) fn work(&self) -> (u128, u128) {
        let work = |entries: u64, bytes: u64| {
            u128::from(entries) * Self::ENTRY_COST_BYTES + u128::from(bytes)
        };
        let all = work(self.listed_entries, self.listed_bytes);
        (work(self.done_entries, self.done_bytes).min(all), all)
    }
}

/// A percentage that never falls, whatever the gauges do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Percent {
    highest: u8,
}

impl Percent {
    /// The percentage now; stays where it was while `scan` runs.
    pub(crate) fn update(&mut self, scan: Scan, done: u128, all: u128) -> u8 {
        if scan == Scan::Finished {
            let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100).min(100);
            self.highest = self.highest.max(u8::try_from(percent).unwrap_or(100));
        }
        self.highest
    }
}

/// Time left, as an estimate that never grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLeft {
    /// About this long.
    About(Duration),
    /// The estimate has grown since this was shown: longer than this.
    MoreThan(Duration),
}

/// Keeps the shortest estimate shown so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLeftEstimate {
    shortest: Option<Duration>,
}

/// Nothing is estimated from less than this.
const ENOUGH_TO_ESTIMATE: Duration = Duration::from_secs(2);

/// Nor from a smaller part of the work than one of so many: the directories alone, made in no time
/// or waited for, would speak for all of the content.
const PARTS_TO_ESTIMATE: u128 = 100;

impl TimeLeftEstimate {
    /// The time left if the rest goes as fast as what is done; `None` when too little is known.
    pub(crate) fn update(&mut self, elapsed: Duration, reading: &Reading) -> Option<TimeLeft> {
        let (done, all) = reading.work();
        let is_enough = done > 0 && done.saturating_mul(PARTS_TO_ESTIMATE) >= all;
        let is_known = reading.scan == Scan::Finished && is_enough;
        if !is_known || elapsed < ENOUGH_TO_ESTIMATE {
            return None;
        }
        let left_millis = elapsed.as_millis().saturating_mul(all - done) / done;
        // Whole seconds are shown: a smaller growth than that is none.
        let left = Duration::from_secs(u64::try_from(left_millis / 1000).unwrap_or(u64::MAX));
        match self.shortest {
            Some(shortest) if left > shortest => Some(TimeLeft::MoreThan(shortest)),
            _ => {
                self.shortest = Some(left);
                Some(TimeLeft::About(left))
            }
        }
    }
}

/// The rate over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    window: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// As rsync: recent enough to follow changes, long enough not to flicker.
    const WINDOW: Duration = Duration::from_secs(5);

    /// Bytes a second, now that `bytes` have been moved `elapsed` after the start.
    pub(crate) fn update(&mut self, elapsed: Duration, bytes: u64) -> f64 {
        if self.window.is_empty() {
            self.window.push_back((Duration::ZERO, 0));
        }
        let too_old = |moment: &(Duration, u64)| elapsed.saturating_sub(moment.0) > Self::WINDOW;
        while self.window.len() > 1 && self.window.front().is_some_and(too_old) {
            self.window.pop_front();
        }
        self.window.push_back((elapsed, bytes));
        let (since, before) = self.window.front().copied().unwrap_or_default();
        per_second(bytes.saturating_sub(before), elapsed.saturating_sub(since))
    }
}

/// Bytes a second; 0 when no time has passed.
pub(crate) fn per_second(bytes: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { to_float(bytes) / took.as_secs_f64() }
}

/// The end of a progress line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tail {
    /// A file is being transferred.
    Moving,
    /// A file is finished: how many are, and how many entries of how many are still to check.
    Finished { transferred: u64, to_check: u64, listed: u64, list: Scan },
}

impl Tail {
    /// The end of a line that tells of finished files.
    pub(crate) fn finished(transferred: u64, reading: &Reading) -> Self {
        let Reading { listed_entries: listed, done_entries, list, .. } = *reading;
        Self::Finished { transferred, to_check: listed.saturating_sub(done_entries), listed, list }
    }
}

/// rsync's progress line, from its carriage return up to, but without, a line end.
pub(crate) fn rsync_line(
    bytes: u64,
    percent: u8,
    bytes_per_sec: f64,
    time: Option<Duration>,
    tail: Tail,
    numbers: HumanReadable,
) -> String {
    let kilobytes = bytes_per_sec / 1024.0;
    let (rate, unit) = if kilobytes > 1024.0 * 1024.0 {
        (kilobytes / (1024.0 * 1024.0), "GB/s")
    } else if kilobytes > 1024.0 {
        (kilobytes / 1024.0, "MB/s")
    } else {
        (kilobytes, "kB/s")
    };
    let time = time.map_or_else(|| "  ??:??:??".to_owned(), |time| format!("{:>10}", hms(time)));
    let tail = match tail {
        Tail::Moving => "  ".to_owned(),
        Tail::Finished { transferred, to_check, listed, list } => {
            let word = if list == Scan::Finished { "to" } else { "ir" };
            format!(" (xfr#{transferred}, {word}-chk={to_check}/{listed})")
        }
    };
    let bytes = count(bytes, numbers);
    format!("\r{bytes:>15} {percent:>3}% {rate:>7.2}{unit} {time}{tail}")
}

/// `0:00:12`.
pub(crate) fn hms(time: Duration) -> String {
    let secs = time.as_secs();
    format!("{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests;
