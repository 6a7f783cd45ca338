//! What the meaning of a command line depends on beside itself.
//!
//! A trait, so that tests can say what time it is and what a file holds.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::Path;

use jiff::Zoned;

/// Environment, files, clock, accounts and terminal.
pub(crate) trait Surroundings {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// The contents of a file that was named on the command line; `-` is standard input.
    fn read_file(&self, name: &Path) -> io::Result<Vec<u8>>;

    /// Whether a path can be seen to name something.
    fn has_name(&self, name: &Path) -> bool;

    /// The time of day, in the zone of whoever typed.
    fn now(&self) -> Zoned;

    /// The mode bits that new files do not get.
    fn umask(&self) -> u32;

    /// The number of a user.
    fn user_id(&self, name: &[u8]) -> Option<u32>;

    /// The number of a group.
    fn group_id(&self, name: &[u8]) -> Option<u32>;

    /// Whether standard output is a terminal.
    fn stdout_is_terminal(&self) -> bool;

    /// Whether standard error is a terminal.
    fn stderr_is_terminal(&self) -> bool;
}

/// The surroundings of this process.
#[derive(Debug)]
pub(crate) struct Process {
    /// The umask that it was started with.
    pub(crate) umask: u32,
}

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn read_file(&self, name: &Path) -> io::Result<Vec<u8>> {
        fs::operator::read_file(name)
    }

    fn has_name(&self, name: &Path) -> bool {
        fs::operator::has_name(name)
    }

    fn now(&self) -> Zoned {
        Zoned::now()
    }

    fn umask(&self) -> u32 {
        self.umask
    }

    fn user_id(&self, name: &[u8]) -> Option<u32> {
        fs::names::uid_of(name)
    }

    fn group_id(&self, name: &[u8]) -> Option<u32> {
        fs::names::gid_of(name)
    }

    fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    fn stderr_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }
}
