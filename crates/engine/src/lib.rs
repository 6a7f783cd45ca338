//! The stages from listing to finalizing, and what is decided in them.
//!
//! [`run`] takes a resolved job and brings the destination into the state of the source. The
//! modules below stand in the order in which data goes through them. The engine never sees a
//! flag, a terminal or an exit code: it gets settings and tells events.

/// The whole of a run: what is picked, the passes over the tree, what is left for the end.
mod pipeline;

/// The passes over the tree that a run makes.
mod pass;

/// Images: files and block devices of which only what differs is written.
pub mod blocks;

/// Why a run could not begin.
mod error;

/// The source side as the stages see it.
mod endpoint;

/// From source arguments to picked names.
mod selection;

/// From the destination argument to an open directory.
mod destination;

/// How the descriptors of the process are shared out.
mod descriptors;

/// What all tasks of a run share.
mod run;

/// What each worker keeps for itself.
mod scratch;

/// What this process may set.
mod identity;

/// The units that the scheduler runs.
mod task;

/// The end of the time of a run.
mod timer;

/// Directories that are held open, and how many of them.
mod handle;

/// A directory of the transfer.
mod node;

/// The names of one directory.
mod names;

/// List: names at both sides, filtered and sorted.
mod scan;

/// Rules in force in a directory.
mod merge_files;

/// Directories without files are left out.
mod prune;

/// Directories: compared, made, entered.
mod descend;

/// The source directories that feed a directory.
mod layers;

/// What a directory passes on to what is made in it.
mod inheritance;

/// Entries that are not directories: compared and planned.
mod entries;

/// Files on their way from the disk before their turn.
mod read_ahead;

/// An entry that waits in a queue.
mod parked;

/// An entry whose name turned out to be taken.
mod newcomer;

/// What is told of such an entry.
mod telling;

/// What shall be, and what differs. Pure.
mod wanted;

/// What a symlink's target means. Pure.
mod links;

/// Hard links across the transfer.
mod hard_links;

/// Further trees to take unchanged files from.
mod basis;

/// The effects on entries that are not directories.
mod transfer;

/// Checksums of content.
mod checksum;

/// Attributes beyond content.
mod attributes;

/// Owners and modes kept in an attribute.
mod fake_super;

/// Old copies.
mod backup;

/// What only the destination has goes.
mod delete;

/// A directory is finished after all that lies in it.
mod finalize;

/// Events in rsync's order.
mod order;

pub use endpoint::{RemoteSource, serve};
pub use error::SetupError;
pub use pipeline::{Outcome, run, run_from};
pub use run::{Stop, Surroundings};
