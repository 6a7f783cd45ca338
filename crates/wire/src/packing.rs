//! Compression of frames, one by one: order is not relied on across lanes, so no frame needs another.
//!
//! It steps aside where it does not pay. A frame that would not shrink goes as it is, and after some
//! that did not, only one in a few is tried. What is listed shrinks well and is always worth it.
//!
//! A compressed body is the length that it has when it is unpacked, four bytes, and what zstd or LZ4 made
//! of it. The length is checked against that of any body before memory is taken, and nothing more than
//! that is ever unpacked.

use model::settings::Method;
use zstd::bulk::{Compressor, Decompressor};

use crate::codec::{Malformed, encode};
use crate::frame::{Flags, Frame, FrameKind, Header, Outgoing};
use crate::greeting::Features;
use crate::limits::BODY_BYTES;
use crate::response::{Piece, Reply};
use crate::violation::Violation;

/// Blocks of LZ4.
mod lz4;

/// The length before a compressed body.
const LENGTH_BYTES: usize = 4;

/// Shorter bodies are sent as they are: what little they could shrink is not worth a call.
const WORTH_BYTES: usize = 256;

/// How listings are compressed: fast, for they are never the bulk.
const LISTING_LEVEL: i32 = 1;

/// After so many that did not shrink, one in sixty-four is tried.
const STREAK_MAX: u32 = 6;

/// What is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// What the other side takes.
    pub taken: Features,
    /// How content and operations are compressed, if they are to be.
    pub content: Option<Method>,
}

/// A piece of a response, ready to be sent.
#[derive(Debug)]
pub struct Packed {
    pub(crate) piece: Piece,
    /// Its body, if that is compressed.
    body: Option<Shrunk>,
}

#[derive(Debug)]
struct Shrunk {
    body: Vec<u8>,
    /// How it was made.
    flag: Flags,
    /// How long it was before.
    unpacked_bytes: usize,
}

impl From<Piece> for Packed {
    fn from(piece: Piece) -> Self {
        Self { piece, body: None }
    }
}

impl From<Reply> for Packed {
    fn from(reply: Reply) -> Self {
        Piece::from(reply).into()
    }
}

impl Packed {
    /// The frame that carries it, and its length before it was compressed; `header` says all but the
    /// kind.
    pub(crate) fn into_outgoing(self, header: Header) -> (Outgoing, usize) {
        match self.body {
            None => {
                let outgoing = self.piece.into_outgoing(header);
                let byte_count = outgoing.byte_count();
                (outgoing, byte_count)
            }
            Some(Shrunk { body, flag, unpacked_bytes }) => {
                let kind = self.piece.frame_kind();
                let header = Header { kind, flags: header.flags | flag, ..header };
                let outgoing = Outgoing::frame(header, &body);
                let byte_count = outgoing.byte_count() - body.len() + unpacked_bytes;
                (outgoing, byte_count)
            }
        }
    }
}

/// Compresses pieces; each thread that makes some has one.
#[derive(Default)]
pub struct Packer {
    packing: Packing,
    content: Option<Squeezer>,
    listing: Option<Squeezer>,
    thrift: Thrift,
}

/// Makes bodies shorter.
enum Squeezer {
    Zstd(Compressor<'static>),
    Lz4(lz4::Compressor),
}

impl Packer {
    /// What is to be compressed from now on.
    pub fn set(&mut self, packing: Packing) {
        if packing != self.packing {
            *self = Self { packing, ..Self::default() };
        }
    }

    /// Compresses a piece if that pays. `is_worth_it` is false of content that is known to be compressed
    /// already.
    pub fn pack(&mut self, piece: Piece, is_worth_it: bool) -> Packed {
        let body = self.body_of(&piece, is_worth_it);
        Packed { piece, body }
    }

    fn body_of(&mut self, piece: &Piece, is_worth_it: bool) -> Option<Shrunk> {
        let taken = self.packing.taken;
        match piece {
            Piece::Reply(reply @ Reply::Page { .. }) => {
                let method = Method::Zstd { level: LISTING_LEVEL };
                made(&mut self.listing, method, taken)?.squeeze(&encode(reply))
            }
            Piece::Reply(_) => None,
            Piece::Data { offset, content } => {
                let method = self.packing.content.filter(|_| is_worth_it)?;
                let parts: [&[u8]; 2] = [&offset.to_le_bytes(), content];
                let squeezer = made(&mut self.content, method, taken)?;
                self.thrift.spend(|| squeezer.squeeze(&parts.concat()))
            }
            Piece::Operations(operations) => {
                let method = self.packing.content.filter(|_| is_worth_it)?;
                let squeezer = made(&mut self.content, method, taken)?;
                self.thrift.spend(|| squeezer.squeeze(operations))
            }
        }
    }
}

/// Made when it is needed: not everybody needs one, and it takes some memory.
fn made(slot: &mut Option<Squeezer>, method: Method, taken: Features) -> Option<&mut Squeezer> {
    let feature = match method {
        Method::Zstd { .. } => Features::ZSTD,
        Method::Lz4 => Features::LZ4,
    };
    if !taken.contains(feature) {
        return None;
    }
    if slot.is_none() {
        *slot = match method {
            Method::Zstd { level } => Some(Squeezer::Zstd(Compressor::new(level).ok()?)),
            Method::Lz4 => Some(Squeezer::Lz4(lz4::Compressor::new())),
        };
    }
    slot.as_mut()
}

impl Squeezer {
    /// The body, if it becomes shorter by a sixteenth.
    fn squeeze(&mut self, body: &[u8]) -> Option<Shrunk> {
        if body.len() < WORTH_BYTES {
            return None;
        }
        let most = body.len() - body.len() / 16;
        let mut packed = u32::try_from(body.len()).ok()?.to_le_bytes().to_vec();
        let flag = match self {
            Self::Zstd(compressor) => {
                packed.resize(LENGTH_BYTES + most, 0);
                // It fails where there is no room for what it makes.
                let count =
                    compressor.compress_to_buffer(body, &mut packed[LENGTH_BYTES..]).ok()?;
                packed.truncate(LENGTH_BYTES + count);
                Flags::ZSTD
            }
            Self::Lz4(compressor) => {
                compressor.compress(body, &mut packed, most)?;
                Flags::LZ4
            }
        };
        Some(Shrunk { body: packed, flag, unpacked_bytes: body.len() })
    }
}

/// Whether to try, from what came of the tries before.
#[derive(Debug, Default)]
struct Thrift {
    /// Tries in a row that came to nothing.
    streak: u32,
    /// So many are not tried.
    left_out: u32,
}

impl Thrift {
    fn spend<T>(&mut self, attempt: impl FnOnce() -> Option<T>) -> Option<T> {
        if let Some(left) = self.left_out.checked_sub(1) {
            self.left_out = left;
            return None;
        }
        let made = attempt();
        self.streak = if made.is_some() { 0 } else { (self.streak + 1).min(STREAK_MAX) };
        self.left_out = (1 << self.streak) - 1;
        made
    }
}

/// Unpacks frames; each thread that reads some has one.
#[derive(Default)]
pub struct Unpacker(Option<Decompressor<'static>>);

impl Unpacker {
    /// The frame as it was before it was compressed, if it was.
    pub(crate) fn unpack(&mut self, mut frame: Frame) -> Result<Frame, Violation> {
        if !frame.header.flags.intersects(Flags::PACKED) {
            return Ok(frame);
        }
        let unpacked = self.body(&frame).map_err(|malformed| frame.malformed(malformed))?;
        frame.body = unpacked;
        frame.header.flags.remove(Flags::PACKED);
        Ok(frame)
    }

    fn body(&mut self, frame: &Frame) -> Result<Vec<u8>, Malformed> {
        let (length, packed) =
            frame.body.split_first_chunk::<LENGTH_BYTES>().ok_or(Malformed::Truncated)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > BODY_BYTES {
            return Err(wrong("is longer than any may be when it is unpacked"));
        }
        if frame.header.flags.contains(Flags::LZ4) {
            return lz4::decompress(packed, length)
                .ok_or(wrong("is none of LZ4, or not as long as it says"));
        }
        self.body_of_zstd(packed, length)
    }

    fn body_of_zstd(&mut self, packed: &[u8], length: usize) -> Result<Vec<u8>, Malformed> {
        if self.0.is_none() {
            self.0 = Decompressor::new().ok();
        }
        let decompressor = self.0.as_mut().ok_or(wrong("cannot be unpacked for want of memory"))?;
        let mut body = vec![0; length];
        // It never writes behind the end of what it is given.
        match decompressor.decompress_to_buffer(packed, &mut body[..]) {
            Ok(unpacked) if unpacked == length => Ok(body),
            Ok(_) => Err(wrong("is not as long as it says")),
            Err(_) => Err(wrong("is none of zstd, or longer than it says")),
        }
    }
}

fn wrong(why: &'static str) -> Malformed {
    Malformed::Forbidden { what: "a compressed body", why }
}

impl Piece {
    fn frame_kind(&self) -> FrameKind {
        match self {
            Self::Reply(_) => FrameKind::Response,
            Self::Data { .. } => FrameKind::Data,
            Self::Operations(_) => FrameKind::Operations,
        }
    }
}

#[cfg(test)]
mod tests;
