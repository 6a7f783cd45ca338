//! Per-directory merge files: the rules in force in a directory (rsync(1), `dir-merge`).

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use filter::{RuleError, Scope};
use fs::{AccessTime, Content, Dir, File};
use model::{Kind, RelPath};

use crate::endpoint::Directory;

/// Merge files larger than this are refused: nobody writes so many rules by hand.
const MERGE_FILE_MAX_BYTES: u64 = 16 << 20;

/// The rules in force in a directory, `above` being those of its parent; `None` is a directory that
/// is not there.
pub(crate) fn rules_in_force(
    above: &Scope,
    path: &RelPath,
    dir: Option<&impl Directory>,
) -> Result<Scope, RuleError> {
    rules_of(above, path, || Ok(dir.cloned()))
}

/// The same of a directory that need not be open: it is opened for as long as it is asked.
pub(crate) fn rules_of<D: Directory>(
    above: &Scope,
    path: &RelPath,
    open: impl Fn() -> io::Result<Option<D>>,
) -> Result<Scope, RuleError> {
    let below = if path.is_root() { &b""[..] } else { path.as_bytes() };
    above.enter(below, &mut |file| {
        if file.starts_with(b"/") {
            return D::read_rules_above(open()?.as_ref(), file);
        }
        let inside = if below.is_empty() {
            Some(file)
        } else {
            file.strip_prefix(below).and_then(|rest| rest.strip_prefix(b"/"))
        };
        let Some(name) = inside else { return Ok(None) };
        match open()? {
            Some(dir) => dir.read_rules(name),
            None => Ok(None),
        }
    })
}

/// Reads a merge file above the transfer root: a path of the user's.
pub(crate) fn read_above(path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match fs::operator::read_file(Path::new(OsStr::from_bytes(path))) {
        Ok(rules) => Ok(Some(rules)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a merge file of a directory; `None` when there is none. As in rsync, a link to it is
/// followed if root or we ourselves made it, and a directory of its name says nothing.
pub(crate) fn read(dir: &Dir, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match open(dir, path) {
        Ok(file) if file.metadata()?.kind == Kind::Directory => Ok(None),
        Ok(file) if file.metadata()?.kind == Kind::File => {
            read_whole(std::fs::File::from(file.as_fd().try_clone_to_owned()?)).map(Some)
        }
        Ok(_) => Err(not_regular()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A link, or what fails in this way, too.
        Err(_) => read_linked(dir, path),
    }
}

fn open(dir: &Dir, path: &[u8]) -> io::Result<File> {
    let mut components = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    let name = components.next_back().unwrap_or_default();
    let mut dir = dir.clone();
    for component in components {
        dir = dir.open_child(component, AccessTime::Update)?;
    }
    // It may itself be brought over, with -U.
    dir.open_file(name, AccessTime::Keep)
}

fn read_linked(dir: &Dir, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match fs::below::open_file_below(dir, Path::new(OsStr::from_bytes(path))) {
        Ok(file) => read_whole(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The rules in a file of another host.
pub(crate) fn read_from(file: &impl Content, kind: Kind) -> io::Result<Option<Vec<u8>>> {
    const PIECE_BYTES: usize = 64 << 10;
    match kind {
        Kind::Directory => return Ok(None),
        Kind::File => {}
        _ => return Err(not_regular()),
    }
    let mut rules = Vec::new();
    loop {
        let len = rules.len();
        rules.resize(len + PIECE_BYTES, 0);
        let read = file.read_at(&mut rules[len..], len as u64)?;
        rules.truncate(len + read);
        check_length(&rules)?;
        if read < PIECE_BYTES {
            return Ok(Some(rules));
        }
    }
}

fn not_regular() -> io::Error {
    io::Error::other("a merge file is a regular file")
}

fn check_length(rules: &[u8]) -> io::Result<()> {
    if rules.len() as u64 > MERGE_FILE_MAX_BYTES {
        return Err(io::Error::other("a merge file has at most 16 MiB"));
    }
    Ok(())
}

fn read_whole(file: impl Read) -> io::Result<Vec<u8>> {
    let mut rules = Vec::new();
    file.take(MERGE_FILE_MAX_BYTES + 1).read_to_end(&mut rules)?;
    check_length(&rules)?;
    Ok(rules)
}
