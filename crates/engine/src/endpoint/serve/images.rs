//! Images: the digests of their pieces, and blocks of them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use fs::image::{Access, Image};
use parking_lot::Mutex;
use wire::{
    BLOCK_BYTES, BlockMap, BlocksTold, DigestRun, DigestRuns, Digests, FaultKind, Handle,
    OperatorPath, Pieces, Reply, Spans,
};

use super::content::{Kept, ServedFile, ServedImage};
use super::{Answering, Halt, Object, Server, not_named, path};
use crate::blocks::described;
use crate::blocks::pieces::{self, Digester, PieceDigest, READ_BYTES};
use crate::endpoint::sums;

impl Server {
    /// Opens what the job has for its source, to be read.
    pub(super) fn open_image(
        &self,
        answering: &mut Answering<'_>,
        typed: &OperatorPath,
    ) -> Result<(), Halt> {
        let typed = typed.as_bytes();
        if self.terms.images.as_ref().is_some_and(|images| !images.contains(typed)) {
            return Err(not_named());
        }
        let path: &Path = path(typed);
        let image = Image::open(path, Access::Read)?;
        let opened = described::describe(&image)?;
        let is_as_is = self.terms.left_as_is.as_ref().is_some_and(|it| it.has_suffix_of(typed));
        let kept = Kept::Image(Box::new(ServedImage::of(image)));
        let object = Object::File(Arc::new(ServedFile { kept, is_as_is }));
        self.keep(answering, object, Reply::OpenedImage(Box::new(opened)))
    }

    /// Answers with the blocks of spans that are not zeros.
    pub(super) fn read_blocks(
        &self,
        answering: &mut Answering<'_>,
        file: Handle,
        spans: &Spans,
    ) -> Result<(), Halt> {
        let file = self.content_of(answering, file)?;
        let (mut bits, mut number) = (Vec::new(), 0_usize);
        let (mut content, mut buffer) = (Vec::new(), Vec::new());
        let ranges = spans.as_slice().iter().map(|span| span.range());
        for range in ranges.flat_map(|range| pieces::cut(&range, READ_BYTES as u64)) {
            answering.go_on()?;
            buffer.resize(usize::try_from(range.end - range.start).unwrap_or(READ_BYTES), 0);
            file.read_into(&range, &mut buffer)?;
            for block in buffer.chunks(usize::try_from(BLOCK_BYTES).unwrap_or(usize::MAX)) {
                bits.resize(number / 8 + 1, 0);
                if !delta::blocks::is_zero(block) {
                    bits[number / 8] |= 1 << (number % 8);
                    content.extend_from_slice(block);
                }
                number += 1;
            }
        }
        let sum = sums::of_blocks(&bits, std::iter::once(&*content));
        let filled = BlockMap::new(bits)?;
        answering.hand_in_all(Reply::Blocks(BlocksTold { filled, sum }), content)
    }
}

impl ServedFile {
    /// The image, if it was opened as one.
    pub(super) fn image(&self) -> Result<&ServedImage, Halt> {
        match &self.kept {
            Kept::Image(served) => Ok(served),
            Kept::File(_) => Err(Halt::because(FaultKind::WrongHandle, "it is no image")),
        }
    }

    /// Fills a buffer with what lies in a range that is as long.
    pub(super) fn read_into(&self, range: &Range<u64>, buffer: &mut [u8]) -> Result<(), Halt> {
        let ServedImage { image, map, .. } = self.image()?;
        if range.end > image.bytes() {
            return Err(Halt::because(FaultKind::UnexpectedEof, "the image ends before"));
        }
        Ok(map.of(Some(image), range)?.read(image.file(), range, buffer)?)
    }
}

/// Runs of digests as they come.
#[derive(Default)]
struct Runs {
    told: DigestRuns,
    zeros: u64,
    digests: Vec<u8>,
}

impl Runs {
    fn add(&mut self, digest: PieceDigest, digest_bytes: usize) -> Result<(), Halt> {
        match digest {
            None => {
                self.end_digests()?;
                self.zeros += 1;
            }
            Some(digest) => {
                self.end_zeros()?;
                self.digests.extend_from_slice(&digest[..digest_bytes]);
            }
        }
        Ok(())
    }

    fn end_zeros(&mut self) -> Result<(), Halt> {
        match std::mem::take(&mut self.zeros) {
            0 => Ok(()),
            count => self.push(DigestRun::Zeros(count)),
        }
    }

    fn end_digests(&mut self) -> Result<(), Halt> {
        if self.digests.is_empty() {
            return Ok(());
        }
        let digests = Digests::new(std::mem::take(&mut self.digests))?;
        self.push(DigestRun::Digests(digests))
    }

    fn push(&mut self, run: DigestRun) -> Result<(), Halt> {
        let pushed = self.told.push(run);
        pushed.map_err(|_| Halt::because(FaultKind::InvalidInput, "these are too many digests"))
    }
}

/// Answers with the digests of the pieces of spans.
pub(super) fn digests(
    answering: &mut Answering<'_>,
    file: &ServedFile,
    spans: &Spans,
    pieces: Pieces,
) -> Result<(), Halt> {
    let Pieces { grain, hash, image_bytes } = pieces;
    let digester = Digester::new(image_bytes, hash);
    let mut runs = Runs::default();
    let _turn = file.image()?.head.as_ref().map(Mutex::lock);
    for span in spans.as_slice() {
        let Range { start, end } = span.range();
        let is_end = |at: u64| at.is_multiple_of(grain.bytes()) || at == image_bytes;
        if !start.is_multiple_of(grain.bytes()) || !is_end(end) || end > image_bytes {
            return Err(Halt::because(FaultKind::InvalidInput, "a span is not of whole pieces"));
        }
        let read = |part: &Range<u64>, buffer: &mut [u8]| {
            answering.go_on()?;
            file.read_into(part, buffer)
        };
        for digest in digester.digests(grain, &(start..end), read)? {
            runs.add(digest, pieces.digest_bytes())?;
        }
    }
    runs.end_zeros()?;
    runs.end_digests()?;
    answering.last(Reply::Digests(runs.told))
}
