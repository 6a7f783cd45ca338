//! Names as Windows takes them.

use std::str;

/// In UTF-16.
const NAME_MAX: usize = 255;

/// Names of devices, whatever extension they have.
const RESERVED: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// The same with a digit after them.
const RESERVED_WITH_DIGIT: [&str; 2] = ["COM", "LPT"];

/// A path below a directory, with backslashes; the directory itself is a dot.
///
/// Fails with what is wrong with it.
pub(super) fn path(path: &[u8]) -> Result<String, &'static str> {
    if path.is_empty() {
        return Ok(".".to_owned());
    }
    let names: Result<Vec<&str>, _> = path.split(|byte| *byte == b'/').map(name).collect();
    Ok(names?.join("\\"))
}

/// A name that robocopy is given as that of a file.
///
/// Fails with what is wrong with it.
pub(super) fn file_name(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = name(bytes)?;
    if text.starts_with('-') {
        return Err(
            "a name that begins with a hyphen may be taken for an option by robocopy, whatever it \
                    says; give it another name, or let its directory go whole",
        );
    }
    Ok(text)
}

/// A name.
///
/// Fails with what is wrong with it.
pub(super) fn name(bytes: &[u8]) -> Result<&str, &'static str> {
    let Ok(text) = str::from_utf8(bytes) else {
        return Err("Windows has no names that are not UTF-8; give it another one");
    };
    if text.contains(|letter| matches!(letter, '\0'..='\u{1f}')) {
        return Err("Windows takes no control characters in names; give it another one");
    }
    if text.contains(['"', '*', ':', '<', '>', '?', '\\', '|', '/']) {
        return Err("Windows takes none of \" * : < > ? \\ | in names; give it another one");
    }
    if text.ends_with(['.', ' ']) {
        return Err("Windows drops a dot or blank at the end of a name; give it another one");
    }
    if text.encode_utf16().count() > NAME_MAX {
        return Err("Windows takes names of up to 255 characters; give it another one");
    }
    if is_reserved(text) {
        return Err("Windows takes the name for that of a device; give it another one");
    }
    Ok(text)
}

fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let is = |reserved: &str| stem.eq_ignore_ascii_case(reserved);
    let mut letters = stem.chars();
    let digit = letters.next_back();
    // The digits 1 to 3 high up count, too.
    let is_digit = digit.is_some_and(|digit| matches!(digit, '0'..='9' | '¹' | '²' | '³'));
    let before = letters.as_str();
    RESERVED.into_iter().any(is)
        || is_digit && RESERVED_WITH_DIGIT.iter().any(|port| before.eq_ignore_ascii_case(port))
}

#[cfg(test)]
mod tests {
    use super::{file_name, name, path};

    #[test]
    fn names_that_windows_takes_are_taken() {
        let sound = [
            "a", ".a", " a", "a.b", "100%", "a&b^(!)", "COM", "COMX", "COM10", "CONSOLE", "nul1",
            "xCON", "é", "😀", "a~1", "-", "$", "\u{7f}", "..a", "com¹¹",
        ];
        for sound in sound {
            assert_eq!(name(sound.as_bytes()), Ok(sound));
        }
    }

    #[test]
    fn names_that_windows_does_not_take_are_refused() {
        let unsound = [
            "a.", "a ", "...", "a\"", "a*", "a:b", "a<", "a>", "a?", "a\\", "a|", "a\nb", "\u{1}",
            "CON", "con", "Nul.txt", "aux .b.c", "COM1", "lpt9.x", "com²", "COM0", "conin$",
            "PRN.",
        ];
        for unsound in unsound {
            assert!(name(unsound.as_bytes()).is_err(), "{unsound}");
            let path = path(&[b"a/", unsound.as_bytes(), b"/b"].concat());
            assert!(path.is_err(), "{unsound}");
        }
        assert!(name(b"\xff").is_err());
    }

    #[test]
    fn a_file_is_not_called_like_an_option() {
        assert!(file_name(b"-purge").is_err());
        assert_eq!(path(b"-purge/-mir"), Ok("-purge\\-mir".to_owned()));
    }

    #[test]
    fn the_top_is_a_dot() {
        assert_eq!(path(b""), Ok(".".to_owned()));
    }
}
