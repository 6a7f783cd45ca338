//! Moves a tree by many movers at once, and ends with one result.
//!
//! ```text
//!   cutter -> lists + journal -> coordinator --- leases ---> slots -> movers
//!                                     ^--------- outcomes ----'
//! ```
//!
//! A cutter cuts the source into buckets. The coordinator gives each to a slot that is free, and hears how it
//! ended; it is a state machine without clock, process or disk. A mover does a bucket: rsync, rclone or our
//! own engine. What only the whole can do, deletions and the times of directories that several movers worked
//! in, is done once, after the last bucket.

/// A bucket, and who has it.
pub mod bucket;

/// The lines of a bucket as bytes.
pub mod lines;

/// A source cut into buckets, which are handed out while it is still being looked at.
pub mod cutter;

/// Where lists and the journal are kept.
pub mod store;

/// The lines of all buckets, in one file.
pub mod lists;

/// What a run has done, so that it can go on after its death.
pub mod journal;

/// The coordinator: which slot moves which bucket.
pub mod state;

/// The lines of a bucket in several.
pub mod parting;

/// What a run ends with.
pub mod ending;

/// The seam to who does a bucket.
pub mod mover;

/// Conducts a run: gives the coordinator a clock, slots, a journal and a disk.
pub mod run;

/// Runs in made-up time.
#[cfg(test)]
mod simulation;

/// The process of a mover.
mod process;

/// rsync as a mover.
pub mod rsync;
