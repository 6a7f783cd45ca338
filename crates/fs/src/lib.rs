//! The only crate that talks to the kernel about files.
//!
//! Everything below a root is reached from an open [`Dir`] by one component at a time, and no
//! symbolic link is followed unless the name of the operation says so. Paths as strings exist in
//! [`operator`] and [`below`] alone: what the person at the keyboard named.
//!
//! System calls answer with plain [`std::io::Result`]: which path and which verb failed is known
//! one level up. What differs between operating systems lies in `sys`.

#[cfg(test)]
mod testing;

/// What the kernel of this operating system offers beyond POSIX.
mod sys;

/// Room on a file system that says that it has none.
mod room;

/// Files that never get a name.
mod nameless;

/// An open directory and the names in it.
pub mod dir;

/// Devices of which something is known.
mod device_set;

/// All names of one directory.
pub mod listing;

/// An open file.
pub mod file;

/// Moving bytes between two open files.
pub mod copy;

/// A file that has not got its final name yet.
pub mod staging;

/// A name replaced in one step by something that is no new file.
pub mod replace;

/// Extended attributes.
pub mod xattr;

/// POSIX access control lists.
pub mod acl;

/// Names of users and groups.
pub mod names;

/// Streams that somebody else reads.
pub mod outlet;

/// Streams that somebody else writes.
pub mod inlet;

/// What the process itself is and may do.
pub mod process;

/// A path that the operator typed, walked by component.
mod walk;

/// Files that the operator named.
pub mod operator;

/// Block devices, and what else uses them.
pub mod block_device;

/// Files and block devices that are read and written at any place.
pub mod image;

/// Directories that the operator names relative to another one.
pub mod below;

pub use acl::Acl;
pub use copy::{Content, Copied, Copier, Sparse};
pub use dir::{AccessTime, Dir, Existing, Made, Times};
pub use file::{DataExtents, File};
pub use listing::Listing;
pub use staging::{Naming, Staging};
