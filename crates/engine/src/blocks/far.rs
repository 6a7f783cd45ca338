//! A source on another host: what both sides have is compared by digests, of units first, and below those
//! that differ of parts and blocks; what differs is asked for block by block.
//!
//! What a unit comes out as must have the digest that the source told of it, before any of it is written: if
//! it has not, the source was written to meanwhile, or a short digest has deceived, and all of the unit is
//! asked for anew. Where the target has nothing but a hole no digest is told, and what comes has its own sum.
//! Workers are more than readers, for mostly they wait for an answer.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use delta::image::UnitDigest;
use model::{Cause, Side, Verb};
use wire::Grain;

use super::extents::Extents;
use super::pieces::{self, PieceDigest};
use super::shifted::Basis;
use super::unit::{Buffers, count, length_of, place_in};
use super::{BlocksError, Work};
use crate::endpoint::{Blocks, RemoteImage};

/// Stretches in work at once: as much as hides the way to the other host.
pub(super) const WORKERS: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");

/// What is asked for at once, in bytes. A worker waits for this much while the same is on its way.
const BROUGHT_BYTES: u64 = 2 << 20;

/// How often a unit that came out as another is asked for anew.
const TRIES: usize = 3;

/// A unit that is compared.
struct Unit {
    number: u64,
    range: Range<u64>,
    in_source: Extents,
    in_target: Extents,
    /// The target has it elsewhere.
    has_moved: bool,
}

impl Unit {
    fn has(&self, range: &Range<u64>) -> bool {
        self.range.contains(&range.start)
    }
}

/// What a unit must come out as.
enum Expected {
    Told(PieceDigest),
    /// Nothing was asked: all of it comes.
    Unknown,
}

/// What becomes of a unit.
struct Patch {
    unit: Unit,
    expected: Expected,
    /// What is zeros in the source.
    zeros: Vec<Range<u64>>,
    /// What is asked for.
    wanted: Vec<Range<u64>>,
}

impl Patch {
    fn zeros(unit: Unit) -> Self {
        let zeros = vec![unit.range.clone()];
        Self { unit, expected: Expected::Told(None), zeros, wanted: Vec::new() }
    }

    fn whole(unit: Unit) -> Self {
        let wanted = vec![unit.range.clone()];
        Self { unit, expected: Expected::Unknown, zeros: Vec::new(), wanted }
    }
}

/// A piece of both sides.
struct Compared {
    range: Range<u64>,
    ours: PieceDigest,
    theirs: PieceDigest,
}

impl Work {
    /// Brings a stretch over, given what the target has in it.
    pub(super) fn stretch_of_there(
        self: &Arc<Self>,
        far: &RemoteImage,
        buffers: &mut Buffers,
        stretch: &Range<u64>,
        in_target: &Extents,
    ) -> Result<(), BlocksError> {
        let told = far.extents(stretch);
        let in_source = told.map_err(|error| self.source_error(Verb::LookAt, &error))?;
        let (mut patches, mut compared) = (Vec::new(), Vec::new());
        for range in pieces::cut(stretch, Grain::Unit.bytes()) {
            let number = self.digests.units().number_at(range.start);
            let (in_source, in_target) = (in_source.within(&range), in_target.within(&range));
            let has_moved = self.has_moved(&range);
            let unit = Unit { number, range, in_source, in_target, has_moved };
            let is_fresh = unit.in_target.is_empty() && !unit.has_moved && !self.settings().dry_run;
            if unit.in_source.is_empty() && unit.in_target.is_empty() {
                self.skip(&unit);
                self.digests.note_hole(number, length_of(&unit.range));
            } else if self.take_verified(number, length_of(&unit.range))? {
                self.pass(&unit.range);
            } else if !self.is_to_look_at(&unit.range) {
                self.skip(&unit);
                self.digests.miss();
            } else if unit.in_source.is_empty() {
                patches.push(Patch::zeros(unit));
            } else if is_fresh {
                patches.push(Patch::whole(unit));
            } else {
                compared.push(unit);
            }
        }
        patches.extend(self.compare(far, buffers, compared)?);
        self.bring_patches(far, buffers, patches)
    }

    fn skip(&self, unit: &Unit) {
        count(&self.counts.skipped, length_of(&unit.range));
        self.pass(&unit.range);
    }

    /// Finds what differs in units that both sides have.
    fn compare(
        self: &Arc<Self>,
        far: &RemoteImage,
        buffers: &mut Buffers,
        mut units: Vec<Unit>,
    ) -> Result<Vec<Patch>, BlocksError> {
        let ranges = pieces::joined(units.iter().map(|unit| unit.range.clone()));
        let mut compared = self.look(far, (&ranges, Grain::Unit), &basis_of(&units))?;
        if differ_mostly(&compared) {
            self.look_for_shifted(far)?;
        }
        self.look_in_the_other_place(&mut units, &mut compared)?;
        let basis = basis_of(&units);
        let look = |ranges: &[Range<u64>], grain| self.look(far, (ranges, grain), &basis);
        let told: Vec<_> = compared.iter().map(|unit| (unit.differs(), unit.theirs)).collect();
        let parts = look(&below(&compared), Grain::Part)?;
        let blocks = look(&below(&parts), Grain::Block)?;
        let mut patches = Vec::new();
        for (unit, (differs, theirs)) in units.into_iter().zip(told) {
            if !differs && !unit.has_moved {
                self.leave(buffers, &unit, theirs)?;
                continue;
            }
            if theirs.is_none() {
                patches.push(Patch::zeros(unit));
                continue;
            }
            let in_unit = |piece: &&Compared| piece.differs() && unit.has(&piece.range);
            let pieces = parts.iter().chain(&blocks).filter(in_unit);
            let zeros = pieces.filter(|piece| piece.theirs.is_none());
            let zeros = zeros.map(|piece| piece.range.clone()).collect();
            let wanted = blocks.iter().filter(in_unit).filter(|piece| piece.theirs.is_some());
            let wanted = pieces::joined(wanted.map(|piece| piece.range.clone()));
            patches.push(Patch { unit, expected: Expected::Told(theirs), zeros, wanted });
        }
        Ok(patches)
    }

    /// The digests of both sides for pieces of ranges.
    fn look(
        &self,
        far: &RemoteImage,
        (ranges, grain): (&[Range<u64>], Grain),
        basis: &Basis,
    ) -> Result<Vec<Compared>, BlocksError> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        self.check_cancel()?;
        // Both sides read at once.
        let asked = far.ask_digests(ranges, self.digester.pieces(grain));
        let asked = asked.map_err(|error| self.source_error(Verb::Read, &error))?;
        let mut ours = Vec::new();
        let permit = self.reading.acquire(1, &self.cancel).map_err(|_| BlocksError::Stopped)?;
        for range in ranges {
            ours.extend(self.digests_of_basis(grain, range, basis)?);
        }
        drop(permit);
        let theirs = asked.wait().map_err(|error| self.source_error(Verb::Read, &error))?;
        let cut = ranges.iter().flat_map(|range| pieces::cut(range, grain.bytes()));
        let both = ours.into_iter().zip(theirs);
        Ok(cut.zip(both).map(|(range, (ours, theirs))| Compared { range, ours, theirs }).collect())
    }

    /// Looks at units that differ once more, where they may be right in another place: where they lie, or where
    /// they were found by now.
    fn look_in_the_other_place(
        &self,
        units: &mut [Unit],
        compared: &mut [Compared],
    ) -> Result<(), BlocksError> {
        for (unit, piece) in units.iter_mut().zip(compared) {
            let was_moved = unit.has_moved;
            let may_be = piece.theirs.is_some() && (was_moved || self.has_moved(&unit.range));
            if !piece.differs() || !may_be {
                continue;
            }
            let permit = self.reading.acquire(1, &self.cancel);
            let _permit = permit.map_err(|_| BlocksError::Stopped)?;
            unit.has_moved = !was_moved;
            let digests = self.digests_of_basis(Grain::Unit, &unit.range, &basis_of([&*unit]))?;
            let ours = digests.first().copied().flatten();
            if was_moved && ours != piece.theirs {
                unit.has_moved = true;
            } else {
                piece.ours = ours;
            }
        }
        Ok(())
    }

    /// The digests of what is there already.
    fn digests_of_basis(
        &self,
        grain: Grain,
        range: &Range<u64>,
        basis: &Basis,
    ) -> Result<Vec<PieceDigest>, BlocksError> {
        self.digester.digests(grain, range, |part, buffer| {
            self.check_cancel()?;
            self.read_basis(part, basis, buffer)
        })
    }

    /// A unit is what it shall be, but for room that holds zeros where the source has holes.
    fn leave(
        &self,
        buffers: &mut Buffers,
        unit: &Unit,
        digest: PieceDigest,
    ) -> Result<(), BlocksError> {
        let length = length_of(&unit.range);
        if unit.in_target.without(&unit.in_source).is_empty() {
            count(&self.counts.equal, length);
        } else {
            self.read_target(&unit.range, &unit.in_target, &mut buffers.old[..length])?;
            buffers.new[..length].copy_from_slice(&buffers.old[..length]);
            self.change_unit(buffers, unit)?;
        }
        self.note(unit, digest, false)
    }

    /// Asks for what is wanted, some of it while the last is worked on.
    fn bring_patches(
        &self,
        far: &RemoteImage,
        buffers: &mut Buffers,
        patches: Vec<Patch>,
    ) -> Result<(), BlocksError> {
        let mut groups = groups(patches).into_iter().map(|group| {
            let wanted: Vec<_> = group.iter().flat_map(|patch| patch.wanted.clone()).collect();
            let is_asked = !wanted.is_empty() && !self.settings().dry_run;
            let asked = is_asked.then(|| far.ask_blocks(&wanted)).transpose();
            let asked = asked.map_err(|error| self.source_error(Verb::Read, &error))?;
            Ok::<_, BlocksError>((group, asked))
        });
        let (mut next, mut late) = (groups.next().transpose()?, Vec::new());
        while let Some((group, asked)) = next {
            self.check_cancel()?;
            next = groups.next().transpose()?;
            let blocks = match asked {
                Some(asked) => asked.wait(),
                None => Ok(Blocks::default()),
            };
            let blocks = blocks.map_err(|error| self.source_error(Verb::Read, &error))?;
            for patch in group {
                late.extend(self.patch(buffers, patch, &blocks)?);
            }
        }
        // Not before: who waits while an answer waits for him holds what others need room for.
        late.into_iter().try_for_each(|unit| self.again(far, buffers, &unit))
    }

    /// Makes a unit of what is there and what has come. Gives it back if it came out as another.
    fn patch(
        &self,
        buffers: &mut Buffers,
        patch: Patch,
        blocks: &Blocks,
    ) -> Result<Option<Unit>, BlocksError> {
        let Patch { unit, expected, zeros, wanted } = patch;
        let (range, length) = (&unit.range, length_of(&unit.range));
        self.read_old(buffers, &unit)?;
        let Buffers { new, old } = buffers;
        let (new, old) = (&mut new[..length], &old[..length]);
        if unit.has_moved {
            let permit = self.reading.acquire(1, &self.cancel);
            let _permit = permit.map_err(|_| BlocksError::Stopped)?;
            self.read_basis(range, &basis_of([&unit]), new)?;
        } else {
            new.copy_from_slice(old);
        }
        for zeros in zeros {
            new[place_in(range, zeros.start)..place_in(range, zeros.end)].fill(0);
        }
        let digest = match expected {
            Expected::Told(told) if self.settings().dry_run => {
                stand_in(range, &wanted, new);
                told
            }
            Expected::Told(told) => {
                put(range, blocks, new);
                let made = self.digest(range, new);
                if made != told {
                    return Ok(Some(unit));
                }
                made
            }
            Expected::Unknown => {
                put(range, blocks, new);
                let is_wanted = self.digests.are_wanted();
                if is_wanted { self.digest(range, new) } else { None }
            }
        };
        let is_changed = self.change_unit(buffers, &unit)?;
        self.note(&unit, digest, is_changed).map(|()| None)
    }

    fn read_old(&self, buffers: &mut Buffers, unit: &Unit) -> Result<(), BlocksError> {
        let permit = self.reading.acquire(1, &self.cancel);
        let _permit = permit.map_err(|_| BlocksError::Stopped)?;
        let old = &mut buffers.old[..length_of(&unit.range)];
        self.read_target(&unit.range, &unit.in_target, old)
    }

    /// Asks for all of a unit anew, until what comes is what is told of it.
    fn again(
        &self,
        far: &RemoteImage,
        buffers: &mut Buffers,
        unit: &Unit,
    ) -> Result<(), BlocksError> {
        let failed = |error| self.source_error(Verb::Read, &error);
        let (range, length) = (&unit.range, length_of(&unit.range));
        self.read_old(buffers, unit)?;
        for _ in 0..TRIES {
            self.check_cancel()?;
            let ranges = std::slice::from_ref(range);
            let told =
                far.ask_digests(ranges, self.digester.pieces(Grain::Unit)).map_err(failed)?;
            let blocks = far.ask_blocks(ranges).map_err(failed)?;
            let told = told.wait().map_err(failed)?;
            let new = &mut buffers.new[..length];
            put(range, &blocks.wait().map_err(failed)?, new);
            let made = self.digest(range, new);
            if told == [made] {
                let is_changed = self.change_unit(buffers, unit)?;
                return self.note(unit, made, is_changed);
            }
        }
        Err(self.fault_because(Side::Source, Verb::Read, Cause::ChangedDuringCopy))
    }

    pub(super) fn digest(&self, range: &Range<u64>, bytes: &[u8]) -> PieceDigest {
        self.digester.digest_of_unit(range.start, bytes)
    }

    /// Writes what differs in the buffers of a unit.
    fn change_unit(&self, buffers: &Buffers, unit: &Unit) -> Result<bool, BlocksError> {
        let (in_source, in_target) = (&unit.in_source, &unit.in_target);
        let mut is_changed = false;
        for piece in pieces::cut(&unit.range, self.piece_bytes()) {
            let at = place_in(&unit.range, piece.start)..place_in(&unit.range, piece.end);
            let holes = in_target.within(&piece).without(&in_source.within(&piece));
            let (new, old) = (&buffers.new[at.clone()], &buffers.old[at]);
            is_changed |= self.change(&piece, new, old)?;
            self.give_back_holes(&piece, new, &holes)?;
        }
        Ok(is_changed)
    }

    /// A unit has come to its end.
    fn note(&self, unit: &Unit, digest: PieceDigest, is_changed: bool) -> Result<(), BlocksError> {
        let Unit { number, range, .. } = unit;
        if self.digests.are_wanted() {
            let of_zeros = || self.digests.of_zeros(*number, length_of(range));
            let digest = match digest {
                Some(digest) => digest,
                None if self.digester.makes_root() => of_zeros(),
                None => UnitDigest::default(),
            };
            self.digests.note_digest(*number, digest, is_changed);
            // What a secret goes into tells no later run anything.
            if self.digester.makes_root() {
                self.note_right(*number, &digest)?;
            }
        }
        self.pass(range);
        Ok(())
    }
}

impl Compared {
    fn differs(&self) -> bool {
        self.ours != self.theirs
    }
}

/// What units are compared with.
fn basis_of<'a>(units: impl IntoIterator<Item = &'a Unit> + Clone) -> Basis {
    let all = units.clone().into_iter();
    let in_target = all.flat_map(|unit| unit.in_target.ranges().to_vec()).collect();
    let moved = units.into_iter().filter(|unit| unit.has_moved);
    Basis {
        in_target: Extents::of(in_target),
        moved: moved.map(|unit| unit.range.clone()).collect(),
    }
}

/// Whether of what is compared most differs that is zeros nowhere.
fn differ_mostly(compared: &[Compared]) -> bool {
    let both = |piece: &&Compared| piece.ours.is_some() && piece.theirs.is_some();
    let differing = compared.iter().filter(both).filter(|piece| piece.differs()).count();
    differing > 0 && differing * 2 >= compared.len()
}

/// What is to be looked at more closely: what differs and is not zeros.
fn below(compared: &[Compared]) -> Vec<Range<u64>> {
    let differing = compared.iter().filter(|piece| piece.differs() && piece.theirs.is_some());
    pieces::joined(differing.map(|piece| piece.range.clone()))
}

/// Patches of which each group is asked for at once.
fn groups(patches: Vec<Patch>) -> Vec<Vec<Patch>> {
    let (mut groups, mut bytes): (Vec<Vec<Patch>>, u64) = (Vec::new(), 0);
    for patch in patches {
        let wanted: u64 = patch.wanted.iter().map(|range| range.end - range.start).sum();
        match groups.last_mut() {
            Some(group) if bytes + wanted <= BROUGHT_BYTES => {
                group.push(patch);
                bytes += wanted;
            }
            _ => {
                groups.push(vec![patch]);
                bytes = wanted;
            }
        }
    }
    groups
}

/// Puts blocks that have come into their places in a unit.
fn put(range: &Range<u64>, blocks: &Blocks, new: &mut [u8]) {
    for (block, content) in blocks.iter() {
        if !range.contains(&block.start) {
            continue;
        }
        let place = place_in(range, block.start)..place_in(range, block.end);
        match content {
            Some(content) => new[place].copy_from_slice(content),
            None => new[place].fill(0),
        }
    }
}

/// In a dry run nothing comes: each block becomes one that differs and is no zeros.
fn stand_in(range: &Range<u64>, wanted: &[Range<u64>], new: &mut [u8]) {
    for block in wanted.iter().flat_map(|range| pieces::cut(range, wire::BLOCK_BYTES)) {
        let first = &mut new[place_in(range, block.start)];
        *first = if *first == 1 { 2 } else { 1 };
    }
}
