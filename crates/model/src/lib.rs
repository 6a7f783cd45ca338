//! The vocabulary of lanesync: plain data, no I/O.
//!
//! Every other crate speaks in these words, which GLOSSARY.md defines. Nothing here opens a file,
//! reads a clock or prints; what a type cannot express, a stage cannot be asked to do. What goes from one
//! process to another has a form in bytes; what is read from them keeps the rules of its type.

/// What an entry is and what the file system knows about it.
pub mod entry;

/// Which attributes of an entry changed: the letters of rsync's `-i`.
pub mod item_flags;

/// Facts told to the report while a run goes on.
pub mod event;

/// One path failed and the run goes on.
pub mod fault;

/// The resolved request.
pub mod job;

/// A job that is about an image: a file or a block device.
pub mod blocks;

/// What is told of a tree that was shared out to buckets.
pub mod manifest;

/// The settings of a request, grouped by the stage that reads them.
pub mod settings;

/// `--chmod`: changes of mode bits as data.
pub mod chmod;

/// `--usermap` and `--groupmap`: changes of owners as data.
pub mod id_map;

/// Suffixes of names.
pub mod suffixes;

/// Totals of a run.
pub mod summary;

/// Counters of a run for the progress display.
pub mod gauges;

/// Names below a root.
pub mod rel_path;

/// How values travel as bytes.
mod encoding;

pub use chmod::Chmod;
pub use entry::{DeviceNumber, Inode, Kind, Metadata, Timestamp};
pub use event::{
    Begun, Event, Interest, Item, Message, MessageClass, Sink, Topic, Topics, Verdict,
};
pub use fault::{Cause, Fault, Side, Verb};
pub use gauges::{FileGauge, FileReading, Gauges, Reading};
pub use id_map::{IdMap, IdPattern, IdRule, IdTarget};
pub use item_flags::ItemFlags;
pub use job::{Destination, Job, Source};
pub use rel_path::RelPath;
pub use settings::Settings;
pub use suffixes::Suffixes;
pub use summary::{KindCounts, Summary, VerdictCounts, add_bytes};
