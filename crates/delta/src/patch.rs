//! Makes the new file of the basis and operations.

use std::io;
use std::ops::Range;

use crate::operation::Operation;
use crate::{Part, Update};

/// How many bytes are copied at once.
const STEP_BYTES: usize = 128 << 10;

/// Where the bytes of a range of the new file go, in order and without a gap.
pub trait Output {
    /// Takes the next bytes. `position` says where they lie in the new file.
    fn write(&mut self, position: u64, bytes: &[u8]) -> io::Result<()>;

    /// Takes bytes that are there already, at the same place: in place they need not be written,
    /// only be counted into a hash.
    fn keep(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(position, bytes)
    }
}

/// An operation that cannot be applied, or a range that is not complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// More bytes than the range has.
    #[error("delta: operation gives {given} bytes where {left} are left")]
    TooLong {
        /// What the operation gives.
        given: u64,
        /// What of the range had no operation yet.
        left: u64,
    },
    /// Not all bytes of the range were given.
    #[error("delta: operations end {0} bytes too early")]
    TooShort(u64),
    /// A copy of what the basis does not have, or this range may not use.
    #[error("delta: copy of {length} bytes at {offset} from outside the basis")]
    Outside {
        /// Where from.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// In place, a copy of what has been written over.
    #[error("delta: copy from {offset} to {position}, after it was written over")]
    Overwritten {
        /// Where from.
        offset: u64,
        /// Where to.
        position: u64,
    },
    /// The basis could not be read.
    #[error("delta: read basis: {0}")]
    Read(#[source] io::Error),
    /// The output did not take the bytes.
    #[error("delta: write: {0}")]
    Write(#[source] io::Error),
}

/// Applies the operations of one part. Holds at most 128 KiB.
#[derive(Debug)]
pub struct Patch {
    /// What of the range has not been given yet.
    left: Range<u64>,
    basis: Range<u64>,
    update: Update,
    buffer: Vec<u8>,
}

impl Patch {
    /// Patches a part: operations must give [`Part::range`] and copy from [`Part::basis`].
    pub fn new(part: &Part, update: Update) -> Self {
        Self { left: part.range.clone(), basis: part.basis.clone(), update, buffer: Vec::new() }
    }

    /// Applies the next operation. `read_at` fills the buffer with what the basis has at the offset,
    /// or fails. What cannot be applied is refused before anything of it is written.
    pub fn apply(
        &mut self,
        operation: Operation<'_>,
        read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
        output: &mut impl Output,
    ) -> Result<(), PatchError> {
        match operation {
            Operation::Copy { offset, length } => self.copy(offset, length, read_at, output),
            Operation::Literal(bytes) => {
                self.expect(bytes.len() as u64)?;
                output.write(self.left.start, bytes).map_err(PatchError::Write)?;
                self.left.start += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// Ends the range, which must be complete.
    pub fn finish(self) -> Result<(), PatchError> {
        match self.bytes_left() {
            0 => Ok(()),
            left => Err(PatchError::TooShort(left)),
        }
    }

    /// How many bytes of the range have not been given yet.
    pub fn bytes_left(&self) -> u64 {
        self.left.end.saturating_sub(self.left.start)
    }

    fn copy(
        &mut self,
        offset: u64,
        length: u64,
        mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
        output: &mut impl Output,
    ) -> Result<(), PatchError> {
        self.expect(length)?;
        let end = offset.checked_add(length).filter(|&end| end <= self.basis.end);
        let end = end.filter(|_| offset >= self.basis.start);
        let end = end.ok_or(PatchError::Outside { offset, length })?;
        let position = self.left.start;
        if self.update == Update::InPlace && offset < position {
            return Err(PatchError::Overwritten { offset, position });
        }
        let is_there = self.update == Update::InPlace && offset == position;
        // In place this goes forward and reads from behind where it writes, so a copy may overlap
        // with itself.
        let mut from = offset;
        while from < end {
            let step = usize::try_from(end - from).map_or(STEP_BYTES, |left| left.min(STEP_BYTES));
            self.buffer.resize(step, 0);
            read_at(from, &mut self.buffer).map_err(PatchError::Read)?;
            let at = self.left.start;
            let taken = if is_there {
                output.keep(at, &self.buffer)
            } else {
                output.write(at, &self.buffer)
            };
            taken.map_err(PatchError::Write)?;
            self.left.start += step as u64;
            from += step as u64;
        }
        Ok(())
    }

    fn expect(&self, given: u64) -> Result<(), PatchError> {
        let left = self.bytes_left();
        if given > left { Err(PatchError::TooLong { given, left }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
