//! `--files-from`: the names in a list.
//!
//! Empty lines are left out, and comments, where there are any. A name never leads out of the
//! source: leading slashes are dropped and `..` takes back the part before it, if there is one.

use crate::cli::refusal::Refusal;

/// What a line is that begins with `#` or `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// A comment: in a list that lies on the host of the source.
    Comments,
    /// A name like any other: rsync passes the names of other lists on as they are.
    Names,
}

/// The names of a list, in order. Lines end with any of CR and LF, or with NUL when `from0`.
pub(crate) fn parse(
    contents: &[u8],
    from0: bool,
    marked: Marked,
) -> Result<Vec<Box<[u8]>>, Refusal> {
    let ends = |byte: &u8| if from0 { *byte == 0 } else { matches!(byte, b'\n' | b'\r') };
    let is_name = |line: &&[u8]| match line.first() {
        None => false,
        Some(b'#' | b';') => marked == Marked::Names,
        Some(_) => true,
    };
    contents.split(ends).filter(is_name).map(confine).collect()
}

/// The same name below the source. `.` parts stay, since `/./` has a meaning with `-R`; so does a
/// trailing slash.
fn confine(name: &[u8]) -> Result<Box<[u8]>, Refusal> {
    if name.contains(&0) {
        let name = name.escape_ascii();
        let hint = "if the list ends its names with NUL, add --from0";
        return Err(Refusal::usage(format!("--files-from: NUL in the name \"{name}\"; {hint}")));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        if part == b".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let mut confined = parts.join(&b'/');
    let ends_as_directory = name.ends_with(b"/") || name.ends_with(b"/..");
    if confined.is_empty() {
        confined.push(b'.');
    } else if ends_as_directory {
        confined.push(b'/');
    }
    Ok(confined.into())
}

#[cfg(test)]
mod tests {
    use super::{Marked, parse};

    fn check(contents: &str, from0: bool, expected: &[&str]) {
        check_marked(contents, from0, Marked::Comments, expected);
    }

    fn check_marked(contents: &str, from0: bool, marked: Marked, expected: &[&str]) {
        let names = parse(contents.as_bytes(), from0, marked).unwrap();
        let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
        assert_eq!(names, expected, "{contents:?}");
    }

    #[test]
    fn comments_and_blank_lines_are_no_names() {
        check("a\n\n#b\n;c\nd e\r\nf", false, &["a", "d e", "f"]);
        check("a\0\0#b\0c\nd\0", true, &["a", "c\nd"]);
        check("", false, &[]);
    }

    #[test]
    fn what_looks_like_a_comment_is_a_name_in_a_list_from_elsewhere() {
        check_marked("a\n\n#b\n;c\n", false, Marked::Names, &["a", "#b", ";c"]);
        check_marked("\0#b\0\0a", true, Marked::Names, &["#b", "a"]);
    }

    #[test]
    fn a_name_never_leads_out_of_the_source() {
        check("/usr/bin", false, &["usr/bin"]);
        check("../foo", false, &["foo"]);
        check("a/../../b", false, &["b"]);
        check("a//b/", false, &["a/b/"]);
        check("a/./b", false, &["a/./b"]);
        check("/\n..\n.", false, &[".", ".", "."]);
        check("a/b/..", false, &["a/"]);
    }

    #[test]
    fn a_list_of_the_other_kind_is_refused() {
        assert!(parse(b"a\0b\0", false, Marked::Comments).is_err());
    }
}
