//! The resolved request: what the command line asked for, with all conflicts settled.

use std::path::PathBuf;

use crate::settings::Settings;

/// One resolved request.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to read, in the order given.
    pub sources: Vec<Source>,
    /// Where to; `None` only lists the sources.
    pub destination: Option<Destination>,
    /// How.
    pub settings: Settings,
}

/// One source argument, exactly as typed: its trailing slash, `/./` and `.` have rsync's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as typed.
    pub path: PathBuf,
}

/// The destination argument, exactly as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The path as typed.
    pub path: PathBuf,
}
