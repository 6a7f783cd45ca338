//! From the words of the command line to an [`Invocation`].
//!
//! `options` says what can be typed, `raw` reads it as it stands, `resolve` decides what it means
//! and which combinations are refused. Nothing behind this module ever sees a flag.

/// `lanesync blocks`.
pub(crate) mod blocks;

/// What the command lines of the commands have in common.
mod command;

/// `lanesync manifest`.
pub(crate) mod manifest;

/// The configuration file.
mod config;

/// `--help` and `--info=help`.
mod help;

/// Which paths name another host.
mod host;

/// The table of options.
mod options;

/// Flags exactly as typed, in order.
mod raw;

/// Why a command line is turned down.
mod refusal;

/// What flags mean together.
mod resolve;

/// What the command line depends on beside itself: variables, files, the clock.
mod surroundings;

/// `-V` and `-VV`.
mod version;

#[cfg(test)]
mod testing;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

pub(crate) use refusal::Refusal;
pub(crate) use resolve::{
    Bwlimit, FarList, FarSide, Invocation, Marked, Rates, Remote, parse_list,
};
pub(crate) use surroundings::Process;
use surroundings::Surroundings;

use crate::exit_code::Exit;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// Bring a destination into the state of its sources.
    Sync(Box<Invocation>),
    /// Do something with an image.
    Blocks(blocks::Blocks),
    /// Cut a tree into buckets.
    Manifest(manifest::Manifest),
    /// Print this and end.
    Tell(String),
    /// Work for a lanesync on another host, as these words say.
    Agent(Vec<OsString>),
}

/// Commands that will come. A path of that name is written with `./` before it.
const COMMANDS_TO_COME: [&str; 4] = ["drive", "runs", "verify", "assess"];

/// Reads a command line, without the name of the program.
pub(crate) fn read(
    mut arguments: Vec<OsString>,
    surroundings: &dyn Surroundings,
) -> Result<Request, Refusal> {
    let first = arguments.first().and_then(|word| word.to_str()).unwrap_or_default();
    if COMMANDS_TO_COME.contains(&first) {
        let sentence = format!("the command {first} is not there yet; a path is written ./{first}");
        return Err(Refusal::unsupported(sentence));
    }
    if first == "agent" {
        arguments.remove(0);
        return Ok(Request::Agent(arguments));
    }
    if first == "blocks" {
        arguments.remove(0);
        return blocks::read(arguments, surroundings).map(Request::Blocks);
    }
    if first == "manifest" {
        arguments.remove(0);
        return manifest::read(arguments, surroundings).map(Request::Manifest);
    }
    if first == "sync" {
        arguments.remove(0);
    }
    resolve::resolve(&raw::parse(arguments)?, surroundings)
}

/// Where what is left of a run is noted for the next ones, if this user has such a folder.
pub(crate) fn state_dir(surroundings: &dyn Surroundings) -> Option<PathBuf> {
    config::user_dir(surroundings, "XDG_STATE_HOME", ".local/state")
}

/// True when `--json` is in force, as far as a command line can be read that may be turned down.
pub(crate) fn asks_for_json(arguments: &[OsString]) -> bool {
    let flags = arguments.iter().take_while(|word| *word != "--");
    let last = flags.filter(|word| *word == "--json" || *word == "--no-json").last();
    last.is_some_and(|word| word == "--json")
}

/// Writes to standard output. That nobody reads on is no fault: `lanesync --help | head`.
pub(crate) fn tell(text: &str) -> Exit {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let sentence = format!("standard output could not be written: {error}");
            complain(&Refusal { exit: Exit::FileIo, sentence });
            Exit::FileIo
        }
        _ => Exit::Success,
    }
}

/// Writes to standard error why the command line is turned down, or the job is. Another host may have
/// its say in that, and none in what the terminal does.
/// Test: `what_a_host_says_does_nothing_to_the_terminal`.
pub(crate) fn complain(refusal: &Refusal) {
    let Refusal { exit, sentence } = refusal;
    let sentence = shown(sentence);
    let mut stderr = std::io::stderr();
    writeln!(stderr, "lanesync: {sentence}").ok();
    writeln!(stderr, "lanesync error: {} (code {})", exit.sentence(), exit.code()).ok();
}

/// A sentence whose control characters do nothing, but for what ends a line.
fn shown(sentence: &str) -> String {
    let show = |char: char| {
        if char.is_control() && char != '\n' {
            char.escape_default().to_string()
        } else {
            char.to_string()
        }
    };
    sentence.chars().map(show).collect()
}
