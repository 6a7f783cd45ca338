//! `--json` on random trees and options: each entry that the summary counts has its item, once.

use super::case::Case;
use crate::support::parity::{observe, with_records};
use crate::support::records::{discrepancies, parse, told_twice};
use crate::support::run::{Exit, Tool, scratch_dir};

/// Enough that every option of the generator comes up several times.
const CASES: u64 = 400;

/// The seeds begin elsewhere than those of the comparison with rsync.
const FIRST_SEED: u64 = 50_000;

#[test]
fn every_case_has_an_item_for_each_entry_it_counts() {
    if Tool::is_another_under_test() {
        return;
    }
    let (tool, scratch) = (Tool::under_test(), scratch_dir());
    let (mut failures, mut complete) = (Vec::new(), 0);
    for seed in FIRST_SEED..FIRST_SEED + CASES {
        let case = Case::from_seed(seed);
        let ours = observe(&tool, &with_records(&case.scenario()), scratch.path());
        let records = parse(&ours.stdout());
        let mut found = discrepancies(&records);
        if case.sources.len() == 1 && !case.has_prefix("--files-from") {
            let twice = told_twice(&records).into_iter();
            found.extend(twice.map(|path| format!("{path} has two items")));
        }
        complete += u64::from(ours.run.exit == Exit::Code(0));
        if !found.is_empty() {
            let words: Vec<_> =
                case.scenario().args.iter().map(|word| word.escape_ascii().to_string()).collect();
            failures.push(format!("seed {seed}, {}: {found:#?}", words.join(" ")));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    assert!(complete * 2 > CASES, "too few cases end well to show much: {complete} of {CASES}");
}
