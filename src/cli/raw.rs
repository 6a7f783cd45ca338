//! Flags exactly as typed, in the order in which they were typed.
//!
//! rsync's habits (popt's): letters in clusters, `-essh`, `-e ssh`, `--opt=value`, `--opt value`,
//! options after paths, `--` ends options, `-` is a path. No conflict is decided here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use lexopt::Arg;

use super::options::{self, Argument, Opt, Polarity, Spec};
use super::refusal::Refusal;

/// One flag as typed.
#[derive(Clone, Debug)]
pub(crate) struct RawFlag {
    pub(crate) opt: Opt,
    pub(crate) polarity: Polarity,
    /// With its dashes, for messages.
    pub(crate) spelling: String,
    /// What stands behind it; empty where it takes nothing.
    pub(crate) value: OsString,
}

impl RawFlag {
    /// False for `--no-OPTION`.
    pub(crate) fn is_on(&self) -> bool {
        self.polarity == Polarity::On
    }

    /// The argument, byte for byte.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.value.as_bytes()
    }

    /// The argument as text.
    pub(crate) fn text(&self) -> Result<&str, Refusal> {
        self.value.to_str().ok_or_else(|| self.refuse("is not text"))
    }

    /// The argument as a whole number, as the C library reads one: `0x10` and `010` are 16 and 8,
    /// and nothing is 0.
    pub(crate) fn number(&self) -> Result<i32, Refusal> {
        let text = self.text()?.trim_start();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hex) => (16, hex),
            None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
            None if text.is_empty() => (10, "0"),
            None => (10, digits),
        };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return Err(self.refuse("is not a whole number"));
        }
        i64::from_str_radix(digits, radix)
            .ok()
            .and_then(|number| i32::try_from(sign * number).ok())
            .ok_or_else(|| self.refuse("is out of range"))
    }

    /// `--option=value` and what is wrong with it, as a usage error.
    pub(crate) fn refuse(&self, what: &str) -> Refusal {
        let value = self.value.as_bytes().escape_ascii();
        let sign = if self.spelling.starts_with("--") { "=" } else { " " };
        Refusal::usage(format!("{}{sign}{value} {what}", self.spelling))
    }
}

/// A command line as typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawArgs {
    pub(crate) flags: Vec<RawFlag>,
    pub(crate) paths: Vec<OsString>,
    /// How many words it had: `-h` alone means `--help`.
    pub(crate) words: usize,
}

impl RawArgs {
    /// How often an option was asked for.
    pub(crate) fn count(&self, opt: Opt) -> usize {
        self.flags.iter().filter(|flag| flag.opt == opt && flag.is_on()).count()
    }
}

/// Reads a command line, without the name of the program. What follows a request for help is not
/// looked at.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<RawArgs, Refusal> {
    let mut raw = RawArgs { words: arguments.len(), ..RawArgs::default() };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| refuse(&error))? {
        let found = match argument {
            Arg::Value(path) => {
                raw.paths.push(path);
                continue;
            }
            Arg::Long(name) => find_long(name)?,
            Arg::Short(letter) => find_short(letter)?,
        };
        let flag = flag(found, &mut parser)?;
        let ends = asks_for_help(&flag);
        raw.flags.push(flag);
        if ends {
            break;
        }
    }
    Ok(raw)
}

/// An option with what stands behind it.
fn flag(
    (spec, polarity, spelling): Found,
    parser: &mut lexopt::Parser,
) -> Result<RawFlag, Refusal> {
    let value = if takes_value(spec, polarity) {
        parser.value().map_err(|error| refuse(&error))?
    } else {
        OsString::new()
    };
    let flag = RawFlag { opt: spec.opt, polarity, spelling, value };
    if matches!(spec.argument, Argument::Number(_)) && flag.is_on() {
        flag.number()?;
    }
    Ok(flag)
}

/// An option that another command has, too, as it is spelt there; `None` if it is none of these.
pub(super) fn shared_flag(
    name: &str,
    shared: impl Fn(Opt) -> bool,
    parser: &mut lexopt::Parser,
) -> Result<Option<RawFlag>, Refusal> {
    let mut letters = name.trim_start_matches('-').chars();
    let found = match (name.strip_prefix("--"), letters.next()) {
        (Some(long), _) => find_long(long),
        (None, Some(letter)) => find_short(letter),
        (None, None) => return Ok(None),
    };
    let Some(found) = found.ok().filter(|(spec, ..)| shared(spec.opt)) else { return Ok(None) };
    flag(found, parser).map(Some)
}

type Found = (&'static Spec, Polarity, String);

fn find_long(name: &str) -> Result<Found, Refusal> {
    let (spec, polarity) = options::by_long(name)
        .ok_or_else(|| Refusal::usage(format!("--{name}: there is no such option")))?;
    Ok((spec, polarity, format!("--{name}")))
}

fn find_short(letter: char) -> Result<Found, Refusal> {
    let spec = options::by_short(letter)
        .ok_or_else(|| Refusal::usage(format!("-{letter}: there is no such option")))?;
    Ok((spec, Polarity::On, format!("-{letter}")))
}

fn takes_value(spec: &Spec, polarity: Polarity) -> bool {
    spec.argument != Argument::None && polarity == Polarity::On
}

/// `--help`, `--info=help` and `--debug=help` are answered at once, whatever stands behind them.
fn asks_for_help(flag: &RawFlag) -> bool {
    match flag.opt {
        Opt::Help => true,
        Opt::Info | Opt::Debug => {
            flag.bytes().split(|byte| *byte == b',').any(|word| word.eq_ignore_ascii_case(b"help"))
        }
        _ => false,
    }
}

fn refuse(error: &lexopt::Error) -> Refusal {
    Refusal::usage(match error {
        lexopt::Error::MissingValue { option: Some(option) } => {
            format!("{option}: the argument is missing")
        }
        lexopt::Error::UnexpectedValue { option, value } => {
            let value = OsStr::new(value).as_bytes().escape_ascii();
            format!("{option} takes no argument, but \"{value}\" was given")
        }
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests;
