//! What is true of all buckets, whoever made them.

use std::collections::BTreeMap;
use std::sync::Arc;

use filter::{RuleOptions, Rules, Unprefixed};
use model::{Fault, Kind};
use parking_lot::Mutex;
use sched::{Cancel, Workers};

use crate::amount::{Amount, By, Caps};
use crate::conformance::memory::{Memory, PART_ENTRIES};
use crate::conformance::{Node, Tree};
use crate::line::{Line, Span};
use crate::survey::{Keep, Opened, Settings, Surveyed, survey};

/// A line that lives longer than what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    pub(crate) amount: Amount,
}

impl From<&Line<'_>> for Kept {
    fn from(line: &Line<'_>) -> Self {
        let Line { kind, span, amount, .. } = *line;
        Self { path: line.path(), kind, span, amount }
    }
}

/// How a survey is made where nothing special is asked for.
pub(crate) fn plain() -> Settings {
    Settings {
        workers: Workers::Fixed(std::num::NonZeroUsize::new(3).expect("three")),
        rules: Arc::new(Rules::default()),
        root: b"/source".to_vec(),
        leaves_out_snapshots: true,
        depth: None,
        needs_leaves: false,
        by: By::Size,
        opened: Opened::Above(Caps { bytes: 0, entries: 0 }),
    }
}

/// Rules that leave out what matches one of these.
pub(crate) fn without(patterns: &[&str]) -> Arc<Rules> {
    let mut rules = Rules::new(RuleOptions::default());
    for pattern in patterns {
        rules.push_pattern(pattern.as_bytes(), Unprefixed::Exclude).expect("a pattern");
    }
    Arc::new(rules)
}

/// Surveys a tree in memory; the faults that were told, too.
pub(crate) fn survey_of<K: Keep>(
    memory: Memory,
    settings: Settings,
    keep: &Arc<K>,
) -> (Surveyed, Vec<Fault>) {
    let faults = Arc::new(Mutex::new(Vec::new()));
    let hear = {
        let faults = Arc::clone(&faults);
        Arc::new(move |fault| faults.lock().push(fault))
    };
    let memory = Arc::new(memory);
    let surveyed = survey(&memory, settings, Arc::clone(keep), hear, &Cancel::new());
    let faults = std::mem::take(&mut *faults.lock());
    (surveyed.expect("a survey"), faults)
}

/// Each entry of the tree, the root included, is in exactly one bucket, by exactly one line, unless it is
/// left out; nothing else is; names of one file are in one bucket; no bucket has a line for a directory
/// that is to be gone down into and for another that must not be.
pub(crate) fn check(tree: &Tree, buckets: &[Vec<Kept>], is_left_out: impl Fn(&[u8]) -> bool) {
    let mut covered: BTreeMap<&[u8], (usize, Span)> = BTreeMap::new();
    for (index, line) in buckets.iter().enumerate().flat_map(|(i, b)| b.iter().map(move |l| (i, l)))
    {
        let text = line.path.escape_ascii();
        let found = tree.get(&line.path);
        assert!(found.is_some() || line.path.is_empty(), "{text} was invented");
        assert_eq!(found.map_or(Kind::Directory, |node| node.kind), line.kind, "{text}");
        assert!(!is_left_out(&line.path), "{text} was left out");
        let known = tree.iter().map(|(path, _)| path).chain([&b""[..]]);
        for path in known.filter(|path| covers(line, path)) {
            assert!(!is_left_out(path), "{} goes with {text}", path.escape_ascii());
            let before = covered.insert(path, (index, line.span));
            assert_eq!(before, None, "{} goes twice, once with {text}", path.escape_ascii());
        }
    }
    for (path, _) in tree.iter().filter(|(path, _)| !is_left_out(path)) {
        assert!(covered.contains_key(path), "{} goes nowhere", path.escape_ascii());
    }
    assert!(covered.contains_key(&b""[..]), "the root goes nowhere");
    let mut groups: BTreeMap<u8, usize> = BTreeMap::new();
    for (path, node) in tree.iter().filter(|(path, _)| !is_left_out(path)) {
        let Some(group) = node.group.filter(|group| tree.names_of(*group) > 1) else { continue };
        let (bucket, _) = covered[path];
        let with = *groups.entry(group).or_insert(bucket);
        assert_eq!(bucket, with, "{} is parted from its links", path.escape_ascii());
    }
    for bucket in buckets {
        let has = |span| bucket.iter().any(|line| line.span == span);
        assert!(!(has(Span::Whole) && has(Span::Bare)), "nobody can go by this bucket");
    }
}

fn covers(line: &Kept, path: &[u8]) -> bool {
    let is_below = line.path.is_empty() || crate::conformance::tree::is_below(path, &line.path);
    path == line.path || (line.span == Span::Whole && is_below)
}

/// A tree with a directory of which only the first part can be told, and what of it is told then. Something
/// lies in it that rules leave out, where `has_left_out` is true.
pub(crate) fn torn(has_left_out: bool) -> (Memory, Tree) {
    let (mut all, mut told) = (Tree::default(), Tree::default());
    let mut add = |path: &str, is_told: bool| {
        assert!(all.add(path.as_bytes(), Node::file(100)));
        assert!(!is_told || told.add(path.as_bytes(), Node::file(100)));
    };
    for number in 0..5 {
        add(&format!("whole/{number}"), true);
        add(&format!("up/torn/below/{number}"), true);
        add(&format!("up/beside/{number}"), true);
    }
    if has_left_out {
        add("up/torn/a.tmp", true);
    }
    for number in 0..20 {
        let first = PART_ENTRIES - if has_left_out { 2 } else { 1 };
        add(&format!("up/torn/file{number:02}"), number < first);
    }
    (Memory::torn(all, b"up/torn"), told)
}
