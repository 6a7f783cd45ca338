//! A pass-through FUSE file system for tests and benchmarks.
//!
//! It shows a backing directory at a mount point and lets things go wrong on purpose:
//!
//! - **latency**: each operation that a caller waits for takes a fixed delay, and only so many are
//!   served at once, like a file server with that many threads behind a slow network;
//! - **faults**: rules such as `read:EIO:*/movie:after=3` make chosen operations fail;
//! - **case**: names that differ only in case can be one, as on many disks of other systems.
//!
//! The kernel caches neither names nor attributes (time-outs are zero), so each system call reaches
//! the server as on NFS with `noac`. What the server does not do: `O_TMPFILE`, `copy_file_range` and
//! reflinks are absent, as on many network file systems.
//!
//! Limits: one open descriptor is held for each inode that the kernel remembers, so the open-file
//! limit of the process bounds the tree (the soft limit is raised to the hard one). Reads and
//! writes go through the backing files' page cache, also with `O_DIRECT`. Releasing a file costs no delay, since nobody waits for it.
//!
//! ```no_run
//! use std::time::Duration;
//! let mount = testfs::Mount::new(testfs::Config {
//!     delay: Duration::from_millis(2),
//!     slots: 16,
//!     faults: vec!["rename:EIO:*.dat".parse().unwrap()],
//!     ..testfs::Config::new("/srv/data")
//! })?;
//! std::fs::read_dir(mount.path())?;
//! # std::io::Result::Ok(())
//! ```

pub use fault::{Fault, Op, ParseFaultError};
pub use mount::{Config, Mount};
pub use stats::Stats;

mod mount;

mod server;

mod tree;

mod data;

mod meta;

mod attr;

mod stats;

mod fault;
