//! A whole response, as it is handed to whoever asked.

use std::ops::Range;

use model::Metadata;

use crate::bounded::{Chunks, Digest, OwnerName};
use crate::frame::Content;
use crate::image::{BlocksTold, DigestRun, OpenedImage};
use crate::io_fault::IoFault;
use crate::request::Request;
use crate::response::{After, ContentSum, FetchedFile, Mount, Piece, Reply};
use crate::seen::{Attribute, Entry, InlineAttributes, PageEnd, Seen};

/// What a request came to.
pub type Outcome = Result<Answer, IoFault>;

/// A response that is complete and keeps all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is open, and this is what was opened.
    Opened(Metadata),
    /// What an entry is.
    Seen(Detailed),
    /// A part of a listing.
    Listed {
        /// Entries in ascending order of their names.
        entries: Vec<Entry>,
        /// Whether there are more behind the last of them.
        end: PageEnd,
    },
    /// A file, or what is known of it if it is no file or too long.
    Fetched(Fetched),
    /// The same by operations on an old file.
    Renewed(Fetched),
    /// Some files.
    FetchedSome(FetchedSome),
    /// A part of a file.
    Read(ReadContent),
    /// Where a file has data.
    Extents {
        /// Data in ascending order; between it are holes.
        data: Vec<Range<u64>>,
        /// Up to where all is told.
        known_to: u64,
        /// What [`ContentSum`] is of here: the starts and ends of `data` in order, and `known_to`, eight
        /// bytes each, the lowest first.
        sum: ContentSum,
    },
    /// A digest, as long as its algorithm makes it.
    Digest(Digest),
    /// How a part of a file is made.
    Operations {
        /// Operations of a delta, in order.
        pieces: Vec<Content>,
        /// Of the bytes that they make.
        sum: ContentSum,
    },
    /// A mount.
    Mount(Mount),
    /// A size.
    Size(u64),
    /// The name of an owner, if it has one.
    OwnerName(Option<OwnerName>),
    /// An image is open, and this is what was opened.
    OpenedImage(Box<OpenedImage>),
    /// Digests, as many as were asked for.
    Digests(Vec<DigestRun>),
    /// Blocks of an image.
    Blocks(ReadBlocks),
    /// Chunks of an image, of which nothing but their room is checked.
    Chunks(Chunks),
}

/// An entry with all its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detailed {
    /// What is known of it.
    pub seen: Box<Seen>,
    /// Attributes besides those in it.
    pub more_attributes: Vec<Attribute>,
}

impl Detailed {
    /// All attributes that could be read.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let inline = self.seen.attributes.iter().flatten().flat_map(InlineAttributes::as_slice);
        inline.chain(&self.more_attributes)
    }
}

/// A file that was asked for as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// What it was before it was read.
    pub before: Detailed,
    /// Its content from the beginning on, without gaps; or operations that make it.
    pub pieces: Vec<Content>,
    /// What it was after it was read; `None` if it was not, being no file or longer than there was
    /// room for.
    pub after: Option<After>,
}

/// Files that were asked for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedSome {
    /// In the order in which they were asked for; `None` for what did not come so.
    pub files: Vec<Option<FetchedFile>>,
    /// The content of all, one behind the other, without gaps.
    pub pieces: Vec<Content>,
    /// Of all pieces.
    pub sum: ContentSum,
}

/// Blocks that were asked for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBlocks {
    /// Which of them are not zeros.
    pub told: BlocksTold,
    /// These, one behind the other, without gaps.
    pub pieces: Vec<Content>,
}

/// A part of a file: all that was asked for, up to the end of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadContent {
    /// Offsets and content, ascending and without gaps.
    pub pieces: Vec<(u64, Content)>,
    /// Where the file ends, if that is before the end of what was asked for.
    pub file_end: Option<u64>,
    /// Of all pieces together.
    pub sum: ContentSum,
}

/// What has come of a response; each piece has passed the grammar.
#[derive(Debug)]
pub(crate) struct Partial {
    answer: Answer,
    takes: Takes,
    fault: Option<IoFault>,
}

/// What becomes of an entry that was seen.
#[derive(Clone, Copy, Debug)]
enum Takes {
    Entry,
    Content,
    Operations,
}

impl Partial {
    pub(crate) fn of(request: &Request) -> Self {
        let answer = match request {
            Request::List { .. } => Answer::Listed { entries: Vec::new(), end: PageEnd::More },
            Request::Read { .. } => {
                let sum = ContentSum::default();
                Answer::Read(ReadContent { pieces: Vec::new(), file_end: None, sum })
            }
            Request::FindExtents { span, .. } => {
                let known_to = span.range().start;
                Answer::Extents { data: Vec::new(), known_to, sum: ContentSum::default() }
            }
            Request::Delta { .. } => {
                Answer::Operations { pieces: Vec::new(), sum: ContentSum::default() }
            }
            // The others take the form of their first piece.
            _ => Answer::Done,
        };
        let takes = match request {
            Request::Fetch { .. } => Takes::Content,
            Request::Renew { .. } => Takes::Operations,
            _ => Takes::Entry,
        };
        Self { answer, takes, fault: None }
    }

    pub(crate) fn add(&mut self, piece: Piece) {
        match piece {
            Piece::Reply(reply) => self.add_reply(reply),
            Piece::Data { offset, content } => match &mut self.answer {
                Answer::Read(read) => read.pieces.push((offset, content)),
                Answer::Fetched(fetched) => fetched.pieces.push(content),
                Answer::FetchedSome(fetched) => fetched.pieces.push(content),
                Answer::Blocks(blocks) => blocks.pieces.push(content),
                _ => {}
            },
            Piece::Operations(content) => match &mut self.answer {
                Answer::Operations { pieces, .. } | Answer::Renewed(Fetched { pieces, .. }) => {
                    pieces.push(content);
                }
                _ => {}
            },
        }
    }

    fn add_reply(&mut self, reply: Reply) {
        match (&mut self.answer, reply) {
            (_, Reply::Fault(fault)) => self.fault = Some(fault),
            (answer, Reply::Opened(metadata)) => *answer = Answer::Opened(metadata),
            (answer, Reply::Digest(digest)) => *answer = Answer::Digest(digest),
            (answer, Reply::Mount(mount)) => *answer = Answer::Mount(mount),
            (answer, Reply::Size(size)) => *answer = Answer::Size(size),
            (answer, Reply::OwnerName(name)) => *answer = Answer::OwnerName(name),
            (answer, Reply::OpenedImage(image)) => *answer = Answer::OpenedImage(image),
            (answer, Reply::Digests(runs)) => *answer = Answer::Digests(runs.into_vec()),
            (answer, Reply::Chunks(chunks)) => *answer = Answer::Chunks(chunks),
            (answer, Reply::Blocks(told)) => {
                *answer = Answer::Blocks(ReadBlocks { told, pieces: Vec::new() });
            }
            (answer, Reply::Files { files, sum }) => {
                let files = files.into_vec();
                *answer = Answer::FetchedSome(FetchedSome { files, pieces: Vec::new(), sum });
            }
            (answer, Reply::Seen(seen)) => {
                let entry = Detailed { seen, more_attributes: Vec::new() };
                let fetched = |before| Fetched { before, pieces: Vec::new(), after: None };
                *answer = match self.takes {
                    Takes::Entry => Answer::Seen(entry),
                    Takes::Content => Answer::Fetched(fetched(entry)),
                    Takes::Operations => Answer::Renewed(fetched(entry)),
                };
            }
            (
                Answer::Seen(entry)
                | Answer::Fetched(Fetched { before: entry, .. })
                | Answer::Renewed(Fetched { before: entry, .. }),
                Reply::Attributes(attributes),
            ) => entry.more_attributes.extend(attributes.into_vec()),
            (Answer::Fetched(fetched) | Answer::Renewed(fetched), Reply::After(after)) => {
                fetched.after = Some(after);
            }
            (
                Answer::Read(ReadContent { sum, .. })
                | Answer::Operations { sum, .. }
                | Answer::Extents { sum, .. },
                Reply::Sum(told),
            ) => *sum = told,
            (Answer::Read(read), Reply::FileEnds(offset)) => read.file_end = Some(offset),
            (Answer::Listed { entries, end }, Reply::Page { page, end: page_end }) => {
                entries.extend(page.into_entries());
                *end = page_end;
            }
            (
                Answer::Extents { data, known_to, .. },
                Reply::Extents { data: more, known_to: to },
            ) => {
                data.extend(more.as_slice().iter().map(|span| span.range()));
                *known_to = to;
            }
            _ => {}
        }
    }

    /// The whole of a response whose last piece has passed the grammar.
    pub(crate) fn finish(mut self) -> Outcome {
        if let Answer::Read(read) = &mut self.answer {
            read.pieces.sort_unstable_by_key(|(offset, _)| *offset);
        }
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.answer),
        }
    }
}
