//! How far a run is: its gauges, and those of the long files that are in work.

use borsh::{BorshDeserialize, BorshSerialize};
use model::{FileReading, Reading};
use wire::ProgressBytes;

use crate::Malformed;
use crate::telling::FileNumber;

/// Long files that are told of at once: nobody can look at more, and they fit.
const FILES_MAX: usize = 256;

/// The gauges of a run and of the files that were begun last.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Progress {
    pub(crate) run: Reading,
    pub(crate) files: Vec<(FileNumber, FileReading)>,
}

impl Progress {
    pub(crate) fn new(run: Reading, mut files: Vec<(FileNumber, FileReading)>) -> Self {
        let too_many = files.len().saturating_sub(FILES_MAX);
        files.drain(..too_many);
        Self { run, files }
    }

    pub(crate) fn to_bytes(&self) -> ProgressBytes {
        let bytes = borsh::to_vec(self).expect("a short list is always written");
        ProgressBytes::new(bytes).expect("so few files fit")
    }

    pub(crate) fn from_bytes(bytes: &ProgressBytes) -> Result<Self, Malformed> {
        Self::try_from_slice(bytes.as_bytes()).map_err(|error| Malformed::new("progress", &error))
    }
}
