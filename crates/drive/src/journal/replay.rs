//! The journal read again, up to where it was torn.

use std::io;

use crate::store::Store;

use super::record::{FORM, Record};
use super::{Dated, HEAD_BYTES, PAYLOAD_MAX, sum_of};

/// So much may lie behind the last whole frame: what had not been synced when a machine lost its power. With
/// more the file was damaged in its midst.
const TORN_MAX: u64 = 4 << 20;

/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The end of the last whole frame.
    pub end: u64,
    /// Bytes behind it, which were not written whole.
    pub torn: u64,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// What the disk says.
    #[error("working folder: read the journal: {0}")]
    Io(#[from] io::Error),
    /// Much follows on a frame that is not whole.
    #[error(
        "working folder: the journal is damaged at byte {at}, and {behind} bytes follow: \
         begin anew under another --id"
    )]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// How much lies from there on.
        behind: u64,
    },
    /// A frame is whole, and no record that is known.
    #[error(
        "working folder: what the journal has at byte {at} was written by another version: \
         go on with that one, or begin anew under another --id"
    )]
    Foreign {
        /// Where the frame begins.
        at: u64,
    },
}

/// Tells all records to `hear`, in order, and where they end.
pub fn replay<S: Store>(store: &S, hear: &mut dyn FnMut(Dated)) -> Result<Tail, ReplayError> {
    let mut window = Window { store, size: store.size()?, held: Vec::new(), begin: 0 };
    let mut at = 0;
    while let Some(payload) = window.frame(at)? {
        let len = (HEAD_BYTES + payload.len()) as u64;
        let dated: Dated = borsh::from_slice(payload).map_err(|_| ReplayError::Foreign { at })?;
        if matches!(&dated.record, Record::Begin(begin) if begin.form != FORM) {
            return Err(ReplayError::Foreign { at });
        }
        hear(dated);
        at += len;
    }
    let torn = window.size - at;
    if torn > TORN_MAX {
        return Err(ReplayError::Damaged { at, behind: torn });
    }
    Ok(Tail { end: at, torn })
}

/// The part of a store that is in memory.
struct Window<'a, S> {
    store: &'a S,
    size: u64,
    held: Vec<u8>,
    /// Where what is held begins.
    begin: u64,
}

impl<S: Store> Window<'_, S> {
    /// The payload of the frame at `at`; `None` if there is none that is whole.
    fn frame(&mut self, at: u64) -> io::Result<Option<&[u8]>> {
        let Some(head) = self.bytes(at, HEAD_BYTES)? else { return Ok(None) };
        let (len, sum) = head.split_at(4);
        let len = u32::from_le_bytes(len.try_into().map_err(io::Error::other)?) as usize;
        let sum = u64::from_le_bytes(sum.try_into().map_err(io::Error::other)?);
        if len == 0 || len > PAYLOAD_MAX {
            return Ok(None);
        }
        let payload = self.bytes(at + HEAD_BYTES as u64, len)?;
        Ok(payload.filter(|payload| sum_of(at, payload) == sum))
    }

    /// So many bytes from `at` on; `None` if there are fewer.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if self.size.saturating_sub(at) < len as u64 {
            return Ok(None);
        }
        let mut skip = usize::try_from(at - self.begin).map_err(io::Error::other)?;
        if skip + len > self.held.len() {
            self.held.drain(..skip);
            (self.begin, skip) = (at, 0);
            let held = self.held.len();
            self.held.resize(held + PIECE_BYTES.max(len - held), 0);
            let read = self.store.read_at(&mut self.held[held..], at + held as u64)?;
            self.held.truncate(held + read);
        }
        Ok(self.held.get(skip..skip + len))
    }
}
