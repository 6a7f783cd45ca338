//! The greeting that begins each lane, from either side, and neither waits for the other.
//!
//! Its first part has one form for all time, so that programs of different revisions can tell each
//! other so. Its last part belongs to the revision.
//!
//! ```text
//! 0       8          10               11        11+n     13+n
//! | magic | revision | length n (u8)  | version | u16 m  | m bytes: Greeting
//! ```

use std::fmt;

use bitflags::bitflags;

use crate::bounded::{Text, check_length};
use crate::codec::{Codec, Malformed, Reader, decode, encode, record};
use crate::lane::LaneNumber;
use crate::limits::{self, GREETING_BYTES, NOISE_BYTES, VERSION_BYTES};
use crate::violation::Violation;

/// Revision of the protocol. Two sides talk only if theirs is the same.
pub const REVISION: u16 = 8;

/// A byte that no text begins with, a name, and line ends that a terminal in between would change.
const MAGIC: [u8; 8] = *b"\x8dLANE\r\n\n";

/// Names a session: 128 random bits. Not a secret in itself: lanes are authenticated below.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({:032x})", u128::from_be_bytes(self.0))
    }
}

impl Codec for SessionId {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Codec::read(reader).map(Self)
    }
}

/// What the side that opened a lane says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The session that the lane belongs to.
    pub session: SessionId,
    /// The number of the lane in it; no number comes twice in a session.
    pub lane: LaneNumber,
}

record!(Opening { session, lane });

/// The operating system of a side: numbers of errors mean something only between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux.
    Linux,
    /// macOS.
    MacOs,
    /// FreeBSD.
    FreeBsd,
    /// None of these.
    Other,
}

crate::codec::choice!(System, "operating system": 0 => Other, 1 => Linux, 2 => MacOs, 3 => FreeBsd);

impl System {
    /// The system that this program was built for.
    pub const HERE: Self = match std::env::consts::OS.as_bytes() {
        b"linux" => Self::Linux,
        b"macos" => Self::MacOs,
        b"freebsd" => Self::FreeBsd,
        _ => Self::Other,
    };
}

bitflags! {
    /// What a side can do beyond what its revision must. Both sides use only what both have.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Features: u64 {
        /// Takes frames with [`Flags::ZSTD`](crate::Flags::ZSTD).
        const ZSTD = 1 << 0;
        /// Takes frames with [`Flags::LZ4`](crate::Flags::LZ4).
        const LZ4 = 1 << 1;
    }
}

impl Features {
    /// What this program can do.
    pub const HERE: Self = Self::ZSTD.union(Self::LZ4);
}

impl Codec for Features {
    fn write(&self, out: &mut Vec<u8>) {
        self.bits().write(out);
    }

    /// A feature that this side does not know is one that it does not use.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        u64::read(reader).map(Self::from_bits_truncate)
    }
}

/// What a side takes as a responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests at a time.
    pub requests: u32,
    /// Handles at a time.
    pub handles: u32,
    /// Cost of all requests together that have no complete response yet.
    pub window_bytes: u64,
}

record!(Capacity { requests, handles, window_bytes });

impl Default for Capacity {
    fn default() -> Self {
        /// A requester far away begins with a quarter of so many directories before their turn.
        const HANDLES: u32 = 16 * 1024;
        let window_bytes = limits::WINDOW_DEFAULT_BYTES;
        Self { requests: limits::REQUESTS, handles: HANDLES, window_bytes }
    }
}

impl Capacity {
    /// Within the limits of the protocol, whoever stated it.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            requests: self.requests.clamp(1, limits::REQUESTS),
            handles: self.handles.clamp(1, limits::HANDLES),
            window_bytes: self.window_bytes.clamp(limits::WINDOW_LEAST_BYTES, limits::WINDOW_BYTES),
        }
    }
}

/// What a side says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the program, as `0.1.0`.
    pub version: Text<VERSION_BYTES>,
    /// Its operating system.
    pub system: System,
    /// What it can do.
    pub features: Features,
    /// What it takes.
    pub capacity: Capacity,
}

/// The part of a greeting that belongs to the revision.
#[derive(Debug, PartialEq, Eq)]
struct Rest {
    system: System,
    features: Features,
    capacity: Capacity,
    opening: Option<Opening>,
}

record!(Rest { system, features, capacity, opening });

/// The bytes of a greeting.
pub(crate) fn greeting(hello: &Hello, opening: Option<Opening>) -> Vec<u8> {
    let rest = encode(&Rest {
        system: hello.system,
        features: hello.features,
        capacity: hello.capacity,
        opening,
    });
    let version = hello.version.as_str().as_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&REVISION.to_le_bytes());
    bytes.push(u8::try_from(version.len()).expect("a version has at most 64 bytes"));
    bytes.extend_from_slice(version);
    let length = u16::try_from(rest.len()).expect("a greeting has at most 4096 bytes");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&rest);
    bytes
}

/// Takes in a greeting, however it is chunked.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    bytes: Vec<u8>,
    is_noise: bool,
}

impl Listener {
    /// Takes bytes off the front of `input`, up to the end of the greeting.
    pub(crate) fn feed(
        &mut self,
        input: &mut &[u8],
    ) -> Result<Option<(Hello, Option<Opening>)>, Violation> {
        while let Some((first, rest)) = input.split_first() {
            *input = rest;
            self.bytes.push(*first);
            if self.is_noise {
                // A line is worth more to the reader than its first byte.
                if *first == b'\n' || self.bytes.len() >= NOISE_BYTES {
                    return Err(self.noise());
                }
            } else if self.bytes.len() <= MAGIC.len() && !MAGIC.starts_with(&self.bytes) {
                self.is_noise = true;
            } else if let Some(heard) = self.heard()? {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    /// What the end of the pipe, or of patience, means now.
    pub(crate) fn broken_off(&self, otherwise: Violation) -> Violation {
        if self.is_noise { self.noise() } else { otherwise }
    }

    fn noise(&self) -> Violation {
        Violation::Noise(self.bytes.trim_ascii_end().escape_ascii().to_string())
    }

    /// The greeting, if it is complete.
    fn heard(&self) -> Result<Option<(Hello, Option<Opening>)>, Violation> {
        let Some(after) = self.bytes.strip_prefix(&MAGIC) else { return Ok(None) };
        let Some((revision, after)) = after.split_first_chunk() else { return Ok(None) };
        let Some((length, after)) = after.split_first() else { return Ok(None) };
        check_length("a version", usize::from(*length), VERSION_BYTES)
            .map_err(Violation::Greeting)?;
        let Some((version, after)) = after.split_at_checked((*length).into()) else {
            return Ok(None);
        };
        let theirs = u16::from_le_bytes(*revision);
        if theirs != REVISION {
            let version = version.escape_ascii().to_string();
            return Err(Violation::Revision { theirs, version, ours: REVISION });
        }
        let Some((length, after)) = after.split_first_chunk() else { return Ok(None) };
        let length = usize::from(u16::from_le_bytes(*length));
        check_length("a greeting", length, GREETING_BYTES).map_err(Violation::Greeting)?;
        if after.len() < length {
            return Ok(None);
        }
        let rest: Rest = decode(after).map_err(Violation::Greeting)?;
        let version = str::from_utf8(version).map_err(|_| {
            Violation::Greeting(Malformed::Forbidden { what: "a version", why: "is not UTF-8" })
        })?;
        let hello = Hello {
            version: Text::new(version),
            system: rest.system,
            features: rest.features,
            capacity: rest.capacity.clamped(),
        };
        Ok(Some((hello, rest.opening)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
