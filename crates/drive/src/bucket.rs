//! A bucket, and who has it.

use borsh::{BorshDeserialize, BorshSerialize};
use fleet::line::Span;

/// The number of a bucket in its run, from 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct BucketId(pub u32);

/// The number of a lease. It rises, and is never used twice in a run, whoever conducts it: who answers with
/// another one than was given last is not believed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Epoch(pub u64);

/// A bucket that was given to a slot.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Lease {
    /// Which bucket.
    pub bucket: BucketId,
    /// Under which number.
    pub epoch: Epoch,
}

/// Whether the mover of a bucket goes down into the directories that its lines name: no call of rsync does
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Class {
    /// It does: a line may stand for a directory with all that lies below.
    Deep,
    /// It must not: a directory is named from which all is left out.
    Flat,
}

impl Class {
    /// The class that a line asks for; `None` where either will do.
    pub fn of(span: Span) -> Option<Self> {
        match span {
            Span::Entry | Span::Alone => None,
            Span::Whole => Some(Self::Deep),
            Span::Bare => Some(Self::Flat),
        }
    }
}

impl BucketId {
    /// No bucket, but what a lease of [`Step::Directories`](crate::journal::record::Step) is of.
    pub const DIRECTORIES: Self = Self(u32::MAX - 1);

    /// No bucket, but what a lease of [`Step::Delete`](crate::journal::record::Step) is of.
    pub const DELETE: Self = Self(u32::MAX);
}

/// A process that has slots for movers. One that comes back after it was lost is another one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct StationId(pub u32);
