//! What the command lines of the commands beside `sync` have in common.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use lexopt::Parser;

use super::refusal::Refusal;

/// A command, by its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command(pub(super) &'static str);

impl Command {
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
