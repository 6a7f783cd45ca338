//! What is left of a directory's sums when its largest children have been told.
//!
//! A cluster gives sums of 5,000 children at most. The others have to be read for themselves, and a directory
//! among them comes without sums. To ask for each would cost a request each, for the smallest of them; so they
//! share what is left:
//!
//! - What is known of the others, files and empty directories, is taken off first.
//! - A directory gets of it in proportion to the children that it has, and never more than the smallest of
//!   those whose sums are known: the cluster has told the largest ones.
//! - What is read page by page is shared out page by page: a page may take as much of what is left as it has
//!   of the names that are left, where it is supposed that the pages to come are like it. The last one takes
//!   the remainder.
//!
//! So the children together never come to more than the directory, apart from the least that they must have:
//! the bytes of the files, and the names that were counted.

use crate::amount::Amount;

/// What is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    /// The sums.
    pub(super) left: Amount,
    /// How many children they are the sums of.
    pub(super) names: u64,
    /// The most bytes that one of them has.
    pub(super) most_bytes: u64,
}

/// A child that was read for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// All of it is known.
    Exact(Amount),
    /// A directory with so many children, at least one.
    Directory(u64),
}

/// Whether there are pages after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Pages,
    Nothing,
}

impl Rest {
    /// Shares out what a page may take: what each of its children counts.
    pub(super) fn share(&mut self, page: &[Item], follows: Follows) -> Vec<Amount> {
        let exact = || {
            page.iter().filter_map(|item| match item {
                Item::Exact(amount) => Some(*amount),
                Item::Directory(_) => None,
            })
        };
        let exact: Amount = exact().sum();
        let shares = (page.len() as u64, self.names.max(page.len() as u64));
        let pool = match follows {
            Follows::Nothing => minus(self.left, exact),
            // The pages to come have as much in them that is known.
            Follows::Pages => part(minus(self.left, part(exact, (shares.1, shares.0))), shares),
        };
        let children: u64 = page.iter().map(|item| item.children()).sum();
        let mut before = 0;
        let mut given = Vec::with_capacity(page.len());
        for item in page {
            let after = before + item.children();
            given.push(match *item {
                Item::Exact(amount) => amount,
                Item::Directory(count) => {
                    let own = minus(part(pool, (after, children)), part(pool, (before, children)));
                    Amount {
                        entries: own.entries.max(count.saturating_add(1)),
                        bytes: own.bytes.min(self.most_bytes),
                    }
                }
            });
            before = after;
        }
        self.left = minus(self.left, given.iter().copied().sum());
        self.names = self.names.saturating_sub(page.len() as u64);
        given
    }
}

impl Item {
    /// How many children share in what is left; bounded so that no sum of them is too large.
    fn children(self) -> u64 {
        match self {
            Self::Exact(_) => 0,
            Self::Directory(count) => count.clamp(1, u64::from(u32::MAX)),
        }
    }
}

fn minus(whole: Amount, taken: Amount) -> Amount {
    Amount {
        entries: whole.entries.saturating_sub(taken.entries),
        bytes: whole.bytes.saturating_sub(taken.bytes),
    }
}

/// So many of so many parts; all of nothing is nothing.
fn part(whole: Amount, (some, all): (u64, u64)) -> Amount {
    let of = |number: u64| {
        let share = u128::from(number) * u128::from(some) / u128::from(all.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    };
    Amount { entries: of(whole.entries), bytes: of(whole.bytes) }
}
