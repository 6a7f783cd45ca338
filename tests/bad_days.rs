//! Bad days: full disks, kills, faults, races and hostile neighbours.
//!
//! Whatever happens, nothing is lost that was asked to be kept, no name holds half a file, and the
//! exit code tells. Every test runs the program as people do. They need root, FUSE and loop devices,
//! and fail where these are missing. `LANESYNC_BIG=1` makes the big ones as big as they are meant.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]
#![allow(
    clippy::unnecessary_debug_formatting,
    reason = "names with odd bytes must be told apart in a failure"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "sizes and spans of tests are small"
)]

mod support;

#[path = "bad_days/lab.rs"]
mod lab;

#[path = "bad_days/killed.rs"]
mod killed;

#[path = "bad_days/full_disk.rs"]
mod full_disk;

#[path = "bad_days/buckets.rs"]
mod buckets;

#[path = "bad_days/unreadable.rs"]
mod unreadable;

#[path = "bad_days/changing.rs"]
mod changing;

#[path = "bad_days/in_place.rs"]
mod in_place;

#[path = "bad_days/devices.rs"]
mod devices;

#[path = "bad_days/images.rs"]
mod images;

#[path = "bad_days/images_in_use.rs"]
mod images_in_use;

#[path = "bad_days/images_undone.rs"]
mod images_undone;

#[path = "bad_days/other_case.rs"]
mod other_case;

#[path = "bad_days/what_stays.rs"]
mod what_stays;

#[path = "bad_days/moments.rs"]
mod moments;

#[path = "bad_days/faults.rs"]
mod faults;

#[path = "bad_days/overlapping.rs"]
mod overlapping;

#[path = "bad_days/hostile.rs"]
mod hostile;

#[path = "bad_days/read_only.rs"]
mod read_only;

#[path = "bad_days/lacking.rs"]
mod lacking;

#[path = "bad_days/signals.rs"]
mod signals;

#[path = "bad_days/sources.rs"]
mod sources;

#[path = "bad_days/mounts.rs"]
mod mounts;

#[path = "bad_days/publishing.rs"]
mod publishing;

#[path = "bad_days/delete_limit.rs"]
mod delete_limit;

#[path = "bad_days/extremes.rs"]
mod extremes;

#[path = "bad_days/twice.rs"]
mod twice;

#[path = "bad_days/verdicts.rs"]
mod verdicts;

#[path = "bad_days/document.rs"]
mod document;

#[path = "bad_days/streams.rs"]
mod streams;
