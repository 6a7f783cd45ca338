//! The old file that a new one is made of, where only what that does not have is to be sent.

use fs::{AccessTime, File};
use model::Kind;
use model::settings::Deltas;

use crate::basis;
use crate::entries::Entry;
use crate::run::Run;
use crate::transfer::{partial, similar};

/// Shorter files are fetched whole, by one request: what that saves in time, to say what is there and
/// to wait for what differs, is worth more than so many bytes.
const LEAST_BYTES: u64 = 64 << 10;

/// An old file that may have much of a new one.
#[derive(Debug)]
pub(crate) struct OldFile {
    pub(crate) file: File,
    pub(crate) bytes: u64,
}

/// True where the new file may be made of an old one, if there is one.
pub(crate) fn may_serve(run: &Run, entry: &Entry) -> bool {
    run.settings.write.deltas != Deltas::Never
        && entry.source_dir.on_this_host().is_none()
        && entry.content.is_none()
        && is_long_enough(run, entry.source.size)
}

/// True of lengths from which on it pays off.
pub(crate) fn is_long_enough(run: &Run, bytes: u64) -> bool {
    let least = match run.settings.write.deltas {
        Deltas::Auto => LEAST_BYTES,
        Deltas::Always | Deltas::Never => 1,
    };
    bytes >= least
}

/// The old file for a new one that comes into being beside it. As in rsync, first what an interrupted
/// copy has left apart, then what has the name, then what a basis tree has under it, then what is called
/// like it.
pub(crate) fn find(run: &Run, entry: &Entry) -> Option<OldFile> {
    if !may_serve(run, entry) {
        return None;
    }
    let usable = |file: File| {
        let now = file.metadata().ok()?;
        let serves = now.kind == Kind::File && is_long_enough(run, now.size);
        serves.then_some(OldFile { file, bytes: now.size })
    };
    partial::kept_part(run, entry)
        .and_then(usable)
        .or_else(|| what_is_there(entry).and_then(usable))
        .or_else(|| of_basis_tree(run, entry).and_then(usable))
        .or_else(|| similar::find(run, entry).and_then(usable))
}

/// What has the name at the destination, if that is a file that can be read.
pub(super) fn what_is_there(entry: &Entry) -> Option<File> {
    let (dir, existing) = (entry.target_dir.as_ref()?, entry.existing.as_ref()?);
    if existing.kind != Kind::File {
        return None;
    }
    // What cannot be read is replaced all the same.
    dir.open_file(entry.target_name(), AccessTime::Keep).ok()
}

fn of_basis_tree(run: &Run, entry: &Entry) -> Option<File> {
    let elsewhere = basis::reference_of(run, entry)?;
    elsewhere.dir.open_file(entry.target_name(), AccessTime::Keep).ok()
}
