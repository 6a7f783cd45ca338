//! An image of the other host: what it is, the digests of its pieces, and its blocks.

use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use delta::chunks::{Bounds, ChunkSums};
use delta::image::UnitDigest;
use model::{Kind, Metadata, Settings};
use parking_lot::Mutex;
use sched::Cancel;
use wire::{
    Answer, BLOCK_BYTES, Content, Cut, DigestRun, Ground, List, OpenedImage, OperatorPath, Pieces,
    ReadBlocks, Request, Room, Span, Spans, Wants,
};

use super::extents::{self, Told};
use super::{Held, Pending, Remote, of_another_kind};
use crate::blocks::extents::Extents;
use crate::blocks::pieces::{self, PieceDigest};
use crate::endpoint::{RemoteSource, sums};

/// Holes that are closer together are not worth being told of: an answer of which this is about all has less
/// of them for each byte of the image than its digests take.
const TOLD_LEAST_BYTES: u64 = 1 << 30;

/// How far back what was told of holes is known: no worker is further behind.
const KNOWN_BEHIND_BYTES: u64 = 4 << 30;

/// An open image.
#[derive(Debug)]
pub(crate) struct RemoteImage {
    held: Arc<Held>,
    opened: Box<OpenedImage>,
    /// Where it has data, as far as that was asked.
    known: Mutex<Told>,
}

/// What was told of holes to somebody who is not in order.
#[derive(Debug, Default)]
pub(crate) struct KnownData(Told);

/// Why there is no image.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// The session is over, for this reason.
    Lost(String),
    /// It cannot be opened.
    Failed(io::Error),
}

impl RemoteImage {
    /// Opens what a path leads to there. Should the session end, `cancel` is pulled.
    pub(crate) fn open(
        source: &RemoteSource,
        path: &Path,
        cancel: &Cancel,
    ) -> Result<Self, NotOpened> {
        let remote = Arc::new(Remote::new(source, &Settings::default(), cancel));
        Self::open_at(&remote, path).map_err(|error| match remote.over() {
            Some(why) => NotOpened::Lost(why.to_owned()),
            None => NotOpened::Failed(error),
        })
    }

    fn open_at(remote: &Arc<Remote>, path: &Path) -> io::Result<Self> {
        let path = OperatorPath::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
        let opening = remote.start(Request::OpenImage { path })?;
        let handle = opening.handle;
        match opening.wait()? {
            Answer::OpenedImage(opened) => {
                let held = Arc::new(Held { remote: Arc::clone(remote), handle });
                Ok(Self { held, opened, known: Mutex::default() })
            }
            _ => Err(of_another_kind()),
        }
    }

    /// What is held open as a file of the tree. What it lies in over there is not told of that.
    pub(super) fn of(held: Arc<Held>, metadata: Metadata, bytes: u64) -> Self {
        let ground = match metadata.kind {
            Kind::BlockDevice => {
                Ground::Device { major: metadata.rdev.major, minor: metadata.rdev.minor }
            }
            _ => Ground::File { dev: metadata.dev, ino: metadata.ino },
        };
        let opened = OpenedImage {
            metadata,
            changed_at: metadata.mtime,
            bytes,
            is_rotational: false,
            mounted_at: None,
            kernel: None,
            ground,
            grounds: List::default(),
            shown: None,
        };
        Self { held, opened: Box::new(opened), known: Mutex::default() }
    }

    /// What it was when it was opened.
    pub(crate) fn opened(&self) -> &OpenedImage {
        &self.opened
    }

    /// Why nothing more can be asked, where it is so.
    pub(crate) fn lost(&self) -> Option<&str> {
        self.held.remote.over()
    }

    /// What it is by now.
    pub(crate) fn now(&self) -> io::Result<Metadata> {
        let room = Room::new(0).map_err(io::Error::other)?;
        let (file, wants) = (self.held.handle, Wants::METADATA);
        match self.held.remote.ask(Request::LookAtFile { file, wants, room })? {
            Answer::Seen(entry) => Ok(entry.seen.metadata),
            _ => Err(of_another_kind()),
        }
    }

    /// Where it may have data within a range. What lies beyond its end is a hole.
    pub(crate) fn extents(&self, range: &Range<u64>) -> io::Result<Extents> {
        let range = range.start..range.end.min(self.opened.bytes);
        if range.is_empty() {
            return Ok(Extents::default());
        }
        if self.opened.metadata.kind == Kind::BlockDevice {
            return Ok(Extents::whole(range));
        }
        let mut known = self.known.lock();
        while known.about.end < range.end {
            let more = self.ask_extents(known.about.end)?;
            known.about.end = more.about.end;
            known.data.extend(more.data);
        }
        if range.start < known.about.start {
            return Ok(Extents::whole(range));
        }
        let behind = range.start.saturating_sub(KNOWN_BEHIND_BYTES);
        if behind > known.about.start {
            known.about.start = behind;
            known.data.retain(|extent| extent.end > behind);
        }
        let within = known.data.partition_point(|extent| extent.end <= range.start);
        let within = known.data[within..].iter().take_while(|extent| extent.start < range.end);
        let cut = within.map(|extent| extent.start.max(range.start)..extent.end.min(range.end));
        Ok(Extents::of(cut.collect()))
    }

    /// All from the first data to the last within a range, by what was told the asker before and what is asked
    /// now. What workers know stays, who are in order.
    pub(crate) fn hull(
        &self,
        known: &mut KnownData,
        range: &Range<u64>,
    ) -> io::Result<Option<Range<u64>>> {
        let Told { about, data } = &mut known.0;
        if !about.contains(&range.start) {
            (*about, *data) = (range.start..range.start, Vec::new());
        }
        while about.end < range.end {
            let more = self.ask_extents(about.end)?;
            about.end = more.about.end;
            data.extend(more.data);
        }
        let first = data.partition_point(|extent| extent.end <= range.start);
        let end = data.partition_point(|extent| extent.start < range.end);
        Ok(data[first..end.max(first)]
            .first()
            .zip(data[..end].last())
            .map(|(first, last)| first.start.max(range.start)..last.end.min(range.end)))
    }

    fn ask_extents(&self, from: u64) -> io::Result<Told> {
        let told = extents::ask(&self.held, from..self.opened.bytes)?;
        let least = self.opened.bytes.min(from + TOLD_LEAST_BYTES);
        if told.about.end >= least {
            return Ok(told);
        }
        Ok(Told { about: from..least, data: std::iter::once(from..least).collect() })
    }

    /// Asks for the digests of the pieces of ranges.
    pub(crate) fn ask_digests(
        &self,
        ranges: &[Range<u64>],
        pieces: Pieces,
    ) -> io::Result<AskedDigests> {
        let request = Request::Digests { file: self.held.handle, spans: spans(ranges)?, pieces };
        let pending = self.held.remote.start(request)?;
        Ok(AskedDigests { pending, digest_bytes: pieces.digest_bytes() })
    }

    /// Asks for the chunks of a range, which is no longer than a section of them.
    pub(crate) fn ask_chunks(&self, range: &Range<u64>, cut: Cut) -> io::Result<AskedChunks> {
        let span = Span::new(range.clone()).map_err(io::Error::other)?;
        let request = Request::Chunks { file: self.held.handle, span, cut };
        Ok(AskedChunks(self.held.remote.start(request)?))
    }

    /// Asks for the blocks of ranges.
    pub(crate) fn ask_blocks(&self, ranges: &[Range<u64>]) -> io::Result<AskedBlocks> {
        let request = Request::ReadBlocks { file: self.held.handle, spans: spans(ranges)? };
        let pending = self.held.remote.start(request.clone())?;
        Ok(AskedBlocks { pending, request, ranges: ranges.to_vec() })
    }
}

fn spans(ranges: &[Range<u64>]) -> io::Result<Spans> {
    let spans = ranges.iter().map(|range| Span::new(range.clone()));
    let spans = spans.collect::<Result<Vec<_>, _>>().and_then(List::new);
    spans.map_err(io::Error::other)
}

/// Digests that are on their way.
#[derive(Debug)]
pub(crate) struct AskedDigests {
    pending: Pending,
    digest_bytes: usize,
}

impl AskedDigests {
    /// Waits for them: one for each piece, none for zeros.
    pub(crate) fn wait(self) -> io::Result<Vec<PieceDigest>> {
        let Answer::Digests(runs) = self.pending.wait()? else { return Err(of_another_kind()) };
        let mut digests = Vec::new();
        for run in runs {
            match run {
                DigestRun::Zeros(count) => {
                    let count = usize::try_from(count).map_err(io::Error::other)?;
                    digests.resize(digests.len() + count, None);
                }
                DigestRun::Digests(told) => {
                    let told = told.as_bytes().chunks(self.digest_bytes);
                    digests.extend(told.map(|told| {
                        let mut digest = UnitDigest::default();
                        digest[..told.len()].copy_from_slice(told);
                        Some(digest)
                    }));
                }
            }
        }
        Ok(digests)
    }
}

/// Chunks that are on their way.
#[derive(Debug)]
pub(crate) struct AskedChunks(Pending);

impl AskedChunks {
    /// Waits for them, which are so long together.
    pub(crate) fn wait(self, bounds: Bounds, bytes: u64) -> io::Result<ChunkSums> {
        let Answer::Chunks(told) = self.0.wait()? else { return Err(of_another_kind()) };
        ChunkSums::decode(bounds, bytes, told.as_bytes())
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

/// Blocks that are on their way.
#[derive(Debug)]
pub(crate) struct AskedBlocks {
    pending: Pending,
    request: Request,
    ranges: Vec<Range<u64>>,
}

impl AskedBlocks {
    /// Waits for them. What comes damaged is asked for once more.
    pub(crate) fn wait(self) -> io::Result<Blocks> {
        let Self { pending, request, ranges } = self;
        let remote = Arc::clone(&pending.remote);
        remote.undamaged(pending, request, |answer| match answer {
            Answer::Blocks(ReadBlocks { told, pieces }) => {
                let bytes = pieces.iter().map(|piece| &**piece);
                let is_sound = sums::of_blocks(told.filled.as_bytes(), bytes) == told.sum;
                let ranges = ranges.clone();
                Ok(is_sound.then(|| Blocks::new(ranges, |number| told.is_filled(number), &pieces)))
            }
            _ => Err(of_another_kind()),
        })
    }
}

/// Blocks that have come.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Where each lies, and where its bytes are, if it is not zeros.
    places: Vec<(Range<u64>, Option<usize>)>,
    content: Vec<u8>,
}

impl Blocks {
    fn new(ranges: Vec<Range<u64>>, is_filled: impl Fn(u64) -> bool, pieces: &[Content]) -> Self {
        let mut content = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            content.extend_from_slice(piece);
        }
        let mut end = 0;
        let blocks = ranges.into_iter().flat_map(|range| pieces::cut(&range, BLOCK_BYTES));
        let place = |(number, block): (u64, Range<u64>)| {
            let start = end;
            let has_content = is_filled(number);
            if has_content {
                end += usize::try_from(block.end - block.start).expect("a block is short");
            }
            (block, has_content.then_some(start))
        };
        let places = (0..).zip(blocks).map(place).collect();
        Self { places, content }
    }

    /// All of them, in order; zeros have no content.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Range<u64>, Option<&[u8]>)> {
        self.places.iter().map(|(block, start)| {
            let length = usize::try_from(block.end - block.start).expect("a block is short");
            (block, start.map(|start| &self.content[start..start + length]))
        })
    }
}
