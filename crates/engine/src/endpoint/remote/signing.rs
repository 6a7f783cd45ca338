//! What the source is told of an old file, and what it tells of the new one then.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use delta::{Seed, Signature};
use fs::AccessTime;
use parking_lot::Mutex;
use wire::{Answer, Basis, Content, DeltaSeed, Follow, Handle, List, Request, Room, Span, Update};

use super::dir::RemoteDir;
use super::file::RemoteFile;
use super::{Held, Pending, Remote, again, name_of, of_another_kind};

/// The secret that all signatures of one old file depend on.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

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

/// An old file that one signature is enough for, which is sent along with the question for the new one.
#[derive(Debug)]
pub(crate) struct SignedWhole {
    signature: wire::Signature,
    secret: Secret,
}

impl SignedWhole {
    /// By a signature of all of it.
    pub(crate) fn new(signature: &Signature, secret: Secret) -> io::Result<Self> {
        Ok(Self { signature: encoded(signature)?, secret })
    }

    pub(super) fn to_wire(&self) -> wire::OldFile {
        wire::OldFile { signature: self.signature.clone(), seed: DeltaSeed(self.secret.0) }
    }
}

fn encoded(signature: &Signature) -> io::Result<wire::Signature> {
    let mut bytes = Vec::new();
    signature.encode(&mut bytes);
    wire::Signature::new(bytes).map_err(io::Error::other)
}

/// How bytes of the new file come of an old one.
#[derive(Debug)]
pub(crate) struct Operations {
    /// The form of the wire, one piece after another.
    pub(crate) pieces: Vec<Content>,
    /// The BLAKE3 of the bytes that they make.
    pub(crate) sum: [u8; 32],
}

/// What was asked of the source.
#[derive(Debug)]
pub(crate) struct Asked(Pending);

impl Asked {
    /// Waits for it.
    pub(crate) fn operations(self) -> io::Result<Operations> {
        match self.0.wait()? {
            Answer::Operations { pieces, sum } => Ok(Operations { pieces, sum: sum.0 }),
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

impl RemoteDir {
    /// A file in it of so many bytes that is renewed of an old one.
    pub(crate) fn open_renewal(
        &self,
        name: &[u8],
        (follow, atime): (Follow, AccessTime),
        bytes: u64,
        old: &SignedWhole,
    ) -> io::Result<RemoteFile> {
        let at = self.file_at(&name_of(name)?, follow, atime);
        let file = RemoteFile::begin_renewal(self, at, bytes, old)?;
        file.wait()?;
        Ok(file)
    }
}

impl RemoteFile {
    /// Gives a signature to the source.
    pub(crate) fn sign(&self, signature: &Signature) -> io::Result<Signed> {
        let signature = encoded(signature)?;
        let byte_count = signature.as_bytes().len() as u64;
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
        let pending = match when {
            When::Now => Some(self.remote().start(request)?),
            When::Ahead => Remote::start_ahead(self.remote(), request, wanted.room_bytes.into()),
        };
        Ok(pending.map(Asked))
    }
}
