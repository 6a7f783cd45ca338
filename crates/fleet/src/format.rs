//! Buckets as movers read them.

use std::io::{self, Write};

use crate::line::Line;

/// Writes a bucket as a mover reads it.
pub trait Format: Send {
    /// Adds a line.
    ///
    /// Fails with [`FormatError::Unfit`] when it cannot be said so that the mover understands it.
    fn line(&mut self, line: &Line<'_>) -> Result<(), FormatError>;

    /// All lines were added: what is left to be written is written.
    fn finish(&mut self) -> Result<(), FormatError>;
}

/// The files that a bucket is written to. None of them has a name before the bucket is whole.
pub trait BucketFiles: Send {
    /// The file that the mover is given.
    fn list(&mut self) -> &mut dyn Write;

    /// A further file, which the list names: it lies beside the list, under the name that is given back.
    /// `number` tells further files of a bucket apart, and `extension` is without a dot.
    fn beside(
        &mut self,
        number: u64,
        extension: &str,
    ) -> io::Result<(String, Box<dyn Write + Send>)>;
}

/// Why a line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The mover would take it for something else.
    #[error("{reason}")]
    Unfit {
        /// Its path.
        path: Vec<u8>,
        /// Why, and what to do.
        reason: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
