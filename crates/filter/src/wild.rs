//! Wildcard patterns as a small automaton.
//!
//! All ways to match are followed at once, one text byte after the other, so the work is never more
//! than text length times pattern length. Rules come from trees we do not trust: a matcher that
//! tries one way after another can be made to run for years.

/// A compiled wildcard pattern.
#[derive(Debug, Clone)]
pub(crate) struct Wild {
    /// What consumes exactly one byte each; none when the pattern is malformed and matches nothing.
    steps: Option<Vec<Step>>,
    /// `skips[i]` is what may lie before `steps[i]`; the last one is what may lie behind all.
    skips: Vec<Skip>,
    /// Bytes the text must end with, for a quick no.
    ending: Vec<u8>,
}

/// Consumes one byte.
#[derive(Debug, Clone)]
enum Step {
    Byte(u8),
    AnyButSlash,
    Class(Box<ByteSet>),
}

/// Consumes any number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    Nothing,
    WithinName,
    AcrossNames,
}

/// Where in the text a match may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At its start.
    Start,
    /// At its start and behind every slash.
    AnyName,
}

impl Wild {
    /// Compiles a pattern.
    pub(crate) fn new(pattern: &[u8]) -> Self {
        let mut wild = Self { steps: None, skips: vec![Skip::Nothing], ending: Vec::new() };
        wild.steps = wild.compile(pattern);
        if let Some(steps) = &wild.steps {
            wild.ending = ending_of(steps, &wild.skips);
        }
        wild
    }

    /// True when the whole text, given in parts, matches.
    pub(crate) fn matches(&self, text: [&[u8]; 3], begin: Begin) -> bool {
        let [_, middle, last] = text;
        if last.is_empty() && middle.len() >= self.ending.len() && !middle.ends_with(&self.ending) {
            return false;
        }
        self.run(text, begin, &mut || ())
    }

    /// Follows all ways at once; `tick` is called for each way at each byte.
    fn run(&self, text: [&[u8]; 3], begin: Begin, tick: &mut impl FnMut()) -> bool {
        let Some(steps) = &self.steps else { return false };
        let mut now = Ways::new(steps.len() + 1);
        let mut next = Ways::new(steps.len() + 1);
        now.insert(0);
        for &byte in text.into_iter().flatten() {
            next.clear();
            now.for_each(|at| {
                tick();
                if self.skips[at].passes(byte) {
                    next.insert(at);
                }
                if steps.get(at).is_some_and(|step| step.accepts(byte)) {
                    next.insert(at + 1);
                }
            });
            if begin == Begin::AnyName && byte == b'/' {
                next.insert(0);
            }
            if begin == Begin::Start && next.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.contains(steps.len())
    }

    /// Fills `skips` and gives the steps, or nothing when the pattern is malformed.
    fn compile(&mut self, pattern: &[u8]) -> Option<Vec<Step>> {
        let mut steps = Vec::with_capacity(pattern.len());
        let mut rest = pattern;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            let step = match byte {
                b'*' => {
                    let stars = rest.iter().take_while(|&&byte| byte == b'*').count();
                    rest = &rest[stars..];
                    let skip = if stars == 0 { Skip::WithinName } else { Skip::AcrossNames };
                    self.skips[steps.len()] = skip;
                    continue;
                }
                b'?' => Step::AnyButSlash,
                b'[' => {
                    let (set, behind) = parse_class(rest)?;
                    rest = behind;
                    Step::Class(Box::new(set))
                }
                b'\\' => {
                    let (&escaped, behind) = rest.split_first()?;
                    rest = behind;
                    Step::Byte(escaped)
                }
                plain => Step::Byte(plain),
            };
            steps.push(step);
            self.skips.push(Skip::Nothing);
        }
        Some(steps)
    }
}

impl Step {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Self::Byte(wanted) => *wanted == byte,
            Self::AnyButSlash => byte != b'/',
            Self::Class(set) => set.contains(byte),
        }
    }
}

impl Skip {
    fn passes(self, byte: u8) -> bool {
        match self {
            Self::Nothing => false,
            Self::WithinName => byte != b'/',
            Self::AcrossNames => true,
        }
    }
}

/// The plain bytes at the end of the pattern.
fn ending_of(steps: &[Step], skips: &[Skip]) -> Vec<u8> {
    let mut ending = Vec::new();
    for (step, behind) in steps.iter().zip(&skips[1..]).rev() {
        match step {
            Step::Byte(byte) if *behind == Skip::Nothing => ending.push(*byte),
            _ => break,
        }
    }
    ending.reverse();
    ending
}

/// A set of positions in the pattern.
#[derive(Debug, Clone)]
enum Ways {
    Few(u64),
    Many(Vec<u64>),
}

impl Ways {
    fn new(positions: usize) -> Self {
        if positions <= 64 { Self::Few(0) } else { Self::Many(vec![0; positions.div_ceil(64)]) }
    }

    fn clear(&mut self) {
        match self {
            Self::Few(word) => *word = 0,
            Self::Many(words) => words.fill(0),
        }
    }

    fn insert(&mut self, at: usize) {
        match self {
            Self::Few(word) => *word |= 1 << at,
            Self::Many(words) => words[at / 64] |= 1 << (at % 64),
        }
    }

    fn contains(&self, at: usize) -> bool {
        match self {
            Self::Few(word) => word >> at & 1 == 1,
            Self::Many(words) => words[at / 64] >> (at % 64) & 1 == 1,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Few(word) => *word == 0,
            Self::Many(words) => words.iter().all(|word| *word == 0),
        }
    }

    fn for_each(&self, mut visit: impl FnMut(usize)) {
        let words = match self {
            Self::Few(word) => std::slice::from_ref(word),
            Self::Many(words) => words,
        };
        for (index, &word) in words.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                visit(index * 64 + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }
}

/// A set of bytes.
#[derive(Debug, Clone, Default)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }

    fn complement(&mut self) {
        self.0 = self.0.map(|word| !word);
    }

    fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] &= !(1 << (byte % 64));
    }
}

/// Reads a class behind its `[`; gives it and what follows its `]`. A slash is never in a class.
fn parse_class(text: &[u8]) -> Option<(ByteSet, &[u8])> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let mut rest = &text[usize::from(negated)..];
    let mut set = ByteSet::default();
    let mut range_start = None;
    loop {
        (range_start, rest) = parse_member(rest, range_start, &mut set)?;
        if let Some(behind) = rest.strip_prefix(b"]") {
            if negated {
                set.complement();
            }
            set.remove(b'/');
            return Some((set, behind));
        }
    }
}

/// Reads one member of a class: a byte, a range that began with the member before, or a named
/// class. Gives the byte that a range may begin with.
fn parse_member<'a>(
    text: &'a [u8],
    range_start: Option<u8>,
    set: &mut ByteSet,
) -> Option<(Option<u8>, &'a [u8])> {
    let (&byte, rest) = text.split_first()?;
    if byte == b'\\' {
        let (&escaped, rest) = rest.split_first()?;
        set.insert(escaped);
        return Some((Some(escaped), rest));
    }
    if let (b'-', Some(low), Some(&next)) = (byte, range_start, rest.first())
        && next != b']'
    {
        let rest = if next == b'\\' { &rest[1..] } else { rest };
        let (&high, rest) = rest.split_first()?;
        (low..=high).for_each(|member| set.insert(member));
        return Some((None, rest));
    }
    if byte == b'[' && rest.first() == Some(&b':') {
        let end = rest[1..].iter().position(|&byte| byte == b']')? + 1;
        if end >= 2 && rest[end - 1] == b':' {
            insert_named(&rest[1..end - 1], set)?;
            return Some((None, &rest[end + 1..]));
        }
    }
    set.insert(byte);
    Some((Some(byte), rest))
}

/// Adds the members of a class such as `alpha`, ASCII only.
fn insert_named(name: &[u8], set: &mut ByteSet) -> Option<()> {
    let test: fn(&u8) -> bool = match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    (0..=u8::MAX).filter(test).for_each(|byte| set.insert(byte));
    Some(())
}

#[cfg(test)]
mod tests;
