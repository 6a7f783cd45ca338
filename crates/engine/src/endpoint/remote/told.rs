//! What was told of entries, kept until it is asked for.
//!
//! A listing is gone through soon after it was made, in the order of names, so what came with it is
//! kept page by page. All directories together keep a bounded amount: what was told first goes first,
//! and is asked for anew if it is wanted after all.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use wire::{IoFault, Name};

use super::known::Known;

/// What all directories keep together: about a hundred thousand entries.
const KEPT_BYTES: usize = 32 << 20;

/// An entry, or why it could not be looked at.
pub(super) type Told = Result<Arc<Known>, IoFault>;

/// What is remembered of a name.
#[derive(Debug)]
pub(super) enum Memory {
    /// Nothing was told of it, or that is gone.
    Nothing,
    /// It may have changed since.
    Stale,
    /// This was told of it.
    Told(Told),
}

/// What all directories keep, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    pages: VecDeque<Weak<Page>>,
    /// Of these and of those that have gone with their directories since the last sweep.
    byte_count: usize,
    swept_len: usize,
}

/// Entries that follow one another in a directory, by name.
#[derive(Debug)]
struct Page {
    /// `None` of one that may have changed since.
    entries: Mutex<Vec<(Name, Option<Told>)>>,
    byte_count: usize,
}

/// What was told of the entries of one directory.
#[derive(Debug, Default)]
pub(super) struct ToldOfDir {
    /// By their first names. What was told last of a name stands.
    pages: Mutex<BTreeMap<Name, Arc<Page>>>,
}

impl Shelf {
    fn keep(&self, page: &Arc<Page>) {
        const FEW_PAGES: usize = 1024;
        let mut kept = self.0.lock();
        kept.pages.push_back(Arc::downgrade(page));
        kept.byte_count += page.byte_count;
        if kept.byte_count > KEPT_BYTES || kept.pages.len() > 2 * kept.swept_len + FEW_PAGES {
            kept.sweep();
        }
    }
}

impl Kept {
    /// Leaves out the pages that have gone, and makes room for more.
    fn sweep(&mut self) {
        self.pages.retain(|page| page.strong_count() > 0);
        let sizes = self.pages.iter().filter_map(|page| Some(page.upgrade()?.byte_count));
        self.byte_count = sizes.sum();
        while self.byte_count > KEPT_BYTES / 4 * 3 {
            let Some(oldest) = self.pages.pop_front() else { break };
            if let Some(oldest) = oldest.upgrade() {
                self.byte_count = self.byte_count.saturating_sub(oldest.byte_count);
                oldest.entries.lock().clear();
            }
        }
        self.swept_len = self.pages.len();
    }
}

impl ToldOfDir {
    /// What was told of a name.
    pub(super) fn of(&self, name: &Name) -> Memory {
        self.with(name, |told| match told {
            Some(told) => Memory::Told(told.clone()),
            None => Memory::Stale,
        })
        .unwrap_or(Memory::Nothing)
    }

    fn with<T>(&self, name: &Name, see: impl FnOnce(&mut Option<Told>) -> T) -> Option<T> {
        let page = {
            let pages = self.pages.lock();
            let up_to = (Bound::Unbounded, Bound::Included(name));
            Arc::clone(pages.range::<Name, _>(up_to).next_back()?.1)
        };
        let mut entries = page.entries.lock();
        let at = entries.binary_search_by(|(known, _)| known.cmp(name)).ok()?;
        Some(see(&mut entries[at].1))
    }

    /// Keeps what was told of entries that follow one another, and says how much that is.
    pub(super) fn add(&self, shelf: &Shelf, entries: Vec<(Name, Told)>) -> usize {
        let Some((first, _)) = entries.first() else { return 0 };
        let first = first.clone();
        let bytes = |(name, told): &(Name, Told)| {
            let known = told.as_ref().map_or(size_of::<IoFault>(), |known| known.byte_count());
            size_of::<(Name, Told)>() + name.as_bytes().len() + known
        };
        let byte_count = entries.iter().map(bytes).sum();
        let entries = entries.into_iter().map(|(name, told)| (name, Some(told))).collect();
        let page = Arc::new(Page { entries: Mutex::new(entries), byte_count });
        shelf.keep(&page);
        self.pages.lock().insert(first, page);
        byte_count
    }

    /// Keeps what was told of one name.
    pub(super) fn add_one(&self, shelf: &Shelf, name: &Name, told: Told) {
        let put = |slot: &mut Option<Told>| *slot = Some(told.clone());
        if self.with(name, put).is_none() {
            self.add(shelf, vec![(name.clone(), told)]);
        }
    }

    /// What was told of a name may not be so any more.
    pub(super) fn doubt(&self, name: &Name) {
        self.with(name, |told| *told = None);
    }

    /// Nothing that was told counts any more.
    pub(super) fn forget(&self) {
        self.pages.lock().clear();
    }
}
