//! What a target would have to be given to become the source, in a file of its own (`records`), and the
//! target is only read. The file tells how long the target, its *base*, is and is to be, eight bytes each.
//! Its end has the BLAKE3 of the base, of what shall become of it, and of the headers of all records: so
//! nothing in it can change or be missing unnoticed, and it is not taken for that of another base.
//!
//! It has no name until it is complete and on the disk.

use std::ops::Range;
use std::path::{Path, PathBuf};

use delta::blocks::{Change, ChangedRun};
use delta::image::{Digesting, UNIT_BYTES};
use fs::staging::{Naming, Staging};
use fs::{Dir, operator};
use model::blocks::{BlocksSettings, Digest};
use model::{Cause, Gauges, Side, Verb};

use super::digests::Digests;
use super::extents::Map;
use super::records::{Batch, Form, RecordKind, Writer};
use super::unit::Buffers;
use super::{BlocksError, Work, fault_at, internal, units_here};

pub(super) const FORM: Form = Form {
    magic: b"lanesync delta1\n",
    what: "file that --delta-out has made",
    told_bytes: 8 + 8,
    end_bytes: 32 + 32 + 32,
    kinds: &[RecordKind::Content, RecordKind::Zeros],
};

pub(super) struct DeltaOut {
    writer: Writer<Staging>,
    path: PathBuf,
    dir: Dir,
    name: Vec<u8>,
    base: Digests,
    base_bytes: u64,
    /// So many units of the base are seen while both are compared; of the rest there is nothing to compare.
    units_compared: u64,
}

impl DeltaOut {
    /// Begins a file for a base that is so long and is to be so long.
    pub(super) fn create(
        path: &Path,
        base_bytes: u64,
        new_bytes: u64,
    ) -> Result<Self, BlocksError> {
        let failed = |error| fault_at(path, Side::Destination, Verb::Open, Cause::from(&error));
        let (dir, name) = operator::open_parent(path).map_err(failed)?;
        let made = Staging::create(&dir, &name, 0o600, Naming::AnonymousIfPossible);
        let told = [base_bytes.to_le_bytes(), new_bytes.to_le_bytes()].concat();
        let writer = Writer::begin(path, made.map_err(failed)?, &FORM, &told)?;
        let settings = BlocksSettings { digest: Digest::Always, ..BlocksSettings::default() };
        let units_compared = if base_bytes <= new_bytes {
            base_bytes.div_ceil(UNIT_BYTES as u64)
        } else {
            new_bytes / UNIT_BYTES as u64
        };
        let base = Digests::new(units_here(base_bytes), &settings);
        Ok(Self { writer, path: path.to_owned(), dir, name, base, base_bytes, units_compared })
    }

    /// Begins the digest of a unit of the base, if it has one that is compared.
    pub(super) fn begin(&self, number: u64) -> Option<Digesting> {
        (number < self.units_compared).then(|| self.base.begin(number)).flatten()
    }

    /// Takes what the base has in a part of a unit; beyond its end it has nothing.
    pub(super) fn update(&self, digesting: &mut Digesting, range: &Range<u64>, old: &[u8]) {
        let left = self.base_bytes.saturating_sub(range.start);
        let length = usize::try_from(left).map_or(old.len(), |left| left.min(old.len()));
        digesting.update(&old[..length]);
    }

    pub(super) fn note(&self, digesting: Digesting) {
        self.base.add(digesting.number(), digesting.finish());
    }

    /// The base has nothing but zeros in a unit, and nobody has read it.
    pub(super) fn note_hole(&self, number: u64) {
        if number < self.units_compared {
            let left = self.base_bytes - number * UNIT_BYTES as u64;
            let length = usize::try_from(left).unwrap_or(UNIT_BYTES).min(UNIT_BYTES);
            self.base.note_hole(number, length);
        }
    }
}

impl Work {
    /// Puts down what a part of a unit shall be where it differs.
    pub(super) fn put_down(
        &self,
        delta: &DeltaOut,
        range: &Range<u64>,
        runs: &[ChangedRun],
        new: &[u8],
    ) -> Result<(), BlocksError> {
        let mut batch = Batch::default();
        for ChangedRun { range: run, change } in runs {
            let start = range.start + run.start as u64;
            match change {
                Change::Write => {
                    let drawn = self.rate.take(run.len() as u64, &self.cancel);
                    drawn.map_err(|_| BlocksError::Stopped)?;
                    batch.content(start, &new[run.clone()]);
                }
                Change::Clear => batch.zeros(start..start + run.len() as u64),
            }
            Gauges::add(&self.gauges.transferred_bytes, run.len() as u64);
        }
        if batch.is_empty() { Ok(()) } else { delta.writer.append(&batch) }
    }

    /// Ends the file and gives it its name, when both ends were found to be what they were.
    pub(super) fn finish_delta(&self, mut delta: DeltaOut) -> Result<(), BlocksError> {
        self.digest_rest_of_base(&delta)?;
        if let Some(base) = &self.target {
            self.check_target_unchanged(base)?;
        }
        let missing = || internal("a unit has no digest");
        let base = delta.base.root().ok_or_else(missing)?;
        let new = self.digests.root().ok_or_else(missing)?;
        delta.writer.finish(|headers| [base, new, *headers].concat())?;
        let published = delta.writer.held_mut().publish_new(&delta.dir, &delta.name);
        let synced = published.and_then(|()| operator::sync_name(&delta.path));
        synced.map_err(|error| delta.writer.fault(Verb::Publish, &error))
    }

    /// Digests what the base has beyond what was compared.
    fn digest_rest_of_base(&self, delta: &DeltaOut) -> Result<(), BlocksError> {
        let (mut buffers, map) = (Buffers::of(self.digests.units()), Map::default());
        for number in delta.units_compared..units_here(delta.base_bytes).count() {
            self.cancel.check().map_err(|_| BlocksError::Stopped)?;
            let Some(digesting) = delta.base.begin(number) else { continue };
            let start = number * UNIT_BYTES as u64;
            let range = start..delta.base_bytes.min(start + UNIT_BYTES as u64);
            if range.is_empty() {
                delta.note(digesting);
                continue;
            }
            let extents = map.of(self.target.as_ref(), &range);
            let extents =
                extents.map_err(|error| self.fault(Side::Destination, Verb::LookAt, &error))?;
            let digest = self.digest_of_target(&mut buffers, digesting, &range, &extents)?;
            delta.base.add(number, digest);
        }
        Ok(())
    }
}
