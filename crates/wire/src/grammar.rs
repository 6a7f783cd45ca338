//! Which pieces may answer which request, and in which order.
//!
//! Both sides use it: the responder so that its own mistakes are found where they are made, and the
//! requester because it believes nothing. What passes here is complete, was asked for, and lies where
//! it was asked for.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::bounded::Name;
use crate::image::{DigestRun, DigestRuns, Spans};
use crate::request::Request;
use crate::response::{Piece, Reply};
use crate::seen::{Page, PageEnd};

/// Checks the pieces of one response. The text of an error completes "a response that".
#[derive(Clone, Debug)]
pub(crate) struct Grammar(Stage);

/// What may come next.
#[derive(Clone, Debug)]
enum Stage {
    Done,
    Opened,
    /// An entry, and then its attributes; of a file to be fetched its content as well.
    Seen {
        then: Then,
    },
    Attributes {
        then: Then,
    },
    Fetching {
        to: u64,
    },
    Renewing,
    /// So many files that are fetched together.
    Files {
        count: usize,
    },
    /// Their content, up to its end.
    FetchingSome {
        to: u64,
        end: u64,
    },
    Listed {
        after: Option<Name>,
        has_entries: bool,
    },
    ListedAll,
    Read(Coverage),
    Extents {
        from: u64,
        to: u64,
        end: u64,
    },
    Digest {
        bytes: usize,
    },
    OpenedImage,
    /// So many digests of this length.
    Digests {
        count: u64,
        bytes: usize,
    },
    Blocks(Spans),
    Chunks,
    Operations {
        is_begun: bool,
    },
    Mount,
    Size,
    OwnerName,
    /// Nothing.
    Over,
}

/// What follows an entry and its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    /// The content of a file, or nothing.
    Content,
    /// Operations that make it, or nothing.
    Operations,
}

const OTHER_KIND: &str = "is of another kind than the request";
const INCOMPLETE: &str = "ends before it is complete";

impl Grammar {
    pub(crate) fn of(request: &Request) -> Self {
        Self(match request {
            Request::OpenRoot { .. }
            | Request::OpenChild { .. }
            | Request::OpenParent { .. }
            | Request::Reopen { .. }
            | Request::OpenFile { .. } => Stage::Opened,
            Request::List { after, .. } => {
                Stage::Listed { after: after.clone(), has_entries: false }
            }
            Request::Look { .. } | Request::LookAtFile { .. } => {
                Stage::Seen { then: Then::Nothing }
            }
            Request::Fetch { .. } => Stage::Seen { then: Then::Content },
            Request::FetchSome { names, .. } => Stage::Files { count: names.as_slice().len() },
            Request::Renew { .. } => Stage::Seen { then: Then::Operations },
            Request::Read { span, .. } => Stage::Read(Coverage::of(span.range())),
            Request::FindExtents { span, .. } => {
                let Range { start, end } = span.range();
                Stage::Extents { from: start, to: start, end }
            }
            Request::Hash { algorithm, .. } => Stage::Digest { bytes: algorithm.digest_bytes() },
            Request::OpenImage { .. } => Stage::OpenedImage,
            Request::Digests { spans, pieces, .. } => Stage::Digests {
                // Of more than there may be none are told.
                count: pieces.grain.count_in(spans.as_slice()).unwrap_or(u64::MAX),
                bytes: pieces.digest_bytes(),
            },
            Request::ReadBlocks { spans, .. } => Stage::Blocks(spans.clone()),
            Request::Chunks { .. } => Stage::Chunks,
            Request::Delta { .. } => Stage::Operations { is_begun: false },
            Request::LookAtMount { .. } => Stage::Mount,
            Request::Measure { .. } => Stage::Size,
            Request::OwnerName { .. } => Stage::OwnerName,
            Request::CheckSearch { .. }
            | Request::Remove { .. }
            | Request::Close { .. }
            | Request::Sign { .. } => Stage::Done,
        })
    }

    /// Of a response that can end only by a fault.
    pub(crate) fn only_a_fault() -> Self {
        Self(Stage::Over)
    }

    /// Takes the next piece, of which `is_last` says whether it is the last.
    pub(crate) fn take(&mut self, piece: &Piece, is_last: bool) -> Result<(), &'static str> {
        if let Piece::Reply(Reply::Fault(_)) = piece {
            self.0 = Stage::Over;
            return is_last.then_some(()).ok_or("goes on after a fault");
        }
        let stage = std::mem::replace(&mut self.0, Stage::Over);
        self.0 = stage.next(piece)?;
        if is_last { self.end() } else { Ok(()) }
    }

    /// Whether the response may end here.
    fn end(&self) -> Result<(), &'static str> {
        match &self.0 {
            Stage::Over
            | Stage::Attributes { .. }
            | Stage::ListedAll
            | Stage::Listed { has_entries: true, .. } => Ok(()),
            Stage::FetchingSome { to, end } if to == end => Ok(()),
            _ => Err(INCOMPLETE),
        }
    }
}

impl Stage {
    fn next(self, piece: &Piece) -> Result<Self, &'static str> {
        match (self, piece) {
            (Self::Read(coverage), Piece::Reply(Reply::Sum(_))) => {
                coverage.is_complete().then_some(Self::Over).ok_or(INCOMPLETE)
            }
            (Self::Read(coverage), piece) => coverage.add(piece).map(Self::Read),
            (Self::Operations { .. }, Piece::Operations(_)) => {
                Ok(Self::Operations { is_begun: true })
            }
            (Self::Attributes { then: Then::Content }, Piece::Data { .. }) => {
                Self::Fetching { to: 0 }.next(piece)
            }
            (
                Self::Attributes { then: Then::Operations } | Self::Renewing,
                Piece::Operations(_),
            ) => Ok(Self::Renewing),
            (Self::Fetching { to }, Piece::Data { offset, content }) if *offset == to => {
                Ok(Self::Fetching { to: to + content.len() as u64 })
            }
            (Self::FetchingSome { to, end }, Piece::Data { offset, content }) if *offset == to => {
                let to = to + content.len() as u64;
                if to > end {
                    return Err("has more content than it told");
                }
                Ok(Self::FetchingSome { to, end })
            }
            (Self::Fetching { .. } | Self::FetchingSome { .. }, Piece::Data { .. }) => {
                Err("has gaps or repeats itself")
            }
            (stage, Piece::Reply(reply)) => stage.after(reply),
            _ => Err(OTHER_KIND),
        }
    }

    fn after(self, reply: &Reply) -> Result<Self, &'static str> {
        Ok(match (self, reply) {
            (Self::Done, Reply::Done)
            | (Self::Opened, Reply::Opened(_))
            | (Self::Mount, Reply::Mount(_))
            | (Self::Size, Reply::Size(_))
            | (Self::Chunks, Reply::Chunks(_))
            | (Self::OpenedImage, Reply::OpenedImage(_))
            | (Self::OwnerName, Reply::OwnerName(_))
            | (Self::Operations { is_begun: true }, Reply::Sum(_))
            | (
                Self::Attributes { then: Then::Content | Then::Operations }
                | Self::Fetching { .. }
                | Self::Renewing,
                Reply::After(_),
            ) => Self::Over,
            (Self::Digest { bytes }, Reply::Digest(digest)) if digest.as_bytes().len() == bytes => {
                Self::Over
            }
            (Self::Digest { .. }, Reply::Digest(_)) => {
                return Err("is a digest of another length than its algorithm has");
            }
            (Self::Digests { count, bytes }, Reply::Digests(runs)) => {
                if digests_in(runs, bytes) != Some(count) {
                    return Err("has other digests than were asked for");
                }
                Self::Over
            }
            (Self::Blocks(spans), Reply::Blocks(told)) => {
                let end = told.bytes_in(spans.as_slice());
                Self::FetchingSome { to: 0, end: end.ok_or("tells of blocks not asked for")? }
            }
            (Self::Files { count }, Reply::Files { files, .. }) => {
                if files.as_slice().len() != count {
                    return Err("tells of another number of files than were asked for");
                }
                let bytes = files.as_slice().iter().flatten().map(|file| file.bytes);
                let end = bytes.fold(0, u64::saturating_add);
                Self::FetchingSome { to: 0, end }
            }
            (Self::Seen { then }, Reply::Seen(_))
            | (Self::Attributes { then }, Reply::Attributes(_)) => Self::Attributes { then },
            // Where nothing is told, asking for the rest would never end.
            (Self::Extents { from, to, .. }, Reply::Sum(_)) if to > from => Self::Over,
            (Self::Listed { after, has_entries }, Reply::Page { page, end }) => {
                let after = ascending(after, page)?;
                match end {
                    PageEnd::More => {
                        let has_entries = has_entries || !page.entries().is_empty();
                        Self::Listed { after, has_entries }
                    }
                    PageEnd::Complete | PageEnd::Incomplete(_) => Self::ListedAll,
                }
            }
            (Self::Extents { from, mut to, end }, Reply::Extents { data, known_to }) => {
                for range in data.as_slice().iter().map(|span| span.range()) {
                    if range.start < to || range.end > end {
                        return Err("has extents out of order or out of range");
                    }
                    to = range.end;
                }
                if *known_to < to || *known_to > end {
                    return Err("has extents out of order or out of range");
                }
                Self::Extents { from, to: *known_to, end }
            }
            _ => return Err(OTHER_KIND),
        })
    }
}

/// The last name of a page whose names all come after `after`.
fn ascending(mut after: Option<Name>, page: &Page) -> Result<Option<Name>, &'static str> {
    let mut last = after.as_ref();
    for entry in page.entries() {
        if last.is_some_and(|last| *last >= entry.name) {
            return Err("has names out of order");
        }
        last = Some(&entry.name);
    }
    if let Some(entry) = page.entries().last() {
        after = Some(entry.name.clone());
    }
    Ok(after)
}

/// How many digests of a length are told; `None` if they are none of this length.
fn digests_in(runs: &DigestRuns, bytes: usize) -> Option<u64> {
    runs.as_slice().iter().try_fold(0_u64, |sum, run| {
        let count = match run {
            DigestRun::Zeros(0) => return None,
            DigestRun::Zeros(count) => *count,
            DigestRun::Digests(digests) => {
                let length = digests.as_bytes().len();
                length.is_multiple_of(bytes).then_some((length / bytes) as u64)?
            }
        };
        sum.checked_add(count)
    })
}

/// Which parts of what is to be read have come.
#[derive(Clone, Debug)]
struct Coverage {
    asked: Range<u64>,
    /// Starts and ends of what has come; what touches is one.
    parts: BTreeMap<u64, u64>,
    file_end: Option<u64>,
}

impl Coverage {
    fn of(asked: Range<u64>) -> Self {
        Self { asked, parts: BTreeMap::new(), file_end: None }
    }

    fn add(mut self, piece: &Piece) -> Result<Self, &'static str> {
        match piece {
            Piece::Reply(Reply::FileEnds(offset)) => {
                if self.file_end.is_some() || *offset >= self.asked.end {
                    return Err("says twice, or wrongly, that the file ends");
                }
                self.file_end = Some(*offset);
            }
            Piece::Data { offset, content } => {
                let end = offset.checked_add(content.len() as u64);
                let end = end.filter(|end| *end <= self.asked.end && *offset >= self.asked.start);
                self.insert(*offset, end.ok_or("has data that was not asked for")?)?;
            }
            _ => return Err(OTHER_KIND),
        }
        Ok(self)
    }

    fn insert(&mut self, mut start: u64, mut end: u64) -> Result<(), &'static str> {
        const TWICE: &str = "has the same data twice";
        if let Some((next, next_end)) = self.parts.range(start..).next() {
            let (next, next_end) = (*next, *next_end);
            if next < end {
                return Err(TWICE);
            }
            if next == end {
                self.parts.remove(&next);
                end = next_end;
            }
        }
        if let Some((before, before_end)) = self.parts.range(..start).next_back() {
            if *before_end > start {
                return Err(TWICE);
            }
            if *before_end == start {
                start = *before;
            }
        }
        self.parts.insert(start, end);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let end = self.file_end.unwrap_or(self.asked.end).max(self.asked.start);
        let mut parts = self.parts.iter().map(|(start, end)| *start..*end);
        match parts.next() {
            None => end == self.asked.start,
            Some(part) => part == (self.asked.start..end) && parts.next().is_none(),
        }
    }
}

#[cfg(test)]
mod tests;
