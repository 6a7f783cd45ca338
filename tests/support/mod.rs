//! What the differential tests share: small trees, a way to read them back, and a way to run a tool.
//!
//! `tree` describes, `generate` and `mutate` invent, `run` starts a tool, `snapshot` reads the
//! result back, `parity` compares two tools on equal trees, `script` prints a case as shell text.
//! Nothing here knows the tool under test from the inside: it is any command with rsync's options.

#![allow(dead_code, reason = "each test crate uses its own part of the support")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests write trees by path below their own scratch directory and stop at the first fault"
)]

pub(crate) mod generate;

pub(crate) mod loop_device;

pub(crate) mod mask;

pub(crate) mod mutate;

pub(crate) mod open_files;

pub(crate) mod parity;

pub(crate) mod qumulo;

pub(crate) mod records;

pub(crate) mod rng;

pub(crate) mod run;

pub(crate) mod script;

pub(crate) mod snapshot;

pub(crate) mod tree;
