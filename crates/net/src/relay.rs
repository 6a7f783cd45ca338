//! Requests of one session, asked in another.
//!
//! Where both sides of a job lie on other hosts, the one that has the destination asks the controller,
//! and the controller asks the one that has the source. Each of the two sessions has handles of its own,
//! and each response is checked by the rules of the session that it comes from before it goes on.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wire::{
    Answer, Ask, AskError, AttributesPiece, Content, ContentOf, ContentSum, Delivery, Detailed,
    End, FaultKind, Fetched, FetchedSome, FileAt, Handle, IoFault, List, Named, PageBuilder,
    PageEnd, Piece, Place, ReadBlocks, ReadContent, Reply, Request, Respond, RespondError, Serve,
    Span, Ticket, limits,
};

/// Serves a session by asking in another.
pub struct Relay {
    ask: Arc<dyn Ask>,
    open: Mutex<HashMap<Handle, Open>>,
}

/// What a handle stands for in the other session, and which attempt opened it.
struct Open {
    attempt: u16,
    handle: Handle,
}

impl Relay {
    /// Asks there.
    pub fn new(ask: Arc<dyn Ask>) -> Self {
        Self { ask, open: Mutex::default() }
    }

    fn answer(&self, ticket: Ticket, request: Request) -> Result<Vec<Piece>, AskError> {
        let request = self.translated(request)?;
        let opens = request.opens().is_some();
        let id = self.ask.start(request)?;
        let answer = self.ask.wait(id)?;
        if opens {
            self.keep(ticket, Handle(id));
        }
        pieces(answer).map_err(|why| IoFault::new(FaultKind::InvalidData, &why).into())
    }

    /// Keeps what was opened, unless a later attempt has opened it before.
    fn keep(&self, Ticket { id, attempt }: Ticket, handle: Handle) {
        let mut open = self.open.lock();
        let before = match open.get(&Handle(id)) {
            Some(other) if other.attempt > attempt => Some(handle),
            _ => open.insert(Handle(id), Open { attempt, handle }).map(|open| open.handle),
        };
        drop(open);
        if let Some(handle) = before {
            self.ask.close(handle);
        }
    }

    fn handle(&self, handle: Handle) -> Result<Handle, IoFault> {
        let open = self.open.lock();
        let there = open.get(&handle).map(|open| open.handle);
        there.ok_or_else(|| IoFault::new(FaultKind::NoHandle, "it is not open"))
    }

    fn named(&self, Named { dir, name }: Named) -> Result<Named, IoFault> {
        Ok(Named { dir: self.handle(dir)?, name })
    }

    fn file_at(&self, FileAt { at, follow, atime }: FileAt) -> Result<FileAt, IoFault> {
        Ok(FileAt { at: self.named(at)?, follow, atime })
    }

    fn place(&self, place: Place) -> Result<Place, IoFault> {
        Ok(match place {
            Place::Itself(dir) => Place::Itself(self.handle(dir)?),
            Place::Named(named) => Place::Named(self.named(named)?),
        })
    }

    /// The request with the handles of the other session.
    fn translated(&self, request: Request) -> Result<Request, IoFault> {
        use Request as R;
        let handle = |handle| self.handle(handle);
        Ok(match request {
            // Closing is the responder's business, by `drop_handle`.
            R::OpenRoot { .. }
            | R::OpenImage { .. }
            | R::OwnerName { .. }
            | R::Sign { .. }
            | R::Close { .. } => request,
            R::OpenChild { at, access, follow, atime } => {
                R::OpenChild { at: self.named(at)?, access, follow, atime }
            }
            R::OpenParent { dir } => R::OpenParent { dir: handle(dir)? },
            R::Reopen { dir } => R::Reopen { dir: handle(dir)? },
            R::List { dir, wants, after, room } => {
                R::List { dir: handle(dir)?, wants, after, room }
            }
            R::Look { at, follow, wants, room } => {
                R::Look { at: self.place(at)?, follow, wants, room }
            }
            R::CheckSearch { dir } => R::CheckSearch { dir: handle(dir)? },
            R::LookAtMount { at } => R::LookAtMount { at: self.place(at)? },
            R::OpenFile { file } => R::OpenFile { file: self.file_at(file)? },
            R::Fetch { file, wants, room } => R::Fetch { file: self.file_at(file)?, wants, room },
            R::FetchSome { dir, names, atime, wants, room } => {
                R::FetchSome { dir: handle(dir)?, names, atime, wants, room }
            }
            R::Renew { file, wants, old, room } => {
                R::Renew { file: self.file_at(file)?, wants, old, room }
            }
            R::Read { file, span } => R::Read { file: handle(file)?, span },
            R::FindExtents { file, span, room } => {
                R::FindExtents { file: handle(file)?, span, room }
            }
            R::Hash { of, algorithm, seed, span } => {
                let of = match of {
                    ContentOf::Open(file) => ContentOf::Open(handle(file)?),
                    ContentOf::Named(file) => ContentOf::Named(self.file_at(file)?),
                };
                R::Hash { of, algorithm, seed, span }
            }
            R::Delta { file, span, mut basis, room } => {
                let signatures = basis.signatures.as_slice().iter().map(|&it| handle(it));
                let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
                basis.signatures = List::new(signatures)
                    .map_err(|why| IoFault::new(FaultKind::InvalidData, &why.to_string()))?;
                R::Delta { file: handle(file)?, span, basis, room }
            }
            R::LookAtFile { file, wants, room } => {
                R::LookAtFile { file: handle(file)?, wants, room }
            }
            R::Measure { file } => R::Measure { file: handle(file)? },
            R::Digests { file, spans, pieces } => R::Digests { file: handle(file)?, spans, pieces },
            R::ReadBlocks { file, spans } => R::ReadBlocks { file: handle(file)?, spans },
            R::Chunks { file, span, cut } => R::Chunks { file: handle(file)?, span, cut },
            R::Remove { at, expected } => R::Remove { at: self.named(at)?, expected },
        })
    }
}

impl Serve for Relay {
    fn run(&self, ticket: Ticket, request: Request, respond: &mut dyn Respond) {
        let pieces = match self.answer(ticket, request) {
            Ok(pieces) => pieces,
            Err(AskError::Fault(fault)) => vec![Reply::Fault(fault).into()],
            Err(AskError::Start(error)) => {
                vec![Reply::Fault(IoFault::new(FaultKind::Other, &error.to_string())).into()]
            }
            // Whoever holds both sessions ends this one, too, and says why.
            Err(AskError::Over(_)) => return,
        };
        let count = pieces.len();
        for (number, piece) in (1..).zip(pieces) {
            let end = if number == count { End::Last } else { End::More };
            match respond.respond(piece, end) {
                Ok(Delivery::Queued) => {}
                Err(RespondError::OverCredit { needed_bytes }) => {
                    let kind = FaultKind::NoRoom { needed_bytes };
                    let fault = IoFault::new(kind, "it takes more room on the second way");
                    // Nothing is left that could be said.
                    respond.respond(Reply::Fault(fault).into(), End::Last).ok();
                    return;
                }
                Ok(Delivery::Stale) | Err(RespondError::Grammar(_)) => return,
            }
        }
    }

    fn cancel(&self, _: Ticket) {
        // The answer comes all the same, and is passed over by who does not wait for it.
    }

    fn drop_handle(&self, handle: Handle) {
        let open = self.open.lock().remove(&handle);
        if let Some(open) = open {
            self.ask.close(open.handle);
        }
    }
}

/// The pieces in which an answer travels on; at least one.
fn pieces(answer: Answer) -> Result<Vec<Piece>, String> {
    Ok(match answer {
        Answer::Done => vec![Reply::Done.into()],
        Answer::Opened(metadata) => vec![Reply::Opened(metadata).into()],
        Answer::Seen(detailed) => seen(detailed)?,
        Answer::Listed { entries, end } => pages(entries, end),
        Answer::Fetched(fetched) => fetch(fetched)?,
        Answer::FetchedSome(FetchedSome { files, pieces, sum }) => {
            let files = List::new(files).map_err(|why| why.to_string())?;
            [Reply::Files { files, sum }.into()].into_iter().chain(data(pieces)).collect()
        }
        Answer::Renewed(Fetched { before, pieces, after }) => {
            let mut all = seen(before)?;
            all.extend(pieces.into_iter().map(Piece::Operations));
            all.extend(after.map(|after| Reply::After(after).into()));
            all
        }
        Answer::Read(ReadContent { pieces, file_end, sum }) => {
            let data = pieces.into_iter().map(|(offset, content)| Piece::Data { offset, content });
            let end = file_end.map(|offset| Reply::FileEnds(offset).into());
            data.chain(end).chain([Reply::Sum(sum).into()]).collect()
        }
        Answer::Extents { data, known_to, sum } => extents(data, known_to, sum)?,
        Answer::Digest(digest) => vec![Reply::Digest(digest).into()],
        Answer::Operations { pieces, sum } => {
            let operations = pieces.into_iter().map(Piece::Operations);
            operations.chain([Reply::Sum(sum).into()]).collect()
        }
        Answer::Mount(mount) => vec![Reply::Mount(mount).into()],
        Answer::Size(size) => vec![Reply::Size(size).into()],
        Answer::OwnerName(name) => vec![Reply::OwnerName(name).into()],
        Answer::OpenedImage(image) => vec![Reply::OpenedImage(image).into()],
        Answer::Digests(runs) => {
            vec![Reply::Digests(List::new(runs).map_err(|why| why.to_string())?).into()]
        }
        Answer::Chunks(chunks) => vec![Reply::Chunks(chunks).into()],
        Answer::Blocks(ReadBlocks { told, pieces }) => {
            [Reply::Blocks(told).into()].into_iter().chain(data(pieces)).collect()
        }
    })
}

fn seen(Detailed { seen, more_attributes }: Detailed) -> Result<Vec<Piece>, String> {
    let attributes = AttributesPiece::split(more_attributes).map_err(|why| why.to_string())?;
    let attributes = attributes.into_iter().map(|piece| Reply::Attributes(piece).into());
    Ok([Reply::Seen(seen).into()].into_iter().chain(attributes).collect())
}

fn fetch(Fetched { before, pieces, after }: Fetched) -> Result<Vec<Piece>, String> {
    let mut all = seen(before)?;
    all.extend(data(pieces));
    all.extend(after.map(|after| Reply::After(after).into()));
    Ok(all)
}

/// Content from the beginning on.
fn data(pieces: Vec<Content>) -> impl Iterator<Item = Piece> {
    pieces.into_iter().scan(0, |end, content| {
        let offset = *end;
        *end += content.len() as u64;
        Some(Piece::Data { offset, content })
    })
}

fn pages(entries: Vec<wire::Entry>, end: PageEnd) -> Vec<Piece> {
    let (mut builder, mut pieces) = (PageBuilder::default(), Vec::new());
    for entry in entries {
        let mut entry = Some(entry);
        while let Some(Err(back)) = entry.take().map(|entry| builder.push(entry, usize::MAX)) {
            pieces.push(Reply::Page { page: builder.take(), end: PageEnd::More }.into());
            entry = Some(back);
        }
    }
    pieces.push(Reply::Page { page: builder.take(), end }.into());
    pieces
}

fn extents(
    data: Vec<std::ops::Range<u64>>,
    known_to: u64,
    sum: ContentSum,
) -> Result<Vec<Piece>, String> {
    let spans: Result<Vec<Span>, _> = data.into_iter().map(Span::new).collect();
    let spans = spans.map_err(|why| why.to_string())?;
    let mut chunks: Vec<Vec<Span>> = spans.chunks(limits::EXTENTS).map(<[_]>::to_vec).collect();
    let last = chunks.pop().unwrap_or_default();
    let piece = |chunk: Vec<Span>, known_to| -> Result<Piece, String> {
        let data = List::new(chunk).map_err(|why| why.to_string())?;
        Ok(Reply::Extents { data, known_to }.into())
    };
    let mut pieces = Vec::new();
    for chunk in chunks {
        let end = chunk.last().map_or(0, |span| span.range().end);
        pieces.push(piece(chunk, end)?);
    }
    pieces.push(piece(last, known_to)?);
    pieces.push(Reply::Sum(sum).into());
    Ok(pieces)
}

#[cfg(test)]
mod tests;
