//! Surroundings of which tests say what they are.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Zoned;

use super::surroundings::Surroundings;

/// A made-up world: Sunday morning, umask 022, and only the files and variables that are given.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    pub(crate) files: Vec<(&'static str, &'static str)>,
    /// Where other files are looked for, if anywhere.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) is_terminal: bool,
}

impl Surroundings for Fake {
    fn variable(&self, name: &str) -> Option<OsString> {
        let found = self.variables.iter().find(|variable| variable.0 == name)?;
        Some(found.1.into())
    }

    fn read_file(&self, name: &Path) -> io::Result<Vec<u8>> {
        if let Some(file) = self.files.iter().find(|file| Path::new(file.0) == name) {
            return Ok(file.1.as_bytes().to_vec());
        }
        match &self.directory {
            Some(directory) => fs::operator::read_file(&directory.join(name)),
            None => Err(io::Error::from_raw_os_error(2)),
        }
    }

    fn has_name(&self, name: &Path) -> bool {
        self.read_file(name).is_ok()
    }

    fn now(&self) -> Zoned {
        "2026-11-22T06:23:53[UTC]".parse().unwrap()
    }

    fn umask(&self) -> u32 {
        0o022
    }

    fn user_id(&self, name: &[u8]) -> Option<u32> {
        [(&b"root"[..], 0), (b"nobody", 65534), (b"web", 33)]
            .iter()
            .find(|user| user.0 == name)
            .map(|user| user.1)
    }

    fn group_id(&self, name: &[u8]) -> Option<u32> {
        self.user_id(name)
    }

    fn stdout_is_terminal(&self) -> bool {
        self.is_terminal
    }

    fn stderr_is_terminal(&self) -> bool {
        self.is_terminal
    }
}

/// The words of a line.
pub(crate) fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}
