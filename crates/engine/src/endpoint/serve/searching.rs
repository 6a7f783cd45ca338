//! What of a file the requester does not have already, searched in what it told of an old one.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use delta::{Encoder, Index, MAX_LITERAL_BYTES, Operation, Part, Search, Seed, Shape, Signature};
use fs::File;
use wire::{
    After, Content, ContentSum, DeltaSeed, FaultKind, FileAt, Piece, Reply, Span, Update, Wants,
    limits,
};

use super::content::{self, Begun, Opener};
use super::{Answering, Halt};
use crate::checksum;
use crate::endpoint::sums;

/// The file is read in pieces of this size; between two of them the search can be given up.
const READ_BYTES: usize = 256 << 10;

/// An operation has at most two numbers of ten bytes beside a literal.
const HEAD_BYTES: usize = 20;

/// What the requester has, as it is known here.
pub(super) struct OldFile {
    pub(super) pieces: Vec<Arc<Signature>>,
    pub(super) seed: DeltaSeed,
    pub(super) update: Update,
}

impl OldFile {
    /// One that a single signature is enough for.
    pub(super) fn whole(old: &wire::OldFile) -> Result<Self, Halt> {
        let pieces = vec![Arc::new(decode(old.signature.as_bytes())?)];
        Ok(Self { pieces, seed: old.seed, update: Update::Apart })
    }
}

/// Why operations end before the span does.
enum Early {
    /// There is no room for more.
    Full,
    /// The response ends.
    Halt(Halt),
}

/// Takes in the signature of a piece of an old file.
pub(super) fn decode(signature: &[u8]) -> Result<Signature, Halt> {
    Signature::decode(signature).map_err(|error| unsound(&error))
}

fn unsound(error: &dyn std::error::Error) -> Halt {
    Halt::because(FaultKind::InvalidInput, &error.to_string())
}

/// Answers how to make a part of a file from an old one.
pub(super) fn search(
    answering: &mut Answering<'_>,
    file: &File,
    span: Span,
    old: &OldFile,
    room_bytes: u32,
) -> Result<(), Halt> {
    let made = operations(answering, file, span.range(), old, room_bytes)?;
    if made.bytes == 0 {
        let ends = || Halt::because(FaultKind::UnexpectedEof, "the file ends before");
        return Err(if made.is_full { no_room() } else { ends() });
    }
    answering.last(Reply::Sum(made.sum))
}

/// Answers how to make all of a small file from an old one, and what it is then.
pub(super) fn renew(
    answering: &mut Answering<'_>,
    opener: &Opener<'_>,
    at: &FileAt,
    wants: Wants,
    old: &wire::OldFile,
    room_bytes: u32,
) -> Result<(), Halt> {
    let old = OldFile::whole(old)?;
    let begun = content::begin(answering, opener, at, wants, room_bytes)?;
    let Some(Begun { file, size }) = begun else { return Ok(()) };
    let made = operations(answering, &file, 0..size, &old, room_bytes)?;
    if made.is_full {
        return Err(no_room());
    }
    answering.last(Reply::After(After { metadata: file.metadata()?, sum: made.sum }))
}

fn no_room() -> Halt {
    let needed_bytes = HEAD_BYTES as u64 + 1;
    Halt::because(FaultKind::NoRoom { needed_bytes }, "no room for operations")
}

/// What operations make.
struct Made {
    bytes: u64,
    /// Of the bytes that they make.
    sum: ContentSum,
    /// There was no room for more.
    is_full: bool,
}

/// Hands in operations that make a range of a file from an old one, as many as there is room for.
fn operations(
    answering: &mut Answering<'_>,
    file: &File,
    range: Range<u64>,
    old: &OldFile,
    room_bytes: u32,
) -> Result<Made, Halt> {
    let any = Shape::for_lengths(0, 0);
    let shape = old.pieces.first().map_or(any, |piece| piece.shape());
    let update = match old.update {
        Update::Apart => delta::Update::Apart,
        Update::InPlace => delta::Update::InPlace,
    };
    let pieces = old.pieces.iter().map(|piece| &**piece);
    let index = Index::new(&Seed::from(old.seed.0), shape, pieces, update);
    let index = index.map_err(|error| unsound(&error))?;
    // A block may begin before the span, or end behind it.
    let margin = shape.block_bytes() as u64 - 1;
    let read = range.start.saturating_sub(margin)..range.end.saturating_add(margin);
    let part = Part { range: range.clone(), read: read.clone(), pieces: 0..0, basis: 0..0 };
    let mut found = Found::new(answering, range.start, room_bytes);
    let mut search = Search::new(&index, &part);
    let mut hasher = blake3::Hasher::new();
    let mut search_all = || -> Result<(), Early> {
        let longest = usize::try_from(read.end - read.start).unwrap_or(READ_BYTES);
        let mut buffer = vec![0; longest.min(READ_BYTES)];
        let mut at = read.start;
        while at < read.end {
            found.answering.go_on().map_err(Early::Halt)?;
            let wanted =
                usize::try_from(read.end - at).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let count = file
                .read_at(&mut buffer[..wanted], at)
                .map_err(|error| Early::Halt(error.into()))?;
            hasher.update(within(&buffer[..count], at, &range));
            search.push(&buffer[..count], |operation| found.add(operation))?;
            at += count as u64;
            if count < wanted {
                break;
            }
        }
        Ok(())
    };
    let searched = search_all().and_then(|()| search.finish(|operation| found.add(operation)));
    let is_full = match searched {
        Ok(()) => false,
        Err(Early::Full) => true,
        Err(Early::Halt(halt)) => return Err(halt),
    };
    let bytes = found.finish()?;
    let sum = if is_full {
        // What was searched goes on behind what there was room for.
        let go_on = || answering.go_on().map_err(|_| io::ErrorKind::Interrupted.into());
        let made = range.start..range.start + bytes;
        checksum::blake3_of_range(file, made, go_on).map(ContentSum)?
    } else {
        sums::of(&hasher)
    };
    Ok(Made { bytes, sum, is_full })
}

/// What of these bytes, which lie at an offset, lies in a range.
fn within<'b>(bytes: &'b [u8], offset: u64, range: &Range<u64>) -> &'b [u8] {
    let place = |at: u64| {
        usize::try_from(at.saturating_sub(offset)).map_or(bytes.len(), |at| at.min(bytes.len()))
    };
    &bytes[place(range.start)..place(range.end)]
}

/// Operations on their way to the requester.
struct Found<'r, 'a> {
    answering: &'r mut Answering<'a>,
    encoder: Encoder,
    bytes: Vec<u8>,
    room_bytes: usize,
    /// How much they make.
    made_bytes: u64,
}

impl<'r, 'a> Found<'r, 'a> {
    fn new(answering: &'r mut Answering<'a>, start: u64, room_bytes: u32) -> Self {
        let room_bytes = usize::try_from(room_bytes).unwrap_or(usize::MAX);
        let (encoder, bytes) = (Encoder::new(start), Vec::new());
        Self { answering, encoder, bytes, room_bytes, made_bytes: 0 }
    }

    /// Adds an operation, or what of it there is room for.
    fn add(&mut self, operation: Operation<'_>) -> Result<(), Early> {
        let room_bytes = self.room_bytes.saturating_sub(HEAD_BYTES);
        let (fitting, is_whole) = match operation {
            Operation::Literal(bytes) => {
                let length = bytes.len().min(room_bytes);
                (Operation::Literal(&bytes[..length]), length == bytes.len())
            }
            copy @ Operation::Copy { .. } => (copy, room_bytes > 0),
        };
        if room_bytes > 0 {
            self.encode(fitting).map_err(Early::Halt)?;
        }
        if is_whole { Ok(()) } else { Err(Early::Full) }
    }

    fn encode(&mut self, operation: Operation<'_>) -> Result<(), Halt> {
        const _: () = assert!(MAX_LITERAL_BYTES + HEAD_BYTES <= limits::CONTENT_BYTES);
        let most = match operation {
            Operation::Literal(bytes) => bytes.len() + HEAD_BYTES,
            Operation::Copy { .. } => HEAD_BYTES,
        };
        if self.bytes.len() + most > limits::CONTENT_BYTES {
            let full = Content::new(std::mem::take(&mut self.bytes))?;
            self.answering.more(Piece::Operations(full))?;
        }
        self.made_bytes += match operation {
            Operation::Literal(bytes) => bytes.len() as u64,
            Operation::Copy { length, .. } => length,
        };
        let before = self.bytes.len();
        self.encoder.encode(operation, &mut self.bytes);
        self.room_bytes = self.room_bytes.saturating_sub(self.bytes.len() - before);
        Ok(())
    }

    /// Hands in the rest; says how much all operations make.
    fn finish(self) -> Result<u64, Halt> {
        if !self.bytes.is_empty() {
            self.answering.more(Piece::Operations(Content::new(self.bytes)?))?;
        }
        Ok(self.made_bytes)
    }
}
