//! How content is written, and where old copies go.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use model::settings::{
    Append, Backup, Basis, BasisAction, Checksum, Deltas, Partial, Staging, Write,
};

use super::compare::Choice;
use super::size;
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    inplace: bool,
    whole_file: Option<bool>,
    partial: bool,
    partial_dir: Option<OsString>,
    backup: bool,
    backup_dir: Option<OsString>,
    suffix: Option<Vec<u8>>,
    basis: Basis,
    basis_option: Option<String>,
    plain: Write,
}

/// As many basis trees as rsync takes.
const MOST_BASIS_DIRS: usize = 20;

/// Where files wait with `--delay-updates`, beside their final place.
const DELAYED_DIR: &str = ".~tmp~";

/// Where parts are kept for a session that is had again.
const PARTS_DIR: &str = ".lanesync-partial";

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Inplace => self.inplace = on,
            Opt::Append if on => self.plain.append = Append::Trust,
            Opt::Append => self.plain.append = Append::Off,
            Opt::AppendVerify => self.plain.append = Append::Verify,
            Opt::WholeFile => self.whole_file = Some(on),
            Opt::BlockSize => self.plain.block_bytes = block_bytes(flag)?,
            Opt::Partial => self.partial = on,
            Opt::PartialProgress => self.partial = true,
            Opt::PartialDir => self.partial_dir = Some(flag.value.clone()),
            Opt::DelayUpdates => self.plain.delay_updates = on,
            Opt::TempDir => self.plain.temp_dir = Some(PathBuf::from(&flag.value)),
            Opt::Sparse => self.plain.find_zeros = on,
            Opt::Preallocate => self.plain.preallocate = true,
            Opt::Fsync => self.plain.fsync = true,
            Opt::CopyDevices => self.plain.copy_devices = true,
            Opt::WriteDevices => self.plain.write_devices = on,
            Opt::RemoveSourceFiles => self.plain.remove_source_files = true,
            Opt::Backup => self.backup = on,
            Opt::BackupDir => self.backup_dir = Some(flag.value.clone()),
            Opt::Suffix => self.suffix = Some(flag.bytes().to_vec()),
            Opt::CompareDest => self.take_basis(BasisAction::Omit, flag)?,
            Opt::CopyDest => self.take_basis(BasisAction::Copy, flag)?,
            Opt::LinkDest => self.take_basis(BasisAction::Link, flag)?,
            _ => {}
        }
        Ok(())
    }

    fn take_basis(&mut self, action: BasisAction, flag: &RawFlag) -> Result<(), Refusal> {
        if let Some(earlier) = self.basis_option.as_ref().filter(|name| **name != flag.spelling) {
            let now = &flag.spelling;
            return Err(Refusal::usage(format!("{now} and {earlier} do not go together")));
        }
        if self.basis.dirs.len() == MOST_BASIS_DIRS {
            let option = &flag.spelling;
            return Err(Refusal::usage(format!("more than {MOST_BASIS_DIRS} of {option}")));
        }
        self.basis_option = Some(flag.spelling.clone());
        self.basis.action = action;
        self.basis.dirs.push(PathBuf::from(&flag.value));
        Ok(())
    }

    /// True when of changed files only what differs is to be sent; else that is so between hosts.
    pub(super) fn asks_for_deltas(&self) -> Option<bool> {
        self.whole_file.map(|whole| !whole)
    }

    /// Settles it.
    pub(super) fn settle(
        self,
        choice: Choice,
        surroundings: &dyn Surroundings,
    ) -> Result<(Write, Backup, Basis), Refusal> {
        let backup = settle_backup(self.backup, self.backup_dir, self.suffix)?;
        let unverified = choice.transfer == Some(Checksum::None);
        if self.plain.append != Append::Off && (self.whole_file == Some(true) || unverified) {
            let sentence = "--append adds to files and -W writes them whole: choose one";
            return Err(Refusal::usage(sentence));
        }
        let mut write = self.plain;
        write.verify = choice.transfer.is_some() && !unverified;
        write.deltas = match self.whole_file {
            None => Deltas::Auto,
            Some(true) => Deltas::Never,
            Some(false) => Deltas::Always,
        };
        if self.inplace || write.append != Append::Off || write.write_devices {
            refuse_waiting_places(&write, self.partial_dir.is_some())?;
            write.staging = Staging::InPlace;
            write.partial = Partial::Keep;
            return Ok((write, backup, self.basis));
        }
        let named = match (self.partial_dir, write.delay_updates) {
            (Some(dir), _) => Some(dir),
            (None, true) => Some(DELAYED_DIR.into()),
            (None, false) if self.partial => surroundings.variable("RSYNC_PARTIAL_DIR"),
            (None, false) => None,
        };
        write.partial = partial(named, self.partial);
        Ok((write, backup, self.basis))
    }
}

/// As with rsync, 0 stands for what suits the file.
fn block_bytes(flag: &RawFlag) -> Result<Option<u64>, Refusal> {
    let bytes = size::parse(flag.text()?, b'B').ok_or_else(|| flag.refuse("is not a size"))?;
    Ok((bytes > 0).then_some(bytes))
}

/// What is written in place has nowhere to wait.
fn refuse_waiting_places(write: &Write, has_partial_dir: bool) -> Result<(), Refusal> {
    let option = if write.append == Append::Off { "--inplace" } else { "--append" };
    let other = match (write.delay_updates, has_partial_dir) {
        (true, _) => "--delay-updates",
        (false, true) => "--partial-dir",
        (false, false) => return Ok(()),
    };
    let sentence = format!("{option} writes into the files themselves and cannot go with {other}");
    Err(Refusal::usage(sentence))
}

/// Keeps what an interrupted copy has, so that a job that is taken up again (`--reconnect`) goes on with
/// it, unless it is kept elsewhere or nothing is.
pub(super) fn keep_parts(write: &mut Write) {
    if write.partial == Partial::Discard {
        write.partial = Partial::KeepIn(PARTS_DIR.into());
    }
}

/// The destination's own directory as `--partial-dir` is `--partial`.
fn partial(named: Option<OsString>, keep: bool) -> Partial {
    let Some(named) = named else {
        return if keep { Partial::Keep } else { Partial::Discard };
    };
    match tidy(&named.into_vec(), true).as_slice() {
        b"" => Partial::Keep,
        dir => Partial::KeepIn(PathBuf::from(OsString::from_vec(dir.to_vec()))),
    }
}

fn settle_backup(
    asked: bool,
    dir: Option<OsString>,
    suffix: Option<Vec<u8>>,
) -> Result<Backup, Refusal> {
    let dir = dir.map(|dir| tidy(&dir.into_vec(), false));
    let suffix = suffix.unwrap_or_else(|| if dir.is_some() { Vec::new() } else { b"~".to_vec() });
    if suffix.contains(&b'/') {
        return Err(Refusal::usage("--suffix is part of a name and cannot have a slash"));
    }
    let is_apart = dir.as_ref().is_some_and(|dir| !dir.is_empty());
    if suffix.is_empty() && !is_apart {
        let sentence = "without a suffix, backups need a --backup-dir other than the destination";
        return Err(Refusal::usage(sentence));
    }
    let enabled = asked || dir.is_some();
    let dir = dir.filter(|dir| !dir.is_empty()).map(|dir| OsString::from_vec(dir).into());
    Ok(Backup { enabled, dir, suffix: suffix.into() })
}

/// A path without doubled and trailing slashes and without `.` parts; `..` takes back the part
/// before it where `collapse` says so. The current directory becomes nothing.
fn tidy(path: &[u8], collapse: bool) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if collapse && parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let tidied = parts.join(&b'/');
    if path.starts_with(b"/") { [b"/".as_slice(), &tidied].concat() } else { tidied }
}

#[cfg(test)]
mod tests {
    use super::tidy;

    fn check(path: &str, collapse: bool, expected: &str) {
        let tidied = tidy(path.as_bytes(), collapse);
        assert_eq!(String::from_utf8_lossy(&tidied), expected, "{path}");
    }

    #[test]
    fn paths_lose_what_says_nothing() {
        check("./a//b/", true, "a/b");
        check(".", true, "");
        check("a/../b", true, "b");
        check("a/../b", false, "a/../b");
        check("../a", true, "../a");
        check("/", true, "/");
        check("/x/./y", false, "/x/y");
    }
}
