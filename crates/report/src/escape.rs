//! Lines made safe to show: what is not printable becomes rsync's `\#ooo`.
//!
//! Names come from the tree, and a tree may be hostile: no control byte of a name reaches a
//! terminal. C1 control characters are escaped too, although rsync lets them pass where they are
//! valid UTF-8, since terminals obey them.

use crate::settings::NameEscapes;

/// Appends `text` to `line`, escaped. Tabs stay, as in rsync.
pub(crate) fn escape(text: &[u8], escapes: NameEscapes, line: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        escape_valid(chunk.valid(), escapes, line);
        for &byte in chunk.invalid() {
            match escapes {
                NameEscapes::ControlOnly => line.push(byte),
                NameEscapes::Unprintable | NameEscapes::NonAscii => push_octal(byte, line),
            }
        }
    }
}

fn escape_valid(text: &str, escapes: NameEscapes, line: &mut Vec<u8>) {
    for (start, character) in text.char_indices() {
        let bytes = &text.as_bytes()[start..start + character.len_utf8()];
        let hidden = match character {
            '\t' => false,
            '\0'..' ' => true,
            // Else a name could pretend to be an escape.
            '\\' => is_escape(&text.as_bytes()[start..]),
            '\u{80}'..='\u{9f}' => escapes != NameEscapes::ControlOnly,
            '\u{a0}'.. => escapes == NameEscapes::NonAscii,
            _ => false,
        };
        if hidden {
            for &byte in bytes {
                push_octal(byte, line);
            }
        } else {
            line.extend_from_slice(bytes);
        }
    }
}

/// True when `text` begins like `\#012`.
fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'\\', b'#', a, b, c, ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()))
}

fn push_octal(byte: u8, line: &mut Vec<u8>) {
    let digit = |shift: u32| b'0' + (byte >> shift & 7);
    line.extend_from_slice(&[b'\\', b'#', digit(6), digit(3), digit(0)]);
}

#[cfg(test)]
mod tests {
    use super::escape;
    use crate::settings::NameEscapes;

    fn check(text: &[u8], escapes: NameEscapes, expected: &[u8]) {
        let mut line = Vec::new();
        escape(text, escapes, &mut line);
        assert_eq!(line.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn escapes_as_rsync_does() {
        use NameEscapes::{ControlOnly, NonAscii, Unprintable};
        check(b"n\nl", Unprintable, br"n\#012l");
        check(b"a\tb", Unprintable, b"a\tb");
        check(b"f\xff", Unprintable, br"f\#377");
        check(b"f\xff", ControlOnly, b"f\xff");
        check("ué".as_bytes(), Unprintable, "ué".as_bytes());
        check("é".as_bytes(), NonAscii, br"\#303\#251");
        check(b"sur\xed\xa0\x80", Unprintable, br"sur\#355\#240\#200");
        check(br"b\#012x", Unprintable, br"b\#134#012x");
        check(br"q\\#001", Unprintable, br"q\\#134#001".as_slice());
        check(br"b\#01", Unprintable, br"b\#01");
        check(b"\x1b[31m", ControlOnly, br"\#033[31m");
    }

    #[test]
    fn no_terminal_control_passes() {
        check("c1\u{9b}x".as_bytes(), NameEscapes::Unprintable, br"c1\#302\#233x");
    }
}
