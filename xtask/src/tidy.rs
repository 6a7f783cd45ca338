//! The rules of the house that no linter knows.
//!
//! A rule is a pure function from the files of the project to what is wrong with them, so each is
//! tested on small trees in memory. What rustc, clippy or rustfmt can say is not said here.

use std::ffi::OsString;
use std::fmt;

use anyhow::{Result, bail};

mod tree;

mod rust;

mod arrows;

mod shape;

mod words;

mod reasons;

mod documents;

mod commands;

#[cfg(test)]
mod testing;

use tree::Tree;

const USAGE: &str = "\
usage: cargo xtask tidy

Checks all files that git tracks or would add:

  arrows      a crate depends only on the crates that ARCHITECTURE.md lets it see
  length      no Rust file has more than 600 lines before its tests
  header      each Rust file begins with //!, which says what it is
  names       no module is called util, helpers, manager and the like
  words       no notes to self, no references to line numbers, no paths of one machine
  reasons     each unsafe says why it is sound, each switched-off lint says why
  unsafe      lies in fs::sys, where benchmarks make a network, and nowhere else
  width       no line of prose in a document is wider than 110
  changes     notes of changes are called <issue>-<word>.md
  links       what documents link to is there
  commands    chores and options that documents show are there
";

/// Something that a rule does not allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

impl Finding {
    fn file(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }

    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.what),
            line => write!(formatter, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// A rule: what of a tree it does not allow.
type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    arrows::only_those_drawn,
    shape::length,
    shape::header,
    shape::names,
    words::no_notes_to_self,
    words::no_line_numbers,
    words::no_paths_of_one_machine,
    reasons::unsafe_says_why,
    reasons::unsafe_is_at_home,
    reasons::lints_say_why,
    documents::names_of_change_notes,
    documents::links_lead_somewhere,
    documents::prose_is_wrapped,
    documents::documents_named_in_code_exist,
    commands::chores_exist,
    commands::options_exist,
];

pub(crate) fn main(args: &[OsString]) -> Result<()> {
    match args {
        [] => run(),
        [word] if word == "-h" || word == "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("tidy takes no arguments\n{USAGE}"),
    }
}

/// Checks the project; fails if a rule has something to say.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::of_project()?;
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing to say", tree.files().len());
            Ok(())
        }
        count => bail!("tidy found {count} things to mend"),
    }
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::testing::tree;
    use super::{Finding, findings};

    #[test]
    fn a_tree_without_faults_is_passed_over_in_silence() {
        let tree = tree(&[("src/main.rs", "//! What it is.\n\nfn main() {}\n")]);
        assert_eq!(findings(&tree), []);
    }

    #[test]
    fn findings_come_sorted_by_place() {
        let tree = tree(&[("src/util.rs", "//! A.\n"), ("src/b.rs", ""), ("src/a.rs", "")]);
        let places: Vec<_> = findings(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(places, ["src/a.rs", "src/b.rs", "src/util.rs"]);
    }

    #[test]
    fn a_finding_reads_as_a_place_and_a_sentence() {
        assert_eq!(Finding::file("a", "is wrong").to_string(), "a: is wrong");
        assert_eq!(Finding::at("a", 7, "is wrong").to_string(), "a:7: is wrong");
    }
}
