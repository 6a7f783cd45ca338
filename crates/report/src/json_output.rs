//! The output of `--json`: records to standard output; faults and the closing line also to standard
//! error, and all that a log file gets in rsync's words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::blocks::BlocksSummary;
use model::manifest::ManifestSummary;
use model::{Event, Gauges, Summary, Topic};

use crate::blocks::BlocksRecord;
use crate::ended::{Ended, Endings, Statistics};
use crate::json::{
    FaultRecord, ItemRecord, MessageRecord, ProgressRecord, Record, Started, SummaryRecord,
};
use crate::log_lines::LogLines;
use crate::manifest::ManifestRecord;
use crate::outputs::Outputs;
use crate::progress::{Percent, Reading};
use crate::settings::Settings;
use crate::stats::{self, Totals};

pub(crate) struct JsonOutput {
    outputs: Outputs,
    log_lines: LogLines,
    gauges: Arc<Gauges>,
    started: Instant,
    percent: Percent,
    /// When the last record of progress was written, since the start.
    told: Duration,
}

/// How often progress is told: each second is enough for a program that draws its own.
const INTERVAL: Duration = Duration::from_secs(1);

impl JsonOutput {
    pub(crate) fn new(
        settings: &Settings,
        outputs: Outputs,
        gauges: Arc<Gauges>,
        started: Instant,
    ) -> Self {
        let mut output = Self {
            log_lines: LogLines::new(settings),
            outputs,
            gauges,
            started,
            percent: Percent::default(),
            told: Duration::ZERO,
        };
        let record = Started::new(&settings.run, jiff::Timestamp::now());
        output.outputs.print_record(&Record::Started(record).to_line());
        output.outputs.flush_records();
        output
    }

    pub(crate) fn accept(&mut self, event: &Event) {
        match event {
            // How far single files are is not told.
            Event::Begun(_) => {}
            Event::Item(item) => {
                self.outputs.print_record(&Record::Item(ItemRecord::new(item)).to_line());
                self.log_lines.item(item, &mut self.outputs);
            }
            // The log has rsync's lines; here each entry has one record.
            Event::Line(item) => self.log_lines.item(item, &mut self.outputs),
            Event::Settled(item) => {
                self.outputs.print_record(&Record::Item(ItemRecord::new(item)).to_line());
            }
            Event::Fault(fault) => {
                self.outputs.print_record(&Record::Fault(FaultRecord::new(fault)).to_line());
                let text = [b"lanesync: ", &fault.text()[..]].concat();
                self.outputs.warn(&text);
                self.outputs.log_now(&text);
            }
            Event::Message(message) => {
                let record = MessageRecord::new(message);
                self.outputs.print_record(&Record::Message(record).to_line());
                if message.topic == Topic::Warning {
                    self.outputs.warn(&message.text);
                    self.outputs.log(&message.text);
                }
            }
        }
    }

    pub(crate) fn tick(&mut self, elapsed: Duration) {
        if elapsed.saturating_sub(self.told) < INTERVAL {
            return;
        }
        self.told = elapsed;
        let reading = Reading::of(&self.gauges);
        let record = ProgressRecord::new(elapsed, &reading, &mut self.percent);
        self.outputs.print_record(&Record::Progress(record).to_line());
        self.outputs.flush_records();
    }

    pub(crate) fn finish(&mut self, summary: &Summary, endings: Endings) -> Ended {
        let totals = Totals { summary, traffic: endings.traffic };
        if endings.statistics == Statistics::Shown {
            self.outputs.log(stats::log_closing(&totals).as_bytes());
        }
        if let Some(line) = endings.run.line() {
            self.outputs.log(line.as_bytes());
        }
        // The log is whole before the record that says how all of it ended.
        let ended = endings.given(self.outputs.settle());
        let sentence = ended.closing.map(|closing| closing.sentence);
        let elapsed = self.started.elapsed();
        let record = SummaryRecord::new(&totals, ended.exit_code, sentence, elapsed);
        self.close(&Record::Summary(record), endings)
    }

    pub(crate) fn finish_blocks(
        &mut self,
        summary: Option<&BlocksSummary>,
        endings: Endings,
    ) -> Ended {
        let ended = endings.given(self.outputs.settle());
        let sentence = ended.closing.map(|closing| closing.sentence);
        let elapsed = self.started.elapsed();
        let record =
            BlocksRecord::new(summary, (ended.exit_code, sentence), elapsed, endings.traffic);
        self.close(&Record::BlocksSummary(record), endings)
    }

    pub(crate) fn finish_manifest(
        &mut self,
        summary: Option<&ManifestSummary>,
        endings: Endings,
    ) -> Ended {
        let ended = endings.given(self.outputs.settle());
        let sentence = ended.closing.map(|closing| closing.sentence);
        let elapsed = self.started.elapsed();
        let record = ManifestRecord::new(summary, (ended.exit_code, sentence), elapsed);
        self.close(&Record::ManifestSummary(record), endings)
    }

    /// The last record, and the last line on standard error.
    fn close(&mut self, record: &Record<'_>, endings: Endings) -> Ended {
        self.outputs.print_record(&record.to_line());
        let ended = endings.given(self.outputs.settle());
        if let Some(line) = ended.line() {
            self.outputs.warn(line.as_bytes());
        }
        endings.given(self.outputs.settle())
    }
}
