//! The resolved request: what the command line asked for, with all conflicts settled.

use std::path::PathBuf;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::encoding;
use crate::settings::Settings;

/// One resolved request.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Job {
    /// What to read, in the order given.
    pub sources: Vec<Source>,
    /// Where to; `None` only lists the sources.
    pub destination: Option<Destination>,
    /// How.
    pub settings: Settings,
}

/// One source argument, exactly as typed: its trailing slash, `/./` and `.` have rsync's meaning.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Source {
    /// The path as typed.
    #[borsh(serialize_with = "encoding::write_path", deserialize_with = "encoding::read_path")]
    pub path: PathBuf,
}

/// The destination argument, exactly as typed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Destination {
    /// The path as typed.
    #[borsh(serialize_with = "encoding::write_path", deserialize_with = "encoding::read_path")]
    pub path: PathBuf,
}
