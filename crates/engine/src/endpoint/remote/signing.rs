//! What the source is told of an old file, and what it tells of the new one then.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use delta::{Seed, Signature};
use parking_lot::Mutex;
use wire::{
    Algorithm, Answer, Basis, Content, ContentOf, DeltaSeed, Handle, List, Request, Room, Span,
    Update,
};

use super::file::RemoteFile;
use super::{Held, Pending, Remote, again, of_another_kind};

/// The secret that all signatures of one old file depend on.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// A secret that nobody has seen yet.
    pub(crate) fn draw() -> io::Result<Self> {
        fs::process::random_bytes().map(Self)
    }

    /// As signatures are made with it.
    pub(crate) fn seed(self) -> Seed {
        Seed::from(self.0)
    }
}

/// The signature of a piece of an old file, on its way to the source or kept there until this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Signed {
    asked: Mutex<Option<Pending>>,
    kept: OnceLock<io::Result<Held>>,
}

impl Signed {
    /// Where it is kept. Waits until it is.
    fn handle(&self) -> io::Result<Handle> {
        let kept = self.kept.get_or_init(|| {
            let asked = self.asked.lock().take().ok_or_else(of_another_kind)?;
            kept(asked)
        });
        kept.as_ref().map(|held| held.handle).map_err(again)
    }
}

fn kept(asked: Pending) -> io::Result<Held> {
    let (remote, handle) = (std::sync::Arc::clone(&asked.remote), asked.handle);
    match asked.wait()? {
        Answer::Done => Ok(Held { remote, handle }),
        _ => Err(of_another_kind()),
    }
}

/// What was asked of the source.
#[derive(Debug)]
pub(crate) struct Asked(Pending);

impl Asked {
    /// Operations as bytes, one piece after another.
    pub(crate) fn operations(self) -> io::Result<Vec<Content>> {
        match self.0.wait()? {
            Answer::Operations(pieces) => Ok(pieces),
            _ => Err(of_another_kind()),
        }
    }

    /// A checksum.
    pub(crate) fn checksum(self) -> io::Result<Vec<u8>> {
        match self.0.wait()? {
            Answer::Digest(digest) => Ok(digest.as_bytes().to_vec()),
            _ => Err(of_another_kind()),
        }
    }
}

/// How urgently something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It is waited for.
    Now,
    /// It will be wanted; not where much is on its way already.
    Ahead,
}

/// Operations that are asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What they make of the new file.
    pub(crate) range: &'a Range<u64>,
    /// Signatures of pieces of the old one, in order.
    pub(crate) signed: &'a [std::sync::Arc<Signed>],
    pub(crate) secret: Secret,
    pub(crate) update: delta::Update,
    /// How much they may take on their way.
    pub(crate) room_bytes: u32,
}

impl RemoteFile {
    /// Gives a signature to the source.
    pub(crate) fn sign(&self, signature: &Signature) -> io::Result<Signed> {
        let mut bytes = Vec::new();
        signature.encode(&mut bytes);
        let byte_count = bytes.len() as u64;
        let signature = wire::Signature::new(bytes).map_err(io::Error::other)?;
        let request = Request::Sign { signature };
        let signed = Signed { asked: Mutex::default(), kept: OnceLock::new() };
        match self.remote().start_ahead(request.clone(), byte_count) {
            Some(pending) => *signed.asked.lock() = Some(pending),
            // What is on its way must not take all of the window.
            None => drop(signed.kept.set(Ok(kept(self.remote().start(request)?)?))),
        }
        Ok(signed)
    }

    /// Asks how a range comes of an old file. `None` only of what is asked ahead.
    pub(crate) fn ask_for_operations(
        &self,
        wanted: &Wanted<'_>,
        when: When,
    ) -> io::Result<Option<Asked>> {
        let span = Span::new(wanted.range.clone()).map_err(io::Error::other)?;
        let handles = wanted.signed.iter().map(|signed| signed.handle());
        let handles = handles.collect::<io::Result<Vec<_>>>()?;
        let basis = Basis {
            signatures: List::new(handles).map_err(io::Error::other)?,
            seed: DeltaSeed(wanted.secret.0),
            update: match wanted.update {
                delta::Update::Apart => Update::Apart,
                delta::Update::InPlace => Update::InPlace,
            },
        };
        let room = Room::new(wanted.room_bytes).map_err(io::Error::other)?;
        let request = Request::Delta { file: self.held_handle()?, span, basis, room };
        self.ask_when(request, wanted.room_bytes.into(), when)
    }

    /// Asks for a strong checksum of a range. `None` only of what is asked ahead.
    pub(crate) fn ask_for_sum(&self, range: &Range<u64>, when: When) -> io::Result<Option<Asked>> {
        let span = Span::new(range.clone()).map_err(io::Error::other)?;
        let of = ContentOf::Open(self.held_handle()?);
        let request = Request::Hash { of, algorithm: Algorithm::Blake3, seed: 0, span };
        self.ask_when(request, 0, when)
    }

    fn ask_when(&self, request: Request, most_bytes: u64, when: When) -> io::Result<Option<Asked>> {
        let pending = match when {
            When::Now => Some(self.remote().start(request)?),
            When::Ahead => Remote::start_ahead(self.remote(), request, most_bytes),
        };
        Ok(pending.map(Asked))
    }
}
