//! A file made of an old one, and of what the source has and that does not.
//!
//! The old file is cut into pieces and the new one into ranges ([`delta::Plan`]). The source is given
//! signatures of pieces and asked how a range comes of them; what it answers is applied here. With each
//! answer comes the BLAKE3 of the bytes that it makes, and tells whether they came out right: an old file
//! that was written to meanwhile, or sums that deceive, cost the time to bring the range over as it is,
//! and nothing else.
//! Test: `an_old_file_that_changes_meanwhile_does_no_harm`.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use delta::{
    Decoder, Operation, Output, Part, Patch, PatchError, Plan, Shape, Signature, SignatureError,
    Update,
};
use fs::copy::{CopyError, write_finding_zeros};
use fs::{Copied, File, Sparse};
use model::settings::Checksum;
use model::{Topic, Verb};
use parking_lot::Mutex;

use crate::endpoint::{Asked, Operations, RemoteFile, Secret, Signed, SourceFile, Wanted, When};
use crate::entries::Entry;
use crate::run::Run;
use crate::task::Worker;
use crate::transfer::compare::verify;
use crate::transfer::whole::{FileJob, Moved, Problem, problem, sparse};

/// What operations for a range may take at first, within bounds: an eighth of it is more than a range
/// takes that has changed little.
const FIRST_ROOM_PART: u64 = 8;
const FIRST_ROOM_LEAST_BYTES: u64 = 64 << 10;
const FIRST_ROOM_MOST_BYTES: u64 = 1 << 20;

/// What they may take where much has changed.
const MOST_ROOM_BYTES: u32 = 4 << 20;

/// What is written at once.
const WRITE_BYTES: usize = 128 << 10;

/// Pieces whose signatures a file that is made range by range holds at the source: a window, and what
/// the next one has beside it.
pub(crate) const SIGNATURES_IN_TURN: u64 = 33;

/// The files that take part.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) job: &'a FileJob,
    pub(crate) source: &'a SourceFile,
    pub(crate) old: &'a File,
    /// The new file; in place it is the old one.
    pub(crate) target: &'a File,
}

impl Sides<'_> {
    fn entry(&self) -> &Entry {
        &self.job.entry
    }
}

/// A file that is being made of an old one.
pub(crate) struct Patching {
    plan: Plan,
    update: Update,
    secret: Secret,
    holes: Sparse,
    /// What the source keeps, by the number of the piece.
    signed: Mutex<BTreeMap<u64, Arc<Signed>>>,
    /// The old file is of no use: what is left is brought over as it is.
    is_given_up: AtomicBool,
    read_bytes: AtomicU64,
    matched_bytes: AtomicU64,
    written_bytes: AtomicU64,
    /// What was shown of it as done.
    shown_bytes: AtomicU64,
}

/// A range that was asked for.
pub(crate) struct Begun {
    part: Part,
    /// `None` where the old file is of no use.
    signed: Option<Vec<Arc<Signed>>>,
    operations: Option<Answer>,
    shown_bytes: u64,
}

impl Begun {
    /// A range of which everything has come.
    pub(super) fn come(part: Part, operations: Operations) -> Self {
        Self { part, signed: None, operations: Some(Answer::Came(operations)), shown_bytes: 0 }
    }
}

/// Operations that were asked for.
enum Answer {
    Asked(Asked),
    Came(Operations),
}

impl Answer {
    fn wait(self) -> io::Result<Operations> {
        match self {
            Self::Asked(asked) => asked.operations(),
            Self::Came(operations) => Ok(operations),
        }
    }
}

/// Why a range was not made.
enum Trouble {
    /// It cannot be made of the old file.
    OldFile,
    /// It did not come out as it should.
    Wrong,
    /// It cannot be made at all.
    Problem(Problem),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Patching {
    /// A file that is made of an old one of so many bytes.
    pub(crate) fn new(
        run: &Run,
        entry: &Entry,
        old_bytes: u64,
        update: Update,
    ) -> Result<Self, Problem> {
        let secret = Secret::draw().map_err(|error| entry.target_fault(Verb::Write, &error))?;
        let new_bytes = entry.source.size;
        let shape = match run.settings.write.block_bytes {
            Some(bytes) => Shape::with_blocks_of(bytes, new_bytes),
            None => Shape::for_lengths(old_bytes, new_bytes),
        };
        Ok(Self {
            plan: Plan::new(shape, old_bytes, new_bytes, update),
            update,
            secret,
            holes: sparse(run, &entry.source),
            signed: Mutex::default(),
            is_given_up: AtomicBool::new(false),
            read_bytes: AtomicU64::new(0),
            matched_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            shown_bytes: AtomicU64::new(0),
        })
    }

    /// How both files are cut.
    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// What its signatures depend on.
    pub(super) fn secret(&self) -> Secret {
        self.secret
    }

    /// What came of it.
    pub(crate) fn moved(&self) -> Moved {
        let load = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        let (read_bytes, written_bytes) = (load(&self.read_bytes), load(&self.written_bytes));
        let copied = Copied { read_bytes, written_bytes, short: false };
        Moved { copied, matched_bytes: load(&self.matched_bytes) }
    }

    /// What was shown of it as done.
    pub(crate) fn shown_bytes(&self) -> u64 {
        self.shown_bytes.load(Ordering::Relaxed)
    }

    /// Gives the signature of a piece to the source, if it does not have it. An old file that cannot be
    /// read is of no use.
    pub(crate) fn sign(&self, run: &Run, sides: &Sides<'_>, piece: u64) {
        if self.is_given_up() || self.signed.lock().contains_key(&piece) {
            return;
        }
        match self.signature(run, sides, piece) {
            Some(signed) => drop(self.signed.lock().insert(piece, Arc::new(signed))),
            None => self.give_up(),
        }
    }

    fn signature(&self, run: &Run, sides: &Sides<'_>, piece: u64) -> Option<Signed> {
        let signature = self.signature_of(run, sides.old, piece).ok()?;
        sides.source.to_patch()?.sign(&signature).ok()
    }

    /// The signature of a piece.
    pub(super) fn signature_of(
        &self,
        run: &Run,
        old: &File,
        piece: u64,
    ) -> Result<Signature, SignatureError> {
        let read = |offset, buffer: &mut [u8]| {
            run.ending.go_on()?;
            read_exactly(old, offset, buffer)
        };
        Signature::new(&self.secret.seed(), self.plan.shape(), self.plan.piece(piece), read)
    }

    /// Signatures of the pieces before this one are not needed any more.
    pub(crate) fn forget_before(&self, piece: u64) {
        let mut signed = self.signed.lock();
        let kept = signed.split_off(&piece);
        let gone = std::mem::replace(&mut *signed, kept);
        drop(signed);
        drop(gone);
    }

    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Asks for a range whose pieces are signed, before it is waited for.
    pub(crate) fn begin(&self, sides: &Sides<'_>, part: Part) -> Begun {
        let signed = {
            let signed = self.signed.lock();
            part.pieces.clone().map(|piece| signed.get(&piece).cloned()).collect::<Option<_>>()
        };
        let mut begun = Begun { part, signed, operations: None, shown_bytes: 0 };
        if let (Some(source), false) = (sides.source.to_patch(), self.is_given_up()) {
            let range = begun.part.range.clone();
            // What cannot be asked now is asked when it is wanted, and why it cannot be is told then.
            let room_bytes = first_room_bytes(&range);
            let asked = self.ask(source, &begun, range, (room_bytes, When::Ahead));
            begun.operations = asked.ok().flatten().map(Answer::Asked);
        }
        begun
    }

    fn ask(
        &self,
        source: &RemoteFile,
        begun: &Begun,
        range: Range<u64>,
        (room_bytes, when): (u32, When),
    ) -> io::Result<Option<Asked>> {
        let Some(signed) = &begun.signed else { return Ok(None) };
        let (secret, update) = (self.secret, self.update);
        let wanted = Wanted { range: &range, signed, secret, update, room_bytes };
        source.ask_for_operations(&wanted, when)
    }

    /// Waits for a range and writes it.
    pub(crate) fn finish(
        &self,
        worker: &mut Worker<'_>,
        sides: &Sides<'_>,
        mut begun: Begun,
    ) -> Result<(), Problem> {
        let run = worker.run;
        let trouble = match self.patch(run, sides, &mut begun) {
            Ok(()) => return Ok(()),
            Err(Trouble::Problem(problem)) => return Err(problem),
            Err(trouble) => trouble,
        };
        check_still(sides)?;
        if matches!(trouble, Trouble::Wrong) {
            let note = b": a part did not come out right of the old file; it is fetched whole";
            let text = || [sides.entry().path().as_bytes(), note].concat();
            run.say(sides.entry().segment, Topic::Warning, text);
        }
        self.bring_whole(worker, sides, &begun)
    }

    /// Makes a range of the old file.
    fn patch(&self, run: &Run, sides: &Sides<'_>, begun: &mut Begun) -> Result<(), Trouble> {
        if self.is_given_up() {
            return Err(Trouble::OldFile);
        }
        let range = begun.part.range.clone();
        let mut filling = Filling::new(sides.target, self.holes);
        let mut patch = Patch::new(&begun.part, self.update);
        let mut room_bytes = first_room_bytes(&range);
        let (mut literal_bytes, mut matched_bytes) = (0, 0);
        while patch.bytes_left() > 0 {
            let at = range.end - patch.bytes_left();
            let asked = match (begun.operations.take(), sides.source.to_patch()) {
                (Some(asked), _) => Some(asked),
                (None, Some(source)) => self
                    .ask(source, begun, at..range.end, (room_bytes, When::Now))
                    .map_err(|error| not_told(run, sides, &error))?
                    .map(Answer::Asked),
                (None, None) => None,
            };
            let asked = asked.ok_or(Trouble::OldFile)?;
            let Operations { pieces, sum } =
                asked.wait().map_err(|error| not_told(run, sides, &error))?;
            let (mut decoder, mut literal, mut matched) = (Decoder::new(at), 0, 0);
            for piece in &pieces {
                for operation in decoder.decode(piece) {
                    let operation = operation.map_err(|_| Trouble::OldFile)?;
                    match operation {
                        Operation::Copy { length, .. } => matched += length,
                        Operation::Literal(bytes) => literal += bytes.len() as u64,
                    }
                    let read = |offset, buffer: &mut [u8]| {
                        run.ending.go_on()?;
                        read_exactly(sides.old, offset, buffer)
                    };
                    patch
                        .apply(operation, read, &mut filling)
                        .map_err(|error| self.not_applied(run, sides, error))?;
                }
            }
            if literal + matched == 0 {
                return Err(Problem::Changed.into());
            }
            if filling.take_sum() != sum {
                return Err(Trouble::Wrong);
            }
            self.show(run, sides, begun, (literal, matched))?;
            literal_bytes += literal;
            matched_bytes += matched;
            room_bytes = MOST_ROOM_BYTES;
        }
        let written_bytes = filling.finish().map_err(|error| not_written(sides, &error))?;
        self.read_bytes.fetch_add(literal_bytes + matched_bytes, Ordering::Relaxed);
        self.matched_bytes.fetch_add(matched_bytes, Ordering::Relaxed);
        self.written_bytes.fetch_add(written_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Counts what was made, and waits as the rate limit asks for what was sent.
    fn show(
        &self,
        run: &Run,
        sides: &Sides<'_>,
        begun: &mut Begun,
        (literal, matched): (u64, u64),
    ) -> Result<(), Problem> {
        begun.shown_bytes += literal + matched;
        self.shown_bytes.fetch_add(literal + matched, Ordering::Relaxed);
        sides.job.keeps_more(run, matched);
        let paced = sides.job.pace(run, literal).map_err(CopyError::Observer);
        paced.map_err(|error| problem(run, sides.entry(), error))
    }

    fn not_applied(&self, run: &Run, sides: &Sides<'_>, error: PatchError) -> Trouble {
        match error {
            PatchError::Write(error) => not_written(sides, &error),
            PatchError::Read(error) if run.ending.explains(&error) => Problem::Stopped.into(),
            PatchError::Read(_) => {
                self.give_up();
                Trouble::OldFile
            }
            // What the source says is no way to make it.
            _ => Trouble::OldFile,
        }
    }

    /// Brings a range over as it is, and makes sure that it is right.
    fn bring_whole(
        &self,
        worker: &mut Worker<'_>,
        sides: &Sides<'_>,
        begun: &Begun,
    ) -> Result<(), Problem> {
        let Sides { job, source, target, .. } = *sides;
        let (run, range) = (worker.run, begun.part.range.clone());
        let mut shown_before = begun.shown_bytes;
        let mut pace = |bytes: u64| {
            let again = bytes.min(shown_before);
            shown_before -= again;
            self.shown_bytes.fetch_add(bytes - again, Ordering::Relaxed);
            run.budgets.wait_for_rate(again)?;
            job.pace(run, bytes - again)
        };
        let copied = worker
            .scratch
            .copier
            .copy_range(source, target, range.clone(), self.holes, &mut pace)
            .map_err(|error| problem(run, &job.entry, error))?;
        if copied.short {
            return Err(Problem::Changed);
        }
        if let Err(wrong) = verify(run, &job.entry, source, target, (Checksum::Blake3, range)) {
            check_still(sides)?;
            return Err(wrong);
        }
        self.read_bytes.fetch_add(copied.read_bytes, Ordering::Relaxed);
        self.written_bytes.fetch_add(copied.written_bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Makes a file of an old one on this worker, from the first range to the last.
pub(crate) fn make(
    worker: &mut Worker<'_>,
    sides: &Sides<'_>,
    old_bytes: u64,
    update: Update,
) -> Result<Moved, Problem> {
    let run = worker.run;
    let patching = Patching::new(run, sides.entry(), old_bytes, update)?;
    let signatures = patching.plan.piece_count().min(SIGNATURES_IN_TURN);
    let _room = run.budgets.signatures(signatures).map_err(|_| Problem::Stopped)?;
    let made = make_in_turn(worker, sides, &patching);
    run.progress.end_of_work(patching.shown_bytes());
    made.map(|()| patching.moved())
}

fn make_in_turn(
    worker: &mut Worker<'_>,
    sides: &Sides<'_>,
    patching: &Patching,
) -> Result<(), Problem> {
    let run = worker.run;
    let mut begun: Option<Begun> = None;
    for part in patching.plan.parts() {
        run.ending.go_on().map_err(|_| Problem::Stopped)?;
        patching.forget_before(part.pieces.start);
        for piece in part.pieces.clone() {
            patching.sign(run, sides, piece);
        }
        // While the source searches for the next range, this one is written.
        let next = patching.begin(sides, part);
        if let Some(before) = begun.replace(next) {
            patching.finish(worker, sides, before)?;
        }
    }
    if let Some(last) = begun {
        patching.finish(worker, sides, last)?;
    }
    set_length(sides, patching)
}

/// Sets the length of what may end with a hole.
pub(super) fn set_length(sides: &Sides<'_>, patching: &Patching) -> Result<(), Problem> {
    if patching.holes == Sparse::None {
        return Ok(());
    }
    let set = sides.target.set_len(sides.entry().source.size);
    Ok(set.map_err(|error| sides.entry().target_fault(Verb::SetLength, &error))?)
}

fn first_room_bytes(range: &Range<u64>) -> u32 {
    let wanted = (range.end - range.start) / FIRST_ROOM_PART;
    let bytes = wanted.clamp(FIRST_ROOM_LEAST_BYTES, FIRST_ROOM_MOST_BYTES);
    u32::try_from(bytes).expect("it is within bounds")
}

/// Fails where the source is not what it was when its reading began.
fn check_still(sides: &Sides<'_>) -> Result<(), Problem> {
    let (entry, now) = (sides.entry(), sides.source.metadata());
    let now = now.map_err(|error| entry.source_fault(Verb::LookAt, &error))?;
    let is_still = now.size == entry.source.size && now.mtime == entry.source.mtime;
    if is_still { Ok(()) } else { Err(Problem::Changed) }
}

fn read_exactly(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let read = file.read_at(buffer, offset)?;
    if read == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// What it means that the source does not tell.
fn not_told(run: &Run, sides: &Sides<'_>, error: &io::Error) -> Trouble {
    if run.ending.explains(error) {
        return Problem::Stopped.into();
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Changed.into(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => Trouble::OldFile,
        _ => Problem::from(sides.entry().source_fault(Verb::Read, error)).into(),
    }
}

fn not_written(sides: &Sides<'_>, error: &io::Error) -> Trouble {
    Problem::from(sides.entry().target_fault(Verb::Write, error)).into()
}

/// Writes a range of the new file in few calls, and sums it up.
struct Filling<'a> {
    target: &'a File,
    holes: Sparse,
    sum: Box<blake3::Hasher>,
    /// What is to be written next, and where that begins.
    buffer: Vec<u8>,
    start: u64,
    written_bytes: u64,
}

impl<'a> Filling<'a> {
    fn new(target: &'a File, holes: Sparse) -> Self {
        let (sum, buffer) = (Box::default(), Vec::new());
        Self { target, holes, sum, buffer, start: 0, written_bytes: 0 }
    }

    fn write_now(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.written_bytes += match self.holes {
            Sparse::None => {
                self.target.write_all_at(bytes, position)?;
                bytes.len() as u64
            }
            Sparse::KeepHoles | Sparse::FindZeros => {
                write_finding_zeros(self.target, bytes, position)?
            }
        };
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write_now(self.start, &buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    /// The sum of what came since it was taken last.
    fn take_sum(&mut self) -> [u8; 32] {
        let sum = *self.sum.finalize().as_bytes();
        self.sum.reset();
        sum
    }

    /// How much of it was written.
    fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        Ok(self.written_bytes)
    }
}

impl Output for Filling<'_> {
    fn write(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        if self.buffer.len() + bytes.len() > WRITE_BYTES {
            self.flush()?;
        }
        if bytes.len() >= WRITE_BYTES {
            return self.write_now(position, bytes);
        }
        if self.buffer.is_empty() {
            self.start = position;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn keep(&mut self, _position: u64, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.flush()
    }
}
