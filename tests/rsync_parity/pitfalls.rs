//! What is easily got wrong about rsync, one by one: twenty pitfalls, each with a test of its own.
//!
//! Each test runs both tools, compares them, and then asserts what the reference did: a scenario
//! that no longer shows its pitfall must fail too.

use self::elsewhere::check_elsewhere;
use crate::support::parity::{Observation, Output, Scenario, Scope, check};
use crate::support::snapshot::Also;
use crate::support::tree::Tree;

#[path = "pitfalls/attributes.rs"]
mod attributes;

#[path = "pitfalls/combined.rs"]
mod combined;

#[path = "pitfalls/content.rs"]
mod content;

#[path = "pitfalls/corners.rs"]
mod corners;

#[path = "pitfalls/deletion.rs"]
mod deletion;

#[path = "pitfalls/elsewhere.rs"]
mod elsewhere;

#[path = "pitfalls/filters.rs"]
mod filters;

#[path = "pitfalls/hard_links.rs"]
mod hard_links;

#[path = "pitfalls/lists.rs"]
mod lists;

#[path = "pitfalls/metadata.rs"]
mod metadata;

#[path = "pitfalls/output.rs"]
mod output;

#[path = "pitfalls/paths.rs"]
mod paths;

/// Compares trees, exit codes and -i lines of `args` on `tree`; what rsync did.
fn check_args(tree: &Tree, args: &str) -> Observation {
    check_items(&Scenario::new(tree.clone(), args))
}

/// Compares trees, exit codes and -i lines.
fn check_items(scenario: &Scenario) -> Observation {
    let scope = Scope { output: Output::Items, also: Also::default() };
    check_elsewhere(scenario, scope);
    check(scenario, scope)
}

/// Compares trees, exit codes and allocated blocks.
fn check_blocks(scenario: &Scenario) -> Observation {
    let also = Also { blocks: true, ..Also::default() };
    check(scenario, Scope { output: Output::Ignored, also })
}

/// Asserts which of the paths are there after the run.
fn assert_there(observation: &Observation, there: &[&str], absent: &[&str]) {
    for path in there {
        assert!(observation.tree.has(path), "{path} should be there");
    }
    for path in absent {
        assert!(!observation.tree.has(path), "{path} should not be there");
    }
}
