//! Cuts a tree into buckets of equal work, which any mover can take.
//!
//! A [`lister`] tells what lies in a directory: a tree on this host, a list that somebody made, or a
//! cluster that keeps the sums of its directories. [`survey`] asks it, many directories at a time, and
//! makes [`folder`]s of what it tells. Then there are two ways to buckets:
//!
//! ```text
//!                       +-> cut -> partition    so many buckets, of equal work: all is known first
//!   lister -> survey ---+
//!                       +-> pack                buckets of a size, handed out as soon as they are full
//! ```
//!
//! Both end in [`line`](mod@line)s, each entry of the tree in exactly one, and a [`format`](mod@format)
//! writes them as the mover wants to read them.

/// What entries count when work is shared out.
pub mod amount;

/// Where a tree is told from.
pub mod lister;

/// A directory as the survey knows it, with all that lies below.
pub mod folder;

/// Asks a lister for a whole tree, many directories at a time.
pub mod survey;

/// A tree cut into items, each of which goes to one bucket as it is.
pub mod cut;

/// Buckets of equal work: the heaviest item first, each to the bucket that has least.
pub mod partition;

/// Buckets of a size, handed out as soon as they are full, while the survey goes on.
pub mod pack;

/// A line of a bucket.
pub mod line;

/// Buckets as movers read them.
pub mod format;

/// The files that buckets are written to.
pub mod output;

/// A program that runs, with all that it starts.
pub mod process;

/// A command for each bucket.
pub mod exec;

/// A picture of the tree and its buckets.
pub mod plot;

/// What every lister promises.
#[cfg(test)]
mod conformance;

/// What is true of all buckets, whoever made them.
#[cfg(test)]
mod testing;
