//! How Rust files look from outside: their length, their first line, their names.

use super::Finding;
use super::rust::code_of;
use super::tree::{File, Tree};

/// Longer than this, a file is about two things.
const LINES_MAX: usize = 600;

/// Tables grow by a line with each thing they list, and are read by looking things up.
const TABLES: &[&str] = &["src/cli/options.rs"];

/// Names that say nothing, and so attract everything.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "misc", "types"];

/// No file is too long before its tests.
pub(super) fn length(tree: &Tree) -> Vec<Finding> {
    let long = |file: &File| {
        let lines = lines_before_tests(&file.text);
        let what =
            format!("{lines} lines before its tests, {LINES_MAX} are the most: cut it in two");
        (lines > LINES_MAX).then(|| Finding::file(&file.path, what))
    };
    tree.rust().filter(|file| !TABLES.contains(&&*file.path)).filter_map(long).collect()
}

fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let is_start = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests");
    lines.windows(2).position(is_start).unwrap_or(lines.len())
}

/// The first line of each file begins to say what it is.
pub(super) fn header(tree: &Tree) -> Vec<Finding> {
    let says_nothing = |file: &&File| {
        let first = file.text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_none_or(|words| words.trim().is_empty())
    };
    let finding = |file: &File| {
        Finding::file(&file.path, "does not begin with a //! line that says what it is")
    };
    tree.rust().filter(says_nothing).map(finding).collect()
}

/// No module of the product has an empty name.
pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    let product = tree
        .rust()
        .filter(|file| file.path.starts_with("crates/") || file.path.starts_with("src/"));
    let mut findings = Vec::new();
    for file in product {
        let own = file.path.trim_end_matches(".rs").split('/').map(|name| (0, name));
        let code = code_of(&file.text);
        let inline =
            code.lines().enumerate().filter_map(|(at, line)| Some((at + 1, inline_module(line)?)));
        for (line, name) in own.chain(inline).filter(|(_, name)| EMPTY_NAMES.contains(name)) {
            let what = format!("{name} is no name for a module: say what it does");
            findings.push(Finding::at(&file.path, line, what));
        }
    }
    findings
}

/// The name of a module that is written into its parent.
fn inline_module(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let (keyword, name, brace) = (words.next()?, words.next()?, words.next()?);
    (keyword == "mod" && brace.starts_with('{')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, header, length, names};
    use crate::tidy::testing::{check, says};

    #[test]
    fn a_file_of_601_lines_is_too_long() {
        let most = "x\n".repeat(LINES_MAX);
        check(length, "src/a.rs", &most, &[]);
        check(length, "src/a.rs", &format!("{most}x\n"), &[0]);
        check(length, "src/cli/options.rs", &format!("{most}x\n"), &[]);
    }

    #[test]
    fn tests_do_not_count_but_an_early_helper_of_tests_hides_nothing() {
        let most = "x\n".repeat(LINES_MAX);
        check(length, "src/a.rs", &format!("{most}#[cfg(test)]\nmod tests {{\nx\n"), &[]);
        check(length, "src/a.rs", &format!("#[cfg(test)]\nmod testing;\n{most}"), &[0]);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        check(header, "src/a.rs", "//! What it is.\n", &[]);
        for text in ["", "use std::fs;\n", "//!\n", "// What it is.\n", "\n//! What it is.\n"] {
            check(header, "src/a/tests.rs", text, &[0]);
        }
        check(header, "notes.md", "", &[]);
    }

    #[test]
    fn empty_names_are_found_as_files_directories_and_inline() {
        let says = |path, text, expected: &[&str]| says(names, &[(path, text)], expected);
        says("crates/fs/src/utils.rs", "", &["crates/fs/src/utils.rs: utils is no name"]);
        says("src/common/mod.rs", "", &["src/common/mod.rs: common is no name"]);
        says("src/a.rs", "\npub(crate) mod misc {\n", &["src/a.rs:2: misc is no name"]);
        says("src/a.rs", "// mod misc {\nmod utility {\n", &[]);
        says("tests/helper.rs", "", &[]);
    }
}
