//! What is dangerous, or switched off, says why.

use super::Finding;
use super::rust::{code_of, has_word};
use super::tree::{File, Tree};

/// What stands above each `unsafe`.
const WHY: &str = "SAFETY:";

/// Each `unsafe` has a comment above it that says why it is sound.
pub(super) fn unsafe_says_why(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(unexplained).collect()
}

fn unexplained(file: &File) -> Vec<Finding> {
    let code = code_of(&file.text);
    let code: Vec<_> = code.lines().collect();
    let source: Vec<_> = file.text.lines().collect();
    let is_unexplained = |at: &usize| {
        has_word(code[*at], "unsafe")
            && !(beginning(&code, &source, *at)..=*at).any(|line| source[line].contains(WHY))
    };
    let finding = |at| Finding::at(&file.path, at + 1, "unsafe without a SAFETY: comment above it");
    (0..code.len()).filter(is_unexplained).map(finding).collect()
}

/// The first line of the statement at `at`, comments and attributes above it included.
fn beginning(code: &[&str], source: &[&str], at: usize) -> usize {
    let belongs = |line: &usize| {
        let (code, source) = (code[*line].trim(), source[*line].trim());
        let is_beside = code.is_empty() && source.starts_with("//");
        is_beside || !(code.is_empty() || code.ends_with([';', '{', '}']))
    };
    (0..at).rev().take_while(belongs).last().unwrap_or(at)
}

/// Where `unsafe` may be.
const HOME_OF_UNSAFE: [&str; 3] =
    ["crates/fs/src/sys.rs", "crates/fs/src/sys/", "xtask/src/bench/wan/kernel.rs"];

/// `unsafe` appears where what differs between operating systems is, where benchmarks make a network,
/// and nowhere else.
pub(super) fn unsafe_is_at_home(tree: &Tree) -> Vec<Finding> {
    let is_abroad = |file: &&File| !HOME_OF_UNSAFE.iter().any(|home| file.path.starts_with(home));
    let mut findings = Vec::new();
    for file in tree.rust().filter(is_abroad) {
        let code = code_of(&file.text);
        let lines = code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe"));
        let finding = |(at, _)| Finding::at(&file.path, at + 1, "unsafe outside of its homes");
        findings.extend(lines.map(finding));
    }
    findings
}

/// Each lint that is switched off says why.
pub(super) fn lints_say_why(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(without_reason).collect()
}

fn without_reason(file: &File) -> Vec<Finding> {
    let code = code_of(&file.text);
    let starts = ["[allow(", "[expect("].into_iter().flat_map(|start| code.match_indices(start));
    let mut findings: Vec<_> = starts
        .filter(|(at, _)| {
            let attribute = &code[*at..];
            let end = attribute.find(")]").unwrap_or(attribute.len());
            !has_word(&attribute[..end], "reason")
        })
        .map(|(at, _)| {
            let line = code[..at].matches('\n').count() + 1;
            Finding::at(&file.path, line, "a lint is switched off without a reason")
        })
        .collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::{lints_say_why, unsafe_is_at_home, unsafe_says_why};
    use crate::tidy::testing::check;

    #[test]
    fn unsafe_without_a_word_above_is_found() {
        check(unsafe_says_why, "a.rs", "fn f() {\n    unsafe { g() }\n}\n", &[2]);
        check(unsafe_says_why, "a.rs", "// SAFETY: told.\nfn g() {}\nunsafe { f() }\n", &[3]);
        check(unsafe_says_why, "a.rs", "// SAFETY: told.\n\nunsafe impl Send for A {}\n", &[3]);
    }

    #[test]
    fn unsafe_with_a_reason_passes() {
        check(unsafe_says_why, "a.rs", "// SAFETY: told.\n// At length.\nunsafe { f() }\n", &[]);
        check(unsafe_says_why, "a.rs", "// SAFETY: told.\nlet a =\n    unsafe { f() };\n", &[]);
        check(unsafe_says_why, "a.rs", "// SAFETY: told.\n#[inline]\nunsafe fn f() {}\n", &[]);
        let spread =
            "// SAFETY: told.\n#[expect(\n    unsafe_code,\n)]\nunsafe impl Send for A {}\n";
        check(unsafe_says_why, "a.rs", spread, &[]);
        check(unsafe_says_why, "a.rs", "#![deny(unsafe_code)] // unsafe\n\"unsafe\"\n", &[]);
    }

    #[test]
    fn unsafe_is_found_outside_of_its_home() {
        let text = "#![deny(unsafe_code)]\n// unsafe\nunsafe { f() }\n";
        check(unsafe_is_at_home, "crates/fs/src/dir.rs", text, &[3]);
        check(unsafe_is_at_home, "src/sys/linux.rs", text, &[3]);
        check(unsafe_is_at_home, "crates/fs/src/sys/linux/raw.rs", text, &[]);
        check(unsafe_is_at_home, "crates/fs/src/sys.rs", text, &[]);
    }

    #[test]
    fn lints_without_a_reason_are_found() {
        check(lints_say_why, "a.rs", "\n#[allow(dead_code)]\nfn f() {}", &[2]);
        check(lints_say_why, "a.rs", "#[expect(\n    dead_code,\n)]\n#![allow(unused)]", &[1, 4]);
        check(lints_say_why, "a.rs", "#[allow(unused, reason = \"so\")]\n#![allow(a)]\n", &[2]);
    }

    #[test]
    fn lints_with_a_reason_pass() {
        check(lints_say_why, "a.rs", "#[allow(\n    unused,\n    reason = \"so\"\n)]\n", &[]);
        check(lints_say_why, "a.rs", "x.expect(\"so\") // #[allow(unused)]\n", &[]);
    }
}
