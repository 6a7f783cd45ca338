//! Commands that documents show: the chore, the recipe and the options are there.

use super::Finding;
use super::tree::{File, Tree};

/// Where chores are told apart.
const CHORES: &str = "xtask/src/main.rs";

/// The table of options.
const OPTIONS: &str = "src/cli/options.rs";

/// The options of `lanesync blocks`, as they are told apart.
const OPTIONS_OF_BLOCKS: &str = "src/cli/blocks.rs";

/// The options of `lanesync manifest`, likewise, in files that begin so. It has some of the others, too.
const OPTIONS_OF_MANIFEST: &str = "src/cli/manifest";

/// What stands before a chore or a recipe in a document.
const CALLS: &[&str] = &["cargo xtask ", "just "];

/// What stands before the command line of lanesync in a document.
const PROGRAMS: &[&str] = &["lanesync ", "cargo run --release -- "];

/// Chores of `cargo xtask` and recipes of `just` that a document shows exist.
pub(super) fn chores_exist(tree: &Tree) -> Vec<Finding> {
    let Some(chores) = tree.file(CHORES) else { return Vec::new() };
    let recipes = tree.file("justfile");
    let exists = |call: &str, word: &str| {
        if call == "just " {
            let names = |(_, line): (usize, &str)| {
                line.strip_prefix(word).is_some_and(|rest| rest.starts_with([':', ' ']))
            };
            recipes.is_some_and(|file| file.lines().any(names))
        } else {
            chores.text.contains(&format!("\"{word}\" =>"))
        }
    };
    each_command(tree, CALLS, |call, line| {
        let end = line.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(line.len());
        let word = &line[..end];
        (!word.is_empty() && !exists(call, word)).then(|| format!("there is no `{call}{word}`"))
    })
}

/// Options of lanesync that a document shows exist.
pub(super) fn options_exist(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.file(OPTIONS) else { return Vec::new() };
    let is_there = |option: &str| {
        table.text.contains(&format!("\"{option}\""))
            || option
                .strip_prefix("no-")
                .is_some_and(|on| table.text.contains(&format!("\"{on}\"")))
    };
    let is_there_for_blocks = |option: &str| {
        let text = tree.file(OPTIONS_OF_BLOCKS).map_or("", |file| &file.text);
        text.contains(&format!("\"--{option}\""))
    };
    let is_there_for_manifest = |option: &str| {
        let files = tree.files().iter().filter(|file| file.path.starts_with(OPTIONS_OF_MANIFEST));
        is_there(option)
            || files.into_iter().any(|file| file.text.contains(&format!("\"--{option}\"")))
    };
    each_command(tree, PROGRAMS, |_, line| {
        let own = line.split([';', '|', '>', '#', '`']).next()?;
        let options = own.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        let mut names =
            options.filter_map(|option| option.split('=').next()).filter(|name| !name.is_empty());
        if own.starts_with("blocks ") {
            let unknown = names.find(|name| !is_there_for_blocks(name))?;
            return Some(format!("lanesync blocks has no option --{unknown}"));
        }
        if own.starts_with("manifest ") {
            let unknown = names.find(|name| !is_there_for_manifest(name))?;
            return Some(format!("lanesync manifest has no option --{unknown}"));
        }
        let unknown = names.find(|name| !is_there(name))?;
        Some(format!("lanesync has no option --{unknown}"))
    })
}

/// Asks `rule` of each place in code of documents where one of `calls` begins a command.
fn each_command(
    tree: &Tree,
    calls: &[&str],
    rule: impl Fn(&str, &str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.documents() {
        for (number, code) in code(file) {
            let code = code.trim_start().trim_start_matches("$ ");
            let called = calls.iter().filter_map(|call| Some((*call, code.strip_prefix(*call)?)));
            for what in called.filter_map(|(call, rest)| rule(call, rest)) {
                findings.push(Finding::at(&file.path, number, what));
            }
        }
    }
    findings
}

/// Code of a document: lines of blocks, and pieces in prose.
fn code(file: &File) -> Vec<(usize, &str)> {
    let mut is_block = false;
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if is_block || line.starts_with("    ") {
            found.push((number, line));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(|piece| (number, piece)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{chores_exist, options_exist};
    use crate::tidy::testing::says;

    fn with(document: &str) -> [(&str, &str); 7] {
        [
            ("xtask/src/main.rs", "match x { \"tidy\" => tidy(), }"),
            ("justfile", "ci:\n    x\ntest *args:\n    x\n"),
            ("src/cli/options.rs", "opt(Opt::Delete, \"delete\", \"\").alias(&[\"del\"])"),
            ("src/cli/blocks.rs", "\"--truncate\" => self.truncates = true,"),
            ("src/cli/manifest.rs", "\"--buckets\" | \"-b\" => x,"),
            ("src/cli/manifest/source.rs", "\"--ca\" => x,"),
            ("README.md", document),
        ]
    }

    #[test]
    fn chores_and_recipes_that_are_there_pass() {
        says(
            chores_exist,
            &with("```\n$ cargo xtask tidy --x\n```\n`just ci`, `just test a`"),
            &[],
        );
        says(
            chores_exist,
            &with("It is just one; cargo xtask no is prose. `cargo xtask CHORE`"),
            &[],
        );
    }

    #[test]
    fn chores_and_recipes_that_are_not_there_are_found() {
        let expected = ["README.md:2: there is no `cargo xtask no`"];
        says(chores_exist, &with("```\ncargo xtask no\n```\n"), &expected);
        says(chores_exist, &with("\n    cargo xtask no\n"), &expected);
        says(chores_exist, &with("Or `just no`."), &["README.md:1: there is no `just no`"]);
    }

    #[test]
    fn options_that_are_there_pass() {
        says(options_exist, &with("`lanesync -a --delete --no-del a/ b/ # --no`"), &[]);
        says(options_exist, &with("```\nlanesync -- a b | sort --no\nrsync --no\n```"), &[]);
    }

    #[test]
    fn options_that_are_not_there_are_found() {
        let expected = ["README.md:1: lanesync has no option --delte"];
        says(options_exist, &with("`lanesync --delte a/ b/`"), &expected);
        says(options_exist, &with("    cargo run --release -- --delte=1 a b"), &expected);
        says(options_exist, &with("`lanesync blocks --truncate a b`"), &[]);
        let expected = ["README.md:1: lanesync blocks has no option --delete"];
        says(options_exist, &with("`lanesync blocks --delete a b`"), &expected);
        says(options_exist, &with("`lanesync manifest a --buckets=2 --ca=x --delete`"), &[]);
        let expected = ["README.md:1: lanesync manifest has no option --truncate"];
        says(options_exist, &with("`lanesync manifest a --truncate`"), &expected);
    }
}
