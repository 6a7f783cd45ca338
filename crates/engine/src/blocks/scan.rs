//! All units of one image, digested by many workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use delta::image::{ImageHash, UNIT_BYTES, UnitDigest};
use fs::block_device::BlockDevice;
use fs::image::Image;
use model::blocks::BlocksJob;
use model::{Cause, Gauges, Side, Verb};
use parking_lot::Mutex;

use super::extents::Map;
use super::unit::{digest_of, piece_buffer};
use super::{BlocksError, fault_at, internal, stretches, units_here};
use crate::run::Surroundings;

/// The digest of each unit: 32 MiB for each TiB.
pub(super) type UnitDigests = BTreeMap<u64, UnitDigest>;

/// Reads all of the target of a job, which is to have so many bytes in the end, and gives it back.
pub(super) fn units_of(
    image: Image,
    job: &BlocksJob,
    new_bytes: u64,
    around: &Surroundings,
) -> Result<(Image, UnitDigests), BlocksError> {
    let units = units_here(image.bytes());
    let has_head = image.device().is_some_and(BlockDevice::is_rotational);
    let readers = stretches::readers(&job.settings, has_head);
    let all = Arc::new((image, Mutex::new(UnitDigests::new())));
    let (shared, path, cancel) = (Arc::clone(&all), job.target.clone(), around.cancel.clone());
    let gauges = Arc::clone(&around.gauges);
    Gauges::set(&gauges.listed_bytes, new_bytes);
    let map = Map::default();
    stretches::each(all.0.bytes(), readers, &around.cancel, move |stretch| {
        let (image, digests) = &*shared;
        let fault = |verb, cause| fault_at(&path, Side::Destination, verb, cause);
        let extents = map.of(Some(image), &stretch);
        let extents = extents.map_err(|error| fault(Verb::LookAt, Cause::from(&error)))?;
        let mut buffer = piece_buffer();
        let mut start = stretch.start;
        while start < stretch.end {
            cancel.check().map_err(|_| BlocksError::Stopped)?;
            let unit = start..stretch.end.min(start + UNIT_BYTES as u64);
            start = unit.end;
            let begun = units.begin(unit.start / UNIT_BYTES as u64);
            let number = begun.number();
            let digest = digest_of(image, &mut buffer, begun, &unit, &extents.within(&unit));
            let digest = digest.map_err(|cause| fault(Verb::Read, cause))?;
            digests.lock().insert(number, digest);
            // What is to be cut off is no part of what there will be.
            Gauges::add(&gauges.done_bytes, unit.end.min(new_bytes).saturating_sub(unit.start));
        }
        Ok(())
    })?;
    let (image, digests) = Arc::into_inner(all).ok_or_else(|| internal("a worker is left over"))?;
    let mut digests = digests.into_inner();
    if image.bytes() == 0 {
        digests.insert(0, units.begin(0).finish());
    }
    Ok((image, digests))
}

/// The BLAKE3 of what is so long and has these units.
pub(super) fn root_of(bytes: u64, digests: &UnitDigests) -> Option<[u8; 32]> {
    let mut hash = ImageHash::new(units_here(bytes));
    for (number, digest) in digests {
        hash.add(*number, *digest);
    }
    hash.finish().map(Into::into)
}
