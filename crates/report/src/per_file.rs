//! `--progress`: of each file a line, drawn over itself while a long file is in work, and its last
//! state at the end.
//!
//! Files are brought over at the same time and shown one after the other: of one that ran beside the
//! one shown, the bytes and the time are its own all the same. What small files took is not measured,
//! so that their rate and time are zero.

use std::sync::Arc;
use std::time::Duration;

use model::{Begun, FileGauge, Item, RelPath};

use crate::display::{Cursor, INTERVAL};
use crate::numbers::to_float;
use crate::outputs::Outputs;
use crate::progress::{Percent, Rate, Reading, Scan, Tail, per_second, rsync_line};
use crate::settings::HumanReadable;

pub(crate) struct PerFile {
    numbers: HumanReadable,
    files: u64,
    shown: Option<Shown>,
    cursor: Cursor,
}

/// The file in work that is shown.
struct Shown {
    path: RelPath,
    size: u64,
    gauge: Arc<FileGauge>,
    rate: Rate,
    percent: Percent,
    /// When its line was drawn last, since its beginning.
    drawn: Duration,
    /// The most that was shown: a file that is read anew begins at nothing, its line does not.
    bytes: u64,
}

impl PerFile {
    pub(crate) fn new(numbers: HumanReadable) -> Self {
        Self { numbers, files: 0, shown: None, cursor: Cursor::LineStart }
    }

    /// Goes to a line of its own for what is printed next.
    pub(crate) fn leave(&mut self, outputs: &mut Outputs) {
        self.cursor.leave(outputs);
    }

    /// Shows a file that may have ended already.
    pub(crate) fn begun(&mut self, begun: &Begun, outputs: &mut Outputs) {
        let mut shown = Shown::new(begun);
        outputs.print_raw(shown.line(self.numbers).as_bytes());
        self.cursor = Cursor::AfterProgress;
        self.shown = Some(shown);
    }

    /// True for the file that is shown.
    pub(crate) fn shows(&self, item: &Item) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.path == item.path)
    }

    pub(crate) fn tick(&mut self, outputs: &mut Outputs) {
        let Some(shown) = &mut self.shown else { return };
        if shown.is_due() {
            outputs.print_raw(shown.line(self.numbers).as_bytes());
            self.cursor = Cursor::AfterProgress;
        }
    }

    /// The last line of a file.
    pub(crate) fn transferred(&mut self, item: &Item, reading: &Reading, outputs: &mut Outputs) {
        let shown = self.shown.take_if(|shown| shown.path == item.path);
        let (rate, took) = match &shown {
            Some(shown) if shown.gauge.present_bytes() < item.metadata.size => {
                return self.leave(outputs);
            }
            Some(Shown { gauge, .. }) => {
                (per_second(gauge.moved_bytes(), gauge.elapsed()), gauge.elapsed())
            }
            None => (0.0, Duration::ZERO),
        };
        self.files += 1;
        let (size, tail) = (item.metadata.size, Tail::finished(self.files, reading));
        let line = rsync_line(size, 100, rate, Some(took), tail, self.numbers);
        outputs.print_raw(line.as_bytes());
        outputs.print_raw(b"\n");
        self.cursor = Cursor::LineStart;
    }
}

impl Shown {
    fn new(begun: &Begun) -> Self {
        let Begun { item, gauge } = begun;
        Self {
            path: item.path.clone(),
            size: item.metadata.size,
            gauge: Arc::clone(gauge),
            rate: Rate::default(),
            percent: Percent::default(),
            drawn: Duration::ZERO,
            bytes: 0,
        }
    }

    fn is_due(&mut self) -> bool {
        let elapsed = self.gauge.elapsed();
        self.rate.update(elapsed, self.gauge.moved_bytes());
        !self.gauge.is_finished() && elapsed.saturating_sub(self.drawn) >= INTERVAL
    }

    fn line(&mut self, numbers: HumanReadable) -> String {
        self.drawn = self.gauge.elapsed();
        self.bytes = self.gauge.present_bytes().clamp(self.bytes, self.size.max(self.bytes));
        let percent = self.percent.update(Scan::Finished, self.bytes.into(), self.size.into());
        let rate = self.rate.update(self.drawn, self.gauge.moved_bytes());
        let left_secs = to_float(self.size.saturating_sub(self.bytes)) / rate;
        let left = Duration::try_from_secs_f64(left_secs).ok();
        rsync_line(self.bytes, percent, rate, left, Tail::Moving, numbers)
    }
}
