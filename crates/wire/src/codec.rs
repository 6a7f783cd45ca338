//! How values become bytes, and bytes values again.
//!
//! Why not a library: what breaks a rule must come back as the rule that it breaks, one value must have
//! one encoding, and the numbers of variants must stand in the code, for they are a promise to other
//! revisions. The whole codec is smaller than the adaptors to a general one would be.
//!
//! A number is LEB128 without superfluous bytes, a signed one zigzag before that. Bytes and lists have
//! their count before them, an option one byte. Records are their fields one after another; a choice
//! is its number and then its fields. Nothing is recursive, so neither is the decoder.

use thiserror::Error;

/// What is wrong with bytes that a peer sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The message ends inside a value.
    #[error("it ends in the middle of a value")]
    Truncated,
    /// The message goes on after its last value.
    #[error("{0} bytes follow after its end")]
    Trailing(usize),
    /// A number with superfluous bytes, or of more than 64 bits.
    #[error("a number is not in its shortest form")]
    Number,
    /// A number that the field cannot hold.
    #[error("{what} is {value}, and at most {limit} is allowed")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// What it says.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A length or a count beyond its limit.
    #[error("{what} of length {length}, and the limit is {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The length that it claims.
        length: u64,
        /// The limit from [`limits`](crate::limits).
        limit: u64,
    },
    /// A number that names no variant.
    #[error("there is no {what} {tag}")]
    NoSuch {
        /// The choice.
        what: &'static str,
        /// The number.
        tag: u64,
    },
    /// A value that the rules for its kind do not allow.
    #[error("{what} {why}")]
    Forbidden {
        /// The value.
        what: &'static str,
        /// The rule.
        why: &'static str,
    },
}

/// Bytes that are still to be read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// What has an encoding.
pub(crate) trait Codec: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// The bytes of a value.
pub(crate) fn encode(value: &impl Codec) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// The value that all of `bytes` stand for.
pub(crate) fn decode<T: Codec>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader(bytes);
    let value = T::read(&mut reader)?;
    match reader.0.len() {
        0 => Ok(value),
        trailing => Err(Malformed::Trailing(trailing)),
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A count, which its limit and the bytes that are left must allow.
    pub(crate) fn count(&mut self, what: &'static str, limit: usize) -> Result<usize, Malformed> {
        let length = u64::read(self)?;
        match usize::try_from(length) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(Malformed::TooLong { what, length, limit: limit as u64 }),
        }
    }

    /// Bytes with their count before them.
    pub(crate) fn bytes(
        &mut self,
        what: &'static str,
        limit: usize,
    ) -> Result<&'a [u8], Malformed> {
        let count = self.count(what, limit)?;
        self.take(count)
    }

    /// Most elements that the bytes which are left can hold, for each has one byte or more.
    pub(crate) fn most(&self) -> usize {
        self.0.len()
    }
}

/// Writes bytes with their count before them.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    (bytes.len() as u64).write(out);
    out.extend_from_slice(bytes);
}

/// Bits that a byte of a number carries; the eighth says that more follow.
const NUMBER_BITS: u32 = 7;

impl Codec for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >> NUMBER_BITS != 0 {
            out.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= NUMBER_BITS;
        }
        out.push(rest.to_le_bytes()[0]);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut value = 0;
        for shift in (0..Self::BITS).step_by(NUMBER_BITS as usize) {
            let byte = reader.byte()?;
            let bits = Self::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(Malformed::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }
}

/// Implements the smaller numbers by the largest.
macro_rules! smaller {
    ($($number:ty),*) => {$(
        impl Codec for $number {
            fn write(&self, out: &mut Vec<u8>) {
                u64::from(*self).write(out);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                let value = u64::read(reader)?;
                let limit = u64::from(Self::MAX);
                Self::try_from(value)
                    .map_err(|_| Malformed::OutOfRange { what: "a number", value, limit })
            }
        }
    )*};
}
smaller!(u8, u16, u32);

impl Codec for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let folded = u64::read(reader)?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

impl Codec for i32 {
    fn write(&self, out: &mut Vec<u8>) {
        i64::from(*self).write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let value = i64::read(reader)?;
        Self::try_from(value).map_err(|_| Malformed::OutOfRange {
            what: "the size of a signed number",
            value: value.unsigned_abs(),
            limit: 1 << 31,
        })
    }
}

impl Codec for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(Malformed::NoSuch { what: "truth value", tag: tag.into() }),
        }
    }
}

impl<const COUNT: usize> Codec for [u8; COUNT] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let taken = reader.take(COUNT)?;
        taken.try_into().map_err(|_| Malformed::Truncated)
    }
}

impl<T: Codec> Codec for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        bool::read(reader)?.then(|| T::read(reader)).transpose()
    }
}

impl<T: Codec, E: Codec> Codec for Result<T, E> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_ok().write(out);
        match self {
            Ok(value) => value.write(out),
            Err(error) => error.write(out),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(if bool::read(reader)? { Ok(T::read(reader)?) } else { Err(E::read(reader)?) })
    }
}

impl<T: Codec> Codec for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::read(reader).map(Self::new)
    }
}

/// Encodes a record as its fields in this order.
macro_rules! record {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Codec for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::codec::Codec::write(&self.$field, out);)*
            }

            fn read(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                Ok(Self { $($field: $crate::codec::Codec::read(reader)?),* })
            }
        }
    };
}
pub(crate) use record;

/// Encodes a choice as the number of its variant and the fields of that.
macro_rules! choice {
    ($name:ty, $what:literal: $(
        $tag:literal => $variant:ident $({ $($field:ident),* $(,)? })? $(($item:ident))?
    ),* $(,)?) => {
        impl $crate::codec::Codec for $name {
            fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(($item))? => {
                        let tag: u64 = $tag;
                        $crate::codec::Codec::write(&tag, out);
                        $($($crate::codec::Codec::write($field, out);)*)?
                        $($crate::codec::Codec::write($item, out);)?
                    })*
                }
            }

            fn read(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Malformed> {
                let tag: u64 = $crate::codec::Codec::read(reader)?;
                Ok(match tag {
                    $($tag => {
                        $(let $item = $crate::codec::Codec::read(reader)?;)?
                        Self::$variant
                            $({ $($field: $crate::codec::Codec::read(reader)?),* })?
                            $(($item))?
                    })*
                    tag => return Err($crate::codec::Malformed::NoSuch { what: $what, tag }),
                })
            }
        }
    };
}
pub(crate) use choice;

#[cfg(test)]
mod tests;
