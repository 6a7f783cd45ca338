//! The passes over the tree that a run makes, and what each of them does.
//!
//! Each question has its answer for every pass, so that a new one cannot forget any.

use std::num::NonZeroUsize;

use model::Settings;
use model::settings::{DeleteLimit, DeleteWhen};

/// One way through the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Transfer, and delete in each directory before it is entered.
    Whole,
    /// Transfer only.
    Transfer,
    /// Transfer, and note what is to be deleted when all of it is done.
    DeleteLater,
    /// Only look: whether all of the source can be read, and what the destination holds.
    Survey,
    /// Delete only, before the transfer.
    DeleteFirst,
}

/// Whether other passes have gone through the tree before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Entries are counted in it.
    First,
    Later,
}

/// When what is found to be extraneous goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Not in this pass.
    Never,
    /// When a directory has been listed.
    AtOnce,
    /// When all else is done.
    AtTheEnd,
}

impl Pass {
    /// The passes of a run, in order. The source is not listed again after its transfer: what was
    /// there may have been moved away.
    ///
    /// Where the destination lies inside a source, deletion comes last: by then it is known
    /// whether the destination is left out of the source, and so what is extraneous in it.
    pub(crate) fn of(settings: &Settings, overlaps: bool) -> &'static [Self] {
        let delete = &settings.delete;
        // What a percentage is of must be known before the first deletion.
        let surveys = matches!(delete.limit, DeleteLimit::Percent(_));
        match delete.when {
            DeleteWhen::Never if surveys && delete.force => &[Self::Survey, Self::Transfer],
            DeleteWhen::Never => &[Self::Transfer],
            DeleteWhen::Before if !overlaps => &[Self::Survey, Self::DeleteFirst, Self::Transfer],
            DeleteWhen::During if !overlaps && delete.limit == DeleteLimit::Unlimited => {
                &[Self::Whole]
            }
            _ if surveys => &[Self::Survey, Self::DeleteLater],
            _ => &[Self::DeleteLater],
        }
    }

    /// True when entries are brought over, and told of. Each run has one such pass, the last.
    pub(crate) fn transfers(self) -> bool {
        match self {
            Self::Whole | Self::Transfer | Self::DeleteLater => true,
            Self::Survey | Self::DeleteFirst => false,
        }
    }

    pub(crate) fn deletion(self) -> Deletion {
        match self {
            Self::Whole | Self::DeleteFirst => Deletion::AtOnce,
            Self::DeleteLater => Deletion::AtTheEnd,
            Self::Transfer | Self::Survey => Deletion::Never,
        }
    }

    /// True when a directory that the destination lacks is entered. There is nothing in it to
    /// delete; the other passes learn from it what the source holds.
    pub(crate) fn enters_what_is_not_there(self) -> bool {
        match self {
            Self::Whole | Self::Transfer | Self::DeleteLater | Self::Survey => true,
            Self::DeleteFirst => false,
        }
    }

    /// True when what may be deleted is only known after it.
    pub(crate) fn measures(self) -> bool {
        match self {
            Self::Survey => true,
            Self::Whole | Self::Transfer | Self::DeleteLater | Self::DeleteFirst => false,
        }
    }

    /// How many workers it has. One, where a limit says how many deletions there are: which entries
    /// go must not depend on who comes first.
    pub(crate) fn workers(self, limit: DeleteLimit, usual: sched::Workers) -> sched::Workers {
        match (self, limit) {
            (Self::DeleteFirst, DeleteLimit::Entries(_) | DeleteLimit::Percent(_)) => {
                sched::Workers::Fixed(NonZeroUsize::MIN)
            }
            (Self::DeleteFirst, DeleteLimit::Unlimited)
            | (Self::Whole | Self::Transfer | Self::DeleteLater | Self::Survey, _) => usual,
        }
    }
}
