//! What follows on the end of a try: a table, and nothing else.

use crate::journal::record::Over;
use crate::mover::{End, Outcome};

/// Before entries that failed are tried again: who was writing there may have ended by then.
pub(super) const FAILED_WAIT: u64 = 2000;

/// The longest wait before a bucket is tried again.
const WAIT_MAX: u64 = 60_000;

/// Before a bucket is given again that a slot has given back.
const GIVEN_BACK_WAIT: u64 = 1000;

/// Parts of a bucket that was tried often enough: three times, and the bad one of 4,000 lines is alone.
pub(super) const PARTS: usize = 16;

/// How often such a part is tried.
const APART_TRIES: u16 = 2;

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is over.
    Over(Over),
    /// The entries that failed are tried again, and nothing else of it.
    PartFailed,
    /// All of it is tried again after so many milliseconds.
    Again {
        /// How long it waits.
        wait: u64,
        /// Whether this try counts.
        counts: bool,
    },
    /// It is parted, to find out which line it is.
    PartInto,
    /// It is not tried again.
    Fail,
    /// The other end could not be reached.
    Unreached,
    /// The other end takes no more movers.
    Busy,
    /// There is no room at the destination.
    Full,
    /// No bucket can be moved.
    Hopeless,
}

/// How often a bucket is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tries {
    /// How often it was tried before, and failed.
    pub(super) before: u16,
    /// How often the user wants a bucket to be tried again.
    pub(super) retries: u16,
    /// Whether it is a part of a bucket that was tried often enough.
    pub(super) is_apart: bool,
}

impl Tries {
    /// Whether the try that has failed now was the last.
    pub(super) fn are_used_up(self) -> bool {
        let most = if self.is_apart { APART_TRIES } else { self.retries.saturating_add(1) };
        self.before.saturating_add(1) >= most
    }

    /// After a try that has failed, and nobody knows at which entry.
    pub(super) fn untold(self, wait: u64) -> Then {
        match self.are_used_up() {
            false => Then::Again { wait, counts: true },
            true if self.retries == 0 => Then::Fail,
            true => Then::PartInto,
        }
    }
}

/// What follows on the end of a try.
pub(super) fn after(outcome: &Outcome, tries: Tries) -> Then {
    match &outcome.end {
        End::Done => Then::Over(Over::Done),
        End::Vanished => Then::Over(Over::Vanished),
        End::Partial { is_told: true } if !outcome.failed.is_empty() => {
            if tries.are_used_up() {
                Then::Fail
            } else {
                Then::PartFailed
            }
        }
        End::Partial { .. } => tries.untold(FAILED_WAIT),
        End::Lost { was_up: true, .. } => {
            tries.untold((1000 << tries.before.min(10)).min(WAIT_MAX))
        }
        End::Lost { was_up: false, .. } => Then::Unreached,
        End::Busy(_) => Then::Busy,
        End::Full(_) => Then::Full,
        End::Hopeless(_) => Then::Hopeless,
        End::Stopped => Then::Again { wait: GIVEN_BACK_WAIT, counts: false },
    }
}

/// What went wrong, in words.
pub(super) fn why(outcome: &Outcome) -> String {
    match &outcome.end {
        End::Lost { why, .. } | End::Busy(why) | End::Full(why) => why.clone(),
        End::Hopeless(unfit) => unfit.sentence.clone(),
        End::Partial { .. } => match outcome.failed.as_slice() {
            [] => "some entries failed".to_owned(),
            [first, ..] => first.why.clone(),
        },
        End::Stopped => "it was stopped".to_owned(),
        End::Done | End::Vanished => String::new(),
    }
}

/// The exit code of a try that is the last: a mover that was killed has none.
pub(super) fn code(outcome: &Outcome) -> u8 {
    outcome.code.unwrap_or(match &outcome.end {
        End::Done => 0,
        End::Vanished => 24,
        End::Hopeless(unfit) => unfit.code,
        End::Full(_) => 11,
        End::Busy(_) => 5,
        End::Partial { .. } | End::Lost { .. } | End::Stopped => 23,
    })
}

#[cfg(test)]
mod tests;
