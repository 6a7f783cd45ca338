//! Compare and plan for entries that are not directories: what each one needs, decided here, and
//! handed to `transfer` to be done.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use fs::Dir;
use model::settings::{Append, ContentCheck, Symlinks};
use model::{
    Cause, Fault, Gauges, ItemFlags, Kind, Metadata, Side, Topic, Verb, Verdict, add_bytes,
};

use crate::descend::IS_IN_NO_DIRECTORY;
use crate::endpoint::{Directory, SignedWhole, SourceDir, SourceFile};
use crate::hard_links::{self, GroupId, Member};
use crate::names::{NameRef, Presence};
use crate::node::Node;
use crate::order::SegmentId;
use crate::read_ahead::{Opened, ReadAhead};
use crate::run::Run;
use crate::task::{Cost, Position, Task, Worker};
use crate::telling::{Subject, Told};
use crate::transfer::whole::FileJob;
use crate::wanted::{Quick, Wanted, quick_check};
use crate::{attributes, basis, delete, finalize, links, scan, transfer};

/// Entries that one task goes through: few enough to be shared, many enough that a directory
/// stays with one worker and its lock is not fought for.
const BATCH: usize = 64;

/// An entry that is not a directory, looked at on both sides.
pub(crate) struct Entry {
    pub(crate) node: Arc<Node>,
    pub(crate) source_dir: SourceDir,
    /// `None` where the destination directory does not exist (dry run, list).
    pub(crate) target_dir: Option<Dir>,
    pub(crate) layer: u16,
    pub(crate) name: Box<[u8]>,
    /// `source` is that of a link's target, and reading goes through the link.
    pub(crate) is_followed: bool,
    pub(crate) source: Metadata,
    pub(crate) existing: Option<Metadata>,
    /// Where its content is read, if not at the source: a file of a basis tree that counts as equal.
    pub(crate) content: Option<Box<Elsewhere>>,
    /// A basis tree has an exact copy, which is made anew without being told.
    pub(crate) is_matched: bool,
    /// An entry of a basis tree that stands for the missing one in what is told.
    pub(crate) reference: Option<Metadata>,
    pub(crate) segment: SegmentId,
    /// Other names of its inode that wait to be linked to it.
    pub(crate) group: Option<GroupId>,
    /// It is brought over for a second time, since its name or its place was taken.
    pub(crate) is_anew: bool,
}

impl Entry {
    /// The rules in force where it lies.
    pub(crate) fn scope(&self) -> &filter::Scope {
        self.node.source.scope_of(self.layer)
    }

    /// True when it gets its name at the end of the run: not if that has come.
    pub(crate) fn is_delayed(&self, run: &Run) -> bool {
        run.settings.write.delay_updates && !self.is_anew
    }

    /// What the destination has under its name.
    pub(crate) fn there(&self) -> Option<There<'_>> {
        Some(There { dir: self.target_dir.as_ref()?, metadata: self.existing.as_ref()? })
    }

    /// Opens its file at the source.
    pub(crate) fn open_source(&self, run: &Run) -> io::Result<SourceFile> {
        if self.is_followed {
            self.source_dir.open_file_following(&self.name, run.access_time())
        } else {
            self.source_dir.open_file(&self.name, run.access_time())
        }
    }

    /// The same where it will be made of an old file.
    pub(crate) fn open_source_to_patch(&self, run: &Run) -> io::Result<SourceFile> {
        self.source_dir.open_file_to_patch(&self.name, self.is_followed, run.access_time())
    }

    /// The same where all of the old file is told.
    pub(crate) fn open_source_to_renew(
        &self,
        run: &Run,
        old: &SignedWhole,
    ) -> io::Result<SourceFile> {
        let how = (self.is_followed, run.access_time());
        self.source_dir.open_file_to_renew(&self.name, how, self.source.size, old)
    }

    /// The same where only a checksum is wanted of it.
    pub(crate) fn open_source_to_sum(&self, run: &Run) -> io::Result<SourceFile> {
        self.source_dir.open_file_to_sum(&self.name, self.is_followed, run.access_time())
    }
}

/// A file of the same name in another directory.
pub(crate) struct Elsewhere {
    pub(crate) dir: Dir,
    pub(crate) metadata: Metadata,
}

impl Elsewhere {
    pub(crate) fn there(&self) -> There<'_> {
        There { dir: &self.dir, metadata: &self.metadata }
    }
}

/// What an entry is compared with: what has its name at the destination or in a basis tree.
#[derive(Clone, Copy)]
pub(crate) struct There<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) metadata: &'a Metadata,
}

/// Goes through a batch of names.
pub(crate) fn run(worker: &mut Worker<'_>, position: Position) {
    let Position { node, found, next, segment } = position;
    let files = found.names.files();
    let end = files.len().min(next + BATCH);
    let run = Arc::clone(&node.run);
    let batch = run.log.open(segment);
    if end < files.len() {
        node.hold();
        run.progress.begin_scan();
        let (node, found) = (Arc::clone(&node), Arc::clone(&found));
        worker.spawn(Task::Files(Position { node, found, next: end, segment }));
    } else {
        run.log.close(segment);
    }
    match Place::open(&node) {
        Ok(mut place) => {
            let files = &files[next..end];
            let mut ahead = ReadAhead::new(run.budgets.descriptors_left());
            for (at, entry) in files.iter().enumerate() {
                if worker.is_cancelled() {
                    break;
                }
                let began = Instant::now();
                let opened = ahead.take(at, files.len(), |at| {
                    place.open_new(found.names.name(&files[at]), &files[at])
                });
                let name = found.names.name(entry);
                let cost = one(worker, &mut place, name, entry, opened, batch);
                worker.sample(cost, began.elapsed(), 1);
            }
        }
        Err(fault) => {
            run.fault(&mut worker.scratch.totals, fault.clone());
            for entry in &files[next..end] {
                let unknown = Metadata::unknown(entry.kind.unwrap_or(Kind::File));
                let name = found.names.name(entry);
                let subject = Subject { node: &node, name, metadata: unknown, segment: batch };
                subject.fail_by(worker, &fault);
            }
        }
    }
    run.log.close(batch);
    run.progress.end_scan();
    finalize::settle(worker, node);
}

/// The open directories that a batch works in.
struct Place<'a> {
    node: &'a Arc<Node>,
    target: Option<Dir>,
    layer: Option<(u16, SourceDir)>,
}

impl<'a> Place<'a> {
    fn open(node: &'a Arc<Node>) -> Result<Self, Fault> {
        let target = node
            .target_dir()
            .map_err(|error| node.target_fault(Verb::OpenDirectory, b".", &error))?;
        Ok(Self { node, target, layer: None })
    }

    /// Opens a file that is new at the destination and has no way around being read.
    fn open_new(&mut self, name: &[u8], entry: &NameRef) -> Option<SourceFile> {
        let run = &self.node.run;
        let will_be_read = entry.kind == Some(Kind::File)
            && entry.presence == Presence::Absent
            && !entry.is_followed
            && !run.settings.dry_run
            && !self.node.is_left_out
            && run.settings.basis.dirs.is_empty()
            && run.settings.compare.fuzzy == 0
            && !may_leave_alone(run);
        if !will_be_read {
            return None;
        }
        self.layer(entry.layer).ok()?.open_file_ahead(name, run.access_time()).ok()
    }

    fn layer(&mut self, number: u16) -> io::Result<SourceDir> {
        match &self.layer {
            Some((open, dir)) if *open == number => Ok(dir.clone()),
            _ => {
                let dir = self.node.layer_dir(number)?;
                Ok(self.layer.insert((number, dir)).1.clone())
            }
        }
    }
}

/// Looks at one name on both sides and begins what it needs.
fn one(
    worker: &mut Worker<'_>,
    place: &mut Place<'_>,
    name: &[u8],
    entry: &NameRef,
    opened: Option<Opened>,
    segment: SegmentId,
) -> Cost {
    let node = place.node;
    let looked = place.layer(entry.layer).and_then(|source_dir| {
        let (metadata, opened) = look(worker.run, &source_dir, name, entry, opened)?;
        Ok((source_dir, metadata, opened))
    });
    let (source_dir, source, opened) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            source_failed(worker, node, name, entry, segment, &error);
            return Cost::Compare;
        }
    };
    if hard_links::has_others(worker.run, &source) {
        count(worker, &source);
        let member = Member {
            node: Arc::clone(node),
            name: name.into(),
            segment,
            layer: entry.layer,
            is_followed: entry.is_followed,
            presence: entry.presence,
        };
        return hard_links::register(worker, member, &source);
    }
    let existing = match look_at_target(node, place.target.as_ref(), name, entry.presence) {
        Ok(existing) => existing,
        Err(fault) => {
            Subject { node, name, metadata: source, segment }.fail(worker, fault);
            return Cost::Compare;
        }
    };
    count(worker, &source);
    let entry = Entry {
        node: Arc::clone(node),
        source_dir,
        target_dir: place.target.clone(),
        layer: entry.layer,
        name: name.into(),
        is_followed: entry.is_followed,
        source,
        existing,
        content: None,
        is_matched: false,
        reference: None,
        segment,
        group: None,
        is_anew: false,
    };
    bring(worker, entry, opened)
}

/// What the destination has under a name.
pub(crate) fn look_at_target(
    node: &Node,
    target_dir: Option<&Dir>,
    name: &[u8],
    presence: Presence,
) -> Result<Option<Metadata>, Fault> {
    let Some(dir) = target_dir.filter(|_| presence != Presence::Absent) else { return Ok(None) };
    match node.run.stat(dir, node.target.name_of(name)) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(node.target_fault(Verb::LookAt, name, &error)),
    }
}

/// The source's metadata. A file that is open already tells its own, which saves a call; one that
/// was opened early must still have the name.
fn look(
    run: &Run,
    dir: &SourceDir,
    name: &[u8],
    entry: &NameRef,
    opened: Option<Opened>,
) -> io::Result<(Metadata, Option<SourceFile>)> {
    if let Some(Opened { file, is_early }) = opened
        && let Ok(metadata) = file.metadata()
        && metadata.kind == Kind::File
        && (!is_early || dir.stat(name)?.is_same_inode(&metadata))
    {
        return Ok((run.as_pretended_file(&file, metadata)?, Some(file)));
    }
    Ok((run.look_at_source(dir, name, entry.is_followed)?, None))
}

fn count(worker: &mut Worker<'_>, source: &Metadata) {
    let totals = &mut worker.scratch.totals;
    totals.listed.add(source.kind, 1);
    if matches!(source.kind, Kind::File | Kind::Symlink) {
        add_bytes(&mut totals.listed_bytes, source.size);
        Gauges::add(&worker.run.progress.gauges.listed_bytes, source.size);
    }
}

fn source_failed(
    worker: &mut Worker<'_>,
    node: &Node,
    name: &[u8],
    entry: &NameRef,
    segment: SegmentId,
    error: &io::Error,
) {
    let gone = error.kind() == io::ErrorKind::NotFound;
    let cause = match gone {
        true if entry.is_followed => Cause::Refused(scan::LEADS_NOWHERE.into()),
        true if entry.picked == 0 => Cause::Vanished,
        _ => Cause::from(error),
    };
    let fault = node.source_fault(Verb::LookAt, entry.layer, name, cause);
    worker.run.deletion.note_fault(&fault);
    let metadata = Metadata::unknown(entry.kind.unwrap_or(Kind::File));
    Subject { node, name, metadata, segment }.fail(worker, fault);
}

/// Brings one entry over: decides what it needs and does it, or spawns the doing.
pub(crate) fn bring(worker: &mut Worker<'_>, mut entry: Entry, opened: Option<SourceFile>) -> Cost {
    let run = worker.run;
    let compare = &run.settings.compare;
    if run.settings.traverse.list_only {
        entry.conclude(worker, Told::new(Verdict::Copied, ItemFlags::NEW));
        return Cost::Compare;
    }
    if entry.node.is_left_out {
        entry.skip_silently(worker, || IS_IN_NO_DIRECTORY.into());
        return Cost::Compare;
    }
    if compare.existing_only && entry.existing.is_none() {
        entry.skip(worker, Topic::Skip, |path| [b"not creating new file \"", path, b"\""].concat());
        return Cost::Compare;
    }
    if compare.ignore_existing && entry.existing.is_some() {
        entry.skip(worker, Topic::Skip, |path| [path, b" exists"].concat());
        return Cost::Compare;
    }
    match entry.source.kind {
        Kind::Symlink if run.settings.links.symlinks == Symlinks::Keep => {
            transfer::symlink::bring(worker, entry)
        }
        kind if kind.is_device() && run.settings.write.copy_devices => {
            entry.source.kind = Kind::File;
            regular(worker, entry, None)
        }
        kind if (kind.is_device() && run.makes_devices())
            || (kind.is_special() && run.settings.preserve.specials) =>
        {
            transfer::special::bring(worker, entry)
        }
        Kind::File => regular(worker, entry, opened),
        Kind::Directory => {
            // It was something else when it was listed.
            let fault = entry.source_fault(Verb::Read, Cause::ChangedDuringCopy);
            entry.fail(worker, fault);
            Cost::Compare
        }
        _ => {
            entry.skip(worker, Topic::Nonreg, |path| {
                [b"skipping non-regular file \"", path, b"\""].concat()
            });
            Cost::Compare
        }
    }
}

/// True when there is a setting that may leave an entry alone, whatever it holds.
pub(crate) fn may_leave_alone(run: &Run) -> bool {
    let (compare, traverse) = (&run.settings.compare, &run.settings.traverse);
    compare.existing_only
        || compare.ignore_existing
        || compare.update_only
        || traverse.max_size.is_some()
        || traverse.min_size.is_some()
}

/// True when a setting leaves an entry alone, whatever it holds.
pub(crate) fn is_left_alone(run: &Run, entry: &Entry) -> bool {
    let compare = &run.settings.compare;
    (compare.existing_only && entry.existing.is_none())
        || (compare.ignore_existing && entry.existing.is_some())
        || (entry.source.kind == Kind::File && left_alone(run, entry).is_some())
}

/// Why a setting leaves alone what has appeared under the name of an entry since that was looked for.
pub(crate) fn leaves_newcomer(
    run: &Run,
    entry: &Entry,
    newcomer: &Metadata,
) -> Option<&'static [u8]> {
    if run.settings.compare.ignore_existing {
        return Some(b" exists");
    }
    is_newer(run, entry, newcomer).then_some(IS_NEWER)
}

/// True when the destination has a file of the name, right or not, or a basis tree its content.
pub(crate) fn is_present(worker: &mut Worker<'_>, entry: &Entry) -> bool {
    entry.existing.is_some_and(|existing| existing.kind == Kind::File)
        || (!worker.run.settings.basis.dirs.is_empty() && basis::has(worker, entry))
}

/// A regular file.
fn regular(worker: &mut Worker<'_>, mut entry: Entry, opened: Option<SourceFile>) -> Cost {
    let run = worker.run;
    if let Some(reason) = left_alone(run, &entry) {
        entry.skip(worker, Topic::Skip, |path| [path, reason].concat());
        return Cost::Compare;
    }
    let writes_device =
        |existing: &Metadata| existing.kind.is_device() && run.settings.write.write_devices;
    if let Some(existing) = entry.existing
        && existing.kind != Kind::File
        && !writes_device(&existing)
    {
        // What stands in the way is not given up for a file that will not come.
        if let Err(fault) = attributes::of_source(run, &entry) {
            entry.fail(worker, fault);
            return Cost::Compare;
        }
        if !delete::obstacle(worker, &entry, &existing) {
            return Cost::Change;
        }
        entry.existing = None;
    }
    if !run.settings.basis.dirs.is_empty() {
        match basis::bring(worker, entry) {
            Ok(cost) => return cost,
            Err(unmet) => entry = *unmet,
        }
    }
    let Some(existing) = entry.existing else { return begin(worker, entry, opened) };
    if existing.is_same_inode(&entry.source) {
        return keep_content(worker, &entry);
    }
    match quick_check(&run.settings, &entry.source, &existing) {
        Quick::Equal => keep_content(worker, &entry),
        Quick::Different => begin(worker, entry, opened),
        Quick::MustRead => transfer::compare::begin(worker, entry),
    }
}

/// Why a file is left alone by its size or age (rsync(1): `--max-size`, `--min-size`, `-u`,
/// `--append`).
fn left_alone(run: &Run, entry: &Entry) -> Option<&'static [u8]> {
    let settings = &run.settings;
    let size = entry.source.size;
    if settings.traverse.max_size.is_some_and(|max| size > max) {
        return Some(b" is over max-size");
    }
    if settings.traverse.min_size.is_some_and(|min| size < min) {
        return Some(b" is under min-size");
    }
    let existing = entry.existing.as_ref()?;
    is_newer(run, entry, existing).then_some(IS_NEWER)
}

/// What is said of a file that `-u` leaves alone.
const IS_NEWER: &[u8] = b" is newer";

/// True where `-u` leaves a file alone that is there.
fn is_newer(run: &Run, entry: &Entry, there: &Metadata) -> bool {
    let compare = &run.settings.compare;
    // As rsync: the window counts in favour of what is there, a negative one against it.
    compare.update_only
        && there.kind == Kind::File
        && entry.source.kind == Kind::File
        && source_lead_secs(entry, there) < compare.modify_window_secs
}

/// How many seconds younger the source is than what is there.
fn source_lead_secs(entry: &Entry, existing: &Metadata) -> i64 {
    entry.source.mtime.secs.saturating_sub(existing.mtime.secs)
}

/// Content is right: attributes are set where they differ.
pub(crate) fn keep_content(worker: &mut Worker<'_>, entry: &Entry) -> Cost {
    match attributes::bring(worker, entry) {
        Ok(flags) => {
            let significant = flags.is_significant();
            let verdict = if significant { Verdict::Metadata } else { Verdict::Equal };
            entry.conclude(worker, Told::new(verdict, flags));
            transfer::brought::content_is_safe(worker, entry);
            if significant { Cost::Change } else { Cost::Compare }
        }
        Err(fault) => {
            entry.fail(worker, fault);
            Cost::Change
        }
    }
}

/// Content must be written: small files at once, long ones as tasks of their own.
pub(crate) fn begin(worker: &mut Worker<'_>, entry: Entry, opened: Option<SourceFile>) -> Cost {
    let run = worker.run;
    if let (Some(existing), true) = (&entry.existing, run.settings.write.append != Append::Off)
        && existing.size >= entry.source.size
    {
        // rsync(1), --append: what is as long or longer is left alone.
        entry.skip(worker, Topic::Skip, |path| [path, b" is not shorter"].concat());
        return Cost::Compare;
    }
    let flags = match transfer_flags(worker, &entry) {
        Ok(flags) => flags,
        Err(fault) => {
            entry.fail(worker, fault);
            return Cost::Change;
        }
    };
    if run.settings.dry_run {
        transfer::whole::pretend(worker, FileJob::new(entry, flags, opened));
        return Cost::Compare;
    }
    hard_links::leader_is_sent(run, &entry);
    let job = FileJob::new(entry, flags, opened);
    // How long a device is shows when it is opened.
    let is_long = job.entry.source.size >= transfer::LONG_FROM_BYTES
        || transfer::device::is_read(run, &job.entry);
    if !is_long {
        transfer::whole::run_small(worker, job);
        return Cost::Create;
    }
    transfer::begin_long(worker, job);
    Cost::Long
}

/// The letters of a file whose content is written.
fn transfer_flags(worker: &mut Worker<'_>, entry: &Entry) -> Result<ItemFlags, Fault> {
    let run = worker.run;
    let mut flags = ItemFlags::TRANSFER;
    let Some(existing) = entry.existing.as_ref().or(entry.reference.as_ref()) else {
        if run.settings.dry_run {
            // A dry run, too, tells of attributes that cannot be read.
            attributes::of_source(run, entry)?;
        }
        return Ok(flags | ItemFlags::NEW);
    };
    if run.settings.compare.content == ContentCheck::Checksum {
        flags |= ItemFlags::CHECKSUM;
    }
    flags.set(ItemFlags::SIZE, entry.source.size != existing.size);
    let told = Wanted::new(&run.settings, &run.identity, &entry.source, Some(existing), 0);
    flags |= told.differences(&run.settings, existing);
    if !run.settings.preserve.mtimes.files {
        flags |= ItemFlags::MTIME | ItemFlags::TIME_OF_TRANSFER;
    }
    match attributes::told_extra_differences(run, entry) {
        Ok(differences) => Ok(flags | differences),
        Err(fault) if fault.side == Side::Destination => {
            // What cannot be read is replaced all the same.
            run.fault(&mut worker.scratch.totals, fault);
            Ok(flags | ItemFlags::XATTR)
        }
        Err(fault) => Err(fault),
    }
}

/// The text of a link as it is stored at the destination.
pub(crate) fn stored_target(run: &Run, target: &[u8]) -> Vec<u8> {
    let target = sent_target(run, target);
    if run.settings.links.munge { links::munged(target) } else { target.to_vec() }
}

/// The text of a link as it counts: not in the form that nobody can follow.
pub(crate) fn sent_target<'a>(run: &Run, target: &'a [u8]) -> &'a [u8] {
    if run.settings.links.unmunge { links::unmunged(target) } else { target }
}
