//! From the text of one rule to what it says. Knows no lists and no files.

use crate::error::Flaw;
use crate::rule::Traits;

/// Paths are shorter on every system we know, so a longer pattern is a mistake or an attack.
pub(crate) const MAX_PATTERN_BYTES: usize = 4095;

/// How the rule around the text wants it read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Template {
    /// What rules take over, and how their file is read.
    pub(crate) traits: Traits,
    pub(crate) wording: Wording,
}

/// Which prefixes a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wording {
    /// Rule names with modifiers, as in `--filter`.
    Rules,
    /// `+ ` and `- ` at most, as in `--exclude`.
    Patterns,
    /// None at all, as in a merge file read with `-` or `+`.
    Bare,
    /// None at all but for `!`, as in `.cvsignore`.
    Cvs,
}

impl Template {
    /// For `--filter`.
    pub(crate) const RULES: Self = Self { traits: Traits::empty(), wording: Wording::Rules };

    /// For what lies in a merge file of these traits.
    pub(crate) fn inside(traits: Traits) -> Self {
        let wording = if !traits.contains(Traits::BARE) {
            Wording::Rules
        } else if traits.contains(Traits::CVS) {
            Wording::Cvs
        } else {
            Wording::Bare
        };
        Self { traits, wording }
    }
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sentence<'a> {
    /// Forget the rules so far.
    Clear,
    /// Exclude or include.
    Match { traits: Traits, pattern: &'a [u8] },
    /// The patterns of CVS stand here.
    CvsPatterns { traits: Traits },
    /// Read a file, here or in each directory.
    Merge { when: When, traits: Traits, name: &'a [u8] },
}

/// When a merge file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    InEachDirectory,
}

/// The kinds of rules that share a set of modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Clear,
    /// May still name sides.
    Open,
    /// Its name has named the side.
    OneSided,
    Merge(When),
}

/// Parses the text of one rule, which is not empty.
pub(crate) fn parse(text: &[u8], template: Template) -> Result<Sentence<'_>, Flaw> {
    let inherited = template.traits & Traits::INHERITED;
    let (kind, own, rest) = match template.wording {
        Wording::Rules => parse_prefix(text, inherited)?,
        Wording::Patterns => parse_pattern_prefix(text, inherited),
        Wording::Cvs if text == b"!" => (Kind::Clear, inherited, &text[1..]),
        Wording::Cvs | Wording::Bare => (Kind::Open, inherited, text),
    };
    let traits = add_sides(own, template.traits)?;
    let names_cvs = traits.contains(Traits::CVS);
    match kind {
        Kind::Clear if rest.is_empty() => Ok(Sentence::Clear),
        Kind::Clear => Err(Flaw::ClearArgument),
        _ if rest.is_empty() && !names_cvs => Err(Flaw::Unfinished),
        _ if rest.len() > MAX_PATTERN_BYTES => Err(Flaw::TooLong),
        Kind::Merge(when) if rest.is_empty() => {
            Ok(Sentence::Merge { when, traits, name: b".cvsignore" })
        }
        Kind::Merge(when) => Ok(Sentence::Merge { when, traits, name: rest }),
        Kind::Open | Kind::OneSided if names_cvs => Ok(Sentence::CvsPatterns { traits }),
        Kind::Open | Kind::OneSided => Ok(Sentence::Match { traits, pattern: rest }),
    }
}

/// Adds the sides of the merge rule around; only one of the two may name any.
fn add_sides(own: Traits, around: Traits) -> Result<Traits, Flaw> {
    if own.intersects(Traits::SIDES) && around.intersects(Traits::SIDES) {
        return Err(Flaw::SideNamedTwice);
    }
    Ok(own | around & Traits::SIDES)
}

fn parse_pattern_prefix(text: &[u8], inherited: Traits) -> (Kind, Traits, &[u8]) {
    match text {
        b"!" => (Kind::Clear, inherited, b""),
        [b'-', b' ', rest @ ..] => (Kind::Open, inherited - Traits::INCLUDE, rest),
        [b'+', b' ', rest @ ..] => (Kind::Open, inherited | Traits::INCLUDE, rest),
        _ => (Kind::Open, inherited, text),
    }
}

/// Long names and the short ones they stand for.
const LONG_NAMES: [(&[u8], u8); 9] = [
    (b"clear", b'!'),
    (b"dir-merge", b':'),
    (b"exclude", b'-'),
    (b"hide", b'H'),
    (b"include", b'+'),
    (b"merge", b'.'),
    (b"protect", b'P'),
    (b"risk", b'R'),
    (b"show", b'S'),
];

/// Parses name and modifiers; what is left is the pattern or file name.
fn parse_prefix(text: &[u8], inherited: Traits) -> Result<(Kind, Traits, &[u8]), Flaw> {
    let (name, rest) = parse_name(text).ok_or(Flaw::UnknownKind)?;
    let (kind, traits) = match name {
        b'!' => return Ok((Kind::Clear, inherited, rest)),
        b'-' => (Kind::Open, Traits::empty()),
        b'+' => (Kind::Open, Traits::INCLUDE),
        b'H' => (Kind::OneSided, Traits::SENDER),
        b'S' => (Kind::OneSided, Traits::SENDER | Traits::INCLUDE),
        b'P' => (Kind::OneSided, Traits::RECEIVER),
        b'R' => (Kind::OneSided, Traits::RECEIVER | Traits::INCLUDE),
        b'.' => (Kind::Merge(When::Now), Traits::empty()),
        b':' => (Kind::Merge(When::InEachDirectory), Traits::empty()),
        _ => return Err(Flaw::UnknownKind),
    };
    let mut traits = inherited | traits;
    let end = rest.iter().position(|byte| matches!(byte, b' ' | b'_')).unwrap_or(rest.len());
    for &letter in &rest[..end] {
        traits |= modifier(letter, kind, traits).ok_or(Flaw::Modifier(letter))?;
    }
    Ok((kind, traits, rest.get(end + 1..).unwrap_or_default()))
}

/// Gives the short name, and what follows name and comma.
fn parse_name(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = text.split_first()?;
    let (name, rest) = match first {
        b'c'..=b'e' | b'h' | b'i' | b'm' | b'p' | b'r' | b's' => {
            let (long, short) = LONG_NAMES.iter().find(|(long, _)| text.starts_with(long))?;
            let rest = &text[long.len()..];
            let ends =
                rest.first().is_none_or(|&byte| is_space(byte) || matches!(byte, b'_' | b','));
            if !ends {
                return None;
            }
            (*short, rest)
        }
        _ => (first, rest),
    };
    Some((name, rest.strip_prefix(b",").unwrap_or(rest)))
}

/// What a modifier adds, or nothing when it is not allowed.
fn modifier(letter: u8, kind: Kind, so_far: Traits) -> Option<Traits> {
    let is_merge = matches!(kind, Kind::Merge(_));
    let is_bare = so_far.contains(Traits::BARE);
    let (allowed, traits) = match letter {
        b'-' => (is_merge && !is_bare, Traits::BARE),
        b'+' => (is_merge && !is_bare, Traits::BARE | Traits::INCLUDE),
        b'/' => (true, Traits::FULL_PATH),
        b'!' => (!is_merge, Traits::NEGATED),
        b'C' => {
            let cvs = Traits::BARE | Traits::WORDS | Traits::OWN_DIRECTORY | Traits::CVS;
            (!is_bare && kind != Kind::OneSided, cvs)
        }
        b'e' => (is_merge, Traits::HIDE_FILE),
        b'n' => (is_merge, Traits::OWN_DIRECTORY),
        b'w' => (is_merge, Traits::WORDS),
        b'p' => (true, Traits::PERISHABLE),
        b'r' => (kind != Kind::OneSided, Traits::RECEIVER),
        b's' => (kind != Kind::OneSided, Traits::SENDER),
        b'x' => (true, Traits::XATTR),
        _ => (false, Traits::empty()),
    };
    allowed.then_some(traits)
}

/// White space as C has it.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests;
