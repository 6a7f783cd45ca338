//! What entries count when work is shared out.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

use borsh::{BorshDeserialize, BorshSerialize};

/// What an entry counts, or a directory with all that lies below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Amount {
    /// Names: files, directories and everything else. A directory counts itself.
    pub entries: u64,
    /// Bytes, as the [`Measure`] has them. Those of a directory itself are not counted, since no mover
    /// moves them.
    pub bytes: u64,
}

impl Amount {
    /// Of one entry.
    pub fn of_one(bytes: u64) -> Self {
        Self { entries: 1, bytes }
    }
}

impl Add for Amount {
    type Output = Self;

    /// Ends at the largest number there is: what a cluster says may be anything.
    fn add(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// Which bytes of an entry are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Those that a reader gets: the length of a file.
    #[default]
    Content,
    /// Those that it takes on its file system, holes left out.
    Allocated,
}

/// What makes two buckets equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Their bytes.
    #[default]
    Size,
    /// Their entries, of every kind.
    Files,
    /// Their bytes, and a price for each entry.
    Cost {
        /// What an entry costs beside its bytes, in bytes.
        bytes_per_entry: u64,
    },
}

impl By {
    /// What `amount` weighs.
    pub fn weight(self, amount: Amount) -> u64 {
        match self {
            Self::Size => amount.bytes,
            Self::Files => amount.entries,
            Self::Cost { bytes_per_entry } => {
                amount.bytes.saturating_add(amount.entries.saturating_mul(bytes_per_entry))
            }
        }
    }
}

/// A bucket is handed out when it is so full, in percent: hardly anything fits in any more.
const FULL_PERCENT: u64 = 97;

/// A directory goes whole if it is at most such a part of a bucket: larger ones would leave much room.
const WHOLE_PART: u64 = 4;

/// How much a bucket may hold. What is larger by itself has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Caps {
    /// Whether so much fits into an empty one.
    pub fn hold(self, amount: Amount) -> bool {
        amount.bytes <= self.bytes && amount.entries <= self.entries
    }

    /// What a directory that goes whole may hold.
    #[must_use]
    pub fn of_a_whole(self) -> Self {
        let part = |most: u64| if most == u64::MAX { most } else { most / WHOLE_PART };
        Self { bytes: part(self.bytes), entries: part(self.entries) }
    }

    /// Whether hardly anything fits beside so much.
    pub fn are_nearly_met_by(self, amount: Amount) -> bool {
        let percent = |part: u64, whole: u64| {
            u128::from(part) * 100 >= u128::from(whole) * u128::from(FULL_PERCENT)
        };
        percent(amount.bytes, self.bytes) || percent(amount.entries, self.entries)
    }
}
