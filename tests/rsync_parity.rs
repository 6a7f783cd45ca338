//! lanesync against the real rsync: equal trees, equal exit codes, equal -i lines.
//!
//! `random` draws trees and options, `pitfalls` holds what is easily got wrong, one by one, and
//! `wrong_tools` proves that a tool that errs is caught. `LANESYNC_UNDER_TEST=rsync` runs all of it
//! with rsync on both sides, which must find nothing. Best run as root: only root can make trees
//! with devices and foreign owners, and only root can become an ordinary user for some cases.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests write below their own scratch directory, stop at the first fault and tell the seeds"
)]

mod support;

#[path = "rsync_parity/case.rs"]
mod case;

#[path = "rsync_parity/chance.rs"]
mod chance;

#[path = "rsync_parity/options.rs"]
mod options;

#[path = "rsync_parity/random.rs"]
mod random;

#[path = "rsync_parity/records.rs"]
mod records;

#[path = "rsync_parity/shrink.rs"]
mod shrink;

#[path = "rsync_parity/wrong_tools.rs"]
mod wrong_tools;

#[path = "rsync_parity/pitfalls.rs"]
mod pitfalls;

#[path = "rsync_parity/second_run.rs"]
mod second_run;

#[path = "rsync_parity/links.rs"]
mod links;
