//! Room on a file system that says that it has none.
//!
//! A file system that allocates late (xfs) holds more blocks back for data that is still in memory
//! than the data will need. What makes room by itself when a file is created or written does not do
//! so when one is linked or renamed, and says `ENOSPC` with a tenth of the disk free. So a step that
//! found no room is taken again after the file system was flushed.
//! Guarded by the test `an_xfs_that_holds_blocks_back_is_not_full`.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::{Errno, retry_on_intr};

/// So often may one step flush: others at work may use up what the first flush made.
const FLUSHES_MAX: u32 = 8;

/// Takes a step that needs room on the file system of `place`, and takes it again as long as a
/// flush may have made some.
pub(crate) fn with_room<T>(
    place: impl AsFd,
    mut step: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    static ROOM: Room = Room::new();
    match step() {
        Err(error) if is_lack(error) => ROOM.once_more(&place.as_fd(), error, step),
        taken => taken,
    }
}

fn is_lack(error: Errno) -> bool {
    matches!(error, Errno::NOSPC | Errno::DQUOT)
}

/// What is free on a file system: blocks, inodes.
type Free = (u64, u64);

/// A file system that can be flushed.
trait Flush {
    /// Which file system it is.
    fn device(&self) -> Option<u64>;

    fn flush(&self);

    fn free(&self) -> Option<Free>;
}

impl Flush for BorrowedFd<'_> {
    fn device(&self) -> Option<u64> {
        rustix::fs::fstat(self).ok().map(|stat| stat.st_dev)
    }

    fn flush(&self) {
        // Whether it made room is told by the step that comes next.
        retry_on_intr(|| rustix::fs::syncfs(self)).ok();
    }

    fn free(&self) -> Option<Free> {
        let now = rustix::fs::fstatvfs(self).ok()?;
        Some((now.f_bfree, now.f_ffree))
    }
}

/// The flushes of this process. Each file system has its own, one at a time, since a flush may take
/// long and is of use to all who lack room there, and to nobody else.
struct Room {
    systems: Mutex<BTreeMap<u64, Arc<Mutex<Flushed>>>>,
}

#[derive(Default)]
struct Flushed {
    times: u64,
    /// While this is still what is free, another flush makes no room.
    left: Option<Free>,
}

impl Room {
    const fn new() -> Self {
        Self { systems: Mutex::new(BTreeMap::new()) }
    }

    #[cold]
    fn once_more<T>(
        &self,
        place: &impl Flush,
        lack: Errno,
        mut step: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let Some(device) = place.device() else { return Err(lack) };
        let flushed = Arc::clone(lock(&self.systems).entry(device).or_default());
        let mut seen = lock(&flushed).times;
        let mut lack = lack;
        for _ in 0..FLUSHES_MAX {
            let is_of_use = make(place, &flushed, &mut seen);
            // In any case: another worker's flush may have come after the step that failed.
            match step() {
                Err(error) if is_lack(error) => lack = error,
                taken => return taken,
            }
            if !is_of_use {
                break;
            }
        }
        Err(lack)
    }
}

/// Flushes, unless another worker did since `seen`; false when it would be of no use.
fn make(place: &impl Flush, flushed: &Mutex<Flushed>, seen: &mut u64) -> bool {
    let mut flushed = lock(flushed);
    if flushed.times == *seen {
        if flushed.left.is_some() && flushed.left == place.free() {
            return false;
        }
        place.flush();
        *flushed = Flushed { times: flushed.times + 1, left: place.free() };
    }
    *seen = flushed.times;
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A disk of which a flush lets some blocks go.
    #[derive(Default)]
    struct Disk {
        device: u64,
        held_back: Cell<u64>,
        free: Cell<u64>,
        flushes: Cell<u32>,
    }

    impl Flush for Disk {
        fn device(&self) -> Option<u64> {
            Some(self.device)
        }

        fn flush(&self) {
            self.flushes.set(self.flushes.get() + 1);
            self.free.set(self.free.get() + self.held_back.take());
        }

        fn free(&self) -> Option<Free> {
            Some((self.free.get(), 0))
        }
    }

    impl Disk {
        /// Takes one block.
        fn take(&self) -> Result<(), Errno> {
            let left = self.free.get().checked_sub(1).ok_or(Errno::NOSPC)?;
            self.free.set(left);
            Ok(())
        }
    }

    #[test]
    fn blocks_that_were_held_back_are_used_after_one_flush() {
        let (room, disk) = (Room::new(), Disk::default());
        disk.held_back.set(5);
        assert_eq!(room.once_more(&disk, Errno::NOSPC, || disk.take()), Ok(()));
        assert_eq!((disk.flushes.get(), disk.free.get()), (1, 4));
    }

    #[test]
    fn a_full_disk_is_flushed_once_and_not_for_each_step() {
        let (room, disk) = (Room::new(), Disk::default());
        for _ in 0..1000 {
            assert_eq!(room.once_more(&disk, Errno::NOSPC, || disk.take()), Err(Errno::NOSPC));
        }
        assert_eq!(disk.flushes.get(), 1);
        // What others held back meanwhile is worth another flush.
        disk.free.set(3);
        disk.take().unwrap();
        disk.held_back.set(1);
        assert_eq!(room.once_more(&disk, Errno::DQUOT, || disk.take()), Ok(()));
        assert_eq!(disk.flushes.get(), 2);
    }

    #[test]
    fn a_step_that_never_finds_room_ends_though_others_come_and_go() {
        let (room, disk) = (Room::new(), Disk::default());
        let failed = room.once_more(&disk, Errno::NOSPC, || {
            disk.free.set(disk.free.get() + 1);
            Err::<(), _>(Errno::DQUOT)
        });
        assert_eq!((failed, disk.flushes.get()), (Err(Errno::DQUOT), FLUSHES_MAX));
    }

    #[test]
    fn a_flush_of_another_worker_serves_as_well() {
        let (flushed, disk) = (Mutex::default(), Disk::default());
        let (mut first, mut late) = (0, 0);
        assert!(make(&disk, &flushed, &mut first) && make(&disk, &flushed, &mut late));
        assert_eq!((first, late, disk.flushes.get()), (1, 1, 1));
    }

    #[test]
    fn a_step_that_failed_before_the_flush_of_another_worker_is_taken_again() {
        let (room, disk) = (Room::new(), Disk::default());
        disk.held_back.set(2);
        assert_eq!(room.once_more(&disk, Errno::NOSPC, || Ok(())), Ok(()));
        assert_eq!(room.once_more(&disk, Errno::NOSPC, || disk.take()), Ok(()));
        assert_eq!((disk.flushes.get(), disk.free.get()), (1, 1));
    }

    /// A disk during whose flush another one lacks room.
    struct Slow<'a> {
        room: &'a Room,
        other: &'a Disk,
    }

    impl Flush for Slow<'_> {
        fn device(&self) -> Option<u64> {
            Some(self.other.device + 1)
        }

        fn flush(&self) {
            let taken = self.room.once_more(self.other, Errno::NOSPC, || self.other.take());
            assert_eq!(taken, Ok(()));
        }

        fn free(&self) -> Option<Free> {
            None
        }
    }

    #[test]
    fn a_flush_of_another_file_system_neither_serves_nor_is_waited_for() {
        let (room, disk) = (Room::new(), Disk::default());
        let other = Disk { device: 1, ..Disk::default() };
        for disk in [&disk, &other] {
            disk.held_back.set(2);
            assert_eq!(room.once_more(disk, Errno::NOSPC, || disk.take()), Ok(()));
            assert_eq!(disk.flushes.get(), 1);
            disk.free.set(0);
        }
        other.held_back.set(3);
        let slow = Slow { room: &room, other: &other };
        assert_eq!(room.once_more(&slow, Errno::NOSPC, || Ok(())), Ok(()));
        assert_eq!((disk.flushes.get(), other.flushes.get()), (1, 2));
    }

    #[test]
    fn other_errors_are_not_about_room() {
        let mut taken = 0;
        let failed = with_room(std::io::stdin(), || {
            taken += 1;
            Err::<(), _>(Errno::ACCESS)
        });
        assert_eq!((taken, failed), (1, Err(Errno::ACCESS)));
    }
}
