//! Turns events into lines, a progress display and JSON.
//!
//! Nothing else in lanesync prints. This crate knows no files and takes no decision: what happened
//! arrives as [`model::Event`], how far the run is as [`model::Gauges`], and what of it a person
//! or a script sees is said by [`Settings`]. Lines are rsync's, byte for byte where the same thing
//! can be said; a number that was not measured is not shown.
//!
//! Start with [`Reporter`]; the modules below stand in the order in which an event passes them.

/// What the output depends on.
pub mod settings;

/// How a run ended.
mod ended;

/// The sink of all events.
mod reporter;

/// A thread that calls back.
mod ticker;

/// The output in rsync's lines.
mod rsync_output;

/// Which entries get a line.
mod mention;

/// Which messages are shown.
mod topic;

/// `--out-format`.
mod out_format;

/// The `-i` string.
mod itemize;

/// `%f`.
mod full_name;

/// Modes as letters.
mod permissions;

/// `--list-only`.
mod listing;

/// `--log-file`: what it says.
mod log_lines;

/// `--log-file`: how lines look.
mod log_file;

/// `--stats` and the closing lines.
mod stats;

/// The end of a job that is about an image.
mod blocks;

/// The end of a run that shared a tree out to buckets.
mod manifest;

/// What is shown while a run goes on.
mod display;

/// A line for each file.
mod per_file;

/// Readings, estimates, rsync's progress lines.
mod progress;

/// The display of a terminal.
mod live;

/// The output of `--json`.
mod json_output;

/// The records of `--json`.
mod json;

/// `--json` without a run.
mod refusal;

/// The streams of a run.
mod outputs;

/// One stream.
mod stream;

/// Names made safe to show.
mod escape;

/// Numbers at each level of `-h`.
mod numbers;

/// Times.
mod clock;

#[cfg(test)]
mod testing;

pub use ended::{Closing, Ended, Endings, Severity, Statistics, Traffic};
pub use refusal::refusal_records;
pub use reporter::Reporter;
pub use settings::Settings;
