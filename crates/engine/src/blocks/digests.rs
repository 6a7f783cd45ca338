//! The digests of the units: the BLAKE3 of the image comes of them, and what is read back is held
//! against them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use delta::image::{Digesting, ImageHash, UNIT_BYTES, UnitDigest, Units};
use fs::image::Image;
use model::blocks::{BlocksSettings, Digest, Hashing, ReadBack};
use model::{Cause, Side, Verb};
use parking_lot::Mutex;

use super::extents::Map;
use super::unit::{Buffers, length_of};
use super::{BlocksError, Work};

/// More of holes is not digested unless that was asked for: nobody reads them, and a sparse image may have
/// any length.
const CHEAP_HOLE_BYTES: u64 = 1 << 30;

pub(super) struct Digests {
    units: Units,
    wanted: Digest,
    read_back: ReadBack,
    /// `None` once it is not to be had.
    hash: Mutex<Option<ImageHash>>,
    is_hash_wanted: AtomicBool,
    /// Digests are kept in a journal.
    are_kept: bool,
    hole_bytes: AtomicU64,
    /// Of units that are read back.
    to_read_back: Mutex<BTreeMap<u64, UnitDigest>>,
}

impl Digests {
    pub(super) fn new(units: Units, settings: &BlocksSettings) -> Self {
        let (wanted, is_dry) = (settings.digest, settings.dry_run);
        // Who says what has changed does not want the rest to be read.
        let is_wanted = match wanted {
            // What another host tells then is nothing that it could be made of.
            _ if settings.hash != Hashing::Blake3 => false,
            Digest::Always => true,
            Digest::Cheap => settings.changed.is_none(),
            Digest::Never => false,
        };
        Self {
            units,
            wanted,
            read_back: if is_dry { ReadBack::Nothing } else { settings.read_back },
            hash: Mutex::new(is_wanted.then(|| ImageHash::new(units))),
            is_hash_wanted: AtomicBool::new(is_wanted),
            are_kept: false,
            hole_bytes: AtomicU64::new(0),
            to_read_back: Mutex::default(),
        }
    }

    /// Makes those that a journal keeps, unless none shall be made.
    pub(super) fn for_journal(self, is_kept: bool) -> Self {
        Self { are_kept: is_kept && self.wanted != Digest::Never, ..self }
    }

    /// How the image is cut.
    pub(super) fn units(&self) -> Units {
        self.units
    }

    /// Whether anybody wants digests of units.
    pub(super) fn are_wanted(&self) -> bool {
        self.are_kept
            || self.is_hash_wanted.load(Ordering::Relaxed)
            || self.read_back != ReadBack::Nothing
    }

    /// Begins the digest of a unit; `None` if nobody wants it.
    pub(super) fn begin(&self, number: u64) -> Option<Digesting> {
        self.are_wanted().then(|| self.units.begin(number))
    }

    /// Takes what a unit shall be, and whether it was that all the while: then it need not be read back.
    /// Gives its digest.
    pub(super) fn note(&self, digesting: Digesting, is_changed: bool) -> UnitDigest {
        let number = digesting.number();
        let digest = digesting.finish();
        self.note_digest(number, digest, is_changed);
        digest
    }

    /// The same where the digest is made.
    pub(super) fn note_digest(&self, number: u64, digest: UnitDigest, is_changed: bool) {
        self.add(number, digest);
        let is_read_back = match self.read_back {
            ReadBack::Nothing => false,
            ReadBack::Written => is_changed,
            ReadBack::All => true,
        };
        if is_read_back {
            self.to_read_back.lock().insert(number, digest);
        }
    }

    /// Takes the digest of a unit that an earlier run has made right. That run ended before it read anything
    /// back.
    pub(super) fn add_right(&self, number: u64, digest: UnitDigest) {
        self.add(number, digest);
        if self.read_back != ReadBack::Nothing {
            self.to_read_back.lock().insert(number, digest);
        }
    }

    /// A unit has nothing but zeros, and nobody has read it.
    pub(super) fn note_hole(&self, number: u64, length: usize) {
        if !self.is_hash_wanted.load(Ordering::Relaxed) {
            return;
        }
        let before = self.hole_bytes.fetch_add(length as u64, Ordering::Relaxed);
        if self.wanted == Digest::Cheap && before > CHEAP_HOLE_BYTES {
            return self.miss();
        }
        self.add(number, self.of_zeros(number, length));
    }

    /// Takes the digest of a unit.
    pub(super) fn add(&self, number: u64, digest: UnitDigest) {
        if let Some(hash) = &mut *self.hash.lock() {
            hash.add(number, digest);
        }
    }

    /// The digest of a unit that has nothing but zeros.
    pub(super) fn of_zeros(&self, number: u64, length: usize) -> UnitDigest {
        static ZEROS: [u8; UNIT_BYTES] = [0; UNIT_BYTES];

        let (mut digesting, mut left) = (self.units.begin(number), length);
        while left > 0 {
            let piece = left.min(ZEROS.len());
            digesting.update(&ZEROS[..piece]);
            left -= piece;
        }
        digesting.finish()
    }

    /// Of a unit it is not known what is in it.
    pub(super) fn miss(&self) {
        self.is_hash_wanted.store(false, Ordering::Relaxed);
        *self.hash.lock() = None;
    }

    /// The BLAKE3 of the image, if all of it was seen.
    pub(super) fn root(&self) -> Option<[u8; 32]> {
        self.hash.lock().clone()?.finish().map(Into::into)
    }
}

impl Work {
    /// Reads units back and holds them against what they shall be.
    pub(super) fn read_back(&self, target: &Image) -> Result<(), BlocksError> {
        // What was written may have been a hole.
        let (mut buffers, map) = (Buffers::of(self.digests.units), Map::default());
        let units = std::mem::take(&mut *self.digests.to_read_back.lock());
        for (number, digest) in units {
            self.cancel.check().map_err(|_| BlocksError::Stopped)?;
            let range = self.digests.units.range(number);
            let extents = map
                .of(Some(target), &range)
                .map_err(|error| self.fault(Side::Destination, Verb::LookAt, &error))?;
            let made = if self.digester.makes_root() {
                let begun = self.digests.units.begin(number);
                self.digest_of_target(&mut buffers, begun, &range, &extents)?
            } else {
                let old = &mut buffers.old[..length_of(&range)];
                self.read_target(&range, &extents, old)?;
                self.digest(&range, old).unwrap_or_default()
            };
            if made != digest {
                let cause = Cause::VerificationFailed;
                return Err(self.fault_because(Side::Destination, Verb::Verify, cause));
            }
            self.counts.verified.fetch_add(range.end - range.start, Ordering::Relaxed);
        }
        Ok(())
    }
}
