//! A regular file, written whole into a staging file and published by one rename or link.

use std::io;
use std::sync::Arc;

use delta::Update;
use fs::copy::CopyError;
use fs::staging::{Naming, Staging};
use fs::{Copied, Dir, Existing, File, Sparse};
use model::settings::Staging as StagingChoice;
use model::{
    Cause, Fault, FileGauge, Gauges, Inode, ItemFlags, Kind, Metadata, Topic, Verb, Verdict,
    add_bytes,
};

use crate::attributes::{self, AsksForExtra, Born, Extra, ExtraChange};
use crate::endpoint::{SourceFile, is_damaged};
use crate::entries::Entry;
use crate::hard_links::Dressed;
use crate::newcomer::Unmade;
use crate::run::Run;
use crate::task::Worker;
use crate::telling::Told;
use crate::transfer::brought::content_is_safe;
use crate::transfer::compare::verify;
use crate::transfer::old_file::OldFile;
use crate::transfer::opening::{UseOfSource, came_damaged, open_source};
use crate::transfer::patching::Sides;
use crate::transfer::renewal::Renewal;
use crate::transfer::{
    RANGED_FROM_BYTES, big, device, in_place, in_work, old_file, partial, patching,
};
use crate::wanted::Wanted;
use crate::{backup, entries, finalize, hard_links, newcomer};

/// How often a file that changes while it is read is read in all; see [`changes_always`].
pub(crate) const ATTEMPTS: u32 = 3;

/// A regular file whose content is to be written.
pub(crate) struct FileJob {
    pub(crate) entry: Entry,
    pub(crate) flags: ItemFlags,
    /// The source, if it is open already.
    pub(crate) opened: Option<SourceFile>,
    /// `--append-verify` found other content and wrote all of it.
    pub(crate) is_redone: bool,
    /// The file that an earlier attempt began to write in place, backed up or new.
    pub(crate) begun: Option<File>,
    /// The file that is written in place, while others may not write it.
    pub(crate) in_work: Option<Inode>,
    /// What is told of it while it goes on, where somebody listens.
    gauge: Option<Arc<FileGauge>>,
}

impl FileJob {
    pub(crate) fn new(entry: Entry, flags: ItemFlags, opened: Option<SourceFile>) -> Self {
        Self { entry, flags, opened, is_redone: false, begun: None, in_work: None, gauge: None }
    }

    /// Counts bytes that were there already and stay.
    pub(crate) fn keeps(&self, bytes: u64) {
        if let Some(gauge) = &self.gauge {
            gauge.keep(bytes);
        }
    }

    /// Counts more bytes that were there already.
    pub(crate) fn keeps_more(&self, run: &Run, bytes: u64) {
        if let Some(gauge) = &self.gauge {
            gauge.keep_more(bytes);
        }
        run.note_kept(bytes);
    }

    /// Waits as the rate limit asks, and counts the bytes for the run and the file.
    pub(crate) fn pace(&self, run: &Run, bytes: u64) -> io::Result<()> {
        if let Some(gauge) = &self.gauge {
            gauge.add(bytes);
        }
        run.pace(bytes)
    }

    /// What is told of it while it goes on.
    pub(crate) fn gauge(&self) -> Option<Arc<FileGauge>> {
        self.gauge.clone()
    }

    /// Gives the entry back, of which nothing is written.
    fn give_up(self) -> Entry {
        if let Some(gauge) = self.gauge {
            gauge.finish();
        }
        self.entry
    }

    /// Looks at the source again before the next attempt.
    pub(crate) fn refresh(&mut self, run: &Run) {
        if let Some(gauge) = &self.gauge {
            gauge.restart();
        }
        refresh(run, &mut self.entry);
    }
}

/// Why a file was not brought over.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It failed.
    Fault(Fault),
    /// The source is not what it was when reading began.
    Changed,
    /// The run is being stopped.
    Stopped,
    /// A setting leaves alone what has appeared under its name meanwhile; why.
    LeftAlone(&'static [u8]),
}

/// What is told of a file that has its content and lacks an attribute that could not be set.
pub(crate) type Lacking = Option<Fault>;

/// What it took to make content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) copied: Copied,
    /// How much of it came from an old file.
    pub(crate) matched_bytes: u64,
}

impl From<Copied> for Moved {
    fn from(copied: Copied) -> Self {
        Self { copied, matched_bytes: 0 }
    }
}

/// A file that has its content.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) moved: Moved,
    pub(crate) lacking: Lacking,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Runs a long file as a task.
pub(crate) fn run(worker: &mut Worker<'_>, mut job: FileJob) {
    let node = Arc::clone(&job.entry.node);
    let segment = job.entry.segment;
    if in_place::meets_something(worker.run, &job.entry) {
        newcomer::bring_anew(worker, job.entry);
        node.run.log.close(segment);
        return finalize::settle(worker, node);
    }
    let is_device = device::is_read(worker.run, &job.entry);
    if is_device {
        device::measure(worker, &mut job);
    }
    job.gauge = job.entry.tell_begun(worker.run, job.flags);
    let ranged =
        job.entry.source.size >= RANGED_FROM_BYTES && worker.run.may_copy_in_ranges() && !is_device;
    if ranged {
        // The ranges settle the node when the last of them ends.
        return big::begin_copy(worker, job);
    }
    run_small(worker, job);
    node.run.log.close(segment);
    finalize::settle(worker, node);
}

/// Counts an entry that the end of the run left undone.
pub(crate) fn stopped(worker: &mut Worker<'_>, entry: &Entry) {
    entry.stop(worker);
    hard_links::leader_failed(worker, entry);
}

/// Counts an entry as left out for what has appeared under its name.
pub(crate) fn leave_alone(worker: &mut Worker<'_>, entry: &Entry, why: &[u8]) {
    entry.skip(worker, Topic::Skip, |path| [path, why].concat());
}

/// Writes a file on this worker, from the first byte to the last.
pub(crate) fn run_small(worker: &mut Worker<'_>, mut job: FileJob) {
    let mut attempt = 0;
    let result = loop {
        attempt += 1;
        match write(worker, &mut job) {
            Err(Unmade::Problem(Problem::Changed)) if attempt < ATTEMPTS => job.refresh(worker.run),
            Err(Unmade::Problem(Problem::Changed)) => break Err(changes_always(&job.entry)),
            Err(Unmade::Problem(problem)) => break Err(problem),
            Err(Unmade::NameTaken) => return newcomer::bring_anew(worker, job.give_up()),
            Err(Unmade::InWork(inode)) => return in_work::wait(worker, job.give_up(), inode),
            Ok(written) => break Ok(written),
        }
    };
    if let Some(inode) = job.in_work {
        in_work::end(worker, inode);
    }
    conclude(worker, &job, result);
}

/// Tells how a file ended.
pub(crate) fn conclude(worker: &mut Worker<'_>, job: &FileJob, result: Result<Written, Problem>) {
    if let Some(gauge) = &job.gauge {
        gauge.finish();
    }
    match result {
        Ok(Written { moved, lacking: Some(fault) }) => {
            count_as_written(worker, &job.entry, moved);
            job.entry.fail_in_transfer(worker, fault, job.flags);
            if job.entry.is_delayed(worker.run) {
                partial::wait(worker.run, &job.entry, None);
            } else {
                // Others may be linked to it; its source stays, for it has what the copy lacks.
                hard_links::leader_is_there(worker, &job.entry, Dressed::Partly);
            }
        }
        Ok(Written { moved, lacking: None }) => {
            told_as_written(worker, &job.entry, job.flags, moved);
            if job.is_redone {
                tell_again(worker, &job.entry);
            }
            if job.entry.is_delayed(worker.run) {
                partial::wait(worker.run, &job.entry, Some(as_told(&job.entry, job.flags, moved)));
            } else {
                content_is_safe(worker, &job.entry);
            }
        }
        Err(Problem::Stopped | Problem::Changed) => stopped(worker, &job.entry),
        Err(Problem::LeftAlone(why)) => {
            leave_alone(worker, &job.entry, why);
            hard_links::leader_failed(worker, &job.entry);
        }
        Err(Problem::Fault(fault)) => {
            worker.run.deletion.note_fault(&fault);
            job.entry.fail_in_transfer(worker, fault, job.flags);
            hard_links::leader_failed(worker, &job.entry);
        }
    }
}

/// Tells what a dry run would write.
pub(crate) fn pretend(worker: &mut Worker<'_>, mut job: FileJob) {
    if let Err(problem) = device::check_target(worker, &mut job) {
        return conclude(worker, &job, Err(problem));
    }
    told_as_written(worker, &job.entry, job.flags, Moved::default());
    hard_links::leader_is_there(worker, &job.entry, Dressed::Wholly);
}

/// rsync writes a file whose appended form fails its check a second time, and tells of it again.
fn tell_again(worker: &mut Worker<'_>, entry: &Entry) {
    let note = b" differs in what was there: it was written whole";
    let text = || [entry.path().as_bytes(), note].concat();
    worker.run.say(entry.segment, Topic::Warning, text);
    let flags = ItemFlags::TRANSFER | ItemFlags::MTIME;
    entry.tell_line(worker.run, Told::new(Verdict::Updated, flags));
}

/// Tells what a dry run would copy from a basis tree.
pub(crate) fn pretend_copy(worker: &mut Worker<'_>, entry: &Entry, flags: ItemFlags) {
    entry.conclude(worker, Told::new(Verdict::Copied, flags));
    hard_links::leader_is_there(worker, entry, Dressed::Wholly);
}

fn told_as_written(worker: &mut Worker<'_>, entry: &Entry, flags: ItemFlags, moved: Moved) {
    if flags.contains(ItemFlags::TRANSFER) {
        count_as_written(worker, entry, moved);
    }
    let settings = &worker.run.settings;
    let told = as_told(entry, flags, moved);
    if entry.is_delayed(worker.run) && !settings.dry_run {
        // It counts when it has its name.
        entry.tell_line(worker.run, told);
    } else {
        entry.conclude(worker, told);
    }
}

fn as_told(entry: &Entry, flags: ItemFlags, moved: Moved) -> Told {
    Told { written_bytes: moved.copied.written_bytes, ..Told::new(entry.written_verdict(), flags) }
}

fn count_as_written(
    worker: &mut Worker<'_>,
    entry: &Entry,
    Moved { copied, matched_bytes }: Moved,
) {
    let totals = &mut worker.scratch.totals;
    totals.transferred_files += 1;
    add_bytes(&mut totals.transferred_bytes, entry.source.size);
    add_bytes(&mut totals.literal_bytes, copied.read_bytes.saturating_sub(matched_bytes));
    add_bytes(&mut totals.matched_bytes, matched_bytes);
    add_bytes(&mut totals.written_bytes, copied.written_bytes);
    Gauges::add(&worker.run.progress.gauges.transferred_files, 1);
}

/// A file that changed at each attempt to read it.
pub(crate) fn changes_always(entry: &Entry) -> Problem {
    entry.source_fault(Verb::ReadThreeTimes, Cause::ChangedDuringCopy).into()
}

fn refresh(run: &Run, entry: &mut Entry) {
    entry.source_dir.doubt(&entry.name);
    let now = if entry.is_followed {
        entry.source_dir.stat_following(&entry.name)
    } else {
        run.stat(&entry.source_dir, &entry.name)
    };
    if let Ok(now) = now
        && now.kind == Kind::File
    {
        entry.source = now;
    }
}

/// Writes a file by the way that the settings ask for.
fn write(worker: &mut Worker<'_>, job: &mut FileJob) -> Result<Written, Unmade> {
    if worker.run.settings.write.staging == StagingChoice::InPlace {
        let use_of = in_place::use_of_source(worker.run, &job.entry);
        let source = open_source(worker.run, &mut worker.scratch.totals, job, use_of)?;
        return in_place::write(worker, job, &source);
    }
    let old = old_file::find(worker.run, &job.entry);
    let renewal = old.as_ref().and_then(|old| Renewal::begin(worker.run, &job.entry, old));
    let use_of = match (&renewal, &old) {
        (Some(renewal), _) => UseOfSource::Renew(&renewal.signed),
        (None, Some(_)) => UseOfSource::Patch,
        (None, None) => UseOfSource::Read,
    };
    let source = open_source(worker.run, &mut worker.scratch.totals, job, use_of)?;
    if device::is_end(worker.run, &job.entry, &source)? {
        return Ok(device::write_beside(worker, job, &source)?);
    }
    let mut staged = Staged::create(worker.run, &job.entry)?;
    let moved = match (&old, &renewal, source.take_operations()) {
        (Some(old), Some(renewal), Some(operations)) => {
            preallocate(worker.run, &job.entry, staged.file()).and_then(|()| {
                let sides = Sides { job, source: &source, old: &old.file, target: staged.file() };
                renewal.make(worker, &sides, operations)
            })
        }
        (Some(old), ..) if source.to_patch().is_some() => {
            make_of(worker, job, &source, old, staged.file())
        }
        _ => copy(worker, job, &source, staged.file()).map(Moved::from),
    };
    let moved = match moved {
        Ok(moved) => moved,
        Err(problem) => {
            partial::keep(worker.run, &job.entry, staged, &problem, None);
            return Err(problem.into());
        }
    };
    let lacking = staged.complete(worker.run, &job.entry, &source)?;
    Ok(Written { moved, lacking })
}

/// Makes all content of an old file beside it.
pub(crate) fn make_of(
    worker: &mut Worker<'_>,
    job: &FileJob,
    source: &SourceFile,
    old: &OldFile,
    target: &File,
) -> Result<Moved, Problem> {
    preallocate(worker.run, &job.entry, target)?;
    let sides = Sides { job, source, old: &old.file, target };
    patching::make(worker, &sides, old.bytes, Update::Apart)
}

/// Copies all content, at the pace that the limits allow.
fn copy(
    worker: &mut Worker<'_>,
    job: &FileJob,
    source: &SourceFile,
    target: &File,
) -> Result<Copied, Problem> {
    let (run, entry) = (worker.run, &job.entry);
    preallocate(run, entry, target)?;
    if entry.source.size == 0 {
        return Ok(Copied::default());
    }
    let sparse = sparse(run, &entry.source);
    let mut paced = 0;
    let mut pace = |bytes| {
        paced += bytes;
        job.pace(run, bytes)
    };
    let copied =
        worker.scratch.copier.copy_whole(source, target, entry.source.size, sparse, &mut pace);
    run.progress.end_of_work(paced);
    let copied = copied.map_err(|error| problem(run, entry, error))?;
    if copied.short {
        return Err(Problem::Changed);
    }
    Ok(copied)
}

/// Reserves the space of a file, where the settings ask for it.
pub(crate) fn preallocate(run: &Run, entry: &Entry, target: &File) -> Result<(), Problem> {
    if run.settings.write.preallocate && !entry.source.may_have_holes() {
        let reserved = target.preallocate(entry.source.size);
        reserved.map_err(|error| entry.target_fault(Verb::Preallocate, &error))?;
    }
    Ok(())
}

/// What becomes of holes: kept where the source has them, found with `-S`.
pub(crate) fn sparse(run: &Run, source: &Metadata) -> Sparse {
    match (run.settings.write.find_zeros, source.may_have_holes()) {
        (true, _) => Sparse::FindZeros,
        (false, true) => Sparse::KeepHoles,
        (false, false) => Sparse::None,
    }
}

/// Tells a failed copy from a run that is being stopped.
pub(crate) fn problem(run: &Run, entry: &Entry, error: CopyError) -> Problem {
    if run.ending.explains(error.error()) {
        return Problem::Stopped;
    }
    match error {
        CopyError::Source(error) if entry.content.is_some() => {
            entry.target_fault(Verb::ReadBasis, &error).into()
        }
        CopyError::Source(error) if is_damaged(&error) => came_damaged(entry).into(),
        CopyError::Source(error) => entry.source_fault(Verb::Read, &error).into(),
        CopyError::Destination(error) | CopyError::Observer(error) => {
            entry.target_fault(Verb::Write, &error).into()
        }
    }
}

/// A staging file on its way to its name.
pub(crate) struct Staged {
    pub(crate) staging: Staging,
    pub(crate) wanted: Wanted,
    pub(crate) born: Born,
    inherits: bool,
}

impl Staged {
    /// Creates the staging file of an entry, private until it is published.
    pub(crate) fn create(run: &Run, entry: &Entry) -> Result<Self, Problem> {
        let dir = target_dir(entry)?;
        let wanted = entry.wanted(run);
        let group = entry.node.target.known_birth_group();
        let owner_stays = wanted.uid.is_none_or(|uid| uid == run.identity.uid)
            && wanted.gid.is_none_or(|gid| group == Some(gid));
        // Who is not root sets attributes only of what may be written.
        let is_settable =
            wanted.mode & 0o200 != 0 || run.identity.is_root || !run.settings.has_extra();
        let mode = if owner_stays && is_settable { wanted.mode & 0o777 } else { 0o600 };
        let anonymous = entry.existing.is_none() && run.publishes_at_once();
        let naming = if anonymous { Naming::AnonymousIfPossible } else { Naming::Named };
        let holder = holder(run, entry, dir)?;
        let staging = Staging::create(holder, entry.target_name(), mode, naming)
            .map_err(|error| entry.target_fault(Verb::CreateStaging, &error))?;
        let gid = entry
            .node
            .target
            .birth_group(staging.file())
            .map_err(|error| entry.target_fault(Verb::LookAtStaging, &error))?;
        let born = Born { uid: run.identity.uid, gid, mode: staging.born_mode() };
        let inherits = holder.has_default_acl();
        Ok(Self { staging, wanted, born, inherits })
    }

    /// The file to fill.
    pub(crate) fn file(&self) -> &File {
        self.staging.file()
    }

    /// Checks that the source held still, sets the attributes and publishes the file, with those
    /// that could be set.
    pub(crate) fn complete(
        &mut self,
        run: &Run,
        entry: &Entry,
        source: &SourceFile,
    ) -> Result<Lacking, Problem> {
        let now = source.metadata().map_err(|error| entry.source_fault(Verb::LookAt, &error))?;
        let before = entry.content.as_ref().map_or(&entry.source, |content| &content.metadata);
        if !now.kind.is_device() && (now.size != before.size || now.mtime != before.mtime) {
            return Err(Problem::Changed);
        }
        if run.settings.write.verify {
            let checked = (run.settings.compare.checksum, 0..entry.source.size);
            verify(run, entry, source, self.file(), checked)?;
        }
        // Before the attributes: what is written back late would change the times.
        self.file().check_close().map_err(|error| entry.target_fault(Verb::Write, &error))?;
        let lacking = self.dress(run, entry, source)?;
        if run.settings.write.fsync {
            self.file().sync_all().map_err(|error| entry.target_fault(Verb::Sync, &error))?;
        }
        self.publish(run, entry)?;
        Ok(lacking)
    }

    fn dress(&self, run: &Run, entry: &Entry, source: &SourceFile) -> Result<Lacking, Problem> {
        let extra = if entry.content.is_some() {
            attributes::of_source(run, entry)?
        } else {
            Extra::of_source(run, entry.scope(), &source.attributes())
                .map_err(|error| entry.source_fault(Verb::ReadAttributes, &error))?
        };
        let present = if self.inherits {
            Extra::of_target(run, entry.scope(), self.file().into())
                .map_err(|error| entry.target_fault(Verb::ReadAttributes, &error))?
        } else {
            Extra::default()
        };
        // A default ACL changes the mode a file is born with.
        let mode = if self.inherits { u32::MAX } else { self.born.mode };
        let born = Born { mode, ..self.born };
        let extra = ExtraChange { wanted: extra.with_mode_of(&self.wanted), present };
        let dressed = run.dress(self.file(), born, &self.wanted, &entry.source, extra);
        match dressed {
            // As in rsync: who may read a file whose mode cannot be set is not known, so it is not
            // published.
            Err(unset) if unset.verb == Verb::SetMode => Err(unset.fault(entry).into()),
            dressed => Ok(dressed.err().map(|unset| unset.fault(entry))),
        }
    }

    fn publish(&mut self, run: &Run, entry: &Entry) -> Result<(), Problem> {
        let dir = target_dir(entry)?;
        let name = entry.target_name();
        entry.node.target.touch();
        if entry.is_delayed(run) {
            return partial::put_aside(run, entry, &mut self.staging).map_err(Problem::from);
        }
        give_name(run, entry, Verb::Publish, |existing| match existing {
            Existing::Refuse => self.staging.publish_new(dir, name),
            Existing::Replace => self.staging.publish_replacing(dir, name),
        })?;
        partial::forget(run, entry);
        Ok(())
    }
}

/// Gives a complete file its name by what `publish` does. What it replaces is backed up where the
/// settings ask for it, and what has appeared there since it was looked for is asked about first.
/// Test: `what_appears_under_a_name_meanwhile_is_backed_up_or_left_alone`.
pub(crate) fn give_name(
    run: &Run,
    entry: &Entry,
    verb: Verb,
    mut publish: impl FnMut(Existing) -> io::Result<()>,
) -> Result<(), Problem> {
    let failed = |error: &io::Error| Problem::from(entry.target_fault(verb, error));
    if entry.existing.is_none() {
        match publish(Existing::Refuse) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                entry.node.note_taken(entry.target_name());
                ask_of_newcomer(run, entry)?;
            }
            result => return result.map_err(|error| failed(&error)),
        }
    }
    backup::keep_what_is_there(run, entry)?;
    publish(Existing::Replace).map_err(|error| failed(&error))
}

/// Looks whether a setting leaves alone what has appeared under a name.
fn ask_of_newcomer(run: &Run, entry: &Entry) -> Result<(), Problem> {
    let newcomer = match run.stat(target_dir(entry)?, entry.target_name()) {
        Ok(newcomer) => newcomer,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(entry.target_fault(Verb::LookAt, &error).into()),
    };
    entries::leaves_newcomer(run, entry, &newcomer)
        .map_or(Ok(()), |why| Err(Problem::LeftAlone(why)))
}

/// Where the staging file of an entry is made: in `--temp-dir`, if a rename leads from there to the
/// final name. Copying it once more would gain nothing over making it where it is needed.
fn holder<'a>(run: &'a Run, entry: &Entry, dir: &'a Dir) -> Result<&'a Dir, Problem> {
    let Some(temp_dir) = &run.destination.temp_dir else { return Ok(dir) };
    let reaches = temp_dir
        .can_rename_into(dir)
        .map_err(|error| entry.target_fault(Verb::CreateStaging, &error))?;
    Ok(if reaches { temp_dir } else { dir })
}

/// The destination directory of an entry that is to be written.
pub(crate) fn target_dir(entry: &Entry) -> Result<&Dir, Problem> {
    entry.target_dir.as_ref().ok_or_else(|| {
        let cause = Cause::Refused("its directory is not there; see the earlier message".into());
        entry.target_fault(Verb::Write, cause).into()
    })
}
