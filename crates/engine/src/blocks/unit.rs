//! One unit of an image: both sides are read and compared; what differs is kept, if it is to be, and
//! then written.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use delta::blocks::{self, Change, ChangedRun};
use delta::image::{Digesting, UNIT_BYTES, UnitDigest, Units};
use fs::image::Image;
use model::blocks::Zeros;
use model::{Cause, Gauges, Side, Verb};

use super::extents::Extents;
use super::source::Source;
use super::{BlocksError, Work, pieces};

/// What is read of each side at once: both stay in the cache of a core while they are compared. With all of
/// a unit a comparison takes a tenth longer.
const PIECE_BYTES: usize = 128 << 10;

/// Ranges that are remembered to give back their room at the end, 16 MiB of them: beyond, zeros stay written.
const CLEARED_MAX: usize = 1 << 20;

/// What a worker reads into.
pub(super) struct Buffers {
    pub(super) new: Vec<u8>,
    pub(super) old: Vec<u8>,
}

impl Buffers {
    /// For a unit of each side.
    pub(super) fn of(units: Units) -> Self {
        let bytes = usize::try_from(units.unit_bytes()).expect("a unit is short");
        Self { new: vec![0; bytes], old: vec![0; bytes] }
    }
}

impl Work {
    /// Brings over a unit, given where both sides have something in it.
    pub(super) fn unit(
        &self,
        buffers: &mut Buffers,
        range: &Range<u64>,
        in_source: &Extents,
        in_target: &Extents,
    ) -> Result<(), BlocksError> {
        let length = length_of(range);
        let number = self.digests.units().number_at(range.start);
        if in_source.is_empty() && in_target.is_empty() {
            count(&self.counts.skipped, length);
            self.digests.note_hole(number, length);
            if let Some(delta) = &self.delta_out {
                delta.note_hole(number);
            }
            return Ok(());
        }
        if self.take_verified(number, length)? {
            return Ok(());
        }
        if !self.is_to_look_at(range) {
            count(&self.counts.skipped, length);
            self.digests.miss();
            return Ok(());
        }
        let piece_bytes = self.piece_bytes();
        let mut digesting = self.digests.begin(number);
        let mut of_base = self.delta_out.as_ref().and_then(|it| Some((it, it.begin(number)?)));
        let (mut start, mut is_changed) = (range.start, false);
        while start < range.end {
            let piece = start..range.end.min(start + piece_bytes);
            start = piece.end;
            is_changed |= self.piece(buffers, &piece, in_source, in_target)?;
            if let Some(digesting) = &mut digesting {
                digesting.update(&buffers.new[..length_of(&piece)]);
            }
            if let Some((delta, of_base)) = &mut of_base {
                delta.update(of_base, &piece, &buffers.old[..length_of(&piece)]);
            }
        }
        if let Some((delta, of_base)) = of_base {
            delta.note(of_base);
        }
        if let Some(digesting) = digesting {
            let digest = self.digests.note(digesting, is_changed);
            self.note_right(number, &digest)?;
        }
        Ok(())
    }

    fn block_bytes(&self) -> usize {
        usize::try_from(self.settings().block_bytes)
            .map_or(UNIT_BYTES, |it| it.clamp(1, UNIT_BYTES))
    }

    /// How much is compared at once: whole blocks; and all of a unit where what is written over waits until
    /// it is kept on the disk, or where room is given back in greater pieces.
    pub(super) fn piece_bytes(&self) -> u64 {
        let is_whole_unit = self.undo.is_some()
            || self.room_bytes > PIECE_BYTES as u64
            || !PIECE_BYTES.is_multiple_of(self.block_bytes());
        if is_whole_unit { UNIT_BYTES as u64 } else { PIECE_BYTES as u64 }
    }

    /// Brings over a part of a unit; says whether anything differs.
    fn piece(
        &self,
        buffers: &mut Buffers,
        range: &Range<u64>,
        in_source: &Extents,
        in_target: &Extents,
    ) -> Result<bool, BlocksError> {
        let length = length_of(range);
        let (in_source, in_target) = (in_source.within(range), in_target.within(range));
        let (new, old) = (&mut buffers.new[..length], &mut buffers.old[..length]);
        if let Source::Here(image, _) = &self.source {
            let read = in_source.read(image.file(), range, new);
            read.map_err(|error| self.source_error(Verb::Read, &error))?;
        }
        self.read_target(range, &in_target, old)?;
        let is_changed = self.change(range, new, old)?;
        self.give_back_holes(range, new, &in_target.without(&in_source))?;
        Ok(is_changed)
    }

    /// Gives back what holds zeros, and is a hole in the source.
    pub(super) fn give_back_holes(
        &self,
        range: &Range<u64>,
        new: &[u8],
        source_holes: &[Range<u64>],
    ) -> Result<(), BlocksError> {
        if self.settings().writes_target() {
            // What was a hole when the source was asked may have been filled since.
            let is_hole = |hole: &&Range<u64>| {
                blocks::is_zero(&new[place_in(range, hole.start)..place_in(range, hole.end)])
            };
            self.give_back(source_holes.iter().filter(is_hole))?;
        }
        Ok(())
    }

    /// Makes the target have in a range what it shall, given what it has; says whether that differs.
    pub(super) fn change(
        &self,
        range: &Range<u64>,
        new: &[u8],
        old: &[u8],
    ) -> Result<bool, BlocksError> {
        let runs = blocks::changed_runs(new, old, self.block_bytes());
        self.count_runs(new.len(), &runs);
        if let Some(delta) = &self.delta_out {
            self.put_down(delta, range, &runs, new)?;
        } else if self.settings().writes_target() && !runs.is_empty() {
            self.mark_incomplete();
            self.keep_old(range, &runs, old)?;
            self.write(range, &runs, new)?;
        }
        Ok(!runs.is_empty())
    }

    /// False where nothing is said to have changed.
    pub(super) fn is_to_look_at(&self, range: &Range<u64>) -> bool {
        self.settings().changed.as_ref().is_none_or(|changed| {
            let first = changed.partition_point(|changed| changed.end <= range.start);
            changed.get(first).is_some_and(|changed| changed.start < range.end)
        })
    }

    /// The digest of what the target has in a unit.
    pub(super) fn digest_of_target(
        &self,
        buffers: &mut Buffers,
        digesting: Digesting,
        range: &Range<u64>,
        extents: &Extents,
    ) -> Result<UnitDigest, BlocksError> {
        let target = self.target.as_ref().ok_or_else(|| super::internal("there is no target"))?;
        let digest = digest_of(target, &mut buffers.old, digesting, range, extents);
        digest.map_err(|cause| self.fault_because(Side::Destination, Verb::Read, cause))
    }

    /// Reads what the target has in a range.
    pub(super) fn read_target(
        &self,
        range: &Range<u64>,
        extents: &Extents,
        buffer: &mut [u8],
    ) -> Result<(), BlocksError> {
        let Some(target) = &self.target else {
            buffer.fill(0);
            return Ok(());
        };
        let read = extents.read(target.file(), range, buffer);
        read.map_err(|error| self.fault_because(Side::Destination, Verb::Read, cut_or(&error)))
    }

    fn count_runs(&self, length: usize, runs: &[ChangedRun]) {
        let of = |change| runs.iter().filter(move |run| run.change == change);
        let sum = |change| of(change).map(|run| run.range.len()).sum::<usize>();
        let (written, cleared) = (sum(Change::Write), sum(Change::Clear));
        count(&self.counts.written, written);
        count(&self.counts.cleared, cleared);
        count(&self.counts.equal, length - written - cleared);
    }

    /// Keeps what is about to be written over.
    fn keep_old(
        &self,
        range: &Range<u64>,
        runs: &[ChangedRun],
        old: &[u8],
    ) -> Result<(), BlocksError> {
        let Some(undo) = &self.undo else { return Ok(()) };
        let runs =
            runs.iter().map(|run| (range.start + run.range.start as u64, &old[run.range.clone()]));
        undo.keep(runs)
    }

    fn write(
        &self,
        range: &Range<u64>,
        runs: &[ChangedRun],
        new: &[u8],
    ) -> Result<(), BlocksError> {
        let target = self.target_to_write()?;
        for ChangedRun { range: run, change } in runs {
            let start = range.start + run.start as u64;
            let written = match change {
                Change::Write => {
                    let drawn = self.rate.take(run.len() as u64, &self.cancel);
                    drawn.map_err(|_| BlocksError::Stopped)?;
                    target.file().write_all_at(&new[run.clone()], start)
                }
                Change::Clear => self.clear(target, start..start + run.len() as u64),
            };
            written.map_err(|error| self.fault(Side::Destination, Verb::Write, &error))?;
            Gauges::add(&self.gauges.transferred_bytes, run.len() as u64);
        }
        Ok(())
    }

    fn clear(&self, target: &Image, range: Range<u64>) -> io::Result<()> {
        if self.settings().zeros == Zeros::Written {
            return target.write_zeros(range);
        }
        if self.room_bytes <= UNIT_BYTES as u64 {
            return target.clear(range);
        }
        // No unit has all that is given back at once, and yet it must be right before the next one is.
        target.write_zeros(range.clone())?;
        let mut cleared = self.cleared.lock();
        if cleared.len() < CLEARED_MAX {
            cleared.push(range);
        }
        Ok(())
    }

    /// Gives back what is zero in all units that it lies in.
    pub(super) fn give_back_cleared(&self, target: &Image) -> io::Result<()> {
        let mut cleared = std::mem::take(&mut *self.cleared.lock());
        cleared.sort_by_key(|range| range.start);
        for run in cleared.chunk_by(|one, next| one.end == next.start) {
            let (start, end) = (run[0].start, run[run.len() - 1].end);
            let room = start.next_multiple_of(self.room_bytes)..end - end % self.room_bytes;
            if !room.is_empty() {
                target.clear(room)?;
            }
        }
        Ok(())
    }

    /// Gives room back that holds zeros, where the source has holes.
    fn give_back<'a>(
        &self,
        ranges: impl Iterator<Item = &'a Range<u64>>,
    ) -> Result<(), BlocksError> {
        let target = self.target_to_write()?;
        if self.settings().zeros == Zeros::Written || target.device().is_some() {
            return Ok(());
        }
        for range in ranges {
            let given = target.clear(range.clone());
            given.map_err(|error| self.fault(Side::Destination, Verb::Write, &error))?;
        }
        Ok(())
    }

    fn target_to_write(&self) -> Result<&Image, BlocksError> {
        self.target.as_ref().ok_or_else(|| super::internal("there is no target"))
    }
}

/// What a unit is read into piece by piece.
pub(super) fn piece_buffer() -> Vec<u8> {
    vec![0; PIECE_BYTES]
}

/// The digest of what an image has in a unit, read by pieces into a buffer that is long enough for one.
pub(super) fn digest_of(
    image: &Image,
    buffer: &mut [u8],
    mut digesting: Digesting,
    range: &Range<u64>,
    extents: &Extents,
) -> Result<UnitDigest, Cause> {
    for piece in pieces::cut(range, PIECE_BYTES as u64) {
        let buffer = &mut buffer[..length_of(&piece)];
        let read = extents.within(&piece).read(image.file(), &piece, buffer);
        read.map_err(|error| cut_or(&error))?;
        digesting.update(buffer);
    }
    Ok(digesting.finish())
}

/// Why reading has failed: an image that ends early was cut meanwhile.
fn cut_or(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Cause::ChangedDuringCopy,
        _ => error.into(),
    }
}

pub(super) fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

pub(super) fn length_of(range: &Range<u64>) -> usize {
    place_in(range, range.end)
}

/// Where in a unit a place of the image is.
pub(super) fn place_in(range: &Range<u64>, at: u64) -> usize {
    usize::try_from(at - range.start).expect("a unit is short")
}
