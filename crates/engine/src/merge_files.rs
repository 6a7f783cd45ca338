//! Per-directory merge files: the rules in force in a directory (rsync(1), `dir-merge`).

use std::io;
use std::path::Path;

use filter::{RuleError, Scope};
use fs::{AccessTime, Dir};
use model::{Kind, RelPath};

/// Merge files larger than this are refused: nobody writes so many rules by hand.
const MERGE_FILE_MAX_BYTES: u64 = 16 << 20;

/// The rules in force in a directory, `above` being those of its parent; `None` is a directory that
/// is not there.
pub(crate) fn rules_in_force(
    above: &Scope,
    path: &RelPath,
    dir: Option<&Dir>,
) -> Result<Scope, RuleError> {
    rules_of(above, path, || Ok(dir.cloned()))
}

/// The same of a directory that need not be open: it is opened for as long as it is asked.
pub(crate) fn rules_of(
    above: &Scope,
    path: &RelPath,
    open: impl Fn() -> io::Result<Option<Dir>>,
) -> Result<Scope, RuleError> {
    let below = if path.is_root() { &b""[..] } else { path.as_bytes() };
    above.enter(below, &mut |file| {
        if file.starts_with(b"/") {
            return read_above(file);
        }
        let inside = if below.is_empty() {
            Some(file)
        } else {
            file.strip_prefix(below).and_then(|rest| rest.strip_prefix(b"/"))
        };
        let Some(name) = inside else { return Ok(None) };
        match open()? {
            Some(dir) => read(&dir, name),
            None => Ok(None),
        }
    })
}

/// Reads a merge file above the transfer root: a path of the user's.
fn read_above(path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    use std::os::unix::ffi::OsStrExt;
    match fs::operator::read_file(Path::new(std::ffi::OsStr::from_bytes(path))) {
        Ok(rules) => Ok(Some(rules)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a merge file of a directory; `None` when there is none.
fn read(dir: &Dir, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let (way, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&b""[..], path),
    };
    let open = || {
        let mut dir = dir.clone();
        for component in way.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            dir = dir.open_child(component, AccessTime::Update)?;
        }
        // It may itself be brought over, with -U.
        dir.open_file(name, AccessTime::Keep)
    };
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    if metadata.kind != Kind::File || metadata.size > MERGE_FILE_MAX_BYTES {
        return Err(io::Error::other("a merge file is a regular file of at most 16 MiB"));
    }
    let mut rules = vec![0; usize::try_from(metadata.size).unwrap_or(0)];
    let len = file.read_at(&mut rules, 0)?;
    rules.truncate(len);
    Ok(Some(rules))
}
