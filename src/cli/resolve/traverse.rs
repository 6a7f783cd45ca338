//! Which entries are looked at.

use std::path::Path;

use errand::List;
use model::settings::{Depth, MissingArgs, OneFileSystem, Traverse};
use net::Target;

use super::files_from::{self, Marked};
use super::places::{FarSide, Places, There};
use super::size;
use crate::cli::host::{Remote, remote};
use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;
use crate::cli::surroundings::Surroundings;
use crate::exit_code::Exit;

/// What was typed about it so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    recursion: Recursion,
    dirs: Dirs,
    relative: Option<bool>,
    no_implied_dirs: bool,
    files_from: Option<RawFlag>,
    from0: bool,
    mounts: u8,
    missing: Missing,
    /// What needs no second thought.
    plain: Traverse,
}

/// `-a` recurses unless `--files-from` is given; `-r` always.
#[derive(Debug, Default, PartialEq)]
enum Recursion {
    #[default]
    Off,
    ByArchive,
    Explicit,
}

#[derive(Debug, Default, PartialEq)]
enum Dirs {
    #[default]
    Unsaid,
    Off,
    On,
    /// `--old-dirs`: recursion that stops below the first level.
    Old,
}

#[derive(Debug, Default)]
struct Missing {
    ignore: bool,
    delete: bool,
}

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let on = flag.is_on();
        match flag.opt {
            Opt::Archive if self.recursion == Recursion::Off => {
                self.recursion = Recursion::ByArchive;
            }
            Opt::Recursive => {
                self.recursion = if on { Recursion::Explicit } else { Recursion::Off }
            }
            Opt::Dirs => self.dirs = if on { Dirs::On } else { Dirs::Off },
            Opt::OldDirs => self.dirs = Dirs::Old,
            Opt::Relative => self.relative = Some(on),
            Opt::ImpliedDirs => self.no_implied_dirs = !on,
            Opt::FilesFrom => self.files_from = Some(flag.clone()),
            Opt::From0 => self.from0 = on,
            Opt::OneFileSystem => self.mounts = if on { self.mounts.saturating_add(1) } else { 0 },
            Opt::PruneEmptyDirs => self.plain.prune_empty_dirs = on,
            Opt::MaxSize => self.plain.max_size = Some(size_of(flag)?),
            Opt::MinSize => self.plain.min_size = Some(size_of(flag)?),
            Opt::IgnoreMissingArgs => self.missing.ignore = true,
            Opt::DeleteMissingArgs => self.missing.delete = true,
            Opt::Mkpath => self.plain.make_path = on,
            Opt::OpenNoatime => self.plain.open_noatime = on,
            Opt::ListOnly => self.plain.list_only = true,
            _ => {}
        }
        Ok(())
    }

    /// True when `--old-dirs` asks for a rule that keeps recursion at the first level.
    pub(super) fn needs_depth_rule(&self) -> bool {
        self.dirs == Dirs::Old
    }

    /// Settles it for a command line with these paths.
    pub(super) fn settle(
        self,
        places: &Places,
        atimes: u8,
        surroundings: &dyn Surroundings,
    ) -> Result<(Traverse, Option<FarList>), Refusal> {
        let mut traverse = self.plain.clone();
        traverse.list_only |= places.destination.is_none();
        traverse.open_noatime |= atimes > 1;
        traverse.depth = self.depth(traverse.list_only);
        traverse.relative = self.relative.unwrap_or(self.files_from.is_some());
        traverse.implied_dirs = traverse.relative && !self.no_implied_dirs;
        traverse.one_file_system = match self.mounts {
            0 => OneFileSystem::Cross,
            1 => OneFileSystem::KeepMountPoints,
            _ => OneFileSystem::OmitMountPoints,
        };
        traverse.missing_args = match self.missing {
            Missing { delete: true, .. } => MissingArgs::Delete,
            Missing { ignore: true, .. } => MissingArgs::Ignore,
            Missing { .. } => MissingArgs::Fault,
        };
        let mut far_list = None;
        if let Some(flag) = &self.files_from {
            far_list = list_elsewhere(flag, places, self.from0)?;
            let names = if far_list.is_some() {
                // It is read when the host is reached.
                Vec::new()
            } else {
                read_list(flag, self.from0, marked(places), surroundings)?
            };
            traverse.files_from = Some(names);
        }
        Ok((traverse, far_list))
    }

    fn depth(&self, list_only: bool) -> Depth {
        let recurses = match self.recursion {
            Recursion::Off => false,
            Recursion::ByArchive => self.files_from.is_none(),
            Recursion::Explicit => true,
        };
        match self.dirs {
            Dirs::Old => Depth::Recursive,
            _ if recurses => Depth::Recursive,
            Dirs::On => Depth::Directories,
            Dirs::Unsaid if list_only || self.files_from.is_some() => Depth::Directories,
            Dirs::Unsaid | Dirs::Off => Depth::Files,
        }
    }
}

fn size_of(flag: &RawFlag) -> Result<u64, Refusal> {
    size::parse(flag.text()?, b'B')
        .ok_or_else(|| flag.refuse("is not a size such as 500, 1.5m or 2GiB"))
}

/// A list of `--files-from` on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FarList {
    pub(crate) list: List,
    /// The side that has it.
    pub(crate) side: FarSide,
}

/// Where the list lies, if it is on another host: it has to be one of the job.
fn list_elsewhere(
    flag: &RawFlag,
    places: &Places,
    from0: bool,
) -> Result<Option<FarList>, Refusal> {
    if places.sources.len() != 1 || places.destination.is_none() {
        return Err(Refusal::usage("--files-from needs one source and one destination"));
    }
    let (login, path) = match remote(flag.bytes()) {
        None => return Ok(None),
        Some(Remote::Path { login, path }) => (login, path),
        Some(Remote::Url | Remote::Module) => {
            return Err(Refusal::unsupported(flag.refuse("is of a daemon").sentence));
        }
    };
    let Some(there) = &places.there else {
        return Err(flag.refuse("names another host, but both sides are on this one"));
    };
    let of = |target: &Target| login.is_empty() || Target::parse(login).as_ref() == Ok(target);
    let side = match &there.source {
        Some(source) if of(source) => FarSide::Source,
        _ if of(&there.target) => there.side,
        _ => return Err(flag.refuse("is on a host that has no part in the job")),
    };
    Ok(Some(FarList { list: List { path: path.into(), from0 }, side }))
}

/// What a line is that looks like a comment in a list on this host.
fn marked(places: &Places) -> Marked {
    let is_far = |there: &There| there.side == FarSide::Source || there.source.is_some();
    if places.there.as_ref().is_some_and(is_far) { Marked::Names } else { Marked::Comments }
}

fn read_list(
    flag: &RawFlag,
    from0: bool,
    marked: Marked,
    surroundings: &dyn Surroundings,
) -> Result<Vec<Box<[u8]>>, Refusal> {
    let contents = surroundings
        .read_file(Path::new(&flag.value))
        .map_err(|error| Refusal::file(Exit::Usage, "--files-from", flag.bytes(), &error))?;
    files_from::parse(&contents, from0, marked)
}
