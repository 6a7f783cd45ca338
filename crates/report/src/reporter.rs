//! The sink of all events. It writes lines in the order in which events arrive: who wants rsync's
//! order sends them in it.
//!
//! One lock guards all output, so that lines of different workers never mix.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use model::blocks::BlocksSummary;
use model::manifest::ManifestSummary;
use model::{Event, Gauges, Sink, Summary};

use crate::ended::{Ended, Endings};
use crate::json_output::JsonOutput;
use crate::outputs::Outputs;
use crate::rsync_output::RsyncOutput;
use crate::settings::{OutputStyle, Progress, Settings};
use crate::ticker::Ticker;

/// Prints what happens. Made once a run; [`Reporter::finish`] ends it.
pub struct Reporter {
    style: Arc<Mutex<Style>>,
    ticker: Option<Ticker>,
}

/// The language of standard output.
enum Style {
    Rsync(Box<RsyncOutput>),
    Json(Box<JsonOutput>),
}

impl Reporter {
    /// Starts the output: first lines, and the thread that draws progress where there is any.
    ///
    /// `log` is the open file of `--log-file`.
    pub fn new(
        settings: Settings,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        log: Option<Box<dyn Write + Send>>,
        gauges: Arc<Gauges>,
    ) -> Self {
        let started = Instant::now();
        let needs_ticks = settings.style == OutputStyle::Json || settings.progress != Progress::Off;
        let outputs = Outputs::new(&settings, stdout, stderr, log);
        let style = match settings.style {
            OutputStyle::Rsync => {
                Style::Rsync(Box::new(RsyncOutput::new(settings, outputs, gauges, started)))
            }
            OutputStyle::Json => {
                Style::Json(Box::new(JsonOutput::new(&settings, outputs, gauges, started)))
            }
        };
        let style = Arc::new(Mutex::new(style));
        let ticker = needs_ticks.then(|| {
            let style = Arc::clone(&style);
            Ticker::start(move || match &mut *lock(&style) {
                Style::Rsync(output) => output.tick(started.elapsed()),
                Style::Json(output) => output.tick(started.elapsed()),
            })
        });
        Self { style, ticker: ticker.flatten() }
    }

    /// Ends progress, prints what closes a run, and flushes; the end that came true.
    ///
    /// On a closed pipe or a full disk a part of the output is lost; that is said here, on
    /// standard error, and not before.
    pub fn finish(mut self, summary: &Summary, endings: Endings) -> Ended {
        // Stopped first: after the closing lines nothing is drawn.
        drop(self.ticker.take());
        match &mut *lock(&self.style) {
            Style::Rsync(output) => output.finish(summary, endings),
            Style::Json(output) => output.finish(summary, endings),
        }
    }

    /// The same for a job that is about an image; `None` where there is nothing to tell of it.
    pub fn finish_blocks(mut self, summary: Option<&BlocksSummary>, endings: Endings) -> Ended {
        drop(self.ticker.take());
        match &mut *lock(&self.style) {
            Style::Rsync(output) => output.finish_blocks(summary, endings),
            Style::Json(output) => output.finish_blocks(summary, endings),
        }
    }

    /// The same for a run that made buckets; `None` where it made none.
    pub fn finish_manifest(mut self, summary: Option<&ManifestSummary>, endings: Endings) -> Ended {
        drop(self.ticker.take());
        match &mut *lock(&self.style) {
            Style::Rsync(output) => output.finish_manifest(summary, endings),
            Style::Json(output) => output.finish_manifest(summary, endings),
        }
    }
}

impl Sink for Reporter {
    fn accept(&self, event: Event) {
        match &mut *lock(&self.style) {
            Style::Rsync(output) => output.accept(&event),
            Style::Json(output) => output.accept(&event),
        }
    }
}

/// A panic elsewhere must not silence the report.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
