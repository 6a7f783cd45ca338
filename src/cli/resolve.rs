//! From flags to a job: every conflict between options is decided here, with rsync's rules.
//!
//! Each submodule reads, in the order typed, the flags of one group of settings, and then settles
//! what they mean together. Flags that belong to several groups (`-a`) are read by each.

/// Which entries count as equal.
mod compare;

/// What is removed.
mod delete;

/// The names of `--files-from`.
mod files_from;

/// How owners translate.
mod ids;

/// How much may be used.
pub(super) mod limits;

/// What links mean.
mod links;

/// Where the sources and the destination lie.
pub(crate) mod places;

/// Compression on the way to another host.
mod compress;
/// Lanes beside the remote shell's.
mod lanes;

/// How fast content may go.
mod rates;
/// How another host is reached.
mod remote;

/// Options for one side only.
mod one_side;

/// What is printed.
mod output;

/// Which attributes are brought over.
mod preserve;

/// Include and exclude rules.
mod rules;

/// `1.5m` and the like.
mod size;

/// `--stop-at`.
mod stop_at;

/// Which entries are looked at.
mod traverse;

/// Options without effect.
mod unused;

/// The words of `--info` and `--debug`.
pub(super) mod words;

/// How content is written.
mod write;

use std::ffi::OsString;
use std::path::PathBuf;

use filter::Rules;
use model::settings::{
    Backup, Compression, Delete, DeleteWhen, Depth, Partial, Settings, Symlinks,
};
use model::{Destination, Interest, Job, Source, Topics};
use report::settings::{
    Effect, KeptPath, Listing, Movement, Preserved, Progress, RunFacts, Transfer,
};

pub(crate) use self::files_from::{Marked, parse as parse_list};
use self::ids::Writes;
pub(crate) use self::places::FarSide;
use self::places::{Places, There};
pub(crate) use self::rates::{Bwlimit, Rates};
pub(crate) use self::remote::Remote;
pub(crate) use self::traverse::FarList;
use super::config::{self, Config};
use super::options::{self, Opt, Polarity, Status};
use super::raw::{RawArgs, RawFlag};
use super::refusal::Refusal;
use super::surroundings::Surroundings;
use super::{Request, help, version};

/// A resolved command line.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// What the engine does.
    pub(crate) job: Job,
    /// How the other host is reached, where one side lies there.
    pub(crate) remote: Option<Remote>,
    /// `--bwlimit`.
    pub(crate) bwlimit: Bwlimit,
    /// Which entries it leaves out.
    pub(crate) rules: Rules,
    /// What is printed.
    pub(crate) report: report::Settings,
    /// `--log-file`. One that cannot be opened is a warning, as with rsync.
    pub(crate) log_file: Option<PathBuf>,
    /// What is said on standard error before the run, a line each.
    pub(crate) warnings: Vec<String>,
}

/// The options about other hosts, for a command that has no more of these than them.
#[derive(Debug, Default)]
pub(super) struct TypedHosts {
    remote: remote::Typed,
    compress: compress::Typed,
    raw: RawArgs,
}

impl TypedHosts {
    /// Whether it takes an option.
    pub(super) fn knows(opt: Opt) -> bool {
        remote::Typed::knows(opt) || compress::Typed::knows(opt)
    }

    pub(super) fn take(&mut self, flag: RawFlag) -> Result<(), Refusal> {
        self.remote.take(&flag)?;
        self.compress.take(&flag)?;
        self.raw.flags.push(flag);
        Ok(())
    }

    /// Whether any of these were typed.
    pub(super) fn is_empty(&self) -> bool {
        self.raw.flags.is_empty()
    }

    /// Settles where the one source and the destination lie, and how that is reached.
    pub(super) fn settle(
        mut self,
        paths: [OsString; 2],
        surroundings: &dyn Surroundings,
    ) -> Result<Settled, Refusal> {
        self.raw.paths = paths.into();
        let Places { mut sources, destination, there } = places::read(&self.raw.paths)?;
        let source = sources.pop().unwrap_or_default();
        let target = destination.unwrap_or_default();
        let (raw, remote) = (&self.raw, self.remote);
        let remote =
            there.map(|there| remote.settle(there, None, raw, surroundings)).transpose()?;
        let compression = remote.as_ref().and_then(|_| self.compress.settle());
        Ok(Settled { source, target, remote, compression })
    }
}

/// Two ends, of which either may lie on another host.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
    pub(super) remote: Option<Remote>,
    pub(super) compression: Option<Compression>,
}

/// Decides what a command line means.
pub(super) fn resolve(raw: &RawArgs, surroundings: &dyn Surroundings) -> Result<Request, Refusal> {
    refuse_what_is_not_there(raw)?;
    if let Some(text) = help::answer(raw).or_else(|| version::answer(raw)) {
        return Ok(Request::Tell(text));
    }
    let config = config::read(surroundings)?;
    let typed = Typed::read(raw, &config, surroundings)?;
    unused::check(raw, surroundings)?;
    let places = places::read(&raw.paths)?;
    typed.settle(raw, places, surroundings).map(|invocation| Request::Sync(Box::new(invocation)))
}

fn refuse_what_is_not_there(raw: &RawArgs) -> Result<(), Refusal> {
    let mut not_here = None;
    for flag in &raw.flags {
        let status = options::all().find(|spec| spec.opt == flag.opt).map(|spec| spec.status);
        let is_on = flag.polarity == Polarity::On;
        let name = &flag.spelling;
        match status {
            Some(Status::NotYet(why)) if is_on => {
                return Err(Refusal::unsupported(format!("{name}: {why}")));
            }
            Some(Status::NotHere(why)) if is_on || flag.opt == Opt::Detach => {
                not_here.get_or_insert_with(|| Refusal::usage(format!("{name}: {why}")));
            }
            _ => {}
        }
    }
    not_here.map_or(Ok(()), Err)
}

/// All flags read, nothing settled.
#[derive(Debug)]
struct Typed {
    traverse: traverse::Typed,
    links: links::Typed,
    preserve: preserve::Typed,
    compare: compare::Typed,
    delete: delete::Typed,
    write: write::Typed,
    remote: remote::Typed,
    compress: compress::Typed,
    one_side: one_side::Typed,
    limits: limits::Typed,
    output: output::Typed,
    dry_run: bool,
    whole_list: bool,
    sorts_at_once: bool,
}

impl Typed {
    fn read(
        raw: &RawArgs,
        config: &Config,
        surroundings: &dyn Surroundings,
    ) -> Result<Self, Refusal> {
        let mut typed = Self {
            traverse: traverse::Typed::default(),
            links: links::Typed::default(),
            preserve: preserve::Typed::default(),
            compare: compare::Typed::default(),
            delete: delete::Typed::new(config),
            write: write::Typed::default(),
            remote: remote::Typed::default(),
            compress: compress::Typed::default(),
            one_side: one_side::Typed::default(),
            limits: limits::Typed::new(config, surroundings.now()),
            output: output::Typed::new(),
            dry_run: false,
            whole_list: false,
            sorts_at_once: false,
        };
        for flag in &raw.flags {
            typed.traverse.take(flag)?;
            typed.links.take(flag)?;
            typed.preserve.take(flag, surroundings)?;
            typed.compare.take(flag)?;
            typed.delete.take(flag)?;
            typed.write.take(flag)?;
            typed.remote.take(flag)?;
            typed.compress.take(flag)?;
            typed.one_side.take(flag)?;
            typed.limits.take(flag)?;
            typed.output.take(flag)?;
            match flag.opt {
                Opt::DryRun => typed.dry_run = true,
                Opt::IncRecursive => typed.whole_list = !flag.is_on(),
                Opt::Qsort => typed.sorts_at_once = true,
                _ => {}
            }
        }
        Ok(typed)
    }

    fn settle(
        self,
        raw: &RawArgs,
        places: Places,
        surroundings: &dyn Surroundings,
    ) -> Result<Invocation, Refusal> {
        let first_level_only = self.traverse.needs_depth_rule();
        let delete_excluded = self.delete.spares_nothing_excluded();
        let shape = Shape {
            whole_list: self.whole_list || self.sorts_at_once,
            deltas: self.write.asks_for_deltas().unwrap_or(places.there.is_some()),
            movement: movement(places.there.as_ref()),
        };
        let sides = self.one_side.settle(shape.movement)?;
        let (traverse, far_list) =
            self.traverse.settle(&places, self.preserve.atimes(), surroundings)?;
        let delete = self.delete.settle(traverse.depth)?;
        let (compare, choice) = self.compare.settle(surroundings)?;
        let (mut write, backup, basis) = self.write.settle(choice, surroundings)?;
        if places.there.is_some() && self.remote.reconnects() {
            write::keep_parts(&mut write);
        }
        let beside = backups_beside_files(&backup);
        let writes = match shape.movement {
            Movement::Out => Writes::There,
            Movement::In | Movement::Within => Writes::Here,
        };
        let (preserve, warnings) = self.preserve.settle(beside, writes, &sides, surroundings)?;
        let facts = rule_facts(&delete, &backup, &write.partial);
        let cvs_protects = shape.movement == Movement::In;
        let facts = rules::Facts { delete_excluded, cvs_protects, first_level_only, ..facts };
        let rules = rules::build(raw, &facts, surroundings)?;
        let (mut report, log_file) = self.output.settle(traverse.list_only, surroundings);
        report.items.checksum_digits = choice.digits(compare.content);
        let (links, dry_run) = (self.links.settle(&sides), self.dry_run);
        let (limits, bwlimit) = self.limits.settle(surroundings)?;
        let reach = |there| self.remote.settle(there, far_list, raw, surroundings);
        let mut remote = places.there.clone().map(reach).transpose()?;
        if let (Some(remote), Some(path)) = (&mut remote, sides.agent_path) {
            remote.agent_path.get_or_insert(path);
        }
        let mut settings = Settings {
            traverse,
            links,
            preserve,
            compare,
            delete,
            write,
            backup,
            basis,
            limits,
            compression: remote.as_ref().and_then(|_| self.compress.settle()),
            dry_run,
            interest: Interest::default(),
            topics: Topics::default(),
            tell_checksums: false,
            tell_begun: false,
        };
        if remote.as_ref().is_some_and(|remote| remote.reconnect.is_some()) {
            remote::refuse_to_repeat(&settings)?;
        }
        let listing = listing(&settings, shape.whole_list);
        settings.traverse.incremental = listing == Listing::Incremental;
        let mut job = job(places, settings);
        report.run = facts_of(&job, listing, shape);
        job.settings.interest = report.interest(log_file.is_some());
        job.settings.topics = report.topics();
        job.settings.tell_checksums = report.tells_checksums(log_file.is_some());
        job.settings.tell_begun = report.progress == Progress::PerFile;
        Ok(Invocation { job, remote, bwlimit, rules, report, log_file, warnings })
    }
}

fn backups_beside_files(backup: &Backup) -> bool {
    backup.enabled && backup.dir.is_none()
}

/// What other settings add to the rules.
fn rule_facts<'a>(delete: &Delete, backup: &'a Backup, partial: &'a Partial) -> rules::Facts<'a> {
    let at_risk = backups_beside_files(backup) && delete.when != DeleteWhen::Never;
    let partial_dir = match partial {
        Partial::KeepIn(dir) if dir.is_relative() => Some(dir.as_path()),
        _ => None,
    };
    let protected_suffix = at_risk.then_some(&*backup.suffix);
    rules::Facts { protected_suffix, partial_dir, ..rules::Facts::default() }
}

fn job(places: Places, settings: Settings) -> Job {
    Job {
        sources: places.sources.into_iter().map(|path| Source { path }).collect(),
        destination: places.destination.map(|path| Destination { path }),
        settings,
    }
}

/// What was typed about the way of working, or of hosts, and shows in the output only.
#[derive(Clone, Copy)]
struct Shape {
    /// `--no-inc-recursive`.
    whole_list: bool,
    /// `--no-W`, or another host without `-W`.
    deltas: bool,
    movement: Movement,
}

fn movement(there: Option<&There>) -> Movement {
    match there.map(|there| there.side) {
        None => Movement::Within,
        Some(FarSide::Destination) => Movement::Out,
        Some(FarSide::Source) => Movement::In,
    }
}

/// The rules of a command that has nothing else to say about them.
pub(super) fn plain_rules(
    raw: &RawArgs,
    surroundings: &dyn Surroundings,
) -> Result<Rules, Refusal> {
    rules::build(raw, &rules::Facts::default(), surroundings)
}

/// A size; without a unit it is in bytes.
pub(super) fn size_in_bytes(text: &str) -> Option<u64> {
    size::parse(text, b'b')
}

/// `--workers`, or what the configuration file says.
pub(super) fn workers_of(
    raw: &RawArgs,
    surroundings: &dyn Surroundings,
) -> Result<model::settings::Workers, Refusal> {
    let config = config::read(surroundings)?;
    let mut limits = limits::Typed::new(&config, surroundings.now());
    raw.flags.iter().try_for_each(|flag| limits.take(flag))?;
    Ok(limits.settle(surroundings)?.0.workers)
}

/// What the lines of the output say about the run as a whole.
fn facts_of(job: &Job, listing: Listing, shape: Shape) -> RunFacts {
    let Settings { traverse, links, preserve, .. } = &job.settings;
    let effect = match (traverse.list_only, job.settings.dry_run) {
        (true, _) => Effect::ListOnly,
        (false, true) => Effect::DryRun,
        (false, false) => Effect::Real,
    };
    let preserved = |kept| if kept { Preserved::Yes } else { Preserved::No };
    RunFacts {
        sources: job.sources.iter().map(|source| source.path.clone()).collect(),
        kept_path: match () {
            // rsync's receiver knows nothing of what stands before a path.
            () if traverse.files_from.is_some() || shape.movement == Movement::In => {
                KeptPath::Listed
            }
            () if traverse.relative => KeptPath::Whole,
            () => KeptPath::Last,
        },
        destination: job.destination.as_ref().map(|destination| destination.path.clone()),
        effect,
        movement: shape.movement,
        listing,
        transfer: if shape.deltas { Transfer::Delta } else { Transfer::WholeFile },
        links: preserved(links.symlinks == Symlinks::Keep),
        access_times: preserved(preserve.atimes.files),
        users: preserved(preserve.owner),
        groups: preserved(preserve.group),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// How rsync would have made its list.
fn listing(settings: &Settings, whole_list: bool) -> Listing {
    let Settings { traverse, delete, write, .. } = settings;
    let needs_all = traverse.prune_empty_dirs
        || write.delay_updates
        || matches!(delete.when, DeleteWhen::Before | DeleteWhen::After);
    match traverse.depth {
        Depth::Recursive if whole_list || needs_all => Listing::Whole,
        Depth::Recursive => Listing::Incremental,
        Depth::Directories => Listing::Whole,
        Depth::Files if traverse.files_from.is_some() => Listing::Whole,
        Depth::Files => Listing::FilesOnly,
    }
}

#[cfg(test)]
mod tests;
