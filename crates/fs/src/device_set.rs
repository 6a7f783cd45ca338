//! A small set of devices that any thread may ask without waiting.
//!
//! Sets live as long as the process, which makes one run: asking again in each directory would cost
//! a system call for each. A number stands for another file system only after an umount, and what a
//! run works on is busy and cannot be unmounted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Devices of which something is known. When it is full it forgets what comes later, so that it
/// only fits knowledge which saves a question.
#[derive(Debug)]
pub(crate) struct DeviceSet([AtomicU64; 32]);

/// No device has this number: the kernel's are 32 bits wide, stretched.
const EMPTY: u64 = u64::MAX;

impl DeviceSet {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(EMPTY) }; 32])
    }

    pub(crate) fn contains(&self, device: u64) -> bool {
        self.0
            .iter()
            .map(|slot| slot.load(Ordering::Relaxed))
            .take_while(|&known| known != EMPTY)
            .any(|known| known == device)
    }

    pub(crate) fn insert(&self, device: u64) {
        for slot in &self.0 {
            match slot.compare_exchange(EMPTY, device, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(known) if known == device => return,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceSet;

    #[test]
    fn knows_what_was_inserted_until_it_is_full() {
        let set = DeviceSet::new();
        assert!(!set.contains(0));
        for device in 0..40 {
            set.insert(device);
            set.insert(device);
        }
        assert!((0..32).all(|device| set.contains(device)));
        assert!(!set.contains(39));
    }
}
