//! An image, a file or a block device, brought into the state of another: only what differs is written.
//!
//! Workers take the image stretch by stretch and each stretch unit by unit. Of a unit both sides are
//! read, but for holes, which the file system tells of, and compared in memory. What differs is written
//! where it lies: in an image there is no staging. So whatever can be known to go wrong is looked for
//! before the first write (`ends`), and what is written over can be kept (`undo`).
//!
//! Where the source lies on another host, digests take the place of its bytes (`far`).

/// Opening both ends, and why a job is refused.
mod ends;

/// The content of a file of a job on a tree.
pub(crate) mod content;

/// The source, wherever it lies.
mod source;

/// What an image is.
pub(crate) mod described;

/// Where there is something to read.
pub(crate) mod extents;

/// Pieces and their digests.
pub(crate) mod pieces;

/// Workers that take stretches.
mod stretches;

/// One unit: compare, keep the old, write the new.
mod unit;

/// Files of records that are checked.
mod records;

/// A source on another host.
mod far;

/// What of it the target has elsewhere.
mod shifted;

/// The old content of what is changed.
mod undo;

/// The mark of a target that is brought back.
mod undoing;

/// All units of an image, digested.
mod scan;

/// What a target would have to be given, in a file.
mod delta_out;

/// A target brought into the state that such a file has.
mod delta_in;

/// The mark of a target that is incomplete.
mod mark;

/// Which keeps it while a run goes on.
mod journal;

/// The digests of the units, and what is read back for them.
mod digests;

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use delta::image::{UNIT_BYTES, Units};
use fs::block_device::BlockDevice;
use fs::image::Image;
use model::blocks::{BlocksJob, BlocksSettings, BlocksSummary, Hashing, ReadBack, Sizes};
use model::{Cause, Event, Fault, Gauges, Message, Side, Sink, Topic, Verb};
use parking_lot::Mutex;
use sched::{Budget, Cancel, RateLimit};
use wire::{DeltaSeed, PieceHash};

use self::content::Watch;
pub use self::delta_in::apply_delta;
use self::delta_out::DeltaOut;
use self::digests::Digests;
use self::ends::Ends;
use self::extents::{Extents, Map};
use self::journal::Journal;
use self::pieces::Digester;
use self::shifted::Shifted;
use self::source::Source;
use self::undo::Undo;
pub use self::undo::{Undone, apply_undo};
use self::unit::Buffers;
use crate::endpoint::RemoteSource;
use crate::run::Surroundings;

/// Why a job did not end well.
#[derive(Debug, thiserror::Error)]
pub enum BlocksError {
    /// It was refused before anything was changed.
    #[error("{0}")]
    Refused(String),
    /// Something could not be read or written.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The host of the source is out of reach, for this reason.
    #[error("{0}")]
    SourceLost(String),
    /// It was stopped.
    #[error("it was stopped")]
    Stopped,
    /// A bug of ours.
    #[error("{0}")]
    Internal(String),
}

impl BlocksError {
    fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused(sentence.into())
    }
}

/// Brings the target of a job into the state of its source. Says what was done until the end, if anything was
/// begun, and how it ended.
///
/// Where that is an error and something was begun, the target may be old in some places and new in others.
pub fn run(
    job: &BlocksJob,
    around: &Surroundings,
) -> (Option<BlocksSummary>, Result<(), BlocksError>) {
    bring(job, None, around)
}

/// The same with a source on another host.
pub fn run_from(
    source: &RemoteSource,
    job: &BlocksJob,
    around: &Surroundings,
) -> (Option<BlocksSummary>, Result<(), BlocksError>) {
    bring(job, Some(source), around)
}

fn bring(
    job: &BlocksJob,
    from: Option<&RemoteSource>,
    around: &Surroundings,
) -> (Option<BlocksSummary>, Result<(), BlocksError>) {
    let ends = Ends::open(job, from, around);
    let work = match ends.and_then(|ends| Work::new(job, ends, around)) {
        Ok(work) => work,
        Err(error) => return (None, Err(error)),
    };
    let (summary, done) = bring_all(work);
    if let (Ok(()), Some(path), false) = (&done, &job.settings.delta_out, job.settings.dry_run) {
        let (path, target) = (path.display(), job.target.display());
        let text = format!("what \"{target}\" lacks is in \"{path}\"; it was only read");
        tell(&*around.sink, Topic::Notice, text);
    }
    (summary, done)
}

/// Brings over what is open.
fn bring_all(work: Work) -> (Option<BlocksSummary>, Result<(), BlocksError>) {
    let work = Arc::new(work);
    let done = work.bring_over();
    let Some(mut work) = Arc::into_inner(work) else {
        return (None, Err(internal("a worker is left over")));
    };
    let done = done.and_then(|()| work.finish());
    work.settle_mark(&done);
    (Some(work.summary()), done)
}

/// Says something that is about no single place.
fn tell(sink: &dyn Sink, topic: Topic, text: String) {
    let text = text.into_bytes().into();
    sink.accept(Event::Message(Message { topic, text }));
}

fn internal(what: &str) -> BlocksError {
    BlocksError::Internal(what.to_owned())
}

/// What all workers share.
struct Work {
    job: BlocksJob,
    source: Source,
    /// `None` in a dry run for what is not there.
    target: Option<Image>,
    /// The target was made for this job.
    is_new: bool,
    /// Where they hold data.
    source_map: Map,
    target_map: Map,
    /// How much is brought over, and how long the target was.
    image_bytes: u64,
    old_bytes: u64,
    /// In which units the target gives room back, in bytes; 0 if it does not.
    room_bytes: u64,
    /// What was cleared, where that unit is greater than ours.
    cleared: Mutex<Vec<Range<u64>>>,
    digests: Digests,
    /// What pieces are compared by, where the source lies on another host.
    digester: Digester,
    /// What of it the target has elsewhere; nothing where that is not known.
    shifted: OnceLock<Option<Shifted>>,
    shift_search: Mutex<()>,
    sink: Arc<dyn Sink>,
    undo: Option<Undo>,
    /// `None` where there is no target, or it is one of a job on a tree.
    journal: Option<Journal>,
    /// What is told while it goes on, of one of a job on a tree.
    watch: Option<Arc<Watch>>,
    /// Where what would be written goes instead.
    delta_out: Option<DeltaOut>,
    counts: Counts,
    buffers: Mutex<Vec<Buffers>>,
    /// How many may read at once: who waits for another host does not.
    readers: NonZeroUsize,
    reading: Budget,
    cancel: Cancel,
    rate: Arc<RateLimit>,
    gauges: Arc<Gauges>,
}

/// Bytes by what became of them.
#[derive(Default)]
struct Counts {
    skipped: AtomicU64,
    equal: AtomicU64,
    written: AtomicU64,
    cleared: AtomicU64,
    verified: AtomicU64,
}

impl Work {
    fn new(job: &BlocksJob, ends: Ends, around: &Surroundings) -> Result<Self, BlocksError> {
        let made = ends.target.as_ref().filter(|_| ends.is_new).map(|it| it.metadata().inode());
        let work = Self::begin(job, ends, around);
        if let (Err(_), Some(made)) = (&work, made) {
            ends::remove_made(&job.target, made);
        }
        work
    }

    fn begin(job: &BlocksJob, ends: Ends, around: &Surroundings) -> Result<Self, BlocksError> {
        let Ends { source, mut target, image_bytes, target_bytes, is_new, watch } = ends;
        let Surroundings { gauges, cancel, rate, sink, .. } = around;
        let settings = &job.settings;
        let lengths = (image_bytes, target_bytes);
        let marked = target.as_ref().filter(|_| watch.is_none());
        let mut journal = Journal::open(job, (&source, marked), lengths, sink)?;
        let delta_out = settings.delta_out.as_deref().filter(|_| !settings.dry_run);
        let delta_out =
            delta_out.map(|path| DeltaOut::create(path, target_bytes, image_bytes)).transpose()?;
        let makes_undo = settings.undo.as_deref().filter(|_| settings.writes_target());
        let undo =
            makes_undo.map(|path| Undo::create(path, target_bytes, image_bytes)).transpose()?;
        if let Some(journal) = &mut journal {
            journal.has_undo(undo.as_ref().map(Undo::file));
        }
        let is_lengthened = settings.sizes == Sizes::Truncate && target_bytes < image_bytes;
        if let Some(target) = target.as_mut().filter(|_| is_lengthened && settings.writes_target())
        {
            journal.iter().for_each(Journal::begin);
            target.set_len(image_bytes).map_err(|error| {
                fault_at(&job.target, Side::Destination, Verb::SetLength, (&error).into())
            })?;
        }
        let are_kept = journal.as_ref().is_some_and(Journal::is_kept);
        let room_bytes = target.as_ref().and_then(Image::discard_granularity_bytes).unwrap_or(0);
        if watch.is_none() {
            Gauges::set(&gauges.listed_bytes, image_bytes);
            gauges.finish_list();
            gauges.finish_scan(std::time::Duration::ZERO);
        }
        let units = source.units(image_bytes);
        let has_head = source.opened().is_rotational
            || target.as_ref().and_then(Image::device).is_some_and(BlockDevice::is_rotational);
        let readers = stretches::readers(settings, has_head);
        let digester = Digester::new(image_bytes, piece_hash(settings, &source)?);
        Ok(Self {
            source,
            is_new,
            target,
            source_map: Map::default(),
            target_map: Map::default(),
            image_bytes,
            old_bytes: target_bytes,
            room_bytes,
            cleared: Mutex::default(),
            digests: Digests::new(units, settings).for_journal(are_kept && digester.makes_root()),
            digester,
            shifted: OnceLock::new(),
            shift_search: Mutex::default(),
            sink: Arc::clone(sink),
            undo,
            journal,
            watch,
            delta_out,
            counts: Counts::default(),
            buffers: Mutex::default(),
            readers,
            reading: Budget::new(readers.get() as u64),
            cancel: cancel.clone(),
            rate: Arc::clone(rate),
            gauges: Arc::clone(gauges),
            job: job.clone(),
        })
    }

    fn settings(&self) -> &BlocksSettings {
        &self.job.settings
    }

    fn bring_over(self: &Arc<Self>) -> Result<(), BlocksError> {
        // Nothing is looked at of what has no bytes, but its digest is asked for all the same.
        if self.image_bytes == 0 {
            if let Some(digesting) = self.digests.begin(0) {
                self.digests.note(digesting, false);
            }
            return Ok(());
        }
        let workers = match self.source {
            Source::Here(..) => self.readers,
            Source::There(_) => self.readers.max(far::WORKERS),
        };
        let work = Arc::clone(self);
        stretches::each(self.image_bytes, workers, &self.cancel, move |it| work.stretch(&it))
    }

    /// Brings a stretch over, which begins where a unit does.
    fn stretch(self: &Arc<Self>, stretch: &Range<u64>) -> Result<(), BlocksError> {
        let buffers = self.buffers.lock().pop();
        let mut buffers = buffers.unwrap_or_else(|| Buffers::of(self.digests.units()));
        let target = self
            .target_map
            .of(self.target.as_ref(), stretch)
            .map_err(|error| self.fault(Side::Destination, Verb::LookAt, &error))?;
        self.check_length(Side::Destination, self.target.as_ref())?;
        match &self.source {
            Source::Here(image, _) => {
                self.stretch_of_here(image, &mut buffers, stretch, &target)?;
            }
            Source::There(far) => self.stretch_of_there(far, &mut buffers, stretch, &target)?,
        }
        self.buffers.lock().push(buffers);
        Ok(())
    }

    fn stretch_of_here(
        &self,
        image: &Image,
        buffers: &mut Buffers,
        stretch: &Range<u64>,
        target: &Extents,
    ) -> Result<(), BlocksError> {
        let source = self
            .source_map
            .of(Some(image), stretch)
            .map_err(|error| self.fault(Side::Source, Verb::LookAt, &error))?;
        self.check_length(Side::Source, Some(image))?;
        for range in pieces::cut(stretch, UNIT_BYTES as u64) {
            self.check_cancel()?;
            self.unit(buffers, &range, &source.within(&range), &target.within(&range))?;
            self.pass(&range);
        }
        Ok(())
    }

    /// Nothing is left to be done of a range.
    fn pass(&self, range: &Range<u64>) {
        let bytes = range.end - range.start;
        Gauges::add(&self.gauges.done_bytes, bytes);
        if let Some(watch) = &self.watch {
            let Counts { written, cleared, .. } = &self.counts;
            let changed = || [written, cleared].map(|it| it.load(Ordering::Relaxed)).iter().sum();
            watch.pass(bytes, changed);
        }
    }

    /// Behind the end of a file that was cut there is nothing but a hole.
    fn check_length(&self, side: Side, image: Option<&Image>) -> Result<(), BlocksError> {
        let Some(image) = image.filter(|image| image.device().is_none()) else { return Ok(()) };
        let now = image.file().metadata();
        let now = now.map_err(|error| self.fault(side, Verb::LookAt, &error))?;
        if now.size < image.bytes() {
            return Err(self.fault_because(side, Verb::Read, Cause::ChangedDuringCopy));
        }
        Ok(())
    }

    fn check_cancel(&self) -> Result<(), BlocksError> {
        self.cancel.check().map_err(|_| BlocksError::Stopped)
    }

    fn fault(&self, side: Side, verb: Verb, error: &std::io::Error) -> BlocksError {
        self.fault_because(side, verb, error.into())
    }

    fn fault_because(&self, side: Side, verb: Verb, cause: Cause) -> BlocksError {
        let path = match side {
            Side::Source => &self.job.source,
            Side::Destination => &self.job.target,
        };
        fault_at(path, side, verb, cause).into()
    }

    /// What comes after all units: what is too long is cut off, all goes to the disk, and is read back.
    fn finish(&mut self) -> Result<(), BlocksError> {
        if self.settings().writes_target() {
            self.cut()?;
            let target = self.target.as_ref().ok_or_else(|| internal("there is no target"))?;
            if let Some(undo) = &self.undo {
                undo.finish()?;
            }
            let failed = |error| self.fault(Side::Destination, Verb::Write, &error);
            self.give_back_cleared(target).map_err(failed)?;
            let failed = |error| self.fault(Side::Destination, Verb::Sync, &error);
            target.sync_data().map_err(failed)?;
            if self.is_new {
                fs::operator::sync_name(&self.job.target).map_err(failed)?;
            }
            if self.settings().read_back != ReadBack::Nothing {
                target.forget_cached();
                self.read_back(target)?;
            }
        }
        self.check_source()?;
        if let Some(delta) = self.delta_out.take() {
            self.finish_delta(delta)?;
        }
        Ok(())
    }

    /// What was written to while it was read came out as it never was.
    fn check_source(&self) -> Result<(), BlocksError> {
        if self.source.is_device() {
            return Ok(());
        }
        let now = self.source.now().map_err(|error| self.source_error(Verb::LookAt, &error))?;
        let before = self.source.opened().metadata;
        if (now.size, now.mtime) != (before.size, before.mtime) {
            return Err(self.fault_because(Side::Source, Verb::Copy, Cause::ChangedDuringCopy));
        }
        Ok(())
    }

    fn check_target_unchanged(&self, target: &Image) -> Result<(), BlocksError> {
        match target.is_unchanged() {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(self.fault_because(Side::Destination, Verb::Copy, Cause::ChangedDuringCopy))
            }
            Err(error) => Err(self.fault(Side::Destination, Verb::LookAt, &error)),
        }
    }

    /// What is wrong with the source, or the way to it.
    fn source_error(&self, verb: Verb, error: &std::io::Error) -> BlocksError {
        match &self.source {
            Source::There(far) if far.lost().is_some() => {
                BlocksError::SourceLost(far.lost().unwrap_or_default().to_owned())
            }
            // Who stopped it may have ended the session, too.
            Source::There(_) if self.cancel.is_cancelled() => BlocksError::Stopped,
            _ if error.kind() == ErrorKind::UnexpectedEof => {
                self.fault_because(Side::Source, verb, Cause::ChangedDuringCopy)
            }
            _ => self.fault(Side::Source, verb, error),
        }
    }

    fn summary(&self) -> BlocksSummary {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { skipped, equal, written, cleared, verified } = &self.counts;
        BlocksSummary {
            source_bytes: self.source.bytes(),
            image_bytes: self.image_bytes,
            skipped_bytes: read(skipped),
            resumed_bytes: self.journal.as_ref().map_or(0, Journal::resumed_bytes),
            equal_bytes: read(equal),
            written_bytes: read(written),
            cleared_bytes: read(cleared),
            verified_bytes: read(verified),
            digest: self.digests.root(),
        }
    }

    /// Cuts off what the target has beyond the source, where it is to be as long.
    fn cut(&mut self) -> Result<(), BlocksError> {
        let end = self.image_bytes;
        let is_cut = self.settings().sizes == Sizes::Truncate;
        let Some(target) = self.target.as_mut().filter(|target| is_cut && target.bytes() > end)
        else {
            return Ok(());
        };
        if let Some(journal) = &self.journal {
            journal.begin();
        }
        let cut = match &self.undo {
            Some(undo) => undo.keep_all(target, end..target.bytes(), &self.cancel),
            None => Ok(()),
        };
        cut?;
        let cut = target.set_len(end);
        cut.map_err(|error| self.fault(Side::Destination, Verb::SetLength, &error))
    }
}

/// What pieces are compared by. A secret for XXH3 is drawn for each job anew.
fn piece_hash(settings: &BlocksSettings, source: &Source) -> Result<PieceHash, BlocksError> {
    if settings.hash == Hashing::Blake3 || matches!(source, Source::Here(..)) {
        return Ok(PieceHash::Blake3);
    }
    let seed = fs::process::random_bytes();
    seed.map(|seed| PieceHash::Xxh3(DeltaSeed(seed)))
        .map_err(|error| BlocksError::Internal(format!("draw a secret: {error}")))
}

/// How an image is cut whose bytes are compared on this host.
fn units_here(image_bytes: u64) -> Units {
    Units::of(image_bytes, UNIT_BYTES as u64)
}

fn fault_at(path: &Path, side: Side, verb: Verb, cause: Cause) -> Fault {
    Fault { side, verb, path: path.as_os_str().as_encoded_bytes().into(), cause }
}

#[cfg(test)]
mod tests;
