//! Whether there is room at the destination: once there is none, one mover at a time finds out.

use crate::bucket::Lease;

/// Whether there is room at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Room {
    /// As far as is known.
    #[default]
    Enough,
    /// A mover has said that there is none; others are still running, and may make some.
    Waiting,
    /// This one finds out.
    Probing(Lease),
}

/// What a mover has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no room.
    Full,
    /// It had some.
    Some,
    /// It did not get so far.
    Nothing,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Known,
    /// There is no room, for the first time.
    NoMore,
    /// There is none, and nobody is left who could make some.
    Over,
}

impl Room {
    /// Whether a mover may begin beside so many.
    pub(super) fn admits(self, running: usize) -> bool {
        match self {
            Self::Enough => true,
            Self::Waiting => running == 0,
            Self::Probing(_) => false,
        }
    }

    /// A mover begins.
    pub(super) fn begin(&mut self, lease: Lease) {
        if *self == Self::Waiting {
            *self = Self::Probing(lease);
        }
    }

    /// A mover has ended.
    pub(super) fn ended(&mut self, lease: Lease, found: Found) -> Verdict {
        let is_probe = *self == Self::Probing(lease);
        match found {
            Found::Full if is_probe => return Verdict::Over,
            Found::Full if *self == Self::Enough => {
                *self = Self::Waiting;
                return Verdict::NoMore;
            }
            Found::Some if is_probe => *self = Self::Enough,
            Found::Nothing if is_probe => *self = Self::Waiting,
            _ => {}
        }
        Verdict::Known
    }
}
