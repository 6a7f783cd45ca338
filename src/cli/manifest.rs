//! The command line of `lanesync manifest`.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use filter::Rules;
use fleet::amount::{By, Caps};
use fleet::format::{Form, Writing};
use fleet::output::Template;
use lexopt::Parser;
use model::settings::Workers;

use super::command::{Command as Spoken, Words};
use super::options::Opt;
use super::raw::{self, RawArgs};
use super::refusal::Refusal;
use super::resolve::{plain_rules, size_in_bytes, workers_of};
use super::surroundings::Surroundings;

/// Where the tree is told from.
mod source;

pub(crate) use source::{Cluster, Login, Source};

#[cfg(test)]
mod tests;

const COMMAND: Spoken = Spoken("manifest");

/// What an entry costs beside its bytes, where nobody says otherwise: as long as it takes to make a small
/// file, a mover on a fast network moves about so many bytes.
const BYTES_PER_ENTRY: u64 = 64 << 10;

/// The most buckets that a tree is shared out to: as many files are made.
const BUCKETS_MAX: usize = 1_000_000;

/// What `lanesync manifest` is asked for.
#[derive(Debug)]
pub(crate) enum Manifest {
    /// Cut a tree into buckets.
    Make(Box<Invocation>),
    /// Print this and end.
    Tell(String),
}

/// A tree to cut, and how.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) source: Source,
    pub(crate) sharing: Sharing,
    pub(crate) by: By,
    pub(crate) form: Form,
    pub(crate) output: PathBuf,
    pub(crate) names: Template,
    /// Buckets are handed out while the source is still being read.
    pub(crate) is_live: bool,
    pub(crate) command: Option<Command>,
    /// Where a picture of the buckets goes.
    pub(crate) plot: Option<PathBuf>,
    pub(crate) rules: Rules,
    /// For filter files, the patterns of `--exclude`, and of what is left out anyway.
    pub(crate) excludes: Vec<Vec<u8>>,
    pub(crate) includes_snapshots: bool,
    pub(crate) depth: Option<u32>,
    pub(crate) workers: Workers,
    pub(crate) is_quiet: bool,
    pub(crate) is_json: bool,
}

/// How many buckets there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// So many.
    Count(usize),
    /// As many as it takes.
    Sized(Caps),
}

/// What is run for each bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) text: OsString,
    pub(crate) jobs: NonZeroUsize,
}

const HELP: &str = "\
lanesync manifest: cuts a tree into lists of equal work, which any mover can take

Usage: lanesync manifest SOURCE --buckets=N [OPTION]...
       lanesync manifest SOURCE --max-size=SIZE [--max-files=N] [OPTION]...
       lanesync manifest --host=HOST [PATH] [--buckets=N] [OPTION]...

SOURCE is a directory of this host, or qumulo://[USER@]HOST[:PORT]/PATH, whose cluster is asked for
the sums that it keeps, so that few directories are opened. Each entry below SOURCE is in exactly
one list. A directory that fits goes whole, as one line.

 --buckets=N, -b N      so many lists, as equal as can be
 --max-size=SIZE        as many lists as it takes, of at most SIZE each (as 500G, or 1.5T)
 --max-files=N          as many lists as it takes, of at most N entries each
 --by=WHAT              what is equal: size (default; of content), capacity (what it takes on its
                        disks), files (their number), cost (size, and a price for each entry)
 --entry-price=SIZE     the price of an entry with --by=cost (default 64K)
 --format=FORM          who reads the lists: rsync (default, --files-from), rsync0 (with --from0),
                        rsync-filter, rclone (--files-from-raw), robocopy, json; docs/manifest.md
                        has what to call each with
 --output=DIR, -o DIR   where the lists go (default: the working directory; made if not there)
 --name-template=NAME   what they are called; [n] is the number, [YYYYMMDDHHMM] the time (default
                        qsync_[YYYYMMDDHHMM]_bucket[n], and .txt, .cmd or .jsonl)
 --live                 with --max-size or --max-files: each list is there as soon as it is full
 --exec=COMMAND         run COMMAND by sh for each list, which it finds in LANESYNC_BUCKET_FILE;
                        _NUMBER, _BYTES and _ENTRIES tell more
 --exec-jobs=N          so many commands at once (default: one for each core)
 --plot=FILE            draw the tree, coloured by list, and how full they are, as SVG
 --exclude, --include, --exclude-from, --include-from, --filter, --from0
                        what is left out, by rsync's rules
 --include-snapshots    take .zfs and .snapshot* too, which are left out else
 --one-file-system, -x  leave out what lies in directories of other file systems
 --depth=N              cut no directory that lies N levels below SOURCE
 --workers=N            operations at once; auto (default) finds out itself
 --from-list=FILE       read no directory: FILE (- is standard input) names what lies below SOURCE, a
                        line each; with --from0, NUL after each. A directory ends with a slash, or
                        has lines below it; else it is taken for a file, unless SOURCE is on this host
 --list-format=WHAT     what its lines are: paths, sizes (find -printf '%s %p\\n'), du (du -al),
                        du-bytes (du -alb), fpart (as it prints them); auto (default) finds out
 --host=HOST, --ip=HOST as with qsplit: PATH (default /) is one of this Qumulo cluster, and there is one
                        list if nobody says how many
 --port=PORT, -P PORT   with --host, the port of its REST API (default 8000)
 -a WHAT, -p PASSWORD, -r, -v
                        as with qsplit: --by=WHAT, a password that everybody on this host sees,
                        --format=robocopy (with --host), and nothing that is not told anyway
 --ca=FILE              trust these certificates, and no others
 --insecure, --http     trust any; do without
 --user=USER, -u USER   who logs in (default admin)
 --password-file=FILE   with what; else LANESYNC_QUMULO_PASSWORD, a saved login, or a question
 --token-file=FILE, --credentials=FILE
                        an access token; a login that qq has saved
 --snapshot=ID, -s ID   what it was at that snapshot
 --retries=N            ask a cluster that fails or is busy N times again (default 9), with growing pauses
 --quiet, -q            print warnings and errors only
 --json                 print records, as with lanesync itself (docs/json.md)
 --help, -h             print this
 --version, -V          print the version
";

/// Reads the words behind `lanesync manifest`.
pub(crate) fn read(
    arguments: Vec<OsString>,
    surroundings: &dyn Surroundings,
) -> Result<Manifest, Refusal> {
    let mut typed = Typed::default();
    match COMMAND.read(arguments, |name, parser| typed.option(name, parser))? {
        Words::Paths(paths) => typed.resolve(paths, surroundings),
        Words::Told(text) => Ok(Manifest::Tell(text)),
    }
}

fn usage(what: &str) -> Refusal {
    COMMAND.usage(what)
}

#[derive(Default)]
struct Typed {
    buckets: Option<usize>,
    max_size: Option<u64>,
    max_files: Option<u64>,
    by: Measured,
    entry_price: Option<u64>,
    form: Form,
    is_form_of_qsplit: bool,
    output: Option<PathBuf>,
    name_template: Option<OsString>,
    is_live: bool,
    exec: Option<OsString>,
    exec_jobs: Option<NonZeroUsize>,
    plot: Option<PathBuf>,
    includes_snapshots: bool,
    depth: Option<u32>,
    is_quiet: bool,
    is_json: bool,
    /// Rules, and what else other commands have, too.
    shared: RawArgs,
    source: source::Typed,
}

/// `--by`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Measured {
    #[default]
    Size,
    Capacity,
    Files,
    Cost,
}

impl Typed {
    /// Takes an option; gives what is to be printed, if that is what it asks for.
    fn option(&mut self, name: &str, parser: &mut Parser) -> Result<Option<String>, Refusal> {
        match name {
            "--buckets" | "-b" => {
                self.buckets = Some(buckets(name, &COMMAND.value(parser, name)?)?);
            }
            "--max-size" => self.max_size = Some(size(name, &COMMAND.value(parser, name)?)?),
            "--max-files" => self.max_files = Some(count(name, &COMMAND.value(parser, name)?)?),
            "--by" | "-a" => self.by = measured(&COMMAND.value(parser, name)?)?,
            "--entry-price" => self.entry_price = Some(size(name, &COMMAND.value(parser, name)?)?),
            // As with qsplit, whose scripts say so; all that it would tell is told anyway.
            "--verbose" | "-v" => {}
            // As with qsplit.
            "-r" => {
                self.form = Form::Robocopy;
                self.is_form_of_qsplit = true;
            }
            "--format" => self.form = form(&COMMAND.value(parser, name)?)?,
            "--output" | "-o" => self.output = Some(COMMAND.value(parser, name)?.into()),
            "--name-template" => self.name_template = Some(COMMAND.value(parser, name)?),
            "--live" => self.is_live = true,
            "--exec" => self.exec = Some(COMMAND.value(parser, name)?),
            "--exec-jobs" => {
                self.exec_jobs = Some(COMMAND.number(name, &COMMAND.value(parser, name)?)?);
            }
            "--plot" => self.plot = Some(COMMAND.value(parser, name)?.into()),
            "--include-snapshots" => self.includes_snapshots = true,
            "--depth" => self.depth = Some(COMMAND.number(name, &COMMAND.value(parser, name)?)?),
            "--quiet" | "-q" => self.is_quiet = true,
            "--json" => self.is_json = true,
            "--no-json" => self.is_json = false,
            "--help" | "-h" => return Ok(Some(HELP.to_owned())),
            "--version" | "-V" => {
                return Ok(Some(format!("lanesync manifest {}\n", env!("CARGO_PKG_VERSION"))));
            }
            _ if self.source.option(name, parser)? => {}
            _ => match raw::shared_flag(name, is_shared, parser)? {
                Some(flag) => self.shared.flags.push(flag),
                None => return Err(usage(&format!("{name}: there is no such option"))),
            },
        }
        Ok(None)
    }

    fn resolve(
        self,
        paths: Vec<OsString>,
        surroundings: &dyn Surroundings,
    ) -> Result<Manifest, Refusal> {
        let sharing = self.sharing()?;
        let by = match (self.by, self.entry_price) {
            (Measured::Cost, price) => {
                By::Cost { bytes_per_entry: price.unwrap_or(BYTES_PER_ENTRY) }
            }
            (_, Some(_)) => return Err(usage("--entry-price goes with --by=cost")),
            (Measured::Files, None) => By::Files,
            (Measured::Size | Measured::Capacity, None) => By::Size,
        };
        let names = self.names(sharing, surroundings)?;
        let excludes = self.excludes()?;
        let command = match (self.exec, self.exec_jobs) {
            (None, Some(_)) => return Err(usage("--exec-jobs goes with --exec")),
            (None, None) => None,
            (Some(text), jobs) => Some(Command { text, jobs: jobs.unwrap_or_else(cores) }),
        };
        let rules = plain_rules(&self.shared, surroundings)?;
        if rules.merge_file_names().next().is_some() {
            return Err(Refusal::unsupported(
                "manifest: rules that are kept in files of each directory (-F, dir-merge) are not read \
                 here; write them as --exclude or --filter",
            ));
        }
        if self.is_form_of_qsplit && !self.source.is_by_host() {
            return Err(usage(
                "-r is --format=robocopy, as with qsplit, and goes with --host; directories are gone down into \
                 without it",
            ));
        }
        if self.form.writing() == Writing::Together && !matches!(sharing, Sharing::Count(_)) {
            return Err(usage(
                "--format=rsync-filter goes with --buckets: each file says what all others hold",
            ));
        }
        if self.form.writing() == Writing::Together && self.source.is_list() {
            return Err(usage(
                "--format=rsync-filter does not go with --from-list: its files let through what nobody has \
                 named, too",
            ));
        }
        let on = |opt| self.shared.flags.iter().rev().find(|flag| flag.opt == opt);
        let one_file_system = on(Opt::OneFileSystem).is_some_and(raw::RawFlag::is_on);
        let from0 = on(Opt::From0).is_some_and(raw::RawFlag::is_on);
        let workers = workers_of(&self.shared, surroundings)?;
        let path = self.source.name(paths)?;
        let source = self.source.resolve(path, self.by, from0, one_file_system, surroundings)?;
        Ok(Manifest::Make(Box::new(Invocation {
            source,
            sharing,
            by,
            form: self.form,
            output: self.output.unwrap_or_else(|| PathBuf::from(".")),
            names,
            is_live: self.is_live,
            command,
            plot: self.plot,
            rules,
            excludes,
            includes_snapshots: self.includes_snapshots,
            depth: self.depth,
            workers,
            is_quiet: self.is_quiet,
            is_json: self.is_json,
        })))
    }

    fn sharing(&self) -> Result<Sharing, Refusal> {
        match (self.buckets, self.max_size, self.max_files) {
            (Some(_), None, None) if self.is_live => Err(usage(
                "--live goes with --max-size or --max-files: how large each of so many buckets is to be \
                 is known only when all has been read",
            )),
            (Some(count), None, None) => Ok(Sharing::Count(count)),
            (Some(_), ..) => Err(usage(
                "--buckets does not go with --max-size and --max-files: say one or the other",
            )),
            // As with qsplit.
            (None, None, None) if self.source.is_by_host() && !self.is_live => {
                Ok(Sharing::Count(1))
            }
            (None, None, None) => {
                Err(usage("say how many buckets, by --buckets, or how large, by --max-size"))
            }
            (None, bytes, entries) => {
                let (bytes, entries) = (bytes.unwrap_or(u64::MAX), entries.unwrap_or(u64::MAX));
                Ok(Sharing::Sized(Caps { bytes, entries }))
            }
        }
    }

    /// What filter files say first: they are asked of what nobody has seen yet, too.
    fn excludes(&self) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut excludes = Vec::new();
        if self.form != Form::RsyncFilter {
            return Ok(excludes);
        }
        if !self.includes_snapshots {
            excludes.extend([b".zfs/".to_vec(), b".snapshot*/".to_vec()]);
        }
        let is_told_elsewhere = |opt| matches!(opt, Opt::Workers | Opt::From0);
        for flag in self.shared.flags.iter().filter(|flag| !is_told_elsewhere(flag.opt)) {
            let is_plain = !matches!(flag.bytes(), b"!" | [b'+' | b'-', b' ', ..]);
            if flag.opt != Opt::Exclude || !is_plain {
                return Err(usage(&format!(
                    "{} does not go with --format=rsync-filter: of what leaves something out, only \
                     --exclude=PATTERN can be told in its files",
                    flag.spelling
                )));
            }
            excludes.push(flag.bytes().to_vec());
        }
        Ok(excludes)
    }

    fn names(
        &self,
        sharing: Sharing,
        surroundings: &dyn Surroundings,
    ) -> Result<Template, Refusal> {
        let now = surroundings.now();
        let Some(text) = &self.name_template else { return Ok(Template::usual(self.form, &now)) };
        let template = Template::new(text.as_encoded_bytes(), &now);
        let template = template.map_err(|error| usage(&error.to_string()))?;
        if sharing != Sharing::Count(1) {
            template.check_numbered().map_err(|error| usage(&error.to_string()))?;
        }
        Ok(template)
    }
}

/// Options that are the same with other commands.
fn is_shared(opt: Opt) -> bool {
    matches!(
        opt,
        Opt::Exclude
            | Opt::Include
            | Opt::ExcludeFrom
            | Opt::IncludeFrom
            | Opt::Filter
            | Opt::From0
            | Opt::OneFileSystem
            | Opt::Workers
    )
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn count(name: &str, value: &OsStr) -> Result<u64, Refusal> {
    match COMMAND.number(name, value)? {
        0 => Err(usage(&format!("{name}=0: nothing would fit"))),
        count => Ok(count),
    }
}

fn buckets(name: &str, value: &OsStr) -> Result<usize, Refusal> {
    let count: usize = COMMAND.number(name, value)?;
    if !(1..=BUCKETS_MAX).contains(&count) {
        return Err(usage(&format!("{name}={count}: it takes 1 to {BUCKETS_MAX}")));
    }
    Ok(count)
}

fn size(name: &str, value: &OsStr) -> Result<u64, Refusal> {
    let size = value.to_str().and_then(size_in_bytes);
    let size = size.filter(|size| *size > 0);
    size.ok_or_else(|| usage(&format!("{name}={} is no size that it takes", value.display())))
}

fn measured(value: &OsStr) -> Result<Measured, Refusal> {
    match value.to_str() {
        Some("size" | "data") => Ok(Measured::Size),
        Some("capacity") => Ok(Measured::Capacity),
        Some("files") => Ok(Measured::Files),
        Some("cost") => Ok(Measured::Cost),
        _ => Err(usage(&format!(
            "--by={} is none of size, capacity, files and cost",
            value.display()
        ))),
    }
}

fn form(value: &OsStr) -> Result<Form, Refusal> {
    value.to_str().and_then(Form::from_word).ok_or_else(|| {
        let words: Vec<&str> = Form::ALL.iter().map(|form| form.word()).collect();
        usage(&format!("--format={} is none of {}", value.display(), words.join(", ")))
    })
}
