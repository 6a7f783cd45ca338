//! The output in rsync's lines: what opens and closes a run, a line for each entry, messages.
//!
//! Lines go to the user, to the log, or to both; each method says where. Faults go to standard
//! error and the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::blocks::BlocksSummary;
use model::manifest::ManifestSummary;
use model::{Begun, Event, Gauges, Item, ItemFlags, Message, MessageClass, Summary, Topic, Topics};

use crate::blocks;
use crate::display::{Display, LiveEnded};
use crate::ended::{Ended, Endings, Statistics};
use crate::listing::{self, Columns};
use crate::log_lines::{LogLines, context, write_mention};
use crate::manifest;
use crate::mention::Rules;
use crate::out_format::{Context, OutFormat, sent_name};
use crate::outputs::Outputs;
use crate::progress::Reading;
use crate::settings::{Effect, Listing, Movement, Progress, Settings, Transfer, Volume};
use crate::stats::{self, Totals};

pub(crate) struct RsyncOutput {
    settings: Settings,
    outputs: Outputs,
    log_lines: LogLines,
    topics: Topics,
    format: Option<(OutFormat, Rules)>,
    context: Context,
    gauges: Arc<Gauges>,
    started: Instant,
    display: Display,
    opening: Said,
    transfer_note: Said,
    text: Vec<u8>,
}

/// Whether a line that comes once has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    NotYet,
    Already,
}

impl RsyncOutput {
    pub(crate) fn new(
        settings: Settings,
        outputs: Outputs,
        gauges: Arc<Gauges>,
        started: Instant,
    ) -> Self {
        let format = settings.items.out_format.as_deref().map(OutFormat::parse).map(|format| {
            let rules = Rules::of_stdout(&settings, &format);
            (format, rules)
        });
        let mut output = Self {
            log_lines: LogLines::new(&settings),
            context: context(&settings),
            display: Display::new(&settings),
            topics: settings.topics(),
            settings,
            outputs,
            format,
            gauges,
            started,
            opening: Said::NotYet,
            transfer_note: Said::NotYet,
            text: Vec::new(),
        };
        if output.settings.run.listing == Listing::Incremental {
            output.open();
        }
        output
    }

    pub(crate) fn accept(&mut self, event: &Event) {
        match event {
            Event::Begun(begun) => self.begun(begun),
            Event::Item(item) | Event::Line(item) => self.item(item),
            Event::Settled(_) => {}
            Event::Message(message) => self.message(message),
            Event::Fault(fault) => {
                let text = [b"lanesync: ", &fault.text()[..]].concat();
                self.display.above(&mut self.outputs, |outputs| outputs.warn(&text));
                self.outputs.log_now(&text);
            }
        }
    }

    pub(crate) fn tick(&mut self, elapsed: Duration) {
        let reading = Reading::of(&self.gauges);
        self.display.tick(elapsed, &reading, &mut self.outputs);
    }

    pub(crate) fn finish(&mut self, summary: &Summary, endings: Endings) -> Ended {
        let elapsed = self.started.elapsed();
        if endings.statistics == Statistics::Shown {
            self.note_transfer();
        }
        self.open();
        let reading = Reading::of(&self.gauges);
        let live_ended = self.display.finish(elapsed, &reading, summary, &mut self.outputs);
        if endings.statistics == Statistics::Shown {
            self.print_statistics(&Totals { summary, traffic: endings.traffic }, elapsed);
        }
        if live_ended == LiveEnded::Yes {
            let verdicts = stats::verdicts_that_occurred(summary, self.settings.numbers);
            self.outputs.warn(verdicts.as_bytes());
        }
        if summary.deletions_skipped > 0 {
            self.warn(&format!(
                "Deletions stopped due to --max-delete limit ({} skipped)",
                summary.deletions_skipped
            ));
        }
        self.close(endings)
    }

    pub(crate) fn finish_blocks(
        &mut self,
        summary: Option<&BlocksSummary>,
        endings: Endings,
    ) -> Ended {
        let (elapsed, reading) = (self.started.elapsed(), Reading::of(&self.gauges));
        self.display.finish(elapsed, &reading, &Summary::default(), &mut self.outputs);
        if let Some(summary) = summary.filter(|_| self.settings.volume == Volume::Normal) {
            let effect = self.settings.run.effect;
            let lines = blocks::lines(summary, effect, self.settings.numbers, endings.traffic);
            for line in lines.lines() {
                self.outputs.print(line.as_bytes());
            }
        }
        self.close(endings)
    }

    pub(crate) fn finish_manifest(
        &mut self,
        summary: Option<&ManifestSummary>,
        endings: Endings,
    ) -> Ended {
        let (elapsed, reading) = (self.started.elapsed(), Reading::of(&self.gauges));
        self.display.finish(elapsed, &reading, &Summary::default(), &mut self.outputs);
        if let Some(summary) = summary.filter(|_| self.settings.volume == Volume::Normal) {
            for line in manifest::lines(summary, self.settings.numbers, elapsed) {
                self.outputs.print(&line);
            }
        }
        self.close(endings)
    }

    /// The last line on standard error.
    fn close(&mut self, endings: Endings) -> Ended {
        let ended = endings.given(self.outputs.settle());
        if let Some(line) = ended.line() {
            self.warn(&line);
        }
        endings.given(self.outputs.settle())
    }

    fn item(&mut self, item: &Item) {
        if self.settings.run.effect == Effect::ListOnly {
            let columns = Columns::new(&self.settings.run, self.settings.numbers);
            if let Some(line) = listing::line(item, &self.context.clock, &columns) {
                self.say(&line);
            }
            return;
        }
        self.note_transfer();
        let was_begun = self.display.shows(item);
        let is_told_at_end = self.is_told_at_end();
        if !was_begun {
            self.mention_first(item);
        }
        let is_transfer = item.flags.contains(ItemFlags::TRANSFER);
        if was_begun || is_transfer && self.settings.run.effect == Effect::Real {
            let reading = Reading::of(&self.gauges);
            self.display.transferred(item, &reading, &mut self.outputs);
        }
        if is_told_at_end {
            self.mention(item);
        }
        self.log_lines.item(item, &mut self.outputs);
    }

    /// A long file: its name comes first, and what is shown of it goes on below.
    fn begun(&mut self, begun: &Begun) {
        self.note_transfer();
        self.mention_first(&begun.item);
        self.display.begun(begun, &mut self.outputs);
    }

    /// The line of an entry before its transfer; its bare name where progress is shown below and the
    /// line comes later.
    fn mention_first(&mut self, item: &Item) {
        if !self.is_told_at_end() {
            return self.mention(item);
        }
        let is_followed = self.settings.progress == Progress::PerFile
            && self.settings.info.name >= 1
            && item.flags.contains(ItemFlags::TRANSFER);
        if is_followed {
            let name = sent_name(item, &self.context);
            self.print(&name);
        }
    }

    /// As rsync: a line that says what a transfer came to is printed after it.
    fn is_told_at_end(&self) -> bool {
        self.format.as_ref().is_some_and(|(format, _)| format.tells_what_came())
    }

    /// The line of an entry, where it has one.
    fn mention(&mut self, item: &Item) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let is_told = match &self.format {
            Some((format, rules)) => {
                write_mention(rules.mention(item), item, format, &self.context, &mut text)
            }
            None if self.settings.info.del > 0 => {
                let removal = Rules::removals_only(item);
                write_mention(removal, item, &OutFormat::default(), &self.context, &mut text)
            }
            None => false,
        };
        if is_told {
            self.print(&text);
        }
        self.text = text;
    }

    fn message(&mut self, message: &Message) {
        if message.topic == Topic::Warning {
            self.display.above(&mut self.outputs, |outputs| outputs.warn(&message.text));
            self.outputs.log(&message.text);
            return;
        }
        if !self.topics.contains(message.topic) {
            return;
        }
        // What is said of the list of the source comes first, as in rsync.
        if message.class() == MessageClass::Debug && message.topic != Topic::Filter {
            self.note_transfer();
        }
        self.say(&message.text);
    }

    /// The first line, once.
    fn open(&mut self) {
        if self.opening == Said::Already {
            return;
        }
        self.opening = Said::Already;
        let level = self.settings.info.flist;
        if level == 0 || self.settings.volume == Volume::Quiet {
            return;
        }
        let entries = Reading::of(&self.gauges).listed_entries;
        let listing = self.settings.run.listing;
        let (incremental, whole) = match self.settings.run.movement {
            Movement::In => ("receiving incremental file list", "receiving file list ... "),
            Movement::Out | Movement::Within => {
                ("sending incremental file list", "building file list ... ")
            }
        };
        self.display.above(&mut self.outputs, |outputs| match listing {
            Listing::Incremental => outputs.print(incremental.as_bytes()),
            Listing::Whole if level == 1 => outputs.print(format!("{whole}done").as_bytes()),
            Listing::Whole => {
                let files = if entries == 1 { "file" } else { "files" };
                let count = format!("\n 0 files...\r{entries} {files} to consider\n");
                outputs.print_raw(format!("{whole}{count}").as_bytes());
            }
            Listing::FilesOnly => {}
        });
    }

    /// `-vv`: how content is brought over, once, before the first entry.
    fn note_transfer(&mut self) {
        let is_wanted = self.settings.info.deltasum >= 1
            && self.settings.volume == Volume::Normal
            && self.settings.run.effect != Effect::ListOnly
            && self.transfer_note == Said::NotYet;
        if is_wanted {
            self.transfer_note = Said::Already;
            self.say(match self.settings.run.transfer {
                Transfer::WholeFile => {
                    b"delta-transmission disabled for local transfer or --whole-file"
                }
                Transfer::Delta => b"delta-transmission enabled",
            });
        }
    }

    fn print_statistics(&mut self, totals: &Totals<'_>, elapsed: Duration) {
        let numbers = self.settings.numbers;
        if self.settings.info.deltasum > 0 {
            self.say(stats::delta_totals(totals.summary).as_bytes());
        }
        let level = self.settings.info.stats;
        if level == 0 {
            self.outputs.log(stats::log_closing(totals).as_bytes());
            return;
        }
        if level >= 2 {
            self.say(b"");
            for line in stats::block(totals, self.gauges.scan_took(), numbers) {
                self.say(line.as_bytes());
            }
        }
        self.say(b"");
        for line in stats::closing(totals, elapsed, numbers, self.settings.run.effect) {
            self.say(line.as_bytes());
        }
    }

    /// To the user and the log.
    fn say(&mut self, text: &[u8]) {
        self.print(text);
        self.outputs.log(text);
    }

    /// To the user.
    fn print(&mut self, text: &[u8]) {
        if self.settings.volume == Volume::Quiet {
            return;
        }
        self.open();
        self.display.above(&mut self.outputs, |outputs| outputs.print(text));
    }

    /// To standard error and the log.
    fn warn(&mut self, text: &str) {
        self.outputs.warn(text.as_bytes());
        self.outputs.log(text.as_bytes());
    }
}
