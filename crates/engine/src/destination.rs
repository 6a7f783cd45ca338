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

use crate::endpoint::{Directory, SourceDir};
use crate::error::SetupError;
use crate::merge_files::rules_in_force;
use crate::node::{Before, Content};
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
    /// What is to be told of directories that were made, or would be.
    pub(crate) notes: Vec<Vec<u8>>,
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
        if has_slash(path) {
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
        Err(error) if is_to_be_made(job, path, arrival, &error) => {
            make(job, selection, path, arrival)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => match arrival {
            // A directory that arrives so has nothing in it, and takes no file's place where such
            // are left out.
            Arrival::Renamed
                if job.settings.traverse.prune_empty_dirs || !picks_a_directory(job, selection) =>
            {
                into_parent(job, path)
            }
            _ => Err(not_a_directory(path, selection)),
        },
        Err(cause) => Err(failed(Verb::Open, path)(cause)),
    };
    opened.map(Some)
}

/// True of a destination that is not there. As in rsync: to whoever makes the way to it, one that
/// cannot be reached is not, either.
fn is_to_be_made(job: &Job, path: &Path, arrival: Arrival, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound => true,
        _ if !job.settings.traverse.make_path || error.raw_os_error().is_none() => false,
        io::ErrorKind::PermissionDenied => {
            !is_there(path) && (arrival == Arrival::Inside || !is_there(parent_of(path)))
        }
        io::ErrorKind::NotADirectory => has_slash(path) || !is_there(path),
        _ => false,
    }
}

/// True where something is at a path, which need not be a directory that may be entered.
fn is_there(path: &Path) -> bool {
    let name = path.file_name().map_or(&b"."[..], OsStrExt::as_bytes);
    open_directory(parent_of(path)).is_ok_and(|parent| parent.stat_following(name).is_ok())
}

/// True of a path that ends in a slash, which names a directory.
fn has_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// The directory that a path is in.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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
fn make(
    job: &Job,
    selection: &Selection,
    path: &Path,
    arrival: Arrival,
) -> Result<Opened, SetupError> {
    let mut notes = Vec::new();
    if job.settings.traverse.make_path {
        let target = if arrival == Arrival::Inside { Some(path) } else { path.parent() };
        let missing = missing_directories(target)?;
        // As rsync: the one entry does not count as made, but nobody says so where there is none.
        let shown = if selection.is_nothing() { Some(path) } else { target };
        notes.extend(shown.and_then(|shown| created_for(missing.len(), shown)));
        if !job.settings.dry_run {
            make_directories(&missing)?;
            if arrival == Arrival::Inside && !missing.is_empty() {
                let dir = open_directory(path).map_err(failed(Verb::Open, path))?;
                return Ok(Opened { notes, ..opened(dir, path, Before::Anything)? });
            }
        }
    }
    match arrival {
        Arrival::Inside => notes.push(created(path)),
        Arrival::Renamed => return Ok(Opened { notes, ..into_parent(job, path)? }),
        Arrival::EmptyRoot => {
            into_parent(job, path)?;
        }
    }
    // As rsync: the one entry is the directory, which is then not to be made.
    let is_kept_out = arrival == Arrival::EmptyRoot && job.settings.compare.existing_only;
    let before = if job.settings.dry_run || is_kept_out {
        not_made(path)
    } else {
        make_directory(path)?;
        let dir = open_directory(path).map_err(failed(Verb::Open, path))?;
        opened(dir, path, Before::Empty)?
    };
    let is_one_entry = arrival == Arrival::EmptyRoot;
    Ok(Opened { is_new: true, is_one_entry, notes, ..before })
}

/// Opens a directory that was typed. A link on the way is followed only if root or we ourselves made
/// it: nobody else decides where things go. That it cannot be read is told when it is listed.
fn open_directory(path: &Path) -> io::Result<Dir> {
    let here = Dir::open_operator_to_search(Path::new("."))?;
    match fs::below::open_dir_below_to_search(&here, path) {
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
        notes: Vec::new(),
    }
}

/// A single file that arrives as the last component of the destination.
fn into_parent(job: &Job, path: &Path) -> Result<Opened, SetupError> {
    let name = path.file_name().map(|name| Box::from(name.as_bytes()));
    let parent = parent_of(path);
    match open_directory(parent) {
        Ok(dir) => Ok(Opened { renamed: name, ..opened(dir, parent, Before::Anything)? }),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && job.settings.dry_run
                && job.settings.traverse.make_path =>
        {
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
fn created(path: &Path) -> Vec<u8> {
    [b"created directory ", without_slashes(path)].concat()
}

fn without_slashes(path: &Path) -> &[u8] {
    let shown = path.as_os_str().as_bytes();
    let end = shown.iter().rposition(|&byte| byte != b'/').map_or(shown.len(), |last| last + 1);
    &shown[..end]
}

/// What rsync says of the directories that it makes on the way; `None` where there are none.
fn created_for(directories: usize, path: &Path) -> Option<Vec<u8>> {
    let count = match directories {
        0 => return None,
        1 => "created 1 directory for ".to_owned(),
        more => format!("created {more} directories for "),
    };
    Some([count.as_bytes(), without_slashes(path)].concat())
}

/// True when the sources amount to one entry, or to nothing: it arrives under the last name of
/// the destination. As in rsync, a directory without content is one entry, too.
fn single_entry(job: &Job, rules: &Arc<Rules>, selection: &Selection) -> Result<bool, SetupError> {
    if selection.roots.is_empty() {
        return Ok(selection.missing.len() <= 1);
    }
    let [pick] = selection.picked.names.as_slice() else { return Ok(false) };
    if selection.picks > 1 {
        return Ok(false);
    }
    let [in_root] = pick.roots.as_slice() else { return Ok(false) };
    let root_is_sent = selection.roots.iter().any(|root| root.is_sent);
    if root_is_sent || selection.names_root || pick.below.is_some() || !selection.missing.is_empty()
    {
        return Ok(false);
    }
    let root = &selection.roots[usize::from(in_root.root)];
    let is_followed = in_root.is_slashed || follows_to_directories(job);
    let found = root.dir().and_then(|dir| Ok((look_at(&dir, &pick.name, is_followed)?, dir)));
    let (metadata, dir) = found.map_err(SetupError::from_io(&pick.name))?;
    if metadata.kind != Kind::Directory || in_root.content == Content::Picked {
        return Ok(true);
    }
    let path = RelPath::root().child(&pick.name);
    let opened = if is_followed {
        dir.open_child_following(&pick.name)
    } else {
        dir.open_child(&pick.name, AccessTime::Keep)
    };
    Ok(opened.map_or(true, |dir| gives_nothing(job, rules, &root.place.shown, &path, &dir)))
}

/// A picked name; a link that is followed is the directory that it leads to.
fn look_at(dir: &SourceDir, name: &[u8], is_followed: bool) -> io::Result<Metadata> {
    let found = dir.stat(name)?;
    if found.kind != Kind::Symlink || !is_followed {
        return Ok(found);
    }
    let behind = dir.stat_following(name).ok();
    Ok(behind.filter(|behind| behind.kind == Kind::Directory).unwrap_or(found))
}

fn follows_to_directories(job: &Job) -> bool {
    let links = &job.settings.links;
    links.symlinks == Symlinks::Follow || links.copy_dirlinks
}

/// True when a directory is empty or cannot be read, or all that is in it is left out by rules or
/// leads nowhere.
fn gives_nothing(
    job: &Job,
    rules: &Arc<Rules>,
    root: &[u8],
    path: &RelPath,
    dir: &SourceDir,
) -> bool {
    let follows = job.settings.links.symlinks == Symlinks::Follow;
    if rules.is_empty() && !follows {
        return dir.is_empty().unwrap_or(true);
    }
    let Ok(listing) = dir.list_names() else { return true };
    if listing.is_empty() {
        return true;
    }
    let above = Scope::root(Arc::clone(rules), &dir.absolute(root));
    let Ok(scope) = rules_in_force(&above, path, Some(dir)) else { return false };
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

/// True when the source is one directory's content and there is none, or the root on the way to a
/// name that is missing.
fn is_empty_root(job: &Job, rules: &Arc<Rules>, selection: &Selection) -> bool {
    let [root] = selection.roots.as_slice() else { return false };
    let nothing_else = selection.picked.names.is_empty() && selection.missing.is_empty();
    let gives_nothing = || {
        let (shown, path) = (&root.place.shown, RelPath::root());
        root.dir().is_ok_and(|dir| gives_nothing(job, rules, shown, &path, &dir))
    };
    let is_bare = match selection.picks {
        0 => true,
        1 => gives_nothing(),
        _ => false,
    };
    nothing_else && root.is_sent && is_bare
}

/// True when a name that was picked is a directory: it takes no file's place as the destination.
fn picks_a_directory(job: &Job, selection: &Selection) -> bool {
    let is_directory = |pick: &Pick| {
        let mut found = pick.roots.iter().map(|in_root| {
            let root = &selection.roots[usize::from(in_root.root)];
            let is_followed = in_root.is_slashed || follows_to_directories(job);
            look_at(&root.dir()?, &pick.name, is_followed)
        });
        found.any(|found| found.is_ok_and(|metadata| metadata.kind == Kind::Directory))
    };
    selection.picked.names.iter().any(is_directory)
}

fn make_directory(path: &Path) -> Result<(), SetupError> {
    let trimmed: PathBuf = path.components().collect();
    fs::operator::make_dir(&trimmed).map_err(failed(Verb::MakeDirectory, path))
}

/// `--mkpath`: those on the way to a directory, itself among them, that are not there, uppermost
/// first. Fails where that cannot be known.
fn missing_directories(target: Option<&Path>) -> Result<Vec<&Path>, SetupError> {
    let mut missing = Vec::new();
    let ancestors = target.into_iter().flat_map(Path::ancestors);
    for path in ancestors.take_while(|path| !path.as_os_str().is_empty()) {
        match open_directory(path) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
            // A link that is not to be followed shows what is wrong when something is made behind it.
            Err(refused) if refused.raw_os_error().is_none() => break,
            Err(cause) => return Err(failed(Verb::MakeDirectory, path)(cause)),
        }
    }
    missing.reverse();
    Ok(missing)
}

fn make_directories(missing: &[&Path]) -> Result<(), SetupError> {
    for path in missing {
        match fs::operator::make_dir(path) {
            // Another process may have made it; a link to nothing is no directory.
            Err(_) if open_directory(path).is_ok() => {}
            made => made.map_err(failed(Verb::MakeDirectory, path))?,
        }
    }
    Ok(())
}

fn failed(verb: Verb, path: &Path) -> impl FnOnce(io::Error) -> SetupError {
    move |cause| SetupError::Destination { verb, path: path.to_owned(), cause }
}
