//! Who has slots.

use std::collections::BTreeMap;

use crate::bucket::StationId;

use super::event::Millis;

/// So long after a station was lost its movers may still be at work.
const ZOMBIES_LIVE: u64 = 20_000;

/// All stations that are up.
#[derive(Clone, Debug, Default)]
pub(super) struct Stations {
    free: BTreeMap<StationId, u32>,
    /// From then on nobody works who has no lease.
    quiet_at: Millis,
}

impl Stations {
    /// A station can take so many leases at once.
    pub(super) fn up(&mut self, station: StationId, slots: u32) {
        self.free.insert(station, slots);
    }

    /// A station is gone.
    pub(super) fn lost(&mut self, now: Millis, station: StationId) {
        if self.free.remove(&station).is_some() {
            self.quiet_at = now.after(ZOMBIES_LIVE);
        }
    }

    /// From then on nobody works who has no lease.
    pub(super) fn quiet_at(&self) -> Millis {
        self.quiet_at
    }

    /// The station with most free slots.
    pub(super) fn freest(&self) -> Option<StationId> {
        let freest = self.free.iter().filter(|(_, free)| **free > 0).max_by_key(|(_, free)| **free);
        freest.map(|(station, _)| *station)
    }

    /// A slot of it is taken.
    pub(super) fn take(&mut self, station: StationId) {
        if let Some(free) = self.free.get_mut(&station) {
            *free -= 1;
        }
    }

    /// A slot of it is free again.
    pub(super) fn give_back(&mut self, station: StationId) {
        if let Some(free) = self.free.get_mut(&station) {
            *free += 1;
        }
    }
}
