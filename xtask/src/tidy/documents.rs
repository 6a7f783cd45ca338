//! Documents: what they link to is there, and notes of changes can be found by their names.

use std::collections::HashSet;

use super::Finding;
use super::tree::{File, Tree};

/// Notes of changes lie here until a release collects them.
const NOTES: &str = "changes/unreleased/";

/// A note is called `<issue>-<word>.md`: two branches never write the same file.
pub(super) fn names_of_change_notes(tree: &Tree) -> Vec<Finding> {
    let is_wrong =
        |file: &&File| file.path.strip_prefix(NOTES).is_some_and(|name| !is_name_of_note(name));
    let finding = |file: &File| {
        Finding::file(
            &file.path,
            "notes of changes are called <issue>-<word>.md, as 12-slow-links.md",
        )
    };
    tree.files().iter().filter(is_wrong).map(finding).collect()
}

fn is_name_of_note(name: &str) -> bool {
    let Some((issue, word)) = name.strip_suffix(".md").and_then(|stem| stem.split_once('-')) else {
        return false;
    };
    let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !issue.is_empty()
        && issue.bytes().all(|byte| byte.is_ascii_digit())
        && word.starts_with(|letter: char| letter.is_ascii_lowercase())
        && word.bytes().all(is_of_word)
}

/// What fits a window beside another one.
const WIDTH_MAX: usize = 110;

/// Prose is wrapped. Tables cannot be, and a line may be as long as the one link that it is.
pub(super) fn prose_is_wrapped(tree: &Tree) -> Vec<Finding> {
    let is_too_wide = |line: &str| {
        let is_table = line.trim_start().starts_with('|');
        let is_link = line.contains("](") || line.contains("://");
        line.chars().count() > WIDTH_MAX && !is_table && !is_link
    };
    let mut findings = Vec::new();
    for file in tree.documents() {
        let code = blocks_of_code(&file.text);
        let wide =
            file.lines().filter(|(number, line)| !code.contains(number) && is_too_wide(line));
        let what = format!("wider than {WIDTH_MAX} characters: wrap it");
        findings.extend(wide.map(|(number, _)| Finding::at(&file.path, number, what.clone())));
    }
    findings
}

/// Relative links of documents lead to files that are there.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.documents() {
        for (line, text) in prose(&file.text) {
            for target in targets(&text).into_iter().filter(|target| !is_elsewhere(target)) {
                let path = target.split('#').next().unwrap_or_default();
                if !joined(&file.path, path).is_some_and(|path| tree.has(&path)) {
                    let what = format!("links to {target}, which is not there");
                    findings.push(Finding::at(&file.path, line, what));
                }
            }
        }
    }
    findings
}

/// Lines outside code blocks, with their numbers, code in them blanked out.
fn prose(text: &str) -> Vec<(usize, String)> {
    let code = blocks_of_code(text);
    let lines = (1..).zip(text.lines()).filter(|(number, _)| !code.contains(number));
    let blanked = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join("``");
    lines.map(|(number, line)| (number, blanked(line))).collect()
}

/// The numbers of the lines of code blocks, their fences included.
fn blocks_of_code(text: &str) -> HashSet<usize> {
    let mut is_code = false;
    let mut is_of_block = |line: &str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        is_code || is_fence
    };
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| is_of_block(line))
        .map(|(number, _)| number)
        .collect()
}

/// Targets of links: `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    inline.chain(defined.map(|(_, target)| target.trim())).collect()
}

fn is_elsewhere(target: &str) -> bool {
    target.is_empty() || target.starts_with('#') || target.contains(':')
}

/// A path relative to a file, seen from the root; `None` when it leads out.
fn joined(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

/// Documents that code speaks of are there.
pub(super) fn documents_named_in_code_exist(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with("xtask/src/tidy/")) {
        for (number, line) in file.lines() {
            for name in documents_named(line).filter(|name| !tree.has(name)) {
                let what = format!("speaks of {name}, which is not there");
                findings.push(Finding::at(&file.path, number, what));
            }
        }
    }
    findings
}

fn documents_named(line: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let words = line.split(move |letter: char| !is_of_name(letter));
    words.filter_map(|word| {
        let word = word.trim_end_matches('.');
        let stem = word.strip_suffix(".md")?;
        let is_at_root = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_uppercase());
        (is_at_root || word.starts_with("docs/")).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::{
        documents_named_in_code_exist, links_lead_somewhere, names_of_change_notes,
        prose_is_wrapped,
    };
    use crate::tidy::testing::{check, says};

    #[test]
    fn prose_that_is_too_wide_is_found() {
        let wide = "words ".repeat(20);
        let fits = "w".repeat(110);
        check(prose_is_wrapped, "a.md", &format!("{fits}\n{wide}\n\n{wide}\n"), &[2, 4]);
        check(prose_is_wrapped, "a.md", &format!("| {wide} |\n- [b]({wide})\n"), &[]);
        check(prose_is_wrapped, "a.md", &format!("```\n{wide}\n```\n{wide}\n"), &[4]);
    }

    #[test]
    fn notes_have_an_issue_and_a_word() {
        for name in ["2-main-job.md", "31-acls.md"] {
            says(names_of_change_notes, &[(&format!("changes/unreleased/{name}"), "")], &[]);
        }
        for name in ["main.md", "2.md", "2-.md", "2-Main.md", "2_main.md", "2-main.txt", "-a.md"] {
            let path = format!("changes/unreleased/{name}");
            says(names_of_change_notes, &[(&path, "")], &[&path]);
        }
        says(names_of_change_notes, &[("changes/README.md", "")], &[]);
    }

    fn links(text: &str, expected: &[&str]) {
        let files = [("docs/a.md", text), ("docs/b.md", ""), ("README.md", ""), ("src/c.rs", "")];
        says(links_lead_somewhere, &files, expected);
    }

    #[test]
    fn links_to_what_is_there_pass() {
        links("[b](b.md) and [r](../README.md#top) and [dir](../src) [up](..) [x](#here)", &[]);
        links("[w](https://example.org/x.md) [m](mailto:a@example.org)\n[b]: b.md\n", &[]);
        links("`[no](no.md)`\n```\n[no](no.md)\n```\n", &[]);
    }

    #[test]
    fn links_to_nothing_are_found() {
        links("fine\n[b](b.md), [no](no.md)", &["docs/a.md:2: links to no.md"]);
        links("[no]: ../no.md", &["docs/a.md:1: links to ../no.md"]);
        links("[out](../../b.md)", &["docs/a.md:1: links to ../../b.md"]);
        links("```\n```\n[no](no.md#b)", &["docs/a.md:3: links to no.md#b"]);
    }

    #[test]
    fn documents_that_code_names_must_be_there() {
        let check = |line: &str, expected: &[&str]| {
            let files = [("a.rs", line), ("docs/b.md", ""), ("README.md", "")];
            says(documents_named_in_code_exist, &files, expected);
        };
        check("See docs/b.md. And (README.md).", &[]);
        check("See docs/no.md.", &["a.rs:1: speaks of docs/no.md"]);
        check("GLOSSARY.md defines it.", &["a.rs:1: speaks of GLOSSARY.md"]);
        check("\"*.md\" and a/docs/no.md", &[]);
    }
}
