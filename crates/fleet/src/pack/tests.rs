//! Buckets of a size are filled with all of a tree, and none too full.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::conformance::memory::Memory;
use crate::conformance::tree::any_tree;
use crate::conformance::{Node, Tree};
use crate::lister::{Found, Lister, Refused, Root, TellError, Why};
use crate::survey::Settings;
use crate::testing::{Kept, check, plain, survey_of, torn, without};

/// Keeps what it is given.
#[derive(Default)]
struct Shelves {
    begun: u64,
    handed_out: Vec<(Vec<Kept>, Amount)>,
    /// Lines that it takes before it takes no more.
    room: Option<usize>,
}

impl Shelf for Shelves {
    type Bucket = Vec<Kept>;
    type Error = std::io::Error;

    fn begin(&mut self, number: u64) -> Result<Self::Bucket, std::io::Error> {
        self.begun += 1;
        assert_eq!(number, self.begun);
        Ok(Vec::new())
    }

    fn add(&mut self, bucket: &mut Self::Bucket, line: &Line<'_>) -> Result<(), std::io::Error> {
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(1).ok_or_else(|| std::io::Error::other("full"))?;
        }
        bucket.push(Kept::from(line));
        Ok(())
    }

    fn hand_out(&mut self, bucket: Self::Bucket, amount: Amount) -> Result<(), std::io::Error> {
        self.handed_out.push((bucket, amount));
        Ok(())
    }
}

fn packed(tree: &Tree, caps: Caps, wholes: Wholes, settings: Settings) -> Vec<(Vec<Kept>, Amount)> {
    let packer = Arc::new(Packer::new(caps, wholes, Shelves::default(), sched::Cancel::new()));
    let (found, _) = survey_of(Memory::without_sums(tree.clone()), settings, &packer);
    let packer = Arc::into_inner(packer).expect("the survey is over");
    let (shelves, finished) = packer.finish(Some(&found.root));
    finished.expect("there is room");
    let sum: Amount = shelves.handed_out.iter().map(|(_, amount)| *amount).sum();
    assert_eq!(sum, found.root.total);
    shelves.handed_out
}

fn any_caps() -> impl Strategy<Value = Caps> {
    let bytes = prop_oneof![1..5_000_u64, Just(u64::MAX)];
    (bytes, prop_oneof![1..12_u64, Just(u64::MAX)])
        .prop_map(|(bytes, entries)| Caps { bytes, entries })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_is_handed_out_once_and_no_bucket_is_too_full(
        tree in any_tree(|_, _| true),
        caps in any_caps(),
        wholes in prop_oneof![Just(Wholes::Allowed), Just(Wholes::Never)],
    ) {
        let buckets = packed(&tree, caps, wholes, plain());
        let lines: Vec<Vec<Kept>> = buckets.iter().map(|(lines, _)| lines.clone()).collect();
        check(&tree, &lines, |_| false);
        for (lines, amount) in &buckets {
            prop_assert_eq!(*amount, lines.iter().map(|line| line.amount).sum::<Amount>());
            let items = lines.iter().filter(|line| line.span != Span::Alone);
            let groups: std::collections::BTreeSet<_> = items
                .map(|line| tree.get(&line.path).and_then(|node| node.group).ok_or(&line.path))
                .collect();
            prop_assert!(caps.hold(*amount) || groups.len() <= 1, "{:?} in {:?}", amount, lines);
        }
    }

    #[test]
    fn what_rules_leave_out_is_handed_out_by_nobody(
        tree in any_tree(|_, _| true),
        caps in any_caps(),
    ) {
        let is_out =
            |path: &[u8]| path.split(|byte| *byte == b'/').any(|name| name.contains(&b'a'));
        let settings = Settings { rules: without(&["*a*"]), ..plain() };
        let buckets = packed(&tree, caps, Wholes::Allowed, settings);
        let lines: Vec<Vec<Kept>> = buckets.into_iter().map(|(lines, _)| lines).collect();
        check(&tree, &lines, is_out);
    }
}

#[test]
fn what_was_told_of_a_torn_directory_is_handed_out() {
    let all = [false, true]
        .map(|has_left_out| [(has_left_out, Wholes::Allowed), (has_left_out, Wholes::Never)]);
    for (has_left_out, wholes) in all.into_iter().flatten() {
        for caps in [(1, 1), (300, 3), (2_000, 400), (u64::MAX, 50), (u64::MAX, u64::MAX)] {
            let caps = Caps { bytes: caps.0, entries: caps.1 };
            let (memory, tree) = torn(has_left_out);
            let packer = Packer::new(caps, wholes, Shelves::default(), sched::Cancel::new());
            let packer = Arc::new(packer);
            let settings = Settings { rules: without(&["*.tmp"]), ..plain() };
            let (found, faults) = survey_of(memory, settings, &packer);
            assert_eq!((faults.len(), found.faults), (1, 1));
            let packer = Arc::into_inner(packer).expect("the survey is over");
            let (shelves, finished) = packer.finish(Some(&found.root));
            finished.expect("there is room");
            let lines: Vec<_> = shelves.handed_out.into_iter().map(|(lines, _)| lines).collect();
            check(&tree, &lines, |path| path.ends_with(b".tmp"));
        }
    }
}

#[test]
fn a_tree_that_fits_is_one_line() {
    let mut tree = Tree::default();
    for number in 0..100_u64 {
        assert!(tree.add(format!("{}/{number}", number / 10).as_bytes(), Node::file(10)));
    }
    let caps = Caps { bytes: 1_000_000, entries: u64::MAX };
    let buckets = packed(&tree, caps, Wholes::Allowed, plain());
    assert_eq!(buckets.len(), 1);
    assert_eq!(buckets[0].0.len(), 1);
}

#[test]
fn buckets_are_filled_well() {
    let mut tree = Tree::default();
    for number in 0..3000_u64 {
        let path = format!("{}/{}/{number}", number % 60, number % 7);
        assert!(tree.add(path.as_bytes(), Node::file(number % 1000)));
    }
    let total: u64 = tree.iter().map(|(_, node)| node.bytes).sum();
    let caps = Caps { bytes: total / 40, entries: u64::MAX };
    let buckets = packed(&tree, caps, Wholes::Allowed, plain()).len();
    assert!(buckets <= 50, "{buckets} where 40 would do");
}

#[test]
fn what_cannot_be_written_ends_the_survey() {
    let mut tree = Tree::default();
    for number in 0..1000_u64 {
        assert!(tree.add(format!("{}/{number}", number / 10).as_bytes(), Node::file(10)));
    }
    let stop = sched::Cancel::new();
    let shelves = Shelves { room: Some(5), ..Shelves::default() };
    let caps = Caps { bytes: 25, entries: u64::MAX };
    let packer = Arc::new(Packer::new(caps, Wholes::Allowed, shelves, stop.clone()));
    let memory = Arc::new(Memory::without_sums(tree));
    let hear = Arc::new(|fault| panic!("{fault:?}"));
    let found = crate::survey::survey(&memory, plain(), Arc::clone(&packer), hear, &stop);
    assert_eq!(found.expect_err("no survey").why.why, Why::Stopped);
    let packer = Arc::into_inner(packer).expect("the survey is over");
    let (_, finished) = packer.finish(None);
    assert_eq!(finished.expect_err("there is no room").to_string(), "full");
}

/// A source that is gone as soon as it is asked.
struct Gone;

impl Lister for Gone {
    type Part = ();

    fn root(&self) -> Result<Root<()>, Refused> {
        Ok(Root { part: (), total: None })
    }

    fn tell(&self, (): (), _: &mut dyn FnMut(Found<'_, ()>)) -> Result<Vec<()>, TellError> {
        let sentence = "nobody answers".to_owned();
        Err(TellError::Over(Refused { why: Why::Connection, sentence }))
    }

    fn asked(&self) -> u64 {
        1
    }

    fn full_path(&self, path: &[u8]) -> Vec<u8> {
        path.to_vec()
    }
}

#[test]
fn who_fills_buckets_hears_that_no_more_is_told() {
    let run = sched::Cancel::new();
    let part = run.child();
    let hear = Arc::new(|fault| panic!("{fault:?}"));
    let keep = Arc::new(crate::survey::KeepAll);
    let found = crate::survey::survey(&Arc::new(Gone), plain(), keep, hear, &part);
    assert_eq!(found.expect_err("no survey").why.why, Why::Connection);
    assert!(part.is_cancelled() && !run.is_cancelled());
}
