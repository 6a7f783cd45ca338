//! A picture of the tree and its buckets.
//!
//! The tree is drawn as a treemap: an entry has the area that it weighs, a directory is the rectangle of
//! what lies in it, and the colour tells the bucket. Beside it each bucket has a bar, so that one sees how
//! equal they are.
//!
//! What is remembered does not grow with the tree. Whenever there are too many names, the lighter half of
//! them is gathered in the directories that they lie in: there it counts by its bucket and has no name.

use std::collections::BTreeMap;
use std::mem;

use crate::amount::{Amount, By};
use crate::line::Line;

mod area;

mod colour;

mod drawing;

/// How many names are remembered, with the buckets that each is in. The picture has room for fewer.
const NAMES_MAX: usize = 16 * 1024;

/// How deep names are told apart, so that what goes down into them comes to an end.
const DEPTH_MAX: usize = 64;

/// How much of a name tells it from others: what a file system allows.
const NAME_MAX_BYTES: usize = 255;

/// What is known of a tree and its buckets, to be drawn.
#[derive(Debug)]
pub struct Picture {
    title: String,
    by: By,
    root: Node,
    names: usize,
    names_max: usize,
    buckets: BTreeMap<u64, Amount>,
}

impl Picture {
    /// A picture of which nothing is known yet. `title` stands above it, and areas are what entries weigh.
    pub fn new(title: &[u8], by: By) -> Self {
        Self {
            title: drawing::shown(title),
            by,
            root: Node::default(),
            names: 0,
            names_max: NAMES_MAX,
            buckets: BTreeMap::new(),
        }
    }

    /// Adds a bucket with nothing in it.
    pub fn add_bucket(&mut self, bucket: u64) {
        self.buckets.entry(bucket).or_default();
    }

    /// Adds a line of a bucket.
    pub fn add(&mut self, bucket: u64, line: &Line<'_>) {
        *self.buckets.entry(bucket).or_default() += line.amount;
        let mut node = &mut self.root;
        let folders = line.folder.split(|byte| *byte == b'/');
        let names = folders.chain([line.name]).filter(|name| !name.is_empty());
        for name in names.take(DEPTH_MAX) {
            let name = &name[..name.len().min(NAME_MAX_BYTES)];
            self.names += usize::from(!node.children.contains_key(name));
            node = node.child(name);
        }
        self.names += usize::from(node.count(bucket, line.amount));
        if self.names > self.names_max {
            self.gather(NAMES_MAX / 4);
            // Many buckets have a part in a directory each, and are not gathered.
            self.names_max = NAMES_MAX.max(2 * self.names);
        }
    }

    /// The picture, as SVG.
    pub fn draw(mut self) -> String {
        let by = self.measure();
        let lightest = drawing::lightest_shown(by.weight(self.total()));
        self.root.gather_below(by, lightest);
        drawing::draw(&self.title, by, &self.root, &self.buckets)
    }

    fn total(&self) -> Amount {
        self.buckets.values().copied().sum()
    }

    /// What areas are: where there is no byte, entries.
    fn measure(&self) -> By {
        if self.by.weight(self.total()) == 0 { By::Files } else { self.by }
    }

    /// Leaves at most so many names, the heaviest, beside the buckets that they are in.
    fn gather(&mut self, names_left: usize) {
        let by = self.measure();
        let mut weights = Vec::with_capacity(self.names);
        self.root.collect_weights(by, &mut weights);
        weights.sort_unstable_by(|one, other| other.cmp(one));
        let lightest = weights.get(names_left).map_or(0, |weight| weight.saturating_add(1));
        self.names = self.root.gather_below(by, lightest).1;
    }
}

/// A name, with all that lies below it.
#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Box<[u8]>, Self>,
    /// What has no name of its own in here, or is this entry, by bucket: in the order of their numbers.
    own: Vec<(u64, Amount)>,
}

impl Node {
    fn child(&mut self, name: &[u8]) -> &mut Self {
        if !self.children.contains_key(name) {
            self.children.insert(name.into(), Self::default());
        }
        self.children.get_mut(name).expect("it is there now")
    }

    /// Whether nothing of this bucket was in here.
    fn count(&mut self, bucket: u64, amount: Amount) -> bool {
        let found = self.own.binary_search_by_key(&bucket, |(bucket, _)| *bucket);
        match found {
            Ok(at) => self.own[at].1 += amount,
            Err(at) => self.own.insert(at, (bucket, amount)),
        }
        found.is_err()
    }

    /// Collects what each name below weighs, and gives what this weighs with them.
    fn collect_weights(&self, by: By, weights: &mut Vec<u64>) -> u64 {
        let own: Amount = self.own.iter().map(|(_, amount)| *amount).sum();
        let mut weight = by.weight(own);
        for child in self.children.values() {
            let of_child = child.collect_weights(by, weights);
            weights.push(of_child);
            weight = weight.saturating_add(of_child);
        }
        weight
    }

    /// Gathers in here what lies below and is lighter than `lightest`. Gives what this weighs, and how much
    /// is remembered of it.
    fn gather_below(&mut self, by: By, lightest: u64) -> (u64, usize) {
        let own: Amount = self.own.iter().map(|(_, amount)| *amount).sum();
        let mut weight = by.weight(own);
        let mut names = 0;
        for (name, mut child) in mem::take(&mut self.children) {
            let (of_child, below) = child.gather_below(by, lightest);
            weight = weight.saturating_add(of_child);
            if of_child < lightest {
                // Nothing below it is heavier: it was gathered before.
                for (bucket, amount) in child.own {
                    self.count(bucket, amount);
                }
            } else {
                names += 1 + below;
                self.children.insert(name, child);
            }
        }
        (weight, names + self.own.len())
    }
}

#[cfg(test)]
mod tests;
