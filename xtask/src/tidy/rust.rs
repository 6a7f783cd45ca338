//! Rust source as far as rules need it: what of it is code, and what is comment or text.

/// The source with comments, and the insides of string and character literals, blanked out. Each
/// line stays where it is.
pub(super) fn code_of(source: &str) -> String {
    Masker { rest: source, masked: String::with_capacity(source.len()) }.run()
}

/// Where a word stands by itself in a line of code.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].bytes().next_back();
        let after = line[at + word.len()..].bytes().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

struct Masker<'a> {
    rest: &'a str,
    masked: String,
}

impl Masker<'_> {
    fn run(mut self) -> String {
        while let Some(first) = self.rest.chars().next() {
            if self.rest.starts_with("//") {
                self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.blank(comment_len(self.rest));
            } else if let Some(hashes) = raw_string(self.rest, self.masked.bytes().next_back()) {
                self.raw_string(hashes);
            } else if first == '"' {
                self.literal('"');
            } else if first == '\'' && is_character(self.rest) {
                self.literal('\'');
            } else {
                self.keep(first.len_utf8());
            }
        }
        self.masked
    }

    fn keep(&mut self, len: usize) {
        self.masked.push_str(&self.rest[..len]);
        self.rest = &self.rest[len..];
    }

    fn blank(&mut self, len: usize) {
        let blanked = |letter| if letter == '\n' { '\n' } else { ' ' };
        self.masked.extend(self.rest[..len].chars().map(blanked));
        self.rest = &self.rest[len..];
    }

    /// A literal that knows escapes, from quote to quote.
    fn literal(&mut self, quote: char) {
        self.keep(1);
        let mut escaped = false;
        let end = self.rest.find(|letter| {
            let ends = letter == quote && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        self.blank(end.unwrap_or(self.rest.len()));
        self.keep(self.rest.len().min(1));
    }

    fn raw_string(&mut self, hashes: usize) {
        let close = format!("\"{}", "#".repeat(hashes));
        self.keep(1 + hashes + 1);
        self.blank(self.rest.find(&close).unwrap_or(self.rest.len()));
        self.keep(self.rest.len().min(close.len()));
    }
}

/// Length of a block comment; they nest.
fn comment_len(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest.starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// How many hashes a raw string that begins here has; `None` when none begins.
fn raw_string(text: &str, before: Option<u8>) -> Option<usize> {
    let continues_a_name = before.is_some_and(|byte| {
        (byte.is_ascii_alphanumeric() && !matches!(byte, b'b' | b'c')) || byte == b'_'
    });
    let rest = text.strip_prefix('r').filter(|_| !continues_a_name)?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// Tells a character from a lifetime.
fn is_character(text: &str) -> bool {
    let mut letters = text.chars().skip(1);
    match letters.next() {
        Some('\\') => true,
        Some(_) => letters.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{code_of, has_word};

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(code_of(source), expected);
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */\n d */ e", "a             \n      e");
        check("a /* b", "a     ");
    }

    #[test]
    fn literals_keep_only_their_quotes() {
        check(r#"f("a\"//", 'b', '\'')"#, r#"f("     ", ' ', '  ')"#);
        check("b\"x\ny\" z", "b\" \n \" z");
        check("r\"\\\" r#\"a\"b\"# br\"c\"", "r\" \" r#\"   \"# br\" \"");
        check("\"open", "\"    ");
    }

    #[test]
    fn lifetimes_and_names_are_code() {
        check("fn f<'a>(x: &'a str, for_r: u8)", "fn f<'a>(x: &'a str, for_r: u8)");
        check("bar\"x\"", "bar\" \"");
    }

    #[test]
    fn a_word_stands_by_itself() {
        assert!(has_word("unsafe {", "unsafe") && has_word("(unsafe)", "unsafe"));
        assert!(!has_word("unsafe_code not_unsafe", "unsafe"));
    }
}
