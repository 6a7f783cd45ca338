//! Keeps the mark of a target that is incomplete: it is on the disk before the first write, tells now and
//! then which units are right, and goes when all is. Without it a run goes on, and says so: then nobody
//! learns of an interruption.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use delta::image::{UnitDigest, Units};
use fs::image::Image;
use fs::operator;
use fs::staging::{Naming, Staging};
use model::blocks::{BlocksJob, Dangers, Hashing, Sizes};
use model::{Side, Sink, Topic, Verb};
use parking_lot::Mutex;

use super::extents::Map;
use super::mark::{self, ENTRY_BYTES, Found, Mark, Missing, Place, Told};
use super::records::{Batch, Writer};
use super::scan::UnitDigests;
use super::source::Source;
use super::unit::{digest_of, piece_buffer};
use super::{BlocksError, Work, fault_at, tell};

/// After so many verified units, or so long, what is known is put on the disk: what a run that is killed has
/// lost is no more, and waiting for the disk costs little beside it.
const FLUSH_UNITS: usize = 256;
const FLUSH_AFTER: Duration = Duration::from_secs(2);

/// Units that are remembered until there is a mark, 40 MiB of them; those beyond are read again.
const PENDING_UNITS_MAX: usize = 1 << 20;

/// Units in a record.
const RECORD_UNITS: usize = 16 << 10;

/// Units that are read again to see whether the target is what the mark tells of.
const SAMPLES: usize = 16;

pub(super) struct Journal {
    /// `None` where nothing is written, or no mark can be kept.
    place: Option<Place>,
    told: Told,
    had_mark: bool,
    /// What need not be read again.
    verified: UnitDigests,
    resumed_bytes: AtomicU64,
    /// The mark is there, or cannot be: a quick look for who writes.
    is_begun: AtomicBool,
    writer: Mutex<Option<Writer<Staging>>>,
    pending: Mutex<Pending>,
    sink: Arc<dyn Sink>,
}

struct Pending {
    entries: Vec<u8>,
    since: Instant,
}

impl Journal {
    /// Looks for the mark of an earlier run, and says what it finds.
    pub(super) fn open(
        job: &BlocksJob,
        (source, target): (&Source, Option<&Image>),
        lengths: (u64, u64),
        sink: &Arc<dyn Sink>,
    ) -> Result<Option<Self>, BlocksError> {
        let Some(target) = target else { return Ok(None) };
        let settings = &job.settings;
        let is_writing = settings.writes_target();
        let missing = if is_writing { Missing::Make } else { Missing::Leave };
        let told = Told::of(job, (source, target), lengths);
        let mut journal = Self {
            place: None,
            told,
            had_mark: false,
            verified: UnitDigests::new(),
            resumed_bytes: AtomicU64::new(0),
            is_begun: AtomicBool::new(false),
            writer: Mutex::default(),
            pending: Mutex::new(Pending { entries: Vec::new(), since: Instant::now() }),
            sink: Arc::clone(sink),
        };
        let place = match Place::of(&job.target, target, settings.state_dir.as_deref(), missing) {
            Ok(Some(place)) => place,
            Ok(None) => {
                return Ok(Some(journal.without_mark("there is no folder for it", is_writing)));
            }
            Err(error) => return Ok(Some(journal.without_mark(&error.to_string(), is_writing))),
        };
        match place.find() {
            Found::Nothing => {}
            Found::InWork if settings.allowed.contains(Dangers::IN_USE) => {}
            Found::InWork => return Err(refused_in_work(job)),
            Found::Damaged(why) => {
                let (path, target) = (place.path.display(), job.target.display());
                let text = format!(
                    "lanesync: \"{path}\" says that \"{target}\" is incomplete, but not what of it is right ({why}); \
                     all of it is read"
                );
                journal.warn(text);
                journal.had_mark = true;
            }
            Found::Mark(mark) => {
                refuse_part(job, mark.told.image_bytes > lengths.0)?;
                journal.take_up(job, target, *mark);
            }
        }
        if journal.had_mark && is_writing {
            refuse_part(job, false)?;
        }
        journal.place = Some(place).filter(|_| is_writing);
        journal.told.was_marked = journal.had_mark.into();
        Ok(Some(journal))
    }

    fn without_mark(self, why: &str, is_writing: bool) -> Self {
        if is_writing {
            self.warn(format!(
                "lanesync: should this run be interrupted, no later one will be told of it: the target cannot \
                 be marked as incomplete: {why}"
            ));
        }
        self
    }

    fn warn(&self, text: String) {
        tell(&*self.sink, Topic::Warning, text);
    }

    /// Takes what an interrupted run has verified, if that is wanted and holds still.
    fn take_up(&mut self, job: &BlocksJob, target: &Image, mark: Mark) {
        self.had_mark = true;
        let (path, time) = (job.target.display(), mark.told.time());
        let left = format!("lanesync: \"{path}\" was left incomplete by the run of {time}");
        if !job.settings.resume {
            let hint =
                if mark.units.is_empty() { "" } else { " (--resume spares what that verified)" };
            return self.warn(format!("{left}; all of it is read{hint}"));
        }
        let differs = self.told.differs_from(&mark.told);
        let changed = || {
            let all = Units::of(self.told.image_bytes, self.told.unit_bytes);
            let are_there = are_there(&mark.units, target, all);
            (!are_there).then_some("the target has changed since")
        };
        let other = || (job.settings.hash == Hashing::Xxh3).then_some("it is not with --hash=xxh3");
        let empty = || mark.units.is_empty().then_some("it had verified nothing");
        if let Some(why) = differs.or_else(other).or_else(empty).or_else(changed) {
            return self.warn(format!("{left}, and cannot be resumed: {why}; all of it is read"));
        }
        let (count, mib) = (mark.units.len(), self.told.unit_bytes >> 20);
        self.warn(format!(
            "{left}; {count} units of {mib} MiB that it had verified are not read again"
        ));
        self.verified = mark.units;
    }

    /// Says which undo file this run has.
    pub(super) fn has_undo(&mut self, undo: Option<&Image>) {
        self.told.undo = undo.map(mark::inode_of).unwrap_or_default();
    }

    /// Whether what a unit shall be is noted: only in a run that writes.
    pub(super) fn is_kept(&self) -> bool {
        self.place.is_some()
    }

    /// The digest of a unit that an earlier run has verified, and is not read again.
    pub(super) fn verified(&self, number: u64, length: usize) -> Option<UnitDigest> {
        let digest = *self.verified.get(&number)?;
        self.resumed_bytes.fetch_add(length as u64, Ordering::Relaxed);
        Some(digest)
    }

    pub(super) fn resumed_bytes(&self) -> u64 {
        self.resumed_bytes.load(Ordering::Relaxed)
    }

    /// Puts the mark on the disk, before the target is changed.
    pub(super) fn begin(&self) {
        if self.is_begun.load(Ordering::Acquire) {
            return;
        }
        let mut writer = self.writer.lock();
        let Some(place) = self.place.as_ref().filter(|_| writer.is_none()) else { return };
        if self.is_begun.load(Ordering::Acquire) {
            return;
        }
        match make(place, self.told) {
            Ok(made) => *writer = Some(made),
            Err(error) => self.warn(format!(
                "lanesync: should this run be interrupted, no later one will be told of it: {error}"
            )),
        }
        self.is_begun.store(true, Ordering::Release);
    }

    /// A unit is what it shall be, as far as the kernel knows. When enough are, what is known goes to the
    /// disk: the target before what is said of it.
    pub(super) fn note(
        &self,
        number: u64,
        digest: &UnitDigest,
        target: &Image,
    ) -> std::io::Result<()> {
        let mut pending = self.pending.lock();
        if pending.entries.len() < PENDING_UNITS_MAX * ENTRY_BYTES {
            pending.entries.extend(number.to_le_bytes());
            pending.entries.extend(digest);
        }
        let is_due = pending.entries.len() >= FLUSH_UNITS * ENTRY_BYTES
            || pending.since.elapsed() >= FLUSH_AFTER;
        if !is_due || !self.is_begun.load(Ordering::Acquire) {
            return Ok(());
        }
        // While somebody does this already the others go on.
        let Some(writer) = self.writer.try_lock() else { return Ok(()) };
        let entries = std::mem::take(&mut pending.entries);
        pending.since = Instant::now();
        drop(pending);
        self.put(writer, &entries, target)
    }

    /// Puts all on the disk that is known, when a run ends early.
    pub(super) fn flush(&self, target: &Image) -> std::io::Result<()> {
        let entries = std::mem::take(&mut self.pending.lock().entries);
        self.put(self.writer.lock(), &entries, target)
    }

    fn put(
        &self,
        mut writer: parking_lot::MutexGuard<'_, Option<Writer<Staging>>>,
        entries: &[u8],
        target: &Image,
    ) -> std::io::Result<()> {
        let Some(kept) = writer.as_ref() else { return Ok(()) };
        if let Err(error) = target.sync_data() {
            // The kernel says this once: whoever asked again would be told that all is well.
            *writer = None;
            return Err(error);
        }
        let put = || {
            for entries in entries.chunks(RECORD_UNITS * ENTRY_BYTES) {
                let mut batch = Batch::default();
                batch.digests(entries);
                kept.append_and_sync(&batch)?;
            }
            Ok(())
        };
        // The mark stays, with what it tells by now.
        if let Err(error) = put() {
            let error: BlocksError = error;
            self.warn(format!("lanesync: what is right of the target is no longer noted: {error}"));
            *writer = None;
        }
        Ok(())
    }

    /// Something went wrong with the target: nothing that was said to be right of it is believed any more.
    fn revoke(&self) {
        let mut writer = self.writer.lock();
        let Some(place) = &self.place else { return };
        if self.is_begun.load(Ordering::Acquire) {
            self.pending.lock().entries.clear();
            *writer = None;
            if let Err(error) = make(place, self.told) {
                let path = place.path.display();
                self.warn(format!(
                    "lanesync: what \"{path}\" says is right may not be, so do not --resume: {error}"
                ));
            }
        }
    }

    /// The target is complete: no mark is left.
    pub(super) fn remove(&self) {
        let Some(place) = &self.place else { return };
        if (self.had_mark || self.is_begun.load(Ordering::Acquire))
            && let Some(text) = remove(place)
        {
            self.warn(text);
        }
    }
}

/// Puts a mark on the disk that tells of a run, and of no unit yet.
pub(super) fn make(place: &Place, told: Told) -> Result<Writer<Staging>, BlocksError> {
    let failed = |error: std::io::Error| {
        BlocksError::from(fault_at(&place.path, Side::Destination, Verb::Publish, (&error).into()))
    };
    let staging = Staging::create(&place.dir, &place.name, 0o600, Naming::Named);
    let told = told.to_bytes();
    let mut writer = Writer::begin(&place.path, staging.map_err(failed)?, &mark::FORM, &told)?;
    writer.append_and_sync(&Batch::default())?;
    writer.held_mut().publish_replacing(&place.dir, &place.name).map_err(failed)?;
    operator::sync_name(&place.path).map_err(failed)?;
    Ok(writer)
}

/// A job on a tree is about to write to a target: what a mark says is right of it will not be, and no undo
/// file brings it back. That it is incomplete stays.
pub(super) fn make_void(job: &BlocksJob, target: &Image) -> Result<(), BlocksError> {
    let state_dir = job.settings.state_dir.as_deref();
    // What cannot be reached there tells no later run anything, either.
    let place = Place::of(&job.target, target, state_dir, Missing::Leave);
    let Ok(Some(place)) = place else { return Ok(()) };
    match place.find() {
        Found::Nothing | Found::Damaged(_) => Ok(()),
        Found::InWork => Err(refused_in_work(job)),
        Found::Mark(mark) => {
            let told = Told { undo: [0; 2], was_marked: 1, ..mark.told };
            make(&place, told).map(drop)
        }
    }
}

/// Another run lives that has marked the target.
pub(super) fn refused_in_work(job: &BlocksJob) -> BlocksError {
    let path = job.target.display();
    BlocksError::refused(format!(
        "another run writes to the target \"{path}\"; wait for its end, or use --allow=in-use"
    ))
}

/// A run that looks at a part alone leaves the rest of an incomplete target as it is, and would take the
/// mark away.
fn refuse_part(job: &BlocksJob, is_shorter: bool) -> Result<(), BlocksError> {
    let settings = &job.settings;
    let is_left = is_shorter && settings.sizes == Sizes::Ignore;
    if !settings.writes_target() || !(settings.changed.is_some() || is_left) {
        return Ok(());
    }
    let path = job.target.display();
    Err(BlocksError::refused(format!(
        "the target \"{path}\" was left incomplete by another run, and this one would look at a part of it; \
         run once without --changed-ranges and with all of the source"
    )))
}

/// Says what kept a mark from being removed.
pub(super) fn remove(place: &Place) -> Option<String> {
    let removed = place.dir.remove_file(&place.name);
    match removed.and_then(|()| operator::sync_name(&place.path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let path = place.path.display();
            Some(format!(
                "lanesync: the target is complete, but \"{path}\" says that it is not and could not be removed: \
                 {error}"
            ))
        }
        _ => None,
    }
}

/// Whether some of the units are in a target as it is.
fn are_there(units: &UnitDigests, target: &Image, all: Units) -> bool {
    let (mut buffer, map) = (piece_buffer(), Map::default());
    let between = units.len().div_ceil(SAMPLES).max(1);
    let mut samples = units.iter().step_by(between).chain(units.last_key_value());
    samples.all(|(number, digest)| {
        let range = all.range(*number);
        let there = map.of(Some(target), &range).ok().and_then(|extents| {
            digest_of(target, &mut buffer, all.begin(*number), &range, &extents).ok()
        });
        range.end <= target.bytes() && there == Some(*digest)
    })
}

/// The mark of a target that was left incomplete by a run which read this very source.
fn mark_of(job: &BlocksJob, source: &Source, target: &Image) -> Option<Place> {
    let state_dir = job.settings.state_dir.as_deref();
    let place = Place::of(&job.target, target, state_dir, Missing::Leave).ok()??;
    let Found::Mark(mark) = place.find() else { return None };
    let lengths = (mark.told.image_bytes, mark.told.target_bytes);
    let told = Told::of(job, (source, target), lengths);
    ((told.source, told.target) == (mark.told.source, mark.told.target)).then_some(place)
}

/// Whether a target was left incomplete by such a run.
pub(super) fn is_of(job: &BlocksJob, source: &Source, target: &Image) -> bool {
    mark_of(job, source, target).is_some()
}

/// Such a run had all but ended: what it has written was found to be all, and is on the disk.
pub(super) fn settle_complete(job: &BlocksJob, source: &Source, target: &Image) -> Option<String> {
    remove(&mark_of(job, source, target)?)
}

impl Work {
    /// Takes what an earlier run has verified of a unit; false if that is nothing.
    pub(super) fn take_verified(&self, number: u64, length: usize) -> Result<bool, BlocksError> {
        let digest = self.journal.as_ref().and_then(|journal| journal.verified(number, length));
        let Some(digest) = digest else { return Ok(false) };
        self.digests.add_right(number, digest);
        self.note_right(number, &digest)?;
        Ok(true)
    }

    /// Notes that a unit of the target is right.
    pub(super) fn note_right(&self, number: u64, digest: &UnitDigest) -> Result<(), BlocksError> {
        let (Some(journal), Some(target)) = (&self.journal, &self.target) else { return Ok(()) };
        let noted = if journal.is_kept() { journal.note(number, digest, target) } else { Ok(()) };
        noted.map_err(|error| self.fault(Side::Destination, Verb::Sync, &error))
    }

    /// Before the target is changed.
    pub(super) fn mark_incomplete(&self) {
        if let Some(journal) = &self.journal {
            journal.begin();
        }
    }

    /// The mark goes, or tells all that it can.
    pub(super) fn settle_mark(&self, done: &Result<(), BlocksError>) {
        let is_of_target =
            matches!(done, Err(BlocksError::Fault(fault)) if fault.side == Side::Destination);
        match (&self.journal, &self.target) {
            (Some(journal), _) if done.is_ok() => journal.remove(),
            (Some(journal), _) if is_of_target => journal.revoke(),
            // Why the run ended early is told already.
            (Some(journal), Some(target)) => drop(journal.flush(target)),
            _ => {}
        }
    }
}
