//! Small trees for the tests of rules.

use super::tree::{File, Tree};
use super::{Finding, Rule};

/// A tree of these files.
pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
    let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
    Tree::new(files.iter().map(file).collect())
}

/// Asserts at which lines of a file a rule finds something.
#[track_caller]
pub(super) fn check(rule: Rule, path: &str, text: &str, lines: &[usize]) {
    let found: Vec<_> = rule(&tree(&[(path, text)])).iter().map(|finding| finding.line).collect();
    assert_eq!(found, lines, "{path}:\n{text}");
}

/// Asserts what a rule says of a tree, place and beginning of the sentence.
#[track_caller]
pub(super) fn says(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let found: Vec<_> = rule(&tree(files)).iter().map(Finding::to_string).collect();
    let all_begin = found.iter().zip(expected).all(|(found, begin)| found.starts_with(begin));
    assert!(found.len() == expected.len() && all_begin, "found {found:#?}, expected {expected:#?}");
}
