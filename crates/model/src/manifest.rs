//! What is told of a tree that was shared out to buckets.

use std::path::PathBuf;

/// What a run made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestSummary {
    /// The buckets, by their numbers.
    pub buckets: Vec<BucketSummary>,
    /// How much heavier the heaviest bucket is than the mean of all.
    pub balance: f64,
    /// Requests to a cluster, where one was asked.
    pub requests: Option<u64>,
    /// Directories that were read.
    pub directories: u64,
}

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSummary {
    /// Its number; the first is 1.
    pub number: u64,
    /// The file that a mover is given.
    pub file: PathBuf,
    /// Names in it; a directory that goes whole counts all below.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What to type to have it moved.
    pub command: Option<String>,
}
