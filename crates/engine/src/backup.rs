//! Old copies (rsync(1), `-b`, `--backup-dir`, `--suffix`).

use std::io;
use std::os::unix::ffi::OsStrExt;

use fs::staging::{Naming, Staging};
use fs::xattr::Node as Carrier;
use fs::{AccessTime, Copier, Dir, Existing, Made, Sparse, Times};
use model::settings::Perms;
use model::{Kind, Metadata, RelPath, Topic, Verb};

use crate::attributes::{Extra, ExtraChange};
use crate::entries::Entry;
use crate::fake_super;
use crate::node::Node;
use crate::order::{OrderedLog, SegmentId};
use crate::run::Run;
use crate::transfer::whole::Problem;
use crate::wanted::Wanted;

/// Gives the old entry of a name a second name, so that the first never points to nothing while it
/// is replaced.
pub(crate) fn keep(run: &Run, entry: &Entry) -> Result<(), Problem> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let old = Old { node: &entry.node, path: &entry.node.path, dir, name: entry.target_name() };
    let keep = || {
        let place = old.cleared_place(run)?;
        let link = |staging: &[u8]| dir.hard_link(old.name, &place.dir, staging);
        match fs::replace::replace_with(&place.dir, &place.name, link) {
            // The name stays until the new entry takes it. Test:
            // `a_backup_on_another_file_system_leaves_the_name_in_place`.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => old.copy_to(run, &place),
            linked => linked.or_else(|_| old.move_to(run, &place)),
        }
    };
    keep().map_err(|error| old.problem(run, &error))?;
    tell(run, entry.segment, entry.path().as_bytes());
    Ok(())
}

/// As [`keep`], where the settings ask for it, for whatever has the name now. A directory has no
/// backup, and nothing takes its place by a rename.
pub(crate) fn keep_what_is_there(run: &Run, entry: &Entry) -> Result<(), Problem> {
    let Some(dir) = entry.target_dir.as_ref().filter(|_| run.settings.backup.enabled) else {
        return Ok(());
    };
    match dir.stat(entry.target_name()) {
        Ok(now) if now.kind == Kind::Directory => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => keep(run, entry),
        Err(error) => Err(entry.target_fault(Verb::BackUp, &error).into()),
    }
}

/// Says where the old entry went, as rsync does at `-vv`.
pub(crate) fn tell(run: &Run, segment: SegmentId, path: &[u8]) {
    run.say(segment, Topic::Backup, || {
        let to = match &run.settings.backup.dir {
            Some(dir) => crate::run::join(dir.as_os_str().as_bytes(), path),
            None => path.into(),
        };
        [b"backed up ", path, b" to ", &to, &run.settings.backup.suffix].concat()
    });
}

/// Says which directory backups go to, as rsync does at `-vv`.
pub(crate) fn tell_dir(run: &Run) {
    let Some(dir) = run.settings.backup.dir.as_ref().filter(|_| run.settings.backup.enabled) else {
        return;
    };
    run.say(OrderedLog::ROOT, Topic::Backup, || {
        let root = run.destination.root.as_ref();
        let is_there = root.is_some_and(|root| fs::below::open_dir_below(root, dir).is_ok());
        let new = if is_there { "" } else { "(new) " };
        let shown: std::path::PathBuf = dir.components().collect();
        [new.as_bytes(), b"backup_dir is ", shown.as_os_str().as_bytes()].concat()
    });
}

/// Moves an entry that is to be removed to its backup name.
pub(crate) fn move_away(run: &Run, node: &Node, dir: &Dir, name: &[u8]) -> Result<(), Problem> {
    Old { node, path: &node.path, dir, name }.move_away(run)
}

/// Moves an entry that lies deeper than its node to its backup name.
pub(crate) fn move_away_below(
    run: &Run,
    node: &Node,
    dir: &Dir,
    parent: &[u8],
    name: &[u8],
) -> Result<(), Problem> {
    let path = RelPath::new(parent).unwrap_or_else(RelPath::root);
    Old { node, path: &path, dir, name }.move_away(run)
}

/// Copies the old content to its backup name, where the file itself must stay (`--inplace`).
pub(crate) fn copy(run: &Run, entry: &Entry) -> Result<(), Problem> {
    let Some(dir) = &entry.target_dir else { return Ok(()) };
    let old = Old { node: &entry.node, path: &entry.node.path, dir, name: entry.target_name() };
    let copy = || old.copy_to(run, &old.place(run)?);
    copy().map_err(|error| old.problem(run, &error))?;
    tell(run, entry.segment, entry.path().as_bytes());
    Ok(())
}

/// An entry of the destination that gets a backup name.
struct Old<'a> {
    node: &'a Node,
    /// The directory that it lies in, below the transfer root.
    path: &'a RelPath,
    dir: &'a Dir,
    name: &'a [u8],
}

/// Where a backup is kept.
struct Place {
    dir: Dir,
    name: Vec<u8>,
}

impl Old<'_> {
    fn problem(&self, run: &Run, error: &io::Error) -> Problem {
        if run.ending.explains(error) {
            return Problem::Stopped;
        }
        run.destination.fault(Verb::BackUp, &self.path.child(self.name), error).into()
    }

    fn move_away(&self, run: &Run) -> Result<(), Problem> {
        let moved = self.cleared_place(run).and_then(|place| self.move_to(run, &place));
        moved.map_err(|error| self.problem(run, &error))
    }

    /// The place of a backup, cleared of an empty directory; one that is not empty is told of.
    fn cleared_place(&self, run: &Run) -> io::Result<Place> {
        let place = self.place(run)?;
        if place.dir.stat(&place.name).is_ok_and(|old| old.kind == Kind::Directory) {
            place.dir.remove_dir(&place.name)?;
        }
        Ok(place)
    }

    /// The place of a backup; directories below `--backup-dir` are made as needed, with the
    /// attributes of those that they mirror.
    fn place(&self, run: &Run) -> io::Result<Place> {
        let name = [self.name, &*run.settings.backup.suffix].concat();
        let Some(mut dir) = run.destination.backup_root(&run.settings.backup)? else {
            return Ok(Place { dir: self.dir.clone(), name });
        };
        let mut mirrored = None;
        for (depth, component) in (1..).zip(self.path.components()) {
            let (below, made) = dir.open_or_make_child(component)?;
            mirrored = match made {
                Made::Now => self.dir_at(depth, mirrored).ok().flatten(),
                Made::Before => None,
            };
            if let Some(mirrored) = &mirrored {
                self.mirror(run, mirrored, &below, depth)?;
            }
            dir = below;
        }
        Ok(Place { dir, name })
    }

    /// The directory at a depth on the way to the entry: what the run works in, not what has its name
    /// by now. `above` is the one above it, if that is open.
    /// Test: `a_link_swapped_in_gives_no_attributes_to_a_directory_of_backups`.
    fn dir_at(&self, depth: usize, above: Option<Dir>) -> io::Result<Option<Dir>> {
        if depth == self.path.components().count() {
            return Ok(Some(self.dir.clone()));
        }
        if let Some(node) = self.node_at(depth) {
            return node.target_dir();
        }
        // It lies between the node and an entry that is removed below that: no link leads there.
        let (dir, reached) = match above {
            Some(above) => (Some(above), depth - 1),
            None => (self.node.target_dir()?, self.node.path.components().count()),
        };
        let Some(mut dir) = dir else { return Ok(None) };
        for component in self.path.components().skip(reached).take(depth - reached) {
            dir = dir.open_child_to_search(component, AccessTime::Update)?;
        }
        Ok(Some(dir))
    }

    /// Gives a directory that was just made the attributes of the one that it mirrors.
    fn mirror(&self, run: &Run, mirrored: &Dir, made: &Dir, depth: usize) -> io::Result<()> {
        let Ok(metadata) = mirrored.metadata() else { return Ok(()) };
        let wanted = self.wanted_at(run, depth);
        let metadata = wanted.map_or(metadata, |wanted| to_be(metadata, wanted));
        // As with files: an owner that cannot be kept does not stand in the way.
        let (uid, gid) = owner(run, &metadata);
        drop(made.set_own_owner(uid, gid));
        self.keep_extra(run, mirrored.into(), made.into())?;
        let inherited = match run.settings.preserve.perms {
            Perms::Keep => 0,
            _ => made.metadata()?.mode & 0o2000,
        };
        made.set_own_mode(metadata.mode | inherited)
    }

    /// The attributes that the run gives the directory at a depth, if that takes part in the transfer.
    fn wanted_at(&self, run: &Run, depth: usize) -> Option<&Wanted> {
        if !run.pass().transfers() || run.keeps_pretence() {
            return None;
        }
        Some(&self.node_at(depth)?.finish.as_ref()?.wanted)
    }

    /// The node at a depth, if the way to the entry goes that far in the transfer.
    fn node_at(&self, depth: usize) -> Option<&Node> {
        let mut nodes = std::iter::successors(Some(self.node), |node| node.parent.as_deref());
        nodes.find(|node| node.path.components().count() == depth)
    }

    fn move_to(&self, run: &Run, place: &Place) -> io::Result<()> {
        match self.dir.rename(self.name, &place.dir, &place.name, Existing::Replace) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.copy_to(run, place)?;
                self.dir.remove_file(self.name)
            }
            result => result,
        }
    }

    fn copy_to(&self, run: &Run, place: &Place) -> io::Result<()> {
        let metadata = self.dir.stat(self.name)?;
        if metadata.kind == Kind::File {
            return self.copy_file(run, &metadata, place);
        }
        let target = match metadata.kind {
            Kind::Symlink => Some(self.dir.read_link(self.name)?),
            _ => None,
        };
        let dir = &place.dir;
        fs::replace::replace_with(dir, &place.name, |staging| {
            match &target {
                Some(target) => dir.make_symlink(target, staging)?,
                None => dir.make_node(staging, metadata.kind, 0o600, metadata.rdev)?,
            }
            self.dress_name(run, &metadata, dir, staging)
                .inspect_err(|_| drop(dir.remove_file(staging)))
        })
    }

    fn copy_file(&self, run: &Run, metadata: &Metadata, place: &Place) -> io::Result<()> {
        let source = self.dir.open_file(self.name, AccessTime::Keep)?;
        let mut staging = Staging::create(&place.dir, &place.name, 0o600, Naming::Named)?;
        let file = staging.file();
        let mut pace = |bytes| run.budgets.wait_for_rate(bytes);
        Copier::new().copy_whole(&source, file, metadata.size, Sparse::KeepHoles, &mut pace)?;
        // As in rsync, a copy keeps what the run is told to keep. Owners that cannot be kept are no
        // reason to lose the old content.
        let (uid, gid) = owner(run, metadata);
        drop(file.set_owner(uid, gid));
        self.keep_extra(run, (&source).into(), file.into())?;
        file.set_mode(metadata.mode)?;
        file.set_times(times(run, metadata))?;
        staging.publish_replacing(&place.dir, &place.name)
    }

    /// Gives a link or node that was made for a backup the attributes of the old one.
    fn dress_name(&self, run: &Run, metadata: &Metadata, dir: &Dir, name: &[u8]) -> io::Result<()> {
        let (uid, gid) = owner(run, metadata);
        drop(dir.set_owner(name, uid, gid));
        self.keep_extra(run, Carrier::Name(self.dir, self.name), Carrier::Name(dir, name))?;
        if metadata.kind != Kind::Symlink {
            dir.set_mode(name, metadata.mode)?;
        }
        dir.set_times(name, times(run, metadata))
    }

    /// Extended attributes and ACLs, as far as the run preserves them.
    fn keep_extra(&self, run: &Run, from: Carrier<'_>, to: Carrier<'_>) -> io::Result<()> {
        let scope = &self.node.source.scope;
        let wanted = Extra::of_target(run, scope, from)?;
        ExtraChange { wanted, present: Extra::of_target(run, scope, to)? }.write(to)?;
        if run.keeps_pretence() { fake_super::copy_pretence(from, to) } else { Ok(()) }
    }
}

/// As in rsync, a directory that takes part in the transfer counts as the run makes it; what its owner
/// may do there meanwhile stays.
fn to_be(now: Metadata, wanted: &Wanted) -> Metadata {
    Metadata {
        mode: wanted.mode | now.mode & 0o700,
        uid: wanted.uid.unwrap_or(now.uid),
        gid: wanted.gid.unwrap_or(now.gid),
        ..now
    }
}

/// The owner and group that a copy is really given.
fn owner(run: &Run, metadata: &Metadata) -> (Option<u32>, Option<u32>) {
    let preserve = &run.settings.preserve;
    if run.keeps_pretence() {
        return (None, None);
    }
    (preserve.owner.then_some(metadata.uid), preserve.group.then_some(metadata.gid))
}

fn times(run: &Run, metadata: &Metadata) -> Times {
    let preserve = &run.settings.preserve;
    Times {
        mtime: preserve.mtimes.files.then_some(metadata.mtime),
        atime: preserve.atimes.files.then_some(metadata.atime),
    }
}
