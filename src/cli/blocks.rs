//! The command line of `lanesync blocks`: its own options, and those of rblocksync3 with their meaning.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::Parser;
use model::blocks::{BlocksJob, BlocksSettings, Dangers, Digest, Hashing, ReadBack, Sizes, Zeros};

use super::command::{Command, Words};
use super::refusal::Refusal;
use super::resolve::{Bwlimit, Remote, Settled, TypedHosts};
use super::surroundings::Surroundings;
use super::{host, raw, state_dir};
use crate::exit_code::Exit;

const COMMAND: Command = Command("blocks");

/// What `--block-size` counts in, bytes.
const BLOCK_BYTES: u32 = 4096;

/// The most that it takes, blocks: images are compared by units of 1 MiB, and no more is written at once.
const BLOCKS_MAX: u32 = 256;

/// What `lanesync blocks` is asked for.
#[derive(Debug)]
pub(crate) enum Blocks {
    /// Bring an image into the state of another.
    Sync(Box<Invocation>),
    /// Bring one back into the state that an undo file has kept.
    Undo { job: BlocksJob, is_quiet: bool },
    /// Print this and end.
    Tell(String),
}

/// A job, and how it is told.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) job: BlocksJob,
    /// The source is a file that says what the target lacks.
    pub(crate) is_delta: bool,
    /// How the other host is reached, where one side lies there.
    pub(crate) remote: Option<Remote>,
    pub(crate) bwlimit: Bwlimit,
    pub(crate) is_quiet: bool,
    pub(crate) is_json: bool,
    /// Whether progress is drawn.
    pub(crate) is_live: bool,
}

const HELP: &str = "\
lanesync blocks: brings a disk image or a block device into the state of another

Usage: lanesync blocks [OPTION]... SOURCE TARGET
       lanesync blocks --apply-undo=FILE TARGET
       lanesync blocks --delta-in=FILE [OPTION]... TARGET

Each of SOURCE and TARGET is a file or a block device, on this host or as [USER@]HOST:PATH on
another. Only what differs is written, where it lies: a run that is cut off leaves the target
old in some places and new in others, and the next run finishes it. Between two hosts only what
differs is sent.

 --truncate             make the target as long as the source, and make it if it is not there
 --ignore-size          bring over what both have; the rest of the longer one is left alone
 --block-size=N         write no less than N times 4 KiB at once (default 1, at most 256: 1 MiB)
 --dry-run, -n          change nothing, and say what would have changed
 --quiet, -q            print errors only
 --verify[=written|all] read back from the disk what was written (default), or all that was read
 --no-discard           write zeros; else they become holes, or room that the device gives back
 --digest, --no-digest  print the BLAKE3 of the image, as b3sum does, in any case, or never;
                        else it is printed where all of the image is read anyway
 --hash=blake3|xxh3     what two hosts compare (default blake3); xxh3, with a secret, takes less time,
                        and no BLAKE3 is printed then
 --changed-ranges=FILE  look only where FILE says: a line for each range, offset and length
 --undo=FILE            keep what is changed in FILE, which must not be there; it lies on the host
                        of the target
 --apply-undo=FILE      bring TARGET back into the state that --undo has kept (with --dry-run
                        say what would be done)
 --resume               do not read again what an interrupted run of this very job has done
 --delta-out=FILE       write to FILE, which must not be there, what would be written to TARGET,
                        which is only read
 --delta-in=FILE        write to TARGET what such a FILE says, if TARGET is what that was made for
 --allow=WHAT,...       go on where the target is in danger: mounted, in-use, overlap (with the
                        source), new-in-dev (a new file below /dev), read-only (by its mode)
 --readers=N            so many read at once (default: one for each core up to four, one for
                        disks with heads)
 --bwlimit=RATE         write no faster than this, as with lanesync itself
 --json                 print records, as with lanesync itself (docs/json.md)
 -e, --agent-path, --no-upload, --remote-sudo, -4, -6, --contimeout, --timeout, --lanes and its
 kin, --reconnect, -z and its kin: how another host is reached, as with lanesync itself
 --help, -h             print this
 --version, -V          print the version
";

/// Reads the words behind `lanesync blocks`.
pub(crate) fn read(
    arguments: Vec<OsString>,
    surroundings: &dyn Surroundings,
) -> Result<Blocks, Refusal> {
    let mut typed = Typed::default();
    match COMMAND.read(arguments, |name, parser| typed.option(name, parser, surroundings))? {
        Words::Paths(paths) => typed.resolve(paths, surroundings),
        Words::Told(text) => Ok(Blocks::Tell(text)),
    }
}

fn usage(what: &str) -> Refusal {
    COMMAND.usage(what)
}

#[derive(Default)]
struct Typed {
    hosts: TypedHosts,
    settings: BlocksSettings,
    truncates: bool,
    ignores_size: bool,
    bwlimit: Bwlimit,
    apply_undo: Option<PathBuf>,
    delta_in: Option<PathBuf>,
    is_quiet: bool,
    is_json: bool,
}

impl Typed {
    /// Takes an option; gives what is to be printed, if that is what it asks for.
    fn option(
        &mut self,
        name: &str,
        parser: &mut Parser,
        surroundings: &dyn Surroundings,
    ) -> Result<Option<String>, Refusal> {
        let settings = &mut self.settings;
        match name {
            "--truncate" => self.truncates = true,
            "--ignore-size" => self.ignores_size = true,
            "--block-size" => settings.block_bytes = block_bytes(&COMMAND.value(parser, name)?)?,
            "--dry-run" | "-n" => settings.dry_run = true,
            "--quiet" | "-q" => self.is_quiet = true,
            "--verify" => settings.read_back = read_back(parser.optional_value().as_deref())?,
            "--no-verify" => settings.read_back = ReadBack::Nothing,
            "--discard" => settings.zeros = Zeros::GivenBack,
            "--no-discard" => settings.zeros = Zeros::Written,
            "--digest" => settings.digest = Digest::Always,
            "--no-digest" => settings.digest = Digest::Never,
            "--changed-ranges" => {
                let file = PathBuf::from(COMMAND.value(parser, name)?);
                settings.changed = Some(changed_ranges(&file, surroundings)?);
            }
            "--undo" => settings.undo = Some(COMMAND.value(parser, name)?.into()),
            "--apply-undo" => self.apply_undo = Some(COMMAND.value(parser, name)?.into()),
            "--delta-out" => settings.delta_out = Some(COMMAND.value(parser, name)?.into()),
            "--delta-in" => self.delta_in = Some(COMMAND.value(parser, name)?.into()),
            "--resume" => settings.resume = true,
            "--no-resume" => settings.resume = false,
            "--allow" => settings.allowed |= dangers(&COMMAND.value(parser, name)?)?,
            "--readers" => {
                let readers: u8 = COMMAND.number(name, &COMMAND.value(parser, name)?)?;
                settings.readers = Some(readers.into());
            }
            "--bwlimit" => self.bwlimit = bwlimit(&COMMAND.value(parser, name)?, surroundings)?,
            "--json" => self.is_json = true,
            "--no-json" => self.is_json = false,
            "--help" | "-h" => return Ok(Some(HELP.to_owned())),
            "--version" | "-V" => {
                return Ok(Some(format!("lanesync blocks {}\n", env!("CARGO_PKG_VERSION"))));
            }
            "--hash" => settings.hash = hashing(&COMMAND.value(parser, name)?)?,
            _ => match raw::shared_flag(name, TypedHosts::knows, parser)? {
                Some(flag) => self.hosts.take(flag)?,
                None => return Err(usage(&format!("{name}: there is no such option"))),
            },
        }
        Ok(None)
    }

    fn resolve(
        self,
        paths: Vec<OsString>,
        surroundings: &dyn Surroundings,
    ) -> Result<Blocks, Refusal> {
        let Self { mut settings, truncates, ignores_size, is_quiet, is_json, .. } = self;
        settings.state_dir = state_dir(surroundings);
        if let Some(file) = self.apply_undo {
            let is_more = truncates || ignores_size || is_json || !self.bwlimit.is_none();
            let is_more = is_more || !self.hosts.is_empty();
            if is_more || self.delta_in.is_some() {
                return Err(usage(WITH_UNDO));
            }
            return undo(file, paths, settings, is_quiet);
        }
        settings.sizes = match (truncates, ignores_size) {
            (true, true) => return Err(usage("--truncate and --ignore-size exclude each other")),
            (true, false) => Sizes::Truncate,
            (false, true) => Sizes::Ignore,
            (false, false) => Sizes::Same,
        };
        if settings.digest == Digest::Always && settings.hash != Hashing::Blake3 {
            return Err(usage("--digest is made of what --hash=blake3 compares"));
        }
        if settings.digest == Digest::Always && settings.changed.is_some() {
            return Err(usage(
                "--digest asks for all of the image, and --changed-ranges for a part of it",
            ));
        }
        let is_delta = self.delta_in.is_some();
        let delta = if is_delta { "--delta-in" } else { "--delta-out" };
        if is_delta || settings.delta_out.is_some() {
            check_delta(&settings, delta, is_delta)?;
            settings.digest = Digest::Always;
        }
        let is_about_delta = is_delta || settings.delta_out.is_some();
        let paths = if is_delta {
            // The file is no operand, so that no colon in its name makes it another host's.
            let [target] = <[OsString; 1]>::try_from(paths)
                .map_err(|_| usage("--delta-in takes one path, the target"))?;
            [OsString::from("."), target]
        } else {
            <[OsString; 2]>::try_from(paths)
                .map_err(|_| usage("it takes two paths, the source and the target"))?
        };
        let Settled { source, target, remote, compression } =
            self.hosts.settle(paths, surroundings)?;
        if is_about_delta && remote.is_some() {
            return Err(Refusal::unsupported(format!(
                "blocks: {delta} takes files and devices of this host; start it on the other"
            )));
        }
        settings.compression = compression;
        if settings.undo.is_some() && remote.as_ref().is_some_and(|it| it.reconnect.is_some()) {
            return Err(usage("--reconnect cannot go with --undo: each session would begin anew"));
        }
        let is_live = !is_quiet && !is_json && surroundings.stderr_is_terminal();
        let source = self.delta_in.unwrap_or(source);
        let job = BlocksJob { source, target, settings };
        let bwlimit = self.bwlimit;
        let invocation = Invocation { job, is_delta, remote, bwlimit, is_quiet, is_json, is_live };
        Ok(Blocks::Sync(Box::new(invocation)))
    }
}

const WITH_UNDO: &str = "with --apply-undo only --allow, --dry-run and --quiet are taken";

fn undo(
    file: PathBuf,
    paths: Vec<OsString>,
    settings: BlocksSettings,
    is_quiet: bool,
) -> Result<Blocks, Refusal> {
    let (allowed, dry_run, state_dir) =
        (settings.allowed, settings.dry_run, settings.state_dir.clone());
    if settings != (BlocksSettings { allowed, dry_run, state_dir, ..BlocksSettings::default() }) {
        return Err(usage(WITH_UNDO));
    }
    let [target] = <[OsString; 1]>::try_from(paths)
        .map_err(|_| usage("--apply-undo takes one path, the target"))?;
    if host::remote(target.as_bytes()).is_some() {
        let target = target.display();
        return Err(Refusal::unsupported(format!(
            "blocks: --apply-undo: \"{target}\" is on another host; the undo file lies there, so start it \
             there"
        )));
    }
    let job = BlocksJob { source: file, target: target.into(), settings };
    Ok(Blocks::Undo { job, is_quiet })
}

/// What is in a delta file is known by the BLAKE3 of all before and after.
fn check_delta(settings: &BlocksSettings, option: &str, is_delta: bool) -> Result<(), Refusal> {
    let is_partial = settings.sizes == Sizes::Ignore || settings.changed.is_some();
    if is_partial || settings.digest == Digest::Never {
        return Err(usage(&format!(
            "{option} is about all of both, so --ignore-size, --changed-ranges and --no-digest are not taken"
        )));
    }
    if settings.resume {
        return Err(usage(&format!("{option} reads all of both, so --resume is not taken")));
    }
    let is_written = settings.undo.is_some() || settings.read_back != ReadBack::Nothing;
    if settings.delta_out.is_some() && (is_delta || is_written) {
        return Err(usage(
            "with --delta-out the target is only read, so --delta-in, --undo and --verify are not taken",
        ));
    }
    Ok(())
}

fn block_bytes(value: &OsStr) -> Result<u32, Refusal> {
    let count: u32 = COMMAND.number("--block-size", value)?;
    if !(1..=BLOCKS_MAX).contains(&count) {
        return Err(usage(&format!(
            "--block-size={count}: it takes 1 to {BLOCKS_MAX}, which are {BLOCK_BYTES} bytes each"
        )));
    }
    Ok(count * BLOCK_BYTES)
}

fn read_back(value: Option<&OsStr>) -> Result<ReadBack, Refusal> {
    match value.map(OsStr::as_bytes) {
        None | Some(b"written") => Ok(ReadBack::Written),
        Some(b"all") => Ok(ReadBack::All),
        Some(_) => Err(usage("--verify takes written or all")),
    }
}

fn hashing(value: &OsStr) -> Result<Hashing, Refusal> {
    match value.as_bytes() {
        b"blake3" => Ok(Hashing::Blake3),
        b"xxh3" => Ok(Hashing::Xxh3),
        _ => Err(usage("--hash takes blake3 or xxh3")),
    }
}

fn dangers(value: &OsStr) -> Result<Dangers, Refusal> {
    let mut dangers = Dangers::empty();
    for word in value.as_bytes().split(|byte| *byte == b',') {
        dangers |= match word {
            b"mounted" => Dangers::MOUNTED,
            b"in-use" => Dangers::IN_USE,
            b"overlap" => Dangers::OVERLAP,
            b"new-in-dev" => Dangers::NEW_IN_DEV,
            b"read-only" => Dangers::READ_ONLY,
            _ => {
                let word = word.escape_ascii();
                let known = "mounted, in-use, overlap, new-in-dev, read-only";
                return Err(usage(&format!("--allow={word}: there are {known}")));
            }
        };
    }
    Ok(dangers)
}

fn bwlimit(value: &OsStr, surroundings: &dyn Surroundings) -> Result<Bwlimit, Refusal> {
    let refused = |why: String| usage(&format!("--bwlimit={} {why}", value.display()));
    Bwlimit::parse(value, surroundings).map_err(refused)
}

/// Reads ranges: a line each, offset and length in bytes with a comma or blanks between them, decimal or
/// with `0x`. Empty lines and those that begin with `#` say nothing.
fn changed_ranges(
    file: &Path,
    surroundings: &dyn Surroundings,
) -> Result<Vec<Range<u64>>, Refusal> {
    const OPTION: &str = "--changed-ranges";

    let name = file.as_os_str().as_bytes();
    let text = surroundings
        .read_file(file)
        .map_err(|error| Refusal::file(Exit::FileIo, OPTION, name, &error))?;
    let mut ranges = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let range = range(line).ok_or_else(|| {
            let name = name.escape_ascii();
            usage(&format!("{OPTION}: line {number} of \"{name}\" is no offset and length"))
        })?;
        ranges.push(range);
    }
    Ok(merged(ranges))
}

/// In order, and with gaps between them.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn range(line: &[u8]) -> Option<Range<u64>> {
    let words = str::from_utf8(line).ok()?.split([',', ' ', '\t']);
    let mut numbers = words.filter(|word| !word.is_empty()).map(|word| {
        let hex = word.strip_prefix("0x");
        hex.map_or_else(|| word.parse(), |hex| u64::from_str_radix(hex, 16)).ok()
    });
    let (start, length) = (numbers.next()??, numbers.next()??);
    let end = start.checked_add(length)?;
    numbers.next().is_none().then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::super::FarSide;
    use super::super::testing::Fake;
    use super::*;

    fn typed(line: &str) -> Result<Blocks, Refusal> {
        let fake = Fake { files: vec![("ranges", "0 10\n# and\n20, 0x10\n")], ..Fake::default() };
        read(line.split(' ').map(OsString::from).collect(), &fake)
    }

    #[track_caller]
    fn settings(line: &str) -> BlocksSettings {
        match typed(line) {
            Ok(Blocks::Sync(invocation)) => invocation.job.settings,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_of_rblocksync_have_its_meaning() {
        let read = settings("--truncate --block-size 16 --dry-run -q s d");
        assert_eq!((read.sizes, read.block_bytes, read.dry_run), (Sizes::Truncate, 65_536, true));
        assert_eq!(settings("s d --ignore-size").sizes, Sizes::Ignore);
        assert_eq!(settings("--block-size=256 s d").block_bytes, 1 << 20);
        let state_dir = settings("s d").state_dir;
        assert_eq!(settings("s d"), BlocksSettings { state_dir, ..BlocksSettings::default() });
    }

    #[test]
    fn what_is_verified_and_allowed_is_said_in_words() {
        assert_eq!(settings("--verify s d").read_back, ReadBack::Written);
        assert_eq!(settings("--verify=all s d").read_back, ReadBack::All);
        let allowed = settings("--allow=mounted,overlap --allow=read-only s d").allowed;
        assert_eq!(allowed, Dangers::MOUNTED | Dangers::OVERLAP | Dangers::READ_ONLY);
    }

    #[test]
    fn either_end_may_be_on_another_host_which_is_reached_as_ever() {
        let ends = |line: &str| match typed(line) {
            Ok(Blocks::Sync(invocation)) => {
                let Invocation { job, remote, .. } = *invocation;
                let there = remote.as_ref().map(|it| (it.there.side, it.there.source.is_some()));
                (job, remote, there)
            }
            other => panic!("{line}: {other:?}"),
        };
        let (job, remote, there) = ends("-e rsh -z --timeout=7 host:s ./x:d");
        assert_eq!((job.source, job.target), ("s".into(), "./x:d".into()));
        assert_eq!(there, Some((FarSide::Source, false)));
        assert!(job.settings.compression.is_some());
        assert_eq!(remote.unwrap().patience, Some(std::time::Duration::from_secs(7)));
        let (job, _, there) = ends("s u@host:/dev/sdb");
        assert_eq!((job.target, there), ("/dev/sdb".into(), Some((FarSide::Destination, false))));
        assert_eq!(ends("a:s b:d").2, Some((FarSide::Destination, true)));
        assert_eq!((ends("-z s d").2, ends("-z s d").0.settings.compression), (None, None));
    }

    #[test]
    fn what_makes_no_sense_is_turned_down() {
        for line in [
            "s",
            "s d x",
            "--truncate --ignore-size s d",
            "--block-size=0 s d",
            "--block-size=x s d",
            "--block-size=257 s d",
            "--block-size=9999999 s d",
            "--verify=some s d",
            "--allow=all s d",
            "--allow= s d",
            "--no-such s d",
            "--bwlimit=x s d",
            "--apply-undo=u s d",
            "--apply-undo=u --verify d",
            "--digest --changed-ranges=ranges s d",
            "--apply-undo=u --json d",
            "--apply-undo=u --delta-in=e d",
            "--delta-in=e s d",
            "--delta-in=e --resume d",
            "--delta-in=e --delta-out=f d",
            "--delta-in=e --ignore-size d",
            "--delta-out=e --verify s d",
            "--delta-out=e --undo=u s d",
            "--delta-out=e --no-digest s d",
            "--delta-out=e --changed-ranges=ranges s d",
            "--readers=256 s d",
            "--hash=md5 s d",
            "--hash=xxh3 --digest s d",
            "host:s d --lanes=0",
            "host:s d --undo=u --reconnect=5s",
            "--apply-undo=u -e ssh d",
            "-a s d",
            "--recursive s d",
        ] {
            assert_eq!(typed(line).unwrap_err().exit, Exit::Usage, "{line}");
        }
        for line in
            ["host::s d", "--apply-undo=u host:d", "--delta-in=f host:d", "--delta-out=f s host:d"]
        {
            assert_eq!(typed(line).unwrap_err().exit, Exit::Unsupported, "{line}");
        }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "it is one range that is meant")]
    fn ranges_are_put_in_order_and_together() {
        assert_eq!(merged(vec![9..10, 0..5, 4..6, 6..7, 8..8, 2..3]), [0..7, 9..10]);
        assert_eq!(merged(vec![5..5]), Vec::<Range<u64>>::new());
        assert_eq!(merged(vec![1..2]), [1..2]);
        assert_eq!(settings("--changed-ranges=ranges s d").changed, Some(vec![0..10, 20..36]));
    }

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for (line, expected) in [
            ("0, 10", Some(0..10)),
            ("0x10 0x20", Some(16..48)),
            ("5\t6", Some(5..11)),
            ("18446744073709551615 1", None),
            ("1", None),
            ("1 2 3", None),
            ("a b", None),
        ] {
            assert_eq!(range(line.as_bytes()), expected, "{line}");
        }
    }
}
