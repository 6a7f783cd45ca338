//! A target brought into the state that a delta file has (`delta_out`), if it is what that was made for.
//! All of the file is checked, and the target read and held against the base, before the first write.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use delta::image::UNIT_BYTES;
use fs::image::{Access, Image};
use model::blocks::{BlocksJob, BlocksSettings, BlocksSummary, Digest, ReadBack, Sizes};
use model::{Cause, Gauges, Side, Topic, Verb};

use super::delta_out::FORM;
use super::ends::{self, Ends};
use super::extents::Map;
use super::records::{Reader, Record, damaged, number_at};
use super::scan::{self, UnitDigests};
use super::source::Source;
use super::unit::{Buffers, length_of};
use super::{BlocksError, Work, described, fault_at, internal, journal, tell, units_here};
use crate::run::Surroundings;

/// Brings the target of a job into the state that the delta file, its source, tells of. Says what was done
/// as [`run`](super::run) does.
pub fn apply_delta(
    job: &BlocksJob,
    around: &Surroundings,
) -> (Option<BlocksSummary>, Result<(), BlocksError>) {
    let settings = BlocksSettings { digest: Digest::Always, ..job.settings.clone() };
    let job = BlocksJob { settings, ..job.clone() };
    let begun = match begin(&job, around) {
        Ok(Begun::Work(work)) => work,
        Ok(Begun::IsThere(summary)) => return (Some(summary), Ok(())),
        Err(error) => return (None, Err(error)),
    };
    let (mut work, delta, units) = *begun;
    let done = work.apply(&delta, units);
    work.settle_mark(&done);
    (Some(work.summary()), done)
}

enum Begun {
    Work(Box<(Work, Delta, UnitDigests)>),
    /// There is nothing to do.
    IsThere(BlocksSummary),
}

/// What a delta file is about, found whole.
struct Delta {
    base_bytes: u64,
    new_bytes: u64,
    base_root: [u8; 32],
    new_root: [u8; 32],
}

impl Delta {
    /// Reads a file from its beginning to its end.
    fn check(file: &Image, path: &Path) -> Result<Self, BlocksError> {
        let mut reader = Reader::begin(file.file(), path, &FORM)?;
        let [base_bytes, new_bytes] = [0, 8].map(|at| number_at(reader.told(), at));
        while let Some(record) = reader.next()? {
            if record.range.end > new_bytes {
                return Err(damaged(path));
            }
        }
        let (end, headers) = reader.end()?;
        let hash = |at: usize| *end[at..].first_chunk().expect("the end has three hashes");
        if hash(64) != *headers {
            return Err(damaged(path));
        }
        Ok(Self { base_bytes, new_bytes, base_root: hash(0), new_root: hash(32) })
    }
}

/// All that comes before the first write.
fn begin(job: &BlocksJob, around: &Surroundings) -> Result<Begun, BlocksError> {
    let (source, settings) = (&job.source, &job.settings);
    let file = Image::open(source, Access::Read)
        .map_err(|error| fault_at(source, Side::Source, Verb::Open, (&error).into()))?;
    let delta = Delta::check(&file, source)?;
    let (target, is_new) = open_target(job, &file, &delta)?;
    let opened = described::describe(&file)
        .map_err(|error| fault_at(source, Side::Source, Verb::LookAt, (&error).into()))?;
    let file = Source::Here(file, Box::new(opened));
    let (target, units) = match target {
        Some(target) => {
            let (target, units) = scan::units_of(target, job, delta.new_bytes, around)?;
            (Some(target), units)
        }
        None => (None, UnitDigests::from([(0, units_here(0).begin(0).finish())])),
    };
    let target_bytes = target.as_ref().map_or(0, Image::bytes);
    let root = scan::root_of(target_bytes, &units).ok_or_else(|| internal("a unit is missing"))?;
    if let Some(target) =
        target.as_ref().filter(|_| target_bytes == delta.new_bytes && root == delta.new_root)
    {
        return is_there(job, &file, target, (root, around)).map(Begun::IsThere);
    }
    // What a run with this very file has left is neither the one nor the other; the end is the same.
    let is_begun = || target.as_ref().is_some_and(|target| journal::is_of(job, &file, target));
    if (target_bytes != delta.base_bytes || root != delta.base_root) && !is_begun() {
        return Err(other_base(job, &delta, target_bytes));
    }
    refuse_other_length(job, &delta, target.as_ref())?;
    let target = match target {
        None if !settings.dry_run => Some(ends::make(&job.target, file.opened().metadata.mode)?),
        target => target,
    };
    let (image_bytes, watch) = (delta.new_bytes, None);
    let ends = Ends { source: file, target, image_bytes, target_bytes, is_new, watch };
    let work = Work::new(job, ends, around)?;
    Ok(Begun::Work(Box::new((work, delta, units))))
}

/// There is nothing to write, but it may not be on the disk yet, nor the mark gone.
fn is_there(
    job: &BlocksJob,
    file: &Source,
    target: &Image,
    (root, around): ([u8; 32], &Surroundings),
) -> Result<BlocksSummary, BlocksError> {
    if !job.settings.dry_run {
        let failed =
            |error| fault_at(&job.target, Side::Destination, Verb::Sync, Cause::from(&error));
        target.sync_data().map_err(failed)?;
        if let Some(text) = journal::settle_complete(job, file, target) {
            tell(&*around.sink, Topic::Warning, text);
        }
    }
    let (path, source) = (job.target.display(), job.source.display());
    let text =
        format!("\"{path}\" is in the new state of \"{source}\" already; nothing is written");
    tell(&*around.sink, Topic::Notice, text);
    Ok(BlocksSummary {
        source_bytes: file.bytes(),
        image_bytes: target.bytes(),
        equal_bytes: target.bytes(),
        digest: Some(root),
        ..BlocksSummary::default()
    })
}

/// Opens what is there, to be written unless that is a dry run; says whether it is to be made.
fn open_target(
    job: &BlocksJob,
    file: &Image,
    delta: &Delta,
) -> Result<(Option<Image>, bool), BlocksError> {
    let (path, settings) = (&job.target, &job.settings);
    let Some(target) = ends::look_at_target(job)? else {
        if delta.base_bytes > 0 {
            return Err(other_base(job, delta, 0));
        }
        ends::refuse_old_file("--undo", settings.undo.as_deref())?;
        return Ok((None, true));
    };
    ends::refuse_empty_device(path, target.device().is_some(), target.bytes())?;
    ends::refuse_home_of(file, "delta", path, &target)?;
    ends::refuse_to_write(path, settings.allowed, &target)?;
    ends::refuse_old_file("--undo", settings.undo.as_deref())?;
    if ![delta.base_bytes, delta.new_bytes].contains(&target.bytes()) {
        return Err(other_base(job, delta, target.bytes()));
    }
    let target = if settings.dry_run {
        target
    } else {
        ends::open_to_write(path, settings.allowed, &target, Duration::ZERO)?
    };
    if target.device().is_some() {
        target.forget_cached();
    }
    Ok((Some(target), false))
}

fn other_base(job: &BlocksJob, delta: &Delta, target_bytes: u64) -> BlocksError {
    let (path, file) = (job.target.display(), job.source.display());
    let base_bytes = delta.base_bytes;
    let how = if target_bytes == base_bytes {
        "its content is another".to_owned()
    } else {
        format!("that had {base_bytes} bytes, and this has {target_bytes}")
    };
    BlocksError::refused(format!("\"{path}\" is not what \"{file}\" was made for: {how}"))
}

fn refuse_other_length(
    job: &BlocksJob,
    delta: &Delta,
    target: Option<&Image>,
) -> Result<(), BlocksError> {
    let is_device = target.is_some_and(|target| target.device().is_some());
    let may_change = job.settings.sizes == Sizes::Truncate && !is_device;
    let (base_bytes, new_bytes) = (delta.base_bytes, delta.new_bytes);
    if base_bytes == new_bytes || may_change {
        return Ok(());
    }
    let path = job.target.display();
    let how = if is_device {
        "a device cannot be made longer or shorter"
    } else {
        "--truncate does that"
    };
    Err(BlocksError::refused(format!(
        "the target \"{path}\" has {base_bytes} bytes and is to have {new_bytes}; {how}"
    )))
}

impl Work {
    fn apply(&mut self, delta: &Delta, mut units: UnitDigests) -> Result<(), BlocksError> {
        // What changes its length changes the units there, and a single one is no part of a tree.
        let last_shared = self.old_bytes.min(delta.new_bytes) / UNIT_BYTES as u64;
        if self.old_bytes != delta.new_bytes {
            let is_single = |bytes| units_here(bytes).count() == 1;
            let keeps_none = is_single(self.old_bytes) || is_single(delta.new_bytes);
            units.retain(|number, _| *number < last_shared && !keeps_none);
        }
        let path = self.job.source.clone();
        let Source::Here(source, _) = &self.source else {
            return Err(internal("a delta file lies here"));
        };
        let source = source.file();
        // What was found whole a moment ago and is not now was changed.
        let changed = |error| match error {
            BlocksError::Refused(_) => {
                fault_at(&path, Side::Source, Verb::Read, Cause::ChangedDuringCopy).into()
            }
            error => error,
        };
        let mut reader = Reader::begin(source, &path, &FORM).map_err(changed)?;
        let mut buffers = Buffers::of(self.digests.units());
        while let Some(record) = reader.next().map_err(changed)? {
            self.record(&mut buffers, record, &mut units)?;
        }
        let counts = [&self.counts.written, &self.counts.cleared];
        let changed = counts.map(|count| count.load(Ordering::Relaxed));
        let equal = self.image_bytes.saturating_sub(changed.iter().sum());
        self.counts.equal.store(equal, Ordering::Relaxed);
        Gauges::set(&self.gauges.done_bytes, self.image_bytes);
        self.finish()?;
        if self.settings().writes_target() { self.check_root(delta, units) } else { Ok(()) }
    }

    /// Makes the target have what a record says.
    fn record(
        &self,
        buffers: &mut Buffers,
        record: Record,
        units: &mut UnitDigests,
    ) -> Result<(), BlocksError> {
        let Record { range, content } = record;
        let mut start = range.start;
        while start < range.end {
            self.cancel.check().map_err(|_| BlocksError::Stopped)?;
            let piece = start..range.end.min(start + UNIT_BYTES as u64);
            start = piece.end;
            let (first, last) =
                (piece.start / UNIT_BYTES as u64, (piece.end - 1) / UNIT_BYTES as u64);
            units.remove(&first);
            units.remove(&last);
            let extents = self
                .target_map
                .of(self.target.as_ref(), &piece)
                .map_err(|error| self.fault(Side::Destination, Verb::LookAt, &error))?;
            let length = length_of(&piece);
            let new = match &content {
                Some(content) => &content[..],
                None if extents.is_empty() => continue,
                None => {
                    buffers.new[..length].fill(0);
                    &buffers.new[..length]
                }
            };
            let old = &mut buffers.old[..length];
            self.read_target(&piece, &extents, old)?;
            self.change(&piece, new, old)?;
        }
        Ok(())
    }

    /// Reads what was changed, or all if that is wanted, and holds the whole against the file.
    fn check_root(&self, delta: &Delta, mut units: UnitDigests) -> Result<(), BlocksError> {
        let target = self.target.as_ref().ok_or_else(|| internal("there is no target"))?;
        let read_back = self.settings().read_back;
        if read_back == ReadBack::All {
            units.clear();
        }
        let (mut buffers, map, all) =
            (Buffers::of(self.digests.units()), Map::default(), units_here(target.bytes()));
        for number in 0..all.count() {
            if units.contains_key(&number) {
                continue;
            }
            self.cancel.check().map_err(|_| BlocksError::Stopped)?;
            let start = number * UNIT_BYTES as u64;
            let range = start..target.bytes().min(start + UNIT_BYTES as u64);
            let extents = map
                .of(Some(target), &range)
                .map_err(|error| self.fault(Side::Destination, Verb::LookAt, &error))?;
            let digest =
                self.digest_of_target(&mut buffers, all.begin(number), &range, &extents)?;
            units.insert(number, digest);
            if read_back != ReadBack::Nothing {
                let verified = &self.counts.verified;
                verified.fetch_add(range.end - range.start, Ordering::Relaxed);
            }
        }
        if scan::root_of(target.bytes(), &units) != Some(delta.new_root) {
            let cause = Cause::VerificationFailed;
            return Err(self.fault_because(Side::Destination, Verb::Verify, cause));
        }
        for (number, digest) in &units {
            self.digests.add(*number, *digest);
        }
        Ok(())
    }
}
