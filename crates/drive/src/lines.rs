//! The lines of a bucket as bytes: in the working folder, and on their way to who moves them.
//!
//! A line is a letter for its span, one for its kind, its bytes in decimal digits, a blank and its path below
//! the root, ended by NUL: `WD1048576 a/b`. A path may hold any byte but NUL; that of the root is empty.

use fleet::amount::Amount;
use fleet::line::{Line, Span};
use model::Kind;

/// A line as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLine<'a> {
    /// How much of the entry is meant.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// Its bytes; of a directory that is meant with all below, theirs.
    pub bytes: u64,
    /// Below the root; empty for the root itself.
    pub path: &'a [u8],
}

/// Bytes that are no lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is said to be lines of a bucket is none, at byte {at}")]
pub struct NotLines {
    /// Where the first line begins that is none.
    pub at: usize,
}

/// Appends a line.
pub fn put(into: &mut Vec<u8>, line: &Line<'_>) {
    let Line { folder, name, kind, span, amount } = *line;
    let Amount { bytes, .. } = amount;
    put_head(into, span, kind, bytes);
    into.extend_from_slice(folder);
    if !folder.is_empty() && !name.is_empty() {
        into.push(b'/');
    }
    into.extend_from_slice(name);
    into.push(0);
}

impl ListLine<'_> {
    /// Appends it.
    pub fn put(&self, into: &mut Vec<u8>) {
        put_head(into, self.span, self.kind, self.bytes);
        into.extend_from_slice(self.path);
        into.push(0);
    }
}

fn put_head(into: &mut Vec<u8>, span: Span, kind: Kind, bytes: u64) {
    into.push(letter_of(SPANS, span));
    into.push(letter_of(KINDS, kind));
    into.extend_from_slice(bytes.to_string().as_bytes());
    into.push(b' ');
}

/// The lines in `bytes`, one after the other; after what is no line nothing comes.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<ListLine<'_>, NotLines>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let Some((line, len)) = first(rest) else {
            let error = NotLines { at };
            at = bytes.len();
            return Some(Err(error));
        };
        at += len;
        Some(Ok(line))
    })
}

/// The first line, and how many bytes it takes.
fn first(bytes: &[u8]) -> Option<(ListLine<'_>, usize)> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let [span, kind, rest @ ..] = &bytes[..end] else { return None };
    let blank = rest.iter().position(|byte| *byte == b' ')?;
    let (digits, path) = (&rest[..blank], &rest[blank + 1..]);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let bytes = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (span, kind) = (of_letter(SPANS, *span)?, of_letter(KINDS, *kind)?);
    Some((ListLine { span, kind, bytes, path }, end + 1))
}

const SPANS: &[(u8, Span)] =
    &[(b'E', Span::Entry), (b'W', Span::Whole), (b'A', Span::Alone), (b'B', Span::Bare)];

/// As `find -printf %y` names them (find(1)), in capitals.
const KINDS: &[(u8, Kind)] = &[
    (b'F', Kind::File),
    (b'D', Kind::Directory),
    (b'L', Kind::Symlink),
    (b'C', Kind::CharDevice),
    (b'B', Kind::BlockDevice),
    (b'P', Kind::Fifo),
    (b'S', Kind::Socket),
];

fn letter_of<T: Copy + PartialEq>(table: &[(u8, T)], of: T) -> u8 {
    table.iter().find(|(_, it)| *it == of).map_or(b'?', |(letter, _)| *letter)
}

fn of_letter<T: Copy>(table: &[(u8, T)], letter: u8) -> Option<T> {
    table.iter().find(|(it, _)| *it == letter).map(|(_, of)| *of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_line() -> impl Strategy<Value = (Span, Kind, u64, Vec<u8>)> {
        let span = prop::sample::select(SPANS).prop_map(|(_, span)| span);
        let kind = prop::sample::select(KINDS).prop_map(|(_, kind)| kind);
        (span, kind, any::<u64>(), prop::collection::vec(1_u8..=255, 0..40))
    }

    proptest! {
        #[test]
        fn what_was_put_is_read_again(lines in prop::collection::vec(any_line(), 0..20)) {
            let lines: Vec<ListLine<'_>> = lines
                .iter()
                .map(|(span, kind, bytes, path)| ListLine { span: *span, kind: *kind, bytes: *bytes, path })
                .collect();
            let mut bytes = Vec::new();
            for line in &lines { line.put(&mut bytes); }
            let again: Result<Vec<_>, _> = read(&bytes).collect();
            prop_assert_eq!(again, Ok(lines));
        }

        #[test]
        fn any_bytes_are_read_to_their_end_or_the_first_that_is_no_line(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut again = Vec::new();
            let mut is_whole = true;
            for line in read(&bytes) {
                prop_assert!(is_whole);
                match line {
                    Ok(line) => line.put(&mut again),
                    Err(NotLines { at }) => {
                        is_whole = false;
                        prop_assert!(at < bytes.len());
                    }
                }
            }
            prop_assert!(again.len() <= bytes.len());
        }
    }

    #[test]
    fn a_line_of_fleet_is_put_by_its_path() {
        let amount = Amount { entries: 3, bytes: 1_048_576 };
        let folder =
            Line { folder: b"a", name: b"b", kind: Kind::Directory, span: Span::Whole, amount };
        let top =
            Line { folder: b"", name: b"", span: Span::Alone, amount: Amount::of_one(0), ..folder };
        let mut bytes = Vec::new();
        put(&mut bytes, &folder);
        put(&mut bytes, &top);
        assert_eq!(bytes, b"WD1048576 a/b\0AD0 \0");
    }

    #[test]
    fn what_is_no_line_is_told_by_where_it_begins() {
        for (bytes, at) in [
            (&b"EF1 a\0EF1 b"[..], 6),
            (b"XF1 a\0", 0),
            (b"EX1 a\0", 0),
            (b"EF a\0", 0),
            (b"EF+1 a\0", 0),
            (b"EF18446744073709551616 a\0", 0),
            (b"EF1a\0", 0),
            (b"\0", 0),
        ] {
            let last = read(bytes).last();
            assert_eq!(last, Some(Err(NotLines { at })), "{}", bytes.escape_ascii());
        }
    }
}
