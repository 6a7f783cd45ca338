//! What a program that reads `--json` is told of a command line that is turned down.

use std::time::Duration;

use model::{Message, Summary, Topic};

use crate::ended::Ended;
use crate::json::{MessageRecord, Record, SummaryRecord};
use crate::stats::Totals;

/// The records in the place of a run, a line each: why, and that nothing was done.
pub fn refusal_records(why: &str, ended: &Ended) -> String {
    let message = Message { topic: Topic::Warning, text: why.as_bytes().into() };
    let sentence = ended.closing.map(|closing| closing.sentence);
    let nothing = Summary::default();
    let totals = Totals { summary: &nothing, traffic: None };
    let summary = SummaryRecord::new(&totals, ended.exit_code, sentence, Duration::ZERO);
    let records = [Record::Message(MessageRecord::new(&message)), Record::Summary(summary)];
    records.map(|record| String::from_utf8_lossy(&record.to_line()).into_owned() + "\n").concat()
}
