//! Values that cannot be longer or other than the rules allow.
//!
//! Why: a check that is part of a type cannot be forgotten. Each is made by `new`, which decoding uses
//! as well, so what a peer sends and what we send keep the same rules.

use std::fmt;

use crate::codec::{Codec, Malformed, Reader, write_bytes};
use crate::limits;

/// Defines bytes with a limit and a rule.
macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:expr, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<[u8]>);

        impl $name {
            /// Takes bytes that keep the rules.
            pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Malformed> {
                let bytes = bytes.as_ref();
                check_length($what, bytes.len(), $limit)?;
                let rule: fn(&[u8]) -> Option<&'static str> = $rule;
                match rule(bytes) {
                    None => Ok(Self(bytes.into())),
                    Some(why) => Err(Malformed::Forbidden { what: $what, why }),
                }
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl Codec for $name {
            fn write(&self, out: &mut Vec<u8>) {
                write_bytes(&self.0, out);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Self::new(reader.bytes($what, $limit)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(stringify!($name), &self.0, formatter)
            }
        }
    };
}

bytes! {
    /// One component of a path: not empty, no slash, no NUL, not `.` or `..`.
    Name, "a name", limits::NAME_BYTES, |name| {
        (!model::rel_path::is_component(name)).then_some("is not one component of a path")
    }
}

bytes! {
    /// A path as the user typed it. It is looked up by whoever serves the tree, once, to open a root.
    OperatorPath, "a path", limits::OPERATOR_PATH_BYTES, no_c_string
}

bytes! {
    /// Where a symbolic link leads to. It is data: nobody follows it on the strength of this.
    LinkText, "the text of a link", limits::LINK_TEXT_BYTES, no_c_string
}

bytes! {
    /// Name of an extended attribute.
    AttributeName, "the name of an attribute", limits::ATTRIBUTE_NAME_BYTES, no_c_string
}

bytes! {
    /// Value of an extended attribute, or an ACL in the form in which Linux keeps it in one.
    AttributeValue, "the value of an attribute", limits::ATTRIBUTE_VALUE_BYTES, anything
}

bytes! {
    /// Name of a user or a group.
    OwnerName, "the name of an owner", limits::OWNER_NAME_BYTES, no_c_string
}

bytes! {
    /// A digest; how long it must be is known from its algorithm.
    Digest, "a digest", limits::DIGEST_BYTES, anything
}

bytes! {
    /// Digests of one length, one behind the other.
    Digests, "digests", limits::DIGESTS * 32, |digests| digests.is_empty().then_some("are none")
}

bytes! {
    /// The chunks of a part of an image, in the form of the `delta` crate.
    Chunks, "chunks", limits::CHUNKS_BYTES as usize, |chunks| chunks.is_empty().then_some("are none")
}

bytes! {
    /// A bit for each block.
    BlockMap, "bits for blocks", limits::BLOCK_MAP_BYTES, anything
}

bytes! {
    /// Checksums of what the requester has, in the form of the `delta` crate.
    Signature, "a signature", limits::SIGNATURE_BYTES, anything
}

bytes! {
    /// A piece of the job.
    WorkPiece, "a piece of the job", limits::WORK_PIECE_BYTES, |piece| {
        piece.is_empty().then_some("is empty")
    }
}

bytes! {
    /// An event of a run, in the form of its owner.
    EventBytes, "an event", limits::EVENT_BYTES, anything
}

bytes! {
    /// Numbers for the progress display, in the form of their owner.
    ProgressBytes, "progress", limits::PROGRESS_BYTES, anything
}

bytes! {
    /// How a run ended, in the form of its owner.
    OutcomeBytes, "an outcome", limits::OUTCOME_BYTES, anything
}

/// Neither empty nor with a NUL in it.
fn no_c_string(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("is empty");
    }
    bytes.contains(&0).then_some("has a NUL in it")
}

fn anything(_: &[u8]) -> Option<&'static str> {
    None
}

/// Refuses a length or a count above its limit.
pub(crate) fn check_length(
    what: &'static str,
    length: usize,
    limit: usize,
) -> Result<(), Malformed> {
    if length <= limit {
        return Ok(());
    }
    Err(Malformed::TooLong { what, length: length as u64, limit: limit as u64 })
}

/// The beginning of the bytes, escaped: they come from elsewhere and may be long.
fn show(name: &str, bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SHOWN_BYTES: usize = 80;
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    write!(formatter, "{name}({}{more})", shown.escape_ascii())
}

/// UTF-8 of at most `LIMIT` bytes. What is longer is cut: texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<const LIMIT: usize>(Box<str>);

impl<const LIMIT: usize> Text<LIMIT> {
    /// Takes as much of a text as fits.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(LIMIT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].into())
    }

    /// The text. It may come from elsewhere: whoever prints it escapes control characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const LIMIT: usize> Codec for Text<LIMIT> {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.0.as_bytes(), out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = reader.bytes("a text", LIMIT)?;
        let text = str::from_utf8(bytes)
            .map_err(|_| Malformed::Forbidden { what: "a text", why: "is not UTF-8" })?;
        Ok(Self(text.into()))
    }
}

/// At most `LIMIT` elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const LIMIT: usize>(Vec<T>);

impl<T, const LIMIT: usize> List<T, LIMIT> {
    /// Takes elements that are not too many.
    pub fn new(elements: Vec<T>) -> Result<Self, Malformed> {
        check_length("a list", elements.len(), LIMIT)?;
        Ok(Self(elements))
    }

    /// Adds an element, or gives it back if there are as many as there may be.
    pub fn push(&mut self, element: T) -> Result<(), T> {
        if self.0.len() >= LIMIT {
            return Err(element);
        }
        self.0.push(element);
        Ok(())
    }

    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The elements, handed over.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const LIMIT: usize> Default for List<T, LIMIT> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Codec, const LIMIT: usize> Codec for List<T, LIMIT> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.0.len() as u64).write(out);
        for element in &self.0 {
            element.write(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count("a list", LIMIT)?;
        if count > reader.most() {
            return Err(Malformed::Truncated);
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(reader)?);
        }
        Ok(Self(elements))
    }
}

#[cfg(test)]
mod tests;
