//! Words that do not belong into a file that others read.

use super::Finding;
use super::rust::has_word;
use super::tree::{File, Tree};

/// Notes to self; cut in two, so that this file does not find itself.
const NOTES: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Directories that look different on each machine.
const PRIVATE_DIRS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Homes that nobody has, for examples and tests.
const INVENTED_HOMES: &[&str] = &["me", "u", "user", "**"];

/// Kinds of files that line numbers are quoted of.
const SOURCES: &[&str] = &[".rs:", ".c:", ".md:", ".toml:"];

/// What is not finished is an issue, not a note.
pub(super) fn no_notes_to_self(tree: &Tree) -> Vec<Finding> {
    each_line(tree.files(), |_, line| {
        let note = NOTES.iter().find(|note| has_word(line, note))?;
        Some(format!("{note}: finish it, or open an issue"))
    })
}

/// Line numbers are wrong after the next edit. In code only comments are looked at.
pub(super) fn no_line_numbers(tree: &Tree) -> Vec<Finding> {
    each_line(tree.files(), |file, line| {
        let prose = if file.is("rs") { &line[line.find("//")?..] } else { line };
        let quoted = quoted_line(prose)?;
        Some(format!("{quoted} will soon be another line: name the function or the section"))
    })
}

/// The reference to a line, up to its number.
fn quoted_line(line: &str) -> Option<&str> {
    SOURCES.iter().find_map(|kind| {
        line.match_indices(kind).find_map(|(at, _)| {
            let after = &line[at + kind.len()..];
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let name =
                line[..at].rfind(|letter: char| !is_of_a_path(letter)).map_or(0, |at| at + 1);
            let is_reference = digits > 0 && name < at && line.is_char_boundary(name);
            is_reference.then(|| &line[name..at + kind.len() + digits])
        })
    })
}

fn is_of_a_path(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '/' | '.')
}

/// A path of one machine means nothing on another.
pub(super) fn no_paths_of_one_machine(tree: &Tree) -> Vec<Finding> {
    each_line(tree.files(), |_, line| {
        let dir = PRIVATE_DIRS.iter().find(|dir| {
            line.match_indices(*dir).any(|(at, _)| {
                let begins = !line[..at].ends_with(|letter: char| {
                    is_of_a_path(letter) || matches!(letter, '}' | ')' | '*' | '~')
                });
                begins && !is_invented(&line[at + dir.len()..])
            })
        })?;
        Some(format!("{dir} is the place of one machine"))
    })
}

fn is_invented(home: &str) -> bool {
    let end = home.find(|letter: char| !(is_of_a_path(letter) || letter == '*') || letter == '/');
    INVENTED_HOMES.contains(&&home[..end.unwrap_or(home.len())])
}

fn each_line(files: &[File], rule: impl Fn(&File, &str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.lines() {
            if let Some(what) = rule(file, line) {
                findings.push(Finding::at(&file.path, number, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{NOTES, PRIVATE_DIRS, no_line_numbers, no_notes_to_self, no_paths_of_one_machine};
    use crate::tidy::testing::check;

    #[test]
    fn notes_to_self_are_found_in_any_file() {
        for note in NOTES {
            check(no_notes_to_self, "a.md", &format!("fine\n({note})\n"), &[2]);
            check(no_notes_to_self, "a.rs", &format!("// {note}: later\n"), &[1]);
            check(no_notes_to_self, "a.rs", &format!("{note}{note} a{note} x_{note}"), &[]);
        }
    }

    #[test]
    fn line_numbers_are_found() {
        let with = |number: &str| format!("see src/main.rs:{number} for it");
        check(no_line_numbers, "a.md", &with("12"), &[1]);
        check(no_line_numbers, "a.rs", &format!("// rsync's flist.c:{}", 9), &[1]);
        check(no_line_numbers, "a.md", &with(" so"), &[]);
        check(no_line_numbers, "a.rs", &with("12"), &[]);
        check(no_line_numbers, "a.md", "12:30, at 1.rs: 4, .rs:4", &[]);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for dir in PRIVATE_DIRS {
            check(no_paths_of_one_machine, "a.md", &format!("cd {dir}x"), &[1]);
            check(no_paths_of_one_machine, "a.rs", &format!("\"{dir}\""), &[1]);
            check(no_paths_of_one_machine, "a.md", &format!("target{dir}x"), &[]);
            check(no_paths_of_one_machine, "a.md", &format!("{dir}me/x {dir}user"), &[]);
        }
    }
}
