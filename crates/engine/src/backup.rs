//! Old copies (rsync(1), `-b`, `--backup-dir`, `--suffix`).

use std::io;
use std::os::unix::ffi::OsStrExt;

use fs::{AccessTime, Dir, Existing};
use model::{Fault, RelPath, Topic, Verb};

use crate::attributes::Extra;
use crate::entries::Entry;
use crate::node::Node;
use crate::run::Run;

/// Gives the old entry of a name a second name, so that the first never points to nothing while it
/// is replaced.
pub(crate) fn keep(run: &Run, entry: &Entry) -> Result<(), Fault> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let name = entry.target_name();
    let failed = |error: &io::Error| entry.target_fault(Verb::BackUp, error);
    let (holder, backup_name) = cleared_place(&entry.node, &entry.node.path, dir, name, &failed)?;
    let linked = fs::replace::replace_with(&holder, &backup_name, |staging| {
        dir.hard_link(name, &holder, staging)
    });
    linked
        .or_else(|_| move_to(run, dir, name, &holder, &backup_name))
        .map_err(|error| failed(&error))?;
    tell(run, entry);
    Ok(())
}

/// Says where the old entry went, as rsync does at `-vv`.
fn tell(run: &Run, entry: &Entry) {
    run.say(entry.segment, Topic::Backup, || {
        let path = entry.path();
        let to = match &run.settings.backup.dir {
            Some(dir) => crate::run::join(dir.as_os_str().as_bytes(), path.as_bytes()),
            None => path.as_bytes().into(),
        };
        [b"backed up ", path.as_bytes(), b" to ", &to, &run.settings.backup.suffix].concat()
    });
}

/// Moves an entry that is to be removed to its backup name.
pub(crate) fn move_away(run: &Run, node: &Node, dir: &Dir, name: &[u8]) -> Result<(), Fault> {
    let failed = |error: &io::Error| node.target_fault(Verb::BackUp, name, error);
    let (holder, backup_name) = cleared_place(node, &node.path, dir, name, &failed)?;
    move_to(run, dir, name, &holder, &backup_name).map_err(|error| failed(&error))
}

/// Moves an entry that lies deeper than its node to its backup name.
pub(crate) fn move_away_below(
    run: &Run,
    node: &Node,
    dir: &Dir,
    parent: &[u8],
    name: &[u8],
) -> Result<(), Fault> {
    let failed = |error: &io::Error| node.target_fault(Verb::BackUp, name, error);
    let path = RelPath::new(parent).unwrap_or_else(RelPath::root);
    let (holder, backup_name) = cleared_place(node, &path, dir, name, &failed)?;
    move_to(run, dir, name, &holder, &backup_name).map_err(|error| failed(&error))
}

/// The place of a backup, cleared of an empty directory; one that is not empty is told of.
fn cleared_place(
    node: &Node,
    path: &RelPath,
    dir: &Dir,
    name: &[u8],
    failed: &dyn Fn(&io::Error) -> Fault,
) -> Result<(Dir, Vec<u8>), Fault> {
    let (holder, backup_name) = place(node, path, dir, name).map_err(|error| failed(&error))?;
    if holder.stat(&backup_name).is_ok_and(|old| old.kind == model::Kind::Directory) {
        holder.remove_dir(&backup_name).map_err(|error| failed(&error))?;
    }
    Ok((holder, backup_name))
}

fn move_to(run: &Run, dir: &Dir, name: &[u8], holder: &Dir, backup_name: &[u8]) -> io::Result<()> {
    match dir.rename(name, holder, backup_name, Existing::Replace) {
        // EXDEV of errno(3): another file system.
        Err(error) if error.raw_os_error() == Some(18) => {
            copy_file(run, dir, name, holder, backup_name)?;
            dir.remove_file(name)
        }
        result => result,
    }
}

/// Copies the old content to its backup name, where the file itself must stay (`--inplace`).
pub(crate) fn copy(run: &Run, entry: &Entry) -> Result<(), Fault> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let name = entry.target_name();
    let failed = |error: &io::Error| entry.target_fault(Verb::BackUp, error);
    let (holder, backup_name) =
        place(&entry.node, &entry.node.path, dir, name).map_err(|error| failed(&error))?;
    copy_file(run, dir, name, &holder, &backup_name).map_err(|error| failed(&error))
}

fn copy_file(
    run: &Run,
    dir: &Dir,
    name: &[u8],
    holder: &Dir,
    backup_name: &[u8],
) -> io::Result<()> {
    let metadata = dir.stat(name)?;
    match metadata.kind {
        model::Kind::File => {
            let source = dir.open_file(name, AccessTime::Keep)?;
            let mut staging =
                fs::Staging::create(holder, backup_name, 0o600, fs::staging::Naming::Named)?;
            let file = staging.file();
            fs::Copier::new().copy_whole(
                &source,
                file,
                metadata.size,
                fs::Sparse::KeepHoles,
                &mut |_| Ok(()),
            )?;
            // As in rsync, a copy keeps what the run is told to keep. Owners that cannot be kept are
            // no reason to lose the old content.
            let preserve = &run.settings.preserve;
            let uid = preserve.owner.then_some(metadata.uid);
            let gid = preserve.group.then_some(metadata.gid);
            drop(file.set_owner(uid, gid));
            file.set_mode(metadata.mode)?;
            file.set_times(fs::Times {
                mtime: preserve.mtimes.files.then_some(metadata.mtime),
                atime: preserve.atimes.then_some(metadata.atime),
            })?;
            staging.publish_replacing(holder, backup_name)
        }
        model::Kind::Symlink => {
            let target = dir.read_link(name)?;
            fs::replace::replace_with(holder, backup_name, |staging| {
                holder.make_symlink(&target, staging)
            })
        }
        kind => fs::replace::replace_with(holder, backup_name, |staging| {
            holder.make_node(staging, kind, metadata.mode, metadata.rdev)
        }),
    }
}

/// The directory and name of a backup; directories below `--backup-dir` are made as needed, with
/// the attributes of those that they mirror.
fn place(node: &Node, path: &RelPath, dir: &Dir, name: &[u8]) -> io::Result<(Dir, Vec<u8>)> {
    let run = &node.run;
    let backup_name = [name, &*run.settings.backup.suffix].concat();
    let Some(root) = run.backup_root()? else { return Ok((dir.clone(), backup_name)) };
    let mut holder = root.clone();
    let mut mirrored = run.destination_root.clone();
    for component in path.components() {
        mirrored = match mirrored {
            Some(above) => above.open_child_following(component).ok(),
            None => None,
        };
        holder = match holder.open_child(component, AccessTime::Update) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match holder.make_dir(component, 0o700) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    _ => {}
                }
                let made = holder.open_child(component, AccessTime::Update)?;
                if let Some(mirrored) = &mirrored {
                    dress_as(node, &made, mirrored)?;
                }
                made
            }
            opened => opened?,
        };
    }
    Ok((holder, backup_name))
}

/// Gives a directory that holds backups the attributes of the one that it mirrors.
fn dress_as(node: &Node, made: &Dir, mirrored: &Dir) -> io::Result<()> {
    let metadata = mirrored.metadata()?;
    // As with files: what cannot be kept does not stand in the way.
    drop(made.set_own_owner(Some(metadata.uid), Some(metadata.gid)));
    let extra = |dir: &Dir| Extra::of_target(&node.run, &node.source_scope, dir.into());
    if let (Ok(wanted), Ok(inherited)) = (extra(mirrored), extra(made)) {
        drop(wanted.write(&inherited, made.into()));
    }
    made.set_own_mode(metadata.mode)
}
