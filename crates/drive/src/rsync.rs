//! rsync as a mover: the user's own command, of which only the selection differs.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fleet::amount::Amount;
use sched::Cancel;

use crate::mover::{End, Hear, Mover, Outcome, Try, Unfit, Work};
use crate::process;

/// The words that the user typed.
pub mod options;

/// The source and the destination.
pub mod ends;

/// What rsync is called with.
pub mod command;

/// What there is to move, as rsync itself selects it.
pub mod listing;

/// What rsync says on standard output.
mod output;

/// What rsync says on standard error.
mod complaints;

/// How a try ended.
mod exit;

/// Hears an rsync while it runs.
mod hearing;

use command::RsyncJob;
use ends::Reach;
use hearing::{Hearing, Paths};

/// The oldest rsync that tells progress of the whole, and flushes each line.
const OLDEST: (u32, u32) = (3, 1);

/// Bytes of its version that are read.
const VERSION_MAX: usize = 200;

/// rsync as a mover.
#[derive(Debug)]
pub struct RsyncMover {
    job: RsyncJob,
    paths: Paths,
}

impl RsyncMover {
    /// A mover for a job, whose relative paths begin in `current`.
    pub fn new(job: RsyncJob, current: &Path) -> Self {
        let paths = Paths {
            below: job.source.below.clone(),
            source: begin_of(job.source.reach, &job.source.path, current),
            destination: begin_of(job.destination.reach, &job.destination.path, current),
            are_made_elsewhere: job.words.makes_files_elsewhere(),
        };
        Self { job, paths }
    }
}

/// What rsync begins full paths of an end with, if it is known: a home directory elsewhere is not.
fn begin_of(reach: Reach, path: &[u8], current: &Path) -> Option<Vec<u8>> {
    let path = match reach {
        Reach::Here => current.join(Path::new(OsStr::from_bytes(path))),
        Reach::Shell if path.starts_with(b"/") => PathBuf::from(OsStr::from_bytes(path)),
        Reach::Shell => return None,
        Reach::Daemon => {
            let module = path.iter().position(|byte| *byte == b'/')?;
            PathBuf::from(OsStr::from_bytes(&path[module..]))
        }
    };
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.as_os_str().as_bytes().split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let mut begin = vec![b'/'];
    for name in names {
        begin.extend_from_slice(name);
        begin.push(b'/');
    }
    Some(begin)
}

impl Mover for RsyncMover {
    fn prepare(&self, cancel: &Cancel) -> Result<(), Unfit> {
        let program = command::shown(&self.job.program);
        let mut argv = self.job.program.clone();
        argv.push("--version".into());
        let mut said = Vec::new();
        let mut hear = |_, bytes: &[u8]| {
            let room = VERSION_MAX - said.len();
            said.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        let ending = process::run(&argv, b"", &mut hear, cancel);
        let unfit = |code, what: String| Unfit { code, sentence: format!("{program}: {what}") };
        match ending {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(unfit(14, "there is no such program: install rsync, or name it".to_owned()))
            }
            Err(error) => Err(unfit(14, format!("cannot be started: {error}"))),
            Ok(_) => match version(&said) {
                Some((version, _)) if version >= OLDEST => Ok(()),
                Some((_, text)) => Err(unfit(
                    4,
                    format!(
                        "version {text} does not tell what it does: install 3.1.0 or a later one"
                    ),
                )),
                None => {
                    let said = String::from_utf8_lossy(&said);
                    let first = said.lines().next().unwrap_or_default().to_owned();
                    Err(unfit(4, format!("is not an rsync that is known, it says \"{first}\"")))
                }
            },
        }
    }

    fn run(&self, attempt: &Try<'_>, hear: &dyn Hear, cancel: &Cancel) -> Outcome {
        let command = match self.job.command(&attempt.work) {
            Ok(command) => command,
            Err(error) => return not_run(End::Hopeless(error.into())),
        };
        let bucket = match attempt.work {
            Work::Bucket { lines, amount, .. } => Some((lines, amount)),
            Work::Directories { .. } | Work::Delete => None,
        };
        let mut hearing = Hearing::new(&self.paths, hear, bucket);
        let mut take = |stream, bytes: &[u8]| hearing.take(stream, bytes);
        match process::run(&command.argv, &command.list, &mut take, cancel) {
            Ok(ending) => hearing.finish(ending),
            Err(error) => not_run(not_started(&self.job, &error)),
        }
    }

    fn shown(&self, attempt: &Try<'_>) -> String {
        self.job
            .command(&attempt.work)
            .map_or_else(|error| error.to_string(), |command| command::shown(&command.argv))
    }
}

fn not_run(end: End) -> Outcome {
    Outcome { end, moved: Amount::default(), failed: Vec::new(), deleted: 0, code: None }
}

/// Why it could not be started: for want of memory or processes, which there may be later, or for good.
fn not_started(job: &RsyncJob, error: &io::Error) -> End {
    let why = format!("{} cannot be started: {error}", command::shown(&job.program));
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            End::Hopeless(Unfit { code: 14, sentence: why })
        }
        _ => End::Lost { why, was_up: false },
    }
}

/// The version of `rsync  version 3.5.0  protocol version 32`, and how it is told.
fn version(said: &[u8]) -> Option<((u32, u32), String)> {
    let said = String::from_utf8_lossy(said);
    let mut words = said.lines().next()?.split_ascii_whitespace();
    let is_rsync = words.next() == Some("rsync") && words.next() == Some("version");
    let text = words.next().filter(|_| is_rsync)?;
    let mut numbers = text.trim_start_matches('v').split(['.', 'p', '-']).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
    Some(((major, minor), text.to_owned()))
}

#[cfg(test)]
mod tests;
