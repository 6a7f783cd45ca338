//! What is shown while a run goes on, among the lines of the run.

use std::time::Duration;

use model::{Begun, Item, Summary};

use crate::live::Live;
use crate::outputs::Outputs;
use crate::per_file::PerFile;
use crate::progress::{Percent, Rate, Reading, Scan, Tail, per_second, rsync_line};
use crate::settings::{HumanReadable, Progress, Settings, Volume};

/// One of the ways to show progress.
pub(crate) enum Display {
    None,
    TotalLine(Box<TotalLine>),
    PerFile(PerFile),
    Live(Box<Live>),
}

/// Whether a live display was there and is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiveEnded {
    /// It was there.
    Yes,
    /// There was none.
    No,
}

impl Display {
    pub(crate) fn new(settings: &Settings) -> Self {
        let numbers = settings.numbers;
        match settings.progress {
            _ if settings.volume == Volume::Quiet => Self::None,
            Progress::Off => Self::None,
            Progress::TotalLine => Self::TotalLine(Box::new(TotalLine::new(numbers))),
            Progress::PerFile => Self::PerFile(PerFile::new(numbers)),
            Progress::Live => {
                Live::on_stderr(numbers).map_or(Self::None, |live| Self::Live(Box::new(live)))
            }
        }
    }

    /// Writes lines so that they do not mix with the display.
    pub(crate) fn above(&mut self, outputs: &mut Outputs, write: impl FnOnce(&mut Outputs)) {
        match self {
            Self::None => write(outputs),
            Self::PerFile(files) => {
                files.leave(outputs);
                write(outputs);
            }
            Self::TotalLine(line) => {
                line.leave(outputs);
                write(outputs);
            }
            Self::Live(live) => live.above(|| write(outputs)),
        }
    }

    /// Ten times a second.
    pub(crate) fn tick(&mut self, elapsed: Duration, reading: &Reading, outputs: &mut Outputs) {
        match self {
            Self::None => {}
            Self::PerFile(files) => files.tick(outputs),
            Self::TotalLine(line) => line.tick(elapsed, reading, outputs),
            Self::Live(live) => live.tick(elapsed, reading),
        }
    }

    /// The transfer of a long file has begun.
    pub(crate) fn begun(&mut self, begun: &Begun, outputs: &mut Outputs) {
        if let Self::PerFile(files) = self {
            files.begun(begun, outputs);
        }
    }

    /// True when the transfer of this entry was shown while it went on.
    pub(crate) fn shows(&self, item: &Item) -> bool {
        matches!(self, Self::PerFile(files) if files.shows(item))
    }

    /// A file has been transferred, or was given up.
    pub(crate) fn transferred(&mut self, item: &Item, reading: &Reading, outputs: &mut Outputs) {
        if let Self::PerFile(files) = self {
            files.transferred(item, reading, outputs);
        }
    }

    /// Ends the display: the closing lines follow.
    pub(crate) fn finish(
        &mut self,
        elapsed: Duration,
        reading: &Reading,
        summary: &Summary,
        outputs: &mut Outputs,
    ) -> LiveEnded {
        match std::mem::replace(self, Self::None) {
            Self::None => LiveEnded::No,
            Self::PerFile(mut files) => {
                files.leave(outputs);
                LiveEnded::No
            }
            Self::TotalLine(mut line) => {
                line.finish(elapsed, reading, summary, outputs);
                LiveEnded::No
            }
            Self::Live(live) => {
                live.finish();
                LiveEnded::Yes
            }
        }
    }
}

/// `--info=progress2`: one line for the whole run, as rsync writes it: about a second apart.
pub(crate) struct TotalLine {
    numbers: HumanReadable,
    percent: Percent,
    rate: Rate,
    told: Duration,
    files: u64,
    cursor: Cursor,
}

/// Where the next byte would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    LineStart,
    AfterProgress,
}

impl Cursor {
    /// Goes to a line of its own.
    pub(crate) fn leave(&mut self, outputs: &mut Outputs) {
        if *self == Self::AfterProgress {
            outputs.print_raw(b"\n");
            *self = Self::LineStart;
        }
    }
}

/// How far apart rsync draws its lines.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

impl TotalLine {
    fn new(numbers: HumanReadable) -> Self {
        Self {
            numbers,
            percent: Percent::default(),
            rate: Rate::default(),
            told: Duration::ZERO,
            files: 0,
            cursor: Cursor::LineStart,
        }
    }

    /// Goes to a line of its own for what is printed next.
    fn leave(&mut self, outputs: &mut Outputs) {
        self.cursor.leave(outputs);
    }

    fn tick(&mut self, elapsed: Duration, reading: &Reading, outputs: &mut Outputs) {
        let rate = self.rate.update(elapsed, reading.transferred_bytes);
        if elapsed.saturating_sub(self.told) < INTERVAL {
            return;
        }
        self.told = elapsed;
        let bytes = reading.transferred_bytes;
        let percent = self.percent(bytes, reading.listed_bytes, reading.scan);
        let line = if reading.transferred_files == self.files {
            let left = time_left(reading, rate);
            rsync_line(bytes, percent, rate, left, Tail::Moving, self.numbers)
        } else {
            self.files = reading.transferred_files;
            let tail = Tail::finished(self.files, reading);
            let average = per_second(bytes, elapsed);
            rsync_line(bytes, percent, average, Some(elapsed), tail, self.numbers)
        };
        outputs.print_raw(line.as_bytes());
        self.cursor = Cursor::AfterProgress;
    }

    fn finish(
        &mut self,
        elapsed: Duration,
        reading: &Reading,
        summary: &Summary,
        outputs: &mut Outputs,
    ) {
        let bytes = summary.transferred_bytes;
        let percent = self.percent(bytes, summary.listed_bytes, reading.scan);
        let average = per_second(bytes, elapsed);
        let tail = Tail::finished(summary.transferred_files, reading);
        let line = rsync_line(bytes, percent, average, Some(elapsed), tail, self.numbers);
        outputs.print_raw(line.as_bytes());
        outputs.print_raw(b"\n");
        self.cursor = Cursor::LineStart;
    }

    /// As rsync: the share of all sizes that was transferred, so that what was there already keeps
    /// it below 100.
    fn percent(&mut self, transferred_bytes: u64, listed_bytes: u64, scan: Scan) -> u8 {
        self.percent.update(scan, transferred_bytes.into(), listed_bytes.into())
    }
}

/// Time left at this rate; `None` while the total is not known or nothing moves.
fn time_left(reading: &Reading, bytes_per_sec: f64) -> Option<Duration> {
    let left_bytes = reading.listed_bytes.saturating_sub(reading.done_bytes);
    let secs = crate::numbers::to_float(left_bytes) / bytes_per_sec;
    let is_known = reading.scan == Scan::Finished && secs.is_finite();
    is_known.then(|| Duration::try_from_secs_f64(secs).ok()).flatten()
}
