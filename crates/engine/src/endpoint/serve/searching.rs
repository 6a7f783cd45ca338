//! What of a file the requester does not have already, searched in what it told of an old one.

use std::sync::Arc;

use delta::{Encoder, Index, MAX_LITERAL_BYTES, Operation, Part, Search, Seed, Shape, Signature};
use fs::File;
use wire::{Content, DeltaSeed, FaultKind, Piece, Span, Update, limits};

use super::{Answering, Halt};

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
    let any = Shape::for_lengths(0, 0);
    let shape = old.pieces.first().map_or(any, |piece| piece.shape());
    let update = match old.update {
        Update::Apart => delta::Update::Apart,
        Update::InPlace => delta::Update::InPlace,
    };
    let pieces = old.pieces.iter().map(|piece| &**piece);
    let index = Index::new(&Seed::from(old.seed.0), shape, pieces, update);
    let index = index.map_err(|error| unsound(&error))?;
    let range = span.range();
    // A block may begin before the span, or end behind it.
    let margin = shape.block_bytes() as u64 - 1;
    let read = range.start.saturating_sub(margin)..range.end.saturating_add(margin);
    let part = Part { range: range.clone(), read: read.clone(), pieces: 0..0, basis: 0..0 };
    let mut found = Found::new(answering, range.start, room_bytes);
    let mut search = Search::new(&index, &part);
    let mut search_all = || -> Result<(), Early> {
        let mut buffer = vec![0; READ_BYTES];
        let mut at = read.start;
        while at < read.end {
            found.answering.go_on().map_err(Early::Halt)?;
            let wanted =
                usize::try_from(read.end - at).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let count = file
                .read_at(&mut buffer[..wanted], at)
                .map_err(|error| Early::Halt(error.into()))?;
            search.push(&buffer[..count], |operation| found.add(operation))?;
            at += count as u64;
            if count < wanted {
                break;
            }
        }
        Ok(())
    };
    match search_all() {
        Ok(()) => match search.finish(|operation| found.add(operation)) {
            Ok(()) | Err(Early::Full) => {}
            Err(Early::Halt(halt)) => return Err(halt),
        },
        Err(Early::Full) => {}
        Err(Early::Halt(halt)) => return Err(halt),
    }
    found.finish()
}

/// Operations on their way to the requester.
struct Found<'r, 'a> {
    answering: &'r mut Answering<'a>,
    encoder: Encoder,
    bytes: Vec<u8>,
    room_bytes: usize,
}

impl<'r, 'a> Found<'r, 'a> {
    fn new(answering: &'r mut Answering<'a>, start: u64, room_bytes: u32) -> Self {
        let room_bytes = usize::try_from(room_bytes).unwrap_or(usize::MAX);
        Self { answering, encoder: Encoder::new(start), bytes: Vec::new(), room_bytes }
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
        let before = self.bytes.len();
        self.encoder.encode(operation, &mut self.bytes);
        self.room_bytes = self.room_bytes.saturating_sub(self.bytes.len() - before);
        Ok(())
    }

    fn finish(self) -> Result<(), Halt> {
        if self.bytes.is_empty() {
            if self.room_bytes <= HEAD_BYTES {
                let needed_bytes = HEAD_BYTES as u64 + 1;
                return Err(Halt::because(
                    FaultKind::NoRoom { needed_bytes },
                    "no room for operations",
                ));
            }
            return Err(Halt::because(FaultKind::UnexpectedEof, "the file ends before"));
        }
        self.answering.last(Piece::Operations(Content::new(self.bytes)?))
    }
}
