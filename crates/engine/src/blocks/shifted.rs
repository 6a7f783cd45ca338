//! Content that lies elsewhere in the target than in the source: bytes were put in or taken out before it.
//!
//! Where units differ, blocks that are spread over the image tell whether that is because all behind some
//! place is shifted. If it is, both sides cut what they have where its content says (`delta::chunks`), and of
//! what is found elsewhere in the target a copy is made that has no name, for units are written where they
//! lie and would destroy what others are made of. From then on units that have moved are compared and made
//! as they come out of the copy (`far`), by the same digests: what was found is nothing but a guess.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use delta::Seed;
use delta::chunks::{Bounds, ChunkSumming, ChunkSums, LONGEST_BYTES};
use delta::moved::{Finding, Moved, OldChunks};
use fs::copy::CopyError;
use fs::image::Image;
use fs::{Copier, File, Sparse};
use model::{Kind, Side, Topic, Verb};
use parking_lot::Mutex;
use wire::{BLOCK_BYTES, Cut, DeltaSeed, Grain};

use super::extents::{Extents, Map};
use super::pieces::READ_BYTES;
use super::unit::length_of;
use super::{BlocksError, Work, fault_at, pieces, stretches, tell};
use crate::endpoint::{AskedChunks, KnownData, RemoteImage};

/// An image or a target that is shorter is not looked at: it has few units.
const LEAST_BYTES: u64 = 4 << 20;

/// Blocks that tell whether content is shifted, spread over the image.
const SAMPLES: u64 = 64;

/// So many of them one behind the other differ where it is: of single changes that would be many.
const SAMPLES_IN_A_ROW: usize = 4;

/// How far behind its place a sample may be, for it to be of data.
const SAMPLE_WITHIN_BYTES: u64 = 16 << 20;

/// Answers on their way.
const ASKED: usize = 4;

/// Sections, spread over what is shifted: if nothing is found in them, nothing more is asked.
const TRIED: usize = 8;

/// Room that is left to others when a copy is made.
const RESERVED_BYTES: u64 = 64 << 20;

/// How often who waits for the search of another looks whether it is still wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is known of shifted content.
pub(super) struct Shifted {
    moved: Moved,
    /// What is taken from the target, at the same places: `None` where the target stays as it is.
    kept: Option<File>,
    /// Where the target has data, as far as that was asked.
    in_target: Map,
}

/// What units are compared with and made of.
pub(super) struct Basis {
    /// What the target has, where they have not moved.
    pub(super) in_target: Extents,
    /// Units that have.
    pub(super) moved: Vec<Range<u64>>,
}

impl Basis {
    fn has_moved(&self, at: u64) -> bool {
        self.moved.iter().any(|unit| unit.contains(&at))
    }
}

impl Work {
    /// Whether something of a range has moved, as far as that is known.
    pub(super) fn has_moved(&self, range: &Range<u64>) -> bool {
        self.shifted().is_some_and(|shifted| !shifted.moved.is_still(range))
    }

    fn shifted(&self) -> Option<&Shifted> {
        self.shifted.get()?.as_ref()
    }

    /// Looks once whether content is shifted, and where it is; who comes meanwhile waits for that.
    pub(super) fn look_for_shifted(self: &Arc<Self>, far: &RemoteImage) -> Result<(), BlocksError> {
        while self.shifted.get().is_none() {
            self.check_cancel()?;
            let Some(_turn) = self.shift_search.try_lock_for(LOOK_AGAIN) else { continue };
            if self.shifted.get().is_none() {
                let found = self.find_shifted(far)?;
                // Nobody else sets it.
                drop(self.shifted.set(found));
            }
        }
        Ok(())
    }

    /// Reads what a range is compared with.
    pub(super) fn read_basis(
        &self,
        range: &Range<u64>,
        basis: &Basis,
        buffer: &mut [u8],
    ) -> Result<(), BlocksError> {
        if basis.moved.is_empty() {
            return self.read_target(range, &basis.in_target.within(range), buffer);
        }
        let (mut start, mut buffer) = (range.start, buffer);
        while start < range.end {
            let unit_end = start - start % Grain::Unit.bytes() + Grain::Unit.bytes();
            let part = start..range.end.min(unit_end);
            start = part.end;
            let (here, rest) = buffer.split_at_mut(length_of(&part));
            buffer = rest;
            match self.shifted() {
                Some(shifted) if basis.has_moved(part.start) => {
                    self.read_moved(shifted, &part, &basis.in_target, here)?;
                }
                _ => self.read_target(&part, &basis.in_target.within(&part), here)?,
            }
        }
        Ok(())
    }

    fn read_moved(
        &self,
        shifted: &Shifted,
        range: &Range<u64>,
        in_target: &Extents,
        mut buffer: &mut [u8],
    ) -> Result<(), BlocksError> {
        for (part, old) in shifted.moved.parts(range) {
            let (here, rest) = buffer.split_at_mut(length_of(&part));
            buffer = rest;
            let Some(old) = old else {
                self.read_target(&part, &in_target.within(&part), here)?;
                continue;
            };
            let old = old..old + (part.end - part.start);
            match (&shifted.kept, &self.target) {
                (Some(kept), _) => {
                    let read = Extents::whole(old.clone()).read(kept, &old, here);
                    read.map_err(|error| self.fault(Side::Destination, Verb::Read, &error))?;
                }
                (None, Some(target)) => {
                    let extents = self.extents_of(target, &shifted.in_target, &old)?;
                    self.read_target(&old, &extents, here)?;
                }
                (None, None) => here.fill(0),
            }
        }
        Ok(())
    }

    fn extents_of(
        &self,
        image: &Image,
        map: &Map,
        range: &Range<u64>,
    ) -> Result<Extents, BlocksError> {
        let extents = map.of(Some(image), range);
        extents.map_err(|error| self.fault(Side::Destination, Verb::LookAt, &error))
    }

    fn find_shifted(self: &Arc<Self>, far: &RemoteImage) -> Result<Option<Shifted>, BlocksError> {
        let Some(target) = self.target.as_ref().filter(|_| self.may_be_shifted()) else {
            return Ok(None);
        };
        let Some(within) = self.shifted_range(far, target)? else { return Ok(None) };
        let seed = fs::process::random_bytes();
        let seed =
            seed.map_err(|error| BlocksError::Internal(format!("draw a secret: {error}")))?;
        let longest_bytes = self.image_bytes.max(target.bytes());
        let cut = Cut { seed: DeltaSeed(seed), longest_bytes };
        let old = self.cut_target(target, cut)?;
        let found = self.find_moved(far, &old, (&within, cut))?;
        let bounds = Bounds::of(longest_bytes);
        if found.moved_bytes() < bounds.most_bytes() as u64 {
            return Ok(None);
        }
        drop(old);
        let moved = found.settle(&within, self.old_bytes, bounds);
        let in_target = Map::default();
        if !self.settings().writes_target() {
            return Ok(Some(Shifted { moved, kept: None, in_target }));
        }
        let kept = self.keep_moved(target, &moved)?;
        Ok(kept.map(|kept| Shifted { moved, kept: Some(kept), in_target }))
    }

    fn may_be_shifted(&self) -> bool {
        let is_file = |image: &Image| image.device().is_none();
        let bytes = [self.image_bytes, self.old_bytes];
        // The paths of a job on a tree are only told.
        self.watch.is_none()
            && self.source.opened().metadata.kind == Kind::File
            && self.target.as_ref().is_some_and(is_file)
            && self.settings().changed.is_none()
            && bytes.iter().all(|bytes| (LEAST_BYTES..=LONGEST_BYTES).contains(bytes))
    }

    /// Within what blocks differ one after the other.
    fn shifted_range(
        &self,
        far: &RemoteImage,
        target: &Image,
    ) -> Result<Option<Range<u64>>, BlocksError> {
        let samples = self.samples(target)?;
        if samples.len() < SAMPLES_IN_A_ROW {
            return Ok(None);
        }
        let failed = |error| self.source_error(Verb::Read, &error);
        let asked = far.ask_digests(&samples, self.digester.pieces(Grain::Block));
        let theirs = asked.map_err(failed)?.wait().map_err(failed)?;
        let (mut row, mut start, mut is_behind) = (0, 0, false);
        let mut within: Option<Range<u64>> = None;
        let mut block = vec![0; pieces::bytes_of(Grain::Block)];
        let permit = self.reading.acquire(1, &self.cancel);
        let _permit = permit.map_err(|_| BlocksError::Stopped)?;
        for (sample, theirs) in samples.iter().zip(theirs) {
            self.check_cancel()?;
            self.read_target(sample, &Extents::whole(sample.clone()), &mut block)?;
            let ours = self.digester.digest(Grain::Block, sample.start, &block);
            // Zeros are everywhere alike.
            let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
            if ours == theirs {
                if let Some(within) = within.as_mut().filter(|_| is_behind) {
                    within.end = sample.start;
                }
                (row, start, is_behind) = (0, sample.start, false);
                continue;
            }
            row += 1;
            if row >= SAMPLES_IN_A_ROW {
                within.get_or_insert(start..self.image_bytes).end = self.image_bytes;
                is_behind = true;
            }
        }
        Ok(within)
    }

    /// Blocks where the target has data, spread over what both have.
    fn samples(&self, target: &Image) -> Result<Vec<Range<u64>>, BlocksError> {
        let end = self.image_bytes.min(self.old_bytes);
        let slot_bytes = end / SAMPLES;
        let (mut samples, map) = (Vec::new(), Map::default());
        for slot in (0..SAMPLES).map(|slot| slot * slot_bytes) {
            self.check_cancel()?;
            let start = (slot + slot_bytes / 2).next_multiple_of(BLOCK_BYTES);
            let within = start..(slot + slot_bytes).min(start + SAMPLE_WITHIN_BYTES);
            if within.is_empty() {
                continue;
            }
            let extents = self.extents_of(target, &map, &within)?;
            let Some(first) = extents.ranges().first() else { continue };
            let start = first.start.next_multiple_of(BLOCK_BYTES);
            if start + BLOCK_BYTES <= first.end.min(end) {
                samples.push(start..start + BLOCK_BYTES);
            }
        }
        Ok(samples)
    }

    /// Cuts all that the target has.
    fn cut_target(self: &Arc<Self>, target: &Image, cut: Cut) -> Result<OldChunks, BlocksError> {
        let bounds = Bounds::of(cut.longest_bytes);
        let old = Arc::new(Mutex::new(OldChunks::default()));
        let (work, all, map) = (Arc::clone(self), Arc::clone(&old), Map::default());
        let end = self.old_bytes.min(target.bytes());
        let each = (bounds.section_bytes() / 4, self.readers);
        stretches::each_of(end, each, &self.cancel, move |stretch| {
            let Some(target) = &work.target else { return Ok(()) };
            let extents = work.extents_of(target, &map, &stretch)?;
            let Some(hull) = hull(&extents) else { return Ok(()) };
            let mut buffer = vec![0; READ_BYTES];
            let permit = work.reading.acquire(1, &work.cancel);
            let _permit = permit.map_err(|_| BlocksError::Stopped)?;
            let mut summing = ChunkSumming::new(&Seed::from(cut.seed.0), bounds);
            for piece in pieces::cut(&hull, READ_BYTES as u64) {
                work.check_cancel()?;
                let buffer = &mut buffer[..length_of(&piece)];
                work.read_target(&piece, &extents.within(&piece), buffer)?;
                summing.push(buffer);
            }
            let sums = summing.finish();
            all.lock().add(hull.start, &sums);
            Ok(())
        })?;
        let mut old = Arc::into_inner(old).map(Mutex::into_inner).unwrap_or_default();
        old.settle();
        Ok(old)
    }

    /// Asks what the source has, section by section.
    fn find_moved(
        &self,
        far: &RemoteImage,
        old: &OldChunks,
        (within, cut): (&Range<u64>, Cut),
    ) -> Result<Finding, BlocksError> {
        let bounds = Bounds::of(cut.longest_bytes);
        let sections: Vec<_> = pieces::cut(within, bounds.section_bytes()).collect();
        let stride = sections.len().div_ceil(TRIED).max(1);
        let spread = (0..stride).flat_map(|first| sections.iter().skip(first).step_by(stride));
        let mut found = Finding::default();
        let mut asked: VecDeque<(Range<u64>, AskedChunks)> = VecDeque::new();
        let (mut spread, mut answers, mut known) = (spread, 0, KnownData::default());
        let failed = |error| self.source_error(Verb::Read, &error);
        loop {
            self.check_cancel()?;
            while asked.len() < ASKED
                && let Some(section) = spread.next()
            {
                if let Some(hull) = far.hull(&mut known, section).map_err(failed)? {
                    asked.push_back((hull.clone(), far.ask_chunks(&hull, cut).map_err(failed)?));
                }
            }
            let Some((hull, next)) = asked.pop_front() else { return Ok(found) };
            let sums: ChunkSums = next.wait(bounds, hull.end - hull.start).map_err(failed)?;
            found.note(old, hull.start, &sums);
            answers += 1;
            if answers == TRIED && found.moved_bytes() == 0 {
                return Ok(found);
            }
        }
    }

    /// Makes a copy of what has moved, if there is room for it.
    fn keep_moved(&self, target: &Image, moved: &Moved) -> Result<Option<File>, BlocksError> {
        let ranges = moved.old_ranges();
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        // What the job itself may need must be left: all of the target where nothing is written over where it
        // lies, and what is kept of the old.
        let undone = if self.undo.is_some() { self.old_bytes } else { 0 };
        let needed = [bytes, self.image_bytes, undone, RESERVED_BYTES].iter().sum();
        let made = fs::operator::real_path(&self.job.target)
            .and_then(|path| fs::operator::open_parent(&path))
            .and_then(|(dir, _)| Ok((dir.free_bytes()?, dir.make_nameless()?)));
        let Ok((free, file)) = made else { return Ok(None) };
        if free < needed || file.set_len(target.bytes()).is_err() {
            self.tell_of_no_copy(free, needed);
            return Ok(None);
        }
        let mut copier = Copier::new();
        let mut go_on = |_| match self.check_cancel() {
            Ok(()) => Ok(()),
            Err(_) => Err(std::io::ErrorKind::Interrupted.into()),
        };
        for range in ranges {
            for piece in pieces::cut(&range, Grain::Unit.bytes()) {
                let copied =
                    copier.copy_range(target.file(), &file, piece, Sparse::KeepHoles, &mut go_on);
                match copied {
                    Ok(copied) if !copied.short => {}
                    Err(CopyError::Observer(_)) => return Err(BlocksError::Stopped),
                    Err(CopyError::Source(error)) => {
                        let fault = fault_at(
                            &self.job.target,
                            Side::Destination,
                            Verb::Read,
                            (&error).into(),
                        );
                        return Err(fault.into());
                    }
                    // There is no room, or the file was cut, of which others tell.
                    Ok(_) | Err(CopyError::Destination(_)) => return Ok(None),
                }
            }
        }
        Ok(Some(file))
    }

    fn tell_of_no_copy(&self, free_bytes: u64, needed_bytes: u64) {
        let target = self.job.target.display();
        let text = format!(
            "the content of \"{target}\" is shifted, and all of it is sent anew: {needed_bytes} bytes of room beside \
             it would have spared that, and there are {free_bytes}"
        );
        tell(&*self.sink, Topic::Warning, text);
    }
}

/// All from the first to the last of what there is.
fn hull(extents: &Extents) -> Option<Range<u64>> {
    let ranges = extents.ranges();
    Some(ranges.first()?.start..ranges.last()?.end)
}
