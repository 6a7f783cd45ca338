//! The display of a terminal: one line on standard error, drawn over itself. Nothing at all is
//! drawn, and nothing is said at the end, where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::numbers::count;
use crate::progress::{Percent, Rate, Reading, Scan, TimeLeft, TimeLeftEstimate, hms};
use crate::settings::HumanReadable;

/// The live line.
pub(crate) struct Live {
    bar: ProgressBar,
    text: LiveText,
    line: Line,
}

/// Whether the line is to be seen: else there is nothing to make room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Cleared,
    Drawn,
}

impl Live {
    /// The display; `None` where standard error is no terminal.
    pub(crate) fn on_stderr(numbers: HumanReadable) -> Option<Self> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant; were it wrong, the plain bar would do.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        let text = LiveText::new(numbers);
        (!bar.is_hidden()).then_some(Self { bar, text, line: Line::Cleared })
    }

    /// Draws the line anew.
    pub(crate) fn tick(&mut self, elapsed: Duration, reading: &Reading) {
        self.line = Line::Drawn;
        self.bar.set_message(self.text.update(elapsed, reading));
        if self.bar.is_finished() {
            self.bar.reset();
        }
    }

    /// Writes something else to the terminal, where the line was. The next tick draws it again:
    /// drawn after each of many names it would flicker, and be most of what a slow terminal gets.
    pub(crate) fn above(&mut self, write: impl FnOnce()) {
        self.clear();
        write();
    }

    fn clear(&mut self) {
        if self.line == Line::Drawn {
            self.line = Line::Cleared;
            self.bar.finish_and_clear();
        }
    }

    /// Removes the line.
    pub(crate) fn finish(mut self) {
        self.clear();
    }
}

/// What the line says.
struct LiveText {
    numbers: HumanReadable,
    /// The most that was shown: a file that fails takes back what it had shown as done.
    done_bytes: u64,
    percent: Percent,
    rate: Rate,
    time_left: TimeLeftEstimate,
}

impl LiveText {
    fn new(numbers: HumanReadable) -> Self {
        // A line that changes ten times a second is read at a glance: sizes get units.
        let numbers = numbers.max(HumanReadable::Units1000);
        Self {
            numbers,
            done_bytes: 0,
            percent: Percent::default(),
            rate: Rate::default(),
            time_left: TimeLeftEstimate::default(),
        }
    }

    fn update(&mut self, elapsed: Duration, reading: &Reading) -> String {
        let (done, all) = reading.work();
        self.done_bytes = self.done_bytes.max(reading.done_bytes.min(reading.listed_bytes));
        let percent = self.percent.update(reading.scan, done, all);
        // An image is no entry, and most of the work on it is to find what is the same.
        let is_image = reading.scan == Scan::Finished && reading.listed_entries == 0;
        let passed_bytes = if is_image { self.done_bytes } else { reading.transferred_bytes };
        let rate = self.rate.update(elapsed, passed_bytes);
        let left = self.time_left.update(elapsed, reading);
        let files = |entries| count(entries, HumanReadable::Grouped);
        let bytes = |bytes| count(bytes, self.numbers);
        let (percent, bound) = match reading.scan {
            Scan::Running => ("listing".to_owned(), ">= "),
            Scan::Finished => (format!("{percent:>3}%"), ""),
        };
        let left = match left {
            None => String::new(),
            Some(TimeLeft::About(left)) => format!("  {} left", hms(left)),
            Some(TimeLeft::MoreThan(left)) => format!("  > {} left", hms(left)),
        };
        let moved = format!(
            "{} of {bound}{}  {}/s{left}",
            bytes(self.done_bytes),
            bytes(reading.listed_bytes),
            bytes(whole(rate)),
        );
        if is_image {
            return format!("{percent}  {moved}");
        }
        format!(
            "{percent}  {} of {bound}{} files  {moved}  workers {}/{}",
            files(reading.done_entries),
            files(reading.listed_entries),
            reading.workers_busy,
            reading.workers_active,
        )
    }
}

/// A rate without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are not negative"
)]
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LiveText;
    use crate::progress::{Reading, Scan};
    use crate::settings::HumanReadable;

    #[test]
    fn a_total_is_a_lower_bound_until_the_scan_is_over() {
        let mut text = LiveText::new(HumanReadable::Grouped);
        let mut reading = Reading {
            listed_entries: 12_345,
            listed_bytes: 2_000_000,
            done_entries: 1_000,
            done_bytes: 500_000,
            workers_busy: 3,
            workers_active: 4,
            ..Reading::default()
        };
        assert_eq!(
            text.update(Duration::ZERO, &reading),
            "listing  1,000 of >= 12,345 files  500.00K of >= 2.00M  0/s  workers 3/4"
        );
        reading.scan = Scan::Finished;
        reading.transferred_bytes = 500_000;
        reading.done_entries = 12_345;
        reading.done_bytes = 2_000_000;
        assert_eq!(
            text.update(Duration::from_secs(5), &reading),
            "100%  12,345 of 12,345 files  2.00M of 2.00M  100.00K/s  0:00:00 left  workers 3/4"
        );
    }

    #[test]
    fn of_an_image_bytes_are_told_and_how_fast_they_are_looked_at() {
        let mut text = LiveText::new(HumanReadable::Grouped);
        let mut reading =
            Reading { listed_bytes: 4_000_000, scan: Scan::Finished, ..Reading::default() };
        assert_eq!(text.update(Duration::ZERO, &reading), "  0%  0 of 4.00M  0/s");
        // Nothing of it is written.
        reading.done_bytes = 1_000_000;
        assert_eq!(
            text.update(Duration::from_secs(5), &reading),
            " 25%  1.00M of 4.00M  200.00K/s  0:00:15 left"
        );
        reading.done_bytes = 4_000_000;
        assert_eq!(
            text.update(Duration::from_secs(8), &reading),
            "100%  4.00M of 4.00M  1.00M/s  0:00:00 left"
        );
    }
}
