//! What rsync says on standard output: a line for each entry, and how far it is.

use fleet::amount::Amount;

/// A line is remembered up to here: two paths, each byte of which may be told in five.
const LINE_MAX: usize = 2 * 5 * 4096 + 256;

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Something was done to an entry.
    Item {
        /// What changed, as `--itemize-changes` tells it.
        item: &'a [u8],
        /// Its size.
        bytes: u64,
        /// Below the directory that lists are relative to.
        name: Vec<u8>,
    },
    /// So much is done.
    Progress(Amount),
    /// Anything else.
    Line(&'a [u8]),
}

/// Cuts what comes into lines. Of one that is too long the end is lost.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what has come, and tells each line that is whole.
    pub(super) fn take(&mut self, bytes: &[u8], tell: &mut dyn FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| is_end(*byte)) {
            let (text, ends) = match piece.split_last() {
                Some((last, text)) if is_end(*last) => (text, true),
                _ => (piece, false),
            };
            let room = LINE_MAX - self.begun.len();
            self.begun.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                self.finish(tell);
            }
        }
    }

    /// Tells what came last, without an end.
    pub(super) fn finish(&mut self, tell: &mut dyn FnMut(&[u8])) {
        if !self.begun.is_empty() {
            tell(&self.begun);
            self.begun.clear();
        }
    }
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Said<'_> {
    item(line).or_else(|| progress(line)).unwrap_or(Said::Line(line))
}

/// `@>f+++++++++|2|a/g`
fn item(line: &[u8]) -> Option<Said<'_>> {
    let line = line.strip_prefix(b"@")?;
    let mut parts = line.splitn(3, |byte| *byte == b'|');
    let (item, bytes, name) = (parts.next()?, parts.next()?, parts.next()?);
    if item.len() < 2 {
        return None;
    }
    Some(Said::Item { item, bytes: number(bytes)?, name: unescaped(name) })
}

/// `      5  62%    1.95kB/s    0:00:00 (xfr#3, to-chk=0/9)`
fn progress(line: &[u8]) -> Option<Said<'_>> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let bytes = number(words.next()?)?;
    number(words.next()?.strip_suffix(b"%")?)?;
    let left = words.find_map(|word| {
        let left = word.strip_prefix(b"to-chk=").or_else(|| word.strip_prefix(b"ir-chk="))?;
        let slash = left.iter().position(|byte| *byte == b'/')?;
        let all = left[slash + 1..].strip_suffix(b")")?;
        number(all)?.checked_sub(number(&left[..slash])?)
    });
    Some(Said::Progress(Amount { entries: left.unwrap_or(0), bytes }))
}

/// A number in decimal digits.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// A name of which some bytes are told as `\#012`.
pub(super) fn unescaped(told: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(told.len());
    let mut rest = told;
    while let [first, after @ ..] = rest {
        let escaped = rest.strip_prefix(br"\#");
        if let Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) = escaped {
            name.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = after;
        } else {
            name.push(*first);
            rest = after;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_for_what_they_are() {
        let item = |item, bytes, name: &[u8]| Said::Item { item, bytes, name: name.to_vec() };
        let progress = |entries, bytes| Said::Progress(Amount { entries, bytes });
        for (line, said) in [
            (&b"@>f+++++++++|2|a/g"[..], item(b">f+++++++++", 2, b"a/g")),
            (b"@*deleting  |0|a|b/", item(b"*deleting  ", 0, b"a|b/")),
            (
                b"@cd+++++++++|4096|nl\\#012$(x) 'q\\#377",
                item(b"cd+++++++++", 4096, b"nl\n$(x) 'q\xff"),
            ),
            (b"@.d..t......|0|\\#134#012\\#9", item(b".d..t......", 0, b"\\#012\\#9")),
            (b"@x", Said::Line(b"@x")),
            (b"@>f|x|y", Said::Line(b"@>f|x|y")),
            (b"              1  12%    0.00kB/s    0:00:00  ", progress(0, 1)),
            (b"              5  62%    3.91kB/s    0:00:00 (xfr#3, to-chk=1/9)", progress(8, 5)),
            (
                b"              5  62%    3.91kB/s    0:00:00 (xfr#3, ir-chk=1000/1009)",
                progress(9, 5),
            ),
            (b"              5  62%    3.91kB/s    0:00:00 (xfr#3, to-chk=9/1)", progress(0, 5)),
            (b"created directory d", Said::Line(b"created directory d")),
            (b"12 monkeys", Said::Line(b"12 monkeys")),
            (b"", Said::Line(b"")),
        ] {
            assert_eq!(read(line), said, "{}", line.escape_ascii());
        }
    }

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, &mut |line| told.push(line.to_vec()));
        }
        lines.finish(&mut |line| told.push(line.to_vec()));
        told
    }

    #[test]
    fn a_line_without_end_is_remembered_up_to_a_bound() {
        let long = vec![b'x'; LINE_MAX];
        assert_eq!(lines(&[&long, b"yy", &long, b"\r\nz"]), [long, b"z".to_vec()]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            text in prop::collection::vec(prop::sample::select(&b"ab\n\r"[..]), 0..40),
            at in 0_usize..40,
        ) {
            let (left, right) = text.split_at(at.min(text.len()));
            prop_assert_eq!(lines(&[left, right]), lines(&[&text]));
        }

        #[test]
        fn any_line_is_read(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let at = [b"@".to_vec(), line.clone()].concat();
            for line in [line, at] {
                if let Said::Item { name, .. } = read(&line) {
                    prop_assert!(name.len() <= line.len());
                }
            }
        }
    }
}
