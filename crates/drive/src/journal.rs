//! What a run has done, so that it can go on after its death: a file that only grows.
//!
//! ```text
//! frame:   length u32 | sum u64 | payload          all numbers little-endian
//! payload: seconds since 1970 u64, a record        borsh
//! ```
//!
//! The sum is the first 8 bytes of the BLAKE3 of the frame's offset and its payload: a frame proves
//! that it was written whole, and that it was written there. Leases are not told: what was given and has not
//! ended is given again.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::store::Store;

/// What is told.
pub mod record;

/// The journal read again.
pub mod replay;

use record::Record;

/// Most bytes that a payload may have.
const PAYLOAD_MAX: usize = 1 << 20;

/// Bytes of length and sum.
const HEAD_BYTES: usize = 12;

/// A record, and when it was told.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Dated {
    /// Seconds since 1970.
    pub at: u64,
    /// What was told.
    pub record: Record,
}

/// A journal that is written.
#[derive(Debug)]
pub struct Journal<S> {
    store: S,
    /// Where the next frame goes.
    end: u64,
    /// Frames that were not written yet.
    waiting: Vec<u8>,
    records: usize,
}

impl<S: Store> Journal<S> {
    /// So many records wait for a sync at most. What was done and is not told when a run dies is done again,
    /// which costs little.
    pub const UNSYNCED_MAX: usize = 4096;

    /// Goes on behind the first `end` bytes, as [`replay`](replay::replay()) has found them. What else there is
    /// goes: it could pass for frames once others are before it.
    pub fn behind(store: S, end: u64) -> io::Result<Self> {
        if store.size()? != end {
            store.cut(end)?;
            store.sync()?;
        }
        Ok(Self { store, end, waiting: Vec::new(), records: 0 })
    }

    /// Adds a record, which is written by the next [`flush`](Self::flush).
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] if it is longer than a record may be.
    pub fn put(&mut self, dated: &Dated) -> io::Result<()> {
        let payload = borsh::to_vec(dated)?;
        let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_MAX);
        let len = len.ok_or(io::ErrorKind::InvalidInput)?;
        let offset = self.end + self.waiting.len() as u64;
        self.waiting.extend_from_slice(&len.to_le_bytes());
        self.waiting.extend_from_slice(&sum_of(offset, &payload).to_le_bytes());
        self.waiting.extend_from_slice(&payload);
        self.records += 1;
        Ok(())
    }

    /// How many records were added since the last flush.
    pub fn unsynced(&self) -> usize {
        self.records
    }

    /// Writes what was added, and waits until it is on the disk. Lists that it tells of must be there before.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        self.store.write_all_at(&self.waiting, self.end)?;
        self.store.sync()?;
        self.end += self.waiting.len() as u64;
        self.waiting.clear();
        self.records = 0;
        Ok(())
    }
}

fn sum_of(offset: u64, payload: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(payload);
    let mut sum = [0; 8];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(sum)
}

#[cfg(test)]
mod tests;
