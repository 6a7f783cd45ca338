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

/// The source, wherever it lies.
mod source;

/// What an image is.
pub(crate) mod described;

/// Where there is something to read.
pub(crate) mod extents;

/// Pieces and their digests.
pub(crate) mod pieces;

/// One unit: compare, keep the old, write the new.
mod unit;

/// A source on another host.
mod far;

/// The old content of what is changed.
mod undo;

/// The digests of the units, and what is read back for them.
mod digests;

use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use delta::image::{UNIT_BYTES, Units};
use fs::block_device::BlockDevice;
use fs::image::Image;
use model::blocks::{BlocksJob, BlocksSettings, BlocksSummary, Hashing, ReadBack, Sizes};
use model::{Cause, Fault, Gauges, Side, Verb};
use parking_lot::Mutex;
use sched::{Budget, Cancel, Context, End, RateLimit, Workers};
use wire::{DeltaSeed, PieceHash};

use self::digests::Digests;
use self::ends::Ends;
use self::extents::{Extents, Map};
use self::pieces::Digester;
use self::source::Source;
use self::undo::Undo;
pub use self::undo::{Undone, apply_undo};
use self::unit::Buffers;
use crate::endpoint::RemoteSource;
use crate::run::Surroundings;

/// What a worker takes at a time: enough that questions for holes do not matter, little enough that all
/// workers end together.
const STRETCH_BYTES: u64 = 16 << 20;

/// Readers at most, where nobody says how many: more do not make a disk faster.
const READERS_MAX: usize = 4;

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
        Ok(work) => Arc::new(work),
        Err(error) => return (None, Err(error)),
    };
    let done = work.bring_over();
    let Some(mut work) = Arc::into_inner(work) else {
        return (None, Err(internal("a worker is left over")));
    };
    let done = done.and_then(|()| work.finish());
    (Some(work.summary()), done)
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
    /// How much is brought over.
    image_bytes: u64,
    digests: Digests,
    /// What pieces are compared by, where the source lies on another host.
    digester: Digester,
    undo: Option<Undo>,
    /// Where the next stretch begins.
    next: AtomicU64,
    counts: Counts,
    buffers: Mutex<Vec<Buffers>>,
    /// How many may read at once: who waits for another host does not.
    readers: NonZeroUsize,
    reading: Budget,
    /// Why it ends early.
    error: Mutex<Option<BlocksError>>,
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

/// A worker that takes stretches until none is left.
struct Task(Arc<Work>);

impl sched::Task for Task {
    fn run(self, cx: &Context<'_, Self>) {
        let work = &self.0;
        let start = work.next.fetch_add(STRETCH_BYTES, Ordering::Relaxed);
        if start >= work.image_bytes || cx.cancelled() {
            return;
        }
        match work.stretch(&(start..work.image_bytes.min(start + STRETCH_BYTES))) {
            Ok(()) => cx.spawn(self),
            Err(error) => work.fail(error),
        }
    }
}

impl Work {
    fn new(job: &BlocksJob, ends: Ends, around: &Surroundings) -> Result<Self, BlocksError> {
        let Ends { source, mut target, image_bytes, target_bytes, is_new } = ends;
        let Surroundings { gauges, cancel, rate, .. } = around;
        let settings = &job.settings;
        let makes_undo = settings.undo.as_deref().filter(|_| !settings.dry_run);
        let undo =
            makes_undo.map(|path| Undo::create(path, target_bytes, image_bytes)).transpose()?;
        let is_lengthened = settings.sizes == Sizes::Truncate && target_bytes < image_bytes;
        if let Some(target) = target.as_mut().filter(|_| is_lengthened && !settings.dry_run) {
            target.set_len(image_bytes).map_err(|error| {
                fault_at(&job.target, Side::Destination, Verb::SetLength, (&error).into())
            })?;
        }
        Gauges::set(&gauges.listed_bytes, image_bytes);
        Gauges::set(&gauges.listed_entries, 1);
        gauges.finish_list();
        gauges.finish_scan(std::time::Duration::ZERO);
        let units = match source {
            Source::Here(..) => Units::of(image_bytes, UNIT_BYTES as u64),
            Source::There(_) => pieces::units(image_bytes),
        };
        let readers = readers(settings, &source, target.as_ref());
        let digester = Digester::new(image_bytes, piece_hash(settings, &source)?);
        Ok(Self {
            source,
            is_new,
            target,
            source_map: Map::default(),
            target_map: Map::default(),
            image_bytes,
            digests: Digests::new(units, settings),
            digester,
            undo,
            next: AtomicU64::new(0),
            counts: Counts::default(),
            buffers: Mutex::default(),
            readers,
            reading: Budget::new(readers.get() as u64),
            error: Mutex::new(None),
            cancel: cancel.clone(),
            rate: Arc::clone(rate),
            gauges: Arc::clone(gauges),
            job: job.clone(),
        })
    }

    fn settings(&self) -> &BlocksSettings {
        &self.job.settings
    }

    /// The first error counts: the others may have come of it. Who was only stopped by it may be here before.
    fn fail(&self, error: BlocksError) {
        let mut first = self.error.lock();
        if matches!(*first, None | Some(BlocksError::Stopped)) {
            *first = Some(error);
        }
        drop(first);
        self.cancel.cancel();
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
        let settings =
            sched::Settings { workers: Workers::Fixed(workers), ..sched::Settings::default() };
        let seeds = (0..workers.get()).map(|_| Task(Arc::clone(self)));
        let outcome = sched::run(&settings, &self.cancel, seeds);
        if let Some(error) = self.error.lock().take() {
            return Err(error);
        }
        match outcome.end {
            End::Done => Ok(()),
            End::Cancelled => Err(BlocksError::Stopped),
            End::Panicked(message) => Err(BlocksError::Internal(message)),
        }
    }

    /// Brings a stretch over, which begins where a unit does.
    fn stretch(&self, stretch: &Range<u64>) -> Result<(), BlocksError> {
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
            Gauges::add(&self.gauges.done_bytes, range.end - range.start);
        }
        Ok(())
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
        if !self.settings().dry_run {
            self.cut()?;
            let target = self.target.as_ref().ok_or_else(|| internal("there is no target"))?;
            if let Some(undo) = &self.undo {
                undo.finish()?;
            }
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
        Gauges::add(&self.gauges.done_entries, 1);
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

/// How many read at once.
fn readers(settings: &BlocksSettings, source: &Source, target: Option<&Image>) -> NonZeroUsize {
    let asked = settings.readers.and_then(|count| NonZeroUsize::new(count.into()));
    let fit = || {
        let has_head = source.opened().is_rotational
            || target.and_then(Image::device).is_some_and(BlockDevice::is_rotational);
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let fit = if has_head { 1 } else { cores.min(READERS_MAX) };
        NonZeroUsize::new(fit).unwrap_or(NonZeroUsize::MIN)
    };
    asked.unwrap_or_else(fit)
}

fn fault_at(path: &Path, side: Side, verb: Verb, cause: Cause) -> Fault {
    Fault { side, verb, path: path.as_os_str().as_encoded_bytes().into(), cause }
}

#[cfg(test)]
mod tests;
