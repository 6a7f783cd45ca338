//! Why a command line is turned down: a sentence for a person and the exit code for a script.

use crate::exit_code::Exit;

/// A command line that is turned down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) exit: Exit,
    pub(crate) sentence: String,
}

impl Refusal {
    /// It makes no sense.
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, sentence: sentence.into() }
    }

    /// It asks for what is not there.
    pub(crate) fn unsupported(sentence: impl Into<String>) -> Self {
        Self { exit: Exit::Unsupported, sentence: sentence.into() }
    }

    /// It names a file that cannot be read.
    pub(crate) fn file(exit: Exit, option: &str, name: &[u8], error: &std::io::Error) -> Self {
        let name = name.escape_ascii();
        Self { exit, sentence: format!("{option}: read \"{name}\": {error}") }
    }
}
