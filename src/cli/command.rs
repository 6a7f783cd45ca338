//! What the command lines of the commands beside `sync` have in common.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use lexopt::{Arg, Parser};

use super::refusal::Refusal;

/// A command, by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command(pub(super) &'static str);

/// What a command line comes to.
#[derive(Debug)]
pub(super) enum Words {
    /// The words that are no options.
    Paths(Vec<OsString>),
    /// An option asks for no more than to have this printed.
    Told(String),
}

impl Command {
    /// Reads a command line. `option` takes an option by its name, with its value out of the parser, and gives
    /// what is to be printed, if that is what it asks for.
    pub(super) fn read(
        self,
        arguments: Vec<OsString>,
        mut option: impl FnMut(&str, &mut Parser) -> Result<Option<String>, Refusal>,
    ) -> Result<Words, Refusal> {
        let mut paths = Vec::new();
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(|error| self.usage(&error.to_string()))? {
            let name = match argument {
                Arg::Value(path) => {
                    paths.push(path);
                    continue;
                }
                Arg::Long(name) => format!("--{name}"),
                Arg::Short(letter) => format!("-{letter}"),
            };
            if let Some(text) = option(&name, &mut parser)? {
                return Ok(Words::Told(text));
            }
        }
        Ok(Words::Paths(paths))
    }

    /// A command line that makes no sense.
    pub(super) fn usage(self, what: &str) -> Refusal {
        let Self(name) = self;
        Refusal::usage(format!("{name}: {what}; lanesync {name} --help lists the options"))
    }

    /// What stands behind an option.
    pub(super) fn value(self, parser: &mut Parser, option: &str) -> Result<OsString, Refusal> {
        parser.value().map_err(|_| self.usage(&format!("{option} needs a value")))
    }

    /// The number that stands behind an option.
    pub(super) fn number<T: FromStr>(self, option: &str, value: &OsStr) -> Result<T, Refusal> {
        let number = value.to_str().and_then(|text| text.parse().ok());
        number.ok_or_else(|| {
            self.usage(&format!("{option}={} is no number that it takes", value.display()))
        })
    }
}
