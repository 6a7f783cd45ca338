//! Cuts a tree into buckets: from an `Invocation` to an exit code.

/// Why a run ends without all that was asked for.
mod failure;
/// Who asks a cluster.
mod login;
/// The files that buckets go to.
mod shelves;

use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleet::amount::Caps;
use fleet::cut::Wholes;
use fleet::exec::{self, Commands};
use fleet::format::{FilterFiles, Origin, Writing};
use fleet::line::Recursion;
use fleet::lister::crawl::{self, Crawl};
use fleet::lister::list::{self, List, Reading};
use fleet::lister::qumulo::{self, Qumulo};
use fleet::lister::{Covers, Lister, Refused, Why};
use fleet::output::{self, Batch, Failed};
use fleet::pack::{Packer, Shelf};
use fleet::partition::{self, partition};
use fleet::plot::Picture;
use fleet::process::Streams;
use fleet::survey::{self, Keep, KeepAll, Opened, Surveyed, Unfinished};
use model::manifest::ManifestSummary;
use model::settings::Workers;
use model::{Cause, Event, Fault, Gauges, KindCounts, Message, Side, Sink, Summary, Topic, Verb};
use report::settings::{Effect, OutputStyle, Progress, RunFacts, Volume};
use report::{Endings, Reporter, Statistics};
use sched::Cancel;

use self::failure::Failure;
use self::shelves::{Filled, Shelves};
use super::stops::Stops;
use super::sync::{ended, outlet};
use crate::cli::manifest::{Cluster, Invocation, Manifest, Sharing, Source};
use crate::cli::{self, Refusal};
use crate::exit_code::{Ending, Exit};

/// Does what was asked for; `umask` is what the process was started with and has cleared.
pub(crate) fn run(asked: Manifest, umask: u32) -> Exit {
    match asked {
        Manifest::Tell(text) => cli::tell(&text),
        Manifest::Make(invocation) => make(&invocation, umask),
    }
}

fn make(invocation: &Invocation, umask: u32) -> Exit {
    let cancel = Cancel::new();
    let stops = match Stops::at_signals(&cancel) {
        Ok(stops) => stops,
        Err(error) => {
            let sentence = format!("watch for signals: {error}");
            let refusal = Refusal { exit: Exit::FileIo, sentence };
            super::refuse(&refusal, invocation.is_json);
            return refusal.exit;
        }
    };
    let reporter = Arc::new(reporter(invocation, &cancel));
    let run = Run {
        invocation,
        umask,
        filling: cancel.child(),
        cancel,
        tell: Tell {
            sink: Arc::clone(&reporter) as Arc<dyn Sink>,
            faults: Arc::default(),
            vanished: Arc::default(),
        },
    };
    let outcome = run.source();
    let counted = Summary {
        faults: run.tell.faults.load(Ordering::Relaxed),
        vanished: run.tell.vanished.load(Ordering::Relaxed),
        ..Summary::default()
    };
    let (ending, summary) = match outcome {
        Ok(summary) => (Ending::Complete, Some(summary)),
        Err(failure) => run.ending_of(failure),
    };
    drop(run);
    let exit = match ending {
        Ending::Complete if stops.is_stopped() => Exit::Interrupted,
        ending => Exit::of_run(ending, &counted),
    };
    // All that was started has ended, so nobody else holds the reporter.
    let Some(reporter) = Arc::into_inner(reporter) else { return Exit::Internal };
    let unseen = if exit == Exit::Success { Exit::FileIo } else { exit };
    let (run, unseen) = (ended(exit), ended(unseen));
    let endings = Endings { run, unseen, statistics: Statistics::Shown, traffic: None };
    let told = reporter.finish_manifest(summary.as_ref(), endings);
    if told == run { exit } else { Exit::FileIo }
}

fn reporter(invocation: &Invocation, cancel: &Cancel) -> Reporter {
    let path = match &invocation.source {
        Source::Tree { path, .. } | Source::List { path, .. } => path,
        Source::Cluster(cluster) => &cluster.typed,
    };
    let settings = report::settings::Settings {
        style: if invocation.is_json { OutputStyle::Json } else { OutputStyle::Rsync },
        volume: if invocation.is_quiet { Volume::Quiet } else { Volume::Normal },
        progress: Progress::Off,
        run: RunFacts {
            sources: vec![path.clone()],
            destination: Some(invocation.output.clone()),
            effect: Effect::Real,
            version: env!("CARGO_PKG_VERSION"),
            ..RunFacts::default()
        },
        ..report::settings::Settings::default()
    };
    let (stdout, stderr) = (outlet(io::stdout(), cancel), outlet(io::stderr(), cancel));
    Reporter::new(settings, stdout, stderr, None, Arc::new(Gauges::default()))
}

/// Where what happens is told and counted.
#[derive(Clone)]
struct Tell {
    sink: Arc<dyn Sink>,
    faults: Arc<AtomicU64>,
    vanished: Arc<AtomicU64>,
}

impl Tell {
    fn fault(&self, fault: Fault) {
        let counted = if fault.is_vanished() { &self.vanished } else { &self.faults };
        counted.fetch_add(1, Ordering::Relaxed);
        self.sink.accept(Event::Fault(fault));
    }

    fn warn(&self, sentence: &str) {
        let text = format!("lanesync: {sentence}").into_bytes().into();
        self.sink.accept(Event::Message(Message { topic: Topic::Warning, text }));
    }
}

/// A run of the command.
struct Run<'a> {
    invocation: &'a Invocation,
    umask: u32,
    cancel: Cancel,
    /// What ends the survey, and does not end the commands that run.
    filling: Cancel,
    tell: Tell,
}

impl Run<'_> {
    fn source(&self) -> Result<ManifestSummary, Failure> {
        match &self.invocation.source {
            Source::Tree { path, measure, one_file_system } => {
                let (measure, one_file_system) = (*measure, *one_file_system);
                let settings = crawl::Settings { measure, one_file_system };
                let crawl = Arc::new(Crawl::open(path.clone(), settings)?);
                let root = fs::below::absolute(path).into_os_string().into_encoded_bytes();
                let workers = self.workers();
                self.buckets(&crawl, &Told { origin: Origin::Tree, root, workers })
            }
            Source::List { path, file, form, ends } => self.list(path, file, *form, *ends),
            Source::Cluster(cluster) => self.cluster(cluster),
        }
    }

    /// Makes the buckets of what a list names.
    fn list(
        &self,
        path: &Path,
        file: &Path,
        form: list::Form,
        ends: list::Ends,
    ) -> Result<ManifestSummary, Failure> {
        let root = fs::below::absolute(path).into_os_string().into_encoded_bytes();
        let real = fs::operator::real_path(path).unwrap_or_default();
        let absolute = [&root[..], real.as_os_str().as_bytes()];
        // A list may be of a tree that only its mover sees.
        let here = fs::Dir::open_operator(path).ok();
        let reading = Reading {
            form,
            ends,
            source: path.as_os_str().as_bytes(),
            absolute: if absolute[1].is_empty() { &absolute[..1] } else { &absolute[..] },
            here: here.as_ref(),
            needs_kinds: self.invocation.form.needs_kinds(),
        };
        let list = Arc::new(List::open(file, &reading, &self.cancel)?);
        list.notices().iter().for_each(|notice| self.tell.warn(&notice.to_string()));
        if !matches!(form, list::Form::Du(_)) {
            self.tell.warn(
                "a directory that the list names goes without what lies in it, unless that is named, too, or \
                 the mover goes down into directories (rsync -r)",
            );
        } else if !self.invocation.rules.is_empty() {
            self.tell.warn(
                "rules do not reach below a directory of which du has told the sum alone: a list of du -al \
                 names what lies in it",
            );
        }
        let alone = sched::Workers::Fixed(NonZeroUsize::MIN);
        let workers = if list.is_looked_at() { self.workers() } else { alone };
        self.buckets(&list, &Told { origin: Origin::List, root: root.clone(), workers })
    }

    fn workers(&self) -> sched::Workers {
        match self.invocation.workers {
            Workers::Auto => crawl::workers(),
            Workers::Fixed(count) => sched::Workers::Fixed(count),
        }
    }

    /// Makes the buckets of a directory of a cluster.
    fn cluster(&self, typed: &Cluster) -> Result<ManifestSummary, Failure> {
        typed.warnings.iter().for_each(|warning| self.tell.warn(warning));
        let cluster = qumulo::Cluster {
            host: typed.host.clone(),
            port: typed.port,
            tls: typed.tls.clone(),
            login: self.login(typed)?,
            path: typed.path.clone(),
            snapshot: typed.snapshot,
            counted: typed.counted,
            in_flight: qumulo::Cluster::IN_FLIGHT,
            patience: patience(typed.retries),
        };
        let lister = Arc::new(Qumulo::new(&cluster, &self.cancel)?);
        let prefix = lister.path_prefix()?;
        if !prefix.is_empty() {
            let prefix = prefix.escape_ascii();
            self.tell.warn(&format!(
                "the lists are of a snapshot: the source of a mover is {prefix} below the source"
            ));
        }
        let workers = sched::Workers::Fixed(cluster.in_flight);
        let root = typed.typed.as_os_str().as_bytes().to_vec();
        self.buckets(&lister, &Told { origin: Origin::Qumulo, root, workers })
    }

    /// Makes the buckets of a tree, and has what is to be run for each done.
    fn buckets<L: Lister>(&self, lister: &Arc<L>, told: &Told) -> Result<ManifestSummary, Failure> {
        let failed = if self.invocation.is_live { Failed::Keep } else { Failed::Withdraw };
        self.invocation.plot.as_deref().map_or(Ok(()), output::check_folder_of)?;
        let folder = output::Folder::open(&self.invocation.output, self.umask)?;
        let batch = Batch::new(folder, self.invocation.names.clone(), failed);
        let shelves = Shelves {
            batch,
            form: self.invocation.form,
            root: told.root.clone(),
            origin: told.origin,
            count: None,
            left_out: KindCounts::default(),
            picture: self
                .invocation
                .plot
                .is_some()
                .then(|| Picture::new(&told.root, self.invocation.by)),
            live: self.live_commands()?,
            filled: Vec::new(),
        };
        let (shelves, surveyed) = match self.invocation.sharing {
            Sharing::Count(count) => self.share_out(lister, told, count, shelves)?,
            Sharing::Sized(caps) => self.pack(lister, told, caps, shelves)?,
        };
        if surveyed.snapshots > 0 {
            let found = surveyed.snapshots;
            self.tell.warn(&format!(
                "{found} directories of snapshots (.zfs, .snapshot*) are left out; --include-snapshots \
                 takes them, too"
            ));
        }
        let parted = shelves.filled.len() > 1 && self.invocation.form.keeps_links();
        if parted && told.origin != Origin::Tree {
            self.tell.warn(
                "nothing told which files have several names: those of one file may be in several buckets, \
                 and arrive as files of their own then",
            );
        }
        let Shelves { batch, live, mut filled, left_out, picture, .. } = shelves;
        // Of several that are filled at once, one that began later may be full before.
        filled.sort_unstable_by_key(|filled| filled.number);
        self.tell_left_out(&left_out);
        batch.keep();
        let summary = self.summary(lister, told, surveyed.directories, &filled);
        let drawn = picture.zip(self.invocation.plot.as_ref()).map_or(Ok(()), |(picture, file)| {
            output::replace(file, picture.draw().as_bytes(), self.umask)
        });
        let commands = match live {
            Some(commands) => Some(commands),
            None => self.commands()?,
        };
        self.finish_commands(commands, filled);
        match drawn {
            Ok(()) => Ok(summary),
            Err(fault) => Err(Failure::Partly(Box::new(fault.into()), summary)),
        }
    }

    /// What is told of buckets, by their numbers.
    fn summary<L: Lister>(
        &self,
        lister: &Arc<L>,
        told: &Told,
        directories: u64,
        filled: &[Filled],
    ) -> ManifestSummary {
        // One command for all, if there is one that is right for all.
        let asked = filled.iter().fold(Recursion::Either, |all, it| all.and(it.recursion));
        let is_request = told.origin == Origin::Qumulo;
        let Invocation { by, form, .. } = self.invocation;
        let mut buckets: Vec<_> =
            filled.iter().map(|filled| filled.summary(*form, asked)).collect();
        // Of several that are filled at once, one that began later may be full before.
        buckets.sort_unstable_by_key(|bucket| bucket.number);
        ManifestSummary {
            balance: partition::balance(&filled.iter().map(|filled| by.weight(filled.amount))),
            requests: is_request.then(|| lister.asked()),
            directories,
            buckets,
        }
    }

    /// So many buckets: all of the tree is known first.
    fn share_out<L: Lister>(
        &self,
        lister: &Arc<L>,
        told: &Told,
        count: usize,
        mut shelves: Shelves,
    ) -> Result<(Shelves, Surveyed), Failure> {
        let Invocation { by, form, .. } = self.invocation;
        shelves.batch.check_free(Some(count as u64))?;
        let opened = Opened::ForBuckets(count);
        let surveyed = self.survey(lister, told, &Arc::new(KeepAll), opened)?;
        let sharing = partition::Sharing {
            count,
            by: *by,
            wholes: self.wholes(lister),
            keeps_bare_apart: form.is_torn_by_bare(),
        };
        let partition = partition(&surveyed.root, sharing, &surveyed.links);
        let made = partition.buckets.len();
        if made < count {
            self.tell
                .warn(&format!("there are {made} buckets only, since there is no more to share"));
        }
        shelves.count = Some(made as u64);
        let mut together = match form.writing() {
            Writing::Streamed(_) => None,
            Writing::Together => Some(FilterFiles::new(self.invocation.excludes.clone())?),
        };
        if let Some(files) = &mut together {
            for index in 0..made {
                let number = index as u64 + 1;
                partition.lines(index, &mut |line| {
                    if let Some(picture) = &mut shelves.picture {
                        picture.add(number, line);
                    }
                    files.add(number, line)
                })?;
            }
        }
        for (index, bucket) in partition.buckets.iter().enumerate() {
            if self.cancel.is_cancelled() {
                return Err(stopped().into());
            }
            let number = index as u64 + 1;
            if let Some(files) = &together {
                shelves.write_together(files, number, bucket.amount)?;
                continue;
            }
            let mut filling = shelves.begin(number)?;
            partition.lines(index, &mut |line| shelves.add(&mut filling, line))?;
            shelves.hand_out(filling, bucket.amount)?;
        }
        drop(partition);
        Ok((shelves, surveyed))
    }

    /// Buckets of a size, while the tree is being told.
    fn pack<L: Lister>(
        &self,
        lister: &Arc<L>,
        told: &Told,
        caps: Caps,
        shelves: Shelves,
    ) -> Result<(Shelves, Surveyed), Failure> {
        shelves.batch.check_free(None)?;
        let wholes = self.wholes(lister);
        let packer = Arc::new(Packer::new(caps, wholes, shelves, self.filling.clone()));
        let surveyed = self.survey(lister, told, &packer, Opened::Above(caps.of_a_whole()));
        let Some(packer) = Arc::into_inner(packer) else {
            // The survey has ended, and nobody else had it.
            let sentence = "the buckets are still being filled".to_owned();
            return Err(Refused { why: Why::Internal, sentence }.into());
        };
        let (shelves, packed) = packer.finish(surveyed.as_ref().ok().map(|it| &it.root));
        let directories = surveyed.as_ref().map_or_else(|it| it.directories, |it| it.directories);
        // What went wrong with a bucket is what ended the survey.
        match packed.and_then(|()| Ok(surveyed?)) {
            Ok(surveyed) => Ok((shelves, surveyed)),
            Err(failure) => Err(self.leave(lister, told, shelves, directories, failure)),
        }
    }

    /// Leaves buckets that were handed out already: they are whole, and so stay. Their commands are run.
    fn leave<L: Lister>(
        &self,
        lister: &Arc<L>,
        told: &Told,
        shelves: Shelves,
        directories: u64,
        failure: Failure,
    ) -> Failure {
        let Shelves { live, filled, .. } = shelves;
        if !self.invocation.is_live || filled.is_empty() {
            return failure;
        }
        self.tell.warn(&format!("{} buckets were full before, and stay", filled.len()));
        let summary = self.summary(lister, told, directories, &filled);
        self.finish_commands(live, filled);
        Failure::Partly(Box::new(failure), summary)
    }

    /// What a line may stand for: a mover may take no directories, and of a list more lies in a directory than
    /// is meant, unless du has summed it up.
    fn wholes<L: Lister>(&self, lister: &Arc<L>) -> Wholes {
        let Invocation { form, source, .. } = self.invocation;
        let has_sums = matches!(source, Source::List { form: list::Form::Du(_), .. });
        match lister.covers() {
            _ if form.needs_leaves() => Wholes::Never,
            Covers::Tree => Wholes::Allowed,
            Covers::Told if has_sums && form.is_torn_by_bare() => Wholes::Summed,
            Covers::Told => Wholes::Never,
        }
    }

    fn survey<L: Lister, K: Keep>(
        &self,
        lister: &Arc<L>,
        told: &Told,
        keep: &Arc<K>,
        opened: Opened,
    ) -> Result<Surveyed, Unfinished> {
        let Invocation { rules, includes_snapshots, depth, by, form, .. } = self.invocation;
        let settings = survey::Settings {
            workers: told.workers,
            rules: Arc::new(rules.clone()),
            root: told.root.clone(),
            // A cluster does not list them, so what has such a name there is somebody's own.
            leaves_out_snapshots: !includes_snapshots && told.origin != Origin::Qumulo,
            depth: *depth,
            needs_leaves: form.needs_leaves(),
            by: *by,
            opened,
        };
        let tell = self.tell.clone();
        let hear = Arc::new(move |fault| tell.fault(fault));
        survey::survey(lister, settings, Arc::clone(keep), hear, &self.filling)
    }

    /// Says what does not get over, since its mover has no words for it. That is no fault of an entry: who
    /// asks for such lists gets what they can hold, and is told.
    fn tell_left_out(&self, left_out: &KindCounts) {
        let word = self.invocation.form.word();
        // What lies in a directory that a list names is known to the list alone.
        let directories = match self.invocation.source {
            Source::List { .. } => "directories that are named without what lies in them",
            Source::Tree { .. } | Source::Cluster(_) => "empty directories",
        };
        let told = [
            (left_out.directories, directories),
            (left_out.symlinks, "symbolic links"),
            (left_out.devices, "devices"),
            (left_out.specials, "pipes and sockets"),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        if !told.is_empty() {
            let told = told.join(", ");
            self.tell.warn(&format!("in no list, since {word} has no way to name them: {told}"));
        }
    }

    fn live_commands(&self) -> Result<Option<Commands>, Failure> {
        if self.invocation.is_live { self.commands() } else { Ok(None) }
    }

    fn commands(&self) -> Result<Option<Commands>, Failure> {
        let Some(command) = &self.invocation.command else { return Ok(None) };
        let tell = self.tell.clone();
        let hear = move |bucket: &exec::Bucket, end: &exec::End| {
            if !end.is_success() {
                tell.fault(Fault {
                    side: Side::Destination,
                    verb: Verb::RunFor,
                    path: bucket.file.as_os_str().as_bytes().into(),
                    cause: Cause::Refused(end.to_string().into()),
                });
            }
        };
        // Nothing but records goes between records.
        let is_json = self.invocation.is_json;
        let streams = if is_json { Streams::OnStandardError } else { Streams::OfTheUser };
        let (text, cancel, filling) = (command.text.clone(), &self.cancel, &self.filling);
        let started = Commands::start(text, command.jobs, streams, cancel, filling, hear);
        let started = started.map_err(|error| {
            let sentence = format!("a thread for commands cannot be started: {error}");
            Refused { why: Why::Internal, sentence }
        })?;
        Ok(Some(started))
    }

    /// Has the commands run that are still to be, and waits for them.
    fn finish_commands(&self, commands: Option<Commands>, filled: Vec<Filled>) {
        let Some(commands) = commands else { return };
        if !self.invocation.is_live {
            for filled in filled {
                // Those that are not run since the run is stopped are told as such.
                commands.hand_over(filled.bucket()).ok();
            }
        }
        let outcomes = commands.finish();
        debug_assert!(outcomes.are_all_well() || self.tell.faults.load(Ordering::Relaxed) > 0);
    }
}

/// How long a cluster that does not answer is waited for.
fn patience(retries: Option<u32>) -> qumulo::Patience {
    let usual = qumulo::Patience::default();
    qumulo::Patience {
        tries: retries.map_or(usual.tries, |again| again.saturating_add(1)),
        ..usual
    }
}

fn stopped() -> Refused {
    Refused { why: Why::Stopped, sentence: "it was stopped".to_owned() }
}

/// What is known of a source beside what it tells.
struct Told {
    origin: Origin,
    /// As a person would name it; a path reads from `/`.
    root: Vec<u8>,
    workers: sched::Workers,
}
