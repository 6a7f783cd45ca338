//! From the destination argument to an open directory (rsync(1); research: `get_local_name`).
//!
//! A single file may arrive under a new name; everything else needs a directory, which is made
//! when it is absent: one level, or all with `--mkpath`.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filter::{Perishable, Rules, Scope, Side};
use fs::{AccessTime, Dir};
use model::settings::Symlinks;
use model::{Job, Kind, Metadata, RelPath, Verb};

use crate::error::SetupError;
use crate::merge_files::rules_in_force;
use crate::node::{Before, Content};
use crate::pipeline::absolute;
use crate::scan::node_kind;
use crate::selection::{Pick, Selection};

/// The destination, ready to be written below.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The directory; `None` in a dry run that would have to make it.
    pub(crate) dir: Option<(Dir, Metadata)>,
    /// What it held.
    pub(crate) listing: Before,
    /// As typed, for messages.
    pub(crate) shown: Box<[u8]>,
    /// The new name of a single file.
    pub(crate) renamed: Option<Box<[u8]>>,
    /// True when it was (or would be) made as one directory: it is told as new.
    pub(crate) is_new: bool,
    /// The one entry that there is arrives under the last name, as a name in its directory.
    pub(crate) is_one_entry: bool,
    /// What is to be told of directories that were made.
    pub(crate) note: Option<String>,
}

/// How the sources arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// In the destination, a directory.
    Inside,
    /// As a single entry, under the last name of the destination.
    Renamed,
    /// Nothing but the root of a source that has no content. As in rsync that is one entry; the
    /// directory that it arrives in must be there, and nothing is told of the new one.
    EmptyRoot,
}

impl Arrival {
    fn of(
        job: &Job,
        rules: &Arc<Rules>,
        selection: &Selection,
        path: &Path,
    ) -> Result<Self, SetupError> {
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Ok(Self::Inside);
        }
        if is_empty_root(job, rules, selection) {
            return Ok(Self::EmptyRoot);
        }
        let is_single = single_entry(job, rules, selection)?;
        Ok(if is_single { Self::Renamed } else { Self::Inside })
    }
}

/// Opens or makes the destination of a job.
pub(crate) fn open(
    job: &Job,
    rules: &Arc<Rules>,
    selection: &Selection,
) -> Result<Option<Opened>, SetupError> {
    let destination = job.destination.as_ref().filter(|_| !job.settings.traverse.list_only);
    let Some(destination) = destination else { return Ok(None) };
    let path = destination.path.as_path();
    let arrival = Arrival::of(job, rules, selection, path)?;
    let opened = match open_directory(path) {
        Ok(dir) => opened(dir, path, Before::Anything),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(job, path, arrival),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => match arrival {
            Arrival::Renamed if !picks_a_directory(selection) => into_parent(job, path),
            _ => Err(not_a_directory(path, selection)),
        },
        Err(cause) => Err(failed(Verb::Open, path)(cause)),
    };
    opened.map(Some)
}

fn not_a_directory(path: &Path, selection: &Selection) -> SetupError {
    let why = if selection.picked.names.len() <= 1 {
        "a directory cannot replace it: remove it first or choose another destination"
    } else {
        "several sources need a directory to go into"
    };
    SetupError::NotADirectory { path: path.to_owned(), why }
}

/// Makes a destination that is not there, or opens what a single entry goes into.
fn make(job: &Job, path: &Path, arrival: Arrival) -> Result<Opened, SetupError> {
    if job.settings.traverse.make_path && !job.settings.dry_run {
        let made = make_parents(path, arrival)?;
        if made > 0 && arrival == Arrival::Inside {
            let dir = open_directory(path).map_err(failed(Verb::Open, path))?;
            let directories = if made == 1 { "directory" } else { "directories" };
            let note = Some(format!("created {made} {directories} for {}", path.display()));
            return Ok(Opened { note, ..opened(dir, path, Before::Anything)? });
        }
    }
    let note = match arrival {
        Arrival::Inside => Some(created(path)),
        Arrival::Renamed => return into_parent(job, path),
        Arrival::EmptyRoot => {
            into_parent(job, path)?;
            None
        }
    };
    let before = if job.settings.dry_run {
        not_made(path)
    } else {
        make_directory(path)?;
        let dir = open_directory(path).map_err(failed(Verb::Open, path))?;
        opened(dir, path, Before::Empty)?
    };
    let is_one_entry = arrival == Arrival::EmptyRoot;
    Ok(Opened { is_new: true, is_one_entry, note, ..before })
}

/// Opens a directory that was typed. A link on the way is followed only if root or we ourselves made
/// it: nobody else decides where things go.
fn open_directory(path: &Path) -> io::Result<Dir> {
    match fs::below::open_dir_below(&Dir::open_operator(Path::new("."))?, path) {
        // A link to nothing leads nowhere, whoever made it.
        Err(refused) => match Dir::open_operator(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            _ => Err(refused),
        },
        opened => opened,
    }
}

fn opened(dir: Dir, path: &Path, listing: Before) -> Result<Opened, SetupError> {
    let metadata = dir.metadata().map_err(failed(Verb::Open, path))?;
    Ok(Opened { dir: Some((dir, metadata)), listing, ..not_made(path) })
}

/// A destination that a dry run does not make.
fn not_made(path: &Path) -> Opened {
    Opened {
        dir: None,
        listing: Before::Empty,
        shown: path.as_os_str().as_bytes().into(),
        renamed: None,
        is_new: false,
        is_one_entry: false,
        note: None,
    }
}

/// A single file that arrives as the last component of the destination.
fn into_parent(job: &Job, path: &Path) -> Result<Opened, SetupError> {
    let name = path.file_name().map(|name| Box::from(name.as_bytes()));
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match open_directory(parent) {
        Ok(dir) => Ok(Opened { renamed: name, ..opened(dir, parent, Before::Anything)? }),
        Err(_) if job.settings.dry_run && job.settings.traverse.make_path => {
            Ok(Opened { renamed: name, ..not_made(parent) })
        }
        Err(cause) => Err(SetupError::Destination {
            verb: Verb::EnterDirectory,
            path: parent.to_owned(),
            cause,
        }),
    }
}

/// What rsync says of a directory that it makes.
fn created(path: &Path) -> String {
    let shown = path.as_os_str().as_bytes();
    let shown = shown.strip_suffix(b"/").unwrap_or(shown);
    format!("created directory {}", String::from_utf8_lossy(shown))
}

/// True when the sources amount to one entry, or to nothing: it arrives under the last name of
/// the destination. As in rsync, a directory without content is one entry, too.
fn single_entry(job: &Job, rules: &Arc<Rules>, selection: &Selection) -> Result<bool, SetupError> {
    if selection.roots.is_empty() && selection.missing.is_empty() {
        return Ok(true);
    }
    let [pick] = selection.picked.names.as_slice() else { return Ok(false) };
    if selection.picks > 1 {
        return Ok(false);
    }
    let [in_root] = pick.roots.as_slice() else { return Ok(false) };
    let root_is_sent = selection.roots.iter().any(|root| root.is_sent);
    if root_is_sent || pick.below.is_some() || !selection.missing.is_empty() {
        return Ok(false);
    }
    let root = &selection.roots[usize::from(in_root.root)];
    let found = root.dir().and_then(|dir| Ok((dir.stat(&pick.name)?, dir)));
    let (metadata, dir) = found.map_err(SetupError::from_io(&pick.name))?;
    if metadata.kind != Kind::Directory || in_root.content == Content::Picked {
        return Ok(true);
    }
    let path = RelPath::root().child(&pick.name);
    let opened = dir.open_child(&pick.name, AccessTime::Keep);
    Ok(opened.is_ok_and(|dir| gives_nothing(job, rules, &root.place.shown, &path, &dir)))
}

/// True when a directory is empty, or all that is in it is left out by rules or leads nowhere.
fn gives_nothing(job: &Job, rules: &Arc<Rules>, root: &[u8], path: &RelPath, dir: &Dir) -> bool {
    let Ok(listing) = dir.list() else { return false };
    let follows = job.settings.links.symlinks == Symlinks::Follow;
    if listing.is_empty() || (rules.is_empty() && !follows) {
        return listing.is_empty();
    }
    let above = Scope::root(Arc::clone(rules), &absolute(root));
    let Ok(scope) = rules_in_force(&above, path, std::slice::from_ref(dir)) else { return false };
    listing.iter().all(|(name, hint)| {
        let kind = hint.or_else(|| dir.stat(name).ok().map(|metadata| metadata.kind));
        if follows && kind == Some(Kind::Symlink) && dir.stat_following(name).is_err() {
            return true;
        }
        let path = path.child(name);
        let (path, kind) = (path.as_bytes(), node_kind(kind));
        scope.check(path, kind, Side::Sender, Perishable::Honoured).is_excluded()
    })
}

/// True when the source is one directory's content and there is none.
fn is_empty_root(job: &Job, rules: &Arc<Rules>, selection: &Selection) -> bool {
    let [root] = selection.roots.as_slice() else { return false };
    let nothing_else = selection.picked.names.is_empty() && selection.missing.is_empty();
    let gives_nothing = || {
        let (shown, path) = (&root.place.shown, RelPath::root());
        root.dir().is_ok_and(|dir| gives_nothing(job, rules, shown, &path, &dir))
    };
    nothing_else && selection.picks == 1 && root.is_sent && gives_nothing()
}

/// True when a name that was picked is a directory: it takes no file's place as the destination.
fn picks_a_directory(selection: &Selection) -> bool {
    let is_directory = |pick: &Pick| {
        let mut found = pick.roots.iter().map(|in_root| {
            let root = &selection.roots[usize::from(in_root.root)];
            root.dir()?.stat(&pick.name)
        });
        found.any(|found| found.is_ok_and(|metadata| metadata.kind == Kind::Directory))
    };
    selection.picked.names.iter().any(is_directory)
}

fn make_directory(path: &Path) -> Result<(), SetupError> {
    let trimmed: PathBuf = path.components().collect();
    fs::operator::make_dir(&trimmed).map_err(failed(Verb::MakeDirectory, path))
}

/// `--mkpath`: every missing component of the destination, or all but the name of a single entry.
/// Returns how many were made.
fn make_parents(path: &Path, arrival: Arrival) -> Result<usize, SetupError> {
    let target = if arrival == Arrival::Inside { Some(path) } else { path.parent() };
    let mut ancestors: Vec<&Path> = target.into_iter().flat_map(Path::ancestors).collect();
    ancestors.reverse();
    let mut made = 0;
    for ancestor in ancestors.into_iter().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        match fs::operator::make_dir(ancestor) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(Verb::MakeDirectory, ancestor)(error));
            }
            Ok(()) => made += 1,
            Err(_) => {}
        }
    }
    Ok(made)
}

fn failed(verb: Verb, path: &Path) -> impl FnOnce(io::Error) -> SetupError {
    move |cause| SetupError::Destination { verb, path: path.to_owned(), cause }
}
