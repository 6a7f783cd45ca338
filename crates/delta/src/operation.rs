//! What the new file is made of, and its form on the wire.
//!
//! ```text
//! literal   varint length * 2, then so many bytes
//! copy      varint length * 2 + 1, then where from as a varint
//! ```
//!
//! Where from is said by the drift: how much further behind the beginning of the basis the copied
//! bytes lie than they come to lie in the new file, less what it was for the last copy. So it is one
//! byte as long as nothing was inserted or removed.

use crate::varint::{put, take, unzigzag, zigzag};

/// The longest literal: no longer than the longest block, since a search holds that much anyway.
pub const MAX_LITERAL_BYTES: usize = 128 << 10;

/// The next bytes of the new file. Never empty where a search made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// They are in the basis.
    Copy {
        /// Where, from its beginning.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// They are these, at most [`MAX_LITERAL_BYTES`].
    Literal(&'a [u8]),
}

/// Bytes that are no operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// A number is cut off or not written as it should be.
    #[error("delta: operation without proper numbers")]
    Number,
    /// An operation that gives nothing.
    #[error("delta: operation without bytes")]
    Empty,
    /// A literal that is too long.
    #[error("delta: literal of {0} bytes, {MAX_LITERAL_BYTES} are the most")]
    LongLiteral(u64),
    /// The bytes of a literal are cut off.
    #[error("delta: literal of {expected} bytes with only {found}")]
    ShortLiteral {
        /// As its length says.
        expected: usize,
        /// As there are.
        found: usize,
    },
    /// The new file, or what is copied, would go beyond the end of all files.
    #[error("delta: operation on bytes that no file has")]
    Range,
}

/// Where an operation is said relative to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    /// Where in the new file the next operation gives bytes.
    position: u64,
    /// Basis offset less position, of the last copy, modulo 2^64.
    drift: u64,
}

/// Writes the operations of one part as bytes. They may be cut between operations into as many
/// messages as the caller likes.
#[derive(Debug, Clone)]
pub struct Encoder(Place);

impl Encoder {
    /// For a part whose range begins here in the new file.
    pub fn new(range_start: u64) -> Self {
        Self(Place { position: range_start, drift: 0 })
    }

    /// Appends an operation, which must be one that a search made.
    pub fn encode(&mut self, operation: Operation<'_>, bytes: &mut Vec<u8>) {
        let place = &mut self.0;
        match operation {
            Operation::Copy { offset, length } => {
                put(length << 1 | 1, bytes);
                let drift = offset.wrapping_sub(place.position);
                put(zigzag(drift.wrapping_sub(place.drift).cast_signed()), bytes);
                *place = Place { position: place.position.wrapping_add(length), drift };
            }
            Operation::Literal(literal) => {
                put((literal.len() as u64) << 1, bytes);
                bytes.extend_from_slice(literal);
                place.position = place.position.wrapping_add(literal.len() as u64);
            }
        }
    }
}

/// Reads the operations of one part.
#[derive(Debug, Clone)]
pub struct Decoder(Place);

impl Decoder {
    /// For a part whose range begins here in the new file.
    pub fn new(range_start: u64) -> Self {
        Self(Place { position: range_start, drift: 0 })
    }

    /// The operations in a message. Total: no bytes make it panic, and it takes no memory. After an
    /// error there is nothing more.
    pub fn decode<'m>(&mut self, message: &'m [u8]) -> Operations<'_, 'm> {
        Operations { place: &mut self.0, rest: message }
    }
}

/// The operations in a message, in the order in which they make the new file.
#[derive(Debug)]
pub struct Operations<'d, 'm> {
    place: &'d mut Place,
    rest: &'m [u8],
}

impl<'m> Operations<'_, 'm> {
    fn take(&mut self) -> Result<Operation<'m>, OperationError> {
        let head = take(&mut self.rest).ok_or(OperationError::Number)?;
        let length = head >> 1;
        if length == 0 {
            return Err(OperationError::Empty);
        }
        let position = self.place.position.checked_add(length).ok_or(OperationError::Range)?;
        let operation =
            if head & 1 == 1 { self.take_copy(length)? } else { self.take_literal(length)? };
        self.place.position = position;
        Ok(operation)
    }

    fn take_copy(&mut self, length: u64) -> Result<Operation<'m>, OperationError> {
        let change = take(&mut self.rest).ok_or(OperationError::Number)?;
        let drift = self.place.drift.wrapping_add(unzigzag(change).cast_unsigned());
        let offset = self.place.position.wrapping_add(drift);
        offset.checked_add(length).ok_or(OperationError::Range)?;
        self.place.drift = drift;
        Ok(Operation::Copy { offset, length })
    }

    fn take_literal(&mut self, length: u64) -> Result<Operation<'m>, OperationError> {
        let expected = usize::try_from(length).ok().filter(|&length| length <= MAX_LITERAL_BYTES);
        let expected = expected.ok_or(OperationError::LongLiteral(length))?;
        let short = OperationError::ShortLiteral { expected, found: self.rest.len() };
        let (literal, rest) = self.rest.split_at_checked(expected).ok_or(short)?;
        self.rest = rest;
        Ok(Operation::Literal(literal))
    }
}

impl<'m> Iterator for Operations<'_, 'm> {
    type Item = Result<Operation<'m>, OperationError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take();
        if taken.is_err() {
            self.rest = &[];
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
