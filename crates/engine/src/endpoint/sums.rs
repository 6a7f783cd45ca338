//! Sums of content: made of what was read at the source, and compared with what has come here.

use std::fmt;
use std::io;
use std::ops::Range;

use blake3::Hasher;
use wire::{Content, ContentSum};

/// Of pieces in their order.
pub(super) fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a Content>) -> ContentSum {
    let mut hasher = Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    of(&hasher)
}

/// Of where data is told to be.
pub(super) fn of_extents(data: &[Range<u64>], known_to: u64) -> ContentSum {
    let mut hasher = Hasher::new();
    for extent in data {
        hasher.update(&extent.start.to_le_bytes()).update(&extent.end.to_le_bytes());
    }
    of(hasher.update(&known_to.to_le_bytes()))
}

/// Of blocks: the bits that tell which there are, and these.
pub(super) fn of_blocks<'a>(bits: &[u8], pieces: impl IntoIterator<Item = &'a [u8]>) -> ContentSum {
    let mut hasher = Hasher::new();
    hasher.update(bits);
    for piece in pieces {
        hasher.update(piece);
    }
    of(&hasher)
}

/// Of what a hasher was given.
pub(super) fn of(hasher: &Hasher) -> ContentSum {
    ContentSum(*hasher.finalize().as_bytes())
}

/// What came is not what was read at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Damaged;

impl std::error::Error for Damaged {}

impl fmt::Display for Damaged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("what came is not what was read at the source")
    }
}

/// The error of who asks for what came damaged twice.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Damaged)
}

/// True of that error.
pub(crate) fn is_damaged(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Damaged>)
}
