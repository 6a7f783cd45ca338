//! Chunks of an image: it is cut where its content says.

use delta::Seed;
use delta::chunks::{Bounds, ChunkSumming, LONGEST_BYTES};
use parking_lot::Mutex;
use wire::{Chunks, Cut, FaultKind, Reply, Span};

use super::content::ServedFile;
use super::{Answering, Halt};
use crate::blocks::pieces::{self, READ_BYTES};

/// Answers with the chunks of a span.
pub(super) fn chunks(
    answering: &mut Answering<'_>,
    file: &ServedFile,
    span: Span,
    cut: Cut,
) -> Result<(), Halt> {
    if cut.longest_bytes > LONGEST_BYTES {
        return Err(Halt::because(FaultKind::InvalidInput, "so long an image is not cut"));
    }
    let bounds = Bounds::of(cut.longest_bytes);
    if span.bytes() > bounds.section_bytes() {
        return Err(Halt::because(FaultKind::InvalidInput, "these are too many chunks"));
    }
    let mut summing = ChunkSumming::new(&Seed::from(cut.seed.0), bounds);
    let mut buffer = vec![0; READ_BYTES];
    let _turn = file.image()?.head.as_ref().map(Mutex::lock);
    for range in pieces::cut(&span.range(), READ_BYTES as u64) {
        answering.go_on()?;
        let bytes = usize::try_from(range.end - range.start).unwrap_or(READ_BYTES);
        file.read_into(&range, &mut buffer[..bytes])?;
        summing.push(&buffer[..bytes]);
    }
    let mut told = Vec::new();
    summing.finish().encode(&mut told);
    answering.last(Reply::Chunks(Chunks::new(told)?))
}
