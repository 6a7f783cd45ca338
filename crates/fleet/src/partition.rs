//! Buckets of equal work: the heaviest item first, each to the bucket that has least.
//!
//! Graham's rule (Bounds on Multiprocessing Timing Anomalies, 1969) leaves no bucket above the mean plus
//! one item, so items are cut small: no directory goes whole that weighs more than a sixty-fourth of a
//! bucket. To be as close as the largest thing that cannot be cut, a small part of the tree is cut more
//! finely: what the large items leave open is less than one of them for each bucket, so twice that much in
//! items of an eighth fills it up to an eighth, and so on. All else stays in directories that go whole.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::amount::{Amount, By};
use crate::cut::{self, Cut, Cutting, Fineness, Item, Wholes};
use crate::folder::{Folder, NamesFound};
use crate::line::{Line, Recursion};

/// How many items a bucket has at least, where there are so many: enough for a balance of 2 %.
pub const ITEMS_PER_BUCKET: u64 = 64;

/// By how much finer each step is.
const FINER: u64 = 8;

/// How a tree is shared out.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// To so many buckets.
    pub count: usize,
    /// What is equal.
    pub by: By,
    /// Whether a line may stand for a directory with all below it.
    pub wholes: Wholes,
    /// Whether no bucket may have both a directory that goes whole and one from which all is left out. Then one
    /// bucket has all of these, and no directory that goes whole.
    pub keeps_bare_apart: bool,
}

/// A tree in buckets.
#[derive(Debug)]
pub struct Partition<'t> {
    paths: Vec<Box<[u8]>>,
    wholes: Wholes,
    /// The buckets. There are fewer than asked for where there are fewer items.
    pub buckets: Vec<Bucket<'t>>,
    /// What the largest thing weighs that cannot be cut.
    pub largest_item: u64,
}

/// A bucket.
#[derive(Debug, Default)]
pub struct Bucket<'t> {
    /// What lies in it, in the order of the tree.
    pub items: Vec<Item<'t>>,
    /// What it counts.
    pub amount: Amount,
    /// What it weighs.
    pub weight: u64,
}

/// Shares a tree out.
pub fn partition<'t>(root: &'t Folder, sharing: Sharing, links: &NamesFound) -> Partition<'t> {
    let Sharing { by, mut wholes, keeps_bare_apart, .. } = sharing;
    let count = sharing.count.max(1);
    let mean = by.weight(root.total) / count as u64;
    let is_apart = keeps_bare_apart && wholes == Wholes::Allowed && has_bare(root);
    if is_apart && count == 1 {
        wholes = Wholes::Never;
    }
    let cutting = Cutting { by, wholes, links };
    let largest_item = cut::largest(root, cutting);
    let first = if count == 1 { u64::MAX } else { mean / ITEMS_PER_BUCKET };
    // As much as the bucket takes that has no directory that goes whole.
    let opened = if is_apart { mean.saturating_add(first).saturating_add(1) } else { 0 };
    let mut fineness = Fineness { opened, ..Fineness::all(first) };
    loop {
        let is_finest = fineness == Fineness::all(0);
        let Cut { paths, items } = cut::cut(root, fineness.clone(), cutting);
        if items.len() >= count || is_finest {
            let flat = (keeps_bare_apart && has_both(&items, wholes)).then_some(wholes);
            let buckets = share_out(items, count, flat);
            let heaviest = buckets.iter().map(|bucket| bucket.weight).max().unwrap_or(0);
            if is_finest || heaviest <= mean.saturating_add(largest_item) {
                return Partition { paths, wholes, buckets, largest_item };
            }
        }
        fineness = match fineness.limits.last().copied() {
            // So finely that nothing is left to cut: the one thing that helps is to do so everywhere.
            None | Some(0) => Fineness::all(0),
            Some(limit) => {
                let share = limit.saturating_mul(2).saturating_mul(count as u64);
                let Fineness { mut limits, mut shares, opened } = fineness;
                limits.push(limit / FINER);
                shares.push(share);
                Fineness { limits, shares, opened }
            }
        };
    }
}

/// True where all of a directory is left out.
fn has_bare(root: &Folder) -> bool {
    let mut open = vec![root];
    while let Some(folder) = open.pop() {
        if folder.is_empty() && !folder.is_complete {
            return true;
        }
        open.extend(folder.folders.iter().filter(|folder| !folder.is_complete));
    }
    false
}

/// True where some items ask for what others forbid.
fn has_both(items: &[Item<'_>], wholes: Wholes) -> bool {
    let asked = items.iter().map(|item| item.recursion(wholes));
    asked.fold(Recursion::Either, Recursion::and) == Recursion::Torn
}

/// The heaviest first, each to the bucket that has least; what weighs nothing to the one with the fewest
/// entries. The order of the tree decides between equals, so the same tree gives the same buckets. With `flat`,
/// by which items were cut, the last bucket has all that must not be gone down into, and nothing that must.
fn share_out(items: Vec<Item<'_>>, count: usize, flat: Option<Wholes>) -> Vec<Bucket<'_>> {
    let mut items: Vec<(usize, Item<'_>)> = items.into_iter().enumerate().collect();
    items.sort_by_key(|(index, item)| (Reverse(item.weight), *index));
    let mut buckets: Vec<Bucket<'_>> = Vec::new();
    buckets.resize_with(count.min(items.len()), Bucket::default);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); buckets.len()];
    let last = buckets.len().saturating_sub(1);
    let asked = |item: &Item<'_>| flat.map_or(Recursion::Either, |wholes| item.recursion(wholes));
    if flat.is_some() {
        // What has fewer buckets to choose from comes first.
        items.sort_by_key(|(_, item)| (item.weight == 0, asked(item) != Recursion::Needed));
    }
    let first_weightless = items.partition_point(|(_, item)| item.weight > 0);
    let weightless = items.split_off(first_weightless);
    for (items, by_entries) in [(items, false), (weightless, true)] {
        let key = |bucket: &Bucket<'_>| {
            let Amount { entries, .. } = bucket.amount;
            if by_entries { (entries, bucket.weight) } else { (bucket.weight, entries) }
        };
        let mut least: BinaryHeap<_> = buckets
            .iter()
            .enumerate()
            .filter(|(index, _)| flat.is_none() || *index != last)
            .map(|(index, bucket)| Reverse((key(bucket), index)))
            .collect();
        for (place, item) in items {
            let is_flat = match asked(&item) {
                Recursion::Forbidden => true,
                Recursion::Needed | Recursion::Torn => false,
                Recursion::Either => {
                    let others = least.peek().map(|Reverse((key, _))| *key);
                    flat.is_some() && others.is_none_or(|others| key(&buckets[last]) < others)
                }
            };
            let popped = if is_flat { None } else { least.pop() };
            let index = popped.map_or(last, |Reverse((_, index))| index);
            let bucket = &mut buckets[index];
            bucket.amount += item.amount;
            bucket.weight = bucket.weight.saturating_add(item.weight);
            bucket.items.push(item);
            order[index].push(place);
            if !is_flat {
                least.push(Reverse((key(&buckets[index]), index)));
            }
        }
    }
    if flat.is_some() {
        leave_none_empty(&mut buckets, &mut order);
    }
    for (bucket, order) in buckets.iter_mut().zip(order) {
        let mut items: Vec<_> = order.into_iter().zip(bucket.items.drain(..)).collect();
        items.sort_by_key(|(place, item)| (item.place(), *place));
        bucket.items = items.into_iter().map(|(_, item)| item).collect();
    }
    buckets
}

/// Gives empty buckets of what the last one has: that may be anywhere but beside directories that go whole.
fn leave_none_empty(buckets: &mut [Bucket<'_>], order: &mut [Vec<usize>]) {
    let Some((last, others)) = buckets.split_last_mut() else { return };
    let Some((last_order, orders)) = order.split_last_mut() else { return };
    for (bucket, order) in others.iter_mut().zip(orders) {
        if !bucket.items.is_empty() || last.items.len() < 2 {
            continue;
        }
        bucket.items.extend(last.items.pop());
        order.extend(last_order.pop());
        for bucket in [bucket, &mut *last] {
            bucket.amount = bucket.items.iter().map(|item| item.amount).sum();
            bucket.weight =
                bucket.items.iter().map(|item| item.weight).fold(0, u64::saturating_add);
        }
    }
}

impl Partition<'_> {
    /// The lines of the bucket at `index`.
    ///
    /// # Panics
    ///
    /// When there is no such bucket.
    pub fn lines<E>(
        &self,
        index: usize,
        each: &mut dyn FnMut(&Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { paths, wholes, buckets, .. } = self;
        buckets[index].items.iter().try_for_each(|item| item.lines(paths, *wholes, each))
    }

    /// How much heavier the heaviest bucket is than the mean of all; 1 where nothing weighs anything.
    pub fn balance(&self) -> f64 {
        balance(&self.buckets.iter().map(|bucket| bucket.weight))
    }
}

/// How much heavier the heaviest bucket is than the mean of all; 1 where nothing weighs anything.
#[expect(clippy::cast_precision_loss, reason = "a ratio for a person")]
pub fn balance(weights: &(impl ExactSizeIterator<Item = u64> + Clone)) -> f64 {
    let heaviest = weights.clone().max().unwrap_or(0);
    let mean = weights.clone().map(|weight| weight as f64).sum::<f64>() / weights.len() as f64;
    if mean > 0.0 { heaviest as f64 / mean } else { 1.0 }
}

#[cfg(test)]
mod tests;
