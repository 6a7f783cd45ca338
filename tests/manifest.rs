//! `lanesync manifest` as people use it: what movers make of its buckets, and what it does on bad days.
//!
//! The buckets are moved by the real rsync and rclone, by the commands that the run itself tells. The
//! tests need root, python3, rsync and rclone, and fail where these are missing.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]
#![allow(
    clippy::unnecessary_debug_formatting,
    reason = "names with odd bytes must be told apart in a failure"
)]

mod support;

#[allow(dead_code, reason = "each test crate uses its own part of the lab")]
#[path = "bad_days/lab.rs"]
mod lab;

#[path = "manifest/buckets.rs"]
mod buckets;

#[path = "manifest/cluster.rs"]
mod cluster;

#[path = "manifest/live.rs"]
mod live;

#[path = "manifest/movers.rs"]
mod movers;

#[path = "manifest/parts.rs"]
mod parts;

#[path = "manifest/refused.rs"]
mod refused;
